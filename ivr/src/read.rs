//! From TOML to a [`Flow`]: every mistake of the text is found in one pass, each with its place.
//!
//! A value that is wrong is reported and replaced by a harmless one, so that reading goes on; a flow
//! read with errors is never handed out. The lints over the finished flow are in `check`.

use crate::check::CheckContext;
use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::digits::{Wanted, is_key};
use crate::expr::{Expr, ExprProblem, FUNCTIONS, Type, Value};
use crate::flow::{
    Action, Dip, Flow, Handler, Listening, Node, NodeIndex, NodeKind, Prompt, PromptPiece, Variable,
};
use crate::hours::{DAYS, Hours, Interval};
use crate::input::Piece;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{Cause, FlowId, QueueId, SkillId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use toml::de::{DeString, DeTable, DeValue};

/// Largest file, in bytes: a hundred times the longest flow a person maintains.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most nodes of one flow; the lints take time in proportion to nodes times variables.
pub const NODES_MAX: usize = 500;
/// Most variables of one flow: they travel with every screen pop.
pub const VARIABLES_MAX: usize = 100;
/// Most entries of any other list or table of a flow.
pub const ENTRIES_MAX: usize = 100;
/// Longest input of digits: a bank account with its country (IBAN) is 34, a card 19.
pub const DIGITS_MAX: u8 = 40;
/// Longest digits of a menu option; more nobody remembers after one hearing.
pub const OPTION_DIGITS_MAX: usize = 4;
/// Most further tries of a lookup: the caller listens meanwhile.
pub const LOOKUP_RETRIES_MAX: u8 = 3;
/// Deepest nesting of sub-flows; each level is a place to get lost in.
pub const FLOW_DEPTH_MAX: usize = 8;
/// Names the call itself brings as variables of type text.
pub const CALL_VARIABLES: [&str; 2] = ["caller", "called"];

/// The `type`s of nodes.
const NODE_TYPES: [&str; 12] = [
    "play", "menu", "collect", "branch", "set", "opt_out", "hours", "lookup", "flow", "queue",
    "hang_up", "return",
];

/// A value with its place.
type Spot<'a> = toml::Spanned<DeValue<'a>>;
/// A key with its place, and its value.
type Entry<'t, 'a> = (&'t toml::Spanned<DeString<'a>>, &'t Spot<'a>);

/// The entries of a table in the order of the file.
fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<Entry<'t, 'a>> {
    let mut entries: Vec<Entry<'t, 'a>> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Reads `source`. A flow comes with warnings only; without a flow there is at least one error.
pub(crate) fn read(
    file: &str,
    source: &str,
    context: &CheckContext,
    broken: &BTreeSet<FlowId>,
) -> (Option<Flow>, Vec<Diagnostic>) {
    let mut reader = Reader {
        file,
        source,
        context,
        broken,
        findings: Vec::new(),
        nodes: BTreeMap::new(),
        variables: BTreeMap::new(),
        types: BTreeMap::new(),
        hours: BTreeMap::new(),
    };
    let flow = reader.flow();
    let mut findings = reader.findings;
    findings.sort_by_key(|d| (d.span.start, d.severity, d.span.end));
    let has_errors = findings.iter().any(|d| d.severity == Severity::Error);
    (flow.filter(|_| !has_errors), findings)
}

/// The id and the sub-flows a text names, as far as it can be read; for the order of reading.
pub(crate) fn outline(source: &str) -> (Option<FlowId>, Vec<(FlowId, Range<usize>)>) {
    if source.len() > FILE_BYTES_MAX {
        return (None, Vec::new());
    }
    let (root, _) = DeTable::parse_recoverable(source);
    let root = root.get_ref();
    let id = root
        .get("id")
        .and_then(|v| v.get_ref().as_str())
        .and_then(|id| id.parse().ok());
    let nodes = root.get("node").and_then(|v| v.get_ref().as_table());
    let used = nodes.map(in_order).unwrap_or_default();
    let used = used.into_iter().filter_map(|(_, node)| {
        let flow = node.get_ref().as_table()?.get("flow")?;
        Some((flow.get_ref().as_str()?.parse().ok()?, flow.span()))
    });
    (id, used.collect())
}

struct Reader<'s> {
    file: &'s str,
    source: &'s str,
    context: &'s CheckContext,
    broken: &'s BTreeSet<FlowId>,
    findings: Vec<Diagnostic>,
    nodes: BTreeMap<String, NodeIndex>,
    variables: BTreeMap<String, Variable>,
    /// Of the variables and of what the call brings.
    types: BTreeMap<String, Type>,
    hours: BTreeMap<String, usize>,
}

/// A table being read: what was asked for, so that what nobody asked for can be reported.
struct Table<'t, 'a> {
    what: String,
    /// Where to point at when a key is missing.
    place: Range<usize>,
    entries: BTreeMap<&'t str, Entry<'t, 'a>>,
    asked: Vec<&'static str>,
}

impl<'t, 'a> Table<'t, 'a> {
    fn new(what: String, place: Range<usize>, table: &'t DeTable<'a>) -> Self {
        let entries = in_order(table)
            .into_iter()
            .map(|(k, v)| (k.get_ref().as_ref(), (k, v)));
        Table {
            what,
            place,
            entries: entries.collect(),
            asked: Vec::new(),
        }
    }

    fn get(&mut self, key: &'static str) -> Option<&'t Spot<'a>> {
        self.asked.push(key);
        self.entries.remove(key).map(|(_, value)| value)
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Reader<'_> {
    fn error(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.find(code, Severity::Error, at, message.into())
    }

    fn find(
        &mut self,
        code: &'static str,
        severity: Severity,
        at: Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        self.findings.push(Diagnostic::new(
            code,
            severity,
            self.file,
            self.source,
            at,
            message,
        ));
        self.findings.last_mut().expect("it was just pushed")
    }

    fn unknown<'n>(
        &mut self,
        (code, noun): (&'static str, &str),
        at: Range<usize>,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let remedy = match nearest(name, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None if known.len() <= 12 => Some(format!("there are: {}", known.join(", "))),
            None => None,
        };
        self.error(code, at, format!("there is no {noun} `{name}`"))
            .remedy = remedy;
    }

    // Values of one kind each.

    fn table<'t, 'a>(&mut self, what: String, value: &'t Spot<'a>) -> Option<Table<'t, 'a>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(what, value.span(), table)),
            other => {
                let message = format!("{what} is a table, this is {}", kind_of(other));
                self.error("wrong-type", value.span(), message);
                None
            }
        }
    }

    fn text<'t>(&mut self, key: &str, value: &'t Spot<'_>) -> Option<&'t str> {
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            other => {
                let message = format!("`{key}` is a string, this is {}", kind_of(other));
                self.error("wrong-type", value.span(), message);
                None
            }
        }
    }

    fn list<'t, 'a>(&mut self, key: &str, value: &'t Spot<'a>) -> Vec<&'t Spot<'a>> {
        match value.get_ref() {
            DeValue::Array(list) if list.len() > ENTRIES_MAX => {
                let message = format!("`{key}` has more than {ENTRIES_MAX} entries");
                self.error("too-many", value.span(), message);
                Vec::new()
            }
            DeValue::Array(list) => list.iter().collect(),
            other => {
                let message = format!("`{key}` is a list, this is {}", kind_of(other));
                self.error("wrong-type", value.span(), message);
                Vec::new()
            }
        }
    }

    fn truth(&mut self, table: &mut Table<'_, '_>, key: &'static str, default: bool) -> bool {
        let Some(value) = table.get(key) else {
            return default;
        };
        match value.get_ref() {
            DeValue::Boolean(truth) => *truth,
            other => {
                let message = format!("`{key}` is true or false, this is {}", kind_of(other));
                self.error("wrong-type", value.span(), message);
                default
            }
        }
    }

    fn number(
        &mut self,
        table: &mut Table<'_, '_>,
        key: &'static str,
        default: i64,
        within: std::ops::RangeInclusive<i64>,
    ) -> i64 {
        table
            .get(key)
            .and_then(|value| self.number_of(key, value, within))
            .unwrap_or(default)
    }

    fn number_of(
        &mut self,
        key: &str,
        value: &Spot<'_>,
        within: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        match value.get_ref() {
            DeValue::Integer(integer) => {
                let read = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                let number = read.filter(|number| within.contains(number));
                if number.is_none() {
                    let message = format!("`{key}` is {} to {}", within.start(), within.end());
                    self.error("out-of-range", value.span(), message);
                }
                number
            }
            other => {
                let message = format!("`{key}` is a whole number, this is {}", kind_of(other));
                self.error("wrong-type", value.span(), message);
                None
            }
        }
    }

    fn duration(
        &mut self,
        table: &mut Table<'_, '_>,
        key: &'static str,
        default: Duration,
        within: (Duration, Duration),
    ) -> Duration {
        let Some(value) = table.get(key) else {
            return default;
        };
        let Some(text) = self.text(key, value) else {
            return default;
        };
        match duration_of(text) {
            Some(duration) if (within.0..=within.1).contains(&duration) => duration,
            Some(_) => {
                let message = format!("`{key}` is {:?} to {:?}", within.0, within.1);
                self.error("out-of-range", value.span(), message);
                default
            }
            None => {
                let message = format!("`{key}` is a time, `{text}` is none");
                self.error("bad-value", value.span(), message).remedy =
                    Some("write a number with ms, s, m or h: \"5s\"".to_owned());
                default
            }
        }
    }

    fn missing(&mut self, table: &Table<'_, '_>, key: &str) -> &mut Diagnostic {
        let message = format!("{} has no `{key}`", table.what);
        self.error("missing-key", table.place.clone(), message)
    }

    fn required<'t, 'a>(
        &mut self,
        table: &mut Table<'t, 'a>,
        key: &'static str,
    ) -> Option<&'t Spot<'a>> {
        let value = table.get(key);
        if value.is_none() {
            self.missing(table, key);
        }
        value
    }

    /// Reports the keys nobody asked for.
    fn finish(&mut self, table: Table<'_, '_>) {
        for (name, (key, _)) in &table.entries {
            let message = format!("{} has no key `{name}`", table.what);
            let mut known = table.asked.clone();
            known.sort_unstable();
            let remedy = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its keys are: {}", known.join(", ")),
            };
            self.error("unknown-key", key.span(), message).remedy = Some(remedy);
        }
    }

    // The flow, top down.

    fn flow(&mut self) -> Option<Flow> {
        if self.source.len() > FILE_BYTES_MAX {
            self.error(
                "too-many",
                0..1,
                format!("a flow has at most {FILE_BYTES_MAX} bytes"),
            );
            return None;
        }
        let (root, errors) = DeTable::parse_recoverable(self.source);
        for error in &errors {
            let at = error.span().unwrap_or(0..0);
            let code = if error.message().contains("duplicate") {
                "duplicate-key"
            } else {
                "toml-syntax"
            };
            self.error(code, at, error.message());
        }
        if !errors.is_empty() {
            return None;
        }
        let end_of_first_row = self.source.find('\n').unwrap_or(self.source.len());
        let mut root = Table::new("the flow".to_owned(), 0..end_of_first_row, root.get_ref());

        let id = self.required(&mut root, "id").and_then(|value| {
            let text = self.text("id", value)?;
            let id = text.parse::<FlowId>();
            id.map_err(|why| {
                self.error("bad-value", value.span(), why.to_string())
                    .span
                    .start
            })
            .ok()
        });
        // A zone that does not exist was reported: the hours need not miss it again.
        let zone = root
            .get("timezone")
            .map(|value| self.zone(value).unwrap_or(TimeZone::UTC));
        self.read_variables(root.get("variables"));
        let hours = self.read_hours(root.get("hours"), zone.as_ref());
        let nodes = self.read_nodes(&mut root);
        let start = self
            .required(&mut root, "start")
            .and_then(|v| self.goto("start", v));
        let on_failure = root.get("on_failure");
        let on_failure = on_failure.and_then(|v| Some((self.goto("on_failure", v)?, v.span())));
        if let Some((node, at)) = &on_failure
            && let Some(node) = nodes.get(*node)
            && !matches!(node.kind, NodeKind::Queue { .. } | NodeKind::HangUp { .. })
        {
            let message = format!("`{}` is a {}", node.name, node.kind.name());
            self.error("bad-value", at.clone(), message).remedy =
                Some("a failed flow can only go to a queue or hang_up node".to_owned());
        }
        let on_hangup = root
            .get("on_hangup")
            .map(|v| self.read_actions(v))
            .unwrap_or_default();
        let minute = Duration::from_secs(60);
        let time_max = self.duration(
            &mut root,
            "time_max",
            15 * minute,
            (minute / 6, 240 * minute),
        );
        let steps_max = self.number(&mut root, "steps_max", 200, 5..=1000);
        self.finish(root);
        Some(Flow {
            id: id?,
            file: self.file.to_owned(),
            source: self.source.to_owned(),
            start: start?,
            nodes,
            variables: self.variables.clone(),
            hours,
            on_hangup,
            on_failure: on_failure.map(|(node, _)| node),
            time_max,
            steps_max: u32::try_from(steps_max).expect("it is within its range"),
            warnings: Vec::new(),
        })
    }

    fn zone(&mut self, value: &Spot<'_>) -> Option<TimeZone> {
        let name = self.text("timezone", value)?;
        match TimeZone::get(name) {
            Ok(zone) => Some(zone),
            Err(_) => {
                let message = format!("there is no time zone `{name}`");
                self.error("unknown-timezone", value.span(), message).remedy =
                    Some("use an IANA name such as \"Europe/Berlin\"".to_owned());
                None
            }
        }
    }

    fn read_variables(&mut self, value: Option<&Spot<'_>>) {
        for name in CALL_VARIABLES {
            self.types.insert(name.to_owned(), Type::Text);
        }
        let Some(value) = value else { return };
        let Some(table) = self.table("`variables`".to_owned(), value) else {
            return;
        };
        if table.entries.len() > VARIABLES_MAX {
            let message = format!("a flow has at most {VARIABLES_MAX} variables");
            self.error("too-many", value.span(), message);
            return;
        }
        for (name, (key, value)) in table.entries {
            let usable = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !["and", "or", "not", "true", "false"].contains(&name);
            if !usable || CALL_VARIABLES.contains(&name) {
                let message = format!("`{name}` cannot be the name of a variable");
                self.error("bad-value", key.span(), message).remedy = Some(
                    "use letters, digits and `_`; `caller` and `called` come with the call".into(),
                );
                continue;
            }
            let variable = self.variable(name, key.span(), value);
            self.types.insert(name.to_owned(), variable.kind);
            self.variables.insert(name.to_owned(), variable);
        }
    }

    fn variable(&mut self, name: &str, span: Range<usize>, value: &Spot<'_>) -> Variable {
        let plain = |kind| Variable {
            kind,
            default: None,
            input: false,
            sensitive: false,
            span: span.clone(),
        };
        let with = |value: Value| Variable {
            default: Some(value.clone()),
            ..plain(value.kind())
        };
        match value.get_ref() {
            DeValue::String(_) | DeValue::Integer(_) | DeValue::Boolean(_) => self
                .constant(name, value)
                .map_or_else(|| plain(Type::Text), with),
            DeValue::Table(_) => {
                let mut table = self
                    .table(format!("variable `{name}`"), value)
                    .expect("it is a table by the arm it is in");
                let default = table
                    .get("default")
                    .and_then(|v| self.constant(name, v).map(|c| (c, v.span())));
                let kind = table.get("type").and_then(|value| {
                    let text = self.text("type", value)?;
                    let kinds = [Type::Text, Type::Number, Type::Truth];
                    let kind = kinds.into_iter().find(|kind| kind.name() == text);
                    if kind.is_none() {
                        let at = value.span();
                        self.unknown(("unknown-type", "type"), at, text, kinds.map(Type::name));
                    }
                    kind
                });
                let kind = match (kind, &default) {
                    (Some(kind), Some((value, at))) if value.kind() != kind => {
                        let message = format!(
                            "`{name}` is a {}, this is a {}",
                            kind.name(),
                            value.kind().name()
                        );
                        self.error("wrong-type", at.clone(), message);
                        kind
                    }
                    (Some(kind), _) => kind,
                    (None, Some((value, _))) => value.kind(),
                    (None, None) => Type::Text,
                };
                let input = self.truth(&mut table, "input", false);
                let sensitive = self.truth(&mut table, "sensitive", false);
                self.finish(table);
                Variable {
                    kind,
                    default: default.map(|(value, _)| value),
                    input,
                    sensitive,
                    span,
                }
            }
            other @ (DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_)) => {
                let message = format!(
                    "a variable is text, a whole number, true or false, or a table; this is {}",
                    kind_of(other)
                );
                self.error("wrong-type", value.span(), message);
                plain(Type::Text)
            }
        }
    }

    fn constant(&mut self, name: &str, value: &Spot<'_>) -> Option<Value> {
        match value.get_ref() {
            DeValue::String(text) => Some(Value::text(text)),
            DeValue::Boolean(truth) => Some(Value::Truth(*truth)),
            DeValue::Integer(_) => self
                .number_of(name, value, i64::MIN..=i64::MAX)
                .map(Value::Number),
            other @ (DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_)) => {
                let message = format!("`{name}` cannot be {}", kind_of(other));
                self.error("wrong-type", value.span(), message);
                None
            }
        }
    }

    // Business hours.

    fn read_hours(&mut self, value: Option<&Spot<'_>>, zone: Option<&TimeZone>) -> Vec<Hours> {
        let Some(value) = value else {
            return Vec::new();
        };
        let Some(table) = self.table("`hours`".to_owned(), value) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, (key, value)) in table.entries {
            let what = format!("hours `{name}`");
            self.hours.insert(name.to_owned(), all.len());
            let zone_here = zone.cloned();
            let read = self.table(what, value).map(|mut table| {
                table.place = key.span();
                self.hours_of(name, table, zone_here)
            });
            all.push(read.unwrap_or_else(|| Hours {
                name: name.to_owned(),
                zone: TimeZone::UTC,
                week: Default::default(),
                holidays: BTreeSet::new(),
                special: BTreeMap::new(),
            }));
        }
        all
    }

    fn hours_of(&mut self, name: &str, mut table: Table<'_, '_>, zone: Option<TimeZone>) -> Hours {
        let own = table.get("timezone");
        let has_own = own.is_some();
        let zone = own.and_then(|value| self.zone(value)).or(zone);
        if zone.is_none() && !has_own {
            self.missing(&table, "timezone").remedy =
                Some("say whose clock: timezone = \"Europe/Berlin\"".to_owned());
        }
        let zone = zone.unwrap_or(TimeZone::UTC);
        let today = self
            .context
            .now
            .and_then(|now| crate::hours::date_at(&zone, now));

        let mut holidays = BTreeSet::new();
        if let Some(value) = table.get("holidays") {
            for entry in self.list("holidays", value) {
                let Some(date) = self.date(entry) else {
                    continue;
                };
                if !holidays.insert(date) {
                    self.error(
                        "duplicate-key",
                        entry.span(),
                        format!("{date} is listed twice"),
                    );
                }
                self.past(date, today, entry.span());
            }
        }
        let mut special = BTreeMap::new();
        if let Some(value) = table.get("special")
            && let Some(dates) = self.table("`special`".to_owned(), value)
        {
            for (text, (key, value)) in dates.entries {
                let intervals = self.intervals(text, value);
                match text.parse::<Date>() {
                    Ok(date) => {
                        self.past(date, today, key.span());
                        special.insert(date, intervals);
                    }
                    Err(_) => self.not_a_date(key.span(), text),
                }
            }
        }
        let mut week: [Option<Vec<Interval>>; 7] = Default::default();
        table.asked.extend(DAYS);
        let mut keys: Vec<(&str, Entry<'_, '_>)> = Vec::new();
        table.entries.retain(|key, entry| {
            let is_days = days_of(key).is_some();
            if is_days {
                keys.push((*key, *entry));
            }
            !is_days
        });
        keys.sort_by_key(|(_, (key, _))| key.span().start);
        for (text, (key, value)) in keys {
            let intervals = self.intervals(text, value);
            for day in days_of(text).expect("only days were kept") {
                if week[day].is_some() {
                    let message = format!("the hours of {} are given twice", DAYS[day]);
                    self.error("hours-overlap", key.span(), message);
                }
                week[day] = Some(intervals.clone());
            }
        }
        let absent: Vec<&str> = (0..7)
            .filter(|day| week[*day].is_none())
            .map(|day| DAYS[day])
            .collect();
        if !absent.is_empty() {
            let message = format!("the hours do not say anything about {}", absent.join(", "));
            let remedy = format!("closed all day is written {} = []", absent[0]);
            self.find("hours-gap", Severity::Warning, table.place.clone(), message)
                .remedy = Some(remedy);
        }
        self.finish(table);
        let week = week.map(Option::unwrap_or_default);
        Hours {
            name: name.to_owned(),
            zone,
            week,
            holidays,
            special,
        }
    }

    fn date(&mut self, value: &Spot<'_>) -> Option<Date> {
        let text = match value.get_ref() {
            DeValue::Datetime(date) => date.to_string(),
            DeValue::String(text) => text.to_string(),
            other @ (DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Array(_)
            | DeValue::Table(_)) => kind_of(other).to_owned(),
        };
        let date = if text.len() == "2026-12-25".len() {
            text.parse().ok()
        } else {
            None
        };
        if date.is_none() {
            self.not_a_date(value.span(), &text);
        }
        date
    }

    fn not_a_date(&mut self, at: Range<usize>, text: &str) {
        let message = format!("`{text}` is not a date");
        self.error("bad-value", at, message).remedy = Some("write 2026-12-25".to_owned());
    }

    fn past(&mut self, date: Date, today: Option<Date>, at: Range<usize>) {
        if today.is_some_and(|today| date < today) {
            let message = format!("{date} is in the past");
            self.find("holiday-past", Severity::Warning, at, message);
        }
    }

    fn intervals(&mut self, key: &str, value: &Spot<'_>) -> Vec<Interval> {
        let mut intervals: Vec<Interval> = Vec::new();
        for entry in self.list(key, value) {
            let Some(text) = self.text(key, entry) else {
                continue;
            };
            match Interval::parse(text) {
                Ok(interval) => {
                    if let Some(other) = intervals
                        .iter()
                        .find(|o| o.from < interval.until && interval.from < o.until)
                    {
                        let message = format!(
                            "{text} overlaps with {}-{}",
                            clock(other.from),
                            clock(other.until)
                        );
                        self.error("hours-overlap", entry.span(), message);
                    }
                    let one_minute = intervals.iter().any(|o| o.until + 1 == interval.from)
                        || interval.until + 1 == crate::hours::DAY_MINUTES;
                    if one_minute {
                        let message = format!("one minute beside {text} is closed");
                        self.find("hours-gap", Severity::Warning, entry.span(), message)
                            .remedy = Some(
                            "the end is not part of the hours; a day ends at 24:00".to_owned(),
                        );
                    }
                    intervals.push(interval);
                }
                Err(why) => {
                    self.error("bad-value", entry.span(), why.to_string());
                }
            }
        }
        intervals.sort_unstable();
        intervals
    }

    // Nodes.

    fn read_nodes(&mut self, root: &mut Table<'_, '_>) -> Vec<Node> {
        let Some(value) = self.required(root, "node") else {
            return Vec::new();
        };
        let DeValue::Table(table) = value.get_ref() else {
            let message = "the nodes are tables such as [node.main]";
            self.error("wrong-type", value.span(), message);
            return Vec::new();
        };
        let entries = in_order(table);
        if entries.len() > NODES_MAX || entries.is_empty() {
            self.error(
                "too-many",
                value.span(),
                format!("a flow has 1 to {NODES_MAX} nodes"),
            );
            return Vec::new();
        }
        for (index, (key, _)) in entries.iter().enumerate() {
            self.nodes.insert(key.get_ref().to_string(), index);
        }
        let mut nodes = Vec::new();
        for (key, value) in entries {
            let name = key.get_ref().to_string();
            if name.parse::<model::Key>().is_err() {
                let message = format!("`{name}` cannot be the name of a node");
                self.error("bad-value", key.span(), message).remedy =
                    Some("use up to 31 letters, digits, `_` and `-`".to_owned());
            }
            let table = self.table(format!("node `{name}`"), value);
            let kind = table.and_then(|mut table| {
                table.place = key.span();
                self.node(table)
            });
            nodes.push(Node {
                name,
                span: key.span(),
                kind: kind.unwrap_or(NodeKind::Return),
            });
        }
        nodes
    }

    fn node(&mut self, mut table: Table<'_, '_>) -> Option<NodeKind> {
        let kind = self.required(&mut table, "type")?;
        let kind_at = kind.span();
        let kind = self.text("type", kind)?;
        table.what = table.what.replacen("node", kind, 1);
        let t = &mut table;
        let read = match kind {
            "play" => {
                let prompt = self.prompt(t, true);
                self.next(t, "next")
                    .map(|next| NodeKind::Play { prompt, next })
            }
            "menu" => {
                let prompt = self.prompt(t, true);
                let (wanted, ambiguous) = self.options(t);
                let has_pause = t.entries.contains_key("inter_digit");
                if let (Some(at), false) = (ambiguous, has_pause) {
                    let message =
                        "one option is the beginning of another, and nothing says how long to wait"
                            .to_owned();
                    self.find("ambiguous-options", Severity::Warning, at, message)
                        .remedy =
                        Some("set inter_digit = \"2s\", or rename one of them".to_owned());
                }
                let listening = self.listening(t);
                Some(NodeKind::Menu {
                    prompt,
                    wanted,
                    listening,
                })
            }
            "collect" => self.collect(t),
            "branch" => self.branch(t),
            "set" => {
                let values = self.required(t, "set").map(|v| self.assignments(v));
                let next = self.next(t, "next");
                values
                    .zip(next)
                    .map(|(values, next)| NodeKind::Set { values, next })
            }
            "opt_out" => self.next(t, "next").map(|next| NodeKind::OptOut { next }),
            "hours" => self.hours_node(t),
            "lookup" => {
                let dip = self.dip(t, "source");
                let meanwhile = t.get("meanwhile").map(|v| self.pieces("meanwhile", v));
                let next = self.next(t, "next");
                let on_error = t.get("on_error");
                if on_error.is_none() {
                    self.error(
                        "lookup-without-error-branch",
                        t.place.clone(),
                        format!("{} does not say where to go when it fails", t.what),
                    )
                    .remedy = Some("add on_error = \"…\" with the name of a node".to_owned());
                }
                let on_error = on_error.and_then(|v| self.goto("on_error", v));
                if meanwhile.as_ref().is_none_or(Vec::is_empty) {
                    let message = format!("the caller hears nothing during {}", t.what);
                    self.find("silent-lookup", Severity::Warning, t.place.clone(), message)
                        .remedy = Some("add meanwhile = \"…\" with a prompt".to_owned());
                }
                let meanwhile = meanwhile.unwrap_or_default();
                dip.zip(next.zip(on_error))
                    .map(|(dip, (next, on_error))| NodeKind::Lookup {
                        dip,
                        meanwhile,
                        next,
                        on_error,
                    })
            }
            "flow" => self.flow_node(t),
            "queue" => self.queue(t),
            "hang_up" => {
                let prompt = self.prompt(t, false);
                let cause = t
                    .get("cause")
                    .and_then(|v| self.cause(v))
                    .unwrap_or(Cause::Normal);
                Some(NodeKind::HangUp { prompt, cause })
            }
            "return" => Some(NodeKind::Return),
            _ => {
                self.unknown(("unknown-type", "type of node"), kind_at, kind, NODE_TYPES);
                return None;
            }
        };
        self.finish(table);
        read
    }

    fn collect(&mut self, t: &mut Table<'_, '_>) -> Option<NodeKind> {
        let prompt = self.prompt(t, true);
        let min = self.number(t, "min", 1, 1..=i64::from(DIGITS_MAX));
        let max_at = t.entries.get("max").map(|(_, v)| v.span());
        let max = self.number(t, "max", i64::from(DIGITS_MAX), 1..=i64::from(DIGITS_MAX));
        if max < min {
            let at = max_at.unwrap_or_else(|| t.place.clone());
            self.error(
                "out-of-range",
                at,
                format!("`max` is {max}, less than `min` {min}"),
            );
        }
        let terminator = self.terminator(t, Some('#'));
        if terminator.is_some_and(|key| key.is_ascii_digit()) {
            let message = "a digit cannot end a number".to_owned();
            self.error("terminator-conflict", t.place.clone(), message);
        }
        let digits = |n: i64| u8::try_from(n).expect("it is within its range");
        let wanted = Wanted::Number {
            min: digits(min),
            max: digits(max),
            terminator,
        };
        let says_sensitive = t.entries.contains_key("sensitive");
        let sensitive = self.truth(t, "sensitive", false);
        let listening = self.listening(t);
        let next = self.next(t, "next");
        let value = self.required(t, "into")?;
        let into = self.text("into", value)?;
        let at = value.span();
        let Some(variable) = self.variables.get(into) else {
            let names: Vec<String> = self.variables.keys().cloned().collect();
            self.unknown(
                ("unknown-variable", "variable"),
                at,
                into,
                names.iter().map(String::as_str),
            );
            return None;
        };
        let is_secret = variable.sensitive;
        match variable.kind {
            Type::Text => {}
            Type::Number if max <= 18 => {}
            Type::Number => {
                let message = format!("`{into}` is a number, it cannot hold {max} digits");
                self.error("wrong-type", at.clone(), message).remedy =
                    Some("set max to 18 or less, or make the variable a text".to_owned());
            }
            Type::Truth => {
                let message = format!("`{into}` is true or false, it cannot hold digits");
                self.error("wrong-type", at.clone(), message);
            }
        }
        if says_sensitive && sensitive != is_secret {
            let is = if is_secret {
                "sensitive"
            } else {
                "not sensitive"
            };
            let message = format!("the node and its variable disagree: `{into}` is {is}");
            self.error("sensitive-leak", at, message).remedy = Some(format!(
                "declare {into} = {{ sensitive = true }} and mark the node too"
            ));
        }
        let into = into.to_owned();
        Some(NodeKind::Collect {
            prompt,
            into,
            sensitive: is_secret,
            wanted,
            listening,
            next: next?,
        })
    }

    fn branch(&mut self, t: &mut Table<'_, '_>) -> Option<NodeKind> {
        let mut arms = Vec::new();
        if let Some(value) = self.required(t, "when") {
            for entry in self.list("when", value) {
                let Some(mut arm) = self.table("an entry of `when`".to_owned(), entry) else {
                    continue;
                };
                let condition = self.required(&mut arm, "if").and_then(|v| {
                    let expr = self.expr("if", v)?;
                    self.expect_kind(&expr, Type::Truth, v.span());
                    Some(expr)
                });
                let goto = self.next(&mut arm, "goto");
                self.finish(arm);
                arms.extend(condition.zip(goto));
            }
        }
        let otherwise = self.next(t, "otherwise")?;
        Some(NodeKind::Branch { arms, otherwise })
    }

    fn hours_node(&mut self, t: &mut Table<'_, '_>) -> Option<NodeKind> {
        let hours = self.required(t, "hours").and_then(|value| {
            let name = self.text("hours", value)?;
            let found = self.hours.get(name).copied();
            if found.is_none() {
                let names: Vec<String> = self.hours.keys().cloned().collect();
                let names = names.iter().map(String::as_str);
                self.unknown(
                    ("unknown-hours", "table of hours"),
                    value.span(),
                    name,
                    names,
                );
            }
            found
        });
        let open = self.next(t, "open");
        let closed = self.next(t, "closed");
        let holiday = t
            .get("holiday")
            .and_then(|v| self.goto("holiday", v))
            .or(closed);
        Some(NodeKind::Hours {
            hours: hours?,
            open: open?,
            closed: closed?,
            holiday: holiday?,
        })
    }

    fn flow_node(&mut self, t: &mut Table<'_, '_>) -> Option<NodeKind> {
        let next = self.next(t, "next");
        let value = self.required(t, "flow")?;
        let name = self.text("flow", value)?;
        let id = name.parse::<FlowId>();
        if let Ok(id) = &id
            && let Some(flow) = self.context.flows.get(id)
        {
            let flow = Arc::clone(flow);
            for (name, theirs) in &flow.variables {
                let Some(ours) = self.variables.get(name) else {
                    continue;
                };
                if ours.kind != theirs.kind || ours.sensitive != theirs.sensitive {
                    let message = format!("`{id}` declares the variable `{name}` differently");
                    self.error("variable-mismatch", value.span(), message)
                        .remedy =
                        Some("the type and `sensitive` have to be the same in both".to_owned());
                }
            }
            if depth(&flow) >= FLOW_DEPTH_MAX {
                let message = format!("sub-flows are nested deeper than {FLOW_DEPTH_MAX}");
                self.error("too-many", value.span(), message);
            }
            return Some(NodeKind::Flow { flow, next: next? });
        }
        // A flow that has errors of its own is reported there; this one cannot go live either.
        if !id.as_ref().is_ok_and(|id| self.broken.contains(id)) {
            let known: Vec<&str> = self.context.flows.keys().map(FlowId::as_str).collect();
            self.unknown(("unknown-flow", "flow"), value.span(), name, known);
        } else {
            let message = format!("the flow `{name}` has errors");
            self.error("broken-flow", value.span(), message);
        }
        None
    }

    fn queue(&mut self, t: &mut Table<'_, '_>) -> Option<NodeKind> {
        let priority = self.number(t, "priority", 0, -1000..=1000);
        let mut skills = Vec::new();
        if let Some(value) = t.get("skills")
            && let Some(table) = self.table("`skills`".to_owned(), value)
        {
            for (name, (key, value)) in table.entries {
                let level = self.number_of(name, value, 1..=255);
                match name.parse::<SkillId>() {
                    Ok(skill) => {
                        if let Some(known) = &self.context.skills
                            && !known.contains(&skill)
                        {
                            let known = known.iter().map(SkillId::as_str);
                            self.unknown(("unknown-skill", "skill"), key.span(), name, known);
                        }
                        let level = level.and_then(|level| u8::try_from(level).ok());
                        skills.extend(level.map(|level| (skill, level)));
                    }
                    Err(why) => {
                        self.error("bad-value", key.span(), why.to_string());
                    }
                }
            }
        }
        let value = self.required(t, "queue")?;
        let name = self.text("queue", value)?;
        let queue = match name.parse::<QueueId>() {
            Ok(queue) => queue,
            Err(why) => {
                self.error("bad-value", value.span(), why.to_string());
                return None;
            }
        };
        if let Some(known) = &self.context.queues
            && !known.contains(&queue)
        {
            let known = known.iter().map(QueueId::as_str);
            self.unknown(("unknown-queue", "queue"), value.span(), name, known);
        }
        let priority = i16::try_from(priority).expect("it is within its range");
        Some(NodeKind::Queue {
            queue,
            priority,
            skills,
        })
    }

    fn cause(&mut self, value: &Spot<'_>) -> Option<Cause> {
        /// Causes that make sense for a flow to give.
        const CAUSES: [Cause; 4] = [
            Cause::Normal,
            Cause::Busy,
            Cause::Rejected,
            Cause::Congestion,
        ];
        let name = self.text("cause", value)?;
        let cause = CAUSES.into_iter().find(|cause| cause.name() == name);
        if cause.is_none() {
            self.unknown(
                ("bad-value", "cause"),
                value.span(),
                name,
                CAUSES.map(Cause::name),
            );
        }
        cause
    }

    // Parts of nodes.

    fn next(&mut self, table: &mut Table<'_, '_>, key: &'static str) -> Option<NodeIndex> {
        let value = self.required(table, key)?;
        self.goto(key, value)
    }

    fn goto(&mut self, key: &str, value: &Spot<'_>) -> Option<NodeIndex> {
        let name = self.text(key, value)?;
        let found = self.nodes.get(name).copied();
        if found.is_none() {
            let names: Vec<String> = self.nodes.keys().cloned().collect();
            let names = names.iter().map(String::as_str);
            self.unknown(("unknown-node", "node"), value.span(), name, names);
        }
        found
    }

    fn prompt(&mut self, table: &mut Table<'_, '_>, required: bool) -> Prompt {
        let value = if required {
            self.required(table, "prompt")
        } else {
            table.get("prompt")
        };
        let pieces = value
            .map(|value| self.pieces("prompt", value))
            .unwrap_or_default();
        // A goodbye is short, and pressing a key during it helps nobody.
        let barge_in = if required {
            self.truth(table, "barge_in", true)
        } else {
            false
        };
        Prompt { pieces, barge_in }
    }

    fn pieces(&mut self, key: &str, value: &Spot<'_>) -> Vec<PromptPiece> {
        match value.get_ref() {
            DeValue::String(_) | DeValue::Table(_) => self.piece(key, value).into_iter().collect(),
            DeValue::Array(_) => {
                let entries = self.list(key, value);
                entries
                    .into_iter()
                    .filter_map(|entry| self.piece(key, entry))
                    .collect()
            }
            other @ (DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)) => {
                let message = format!(
                    "`{key}` is a prompt or a list of them, this is {}",
                    kind_of(other)
                );
                self.error("wrong-type", value.span(), message);
                Vec::new()
            }
        }
    }

    fn piece(&mut self, key: &str, value: &Spot<'_>) -> Option<PromptPiece> {
        if let DeValue::Table(_) = value.get_ref() {
            let mut table = self.table("a piece of a prompt".to_owned(), value)?;
            let silence = self.number(&mut table, "silence_ms", 0, 1..=60_000);
            let digits = table.get("digits");
            let place = table.place.clone();
            self.finish(table);
            let Some(digits) = digits else {
                if silence == 0 {
                    let message = "a piece is the name of a prompt, { silence_ms = 500 } or { digits = \"…\" }";
                    self.error("bad-value", place, message);
                    return None;
                }
                let ms = u32::try_from(silence).expect("it is within its range");
                return Some(PromptPiece::Fixed(Piece::Silence { ms }));
            };
            let expr = self.expr("digits", digits)?;
            if expr.kind() == Type::Truth {
                self.expect_kind(&expr, Type::Text, digits.span());
            }
            self.keep_secret(&expr, "spoken", digits.span());
            return Some(PromptPiece::Digits(expr));
        }
        let name = self.text(key, value)?;
        let odd = name.is_empty()
            || name.starts_with('/')
            || name
                .split('/')
                .any(|part| part.is_empty() || part == "." || part == "..")
            || name.chars().any(|c| c.is_control() || c == '\\');
        if odd || name.ends_with(".wav") {
            let message = format!("`{name}` is not the name of a prompt");
            self.error("bad-value", value.span(), message).remedy =
                Some("name the file below the prompt root without .wav: \"welcome/hello\"".into());
            return None;
        }
        if let Some(known) = &self.context.prompts
            && !known.contains(name)
        {
            let known = known.iter().map(String::as_str);
            self.unknown(("missing-prompt", "prompt"), value.span(), name, known);
        }
        Some(PromptPiece::Fixed(Piece::Prompt(name.to_owned())))
    }

    fn terminator(&mut self, table: &mut Table<'_, '_>, default: Option<char>) -> Option<char> {
        let Some(value) = table.get("terminator") else {
            return default;
        };
        let text = self.text("terminator", value)?;
        let mut keys = text.chars();
        match (keys.next(), keys.next()) {
            (None, _) => None,
            (Some(key), None) if is_key(key) => Some(key),
            _ => {
                let message = format!("`{text}` is not a key");
                self.error("bad-value", value.span(), message).remedy =
                    Some("write one of 0-9 * # A-D, or \"\" for none".to_owned());
                default
            }
        }
    }

    /// The options, and where one of them is the beginning of another.
    fn options(&mut self, t: &mut Table<'_, '_>) -> (Wanted, Option<Range<usize>>) {
        let mut options = BTreeMap::new();
        let mut places: Vec<(String, Range<usize>)> = Vec::new();
        let terminator = self.terminator(t, None);
        if let Some(value) = self.required(t, "options")
            && let Some(table) = self.table("`options`".to_owned(), value)
        {
            if table.entries.is_empty() || table.entries.len() > ENTRIES_MAX {
                let message = format!("a menu has 1 to {ENTRIES_MAX} options");
                self.error("too-many", value.span(), message);
            }
            for (digits, (key, value)) in table.entries {
                if digits.is_empty()
                    || digits.len() > OPTION_DIGITS_MAX
                    || !digits.chars().all(is_key)
                {
                    let message = format!("`{digits}` cannot be pressed as an option");
                    self.error("bad-value", key.span(), message).remedy = Some(format!(
                        "use 1 to {OPTION_DIGITS_MAX} of the keys 0-9 * # A-D"
                    ));
                }
                if terminator.is_some_and(|terminator| digits.contains(terminator)) {
                    let message = format!("`{digits}` is an option and has the terminator in it");
                    self.error("terminator-conflict", key.span(), message);
                }
                if let Some(to) = self.goto("options", value) {
                    options.insert(digits.to_owned(), to);
                }
                places.push((digits.to_owned(), key.span()));
            }
        }
        let ambiguous = places.iter().find(|(short, _)| {
            places
                .iter()
                .any(|(long, _)| long.len() > short.len() && long.starts_with(short))
        });
        let ambiguous = ambiguous.map(|(_, at)| at.clone());
        (
            Wanted::Option {
                options,
                terminator,
            },
            ambiguous,
        )
    }

    fn listening(&mut self, t: &mut Table<'_, '_>) -> Listening {
        let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
        Listening {
            timeout: self.duration(t, "timeout", 5 * second, (tenth, 60 * second)),
            inter_digit: self.duration(t, "inter_digit", 3 * second, (tenth, 30 * second)),
            no_input: self.handlers(t, "no_input"),
            no_match: self.handlers(t, "no_match"),
        }
    }

    fn handlers(&mut self, t: &mut Table<'_, '_>, key: &'static str) -> Vec<Handler> {
        let Some(value) = t.get(key) else {
            return Vec::new();
        };
        let mut handlers: Vec<Handler> = Vec::new();
        for entry in self.list(key, value) {
            let Some(mut table) = self.table(format!("an entry of `{key}`"), entry) else {
                continue;
            };
            let count = self.number(&mut table, "count", 1, 1..=20);
            let count = u8::try_from(count).expect("it is within its range");
            if handlers.iter().any(|handler| handler.count == count) {
                let message = format!("`{key}` has two entries for count {count}");
                self.error("duplicate-key", entry.span(), message);
            }
            let prompt = table.get("prompt");
            let pieces = prompt.map(|v| self.pieces("prompt", v)).unwrap_or_default();
            let goto = table.get("goto").and_then(|v| self.goto("goto", v));
            let reprompt = self.truth(&mut table, "reprompt", goto.is_none());
            if reprompt && goto.is_some() {
                let message = "an entry goes elsewhere or asks again, not both".to_owned();
                self.error("bad-value", entry.span(), message);
            }
            self.finish(table);
            handlers.push(Handler {
                count,
                pieces,
                reprompt,
                goto,
            });
        }
        handlers.sort_by_key(|handler| handler.count);
        handlers
    }

    fn dip(&mut self, t: &mut Table<'_, '_>, key: &'static str) -> Option<Dip> {
        let source = self.required(t, key).and_then(|value| {
            let text = self.text(key, value)?;
            if let Err(why) = text.parse::<model::Key>() {
                let message = format!("`{text}` is not the name of a data source: {why}");
                self.error("bad-value", value.span(), message);
                return None;
            }
            if let Some(known) = &self.context.sources
                && !known.contains(text)
            {
                let known = known.iter().map(String::as_str);
                self.unknown(("unknown-source", "data source"), value.span(), text, known);
            }
            Some(text.to_owned())
        });
        let sensitive = self.truth(t, "sensitive", false);
        let mut parameters = Vec::new();
        if let Some(value) = t.get("parameters")
            && let Some(table) = self.table("`parameters`".to_owned(), value)
        {
            for (name, (_, value)) in table.entries {
                let Some(expr) = self.expr(name, value) else {
                    continue;
                };
                if !sensitive {
                    self.keep_secret(&expr, "sent by a lookup not marked sensitive", value.span());
                }
                parameters.push((name.to_owned(), expr));
            }
        }
        let second = Duration::from_secs(1);
        let timeout = self.duration(t, "timeout", 3 * second, (second / 10, 30 * second));
        let retries = self.number(t, "retries", 0, 0..=i64::from(LOOKUP_RETRIES_MAX));
        let mut results = Vec::new();
        if let Some(value) = t.get("results")
            && let Some(table) = self.table("`results`".to_owned(), value)
        {
            for (field, (_, value)) in table.entries {
                let Some(name) = self.text(field, value) else {
                    continue;
                };
                if self.variables.contains_key(name) {
                    results.push((field.to_owned(), name.to_owned()));
                } else {
                    let names: Vec<String> = self.variables.keys().cloned().collect();
                    let names = names.iter().map(String::as_str);
                    self.unknown(("unknown-variable", "variable"), value.span(), name, names);
                }
            }
        }
        let retries = u8::try_from(retries).expect("it is within its range");
        Some(Dip {
            source: source?,
            parameters,
            timeout,
            retries,
            results,
            sensitive,
        })
    }

    fn read_actions(&mut self, value: &Spot<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        for entry in self.list("on_hangup", value) {
            let Some(mut table) = self.table("an action of `on_hangup`".to_owned(), entry) else {
                continue;
            };
            let set = table.get("set");
            if let Some(set) = set {
                let values = self.assignments(set);
                actions.push(Action::Set(values));
            } else {
                let at = table.place.clone();
                if let Some(dip) = self.dip(&mut table, "lookup") {
                    if dip.sensitive || !dip.results.is_empty() || dip.retries > 0 {
                        let message = "after the caller has gone nobody waits for an answer, and nothing sensitive is sent";
                        self.error("bad-value", at, message).remedy =
                            Some("leave out `results`, `retries` and `sensitive`".to_owned());
                    }
                    actions.push(Action::Notify(dip));
                }
            }
            self.finish(table);
        }
        actions
    }

    fn assignments(&mut self, value: &Spot<'_>) -> Vec<(String, Expr)> {
        let Some(table) = self.table("`set`".to_owned(), value) else {
            return Vec::new();
        };
        let mut values = Vec::new();
        for (name, (key, value)) in table.entries {
            let expr = self.expr(name, value);
            let Some(variable) = self.variables.get(name).cloned() else {
                let names: Vec<String> = self.variables.keys().cloned().collect();
                let names = names.iter().map(String::as_str);
                self.unknown(("unknown-variable", "variable"), key.span(), name, names);
                continue;
            };
            let Some(expr) = expr else { continue };
            self.expect_kind(&expr, variable.kind, value.span());
            if !variable.sensitive {
                self.keep_secret(&expr, &format!("copied to `{name}`"), value.span());
            }
            values.push((name.to_owned(), expr));
        }
        values
    }

    // Expressions.

    fn expr(&mut self, key: &str, value: &Spot<'_>) -> Option<Expr> {
        let text = match value.get_ref() {
            DeValue::Integer(_) | DeValue::Boolean(_) => self
                .constant(key, value)
                .map(|constant| constant.to_string())?,
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => self.text(key, value)?.to_owned(),
        };
        match Expr::parse(&text, &self.types) {
            Ok(expr) => Some(expr),
            Err(error) => {
                let span = value.span();
                // Only a string without escapes has its characters where the file has them.
                let inner = span.start + 1..span.end.saturating_sub(1).max(span.start + 1);
                let at = if self.source.get(inner.clone()) == Some(text.as_str()) {
                    let from = (inner.start + error.at.start).min(inner.end);
                    from..inner.start + error.at.end.max(error.at.start + 1)
                } else {
                    span
                };
                let remedy = match &error.why {
                    ExprProblem::UnknownVariable(name) => {
                        let near = nearest(name, self.types.keys().map(String::as_str));
                        Some(match near {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("a text needs quotes: '{name}'"),
                        })
                    }
                    ExprProblem::UnknownFunction(name) => Some(match nearest(name, FUNCTIONS) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("there are: {}", FUNCTIONS.join(", ")),
                    }),
                    ExprProblem::Unexpected(what) if what == "=" => {
                        Some("equality is written ==".to_owned())
                    }
                    ExprProblem::Incomplete
                    | ExprProblem::Unexpected(_)
                    | ExprProblem::OpenQuote
                    | ExprProblem::NumberTooLarge
                    | ExprProblem::WrongType { .. }
                    | ExprProblem::TooLong
                    | ExprProblem::TooDeep => None,
                };
                self.error("bad-expression", at, error.why.to_string())
                    .remedy = remedy;
                None
            }
        }
    }

    fn expect_kind(&mut self, expr: &Expr, kind: Type, at: Range<usize>) {
        if expr.kind() != kind {
            let message = format!(
                "this is a {}, a {} is needed",
                expr.kind().name(),
                kind.name()
            );
            self.error("wrong-type", at, message);
        }
    }

    fn keep_secret(&mut self, expr: &Expr, how: &str, at: Range<usize>) {
        let secret = expr.variables().iter().find(|name| {
            self.variables
                .get(*name)
                .is_some_and(|variable| variable.sensitive)
        });
        if let Some(name) = secret {
            let message = format!("the sensitive variable `{name}` is {how}");
            self.error("sensitive-leak", at, message);
        }
    }
}

fn depth(flow: &Flow) -> usize {
    let below = flow.nodes.iter().map(|node| match &node.kind {
        NodeKind::Flow { flow, .. } => depth(flow),
        NodeKind::Play { .. }
        | NodeKind::Menu { .. }
        | NodeKind::Collect { .. }
        | NodeKind::Branch { .. }
        | NodeKind::Set { .. }
        | NodeKind::OptOut { .. }
        | NodeKind::Hours { .. }
        | NodeKind::Lookup { .. }
        | NodeKind::Queue { .. }
        | NodeKind::HangUp { .. }
        | NodeKind::Return => 0,
    });
    1 + below.max().unwrap_or(0)
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `mon` or `mon-fri` as indices of [`DAYS`].
fn days_of(key: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let (from, to) = key.split_once('-').unwrap_or((key, key));
    let (from, to) = (day(from)?, day(to)?);
    (from <= to).then_some(from..=to)
}

fn duration_of(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..unit_at].parse().ok()?;
    let ms = match text[unit_at..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(ms)?))
}
