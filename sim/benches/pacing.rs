//! The whole table of pacing, controller by controller, and in the Markov world how far each stays
//! below the proven bound. Writes markdown to standard output and, where asked, JSON beside it.
//!
//! ```text
//! cargo bench -p sim --bench pacing -- --shifts 24 --json pacing.json
//! cargo bench -p sim --bench pacing -- --agents 5,10 --rates 0.3 --controllers predictive,informed
//! ```

use serde_json::json;
use sim::Controller;
use sim::table::{self, Request, Row, Table};

struct Args {
    agents: Vec<usize>,
    rates: Vec<f64>,
    controllers: Vec<Controller>,
    shifts: u32,
    days: u32,
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
        agents: Vec::new(),
        rates: Vec::new(),
        controllers: list("progressive,adapt-tapered,predictive,informed"),
        shifts: 4,
        days: table::CARRIED_DAYS,
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
            "--days" => args.days = list(&value)[0],
            "--seed" => args.seed = list(&value)[0],
            "--hours" => args.hours = list(&value)[0],
            "--threads" => args.threads = list(&value)[0],
            "--json" => args.json = Some(value),
            other => panic!(
                "{other}: use --agents, --rates, --controllers, --shifts, --days, --seed, --hours, --threads or --json"
            ),
        }
    }
    args
}

fn rows(args: &Args, of: Table) -> Vec<Row> {
    let request = Request {
        controllers: args.controllers.clone(),
        agents: args.agents.clone(),
        answer_rates: args.rates.clone(),
        shifts: Some(args.shifts),
        days: Some(args.days),
        hours: Some(args.hours),
        ..Request::new(of, args.seed)
    };
    let cells = request.cells().expect("no cell names a controller itself");
    let mut rows = Vec::new();
    table::run(&cells, args.threads, &|_| {}, &mut |row| {
        rows.push(row);
        true
    })
    .expect("the table's own worlds stand");
    let place = |row: &Row| {
        cells
            .iter()
            .position(|cell| cell.fingerprint() == row.fingerprint)
    };
    rows.sort_by_key(place);
    rows
}

fn main() {
    let args = args();
    println!(
        "{} shifts of {} h, seeds from {}; in brackets 95 % intervals.\n\n## The judge's world\n",
        args.shifts, args.hours, args.seed
    );
    let judge = rows(&args, Table::Cells);
    println!("{}", table::markdown(Table::Cells, &judge));
    println!("## The Markov world, and what no pacing can beat in it\n");
    let markov = rows(&args, Table::Markov);
    println!("{}", table::markdown(Table::Markov, &markov));
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
