//! Writing messages: requests, responses to a request, and the ACK and CANCEL that belong to an INVITE.
//!
//! Straight into one buffer. Whatever the text handed in, it cannot end a line: CR, LF, NUL and other control
//! characters are written as spaces; who takes text from people refuses it with [`is_writable`] beforehand.

use super::{Host, List, Message, Method, Name, Via};
use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

/// Room for the head of a usual message.
const HEAD_BYTES_USUAL: usize = 768;

/// Max-Forwards of requests of ours (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: &str = "70";

/// A value that cannot stand in a header: it has CR, LF, NUL or another control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a control character cannot stand in a SIP header")]
pub struct WriteError;

/// Whether a text may stand in a header as it is: no control characters but TAB.
pub fn is_writable(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7F))
}

/// A header's name: a [`Name`], or text for one this stack does not know.
#[derive(Clone, Copy, Debug)]
pub enum HeaderName<'a> {
    /// Known.
    Known(Name),
    /// Any other.
    Text(&'a str),
}

impl From<Name> for HeaderName<'_> {
    fn from(name: Name) -> Self {
        HeaderName::Known(name)
    }
}

impl<'a> From<&'a str> for HeaderName<'a> {
    fn from(name: &'a str) -> Self {
        HeaderName::Text(name)
    }
}

/// A message being written. Headers stand in the order they are added; Content-Length comes last, by itself.
#[derive(Clone, Debug)]
pub struct Draft {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// Writes text with control characters as spaces, and a fold as one space.
struct Clean<'a>(&'a mut Vec<u8>);

impl Write for Clean<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if is_writable(text) {
            self.0.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\r' | b'\n' => {
                    while bytes
                        .next_if(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'\t'))
                        .is_some()
                    {}
                    self.0.push(b' ');
                }
                b'\t' => self.0.push(b'\t'),
                byte if byte < 0x20 || byte == 0x7F => self.0.push(b' '),
                byte => self.0.push(byte),
            }
        }
        Ok(())
    }
}

impl Draft {
    /// Begins a request.
    ///
    /// # Panics
    /// For `Method::Other`: this stack sends no method that it does not know.
    pub fn request(method: Method, uri: &str) -> Draft {
        let mut draft = Draft::empty();
        draft.put(method.as_str().expect("only methods with a name are sent"));
        draft.put(" ");
        // A space in it would make another request line.
        for part in uri.split(|c: char| c.is_ascii_control() || c == ' ') {
            draft.put(part);
        }
        draft.put(" SIP/2.0\r\n");
        draft
    }

    /// Begins a response. See [`response_to`], which copies what has to be copied.
    ///
    /// # Panics
    /// For a status outside 100 to 699.
    pub fn response(status: u16, reason: &str) -> Draft {
        assert!(
            (100..700).contains(&status),
            "a status is from 100 to 699, this one is {status}"
        );
        let mut draft = Draft::empty();
        draft.put_fmt(format_args!("SIP/2.0 {status} {reason}"));
        draft.put("\r\n");
        draft
    }

    fn empty() -> Draft {
        Draft {
            head: Vec::with_capacity(HEAD_BYTES_USUAL),
            body: Vec::new(),
        }
    }

    fn put(&mut self, text: &str) {
        self.head.extend_from_slice(text.as_bytes());
    }

    fn put_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        Clean(&mut self.head)
            .write_fmt(arguments)
            .expect("a buffer takes all");
    }

    fn put_name(&mut self, name: HeaderName<'_>) {
        match name {
            HeaderName::Known(name) => self.put(name.as_str()),
            HeaderName::Text(name) => {
                self.head.extend(
                    name.bytes()
                        .filter(|byte| super::index::is_token_byte(*byte)),
                );
            }
        }
        self.put(": ");
    }

    /// Adds a header line. Control characters in the value become spaces.
    #[must_use]
    pub fn header<'n>(self, name: impl Into<HeaderName<'n>>, value: &str) -> Draft {
        self.header_fmt(name, format_args!("{value}"))
    }

    /// Adds a header line from `format_args!`, without a text in between.
    #[must_use]
    pub fn header_fmt<'n>(
        mut self,
        name: impl Into<HeaderName<'n>>,
        value: fmt::Arguments<'_>,
    ) -> Draft {
        self.put_name(name.into());
        self.put_fmt(value);
        self.put("\r\n");
        self
    }

    /// Adds a header line whose name and value come from outside, or refuses them.
    pub fn try_header(self, name: &str, value: &str) -> Result<Draft, WriteError> {
        if !super::index::is_token(name) || !is_writable(value) {
            return Err(WriteError);
        }
        Ok(self.header(name, value))
    }

    /// Copies all lines of a header from another message.
    #[must_use]
    pub fn copy(mut self, from: &Message<'_>, name: Name) -> Draft {
        for value in from.header_lines(name) {
            self = self.header(name, value);
        }
        self
    }

    /// Sets the body and its Content-Type.
    #[must_use]
    pub fn body(mut self, content_type: &str, bytes: &[u8]) -> Draft {
        self = self.header(Name::ContentType, content_type);
        self.body = bytes.to_vec();
        self
    }

    /// The bytes, with Content-Length.
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.body.len();
        self.put_fmt(format_args!("Content-Length: {length}"));
        self.put("\r\n\r\n");
        self.head.append(&mut self.body);
        self.head
    }
}

/// Begins the response to a request with what has to be copied: Via, From, To (with `to_tag` where it has none),
/// Call-ID, CSeq, Record-Route in what can make a dialog, and Timestamp in a 100 (RFC 3261 §8.2.6, §12.1.1).
pub fn response_to(
    request: &Message<'_>,
    status: u16,
    reason: &str,
    to_tag: Option<&str>,
) -> Draft {
    begin(request, None, status, reason, to_tag)
}

/// As [`response_to`], with `received` and `rport` in the topmost Via for a request that came from `source`
/// (RFC 3261 §18.2.1, RFC 3581 §4).
pub fn respond(
    request: &Message<'_>,
    source: SocketAddr,
    status: u16,
    reason: &str,
    to_tag: Option<&str>,
) -> Draft {
    begin(request, Some(source), status, reason, to_tag)
}

fn begin(
    request: &Message<'_>,
    source: Option<SocketAddr>,
    status: u16,
    reason: &str,
    to_tag: Option<&str>,
) -> Draft {
    let mut draft = Draft::response(status, reason);
    let mut lines = request.header_lines(Name::Via);
    if let (Some(source), Some(via)) = (source, request.top_via()) {
        let mut values = List::new(lines.next().unwrap_or(""));
        let top = values.next().unwrap_or("");
        draft = top_via(draft, top, &via, source);
        for value in values {
            draft = draft.header(Name::Via, value);
        }
    }
    for value in lines {
        draft = draft.header(Name::Via, value);
    }
    draft = draft.copy(request, Name::From);
    if let Some(to) = request.header(Name::To) {
        draft = match to_tag {
            Some(tag) if status > 100 && request.to_tag().is_none() => {
                draft.header_fmt(Name::To, format_args!("{to};tag={tag}"))
            }
            Some(_) | None => draft.header(Name::To, to),
        };
    }
    draft = draft.copy(request, Name::CallId).copy(request, Name::CSeq);
    match status {
        100 => draft.copy(request, Name::Timestamp),
        101..=299 => draft.copy(request, Name::RecordRoute),
        _ => draft,
    }
}

fn top_via(draft: Draft, text: &str, via: &Via<'_>, source: SocketAddr) -> Draft {
    let ip = source.ip();
    let same_host = Host::parse(via.host) == Some(Host::Ip(ip));
    let asks_rport = via.rport().is_some();
    if same_host && !asks_rport && via.params.value("received").is_none() {
        return draft.header(Name::Via, text);
    }
    // The parameters of ours stand last; what the peer wrote under their names does not count.
    let end = text.find(';').unwrap_or(text.len());
    let mut draft = draft;
    draft.put_name(Name::Via.into());
    draft.put_fmt(format_args!("{}", text[..end].trim_end()));
    for param in via.params.iter() {
        if param.name.eq_ignore_ascii_case("received") || param.name.eq_ignore_ascii_case("rport") {
            continue;
        }
        match param.value {
            Some(value) => draft.put_fmt(format_args!(";{}={value}", param.name)),
            None => draft.put_fmt(format_args!(";{}", param.name)),
        }
    }
    match ip {
        IpAddr::V4(ip) => draft.put_fmt(format_args!(";received={ip}")),
        IpAddr::V6(ip) => draft.put_fmt(format_args!(";received={ip}")),
    }
    if asks_rport {
        draft.put_fmt(format_args!(";rport={}", source.port()));
    }
    draft.put("\r\n");
    draft
}

/// Begins a request that belongs to an INVITE of ours: same Request-URI, topmost Via, Route, From, Call-ID and
/// CSeq number.
fn belonging_to(invite: &Message<'_>, method: Method, to: &str) -> Option<Draft> {
    let via = List::new(invite.header(Name::Via)?).next()?;
    let (number, _) = invite.cseq()?;
    let name = method.as_str()?;
    let draft = Draft::request(method, invite.request_uri_text())
        .header(Name::Via, via)
        .header(Name::MaxForwards, MAX_FORWARDS)
        .copy(invite, Name::Route)
        .copy(invite, Name::From)
        .header(Name::To, to)
        .copy(invite, Name::CallId)
        .header_fmt(Name::CSeq, format_args!("{number} {name}"));
    Some(draft)
}

/// Begins the ACK for a final response of 300 or more to an INVITE of ours (RFC 3261 §17.1.1.3). `None` where
/// one of the two lacks what it is made of.
pub fn ack_for(invite: &Message<'_>, response: &Message<'_>) -> Option<Draft> {
    belonging_to(invite, Method::Ack, response.header(Name::To)?)
}

/// Begins the CANCEL of an INVITE of ours (RFC 3261 §9.1).
pub fn cancel_for(invite: &Message<'_>) -> Option<Draft> {
    belonging_to(invite, Method::Cancel, invite.header(Name::To)?)
}

/// Appends a text as a quoted string, its quotes and backslashes escaped and control characters as spaces.
pub fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
}
