//! When somebody speaks: bursts and pauses by energy above a noise floor that is tracked.
//!
//! A burst begins with 60 ms of sound and ends with 80 ms without, so that a click is none and the
//! closed lips of a «p» do not end one. Both are dated back to where they began.

use super::ear::{FRAME_MS, SILENCE_DBM0};

/// A frame this much above the floor is sound, in dB.
const ON_DB: f32 = 8.0;

/// A frame this much above the floor still is, once there is sound.
const OFF_DB: f32 = 5.0;

/// A frame this much below the burst it follows is its echo, in dB.
const ECHO_DB: f32 = 24.0;

/// Nothing below this is speech, in dBm0.
const SPEECH_DBM0_MIN: f32 = -48.0;

/// The floor at the beginning lies within this, in dBm0: whoever speaks from the first frame on must
/// not be taken for the noise.
const FIRST_FLOOR_DBM0: (f32, f32) = (-70.0, -45.0);

/// How fast the floor follows noise that has become louder, in dB per frame of silence.
const RISE_DB: f32 = 0.4;

/// The same while there is sound: speech without a pause for 4 s is lifted by 4 dB.
const RISE_IN_SOUND_DB: f32 = 0.02;

/// Frames of sound until it is a burst.
const BURST_FRAMES: u32 = 3;

/// Frames without sound until it is a pause.
const PAUSE_FRAMES: u32 = 4;

/// A pause is one from this on, in ms.
pub const PAUSE_MS_MIN: u32 = PAUSE_FRAMES * FRAME_MS;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum Step {
    /// Somebody speaks, after `silent_ms` of nothing (the first time: since the start).
    Began { silent_ms: u32 },
    /// Nobody does any more; it lasted `spoke_ms`.
    Ended { spoke_ms: u32 },
}

/// Finds bursts of speech.
#[derive(Clone, Debug)]
pub struct Voice {
    floor_dbm0: f32,
    /// Mean level of the burst, of its sounding frames.
    burst_dbm0: f32,
    speaking: bool,
    /// Frames since the state began, by its date.
    state: u32,
    /// Frames of silence before the burst that runs.
    silent: u32,
    /// Frames of the other kind in a row.
    other: u32,
    begun: bool,
    sounding: bool,
}

impl Default for Voice {
    fn default() -> Voice {
        Voice {
            floor_dbm0: FIRST_FLOOR_DBM0.1,
            burst_dbm0: SILENCE_DBM0,
            speaking: false,
            state: 0,
            silent: 0,
            other: 0,
            begun: false,
            sounding: false,
        }
    }
}

impl Voice {
    /// The noise floor in dBm0.
    pub fn floor_dbm0(&self) -> f32 {
        self.floor_dbm0
    }

    /// The level of the last burst in dBm0.
    pub fn burst_dbm0(&self) -> f32 {
        self.burst_dbm0
    }

    /// Whether somebody speaks.
    pub fn speaks(&self) -> bool {
        self.speaking
    }

    /// Whether the last frame that was heard is sound.
    pub fn sounds(&self) -> bool {
        self.sounding
    }

    /// How long this burst or silence has lasted, up to the last frame of its own kind, in ms.
    pub fn lasted_ms(&self) -> u32 {
        (self.state - self.other) * FRAME_MS
    }

    /// Forgets that the burst that runs has begun: it was a tone. Its time counts as silence.
    pub fn retract(&mut self) {
        if self.speaking {
            (self.speaking, self.other) = (false, 0);
            self.state += self.silent;
        }
    }

    /// Takes the level of the next 20 ms; `None` where the packet was lost, which is as what it stands in.
    pub fn frame(&mut self, level_dbm0: Option<f32>) -> Option<Step> {
        self.state += 1;
        let level = level_dbm0?;
        if !self.begun {
            self.begun = true;
            self.floor_dbm0 = level.clamp(FIRST_FLOOR_DBM0.0, FIRST_FLOOR_DBM0.1);
        }
        let over = if self.sounding { OFF_DB } else { ON_DB };
        let mut least = SPEECH_DBM0_MIN.max(self.floor_dbm0 + over);
        if self.speaking {
            least = least.max(self.burst_dbm0 - ECHO_DB);
        }
        self.sounding = level > least;
        self.follow_noise(level);
        if self.sounding == self.speaking {
            if self.speaking {
                self.burst_dbm0 += 0.1 * (level - self.burst_dbm0);
            }
            self.other = 0;
            return None;
        }
        self.other += 1;
        let enough = if self.speaking {
            PAUSE_FRAMES
        } else {
            BURST_FRAMES
        };
        if self.other < enough {
            return None;
        }
        let lasted = (self.state - self.other) * FRAME_MS;
        self.state = self.other;
        self.other = 0;
        self.speaking = !self.speaking;
        if self.speaking {
            self.burst_dbm0 = level;
            self.silent = lasted / FRAME_MS;
            Some(Step::Began { silent_ms: lasted })
        } else {
            Some(Step::Ended { spoke_ms: lasted })
        }
    }

    fn follow_noise(&mut self, level: f32) {
        let level = level.max(FIRST_FLOOR_DBM0.0);
        if level < self.floor_dbm0 {
            self.floor_dbm0 += 0.3 * (level - self.floor_dbm0);
        } else if self.sounding {
            self.floor_dbm0 += RISE_IN_SOUND_DB;
        } else {
            self.floor_dbm0 += (0.2 * (level - self.floor_dbm0)).min(RISE_DB);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(levels: impl IntoIterator<Item = (f32, u32)>) -> Vec<Step> {
        let mut voice = Voice::default();
        let mut steps = Vec::new();
        for (level, ms) in levels {
            for _ in 0..ms / FRAME_MS {
                steps.extend(voice.frame((level > -100.0).then_some(level)));
            }
        }
        steps
    }

    #[test]
    fn bursts_and_pauses_are_dated_back_to_where_they_began() {
        let found = steps([
            (-60.0, 500),
            (-20.0, 400),
            (-60.0, 300),
            (-22.0, 600),
            (-60.0, 200),
        ]);
        assert_eq!(
            found,
            [
                Step::Began { silent_ms: 500 },
                Step::Ended { spoke_ms: 400 },
                Step::Began { silent_ms: 300 },
                Step::Ended { spoke_ms: 600 },
            ]
        );
    }

    #[test]
    fn a_click_is_no_burst_and_a_closed_lip_no_pause() {
        assert!(steps([(-60.0, 200), (-15.0, 40), (-60.0, 200)]).is_empty());
        let found = steps([
            (-60.0, 200),
            (-15.0, 200),
            (-60.0, 60),
            (-15.0, 200),
            (-60.0, 200),
        ]);
        assert_eq!(
            found,
            [
                Step::Began { silent_ms: 200 },
                Step::Ended { spoke_ms: 460 }
            ]
        );
    }

    #[test]
    fn steady_noise_is_never_speech_and_speech_above_it_is() {
        assert!(steps([(-38.0, 3000)]).is_empty());
        let found = steps([(-38.0, 1000), (-20.0, 400), (-38.0, 400)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], Step::Began { silent_ms: 1000 });
    }

    #[test]
    fn who_speaks_from_the_first_frame_on_is_heard() {
        assert_eq!(steps([(-20.0, 200)]), [Step::Began { silent_ms: 0 }]);
        assert_eq!(steps([(-35.0, 200)]), [Step::Began { silent_ms: 0 }]);
    }

    #[test]
    fn lost_frames_are_as_what_they_stand_in() {
        let found = steps([
            (-60.0, 200),
            (-20.0, 200),
            (-200.0, 160),
            (-20.0, 200),
            (-60.0, 200),
        ]);
        assert_eq!(
            found,
            [
                Step::Began { silent_ms: 200 },
                Step::Ended { spoke_ms: 560 }
            ]
        );
    }

    #[test]
    fn an_echo_far_below_the_burst_is_silence() {
        let found = steps([(-65.0, 200), (-10.0, 400), (-40.0, 200)]);
        assert_eq!(found[1], Step::Ended { spoke_ms: 400 });
    }
}
