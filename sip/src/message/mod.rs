//! SIP messages: an index over received bytes, typed views of the headers, and a writer.
//!
//! [`Message::parse`] goes over the head once and remembers where each header lies; nothing is copied and no header
//! is understood before it is asked for. What can be answered although it is broken still parses, and
//! [`Message::validate`] says which [`Fault`] to answer it with. The writer ([`Draft`]) cannot produce a header
//! that ends a line: CR, LF and NUL never reach the wire from a value.

mod address;
mod fault;
mod headers;
mod index;
mod name;
mod uri;
mod validate;
mod via;
mod write;

pub use address::{List, NameAddr, Param, Params, Tokens, unquote};
pub use fault::{Fault, ParseError};
pub use headers::{Challenge, Credential, RAck, ReasonHeader};
pub use index::{Header, Message, OwnedMessage};
pub use name::{Method, Name, reason_phrase};
pub use uri::{Host, Scheme, Uri};
pub use via::Via;
pub use write::{
    Draft, HeaderName, WriteError, ack_for, cancel_for, is_writable, respond, response_to,
    write_quoted,
};

/// Longest message, in bytes. 64 KiB is what a UDP datagram can carry and more than any offer needs.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Most header lines. A long-travelled INVITE has about 40; more than this is an attack on memory.
pub const HEADERS_MAX: usize = 128;

/// Longest header line with its continuation lines, in bytes. An Identity token has about 1 KiB.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Most Via values: the hops that a Max-Forwards of 70 allows (RFC 3261 §8.1.1.6). The 34 of the RFC 4475
/// §3.1.1.7 message have to fit.
pub const VIAS_MAX: usize = 70;

/// Greatest CSeq number (RFC 3261 §8.1.1.5: less than 2**31).
pub const CSEQ_MAX: u32 = (1 << 31) - 1;

/// The start of a branch that identifies a transaction (RFC 3261 §8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";
