//! Predictive: dial as long as the next call's chance of being abandoned stays under θ, and
//! withdraw a call that has rung for long once its chance is above.
//!
//! Answers and free agents until τ are sums of independent Bernoullis, one per call in flight and
//! one per busy agent. A call that is answered at τ is abandoned when the answers until then are
//! no fewer than the agents who were free by τ + 2 s.

use super::by_lead::{self, share_of};
use super::learned::{BIN_S, CURVE_POINTS, HORIZON_BINS};
use super::ring::{RING_STEP_S, RingCurve};
use super::{Busy, Decision, Learned, Snapshot, plan, progressive};
use model::event::PacingLimit;

/// Most calls one decision dials; more follow in the next, 0.1 s later.
pub(super) const DIALS_MAX: u32 = 2_000;
/// Up to so many agents the sums are exact; beyond, the normal approximation with its skewness
/// correction differs by less than 0.005.
const EXACT_AGENTS_MAX: usize = 32;
/// Ring steps per bin.
const STEPS: usize = (BIN_S / RING_STEP_S) as usize;
/// Bins, rounded up to what vector units add at once. The last two stay empty.
const LANES: usize = 16;
/// Agents taken by others are reckoned in so many parts for each.
const TAKEN_PARTS: f64 = 4.0;
/// A bin that holds less than this share of a call's answers is not looked at.
const WEIGHT_MIN: f64 = 1e-4;

/// Uncertainty of the answer share that θ has long paid for; beyond, agents are dialled for as if more
/// people answered.
const SPREAD_USUAL: f64 = 0.1;
/// How much more, per unit of uncertainty beyond: twice what would do on average, for a flood at the
/// start of a shift takes an hour to pay back.
const UNSURE_WEIGHT: f64 = 2.0;
/// The same of a small team that has known the share: what does on average, so that a step down is followed
/// while it is still uncertain.
const UNSURE_WEIGHT_LATER: f64 = 1.0;
/// The same of many agents, who have the usual uncertainty in the variance of their answers: only what
/// little the first calls say is beyond.
const SPREAD_USUAL_LARGE: f64 = 0.15;
/// More than for a small team, since all calls of a large one that is wrong leave at once. Measured at 100
/// agents, p = 0.1: without it the first calls flood the agents in one shift of eight.
const UNSURE_WEIGHT_LARGE: f64 = 4.0;

pub(super) type Lanes = [f64; LANES];

pub(super) fn decide(snapshot: &Snapshot, learned: &Learned) -> Decision {
    let floor = contended(progressive::count(snapshot), snapshot, learned);
    let outlook = Outlook::new(snapshot, learned);
    let mut decision = Decision {
        dial: floor,
        withdraw: 0,
        expected_answers: outlook.expected_answers,
        expected_free: outlook.expected_free,
        risk: 0.0,
        limited_by: PacingLimit::Budget,
        classes: None,
    };
    if snapshot.available == 0 && snapshot.busy.is_empty() {
        decision.limited_by = PacingLimit::Agents;
        return decision;
    }
    let withdrawable: u32 = snapshot.withdrawable.iter().sum();
    if snapshot.guarded {
        decision.withdraw = snapshot
            .demand()
            .saturating_sub(snapshot.available)
            .min(withdrawable);
        return decision;
    }
    let plan = plan::best(&outlook, snapshot, learned);
    decision.withdraw = withdrawable - plan.kept;
    decision.dial = if decision.withdraw > 0 {
        plan.dial
    } else {
        plan.dial.max(floor)
    };
    decision.classes = plan.classes;
    decision.risk = plan.risk;
    decision.limited_by = PacingLimit::Risk;
    decision
}

/// Of `count` calls those that may be dialled although others take the agents as well.
pub(super) fn contended(count: u32, snapshot: &Snapshot, learned: &Learned) -> u32 {
    if count == 0 || !snapshot.is_contended() {
        return count;
    }
    let mut outlook = Outlook::new(snapshot, learned);
    outlook.keep_all(snapshot, learned);
    let (by, weight) = (outlook.new_by, outlook.new_weight);
    outlook.fitting(&by, &weight, snapshot.floor_risk, count).0
}

/// The chance that a call dialled now, after `before` others dialled now, is abandoned.
pub fn risk_of(before: u32, snapshot: &Snapshot, learned: &Learned) -> f64 {
    let mut outlook = Outlook::new(snapshot, learned);
    outlook.keep_all(snapshot, learned);
    let (by, weight) = (outlook.new_by, outlook.new_weight);
    outlook.add(&by, before);
    outlook.risk(&weight)
}

/// Mean, variance and third cumulant of a sum of Bernoullis, for every bin.
#[derive(Clone, Copy)]
struct Sums {
    mean: Lanes,
    variance: Lanes,
    third: Lanes,
}

impl Sums {
    fn of(certain: u32) -> Sums {
        Sums {
            mean: [f64::from(certain); LANES],
            variance: [0.0; LANES],
            third: [0.0; LANES],
        }
    }

    fn add(&mut self, p: &Lanes, times: f64) {
        let sums = self
            .mean
            .iter_mut()
            .zip(&mut self.variance)
            .zip(&mut self.third);
        for (((mean, variance), third), p) in sums.zip(p) {
            let v = p * (1.0 - p);
            *mean += times * p;
            *variance += times * v;
            *third += times * v * (1.0 - 2.0 * p);
        }
    }
}

/// Whole distributions of a sum of Bernoullis, for every bin; the last entry holds all that is more.
#[derive(Clone)]
struct Pmf {
    chance: Vec<Lanes>,
    /// No more than this is possible so far.
    top: usize,
}

impl Pmf {
    fn of(certain: u32, len: usize) -> Pmf {
        let mut chance = vec![[0.0; LANES]; len];
        let top = (certain as usize).min(len - 1);
        chance[top] = [1.0; LANES];
        Pmf { chance, top }
    }

    fn add(&mut self, p: &Lanes) {
        let last = self.chance.len() - 1;
        if self.top == last {
            let below = self.chance[last - 1];
            for ((more, below), p) in self.chance[last].iter_mut().zip(&below).zip(p) {
                *more += below * p;
            }
        }
        for k in (1..=(self.top + 1).min(last - 1)).rev() {
            let below = self.chance[k - 1];
            for ((this, below), p) in self.chance[k].iter_mut().zip(&below).zip(p) {
                *this += (below - *this) * p;
            }
        }
        for (none, p) in self.chance[0].iter_mut().zip(p) {
            *none *= 1.0 - p;
        }
        self.top = (self.top + 1).min(last);
    }
}

/// What answers and free agents are held as.
#[derive(Clone)]
enum Counts {
    Exact {
        answers: Pmf,
        free_at_most: Vec<Lanes>,
    },
    Normal {
        answers: Box<Sums>,
        free: Box<Sums>,
    },
}

/// What the next 28 s hold, seen from the middle of each bin.
#[derive(Clone)]
pub(super) struct Outlook {
    /// P(a new call is answered before the middle of the bin).
    new_by: Lanes,
    /// P(a new call is answered in the bin).
    new_weight: Lanes,
    counts: Counts,
    pub(super) p: f64,
    spread: f64,
    expected_answers: f64,
    expected_free: f64,
    /// Answers expected soon of the calls that were added.
    pub(super) soon: f64,
}

impl Outlook {
    /// With the calls in flight that cannot be withdrawn.
    fn new(snapshot: &Snapshot, learned: &Learned) -> Outlook {
        let spread = learned.answer_spread();
        let is_small = snapshot.signed_in() <= EXACT_AGENTS_MAX;
        let (usual, weight) = match (is_small, learned.knows_answers()) {
            (true, false) => (SPREAD_USUAL, UNSURE_WEIGHT),
            (true, true) => (SPREAD_USUAL, UNSURE_WEIGHT_LATER),
            (false, _) => (SPREAD_USUAL_LARGE, UNSURE_WEIGHT_LARGE),
        };
        let unsure = weight * (spread - usual).max(0.0);
        let p = (learned.level() * (1.0 + unsure)).min(0.98);
        Outlook::at_share(snapshot, learned, p, spread)
    }

    fn at_share(snapshot: &Snapshot, learned: &Learned, p: f64, spread: f64) -> Outlook {
        let ring = learned.ring();
        let agents = snapshot.signed_in();
        let mut counts = if agents <= EXACT_AGENTS_MAX {
            let mut free = Pmf::of(snapshot.available, agents + 2);
            for &busy in &snapshot.busy {
                free.add(&free_by(&learned.free_within(busy)));
            }
            for k in 1..free.chance.len() {
                let below = free.chance[k - 1];
                for (this, below) in free.chance[k].iter_mut().zip(&below) {
                    *this += below;
                }
            }
            Counts::Exact {
                answers: Pmf::of(snapshot.waiting, agents + 2),
                free_at_most: free.chance,
            }
        } else {
            let mut free = Sums::of(snapshot.available);
            for (busy, count) in by_bin(&snapshot.busy) {
                free.add(&free_by(&learned.free_within(busy)), count);
            }
            Counts::Normal {
                answers: Box::new(Sums::of(snapshot.waiting)),
                free: Box::new(free),
            }
        };
        let expected_free = match &counts {
            Counts::Exact { free_at_most, .. } => free_at_most[..agents]
                .iter()
                .map(|at_most| 1.0 - at_most[MEAN_RING_BIN])
                .sum(),
            Counts::Normal { free, .. } => free.mean[MEAN_RING_BIN],
        };
        let (new_by, new_weight) = (answers_by(ring, p, 0), answers_in(ring, p, 0));
        let mut expected_answers = f64::from(snapshot.waiting);
        for calls in by_lead::calls(snapshot, learned) {
            let p = share_of(p, calls.odds);
            if calls.claiming > 0 {
                counts.add(&answers_by(ring, p, 0), f64::from(calls.claiming));
            }
            expected_answers += p * f64::from(calls.claiming);
            for (step, &count) in calls.ringing.iter().enumerate() {
                if count == 0 {
                    continue;
                }
                expected_answers +=
                    f64::from(count) * ring.answers_within(p, step, HORIZON_BINS * STEPS);
                let fixed = count - calls.withdrawable.get(step).map_or(0, |n| *n);
                if fixed > 0 {
                    counts.add(&answers_by(ring, p, step), f64::from(fixed));
                }
            }
        }
        for (step, &sum) in snapshot.competing.iter().enumerate() {
            if sum > 0.0 {
                let mut by = answers_by(ring, p, step);
                by.iter_mut().for_each(|q| *q *= sum / sum.ceil());
                counts.add(&by, sum.ceil());
            }
        }
        if snapshot.taken_per_second > 0.0 {
            counts.add_taken(snapshot.taken_per_second);
        }
        Outlook {
            new_by,
            new_weight,
            counts,
            p,
            spread,
            expected_answers,
            expected_free,
            soon: 0.0,
        }
    }

    fn keep_all(&mut self, snapshot: &Snapshot, learned: &Learned) {
        for calls in by_lead::calls(snapshot, learned) {
            let p = share_of(self.p, calls.odds);
            for (step, &count) in calls.withdrawable.iter().enumerate() {
                if count > 0 {
                    self.add(&answers_by(learned.ring(), p, step), count);
                }
            }
        }
    }

    /// What a new call of a lead of these odds brings: its answer before the middle of each bin, and
    /// within it.
    pub(super) fn new_call(&self, learned: &Learned, odds: f64) -> (Lanes, Lanes) {
        let p = share_of(self.p, odds);
        let ring = learned.ring();
        (answers_by(ring, p, 0), answers_in(ring, p, 0))
    }

    pub(super) fn add(&mut self, by: &Lanes, times: u32) {
        self.counts.add(by, f64::from(times));
        self.soon += f64::from(times) * by[SOON_BIN];
    }

    /// Counts in as many new calls as have a chance of being abandoned under θ; says how many, and that
    /// chance of one more.
    pub(super) fn largest(&mut self, theta: f64) -> (u32, f64) {
        let (by, weight) = (self.new_by, self.new_weight);
        let (dial, risk) = self.fitting(&by, &weight, theta, DIALS_MAX);
        self.soon += f64::from(dial) * by[SOON_BIN];
        (dial, risk)
    }

    /// How many calls of one kind, up to `most`, each have a chance of being abandoned under θ, and
    /// that chance of the one after. Adds nothing.
    pub(super) fn fitting(&self, by: &Lanes, weight: &Lanes, theta: f64, most: u32) -> (u32, f64) {
        match &self.counts {
            Counts::Exact {
                answers,
                free_at_most,
            } => {
                let mut answers = answers.clone();
                let mut count = 0;
                loop {
                    let risk = exact_risk(&answers, free_at_most, weight);
                    if risk >= theta || count == most {
                        return (count, risk);
                    }
                    answers.add(by);
                    count += 1;
                }
            }
            Counts::Normal { answers, free } => {
                let risk = |before: u32| {
                    let mut answers = **answers;
                    answers.add(by, f64::from(before));
                    normal_risk(&answers, free, weight, self.spread)
                };
                largest_under(theta, most, risk)
            }
        }
    }

    fn risk(&self, weight: &Lanes) -> f64 {
        match &self.counts {
            Counts::Exact {
                answers,
                free_at_most,
            } => exact_risk(answers, free_at_most, weight),
            Counts::Normal { answers, free } => normal_risk(answers, free, weight, self.spread),
        }
    }
}

/// The largest count, up to `most`, whose every call has a risk under θ when the risk grows with the
/// calls before, and the risk of the one after: double the stride until it is too high, then halve.
fn largest_under(theta: f64, most: u32, mut risk: impl FnMut(u32) -> f64) -> (u32, f64) {
    let first = risk(0);
    if first >= theta || most == 0 {
        return (0, first);
    }
    // risk(low) < θ, and risk(high) is not or high is the most.
    let (mut low, mut high) = (0, 1);
    while high < most && risk(high) < theta {
        low = high;
        high *= 2;
    }
    let mut high = high.min(most);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if risk(middle) < theta {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + 1, risk(low + 1))
}

/// Until the middle of this bin is soon: 11 s, the time that a call has left which may be withdrawn.
const SOON_BIN: usize = 5;
/// The bin in which a call is answered on average: what is told of free agents is about then.
const MEAN_RING_BIN: usize = 4;

impl Counts {
    fn add(&mut self, by: &Lanes, times: f64) {
        match self {
            Counts::Exact { answers, .. } => (0..times as u32).for_each(|_| answers.add(by)),
            Counts::Normal { answers, .. } => answers.add(by, times),
        }
    }

    /// Others who will take agents until an answer in each bin would have to be connected.
    fn add_taken(&mut self, per_second: f64) {
        let until: Lanes = std::array::from_fn(|bin| {
            per_second * BIN_S * (bin.min(HORIZON_BINS - 1) as f64 + 1.5)
        });
        let most = until.iter().copied().fold(0.0, f64::max);
        // So many that each is rare: close to how calls arrive, which is by Poisson.
        let parts = (TAKEN_PARTS * most).ceil().max(1.0);
        self.add(&until.map(|mean| mean / parts), parts);
    }
}

/// P(answers before ≥ agents free for it), weighted by when the call is answered.
fn exact_risk(answers: &Pmf, free_at_most: &[Lanes], weight: &Lanes) -> f64 {
    let mut short = [0.0; LANES];
    for (answers, free) in answers.chance[..=answers.top].iter().zip(free_at_most) {
        for bin in 0..LANES {
            short[bin] += answers[bin] * free[bin];
        }
    }
    weighted(weight, |bin| short[bin])
}

/// `spread` is how uncertain the answer share is, which moves all answers together.
fn normal_risk(answers: &Sums, free: &Sums, weight: &Lanes, spread: f64) -> f64 {
    weighted(weight, |bin| {
        let mean = free.mean[bin] - answers.mean[bin];
        let unsure = spread * answers.mean[bin];
        let variance = free.variance[bin] + answers.variance[bin] + unsure * unsure;
        if variance < 1e-9 {
            return f64::from(u8::from(mean < 0.5));
        }
        let sigma = variance.sqrt();
        let x = (0.5 - mean) / sigma;
        if x < -6.0 {
            return 0.0;
        }
        let skew = (free.third[bin] - answers.third[bin]) / (variance * sigma);
        let density = normal_density(x);
        (cdf(x, density) + skew / 6.0 * (1.0 - x * x) * density).clamp(0.0, 1.0)
    })
}

fn weighted(weight: &Lanes, short: impl Fn(usize) -> f64) -> f64 {
    let total: f64 = weight.iter().sum();
    if total <= 0.0 {
        return 1.0;
    }
    let sum: f64 = (0..HORIZON_BINS)
        .filter(|&bin| weight[bin] > WEIGHT_MIN * total)
        .map(|bin| weight[bin] * short(bin))
        .sum();
    sum / total
}

/// P(a call that has rung `step` steps answers before the middle of each bin).
pub(super) fn answers_by(ring: &RingCurve, p: f64, step: usize) -> Lanes {
    answers_until(ring, p, step, STEPS / 2)
}

/// P(it answers within each bin).
pub(super) fn answers_in(ring: &RingCurve, p: f64, step: usize) -> Lanes {
    let ends = answers_until(ring, p, step, STEPS);
    std::array::from_fn(|bin| ends[bin] - if bin > 0 { ends[bin - 1] } else { 0.0 })
}

fn answers_until(ring: &RingCurve, p: f64, step: usize, offset: usize) -> Lanes {
    let open = ring.open_after(p, step);
    if open < 1e-6 {
        return [0.0; LANES];
    }
    let before = ring.answered_by(step);
    let scale = p / open;
    std::array::from_fn(|bin| {
        let bin = bin.min(HORIZON_BINS - 1);
        (scale * (ring.answered_by(step + bin * STEPS + offset) - before)).clamp(0.0, 1.0)
    })
}

/// A person answered in the middle of a bin waits until the middle of the next.
fn free_by(curve: &[f64; CURVE_POINTS]) -> Lanes {
    std::array::from_fn(|bin| {
        let bin = bin.min(HORIZON_BINS - 1);
        0.5 * (curve[bin + 1] + curve[bin + 2])
    })
}

/// Agents together by what they do and for how many bins: hundreds differ little within one.
fn by_bin(busy: &[Busy]) -> Vec<(Busy, f64)> {
    let mut talk: Vec<u32> = Vec::new();
    let mut wrap: Vec<u32> = Vec::new();
    let mut told: Vec<(Busy, f64)> = Vec::new();
    for busy in busy {
        let (counts, age) = match *busy {
            Busy::OnCall(age) => (&mut talk, age),
            Busy::WrapUp(age) => (&mut wrap, age),
            Busy::FreeIn(_) => {
                told.push((*busy, 1.0));
                continue;
            }
        };
        let bin = ((age.max(0.0) / BIN_S) as usize).min(AGE_BINS_MAX);
        if bin >= counts.len() {
            counts.resize(bin + 1, 0);
        }
        counts[bin] += 1;
    }
    let middle = |bin: usize| (bin as f64 + 0.5) * BIN_S;
    let present = |counts: Vec<u32>| {
        counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .map(move |(bin, count)| (middle(bin), f64::from(count)))
    };
    present(talk)
        .map(|(age, count)| (Busy::OnCall(age), count))
        .chain(present(wrap).map(|(age, count)| (Busy::WrapUp(age), count)))
        .chain(told)
        .collect()
}

/// Ages beyond this, an hour, are one.
const AGE_BINS_MAX: usize = 1_800;

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() * 0.398_942_280_401_432_7
}

/// Φ by Abramowitz and Stegun 26.2.17, error below 7.5e-8.
pub(super) fn normal_cdf(x: f64) -> f64 {
    cdf(x, normal_density(x))
}

fn cdf(x: f64, density: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let upper = density * poly;
    if x >= 0.0 { 1.0 - upper } else { upper }
}
#[cfg(test)]
mod tests {
    use super::super::{Busy, Mode, decide};
    use super::*;

    fn agents(n: usize) -> Snapshot {
        Snapshot {
            busy: (0..n)
                .map(|k| Busy::OnCall(k as f64 * 7.0 % 200.0))
                .collect(),
            theta: 0.06,
            power_level: 1.5,
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_normal_and_the_exact_sums_agree() {
        let learned = Learned::new(26.0);
        let mut snapshot = agents(EXACT_AGENTS_MAX);
        snapshot.ringing = vec![1; 40];
        let exact = Outlook::at_share(&snapshot, &learned, 0.2, 0.0);
        // One more agent, who is never free in time, and the sums are normal.
        snapshot.busy.push(Busy::OnCall(0.0));
        let normal = Outlook::at_share(&snapshot, &learned, 0.2, 0.0);
        assert!(matches!(exact.counts, Counts::Exact { .. }));
        assert!(matches!(normal.counts, Counts::Normal { .. }));
        for before in [0, 5, 20] {
            let risk = |outlook: &Outlook| {
                let (by, weight) = (outlook.new_by, outlook.new_weight);
                let mut outlook = Outlook {
                    counts: outlook.counts.clone(),
                    ..*outlook
                };
                outlook.add(&by, before);
                outlook.risk(&weight)
            };
            let (a, b) = (risk(&normal), risk(&exact));
            assert!((a - b).abs() < 0.02, "{a} {b}");
        }
    }

    #[test]
    fn a_small_team_counts_its_doubt_twice_until_it_has_known_the_share_and_once_after_that() {
        let mut team = agents(10);
        // What the share is taken for, in parts of it above what is believed, for each part of doubt.
        let weight = |learned: &Learned, team: &Snapshot| {
            let doubt = learned.answer_spread() - SPREAD_USUAL;
            assert!(doubt > 0.05, "{doubt}");
            (Outlook::new(team, learned).p / learned.level() - 1.0) / doubt
        };
        let known_of = |calls: u32, team: &Snapshot| {
            let mut learned = Learned::new(26.0);
            learned.refresh(0.0, team);
            for n in 0..calls {
                match n % 4 {
                    0 => learned.answered(10.0),
                    _ => learned.failed(26.0),
                }
            }
            learned.refresh(28.0, team);
            learned
        };
        let new = known_of(48, &team);
        assert!((weight(&new, &team) - UNSURE_WEIGHT).abs() < 1e-9);
        let mut old = known_of(600, &team);
        assert!(old.answer_spread() < SPREAD_USUAL);
        // Then nobody answers for minutes, though two phones ring at any time.
        team.ringing = vec![0; 40];
        team.ringing[15] = 2;
        let mut now_s = 28.0;
        while old.answer_spread() < 0.2 {
            now_s += 1.0;
            assert!(
                now_s < 3_600.0,
                "{} {}",
                old.answer_spread(),
                old.answer_share()
            );
            old.refresh(now_s, &team);
        }
        assert!((weight(&old, &team) - UNSURE_WEIGHT_LATER).abs() < 1e-9);
    }

    #[test]
    fn more_risk_allowed_dials_more_and_the_guard_leaves_progressive() {
        let learned = Learned::new(26.0);
        let mut snapshot = agents(20);
        snapshot.available = 2;
        let careful = decide(
            Mode::Predictive,
            &Snapshot {
                theta: 0.02,
                ..snapshot.clone()
            },
            &learned,
        );
        let bold = decide(
            Mode::Predictive,
            &Snapshot {
                theta: 0.2,
                ..snapshot.clone()
            },
            &learned,
        );
        assert!(bold.dial > careful.dial && careful.dial >= 2);
        let guarded = decide(
            Mode::Predictive,
            &Snapshot {
                guarded: true,
                ..snapshot
            },
            &learned,
        );
        assert_eq!((guarded.dial, guarded.limited_by), (2, PacingLimit::Budget));
    }

    #[test]
    fn nobody_signed_in_dials_nothing() {
        let decision = decide(
            Mode::Predictive,
            &Snapshot {
                theta: 0.5,
                ..Snapshot::default()
            },
            &Learned::new(26.0),
        );
        assert_eq!(
            (decision.dial, decision.limited_by),
            (0, PacingLimit::Agents)
        );
    }

    #[test]
    fn power_keeps_its_ratio() {
        let snapshot = Snapshot {
            available: 10,
            ringing: vec![4],
            ..agents(0)
        };
        assert_eq!(decide(Mode::Power, &snapshot, &Learned::new(26.0)).dial, 11);
        assert_eq!(
            decide(Mode::Progressive, &snapshot, &Learned::new(26.0)).dial,
            6
        );
        assert_eq!(
            decide(Mode::Preview, &snapshot, &Learned::new(26.0)).dial,
            0
        );
    }

    #[test]
    fn a_decision_looks_at_the_risk_a_few_times_however_many_calls_it_dials() {
        for fits in [0, 1, 2, 3, 7, 100, 1_999, 2_000, 9_999] {
            let mut looks = 0;
            let risk = |before: u32| {
                looks += 1;
                if before < fits { 0.01 } else { 0.5 }
            };
            let (dial, _) = largest_under(0.05, DIALS_MAX, risk);
            assert_eq!(dial, fits.min(DIALS_MAX));
            assert!(looks <= 25, "{looks} looks for {fits}");
        }
    }

    #[test]
    fn calls_that_rang_long_are_withdrawn_when_the_agents_they_were_for_are_gone() {
        let learned = Learned::new(26.0);
        for n in [10, 200] {
            let mut snapshot = Snapshot {
                ringing: vec![0; 40],
                withdrawable: vec![0; 40],
                ..agents(n)
            };
            snapshot.ringing[34] = n as u32;
            snapshot.withdrawable[34] = n as u32;
            let gone = decide(Mode::Predictive, &snapshot, &learned);
            assert!(gone.withdraw > 0, "{n}: {gone:?}");
            snapshot.available = n as u32 * 2;
            let there = decide(Mode::Predictive, &snapshot, &learned);
            assert_eq!(there.withdraw, 0, "{n}: {there:?}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

        #[test]
        fn more_risk_or_more_agents_never_dial_less_nor_withdraw_more(
            busy in proptest::collection::vec(0.0_f64..400.0, 0..60),
            available in 0_u32..20,
            ringing in proptest::collection::vec(0_u32..4, 52),
            theta in 0.002_f64..0.2,
            more in 1.0_f64..3.0,
        ) {
            let learned = Learned::new(26.0);
            let mut withdrawable = ringing.clone();
            withdrawable[..31].fill(0);
            let base = Snapshot {
                available,
                busy: busy.into_iter().map(Busy::OnCall).collect(),
                ringing,
                withdrawable,
                theta,
                power_level: 1.5,
                ..Snapshot::default()
            };
            let plain = decide(Mode::Predictive, &base, &learned);
            let bold = Snapshot { theta: theta * more, ..base.clone() };
            let bold = decide(Mode::Predictive, &bold, &learned);
            proptest::prop_assert!(bold.withdraw <= plain.withdraw);
            proptest::prop_assert!(
                bold.dial + plain.withdraw >= plain.dial + bold.withdraw
            );
            let guarded = Snapshot { guarded: true, ..base.clone() };
            let guarded = decide(Mode::Predictive, &guarded, &learned);
            proptest::prop_assert!(guarded.dial <= available);
        }
    }
}
