//! Person or machine: a sequential likelihood-ratio test (Wald 1945) over what is heard after the answer.
//!
//! Every 20 ms the odds are summed from tables: how long it rang, how long nobody spoke and how noisy
//! the line is (the habits of who answers), and how far the first utterance has come: how long it is,
//! in how many bursts, and for how long it has paused; then how long nobody speaks behind it, how long
//! the turns that follow were, and whether one is said again.
//!
//! A person and a machine are told at different odds. Whoever pauses and is a person at 3.5 to 1 is
//! handed over at once: a mistake costs an agent some seconds, and the test goes on and says «machine»
//! then. «Machine» hangs up, or leaves a message, and takes odds of about 300 to 1; 180 to 1 later on, and
//! fewer when nothing more will be known: at the end of listening, and when the far end hangs up.
//!
//! ```text
//! Listening ─► Person ──► (odds turn) late Machine     until LISTEN_ON_MS
//!      ├─────► Machine            ▲
//!      └─────► Unsure ────────────┘   nobody spoke until SILENT_MS, nothing was certain until DECIDE_MS
//! ```

use super::ear::FRAME_MS;
use super::tables::{Grid, TABLES, Table, Tables};
use super::utterance::{Progress, UTTERANCE_PAUSE_MS, Utterance, difference_pct};
use super::voice::{Step, Voice};

/// Whoever has not spoken for this long after the answer cannot be told: wait no longer.
pub const SILENT_MS: u32 = 4_000;

/// Whoever speaks may do so for this long after the answer before it is given up. Long, because a
/// person who still speaks does not wait for anybody yet; one who has stopped is told by the pause.
pub const DECIDE_MS: u32 = 6_000;

/// Whoever has spoken and then pauses for this long waits for an answer, and gets one: without a
/// certain verdict they are handed over as unsure. Below the 2 s of 47 CFR 64.1200(a)(7).
pub const WAIT_MS: u32 = 1_500;

/// At [`DECIDE_MS`], these odds suffice for a machine (90 to 1): whoever has talked for most of 6 s.
const DECIDE_LOG_ODDS: f32 = -4.5;

/// At [`LISTEN_ON_MS`], these do (2.7 to 1): nothing more will be known, and whoever was handed over is
/// not hung up on unheard.
const LAST_LOG_ODDS: f32 = -1.0;

/// When the far end hangs up, these do (6 to 1), for the same reason. More than at the end of listening:
/// persons hang up more often than machines do, and that is not in the tables.
const GONE_LOG_ODDS: f32 = -1.8;

/// Whoever has not been handed over is a machine at odds greater by this factor (1.6) than one who was:
/// what follows their greeting will tell more, and nobody has heard them yet.
const EARLY_LOG_ODDS: f32 = -0.5;

/// Odds come in steps and overshoot the bounds, so Wald's bounds ask for more than they need: by this
/// much, for a machine and for a person, measured on the tuning half of the corpus.
const OVERSHOOT: (f32, f32) = (0.6, 0.9);

/// How long a person's line is listened to after the answer. Greetings last 4 to 12 s, and what gives a
/// short one away comes behind it: a late beep, the greeting once more, or a silence that lasts longer than
/// most people listen for. After 20 s an agent has found out.
pub const LISTEN_ON_MS: u32 = 20_000;

/// One habit shifts the odds by no more than this (a factor of 12), all of them together by no more
/// than [`HABITS_MAX`]: habits differ from country to country and campaign to campaign, and none of
/// them, nor all, shall decide without a word having been spoken.
pub const HABIT_MAX: f32 = 2.5;

/// See [`HABIT_MAX`]; a factor of 33.
pub const HABITS_MAX: f32 = 3.5;

/// Speech shifts the odds by no more than this (a factor of 1100): the tables stand on some thousand
/// calls, and cannot know more.
pub const SPEECH_MAX: f32 = 7.0;

/// Nobody is held for a person with greater odds than these (30 to 1), however much speaks for it: what
/// a machine does later must be able to turn them.
pub const PERSON_MAX: f32 = 3.4;

/// A turn that differs from the one before by more than this, in per cent, is not its repetition, and
/// speaks for nobody's being a machine: people say much that is as long as a greeting.
const REPEATED_PCT_MAX: u32 = 7;

/// One repetition speaks for a machine no more than this (7 to 1): people repeat themselves, too.
const REPEATED_MIN: f32 = -2.0;

/// A first burst without a pause speaks for a machine no more than this (55 to 1), however long it is: firms
/// greet in one breath, too.
const FIRST_MIN: f32 = -4.0;

/// What a beep after speech adds: people do not beep.
const BEEP_LOG_ODDS: f32 = -9.0;

/// Speech that must have been heard before a beep is one of a machine, in ms.
const BEEP_AFTER_SPEECH_MS: u32 = 500;

/// A steady tone is one from here on, in ms; sooner it may be a vowel.
const TONE_MS_MIN: u32 = 100;

/// The tone detector sees a tone begin this much later than the voice detector does, in ms.
const TONE_LAG_MS: u32 = 80;

/// So much silence before the first word, in ms, and the noise floor has settled.
pub const FLOOR_KNOWN_MS: u32 = 200;

/// A pause this long ends the greeting for good, in ms: greetings pause for less between sentences.
/// Shorter than the one that ends the first utterance, as two seconds are counted from the end.
pub const GREETING_PAUSE_MS: u32 = 800;

/// How many errors are tolerable, as shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets {
    /// Persons taken for a machine: they are hung up on.
    pub person_lost: f32,
    /// Machines taken for a person: an agent's time.
    pub machine_through: f32,
    /// Odds, person over machine, at which whoever pauses is handed over as a likely person. A machine
    /// handed over costs an agent some seconds and is told later, so far less than certainty will do.
    pub hand_over_odds: f32,
}

impl Default for Targets {
    fn default() -> Targets {
        Targets {
            person_lost: 0.003,
            machine_through: 0.013,
            hand_over_odds: 3.5,
        }
    }
}

impl Targets {
    /// The bounds of the log odds (person over machine): at or below the first it is a machine, at or
    /// above the second a person for certain, which is more than a hand-over asks for. Wald's
    /// approximation, less the mean overshoot.
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
    /// A person in all likelihood: hand them over, a correction may follow.
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
    /// From the first utterance: its length, its bursts, its pause; until it pauses for long.
    pub speech: f32,
    /// From then on, in its place: from the utterance, the silence behind it, and the turns that follow.
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
    /// When it ended. Known 80 ms later; unknown again if the same utterance goes on, until a person
    /// (or «unsure») is told or the pause has lasted for [`GREETING_PAUSE_MS`]: from then on it stays.
    pub ended_ms: Option<u32>,
}

/// A verdict with what led to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Who it is.
    pub who: Who,
    /// It corrects an earlier «person» or «unsure».
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

/// The test of one answered leg.
#[derive(Clone, Debug)]
pub struct Machine {
    tables: &'static Tables,
    bounds: (f32, f32),
    voice: Voice,
    utterance: Utterance,
    /// The same before the last burst, which may turn out to be a tone, and the odds of turns by then.
    before: (Utterance, f32),
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
        Machine::with_tables(&TABLES, targets, rang_ms)
    }

    /// A test with tables of one's own.
    pub fn with_tables(tables: &'static Tables, targets: Targets, rang_ms: Option<u32>) -> Machine {
        let (machine, certain) = targets.bounds();
        let likely = targets.hand_over_odds.max(1e-6).ln();
        let likely = likely.min(certain).min(PERSON_MAX);
        let mut so_far = Evidence::default();
        if let Some(ms) = rang_ms {
            so_far.ring = habit(tables.ring.ended(ms));
        }
        Machine {
            tables,
            bounds: (machine, likely),
            voice: Voice::default(),
            utterance: Utterance::default(),
            before: (Utterance::default(), 0.0),
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
            Progress::Silent { ms } => now.onset = habit(self.tables.onset.running(ms)),
            Progress::First { ms } => {
                now.utterance_ms = ms;
                now.speech = self.tables.first.running(ms).max(FIRST_MIN);
            }
            Progress::On { since_ms, spoke_ms } => {
                now.utterance_ms = since_ms;
                now.speech = self.tables.on.at(since_ms, spoke_ms);
            }
            Progress::Paused {
                breaths,
                ms,
                pause_ms,
            } => {
                now.pause_ms = pause_ms;
                now.speech = self.tables.paused[breaths as usize].at(ms, pause_ms);
            }
            Progress::Waits {
                breaths,
                ms,
                pause_ms,
            } => {
                now.pause_ms = pause_ms;
                now.later = self.tables.waits[breaths as usize].at(ms, pause_ms);
            }
            // How long a turn goes on is held against nobody: people talk much, too.
            Progress::Replies => {
                if !self.voice.speaks() {
                    now.pause_ms = self.voice.lasted_ms();
                }
            }
            Progress::Rests {
                ms,
                before_ms,
                pause_ms,
            } => {
                now.pause_ms = pause_ms;
                now.later +=
                    self.tables.turn_odds(ms, before_ms) + self.tables.rest.running(pause_ms);
            }
        }
        let habits = (now.ring + now.onset + now.noise).clamp(-HABITS_MAX, HABITS_MAX);
        let heard = (now.speech + now.later).clamp(-SPEECH_MAX, SPEECH_MAX);
        now.log_odds = (habits + heard).min(PERSON_MAX) + now.beep;
        now
    }

    /// Says that a beep has ended. Before any speech it is the line's own; after it, a machine's.
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
            (self.utterance, self.so_far.later) = self.before;
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

    /// The far end has hung up, or would now: that whoever was handed over and pauses was a machine, if so.
    pub fn gone(&self) -> Option<Judgement> {
        let evidence = match self.state {
            State::HandedOver => self.evidence(),
            State::Listening | State::Done => return None,
        };
        let is_machine = evidence.pause_ms > 0 && evidence.log_odds <= GONE_LOG_ODDS;
        is_machine.then(|| self.judgement(Who::Machine, true, evidence))
    }

    fn judgement(&self, who: Who, late: bool, evidence: Evidence) -> Judgement {
        Judgement {
            who,
            late,
            at_ms: self.at_ms,
            greeting: self.greeting(),
            evidence,
        }
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
                self.before = (self.utterance, now.later);
                if silent_ms >= UTTERANCE_PAUSE_MS {
                    now.later = self.utterance.settled(self.tables, now.later, silent_ms);
                }
                if self.utterance.bursts == 0 {
                    now.onset_ms = Some(silent_ms);
                    self.greeting.began_ms = Some(silent_ms);
                    now.onset = habit(self.tables.onset.ended(silent_ms));
                    now.noise_dbm0 = self.voice.floor_dbm0();
                    // The floor of a line that spoke at once is not known.
                    if silent_ms >= FLOOR_KNOWN_MS {
                        now.noise = habit(self.tables.noise.ended(noise_value(now.noise_dbm0)));
                    }
                }
            }
            Step::Ended { spoke_ms } => {
                now.speech_ms += spoke_ms;
                now.voice_dbm0 = self.voice.burst_dbm0();
                if !self.greeting_placed {
                    self.greeting.ended_ms = Some(self.sounded_ms);
                }
            }
        }
        self.utterance.step(step);
    }

    fn judge(&mut self) -> Option<Judgement> {
        let evidence = self.evidence();
        let (machine, likely) = self.bounds;
        let judgement = |who, late| self.judgement(who, late, evidence);
        let (next, said) = match self.state {
            State::Done => (State::Done, None),
            State::Listening => {
                if evidence.log_odds <= machine + EARLY_LOG_ODDS {
                    (State::Done, Some(judgement(Who::Machine, false)))
                } else if evidence.pause_ms > 0 && evidence.log_odds >= likely {
                    // Only whoever has spoken and listens now can be talked to.
                    (State::HandedOver, Some(judgement(Who::Person, false)))
                } else if self.at_ms >= DECIDE_MS && evidence.log_odds <= DECIDE_LOG_ODDS {
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
                // Without a word nobody is a machine.
                let last = self.at_ms >= LISTEN_ON_MS
                    && evidence.onset_ms.is_some()
                    && evidence.log_odds <= LAST_LOG_ODDS;
                if evidence.log_odds <= machine || last {
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

impl Tables {
    /// The log odds of a turn that is over, by its length and that of the one before.
    pub(super) fn turn_odds(&self, ms: u32, before_ms: u32) -> f32 {
        let difference = difference_pct(ms, before_ms);
        let odds = self.turns.at(ms, difference);
        if difference > REPEATED_PCT_MAX {
            odds.max(0.0)
        } else {
            odds.max(REPEATED_MIN)
        }
    }
}

impl Grid {
    /// The log odds of a row's and a column's value.
    pub fn at(&self, row: u32, column: u32) -> f32 {
        let (row, column) = self.cell(row, column);
        self.odds[row][column]
    }

    /// The cell they fall in.
    pub fn cell(&self, row: u32, column: u32) -> (usize, usize) {
        (bin(&self.rows, row), bin(&self.columns, column))
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

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Option<f32> = Some(-60.0);
    const VOICE: Option<f32> = Some(-20.0);
    const LOST: Option<f32> = None;

    /// Hears each level for so many ms.
    fn hear(machine: &mut Machine, levels: &[(Option<f32>, u32)]) -> Vec<Judgement> {
        let frames = levels.iter().flat_map(|(level, ms)| {
            let frames = (ms / FRAME_MS) as usize;
            std::iter::repeat_n(*level, frames)
        });
        frames.filter_map(|level| machine.frame(level, 0)).collect()
    }

    /// Somebody nobody is sure of before they have paused for long.
    fn slow() -> Machine {
        let targets = Targets {
            hand_over_odds: 1e6,
            ..Targets::default()
        };
        Machine::new(targets, Some(23_000))
    }

    #[test]
    fn a_greeting_ends_where_its_last_frame_of_sound_began() {
        let mut machine = slow();
        hear(&mut machine, &[(QUIET, 500), (VOICE, 400)]);
        assert_eq!(machine.greeting().began_ms, Some(500));
        assert_eq!(machine.greeting().ended_ms, None);
        hear(&mut machine, &[(QUIET, 100)]);
        assert_eq!(machine.greeting().ended_ms, Some(880));
    }

    #[test]
    fn packets_lost_behind_a_word_are_none_of_its_greeting() {
        let mut machine = slow();
        hear(&mut machine, &[(QUIET, 500), (VOICE, 400), (LOST, 200)]);
        hear(&mut machine, &[(QUIET, 100)]);
        assert_eq!(machine.greeting().ended_ms, Some(880));
    }

    #[test]
    fn a_greeting_goes_on_after_a_breath_and_not_after_a_long_pause() {
        let mut machine = slow();
        hear(&mut machine, &[(QUIET, 500), (VOICE, 400), (QUIET, 300)]);
        hear(&mut machine, &[(VOICE, 400)]);
        assert_eq!(machine.greeting().ended_ms, None);
        hear(&mut machine, &[(QUIET, GREETING_PAUSE_MS + 60)]);
        assert_eq!(machine.greeting().ended_ms, Some(1_580));
        hear(&mut machine, &[(VOICE, 400), (QUIET, 200)]);
        assert_eq!(machine.greeting().ended_ms, Some(1_580));
    }

    #[test]
    fn the_greeting_of_whoever_was_handed_over_stays_where_it_ended() {
        let mut machine = Machine::new(Targets::default(), Some(8_000));
        let said = hear(&mut machine, &[(QUIET, 700), (VOICE, 400), (QUIET, 400)]);
        let [person] = said[..] else {
            panic!("{said:?}")
        };
        assert_eq!((person.who, person.late), (Who::Person, false));
        let greeting = Greeting {
            began_ms: Some(700),
            ended_ms: Some(1_080),
        };
        assert_eq!(person.greeting, greeting);
        hear(&mut machine, &[(VOICE, 400), (QUIET, 400)]);
        assert_eq!(machine.greeting(), greeting);
    }

    #[test]
    fn a_person_is_handed_over_at_lower_odds_than_a_machine_is_told() {
        let mut machine = Machine::new(Targets::default(), None);
        let said = hear(&mut machine, &[(QUIET, 700), (VOICE, 400), (QUIET, 600)]);
        let odds = said[0].evidence.log_odds;
        assert_eq!(said[0].who, Who::Person);
        assert!((1.2..PERSON_MAX).contains(&odds), "{odds}");
        let mut machine = Machine::new(Targets::default(), Some(23_000));
        let mut said = hear(&mut machine, &[(QUIET, 500)]);
        for _ in 0..10 {
            said.extend(hear(&mut machine, &[(VOICE, 700), (QUIET, 120)]));
        }
        assert_eq!(said[0].who, Who::Machine);
        assert!(said[0].evidence.log_odds < -5.0, "{:?}", said[0]);
    }

    #[test]
    fn one_long_breath_has_its_bound_and_whoever_goes_on_has_none() {
        let mut machine = slow();
        hear(&mut machine, &[(QUIET, 700), (VOICE, 5_000)]);
        assert_eq!(machine.evidence().speech, FIRST_MIN);
        hear(&mut machine, &[(QUIET, 200), (VOICE, 1_500)]);
        assert!(machine.evidence().speech < FIRST_MIN);
    }

    #[test]
    fn a_beep_is_a_machine_behind_speech_and_the_lines_own_before_it() {
        let heard = |speech_ms: u32| {
            let mut machine = Machine::new(Targets::default(), Some(8_000));
            let mut said = hear(
                &mut machine,
                &[(QUIET, 700), (VOICE, speech_ms), (QUIET, 500)],
            );
            machine.beep();
            said.extend(hear(&mut machine, &[(QUIET, 20)]));
            said.last().map(|judgement| judgement.who)
        };
        assert_eq!(heard(700), Some(Who::Machine));
        assert_ne!(heard(400), Some(Who::Machine));
    }
}
