//! Writing what happened: calls, dispositions, agents, do-not-call, webhook messages.

use super::{LeadState, OutboxMessage, bits};
use model::cdr::Cdr;
use model::screen_pop::Direction;
use model::{AgentId, CallId, CampaignId, DispositionId, LeadId, PhoneNumber, Utc};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// What becomes of a record that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    /// It is replaced.
    Always,
    /// It is replaced unless it says more: an end that nobody saw never replaces one that was seen.
    Fuller,
    /// It stays.
    Never,
}

/// Writes a call's record.
pub(super) async fn save_cdr(
    connection: &mut SqliteConnection,
    cdr: &Cdr,
    replace: Replace,
) -> Result<(), sqlx::Error> {
    const COLUMNS: &str = "INTO calls (call, started_at, ended_at, direction, campaign, attempt, outcome, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let sql = match replace {
        Replace::Always => format!("INSERT OR REPLACE {COLUMNS}"),
        Replace::Never => format!("INSERT OR IGNORE {COLUMNS}"),
        Replace::Fuller => format!(
            "INSERT {COLUMNS} ON CONFLICT (call) DO UPDATE SET started_at = excluded.started_at, ended_at = excluded.ended_at, \
             outcome = excluded.outcome, record = excluded.record \
             WHERE calls.outcome = 'unknown_restart' OR excluded.outcome <> 'unknown_restart'"
        ),
    };
    let (call, started, ended, direction, campaign, attempt, outcome, record) = row(cdr);
    sqlx::query(&sql)
        .bind(call)
        .bind(started)
        .bind(ended)
        .bind(direction)
        .bind(campaign)
        .bind(attempt)
        .bind(outcome)
        .bind(record)
        .execute(connection)
        .await?;
    Ok(())
}

/// The columns of `calls`, in their order.
type Row = (
    i64,
    i64,
    i64,
    &'static str,
    Option<String>,
    Option<i64>,
    &'static str,
    String,
);

fn row(cdr: &Cdr) -> Row {
    let direction = match cdr.direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    };
    (
        bits(cdr.call.0),
        cdr.started.as_micros(),
        cdr.ended.as_micros(),
        direction,
        cdr.campaign.map(|c| c.to_string()),
        cdr.attempt.map(|a| bits(a.0)),
        cdr.outcome.name(),
        serde_json::to_string(cdr).expect("a record has no map with other keys than text"),
    )
}

/// Keeps what pacing has learned of a campaign.
pub(super) async fn save_learned(
    connection: &mut SqliteConnection,
    campaign: CampaignId,
    state: &dialer::pacing::LearnedState,
    now: Utc,
) -> Result<(), sqlx::Error> {
    let state = serde_json::to_string(state).expect("numbers are JSON");
    sqlx::query("INSERT OR REPLACE INTO learned (campaign, saved_at, state) VALUES (?, ?, ?)")
        .bind(campaign.as_str())
        .bind(now.as_micros())
        .bind(state)
        .execute(connection)
        .await?;
    Ok(())
}

/// Every call of that boot has its record.
pub(super) async fn save_folded(
    connection: &mut SqliteConnection,
    boot: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE boots SET folded = 1 WHERE boot = ?")
        .bind(boot)
        .execute(connection)
        .await?;
    Ok(())
}

/// One disposition as it is written down.
pub(super) struct Disposed {
    pub call: CallId,
    pub agent: AgentId,
    pub lead: Option<LeadId>,
    pub disposition: DispositionId,
    pub note: Option<String>,
    pub callback_at: Option<Utc>,
}

/// A promised callback is the agent's who promised it: it schedules the lead, or waits for the live attempt to be resolved.
pub(super) async fn save_disposition(
    connection: &mut SqliteConnection,
    disposed: &Disposed,
    now: Utc,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO dispositions (call, agent, lead, disposition, note, callback_at, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(bits(disposed.call.0))
    .bind(disposed.agent.as_str())
    .bind(disposed.lead.map(|lead| bits(lead.0)))
    .bind(disposed.disposition.as_str())
    .bind(disposed.note.as_deref())
    .bind(disposed.callback_at.map(Utc::as_micros))
    .bind(now.as_micros())
    .execute(&mut *connection)
    .await?;
    let Some(lead) = disposed.lead else {
        return Ok(());
    };
    sqlx::query(
        "UPDATE leads SET last_disposition = ?1, cell = -1, callback_at = COALESCE(?2, callback_at), \
         callback_for = CASE WHEN ?2 IS NULL THEN callback_for ELSE ?3 END WHERE lead = ?4",
    )
    .bind(disposed.disposition.as_str())
    .bind(disposed.callback_at.map(Utc::as_micros))
    .bind(disposed.agent.as_str())
    .bind(bits(lead.0))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE leads SET state = ?, not_before = callback_at, callback_at = NULL WHERE lead = ? AND state <> ? AND callback_at IS NOT NULL",
    )
    .bind(LeadState::Scheduled as i64)
    .bind(bits(lead.0))
    .bind(LeadState::Claimed as i64)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes records together; of one call, the last one stays.
pub(super) async fn save_cdrs(
    connection: &mut SqliteConnection,
    cdrs: &[&Cdr],
) -> Result<(), sqlx::Error> {
    if let [only] = cdrs {
        return save_cdr(connection, only, Replace::Always).await;
    }
    if cdrs.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = cdrs.iter().map(|cdr| row(cdr)).collect();
    let rows = serde_json::to_string(&rows).expect("a row has no map with other keys than text");
    sqlx::query(
        "INSERT OR REPLACE INTO calls (call, started_at, ended_at, direction, campaign, attempt, outcome, record) \
         SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7 FROM json_each(?)",
    )
    .bind(rows)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what agents do now.
pub(super) async fn save_agents(
    connection: &mut SqliteConnection,
    agents: &BTreeMap<AgentId, (&str, Utc)>,
) -> Result<(), sqlx::Error> {
    if agents.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = agents
        .iter()
        .map(|(agent, (state, since))| (agent.as_str(), *state, since.as_micros()))
        .collect();
    let rows = serde_json::to_string(&rows).expect("text and numbers are JSON");
    sqlx::query(
        "INSERT OR REPLACE INTO agents (agent, state, since) \
         SELECT value->>0, value->>1, value->>2 FROM json_each(?)",
    )
    .bind(rows)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn save_do_not_call(
    connection: &mut SqliteConnection,
    number: PhoneNumber,
    now: Utc,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR IGNORE INTO do_not_call (number, at) VALUES (?, ?)")
        .bind(number.to_string())
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn enqueue(
    connection: &mut SqliteConnection,
    messages: &[OutboxMessage],
    now: Utc,
) -> Result<(), sqlx::Error> {
    for message in messages {
        sqlx::query(
            "INSERT INTO outbox (endpoint, order_key, message, body, created_at, next_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&message.endpoint)
        .bind(&message.order_key)
        .bind(&message.message)
        .bind(&message.body)
        .bind(now.as_micros())
        .bind(now.as_micros())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
