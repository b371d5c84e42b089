//! Finding, claiming and resolving leads, inside the transaction of a group.

use super::{LeadState, bits};
use model::lead::LeadNext;
use model::{
    AttemptId, AttemptOutcome, CallId, CampaignId, Lead, LeadId, ListId, PhoneNumber, Utc,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::{HashMap, HashSet};

/// Rounds of one fetch. A round that ends short has struck out at least one lead on the do-not-call
/// list; more than this in a row and the rest waits for the next fetch.
const FETCH_ROUNDS_MAX: u32 = 32;

/// Most leads of one fetch, whatever was asked for: a hopper is refilled often, in small bites.
const FETCH_LEADS_MAX: u32 = 5_000;

/// What the store knows in memory about leads. Hash maps: they are only looked up, never iterated.
#[derive(Default)]
pub(super) struct Held {
    /// Leads this process has handed out and not got back.
    pub handed_out: HashMap<LeadId, CampaignId>,
    /// Everyone who is never to be called.
    pub do_not_call: HashSet<PhoneNumber>,
}

/// What a fetch found.
pub(super) struct Found {
    pub leads: Vec<Lead>,
    pub exhausted: bool,
}

/// Makes leads ready whose time has come.
pub(super) async fn promote(
    connection: &mut SqliteConnection,
    now: Utc,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE leads SET state = 0 WHERE state = 1 AND not_before <= ?")
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

/// The best leads of these lists that nobody holds; they are handed out from now on.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    held: &mut Held,
    campaign: CampaignId,
    lists: &[ListId],
    count: u32,
) -> Result<Found, sqlx::Error> {
    let count = count.min(FETCH_LEADS_MAX) as usize;
    let mut found: Vec<Lead> = Vec::new();
    let mut more = false;
    for _ in 0..FETCH_ROUNDS_MAX {
        let mut struck_out = false;
        more = false;
        found.clear();
        for list in lists {
            // What is handed out is still at the head of the index: read past it.
            let limit = (count + held.handed_out.len()) as i64;
            let rows = sqlx::query(
                "SELECT * FROM leads WHERE list = ? AND state = 0 ORDER BY priority DESC, not_before, lead LIMIT ?",
            )
            .bind(list.as_str())
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
            more |= rows.len() as i64 == limit;
            for row in &rows {
                let id: i64 = row.get("lead");
                if held.handed_out.contains_key(&LeadId(id.cast_unsigned())) {
                    continue;
                }
                match read(row, held) {
                    Some(lead) => found.push(lead),
                    None => {
                        struck_out = true;
                        sqlx::query("UPDATE leads SET state = ? WHERE lead = ?")
                            .bind(LeadState::Done as i64)
                            .bind(id)
                            .execute(&mut *connection)
                            .await?;
                    }
                }
            }
        }
        if found.len() >= count || !struck_out {
            break;
        }
    }
    found.sort_by_key(|lead| (std::cmp::Reverse(lead.priority), lead.not_before, lead.id));
    let exhausted = found.len() <= count && !more;
    found.truncate(count);
    for lead in &found {
        held.handed_out.insert(lead.id, campaign);
    }
    Ok(Found {
        leads: found,
        exhausted,
    })
}

/// The lead of a row, at a number that may be called; none where it has no such number.
fn read(row: &SqliteRow, held: &Held) -> Option<Lead> {
    let numbers: Vec<PhoneNumber> = row
        .get::<String, _>("numbers")
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    let next = usize::try_from(row.get::<i64, _>("next_number")).unwrap_or(0);
    let count = numbers.len();
    let next_number = (0..count)
        .map(|step| (next + step) % count)
        .find(|at| !held.do_not_call.contains(&numbers[*at]))?;
    let not_before: i64 = row.get("not_before");
    Some(Lead {
        id: LeadId(row.get::<i64, _>("lead").cast_unsigned()),
        list: row.get::<String, _>("list").parse().ok()?,
        numbers,
        next_number: u8::try_from(next_number).unwrap_or(0),
        attempts: u16::try_from(row.get::<i64, _>("attempts")).unwrap_or(u16::MAX),
        priority: row
            .get::<i64, _>("priority")
            .clamp(i16::MIN.into(), i16::MAX.into()) as i16,
        time_zone: row.get("time_zone"),
        name: row.get("name"),
        customer_key: row.get("customer_key"),
        fields: serde_json::from_str(&row.get::<String, _>("fields")).unwrap_or_default(),
        last_disposition: row
            .get::<Option<String>, _>("last_disposition")
            .and_then(|name| name.parse().ok()),
        not_before: (not_before > 0).then_some(Utc::from_micros(not_before)),
    })
}

/// Leads made of numbers that agents called by hand. A campaign that names this list dials them again.
pub(super) const BY_HAND_LIST: &str = "by_hand";

/// The lead of a number that an agent calls by hand, ready and handed out; none while it is claimed.
pub(super) async fn add(
    connection: &mut SqliteConnection,
    held: &mut Held,
    campaign: CampaignId,
    number: PhoneNumber,
    now: Utc,
) -> Result<Option<Lead>, sqlx::Error> {
    sqlx::query("INSERT OR IGNORE INTO lists (list, created_at) VALUES (?, ?)")
        .bind(BY_HAND_LIST)
        .bind(now.as_micros())
        .execute(&mut *connection)
        .await?;
    // The list as a literal, so that its index is used.
    let known = sqlx::query("SELECT * FROM leads WHERE list = 'by_hand' AND numbers = ?")
        .bind(number.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let id: i64 = match &known {
        Some(row) => {
            let id: i64 = row.get("lead");
            let is_held = held.handed_out.contains_key(&LeadId(id.cast_unsigned()));
            if is_held || row.get::<i64, _>("state") == LeadState::Claimed as i64 {
                return Ok(None);
            }
            sqlx::query("UPDATE leads SET state = ?, not_before = 0 WHERE lead = ?")
                .bind(LeadState::Ready as i64)
                .bind(id)
                .execute(&mut *connection)
                .await?;
            id
        }
        None => sqlx::query(
            "INSERT INTO leads (list, state, priority, not_before, numbers) VALUES (?, ?, 0, 0, ?)",
        )
        .bind(BY_HAND_LIST)
        .bind(LeadState::Ready as i64)
        .bind(number.to_string())
        .execute(&mut *connection)
        .await?
        .last_insert_rowid(),
    };
    let row = sqlx::query("SELECT * FROM leads WHERE lead = ?")
        .bind(id)
        .fetch_one(connection)
        .await?;
    let lead = read(&row, held);
    if let Some(lead) = &lead {
        held.handed_out.insert(lead.id, campaign);
    }
    Ok(lead)
}

/// One claim.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub attempt: AttemptId,
    pub call: CallId,
    pub campaign: CampaignId,
    pub lead: LeadId,
    pub list: ListId,
    pub number: PhoneNumber,
}

/// Whether the lead is this attempt's now.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    held: &Held,
    claim: &Claim,
    now: Utc,
) -> Result<bool, sqlx::Error> {
    if held.do_not_call.contains(&claim.number) {
        return Ok(false);
    }
    let taken = sqlx::query(
        "UPDATE leads SET state = 2, attempts = attempts + 1 WHERE lead = ? AND state = 0",
    )
    .bind(bits(claim.lead.0))
    .execute(&mut *connection)
    .await?;
    if taken.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO attempts (attempt, call, campaign, lead, list, number, claimed_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(bits(claim.attempt.0))
    .bind(bits(claim.call.0))
    .bind(claim.campaign.as_str())
    .bind(bits(claim.lead.0))
    .bind(claim.list.as_str())
    .bind(claim.number.to_string())
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(true)
}

/// Takes a claim back whose call was never placed.
pub(super) async fn unclaim(
    connection: &mut SqliteConnection,
    attempt: AttemptId,
    lead: LeadId,
) -> Result<(), sqlx::Error> {
    let gone = sqlx::query("DELETE FROM attempts WHERE attempt = ? AND outcome IS NULL")
        .bind(bits(attempt.0))
        .execute(&mut *connection)
        .await?;
    if gone.rows_affected() == 1 {
        sqlx::query(
            "UPDATE leads SET state = 0, attempts = attempts - 1 WHERE lead = ? AND state = 2",
        )
        .bind(bits(lead.0))
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// How an attempt ended, and what becomes of its lead. A callback promised meanwhile goes first.
pub(super) async fn resolve(
    connection: &mut SqliteConnection,
    held: &mut Held,
    attempt: AttemptId,
    lead: LeadId,
    outcome: AttemptOutcome,
    next: LeadNext,
    now: Utc,
) -> Result<(), sqlx::Error> {
    held.handed_out.remove(&lead);
    sqlx::query(
        "UPDATE attempts SET outcome = ?, ended_at = ? WHERE attempt = ? AND outcome IS NULL",
    )
    .bind(outcome.name())
    .bind(now.as_micros())
    .bind(bits(attempt.0))
    .execute(&mut *connection)
    .await?;
    let (state, at, number) = match next {
        LeadNext::Again { at, number } => (LeadState::Scheduled, at.as_micros(), Some(number)),
        LeadNext::Done => (LeadState::Done, 0, None),
    };
    // Not if another attempt holds the lead: that one will say what becomes of it.
    sqlx::query(
        "UPDATE leads SET state = CASE WHEN callback_at IS NULL THEN ? ELSE 1 END, not_before = COALESCE(callback_at, ?), \
         next_number = COALESCE(?, next_number), callback_at = NULL \
         WHERE lead = ? AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.lead = leads.lead AND outcome IS NULL)",
    )
    .bind(state as i64)
    .bind(at)
    .bind(number)
    .bind(bits(lead.0))
    .execute(connection)
    .await?;
    Ok(())
}
