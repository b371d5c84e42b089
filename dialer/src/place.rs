//! A place as one line of text, so that a store can keep leads of one place together and need not
//! look at those who cannot be called now. Written when a lead comes in or goes to another number;
//! the law is asked again at the instant of dialling, with the tables of that day.

use crate::rules::Column;
use crate::zone::{Place, STATE_FIELDS, Spot, ZoneBook};

/// Digits of a number that say where it is, at most. No table looks at more of them.
pub const PLACE_DIGITS: usize = 6;

/// Whether a column of a lead says where the person is.
pub fn is_address(column: &str) -> bool {
    STATE_FIELDS.contains(&column)
        || column == Column::Country.name()
        || column == Column::PostalCode.name()
}

/// What parts zones, and states, from one another.
const COMMA: &str = ",";
/// What parts the zones from the states.
const BAR: char = '|';

impl Place {
    /// As text: `America/Chicago,America/Denver|TX|`. Two places of one text are alike for every rule.
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
        let names = |spot: &Spot| {
            let zones = spot.zones.iter().filter_map(|zone| zone.iana_name());
            format!("{}={}", spot.state, zones.collect::<Vec<_>>().join("+"))
        };
        let anywhere: Vec<String> = self.anywhere.iter().map(names).collect();
        let (zones, states) = (zones.join(COMMA), states.join(COMMA));
        format!("{zones}{BAR}{states}{BAR}{}", anywhere.join(COMMA))
    }

    /// The place of a [`key`](Place::key); zones that no longer exist are left out.
    pub fn of_key(book: &ZoneBook, key: &str) -> Place {
        let mut segments = key.split(BAR);
        let mut segment = || segments.next().unwrap_or("");
        let (zones, states, anywhere) = (segment(), segment(), segment());
        let spot = |text: &String| {
            let (state, zones) = text.split_once('=')?;
            Some(Spot {
                state: book.state(state)?,
                zones: zones
                    .split('+')
                    .filter_map(|name| book.zone(name))
                    .collect(),
            })
        };
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
            anywhere: parts(anywhere).iter().filter_map(spot).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_lead::lead;
    use model::Lead;

    fn lead_without_address() -> Lead {
        lead("+18005550100", None)
    }

    #[test]
    fn a_place_comes_back_from_its_text() {
        let book = ZoneBook::default();
        let mut lead = lead("+19155550100", Some("America/New_York"));
        lead.fields.insert("state".into(), "NY".into());
        let place = book.place(&lead, lead.number());
        let again = Place::of_key(&book, &place.key());
        assert_eq!(again, place);
        assert_eq!(again.states, ["NY", "TX"]);
        // A toll-free number may be anywhere, and every state's rules are kept.
        let free = book.place(&lead_without_address(), "+18005550100".parse().unwrap());
        assert!(!free.anywhere.is_empty());
        assert_eq!(Place::of_key(&book, &free.key()), free);
        let nowhere = Place::default();
        assert_eq!(Place::of_key(&book, &nowhere.key()), nowhere);
    }
}
