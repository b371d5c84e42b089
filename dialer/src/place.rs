//! A place as one line of text, so that a store can keep leads of one place together and need not
//! look at those who cannot be called now. Written when a lead comes in or goes to another number;
//! the law is asked again at the instant of dialling, with the tables of that day.

use crate::zone::{Place, ZoneBook};

/// Digits of a number that say where it is, at most. No table looks at more of them.
pub const PLACE_DIGITS: usize = 6;

/// What parts zones, and states, from one another.
const COMMA: &str = ",";
/// What parts the zones from the states.
const BAR: char = '|';

impl Place {
    /// As text: `America/Chicago,America/Denver|TX`. Two places of one text are alike for every rule.
    pub fn key(&self) -> String {
        let zones: Vec<&str> = self
            .zones
            .iter()
            .map(|zone| zone.iana_name().unwrap_or("UTC"))
            .collect();
        // A state comes from a file: it must not be able to look like the parts of a key.
        let mut states: Vec<String> = self
            .states
            .iter()
            .map(|state| state.replace([',', BAR], " "))
            .collect();
        states.sort();
        states.dedup();
        format!("{}{BAR}{}", zones.join(COMMA), states.join(COMMA))
    }

    /// The place of a [`key`](Place::key); zones that no longer exist are left out.
    pub fn of_key(book: &ZoneBook, key: &str) -> Place {
        let (zones, states) = key.split_once(BAR).unwrap_or((key, ""));
        let parts = |text: &str| -> Vec<String> {
            text.split(COMMA)
                .filter(|part| !part.is_empty())
                .map(str::to_string)
                .collect()
        };
        Place {
            zones: parts(zones)
                .iter()
                .filter_map(|name| book.zone(name))
                .collect(),
            states: parts(states),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Lead, LeadId};

    #[test]
    fn a_place_comes_back_from_its_text() {
        let book = ZoneBook::default();
        let mut lead = Lead {
            id: LeadId(1),
            list: "l".parse().unwrap(),
            numbers: vec!["+19155550100".parse().unwrap()],
            next_number: 0,
            attempts: 0,
            priority: 0,
            time_zone: Some("America/New_York".into()),
            name: None,
            customer_key: None,
            fields: Default::default(),
            last_disposition: None,
            not_before: None,
        };
        lead.fields.insert("state".into(), "n,y|x".into());
        let place = book.place(&lead, lead.number());
        let again = Place::of_key(&book, &place.key());
        assert_eq!(again.zones, place.zones);
        assert_eq!(again.states, ["N Y X", "TX"]);
        assert_eq!(again.key(), place.key());
        let nowhere = Place {
            zones: vec![],
            states: vec![],
        };
        assert_eq!(Place::of_key(&book, &nowhere.key()), nowhere);
    }
}
