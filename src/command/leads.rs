//! `tandem leads`: brings lists of leads in.

use super::Output;
use crate::clock::Clock;
use crate::config::{self, Source};
use crate::store::{ImportOptions, ImportReport, Progress, Rejection, StoreConfig, import_leads};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::ListId;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Rejections that are shown; from the next one on all of them are in a file beside the list, for
/// nobody reads ten thousand lines on a terminal.
const SHOWN_MAX: usize = 10_000;

/// Arguments of `tandem leads`.
#[derive(clap::Args)]
pub struct LeadsArgs {
    #[command(subcommand)]
    command: LeadsCommand,
}

#[derive(clap::Subcommand)]
enum LeadsCommand {
    /// Import a list from a CSV file, beside a running engine or without one.
    Import(ImportArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem leads import config/leads/spring.csv --list spring --dry-run
  tandem leads import customers.csv --list spring --data /var/lib/tandem
  tandem leads import customers.csv --list spring --map Telefon=phone --map Ort=city --country 49

The first line of the file names the columns. phone, phone2 to phone9, name, time_zone, customer_key,
priority and not_before are Tandem's own; any other becomes a field of the lead and is in its screen pop.
A number or customer key that the list already has is a duplicate and is left as it is.
Exit code 0: the file was read, whatever was rejected; 1: it could not be.")]
struct ImportArgs {
    /// The CSV file.
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
    /// The data folder of the engine.
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// The configuration that names the data folder. Without both, that of the embedded one: `data`.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
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
    }
}

fn import(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let folder = match (&args.data, &args.config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(path)) => config::load(&Source::of_path(path))?.0.tandem.data.folder,
        (None, None) => config::load(&Source::Embedded)?.0.tandem.data.folder,
    };
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
        dedupe: crate::store::Dedupe::List,
    };
    let bar = bar(size);
    let mut rejects = Rejects::new(&args.file);
    let report = import_leads(
        &store,
        bar.wrap_read(file),
        &options,
        Clock::new().now().utc,
        &mut |Progress { lines, accepted }| {
            bar.set_message(format!("{lines} lines, {accepted} accepted"))
        },
        &mut |rejection, _| rejects.take(rejection),
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
    for Rejection {
        line,
        column,
        reason,
    } in &report.rejected
    {
        let column = if column.is_empty() {
            String::new()
        } else {
            format!("{column}: ")
        };
        writeln!(out, "{}:{line}: {column}{reason}", file.display())?;
    }
    if let Some(rejects) = rejects {
        let shown = report.rejected.len();
        writeln!(
            out,
            "… the first {shown} of {} rejected lines; all are in {}",
            report.rejected_total,
            rejects.display()
        )?;
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

/// The rejected lines: a few in the report, all in a file once they are many.
struct Rejects {
    file: PathBuf,
    first: Vec<Rejection>,
    out: Option<csv::Writer<File>>,
}

impl Rejects {
    fn new(list: &Path) -> Rejects {
        Rejects {
            file: list.with_extension("rejects.csv"),
            first: Vec::new(),
            out: None,
        }
    }

    fn take(&mut self, rejection: &Rejection) -> std::io::Result<()> {
        if self.out.is_none() && self.first.len() < SHOWN_MAX {
            self.first.push(rejection.clone());
            return Ok(());
        }
        if self.out.is_none() {
            let out = self.out.insert(csv::Writer::from_path(&self.file)?);
            for earlier in self.first.drain(..) {
                out.serialize(earlier)?;
            }
        }
        match &mut self.out {
            Some(out) => Ok(out.serialize(rejection)?),
            None => Ok(()),
        }
    }

    /// The file, if there is one.
    fn finish(self) -> std::io::Result<Option<PathBuf>> {
        let Some(mut out) = self.out else {
            return Ok(None);
        };
        out.flush()?;
        Ok(Some(self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rejections_than_are_shown_are_all_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut rejects = Rejects::new(&folder.path().join("list.csv"));
        for line in 0..SHOWN_MAX as u64 + 5 {
            rejects
                .take(&Rejection {
                    line,
                    column: "phone".into(),
                    reason: "no, \"never\"".into(),
                })
                .unwrap();
        }
        let file = rejects.finish().unwrap().expect("there are many");
        assert_eq!(file, folder.path().join("list.rejects.csv"));
        let rows: Vec<csv::StringRecord> = csv::Reader::from_path(file)
            .unwrap()
            .records()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), SHOWN_MAX + 5);
        let last: Vec<&str> = rows[SHOWN_MAX + 4].iter().collect();
        assert_eq!(
            last,
            [
                (SHOWN_MAX + 4).to_string().as_str(),
                "phone",
                "no, \"never\""
            ]
        );
    }

    #[test]
    fn few_rejections_make_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut rejects = Rejects::new(&folder.path().join("list.csv"));
        rejects
            .take(&Rejection {
                line: 2,
                column: String::new(),
                reason: "x".into(),
            })
            .unwrap();
        assert_eq!(rejects.finish().unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
