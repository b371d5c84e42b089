//! What a lead says to a filter: its cells read as what is asked of them.

use super::{Filter, Known, Node, Test, Word};
use crate::rules::Column;
use crate::zone::{STATE_FIELDS, ZoneBook};
use jiff::civil::Date;
use model::{AttemptOutcome, Lead, Utc};
use std::borrow::Cow;
use std::collections::BTreeSet;

const DAY_US: i64 = 86_400_000_000;

/// What the store knows of a lead beside the lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When it came into its list.
    pub added_at: Utc,
    /// How its last attempt ended.
    pub last_outcome: Option<AttemptOutcome>,
}

/// One lead at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Whom.
    pub lead: &'a Lead,
    /// What happened to the lead.
    pub past: Past,
    /// Where numbers and states are.
    pub book: &'a ZoneBook,
    /// When.
    pub now: Utc,
}

/// A cell that cannot be read as the type asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Of which column.
    pub column: String,
    /// What stands there.
    pub cell: String,
}

/// What filters look at of a lead. The rest of it may be left out of a [`Subject`]: the answer is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Names in [`Lead::fields`].
    pub fields: BTreeSet<String>,
    /// [`Lead::numbers`] and the next of them.
    pub numbers: bool,
    /// [`Lead::time_zone`].
    pub time_zone: bool,
    /// [`Lead::name`].
    pub name: bool,
    /// [`Lead::customer_key`].
    pub customer_key: bool,
    /// [`Lead::last_disposition`].
    pub last_disposition: bool,
    /// [`Past::last_outcome`].
    pub last_outcome: bool,
}

impl Reads {
    /// What this filter looks at, too. Numbers of a lead (priority, attempts, when it came) are always there.
    pub fn add(&mut self, filter: &Filter) {
        filter.words(&mut |word, _| match word {
            Word::Column(name) => {
                self.fields.insert(name.clone());
            }
            Word::Known(known) => match known {
                Known::State => {
                    self.address(&STATE_FIELDS);
                    self.numbers = true;
                }
                Known::Country => {
                    self.address(&[Column::Country.name()]);
                    self.numbers = true;
                }
                Known::PostalCode => self.address(&[known.name()]),
                Known::AreaCode => self.numbers = true,
                Known::TimeZone => {
                    self.address(&STATE_FIELDS);
                    self.address(&[Column::Country.name(), Column::PostalCode.name()]);
                    self.numbers = true;
                    self.time_zone = true;
                }
                Known::Name => self.name = true,
                Known::CustomerKey => self.customer_key = true,
                Known::LastOutcome => self.last_outcome = true,
                Known::LastDisposition => self.last_disposition = true,
                Known::Priority | Known::Attempts | Known::DaysInList => {}
            },
        });
    }

    fn address(&mut self, columns: &[&str]) {
        self.fields
            .extend(columns.iter().map(|column| column.to_string()));
    }
}

impl Filter {
    /// Whether the lead is dialled.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let Some(node) = self.node() else {
            return false;
        };
        value(node, subject, &mut None) == Some(true)
    }

    /// The same, with every cell that could not be read.
    pub fn explain(&self, subject: &Subject<'_>) -> (bool, Vec<Unreadable>) {
        let mut unreadable = Some(Vec::new());
        let is = self
            .node()
            .and_then(|node| value(node, subject, &mut unreadable));
        (is == Some(true), unreadable.unwrap_or_default())
    }

    /// When time alone may change the answer next.
    pub fn changes_at(&self, subject: &Subject<'_>) -> Option<Utc> {
        let mut first: Option<Utc> = None;
        self.node().into_iter().for_each(|node| {
            thresholds(node, &mut |days| {
                for day in [days.ceil(), days.floor() + 1.0] {
                    // Beyond these nobody waits for it.
                    if !(0.0..100_000.0).contains(&day) {
                        continue;
                    }
                    let at = subject.past.added_at.plus_micros(day as i64 * DAY_US);
                    if at > subject.now && first.is_none_or(|first| at < first) {
                        first = Some(at);
                    }
                }
            })
        });
        first
    }
}

/// The days in the list at which a comparison may change.
fn thresholds(node: &Node, each: &mut impl FnMut(f64)) {
    match node {
        Node::And(parts) | Node::Or(parts) => parts.iter().for_each(|part| thresholds(part, each)),
        Node::Not(inner) => thresholds(inner, each),
        Node::Is { word, test, at: _ } => match (word, test) {
            (Word::Known(Known::DaysInList), Test::Number(_, than)) => each(*than),
            (Word::Known(Known::DaysInList), Test::NumberIn(values)) => {
                values.iter().for_each(|value| each(*value));
            }
            (Word::Known(_) | Word::Column(_), _) => {}
        },
    }
}

/// True, false, or nothing that could be said. With a list of unreadable cells everything is looked at.
fn value(
    node: &Node,
    subject: &Subject<'_>,
    unreadable: &mut Option<Vec<Unreadable>>,
) -> Option<bool> {
    match node {
        Node::And(parts) => joined(parts, false, subject, unreadable),
        Node::Or(parts) => joined(parts, true, subject, unreadable),
        Node::Not(inner) => value(inner, subject, unreadable).map(|is| !is),
        Node::Is { word, test, at: _ } => {
            let cell = cell(word, subject);
            let cell = cell.trim();
            match is(test, cell) {
                Answer::Is(is) => Some(is),
                Answer::Nothing => None,
                Answer::Unreadable => {
                    if let Some(unreadable) = unreadable {
                        unreadable.push(Unreadable {
                            column: word.to_string(),
                            cell: cell.to_string(),
                        });
                    }
                    None
                }
            }
        }
    }
}

/// Several parts, of which one that is `decides` decides.
fn joined(
    parts: &[Node],
    decides: bool,
    subject: &Subject<'_>,
    unreadable: &mut Option<Vec<Unreadable>>,
) -> Option<bool> {
    let mut all = Some(!decides);
    for part in parts {
        match value(part, subject, unreadable) {
            Some(is) if is == decides => {
                all = Some(decides);
                if unreadable.is_none() {
                    break;
                }
            }
            Some(_) => {}
            None if all == Some(decides) => {}
            None => all = None,
        }
    }
    all
}

enum Answer {
    Is(bool),
    /// The cell is empty.
    Nothing,
    Unreadable,
}

fn is(test: &Test, cell: &str) -> Answer {
    let number = |holds: &dyn Fn(f64) -> bool| read_as(cell, number_of, |number| holds(*number));
    let day = |holds: &dyn Fn(Date) -> bool| read_as(cell, day_of, |day| holds(*day));
    match test {
        Test::Empty => Answer::Is(cell.is_empty()),
        // An empty cell is the text that is empty, and no yes.
        Test::TextIn(values) => Answer::Is(values.iter().any(|value| is_same(value, cell))),
        Test::Starts(with) => Answer::Is(starts(cell, with)),
        Test::YesNo(is) => match yes_no(cell) {
            Some(said) => Answer::Is(said == *is),
            None => Answer::Unreadable,
        },
        Test::NumberIn(values) => number(&|number| values.contains(&number)),
        Test::Number(order, than) => number(&|number| order.holds(&number, than)),
        Test::DayIn(values) => day(&|day| values.contains(&day)),
        Test::Day(order, than) => day(&|day| order.holds(&day, than)),
    }
}

fn read_as<T>(cell: &str, read: impl Fn(&str) -> Option<T>, holds: impl Fn(&T) -> bool) -> Answer {
    if cell.is_empty() {
        return Answer::Nothing;
    }
    match read(cell) {
        Some(read) => Answer::Is(holds(&read)),
        None => Answer::Unreadable,
    }
}

/// A text is the same in capitals.
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && one.to_lowercase() == other.to_lowercase())
}

fn starts(cell: &str, with: &str) -> bool {
    cell.to_lowercase().starts_with(&with.to_lowercase())
}

fn yes_no(cell: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| cell.eq_ignore_ascii_case(word));
    if cell.is_empty() || is_one_of(&["no", "n", "false", "0"]) {
        Some(false)
    } else if is_one_of(&["yes", "y", "true", "1"]) {
        Some(true)
    } else {
        None
    }
}

/// Digits with a point: what else a number may look like is different in every country.
fn number_of(cell: &str) -> Option<f64> {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = cell.parse().ok().filter(|_| is_plain)?;
    number.is_finite().then_some(number)
}

/// A day, or the day of an instant that begins with one.
fn day_of(cell: &str) -> Option<Date> {
    let is_whole = cell.len() == 10 || matches!(cell.as_bytes().get(10), Some(b'T' | b' '));
    if !is_whole || cell.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    cell.get(..10)?.parse().ok()
}

fn cell<'a>(word: &Word, subject: &Subject<'a>) -> Cow<'a, str> {
    let lead = subject.lead;
    let borrowed = |text: Option<&'a String>| Cow::Borrowed(text.map_or("", |text| text.as_str()));
    let number = lead.numbers.first().map(|_| lead.number());
    match word {
        Word::Column(name) => borrowed(lead.fields.get(name)),
        Word::Known(known) => match known {
            Known::State => subject.book.state_of(lead).into(),
            Known::Country => subject.book.country_of(lead).into(),
            Known::PostalCode => borrowed(lead.fields.get(known.name())),
            Known::AreaCode => number
                .and_then(|number| subject.book.area_code(number))
                .map_or(Cow::Borrowed(""), |code| Cow::Owned(code.to_string())),
            Known::TimeZone => match &lead.time_zone {
                Some(zone) => Cow::Borrowed(zone.as_str()),
                None => number.map_or(Cow::Borrowed(""), |number| {
                    let place = subject.book.place(lead, number);
                    let zone = place.zones.first().and_then(|zone| zone.iana_name());
                    Cow::Owned(zone.unwrap_or("").to_string())
                }),
            },
            Known::Name => borrowed(lead.name.as_ref()),
            Known::CustomerKey => borrowed(lead.customer_key.as_ref()),
            Known::Priority => Cow::Owned(lead.priority.to_string()),
            Known::Attempts => Cow::Owned(lead.attempts.to_string()),
            Known::LastOutcome => Cow::Borrowed(
                subject
                    .past
                    .last_outcome
                    .map_or("", |outcome| outcome.name()),
            ),
            Known::LastDisposition => lead
                .last_disposition
                .map_or(Cow::Borrowed(""), |disposition| {
                    Cow::Owned(disposition.to_string())
                }),
            Known::DaysInList => {
                let us = subject
                    .now
                    .as_micros()
                    .saturating_sub(subject.past.added_at.as_micros());
                Cow::Owned(us.div_euclid(DAY_US).to_string())
            }
        },
    }
}
