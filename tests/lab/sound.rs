//! Who is heard in a recording: each party of the lab sends a tone of its own.

use media::dtmf::goertzel::amplitude;
use std::path::Path;

/// The tones of the lab: baresip, Asterisk as carrier, Asterisk as phone.
pub const TONES: [f32; 3] = [440.0, 600.0, 900.0];

/// One channel of a WAV file, which may still be growing or have an unfinished head.
pub fn channel(file: &Path, channel: usize) -> Vec<i16> {
    let Ok(mut wav) = hound::WavReader::open(file) else {
        return Vec::new();
    };
    let channels = usize::from(wav.spec().channels);
    assert_eq!(wav.spec().sample_rate, 8_000, "{}", file.display());
    wav.samples::<i16>()
        .filter_map(Result::ok)
        .skip(channel)
        .step_by(channels)
        .collect()
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
