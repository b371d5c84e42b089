//! One problem with its place, and the collecting of many.

use super::source::Source;
use serde::de::DeserializeOwned;
use std::fmt;

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
        writeln!(f, "  --> {}:{}:{}", self.file, self.line, self.column)?;
        let number = self.line.to_string();
        let gap = " ".repeat(number.len());
        writeln!(f, "{gap} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        writeln!(f, "{gap} | {}{}", " ".repeat(self.column.saturating_sub(1)), "^".repeat(self.width.max(1)))?;
        write!(f, "{gap} = help: {}", self.remedy)
    }
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub file: String,
    pub text: String,
}

/// Collects problems while files are read.
#[derive(Default)]
pub(super) struct Checked {
    problems: Vec<Problem>,
}

impl Checked {
    /// The text of a file; empty, with a problem, where it cannot be read.
    pub fn read(&mut self, source: &Source, file: &str) -> Text {
        match source.read(file) {
            Ok(text) => Text { file: source.display(file), text },
            Err(why) => {
                let text = Text { file: source.display(file), text: String::new() };
                self.say(&text, "", &format!("cannot be read: {why}"), "create it, or copy the one that ships with Tandem");
                text
            }
        }
    }

    /// The names of the files of a folder, without extension.
    pub fn list(&mut self, source: &Source, folder: &str, extension: &str) -> Vec<String> {
        source.list(folder, extension)
    }

    /// A name made of a file's name.
    pub fn name<T: std::str::FromStr<Err = model::KeyError>>(&mut self, text: &Text, name: &str) -> Option<T> {
        match name.parse() {
            Ok(id) => Some(id),
            Err(why) => {
                self.say(text, "", &format!("the file's name is no name: {why}"), "rename the file");
                None
            }
        }
    }

    /// What a file says; the default, with a problem, where it says something else.
    pub fn parse<T: DeserializeOwned + Default>(&mut self, text: &Text) -> T {
        self.try_parse(text).unwrap_or_default()
    }

    /// What a file says; none, with a problem, where it says something else.
    pub fn try_parse<T: DeserializeOwned>(&mut self, text: &Text) -> Option<T> {
        match toml::from_str(&text.text) {
            Ok(value) => Some(value),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let mut lines = error.message().lines();
                let message = lines.next().unwrap_or("not TOML").to_string();
                let remedy = match lines.next() {
                    Some(more) => more.to_string(),
                    None if message.starts_with("unknown field") => "remove it, or correct its name".to_string(),
                    None if message.starts_with("missing field") => "add it".to_string(),
                    None => "correct the value; `tandem check` reads it again".to_string(),
                };
                self.at(text, span, false, message, remedy);
                None
            }
        }
    }

    /// Something wrong at a key path such as `queues.sales.ring_timeout_ms`.
    pub fn say(&mut self, text: &Text, path: &str, message: &str, remedy: &str) {
        let span = span_of(&text.text, path);
        let message = if path.is_empty() { message.to_string() } else { format!("{path}: {message}") };
        self.at(text, span, false, message, remedy.to_string());
    }

    /// What was found in flows.
    pub fn diagnostics(&mut self, files: &[(String, String)], diagnostics: &[ivr::Diagnostic]) {
        for diagnostic in diagnostics {
            let text = files.iter().find(|(file, _)| *file == diagnostic.file).map_or("", |(_, text)| text);
            let text = Text { file: diagnostic.file.clone(), text: text.to_string() };
            let is_warning = diagnostic.severity == ivr::Severity::Warning;
            let message = format!("{} [{}]", diagnostic.message, diagnostic.code);
            let remedy = diagnostic.remedy.clone().unwrap_or_else(|| "docs/ivr.md says what a flow can be".to_string());
            self.at(&text, diagnostic.span.clone(), is_warning, message, remedy);
        }
    }

    /// The value, if nothing but warnings were found.
    pub fn finish<T>(self, value: T) -> Result<(T, Vec<Problem>), super::Rejected> {
        if self.problems.iter().any(|problem| !problem.is_warning) {
            return Err(super::Rejected { problems: self.problems });
        }
        Ok((value, self.problems))
    }

    fn at(&mut self, text: &Text, span: std::ops::Range<usize>, is_warning: bool, message: String, remedy: String) {
        let start = floor_boundary(&text.text, span.start);
        let end = floor_boundary(&text.text, span.end.max(start));
        let line_start = text.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text.text[start..].find('\n').map_or(text.text.len(), |at| start + at);
        self.problems.push(Problem {
            file: text.file.clone(),
            line: text.text[..start].matches('\n').count() + 1,
            column: text.text[line_start..start].chars().count() + 1,
            is_warning,
            message,
            remedy,
            excerpt: text.text[line_start..line_end].to_string(),
            width: text.text[start..end.min(line_end)].chars().count().max(1),
        });
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where a key path is written; as much of the path as is there.
fn span_of(text: &str, path: &str) -> std::ops::Range<usize> {
    let (root, _) = toml::de::DeTable::parse_recoverable(text);
    let mut found = 0..0;
    let mut keys = path.split('.').filter(|key| !key.is_empty()).peekable();
    let Some(mut value) = keys.next().and_then(|key| {
        let (key, value) = root.get_ref().iter().find(|(k, _)| k.get_ref() == key)?;
        found = key.span();
        Some(value)
    }) else {
        return found;
    };
    for key in keys {
        let next = match (value.get_ref(), key.parse::<usize>()) {
            (toml::de::DeValue::Table(table), _) => {
                table.iter().find(|(k, _)| k.get_ref() == key).map(|(key, value)| (key.span(), value))
            }
            (toml::de::DeValue::Array(array), Ok(index)) => array.get(index).map(|value| (value.span(), value)),
            _ => None,
        };
        let Some((span, inner)) = next else { break };
        found = span;
        value = inner;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_path_is_found_where_it_is_written() {
        let text = "[queues.sales]\nring_timeout_ms = 5\n";
        assert_eq!(&text[span_of(text, "queues.sales.ring_timeout_ms")], "ring_timeout_ms");
        assert_eq!(&text[span_of(text, "queues.sales.nothing")], "sales");
        assert_eq!(span_of(text, "nothing"), 0..0);
    }

    #[test]
    fn a_problem_shows_its_line_with_a_caret() {
        let mut checked = Checked::default();
        let text = Text { file: "queues.toml".into(), text: "[queues.sales]\nring = 5\n".into() };
        checked.say(&text, "queues.sales.ring", "too short", "ring longer");
        let shown = checked.problems[0].to_string();
        assert!(shown.contains("queues.toml:2:1"), "{shown}");
        assert!(shown.contains("2 | ring = 5\n  | ^^^^"), "{shown}");
    }
}
