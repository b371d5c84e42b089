//! `tandem simulate`: a contact centre made of numbers, run through the production engine.
//!
//! Without a file it is the world of docs/pacing.md in which dialling is judged. The same seed
//! prints the same bytes.

use anyhow::{Context, bail};
use sim::{Controller, Scenario};
use std::path::PathBuf;

/// Shown below the options.
const EXAMPLES: &str = "Examples:
  tandem simulate --agents 10 --answer-rate 0.3 --shifts 24 --seed 1
  tandem simulate --agents 25 --controller adapt-tapered --json
  tandem simulate --scenario config/scenarios/half_leave.toml --check
  tandem simulate --check --seeds 10000";

/// Simulate shifts and say how busy agents were and how many people were abandoned.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Agents who take calls.
    #[arg(long)]
    agents: Option<usize>,
    /// Share of dials that a person answers, from 0 to 1.
    #[arg(long)]
    answer_rate: Option<f64>,
    /// Shifts, each from a cold start.
    #[arg(long)]
    shifts: Option<u32>,
    /// Fixes every chance; shift n has seed + n.
    #[arg(long)]
    seed: Option<u64>,
    /// predictive, progressive, power:X (through the engine); ratio:X, adapt-hard, adapt-average,
    /// adapt-tapered (the common open dialer's rules, in a small world of their own).
    #[arg(long)]
    controller: Option<String>,
    /// A scenario in TOML; the other options go before what it says.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Check every invariant after every input, and fail on the first that is broken.
    #[arg(long)]
    check: bool,
    /// With --check: run so many chaotic shifts, seeds from --seed on, instead of the scenario.
    #[arg(long, requires = "check")]
    seeds: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// The scenario cannot be read or run, or something that must hold did not.
pub fn run(args: SimulateArgs) -> anyhow::Result<()> {
    if let Some(seeds) = args.seeds {
        return run_seeds(args.seed.unwrap_or(1), seeds, args.json);
    }
    let scenario = scenario(&args)?;
    let controller = args
        .controller
        .as_deref()
        .or(scenario.controller.as_deref())
        .unwrap_or("predictive");
    let controller: Controller = controller.parse()?;
    let report = sim::judge(&scenario, controller, args.check)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

fn scenario(args: &SimulateArgs) -> anyhow::Result<Scenario> {
    let mut scenario = match &args.scenario {
        None => Scenario::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the scenario {}", path.display()))?;
            toml::from_str(&text)
                .with_context(|| format!("the scenario {} is not one", path.display()))?
        }
    };
    if let Some(agents) = args.agents {
        scenario.agents = agents;
    }
    if let Some(rate) = args.answer_rate {
        scenario.answer_rate = sim::scenario::Profile::Always(rate);
    }
    if let Some(shifts) = args.shifts {
        scenario.shifts = shifts;
    }
    if let Some(seed) = args.seed {
        scenario.seed = seed;
    }
    Ok(scenario)
}

/// Chaotic shifts under the checker.
fn run_seeds(first: u64, seeds: u64, json: bool) -> anyhow::Result<()> {
    let (mut calls, mut broken) = (0, Vec::new());
    for seed in first..first.saturating_add(seeds) {
        let verdict = sim::chaos::run(seed, false);
        calls += verdict.calls;
        if !verdict.broken.is_empty() {
            broken.push(verdict);
        }
    }
    if json {
        let broken: Vec<_> = broken
            .iter()
            .map(|verdict| (verdict.seed, &verdict.broken))
            .collect();
        println!(
            "{}",
            serde_json::json!({ "seeds": seeds, "first": first, "calls": calls, "broken": broken })
        );
    } else {
        for verdict in &broken {
            println!("seed {}: {}", verdict.seed, verdict.broken.join("\n  "));
        }
        println!(
            "{seeds} seeds from {first}, {calls} calls, {} broke something",
            broken.len()
        );
    }
    if !broken.is_empty() {
        bail!("{} of {seeds} seeds broke something", broken.len());
    }
    Ok(())
}
