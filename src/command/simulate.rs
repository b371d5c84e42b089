//! `tandem simulate`: a contact centre made of numbers, run through the production engine.
//!
//! Without a file it is the world of docs/pacing.md in which dialling is judged. The same seed
//! prints the same bytes, on any number of threads. Whole tables are [`table`]'s.

mod table;

use super::Output;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim::plot::{self, Titles};
use sim::scenario::Profile;
use sim::table::Table;
use sim::{Controller, Judged, Options, Scenario};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Shown below the options.
const EXAMPLES: &str = "Examples:
  tandem simulate --agents 10 --answer-rate 0.3 --shifts 24 --seed 1
  tandem simulate --agents 25 --controller adapt-tapered --json
  tandem simulate --scenario config/scenarios/half_leave.toml --check
  tandem simulate --agents 50 --set 'talk={ mean_s = 90, shape = \"exponential\" }'
  tandem simulate --agents 10 --days 30 --shifts 4
  tandem simulate --scenario config/scenarios/voice_message.toml
  tandem simulate --scenario config/scenarios/delay_step.toml --plot shift.svg
  tandem simulate --table cells --seed 9001 --out cells.jsonl
  tandem simulate --table month --agents 10
  tandem simulate --check --seeds 10000";

/// Simulate shifts and say how busy agents were and how many people were abandoned.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Agents who take calls. With --scenario, customers who call, lines and calls per second grow with the
    /// team; `--set agents=N` changes the number alone.
    #[arg(long)]
    agents: Option<usize>,
    /// Share of dials that a person answers, from 0 to 1.
    #[arg(long)]
    answer_rate: Option<f64>,
    /// Hours of a shift.
    #[arg(long)]
    hours: Option<f64>,
    /// Runs, each from a cold start.
    #[arg(long)]
    shifts: Option<u32>,
    /// Shifts of a run, on consecutive days with one book of abandoned calls.
    #[arg(long)]
    days: Option<u32>,
    /// Fixes every chance; the n-th shift has seed + n.
    #[arg(long)]
    seed: Option<u64>,
    /// Through the engine: predictive, progressive, power:X, agentless (a recorded voice), and
    /// informed (predictive, told the end of every talk). In a small world of their own: ratio:X,
    /// adapt-hard, adapt-average, adapt-tapered (the common open dialer's rules).
    #[arg(long)]
    controller: Option<String>,
    /// A scenario in TOML; the other options go before what it says.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Any other field of a scenario, as it would stand in the file. May be given again.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A whole table: cells (all of 5 to 500 agents, against their floors), scenarios (every file of
    /// --scenarios), month (the cells, 30 days in a row) or markov (where the best is known).
    /// --agents and --answer-rate leave only those rows; --shifts is per row.
    #[arg(long, conflicts_with_all = ["scenario", "set", "plot", "check"])]
    table: Option<Table>,
    /// With --table: put every row away here as soon as it is there, and run only those that are not.
    #[arg(long, value_name = "FILE.jsonl", requires = "table")]
    out: Option<PathBuf>,
    /// With --table scenarios: where they are.
    #[arg(long, value_name = "FOLDER", default_value = "config/scenarios")]
    scenarios: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Draw the first shift.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Threads; all cores without it. The report is the same for any number.
    #[arg(long)]
    threads: Option<usize>,
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
    if let Some(of) = args.table {
        return table::run(of, &args);
    }
    let scenario = scenario(&args)?;
    let controller = args
        .controller
        .as_deref()
        .or(scenario.controller.as_deref())
        .unwrap_or("predictive");
    let controller: Controller = controller.parse()?;
    let shifts = u64::from(scenario.shifts) * u64::from(scenario.days);
    let bar = progress(shifts, "{bar:40} {pos}/{len} shifts, {eta} left");
    let options = Options {
        checked: args.check,
        threads: args.threads.unwrap_or_else(cores).max(1),
        shift_is_over: &|_| bar.inc(1),
    };
    let judged = sim::judge_with(&scenario, controller, options);
    bar.finish_and_clear();
    let judged = judged?;
    if let Some(file) = &args.plot {
        draw(file, &scenario, &judged)?;
    }
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&judged.report)?)?;
    } else {
        writeln!(out, "{}", judged.report)?;
    }
    out.flush()?;
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Grows with every shift, where somebody looks.
fn progress(length: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(template).expect("the template is ours");
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}

fn draw(file: &Path, scenario: &Scenario, judged: &Judged) -> anyhow::Result<()> {
    let first = &judged.first;
    let of = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    let lost = first.abandoned + first.false_positives;
    let titles = Titles {
        title: format!(
            "{} agents, {}, seed {}",
            scenario.agents, judged.report.controller, scenario.seed
        ),
        subtitle: format!(
            "utilisation {:.1} %, abandonment {:.2} %, {} dials, {} connected",
            of(first.handling_us, first.signed_in_us),
            of(lost, first.connected + lost),
            first.dials,
            first.connected
        ),
    };
    let svg = plot::svg(&titles, &first.curve, scenario.agents, &scenario.steps_h());
    std::fs::write(file, svg).with_context(|| format!("cannot write {}", file.display()))
}

fn scenario(args: &SimulateArgs) -> anyhow::Result<Scenario> {
    let mut scenario = match &args.scenario {
        None => Scenario::default(),
        Some(path) => read(path)?,
    };
    if let Some(agents) = args.agents {
        scenario = scenario.for_agents(agents);
    }
    if !args.set.is_empty() {
        scenario = scenario
            .with(&args.set)
            .map_err(|problem| anyhow::anyhow!("--set {problem}"))?;
    }
    if let Some(agents) = args.agents {
        scenario.agents = agents;
    }
    if let Some(rate) = args.answer_rate {
        scenario.answer_rate = Profile::Always(rate);
    }
    if let Some(hours) = args.hours {
        scenario.hours = hours;
    }
    if let Some(shifts) = args.shifts {
        scenario.shifts = shifts;
    }
    if let Some(days) = args.days {
        scenario.days = days;
    }
    if let Some(seed) = args.seed {
        scenario.seed = seed;
    }
    Ok(scenario)
}

/// A scenario file; what is wrong with it goes to standard error, each at its place.
fn read(path: &Path) -> anyhow::Result<Scenario> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the scenario {name}"))?;
    Scenario::read(&name, &text).map_err(|problems| {
        for problem in &problems {
            eprintln!("{problem}\n");
        }
        anyhow::anyhow!("the scenario {name} cannot be run as it stands")
    })
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
