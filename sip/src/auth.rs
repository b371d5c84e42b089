//! Digest on both sides: answering a challenge of a peer, and judging an answer to ours
//! (RFC 7616, RFC 8760, RFC 3261 §22).
//!
//! Which algorithms are offered is configured, SHA-256 then MD5 as a rule. An unknown user costs the same work and gets the same answer
//! as a wrong password. Only `qop=auth` is taken, so that each answer counts its nonce up.

use crate::digest::{self, Algorithm, Authorization, DigestChallenge, Use};
use crate::endpoint::{Account, Credentials};
use crate::message::{Credential, Message, Name, Uri};
use crate::nonce::{Nonces, Worth};
use crate::siphash::Keyed;
use model::Mono;
use std::collections::BTreeMap;

/// The header line, with its end, that answers the challenge in a 401 or 407 to `request`. `None`
/// when there is nothing we can answer, or it was answered before and refused.
pub(crate) fn answer(
    response: &Message<'_>,
    credentials: &Credentials,
    request: &[u8],
    cnonce: u64,
) -> Option<String> {
    let (challenges, answers, header) = match response.status() {
        401 => (Name::WwwAuthenticate, Name::Authorization, "Authorization"),
        _ => (
            Name::ProxyAuthenticate,
            Name::ProxyAuthorization,
            "Proxy-Authorization",
        ),
    };
    let request = Message::parse(request).ok()?;
    if request.header(answers).is_some() {
        return None;
    }
    let challenge = DigestChallenge::choose(response, challenges)?;
    let cnonce = format!("{cnonce:016x}");
    let value = challenge.authorize(
        &credentials.user,
        &credentials.password,
        request.method(),
        request.request_uri_text(),
        Use {
            nc: 1,
            cnonce: &cnonce,
        },
    );
    Some(format!("{header}: {value}\r\n"))
}

/// What an answer to our challenge is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This account sent it.
    Proven(String),
    /// No answer: challenge.
    Missing,
    /// A right answer to a spent nonce: challenge with `stale=true`.
    Stale,
    /// A wrong answer: challenge, and count.
    Wrong,
}

/// Who may prove themselves.
#[derive(Debug)]
pub(crate) struct Realm {
    name: String,
    accounts: BTreeMap<String, Account>,
    digests: Vec<Algorithm>,
    nonces: Nonces,
    dummies: Keyed,
}

impl Realm {
    /// A realm with these accounts, whose challenges offer `digests` in this order.
    pub fn new(
        name: String,
        accounts: Vec<Account>,
        digests: Vec<Algorithm>,
        keyed: Keyed,
    ) -> Realm {
        let accounts = accounts.into_iter().map(|a| (a.user.clone(), a)).collect();
        Realm {
            name,
            accounts,
            digests,
            nonces: Nonces::new(keyed.clone()),
            dummies: keyed,
        }
    }

    /// The lines of a challenge, the best algorithm first.
    pub fn challenge(&mut self, now: Mono, stale: bool) -> String {
        let nonce = self.nonces.mint(now);
        let line = |algorithm: &Algorithm| {
            let challenge = DigestChallenge {
                realm: self.name.clone(),
                nonce: nonce.clone(),
                opaque: None,
                algorithm: *algorithm,
                qop_auth: true,
                stale,
            };
            format!("WWW-Authenticate: {}\r\n", challenge.to_header())
        };
        self.digests.iter().map(line).collect()
    }

    /// Judges the credentials of a request.
    pub fn judge(&mut self, now: Mono, request: &Message<'_>) -> Verdict {
        let is_ours = |c: &Credential<'_>| c.value("realm").as_deref() == Some(&self.name);
        let Some(given) = request.credentials(Name::Authorization).find(is_ours) else {
            return Verdict::Missing;
        };
        let Some(given) = Authorization::parse(&given) else {
            return Verdict::Wrong;
        };
        // Whoever is unknown gets a password nobody has, so that the work is the same.
        let dummy = format!(
            "{:032x}",
            self.dummies.hash128(&[b"ha1", given.user.as_bytes()])
        );
        let account = self.accounts.get(&given.user);
        let ha1 = match (account, given.algorithm) {
            (Some(account), Algorithm::Md5) => &account.ha1_md5,
            (Some(account), Algorithm::Sha256) => &account.ha1_sha256,
            (None, Algorithm::Md5) => &dummy,
            (None, Algorithm::Sha256) => &dummy.repeat(2),
        };
        let is_right = given.verify(ha1, request.method_text());
        let is_for_this = given.uri == request.request_uri_text()
            || match (Uri::parse(&given.uri), request.request_uri()) {
                (Some(a), Some(b)) => a.matches(&b),
                (Some(_) | None, _) => false,
            };
        let Some(nc) = given
            .nc
            .filter(|_| is_right && is_for_this && account.is_some())
        else {
            return Verdict::Wrong;
        };
        match self.nonces.spend(now, &given.nonce, nc) {
            Worth::Good => Verdict::Proven(given.user),
            Worth::Stale => Verdict::Stale,
        }
    }
}

/// An account from its password, as [`crate::endpoint::Config`] wants it.
pub fn account(user: &str, realm: &str, password: &str) -> Account {
    Account {
        user: user.to_owned(),
        ha1_md5: digest::ha1(user, realm, password, Algorithm::Md5),
        ha1_sha256: digest::ha1(user, realm, password, Algorithm::Sha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "tandem";

    fn realm() -> Realm {
        Realm::new(
            REALM.to_owned(),
            vec![account("anna", REALM, "secret")],
            vec![Algorithm::Sha256, Algorithm::Md5],
            Keyed::new(&[3; 32]),
        )
    }

    fn register(credentials: &str) -> String {
        format!(
            "REGISTER sip:tandem SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:anna@t>;tag=1\r\n\
             To: <sip:anna@t>\r\nCall-ID: c\r\nCSeq: 5 REGISTER\r\n{credentials}Content-Length: 0\r\n\r\n"
        )
    }

    fn challenged(lines: &str) -> String {
        format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:anna@t>;tag=1\r\n\
             To: <sip:anna@t>;tag=2\r\nCall-ID: c\r\nCSeq: 5 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        )
    }

    fn answered(lines: &str, user: &str, password: &str) -> String {
        let response = challenged(lines);
        let response = Message::parse(response.as_bytes()).unwrap();
        let credentials = Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        register(&answer(&response, &credentials, register("").as_bytes(), 9).unwrap())
    }

    fn judge(realm: &mut Realm, now: Mono, request: &str) -> Verdict {
        realm.judge(now, &Message::parse(request.as_bytes()).unwrap())
    }

    #[test]
    fn our_answer_satisfies_our_challenge_by_both_algorithms() {
        let mut realm = realm();
        let challenge = realm.challenge(Mono::ZERO, false);
        let request = answered(&challenge, "anna", "secret");
        assert!(request.contains("algorithm=SHA-256"), "{request}");
        assert_eq!(
            judge(&mut realm, Mono::ZERO, &request),
            Verdict::Proven("anna".to_owned())
        );
        let challenge = realm.challenge(Mono::ZERO, false);
        let md5 = challenge.lines().nth(1).unwrap();
        let request = answered(&format!("{md5}\r\n"), "anna", "secret");
        assert!(request.contains("algorithm=MD5"), "{request}");
        assert_eq!(
            judge(&mut realm, Mono::ZERO, &request),
            Verdict::Proven("anna".to_owned())
        );
    }

    #[test]
    fn a_recorded_answer_is_stale_and_an_unknown_user_is_as_wrong_as_a_wrong_password() {
        let mut realm = realm();
        let challenge = realm.challenge(Mono::ZERO, false);
        let request = answered(&challenge, "anna", "secret");
        judge(&mut realm, Mono::ZERO, &request);
        assert_eq!(judge(&mut realm, Mono::ZERO, &request), Verdict::Stale);
        for (user, password) in [("anna", "guess"), ("nobody", "secret")] {
            let request = answered(&challenge, user, password);
            assert_eq!(judge(&mut realm, Mono::ZERO, &request), Verdict::Wrong);
        }
        assert_eq!(
            judge(&mut realm, Mono::ZERO, &register("")),
            Verdict::Missing
        );
    }

    #[test]
    fn an_answer_is_good_for_one_method_and_uri() {
        let mut realm = realm();
        let challenge = realm.challenge(Mono::ZERO, false);
        let request = answered(&challenge, "anna", "secret");
        for (from, to) in [("REGISTER", "INVITE"), ("sip:tandem SIP", "sip:other SIP")] {
            assert_eq!(
                judge(&mut realm, Mono::ZERO, &request.replace(from, to)),
                Verdict::Wrong
            );
        }
    }
}
