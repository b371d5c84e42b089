//! Prints the table of pacing: utilisation and abandonment by agents and answer share, against the
//! floors, over single shifts or whole campaigns; worlds that change; the world of which the optimum
//! is known. `cargo run --release -p dialer --example pacing_table -- --help` says how to ask.

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

const HELP: &str = "pacing_table [AGENTS,…] [SEEDS] [P,…]   the table, or its cells named
  --days N        campaigns of N days instead of single shifts
  --scenarios N   worlds that change, and unusual talk; of AGENTS only, where given
  --only WORDS    of the scenarios only those with these words in their name
  --markov N      the world of which the optimum is known
  --seed FIRST    the first seed, 0 unless told: constants were chosen on 0 to 63
  --off           calls that ring are never withdrawn";

/// What the command line asks for.
#[derive(Clone, Default)]
struct Asked {
    agents: Vec<f64>,
    seeds: Option<u64>,
    shares: Vec<f64>,
    first: u64,
    days: Option<u32>,
    scenarios: Option<u64>,
    markov: Option<u64>,
    off: bool,
    only: String,
}

fn asked() -> Option<Asked> {
    let mut asked = Asked::default();
    let mut place = 0;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse::<u64>().ok();
        match word.as_str() {
            "--days" => asked.days = Some(number()? as u32),
            "--scenarios" => asked.scenarios = Some(number()?),
            "--markov" => asked.markov = Some(number()?),
            "--seed" => asked.first = number()?,
            "--only" => asked.only = words.next()?,
            "--off" => asked.off = true,
            list => {
                let numbers: Option<Vec<f64>> =
                    list.split(',').map(|word| word.parse().ok()).collect();
                match place {
                    0 => asked.agents = numbers?,
                    1 => asked.seeds = Some(numbers?[0] as u64),
                    2 => asked.shares = numbers?,
                    _ => return None,
                }
                place += 1;
            }
        }
    }
    Some(asked)
}

impl Asked {
    fn wants(&self, agents: usize, share: f64) -> bool {
        let among = |list: &[f64], value| list.is_empty() || list.contains(&value);
        among(&self.agents, agents as f64) && among(&self.shares, share)
    }

    fn world(&self, agents: usize, share: f64, seed: u64) -> World {
        World {
            withdraw: !self.off,
            ..World::new(Mode::Predictive, agents, share, 8.0, self.first + seed)
        }
    }
}

fn main() {
    let Some(asked) = asked() else {
        return eprintln!("{HELP}");
    };
    if asked.scenarios.is_some() {
        scenarios(&asked);
    } else if asked.markov.is_some() {
        markov(&asked);
    } else if let Some(days) = asked.days {
        campaigns(&asked, days);
    } else {
        table(&asked);
    }
}

fn sum<T: std::iter::Sum>(runs: &[Outcome], value: impl Fn(&Outcome) -> T) -> T {
    runs.iter().map(value).sum()
}

fn abandoned_pct(runs: &[Outcome]) -> f64 {
    let abandoned = sum(runs, |run| run.abandoned);
    let live = sum(runs, |run| run.abandoned + run.connected);
    100.0 * abandoned as f64 / live.max(1) as f64
}

/// Mean utilisation in per cent and half of its 95 % interval.
fn utilisation(runs: &[Outcome]) -> (f64, f64) {
    let n = runs.len() as f64;
    let mean = 100.0 * sum(runs, |run| run.utilisation) / n;
    let square = sum(runs, |run| (100.0 * run.utilisation - mean).powi(2));
    (mean, 1.96 * (square / (n - 1.0).max(1.0) / n).sqrt())
}

/// How long the running rate was over the limit in per cent of the time, and the worst it was.
fn running_over(runs: &[Outcome]) -> (f64, f64) {
    let known = sum(runs, |run| run.running.known_s);
    let over = sum(runs, |run| run.running.over_s);
    let worst = runs.iter().map(|run| run.running.worst_pct);
    (100.0 * over / known.max(1.0), worst.fold(0.0, f64::max))
}

fn table(asked: &Asked) {
    println!(
        "| agents | p | utilisation % | floor | | worst shift % | abandoned % | shifts over | worst 5 min % | running rate over, % of time | its worst % | withdrawn % of dials |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (agents, floors) in FLOORS {
        for (share, floor) in SHARES.into_iter().zip(floors) {
            if !asked.wants(agents, share) {
                continue;
            }
            let runs: Vec<Outcome> = (0..asked.seeds.unwrap_or(24))
                .flat_map(|seed| {
                    let world = asked.world(agents, share, seed);
                    if agents == 5 {
                        // The first of five days is the cold start.
                        run_days(&world, 5).split_off(1)
                    } else {
                        vec![run(&world)]
                    }
                })
                .collect();
            let (mean, half) = utilisation(&runs);
            let least = runs.iter().map(|run| run.utilisation);
            let over = runs.iter().filter(|run| !run.is_legal()).count();
            let worst = runs.iter().map(|run| run.worst_window(0, 20));
            let (over_pct, over_worst) = running_over(&runs);
            println!(
                "| {agents} | {share:.1} | {mean:.2} ± {half:.2} | {floor:.1} | {} | {:.1} | {:.2} | {over} of {} | {:.1} | {over_pct:.1} | {over_worst:.2} | {:.1} |",
                if mean >= floor { "✓" } else { "✗" },
                100.0 * least.fold(1.0, f64::min),
                abandoned_pct(&runs),
                runs.len(),
                100.0 * worst.fold(0.0, f64::max),
                100.0 * sum(&runs, |run| run.withdrawn) as f64 / sum(&runs, |run| run.dials) as f64,
            );
        }
    }
}

/// Many days in a row with what was learned and abandoned carried over.
fn campaigns(asked: &Asked, days: u32) {
    println!(
        "| agents | p | days | campaigns | utilisation % | abandoned % | worst campaign % | shifts over | running rate over, % of time | its worst % |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (agents, floors) in FLOORS {
        for (share, _) in SHARES.into_iter().zip(floors) {
            if !asked.wants(agents, share) {
                continue;
            }
            let seeds = asked.seeds.unwrap_or(4);
            let runs: Vec<Vec<Outcome>> = (0..seeds)
                .map(|seed| run_days(&asked.world(agents, share, 1_000_003 * seed), days))
                .collect();
            let worst = runs.iter().map(|days| abandoned_pct(days));
            let worst = worst.fold(0.0, f64::max);
            let runs: Vec<Outcome> = runs.concat();
            let (mean, half) = utilisation(&runs);
            let over = runs.iter().filter(|run| !run.is_legal()).count();
            let (over_pct, over_worst) = running_over(&runs);
            println!(
                "| {agents} | {share:.1} | {days} | {seeds} | {mean:.2} ± {half:.2} | {:.2} | {worst:.3} | {over} of {} | {over_pct:.1} | {over_worst:.2} |",
                abandoned_pct(&runs),
                runs.len(),
            );
        }
    }
}

/// When the world changes, in hours.
const STEP_H: f64 = 4.0;

fn scenarios(asked: &Asked) {
    let seeds = asked.scenarios.unwrap_or(24);
    let base = |agents| asked.world(agents, 0.2, 0);
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
        if !asked.wants(agents, 0.2) || !(asked.only.is_empty() || name.contains(&asked.only)) {
            continue;
        }
        let seeds = if agents >= 200 {
            seeds.div_ceil(4)
        } else {
            seeds
        };
        let runs: Vec<Outcome> = (0..seeds)
            .map(|seed| {
                run(&World {
                    seed: asked.first + seed,
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

fn markov(asked: &Asked) {
    let seeds = asked.markov.unwrap_or(8);
    println!(
        "| agents | p | utilisation % | optimum, all known, nothing withdrawn | abandoned % |"
    );
    println!("|---|---|---|---|---|");
    for (agents, share, phases, bound) in BOUNDS {
        let runs: Vec<Outcome> = (0..seeds)
            .map(|seed| run(&World::markov(agents, share, phases, asked.first + seed)))
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
