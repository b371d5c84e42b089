//! What one predictive decision costs with 500 agents and 5,000 calls in flight; the bound is 1 ms.
//! `cargo run --release -p dialer --example decision_cost`

use dialer::pacing::{Busy, Learned, Snapshot, decide};
use model::event::Mode;
use std::time::Instant;

#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn main() {
    for (agents, per_step, withdrawable) in [(32, 6, 0), (500, 96, 0), (500, 96, 96)] {
        let mut learned = Learned::new(26.0);
        let busy: Vec<Busy> = (0..agents)
            .map(|n| Busy::OnCall(f64::from(n % 300)))
            .collect();
        for n in 0..1_000 {
            learned.talked(f64::from(n % 400));
        }
        let ringing = vec![per_step; 52];
        let snapshot = Snapshot {
            busy,
            withdrawable: (0..52)
                .map(|step| if step > 30 { withdrawable } else { 0 })
                .collect(),
            ringing,
            theta: 0.05,
            power_level: 1.5,
            ..Snapshot::default()
        };
        let rounds = 1_000;
        let begun = Instant::now();
        let mut dialled = 0;
        for n in 0..rounds {
            learned.refresh(f64::from(n), &snapshot.busy, &snapshot.ringing);
            dialled += decide(Mode::Predictive, &snapshot, &learned).dial;
        }
        let each = begun.elapsed() / rounds;
        println!(
            "{agents} agents, {} calls in flight, {} withdrawable: {each:?} per decision, rebuilding \
             the curves every tenth ({dialled} dialled)",
            per_step * 52,
            withdrawable * 21,
        );
    }
}
