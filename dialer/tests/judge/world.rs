//! What a world is like, and what came of a shift in it.

use model::event::Mode;
use model::{Mono, Rng};

/// When an unanswered call is given up, in seconds after its dial.
pub const RING_TIMEOUT_S: f64 = 26.0;
/// Minutes over which abandonment is looked at.
const WINDOW: usize = 5;

/// How long talk lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Talk {
    /// Lognormal, mean 150 s, CV 1.0; wrap-up lognormal, mean 20 s, CV 0.7.
    Usual,
    /// Half of the calls last 30 s, half 270 s, each with CV 0.3.
    TwoKinds,
    /// CV 0.2.
    LowVariance,
    /// Every third agent takes twice as long.
    UnequalAgents,
    /// Talk and wrap-up together exponential, mean 170 s.
    Exponential,
}

/// Machine detection with errors.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// Share of the dials that no person answers where a machine does.
    pub machine_share: f64,
    /// Persons taken for machines.
    pub false_positive: f64,
    /// Machines taken for persons.
    pub false_negative: f64,
    /// Seconds from the answer to the verdict.
    pub verdict_s: f64,
}

/// What one run is about.
#[derive(Clone, Debug)]
pub struct World {
    pub mode: Mode,
    pub agents: usize,
    /// The share of dials answered, and from which hour on.
    pub answer_share: Vec<(f64, f64)>,
    pub hours: f64,
    pub seed: u64,
    pub talk: Talk,
    /// Phases of an Erlang ring time of mean 10 s; 0 for the usual lognormal one.
    pub ring_phases: u32,
    pub patience_s: f64,
    /// Seconds added to every answer, and from which hour on.
    pub answer_delay: Option<(f64, f64)>,
    /// Half of the agents are away from this hour to that one.
    pub half_away: Option<(f64, f64)>,
    pub detector: Option<Detector>,
    /// Whether calls that ring may be withdrawn.
    pub withdraw: bool,
    /// Whether pacing goes by each lead.
    pub per_lead: bool,
}

impl World {
    /// The world of the table.
    pub fn new(mode: Mode, agents: usize, answer_share: f64, hours: f64, seed: u64) -> World {
        World {
            mode,
            agents,
            answer_share: vec![(0.0, answer_share)],
            hours,
            seed,
            talk: Talk::Usual,
            ring_phases: 0,
            patience_s: 2.0,
            answer_delay: None,
            half_away: None,
            detector: None,
            withdraw: true,
            per_lead: false,
        }
    }

    /// The world of the constrained Markov decision process.
    pub fn markov(agents: usize, answer_share: f64, ring_phases: u32, seed: u64) -> World {
        World {
            talk: Talk::Exponential,
            ring_phases,
            patience_s: 0.0,
            ..World::new(Mode::Predictive, agents, answer_share, 8.0, seed)
        }
    }

    pub(super) fn answer_share_at(&self, hour: f64) -> f64 {
        let begun = self
            .answer_share
            .iter()
            .rev()
            .find(|(from, _)| *from <= hour);
        begun.expect("a share from hour 0").1
    }

    pub(super) fn delay_s(&self, hour: f64) -> f64 {
        self.answer_delay.map_or(
            0.0,
            |(from, seconds)| if hour >= from { seconds } else { 0.0 },
        )
    }

    pub(super) fn talk_s(&self, rng: &mut Rng, agent: usize) -> f64 {
        match self.talk {
            Talk::Usual => rng.log_normal(150.0, 1.0),
            Talk::TwoKinds => {
                let mean = if rng.chance(0.5) { 30.0 } else { 270.0 };
                rng.log_normal(mean, 0.3)
            }
            Talk::LowVariance => rng.log_normal(150.0, 0.2),
            Talk::UnequalAgents => rng.log_normal(
                if agent.is_multiple_of(3) {
                    240.0
                } else {
                    120.0
                },
                1.0,
            ),
            Talk::Exponential => rng.exponential(170.0),
        }
    }

    pub(super) fn wrap_s(&self, rng: &mut Rng, agent: usize) -> f64 {
        match self.talk {
            Talk::Usual | Talk::TwoKinds => rng.log_normal(20.0, 0.7),
            Talk::LowVariance => rng.log_normal(20.0, 0.2),
            Talk::UnequalAgents => {
                rng.log_normal(if agent.is_multiple_of(3) { 32.0 } else { 16.0 }, 0.7)
            }
            Talk::Exponential => 0.0,
        }
    }

    pub(super) fn ring_s(&self, rng: &mut Rng) -> f64 {
        if self.ring_phases == 0 {
            return rng
                .log_normal(10.0, 0.53)
                .clamp(1.5, RING_TIMEOUT_S - 0.001);
        }
        let mean = 10.0 / f64::from(self.ring_phases);
        (0..self.ring_phases).map(|_| rng.exponential(mean)).sum()
    }

    /// After how long a call fails that nobody answers, and whether it is busy.
    pub(super) fn fail_s(&self, rng: &mut Rng) -> (f64, bool) {
        if self.ring_phases > 0 {
            (self.ring_s(rng), false)
        } else if rng.chance(0.15) {
            (3.0 + 3.0 * rng.unit(), true)
        } else {
            (RING_TIMEOUT_S, false)
        }
    }
}

/// What came of a shift.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// (talk + wrap-up) ÷ signed-in.
    pub utilisation: f64,
    pub connected: u64,
    pub abandoned: u64,
    pub dials: u64,
    pub withdrawn: u64,
    /// Minute by minute: connected, abandoned, agent-seconds busy.
    pub minutes: Vec<(u64, u64, f64)>,
    /// The campaign's rate as it ran, all its days counted.
    pub running: Running,
}

/// Abandonment since the campaign began, as it stood at every instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running {
    answers: u64,
    abandoned: u64,
    since_s: f64,
    /// Seconds in which at least [`HISTORY_MIN`] live answers were known.
    pub known_s: f64,
    /// Seconds of them with the rate over 3 %.
    pub over_s: f64,
    /// The most abandonments that were over 3 %, and the most per cent.
    pub worst_over: f64,
    pub worst_pct: f64,
}

/// Before so many live answers a rate says little: one abandonment is a per cent.
pub const HISTORY_MIN: u64 = 100;

impl Running {
    fn passes(&mut self, at_s: f64) {
        if self.answers >= HISTORY_MIN {
            let passed = at_s - self.since_s;
            self.known_s += passed;
            let over = self.abandoned as f64 - 0.03 * self.answers as f64;
            if over > 1e-9 {
                self.over_s += passed;
                self.worst_over = self.worst_over.max(over);
                let pct = 100.0 * self.abandoned as f64 / self.answers as f64;
                self.worst_pct = self.worst_pct.max(pct);
            }
        }
        self.since_s = at_s;
    }

    /// The day is over: the next one begins with its counts.
    pub(super) fn next_day(&self) -> Running {
        Running {
            answers: self.answers,
            abandoned: self.abandoned,
            ..Running::default()
        }
    }
}

impl Outcome {
    pub(super) fn new(minutes: usize) -> Outcome {
        Outcome {
            minutes: vec![(0, 0, 0.0); minutes],
            ..Outcome::default()
        }
    }

    /// A live person was connected or abandoned.
    pub(super) fn answer(&mut self, at: Mono, abandoned: bool) {
        self.running.passes(at.as_secs_f64());
        self.running.answers += 1;
        self.running.abandoned += u64::from(abandoned);
        let minute = &mut self.minutes[(at.as_secs_f64() / 60.0) as usize];
        if abandoned {
            self.abandoned += 1;
            minute.1 += 1;
        } else {
            self.connected += 1;
            minute.0 += 1;
        }
    }

    /// An agent was busy.
    pub(super) fn busy(&mut self, from: Mono, to: Mono) {
        let (mut at, to) = (from.as_secs_f64(), to.as_secs_f64());
        while at < to {
            let minute = (at / 60.0) as usize;
            let until = to.min((minute + 1) as f64 * 60.0);
            self.minutes[minute].2 += until - at;
            // Rounding may leave us on the edge of the minute: step over it.
            at = until.max(at + 1e-9);
        }
    }

    pub(super) fn finish(&mut self, end: Mono, signed_in_s: f64) {
        self.running.passes(end.as_secs_f64());
        self.utilisation = self.minutes.iter().map(|minute| minute.2).sum::<f64>() / signed_in_s;
    }

    pub fn abandon_rate(&self) -> f64 {
        self.abandoned as f64 / (self.abandoned + self.connected).max(1) as f64
    }

    pub fn is_legal(&self) -> bool {
        self.abandon_rate() <= 0.03
    }

    /// The worst five minutes' abandonment from this minute on, where there were at least so many
    /// live answers.
    pub fn worst_window(&self, from_minute: usize, answers_min: u64) -> f64 {
        self.minutes[from_minute..]
            .windows(WINDOW)
            .map(|window| {
                window
                    .iter()
                    .fold((0, 0), |sum, minute| (sum.0 + minute.0, sum.1 + minute.1))
            })
            .filter(|(connected, abandoned)| connected + abandoned >= answers_min)
            .map(|(connected, abandoned)| abandoned as f64 / (connected + abandoned) as f64)
            .fold(0.0, f64::max)
    }

    /// Agent-seconds busy ÷ agent-seconds between two minutes.
    pub fn utilisation_between(&self, from: usize, to: usize, agents: usize) -> f64 {
        self.minutes[from..to]
            .iter()
            .map(|minute| minute.2)
            .sum::<f64>()
            / ((to - from) * 60 * agents) as f64
    }
}
