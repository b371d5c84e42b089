//! The control thread: the next message, input, report or deadline goes through the exchange, and
//! what comes out leaves before the thread sleeps again.
//!
//! One thread decides everything, in one order. It sleeps in epoll on the SIP socket and a wake-up
//! line, and takes a bounded number from each source per turn, so that none starves another.

use crate::clock::Clock;
use crate::exchange::{Exchange, Turn};
use crate::media_io::Report;
use crate::net::batch::{RecvBatch, SendBatch};
use crate::net::tcp::{Tcp, TcpFact};
use crate::net::waker::Waker;
use call::Input;
use crossbeam_channel::Receiver;
use model::{Mono, Now};
use rustix::event::epoll;
use sip::endpoint::{Hop, Transport};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Datagrams per system call: a burst costs one call, and a batch still leaves the timers their turn.
const DATAGRAMS_PER_BATCH: usize = 32;
/// Batches per turn, then the timers get theirs.
const BATCHES_PER_TURN: usize = 8;
/// Inputs and reports per turn.
const INPUTS_PER_TURN: usize = 512;
/// RFC 3261 §18.1.1 allows 65,535; ours are smaller, a peer's may not be.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// The longest sleep: what has no deadline looks again after this.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// Metrics and boards see the snapshot this often.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(250);
/// Events and inputs are handed on together, at most so late: waking the bus and the journal for each
/// costs more than deciding. Screen pops are errands and leave at once.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// Or when so many events wait.
const PUBLISH_EVENTS: usize = 512;

/// What the reactor hands on besides packets.
pub trait Outside {
    /// Events and inputs of one turn, in order.
    fn publish(&mut self, turn: &mut Turn);
    /// Errands for the store, the screens and the data sources.
    fn errand(&mut self, command: call::Command);
    /// A deadline was served so late.
    fn late(&mut self, by: Duration);
    /// A look at the whole, four times a second.
    fn snapshot(&mut self, now: Now, exchange: &Exchange);
}

/// Where things come from.
pub struct Inbox {
    /// From the store, the API and the timers of the process.
    pub inputs: Receiver<Input>,
    /// From the media workers.
    pub reports: Receiver<Report>,
    /// From TCP.
    pub tcp_facts: Receiver<TcpFact>,
    /// Says that there is something in one of them.
    pub waker: Waker,
}

/// What SIP is spoken on.
pub struct Wires {
    /// Bound and non-blocking.
    pub udp: UdpSocket,
    /// The address peers know it by.
    pub local: SocketAddr,
    /// The same address for streams.
    pub tcp: Option<Tcp>,
}

/// The loop and what it owns.
pub struct Reactor<O> {
    clock: Clock,
    exchange: Exchange,
    udp: UdpSocket,
    local: SocketAddr,
    tcp: Option<Tcp>,
    inbox: Inbox,
    outside: O,
    epoll: std::os::fd::OwnedFd,
    send: SendBatch,
    options_every: Option<Duration>,
    next_options: Mono,
    next_snapshot: Mono,
    /// What is to be published, and when.
    unpublished: Turn,
    publish_at: Option<Mono>,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All calls were over.
    Drained,
    /// The patience was over first; the rest was hung up.
    CutOff {
        /// Calls that were hung up.
        calls: usize,
    },
}

impl<O: Outside> Reactor<O> {
    /// A reactor around its sockets.
    pub fn new(
        clock: Clock,
        exchange: Exchange,
        wires: Wires,
        inbox: Inbox,
        outside: O,
        options_every: Option<Duration>,
    ) -> std::io::Result<Reactor<O>> {
        let Wires { udp, local, tcp } = wires;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &udp,
            epoll::EventData::new_u64(0),
            epoll::EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            inbox.waker.fd(),
            epoll::EventData::new_u64(1),
            epoll::EventFlags::IN,
        )?;
        let now = clock.now().mono;
        Ok(Reactor {
            clock,
            exchange,
            udp,
            local,
            tcp,
            inbox,
            outside,
            epoll,
            send: SendBatch::new(DATAGRAMS_PER_BATCH),
            options_every,
            next_options: now,
            next_snapshot: now,
            unpublished: Turn::default(),
            publish_at: None,
        })
    }

    /// Runs until `stop` says when to end: from then on nothing new is taken, and live calls have
    /// until that instant.
    pub fn run(
        mut self,
        stop: &dyn Fn() -> Option<Duration>,
    ) -> std::io::Result<(Ended, Exchange, O)> {
        let mut receive = RecvBatch::new(DATAGRAMS_PER_BATCH, DATAGRAM_BYTES_MAX);
        let mut cut_off: Option<Mono> = None;
        loop {
            let mut is_busy = self.receive(&mut receive)?;
            is_busy |= self.take_inputs();
            let now = self.clock.now();
            self.timers(now);
            self.flush()?;
            if let Some(patience) = stop() {
                if cut_off.is_none() {
                    self.exchange.on_input(now, Input::Drain);
                    self.flush()?;
                }
                let until = now.mono + patience;
                cut_off = Some(cut_off.map_or(until, |at| at.min(until)));
            }
            if let Some(at) = cut_off {
                let calls = self.exchange.engine().live_calls();
                let is_quiet = calls == 0
                    && self.exchange.live_legs() == 0
                    && self.exchange.sip().live().1 == 0;
                if is_quiet || now.mono >= at {
                    self.exchange.on_input(now, Input::CutOff);
                    self.flush()?;
                    self.publish();
                    self.outside.snapshot(now, &self.exchange);
                    let ended = if calls == 0 {
                        Ended::Drained
                    } else {
                        Ended::CutOff { calls }
                    };
                    return Ok((ended, self.exchange, self.outside));
                }
            }
            if !is_busy {
                self.sleep(cut_off)?;
            }
        }
    }

    /// Reads datagrams; true if there may be more.
    fn receive(&mut self, batch: &mut RecvBatch) -> std::io::Result<bool> {
        for _ in 0..BATCHES_PER_TURN {
            let received = match batch.recv(&self.udp) {
                Ok(received) => received,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
                // An ICMP error of an earlier datagram; which one, the timers will find out.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            if received == 0 {
                return Ok(false);
            }
            let now = self.clock.now();
            for (remote, bytes) in batch.iter() {
                let hop = Hop {
                    transport: Transport::Udp,
                    local: self.local,
                    remote,
                };
                self.exchange.on_message(now, hop, bytes);
            }
            self.flush()?;
            if received < DATAGRAMS_PER_BATCH {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes from the channels; true if there may be more.
    fn take_inputs(&mut self) -> bool {
        self.inbox.waker.awake();
        let now = self.clock.now();
        let mut taken = 0;
        for input in self.inbox.inputs.try_iter().take(INPUTS_PER_TURN) {
            self.exchange.on_input(now, input);
            taken += 1;
        }
        let mut most = taken;
        taken = 0;
        for report in self.inbox.reports.try_iter().take(INPUTS_PER_TURN) {
            self.exchange.on_report(now, report);
            taken += 1;
        }
        most = most.max(taken);
        taken = 0;
        for fact in self.inbox.tcp_facts.try_iter().take(INPUTS_PER_TURN) {
            match fact {
                TcpFact::Received { hop, bytes } => self.exchange.on_message(now, hop, &bytes),
                TcpFact::Failed { hop } => self.exchange.on_hop_failed(now, hop),
            }
            taken += 1;
        }
        most.max(taken) >= INPUTS_PER_TURN
    }

    fn timers(&mut self, now: Now) {
        if let Some(at) = self.exchange.next_deadline().filter(|at| *at <= now.mono) {
            self.outside.late(now.mono.since(at));
            self.exchange.on_time(now);
        }
        if let Some(every) = self.options_every
            && now.mono >= self.next_options
        {
            self.next_options = now.mono + every;
            self.exchange.ping_trunks(now);
        }
        if self.publish_at.is_some_and(|at| now.mono >= at) {
            self.publish();
        }
        if now.mono >= self.next_snapshot {
            self.next_snapshot = now.mono + SNAPSHOT_EVERY;
            self.outside.snapshot(now, &self.exchange);
        }
    }

    /// Everything that came out of the exchange leaves. The claims and pops go first: an INVITE that
    /// depends on one is only ordered when its answer has come back as an input.
    fn flush(&mut self) -> std::io::Result<()> {
        let mut turn = self.exchange.take_turn();
        for command in turn.errands.drain(..) {
            self.outside.errand(command);
        }
        for (hop, bytes) in turn.send.drain(..) {
            match (hop.transport, &self.tcp) {
                (Transport::Udp, _) => {
                    if !self.send.push(hop.remote, &bytes) {
                        flush(&mut self.send, &self.udp)?;
                        if !self.send.push(hop.remote, &bytes) {
                            tracing::warn!(
                                "the SIP socket's buffer is full: a message waits for its retransmission"
                            );
                        }
                    }
                }
                (Transport::Tcp, Some(tcp)) => tcp.send(hop, bytes),
                (Transport::Tcp, None) => {
                    tracing::warn!(remote = %hop.remote, "SIP over TCP is off: a message was not sent")
                }
            }
        }
        flush(&mut self.send, &self.udp)?;
        for hop in turn.close.drain(..) {
            if let Some(tcp) = &self.tcp {
                tcp.close(hop);
            }
        }
        if !(turn.events.is_empty() && turn.inputs.is_empty() && turn.legs.is_empty()) {
            self.unpublished.events.append(&mut turn.events);
            self.unpublished.inputs.append(&mut turn.inputs);
            self.unpublished.legs.append(&mut turn.legs);
            if self.unpublished.events.len() >= PUBLISH_EVENTS {
                self.publish();
            } else if self.publish_at.is_none() {
                self.publish_at = Some(self.clock.now().mono + PUBLISH_EVERY);
            }
        }
        Ok(())
    }

    fn publish(&mut self) {
        self.publish_at = None;
        self.outside.publish(&mut self.unpublished);
    }

    fn sleep(&mut self, cut_off: Option<Mono>) -> std::io::Result<()> {
        let now = self.clock.now().mono;
        let mut until = now + SLEEP_MAX;
        let deadlines = [
            self.exchange.next_deadline(),
            Some(self.next_snapshot),
            cut_off,
            self.publish_at,
            self.options_every.map(|_| self.next_options),
        ];
        for at in deadlines.into_iter().flatten() {
            until = until.min(at);
        }
        let wait = until.since(now);
        if wait.is_zero() || !self.inbox.waker.may_sleep() {
            return Ok(());
        }
        let timeout = rustix::time::Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 2];
        match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
            Ok(count) => {
                if events[..count].iter().any(|event| event.data.u64() == 1) {
                    self.inbox.waker.clear();
                }
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Sends what waits. A full socket buffer keeps the rest for the next turn; what the kernel refuses
/// is sent again by the transaction that wants it to arrive.
fn flush(send: &mut SendBatch, socket: &UdpSocket) -> std::io::Result<()> {
    if send.is_empty() {
        return Ok(());
    }
    match send.flush(socket) {
        Ok(flushed) => {
            if flushed.failed > 0 {
                tracing::debug!(
                    failed = flushed.failed,
                    "datagrams were refused by the kernel"
                );
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}
