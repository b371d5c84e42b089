//! The beep after which a message can be left: one pure line, steady in pitch and level, and its end.
//!
//! At least 120 ms between 400 and 2000 Hz without a second line within 12 dB. Ringback of 440 + 480 Hz
//! and DTMF have a second line; a voice has one too, or does not hold still. A vowel that holds still for
//! 120 ms is given away by what is around it: a beep is as loud from its first frame to its last.

use super::ear::{FRAME_MS, Frame, Sound};
use super::voice::Voice;

/// The pitch of a beep, in Hz.
pub const HZ: (f32, f32) = (400.0, 2000.0);

/// A second line this many decibels below the first, or fewer, and it is no beep.
pub const SECOND_LINE_DB: f32 = 12.0;

/// The least length of a beep.
pub const MS_MIN: u32 = 120;

/// A tone that goes on longer is no beep: dial and test tones do, and no machine known beeps longer.
pub const MS_MAX: u32 = 2_500;

/// The line holds this share of the sound: 7 dB above all that is not the line.
const SHARE_MIN: f32 = 0.83;

/// Windows of one pitch and level in a row until it is a beep. Windows that the tone fills by three
/// quarters are pure as well, so three of them, 20 ms apart, are 88 ms and more of tone; with the
/// frames of one level counted beside them, 120 ms.
const WINDOWS_MIN: u32 = 3;

/// The pitch of a beep holds still within this, in Hz from window to window.
const DRIFT_HZ: f32 = 6.0;

/// Its level holds still within this, in dB.
const DRIFT_DB: f32 = 2.5;

/// A frame this many decibels below the beep is after its end.
const FALL_DB: f32 = 9.0;

/// So many frames of a sound may be louder or quieter than its beep, and one more for each
/// [`UNEVEN_PER`] frames of it: those that it begins and ends in. A vowel swells and fades.
const UNEVEN_MAX: u32 = 2;

/// See [`UNEVEN_MAX`].
const UNEVEN_PER: u32 = 16;

/// What the detector says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum BeepHeard {
    /// A pure tone has lasted for [`MS_MIN`]. If it turns out to have been a vowel, no end is told.
    Began { hz: f32 },
    /// It was a beep, and is over after `ms`: a message left from now on is recorded whole.
    Ended { hz: f32, ms: u32 },
}

/// Listens for beeps.
#[derive(Clone, Debug, Default)]
pub struct Beep {
    voice: Voice,
    /// Frames of sound in a row.
    run: u32,
    /// Frames of one level in a row, the last ones, and that level.
    even: u32,
    even_dbm0: f32,
    tone: Candidate,
    /// Ignore the second line: for the test that shows what it is good for.
    #[cfg(test)]
    deaf_to_second: bool,
    /// Take whatever is around the tone: as above.
    #[cfg(test)]
    deaf_to_swelling: bool,
}

/// What may be a beep.
#[derive(Clone, Debug, Default)]
struct Candidate {
    hz: f32,
    dbm0: f32,
    /// Windows that were pure and alike, in a row.
    windows: u32,
    /// Frames since the tone began, once told.
    frames: u32,
    /// Frames of its sound that were not as loud.
    uneven: u32,
    told: bool,
    /// The tone is over, and its sound may fade yet.
    gone: bool,
    too_long: bool,
}

impl Beep {
    /// Whether a beep is heard right now.
    pub fn sounds(&self) -> bool {
        self.tone.told
    }

    /// Takes the next 20 ms.
    pub fn frame(&mut self, frame: &Frame) -> Option<BeepHeard> {
        self.voice.frame(frame.level_dbm0);
        // A lost frame is as what it stands between.
        let Some(level) = frame.level_dbm0 else {
            self.run += 1;
            self.even += 1;
            self.tone.frames += u32::from(self.tone.told);
            return None;
        };
        self.run = if self.voice.sounds() { self.run + 1 } else { 0 };
        if (level - self.even_dbm0).abs() <= DRIFT_DB {
            self.even += 1;
        } else {
            (self.even, self.even_dbm0) = (1, level);
        }
        if self.tone.too_long {
            // Until the endless tone is over.
            self.tone.too_long = level > self.tone.dbm0 - FALL_DB;
            return None;
        }
        if self.tone.told {
            return self.ending(level, frame.sound);
        }
        let tone = &mut self.tone;
        match frame.sound {
            Sound::Unknown => return None,
            Sound::Quiet => tone.windows = 0,
            Sound::Lines(lines) => {
                #[allow(unused_mut, reason = "the test plants a bug")]
                let mut alone = 10.0 * (lines.first.power / lines.second.power.max(1e-3)).log10()
                    > SECOND_LINE_DB
                    && lines.share_one >= SHARE_MIN;
                #[cfg(test)]
                {
                    alone |= self.deaf_to_second;
                }
                let in_range = lines.first.hz >= HZ.0 && lines.first.hz <= HZ.1;
                if !alone || !in_range {
                    tone.windows = 0;
                } else if tone.windows > 0
                    && (lines.first.hz - tone.hz).abs() <= DRIFT_HZ
                    && (level - tone.dbm0).abs() <= DRIFT_DB
                {
                    tone.windows += 1;
                    tone.hz = lines.first.hz;
                } else {
                    tone.windows = 1;
                    (tone.hz, tone.dbm0) = (lines.first.hz, level);
                }
            }
        }
        let uneven = self.run.saturating_sub(self.even);
        if tone.windows >= WINDOWS_MIN && self.even * FRAME_MS >= MS_MIN && self.is_even(uneven) {
            let tone = &mut self.tone;
            (tone.told, tone.frames, tone.uneven) = (true, self.run, uneven);
            return Some(BeepHeard::Began { hz: tone.hz });
        }
        None
    }

    /// Whether so few frames of the sound are not as loud as its tone that it is a beep's.
    fn is_even(&self, uneven: u32) -> bool {
        #[cfg(test)]
        if self.deaf_to_swelling {
            return true;
        }
        uneven <= UNEVEN_MAX + self.run / UNEVEN_PER
    }

    fn ending(&mut self, level: f32, sound: Sound) -> Option<BeepHeard> {
        let tone = &mut self.tone;
        tone.gone |= match sound {
            Sound::Quiet => true,
            Sound::Unknown => false,
            // Something else goes on: the line is not the sound's any more.
            Sound::Lines(lines) => {
                (lines.first.hz - tone.hz).abs() > 4.0 * DRIFT_HZ || lines.share_one < 0.4
            }
        } || level < tone.dbm0 - FALL_DB;
        if !tone.gone {
            tone.frames += 1;
            if tone.frames * FRAME_MS > MS_MAX {
                self.tone = Candidate {
                    too_long: true,
                    dbm0: tone.dbm0,
                    ..Candidate::default()
                };
                return None;
            }
        }
        let (hz, ms) = (tone.hz, tone.frames * FRAME_MS);
        if self.run > 0 {
            tone.uneven += u32::from(tone.gone || (level - tone.dbm0).abs() > DRIFT_DB);
            let uneven = tone.uneven;
            if !self.is_even(uneven) {
                self.tone = Candidate::default();
            }
            return None;
        }
        // Silence behind it.
        self.tone = Candidate::default();
        Some(BeepHeard::Ended { hz, ms })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ear::Ear;
    use super::*;
    use crate::tone::{self, tone};

    fn listen(beep: &mut Beep, samples: &[i16]) -> Vec<BeepHeard> {
        let mut ear = Ear::default();
        let mut heard = Vec::new();
        ear.samples(samples, |frame| heard.extend(beep.frame(&frame)));
        heard
    }

    /// `samples` after some silence whose length is no whole number of frames, and silence behind.
    fn within_silence(shift: usize, samples: &[i16]) -> Vec<i16> {
        let mut audio = vec![0; 1600 + shift];
        audio.extend(samples);
        audio.extend([0; 4000]);
        audio
    }

    fn heard(samples: &[i16]) -> Vec<BeepHeard> {
        listen(&mut Beep::default(), &within_silence(37, samples))
    }

    #[test]
    fn a_beep_is_told_with_its_pitch_and_its_end() {
        for hz in [420.0, 440.0, 800.0, 1000.0, 1400.0, 1980.0] {
            for ms in [140, 200, 400, 1000] {
                for amplitude in [400.0, 6000.0, 20_000.0] {
                    let told = heard(&tone(&[(hz, amplitude)], ms));
                    let [BeepHeard::Began { .. }, BeepHeard::Ended { hz: h, ms: m }] = told[..]
                    else {
                        panic!("{hz} Hz for {ms} ms: {told:?}");
                    };
                    assert!((h - hz).abs() < 3.0, "{hz} {told:?}");
                    assert!(m.abs_diff(ms) <= 40, "{ms} {told:?}");
                }
            }
        }
    }

    #[test]
    fn at_least_120_ms_are_asked_for_wherever_frames_begin() {
        for shift in 0..160 {
            let long = listen(
                &mut Beep::default(),
                &within_silence(shift, &tone(&[(1000.0, 6000.0)], 140)),
            );
            assert_eq!(long.len(), 2, "140 ms, shifted by {shift}: {long:?}");
            let short = listen(
                &mut Beep::default(),
                &within_silence(shift, &tone(&[(1000.0, 6000.0)], 80)),
            );
            assert!(short.is_empty(), "80 ms, shifted by {shift}: {short:?}");
        }
    }

    #[test]
    fn ringback_dtmf_and_busy_of_two_lines_are_no_beeps() {
        for (a, b) in [
            (440.0, 480.0),
            (400.0, 450.0),
            (480.0, 620.0),
            (350.0, 440.0),
        ] {
            let told = heard(&tone(&[(a, 4000.0), (b, 4000.0)], 1000));
            assert!(told.is_empty(), "{a} + {b}: {told:?}");
        }
        for key in crate::dtmf::KEYS {
            let told = heard(&tone::dtmf(key, 300).unwrap());
            assert!(told.is_empty(), "{key}: {told:?}");
        }
        // 10 dB of twist are still two lines.
        let told = heard(&tone(&[(697.0, 2000.0), (1209.0, 6300.0)], 300));
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn without_the_look_at_the_second_line_ringback_would_be_a_beep() {
        let mut beep = Beep {
            deaf_to_second: true,
            ..Beep::default()
        };
        let audio = within_silence(0, &tone(&[(440.0, 4000.0), (480.0, 2500.0)], 1000));
        assert!(!listen(&mut beep, &audio).is_empty());
    }

    #[test]
    fn a_vowel_that_holds_still_and_goes_on_in_another_sound_has_no_end() {
        let mut vowel = tone(&[(700.0, 5000.0)], 240);
        vowel.extend(tone(&[(450.0, 3500.0), (1500.0, 3500.0)], 200));
        let told = heard(&vowel);
        assert!(matches!(told[..], [BeepHeard::Began { .. }]), "{told:?}");
    }

    #[test]
    fn a_vowel_that_swells_holds_still_and_fades_is_no_beep() {
        // A line of 700 Hz, as loud as it gets for 160 ms, and 120 ms of rising and falling.
        let mut word = tone(&[(700.0, 5000.0)], 400);
        let len = word.len();
        for (n, x) in word.iter_mut().enumerate() {
            let from_edge = n.min(len - 1 - n) as f32 / 960.0;
            *x = (f32::from(*x) * from_edge.min(1.0).powi(2)) as i16;
        }
        let ends = |told: Vec<BeepHeard>| {
            let ended = |t: &&BeepHeard| matches!(t, BeepHeard::Ended { .. });
            told.iter().filter(ended).count()
        };
        assert_eq!(ends(heard(&word)), 0);
        let mut deaf = Beep {
            deaf_to_swelling: true,
            ..Beep::default()
        };
        assert_eq!(ends(listen(&mut deaf, &within_silence(37, &word))), 1);
    }

    #[test]
    fn a_glide_a_click_and_an_endless_tone_are_no_beeps() {
        let glide: Vec<i16> = (0..4000)
            .map(|i| {
                let t = i as f32 / 8000.0;
                (6000.0 * (std::f32::consts::TAU * (500.0 * t + 400.0 * t * t)).sin()) as i16
            })
            .collect();
        assert!(heard(&glide).is_empty());
        assert!(heard(&[12_000; 40]).is_empty());
        let told = heard(&tone(&[(425.0, 5000.0)], 6000));
        assert!(
            told.iter().all(|t| matches!(t, BeepHeard::Began { .. })),
            "no end of an endless tone is told: {told:?}"
        );
    }

    #[test]
    fn a_lost_packet_does_not_split_a_beep() {
        let audio = within_silence(0, &tone(&[(1000.0, 6000.0)], 600));
        let (mut ear, mut beep, mut told) = (Ear::default(), Beep::default(), Vec::new());
        for (n, packet) in audio.chunks(160).enumerate() {
            if n == 20 {
                told.extend(beep.frame(&ear.lost()));
            } else {
                ear.samples(packet, |frame| told.extend(beep.frame(&frame)));
            }
        }
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(matches!(told[1], BeepHeard::Ended { ms: 560..=640, .. }));
    }
}
