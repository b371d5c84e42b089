//! Legal hours: whether a place may be called now, and if not, by which rule and from when.
//! Times are local to every zone of the place, right across DST; the strictest rule wins.

use crate::rules::{Hours, Rule, RuleSet};
use crate::zone::Place;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use model::Utc;

/// Steps of the search for the next legal time: each is a jump to an opening, and a week of several
/// zones with several rules has fewer than this.
const JUMPS_MAX: usize = 200;
/// What a lead in an unknown country is told to wait before it is looked at again.
const UNKNOWN_WAIT_US: i64 = 24 * 3_600_000_000;

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

/// Whether every rule of every set allows calling the place at `now`.
pub fn check(sets: &[RuleSet], place: &Place, now: Utc) -> Result<(), Closed> {
    let states: Vec<&str> = place.states.iter().map(String::as_str).collect();
    let with_hours = || {
        sets.iter()
            .flat_map(|set| &set.rules)
            .filter(|rule| !rule.hours.is_empty())
    };
    if place.zones.is_empty() {
        return match with_hours().next() {
            None => Ok(()),
            Some(_) => Err(Closed {
                rule: ZONE_UNKNOWN.into(),
                opens: now.plus_micros(UNKNOWN_WAIT_US),
            }),
        };
    }
    let Some(rule) =
        first_closed(with_hours(), place, &states, now).map(|(rule, _)| rule.id.clone())
    else {
        return Ok(());
    };
    let mut at = now;
    for _ in 0..JUMPS_MAX {
        match first_closed(with_hours(), place, &states, at) {
            None => break,
            Some((rule, zone)) => at = next_opening(rule, zone, at),
        }
    }
    Err(Closed { rule, opens: at })
}

fn first_closed<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    place: &'a Place,
    states: &[&str],
    at: Utc,
) -> Option<(&'a Rule, &'a TimeZone)> {
    for rule in rules {
        for zone in &place.zones {
            let local = local(zone, at);
            if rule.applies(local.date(), states) && !is_open(&rule.hours, local) {
                return Some((rule, zone));
            }
        }
    }
    None
}

fn local(zone: &TimeZone, at: Utc) -> DateTime {
    let at = Timestamp::from_microsecond(at.as_micros()).unwrap_or(Timestamp::MAX);
    zone.to_datetime(at)
}

fn is_open(hours: &[Hours], local: DateTime) -> bool {
    let minute =
        u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    hours
        .iter()
        .any(|hours| hours.on(local.weekday()) && hours.from.0 <= minute && minute < hours.to.0)
}

/// The first opening of the rule in the zone after `at`, which is closed.
fn next_opening(rule: &Rule, zone: &TimeZone, at: Utc) -> Utc {
    let today = local(zone, at).date();
    let mut first: Option<i64> = None;
    for ahead in 0..9_i64 {
        let Ok(day) = today.checked_add(ahead.days()) else {
            break;
        };
        for hours in rule.hours.iter().filter(|hours| hours.on(day.weekday())) {
            let (hour, minute) = ((hours.from.0 / 60) as i8, (hours.from.0 % 60) as i8);
            if hour > 23 {
                continue;
            }
            let Ok(opens) = zone
                .to_ambiguous_zoned(day.at(hour, minute, 0, 0))
                .compatible()
            else {
                continue;
            };
            let opens = opens.timestamp().as_microsecond();
            if opens > at.as_micros() && first.is_none_or(|first| opens < first) {
                first = Some(opens);
            }
        }
        if first.is_some() {
            break;
        }
    }
    first.map_or(at.plus_micros(UNKNOWN_WAIT_US), Utc::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::embedded;
    use crate::zone::ZoneBook;
    use model::Lead;
    use proptest::prelude::*;

    fn lead(number: &str, zone: Option<&str>) -> Lead {
        Lead {
            id: model::LeadId(1),
            list: "l".parse().unwrap(),
            numbers: vec![number.parse().unwrap()],
            next_number: 0,
            attempts: 0,
            priority: 0,
            time_zone: zone.map(str::to_string),
            name: None,
            customer_key: None,
            fields: Default::default(),
            last_disposition: None,
            not_before: None,
        }
    }

    fn utc(text: &str) -> Utc {
        Utc::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn check_us(number: &str, zone: Option<&str>, at: Utc) -> Result<(), Closed> {
        let lead = lead(number, zone);
        let place = ZoneBook::default().place(&lead, lead.number());
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
        // Toll-free: no area. 18:00Z is 14:00 in New York, 08:00 in Honolulu and 09:00 in Adak.
        assert_eq!(
            check_us("+18005550100", None, utc("2026-07-01T18:00:00Z")),
            Ok(())
        );
        assert!(check_us("+18005550100", None, utc("2026-07-01T17:59:59Z")).is_err());
        assert_eq!(
            check_us("+99955501000", None, utc("2026-07-01T18:00:00Z"))
                .unwrap_err()
                .rule,
            ZONE_UNKNOWN
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
            let numbers = ["+12125550100", "+16055550100", "+19285550100", "+18085550100", "+19075550100", "+18005550100"];
            let us = if snap { us / 1_800_000_000 * 1_800_000_000 + edge } else { us };
            let lead = lead(numbers[pick], None);
            let place = ZoneBook::default().place(&lead, lead.number());
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
