//! What changes over a shift: a number, or steps.

use model::Mono;
use serde::{Deserialize, Serialize};

/// A number, or steps over the shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a number, or steps such as [{ from_h = 0.0, rate = 0.3 }, { from_h = 4.0, rate = 0.15 }]"
)]
pub enum Profile {
    /// The same all shift long.
    Always(f64),
    /// In the order of time, the first from hour 0.
    Steps(Vec<Step>),
}

/// From an hour of the shift on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Hours since the start of the shift.
    pub from_h: f64,
    /// The number from then on: a rate, a factor, or seconds.
    #[serde(alias = "factor", alias = "seconds")]
    pub rate: f64,
}

impl Profile {
    /// The number at a time of the shift.
    pub fn at(&self, at: Mono) -> f64 {
        match self {
            Profile::Always(rate) => *rate,
            Profile::Steps(steps) => {
                let hour = at.as_secs_f64() / 3_600.0;
                steps
                    .iter()
                    .rev()
                    .find(|step| step.from_h <= hour)
                    .map_or(0.0, |step| step.rate)
            }
        }
    }

    /// Every number it takes.
    pub(crate) fn rates(&self) -> Vec<f64> {
        match self {
            Profile::Always(rate) => vec![*rate],
            Profile::Steps(steps) => steps.iter().map(|step| step.rate).collect(),
        }
    }

    /// When it changes, in hours since the start.
    pub(crate) fn changes_h(&self) -> impl Iterator<Item = f64> + '_ {
        let steps = match self {
            Profile::Always(_) => &[],
            Profile::Steps(steps) => steps.as_slice(),
        };
        steps.iter().skip(1).map(|step| step.from_h)
    }

    /// What is wrong with it, and what would be right; each of its numbers must lie in `range`.
    pub(crate) fn problem(
        &self,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<(String, &'static str)> {
        if let Some(rate) = self.rates().into_iter().find(|rate| !range.contains(rate)) {
            return Some((
                format!("{rate} is not from {} to {}", range.start(), range.end()),
                "correct the number",
            ));
        }
        let torn = matches!(self, Profile::Steps(steps)
            if steps.first().is_none_or(|first| first.from_h != 0.0)
                || !steps.is_sorted_by(|a, b| a.from_h < b.from_h));
        torn.then(|| {
            (
                "the steps are not in the order of time from hour 0".to_string(),
                "begin with from_h = 0.0, later steps after it",
            )
        })
    }
}
