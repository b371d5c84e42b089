//! Our registrations with carriers, and our pings (RFC 3261 §10.2, §11).
//!
//! A registration is refreshed at half of what was granted, spread by the seed so that a restart
//! does not make all of them fall due together; a failed one is tried again with growing pauses.

use crate::auth;
use crate::endpoint::{Command, Credentials, Hop};
use crate::message::{Message, Method, Uri};
use crate::transaction::timer::ClientKey;
use crate::transaction::{Owner, Wire};
use crate::write::{self, ALLOW, Head};
use model::{Mono, Outbox, TrunkId};
use std::time::Duration;

/// The pause after a first failure; short, since calls are lost meanwhile.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest pause between tries: a carrier that was away is used again within this time.
pub const RETRY_MAX: Duration = Duration::from_secs(300);
/// The shortest time between refreshes, whatever was granted.
const REFRESH_MIN: Duration = Duration::from_secs(5);

/// One registration of ours.
#[derive(Debug)]
pub(crate) struct Registration {
    trunk: TrunkId,
    pub hop: Hop,
    registrar: String,
    /// `<sip:user@host>`.
    aor: String,
    contact: String,
    pub credentials: Credentials,
    expires_s: u32,
    call_id: String,
    tag: String,
    cseq: u32,
    failures: u32,
    told: Option<(bool, u16)>,
    is_leaving: bool,
    is_over: bool,
    next: Option<Mono>,
    pub armed: Option<Mono>,
}

/// Where and as whom to register.
#[derive(Debug)]
pub(crate) struct Ours<'a> {
    pub trunk: TrunkId,
    pub hop: Hop,
    /// A SIP URI, or the host of one.
    pub registrar: &'a str,
    pub aor_user: &'a str,
    pub expires_s: u32,
}

impl Registration {
    /// A registration that begins now.
    pub fn new(
        now: Mono,
        ours: Ours<'_>,
        credentials: Credentials,
        wire: &mut Wire,
    ) -> Registration {
        let Ours {
            trunk,
            hop,
            registrar,
            aor_user,
            expires_s,
        } = ours;
        let has_scheme = registrar.starts_with("sip:") || registrar.starts_with("sips:");
        let scheme = if has_scheme { "" } else { "sip:" };
        let registrar = format!("{scheme}{registrar}");
        let host = Uri::parse(&registrar)
            .map_or("invalid", |uri| uri.host)
            .to_owned();
        Registration {
            trunk,
            hop,
            registrar,
            aor: format!("<sip:{}@{host}>", write::escape_user(aor_user)),
            contact: write::uri_on(aor_user, hop),
            credentials,
            expires_s,
            call_id: format!("{:016x}{:016x}", wire.tokens.next(), wire.tokens.next()),
            tag: format!("{:016x}", wire.tokens.next()),
            cseq: 0,
            failures: 0,
            told: None,
            is_leaving: false,
            is_over: false,
            next: Some(now),
            armed: None,
        }
    }

    /// Takes the place of an earlier registration with the same trunk: the registrar sees one.
    pub fn succeed(&mut self, old: &Registration) {
        self.call_id.clone_from(&old.call_id);
        self.cseq = old.cseq;
        self.told = old.told;
    }

    /// Whether it can be forgotten.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// When to refresh or try again.
    pub fn deadline(&self) -> Option<Mono> {
        self.next
    }

    /// Gives it up.
    pub fn leave(&mut self, now: Mono) {
        self.is_leaving = true;
        self.next = Some(now);
    }

    /// A refresh or a retry is due.
    pub fn on_timer(&mut self, now: Mono, wire: &mut Wire, out: &mut Outbox<Command>) {
        if self.next.is_none_or(|at| at > now) {
            return;
        }
        self.next = None;
        self.cseq += 1;
        let key = ClientKey {
            branch: wire.tokens.next(),
            cancel: false,
        };
        let expires_s = if self.is_leaving { 0 } else { self.expires_s };
        let from = format!("{};tag={}", self.aor, self.tag);
        let contact = &self.contact;
        let lines = format!("Contact: <{contact}>;expires={expires_s}\r\nExpires: {expires_s}\r\n");
        let head = Head {
            method: Method::Register,
            uri: &self.registrar,
            hop: self.hop,
            branch: key.branch,
            routes: &[],
            from: &from,
            to: &self.aor,
            call_id: &self.call_id,
            cseq: self.cseq,
        };
        let bytes = write::request(&head, &wire.product, &lines, &[]);
        wire.request(
            now,
            key,
            self.hop,
            Owner::Registration(self.trunk),
            bytes,
            out,
        );
    }

    /// A final response.
    pub fn on_response(
        &mut self,
        now: Mono,
        key: ClientKey,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let status = response.status();
        if matches!(status, 401 | 407) && self.try_credentials(now, key, response, wire, out) {
            return;
        }
        if status == 423
            && let Some(seconds) = response.header_named("Min-Expires")
            && let Ok(seconds) = seconds.trim().parse::<u32>()
            && seconds > self.expires_s
        {
            self.expires_s = seconds;
            self.next = Some(now);
            return;
        }
        if (200..300).contains(&status) && !self.is_leaving {
            self.failures = 0;
            let granted = self.granted(response);
            // Half, and up to a tenth of it earlier.
            let half_ms = u64::from(granted) * 500;
            let early_ms = wire.tokens.next() % (half_ms / 10 + 1);
            self.next = Some(now + Duration::from_millis(half_ms - early_ms).max(REFRESH_MIN));
            self.tell(true, status, out);
        } else {
            self.fail(now, status, wire, out);
        }
    }

    /// No response came (408), or it could not be sent (503).
    pub fn fail(&mut self, now: Mono, status: u16, wire: &mut Wire, out: &mut Outbox<Command>) {
        self.tell(false, status, out);
        if self.is_leaving {
            self.is_over = true;
            return;
        }
        let pause = RETRY_FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(RETRY_MAX);
        self.failures += 1;
        let spread_ms = wire.tokens.next() % (pause.as_millis() as u64 / 4 + 1);
        self.next = Some(now + (pause - Duration::from_millis(spread_ms)));
    }

    fn tell(&mut self, ok: bool, status: u16, out: &mut Outbox<Command>) {
        if self.told != Some((ok, status)) {
            self.told = Some((ok, status));
            out.command(Command::TrunkRegistered {
                trunk: self.trunk,
                ok,
                status,
            });
        }
    }

    fn granted(&self, response: &Message<'_>) -> u32 {
        let ours = Uri::parse(&self.contact);
        let mut contacts = response.contacts().flatten();
        let contact = contacts.find(|c| ours.as_ref().is_some_and(|ours| ours.matches(&c.uri)));
        let granted = contact
            .and_then(|c| c.expires())
            .or_else(|| response.expires());
        granted.unwrap_or(self.expires_s).min(self.expires_s)
    }

    fn try_credentials(
        &mut self,
        now: Mono,
        key: ClientKey,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) -> bool {
        let Some(tx) = wire.client(key) else {
            return false;
        };
        let request = tx.bytes.clone();
        let cnonce = wire.tokens.next();
        let Some(line) = auth::answer(response, &self.credentials, &request, cnonce) else {
            return false;
        };
        self.cseq += 1;
        let again = ClientKey {
            branch: wire.tokens.next(),
            cancel: false,
        };
        let bytes = write::with_credentials(&request, again.branch, self.cseq, &line);
        wire.request(
            now,
            again,
            self.hop,
            Owner::Registration(self.trunk),
            bytes,
            out,
        );
        true
    }
}

/// Asks with OPTIONS whether a trunk answers.
pub(crate) fn ping(
    now: Mono,
    trunk: TrunkId,
    hop: Hop,
    target: &str,
    wire: &mut Wire,
    out: &mut Outbox<Command>,
) {
    let key = ClientKey {
        branch: wire.tokens.next(),
        cancel: false,
    };
    let from = format!(
        "<{}>;tag={:016x}",
        write::uri_on("", hop),
        wire.tokens.next()
    );
    let call_id = format!("{:016x}{:016x}", wire.tokens.next(), wire.tokens.next());
    let head = Head {
        method: Method::Options,
        uri: target,
        hop,
        branch: key.branch,
        routes: &[],
        from: &from,
        to: &format!("<{target}>"),
        call_id: &call_id,
        cseq: 1,
    };
    let lines = format!("Accept: application/sdp\r\n{ALLOW}");
    let bytes = write::request(&head, &wire.product, &lines, &[]);
    wire.request(now, key, hop, Owner::Ping(trunk), bytes, out);
}

/// Whether an answer to a ping means that calls can be sent. Any answer shows a living peer, even
/// 401, 404 or 501; but 503 says «no calls now», and 408 is a proxy that did not reach it.
pub(crate) fn is_alive(status: u16) -> bool {
    !matches!(status, 408 | 503)
}
