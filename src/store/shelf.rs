//! The next leads of a list in their order, without looking at those who cannot be called now.
//!
//! Ready leads lie in an index by list, place and cell, best first. The tops of the wanted cells of the
//! places that are open are merged until enough are found: a seek for each of them, and a step for each lead. What was
//! found is a shelf; fetches are served from it until it is empty, old, or something was put back.

use super::leads::Held;
use super::sort;
use dialer::calling_window;
use dialer::rules::RuleSet;
use dialer::zone::Place;
use model::{CampaignId, LeadId, ListId, Utc};
use sqlx::{Row, SqliteConnection};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// Leads of a shelf for each one asked for: merging the tops of some hundred places costs most at its
/// beginning.
const SHELF_TIMES: usize = 4;
/// Leads of a shelf, at least and at most. A few of each of some hundred places are read for a shelf
/// anyway: four milliseconds, too much for the twenty leads that a small campaign asks for at once.
const SHELF_MIN: usize = 1_000;
const SHELF_MAX: usize = 8_000;
/// A shelf is thrown away after this: a better lead may have become ready meanwhile.
const SHELF_AGE_US: i64 = 5_000_000;
/// An open place is believed to be open for this long. The law is asked again at every dial.
const OPEN_US: i64 = 30_000_000;
/// Leads of one place read at once, at least and at most.
const CHUNK_MIN: usize = 8;
const CHUNK_MAX: usize = 2_000;

/// The order in which leads of a list are dialled: priority, then how long they wait, then age.
type Rank = (Reverse<i16>, i64, LeadId);

/// What a place is to one campaign.
#[derive(Clone, Copy, Debug)]
enum Window {
    OpenUntil(i64),
    ClosedUntil(i64),
}

/// Which places a campaign may call now.
#[derive(Debug, Default)]
pub(super) struct Windows {
    sets: Vec<RuleSet>,
    known: BTreeMap<i64, Window>,
}

impl Windows {
    pub(super) fn new(sets: Vec<RuleSet>) -> Windows {
        Windows {
            sets,
            known: BTreeMap::new(),
        }
    }

    /// Whether leads of the place are handed out. What no rule knows the hours of is: the dialer
    /// says so in an event.
    pub(super) fn is_open(&mut self, id: i64, place: &Place, now: Utc) -> bool {
        if self.sets.is_empty() || place.zones.is_empty() {
            return true;
        }
        let us = now.as_micros();
        match self.known.get(&id) {
            Some(Window::OpenUntil(until)) if us < *until => return true,
            Some(Window::ClosedUntil(until)) if us < *until => return false,
            Some(Window::OpenUntil(_) | Window::ClosedUntil(_)) | None => {}
        }
        let window = match calling_window::check(&self.sets, place, now) {
            Ok(()) => Window::OpenUntil(us + OPEN_US),
            Err(closed) => Window::ClosedUntil(closed.opens.as_micros()),
        };
        self.known.insert(id, window);
        matches!(window, Window::OpenUntil(_))
    }
}

/// Leads of one list, next first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    leads: VecDeque<LeadId>,
    made_at: i64,
    /// [`Held::returns`] when it was made.
    returns: u64,
    /// There are no more in the list than are here,
    is_all: bool,
    /// but for those who were not looked at.
    is_unsorted: bool,
}

impl Shelf {
    fn is_fresh(&self, now: Utc, returns: u64) -> bool {
        self.returns == returns && now.as_micros() - self.made_at < SHELF_AGE_US
    }
}

/// How a fetch from a shelf ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The list has no more.
    All,
    /// There may be more.
    More,
    /// There may be more among those who were not looked at; that takes a moment.
    Unsorted,
}

/// The next `count` leads of a list that nobody holds, as the index has them; fewer only where there
/// are no more. They are off the shelf, whatever becomes of them.
pub(super) async fn next(
    connection: &mut SqliteConnection,
    held: &mut Held,
    campaign: CampaignId,
    list: ListId,
    count: usize,
    now: Utc,
) -> Result<(Vec<LeadId>, End), sqlx::Error> {
    let mut found = Vec::with_capacity(count);
    let returns = held.returns;
    let mut shelf = held
        .shelves
        .remove(&(campaign, list))
        .filter(|shelf| shelf.is_fresh(now, returns))
        .unwrap_or_default();
    take(held, &mut shelf, count, &mut found);
    if found.len() < count {
        // What the old shelf gave is on the new one as well.
        let given: BTreeSet<LeadId> = found.iter().copied().collect();
        let want = (count * SHELF_TIMES).clamp(SHELF_MIN, SHELF_MAX) + given.len();
        shelf = make(connection, held, campaign, list, want, now).await?;
        shelf.leads.retain(|lead| !given.contains(lead));
        take(held, &mut shelf, count, &mut found);
    }
    let end = match (shelf.is_all && shelf.leads.is_empty(), shelf.is_unsorted) {
        (false, _) => End::More,
        (true, true) => End::Unsorted,
        (true, false) => End::All,
    };
    held.shelves.insert((campaign, list), shelf);
    Ok((found, end))
}

fn take(held: &Held, shelf: &mut Shelf, count: usize, found: &mut Vec<LeadId>) {
    while found.len() < count
        && let Some(lead) = shelf.leads.pop_front()
    {
        if !held.handed_out.contains_key(&lead) {
            found.push(lead);
        }
    }
}

/// The top of one cell of one place, as far as it was read.
#[derive(Default)]
struct Top {
    place: i64,
    cell: i64,
    ranks: VecDeque<Rank>,
    read: usize,
    /// The index has no more of it.
    is_all: bool,
}

async fn make(
    connection: &mut SqliteConnection,
    held: &mut Held,
    campaign: CampaignId,
    list: ListId,
    want: usize,
    now: Utc,
) -> Result<Shelf, sqlx::Error> {
    held.learn_places(connection).await?;
    let Held {
        places, windows, ..
    } = &mut *held;
    let windows = windows.entry(campaign).or_default();
    // Place 0 is for leads that were never placed.
    let open: Vec<i64> = std::iter::once(0)
        .chain(
            places
                .iter()
                .filter(|(id, place)| windows.is_open(**id, place, now))
                .map(|(id, _)| *id),
        )
        .collect();
    let is_unsorted = held.cells.asks(campaign, list)
        && sort::sort_for(connection, held, list, &open, now).await?;
    let wanted = held.cells.wanted(campaign, list);
    let handed_out = &held.handed_out;
    let is_free = |lead: LeadId| !handed_out.contains_key(&lead);
    let (leads, is_all) = merge(
        connection,
        list,
        &open,
        &wanted,
        (want, handed_out.len()),
        &is_free,
    )
    .await?;
    Ok(Shelf {
        leads: leads.into(),
        made_at: now.as_micros(),
        returns: held.returns,
        is_all,
        is_unsorted,
    })
}

/// The best `want` ready leads of these cells of these places, best first, and whether these are all.
/// About `skipped` of those that are looked at are not taken.
pub(super) async fn merge(
    connection: &mut SqliteConnection,
    list: ListId,
    places: &[i64],
    cells: &[i64],
    (want, skipped): (usize, usize),
    takes: &(dyn Fn(LeadId) -> bool + Sync),
) -> Result<(Vec<LeadId>, bool), sqlx::Error> {
    let mut tops: Vec<Top> = places
        .iter()
        .flat_map(|place| cells.iter().map(|cell| (*place, *cell)))
        .map(|(place, cell)| Top {
            place,
            cell,
            ..Top::default()
        })
        .collect();
    let chunk = (2 * (want + skipped) / tops.len().max(1)).clamp(CHUNK_MIN, CHUNK_MAX);
    let all: Vec<usize> = (0..tops.len()).collect();
    read(connection, list, &mut tops, &all, chunk).await?;
    let mut heap: BinaryHeap<Reverse<(Rank, usize)>> = BinaryHeap::with_capacity(tops.len());
    for (index, top) in tops.iter_mut().enumerate() {
        heap.extend(top.ranks.pop_front().map(|rank| Reverse((rank, index))));
    }
    let mut found = Vec::with_capacity(want);
    while found.len() < want {
        let Some(Reverse((rank, index))) = heap.pop() else {
            return Ok((found, true));
        };
        if takes(rank.2) {
            found.push(rank.2);
        }
        if tops[index].ranks.is_empty() && !tops[index].is_all {
            let more = (2 * tops[index].read).clamp(CHUNK_MIN, CHUNK_MAX);
            read(connection, list, &mut tops, &[index], more).await?;
        }
        let next = tops[index].ranks.pop_front();
        heap.extend(next.map(|rank| Reverse((rank, index))));
    }
    Ok((found, false))
}

/// The statement that reads tops, all of them in one row: SQLite hands a row over for several
/// microseconds, and there are hundreds of tops. By itself, so that a test sees its plan.
pub(super) const READ_TOPS: &str = "SELECT GROUP_CONCAT(p.key || ':' || \
     (SELECT GROUP_CONCAT(priority || ' ' || not_before || ' ' || lead) FROM \
     (SELECT priority, not_before, lead FROM leads INDEXED BY leads_ready \
      WHERE list = ?1 AND place = p.value->>0 AND cell = p.value->>1 AND state = 0 ORDER BY priority DESC, not_before, lead LIMIT ?2 OFFSET ?3)), ';') \
     FROM json_each(?4) p";

/// Reads the next `chunk` of these tops, which have all been read equally far.
async fn read(
    connection: &mut SqliteConnection,
    list: ListId,
    tops: &mut [Top],
    which: &[usize],
    chunk: usize,
) -> Result<(), sqlx::Error> {
    let Some(first) = which.first() else {
        return Ok(());
    };
    let pairs = which
        .iter()
        .map(|index| (tops[*index].place, tops[*index].cell));
    let places: Vec<(i64, i64)> = pairs.collect();
    let row = sqlx::query(READ_TOPS)
        .bind(list.as_str())
        .bind(chunk as i64)
        .bind(tops[*first].read as i64)
        .bind(serde_json::to_string(&places).expect("numbers are JSON"))
        .fetch_one(connection)
        .await?;
    // What is empty is not in the row.
    for index in which {
        tops[*index].is_all = true;
    }
    let text: Option<String> = row.get(0);
    for part in text.iter().flat_map(|text| text.split(';')) {
        let read = part.split_once(':');
        let Some((at, ranks)) =
            read.and_then(|(at, ranks)| Some((at.parse::<usize>().ok()?, ranks)))
        else {
            continue;
        };
        let top = &mut tops[which[at]];
        let before = top.ranks.len();
        top.ranks.extend(ranks.split(',').filter_map(rank));
        let found = top.ranks.len() - before;
        top.read += found;
        top.is_all = found < chunk;
    }
    Ok(())
}

fn rank(text: &str) -> Option<Rank> {
    let mut words = text.split(' ');
    let priority: i64 = words.next()?.parse().ok()?;
    let not_before = words.next()?.parse().ok()?;
    let lead: i64 = words.next()?.parse().ok()?;
    let priority = priority.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    Some((Reverse(priority), not_before, LeadId(lead.cast_unsigned())))
}
