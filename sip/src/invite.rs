//! One leg: the INVITE session from the first request to the last BYE (RFC 3261 §13, §14, §15).
//!
//! ```text
//! ours    Calling ──2xx, ACK──► Up ──BYE──► Leaving ──► Over      (HangUp while Calling: CANCEL,
//! theirs  Arriving ─2xx──► Up, ACK awaited ─ACK─► Up ─…            and a 2xx that crosses it gets
//!                                                                  ACK and BYE; after Cancel it is
//!                                                                  an answer like any other)
//! ```
//! It is handed the wishes for a leg, the messages of its dialog and the fate of its requests. It
//! never looks into SDP, and after `HangUp` or `Reject` it tells nothing any more.

use crate::auth;
use crate::dialog::Dialog;
use crate::endpoint::{Command, Credentials, EndedWhy, Hop, Invite};
use crate::message::{Message, Method, Name};
use crate::transaction::timer::{ClientKey, T2, earlier};
use crate::transaction::{Owner, Purpose, Wire};
use crate::write::{self, ALLOW, Head, SUPPORTED};
use model::{LegId, Mono, Outbox};
use std::time::Duration;

/// How often a re-INVITE that met one of the peer is tried again: each time the odds halve at
/// least, so more means a peer that always says 491.
const GLARE_RETRIES_MAX: u8 = 6;
/// Reliable provisional responses are tracked for this many branches of a forked call.
const EARLY_DIALOGS_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Our INVITE is out; with `cancel`, the Q.850 cause of the CANCEL that is, or will be as soon as it may.
    Calling {
        invite: ClientKey,
        cancel: Option<u8>,
    },
    /// Their INVITE has no final answer.
    Arriving { server: u128 },
    /// Answered; the ACK may be outstanding.
    Up,
    /// Our BYE is out.
    Leaving,
    /// Nothing is left to do.
    Over,
}

/// A 2xx of ours without its ACK, or a reliable provisional response without its PRACK.
#[derive(Debug)]
struct Unacknowledged {
    /// CSeq of the INVITE, or RSeq of the provisional response.
    number: u32,
    hop: Hop,
    bytes: Vec<u8>,
    again: Mono,
    interval: Duration,
    until: Mono,
    /// The 2xx that set up the call, rather than one to a re-INVITE.
    is_first: bool,
    /// The 2xx carried our offer; the ACK brings the answer.
    is_offer: bool,
}

/// A re-INVITE or UPDATE of the peer that waits for our answer.
#[derive(Debug)]
struct Theirs {
    server: u128,
    cseq: u32,
    is_update: bool,
    is_offer: bool,
    /// Session timer lines for the 2xx.
    lines: String,
}

/// One leg.
#[derive(Debug)]
pub(crate) struct Leg {
    pub id: LegId,
    pub dialog: Dialog,
    /// Requests in the dialog need no digest: the peer is a carrier, or nobody is asked for it.
    pub is_trusted: bool,
    /// The account at the other end, where it is known.
    pub account: Option<String>,
    /// For challenges of the peer.
    pub credentials: Option<Credentials>,
    pub armed: Option<Mono>,
    /// `Contact` line with its end.
    contact: String,
    /// Record-Route lines of the INVITE that arrived, for its responses.
    record_routes: String,
    /// We made the Call-ID: decides who waits longer after glare (RFC 3261 §14.1).
    is_ours: bool,
    /// Nothing is told any more.
    is_silent: bool,
    stage: Stage,
    invite_cseq: u32,
    is_rung: bool,
    early_sdp: Option<Vec<u8>>,
    /// The newest RSeq of each branch.
    rseqs: Vec<(String, u32)>,
    /// The peer requires reliable provisional responses.
    needs_100rel: bool,
    /// Their INVITE had no offer, so our 2xx carries ours.
    is_offer_ours: bool,
    session_lines: String,
    provisional: Option<Unacknowledged>,
    unacked: Option<Unacknowledged>,
    /// `HangUp` came before the ACK (RFC 3261 §15: no BYE until then).
    hang_up_on_ack: Option<u8>,
    /// Our re-INVITE in flight, and its CSeq.
    ours: Option<(ClientKey, u32)>,
    /// The offer of a re-INVITE in flight or still to be sent.
    offer: Option<Vec<u8>>,
    retry_at: Option<Mono>,
    retries: u8,
    theirs: Option<Theirs>,
}

fn reason_line(q850: u8) -> String {
    format!("Reason: Q.850;cause={q850}\r\n")
}

/// The status that refuses a call for a Q.850 cause (RFC 3398 §7.2.4.1, turned round).
fn refusal(q850: u8) -> u16 {
    match q850 {
        1..=3 => 404,
        17 => 486,
        21 | 57 => 403,
        22 => 410,
        28 => 484,
        34 | 38 | 41 | 42 | 47 => 503,
        58 | 65 | 79 | 88 => 488,
        102 => 408,
        _ => 480,
    }
}

/// The lines of a 2xx that agree to a session timer the peer keeps itself (RFC 4028 §9).
fn session_lines(message: &Message<'_>) -> String {
    let asks =
        message.has_token(Name::Supported, "timer") || message.has_token(Name::Require, "timer");
    match message.session_expires() {
        Some((seconds, refresher)) if asks && refresher != Some("uas") => {
            format!("Session-Expires: {seconds};refresher=uac\r\nRequire: timer\r\n")
        }
        Some(_) | None => String::new(),
    }
}

fn sdp_of(message: &Message<'_>) -> Option<Vec<u8>> {
    message.has_sdp().then(|| message.body().to_vec())
}

impl Leg {
    fn new(id: LegId, dialog: Dialog, contact: String, stage: Stage) -> Leg {
        Leg {
            id,
            dialog,
            is_trusted: false,
            account: None,
            credentials: None,
            armed: None,
            contact,
            record_routes: String::new(),
            is_ours: false,
            is_silent: false,
            stage,
            invite_cseq: 0,
            is_rung: false,
            early_sdp: None,
            rseqs: Vec::new(),
            needs_100rel: false,
            is_offer_ours: false,
            session_lines: String::new(),
            provisional: None,
            unacked: None,
            hang_up_on_ack: None,
            ours: None,
            offer: None,
            retry_at: None,
            retries: 0,
            theirs: None,
        }
    }

    /// Places a call.
    pub fn place(now: Mono, invite: Invite, wire: &mut Wire, out: &mut Outbox<Command>) -> Leg {
        let key = ClientKey {
            branch: wire.tokens.next(),
            cancel: false,
        };
        let local_tag = write::tag(wire.tokens.next());
        let call_id = match invite.call_id {
            Some(id) => id.chars().filter(|c| c.is_ascii_graphic()).collect(),
            None => format!("{:016x}{:016x}", wire.tokens.next(), wire.tokens.next()),
        };
        let hop = invite.hop;
        let mut name = String::new();
        if let Some(text) = &invite.from_name {
            crate::message::write_quoted(&mut name, text);
            name.push(' ');
        }
        let ours = write::uri_on(&invite.from_user, hop);
        let dialog = Dialog {
            hop,
            call_id,
            local: format!("{name}<{ours}>;tag={local_tag}"),
            remote: format!("<{}>", invite.target),
            local_tag,
            remote_tag: String::new(),
            target: invite.target,
            routes: Vec::new(),
            local_cseq: 1,
            remote_cseq: None,
        };
        let mut lines = format!("Contact: <{ours}>\r\n");
        let contact = lines.clone();
        lines.push_str(ALLOW);
        lines.push_str(SUPPORTED);
        for (name, value) in &invite.headers {
            let name: String = name
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            lines.push_str(&format!("{name}: {}\r\n", write::cleaned(value)));
        }
        let head = Head {
            method: Method::Invite,
            uri: &dialog.target,
            hop,
            branch: key.branch,
            routes: &[],
            from: &dialog.local,
            to: &dialog.remote,
            call_id: &dialog.call_id,
            cseq: 1,
        };
        let bytes = write::request(&head, &wire.product, &lines, &invite.sdp);
        wire.request(
            now,
            key,
            hop,
            Owner::Leg(invite.leg, Purpose::Invite),
            bytes,
            out,
        );
        let stage = Stage::Calling {
            invite: key,
            cancel: None,
        };
        let mut leg = Leg::new(invite.leg, dialog, contact, stage);
        leg.is_ours = true;
        leg.invite_cseq = 1;
        leg.credentials = invite.credentials;
        leg
    }

    /// Takes a call that arrived within the server transaction `server`.
    pub fn arrive(id: LegId, invite: &Message<'_>, hop: Hop, server: u128, tag: &str) -> Leg {
        let dialog = Dialog::from_invite(invite, hop, tag);
        let called = invite.request_uri().and_then(|uri| uri.user_unescaped());
        let contact = format!(
            "Contact: <{}>\r\n",
            write::uri_on(&called.unwrap_or_default(), hop)
        );
        let mut leg = Leg::new(id, dialog, contact, Stage::Arriving { server });
        for route in &leg.dialog.routes {
            leg.record_routes
                .push_str(&format!("Record-Route: {route}\r\n"));
        }
        leg.invite_cseq = leg.dialog.remote_cseq.unwrap_or_default();
        leg.needs_100rel = invite.has_token(Name::Require, "100rel");
        leg.is_offer_ours = !invite.has_sdp();
        leg.session_lines = session_lines(invite);
        leg
    }

    /// Whether it can be forgotten.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Mono> {
        let of = |u: &Option<Unacknowledged>| u.as_ref().map(|u| u.again.min(u.until));
        earlier(
            earlier(of(&self.unacked), of(&self.provisional)),
            self.retry_at,
        )
    }

    fn tell(&self, command: Command, out: &mut Outbox<Command>) {
        if !self.is_silent {
            out.command(command);
        }
    }

    fn tell_over(&mut self, command: Command, out: &mut Outbox<Command>) {
        self.tell(command, out);
        self.is_silent = true;
    }

    // --- wishes ---

    /// 180 to an arrived call.
    pub fn ring(&mut self, now: Mono, wire: &mut Wire, out: &mut Outbox<Command>) {
        let Stage::Arriving { server } = self.stage else {
            return;
        };
        if self.provisional.is_some() {
            return;
        }
        let mut lines = format!("{}{}{ALLOW}", self.record_routes, self.contact);
        if !self.needs_100rel {
            wire.answer(now, server, 180, &lines, &[], out);
            return;
        }
        // RFC 3262 §3: the first RSeq is any number up to 2^31 - 1.
        let rseq = (wire.tokens.next() >> 34) as u32 + 1;
        lines.push_str(&format!("Require: 100rel\r\nRSeq: {rseq}\r\n"));
        let sent = wire.answer(now, server, 180, &lines, &[], out);
        self.provisional = sent.map(|sent| unacknowledged(now, wire, rseq, sent, true, false));
    }

    /// 200 to an arrived call.
    pub fn accept(&mut self, now: Mono, sdp: &[u8], wire: &mut Wire, out: &mut Outbox<Command>) {
        let Stage::Arriving { server } = self.stage else {
            return;
        };
        let lines = format!(
            "{}{}{ALLOW}{SUPPORTED}{}",
            self.record_routes, self.contact, self.session_lines
        );
        let sent = wire.answer(now, server, 200, &lines, sdp, out);
        let sent = sent.expect("an unanswered INVITE keeps its transaction");
        self.provisional = None;
        let (cseq, is_offer) = (self.invite_cseq, self.is_offer_ours);
        self.unacked = Some(unacknowledged(now, wire, cseq, sent, true, is_offer));
        self.stage = Stage::Up;
    }

    /// A refusal of an arrived call.
    pub fn reject(&mut self, now: Mono, status: u16, wire: &mut Wire, out: &mut Outbox<Command>) {
        let Stage::Arriving { server } = self.stage else {
            return;
        };
        self.is_silent = true;
        self.refuse(now, server, status, "", wire, out);
    }

    fn refuse(
        &mut self,
        now: Mono,
        server: u128,
        status: u16,
        lines: &str,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let status = if (300..700).contains(&status) {
            status
        } else {
            480
        };
        wire.answer(now, server, status, lines, &[], out);
        self.stage = Stage::Over;
    }

    /// Ends the leg in whatever stage.
    pub fn hang_up(&mut self, now: Mono, q850: u8, wire: &mut Wire, out: &mut Outbox<Command>) {
        self.is_silent = true;
        match self.stage {
            Stage::Calling { .. } => self.cancel(now, q850, wire, out),
            Stage::Arriving { server } => {
                self.refuse(now, server, refusal(q850), &reason_line(q850), wire, out);
            }
            Stage::Up if self.unacked.as_ref().is_some_and(|u| u.is_first) => {
                self.hang_up_on_ack = Some(q850);
            }
            Stage::Up => self.bye(now, Some(q850), wire, out),
            Stage::Leaving | Stage::Over => {}
        }
    }

    /// Gives an unanswered call of ours up; an answer that crosses the CANCEL is told (RFC 3261 §9.1).
    pub fn cancel(&mut self, now: Mono, q850: u8, wire: &mut Wire, out: &mut Outbox<Command>) {
        if let Stage::Calling {
            invite,
            cancel: None,
        } = self.stage
        {
            self.stage = Stage::Calling {
                invite,
                cancel: Some(q850),
            };
            wire.cancel(now, invite, &reason_line(q850), out);
        }
    }

    /// Changes the media; waits for its turn if it has to.
    pub fn reinvite(
        &mut self,
        now: Mono,
        sdp: Vec<u8>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        match self.stage {
            Stage::Calling { .. } | Stage::Arriving { .. } | Stage::Up => {
                self.offer = Some(sdp);
                self.retries = 0;
                self.try_reinvite(now, wire, out);
            }
            Stage::Leaving | Stage::Over => {}
        }
    }

    fn try_reinvite(&mut self, now: Mono, wire: &mut Wire, out: &mut Outbox<Command>) {
        let is_free = self.stage == Stage::Up
            && self.unacked.is_none()
            && self.ours.is_none()
            && self.theirs.is_none()
            && self.retry_at.is_none();
        if !is_free || self.hang_up_on_ack.is_some() {
            return;
        }
        let Some(sdp) = &self.offer else {
            return;
        };
        let cseq = self.dialog.next_cseq();
        let lines = format!("{}{ALLOW}{SUPPORTED}", self.contact);
        let (key, bytes) = self.dialog.request(wire, Method::Invite, cseq, &lines, sdp);
        let owner = Owner::Leg(self.id, Purpose::Reinvite);
        wire.request(now, key, self.dialog.hop, owner, bytes, out);
        self.ours = Some((key, cseq));
    }

    /// Answers a re-INVITE or UPDATE of the peer.
    pub fn accept_reinvite(
        &mut self,
        now: Mono,
        sdp: &[u8],
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let Some(theirs) = self.theirs.take() else {
            return;
        };
        let lines = format!("{}{ALLOW}{SUPPORTED}{}", self.contact, theirs.lines);
        let sent = wire.answer(now, theirs.server, 200, &lines, sdp, out);
        if !theirs.is_update {
            self.unacked = sent
                .map(|sent| unacknowledged(now, wire, theirs.cseq, sent, false, theirs.is_offer));
        }
        self.try_reinvite(now, wire, out);
    }

    /// Refuses a re-INVITE or UPDATE of the peer.
    pub fn reject_reinvite(
        &mut self,
        now: Mono,
        status: u16,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        if let Some(theirs) = self.theirs.take() {
            let status = if (300..700).contains(&status) {
                status
            } else {
                488
            };
            wire.answer(now, theirs.server, status, "", &[], out);
        }
        self.try_reinvite(now, wire, out);
    }

    /// Leaves the dialog: BYE, and an end to all that is open in it.
    fn bye(&mut self, now: Mono, q850: Option<u8>, wire: &mut Wire, out: &mut Outbox<Command>) {
        self.close(now, wire, out);
        let cseq = self.dialog.next_cseq();
        let lines = q850.map(reason_line).unwrap_or_default();
        let (key, bytes) = self.dialog.request(wire, Method::Bye, cseq, &lines, &[]);
        let owner = Owner::Leg(self.id, Purpose::Bye);
        wire.request(now, key, self.dialog.hop, owner, bytes, out);
        self.stage = Stage::Leaving;
    }

    fn close(&mut self, now: Mono, wire: &mut Wire, out: &mut Outbox<Command>) {
        if let Some(theirs) = self.theirs.take() {
            let status = if theirs.is_update { 481 } else { 487 };
            wire.answer(now, theirs.server, status, "", &[], out);
        }
        if let Some((key, _)) = self.ours {
            wire.abandon(now, key);
        }
        self.unacked = None;
        self.provisional = None;
        self.hang_up_on_ack = None;
        self.offer = None;
        self.retry_at = None;
    }

    /// The dialog is dead, as far as can be told: BYE in case it is not.
    fn lose(&mut self, now: Mono, wire: &mut Wire, out: &mut Outbox<Command>) {
        self.tell_over(
            Command::Ended {
                leg: self.id,
                why: EndedWhy::Lost,
            },
            out,
        );
        self.bye(now, Some(102), wire, out);
    }

    // --- what became of our requests ---

    /// A response to a request of this leg; a 2xx that is known already never gets here.
    pub fn on_response(
        &mut self,
        now: Mono,
        purpose: Purpose,
        key: ClientKey,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let status = response.status();
        if matches!(status, 401 | 407)
            && self.try_credentials(now, purpose, key, response, wire, out)
        {
            return;
        }
        match (purpose, status) {
            (Purpose::Invite, 100..=199) => self.on_progress(now, response, wire, out),
            (Purpose::Invite, 200..=299) => self.on_answer(now, key, response, wire, out),
            (Purpose::Invite, _) => self.fail(status, response.retry_after(), out),
            (Purpose::Reinvite, 100..=199) | (Purpose::Prack, _) => {}
            (Purpose::Reinvite, _) => self.on_reinvite_final(now, key, response, wire, out),
            (Purpose::Bye, _) => self.stage = Stage::Over,
        }
    }

    /// A request of this leg got no answer (408) or could not be sent (503).
    pub fn on_unanswered(
        &mut self,
        now: Mono,
        purpose: Purpose,
        status: u16,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        match purpose {
            Purpose::Invite => self.fail(status, None, out),
            Purpose::Reinvite => {
                self.ours = None;
                self.offer = None;
                if self.stage == Stage::Up && status == 408 {
                    self.lose(now, wire, out);
                } else if self.stage == Stage::Up {
                    self.tell(
                        Command::ReinviteAnswered {
                            leg: self.id,
                            sdp: None,
                        },
                        out,
                    );
                }
            }
            Purpose::Bye => self.stage = Stage::Over,
            // The INVITE has a fate of its own.
            Purpose::Prack => {}
        }
    }

    fn fail(&mut self, status: u16, retry_after_s: Option<u32>, out: &mut Outbox<Command>) {
        if matches!(self.stage, Stage::Calling { .. }) {
            self.tell_over(
                Command::Failed {
                    leg: self.id,
                    status,
                    retry_after_s,
                },
                out,
            );
            self.stage = Stage::Over;
        }
    }

    fn try_credentials(
        &mut self,
        now: Mono,
        purpose: Purpose,
        key: ClientKey,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) -> bool {
        if matches!(
            self.stage,
            Stage::Calling {
                cancel: Some(_),
                ..
            } | Stage::Over
        ) || (purpose == Purpose::Reinvite && self.stage != Stage::Up)
        {
            return false;
        }
        let (Some(credentials), Some(tx)) = (&self.credentials, wire.client(key)) else {
            return false;
        };
        let request = tx.bytes.clone();
        let cnonce = wire.tokens.next();
        let Some(line) = auth::answer(response, credentials, &request, cnonce) else {
            return false;
        };
        let cseq = self.dialog.next_cseq();
        let again = ClientKey {
            branch: wire.tokens.next(),
            cancel: false,
        };
        let bytes = write::with_credentials(&request, again.branch, cseq, &line);
        wire.request(
            now,
            again,
            self.dialog.hop,
            Owner::Leg(self.id, purpose),
            bytes,
            out,
        );
        match purpose {
            Purpose::Invite => {
                self.stage = Stage::Calling {
                    invite: again,
                    cancel: None,
                };
                self.invite_cseq = cseq;
            }
            Purpose::Reinvite => self.ours = Some((again, cseq)),
            Purpose::Bye | Purpose::Prack => {}
        }
        true
    }

    fn on_progress(
        &mut self,
        now: Mono,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let Stage::Calling { invite, cancel } = self.stage else {
            return;
        };
        if let Some(q850) = cancel {
            wire.cancel(now, invite, &reason_line(q850), out);
            return;
        }
        if response.has_token(Name::Require, "100rel") && !self.prack(now, response, wire, out) {
            return;
        }
        let sdp = sdp_of(response);
        let is_new = sdp.is_some() && sdp != self.early_sdp;
        let is_ringing = response.status() == 180 && !self.is_rung;
        if is_new {
            self.early_sdp.clone_from(&sdp);
        }
        if is_ringing || is_new {
            self.is_rung = true;
            self.tell(Command::Ringing { leg: self.id, sdp }, out);
        }
    }

    /// Acknowledges a reliable provisional response; false if it is a copy or out of order
    /// (RFC 3262 §4).
    fn prack(
        &mut self,
        now: Mono,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) -> bool {
        let (Some(rseq), Some(tag)) = (response.rseq(), response.to_tag()) else {
            return false;
        };
        match self.rseqs.iter().position(|(t, _)| t == tag) {
            Some(i) if self.rseqs[i].1.checked_add(1) == Some(rseq) => self.rseqs[i].1 = rseq,
            Some(_) => return false,
            None if self.rseqs.len() == EARLY_DIALOGS_MAX => return false,
            None => self.rseqs.push((tag.to_owned(), rseq)),
        }
        let cseq = self.dialog.next_cseq();
        let mut early = self.dialog.clone();
        early.take_response(response);
        let lines = format!("RAck: {rseq} {} INVITE\r\n", self.invite_cseq);
        let (key, bytes) = early.request(wire, Method::Prack, cseq, &lines, &[]);
        wire.request(
            now,
            key,
            early.hop,
            Owner::Leg(self.id, Purpose::Prack),
            bytes,
            out,
        );
        true
    }

    fn on_answer(
        &mut self,
        now: Mono,
        key: ClientKey,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let Stage::Calling { invite, cancel } = self.stage else {
            // Another branch of a forked call was quicker.
            leave_fork(now, key, response, wire, out);
            return;
        };
        if invite != key {
            leave_fork(now, key, response, wire, out);
            return;
        }
        self.dialog.take_response(response);
        wire.dialogs.insert(self.dialog.key(&wire.keyed), self.id);
        self.stage = Stage::Up;
        self.send_ack(key, self.invite_cseq, response, wire, out);
        if self.is_silent {
            self.bye(now, cancel, wire, out);
            return;
        }
        // Some carriers answer with SDP in 183 only.
        let sdp = sdp_of(response)
            .or_else(|| self.early_sdp.take())
            .unwrap_or_default();
        self.tell(Command::Answered { leg: self.id, sdp }, out);
        self.try_reinvite(now, wire, out);
    }

    fn send_ack(
        &mut self,
        key: ClientKey,
        cseq: u32,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let (_, ack) = self.dialog.request(wire, Method::Ack, cseq, "", &[]);
        let tag = response.to_tag().unwrap_or_default();
        wire.ack(key, tag, self.dialog.hop, ack, out);
    }

    fn on_reinvite_final(
        &mut self,
        now: Mono,
        key: ClientKey,
        response: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let Some((ours, cseq)) = self.ours.filter(|(ours, _)| *ours == key) else {
            return;
        };
        self.ours = None;
        let status = response.status();
        if (200..300).contains(&status) {
            self.dialog.refresh_target(response);
            self.send_ack(ours, cseq, response, wire, out);
        }
        if self.stage != Stage::Up {
            return;
        }
        match status {
            491 if self.retries < GLARE_RETRIES_MAX => {
                self.retries += 1;
                // RFC 3261 §14.1, in units of 10 ms: who made the Call-ID waits 2.1 to 4 s.
                let units = wire.tokens.next();
                let ms = if self.is_ours {
                    2100 + units % 191 * 10
                } else {
                    units % 201 * 10
                };
                self.retry_at = Some(now + Duration::from_millis(ms));
            }
            408 | 481 => {
                self.offer = None;
                self.lose(now, wire, out);
            }
            _ => {
                self.offer = None;
                let sdp = if status < 300 { sdp_of(response) } else { None };
                self.tell(Command::ReinviteAnswered { leg: self.id, sdp }, out);
            }
        }
    }

    // --- what the peer wants ---

    /// A request in the dialog, in order and authenticated, within the server transaction `server`.
    pub fn on_request(
        &mut self,
        now: Mono,
        server: u128,
        request: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        match request.method() {
            Method::Bye => self.on_bye(now, server, request, wire, out),
            Method::Invite => self.on_reinvite(now, server, request, wire, out),
            Method::Update => self.on_update(now, server, request, wire, out),
            Method::Info => self.on_info(now, server, request, wire, out),
            Method::Prack => self.on_prack(now, server, request, wire, out),
            Method::Ack
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Refer
            | Method::Subscribe
            | Method::Notify
            | Method::Message
            | Method::Publish
            | Method::Other => unreachable!("answered before it comes to a leg"),
        }
    }

    fn on_bye(
        &mut self,
        now: Mono,
        server: u128,
        request: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        wire.answer(now, server, 200, "", &[], out);
        match self.stage {
            Stage::Arriving { server } => {
                wire.answer(now, server, 487, "", &[], out);
                self.stage = Stage::Over;
            }
            Stage::Up => self.stage = Stage::Over,
            Stage::Calling { .. } | Stage::Leaving | Stage::Over => {}
        }
        self.close(now, wire, out);
        let why = EndedWhy::Bye(request.q850());
        self.tell_over(Command::Ended { leg: self.id, why }, out);
    }

    /// How a new offer of the peer is refused for now, if it is (RFC 3261 §14.2, RFC 3311 §5.2).
    fn glare(&self, wire: &mut Wire) -> Option<(u16, String)> {
        let retry_after = |wire: &mut Wire| format!("Retry-After: {}\r\n", wire.tokens.next() % 10);
        match self.stage {
            Stage::Calling { .. } | Stage::Leaving | Stage::Over => Some((481, String::new())),
            Stage::Arriving { .. } => Some((500, retry_after(wire))),
            Stage::Up if self.theirs.is_some() => Some((500, retry_after(wire))),
            Stage::Up if self.ours.is_some() || self.unacked.is_some() => {
                Some((491, String::new()))
            }
            Stage::Up => None,
        }
    }

    fn on_reinvite(
        &mut self,
        now: Mono,
        server: u128,
        request: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        if let Some((status, lines)) = self.glare(wire) {
            wire.answer(now, server, status, &lines, &[], out);
            return;
        }
        wire.answer(now, server, 100, "", &[], out);
        self.dialog.refresh_target(request);
        let sdp = sdp_of(request);
        self.theirs = Some(Theirs {
            server,
            cseq: request.cseq().map_or(0, |(number, _)| number),
            is_update: false,
            is_offer: sdp.is_none(),
            lines: session_lines(request),
        });
        if self.hang_up_on_ack.is_none() {
            self.tell(Command::Reinvited { leg: self.id, sdp }, out);
        }
    }

    fn on_update(
        &mut self,
        now: Mono,
        server: u128,
        request: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let sdp = sdp_of(request);
        if sdp.is_none() {
            self.dialog.refresh_target(request);
            let lines = format!("{}{ALLOW}{}", self.contact, session_lines(request));
            wire.answer(now, server, 200, &lines, &[], out);
            return;
        }
        if let Some((status, lines)) = self.glare(wire) {
            wire.answer(now, server, status, &lines, &[], out);
            return;
        }
        self.dialog.refresh_target(request);
        self.theirs = Some(Theirs {
            server,
            cseq: 0,
            is_update: true,
            is_offer: false,
            lines: session_lines(request),
        });
        self.tell(Command::Reinvited { leg: self.id, sdp }, out);
    }

    fn on_info(
        &mut self,
        now: Mono,
        server: u128,
        request: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let content_type = request
            .content_type()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let body = String::from_utf8_lossy(request.body());
        let signal = match content_type.as_str() {
            "application/dtmf-relay" => body.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("signal")
                    .then(|| digit(value))
            }),
            "application/dtmf" => Some(digit(&body)),
            "" if body.is_empty() => {
                wire.answer(now, server, 200, "", &[], out);
                return;
            }
            _ => {
                let accept = "Accept: application/dtmf-relay, application/dtmf\r\n";
                wire.answer(now, server, 415, accept, &[], out);
                return;
            }
        };
        match signal.flatten() {
            Some(digit) => {
                wire.answer(now, server, 200, "", &[], out);
                self.tell(
                    Command::Digit {
                        leg: self.id,
                        digit,
                    },
                    out,
                );
            }
            None => {
                wire.answer(now, server, 400, "", &[], out);
            }
        }
    }

    fn on_prack(
        &mut self,
        now: Mono,
        server: u128,
        request: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        let acknowledged = request.rack().filter(|rack| {
            rack.cseq == self.invite_cseq
                && rack.method == Method::Invite
                && self
                    .provisional
                    .as_ref()
                    .is_some_and(|p| p.number == rack.rseq)
        });
        let status = if acknowledged.is_some() { 200 } else { 481 };
        wire.answer(now, server, status, "", &[], out);
        if acknowledged.is_some() {
            self.provisional = None;
        }
    }

    /// The ACK of a 2xx of ours; true if it was awaited.
    pub fn on_ack(
        &mut self,
        now: Mono,
        ack: &Message<'_>,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) -> bool {
        let number = ack.cseq().map(|(number, _)| number);
        let Some(unacked) = self.unacked.take_if(|u| Some(u.number) == number) else {
            return false;
        };
        if let Some(q850) = self.hang_up_on_ack.take() {
            self.bye(now, Some(q850), wire, out);
            return true;
        }
        let sdp = if unacked.is_offer { sdp_of(ack) } else { None };
        if unacked.is_first || sdp.is_some() {
            self.tell(Command::Confirmed { leg: self.id, sdp }, out);
        }
        self.try_reinvite(now, wire, out);
        true
    }

    /// The peer cancels the INVITE of this server transaction.
    pub fn on_cancel(
        &mut self,
        now: Mono,
        server: u128,
        wire: &mut Wire,
        out: &mut Outbox<Command>,
    ) {
        if self.stage == (Stage::Arriving { server }) {
            self.tell_over(
                Command::Ended {
                    leg: self.id,
                    why: EndedWhy::Cancelled,
                },
                out,
            );
            self.refuse(now, server, 487, "", wire, out);
            return;
        }
        if self
            .theirs
            .as_ref()
            .is_some_and(|theirs| theirs.server == server)
        {
            self.theirs = None;
            wire.answer(now, server, 487, "", &[], out);
            self.try_reinvite(now, wire, out);
        }
    }

    /// A deadline has come.
    pub fn on_timer(&mut self, now: Mono, wire: &mut Wire, out: &mut Outbox<Command>) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.try_reinvite(now, wire, out);
        }
        match repeat(now, &mut self.provisional, Duration::MAX, wire, out) {
            Repeated::Live => {}
            Repeated::GivenUp => {
                self.provisional = None;
                if let Stage::Arriving { server } = self.stage {
                    self.tell_over(
                        Command::Ended {
                            leg: self.id,
                            why: EndedWhy::Lost,
                        },
                        out,
                    );
                    self.refuse(now, server, 504, "", wire, out);
                }
            }
        }
        match repeat(now, &mut self.unacked, T2, wire, out) {
            Repeated::Live => {}
            Repeated::GivenUp => {
                wire.counters.timed_out += 1;
                self.lose(now, wire, out);
            }
        }
    }
}

fn unacknowledged(
    now: Mono,
    wire: &Wire,
    number: u32,
    (hop, bytes): (Hop, Vec<u8>),
    is_first: bool,
    is_offer: bool,
) -> Unacknowledged {
    let t1 = wire.times.t1;
    Unacknowledged {
        number,
        hop,
        bytes,
        again: now + t1,
        interval: t1,
        until: now + wire.times.give_up(),
        is_first,
        is_offer,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    Live,
    GivenUp,
}

/// Sends what is unacknowledged again, at intervals that double up to `cap`; on streams too, since
/// the hop that loses it may lie behind the next (RFC 3261 §13.3.1.4, RFC 3262 §3).
fn repeat(
    now: Mono,
    what: &mut Option<Unacknowledged>,
    cap: Duration,
    wire: &mut Wire,
    out: &mut Outbox<Command>,
) -> Repeated {
    let Some(u) = what else {
        return Repeated::Live;
    };
    if u.until <= now {
        return Repeated::GivenUp;
    }
    if u.again <= now {
        u.interval = (u.interval * 2).min(cap);
        u.again = now + u.interval;
        wire.repeat(u.hop, &u.bytes, out);
    }
    Repeated::Live
}

/// A key by its name or its number (10 is the star, 11 the hash).
fn digit(text: &str) -> Option<char> {
    match text.trim() {
        "10" => Some('*'),
        "11" => Some('#'),
        one => {
            let mut chars = one.chars();
            let digit = chars.next()?.to_ascii_uppercase();
            (chars.next().is_none() && "0123456789*#ABCD".contains(digit)).then_some(digit)
        }
    }
}

/// Acknowledges and ends what a further branch of a forked call of ours set up (RFC 3261
/// §13.2.2.4), also after the leg itself is forgotten.
pub(crate) fn leave_fork(
    now: Mono,
    key: ClientKey,
    response: &Message<'_>,
    wire: &mut Wire,
    out: &mut Outbox<Command>,
) {
    let Some(tx) = wire.client(key) else {
        return;
    };
    let (hop, bytes) = (tx.hop, tx.bytes.clone());
    let Ok(invite) = Message::parse(&bytes) else {
        return;
    };
    let (cseq, _) = invite.cseq().expect("our requests have a CSeq");
    let mut dialog = Dialog {
        hop,
        call_id: invite.call_id().unwrap_or_default().to_owned(),
        local: invite.header(Name::From).unwrap_or_default().to_owned(),
        remote: String::new(),
        local_tag: String::new(),
        remote_tag: String::new(),
        target: invite.request_uri_text().to_owned(),
        routes: Vec::new(),
        local_cseq: cseq,
        remote_cseq: None,
    };
    dialog.take_response(response);
    let (_, ack) = dialog.request(wire, Method::Ack, cseq, "", &[]);
    wire.ack(key, &dialog.remote_tag, hop, ack, out);
    // A PRACK may have used the next numbers.
    let (bye, bytes) = dialog.request(wire, Method::Bye, cseq + 1000, "", &[]);
    wire.request(now, bye, hop, Owner::Nobody, bytes, out);
}
