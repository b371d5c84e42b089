//! Looks through leads for what is asked of them, and writes the cell of those who meet some of it.
//!
//! A list is looked through once, in the order of its leads and a bite at a time: most leads meet nothing
//! of a picky filter, stay in cell 0, and cost no write. How far that went is kept in the database. A lead
//! that changes afterwards is marked, and looked at again wherever it is; those come best first.

use super::cells::{CHANGED, Cells};
use super::leads::Held;
use super::{bits, shelf};
use dialer::filter::{Filter, Past, Reads, Subject};
use dialer::zone::ZoneBook;
use model::{AttemptOutcome, Lead, LeadId, ListId, PhoneNumber, Utc};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use sqlx::{Row, SqliteConnection};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

/// Leads looked at before a shelf is made: a claim waits that long, a millisecond or two.
const LOOK_IN_FETCH: usize = 500;
/// Leads whose time has come that are marked at once.
const AGED_MAX: i64 = 500;
/// Leads looked at without a write until it is written down how far that went: a fraction of a second's work.
const KEEP_EVERY: usize = 100_000;

/// The statement that marks leads whose time has come; by itself, so that a test sees its plan.
pub(super) const AGED: &str = "UPDATE leads SET cell = -1, cell_until = NULL WHERE lead IN \
     (SELECT lead FROM leads WHERE state = 0 AND cell_until IS NOT NULL AND cell_until <= ? LIMIT ?)";

/// The statement that says whether a list has leads that have changed; by itself, so that a test sees its plan.
pub(super) const ANY_CHANGED: &str =
    "SELECT 1 FROM leads WHERE list = ? AND state = 0 AND cell = -1 LIMIT 1";

/// What is read of a lead to look at it, in this order.
#[derive(Deserialize)]
struct Looked<'a> {
    lead: i64,
    #[serde(borrow)]
    list: Text<'a>,
    cell: i64,
    until: Option<i64>,
    added_at: i64,
    priority: i64,
    attempts: i64,
    next_number: i64,
    #[serde(borrow)]
    numbers: Option<Text<'a>>,
    #[serde(borrow)]
    time_zone: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    customer_key: Option<Text<'a>>,
    #[serde(borrow)]
    last_disposition: Option<Text<'a>>,
    #[serde(borrow)]
    fields: Option<Text<'a>>,
    #[serde(borrow)]
    last_outcome: Option<Text<'a>>,
}

/// Text that is copied only where it is written with escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The statements that read leads, with no more than the filters look at: SQLite hands a row over for
/// several microseconds, and one long text for one.
#[derive(Debug, Default)]
pub(super) struct Reading {
    reads: Reads,
    pub in_order: String,
    pub these: String,
}

impl Reading {
    pub(super) fn of<'a>(filters: impl Iterator<Item = &'a Filter>) -> Reading {
        let mut reads = Reads::default();
        filters.for_each(|filter| reads.add(filter));
        let only = |is: bool, column: &'static str| if is { column } else { "NULL" };
        let columns = [
            "leads.lead, list, cell, cell_until, added_at, priority, attempts, next_number",
            only(reads.numbers, "numbers"),
            only(reads.time_zone, "time_zone"),
            only(reads.name, "name"),
            only(reads.customer_key, "customer_key"),
            only(reads.last_disposition, "last_disposition"),
            only(!reads.fields.is_empty(), "fields"),
            only(
                reads.last_outcome,
                "CASE WHEN attempts > 0 THEN (SELECT outcome FROM attempts a WHERE a.lead = leads.lead \
                 ORDER BY claimed_at DESC, attempt DESC LIMIT 1) END",
            ),
        ]
        .join(", ");
        Reading {
            reads,
            in_order: format!(
                "SELECT COUNT(*), MAX(lead), json_group_array(json_array({columns})) \
                 FILTER (WHERE state = 0 AND cell <> {CHANGED} AND list IN (SELECT value FROM json_each(?3))) \
                 FROM (SELECT * FROM leads NOT INDEXED WHERE lead > ?1 ORDER BY lead LIMIT ?2) leads"
            ),
            these: format!(
                "SELECT json_group_array(json_array({columns})) FROM json_each(?) w \
                 JOIN leads ON leads.lead = w.value WHERE state = 0 AND cell = {CHANGED}"
            ),
        }
    }
}

/// Leads that go to another cell, by list, what they meet, until when, and the cell they come from.
type Moves = BTreeMap<(ListId, u64, Option<i64>, i64), Vec<i64>>;

/// What looking at a bite came to.
struct Bite {
    moves: Moves,
    /// Leads that were passed, looked at or not.
    passed: usize,
    /// The last of them.
    through: i64,
    /// Lists that are looked through up to there.
    lists: Vec<ListId>,
}

/// Looks at what campaigns have to know before a shelf is made of these places; whether there is more to
/// look at. Inside of the fetch's transaction.
pub(super) async fn sort_for(
    connection: &mut SqliteConnection,
    held: &mut Held,
    list: ListId,
    places: &[i64],
    now: Utc,
) -> Result<bool, sqlx::Error> {
    mark_aged(connection, held, now).await?;
    // A long way is gone while nobody asks.
    if !held.cells.is_behind {
        let bite = look(connection, held, LOOK_IN_FETCH, now).await?;
        write(connection, held, &bite).await?;
        held.cells.advance(&bite, LOOK_IN_FETCH);
    }
    let again = look_again(connection, held, list, places, LOOK_IN_FETCH, now).await?;
    if again == LOOK_IN_FETCH {
        held.cells.changed.insert(list);
    }
    Ok(held.cells.is_behind || held.cells.is_aging || again == LOOK_IN_FETCH)
}

/// Looks at up to `most` leads, while nobody asks and outside of a transaction; how many it were.
pub(super) async fn sort_behind(
    connection: &mut SqliteConnection,
    held: &mut Held,
    most: usize,
    now: Utc,
) -> Result<usize, sqlx::Error> {
    held.begin(connection).await?;
    if held.cells.is_behind {
        // Read without the lock that an import waits for. What another process changes meanwhile it
        // marks, and what is marked is not written.
        let bite = look(connection, held, most, now).await?;
        let is_end = bite.passed < most;
        if !bite.moves.is_empty() || is_end || held.cells.passed + bite.passed > KEEP_EVERY {
            begin(connection).await?;
            write(connection, held, &bite).await?;
            keep_through(connection, held, &bite).await?;
            commit(connection).await?;
        }
        held.cells.advance(&bite, most);
        return Ok(bite.passed);
    }
    begin(connection).await?;
    let mut looked = 0;
    if held.cells.is_aging {
        mark_aged(connection, held, now).await?;
    }
    if let Some(list) = held.cells.changed.first().copied() {
        held.learn_places(connection).await?;
        let places: Vec<i64> = std::iter::once(0)
            .chain(held.places.keys().copied())
            .collect();
        looked = look_again(connection, held, list, &places, most, now).await?;
        if looked < most {
            held.cells.changed.remove(&list);
            drop_stale(connection, held, list).await?;
        }
    }
    commit(connection).await?;
    Ok(looked)
}

async fn begin(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await?;
    Ok(())
}

async fn commit(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(())
}

/// Leads whose time has come are looked at again.
async fn mark_aged(
    connection: &mut SqliteConnection,
    held: &mut Held,
    now: Utc,
) -> Result<(), sqlx::Error> {
    let aged = sqlx::query(AGED)
        .bind(now.as_micros())
        .bind(AGED_MAX)
        .execute(connection)
        .await?
        .rows_affected();
    let cells = &mut held.cells;
    cells.is_aging = aged == AGED_MAX.unsigned_abs();
    if aged > 0 {
        let lists: Vec<ListId> = cells.asked().collect();
        cells.changed.extend(lists);
    }
    Ok(())
}

/// The next leads of the lists that are furthest behind, in their order.
async fn look(
    connection: &mut SqliteConnection,
    held: &mut Held,
    most: usize,
    now: Utc,
) -> Result<Bite, sqlx::Error> {
    let (from, lists) = held.cells.furthest_behind();
    let names: Vec<&str> = lists.iter().map(|list| list.as_str()).collect();
    let row = sqlx::query(&held.cells.reading.in_order)
        .bind(from)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .bind(serde_json::to_string(&names).expect("text is JSON"))
        .fetch_one(&mut *connection)
        .await?;
    let passed = usize::try_from(row.get::<i64, _>(0)).unwrap_or(0);
    let through = row.get::<Option<i64>, _>(1).unwrap_or(from);
    let moves = sort(connection, held, &row.get::<String, _>(2), now).await?;
    Ok(Bite {
        moves,
        passed,
        through,
        lists,
    })
}

/// Looks at the best leads of these places that have changed, and writes what they meet; how many it were.
async fn look_again(
    connection: &mut SqliteConnection,
    held: &mut Held,
    list: ListId,
    places: &[i64],
    most: usize,
    now: Utc,
) -> Result<usize, sqlx::Error> {
    // Mostly there are none: one seek instead of one for each place.
    let any = sqlx::query(ANY_CHANGED)
        .bind(list.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if any.is_none() {
        return Ok(0);
    }
    let (ids, _) = shelf::merge(connection, list, places, &[CHANGED], (most, 0), &|_| true).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let wanted: Vec<i64> = ids.iter().map(|id| bits(id.0)).collect();
    let row = sqlx::query(&held.cells.reading.these)
        .bind(serde_json::to_string(&wanted).expect("numbers are JSON"))
        .fetch_one(&mut *connection)
        .await?;
    let moves = sort(connection, held, &row.get::<String, _>(0), now).await?;
    let bite = Bite {
        moves,
        passed: ids.len(),
        through: 0,
        lists: Vec::new(),
    };
    write(connection, held, &bite).await?;
    Ok(bite.passed)
}

/// Which of these leads go to another cell.
async fn sort(
    connection: &mut SqliteConnection,
    held: &mut Held,
    text: &str,
    now: Utc,
) -> Result<Moves, sqlx::Error> {
    let rows: Vec<Looked<'_>> = serde_json::from_str(text)
        .map_err(|error| sqlx::Error::Decode(format!("a lead cannot be read: {error}").into()))?;
    let mut moves = Moves::new();
    let mut lead: Option<Lead> = None;
    let mut added_at = 0;
    for row in &rows {
        // Leads of one list lie together.
        let lead = match &mut lead {
            Some(lead) if lead.list.as_str() == row.list.0 => lead,
            other => {
                let Ok(list) = row.list.0.parse::<ListId>() else {
                    continue;
                };
                added_at = held.created(connection, list).await?;
                other.insert(Lead::new(LeadId(0), list, Vec::new()))
            }
        };
        let cells = &held.cells;
        fill(lead, row, &cells.reading.reads, &held.do_not_call);
        let past = Past {
            added_at: Utc::from_micros(match row.added_at {
                0 => added_at,
                us => us,
            }),
            last_outcome: text_of(&row.last_outcome).and_then(AttemptOutcome::from_name),
        };
        let (met, until) = meets(cells.filters(lead.list), lead, past, &cells.book, now);
        let until = until.map(Utc::as_micros);
        if cells.known(lead.list, met) != Some(row.cell) || until != row.until {
            let to = (lead.list, met, until, row.cell);
            moves.entry(to).or_default().push(row.lead);
        }
    }
    Ok(moves)
}

/// Which of these filters a lead meets, and until when at least.
fn meets(
    filters: &[Filter],
    lead: &Lead,
    past: Past,
    book: &ZoneBook,
    now: Utc,
) -> (u64, Option<Utc>) {
    let subject = Subject {
        lead,
        past,
        book,
        now,
    };
    let mut met = 0_u64;
    let mut until: Option<Utc> = None;
    for (at, filter) in filters.iter().enumerate() {
        met |= u64::from(filter.matches(&subject)) << at;
        until = [until, filter.changes_at(&subject)]
            .into_iter()
            .flatten()
            .min();
    }
    (met, until)
}

/// Puts leads into their cells, those that were not changed since they were read.
async fn write(
    connection: &mut SqliteConnection,
    held: &mut Held,
    bite: &Bite,
) -> Result<(), sqlx::Error> {
    for ((list, met, until, from), leads) in &bite.moves {
        let cell = held.cell(connection, *list, *met).await?;
        sqlx::query(
            "UPDATE leads SET cell = ?, cell_until = ? \
             WHERE lead IN (SELECT value FROM json_each(?)) AND state = 0 AND cell = ?",
        )
        .bind(cell)
        .bind(*until)
        .bind(serde_json::to_string(leads).expect("numbers are JSON"))
        .bind(*from)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn keep_through(
    connection: &mut SqliteConnection,
    held: &mut Held,
    bite: &Bite,
) -> Result<(), sqlx::Error> {
    for list in &bite.lists {
        sqlx::query(
            "INSERT OR REPLACE INTO looked_through (list, conditions, through) VALUES (?, ?, ?)",
        )
        .bind(list.as_str())
        .bind(held.cells.written(*list))
        .bind(bite.through)
        .execute(&mut *connection)
        .await?;
    }
    held.cells.passed = 0;
    Ok(())
}

/// Cells of what was asked before. No ready lead is in them once a list was looked through: what becomes
/// ready is marked, whatever it was before.
async fn drop_stale(
    connection: &mut SqliteConnection,
    held: &mut Held,
    list: ListId,
) -> Result<(), sqlx::Error> {
    let gone = held.cells.stale(list);
    if gone.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM cells WHERE cell IN (SELECT value FROM json_each(?))")
        .bind(serde_json::to_string(&gone).expect("numbers are JSON"))
        .execute(connection)
        .await?;
    held.cells.forget(&gone);
    Ok(())
}

/// How far each list was looked through for what is asked of it now.
pub(super) async fn load_through(
    connection: &mut SqliteConnection,
    cells: &mut Cells,
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query("SELECT list, conditions, through FROM looked_through")
        .fetch_all(connection)
        .await?;
    cells.through = cells.asked().map(|list| (list, 0)).collect();
    for row in &rows {
        let Ok(list) = row.get::<String, _>(0).parse::<ListId>() else {
            continue;
        };
        let is_asked = cells.written(list) == row.get::<String, _>(1);
        if let Some(through) = cells.through.get_mut(&list)
            && is_asked
        {
            *through = row.get(2);
        }
    }
    cells.is_behind = !cells.through.is_empty();
    Ok(())
}

impl Cells {
    /// Lists that were looked through least, and how far.
    fn furthest_behind(&self) -> (i64, Vec<ListId>) {
        let from = self.through.values().min().copied().unwrap_or(i64::MAX);
        let lists = self.through.iter();
        let lists = lists.filter(|(_, through)| **through == from);
        (from, lists.map(|(list, _)| *list).collect())
    }

    /// A bite was looked at, of `most` leads unless there were no more.
    fn advance(&mut self, bite: &Bite, most: usize) {
        for list in &bite.lists {
            self.through.insert(*list, bite.through);
        }
        self.passed += bite.passed;
        let is_one = self.through.values().all(|at| *at == bite.through);
        let is_end = bite.passed < most && is_one;
        if self.is_behind && is_end {
            // Once more for those that have changed meanwhile, and for what nobody asks any more.
            let lists: Vec<ListId> = self.asked().collect();
            self.changed.extend(lists);
        }
        self.is_behind = !is_end;
    }
}

fn text_of<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|text| text.0.as_ref())
}

/// What filters look at; its next number is one that may be called, where there is one.
fn fill(lead: &mut Lead, row: &Looked<'_>, reads: &Reads, no_call: &HashSet<PhoneNumber>) {
    let owned = |text: &Option<Text<'_>>| text_of(text).map(str::to_string);
    lead.id = LeadId(row.lead.cast_unsigned());
    lead.attempts = u16::try_from(row.attempts).unwrap_or(u16::MAX);
    lead.priority = row.priority.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    lead.time_zone = owned(&row.time_zone);
    lead.name = owned(&row.name);
    lead.customer_key = owned(&row.customer_key);
    lead.last_disposition = text_of(&row.last_disposition).and_then(|name| name.parse().ok());
    lead.numbers.clear();
    let numbers = text_of(&row.numbers).unwrap_or_default();
    let numbers = numbers
        .split(' ')
        .filter_map(|number| number.parse::<PhoneNumber>().ok());
    lead.numbers.extend(numbers);
    let next = usize::try_from(row.next_number).unwrap_or(0);
    let count = lead.numbers.len();
    let next = (0..count)
        .map(|step| (next + step) % count)
        .find(|at| !no_call.contains(&lead.numbers[*at]));
    lead.next_number = next.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
    lead.fields.clear();
    if let Some(text) = text_of(&row.fields) {
        let wanted = Wanted {
            names: &reads.fields,
            into: &mut lead.fields,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        if wanted.deserialize(&mut json).is_err() {
            lead.fields.clear();
        }
    }
}

/// Reads the named columns of a lead and passes over the others.
struct Wanted<'a> {
    names: &'a BTreeSet<String>,
    into: &'a mut BTreeMap<String, String>,
}

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("columns by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            if self.names.contains(name.as_ref()) {
                self.into.insert(name.into_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
