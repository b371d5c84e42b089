//! Prints the table of pacing: utilisation and abandonment by agents and answer share, against the
//! floors. `cargo run --release -p dialer --example pacing_table -- [agents,…] [seeds] [p,…]`

#[path = "../tests/judge/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod judge;

use judge::{Outcome, World, run, run_days};
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
            text.split(',').filter_map(|word| word.parse().ok()).collect()
        })
    };
    let (only, shares) = (numbers(0), numbers(2));
    let seeds = words.get(1).and_then(|text| text.parse().ok()).unwrap_or(24);
    println!("| agents | p | utilisation % | floor | | abandoned % | legal shifts | worst 5 min % | withdrawn % of dials |");
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
                        // The first of three days is the cold start.
                        run_days(&world, 3).split_off(1)
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
            let worst = runs.iter().map(|run| run.worst_window(0, 20)).fold(0.0, f64::max);
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
