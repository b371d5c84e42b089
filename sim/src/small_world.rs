//! A small world for what is not ours to run in production: the common open dialer's rules and a
//! pacing that is told the end of every talk. Agents, ringing and people who wait are drawn as in the
//! world around the engine; there are no legs, queues or claims.
//!
//! ```text
//!   dial ─► rings ─┬─► answers ─► waits ─┬─► talk ─► wrap-up ─► ready
//!                  └─► fails             └─► abandoned
//! ```

use crate::curve::{Curve, Doing};
use crate::informed::Informed;
use crate::leads::LeadKinds;
use crate::open_dialer::OpenDialer;
use crate::scenario::{Controller, Scenario, ScenarioError, name};
use crate::tally::{CampaignTally, Tally};
use model::{LeadId, Mono, Rng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

/// What happens of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happens {
    Answers(u64),
    Fails(u64),
    /// A person who waits is shown to the ready agents, or has waited long enough.
    Looks(u64),
    TalkEnds(usize),
    WrapUpEnds(usize),
    Begins(usize),
    Leaves(usize),
    Returns(usize),
    /// A timer of whatever paces, by its own number.
    Pacer(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    OnCall,
    WrapUp,
    Away,
}

#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub state: State,
    since: Mono,
    pace: f64,
    /// Goes as soon as the call is over.
    leaving: bool,
    /// When talk and wrap-up will be over; nobody but [`Informed`] looks.
    pub free_at: Mono,
}

/// See the module.
pub(crate) struct SmallWorld<'a> {
    pub scenario: &'a Scenario,
    rng: Rng,
    kinds: LeadKinds,
    pub now: Mono,
    heap: BinaryHeap<Reverse<(Mono, u64, Happens)>>,
    order: u64,
    pub agents: Vec<Agent>,
    pub ready: VecDeque<usize>,
    /// Persons who answered, in order, and since when.
    pub waiting: VecDeque<(u64, Mono)>,
    /// Calls that ring, in the order of dialling, and since when.
    pub ringing: BTreeMap<u64, Mono>,
    pub talking: u64,
    calls: u64,
    /// Calls that the rate of the carrier still allows.
    tokens: f64,
    tokens_at: Mono,
    /// A person waits no longer.
    limit: Duration,
    pub tally: Tally,
}

/// What decides in the small world.
enum Pacer {
    Open(OpenDialer),
    Informed(Box<Informed>),
}

/// What one step of the world was, for whoever paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A call was answered, this long after its dial.
    Answered(u64, Duration),
    /// A call failed, this long after its dial.
    Failed(u64, Duration),
    /// A person was connected.
    Connected,
    /// A person was abandoned.
    Abandoned,
}

/// One shift.
///
/// # Errors
/// The controller runs through the engine, or the scenario has something this small world lacks.
pub fn shift(
    scenario: &Scenario,
    controller: Controller,
    seed: u64,
) -> Result<Tally, ScenarioError> {
    let unknown = |field, remedy| {
        Err(ScenarioError::Unknown {
            field,
            controller: controller.to_string(),
            remedy,
        })
    };
    if scenario.inbound_per_hour > 0.0 {
        return unknown("inbound_per_hour", "set it to 0");
    }
    if !scenario.campaign.is_empty() {
        return unknown(
            "campaign",
            "take the campaigns away: it has one that has all the agents",
        );
    }
    if scenario.detect_machines {
        return unknown("detect_machines", "set it to false");
    }
    if scenario.machine_share > 0.0 {
        return unknown("machine_share", "set it to 0");
    }
    let waits_s = match controller {
        Controller::Ratio(_) | Controller::Adapt(_) => {
            scenario.drop_timer_s.unwrap_or(scenario.patience_s)
        }
        Controller::Informed
        | Controller::Predictive
        | Controller::Progressive
        | Controller::Power(_) => scenario.patience_s,
    };
    let mut world = SmallWorld::new(scenario, seed, Duration::from_secs_f64(waits_s));
    let mut pacer = match controller {
        Controller::Ratio(_) | Controller::Adapt(_) => {
            Pacer::Open(OpenDialer::new(scenario, controller))
        }
        Controller::Informed => Pacer::Informed(Box::new(Informed::new(scenario))),
        Controller::Predictive | Controller::Progressive | Controller::Power(_) => {
            return Err(ScenarioError::Controller(controller.to_string()));
        }
    };
    world.run(&mut pacer);
    Ok(world.tally)
}

impl<'a> SmallWorld<'a> {
    fn new(scenario: &'a Scenario, seed: u64, limit: Duration) -> SmallWorld<'a> {
        let shift_us = (scenario.hours * 3.6e9) as u64;
        SmallWorld {
            scenario,
            rng: Rng::new(seed),
            kinds: LeadKinds::new(&scenario.lead_class, scenario.lead_spread, seed)
                .with_chances(scenario.lead_chance, scenario.answer_rate.at(Mono::ZERO)),
            now: Mono::ZERO,
            heap: BinaryHeap::new(),
            order: 0,
            agents: (0..scenario.agents)
                .map(|ix| Agent {
                    state: State::Away,
                    since: Mono::ZERO,
                    pace: scenario.pace_of(ix),
                    leaving: false,
                    free_at: Mono::ZERO,
                })
                .collect(),
            ready: VecDeque::new(),
            waiting: VecDeque::new(),
            ringing: BTreeMap::new(),
            talking: 0,
            calls: 0,
            tokens: scenario.calls_per_second.max(1.0),
            tokens_at: Mono::ZERO,
            limit,
            tally: Tally {
                curve: Curve::new(shift_us),
                ..Tally::default()
            },
        }
    }

    pub fn later(&mut self, wait: Duration, what: Happens) {
        self.order += 1;
        self.heap.push(Reverse((self.now + wait, self.order, what)));
    }

    fn later_s(&mut self, seconds: f64, what: Happens) {
        self.later(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)), what);
    }

    fn run(&mut self, pacer: &mut Pacer) {
        let end = Mono::ZERO + Duration::from_secs_f64(self.scenario.hours * 3_600.0);
        for ix in 0..self.agents.len() {
            let wait = if self.scenario.start_spread_s > 0.0 {
                self.scenario.start_spread_s * self.rng.unit()
            } else {
                0.0
            };
            self.later_s(wait, Happens::Begins(ix));
        }
        for leave in &self.scenario.leave {
            let leaving = (leave.share * self.scenario.agents as f64).round() as usize;
            for ix in 0..leaving.min(self.agents.len()) {
                self.later_s(leave.at_h * 3_600.0, Happens::Leaves(ix));
                self.later_s((leave.at_h + leave.for_h) * 3_600.0, Happens::Returns(ix));
            }
        }
        match pacer {
            Pacer::Open(open) => open.begin(self),
            Pacer::Informed(informed) => informed.begin(self),
        }
        while let Some(Reverse((at, _, what))) = self.heap.pop() {
            if at >= end {
                break;
            }
            self.now = at;
            self.happen(what, pacer);
        }
        self.now = end;
        for ix in 0..self.agents.len() {
            self.enter(ix, State::Away);
        }
        self.tally.curve.go_to(end);
        let campaign = CampaignTally {
            dials: self.tally.dials,
            connected: self.tally.connected,
            abandoned: self.tally.abandoned,
            false_positives: 0,
        };
        self.tally.campaigns.insert(name("judge"), campaign);
    }

    /// An agent's next state; the one before is booked.
    fn enter(&mut self, ix: usize, state: State) {
        let agent = &mut self.agents[ix];
        let was = std::mem::replace(&mut agent.state, state);
        let us = self.now.since(agent.since).as_micros() as u64;
        agent.since = self.now;
        self.tally.curve.agent(self.now, doing(was), doing(state));
        match was {
            State::Away => return,
            State::Ready => {
                if state == State::OnCall {
                    self.tally.idle_spells += 1;
                    self.tally.idle_us += us;
                    self.tally.spells.add(us);
                }
            }
            State::OnCall => {
                self.tally.talking_us += us;
                self.tally.handling_us += us;
            }
            State::WrapUp => self.tally.handling_us += us,
        }
        self.tally.signed_in_us += us;
    }

    fn happen(&mut self, what: Happens, pacer: &mut Pacer) {
        match what {
            Happens::Answers(call) => {
                let dialled = self.ringing.remove(&call).expect("a call answers once");
                self.waiting.push_back((call, self.now));
                pacer.seen(self, Seen::Answered(call, self.now.since(dialled)));
                self.look(call, pacer);
            }
            Happens::Fails(call) => {
                let dialled = self.ringing.remove(&call).expect("a call fails once");
                self.in_flight();
                pacer.seen(self, Seen::Failed(call, self.now.since(dialled)));
            }
            Happens::Looks(call) => self.look(call, pacer),
            Happens::TalkEnds(ix) => {
                self.talking -= 1;
                self.enter(ix, State::WrapUp);
            }
            Happens::WrapUpEnds(ix) => {
                if self.agents[ix].leaving {
                    self.enter(ix, State::Away);
                } else {
                    self.is_ready(ix, pacer);
                }
            }
            Happens::Begins(ix) => {
                if !self.agents[ix].leaving {
                    self.is_ready(ix, pacer);
                }
            }
            Happens::Leaves(ix) => {
                self.agents[ix].leaving = true;
                if let Some(at) = self.ready.iter().position(|ready| *ready == ix) {
                    self.ready.remove(at);
                    self.enter(ix, State::Away);
                }
            }
            Happens::Returns(ix) => {
                self.agents[ix].leaving = false;
                if self.agents[ix].state == State::Away {
                    self.is_ready(ix, pacer);
                }
            }
            Happens::Pacer(timer) => match pacer {
                Pacer::Open(open) => open.timer(self, timer),
                Pacer::Informed(informed) => informed.decide_again(self),
            },
        }
    }

    fn is_ready(&mut self, ix: usize, pacer: &mut Pacer) {
        self.enter(ix, State::Ready);
        self.ready.push_back(ix);
        match pacer {
            // It has no moment for this: whoever waits looks for an agent in their own rhythm.
            Pacer::Open(_) => {}
            Pacer::Informed(informed) => {
                if let Some((call, _)) = self.waiting.front().copied() {
                    self.connect(call);
                    informed.outcome(self, false);
                }
                informed.decide(self);
            }
        }
    }

    /// A waiting person looks for a ready agent, or has waited long enough.
    fn look(&mut self, call: u64, pacer: &mut Pacer) {
        let Some((_, since)) = self.waiting.iter().find(|(waits, _)| *waits == call) else {
            return;
        };
        let waited = self.now.since(*since);
        if !self.ready.is_empty() {
            self.connect(call);
            pacer.seen(self, Seen::Connected);
        } else if waited >= self.limit {
            self.waiting.retain(|(waits, _)| *waits != call);
            self.in_flight();
            self.tally.abandoned += 1;
            self.tally.curve.live(self.now, true);
            pacer.seen(self, Seen::Abandoned);
        } else {
            let left = self.limit - waited;
            let wait = match pacer {
                Pacer::Open(_) => crate::open_dialer::poll_after(waited).min(left),
                Pacer::Informed(_) => left,
            };
            self.later(wait, Happens::Looks(call));
        }
    }

    fn connect(&mut self, call: u64) {
        let ix = self.ready.pop_front().expect("somebody is ready");
        self.waiting.retain(|(waits, _)| *waits != call);
        self.in_flight();
        self.talking += 1;
        self.enter(ix, State::OnCall);
        self.tally.connected += 1;
        self.tally.curve.live(self.now, false);
        let kind = match self.scenario.other_talk {
            Some(other) if self.rng.chance(other.share) => other.talk,
            Some(_) | None => self.scenario.talk,
        };
        let pace = self.agents[ix].pace;
        let talk = kind.draw(&mut self.rng) * pace;
        let wrap_up = self.scenario.wrap_up.draw(&mut self.rng) * pace;
        self.agents[ix].free_at = self.now + Duration::from_secs_f64((talk + wrap_up).min(1e9));
        self.later_s(talk, Happens::TalkEnds(ix));
        self.later_s(talk + wrap_up, Happens::WrapUpEnds(ix));
    }

    fn in_flight(&mut self) {
        let calls = self.ringing.len() + self.waiting.len();
        self.tally.curve.in_flight(self.now, calls);
    }

    /// Dials so many, or as many as lines and rate allow. The rate may be saved for `burst` seconds.
    pub fn dial(&mut self, wanted: u64, burst_s: f64) {
        let in_flight = self.ringing.len() as u64 + self.waiting.len() as u64 + self.talking;
        let per_second = self.scenario.calls_per_second;
        let passed = self.now.since(self.tokens_at).as_secs_f64();
        self.tokens = (self.tokens + passed * per_second).min((per_second * burst_s).max(1.0));
        self.tokens_at = self.now;
        let lines = u64::from(self.scenario.lines).saturating_sub(in_flight);
        let count = wanted.min(lines).min(self.tokens as u64);
        self.tokens -= count as f64;
        for _ in 0..count {
            self.calls += 1;
            self.tally.dials += 1;
            self.ringing.insert(self.calls, self.now);
            let (wait, what) = self.fate(self.calls);
            self.later_s(wait, what);
        }
        if count > 0 {
            self.in_flight();
        }
    }

    /// What becomes of a call, and after how many seconds.
    fn fate(&mut self, call: u64) -> (f64, Happens) {
        let scenario = self.scenario;
        let rate = scenario.answer_rate.at(self.now) * self.kinds.factor(LeadId(call), self.now);
        let timeout = scenario.ring_timeout_s;
        if self.rng.chance(rate) {
            let ring = scenario.ring.draw(&mut self.rng) + scenario.answer_delay_s.at(self.now);
            return if ring <= timeout {
                (ring, Happens::Answers(call))
            } else {
                (timeout, Happens::Fails(call))
            };
        }
        let wait = match scenario.no_answer {
            Some(no_answer) => no_answer.draw(&mut self.rng),
            None if self.rng.chance(scenario.quick_fail_share) => 3.0 + 3.0 * self.rng.unit(),
            None => timeout,
        };
        (wait.min(timeout), Happens::Fails(call))
    }
}

impl Pacer {
    fn seen(&mut self, world: &mut SmallWorld<'_>, seen: Seen) {
        match self {
            Pacer::Open(open) => open.seen(world.now, seen),
            Pacer::Informed(informed) => informed.seen(world, seen),
        }
    }
}

fn doing(state: State) -> Doing {
    match state {
        State::Ready => Doing::Waiting,
        State::OnCall => Doing::Talking,
        State::WrapUp => Doing::WrappingUp,
        State::Away => Doing::Away,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{LeaveRule, Profile, Spread};

    fn run(scenario: &Scenario) -> Tally {
        shift(scenario, Controller::Ratio(3.0), 1).unwrap()
    }

    #[test]
    fn what_the_small_world_lacks_is_refused_by_the_fields_name() {
        let blended = Scenario {
            inbound_per_hour: 10.0,
            ..Scenario::default()
        };
        let machines = Scenario {
            machine_share: 0.2,
            ..Scenario::default()
        };
        for (scenario, field) in [(blended, "inbound_per_hour"), (machines, "machine_share")] {
            let error = shift(&scenario, Controller::Informed, 1).unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
        assert!(shift(&Scenario::default(), Controller::Predictive, 1).is_err());
    }

    #[test]
    fn its_people_do_what_the_scenario_says() {
        let plain = Scenario {
            hours: 1.0,
            ..Scenario::default()
        };
        let base = run(&plain);
        let half = run(&Scenario {
            leave: vec![LeaveRule {
                at_h: 0.0,
                share: 0.5,
                for_h: 2.0,
            }],
            ..plain.clone()
        });
        let share = half.signed_in_us as f64 / base.signed_in_us as f64;
        assert!((share - 0.5).abs() < 0.01, "{share}");
        let ragged = run(&Scenario {
            start_spread_s: 600.0,
            ..plain.clone()
        });
        assert!(ragged.signed_in_us < base.signed_in_us);
        let late = run(&Scenario {
            answer_delay_s: Profile::Always(30.0),
            ..plain.clone()
        });
        assert_eq!(late.connected + late.abandoned, 0);
        let few = run(&Scenario {
            calls_per_second: 0.05,
            ..plain.clone()
        });
        assert!((170..=182).contains(&few.dials), "{}", few.dials);
        let lines = run(&Scenario {
            lines: 3,
            ..plain.clone()
        });
        assert!(
            lines
                .curve
                .bins()
                .iter()
                .all(|bin| bin.in_flight_us <= 30_000_000),
            "no more than three calls at once"
        );
        let failing = run(&Scenario {
            no_answer: Some(Spread::fixed(1.0)),
            ..plain
        });
        assert!(failing.dials > 2 * base.dials, "{}", failing.dials);
    }
}
