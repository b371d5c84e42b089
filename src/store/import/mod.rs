//! Reading a list of leads from CSV or JSON: every line is accepted, a duplicate, or rejected with the
//! place and the reason. Runs beside a live store: it writes in short transactions between the claims.

mod json;
mod known;
mod row;
mod write;

use super::{StoreConfig, StoreError, connect, lock, places::PlaceBook};
use known::Known;
use model::{ListId, Utc};
use row::{Columns, Draft};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use write::Writer;

/// Rows of one transaction. It holds the writer's lock for some tens of milliseconds, and a claim of
/// the live engine waits that long at most.
const TRANSACTION_ROWS: usize = 2_000;

/// Rejections kept with their place; all are counted.
const REJECTIONS_MAX: usize = 10_000;

/// Bytes read from the file at once.
const READ_BYTES: usize = 256 * 1024;

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
    /// What a line must not repeat.
    pub dedupe: Dedupe,
}

impl ImportOptions {
    /// Into this list, with nothing else said.
    pub fn of(list: ListId) -> ImportOptions {
        ImportOptions {
            list,
            mapping: BTreeMap::new(),
            default_country: None,
            dry_run: false,
            dedupe: Dedupe::List,
        }
    }
}

/// Where a number or a customer key counts as known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dedupe {
    /// In the file and in the list.
    #[default]
    List,
    /// In the file and in any list.
    System,
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
    /// In the file, the first line being line 1.
    pub line: u64,
    /// The column as the file calls it; empty where the line as a whole is broken.
    pub column: String,
    /// Why.
    pub reason: String,
}

/// What stood in a rejected line.
#[derive(Clone, Copy, Debug)]
pub enum RejectedLine<'a> {
    /// The cells of a CSV line, beside the names of the columns.
    Cells(&'a [String], &'a csv::ByteRecord),
    /// The text of a JSON object, or of what should be one.
    Json(&'a [u8]),
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Leads written (or, in a dry run, that would be).
    pub accepted: u64,
    /// Lines whose number or customer key is known already.
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
    /// Another import works on this database: two at once could not see each other's numbers.
    #[error("process {0} imports into this database; wait until it has ended")]
    Running(String),
    /// The file, a runtime or the file of rejected lines failed.
    #[error("the import could not go on: {0}")]
    Io(#[from] std::io::Error),
}

impl From<sqlx::Error> for ImportError {
    fn from(error: sqlx::Error) -> Self {
        ImportError::Store(error.into())
    }
}

/// Told how far the import is.
pub type OnProgress<'a> = dyn FnMut(Progress) + 'a;
/// Handed every rejection, also those beyond what the report keeps, with what stood in the line.
pub type OnRejected<'a> = dyn FnMut(&Rejection, RejectedLine<'_>) -> std::io::Result<()> + 'a;

/// Imports a file with CSV and a header, or with JSON: an array of objects, or one object a line.
/// Blocks; opens its own connection, so that it may run in another process than the engine. `now`
/// decides whether a `not_before` still lies ahead.
///
/// # Errors
/// Where the file as a whole cannot be used, or the database fails. A line that cannot be used is no
/// error: it is in the report.
pub fn import_leads(
    store: &StoreConfig,
    reader: impl Read,
    options: &ImportOptions,
    now: Utc,
    progress: &mut OnProgress<'_>,
    rejected: &mut OnRejected<'_>,
) -> Result<ImportReport, ImportError> {
    if let Some(country) = &options.default_country
        && (country.is_empty() || country.len() > 3 || !country.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(ImportError::Country(country.clone()));
    }
    let alone = match store.path.as_os_str() == ":memory:" {
        true => None,
        false => Some(lock::take(&store.path.with_extension("import")).map_err(running)?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let mut connection = connect(store).await?;
        sqlx::migrate!("src/store/migrations")
            .run(&mut connection)
            .await
            .map_err(StoreError::from)?;
        let known = Known::load(&mut connection, options).await?;
        let places = PlaceBook::load(&mut connection).await?;
        let mut import = Import {
            options,
            known,
            writer: Writer::begin(connection, options, now, places).await?,
            draft: Draft::new(options.default_country.as_deref(), now),
            report: ImportReport::default(),
            lines: 0,
            progress,
            rejected,
        };
        import
            .read(BufReader::with_capacity(READ_BYTES, reader))
            .await?;
        import.writer.finish().await?;
        Ok(import.report)
    });
    drop(alone);
    report
}

/// As [`import_leads`], for whom the report's rejections are enough.
///
/// # Errors
/// As of [`import_leads`].
pub fn import_csv(
    store: &StoreConfig,
    reader: impl Read,
    options: &ImportOptions,
    now: Utc,
    progress: &mut OnProgress<'_>,
) -> Result<ImportReport, ImportError> {
    import_leads(store, reader, options, now, progress, &mut |_, _| Ok(()))
}

fn running(error: StoreError) -> ImportError {
    match error {
        StoreError::Locked { pid, .. } => ImportError::Running(pid),
        StoreError::Database(_)
        | StoreError::Migrate(_)
        | StoreError::Io(_)
        | StoreError::Boots(_) => error.into(),
    }
}

struct Import<'a> {
    options: &'a ImportOptions,
    known: Known,
    writer: Writer,
    draft: Draft,
    report: ImportReport,
    lines: u64,
    progress: &'a mut OnProgress<'a>,
    rejected: &'a mut OnRejected<'a>,
}

impl Import<'_> {
    async fn read(&mut self, mut reader: impl BufRead) -> Result<(), ImportError> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let start = reader.fill_buf()?;
        if start.starts_with(BYTE_ORDER_MARK) {
            reader.consume(BYTE_ORDER_MARK.len());
        }
        let start = reader.fill_buf()?;
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'[' | b'{') => self.read_json(reader).await?,
            Some(_) | None => {
                let delimiter = delimiter(start);
                self.read_csv(reader, delimiter).await?;
            }
        }
        self.report_progress();
        Ok(())
    }

    async fn read_csv(&mut self, reader: impl BufRead, delimiter: u8) -> Result<(), ImportError> {
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(reader);
        let names: Vec<String> = csv
            .headers()?
            .iter()
            .map(|name| name.trim().to_string())
            .collect();
        let mut columns = Columns::new(&self.options.mapping);
        for name in &names {
            columns.add(name)?;
        }
        if !columns.has_phone() {
            return Err(ImportError::NoPhone(names.join(", ")));
        }
        self.name_columns(&columns).await?;
        let mut record = csv::ByteRecord::new();
        while csv.read_byte_record(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            self.draft.clear();
            let mut wrong = (record.len() != names.len()).then(|| {
                let cells = format!("{} cells, but {} columns", record.len(), names.len());
                (None, cells)
            });
            for (index, cell) in record.iter().enumerate().take(names.len()) {
                if wrong.is_some() {
                    break;
                }
                let put = self.draft.put(columns.at(index), cell);
                wrong = put.err().map(|why| (Some(index), why));
            }
            if wrong.is_none() {
                wrong = self
                    .draft
                    .check()
                    .err()
                    .map(|why| (columns.first_phone(), why));
            }
            match wrong {
                None => self.take(&columns).await?,
                Some((at, reason)) => {
                    let column = at.map_or(String::new(), |at| names[at].clone());
                    let rejection = Rejection {
                        line,
                        column,
                        reason,
                    };
                    self.reject(rejection, RejectedLine::Cells(&names, &record))?;
                }
            }
            self.count_line();
        }
        Ok(())
    }

    async fn name_columns(&mut self, columns: &Columns<'_>) -> Result<(), ImportError> {
        if !self.options.dry_run {
            self.writer.name_columns(columns).await?;
        }
        Ok(())
    }

    async fn read_json(&mut self, reader: impl BufRead) -> Result<(), ImportError> {
        let mut columns = Columns::new(&self.options.mapping);
        let mut objects = json::Objects::new(reader);
        while let Some(object) = objects.next()? {
            self.draft.clear();
            let put = match object.whole {
                true => json::put(object.text, &mut columns, &mut self.draft)?,
                false => Err((String::new(), "not a JSON object".to_string())),
            };
            let checked =
                put.and_then(|()| self.draft.check().map_err(|why| ("phone".to_string(), why)));
            match checked {
                Ok(()) => self.take(&columns).await?,
                Err((column, reason)) => {
                    let line = object.line;
                    let rejection = Rejection {
                        line,
                        column,
                        reason,
                    };
                    self.reject(rejection, RejectedLine::Json(object.text))?;
                }
            }
            self.count_line();
        }
        self.name_columns(&columns).await
    }

    /// A line without a mistake: a lead, unless it is known.
    async fn take(&mut self, columns: &Columns<'_>) -> Result<(), ImportError> {
        if !self
            .known
            .is_new(self.draft.numbers(), self.draft.customer_key())
        {
            self.report.duplicates += 1;
            return Ok(());
        }
        self.report.accepted += 1;
        if self.options.dry_run {
            return Ok(());
        }
        self.writer.push(&self.draft, columns);
        if self.writer.waiting() >= TRANSACTION_ROWS {
            self.writer.write().await?;
        }
        Ok(())
    }

    fn reject(&mut self, rejection: Rejection, line: RejectedLine<'_>) -> Result<(), ImportError> {
        (self.rejected)(&rejection, line)?;
        self.report.rejected_total += 1;
        if self.report.rejected.len() < REJECTIONS_MAX {
            self.report.rejected.push(rejection);
        }
        Ok(())
    }

    fn count_line(&mut self) {
        self.lines += 1;
        if self.lines.is_multiple_of(TRANSACTION_ROWS as u64) {
            self.report_progress();
        }
    }

    fn report_progress(&mut self) {
        let (lines, accepted) = (self.lines, self.report.accepted);
        (self.progress)(Progress { lines, accepted });
    }
}

/// What parts the cells: whatever the header has most of.
fn delimiter(start: &[u8]) -> u8 {
    let header = start.split(|byte| *byte == b'\n').next().unwrap_or(start);
    let mut best = (b',', 0);
    for candidate in *b",;\t|" {
        let count = header.iter().filter(|byte| **byte == candidate).count();
        if count > best.1 {
            best = (candidate, count);
        }
    }
    best.0
}
