//! The common open dialer's rules, for comparison, re-implemented from a description: a level, a goal of calls every 2.5 s, an adaptation every 15 s, and a brake on
//! the day's abandonment. No talk time, answer rate or ring time enters anywhere.

use crate::scenario::{Brake, Controller, Scenario};
use crate::small_world::{Happens, Seen, SmallWorld};
use model::Mono;
use std::collections::VecDeque;
use std::time::Duration;

/// A goal is set this often.
const DECIDE_EVERY: Duration = Duration::from_millis(2_500);
/// One sample of ready agents and waiting calls.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// The level is adapted over so many samples.
const SAMPLES: usize = 15;
/// The largest level it adapts to.
const LEVEL_MAX: f64 = 3.0;
/// The day's share of abandoned calls is looked at this often, after this many dials.
const DAY_EVERY: Duration = Duration::from_secs(60);
const DAY_DIALS_MIN: u64 = 50;
/// The limit it brakes at, in per cent.
const LIMIT_PCT: f64 = 3.0;
/// More than this many calls in a minute, and more than this share abandoned: the level is halved.
const BURST_CALLS: usize = 20;
const BURST_SHARE: f64 = 0.5;
const BURST_WITHIN: Duration = Duration::from_secs(60);
/// A waiting person is shown to ready agents this often, for three seconds, then every second.
const POLL_EVERY: Duration = Duration::from_millis(250);
const POLL_FAST_FOR: Duration = Duration::from_secs(3);
const POLL_SLOW_EVERY: Duration = Duration::from_secs(1);
/// The time of day at which a shift begins and dialling must end, as it writes them: hours and minutes in one number.
const SHIFT_BEGINS_H: f64 = 9.0;

/// Its timers.
const DECIDE: u8 = 0;
const SAMPLE: u8 = 1;
const DAY: u8 = 2;

/// When a person who has waited so long is shown to the agents again.
pub(crate) fn poll_after(waited: Duration) -> Duration {
    if waited < POLL_FAST_FOR {
        POLL_EVERY
    } else {
        POLL_SLOW_EVERY
    }
}

/// See the module.
pub(crate) struct OpenDialer {
    /// What keeps the level in check; a constant level without it.
    brake: Option<Brake>,
    hours: f64,
    level: f64,
    samples: Vec<f64>,
    day_over: bool,
    /// When persons of the last minute were connected or abandoned, and which.
    recent: VecDeque<(Mono, bool)>,
}

impl OpenDialer {
    pub fn new(scenario: &Scenario, controller: Controller) -> OpenDialer {
        let (level, brake) = match controller {
            Controller::Ratio(level) => (level, None),
            Controller::Adapt(brake) => (1.0, Some(brake)),
            Controller::Predictive
            | Controller::Progressive
            | Controller::Power(_)
            | Controller::Agentless
            | Controller::Informed => (1.0, None),
        };
        OpenDialer {
            brake,
            hours: scenario.hours,
            level,
            samples: Vec::new(),
            day_over: false,
            recent: VecDeque::new(),
        }
    }

    pub fn begin(&self, world: &mut SmallWorld<'_>, campaign: usize) {
        for timer in [DECIDE, SAMPLE, DAY] {
            world.later(Duration::ZERO, Happens::Pacer(campaign, timer));
        }
    }

    pub fn seen(&mut self, now: Mono, seen: Seen) {
        self.recent.push_back((now, seen == Seen::Abandoned));
    }

    pub fn timer(&mut self, world: &mut SmallWorld<'_>, campaign: usize, timer: u8) {
        let again = Happens::Pacer(campaign, timer);
        match timer {
            DECIDE => {
                world.later(DECIDE_EVERY, again);
                self.decide(world, campaign);
            }
            SAMPLE => {
                world.later(SAMPLE_EVERY, again);
                let floor = world.floor(campaign);
                self.samples.push(floor.ready - floor.waiting);
                if self.samples.len() == SAMPLES {
                    self.adapt(world.now, floor.signed_in);
                }
            }
            _ => {
                world.later(DAY_EVERY, again);
                let day = world.counted(campaign);
                let answers = day.connected + day.abandoned;
                self.day_over = day.dials >= DAY_DIALS_MIN
                    && day.abandoned as f64 > LIMIT_PCT / 100.0 * answers as f64;
            }
        }
    }

    fn adapt(&mut self, now: Mono, signed_in: f64) {
        let mean = self.samples.drain(..).sum::<f64>() / SAMPLES as f64;
        let Some(brake) = self.brake else { return };
        if signed_in > 0.0 {
            let step = mean / signed_in;
            self.level = (self.level * (1.0 + step)).clamp(1.0, LEVEL_MAX);
        }
        while self
            .recent
            .front()
            .is_some_and(|(at, _)| now.since(*at) > BURST_WITHIN)
        {
            self.recent.pop_front();
        }
        let abandoned = self
            .recent
            .iter()
            .filter(|(_, abandoned)| *abandoned)
            .count();
        if self.recent.len() > BURST_CALLS
            && abandoned as f64 > BURST_SHARE * self.recent.len() as f64
        {
            self.level = (self.level / 2.0).max(1.0);
        }
        // The brake acts on the level that is kept: over the limit, it shrinks every time.
        if self.day_over {
            let braked = match brake {
                Brake::Hard => 1.0,
                Brake::Average => self.level / 2.0,
                Brake::Tapered => self.level * self.taper(now),
            };
            self.level = braked.max(1.0);
        }
    }

    /// What is left of the day: the latest time minus now, both as HHMM, per thousand, at most 1.
    fn taper(&self, now: Mono) -> f64 {
        let written = |hours: f64| 100.0 * hours.floor() + 60.0 * hours.fract();
        let hour = SHIFT_BEGINS_H + now.as_secs_f64() / 3_600.0;
        ((written(SHIFT_BEGINS_H + self.hours) - written(hour)) / 1_000.0).clamp(0.0, 1.0)
    }

    /// The goal counts who is ready or talks, not who wraps up; a call counts until its talk is over.
    fn decide(&self, world: &mut SmallWorld<'_>, campaign: usize) {
        let floor = world.floor(campaign);
        let goal = (self.level * (floor.ready + floor.talking)).round();
        let missing = (goal - floor.calls).round().max(0.0) as u64;
        world.dial(campaign, missing, DECIDE_EVERY.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::small_world::shift;

    fn scenario(agents: usize, hours: f64) -> Scenario {
        Scenario {
            agents,
            hours,
            ..Scenario::default()
        }
    }

    #[test]
    fn a_higher_ratio_dials_more_and_abandons_more() {
        let scenario = scenario(10, 1.0);
        let low = shift(&scenario, Controller::Ratio(1.0), 1).unwrap();
        let high = shift(&scenario, Controller::Ratio(6.0), 1).unwrap();
        assert!(high.dials > low.dials && high.handling_us > low.handling_us);
        assert!(high.abandoned > low.abandoned, "{high:?}");
    }

    #[test]
    fn the_brake_acts_once_the_day_is_over_the_limit() {
        let scenario = scenario(25, 2.0);
        let hard = shift(&scenario, Controller::Adapt(Brake::Hard), 3).unwrap();
        let pct = 100.0 * hard.abandoned as f64 / (hard.abandoned + hard.connected) as f64;
        assert!(pct < 8.0, "{pct}");
    }

    #[test]
    fn a_longer_drop_timer_abandons_fewer() {
        let at_two = scenario(10, 2.0);
        let at_five = Scenario {
            drop_timer_s: Some(5.0),
            ..at_two.clone()
        };
        let [two, five] =
            [at_two, at_five].map(|world| shift(&world, Controller::Ratio(4.0), 2).unwrap());
        assert!(five.abandoned < two.abandoned, "{five:?}\n{two:?}");
    }

    #[test]
    fn the_taper_and_the_goal_are_those_of_the_description() {
        let mut dialer = OpenDialer::new(&scenario(10, 8.0), Controller::Adapt(Brake::Tapered));
        let begin = Mono::ZERO;
        let later = |hours: f64| begin + Duration::from_secs_f64(3_600.0 * hours);
        assert_eq!(dialer.taper(begin), 0.8);
        assert_eq!(dialer.taper(later(4.5)), 0.37);
        dialer.hours = 12.0;
        assert_eq!(dialer.taper(begin), 1.0);
        let tally = shift(&scenario(10, 1.0), Controller::Ratio(1.0), 4).unwrap();
        assert!(
            tally
                .curve
                .bins()
                .iter()
                .all(|bin| bin.in_flight_us + bin.talking_us <= 100_000_000),
            "ten calls at once, those talking included"
        );
    }
}
