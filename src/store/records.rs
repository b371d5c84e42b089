//! Writing what happened: calls, dispositions, agents, do-not-call, webhook messages.

use super::{LeadState, OutboxMessage, bits};
use model::cdr::Cdr;
use model::screen_pop::Direction;
use model::{AgentId, CallId, DispositionId, LeadId, PhoneNumber, Utc};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// Writes a call's record. `replace` is false where a fuller one may already be there.
pub(super) async fn save_cdr(
    connection: &mut SqliteConnection,
    cdr: &Cdr,
    replace: bool,
) -> Result<(), sqlx::Error> {
    let sql = match replace {
        true => {
            "INSERT OR REPLACE INTO calls (call, started_at, ended_at, direction, campaign, attempt, outcome, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        }
        false => {
            "INSERT OR IGNORE INTO calls (call, started_at, ended_at, direction, campaign, attempt, outcome, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        }
    };
    let (call, started, ended, direction, campaign, attempt, outcome, record) = row(cdr);
    sqlx::query(sql)
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

/// One disposition as it is written down.
pub(super) struct Disposed {
    pub call: CallId,
    pub agent: AgentId,
    pub lead: Option<LeadId>,
    pub disposition: DispositionId,
    pub note: Option<String>,
    pub callback_at: Option<Utc>,
}

/// A promised callback schedules the lead, or waits for the live attempt to be resolved.
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
    sqlx::query("UPDATE leads SET last_disposition = ?, callback_at = COALESCE(?, callback_at) WHERE lead = ?")
        .bind(disposed.disposition.as_str())
        .bind(disposed.callback_at.map(Utc::as_micros))
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
        return save_cdr(connection, only, true).await;
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
