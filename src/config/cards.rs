//! Payment cards in menus (PCI DSS): where a campaign is bound by a rule that hides card digits, no node
//! collects what may be a card's number or code without hiding it.

use ivr::digits::Wanted;
use ivr::flow::{Flow, NodeKind};

/// Fewest digits of a card number (ISO/IEC 7812 allows less; the cards in use have 13 to 19).
const CARD_DIGITS_MIN: u8 = 13;
/// Words in the name of a node or variable that holds something of a card.
const CARD_WORDS: [&str; 5] = ["card", "pan", "cvv", "cvc", "cvn"];

/// The nodes of a flow that would show digits of a card, with what they are taken for.
pub(super) fn exposed(flow: &Flow) -> Vec<(&str, String)> {
    let mut exposed = Vec::new();
    for node in &flow.nodes {
        let NodeKind::Collect {
            into,
            sensitive: false,
            wanted,
            ..
        } = &node.kind
        else {
            continue;
        };
        let is_long = match wanted {
            Wanted::Number { max, .. } => *max >= CARD_DIGITS_MIN,
            Wanted::Option { .. } => false,
        };
        let named = [node.name.as_str(), into.as_str()]
            .into_iter()
            .flat_map(|name| name.split(['_', '-', '.']))
            .find(|word| CARD_WORDS.contains(&word.to_ascii_lowercase().as_str()));
        let taken_for = match (named, is_long) {
            (Some(word), _) => format!("its name says \"{word}\""),
            (None, true) => format!("it takes {CARD_DIGITS_MIN} digits or more"),
            (None, false) => continue,
        };
        exposed.push((node.name.as_str(), taken_for));
    }
    exposed
}
