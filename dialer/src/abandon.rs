//! The abandonment budget: how many more abandoned calls the law allows, over 30 days and 24 hours
//! at once. Bounded rings of day and hour buckets; it spends a budget, it does not wait for the
//! limit to be passed.

use model::Utc;
use std::collections::VecDeque;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// The day under way and the 29 before it: 47 CFR 64.1200(a)(7) speaks of successive 30-day periods.
const DAYS: i64 = 30;
/// The hour under way and the 24 before it, so that 24 whole hours are always inside.
const HOURS: i64 = 25;

/// Where machines are detected, up to this share of the answers that were counted as persons were
/// machines: 1.3 % of the machines get through, where one and a half answer for every person.
const LET_THROUGH: f64 = 0.02;

/// Hours without an answer that part one shift from the next.
const PAUSE: i64 = 4;
/// What a shift may open with where the 24 hours have earned it the day before: each shift is to end
/// within the limit by itself.
const SHIFT_ADVANCE: f64 = 4.0;

/// One stretch of buckets of equal length.
#[derive(Clone, Debug)]
struct Ring {
    bucket_us: i64,
    keep: i64,
    /// (number of the bucket since 1970, answers, abandons), oldest first.
    buckets: VecDeque<(i64, u64, u64)>,
}

impl Ring {
    fn new(bucket_us: i64, keep: i64) -> Ring {
        Ring {
            bucket_us,
            keep,
            buckets: VecDeque::new(),
        }
    }

    /// Opens the bucket of `at`. The wall clock may step back: then the newest one takes it.
    fn roll(&mut self, at: Utc) {
        let number = at.as_micros().div_euclid(self.bucket_us);
        if self.buckets.back().is_none_or(|newest| newest.0 < number) {
            self.buckets.push_back((number, 0, 0));
        }
        while self
            .buckets
            .front()
            .is_some_and(|oldest| oldest.0 + self.keep <= number)
        {
            self.buckets.pop_front();
        }
    }

    fn add(&mut self, at: Utc, answers: u64, abandons: u64) {
        self.roll(at);
        let bucket = self.buckets.back_mut().expect("roll opened one");
        bucket.1 += answers;
        bucket.2 += abandons;
    }

    fn sums(&self) -> (u64, u64) {
        self.buckets
            .iter()
            .fold((0, 0), |sum, b| (sum.0 + b.1, sum.1 + b.2))
    }
}

impl Ring {
    /// The sums since the last [`PAUSE`].
    fn since_pause(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        let mut newest = self.buckets.back().map_or(0, |bucket| bucket.0);
        for bucket in self.buckets.iter().rev().filter(|bucket| bucket.1 > 0) {
            if newest - bucket.0 > PAUSE {
                break;
            }
            newest = bucket.0;
            sum = (sum.0 + bucket.1, sum.1 + bucket.2);
        }
        sum
    }
}

/// Live answers and abandonments of one campaign.
#[derive(Clone, Debug)]
pub struct AbandonBudget {
    limit: f64,
    /// Persons taken for machines, per live answer that is counted.
    unseen: f64,
    /// Share of the counted answers that may be machines taken for persons.
    let_through: f64,
    days: Ring,
    hours: Ring,
}

impl AbandonBudget {
    /// `limit_pct` is the strictest limit that applies, in per cent of the live answers.
    /// `false_positive_pct` of the live persons are hung up upon by the machine detector, and are
    /// counted as abandoned beside those who are seen (UK-1).
    pub fn new(limit_pct: f64, false_positive_pct: f64) -> AbandonBudget {
        AbandonBudget {
            limit: limit_pct / 100.0,
            unseen: false_positive_pct / (100.0 - false_positive_pct),
            let_through: if false_positive_pct > 0.0 {
                LET_THROUGH
            } else {
                0.0
            },
            days: Ring::new(DAY_US, DAYS),
            hours: Ring::new(HOUR_US, HOURS),
        }
    }

    /// The limit is another one from now on; what was counted stays counted.
    pub fn set_limit(&mut self, limit_pct: f64) {
        self.limit = limit_pct / 100.0;
    }

    /// A live person answered and was connected, or was abandoned.
    pub fn count(&mut self, at: Utc, abandoned: bool) {
        self.load(at, 1, u64::from(abandoned));
    }

    /// Live answers of one hour, oldest hour first: what was counted before a restart.
    pub fn load(&mut self, at: Utc, answers: u64, abandons: u64) {
        self.days.add(at, answers, abandons);
        self.hours.add(at, answers, abandons);
    }

    /// Time passed: old buckets leave.
    pub fn roll(&mut self, at: Utc) {
        self.days.roll(at);
        self.hours.roll(at);
    }

    /// Live answers and abandonments of the longer period.
    pub fn counts(&self) -> (u64, u64) {
        self.days.sums()
    }

    /// Abandons ÷ live answers of the period where it is worst. None before the first answer.
    pub fn rate(&self) -> Option<f64> {
        [self.days.sums(), self.hours.sums()]
            .into_iter()
            .filter(|(answers, _)| *answers > 0)
            .map(|(answers, abandons)| {
                let unseen = self.unseen * answers as f64;
                (abandons as f64 + unseen) / (answers as f64 + unseen)
            })
            .reduce(f64::max)
    }

    /// Abandonments that would still be legal, in the period where that is fewest. The 24 hours
    /// begin anew every day and may open with one, which the 30 days have earned.
    pub fn left(&self) -> f64 {
        self.left_with(0.0)
    }

    /// The same, where the 30 days may open with `advance` abandonments too: the next answers will
    /// earn them. A campaign earns one with 34 answers (at 3 %), and one that ends before has broken
    /// the law: an advance is for campaigns that will not.
    pub fn left_with(&self, advance: f64) -> f64 {
        let earned = |(answers, abandons): (u64, u64), least: f64| {
            let unseen = self.unseen * answers as f64;
            // How many were in truth taken for machines is known to nobody: more than twice the
            // deviation above the mean is one shift in forty.
            let unseen = unseen + 2.0 * unseen.sqrt();
            let live = answers as f64 * (1.0 - self.let_through) + unseen;
            (self.limit * live).max(least) - abandons as f64 - unseen
        };
        earned(self.days.sums(), advance)
            .min(earned(self.hours.sums(), 1.0))
            .min(earned(self.hours.since_pause(), SHIFT_ADVANCE))
    }

    /// Live answers until the first abandonment is earned; 0 once it is.
    pub fn unearned(&self) -> f64 {
        (1.0 / self.limit - self.days.sums().0 as f64).max(0.0)
    }

    /// Whether one more abandoned call, with `under_way` already expected, would break the limit.
    pub fn is_spent(&self, advance: f64, under_way: f64) -> bool {
        self.left_with(advance) - under_way < 1.0 - self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Utc {
        Utc::from_micros(hours * HOUR_US)
    }

    #[test]
    fn the_budget_is_spent_before_the_limit_is_passed() {
        let mut budget = AbandonBudget::new(3.0, 0.0);
        for n in 0..10_000 {
            let abandoned = !budget.is_spent(0.0, 0.0);
            budget.count(at(1), abandoned);
            let (answers, abandons) = budget.counts();
            assert!(
                abandons as f64 <= 0.03 * answers as f64,
                "{abandons} of {answers} at {n}"
            );
        }
        assert!(budget.rate().unwrap() > 0.0298);
    }

    #[test]
    fn persons_taken_for_machines_spend_the_budget() {
        let mut seen = AbandonBudget::new(3.0, 0.0);
        let mut detected = AbandonBudget::new(3.0, 1.0);
        for n in 0..990 {
            seen.count(at(1), n < 20);
            detected.count(at(1), n < 20);
        }
        // 990 counted answers are 1,000 persons, ten of whom were hung up upon.
        assert!((detected.rate().unwrap() - 0.03).abs() < 1e-9);
        assert!(
            seen.left() > 9.0 && detected.left() < -5.0,
            "{}",
            detected.left()
        );
    }

    #[test]
    fn an_advance_is_paid_back_by_the_answers_that_follow() {
        let mut budget = AbandonBudget::new(3.0, 0.0);
        assert_eq!((budget.left(), budget.left_with(1.0)), (0.0, 1.0));
        budget.count(at(1), true);
        assert_eq!(budget.left_with(1.0), 0.0);
        (0..33).for_each(|_| budget.count(at(1), false));
        assert!((budget.left_with(1.0) - 0.02).abs() < 1e-9);
        assert_eq!(
            (budget.unearned(), budget.left_with(0.0)),
            (0.0, budget.left())
        );
    }

    #[test]
    fn both_periods_hold_at_once() {
        let mut budget = AbandonBudget::new(3.0, 0.0);
        (0..1_000).for_each(|_| budget.count(at(0), false));
        assert!(!budget.is_spent(0.0, 0.0));
        // Two days later the 24 hours know nothing of it.
        (0..60).for_each(|n| budget.count(at(48), n < 2));
        assert!(budget.is_spent(0.0, 0.0), "2 of 60 within 24 h");
        budget.roll(at(48 + 26));
        assert!(!budget.is_spent(0.0, 0.0), "2 of 1060 within 30 days");
    }

    #[test]
    fn a_shift_may_open_with_what_the_day_before_has_left_and_no_more() {
        let mut budget = AbandonBudget::new(3.0, 0.0);
        (0..1_000).for_each(|_| budget.count(at(8), false));
        assert_eq!(budget.left(), 30.0);
        // The next morning the day before is still within the 24 hours.
        (0..10).for_each(|n| budget.count(at(24 + 7), n < 1));
        assert!((budget.left() - 3.0).abs() < 1e-9, "{}", budget.left());
        (0..90).for_each(|_| budget.count(at(24 + 8), false));
        assert!((budget.left() - 3.0).abs() < 1e-9, "{}", budget.left());
    }

    #[test]
    fn a_day_leaves_after_thirty() {
        let mut budget = AbandonBudget::new(3.0, 0.0);
        budget.count(at(1), true);
        budget.roll(at(29 * 24 + 1));
        assert_eq!(budget.counts(), (1, 1));
        budget.roll(at(30 * 24 + 1));
        assert_eq!(budget.counts(), (0, 0));
    }
}
