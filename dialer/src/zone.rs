//! Where a number or an address is: its time zones and its states. The tables are data files made
//! from the numbering plans and postal codes; the zone rules are the ones compiled in, so no run
//! depends on a machine.

use crate::rules::Column;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use model::{Lead, PhoneNumber};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Area codes of the North American Numbering Plan; the first lines say how it is written.
pub const AREAS: &str = include_str!("../data/nanp.txt");
/// Postal codes of the United States and Canada, likewise.
pub const POSTAL_CODES: &str = include_str!("../data/zip.txt");
/// Country codes, likewise.
pub const COUNTRIES: &str = include_str!("../data/countries.txt");
/// Names of states and provinces by their two letters, likewise.
pub const STATES: &str = include_str!("../data/states.txt");

/// The place of a lead: dialling must be legal in all of its zones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Empty: the country is not known, nothing can be said.
    pub zones: Vec<TimeZone>,
    /// States or provinces, from the number and from the address.
    pub states: Vec<String>,
    /// Not empty where the state is not known at all: every one it may be, so that the rules of each
    /// are kept.
    pub anywhere: Arc<[Spot]>,
}

/// A state and its zones.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// Its two letters.
    pub state: &'static str,
    /// All of its zones.
    pub zones: Vec<TimeZone>,
}

impl Place {
    /// The zones in which a rule for these states has to be kept; none where it does not bind.
    pub fn zones_of<'a>(&'a self, states: &'a [String]) -> impl Iterator<Item = &'a TimeZone> {
        let here = states.is_empty() || states.iter().any(|state| self.states.contains(state));
        let all = if here { &self.zones[..] } else { &[] };
        let spots = if here { &[] } else { &self.anywhere[..] };
        let maybe = spots
            .iter()
            .filter(|spot| states.iter().any(|state| state == spot.state));
        all.iter().chain(maybe.flat_map(|spot| &spot.zones))
    }

    /// Whether a rule for these states binds here.
    pub fn is_in(&self, states: &[String]) -> bool {
        states.is_empty()
            || states.iter().any(|state| {
                self.states.contains(state) || self.anywhere.iter().any(|spot| spot.state == state)
            })
    }
}

/// Whether these are the two letters of a state or province that the tables know.
pub fn is_state(letters: &str) -> bool {
    lines(STATES).any(|line| {
        line.split_once(' ')
            .is_some_and(|(state, _)| state == letters)
    })
}

struct Area {
    state: &'static str,
    zones: Vec<TimeZone>,
}

struct Postal {
    states: Vec<&'static str>,
    zones: Vec<TimeZone>,
}

struct Country {
    iso: &'static str,
    zones: Vec<TimeZone>,
}

/// The tables; every book is the same one, read once by the process.
#[derive(Clone)]
pub struct ZoneBook(&'static Tables);

struct Tables {
    database: TimeZoneDatabase,
    areas: BTreeMap<&'static str, Area>,
    postal: BTreeMap<String, Postal>,
    countries: BTreeMap<&'static str, Country>,
    /// By its name in capitals and by its two letters.
    states: BTreeMap<String, &'static str>,
    spots: Arc<[Spot]>,
}

impl std::fmt::Debug for ZoneBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ZoneBook({} areas, {} postal codes, {} countries)",
            self.0.areas.len(),
            self.0.postal.len(),
            self.0.countries.len()
        )
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
}

impl Default for ZoneBook {
    fn default() -> ZoneBook {
        static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);
        ZoneBook(&TABLES)
    }
}

impl Tables {
    fn read() -> Tables {
        let database = TimeZoneDatabase::bundled();
        let zones = |names: &str| -> Vec<TimeZone> {
            names
                .split(',')
                .filter(|name| *name != "-")
                .map(|name| {
                    database
                        .get(name)
                        .expect("the tables name zones that exist")
                })
                .collect()
        };
        let mut areas = BTreeMap::new();
        for line in lines(AREAS) {
            let mut words = line.split_whitespace();
            let state = words.next().expect("a line has a state");
            let at = zones(words.next().expect("a line has zones"));
            for code in words {
                let zones = at.clone();
                let twice = areas.insert(code, Area { state, zones });
                assert!(twice.is_none(), "area code {code} is listed once");
            }
        }
        let mut postal = BTreeMap::new();
        for line in lines(POSTAL_CODES) {
            let mut words = line.split_whitespace();
            let states: Vec<_> = words
                .next()
                .expect("a line has states")
                .split(',')
                .collect();
            let at = zones(words.next().expect("a line has zones"));
            for prefix in words.flat_map(prefixes) {
                let (states, zones) = (states.clone(), at.clone());
                let twice = postal.insert(prefix.clone(), Postal { states, zones });
                assert!(twice.is_none(), "postal code {prefix} is listed once");
            }
        }
        let countries = lines(COUNTRIES)
            .map(|line| {
                let mut words = line.split_whitespace();
                let mut word = || words.next().expect("a line has a code, letters and zones");
                let (code, iso, zones) = (word(), word(), zones(word()));
                (code, Country { iso, zones })
            })
            .collect();
        let mut states = BTreeMap::new();
        for line in lines(STATES) {
            let (letters, name) = line.split_once(' ').expect("a line has letters and a name");
            states.insert(letters.to_string(), letters);
            states.insert(name.to_ascii_uppercase(), letters);
        }
        // A postal prefix may be shared by two states, a state without an area code has only that.
        let mut spots: BTreeMap<&'static str, Vec<TimeZone>> = BTreeMap::new();
        for area in areas.values() {
            if states.contains_key(area.state) {
                add(spots.entry(area.state).or_default(), &area.zones);
            }
        }
        for prefix in postal.values() {
            for state in &prefix.states {
                if !areas.values().any(|area| area.state == *state) {
                    add(spots.entry(state).or_default(), &prefix.zones);
                }
            }
        }
        Tables {
            database,
            areas,
            postal,
            countries,
            states,
            spots: spots
                .into_iter()
                .map(|(state, zones)| Spot { state, zones })
                .collect(),
        }
    }
}

/// `006-009` or `005` or `H`.
fn prefixes(word: &str) -> Vec<String> {
    match word.split_once('-') {
        None => vec![word.to_string()],
        Some((from, to)) => {
            let number = |text: &str| text.parse::<u16>().expect("a range is of numbers");
            (number(from)..=number(to))
                .map(|prefix| format!("{prefix:03}"))
                .collect()
        }
    }
}

fn add(zones: &mut Vec<TimeZone>, more: &[TimeZone]) {
    for zone in more {
        if !zones.contains(zone) {
            zones.push(zone.clone());
        }
    }
}

/// Columns of a lead in which an address's state may stand.
pub const STATE_FIELDS: [&str; 3] = ["state", "province", "region"];

impl ZoneBook {
    /// The two letters of a state as the tables have them.
    pub(crate) fn state(&self, letters: &str) -> Option<&'static str> {
        let spots = self.0.spots.iter();
        spots.map(|spot| spot.state).find(|state| *state == letters)
    }

    /// The zone of that IANA name.
    pub fn zone(&self, name: &str) -> Option<TimeZone> {
        self.0.database.get(name).ok()
    }

    /// The two letters of the state of the lead's address, or else of its next number's area; as it is
    /// written where no table knows it, empty where nothing says it.
    pub fn state_of(&self, lead: &Lead) -> String {
        let written = STATE_FIELDS
            .iter()
            .filter_map(|field| lead.fields.get(*field))
            .map(|text| text.trim().to_ascii_uppercase())
            .find(|text| !text.is_empty());
        if let Some(written) = written {
            let letters = self.0.states.get(&written).copied();
            return letters.map_or(written, str::to_string);
        }
        let number = lead.numbers.first().map(|_| lead.number());
        let area = number.and_then(|number| self.0.areas.get(number.digits().get(1..4)?));
        let is_american = number.is_some_and(|number| number.digits().starts_with('1'));
        let state = area.filter(|area| is_american && is_state(area.state));
        state.map_or(String::new(), |area| area.state.to_string())
    }

    /// The letters of the country: the lead's column, or else those of its next number. A number of
    /// North America has those of the United States where its area is one of theirs.
    pub fn country_of(&self, lead: &Lead) -> String {
        let written = lead.fields.get(Column::Country.name());
        let written = written.map(|text| text.trim().to_ascii_uppercase());
        if let Some(written) = written.filter(|text| !text.is_empty()) {
            return match written.as_str() {
                "USA" => "US".into(),
                "CAN" => "CA".into(),
                _ => written,
            };
        }
        let Some(number) = lead.numbers.first().map(|_| lead.number()) else {
            return String::new();
        };
        let digits = number.digits();
        if let Some(code) = self.area_code(number) {
            let area = self.0.areas.get(code.as_str());
            let zones = area.map_or(&[][..], |area| &area.zones);
            let state = area.map_or("", |area| area.state);
            let is_canadian = || {
                let codes = self.0.postal.iter();
                codes
                    .filter(|(prefix, _)| prefix.starts_with(|c: char| c.is_ascii_alphabetic()))
                    .any(|(_, postal)| postal.states.contains(&state))
            };
            return match state {
                _ if zones.is_empty() => String::new(),
                state if !is_state(state) => state.to_string(),
                _ if is_canadian() => "CA".into(),
                _ => "US".into(),
            };
        }
        let known = (1..=3)
            .rev()
            .filter_map(|n| digits.get(..n))
            .find_map(|code| self.0.countries.get(code));
        known.map_or(String::new(), |country| country.iso.to_string())
    }

    /// The area code of a number of the North American plan.
    pub fn area_code(&self, number: PhoneNumber) -> Option<String> {
        let code = number.digits().strip_prefix('1')?.get(..3)?;
        Some(code.to_string())
    }

    /// Where this number of this lead is: the zones of its area and of its address together, so that
    /// the strictest wins. The address is the lead's zone, its postal code, its state, its country,
    /// as far as they are known. Where the number says no more than the country, the address alone
    /// counts, and without one all of the country.
    pub fn place(&self, lead: &Lead, number: PhoneNumber) -> Place {
        let column = |name: &str| lead.fields.get(name).map(|text| text.trim());
        let digits = number.digits();
        let is_north_american = digits.starts_with('1');
        let area = digits
            .strip_prefix('1')
            .and_then(|rest| rest.get(..3))
            .and_then(|code| self.0.areas.get(code))
            .filter(|area| !area.zones.is_empty());
        let country = (1..=3)
            .rev()
            .filter_map(|n| digits.get(..n))
            .find_map(|code| self.0.countries.get(code));
        let address = lead.time_zone.as_deref().and_then(|name| self.zone(name));
        let letters = column(Column::Country.name()).map(str::to_ascii_uppercase);
        let postal = column(Column::PostalCode.name())
            .and_then(|code| self.postal(code, letters.as_deref(), is_north_american));
        let state = STATE_FIELDS
            .iter()
            .filter_map(|field| column(field))
            .find_map(|state| self.0.states.get(&state.to_ascii_uppercase()).copied());

        let mut place = Place::default();
        if let Some(area) = area {
            add(&mut place.zones, &area.zones);
            place.states.push(area.state.into());
        }
        if let Some(zone) = &address {
            add(&mut place.zones, std::slice::from_ref(zone));
        }
        if let Some(postal) = postal {
            add(&mut place.zones, &postal.zones);
            place
                .states
                .extend(postal.states.iter().map(|state| (*state).into()));
        }
        if let Some(state) = state {
            // A state has several zones: of use only where nothing says more.
            if address.is_none() && postal.is_none() && area.is_none_or(|area| area.state != state)
            {
                let spot = self.0.spots.iter().find(|spot| spot.state == state);
                add(&mut place.zones, spot.map_or(&[], |spot| &spot.zones));
            }
            place.states.push(state.into());
        }
        let has_address = address.is_some() || postal.is_some() || state.is_some();
        let abroad = letters.as_deref().and_then(|letters| self.country(letters));
        if let Some(zones) = abroad
            && (zones.len() == 1 || !has_address)
            && !(area.is_some() && matches!(letters.as_deref(), Some("US" | "CA")))
        {
            add(&mut place.zones, zones);
        }
        if area.is_none()
            && let Some(country) = country
            && (country.zones.len() == 1 || !has_address)
        {
            add(&mut place.zones, &country.zones);
        }
        let is_of_north_america =
            is_north_american || matches!(letters.as_deref(), Some("US" | "CA"));
        if place.states.is_empty() && is_of_north_america && !place.zones.is_empty() {
            place.anywhere = match &address {
                None => Arc::clone(&self.0.spots),
                Some(zone) => self.spots_in(zone),
            };
        }
        place.states.sort_unstable();
        place.states.dedup();
        place
    }

    /// What a postal code says, where its country has codes in the table.
    fn postal(
        &self,
        code: &str,
        country: Option<&str>,
        is_north_american: bool,
    ) -> Option<&Postal> {
        let first = code.bytes().next()?;
        let is_canadian = first.is_ascii_alphabetic();
        match country {
            Some("US" | "USA") if !is_canadian => {}
            Some("CA" | "CAN") if is_canadian => {}
            Some("PR" | "VI" | "GU" | "MP" | "AS") if !is_canadian => {}
            Some(_) => return None,
            None if is_north_american => {}
            None => return None,
        }
        if is_canadian {
            return self
                .0
                .postal
                .get(code.get(..1)?.to_ascii_uppercase().as_str());
        }
        let digits = code.split('-').next()?;
        // A table of numbers loses the zeros that a code of the north-east begins with.
        let padded = match digits.len() {
            3 | 4 => format!("{digits:0>5}"),
            5 | 9 => digits.to_string(),
            _ => return None,
        };
        self.0.postal.get(padded.get(..3)?)
    }

    fn country(&self, letters: &str) -> Option<&[TimeZone]> {
        match letters {
            "US" | "USA" | "CA" | "CAN" => self.0.countries.get("1"),
            _ => self
                .0
                .countries
                .values()
                .find(|country| country.iso == letters),
        }
        .map(|country| &country.zones[..])
    }

    /// Every state that has this zone; all of them where none has, as with a name that is an alias.
    fn spots_in(&self, zone: &TimeZone) -> Arc<[Spot]> {
        let is_there = |spot: &&Spot| spot.zones.contains(zone);
        let any = self.0.spots.iter().any(|spot| is_there(&spot));
        self.0
            .spots
            .iter()
            .filter(|spot| !any || is_there(spot))
            .map(|spot| Spot {
                state: spot.state,
                zones: vec![zone.clone()],
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: &str, zone: Option<&str>, columns: &[(&str, &str)]) -> Place {
        let columns = columns
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let lead = Lead {
            fields: columns.collect(),
            ..crate::test_lead::lead(number, zone)
        };
        ZoneBook::default().place(&lead, lead.number())
    }

    fn zones(place: &Place) -> Vec<&str> {
        place.zones.iter().filter_map(TimeZone::iana_name).collect()
    }

    #[test]
    fn every_state_has_an_area_code_or_a_postal_code_and_a_name() {
        let book = ZoneBook::default();
        let mut without: Vec<&str> = lines(STATES)
            .filter_map(|line| line.split_once(' '))
            .map(|(letters, _)| letters)
            .filter(|letters| !book.0.spots.iter().any(|spot| spot.state == *letters))
            .collect();
        without.sort_unstable();
        assert_eq!(without, [""; 0]);
        // Nobody stands in a table whom the names do not know, but the islands with three letters.
        for area in book.0.areas.values() {
            assert!(area.state.len() == 3 || area.state == "-" || is_state(area.state));
        }
        for postal in book.0.postal.values() {
            assert!(postal.states.iter().all(|state| is_state(state)));
        }
        assert!(!is_state("Florida") && !is_state("ZZ") && !is_state("BHS"));
    }

    #[test]
    fn a_postal_code_lies_in_the_zones_that_its_state_has() {
        // Two tables made apart: where they disagree, one is wrong. The reservations, the islands and
        // the towns that keep their neighbours' time are the known exceptions.
        let book = ZoneBook::default();
        for (prefix, postal) in &book.0.postal {
            let known = postal.states.iter().any(|state| {
                let spot = book
                    .0
                    .spots
                    .iter()
                    .find(|spot| spot.state == *state)
                    .unwrap();
                postal.zones.iter().all(|zone| spot.zones.contains(zone))
            });
            let excepted = ["368", "967", "969", "X"].contains(&prefix.as_str());
            assert!(known || excepted, "{prefix}");
        }
    }

    #[test]
    fn area_and_address_are_put_together() {
        let both = place("+12125550100", Some("America/Los_Angeles"), &[]);
        assert_eq!(zones(&both), ["America/New_York", "America/Los_Angeles"]);
        let zip = place("+12125550100", None, &[("postal_code", "90210-1234")]);
        assert_eq!(zones(&zip), ["America/New_York", "America/Los_Angeles"]);
        assert_eq!(zip.states, ["CA", "NY"]);
        // A table of numbers has lost the zero of Massachusetts.
        assert_eq!(
            place("+13105550100", None, &[("postal_code", "2139")]).states,
            ["CA", "MA"]
        );
        let canadian = place("+12125550100", None, &[("postal_code", "v6b 1a1")]);
        assert!(canadian.states.contains(&"BC".to_string()));
        let state = place("+12125550100", None, &[("state", "Florida")]);
        assert_eq!(zones(&state), ["America/New_York", "America/Chicago"]);
        // The number's own state says more than the column can.
        let same = place("+13055550100", None, &[("state", "FL")]);
        assert_eq!(zones(&same), ["America/New_York"]);
    }

    #[test]
    fn a_code_that_lies_in_two_zones_has_both() {
        for (number, count) in [
            ("+18505550100", 2),
            ("+14485550100", 2),
            ("+14235550100", 2),
            ("+16065550100", 2),
            ("+15815550100", 2),
            ("+19155550100", 1),
            ("+16215550100", 1),
        ] {
            assert_eq!(place(number, None, &[]).zones.len(), count, "{number}");
        }
    }

    #[test]
    fn codes_without_a_place_and_codes_of_islands() {
        let free = place("+18885550100", None, &[]);
        assert!(free.zones.len() > 8 && free.anywhere.len() > 60 && free.states.is_empty());
        let cayman = place("+13455550100", None, &[]);
        assert_eq!(
            (zones(&cayman), cayman.states.clone()),
            (vec!["America/Cayman"], vec!["CYM".into()])
        );
        assert!(cayman.anywhere.is_empty());
        let known = place("+18885550100", None, &[("postal_code", "10001")]);
        assert_eq!(
            (zones(&known), known.states.clone()),
            (vec!["America/New_York"], vec!["NY".into()])
        );
    }

    #[test]
    fn the_country_of_an_address_counts_beside_that_of_the_number() {
        let moved = place("+442079460100", None, &[("country", "de")]);
        assert_eq!(zones(&moved), ["Europe/Berlin", "Europe/London"]);
        // A German postal code is no American one.
        let german = place(
            "+12125550100",
            None,
            &[("country", "DE"), ("postal_code", "90210")],
        );
        assert_eq!(german.states, ["NY"]);
        assert_eq!(place("+999555010", None, &[]).zones, []);
    }
}
