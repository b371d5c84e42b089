//! Progressive: one call per available agent. Every answer finds someone, unless an agent leaves.

use super::{Decision, Snapshot};
use model::event::PacingLimit;

pub(super) fn decide(snapshot: &Snapshot) -> Decision {
    Decision {
        dial: count(snapshot),
        withdraw: 0,
        expected_answers: 0.0,
        expected_free: f64::from(snapshot.available),
        risk: 0.0,
        limited_by: if snapshot.available == 0 {
            PacingLimit::Agents
        } else {
            PacingLimit::Rule
        },
        classes: None,
    }
}

/// Calls missing until every available agent has one.
pub(super) fn count(snapshot: &Snapshot) -> u32 {
    snapshot.available.saturating_sub(snapshot.demand())
}
