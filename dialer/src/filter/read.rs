//! Reading a filter: marks first, then one function per level of the grammar. Every mistake has its
//! place and a remedy.
//!
//! ```text
//! any    = all { "or" all }
//! all    = one { "and" one }
//! one    = "not" one | "(" any ")" | word [ test ]
//! test   = ("=" | "!=" | "<" | "<=" | ">" | ">=") value | ["not"] "in" "(" value { "," value } ")"
//!        | "is" ["not"] "empty" | "starts" "with" text
//! value  = "text" | 250 | -1.5 | 2026-01-31 | yes | no
//! ```

use super::{
    FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FilterError, Kind, Known, Node, Order, Test, Word,
};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::ops::Range;

/// Digits before and behind the point: as many as a number keeps exactly.
const DIGITS_MAX: usize = 15;
/// Words that are no columns, unless they stand in backticks.
const RESERVED: [&str; 12] = [
    "and", "or", "not", "in", "is", "empty", "starts", "with", "yes", "no", "true", "false",
];

/// Whether a column's name needs no backticks.
pub(super) fn is_plain(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(is_word)
        && !RESERVED.contains(&name.to_ascii_lowercase().as_str())
        && Known::ALL.iter().all(|known| known.name() != name)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Debug, PartialEq)]
enum Mark {
    Word(String),
    /// A column in backticks.
    Column(String),
    Text(String),
    Number(f64),
    Day(Date),
    Sign(&'static str),
    End,
}

type Read<T> = Result<T, FilterError>;

fn mistake<T>(at: Range<usize>, message: impl Into<String>, remedy: impl Into<String>) -> Read<T> {
    Err(FilterError {
        at,
        message: message.into(),
        remedy: remedy.into(),
    })
}

pub(super) fn read(text: &str) -> Read<Node> {
    if text.len() > FILTER_BYTES_MAX {
        return mistake(
            0..0,
            format!("longer than {FILTER_BYTES_MAX} bytes"),
            "put what decides into a column of the list, and ask for that",
        );
    }
    let mut reader = Reader {
        marks: marks(text)?,
        at: 0,
        depth: 0,
        kinds: BTreeMap::new(),
    };
    let node = reader.any()?;
    match reader.peek() {
        (Mark::End, _) => Ok(node),
        (Mark::Sign(")"), at) => mistake(at, "there is no ( for this", "remove it"),
        (_, at) => mistake(
            at,
            "here the filter should end",
            "join the parts by and, or by or",
        ),
    }
}

fn marks(text: &str) -> Read<Vec<(Mark, Range<usize>)>> {
    const SIGNS: [&str; 9] = ["<=", ">=", "!=", "=", "<", ">", "(", ")", ","];
    let mut marks = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (mark, length) = if first == '"' || first == '`' {
            closed(rest, first, at)?
        } else if first.is_ascii_digit() || first == '-' {
            figure(rest, at)?
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Mark::Word(rest[..length].to_string()), length)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            if rest.starts_with("==") {
                return mistake(at..at + 2, "no such sign", "write a single =");
            }
            (Mark::Sign(sign), sign.len())
        } else {
            let remedy = match first {
                '\'' => "write a text in double quotes, as in \"NY\"",
                '&' => "write and",
                '|' => "write or",
                '!' => "write not, or !=",
                _ => "docs/lists.md says how a filter is written",
            };
            return mistake(
                at..at + first.len_utf8(),
                format!("{first:?} means nothing here"),
                remedy,
            );
        };
        marks.push((mark, at..at + length));
        at += length;
    }
    marks.push((Mark::End, text.len()..text.len()));
    Ok(marks)
}

/// A text or a column's name with its closing quote.
fn closed(rest: &str, quote: char, at: usize) -> Read<(Mark, usize)> {
    let mut value = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((index, c)) = letters.next() {
        match c {
            '\\' if quote == '"' => match letters.next() {
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                Some((next, c)) => {
                    return mistake(
                        at + index..at + next + c.len_utf8(),
                        "only \\\" and \\\\ are written with a backslash",
                        "write two backslashes for one",
                    );
                }
                None => break,
            },
            c if c == quote => {
                let length = index + c.len_utf8();
                if quote == '"' {
                    return Ok((Mark::Text(value), length));
                }
                if value.is_empty() {
                    return mistake(at..at + length, "a column without a name", "name it");
                }
                return Ok((Mark::Column(value), length));
            }
            c => value.push(c),
        }
    }
    mistake(
        at..at + rest.len(),
        format!("this {quote} is not closed"),
        format!("add {quote} at the end"),
    )
}

/// A number or a day.
fn figure(rest: &str, at: usize) -> Read<(Mark, usize)> {
    let length = rest
        .find(|c: char| !(is_word(c) || c == '.' || c == '-'))
        .unwrap_or(rest.len());
    let written = &rest[..length];
    let place = at..at + length;
    let is_day = written.len() == 10 && written.as_bytes()[4] == b'-';
    if is_day {
        return match written.parse::<Date>() {
            Ok(day) => Ok((Mark::Day(day), length)),
            Err(_) => mistake(
                place,
                format!("{written} is no day"),
                "write a day of the calendar, as in 2026-01-31",
            ),
        };
    }
    let digits = written.strip_prefix('-').unwrap_or(written);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| {
        (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    match written.parse::<f64>() {
        Ok(number) if is_digits(whole) && is_digits(part) => Ok((Mark::Number(number), length)),
        Ok(_) | Err(_) => mistake(
            place,
            format!("{written} is neither a number nor a day"),
            "write 250, 2.5 or 2026-01-31; a text is in double quotes",
        ),
    }
}

/// One literal.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Day(Date),
    YesNo(bool),
}

impl Value {
    fn kind(&self) -> Kind {
        match self {
            Value::Text(_) => Kind::Text,
            Value::Number(_) => Kind::Number,
            Value::Day(_) => Kind::Day,
            Value::YesNo(_) => Kind::YesNo,
        }
    }
}

struct Reader {
    marks: Vec<(Mark, Range<usize>)>,
    at: usize,
    depth: usize,
    /// What each column was used as before.
    kinds: BTreeMap<String, Kind>,
}

impl Reader {
    fn peek(&self) -> (Mark, Range<usize>) {
        self.marks[self.at].clone()
    }

    fn next(&mut self) -> (Mark, Range<usize>) {
        let mark = self.peek();
        self.at = (self.at + 1).min(self.marks.len() - 1);
        mark
    }

    fn is_next(&self, word: &str) -> bool {
        match &self.marks[self.at].0 {
            Mark::Word(next) => next.eq_ignore_ascii_case(word),
            Mark::Sign(sign) => *sign == word,
            Mark::Column(_) | Mark::Text(_) | Mark::Number(_) | Mark::Day(_) | Mark::End => false,
        }
    }

    fn skips(&mut self, word: &str) -> bool {
        let is_there = self.is_next(word);
        if is_there {
            self.next();
        }
        is_there
    }

    fn expect(&mut self, word: &str, remedy: &str) -> Read<()> {
        match self.skips(word) {
            true => Ok(()),
            false => mistake(self.peek().1, format!("here should stand {word}"), remedy),
        }
    }

    fn any(&mut self) -> Read<Node> {
        let mut parts = vec![self.all()?];
        while self.skips("or") {
            parts.push(self.all()?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Node::Or(parts),
        })
    }

    fn all(&mut self) -> Read<Node> {
        let mut parts = vec![self.one()?];
        while self.skips("and") {
            parts.push(self.one()?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Node::And(parts),
        })
    }

    fn one(&mut self) -> Read<Node> {
        if !self.is_next("not") && !self.is_next("(") {
            return self.comparison();
        }
        let (_, at) = self.peek();
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return mistake(
                at,
                format!("more than {FILTER_DEPTH_MAX} parts within one another"),
                "write it flatter, or put what decides into a column",
            );
        }
        let node = if self.skips("not") {
            Node::Not(Box::new(self.one()?))
        } else {
            self.next();
            let node = self.any()?;
            self.expect(")", "close the parenthesis")?;
            node
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Read<Node> {
        let (mark, at) = self.next();
        let word = match mark {
            Mark::Word(name) if RESERVED.contains(&name.to_ascii_lowercase().as_str()) => {
                return mistake(
                    at,
                    format!("{name} is no column"),
                    format!("write `{name}` in backticks, if it is one"),
                );
            }
            Mark::Word(name) => match Known::ALL.into_iter().find(|known| known.name() == name) {
                Some(known) => Word::Known(known),
                None => Word::Column(name),
            },
            Mark::Column(name) => Word::Column(name),
            Mark::Text(_) | Mark::Number(_) | Mark::Day(_) => {
                let remedy = "write the column first, as in balance >= 250";
                return mistake(at, "a comparison begins with a column", remedy);
            }
            Mark::Sign(_) | Mark::End => {
                let remedy = "write one, as in state = \"NY\"";
                return mistake(at, "here should stand a comparison", remedy);
            }
        };
        let (test, is_opposite) = self.test(&word)?;
        self.check_kind(&word, &test, &at)?;
        let node = Node::Is { word, test, at };
        Ok(match is_opposite {
            true => Node::Not(Box::new(node)),
            false => node,
        })
    }

    /// What is asked of the word, and whether the opposite is meant.
    fn test(&mut self, word: &Word) -> Read<(Test, bool)> {
        if self.skips("is") {
            let is_opposite = self.skips("not");
            let remedy = "write is empty, or is not empty; = compares";
            self.expect("empty", remedy)?;
            return Ok((Test::Empty, is_opposite));
        }
        if self.skips("starts") {
            self.expect("with", "write starts with \"10\"")?;
            let (value, at) = self.value(word)?;
            return match value {
                Value::Text(text) => Ok((Test::Starts(text), false)),
                Value::Number(_) | Value::Day(_) | Value::YesNo(_) => mistake(
                    at,
                    "only a text starts with something",
                    "put it in double quotes",
                ),
            };
        }
        if self.is_next("in") || self.is_next("not") {
            let is_opposite = self.skips("not");
            self.expect("in", "write not in (…)")?;
            return Ok((self.among(word)?, is_opposite));
        }
        const ORDERS: [(&str, Order); 4] = [
            ("<=", Order::LessOrEqual),
            (">=", Order::GreaterOrEqual),
            ("<", Order::Less),
            (">", Order::Greater),
        ];
        for (sign, order) in ORDERS {
            if self.skips(sign) {
                let (value, at) = self.value(word)?;
                return match value {
                    Value::Number(number) => Ok((Test::Number(order, number), false)),
                    Value::Day(day) => Ok((Test::Day(order, day), false)),
                    Value::Text(_) | Value::YesNo(_) => mistake(
                        at,
                        format!(
                            "{sign} compares numbers and days, this is {}",
                            value.kind().said()
                        ),
                        "use =, !=, in or starts with",
                    ),
                };
            }
        }
        let is_opposite = self.is_next("!=");
        if self.skips("=") || self.skips("!=") {
            let (value, _) = self.value(word)?;
            let test = match value {
                Value::Text(text) => Test::TextIn(vec![text]),
                Value::Number(number) => Test::NumberIn(vec![number]),
                Value::Day(day) => Test::DayIn(vec![day]),
                Value::YesNo(is) => Test::YesNo(is),
            };
            return Ok((test, is_opposite));
        }
        Ok((Test::YesNo(true), false))
    }

    fn among(&mut self, word: &Word) -> Read<Test> {
        self.expect("(", "write in (\"NY\", \"NJ\")")?;
        let (first, _) = self.value(word)?;
        let (mut texts, mut numbers, mut days) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = (first, self.peek().1);
        loop {
            let (value, at) = next;
            match value {
                Value::Text(text) => texts.push(text),
                Value::Number(number) => numbers.push(number),
                Value::Day(day) => days.push(day),
                Value::YesNo(_) => {
                    return mistake(at, "yes and no are all there is", "leave the list out");
                }
            }
            if !self.skips(",") {
                break;
            }
            next = self.value(word)?;
        }
        self.expect(")", "part the values by commas, and close the list with )")?;
        match (texts.is_empty(), numbers.is_empty(), days.is_empty()) {
            (false, true, true) => Ok(Test::TextIn(texts)),
            (true, false, true) => Ok(Test::NumberIn(numbers)),
            (true, true, false) => Ok(Test::DayIn(days)),
            _ => mistake(
                self.marks[self.at.saturating_sub(1)].1.clone(),
                "values of several types in one list",
                "write all of them as texts, as numbers, or as days",
            ),
        }
    }

    fn value(&mut self, word: &Word) -> Read<(Value, Range<usize>)> {
        let (mark, at) = self.next();
        let value = match mark {
            Mark::Text(text) => {
                known_outcome(word, &text, &at)?;
                Value::Text(text)
            }
            Mark::Number(number) => Value::Number(number),
            Mark::Day(day) => Value::Day(day),
            Mark::Word(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "true" => Value::YesNo(true),
                "no" | "false" => Value::YesNo(false),
                _ => {
                    return mistake(
                        at,
                        format!("{text} is no value"),
                        format!("write \"{text}\", if a text is meant"),
                    );
                }
            },
            Mark::Column(_) | Mark::Sign(_) | Mark::End => {
                return mistake(
                    at,
                    "here should stand a value",
                    "write \"NY\", 250 or 2026-01-31",
                );
            }
        };
        Ok((value, at))
    }

    fn check_kind(&mut self, word: &Word, test: &Test, at: &Range<usize>) -> Read<()> {
        let Some(kind) = test.kind() else {
            return Ok(());
        };
        let (before, name) = match word {
            Word::Known(known) => (Some(known.kind()), known.name()),
            Word::Column(name) => {
                let before = self.kinds.insert(name.clone(), kind);
                (before, name.as_str())
            }
        };
        let Some(before) = before.filter(|before| *before != kind) else {
            return Ok(());
        };
        let (message, remedy) = match word {
            Word::Known(_) => (
                format!(
                    "{name} is {}, and is used as {}",
                    before.said(),
                    kind.said()
                ),
                match before {
                    Kind::Text => "write the value in double quotes".to_string(),
                    Kind::Number | Kind::Day | Kind::YesNo => {
                        format!("compare it with {}", before.said())
                    }
                },
            ),
            Word::Column(_) => (
                format!(
                    "{name} was used as {}, and here as {}",
                    before.said(),
                    kind.said()
                ),
                "use a column as one type".to_string(),
            ),
        };
        mistake(at.clone(), message, remedy)
    }
}

/// An outcome has a name of ours, or nobody has it.
fn known_outcome(word: &Word, text: &str, at: &Range<usize>) -> Read<()> {
    let is_outcome = *word == Word::Known(Known::LastOutcome);
    if !is_outcome || super::outcomes().any(|outcome| outcome == text) {
        return Ok(());
    }
    let known: Vec<&str> = super::outcomes().collect();
    mistake(
        at.clone(),
        format!("there is no outcome \"{text}\""),
        format!("there are {}; write is empty for none", known.join(", ")),
    )
}
