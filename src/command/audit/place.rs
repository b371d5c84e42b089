//! Where a dialled number was, and what the clocks there showed: reckoned from the tables alone, in
//! another way than the dialer does, so that a mistake of the one is seen by the other.

use dialer::rules::{Holiday, Rule, WeekDay};
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use model::event::DialBasis;
use model::{PhoneNumber, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Day, day of the week and microsecond of the day that clocks in a zone showed.
pub(super) type Clock = (Date, Weekday, i64);
type Zones = BTreeSet<&'static str>;

/// The tables, by what is looked up in them.
#[derive(Debug, Default)]
pub(super) struct Atlas {
    /// Area code or postal prefix to states and zones.
    areas: BTreeMap<String, (Vec<&'static str>, Zones)>,
    states: BTreeMap<&'static str, Zones>,
    countries: BTreeMap<&'static str, (&'static str, Zones)>,
    letters: BTreeMap<String, &'static str>,
    /// The zones that the tables name; others are looked up.
    clocks: BTreeMap<&'static str, TimeZone>,
}

/// Where a lead may be: each state it may be in (none: unknown to the tables) with its zones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub(super) zones: BTreeSet<String>,
    pub(super) states: BTreeSet<&'static str>,
    /// Nothing tells the state: any of them.
    pub(super) is_anywhere: bool,
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
}

impl Atlas {
    pub(super) fn read() -> Atlas {
        let mut atlas = Atlas::default();
        let set = |zones: &'static str| zones.split(',').collect::<Zones>();
        for row in rows(dialer::zone::AREAS).filter(|row| row[0] != "-") {
            for code in &row[2..] {
                let place = (vec![row[0]], set(row[1]));
                atlas.areas.insert(format!("area {code}"), place);
            }
            atlas.states.entry(row[0]).or_default().extend(set(row[1]));
        }
        for row in rows(dialer::zone::POSTAL_CODES) {
            let states: Vec<_> = row[0].split(',').collect();
            for word in &row[2..] {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
                let prefixes: Vec<String> = match range {
                    Some((first, last)) => (first..=last).map(|n| format!("{n:03}")).collect(),
                    None => vec![first.to_string()],
                };
                for prefix in prefixes {
                    let place = (states.clone(), set(row[1]));
                    atlas.areas.insert(format!("post {prefix}"), place);
                }
            }
            if let [state] = states[..]
                && !atlas.states.contains_key(state)
            {
                atlas.states.insert(state, set(row[1]));
            }
        }
        for row in rows(dialer::zone::COUNTRIES) {
            atlas.countries.insert(row[0], (row[1], set(row[2])));
        }
        for row in rows(dialer::zone::STATES) {
            atlas.letters.insert(row[0].to_string(), row[0]);
            atlas
                .letters
                .insert(row[1..].join(" ").to_uppercase(), row[0]);
        }
        let of_areas = atlas.areas.values().map(|(_, zones)| zones);
        let of_countries = atlas.countries.values().map(|(_, zones)| zones);
        let named: Zones = of_areas.chain(of_countries).flatten().copied().collect();
        atlas.clocks = named
            .into_iter()
            .filter_map(|name| Some((name, zone(name)?)))
            .collect();
        atlas
    }

    /// What clocks in a zone showed; none where there is no such zone.
    pub(super) fn clock(&self, name: &str, at: Utc) -> Option<Clock> {
        match self.clocks.get(name) {
            Some(zone) => clock(zone, at),
            None => clock(&zone(name)?, at),
        }
    }

    /// Where the lead may have been when this number was dialled.
    pub(super) fn whereabouts(&self, number: PhoneNumber, basis: &DialBasis) -> Whereabouts {
        let column = |name: &str| {
            let text = basis
                .columns
                .get(name)
                .map(|text| text.trim().to_uppercase());
            text.filter(|text| !text.is_empty())
        };
        let digits = number.digits();
        let mut there = Whereabouts::default();
        let mut join = |(states, zones): &(Vec<&'static str>, Zones)| {
            there.states.extend(states);
            there
                .zones
                .extend(zones.iter().map(|zone| zone.to_string()));
        };
        let area = digits
            .strip_prefix('1')
            .and_then(|rest| self.areas.get(&format!("area {}", rest.get(..3)?)));
        area.into_iter().for_each(&mut join);
        let country = column("country");
        let is_american = match country.as_deref() {
            None => digits.starts_with('1'),
            Some(letters) => {
                ["US", "USA", "CA", "CAN", "PR", "VI", "GU", "MP", "AS"].contains(&letters)
            }
        };
        let post = column("postal_code")
            .filter(|_| is_american)
            .and_then(|code| {
                let code = match code.chars().next()? {
                    'A'..='Z'
                        if country
                            .as_deref()
                            .is_none_or(|letters| letters.starts_with("CA")) =>
                    {
                        code.get(..1)?.to_string()
                    }
                    '0'..='9'
                        if country
                            .as_deref()
                            .is_none_or(|letters| !letters.starts_with("CA")) =>
                    {
                        let digits = code.split('-').next()?;
                        let missing = if digits.len() < 5 {
                            5 - digits.len()
                        } else {
                            0
                        };
                        let whole = "0".repeat(missing) + digits;
                        whole.get(..3)?.to_string()
                    }
                    _ => return None,
                };
                self.areas.get(&format!("post {code}"))
            });
        post.into_iter().for_each(&mut join);
        let zone = basis
            .time_zone
            .as_deref()
            .filter(|name| zone(name).is_some());
        there.zones.extend(zone.map(str::to_string));
        let state = ["state", "province", "region"]
            .into_iter()
            .filter_map(column)
            .find_map(|text| self.letters.get(&text).copied());
        if let Some(state) = state {
            let is_new = there.states.insert(state);
            if is_new && zone.is_none() && post.is_none() {
                let zones = self.states.get(state).into_iter().flatten();
                there.zones.extend(zones.map(|zone| zone.to_string()));
            }
        }
        if there.zones.is_empty() {
            let own = (1..=3)
                .rev()
                .find_map(|n| self.countries.get(digits.get(..n)?));
            let zones = own.into_iter().flat_map(|(_, zones)| zones);
            there.zones.extend(zones.map(|zone| zone.to_string()));
        }
        there.is_anywhere = there.states.is_empty() && digits.starts_with('1');
        there
    }

    /// The zones in which a rule for these states binds somebody who was there.
    pub(super) fn bound(&self, rule: &Rule, there: &Whereabouts) -> BTreeSet<String> {
        let named = |state: &&str| rule.states.iter().any(|named| named == state);
        if rule.states.is_empty() || there.states.iter().any(&named) {
            return there.zones.clone();
        }
        if !there.is_anywhere {
            return BTreeSet::new();
        }
        let of_states = self.states.iter().filter(|(state, _)| named(state));
        let zones = of_states
            .flat_map(|(_, zones)| zones)
            .map(|zone| zone.to_string());
        // Somebody whose zone is known is in those states that have it.
        match there.zones.len() {
            1 => zones.filter(|zone| there.zones.contains(zone)).collect(),
            _ => zones.collect(),
        }
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

fn clock(zone: &TimeZone, at: Utc) -> Option<Clock> {
    let instant = Timestamp::from_microsecond(at.as_micros()).ok()?;
    let offset_us = i64::from(zone.to_offset(instant).seconds()) * 1_000_000;
    let local_us = at.as_micros() + offset_us;
    let days = local_us.div_euclid(86_400_000_000);
    let day = Date::new(1970, 1, 1).ok()?.checked_add(days.days()).ok()?;
    // 1 January 1970 was a Thursday.
    let weekdays = [
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
    ];
    let weekday = weekdays[days.rem_euclid(7) as usize];
    Some((day, weekday, local_us.rem_euclid(86_400_000_000)))
}

/// Why the rule was closed at that local time, if it was.
pub(super) fn closed(rule: &Rule, (day, weekday, us): Clock) -> Option<String> {
    if rule.from.is_some_and(|from| day < from.0) || rule.until.is_some_and(|until| day > until.0) {
        return None;
    }
    if rule.closed.iter().any(|closed| closed.0 == day) {
        return Some(format!("{day} is closed"));
    }
    if rule
        .holidays
        .iter()
        .any(|one| is_holiday(*one, day, weekday))
    {
        return Some(format!("{day} is a holiday"));
    }
    let minute_us = 60_000_000;
    let is_open = rule.hours.is_empty()
        || rule.hours.iter().any(|hours| {
            let named = hours
                .days
                .iter()
                .any(|named| number_of(*named) == weekday.to_monday_zero_offset());
            (hours.days.is_empty() || named)
                && us >= i64::from(hours.from.0) * minute_us
                && us < i64::from(hours.to.0) * minute_us
        });
    let s = us / 1_000_000;
    let shown = format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60);
    (!is_open).then(|| format!("{weekday:?} {shown}"))
}

fn number_of(day: WeekDay) -> i8 {
    match day {
        WeekDay::Mon => 0,
        WeekDay::Tue => 1,
        WeekDay::Wed => 2,
        WeekDay::Thu => 3,
        WeekDay::Fri => 4,
        WeekDay::Sat => 5,
        WeekDay::Sun => 6,
    }
}

fn is_holiday(holiday: Holiday, day: Date, weekday: Weekday) -> bool {
    let (month, of_month) = (day.month(), day.day());
    let week = (of_month - 1) / 7 + 1;
    let monday =
        |in_month: i8, nth: i8| month == in_month && week == nth && weekday == Weekday::Monday;
    // The free day of a Saturday's holiday is the Friday before, of a Sunday's the Monday after.
    let on = |in_month: i8, date: i8| {
        let shifts = match weekday {
            Weekday::Friday => [0, 1],
            Weekday::Monday => [0, -1],
            Weekday::Tuesday
            | Weekday::Wednesday
            | Weekday::Thursday
            | Weekday::Saturday
            | Weekday::Sunday => [0, 0],
        };
        shifts.into_iter().any(|shift: i64| {
            day.checked_add(shift.days())
                .is_ok_and(|kept| (kept.month(), kept.day()) == (in_month, date))
        })
    };
    match holiday {
        Holiday::NewYear => on(1, 1),
        Holiday::MartinLutherKing => monday(1, 3),
        Holiday::Washington => monday(2, 3),
        Holiday::Memorial => month == 5 && of_month > 24 && weekday == Weekday::Monday,
        Holiday::Juneteenth => on(6, 19),
        Holiday::Independence => on(7, 4),
        Holiday::Labor => monday(9, 1),
        Holiday::Columbus => monday(10, 2),
        Holiday::Veterans => on(11, 11),
        Holiday::Thanksgiving => month == 11 && week == 4 && weekday == Weekday::Thursday,
        Holiday::Christmas => on(12, 25),
        Holiday::UsFederal => {
            let mondays = [(1, 3), (2, 3), (9, 1), (10, 2)];
            let dates = [(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)];
            mondays.into_iter().any(|(month, nth)| monday(month, nth))
                || dates.into_iter().any(|(month, date)| on(month, date))
                || is_holiday(Holiday::Memorial, day, weekday)
                || is_holiday(Holiday::Thanksgiving, day, weekday)
        }
    }
}
