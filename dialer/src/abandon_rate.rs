//! Abandon rates as regulators reckon them. In the United States and Canada it is abandoned ÷ live
//! answers; Ofcom adds the persons whom the machine detector hung up on, and takes away the machines
//! that were abandoned as persons.

use crate::rules::AbandonFormula;
use serde::{Deserialize, Serialize};

/// What is known of a machine detector's mistakes, measured on one's own calls. Zero where there is
/// no detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorErrors {
    /// Of the calls that were judged a machine, the share that was a person, 0 to 1.
    pub false_positive_share: f64,
    /// Of the calls that were abandoned as a person's, the share that was a machine, 0 to 1.
    pub missed_machine_share: f64,
}

/// What a campaign's answered calls came to in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Persons, as far as is known, who had no agent in time.
    pub abandoned: u64,
    /// Calls that got an agent.
    pub connected: u64,
    /// Calls that were judged a machine and ended.
    pub machines: u64,
}

impl Answers {
    /// Abandoned calls with the detector's mistakes reckoned in: X + false positives − machines.
    /// Never less than none.
    pub fn abandoned_estimate(&self, errors: &DetectorErrors) -> f64 {
        let abandoned = self.abandoned as f64;
        let hung_up_on = self.machines as f64 * errors.false_positive_share.clamp(0.0, 1.0);
        let machines = abandoned * errors.missed_machine_share.clamp(0.0, 1.0);
        (abandoned + hung_up_on - machines).max(0.0)
    }
}

/// Abandoned ÷ live answers. `None` before the first answer.
pub fn live_answers(answers: &Answers) -> Option<f64> {
    let live = answers.abandoned + answers.connected;
    (live > 0).then(|| answers.abandoned as f64 / live as f64)
}

/// Ofcom's rate per campaign and 24 hours (statements of 2008, 2010 and 2016):
/// (X + false positives − machines) ÷ (that + calls that got an agent). `None` before the first answer.
pub fn ofcom(answers: &Answers, errors: &DetectorErrors) -> Option<f64> {
    let abandoned = answers.abandoned_estimate(errors);
    let all = abandoned + answers.connected as f64;
    (all > 0.0).then(|| abandoned / all)
}

/// The rate by the formula of a rule.
pub fn rate(formula: AbandonFormula, answers: &Answers, errors: &DetectorErrors) -> Option<f64> {
    match formula {
        AbandonFormula::LiveAnswers => live_answers(answers),
        AbandonFormula::Ofcom => ofcom(answers, errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Answers = Answers {
        abandoned: 30,
        connected: 970,
        machines: 1_000,
    };

    #[test]
    fn without_a_detector_both_formulas_agree() {
        let none = DetectorErrors::default();
        assert_eq!(ofcom(&DAY, &none), Some(0.03));
        assert_eq!(live_answers(&DAY), Some(0.03));
        assert_eq!(ofcom(&Answers::default(), &none), None);
        assert_eq!(live_answers(&Answers::default()), None);
    }

    #[test]
    fn persons_taken_for_machines_count_and_machines_taken_for_persons_do_not() {
        let errors = DetectorErrors {
            false_positive_share: 0.02,
            missed_machine_share: 0.1,
        };
        // (30 + 20 − 3) ÷ (47 + 970)
        let rate = rate(AbandonFormula::Ofcom, &DAY, &errors).unwrap();
        assert!((rate - 47.0 / 1_017.0).abs() < 1e-12, "{rate}");
    }

    #[test]
    fn a_detector_that_misses_everything_makes_no_rate_below_zero() {
        let errors = DetectorErrors {
            false_positive_share: 0.0,
            missed_machine_share: 7.0,
        };
        assert_eq!(ofcom(&DAY, &errors), Some(0.0));
    }
}
