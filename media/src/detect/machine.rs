//! Person or machine: a sequential likelihood-ratio test (Wald 1945) over what is heard after the answer.
//!
//! Every 20 ms the odds are summed from tables: how long it rang, how long nobody spoke, the length of
//! the first utterance, the pause behind it, the bursts and pauses that follow, the noise of the line.
//! What has ended counts by its density, what still runs by its survival: a first utterance that has
//! not ended after 1.5 s says «machine» now, not when it ends. As soon as the odds pass a bound the
//! verdict is in. A person is handed over at once; the test goes on, and may still say «machine» then.
//!
//! ```text
//! Listening ─► Person ──► (odds turn) late Machine     until LISTEN_ON_MS
//!      ├─────► Machine
//!      └─────► Unsure   nothing was certain until DECIDE_MS
//! ```

use super::ear::FRAME_MS;
use super::tables::{self, Table};
use super::voice::{Step, Voice};

/// Without a verdict this long after the answer there is none: the odds of whoever was silent or
/// unclear for that long no longer pay for the wait of a person.
pub const DECIDE_MS: u32 = 4_000;

/// How long a person's line is listened to after the answer. Greetings last 4 to 12 s, but one that
/// was not recognised after 8 s of it never is.
pub const LISTEN_ON_MS: u32 = 8_000;

/// No part of the evidence may shift the odds by more than this (a factor of 33): the tables come from
/// recordings made for the purpose, and no single habit of theirs shall decide.
pub const PART_MAX: f32 = 3.5;

/// What a beep after speech adds: people do not beep.
const BEEP_LOG_ODDS: f32 = -8.0;

/// Speech that must have been heard before a beep is one of a machine, in ms.
const BEEP_AFTER_SPEECH_MS: u32 = 500;

/// Bursts after the first that are counted; the rest tells nothing new.
const LATER_MAX: u32 = 3;

/// How many errors are tolerable, as shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets {
    /// Persons taken for a machine: they are hung up on.
    pub person_lost: f32,
    /// Machines taken for a person: an agent's time.
    pub machine_through: f32,
}

impl Default for Targets {
    fn default() -> Targets {
        Targets {
            person_lost: 0.003,
            machine_through: 0.013,
        }
    }
}

impl Targets {
    /// The bounds of the log odds (person over machine): at or below the first it is a machine, at or
    /// above the second a person (Wald's approximation).
    pub fn bounds(&self) -> (f32, f32) {
        let (a, b) = (
            self.person_lost.clamp(1e-6, 0.5),
            self.machine_through.clamp(1e-6, 0.5),
        );
        ((a / (1.0 - b)).ln(), ((1.0 - a) / b).ln())
    }
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A person.
    Person,
    /// A machine.
    Machine,
    /// Nothing was certain in time: treat as a person.
    Unsure,
}

/// What the odds were made of: natural logarithms, positive for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// All of it together.
    pub log_odds: f32,
    /// From how long it rang.
    pub ring: f32,
    /// From how long it took until somebody spoke.
    pub onset: f32,
    /// From the length of the first utterance.
    pub first: f32,
    /// From the pause behind it.
    pub pause: f32,
    /// From the bursts and pauses after that.
    pub later: f32,
    /// From the noise of the line and the level of the voice.
    pub level: f32,
    /// From a beep.
    pub beep: f32,
    /// Answer to first sound in ms, if there was any.
    pub onset_ms: Option<u32>,
    /// First utterance in ms, as far as it was heard.
    pub first_ms: u32,
    /// The pause behind it in ms, as far as it was heard.
    pub pause_ms: u32,
    /// All speech so far, in ms.
    pub speech_ms: u32,
    /// Bursts begun.
    pub bursts: u32,
    /// Level of the voice in dBm0.
    pub voice_dbm0: f32,
    /// Level of the noise behind it in dBm0.
    pub noise_dbm0: f32,
}

/// A verdict with what led to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Who it is.
    pub who: Who,
    /// It corrects an earlier «person».
    pub late: bool,
    /// When, in ms after the answer.
    pub at_ms: u32,
    /// Why.
    pub evidence: Evidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Listening,
    HandedOver,
    Done,
}

/// The test of one answered leg.
#[derive(Clone, Debug)]
pub struct Machine {
    bounds: (f32, f32),
    voice: Voice,
    state: State,
    at_ms: u32,
    /// What has ended; what runs is added when the odds are looked at.
    so_far: Evidence,
    /// The noise of the line is looked at once, when speech begins.
    noise: f32,
}

impl Machine {
    /// A test that begins with the answer. `rang_ms` is how long it rang before, if that is known.
    pub fn new(targets: Targets, rang_ms: Option<u32>) -> Machine {
        let mut so_far = Evidence::default();
        if let Some(ms) = rang_ms {
            so_far.ring = tables::RING.ended(ms);
        }
        Machine {
            bounds: targets.bounds(),
            voice: Voice::default(),
            state: State::Listening,
            at_ms: 0,
            so_far,
            noise: 0.0,
        }
    }

    /// Nothing more will be said.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The odds and what they are made of, as of now.
    pub fn evidence(&self) -> Evidence {
        let mut now = self.so_far;
        let ms = self.voice.lasted_ms();
        let class = pause_class(now.first_ms);
        match (now.bursts, self.voice.speaks()) {
            (0, _) => now.onset = tables::ONSET.running(ms),
            (1, true) => {
                now.first_ms = ms;
                now.first = tables::FIRST.running(ms);
            }
            (1, false) => {
                now.pause_ms = ms;
                now.pause = tables::PAUSE[class].running(ms);
            }
            (2.., true) if now.bursts <= 1 + LATER_MAX => {
                now.later += tables::LATER.running(ms);
            }
            (2.., false) if now.bursts <= 1 + LATER_MAX => {
                now.later += tables::LATER_PAUSE.running(ms);
            }
            (2.., _) => {}
        }
        if self.voice.speaks() {
            now.speech_ms += ms;
            now.voice_dbm0 = self.voice.burst_dbm0();
        }
        now.level = self.noise;
        let part = |x: f32| x.clamp(-PART_MAX, PART_MAX);
        now.later = now.later.clamp(-2.0 * PART_MAX, 2.0 * PART_MAX);
        now.log_odds = part(now.ring)
            + part(now.onset)
            + part(now.first)
            + part(now.pause)
            + now.later
            + part(now.level)
            + now.beep;
        now
    }

    /// Says that a beep has sounded. Before any speech it is the line's own; after it, a machine's.
    pub fn beep(&mut self) {
        if self.evidence().speech_ms >= BEEP_AFTER_SPEECH_MS {
            self.so_far.beep = BEEP_LOG_ODDS;
        }
    }

    /// Takes the level of the next 20 ms (`None`: lost). `tone_ms` is for how long a steady tone has
    /// sounded; tones are no speech.
    pub fn frame(&mut self, level_dbm0: Option<f32>, tone_ms: u32) -> Option<Judgement> {
        if self.state == State::Done {
            return None;
        }
        self.at_ms += FRAME_MS;
        if let Some(step) = self.voice.frame(level_dbm0) {
            self.step(step);
        }
        // A steady tone that began with the burst is what the burst consists of.
        if tone_ms >= 100 && self.voice.speaks() && tone_ms + 80 >= self.voice.lasted_ms() {
            self.retract();
        }
        self.judge()
    }

    fn retract(&mut self) {
        self.voice.retract();
        self.so_far.bursts -= 1;
        match self.so_far.bursts {
            0 => (self.so_far.onset, self.so_far.onset_ms) = (0.0, None),
            1 => (self.so_far.pause, self.so_far.pause_ms) = (0.0, 0),
            _ => {}
        }
    }

    fn step(&mut self, step: Step) {
        let now = &mut self.so_far;
        match step {
            Step::Began { silent_ms } => {
                match now.bursts {
                    0 => {
                        now.onset_ms = Some(silent_ms);
                        now.onset = tables::ONSET.ended(silent_ms);
                        // The floor of a line that spoke at once is not known.
                        now.noise_dbm0 = self.voice.floor_dbm0();
                        if silent_ms >= 200 {
                            self.noise =
                                tables::NOISE.ended((now.noise_dbm0 + 90.0).max(0.0) as u32);
                        }
                    }
                    1 => {
                        now.pause_ms = silent_ms;
                        now.pause = tables::PAUSE[pause_class(now.first_ms)].ended(silent_ms);
                    }
                    n if n <= LATER_MAX => now.later += tables::LATER_PAUSE.ended(silent_ms),
                    _ => {}
                }
                now.bursts += 1;
            }
            Step::Ended { spoke_ms } => {
                now.speech_ms += spoke_ms;
                now.voice_dbm0 = self.voice.burst_dbm0();
                match now.bursts {
                    1 => {
                        now.first_ms = spoke_ms;
                        now.first = tables::FIRST.ended(spoke_ms);
                    }
                    n if n <= 1 + LATER_MAX => now.later += tables::LATER.ended(spoke_ms),
                    _ => {}
                }
            }
        }
    }

    fn judge(&mut self) -> Option<Judgement> {
        let evidence = self.evidence();
        let (machine, person) = self.bounds;
        let judgement = |who, late| Judgement {
            who,
            late,
            at_ms: self.at_ms,
            evidence,
        };
        let (next, said) = match self.state {
            State::Done => (State::Done, None),
            State::Listening => {
                if evidence.log_odds <= machine {
                    (State::Done, Some(judgement(Who::Machine, false)))
                } else if evidence.log_odds >= person {
                    (State::HandedOver, Some(judgement(Who::Person, false)))
                } else if self.at_ms >= DECIDE_MS {
                    (State::HandedOver, Some(judgement(Who::Unsure, false)))
                } else {
                    (State::Listening, None)
                }
            }
            State::HandedOver => {
                if evidence.log_odds <= machine {
                    (State::Done, Some(judgement(Who::Machine, true)))
                } else if self.at_ms >= LISTEN_ON_MS {
                    (State::Done, None)
                } else {
                    (State::HandedOver, None)
                }
            }
        };
        self.state = next;
        said
    }
}

/// Which table of pauses a first utterance of this length asks for: short, middling, long.
pub fn pause_class(first_ms: u32) -> usize {
    const SHORT_MS: u32 = 700;
    const MIDDLING_MS: u32 = 1_400;
    match first_ms {
        0..SHORT_MS => 0,
        SHORT_MS..MIDDLING_MS => 1,
        MIDDLING_MS.. => 2,
    }
}

impl Table {
    /// The log odds of something that ended after `value`.
    pub fn ended(&self, value: u32) -> f32 {
        self.ended[self.bin(value)]
    }

    /// The log odds of something that has lasted for `value` and goes on.
    pub fn running(&self, value: u32) -> f32 {
        self.running[self.bin(value)]
    }

    /// The bin a value falls in: the last whose edge is not above it.
    pub fn bin(&self, value: u32) -> usize {
        let above = self.edges.iter().position(|edge| u32::from(*edge) > value);
        above.unwrap_or(tables::BINS).saturating_sub(1)
    }
}
