//! Answered calls made for measuring: speech by synthesisers, a line with noise, a level and losses,
//! and what three detectors say to them. Everything follows from a seed.
//!
//! Tuning and evaluation share no voice and no text, and the habits assumed of persons and machines
//! (how long it rings, how soon they speak) differ between the two, so that a detector which has
//! learned the assumptions by heart is found out.

#![allow(dead_code, reason = "each test and example uses its part")]

pub mod line;
pub mod speech;
pub mod texts;
pub mod usual;

use line::{Line, Packet};
use media::detect::{
    Beep, BeepHeard, CallProgress, Ear, Finding, Frame, Judgement, Listener, Targets, Who,
};
use model::Rng;
use speech::{Clip, Clips, SAMPLES_PER_MS};

/// Which half of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What tables are fitted to.
    Tuning,
    /// What is reported.
    Evaluation,
}

/// How long a call is made, in ms: as long as a detector listens. Whoever hangs up ends it sooner.
pub const CALL_MS: u32 = 20_500;

/// What tells persons from machines besides their speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habits {
    /// As assumed for the split.
    Assumed,
    /// The same for both, and no ringing time: what speech alone is worth.
    Neutral,
}

/// One answered call.
pub struct Call {
    pub machine: bool,
    pub rang_ms: Option<u32>,
    /// When the first word begins.
    pub speech_ms: u32,
    /// When the first utterance ends: of a machine, its greeting.
    pub greeting_end_ms: u32,
    /// When the beep ends, if there is one within the call.
    pub beep_end_ms: Option<u32>,
    pub packets: Vec<Packet>,
    /// Which clip was spoken first, for looking into errors.
    pub text: String,
}

impl Call {
    /// Whether the far end hung up before the call is as long as a detector listens.
    pub fn is_hung_up(&self) -> bool {
        20 * (self.packets.len() as u32) < CALL_MS
    }
}

fn clamp_ms(ms: f64, low: f64, high: f64) -> u32 {
    ms.clamp(low, high) as u32
}

fn lognormal(rng: &mut Rng, median: f64, sigma: f64) -> f64 {
    median * (sigma * rng.normal()).exp()
}

fn uniform(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + rng.unit() * (high - low)
}

/// Who is measured with takes longer for everything.
fn late(split: Split) -> f64 {
    match split {
        Split::Tuning => 1.0,
        Split::Evaluation => 1.15,
    }
}

/// How long it rang, and how soon they speak, in ms.
fn habits(rng: &mut Rng, split: Split, habits: Habits, machine: bool) -> (Option<u32>, u32) {
    let late = late(split);
    if habits == Habits::Neutral {
        let onset = lognormal(rng, 800.0, 0.6);
        return (None, clamp_ms(onset, 40.0, 3000.0));
    }
    if machine {
        // Switched off or engaged: the network's mailbox at once. Else after its number of rings.
        let at_once = if split == Split::Tuning { 0.25 } else { 0.2 };
        let ring = if rng.chance(at_once) {
            uniform(rng, 200.0, 3500.0)
        } else {
            (22_000.0 + 4_500.0 * rng.normal()) / late
        };
        let onset = if rng.chance(0.3) {
            uniform(rng, 0.0, 200.0 * late)
        } else {
            lognormal(rng, 800.0 * late, 0.6)
        };
        return (
            Some(clamp_ms(ring, 200.0, 60_000.0)),
            clamp_ms(onset, 0.0, 3500.0),
        );
    }
    let ring = lognormal(rng, 9_000.0 * late, 0.55);
    let onset = lognormal(rng, 700.0 * late, 0.5);
    (
        Some(clamp_ms(ring, 1_500.0, 45_000.0)),
        clamp_ms(onset, 60.0, 3500.0),
    )
}

/// A call that is being put together.
struct Sounds<'a> {
    clips: &'a Clips,
    speech: &'a Clip,
    level: f64,
    audio: Vec<i16>,
    /// Where what was said so far ends, in ms.
    end_ms: u32,
}

impl Sounds<'_> {
    /// Has `samples` begin so long after what was said before.
    fn put(&mut self, after_ms: f64, samples: &[i16]) {
        let from_ms = self.end_ms + after_ms as u32;
        let from = (from_ms as usize * SAMPLES_PER_MS).min(self.audio.len());
        for (to, x) in self.audio[from..].iter_mut().zip(samples) {
            *to = to.saturating_add(*x);
        }
        self.end_ms = from_ms + (samples.len() / SAMPLES_PER_MS) as u32;
    }

    /// Somebody is put through and talks to them; then they reply, with what may be as long as a
    /// greeting. Some listen for long before they do, some hang up, and few say nothing for good.
    fn listen_and_reply(&mut self, rng: &mut Rng, late: f64) {
        let mut last = None;
        while self.end_ms < CALL_MS {
            let listen_ms = match rng.unit() {
                p if p < 0.100 => return self.hang_up(uniform(rng, 2_000.0, 8_000.0)),
                p if p < 0.105 => return,
                p if p < 0.130 => uniform(rng, 10_000.0, 16_000.0 * late),
                p if p < 0.250 => uniform(rng, 5_000.0, 10_000.0 * late),
                _ => 1_000.0 + lognormal(rng, 2_000.0 * late, 0.6).min(6_000.0),
            };
            let reply = self.clips.reply(rng, self.speech, last);
            self.put(listen_ms, &reply.at_level(self.level));
            last = Some(reply);
        }
    }

    /// Nobody answers them: they ask again, or hang up. Few do neither.
    fn ask_again(&mut self, rng: &mut Rng) {
        while self.end_ms < CALL_MS {
            match rng.unit() {
                p if p < 0.20 => return self.hang_up(uniform(rng, 2_000.0, 8_000.0)),
                p if p < 0.22 => return,
                _ => {}
            }
            let wait_ms = lognormal(rng, 2_200.0, 0.4).clamp(900.0, 6_000.0);
            let again = self
                .clips
                .same_person(rng, self.speech)
                .at_level(self.level);
            self.put(wait_ms, &again);
        }
    }

    /// A beep, soon or later; its end. Or none: then it records, says its greeting again, or hangs up.
    fn record(&mut self, rng: &mut Rng, late: f64) -> Option<u32> {
        if rng.chance(0.8) {
            let hz = [440.0, 600.0, 800.0, 1000.0, 1400.0][rng.below(5) as usize];
            let ms = 150 + 50 * rng.below(12) as u32;
            let amplitude = 32_124.0 * 10f32.powf((self.level as f32 - 3.0) / 20.0);
            let wait_ms = if rng.chance(0.85) {
                uniform(rng, 100.0, 1_000.0)
            } else {
                uniform(rng, 1_000.0, 5_000.0 * late)
            };
            self.put(wait_ms, &media::tone::tone(&[(hz, amplitude)], ms));
            return (self.end_ms + 300 < CALL_MS).then_some(self.end_ms);
        }
        match rng.unit() {
            p if p < 0.2 => self.hang_up(uniform(rng, 1_000.0, 6_000.0)),
            p if p < 0.5 => {
                let wait_ms = uniform(rng, 3_000.0, 8_000.0 * late);
                let again = self.speech.at_level(self.level);
                while self.end_ms < CALL_MS {
                    self.put(wait_ms, &again);
                }
            }
            _ => {}
        }
        None
    }

    /// The call ends so long after the last word.
    fn hang_up(&mut self, after_ms: f64) {
        let end = (self.end_ms + after_ms as u32) as usize * SAMPLES_PER_MS;
        self.audio.truncate(end);
        self.end_ms = CALL_MS;
    }
}

/// Makes one call out of clips.
pub fn call(rng: &mut Rng, split: Split, assumed: Habits, machine: bool, clips: &Clips) -> Call {
    let (rang_ms, speech_ms) = habits(rng, split, assumed, machine);
    let level = uniform(rng, -32.0, -13.0);
    let speech = if machine {
        clips.machine(rng)
    } else {
        clips.person(rng)
    };
    let mut sounds = Sounds {
        clips,
        speech,
        level,
        audio: vec![0i16; CALL_MS as usize * SAMPLES_PER_MS],
        end_ms: 0,
    };
    sounds.put(f64::from(speech_ms), &speech.at_level(level));
    let mut beep_end_ms = None;
    if machine {
        beep_end_ms = sounds.record(rng, late(split));
    } else if rng.chance(0.6) {
        sounds.listen_and_reply(rng, late(split));
    } else {
        sounds.ask_again(rng);
    }
    let quiet = assumed == Habits::Assumed && machine && rng.chance(0.6);
    let noise = if quiet {
        uniform(rng, -78.0, -60.0)
    } else {
        uniform(rng, -68.0, -42.0)
    };
    // Whoever speaks is 12 dB above the room at the least.
    let line = Line {
        noise_dbm0: noise.min(level - 12.0),
        loss: if rng.chance(0.3) {
            uniform(rng, 0.002, 0.03)
        } else {
            0.0
        },
        alaw: rng.chance(0.5),
    };
    Call {
        machine,
        rang_ms,
        speech_ms,
        greeting_end_ms: speech_ms + speech.ms(),
        beep_end_ms,
        packets: line.carry(rng, &sounds.audio),
        text: speech.text.clone(),
    }
}

/// 20 ms of a call as [`Machine`] is handed them.
#[derive(Clone, Copy)]
pub struct Heard {
    pub level_dbm0: Option<f32>,
    pub tone_ms: u32,
    pub beep_ended: bool,
}

/// A call as [`Machine`] hears it: measured once, judged as often as one likes.
pub struct Trace {
    pub machine: bool,
    pub rang_ms: Option<u32>,
    pub speech_ms: u32,
    pub greeting_end_ms: u32,
    pub beep_end_ms: Option<u32>,
    pub text: String,
    pub frames: Vec<Heard>,
}

impl Trace {
    /// Measures a call as [`Listener`] does.
    pub fn of(call: &Call) -> Trace {
        let (mut ear, mut progress) = (Ear::default(), CallProgress::default());
        let mut beep = Beep::default();
        let mut frames = Vec::with_capacity(call.packets.len());
        let mut hear = |frame: Frame| {
            progress.frame(&frame);
            let heard = beep.frame(&frame);
            frames.push(Heard {
                level_dbm0: frame.level_dbm0.map(kept),
                tone_ms: progress.steady_ms(),
                beep_ended: matches!(heard, Some(BeepHeard::Ended { .. })),
            });
        };
        for packet in &call.packets {
            match packet {
                Some(samples) => ear.samples(samples, &mut hear),
                None => hear(ear.lost()),
            }
        }
        Trace {
            machine: call.machine,
            rang_ms: call.rang_ms,
            speech_ms: call.speech_ms,
            greeting_end_ms: call.greeting_end_ms,
            beep_end_ms: call.beep_end_ms,
            text: call.text.clone(),
            frames,
        }
    }
}

/// A level no finer than a file of whole hundredths keeps it: cut to them, and cut again as it is written.
fn kept(level_dbm0: f32) -> f32 {
    let cut = (level_dbm0 * 100.0).trunc() / 100.0;
    (cut * 100.0).trunc() / 100.0
}

/// What a detector said to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    pub machine: bool,
    /// When the first word began and the first utterance ended, in ms after the answer.
    pub speech_ms: u32,
    pub greeting_end_ms: u32,
    pub first: Option<(Who, u32)>,
    /// When it took a «person» back.
    pub late_machine_ms: Option<u32>,
    /// Whether the far end hung up within the call.
    pub hung_up: bool,
    /// The first one.
    pub judgement: Option<Judgement>,
}

/// Plays a call to the detector.
pub fn judge(call: &Call, targets: Targets) -> Said {
    let mut listener = Listener::new(targets);
    listener.answered(call.rang_ms);
    let mut said = Said {
        machine: call.machine,
        speech_ms: call.speech_ms,
        greeting_end_ms: call.greeting_end_ms,
        first: None,
        late_machine_ms: None,
        hung_up: call.is_hung_up(),
        judgement: None,
    };
    let mut find = |finding| {
        if let Finding::Judged(judgement) = finding {
            if judgement.late {
                said.late_machine_ms = Some(judgement.at_ms);
            } else {
                said.first = Some((judgement.who, judgement.at_ms));
                said.judgement = Some(judgement);
            }
        }
    };
    for packet in &call.packets {
        match packet {
            Some(samples) => listener.samples(samples, &mut find),
            None => listener.lost(1, &mut find),
        }
        if listener.is_settled() {
            break;
        }
    }
    if said.hung_up
        && let Some(judgement) = listener.gone()
    {
        said.late_machine_ms = Some(judgement.at_ms);
    }
    said
}

/// The counts and times of one detector.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// What was said first, by [machine?][person, machine, unsure].
    pub verdicts: [[u32; 3]; 2],
    /// Machines handed over and recognised afterwards; persons taken back afterwards.
    pub late: [u32; 2],
    /// When persons were handed over, sure or not, in ms after they began to speak.
    pub hand_over_ms: Vec<i32>,
    /// When «machine» was said to machines, first or later, in ms after the answer.
    pub machine_ms: Vec<i32>,
    /// Machines that were let through, and hung up by themselves.
    pub hung_up: u32,
    /// For how long somebody had a machine until it was recognised, in ms.
    pub wasted_ms: Vec<i32>,
    /// By how much the greetings of persons ended before what was told, in ms: negative is too early.
    pub end_off_ms: Vec<i32>,
}

impl Tally {
    pub fn add(&mut self, said: &Said) {
        let class = usize::from(said.machine);
        let (who, at_ms) = said.first.unwrap_or((Who::Unsure, CALL_MS));
        match who {
            Who::Person => self.verdicts[class][0] += 1,
            Who::Machine => self.verdicts[class][1] += 1,
            Who::Unsure => self.verdicts[class][2] += 1,
        }
        let handed_over = who != Who::Machine;
        if handed_over && !said.machine {
            self.hand_over_ms.push(at_ms as i32 - said.speech_ms as i32);
            if let Some(ms) = said.judgement.and_then(|j| j.greeting.ended_ms) {
                self.end_off_ms
                    .push(ms as i32 - said.greeting_end_ms as i32);
            }
        }
        let untold = handed_over && said.late_machine_ms.is_none();
        if said.machine && untold && said.hung_up {
            self.hung_up += 1;
        }
        if let Some(ms) = said.late_machine_ms {
            self.late[class] += 1;
            if said.machine {
                self.wasted_ms.push(ms as i32 - at_ms as i32);
            }
        }
        if said.machine && (!handed_over || said.late_machine_ms.is_some()) {
            let ms = said.late_machine_ms.unwrap_or(at_ms);
            self.machine_ms.push(ms as i32);
        }
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: Tally) {
        for (mine, its) in self
            .verdicts
            .iter_mut()
            .flatten()
            .zip(other.verdicts.iter().flatten())
        {
            *mine += its;
        }
        for (mine, its) in self.late.iter_mut().zip(other.late) {
            *mine += its;
        }
        self.hung_up += other.hung_up;
        self.hand_over_ms.extend(other.hand_over_ms);
        self.machine_ms.extend(other.machine_ms);
        self.wasted_ms.extend(other.wasted_ms);
        self.end_off_ms.extend(other.end_off_ms);
    }

    pub fn of(&self, machine: bool) -> u32 {
        self.verdicts[usize::from(machine)].iter().sum()
    }

    /// Persons ever taken for machines.
    pub fn persons_lost(&self) -> u32 {
        self.verdicts[0][1] + self.late[0]
    }

    /// Machines that somebody got: taken for persons, or nothing certain.
    pub fn machines_handed_over(&self) -> u32 {
        self.verdicts[1][0] + self.verdicts[1][2]
    }

    /// Machines that were never told.
    pub fn machines_through(&self) -> u32 {
        self.machines_handed_over() - self.late[1]
    }
}

/// The value below which `share` of them lie.
pub fn percentile(values: &[i32], share: f64) -> i32 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0)
}

/// The 95 % interval of a share (Wilson 1927).
pub fn wilson(hits: u32, of: u32) -> (f64, f64) {
    let (n, z) = (f64::from(of.max(1)), 1.96);
    let p = f64::from(hits) / n;
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (
        ((middle - half) / scale).max(0.0),
        ((middle + half) / scale).min(1.0),
    )
}
