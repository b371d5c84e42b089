//! Numbers and customer keys that are there already: of the list, or of all lists, and of the file so
//! far. In memory, some 60 bytes a lead: what a table of them costs on the disk at ten million leads
//! would be most of the time of an import.

use super::{Dedupe, ImportOptions};
use model::PhoneNumber;
use sqlx::{Row, SqliteConnection};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Leads read at once, as one text: a row each would be most of the cost.
const CHUNK_LEADS: i64 = 4_096;

/// What is known. Hash sets: they are only looked up, never iterated.
#[derive(Default)]
pub(super) struct Known {
    /// The digits as a number; no country code begins with 0.
    numbers: HashSet<u64>,
    /// Two hashes of the key, 128 bits: no two keys of a list meet by chance.
    keys: HashSet<[u64; 2]>,
}

impl Known {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        options: &ImportOptions,
    ) -> Result<Known, sqlx::Error> {
        let mut known = Known::default();
        let mut last = i64::MIN;
        loop {
            let row = sqlx::query(
                "SELECT MAX(lead), GROUP_CONCAT(numbers || CHAR(31) || COALESCE(customer_key, ''), CHAR(30)) \
                 FROM (SELECT lead, numbers, customer_key FROM leads WHERE lead > ? AND (? OR list = ?) ORDER BY lead LIMIT ?)",
            )
            .bind(last)
            .bind(options.dedupe == Dedupe::System)
            .bind(options.list.as_str())
            .bind(CHUNK_LEADS)
            .fetch_one(&mut *connection)
            .await?;
            let (Some(until), Some(text)) = (
                row.get::<Option<i64>, _>(0),
                row.get::<Option<String>, _>(1),
            ) else {
                return Ok(known);
            };
            last = until;
            for lead in text.split('\u{1e}') {
                let (numbers, key) = lead.split_once('\u{1f}').unwrap_or((lead, ""));
                known.numbers.extend(
                    numbers
                        .split(' ')
                        .filter_map(|number| number.trim_start_matches('+').parse::<u64>().ok()),
                );
                if !key.is_empty() {
                    known.keys.insert(hashes(key));
                }
            }
        }
    }

    /// Whether neither a number nor the key is known; if so, they are from now on.
    pub(super) fn is_new(&mut self, numbers: &[PhoneNumber], key: Option<&str>) -> bool {
        let key = key.map(hashes);
        if numbers
            .iter()
            .any(|number| self.numbers.contains(&packed(number)))
            || key.is_some_and(|key| self.keys.contains(&key))
        {
            return false;
        }
        self.numbers.extend(numbers.iter().map(packed));
        self.keys.extend(key);
        true
    }
}

fn packed(number: &PhoneNumber) -> u64 {
    number
        .digits()
        .bytes()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

fn hashes(key: &str) -> [u64; 2] {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        key.hash(&mut hasher);
        hasher.finish()
    };
    [hash(0), hash(1)]
}
