//! Promised callbacks: set, shown, taken back, and handed to the dialer before they are due.

use super::leads::{self, Held};
use super::{LeadState, bits};
use call::Input;
use dialer::config::CALLBACK_AHEAD_S;
use dialer::input::Callback;
use jiff::civil::DateTime;
use model::{AgentId, CampaignId, LeadId, Utc};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeMap;

/// Callbacks handed over at once; the others follow.
const CALLBACKS_MAX: i64 = 500;

/// Callbacks shown at once, those that are due first.
const SHOWN_MAX: i64 = 10_000;

/// When a person asked to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackTime {
    /// At this instant.
    Instant(Utc),
    /// At this time of the clock where the person is.
    Local(DateTime),
}

/// A callback as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// Whom to call.
    pub lead: LeadId,
    /// The list the lead is in.
    pub list: String,
    /// The person's name, where known.
    pub name: Option<String>,
    /// When, in UTC.
    pub at: String,
    /// The agent who promised; none: anyone.
    pub agent: Option<String>,
}

/// Why a callback cannot be set or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// There is no such lead.
    #[error("there is no such lead")]
    NoLead,
    /// The lead has no callback, or it is being called right now.
    #[error("the lead has no callback that could be taken back")]
    NoCallback,
    /// Nobody knows what time it is there.
    #[error("nobody knows the person's time zone; give the time with Z or an offset")]
    NoZone,
    /// No number of the lead may be called.
    #[error("no number of this lead may be called")]
    DoNotCall,
    /// The store failed; it may be tried again.
    #[error("the store failed")]
    StoreFailed,
}

/// Callbacks that are due within the hour and not handed over yet, by the campaign that dials their list.
pub(super) async fn due(
    connection: &mut SqliteConnection,
    held: &mut Held,
    now: Utc,
) -> Result<Vec<Input>, sqlx::Error> {
    if held.campaign_of.is_empty() {
        return Ok(Vec::new());
    }
    let ahead_us = i64::from(CALLBACK_AHEAD_S) * 1_000_000;
    let rows = sqlx::query(
        "SELECT * FROM leads WHERE state = 1 AND callback_for IS NOT NULL AND not_before <= ? ORDER BY not_before LIMIT ?",
    )
    .bind(now.as_micros().saturating_add(ahead_us))
    .bind(CALLBACKS_MAX + held.handed_out.len() as i64)
    .fetch_all(&mut *connection)
    .await?;
    let mut by_campaign: BTreeMap<CampaignId, Vec<Callback>> = BTreeMap::new();
    for row in &rows {
        let Some(mut lead) = leads::read(row, held) else {
            continue;
        };
        let Some(campaign) = held.campaign_of.get(&lead.list).copied() else {
            continue;
        };
        if held.handed_out.contains_key(&lead.id) {
            continue;
        }
        held.handed_out.insert(lead.id, campaign);
        let at = lead.not_before.take().unwrap_or(now);
        let agent = row
            .get::<Option<String>, _>("callback_for")
            .and_then(|agent| agent.parse().ok());
        let callback = Callback { lead, agent, at };
        by_campaign.entry(campaign).or_default().push(callback);
    }
    let mut inputs = Vec::new();
    for (campaign, callbacks) in by_campaign {
        let leads = callbacks.iter().map(|callback| &callback.lead);
        inputs.extend(leads::pasts(connection, held, campaign, leads).await?);
        inputs.push(Input::CallbacksSupplied {
            campaign,
            callbacks,
        });
    }
    Ok(inputs)
}

/// Sets a callback, or another time for one. A lead that is being called has it from then on.
pub(super) async fn set(
    connection: &mut SqliteConnection,
    held: &mut Held,
    lead: LeadId,
    at: CallbackTime,
    agent: Option<AgentId>,
) -> Result<Result<Promise, CallbackError>, sqlx::Error> {
    let Some(row) = row(connection, lead).await? else {
        return Ok(Err(CallbackError::NoLead));
    };
    let Some(known) = leads::read(&row, held) else {
        return Ok(Err(CallbackError::DoNotCall));
    };
    let at = match at {
        CallbackTime::Instant(at) => at,
        CallbackTime::Local(local) => {
            let zone = held.book.zone(&known);
            let Some(zoned) = zone.and_then(|zone| local.to_zoned(zone).ok()) else {
                return Ok(Err(CallbackError::NoZone));
            };
            Utc::from_micros(zoned.timestamp().as_microsecond())
        }
    };
    let agent = agent.map_or(String::new(), |agent| agent.to_string());
    sqlx::query(
        "UPDATE leads SET callback_for = ?1, callback_at = CASE WHEN state = ?2 THEN ?3 ELSE NULL END, \
         not_before = CASE WHEN state = ?2 THEN not_before ELSE ?3 END, \
         state = CASE WHEN state = ?2 THEN state ELSE ?4 END WHERE lead = ?5",
    )
    .bind(agent)
    .bind(LeadState::Claimed as i64)
    .bind(at.as_micros())
    .bind(LeadState::Scheduled as i64)
    .bind(bits(lead.0))
    .execute(&mut *connection)
    .await?;
    let promise = row_of(connection, lead).await?;
    Ok(promise.ok_or(CallbackError::NoLead))
}

/// Takes a callback back: the lead is done.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    lead: LeadId,
) -> Result<Result<Promise, CallbackError>, sqlx::Error> {
    let Some(promise) = row_of(connection, lead).await? else {
        return Ok(Err(CallbackError::NoCallback));
    };
    let done = sqlx::query(
        "UPDATE leads SET callback_for = NULL, callback_at = NULL, state = ? WHERE lead = ? AND state = ?",
    )
    .bind(LeadState::Done as i64)
    .bind(bits(lead.0))
    .bind(LeadState::Scheduled as i64)
    .execute(connection)
    .await?;
    Ok(match done.rows_affected() {
        1 => Ok(promise),
        _ => Err(CallbackError::NoCallback),
    })
}

/// What is promised, the next one first.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Promise>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM leads WHERE state = 1 AND callback_for IS NOT NULL ORDER BY not_before LIMIT ?",
    )
    .bind(SHOWN_MAX)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(promise).collect())
}

async fn row(
    connection: &mut SqliteConnection,
    lead: LeadId,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    sqlx::query("SELECT * FROM leads WHERE lead = ?")
        .bind(bits(lead.0))
        .fetch_optional(connection)
        .await
}

async fn row_of(
    connection: &mut SqliteConnection,
    lead: LeadId,
) -> Result<Option<Promise>, sqlx::Error> {
    let row = row(connection, lead).await?;
    let row = row.filter(|row| row.get::<Option<String>, _>("callback_for").is_some());
    Ok(row.as_ref().map(promise))
}

fn promise(row: &SqliteRow) -> Promise {
    let waiting: Option<i64> = row.get("callback_at");
    let us = waiting.unwrap_or_else(|| row.get("not_before"));
    Promise {
        lead: LeadId(row.get::<i64, _>("lead").cast_unsigned()),
        list: row.get("list"),
        name: row.get("name"),
        at: jiff::Timestamp::from_microsecond(us)
            .map_or_else(|_| us.to_string(), |at| at.to_string()),
        agent: row
            .get::<Option<String>, _>("callback_for")
            .filter(|agent| !agent.is_empty()),
    }
}
