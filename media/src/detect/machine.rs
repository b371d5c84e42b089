//! Person or machine: a sequential likelihood-ratio test (Wald 1945) over what is heard after the answer.
//!
//! Every 20 ms the odds are summed from tables: how long it rang, how long nobody spoke and how noisy
//! the line is (the habits of who answers), and how far the first utterance has come: how long it is,
//! in how many bursts, and for how long it has paused. A pause after «hello?» that outlasts what
//! greetings pause says «person»; an utterance that outlasts what people say says «machine», while it
//! still runs. As soon as the odds pass a bound the verdict is in. A person is handed over at once;
//! the test goes on, and may still say «machine» then.
//!
//! ```text
//! Listening ─► Person ──► (odds turn) late Machine     until LISTEN_ON_MS
//!      ├─────► Machine
//!      └─────► Unsure   nobody spoke until SILENT_MS, nothing was certain until DECIDE_MS
//! ```

use super::ear::FRAME_MS;
use super::tables::{self, Grid, Table};
use super::voice::{Step, Voice};

/// Whoever has not spoken for this long after the answer cannot be told: wait no longer.
pub const SILENT_MS: u32 = 4_000;

/// Whoever speaks may do so for this long after the answer before it is given up. Long, because a
/// person who still speaks does not wait for anybody yet; one who has stopped is told by the pause.
pub const DECIDE_MS: u32 = 6_000;

/// Whoever has spoken and then pauses for this long waits for an answer, and gets one: without a
/// certain verdict they are handed over as unsure. Below the 2 s of 47 CFR 64.1200(a)(7).
pub const WAIT_MS: u32 = 1_500;

/// At the end, these odds suffice for a machine (20 to 1): whoever has talked for most of 6 s.
const AT_THE_END: f32 = -3.0;

/// Odds come in steps and overshoot the bounds, so Wald's bounds ask for more than they need: by this
/// much, for a machine and for a person, measured on the tuning half of the corpus.
const OVERSHOOT: (f32, f32) = (0.6, 0.9);

/// How long a person's line is listened to after the answer. Greetings last 4 to 12 s, but one that
/// was not recognised after 8 s of it never is.
pub const LISTEN_ON_MS: u32 = 8_000;

/// A pause this long ends the first utterance: who goes on after it has been waiting for an answer.
pub const UTTERANCE_PAUSE_MS: u32 = 1_200;

/// One habit shifts the odds by no more than this (a factor of 12), all of them together by no more
/// than [`HABITS_MAX`]: habits differ from country to country and campaign to campaign, and none of
/// them, nor all, shall decide without a word having been spoken.
pub const HABIT_MAX: f32 = 2.5;

/// See [`HABIT_MAX`]; a factor of 33.
pub const HABITS_MAX: f32 = 3.5;

/// Speech shifts the odds by no more than this (a factor of 1100): the tables stand on some thousand
/// calls, and cannot know more.
pub const SPEECH_MAX: f32 = 7.0;

/// What is said after a long pause shifts them by no more than this: it comes in bursts that depend
/// on each other.
const LATER_MAX: f32 = 3.0;

/// What a beep after speech adds: people do not beep.
const BEEP_LOG_ODDS: f32 = -8.0;

/// Speech that must have been heard before a beep is one of a machine, in ms.
const BEEP_AFTER_SPEECH_MS: u32 = 500;

/// A steady tone is one from here on, in ms; sooner it may be a vowel.
const TONE_MS_MIN: u32 = 100;

/// The tone detector sees a tone begin this much later than the voice detector does, in ms.
const TONE_LAG_MS: u32 = 80;

/// So much silence before the first word, in ms, and the noise floor has settled.
pub const FLOOR_KNOWN_MS: u32 = 200;

/// A pause this long ends the greeting for good, in ms. Shorter than the one that ends the first
/// utterance: two seconds are counted from here, and sooner is the safe side.
pub const GREETING_PAUSE_MS: u32 = 600;

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
    /// above the second a person. Wald's approximation, less the mean overshoot.
    pub fn bounds(&self) -> (f32, f32) {
        let (a, b) = (
            self.person_lost.clamp(1e-6, 0.5),
            self.machine_through.clamp(1e-6, 0.5),
        );
        (
            (a / (1.0 - b)).ln() + OVERSHOOT.0,
            ((1.0 - a) / b).ln() - OVERSHOOT.1,
        )
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
    /// From the noise of the line.
    pub noise: f32,
    /// From the first utterance: its length, its bursts, its pause.
    pub speech: f32,
    /// From what was said after a long pause.
    pub later: f32,
    /// From a beep.
    pub beep: f32,
    /// Answer to first sound in ms, if there was any.
    pub onset_ms: Option<u32>,
    /// The first utterance in ms, from its first sound to its last so far.
    pub utterance_ms: u32,
    /// The pause that runs, in ms; 0 while somebody speaks.
    pub pause_ms: u32,
    /// All sound so far, in ms.
    pub speech_ms: u32,
    /// Bursts begun in the first utterance.
    pub bursts: u32,
    /// Level of the voice in dBm0.
    pub voice_dbm0: f32,
    /// Level of the noise behind it in dBm0.
    pub noise_dbm0: f32,
}

/// Where the first utterance lies, in ms after the answer, as far as it is known by now.
///
/// The end is placed early rather than late: 47 CFR 64.1200(a)(7) counts two seconds from the completed
/// greeting, so it is where the last frame known to sound began; packets lost behind it are none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// When it began.
    pub began_ms: Option<u32>,
    /// When it ended. Known 100 ms later; unknown again if the same utterance goes on, until a person
    /// (or «unsure») is told or the pause has lasted for [`GREETING_PAUSE_MS`]: from then on it stays.
    pub ended_ms: Option<u32>,
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
    /// Where the greeting lies, as far as it is known by then.
    pub greeting: Greeting,
    /// Why.
    pub evidence: Evidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Listening,
    HandedOver,
    Done,
}

/// How far the first utterance has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utterance {
    /// From the first sound to the last, in ms, of what has ended.
    ended_ms: u32,
    /// Bursts begun.
    bursts: u32,
    /// A long pause has ended it.
    over: bool,
}

/// Where an utterance is: what the tables are asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say it")]
pub enum Progress {
    /// Nobody has spoken for `ms`.
    Silent { ms: u32 },
    /// One burst without a pause lasts for `ms`.
    First { ms: u32 },
    /// After pauses it goes on, for `ms` since the first sound.
    On { ms: u32 },
    /// It pauses for `pause_ms` after an utterance of `ms`, made of one burst or of `several`.
    Paused {
        ms: u32,
        several: bool,
        pause_ms: u32,
    },
    /// It is over, and something else is said for `ms`.
    Later { ms: u32 },
}

impl Utterance {
    /// Follows what the voice detector saw.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Began { silent_ms } => {
                if self.bursts > 0 && !self.over {
                    self.over = silent_ms >= UTTERANCE_PAUSE_MS;
                    if !self.over {
                        self.ended_ms += silent_ms;
                    }
                }
                if !self.over {
                    self.bursts += 1;
                }
            }
            Step::Ended { spoke_ms } => {
                if !self.over {
                    self.ended_ms += spoke_ms;
                }
            }
        }
    }

    /// Where it is by now.
    pub fn progress(&self, voice: &Voice) -> Progress {
        let ms = voice.lasted_ms();
        let several = self.bursts > 1;
        match (self.over, self.bursts, voice.speaks()) {
            (true, _, true) => Progress::Later { ms },
            (true, _, false) => Progress::Paused {
                ms: self.ended_ms,
                several,
                pause_ms: ms.max(UTTERANCE_PAUSE_MS),
            },
            (false, 0, _) => Progress::Silent { ms },
            (false, 1, true) => Progress::First { ms },
            (false, 2.., true) => Progress::On {
                ms: self.ended_ms + ms,
            },
            (false, _, false) => Progress::Paused {
                ms: self.ended_ms,
                several,
                pause_ms: ms,
            },
        }
    }
}

/// The test of one answered leg.
#[derive(Clone, Debug)]
pub struct Machine {
    bounds: (f32, f32),
    voice: Voice,
    utterance: Utterance,
    state: State,
    at_ms: u32,
    /// Where the last frame known to sound began, in ms.
    sounded_ms: u32,
    greeting: Greeting,
    /// The end of the greeting stays where it is.
    greeting_placed: bool,
    /// What is settled; what still changes is added when the odds are looked at.
    so_far: Evidence,
}

impl Machine {
    /// A test that begins with the answer. `rang_ms` is how long it rang before, if that is known.
    pub fn new(targets: Targets, rang_ms: Option<u32>) -> Machine {
        let mut so_far = Evidence::default();
        if let Some(ms) = rang_ms {
            so_far.ring = habit(tables::RING.ended(ms));
        }
        Machine {
            bounds: targets.bounds(),
            voice: Voice::default(),
            utterance: Utterance::default(),
            state: State::Listening,
            at_ms: 0,
            sounded_ms: 0,
            greeting: Greeting::default(),
            greeting_placed: false,
            so_far,
        }
    }

    /// Nothing more will be said.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Where the greeting lies, as far as it is known by now.
    pub fn greeting(&self) -> Greeting {
        let goes_on = self.voice.speaks() && !self.greeting_placed;
        Greeting {
            began_ms: self.greeting.began_ms,
            ended_ms: self.greeting.ended_ms.filter(|_| !goes_on),
        }
    }

    /// The odds and what they are made of, as of now.
    pub fn evidence(&self) -> Evidence {
        let mut now = self.so_far;
        let running_ms = if self.voice.speaks() {
            now.voice_dbm0 = self.voice.burst_dbm0();
            self.voice.lasted_ms()
        } else {
            0
        };
        now.speech_ms += running_ms;
        now.bursts = self.utterance.bursts;
        now.utterance_ms = self.utterance.ended_ms;
        match self.utterance.progress(&self.voice) {
            Progress::Silent { ms } => now.onset = habit(tables::ONSET.running(ms)),
            Progress::First { ms } => {
                now.utterance_ms = ms;
                now.speech = tables::FIRST.running(ms);
            }
            Progress::On { ms } => {
                now.utterance_ms = ms;
                now.speech = tables::UTTERANCE.running(ms);
            }
            Progress::Paused {
                ms,
                several,
                pause_ms,
            } => {
                now.pause_ms = pause_ms;
                now.speech = tables::PAUSED[usize::from(several)].at(ms, pause_ms);
            }
            Progress::Later { ms } => {
                // What was paused for so long has said what it could.
                let (ended, several) = (self.utterance.ended_ms, self.utterance.bursts > 1);
                now.speech = tables::PAUSED[usize::from(several)].at(ended, UTTERANCE_PAUSE_MS);
                now.later += tables::LATER.running(ms);
            }
        }
        now.later = now.later.clamp(-LATER_MAX, LATER_MAX);
        let habits = (now.ring + now.onset + now.noise).clamp(-HABITS_MAX, HABITS_MAX);
        now.log_odds = habits + now.speech.clamp(-SPEECH_MAX, SPEECH_MAX) + now.later + now.beep;
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
        let step = self.voice.frame(level_dbm0);
        if level_dbm0.is_some() && self.voice.sounds() {
            self.sounded_ms = self.at_ms - FRAME_MS;
        }
        if let Some(step) = step {
            self.step(step);
        }
        // A steady tone that began with the burst is what the burst consists of.
        if tone_ms >= TONE_MS_MIN
            && self.voice.speaks()
            && tone_ms + TONE_LAG_MS >= self.voice.lasted_ms()
        {
            self.voice.retract();
            self.utterance.bursts = self.utterance.bursts.saturating_sub(1);
            if self.utterance.bursts == 0 {
                (self.so_far.onset_ms, self.so_far.onset) = (None, 0.0);
                self.greeting.began_ms = None;
            }
        }
        let judgement = self.judge();
        self.greeting_placed |= self.greeting.ended_ms.is_some()
            && (self.state != State::Listening || self.pauses_ms() >= GREETING_PAUSE_MS);
        judgement
    }

    /// For how long nobody has spoken, in ms; 0 while somebody does.
    fn pauses_ms(&self) -> u32 {
        if self.voice.speaks() {
            0
        } else {
            self.voice.lasted_ms()
        }
    }

    fn step(&mut self, step: Step) {
        let now = &mut self.so_far;
        match step {
            Step::Began { silent_ms } => {
                if self.utterance.bursts == 0 {
                    now.onset_ms = Some(silent_ms);
                    self.greeting.began_ms = Some(silent_ms);
                    now.onset = habit(tables::ONSET.ended(silent_ms));
                    now.noise_dbm0 = self.voice.floor_dbm0();
                    // The floor of a line that spoke at once is not known.
                    if silent_ms >= FLOOR_KNOWN_MS {
                        now.noise = habit(tables::NOISE.ended(noise_value(now.noise_dbm0)));
                    }
                }
            }
            Step::Ended { spoke_ms } => {
                now.speech_ms += spoke_ms;
                now.voice_dbm0 = self.voice.burst_dbm0();
                if !self.greeting_placed {
                    self.greeting.ended_ms = Some(self.sounded_ms);
                }
                if self.utterance.over {
                    now.later += tables::LATER.ended(spoke_ms);
                }
            }
        }
        self.utterance.step(step);
    }

    fn judge(&mut self) -> Option<Judgement> {
        let evidence = self.evidence();
        let (machine, person) = self.bounds;
        let judgement = |who, late| Judgement {
            who,
            late,
            at_ms: self.at_ms,
            greeting: self.greeting(),
            evidence,
        };
        let (next, said) = match self.state {
            State::Done => (State::Done, None),
            State::Listening => {
                if evidence.log_odds <= machine {
                    (State::Done, Some(judgement(Who::Machine, false)))
                } else if evidence.pause_ms > 0 && evidence.log_odds >= person {
                    // Only whoever has spoken and listens now is a person for sure.
                    (State::HandedOver, Some(judgement(Who::Person, false)))
                } else if self.at_ms >= DECIDE_MS && evidence.log_odds <= AT_THE_END {
                    (State::Done, Some(judgement(Who::Machine, false)))
                } else if self.at_ms >= DECIDE_MS
                    || evidence.pause_ms >= WAIT_MS
                    || (evidence.onset_ms.is_none() && self.at_ms >= SILENT_MS)
                {
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

fn habit(odds: f32) -> f32 {
    odds.clamp(-HABIT_MAX, HABIT_MAX)
}

/// A level of noise as the table has it: dB above −90 dBm0.
pub fn noise_value(dbm0: f32) -> u32 {
    (dbm0 + 90.0).max(0.0) as u32
}

impl Grid {
    /// The log odds of a pause that has lasted for `pause_ms`, after an utterance of `ms`.
    pub fn at(&self, ms: u32, pause_ms: u32) -> f32 {
        let (row, column) = self.cell(ms, pause_ms);
        self.odds[row][column]
    }

    /// The cell an utterance and its pause fall in.
    pub fn cell(&self, ms: u32, pause_ms: u32) -> (usize, usize) {
        (bin(&self.ms, ms), bin(&self.pause_ms, pause_ms))
    }
}

/// The bin a value falls in: the last whose edge is not above it.
fn bin(edges: &[u16], value: u32) -> usize {
    let above = edges.iter().position(|edge| u32::from(*edge) > value);
    above.unwrap_or(edges.len()).saturating_sub(1)
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

    /// The bin a value falls in.
    pub fn bin(&self, value: u32) -> usize {
        bin(&self.edges, value)
    }
}
