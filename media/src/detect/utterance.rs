//! What is said behind an answer: the first utterance with its bursts and pauses, and the turns behind it.
//!
//! It is handed what the voice detector saw, and knows where the speech is by now, which is what the
//! tables of the odds are asked with.

use super::machine::{PERSON_MAX, SPEECH_MAX};
use super::tables::Tables;
use super::voice::{Step, Voice};

/// A pause this long ends the first utterance: who goes on after it has been waiting for an answer.
pub const UTTERANCE_PAUSE_MS: u32 = 1_200;

/// A pause this long within an utterance is between two of its phrases; shorter ones are within a word,
/// or where noise covers a sound.
pub const BREATH_MS_MIN: u32 = 260;

/// How far what is said has come: the first utterance, and turns behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utterance {
    /// From the first sound to the last, in ms, of what has ended.
    pub(super) ended_ms: u32,
    /// Bursts begun.
    pub(super) bursts: u32,
    /// A long pause has ended it.
    over: bool,
    /// Pauses between them of [`BREATH_MS_MIN`] or more.
    breaths: u32,
    /// How much of it was speech.
    spoke_ms: u32,
    /// The last turn behind it and the one before that, in ms as above.
    turn_ms: u32,
    before_ms: u32,
}

/// What an utterance is made of, as far as the tables part it: how often it has paused for
/// [`BREATH_MS_MIN`] and gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaths {
    /// Not yet.
    None,
    /// Once.
    One,
    /// More often.
    More,
}

/// Where an utterance is: what the tables are asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum Progress {
    /// Nobody has spoken for `ms`.
    Silent { ms: u32 },
    /// One burst without a pause lasts for `ms`.
    First { ms: u32 },
    /// After pauses it goes on: `spoke_ms` of the `since_ms` that are over since the first sound.
    On { since_ms: u32, spoke_ms: u32 },
    /// It pauses for `pause_ms` after `ms` of speech.
    Paused {
        breaths: Breaths,
        ms: u32,
        pause_ms: u32,
    },
    /// It is over, after `ms` of speech, and nothing else has been said for `pause_ms`.
    Waits {
        breaths: Breaths,
        ms: u32,
        pause_ms: u32,
    },
    /// It is over, and a later turn goes on.
    Replies,
    /// A later turn is over, after `ms` from its first sound to its last; the one before it took
    /// `before_ms`. Nothing else has been said for `pause_ms`.
    Rests {
        ms: u32,
        before_ms: u32,
        pause_ms: u32,
    },
}

impl Utterance {
    /// Follows what the voice detector saw.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Began { .. } if self.bursts == 0 => self.bursts = 1,
            Step::Began { silent_ms } if silent_ms >= UTTERANCE_PAUSE_MS => {
                self.before_ms = if self.over {
                    self.turn_ms
                } else {
                    self.ended_ms
                };
                (self.over, self.turn_ms) = (true, 0);
            }
            Step::Began { silent_ms } if self.over => self.turn_ms += silent_ms,
            Step::Began { silent_ms } => {
                self.ended_ms += silent_ms;
                self.bursts += 1;
                self.breaths += u32::from(silent_ms >= BREATH_MS_MIN);
            }
            Step::Ended { spoke_ms } if self.over => self.turn_ms += spoke_ms,
            Step::Ended { spoke_ms } => {
                self.ended_ms += spoke_ms;
                self.spoke_ms += spoke_ms;
            }
        }
    }

    fn made_of(&self) -> Breaths {
        match self.breaths {
            0 => Breaths::None,
            1 => Breaths::One,
            2.. => Breaths::More,
        }
    }

    /// The odds of all that is over when another turn begins after `silent_ms`; `later` is what they
    /// were when the last one began.
    pub(super) fn settled(&self, tables: &Tables, later: f32, silent_ms: u32) -> f32 {
        let odds = if self.over {
            later
                + tables.turn_odds(self.turn_ms, self.before_ms)
                + tables.rest.ended(silent_ms).max(0.0)
        } else if self.bursts > 0 {
            let waits = &tables.waits[self.made_of() as usize];
            waits.at(self.spoke_ms, UTTERANCE_PAUSE_MS) + tables.reply.ended(silent_ms)
        } else {
            0.0
        };
        odds.clamp(-SPEECH_MAX, PERSON_MAX)
    }

    /// Where it is by now.
    pub fn progress(&self, voice: &Voice) -> Progress {
        let ms = voice.lasted_ms();
        let waits = !voice.speaks() && ms >= UTTERANCE_PAUSE_MS;
        match (self.over, self.bursts, voice.speaks()) {
            (true, _, _) if waits => Progress::Rests {
                ms: self.turn_ms,
                before_ms: self.before_ms,
                pause_ms: ms,
            },
            (true, _, _) => Progress::Replies,
            (false, 0, _) => Progress::Silent { ms },
            (false, 1, true) => Progress::First { ms },
            (false, 2.., true) => Progress::On {
                since_ms: self.ended_ms + ms,
                spoke_ms: self.spoke_ms + ms,
            },
            (false, _, false) if waits => Progress::Waits {
                breaths: self.made_of(),
                ms: self.spoke_ms,
                pause_ms: ms,
            },
            (false, _, false) => Progress::Paused {
                breaths: self.made_of(),
                ms: self.spoke_ms,
                pause_ms: ms,
            },
        }
    }
}

/// By how much two turns differ in length, in per cent of the longer one.
pub fn difference_pct(ms: u32, before_ms: u32) -> u32 {
    100 * ms.abs_diff(before_ms) / ms.max(before_ms).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::tables::TABLES;

    #[test]
    fn a_turn_of_another_length_behind_whatever_silence_is_held_against_nobody() {
        for silent_ms in [1_300, 2_500, 4_000, 5_000, 6_000, 9_000] {
            for (turn_ms, before_ms) in [(1_500, 1_650), (3_600, 2_000), (6_000, 1_000)] {
                let talk = Utterance {
                    over: true,
                    turn_ms,
                    before_ms,
                    ..Utterance::default()
                };
                let odds = talk.settled(&TABLES, 0.5, silent_ms);
                assert!(odds >= 0.5, "{turn_ms} behind {silent_ms} ms: {odds}");
            }
        }
    }
}
