//! Leads sorted by what is asked of them. Every filter and quota of the campaigns that dial a list is a
//! condition; which of them a ready lead meets is its cell, written beside its place. A pick then reads
//! the cells it wants. Leads are sorted when a shelf is made, best first and a bite at a time, and the
//! rest behind the engine's back while nobody asks.

use super::leads::{self, Held};
use super::shelf;
use super::{LeadState, bits};
use dialer::filter::{Filter, Past, Subject};
use dialer::quota::QuotaCount;
use dialer::zone::ZoneBook;
use model::{AttemptOutcome, CampaignId, LeadId, ListId, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Conditions of one list: as many as a signed 64-bit number has bits for.
const CONDITIONS_MAX: usize = 62;
/// Leads sorted before a shelf is made: a claim waits that long, some milliseconds.
pub(super) const SORT_IN_FETCH: usize = 500;
/// Leads sorted at once while nobody asks.
pub(super) const SORT_BEHIND: usize = 2_000;
/// Leads whose time has come that are looked at again by one fetch.
const AGED_MAX: i64 = 2_000;
/// What a lead has that was not looked at yet.
const UNSORTED: i64 = 0;

/// What one campaign asks of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Conditions that have to be met; none: there are too many, and nobody is handed out.
    must: Option<u64>,
    /// Quotas, each with its condition.
    quotas: Vec<(String, u64)>,
}

/// What is asked of one list.
#[derive(Debug, Default)]
struct Conditions {
    filters: Vec<Filter>,
    /// All of it as text.
    written: String,
    by_campaign: BTreeMap<CampaignId, Asked>,
}

/// A cell of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    list: ListId,
    met: u64,
    /// It answers what is asked today.
    is_current: bool,
}

/// The cells a process knows.
#[derive(Debug, Default)]
pub(super) struct Cells {
    lists: BTreeMap<ListId, Conditions>,
    cells: BTreeMap<i64, Cell>,
    /// Quotas that have enough.
    full: BTreeSet<(CampaignId, String)>,
    /// Lists that may have leads that were not looked at.
    unsorted: BTreeSet<ListId>,
    created: BTreeMap<ListId, i64>,
    book: ZoneBook,
}

impl Cells {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        dialer: &dialer::Config,
    ) -> Result<Cells, sqlx::Error> {
        let mut cells = Cells {
            lists: conditions(dialer),
            ..Cells::default()
        };
        cells.unsorted = cells.lists.keys().copied().collect();
        cells.reload(connection).await?;
        for count in counts(connection).await? {
            cells.set_full(&count);
        }
        Ok(cells)
    }

    /// What the database has.
    pub(super) async fn reload(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let rows = sqlx::query("SELECT cell, list, conditions, met FROM cells")
            .fetch_all(connection)
            .await?;
        self.cells.clear();
        for row in &rows {
            let Ok(list) = row.get::<String, _>(1).parse::<ListId>() else {
                continue;
            };
            let written: String = row.get(2);
            let asked = self.lists.get(&list);
            let cell = Cell {
                list,
                met: row.get::<i64, _>(3).cast_unsigned(),
                is_current: asked.is_some_and(|asked| asked.written == written),
            };
            self.cells.insert(row.get(0), cell);
        }
        Ok(())
    }

    /// A quota has enough, or has room again.
    pub(super) fn set_full(&mut self, count: &QuotaCount) {
        let key = (count.campaign, count.quota.clone());
        if count.full {
            self.full.insert(key);
        } else {
            self.full.remove(&key);
        }
    }

    /// The cells from which a campaign is handed leads of a list.
    pub(super) fn wanted(&self, campaign: CampaignId, list: ListId) -> Vec<i64> {
        let of_list = self.cells.iter().filter(|(_, cell)| cell.list == list);
        let asked = self.lists.get(&list);
        let Some(asked) = asked.and_then(|asked| asked.by_campaign.get(&campaign)) else {
            return std::iter::once(UNSORTED)
                .chain(of_list.map(|(id, _)| *id))
                .collect();
        };
        let Some(must) = asked.must else {
            return Vec::new();
        };
        let full = asked
            .quotas
            .iter()
            .filter(|(name, _)| self.full.contains(&(campaign, name.clone())))
            .fold(0, |full, (_, bit)| full | bit);
        of_list
            .filter(|(_, cell)| cell.is_current && cell.met & must == must && cell.met & full == 0)
            .map(|(id, _)| *id)
            .collect()
    }

    /// The cells of leads that have to be looked at before a campaign is handed any.
    fn stale(&self, list: ListId) -> Vec<i64> {
        let stale = self.cells.iter();
        let stale = stale.filter(|(_, cell)| cell.list == list && !cell.is_current);
        std::iter::once(UNSORTED)
            .chain(stale.map(|(id, _)| *id))
            .collect()
    }

    fn asks(&self, campaign: CampaignId, list: ListId) -> bool {
        let asked = self.lists.get(&list);
        asked.is_some_and(|asked| asked.by_campaign.contains_key(&campaign))
    }

    /// Whether there is something to do while nobody asks.
    pub(super) fn is_unsorted(&self) -> bool {
        !self.unsorted.is_empty()
    }

    /// Not now: an error is told by whoever asks next.
    pub(super) fn give_up(&mut self) {
        self.unsorted.clear();
    }
}

/// What campaigns ask of their lists. Filters come first: a quota that has no bit left is kept by the
/// dialer alone, which gives such leads back.
fn conditions(dialer: &dialer::Config) -> BTreeMap<ListId, Conditions> {
    let mut lists: BTreeMap<ListId, Conditions> = BTreeMap::new();
    for is_of_quotas in [false, true] {
        for (id, campaign) in &dialer.campaigns {
            let names: BTreeSet<ListId> = campaign.lists.iter().map(|list| list.name).collect();
            for list in names {
                let filters: Vec<&Filter> = campaign.filters_of(list).collect();
                if filters.is_empty() && campaign.quotas.is_empty() {
                    continue;
                }
                let of = lists.entry(list).or_default();
                if is_of_quotas {
                    for quota in &campaign.quotas {
                        let bit = of.bit(&quota.cell);
                        let asked = of.by_campaign.entry(*id).or_default();
                        asked
                            .quotas
                            .extend(bit.map(|bit| (quota.name.clone(), bit)));
                    }
                } else {
                    let must = filters
                        .into_iter()
                        .try_fold(0, |must, filter| Some(must | of.bit(filter)?));
                    if must.is_none() {
                        tracing::error!(campaign = %id, %list, "more filters than a list can have; nobody is dialled");
                    }
                    of.by_campaign.entry(*id).or_default().must = must;
                }
            }
        }
    }
    for of in lists.values_mut() {
        let written: Vec<String> = of.filters.iter().map(Filter::canonical).collect();
        of.written = serde_json::to_string(&written).expect("text is JSON");
    }
    lists
}

impl Conditions {
    /// The bit of a condition, known or new.
    fn bit(&mut self, filter: &Filter) -> Option<u64> {
        let written = filter.canonical();
        let known = self
            .filters
            .iter()
            .position(|known| known.canonical() == written);
        let at = match known {
            Some(at) => at,
            None if self.filters.len() < CONDITIONS_MAX => {
                self.filters.push(filter.clone());
                self.filters.len() - 1
            }
            None => return None,
        };
        Some(1 << at)
    }
}

/// What was counted in quotas.
pub(super) async fn counts(
    connection: &mut SqliteConnection,
) -> Result<Vec<QuotaCount>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT campaign, quota, day, count, full FROM quotas ORDER BY campaign, quota",
    )
    .fetch_all(connection)
    .await?;
    let count = |row: &SqliteRow| {
        Some(QuotaCount {
            campaign: row.get::<String, _>(0).parse().ok()?,
            quota: row.get(1),
            day: row.get(2),
            count: row.get::<i64, _>(3).cast_unsigned(),
            full: row.get::<i64, _>(4) != 0,
        })
    };
    Ok(rows.iter().filter_map(count).collect())
}

/// Keeps what was counted in a quota. Leads of a full one are not handed out from now on.
pub(super) async fn save_count(
    connection: &mut SqliteConnection,
    held: &mut Held,
    count: &QuotaCount,
) -> Result<(), sqlx::Error> {
    held.cells.set_full(count);
    held.returns += 1;
    sqlx::query(
        "INSERT OR REPLACE INTO quotas (campaign, quota, day, count, full) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(count.campaign.as_str())
    .bind(&count.quota)
    .bind(&count.day)
    .bind(count.count.cast_signed())
    .bind(i64::from(count.full))
    .execute(connection)
    .await?;
    Ok(())
}

/// Sorts the best leads of these places that were not looked at, so that the campaign is handed the best
/// of those it wants; whether there are more.
pub(super) async fn sort_for(
    connection: &mut SqliteConnection,
    held: &mut Held,
    campaign: CampaignId,
    list: ListId,
    places: &[i64],
    now: Utc,
) -> Result<bool, sqlx::Error> {
    if !held.cells.asks(campaign, list) {
        return Ok(false);
    }
    sqlx::query(AGED)
        .bind(now.as_micros())
        .bind(AGED_MAX)
        .execute(&mut *connection)
        .await?;
    let sorted = sort(connection, held, list, places, SORT_IN_FETCH, now).await?;
    let has_more = sorted == SORT_IN_FETCH;
    if has_more {
        held.cells.unsorted.insert(list);
    }
    Ok(has_more)
}

/// The statement that has leads looked at again whose time has come; by itself, so that a test sees its plan.
pub(super) const AGED: &str = "UPDATE leads SET cell = 0, cell_until = NULL WHERE lead IN \
     (SELECT lead FROM leads WHERE state = 0 AND cell_until IS NOT NULL AND cell_until <= ? LIMIT ?)";

/// Sorts a bite of one list that may need it, wherever its leads are. To be called while nobody asks.
pub(super) async fn sort_behind(
    connection: &mut SqliteConnection,
    held: &mut Held,
    now: Utc,
) -> Result<(), sqlx::Error> {
    let Some(list) = held.cells.unsorted.first().copied() else {
        return Ok(());
    };
    held.learn_places(connection).await?;
    let places: Vec<i64> = std::iter::once(0)
        .chain(held.places.keys().copied())
        .collect();
    let sorted = sort(connection, held, list, &places, SORT_BEHIND, now).await?;
    if sorted == SORT_BEHIND {
        return Ok(());
    }
    held.cells.unsorted.remove(&list);
    // No ready lead is in them: what becomes ready is not looked at yet, whatever it was before.
    let gone: Vec<i64> = held.cells.stale(list).into_iter().skip(1).collect();
    if !gone.is_empty() {
        sqlx::query("DELETE FROM cells WHERE cell IN (SELECT value FROM json_each(?))")
            .bind(serde_json::to_string(&gone).expect("numbers are JSON"))
            .execute(connection)
            .await?;
        held.cells.cells.retain(|id, _| !gone.contains(id));
    }
    Ok(())
}

async fn sort(
    connection: &mut SqliteConnection,
    held: &mut Held,
    list: ListId,
    places: &[i64],
    most: usize,
    now: Utc,
) -> Result<usize, sqlx::Error> {
    let stale = held.cells.stale(list);
    let (ids, _) = shelf::merge(connection, list, places, &stale, (most, 0), &|_| true).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let wanted: Vec<i64> = ids.iter().map(|id| bits(id.0)).collect();
    let rows = sqlx::query(
        "SELECT leads.*, (SELECT outcome FROM attempts WHERE attempts.lead = leads.lead AND leads.attempts > 0 \
         ORDER BY claimed_at DESC, attempt DESC LIMIT 1) AS last_outcome \
         FROM json_each(?) w JOIN leads ON leads.lead = w.value WHERE leads.state = 0",
    )
    .bind(serde_json::to_string(&wanted).expect("numbers are JSON"))
    .fetch_all(&mut *connection)
    .await?;
    let created = held.created(connection, list).await?;
    let mut sorted: Vec<(i64, i64, Option<i64>, i64)> = Vec::with_capacity(rows.len());
    let mut done: Vec<i64> = Vec::new();
    for row in &rows {
        let id: i64 = row.get("lead");
        let Some(lead) = leads::read(row, held) else {
            done.push(id);
            continue;
        };
        let subject = Subject {
            lead: &lead,
            past: past(row, created),
            book: &held.cells.book,
            now,
        };
        let filters = held
            .cells
            .lists
            .get(&list)
            .map_or(&[][..], |of| &of.filters);
        let mut met = 0_u64;
        let mut until: Option<Utc> = None;
        for (at, filter) in filters.iter().enumerate() {
            met |= u64::from(filter.matches(&subject)) << at;
            until = [until, filter.changes_at(&subject)]
                .into_iter()
                .flatten()
                .min();
        }
        let place = match row.get::<i64, _>("place") {
            0 => held.place(connection, &lead).await?,
            place => place,
        };
        let cell = held.cell(connection, list, met).await?;
        sorted.push((id, cell, until.map(Utc::as_micros), place));
    }
    sqlx::query(
        "UPDATE leads SET cell = s.value->>1, cell_until = s.value->>2, place = s.value->>3 \
         FROM json_each(?) s WHERE leads.lead = s.value->>0",
    )
    .bind(serde_json::to_string(&sorted).expect("numbers are JSON"))
    .execute(&mut *connection)
    .await?;
    if !done.is_empty() {
        sqlx::query("UPDATE leads SET state = ? WHERE lead IN (SELECT value FROM json_each(?))")
            .bind(LeadState::Done as i64)
            .bind(serde_json::to_string(&done).expect("numbers are JSON"))
            .execute(connection)
            .await?;
    }
    Ok(ids.len())
}

/// What a row says of the lead's past; it has the column `last_outcome`.
pub(super) fn past(row: &SqliteRow, created_us: i64) -> Past {
    let added_us = match row.get::<i64, _>("added_at") {
        0 => created_us,
        us => us,
    };
    Past {
        added_at: Utc::from_micros(added_us),
        last_outcome: row
            .get::<Option<String>, _>("last_outcome")
            .and_then(|name| AttemptOutcome::from_name(&name)),
    }
}

/// When a list was begun.
pub(super) async fn created(
    connection: &mut SqliteConnection,
    list: ListId,
) -> Result<i64, sqlx::Error> {
    let row = sqlx::query("SELECT created_at FROM lists WHERE list = ?")
        .bind(list.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

impl Held {
    async fn created(
        &mut self,
        connection: &mut SqliteConnection,
        list: ListId,
    ) -> Result<i64, sqlx::Error> {
        if let Some(at) = self.cells.created.get(&list) {
            return Ok(*at);
        }
        let at = created(connection, list).await?;
        self.cells.created.insert(list, at);
        Ok(at)
    }

    /// The number of a cell that answers what is asked today.
    async fn cell(
        &mut self,
        connection: &mut SqliteConnection,
        list: ListId,
        met: u64,
    ) -> Result<i64, sqlx::Error> {
        let is = Cell {
            list,
            met,
            is_current: true,
        };
        let known = self.cells.cells.iter().find(|(_, cell)| **cell == is);
        if let Some((id, _)) = known {
            return Ok(*id);
        }
        let written = self.cells.lists.get(&list).map_or("", |of| &of.written);
        let id = sqlx::query("INSERT INTO cells (list, conditions, met) VALUES (?, ?, ?)")
            .bind(list.as_str())
            .bind(written)
            .bind(met.cast_signed())
            .execute(connection)
            .await?
            .last_insert_rowid();
        self.cells.cells.insert(id, is);
        Ok(id)
    }
}

/// Dials of a lead that are told with it: more than any campaign makes.
const DIALS_MAX: i64 = 64;

/// When these leads were dialled, for a campaign that asks for it; those who never were are left out.
pub(super) async fn pasts(
    connection: &mut SqliteConnection,
    leads: impl Iterator<Item = LeadId>,
) -> Result<Vec<dialer::input::LeadPast>, sqlx::Error> {
    let ids: Vec<i64> = leads.map(|lead| bits(lead.0)).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT w.value, (SELECT GROUP_CONCAT(claimed_at) FROM (SELECT claimed_at FROM attempts \
         WHERE lead = w.value AND (outcome IS NULL OR outcome <> 'blocked') ORDER BY claimed_at DESC LIMIT ?)) \
         FROM json_each(?) w",
    )
    .bind(DIALS_MAX)
    .bind(serde_json::to_string(&ids).expect("numbers are JSON"))
    .fetch_all(connection)
    .await?;
    let past = |row: &SqliteRow| {
        let dials: Option<String> = row.get(1);
        let mut dials: Vec<Utc> = dials?
            .split(',')
            .filter_map(|us| us.parse().ok())
            .map(Utc::from_micros)
            .collect();
        dials.sort_unstable();
        Some(dialer::input::LeadPast {
            lead: LeadId(row.get::<i64, _>(0).cast_unsigned()),
            dials,
        })
    };
    Ok(rows.iter().filter_map(past).collect())
}
