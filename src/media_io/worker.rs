//! One media worker: a thread that owns the sockets of its legs.
//!
//! While audio flows it never wakes for a packet. Every tick it sleeps to an absolute time, takes its
//! orders, harvests with one `epoll_wait` what arrived, relays each packet in place, and sends the
//! prompts that are due. Where no audio arrives it dozes in epoll until a packet, an order or a prompt
//! is due. No packet costs an allocation, a lock or a log.
//!
//! ```text
//! sleep to the tick ─► orders ─► harvest: recv, judge, count, record, relay ─► prompts due ─► reports
//!        ▲                                                                                      │
//!        └─────────────────────── nothing arrived lately: doze ◄───────────────────────────────┘
//! ```

use super::leg::{Channel, Kind, Leg, Play};
use super::listening::Listening;
use super::recorder::{Block, ToRecorder};
use super::{MediaConfig, Order, Report, Reporter, Session, now_us};
use crate::net::waker::Waker;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use media::reception::Arrival;
use media::relay::Admission;
use media::rtp::Packet;
use media::{Clip, Codec, FRAME_SAMPLES, FRAME_US};
use model::{LegId, PlayId, RecordingId, Rng};
use rustix::event::epoll;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

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

/// Without a packet for so many ticks (50 ms of 2), the worker dozes: legs that are held, or whose
/// peers send nothing, cost nothing. More than the 20 ms between two packets of a single leg.
const QUIET_TICKS: u32 = 25;

/// What the recorder or the control thread had no room for is handed over after this.
const HAND_OVER_US: u64 = 10_000;

/// The waker's name in epoll; no leg has this index.
const WAKER: u64 = u64::MAX;

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
    /// Rung for most orders.
    waker: Waker,
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
    /// Ticks since something arrived.
    quiet: u32,
}

struct Recorded {
    left: LegId,
    right: LegId,
    dropped: u64,
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
        (orders, waker): (Receiver<Order>, Waker),
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
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(WAKER);
        epoll::add(&epoll, waker.fd(), data, epoll::EventFlags::IN)?;
        Ok(Worker {
            orders,
            waker,
            reporter,
            recorder,
            recorder_waiting: VecDeque::new(),
            epoll,
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
            quiet: QUIET_TICKS,
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
            let got = if self.quiet >= QUIET_TICKS {
                let got = self.doze(&mut events);
                next_us = now_us();
                // Nobody waited for the time in between.
                if self.wheel.iter().all(Vec::is_empty) {
                    self.ticked = next_us / self.tick_us;
                }
                if self.by_id.is_empty() {
                    self.scanned_us = next_us;
                }
                Some(got)
            } else {
                next_us = sleep_until(next_us + self.tick_us);
                None
            };
            let mut now = now_us();
            if matches!(self.take_orders(now), Next::End) {
                break;
            }
            let has_arrived = self.harvest(&mut events, got, &mut buffer, now);
            self.quiet = if has_arrived {
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

    /// Sleeps until a packet arrives, somebody wakes it, or a prompt or a scan is due; returns how many
    /// sockets have something.
    fn doze(&mut self, events: &mut [epoll::Event]) -> usize {
        let now = now_us();
        let tick = now / self.tick_us;
        let slots = self.wheel.len() as u64;
        let first = self.ticked.max(tick.saturating_sub(slots)) + 1;
        let prompt = (first..=tick + slots)
            .find(|tick| !self.wheel[(tick % slots) as usize].is_empty())
            .map(|tick| tick * self.tick_us);
        let scan = (!self.by_id.is_empty()).then_some(self.scanned_us + SCAN_US);
        let retry = (!self.reporter.is_empty() || !self.recorder_waiting.is_empty())
            .then_some(now + HAND_OVER_US);
        let until = [prompt, scan, retry].into_iter().flatten().min();
        if !self.waker.may_sleep() {
            self.waker.awake();
            return 0;
        }
        let wait = until.map(|until| {
            let us = until.saturating_sub(now);
            rustix::time::Timespec {
                tv_sec: (us / 1_000_000) as i64,
                tv_nsec: (us % 1_000_000 * 1000) as _,
            }
        });
        let got = match epoll::wait(&self.epoll, &mut *events, wait.as_ref()) {
            Ok(got) => got,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => panic!("our own epoll instance always can be asked: {error}"),
        };
        self.waker.awake();
        got
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
            Order::Listen { leg } => {
                if let Some(leg) = self.leg(leg) {
                    leg.listening = Some(Box::new(Listening::early(now)));
                }
            }
            Order::Classify { leg, rang_ms } => {
                // What waits in the socket was sent before the answer.
                if let Some(&index) = self.by_id.get(&leg) {
                    self.receive(index, true, &mut [0; DATAGRAM_MAX], now);
                }
                if let Some(leg) = self.leg(leg) {
                    leg.listening = Some(Box::new(Listening::new(rang_ms, now)));
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
            Order::StopRecord { recording } => {
                self.take_what_waits(recording, now);
                self.stop_record(recording, now);
            }
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
        let numbers = [self.rng.next_u64(), self.rng.next_u64()];
        let leg = Leg::new(id, socket, session, numbers, now);
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

    /// What was said before the order to stop belongs into the recording.
    fn take_what_waits(&mut self, recording: RecordingId, now: u64) {
        let Some(recorded) = self.recordings.get(&recording) else {
            return;
        };
        let mut buffer = [0; DATAGRAM_MAX];
        for leg in [recorded.left, recorded.right] {
            if let Some(&index) = self.by_id.get(&leg) {
                self.receive(index, true, &mut buffer, now);
            }
        }
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

    /// Takes what arrived, beginning with the `asked` sockets that are known; whether there was anything.
    fn harvest(
        &mut self,
        events: &mut [epoll::Event],
        mut asked: Option<usize>,
        buffer: &mut [u8; DATAGRAM_MAX],
        now: u64,
    ) -> bool {
        let mut has_arrived = false;
        for _ in 0..HARVESTS_MAX {
            let none = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let got = match asked.take() {
                Some(got) => got,
                None => match epoll::wait(&self.epoll, &mut *events, Some(&none)) {
                    Ok(got) => got,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => panic!("our own epoll instance always can be asked: {error}"),
                },
            };
            for event in &events[..got] {
                match event.data.u64() {
                    WAKER => self.waker.clear(),
                    index => {
                        has_arrived = true;
                        // An order may have closed the leg since: then there is nothing to receive.
                        self.receive(index as usize, false, buffer, now);
                    }
                }
            }
            // Level-triggered: what stays in a socket is told again, next tick at the latest.
            if got < EVENTS {
                break;
            }
        }
        has_arrived
    }

    /// Takes one datagram of a leg, or all of them: always while they may be from before the kernel's filter.
    fn receive(&mut self, index: usize, all: bool, buffer: &mut [u8; DATAGRAM_MAX], now: u64) {
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
            if !all && !self.legs[index].as_ref().is_some_and(|l| l.unfiltered) {
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
                    let news = listening.packet(codec, &packet, now);
                    if listening.is_done() {
                        leg.listening = None;
                    }
                    self.reporter.news(leg.id, &news);
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
