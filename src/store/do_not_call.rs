//! Do-not-call lists of others: a country's register, a state's, a campaign's, each with the date of
//! its file. A list is replaced as a whole; the engine reads them when it starts.

use super::{StoreConfig, StoreError, connect};
use call::Input;
use model::event::DoNotCallKind;
use model::{ListId, PhoneNumber, Utc};
use serde::Serialize;
use sqlx::{Row, SqliteConnection};
use std::io::{BufRead, BufReader, Read};

/// Numbers of one part: a part is one row and one input of the engine, of some hundred kilobytes.
const PART_NUMBERS: usize = 50_000;

/// Lines that are told; all are counted.
const REJECTED_MAX: usize = 1_000;

/// Longest line. What is longer is no list of numbers.
const LINE_BYTES_MAX: usize = 4_096;

/// A list, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoNotCallList {
    /// Its name, as rules name it: `us`, `uk`, or that of a campaign.
    pub list: ListId,
    /// Whose it is.
    pub kind: DoNotCallKind,
    /// The date of the file, in UTC.
    pub as_of: Option<Utc>,
    /// How many numbers it has.
    pub numbers: u64,
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoNotCallReport {
    /// The list as it is now.
    #[serde(flatten)]
    pub list: DoNotCallList,
    /// Lines that hold no number, all.
    pub rejected_total: u64,
    /// The first of them with their reason.
    pub rejected: Vec<(u64, String)>,
}

/// Why a list was not taken. The list that was there before stays in use.
#[derive(Debug, thiserror::Error)]
pub enum DoNotCallError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Io(#[from] std::io::Error),
    /// Not one number in it.
    #[error(
        "there is no number in the file; it has one a line, in its first column, as +12125550100{0}"
    )]
    Empty(String),
}

/// Reads numbers, one a line in the first column, and puts them in place of the list of that name.
/// `country` is the code without `+` for numbers in national form.
///
/// # Errors
/// See [`DoNotCallError`].
pub fn import_do_not_call(
    config: &StoreConfig,
    (list, kind, as_of): (ListId, DoNotCallKind, Option<Utc>),
    file: impl Read,
    country: Option<&str>,
    now: Utc,
) -> Result<DoNotCallReport, DoNotCallError> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut rejected = Vec::new();
    let mut rejected_total = 0;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let most = LINE_BYTES_MAX as u64;
        if reader.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        match number(&bytes, country) {
            Ok(Some(number)) => numbers.push(number),
            Ok(None) => {}
            // The names of the columns.
            Err(_) if line == 1 => {}
            Err(reason) => {
                rejected_total += 1;
                if rejected.len() < REJECTED_MAX {
                    rejected.push((line, reason));
                }
            }
        }
    }
    if numbers.is_empty() {
        let first = rejected.first();
        let first = first.map_or(String::new(), |(line, why)| {
            format!(" (line {line}: {why})")
        });
        return Err(DoNotCallError::Empty(first));
    }
    numbers.sort_unstable();
    numbers.dedup();
    let list = DoNotCallList {
        list,
        kind,
        as_of,
        numbers: numbers.len() as u64,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connection = connect(config).await?;
        sqlx::migrate!("src/store/migrations")
            .run(&mut connection)
            .await
            .map_err(StoreError::from)?;
        replace(&mut connection, &list, &numbers, now).await
    })?;
    Ok(DoNotCallReport {
        list,
        rejected_total,
        rejected,
    })
}

/// The number of a line; none where it is empty.
fn number(line: &[u8], country: Option<&str>) -> Result<Option<u64>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_string())?;
    let text = text.trim_start_matches('\u{feff}');
    let cell = text.split([',', ';', '\t', '|']).next().unwrap_or_default();
    let cell = cell.trim().trim_matches('"').trim();
    if cell.is_empty() {
        return Ok(None);
    }
    let number: PhoneNumber = match (cell.starts_with('+'), country) {
        (false, Some(country)) => format!("+{country}{}", cell.trim_start_matches('0')).parse(),
        (true, _) | (false, None) => cell.parse(),
    }
    .map_err(|error: model::number::NumberError| format!("\"{cell}\": {error}"))?;
    let number = number.digits().parse().expect("at most 15 digits");
    Ok(Some(number))
}

async fn replace(
    connection: &mut SqliteConnection,
    list: &DoNotCallList,
    numbers: &[u64],
    now: Utc,
) -> Result<(), StoreError> {
    let name = list.list.as_str();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM do_not_call_parts WHERE list = ?")
        .bind(name)
        .execute(&mut *connection)
        .await?;
    for (part, numbers) in numbers.chunks(PART_NUMBERS).enumerate() {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        sqlx::query("INSERT INTO do_not_call_parts (list, part, numbers) VALUES (?, ?, ?)")
            .bind(name)
            .bind(part as i64)
            .bind(bytes)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(
        "INSERT OR REPLACE INTO do_not_call_lists (list, kind, as_of, imported_at, numbers) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(name)
    .bind(kind_name(list.kind))
    .bind(list.as_of.map(Utc::as_micros))
    .bind(now.as_micros())
    .bind(list.numbers.cast_signed())
    .execute(&mut *connection)
    .await?;
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

fn kind_name(kind: DoNotCallKind) -> &'static str {
    match kind {
        DoNotCallKind::Internal => "internal",
        DoNotCallKind::Campaign => "campaign",
        DoNotCallKind::Area => "area",
        DoNotCallKind::National => "national",
    }
}

/// A kind by its name in the database and on the command line.
pub fn do_not_call_kind(name: &str) -> Option<DoNotCallKind> {
    let kinds = [
        DoNotCallKind::Internal,
        DoNotCallKind::Campaign,
        DoNotCallKind::Area,
        DoNotCallKind::National,
    ];
    kinds.into_iter().find(|kind| kind_name(*kind) == name)
}

/// The lists of a database.
pub(super) async fn lists(
    connection: &mut SqliteConnection,
) -> Result<Vec<DoNotCallList>, StoreError> {
    let rows =
        sqlx::query("SELECT list, kind, as_of, numbers FROM do_not_call_lists ORDER BY list")
            .fetch_all(&mut *connection)
            .await?;
    let list = |row: &sqlx::sqlite::SqliteRow| {
        Some(DoNotCallList {
            list: row.get::<String, _>(0).parse().ok()?,
            kind: do_not_call_kind(row.get::<&str, _>(1))?,
            as_of: row.get::<Option<i64>, _>(2).map(Utc::from_micros),
            numbers: row.get::<i64, _>(3).cast_unsigned(),
        })
    };
    Ok(rows.iter().filter_map(list).collect())
}

/// The lists as the engine takes them at its start: part by part.
pub(super) async fn inputs(connection: &mut SqliteConnection) -> Result<Vec<Input>, StoreError> {
    let mut inputs = Vec::new();
    for of in lists(connection).await? {
        let rows =
            sqlx::query("SELECT numbers FROM do_not_call_parts WHERE list = ? ORDER BY part")
                .bind(of.list.as_str())
                .fetch_all(&mut *connection)
                .await?;
        for (n, row) in rows.iter().enumerate() {
            let bytes: &[u8] = row.get(0);
            let numbers = bytes.chunks_exact(8).filter_map(|eight| {
                let number = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
                format!("+{number}").parse().ok()
            });
            inputs.push(Input::DoNotCallListLoaded {
                list: of.list,
                kind: of.kind,
                as_of: of.as_of,
                numbers: numbers.collect(),
                more: n + 1 < rows.len(),
            });
        }
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(
        config: &StoreConfig,
        file: &str,
        country: Option<&str>,
    ) -> Result<DoNotCallReport, DoNotCallError> {
        let as_of = Some(Utc::from_micros(1_780_000_000_000_000));
        let list = ("us".parse().unwrap(), DoNotCallKind::National, as_of);
        import_do_not_call(config, list, file.as_bytes(), country, Utc::from_micros(1))
    }

    fn kept(config: &StoreConfig) -> Vec<Input> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut connection = connect(config).await.unwrap();
            inputs(&mut connection).await.unwrap()
        })
    }

    #[test]
    fn a_list_replaces_the_one_before_and_comes_back_with_its_date() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::at(folder.path().join("t.db"));
        take(&config, "+12125550100\n+12125550101\n", None).unwrap();
        let report = take(
            &config,
            "phone,since\n\"+1 (212) 555-0199\",2020\n\nnobody\n2125550198,2021\n+12125550199\n",
            Some("1"),
        )
        .unwrap();
        assert_eq!((report.list.numbers, report.rejected_total), (2, 1));
        assert_eq!(report.rejected[0].0, 4);
        let inputs = kept(&config);
        let [
            Input::DoNotCallListLoaded {
                list,
                kind: DoNotCallKind::National,
                as_of: Some(as_of),
                numbers,
                more: false,
            },
        ] = &inputs[..]
        else {
            panic!("{inputs:?}");
        };
        assert_eq!(list.as_str(), "us");
        assert_eq!(as_of.as_micros(), 1_780_000_000_000_000);
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        assert_eq!(numbers, ["+12125550198", "+12125550199"]);
    }

    #[test]
    fn a_long_list_comes_in_parts_and_only_the_last_puts_it_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::at(folder.path().join("t.db"));
        let count = PART_NUMBERS as u64 + 7;
        let file: String = (0..count)
            .map(|n| format!("+1212{:07}\n", 2_000_000 + n))
            .collect();
        assert_eq!(take(&config, &file, None).unwrap().list.numbers, count);
        let parts: Vec<(usize, bool)> = kept(&config)
            .iter()
            .map(|input| match input {
                Input::DoNotCallListLoaded { numbers, more, .. } => (numbers.len(), *more),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(parts, [(PART_NUMBERS, true), (7, false)]);
    }

    #[test]
    fn a_file_without_a_number_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::at(folder.path().join("t.db"));
        take(&config, "+12125550100\n", None).unwrap();
        let error = take(&config, "phone\n2125550100\n", None).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert_eq!(kept(&config).len(), 1);
    }
}
