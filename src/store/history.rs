//! What a start must not forget: the live answers and abandonments of the longest
//! period that a limit holds over, and the dials
//! within the longest window of a frequency cap.

use super::StoreError;
use dialer::abandon::FINE_HOURS;
use dialer::caller_id::PastUse;
use dialer::input::{PastAnswers, PastDial};
use dialer::pacing::LearnedState;
use dialer::quota::QuotaCount;
use model::{AttemptOutcome, CampaignId, LeadId, Utc};
use sqlx::{Row, SqliteConnection};
use std::time::Duration;

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

/// One hour more than the abandonment budget looks back: that under way.
const UNDER_WAY_HOURS: i64 = 1;

/// What the law counts of the days before, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By campaign, and by minute or hour.
    pub answers: Vec<PastAnswers>,
    /// One by one.
    pub dials: Vec<PastDial>,
    /// Calls of the last day by the number they showed, and hour.
    pub shown: Vec<PastUse>,
    /// What pacing had learned, by campaign.
    pub learned: Vec<(CampaignId, Box<LearnedState>)>,
    /// What was counted in quotas.
    pub quotas: Vec<QuotaCount>,
}

/// Whoever answered a call that the end of a process cut off, and had no agent yet, was abandoned;
/// not so who was hearing a flow and had asked for none, nor a machine that had been told as one.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    now: Utc,
    cap_window: Duration,
    answers_hours: i64,
) -> Result<History, StoreError> {
    let rows = sqlx::query(
        "SELECT a.campaign, CASE WHEN a.ended_at >= ? THEN a.ended_at / ? * ? ELSE a.ended_at / ? * ? END AS begin, COUNT(*), \
         SUM(a.outcome = 'abandoned' OR (a.outcome = 'unknown_restart' AND json_extract(c.record, '$.bridged') IS NULL \
         AND (json_extract(c.record, '$.flow') IS NULL OR json_array_length(c.record, '$.visits') > 0))), \
         SUM(a.outcome = 'messaged' OR (a.outcome = 'unknown_restart' AND json_extract(c.record, '$.bridged') IS NULL \
         AND json_extract(c.record, '$.flow') IS NOT NULL AND COALESCE(json_array_length(c.record, '$.visits'), 0) = 0)) \
         FROM attempts a LEFT JOIN calls c ON c.call = a.call AND a.outcome = 'unknown_restart' \
         WHERE a.claimed_at >= ? AND (a.outcome IN ('answered_agent', 'messaged', 'abandoned') \
         OR (a.outcome = 'unknown_restart' AND json_extract(c.record, '$.answered') IS NOT NULL \
         AND (json_extract(c.record, '$.bridged') IS NOT NULL \
         OR COALESCE(json_extract(c.record, '$.verdict'), 'unsure') IN ('person', 'unsure')))) \
         GROUP BY a.campaign, begin ORDER BY begin, a.campaign",
    )
    .bind(now.as_micros() - (FINE_HOURS + UNDER_WAY_HOURS) * HOUR_US)
    .bind(MINUTE_US)
    .bind(MINUTE_US)
    .bind(HOUR_US)
    .bind(HOUR_US)
    .bind(now.as_micros() - (answers_hours + UNDER_WAY_HOURS) * HOUR_US)
    .fetch_all(&mut *connection)
    .await?;
    let answers = rows
        .iter()
        .filter_map(|row| {
            Some(PastAnswers {
                campaign: row.get::<String, _>(0).parse().ok()?,
                at: Utc::from_micros(row.get(1)),
                answers: row.get::<i64, _>(2).cast_unsigned(),
                abandons: row.get::<i64, _>(3).cast_unsigned(),
                messaged: row.get::<i64, _>(4).cast_unsigned(),
            })
        })
        .collect();
    let shown = shown(connection, now).await?;
    let learned = learned(connection).await?;
    let quotas = super::cells::counts(connection).await?;
    if cap_window.is_zero() {
        return Ok(History {
            answers,
            dials: Vec::new(),
            shown,
            learned,
            quotas,
        });
    }
    let window_us = i64::try_from(cap_window.as_micros()).unwrap_or(i64::MAX);
    let claimed_after = now.as_micros().saturating_sub(window_us);
    let dials = dials(connection, "a.claimed_at > ?", [claimed_after]).await?;
    Ok(History {
        answers,
        dials,
        shown,
        learned,
        quotas,
    })
}

/// The dials of a start that was cut off which somebody had answered: its event log has been read, so
/// how they ended is known as far as it will ever be.
pub(super) async fn cut_off(
    connection: &mut SqliteConnection,
    boot: u32,
) -> Result<Vec<PastDial>, sqlx::Error> {
    let first = |boot: u32| i64::from(boot) << model::id::COUNTER_BITS;
    let of_boot = "a.attempt >= ? AND a.attempt < ? AND a.outcome = 'unknown_restart' \
                   AND json_extract(c.record, '$.answered') IS NOT NULL";
    dials(connection, of_boot, [first(boot), first(boot + 1)]).await
}

/// Dials in the order they left. Who had answered when a process was cut off talked with an agent, was
/// abandoned, or heard a flow and asked for nobody, until the last instant that its event log knows. Where a
/// machine had been told, nobody is known to have been reached.
async fn dials<const N: usize>(
    connection: &mut SqliteConnection,
    which: &str,
    bounds: [i64; N],
) -> Result<Vec<PastDial>, sqlx::Error> {
    let select = format!(
        "SELECT a.number, l.customer_key, a.lead, a.claimed_at, \
         CASE WHEN json_extract(c.record, '$.answered') IS NULL THEN a.outcome \
         WHEN json_extract(c.record, '$.bridged') IS NOT NULL THEN 'answered_agent' \
         WHEN COALESCE(json_extract(c.record, '$.verdict'), 'unsure') NOT IN ('person', 'unsure') THEN a.outcome \
         WHEN json_extract(c.record, '$.flow') IS NULL OR json_array_length(c.record, '$.visits') > 0 THEN 'abandoned' \
         ELSE 'messaged' END, \
         CASE WHEN json_extract(c.record, '$.answered') IS NULL THEN a.ended_at ELSE json_extract(c.record, '$.ended') END, \
         json_extract(l.fields, '$.subject'), json_extract(l.fields, '$.debt') \
         FROM attempts a LEFT JOIN leads l ON l.lead = a.lead \
         LEFT JOIN calls c ON c.call = a.call AND a.outcome = 'unknown_restart' \
         WHERE (a.outcome IS NULL OR a.outcome <> 'blocked') AND {which} ORDER BY a.claimed_at"
    );
    let mut query = sqlx::query(&select);
    for bound in bounds {
        query = query.bind(bound);
    }
    let rows = query.fetch_all(connection).await?;
    let dial = |row: &sqlx::sqlite::SqliteRow| {
        let lead = LeadId(row.get::<i64, _>(2).cast_unsigned());
        Some(PastDial {
            number: row.get::<String, _>(0).parse().ok()?,
            person: row
                .get::<Option<String>, _>(1)
                .unwrap_or_else(|| lead.to_string()),
            at: Utc::from_micros(row.get(3)),
            outcome: row
                .get::<Option<String>, _>(4)
                .and_then(|name| AttemptOutcome::from_name(&name)),
            ended_at: row.get::<Option<i64>, _>(5).map(Utc::from_micros),
            subject: row.get(6),
            debt: row.get(7),
        })
    };
    Ok(rows.iter().filter_map(dial).collect())
}

/// An outbound call's record has the number shown as the one called.
/// A state that cannot be read, as of an older version, is left out: it is learned anew.
async fn learned(
    connection: &mut SqliteConnection,
) -> Result<Vec<(CampaignId, Box<LearnedState>)>, StoreError> {
    let rows = sqlx::query("SELECT campaign, state FROM learned ORDER BY campaign")
        .fetch_all(&mut *connection)
        .await?;
    let one = |row: &sqlx::sqlite::SqliteRow| {
        let campaign = row.get::<&str, _>(0).parse().ok()?;
        let state = serde_json::from_str(row.get::<&str, _>(1)).ok()?;
        Some((campaign, Box::new(state)))
    };
    Ok(rows.iter().filter_map(one).collect())
}

async fn shown(connection: &mut SqliteConnection, now: Utc) -> Result<Vec<PastUse>, StoreError> {
    let rows = sqlx::query(
        "SELECT json_extract(record, '$.called') AS number, started_at / ? AS hour, COUNT(*) FROM calls \
         WHERE started_at > ? AND direction = 'outbound' GROUP BY number, hour",
    )
    .bind(HOUR_US)
    .bind(now.as_micros() - 24 * HOUR_US)
    .fetch_all(connection)
    .await?;
    let past = |row: &sqlx::sqlite::SqliteRow| {
        Some(PastUse {
            number: row.get::<Option<String>, _>(0)?.parse().ok()?,
            at: Utc::from_micros(row.get(1)),
            calls: u32::try_from(row.get::<i64, _>(2)).unwrap_or(u32::MAX),
        })
    };
    Ok(rows.iter().filter_map(past).collect())
}
