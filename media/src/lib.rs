//! RTP, G.711, DTMF, tones, WAV and relaying, over frames and time.
//!
//! Nothing here opens a socket, reads a clock or allocates per packet: packets come in as byte
//! slices, `now` comes in as microseconds of one monotonic clock, and what is to be sent is written
//! into a buffer of the caller's. Any packet of 1 to 65,507 bytes is survived.
//!
//! ```
//! use media::{Codec, relay::Outgoing, rtp::Packet};
//!
//! // A leg that hears a prompt, then the other leg of a bridge: one continuous stream.
//! let mut out = Outgoing::new(0x7a5e, 100, 8000);
//! let mut first = [0u8; 12];
//! out.own(0, 160, 0, &mut first);
//! let mut packet = vec![0x80, 0, 0xab, 0xcd, 0, 0, 0, 9, 1, 2, 3, 4, 0xff, 0xff];
//! assert!(out.relay(20_000, &mut packet, Codec::Pcmu, Codec::Pcmu, 0));
//! let packet = Packet::parse(&packet).unwrap();
//! assert_eq!((packet.sequence(), packet.timestamp(), packet.marker()), (101, 8160, true));
//! ```
#![forbid(unsafe_code)]

pub mod rtp;

pub mod rtcp;

pub mod reception;

pub mod relay;

pub mod g711;

pub mod jitter;

pub mod dtmf;

pub mod detect;

pub mod tone;

pub mod wav;

/// Samples per second of everything here; also the RTP clock rate of G.711 (RFC 3551 §4.5.14).
pub const SAMPLE_RATE: u32 = 8000;

/// Samples, and G.711 bytes, in a packet we send: 20 ms, the default of RFC 3551 §4.2.
pub const FRAME_SAMPLES: usize = 160;

/// How long a packet we send lasts, in µs.
pub const FRAME_US: u64 = 20_000;

/// A G.711 law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// The static payload type (RFC 3551 §6, table 4).
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The byte of this law that says silence.
    pub const fn silence(self) -> u8 {
        match self {
            Codec::Pcmu => 0xff,
            Codec::Pcma => 0xd5,
        }
    }
}

/// Audio ready to be sent: 8 kHz mono, in both laws, so that no packet is ever encoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Clip {
    /// µ-law bytes.
    pub ulaw: Vec<u8>,
    /// A-law bytes.
    pub alaw: Vec<u8>,
}

impl Clip {
    /// Encodes 8 kHz samples in both laws.
    pub fn from_samples(samples: &[i16]) -> Clip {
        Clip {
            ulaw: samples
                .iter()
                .map(|&s| g711::encode(Codec::Pcmu, s))
                .collect(),
            alaw: samples
                .iter()
                .map(|&s| g711::encode(Codec::Pcma, s))
                .collect(),
        }
    }

    /// The bytes of one law.
    pub fn bytes(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcmu => &self.ulaw,
            Codec::Pcma => &self.alaw,
        }
    }

    /// How long it lasts, in samples.
    pub fn samples(&self) -> usize {
        self.ulaw.len()
    }
}
