//! Business hours and holidays: is it open at this moment?
//!
//! The moment is given in UTC and turned into the local clock of an IANA zone; hours are compared on
//! that local clock. Each moment has exactly one local time, so the night the clocks change needs no
//! rule: an hour that does not exist is never reached, an hour that comes twice counts twice.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::Utc;
use std::collections::{BTreeMap, BTreeSet};

/// Minutes of a day; an interval may end there, written `24:00`.
pub const DAY_MINUTES: u16 = 24 * 60;

/// Names of the days, Monday first as in ISO 8601.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// From the first minute to before the last, in minutes since local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// First minute, 0–1439.
    pub from: u16,
    /// First minute that is no longer in it, 1–1440; greater than `from`.
    pub until: u16,
}

/// Why a text is not an [`Interval`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// Not of the form `09:00-17:30`.
    #[error("hours are written \"09:00-17:30\"")]
    Form,
    /// An hour beyond 24:00 or a minute beyond 59.
    #[error("a day has the times 00:00 to 24:00")]
    Range,
    /// It ends before it begins.
    #[error("it ends before it begins; split hours that pass midnight into two days")]
    Order,
}

impl Interval {
    /// Reads `09:00-17:30`.
    ///
    /// # Errors
    /// Where the text has another form, or is not within one day.
    pub fn parse(text: &str) -> Result<Interval, IntervalError> {
        let (from, until) = text.split_once('-').ok_or(IntervalError::Form)?;
        let (from, until) = (minutes(from.trim())?, minutes(until.trim())?);
        if from < until {
            Ok(Interval { from, until })
        } else {
            Err(IntervalError::Order)
        }
    }
}

fn minutes(text: &str) -> Result<u16, IntervalError> {
    let (hour, minute) = text.split_once(':').ok_or(IntervalError::Form)?;
    let number = |t: &str| -> Result<u16, IntervalError> {
        let is_number = (1..=2).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
        if is_number {
            t.parse().map_err(|_| IntervalError::Form)
        } else {
            Err(IntervalError::Form)
        }
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let at = hour * 60 + minute;
    if minute > 59 || at > DAY_MINUTES {
        Err(IntervalError::Range)
    } else {
        Ok(at)
    }
}

/// When something is open.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours {
    /// The name in the flow.
    pub name: String,
    /// Whose clock and calendar.
    pub zone: TimeZone,
    /// Open intervals from Monday to Sunday, in order, without overlap.
    pub week: [Vec<Interval>; 7],
    /// Local dates that are closed all day.
    pub holidays: BTreeSet<Date>,
    /// Local dates with hours of their own; they win over the week and the holidays.
    pub special: BTreeMap<Date, Vec<Interval>>,
}

/// What the hours say of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Within the hours.
    Open,
    /// Outside.
    Closed,
    /// A holiday.
    Holiday,
}

impl Hours {
    /// Whether it is open at `utc`. A moment beyond the calendar (year 9999) counts as closed.
    pub fn at(&self, utc: Utc) -> Opening {
        let Ok(moment) = Timestamp::from_microsecond(utc.as_micros()) else {
            return Opening::Closed;
        };
        let local = moment.to_zoned(self.zone.clone()).datetime();
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute()))
            .expect("a local time is within a day");
        let intervals = match self.special.get(&local.date()) {
            Some(intervals) => intervals,
            None if self.holidays.contains(&local.date()) => return Opening::Holiday,
            None => &self.week[local.date().weekday().to_monday_zero_offset() as usize],
        };
        if intervals
            .iter()
            .any(|i| (i.from..i.until).contains(&minute))
        {
            Opening::Open
        } else {
            Opening::Closed
        }
    }
}

/// The date at `utc` on the clock of `zone`; `None` beyond the calendar.
pub fn date_at(zone: &TimeZone, utc: Utc) -> Option<Date> {
    let moment = Timestamp::from_microsecond(utc.as_micros()).ok()?;
    Some(moment.to_zoned(zone.clone()).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Utc {
        Utc::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn berlin(day: usize, interval: &str) -> Hours {
        let mut week: [Vec<Interval>; 7] = Default::default();
        week[day].push(Interval::parse(interval).unwrap());
        Hours {
            name: "office".to_owned(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            week,
            holidays: BTreeSet::new(),
            special: BTreeMap::new(),
        }
    }

    #[test]
    fn hours_follow_the_local_clock_in_summer_and_winter() {
        let hours = berlin(0, "09:00-17:00");
        assert_eq!(hours.at(utc("2026-07-06T06:59:59Z")), Opening::Closed);
        assert_eq!(hours.at(utc("2026-07-06T07:00:00Z")), Opening::Open);
        assert_eq!(hours.at(utc("2026-01-05T07:00:00Z")), Opening::Closed);
        assert_eq!(hours.at(utc("2026-01-05T08:00:00Z")), Opening::Open);
        assert_eq!(hours.at(utc("2026-01-05T15:59:59.999Z")), Opening::Open);
        assert_eq!(hours.at(utc("2026-01-05T16:00:00Z")), Opening::Closed);
    }

    #[test]
    fn hours_within_the_gap_of_spring_open_when_the_clock_jumps_past_them() {
        // On 29 March 2026 Berlin goes from 01:59:59 to 03:00:00.
        let hours = berlin(6, "02:30-03:30");
        assert_eq!(hours.at(utc("2026-03-29T00:59:59Z")), Opening::Closed);
        assert_eq!(hours.at(utc("2026-03-29T01:00:00Z")), Opening::Open);
        assert_eq!(hours.at(utc("2026-03-29T01:30:00Z")), Opening::Closed);
    }

    #[test]
    fn hours_within_the_overlap_of_autumn_are_open_both_times() {
        // On 25 October 2026 Berlin has 02:00 to 02:59 twice.
        let hours = berlin(6, "02:30-03:00");
        for (moment, expected) in [
            ("2026-10-25T00:29:00Z", Opening::Closed),
            ("2026-10-25T00:30:00Z", Opening::Open),
            ("2026-10-25T01:00:00Z", Opening::Closed),
            ("2026-10-25T01:30:00Z", Opening::Open),
            ("2026-10-25T02:00:00Z", Opening::Closed),
        ] {
            assert_eq!(hours.at(utc(moment)), expected, "{moment}");
        }
    }

    #[test]
    fn a_day_of_its_own_wins_over_a_holiday_and_a_holiday_over_the_week() {
        let mut hours = berlin(4, "00:00-24:00");
        hours.holidays.insert("2026-12-25".parse().unwrap());
        assert_eq!(hours.at(utc("2026-12-25T10:00:00Z")), Opening::Holiday);
        // The holiday is a local day: it begins at 23:00 UTC the day before.
        assert_eq!(hours.at(utc("2026-12-24T23:00:00Z")), Opening::Holiday);
        assert_eq!(hours.at(utc("2026-12-25T23:00:00Z")), Opening::Closed);
        hours.special.insert(
            "2026-12-25".parse().unwrap(),
            vec![Interval::parse("10:00-12:00").unwrap()],
        );
        assert_eq!(hours.at(utc("2026-12-25T10:00:00Z")), Opening::Open);
        assert_eq!(hours.at(utc("2026-12-25T12:00:00Z")), Opening::Closed);
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_closed() {
        assert_eq!(
            berlin(0, "00:00-24:00").at(Utc::from_micros(i64::MAX)),
            Opening::Closed
        );
        assert_eq!(
            berlin(0, "00:00-24:00").at(Utc::from_micros(i64::MIN)),
            Opening::Closed
        );
    }

    #[test]
    fn odd_intervals_are_refused_with_the_reason() {
        assert_eq!(
            Interval::parse("09:00-24:00"),
            Ok(Interval {
                from: 540,
                until: 1440
            })
        );
        assert_eq!(Interval::parse("9-17"), Err(IntervalError::Form));
        assert_eq!(Interval::parse("09:00-24:01"), Err(IntervalError::Range));
        assert_eq!(Interval::parse("09:60-10:00"), Err(IntervalError::Range));
        assert_eq!(Interval::parse("22:00-06:00"), Err(IntervalError::Order));
        assert_eq!(Interval::parse("+9:00-10:00"), Err(IntervalError::Form));
    }
}
