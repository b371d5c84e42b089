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

/// Live answers and abandonments of one campaign.
#[derive(Clone, Debug)]
pub struct AbandonBudget {
    limit: f64,
    days: Ring,
    hours: Ring,
}

impl AbandonBudget {
    /// `limit_pct` is the strictest limit that applies, in per cent of the live answers.
    pub fn new(limit_pct: f64) -> AbandonBudget {
        AbandonBudget {
            limit: limit_pct / 100.0,
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
            .map(|(answers, abandons)| abandons as f64 / answers as f64)
            .reduce(f64::max)
    }

    /// Abandonments that would still be legal, in the period where that is fewest. A campaign earns
    /// its first one with the 34th answer (at 3 %): should it end before, it ends within the law. The
    /// 24 hours begin anew every day and may open with one, which the 30 days have earned.
    pub fn left(&self) -> f64 {
        let earned = |(answers, abandons): (u64, u64), least: f64| {
            (self.limit * answers as f64).max(least) - abandons as f64
        };
        earned(self.days.sums(), 0.0).min(earned(self.hours.sums(), 1.0))
    }

    /// Whether one more abandoned call, with `under_way` already expected, would break the limit.
    pub fn is_spent(&self, under_way: f64) -> bool {
        self.left() - under_way < 1.0 - self.limit
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
        let mut budget = AbandonBudget::new(3.0);
        for n in 0..10_000 {
            let abandoned = !budget.is_spent(0.0);
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
    fn both_periods_hold_at_once() {
        let mut budget = AbandonBudget::new(3.0);
        (0..1_000).for_each(|_| budget.count(at(0), false));
        assert!(!budget.is_spent(0.0));
        // Two days later the 24 hours know nothing of it.
        (0..60).for_each(|n| budget.count(at(48), n < 2));
        assert!(budget.is_spent(0.0), "2 of 60 within 24 h");
        budget.roll(at(48 + 26));
        assert!(!budget.is_spent(0.0), "2 of 1060 within 30 days");
    }

    #[test]
    fn a_day_leaves_after_thirty() {
        let mut budget = AbandonBudget::new(3.0);
        budget.count(at(1), true);
        budget.roll(at(29 * 24 + 1));
        assert_eq!(budget.counts(), (1, 1));
        budget.roll(at(30 * 24 + 1));
        assert_eq!(budget.counts(), (0, 0));
    }
}
