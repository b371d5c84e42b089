//! `rsip` as second opinion: what it accepts, this stack accepts with the same values.
//!
//! `rsip` takes much that RFC 3261 forbids. Each refusal of ours has to be justified by [`forbidden`], which says, from
//! the text alone and after the grammar of RFC 3261 §25.1, whether the very thing that we complain about is forbidden.

mod torture;

use proptest::prelude::*;
use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use sip::message::{Fault, Message, Name, ParseError};
use std::convert::TryFrom;
use torture::{files, message, request, spoil, spoils};

/// What both have to agree about.
#[derive(Debug, PartialEq, Eq)]
struct Values {
    start: String,
    call_id: String,
    cseq: (u32, String),
    from_tag: Option<String>,
    to_tag: Option<String>,
    branch: Option<String>,
}

/// What `rsip` says, with the bytes it takes for the body; `None` where it refuses the message or a header that every
/// message needs.
fn theirs(bytes: &[u8]) -> Option<(Values, Vec<u8>)> {
    let message = rsip::SipMessage::try_from(bytes).ok()?;
    let start = match &message {
        rsip::SipMessage::Request(request) => format!("{} {}", request.method, request.uri),
        rsip::SipMessage::Response(response) => response.status_code.code().to_string(),
    };
    let cseq = message.cseq_header().ok()?.typed().ok()?;
    let from = message.from_header().ok()?.typed().ok()?;
    let to = message.to_header().ok()?.typed().ok()?;
    let via = message.via_header().ok()?.typed().ok()?;
    let values = Values {
        start,
        // It keeps the white space behind a value.
        call_id: message.call_id_header().ok()?.value().trim_end().to_owned(),
        cseq: (cseq.seq, cseq.method.to_string()),
        from_tag: from.tag().map(|tag| tag.value().to_owned()),
        to_tag: to.tag().map(|tag| tag.value().to_owned()),
        branch: via.branch().map(|branch| branch.value().to_owned()),
    };
    Some((values, message.body().clone()))
}

fn ours(message: &Message<'_>) -> Option<Values> {
    let start = if message.is_request() {
        // `rsip` writes the scheme in lower case.
        let uri = message.request_uri_text();
        let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
        format!(
            "{} {}:{rest}",
            message.method_text(),
            scheme.to_ascii_lowercase()
        )
    } else {
        message.status().to_string()
    };
    let text = |text: Option<&str>| text.map(str::to_owned);
    let (number, method) = message.cseq()?;
    Some(Values {
        start,
        call_id: message.call_id()?.to_owned(),
        cseq: (number, method.as_str().unwrap_or("").to_owned()),
        from_tag: text(message.from_tag()),
        to_tag: text(message.to_tag()),
        branch: text(message.top_via()?.branch()),
    })
}

/// Both opinions are the same (`true`), or `rsip` refuses (`false`), or the difference that there is.
fn compare(bytes: &[u8]) -> Result<bool, String> {
    let Some((theirs, their_body)) = theirs(bytes) else {
        return Ok(false);
    };
    let text = Text::new(bytes);
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        // `rsip` takes line ends for part of a URI.
        Err(ParseError::StartLine) if theirs.start.contains(['\r', '\n']) => return Ok(false),
        Err(error) => return Err(format!("{error}; rsip has {theirs:?}")),
    };
    if let Err(fault) = message.validate() {
        if forbidden(fault, &text, &their_body) {
            return Ok(false);
        }
        return Err(format!("{fault:?}; rsip has {theirs:?}"));
    }
    let mut ours = ours(&message).ok_or(format!("not whole; rsip has {theirs:?}"))?;
    for (name, mine, its) in [
        (Name::Via, &mut ours.branch, &theirs.branch),
        (Name::From, &mut ours.from_tag, &theirs.from_tag),
        (Name::To, &mut ours.to_tag, &theirs.to_tag),
    ] {
        let value = text.of(name)[0];
        // `rsip` cuts a tag or branch at the first character that a token cannot have; we keep it whole.
        let cut = mine.as_ref().is_some_and(|mine| !token(mine));
        if cut || rsip_misreads_parameters(value) {
            mine.clone_from(its);
        }
    }
    if ours != theirs {
        return Err(format!("{ours:?}; rsip has {theirs:?}"));
    }
    // `rsip` takes all that follows for the body, whatever Content-Length says.
    let length = text
        .values("Content-Length", "l")
        .first()
        .and_then(|value| value.parse::<usize>().ok());
    let expected = &their_body[..length.unwrap_or(their_body.len()).min(their_body.len())];
    if expected != message.body() {
        return Err(format!(
            "body {:?}; rsip has {their_body:?}",
            message.body()
        ));
    }
    Ok(true)
}

/// The head as plain lines. `rsip` takes no folded headers, so that each line is a header.
struct Text {
    start: String,
    headers: Vec<(String, String)>,
    head: Vec<u8>,
}

impl Text {
    fn new(bytes: &[u8]) -> Text {
        let bytes = &bytes[bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count()..];
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or(bytes.len());
        let head = bytes[..end].to_vec();
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or("").to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| {
                (
                    name.trim_end().to_owned(),
                    value.trim_matches([' ', '\t']).to_owned(),
                )
            })
            .collect();
        Text {
            start,
            headers,
            head,
        }
    }

    fn values(&self, name: &str, compact: &str) -> Vec<&str> {
        let is = |text: &str| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(compact);
        self.headers
            .iter()
            .filter(|(text, _)| is(text))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn of(&self, name: Name) -> Vec<&str> {
        let compact = match name {
            Name::Via => "v",
            Name::From => "f",
            Name::To => "t",
            Name::CallId => "i",
            Name::Contact => "m",
            Name::ContentType => "c",
            Name::ContentLength => "l",
            Name::Subject => "s",
            Name::Event => "o",
            _ => "",
        };
        self.values(name.as_str(), compact)
    }

    fn elements(&self, name: Name) -> Vec<&str> {
        self.of(name)
            .into_iter()
            .flat_map(|value| value.split(','))
            .collect()
    }
}

/// Whether RFC 3261 forbids what the fault says.
fn forbidden(fault: Fault, text: &Text, body: &[u8]) -> bool {
    let parts: Vec<&str> = text.start.split(' ').collect();
    let digits = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match fault {
        Fault::ControlCharacter => {
            let head = String::from_utf8_lossy(&text.head).replace("\r\n", "");
            head.contains(|c: char| c.is_ascii_control() && c != '\t')
        }
        Fault::RequestLine => parts.len() != 3 || parts.contains(&"") || text.start.contains('\t'),
        Fault::Version => parts.last() != Some(&"SIP/2.0"),
        Fault::Scheme => {
            !["sip", "sips", "tel"].contains(&parts[1].split(':').next().unwrap_or(""))
        }
        Fault::RequestUri => !legal_uri(parts[1]) || parts[1].contains('?'),
        Fault::Repeated(name) => text.of(name).len() > 1,
        Fault::MethodMismatch => text.of(Name::CSeq)[0].split_whitespace().nth(1) != Some(parts[0]),
        Fault::BodyTruncated => {
            let length = text.of(Name::ContentLength)[0];
            digits(length)
                && length
                    .parse::<usize>()
                    .map_or(true, |length| length > body.len())
        }
        Fault::Malformed(Name::ContentLength) => !digits(text.of(Name::ContentLength)[0]),
        Fault::Malformed(Name::MaxForwards) => {
            let value = text.of(Name::MaxForwards)[0];
            !digits(value) || value.parse::<u8>().is_err()
        }
        Fault::Malformed(Name::CSeq) => {
            let number = text.of(Name::CSeq)[0]
                .split_whitespace()
                .next()
                .unwrap_or("");
            !digits(number) || number.parse::<i32>().is_err()
        }
        Fault::Malformed(Name::CallId) => {
            let id = text.of(Name::CallId)[0];
            id.is_empty() || id.contains([' ', '\t'])
        }
        Fault::Malformed(Name::From) => !legal_address(text.of(Name::From)[0]),
        Fault::Malformed(Name::To) => !legal_address(text.of(Name::To)[0]),
        Fault::Malformed(name @ (Name::Contact | Name::Route | Name::RecordRoute)) => text
            .elements(name)
            .iter()
            .any(|element| !legal_address(element)),
        Fault::Malformed(Name::Via) => {
            let elements = text.elements(Name::Via);
            elements.is_empty() || elements.iter().any(|element| !legal_via(element))
        }
        Fault::TooManyVias => text.elements(Name::Via).len() > sip::message::VIAS_MAX,
        Fault::HeaderLine
        | Fault::NotUtf8
        | Fault::Truncated
        | Fault::Missing(_)
        | Fault::Malformed(_) => false,
    }
}

/// `rsip` does not expect the white space that may stand around `;`, `=` and `:`, and takes the last of a parameter that
/// stands twice, or the first that has a value.
fn rsip_misreads_parameters(value: &str) -> bool {
    let end = if value.starts_with("SIP") {
        value.find(' ')
    } else {
        value.find('>')
    }
    .unwrap_or(0);
    let rest = value[end..].trim_start_matches('>').trim_start();
    let mut names: Vec<String> = rest
        .split(';')
        .map(|part| part.split('=').next().unwrap_or("").to_ascii_lowercase())
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    rest.contains([' ', '\t']) || rest.contains("==") || names.len() != count
}

fn all(text: &str, others: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn token(text: &str) -> bool {
    !text.is_empty() && all(text, "-.!%*_+`'~")
}

fn legal_host_port(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "1"));
    let port_is_good = !port.is_empty() && all(port, "") && port.parse::<u16>().is_ok();
    !host.is_empty() && all(host, "-.") && port_is_good
}

fn legal_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    if !["sip", "sips"]
        .iter()
        .any(|sip| scheme.eq_ignore_ascii_case(sip))
    {
        return all(scheme, "+-.")
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && !rest.is_empty()
            && rest
                .chars()
                .all(|c| c.is_ascii_graphic() && !"<>\"".contains(c));
    }
    let (user, rest) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(user, rest)| (Some(user), rest));
    let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = rest.split(';');
    user.is_none_or(|user| {
        !user.is_empty() && !user.starts_with(':') && all(user, "-_.!~*'()%&=+$,;?/:")
    }) && legal_host_port(parts.next().unwrap_or(""))
        && parts.all(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, "1"));
            !name.is_empty()
                && !value.is_empty()
                && all(name, "[]/:&+$-_.!~*'()%")
                && all(value, "[]/:&+$-_.!~*'()%")
        })
        && all(headers, "[]/?:+$-_.!~*'()%=&")
}

/// `;name=value`, where a value is a token, a host or a quoted string.
fn legal_parameters(text: &str) -> bool {
    let Some(rest) = text.trim().strip_prefix(';') else {
        return text.trim().is_empty();
    };
    rest.split(';').all(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, "1"));
        let value = value.trim();
        token(name.trim())
            && (token(value)
                || legal_host_port(value)
                || (value.len() > 1 && value.starts_with('"') && value.ends_with('"')))
    })
}

fn legal_address(text: &str) -> bool {
    let Some((display, rest)) = text.split_once('<') else {
        let (uri, _) = text.split_once(';').unwrap_or((text, ""));
        return legal_uri(uri.trim())
            && !uri.contains(['?', ','])
            && legal_parameters(&text[uri.len()..]);
    };
    let Some((uri, parameters)) = rest.split_once('>') else {
        return false;
    };
    let display = display.trim();
    let quoted = display.len() > 1 && display.starts_with('"') && display.ends_with('"');
    let display_is_legal = quoted || display.split_whitespace().all(token);
    display_is_legal && legal_uri(uri) && legal_parameters(parameters)
}

fn legal_via(text: &str) -> bool {
    let end = text.find(';').unwrap_or(text.len());
    let Some((protocol, sent_by)) = text[..end].trim().split_once([' ', '\t']) else {
        return false;
    };
    let parts: Vec<&str> = protocol.split('/').collect();
    let ["SIP", "2.0", transport] = parts[..] else {
        return false;
    };
    token(transport) && legal_host_port(sent_by.trim()) && legal_parameters(&text[end..])
}

#[test]
fn the_torture_messages_that_rsip_takes_are_taken_with_the_same_values() {
    let taken: Vec<String> = files()
        .into_iter()
        .filter(|file| {
            compare(&message(file)).unwrap_or_else(|difference| panic!("{file}: {difference}"))
        })
        .collect();
    assert!(taken.len() >= 8, "only {taken:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        // The same cases each time: what one of 100 000 spoiled messages shows is looked for by hand, not by luck.
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x5151),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn plain_requests_are_taken_by_both(made in request(true)) {
        prop_assert_eq!(compare(&made.bytes), Ok(true));
    }

    #[test]
    fn whatever_rsip_takes_of_other_requests_is_taken(made in request(false)) {
        prop_assert!(compare(&made.bytes).is_ok(), "{:?}", compare(&made.bytes));
    }

    #[test]
    fn whatever_rsip_takes_of_spoiled_requests_is_taken_or_forbidden(made in request(true), spoils in spoils()) {
        let bytes = spoil(&made.bytes, &spoils);
        prop_assert!(compare(&bytes).is_ok(), "{:?}", compare(&bytes));
    }

    #[test]
    fn whatever_rsip_takes_of_spoiled_torture_is_taken_or_forbidden(which in any::<prop::sample::Index>(), spoils in spoils()) {
        let files = files();
        let bytes = spoil(&message(&files[which.index(files.len())]), &spoils);
        prop_assert!(compare(&bytes).is_ok(), "{:?}", compare(&bytes));
    }
}
