//! Cutting messages out of a byte stream (RFC 3261 §18.3), and the keep-alives between them (RFC 5626 §3.5.1).
//!
//! Handed what has arrived so far, it says what stands at the beginning. It keeps nothing: who owns the connection
//! owns the buffer, drops what was consumed, and closes after an error.

use crate::message::{Fault, MESSAGE_BYTES_MAX, Message, Name, ParseError};

/// What stands at the beginning of a stream's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
pub enum Frame<'a> {
    /// Nothing whole yet: read more.
    Incomplete,
    /// A double CRLF: drop `consumed` bytes and send [`PONG`].
    Ping { consumed: usize },
    /// A pong, or line ends that ask for nothing: drop `consumed` bytes.
    KeepAlive { consumed: usize },
    /// One message; drop `consumed` bytes after it was handled.
    Message { bytes: &'a [u8], consumed: usize },
}

/// The answer to a ping.
pub const PONG: &[u8] = b"\r\n";

/// The stream is lost: where the next message begins cannot be known. Answer, if there is something to, and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
pub enum FrameError<'a> {
    /// No SIP at all, or too long to be taken in: close.
    NotSip(ParseError),
    /// Content-Length is missing (and what follows is no session description), repeated or broken: answer the request whose head this is with the fault's
    /// status, then close.
    Fault { head: &'a [u8], fault: Fault },
    /// Content-Length is beyond [`MESSAGE_BYTES_MAX`]: answer 513, then close.
    TooLong { head: &'a [u8] },
}

/// The length of the head with its empty line. A line that ends in LF alone ends too, so that a peer that sends
/// no CR is answered rather than waited for.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            if matches!(&bytes[line_start..i], b"" | b"\r") {
                return Some(i + 1);
            }
            line_start = i + 1;
        }
    }
    None
}

/// The length of the session description that `bytes` begin with: whole lines of a letter, `=` and text
/// (RFC 8866 §5). No message begins with such a line.
fn description_length(bytes: &[u8]) -> usize {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .take_while(|line| matches!(line, [b'a'..=b'z', b'=', .., b'\n']))
        .map(<[u8]>::len)
        .sum()
}

/// Says what stands at the beginning of `bytes`.
///
/// ```
/// use sip::frame::{Frame, frame};
/// let bytes = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 2\r\n\r\nhiOPTIONS";
/// let Ok(Frame::Message { bytes: message, consumed }) = frame(bytes) else { panic!() };
/// assert!(message.ends_with(b"hi") && consumed == bytes.len() - 7);
/// ```
pub fn frame(bytes: &[u8]) -> Result<Frame<'_>, FrameError<'_>> {
    match bytes {
        [] | b"\r" => return Ok(Frame::Incomplete),
        [b'\r', b'\n', b'\r', b'\n', ..] => return Ok(Frame::Ping { consumed: 4 }),
        // Half of a ping may still be under way; a single CRLF asks for nothing either way, unless it is followed.
        b"\r\n" | b"\r\n\r" => return Ok(Frame::Incomplete),
        [b'\r', b'\n', ..] => return Ok(Frame::KeepAlive { consumed: 2 }),
        [b'\n', ..] => return Ok(Frame::KeepAlive { consumed: 1 }),
        _ => {}
    }
    let window = &bytes[..bytes.len().min(MESSAGE_BYTES_MAX)];
    let Some(length) = head_length(window) else {
        if window.len() == MESSAGE_BYTES_MAX {
            return Err(FrameError::NotSip(ParseError::TooLong));
        }
        return Ok(Frame::Incomplete);
    };
    let head = &bytes[..length];
    let message = Message::parse(head).map_err(FrameError::NotSip)?;
    let mut lines = message.header_lines(Name::ContentLength);
    let Some(value) = lines.next() else {
        // RFC 2543 did not ask for it. Only a session description says by its form where it ends.
        if bytes[length..].starts_with(b"v=") {
            let total = length + description_length(&bytes[length..]);
            return Ok(Frame::Message {
                bytes: &bytes[..total],
                consumed: total,
            });
        }
        return Err(FrameError::Fault {
            head,
            fault: Fault::Missing(Name::ContentLength),
        });
    };
    if lines.next().is_some() {
        return Err(FrameError::Fault {
            head,
            fault: Fault::Repeated(Name::ContentLength),
        });
    }
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FrameError::Fault {
            head,
            fault: Fault::Malformed(Name::ContentLength),
        });
    }
    // Digits that do not fit are too long in any case.
    let body = value.parse::<usize>().unwrap_or(usize::MAX);
    let total = length.saturating_add(body);
    if total > MESSAGE_BYTES_MAX {
        return Err(FrameError::TooLong { head });
    }
    match bytes.get(..total) {
        Some(bytes) => Ok(Frame::Message {
            bytes,
            consumed: total,
        }),
        None => Ok(Frame::Incomplete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n";

    #[test]
    fn a_message_is_whole_only_with_its_last_byte() {
        let bytes = format!("{HEAD}l : 3\r\n\r\nabc\r\n\r\n");
        let whole = bytes.len() - 4;
        for n in 0..whole {
            assert_eq!(frame(&bytes.as_bytes()[..n]), Ok(Frame::Incomplete), "{n}");
        }
        let expected = Frame::Message {
            bytes: &bytes.as_bytes()[..whole],
            consumed: whole,
        };
        assert_eq!(frame(bytes.as_bytes()), Ok(expected));
        assert_eq!(
            frame(&bytes.as_bytes()[whole..]),
            Ok(Frame::Ping { consumed: 4 })
        );
    }

    #[test]
    fn a_single_line_end_before_a_message_is_dropped() {
        assert_eq!(frame(b"\r\nOPTIONS"), Ok(Frame::KeepAlive { consumed: 2 }));
        assert_eq!(frame(b"\r\n\r\nOPTIONS"), Ok(Frame::Ping { consumed: 4 }));
        assert_eq!(frame(b"\r\n"), Ok(Frame::Incomplete));
    }

    #[test]
    fn a_broken_content_length_is_answered_with_400_and_ends_the_stream() {
        for (line, fault) in [
            (
                "Content-Length: -999\r\n",
                Fault::Malformed(Name::ContentLength),
            ),
            (
                "Content-Length: 1x\r\n",
                Fault::Malformed(Name::ContentLength),
            ),
            ("Content-Length:\r\n", Fault::Malformed(Name::ContentLength)),
            ("", Fault::Missing(Name::ContentLength)),
            (
                "l: 1\r\nContent-Length: 1\r\n",
                Fault::Repeated(Name::ContentLength),
            ),
        ] {
            let bytes = format!("{HEAD}{line}\r\nbody");
            match frame(bytes.as_bytes()) {
                Err(FrameError::Fault { head, fault: found }) => {
                    assert_eq!((found, found.status()), (fault, 400));
                    assert!(Message::parse(head).expect("a head").top_via().is_some());
                }
                other => panic!("{line:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_would_not_fit_is_refused_before_it_is_read() {
        for length in ["65536", "4294967296", "99999999999999999999999999"] {
            let bytes = format!("{HEAD}Content-Length: {length}\r\n\r\n");
            assert!(
                matches!(frame(bytes.as_bytes()), Err(FrameError::TooLong { .. })),
                "{length}"
            );
        }
        let endless = vec![b'x'; MESSAGE_BYTES_MAX];
        assert_eq!(
            frame(&endless),
            Err(FrameError::NotSip(ParseError::TooLong))
        );
    }

    #[test]
    fn a_peer_without_carriage_returns_is_framed_so_that_it_can_be_answered() {
        let bytes = b"OPTIONS sip:a@b SIP/2.0\nContent-Length: 0\n\n";
        assert!(!matches!(frame(bytes), Ok(Frame::Incomplete)));
    }
}
