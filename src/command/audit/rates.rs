//! Abandon rates over a whole log: the stretch of a period in which a limit was passed by most.

use super::recount::{DAY_US, HOUR_US, instant};
use dialer::rules::Period;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::Utc;

/// A period that is given in hours is short: one abandoned call alone is no rate.
const FEW: u64 = 1;

/// A period in words.
pub(super) fn shown(period: Period) -> String {
    match period {
        Period::Days(days) => format!("the {days} days"),
        Period::Hours(hours) => format!("the {hours} hours"),
        Period::CalendarMonth => "the month".into(),
    }
}

/// The stretch in which the limit is passed by most: where it ends, live answers, abandoned ones.
/// Stretches that the log holds wholly; all of it where it is shorter.
pub(super) fn worst(
    persons: &[(Utc, bool)],
    period: Period,
    limit_pct: f64,
    last: Utc,
) -> Option<(Utc, u64, u64)> {
    let (first, _) = persons.first()?;
    let mut abandoned = vec![0_u64];
    for (_, is_abandoned) in persons {
        abandoned.push(abandoned[abandoned.len() - 1] + u64::from(*is_abandoned));
    }
    // Answers from `from`, included, to `to`, excluded.
    let count = |from: i64, to: i64| {
        let begin = persons.partition_point(|(at, _)| at.as_micros() < from);
        let end = persons.partition_point(|(at, _)| at.as_micros() < to);
        ((end - begin) as u64, abandoned[end] - abandoned[begin])
    };
    let (begin_us, end_us) = (first.as_micros(), last.as_micros() + 1);
    let (length_us, few) = match period {
        Period::Days(days) => (i64::from(days) * DAY_US, 0),
        Period::Hours(hours) => (i64::from(hours) * HOUR_US, FEW),
        Period::CalendarMonth => (0, 0),
    };
    let stretches: Vec<(i64, i64)> = match period {
        Period::CalendarMonth => months(begin_us, end_us),
        Period::Days(_) | Period::Hours(_) if end_us - begin_us <= length_us => {
            vec![(begin_us, end_us)]
        }
        Period::Days(_) | Period::Hours(_) => {
            // A rate is at its worst when somebody was just abandoned, or an answer just left.
            let ending = persons.iter().map(|(at, _)| at.as_micros() + 1 - length_us);
            let beginning = persons.iter().map(|(at, _)| at.as_micros() + 1);
            ending
                .chain(beginning)
                .filter(|from| *from >= begin_us && from + length_us <= end_us)
                .map(|from| (from, from + length_us))
                .collect()
        }
    };
    stretches
        .into_iter()
        .map(|(from, to)| (Utc::from_micros(to - 1), count(from, to)))
        .map(|(at, (all, abandoned))| (at, all, abandoned))
        .filter(|(_, all, abandoned)| {
            *abandoned > few && *abandoned as f64 > limit_pct / 100.0 * *all as f64 + 1e-9
        })
        .max_by(|one, other| {
            let rate = |(_, all, abandoned): &(Utc, u64, u64)| *abandoned as f64 / *all as f64;
            rate(one).total_cmp(&rate(other))
        })
}

/// The months of the calendar, in UTC, that touch the stretch.
fn months(begin_us: i64, end_us: i64) -> Vec<(i64, i64)> {
    let epoch_us = |day: Date| instant(&day.to_string());
    let first = jiff::Timestamp::from_microsecond(begin_us)
        .map(|at| at.to_zoned(TimeZone::UTC).date().first_of_month());
    let mut months = Vec::new();
    let Ok(mut month) = first else {
        return months;
    };
    loop {
        let Ok(next) = month.last_of_month().tomorrow() else {
            return months;
        };
        let Some((from, to)) = epoch_us(month).zip(epoch_us(next)) else {
            return months;
        };
        if from >= end_us {
            return months;
        }
        months.push((from, to));
        month = next;
    }
}
