//! Pacing judged in a small world, through the real machine: legal, and far better than progressive.
//! The whole table: `cargo run --release -p dialer --example pacing_table`, and docs/pacing.md.

#[allow(
    dead_code,
    unused_imports,
    reason = "the example that prints the table uses the rest"
)]
mod judge;

use judge::{Detector, Outcome, Talk, World, run, run_days};
use model::event::Mode;

fn shift(mode: Mode, agents: usize, share: f64, hours: f64, seed: u64) -> Outcome {
    run(&World::new(mode, agents, share, hours, seed))
}

#[test]
fn predictive_is_legal_and_far_better_than_progressive() {
    let seed = 1;
    for (agents, share, hours, gain) in [
        (10, 0.2, 1.5, 0.14),
        (10, 0.3, 1.5, 0.09),
        (20, 0.3, 1.0, 0.12),
        (60, 0.2, 0.5, 0.22),
    ] {
        let base = shift(Mode::Progressive, agents, share, hours, seed);
        let paced = shift(Mode::Predictive, agents, share, hours, seed);
        let told = (paced.utilisation, paced.abandoned, paced.connected);
        assert_eq!(base.abandoned, 0, "progressive has an agent for everyone");
        assert!(paced.is_legal(), "{agents} {share}: {told:?}");
        assert!(
            paced.utilisation > base.utilisation + gain,
            "{agents} {share}: {told:?} against {:.3}",
            base.utilisation
        );
    }
}

#[test]
fn twice_as_many_answers_from_one_minute_to_the_next_stay_legal_and_flood_nobody() {
    let world = World {
        answer_share: vec![(0.0, 0.15), (0.4, 0.3)],
        ..World::new(Mode::Predictive, 60, 0.15, 0.7, 7)
    };
    let outcome = run(&world);
    assert!(outcome.is_legal(), "{:.4}", outcome.abandon_rate());
    let worst = outcome.worst_window(24, 20);
    assert!(worst < 0.1, "{worst:.3} of five minutes' answers abandoned");
}

#[test]
fn the_first_calls_of_many_agents_flood_nobody_however_few_of_them_are_answered() {
    for seed in 0..16 {
        let outcome = shift(Mode::Predictive, 100, 0.1, 0.05, seed);
        assert!(
            outcome.abandoned <= 6,
            "{seed}: {} of {} abandoned in the first three minutes",
            outcome.abandoned,
            outcome.abandoned + outcome.connected
        );
    }
}

#[test]
fn half_of_the_agents_leaving_unannounced_stays_legal() {
    let world = World {
        half_away: Some((0.5, 0.8)),
        ..World::new(Mode::Predictive, 20, 0.3, 1.2, 3)
    };
    let outcome = run(&world);
    assert!(outcome.is_legal(), "{:.4}", outcome.abandon_rate());
}

#[test]
fn persons_taken_for_machines_count_against_the_limit() {
    let world = World {
        detector: Some(Detector {
            machine_share: 0.3,
            false_positive: 0.003,
            false_negative: 0.013,
            verdict_s: 0.6,
        }),
        ..World::new(Mode::Predictive, 20, 0.3, 1.5, 3)
    };
    let outcome = run(&world);
    assert!(outcome.is_legal(), "{:.4}", outcome.abandon_rate());
}

#[test]
fn low_variance_talk_and_a_slower_carrier_stay_legal() {
    let world = World {
        talk: Talk::LowVariance,
        answer_delay: Some((0.5, 4.0)),
        ..World::new(Mode::Predictive, 20, 0.3, 1.0, 5)
    };
    let outcome = run(&world);
    assert!(outcome.is_legal(), "{:.4}", outcome.abandon_rate());
}

#[test]
fn the_second_day_starts_with_what_the_first_has_learned() {
    // The first dials as if half of them were answered until it knows better.
    let days = run_days(&World::new(Mode::Predictive, 20, 0.1, 0.5, 4), 2);
    let first_minutes = |day: &Outcome| day.utilisation_between(0, 2, 20);
    assert!(
        first_minutes(&days[1]) > first_minutes(&days[0]) + 0.1,
        "{:.3} {:.3}",
        first_minutes(&days[1]),
        first_minutes(&days[0])
    );
    let (abandoned, connected) = days.iter().fold((0, 0), |sum, day| {
        (sum.0 + day.abandoned, sum.1 + day.connected)
    });
    assert!(abandoned as f64 <= 0.03 * (abandoned + connected) as f64);
}

#[test]
fn the_same_seed_gives_the_same_shift() {
    let a = shift(Mode::Predictive, 5, 0.2, 0.5, 9);
    let b = shift(Mode::Predictive, 5, 0.2, 0.5, 9);
    assert_eq!(
        (a.dials, a.connected, a.abandoned, a.withdrawn),
        (b.dials, b.connected, b.abandoned, b.withdrawn)
    );
}

#[test]
fn power_never_passes_the_limit_either() {
    let outcome = shift(Mode::Power, 12, 0.9, 0.5, 4);
    assert!(outcome.is_legal(), "{:.4}", outcome.abandon_rate());
}

#[test]
fn a_shift_that_withdraws_no_call_that_rings_ends_within_the_limit() {
    let world = World {
        withdraw: false,
        ..World::new(Mode::Predictive, 10, 0.3, 8.0, 6)
    };
    let outcome = run(&world);
    assert_eq!(outcome.withdrawn, 0);
    assert!(outcome.is_legal(), "{:.4}", outcome.abandon_rate());
    let by_lead = run(&World {
        per_lead: true,
        hours: 0.5,
        ..world
    });
    assert_eq!(by_lead.withdrawn, 0);
    let usual = shift(Mode::Predictive, 10, 0.3, 1.0, 6);
    assert!(usual.withdrawn > 20, "{}", usual.withdrawn);
}
