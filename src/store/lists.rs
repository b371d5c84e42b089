//! Lists as people look after them: counted, shown, exported, dialled again. On a connection of its
//! own, beside a running engine or without one.

use super::{LeadState, StoreConfig, StoreError, bits, connect};
use futures_util::TryStreamExt;
use model::{AttemptOutcome, LeadId, ListId, PhoneNumber};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::io::Write;

/// Leads recycled in one transaction: it holds the writer's lock for some tens of milliseconds, and a
/// claim of the live engine waits that long at most.
const RECYCLE_ROWS: i64 = 2_000;

/// Columns of an exported list, before the customer's own.
const EXPORTED: [&str; 11] = [
    "phone",
    "phone2",
    "phone3",
    "name",
    "time_zone",
    "customer_key",
    "priority",
    "state",
    "attempts",
    "last_outcome",
    "last_disposition",
];

/// One list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListCounts {
    /// Its name.
    pub list: String,
    /// Leads that can be dialled.
    pub ready: u64,
    /// Leads that wait for their time.
    pub scheduled: u64,
    /// Leads that are being dialled.
    pub dialling: u64,
    /// Leads that are not dialled again.
    pub done: u64,
}

/// The lists of a database.
pub struct Lists {
    runtime: tokio::runtime::Runtime,
    connection: SqliteConnection,
}

impl Lists {
    /// Opens them; brings the tables up to date.
    ///
    /// # Errors
    /// Where the database cannot be opened.
    pub fn open(config: &StoreConfig) -> Result<Lists, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let connection = runtime.block_on(async {
            let mut connection = connect(config).await?;
            sqlx::migrate!("src/store/migrations")
                .run(&mut connection)
                .await?;
            Ok::<_, StoreError>(connection)
        })?;
        Ok(Lists {
            runtime,
            connection,
        })
    }

    pub(super) fn parts(&mut self) -> (&tokio::runtime::Runtime, &mut SqliteConnection) {
        (&self.runtime, &mut self.connection)
    }

    /// The do-not-call lists that are not our own.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn do_not_call(&mut self) -> Result<Vec<super::DoNotCallList>, StoreError> {
        self.runtime
            .block_on(super::do_not_call::lists(&mut self.connection))
    }

    /// How many leads each list has, by state. Reads all of them.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn counts(&mut self) -> Result<Vec<ListCounts>, StoreError> {
        let rows = self.runtime.block_on(
            sqlx::query(
                "SELECT lists.list, SUM(state = 0), SUM(state = 1), SUM(state = 2), SUM(state = 3) \
                 FROM lists LEFT JOIN leads ON leads.list = lists.list GROUP BY lists.list ORDER BY lists.list",
            )
            .fetch_all(&mut self.connection),
        )?;
        let count =
            |row: &SqliteRow, at: usize| row.get::<Option<i64>, _>(at).unwrap_or(0).cast_unsigned();
        let counts = |row: &SqliteRow| ListCounts {
            list: row.get(0),
            ready: count(row, 1),
            scheduled: count(row, 2),
            dialling: count(row, 3),
            done: count(row, 4),
        };
        Ok(rows.iter().map(counts).collect())
    }

    /// Leads by their id, or by one of their numbers; each with its attempts.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn find(&mut self, what: &str) -> Result<Vec<Value>, StoreError> {
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            let id = what
                .trim_start_matches("lead-")
                .parse::<u64>()
                .ok()
                .filter(|_| !what.starts_with('+'));
            let rows = match (id, what.parse::<PhoneNumber>()) {
                (Some(id), _) => {
                    sqlx::query("SELECT * FROM leads WHERE lead = ?")
                        .bind(bits(id))
                        .fetch_all(&mut *connection)
                        .await?
                }
                (None, Ok(number)) => {
                    sqlx::query("SELECT * FROM leads WHERE ' ' || numbers || ' ' LIKE ?")
                        .bind(format!("% {number} %"))
                        .fetch_all(&mut *connection)
                        .await?
                }
                (None, Err(_)) => Vec::new(),
            };
            let mut found = Vec::with_capacity(rows.len());
            for row in &rows {
                let attempts = sqlx::query(
                    "SELECT campaign, number, claimed_at, outcome FROM attempts WHERE lead = ? ORDER BY claimed_at",
                )
                .bind(row.get::<i64, _>("lead"))
                .fetch_all(&mut *connection)
                .await?;
                let attempt = |row: &SqliteRow| {
                    json!({
                        "campaign": row.get::<String, _>(0),
                        "number": row.get::<String, _>(1),
                        "at": time(row.get(2)),
                        "outcome": row.get::<Option<String>, _>(3),
                    })
                };
                let mut lead = shown(row);
                lead.insert("attempts_made".into(), attempts.iter().map(attempt).collect());
                found.push(Value::Object(lead));
            }
            Ok(found)
        })
    }

    /// Makes leads of a list ready again whose last attempt came to one of these; how many. In short
    /// transactions: a running engine dials meanwhile. A lead being dialled is left alone.
    ///
    /// # Errors
    /// Where the database fails; what was recycled before stays so.
    pub fn recycle(
        &mut self,
        list: ListId,
        outcomes: &[AttemptOutcome],
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        const WHICH: &str = "FROM leads WHERE list = ? AND state = ? AND lead > ? AND \
             (SELECT outcome FROM attempts WHERE attempts.lead = leads.lead ORDER BY claimed_at DESC, attempt DESC LIMIT 1) \
             IN (SELECT value FROM json_each(?))";
        let names: Vec<&str> = outcomes
            .iter()
            .filter(|outcome| **outcome != AttemptOutcome::AnsweredAgent)
            .map(|outcome| outcome.name())
            .collect();
        let names = serde_json::to_string(&names).expect("text is JSON");
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            if dry_run {
                let row = sqlx::query(&format!("SELECT COUNT(*) {WHICH}"))
                    .bind(list.as_str())
                    .bind(LeadState::Done as i64)
                    .bind(i64::MIN)
                    .bind(&names)
                    .fetch_one(&mut *connection)
                    .await?;
                return Ok(row.get::<i64, _>(0).cast_unsigned());
            }
            let (mut count, mut last) = (0, i64::MIN);
            loop {
                let sql = format!(
                    "UPDATE leads SET state = 0, attempts = 0, not_before = 0, next_number = 0, place = 0, cell = -1 \
                     WHERE lead IN (SELECT lead {WHICH} ORDER BY lead LIMIT ?) RETURNING lead"
                );
                let rows = sqlx::query(&sql)
                    .bind(list.as_str())
                    .bind(LeadState::Done as i64)
                    .bind(last)
                    .bind(&names)
                    .bind(RECYCLE_ROWS)
                    .fetch_all(&mut *connection)
                    .await?;
                let Some(until) = rows.iter().map(|row| row.get::<i64, _>(0)).max() else {
                    return Ok(count);
                };
                last = until;
                count += rows.len() as u64;
            }
        })
    }

    /// Writes a list out: CSV that can be imported again, or a JSON object a line.
    ///
    /// # Errors
    /// Where the database or the output fails.
    pub fn export(
        &mut self,
        list: ListId,
        as_json: bool,
        out: &mut impl Write,
    ) -> Result<(), StoreError> {
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            let fields: Vec<String> = sqlx::query(
                "SELECT DISTINCT f.key FROM leads, json_each(leads.fields) f WHERE list = ? ORDER BY f.key",
            )
            .bind(list.as_str())
            .fetch_all(&mut *connection)
            .await?
            .iter()
            .map(|row| row.get(0))
            // A customer's column of a name of ours would be there twice.
            .filter(|name: &String| !EXPORTED.contains(&name.as_str()) || name == "state")
            .collect();
            let mut rows = sqlx::query(
                "SELECT leads.*, (SELECT outcome FROM attempts WHERE attempts.lead = leads.lead \
                 ORDER BY claimed_at DESC, attempt DESC LIMIT 1) AS last_outcome FROM leads WHERE list = ? ORDER BY lead",
            )
            .bind(list.as_str())
            .fetch(&mut *connection);
            if as_json {
                while let Some(row) = rows.try_next().await? {
                    let mut lead = shown(&row);
                    lead.insert("last_outcome".into(), row.get::<Option<String>, _>("last_outcome").into());
                    writeln!(out, "{}", Value::Object(lead))?;
                }
                return Ok(());
            }
            let mut csv = csv::Writer::from_writer(out);
            // `state` of the customer is the address's; ours is written as `tandem_state`.
            let ours = EXPORTED.map(|name| if name == "state" { "tandem_state" } else { name });
            let header = ours.into_iter().chain(fields.iter().map(String::as_str));
            csv.write_record(header).map_err(std::io::Error::from)?;
            while let Some(row) = rows.try_next().await? {
                let numbers: String = row.get("numbers");
                let mut numbers = numbers.split(' ');
                let optional = |name: &str| row.get::<Option<String>, _>(name).unwrap_or_default();
                let mut cells: Vec<String> = (0..3)
                    .map(|_| numbers.next().unwrap_or("").to_string())
                    .collect();
                cells.extend(["name", "time_zone", "customer_key"].map(optional));
                cells.push(row.get::<i64, _>("priority").to_string());
                cells.push(state(row.get("state")).to_string());
                cells.push(row.get::<i64, _>("attempts").to_string());
                cells.extend(["last_outcome", "last_disposition"].map(optional));
                let own: Map<String, Value> =
                    serde_json::from_str(&row.get::<String, _>("fields")).unwrap_or_default();
                let own = |name: &String| own.get(name).and_then(Value::as_str).unwrap_or("").to_string();
                cells.extend(fields.iter().map(own));
                csv.write_record(&cells).map_err(std::io::Error::from)?;
            }
            csv.flush()?;
            Ok(())
        })
    }
}

/// A lead as JSON.
fn shown(row: &SqliteRow) -> Map<String, Value> {
    let id = LeadId(row.get::<i64, _>("lead").cast_unsigned());
    let numbers: String = row.get("numbers");
    let fields: Value =
        serde_json::from_str(&row.get::<String, _>("fields")).unwrap_or(Value::Null);
    let not_before: i64 = row.get("not_before");
    let optional = |name: &str| row.get::<Option<String>, _>(name);
    let lead = json!({
        "lead": id.0,
        "list": row.get::<String, _>("list"),
        "state": state(row.get("state")),
        "phones": numbers.split(' ').collect::<Vec<_>>(),
        "next_number": row.get::<i64, _>("next_number"),
        "attempts": row.get::<i64, _>("attempts"),
        "priority": row.get::<i64, _>("priority"),
        "not_before": (not_before > 0).then(|| time(not_before)),
        "time_zone": optional("time_zone"),
        "name": optional("name"),
        "customer_key": optional("customer_key"),
        "last_disposition": optional("last_disposition"),
        "fields": fields,
    });
    match lead {
        Value::Object(lead) => lead,
        _ => Map::new(),
    }
}

fn state(state: i64) -> &'static str {
    match state {
        0 => "ready",
        1 => "scheduled",
        2 => "dialling",
        _ => "done",
    }
}

fn time(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |at| at.to_string())
}
