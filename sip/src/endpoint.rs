//! The whole stack as one machine: bytes and wishes in, bytes and facts out.

use model::{LegId, Now, Outbox, TrunkId};
use std::net::SocketAddr;

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
    /// Change the media of a call in progress.
    Reinvite { leg: LegId, sdp: Vec<u8> },
    /// Answer `Reinvited`.
    AcceptReinvite { leg: LegId, sdp: Vec<u8> },
    /// Refuse `Reinvited`; the session stays as it was.
    RejectReinvite { leg: LegId, status: u16 },
    /// Register us with a carrier and keep it up. Told by `TrunkRegistered`.
    Register { trunk: TrunkId, hop: Hop, registrar: String, aor_user: String, credentials: Credentials, expires_s: u32 },
    /// Give a registration up.
    Unregister { trunk: TrunkId },
    /// Ask with OPTIONS whether a trunk answers. Told by `Ponged`.
    Ping { trunk: TrunkId, hop: Hop, target: String },
    /// A deadline is due.
    Tick,
}

/// One thing the stack wants done or tells.
#[derive(Debug)]
pub enum Command {
    /// Put these bytes on the wire.
    Send { hop: Hop, bytes: Vec<u8> },
    /// A call arrived. Answer with `Ring`, `Accept`, `Reject`. The leg is minted by the stack, from
    /// [`Config::first_leg`] upwards.
    Arrived(Box<Arrived>),
    /// The far end of our call rings; `sdp` is early media.
    Ringing { leg: LegId, sdp: Option<Vec<u8>> },
    /// The far end of our call answered; the ACK has left.
    Answered { leg: LegId, sdp: Vec<u8> },
    /// Our call was refused or timed out (408). `retry_after_s` where the peer said so.
    Failed { leg: LegId, status: u16, retry_after_s: Option<u32> },
    /// The ACK for our 200 arrived.
    Confirmed { leg: LegId, sdp: Option<Vec<u8>> },
    /// The leg is over by the peer's doing or because it is lost. Not told after `HangUp` or `Reject`.
    Ended { leg: LegId, why: EndedWhy },
    /// The peer wants to change the media. No SDP: it wants an offer from us.
    Reinvited { leg: LegId, sdp: Option<Vec<u8>> },
    /// Our re-INVITE was answered; `None` when it was refused and the session stays.
    ReinviteAnswered { leg: LegId, sdp: Option<Vec<u8>> },
    /// A phone of ours registered or renewed; requests for it go to `hop` with `contact` as target.
    Registered { account: String, contact: String, hop: Hop, expires_s: u32 },
    /// A phone's registration was removed or ran out.
    Unregistered { account: String },
    /// Our registration with a trunk changed.
    TrunkRegistered { trunk: TrunkId, ok: bool, status: u16 },
    /// What became of a `Ping`.
    Ponged { trunk: TrunkId, ok: bool },
    /// A key press by INFO (application/dtmf-relay or application/dtmf).
    Digit { leg: LegId, digit: char },
    /// The stream is broken beyond repair: close it after what was sent.
    Close { hop: Hop },
}

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
pub struct Endpoint {}

impl Endpoint {
    /// A stack without calls. `seed` feeds tags, branches and nonces: draw it from the OS in production.
    pub fn new(_config: Config, _seed: [u8; 32]) -> Endpoint {
        Endpoint {}
    }
    /// One step.
    pub fn handle(&mut self, _now: Now, _input: Input<'_>, _out: &mut Outbox<Command>) {}
    /// When to tick next.
    pub fn next_deadline(&self) -> Option<model::Mono> {
        None
    }
    /// What it counted.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
    /// Live transactions, dialogs and registrations: all return to 0 (or to the phones).
    pub fn live(&self) -> (usize, usize, usize) {
        (0, 0, 0)
    }
}
