//! How long calls ring: until an answer, and until they fail. Counts of competing risks by age, so
//! that calls which still ring and calls that were withdrawn count as at risk and as nothing more.
//!
//! It is handed ages and ends, and answers with shares and hazards. It decides nothing.

use super::learned::RingState;

/// Seconds per point of the ring curve.
pub const RING_STEP_S: f64 = 0.5;
/// Points of the ring curve: 60 s, the longest ring timeout allowed.
pub const RING_POINTS: usize = 120;
/// Weight of the prior ring curve, in answers.
const PRIOR_ANSWERS: f64 = 8.0;
/// Weight of the prior's failures.
const PRIOR_FAILURES: f64 = 12.0;
/// Answers after which the counts are halved: 1,000 give the curve to within 2 %, and a carrier
/// whose delay changes shows within some hundred answers.
const ANSWERS_MAX: f64 = 1_000.0;
/// A step borrows from so many neighbours on either side: 2.5 s in all.
const SPREAD: usize = 2;

/// How long calls ring.
#[derive(Clone, Debug)]
pub struct RingCurve {
    answered: Vec<f64>,
    failed: Vec<f64>,
    /// Resolved calls that had reached step k.
    reached: Vec<f64>,
    prior_answered: Vec<f64>,
    last: usize,
    /// Share of the answers that came within k steps.
    answer_by: Vec<f64>,
    /// Share of the failures that came within k steps.
    fail_by: Vec<f64>,
}

impl RingCurve {
    pub(super) fn new(ring_timeout_s: f64) -> RingCurve {
        let last = ring_point(ring_timeout_s).clamp(4, RING_POINTS - 1);
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
        let mut curve = RingCurve {
            answered: vec![0.0; RING_POINTS],
            failed: vec![0.0; RING_POINTS],
            reached: vec![0.0; RING_POINTS],
            prior_answered: shape.iter().map(|s| PRIOR_ANSWERS * s / sum).collect(),
            last,
            answer_by: Vec::new(),
            fail_by: Vec::new(),
        };
        curve.rebuild(&[]);
        curve
    }

    /// A call rang so long and was answered.
    pub(super) fn answered(&mut self, rang_s: f64) {
        let step = self.reach(rang_s);
        self.answered[step] += 1.0;
        if self.answered.iter().sum::<f64>() > ANSWERS_MAX {
            self.fade(0.5);
        }
    }

    /// A call rang so long and failed.
    pub(super) fn failed(&mut self, rang_s: f64) {
        let step = self.reach(rang_s);
        self.failed[step] += 1.0;
    }

    /// A call rang so long and was given up by us: it says nothing about what it would have become.
    pub(super) fn withdrawn(&mut self, rang_s: f64) {
        self.reach(rang_s);
    }

    fn reach(&mut self, rang_s: f64) -> usize {
        let step = ring_point(rang_s).min(RING_POINTS - 1);
        for n in &mut self.reached[..=step] {
            *n += 1.0;
        }
        step
    }

    fn fade(&mut self, keep: f64) {
        for counts in [&mut self.answered, &mut self.failed, &mut self.reached] {
            counts.iter_mut().for_each(|count| *count *= keep);
        }
    }

    /// Sums the counts up. `ringing` are the calls in flight by age.
    pub(super) fn rebuild(&mut self, ringing: &[u32]) {
        let mut in_flight: f64 = ringing.iter().map(|n| f64::from(*n)).sum();
        let mut prior_left = PRIOR_ANSWERS + PRIOR_FAILURES;
        let (mut open, mut answers, mut failures) = (1.0, 0.0, 0.0);
        self.answer_by = vec![0.0];
        self.fail_by = vec![0.0];
        for k in 0..RING_POINTS {
            in_flight -= ringing.get(k).map_or(0.0, |n| f64::from(*n));
            let near = k.saturating_sub(SPREAD)..(k + SPREAD + 1).min(RING_POINTS);
            let width = near.len() as f64;
            let answered = if k > self.last {
                self.answered[k]
            } else {
                self.answered[near].iter().sum::<f64>() / width
            };
            let risked = self.reached[k] + in_flight + prior_left;
            let prior_failed = if k == self.last { PRIOR_FAILURES } else { 0.0 };
            let (a, f) = if risked > 1e-6 {
                (
                    ((answered + self.prior_answered[k]) / risked).min(0.95),
                    ((self.failed[k] + prior_failed) / risked).min(1.0),
                )
            } else {
                (0.0, 0.0)
            };
            let f = f.min(1.0 - a);
            answers += open * a;
            failures += open * f;
            open *= 1.0 - a - f;
            prior_left -= self.prior_answered[k] + prior_failed;
            self.answer_by.push(answers);
            self.fail_by.push(failures);
        }
        // What is still open at the end fails with the timeout.
        for by in self.fail_by.iter_mut().skip(self.last + 1) {
            *by += open;
        }
        let (answers, failures) = (answers.max(1e-9), (failures + open).max(1e-9));
        self.answer_by.iter_mut().for_each(|by| *by /= answers);
        self.fail_by.iter_mut().for_each(|by| *by /= failures);
    }

    /// How many calls were answered so far, and how many were not, had all rung to their end: those
    /// that still ring, `ringing` by age, come to what older ones came to (Aalen and Johansen 1978).
    pub(super) fn so_far(&self, ringing: &[u32]) -> (f64, f64) {
        let mut in_flight: f64 = ringing.iter().map(|n| f64::from(*n)).sum();
        let (mut open, mut share) = (1.0, 0.0);
        for k in 0..RING_POINTS {
            in_flight -= ringing.get(k).map_or(0.0, |n| f64::from(*n));
            let risked = self.reached[k] + in_flight;
            if risked > 0.0 {
                share += open * self.answered[k] / risked;
                open *= 1.0 - ((self.answered[k] + self.failed[k]) / risked).min(1.0);
            }
        }
        let answers: f64 = self.answered.iter().sum();
        if answers == 0.0 {
            return (0.0, self.failed.iter().sum());
        }
        (answers, answers * (1.0 / share - 1.0))
    }

    /// Share of all answers that come within `step` half seconds.
    pub fn answered_by(&self, step: usize) -> f64 {
        self.answer_by[step.min(RING_POINTS)]
    }

    /// Share of a dial's calls that still ring after `step` half seconds.
    pub fn open_after(&self, p: f64, step: usize) -> f64 {
        let step = step.min(RING_POINTS);
        1.0 - p * self.answer_by[step] - (1.0 - p) * self.fail_by[step]
    }

    /// P(answers within the next `ahead` steps | has rung `step` steps).
    pub fn answers_within(&self, p: f64, step: usize, ahead: usize) -> f64 {
        let open = self.open_after(p, step);
        if open < 1e-6 {
            return 0.0;
        }
        (p * (self.answered_by(step + ahead) - self.answered_by(step)) / open).clamp(0.0, 1.0)
    }

    pub(super) fn export(&self) -> RingState {
        RingState {
            answered: super::learned::rounded(&self.answered),
            failed: super::learned::rounded(&self.failed),
            reached: super::learned::rounded(&self.reached),
        }
    }

    /// Takes up counts of another day, weighing no more than `answers_max` answers.
    pub(super) fn import(&mut self, state: &RingState, answers_max: f64) {
        for (counts, stored) in [
            (&mut self.answered, &state.answered),
            (&mut self.failed, &state.failed),
            (&mut self.reached, &state.reached),
        ] {
            for (count, stored) in counts.iter_mut().zip(stored) {
                *count = super::learned::sane(*stored);
            }
        }
        let answers: f64 = self.answered.iter().sum();
        if answers > answers_max {
            self.fade(answers_max / answers);
        }
        self.rebuild(&[]);
    }
}

pub(super) fn ring_point(seconds: f64) -> usize {
    (seconds.max(0.0) / RING_STEP_S) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_recovers_what_it_was_fed_though_late_calls_are_withdrawn() {
        let mut curve = RingCurve::new(26.0);
        let mut rng = model::Rng::new(5);
        for n in 0..6_000 {
            let rings = rng.log_normal(10.0, 0.53).clamp(1.5, 26.0);
            let answers = rng.chance(0.3);
            match (answers, n % 2 == 0) {
                (_, true) if rings > 15.0 || !answers => curve.withdrawn(15.0),
                (true, _) => curve.answered(rings),
                (false, _) => curve.failed(26.0),
            }
        }
        curve.rebuild(&[]);
        // P(a lognormal of mean 10 and CV 0.53 is below 10 s, 15 s).
        assert!(
            (curve.answered_by(20) - 0.598).abs() < 0.03,
            "{}",
            curve.answered_by(20)
        );
        assert!(
            (curve.answered_by(30) - 0.856).abs() < 0.03,
            "{}",
            curve.answered_by(30)
        );
    }

    #[test]
    fn a_cohort_half_of_which_still_rings_tells_its_share() {
        let mut rng = model::Rng::new(8);
        let mut curve = RingCurve::new(26.0);
        let mut ringing = vec![0; 53];
        // Dialled over 40 s, seen at their end.
        for n in 0..2_400 {
            let age = 40.0 * f64::from(n) / 2_400.0;
            let rings = rng.log_normal(10.0, 0.53).clamp(1.5, 26.0);
            match rng.chance(0.3) {
                true if rings <= age => curve.answered(rings),
                false if age >= 26.0 => curve.failed(26.0),
                true | false => ringing[(age / RING_STEP_S) as usize] += 1,
            }
        }
        let (answers, failures) = curve.so_far(&ringing);
        let share = answers / (answers + failures);
        assert!((share - 0.3).abs() < 0.03, "{share}");
        assert_eq!(RingCurve::new(26.0).so_far(&[]), (0.0, 0.0));
    }

    #[test]
    fn shares_never_fall_and_end_at_one() {
        for timeout in [0.0, 15.0, 26.0, 59.0, 1e9] {
            let curve = RingCurve::new(timeout);
            assert!(curve.answer_by.windows(2).all(|w| w[0] <= w[1] + 1e-12));
            assert!(curve.fail_by.windows(2).all(|w| w[0] <= w[1] + 1e-12));
            assert!((curve.answer_by[RING_POINTS] - 1.0).abs() < 1e-9);
            assert!((curve.fail_by[RING_POINTS] - 1.0).abs() < 1e-9);
        }
    }
}
