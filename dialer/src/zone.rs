//! Where a number or an address is: its time zones and its states. The tables are data files made
//! from the numbering plans; the zone rules are the ones compiled in, so no run depends on a machine.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use model::{Lead, PhoneNumber};
use std::collections::BTreeMap;

/// The place of a lead: dialling must be legal in all of its zones.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Empty: the country is not known, nothing can be said.
    pub zones: Vec<TimeZone>,
    /// States or provinces, from the number and from the address.
    pub states: Vec<String>,
}

struct Area {
    state: &'static str,
    zones: Vec<TimeZone>,
}

/// The tables, read once.
pub struct ZoneBook {
    database: TimeZoneDatabase,
    areas: BTreeMap<&'static str, Area>,
    countries: BTreeMap<&'static str, Vec<TimeZone>>,
}

impl std::fmt::Debug for ZoneBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ZoneBook({} areas, {} countries)",
            self.areas.len(),
            self.countries.len()
        )
    }
}

impl Default for ZoneBook {
    fn default() -> ZoneBook {
        let database = TimeZoneDatabase::bundled();
        let zones = |names: &str| -> Vec<TimeZone> {
            names
                .split(',')
                .map(|name| {
                    database
                        .get(name)
                        .expect("the tables name zones that exist")
                })
                .collect()
        };
        let lines = |text: &'static str| text.lines().filter(|line| !line.starts_with('#'));
        let mut areas = BTreeMap::new();
        for line in lines(include_str!("../data/nanp.txt")) {
            let mut words = line.split_whitespace();
            let state = words.next().expect("a line has a state");
            let at = zones(words.next().expect("a line has zones"));
            for code in words {
                let twice = areas.insert(
                    code,
                    Area {
                        state,
                        zones: at.clone(),
                    },
                );
                assert!(twice.is_none(), "area code {code} is listed once");
            }
        }
        let countries = lines(include_str!("../data/countries.txt"))
            .map(|line| {
                let (code, names) = line.split_once(' ').expect("a line has a code and zones");
                (code, zones(names))
            })
            .collect();
        ZoneBook {
            database,
            areas,
            countries,
        }
    }
}

/// Columns of a lead in which an address's state may stand.
pub const STATE_FIELDS: [&str; 3] = ["state", "province", "region"];

impl ZoneBook {
    /// The zone of that IANA name.
    pub fn zone(&self, name: &str) -> Option<TimeZone> {
        self.database.get(name).ok()
    }

    /// Where this number of this lead is. The address's zone joins the area's; where the number
    /// says no more than the country, the address alone counts, and without one all of the country.
    pub fn place(&self, lead: &Lead, number: PhoneNumber) -> Place {
        let mut states: Vec<String> = STATE_FIELDS
            .iter()
            .filter_map(|field| lead.fields.get(*field))
            .map(|state| state.trim().to_ascii_uppercase())
            .collect();
        let address = lead.time_zone.as_deref().and_then(|name| self.zone(name));
        let digits = number.digits();
        let area = digits
            .strip_prefix('1')
            .and_then(|rest| rest.get(..3))
            .and_then(|code| self.areas.get(code));
        let mut zones = Vec::new();
        if let Some(area) = area {
            states.push(area.state.into());
            zones.extend(area.zones.iter().cloned());
        } else {
            let country = (1..=3)
                .rev()
                .filter_map(|n| digits.get(..n))
                .find_map(|code| self.countries.get(code));
            match country {
                Some(all) if all.len() == 1 || address.is_none() => {
                    zones.extend(all.iter().cloned())
                }
                Some(_) | None => {}
            }
        }
        if let Some(zone) = address
            && !zones.contains(&zone)
        {
            zones.push(zone);
        }
        Place { zones, states }
    }
}
