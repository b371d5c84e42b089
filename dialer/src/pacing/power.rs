//! Power: a fixed ratio of calls per available agent, set by a supervisor. The abandonment guard
//! brings it down to progressive.

use super::{Decision, Snapshot, progressive};
use model::event::PacingLimit;

pub(super) fn decide(snapshot: &Snapshot) -> Decision {
    let base = progressive::decide(snapshot);
    if snapshot.guarded {
        return Decision {
            limited_by: PacingLimit::Budget,
            ..base
        };
    }
    let goal = (f64::from(snapshot.available) * snapshot.power_level.max(1.0)).floor() as u32;
    Decision {
        dial: goal.saturating_sub(snapshot.demand()).max(base.dial),
        ..base
    }
}
