//! What a campaign has learned about its agents and its numbers: how long talk and wrap-up last,
//! how long a call rings before it is answered, and which share of calls is answered.
//!
//! It is handed observations and answers with probabilities. It decides nothing, and every count
//! is bounded by forgetting, so that a change in the world shows.

use std::collections::VecDeque;

/// Width of a hazard bin, in seconds: fine against the 2 s a person waits and the 20 s of a wrap-up.
pub const BIN_S: f64 = 2.0;
/// Bins looked ahead: 28 s, which is longer than any call rings.
pub const HORIZON_BINS: usize = 14;
/// Points of a free-agent curve: the horizon and the patience beyond it.
pub const CURVE_POINTS: usize = HORIZON_BINS + 2;
/// Bins of the talk hazard; beyond ten minutes the last one holds.
const TALK_BINS: usize = 300;
/// Bins of the wrap-up hazard; beyond three minutes the last one holds.
const WRAP_BINS: usize = 90;
/// Observations after which all counts are halved: about a week of one busy agent.
const OBSERVATIONS_MAX: f64 = 6_000.0;
/// Weight of a prior, in observations: gone after the first dozen.
const PRIOR_WEIGHT: f64 = 3.0;

/// A discrete hazard: Kaplan–Meier counts with a weak prior.
#[derive(Clone, Debug)]
struct Hazard {
    ended: Vec<f64>,
    at_risk: Vec<f64>,
    prior: f64,
    spread: usize,
    observations: f64,
}

impl Hazard {
    fn new(bins: usize, prior_mean_s: f64, spread: usize) -> Hazard {
        Hazard {
            ended: vec![0.0; bins],
            at_risk: vec![0.0; bins],
            prior: BIN_S / prior_mean_s,
            spread,
            observations: 0.0,
        }
    }

    fn observe(&mut self, seconds: f64) {
        let last = bin_of(seconds, self.ended.len());
        for n in &mut self.at_risk[..=last] {
            *n += 1.0;
        }
        self.ended[last] += 1.0;
        self.observations += 1.0;
        if self.observations > OBSERVATIONS_MAX {
            self.observations /= 2.0;
            self.ended
                .iter_mut()
                .chain(&mut self.at_risk)
                .for_each(|count| *count /= 2.0);
        }
    }

    /// The chance of ending in each bin, given that it was reached. Ages still running count as at
    /// risk, for else a cold start would see the short ones only.
    fn per_bin(&self, running: impl Iterator<Item = f64>) -> Vec<f64> {
        let bins = self.ended.len();
        let mut at_risk = self.at_risk.clone();
        for age in running {
            let whole = ((age / BIN_S) as usize).min(bins);
            for n in &mut at_risk[..whole] {
                *n += 1.0;
            }
        }
        // A bin borrows from its neighbours: 18 s of talk, 6 s of wrap-up.
        (0..bins)
            .map(|bin| {
                let near = bin.saturating_sub(self.spread)..(bin + self.spread + 1).min(bins);
                let ended: f64 = self.ended[near.clone()].iter().sum();
                let risked: f64 = at_risk[near].iter().sum();
                let weight = PRIOR_WEIGHT * (2 * self.spread + 1) as f64;
                ((ended + weight * self.prior) / (risked + weight)).clamp(1e-6, 0.999)
            })
            .collect()
    }
}

fn bin_of(seconds: f64, bins: usize) -> usize {
    ((seconds.max(0.0) / BIN_S) as usize).min(bins - 1)
}

/// Where a busy agent is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Busy {
    /// On call for so many seconds; wrap-up follows.
    OnCall(f64),
    /// In wrap-up for so many seconds.
    WrapUp(f64),
}

/// P(free within k · [`BIN_S`]) by what the agent does and for how long. Rebuilt every few seconds.
#[derive(Clone, Debug)]
struct FreeTable {
    talk: Vec<[f64; CURVE_POINTS]>,
    wrap: Vec<[f64; CURVE_POINTS]>,
}

impl FreeTable {
    fn new(talk: &[f64], wrap: &[f64]) -> FreeTable {
        let wrap_table: Vec<[f64; CURVE_POINTS]> = (0..wrap.len())
            .map(|age| {
                let mut still = 1.0;
                std::array::from_fn(|k| {
                    if k > 0 {
                        still *= 1.0 - wrap[(age + k - 1).min(wrap.len() - 1)];
                    }
                    1.0 - still
                })
            })
            .collect();
        let fresh = wrap_table[0];
        let talk_table = (0..talk.len())
            .map(|age| {
                let mut row = [0.0; CURVE_POINTS];
                let mut still = 1.0;
                for k in 0..CURVE_POINTS - 1 {
                    let hazard = talk[(age + k).min(talk.len() - 1)];
                    let ends = still * hazard;
                    still -= ends;
                    // The talk ends in the middle of its bin, and wrap-up has what remains.
                    for (j, free) in row.iter_mut().enumerate().skip(k + 1) {
                        *free += ends * 0.5 * (fresh[j - k] + fresh[j - k - 1]);
                    }
                }
                row
            })
            .collect();
        FreeTable {
            talk: talk_table,
            wrap: wrap_table,
        }
    }
}

/// Seconds per point of the ring curve.
pub const RING_STEP_S: f64 = 0.5;
/// Points of the ring curve: 60 s, the longest ring timeout allowed.
pub const RING_POINTS: usize = 120;
/// Weight of the prior ring curve, in answers.
const RING_PRIOR: f64 = 8.0;
/// Answers after which the ring curve's counts are halved.
const RING_OBSERVATIONS_MAX: f64 = 3_000.0;

/// How long calls ring: until an answer, and until they fail.
#[derive(Clone, Debug)]
pub struct RingCurve {
    answered: Vec<f64>,
    failed: Vec<f64>,
    /// Share of the answers that came within k steps.
    answer_by: Vec<f64>,
    /// Share of the failures that came within k steps.
    fail_by: Vec<f64>,
}

impl RingCurve {
    fn new(ring_timeout_s: f64) -> RingCurve {
        let last = ring_point(ring_timeout_s).max(4);
        // Before anything is known: answers rise to 8 s and tail off until the timeout.
        let peak = ring_point(8.0).min(last - 1);
        let shape: Vec<f64> = (0..RING_POINTS)
            .map(|k| match k {
                _ if k <= peak => k as f64 / peak.max(1) as f64,
                _ if k < last => (last - k) as f64 / (last - peak) as f64,
                _ => 0.0,
            })
            .collect();
        let sum: f64 = shape.iter().sum();
        let answered = shape.iter().map(|s| RING_PRIOR * s / sum).collect();
        let mut failed = vec![0.0; RING_POINTS];
        failed[last.min(RING_POINTS - 1)] = RING_PRIOR;
        let mut curve = RingCurve {
            answered,
            failed,
            answer_by: Vec::new(),
            fail_by: Vec::new(),
        };
        curve.sum_up();
        curve
    }

    fn observe(&mut self, rang_s: f64, answered: bool) {
        let counts = if answered {
            &mut self.answered
        } else {
            &mut self.failed
        };
        counts[ring_point(rang_s).min(RING_POINTS - 1)] += 1.0;
        if counts.iter().sum::<f64>() > RING_OBSERVATIONS_MAX {
            counts.iter_mut().for_each(|count| *count /= 2.0);
        }
    }

    fn sum_up(&mut self) {
        self.answer_by = shares(&self.answered);
        self.fail_by = shares(&self.failed);
    }

    /// Share of all answers that come within `step` half seconds.
    pub fn answered_by(&self, step: usize) -> f64 {
        self.answer_by[step.min(RING_POINTS)]
    }

    /// P(answers within the next `ahead` steps | has rung `step` steps).
    pub fn answers_within(&self, p: f64, step: usize, ahead: usize) -> f64 {
        let step = step.min(RING_POINTS);
        let before = self.answer_by[step];
        let open = 1.0 - p * before - (1.0 - p) * self.fail_by[step];
        if open < 1e-6 {
            return 0.0;
        }
        (p * (self.answered_by(step + ahead) - before) / open).clamp(0.0, 1.0)
    }
}

fn ring_point(seconds: f64) -> usize {
    (seconds.max(0.0) / RING_STEP_S) as usize
}

fn shares(counts: &[f64]) -> Vec<f64> {
    let total: f64 = counts.iter().sum();
    let mut sum = 0.0;
    let mut by = Vec::with_capacity(counts.len() + 1);
    by.push(0.0);
    for count in counts {
        sum += count;
        by.push(sum / total);
    }
    by
}

/// Weight of what was believed about p before the first dial, in dials.
const ANSWER_PRIOR_DIALS: f64 = 6.0;
/// The belief: many answer. It errs towards too few dials.
const ANSWER_PRIOR: f64 = 0.4;
/// Memory of the steady estimate, in dials.
const STEADY_DIALS: f64 = 1_500.0;
/// Memory of the quick estimate, in dials: shows a step in p within two minutes at 10 agents.
const QUICK_DIALS: f64 = 120.0;
/// The quick estimate replaces the steady one when they are this many standard errors apart.
const STEP_Z: f64 = 4.0;
/// Dials waiting for their cohort; more than any campaign has in 60 s.
const COHORT_MAX: usize = 65_536;

/// Which share of dials is answered, counted by dial cohort.
///
/// Every outcome counts once the longest ring time has passed since its dial, never in the order of
/// resolution: answers come after 10 s and failures after 26 s, so the latter estimate swings in
/// step with the dialling.
#[derive(Clone, Debug)]
struct AnswerShare {
    /// (second of the dial, answered), in the order of dialling.
    open: VecDeque<(f64, u64, bool)>,
    steady: (f64, f64),
    quick: (f64, f64),
    cohort_s: f64,
}

impl AnswerShare {
    fn new(cohort_s: f64) -> AnswerShare {
        AnswerShare {
            open: VecDeque::new(),
            steady: (ANSWER_PRIOR * ANSWER_PRIOR_DIALS, ANSWER_PRIOR_DIALS),
            quick: (ANSWER_PRIOR * ANSWER_PRIOR_DIALS, ANSWER_PRIOR_DIALS),
            cohort_s,
        }
    }

    fn dialled(&mut self, at_s: f64, attempt: u64) {
        if self.open.len() == COHORT_MAX {
            self.open.pop_front();
        }
        self.open.push_back((at_s, attempt, false));
    }

    fn answered(&mut self, attempt: u64) {
        if let Ok(at) = self.open.binary_search_by_key(&attempt, |entry| entry.1) {
            self.open[at].2 = true;
        }
    }

    fn ripen(&mut self, now_s: f64) {
        while let Some(&(at, _, answered)) = self.open.front() {
            if now_s - at < self.cohort_s {
                break;
            }
            self.open.pop_front();
            let x = f64::from(u8::from(answered));
            for (sum, memory) in [
                (&mut self.steady, STEADY_DIALS),
                (&mut self.quick, QUICK_DIALS),
            ] {
                let keep = if sum.1 >= memory {
                    1.0 - 1.0 / memory
                } else {
                    1.0
                };
                *sum = (sum.0 * keep + x, sum.1 * keep + 1.0);
            }
        }
        let (slow, fast) = (self.steady.0 / self.steady.1, self.quick.0 / self.quick.1);
        let error = (slow * (1.0 - slow) / self.quick.1).sqrt().max(1e-3);
        if (slow - fast).abs() > STEP_Z * error {
            self.steady = self.quick;
        }
    }

    fn share(&self) -> f64 {
        (self.steady.0 / self.steady.1).clamp(0.005, 0.98)
    }
}

/// Seconds between two rebuilds of the curves: they move slowly, and a rebuild costs 0.1 ms.
const REBUILD_S: f64 = 10.0;

/// Everything one campaign has learned.
#[derive(Clone, Debug)]
pub struct Learned {
    talk: Hazard,
    wrap: Hazard,
    ring: RingCurve,
    answers: AnswerShare,
    free: FreeTable,
    built_at_s: f64,
}

impl Learned {
    /// Knows nothing but weak priors. `ring_timeout_s` is when an unanswered call is given up.
    pub fn new(ring_timeout_s: f64) -> Learned {
        let talk = Hazard::new(TALK_BINS, 120.0, 4);
        let wrap = Hazard::new(WRAP_BINS, 20.0, 1);
        let free = FreeTable::new(
            &talk.per_bin(std::iter::empty()),
            &wrap.per_bin(std::iter::empty()),
        );
        Learned {
            talk,
            wrap,
            ring: RingCurve::new(ring_timeout_s),
            answers: AnswerShare::new(ring_timeout_s + 1.0),
            free,
            built_at_s: f64::NEG_INFINITY,
        }
    }

    /// A talk lasted so long.
    pub fn talked(&mut self, seconds: f64) {
        self.talk.observe(seconds);
    }

    /// A wrap-up lasted so long; 0 where there was none.
    pub fn wrapped_up(&mut self, seconds: f64) {
        self.wrap.observe(seconds);
    }

    /// A call left. Attempts are numbered upwards.
    pub fn dialled(&mut self, at_s: f64, attempt: u64) {
        self.answers.dialled(at_s, attempt);
    }

    /// It was answered by a live person, as far as is known.
    pub fn answered(&mut self, attempt: u64, rang_s: f64) {
        self.answers.answered(attempt);
        self.ring.observe(rang_s, true);
    }

    /// It ended without an answer.
    pub fn failed(&mut self, rang_s: f64) {
        self.ring.observe(rang_s, false);
    }

    /// Brings the curves up to date, where they are old. `busy` are the agents at work.
    pub fn refresh(&mut self, now_s: f64, busy: &[Busy]) {
        self.answers.ripen(now_s);
        if now_s - self.built_at_s < REBUILD_S {
            return;
        }
        self.built_at_s = now_s;
        self.ring.sum_up();
        let on_call = busy.iter().filter_map(|busy| match *busy {
            Busy::OnCall(age) => Some(age),
            Busy::WrapUp(_) => None,
        });
        let in_wrap = busy.iter().filter_map(|busy| match *busy {
            Busy::OnCall(_) => None,
            Busy::WrapUp(age) => Some(age),
        });
        self.free = FreeTable::new(&self.talk.per_bin(on_call), &self.wrap.per_bin(in_wrap));
    }

    /// Share of dials that a person answers.
    pub fn answer_share(&self) -> f64 {
        self.answers.share()
    }

    /// The ring curve.
    pub fn ring(&self) -> &RingCurve {
        &self.ring
    }

    /// P(free within k · [`BIN_S`]), k = 0…, of an agent who is busy so.
    pub fn free_within(&self, busy: Busy) -> [f64; CURVE_POINTS] {
        let (table, age) = match busy {
            Busy::OnCall(age) => (&self.free.talk, age),
            Busy::WrapUp(age) => (&self.free.wrap, age),
        };
        let at = age.max(0.0) / BIN_S;
        let low = (at as usize).min(table.len() - 1);
        let high = (low + 1).min(table.len() - 1);
        let part = (at - low as f64).clamp(0.0, 1.0);
        std::array::from_fn(|k| table[low][k] * (1.0 - part) + table[high][k] * part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_share_counts_a_dial_only_when_its_cohort_is_complete() {
        let mut share = AnswerShare::new(27.0);
        for n in 0..1_000 {
            share.dialled(f64::from(n) * 0.01, n as u64);
            if n % 10 == 0 {
                share.answered(n as u64);
            }
        }
        share.ripen(20.0);
        assert!(
            (share.share() - ANSWER_PRIOR).abs() < 1e-9,
            "no cohort is complete"
        );
        share.ripen(60.0);
        assert!((share.share() - 0.1).abs() < 0.01, "{}", share.share());
    }

    #[test]
    fn the_answer_share_follows_a_step() {
        let mut share = AnswerShare::new(27.0);
        let mut rng = model::Rng::new(3);
        for n in 0..4_000_u64 {
            share.dialled(n as f64, n);
            if rng.chance(if n < 3_000 { 0.1 } else { 0.4 }) {
                share.answered(n);
            }
            share.ripen(n as f64);
        }
        assert!((share.share() - 0.4).abs() < 0.06, "{}", share.share());
    }

    #[test]
    fn hazards_recover_the_distribution_they_were_fed() {
        let mut learned = Learned::new(26.0);
        let mut rng = model::Rng::new(1);
        let draws: Vec<f64> = (0..5_000).map(|_| rng.log_normal(150.0, 1.0)).collect();
        for &talk in &draws {
            learned.talked(talk);
            learned.wrapped_up(rng.log_normal(20.0, 0.7));
        }
        learned.refresh(0.0, &[]);
        let mut fresh = Vec::new();
        for &talk in draws.iter().filter(|talk| **talk > 100.0) {
            fresh.push(talk + rng.log_normal(20.0, 0.7) <= 128.0);
        }
        let truth = fresh.iter().filter(|free| **free).count() as f64 / fresh.len() as f64;
        let told = learned.free_within(Busy::OnCall(100.0))[HORIZON_BINS];
        assert!((truth - told).abs() < 0.02, "{truth} {told}");
    }

    #[test]
    fn a_curve_never_falls_and_stays_a_probability() {
        let learned = Learned::new(26.0);
        for busy in [
            Busy::OnCall(0.0),
            Busy::OnCall(1e9),
            Busy::WrapUp(0.0),
            Busy::WrapUp(77.7),
        ] {
            let curve = learned.free_within(busy);
            assert!(curve.windows(2).all(|w| w[0] <= w[1]));
            assert!(curve.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }
}
