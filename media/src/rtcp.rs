//! RTCP (RFC 3550 §6): SR, RR, SDES with a CNAME, and BYE; minimal, but a valid compound packet.
//!
//! [`parse`] checks a compound as RFC 3550 A.2 asks and walks it without copying; the writers fill a
//! buffer of the caller's.

use crate::reception::Block;
use thiserror::Error;

/// Report blocks in one SR or RR: the count field has five bits.
pub const BLOCKS_MAX: usize = 31;

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const BLOCK_BYTES: usize = 24;

/// Why bytes are not an RTCP compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtcpError {
    /// Shorter than the lengths inside say.
    #[error("the packet ends inside one of its parts")]
    Short,
    /// The version is not 2.
    #[error("version {0}, not 2")]
    Version(u8),
    /// The first part is neither SR nor RR.
    #[error("a compound begins with a report, not with type {0}")]
    First(u8),
    /// Padding in a part before the last, or of an impossible length.
    #[error("impossible padding")]
    Padding,
    /// The buffer given to write into is too small.
    #[error("{0} bytes do not fit")]
    NoRoom(usize),
}

/// What a sender says of itself (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP time: seconds since 1900 in the upper half.
    pub ntp: u64,
    /// The same instant on the RTP clock.
    pub rtp_timestamp: u32,
    /// Sent since the start, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent, modulo 2^32.
    pub octets: u32,
}

/// One report block and the fields only a peer fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The receiver's figures.
    pub block: Block,
    /// The middle 32 bits of the last SR's NTP time.
    pub last_sr: u32,
    /// Since that SR, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// A part of a compound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of RFC 3550 §6")]
pub enum Part<'a> {
    /// Sender report.
    SenderReport {
        ssrc: u32,
        info: SenderInfo,
        blocks: Blocks<'a>,
    },
    /// Receiver report.
    ReceiverReport { ssrc: u32, blocks: Blocks<'a> },
    /// Source description: the first chunk's SSRC and CNAME, if it has one.
    Sdes {
        ssrc: Option<u32>,
        cname: Option<&'a [u8]>,
    },
    /// These sources leave.
    Bye {
        first_ssrc: Option<u32>,
        count: u8,
        reason: Option<&'a [u8]>,
    },
    /// Some other type, unread.
    Other { packet_type: u8 },
}

/// The report blocks of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocks<'a>(&'a [u8]);

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;
    fn next(&mut self) -> Option<ReportBlock> {
        let (b, rest) = self.0.split_at_checked(BLOCK_BYTES)?;
        self.0 = rest;
        let lost = be32(&b[4..]) & 0x00ff_ffff;
        Some(ReportBlock {
            block: Block {
                ssrc: be32(b),
                fraction_lost: b[4],
                // Sign-extended from 24 bits.
                lost: ((lost << 8) as i32) >> 8,
                highest_sequence: be32(&b[8..]),
                jitter: be32(&b[12..]),
            },
            last_sr: be32(&b[16..]),
            delay_since_last_sr: be32(&b[20..]),
        })
    }
}

/// Checks a whole compound and walks its parts.
///
/// # Errors
/// See [`RtcpError`]; nothing of a broken compound is handed out.
pub fn parse(bytes: &[u8]) -> Result<impl Iterator<Item = Part<'_>>, RtcpError> {
    let mut rest = bytes;
    let mut first = true;
    while first || !rest.is_empty() {
        if rest.len() < 4 {
            return Err(RtcpError::Short);
        }
        if rest[0] >> 6 != 2 {
            return Err(RtcpError::Version(rest[0] >> 6));
        }
        if first && rest[1] != SR && rest[1] != RR {
            return Err(RtcpError::First(rest[1]));
        }
        let len = part_len(rest);
        if rest.len() < len {
            return Err(RtcpError::Short);
        }
        let body = len - 4;
        let count = usize::from(rest[0] & 0x1f);
        let needed = match rest[1] {
            SR => 24 + BLOCK_BYTES * count,
            RR => 4 + BLOCK_BYTES * count,
            BYE => 4 * count,
            _ => 0,
        };
        if body < needed {
            return Err(RtcpError::Short);
        }
        if rest[0] & 0x20 != 0 {
            let padding = usize::from(rest[len - 1]);
            if len != rest.len() || padding == 0 || padding > body - needed {
                return Err(RtcpError::Padding);
            }
        }
        rest = &rest[len..];
        first = false;
    }
    let mut rest = bytes;
    Ok(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (part, behind) = rest.split_at(part_len(rest));
        rest = behind;
        Some(read(part))
    }))
}

fn part_len(bytes: &[u8]) -> usize {
    4 + 4 * usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))
}

fn read(part: &[u8]) -> Part<'_> {
    let count = part[0] & 0x1f;
    let body = &part[4..];
    let blocks = |from: usize| Blocks(&body[from..from + BLOCK_BYTES * usize::from(count)]);
    match part[1] {
        SR => Part::SenderReport {
            ssrc: be32(body),
            info: SenderInfo {
                ntp: u64::from(be32(&body[4..])) << 32 | u64::from(be32(&body[8..])),
                rtp_timestamp: be32(&body[12..]),
                packets: be32(&body[16..]),
                octets: be32(&body[20..]),
            },
            blocks: blocks(24),
        },
        RR => Part::ReceiverReport {
            ssrc: be32(body),
            blocks: blocks(4),
        },
        SDES => Part::Sdes {
            ssrc: (count > 0 && body.len() >= 4).then(|| be32(body)),
            cname: (count > 0).then(|| cname(body)).flatten(),
        },
        BYE => {
            let after = &body[4 * usize::from(count)..];
            let reason = after
                .split_first()
                .and_then(|(len, text)| text.get(..usize::from(*len)));
            Part::Bye {
                first_ssrc: (count > 0).then(|| be32(body)),
                count,
                reason,
            }
        }
        packet_type => Part::Other { packet_type },
    }
}

fn cname(chunk: &[u8]) -> Option<&[u8]> {
    let mut items = chunk.get(4..)?;
    while let [kind, len, rest @ ..] = items {
        if *kind == 0 {
            return None;
        }
        let text = rest.get(..usize::from(*len))?;
        if *kind == 1 {
            return Some(text);
        }
        items = &rest[usize::from(*len)..];
    }
    None
}

/// Writes SR (with `info`) or RR (without), then SDES with the CNAME, and BYE if `bye`: the smallest
/// compound RFC 3550 §6.1 allows. Returns its length.
///
/// # Errors
/// [`RtcpError::NoRoom`] if `out` is too small; nothing is written then.
pub fn write(
    ssrc: u32,
    info: Option<SenderInfo>,
    blocks: &[ReportBlock],
    cname: &str,
    bye: bool,
    out: &mut [u8],
) -> Result<usize, RtcpError> {
    let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    let report = if info.is_some() { 28 } else { 8 } + BLOCK_BYTES * blocks.len();
    // SSRC, item header and text, and at least one zero byte to the next word.
    let sdes = 4 + (4 + 2 + cname.len() + 1).next_multiple_of(4);
    let len = report + sdes + if bye { 8 } else { 0 };
    if out.len() < len {
        return Err(RtcpError::NoRoom(len));
    }
    let out = &mut out[..len];
    out.fill(0);
    head(
        out,
        blocks.len(),
        if info.is_some() { SR } else { RR },
        report,
    );
    let mut at = put(out, 4, &ssrc.to_be_bytes());
    if let Some(i) = info {
        at = put(out, at, &i.ntp.to_be_bytes());
        for word in [i.rtp_timestamp, i.packets, i.octets] {
            at = put(out, at, &word.to_be_bytes());
        }
    }
    for b in blocks {
        let loss = u32::from(b.block.fraction_lost) << 24 | (b.block.lost as u32 & 0x00ff_ffff);
        let words = [
            b.block.ssrc,
            loss,
            b.block.highest_sequence,
            b.block.jitter,
            b.last_sr,
            b.delay_since_last_sr,
        ];
        for word in words {
            at = put(out, at, &word.to_be_bytes());
        }
    }
    head(&mut out[at..], 1, SDES, sdes);
    put(out, at + 4, &ssrc.to_be_bytes());
    put(out, at + 8, &[1, cname.len() as u8]);
    put(out, at + 10, cname);
    at += sdes;
    if bye {
        head(&mut out[at..], 1, BYE, 8);
        put(out, at + 4, &ssrc.to_be_bytes());
    }
    Ok(len)
}

fn head(out: &mut [u8], count: usize, packet_type: u8, len: usize) {
    out[0] = 0x80 | count as u8;
    out[1] = packet_type;
    out[2..4].copy_from_slice(&((len / 4 - 1) as u16).to_be_bytes());
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    out[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn a_block(lost: i32) -> ReportBlock {
        let block = Block {
            ssrc: 9,
            fraction_lost: 12,
            lost,
            highest_sequence: 70_000,
            jitter: 33,
        };
        ReportBlock {
            block,
            last_sr: 5,
            delay_since_last_sr: 6,
        }
    }

    #[test]
    fn a_compound_reads_back_as_written() {
        let info = SenderInfo {
            ntp: 0x1122_3344_5566_7788,
            rtp_timestamp: 1,
            packets: 2,
            octets: 3,
        };
        let mut out = [0xff; 200];
        let n = write(
            7,
            Some(info),
            &[a_block(-2), a_block(8)],
            "tandem@x",
            true,
            &mut out,
        )
        .unwrap();
        let parts: Vec<_> = parse(&out[..n]).unwrap().collect();
        let Part::SenderReport {
            ssrc: 7,
            info: got,
            blocks,
        } = parts[0]
        else {
            panic!("{parts:?}")
        };
        assert_eq!(got, info);
        assert_eq!(blocks.collect::<Vec<_>>(), [a_block(-2), a_block(8)]);
        assert_eq!(
            parts[1],
            Part::Sdes {
                ssrc: Some(7),
                cname: Some(b"tandem@x")
            }
        );
        assert_eq!(
            parts[2],
            Part::Bye {
                first_ssrc: Some(7),
                count: 1,
                reason: None
            }
        );
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn a_compound_that_does_not_begin_with_a_report_is_refused() {
        let mut out = [0; 64];
        let n = write(7, None, &[], "c", true, &mut out).unwrap();
        assert_eq!(parse(&out[8..n]).err(), Some(RtcpError::First(SDES)));
        assert_eq!(parse(&out[..n - 4]).err(), Some(RtcpError::Short));
        assert_eq!(parse(&[]).err(), Some(RtcpError::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 1..300), kind in 198u8..208) {
            let _walked = parse(&bytes).map(|parts| parts.count());
            bytes[0] = 0x80 | (bytes[0] & 0x3f);
            if bytes.len() >= 4 {
                bytes[1] = kind;
                let words = (bytes.len() / 4 - 1) as u16;
                bytes[2..4].copy_from_slice(&words.to_be_bytes());
            }
            if let Ok(parts) = parse(&bytes) {
                for part in parts {
                    if let Part::SenderReport { blocks, .. } | Part::ReceiverReport { blocks, .. } = part {
                        prop_assert!(blocks.count() <= BLOCKS_MAX);
                    }
                }
            }
        }
    }
}
