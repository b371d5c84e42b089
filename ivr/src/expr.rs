//! Typed expressions for `branch`, `set` and the parameters of a lookup.
//!
//! An expression is read and typed when the flow is checked, so that evaluating it for a caller
//! cannot fail: numbers saturate, a variable without a value is the empty value of its type.
//!
//! ```text
//! or  := and { "or" and }        and := not { "and" not }      not := "not" not | cmp
//! cmp := sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=") sum ]   sum := unit { ("+" | "-") unit }
//! unit := number | 'text' | "true" | "false" | name | name "(" or { "," or } ")" | "-" unit | "(" or ")"
//! ```

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

/// Longest expression, in bytes: what still fits a row of an editor twice. Bounds the size of its tree.
pub const EXPR_BYTES_MAX: usize = 400;
/// Deepest nesting of parentheses, `not` and signs: far beyond what a person reads, far below the stack.
pub const EXPR_DEPTH_MAX: usize = 32;
/// Longest text a variable holds, in bytes; the rest is cut. A data dip may answer anything.
pub const TEXT_BYTES_MAX: usize = 1024;

/// What a variable can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Characters.
    Text,
    /// A whole number of 64 bits.
    Number,
    /// `true` or `false`.
    Truth,
}

impl Type {
    /// The name in a flow.
    pub fn name(self) -> &'static str {
        match self {
            Type::Text => "text",
            Type::Number => "number",
            Type::Truth => "truth",
        }
    }

    /// The value of a variable that was not set yet: empty, 0, false.
    pub fn empty(self) -> Value {
        match self {
            Type::Text => Value::Text(String::new()),
            Type::Number => Value::Number(0),
            Type::Truth => Value::Truth(false),
        }
    }

    /// `text` as a value of this type; `None` where it is not one.
    pub fn read(self, text: &str) -> Option<Value> {
        match self {
            Type::Text => Some(Value::text(text)),
            Type::Number => text.trim().parse().ok().map(Value::Number),
            Type::Truth => match text.trim() {
                "true" => Some(Value::Truth(true)),
                "false" => Some(Value::Truth(false)),
                _ => None,
            },
        }
    }
}

/// What a variable holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// At most [`TEXT_BYTES_MAX`] bytes.
    Text(String),
    /// Saturating.
    Number(i64),
    /// Yes or no.
    Truth(bool),
}

impl Value {
    /// A text, cut to [`TEXT_BYTES_MAX`].
    pub fn text(text: &str) -> Value {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Value::Text(text[..end].to_owned())
    }

    /// The type of this value.
    pub fn kind(&self) -> Type {
        match self {
            Value::Text(_) => Type::Text,
            Value::Number(_) => Type::Number,
            Value::Truth(_) => Type::Truth,
        }
    }

    fn number(&self) -> i64 {
        match self {
            Value::Number(n) => *n,
            Value::Text(_) | Value::Truth(_) => unreachable!("the check typed it as a number"),
        }
    }

    /// Whether it holds; only for an expression of type truth.
    pub fn truth(&self) -> bool {
        match self {
            Value::Truth(t) => *t,
            Value::Text(_) | Value::Number(_) => unreachable!("the check typed it as a truth"),
        }
    }
}

/// What a lookup or an event shows of it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(t) => f.write_str(t),
            Value::Number(n) => write!(f, "{n}"),
            Value::Truth(t) => write!(f, "{t}"),
        }
    }
}

/// Only the type: a value may be a card number.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())
    }
}

/// An expression that was read and typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    root: Term,
    kind: Type,
    variables: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Value(Value),
    Variable(String, Type),
    Not(Box<Term>),
    Negative(Box<Term>),
    Binary(Operator, Box<Term>, Box<Term>),
    Length(Box<Term>),
    StartsWith(Box<Term>, Box<Term>),
    ToNumber(Box<Term>),
    ToText(Box<Term>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
}

/// Why a text is not an expression, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Bytes of the expression the error is about.
    pub at: Range<usize>,
    /// What is wrong.
    pub why: ExprProblem,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprProblem {
    /// It ends where more has to come.
    #[error("the expression ends too early")]
    Incomplete,
    /// Something that cannot stand there.
    #[error("`{0}` cannot stand here")]
    Unexpected(String),
    /// A text without its closing quote.
    #[error("the closing quote is missing")]
    OpenQuote,
    /// A number of more than 64 bits.
    #[error("this number is too large")]
    NumberTooLarge,
    /// Nobody declared this variable.
    #[error("there is no variable `{0}`")]
    UnknownVariable(String),
    /// There is no such function.
    #[error("there is no function `{0}`")]
    UnknownFunction(String),
    /// A value of another type is needed.
    #[error("this is a {is}, a {needed} is needed", is = .is.name(), needed = .needed.name())]
    WrongType {
        /// What is needed.
        needed: Type,
        /// What stands there.
        is: Type,
    },
    /// Longer than [`EXPR_BYTES_MAX`].
    #[error("the expression is longer than {EXPR_BYTES_MAX} bytes")]
    TooLong,
    /// Deeper than [`EXPR_DEPTH_MAX`].
    #[error("the expression is nested deeper than {EXPR_DEPTH_MAX}")]
    TooDeep,
}

/// The functions of the language, for «did you mean».
pub const FUNCTIONS: [&str; 4] = ["length", "starts_with", "number", "text"];

impl Expr {
    /// Reads `text` where the variables have these types.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place in `text`.
    pub fn parse(text: &str, types: &BTreeMap<String, Type>) -> Result<Expr, ExprError> {
        if text.len() > EXPR_BYTES_MAX {
            return Err(ExprError {
                at: 0..text.len(),
                why: ExprProblem::TooLong,
            });
        }
        let tokens = tokens(text)?;
        let mut parser = Parser {
            tokens,
            next: 0,
            types,
            end: text.len(),
            variables: BTreeSet::new(),
        };
        let (root, kind, _) = parser.or(0)?;
        if let Some((token, at)) = parser.tokens.get(parser.next) {
            return Err(unexpected(token, at));
        }
        Ok(Expr {
            root,
            kind,
            variables: parser.variables,
        })
    }

    /// The type of its value.
    pub fn kind(&self) -> Type {
        self.kind
    }

    /// The variables it reads.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Its value. A variable that is absent or of another type counts as the empty value.
    pub fn evaluate(&self, values: &BTreeMap<String, Value>) -> Value {
        evaluate(&self.root, values)
    }
}

fn evaluate(term: &Term, values: &BTreeMap<String, Value>) -> Value {
    match term {
        Term::Value(value) => value.clone(),
        Term::Variable(name, kind) => match values.get(name) {
            Some(value) if value.kind() == *kind => value.clone(),
            Some(_) | None => kind.empty(),
        },
        Term::Not(a) => Value::Truth(!evaluate(a, values).truth()),
        Term::Negative(a) => Value::Number(evaluate(a, values).number().saturating_neg()),
        Term::Binary(operator, a, b) => {
            let a = evaluate(a, values);
            match operator {
                Operator::Or => return Value::Truth(a.truth() || evaluate(b, values).truth()),
                Operator::And => return Value::Truth(a.truth() && evaluate(b, values).truth()),
                Operator::Equal
                | Operator::Unequal
                | Operator::Less
                | Operator::LessOrEqual
                | Operator::Greater
                | Operator::GreaterOrEqual
                | Operator::Plus
                | Operator::Minus => {}
            }
            let b = evaluate(b, values);
            match operator {
                Operator::Or | Operator::And => unreachable!("answered above"),
                Operator::Equal => Value::Truth(a == b),
                Operator::Unequal => Value::Truth(a != b),
                Operator::Less => Value::Truth(a.number() < b.number()),
                Operator::LessOrEqual => Value::Truth(a.number() <= b.number()),
                Operator::Greater => Value::Truth(a.number() > b.number()),
                Operator::GreaterOrEqual => Value::Truth(a.number() >= b.number()),
                Operator::Plus => Value::Number(a.number().saturating_add(b.number())),
                Operator::Minus => Value::Number(a.number().saturating_sub(b.number())),
            }
        }
        Term::Length(a) => {
            let length = evaluate(a, values).to_string().chars().count();
            Value::Number(i64::try_from(length).unwrap_or(i64::MAX))
        }
        Term::StartsWith(a, b) => {
            let (a, b) = (
                evaluate(a, values).to_string(),
                evaluate(b, values).to_string(),
            );
            Value::Truth(a.starts_with(&b))
        }
        Term::ToNumber(a) => Type::Number
            .read(&evaluate(a, values).to_string())
            .unwrap_or_else(|| Type::Number.empty()),
        Term::ToText(a) => Value::text(&evaluate(a, values).to_string()),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(i64),
    Symbol(&'static str),
}

/// Longer ones first: `<=` before `<`.
const SYMBOLS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, ExprError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let from = at;
        let token = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c == '\'' || c == '"' {
            let Some(length) = rest[1..].find(c) else {
                let why = ExprProblem::OpenQuote;
                return Err(ExprError {
                    at: from..text.len(),
                    why,
                });
            };
            at += length + 2;
            Token::Text(rest[1..=length].to_owned())
        } else if c.is_ascii_digit() {
            let length = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            at += length;
            match rest[..length].parse() {
                Ok(number) => Token::Number(number),
                Err(_) => {
                    return Err(ExprError {
                        at: from..at,
                        why: ExprProblem::NumberTooLarge,
                    });
                }
            }
        } else if c.is_ascii_alphabetic() || c == '_' {
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            at += length;
            Token::Name(rest[..length].to_owned())
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|s| rest.starts_with(s)) {
            at += symbol.len();
            Token::Symbol(symbol)
        } else {
            let why = ExprProblem::Unexpected(c.to_string());
            return Err(ExprError {
                at: from..from + c.len_utf8(),
                why,
            });
        };
        found.push((token, from..at));
    }
    Ok(found)
}

fn unexpected(token: &Token, at: &Range<usize>) -> ExprError {
    let shown = match token {
        Token::Name(name) => name.clone(),
        Token::Text(_) => "a text".to_owned(),
        Token::Number(number) => number.to_string(),
        Token::Symbol(symbol) => (*symbol).to_owned(),
    };
    ExprError {
        at: at.clone(),
        why: ExprProblem::Unexpected(shown),
    }
}

struct Parser<'a> {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    types: &'a BTreeMap<String, Type>,
    end: usize,
    variables: BTreeSet<String>,
}

type Typed = (Term, Type, Range<usize>);

impl Parser<'_> {
    fn or(&mut self, depth: usize) -> Result<Typed, ExprError> {
        let mut left = self.and(depth)?;
        while self.takes_name("or") {
            let right = self.and(depth)?;
            left = binary(Operator::Or, left, right, Some(Type::Truth), Type::Truth)?;
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Typed, ExprError> {
        let mut left = self.not(depth)?;
        while self.takes_name("and") {
            let right = self.not(depth)?;
            left = binary(Operator::And, left, right, Some(Type::Truth), Type::Truth)?;
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Result<Typed, ExprError> {
        let from = self.place();
        if depth > EXPR_DEPTH_MAX {
            return Err(ExprError {
                at: from,
                why: ExprProblem::TooDeep,
            });
        }
        if self.takes_name("not") {
            let (term, kind, at) = self.not(depth + 1)?;
            needs(Type::Truth, kind, &at)?;
            return Ok((Term::Not(Box::new(term)), Type::Truth, from.start..at.end));
        }
        self.comparison(depth)
    }

    fn comparison(&mut self, depth: usize) -> Result<Typed, ExprError> {
        let left = self.sum(depth)?;
        let (operator, operands) = if self.takes("==") {
            (Operator::Equal, None)
        } else if self.takes("!=") {
            (Operator::Unequal, None)
        } else if self.takes("<=") {
            (Operator::LessOrEqual, Some(Type::Number))
        } else if self.takes(">=") {
            (Operator::GreaterOrEqual, Some(Type::Number))
        } else if self.takes("<") {
            (Operator::Less, Some(Type::Number))
        } else if self.takes(">") {
            (Operator::Greater, Some(Type::Number))
        } else {
            return Ok(left);
        };
        let right = self.sum(depth)?;
        binary(operator, left, right, operands, Type::Truth)
    }

    fn sum(&mut self, depth: usize) -> Result<Typed, ExprError> {
        let mut left = self.unit(depth)?;
        loop {
            let operator = if self.takes("+") {
                Operator::Plus
            } else if self.takes("-") {
                Operator::Minus
            } else {
                return Ok(left);
            };
            let right = self.unit(depth)?;
            left = binary(operator, left, right, Some(Type::Number), Type::Number)?;
        }
    }

    fn unit(&mut self, depth: usize) -> Result<Typed, ExprError> {
        let at = self.place();
        if depth > EXPR_DEPTH_MAX {
            return Err(ExprError {
                at,
                why: ExprProblem::TooDeep,
            });
        }
        let Some((token, at)) = self.tokens.get(self.next).cloned() else {
            return Err(ExprError {
                at,
                why: ExprProblem::Incomplete,
            });
        };
        self.next += 1;
        match token {
            Token::Number(n) => Ok((Term::Value(Value::Number(n)), Type::Number, at)),
            Token::Text(t) => Ok((Term::Value(Value::Text(t)), Type::Text, at)),
            Token::Symbol("-") => {
                let (term, kind, operand) = self.unit(depth + 1)?;
                needs(Type::Number, kind, &operand)?;
                Ok((
                    Term::Negative(Box::new(term)),
                    Type::Number,
                    at.start..operand.end,
                ))
            }
            Token::Symbol("(") => {
                let (term, kind, _) = self.or(depth + 1)?;
                let end = self.expect(")")?;
                Ok((term, kind, at.start..end))
            }
            Token::Symbol(_) => Err(unexpected(&token, &at)),
            Token::Name(name) => match name.as_str() {
                "true" => Ok((Term::Value(Value::Truth(true)), Type::Truth, at)),
                "false" => Ok((Term::Value(Value::Truth(false)), Type::Truth, at)),
                "and" | "or" | "not" => Err(unexpected(&Token::Name(name), &at)),
                _ if self.takes("(") => self.function(&name, at, depth + 1),
                _ => match self.types.get(&name) {
                    Some(kind) => {
                        self.variables.insert(name.clone());
                        Ok((Term::Variable(name, *kind), *kind, at))
                    }
                    None => Err(ExprError {
                        at,
                        why: ExprProblem::UnknownVariable(name),
                    }),
                },
            },
        }
    }

    fn function(&mut self, name: &str, at: Range<usize>, depth: usize) -> Result<Typed, ExprError> {
        let (build, kind): (fn(Box<Term>) -> Term, Type) = match name {
            "length" => (Term::Length, Type::Number),
            "number" => (Term::ToNumber, Type::Number),
            "text" => {
                let (term, _, _) = self.or(depth)?;
                let end = self.expect(")")?;
                return Ok((Term::ToText(Box::new(term)), Type::Text, at.start..end));
            }
            "starts_with" => {
                let (text, kind, place) = self.or(depth)?;
                needs(Type::Text, kind, &place)?;
                self.expect(",")?;
                let (prefix, kind, place) = self.or(depth)?;
                needs(Type::Text, kind, &place)?;
                let end = self.expect(")")?;
                let term = Term::StartsWith(Box::new(text), Box::new(prefix));
                return Ok((term, Type::Truth, at.start..end));
            }
            _ => {
                let why = ExprProblem::UnknownFunction(name.to_owned());
                return Err(ExprError { at, why });
            }
        };
        let (term, is, place) = self.or(depth)?;
        needs(Type::Text, is, &place)?;
        let end = self.expect(")")?;
        Ok((build(Box::new(term)), kind, at.start..end))
    }

    fn place(&self) -> Range<usize> {
        self.tokens
            .get(self.next)
            .map_or(self.end..self.end, |(_, at)| at.clone())
    }

    fn takes(&mut self, symbol: &'static str) -> bool {
        let is = matches!(self.tokens.get(self.next), Some((Token::Symbol(s), _)) if *s == symbol);
        self.next += usize::from(is);
        is
    }

    fn takes_name(&mut self, name: &str) -> bool {
        let is = matches!(self.tokens.get(self.next), Some((Token::Name(n), _)) if n == name);
        self.next += usize::from(is);
        is
    }

    fn expect(&mut self, symbol: &'static str) -> Result<usize, ExprError> {
        let at = self.place();
        if self.takes(symbol) {
            return Ok(at.end);
        }
        match self.tokens.get(self.next) {
            Some((token, at)) => Err(unexpected(token, at)),
            None => Err(ExprError {
                at,
                why: ExprProblem::Incomplete,
            }),
        }
    }
}

/// `operands` is the type both sides need; without it they need the same one.
fn binary(
    operator: Operator,
    (left, left_kind, left_at): Typed,
    (right, right_kind, right_at): Typed,
    operands: Option<Type>,
    result: Type,
) -> Result<Typed, ExprError> {
    let needed = operands.unwrap_or(left_kind);
    needs(needed, left_kind, &left_at)?;
    needs(needed, right_kind, &right_at)?;
    let term = Term::Binary(operator, Box::new(left), Box::new(right));
    Ok((term, result, left_at.start..right_at.end))
}

fn needs(needed: Type, is: Type, at: &Range<usize>) -> Result<(), ExprError> {
    if needed == is {
        Ok(())
    } else {
        Err(ExprError {
            at: at.clone(),
            why: ExprProblem::WrongType { needed, is },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn types() -> BTreeMap<String, Type> {
        [
            ("tier", Type::Text),
            ("tries", Type::Number),
            ("known", Type::Truth),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .into()
    }

    fn value_of(text: &str) -> Value {
        let values = [
            ("tier".to_owned(), Value::text("gold")),
            ("tries".to_owned(), Value::Number(2)),
            ("known".to_owned(), Value::Truth(true)),
        ];
        Expr::parse(text, &types())
            .unwrap()
            .evaluate(&values.into())
    }

    #[test]
    fn operators_bind_as_in_school() {
        assert_eq!(
            value_of("tries + 1 == 3 and not (tier != 'gold')"),
            Value::Truth(true)
        );
        assert_eq!(value_of("false and false or true"), Value::Truth(true));
        assert_eq!(value_of("not known or known"), Value::Truth(true));
        assert_eq!(value_of("10 - 3 - 2"), Value::Number(5));
        assert_eq!(value_of("-tries + -(-1)"), Value::Number(-1));
        assert_eq!(
            value_of("starts_with(tier, \"go\") and length(tier) >= 4"),
            Value::Truth(true)
        );
        assert_eq!(value_of("number('12') < 13"), Value::Truth(true));
        assert_eq!(value_of("number('twelve')"), Value::Number(0));
        assert_eq!(value_of("text(tries) == '2'"), Value::Truth(true));
    }

    #[test]
    fn numbers_saturate_instead_of_overflowing() {
        assert_eq!(
            value_of("9223372036854775807 + tries"),
            Value::Number(i64::MAX)
        );
        assert_eq!(
            value_of("-9223372036854775807 - 5"),
            Value::Number(i64::MIN)
        );
    }

    #[test]
    fn an_error_names_its_place() {
        let error = |text: &str| Expr::parse(text, &types()).map(|_| ()).unwrap_err();
        let wrong = ExprProblem::WrongType {
            needed: Type::Number,
            is: Type::Text,
        };
        assert_eq!(
            error("tries > tier"),
            ExprError {
                at: 8..12,
                why: wrong
            }
        );
        assert_eq!(
            error("tier == "),
            ExprError {
                at: 8..8,
                why: ExprProblem::Incomplete
            }
        );
        assert_eq!(
            error("tire == 'x'").why,
            ExprProblem::UnknownVariable("tire".to_owned())
        );
        assert_eq!(error("known == 'x").at, 9..11);
        assert_eq!(error("known known").at, 6..11);
        assert_eq!(
            error("size(tier)").why,
            ExprProblem::UnknownFunction("size".to_owned())
        );
        assert_eq!(error(&"(".repeat(100)).why, ExprProblem::TooDeep);
        assert_eq!(error(&" ".repeat(500)).why, ExprProblem::TooLong);
        assert_eq!(
            error("99999999999999999999").why,
            ExprProblem::NumberTooLarge
        );
    }

    #[test]
    fn a_variable_without_a_value_is_the_empty_value_of_its_type() {
        let expr = Expr::parse("tier == '' and tries == 0 and not known", &types()).unwrap();
        assert_eq!(expr.evaluate(&BTreeMap::new()), Value::Truth(true));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(
            Value::text(&"ä".repeat(2000)).to_string().len(),
            TEXT_BYTES_MAX
        );
        assert_eq!(
            Value::text(&format!("x{}", "ä".repeat(2000)))
                .to_string()
                .len(),
            1023
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn no_text_makes_reading_or_evaluating_panic(
            text in "(tier|tries|known|and|or|not|[-+()<>=!,'\" ]|[0-9]{1,3}|length\\(|number\\(|ß){0,24}"
        ) {
            match Expr::parse(&text, &types()) {
                Ok(expr) => prop_assert_eq!(expr.evaluate(&BTreeMap::new()).kind(), expr.kind()),
                Err(error) => {
                    prop_assert!(error.at.end <= text.len());
                    prop_assert!(text.get(error.at).is_some());
                }
            }
        }
    }
}
