//! Quotas: of people like these, so many with this disposition are enough. A cell counts what agents
//! dispose; one that is full is dialled no more, so that it is overshot by no more calls than were in
//! flight when it became full. Cells of a day begin anew at midnight of the campaign's clock.

use crate::calling_window;
use crate::filter::{Filter, Past, Subject};
use crate::zone::ZoneBook;
use jiff::tz::TimeZone;
use model::{CampaignId, DispositionId, Lead, Utc};
use serde::{Deserialize, Serialize};

/// Cells of one campaign: each lead is asked about all of them, in one machine word.
pub const QUOTAS_MAX: usize = 32;

/// One cell: `[[quotas]]` of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// What it is called in events and lists.
    pub name: String,
    /// Who belongs to it; a filter of words that no attempt changes.
    #[serde(rename = "where")]
    pub cell: Filter,
    /// What counts.
    pub outcome: DispositionId,
    /// Enough.
    pub at_most: u64,
    /// What it is counted over.
    #[serde(default)]
    pub per: Period,
}

/// What a quota is counted over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// All of the campaign.
    #[default]
    Campaign,
    /// A day of the campaign's `time_zone`.
    Day,
}

/// What was counted in a cell: for the store, and back at the next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaCount {
    /// Whose.
    pub campaign: CampaignId,
    /// Its name.
    pub quota: String,
    /// Which day, `2026-01-31`; empty where it is counted over the campaign.
    pub day: String,
    /// How many.
    pub count: u64,
    /// Whether its leads are dialled no more.
    pub full: bool,
}

/// Cells by their place among a campaign's quotas.
pub(crate) type Cells = u32;

#[derive(Clone, Debug)]
struct Counted {
    quota: Quota,
    day: String,
    count: u64,
    full: bool,
}

/// The quotas of one campaign at work.
#[derive(Clone, Debug)]
pub(crate) struct Quotas {
    cells: Vec<Counted>,
    zone: TimeZone,
    full: Cells,
}

/// A cell that a count has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) cell: usize,
    /// It has just become full.
    pub(crate) filled: bool,
}

impl Quotas {
    pub(crate) fn new(quotas: &[Quota], time_zone: Option<&str>) -> Quotas {
        let zone = time_zone.and_then(|name| ZoneBook::default().zone(name));
        let counted = |quota: &Quota| Counted {
            quota: quota.clone(),
            day: String::new(),
            count: 0,
            full: false,
        };
        Quotas {
            cells: quotas.iter().map(counted).collect(),
            zone: zone.unwrap_or(TimeZone::UTC),
            full: 0,
        }
    }

    /// The cells a lead belongs to.
    pub(crate) fn of(&self, lead: &Lead, book: &ZoneBook, now: Utc) -> Cells {
        let subject = Subject {
            lead,
            past: Past::default(),
            book,
            now,
        };
        let bits = self.cells.iter().enumerate();
        bits.filter(|(_, cell)| cell.quota.cell.matches(&subject))
            .fold(0, |cells, (at, _)| cells | 1 << at)
    }

    /// The name of a full cell the lead belongs to.
    pub(crate) fn full_for(&self, lead: &Lead, book: &ZoneBook, now: Utc) -> Option<&str> {
        if self.full == 0 {
            return None;
        }
        let full = self.of(lead, book, now) & self.full;
        let first = usize::try_from(full.trailing_zeros()).unwrap_or(usize::MAX);
        self.cells.get(first).map(|cell| cell.quota.name.as_str())
    }

    pub(crate) fn are_none(&self) -> bool {
        self.cells.is_empty()
    }

    /// Which of these cells a disposition counts in.
    pub(crate) fn counting(&self, cells: Cells, disposition: DispositionId) -> Cells {
        let counts = self.cells.iter().enumerate();
        counts
            .filter(|(at, cell)| cells >> at & 1 == 1 && cell.quota.outcome == disposition)
            .fold(0, |cells, (at, _)| cells | 1 << at)
    }

    /// One more in the cells of `more`, one less in those of `less`.
    pub(crate) fn count(&mut self, more: Cells, less: Cells) -> Vec<Changed> {
        let mut changed = Vec::new();
        for (at, cell) in self.cells.iter_mut().enumerate() {
            let (up, down) = (more >> at & 1 == 1, less >> at & 1 == 1);
            if up == down {
                continue;
            }
            cell.count = match up {
                true => cell.count + 1,
                false => cell.count.saturating_sub(1),
            };
            let was = cell.full;
            cell.full = cell.count >= cell.quota.at_most;
            changed.push(Changed {
                cell: at,
                filled: cell.full && !was,
            });
        }
        self.note_full();
        changed
    }

    /// What the store had counted; the cells that are otherwise full, or of another day, now.
    pub(crate) fn load(&mut self, past: &QuotaCount, now: Utc) -> Option<usize> {
        let at = (self.cells.iter()).position(|cell| cell.quota.name == past.quota)?;
        let day = self.day_of(at, now);
        let cell = &mut self.cells[at];
        cell.count = if past.day == day { past.count } else { 0 };
        cell.full = cell.count >= cell.quota.at_most;
        cell.day = day;
        let is_other = cell.full != past.full || cell.day != past.day;
        self.note_full();
        is_other.then_some(at)
    }

    /// Begins the cells of a day anew where it is another day; which of them.
    pub(crate) fn roll(&mut self, now: Utc) -> Cells {
        let mut rolled = 0;
        for at in 0..self.cells.len() {
            let day = self.day_of(at, now);
            let cell = &mut self.cells[at];
            if cell.day == day {
                continue;
            }
            // The first day is no other day.
            if !cell.day.is_empty() {
                rolled |= 1 << at;
                cell.count = 0;
                cell.full = false;
            }
            cell.day = day;
        }
        self.note_full();
        rolled
    }

    /// When a day ends, where any cell is counted by the day.
    pub(crate) fn rolls_at(&self, now: Utc) -> Option<Utc> {
        let by_day = self.cells.iter().any(|cell| cell.quota.per == Period::Day);
        by_day.then(|| self.next_midnight(now))
    }

    /// When a lead of a full cell may be looked at again.
    pub(crate) fn next_midnight(&self, now: Utc) -> Utc {
        let today = calling_window::local(&self.zone, now).date();
        let next = today.tomorrow().ok();
        let next = next.and_then(|day| day.to_zoned(self.zone.clone()).ok());
        next.map_or(now.plus_micros(86_400_000_000), |at| {
            Utc::from_micros(at.timestamp().as_microsecond())
        })
    }

    /// For the store.
    pub(crate) fn saved(&self, campaign: CampaignId, cell: usize) -> QuotaCount {
        let is = &self.cells[cell];
        QuotaCount {
            campaign,
            quota: is.quota.name.clone(),
            day: is.day.clone(),
            count: is.count,
            full: is.full,
        }
    }

    pub(crate) fn at_most(&self, cell: usize) -> u64 {
        self.cells[cell].quota.at_most
    }

    fn day_of(&self, cell: usize, now: Utc) -> String {
        match self.cells[cell].quota.per {
            Period::Campaign => String::new(),
            Period::Day => calling_window::local(&self.zone, now).date().to_string(),
        }
    }

    fn note_full(&mut self) {
        let full = self.cells.iter().enumerate().filter(|(_, cell)| cell.full);
        self.full = full.fold(0, |cells, (at, _)| cells | 1 << at);
    }
}
