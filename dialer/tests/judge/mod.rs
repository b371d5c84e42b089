//! A small world that judges pacing: agents, ringing, talk, wrap-up, and people who wait two
//! seconds. It drives the real machine through its inputs; nothing in it is known to the dialer.

use dialer::config::CampaignConfig;
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, Input};
use model::event::Mode;
use model::{
    AgentId, AgentState, AttemptId, CallId, CampaignId, Cause, Lead, LeadId, Mono, Now, Outbox,
    Rng, Utc,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

/// What one run is about.
#[derive(Clone, Debug)]
pub struct World {
    pub mode: Mode,
    pub agents: usize,
    /// The share of dials answered, and from when on.
    pub answer_share: Vec<(f64, f64)>,
    pub hours: f64,
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// (talk + wrap-up) ÷ signed-in.
    pub utilisation: f64,
    pub connected: u64,
    pub abandoned: u64,
    pub dials: u64,
    /// The worst five minutes' abandonment, where there were at least 20 live answers.
    pub worst_five_minutes: f64,
}

impl Outcome {
    pub fn abandon_rate(&self) -> f64 {
        self.abandoned as f64 / (self.abandoned + self.connected).max(1) as f64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Answers(AttemptId),
    Fails(AttemptId, bool),
    LosesPatience(AttemptId),
    TalkEnds(usize),
    WrapUpEnds(usize),
    Deadline,
}

const PATIENCE: Duration = Duration::from_millis(2_000);
const RING_TIMEOUT_S: f64 = 26.0;
/// 2026-06-01T12:00:00Z.
const START_US: i64 = 1_780_315_200_000_000;

struct Run {
    world: World,
    dialer: Dialer,
    campaign: CampaignId,
    names: Vec<AgentId>,
    rng: Rng,
    heap: BinaryHeap<Reverse<(Mono, u64, Happens)>>,
    order: u64,
    idle: VecDeque<usize>,
    waiting: VecDeque<AttemptId>,
    busy_since: BTreeMap<usize, Mono>,
    busy_us: u128,
    calls: u64,
    leads: u64,
    deadline: Mono,
    outcome: Outcome,
    five_minutes: Vec<(u64, u64)>,
}

/// Runs one shift from a cold start.
pub fn run(world: &World) -> Outcome {
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
    let mut config = Config::default();
    config.campaigns.insert(campaign, settings);
    config.trunks.insert(
        "carrier".parse().unwrap(),
        TrunkLimits {
            concurrent_calls: 30_000,
            calls_per_second: 5_000.0,
        },
    );
    let mut run = Run {
        dialer: Dialer::new(config, 0, world.seed),
        campaign,
        names,
        rng: Rng::new(world.seed ^ 0x5eed),
        heap: BinaryHeap::new(),
        order: 0,
        idle: VecDeque::new(),
        waiting: VecDeque::new(),
        busy_since: BTreeMap::new(),
        busy_us: 0,
        calls: 0,
        leads: 0,
        deadline: Mono::MAX,
        outcome: Outcome::default(),
        five_minutes: vec![(0, 0); (world.hours * 12.0) as usize + 1],
        world: world.clone(),
    };
    run.shift();
    run.outcome
}

impl Run {
    fn now(at: Mono) -> Now {
        Now {
            mono: at,
            utc: Utc::from_micros(START_US + at.as_micros() as i64),
        }
    }

    fn later(&mut self, at: Mono, seconds: f64, what: Happens) {
        self.order += 1;
        let at = at + Duration::from_micros((seconds * 1e6) as u64);
        self.heap.push(Reverse((at, self.order, what)));
    }

    fn shift(&mut self) {
        let end = Mono::from_micros((self.world.hours * 3.6e9) as u64);
        for agent in 0..self.world.agents {
            self.idle.push_back(agent);
            let agent = self.names[agent];
            self.tell(
                Mono::ZERO,
                Input::AgentChanged {
                    agent,
                    state: AgentState::Available,
                },
            );
        }
        while let Some(Reverse((at, _, what))) = self.heap.pop() {
            if at >= end {
                break;
            }
            match what {
                Happens::Answers(attempt) => {
                    self.tell(at, Input::AttemptAnswered { attempt });
                    self.waiting.push_back(attempt);
                    self.later(at, PATIENCE.as_secs_f64(), Happens::LosesPatience(attempt));
                    if let Some(agent) = self.idle.pop_front() {
                        self.connect(at, agent);
                    }
                }
                Happens::Fails(attempt, busy) => {
                    let cause = if busy { Cause::Busy } else { Cause::NoAnswer };
                    self.tell(at, Input::AttemptFailed { attempt, cause });
                }
                Happens::LosesPatience(attempt) => {
                    if let Some(index) = self.waiting.iter().position(|waits| *waits == attempt) {
                        self.waiting.remove(index);
                        self.outcome.abandoned += 1;
                        self.five_minutes[(at.as_secs_f64() / 300.0) as usize].1 += 1;
                        self.tell(at, Input::AttemptAbandoned { attempt });
                    }
                }
                Happens::TalkEnds(agent) => {
                    let wrap = self.rng.log_normal(20.0, 0.7);
                    self.later(at, wrap, Happens::WrapUpEnds(agent));
                    let state = AgentState::WrapUp(CallId(self.calls));
                    self.tell(
                        at,
                        Input::AgentChanged {
                            agent: self.names[agent],
                            state,
                        },
                    );
                }
                Happens::WrapUpEnds(agent) => {
                    let since = self
                        .busy_since
                        .remove(&agent)
                        .expect("who wraps up was busy");
                    self.busy_us += at.since(since).as_micros();
                    if self.waiting.is_empty() {
                        self.idle.push_back(agent);
                        let agent = self.names[agent];
                        self.tell(
                            at,
                            Input::AgentChanged {
                                agent,
                                state: AgentState::Available,
                            },
                        );
                    } else {
                        self.connect(at, agent);
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
        for since in self.busy_since.values() {
            self.busy_us += end.since(*since).as_micros();
        }
        let signed_in = end.as_micros() as f64 * self.world.agents as f64;
        self.outcome.utilisation = self.busy_us as f64 / signed_in;
        self.outcome.worst_five_minutes = self
            .five_minutes
            .iter()
            .filter(|(connected, abandoned)| connected + abandoned >= 20)
            .map(|(connected, abandoned)| *abandoned as f64 / (connected + abandoned) as f64)
            .fold(0.0, f64::max);
    }

    fn connect(&mut self, at: Mono, agent: usize) {
        let attempt = self
            .waiting
            .pop_front()
            .expect("the caller saw one waiting");
        self.calls += 1;
        self.busy_since.insert(agent, at);
        self.outcome.connected += 1;
        self.five_minutes[(at.as_secs_f64() / 300.0) as usize].0 += 1;
        let talk = self.rng.log_normal(150.0, 1.0);
        self.later(at, talk, Happens::TalkEnds(agent));
        let state = AgentState::OnCall(CallId(self.calls));
        self.tell(
            at,
            Input::AgentChanged {
                agent: self.names[agent],
                state,
            },
        );
        self.tell(
            at,
            Input::AttemptConnected {
                attempt,
                agent: self.names[agent],
            },
        );
    }

    fn tell(&mut self, at: Mono, input: Input) {
        let mut out = Outbox::new();
        self.dialer.handle(Self::now(at), input, &mut out);
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
                    self.dialer.handle(Self::now(at), supplied, &mut out);
                }
                Command::Claim { attempt, .. } => {
                    self.dialer
                        .handle(Self::now(at), Input::ClaimStored { attempt }, &mut out);
                }
                Command::Dial(dial) => {
                    self.outcome.dials += 1;
                    self.ring(at, dial.attempt);
                }
                Command::Resolve { .. } | Command::ReturnLeads { .. } => {}
                Command::OfferPreview { .. } | Command::AddLead { .. } | Command::Cancel { .. } => {
                    unreachable!("the judge previews nothing, and nothing is cancelled")
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
        let p = self
            .world
            .answer_share
            .iter()
            .rev()
            .find(|(from, _)| *from <= hour)
            .expect("a share from hour 0")
            .1;
        let (seconds, what) = if self.rng.chance(p) {
            (
                self.rng.log_normal(10.0, 0.53).clamp(1.5, RING_TIMEOUT_S),
                Happens::Answers(attempt),
            )
        } else if self.rng.chance(0.15) {
            (3.0 + 3.0 * self.rng.unit(), Happens::Fails(attempt, true))
        } else {
            (RING_TIMEOUT_S, Happens::Fails(attempt, false))
        };
        self.later(at, seconds, what);
    }

    fn lead(&mut self) -> Lead {
        self.leads += 1;
        Lead {
            id: LeadId(self.leads),
            list: "all".parse().unwrap(),
            numbers: vec![format!("+49{:011}", self.leads).parse().unwrap()],
            next_number: 0,
            attempts: 0,
            priority: 0,
            time_zone: None,
            name: None,
            customer_key: None,
            fields: BTreeMap::new(),
            last_disposition: None,
            not_before: None,
        }
    }
}
