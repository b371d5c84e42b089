//! What is wrong with a flow, and where: one [`Diagnostic`] per finding, shown with carets or as JSON.
//!
//! A diagnostic knows its place as a byte range, and as line and column. It never holds a value a
//! caller entered: a flow is checked before there is a caller.

use serde::Serialize;
use std::fmt::Write as _;
use std::ops::Range;

/// Whether a finding keeps the flow from going live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The flow cannot go live.
    Error,
    /// The flow works, but a caller or an operator may come to regret it.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable name of the rule: `unknown-node`, `missing-key`, …
    pub code: &'static str,
    /// Whether it keeps the flow from going live.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file it is in, as given to the check.
    pub file: String,
    /// Where, in bytes of the file. Within the file even where the finding is about its end.
    pub span: Range<usize>,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first character, from 1, in characters.
    pub column: u32,
    /// What to do about it: «did you mean `sales`?».
    pub remedy: Option<String>,
}

/// Longest row of source shown under a finding, in characters; a row beyond it is cut around the carets.
const ROW_CHARACTERS_MAX: usize = 160;

impl Diagnostic {
    /// A finding at `span` of `source`. A span outside the source is moved into it.
    pub fn new(
        code: &'static str,
        severity: Severity,
        file: &str,
        source: &str,
        span: Range<usize>,
        message: String,
    ) -> Diagnostic {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end.max(start)).max(start);
        let row_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = source[..start].matches('\n').count() + 1;
        let column = source[row_start..start].chars().count() + 1;
        Diagnostic {
            code,
            severity,
            message,
            file: file.to_owned(),
            span: start..end,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            remedy: None,
        }
    }

    /// The same finding with advice.
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Diagnostic {
        self.remedy = Some(remedy.into());
        self
    }

    /// The finding as plain text with the row of `source` it is about and carets below the place.
    ///
    /// Shows only the message where `source` is not the text that was checked.
    pub fn render(&self, source: &str) -> String {
        let mut text = format!(
            "{}[{}]: {}\n",
            self.severity.name(),
            self.code,
            self.message
        );
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        put(
            &mut text,
            format_args!("{gutter}--> {}:{}:{}\n", self.file, self.line, self.column),
        );
        let row = source.lines().nth(self.line as usize - 1).unwrap_or("");
        let (row, before) = cut_around(row, self.column as usize - 1);
        let width = source.get(self.span.clone()).map_or(1, |at| {
            at.lines().next().unwrap_or("").trim_end().chars().count()
        });
        let width = width.clamp(1, row.chars().count().saturating_sub(before).max(1));
        // A tab before the carets stays a tab below it, so that both rows are shifted alike.
        let indent: String = row
            .chars()
            .take(before)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        put(&mut text, format_args!("{gutter} |\n{number} | {row}\n"));
        put(
            &mut text,
            format_args!("{gutter} | {indent}{}\n", "^".repeat(width)),
        );
        if let Some(remedy) = &self.remedy {
            put(&mut text, format_args!("{gutter} = help: {remedy}\n"));
        }
        text
    }

    /// The finding as one JSON object.
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        for (name, value) in [
            ("code", self.code),
            ("severity", self.severity.name()),
            ("message", &self.message),
            ("file", &self.file),
        ] {
            put(&mut json, format_args!("\"{name}\":"));
            quote(&mut json, value);
            json.push(',');
        }
        put(
            &mut json,
            format_args!(
                "\"start\":{},\"end\":{},\"line\":{},\"column\":{},\"remedy\":",
                self.span.start, self.span.end, self.line, self.column
            ),
        );
        match &self.remedy {
            Some(remedy) => quote(&mut json, remedy),
            None => json.push_str("null"),
        }
        json.push('}');
        json
    }
}

/// All findings as one JSON array.
pub fn to_json(diagnostics: &[Diagnostic]) -> String {
    let objects: Vec<String> = diagnostics.iter().map(Diagnostic::to_json).collect();
    format!("[{}]", objects.join(","))
}

fn put(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece)
        .expect("writing to a string cannot fail");
}

/// A JSON string (RFC 8259 §7).
fn quote(json: &mut String, value: &str) {
    json.push('"');
    for c in value.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            c if u32::from(c) < 0x20 => put(json, format_args!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
}

fn floor_boundary(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The part of a row that is shown, and how many of its characters stand before the place.
fn cut_around(row: &str, before: usize) -> (String, usize) {
    let skipped = before.saturating_sub(ROW_CHARACTERS_MAX / 2);
    (
        row.chars().skip(skipped).take(ROW_CHARACTERS_MAX).collect(),
        before - skipped,
    )
}

/// The candidate a typing slip away from `word`: at most a third of its letters differ.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Longer words are names nobody mistypes by a letter; comparing them costs the square.
    const WORD_BYTES_MAX: usize = 64;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_below_the_place_also_behind_tabs_and_umlauts() {
        let source = "a = 1\n\tgrüße = \"salez\"\n";
        let at = source.find("\"salez\"").unwrap();
        let finding = Diagnostic::new(
            "unknown-node",
            Severity::Error,
            "a.toml",
            source,
            at..at + 7,
            "there is no node `salez`".to_owned(),
        )
        .with_remedy("did you mean `sales`?");
        assert_eq!(
            finding.render(source),
            "error[unknown-node]: there is no node `salez`\n --> a.toml:2:10\n  |\n2 | \tgrüße = \"salez\"\n  \
             | \t        ^^^^^^^\n  = help: did you mean `sales`?\n"
        );
        assert_eq!(
            finding.to_json(),
            "{\"code\":\"unknown-node\",\"severity\":\"error\",\"message\":\"there is no node `salez`\",\
             \"file\":\"a.toml\",\"start\":17,\"end\":24,\"line\":2,\"column\":10,\
             \"remedy\":\"did you mean `sales`?\"}"
        );
    }

    #[test]
    fn a_place_outside_the_text_is_moved_into_it() {
        let finding = Diagnostic::new("x", Severity::Warning, "f", "ä", 1..99, String::new());
        assert_eq!(finding.span, 0..2);
        assert!(finding.render("").contains("^"));
    }

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        assert_eq!(nearest("slaes", ["sales", "support"]), Some("sales"));
        assert_eq!(nearest("billing", ["sales", "support"]), None);
    }
}
