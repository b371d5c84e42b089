//! Pacing judged in a small world, through the real machine: legal, and far better than progressive.
//! The whole table: `cargo run --release -p dialer --example pacing_table`.

#[allow(dead_code, reason = "the example that prints the table uses the rest")]
mod judge;

use judge::{Outcome, World, run};
use model::event::Mode;

fn shift(mode: Mode, agents: usize, share: f64, hours: f64, seed: u64) -> Outcome {
    run(&World {
        mode,
        agents,
        answer_share: vec![(0.0, share)],
        hours,
        seed,
    })
}

#[test]
fn predictive_is_legal_and_far_better_than_progressive() {
    let seed = 1;
    for (agents, share, hours, gain) in [
        (10, 0.2, 1.5, 0.10),
        (10, 0.3, 2.0, 0.05),
        (20, 0.3, 1.0, 0.06),
    ] {
        let base = shift(Mode::Progressive, agents, share, hours, seed);
        let paced = shift(Mode::Predictive, agents, share, hours, seed);
        assert_eq!(base.abandoned, 0, "progressive has an agent for everyone");
        assert!(
            paced.abandon_rate() <= 0.03,
            "{agents} {share} {seed}: {paced:?}"
        );
        assert!(
            paced.utilisation > base.utilisation + gain,
            "{agents} {share} {seed}: {:.3} against {:.3}",
            paced.utilisation,
            base.utilisation
        );
    }
}

#[test]
fn twice_as_many_answers_from_one_minute_to_the_next_stay_legal() {
    let answer_share = vec![(0.0, 0.15), (0.5, 0.3)];
    let outcome = run(&World {
        mode: Mode::Predictive,
        agents: 12,
        answer_share,
        hours: 1.5,
        seed: 7,
    });
    assert!(outcome.abandon_rate() <= 0.03, "{outcome:?}");
}

#[test]
fn the_same_seed_gives_the_same_shift() {
    let a = shift(Mode::Predictive, 5, 0.2, 0.5, 9);
    let b = shift(Mode::Predictive, 5, 0.2, 0.5, 9);
    assert_eq!(
        (a.dials, a.connected, a.abandoned),
        (b.dials, b.connected, b.abandoned)
    );
}

#[test]
fn power_never_passes_the_limit_either() {
    let outcome = shift(Mode::Power, 12, 0.5, 0.5, 4);
    assert!(outcome.abandon_rate() <= 0.03, "{outcome:?}");
}
