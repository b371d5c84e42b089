//! Call progress: which tone of the network is heard, before the answer or after it.
//!
//! Sound is cut into segments of one tone and of silence; the last few of them are compared with the
//! table of cadences. Told is a tone once, until another one is heard or the tone has stopped.
//!
//! What SIP says comes first. A final response with a cause of its own (404, 486, …) is believed
//! whatever the tone; a tone explains a call where SIP says nothing certain: see [`explains`].

use super::cadence::{CADENCES, Cadence, SIT_GAP_MS_MAX, SIT_HZ, SIT_MS, Sit, Tone, sit};
use super::ear::{FRAME_MS, Frame, Sound};
use super::spectrum::Lines;

/// Segments remembered: two periods of the longest cadence, four steps, and the one that runs.
const SEGMENTS: usize = 9;

/// Quieter frames are silence: tones arrive with −35 dBm0 at the least.
const SOUND_DBM0_MIN: f32 = -43.0;

/// A frame this much below its segment is no part of it any more, in dB.
const FALL_DB: f32 = 9.0;

/// What a pause takes off the level that the next sound is measured by, in dB per frame: 3 dB/s. The
/// noise of the pause must not pass for the next sound, and a quieter sound must be heard in the end.
const FORGET_DB: f32 = 0.06;

/// The line, or two lines, hold this share of the sound of a tone.
const SHARE_MIN: f32 = 0.75;

/// A second line this many dB below the first belongs to the tone.
const SECOND_LINE_DB: f32 = 9.0;

/// Two windows have the same lines if these differ by no more, in Hz.
const SAME_HZ: f32 = 12.0;

/// Windows with other lines in a row until a new segment begins without a pause.
const OTHER_MAX: u8 = 2;

/// A window is about its middle, this many ms before the end of its last frame.
const WINDOW_LAG_MS: u32 = 32;

/// A silence this long ends every tone: no cadence pauses longer.
const OVER_MS: u32 = 6_000;

/// The lines of a tone in Hz, lower first; zero for no second one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pitch {
    low: f32,
    high: f32,
}

impl Pitch {
    fn of(lines: &Lines) -> Option<Pitch> {
        let ratio = 10.0 * (lines.first.power / lines.second.power.max(1e-3)).log10();
        if ratio > SECOND_LINE_DB {
            (lines.share_one >= SHARE_MIN).then_some(Pitch {
                low: lines.first.hz,
                high: 0.0,
            })
        } else {
            (lines.share_two >= SHARE_MIN).then(|| Pitch {
                low: lines.first.hz.min(lines.second.hz),
                high: lines.first.hz.max(lines.second.hz),
            })
        }
    }

    fn same(self, other: Pitch) -> bool {
        (self.low - other.low).abs() <= SAME_HZ && (self.high - other.high).abs() <= SAME_HZ
    }

    fn fits(self, lines: &[(f32, f32); 2]) -> bool {
        let inside = |hz: f32, (low, high): (f32, f32)| hz >= low && hz <= high;
        inside(self.low, lines[0]) && inside(self.high, lines[1])
    }
}

/// A stretch of one tone, of silence, or of something else.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    ms: u32,
    sound: bool,
    pitch: Option<Pitch>,
    /// Windows that had this pitch, and windows that had not.
    agree: u16,
    differ: u16,
}

impl Segment {
    /// The pitch, if most windows had it.
    fn tone(&self) -> Option<Pitch> {
        self.pitch
            .filter(|_| self.sound && self.agree > 0 && self.agree >= 2 * self.differ)
    }
}

/// What was heard, and by which table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneHeard {
    /// What it says.
    pub tone: Tone,
    /// Whose cadence it is: a country, or the recommendation.
    pub country: &'static str,
    /// Its lines in Hz, lower first; zero for no second one.
    pub hz: (f32, f32),
    /// How long its last sound lasted so far, in ms.
    pub sound_ms: u32,
}

/// Listens for the tones of the network.
#[derive(Clone, Debug)]
pub struct CallProgress {
    /// Oldest first; the last one runs.
    segments: [Segment; SEGMENTS],
    peak_dbm0: f32,
    /// Windows in a row with lines of their own, and which.
    other: u8,
    other_pitch: Pitch,
    told: Option<Tone>,
}

impl Default for CallProgress {
    fn default() -> CallProgress {
        CallProgress {
            segments: [Segment::default(); SEGMENTS],
            peak_dbm0: SOUND_DBM0_MIN,
            other: 0,
            other_pitch: Pitch::default(),
            told: None,
        }
    }
}

impl CallProgress {
    /// For how long one steady tone sounds by now, in ms; 0 if none does.
    pub fn steady_ms(&self) -> u32 {
        let running = self.running();
        if running.tone().is_some() && running.agree >= 2 {
            running.ms
        } else {
            0
        }
    }

    /// Takes the next 20 ms.
    pub fn frame(&mut self, frame: &Frame) -> Option<ToneHeard> {
        // A lost frame is as what it stands in.
        let Some(level) = frame.level_dbm0 else {
            self.running_mut().ms += FRAME_MS;
            return None;
        };
        let sound = level > SOUND_DBM0_MIN && level > self.peak_dbm0 - FALL_DB;
        if sound != self.running().sound {
            self.begin(sound);
        }
        if sound {
            self.peak_dbm0 = self.peak_dbm0.max(level);
        } else {
            self.peak_dbm0 = (self.peak_dbm0 - FORGET_DB).max(SOUND_DBM0_MIN);
        }
        self.running_mut().ms += FRAME_MS;
        if sound && let Sound::Lines(lines) = frame.sound {
            self.lines(&lines);
        }
        if !sound && self.running().ms >= OVER_MS {
            self.told = None;
        }
        let heard = self.recognise()?;
        if self.told == Some(heard.tone) {
            return None;
        }
        self.told = Some(heard.tone);
        Some(heard)
    }

    fn running(&self) -> &Segment {
        &self.segments[SEGMENTS - 1]
    }

    fn running_mut(&mut self) -> &mut Segment {
        &mut self.segments[SEGMENTS - 1]
    }

    fn begin(&mut self, sound: bool) {
        self.segments.copy_within(1.., 0);
        *self.running_mut() = Segment {
            sound,
            ..Segment::default()
        };
        self.other = 0;
    }

    /// Compares the lines of a window with those of the segment. Windows reach back 64 ms, so the first
    /// ones of a segment are about what was before, and have no say.
    fn lines(&mut self, lines: &Lines) {
        let pitch = Pitch::of(lines);
        let running = self.running_mut();
        if running.ms < 80 && running.pitch.is_none() {
            return;
        }
        match (running.pitch, pitch) {
            (None, Some(pitch)) => {
                running.pitch = Some(pitch);
                running.agree = 1;
            }
            (Some(known), Some(pitch)) if known.same(pitch) => {
                // A slow mean: one window is off by a Hz or two.
                running.pitch = Some(Pitch {
                    low: known.low + 0.25 * (pitch.low - known.low),
                    high: known.high + 0.25 * (pitch.high - known.high),
                });
                running.agree = running.agree.saturating_add(1);
                self.other = 0;
            }
            (Some(_), Some(pitch)) => self.another(pitch),
            (_, None) => running.differ = running.differ.saturating_add(1),
        }
    }

    fn another(&mut self, pitch: Pitch) {
        if self.other == 0 || !self.other_pitch.same(pitch) {
            (self.other, self.other_pitch) = (1, pitch);
        } else {
            self.other += 1;
        }
        if self.other < OTHER_MAX {
            let running = self.running_mut();
            running.differ = running.differ.saturating_add(1);
            return;
        }
        // It changed in the middle of the first window that had the new lines.
        let new_ms = u32::from(OTHER_MAX - 1) * FRAME_MS + WINDOW_LAG_MS;
        let running = self.running_mut();
        running.ms = running.ms.saturating_sub(new_ms);
        running.differ = running.differ.saturating_sub(u16::from(OTHER_MAX - 1));
        self.begin(true);
        let running = self.running_mut();
        running.ms = new_ms;
        running.pitch = Some(pitch);
        running.agree = u16::from(OTHER_MAX);
    }

    fn recognise(&self) -> Option<ToneHeard> {
        if let Some(heard) = self.special() {
            return Some(heard);
        }
        let cadence = CADENCES.iter().find(|c| self.matches(c))?;
        let (pitch, ms) = self.last_tone()?;
        Some(ToneHeard {
            tone: cadence.tone,
            country: cadence.country,
            hz: (pitch.low, pitch.high),
            sound_ms: ms,
        })
    }

    fn last_tone(&self) -> Option<(Pitch, u32)> {
        let segments = self.segments.iter().rev().take(2);
        segments.filter_map(|s| Some((s.tone()?, s.ms))).next()
    }

    fn matches(&self, cadence: &Cadence) -> bool {
        let done = &self.segments[SEGMENTS - 1 - cadence.whole..SEGMENTS - 1];
        let running = self.running();
        let right = |s: &Segment| match s.tone() {
            Some(pitch) => pitch.fits(&cadence.lines),
            None => !s.sound,
        };
        if !done.iter().all(right) || !right(running) || running.ms < cadence.then_ms {
            return false;
        }
        let steps = cadence.steps.len();
        // Begin with a sound: the silence before the first one is nobody's.
        (0..steps).step_by(2).any(|turn| {
            let step = |i: usize| cadence.steps[(turn + i) % steps];
            let in_turn = |i: usize, s: &Segment| s.sound == (turn + i).is_multiple_of(2);
            let fits = |i: usize, s: &Segment| {
                let (least, most) = step(i);
                in_turn(i, s) && s.ms >= least && s.ms <= most
            };
            let behind = done.len();
            done.iter().enumerate().all(|(i, s)| fits(i, s))
                && in_turn(behind, running)
                && running.ms <= step(behind).1
                // Whole steps alone would let a sound pass that merely begins like the tone.
                && (cadence.then_ms == 0 || step(behind).1 >= cadence.then_ms)
        })
    }

    fn special(&self) -> Option<ToneHeard> {
        // The third part may still run.
        let mut parts = [Segment::default(); 3];
        let mut found = 0;
        for segment in self.segments.iter().rev() {
            if found == 3 {
                break;
            }
            match segment.tone() {
                Some(_) => {
                    parts[2 - found] = *segment;
                    found += 1;
                }
                None if segment.sound || segment.ms > SIT_GAP_MS_MAX => break,
                None => {}
            }
        }
        if found < 3 {
            return None;
        }
        let fits = (0..3).all(|i| {
            let pitch = parts[i].pitch.expect("parts are tones");
            let long_enough = parts[i].ms >= SIT_MS.0;
            pitch.high == 0.0
                && pitch.low >= SIT_HZ[i].0
                && pitch.low <= SIT_HZ[i].1
                && long_enough
                && parts[i].ms <= SIT_MS.1
        });
        let part = |i: usize| {
            let pitch = parts[i].pitch.expect("parts are tones");
            (pitch.low, parts[i].ms)
        };
        fits.then(|| {
            let code: Sit = sit([part(0), part(1)]);
            ToneHeard {
                tone: Tone::Special(code),
                country: if code == Sit::General { "E.180" } else { "US" },
                hz: (part(2).0, 0.0),
                sound_ms: part(2).1,
            }
        })
    }
}

/// Whether a tone may explain how a call ended, given the final SIP status, if there was one.
///
/// SIP causes come first: a status that names the reason (486 Busy Here, 404 Not Found, …) stands,
/// whatever was heard. A status that only says that the call came to nothing (408, 480, 487, 500, 503
/// and the like), an answer (2xx), or none at all leave the reason to the tone, as gateways answer, or
/// give up after a minute of early media, where their network plays busy or an announcement.
pub fn explains(status: Option<u16>, tone: Tone) -> bool {
    let open = match status {
        None => true,
        Some(100..=299) => true,
        Some(400 | 408 | 480 | 487) => true,
        Some(500 | 502 | 503 | 504 | 580) => true,
        Some(_) => false,
    };
    let says_a_reason = match tone {
        Tone::Busy | Tone::Congestion | Tone::Special(_) => true,
        Tone::FaxAnswering | Tone::FaxCalling => true,
        // It rang, or the far end hung up: neither is a reason.
        Tone::Ringback | Tone::Dial => false,
    };
    open && says_a_reason
}
