//! `tandem leads`: brings lists of leads in, shows them, and dials a finished one again.

mod people;

use super::Output;
use crate::clock::Clock;
use crate::config::{self, Source};
use crate::store::{
    Dedupe, ImportOptions, ImportReport, Lists, Progress, RejectedLine, Rejection, StoreConfig,
    do_not_call_kind, import_do_not_call, import_leads,
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::event::DoNotCallKind;
use model::{AttemptOutcome, ListId, Utc};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Rejections that are shown; nobody reads more on a terminal, and `--rejects` has all of them.
const SHOWN_MAX: usize = 1_000;

/// Arguments of `tandem leads`.
#[derive(clap::Args)]
pub struct LeadsArgs {
    #[command(subcommand)]
    command: LeadsCommand,
}

#[derive(clap::Subcommand)]
enum LeadsCommand {
    /// Import a list from a CSV or JSON file, beside a running engine or without one.
    Import(ImportArgs),
    /// All lists: how many leads are ready, scheduled, being dialled, done.
    #[command(
        after_help = "Examples:\n  tandem leads list\n  tandem leads list --data /var/lib/tandem --json"
    )]
    List(ListArgs),
    /// One lead with its attempts, by its id or by one of its numbers.
    #[command(
        after_help = "Examples:\n  tandem leads show 4711\n  tandem leads show +12125550144 --json"
    )]
    Show(ShowArgs),
    /// Dial leads of a list again that are done, by what came of their last attempt.
    #[command(after_help = "Examples:
  tandem leads recycle --list spring --outcome no_answer --dry-run
  tandem leads recycle --list spring --outcome no_answer --outcome busy

Their attempts are counted anew. Who answered an agent is never dialled again by this.")]
    Recycle(RecycleArgs),
    /// How many leads of a campaign's lists its filters let through, and which cells cannot be read.
    #[command(after_help = "Examples:
  tandem leads filter --campaign spring --config config
  tandem leads filter --campaign spring --filter 'state in (\"NY\", \"NJ\") and not vip' --json

Nothing is changed. Leads that are done are not counted. docs/lists.md says how a filter is written.")]
    Filter(people::FilterArgs),
    /// The quotas of a campaign: how many were counted, how many are enough.
    #[command(after_help = "Examples:
  tandem leads quotas --campaign spring --config config
  tandem leads quotas --campaign spring --json")]
    Quotas(people::CampaignArgs),
    /// A list as CSV, as it can be imported again, with what came of each lead.
    #[command(after_help = "Examples:\n  tandem leads export --list spring > spring.csv")]
    Export(ExportArgs),
    /// Do-not-call lists of others: a country's register, a state's, a campaign's.
    #[command(subcommand)]
    Dnc(DncCommand),
}

#[derive(clap::Subcommand)]
enum DncCommand {
    /// Put a file of numbers in the place of a list. The engine reads it at its next start.
    #[command(after_help = "Examples:
  tandem leads dnc import national.csv --list us --kind national --as-of 2026-11-01 --country 1
  tandem leads dnc import never.txt --list spring --kind campaign

One number a line, in the first column, with + and country code, or in national form with --country.
A rule set names the list by its name and may ask how old it is: the national ones are us, uk and ca.
A list of kind campaign bears the name of its campaign; area binds every campaign, internal as well.")]
    Import(DncImportArgs),
    /// The lists with their dates and sizes.
    #[command(after_help = "Examples:\n  tandem leads dnc list\n  tandem leads dnc list --json")]
    List(ListArgs),
}

#[derive(clap::Args)]
struct DncImportArgs {
    /// The file.
    file: PathBuf,
    /// The list's name.
    #[arg(long, value_name = "NAME")]
    list: ListId,
    /// national, area, campaign or internal.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: DoNotCallKind,
    /// The date of the file, as in 2026-11-01. Without it a rule that asks for the age finds none.
    #[arg(long, value_name = "DATE", value_parser = day)]
    as_of: Option<Utc>,
    /// Country code for numbers in national form, as in 1.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    #[command(flatten)]
    at: Where,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> Result<DoNotCallKind, String> {
    do_not_call_kind(text).ok_or_else(|| "write national, area, campaign or internal".into())
}

/// Midnight of a day in UTC.
fn day(text: &str) -> Result<Utc, String> {
    let day: jiff::civil::Date = text
        .parse()
        .map_err(|_| "write a day, as in 2026-11-01".to_string())?;
    let midnight = day
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_err(|error| error.to_string())?;
    Ok(Utc::from_micros(midnight.timestamp().as_microsecond()))
}

/// Where the database is.
#[derive(clap::Args)]
struct Where {
    /// The data folder of the engine.
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// The configuration that names the data folder. Without both, that of the embedded one: `data`.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

impl Where {
    fn folder(&self) -> anyhow::Result<PathBuf> {
        Ok(match (&self.data, &self.config) {
            (Some(folder), _) => folder.clone(),
            (None, Some(path)) => config::load(&Source::of_path(path))?.0.tandem.data.folder,
            (None, None) => config::load(&Source::Embedded)?.0.tandem.data.folder,
        })
    }

    /// The lists of a database that is there.
    fn lists(&self) -> anyhow::Result<Lists> {
        let database = self.folder()?.join("tandem.db");
        anyhow::ensure!(database.exists(), "there is no {}", database.display());
        Lists::open(&StoreConfig::at(&database))
            .with_context(|| format!("cannot open {}", database.display()))
    }
}

#[derive(clap::Args)]
struct ListArgs {
    #[command(flatten)]
    at: Where,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// The lead's id, or one of its numbers with + and country code.
    lead: String,
    #[command(flatten)]
    at: Where,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct RecycleArgs {
    /// The list.
    #[arg(long, value_name = "NAME")]
    list: ListId,
    /// What came of the last attempt: no_answer, busy, failed, machine, abandoned … Several times for several.
    #[arg(long = "outcome", value_name = "OUTCOME", required = true, value_parser = outcome)]
    outcomes: Vec<AttemptOutcome>,
    /// Say how many, change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    at: Where,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct ExportArgs {
    /// The list.
    #[arg(long, value_name = "NAME")]
    list: ListId,
    #[command(flatten)]
    at: Where,
    /// One JSON object a line instead of CSV.
    #[arg(long)]
    json: bool,
}

/// An outcome after which a lead may be dialled again.
fn outcome(text: &str) -> Result<AttemptOutcome, String> {
    let known: Result<AttemptOutcome, _> = serde_json::from_value(text.into());
    match known {
        Ok(AttemptOutcome::AnsweredAgent) => Err("who answered an agent is not dialled again".into()),
        Ok(outcome) => Ok(outcome),
        Err(_) => Err("no such outcome; there are no_answer, busy, failed, machine, abandoned, cancelled, disconnected_number and unknown_restart".into()),
    }
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem leads import config/leads/spring.csv --list spring --dry-run
  tandem leads import customers.csv --list spring --data /var/lib/tandem
  tandem leads import customers.csv --list spring --map Telefon=phone --map Ort=city --country 49
  tandem leads import customers.json --list spring --dedupe system --rejects rejected.csv

The first line of a CSV file names the columns; they may be parted by comma, semicolon, tab or bar. JSON
is an array of objects, or one object a line. phone, phone2 to phone9, name, time_zone, customer_key,
priority and not_before are Tandem's own; any other becomes a field of the lead and is in its screen pop.
A number or customer key that the list already has is a duplicate and is left as it is. A file of rejected
lines can be corrected and imported again as it is: the columns with the reasons are left out.
Exit code 0: the file was read, whatever was rejected; 1: it could not be.")]
struct ImportArgs {
    /// The file, CSV or JSON.
    file: PathBuf,
    /// The list the leads belong to; created where it is new.
    #[arg(long, value_name = "NAME")]
    list: ListId,
    /// A column under another name, as THEIRS=OURS. May be given several times.
    #[arg(long = "map", value_name = "THEIRS=OURS", value_parser = mapping)]
    mapping: Vec<(String, String)>,
    /// Country code for numbers in national form, as in 49. Without it those are rejected.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// Check every line, write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where a number or customer key counts as known: `list`, or `system` for all lists.
    #[arg(long, value_name = "WHERE", default_value = "list", value_parser = dedupe)]
    dedupe: Dedupe,
    /// Write the rejected lines here, each with its line, column and reason.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    #[command(flatten)]
    at: Where,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

fn dedupe(text: &str) -> Result<Dedupe, String> {
    match text {
        "list" => Ok(Dedupe::List),
        "system" => Ok(Dedupe::System),
        _ => Err("write list or system".into()),
    }
}

fn mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((theirs, ours)) if !theirs.is_empty() && !ours.is_empty() => {
            Ok((theirs.into(), ours.into()))
        }
        Some(_) | None => Err("write THEIRS=OURS, as in Telefon=phone".into()),
    }
}

/// Runs it.
pub fn run(args: LeadsArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        LeadsCommand::Import(args) => import(args),
        LeadsCommand::List(args) => list(&args),
        LeadsCommand::Show(args) => show_lead(&args),
        LeadsCommand::Recycle(args) => recycle(&args),
        LeadsCommand::Filter(args) => people::filter(&args),
        LeadsCommand::Quotas(args) => people::quotas(&args),
        LeadsCommand::Export(args) => export(&args),
        LeadsCommand::Dnc(DncCommand::Import(args)) => import_numbers(&args),
        LeadsCommand::Dnc(DncCommand::List(args)) => list_numbers(&args),
    }
}

fn import_numbers(args: &DncImportArgs) -> anyhow::Result<ExitCode> {
    let folder = args.at.folder()?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let file =
        File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let size = file.metadata().map_or(0, |about| about.len());
    let bar = bar(size);
    let report = import_do_not_call(
        &StoreConfig::at(folder.join("tandem.db")),
        (args.list, args.kind, args.as_of),
        bar.wrap_read(file),
        args.country.as_deref(),
        Clock::new().now().utc,
    );
    bar.finish_and_clear();
    let report = report.with_context(|| format!("importing {}", args.file.display()))?;
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        for (line, why) in report.rejected.iter().take(SHOWN_MAX) {
            writeln!(out, "{}:{line}: {why}", args.file.display())?;
        }
        let (numbers, rejected) = (report.list.numbers, report.rejected_total);
        writeln!(
            out,
            "list {}: {numbers} numbers, {rejected} lines rejected",
            args.list
        )?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn list_numbers(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let lists = args.at.lists()?.do_not_call()?;
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "do_not_call": lists }))?;
    } else {
        writeln!(
            out,
            "{:<31} {:<9} {:>10} {:>12}",
            "list", "kind", "as of", "numbers"
        )?;
        for row in &lists {
            let as_of = row
                .as_of
                .map_or("-".into(), |at| at.to_string()[..10].to_string());
            let kind = format!("{:?}", row.kind).to_lowercase();
            writeln!(
                out,
                "{:<31} {kind:<9} {as_of:>10} {:>12}",
                row.list.as_str(),
                row.numbers
            )?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let counts = args.at.lists()?.counts()?;
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "lists": counts }))?;
    } else {
        writeln!(
            out,
            "{:<31} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "list", "leads", "ready", "scheduled", "dialling", "done"
        )?;
        for row in &counts {
            let leads = row.ready + row.scheduled + row.dialling + row.done;
            writeln!(
                out,
                "{:<31} {leads:>10} {:>10} {:>10} {:>10} {:>10}",
                row.list, row.ready, row.scheduled, row.dialling, row.done
            )?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn show_lead(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let leads = args.at.lists()?.find(&args.lead)?;
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "leads": leads }))?;
    } else {
        for lead in &leads {
            writeln!(out, "{}", serde_json::to_string_pretty(lead)?)?;
        }
    }
    out.flush()?;
    anyhow::ensure!(!leads.is_empty(), "there is no lead {}", args.lead);
    Ok(ExitCode::SUCCESS)
}

fn recycle(args: &RecycleArgs) -> anyhow::Result<ExitCode> {
    let mut lists = args.at.lists()?;
    let count = lists.recycle(args.list, &args.outcomes, args.dry_run)?;
    let mut out = Output::new();
    let (list, dry_run) = (args.list, args.dry_run);
    match (args.json, dry_run) {
        (true, _) => writeln!(
            out,
            "{}",
            serde_json::json!({ "list": list, "dry_run": dry_run, "recycled": count })
        )?,
        (false, true) => writeln!(out, "list {list}: {count} leads would be dialled again")?,
        (false, false) => writeln!(out, "list {list}: {count} leads are dialled again")?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let mut lists = args.at.lists()?;
    let mut out = Output::new();
    lists.export(args.list, args.json, &mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn import(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let folder = args.at.folder()?;
    let file =
        File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let size = file
        .metadata()
        .with_context(|| format!("cannot read {}", args.file.display()))?
        .len();
    let database = folder.join("tandem.db");
    let store = match args.dry_run && !database.exists() {
        // Nothing is known yet, and a dry run leaves nothing behind.
        true => StoreConfig::at(":memory:"),
        false => {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            StoreConfig::at(database)
        }
    };
    let options = ImportOptions {
        list: args.list,
        mapping: args.mapping.into_iter().collect::<BTreeMap<_, _>>(),
        default_country: args.country,
        dry_run: args.dry_run,
        dedupe: args.dedupe,
    };
    let bar = bar(size);
    let mut rejects = Rejects::new(args.rejects.as_deref());
    let report = import_leads(
        &store,
        bar.wrap_read(file),
        &options,
        Clock::new().now().utc,
        &mut |Progress { lines, accepted }| {
            bar.set_message(format!("{lines} lines, {accepted} accepted"))
        },
        &mut |rejection, line| rejects.take(rejection, line),
    );
    bar.finish_and_clear();
    let report = report.with_context(|| format!("importing {}", args.file.display()))?;
    let rejects_file = rejects
        .finish()
        .context("the file of rejected lines cannot be written")?;

    let mut out = Output::new();
    match args.json {
        true => show_json(&mut out, &options, &report, rejects_file.as_deref())?,
        false => show(
            &mut out,
            &args.file,
            &options,
            &report,
            rejects_file.as_deref(),
        )?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// How much of the file was read; nothing where nobody looks.
fn bar(bytes: u64) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta} {msg}")
        .expect("the template is constant");
    ProgressBar::with_draw_target(Some(bytes), target).with_style(style)
}

fn show(
    out: &mut Output,
    file: &Path,
    options: &ImportOptions,
    report: &ImportReport,
    rejects: Option<&Path>,
) -> std::io::Result<()> {
    let shown = report.rejected.iter().take(SHOWN_MAX);
    for rejection in shown {
        let (line, reason) = (rejection.line, &rejection.reason);
        let column = match rejection.column.as_str() {
            "" => String::new(),
            column => format!("{column}: "),
        };
        writeln!(out, "{}:{line}: {column}{reason}", file.display())?;
    }
    if report.rejected_total > SHOWN_MAX as u64 {
        let total = report.rejected_total;
        writeln!(
            out,
            "… the first {SHOWN_MAX} of {total} rejected lines; --rejects FILE writes all of them"
        )?;
    }
    if let Some(rejects) = rejects {
        writeln!(out, "the rejected lines are in {}", rejects.display())?;
    }
    let (accepted, duplicates, rejected) =
        (report.accepted, report.duplicates, report.rejected_total);
    let done = if options.dry_run {
        "would be imported"
    } else {
        "imported"
    };
    writeln!(
        out,
        "list {}: {accepted} {done}, {duplicates} duplicates, {rejected} rejected",
        options.list
    )?;
    if options.dry_run {
        writeln!(out, "dry run: nothing was written")?;
    }
    Ok(())
}

fn show_json(
    out: &mut Output,
    options: &ImportOptions,
    report: &ImportReport,
    rejects: Option<&Path>,
) -> std::io::Result<()> {
    let object = serde_json::json!({
        "list": options.list,
        "dry_run": options.dry_run,
        "accepted": report.accepted,
        "duplicates": report.duplicates,
        "rejected_total": report.rejected_total,
        "rejected": report.rejected,
        "rejects_file": rejects,
    });
    writeln!(out, "{object}")
}

/// The file of rejected lines: made with the first of them. What was rejected stands as it was, behind
/// where and why; so it can be corrected and imported again.
struct Rejects<'a> {
    file: Option<&'a Path>,
    csv: Option<csv::Writer<File>>,
    lines: Option<BufWriter<File>>,
}

impl<'a> Rejects<'a> {
    fn new(file: Option<&'a Path>) -> Rejects<'a> {
        Rejects {
            file,
            csv: None,
            lines: None,
        }
    }

    fn take(&mut self, rejection: &Rejection, line: RejectedLine<'_>) -> std::io::Result<()> {
        let Some(file) = self.file else {
            return Ok(());
        };
        match line {
            RejectedLine::Cells(names, record) => {
                if self.csv.is_none() {
                    // A line may have more or fewer cells than there are columns: that is why it is here.
                    let mut csv = csv::WriterBuilder::new().flexible(true).from_path(file)?;
                    let ours = ["rejected_line", "rejected_column", "rejected_reason"];
                    let theirs = names.iter().filter(|name| !is_ours(name));
                    csv.write_record(ours.into_iter().chain(theirs.map(String::as_str)))?;
                    self.csv = Some(csv);
                }
                if let Some(csv) = &mut self.csv {
                    let line = rejection.line.to_string();
                    let ours = [&line, &rejection.column, &rejection.reason];
                    let theirs = record.iter().enumerate();
                    let theirs =
                        theirs.filter(|(at, _)| !names.get(*at).is_some_and(|n| is_ours(n)));
                    let ours = ours.into_iter().map(|text| text.as_bytes());
                    csv.write_record(ours.chain(theirs.map(|(_, cell)| cell)))?;
                }
            }
            RejectedLine::Json(text) => {
                let mut object: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_slice(text).unwrap_or_else(|_| {
                        let text = String::from_utf8_lossy(text).into_owned();
                        [("rejected_text".to_string(), text.into())]
                            .into_iter()
                            .collect()
                    });
                object.insert("rejected_line".into(), rejection.line.into());
                object.insert("rejected_column".into(), rejection.column.clone().into());
                object.insert("rejected_reason".into(), rejection.reason.clone().into());
                if self.lines.is_none() {
                    self.lines = Some(BufWriter::new(File::create(file)?));
                }
                if let Some(lines) = &mut self.lines {
                    writeln!(lines, "{}", serde_json::Value::Object(object))?;
                }
            }
        }
        Ok(())
    }

    /// The file, if there is one.
    fn finish(self) -> std::io::Result<Option<PathBuf>> {
        let made = self.csv.is_some() || self.lines.is_some();
        if let Some(mut csv) = self.csv {
            csv.flush()?;
        }
        if let Some(mut lines) = self.lines {
            lines.flush()?;
        }
        Ok(self.file.filter(|_| made).map(Path::to_path_buf))
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("rejected_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::import_csv;
    use model::Utc;

    fn reject(store: &StoreConfig, text: &str, file: &Path) -> (ImportReport, Option<PathBuf>) {
        let mut rejects = Rejects::new(Some(file));
        let report = import_leads(
            store,
            text.as_bytes(),
            &ImportOptions::of("spring".parse().unwrap()),
            Utc::from_micros(0),
            &mut |_| (),
            &mut |rejection, line| rejects.take(rejection, line),
        )
        .unwrap();
        (report, rejects.finish().unwrap())
    }

    #[test]
    fn rejected_lines_are_in_a_file_that_can_be_corrected_and_imported_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreConfig::at(folder.path().join("tandem.db"));
        for (name, text) in [
            (
                "a.csv",
                "phone,city\n212,\"New, York\"\n+12125550100,Bonn\n213,Berlin,too many\n",
            ),
            (
                "b.json",
                "{\"phone\": \"212\", \"city\": \"Ulm\"}\n{broken\n{\"phone\": \"+12125550102\"}\n",
            ),
        ] {
            let file = folder.path().join(name);
            let (report, made) = reject(&store, text, &file);
            assert_eq!((report.accepted, report.rejected_total), (1, 2), "{name}");
            assert_eq!(made.as_deref(), Some(file.as_path()));
            let rejected = std::fs::read_to_string(&file).unwrap();
            let again = folder.path().join("again");
            let (report, _) = reject(&store, &rejected, &again);
            assert_eq!(
                (report.accepted, report.rejected_total),
                (0, 2),
                "{rejected}"
            );
            let number = if name == "a.csv" {
                "+12125550111"
            } else {
                "+12125550112"
            };
            let corrected = rejected.replace("212,\"New", &format!("{number},\"New"));
            let corrected = corrected.replace("\"212\"", &format!("\"{number}\""));
            let options = ImportOptions::of("spring".parse().unwrap());
            let now = Utc::from_micros(0);
            let report =
                import_csv(&store, corrected.as_bytes(), &options, now, &mut |_| ()).unwrap();
            assert_eq!(report.accepted, 1, "{corrected}");
        }
    }

    #[test]
    fn where_nothing_is_rejected_there_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreConfig::at(folder.path().join("tandem.db"));
        let file = folder.path().join("rejected.csv");
        let (report, made) = reject(&store, "phone\n+12125550100\n", &file);
        assert_eq!((report.rejected_total, made), (0, None));
        assert!(!file.exists());
    }

    #[test]
    fn who_answered_an_agent_is_never_recycled() {
        assert_eq!(outcome("no_answer"), Ok(AttemptOutcome::NoAnswer));
        assert!(outcome("answered_agent").is_err());
        assert!(outcome("gone").is_err());
    }
}
