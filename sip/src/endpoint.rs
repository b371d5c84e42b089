//! The whole stack as one machine: bytes and wishes in, bytes and facts out.

use crate::auth::Realm;
use crate::digest::Algorithm;
use crate::invite::Leg;
use crate::registrar::Registrar;
use crate::registration::{self, Ours, Registration};
use crate::siphash::Keyed;
use crate::transaction::timer::{Timer, Times, earlier};
use crate::transaction::{Owner, Wire};
use model::{LegId, Mono, Now, Outbox, TrunkId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Legs alive at once: ten times the calls one machine carries, at about 2 KB each. Beyond, calls
/// are refused with 503 in both directions; a live leg is never ended to make room.
pub const LEGS_MAX: usize = 65_536;

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// One datagram, one message.
    Udp,
    /// A byte stream, framed by Content-Length (RFC 3261 §18.3).
    Tcp,
}

/// The other end of one transport hop, and the socket of ours that reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// How.
    pub transport: Transport,
    /// Our address there, as written into Via and Contact.
    pub local: SocketAddr,
    /// Theirs.
    pub remote: SocketAddr,
}

/// Who is behind an arrived request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A carrier, by its address or its credentials.
    Trunk(TrunkId),
    /// An account that proved itself by digest.
    Account(String),
}

/// User and password for a realm, for requests of ours that are challenged.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// The password; never printed.
    pub password: String,
}

/// A call to place.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The leg it becomes.
    pub leg: LegId,
    /// Where the INVITE goes.
    pub hop: Hop,
    /// The request URI: `sip:+4930123456@carrier.example` or a phone's contact.
    pub target: String,
    /// The user part of From and Contact: the caller ID.
    pub from_user: String,
    /// The display name of From.
    pub from_name: Option<String>,
    /// The Call-ID, where the caller wants to choose it (it names the attempt).
    pub call_id: Option<String>,
    /// For a challenge.
    pub credentials: Option<Credentials>,
    /// Further header lines, without CR LF.
    pub headers: Vec<(String, String)>,
    /// Our offer.
    pub sdp: Vec<u8>,
}

/// One thing the stack is told.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the fields say what they are; the variants say the rest"
)]
pub enum Input<'a> {
    /// One datagram, or one message cut from a stream by [`crate::frame`].
    Received { hop: Hop, bytes: &'a [u8] },
    /// Bytes could not be sent there, or the connection broke.
    HopFailed { hop: Hop },
    /// Place a call.
    Invite(Box<Invite>),
    /// Say 180 to an arrived call.
    Ring { leg: LegId },
    /// Answer an arrived call.
    Accept { leg: LegId, sdp: Vec<u8> },
    /// Refuse an arrived call.
    Reject { leg: LegId, status: u16 },
    /// End a leg in whatever state: refuse, CANCEL or BYE. `q850` goes into Reason.
    HangUp { leg: LegId, q850: u8 },
    /// Give up a call of ours that nobody has answered. Told by `Failed`, at the latest 64·T1 after the
    /// CANCEL, which waits for a provisional response; or by `Answered`: the answer was faster (RFC 3261 §9.1).
    Cancel { leg: LegId, q850: u8 },
    /// Change the media of a call in progress.
    Reinvite { leg: LegId, sdp: Vec<u8> },
    /// Answer `Reinvited`.
    AcceptReinvite { leg: LegId, sdp: Vec<u8> },
    /// Refuse `Reinvited`; the session stays as it was.
    RejectReinvite { leg: LegId, status: u16 },
    /// Register us with a carrier and keep it up. Told by `TrunkRegistered`.
    Register {
        trunk: TrunkId,
        hop: Hop,
        registrar: String,
        aor_user: String,
        credentials: Credentials,
        expires_s: u32,
    },
    /// Give a registration up.
    Unregister { trunk: TrunkId },
    /// Ask with OPTIONS whether a trunk answers. Told by `Ponged`.
    Ping {
        trunk: TrunkId,
        hop: Hop,
        target: String,
    },
    /// A deadline is due.
    Tick,
}

/// One thing the stack wants done or tells.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the fields say what they are; the variants say the rest"
)]
pub enum Command {
    /// Put these bytes on the wire.
    Send { hop: Hop, bytes: Vec<u8> },
    /// A call arrived. Answer with `Ring`, `Accept`, `Reject`. The leg is minted by the stack, from
    /// [`Config::first_leg`] upwards.
    Arrived(Box<Arrived>),
    /// The far end of our call rings; `sdp` is early media.
    Ringing { leg: LegId, sdp: Option<Vec<u8>> },
    /// The far end of our call answered; the ACK has left. Without a description of media, `sdp` is empty.
    Answered { leg: LegId, sdp: Vec<u8> },
    /// Our call was refused or timed out (408). `retry_after_s` where the peer said so.
    Failed {
        leg: LegId,
        status: u16,
        retry_after_s: Option<u32>,
    },
    /// The ACK for our 200 arrived.
    Confirmed { leg: LegId, sdp: Option<Vec<u8>> },
    /// The leg is over by the peer's doing or because it is lost. Not told after `HangUp` or `Reject`.
    Ended { leg: LegId, why: EndedWhy },
    /// The peer wants to change the media. No SDP: it wants an offer from us.
    Reinvited { leg: LegId, sdp: Option<Vec<u8>> },
    /// Our re-INVITE was answered; `None` when it was refused and the session stays.
    ReinviteAnswered { leg: LegId, sdp: Option<Vec<u8>> },
    /// A phone of ours registered or renewed; requests for it go to `hop` with `contact` as target.
    Registered {
        account: String,
        contact: String,
        hop: Hop,
        expires_s: u32,
    },
    /// A phone's registration was removed or ran out.
    Unregistered { account: String },
    /// Our registration with a trunk changed.
    TrunkRegistered {
        trunk: TrunkId,
        ok: bool,
        status: u16,
    },
    /// What became of a `Ping`.
    Ponged { trunk: TrunkId, ok: bool },
    /// A key press by INFO (application/dtmf-relay or application/dtmf).
    Digit { leg: LegId, digit: char },
    /// The stream is broken beyond repair: close it after what was sent.
    Close { hop: Hop },
}

/// More Identity headers of an INVITE are not looked at: one names the caller, others where it was
/// diverted (RFC 8946).
pub const IDENTITIES_MAX: usize = 4;

/// An arrived call.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its leg.
    pub leg: LegId,
    /// Where it came from.
    pub hop: Hop,
    /// Who sent it.
    pub source: Source,
    /// The user part of the request URI, unescaped: the number dialled.
    pub called: String,
    /// The user part of From (or of an asserted identity from a trunk), unescaped.
    pub caller: String,
    /// The display name beside it, control characters stripped.
    pub caller_name: Option<String>,
    /// The Identity headers from a trunk as they came (RFC 8224 §4), at most [`IDENTITIES_MAX`]: what
    /// is in them was neither decoded nor verified.
    pub identities: Vec<String>,
    /// The SIP Call-ID.
    pub call_id: String,
    /// Their offer; none when they want one from us.
    pub sdp: Option<Vec<u8>>,
}

/// Why a leg ended without us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedWhy {
    /// BYE, with the Q.850 cause of its Reason header if any.
    Bye(Option<u8>),
    /// CANCEL of an unanswered call.
    Cancelled,
    /// No ACK for our 200 in 32 s, a request in the dialog timed out, or the peer says 481.
    Lost,
}

/// What is known about peers and ourselves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The realm of our challenges.
    pub realm: String,
    /// What we call ourselves in User-Agent and Server.
    pub product: String,
    /// Accounts that may register and call, with their password or its HA1.
    pub accounts: Vec<Account>,
    /// Trunks that are known by their address.
    pub trunks: Vec<TrunkPeer>,
    /// Shortest and longest registration granted, in seconds.
    pub expires_s: (u32, u32),
    /// The first leg id minted for arrived calls.
    pub first_leg: u64,
    /// Accept and answer requests without authentication from anywhere, as a carrier or a plain
    /// phone does. For the testbed; the engine never sets it. Arrived calls are `Account(from user)`.
    pub open: bool,
    /// RFC 3261 T1.
    pub t1_ms: u32,
    /// What challenges offer, best first (RFC 8760 §2.3). Phones exist that fail on a challenge they do
    /// not know beside one they do; answers by either algorithm are judged in any case.
    pub digests: Vec<Algorithm>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user name, also the user part of its AOR.
    pub user: String,
    /// HA1 by MD5: hex of MD5(user:realm:password).
    pub ha1_md5: String,
    /// HA1 by SHA-256.
    pub ha1_sha256: String,
}

/// A carrier by address.
#[derive(Clone, Debug)]
pub struct TrunkPeer {
    /// The trunk.
    pub trunk: TrunkId,
    /// Source addresses; a port of 0 means any.
    pub addresses: Vec<SocketAddr>,
}

/// Counters of the stack, for `/metrics`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Of those, retransmissions of ours.
    pub retransmitted: u64,
    /// Retransmissions of a peer, absorbed.
    pub absorbed: u64,
    /// Messages that were not SIP or broke a rule.
    pub malformed: u64,
    /// Requests from unknown sources.
    pub unknown_source: u64,
    /// Digest answers that were wrong.
    pub auth_failed: u64,
    /// Transactions that timed out.
    pub timed_out: u64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.user)
    }
}

/// The stack. See [`Input`] and [`Command`].
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) config: Config,
    pub(crate) wire: Wire,
    pub(crate) legs: BTreeMap<LegId, Leg>,
    pub(crate) realm: Realm,
    pub(crate) registrar: Registrar,
    pub(crate) registrations: BTreeMap<TrunkId, Registration>,
    pub(crate) next_leg: u64,
}

impl Endpoint {
    /// A stack without calls. `seed` feeds tags, branches and nonces: draw it from the OS in production.
    pub fn new(config: Config, seed: [u8; 32]) -> Endpoint {
        let keyed = Keyed::new(&seed);
        let times = Times {
            t1: Duration::from_millis(u64::from(config.t1_ms.max(1))),
        };
        Endpoint {
            wire: Wire::new(keyed.clone(), times, config.product.clone()),
            legs: BTreeMap::new(),
            realm: Realm::new(
                config.realm.clone(),
                config.accounts.clone(),
                config.digests.clone(),
                keyed,
            ),
            registrar: Registrar::default(),
            registrations: BTreeMap::new(),
            next_leg: config.first_leg,
            config,
        }
    }

    /// One step.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Outbox<Command>) {
        let now = now.mono;
        match input {
            Input::Received { hop, bytes } => self.received(now, hop, bytes, out),
            Input::HopFailed { hop } => self.hop_failed(now, hop, out),
            Input::Invite(invite) => self.place(now, *invite, out),
            Input::Ring { leg } => self.with_leg(leg, |leg, wire| leg.ring(now, wire, out)),
            Input::Accept { leg, sdp } => {
                self.with_leg(leg, |leg, wire| leg.accept(now, &sdp, wire, out));
            }
            Input::Reject { leg, status } => {
                self.with_leg(leg, |leg, wire| leg.reject(now, status, wire, out));
            }
            Input::HangUp { leg, q850 } => {
                self.with_leg(leg, |leg, wire| leg.hang_up(now, q850, wire, out));
            }
            Input::Cancel { leg, q850 } => {
                self.with_leg(leg, |leg, wire| leg.cancel(now, q850, wire, out));
            }
            Input::Reinvite { leg, sdp } => {
                self.with_leg(leg, |leg, wire| leg.reinvite(now, sdp, wire, out));
            }
            Input::AcceptReinvite { leg, sdp } => {
                self.with_leg(leg, |leg, wire| leg.accept_reinvite(now, &sdp, wire, out));
            }
            Input::RejectReinvite { leg, status } => {
                self.with_leg(leg, |leg, wire| leg.reject_reinvite(now, status, wire, out));
            }
            Input::Register {
                trunk,
                hop,
                registrar,
                aor_user,
                credentials,
                expires_s,
            } => {
                let wire = &mut self.wire;
                let ours = Ours {
                    trunk,
                    hop,
                    registrar: &registrar,
                    aor_user: &aor_user,
                    expires_s,
                };
                let mut new = Registration::new(now, ours, credentials, wire);
                if let Some(mut old) = self.registrations.remove(&trunk) {
                    self.wire
                        .timers
                        .arm(Timer::Registration(trunk), &mut old.armed, None);
                    new.succeed(&old);
                }
                self.registrations.insert(trunk, new);
                self.with_registration(trunk, |r, wire| r.on_timer(now, wire, out));
            }
            Input::Unregister { trunk } => {
                self.with_registration(trunk, |r, wire| {
                    r.leave(now);
                    r.on_timer(now, wire, out);
                });
            }
            Input::Ping { trunk, hop, target } => {
                registration::ping(now, trunk, hop, &target, &mut self.wire, out);
            }
            Input::Tick => self.tick(now, out),
        }
    }

    fn tick(&mut self, now: Mono, out: &mut Outbox<Command>) {
        while let Some(timer) = self.wire.timers.due(now) {
            match timer {
                Timer::Client(key) => {
                    if let Some(owner) = self.wire.client_due(now, key, out) {
                        self.unanswered(now, owner, 408, out);
                    }
                }
                Timer::Server(key) => self.wire.server_due(now, key, out),
                Timer::Leg(leg) => self.with_leg(leg, |leg, wire| leg.on_timer(now, wire, out)),
                Timer::Registration(trunk) => {
                    self.with_registration(trunk, |r, wire| r.on_timer(now, wire, out));
                }
            }
        }
        while let Some(account) = self.registrar.expire(now) {
            self.tell_binding(now, account, out);
        }
    }

    /// A request of ours got no answer (408) or could not be sent (503).
    fn unanswered(&mut self, now: Mono, owner: Owner, status: u16, out: &mut Outbox<Command>) {
        match owner {
            Owner::Leg(leg, purpose) => self.with_leg(leg, |leg, wire| {
                leg.on_unanswered(now, purpose, status, wire, out);
            }),
            Owner::Registration(trunk) => {
                self.with_registration(trunk, |r, wire| r.fail(now, status, wire, out));
            }
            Owner::Ping(trunk) => out.command(Command::Ponged { trunk, ok: false }),
            Owner::Nobody => {}
        }
    }

    fn hop_failed(&mut self, now: Mono, hop: Hop, out: &mut Outbox<Command>) {
        for key in self.wire.pending_over(hop) {
            if let Some(owner) = self.wire.forget_client(key) {
                self.unanswered(now, owner, 503, out);
            }
        }
        // A phone that came over a connection cannot be reached without it.
        if hop.transport == Transport::Tcp {
            while let Some(account) = self.registrar.lose(hop) {
                self.tell_binding(now, account, out);
            }
        }
    }

    fn place(&mut self, now: Mono, invite: Invite, out: &mut Outbox<Command>) {
        let id = invite.leg;
        assert!(!self.legs.contains_key(&id), "a leg is called once");
        if self.wire.is_full() || self.legs.len() >= LEGS_MAX {
            out.command(Command::Failed {
                leg: id,
                status: 503,
                retry_after_s: None,
            });
            return;
        }
        let hop = invite.hop;
        let account = self
            .registrar
            .account_of(hop, &invite.target)
            .map(str::to_owned);
        let mut leg = Leg::place(now, invite, &mut self.wire, out);
        leg.is_trusted = self.config.open || self.trunk_at(hop).is_some();
        if !leg.is_trusted {
            leg.account = account;
        }
        self.legs.insert(id, leg);
    }

    /// Does something with a leg, moves its deadline, and forgets it when it is over. A leg that is
    /// over already is not an error: wishes and facts cross.
    pub(crate) fn with_leg(&mut self, id: LegId, f: impl FnOnce(&mut Leg, &mut Wire)) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        f(leg, &mut self.wire);
        let is_over = leg.is_over();
        let deadline = leg.deadline().filter(|_| !is_over);
        self.wire
            .timers
            .arm(Timer::Leg(id), &mut leg.armed, deadline);
        if is_over {
            let key = leg.dialog.key(&self.wire.keyed);
            self.wire.dialogs.remove(&key);
            self.legs.remove(&id);
        }
    }

    pub(crate) fn with_registration(
        &mut self,
        trunk: TrunkId,
        f: impl FnOnce(&mut Registration, &mut Wire),
    ) {
        let Some(registration) = self.registrations.get_mut(&trunk) else {
            return;
        };
        f(registration, &mut self.wire);
        let is_over = registration.is_over();
        let deadline = registration.deadline().filter(|_| !is_over);
        let timer = Timer::Registration(trunk);
        self.wire
            .timers
            .arm(timer, &mut registration.armed, deadline);
        if is_over {
            self.registrations.remove(&trunk);
        }
    }

    /// The trunk whose address this is.
    pub(crate) fn trunk_at(&self, hop: Hop) -> Option<TrunkId> {
        let is_at = |a: &SocketAddr| {
            a.ip() == hop.remote.ip() && (a.port() == 0 || a.port() == hop.remote.port())
        };
        self.config
            .trunks
            .iter()
            .find(|t| t.addresses.iter().any(is_at))
            .map(|t| t.trunk)
    }

    /// When to tick next.
    pub fn next_deadline(&self) -> Option<Mono> {
        earlier(self.wire.timers.next(), self.registrar.next_deadline())
    }
    /// What it counted.
    pub fn counters(&self) -> Counters {
        self.wire.counters
    }
    /// Live transactions, dialogs and registrations: all return to 0 (or to the phones).
    pub fn live(&self) -> (usize, usize, usize) {
        let registrations = self.registrar.len() + self.registrations.len();
        (self.wire.len(), self.legs.len(), registrations)
    }
}
