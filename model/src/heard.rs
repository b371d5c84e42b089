//! What was heard on a customer's leg: tones of the network and of fax machines, and what the odds of a
//! verdict were made of.

use crate::Cause;
use crate::event::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tone that says why nobody was reached (ITU-T E.180, Telcordia SR-2275 §6.21.1, ITU-T T.30 §4.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// The other end is engaged.
    Busy,
    /// The network is congested; in North America «reorder».
    Reorder,
    /// A network asks for a number: the other end has hung up, or never was.
    Dial,
    /// A special information tone without a code: what was dialled cannot be reached.
    SitGeneral,
    /// IC: number changed or out of service.
    SitIntercept,
    /// VC: no such number.
    SitVacantCode,
    /// RO′: switch congestion, in the local network.
    SitReorderLocal,
    /// RO″: switch congestion, at a long-distance carrier.
    SitReorderDistant,
    /// NC′: no trunk free, in the local network.
    SitNoCircuitLocal,
    /// NC″: no trunk free, at a long-distance carrier.
    SitNoCircuitDistant,
    /// IO: dialled wrongly, and the rest.
    SitIneffectiveOther,
    /// The eighth code, kept for later use.
    SitReserved,
    /// CNG: a fax machine calls.
    FaxCalling,
    /// CED or ANSam: a fax machine or modem answered.
    FaxAnswering,
}

impl Tone {
    /// Every tone.
    pub const ALL: [Tone; 14] = [
        Tone::Busy,
        Tone::Reorder,
        Tone::Dial,
        Tone::SitGeneral,
        Tone::SitIntercept,
        Tone::SitVacantCode,
        Tone::SitReorderLocal,
        Tone::SitReorderDistant,
        Tone::SitNoCircuitLocal,
        Tone::SitNoCircuitDistant,
        Tone::SitIneffectiveOther,
        Tone::SitReserved,
        Tone::FaxCalling,
        Tone::FaxAnswering,
    ];

    /// Why the call came to nothing.
    pub fn cause(self) -> Cause {
        match self {
            Tone::Busy => Cause::Busy,
            Tone::SitIntercept | Tone::SitVacantCode => Cause::Unallocated,
            Tone::Reorder
            | Tone::SitReorderLocal
            | Tone::SitReorderDistant
            | Tone::SitNoCircuitLocal
            | Tone::SitNoCircuitDistant => Cause::Congestion,
            Tone::Dial | Tone::SitGeneral | Tone::SitIneffectiveOther | Tone::SitReserved => {
                Cause::Unreachable
            }
            Tone::FaxCalling | Tone::FaxAnswering => Cause::Normal,
        }
    }

    /// Who or what is there.
    pub fn verdict(self) -> Verdict {
        match self {
            Tone::Busy => Verdict::Busy,
            Tone::Reorder => Verdict::Reorder,
            Tone::Dial => Verdict::DialTone,
            Tone::SitGeneral
            | Tone::SitIntercept
            | Tone::SitVacantCode
            | Tone::SitReorderLocal
            | Tone::SitReorderDistant
            | Tone::SitNoCircuitLocal
            | Tone::SitNoCircuitDistant
            | Tone::SitIneffectiveOther
            | Tone::SitReserved => Verdict::Sit,
            Tone::FaxCalling | Tone::FaxAnswering => Verdict::Fax,
        }
    }
}

/// What the odds of a verdict were made of: natural logarithms, positive for a person. Rounded to
/// hundredths, so that they read well and are the same after a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// All of it together.
    pub log_odds: f64,
    /// What each habit or sound contributed, by name, before bounds on groups of them: `ring`, `onset`,
    /// `noise`, `speech`, `later`, `beep` and whatever else the detector weighs. None that is zero.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contributions: BTreeMap<String, f64>,
}

impl Evidence {
    /// Evidence of these parts; what is zero or no number is left out.
    pub fn new(log_odds: f32, parts: &[(&str, f32)]) -> Evidence {
        let rounded = |odds: f32| (f64::from(odds) * 100.0).round() / 100.0;
        let parts = parts
            .iter()
            .filter(|(_, odds)| odds.is_finite() && rounded(*odds) != 0.0);
        Evidence {
            log_odds: if log_odds.is_finite() {
                rounded(log_odds)
            } else {
                0.0
            },
            contributions: parts
                .map(|(name, odds)| ((*name).to_string(), rounded(*odds)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tone_is_a_person_or_a_machine() {
        for tone in Tone::ALL {
            assert!(!tone.verdict().is_person() && tone.verdict() != Verdict::Machine);
        }
        assert_eq!(Tone::SitVacantCode.cause(), Cause::Unallocated);
    }

    #[test]
    fn evidence_is_rounded_and_keeps_only_what_counts() {
        let evidence = Evidence::new(4.123_456, &[("ring", 0.1), ("later", 0.0), ("x", f32::NAN)]);
        assert_eq!(evidence.log_odds, 4.12);
        assert_eq!(
            evidence.contributions,
            BTreeMap::from([("ring".to_string(), 0.1)])
        );
    }
}
