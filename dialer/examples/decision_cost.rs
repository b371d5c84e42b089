//! What one predictive decision costs with 500 agents and 5,000 calls in flight; the bound is 1 ms.
//! `cargo run --release -p dialer --example decision_cost`

use dialer::pacing::{Busy, Learned, Snapshot, decide};
use model::event::Mode;
use std::time::Instant;

#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn main() {
    let mut learned = Learned::new(26.0);
    let busy: Vec<Busy> = (0..500).map(|n| Busy::OnCall(f64::from(n % 300))).collect();
    for n in 0..1_000 {
        learned.talked(f64::from(n % 400));
    }
    let snapshot = Snapshot {
        busy,
        ringing: vec![96; 52],
        theta: 0.05,
        power_level: 1.5,
        ..Snapshot::default()
    };
    let rounds = 1_000;
    let begun = Instant::now();
    let mut dialled = 0;
    for n in 0..rounds {
        learned.refresh(f64::from(n), &snapshot.busy);
        dialled += decide(Mode::Predictive, &snapshot, &learned).dial;
    }
    let each = begun.elapsed() / rounds;
    println!("{each:?} per decision, rebuilding the curves every tenth ({dialled} dialled)");
}
