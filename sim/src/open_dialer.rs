//! The common open dialer's rules, for comparison, re-implemented from their description in
//! `docs/pacing.md`: a level, a goal of calls every 2.5 s, an adaptation every 15 s, and a brake on
//! the day's abandonment. No talk time, answer rate or ring time enters anywhere.
//!
//! They drive a small world of their own (agents, ringing, people who wait) instead of the engine:
//! they are not ours to run in production, and the judged people are drawn the same way.

use crate::scenario::{Brake, Controller, Scenario, ScenarioError};
use crate::tally::Tally;
use model::{Mono, Rng};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// A goal is set this often.
const DECIDE_EVERY: Duration = Duration::from_millis(2_500);
/// One sample of ready agents and waiting calls.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// The level is adapted over so many samples.
const SAMPLES: usize = 15;
/// The largest level it adapts to.
const LEVEL_MAX: f64 = 3.0;
/// The day's share of abandoned calls is looked at this often, after this many calls.
const DAY_EVERY: Duration = Duration::from_secs(60);
const DAY_CALLS_MIN: u64 = 50;
/// The limit it brakes at, in per cent.
const LIMIT_PCT: f64 = 3.0;
/// More than this many calls in a minute, and more than this share abandoned: the level is halved.
const BURST_CALLS: usize = 20;
const BURST_SHARE: f64 = 0.5;
/// A waiting person is shown to ready agents this often, for three seconds, then every second.
const POLL_EVERY: Duration = Duration::from_millis(250);
const POLL_FAST_FOR: Duration = Duration::from_secs(3);
const POLL_SLOW_EVERY: Duration = Duration::from_secs(1);
/// The time of day at which a shift begins and dialling must end, as it writes them: hours and minutes in one number.
const SHIFT_BEGINS_H: f64 = 9.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Answers,
    Fails,
    /// The poll of a waiting person.
    Polled(u64),
    TalkEnds(usize),
    WrapUpEnds(usize),
    Leaves(usize),
    Returns(usize),
    Decide,
    Sample,
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready(Mono),
    OnCall(Mono),
    WrapUp(Mono),
    Away,
}

struct Run<'a> {
    scenario: &'a Scenario,
    controller: Controller,
    rng: Rng,
    now: Mono,
    heap: BinaryHeap<Reverse<(Mono, u64, Happens)>>,
    order: u64,
    agents: Vec<(State, f64, bool)>,
    ready: VecDeque<usize>,
    /// Persons who answered, in order, and since when.
    waiting: VecDeque<(u64, Mono)>,
    persons: u64,
    ringing: u64,
    level: f64,
    adapted: f64,
    samples: Vec<f64>,
    day_over: bool,
    /// When calls of the last minute ended, and whether abandoned.
    recent: VecDeque<(Mono, bool)>,
    /// Calls that the rate of the carrier still allows.
    tokens: f64,
    tokens_at: Mono,
    tally: Tally,
}

/// One shift.
///
/// # Errors
/// The controller is not one of the common open dialer's, or the scenario has inbound calls, which
/// this small world does not know.
pub fn shift(
    scenario: &Scenario,
    controller: Controller,
    seed: u64,
) -> Result<Tally, ScenarioError> {
    let level = match controller {
        Controller::Ratio(level) => level,
        Controller::Adapt(_) => 1.0,
        Controller::Predictive | Controller::Progressive | Controller::Power(_) => {
            return Err(ScenarioError::Controller(controller.to_string()));
        }
    };
    if scenario.inbound_per_hour > 0.0 {
        return Err(ScenarioError::Problem(format!(
            "{controller} knows no inbound calls: set inbound_per_hour = 0"
        )));
    }
    let slow = (scenario.slow_share * scenario.agents as f64).round() as usize;
    let mut run = Run {
        scenario,
        controller,
        rng: Rng::new(seed),
        now: Mono::ZERO,
        heap: BinaryHeap::new(),
        order: 0,
        agents: (0..scenario.agents)
            .map(|n| {
                (
                    State::Ready(Mono::ZERO),
                    if n < slow { scenario.slow_factor } else { 1.0 },
                    false,
                )
            })
            .collect(),
        ready: (0..scenario.agents).collect(),
        waiting: VecDeque::new(),
        persons: 0,
        ringing: 0,
        level,
        adapted: level,
        samples: Vec::new(),
        day_over: false,
        recent: VecDeque::new(),
        tokens: scenario.calls_per_second.max(1.0),
        tokens_at: Mono::ZERO,
        tally: Tally::default(),
    };
    run.shift();
    Ok(run.tally)
}

impl Run<'_> {
    fn later(&mut self, wait: Duration, what: Happens) {
        self.order += 1;
        self.heap.push(Reverse((self.now + wait, self.order, what)));
    }

    fn later_s(&mut self, seconds: f64, what: Happens) {
        self.later(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)), what);
    }

    fn shift(&mut self) {
        let end = Mono::ZERO + Duration::from_secs_f64(self.scenario.hours * 3_600.0);
        for what in [Happens::Decide, Happens::Sample, Happens::Day] {
            self.later(Duration::ZERO, what);
        }
        for leave in &self.scenario.leave {
            let leaving = (leave.share * self.scenario.agents as f64).round() as usize;
            for ix in 0..leaving.min(self.agents.len()) {
                self.later_s(leave.at_h * 3_600.0, Happens::Leaves(ix));
                self.later_s((leave.at_h + leave.for_h) * 3_600.0, Happens::Returns(ix));
            }
        }
        while let Some(Reverse((at, _, what))) = self.heap.pop() {
            if at >= end {
                break;
            }
            self.now = at;
            self.happen(what);
        }
        self.now = end;
        for ix in 0..self.agents.len() {
            self.enter(ix, State::Away);
        }
    }

    /// An agent's next state; the one before is booked.
    fn enter(&mut self, ix: usize, state: State) {
        let was = std::mem::replace(&mut self.agents[ix].0, state);
        let (since, handling) = match was {
            State::Ready(since) => (since, false),
            State::OnCall(since) | State::WrapUp(since) => (since, true),
            State::Away => return,
        };
        let us = self.now.since(since).as_micros() as u64;
        self.tally.signed_in_us += us;
        self.tally.handling_us += if handling { us } else { 0 };
        if matches!((was, state), (State::Ready(_), State::OnCall(_))) {
            self.tally.idle_spells += 1;
            self.tally.idle_us += us;
        }
    }

    fn happen(&mut self, what: Happens) {
        match what {
            Happens::Answers => {
                self.ringing -= 1;
                self.persons += 1;
                self.waiting.push_back((self.persons, self.now));
                self.happen(Happens::Polled(self.persons));
            }
            Happens::Fails => self.ringing -= 1,
            Happens::Polled(person) => self.poll(person),
            Happens::TalkEnds(ix) => {
                self.enter(ix, State::WrapUp(self.now));
                let wrap_up = self.scenario.wrap_up.draw(&mut self.rng) * self.agents[ix].1;
                self.later_s(wrap_up, Happens::WrapUpEnds(ix));
            }
            Happens::WrapUpEnds(ix) => {
                if self.agents[ix].2 {
                    self.enter(ix, State::Away);
                } else {
                    self.is_ready(ix);
                }
            }
            Happens::Leaves(ix) => {
                self.agents[ix].2 = true;
                if let Some(at) = self.ready.iter().position(|ready| *ready == ix) {
                    self.ready.remove(at);
                    self.enter(ix, State::Away);
                }
            }
            Happens::Returns(ix) => {
                self.agents[ix].2 = false;
                if self.agents[ix].0 == State::Away {
                    self.is_ready(ix);
                }
            }
            Happens::Decide => {
                self.later(DECIDE_EVERY, Happens::Decide);
                self.decide();
            }
            Happens::Sample => {
                self.later(SAMPLE_EVERY, Happens::Sample);
                self.samples
                    .push(self.ready.len() as f64 - self.waiting.len() as f64);
                if self.samples.len() == SAMPLES {
                    self.adapt();
                }
            }
            Happens::Day => {
                self.later(DAY_EVERY, Happens::Day);
                let calls = self.tally.connected + self.tally.abandoned;
                self.day_over = calls >= DAY_CALLS_MIN
                    && self.tally.abandoned as f64 > LIMIT_PCT / 100.0 * calls as f64;
            }
        }
    }

    fn is_ready(&mut self, ix: usize) {
        self.enter(ix, State::Ready(self.now));
        self.ready.push_back(ix);
    }

    /// A waiting person looks for a ready agent, or has waited long enough.
    fn poll(&mut self, person: u64) {
        let Some(at) = self.waiting.iter().position(|(waits, _)| *waits == person) else {
            return;
        };
        let waited = self.now.since(self.waiting[at].1);
        if let Some(ix) = self.ready.pop_front() {
            self.waiting.remove(at);
            self.enter(ix, State::OnCall(self.now));
            self.tally.connected += 1;
            self.recent.push_back((self.now, false));
            let kind = match self.scenario.other_talk {
                Some(other) if self.rng.chance(other.share) => other.talk,
                Some(_) | None => self.scenario.talk,
            };
            let talk = kind.draw(&mut self.rng) * self.agents[ix].1;
            self.later_s(talk, Happens::TalkEnds(ix));
        } else if waited >= Duration::from_secs_f64(self.scenario.patience_s) {
            self.waiting.remove(at);
            self.tally.abandoned += 1;
            self.recent.push_back((self.now, true));
        } else {
            let every = if waited < POLL_FAST_FOR {
                POLL_EVERY
            } else {
                POLL_SLOW_EVERY
            };
            let left = Duration::from_secs_f64(self.scenario.patience_s) - waited;
            self.later(every.min(left), Happens::Polled(person));
        }
    }

    fn adapt(&mut self) {
        let mean = self.samples.drain(..).sum::<f64>() / SAMPLES as f64;
        let signed_in = self
            .agents
            .iter()
            .filter(|(state, ..)| *state != State::Away)
            .count();
        if let Controller::Adapt(_) = self.controller
            && signed_in > 0
        {
            let step = mean / signed_in as f64;
            self.adapted = (self.adapted * (1.0 + step)).clamp(1.0, LEVEL_MAX);
        }
        while self
            .recent
            .front()
            .is_some_and(|(at, _)| self.now.since(*at) > Duration::from_secs(60))
        {
            self.recent.pop_front();
        }
        let abandoned = self
            .recent
            .iter()
            .filter(|(_, abandoned)| *abandoned)
            .count();
        if let Controller::Adapt(_) = self.controller
            && self.recent.len() > BURST_CALLS
            && abandoned as f64 > BURST_SHARE * self.recent.len() as f64
        {
            self.adapted = (self.adapted / 2.0).max(1.0);
        }
        // The brake acts on the level that is kept: over the limit, it shrinks every time.
        if let Controller::Adapt(brake) = self.controller
            && self.day_over
        {
            let braked = match brake {
                Brake::Hard => 1.0,
                Brake::Average => self.adapted / 2.0,
                Brake::Tapered => self.adapted * self.taper(),
            };
            self.adapted = braked.max(1.0);
        }
        self.level = self.adapted;
    }

    /// What is left of the day: the latest time minus now, both as HHMM, per thousand, at most 1.
    fn taper(&self) -> f64 {
        let written = |hours: f64| 100.0 * hours.floor() + 60.0 * hours.fract();
        let hour = SHIFT_BEGINS_H + self.now.as_secs_f64() / 3_600.0;
        ((written(SHIFT_BEGINS_H + self.scenario.hours) - written(hour)) / 1_000.0).clamp(0.0, 1.0)
    }

    fn decide(&mut self) {
        let counted = self
            .agents
            .iter()
            .filter(|(state, ..)| matches!(state, State::Ready(_) | State::OnCall(_)))
            .count();
        let talking = self
            .agents
            .iter()
            .filter(|(state, ..)| matches!(state, State::OnCall(_)))
            .count() as u64;
        let goal = (self.level * counted as f64).round() as u64;
        let in_flight = self.ringing + self.waiting.len() as u64 + talking;
        let per_second = self.scenario.calls_per_second;
        self.tokens = (self.tokens + self.now.since(self.tokens_at).as_secs_f64() * per_second)
            .min(per_second.max(1.0) * DECIDE_EVERY.as_secs_f64());
        self.tokens_at = self.now;
        let lines = u64::from(self.scenario.lines).saturating_sub(in_flight);
        let new = goal
            .saturating_sub(in_flight)
            .min(lines)
            .min(self.tokens as u64);
        self.tokens -= new as f64;
        for _ in 0..new {
            self.tally.dials += 1;
            self.ringing += 1;
            let rate = self.scenario.answer_rate.at(self.now);
            if self.rng.chance(rate) {
                let ring = self.scenario.ring.draw(&mut self.rng);
                self.later_s(ring, Happens::Answers);
            } else if self.rng.chance(self.scenario.quick_fail_share) {
                let wait = 3.0 + 3.0 * self.rng.unit();
                self.later_s(wait, Happens::Fails);
            } else {
                self.later_s(self.scenario.ring_timeout_s, Happens::Fails);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_ratio_dials_more_and_abandons_more() {
        let scenario = Scenario {
            agents: 10,
            hours: 1.0,
            ..Scenario::default()
        };
        let low = shift(&scenario, Controller::Ratio(1.0), 1).unwrap();
        let high = shift(&scenario, Controller::Ratio(6.0), 1).unwrap();
        assert!(high.dials > low.dials && high.handling_us > low.handling_us);
        assert!(high.abandoned > low.abandoned, "{high:?}");
    }

    #[test]
    fn the_brake_acts_once_the_day_is_over_the_limit() {
        let scenario = Scenario {
            agents: 25,
            hours: 2.0,
            ..Scenario::default()
        };
        let hard = shift(&scenario, Controller::Adapt(Brake::Hard), 3).unwrap();
        let pct = 100.0 * hard.abandoned as f64 / (hard.abandoned + hard.connected) as f64;
        assert!(pct < 8.0, "{pct}");
        assert!(shift(&scenario, Controller::Predictive, 3).is_err());
    }
}
