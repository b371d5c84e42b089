//! `tandem audit`: recounts the books over an event log and says what they come to.

mod columns;
mod inputs;
mod place;
mod rates;
mod recount;

use super::Output;
use anyhow::Context;
use inputs::Inputs;
use model::ledger::{Ledger, Rule};
use model::{AttemptOutcome, CallId, CampaignId, Event, Fact, QueueId, QueueOutcome, Utc};
use recount::{Breach, Recount};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Findings that are shown; all are counted. The first ones explain the rest.
const FINDINGS_MAX: usize = 1_000;

/// Arguments of `tandem audit`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem audit data/events.jsonl
  tandem audit data/events.jsonl --json | jq .campaigns
  tandem audit data/events.jsonl --rules config/rules

Reads events alone: nothing of what the engine thought of itself. The law is recounted as well: hours, caps,
locks, objections, ringing, messages and abandon rates, by checks that the dialer does not share. The rule
sets and limits of each start are read from its inputs-BOOT.jsonl beside the log; those of --rules go before.
Exit code 0: every book balances and no rule was broken; 1: not, or the log cannot be read.")]
pub struct AuditArgs {
    /// The `events.jsonl` of a data folder.
    #[arg(value_name = "LOG")]
    events: PathBuf,
    /// The folder of your own rule sets.
    #[arg(long, value_name = "FOLDER")]
    rules: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// A rule that the stream broke, or a line that is no event.
#[derive(Debug, Serialize)]
struct Finding {
    line: usize,
    seq: Option<u64>,
    rule: String,
    kind: &'static str,
    about: String,
    /// Of a broken law: the campaign, the call, when, and the law's text.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    law: Option<OfLaw>,
}

#[derive(Debug, Serialize)]
struct OfLaw {
    campaign: Option<CampaignId>,
    call: Option<CallId>,
    at: String,
    text: String,
}

#[derive(Debug, Default, Serialize)]
struct CampaignReport {
    dials: u64,
    live_answers: u64,
    abandoned: u64,
    /// Abandoned ÷ live answers over the whole log, as a fraction.
    abandon_rate: Option<f64>,
    abandon_limit: Option<f64>,
    outcomes: BTreeMap<&'static str, u64>,
    blocked_by_rule: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Serialize)]
struct QueueReport {
    offered: u64,
    answered: u64,
    abandoned: u64,
    short_abandoned: u64,
    refused: u64,
    waiting: u64,
    /// Answered in time ÷ (answered + abandoned, the short ones aside), as a fraction.
    service_level: Option<f64>,
    #[serde(skip)]
    answered_in_time: u64,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(rename = "ok")]
    is_ok: bool,
    events: u64,
    boots: u64,
    first_utc: Option<String>,
    last_utc: Option<String>,
    residuals: BTreeMap<&'static str, i64>,
    live: BTreeMap<&'static str, u64>,
    violations_total: u64,
    violations: Vec<Finding>,
    /// Lines that a crash cut off; the event they began is of no use to anybody.
    cut_off_lines: Vec<usize>,
    /// Dials of which the log does not say what the law was asked about: an older engine's.
    unchecked_dials: u64,
    campaigns: BTreeMap<CampaignId, CampaignReport>,
    queues: BTreeMap<QueueId, QueueReport>,
}

/// Runs it.
pub fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let inputs = Inputs::beside(&args.events, args.rules.as_deref())?;
    let report = audit(&args.events, &inputs)?;
    let mut out = Output::new();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => show(&mut out, &args.events, &report)?,
    }
    out.flush()?;
    Ok(if report.is_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn audit(log: &Path, inputs: &Inputs) -> anyhow::Result<Report> {
    let cannot = || format!("cannot read {}", log.display());
    let mut reader = BufReader::new(File::open(log).with_context(cannot)?);
    let mut report = Report::default();
    let mut ledger = Ledger::new();
    let mut recount = Recount::new(dialer::rules::embedded().clone());
    let mut limits = BTreeMap::new();
    let mut unread: Option<Finding> = None;
    let mut last = None;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if reader.read_until(b'\n', &mut text).with_context(cannot)? == 0 {
            break;
        }
        let event: Event = match serde_json::from_slice(&text) {
            Ok(event) => event,
            Err(error) => {
                if let Some(earlier) = unread.take() {
                    report.find(earlier);
                }
                let about = error.to_string();
                unread = Some(Finding {
                    line,
                    seq: None,
                    rule: "not_an_event".into(),
                    kind: "",
                    about,
                    law: None,
                });
                continue;
            }
        };
        // Half a line before a new start is what the crash left, and no news.
        match unread.take() {
            Some(cut) if event.seq == 1 => report.cut_off_lines.push(cut.line),
            Some(cut) => report.find(cut),
            None => {}
        }
        if event.seq == 1 || report.events == 0 {
            let bound = inputs.of_start(&event)?;
            recount.bind(bound.sets, event.at.utc);
            limits.extend(bound.limits);
        }
        report.events += 1;
        report.boots += u64::from(event.seq == 1);
        report.first_utc.get_or_insert_with(|| shown(event.at.utc));
        last = Some(event.at.utc);
        let known = ledger.violations().len();
        let total = ledger.violations_total();
        ledger.apply(&event);
        report.violations_total += ledger.violations_total() - total;
        for violation in ledger.violations().iter().skip(known) {
            report.violations.push(Finding {
                line,
                seq: Some(violation.seq),
                rule: name(violation.rule),
                kind: violation.kind,
                about: violation.about.clone(),
                law: None,
            });
        }
        recount.apply(&event);
        for breach in recount.breaches.drain(..) {
            report.find(Finding::of(
                breach,
                line,
                Some(event.seq),
                event.fact.kind(),
            ));
        }
        report.count(&event.fact);
    }
    match unread {
        Some(cut) if text.is_empty() || !text.ends_with(b"\n") => {
            report.cut_off_lines.push(cut.line)
        }
        Some(cut) => report.find(cut),
        None => {}
    }
    recount.close();
    for breach in recount.breaches.drain(..) {
        report.find(Finding::of(breach, 0, None, ""));
    }
    report.unchecked_dials = recount.unchecked_dials;
    report.last_utc = last.map(shown);
    report.close(&ledger);
    for (campaign, limit) in limits {
        if let Some(report) = report.campaigns.get_mut(&campaign) {
            report.abandon_limit = Some(limit / 100.0);
        }
    }
    Ok(report)
}

impl Finding {
    fn of(breach: Breach, line: usize, seq: Option<u64>, kind: &'static str) -> Finding {
        Finding {
            line,
            seq,
            rule: breach.rule,
            kind,
            about: breach.about,
            law: Some(OfLaw {
                campaign: breach.campaign,
                call: breach.call,
                at: shown(breach.at),
                text: breach.text,
            }),
        }
    }
}

impl Report {
    fn find(&mut self, finding: Finding) {
        self.violations_total += 1;
        if self.violations.len() < FINDINGS_MAX {
            self.violations.push(finding);
        }
    }

    /// What the books do not keep.
    fn count(&mut self, fact: &Fact) {
        if let Fact::CallDialled { campaign, .. } = fact {
            self.campaigns.entry(*campaign).or_default().dials += 1;
        }
        if let Fact::AttemptAnswered { campaign, .. } = fact {
            self.campaigns.entry(*campaign).or_default().live_answers += 1;
        }
        if let Fact::AttemptBlocked { campaign, rule, .. } = fact {
            let blocked = &mut self.campaigns.entry(*campaign).or_default().blocked_by_rule;
            *blocked.entry(rule.clone()).or_default() += 1;
        }
        if let Fact::QueueLeft {
            queue,
            outcome,
            short,
            within_target,
            ..
        } = fact
        {
            let report = self.queues.entry(*queue).or_default();
            report.short_abandoned += u64::from(*short && *outcome == QueueOutcome::Abandoned);
            report.answered_in_time +=
                u64::from(*within_target && *outcome == QueueOutcome::Answered);
        }
    }

    /// Takes what the books say at the end.
    fn close(&mut self, ledger: &Ledger) {
        self.residuals = ledger.residuals().into_iter().collect();
        self.live = ledger.live().into_iter().collect();
        for (campaign, book) in ledger.campaigns() {
            let report = self.campaigns.entry(*campaign).or_default();
            let outcomes = AttemptOutcome::ALL.iter().zip(book.outcomes);
            report.outcomes = outcomes
                .filter(|(_, n)| *n > 0)
                .map(|(outcome, n)| (outcome.name(), n))
                .collect();
            report.abandoned = report
                .outcomes
                .get(AttemptOutcome::Abandoned.name())
                .copied()
                .unwrap_or(0);
        }
        for report in self.campaigns.values_mut() {
            report.abandon_rate = ratio(report.abandoned, report.live_answers);
        }
        for (queue, book) in ledger.queues() {
            let of = |outcome: QueueOutcome| {
                let each = QueueOutcome::ALL.iter().zip(book.outcomes);
                each.filter(|(one, _)| **one == outcome)
                    .map(|(_, n)| n)
                    .sum::<u64>()
            };
            let report = self.queues.entry(*queue).or_default();
            report.offered = book.offered;
            report.answered = of(QueueOutcome::Answered);
            report.abandoned = of(QueueOutcome::Abandoned);
            report.refused = book.refused;
            report.waiting = book.waiting_now;
            let lost = report.abandoned.saturating_sub(report.short_abandoned);
            report.service_level = ratio(report.answered_in_time, report.answered + lost);
        }
        self.is_ok =
            self.violations_total == 0 && self.residuals.values().all(|residual| *residual == 0);
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn name(rule: Rule) -> String {
    let value = serde_json::to_value(rule).expect("a rule is a name");
    value.as_str().unwrap_or_default().to_string()
}

fn shown(utc: Utc) -> String {
    jiff::Timestamp::from_microsecond(utc.as_micros())
        .map_or_else(|_| "?".into(), |at| at.to_string())
}

fn show(out: &mut Output, log: &Path, report: &Report) -> std::io::Result<()> {
    let span = match (&report.first_utc, &report.last_utc) {
        (Some(first), Some(last)) => format!(" from {first} to {last}"),
        _ => String::new(),
    };
    writeln!(
        out,
        "{}: {} events of {} starts{span}",
        log.display(),
        report.events,
        report.boots
    )?;
    for line in &report.cut_off_lines {
        writeln!(out, "line {line} was cut off by a crash")?;
    }
    for Finding {
        line,
        seq,
        rule,
        kind,
        about,
        law,
    } in &report.violations
    {
        let seq = seq.map_or(String::new(), |seq| format!(" (seq {seq}, {kind})"));
        write!(out, "{}:{line}: {rule}{seq}: ", log.display())?;
        if let Some(law) = law {
            let campaign = law
                .campaign
                .map_or(String::new(), |id| format!("campaign {id}, "));
            let call = law.call.map_or(String::new(), |id| format!("{id}, "));
            write!(out, "{campaign}{call}{}: ", law.at)?;
        }
        writeln!(out, "{about}")?;
        if let Some(law) = law {
            writeln!(out, "    {}", law.text)?;
        }
    }
    if report.unchecked_dials > 0 {
        writeln!(
            out,
            "{} dials of which the log does not say what the law was asked about",
            report.unchecked_dials
        )?;
    }
    for (campaign, of) in &report.campaigns {
        let rate = percent(of.abandon_rate);
        let limit = of.abandon_limit.map_or("limit unknown".into(), |limit| {
            format!("limit {}", percent(Some(limit)))
        });
        writeln!(
            out,
            "campaign {campaign}: {} dials, {} live answers, {} abandoned ({rate}, {limit})",
            of.dials, of.live_answers, of.abandoned
        )?;
        for (outcome, n) in &of.outcomes {
            writeln!(out, "  {outcome}: {n}")?;
        }
        for (rule, n) in &of.blocked_by_rule {
            writeln!(out, "  not dialled by {rule}: {n}")?;
        }
    }
    for (queue, of) in &report.queues {
        writeln!(
            out,
            "queue {queue}: {} offered, {} answered, {} abandoned ({} of them short), {} refused, service level {}",
            of.offered,
            of.answered,
            of.abandoned,
            of.short_abandoned,
            of.refused,
            percent(of.service_level)
        )?;
    }
    let live: Vec<String> = report
        .live
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(what, n)| format!("{n} {what}"))
        .collect();
    if !live.is_empty() {
        writeln!(out, "live at the end: {}", live.join(", "))?;
    }
    let residuals: Vec<String> = report
        .residuals
        .iter()
        .map(|(book, residual)| format!("{book} {residual}"))
        .collect();
    writeln!(out, "residuals: {}", residuals.join(", "))?;
    match report.is_ok {
        true => writeln!(out, "ok: the books balance and no rule was broken"),
        false => writeln!(out, "not ok: {} rules broken", report.violations_total),
    }
}

fn percent(fraction: Option<f64>) -> String {
    fraction.map_or("no data".into(), |fraction| {
        format!("{:.2} %", fraction * 100.0)
    })
}
