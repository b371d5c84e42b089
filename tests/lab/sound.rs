//! Who is heard in a recording: each party of the lab sends a tone of its own.

use media::dtmf::goertzel::amplitude;
use std::path::Path;

/// The tones of the lab: baresip, Asterisk as carrier, Asterisk as phone.
pub const TONES: [f32; 3] = [440.0, 600.0, 900.0];

/// One channel of a WAV file of 16-bit samples. It may still be growing: a head that says nothing about
/// the length yet means the rest of the file.
pub fn channel(file: &Path, channel: usize) -> Vec<i16> {
    let bytes = std::fs::read(file).unwrap_or_default();
    let Some(data) = bytes.windows(4).position(|name| name == b"data") else {
        return Vec::new();
    };
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    assert_eq!(number(24), 8_000, "{}: samples per second", file.display());
    let channels = (number(20) >> 16) as usize;
    let rest = &bytes[data + 8..];
    let length = match number(data + 4) as usize {
        0 => rest.len(),
        length => length.min(rest.len()),
    };
    let samples = rest[..length].chunks_exact(2);
    let samples = samples.map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    samples.skip(channel).step_by(channels).collect()
}

/// How many of the 100 ms blocks hold this tone clearly, and none of the others.
pub fn blocks_of(samples: &[i16], hz: f32) -> usize {
    samples
        .chunks_exact(800)
        .filter(|block| {
            let own = amplitude(block, hz);
            own > 500.0
                && TONES
                    .iter()
                    .filter(|tone| **tone != hz)
                    .all(|tone| amplitude(block, *tone) < own / 10.0)
        })
        .count()
}

/// Asserts that a tone was heard for at least `tenths` of 100 ms.
pub fn assert_heard(file: &Path, which: usize, hz: f32, tenths: usize) {
    let samples = channel(file, which);
    let blocks = blocks_of(&samples, hz);
    assert!(
        blocks >= tenths,
        "{}: {hz} Hz in {blocks} of {} blocks, {tenths} wanted",
        file.display(),
        samples.len() / 800
    );
}
