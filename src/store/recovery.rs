//! What a start does with what the process before left behind.

use super::records::{self, Replace};
use super::{Boot, LeadState, StoreConfig, StoreError, bits};
use model::cdr::Cdr;
use model::{AttemptId, AttemptOutcome, CallId, CampaignId, LeadId, PhoneNumber, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use std::time::Duration;

pub(super) async fn recover(
    connection: &mut SqliteConnection,
    config: &StoreConfig,
    now: Utc,
    version: &str,
) -> Result<Boot, StoreError> {
    let mut transaction = connection.begin().await?;
    let unknown = sqlx::query(
        "SELECT attempt, call, campaign, lead, number, claimed_at FROM attempts WHERE outcome IS NULL ORDER BY attempt",
    )
    .fetch_all(&mut *transaction)
    .await?;
    for row in &unknown {
        let attempt: i64 = row.get("attempt");
        let lead: i64 = row.get("lead");
        let rule = row
            .get::<String, _>("campaign")
            .parse()
            .ok()
            .and_then(|campaign: CampaignId| config.unknown_of.get(&campaign));
        let (wait_s, attempts_max) = rule.map_or(
            (config.unknown_retry_s, config.unknown_attempts_max),
            |(wait_s, most)| (*wait_s, u32::from(*most)),
        );
        let again_at = now + Duration::from_secs(wait_s.into());
        sqlx::query("UPDATE attempts SET outcome = ?, ended_at = ? WHERE attempt = ?")
            .bind(AttemptOutcome::UnknownRestart.name())
            .bind(now.as_micros())
            .bind(attempt)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "UPDATE leads SET state = CASE WHEN attempts >= ? THEN ? ELSE ? END, not_before = ? WHERE lead = ?",
        )
        .bind(attempts_max)
        .bind(LeadState::Done as i64)
        .bind(LeadState::Scheduled as i64)
        .bind(again_at.as_micros())
        .bind(lead)
        .execute(&mut *transaction)
        .await?;
        save_unknown(&mut transaction, row, now).await?;
    }
    let last: i64 = sqlx::query("SELECT COALESCE(MAX(boot), 0) FROM boots")
        .fetch_one(&mut *transaction)
        .await?
        .get(0);
    // An attempt's end may be durable where its call's record is not yet.
    let without_record = sqlx::query(
        "SELECT attempt, call, campaign, lead, number, claimed_at FROM attempts WHERE attempt >= ? \
         AND outcome NOT IN ('blocked', 'cancelled', 'unknown_restart') \
         AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.call = attempts.call)",
    )
    .bind(last << model::id::COUNTER_BITS)
    .fetch_all(&mut *transaction)
    .await?;
    for row in &without_record {
        save_unknown(&mut transaction, row, now).await?;
    }
    let number = last + 1;
    if number >= 1 << (64 - model::id::COUNTER_BITS) {
        return Err(StoreError::Boots(last));
    }
    sqlx::query(
        "INSERT INTO boots (boot, started_at, version, attempts_unknown) VALUES (?, ?, ?, ?)",
    )
    .bind(number)
    .bind(now.as_micros())
    .bind(version)
    .bind(bits(unknown.len() as u64))
    .execute(&mut *transaction)
    .await?;
    let unfolded =
        sqlx::query("SELECT boot FROM boots WHERE folded = 0 AND boot < ? ORDER BY boot")
            .bind(number)
            .fetch_all(&mut *transaction)
            .await?
            .iter()
            .filter_map(|row| u32::try_from(row.get::<i64, _>(0)).ok())
            .collect();
    transaction.commit().await?;
    let do_not_call = sqlx::query("SELECT number FROM do_not_call ORDER BY number")
        .fetch_all(connection)
        .await?
        .iter()
        .filter_map(|row| row.get::<String, _>(0).parse::<PhoneNumber>().ok())
        .collect();
    Ok(Boot {
        number: number as u32,
        attempts_unknown: unknown.len() as u64,
        do_not_call,
        unfolded,
    })
}

/// A record that says all the claim knows, until the event log says more.
async fn save_unknown(
    connection: &mut SqliteConnection,
    row: &SqliteRow,
    now: Utc,
) -> Result<(), sqlx::Error> {
    let Ok(campaign) = row.get::<String, _>("campaign").parse() else {
        return Ok(());
    };
    let cdr = Cdr::unknown_restart(
        CallId(row.get::<i64, _>("call").cast_unsigned()),
        campaign,
        AttemptId(row.get::<i64, _>("attempt").cast_unsigned()),
        LeadId(row.get::<i64, _>("lead").cast_unsigned()),
        row.get("number"),
        Utc::from_micros(row.get("claimed_at")),
        now,
    );
    records::save_cdr(connection, &cdr, Replace::Never).await
}
