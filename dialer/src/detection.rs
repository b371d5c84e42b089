//! What a campaign says about listening to whom it has called: how long, and what becomes of machines.

use crate::config::CampaignConfig;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How long may be asked who answered, in ms after the answer. No detector says anything before the
/// first; who speaks for longer than the second waits for nobody.
pub const CLASSIFY_WAIT_MS: RangeInclusive<u32> = 500..=8_000;

/// Of the live persons, nobody loses more than this many per hundred to a detector.
const FALSE_POSITIVE_PCT_MAX: f64 = 5.0;
/// Of the abandoned calls, no more than this many per hundred are taken for machines.
const ABANDONED_MACHINES_PCT_MAX: f64 = 10.0;

/// What becomes of a call that a machine answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    /// It is hung up.
    #[default]
    HangUp,
    /// A message is left after its beep.
    LeaveMessage,
    /// An agent takes it like a person's.
    Agent,
}

/// What becomes of a call that turns out to be a machine's when an agent talks with it already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineAfterConnect {
    /// The agent is told, and that is all.
    #[default]
    Tell,
    /// It is hung up, and the agent has after-call work as after every call.
    HangUp,
}

pub(crate) fn classify_wait() -> u32 {
    6_000
}

pub(crate) fn detector_false_positive() -> f64 {
    0.3
}

impl CampaignConfig {
    /// Field, problem and remedy where the settings of the detector cannot stand.
    pub(crate) fn detection_problems(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut problems = Vec::new();
        if !CLASSIFY_WAIT_MS.contains(&self.classify_wait_ms) {
            let (least, most) = CLASSIFY_WAIT_MS.into_inner();
            let wait_ms = self.classify_wait_ms;
            problems.push((
                "classify_wait_ms",
                format!("{wait_ms} ms is not between {least} and {most}"),
                "6000 is usual: whoever still speaks then is given to an agent",
            ));
        }
        let measured = [
            (
                "detector_false_positive_pct",
                self.detector_false_positive_pct,
                FALSE_POSITIVE_PCT_MAX,
                "use what was measured, 0.3 where nothing was",
            ),
            (
                "abandoned_machines_pct",
                self.abandoned_machines_pct,
                ABANDONED_MACHINES_PCT_MAX,
                "use what was measured, 0 where nothing was",
            ),
        ];
        for (field, pct, most, remedy) in measured {
            if !(0.0..=most).contains(&pct) {
                problems.push((field, format!("{pct} is not between 0 and {most}"), remedy));
            }
        }
        if self.machine_after_connect == MachineAfterConnect::HangUp {
            if !self.detect_machines {
                problems.push((
                    "machine_after_connect",
                    "nobody listens whether a machine answered".into(),
                    "add detect_machines = true",
                ));
            } else if self.on_machine == OnMachine::Agent {
                problems.push((
                    "machine_after_connect",
                    "machines are for agents: on_machine says so".into(),
                    "use machine_after_connect = \"tell\", or another on_machine",
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::event::Mode;

    fn fields(change: impl Fn(&mut CampaignConfig)) -> Vec<&'static str> {
        let mut campaign = CampaignConfig::new(Mode::Predictive, "+4930123456");
        change(&mut campaign);
        let problems = campaign.detection_problems();
        problems.into_iter().map(|(field, ..)| field).collect()
    }

    #[test]
    fn whoever_answered_is_asked_for_half_a_second_at_least_and_eight_at_most() {
        for (wait_ms, is_right) in [
            (499, false),
            (500, true),
            (6_000, true),
            (8_000, true),
            (8_001, false),
        ] {
            let found = fields(|campaign| campaign.classify_wait_ms = wait_ms);
            assert_eq!(found.is_empty(), is_right, "{wait_ms}: {found:?}");
        }
    }

    #[test]
    fn nobody_is_hung_up_after_the_connect_without_a_detector_or_against_the_campaigns_wish() {
        let hangs_up = |detects, on_machine| {
            fields(|campaign| {
                campaign.machine_after_connect = MachineAfterConnect::HangUp;
                campaign.detect_machines = detects;
                campaign.on_machine = on_machine;
            })
        };
        assert_eq!(hangs_up(true, OnMachine::HangUp), [""; 0]);
        assert_eq!(hangs_up(true, OnMachine::LeaveMessage), [""; 0]);
        assert_eq!(
            hangs_up(false, OnMachine::HangUp),
            ["machine_after_connect"]
        );
        assert_eq!(hangs_up(true, OnMachine::Agent), ["machine_after_connect"]);
    }
}
