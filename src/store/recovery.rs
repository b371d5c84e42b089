//! What a start does with what the process before left behind.

use super::{Boot, LeadState, StoreConfig, StoreError, bits, records};
use model::cdr::Cdr;
use model::{AttemptId, AttemptOutcome, CallId, LeadId, PhoneNumber, Utc};
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
    let again_at = now + Duration::from_secs(config.unknown_retry_s.into());
    for row in &unknown {
        let attempt: i64 = row.get("attempt");
        let lead: i64 = row.get("lead");
        sqlx::query("UPDATE attempts SET outcome = ?, ended_at = ? WHERE attempt = ?")
            .bind(AttemptOutcome::UnknownRestart.name())
            .bind(now.as_micros())
            .bind(attempt)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "UPDATE leads SET state = CASE WHEN attempts >= ? THEN ? ELSE ? END, not_before = ? WHERE lead = ?",
        )
        .bind(config.unknown_attempts_max)
        .bind(LeadState::Done as i64)
        .bind(LeadState::Scheduled as i64)
        .bind(again_at.as_micros())
        .bind(lead)
        .execute(&mut *transaction)
        .await?;
        let Ok(campaign) = row.get::<String, _>("campaign").parse() else {
            continue;
        };
        let cdr = Cdr::unknown_restart(
            CallId(row.get::<i64, _>("call").cast_unsigned()),
            campaign,
            AttemptId(attempt.cast_unsigned()),
            LeadId(lead.cast_unsigned()),
            row.get("number"),
            Utc::from_micros(row.get("claimed_at")),
            now,
        );
        records::save_cdr(&mut transaction, &cdr, false).await?;
    }
    let last: i64 = sqlx::query("SELECT COALESCE(MAX(boot), 0) FROM boots")
        .fetch_one(&mut *transaction)
        .await?
        .get(0);
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
    })
}
