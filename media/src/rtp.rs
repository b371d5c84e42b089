//! The RTP packet (RFC 3550 §5.1): a view over received bytes, in-place changes, and a writer.
//!
//! [`Packet`] copies nothing and is checked once, by [`Packet::parse`]; afterwards every accessor is
//! a load. The contents of a header extension (RFC 8285) are handed over as bytes, not looked into.

use thiserror::Error;

/// Bytes of the fixed part of the header.
pub const HEADER_BYTES: usize = 12;

/// Most contributing sources a packet can name: the CC field has four bits.
pub const CSRC_MAX: usize = 15;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtpError {
    /// Shorter than its header says.
    #[error("the packet ends inside its header")]
    Short,
    /// The version is not 2. STUN, DTLS and ZRTP end up here (RFC 7983 §7).
    #[error("version {0}, not 2")]
    Version(u8),
    /// The padding count is 0 or more than what follows the header.
    #[error("a padding of {0} bytes cannot be")]
    Padding(u8),
    /// This is an RTCP packet (payload types 64–95 with the marker bit, RFC 5761 §4).
    #[error("this is RTCP")]
    Rtcp,
    /// The buffer given to write into is too small.
    #[error("{0} bytes do not fit")]
    NoRoom(usize),
}

/// A checked view over one received RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    payload_start: usize,
    payload_end: usize,
}

/// A header extension: the profile's 16 bits and the extension's words as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// «defined by profile»; 0xBEDE is the one-byte form of RFC 8285.
    pub profile: u16,
    /// A multiple of four bytes.
    pub bytes: &'a [u8],
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl<'a> Packet<'a> {
    /// Checks the header's lengths.
    ///
    /// # Errors
    /// See [`RtpError`]. What is refused here is counted as malformed and goes nowhere.
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, RtpError> {
        if bytes.len() < HEADER_BYTES {
            return Err(RtpError::Short);
        }
        if bytes[0] >> 6 != 2 {
            return Err(RtpError::Version(bytes[0] >> 6));
        }
        if is_rtcp(bytes) {
            return Err(RtpError::Rtcp);
        }
        let mut start = HEADER_BYTES + 4 * usize::from(bytes[0] & 0x0f);
        if bytes[0] & 0x10 != 0 {
            if bytes.len() < start + 4 {
                return Err(RtpError::Short);
            }
            start += 4 + 4 * usize::from(be16(bytes, start + 2));
        }
        if bytes.len() < start {
            return Err(RtpError::Short);
        }
        let mut end = bytes.len();
        if bytes[0] & 0x20 != 0 {
            let padding = if end > start { bytes[end - 1] } else { 0 };
            // «The last octet of the padding contains a count of how many padding octets should be
            // ignored, including itself»: 0 is as wrong as too many.
            if padding == 0 || usize::from(padding) > end - start {
                return Err(RtpError::Padding(padding));
            }
            end -= usize::from(padding);
        }
        Ok(Packet {
            bytes,
            payload_start: start,
            payload_end: end,
        })
    }

    /// First packet of a talkspurt (RFC 3551 §4.1) or of an event (RFC 4733 §2.5.1.1).
    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// 0 to 127.
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// Counts packets, modulo 2^16.
    pub fn sequence(&self) -> u16 {
        be16(self.bytes, 2)
    }

    /// Counts samples, modulo 2^32.
    pub fn timestamp(&self) -> u32 {
        be32(self.bytes, 4)
    }

    /// The synchronization source.
    pub fn ssrc(&self) -> u32 {
        be32(self.bytes, 8)
    }

    /// The contributing sources, at most [`CSRC_MAX`].
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        let count = usize::from(self.bytes[0] & 0x0f);
        self.bytes[HEADER_BYTES..HEADER_BYTES + 4 * count]
            .chunks_exact(4)
            .map(|c| be32(c, 0))
    }

    /// The header extension, if there is one.
    pub fn extension(&self) -> Option<Extension<'a>> {
        let at = HEADER_BYTES + 4 * usize::from(self.bytes[0] & 0x0f);
        (self.bytes[0] & 0x10 != 0).then(|| Extension {
            profile: be16(self.bytes, at),
            bytes: &self.bytes[at + 4..self.payload_start],
        })
    }

    /// What the packet carries, without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.payload_start..self.payload_end]
    }

    /// Where the payload lies in the bytes given to [`Packet::parse`].
    pub fn payload_range(&self) -> std::ops::Range<usize> {
        self.payload_start..self.payload_end
    }
}

/// Whether a datagram on a port shared with RTP is RTCP (RFC 5761 §4: types 192 to 223).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 2 && bytes[0] >> 6 == 2 && (192..=223).contains(&bytes[1])
}

/// Changes the fixed header of a checked packet in place; everything behind it stays.
///
/// # Panics
/// If `packet` is shorter than [`HEADER_BYTES`]: parse it first.
pub fn rewrite(
    packet: &mut [u8],
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
) {
    let head: &mut [u8; HEADER_BYTES] = packet
        .first_chunk_mut()
        .expect("only packets that were parsed are rewritten");
    head[1] = (payload_type & 0x7f) | if marker { 0x80 } else { 0 };
    head[2..4].copy_from_slice(&sequence.to_be_bytes());
    head[4..8].copy_from_slice(&timestamp.to_be_bytes());
    head[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

/// A header to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// See [`Packet::marker`].
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// See [`Packet::sequence`].
    pub sequence: u16,
    /// See [`Packet::timestamp`].
    pub timestamp: u32,
    /// See [`Packet::ssrc`].
    pub ssrc: u32,
    /// At most [`CSRC_MAX`]; more are left out.
    pub csrcs: &'a [u32],
    /// Its bytes are cut to a multiple of four.
    pub extension: Option<Extension<'a>>,
    /// Bytes of padding to append, counting the count itself; 0 for none.
    pub padding: u8,
}

impl Header<'_> {
    /// Writes header, payload and padding, and returns their length.
    ///
    /// # Errors
    /// [`RtpError::NoRoom`] with the length needed, if `out` is smaller. Nothing is written then.
    pub fn write(&self, payload: &[u8], out: &mut [u8]) -> Result<usize, RtpError> {
        let csrcs = &self.csrcs[..self.csrcs.len().min(CSRC_MAX)];
        let words = self
            .extension
            .map_or(0, |e| (e.bytes.len() / 4).min(usize::from(u16::MAX)));
        let extension_bytes = if self.extension.is_some() {
            4 + 4 * words
        } else {
            0
        };
        let start = HEADER_BYTES + 4 * csrcs.len() + extension_bytes;
        let len = start + payload.len() + usize::from(self.padding);
        if out.len() < len {
            return Err(RtpError::NoRoom(len));
        }
        out[0] = 0x80 | csrcs.len() as u8;
        if self.padding > 0 {
            out[0] |= 0x20;
        }
        rewrite(
            out,
            self.marker,
            self.payload_type,
            self.sequence,
            self.timestamp,
            self.ssrc,
        );
        let mut at = HEADER_BYTES;
        for csrc in csrcs {
            out[at..at + 4].copy_from_slice(&csrc.to_be_bytes());
            at += 4;
        }
        if let Some(extension) = self.extension {
            out[0] |= 0x10;
            out[at..at + 2].copy_from_slice(&extension.profile.to_be_bytes());
            out[at + 2..at + 4].copy_from_slice(&(words as u16).to_be_bytes());
            out[at + 4..start].copy_from_slice(&extension.bytes[..4 * words]);
        }
        out[start..start + payload.len()].copy_from_slice(payload);
        if self.padding > 0 {
            out[start + payload.len()..len - 1].fill(0);
            out[len - 1] = self.padding;
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use webrtc_util::marshal::Unmarshal;

    #[test]
    fn a_packet_with_everything_reads_back_as_written() {
        let header = Header {
            marker: true,
            payload_type: 101,
            sequence: 0xfffe,
            timestamp: 0xdead_beef,
            ssrc: 7,
            csrcs: &[1, 2],
            extension: Some(Extension {
                profile: 0x1234,
                bytes: &[9; 8],
            }),
            padding: 3,
        };
        let mut out = [0xaa; 64];
        let len = header.write(b"hello", &mut out).unwrap();
        assert_eq!(len, 12 + 8 + 12 + 5 + 3);
        let packet = Packet::parse(&out[..len]).unwrap();
        assert_eq!(packet.payload(), b"hello");
        assert!(packet.marker());
        assert_eq!((packet.payload_type(), packet.sequence()), (101, 0xfffe));
        assert_eq!((packet.timestamp(), packet.ssrc()), (0xdead_beef, 7));
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packet.extension(), header.extension);
        assert_eq!(
            header.write(b"hello", &mut out[..39]),
            Err(RtpError::NoRoom(40))
        );
    }

    #[test]
    fn what_is_not_rtp_is_refused_with_a_reason() {
        assert_eq!(Packet::parse(&[0x80; 11]).unwrap_err(), RtpError::Short);
        assert_eq!(
            Packet::parse(&[0x00; 20]).unwrap_err(),
            RtpError::Version(0)
        );
        let mut bytes = [0x80; 12];
        bytes[1] = 200;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), RtpError::Rtcp);
        bytes[1] = 0;
        bytes[0] = 0x8f;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), RtpError::Short);
        bytes[0] = 0xa0;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), RtpError::Padding(0));
    }

    fn likely_rtp() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..80),
            (any::<u8>(), prop::collection::vec(any::<u8>(), 0..120)).prop_map(|(first, mut v)| {
                v.insert(0, 0x80 | (first & 0x3f));
                // Small extension lengths, so that they often fit.
                let at = 12 + 4 * usize::from(first & 0x0f);
                if first & 0x10 != 0 && v.len() > at + 3 {
                    v[at + 2] = 0;
                    v[at + 3] &= 7;
                }
                let last = v.len() - 1;
                v[last] &= 0x1f;
                v
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_rtp_crate_reads_the_same_values(bytes in likely_rtp()) {
            // It panics on some broken extensions of these two profiles (a length beyond the end).
            let at = 12 + 4 * usize::from(bytes[0] & 0x0f);
            let profile = bytes.get(at..at + 2);
            prop_assume!(profile != Some(&[0xbe, 0xde]) && profile != Some(&[0x10, 0x00]));
            let theirs = rtp::packet::Packet::unmarshal(&mut Bytes::from(bytes.clone()));
            let ours = Packet::parse(&bytes);
            match (ours, theirs) {
                (Ok(o), Ok(t)) => {
                    prop_assert_eq!(o.marker(), t.header.marker);
                    prop_assert_eq!(o.payload_type(), t.header.payload_type);
                    prop_assert_eq!(o.sequence(), t.header.sequence_number);
                    prop_assert_eq!(o.timestamp(), t.header.timestamp);
                    prop_assert_eq!(o.ssrc(), t.header.ssrc);
                    prop_assert_eq!(o.csrcs().collect::<Vec<_>>(), t.header.csrc);
                    prop_assert_eq!(o.extension().map(|e| e.profile),
                        t.header.extension.then_some(t.header.extension_profile));
                    if o.extension().is_none() {
                        prop_assert_eq!(o.payload(), &t.payload[..]);
                    }
                }
                // It looks into extensions, and refuses what it finds there.
                (Ok(o), Err(_)) => prop_assert!(o.extension().is_some()),
                // We know more reasons.
                (Err(e), Ok(_)) => prop_assert!(matches!(
                    e, RtpError::Version(_) | RtpError::Rtcp | RtpError::Padding(0)) || bytes[0] & 0x10 != 0, "{e:?}"),
                (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn what_we_write_the_rtp_crate_reads(marker: bool, pt in 0u8..64, seq: u16, ts: u32, ssrc: u32,
            csrcs in prop::collection::vec(any::<u32>(), 0..18), payload in prop::collection::vec(any::<u8>(), 0..300),
            padding in 0u8..9) {
            let header = Header { marker, payload_type: pt, sequence: seq, timestamp: ts, ssrc, csrcs: &csrcs,
                extension: None, padding };
            let mut out = [0; 700];
            let n = header.write(&payload, &mut out).unwrap();
            let t = rtp::packet::Packet::unmarshal(&mut Bytes::copy_from_slice(&out[..n])).unwrap();
            prop_assert_eq!(&t.payload[..], &payload[..]);
            prop_assert_eq!(&t.header.csrc[..], &csrcs[..csrcs.len().min(CSRC_MAX)]);
            prop_assert_eq!((t.header.marker, t.header.payload_type, t.header.sequence_number), (marker, pt, seq));
            prop_assert_eq!((t.header.timestamp, t.header.ssrc), (ts, ssrc));
        }
    }
}
