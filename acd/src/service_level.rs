//! Service level: one fold over facts, six ways to divide. The default ignores early abandons.
//!
//! Counts add up, so a day's service level is the sum of numerators over the sum of denominators
//! and never a mean of percentages.

use model::{Fact, QueueId, QueueOutcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Which calls count, with A answered, B abandoned and T the queue's target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Answered within T ÷ answered.
    OfAnswered,
    /// Answered within T ÷ (answered + abandoned).
    OfAll,
    /// (Answered within T + abandoned within T) ÷ (answered + abandoned).
    AbandonsInTargetGood,
    /// Answered within T ÷ (answered + abandoned after T).
    #[default]
    AbandonsInTargetIgnored,
    /// Answered within T ÷ (answered + abandoned − short).
    ShortIgnored,
    /// (Answered within T + short) ÷ (answered + abandoned).
    ShortGood,
}

/// What the variants divide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Visits bridged to an agent.
    pub answered: u64,
    /// Of these, within the target.
    pub answered_in_target: u64,
    /// Visits whose caller left while waiting.
    pub abandoned: u64,
    /// Of these, within the target.
    pub abandoned_in_target: u64,
    /// Of the abandoned, too short to count as a lost customer.
    pub short: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.answered += other.answered;
        self.answered_in_target += other.answered_in_target;
        self.abandoned += other.abandoned;
        self.abandoned_in_target += other.abandoned_in_target;
        self.short += other.short;
    }
}

impl Counts {
    /// Counts one ended visit.
    pub fn add(&mut self, outcome: QueueOutcome, within_target: bool, short: bool) {
        match outcome {
            QueueOutcome::Answered => {
                self.answered += 1;
                self.answered_in_target += u64::from(within_target);
            }
            QueueOutcome::Abandoned => {
                self.abandoned += 1;
                self.abandoned_in_target += u64::from(within_target);
                self.short += u64::from(short);
            }
            QueueOutcome::FlowOut
            | QueueOutcome::Timeout
            | QueueOutcome::CallbackTaken
            | QueueOutcome::Refused
            | QueueOutcome::Removed
            | QueueOutcome::SystemFailed => {}
        }
    }

    /// The service level from 0 to 1; `None` while there is nothing to divide by.
    pub fn level(&self, variant: Variant) -> Option<f64> {
        let all = self.answered + self.abandoned;
        let (good, of) = match variant {
            Variant::OfAnswered => (self.answered_in_target, self.answered),
            Variant::OfAll => (self.answered_in_target, all),
            Variant::AbandonsInTargetGood => {
                (self.answered_in_target + self.abandoned_in_target, all)
            }
            Variant::AbandonsInTargetIgnored => {
                (self.answered_in_target, all - self.abandoned_in_target)
            }
            Variant::ShortIgnored => (self.answered_in_target, all - self.short),
            Variant::ShortGood => (self.answered_in_target + self.short, all),
        };
        (of > 0).then(|| good as f64 / of as f64)
    }
}

/// Counts per queue.
#[derive(Clone, Debug, Default)]
pub struct ServiceLevel {
    /// Queues that had a visit end.
    pub queues: BTreeMap<QueueId, Counts>,
}

impl ServiceLevel {
    /// Takes in one fact; all but `QueueLeft` leave it as it is.
    pub fn fold(&mut self, fact: &Fact) {
        if let Fact::QueueLeft {
            queue,
            outcome,
            short,
            within_target,
            ..
        } = fact
        {
            self.queues
                .entry(*queue)
                .or_default()
                .add(*outcome, *within_target, *short);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::CallId;
    use model::screen_pop::Direction;

    #[test]
    fn six_variants_of_one_day_are_as_published() {
        let mut fold = ServiceLevel::default();
        let queue: QueueId = "sales".parse().unwrap();
        let mut left = |n: u64, outcome, within_target, short| {
            for _ in 0..n {
                fold.fold(&Fact::QueueLeft {
                    call: CallId(1),
                    queue,
                    direction: Direction::Inbound,
                    outcome,
                    waited_us: 0,
                    short,
                    during_offer: false,
                    within_target,
                });
            }
        };
        left(860, QueueOutcome::Answered, true, false);
        left(140, QueueOutcome::Answered, false, false);
        left(10, QueueOutcome::Abandoned, true, true);
        left(10, QueueOutcome::Abandoned, true, false);
        left(40, QueueOutcome::Abandoned, false, false);
        left(7, QueueOutcome::FlowOut, true, false);
        let counts = fold.queues[&queue];
        let percent = |v| format!("{:.2}", counts.level(v).unwrap() * 100.0);
        assert_eq!(percent(Variant::OfAnswered), "86.00");
        assert_eq!(percent(Variant::OfAll), "81.13");
        assert_eq!(percent(Variant::AbandonsInTargetGood), "83.02");
        assert_eq!(percent(Variant::default()), "82.69");
        assert_eq!(percent(Variant::ShortIgnored), "81.90");
        assert_eq!(percent(Variant::ShortGood), "82.08");
    }

    #[test]
    fn a_day_divides_sums_and_does_not_average() {
        let mut day = Counts {
            answered: 1,
            answered_in_target: 1,
            ..Counts::default()
        };
        day += Counts {
            answered: 9,
            answered_in_target: 0,
            ..Counts::default()
        };
        assert_eq!(day.level(Variant::OfAnswered), Some(0.1));
    }

    #[test]
    fn nothing_ended_is_no_data_and_not_a_hundred_percent() {
        assert_eq!(Counts::default().level(Variant::default()), None);
    }
}
