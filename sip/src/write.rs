//! What leaves: requests and responses as bytes, and those made from an earlier request of ours.
//!
//! Our requests keep one order of lines (Via, Route, Max-Forwards, From, To, Call-ID, CSeq, the
//! rest), so that an ACK, a CANCEL or a request with credentials is made from the bytes of the
//! request it belongs to. No value can end a line: control characters do not get through.

use crate::endpoint::{Hop, Transport};
use crate::message::{MAGIC_COOKIE, Message, Method, reason_phrase, respond};
use std::io::Write as _;

/// Room for the head of a usual message, so that writing allocates once.
const HEAD_BYTES_USUAL: usize = 1024;

/// What we understand; in every 405, 200 to OPTIONS, INVITE and its 2xx (RFC 3261 §20.5).
pub(crate) const ALLOW: &str =
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO\r\n";
/// The extensions we understand.
pub(crate) const SUPPORTED: &str = "Supported: 100rel, timer\r\n";

/// The start of a request of ours.
pub(crate) struct Head<'a> {
    pub method: Method,
    pub uri: &'a str,
    pub hop: Hop,
    pub branch: u64,
    pub routes: &'a [String],
    pub from: &'a str,
    pub to: &'a str,
    pub call_id: &'a str,
    pub cseq: u32,
}

/// Appends text; a fold or any control character becomes one space.
pub(crate) fn clean(out: &mut Vec<u8>, text: &str) {
    let mut spaced = false;
    for byte in text.bytes() {
        let is_control = byte < 0x20 || byte == 0x7f;
        if !is_control {
            out.push(byte);
        } else if !spaced {
            out.push(b' ');
        }
        spaced = is_control;
    }
}

/// As [`clean`], for text that is kept.
pub(crate) fn cleaned(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    clean(&mut out, text);
    String::from_utf8(out).expect("replacing ASCII by ASCII keeps UTF-8")
}

fn put(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a buffer takes all");
}

fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    clean(out, value);
    out.extend_from_slice(b"\r\n");
}

fn transport(hop: Hop) -> &'static str {
    match hop.transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    }
}

/// A request. `lines` are header lines with their ends; the body is SDP.
pub(crate) fn request(head: &Head<'_>, product: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES_USUAL + body.len());
    let method = head.method.as_str().expect("only known methods are sent");
    put(&mut out, format_args!("{method} "));
    out.extend(head.uri.bytes().filter(|b| *b > b' ' && *b != 0x7f));
    let (cookie, branch) = (MAGIC_COOKIE, head.branch);
    let (transport, local) = (transport(head.hop), head.hop.local);
    put(
        &mut out,
        format_args!(" SIP/2.0\r\nVia: SIP/2.0/{transport} {local}"),
    );
    put(
        &mut out,
        format_args!(";branch={cookie}{branch:016x};rport\r\n"),
    );
    for route in head.routes {
        line(&mut out, "Route", route);
    }
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    line(&mut out, "From", head.from);
    line(&mut out, "To", head.to);
    line(&mut out, "Call-ID", head.call_id);
    put(&mut out, format_args!("CSeq: {} {method}\r\n", head.cseq));
    if head.method != Method::Ack {
        line(&mut out, "User-Agent", product);
    }
    out.extend_from_slice(lines.as_bytes());
    finish(out, body)
}

fn finish(mut out: Vec<u8>, body: &[u8]) -> Vec<u8> {
    if !body.is_empty() {
        out.extend_from_slice(b"Content-Type: application/sdp\r\n");
    }
    put(
        &mut out,
        format_args!("Content-Length: {}\r\n\r\n", body.len()),
    );
    out.extend_from_slice(body);
    out
}

/// What every response to a request repeats: Via with the address it came from (RFC 3581 §4),
/// From, To with `tag`, Call-ID and CSeq.
pub(crate) fn response_head(request: &Message<'_>, hop: Hop, tag: &str) -> Vec<u8> {
    let bytes = respond(request, hop.remote, 400, "", Some(tag)).finish();
    let start = bytes.iter().position(|b| *b == b'\n').map_or(0, |i| i + 1);
    let tail = b"Content-Length: 0\r\n\r\n";
    let end = bytes.len() - if bytes.ends_with(tail) { tail.len() } else { 2 };
    bytes[start..end].to_vec()
}

/// A tag of ours, of a number that nobody can guess.
pub(crate) fn tag(number: u64) -> String {
    format!("{number:016x}")
}

/// Whether a tag has the form of [`tag`]: it may be ours, perhaps from before a restart.
pub(crate) fn is_tag_of_ours(tag: &str) -> bool {
    tag.len() == 16 && tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where responses to a request go: the address it came from, always; the port it came from, or on
/// UDP the one in Via where the peer did not ask for symmetry (RFC 3261 §18.2.2, RFC 3581 §4).
pub(crate) fn response_hop(request: &Message<'_>, hop: Hop) -> Hop {
    let mut hop = hop;
    if hop.transport == Transport::Udp
        && let Some(via) = request.top_via()
        && via.rport().is_none()
    {
        hop.remote
            .set_port(via.port.filter(|port| *port != 0).unwrap_or(5060));
    }
    hop
}

/// A response. `lines` are header lines with their ends; the body is SDP.
pub(crate) fn response(
    status: u16,
    reason: Option<&str>,
    head: &[u8],
    product: &str,
    lines: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES_USUAL + body.len());
    let reason = reason.unwrap_or_else(|| reason_phrase(status));
    put(&mut out, format_args!("SIP/2.0 {status} {reason}\r\n"));
    out.extend_from_slice(head);
    if status > 100 {
        line(&mut out, "Server", product);
    }
    out.extend_from_slice(lines.as_bytes());
    finish(out, body)
}

/// The lines of the head of a request of ours, with their ends.
fn lines_of(request: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = request
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map_or(request.len(), |i| i + 2);
    request[..end].split_inclusive(|b| *b == b'\n')
}

/// A request with the transaction of an INVITE of ours: all its lines up to CSeq.
fn belonging(invite: &[u8], method: &str, to: Option<&str>, lines: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES_USUAL);
    for (i, text) in lines_of(invite).enumerate() {
        if i == 0 {
            out.extend_from_slice(method.as_bytes());
            out.extend_from_slice(text.strip_prefix(b"INVITE").unwrap_or(text));
        } else if text.starts_with(b"CSeq: ") {
            let number = text.split(|b| *b == b' ').nth(1).unwrap_or_default();
            out.extend_from_slice(b"CSeq: ");
            out.extend_from_slice(number);
            put(&mut out, format_args!(" {method}\r\n"));
            break;
        } else {
            match to {
                Some(to) if text.starts_with(b"To: ") => line(&mut out, "To", to),
                Some(_) | None => out.extend_from_slice(text),
            }
        }
    }
    out.extend_from_slice(lines.as_bytes());
    finish(out, &[])
}

/// The ACK of a refusal of an INVITE of ours (RFC 3261 §17.1.1.3).
pub(crate) fn ack_of_refusal(invite: &[u8], to: &str) -> Vec<u8> {
    belonging(invite, "ACK", Some(to), "")
}

/// The CANCEL of an INVITE of ours, with further header lines (RFC 3261 §9.1).
pub(crate) fn cancel_of(invite: &[u8], lines: &str) -> Vec<u8> {
    belonging(invite, "CANCEL", None, lines)
}

/// A request of ours again, as a new one that answers a challenge: next CSeq number, new branch,
/// and `credentials`, a header line with its end (RFC 3261 §22.2).
pub(crate) fn with_credentials(
    request: &[u8],
    branch: u64,
    cseq: u32,
    credentials: &str,
) -> Vec<u8> {
    let name = credentials.split(':').next().unwrap_or_default();
    let mut out = Vec::with_capacity(request.len() + credentials.len());
    let mut head = 0;
    let mut is_via_done = false;
    for text in lines_of(request) {
        head += text.len();
        if !is_via_done && text.starts_with(b"Via: ") {
            is_via_done = true;
            let start = text.windows(7).position(|w| w == MAGIC_COOKIE.as_bytes());
            let start = start.expect("our branches begin with the cookie") + 7;
            out.extend_from_slice(&text[..start]);
            put(&mut out, format_args!("{branch:016x}"));
            out.extend_from_slice(&text[start + 16..]);
        } else if text.starts_with(b"CSeq: ") {
            let method = text.split(|b| *b == b' ').nth(2).unwrap_or_default();
            put(&mut out, format_args!("CSeq: {cseq} "));
            out.extend_from_slice(method);
            out.extend_from_slice(credentials.as_bytes());
        } else if !(text.starts_with(name.as_bytes()) && text.get(name.len()) == Some(&b':')) {
            out.extend_from_slice(text);
        }
    }
    out.extend_from_slice(&request[head..]);
    out
}

/// The number in a branch of ours.
pub(crate) fn branch_number(branch: &str) -> Option<u64> {
    let cookie = branch.get(..MAGIC_COOKIE.len())?;
    let number = &branch[MAGIC_COOKIE.len()..];
    (cookie.eq_ignore_ascii_case(MAGIC_COOKIE) && number.len() == 16)
        .then(|| u64::from_str_radix(number, 16).ok())?
}

/// A user part, escaped where it has to be (RFC 3261 §25.1 `user`).
pub(crate) fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A URI of ours on a hop, without `<>`.
pub(crate) fn uri_on(user: &str, hop: Hop) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    let tcp = match hop.transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
    };
    format!("sip:{}{at}{}{tcp}", escape_user(user), hop.local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Vec<u8> {
        let hop = Hop {
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([127, 0, 0, 2], 5060).into(),
        };
        let head = Head {
            method: Method::Invite,
            uri: "sip:1@b\r\nX: y",
            hop,
            branch: 0xab,
            routes: &["<sip:p;lr>".to_owned()],
            from: "<sip:a@a>;tag=1\r\nEvil: yes",
            to: "<sip:1@b>",
            call_id: "c",
            cseq: 7,
        };
        request(&head, "p", "Contact: <sip:a>\r\n", b"v=0\r\n")
    }

    #[test]
    fn no_value_can_add_a_line() {
        let text = String::from_utf8(invite()).unwrap();
        assert!(text.starts_with("INVITE sip:1@bX:y SIP/2.0\r\n"), "{text}");
        assert!(
            text.contains("From: <sip:a@a>;tag=1 Evil: yes\r\n"),
            "{text}"
        );
    }

    #[test]
    fn an_ack_and_a_cancel_repeat_the_invite_up_to_cseq() {
        let ack = String::from_utf8(ack_of_refusal(&invite(), "<sip:1@b>;tag=2")).unwrap();
        assert!(ack.starts_with("ACK sip:1@bX:y SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;"));
        assert!(ack.contains("branch=z9hG4bK00000000000000ab;rport\r\nRoute: <sip:p;lr>\r\n"));
        assert!(ack.ends_with(
            "To: <sip:1@b>;tag=2\r\nCall-ID: c\r\nCSeq: 7 ACK\r\nContent-Length: 0\r\n\r\n"
        ));
        let cancel = String::from_utf8(cancel_of(&invite(), "")).unwrap();
        assert!(cancel.contains("To: <sip:1@b>\r\n") && cancel.contains("CSeq: 7 CANCEL\r\n"));
    }

    #[test]
    fn a_request_with_credentials_is_a_new_one_with_the_same_body() {
        let once = with_credentials(&invite(), 0xcd, 8, "Authorization: Digest a\r\n");
        let twice = with_credentials(&once, 0xce, 9, "Authorization: Digest b\r\n");
        let text = String::from_utf8(twice).unwrap();
        assert!(text.contains("branch=z9hG4bK00000000000000ce;"));
        assert!(text.contains("CSeq: 9 INVITE\r\nAuthorization: Digest b\r\nUser-Agent: p\r\n"));
        assert!(
            text.ends_with("\r\nContent-Length: 5\r\n\r\nv=0\r\n") && !text.contains("Digest a")
        );
    }

    #[test]
    fn only_branches_of_ours_have_a_number() {
        assert_eq!(branch_number("z9hG4bK00000000000000ab"), Some(0xab));
        for branch in [
            "z9hG4bK",
            "",
            "z9hG4bK+0000000000000ab",
            "ä9hG4bK00000000000000ab",
        ] {
            assert_eq!(
                branch_number(branch).filter(|n| *n != 0xab),
                None,
                "{branch}"
            );
        }
    }
}
