//! The index over a message's bytes: one pass over the head that finds the lines and names.

use super::{Fault, HEADERS_MAX, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, Method, Name, ParseError};
use std::borrow::Cow;
use std::ops::Range;

/// A message over the bytes it arrived in (RFC 3261 §7).
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) index: Cow<'a, Index>,
}

/// A message with bytes of its own, for who keeps one.
#[derive(Clone, Debug)]
pub struct OwnedMessage {
    bytes: Vec<u8>,
    index: Index,
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which, where this stack knows it.
    pub name: Option<Name>,
    /// The name as it was written.
    pub name_text: &'a str,
    /// The value without the white space around it. A folded value still has its line ends (CR LF before white
    /// space), which every parser here takes as white space.
    pub value: &'a str,
}

/// Where things are. 32-bit positions: a message has at most 64 KiB.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) start: Start,
    entries: Vec<Entry>,
    body: Span,
    /// The first thing found wrong while indexing.
    pub(super) fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Request {
        method: Method,
        method_text: Span,
        uri: Span,
    },
    Response {
        status: u16,
        reason: Span,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Option<Name>,
    name_text: Span,
    value: Span,
}

/// Room for the headers of a usual message, so that the index allocates once.
const ENTRIES_USUAL: usize = 24;

impl Span {
    fn new(range: Range<usize>) -> Span {
        Span {
            start: range.start as u32,
            end: range.end as u32,
        }
    }
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl<'a> Message<'a> {
    /// Indexes one datagram, or one message cut from a stream. Line ends before the start line are skipped
    /// (RFC 3261 §7.5). `Ok` does not mean that the message is good: see [`Message::validate`].
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, ParseError> {
        let index = build(bytes)?;
        Ok(Message {
            bytes,
            index: Cow::Owned(index),
        })
    }

    /// The bytes it was parsed from.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A copy that owns its bytes.
    pub fn to_owned(&self) -> OwnedMessage {
        OwnedMessage {
            bytes: self.bytes.to_vec(),
            index: self.index.clone().into_owned(),
        }
    }

    /// The header lines in the order they came.
    pub fn all_headers(&self) -> impl Iterator<Item = Header<'a>> + '_ {
        self.index.entries.iter().map(|entry| Header {
            name: entry.name,
            name_text: self.text(entry.name_text),
            value: self.text(entry.value),
        })
    }

    /// The value of the first line of that name.
    pub fn header(&self, name: Name) -> Option<&'a str> {
        let entry = self
            .index
            .entries
            .iter()
            .find(|entry| entry.name == Some(name))?;
        Some(self.text(entry.value))
    }

    /// The values of the lines of that name, each as one text; [`Message::headers`] also splits at commas.
    pub fn header_lines(&self, name: Name) -> impl Iterator<Item = &'a str> + '_ {
        self.index
            .entries
            .iter()
            .filter(move |entry| entry.name == Some(name))
            .map(|entry| self.text(entry.value))
    }

    /// The value of the first line of a name this stack does not know, in any case.
    pub fn header_named(&self, name: &str) -> Option<&'a str> {
        self.all_headers()
            .find(|header| header.name_text.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The body: as long as Content-Length says, else all that follows the head. What follows it in the
    /// datagram is ignored (RFC 3261 §18.3).
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.index.body.range()]
    }

    pub(super) fn text(&self, span: Span) -> &'a str {
        // Broken UTF-8 was found while indexing and is a fault; its text reads as empty.
        std::str::from_utf8(&self.bytes[span.range()]).unwrap_or("")
    }

    pub(super) fn names(&self) -> impl Iterator<Item = Name> + '_ {
        self.index.entries.iter().filter_map(|entry| entry.name)
    }
}

impl OwnedMessage {
    /// Indexes bytes and keeps them.
    pub fn parse(bytes: Vec<u8>) -> Result<OwnedMessage, ParseError> {
        let index = build(&bytes)?;
        Ok(OwnedMessage { bytes, index })
    }

    /// The message; costs nothing.
    pub fn view(&self) -> Message<'_> {
        Message {
            bytes: &self.bytes,
            index: Cow::Borrowed(&self.index),
        }
    }

    /// The bytes it was parsed from.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The position of the first control character at or after `from`, eight bytes at a time.
fn next_control(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES * 0x80;
    let mut at = from;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // The top bit of each byte below 0x20, and of each byte that is DEL. A borrow can only spoil bytes above
        // the first hit.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let without_del = word ^ (ONES * 0x7F);
        let del = without_del.wrapping_sub(ONES) & !without_del;
        let hits = (below | del) & TOPS;
        if hits != 0 {
            return Some(at + (hits.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    bytes[at..]
        .iter()
        .position(|byte| *byte < 0x20 || *byte == 0x7F)
        .map(|i| at + i)
}

/// Walks the lines of the head.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    fault: Option<Fault>,
}

impl Lines<'_> {
    /// The next line without its end; `None` where the bytes end before the line does.
    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut from = start;
        loop {
            let i = next_control(self.bytes, from)?;
            match self.bytes[i] {
                b'\r' if self.bytes.get(i + 1) == Some(&b'\n') => {
                    self.at = i + 2;
                    return Some(start..i);
                }
                b'\n' => {
                    self.fault.get_or_insert(Fault::ControlCharacter);
                    self.at = i + 1;
                    return Some(start..i);
                }
                b'\t' => {}
                // A quoted pair may carry any character but CR and LF (RFC 3261 §25.1).
                byte if byte != b'\r' && i > start && self.bytes[i - 1] == b'\\' => {}
                _ => {
                    self.fault.get_or_insert(Fault::ControlCharacter);
                }
            }
            from = i + 1;
        }
    }

    fn continues(&self) -> bool {
        matches!(self.bytes.get(self.at), Some(b' ' | b'\t'))
    }
}

fn build(bytes: &[u8]) -> Result<Index, ParseError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(ParseError::TooLong);
    }
    let first = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .ok_or(ParseError::Empty)?;
    let mut lines = Lines {
        bytes,
        at: first,
        fault: None,
    };
    let line = lines.next().ok_or(ParseError::StartLine)?;
    let start = start_line(bytes, line, &mut lines.fault)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(ENTRIES_USUAL);
    let mut content_length = None;
    loop {
        let Some(mut line) = lines.next() else {
            lines.fault.get_or_insert(Fault::Truncated);
            lines.at = bytes.len();
            break;
        };
        if line.is_empty() {
            break;
        }
        let mut complete = true;
        while lines.continues() {
            match lines.next() {
                Some(more) => line.end = more.end,
                None => {
                    complete = false;
                    break;
                }
            }
        }
        if !complete {
            lines.fault.get_or_insert(Fault::Truncated);
            lines.at = bytes.len();
            break;
        }
        if entries.len() == HEADERS_MAX {
            return Err(ParseError::TooManyHeaders);
        }
        match header_line(bytes, line) {
            Some(entry) => {
                if entry.name == Some(Name::ContentLength) && content_length.is_none() {
                    content_length = Some(entry.value);
                }
                entries.push(entry);
            }
            None => {
                lines.fault.get_or_insert(Fault::HeaderLine);
            }
        }
    }
    let body_start = lines.at;
    if std::str::from_utf8(&bytes[..body_start]).is_err() {
        lines.fault.get_or_insert(Fault::NotUtf8);
    }
    let mut body = Span::new(body_start..bytes.len());
    if let Some(span) = content_length {
        match decimal(&bytes[span.range()]) {
            Some(length) if length <= (bytes.len() - body_start) as u64 => {
                body = Span::new(body_start..body_start + length as usize);
            }
            Some(_) => {
                lines.fault.get_or_insert(Fault::BodyTruncated);
            }
            None => {
                lines
                    .fault
                    .get_or_insert(Fault::Malformed(Name::ContentLength));
            }
        }
    }
    Ok(Index {
        start,
        entries,
        body,
        fault: lines.fault,
    })
}

/// A number of digits only, saturating at the greatest.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value
            .saturating_mul(10)
            .saturating_add(u64::from(byte - b'0'));
    }
    Some(value)
}

pub(super) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Characters of a token (RFC 3261 §25.1).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn header_line(bytes: &[u8], line: Range<usize>) -> Option<Entry> {
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let text = &bytes[line.clone()];
    let name_len = text.iter().position(|byte| !is_token_byte(*byte))?;
    let mut colon = name_len;
    while matches!(text.get(colon), Some(b' ' | b'\t')) {
        colon += 1;
    }
    if name_len == 0 || text.get(colon) != Some(&b':') {
        return None;
    }
    let (mut from, mut to) = (colon + 1, text.len());
    while from < to && is_lws(text[from]) {
        from += 1;
    }
    while to > from && is_lws(text[to - 1]) {
        to -= 1;
    }
    Some(Entry {
        name: Name::parse(&text[..name_len]),
        name_text: Span::new(line.start..line.start + name_len),
        value: Span::new(line.start + from..line.start + to),
    })
}

fn start_line(
    bytes: &[u8],
    line: Range<usize>,
    fault: &mut Option<Fault>,
) -> Result<Start, ParseError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(ParseError::StartLine);
    }
    let text = &bytes[line.clone()];
    if let Some(rest) = text.strip_prefix(b"SIP/2.0 ") {
        // Some peers leave out the space before an empty reason phrase.
        let digits = rest
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(rest.len());
        let status =
            decimal(&rest[..digits]).filter(|status| digits == 3 && (100..700).contains(status));
        let status = status.ok_or(ParseError::Status)? as u16;
        let reason_start = line.end - rest.len() + (digits + 1).min(rest.len());
        return Ok(Start::Response {
            status,
            reason: Span::new(reason_start..line.end),
        });
    }
    let method_len = text
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or(ParseError::StartLine)?;
    let method_text =
        std::str::from_utf8(&text[..method_len]).map_err(|_| ParseError::StartLine)?;
    if !is_token(method_text) {
        return Err(ParseError::StartLine);
    }
    let end = text.len() - text.iter().rev().take_while(|byte| is_lws(**byte)).count();
    let space = text[..end]
        .iter()
        .rposition(|byte| *byte == b' ')
        .ok_or(ParseError::StartLine)?;
    if space <= method_len {
        return Err(ParseError::StartLine);
    }
    let version = &text[space + 1..end];
    let Some(version) = version
        .get(..4)
        .filter(|sip| sip.eq_ignore_ascii_case(b"SIP/"))
        .map(|_| &version[4..])
    else {
        return Err(ParseError::StartLine);
    };
    let (mut from, mut to) = (method_len + 1, space);
    while from < to && is_lws(text[from]) {
        from += 1;
    }
    while to > from && is_lws(text[to - 1]) {
        to -= 1;
    }
    let single = from == method_len + 1 && to == space && end == text.len();
    if version != b"2.0" {
        fault.get_or_insert(Fault::Version);
    } else if !single || text[from..to].iter().any(|byte| is_lws(*byte)) {
        fault.get_or_insert(Fault::RequestLine);
    }
    Ok(Start::Request {
        method: Method::parse(method_text),
        method_text: Span::new(line.start..line.start + method_len),
        uri: Span::new(line.start + from..line.start + to),
    })
}

#[cfg(test)]
mod tests {
    use super::next_control;

    #[test]
    fn the_first_control_character_is_found_wherever_it_stands() {
        for control in [0, b'\t', b'\n', b'\r', 0x1F, 0x7F] {
            for other in [b' ', b'~', 0x80, 0x9F, 0xFF] {
                for at in 0..20 {
                    let mut bytes = vec![other; 20];
                    bytes[at] = control;
                    bytes[19] = b'\n';
                    assert_eq!(
                        next_control(&bytes, 0),
                        Some(at.min(19)),
                        "{control} in {other}"
                    );
                    assert_eq!(next_control(&bytes, 19), Some(19));
                }
                assert_eq!(next_control(&[other; 20], 0), None);
            }
        }
    }
}
