//! Preview: pacing never dials by itself; the agent who accepts a lead does.

use super::{Decision, Snapshot};
use model::event::PacingLimit;

pub(super) fn decide(snapshot: &Snapshot) -> Decision {
    Decision {
        dial: 0,
        withdraw: 0,
        expected_answers: 0.0,
        expected_free: f64::from(snapshot.available),
        risk: 0.0,
        limited_by: PacingLimit::Rule,
        classes: None,
    }
}
