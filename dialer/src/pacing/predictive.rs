//! Predictive: dial as long as the next call's chance of being abandoned stays under θ.
//!
//! Answers and free agents until τ are sums of independent Bernoullis, one per call in flight and
//! one per busy agent. A call that is answered at τ is abandoned when the answers until then are
//! no fewer than the agents who were free by τ + 2 s. The [`Governor`] moves θ so that the
//! abandonment budget is spent evenly.

use super::learned::{CURVE_POINTS, HORIZON_BINS, RING_STEP_S};
use super::{BIN_S, Decision, Learned, Snapshot, progressive};
use model::event::PacingLimit;

/// Most calls one decision dials; more follow in the next, 0.1 s later.
const DIALS_MAX: u32 = 2_000;
/// Up to so many agents the sums are exact; beyond, the normal approximation with its skewness
/// correction differs by less than 0.005.
const EXACT_AGENTS_MAX: usize = 32;
/// Ring steps per bin.
const STEPS: usize = (BIN_S / RING_STEP_S) as usize;

pub(super) fn decide(snapshot: &Snapshot, learned: &Learned) -> Decision {
    let floor = progressive::count(snapshot);
    let outlook = Outlook::new(snapshot, learned);
    let mut decision = Decision {
        dial: floor,
        expected_answers: outlook.expected_answers,
        expected_free: outlook.expected_free,
        risk: 0.0,
        limited_by: PacingLimit::Budget,
    };
    if snapshot.available == 0 && snapshot.busy.is_empty() {
        decision.limited_by = PacingLimit::Agents;
        return decision;
    }
    if snapshot.guarded {
        return decision;
    }
    let (dial, risk) = outlook.largest(snapshot.theta);
    decision.dial = dial.max(floor);
    decision.risk = risk;
    decision.limited_by = PacingLimit::Risk;
    decision
}

/// The chance that a call dialled now, after `before` others dialled now, is abandoned.
pub fn risk_of(before: u32, snapshot: &Snapshot, learned: &Learned) -> f64 {
    Outlook::new(snapshot, learned).risk(before)
}

/// Mean, variance and third cumulant of a sum of Bernoullis.
#[derive(Clone, Copy, Default)]
struct Sum {
    mean: f64,
    variance: f64,
    third: f64,
}

impl Sum {
    fn add(&mut self, p: f64, times: f64) {
        let v = p * (1.0 - p);
        self.mean += times * p;
        self.variance += times * v;
        self.third += times * v * (1.0 - 2.0 * p);
    }
}

/// What the next 28 s hold, seen from the middle of each bin.
struct Outlook {
    /// Share of a new call's answers that falls into each bin.
    weight: [f64; HORIZON_BINS],
    /// P(a new call is answered before the middle of the bin).
    new_by: [f64; HORIZON_BINS],
    answers: [Sum; HORIZON_BINS],
    free: [Sum; HORIZON_BINS],
    exact: Option<Exact>,
    expected_answers: f64,
    expected_free: f64,
}

/// The same as whole distributions, for few agents.
struct Exact {
    /// P(answers = k), the last entry holding all that is more.
    answers: Vec<Vec<f64>>,
    /// P(free ≤ k).
    free_at_most: Vec<Vec<f64>>,
}

impl Outlook {
    fn new(snapshot: &Snapshot, learned: &Learned) -> Outlook {
        let p = learned.answer_share();
        let ring = learned.ring();
        let weight: [f64; HORIZON_BINS] = std::array::from_fn(|bin| {
            ring.answered_by((bin + 1) * STEPS) - ring.answered_by(bin * STEPS)
        });
        let middle = |bin: usize| bin * STEPS + STEPS / 2;
        let new_by: [f64; HORIZON_BINS] =
            std::array::from_fn(|bin| p * ring.answered_by(middle(bin)));

        let curves: Vec<[f64; CURVE_POINTS]> = snapshot
            .busy
            .iter()
            .map(|&busy| learned.free_within(busy))
            .collect();
        // A person answered in the middle of a bin waits until the middle of the next.
        let free_at =
            |curve: &[f64; CURVE_POINTS], bin: usize| 0.5 * (curve[bin + 1] + curve[bin + 2]);
        let mut answers = [Sum::default(); HORIZON_BINS];
        let mut free = [Sum::default(); HORIZON_BINS];
        let by_age: Vec<(f64, usize, f64)> = in_flight_by_age(snapshot);
        for bin in 0..HORIZON_BINS {
            let sum = &mut answers[bin];
            sum.mean += f64::from(snapshot.waiting);
            sum.add(new_by[bin], f64::from(snapshot.claiming));
            for &(count, step, share) in &by_age {
                sum.add(share * ring.answers_within(p, step, middle(bin)), count);
            }
            let sum = &mut free[bin];
            sum.mean += f64::from(snapshot.available);
            for curve in &curves {
                sum.add(free_at(curve, bin), 1.0);
            }
        }
        let agents = snapshot.available as usize + snapshot.busy.len();
        let exact = (agents <= EXACT_AGENTS_MAX).then(|| Exact {
            answers: (0..HORIZON_BINS)
                .map(|bin| {
                    let mut pmf = vec![0.0; agents + 2];
                    pmf[(snapshot.waiting as usize).min(agents + 1)] = 1.0;
                    for _ in 0..snapshot.claiming {
                        convolve(&mut pmf, new_by[bin]);
                    }
                    for &(count, step, share) in &by_age {
                        let q = share * ring.answers_within(p, step, middle(bin));
                        for _ in 0..count as u32 {
                            convolve(&mut pmf, q);
                        }
                    }
                    pmf
                })
                .collect(),
            free_at_most: (0..HORIZON_BINS)
                .map(|bin| {
                    let mut pmf = vec![0.0; agents + 2];
                    pmf[snapshot.available as usize] = 1.0;
                    for curve in &curves {
                        convolve(&mut pmf, free_at(curve, bin));
                    }
                    let mut sum = 0.0;
                    pmf.iter_mut().for_each(|p| {
                        sum += *p;
                        *p = sum;
                    });
                    pmf
                })
                .collect(),
        });
        let mean_bin = (0..HORIZON_BINS).find(|&bin| ring.answered_by((bin + 1) * STEPS) >= 0.5);
        Outlook {
            weight,
            new_by,
            expected_answers: answers[HORIZON_BINS - 1].mean,
            expected_free: free[mean_bin.unwrap_or(HORIZON_BINS - 1)].mean,
            answers,
            free,
            exact,
        }
    }

    /// How many calls may be dialled under `theta`, and the risk of the one after them.
    fn largest(mut self, theta: f64) -> (u32, f64) {
        let mut dialled = 0;
        if self.exact.is_some() {
            loop {
                let risk = self.risk(0);
                if risk >= theta || dialled == DIALS_MAX {
                    return (dialled, risk);
                }
                dialled += 1;
                let pmfs = self.exact.iter_mut().flat_map(|exact| &mut exact.answers);
                for (pmf, &q) in pmfs.zip(&self.new_by) {
                    convolve(pmf, q);
                }
            }
        }
        // The risk grows with the number: search it.
        let (mut low, mut high) = (0, DIALS_MAX + 1);
        while low + 1 < high {
            let middle = (low + high) / 2;
            if self.risk(middle - 1) < theta {
                low = middle
            } else {
                high = middle
            }
        }
        (low, self.risk(low))
    }

    fn risk(&self, before: u32) -> f64 {
        let total: f64 = self.weight.iter().sum();
        if total <= 0.0 {
            return 1.0;
        }
        let weighted: f64 = (0..HORIZON_BINS)
            .filter(|&bin| self.weight[bin] > 0.0)
            .map(|bin| self.weight[bin] * self.short_of_agents(bin, before))
            .sum();
        weighted / total
    }

    /// P(answers before the call ≥ agents free for it).
    fn short_of_agents(&self, bin: usize, before: u32) -> f64 {
        if let Some(exact) = &self.exact {
            let mut with_new;
            let mut answers = &exact.answers[bin];
            if before > 0 {
                with_new = answers.clone();
                (0..before).for_each(|_| convolve(&mut with_new, self.new_by[bin]));
                answers = &with_new;
            }
            return answers
                .iter()
                .zip(&exact.free_at_most[bin])
                .map(|(a, f)| a * f)
                .sum();
        }
        let mut answers = self.answers[bin];
        answers.add(self.new_by[bin], f64::from(before));
        let free = self.free[bin];
        let mean = free.mean - answers.mean;
        let variance = free.variance + answers.variance;
        if variance < 1e-9 {
            return f64::from(u8::from(mean < 0.5));
        }
        let sigma = variance.sqrt();
        let x = (0.5 - mean) / sigma;
        let skew = (free.third - answers.third) / (variance * sigma);
        (normal_cdf(x) + skew / 6.0 * (1.0 - x * x) * normal_density(x)).clamp(0.0, 1.0)
    }
}

/// (how many, age in ring steps, share that falls on these agents).
fn in_flight_by_age(snapshot: &Snapshot) -> Vec<(f64, usize, f64)> {
    let own = snapshot
        .ringing
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0);
    let other = snapshot
        .competing
        .iter()
        .enumerate()
        .filter(|(_, share)| **share > 0.0);
    own.map(|(step, &count)| (f64::from(count), step, 1.0))
        .chain(other.map(|(step, &sum)| (sum.ceil(), step, sum / sum.ceil())))
        .collect()
}

/// Adds one Bernoulli to a distribution whose last entry holds all that is more.
pub(super) fn convolve(pmf: &mut [f64], p: f64) {
    let last = pmf.len() - 1;
    pmf[last] += pmf[last - 1] * p;
    for k in (1..last).rev() {
        pmf[k] = pmf[k] * (1.0 - p) + pmf[k - 1] * p;
    }
    pmf[0] *= 1.0 - p;
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Φ by Abramowitz and Stegun 26.2.17, error below 7.5e-8.
pub(super) fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let upper = normal_density(x) * poly;
    if x >= 0.0 { 1.0 - upper } else { upper }
}

/// Before anything was abandoned: under the limit of 3 %, since few abandonments are in hand.
const THETA_START: f64 = 0.025;
/// θ never leaves this range: below, it is progressive anyway; above, the guard would do the work.
const THETA_MIN: f64 = 0.004;
const THETA_MAX: f64 = 0.6;
/// How much of log θ one burst more or less in the budget moves at once.
const GAIN: f64 = 0.6;
/// How much of log θ one answer moves for good, per burst more or less in the budget.
const DRIFT: f64 = 0.005;
/// Bursts of abandonments kept in hand: with fewer, the guard closes often, and progressive costs
/// more than the unused budget.
const RESERVE: f64 = 2.5;

/// Moves θ so that abandonments stay under the limit and the budget is used.
#[derive(Clone, Debug)]
pub struct Governor {
    log_theta: f64,
    theta: f64,
}

impl Default for Governor {
    fn default() -> Governor {
        Governor {
            log_theta: THETA_START.ln(),
            theta: THETA_START,
        }
    }
}

impl Governor {
    /// A live person was answered; `left` is the budget since: abandonments that would still be
    /// legal. `agents` are those signed in, who set how large a burst of abandonments may be.
    pub fn answered(&mut self, left: f64, agents: usize) {
        let scale = burst(agents);
        let z = ((left - 1.0 - RESERVE * scale) / scale).clamp(-4.0, 4.0);
        self.log_theta = (self.log_theta + DRIFT * z).clamp(THETA_MIN.ln(), THETA_MAX.ln());
        self.theta = (self.log_theta + GAIN * z)
            .exp()
            .clamp(THETA_MIN, THETA_MAX);
    }

    /// The largest chance of being abandoned that the next call may have.
    pub fn theta(&self) -> f64 {
        self.theta
    }
}

/// How many abandonments come at once when they come, roughly.
fn burst(agents: usize) -> f64 {
    (agents as f64 / 10.0).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::{Busy, Mode, decide};
    use super::*;

    fn agents(n: usize) -> Snapshot {
        Snapshot {
            busy: (0..n)
                .map(|k| Busy::OnCall(k as f64 * 7.0 % 200.0))
                .collect(),
            theta: 0.06,
            power_level: 1.5,
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_normal_and_the_exact_sums_agree() {
        let learned = Learned::new(26.0);
        let mut snapshot = agents(EXACT_AGENTS_MAX);
        snapshot.ringing = vec![1; 40];
        let mut approximate = Outlook::new(&snapshot, &learned);
        let exact = Outlook::new(&snapshot, &learned);
        approximate.exact = None;
        for before in [0, 5, 20] {
            let (a, b) = (approximate.risk(before), exact.risk(before));
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
    }

    #[test]
    fn more_risk_allowed_dials_more_and_the_guard_leaves_progressive() {
        let learned = Learned::new(26.0);
        let mut snapshot = agents(20);
        snapshot.available = 2;
        let careful = decide(
            Mode::Predictive,
            &Snapshot {
                theta: 0.02,
                ..snapshot.clone()
            },
            &learned,
        );
        let bold = decide(
            Mode::Predictive,
            &Snapshot {
                theta: 0.2,
                ..snapshot.clone()
            },
            &learned,
        );
        assert!(bold.dial > careful.dial && careful.dial >= 2);
        let guarded = decide(
            Mode::Predictive,
            &Snapshot {
                guarded: true,
                ..snapshot
            },
            &learned,
        );
        assert_eq!((guarded.dial, guarded.limited_by), (2, PacingLimit::Budget));
    }

    #[test]
    fn nobody_signed_in_dials_nothing() {
        let decision = decide(
            Mode::Predictive,
            &Snapshot {
                theta: 0.5,
                ..Snapshot::default()
            },
            &Learned::new(26.0),
        );
        assert_eq!(
            (decision.dial, decision.limited_by),
            (0, PacingLimit::Agents)
        );
    }

    #[test]
    fn power_keeps_its_ratio() {
        let snapshot = Snapshot {
            available: 10,
            ringing: vec![4],
            ..agents(0)
        };
        assert_eq!(decide(Mode::Power, &snapshot, &Learned::new(26.0)).dial, 11);
        assert_eq!(
            decide(Mode::Progressive, &snapshot, &Learned::new(26.0)).dial,
            6
        );
        assert_eq!(
            decide(Mode::Preview, &snapshot, &Learned::new(26.0)).dial,
            0
        );
    }

    #[test]
    fn theta_falls_when_the_budget_is_overspent_and_rises_when_it_is_not_used() {
        let mut governor = Governor::default();
        (0..50).for_each(|_| governor.answered(-3.0, 10));
        assert!(governor.theta() < THETA_START / 2.0);
        (0..400).for_each(|_| governor.answered(8.0, 10));
        assert!(governor.theta() > THETA_START);
    }
}
