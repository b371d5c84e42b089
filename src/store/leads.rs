//! Finding, claiming and resolving leads, inside the transaction of a group.

use super::cells::{self, Cells};
use super::places::PlaceBook;
use super::shelf::{self, End, Shelf, Windows};
use super::{LeadState, bits};
use call::Input;
use dialer::zone::Place;
use model::lead::LeadNext;
use model::{
    AttemptId, AttemptOutcome, CallId, CampaignId, Lead, LeadId, ListId, PhoneNumber, Utc,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Rounds of one fetch. A round that ends short has struck out at least one lead on the do-not-call
/// list; more than this in a row and the rest waits for the next fetch.
const FETCH_ROUNDS_MAX: u32 = 32;

/// Most leads of one fetch, whatever was asked for: a hopper is refilled often, in small bites.
const FETCH_LEADS_MAX: u32 = 5_000;

/// Most leads made ready by one fetch. A list that opens at nine becomes ready in bites, not in one
/// transaction that a claim would wait for.
const PROMOTE_MAX: i64 = 5_000;

/// What the store knows in memory about leads. Hash maps: they are only looked up, never iterated.
pub(super) struct Held {
    /// Leads this process has handed out and not got back.
    pub handed_out: HashMap<LeadId, CampaignId>,
    /// Everyone who is never to be called.
    pub do_not_call: HashSet<PhoneNumber>,
    /// The numbers of places.
    pub book: PlaceBook,
    /// The places themselves.
    pub places: BTreeMap<i64, Place>,
    /// Who dials a list: the first campaign that has it.
    pub campaign_of: BTreeMap<ListId, CampaignId>,
    /// Which of them each campaign may call.
    pub windows: HashMap<CampaignId, Windows>,
    /// What is asked of leads, and who meets it.
    pub cells: Cells,
    /// Campaigns that ask when a lead was dialled.
    pub asks_past: BTreeSet<CampaignId>,
    /// The next leads.
    pub shelves: HashMap<(CampaignId, ListId), Shelf>,
    /// Counts what makes a shelf wrong: leads that became ready again.
    pub returns: u64,
    /// The last transaction failed: see [`Held::begin`].
    pub is_doubtful: bool,
}

impl Held {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        dialer: &dialer::Config,
        do_not_call: &[PhoneNumber],
    ) -> Result<Held, sqlx::Error> {
        let mut held = Held {
            handed_out: HashMap::new(),
            do_not_call: do_not_call.iter().copied().collect(),
            book: PlaceBook::load(connection).await?,
            places: BTreeMap::new(),
            campaign_of: campaign_of(dialer),
            windows: dialer
                .campaigns
                .iter()
                .map(|(id, campaign)| (*id, Windows::new(dialer.rule_sets(campaign))))
                .collect(),
            cells: Cells::load(connection, dialer).await?,
            asks_past: dialer
                .campaigns
                .iter()
                .filter(|(_, campaign)| {
                    campaign.vary_hour || campaign.max_attempts_per_day.is_some()
                })
                .map(|(id, _)| *id)
                .collect(),
            shelves: HashMap::new(),
            returns: 0,
            is_doubtful: false,
        };
        held.places = held.book.all();
        Ok(held)
    }

    /// Places that an import has added.
    pub(super) async fn learn_places(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let new = self.book.refresh(connection).await?;
        self.places.extend(new);
        Ok(())
    }

    /// At the beginning of a transaction. Where the one before failed, the numbers of places it gave
    /// are not in the database.
    pub(super) async fn begin(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        if std::mem::take(&mut self.is_doubtful) {
            self.shelves.clear();
            self.book = PlaceBook::load(connection).await?;
            self.places = self.book.all();
            self.cells.reload(connection).await?;
        }
        Ok(())
    }

    /// The number of the place of a lead's next number.
    pub(super) async fn place(
        &mut self,
        connection: &mut SqliteConnection,
        lead: &Lead,
    ) -> Result<i64, sqlx::Error> {
        let slot = self.book.slot_of_lead(lead);
        self.book.settle(connection).await?;
        let (id, place) = self.book.placed(slot);
        self.places.entry(id).or_insert(place);
        Ok(id)
    }

    fn is_open(&mut self, campaign: CampaignId, place: i64, now: Utc) -> bool {
        let windows = self.windows.entry(campaign).or_default();
        windows.is_open(place, &self.places[&place], now)
    }
}

fn campaign_of(dialer: &dialer::Config) -> BTreeMap<ListId, CampaignId> {
    let mut lists = BTreeMap::new();
    for (id, campaign) in &dialer.campaigns {
        for list in &campaign.lists {
            lists.entry(list.name).or_insert(*id);
        }
    }
    lists
}

/// What happened to leads that are handed to a campaign, where it asks for that.
pub(super) async fn pasts(
    connection: &mut SqliteConnection,
    held: &Held,
    campaign: CampaignId,
    leads: impl Iterator<Item = &Lead>,
) -> Result<Option<Input>, sqlx::Error> {
    if !held.asks_past.contains(&campaign) {
        return Ok(None);
    }
    let pasts = cells::pasts(connection, leads.map(|lead| lead.id)).await?;
    Ok((!pasts.is_empty()).then_some(Input::LeadsPast { pasts }))
}

/// What a fetch found.
pub(super) struct Found {
    pub leads: Vec<Lead>,
    pub exhausted: bool,
}

/// The statement of [`promote`]; by itself, so that a test sees its plan.
pub(super) const PROMOTE: &str = "UPDATE leads SET state = 0, cell = -1 WHERE lead IN \
     (SELECT lead FROM leads WHERE state = 1 AND callback_for IS NULL AND not_before <= ? ORDER BY not_before LIMIT ?)";

/// Makes leads ready whose time has come, those that wait longest first.
pub(super) async fn promote(
    connection: &mut SqliteConnection,
    held: &mut Held,
    now: Utc,
) -> Result<(), sqlx::Error> {
    let done = sqlx::query(PROMOTE)
        .bind(now.as_micros())
        .bind(PROMOTE_MAX)
        .execute(connection)
        .await?;
    if done.rows_affected() > 0 {
        // Those who have just become ready may belong before what was found earlier.
        held.returns += 1;
    }
    Ok(())
}

/// The best leads of these lists that nobody holds and whose place is open; the first list's before
/// the second's. They are handed out from now on.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    held: &mut Held,
    campaign: CampaignId,
    lists: &[ListId],
    count: u32,
    now: Utc,
) -> Result<Found, sqlx::Error> {
    let count = count.min(FETCH_LEADS_MAX) as usize;
    let mut found: Vec<Lead> = Vec::with_capacity(count);
    let mut exhausted = true;
    for list in lists {
        exhausted &= fetch_list(connection, held, campaign, *list, count, &mut found, now).await?;
    }
    exhausted &= found.len() < count;
    Ok(Found {
        leads: found,
        exhausted,
    })
}

/// Adds leads of one list until there are `until`; whether the list has no more.
async fn fetch_list(
    connection: &mut SqliteConnection,
    held: &mut Held,
    campaign: CampaignId,
    list: ListId,
    until: usize,
    found: &mut Vec<Lead>,
    now: Utc,
) -> Result<bool, sqlx::Error> {
    for _ in 0..FETCH_ROUNDS_MAX {
        let missing = until - found.len();
        if missing == 0 {
            return Ok(false);
        }
        let (ids, end) = shelf::next(connection, held, campaign, list, missing, now).await?;
        let has_changed = take(connection, held, (campaign, list), &ids, found, now).await?;
        if has_changed {
            return Ok(false);
        }
        match end {
            End::All => return Ok(true),
            End::Unsorted => return Ok(false),
            End::More => {}
        }
    }
    Ok(false)
}

/// Reads these leads in this order. Who has no number that may be called is done; who was not placed
/// yet is, and is handed out only where the place is open. Whether there were leads that may
/// not be what is asked for any more: they are looked at before they are handed out.
async fn take(
    connection: &mut SqliteConnection,
    held: &mut Held,
    (campaign, list): (CampaignId, ListId),
    ids: &[LeadId],
    found: &mut Vec<Lead>,
    now: Utc,
) -> Result<bool, sqlx::Error> {
    if ids.is_empty() {
        return Ok(false);
    }
    let wanted: Vec<i64> = ids.iter().map(|id| bits(id.0)).collect();
    let rows = sqlx::query(
        "SELECT leads.* FROM json_each(?) w JOIN leads ON leads.lead = w.value WHERE leads.state = 0",
    )
    .bind(serde_json::to_string(&wanted).expect("numbers are JSON"))
    .fetch_all(&mut *connection)
    .await?;
    let mut placed: Vec<(i64, i64)> = Vec::new();
    let mut has_changed = false;
    // A shelf is older than what was found out since.
    let wanted = held.cells.asks(campaign, list);
    let wanted = wanted.then(|| held.cells.wanted(campaign, list));
    for row in &rows {
        match read(row, held) {
            Some(lead) => {
                if row.get::<i64, _>("place") == 0 {
                    let place = held.place(connection, &lead).await?;
                    placed.push((bits(lead.id.0), place));
                    if !held.is_open(campaign, place, now) {
                        continue;
                    }
                }
                let until: Option<i64> = row.get("cell_until");
                let is_over = until.is_some_and(|us| us <= now.as_micros());
                let is_wanted = |wanted: &Vec<i64>| wanted.contains(&row.get("cell")) && !is_over;
                if !wanted.as_ref().is_none_or(is_wanted) {
                    has_changed = true;
                    continue;
                }
                held.handed_out.insert(lead.id, campaign);
                found.push(lead);
            }
            None => {
                sqlx::query("UPDATE leads SET state = ? WHERE lead = ?")
                    .bind(LeadState::Done as i64)
                    .bind(row.get::<i64, _>("lead"))
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    if !placed.is_empty() {
        sqlx::query(
            "UPDATE leads SET place = p.value->>1 FROM json_each(?) p WHERE leads.lead = p.value->>0",
        )
        .bind(serde_json::to_string(&placed).expect("numbers are JSON"))
        .execute(connection)
        .await?;
    }
    Ok(has_changed)
}

/// The lead of a row, at a number that may be called; none where it has no such number.
pub(super) fn read(row: &SqliteRow, held: &Held) -> Option<Lead> {
    read_with(row, |number| !held.do_not_call.contains(number))
}

/// The lead of a row, whether it may be called or not; none where it has no number.
pub(super) fn read_any(row: &SqliteRow) -> Option<Lead> {
    read_with(row, |_| true)
}

fn read_with(row: &SqliteRow, may_call: impl Fn(&PhoneNumber) -> bool) -> Option<Lead> {
    let numbers: Vec<PhoneNumber> = row
        .get::<String, _>("numbers")
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    let next = usize::try_from(row.get::<i64, _>("next_number")).unwrap_or(0);
    let count = numbers.len();
    let next_number = (0..count)
        .map(|step| (next + step) % count)
        .find(|at| may_call(&numbers[*at]))?;
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
            sqlx::query("UPDATE leads SET state = ?, not_before = 0, cell = -1 WHERE lead = ?")
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
        "UPDATE leads SET state = 2, attempts = attempts + 1 WHERE lead = ? AND (state = 0 OR (state = 1 AND callback_for IS NOT NULL))",
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
    held: &mut Held,
    attempt: AttemptId,
    lead: LeadId,
) -> Result<(), sqlx::Error> {
    let gone = sqlx::query("DELETE FROM attempts WHERE attempt = ? AND outcome IS NULL")
        .bind(bits(attempt.0))
        .execute(&mut *connection)
        .await?;
    if gone.rows_affected() == 1 {
        held.returns += 1;
        sqlx::query(
            "UPDATE leads SET state = (callback_for IS NOT NULL), attempts = attempts - 1, cell = -1 WHERE lead = ? AND state = 2",
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
         place = CASE WHEN next_number = COALESCE(?, next_number) THEN place ELSE 0 END, \
         callback_for = CASE WHEN ? OR callback_at IS NOT NULL THEN callback_for ELSE NULL END, \
         next_number = COALESCE(?, next_number), callback_at = NULL \
         WHERE lead = ? AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.lead = leads.lead AND outcome IS NULL)",
    )
    .bind(state as i64)
    .bind(at)
    .bind(number)
    .bind(keeps_callback(outcome))
    .bind(number)
    .bind(bits(lead.0))
    .execute(connection)
    .await?;
    Ok(())
}

/// A call that never left keeps a promised callback.
fn keeps_callback(outcome: AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::Blocked | AttemptOutcome::Cancelled => true,
        AttemptOutcome::AnsweredAgent
        | AttemptOutcome::Messaged
        | AttemptOutcome::Abandoned
        | AttemptOutcome::Machine
        | AttemptOutcome::Fax
        | AttemptOutcome::NoAnswer
        | AttemptOutcome::Busy
        | AttemptOutcome::Failed
        | AttemptOutcome::DisconnectedNumber
        | AttemptOutcome::UnknownRestart => false,
    }
}
