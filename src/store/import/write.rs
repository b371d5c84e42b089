//! Writing leads: many rows to a statement, few statements to a transaction, one connection of its own.

use super::ImportOptions;
use super::row::{Columns, Draft};
use crate::store::places::PlaceBook;
use crate::store::{LeadState, StoreError};
use model::{ListId, Utc};
use sqlx::SqliteConnection;
use std::fmt::Write;

/// Rows of one INSERT: SQLite takes 32,766 parameters, eleven of which make a row; beyond some hundred
/// rows the gain is gone.
const INSERT_ROWS: usize = 250;

/// Pages kept in memory, in KB: every place has its own end of the index, and they are written in turn.
const CACHE_KB: i64 = 64 * 1024;

/// Pages in the log before they are put in place, 64 MB: the same ends of the index come again and again.
const WAL_PAGES: i64 = 16_000;

/// A lead on its way into the database.
struct Row {
    state: LeadState,
    priority: i16,
    not_before: i64,
    numbers: String,
    time_zone: Option<String>,
    name: Option<String>,
    customer_key: Option<String>,
    fields: String,
    /// Index in the book of places.
    place: usize,
}

pub(super) struct Writer {
    connection: SqliteConnection,
    list: ListId,
    places: PlaceBook,
    now_us: i64,
    rows: Vec<Row>,
    /// The INSERT of a full chunk.
    full: String,
}

impl Writer {
    pub(super) async fn begin(
        mut connection: SqliteConnection,
        options: &ImportOptions,
        now: Utc,
        places: PlaceBook,
    ) -> Result<Writer, sqlx::Error> {
        if !options.dry_run {
            sqlx::query("INSERT OR IGNORE INTO lists (list, created_at) VALUES (?, ?)")
                .bind(options.list.as_str())
                .bind(now.as_micros())
                .execute(&mut connection)
                .await?;
            // A power cut may take the last transactions of an import that has not ended; what the
            // engine commits meanwhile is flushed with all that came before it.
            sqlx::query("PRAGMA synchronous = NORMAL")
                .execute(&mut connection)
                .await?;
            for (pragma, value) in [("cache_size", -CACHE_KB), ("wal_autocheckpoint", WAL_PAGES)] {
                sqlx::query(&format!("PRAGMA {pragma} = {value}"))
                    .execute(&mut connection)
                    .await?;
            }
        }
        Ok(Writer {
            connection,
            list: options.list,
            places,
            now_us: now.as_micros(),
            rows: Vec::new(),
            full: insert(INSERT_ROWS),
        })
    }

    pub(super) fn waiting(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn push(&mut self, draft: &Draft, columns: &Columns<'_>) {
        let list = self.list;
        let address = draft
            .fields()
            .iter()
            .map(|(at, value)| (columns.field(*at), value.as_str()))
            .filter(|(column, _)| dialer::place::is_address(column));
        let place = self
            .places
            .slot(draft.numbers()[0], draft.time_zone(), address, || {
                draft.lead(list, columns)
            });
        let owned = |text: Option<&str>| text.map(str::to_string);
        self.rows.push(Row {
            state: match draft.is_due() {
                true => LeadState::Ready,
                false => LeadState::Scheduled,
            },
            priority: draft.priority,
            not_before: draft.not_before,
            numbers: draft.numbers_text(),
            time_zone: owned(draft.time_zone()),
            name: owned(draft.name()),
            customer_key: owned(draft.customer_key()),
            fields: draft.fields_text(columns),
            place,
        });
    }

    /// What waits, in one transaction.
    pub(super) async fn write(&mut self) -> Result<(), sqlx::Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut self.connection)
            .await?;
        self.places.settle(&mut self.connection).await?;
        let mut rows = std::mem::take(&mut self.rows);
        let mut waiting = rows.drain(..).peekable();
        let mut left = waiting.len();
        while left > 0 {
            let chunk = left.min(INSERT_ROWS);
            let short;
            let sql = match chunk == INSERT_ROWS {
                true => &self.full,
                false => {
                    short = insert(chunk);
                    &short
                }
            };
            let mut query = sqlx::query(sql).persistent(chunk == INSERT_ROWS);
            for row in waiting.by_ref().take(chunk) {
                query = query
                    .bind(self.list.as_str())
                    .bind(row.state as i64)
                    .bind(i64::from(row.priority))
                    .bind(row.not_before)
                    .bind(row.numbers)
                    .bind(row.time_zone)
                    .bind(row.name)
                    .bind(row.customer_key)
                    .bind(row.fields)
                    .bind(self.places.id(row.place))
                    .bind(self.now_us);
            }
            query.execute(&mut self.connection).await?;
            left -= chunk;
        }
        drop(waiting);
        self.rows = rows;
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }

    /// The customer's own columns, once a file was read.
    pub(super) async fn name_columns(&mut self, columns: &Columns<'_>) -> Result<(), sqlx::Error> {
        let names = serde_json::to_string(columns.fields()).expect("text is JSON");
        sqlx::query(
            "INSERT OR IGNORE INTO list_columns (list, name) SELECT ?, value FROM json_each(?)",
        )
        .bind(self.list.as_str())
        .bind(names)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// The rest; when this returns, everything is on the disk.
    pub(super) async fn finish(&mut self) -> Result<(), StoreError> {
        self.write().await?;
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

fn insert(rows: usize) -> String {
    let mut sql = String::from(
        "INSERT INTO leads (list, state, priority, not_before, numbers, time_zone, name, customer_key, fields, place, added_at) VALUES ",
    );
    for row in 0..rows {
        let comma = if row == 0 { "" } else { "," };
        // Without numbers: SQLite looks a numbered parameter up by going through all before it.
        write!(sql, "{comma}(?,?,?,?,?,?,?,?,?,?,?)").expect("a string grows");
    }
    sql
}
