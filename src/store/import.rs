//! Reading a list of leads from CSV: every line is accepted, a duplicate, or rejected with the place
//! and the reason. Runs beside a live store: it writes in short transactions between the claims.

use super::{LeadState, StoreConfig, StoreError, connect};
use model::{ListId, PhoneNumber, Utc};
use serde::Serialize;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

/// Rows of one INSERT: SQLite takes 32,766 parameters, nine of which make a row; beyond a few
/// hundred rows the gain is gone.
const INSERT_ROWS: usize = 500;

/// Rows of one transaction. It holds the writer's lock for some tens of milliseconds, and a claim of
/// the live engine waits that long at most.
const TRANSACTION_ROWS: usize = 5_000;

/// Longest cell in bytes. What is longer is a broken quote that swallowed lines.
const CELL_BYTES_MAX: usize = 4_096;

/// Rejections kept with their place; all are counted.
const REJECTIONS_MAX: usize = 10_000;

/// Numbers of one lead: `phone`, `phone2` … `phone9`.
const NUMBERS_MAX: usize = 9;

/// What is imported, and how.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The list the leads belong to; created where it is new.
    pub list: ListId,
    /// Column of the file → column of ours, for files with other names. What is not mapped keeps its name.
    pub mapping: BTreeMap<String, String>,
    /// Country code without `+` for numbers in national form; without it those are rejected.
    pub default_country: Option<String>,
    /// Check everything, write nothing.
    pub dry_run: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Lines read.
    pub lines: u64,
    /// Of those, accepted.
    pub accepted: u64,
}

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// In the file, the header being line 1.
    pub line: u64,
    /// The column as the file calls it; empty where the line as a whole is broken.
    pub column: String,
    /// Why.
    pub reason: String,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Leads written (or, in a dry run, that would be).
    pub accepted: u64,
    /// Lines whose number or customer key the list already has, with their line.
    pub duplicates: u64,
    /// Lines rejected, all.
    pub rejected_total: u64,
    /// The first of them (at most 10,000).
    pub rejected: Vec<Rejection>,
}

/// Why an import stopped. What was written before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    File(#[from] csv::Error),
    /// There is no column with numbers.
    #[error("there is no column \"phone\"; the file has: {0}")]
    NoPhone(String),
    /// Two columns of the file stand for the same column.
    #[error("two columns stand for \"{0}\"")]
    ColumnTwice(String),
    /// The default country is not one to three digits.
    #[error("\"{0}\" is not a country code; write 49, not +49 or DE")]
    Country(String),
    /// No runtime.
    #[error("the import could not be started: {0}")]
    Io(#[from] std::io::Error),
}

impl From<sqlx::Error> for ImportError {
    fn from(error: sqlx::Error) -> Self {
        ImportError::Store(error.into())
    }
}

/// What a column means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Phone(usize),
    Name,
    TimeZone,
    CustomerKey,
    Priority,
    NotBefore,
    Field(String),
}

/// A lead on its way into the database.
struct NewLead {
    state: LeadState,
    priority: i16,
    not_before: i64,
    numbers: String,
    time_zone: Option<String>,
    name: Option<String>,
    customer_key: Option<String>,
    fields: String,
}

/// Imports a CSV file with a header. Blocks; opens its own connection, so that it may run in another
/// process than the engine. `now` decides whether a `not_before` still lies ahead.
pub fn import_csv(
    store: &StoreConfig,
    reader: impl Read,
    options: &ImportOptions,
    now: Utc,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport, ImportError> {
    import_csv_with(store, reader, options, now, progress, &mut |_| Ok(()))
}

/// As [`import_csv`]; hands every rejection to `rejected`, also those beyond what the report keeps.
pub fn import_csv_with(
    store: &StoreConfig,
    reader: impl Read,
    options: &ImportOptions,
    now: Utc,
    progress: &mut dyn FnMut(Progress),
    rejected: &mut dyn FnMut(&Rejection) -> std::io::Result<()>,
) -> Result<ImportReport, ImportError> {
    if let Some(country) = &options.default_country
        && (country.is_empty() || country.len() > 3 || !country.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(ImportError::Country(country.clone()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connection = connect(store).await?;
        sqlx::migrate!("src/store/migrations")
            .run(&mut connection)
            .await
            .map_err(StoreError::from)?;
        let mut import = Import::prepare(&mut connection, options, now).await?;
        import
            .read(&mut connection, reader, progress, rejected)
            .await
    })
}

struct Import<'a> {
    options: &'a ImportOptions,
    now: Utc,
    /// Digits of every number of the list, as a number. Only looked up.
    numbers: HashSet<u64>,
    /// Customer keys of the list. Only looked up.
    keys: HashSet<String>,
    /// Zones already looked up. Only looked up.
    zones: HashMap<String, bool>,
    report: ImportReport,
}

impl<'a> Import<'a> {
    async fn prepare(
        connection: &mut SqliteConnection,
        options: &'a ImportOptions,
        now: Utc,
    ) -> Result<Import<'a>, ImportError> {
        if !options.dry_run {
            sqlx::query("INSERT OR IGNORE INTO lists (list, created_at) VALUES (?, ?)")
                .bind(options.list.as_str())
                .bind(now.as_micros())
                .execute(&mut *connection)
                .await?;
        }
        let mut import = Import {
            options,
            now,
            numbers: HashSet::new(),
            keys: HashSet::new(),
            zones: HashMap::new(),
            report: ImportReport::default(),
        };
        let known = sqlx::query("SELECT numbers, customer_key FROM leads WHERE list = ?")
            .bind(options.list.as_str())
            .fetch_all(connection)
            .await?;
        for row in known {
            let numbers: String = row.get(0);
            import.numbers.extend(
                numbers
                    .split(' ')
                    .filter_map(|number| number.trim_start_matches('+').parse::<u64>().ok()),
            );
            import.keys.extend(row.get::<Option<String>, _>(1));
        }
        Ok(import)
    }

    async fn read(
        &mut self,
        connection: &mut SqliteConnection,
        reader: impl Read,
        progress: &mut dyn FnMut(Progress),
        rejected: &mut dyn FnMut(&Rejection) -> std::io::Result<()>,
    ) -> Result<ImportReport, ImportError> {
        let mut csv = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(reader);
        let names: Vec<String> = csv
            .headers()?
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').to_string())
            .collect();
        let columns = self.columns(&names)?;
        let mut waiting: Vec<NewLead> = Vec::with_capacity(TRANSACTION_ROWS);
        let mut lines = 0;
        let mut record = csv::StringRecord::new();
        loop {
            let line = csv.position().line();
            match csv.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    lines += 1;
                    let line = record.position().map_or(line, csv::Position::line);
                    match self.lead(&names, &columns, &record) {
                        Ok(Some(row)) => {
                            self.report.accepted += 1;
                            waiting.push(row);
                        }
                        Ok(None) => self.report.duplicates += 1,
                        Err((column, reason)) => self.reject(line, column, reason, rejected)?,
                    }
                }
                Err(error) if matches!(error.kind(), csv::ErrorKind::Io(_)) => {
                    return Err(error.into());
                }
                Err(error) => {
                    lines += 1;
                    let line = error.position().map_or(line, csv::Position::line);
                    self.reject(line, String::new(), error.to_string(), rejected)?;
                }
            }
            if waiting.len() >= TRANSACTION_ROWS {
                self.write(connection, &mut waiting).await?;
                progress(Progress {
                    lines,
                    accepted: self.report.accepted,
                });
            }
        }
        self.write(connection, &mut waiting).await?;
        progress(Progress {
            lines,
            accepted: self.report.accepted,
        });
        Ok(std::mem::take(&mut self.report))
    }

    fn columns(&self, names: &[String]) -> Result<Vec<Column>, ImportError> {
        let mut columns: Vec<Column> = Vec::with_capacity(names.len());
        for name in names {
            let ours = self.options.mapping.get(name).unwrap_or(name);
            let column = match ours.as_str() {
                "phone" | "phone1" => Column::Phone(0),
                "name" => Column::Name,
                "time_zone" => Column::TimeZone,
                "customer_key" => Column::CustomerKey,
                "priority" => Column::Priority,
                "not_before" => Column::NotBefore,
                other => match other
                    .strip_prefix("phone")
                    .and_then(|n| n.parse::<usize>().ok())
                {
                    Some(n @ 2..=NUMBERS_MAX) => Column::Phone(n - 1),
                    Some(_) | None => Column::Field(other.to_string()),
                },
            };
            if columns.contains(&column) {
                return Err(ImportError::ColumnTwice(ours.clone()));
            }
            columns.push(column);
        }
        if !columns
            .iter()
            .any(|column| matches!(column, Column::Phone(_)))
        {
            return Err(ImportError::NoPhone(names.join(", ")));
        }
        Ok(columns)
    }

    /// The lead of a line, none for a duplicate, or the column and the reason against it.
    fn lead(
        &mut self,
        names: &[String],
        columns: &[Column],
        record: &csv::StringRecord,
    ) -> Result<Option<NewLead>, (String, String)> {
        let mut numbers: [Option<PhoneNumber>; NUMBERS_MAX] = [None; NUMBERS_MAX];
        let mut fields: BTreeMap<&str, String> = BTreeMap::new();
        let (mut name, mut time_zone, mut customer_key) = (None, None, None);
        let (mut priority, mut not_before) = (0i16, 0i64);
        for ((column, heading), cell) in columns.iter().zip(names).zip(record) {
            let reject = |reason: String| (heading.clone(), reason);
            if cell.len() > CELL_BYTES_MAX {
                return Err(reject(format!("longer than {CELL_BYTES_MAX} bytes")));
            }
            if cell.is_empty() {
                continue;
            }
            match column {
                Column::Phone(at) => {
                    numbers[*at] = Some(self.number(cell).map_err(reject)?);
                }
                Column::Name => name = Some(plain(cell)),
                Column::TimeZone => {
                    if !self.is_zone(cell) {
                        return Err(reject(format!("{cell:?} is not an IANA time zone")));
                    }
                    time_zone = Some(cell.to_string());
                }
                Column::CustomerKey => customer_key = Some(plain(cell)),
                Column::Priority => {
                    priority = cell.parse().map_err(|_| {
                        reject(format!(
                            "{cell:?} is not a whole number from -32768 to 32767"
                        ))
                    })?;
                }
                Column::NotBefore => {
                    not_before = cell
                        .parse::<jiff::Timestamp>()
                        .map_err(|_| {
                            reject(format!("{cell:?} is not a time like 2026-11-22T08:00:00Z"))
                        })?
                        .as_microsecond();
                }
                Column::Field(field) => {
                    fields.insert(field, plain(cell));
                }
            }
        }
        let mut distinct: Vec<PhoneNumber> = Vec::new();
        for number in numbers.into_iter().flatten() {
            if !distinct.contains(&number) {
                distinct.push(number);
            }
        }
        if distinct.is_empty() {
            let at = columns
                .iter()
                .position(|column| matches!(column, Column::Phone(_)));
            let heading = at.and_then(|at| names.get(at)).cloned().unwrap_or_default();
            return Err((heading, "no number".into()));
        }
        let packed: Vec<u64> = distinct
            .iter()
            .filter_map(|number| number.digits().parse().ok())
            .collect();
        let known = packed.iter().any(|number| self.numbers.contains(number))
            || customer_key
                .as_ref()
                .is_some_and(|key| self.keys.contains(key));
        if known {
            return Ok(None);
        }
        self.numbers.extend(packed);
        self.keys.extend(customer_key.clone());
        let texts: Vec<String> = distinct.iter().map(PhoneNumber::to_string).collect();
        let state = match not_before > self.now.as_micros() {
            true => LeadState::Scheduled,
            false => LeadState::Ready,
        };
        Ok(Some(NewLead {
            state,
            priority,
            not_before,
            numbers: texts.join(" "),
            time_zone,
            name,
            customer_key,
            fields: serde_json::to_string(&fields).expect("text keys and values"),
        }))
    }

    fn number(&self, cell: &str) -> Result<PhoneNumber, String> {
        let country = self.options.default_country.as_deref();
        let international = match (cell.strip_prefix('+'), cell.strip_prefix("00"), country) {
            (Some(_), _, _) => cell.to_string(),
            (None, Some(rest), _) => format!("+{rest}"),
            (None, None, Some(country)) => {
                format!("+{country}{}", cell.strip_prefix('0').unwrap_or(cell))
            }
            (None, None, None) => cell.to_string(),
        };
        international
            .parse()
            .map_err(|error: model::number::NumberError| error.to_string())
    }

    fn is_zone(&mut self, name: &str) -> bool {
        if let Some(known) = self.zones.get(name) {
            return *known;
        }
        let found = jiff::tz::TimeZone::get(name).is_ok();
        // A file with a new wrong zone on every line must not grow this without end.
        if self.zones.len() < 1_000 {
            self.zones.insert(name.to_string(), found);
        }
        found
    }

    fn reject(
        &mut self,
        line: u64,
        column: String,
        reason: String,
        rejected: &mut dyn FnMut(&Rejection) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let rejection = Rejection {
            line,
            column,
            reason,
        };
        rejected(&rejection)?;
        self.report.rejected_total += 1;
        if self.report.rejected.len() < REJECTIONS_MAX {
            self.report.rejected.push(rejection);
        }
        Ok(())
    }

    async fn write(
        &self,
        connection: &mut SqliteConnection,
        rows: &mut Vec<NewLead>,
    ) -> Result<(), ImportError> {
        if self.options.dry_run || rows.is_empty() {
            rows.clear();
            return Ok(());
        }
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut *connection)
            .await?;
        for chunk in rows.chunks(INSERT_ROWS) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO leads (list, state, priority, not_before, numbers, time_zone, name, customer_key, fields) ",
            );
            insert.push_values(chunk, |mut values, row| {
                values
                    .push_bind(self.options.list.as_str())
                    .push_bind(row.state as i64)
                    .push_bind(row.priority)
                    .push_bind(row.not_before)
                    .push_bind(&row.numbers)
                    .push_bind(&row.time_zone)
                    .push_bind(&row.name)
                    .push_bind(&row.customer_key)
                    .push_bind(&row.fields);
            });
            insert.build().execute(&mut *connection).await?;
        }
        sqlx::query("COMMIT").execute(connection).await?;
        rows.clear();
        Ok(())
    }
}

/// Without control characters: a cell may end up on a screen or in a SIP header.
fn plain(cell: &str) -> String {
    cell.chars().filter(|c| !c.is_control()).collect()
}
