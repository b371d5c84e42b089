//! Load for any SIP engine, and what it does to it: callers on one address, a carrier or agents'
//! phones on another, on one thread.
//!
//! The caller side calls a user at the engine under test; the callee side answers whatever comes from
//! there. From-user is the number of the call, so that an engine which passes it on can be timed end to
//! end. Voice carries a counter and its send time: loss and one-way delay are exact where G.711 passes
//! unchanged. Nothing here decides whether an engine is good; [`Figures`] are only numbers.

mod calls;
mod figures;
mod text;
mod voice;

pub use figures::{Delays, Figures, Samples, processor_s, resident_mb};

use anyhow::Context;
use calls::{Agent, Leg, State, Timer};
use model::Rng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Legs at once: more than any engine here carries on one core.
const LEGS_MAX: usize = 40_000;
/// Datagrams taken from one socket before the others get their turn.
const DATAGRAMS_PER_TURN: usize = 256;
/// Calls begun in one turn: a generator that was held up does not answer with a burst.
const CALLS_PER_TURN: usize = 20;
/// At the end, calls that are held until the end are hung up at this rate per second.
const HANG_UPS_PER_S: u64 = 200;
/// Calls that are not over so long after the end are left over.
const DRAIN: Duration = Duration::from_secs(40);
/// Callers hang up earlier than this by themselves, and the end waits for it.
const OWN_HANG_UP_MAX_MS: u64 = 5_000;
/// The longest sleep.
const SLEEP_MAX_NS: u64 = 2_000_000;

/// The side of callers.
const CALLER: usize = 0;
/// The side of the carrier or the agents.
const CALLEE: usize = 1;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The engine under test.
    pub engine: SocketAddr,
    /// SIP of the callers. Their RTP is on [`Plan::rtp_port`] of the same address.
    pub caller: SocketAddr,
    /// SIP of the callees.
    pub callee: SocketAddr,
    /// RTP of either side.
    pub rtp_port: u16,
    /// The user that is called.
    pub to: String,
    /// Calls begun per second; 0 none.
    pub rate: f64,
    /// Calls at once.
    pub calls_max: usize,
    /// Callers hang up so long after the answer, in ms; 0 at the end.
    pub hold_ms: u64,
    /// Callees hang up after so long, in ms; 0 never. Agents talk 0.5 to 1.5 times that.
    pub talk_ms: u64,
    /// Callees answer after so long, in ms.
    pub answer_ms: u64,
    /// How long calls are begun, in seconds.
    pub seconds: f64,
    /// The steady window begins then, in seconds.
    pub warm_up_s: f64,
    /// Both sides send G.711.
    pub media: bool,
    /// Agents `a000` and on; a busy one answers 486.
    pub agents: usize,
    /// The password of all agents, for an engine that challenges them.
    pub password: Option<String>,
    /// Register the agents first, and do nothing else where `rate` is 0.
    pub register: bool,
    /// Processes of the engine under test.
    pub pids: Vec<u32>,
}

/// Counted over the run.
#[derive(Debug, Default)]
struct Counts {
    begun: u64,
    answered: u64,
    failed: u64,
    ended: u64,
    resent: u64,
    callee_invites: u64,
    callee_answered: u64,
    callee_ended: u64,
    busy: u64,
    /// Requests or responses of the engine that came again.
    engine_resent: u64,
    not_sent: u64,
    rtp_sent: u64,
    rtp_received: u64,
    rtp_late: u64,
    rtp_astray: u64,
    rtp_lost: u64,
    rtp_expected: u64,
    registered: usize,
    refused: usize,
}

/// Sockets and address of one side.
struct Side {
    sip: UdpSocket,
    rtp: UdpSocket,
    local: SocketAddr,
    rtp_at: SocketAddr,
}

impl Side {
    fn open(local: SocketAddr, rtp_port: u16) -> anyhow::Result<Side> {
        let rtp_at = SocketAddr::new(local.ip(), rtp_port);
        let open = |at: SocketAddr| -> anyhow::Result<UdpSocket> {
            let socket = UdpSocket::bind(at).with_context(|| format!("cannot bind {at}"))?;
            socket.set_nonblocking(true)?;
            // The kernel's limit for anybody else may be lower; then it is what it is.
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&socket, 4 << 20)?;
            Ok(socket)
        };
        Ok(Side {
            sip: open(local)?,
            rtp: open(rtp_at)?,
            local,
            rtp_at,
        })
    }
}

/// A run.
pub struct Load {
    plan: Plan,
    sides: [Side; 2],
    origin: Instant,
    /// Part of every branch, tag and Call-ID: an engine keeps those of an earlier run for 32 s.
    seed: u32,
    rng: Rng,
    legs: Vec<Leg>,
    free: Vec<usize>,
    // Look-ups only.
    callee_legs: HashMap<String, usize>,
    timers: BinaryHeap<Reverse<(u64, usize, u32, Timer)>>,
    agents: Vec<Agent>,
    slots: Vec<Vec<usize>>,
    next_slot: usize,
    text: String,
    body: String,
    counts: Counts,
    codes: HashMap<u16, u64>,
    in_window: bool,
    delays: Delays,
    invite_to_answer: Samples,
    invite_to_callee: Samples,
    bye_to_answer: Samples,
    free_to_invite: Samples,
}

/// Processor time and packets at an instant.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: u64,
    processor_s: f64,
    sent: u64,
    received: u64,
}

impl Load {
    /// Opens the sockets.
    pub fn new(plan: Plan) -> anyhow::Result<Load> {
        let sides = [
            Side::open(plan.caller, plan.rtp_port)?,
            Side::open(plan.callee, plan.rtp_port)?,
        ];
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed =
            since.subsec_nanos() ^ (since.as_secs() as u32).rotate_left(8) ^ std::process::id();
        Ok(Load {
            agents: (0..plan.agents).map(|_| Agent::default()).collect(),
            plan,
            sides,
            origin: Instant::now(),
            seed,
            rng: Rng::new(u64::from(seed)),
            legs: Vec::new(),
            free: Vec::new(),
            callee_legs: HashMap::new(),
            timers: BinaryHeap::new(),
            slots: vec![Vec::new(); voice::SLOTS],
            next_slot: 0,
            text: String::new(),
            body: String::new(),
            counts: Counts::default(),
            codes: HashMap::new(),
            in_window: false,
            delays: Delays::default(),
            invite_to_answer: Samples::default(),
            invite_to_callee: Samples::default(),
            bye_to_answer: Samples::default(),
            free_to_invite: Samples::default(),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn mark(&self) -> Mark {
        Mark {
            at: self.now(),
            processor_s: processor_s(&self.plan.pids),
            sent: self.counts.rtp_sent,
            received: self.counts.rtp_received,
        }
    }

    fn live(&self) -> usize {
        self.legs.len() - self.free.len()
    }

    /// Runs to the end.
    pub fn run(mut self) -> anyhow::Result<Figures> {
        if self.plan.register {
            self.register_agents()?;
        }
        let (own_before, start) = (processor_s(&[std::process::id()]), self.mark());
        let after = |seconds: f64| start.at + (seconds * 1e9) as u64;
        let (warm, end) = (after(self.plan.warm_up_s), after(self.plan.seconds));
        let mut window: Option<Mark> = None;
        let mut closed: Option<(Mark, f64)> = None;
        let mut buffer = vec![0u8; 65_536];
        let (mut begun, mut hung_up, mut next_leg) = (0u64, 0u64, 0usize);
        let mut tick = start.at;
        loop {
            let now = self.now();
            if window.is_none() && now >= warm {
                window = Some(self.mark());
                self.in_window = true;
            }
            if closed.is_none() && now >= end {
                closed = Some((self.mark(), resident_mb(&self.plan.pids)));
                self.in_window = false;
            }
            match &closed {
                None => {
                    let wanted =
                        (now.saturating_sub(start.at) as f64 * self.plan.rate / 1e9) as u64;
                    for _ in 0..CALLS_PER_TURN {
                        if begun >= wanted {
                            break;
                        }
                        begun += 1;
                        let live = self.counts.begun - self.counts.ended - self.counts.failed;
                        if (live as usize) < self.plan.calls_max {
                            self.invite(now);
                        }
                    }
                }
                Some((mark, _)) => {
                    let holds = self.plan.hold_ms == 0 || self.plan.hold_ms > OWN_HANG_UP_MAX_MS;
                    let wanted = if holds {
                        now.saturating_sub(mark.at) * HANG_UPS_PER_S / 1_000_000_000
                    } else {
                        0
                    };
                    while hung_up < wanted && next_leg < self.legs.len() {
                        if self.legs[next_leg].side == CALLER
                            && self.legs[next_leg].state == State::Up
                        {
                            self.bye(next_leg, now);
                            hung_up += 1;
                        }
                        next_leg += 1;
                    }
                    if next_leg == self.legs.len() {
                        next_leg = 0;
                    }
                    if self.live() == 0 || now > mark.at + DRAIN.as_nanos() as u64 {
                        break;
                    }
                }
            }
            self.timers(now);
            if self.plan.media {
                while tick + voice::TICK_NS <= now {
                    tick += voice::TICK_NS;
                    if now - tick > voice::LATE_NS {
                        self.counts.rtp_late += 1;
                    }
                    self.send_slot((tick / voice::TICK_NS) as usize % voice::SLOTS);
                }
            }
            let mut until = now + SLEEP_MAX_NS;
            if self.plan.media {
                until = until.min(tick + voice::TICK_NS);
            }
            if let Some(Reverse((at, ..))) = self.timers.peek() {
                until = until.min(*at);
            }
            if closed.is_none() && self.plan.rate > 0.0 {
                until = until.min(start.at + ((begun + 1) as f64 / self.plan.rate * 1e9) as u64);
            }
            self.take_in(until, &mut buffer)?;
        }
        let total = self.mark();
        let own = processor_s(&[std::process::id()]) - own_before;
        let (closed, resident) = closed.expect("the loop ends after its window");
        Ok(self.figures(start, window.unwrap_or(start), closed, total, resident, own))
    }

    /// Sleeps until something comes, then takes a bounded number from each socket.
    fn take_in(&mut self, until: u64, buffer: &mut [u8]) -> anyhow::Result<()> {
        let wait = until.saturating_sub(self.now());
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(wait).unwrap_or(0).min(999_999_999),
        };
        let ready = {
            let mut fds = [
                PollFd::new(&self.sides[CALLER].sip, PollFlags::IN),
                PollFd::new(&self.sides[CALLEE].sip, PollFlags::IN),
                PollFd::new(&self.sides[CALLER].rtp, PollFlags::IN),
                PollFd::new(&self.sides[CALLEE].rtp, PollFlags::IN),
            ];
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            fds.map(|fd| !fd.revents().is_empty())
        };
        for (n, _) in ready.iter().enumerate().filter(|(_, is_ready)| **is_ready) {
            let (side, is_sip) = (n % 2, n < 2);
            for _ in 0..DATAGRAMS_PER_TURN {
                let socket = if is_sip {
                    &self.sides[side].sip
                } else {
                    &self.sides[side].rtp
                };
                match socket.recv_from(buffer) {
                    Ok((len, _)) if is_sip => self.message(side, &buffer[..len]),
                    Ok((len, _)) => self.packet(side, &buffer[..len]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    // An ICMP error of an earlier datagram.
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn figures(
        mut self,
        start: Mark,
        window: Mark,
        closed: Mark,
        total: Mark,
        resident: f64,
        own: f64,
    ) -> Figures {
        for leg in 0..self.legs.len() {
            self.fold_loss(leg);
        }
        let counts = &self.counts;
        let calls = counts.answered;
        let per = |sum: f64, of: f64| (of > 0.0).then_some(sum / of);
        let seconds = |from: Mark, to: Mark| (to.at - from.at) as f64 / 1e9;
        let wide = seconds(window, closed);
        let processor = total.processor_s - start.processor_s;
        let share = (closed.processor_s - window.processor_s) / wide * 100.0;
        let has_engine = !self.plan.pids.is_empty();
        let bridged = (closed.sent - window.sent) as f64 / wide / voice::PACKETS_PER_S / 2.0;
        let is_media = self.plan.media;
        let n = |count: u64| Some(count as f64);
        let mut figures = vec![
            ("calls_begun", n(counts.begun)),
            ("calls_ok", n(calls)),
            ("calls_failed", n(counts.failed)),
            ("retransmissions", n(counts.resent)),
            ("engine_retransmissions", n(counts.engine_resent)),
            ("left_over", n(self.live() as u64)),
            ("callee_invites", n(counts.callee_invites)),
            ("callee_answered", n(counts.callee_answered)),
            ("callee_busy", n(counts.busy)),
            ("calls_per_s", per(calls as f64, seconds(start, closed))),
            ("engine_cpu_s", has_engine.then_some(processor)),
            (
                "engine_cpu_s_per_1000_calls",
                per(processor * 1_000.0, calls as f64).filter(|_| has_engine),
            ),
            ("engine_core_pct", has_engine.then_some(share)),
            ("engine_resident_mb", has_engine.then_some(resident)),
            (
                "generator_core_pct",
                per(own * 100.0, seconds(start, total)),
            ),
        ];
        if is_media {
            figures.extend([
                ("bridged", Some(bridged)),
                (
                    "engine_core_pct_per_bridged_call",
                    per(share, bridged).filter(|_| has_engine),
                ),
                ("rtp_sent", n(closed.sent - window.sent)),
                ("rtp_received", n(closed.received - window.received)),
                (
                    "rtp_lost_share",
                    per(counts.rtp_lost as f64, counts.rtp_expected as f64),
                ),
                ("rtp_astray", n(counts.rtp_astray)),
                ("rtp_late_ticks", n(counts.rtp_late)),
                ("one_way_p50_ms", self.delays.quantile_ms(0.5)),
                ("one_way_p99_ms", self.delays.quantile_ms(0.99)),
            ]);
        }
        figures.push(("not_sent", n(counts.not_sent)));
        for (samples, names) in [
            (
                &mut self.invite_to_answer,
                ["invite_to_200_p50_ms", "invite_to_200_p99_ms"],
            ),
            (
                &mut self.invite_to_callee,
                ["invite_to_callee_p50_ms", "invite_to_callee_p99_ms"],
            ),
            (
                &mut self.bye_to_answer,
                ["bye_to_200_p50_ms", "bye_to_200_p99_ms"],
            ),
            (
                &mut self.free_to_invite,
                ["agent_free_to_invite_p50_ms", "agent_free_to_invite_p99_ms"],
            ),
        ] {
            figures.extend([
                (names[0], samples.quantile(0.5)),
                (names[1], samples.quantile(0.99)),
            ]);
        }
        figures.push((
            "agent_free_to_invite_max_ms",
            self.free_to_invite.quantile(1.0),
        ));
        figures.push((
            "agent_free_to_invite_count",
            n(self.free_to_invite.count() as u64),
        ));
        for (code, name) in [
            (403, "refused_403"),
            (404, "refused_404"),
            (486, "refused_486"),
            (503, "refused_503"),
            (401, "refused_401"),
            (481, "refused_481"),
            (0, "timed_out"),
        ] {
            if let Some(count) = self.codes.get(&code) {
                figures.push((name, n(*count)));
            }
        }
        Figures(figures)
    }
}
