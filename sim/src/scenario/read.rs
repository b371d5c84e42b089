//! Reading a scenario file: what is wrong, in which line and column, and what to do.

use super::{Problem, Scenario};
use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Names further apart than this are not taken for slips of the keyboard.
const SLIPS_MAX: usize = 3;

/// Something wrong in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The file, as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line it is about.
    pub excerpt: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let gap = " ".repeat(self.line.to_string().len());
        writeln!(f, "{gap}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{gap} |")?;
        writeln!(f, "{} | {}", self.line, self.excerpt)?;
        let before = self.excerpt.chars().take(self.column.saturating_sub(1));
        let indent: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
        writeln!(f, "{gap} | {indent}^")?;
        write!(f, "{gap} = help: {}", self.remedy)
    }
}

impl Scenario {
    /// Reads a file's text; `file` is what it is called in what is said about it.
    ///
    /// # Errors
    /// Everything that is wrong with it: the first mistake of syntax or type, or all numbers that
    /// cannot stand.
    pub fn read(file: &str, text: &str) -> Result<Scenario, Vec<FileProblem>> {
        let at = |span: Range<usize>, message: String, remedy: String| {
            let start = span.start.min(text.len());
            let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
            FileProblem {
                file: file.into(),
                line: text[..start].matches('\n').count() + 1,
                column: text[line_start..start].chars().count() + 1,
                excerpt: text[line_start..].lines().next().unwrap_or("").into(),
                message,
                remedy,
            }
        };
        let scenario: Scenario = toml::from_str(text).map_err(|error| {
            let message = error.message().to_string();
            let remedy = remedy(&message);
            vec![at(error.span().unwrap_or(0..0), message, remedy)]
        })?;
        let problems = scenario.problems();
        if problems.is_empty() {
            return Ok(scenario);
        }
        let tree = DeTable::parse(text).ok();
        Err(problems
            .into_iter()
            .map(|problem| {
                let span = tree
                    .as_ref()
                    .and_then(|tree| place(tree.get_ref(), &problem.path));
                let Problem {
                    path,
                    message,
                    remedy,
                } = problem;
                at(span.unwrap_or(0..0), format!("{path}: {message}"), remedy)
            })
            .collect())
    }

    /// Another scenario: this one with fields as command lines set them, `talk = { mean_s = 90 }`.
    ///
    /// # Errors
    /// A field is no TOML, or no field of a scenario; in the words of [`Problem`].
    pub fn with(&self, fields: &[String]) -> Result<Scenario, Problem> {
        let mut table = toml::Table::try_from(self).map_err(|error| Problem {
            path: "seed".into(),
            message: error.to_string(),
            remedy: "use a seed below 9223372036854775808, as TOML has no larger number".into(),
        })?;
        let mut named = String::new();
        for field in fields {
            let set: toml::Table = toml::from_str(field).map_err(|error| Problem {
                path: field.clone(),
                message: error.message().to_string(),
                remedy: "write NAME=VALUE as in a scenario file; text in quotes".into(),
            })?;
            named = set.keys().cloned().collect::<Vec<_>>().join(", ");
            table.extend(set);
        }
        table.try_into().map_err(|error: toml::de::Error| Problem {
            path: named,
            message: error.message().to_string(),
            remedy: remedy(error.message()),
        })
    }
}

/// Where a field stands: its value; of what is missing, the table around it.
fn place(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let mut table = table;
    let mut found = None;
    for part in path.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some(value) = table.get(name) else {
            return found;
        };
        found = Some(value.span());
        let value = match (index, value.get_ref()) {
            (Some(index), DeValue::Array(array)) => {
                let value = array.get(index)?;
                found = Some(value.span());
                value.get_ref()
            }
            (_, value) => value,
        };
        match value {
            DeValue::Table(inner) => table = inner,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => return found,
        }
    }
    found
}

/// What to do about a mistake that the reader of TOML found.
fn remedy(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let wrong = quoted.next().unwrap_or("");
        let nearest = quoted
            .map(|known| (distance(wrong, known), known))
            .min()
            .filter(|(slips, _)| *slips <= SLIPS_MAX);
        return match nearest {
            Some((_, known)) => format!("did you mean `{known}`?"),
            None => "take it away, or use one of the names listed".into(),
        };
    }
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("add {field}");
    }
    "correct the value; docs/operations.md shows every field".into()
}

/// How many letters one name is from another (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j].min(row[j + 1]) + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_shown_with_the_right_one() {
        let problems = Scenario::read("a.toml", "hours = 2\nanswer_rat = 0.3\n").unwrap_err();
        let shown = problems[0].to_string();
        assert!(shown.contains("--> a.toml:2:1"), "{shown}");
        assert!(shown.contains("2 | answer_rat = 0.3"), "{shown}");
        assert!(
            shown.contains("= help: did you mean `answer_rate`?"),
            "{shown}"
        );
    }

    #[test]
    fn a_number_that_cannot_stand_is_shown_at_its_place() {
        let text = "agents = 5\n\n[[leave]]\nat_h = 1\nshare = 0.5\nfor_h = 1\n\n[[leave]]\nat_h = 2\nshare = 50\nfor_h = 1\n";
        let problems = Scenario::read("b.toml", text).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].line, problems[0].column), (10, 9));
        assert_eq!(problems[0].message, "leave[1].share: 50 is not from 0 to 1");
    }

    #[test]
    fn a_wrong_kind_and_a_torn_text_are_shown_at_their_place() {
        let problems = Scenario::read("c.toml", "answer_rate = \"high\"\n").unwrap_err();
        assert_eq!((problems[0].line, problems[0].column), (1, 15));
        assert!(problems[0].message.contains("a number, or steps"));
        let problems = Scenario::read("d.toml", "agents = 5\ntalk = { mean_s = 1\n").unwrap_err();
        assert!(problems[0].line >= 2, "{}", problems[0]);
    }

    #[test]
    fn fields_of_the_command_line_go_before_those_of_the_file() {
        let scenario = Scenario::read("e.toml", "agents = 5\nhours = 1.0").unwrap();
        let set = |field: &str| scenario.with(&[field.to_string()]);
        let other = set("talk = { mean_s = 90, shape = \"exponential\" }").unwrap();
        assert_eq!(other.talk, crate::scenario::Spread::exponential(90.0));
        assert_eq!((other.agents, other.hours), (5, 1.0));
        assert_eq!(
            set("agent = 3").unwrap_err().remedy,
            "did you mean `agents`?"
        );
        assert!(set("agents").is_err());
        assert_eq!(scenario.with(&[]).unwrap(), scenario);
    }
}
