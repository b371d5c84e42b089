//! One media worker: a thread that owns the sockets of its legs.
//!
//! It never wakes for a packet. Every tick it sleeps to an absolute time, takes its orders, harvests
//! with one `epoll_wait` what arrived, relays each packet in place, and sends the prompts that are
//! due. Without legs it sleeps in its order channel. No packet costs an allocation, a lock or a log.
//!
//! ```text
//! sleep to the tick ─► orders ─► harvest: recv, judge, count, record, relay ─► prompts due ─► reports
//!        ▲                                                                                      │
//!        └──────────────── no leg: wait for an order ◄─────────────────────────────────────────┘
//! ```

use super::listening::Listening;
use super::recorder::{Block, ToRecorder};
use super::{LegCounters, MediaConfig, Order, Report, Reporter, Session, now_us};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError};
use media::dtmf::rfc4733;
use media::reception::{Arrival, Reception};
use media::relay::{Admission, Latch, Outgoing};
use media::rtp::{HEADER_BYTES, Packet};
use media::{Clip, Codec, FRAME_SAMPLES, FRAME_US};
use model::{LegId, PlayId, RecordingId, Rng};
use rustix::event::epoll;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest datagram taken whole; a longer one is no telephone audio and is counted as malformed.
const DATAGRAM_MAX: usize = 2048;

/// Sockets harvested with one call.
const EVENTS: usize = 512;

/// Harvests in one tick, so that a flood cannot keep prompts from being sent.
const HARVESTS_MAX: usize = 8;

/// Datagrams looked at when a socket becomes connected: more than its default receive buffer holds.
/// They arrived before the kernel began to filter the source.
const DRAIN_MAX: usize = 1024;

/// Orders taken in one tick.
const ORDERS_PER_TICK: usize = 1024;

/// Without a packet and a prompt for so many ticks, the worker skips ticks: legs that are held, or
/// whose peers send nothing, cost a fifth.
const QUIET_TICKS: u32 = 25;
/// So many ticks are slept through at once then: 10 ms of 2. The first packet and an order wait for it.
const QUIET_STRIDE: u64 = 5;

/// How often every leg is looked at for timeouts.
const SCAN_US: u64 = 100_000;

/// A leg we sent nothing to for this long gets a packet of silence, so that address translators and
/// the peer's own timeout keep the path (RFC 6263 §4.1: 15 s).
const KEEPALIVE_US: u64 = 15_000_000;

/// Prompt packets sent late at most, in ticks of the schedule, after the thread was not run; beyond
/// that the schedule moves instead of bursting.
const CATCH_UP_TICKS: u64 = 50;

pub(super) struct Worker {
    orders: Receiver<Order>,
    reporter: Reporter,
    recorder: Sender<ToRecorder>,
    /// Begins and ends the recorder had no room for.
    recorder_waiting: VecDeque<ToRecorder>,
    epoll: OwnedFd,
    tick_us: u64,
    rtp_timeout_us: u64,
    core: Option<usize>,
    rng: Rng,
    /// A leg's index is its name in epoll; freed indices are used again, last freed first.
    legs: Vec<Option<Leg>>,
    free: Vec<usize>,
    by_id: BTreeMap<LegId, usize>,
    /// Legs that play, by the tick of the 20 ms in which their packet is due.
    wheel: Vec<Vec<usize>>,
    recordings: BTreeMap<RecordingId, Recorded>,
    ticked: u64,
    scanned_us: u64,
    /// Ticks since something arrived or was played.
    quiet: u32,
}

struct Leg {
    id: LegId,
    socket: UdpSocket,
    session: Session,
    latch: Latch,
    /// The kernel filters the source.
    connected: bool,
    /// What still waits in the socket may be from before it was connected.
    unfiltered: bool,
    out: Outgoing,
    reception: Reception,
    digits: rfc4733::Receiver,
    bridge: Option<usize>,
    play: Option<Play>,
    recording: Option<Channel>,
    /// While it is asked who answered.
    listening: Option<Box<Listening>>,
    opened_us: u64,
    /// Time without a packet while one was expected.
    silent_us: u64,
    lost_told: bool,
    counters: LegCounters,
}

struct Play {
    id: PlayId,
    clips: Vec<Arc<Clip>>,
    clip: usize,
    offset: usize,
    repeat: bool,
}

#[derive(Clone, Copy)]
struct Channel {
    recording: RecordingId,
    right: bool,
}

struct Recorded {
    left: LegId,
    right: LegId,
    dropped: u64,
}

enum Kind {
    Audio(Codec),
    Event,
    Other,
}

/// Whether the thread goes on.
enum Next {
    Go,
    End,
}

impl Worker {
    pub(super) fn new(
        config: &MediaConfig,
        n: usize,
        orders: Receiver<Order>,
        reporter: Reporter,
        recorder: Sender<ToRecorder>,
    ) -> io::Result<Worker> {
        // A whole number of ticks per packet, so that prompts keep their pace.
        let wanted = FRAME_US / (config.tick.as_micros() as u64).clamp(500, FRAME_US);
        let slots = (1..=wanted)
            .rev()
            .find(|n| FRAME_US.is_multiple_of(*n))
            .unwrap_or(1);
        let tick_us = FRAME_US / slots;
        Ok(Worker {
            orders,
            reporter,
            recorder,
            recorder_waiting: VecDeque::new(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            tick_us,
            rtp_timeout_us: config.rtp_timeout.as_micros() as u64,
            core: config.cores.get(n).copied(),
            rng: Rng::new(config.seed ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            legs: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            wheel: (0..slots).map(|_| Vec::new()).collect(),
            recordings: BTreeMap::new(),
            ticked: 0,
            scanned_us: 0,
            quiet: 0,
        })
    }

    pub(super) fn run(mut self) {
        if let Some(core) = self.core {
            let mut cores = rustix::thread::CpuSet::new();
            cores.set(core % rustix::thread::CpuSet::MAX_CPU);
            if let Err(error) = rustix::thread::sched_setaffinity(None, &cores) {
                tracing::warn!(core, %error, "a media worker is not pinned; check the configured cores");
            }
        }
        let nothing = epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        };
        let mut events = [nothing; EVENTS];
        let mut buffer = [0; DATAGRAM_MAX];
        let mut next_us = now_us();
        loop {
            let ordered = if self.by_id.is_empty() {
                let ordered = self.wait_for_order();
                // Nobody waited for these ticks.
                next_us = now_us();
                (self.ticked, self.scanned_us) = (next_us / self.tick_us, next_us);
                ordered
            } else {
                let stride = if self.quiet >= QUIET_TICKS {
                    QUIET_STRIDE
                } else {
                    1
                };
                next_us = sleep_until(next_us + stride * self.tick_us);
                Next::Go
            };
            let mut now = now_us();
            if matches!(ordered, Next::End) || matches!(self.take_orders(now), Next::End) {
                break;
            }
            let has_arrived = self.harvest(&mut events, &mut buffer, now);
            let is_playing = self.wheel.iter().any(|slot| !slot.is_empty());
            self.quiet = if has_arrived || is_playing {
                0
            } else {
                self.quiet.saturating_add(1)
            };
            now = now_us();
            self.play_due(now);
            if now >= self.scanned_us + SCAN_US {
                self.scan(now);
            }
            self.hand_over();
        }
        for index in 0..self.legs.len() {
            self.close(index);
        }
        // The recorder has room sooner or later: it ends after us.
        for message in std::mem::take(&mut self.recorder_waiting) {
            if self.recorder.send(message).is_err() {
                break;
            }
        }
        self.reporter.flush();
    }

    fn wait_for_order(&mut self) -> Next {
        let order = if self.reporter.is_empty() && self.recorder_waiting.is_empty() {
            self.orders
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            self.orders.recv_timeout(Duration::from_millis(10))
        };
        match order {
            Ok(order) => self.obey(order, now_us()),
            Err(RecvTimeoutError::Timeout) => Next::Go,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    fn take_orders(&mut self, now: u64) -> Next {
        for _ in 0..ORDERS_PER_TICK {
            match self.orders.try_recv() {
                Ok(order) => match self.obey(order, now) {
                    Next::Go => {}
                    Next::End => return Next::End,
                },
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Next::End,
            }
        }
        Next::Go
    }

    /// Orders for legs that are gone are without effect: they crossed the leg's end.
    fn obey(&mut self, order: Order, now: u64) -> Next {
        match order {
            Order::Open {
                leg,
                socket,
                session,
            } => self.open(leg, socket, session, now),
            Order::Change { leg, session } => {
                if let Some(leg) = self.leg(leg) {
                    leg.change(session);
                }
            }
            Order::Classify { leg, rang_ms } => {
                if let Some(leg) = self.leg(leg) {
                    leg.listening = Some(Box::new(Listening::new(rang_ms)));
                }
            }
            Order::Play {
                leg,
                play,
                clips,
                repeat,
            } => self.play(leg, play, clips, repeat),
            Order::StopPlay { leg, play } => {
                if let Some(&index) = self.by_id.get(&leg)
                    && self.legs[index].as_ref().is_some_and(|l| l.plays(play))
                {
                    self.stop_play(index);
                }
            }
            Order::Bridge { a, b } => {
                if let (Some(&a), Some(&b)) = (self.by_id.get(&a), self.by_id.get(&b))
                    && a != b
                {
                    self.unbridge(a);
                    self.unbridge(b);
                    for (index, other) in [(a, b), (b, a)] {
                        self.stop_play(index);
                        let leg = self.legs[index].as_mut().expect("by_id names live legs");
                        leg.bridge = Some(other);
                        leg.out.switch();
                    }
                }
            }
            Order::Unbridge { a, b } => {
                if let (Some(&a), Some(&b)) = (self.by_id.get(&a), self.by_id.get(&b))
                    && self.legs[a].as_ref().is_some_and(|l| l.bridge == Some(b))
                {
                    self.unbridge(a);
                }
            }
            Order::Record {
                recording,
                left,
                right,
                file,
            } => self.record(recording, left, right, file, now),
            Order::StopRecord { recording } => self.stop_record(recording, now),
            Order::Close { leg } => {
                if let Some(&index) = self.by_id.get(&leg) {
                    self.close(index);
                }
            }
            Order::Stop => return Next::End,
        }
        Next::Go
    }

    fn leg(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs[*self.by_id.get(&id)?].as_mut()
    }

    fn open(&mut self, id: LegId, socket: UdpSocket, session: Session, now: u64) {
        if let Some(&index) = self.by_id.get(&id) {
            self.close(index);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.legs.push(None);
            self.legs.len() - 1
        });
        let numbers = self.rng.next_u64();
        let mut leg = Leg {
            id,
            session,
            latch: Latch::new(session.remote, session.latch),
            connected: false,
            unfiltered: false,
            out: Outgoing::new(
                numbers as u32,
                (numbers >> 32) as u16,
                self.rng.next_u64() as u32,
            ),
            reception: Reception::default(),
            digits: rfc4733::Receiver::default(),
            bridge: None,
            play: None,
            recording: None,
            listening: None,
            opened_us: now,
            silent_us: 0,
            lost_told: false,
            counters: LegCounters::default(),
            socket,
        };
        leg.filter();
        let data = epoll::EventData::new_u64(index as u64);
        if let Err(error) = epoll::add(&self.epoll, &leg.socket, data, epoll::EventFlags::IN) {
            // Without events the leg is deaf, but it can still be played to; its timeout will tell.
            tracing::error!(leg = %id, %error, "a media socket cannot be watched");
        }
        self.legs[index] = Some(leg);
        self.by_id.insert(id, index);
    }

    fn close(&mut self, index: usize) {
        self.unbridge(index);
        self.stop_play(index);
        let Some(leg) = self.legs[index].take() else {
            return;
        };
        self.by_id.remove(&leg.id);
        self.free.push(index);
        let mut counters = leg.counters;
        counters.received = leg.reception.received();
        counters.lost = leg.reception.lost();
        counters.jitter_us = leg.reception.jitter_us();
        self.reporter.report(Report::Closed {
            leg: leg.id,
            counters,
        });
        if let Some(channel) = leg.recording
            && let Some(recorded) = self.recordings.get(&channel.recording)
            && !self.by_id.contains_key(&recorded.left)
            && !self.by_id.contains_key(&recorded.right)
        {
            self.stop_record(channel.recording, now_us());
        }
        // Dropping the leg closes its socket, which also takes it out of the epoll.
    }

    fn play(&mut self, id: LegId, play: PlayId, clips: Vec<Arc<Clip>>, repeat: bool) {
        let Some(&index) = self.by_id.get(&id) else {
            return;
        };
        self.stop_play(index);
        if clips.iter().all(|c| c.samples() == 0) {
            // An endless loop of nothing would never end.
            self.reporter
                .report(Report::PromptFinished { leg: id, play });
            return;
        }
        let leg = self.legs[index].as_mut().expect("by_id names live legs");
        leg.play = Some(Play {
            id: play,
            clips,
            clip: 0,
            offset: 0,
            repeat,
        });
        let slot = index % self.wheel.len();
        self.wheel[slot].push(index);
    }

    fn stop_play(&mut self, index: usize) {
        if let Some(leg) = &mut self.legs[index]
            && leg.play.take().is_some()
        {
            let slot = index % self.wheel.len();
            self.wheel[slot].retain(|i| *i != index);
        }
    }

    fn unbridge(&mut self, index: usize) {
        let Some(other) = self.legs[index].as_mut().and_then(|l| l.bridge.take()) else {
            return;
        };
        if let Some(other) = &mut self.legs[other] {
            other.bridge = None;
        }
    }

    fn record(
        &mut self,
        recording: RecordingId,
        left: LegId,
        right: LegId,
        file: PathBuf,
        now: u64,
    ) {
        if !self.by_id.contains_key(&left) && !self.by_id.contains_key(&right) {
            let why = "both legs are gone".to_owned();
            self.reporter
                .report(Report::RecordFailed { recording, why });
            return;
        }
        for (id, right) in [(left, false), (right, true)] {
            if let Some(leg) = self.leg(id) {
                leg.recording = Some(Channel { recording, right });
            }
        }
        self.recordings.insert(
            recording,
            Recorded {
                left,
                right,
                dropped: 0,
            },
        );
        self.tell_recorder(ToRecorder::Begin {
            recording,
            file,
            at_us: now,
        });
    }

    fn stop_record(&mut self, recording: RecordingId, now: u64) {
        let Some(recorded) = self.recordings.remove(&recording) else {
            return;
        };
        for id in [recorded.left, recorded.right] {
            if let Some(leg) = self.leg(id)
                && leg.recording.is_some_and(|c| c.recording == recording)
            {
                leg.recording = None;
            }
        }
        self.tell_recorder(ToRecorder::End {
            recording,
            at_us: now,
            dropped: recorded.dropped,
        });
    }

    fn tell_recorder(&mut self, message: ToRecorder) {
        self.recorder_waiting.push_back(message);
        self.hand_over();
    }

    fn hand_over(&mut self) {
        while let Some(message) = self.recorder_waiting.pop_front() {
            match self.recorder.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => {
                    self.recorder_waiting.push_front(message);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => self.recorder_waiting.clear(),
            }
        }
        self.reporter.flush();
    }

    /// Takes what arrived; whether there was anything.
    fn harvest(
        &mut self,
        events: &mut [epoll::Event],
        buffer: &mut [u8; DATAGRAM_MAX],
        now: u64,
    ) -> bool {
        let mut has_arrived = false;
        for _ in 0..HARVESTS_MAX {
            let none = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let got = match epoll::wait(&self.epoll, &mut *events, Some(&none)) {
                Ok(got) => got,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => panic!("our own epoll instance always can be asked: {error}"),
            };
            has_arrived |= got > 0;
            for event in &events[..got] {
                self.receive(event.data.u64() as usize, buffer, now);
            }
            // Level-triggered: what stays in a socket is told again, next tick at the latest.
            if got < EVENTS {
                break;
            }
        }
        has_arrived
    }

    /// Takes one datagram of a leg; all of them while they may be from before the kernel's filter.
    fn receive(&mut self, index: usize, buffer: &mut [u8; DATAGRAM_MAX], now: u64) {
        for _ in 0..DRAIN_MAX {
            let Some(leg) = &mut self.legs[index] else {
                return;
            };
            let received = if leg.connected && !leg.unfiltered {
                leg.socket.recv(buffer).map(|n| (n, None))
            } else {
                leg.socket
                    .recv_from(buffer)
                    .map(|(n, from)| (n, Some(from)))
            };
            match received {
                Ok((n, from)) => self.packet(index, &mut buffer[..n], from, now),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    leg.unfiltered = false;
                    return;
                }
                // An ICMP error of something we sent: the peer is not there yet, or no more.
                Err(_) => {}
            }
            if !self.legs[index].as_ref().is_some_and(|l| l.unfiltered) {
                return;
            }
        }
        if let Some(leg) = &mut self.legs[index] {
            leg.unfiltered = false;
        }
    }

    fn packet(&mut self, index: usize, bytes: &mut [u8], from: Option<SocketAddr>, now: u64) {
        let Some(leg) = &mut self.legs[index] else {
            return;
        };
        let packet = match Packet::parse(bytes) {
            Ok(packet) if bytes.len() < DATAGRAM_MAX => packet,
            Ok(_) | Err(_) => {
                leg.counters.malformed += 1;
                return;
            }
        };
        let (ssrc, sequence, timestamp) = (packet.ssrc(), packet.sequence(), packet.timestamp());
        if let Some(from) = from {
            match leg.latch.admit(from, ssrc, sequence) {
                Admission::Accept => {}
                Admission::Refuse => {
                    leg.counters.refused += 1;
                    return;
                }
                Admission::Locked(_) => leg.filter(),
            }
        }
        leg.silent_us = 0;
        leg.lost_told = false;
        let kind = leg.kind(packet.payload_type());
        let arrival = match kind {
            Kind::Audio(codec) => {
                if let Some(channel) = leg.recording {
                    let dropped = record(
                        &self.recorder,
                        channel,
                        codec,
                        now,
                        ssrc,
                        timestamp,
                        packet.payload(),
                    );
                    if dropped > 0
                        && let Some(recorded) = self.recordings.get_mut(&channel.recording)
                    {
                        recorded.dropped += dropped;
                    }
                }
                if let Some(listening) = &mut leg.listening {
                    if let Some(verdict) = listening.packet(codec, &packet) {
                        self.reporter.report(Report::LegClassified {
                            leg: leg.id,
                            verdict,
                        });
                    }
                    if listening.is_done() {
                        leg.listening = None;
                    }
                }
                leg.reception.packet(now, ssrc, sequence, timestamp)
            }
            Kind::Event => {
                let (id, reporter) = (leg.id, &mut self.reporter);
                leg.digits
                    .packet(ssrc, timestamp, packet.payload(), |digit| {
                        reporter.digit(Report::Digit { leg: id, digit });
                    });
                leg.reception.event(ssrc, sequence)
            }
            Kind::Other => leg.reception.event(ssrc, sequence),
        };
        let Some(other) = leg.bridge else { return };
        let Some(other) = &mut self.legs[other] else {
            return;
        };
        // What plays to a bridged leg goes before the other side.
        if !other.session.send || other.play.is_some() {
            return;
        }
        match arrival {
            // The source began anew, and so does our numbering of it.
            Arrival::First => other.out.switch(),
            Arrival::InOrder | Arrival::Late => {}
            // One packet far from its stream: its numbers would look like a restart of ours.
            Arrival::Jump => return,
        }
        let to = other.session;
        let goes = match (kind, to.telephone_event) {
            (Kind::Audio(codec), _) => {
                other
                    .out
                    .relay(now, bytes, codec, to.codec, to.payload_type)
            }
            (Kind::Event, Some(payload_type)) => other.out.relay_event(now, bytes, payload_type),
            (Kind::Event, None) | (Kind::Other, _) => {
                other.out.skip(ssrc);
                false
            }
        };
        if goes {
            other.send(bytes);
        }
    }

    fn play_due(&mut self, now: u64) {
        let tick = now / self.tick_us;
        self.ticked = self.ticked.max(tick.saturating_sub(CATCH_UP_TICKS));
        while self.ticked < tick {
            self.ticked += 1;
            let slot = (self.ticked % self.wheel.len() as u64) as usize;
            // By position: a play that ends takes its leg out of this slot.
            let mut at = 0;
            while let Some(&index) = self.wheel[slot].get(at) {
                let leg = self.legs[index]
                    .as_mut()
                    .expect("the wheel names live legs");
                match leg.play_frame(now) {
                    Some(play) => {
                        let id = leg.id;
                        self.stop_play(index);
                        self.reporter
                            .report(Report::PromptFinished { leg: id, play });
                    }
                    None => at += 1,
                }
            }
        }
    }

    fn scan(&mut self, now: u64) {
        let passed = now - self.scanned_us;
        self.scanned_us = now;
        for leg in self.legs.iter_mut().flatten() {
            // Nothing is expected of a peer that put us on hold.
            if leg.session.send && (leg.bridge.is_some() || leg.play.is_some()) {
                leg.silent_us += passed;
                if leg.silent_us >= self.rtp_timeout_us && !leg.lost_told {
                    leg.lost_told = true;
                    self.reporter.report(Report::MediaLost { leg: leg.id });
                }
            }
            let sent_us = leg.out.sent_at_us().max(leg.opened_us);
            if leg.session.send && now.saturating_sub(sent_us) >= KEEPALIVE_US {
                leg.silence(now);
            }
        }
    }
}

impl Leg {
    fn kind(&self, payload_type: u8) -> Kind {
        // Peers may send any codec both sides named; both laws always are.
        match payload_type {
            t if Some(t) == self.session.telephone_event => Kind::Event,
            t if t == self.session.payload_type => Kind::Audio(self.session.codec),
            0 => Kind::Audio(Codec::Pcmu),
            8 => Kind::Audio(Codec::Pcma),
            _ => Kind::Other,
        }
    }

    fn plays(&self, play: PlayId) -> bool {
        self.play.as_ref().is_some_and(|p| p.id == play)
    }

    /// Lets the kernel filter the source, once it is settled.
    fn filter(&mut self) {
        if self.latch.locked() {
            self.connected = self.socket.connect(self.latch.remote()).is_ok();
            self.unfiltered = true;
        }
    }

    fn change(&mut self, session: Session) {
        let old = std::mem::replace(&mut self.session, session);
        if old.remote == session.remote && old.latch == session.latch {
            return;
        }
        self.latch = Latch::new(session.remote, session.latch);
        if self.connected && !self.latch.locked() {
            // Any source may come again. If that fails, only the old one is heard: safe, and the
            // timeout tells.
            self.connected = rustix::net::connect_unspec(&self.socket).is_err();
        }
        self.filter();
    }

    /// A failure is the network's: the receiver sees loss, and our own timeout ends dead calls.
    fn send(&mut self, bytes: &[u8]) {
        let sent = if self.connected {
            self.socket.send(bytes)
        } else {
            self.socket.send_to(bytes, self.latch.remote())
        };
        if sent.is_ok() {
            self.counters.sent += 1;
        }
    }

    fn silence(&mut self, now: u64) {
        let mut packet = [self.session.codec.silence(); HEADER_BYTES + FRAME_SAMPLES];
        self.own(now, &mut packet);
    }

    fn own(&mut self, now: u64, packet: &mut [u8; HEADER_BYTES + FRAME_SAMPLES]) {
        let head = packet.first_chunk_mut().expect("it begins with a header");
        self.out
            .own(now, FRAME_SAMPLES as u32, self.session.payload_type, head);
        self.send(packet);
    }

    /// Sends the next 20 ms of what plays; or, at its end, says what ended.
    fn play_frame(&mut self, now: u64) -> Option<PlayId> {
        let codec = self.session.codec;
        let mut packet = [codec.silence(); HEADER_BYTES + FRAME_SAMPLES];
        let play = self.play.as_mut().expect("the wheel names legs that play");
        if !play.fill(codec, &mut packet[HEADER_BYTES..]) {
            return Some(play.id);
        }
        if self.session.send {
            self.own(now, &mut packet);
        }
        None
    }
}

impl Play {
    /// Fills in what plays next, over the borders of clips; what is left stays silence. `false` at the
    /// end, when there is nothing left to fill in.
    fn fill(&mut self, codec: Codec, mut out: &mut [u8]) -> bool {
        let room = out.len();
        while !out.is_empty() {
            let Some(clip) = self.clips.get(self.clip) else {
                if !self.repeat {
                    break;
                }
                self.clip = 0;
                continue;
            };
            let rest = &clip.bytes(codec)[self.offset..];
            let n = rest.len().min(out.len());
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&rest[..n]);
            out = later;
            self.offset += n;
            if n == rest.len() {
                (self.clip, self.offset) = (self.clip + 1, 0);
            }
        }
        out.len() < room
    }
}

/// Copies a payload into blocks; returns how many the recorder had no room for.
fn record(
    recorder: &Sender<ToRecorder>,
    channel: Channel,
    codec: Codec,
    at_us: u64,
    ssrc: u32,
    timestamp: u32,
    payload: &[u8],
) -> u64 {
    let mut dropped = 0;
    for (n, piece) in payload.chunks(FRAME_SAMPLES).enumerate() {
        let mut block = Block {
            recording: channel.recording,
            right: channel.right,
            codec,
            at_us,
            ssrc,
            timestamp: timestamp.wrapping_add((n * FRAME_SAMPLES) as u32),
            len: piece.len() as u8,
            bytes: [0; FRAME_SAMPLES],
        };
        block.bytes[..piece.len()].copy_from_slice(piece);
        if recorder.try_send(ToRecorder::Audio(block)).is_err() {
            dropped += 1;
        }
    }
    dropped
}

/// Sleeps to an absolute time and returns it; if that is long past, does not sleep and goes on from
/// now, so that lost ticks are not made up for one by one.
fn sleep_until(us: u64) -> u64 {
    let now = now_us();
    if now >= us {
        return now;
    }
    let until = rustix::time::Timespec {
        tv_sec: (us / 1_000_000) as i64,
        tv_nsec: (us % 1_000_000 * 1000) as _,
    };
    // A signal cuts it short: an early tick harms nothing.
    match rustix::thread::clock_nanosleep_absolute(rustix::thread::ClockId::Monotonic, &until) {
        Ok(()) | Err(_) => us,
    }
}
