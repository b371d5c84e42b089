//! RTP on the wire: worker threads that own sockets, bridges, prompts and recordings.
//!
//! The control thread sends [`Order`]s over a bounded channel; workers send [`Report`]s back. No
//! packet ever passes the control thread.
//!
//! Read [`Media`] (starting, routing, stopping), then `worker.rs` (a tick) and `leg.rs`, then what it uses:
//! sockets from [`ports`], clips from [`prompts`], files by `recorder.rs`, who answered by `listening.rs`.
//! There is no RTCP yet: what arrives on the RTP port is dropped, and nobody listens on the port above.

mod leg;
mod listening;
pub mod ports;
pub mod prompts;
mod recorder;
mod worker;

use crate::net::waker as net;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use media::Clip;
use model::event::Verdict;
use model::heard;
use model::{LegId, PlayId, RecordingId};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// The negotiated media of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where we send. From the peer's SDP.
    pub remote: SocketAddr,
    /// G.711 µ (payload type 0) or A (8), or any dynamic number for them.
    pub codec: media::Codec,
    /// The payload type of the codec, as the peer wants to receive it.
    pub payload_type: u8,
    /// The payload type of telephone-event, if negotiated.
    pub telephone_event: Option<u8>,
    /// We may send (the peer's direction is sendrecv or recvonly).
    pub send: bool,
    /// Accept another source address than `remote` after consecutive packets of one SSRC, then lock
    /// (phones behind NAT). Otherwise the source must be `remote`.
    pub latch: bool,
}

/// What a worker is told.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum Order {
    /// A leg begins. The socket is bound, non-blocking; the worker owns it from now on. Hears
    /// silence until something plays or it is bridged.
    Open {
        leg: LegId,
        socket: UdpSocket,
        session: Session,
    },
    /// A re-INVITE changed the session.
    Change { leg: LegId, session: Session },
    /// The leg has early media: tell what the network plays.
    Listen { leg: LegId },
    /// The leg has answered after ringing for so long: tell who it is.
    Classify { leg: LegId, rang_ms: Option<u32> },
    /// Play clips one after another; replaces what plays. `PromptFinished` unless `repeat`.
    Play {
        leg: LegId,
        play: PlayId,
        clips: Vec<Arc<Clip>>,
        repeat: bool,
    },
    /// Stop that play, if it still plays.
    StopPlay { leg: LegId, play: PlayId },
    /// Let two legs hear each other. Stops what plays on both.
    Bridge { a: LegId, b: LegId },
    /// Part them.
    Unbridge { a: LegId, b: LegId },
    /// Two-channel WAV: `left` and `right` are legs.
    Record {
        recording: RecordingId,
        left: LegId,
        right: LegId,
        file: PathBuf,
    },
    /// End it.
    StopRecord { recording: RecordingId },
    /// The leg is over: its socket closes, within 100 ms where nothing else is heard; `Closed` tells its counters.
    Close { leg: LegId },
    /// End the thread after closing everything.
    Stop,
}

/// What a worker tells.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum Report {
    /// One key press, once (RFC 4733).
    Digit { leg: LegId, digit: char },
    /// The first utterance of whoever answered a leg that was asked about, as far as it is known now.
    GreetingHeard {
        leg: LegId,
        greeting: media::detect::Greeting,
    },
    /// Who answered it; a machine may come after a person, if it was one after all.
    LegClassified {
        leg: LegId,
        verdict: Verdict,
        evidence: heard::Evidence,
    },
    /// That it was a machine, if whoever was taken for a person hangs up now, and why; or not.
    LegSuspected {
        leg: LegId,
        evidence: Option<heard::Evidence>,
    },
    /// What the network or a fax machine plays on it, or played before the answer.
    ToneHeard { leg: LegId, tone: heard::Tone },
    /// The beep of the machine that answered is over.
    BeepEnded { leg: LegId },
    /// A play reached its end.
    PromptFinished { leg: LegId, play: PlayId },
    /// No packet for the configured time.
    MediaLost { leg: LegId },
    /// The recording is on disk.
    Recorded {
        recording: RecordingId,
        file: PathBuf,
        seconds: f64,
    },
    /// It could not be written.
    RecordFailed { recording: RecordingId, why: String },
    /// What a leg counted.
    Closed { leg: LegId, counters: LegCounters },
}

/// Counted per leg.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegCounters {
    /// Packets received and accepted.
    pub received: u64,
    /// Packets expected by sequence numbers minus received.
    pub lost: u64,
    /// Packets sent.
    pub sent: u64,
    /// From another source than allowed.
    pub refused: u64,
    /// Not RTP, or a broken header.
    pub malformed: u64,
    /// Interarrival jitter at the end, in µs (RFC 3550 §6.4.1).
    pub jitter_us: u32,
}

/// Orders that may wait for one worker. It takes all of them every tick, so this many within 2 ms is
/// a control thread gone wild.
pub const ORDERS_MAX: usize = 4096;

/// Reports that may wait for the control thread; behind them the senders keep their own, so that
/// none is lost and no worker waits.
pub const REPORTS_MAX: usize = 16_384;

/// Audio blocks that may wait for the writer thread: 1 MB, and over a second of 30 recordings. What
/// does not fit is dropped, counted, and is silence in the file.
pub const RECORDER_BLOCKS_MAX: usize = 4096;

/// Called after reports were put into the channel, from a media thread: wakes the control thread
/// where it sleeps in something else than the channel. Must not block.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// How media runs.
#[derive(Clone)]
pub struct MediaConfig {
    /// Worker threads, at least 1; what a call costs one is in docs/performance.md.
    pub workers: usize,
    /// The core each worker is pinned to, by position; workers beyond the list are not pinned.
    pub cores: Vec<usize>,
    /// How often a worker looks at its sockets. Longer costs delay, shorter costs processor time.
    pub tick: Duration,
    /// A leg that is bridged or played to and sends nothing for this long is lost.
    pub rtp_timeout: Duration,
    /// Makes SSRCs and first sequence numbers unpredictable; from the system's randomness.
    pub seed: u64,
    /// See [`Waker`].
    pub waker: Waker,
}

impl Default for MediaConfig {
    fn default() -> MediaConfig {
        MediaConfig {
            workers: 1,
            cores: Vec::new(),
            tick: Duration::from_millis(2),
            rtp_timeout: Duration::from_secs(30),
            seed: 0,
            waker: Arc::new(|| {}),
        }
    }
}

/// Why an order was not taken. The order comes back: it owns a socket or clips.
#[derive(Debug, Error)]
pub enum OrderError {
    /// [`ORDERS_MAX`] orders wait already.
    #[error("the media worker has too many orders waiting")]
    Full(Box<Order>),
    /// The worker has ended.
    #[error("the media worker has ended")]
    Stopped(Box<Order>),
    /// The leg was never opened, or is closed.
    #[error("no such leg")]
    NoLeg(Box<Order>),
    /// The two legs of a bridge or recording live on different workers: see [`Media::place`].
    #[error("the two legs live on different media workers")]
    Apart(Box<Order>),
}

/// One worker thread, from outside.
struct Worker {
    orders: Sender<Order>,
    waker: net::Waker,
    legs: usize,
}

/// The running media threads, as the control thread holds them.
///
/// Two legs that are ever bridged or recorded together must live on the same worker: [`Media::place`]
/// the second near the first before it is opened. Other legs go where the fewest are.
pub struct Media {
    workers: Vec<Worker>,
    threads: Vec<JoinHandle<()>>,
    recorder: Option<(Sender<recorder::ToRecorder>, JoinHandle<()>)>,
    legs: BTreeMap<LegId, usize>,
}

impl Media {
    /// Starts the workers and the recorder.
    ///
    /// # Errors
    /// A thread or an epoll instance cannot be made.
    pub fn start(config: MediaConfig) -> io::Result<(Media, Receiver<Report>)> {
        let (reports, receiver) = bounded(REPORTS_MAX);
        let (blocks, blocks_of) = bounded(RECORDER_BLOCKS_MAX);
        let reporter = || Reporter::new(&reports, &config.waker);
        let recorder = recorder::Recorder::new(blocks_of, reporter());
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || recorder.run())?;
        let count = config.workers.max(1);
        let mut media = Media {
            workers: Vec::new(),
            threads: Vec::new(),
            recorder: Some((blocks.clone(), thread)),
            legs: BTreeMap::new(),
        };
        for n in 0..count {
            let (orders, orders_of) = bounded(ORDERS_MAX);
            let waker = net::Waker::new()?;
            let worker = worker::Worker::new(
                &config,
                n,
                (orders_of, waker.clone()),
                reporter(),
                blocks.clone(),
            )?;
            media.workers.push(Worker {
                orders,
                waker,
                legs: 0,
            });
            let name = format!("media-{n}");
            media.threads.push(
                std::thread::Builder::new()
                    .name(name)
                    .spawn(move || worker.run())?,
            );
        }
        Ok((media, receiver))
    }

    /// Says on which worker a leg will live: that of `near`, or the one with the fewest legs. A leg
    /// already placed stays where it is.
    pub fn place(&mut self, leg: LegId, near: Option<LegId>) {
        if self.legs.contains_key(&leg) {
            return;
        }
        let fewest = (0..self.workers.len())
            .min_by_key(|n| self.workers[*n].legs)
            .expect("there is a worker");
        let worker = near
            .and_then(|n| self.legs.get(&n).copied())
            .unwrap_or(fewest);
        self.legs.insert(leg, worker);
        self.workers[worker].legs += 1;
    }

    /// Gives an order to the worker of `leg`, without waiting. `Open` places the leg if nobody did;
    /// `Close` forgets it; `Stop` goes to every worker, whatever the leg.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn order(&mut self, leg: LegId, order: Order) -> Result<(), OrderError> {
        let other = match &order {
            Order::Open { leg, .. } => {
                self.place(*leg, None);
                None
            }
            Order::Bridge { a, b }
            | Order::Record {
                left: a, right: b, ..
            } => Some((*a, *b)),
            Order::Change { .. }
            | Order::Listen { .. }
            | Order::Classify { .. }
            | Order::Play { .. }
            | Order::StopPlay { .. }
            | Order::Unbridge { .. }
            | Order::StopRecord { .. }
            | Order::Close { .. } => None,
            Order::Stop => {
                for worker in &self.workers {
                    send(worker, Order::Stop)?;
                }
                return Ok(());
            }
        };
        if let Some((a, b)) = other
            && let (Some(on_a), Some(on_b)) = (self.legs.get(&a), self.legs.get(&b))
            && on_a != on_b
        {
            return Err(OrderError::Apart(Box::new(order)));
        }
        let Some(&worker) = self.legs.get(&leg) else {
            return Err(OrderError::NoLeg(Box::new(order)));
        };
        let closes = if let Order::Close { leg } = &order {
            Some(*leg)
        } else {
            None
        };
        send(&self.workers[worker], order)?;
        if let Some(leg) = closes
            && self.legs.remove(&leg).is_some()
        {
            self.workers[worker].legs -= 1;
        }
        Ok(())
    }

    /// Closes every leg, finishes every recording, and waits for the threads. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        // A worker whose channel is gone stops as if told to.
        for Worker { orders, waker, .. } in self.workers.drain(..) {
            drop(orders);
            waker.wake();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a media worker had panicked");
            }
        }
        if let Some((blocks, thread)) = self.recorder.take() {
            drop(blocks);
            if thread.join().is_err() {
                tracing::error!("the recorder had panicked");
            }
        }
    }
}

fn send(worker: &Worker, order: Order) -> Result<(), OrderError> {
    // What begins or ends without anything to be heard is not worth a wake: a worker with audio is
    // awake, one that plays looks every 20 ms, any other every 100 ms; and whatever a leg is to hear
    // comes with an order that wakes it.
    let waits = match &order {
        Order::Open { .. } => worker.legs > 1,
        Order::Close { .. } | Order::StopPlay { .. } | Order::Unbridge { .. } => true,
        // A verdict is waited for.
        Order::Listen { .. }
        | Order::Classify { .. }
        | Order::Change { .. }
        | Order::Play { .. }
        | Order::Bridge { .. }
        | Order::Record { .. }
        | Order::StopRecord { .. }
        | Order::Stop => false,
    };
    worker.orders.try_send(order).map_err(|e| match e {
        TrySendError::Full(order) => OrderError::Full(Box::new(order)),
        TrySendError::Disconnected(order) => OrderError::Stopped(Box::new(order)),
    })?;
    if !waits {
        worker.waker.wake();
    }
    Ok(())
}

/// Where reports go: into the channel if there is room, else they wait here. Never blocks.
struct Reporter {
    reports: Sender<Report>,
    waker: Waker,
    waiting: VecDeque<Report>,
}

impl Reporter {
    fn new(reports: &Sender<Report>, waker: &Waker) -> Reporter {
        Reporter {
            reports: reports.clone(),
            waker: waker.clone(),
            waiting: VecDeque::new(),
        }
    }

    fn report(&mut self, report: Report) {
        self.waiting.push_back(report);
    }

    /// As [`Reporter::report`]; but digits, which a peer can send as fast as it likes, are dropped
    /// while the control thread is far behind.
    fn digit(&mut self, report: Report) {
        if self.waiting.len() < REPORTS_MAX {
            self.report(report);
        }
    }

    /// What was heard on a leg. The greeting first: the verdict counts from where it ended.
    fn news(&mut self, leg: LegId, news: &listening::News) {
        if let Some(greeting) = news.greeting {
            self.report(Report::GreetingHeard { leg, greeting });
        }
        if let Some((verdict, evidence)) = &news.who {
            self.report(Report::LegClassified {
                leg,
                verdict: *verdict,
                evidence: listening::evidence_of(evidence),
            });
        }
        if let Some(suspicion) = &news.suspicion {
            self.report(Report::LegSuspected {
                leg,
                evidence: suspicion.as_ref().map(listening::evidence_of),
            });
        }
        if let Some(tone) = news.tone {
            self.report(Report::ToneHeard { leg, tone });
        }
        if news.beep_ended {
            self.report(Report::BeepEnded { leg });
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Hands over what fits, and wakes the control thread once; not for counters, which wait until
    /// it wakes for something else.
    fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let is_urgent = self.waiting.iter().any(|report| match report {
            Report::Closed { .. } => false,
            Report::Digit { .. }
            | Report::GreetingHeard { .. }
            | Report::LegClassified { .. }
            | Report::LegSuspected { .. }
            | Report::ToneHeard { .. }
            | Report::BeepEnded { .. }
            | Report::PromptFinished { .. }
            | Report::MediaLost { .. }
            | Report::Recorded { .. }
            | Report::RecordFailed { .. } => true,
        });
        while let Some(report) = self.waiting.pop_front() {
            match self.reports.try_send(report) {
                Ok(()) => {}
                Err(TrySendError::Full(report)) => {
                    self.waiting.push_front(report);
                    break;
                }
                // Nobody listens any more: the process ends.
                Err(TrySendError::Disconnected(_)) => self.waiting.clear(),
            }
        }
        if is_urgent {
            (self.waker)();
        }
    }
}

/// Microseconds of the monotonic clock.
fn now_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

#[cfg(test)]
mod tests;
