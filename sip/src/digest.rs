//! Digest authentication (RFC 7616, RFC 2617, RFC 8760): computing credentials for a challenge, and checking them.
//!
//! Pure functions over texts. Nonces and their counts, and who may log in as whom, are decided elsewhere.

use crate::message::{Challenge, Credential, Message, Method, Name, write_quoted};
use md5::{Digest, Md5};
use sha2::Sha256;
use std::fmt::Write;
use subtle::ConstantTimeEq;

/// The hash of a challenge. Its order is that of preference: the later the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// What old peers need; not to be had where SHA-256 is.
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// The algorithm of that name; MD5 where none is named (RFC 7616 §3.3). `None` for one this stack has not.
    pub fn parse(text: Option<&str>) -> Option<Algorithm> {
        match text {
            None => Some(Algorithm::Md5),
            Some(text) if text.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(text) if text.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }

    fn hash(self, parts: &[&str]) -> String {
        fn hex<D: Digest>(parts: &[&str]) -> String {
            let mut hash = D::new();
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    hash.update(b":");
                }
                hash.update(part.as_bytes());
            }
            let mut text = String::with_capacity(64);
            for byte in hash.finalize() {
                write!(text, "{byte:02x}").expect("a string takes all");
            }
            text
        }
        match self {
            Algorithm::Md5 => hex::<Md5>(parts),
            Algorithm::Sha256 => hex::<Sha256>(parts),
        }
    }
}

/// The hash of user, realm and password: what is stored instead of the password. Lower-case hex.
pub fn ha1(user: &str, realm: &str, password: &str, algorithm: Algorithm) -> String {
    algorithm.hash(&[user, realm, password])
}

/// The count of uses and the client's own nonce that qop=auth adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use<'a> {
    /// How often this nonce has been used, this time included.
    pub nc: u32,
    /// The client's nonce.
    pub cnonce: &'a str,
}

/// The response of RFC 7616 §3.4.1: with qop=auth where `usage` is given, else as RFC 2069 had it.
pub fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    usage: Option<Use<'_>>,
    method: &str,
    uri: &str,
) -> String {
    let ha2 = algorithm.hash(&[method, uri]);
    match usage {
        Some(Use { nc, cnonce }) => {
            algorithm.hash(&[ha1, nonce, &format!("{nc:08x}"), cnonce, "auth", &ha2])
        }
        None => algorithm.hash(&[ha1, nonce, &ha2]),
    }
}

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// The protection space.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// To be sent back.
    pub opaque: Option<String>,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether qop=auth is offered.
    pub qop_auth: bool,
    /// Whether only the nonce was too old: the credentials are good (RFC 7616 §3.3).
    pub stale: bool,
}

impl DigestChallenge {
    /// Reads a challenge; `None` where it is not Digest, lacks realm or nonce, or has an algorithm or a qop that
    /// this stack cannot answer.
    pub fn parse(challenge: &Challenge<'_>) -> Option<DigestChallenge> {
        if !challenge.is_digest() {
            return None;
        }
        let qop = challenge.value("qop");
        let qop_auth = qop.as_ref().is_some_and(|list| {
            list.split(',')
                .any(|qop| qop.trim().eq_ignore_ascii_case("auth"))
        });
        if qop.is_some() && !qop_auth {
            return None;
        }
        Some(DigestChallenge {
            realm: challenge.value("realm")?.into_owned(),
            nonce: challenge.value("nonce")?.into_owned(),
            opaque: challenge.value("opaque").map(|opaque| opaque.into_owned()),
            algorithm: Algorithm::parse(challenge.value("algorithm").as_deref())?,
            qop_auth,
            stale: challenge
                .value("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The best challenge in a 401 (`Name::WwwAuthenticate`) or 407 (`Name::ProxyAuthenticate`): SHA-256 where it
    /// is offered, else MD5. Among several realms the first one's.
    pub fn choose(response: &Message<'_>, name: Name) -> Option<DigestChallenge> {
        let mut best: Option<DigestChallenge> = None;
        for challenge in response
            .challenges(name)
            .filter_map(|challenge| DigestChallenge::parse(&challenge))
        {
            match &best {
                Some(found)
                    if found.realm != challenge.realm || found.algorithm >= challenge.algorithm => {
                }
                Some(_) | None => best = Some(challenge),
            }
        }
        best
    }

    /// The value of Authorization or Proxy-Authorization that answers the challenge.
    pub fn authorize(
        &self,
        user: &str,
        password: &str,
        method: Method,
        uri: &str,
        usage: Use<'_>,
    ) -> String {
        let method = method.as_str().expect("only methods with a name are sent");
        let ha1 = ha1(user, &self.realm, password, self.algorithm);
        let usage = self.qop_auth.then_some(usage);
        let response = response(self.algorithm, &ha1, &self.nonce, usage, method, uri);
        let mut value = String::with_capacity(384);
        value.push_str("Digest ");
        for (name, text) in [
            ("username=", user),
            (", realm=", &self.realm),
            (", nonce=", &self.nonce),
            (", uri=", uri),
        ] {
            value.push_str(name);
            write_quoted(&mut value, text);
        }
        write!(
            value,
            ", response=\"{response}\", algorithm={}",
            self.algorithm.as_str()
        )
        .expect("a string takes all");
        if let Some(Use { nc, cnonce }) = usage {
            value.push_str(", cnonce=");
            write_quoted(&mut value, cnonce);
            write!(value, ", qop=auth, nc={nc:08x}").expect("a string takes all");
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(", opaque=");
            write_quoted(&mut value, opaque);
        }
        value
    }

    /// The value of WWW-Authenticate or Proxy-Authenticate that makes this challenge.
    pub fn to_header(&self) -> String {
        let mut value = String::with_capacity(256);
        value.push_str("Digest realm=");
        write_quoted(&mut value, &self.realm);
        value.push_str(", nonce=");
        write_quoted(&mut value, &self.nonce);
        if let Some(opaque) = &self.opaque {
            value.push_str(", opaque=");
            write_quoted(&mut value, opaque);
        }
        write!(value, ", algorithm={}", self.algorithm.as_str()).expect("a string takes all");
        if self.qop_auth {
            value.push_str(", qop=\"auth\"");
        }
        if self.stale {
            value.push_str(", stale=true");
        }
        value
    }
}

/// Credentials that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Who claims to be.
    pub user: String,
    /// The protection space.
    pub realm: String,
    /// The nonce of ours that they answer.
    pub nonce: String,
    /// The URI that was hashed: the Request-URI, unless a proxy changed that on the way.
    pub uri: String,
    /// The client's hash.
    pub response: String,
    /// The hash.
    pub algorithm: Algorithm,
    /// With qop=auth, the count of uses of the nonce.
    pub nc: Option<u32>,
    /// With qop=auth, the client's nonce.
    pub cnonce: Option<String>,
    /// What the challenge had.
    pub opaque: Option<String>,
}

impl Authorization {
    /// Reads credentials; `None` where they are not Digest, something is missing or malformed, or the algorithm or
    /// qop is not one this stack has.
    pub fn parse(credential: &Credential<'_>) -> Option<Authorization> {
        if !credential.is_digest() {
            return None;
        }
        let (nc, cnonce) = match credential.value("qop") {
            None => (None, None),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let nc = credential.value("nc")?;
                if nc.len() != 8 || !nc.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                (
                    Some(u32::from_str_radix(&nc, 16).ok()?),
                    Some(credential.value("cnonce")?.into_owned()),
                )
            }
            Some(_) => return None,
        };
        Some(Authorization {
            user: credential.value("username")?.into_owned(),
            realm: credential.value("realm")?.into_owned(),
            nonce: credential.value("nonce")?.into_owned(),
            uri: credential.value("uri")?.into_owned(),
            response: credential.value("response")?.into_owned(),
            algorithm: Algorithm::parse(credential.value("algorithm").as_deref())?,
            nc,
            cnonce,
            opaque: credential.value("opaque").map(|opaque| opaque.into_owned()),
        })
    }

    /// Whether they prove the knowledge of what `ha1` was made of. Takes the same time wherever they differ. Give
    /// it some other HA1 of the same algorithm for a user that is not known, so that this takes as long.
    pub fn verify(&self, ha1: &str, method: &str) -> bool {
        let usage = match (self.nc, &self.cnonce) {
            (Some(nc), Some(cnonce)) => Some(Use { nc, cnonce }),
            (Some(_), None) | (None, _) => None,
        };
        let expected = response(self.algorithm, ha1, &self.nonce, usage, method, &self.uri);
        let given = self.response.to_ascii_lowercase();
        expected.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7616 §3.9.1.
    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    #[test]
    fn the_vectors_of_rfc_7616_come_out() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Algorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let ha1 = ha1(
                "Mufasa",
                "http-auth@example.org",
                "Circle of Life",
                algorithm,
            );
            let usage = Some(Use {
                nc: 1,
                cnonce: CNONCE,
            });
            assert_eq!(
                response(algorithm, &ha1, NONCE, usage, "GET", "/dir/index.html"),
                expected
            );
        }
    }

    fn challenge(algorithm: Algorithm, qop_auth: bool) -> DigestChallenge {
        DigestChallenge {
            realm: r#"the "quoted" \ realm"#.into(),
            nonce: "n=,1".into(),
            opaque: Some("o".into()),
            algorithm,
            qop_auth,
            stale: false,
        }
    }

    #[test]
    fn what_is_computed_verifies_and_nothing_else_does() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            for qop_auth in [true, false] {
                let challenge = challenge(algorithm, qop_auth);
                let header = challenge.to_header();
                let parsed = DigestChallenge::parse(&Credential::parse(&header).expect("valid"))
                    .expect("valid");
                assert_eq!(parsed, challenge);
                let usage = Use {
                    nc: 0xABCDEF,
                    cnonce: "c\"1",
                };
                let value = parsed.authorize("a\"b\\", "pass", Method::Invite, "sip:x@y", usage);
                let mut given = Authorization::parse(&Credential::parse(&value).expect("valid"))
                    .expect("valid");
                assert_eq!(
                    (given.user.as_str(), given.nc),
                    ("a\"b\\", qop_auth.then_some(0xABCDEF))
                );
                let stored = ha1("a\"b\\", &challenge.realm, "pass", algorithm);
                assert!(given.verify(&stored, "INVITE"));
                assert!(!given.verify(&stored, "BYE"));
                assert!(!given.verify(
                    &ha1("a\"b\\", &challenge.realm, "Pass", algorithm),
                    "INVITE"
                ));
                given.nonce.push('x');
                assert!(!given.verify(&stored, "INVITE"));
            }
        }
    }

    #[test]
    fn sha_256_is_chosen_whichever_comes_first() {
        let md5 = "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n";
        let sha = "WWW-Authenticate: Digest realm=\"r\",nonce=\"2\" , algorithm=SHA-256,\r\n qop=\"auth-int, auth\"\r\n";
        let other = "WWW-Authenticate: Digest realm=\"r\", nonce=\"3\", algorithm=SHA-512-256\r\n";
        for order in [[other, md5, sha], [sha, md5, other]] {
            let text = format!("SIP/2.0 401 Unauthorized\r\n{}\r\n", order.concat());
            let message = Message::parse(text.as_bytes()).expect("valid");
            let chosen = DigestChallenge::choose(&message, Name::WwwAuthenticate)
                .expect("one can be answered");
            assert_eq!(
                (chosen.algorithm, chosen.nonce.as_str(), chosen.qop_auth),
                (Algorithm::Sha256, "2", true)
            );
        }
    }

    #[test]
    fn credentials_with_a_broken_count_or_an_unknown_qop_are_refused() {
        let base = r#"Digest username="u", realm="r", nonce="n", uri="sip:u", response="00""#;
        let parse = |rest: &str| {
            let value = format!("{base}{rest}");
            Authorization::parse(&Credential::parse(&value).expect("a credential")).is_some()
        };
        assert!(parse(""));
        assert!(parse(r#", qop=auth, nc=00000001, cnonce="c""#));
        for rest in [
            r#", qop=auth, nc=1, cnonce="c""#,
            r#", qop=auth, nc=+0000001, cnonce="c""#,
            r#", qop=auth, cnonce="c""#,
            ", qop=auth, nc=00000001",
            r#", qop=auth-int, nc=00000001, cnonce="c""#,
            ", algorithm=MD5-sess",
        ] {
            assert!(!parse(rest), "{rest}");
        }
    }
}
