//! Hazard pacing that is told when every talk and wrap-up will end: what knowing it would be worth.
//! Answer rate and ring times it must learn like anybody, by dial cohort: an outcome counts once
//! every call of its age has one.
//!
//! A call that answers at τ is abandoned when the answers until then are no fewer than the agents
//! who are free while it waits. It dials as long as the next call's chance of that stays under θ,
//! and θ moves so that the limit is spent.

use crate::report::ABANDONMENT_LIMIT_PCT;
use crate::scenario::Scenario;
use crate::small_world::{Happens, Seen, SmallWorld, State};
use model::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Ring times are kept in steps of half a second, up to a minute: no call rings longer.
const STEP_S: f64 = 0.5;
const STEPS: usize = 120;
/// The future is looked at in bins of two seconds, up to 28 s.
const BIN_STEPS: usize = 4;
const BINS: usize = 14;
/// Even if nothing happens, it decides this often.
const AGAIN: Duration = Duration::from_millis(500);
/// So many dials count in full; older ones fade.
const MEMORY_DIALS: f64 = 3_000.0;
/// What it believes before the first dial: 3 answers of 10, between 4 and 16 s.
const PRIOR_DIALS: f64 = 10.0;
const PRIOR_SHARE: f64 = 0.3;
/// Up to so many agents the sums are exact; beyond, normal with a correction for their skewness.
const EXACT_AGENTS_MAX: usize = 32;
/// By how much one abandoned person moves ln θ.
const GAIN: f64 = 0.15;
/// What the budget has left is to be spent over so many answers, or what is left of the shift.
const SPEND_OVER: f64 = 200.0;
const SPEND_OVER_MIN: f64 = 30.0;
/// Of the answers still to come, the share that may be counted on to earn an abandonment back.
const COUNTED_ON: f64 = 0.25;
/// Before the answers of a quarter of an hour are in, one is expected per agent in this time.
const BUSY_S: f64 = 200.0;
/// Of the limit; the rest is for what the last answers bring.
const AIM: f64 = 0.965;
/// One decision dials no more.
const DIALS_MAX: u64 = 2_000;

/// See the module.
pub(crate) struct Informed {
    waits: Duration,
    timeout: Duration,
    shift_s: f64,
    /// Dials whose cohort is not complete, oldest first, and how the finished ones of them ended.
    cohort: VecDeque<(u64, Mono)>,
    ended: BTreeMap<u64, (bool, usize)>,
    dialled: u64,
    answered: [f64; STEPS],
    failed: [f64; STEPS],
    theta_ln: f64,
    live: f64,
    abandoned: f64,
}

/// What is learned, as shares.
struct Curves {
    p: f64,
    /// Of the answers, of the failures: those within so many steps.
    answered_by: [f64; STEPS + 1],
    failed_by: [f64; STEPS + 1],
}

impl Curves {
    /// P(a call that has rung `age` steps answers within `steps` more).
    fn within(&self, age: usize, steps: usize) -> f64 {
        let (from, to) = (age.min(STEPS), (age + steps).min(STEPS));
        let answers = self.p * (1.0 - self.answered_by[from]);
        let rings = answers + (1.0 - self.p) * (1.0 - self.failed_by[from]);
        if rings <= 1e-12 {
            return 0.0;
        }
        (self.p * (self.answered_by[to] - self.answered_by[from]) / rings).clamp(0.0, 1.0)
    }
}

/// How many answer until the middle of a bin.
enum Sum {
    /// P(k answers), the last entry holding all that is more.
    Exact(Vec<f64>),
    /// Mean, variance and third cumulant.
    Normal(f64, f64, f64),
}

impl Sum {
    fn new(exact: bool, agents: usize, waiting: usize) -> Sum {
        if exact {
            let mut pmf = vec![0.0; agents + 2];
            pmf[waiting.min(agents + 1)] = 1.0;
            Sum::Exact(pmf)
        } else {
            Sum::Normal(waiting as f64, 0.0, 0.0)
        }
    }

    fn add(&mut self, q: f64, times: u32) {
        match self {
            Sum::Exact(pmf) => {
                for _ in 0..times {
                    let last = pmf.len() - 1;
                    pmf[last] += q * pmf[last - 1];
                    for k in (1..last).rev() {
                        pmf[k] = (1.0 - q) * pmf[k] + q * pmf[k - 1];
                    }
                    pmf[0] *= 1.0 - q;
                }
            }
            Sum::Normal(mean, variance, third) => {
                let v = f64::from(times) * q * (1.0 - q);
                *mean += f64::from(times) * q;
                *variance += v;
                *third += v * (1.0 - 2.0 * q);
            }
        }
    }

    /// P(at least k).
    fn at_least(&self, k: usize) -> f64 {
        match self {
            Sum::Exact(pmf) => pmf[k.min(pmf.len())..].iter().sum(),
            Sum::Normal(mean, variance, third) => {
                let sd = variance.sqrt();
                if sd < 1e-9 {
                    return if *mean >= k as f64 { 1.0 } else { 0.0 };
                }
                let z = (k as f64 - 0.5 - mean) / sd;
                let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
                let skew = third / (6.0 * sd.powi(3));
                (upper_tail(z) + skew * (z * z - 1.0) * density).clamp(0.0, 1.0)
            }
        }
    }
}

/// P(a standard normal number exceeds z) (Abramowitz and Stegun 26.2.17, error below 1e-7).
fn upper_tail(z: f64) -> f64 {
    let x = z.abs();
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * poly;
    if z < 0.0 { 1.0 - tail } else { tail }
}

impl Informed {
    pub fn new(scenario: &Scenario) -> Informed {
        let mut informed = Informed {
            waits: Duration::from_secs_f64(scenario.patience_s),
            timeout: Duration::from_secs_f64(scenario.ring_timeout_s),
            shift_s: scenario.hours * 3_600.0,
            cohort: VecDeque::new(),
            ended: BTreeMap::new(),
            dialled: 0,
            answered: [0.0; STEPS],
            failed: [0.0; STEPS],
            theta_ln: 0.02_f64.ln(),
            live: 0.0,
            abandoned: 0.0,
        };
        let (from, to) = (step_of(4.0), step_of(16.0));
        for step in from..to {
            informed.answered[step] = PRIOR_DIALS * PRIOR_SHARE / (to - from) as f64;
        }
        let timeout = step_of(scenario.ring_timeout_s);
        informed.failed[timeout] = PRIOR_DIALS * (1.0 - PRIOR_SHARE);
        informed
    }

    pub fn begin(&mut self, world: &mut SmallWorld<'_>) {
        world.later(AGAIN, Happens::Pacer(0));
    }

    /// A person was connected or abandoned: θ moves, by what the budget wants.
    pub fn outcome(&mut self, world: &SmallWorld<'_>, abandoned: bool) {
        self.live += 1.0;
        self.abandoned += f64::from(u8::from(abandoned));
        let limit = AIM * ABANDONMENT_LIMIT_PCT / 100.0;
        let over = self.to_come(world).clamp(SPEND_OVER_MIN, SPEND_OVER);
        let owed = (limit * self.live - self.abandoned) / over;
        let wanted = (limit + owed).clamp(0.0, 2.0 * limit);
        self.theta_ln += GAIN * (wanted - f64::from(u8::from(abandoned)));
        self.theta_ln = self.theta_ln.clamp(0.000_5_f64.ln(), 0.5_f64.ln());
    }

    /// Answers expected until the end of the shift.
    fn to_come(&self, world: &SmallWorld<'_>) -> f64 {
        let passed = world.now.as_secs_f64();
        let left = (self.shift_s - passed).max(0.0);
        if passed > 900.0 {
            left * self.live / passed
        } else {
            left * world.agents.len() as f64 / BUSY_S
        }
    }

    pub fn seen(&mut self, world: &mut SmallWorld<'_>, seen: Seen) {
        match seen {
            Seen::Answered(call, rang) => {
                self.ended.insert(call, (true, step_of(rang.as_secs_f64())));
            }
            Seen::Failed(call, rang) => {
                self.ended
                    .insert(call, (false, step_of(rang.as_secs_f64())));
                self.decide(world);
            }
            Seen::Connected => {
                self.outcome(world, false);
                self.decide(world);
            }
            Seen::Abandoned => {
                self.outcome(world, true);
                self.decide(world);
            }
        }
    }

    pub fn decide_again(&mut self, world: &mut SmallWorld<'_>) {
        world.later(AGAIN, Happens::Pacer(0));
        self.decide(world);
    }

    /// Counts the dials that have all rung out.
    fn learn(&mut self, now: Mono) {
        while let Some((call, at)) = self.cohort.front().copied()
            && now.since(at) > self.timeout
        {
            self.cohort.pop_front();
            let Some((answered, step)) = self.ended.remove(&call) else {
                continue;
            };
            let fade = 1.0 - 1.0 / MEMORY_DIALS;
            for count in self.answered.iter_mut().chain(&mut self.failed) {
                *count *= fade;
            }
            if answered {
                self.answered[step] += 1.0;
            } else {
                self.failed[step] += 1.0;
            }
        }
    }

    fn curves(&self) -> Curves {
        let cumulate = |counts: &[f64; STEPS]| {
            let total: f64 = counts.iter().sum();
            let mut by = [0.0; STEPS + 1];
            for step in 0..STEPS {
                by[step + 1] = by[step] + counts[step] / total.max(1e-9);
            }
            (total, by)
        };
        let (answers, answered_by) = cumulate(&self.answered);
        let (failures, failed_by) = cumulate(&self.failed);
        Curves {
            p: answers / (answers + failures),
            answered_by,
            failed_by,
        }
    }

    pub fn decide(&mut self, world: &mut SmallWorld<'_>) {
        self.learn(world.now);
        let in_flight = (world.ringing.len() + world.waiting.len()) as u64;
        let floor = (world.ready.len() as u64).saturating_sub(in_flight);
        let count = floor.max(self.largest(world));
        if count == 0 {
            return;
        }
        let before = world.tally.dials;
        world.dial(count, 1.0);
        for _ in before..world.tally.dials {
            self.dialled += 1;
            self.cohort.push_back((self.dialled, world.now));
        }
    }

    /// The most calls whose last one stays under θ.
    fn largest(&self, world: &SmallWorld<'_>) -> u64 {
        let agents = world
            .agents
            .iter()
            .filter(|agent| agent.state != State::Away)
            .count();
        // No call that could take the shift over the limit with no time left to earn it back.
        let limit = ABANDONMENT_LIMIT_PCT / 100.0;
        let answers = self.live + 1.0 + COUNTED_ON * self.to_come(world);
        let spent = self.abandoned + 1.0 > limit * answers;
        if agents == 0 || spent {
            return 0;
        }
        let curves = self.curves();
        let exact = agents <= EXACT_AGENTS_MAX;
        let mut ages = [0_u32; STEPS + 1];
        for dialled in world.ringing.values() {
            ages[step_of(world.now.since(*dialled).as_secs_f64())] += 1;
        }
        let middle = |bin: usize| bin * BIN_STEPS + BIN_STEPS / 2;
        let theta = self.theta_ln.exp();
        let mut bins: Vec<(f64, f64, usize, Sum)> = (0..BINS)
            .map(|bin| {
                let weight =
                    curves.answered_by[(bin + 1) * BIN_STEPS] - curves.answered_by[bin * BIN_STEPS];
                let until =
                    world.now + Duration::from_secs_f64(middle(bin) as f64 * STEP_S) + self.waits;
                let free = world
                    .agents
                    .iter()
                    .filter(|agent| match agent.state {
                        State::Ready => true,
                        State::OnCall | State::WrapUp => agent.free_at <= until,
                        State::Away => false,
                    })
                    .count();
                let mut sum = Sum::new(exact, agents, world.waiting.len());
                for (age, count) in ages.iter().enumerate().filter(|(_, count)| **count > 0) {
                    sum.add(curves.within(age, middle(bin)), *count);
                }
                let new = curves.p * curves.answered_by[middle(bin)];
                (weight, new, free, sum)
            })
            .collect();
        for count in 0..DIALS_MAX {
            let risk: f64 = bins
                .iter()
                .map(|(weight, _, free, sum)| weight * sum.at_least(*free))
                .sum();
            if risk > theta {
                return count;
            }
            for (_, new, _, sum) in &mut bins {
                sum.add(*new, 1);
            }
        }
        DIALS_MAX
    }
}

fn step_of(seconds: f64) -> usize {
    ((seconds / STEP_S) as usize).min(STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Controller;
    use crate::small_world::shift;

    #[test]
    fn the_tail_and_the_sums_are_those_of_the_books() {
        assert!((upper_tail(1.959_964) - 0.025).abs() < 1e-6);
        assert!((upper_tail(-1.0) - 0.841_344_7).abs() < 1e-6);
        let mut exact = Sum::new(true, 40, 0);
        let mut normal = Sum::new(false, 40, 0);
        exact.add(0.3, 40);
        normal.add(0.3, 40);
        for k in 5..20 {
            let (a, b) = (exact.at_least(k), normal.at_least(k));
            assert!((a - b).abs() < 0.003, "{k}: {a} {b}");
        }
    }

    #[test]
    fn knowing_the_end_of_talks_beats_one_call_per_agent_within_the_limit() {
        let scenario = Scenario {
            hours: 4.0,
            ..Scenario::default()
        };
        let informed = shift(&scenario, Controller::Informed, 1).unwrap();
        let ratio = shift(&scenario, Controller::Ratio(1.0), 1).unwrap();
        let busy = |tally: &crate::Tally| tally.handling_us as f64 / tally.signed_in_us as f64;
        assert!(busy(&informed) > busy(&ratio) + 0.1, "{}", busy(&informed));
        let live = informed.connected + informed.abandoned;
        assert!(
            informed.abandoned as f64 <= 0.03 * live as f64,
            "{} of {live}",
            informed.abandoned
        );
    }
}
