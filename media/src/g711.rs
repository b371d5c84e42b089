//! G.711 (ITU-T G.711, 1988): both laws to and from 16-bit samples, and one law to the other.
//!
//! Everything is a table made at compile time. µ-law keeps 14 bits of a sample and A-law 13, so the
//! encoding tables need no more entries than that.

use crate::Codec;

/// µ-law byte to sample.
pub static ULAW_SAMPLES: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = ulaw_sample(i as u8);
        i += 1;
    }
    table
};

/// A-law byte to sample.
pub static ALAW_SAMPLES: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = alaw_sample(i as u8);
        i += 1;
    }
    table
};

/// µ-law byte to the A-law byte nearest in amplitude.
pub static ULAW_TO_ALAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = alaw_byte(ulaw_sample(i as u8));
        i += 1;
    }
    table
};

/// A-law byte to the µ-law byte nearest in amplitude.
pub static ALAW_TO_ULAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = ulaw_byte(alaw_sample(i as u8));
        i += 1;
    }
    table
};

static ULAW_BYTES: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut i = 0;
    while i < table.len() {
        table[i] = ulaw_byte(((i << 2) as u16) as i16);
        i += 1;
    }
    table
};

static ALAW_BYTES: [u8; 1 << 13] = {
    let mut table = [0; 1 << 13];
    let mut i = 0;
    while i < table.len() {
        table[i] = alaw_byte(((i << 3) as u16) as i16);
        i += 1;
    }
    table
};

/// One sample to one byte.
#[inline]
pub fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcmu => ULAW_BYTES[usize::from(sample as u16 >> 2)],
        Codec::Pcma => ALAW_BYTES[usize::from(sample as u16 >> 3)],
    }
}

/// One byte to one sample.
#[inline]
pub fn decode(codec: Codec, byte: u8) -> i16 {
    match codec {
        Codec::Pcmu => ULAW_SAMPLES[usize::from(byte)],
        Codec::Pcma => ALAW_SAMPLES[usize::from(byte)],
    }
}

/// Decodes as much as fits in `out`, and returns how many samples that was.
pub fn decode_into(codec: Codec, bytes: &[u8], out: &mut [i16]) -> usize {
    let table = match codec {
        Codec::Pcmu => &ULAW_SAMPLES,
        Codec::Pcma => &ALAW_SAMPLES,
    };
    for (sample, byte) in out.iter_mut().zip(bytes) {
        *sample = table[usize::from(*byte)];
    }
    bytes.len().min(out.len())
}

/// Changes bytes of one law into the other's, in place.
pub fn transcode(from: Codec, to: Codec, bytes: &mut [u8]) {
    let table = match (from, to) {
        (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) => return,
        (Codec::Pcmu, Codec::Pcma) => &ULAW_TO_ALAW,
        (Codec::Pcma, Codec::Pcmu) => &ALAW_TO_ULAW,
    };
    for byte in bytes {
        *byte = table[usize::from(*byte)];
    }
}

/// Table 2a/2b of G.711 as arithmetic. The magnitude of a negative sample is its one's complement,
/// which keeps the two signs symmetric.
const fn ulaw_byte(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } >> 2) as u32 + 33;
    let magnitude = if magnitude > 0x1fff {
        0x1fff
    } else {
        magnitude
    };
    let segment = 26 - magnitude.leading_zeros();
    let mantissa = (magnitude >> (segment + 1)) & 0x0f;
    let byte = !((segment << 4 | mantissa) as u8) & 0x7f;
    if sample < 0 { byte } else { byte | 0x80 }
}

const fn ulaw_sample(byte: u8) -> i16 {
    let bits = !byte;
    let segment = (bits >> 4) & 7;
    let magnitude = (((((bits & 0x0f) as i16) << 3) + 0x84) << segment) - 0x84;
    if byte & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// Table 1a/1b of G.711 as arithmetic; even bits are inverted on the wire.
const fn alaw_byte(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } >> 4) as u32;
    let code = if magnitude < 32 {
        magnitude
    } else {
        let segment = 28 - magnitude.leading_zeros();
        (segment << 4) | ((magnitude >> (segment - 1)) & 0x0f)
    } as u8;
    (if sample < 0 { code } else { code | 0x80 }) ^ 0x55
}

const fn alaw_sample(byte: u8) -> i16 {
    let bits = byte ^ 0x55;
    let segment = (bits >> 4) & 7;
    let mantissa = ((bits & 0x0f) as i16) << 4;
    let magnitude = if segment == 0 {
        mantissa + 8
    } else {
        (mantissa + 0x108) << (segment - 1)
    };
    if bits & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_of_both_laws_are_those_of_the_recommendation() {
        let u = [
            (0, 0xff),
            (-1, 0x7f),
            (32767, 0x80),
            (-32768, 0x00),
            (8, 0xfe),
            (1000, 0xce),
            (-1000, 0x4e),
        ];
        for (sample, byte) in u {
            assert_eq!(encode(Codec::Pcmu, sample), byte, "µ of {sample}");
        }
        let a = [
            (0, 0xd5),
            (-1, 0x55),
            (32767, 0xaa),
            (-32768, 0x2a),
            (16, 0xd4),
            (1000, 0xfa),
            (-1000, 0x7a),
        ];
        for (sample, byte) in a {
            assert_eq!(encode(Codec::Pcma, sample), byte, "A of {sample}");
        }
        assert_eq!(
            (decode(Codec::Pcmu, 0x00), decode(Codec::Pcmu, 0x80)),
            (-32124, 32124)
        );
        assert_eq!(
            (decode(Codec::Pcma, 0x2a), decode(Codec::Pcma, 0xaa)),
            (-32256, 32256)
        );
        assert_eq!(
            (decode(Codec::Pcma, 0xd5), decode(Codec::Pcma, 0x55)),
            (8, -8)
        );
    }

    #[test]
    fn every_byte_survives_decoding_and_encoding() {
        for byte in 0..=255u8 {
            assert_eq!(encode(Codec::Pcma, decode(Codec::Pcma, byte)), byte);
            // µ-law has two zeros; the negative one becomes the positive.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(encode(Codec::Pcmu, decode(Codec::Pcmu, byte)), expected);
        }
    }

    #[test]
    fn the_error_of_every_sample_is_within_half_a_step() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for sample in -32768..=32767i16 {
                let back = i32::from(decode(codec, encode(codec, sample)));
                let magnitude = i32::from(sample).abs();
                let allowed =
                    ((magnitude + 132) / 30).max(16) + if magnitude > 32000 { 700 } else { 0 };
                assert!(
                    (back - i32::from(sample)).abs() <= allowed,
                    "{codec:?} {sample} {back}"
                );
            }
        }
    }

    #[test]
    fn one_law_becomes_the_other_within_a_step() {
        for byte in 0..=255u8 {
            let mut there = [byte];
            transcode(Codec::Pcmu, Codec::Pcma, &mut there);
            let (u, a) = (
                i32::from(decode(Codec::Pcmu, byte)),
                i32::from(decode(Codec::Pcma, there[0])),
            );
            assert!((u - a).abs() <= (u.abs() / 16).max(16), "{u} {a}");
        }
        assert_eq!(ULAW_TO_ALAW[0xff], 0xd5);
        assert_eq!(ALAW_TO_ULAW[0xaa], 0x80);
    }
}
