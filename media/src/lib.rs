//! Placeholder.
/// A G.711 law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// Audio ready to be sent: 8 kHz mono, in both laws, so that no packet is ever encoded.
#[derive(Debug)]
pub struct Clip {
    /// µ-law bytes.
    pub ulaw: Vec<u8>,
    /// A-law bytes.
    pub alaw: Vec<u8>,
}
