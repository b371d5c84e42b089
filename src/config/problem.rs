//! One problem with its place, and the collecting of many.

use super::source::Source;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use toml::de::{DeArray, DeTable, DeValue};

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file, as the operator knows it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Whether the configuration still works.
    pub is_warning: bool,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// The line it is about.
    pub excerpt: String,
    /// How much of the line it is about, in characters.
    pub width: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_warning { "warning" } else { "error" };
        writeln!(f, "{kind}: {}", self.message)?;
        let number = self.line.to_string();
        let gap = " ".repeat(number.len());
        writeln!(f, "{gap}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{gap} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        // A tab before the caret stays a tab below it, so that both rows are shifted alike.
        let before = self.excerpt.chars().take(self.column.saturating_sub(1));
        let indent: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
        writeln!(f, "{gap} | {indent}{}", "^".repeat(self.width.max(1)))?;
        write!(f, "{gap} = help: {}", self.remedy)
    }
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub file: String,
    pub text: String,
}

/// Problems of one file that are looked for beyond the first: more than this is another file's text.
const PROBLEMS_PER_FILE_MAX: usize = 50;

/// Collects problems while files are read.
#[derive(Default)]
pub(super) struct Checked {
    problems: Vec<Problem>,
    /// Files of which something could not be read: what they lack is nobody else's mistake.
    torn: BTreeSet<String>,
}

impl Checked {
    /// The text of a file; empty, with a problem, where it cannot be read.
    pub fn read(&mut self, source: &Source, file: &str) -> Text {
        match source.read(file) {
            Ok(text) => Text {
                file: source.display(file),
                text,
            },
            Err(why) => {
                let text = Text {
                    file: source.display(file),
                    text: String::new(),
                };
                self.torn.insert(text.file.clone());
                self.say(
                    &text,
                    "",
                    &format!("cannot be read: {why}"),
                    "create it, or copy the one that ships with Tandem",
                );
                text
            }
        }
    }

    /// A name made of a file's name.
    pub fn name<T: std::str::FromStr<Err = model::KeyError>>(
        &mut self,
        text: &Text,
        name: &str,
    ) -> Option<T> {
        match name.parse() {
            Ok(id) => Some(id),
            Err(why) => {
                self.say(
                    text,
                    "",
                    &format!("the file's name is no name: {why}"),
                    "rename the file",
                );
                None
            }
        }
    }

    /// Whether all of a file could be read.
    pub fn is_whole(&self, text: &Text) -> bool {
        !self.torn.contains(&text.file)
    }

    /// Whether all of every file could be read.
    pub fn is_all_whole(&self) -> bool {
        self.torn.is_empty()
    }

    /// What a file says; the default, with a problem, where it says something else.
    pub fn parse<T: DeserializeOwned + Default>(&mut self, text: &Text) -> T {
        self.try_parse(text).unwrap_or_default()
    }

    /// What a file says, with a problem for everything in it that does not fit; none where nothing is
    /// left. A value that does not fit is taken out, so that the next one is found as well.
    pub fn try_parse<T: DeserializeOwned>(&mut self, text: &Text) -> Option<T> {
        let (mut root, errors) = DeTable::parse_recoverable(&text.text);
        for error in &errors {
            self.refuse(text, error);
        }
        if !errors.is_empty() {
            return None;
        }
        for _ in 0..PROBLEMS_PER_FILE_MAX {
            let error = match T::deserialize(toml::Deserializer::from(root.clone())) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            self.refuse(text, &error);
            if !error
                .span()
                .is_some_and(|span| prune(root.get_mut(), &span))
            {
                return None;
            }
        }
        None
    }

    /// A problem that the reader of TOML found.
    fn refuse(&mut self, text: &Text, error: &toml::de::Error) {
        self.torn.insert(text.file.clone());
        let mut lines = error.message().lines();
        let first = lines.next().unwrap_or("not TOML");
        let (message, remedy) = match first.strip_prefix("unknown field ") {
            Some(rest) => {
                let (name, known) = rest.split_once(", expected ").unwrap_or((rest, ""));
                let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
                let name = name.trim_matches('`');
                let remedy = match nearest(name, &known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "remove it".to_string(),
                    None => format!("the keys here are: {}", known.join(", ")),
                };
                (format!("there is no key `{name}`"), remedy)
            }
            None if first.starts_with("missing field ") => (
                first.replace("missing field", "there is no"),
                "add it".to_string(),
            ),
            None => {
                let more: Vec<&str> = lines.collect();
                let remedy = match more.is_empty() {
                    true => "write the value as docs/configuration.md says".to_string(),
                    false => more.join("; "),
                };
                (first.to_string(), remedy)
            }
        };
        self.at(text, error.span().unwrap_or(0..0), false, message, remedy);
    }

    /// Something that works, and may not be what was meant.
    pub fn warn(&mut self, text: &Text, path: &str, message: &str, remedy: &str) {
        self.at(
            text,
            span_of(&text.text, path),
            true,
            format!("{path}: {message}"),
            remedy.to_string(),
        );
    }

    /// Something wrong at a key path such as `queues.sales.ring_timeout_ms`.
    pub fn say(&mut self, text: &Text, path: &str, message: &str, remedy: &str) {
        let span = span_of(&text.text, path);
        let message = if path.is_empty() {
            message.to_string()
        } else {
            format!("{path}: {message}")
        };
        self.at(text, span, false, message, remedy.to_string());
    }

    /// Something wrong within the text that stands at a key path, at these bytes of it.
    pub fn say_in(
        &mut self,
        text: &Text,
        path: &str,
        within: &Range<usize>,
        message: &str,
        remedy: &str,
    ) {
        let span = match value_span_of(&text.text, path) {
            Some(value) => span_within(&text.text, value, within),
            None => span_of(&text.text, path),
        };
        self.at(
            text,
            span,
            false,
            format!("{path}: {message}"),
            remedy.to_string(),
        );
    }

    /// What was found in flows.
    pub fn diagnostics(&mut self, files: &[(String, String)], diagnostics: &[ivr::Diagnostic]) {
        for diagnostic in diagnostics {
            let text = files
                .iter()
                .find(|(file, _)| *file == diagnostic.file)
                .map_or("", |(_, text)| text);
            let text = Text {
                file: diagnostic.file.clone(),
                text: text.to_string(),
            };
            let is_warning = diagnostic.severity == ivr::Severity::Warning;
            let message = format!("{} [{}]", diagnostic.message, diagnostic.code);
            let remedy = diagnostic
                .remedy
                .clone()
                .unwrap_or_else(|| "docs/ivr.md says what a flow can be".to_string());
            self.at(&text, diagnostic.span.clone(), is_warning, message, remedy);
        }
    }

    /// The value, if nothing but warnings were found.
    pub fn finish<T>(self, value: T) -> Result<(T, Vec<Problem>), super::Rejected> {
        if self.problems.iter().any(|problem| !problem.is_warning) {
            return Err(super::Rejected {
                problems: self.problems,
            });
        }
        Ok((value, self.problems))
    }

    fn at(
        &mut self,
        text: &Text,
        span: Range<usize>,
        is_warning: bool,
        message: String,
        remedy: String,
    ) {
        let start = floor_boundary(&text.text, span.start);
        let end = floor_boundary(&text.text, span.end.max(start));
        let line_start = text.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text.text[start..]
            .find('\n')
            .map_or(text.text.len(), |at| start + at);
        self.problems.push(Problem {
            file: text.file.clone(),
            line: text.text[..start].matches('\n').count() + 1,
            column: text.text[line_start..start].chars().count() + 1,
            is_warning,
            message,
            remedy,
            excerpt: without_password(&text.text[line_start..line_end]),
            width: text.text[start..end.min(line_end)].chars().count().max(1),
        });
    }
}

/// A line as it is shown: what is checked in a pipeline ends up in its log.
fn without_password(line: &str) -> String {
    let after =
        |at: usize| line[at + "password".len()..].trim_start_matches(['"', '\'', ' ', '\t']);
    match line
        .match_indices("password")
        .find(|(at, _)| after(*at).starts_with('='))
    {
        Some((at, _)) => format!("{}password = …", &line[..at]),
        None => line.to_string(),
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where a key path such as `queues.sales.rings[0].after_ms` is written; as much of it as is there.
fn span_of(text: &str, path: &str) -> Range<usize> {
    let (root, _) = DeTable::parse_recoverable(text);
    let path = path.replace('[', ".").replace(']', "");
    let keys: Vec<&str> = path.split('.').filter(|key| !key.is_empty()).collect();
    span_in(root.get_ref(), &keys).unwrap_or(0..0)
}

/// Where the value at a key path is written, quotes included.
fn value_span_of(text: &str, path: &str) -> Option<Range<usize>> {
    let (root, _) = DeTable::parse_recoverable(text);
    let path = path.replace('[', ".").replace(']', "");
    let mut keys = path.split('.').filter(|key| !key.is_empty());
    let mut value = root.get_ref().get(keys.next()?)?;
    for key in keys {
        value = match value.get_ref() {
            DeValue::Table(inner) => inner.get(key)?,
            DeValue::Array(list) => list.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value.span())
}

/// Where bytes of a text are written: behind its opening quote, each escape for what it stands for.
fn span_within(text: &str, value: Range<usize>, within: &Range<usize>) -> Range<usize> {
    let raw = &text[value.clone()];
    let is_long = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let mut at = if is_long { 3 } else { 1 };
    if is_long {
        let rest = raw.get(at..).unwrap_or("");
        at += rest.len()
            - rest
                .strip_prefix("\r\n")
                .or(rest.strip_prefix('\n'))
                .unwrap_or(rest)
                .len();
    }
    let has_escapes = raw.starts_with('"');
    let (mut read, mut start, mut end) = (0, None, None);
    loop {
        if read >= within.start {
            start.get_or_insert(at);
        }
        if read >= within.end {
            end.get_or_insert(at);
        }
        let Some(c) = raw.get(at..).and_then(|rest| rest.chars().next()) else {
            break;
        };
        let (written, means) = match raw.as_bytes().get(at + 1) {
            Some(b'u') if c == '\\' && has_escapes => (6, 1),
            Some(b'U') if c == '\\' && has_escapes => (10, 1),
            Some(_) if c == '\\' && has_escapes => (2, 1),
            Some(_) | None => (c.len_utf8(), c.len_utf8()),
        };
        at += written;
        read += means;
    }
    let last = raw.len().saturating_sub(1);
    let (start, end) = (
        start.unwrap_or(last).min(last),
        end.unwrap_or(last).min(last),
    );
    value.start + start..value.start + end.max(start)
}

/// The names of things may have dots in them: as many segments as make a key are one.
fn span_in(table: &DeTable<'_>, keys: &[&str]) -> Option<Range<usize>> {
    (1..=keys.len()).rev().find_map(|n| {
        let name = keys[..n].join(".");
        let (key, value) = table
            .iter()
            .find(|(key, _)| key.get_ref().as_ref() == name)?;
        let rest = &keys[n..];
        let deeper = match (
            value.get_ref(),
            rest.first().and_then(|index| index.parse::<usize>().ok()),
        ) {
            (DeValue::Table(inner), _) => span_in(inner, rest),
            (DeValue::Array(list), Some(index)) => {
                list.get(index).map(|item| match item.get_ref() {
                    DeValue::Table(inner) => span_in(inner, &rest[1..]).unwrap_or(item.span()),
                    _ => item.span(),
                })
            }
            _ => None,
        };
        Some(deeper.unwrap_or(key.span()))
    })
}

/// Takes the innermost entry out that covers `span`; false where none does.
fn prune(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let covers = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (_, value) in table.iter_mut() {
        let is_pruned = match value.get_mut() {
            DeValue::Table(inner) => prune(inner, span),
            DeValue::Array(list) => prune_list(list, span),
            _ => false,
        };
        if is_pruned {
            return true;
        }
    }
    let found = table
        .iter()
        .find(|(key, value)| covers(key.span()) || covers(value.span()));
    let Some(key) = found.map(|(key, _)| key.get_ref().to_string()) else {
        return false;
    };
    table.remove(key.as_str()).is_some()
}

fn prune_list(list: &mut DeArray<'_>, span: &Range<usize>) -> bool {
    // An element goes as a whole: half a route is no route.
    let covers = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let within = |item: &toml::Spanned<DeValue<'_>>| {
        let mut probe = item.clone();
        let is_inside = match probe.get_mut() {
            DeValue::Table(inner) => prune(inner, span),
            _ => false,
        };
        is_inside || covers(item.span())
    };
    let Some(index) = list.iter().position(within) else {
        return false;
    };
    let mut rest = DeArray::new();
    for item in list.iter().take(index).chain(list.iter().skip(index + 1)) {
        rest.push(item.clone());
    }
    *list = rest;
    true
}

/// The name that was probably meant: a typing slip or two away, or longer by a unit.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let extends = |name: &&&str| name.starts_with(word) || word.starts_with(**name);
    let near = known.iter().map(|name| (slips(word, name), *name)).min();
    let bound = word.chars().count().div_ceil(3);
    near.filter(|(slips, _)| *slips <= bound)
        .map(|(_, name)| name)
        .or_else(|| known.iter().find(extends).copied())
}

/// Letters to insert, remove or change to make one of the other.
fn slips(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let cost = (diagonal + usize::from(a != *b))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_path_is_found_where_it_is_written() {
        let text = "[queues.sales]\nring_timeout_ms = 5\n";
        assert_eq!(
            &text[span_of(text, "queues.sales.ring_timeout_ms")],
            "ring_timeout_ms"
        );
        assert_eq!(&text[span_of(text, "queues.sales.nothing")], "sales");
        assert_eq!(span_of(text, "nothing"), 0..0);
        let text =
            "[[route]]\nflow = 'x'\n[queues.'a.b']\nrings = [{ after_ms = 1 }, { after_ms = 0 }]\n";
        assert_eq!(&text[span_of(text, "route.0.flow")], "flow");
        let second = span_of(text, "queues.a.b.rings[1].after_ms");
        assert_eq!(
            (&text[second.clone()], second.start),
            ("after_ms", text.rfind("after_ms").unwrap())
        );
    }

    #[test]
    fn every_value_that_does_not_fit_is_found() {
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct File {
            one: u32,
            two: std::collections::BTreeMap<String, File>,
            list: Vec<File>,
        }
        let mut checked = Checked::default();
        let text = "onee = 1\n[two.a]\none = 'x'\n[two.b]\none = 5\nthree = 1\n[[list]]\none = 1\n[[list]]\nsix = 1\n";
        let text = Text {
            file: "x.toml".into(),
            text: text.into(),
        };
        let file: File = checked.parse(&text);
        let mut places: Vec<(usize, usize)> = checked
            .problems
            .iter()
            .map(|p| (p.line, p.column))
            .collect();
        places.sort_unstable();
        assert_eq!(
            places,
            [(1, 1), (3, 7), (6, 1), (10, 1)],
            "{:#?}",
            checked.problems
        );
        assert_eq!((file.two["b"].one, file.list.len(), file.one), (5, 1, 0));
        assert!(!checked.is_whole(&text));
        let slip = checked.problems.iter().find(|p| p.line == 1).unwrap();
        assert_eq!(slip.remedy, "did you mean `one`?");
    }

    #[test]
    fn a_problem_shows_its_line_with_a_caret() {
        let mut checked = Checked::default();
        let text = Text {
            file: "queues.toml".into(),
            text: "[queues.sales]\nring = 5\n".into(),
        };
        checked.say(&text, "queues.sales.ring", "too short", "ring longer");
        let shown = checked.problems[0].to_string();
        assert!(shown.contains("queues.toml:2:1"), "{shown}");
        assert!(shown.contains("2 | ring = 5\n  | ^^^^"), "{shown}");
    }
}
