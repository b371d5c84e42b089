//! One line on its way to a lead: what its columns mean, and whether its cells can stand.

use super::ImportError;
use model::{Lead, LeadId, ListId, PhoneNumber, Utc};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// Longest cell in bytes. What is longer is a broken quote that swallowed lines.
const CELL_BYTES_MAX: usize = 4_096;

/// Numbers of one lead: `phone`, `phone2` … `phone9`.
pub(super) const NUMBERS_MAX: usize = 9;

/// Names of zones remembered. A file with a new wrong zone on every line must not grow this without end.
const ZONES_MAX: usize = 1_000;

/// Columns of a file. An object may bring others than the one before: a file of JSON has a bound.
const COLUMNS_MAX: usize = 1_000;

/// Columns that a file of rejected lines has, and that mean nothing when it is imported again.
pub const REJECTED_PREFIX: &str = "rejected_";

/// What a column means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Phone(usize),
    Name,
    TimeZone,
    CustomerKey,
    Priority,
    NotBefore,
    /// A column of the customer's own: the index of its name.
    Field(usize),
    Ignored,
}

/// The columns of a file, by their place or by their name.
pub(super) struct Columns<'a> {
    mapping: &'a BTreeMap<String, String>,
    meanings: Vec<Column>,
    fields: Vec<String>,
    // Only looked up, never iterated.
    by_name: HashMap<String, usize>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(mapping: &'a BTreeMap<String, String>) -> Columns<'a> {
        Columns {
            mapping,
            meanings: Vec::new(),
            fields: Vec::new(),
            by_name: HashMap::new(),
        }
    }

    /// One more column of the file.
    pub(super) fn add(&mut self, name: &str) -> Result<usize, ImportError> {
        let ours = self.mapping.get(name).map_or(name, String::as_str);
        let meaning = match ours {
            "phone" | "phone1" => Column::Phone(0),
            "name" => Column::Name,
            "time_zone" => Column::TimeZone,
            "customer_key" => Column::CustomerKey,
            "priority" => Column::Priority,
            "not_before" => Column::NotBefore,
            other if other.starts_with(REJECTED_PREFIX) => Column::Ignored,
            other => match other
                .strip_prefix("phone")
                .and_then(|n| n.parse::<usize>().ok())
            {
                Some(n @ 2..=NUMBERS_MAX) => Column::Phone(n - 1),
                Some(_) | None => {
                    let at = self.fields.iter().position(|field| field == other);
                    Column::Field(at.unwrap_or_else(|| {
                        self.fields.push(other.to_string());
                        self.fields.len() - 1
                    }))
                }
            },
        };
        if meaning != Column::Ignored && self.meanings.contains(&meaning) {
            return Err(ImportError::ColumnTwice(ours.to_string()));
        }
        self.meanings.push(meaning);
        let index = self.meanings.len() - 1;
        self.by_name.insert(name.to_string(), index);
        Ok(index)
    }

    /// The column of this name, known or new; none where there are too many.
    pub(super) fn named(&mut self, name: &str) -> Result<Option<&Column>, ImportError> {
        let index = match self.by_name.get(name) {
            Some(index) => *index,
            None if self.meanings.len() >= COLUMNS_MAX => return Ok(None),
            None => self.add(name)?,
        };
        Ok(Some(&self.meanings[index]))
    }

    pub(super) fn at(&self, index: usize) -> &Column {
        &self.meanings[index]
    }

    pub(super) fn field(&self, index: usize) -> &str {
        &self.fields[index]
    }

    /// Names of the customer's own columns.
    pub(super) fn fields(&self) -> &[String] {
        &self.fields
    }

    pub(super) fn first_phone(&self) -> Option<usize> {
        self.meanings
            .iter()
            .position(|column| matches!(column, Column::Phone(_)))
    }

    pub(super) fn has_phone(&self) -> bool {
        self.first_phone().is_some()
    }
}

/// The cells of one line, checked. One is used for all lines, so that a line costs no allocation.
pub(super) struct Draft {
    country: Option<String>,
    now_us: i64,
    phones: [Option<PhoneNumber>; NUMBERS_MAX],
    numbers: Vec<PhoneNumber>,
    name: String,
    time_zone: String,
    customer_key: String,
    pub(super) priority: i16,
    pub(super) not_before: i64,
    fields: Vec<(usize, String)>,
    fields_used: usize,
    // Only looked up, never iterated.
    zones: HashMap<String, bool>,
}

impl Draft {
    pub(super) fn new(country: Option<&str>, now: Utc) -> Draft {
        Draft {
            country: country.map(str::to_string),
            now_us: now.as_micros(),
            phones: [None; NUMBERS_MAX],
            numbers: Vec::new(),
            name: String::new(),
            time_zone: String::new(),
            customer_key: String::new(),
            priority: 0,
            not_before: 0,
            fields: Vec::new(),
            fields_used: 0,
            zones: HashMap::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.phones = [None; NUMBERS_MAX];
        self.numbers.clear();
        self.name.clear();
        self.time_zone.clear();
        self.customer_key.clear();
        self.priority = 0;
        self.not_before = 0;
        self.fields_used = 0;
    }

    /// Takes one cell in; `Err` says what is wrong with it.
    pub(super) fn put(&mut self, column: &Column, cell: &[u8]) -> Result<(), String> {
        if cell.len() > CELL_BYTES_MAX {
            return Err(format!("longer than {CELL_BYTES_MAX} bytes"));
        }
        let cell = std::str::from_utf8(cell)
            .map_err(|_| "not UTF-8; save the file as UTF-8".to_string())?
            .trim();
        if cell.is_empty() {
            return Ok(());
        }
        match column {
            Column::Phone(at) => self.phones[*at] = Some(self.number(cell)?),
            Column::Name => plain(&mut self.name, cell),
            Column::TimeZone => {
                if !self.is_zone(cell) {
                    return Err(format!("{cell:?} is not an IANA time zone"));
                }
                self.time_zone.push_str(cell);
            }
            Column::CustomerKey => plain(&mut self.customer_key, cell),
            Column::Priority => {
                self.priority = cell
                    .parse()
                    .map_err(|_| format!("{cell:?} is not a whole number from -32768 to 32767"))?;
            }
            Column::NotBefore => {
                self.not_before = cell
                    .parse::<jiff::Timestamp>()
                    .map_err(|_| format!("{cell:?} is not a time like 2026-11-22T08:00:00Z"))?
                    .as_microsecond();
            }
            Column::Field(index) => {
                if self.fields_used == self.fields.len() {
                    self.fields.push((0, String::new()));
                }
                let (at, text) = &mut self.fields[self.fields_used];
                *at = *index;
                text.clear();
                plain(text, cell);
                self.fields_used += 1;
            }
            Column::Ignored => {}
        }
        Ok(())
    }

    /// Once all cells are in.
    pub(super) fn check(&mut self) -> Result<(), String> {
        for number in self.phones.iter().flatten() {
            if !self.numbers.contains(number) {
                self.numbers.push(*number);
            }
        }
        match self.numbers.is_empty() {
            true => Err("no number".into()),
            false => Ok(()),
        }
    }

    pub(super) fn numbers(&self) -> &[PhoneNumber] {
        &self.numbers
    }

    pub(super) fn customer_key(&self) -> Option<&str> {
        some(&self.customer_key)
    }

    pub(super) fn name(&self) -> Option<&str> {
        some(&self.name)
    }

    pub(super) fn time_zone(&self) -> Option<&str> {
        some(&self.time_zone)
    }

    pub(super) fn is_due(&self) -> bool {
        self.not_before <= self.now_us
    }

    /// The customer's own columns, in their order in the file.
    pub(super) fn fields(&self) -> &[(usize, String)] {
        &self.fields[..self.fields_used]
    }

    /// The numbers as the store keeps them.
    pub(super) fn numbers_text(&self) -> String {
        let mut text = String::with_capacity(self.numbers.len() * 13);
        for number in &self.numbers {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push('+');
            text.push_str(number.digits());
        }
        text
    }

    /// The customer's own columns as the store keeps them: a JSON object.
    pub(super) fn fields_text(&self, columns: &Columns<'_>) -> String {
        let mut text = String::from("{");
        for (index, (at, value)) in self.fields().iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            json_text(&mut text, columns.field(*at));
            text.push(':');
            json_text(&mut text, value);
        }
        text.push('}');
        text
    }

    /// As the dialer sees it.
    pub(super) fn lead(&self, list: ListId, columns: &Columns<'_>) -> Lead {
        Lead {
            priority: self.priority,
            time_zone: self.time_zone().map(str::to_string),
            name: self.name().map(str::to_string),
            customer_key: self.customer_key().map(str::to_string),
            fields: self
                .fields()
                .iter()
                .map(|(at, value)| (columns.field(*at).to_string(), value.clone()))
                .collect(),
            ..Lead::new(LeadId(0), list, self.numbers.clone())
        }
    }

    fn number(&self, cell: &str) -> Result<PhoneNumber, String> {
        let said = |error: model::number::NumberError| error.to_string();
        if cell.starts_with('+') {
            return cell.parse().map_err(said);
        }
        let mut international = String::with_capacity(cell.len() + 4);
        international.push('+');
        match (cell.strip_prefix("00"), &self.country) {
            (Some(rest), _) => international.push_str(rest),
            (None, Some(country)) => {
                international.push_str(country);
                international.push_str(cell.strip_prefix('0').unwrap_or(cell));
            }
            (None, None) => return cell.parse().map_err(said),
        }
        international.parse().map_err(said)
    }

    fn is_zone(&mut self, name: &str) -> bool {
        if let Some(known) = self.zones.get(name) {
            return *known;
        }
        let found = jiff::tz::TimeZone::get(name).is_ok();
        if self.zones.len() < ZONES_MAX {
            self.zones.insert(name.to_string(), found);
        }
        found
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Without control characters: a cell may end up on a screen or in a SIP header.
fn plain(text: &mut String, cell: &str) {
    match cell.chars().any(char::is_control) {
        false => text.push_str(cell),
        true => text.extend(cell.chars().filter(|c| !c.is_control())),
    }
}

/// A JSON string of a text without control characters, or of a column's name, which may have them.
fn json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a string grows");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_from_its_json(text in ".*") {
            let mut json = String::new();
            json_text(&mut json, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn a_file_of_rejected_lines_can_be_imported_again() {
        let mapping = BTreeMap::new();
        let mut columns = Columns::new(&mapping);
        for name in ["rejected_line", "rejected_reason", "phone"] {
            columns.add(name).unwrap();
        }
        assert_eq!(columns.at(1), &Column::Ignored);
        assert_eq!(columns.first_phone(), Some(2));
    }
}
