//! CPU time of a simulated call through the whole production engine: flows, queues, offers, pacing,
//! claims, events, every command carried out; nobody checks, nothing is written.
//!
//! `cargo bench --bench engine` prints it for an inbound and an outbound load on one core. The goal is
//! 1,000,000 calls a minute: 60 µs a call. `cargo bench --bench engine -- inbound` runs one of them,
//! for a profiler.

use rustix::time::{ClockId, clock_gettime};
use sim::{Setting, World};
use std::time::Duration;

/// What a call may take.
const GOAL_US: f64 = 60.0;
/// Each load is measured so often; the least disturbed run counts.
const RUNS: u64 = 5;

/// Makes the world of one measurement.
type Load = fn() -> Setting;

fn main() {
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let loads: [(&str, Load); 4] = [
        ("inbound, 100 agents", || {
            sim::throughput::inbound(100, Duration::from_secs(4 * 3_600))
        }),
        ("inbound, 500 agents", || {
            sim::throughput::inbound(500, Duration::from_secs(3_600))
        }),
        ("outbound, 100 agents", || {
            sim::throughput::outbound(100, Duration::from_secs(4 * 3_600))
        }),
        ("outbound, 500 agents", || {
            sim::throughput::outbound(500, Duration::from_secs(3_600))
        }),
    ];
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>12} {:>14}",
        "load", "calls", "inputs", "µs/input", "µs/call", "calls/minute"
    );
    for (name, setting) in loads {
        if only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        let (calls, inputs, us) = (0..RUNS)
            .map(|seed| measure(setting(), seed))
            .min_by(|a, b| (a.2 / a.0 as f64).total_cmp(&(b.2 / b.0 as f64)))
            .expect("at least one run");
        let per_call = us / calls as f64;
        let goal = if per_call <= GOAL_US {
            ""
        } else {
            "  (goal: 60 µs)"
        };
        println!(
            "{name:<22} {calls:>9} {inputs:>9} {:>9.2} {per_call:>12.2} {:>14.0}{goal}",
            us / inputs as f64,
            6e7 / per_call
        );
    }
}

/// Calls, inputs, and µs of CPU time.
fn measure(setting: Setting, seed: u64) -> (u64, u64, f64) {
    let mut world = World::new(setting, seed).expect("the loads check");
    let before = cpu_us();
    world.run();
    let us = cpu_us() - before;
    let tally = world.tally();
    (tally.inbound + tally.dials, tally.inputs, us)
}

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
