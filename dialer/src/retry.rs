//! What becomes of a lead after an attempt: when it is dialled again, with which number, or never. By
//! the campaign's retry rules, held back by the locks of its rule sets, by the attempts a person has
//! had that day, and moved to another band of the day where the campaign wants that.

use crate::calling_window;
use crate::config::CampaignConfig;
use crate::rules::RuleSet;
use crate::zone::ZoneBook;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use model::lead::LeadNext;
use model::{AttemptOutcome, Lead, Utc};
use serde::{Deserialize, Serialize};

const HOUR_US: i64 = 3_600_000_000;
/// Days in which another band of the day is looked for: two weekends, should the first be closed.
const BAND_DAYS: i64 = 14;
/// Jumps of a search for an instant that suits the law and the day's attempts. Each leaves a closed
/// window or a full day behind, and a fortnight has fewer.
const JUMPS_MAX: usize = 100;

/// Dialling again after an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRule {
    /// Not before so many seconds have passed.
    pub wait_s: u32,
    /// Not once the lead has had so many attempts.
    pub attempts: u16,
    /// With the lead's next number.
    #[serde(default)]
    pub other_number: bool,
}

impl RetryRule {
    /// What holds where the campaign says nothing.
    pub fn of(outcome: AttemptOutcome) -> RetryRule {
        let (wait_s, attempts, other_number) = match outcome {
            AttemptOutcome::Busy => (10 * 60, 8, false),
            AttemptOutcome::NoAnswer => (3 * 3_600, 8, true),
            AttemptOutcome::Failed => (30 * 60, 5, true),
            AttemptOutcome::Machine | AttemptOutcome::Fax => (24 * 3_600, 5, true),
            AttemptOutcome::Abandoned => (72 * 3_600, 8, false),
            AttemptOutcome::Cancelled | AttemptOutcome::Blocked => (60, u16::MAX, false),
            AttemptOutcome::DisconnectedNumber => (60, u16::MAX, true),
            AttemptOutcome::UnknownRestart => (3_600, 8, false),
            AttemptOutcome::AnsweredAgent | AttemptOutcome::Messaged => (0, 0, false),
        };
        RetryRule {
            wait_s,
            attempts,
            other_number,
        }
    }
}

/// A part of the week in which people are reached who are not in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Band {
    Morning,
    Noon,
    Afternoon,
    Evening,
    Weekend,
}

impl Band {
    /// In the order in which they are tried.
    const ALL: [Band; 5] = [
        Band::Morning,
        Band::Noon,
        Band::Afternoon,
        Band::Evening,
        Band::Weekend,
    ];

    fn of(local: DateTime) -> Band {
        if is_weekend(local.date()) {
            return Band::Weekend;
        }
        match local.hour() {
            ..11 => Band::Morning,
            11..14 => Band::Noon,
            14..17 => Band::Afternoon,
            17.. => Band::Evening,
        }
    }

    /// Its first hour on that day, and the first after it; none where the day has none of it.
    fn hours(self, day: Date) -> Option<(i8, i8)> {
        let hours = match self {
            Band::Morning => (0, 11),
            Band::Noon => (11, 14),
            Band::Afternoon => (14, 17),
            Band::Evening => (17, 24),
            Band::Weekend => (0, 24),
        };
        (is_weekend(day) == (self == Band::Weekend)).then_some(hours)
    }
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// One person to be dialled again, and what is known for it.
#[derive(Clone, Copy)]
pub(crate) struct Again<'a> {
    pub(crate) campaign: &'a CampaignConfig,
    pub(crate) sets: &'a [RuleSet],
    pub(crate) book: &'a ZoneBook,
    pub(crate) lead: &'a Lead,
    /// Dials of the lead, this one among them.
    pub(crate) tried: &'a [Utc],
    pub(crate) agent_reserved: bool,
    pub(crate) prerecorded: bool,
}

impl Again<'_> {
    pub(crate) fn next(&self, outcome: AttemptOutcome, now: Utc) -> LeadNext {
        let (campaign, lead) = (self.campaign, self.lead);
        let rule = campaign.retry(outcome);
        let made = lead.attempts.saturating_add(match outcome {
            AttemptOutcome::Cancelled | AttemptOutcome::Blocked => 0,
            AttemptOutcome::AnsweredAgent
            | AttemptOutcome::Abandoned
            | AttemptOutcome::Messaged
            | AttemptOutcome::Machine
            | AttemptOutcome::Fax
            | AttemptOutcome::NoAnswer
            | AttemptOutcome::Busy
            | AttemptOutcome::Failed
            | AttemptOutcome::DisconnectedNumber
            | AttemptOutcome::UnknownRestart => 1,
        });
        if made >= rule.attempts || made >= campaign.max_attempts {
            return LeadNext::Done;
        }
        let count = u8::try_from(lead.numbers.len()).unwrap_or(u8::MAX);
        let this = lead.next_number % count.max(1);
        if outcome == AttemptOutcome::DisconnectedNumber && this + 1 >= count {
            return LeadNext::Done;
        }
        let number = if rule.other_number {
            (this + 1) % count
        } else {
            this
        };
        let locked_us = self
            .sets
            .iter()
            .flat_map(|set| &set.rules)
            .filter_map(|rule| rule.lock.as_ref())
            .filter(|lock| lock.after == outcome)
            .filter(|lock| !(lock.unless_agent_reserved && self.agent_reserved))
            .map(|lock| i64::from(lock.hours) * HOUR_US)
            .max()
            .unwrap_or(0);
        let wait_us = (i64::from(rule.wait_s) * 1_000_000).max(locked_us);
        let earliest = now.plus_micros(wait_us);
        let at = self
            .in_another_band(outcome, number, earliest)
            .unwrap_or_else(|| self.within_day(earliest));
        LeadNext::Again { at, number }
    }

    /// The first instant from `from` on at which the person has not had the day's attempts yet.
    pub(crate) fn within_day(&self, from: Utc) -> Utc {
        let Some(most) = self.campaign.max_attempts_per_day else {
            return from;
        };
        let zones = clocks(self.book, self.lead);
        let mut at = from;
        for _ in 0..JUMPS_MAX {
            let full = zones.iter().find_map(|zone| {
                let day = local(zone, at).date();
                let had = self
                    .tried
                    .iter()
                    .filter(|dial| local(zone, **dial).date() == day);
                (had.count() >= usize::from(most)).then(|| next_day(zone, day))?
            });
            match full {
                Some(next) if next > at => at = next,
                Some(_) | None => break,
            }
        }
        at
    }

    /// The first legal instant in the first band that was tried least; none where the campaign does
    /// not ask for that, somebody was there, or no band has one.
    fn in_another_band(&self, outcome: AttemptOutcome, number: u8, from: Utc) -> Option<Utc> {
        let nobody_there = match outcome {
            AttemptOutcome::NoAnswer | AttemptOutcome::Machine => true,
            AttemptOutcome::AnsweredAgent
            | AttemptOutcome::Abandoned
            | AttemptOutcome::Messaged
            | AttemptOutcome::Busy
            | AttemptOutcome::Fax
            | AttemptOutcome::Failed
            | AttemptOutcome::Cancelled
            | AttemptOutcome::Blocked
            | AttemptOutcome::DisconnectedNumber
            | AttemptOutcome::UnknownRestart => false,
        };
        if !self.campaign.vary_hour || !nobody_there {
            return None;
        }
        let mut zones = clocks(self.book, self.lead);
        let zone = zones.swap_remove(zones.first().map(|_| 0)?);
        let tried: Vec<Band> = self
            .tried
            .iter()
            .map(|dial| Band::of(local(&zone, *dial)))
            .collect();
        let last = tried.last().map_or(0, |last| *last as usize + 1);
        let mut bands: Vec<(usize, usize)> = (0..Band::ALL.len())
            .map(|step| {
                let band = (last + step) % Band::ALL.len();
                let times = tried.iter().filter(|tried| **tried == Band::ALL[band]);
                (times.count(), band)
            })
            .collect();
        // Stable: those tried equally often stay in their order.
        bands.sort_by_key(|(times, _)| *times);
        let target = usize::from(number) % self.lead.numbers.len();
        let place = self.book.place(self.lead, self.lead.numbers[target]);
        let today = local(&zone, from).date();
        for (_, band) in bands {
            for days in 0..=BAND_DAYS {
                let Ok(day) = today.checked_add(days.days()) else {
                    break;
                };
                let Some((first, after)) = Band::ALL[band].hours(day) else {
                    continue;
                };
                let begins = instant(&zone, day, first)?.max(from);
                let ends = instant(&zone, day, after)?;
                if let Some(at) = self.suits(&place, begins, ends) {
                    return Some(at);
                }
            }
        }
        None
    }

    /// The first instant between these that the law and the day's attempts allow.
    fn suits(&self, place: &crate::zone::Place, begins: Utc, ends: Utc) -> Option<Utc> {
        let mut at = begins;
        for _ in 0..JUMPS_MAX {
            if at >= ends {
                return None;
            }
            let legal = calling_window::check_calls(self.sets, place, self.prerecorded, at);
            let next = self.within_day(legal.map_or_else(|closed| closed.opens, |()| at));
            if next <= at {
                return Some(at);
            }
            at = next;
        }
        None
    }
}

/// The clocks of a person: the address's, or else those of every number, the first one's first.
fn clocks(book: &ZoneBook, lead: &Lead) -> Vec<TimeZone> {
    let address = lead.time_zone.as_deref().and_then(|name| book.zone(name));
    if let Some(address) = address {
        return vec![address];
    }
    let mut zones: Vec<TimeZone> = Vec::new();
    let count = lead.numbers.len();
    for step in 0..count {
        let number = lead.numbers[(usize::from(lead.next_number) + step) % count];
        for zone in book.place(lead, number).zones {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
    }
    zones
}

fn local(zone: &TimeZone, at: Utc) -> DateTime {
    calling_window::local(zone, at)
}

fn next_day(zone: &TimeZone, day: Date) -> Option<Utc> {
    instant(zone, day.tomorrow().ok()?, 0)
}

/// That hour of that day; where the clock is put on over it, the first instant after.
fn instant(zone: &TimeZone, day: Date, hour: i8) -> Option<Utc> {
    let (day, hour) = match hour {
        24.. => (day.tomorrow().ok()?, 0),
        hour => (day, hour),
    };
    let zoned = day.at(hour, 0, 0, 0).to_zoned(zone.clone()).ok()?;
    let at: Timestamp = zoned.timestamp();
    Some(Utc::from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests;
