//! What it is worth to know how likely each lead is to answer: one row per world.
//! `cargo run --release -p sim --example per_lead -- SHIFTS 'agents=10' 'answer_rate=0.2' …`

use sim::{Controller, Scenario, judge};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let shifts = words
        .first()
        .and_then(|word| word.parse().ok())
        .unwrap_or(24);
    let base = Scenario {
        answer_rate: sim::scenario::Profile::Always(0.2),
        shifts,
        seed: 9_001,
        ..Scenario::default()
    };
    let scenario = base
        .with(words.get(1..).unwrap_or(&[]))
        .expect("fields of a scenario");
    let report = judge(&scenario, Controller::Predictive, false).expect("a scenario that stands");
    println!(
        "{:.2} {:.2?} | abandoned {:.2} | over {:?} | dialled {} mean chance {:?} | idle p50 {:?}",
        report.utilisation_pct.unwrap_or(f64::NAN),
        report.ci95.utilisation_pct,
        report.abandonment_pct.unwrap_or(f64::NAN),
        report.shifts_over_limit_pct,
        report.dials,
        report.dialled_chance_mean,
        report.idle_seconds_p50,
    );
}
