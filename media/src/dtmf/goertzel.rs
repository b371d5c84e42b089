//! DTMF heard in the audio (ITU-T Q.23, Q.24): a bank of Goertzel filters over blocks of 205 samples.
//!
//! A block is a key if one row and one column stand out, are about equally loud, hold most of the
//! energy, and have no second harmonic (a voice does). A key is told once, at its second block, so a
//! press of 52 ms is always found and one under 26 ms never.

use super::{COLUMNS, PAD, ROWS};
use crate::SAMPLE_RATE;

/// Samples per block: the length at which the eight tones lie closest to whole bins.
pub const BLOCK_SAMPLES: usize = 205;

/// Quieter blocks are silence: about −40 dBm0.
const LEVEL_MIN: f32 = 230.0;

/// The columns may be this much louder than the rows, in power: 4 dB (Q.24, Europe and USA).
const TWIST_MAX: f32 = 2.51;

/// The rows may be this much louder than the columns, in power: 8 dB.
const REVERSE_TWIST_MAX: f32 = 6.31;

/// The best tone of a group is this much stronger than its others, in power: 8 dB.
const DOMINANCE_MIN: f32 = 6.3;

/// The two tones hold this share of the block's energy.
const SHARE_MIN: f32 = 0.7;

/// A second harmonic above this share of its tone is a voice: −10 dB.
const HARMONIC_MAX: f32 = 0.1;

/// The amplitude of `hz` in `samples`: that of a sine which alone would measure as much.
pub fn amplitude(samples: &[i16], hz: f32) -> f32 {
    let (mut s1, mut s2) = (0f32, 0f32);
    let w = std::f32::consts::TAU * hz / SAMPLE_RATE as f32;
    let c = 2.0 * w.cos();
    for &x in samples {
        let s = f32::from(x) + c * s1 - s2;
        s2 = s1;
        s1 = s;
    }
    let power = (s1 * s1 + s2 * s2 - c * s1 * s2).max(0.0);
    if samples.is_empty() {
        0.0
    } else {
        power.sqrt() * 2.0 / samples.len() as f32
    }
}

/// Finds key presses in a stream of samples.
#[derive(Clone, Debug)]
pub struct Detector {
    block: [i16; BLOCK_SAMPLES],
    filled: usize,
    /// The key of the block before.
    last: Option<char>,
    /// The key being held, already told.
    held: Option<char>,
    misses: u8,
}

impl Default for Detector {
    fn default() -> Detector {
        Detector {
            block: [0; BLOCK_SAMPLES],
            filled: 0,
            last: None,
            held: None,
            misses: 0,
        }
    }
}

impl Detector {
    /// Takes samples of any number and hands each key found to `press`, once per press.
    pub fn samples(&mut self, mut samples: &[i16], mut press: impl FnMut(char)) {
        while !samples.is_empty() {
            let take = samples.len().min(BLOCK_SAMPLES - self.filled);
            self.block[self.filled..self.filled + take].copy_from_slice(&samples[..take]);
            samples = &samples[take..];
            self.filled += take;
            if self.filled == BLOCK_SAMPLES {
                self.filled = 0;
                let found = classify(&self.block);
                if let Some(key) = self.hear(found) {
                    press(key);
                }
            }
        }
    }

    fn hear(&mut self, found: Option<char>) -> Option<char> {
        let again = found.filter(|_| found == self.last);
        self.last = found;
        if found.is_some() && found == self.held {
            self.misses = 0;
            return None;
        }
        if let Some(key) = again {
            self.held = Some(key);
            self.misses = 0;
            return Some(key);
        }
        // One bad block (a lost packet) does not end a press; two do (Q.24: 40 ms of pause).
        self.misses += 1;
        if self.misses >= 2 {
            self.held = None;
            self.misses = 2;
        }
        None
    }
}

fn classify(block: &[i16; BLOCK_SAMPLES]) -> Option<char> {
    let energy = block
        .iter()
        .map(|&x| f32::from(x) * f32::from(x))
        .sum::<f32>()
        / BLOCK_SAMPLES as f32;
    if energy.sqrt() < LEVEL_MIN {
        return None;
    }
    // Mean power of a sine of that amplitude.
    let power = |hz: u16| amplitude(block, f32::from(hz)).powi(2) / 2.0;
    let rows = ROWS.map(power);
    let columns = COLUMNS.map(power);
    let row = dominant(&rows)?;
    let column = dominant(&columns)?;
    let (low, high) = (rows[row], columns[column]);
    let plausible = high <= low * TWIST_MAX
        && low <= high * REVERSE_TWIST_MAX
        && low + high >= SHARE_MIN * energy
        && power(2 * ROWS[row]) <= HARMONIC_MAX * low
        && power(2 * COLUMNS[column]) <= HARMONIC_MAX * high;
    plausible.then_some(PAD[row][column])
}

fn dominant(powers: &[f32; 4]) -> Option<usize> {
    let best = (0..4)
        .max_by(|a, b| powers[*a].total_cmp(&powers[*b]))
        .expect("four tones");
    let alone = (0..4).all(|i| i == best || powers[best] > DOMINANCE_MIN * powers[i]);
    alone.then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{KEYS, frequencies};
    use crate::g711;
    use crate::tone::tone;

    fn press(key: char, ms: u32) -> Vec<i16> {
        let (low, high) = frequencies(key).unwrap();
        tone(&[(f32::from(low), 5000.0), (f32::from(high), 5000.0)], ms)
    }

    fn heard(samples: &[i16]) -> String {
        let mut told = String::new();
        let mut detector = Detector::default();
        // Frames of a packet, so that blocks straddle them.
        for frame in samples.chunks(160) {
            detector.samples(frame, |k| told.push(k));
        }
        told
    }

    #[test]
    fn every_key_is_heard_once_through_both_laws() {
        for codec in [crate::Codec::Pcmu, crate::Codec::Pcma] {
            let mut audio = Vec::new();
            for key in KEYS {
                audio.extend(press(key, 80));
                audio.extend([0; 560]);
            }
            for s in &mut audio {
                *s = g711::decode(codec, g711::encode(codec, *s));
            }
            assert_eq!(heard(&audio), KEYS.iter().collect::<String>());
        }
    }

    #[test]
    fn the_same_key_twice_is_two_and_a_gap_of_one_block_is_one() {
        let mut twice = press('5', 100);
        twice.extend([0; 640]);
        twice.extend(press('5', 100));
        assert_eq!(heard(&twice), "55");
        let mut gap = press('5', 300);
        gap[1000..1160].fill(0);
        assert_eq!(heard(&gap), "5");
    }

    #[test]
    fn twisted_quiet_harmonic_and_single_tones_are_no_keys() {
        assert_eq!(
            heard(&tone(&[(770.0, 1000.0), (1336.0, 4000.0)], 300)),
            "",
            "12 dB of twist"
        );
        assert_eq!(
            heard(&tone(&[(770.0, 4000.0), (1336.0, 1000.0)], 300)),
            "",
            "12 dB of reverse twist"
        );
        assert_eq!(
            heard(&tone(&[(770.0, 80.0), (1336.0, 80.0)], 300)),
            "",
            "quiet"
        );
        assert_eq!(heard(&tone(&[(770.0, 8000.0)], 300)), "", "one tone");
        let voice = tone(&[(770.0, 4000.0), (1336.0, 4000.0), (1540.0, 2500.0)], 300);
        assert_eq!(heard(&voice), "", "a second harmonic");
        assert_eq!(heard(&tone(&[(425.0, 8000.0)], 1000)), "", "ringback");
    }

    #[test]
    fn noise_is_no_key() {
        let mut x = 1u32;
        let noise: Vec<i16> = (0..800_000)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (x >> 16) as i16
            })
            .collect();
        assert_eq!(heard(&noise), "");
    }

    #[test]
    fn the_amplitude_of_a_sine_is_measured() {
        let a = amplitude(&tone(&[(1000.0, 6000.0)], 200), 1000.0);
        assert!((5850.0..6050.0).contains(&a), "{a}");
    }
}
