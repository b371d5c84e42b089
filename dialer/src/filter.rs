//! Who is dialled, in one expression: `state in ("NY", "NJ") and balance >= 250 and not vip`. Words are
//! a lead's own columns and a few that every lead has; a column's type comes from how it is used.
//!
//! Three values: a cell that says nothing, or cannot be read as what is asked of it, makes its comparison
//! neither true nor false, and only what is true is dialled. Reading is bounded in length and depth.

mod facts;
mod read;

pub use facts::{Past, Reads, Subject, Unreadable};

use jiff::civil::Date;
use model::AttemptOutcome;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Range;

/// Longest filter in bytes: a screen full. What is longer was generated, and belongs into a column.
pub const FILTER_BYTES_MAX: usize = 4_096;
/// Parentheses and `not` within one another: nobody reads more, and the reader's stack is bounded by it.
pub const FILTER_DEPTH_MAX: usize = 32;

/// A filter as it was written, read once. One with a mistake in it is kept too, so that the mistake
/// can be shown at its place; it matches nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    text: String,
    read: Result<Node, FilterError>,
}

/// A mistake in a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Where, in bytes of the filter.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.remedy)
    }
}

impl Filter {
    /// Reads it.
    pub fn new(text: &str) -> Filter {
        Filter {
            text: text.to_string(),
            read: read::read(text),
        }
    }

    /// The mistake in it.
    pub fn error(&self) -> Option<&FilterError> {
        self.read.as_ref().err()
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says, written by us; as it was written, where there is a mistake in it.
    pub fn canonical(&self) -> String {
        match &self.read {
            Ok(node) => node.to_string(),
            Err(_) => self.text.clone(),
        }
    }

    /// The customer's own columns in it, by name, each where it is first written.
    pub fn columns(&self) -> Vec<(String, Range<usize>)> {
        let mut found: Vec<(String, Range<usize>)> = Vec::new();
        self.words(&mut |word, at| {
            if let Word::Column(name) = word
                && found.iter().all(|(known, _)| known != name)
            {
                found.push((name.clone(), at.clone()));
            }
        });
        found
    }

    /// The first word in it that an attempt or the passing of time changes, and where it is written.
    pub fn changing(&self) -> Option<(&'static str, Range<usize>)> {
        let mut found = None;
        self.words(&mut |word, at| {
            if let Word::Known(known) = word
                && known.changes()
                && found.is_none()
            {
                found = Some((known.name(), at.clone()));
            }
        });
        found
    }

    fn words(&self, each: &mut impl FnMut(&Word, &Range<usize>)) {
        if let Ok(node) = &self.read {
            node.words(each);
        }
    }

    pub(crate) fn node(&self) -> Option<&Node> {
        self.read.as_ref().ok()
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
        Ok(Filter::new(&String::deserialize(deserializer)?))
    }
}

/// What a filter says.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// One comparison; `at` is where its word is written.
    Is {
        word: Word,
        test: Test,
        at: Range<usize>,
    },
}

/// Where it was written is no part of what it says.
impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::And(one), Node::And(two)) | (Node::Or(one), Node::Or(two)) => one == two,
            (Node::Not(one), Node::Not(two)) => one == two,
            (
                Node::Is { word, test, at: _ },
                Node::Is {
                    word: other_word,
                    test: other_test,
                    at: _,
                },
            ) => word == other_word && test == other_test,
            (Node::And(_) | Node::Or(_) | Node::Not(_) | Node::Is { .. }, _) => false,
        }
    }
}

impl Node {
    fn words(&self, each: &mut impl FnMut(&Word, &Range<usize>)) {
        match self {
            Node::And(parts) | Node::Or(parts) => parts.iter().for_each(|part| part.words(each)),
            Node::Not(inner) => inner.words(each),
            Node::Is { word, at, test: _ } => each(word, at),
        }
    }
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Known(Known),
    Column(String),
}

/// What every lead has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    State,
    Country,
    PostalCode,
    AreaCode,
    TimeZone,
    Name,
    CustomerKey,
    Priority,
    Attempts,
    LastOutcome,
    LastDisposition,
    DaysInList,
}

impl Known {
    pub(crate) const ALL: [Known; 12] = [
        Known::State,
        Known::Country,
        Known::PostalCode,
        Known::AreaCode,
        Known::TimeZone,
        Known::Name,
        Known::CustomerKey,
        Known::Priority,
        Known::Attempts,
        Known::LastOutcome,
        Known::LastDisposition,
        Known::DaysInList,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Known::State => "state",
            Known::Country => "country",
            Known::PostalCode => "postal_code",
            Known::AreaCode => "area_code",
            Known::TimeZone => "time_zone",
            Known::Name => "name",
            Known::CustomerKey => "customer_key",
            Known::Priority => "priority",
            Known::Attempts => "attempts",
            Known::LastOutcome => "last_outcome",
            Known::LastDisposition => "last_disposition",
            Known::DaysInList => "days_in_list",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Known::State
            | Known::Country
            | Known::PostalCode
            | Known::AreaCode
            | Known::TimeZone
            | Known::Name
            | Known::CustomerKey
            | Known::LastOutcome
            | Known::LastDisposition => Kind::Text,
            Known::Priority | Known::Attempts | Known::DaysInList => Kind::Number,
        }
    }

    /// Whether attempts or time change it.
    fn changes(self) -> bool {
        match self {
            Known::Attempts | Known::LastOutcome | Known::LastDisposition | Known::DaysInList => {
                true
            }
            Known::State
            | Known::Country
            | Known::PostalCode
            | Known::AreaCode
            | Known::TimeZone
            | Known::Name
            | Known::CustomerKey
            | Known::Priority => false,
        }
    }
}

/// A type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Day,
    YesNo,
}

impl Kind {
    pub(crate) fn said(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::Day => "a day",
            Kind::YesNo => "yes or no",
        }
    }
}

/// What is asked of a word.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Empty,
    YesNo(bool),
    TextIn(Vec<String>),
    Starts(String),
    NumberIn(Vec<f64>),
    Number(Order, f64),
    DayIn(Vec<Date>),
    Day(Order, Date),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn sign(self) -> &'static str {
        match self {
            Order::Less => "<",
            Order::LessOrEqual => "<=",
            Order::Greater => ">",
            Order::GreaterOrEqual => ">=",
        }
    }

    pub(crate) fn holds<T: PartialOrd>(self, one: &T, other: &T) -> bool {
        match self {
            Order::Less => one < other,
            Order::LessOrEqual => one <= other,
            Order::Greater => one > other,
            Order::GreaterOrEqual => one >= other,
        }
    }
}

impl Test {
    /// The type a word has to have for it; none: any will do.
    fn kind(&self) -> Option<Kind> {
        match self {
            Test::Empty => None,
            Test::YesNo(_) => Some(Kind::YesNo),
            Test::TextIn(_) | Test::Starts(_) => Some(Kind::Text),
            Test::NumberIn(_) | Test::Number(..) => Some(Kind::Number),
            Test::DayIn(_) | Test::Day(..) => Some(Kind::Day),
        }
    }

    /// As it stands behind its word, or the opposite where that has a sign of its own.
    fn written(&self, opposite: bool) -> Option<String> {
        let among = |values: Vec<String>| match (values.as_slice(), opposite) {
            ([one], false) => format!(" = {one}"),
            ([one], true) => format!(" != {one}"),
            (many, false) => format!(" in ({})", many.join(", ")),
            (many, true) => format!(" not in ({})", many.join(", ")),
        };
        match self {
            Test::Empty if opposite => Some(" is not empty".into()),
            Test::Empty => Some(" is empty".into()),
            Test::TextIn(values) => Some(among(values.iter().map(|value| quoted(value)).collect())),
            Test::NumberIn(values) => Some(among(
                values.iter().map(|value| value.to_string()).collect(),
            )),
            Test::DayIn(values) => Some(among(
                values.iter().map(|value| value.to_string()).collect(),
            )),
            Test::YesNo(_) | Test::Starts(_) | Test::Number(..) | Test::Day(..) if opposite => None,
            Test::YesNo(true) => Some(String::new()),
            Test::YesNo(false) => Some(" = no".into()),
            Test::Starts(text) => Some(format!(" starts with {}", quoted(text))),
            Test::Number(order, than) => Some(format!(" {} {than}", order.sign())),
            Test::Day(order, than) => Some(format!(" {} {than}", order.sign())),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Known(known) => f.write_str(known.name()),
            Word::Column(name) if read::is_plain(name) => f.write_str(name),
            Word::Column(name) => write!(f, "`{name}`"),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = |node: &Node| match node {
            Node::And(_) | Node::Or(_) => format!("({node})"),
            Node::Not(_) | Node::Is { .. } => node.to_string(),
        };
        let joined = |parts: &[Node], by: &str| {
            let parts: Vec<String> = parts.iter().map(inner).collect();
            parts.join(by)
        };
        match self {
            Node::And(parts) => f.write_str(&joined(parts, " and ")),
            Node::Or(parts) => f.write_str(&joined(parts, " or ")),
            Node::Not(node) => {
                if let Node::Is { word, test, at: _ } = &**node
                    && let Some(written) = test.written(true)
                {
                    return write!(f, "{word}{written}");
                }
                write!(f, "not {}", inner(node))
            }
            Node::Is { word, test, at: _ } => {
                let written = test.written(false).expect("every test can be written");
                write!(f, "{word}{written}")
            }
        }
    }
}

/// The words that every lead has.
pub fn known_words() -> impl Iterator<Item = &'static str> {
    Known::ALL.into_iter().map(Known::name)
}

/// Every outcome a lead's last attempt can have, as filters write them.
fn outcomes() -> impl Iterator<Item = &'static str> {
    AttemptOutcome::ALL.iter().map(|outcome| outcome.name())
}

#[cfg(test)]
mod tests;
