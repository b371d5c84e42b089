//! `tandem audit`: recounts the books over event logs, start by start, and says what they come to.

mod columns;
mod inputs;
mod logs;
mod place;
mod rates;
mod recount;
mod report;
#[cfg(test)]
mod restart_tests;

use super::Output;
use anyhow::Context;
use inputs::Inputs;
use model::Event;
use model::ledger::Ledger;
use recount::Recount;
use report::{Finding, Place, Report};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `tandem audit`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem audit data                                 all starts of a data folder, as one story
  tandem audit data/events.jsonl                    the last start alone
  tandem audit old/events-000003.jsonl data --json | jq .campaigns
  tandem audit data --rules config/rules

Reads events alone: nothing of what the engine thought of itself. The law is recounted as well: hours, caps,
locks, objections, ringing, messages and abandon rates, by checks that the dialer does not share. Over several
logs, whatever their order on the command line, each start follows the one before it: a cap, a lock or a
30-day rate holds across restarts. What a kill cut off is taken as it stands: who had answered and had no
agent was abandoned, and a line that is missing breaks no rule. The rule sets and limits of each start are
read from its inputs-BOOT.jsonl beside the log; those of --rules go before.
Exit code 0: every book balances and no rule was broken; 1: not, or a log cannot be read.")]
pub struct AuditArgs {
    /// Event logs (`events-BOOT.jsonl`), or the data folder that has them.
    #[arg(value_name = "LOG_OR_FOLDER", required = true)]
    logs: Vec<PathBuf>,
    /// The folder of your own rule sets.
    #[arg(long, value_name = "FOLDER")]
    rules: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let inputs = Inputs::new(args.rules.as_deref())?;
    let logs = logs::find(&args.logs)?;
    let mut audit = Audit::new(&inputs);
    for log in &logs {
        audit.read(log)?;
    }
    let report = audit.close();
    let mut out = Output::new();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => report::show(&mut out, &logs, &report)?,
    }
    out.flush()?;
    Ok(if report.is_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The books over all logs.
struct Audit<'a> {
    inputs: &'a Inputs,
    ledger: Ledger,
    recount: Recount,
    report: Report,
}

impl Audit<'_> {
    fn new(inputs: &Inputs) -> Audit<'_> {
        Audit {
            inputs,
            ledger: Ledger::new(),
            recount: Recount::new(dialer::rules::embedded().clone()),
            report: Report::default(),
        }
    }

    /// Takes the next log, which may have several starts.
    fn read(&mut self, log: &Path) -> anyhow::Result<()> {
        let cannot = || format!("cannot read {}", log.display());
        let mut reader = BufReader::new(File::open(log).with_context(cannot)?);
        let mut unread: Option<Finding> = None;
        let mut is_first = true;
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            if reader.read_until(b'\n', &mut text).with_context(cannot)? == 0 {
                break;
            }
            let place = Place { log, line };
            let event: Event = match serde_json::from_slice(&text) {
                Ok(event) => event,
                Err(error) => {
                    if let Some(earlier) = unread.replace(Finding::no_event(place, &error)) {
                        self.report.find(earlier);
                    }
                    continue;
                }
            };
            // Half a line before a new start is what the crash left, and no news.
            match unread.take() {
                Some(cut) if event.seq == 1 => self.report.cut_off(cut),
                Some(cut) => self.report.find(cut),
                None => {}
            }
            if event.seq == 1 || is_first {
                let bound = self.inputs.of_start(log, &event)?;
                self.recount.bind(bound.sets);
                self.report
                    .cut_off_persons(std::mem::take(&mut self.recount.cut_off));
                self.take_breaches(place, None);
                self.report.begin(log, &event, bound.limits);
            }
            is_first = false;
            self.take(place, &event);
        }
        if let Some(cut) = unread {
            self.report.cut_off(cut);
        }
        Ok(())
    }

    fn take(&mut self, place: Place<'_>, event: &Event) {
        let known = self.ledger.violations().len();
        let total = self.ledger.violations_total();
        self.ledger.apply(event);
        let found = self.ledger.violations_total() - total;
        let shown = self.ledger.violations().iter().skip(known);
        self.report.find_broken(place, found, shown);
        self.recount.apply(event);
        self.take_breaches(place, Some(event));
        self.report.count(event);
    }

    fn take_breaches(&mut self, place: Place<'_>, event: Option<&Event>) {
        for breach in self.recount.breaches.drain(..) {
            self.report.find(Finding::of(breach, Some(place), event));
        }
    }

    fn close(mut self) -> Report {
        self.recount.close();
        for breach in self.recount.breaches.drain(..) {
            self.report.find(Finding::of(breach, None, None));
        }
        self.report.unchecked_dials = self.recount.unchecked_dials;
        self.report.close(&self.ledger);
        self.report
    }
}
