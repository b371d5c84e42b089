//! What is asked of leads. Every filter and quota of the campaigns that dial a list is a condition; which
//! of them a ready lead meets is its cell, written beside its place. A pick then reads the cells it wants.
//! Who is in which cell is found out by [`sort`](super::sort).

use super::bits;
use super::leads::Held;
use super::sort::{self, Reading};
use dialer::filter::{Filter, Past};
use dialer::quota::QuotaCount;
use dialer::zone::ZoneBook;
use model::{AttemptOutcome, CampaignId, LeadId, ListId, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Conditions of one list: as many as a signed 64-bit number has bits for.
const CONDITIONS_MAX: usize = 62;
/// The cell of a lead that meets nothing, or was not looked at yet: that depends on how far its list was.
pub(super) const NOTHING: i64 = 0;
/// The cell of a lead that has changed since it was looked at. Whoever makes a lead ready writes it.
pub(super) const CHANGED: i64 = -1;

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
    /// A campaign also wants leads that meet nothing: they have a cell of their own.
    wants_nothing: bool,
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
    /// How far the lists of which something is asked were looked through.
    pub through: BTreeMap<ListId, i64>,
    /// There may be leads beyond that.
    pub is_behind: bool,
    /// Leads passed since it was written down how far that went.
    pub passed: usize,
    /// Lists that may have leads that have changed.
    pub changed: BTreeSet<ListId>,
    /// There may be leads whose time has come.
    pub is_aging: bool,
    pub reading: Reading,
    pub book: ZoneBook,
    created: BTreeMap<ListId, i64>,
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
        let filters = cells.lists.values().flat_map(|asked| &asked.filters);
        cells.reading = Reading::of(filters);
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
            .fetch_all(&mut *connection)
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
        sort::load_through(connection, self).await
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
            return [NOTHING, CHANGED]
                .into_iter()
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

    /// Cells of what was asked before.
    pub(super) fn stale(&self, list: ListId) -> Vec<i64> {
        let stale = self.cells.iter();
        let stale = stale.filter(|(_, cell)| cell.list == list && !cell.is_current);
        stale.map(|(id, _)| *id).collect()
    }

    pub(super) fn forget(&mut self, gone: &[i64]) {
        self.cells.retain(|id, _| !gone.contains(id));
    }

    /// The cell of leads that meet this, if there are any yet.
    pub(super) fn known(&self, list: ListId, met: u64) -> Option<i64> {
        let asked = self.lists.get(&list);
        if met == 0 && asked.is_some_and(|asked| !asked.wants_nothing) {
            return Some(NOTHING);
        }
        let is = Cell {
            list,
            met,
            is_current: true,
        };
        let known = self.cells.iter().find(|(_, cell)| **cell == is);
        known.map(|(id, _)| *id)
    }

    /// Lists of which something is asked.
    pub(super) fn asked(&self) -> impl Iterator<Item = ListId> {
        self.lists.keys().copied()
    }

    /// What is asked of a list.
    pub(super) fn filters(&self, list: ListId) -> &[Filter] {
        self.lists.get(&list).map_or(&[], |asked| &asked.filters)
    }

    /// What is asked of a list, as text.
    pub(super) fn written(&self, list: ListId) -> &str {
        self.lists.get(&list).map_or("", |asked| &asked.written)
    }

    pub(super) fn asks(&self, campaign: CampaignId, list: ListId) -> bool {
        let asked = self.lists.get(&list);
        asked.is_some_and(|asked| asked.by_campaign.contains_key(&campaign))
    }

    /// Whether there is something to look at while nobody asks.
    pub(super) fn is_unsorted(&self) -> bool {
        self.is_behind || self.is_aging || !self.changed.is_empty()
    }

    /// Not now: an error is told by whoever asks next.
    pub(super) fn give_up(&mut self) {
        self.is_behind = false;
        self.is_aging = false;
        self.changed.clear();
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
        of.wants_nothing = of.by_campaign.values().any(|asked| asked.must == Some(0));
        let written: Vec<String> = of.filters.iter().map(Filter::canonical).collect();
        of.written = serde_json::to_string(&(of.wants_nothing, written)).expect("text is JSON");
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
    pub(super) async fn created(
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
    pub(super) async fn cell(
        &mut self,
        connection: &mut SqliteConnection,
        list: ListId,
        met: u64,
    ) -> Result<i64, sqlx::Error> {
        if let Some(id) = self.cells.known(list, met) {
            return Ok(id);
        }
        let is = Cell {
            list,
            met,
            is_current: true,
        };
        let written = self.cells.written(list);
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
