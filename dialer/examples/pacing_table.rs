//! Prints the table of pacing: utilisation and abandonment by agents and answer share, against the
//! floors. `cargo run --release -p dialer --example pacing_table -- [agents,…] [seeds] [p,…]`
//! With `--scenarios [seeds]` as the words: worlds that change, and unusual talk; with `--markov
//! [seeds]`: the world of which the optimum is known.

#[path = "../tests/judge/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
mod judge;

use judge::{Detector, Outcome, Talk, World, run, run_days};
use model::event::Mode;

const SHARES: [f64; 4] = [0.1, 0.2, 0.3, 0.5];
const FLOORS: [(usize, [f64; 4]); 6] = [
    (5, [76.5, 80.0, 83.3, 88.0]),
    (10, [82.7, 85.3, 86.9, 89.6]),
    (25, [90.0, 91.0, 91.6, 92.5]),
    (50, [93.6, 94.2, 94.6, 95.0]),
    (100, [96.3, 96.6, 96.7, 96.9]),
    (500, [99.2, 99.3, 99.3, 99.1]),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers = |at: usize| -> Vec<f64> {
        words.get(at).map_or(Vec::new(), |text| {
            text.split(',')
                .filter_map(|word| word.parse().ok())
                .collect()
        })
    };
    let second = || words.get(1).and_then(|text| text.parse().ok());
    match words.first().map(String::as_str) {
        Some("--scenarios") => return scenarios(second().unwrap_or(24)),
        Some("--markov") => return markov(second().unwrap_or(8)),
        Some(_) | None => {}
    }
    let (only, shares) = (numbers(0), numbers(2));
    let seeds = second().unwrap_or(24);
    println!(
        "| agents | p | utilisation % | floor | | abandoned % | legal shifts | worst 5 min % | withdrawn % of dials |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (agents, floors) in FLOORS {
        if !only.is_empty() && !only.contains(&(agents as f64)) {
            continue;
        }
        for (share, floor) in SHARES.into_iter().zip(floors) {
            if !shares.is_empty() && !shares.contains(&share) {
                continue;
            }
            let runs: Vec<Outcome> = (0..seeds)
                .flat_map(|seed| {
                    let world = World::new(Mode::Predictive, agents, share, 8.0, seed);
                    if agents == 5 {
                        // The first of five days is the cold start.
                        run_days(&world, 5).split_off(1)
                    } else {
                        vec![run(&world)]
                    }
                })
                .collect();
            let n = runs.len() as f64;
            let utilisation = 100.0 * runs.iter().map(|run| run.utilisation).sum::<f64>() / n;
            let abandoned: u64 = runs.iter().map(|run| run.abandoned).sum();
            let live: u64 = runs.iter().map(|run| run.abandoned + run.connected).sum();
            let withdrawn: u64 = runs.iter().map(|run| run.withdrawn).sum();
            let dials: u64 = runs.iter().map(|run| run.dials).sum();
            let legal = runs.iter().filter(|run| run.is_legal()).count();
            let worst = runs
                .iter()
                .map(|run| run.worst_window(0, 20))
                .fold(0.0, f64::max);
            println!(
                "| {agents} | {share:.1} | {utilisation:.2} | {floor:.1} | {} | {:.2} | {legal} of {} | {:.1} | {:.1} |",
                if utilisation >= floor { "✓" } else { "✗" },
                100.0 * abandoned as f64 / live as f64,
                runs.len(),
                worst * 100.0,
                100.0 * withdrawn as f64 / dials as f64,
            );
        }
    }
}

/// When the world changes, in hours.
const STEP_H: f64 = 4.0;

fn scenarios(seeds: u64) {
    let base = |agents| World::new(Mode::Predictive, agents, 0.2, 8.0, 0);
    let stepped = |agents, before, after| World {
        answer_share: vec![(0.0, before), (STEP_H, after)],
        ..base(agents)
    };
    let detector = |false_positive| Detector {
        machine_share: 0.3,
        false_positive,
        false_negative: 0.013,
        verdict_s: 0.6,
    };
    let mut worlds = Vec::new();
    for agents in [10, 50, 200] {
        let unusual = |talk| World {
            talk,
            ..base(agents)
        };
        worlds.extend([
            ("p doubles, 0.15 to 0.3", stepped(agents, 0.15, 0.3)),
            ("p halves, 0.3 to 0.15", stepped(agents, 0.3, 0.15)),
            (
                "half the agents away for an hour",
                World {
                    half_away: Some((STEP_H, STEP_H + 1.0)),
                    ..base(agents)
                },
            ),
            ("two kinds of talk", unusual(Talk::TwoKinds)),
            ("talk of low variance", unusual(Talk::LowVariance)),
            (
                "every third agent twice as slow",
                unusual(Talk::UnequalAgents),
            ),
            (
                "answers come 4 s later",
                World {
                    answer_delay: Some((STEP_H, 4.0)),
                    ..base(agents)
                },
            ),
            (
                "machine detection, 0.3 % false positives",
                World {
                    detector: Some(detector(0.003)),
                    ..base(agents)
                },
            ),
        ]);
    }
    println!(
        "| agents | scenario | utilisation % | abandoned % | legal shifts | worst 5 min after the step % | utilisation before, 3 to 8 min after, last hour % |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, world) in worlds {
        let agents = world.agents;
        let seeds = if agents >= 200 {
            seeds.div_ceil(4)
        } else {
            seeds
        };
        let runs: Vec<Outcome> = (0..seeds)
            .map(|seed| {
                run(&World {
                    seed,
                    ..world.clone()
                })
            })
            .collect();
        let mean = |value: &dyn Fn(&Outcome) -> f64| {
            100.0 * runs.iter().map(value).sum::<f64>() / runs.len() as f64
        };
        let abandoned: u64 = runs.iter().map(|run| run.abandoned).sum();
        let live: u64 = runs.iter().map(|run| run.abandoned + run.connected).sum();
        let step = (STEP_H * 60.0) as usize;
        // All shifts together: a few calls of one small team say nothing.
        let worst = (step..step + 30)
            .map(|minute| {
                let sum = |value: &dyn Fn(&(u64, u64, f64)) -> u64| -> u64 {
                    runs.iter()
                        .flat_map(|run| &run.minutes[minute..minute + 5])
                        .map(value)
                        .sum()
                };
                sum(&|m| m.1) as f64 / sum(&|m| m.0 + m.1).max(1) as f64
            })
            .fold(0.0, f64::max);
        println!(
            "| {agents} | {name} | {:.2} | {:.2} | {} of {} | {:.1} | {:.1}, {:.1}, {:.1} |",
            mean(&|run| run.utilisation),
            100.0 * abandoned as f64 / live as f64,
            runs.iter().filter(|run| run.is_legal()).count(),
            runs.len(),
            100.0 * worst,
            mean(&|run| run.utilisation_between(step - 60, step, agents)),
            mean(&|run| run.utilisation_between(step + 3, step + 8, agents)),
            mean(&|run| run.utilisation_between(420, 480, agents)),
        );
    }
}

/// Agents, p, phases of the ring time, and the optimum of the constrained decision process.
const BOUNDS: [(usize, f64, u32, f64); 8] = [
    (5, 0.3, 1, 86.9),
    (10, 0.3, 1, 88.8),
    (25, 0.3, 1, 92.2),
    (50, 0.3, 1, 94.6),
    (5, 0.1, 1, 79.4),
    (10, 0.1, 1, 85.1),
    (25, 0.1, 1, 91.0),
    (50, 0.1, 1, 94.1),
];

fn markov(seeds: u64) {
    println!(
        "| agents | p | utilisation % | optimum, all known, nothing withdrawn | abandoned % |"
    );
    println!("|---|---|---|---|---|");
    for (agents, share, phases, bound) in BOUNDS {
        let runs: Vec<Outcome> = (0..seeds)
            .map(|seed| run(&World::markov(agents, share, phases, seed)))
            .collect();
        let abandoned: u64 = runs.iter().map(|run| run.abandoned).sum();
        let live: u64 = runs.iter().map(|run| run.abandoned + run.connected).sum();
        println!(
            "| {agents} | {share:.1} | {:.2} | {bound:.1} | {:.2} |",
            100.0 * runs.iter().map(|run| run.utilisation).sum::<f64>() / runs.len() as f64,
            100.0 * abandoned as f64 / live as f64,
        );
    }
}
