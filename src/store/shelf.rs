//! The next leads of a list in their order, without looking at those who cannot be called now.
//!
//! Ready leads lie in an index by list and place, best first. The tops of the places that are open
//! are merged until enough are found: a seek for each open place, and a step for each lead. What was
//! found is a shelf; fetches are served from it until it is empty, old, or something was put back.

use super::leads::Held;
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
/// Leads of a shelf, at least and at most.
const SHELF_MIN: usize = 200;
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
    /// There are no more in the list than are here.
    is_all: bool,
}

impl Shelf {
    fn is_fresh(&self, now: Utc, returns: u64) -> bool {
        self.returns == returns && now.as_micros() - self.made_at < SHELF_AGE_US
    }
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
) -> Result<(Vec<LeadId>, bool), sqlx::Error> {
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
    let exhausted = shelf.is_all && shelf.leads.is_empty();
    held.shelves.insert((campaign, list), shelf);
    Ok((found, exhausted))
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

/// The top of one place, as far as it was read.
#[derive(Default)]
struct Top {
    place: i64,
    ranks: VecDeque<Rank>,
    read: usize,
    /// The index has no more of this place.
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
    let mut tops: Vec<Top> = std::iter::once(0)
        .chain(
            places
                .iter()
                .filter(|(id, place)| windows.is_open(**id, place, now))
                .map(|(id, _)| *id),
        )
        .map(|place| Top {
            place,
            ..Top::default()
        })
        .collect();
    let chunk = (2 * (want + held.handed_out.len()) / tops.len()).clamp(CHUNK_MIN, CHUNK_MAX);
    let all: Vec<usize> = (0..tops.len()).collect();
    read(connection, list, &mut tops, &all, chunk).await?;
    let mut heap: BinaryHeap<Reverse<(Rank, usize)>> = BinaryHeap::with_capacity(tops.len());
    for (index, top) in tops.iter_mut().enumerate() {
        heap.extend(top.ranks.pop_front().map(|rank| Reverse((rank, index))));
    }
    let mut shelf = Shelf {
        leads: VecDeque::with_capacity(want),
        made_at: now.as_micros(),
        returns: held.returns,
        is_all: false,
    };
    while shelf.leads.len() < want {
        let Some(Reverse((rank, index))) = heap.pop() else {
            shelf.is_all = true;
            break;
        };
        if !held.handed_out.contains_key(&rank.2) {
            shelf.leads.push_back(rank.2);
        }
        if tops[index].ranks.is_empty() && !tops[index].is_all {
            let more = (2 * tops[index].read).clamp(CHUNK_MIN, CHUNK_MAX);
            read(connection, list, &mut tops, &[index], more).await?;
        }
        let next = tops[index].ranks.pop_front();
        heap.extend(next.map(|rank| Reverse((rank, index))));
    }
    Ok(shelf)
}

/// The statement that reads tops; by itself, so that a test sees its plan.
pub(super) const READ_TOPS: &str = "SELECT p.value, (SELECT GROUP_CONCAT(priority || ' ' || not_before || ' ' || lead) FROM \
     (SELECT priority, not_before, lead FROM leads INDEXED BY leads_ready \
      WHERE list = ?1 AND place = p.value AND state = 0 ORDER BY priority DESC, not_before, lead LIMIT ?2 OFFSET ?3)) \
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
    let places: Vec<i64> = which.iter().map(|index| tops[*index].place).collect();
    let rows = sqlx::query(READ_TOPS)
        .bind(list.as_str())
        .bind(chunk as i64)
        .bind(tops[*first].read as i64)
        .bind(serde_json::to_string(&places).expect("numbers are JSON"))
        .fetch_all(connection)
        .await?;
    for (index, row) in which.iter().zip(&rows) {
        let top = &mut tops[*index];
        let text: Option<String> = row.get(1);
        let before = top.ranks.len();
        top.ranks.extend(
            text.iter()
                .flat_map(|text| text.split(','))
                .filter_map(rank),
        );
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
