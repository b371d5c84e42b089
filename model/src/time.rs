//! The two clocks: a monotonic one that measures, and the wall clock that names days and hours.
//! Both are handed in as [`Now`]; only the process reads the machine's clocks.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Monotonic time in µs since an origin the process chose. All waits and timeouts use it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Mono(u64);

impl Mono {
    /// The origin.
    pub const ZERO: Mono = Mono(0);
    /// Later than everything.
    pub const MAX: Mono = Mono(u64::MAX);

    /// A point `us` microseconds after the origin.
    pub const fn from_micros(us: u64) -> Mono {
        Mono(us)
    }
    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }
    /// Seconds since the origin.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// How long ago `earlier` was; zero if it is not in the past.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, d: Duration) -> Mono {
        Mono(
            self.0
                .saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}
impl AddAssign<Duration> for Mono {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}
impl Sub<Mono> for Mono {
    type Output = Duration;
    fn sub(self, earlier: Mono) -> Duration {
        self.since(earlier)
    }
}

/// Wall-clock time in µs since 1970-01-01T00:00:00Z. It may step; no timer depends on it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Utc(i64);

impl Utc {
    /// `us` microseconds after the Unix epoch.
    pub const fn from_micros(us: i64) -> Utc {
        Utc(us)
    }
    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// This time moved by `us` microseconds.
    pub const fn plus_micros(self, us: i64) -> Utc {
        Utc(self.0.saturating_add(us))
    }
}

impl Add<Duration> for Utc {
    type Output = Utc;
    fn add(self, d: Duration) -> Utc {
        self.plus_micros(i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
    }
}

/// ISO 8601 in UTC with microseconds: `2026-11-22T08:00:00.000000Z`.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(86_400_000_000);
        let us = self.0.rem_euclid(86_400_000_000);
        let (year, month, day) = civil_from_days(days);
        let s = us / 1_000_000;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
            s / 3600,
            s / 60 % 60,
            s % 60,
            us % 1_000_000
        )
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01 (years of 400-year eras that
/// begin in March, so that the leap day is the last of its year).
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// For measuring and for timers.
    pub mono: Mono,
    /// For calendars and records.
    pub utc: Utc,
}

impl Now {
    /// The instant `d` later, on both clocks. For tests and simulations.
    pub fn plus(self, d: Duration) -> Now {
        Now {
            mono: self.mono + d,
            utc: self.utc + d,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_prints_as_iso_8601() {
        assert_eq!(
            Utc::from_micros(0).to_string(),
            "1970-01-01T00:00:00.000000Z"
        );
        assert_eq!(
            Utc::from_micros(1_709_210_096_000_001).to_string(),
            "2024-02-29T12:34:56.000001Z"
        );
        assert_eq!(
            Utc::from_micros(-1).to_string(),
            "1969-12-31T23:59:59.999999Z"
        );
    }

    #[test]
    fn a_point_in_the_future_is_zero_ago() {
        assert_eq!(Mono::ZERO.since(Mono::from_micros(5)), Duration::ZERO);
    }
}
