//! A SIP stack without IO: bytes, wishes and time in; bytes and facts out (RFC 3261).
//!
//! [`endpoint::Endpoint`] is the whole: transactions, dialogs, INVITE sessions, registrar and our
//! registrations. Below it lie the message index, the framing of streams, SDP with offer and answer,
//! and digest; each is usable alone.
//!
//! ```
//! use model::{Now, Outbox};
//! use sip::digest::Algorithm;
//! use sip::endpoint::{Command, Config, Endpoint, Hop, Input, Transport};
//!
//! let config = Config {
//!     realm: "example".to_owned(),
//!     product: "Tandem".to_owned(),
//!     accounts: Vec::new(),
//!     trunks: Vec::new(),
//!     expires_s: (60, 3600),
//!     first_leg: 1,
//!     open: true,
//!     t1_ms: 500,
//!     digests: vec![Algorithm::Sha256, Algorithm::Md5],
//! };
//! let mut endpoint = Endpoint::new(config, [7; 32]);
//! let hop = Hop {
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse().unwrap(),
//!     remote: "192.0.2.2:5060".parse().unwrap(),
//! };
//! let bytes = b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\n\
//!     From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
//! let mut out = Outbox::new();
//! endpoint.handle(Now::default(), Input::Received { hop, bytes }, &mut out);
//! let Some(Command::Send { bytes, .. }) = out.commands.pop_front() else { panic!() };
//! assert!(bytes.starts_with(b"SIP/2.0 200 OK\r\n"));
//! ```
#![forbid(unsafe_code)]

pub mod endpoint;

mod admit;
mod dialog;
mod invite;
mod registrar;
mod registration;
mod transaction;

pub mod auth;
mod nonce;
mod siphash;
mod write;

pub mod digest;
pub mod frame;
pub mod message;
pub mod offer_answer;
pub mod sdp;
