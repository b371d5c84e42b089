//! Chaotic shifts under the checker: those of `seeds.txt`, and as many more as
//! `TANDEM_SIM_SEEDS` says. A seed that found something stays in the file.

use std::collections::BTreeSet;
use std::thread;

fn listed() -> Vec<u64> {
    let mut seeds = Vec::new();
    for line in include_str!("../seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        for word in line.split_whitespace() {
            match word.split_once("..") {
                Some((from, to)) => seeds.extend(from.parse::<u64>().unwrap()..to.parse().unwrap()),
                None => seeds.push(word.parse().unwrap()),
            }
        }
    }
    seeds
}

/// Runs seeds on two threads and gives what was broken.
fn run(seeds: &[u64]) -> Vec<sim::chaos::Verdict> {
    thread::scope(|scope| {
        let halves: Vec<_> = seeds
            .chunks(seeds.len().div_ceil(2).max(1))
            .map(|half| {
                scope.spawn(move || {
                    half.iter()
                        .map(|seed| sim::chaos::run(*seed, false))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        halves
            .into_iter()
            .flat_map(|half| half.join().unwrap())
            .collect()
    })
}

#[test]
fn no_listed_seed_breaks_an_invariant() {
    let mut seeds = listed();
    if let Ok(more) = std::env::var("TANDEM_SIM_SEEDS") {
        seeds.extend(500_000..500_000 + more.parse::<u64>().expect("TANDEM_SIM_SEEDS is a number"));
    }
    let verdicts = run(&seeds);
    let broken: Vec<_> = verdicts
        .iter()
        .filter(|verdict| !verdict.broken.is_empty())
        .collect();
    for verdict in &broken {
        println!("seed {}: {}", verdict.seed, verdict.broken.join("\n    "));
    }
    assert!(
        broken.is_empty(),
        "{} of {} seeds broke something",
        broken.len(),
        seeds.len()
    );
    let calls: u64 = verdicts.iter().map(|verdict| verdict.calls).sum();
    assert!(
        calls > 50 * seeds.len() as u64,
        "the shifts are busy: {calls} calls in {}",
        seeds.len()
    );
}

#[test]
fn a_seed_has_one_trace() {
    let mut hashes = BTreeSet::new();
    for seed in 1..=6 {
        let (first, second) = (sim::chaos::run(seed, true), sim::chaos::run(seed, true));
        assert!(
            first.trace.is_some() && first == second,
            "seed {seed}: {first:?} {second:?}"
        );
        hashes.insert(first.trace);
    }
    assert_eq!(hashes.len(), 6, "other seeds are other shifts");
}
