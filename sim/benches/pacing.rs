//! How busy every controller keeps agents, cell by cell, and in the Markov world how far it stays
//! below the proven bound. Writes markdown to standard output and, where asked, JSON beside it.
//!
//! ```text
//! cargo bench -p sim --bench pacing -- --shifts 24 --json pacing.json
//! cargo bench -p sim --bench pacing -- --agents 5,10 --rates 0.3 --controllers predictive,informed
//! ```

use serde_json::{Value, json};
use sim::bound::Markov;
use sim::scenario::Profile;
use sim::{Controller, Options, Report, Scenario, judge_with};

/// Bounds are computed up to so many agents: beyond, nothing is left to gain.
const BOUND_AGENTS_MAX: usize = 50;

struct Args {
    agents: Vec<usize>,
    rates: Vec<f64>,
    controllers: Vec<Controller>,
    shifts: u32,
    seed: u64,
    hours: f64,
    threads: usize,
    json: Option<String>,
}

fn list<T: std::str::FromStr>(text: &str) -> Vec<T> {
    text.split(',')
        .map(|part| {
            part.parse()
                .unwrap_or_else(|_| panic!("\"{part}\" in \"{text}\" is not what is asked for"))
        })
        .collect()
}

fn args() -> Args {
    let mut args = Args {
        agents: vec![5, 10, 25, 50, 100, 500],
        rates: vec![0.1, 0.2, 0.3, 0.5],
        controllers: list("progressive,adapt-tapered,predictive,informed"),
        shifts: 4,
        seed: 1,
        hours: 8.0,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        json: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        // Cargo says so to every bench.
        if name == "--bench" {
            continue;
        }
        let value = given
            .next()
            .unwrap_or_else(|| panic!("{name} wants a value"));
        match name.as_str() {
            "--agents" => args.agents = list(&value),
            "--rates" => args.rates = list(&value),
            "--controllers" => args.controllers = list(&value),
            "--shifts" => args.shifts = list(&value)[0],
            "--seed" => args.seed = list(&value)[0],
            "--hours" => args.hours = list(&value)[0],
            "--threads" => args.threads = list(&value)[0],
            "--json" => args.json = Some(value),
            other => panic!(
                "{other}: use --agents, --rates, --controllers, --shifts, --seed, --hours, --threads or --json"
            ),
        }
    }
    args
}

fn judged(args: &Args, scenario: Scenario, controller: Controller) -> Report {
    let scenario = Scenario {
        shifts: args.shifts,
        seed: args.seed,
        hours: args.hours,
        ..scenario
    };
    let options = Options {
        threads: args.threads,
        ..Options::default()
    };
    judge_with(&scenario, controller, options)
        .expect("the bench's own scenarios stand")
        .report
}

/// Utilisation and its interval's half width, and abandonment.
fn shown(report: &Report) -> String {
    let half = report
        .ci95
        .utilisation_pct
        .map_or(String::new(), |[low, high]| {
            format!(" ± {:.1}", (high - low) / 2.0)
        });
    format!(
        "{:.1}{half} @ {:.2}",
        report.utilisation_pct.unwrap_or(f64::NAN),
        report.abandonment_pct.unwrap_or(f64::NAN)
    )
}

fn header(title: &str, more: &str, controllers: &[Controller]) {
    println!("\n## {title}\n");
    let names: String = controllers.iter().map(|c| format!(" {c} |")).collect();
    println!("| agents | p |{more}{names}");
    let lines = 2 + controllers.len() + usize::from(!more.is_empty());
    println!("|{}", "---|".repeat(lines));
}

/// One line of a table, and its reports.
fn line(args: &Args, agents: usize, rate: f64, bound: Option<f64>, scenario: &Scenario) -> Value {
    let mut cells = String::new();
    let mut reports = Vec::new();
    for controller in &args.controllers {
        let report = judged(args, scenario.clone(), *controller);
        cells.push_str(&format!(" {} |", shown(&report)));
        reports.push(report);
    }
    let shown_bound = bound.map_or(String::new(), |pct| format!(" {pct:.1} |"));
    println!("| {agents} | {rate} |{shown_bound}{cells}");
    json!({ "agents": agents, "answer_rate": rate, "bound_pct": bound, "reports": reports })
}

fn main() {
    let args = args();
    println!(
        "Utilisation % ± half its 95 % interval @ abandonment %, {} shifts of {} h, seeds from {}.",
        args.shifts, args.hours, args.seed
    );
    header("The judge's world", "", &args.controllers);
    let mut judge = Vec::new();
    for &agents in &args.agents {
        for &rate in &args.rates {
            let scenario = Scenario {
                agents,
                answer_rate: Profile::Always(rate),
                ..Scenario::default()
            };
            judge.push(line(&args, agents, rate, None, &scenario));
        }
    }
    header(
        "The Markov world, and what no pacing can beat in it",
        " bound |",
        &args.controllers,
    );
    let mut markov = Vec::new();
    for &agents in args.agents.iter().filter(|n| **n <= BOUND_AGENTS_MAX) {
        for &rate in &args.rates {
            let world = Markov::new(agents, rate);
            let bound = world.bound_pct();
            markov.push(line(&args, agents, rate, Some(bound), &world.scenario()));
        }
    }
    if let Some(file) = &args.json {
        let all = json!({
            "shifts": args.shifts, "hours": args.hours, "seed": args.seed,
            "judge": judge, "markov": markov,
        });
        let text = serde_json::to_string_pretty(&all).expect("reports are JSON");
        std::fs::write(file, text + "\n").unwrap_or_else(|error| panic!("{file}: {error}"));
        eprintln!("wrote {file}");
    }
}
