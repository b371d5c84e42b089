//! What one predictive decision costs with 500 agents and 5,000 calls in flight; the bound is 1 ms.
//! `cargo run --release -p dialer --example decision_cost`

use dialer::pacing::{Busy, ByLead, CLASSES, Learned, Snapshot, decide};
use model::event::Mode;
use std::time::Instant;

#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn main() {
    for (agents, per_step, withdrawable) in [(12, 3, 3), (32, 6, 0), (500, 96, 0), (500, 96, 96)] {
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
            learned.refresh(f64::from(n), &snapshot);
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
    by_lead();
}

/// The same where every lead has its own chance: calls and waiting leads of every class.
#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn by_lead() {
    for (agents, per_step) in [(32, 1), (500, 8)] {
        let learned = Learned::new(26.0).by_lead();
        let mut by_lead = ByLead {
            waiting: [1_000 / CLASSES as u32; CLASSES],
            ..ByLead::default()
        };
        for calls in &mut by_lead.calls {
            calls.ringing = vec![per_step; 52];
        }
        let snapshot = Snapshot {
            busy: (0..agents)
                .map(|n| Busy::OnCall(f64::from(n % 300)))
                .collect(),
            ringing: vec![per_step * CLASSES as u32; 52],
            theta: 0.05,
            power_level: 1.5,
            by_lead: Some(Box::new(by_lead)),
            ..Snapshot::default()
        };
        let rounds = 1_000;
        let begun = Instant::now();
        let mut dialled = 0;
        for _ in 0..rounds {
            dialled += decide(Mode::Predictive, &snapshot, &learned).dial;
        }
        let each = begun.elapsed() / rounds;
        println!(
            "{agents} agents, {} calls in flight by lead: {each:?} per decision ({dialled} dialled)",
            per_step * 52 * CLASSES as u32,
        );
        let mut learned = learned;
        let begun = Instant::now();
        for n in 0..100 {
            learned.refresh(10.0 * f64::from(n), &snapshot);
        }
        println!("and a rebuild every 10 s: {:?}", begun.elapsed() / 100);
    }
}
