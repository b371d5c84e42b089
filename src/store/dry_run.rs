//! What a filter would come to: counted over a list, nothing changed.

use super::lists::Lists;
use super::{LeadState, StoreConfig, StoreError, cells, leads, quotas};
use dialer::filter::{Filter, Subject};
use dialer::zone::ZoneBook;
use futures_util::TryStreamExt;
use model::{CampaignId, LeadId, ListId, Utc};
use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Cells that cannot be read and are shown, of each column.
const EXAMPLES_MAX: usize = 3;

/// What a filter comes to in one list, over leads that are not done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterCount {
    /// Which list.
    pub list: ListId,
    /// Leads that are dialled.
    pub matches: u64,
    /// Leads that are not.
    pub others: u64,
    /// Columns with cells that cannot be read as the type asked.
    pub unreadable: Vec<UnreadableColumn>,
}

/// One column with cells that cannot be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnreadableColumn {
    /// Its name.
    pub column: String,
    /// How many.
    pub cells: u64,
    /// The first of them.
    pub examples: Vec<UnreadableCell>,
}

/// One cell that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableCell {
    /// Whose.
    pub lead: LeadId,
    /// What stands there.
    pub cell: String,
}

impl Lists {
    /// Counts whom these filters let through, all of them together.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn filter(
        &mut self,
        list: ListId,
        filters: &[&Filter],
        now: Utc,
    ) -> Result<FilterCount, StoreError> {
        let (runtime, connection) = self.parts();
        runtime.block_on(async {
            let created = cells::created(connection, list).await?;
            let book = ZoneBook::default();
            let mut count = FilterCount {
                list,
                matches: 0,
                others: 0,
                unreadable: Vec::new(),
            };
            let mut unreadable: BTreeMap<String, UnreadableColumn> = BTreeMap::new();
            let mut rows = sqlx::query(
                "SELECT leads.*, (SELECT outcome FROM attempts WHERE attempts.lead = leads.lead AND leads.attempts > 0 \
                 ORDER BY claimed_at DESC, attempt DESC LIMIT 1) AS last_outcome FROM leads WHERE list = ? AND state <> ?",
            )
            .bind(list.as_str())
            .bind(LeadState::Done as i64)
            .fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                let Some(lead) = leads::read_any(&row) else {
                    continue;
                };
                let subject = Subject {
                    lead: &lead,
                    past: cells::past(&row, created),
                    book: &book,
                    now,
                };
                let mut matches = true;
                for filter in filters {
                    let (is, cells) = filter.explain(&subject);
                    matches &= is;
                    for cell in cells {
                        let column = unreadable.entry(cell.column.clone()).or_insert_with(|| {
                            UnreadableColumn {
                                column: cell.column,
                                cells: 0,
                                examples: Vec::new(),
                            }
                        });
                        let (lead, cell) = (lead.id, cell.cell);
                        let example = UnreadableCell { lead, cell };
                        // A filter that asks twice has one cell that cannot be read.
                        if column.examples.last() == Some(&example) {
                            continue;
                        }
                        column.cells += 1;
                        if column.examples.len() < EXAMPLES_MAX {
                            column.examples.push(example);
                        }
                    }
                }
                match matches {
                    true => count.matches += 1,
                    false => count.others += 1,
                }
            }
            count.unreadable = unreadable.into_values().collect();
            Ok(count)
        })
    }

    /// The quotas of a campaign.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn quotas(
        &mut self,
        dialer: &dialer::Config,
        campaign: CampaignId,
    ) -> Result<Vec<quotas::QuotaRow>, StoreError> {
        let (runtime, connection) = self.parts();
        Ok(runtime.block_on(quotas::rows(connection, dialer, campaign))?)
    }
}

/// The customer's own columns of every list that was imported. Reads only; a database of before there
/// were filters has none.
///
/// # Errors
/// Where the database cannot be read.
pub fn list_columns(
    config: &StoreConfig,
) -> Result<BTreeMap<ListId, BTreeSet<String>>, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(&config.path)
            .read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let is_there = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = 'list_columns'")
            .fetch_optional(&mut connection)
            .await?;
        let mut columns: BTreeMap<ListId, BTreeSet<String>> = BTreeMap::new();
        if is_there.is_none() {
            return Ok(columns);
        }
        let rows = sqlx::query(
            "SELECT lists.list, name FROM lists LEFT JOIN list_columns ON list_columns.list = lists.list",
        )
        .fetch_all(&mut connection)
        .await?;
        for row in &rows {
            let Ok(list) = row.get::<String, _>(0).parse() else {
                continue;
            };
            let names = columns.entry(list).or_default();
            names.extend(row.get::<Option<String>, _>(1));
        }
        Ok(columns)
    })
}
