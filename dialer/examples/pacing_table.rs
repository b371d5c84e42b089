//! Prints the table of pacing: utilisation and abandonment by agents and answer share, against the
//! floors. `cargo run --release -p dialer --example pacing_table -- [agents,…] [seeds]`

#[path = "../tests/judge/mod.rs"]
mod judge;

use judge::{World, run};
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
    let mut words = std::env::args().skip(1);
    let only: Vec<usize> = words.next().map_or(Vec::new(), |text| {
        text.split(',')
            .filter_map(|agents| agents.parse().ok())
            .collect()
    });
    let seeds: u64 = words.next().and_then(|text| text.parse().ok()).unwrap_or(8);
    println!("agents    p  utilisation  floor  abandoned  legal shifts  worst 5 min");
    for (agents, floors) in FLOORS {
        if !only.is_empty() && !only.contains(&agents) {
            continue;
        }
        let seeds = if agents >= 100 {
            seeds.div_ceil(4)
        } else {
            seeds
        };
        for (share, floor) in SHARES.into_iter().zip(floors) {
            let runs: Vec<_> = (0..seeds)
                .map(|seed| {
                    run(&World {
                        mode: Mode::Predictive,
                        agents,
                        answer_share: vec![(0.0, share)],
                        hours: 8.0,
                        seed,
                    })
                })
                .collect();
            let n = runs.len() as f64;
            let utilisation = runs.iter().map(|run| run.utilisation).sum::<f64>() / n;
            let abandoned: u64 = runs.iter().map(|run| run.abandoned).sum();
            let live: u64 = runs.iter().map(|run| run.abandoned + run.connected).sum();
            let legal = runs.iter().filter(|run| run.abandon_rate() <= 0.03).count();
            let worst = runs
                .iter()
                .map(|run| run.worst_five_minutes)
                .fold(0.0, f64::max);
            println!(
                "{agents:6}  {share:.1}  {:10.2}%  {floor:4.1}%  {:8.2}%  {legal:5} of {:3}  {:9.1}%",
                utilisation * 100.0,
                100.0 * abandoned as f64 / live as f64,
                runs.len(),
                worst * 100.0,
            );
        }
    }
}
