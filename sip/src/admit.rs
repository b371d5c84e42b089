//! What arrives: bytes into messages, messages to the transaction, leg or registrar they are for.
//!
//! A request that we refuse before it starts anything is answered without a trace (RFC 3261
//! §8.2.7), so that a flood of them costs no memory. Who sent a request decides first: a carrier
//! is known by its address, everybody else proves to be an account by digest, and what is neither
//! and no INVITE, REGISTER or OPTIONS gets nothing.

use crate::auth::Verdict;
use crate::dialog;
use crate::endpoint::{
    Arrived, Command, Endpoint, Hop, IDENTITIES_MAX, LEGS_MAX, Source, Transport,
};
use crate::invite::{Leg, leave_fork};
use crate::message::{Fault, MESSAGE_BYTES_MAX, Message, Method, Name, NameAddr, ParseError};
use crate::registrar::{Change, Refused, Wish};
use crate::registration::is_alive;
use crate::transaction::timer::ClientKey;
use crate::transaction::{Matched, Owner};
use crate::write::{self, ALLOW, SUPPORTED};
use model::{LegId, Mono, Outbox};

/// The longest body taken: offers of browsers have about 6 KB; beyond this it is 413.
pub const BODY_BYTES_MAX: usize = 32 * 1024;
/// What a 503 for want of room says: long enough for calls to end, short enough to be tried again.
const RETRY_AFTER_S: u32 = 10;
/// Expires where a REGISTER names none (RFC 3261 §10.3).
const EXPIRES_DEFAULT_S: u32 = 3600;

/// A request on its way in.
struct Request<'r, 'a> {
    now: Mono,
    hop: Hop,
    message: &'r Message<'a>,
    method: Method,
}

impl Endpoint {
    /// Bytes arrived.
    pub(crate) fn received(
        &mut self,
        now: Mono,
        hop: Hop,
        bytes: &[u8],
        out: &mut Outbox<Command>,
    ) {
        self.wire.counters.received += 1;
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            // A keep-alive.
            Err(ParseError::Empty) => return,
            Err(
                ParseError::TooLong
                | ParseError::StartLine
                | ParseError::Status
                | ParseError::TooManyHeaders,
            ) => {
                self.wire.counters.malformed += 1;
                if hop.transport == Transport::Tcp {
                    out.command(Command::Close { hop });
                }
                return;
            }
        };
        let fault = message.validate().err().or_else(|| {
            // RFC 3261 §18.3: on a stream it is mandatory; see `frame` for the one exception.
            let is_missing =
                message.header(Name::ContentLength).is_none() && !message.body().starts_with(b"v=");
            let is_tcp = hop.transport == Transport::Tcp;
            (is_tcp && is_missing).then_some(Fault::Missing(Name::ContentLength))
        });
        if fault.is_some() {
            self.wire.counters.malformed += 1;
        }
        let method = message.method();
        let request = Request {
            now,
            hop,
            message: &message,
            method,
        };
        match fault {
            None if message.is_request() => self.request(&request, out),
            None => self.response(now, &message, out),
            Some(fault) if message.is_request() => self.faulty(&request, fault, out),
            Some(fault) => self.close_if_cut(hop, fault, out),
        }
    }

    fn response(&mut self, now: Mono, message: &Message<'_>, out: &mut Outbox<Command>) {
        let (Some(via), Some((_, method))) = (message.top_via(), message.cseq()) else {
            return;
        };
        let Some(branch) = via.branch().and_then(write::branch_number) else {
            return;
        };
        let key = ClientKey {
            branch,
            cancel: method == Method::Cancel,
        };
        let (status, is_invite) = (message.status(), method == Method::Invite);
        let to = message.header(Name::To).unwrap_or_default();
        let owner = match self.wire.response(now, key, is_invite, status, to, out) {
            Matched::Stray | Matched::Absorbed => return,
            Matched::For(owner) => owner,
        };
        let is_2xx = is_invite && (200..300).contains(&status);
        if is_2xx
            && self
                .wire
                .ack_again(key, message.to_tag().unwrap_or_default(), out)
        {
            return;
        }
        match owner {
            Owner::Leg(leg, purpose) => {
                if is_2xx && !self.legs.contains_key(&leg) {
                    leave_fork(now, key, message, &mut self.wire, out);
                }
                self.with_leg(leg, |leg, wire| {
                    leg.on_response(now, purpose, key, message, wire, out);
                });
            }
            Owner::Registration(trunk) => self.with_registration(trunk, |r, wire| {
                r.on_response(now, key, message, wire, out);
            }),
            Owner::Ping(trunk) => out.command(Command::Ponged {
                trunk,
                ok: is_alive(status),
            }),
            Owner::Nobody => {}
        }
    }

    /// Answers without keeping anything.
    fn refuse(
        &mut self,
        request: &Request<'_, '_>,
        status: u16,
        reason: Option<&str>,
        lines: &str,
        out: &mut Outbox<Command>,
    ) {
        if request.method == Method::Ack {
            return;
        }
        let message = request.message;
        // The same tag for each copy of the request (RFC 3261 §8.2.7).
        let from = message.header(Name::From).unwrap_or_default();
        let id = message.header(Name::CallId).unwrap_or_default();
        let tag = self
            .wire
            .keyed
            .hash64(&[b"tag", id.as_bytes(), from.as_bytes()]);
        let head = write::response_head(message, request.hop, &write::tag(tag));
        let product = &self.wire.product;
        let bytes = write::response(status, reason, &head, product, lines, &[]);
        self.wire
            .send(write::response_hop(message, request.hop), bytes, out);
    }

    fn faulty(&mut self, request: &Request<'_, '_>, fault: Fault, out: &mut Outbox<Command>) {
        let message = request.message;
        if self.is_known(request) && message.header(Name::Via).is_some() {
            let length = message.content_length().unwrap_or_default();
            if fault == Fault::BodyTruncated && length as usize > MESSAGE_BYTES_MAX {
                self.refuse(request, 513, None, "", out);
            } else {
                self.refuse(request, fault.status(), Some(fault.reason()), "", out);
            }
        }
        self.close_if_cut(request.hop, fault, out);
    }

    /// Closes a stream on which the beginning of the next message cannot be known.
    fn close_if_cut(&mut self, hop: Hop, fault: Fault, out: &mut Outbox<Command>) {
        let is_cut = matches!(
            fault,
            Fault::Missing(Name::ContentLength)
                | Fault::Malformed(Name::ContentLength)
                | Fault::Repeated(Name::ContentLength)
                | Fault::BodyTruncated
                | Fault::Truncated
        );
        if is_cut && hop.transport == Transport::Tcp {
            out.command(Command::Close { hop });
        }
    }

    /// Whether its sender gets an answer at all; counts one who does not.
    fn is_known(&mut self, request: &Request<'_, '_>) -> bool {
        let is_known = self.config.open
            || matches!(
                request.method,
                Method::Invite | Method::Register | Method::Options
            )
            || self.trunk_at(request.hop).is_some()
            || self.dialog_of(request.message).is_some();
        if !is_known {
            self.wire.counters.unknown_source += 1;
        }
        is_known
    }

    fn dialog_of(&self, message: &Message<'_>) -> Option<LegId> {
        let (id, local) = (message.call_id()?, message.to_tag()?);
        let remote = message.from_tag().unwrap_or_default();
        let key = dialog::key(&self.wire.keyed, id, local, remote);
        self.wire.dialogs.get(&key).copied()
    }

    /// Names the server transaction of a request (RFC 3261 §17.2.3). An ACK or CANCEL is looked for
    /// under the method it is about. Where the branch names nothing, the rules of RFC 2543 do; they
    /// leave the tag of To out, since an ACK has ours and its INVITE did not.
    fn server_key(&self, message: &Message<'_>, method: &str) -> u128 {
        let keyed = &self.wire.keyed;
        let via = message.top_via().expect("a validated message has a Via");
        if via.has_rfc3261_branch() {
            let branch = via.branch().unwrap_or_default();
            let port = via.port.unwrap_or(5060).to_le_bytes();
            let host = via.host.to_ascii_lowercase();
            return keyed.hash128(&[branch.as_bytes(), host.as_bytes(), &port, method.as_bytes()]);
        }
        let (number, _) = message.cseq().expect("a validated message has a CSeq");
        keyed.hash128(&[
            message.request_uri_text().as_bytes(),
            message.from_tag().unwrap_or_default().as_bytes(),
            message.call_id().unwrap_or_default().as_bytes(),
            &number.to_le_bytes(),
            message
                .headers(Name::Via)
                .next()
                .unwrap_or_default()
                .as_bytes(),
            method.as_bytes(),
        ])
    }

    fn request(&mut self, request: &Request<'_, '_>, out: &mut Outbox<Command>) {
        let message = request.message;
        match request.method {
            Method::Ack => return self.on_ack(request, out),
            Method::Cancel => return self.on_cancel(request, out),
            Method::Invite
            | Method::Bye
            | Method::Options
            | Method::Register
            | Method::Prack
            | Method::Update
            | Method::Refer
            | Method::Subscribe
            | Method::Notify
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Other => {}
        }
        let key = self.server_key(message, message.method_text());
        if self.wire.server(key).is_some() {
            self.wire.again(key, out);
            return;
        }
        if !self.is_known(request) {
            return;
        }
        if self.wire.is_full() && request.method != Method::Bye {
            self.refuse(
                request,
                503,
                None,
                &format!("Retry-After: {RETRY_AFTER_S}\r\n"),
                out,
            );
            return;
        }
        let Some(source) = self.source_of(request, out) else {
            return;
        };
        if !self.is_understood(request, out) {
            return;
        }
        let leg = self.dialog_of(message);
        // A dialog we do not know is refused, such as one from before a restart. But a tag that no
        // engine of ours gives was never ours: the INVITE may be taken for a new call (RFC 3261 §12.2.2).
        let is_of_dialog = message
            .to_tag()
            .is_some_and(|tag| request.method != Method::Invite || write::is_tag_of_ours(tag));
        match (request.method, leg) {
            (Method::Register, _) => self.on_register(request, key, &source, out),
            (_, Some(leg)) => self.in_dialog(request, key, leg, &source, out),
            (_, None) if is_of_dialog => self.refuse(request, 481, None, "", out),
            (Method::Invite, None) => self.on_invite(request, key, source, out),
            (Method::Options, None) => {
                let lines = format!("Accept: application/sdp\r\n{ALLOW}{SUPPORTED}");
                self.refuse(request, 200, None, &lines, out);
            }
            (Method::Bye | Method::Prack | Method::Update | Method::Info, None) => {
                self.refuse(request, 481, None, "", out);
            }
            (
                Method::Ack
                | Method::Cancel
                | Method::Refer
                | Method::Subscribe
                | Method::Notify
                | Method::Message
                | Method::Publish,
                None,
            ) => self.refuse(request, 405, None, ALLOW, out),
            (Method::Other, None) => self.refuse(request, 501, None, ALLOW, out),
        }
    }

    /// Who sent a request; `None` when it was refused for that.
    fn source_of(
        &mut self,
        request: &Request<'_, '_>,
        out: &mut Outbox<Command>,
    ) -> Option<Source> {
        let message = request.message;
        if let Some(trunk) = self.trunk_at(request.hop) {
            return Some(Source::Trunk(trunk));
        }
        let user_of = |address: Option<NameAddr<'_>>| -> String {
            let user = address.and_then(|a| a.uri.user_unescaped());
            user.map(|u| write::cleaned(&u)).unwrap_or_default()
        };
        if self.config.open {
            return Some(Source::Account(user_of(message.from())));
        }
        let verdict = self.realm.judge(request.now, message);
        let account = match verdict {
            Verdict::Proven(account) => account,
            Verdict::Missing | Verdict::Stale | Verdict::Wrong => {
                if verdict == Verdict::Wrong {
                    self.wire.counters.auth_failed += 1;
                }
                let lines = self.realm.challenge(request.now, verdict == Verdict::Stale);
                self.refuse(request, 401, None, &lines, out);
                return None;
            }
        };
        // Within a dialog the tags say who it is, and the leg knows the account.
        let is_pinned = match self.dialog_of(message).and_then(|leg| self.legs.get(&leg)) {
            Some(leg) => leg.account.as_ref().is_none_or(|owner| *owner == account),
            None => user_of(message.from()) == account,
        };
        let is_own_register =
            request.method != Method::Register || user_of(message.to()) == account;
        if !is_pinned || !is_own_register {
            self.refuse(request, 403, None, "", out);
            return None;
        }
        Some(Source::Account(account))
    }

    /// Extensions and bodies (RFC 3261 §8.2.2.3, §8.2.3); false when it was refused for them.
    fn is_understood(&mut self, request: &Request<'_, '_>, out: &mut Outbox<Command>) -> bool {
        let message = request.message;
        let known = |token: &str| {
            ["100rel", "timer"]
                .iter()
                .any(|k| token.eq_ignore_ascii_case(k))
        };
        let unknown: Vec<&str> = message
            .tokens(Name::Require)
            .filter(|t| !known(t))
            .collect();
        if !unknown.is_empty() {
            let unsupported = write::cleaned(&unknown.join(", "));
            self.refuse(
                request,
                420,
                None,
                &format!("Unsupported: {unsupported}\r\n"),
                out,
            );
            return false;
        }
        if message.body().len() > BODY_BYTES_MAX {
            self.refuse(request, 413, None, "", out);
            return false;
        }
        let takes_sdp = matches!(
            request.method,
            Method::Invite | Method::Update | Method::Prack
        );
        if takes_sdp && !message.body().is_empty() && !message.has_sdp() {
            self.refuse(request, 415, None, "Accept: application/sdp\r\n", out);
            return false;
        }
        if takes_sdp
            && let Some(coding) = message.header_named("Content-Encoding")
            && !coding.eq_ignore_ascii_case("identity")
        {
            self.refuse(request, 415, None, "Accept-Encoding: identity\r\n", out);
            return false;
        }
        true
    }

    fn on_ack(&mut self, request: &Request<'_, '_>, out: &mut Outbox<Command>) {
        let message = request.message;
        let key = self.server_key(message, "INVITE");
        self.wire.acked(request.now, key);
        let Some(leg) = self.dialog_of(message) else {
            return;
        };
        let mut is_awaited = false;
        self.with_leg(leg, |leg, wire| {
            is_awaited = leg.on_ack(request.now, message, wire, out);
        });
        if !is_awaited {
            self.wire.counters.absorbed += 1;
        }
    }

    /// RFC 3261 §9.2. Whoever knows the branch of an INVITE may cancel it; nobody else can.
    fn on_cancel(&mut self, request: &Request<'_, '_>, out: &mut Outbox<Command>) {
        let key = self.server_key(request.message, "INVITE");
        let Some(tx) = self.wire.server(key) else {
            if self.is_known(request) {
                self.refuse(request, 481, None, "", out);
            }
            return;
        };
        let leg = tx.leg;
        self.refuse(request, 200, None, "", out);
        if let Some(leg) = leg {
            self.with_leg(leg, |leg, wire| leg.on_cancel(request.now, key, wire, out));
        }
    }

    fn open(
        &mut self,
        request: &Request<'_, '_>,
        key: u128,
        merge: Option<u128>,
        tag: &str,
        leg: Option<LegId>,
    ) {
        let head = write::response_head(request.message, request.hop, tag);
        let hop = write::response_hop(request.message, request.hop);
        let is_invite = request.method == Method::Invite;
        self.wire.open(key, merge, is_invite, hop, head, leg);
    }

    fn in_dialog(
        &mut self,
        request: &Request<'_, '_>,
        key: u128,
        id: LegId,
        source: &Source,
        out: &mut Outbox<Command>,
    ) {
        let (now, message) = (request.now, request.message);
        let Some(leg) = self.legs.get_mut(&id) else {
            self.refuse(request, 481, None, "", out);
            return;
        };
        let (number, _) = message.cseq().expect("a validated message has a CSeq");
        if !leg.dialog.take_cseq(number) {
            self.refuse(request, 500, Some("CSeq Out Of Order"), "", out);
            return;
        }
        // From now on this leg belongs to who proved it.
        if let (Source::Account(account), None, false) = (source, &leg.account, leg.is_trusted) {
            leg.account = Some(account.clone());
        }
        self.open(request, key, None, "", Some(id));
        match request.method {
            Method::Invite | Method::Bye | Method::Prack | Method::Update | Method::Info => {
                self.with_leg(id, |leg, wire| leg.on_request(now, key, message, wire, out));
            }
            Method::Options => {
                let lines = format!("Accept: application/sdp\r\n{ALLOW}{SUPPORTED}");
                self.wire.answer(now, key, 200, &lines, &[], out);
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Refer
            | Method::Subscribe
            | Method::Notify
            | Method::Message
            | Method::Publish => {
                self.wire.answer(now, key, 405, ALLOW, &[], out);
            }
            Method::Other => {
                self.wire.answer(now, key, 501, ALLOW, &[], out);
            }
        }
    }

    fn on_invite(
        &mut self,
        request: &Request<'_, '_>,
        key: u128,
        source: Source,
        out: &mut Outbox<Command>,
    ) {
        let (now, message) = (request.now, request.message);
        let call_id = message.call_id().unwrap_or_default();
        let from_tag = message.from_tag().unwrap_or_default();
        let (number, _) = message.cseq().expect("a validated message has a CSeq");
        let merge = self.wire.keyed.hash128(&[
            b"merge",
            call_id.as_bytes(),
            from_tag.as_bytes(),
            &number.to_le_bytes(),
        ]);
        if self.wire.is_merged(merge) {
            self.refuse(request, 482, None, "", out);
            return;
        }
        if self.legs.len() >= LEGS_MAX {
            self.refuse(
                request,
                503,
                None,
                &format!("Retry-After: {RETRY_AFTER_S}\r\n"),
                out,
            );
            return;
        }
        let id = LegId(self.next_leg);
        self.next_leg += 1;
        let tag = match message.to_tag() {
            Some(theirs) => theirs.to_owned(),
            None => write::tag(self.wire.tokens.next()),
        };
        self.open(request, key, Some(merge), &tag, Some(id));
        let mut leg = Leg::arrive(id, message, request.hop, key, &tag);
        match &source {
            Source::Account(account) if !self.config.open => leg.account = Some(account.clone()),
            Source::Account(_) | Source::Trunk(_) => leg.is_trusted = true,
        }
        // Only the peer that credentials were given for may challenge us for them.
        let mut ours = self.registrations.values();
        leg.credentials = ours
            .find(|r| r.hop == request.hop)
            .map(|r| r.credentials.clone());
        self.wire
            .dialogs
            .insert(leg.dialog.key(&self.wire.keyed), id);
        self.legs.insert(id, leg);
        self.wire.answer(now, key, 100, "", &[], out);

        let asserted = match &source {
            Source::Trunk(_) => message.p_asserted_identity(),
            Source::Account(_) => None,
        };
        let identities = match &source {
            Source::Trunk(_) => {
                let each = message.identities().take(IDENTITIES_MAX);
                each.map(str::to_owned).collect()
            }
            Source::Account(_) => Vec::new(),
        };
        let caller = asserted.or_else(|| message.from());
        let user = |a: &NameAddr<'_>| a.uri.user_unescaped().map(|u| write::cleaned(&u));
        let name = caller.as_ref().and_then(NameAddr::display_name);
        let called = message.request_uri().and_then(|uri| uri.user_unescaped());
        out.command(Command::Arrived(Box::new(Arrived {
            leg: id,
            hop: request.hop,
            source,
            called: called.map(|u| write::cleaned(&u)).unwrap_or_default(),
            caller: caller.as_ref().and_then(user).unwrap_or_default(),
            caller_name: name.map(|n| n.chars().filter(|c| !c.is_control()).collect()),
            identities,
            call_id: call_id.to_owned(),
            sdp: message.has_sdp().then(|| message.body().to_vec()),
        })));
    }

    fn on_register(
        &mut self,
        request: &Request<'_, '_>,
        key: u128,
        source: &Source,
        out: &mut Outbox<Command>,
    ) {
        let (now, message) = (request.now, request.message);
        // RFC 3261 §10.3 step 3: the AOR is in To.
        let aor = message.to().filter(|to| to.uri.is_sip());
        let user = aor
            .and_then(|to| to.uri.user_unescaped())
            .map(|u| write::cleaned(&u));
        let change = wanted(message);
        let (Some(user), Some(change)) = (user, change) else {
            self.refuse(request, 400, Some("Malformed Registration"), "", out);
            return;
        };
        if let Source::Trunk(_) = source
            && !self.config.open
        {
            self.refuse(request, 403, None, "", out);
            return;
        }
        let (number, _) = message.cseq().expect("a validated message has a CSeq");
        let is_fetch = change == Change::Fetch;
        let call_id = message.call_id().unwrap_or_default();
        let wish = Wish {
            account: &user,
            hop: request.hop,
            call_id,
            cseq: number,
            change,
        };
        let before = self.registrar.preferred(&user).is_some();
        let done = self.registrar.register(now, self.config.expires_s, wish);
        let tag = write::tag(self.wire.tokens.next());
        self.open(request, key, None, &tag, None);
        match done {
            Ok(()) => {
                let mut lines = String::new();
                for binding in self.registrar.bindings(&user) {
                    let left = binding.until.since(now).as_secs();
                    lines.push_str(&format!("Contact: <{}>;expires={left}", binding.contact));
                    let q = binding.q;
                    if q < 1000 {
                        lines.push_str(&format!(";q=0.{q:03}"));
                    }
                    lines.push_str("\r\n");
                }
                self.wire.answer(now, key, 200, &lines, &[], out);
                if !is_fetch && (before || self.registrar.preferred(&user).is_some()) {
                    self.tell_binding(now, user, out);
                }
            }
            Err(Refused::TooBrief(seconds)) => {
                let lines = format!("Min-Expires: {seconds}\r\n");
                self.wire.answer(now, key, 423, &lines, &[], out);
            }
            Err(Refused::OutOfOrder) => {
                self.wire.answer(now, key, 500, "", &[], out);
            }
            Err(Refused::TooMany) => {
                let lines = format!("Retry-After: {RETRY_AFTER_S}\r\n");
                self.wire.answer(now, key, 503, &lines, &[], out);
            }
        }
    }

    /// Tells where an account can be reached now, if it can.
    pub(crate) fn tell_binding(&mut self, now: Mono, account: String, out: &mut Outbox<Command>) {
        let Some(binding) = self.registrar.preferred(&account) else {
            out.command(Command::Unregistered { account });
            return;
        };
        let seconds = binding.until.since(now).as_secs();
        out.command(Command::Registered {
            contact: binding.contact.clone(),
            hop: binding.hop,
            expires_s: u32::try_from(seconds).unwrap_or(u32::MAX),
            account,
        });
    }
}

/// What a REGISTER asks for; `None` where that makes no sense.
fn wanted(message: &Message<'_>) -> Option<Change> {
    if message.contact_is_star() {
        // RFC 3261 §10.2.2: only with Expires 0.
        return (message.expires() == Some(0)).then_some(Change::RemoveAll);
    }
    let mut contacts = Vec::new();
    for contact in message.contacts() {
        let contact = contact?;
        let seconds = contact
            .expires()
            .or(message.expires())
            .unwrap_or(EXPIRES_DEFAULT_S);
        let q = contact.params.value("q").map_or(Some(1000), thousandths)?;
        contacts.push((write::cleaned(contact.uri.text), seconds, q));
    }
    Some(if contacts.is_empty() {
        Change::Fetch
    } else {
        Change::Set(contacts)
    })
}

/// A qvalue: 0 to 1 with up to three decimals (RFC 3261 §25.1).
fn thousandths(q: &str) -> Option<u16> {
    let value: f32 = q.parse().ok().filter(|v| (0.0..=1.0).contains(v))?;
    Some((value * 1000.0).round() as u16)
}
