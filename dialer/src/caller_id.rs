//! The number we show: of a pool, the one of the called number's area where there is one, else the one
//! shown least within a day. Caps per number, so that carriers do not mark it as a nuisance.

use model::{PhoneNumber, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

const HOUR_US: i64 = 3_600_000_000;
/// A day is the last so many hours, the one under way included.
const DAY_HOURS: i64 = 24;
/// Digits that make an area in North America: the 1 and the area code.
const NANP_AREA_DIGITS: usize = 4;
/// Elsewhere areas have codes of many lengths: the longest common beginning wins, from so many digits on.
const AREA_DIGITS_MIN: usize = 4;

/// Numbers of ours that campaigns show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// The numbers, best first. Each can be called back (47 CFR 64.1601(e)).
    pub numbers: Vec<PhoneNumber>,
    /// Not shown for now.
    #[serde(default)]
    pub resting: Vec<PhoneNumber>,
    /// Prefer a number of the called number's area.
    #[serde(default = "yes")]
    pub local: bool,
    /// Calls showing one number in an hour of the clock.
    #[serde(default)]
    pub calls_per_number_per_hour: Option<u32>,
    /// Calls showing one number within 24 hours.
    #[serde(default)]
    pub calls_per_number_per_day: Option<u32>,
}

fn yes() -> bool {
    true
}

impl PoolConfig {
    /// What is wrong with it: key, problem, remedy.
    pub fn problems(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut problems = Vec::new();
        if !self
            .numbers
            .iter()
            .any(|number| !self.resting.contains(number))
        {
            problems.push((
                "numbers",
                "no number that may be shown".into(),
                "name at least one that does not rest",
            ));
        }
        for (index, number) in self.numbers.iter().enumerate() {
            if self.numbers[..index].contains(number) {
                problems.push((
                    "numbers",
                    format!("{number} is there twice"),
                    "name each number once",
                ));
            }
        }
        for (key, cap) in [
            ("calls_per_number_per_hour", self.calls_per_number_per_hour),
            ("calls_per_number_per_day", self.calls_per_number_per_day),
        ] {
            if cap == Some(0) {
                problems.push((
                    key,
                    "0 calls show no number".into(),
                    "let the number rest, or use at least 1",
                ));
            }
        }
        problems
    }
}

/// Calls that showed a number within an hour, as the store has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastUse {
    /// The number shown.
    pub number: PhoneNumber,
    /// An instant of that hour.
    pub at: Utc,
    /// Calls.
    pub calls: u32,
}

/// How often each number was shown: by hour, the last day only. Shared by all pools, for a number in
/// two of them is one number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    by_number: BTreeMap<PhoneNumber, VecDeque<(i64, u32)>>,
}

fn hour(at: Utc) -> i64 {
    at.as_micros().div_euclid(HOUR_US)
}

impl Shown {
    /// Calls of the hours before; any order.
    pub(crate) fn load(&mut self, past: &PastUse) {
        let hours = self.by_number.entry(past.number).or_default();
        let at = hour(past.at);
        let place = hours.partition_point(|(hour, _)| *hour < at);
        match hours.get_mut(place).filter(|(hour, _)| *hour == at) {
            Some((_, calls)) => *calls = calls.saturating_add(past.calls),
            None => hours.insert(place, (at, past.calls)),
        }
    }

    fn count(&mut self, number: PhoneNumber, now: Utc) {
        self.load(&PastUse {
            number,
            at: now,
            calls: 1,
        });
        let since = hour(now) - DAY_HOURS;
        if let Some(hours) = self.by_number.get_mut(&number) {
            while hours.front().is_some_and(|(hour, _)| *hour <= since) {
                hours.pop_front();
            }
        }
    }

    /// Calls within this hour, and within the day.
    fn of(&self, number: PhoneNumber, now: Utc) -> (u32, u32) {
        let this = hour(now);
        let Some(hours) = self.by_number.get(&number) else {
            return (0, 0);
        };
        let sum = |since: i64| {
            hours
                .iter()
                .filter(|(hour, _)| *hour > since)
                .fold(0_u32, |sum, (_, calls)| sum.saturating_add(*calls))
        };
        (sum(this - 1), sum(this - DAY_HOURS))
    }

    /// The number of the pool to show to `called`; it counts as shown. None: all rest or are used up.
    pub(crate) fn choose(
        &mut self,
        pool: &PoolConfig,
        called: PhoneNumber,
        now: Utc,
    ) -> Option<PhoneNumber> {
        let below = |count: u32, cap: Option<u32>| cap.is_none_or(|cap| count < cap);
        let chosen = pool
            .numbers
            .iter()
            .enumerate()
            .filter(|(_, number)| !pool.resting.contains(number))
            .filter_map(|(order, number)| {
                let (hour, day) = self.of(*number, now);
                let is_below = below(hour, pool.calls_per_number_per_hour)
                    && below(day, pool.calls_per_number_per_day);
                let near = if pool.local {
                    nearness(*number, called)
                } else {
                    0
                };
                is_below.then_some((std::cmp::Reverse(near), day, order, *number))
            })
            .min()
            .map(|(_, _, _, number)| number)?;
        self.count(chosen, now);
        Some(chosen)
    }
}

/// How many digits two numbers of one area share; 0 where they are of different areas.
fn nearness(ours: PhoneNumber, called: PhoneNumber) -> usize {
    let (ours, called) = (ours.digits(), called.digits());
    let common = ours
        .bytes()
        .zip(called.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    if called.starts_with('1') {
        return if common >= NANP_AREA_DIGITS {
            NANP_AREA_DIGITS
        } else {
            0
        };
    }
    if common >= AREA_DIGITS_MIN { common } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> PhoneNumber {
        text.parse().unwrap()
    }

    fn pool(numbers: &[&str]) -> PoolConfig {
        PoolConfig {
            numbers: numbers.iter().map(|text| number(text)).collect(),
            local: true,
            ..PoolConfig::default()
        }
    }

    const NOW: Utc = Utc::from_micros(1_767_826_800_000_000);

    #[test]
    fn the_number_of_the_called_area_is_shown_and_elsewhere_they_take_turns() {
        let pool = pool(&["+12125550100", "+13105550100", "+13105550101"]);
        let mut shown = Shown::default();
        let mut show = |called: &str| {
            shown
                .choose(&pool, number(called), NOW)
                .unwrap()
                .to_string()
        };
        assert_eq!(show("+13109990000"), "+13105550100");
        assert_eq!(show("+13109990000"), "+13105550101");
        assert_eq!(show("+12129990000"), "+12125550100");
        assert_eq!(show("+14159990000"), "+12125550100", "all once: the first");
        assert_eq!(show("+14159990000"), "+13105550100");
    }

    #[test]
    fn outside_of_north_america_the_longest_common_beginning_is_the_area() {
        let pool = pool(&["+4989123456", "+4930123456", "+49303123456"]);
        let mut shown = Shown::default();
        let show = shown.choose(&pool, number("+49303999999"), NOW).unwrap();
        assert_eq!(show.to_string(), "+49303123456");
    }

    #[test]
    fn a_resting_number_is_never_shown() {
        let mut pool = pool(&["+12125550100", "+13105550100"]);
        pool.resting = vec![number("+12125550100")];
        let mut shown = Shown::default();
        for _ in 0..10 {
            let show = shown.choose(&pool, number("+12129990000"), NOW).unwrap();
            assert_eq!(show.to_string(), "+13105550100");
        }
        pool.resting.push(number("+13105550100"));
        assert_eq!(shown.choose(&pool, number("+12129990000"), NOW), None);
        assert_eq!(pool.problems().len(), 1);
    }

    #[test]
    fn uses_before_a_restart_count() {
        let mut pool = pool(&["+12125550100"]);
        pool.calls_per_number_per_day = Some(5);
        let mut shown = Shown::default();
        shown.load(&PastUse {
            number: pool.numbers[0],
            at: NOW.plus_micros(-3 * HOUR_US),
            calls: 4,
        });
        assert!(shown.choose(&pool, number("+12129990000"), NOW).is_some());
        assert_eq!(shown.choose(&pool, number("+12129990000"), NOW), None);
        let tomorrow = NOW.plus_micros(22 * HOUR_US);
        assert!(
            shown
                .choose(&pool, number("+12129990000"), tomorrow)
                .is_some()
        );
    }

    proptest! {
        /// Whatever is called and when: no number is shown more often in an hour of the clock, or in
        /// 24 of them, than its caps allow.
        #[test]
        fn caps_hold_over_any_hour_and_any_day(
            steps in prop::collection::vec((0_i64..40, 0_usize..4), 1..400),
            hourly in 1_u32..6, daily in 1_u32..20,
        ) {
            let mut pool = pool(&["+12125550100", "+13105550100", "+4930123456"]);
            pool.calls_per_number_per_hour = Some(hourly);
            pool.calls_per_number_per_day = Some(daily);
            let called = ["+12129990000", "+13109990000", "+4930999999", "+819012345678"];
            let mut shown = Shown::default();
            let mut log: Vec<(i64, PhoneNumber)> = Vec::new();
            let mut now = NOW;
            for (minutes, pick) in steps {
                now = now.plus_micros(minutes * 60_000_000);
                if let Some(number) = shown.choose(&pool, number(called[pick]), now) {
                    log.push((hour(now), number));
                }
            }
            for (last, number) in &log {
                let within = |hours: i64| log.iter()
                    .filter(|(hour, other)| other == number && *hour <= *last && *hour > last - hours)
                    .count();
                prop_assert!(within(1) <= hourly as usize);
                prop_assert!(within(DAY_HOURS) <= daily as usize);
            }
        }
    }
}
