//! What an audit found: of all logs together and of each start, as JSON and as text.

use super::Output;
use super::recount::Breach;
use model::ledger::{Ledger, Rule, Violation};
use model::{AttemptOutcome, CallId, CampaignId, Event, Fact, QueueId, QueueOutcome, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Findings that are shown; all are counted. The first ones explain the rest.
const FINDINGS_MAX: usize = 1_000;

/// A line of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) log: &'a Path,
    /// From 1.
    pub(super) line: usize,
}

/// A rule that the stream broke, or a line that is no event.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// None: it is of no single line, as a rate.
    log: Option<String>,
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

/// A line that the end of a process cut off; the event it began is of no use to anybody.
#[derive(Debug, Serialize)]
struct CutOffLine {
    log: String,
    line: usize,
}

/// One start of the engine.
#[derive(Debug, Default, Serialize)]
struct StartReport {
    /// None: its first event is not in the logs.
    boot: Option<u32>,
    log: String,
    events: u64,
    first_utc: String,
    last_utc: String,
    campaigns: BTreeMap<CampaignId, StartCampaign>,
    /// Rules broken in its own lines; a rate over a period is of no single start.
    violations: u64,
    #[serde(skip)]
    first: Utc,
    #[serde(skip)]
    last: Utc,
}

#[derive(Debug, Default, Serialize)]
struct StartCampaign {
    dials: u64,
    live_answers: u64,
    abandoned: u64,
    /// Had answered and had no agent when the process ended: abandoned as well.
    cut_off: u64,
}

#[derive(Debug, Default, Serialize)]
struct CampaignReport {
    dials: u64,
    live_answers: u64,
    abandoned: u64,
    cut_off: u64,
    /// Abandoned ÷ live answers over all logs, as a fraction. Those cut off are shown apart; the rates of
    /// the law have them.
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

/// What all logs come to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    #[serde(rename = "ok")]
    pub(super) is_ok: bool,
    events: u64,
    boots: u64,
    first_utc: Option<String>,
    last_utc: Option<String>,
    starts: Vec<StartReport>,
    /// Starts between the first and the last that left no events here, from and to: what they dialled,
    /// if anything, is not counted.
    missing_starts: Vec<(u32, u32)>,
    residuals: BTreeMap<&'static str, i64>,
    live: BTreeMap<&'static str, u64>,
    violations_total: u64,
    violations: Vec<Finding>,
    cut_off_lines: Vec<CutOffLine>,
    /// Dials of which the log does not say what the law was asked about: an older engine's.
    pub(super) unchecked_dials: u64,
    campaigns: BTreeMap<CampaignId, CampaignReport>,
    queues: BTreeMap<QueueId, QueueReport>,
    #[serde(skip)]
    limits: BTreeMap<CampaignId, f64>,
}

impl Finding {
    pub(super) fn of(breach: Breach, place: Option<Place<'_>>, event: Option<&Event>) -> Finding {
        Finding {
            log: place.map(|place| place.log.display().to_string()),
            line: place.map_or(0, |place| place.line),
            seq: event.map(|event| event.seq),
            rule: breach.rule,
            kind: event.map_or("", |event| event.fact.kind()),
            about: breach.about,
            law: Some(OfLaw {
                campaign: breach.campaign,
                call: breach.call,
                at: shown(breach.at),
                text: breach.text,
            }),
        }
    }

    pub(super) fn no_event(place: Place<'_>, error: &serde_json::Error) -> Finding {
        Finding {
            log: Some(place.log.display().to_string()),
            line: place.line,
            seq: None,
            rule: "not_an_event".into(),
            kind: "",
            about: error.to_string(),
            law: None,
        }
    }
}

impl Report {
    pub(super) fn find(&mut self, finding: Finding) {
        self.found(1, finding.log.is_some());
        if self.violations.len() < FINDINGS_MAX {
            self.violations.push(finding);
        }
    }

    fn found(&mut self, more: u64, is_of_a_line: bool) {
        self.violations_total += more;
        if let Some(start) = self.starts.last_mut().filter(|_| is_of_a_line) {
            start.violations += more;
        }
    }

    /// Rules of the stream that a line broke: so many, of which the books show these.
    pub(super) fn find_broken<'a>(
        &mut self,
        place: Place<'_>,
        found: u64,
        shown: impl Iterator<Item = &'a Violation>,
    ) {
        self.found(found, true);
        self.violations.extend(shown.map(|violation| Finding {
            log: Some(place.log.display().to_string()),
            line: place.line,
            seq: Some(violation.seq),
            rule: name(violation.rule),
            kind: violation.kind,
            about: violation.about.clone(),
            law: None,
        }));
    }

    /// The line is what a crash left of its last event.
    pub(super) fn cut_off(&mut self, cut: Finding) {
        self.cut_off_lines.push(CutOffLine {
            log: cut.log.unwrap_or_default(),
            line: cut.line,
        });
    }

    /// Persons without an agent whom the end of the start so far cut off.
    pub(super) fn cut_off_persons(&mut self, persons: BTreeMap<CampaignId, u64>) {
        for (campaign, persons) in persons {
            self.campaigns.entry(campaign).or_default().cut_off += persons;
            if let Some(start) = self.starts.last_mut() {
                start.campaigns.entry(campaign).or_default().cut_off += persons;
            }
        }
    }

    /// A start begins with this event, under these limits.
    pub(super) fn begin(&mut self, log: &Path, first: &Event, limits: BTreeMap<CampaignId, f64>) {
        let boot = match first.fact {
            Fact::EngineStarted { boot, .. } => Some(boot),
            _ => None,
        };
        let last = self.starts.iter().rev().find_map(|start| start.boot);
        if let Some((last, boot)) = last.zip(boot)
            && boot > last.saturating_add(1)
        {
            self.missing_starts.push((last + 1, boot - 1));
        }
        self.starts.push(StartReport {
            boot,
            log: log.display().to_string(),
            first: first.at.utc,
            ..StartReport::default()
        });
        self.boots += u64::from(first.seq == 1);
        self.limits.extend(limits);
    }

    /// What the books do not keep.
    pub(super) fn count(&mut self, event: &Event) {
        self.events += 1;
        let start = self.starts.last_mut().expect("a start has begun");
        start.events += 1;
        start.last = event.at.utc;
        if let Fact::CallDialled { campaign, .. } = &event.fact {
            self.campaigns.entry(*campaign).or_default().dials += 1;
            start.campaigns.entry(*campaign).or_default().dials += 1;
        }
        if let Fact::AttemptAnswered { campaign, .. } = &event.fact {
            self.campaigns.entry(*campaign).or_default().live_answers += 1;
            start.campaigns.entry(*campaign).or_default().live_answers += 1;
        }
        if let Fact::AttemptEnded {
            campaign, outcome, ..
        } = &event.fact
            && *outcome == AttemptOutcome::Abandoned
        {
            start.campaigns.entry(*campaign).or_default().abandoned += 1;
        }
        if let Fact::AttemptBlocked { campaign, rule, .. } = &event.fact {
            let blocked = &mut self.campaigns.entry(*campaign).or_default().blocked_by_rule;
            *blocked.entry(rule.clone()).or_default() += 1;
        }
        if let Fact::QueueLeft {
            queue,
            outcome,
            short,
            within_target,
            ..
        } = &event.fact
        {
            let report = self.queues.entry(*queue).or_default();
            report.short_abandoned += u64::from(*short && *outcome == QueueOutcome::Abandoned);
            report.answered_in_time +=
                u64::from(*within_target && *outcome == QueueOutcome::Answered);
        }
    }

    /// Takes what the books say at the end.
    pub(super) fn close(&mut self, ledger: &Ledger) {
        self.first_utc = self.starts.first().map(|start| shown(start.first));
        self.last_utc = self.starts.iter().map(|start| start.last).max().map(shown);
        for start in &mut self.starts {
            start.first_utc = shown(start.first);
            start.last_utc = shown(start.last);
        }
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
        for (campaign, limit) in &self.limits {
            if let Some(report) = self.campaigns.get_mut(campaign) {
                report.abandon_limit = Some(limit / 100.0);
            }
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

pub(super) fn show(out: &mut Output, logs: &[PathBuf], report: &Report) -> std::io::Result<()> {
    let span = match (&report.first_utc, &report.last_utc) {
        (Some(first), Some(last)) => format!(" from {first} to {last}"),
        _ => String::new(),
    };
    let of = match logs {
        [log] => log.display().to_string(),
        _ => format!("{} logs", logs.len()),
    };
    writeln!(
        out,
        "{of}: {} events of {} starts{span}",
        report.events, report.boots
    )?;
    if report.starts.len() > 1 {
        report
            .starts
            .iter()
            .try_for_each(|start| show_start(out, start))?;
    }
    for (from, to) in &report.missing_starts {
        let which = match from == to {
            true => format!("start {from}"),
            false => format!("starts {from} to {to}"),
        };
        writeln!(
            out,
            "{which} left no events here: what was dialled then, if anything, is not counted"
        )?;
    }
    for CutOffLine { log, line } in &report.cut_off_lines {
        writeln!(out, "{log}:{line} was cut off by a crash")?;
    }
    for Finding {
        log,
        line,
        seq,
        rule,
        kind,
        about,
        law,
    } in &report.violations
    {
        let seq = seq.map_or(String::new(), |seq| format!(" (seq {seq}, {kind})"));
        match log {
            Some(log) => write!(out, "{log}:{line}: {rule}{seq}: ")?,
            None => write!(out, "{of}: {rule}: ")?,
        }
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
            "campaign {campaign}: {} dials, {} live answers, {} abandoned ({rate}, {limit}){}",
            of.dials,
            of.live_answers,
            of.abandoned,
            cut_off(of.cut_off)
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

fn show_start(out: &mut Output, start: &StartReport) -> std::io::Result<()> {
    let boot = start.boot.map_or("?".into(), |boot| boot.to_string());
    writeln!(
        out,
        "start {boot} ({}): {} events from {} to {}, {} rules broken",
        start.log, start.events, start.first_utc, start.last_utc, start.violations
    )?;
    for (campaign, of) in &start.campaigns {
        writeln!(
            out,
            "  campaign {campaign}: {} dials, {} live answers, {} abandoned{}",
            of.dials,
            of.live_answers,
            of.abandoned,
            cut_off(of.cut_off)
        )?;
    }
    Ok(())
}

/// Only where there are such.
fn cut_off(persons: u64) -> String {
    match persons {
        0 => String::new(),
        persons => {
            format!(", {persons} more cut off by the end of a start before an agent was there")
        }
    }
}

fn percent(fraction: Option<f64>) -> String {
    fraction.map_or("no data".into(), |fraction| {
        format!("{:.2} %", fraction * 100.0)
    })
}
