//! Legal hours: whether a place may be called now, and if not, by which rule and from when.
//! Times are local to every zone of the place, right across DST; the strictest rule wins.

use crate::rules::{Calls, Rule, RuleSet};
use crate::zone::Place;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use model::Utc;

/// Steps of the search for the next legal time: each is a jump to an opening, and a month of several
/// zones with several rules has fewer than this.
const JUMPS_MAX: usize = 200;
/// Days that are looked at for an opening. Longer than any run of holidays and closed days.
const DAYS_AHEAD: i64 = 40;
/// What a lead in an unknown country is told to wait before it is looked at again.
pub(crate) const UNKNOWN_WAIT_US: i64 = 24 * 3_600_000_000;

/// Rule id of a number whose country is not in the tables.
pub const ZONE_UNKNOWN: &str = "ZONE-UNKNOWN";

/// Why a place may not be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The id of the rule.
    pub rule: String,
    /// When it is legal again.
    pub opens: Utc,
}

/// Whether every rule of every set allows an agent's call to the place at `now`.
pub fn check(sets: &[RuleSet], place: &Place, now: Utc) -> Result<(), Closed> {
    check_calls(sets, place, false, now)
}

/// The same for calls that begin with a recording, or not.
pub fn check_calls(
    sets: &[RuleSet],
    place: &Place,
    prerecorded: bool,
    now: Utc,
) -> Result<(), Closed> {
    let Some((rule, _)) = first_closed(sets, place, prerecorded, now) else {
        return Ok(());
    };
    let rule = rule.map_or(ZONE_UNKNOWN.into(), |rule| rule.id.clone());
    let mut at = now;
    for _ in 0..JUMPS_MAX {
        match first_closed(sets, place, prerecorded, at) {
            None => break,
            Some((_, opens)) => at = opens,
        }
        if place.zones.is_empty() {
            break;
        }
    }
    Err(Closed { rule, opens: at })
}

/// The first rule that forbids a call at `at`, with the first instant it would allow one. No rule: the
/// place has no zone, and there are rules about time.
pub(crate) fn first_closed<'a>(
    sets: &'a [RuleSet],
    place: &Place,
    prerecorded: bool,
    at: Utc,
) -> Option<(Option<&'a Rule>, Utc)> {
    let about_time = || {
        sets.iter().flat_map(|set| &set.rules).filter(|rule| {
            rule.is_about_time()
                && match rule.calls {
                    Calls::All => true,
                    Calls::Prerecorded => prerecorded,
                }
        })
    };
    if place.zones.is_empty() {
        return about_time()
            .next()
            .map(|_| (None, at.plus_micros(UNKNOWN_WAIT_US)));
    }
    for rule in about_time() {
        for zone in place.zones_of(&rule.states) {
            if !is_open(rule, local(zone, at)) {
                return Some((Some(rule), next_opening(rule, zone, at)));
            }
        }
    }
    None
}

fn timestamp(at: Utc) -> Timestamp {
    Timestamp::from_microsecond(at.as_micros()).unwrap_or(Timestamp::MAX)
}

pub(crate) fn local(zone: &TimeZone, at: Utc) -> DateTime {
    zone.to_datetime(timestamp(at))
}

/// Whether the rule, where it is in force, allows a call at that local time.
fn is_open(rule: &Rule, local: DateTime) -> bool {
    let minute =
        u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    let day = local.date();
    if !rule.in_force(day) {
        return true;
    }
    !is_free(rule, day)
        && (rule.hours.is_empty()
            || rule.hours.iter().any(|hours| {
                hours.on(local.weekday()) && hours.from.0 <= minute && minute < hours.to.0
            }))
}

/// Whether nobody is called on that day.
fn is_free(rule: &Rule, day: Date) -> bool {
    rule.closed.iter().any(|closed| closed.0 == day)
        || rule.holidays.iter().any(|holiday| holiday.is_kept(day))
}

/// The first opening of the rule in the zone after `at`, which is closed. A rule opens when its hours
/// begin, at the midnight after a free day or its last one, or when the clock is put on or back.
fn next_opening(rule: &Rule, zone: &TimeZone, at: Utc) -> Utc {
    let mut first: Option<Timestamp> = None;
    let offer = |first: &mut Option<Timestamp>, opens: Timestamp| {
        if opens > timestamp(at)
            && first.is_none_or(|first| opens < first)
            && is_open(rule, zone.to_datetime(opens))
        {
            *first = Some(opens);
        }
    };
    let end = at.plus_micros(DAYS_AHEAD * 86_400_000_000);
    for change in zone.following(timestamp(at)) {
        if change.timestamp() > timestamp(end) {
            break;
        }
        offer(&mut first, change.timestamp());
    }
    let today = local(zone, at).date();
    for ahead in 0..DAYS_AHEAD {
        let Ok(day) = today.checked_add(ahead.days()) else {
            break;
        };
        let begins = rule.hours.iter().filter(|hours| hours.on(day.weekday()));
        for minute in begins.map(|hours| hours.from.0).chain([0]) {
            let (hour, minute) = ((minute / 60) as i8, (minute % 60) as i8);
            if hour > 23 {
                continue;
            }
            // The clock may show this time twice; the rule opens at either.
            let shown = || zone.to_ambiguous_zoned(day.at(hour, minute, 0, 0));
            for opens in [shown().earlier(), shown().later()].into_iter().flatten() {
                offer(&mut first, opens.timestamp());
            }
        }
        if first.is_some_and(|first| zone.to_datetime(first).date() <= day) {
            break;
        }
    }
    first.map_or(at.plus_micros(UNKNOWN_WAIT_US), |first| {
        Utc::from_micros(first.as_microsecond())
    })
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::embedded;
    use crate::test_lead::lead;
    use crate::zone::ZoneBook;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static ZONES: LazyLock<ZoneBook> = LazyLock::new(ZoneBook::default);

    fn utc(text: &str) -> Utc {
        Utc::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn check_us(number: &str, zone: Option<&str>, at: Utc) -> Result<(), Closed> {
        let lead = lead(number, zone);
        let place = ZONES.place(&lead, lead.number());
        check(&[embedded()["us"].clone()], &place, at)
    }

    #[test]
    fn the_last_microsecond_is_legal_and_the_next_is_not() {
        // Summer in New York: 21:00 is 01:00Z.
        assert_eq!(
            check_us("+12125550100", None, utc("2026-07-02T00:59:59.999999Z")),
            Ok(())
        );
        let closed = check_us("+12125550100", None, utc("2026-07-02T01:00:00Z")).unwrap_err();
        assert_eq!(
            (closed.rule.as_str(), closed.opens),
            ("US-5", utc("2026-07-02T12:00:00Z"))
        );
        assert!(check_us("+12125550100", None, utc("2026-07-02T11:59:59.999999Z")).is_err());
        assert_eq!(
            check_us("+12125550100", None, utc("2026-07-02T12:00:00Z")),
            Ok(())
        );
    }

    #[test]
    fn the_stricter_of_number_and_address_wins() {
        // 20:30 in Los Angeles is 23:30 in New York.
        let at = utc("2026-07-02T03:30:00Z");
        assert_eq!(check_us("+13105550100", None, at), Ok(()));
        assert!(check_us("+13105550100", Some("America/New_York"), at).is_err());
        assert!(check_us("+12125550100", Some("America/Los_Angeles"), at).is_err());
    }

    #[test]
    fn florida_closes_an_hour_earlier_by_its_own_rule() {
        let closed = check_us("+13055550100", None, utc("2026-07-02T00:00:00Z")).unwrap_err();
        assert_eq!(closed.rule, "FL-1");
        assert_eq!(
            check_us("+13055550100", None, utc("2026-07-01T23:59:59Z")),
            Ok(())
        );
    }

    #[test]
    fn a_lead_without_any_zone_is_called_only_when_all_of_the_country_may_be() {
        // Toll-free: no area, no state, so that every state's rule holds in its own zones. On a Tuesday
        // Honolulu opens at 18:00Z; Rhode Island closes at 22:00Z.
        for (at, rule) in [
            ("2026-06-30T17:59:59Z", Some("US-5")),
            ("2026-06-30T18:00:00Z", None),
            ("2026-06-30T21:59:59Z", None),
            ("2026-06-30T22:00:00Z", Some("ST-RI")),
            // A Sunday is free in South Dakota.
            ("2026-06-28T19:00:00Z", Some("ST-SD")),
        ] {
            let closed = check_us("+18005550100", None, utc(at)).err();
            assert_eq!(closed.map(|closed| closed.rule).as_deref(), rule, "{at}");
        }
        assert_eq!(
            check_us("+99955501000", None, utc("2026-07-01T18:00:00Z"))
                .unwrap_err()
                .rule,
            ZONE_UNKNOWN
        );
    }

    #[test]
    fn an_address_without_a_state_is_held_to_every_state_of_its_zone() {
        // 20:30 in the East: Florida is closed, and the lead may be there.
        let at = utc("2026-07-01T00:30:00Z");
        let closed = check_us("+18005550100", Some("America/New_York"), at);
        assert!(closed.is_err());
        // 19:30 in Phoenix: Arizona has no hours of its own.
        let at = utc("2026-07-02T02:30:00Z");
        assert_eq!(
            check_us("+18005550100", Some("America/Phoenix"), at),
            Ok(())
        );
    }

    #[test]
    fn the_clock_change_moves_the_window() {
        // New York springs forward on 2026-03-08 and falls back on 2026-11-01.
        assert!(check_us("+12125550100", None, utc("2026-03-07T12:59:59Z")).is_err());
        assert_eq!(
            check_us("+12125550100", None, utc("2026-03-08T12:00:00Z")),
            Ok(())
        );
        assert_eq!(
            check_us("+12125550100", None, utc("2026-10-31T12:00:00Z")),
            Ok(())
        );
        assert!(check_us("+12125550100", None, utc("2026-11-01T12:59:59Z")).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// Legal exactly when 08:00 ≤ local < 21:00 in every zone, told by another way of reckoning;
        /// and what is said to open, opens, and not earlier.
        #[test]
        fn legal_exactly_from_eight_to_nine_in_every_zone(
            us in 1_740_000_000_000_000_i64..1_800_000_000_000_000,
            edge in -2_i64..3,
            snap in any::<bool>(),
            pick in 0usize..6,
        ) {
            let numbers = ["+12125550100", "+12085550100", "+19285550100", "+18085550100", "+19075550100", "+17095550100"];
            let us = if snap { us / 1_800_000_000 * 1_800_000_000 + edge } else { us };
            let lead = lead(numbers[pick], None);
            let place = ZONES.place(&lead, lead.number());
            let sets = [embedded()["us"].clone()];
            let legal = |us: i64| place.zones.iter().all(|zone| {
                let at = Timestamp::from_microsecond(us).unwrap();
                let local_us = us + i64::from(zone.to_offset(at).seconds()) * 1_000_000;
                (8 * 3_600_000_000..21 * 3_600_000_000).contains(&local_us.rem_euclid(86_400_000_000))
            });
            match check(&sets, &place, Utc::from_micros(us)) {
                Ok(()) => prop_assert!(legal(us)),
                Err(closed) => {
                    prop_assert!(!legal(us));
                    let opens = closed.opens.as_micros();
                    prop_assert!(opens > us && legal(opens) && !legal(opens - 1));
                }
            }
        }
    }
}
