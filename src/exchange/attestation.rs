//! What an Identity header says of a caller ID: the claim `attest` of its token. The signature is not
//! verified: no certificate is fetched, and what is read here is the word of whoever sent it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::event::AttestationLevel;
use serde::Deserialize;

/// The one claim that is read (RFC 8588 §4).
#[derive(Deserialize)]
struct Payload {
    attest: AttestationLevel,
}

/// The level that an Identity value claims (RFC 8224 §4: `header.payload.signature;info=…`). None where it
/// claims none, as in the compact form, or cannot be read.
pub(super) fn claimed(identity: &str) -> Option<AttestationLevel> {
    let token = identity.split(';').next()?.trim();
    let payload = token.split('.').nth(1)?.trim_end_matches('=');
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    Some(payload.attest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(payload: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let header =
            r#"{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example/a.pem"}"#;
        format!(
            "{}.{}.c2ln;info=<https://cert.example/a.pem>;alg=ES256;ppt=shaken",
            part(header),
            part(payload)
        )
    }

    #[test]
    fn the_claim_is_read_and_nothing_else_is_believed() {
        let full = r#"{"attest":"B","dest":{"tn":["12125550100"]},"iat":1795000000,"orig":{"tn":"12125550199"},"origid":"0"}"#;
        assert_eq!(claimed(&identity(full)), Some(AttestationLevel::B));
        assert_eq!(
            claimed(&identity(r#"{"attest":"A"}"#)),
            Some(AttestationLevel::A)
        );
        for none in [
            identity(r#"{"attest":"D"}"#),
            identity(r#"{"div":{"tn":"1"}}"#),
            identity("attest"),
            "..c2ln;info=<https://cert.example/a.pem>".to_string(),
            "!!.!!.!!".to_string(),
            String::new(),
        ] {
            assert_eq!(claimed(&none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_peer_writes_there_is_a_panic(text in ".{0,200}", payload in ".{0,100}") {
            claimed(&text);
            claimed(&identity(&payload));
        }
    }
}
