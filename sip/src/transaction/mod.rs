//! The transactions: what is in flight in both directions, and everything that leaves.
//!
//! It finds the transaction of a message (RFC 3261 §17.1.3, §17.2.3), repeats what has to be
//! repeated, and tells the caller the rest. Live ones are never evicted to make room; beyond
//! [`TRANSACTIONS_MAX`] new requests are refused with 503 by whoever admits them.

pub(crate) mod client;
pub(crate) mod client_invite;
pub(crate) mod server;
pub(crate) mod server_invite;
pub(crate) mod timer;

use crate::endpoint::{Command, Counters, Hop, Transport};
use crate::siphash::{Keyed, Tokens};
use crate::write;
use client::Client;
use client_invite::{ClientInvite, Heard};
use model::{LegId, Mono, Outbox, TrunkId};
use server::Server;
use server_invite::ServerInvite;
use std::collections::BTreeMap;
use timer::{ClientKey, Due, Timer, Timers, Times};

/// Transactions alive at once. A call has about six in 32 s on both its legs; this is 300 calls a
/// second with room for as much again, at about 1.5 KB each.
pub const TRANSACTIONS_MAX: usize = 131_072;
/// Branches of one forked call of ours that may answer; more than any carrier rings at once.
const FORKS_MAX: usize = 8;

/// Who asked for a request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A leg, and what for.
    Leg(LegId, Purpose),
    /// A registration of ours.
    Registration(TrunkId),
    /// A ping.
    Ping(TrunkId),
    /// Nobody listens for the outcome.
    Nobody,
}

/// What a leg asked a request for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To call.
    Invite,
    /// To change the media.
    Reinvite,
    /// To end the call.
    Bye,
    /// To acknowledge a reliable provisional response.
    Prack,
}

#[derive(Debug)]
enum ClientMachine {
    Invite(ClientInvite),
    Other(Client),
}

/// A request of ours in flight.
#[derive(Debug)]
pub(crate) struct ClientTx {
    machine: ClientMachine,
    /// Where it went.
    pub hop: Hop,
    /// As it was sent.
    pub bytes: Vec<u8>,
    /// Who asked.
    pub owner: Owner,
    /// The ACKs of its 2xx, by the tag of the answering branch; sent again when the 2xx is.
    pub acks: Vec<(String, Vec<u8>)>,
    armed: Option<Mono>,
}

impl ClientTx {
    fn deadline(&self) -> Option<Mono> {
        match &self.machine {
            ClientMachine::Invite(tx) => tx.deadline(),
            ClientMachine::Other(tx) => tx.deadline(),
        }
    }

    fn is_pending(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(tx) => tx.is_pending(),
            ClientMachine::Other(tx) => tx.is_pending(),
        }
    }
}

#[derive(Debug)]
enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

/// A request of a peer in flight.
#[derive(Debug)]
pub(crate) struct ServerTx {
    machine: ServerMachine,
    /// Where responses go.
    hop: Hop,
    /// Via, From, Call-ID, CSeq and To, as each response repeats them.
    head: Vec<u8>,
    last: Vec<u8>,
    /// The call it started or changes.
    pub leg: Option<LegId>,
    merge: Option<u128>,
    armed: Option<Mono>,
}

impl ServerTx {
    fn deadline(&self) -> Option<Mono> {
        match &self.machine {
            ServerMachine::Invite(tx) => tx.deadline(),
            ServerMachine::Other(tx) => tx.deadline(),
        }
    }
}

/// What came of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matched {
    /// It belongs to nothing of ours.
    Stray,
    /// It was dealt with.
    Absorbed,
    /// Its owner must hear it.
    For(Owner),
}

/// All that is in flight, and the way out.
#[derive(Debug)]
pub(crate) struct Wire {
    /// What was counted.
    pub counters: Counters,
    /// Where tags, branches and Call-IDs come from.
    pub tokens: Tokens,
    /// Names transactions and dialogs.
    pub keyed: Keyed,
    /// The timer values.
    pub times: Times,
    /// The User-Agent and Server line.
    pub product: String,
    /// All deadlines but those of bindings.
    pub timers: Timers,
    /// The leg of each dialog, by its key.
    pub dialogs: BTreeMap<u128, LegId>,
    clients: BTreeMap<ClientKey, Box<ClientTx>>,
    servers: BTreeMap<u128, Box<ServerTx>>,
    merges: BTreeMap<u128, u128>,
}

impl Wire {
    /// Nothing in flight.
    pub fn new(keyed: Keyed, times: Times, product: String) -> Wire {
        Wire {
            counters: Counters::default(),
            tokens: Tokens::new(keyed.clone()),
            keyed,
            times,
            product,
            timers: Timers::default(),
            dialogs: BTreeMap::new(),
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            merges: BTreeMap::new(),
        }
    }

    /// How many transactions are alive.
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether a new request must be refused.
    pub fn is_full(&self) -> bool {
        self.len() >= TRANSACTIONS_MAX
    }

    /// Puts bytes on the wire.
    pub fn send(&mut self, hop: Hop, bytes: Vec<u8>, out: &mut Outbox<Command>) {
        self.counters.sent += 1;
        out.command(Command::Send { hop, bytes });
    }

    fn send_again(&mut self, hop: Hop, bytes: Vec<u8>, out: &mut Outbox<Command>) {
        self.counters.retransmitted += 1;
        self.send(hop, bytes, out);
    }

    /// Repeats a message of a session.
    pub fn repeat(&mut self, hop: Hop, bytes: &[u8], out: &mut Outbox<Command>) {
        self.send_again(hop, bytes.to_vec(), out);
    }

    // --- requests of ours ---

    /// Sends a request and keeps it until it is answered.
    pub fn request(
        &mut self,
        now: Mono,
        key: ClientKey,
        hop: Hop,
        owner: Owner,
        bytes: Vec<u8>,
        out: &mut Outbox<Command>,
    ) {
        let reliable = hop.transport == Transport::Tcp;
        let machine = if bytes.starts_with(b"INVITE ") {
            ClientMachine::Invite(ClientInvite::new(now, self.times, reliable))
        } else {
            ClientMachine::Other(Client::new(now, self.times, reliable))
        };
        self.send(hop, bytes.clone(), out);
        let tx = ClientTx {
            machine,
            hop,
            bytes,
            owner,
            acks: Vec::new(),
            armed: None,
        };
        let old = self.clients.insert(key, Box::new(tx));
        assert!(old.is_none(), "branches are drawn once");
        self.arm_client(key);
    }

    fn arm_client(&mut self, key: ClientKey) {
        if let Some(tx) = self.clients.get_mut(&key) {
            let at = tx.deadline();
            self.timers.arm(Timer::Client(key), &mut tx.armed, at);
        }
    }

    /// The request of ours with this key.
    pub fn client(&self, key: ClientKey) -> Option<&ClientTx> {
        self.clients.get(&key).map(Box::as_ref)
    }

    /// A response to `key` came, with this status and To value.
    pub fn response(
        &mut self,
        now: Mono,
        key: ClientKey,
        is_invite: bool,
        status: u16,
        to: &str,
        out: &mut Outbox<Command>,
    ) -> Matched {
        let Some(tx) = self.clients.get_mut(&key) else {
            return Matched::Stray;
        };
        let (hop, owner) = (tx.hop, tx.owner);
        let (matched, ack) = match &mut tx.machine {
            ClientMachine::Invite(machine) if is_invite => {
                let refusal = |tx: &ClientTx| Some(write::ack_of_refusal(&tx.bytes, to));
                match machine.on_response(now, status) {
                    Heard::Absorb => (Matched::Absorbed, None),
                    Heard::Pass => (Matched::For(owner), None),
                    Heard::AckAndPass => (Matched::For(owner), refusal(tx)),
                    Heard::AckAgain => (Matched::Absorbed, refusal(tx)),
                }
            }
            ClientMachine::Other(machine) if !is_invite => {
                let passed = machine.on_response(now, status);
                (
                    if passed {
                        Matched::For(owner)
                    } else {
                        Matched::Absorbed
                    },
                    None,
                )
            }
            ClientMachine::Invite(_) | ClientMachine::Other(_) => (Matched::Stray, None),
        };
        if matched == Matched::Absorbed && status >= 200 {
            self.counters.absorbed += 1;
        }
        if let Some(ack) = ack {
            self.send(hop, ack, out);
        }
        self.arm_client(key);
        matched
    }

    /// Remembers and sends the ACK of a 2xx.
    pub fn ack(
        &mut self,
        key: ClientKey,
        tag: &str,
        hop: Hop,
        bytes: Vec<u8>,
        out: &mut Outbox<Command>,
    ) {
        if let Some(tx) = self.clients.get_mut(&key) {
            tx.acks.push((tag.to_owned(), bytes.clone()));
        }
        self.send(hop, bytes, out);
    }

    /// Acknowledges a 2xx again; true if that is all there is to do, which it also is when more
    /// branches answered than [`FORKS_MAX`].
    pub fn ack_again(&mut self, key: ClientKey, tag: &str, out: &mut Outbox<Command>) -> bool {
        let Some(tx) = self.clients.get(&key) else {
            return true;
        };
        let hop = tx.hop;
        match tx.acks.iter().find(|(t, _)| t == tag) {
            Some((_, ack)) => {
                let ack = ack.clone();
                self.counters.absorbed += 1;
                self.send_again(hop, ack, out);
                true
            }
            None => tx.acks.len() >= FORKS_MAX,
        }
    }

    /// Sends the CANCEL of an INVITE, if a provisional response has come and no final one.
    pub fn cancel(&mut self, now: Mono, invite: ClientKey, lines: &str, out: &mut Outbox<Command>) {
        let key = ClientKey {
            cancel: true,
            ..invite
        };
        if self.clients.contains_key(&key) {
            return;
        }
        let Some(tx) = self.clients.get_mut(&invite) else {
            return;
        };
        let ClientMachine::Invite(machine) = &mut tx.machine else {
            return;
        };
        if !machine.is_proceeding() {
            return;
        }
        machine.bound(now);
        let (hop, bytes) = (tx.hop, write::cancel_of(&tx.bytes, lines));
        self.arm_client(invite);
        self.request(now, key, hop, Owner::Nobody, bytes, out);
    }

    /// Nobody waits for the answer to this INVITE any more: it gets 64·T1 to come.
    pub fn abandon(&mut self, now: Mono, key: ClientKey) {
        if let Some(tx) = self.clients.get_mut(&key)
            && let ClientMachine::Invite(machine) = &mut tx.machine
        {
            machine.bound(now);
        }
        self.arm_client(key);
    }

    /// The requests of ours over a hop that still wait for an answer.
    pub fn pending_over(&self, hop: Hop) -> Vec<ClientKey> {
        let over = self
            .clients
            .iter()
            .filter(|(_, tx)| tx.hop == hop && tx.is_pending());
        over.map(|(key, _)| *key).collect()
    }

    /// Forgets a request of ours, and says who asked.
    pub fn forget_client(&mut self, key: ClientKey) -> Option<Owner> {
        let mut tx = self.clients.remove(&key)?;
        self.timers.arm(Timer::Client(key), &mut tx.armed, None);
        Some(tx.owner)
    }

    /// The deadline of a request of ours has come. The owner of one that timed out must be told.
    pub fn client_due(
        &mut self,
        now: Mono,
        key: ClientKey,
        out: &mut Outbox<Command>,
    ) -> Option<Owner> {
        let tx = self
            .clients
            .get_mut(&key)
            .expect("a timer names a live transaction");
        let due = match &mut tx.machine {
            ClientMachine::Invite(machine) => machine.on_timer(now),
            ClientMachine::Other(machine) => machine.on_timer(now),
        };
        match due {
            Due::Nothing => {}
            Due::Retransmit => {
                let (hop, bytes) = (tx.hop, tx.bytes.clone());
                self.send_again(hop, bytes, out);
            }
            Due::TimedOut => {
                self.counters.timed_out += 1;
                return self.forget_client(key);
            }
            Due::Over => {
                self.forget_client(key);
            }
        }
        self.arm_client(key);
        None
    }

    // --- requests of peers ---

    /// Opens the transaction of an arrived request.
    pub fn open(
        &mut self,
        key: u128,
        merge: Option<u128>,
        is_invite: bool,
        hop: Hop,
        head: Vec<u8>,
        leg: Option<LegId>,
    ) {
        let reliable = hop.transport == Transport::Tcp;
        let machine = if is_invite {
            ServerMachine::Invite(ServerInvite::new(self.times, reliable))
        } else {
            ServerMachine::Other(Server::new(self.times, reliable))
        };
        if let Some(merge) = merge {
            self.merges.insert(merge, key);
        }
        let tx = ServerTx {
            machine,
            hop,
            head,
            last: Vec::new(),
            leg,
            merge,
            armed: None,
        };
        let old = self.servers.insert(key, Box::new(tx));
        assert!(old.is_none(), "a known transaction is not opened again");
    }

    /// The request of a peer with this key.
    pub fn server(&self, key: u128) -> Option<&ServerTx> {
        self.servers.get(&key).map(Box::as_ref)
    }

    /// Whether the same request came by another way (RFC 3261 §8.2.2.2).
    pub fn is_merged(&self, merge: u128) -> bool {
        self.merges.contains_key(&merge)
    }

    /// A request came again: the last response leaves again if it is due.
    pub fn again(&mut self, key: u128, out: &mut Outbox<Command>) {
        self.counters.absorbed += 1;
        let Some(tx) = self.servers.get(&key) else {
            return;
        };
        let is_due = match &tx.machine {
            ServerMachine::Invite(machine) => machine.on_again(),
            ServerMachine::Other(machine) => machine.on_again(),
        };
        if is_due && !tx.last.is_empty() {
            let (hop, bytes) = (tx.hop, tx.last.clone());
            self.send_again(hop, bytes, out);
        }
    }

    /// An ACK came within the transaction of an INVITE.
    pub fn acked(&mut self, now: Mono, key: u128) {
        if let Some(tx) = self.servers.get_mut(&key)
            && let ServerMachine::Invite(machine) = &mut tx.machine
        {
            machine.on_ack(now);
        }
        self.arm_server(key);
    }

    /// Answers a request; `lines` are header lines with their ends. Returns the bytes sent, for
    /// responses that the session repeats.
    pub fn answer(
        &mut self,
        now: Mono,
        key: u128,
        status: u16,
        lines: &str,
        body: &[u8],
        out: &mut Outbox<Command>,
    ) -> Option<(Hop, Vec<u8>)> {
        let tx = self.servers.get_mut(&key)?;
        let bytes = write::response(status, None, &tx.head, &self.product, lines, body);
        match &mut tx.machine {
            ServerMachine::Invite(machine) => machine.on_answer(now, status),
            ServerMachine::Other(machine) => machine.on_answer(now),
        }
        tx.last.clone_from(&bytes);
        let hop = tx.hop;
        self.send(hop, bytes.clone(), out);
        self.arm_server(key);
        Some((hop, bytes))
    }

    fn arm_server(&mut self, key: u128) {
        if let Some(tx) = self.servers.get_mut(&key) {
            let at = tx.deadline();
            self.timers.arm(Timer::Server(key), &mut tx.armed, at);
        }
    }

    /// The deadline of a response of ours has come.
    pub fn server_due(&mut self, now: Mono, key: u128, out: &mut Outbox<Command>) {
        let tx = self
            .servers
            .get_mut(&key)
            .expect("a timer names a live transaction");
        let due = match &mut tx.machine {
            ServerMachine::Invite(machine) => machine.on_timer(now),
            ServerMachine::Other(machine) => machine.on_timer(now),
        };
        match due {
            Due::Nothing => {}
            Due::Retransmit => {
                let (hop, bytes) = (tx.hop, tx.last.clone());
                self.send_again(hop, bytes, out);
            }
            Due::TimedOut | Due::Over => {
                if due == Due::TimedOut {
                    self.counters.timed_out += 1;
                }
                self.forget_server(key);
            }
        }
        self.arm_server(key);
    }

    fn forget_server(&mut self, key: u128) {
        if let Some(mut tx) = self.servers.remove(&key) {
            self.timers.arm(Timer::Server(key), &mut tx.armed, None);
            if let Some(merge) = tx.merge {
                self.merges.remove(&merge);
            }
        }
    }
}
