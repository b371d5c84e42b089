//! Tones and cadences made of sines: call progress (ITU-T E.180), beeps, and a tune to hold with.

use crate::SAMPLE_RATE;

/// Samples over which a tone rises and falls, so that it does not click: 4 ms.
const EDGE_SAMPLES: usize = 32;

/// Amplitude of call progress tones: −13 dBm0, the middle of what E.180 allows.
const PROGRESS_AMPLITUDE: f32 = 5000.0;

/// A sum of sines, each of a frequency in Hz and an amplitude (32,767 is full scale), for `ms`.
pub fn tone(parts: &[(f32, f32)], ms: u32) -> Vec<i16> {
    let len = (u64::from(ms) * u64::from(SAMPLE_RATE) / 1000) as usize;
    let edge = EDGE_SAMPLES.min(len / 2).max(1);
    (0..len)
        .map(|i| {
            let t = i as f32 / SAMPLE_RATE as f32;
            let sum: f32 = parts
                .iter()
                .map(|(hz, a)| a * (std::f32::consts::TAU * hz * t).sin())
                .sum();
            let envelope = (i.min(len - 1 - i) as f32 / edge as f32).min(1.0);
            (sum * envelope).clamp(-32768.0, 32767.0) as i16
        })
        .collect()
}

/// Silence for `ms`.
pub fn silence(ms: u32) -> Vec<i16> {
    vec![0; (u64::from(ms) * u64::from(SAMPLE_RATE) / 1000) as usize]
}

/// One period of a call progress tone; played repeatedly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The other side rings: 1 s on, 4 s off.
    Ringback,
    /// It is engaged: 480 ms on and off.
    Busy,
    /// The network is: 240 ms on and off.
    Congestion,
    /// The number does not exist: three rising tones, then 1 s off.
    SpecialInformation,
}

/// One period of `progress`, European frequencies (425 Hz; E.180 Supplement 2).
pub fn progress(progress: Progress) -> Vec<i16> {
    let on_off = |on, off| {
        let mut samples = tone(&[(425.0, PROGRESS_AMPLITUDE)], on);
        samples.extend(silence(off));
        samples
    };
    match progress {
        Progress::Ringback => on_off(1000, 4000),
        Progress::Busy => on_off(480, 480),
        Progress::Congestion => on_off(240, 240),
        Progress::SpecialInformation => {
            let mut samples = Vec::new();
            for hz in [950.0, 1400.0, 1800.0] {
                samples.extend(tone(&[(hz, PROGRESS_AMPLITUDE)], 330));
            }
            samples.extend(silence(1000));
            samples
        }
    }
}

/// The tone before a message or a whispered name.
pub fn beep() -> Vec<i16> {
    tone(&[(1000.0, 6000.0)], 200)
}

/// A key's two tones for `ms`; `None` if it is no key.
pub fn dtmf(key: char, ms: u32) -> Option<Vec<i16>> {
    let (low, high) = crate::dtmf::frequencies(key)?;
    Some(tone(
        &[(f32::from(low), 5000.0), (f32::from(high), 5000.0)],
        ms,
    ))
}

/// A soft tune of 16 s that ends where it begins, for those who wait.
///
/// Four broken chords over slow basses; each note rings on under the next. Quiet (about −20 dBm0),
/// within 100 to 1,100 Hz, so that a telephone carries it.
pub fn hold_tune() -> Vec<i16> {
    // Semitones above A2 (110 Hz): the bass, then the chord's notes in the order they are played.
    const CHORDS: [[i32; 7]; 4] = [
        [3, 15, 19, 22, 27, 22, 19],
        [0, 12, 19, 24, 27, 24, 19],
        [8, 15, 20, 24, 27, 24, 20],
        [10, 17, 22, 26, 29, 26, 22],
    ];
    const NOTE_SAMPLES: usize = 4000;
    const NOTES_PER_CHORD: usize = 8;
    const RING_SAMPLES: usize = 3 * NOTE_SAMPLES;
    let len = CHORDS.len() * NOTES_PER_CHORD * NOTE_SAMPLES;
    let mut sum = vec![0f32; len];
    let mut ring = |start: usize, semitones: i32, amplitude: f32, decay: f32, samples: usize| {
        let hz = 110.0 * (semitones as f32 / 12.0).exp2();
        for i in 0..samples {
            let t = i as f32 / SAMPLE_RATE as f32;
            let w = std::f32::consts::TAU * hz * t;
            let attack = (i as f32 / 80.0).min(1.0);
            let release = ((samples - i) as f32 / 400.0).min(1.0);
            let voice = w.sin() + 0.25 * (2.0 * w).sin() * (-3.0 * t).exp();
            // Notes ring over the end into the beginning, so that the loop has no seam.
            sum[(start + i) % len] += amplitude * attack * release * (-decay * t).exp() * voice;
        }
    };
    for (c, chord) in CHORDS.iter().enumerate() {
        let start = c * NOTES_PER_CHORD * NOTE_SAMPLES;
        ring(start, chord[0], 1300.0, 0.4, NOTES_PER_CHORD * NOTE_SAMPLES);
        for n in 0..NOTES_PER_CHORD {
            ring(
                start + n * NOTE_SAMPLES,
                chord[1 + n % 6],
                1500.0,
                2.2,
                RING_SAMPLES,
            );
        }
    }
    sum.into_iter()
        .map(|s| s.clamp(-32768.0, 32767.0) as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::goertzel::amplitude;

    #[test]
    fn ringback_is_425_hz_for_a_second_in_five() {
        let ringback = progress(Progress::Ringback);
        assert_eq!(ringback.len(), 40_000);
        assert!(amplitude(&ringback[100..7_900], 425.0) > 4_900.0);
        assert!(ringback[8_000..].iter().all(|s| *s == 0));
    }

    #[test]
    fn a_tone_begins_and_ends_softly() {
        let beep = beep();
        assert_eq!(beep.len(), 1600);
        assert_eq!((beep[0], beep[1599]), (0, 0));
    }

    #[test]
    fn the_hold_tune_loops_without_a_click_and_never_clips() {
        let tune = hold_tune();
        assert_eq!(tune.len(), 128_000);
        let step = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs();
        let largest = tune.windows(2).map(|w| step(w[0], w[1])).max().unwrap();
        assert!(step(tune[127_999], tune[0]) <= largest);
        let peak = tune.iter().map(|s| i32::from(*s).abs()).max().unwrap();
        assert!((3_000..20_000).contains(&peak), "{peak}");
    }
}
