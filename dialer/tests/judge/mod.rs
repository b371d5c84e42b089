//! A small world that judges pacing: agents, ringing, talk, wrap-up, and people who wait two
//! seconds. It drives the real machine through its inputs; nothing in it is known to the dialer.

mod world;

pub use world::{Detector, Outcome, Running, Talk, World};

use dialer::config::CampaignConfig;
use dialer::input::PastAnswers;
use dialer::pacing::LearnedState;
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, Input};
use model::event::Verdict;
use model::{
    AgentId, AgentState, AttemptId, CallId, CampaignId, Cause, Lead, LeadId, Mono, Now, Outbox,
    Rng, Utc,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;
use world::RING_TIMEOUT_S;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    /// Somebody answers: a person, or a machine.
    Answers(AttemptId, bool),
    Fails(AttemptId, bool),
    /// The detector has decided: a person truly is one, and is taken for one.
    Classified(AttemptId, bool, bool),
    LosesPatience(AttemptId),
    TalkEnds(usize),
    WrapUpEnds(usize),
    /// Our CANCEL arrives.
    Cancelled(AttemptId),
    Leaves(usize),
    Returns(usize),
    Deadline,
}

/// 2026-06-01T08:00:00Z.
const START_US: i64 = 1_780_300_800_000_000;
/// 47 CFR 64.1200(a)(6).
const RING_MIN: Duration = Duration::from_secs(15);
/// From our CANCEL to its arrival; who answers meanwhile has answered.
const CANCEL_TAKES_S: f64 = 0.05;
/// Leads are numbered anew every day, far apart.
const DAY_LEADS: u64 = 100_000_000;

/// What one day hands to the next.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    learned: Option<LearnedState>,
    history: Vec<PastAnswers>,
    running: Running,
    day: u32,
}

struct Run<'a> {
    world: &'a World,
    dialer: Dialer,
    campaign: CampaignId,
    names: Vec<AgentId>,
    rng: Rng,
    heap: BinaryHeap<Reverse<(Mono, u64, Happens)>>,
    order: u64,
    start_us: i64,
    idle: VecDeque<usize>,
    waiting: VecDeque<AttemptId>,
    /// Answered and not yet classified or waiting: a person, in time for an agent until then.
    unknown: BTreeMap<AttemptId, Mono>,
    machines: BTreeSet<AttemptId>,
    over: BTreeSet<AttemptId>,
    busy_since: Vec<Option<Mono>>,
    away: Vec<bool>,
    /// When calls began to ring, of those that still may.
    rings_since: BTreeMap<AttemptId, Mono>,
    calls: u64,
    leads: u64,
    deadline: Mono,
    learned: Option<LearnedState>,
    outcome: Outcome,
    /// Answers and abandonments by minute.
    told: BTreeMap<i64, (u64, u64)>,
}

/// Runs one shift from a cold start.
pub fn run(world: &World) -> Outcome {
    run_day(world, &mut Carried::default())
}

/// Runs one shift per day, each with what the days before have learned and abandoned.
pub fn run_days(world: &World, days: u32) -> Vec<Outcome> {
    let mut carried = Carried::default();
    (0..days)
        .map(|day| {
            let seed = world.seed + 7_919 * u64::from(day);
            run_day(
                &World {
                    seed,
                    ..world.clone()
                },
                &mut carried,
            )
        })
        .collect()
}

fn run_day(world: &World, carried: &mut Carried) -> Outcome {
    let names: Vec<AgentId> = (0..world.agents)
        .map(|n| format!("agent{n}").parse().unwrap())
        .collect();
    let campaign: CampaignId = "judge".parse().unwrap();
    let mut settings = CampaignConfig::new(world.mode, "+4930123456");
    settings.agents = names.clone();
    settings.lists = vec!["all".parse().unwrap()];
    settings.trunks = vec!["carrier".parse().unwrap()];
    settings.rules = vec!["demo".into()];
    settings.calls_per_second = 5_000.0;
    settings.max_in_flight = 20_000;
    settings.withdraw_ringing = world.withdraw;
    settings.per_lead = world.per_lead;
    settings.detect_machines = world.detector.is_some();
    let mut config = Config::default();
    config.campaigns.insert(campaign, settings);
    config.trunks.insert(
        "carrier".parse().unwrap(),
        TrunkLimits {
            concurrent_calls: 30_000,
            calls_per_second: 5_000.0,
        },
    );
    let minutes = (world.hours * 60.0).ceil() as usize + 1;
    let mut run = Run {
        dialer: Dialer::new(config, carried.day, world.seed),
        campaign,
        names,
        rng: Rng::new(world.seed ^ 0x5eed),
        heap: BinaryHeap::new(),
        order: 0,
        start_us: START_US + i64::from(carried.day) * 86_400_000_000,
        idle: VecDeque::new(),
        waiting: VecDeque::new(),
        unknown: BTreeMap::new(),
        machines: BTreeSet::new(),
        over: BTreeSet::new(),
        busy_since: vec![None; world.agents],
        away: vec![false; world.agents],
        rings_since: BTreeMap::new(),
        calls: 0,
        leads: u64::from(carried.day) * DAY_LEADS,
        deadline: Mono::MAX,
        learned: None,
        outcome: Outcome::new(minutes),
        told: BTreeMap::new(),
        world,
    };
    let history = Input::HistoryLoaded {
        answers: carried.history.clone(),
        dials: Vec::new(),
    };
    run.tell(Mono::ZERO, history);
    if let Some(state) = carried.learned.take() {
        let state = Box::new(state);
        run.tell(Mono::ZERO, Input::LearnedLoaded { campaign, state });
    }
    run.outcome.running = carried.running;
    run.shift();
    let at_us = |minute: i64| run.start_us + minute * 60_000_000;
    carried.history.extend(
        run.told
            .iter()
            .map(|(minute, (answers, abandons))| PastAnswers {
                campaign,
                at: Utc::from_micros(at_us(*minute)),
                answers: *answers,
                abandons: *abandons,
                messaged: 0,
            }),
    );
    carried.running = run.outcome.running.next_day();
    carried.day += 1;
    carried.learned = run.learned.take();
    run.outcome
}

impl Run<'_> {
    fn now(&self, at: Mono) -> Now {
        Now {
            mono: at,
            utc: Utc::from_micros(self.start_us + at.as_micros() as i64),
        }
    }

    fn later(&mut self, at: Mono, seconds: f64, what: Happens) {
        self.order += 1;
        let at = at + Duration::from_micros((seconds * 1e6) as u64);
        self.heap.push(Reverse((at, self.order, what)));
    }

    fn agent(&mut self, at: Mono, agent: usize, state: AgentState) {
        let agent = self.names[agent];
        self.tell(at, Input::AgentChanged { agent, state });
    }

    fn shift(&mut self) {
        let end = Mono::from_micros((self.world.hours * 3.6e9) as u64);
        for agent in 0..self.world.agents {
            self.idle.push_back(agent);
            self.agent(Mono::ZERO, agent, AgentState::Available);
        }
        if let Some((from, to)) = self.world.half_away {
            for agent in 0..self.world.agents / 2 {
                self.later(Mono::ZERO, from * 3_600.0, Happens::Leaves(agent));
                self.later(Mono::ZERO, to * 3_600.0, Happens::Returns(agent));
            }
        }
        while let Some(Reverse((at, _, what))) = self.heap.pop() {
            if at >= end {
                break;
            }
            self.happens(at, what);
        }
        // What was learned is put away when the engine drains.
        self.tell(end, Input::Drain);
        for agent in 0..self.world.agents {
            if let Some(since) = self.busy_since[agent] {
                self.outcome.busy(since, end);
            }
        }
        let mut signed_in = self.world.hours * self.world.agents as f64;
        if let Some((from, to)) = self.world.half_away {
            signed_in -= (to - from) * (self.world.agents / 2) as f64;
        }
        self.outcome.finish(end, signed_in * 3_600.0);
    }

    fn happens(&mut self, at: Mono, what: Happens) {
        match what {
            Happens::Answers(attempt, person) => {
                self.rings_since.remove(&attempt);
                if self.over.remove(&attempt) {
                    return;
                }
                self.tell(at, Input::AttemptAnswered { attempt });
                if let Some(detector) = self.world.detector {
                    let taken_for_person = if person {
                        !self.rng.chance(detector.false_positive)
                    } else {
                        self.rng.chance(detector.false_negative)
                    };
                    let verdict = Happens::Classified(attempt, person, taken_for_person);
                    self.later(at, detector.verdict_s, verdict);
                    self.unknown.insert(attempt, at);
                } else {
                    self.waits(at, at, attempt);
                }
            }
            Happens::Classified(attempt, person, taken_for_person) => {
                let answered = self.unknown.remove(&attempt).expect("classified once");
                let verdict = if taken_for_person {
                    Verdict::Person
                } else {
                    Verdict::Machine
                };
                self.tell(at, Input::AttemptClassified { attempt, verdict });
                if taken_for_person {
                    if !person {
                        self.machines.insert(attempt);
                    }
                    self.waits(at, answered, attempt);
                } else if person {
                    // Hung up upon: abandoned in truth, whatever the dialer knows.
                    self.outcome.answer(at, true);
                }
            }
            Happens::Fails(attempt, busy) => {
                self.rings_since.remove(&attempt);
                if self.over.remove(&attempt) {
                    return;
                }
                let cause = if busy { Cause::Busy } else { Cause::NoAnswer };
                self.tell(at, Input::AttemptFailed { attempt, cause });
            }
            Happens::Cancelled(attempt) => {
                // The machine says whether the call is still one that rings.
                let known = self.dialer.live_attempts();
                let cause = Cause::Cancelled;
                if !self.waiting.contains(&attempt) && !self.unknown.contains_key(&attempt) {
                    self.tell(at, Input::AttemptFailed { attempt, cause });
                    if self.dialer.live_attempts() < known {
                        self.over.insert(attempt);
                        self.outcome.withdrawn += 1;
                    }
                }
            }
            Happens::LosesPatience(attempt) => {
                if let Some(index) = self.waiting.iter().position(|waits| *waits == attempt) {
                    self.waiting.remove(index);
                    if !self.machines.remove(&attempt) {
                        self.outcome.answer(at, true);
                    }
                    self.told_answer(at, true);
                    self.tell(at, Input::AttemptAbandoned { attempt });
                }
            }
            Happens::TalkEnds(agent) => {
                let wrap = self.world.wrap_s(&mut self.rng, agent);
                self.later(at, wrap, Happens::WrapUpEnds(agent));
                self.agent(at, agent, AgentState::WrapUp(CallId(self.calls)));
            }
            Happens::WrapUpEnds(agent) => {
                let since = self.busy_since[agent]
                    .take()
                    .expect("who wraps up was busy");
                self.outcome.busy(since, at);
                if self.away[agent] {
                    self.agent(at, agent, AgentState::SignedOut);
                } else if self.waiting.is_empty() {
                    self.idle.push_back(agent);
                    self.agent(at, agent, AgentState::Available);
                } else {
                    self.connect(at, agent);
                }
            }
            Happens::Leaves(agent) => {
                self.away[agent] = true;
                if let Some(index) = self.idle.iter().position(|idle| *idle == agent) {
                    self.idle.remove(index);
                    self.agent(at, agent, AgentState::SignedOut);
                }
            }
            Happens::Returns(agent) => {
                self.away[agent] = false;
                if self.busy_since[agent].is_none() {
                    self.idle.push_back(agent);
                    self.agent(at, agent, AgentState::Available);
                }
            }
            Happens::Deadline => {
                if at == self.deadline {
                    self.deadline = Mono::MAX;
                    self.tell(at, Input::Tick);
                }
            }
        }
    }

    fn waits(&mut self, at: Mono, answered: Mono, attempt: AttemptId) {
        let patience = (self.world.patience_s - at.since(answered).as_secs_f64()).max(0.0);
        self.waiting.push_back(attempt);
        self.later(at, patience, Happens::LosesPatience(attempt));
        if let Some(agent) = self.idle.pop_front() {
            self.connect(at, agent);
        }
    }

    /// What the dialer's own records will show tomorrow.
    fn told_answer(&mut self, at: Mono, abandoned: bool) {
        let minute = self
            .told
            .entry((at.as_secs_f64() / 60.0) as i64)
            .or_default();
        minute.0 += 1;
        minute.1 += u64::from(abandoned);
    }

    fn connect(&mut self, at: Mono, agent: usize) {
        let attempt = self
            .waiting
            .pop_front()
            .expect("the caller saw one waiting");
        self.calls += 1;
        self.busy_since[agent] = Some(at);
        let machine = self.machines.remove(&attempt);
        if !machine {
            self.outcome.answer(at, false);
        }
        self.told_answer(at, false);
        let talk = self.world.talk_s(&mut self.rng, agent);
        self.later(
            at,
            if machine { 8.0 } else { talk },
            Happens::TalkEnds(agent),
        );
        self.agent(at, agent, AgentState::OnCall(CallId(self.calls)));
        let agent = self.names[agent];
        self.tell(at, Input::AttemptConnected { attempt, agent });
    }

    fn tell(&mut self, at: Mono, input: Input) {
        let mut out = Outbox::new();
        self.dialer.handle(self.now(at), input, &mut out);
        while let Some(command) = out.commands.pop_front() {
            match command {
                Command::FetchLeads { count, .. } => {
                    let leads = (0..count).map(|_| self.lead()).collect();
                    let campaign = self.campaign;
                    let supplied = Input::LeadsSupplied {
                        campaign,
                        leads,
                        exhausted: false,
                    };
                    self.dialer.handle(self.now(at), supplied, &mut out);
                }
                Command::Claim { attempt, .. } => {
                    let stored = Input::ClaimStored { attempt };
                    self.dialer.handle(self.now(at), stored, &mut out);
                }
                Command::Dial(dial) => {
                    self.outcome.dials += 1;
                    let attempt = dial.attempt;
                    let rings = Input::AttemptRinging { attempt };
                    self.dialer.handle(self.now(at), rings, &mut out);
                    self.rings_since.insert(attempt, at);
                    self.ring(at, attempt);
                }
                Command::Cancel { attempt } => {
                    let rang = at.since(self.rings_since[&attempt]);
                    assert!(rang >= RING_MIN, "given up after {rang:?}");
                    self.later(at, CANCEL_TAKES_S, Happens::Cancelled(attempt));
                }
                Command::SaveLearned { state, .. } => self.learned = Some(*state),
                // Lines are many here: one is free as soon as the attempt is over.
                Command::Resolve { attempt, .. } => {
                    let ended = Input::AttemptLegEnded { attempt };
                    self.dialer.handle(self.now(at), ended, &mut out);
                }
                Command::ReturnLeads { .. } | Command::SaveQuota(_) => {}
                Command::OfferPreview { .. } | Command::AddLead { .. } => {
                    unreachable!("the judge previews nothing")
                }
            }
        }
        if let Some(next) = self.dialer.next_deadline() {
            assert!(next > at, "what was due has been done");
            if next < self.deadline {
                self.deadline = next;
                self.later(next, 0.0, Happens::Deadline);
            }
        }
    }

    fn ring(&mut self, at: Mono, attempt: AttemptId) {
        let hour = at.as_secs_f64() / 3_600.0;
        let delay = self.world.delay_s(hour);
        let (seconds, what) = if self.rng.chance(self.world.answer_share_at(hour)) {
            let rings = self.world.ring_s(&mut self.rng);
            if rings + delay >= RING_TIMEOUT_S && self.world.ring_phases == 0 {
                (RING_TIMEOUT_S, Happens::Fails(attempt, false))
            } else {
                (rings + delay, Happens::Answers(attempt, true))
            }
        } else {
            let machine = self
                .world
                .detector
                .map_or(0.0, |detector| detector.machine_share);
            if self.rng.chance(machine) {
                (20.0, Happens::Answers(attempt, false))
            } else {
                let (seconds, busy) = self.world.fail_s(&mut self.rng);
                (seconds, Happens::Fails(attempt, busy))
            }
        };
        self.later(at, seconds, what);
    }

    fn lead(&mut self) -> Lead {
        self.leads += 1;
        Lead::new(
            LeadId(self.leads),
            "all".parse().unwrap(),
            vec![format!("+49{:011}", self.leads).parse().unwrap()],
        )
    }
}
