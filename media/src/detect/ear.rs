//! Samples of any number become frames of 20 ms, each with its level and its lines.
//!
//! All detectors listen through one ear, so that a sound is measured once. A packet that never came
//! is a frame about which nothing is known; windows that reach over the hole have no lines.

use super::spectrum::{self, Lines, WINDOW};
use crate::{FRAME_SAMPLES, FRAME_US};

/// A frame in ms.
pub const FRAME_MS: u32 = (FRAME_US / 1000) as u32;

/// What digital silence is called, in dBm0.
pub const SILENCE_DBM0: f32 = -90.0;

/// Frames quieter than this, in dBm0, have no lines: tones are −35 at the least.
const LINES_DBM0_MIN: f32 = -48.0;

/// Decibels of a root-mean-square of 1 below 0 dBm0: a full-scale sine is +3.17 dBm0 (G.711 table 5).
const UNIT_DBM0: f32 = 83.96;

/// Frames that a window reaches over.
const WINDOW_FRAMES: u8 = WINDOW.div_ceil(FRAME_SAMPLES) as u8;

/// 20 ms of sound as the detectors see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Its level in dBm0; `None` if its packet was lost.
    pub level_dbm0: Option<f32>,
    /// The lines of the 64 ms that end with it.
    pub sound: Sound,
}

/// What is known of the last 64 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sound {
    /// Some of it was lost.
    Unknown,
    /// The last frame is too quiet to hold a tone.
    Quiet,
    /// Its lines.
    Lines(Lines),
}

/// The framing and measuring in front of the detectors.
#[derive(Clone, Debug)]
pub struct Ear {
    /// The last samples, oldest first; the frame being filled is at the end.
    window: [i16; WINDOW],
    filled: usize,
    /// Frames until the window has no hole any more.
    holed: u8,
}

impl Default for Ear {
    fn default() -> Ear {
        Ear {
            window: [0; WINDOW],
            filled: 0,
            holed: 0,
        }
    }
}

impl Ear {
    /// Takes samples of any number and hands out each frame they complete.
    pub fn samples(&mut self, mut samples: &[i16], mut frame: impl FnMut(Frame)) {
        while !samples.is_empty() {
            if self.filled == 0 {
                self.window.copy_within(FRAME_SAMPLES.., 0);
            }
            let take = samples.len().min(FRAME_SAMPLES - self.filled);
            let at = WINDOW - FRAME_SAMPLES + self.filled;
            self.window[at..at + take].copy_from_slice(&samples[..take]);
            samples = &samples[take..];
            self.filled += take;
            if self.filled == FRAME_SAMPLES {
                self.filled = 0;
                frame(self.measure());
            }
        }
    }

    /// Says that a frame was lost; what is left of a half-filled one goes with it.
    pub fn lost(&mut self) -> Frame {
        self.window.copy_within(FRAME_SAMPLES.., 0);
        self.window[WINDOW - FRAME_SAMPLES..].fill(0);
        self.filled = 0;
        self.holed = WINDOW_FRAMES;
        Frame {
            level_dbm0: None,
            sound: Sound::Unknown,
        }
    }

    fn measure(&mut self) -> Frame {
        let level = level_dbm0(&self.window[WINDOW - FRAME_SAMPLES..]);
        self.holed = self.holed.saturating_sub(1);
        let sound = if level < LINES_DBM0_MIN {
            Sound::Quiet
        } else if self.holed > 0 {
            Sound::Unknown
        } else {
            Sound::Lines(spectrum::lines(&self.window))
        };
        Frame {
            level_dbm0: Some(level),
            sound,
        }
    }
}

/// The level of samples in dBm0, no less than [`SILENCE_DBM0`].
pub fn level_dbm0(samples: &[i16]) -> f32 {
    let sum: i64 = samples.iter().map(|&x| i64::from(x) * i64::from(x)).sum();
    if sum == 0 {
        return SILENCE_DBM0;
    }
    let mean = sum as f32 / samples.len() as f32;
    (10.0 * mean.log10() - UNIT_DBM0).max(SILENCE_DBM0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::tone;

    #[test]
    fn levels_are_those_of_the_recommendation() {
        let full = level_dbm0(&tone(&[(1000.0, 32_124.0)], 200)[160..1440]);
        assert!((full - 3.17).abs() < 0.05, "{full}");
        let quiet = level_dbm0(&tone(&[(1000.0, 321.24)], 200)[160..1440]);
        assert!((quiet + 36.83).abs() < 0.1, "{quiet}");
        assert_eq!(level_dbm0(&[0; 160]), SILENCE_DBM0);
    }

    #[test]
    fn frames_are_the_same_whatever_the_packets() {
        let samples = tone(&[(1000.0, 5000.0)], 300);
        let heard = |size: usize| {
            let mut ear = Ear::default();
            let mut frames = Vec::new();
            for packet in samples.chunks(size) {
                ear.samples(packet, |f| frames.push(f));
            }
            frames
        };
        assert_eq!(heard(160), heard(240));
        assert_eq!(heard(160), heard(33));
        assert_eq!(heard(160).len(), 15);
    }

    #[test]
    fn a_window_with_a_hole_has_no_lines() {
        let samples = tone(&[(1000.0, 5000.0)], 300);
        let mut ear = Ear::default();
        ear.samples(&samples[..960], |_| {});
        assert_eq!(ear.lost().sound, Sound::Unknown);
        let mut frames = Vec::new();
        ear.samples(&samples[1120..], |f| frames.push(f));
        for frame in &frames[..3] {
            assert_eq!(frame.sound, Sound::Unknown);
        }
        let Sound::Lines(lines) = frames[4].sound else {
            panic!("the hole has left the window: {:?}", frames[4]);
        };
        assert!(lines.share_one > 0.95);
    }
}
