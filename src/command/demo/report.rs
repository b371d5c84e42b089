//! The final report: counted over the event log that the engine left, beside what the carrier saw.

use super::crm::Seen;
use crate::wiring::Finished;
use anyhow::Context;
use model::event::Role;
use model::screen_pop::{Direction, PopPhase};
use model::{AgentState, CallId, Event, Fact, QueueOutcome};
use serde::Serialize;
use sip_testbed::LabReport;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::time::Duration;

/// Rates are fractions; null where there is nothing to divide.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    calls_inbound: u64,
    calls_dialled: u64,
    answered_live: u64,
    connected: u64,
    abandoned: u64,
    abandon_rate: Option<f64>,
    service_level: Option<f64>,
    agent_utilisation: Option<f64>,
    screen_pops: u64,
    screen_pops_after_invite: u64,
    screen_pop_ms_p99: Option<f64>,
    recordings: u64,
    ledger_residual: i64,
    ledger_violations: u64,
    rtp_loss: Option<f64>,
    seconds: f64,
    /// What the carrier saw, to be held against the above.
    carrier: Carrier,
    crm_webhooks: u64,
    crm_lookups: u64,
}

#[derive(Debug, Default, Serialize)]
struct Carrier {
    invites_seen: u64,
    calls_begun: u64,
    calls_begun_failed: u64,
    heard_agent_or_customer: u64,
    live: u64,
}

impl Report {
    /// Counts.
    pub fn of(
        finished: &Finished,
        street: &LabReport,
        crm: &Seen,
        elapsed: Duration,
    ) -> anyhow::Result<Report> {
        let log = finished.folder.join("events.jsonl");
        let file =
            std::fs::File::open(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let mut count = Counting::default();
        for (n, line) in BufReader::new(file).lines().enumerate() {
            let event: Event = serde_json::from_str(&line?)
                .with_context(|| format!("{}:{}: not an event", log.display(), n + 1))?;
            count.apply(&event);
        }
        let mut report = count.report;
        report.abandon_rate = ratio(report.abandoned as f64, report.answered_live as f64);
        report.service_level = ratio(
            count.in_target as f64,
            (count.answered + count.abandoned_late) as f64,
        );
        report.agent_utilisation = ratio(count.handling_us as f64, count.signed_in_us as f64);
        count.pop_us.sort_unstable();
        let last = count.pop_us.len().saturating_sub(1);
        report.screen_pop_ms_p99 = count
            .pop_us
            .get(last * 99 / 100)
            .map(|us| *us as f64 / 1_000.0);
        report.ledger_residual = finished
            .ledger
            .residuals()
            .iter()
            .map(|(_, residual)| residual.abs())
            .sum();
        report.ledger_violations = finished.ledger.violations_total();
        for violation in finished.ledger.violations() {
            tracing::error!(?violation, "the books found");
        }
        let lost = street.rtp_lost + finished.media.lost;
        report.rtp_loss = ratio(
            lost as f64,
            (lost + street.rtp_received + finished.media.received) as f64,
        );
        report.seconds = elapsed.as_secs_f64();
        report.carrier = Carrier {
            invites_seen: street.invites_by_station.get(&0).copied().unwrap_or(0),
            calls_begun: street.originated,
            calls_begun_failed: street.originated_failed,
            heard_agent_or_customer: street.heard,
            live: street.live,
        };
        report.crm_webhooks = crm.webhooks;
        report.crm_lookups = crm.lookups;
        Ok(report)
    }

    /// Whether every book closed.
    pub fn is_balanced(&self) -> bool {
        self.ledger_residual == 0 && self.ledger_violations == 0
    }
}

#[derive(Default)]
struct Counting {
    report: Report,
    answered: u64,
    abandoned_late: u64,
    in_target: u64,
    handling_us: u64,
    signed_in_us: u64,
    pop_us: Vec<u64>,
    /// Calls whose offered agent's screen has the pop.
    popped: BTreeSet<CallId>,
}

impl Counting {
    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::CallArrived { .. } => self.report.calls_inbound += 1,
            Fact::CallDialled { .. } => self.report.calls_dialled += 1,
            Fact::AttemptEnded { outcome, .. } => {
                self.report.answered_live += u64::from(outcome.is_live_answer());
                self.report.abandoned += u64::from(*outcome == model::AttemptOutcome::Abandoned);
            }
            Fact::CallBridged { .. } => self.report.connected += 1,
            Fact::QueueLeft {
                direction: Direction::Inbound,
                outcome,
                within_target,
                ..
            } => match outcome {
                QueueOutcome::Answered => {
                    self.answered += 1;
                    self.in_target += u64::from(*within_target);
                }
                QueueOutcome::Abandoned => self.abandoned_late += u64::from(!*within_target),
                _ => {}
            },
            Fact::AgentStateChanged {
                was, was_for_us, ..
            } => {
                if *was != AgentState::SignedOut {
                    self.signed_in_us += was_for_us;
                }
                if was.is_handling() {
                    self.handling_us += was_for_us;
                }
            }
            Fact::ScreenPopped {
                call,
                phase: PopPhase::Offer,
                on_socket: true,
                took_us,
                ..
            } => {
                self.report.screen_pops += 1;
                self.pop_us.push(*took_us);
                self.popped.insert(*call);
            }
            Fact::LegStarted {
                call,
                role: Role::Agent,
                ..
            } => {
                self.report.screen_pops_after_invite += u64::from(!self.popped.remove(call));
            }
            Fact::RecordingEnded { .. } => self.report.recordings += 1,
            _ => {}
        }
    }
}

fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    (denominator > 0.0).then(|| numerator / denominator)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: Option<f64>| {
            share.map_or("–".to_string(), |share| format!("{:.1} %", 100.0 * share))
        };
        writeln!(f, "calls in           {}", self.calls_inbound)?;
        writeln!(
            f,
            "calls dialled      {} (the carrier saw {})",
            self.calls_dialled, self.carrier.invites_seen
        )?;
        writeln!(f, "live answers       {}", self.answered_live)?;
        writeln!(f, "connected          {}", self.connected)?;
        writeln!(
            f,
            "abandoned          {} ({}, limit 3 %)",
            self.abandoned,
            percent(self.abandon_rate)
        )?;
        writeln!(f, "service level      {}", percent(self.service_level))?;
        writeln!(f, "agents busy        {}", percent(self.agent_utilisation))?;
        let p99 = self
            .screen_pop_ms_p99
            .map_or("–".to_string(), |ms| format!("{ms:.2} ms"));
        writeln!(
            f,
            "screen pops        {} (99 % within {p99}), {} after the INVITE",
            self.screen_pops, self.screen_pops_after_invite
        )?;
        writeln!(f, "recordings         {}", self.recordings)?;
        writeln!(f, "RTP lost           {}", percent(self.rtp_loss))?;
        write!(
            f,
            "ledger             residual {}, violations {}",
            self.ledger_residual, self.ledger_violations
        )
    }
}
