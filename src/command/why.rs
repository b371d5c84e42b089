//! `tandem why`: why a campaign dialled what it dialled, from the event log alone.

use super::Output;
use anyhow::{Context, bail};
use jiff::Timestamp;
use model::event::{Mode, PacingLimit};
use model::{CampaignId, Event, Fact, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Decisions before the one in question that are kept at most.
const BEFORE_MAX: usize = 1_000;

/// Arguments of `tandem why`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem why --campaign spring                           the last decision, and the five before it
  tandem why --campaign spring --at 14:05:30             at that time (UTC) of the log's last day
  tandem why --campaign spring --at 2026-11-22T14:05:30Z --last 20
  tandem why --campaign spring --json data/events-000003.jsonl | jq .decision

Reads the event logs of the folder `data`, or the logs that are named. A decision is written down when it
dials or when what limits it changes, at most once a second.
Exit code 0: there is a decision; 1: there is none, or a log cannot be read.")]
pub struct WhyArgs {
    /// The campaign.
    #[arg(long)]
    campaign: CampaignId,
    /// The instant asked about: RFC 3339, or HH:MM[:SS] in UTC on the last day of the log. Now, if not said.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// So many decisions before it, too.
    #[arg(long, default_value_t = 5, value_name = "N")]
    last: usize,
    /// Event logs, oldest first; or the data folder that holds them.
    #[arg(value_name = "LOG", default_value = "data")]
    logs: Vec<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// One pacing decision, as the event log has it.
#[derive(Clone, Debug, Serialize)]
struct Decision {
    at: String,
    seq: u64,
    /// Calls it dialled.
    dialled: u32,
    in_flight: u32,
    agents_ready: u32,
    /// Agents at work.
    agents_busy: u32,
    /// Share of dials that a person answers, as learned.
    answer_share: f64,
    /// The chance that one more call would be abandoned.
    risk: f64,
    /// Agents whom calls that the dialer did not place take, per minute: customers who call, calls by hand.
    taken_per_minute: f64,
    /// Calls given up since the decision before, after they had rung as long as the law asks.
    withdrawn: u32,
    /// Agents expected to be ready when a call dialled now is answered.
    expected_free: f64,
    /// Answers expected of the calls in flight.
    expected_answers: f64,
    /// The largest chance of being abandoned that one more call could have.
    theta: f64,
    abandon_rate: Option<f64>,
    /// Abandonments that would still be legal.
    budget_left: f64,
    limited_by: PacingLimit,
    because: &'static str,
    /// Dials that a rule forbade since the decision before, by rule.
    blocked: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Answer {
    campaign: CampaignId,
    asked: Option<String>,
    mode: Option<Mode>,
    is_running: Option<bool>,
    decision: Decision,
    before: Vec<Decision>,
}

/// Runs it.
///
/// # Errors
/// A log cannot be read, `--at` is no time, or there is no decision.
pub fn run(args: WhyArgs) -> anyhow::Result<ExitCode> {
    let logs = logs(&args.logs)?;
    let until = args
        .at
        .as_deref()
        .map(|at| instant(at, &logs))
        .transpose()?;
    let Some(answer) = why(args.campaign, until, args.last.min(BEFORE_MAX), &logs)? else {
        let when = until.map_or(String::new(), |at| format!(" until {at}"));
        bail!(
            "the log has no pacing decision of campaign \"{}\"{when}; `tandem audit` lists the campaigns of a log",
            args.campaign
        );
    };
    let mut out = Output::new();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?,
        false => show(&mut out, &answer)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The event logs of a folder in the order of their boots, or the files themselves.
fn logs(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for path in named {
        if !path.is_dir() {
            logs.push(path.clone());
            continue;
        }
        let of_folder = std::fs::read_dir(path)
            .with_context(|| format!("cannot read the folder {}", path.display()))?;
        let mut found = Vec::new();
        for entry in of_folder {
            let entry =
                entry.with_context(|| format!("cannot read the folder {}", path.display()))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("events-") && name.ends_with(".jsonl") {
                found.push(entry.path());
            }
        }
        if found.is_empty() {
            bail!(
                "the folder {} has no event log (events-NUMBER.jsonl); name the data folder of `tandem serve`",
                path.display()
            );
        }
        found.sort();
        logs.append(&mut found);
    }
    Ok(logs)
}

/// Hands every line of a log to `each` that has `needle` in it: reading a day's JSON whole takes long.
fn lines_with(log: &Path, needles: &[&str], each: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let file = File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("cannot read {}", log.display()))?;
        if read == 0 {
            return Ok(());
        }
        if let Ok(line) = std::str::from_utf8(&bytes)
            && needles.iter().any(|needle| line.contains(needle))
        {
            each(line);
        }
    }
}

/// The instant `--at` names.
fn instant(text: &str, logs: &[PathBuf]) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let of_day = text.parse::<jiff::civil::Time>().with_context(|| {
        format!("--at {text}: neither a time such as 2026-11-22T14:05:30Z nor one of the day such as 14:05:30")
    })?;
    let mut last = None;
    for log in logs {
        lines_with(log, &["\"pacing_decided\""], &mut |line| {
            last = serde_json::from_str::<Event>(line)
                .ok()
                .map(|event| event.at.utc)
                .or(last);
        })?;
    }
    let Some(last) = last else {
        bail!("the log has no pacing decision at all");
    };
    let day = timestamp(last).to_zoned(jiff::tz::TimeZone::UTC).date();
    let at = day.to_datetime(of_day).to_zoned(jiff::tz::TimeZone::UTC)?;
    Ok(at.timestamp())
}

fn timestamp(at: Utc) -> Timestamp {
    Timestamp::from_microsecond(at.as_micros()).unwrap_or(Timestamp::MAX)
}

fn why(
    campaign: CampaignId,
    until: Option<Timestamp>,
    last: usize,
    logs: &[PathBuf],
) -> anyhow::Result<Option<Answer>> {
    let needles = [
        "\"pacing_decided\"",
        "\"campaign_changed\"",
        "\"attempt_blocked\"",
    ];
    let mut decisions: VecDeque<Decision> = VecDeque::new();
    let mut blocked: BTreeMap<String, u64> = BTreeMap::new();
    let (mut mode, mut is_running) = (None, None);
    for log in logs {
        lines_with(log, &needles, &mut |line| {
            // A line that a crash cut off says nothing.
            let Ok(event) = serde_json::from_str::<Event>(line) else {
                return;
            };
            if until.is_some_and(|until| timestamp(event.at.utc) > until) {
                return;
            }
            if let Some(decision) = decision(campaign, &event, &mut blocked) {
                if decisions.len() > last {
                    decisions.pop_front();
                }
                decisions.push_back(decision);
            }
            if let Fact::CampaignChanged {
                campaign: of,
                mode: to,
                running,
                ..
            } = event.fact
                && of == campaign
            {
                (mode, is_running) = (Some(to), Some(running));
            } else if let Fact::AttemptBlocked {
                campaign: of, rule, ..
            } = event.fact
                && of == campaign
            {
                *blocked.entry(rule).or_default() += 1;
            }
        })?;
    }
    let Some(decision) = decisions.pop_back() else {
        return Ok(None);
    };
    Ok(Some(Answer {
        campaign,
        asked: until.map(|at| at.to_string()),
        mode,
        is_running,
        decision,
        before: decisions.into(),
    }))
}

/// The decision an event tells of, if it is one of this campaign.
fn decision(
    campaign: CampaignId,
    event: &Event,
    blocked: &mut BTreeMap<String, u64>,
) -> Option<Decision> {
    let Fact::PacingDecided {
        campaign: of,
        dialled,
        in_flight,
        available,
        expected_answers,
        expected_free,
        theta,
        abandon_rate,
        budget_left,
        limited_by,
        withdrawn,
        busy,
        answer_share,
        risk,
        taken_per_minute,
    } = &event.fact
    else {
        return None;
    };
    (*of == campaign).then(|| Decision {
        at: event.at.utc.to_string(),
        seq: event.seq,
        dialled: *dialled,
        in_flight: *in_flight,
        agents_ready: *available,
        agents_busy: *busy,
        answer_share: *answer_share,
        risk: *risk,
        taken_per_minute: *taken_per_minute,
        withdrawn: *withdrawn,
        expected_free: *expected_free,
        expected_answers: *expected_answers,
        theta: *theta,
        abandon_rate: *abandon_rate,
        budget_left: *budget_left,
        limited_by: *limited_by,
        because: limited_by.because(),
        blocked: std::mem::take(blocked),
    })
}

fn show(out: &mut Output, answer: &Answer) -> std::io::Result<()> {
    let is = &answer.decision;
    let mode = answer
        .mode
        .map_or(String::new(), |mode| format!(", {mode:?}").to_lowercase());
    let paused = match answer.is_running {
        Some(false) => ", paused",
        Some(true) | None => "",
    };
    writeln!(
        out,
        "{}{mode}{paused}: the decision of {} (event {})",
        answer.campaign, is.at, is.seq
    )?;
    writeln!(out)?;
    let rate = is.abandon_rate.map_or("no answer yet".into(), |rate| {
        format!("{:.2} %", rate * 100.0)
    });
    writeln!(
        out,
        "  dialled           {}; {} given up after they had rung long",
        is.dialled, is.withdrawn
    )?;
    writeln!(
        out,
        "  agents            {} ready, {} at work; {:.1} expected free when the next call is answered",
        is.agents_ready, is.agents_busy, is.expected_free
    )?;
    if is.taken_per_minute > 0.0 {
        writeln!(
            out,
            "  others' calls     take {:.2} agents a minute: customers who call, calls by hand",
            is.taken_per_minute
        )?;
    }
    writeln!(
        out,
        "  calls in flight   {}, of which {:.1} will be answered; {:.1} % of dials are",
        is.in_flight,
        is.expected_answers,
        is.answer_share * 100.0
    )?;
    writeln!(
        out,
        "  abandoned         {rate}; {:.1} more would be legal",
        is.budget_left
    )?;
    writeln!(
        out,
        "  θ                 {:.3} is the largest chance of being abandoned that a call may have; one more had {:.3}",
        is.theta, is.risk
    )?;
    writeln!(out, "  why not more      {}", is.because)?;
    for (rule, dials) in &is.blocked {
        writeln!(
            out,
            "  blocked by {rule}: {dials} dials since the decision before"
        )?;
    }
    if answer.before.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nbefore it:")?;
    writeln!(
        out,
        "  at                           dialled  in flight  ready  exp. free  exp. answers      θ  budget  limited by"
    )?;
    for was in &answer.before {
        writeln!(
            out,
            "  {:<27}  {:>7}  {:>9}  {:>5}  {:>9.1}  {:>12.1}  {:>5.3}  {:>6.1}  {}",
            was.at,
            was.dialled,
            was.in_flight,
            was.agents_ready,
            was.expected_free,
            was.expected_answers,
            was.theta,
            was.budget_left,
            was.because
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{AttemptId, LeadId, Mono, Now};

    fn event(seq: u64, second: i64, fact: Fact) -> Event {
        let at = Now {
            mono: Mono::ZERO,
            // 2026-11-22T14:05:00Z
            utc: Utc::from_micros((1_795_356_300 + second) * 1_000_000),
        };
        Event { seq, at, fact }
    }

    fn decided(campaign: &str, dialled: u32) -> Fact {
        Fact::PacingDecided {
            campaign: campaign.parse().unwrap(),
            dialled,
            in_flight: 7,
            available: 2,
            expected_answers: 2.5,
            expected_free: 3.0,
            theta: 0.025,
            abandon_rate: Some(0.01),
            budget_left: 4.0,
            limited_by: PacingLimit::Risk,
            withdrawn: 0,
            busy: 3,
            answer_share: 0.2,
            risk: 0.03,
            taken_per_minute: 1.25,
        }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let blocked = Fact::AttemptBlocked {
            attempt: AttemptId(1),
            campaign: "spring".parse().unwrap(),
            lead: LeadId(1),
            rule: "US-5".into(),
            reason: None,
        };
        let boots = [
            vec![
                event(1, 0, decided("spring", 1)),
                event(2, 1, decided("other", 99)),
            ],
            vec![
                event(1, 30, blocked),
                event(2, 31, decided("spring", 2)),
                event(3, 40, decided("spring", 3)),
            ],
        ];
        for (n, events) in boots.iter().enumerate() {
            let mut bytes = Vec::new();
            for event in events {
                crate::bus::write_event(&mut bytes, event).unwrap();
            }
            bytes.extend_from_slice(b"{\"cut off: \"pacing_decided\"");
            std::fs::write(crate::bus::log_path(folder.path(), n as u32 + 1), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn the_decision_at_a_time_is_found_over_boots_with_what_was_blocked() {
        let folder = folder();
        let logs = logs(&[folder.path().into()]).unwrap();
        assert_eq!(logs.len(), 2);
        let spring = "spring".parse().unwrap();
        let at = instant("14:05:35", &logs).unwrap();
        let answer = why(spring, Some(at), 5, &logs).unwrap().unwrap();
        assert_eq!(answer.decision.dialled, 2);
        assert_eq!(answer.decision.blocked["US-5"], 1);
        assert_eq!(answer.decision.taken_per_minute, 1.25);
        assert_eq!(
            answer
                .before
                .iter()
                .map(|was| was.dialled)
                .collect::<Vec<_>>(),
            [1]
        );
        let last = why(spring, None, 0, &logs).unwrap().unwrap();
        assert_eq!((last.decision.dialled, last.before.len()), (3, 0));
        let early = "2026-11-22T14:04:00Z".parse().unwrap();
        assert!(why(spring, Some(early), 5, &logs).unwrap().is_none());
    }

    #[test]
    fn a_time_that_is_none_says_how_one_is_written() {
        let error = instant("noon", &[]).unwrap_err().to_string();
        assert!(error.contains("14:05:30"), "{error}");
    }
}
