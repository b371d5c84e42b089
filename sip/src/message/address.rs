//! The pieces headers are made of: comma lists, `;` parameters, quoted strings, and name-addr (RFC 3261 §25.1).

use super::index::{is_lws, is_token, is_token_byte};
use super::uri::Uri;
use std::borrow::Cow;

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii() && is_lws(c as u8))
}

/// Where a separator first stands outside of quotes and, where `brackets` says so, outside of `<>`.
fn find_outside(text: &str, separator: u8, brackets: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut quoted, mut angled, mut at) = (false, false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' if !angled => quoted = !quoted,
            b'<' if brackets && !quoted => angled = true,
            b'>' if brackets && !quoted => angled = false,
            byte if byte == separator && !quoted && !angled => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The elements of a comma list, trimmed. An empty element is given too: who parses it refuses it.
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: Option<&'a str>,
}

impl<'a> List<'a> {
    /// Over one header value. An empty value has no elements.
    pub fn new(value: &'a str) -> List<'a> {
        List {
            rest: Some(trim(value)).filter(|value| !value.is_empty()),
        }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        match find_outside(rest, b',', true) {
            Some(comma) => {
                self.rest = Some(&rest[comma + 1..]);
                Some(trim(&rest[..comma]))
            }
            None => {
                self.rest = None;
                Some(trim(rest))
            }
        }
    }
}

/// The tokens of a header such as Supported or Allow, over all of its lines.
pub type Tokens<'a> = std::vec::IntoIter<&'a str>;

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name; case does not matter.
    pub name: &'a str,
    /// Its value as written, where it has one; a quoted string in its quotes.
    pub value: Option<&'a str>,
}

/// Parameters, checked when they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    /// Empty, or beginning with `;`.
    text: &'a str,
}

impl<'a> Params<'a> {
    /// Reads `;name=value;name`: nothing empty between the semicolons, quotes closed.
    pub fn parse(text: &'a str) -> Option<Params<'a>> {
        Params::checked(trim(text), is_token)
    }

    /// Reads the parameters of a URI, whose names and values have other characters than a header's.
    pub(super) fn parse_uri(text: &'a str) -> Option<Params<'a>> {
        Params::checked(text, |name| {
            !name.is_empty() && !name.contains(['"', ',', '@'])
        })
    }

    fn checked(text: &'a str, name_is_good: impl Fn(&str) -> bool) -> Option<Params<'a>> {
        if !text.is_empty() && !text.starts_with(';') {
            return None;
        }
        let params = Params { text };
        for param in params.iter() {
            if !name_is_good(param.name) {
                return None;
            }
            match param.value {
                Some("") => return None,
                Some(value) if value.starts_with('"') => {
                    if quoted_end(value)? != value.len() {
                        return None;
                    }
                }
                Some(value)
                    if value
                        .bytes()
                        .any(|byte| is_lws(byte) || matches!(byte, b'"' | b'<' | b'>' | b',')) =>
                {
                    return None;
                }
                Some(_) | None => {}
            }
        }
        Some(params)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut rest = self.text.strip_prefix(';');
        std::iter::from_fn(move || {
            let text = rest?;
            let end = find_outside(text, b';', false);
            rest = end.map(|end| &text[end + 1..]);
            let one = &text[..end.unwrap_or(text.len())];
            Some(match one.split_once('=') {
                Some((name, value)) => Param {
                    name: trim(name),
                    value: Some(trim(value)),
                },
                None => Param {
                    name: trim(one),
                    value: None,
                },
            })
        })
    }

    /// The first of that name.
    pub fn get(&self, name: &str) -> Option<Param<'a>> {
        self.iter()
            .find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// Whether one of that name is there, with a value or without.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of the first of that name as written.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.value
    }

    /// The text, beginning with `;` where it is not empty.
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

/// The position behind a quoted string that the text begins with.
fn quoted_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The content of a quoted string, its `\` escapes resolved and its folds made spaces; another text as it is.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return Cow::Borrowed(text);
    };
    if !inner.contains(['\\', '\r']) {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            '\r' | '\n' => {}
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// Resolves `%41`. What is no escape stays, and so does one that would not be UTF-8.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| bytes.get(i).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// An address as in From, To, Contact and Route (RFC 3261 §20.10).
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as written, in its quotes where it has them.
    pub display: Option<&'a str>,
    /// The URI.
    pub uri: Uri<'a>,
    /// The parameters of the header, not of the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one address, with or without `<>`. Without them, parameters belong to the header and the URI can
    /// have neither `?` nor `,` (RFC 3261 §20).
    pub fn parse(text: &'a str) -> Option<NameAddr<'a>> {
        let text = trim(text);
        let Some(open) = find_outside(text, b'<', false) else {
            let end = text.find(';').unwrap_or(text.len());
            let uri = trim(&text[..end]);
            if uri.contains(['?', ',']) {
                return None;
            }
            return Some(NameAddr {
                display: None,
                uri: Uri::parse(uri)?,
                params: Params::parse(&text[end..])?,
            });
        };
        let display = trim(&text[..open]);
        if display.starts_with('"') {
            if quoted_end(display)? != display.len() {
                return None;
            }
        } else if !display
            .bytes()
            .all(|byte| is_token_byte(byte) || is_lws(byte) || !byte.is_ascii())
        {
            return None;
        }
        let close = open + text[open..].find('>')?;
        Some(NameAddr {
            display: Some(display).filter(|display| !display.is_empty()),
            uri: Uri::parse(&text[open + 1..close])?,
            params: Params::parse(&text[close + 1..])?,
        })
    }

    /// The tag parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.value("tag")
    }

    /// The display name without quotes and escapes.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        self.display.map(unquote)
    }

    /// The expires parameter of a Contact, in seconds, saturating; `None` where it is missing or malformed.
    pub fn expires(&self) -> Option<u32> {
        let seconds = super::index::decimal(self.params.value("expires")?.as_bytes())?;
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split_a_list() {
        let list: Vec<&str> = List::new(r#""a, \"b," <sip:x,y@h> ;q="1,2", <sip:z@h>,"#).collect();
        assert_eq!(list, [r#""a, \"b," <sip:x,y@h> ;q="1,2""#, "<sip:z@h>", ""]);
    }

    #[test]
    fn without_brackets_parameters_are_the_headers() {
        let address = NameAddr::parse("sip:a@b ; tag = 7\r\n ;x").expect("valid");
        assert_eq!(
            (address.uri.text, address.tag(), address.params.has("x")),
            ("sip:a@b", Some("7"), true)
        );
        let address = NameAddr::parse("Bob<sip:a@b;tag=1>;tag=2").expect("valid");
        assert_eq!((address.display, address.tag()), (Some("Bob"), Some("2")));
    }

    #[test]
    fn a_semicolon_or_bracket_in_a_quoted_display_name_is_only_text() {
        let address = NameAddr::parse(r#""a;<b> \"c\\" <sip:a@b>"#).expect("valid");
        assert_eq!(address.display_name().as_deref(), Some(r#"a;<b> "c\"#));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "<>",
            "<sip:a@b",
            "\"a <sip:a@b>",
            "a, b <sip:a@b>",
            "<sip:a@b>;",
            "<sip:a@b>;;x",
            "<sip:a@b>x",
            "<sip:a@b>;tag=",
            "< sip:a@b >",
            "sip:a@b?x=y",
            "<sip:a@b>;tag=\"x",
            "<sip:a@b>;a b",
        ] {
            assert!(NameAddr::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn an_escape_that_is_no_escape_stays() {
        assert_eq!(unescape("a%41%zz%4"), "aA%zz%4");
        assert_eq!(unescape("%ff"), "%ff");
    }
}
