//! What a campaign has learned about its agents and its numbers: how long talk and wrap-up last,
//! how long a call rings before it is answered, and which share of calls is answered.
//!
//! It is handed observations and answers with probabilities. It decides nothing, and every count
//! is bounded by forgetting, so that a change in the world shows.

use super::Snapshot;
use super::answer_share::AnswerShare;
use super::lead_model::{LeadModel, LeadState, at_odds};
use super::ring::{RING_POINTS, RingCurve, ring_point};
use serde::{Deserialize, Serialize};

/// Width of a hazard bin, in seconds: fine against the 2 s a person waits and the 20 s of a wrap-up.
pub const BIN_S: f64 = 2.0;
/// Bins looked ahead: 28 s, which is longer than any call rings.
pub const HORIZON_BINS: usize = 14;
/// Points of a free-agent curve: the horizon and the patience beyond it.
pub const CURVE_POINTS: usize = HORIZON_BINS + 2;
/// Bins of the talk hazard; beyond ten minutes the last one holds.
const TALK_BINS: usize = 300;
/// Bins of the wrap-up hazard; beyond three minutes the last one holds.
const WRAP_BINS: usize = 90;
/// Observations after which all counts are halved: about a week of one busy agent.
const OBSERVATIONS_MAX: f64 = 6_000.0;
/// Weight of a prior, in observations: gone after the first dozen.
const PRIOR_WEIGHT: f64 = 3.0;

/// A discrete hazard: Kaplan–Meier counts with a weak prior.
#[derive(Clone, Debug)]
struct Hazard {
    ended: Vec<f64>,
    at_risk: Vec<f64>,
    prior: f64,
    spread: usize,
    observations: f64,
}

impl Hazard {
    fn new(bins: usize, prior_mean_s: f64, spread: usize) -> Hazard {
        Hazard {
            ended: vec![0.0; bins],
            at_risk: vec![0.0; bins],
            prior: BIN_S / prior_mean_s,
            spread,
            observations: 0.0,
        }
    }

    fn observe(&mut self, seconds: f64) {
        let last = bin_of(seconds, self.ended.len());
        for n in &mut self.at_risk[..=last] {
            *n += 1.0;
        }
        self.ended[last] += 1.0;
        self.observations += 1.0;
        if self.observations > OBSERVATIONS_MAX {
            self.observations /= 2.0;
            self.ended
                .iter_mut()
                .chain(&mut self.at_risk)
                .for_each(|count| *count /= 2.0);
        }
    }

    /// The chance of ending in each bin, given that it was reached. Ages still running count as at
    /// risk, for else a cold start would see the short ones only.
    fn per_bin(&self, running: impl Iterator<Item = f64>) -> Vec<f64> {
        let bins = self.ended.len();
        let mut at_risk = self.at_risk.clone();
        for age in running {
            let whole = ((age / BIN_S) as usize).min(bins);
            for n in &mut at_risk[..whole] {
                *n += 1.0;
            }
        }
        // A bin borrows from its neighbours: 18 s of talk, 6 s of wrap-up.
        (0..bins)
            .map(|bin| {
                let near = bin.saturating_sub(self.spread)..(bin + self.spread + 1).min(bins);
                let ended: f64 = self.ended[near.clone()].iter().sum();
                let risked: f64 = at_risk[near].iter().sum();
                let weight = PRIOR_WEIGHT * (2 * self.spread + 1) as f64;
                ((ended + weight * self.prior) / (risked + weight)).clamp(1e-6, 0.999)
            })
            .collect()
    }
}

fn bin_of(seconds: f64, bins: usize) -> usize {
    ((seconds.max(0.0) / BIN_S) as usize).min(bins - 1)
}

impl Hazard {
    fn export(&self) -> HazardState {
        HazardState {
            ended: rounded(&self.ended),
        }
    }

    fn import(&mut self, state: &HazardState) {
        let ended: Vec<f64> = state.ended.iter().map(|count| sane(*count)).collect();
        if ended.len() != self.ended.len() {
            return;
        }
        let total: f64 = ended.iter().sum();
        let keep = if total > CARRIED_MAX {
            CARRIED_MAX / total
        } else {
            1.0
        };
        let mut at_risk = 0.0;
        for bin in (0..ended.len()).rev() {
            self.ended[bin] = ended[bin] * keep;
            at_risk += self.ended[bin];
            self.at_risk[bin] = at_risk;
        }
        self.observations = at_risk;
    }
}

/// Where a busy agent is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Busy {
    /// On call for so many seconds; wrap-up follows.
    OnCall(f64),
    /// In wrap-up for so many seconds.
    WrapUp(f64),
    /// Free in so many seconds, which nobody knows but a simulation that asks what knowing is worth.
    FreeIn(f64),
}

/// P(free within k · [`BIN_S`]) by what the agent does and for how long. Rebuilt every few seconds.
#[derive(Clone, Debug)]
struct FreeTable {
    talk: Vec<[f64; CURVE_POINTS]>,
    wrap: Vec<[f64; CURVE_POINTS]>,
}

impl FreeTable {
    fn new(talk: &[f64], wrap: &[f64]) -> FreeTable {
        let wrap_table: Vec<[f64; CURVE_POINTS]> = (0..wrap.len())
            .map(|age| {
                let mut still = 1.0;
                std::array::from_fn(|k| {
                    if k > 0 {
                        still *= 1.0 - wrap[(age + k - 1).min(wrap.len() - 1)];
                    }
                    1.0 - still
                })
            })
            .collect();
        let fresh = wrap_table[0];
        let talk_table = (0..talk.len())
            .map(|age| {
                let mut row = [0.0; CURVE_POINTS];
                let mut still = 1.0;
                for k in 0..CURVE_POINTS - 1 {
                    let hazard = talk[(age + k).min(talk.len() - 1)];
                    let ends = still * hazard;
                    still -= ends;
                    // The talk ends in the middle of its bin, and wrap-up has what remains.
                    for (j, free) in row.iter_mut().enumerate().skip(k + 1) {
                        *free += ends * 0.5 * (fresh[j - k] + fresh[j - k - 1]);
                    }
                }
                row
            })
            .collect();
        FreeTable {
            talk: talk_table,
            wrap: wrap_table,
        }
    }
}

/// Seconds between two rebuilds of the curves: they move slowly, and a rebuild costs 0.1 ms.
const REBUILD_S: f64 = 10.0;
/// Most observations that another day's state weighs: today outweighs it within the shift.
const CARRIED_MAX: f64 = 1_500.0;
/// Most answers that another day's ring curve weighs.
const CARRIED_ANSWERS_MAX: f64 = 400.0;
/// Format of [`LearnedState`].
pub const LEARNED_VERSION: u16 = 1;

/// Counts of one hazard, for storing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HazardState {
    ended: Vec<f32>,
}

/// Counts of the ring curve, for storing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RingState {
    pub(super) answered: Vec<f32>,
    pub(super) failed: Vec<f32>,
    pub(super) reached: Vec<f32>,
}

/// What a campaign has learned, to be carried over to the next shift: versioned, below 16 KiB as
/// JSON. A state of another version or shape is ignored, never an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearnedState {
    /// [`LEARNED_VERSION`] of the writer.
    pub version: u16,
    talk: HazardState,
    wrap: HazardState,
    ring: RingState,
    answer_share: Vec<f32>,
    /// The governor's steady θ.
    theta: f32,
    /// What was learned of leads that differ, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leads: Option<LeadState>,
}

impl LearnedState {
    /// The governor's steady θ.
    pub(crate) fn theta(&self) -> f64 {
        sane(self.theta)
    }
}

/// Counts with three digits after the point: a state stays small as text.
pub(super) fn rounded(counts: &[f64]) -> Vec<f32> {
    counts
        .iter()
        .map(|count| ((count * 1e3).round() / 1e3) as f32)
        .collect()
}

/// A stored count, which anyone may have edited.
pub(super) fn sane(stored: f32) -> f64 {
    let stored = f64::from(stored);
    if stored.is_finite() {
        stored.clamp(0.0, 1e6)
    } else {
        0.0
    }
}

/// Everything one campaign has learned.
#[derive(Clone, Debug)]
pub struct Learned {
    talk: Hazard,
    wrap: Hazard,
    ring: RingCurve,
    answers: AnswerShare,
    free: FreeTable,
    built_at_s: f64,
    /// How leads differ, where pacing goes by each of them.
    leads: Option<Box<LeadModel>>,
}

impl Learned {
    /// Knows nothing but weak priors. `ring_timeout_s` is when an unanswered call is given up.
    pub fn new(ring_timeout_s: f64) -> Learned {
        let talk = Hazard::new(TALK_BINS, 120.0, 4);
        let wrap = Hazard::new(WRAP_BINS, 20.0, 1);
        let free = FreeTable::new(
            &talk.per_bin(std::iter::empty()),
            &wrap.per_bin(std::iter::empty()),
        );
        let ring = RingCurve::new(ring_timeout_s);
        Learned {
            talk,
            wrap,
            answers: AnswerShare::new(&ring, ring_timeout_s),
            ring,
            free,
            built_at_s: f64::NEG_INFINITY,
            leads: None,
        }
    }

    /// The same, with leads that differ.
    pub fn by_lead(mut self) -> Learned {
        let leads = LeadModel::new();
        self.answers.rebuild(&self.ring, leads.odds());
        self.leads = Some(Box::new(leads));
        self
    }

    /// How leads differ, where pacing goes by each of them.
    pub fn leads(&self) -> Option<&LeadModel> {
        self.leads.as_deref()
    }

    pub(crate) fn leads_mut(&mut self) -> Option<&mut LeadModel> {
        self.leads.as_deref_mut()
    }

    /// A talk lasted so long.
    pub fn talked(&mut self, seconds: f64) {
        self.talk.observe(seconds);
    }

    /// A wrap-up lasted so long; 0 where there was none.
    pub fn wrapped_up(&mut self, seconds: f64) {
        self.wrap.observe(seconds);
    }

    /// A call that rang so long was answered by a live person, as far as is known.
    pub fn answered(&mut self, rang_s: f64) {
        self.answered_of(0, rang_s);
    }

    /// The same of a lead of this class; class 0 where leads do not differ.
    pub(crate) fn answered_of(&mut self, class: usize, rang_s: f64) {
        self.answers.answered(class, rang_s);
        self.ring.answered(rang_s);
    }

    /// It ended without an answer.
    pub fn failed(&mut self, rang_s: f64) {
        self.ring.failed(rang_s);
    }

    /// It was given up before its time.
    pub fn withdrawn(&mut self, rang_s: f64) {
        self.ring.withdrawn(rang_s);
    }

    /// Brings the curves up to date with the agents and the calls in flight.
    pub fn refresh(&mut self, now_s: f64, snapshot: &Snapshot) {
        let ringing = &snapshot.ringing[..];
        let by_class: Vec<&[u32]> = match &snapshot.by_lead {
            Some(by_lead) => by_lead
                .calls
                .iter()
                .map(|calls| &calls.ringing[..])
                .collect(),
            None => vec![ringing],
        };
        if self.answers.warms_up(now_s) {
            // Of leads that differ, those that went first say little of the average one.
            if self.leads.is_none() {
                let (answers, failures) = self.ring.so_far(ringing);
                self.answers.believe(answers, failures);
            }
            self.built_at_s = f64::NEG_INFINITY;
        }
        self.answers.look(now_s, &by_class, snapshot.signed_in());
        if now_s - self.built_at_s < REBUILD_S {
            return;
        }
        self.built_at_s = now_s;
        self.ring.rebuild(ringing);
        self.rebuild_answers();
        let on_call = snapshot.busy.iter().filter_map(|busy| match *busy {
            Busy::OnCall(age) => Some(age),
            Busy::WrapUp(_) | Busy::FreeIn(_) => None,
        });
        let in_wrap = snapshot.busy.iter().filter_map(|busy| match *busy {
            Busy::OnCall(_) | Busy::FreeIn(_) => None,
            Busy::WrapUp(age) => Some(age),
        });
        self.free = FreeTable::new(&self.talk.per_bin(on_call), &self.wrap.per_bin(in_wrap));
    }

    fn rebuild_answers(&mut self) {
        match &mut self.leads {
            Some(leads) => {
                leads.rebuild();
                self.answers.rebuild(&self.ring, leads.odds());
            }
            None => self.answers.rebuild(&self.ring, &[1.0]),
        }
    }

    /// Share of dials that a person answers.
    pub fn answer_share(&self) -> f64 {
        match &self.leads {
            Some(leads) => leads.mean_at(self.answers.share()),
            None => self.answers.share(),
        }
    }

    /// The chance of the average lead, which the odds of the classes are against.
    pub(super) fn level(&self) -> f64 {
        self.answers.share()
    }

    /// How uncertain that share is: standard deviation ÷ mean.
    pub fn answer_spread(&self) -> f64 {
        let leads = self.leads.as_ref();
        let leverage = leads.map_or(1.0, |leads| leads.leverage_at(self.level()));
        self.answers.spread() * leverage
    }

    /// Whether the share was known well at any time.
    pub(super) fn knows_answers(&self) -> bool {
        self.answers.is_known()
    }

    /// The chance that a call of this class would still be answered, having rung so long in vain.
    pub(crate) fn still_answers(&self, class: usize, rang_s: f64) -> f64 {
        let odds = self.leads.as_ref().map_or(1.0, |leads| leads.odds()[class]);
        let p = at_odds(self.level(), odds);
        let step = ring_point(rang_s);
        self.ring.answers_within(p, step, RING_POINTS)
    }

    /// The ring curve.
    pub fn ring(&self) -> &RingCurve {
        &self.ring
    }

    /// P(free within k · [`BIN_S`]), k = 0…, of an agent who is busy so.
    pub fn free_within(&self, busy: Busy) -> [f64; CURVE_POINTS] {
        let (table, age) = match busy {
            Busy::OnCall(age) => (&self.free.talk, age),
            Busy::WrapUp(age) => (&self.free.wrap, age),
            Busy::FreeIn(seconds) => {
                let free = |k: usize| k as f64 * BIN_S >= seconds;
                return std::array::from_fn(|k| f64::from(u8::from(free(k))));
            }
        };
        let at = age.max(0.0) / BIN_S;
        let low = (at as usize).min(table.len() - 1);
        let high = (low + 1).min(table.len() - 1);
        let part = (at - low as f64).clamp(0.0, 1.0);
        std::array::from_fn(|k| table[low][k] * (1.0 - part) + table[high][k] * part)
    }

    /// What is worth carrying over to the next shift.
    pub fn export(&self, theta: f64) -> LearnedState {
        LearnedState {
            version: LEARNED_VERSION,
            talk: self.talk.export(),
            wrap: self.wrap.export(),
            ring: self.ring.export(),
            answer_share: self.answers.export(),
            theta: theta as f32,
            leads: self.leads.as_ref().map(|leads| leads.export()),
        }
    }

    /// Takes up what another shift learned, with a bounded weight, so that today outweighs it. Says
    /// whether the state was of this version.
    pub fn import(&mut self, state: &LearnedState) -> bool {
        if state.version != LEARNED_VERSION {
            return false;
        }
        self.talk.import(&state.talk);
        self.wrap.import(&state.wrap);
        self.ring.import(&state.ring, CARRIED_ANSWERS_MAX);
        if let (Some(leads), Some(state)) = (&mut self.leads, &state.leads) {
            leads.import(state);
        }
        self.rebuild_answers();
        self.answers.import(&state.answer_share);
        self.built_at_s = f64::NEG_INFINITY;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hazards_recover_the_distribution_they_were_fed() {
        let mut learned = Learned::new(26.0);
        let mut rng = model::Rng::new(1);
        let draws: Vec<f64> = (0..5_000).map(|_| rng.log_normal(150.0, 1.0)).collect();
        for &talk in &draws {
            learned.talked(talk);
            learned.wrapped_up(rng.log_normal(20.0, 0.7));
        }
        learned.refresh(0.0, &Snapshot::default());
        let mut fresh = Vec::new();
        for &talk in draws.iter().filter(|talk| **talk > 100.0) {
            fresh.push(talk + rng.log_normal(20.0, 0.7) <= 128.0);
        }
        let truth = fresh.iter().filter(|free| **free).count() as f64 / fresh.len() as f64;
        let told = learned.free_within(Busy::OnCall(100.0))[HORIZON_BINS];
        assert!((truth - told).abs() < 0.02, "{truth} {told}");
    }

    #[test]
    fn after_the_first_wave_a_lull_is_not_taken_for_a_list_that_nobody_answers() {
        for seed in 0..60 {
            let mut rng = model::Rng::new(seed);
            let mut learned = Learned::new(26.0);
            // When each call was dialled, how long it rings, and whether it is answered then.
            let mut calls: Vec<(f64, f64, bool)> = Vec::new();
            for half_second in 0..80 {
                let now = f64::from(half_second) * 0.5;
                let dials = match half_second {
                    0 => 77,
                    26..52 => 1,
                    _ => 0,
                };
                for _ in 0..dials {
                    let answered = rng.chance(0.3);
                    let rings = rng.log_normal(10.0, 0.53).clamp(1.5, 26.0);
                    calls.push((now, if answered { rings } else { 26.0 }, answered));
                }
                calls.retain(|&(dialled, rings, answered)| {
                    let over = dialled + rings <= now;
                    match over && answered {
                        true => learned.answered(rings),
                        false if over => learned.failed(rings),
                        false => {}
                    }
                    !over
                });
                let mut ringing = vec![0; 60];
                for (dialled, _, _) in &calls {
                    ringing[((now - dialled) / 0.5) as usize] += 1;
                }
                let snapshot = Snapshot {
                    ringing: ringing.clone(),
                    ..Snapshot::default()
                };
                learned.refresh(now, &snapshot);
                let share = learned.answer_share();
                assert!(share > 0.14, "{seed}: {share} after {now} s");
            }
        }
    }

    #[test]
    fn a_curve_never_falls_and_stays_a_probability() {
        let learned = Learned::new(26.0);
        for busy in [
            Busy::OnCall(0.0),
            Busy::OnCall(1e9),
            Busy::WrapUp(0.0),
            Busy::WrapUp(77.7),
        ] {
            let curve = learned.free_within(busy);
            assert!(curve.windows(2).all(|w| w[0] <= w[1]));
            assert!(curve.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn an_agent_whose_end_is_told_is_free_from_then_on() {
        let learned = Learned::new(26.0);
        let curve = learned.free_within(Busy::FreeIn(5.0));
        assert_eq!(curve[..5], [0.0, 0.0, 0.0, 1.0, 1.0]);
        let never = learned.free_within(Busy::FreeIn(f64::INFINITY));
        assert_eq!(never, [0.0; CURVE_POINTS]);
    }

    #[test]
    fn what_one_day_learned_the_next_one_knows_and_outweighs() {
        let mut old = Learned::new(26.0);
        let mut rng = model::Rng::new(2);
        for _ in 0..5_000 {
            old.talked(rng.log_normal(60.0, 0.2));
            old.wrapped_up(5.0);
        }
        let state = old.export(0.03);
        let text = toml::to_string(&state).unwrap();
        assert!(text.len() < 64 * 1024, "{} bytes", text.len());
        let state: LearnedState = toml::from_str(&text).unwrap();
        let mut new = Learned::new(26.0);
        assert!(new.import(&state));
        new.refresh(0.0, &Snapshot::default());
        old.refresh(0.0, &Snapshot::default());
        let soon = |learned: &Learned| learned.free_within(Busy::OnCall(50.0))[HORIZON_BINS];
        assert!(
            (soon(&new) - soon(&old)).abs() < 0.05,
            "{} {}",
            soon(&new),
            soon(&old)
        );
        // Another day is slower: within 3,000 calls the memory is outvoted.
        (0..3_000).for_each(|_| new.talked(rng.log_normal(300.0, 0.2)));
        new.refresh(20.0, &Snapshot::default());
        assert!(
            soon(&new) < 0.5 * soon(&old),
            "{} {}",
            soon(&new),
            soon(&old)
        );
    }

    #[test]
    fn a_state_of_another_version_or_shape_changes_nothing() {
        let mut learned = Learned::new(26.0);
        let before = learned.free_within(Busy::OnCall(30.0));
        assert!(!learned.import(&LearnedState::default()));
        let state = LearnedState {
            version: LEARNED_VERSION,
            ..LearnedState::default()
        };
        assert!(learned.import(&state));
        learned.refresh(0.0, &Snapshot::default());
        assert_eq!(learned.free_within(Busy::OnCall(30.0)), before);
    }
}
