//! Which share of dials is answered, as a belief over a grid of shares, moved by calls as they ring.
//!
//! Each call that rings is compared, half second by half second, with what calls of that age do at
//! each share of the grid; an answer counts for the shares that made it likely. So a step in the
//! share shows before the first cohort is complete, and dialling more or less moves nothing: the
//! order in which calls resolve never enters.

use super::lead_model::at_odds;
use super::ring::{RING_POINTS, RING_STEP_S, RingCurve, ring_point};

/// Points of the grid: 4 % apart.
const GRID: usize = 128;
const SHARE_MIN: f64 = 0.004;
const SHARE_MAX: f64 = 0.97;
/// The belief before the first dial, as a power of the share: many answer. It errs towards too few dials.
const PRIOR_POWER: f64 = 0.7;
/// Chance per second that the share has jumped up. A jump that is not seen floods the agents.
const JUMP_UP: f64 = 1.0 / 3_600.0;
/// The most that chance may be per expected answer: few answers cannot tell a jump from luck.
const JUMP_PER_ANSWER: f64 = 1.0 / 800.0;
/// Chance of a jump down, in jumps up per answer.
const JUMP_DOWN: f64 = 0.5;
/// The most of it per second, in a large team. Far rarer than up, for a jump seen where there was a lull floods
/// them too, and at a hundred agents there is a lull every minute.
const JUMP_DOWN_MAX: f64 = 1.0 / 27_000.0;
/// Expected answers for each jump down of a small team: it floods nobody by a few calls too many, and would
/// else have to be certain of a fall that it sees ten outcomes of in a minute.
const ANSWERS_PER_DROP: f64 = 25.0;
/// Agents from which a jump down is far rarer: there a lull of ten seconds leaves many of them free at once,
/// and a belief that fell for it calls too many for each.
const DROP_AGENTS: f64 = 11.0;
/// Grid points of a jump: by a factor of 1.4 to 4.
const JUMP_POINTS: std::ops::Range<usize> = 8..33;
/// Part of the belief that moves to each neighbour per second: 9 % in an hour.
const DRIFT: f64 = 6e-4;
/// The most of it per expected answer: 9 % in 800 answers.
const DRIFT_PER_ANSWER: f64 = 3e-3;
/// No share is ever ruled out further than this.
const BELIEF_MIN: f64 = 1e-12;
/// Seconds of evidence that err together.
const WINDOW_S: f64 = 4.0;
/// How far the ring curve is trusted within a window: to within 1 ÷ √16, a quarter.
const CURVE_SHAPE: f64 = 16.0;
/// Whoever knew the share this well once is not at the beginning any more.
const KNOWN_SPREAD: f64 = 0.15;
/// The share until the first calls have rung to their end, and its uncertainty.
const WARM_UP: (f64, f64) = (0.5, 0.4);
/// A longer gap than this between two looks is counted as this: nothing was watched meanwhile.
const GAP_MAX_S: f64 = 3.0;

/// A few seconds of evidence.
#[derive(Clone, Debug)]
struct Window {
    seconds: f64,
    answers: f64,
    /// Sum of the answers' ln hazard.
    ln_hazard: [f64; GRID],
    /// Answers expected.
    expected: [f64; GRID],
}

impl Window {
    const EMPTY: Window = Window {
        seconds: 0.0,
        answers: 0.0,
        ln_hazard: [0.0; GRID],
        expected: [0.0; GRID],
    };

    /// Its ln likelihood: negative binomial, since the ring curve is known to within
    /// [`CURVE_SHAPE`] only and hundreds of calls in step would else prove what is not so.
    fn weigh(&self, belief: &[f64; GRID]) -> [f64; GRID] {
        std::array::from_fn(|j| {
            belief[j] + self.ln_hazard[j]
                - (self.answers + CURVE_SHAPE) * (self.expected[j] / CURVE_SHAPE).ln_1p()
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct AnswerShare {
    shares: [f64; GRID],
    /// ln of the belief, not normalised.
    belief: [f64; GRID],
    /// Hazard of an answer in a step, by age and share; one table for each class of leads.
    hazard: Vec<Vec<[f64; GRID]>>,
    looked_at_s: f64,
    /// No belief moves before this: the ring curve is not known yet.
    warm_at_s: Option<f64>,
    warm_up_s: f64,
    is_warm: bool,
    /// What was seen since the window began, and not yet believed for good.
    window: Window,
    mean: f64,
    /// Standard deviation ÷ mean.
    spread: f64,
    /// It was known well at any time.
    is_known: bool,
    /// Agents who are signed in.
    agents: f64,
}

impl AnswerShare {
    pub(super) fn new(ring: &RingCurve, ring_timeout_s: f64) -> AnswerShare {
        let ratio = (SHARE_MAX / SHARE_MIN).powf(1.0 / (GRID - 1) as f64);
        let shares: [f64; GRID] = std::array::from_fn(|j| SHARE_MIN * ratio.powi(j as i32));
        let mut share = AnswerShare {
            shares,
            belief: shares.map(|p| PRIOR_POWER * p.ln()),
            hazard: Vec::new(),
            looked_at_s: f64::NEG_INFINITY,
            warm_at_s: None,
            warm_up_s: ring_timeout_s + 1.0,
            is_warm: false,
            window: Window::EMPTY,
            mean: 0.0,
            spread: 0.0,
            is_known: false,
            agents: f64::INFINITY,
        };
        share.rebuild(ring, &[1.0]);
        share.settle();
        (share.mean, share.spread) = WARM_UP;
        share
    }

    /// The ring curve has changed, or the odds of each class of leads against the share; one class of
    /// odds 1 where leads do not differ.
    pub(super) fn rebuild(&mut self, ring: &RingCurve, odds: &[f64]) {
        self.hazard = odds
            .iter()
            .map(|odds| {
                let shares = self.shares.map(|p| at_odds(p, *odds));
                hazards(ring, &shares)
            })
            .collect();
    }

    pub(super) fn answered(&mut self, class: usize, rang_s: f64) {
        let hazard = &self.hazard[class][ring_point(rang_s).min(RING_POINTS - 1)];
        if hazard[0] > 0.0 {
            self.window.answers += 1.0;
            for (sum, hazard) in self.window.ln_hazard.iter_mut().zip(hazard) {
                *sum += hazard.ln();
            }
        }
    }

    /// Whether the first calls have just rung to their end; true once.
    pub(super) fn warms_up(&mut self, now_s: f64) -> bool {
        let warm_at_s = *self.warm_at_s.get_or_insert(now_s + self.warm_up_s);
        let is_due = !self.is_warm && now_s >= warm_at_s;
        self.is_warm |= is_due;
        is_due
    }

    /// So many of the first calls were answered, and so many were not.
    pub(super) fn believe(&mut self, answers: f64, failures: f64) {
        for (belief, share) in self.belief.iter_mut().zip(&self.shares) {
            *belief += answers * share.ln() + failures * (1.0 - share).ln();
        }
        self.window = Window::EMPTY;
        self.settle();
        self.sum_up(&self.belief.clone());
    }

    /// Time has passed over the calls that ring, by class and age, for so many agents.
    pub(super) fn look(&mut self, now_s: f64, ringing: &[&[u32]], agents: usize) {
        self.agents = agents as f64;
        let passed = (now_s - self.looked_at_s).min(GAP_MAX_S);
        if passed < RING_STEP_S {
            return;
        }
        self.looked_at_s = now_s;
        if !self.is_warm {
            self.window = Window::EMPTY;
            return;
        }
        let steps = passed / RING_STEP_S;
        let of_class = self.hazard.iter().zip(ringing);
        for (hazard, count) in of_class.flat_map(|(hazard, counts)| hazard.iter().zip(*counts)) {
            if *count > 0 {
                let weight = f64::from(*count) * steps;
                for (sum, hazard) in self.window.expected.iter_mut().zip(hazard) {
                    *sum += weight * hazard;
                }
            }
        }
        self.window.seconds += passed;
        let belief = self.window.weigh(&self.belief);
        if self.window.seconds >= WINDOW_S {
            self.belief = belief;
            self.settle();
            self.window = Window::EMPTY;
        }
        self.sum_up(&belief);
    }

    /// Normalises the belief and lets it forget as time passes.
    fn settle(&mut self) {
        let nearest = self
            .shares
            .iter()
            .position(|p| *p >= self.mean)
            .unwrap_or(GRID - 1);
        let (passed_s, answers) = (self.window.seconds, self.window.expected[nearest]);
        let most = self
            .belief
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let weights = self.belief.map(|belief| (belief - most).exp());
        let width = JUMP_POINTS.len() as f64;
        let up = (JUMP_UP * passed_s).min(JUMP_PER_ANSWER * answers);
        let rare = (JUMP_DOWN_MAX * passed_s).min(JUMP_DOWN * JUMP_PER_ANSWER * answers);
        let answers_per_drop = ANSWERS_PER_DROP * (1.0 + (self.agents / DROP_AGENTS).powi(4));
        let down = rare.max(answers / answers_per_drop);
        let drift = (DRIFT * passed_s).min(DRIFT_PER_ANSWER * answers);
        let mut before = [0.0; GRID + 1];
        for j in 0..GRID {
            before[j + 1] = before[j] + weights[j];
        }
        let between = |from: usize, to: usize| before[to.min(GRID)] - before[from.min(GRID)];
        let mut moved = [0.0; GRID];
        for (j, moved) in moved.iter_mut().enumerate() {
            let (below, above) = (weights[j.saturating_sub(1)], weights[(j + 1).min(GRID - 1)]);
            let from_below = between(
                (j + 1).saturating_sub(JUMP_POINTS.end),
                (j + 1).saturating_sub(JUMP_POINTS.start),
            );
            let from_above = between(j + JUMP_POINTS.start, j + JUMP_POINTS.end);
            *moved = (1.0 - 2.0 * drift - up - down) * weights[j]
                + drift * (below + above)
                + up / width * from_below
                + down / width * from_above;
        }
        let total: f64 = moved.iter().sum();
        for (belief, moved) in self.belief.iter_mut().zip(&moved) {
            *belief = (moved / total).max(BELIEF_MIN).ln();
        }
    }

    fn sum_up(&mut self, belief: &[f64; GRID]) {
        let most = belief.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
        for (belief, share) in belief.iter().zip(&self.shares) {
            let weight = (belief - most).exp();
            total += weight;
            mean += weight * share;
            square += weight * share * share;
        }
        self.mean = mean / total;
        self.spread = (square / total / (self.mean * self.mean) - 1.0)
            .max(0.0)
            .sqrt();
        self.is_known |= self.spread <= KNOWN_SPREAD;
    }

    pub(super) fn share(&self) -> f64 {
        self.mean
    }

    pub(super) fn spread(&self) -> f64 {
        self.spread
    }

    /// Whether the share was known well at any time.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The belief as a weight per grid point.
    pub(super) fn export(&self) -> Vec<f32> {
        self.belief
            .iter()
            .map(|belief| belief.exp() as f32)
            .collect()
    }

    /// Believes most of what another day believed.
    pub(super) fn import(&mut self, weights: &[f32]) {
        if weights.len() != GRID {
            return;
        }
        let stored: Vec<f64> = weights
            .iter()
            .map(|weight| super::learned::sane(*weight))
            .collect();
        let total: f64 = stored.iter().sum();
        if total <= 0.0 {
            return;
        }
        for (belief, stored) in self.belief.iter_mut().zip(&stored) {
            *belief = (0.9 * stored / total + 0.1 / GRID as f64).ln();
        }
        self.settle();
        self.sum_up(&self.belief.clone());
        self.is_warm = true;
    }
}

/// Hazard of an answer in a step, by age, at each of these shares.
fn hazards(ring: &RingCurve, shares: &[f64; GRID]) -> Vec<[f64; GRID]> {
    (0..RING_POINTS)
        .map(|k| {
            let answers = (ring.answered_by(k + 1) - ring.answered_by(k)).max(2e-4);
            shares.map(|p| {
                let open = ring.open_after(p, k);
                if open < 1e-4 {
                    0.0
                } else {
                    (p * answers / open).min(0.9)
                }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A call of the bench: when it was dialled, when it ends, and whether it is answered then.
    type Call = (f64, f64, bool);

    /// Dials `per_second(t)` calls a second and shows every outcome to the share. Returns the shares
    /// seen, second by second, beside what the last 400 outcomes in the order of resolution say.
    fn watch(
        seconds: u32,
        per_second: impl Fn(u32) -> u32,
        p: impl Fn(u32) -> f64,
    ) -> Vec<(f64, f64)> {
        watch_for((11, 100), seconds, per_second, p)
    }

    /// The same with this seed, for so many agents.
    fn watch_for(
        (seed, agents): (u64, usize),
        seconds: u32,
        per_second: impl Fn(u32) -> u32,
        p: impl Fn(u32) -> f64,
    ) -> Vec<(f64, f64)> {
        let mut rng = model::Rng::new(seed);
        let mut ring = RingCurve::new(26.0);
        let mut share = AnswerShare::new(&ring, 26.0);
        let mut calls: Vec<Call> = Vec::new();
        let mut resolved: VecDeque<bool> = VecDeque::new();
        let mut seen = Vec::new();
        for t in 0..seconds {
            let now = f64::from(t);
            for _ in 0..per_second(t) {
                let answered = rng.chance(p(t));
                let rings = rng.log_normal(10.0, 0.53).clamp(1.5, 26.0);
                calls.push((now, now + if answered { rings } else { 26.0 }, answered));
            }
            calls.retain(|&(dialled, ends, answered)| {
                let over = ends <= now;
                if over {
                    resolved.push_back(answered);
                    if answered {
                        share.answered(0, ends - dialled);
                        ring.answered(ends - dialled);
                    } else {
                        ring.failed(ends - dialled);
                    }
                }
                !over
            });
            while resolved.len() > 400 {
                resolved.pop_front();
            }
            let mut ringing = vec![0; 60];
            for (dialled, _, _) in &calls {
                ringing[((now - dialled) / RING_STEP_S) as usize] += 1;
            }
            if t % 10 == 0 {
                ring.rebuild(&ringing);
                share.rebuild(&ring, &[1.0]);
            }
            share.warms_up(now);
            share.look(now, &[&ringing], agents);
            let answered = resolved.iter().filter(|answered| **answered).count();
            seen.push((
                share.share(),
                answered as f64 / resolved.len().max(1) as f64,
            ));
        }
        seen
    }

    #[test]
    fn dialling_in_bursts_does_not_swing_the_share_as_it_swings_the_order_of_resolution() {
        let seen = watch(1_200, |t| if t % 40 < 14 { 40 } else { 0 }, |_| 0.1);
        let settled = &seen[300..];
        let worst = |values: &dyn Fn(&(f64, f64)) -> f64| {
            settled
                .iter()
                .map(|seen| (values(seen) - 0.1).abs())
                .fold(0.0, f64::max)
        };
        assert!(worst(&|seen| seen.0) < 0.03, "{}", worst(&|seen| seen.0));
        // What the floods of other dialers are made of, and what this test would catch.
        assert!(worst(&|seen| seen.1) > 0.06, "{}", worst(&|seen| seen.1));
    }

    #[test]
    fn a_share_that_doubles_shows_within_thirty_seconds() {
        let p = |t: u32| if t < 600 { 0.15 } else { 0.3 };
        let seen = watch(640, |_| 12, p);
        assert!((seen[599].0 - 0.15).abs() < 0.03, "{}", seen[599].0);
        let seen: Vec<f64> = seen[600..].iter().map(|seen| seen.0).collect();
        let shown = seen.iter().position(|share| *share > 0.25);
        assert!(shown.is_some_and(|second| second <= 30), "{seen:.3?}");
    }

    #[test]
    fn a_share_that_halves_shows_within_two_minutes() {
        let p = |t: u32| if t < 600 { 0.3 } else { 0.15 };
        let seen = watch(760, |_| 8, p);
        assert!(seen[720].0 < 0.19, "{}", seen[720].0);
    }

    #[test]
    fn a_small_team_follows_a_fall_of_the_share_before_it_is_certain_and_a_large_one_waits() {
        // What ten agents dial: a call every four seconds.
        let dials = |t| u32::from(t % 4 == 0);
        let p = |t: u32| if t < 1_800 { 0.3 } else { 0.15 };
        let four_minutes_later = |agents| {
            let seen = (1..=24).map(|seed| watch_for((seed, agents), 2_040, dials, p)[2_039].0);
            seen.sum::<f64>() / 24.0
        };
        let (small, large) = (four_minutes_later(10), four_minutes_later(100));
        assert!(small < 0.2, "{small}");
        assert!(large > 0.2, "{large}");
    }

    #[test]
    fn a_stored_share_is_taken_up_and_nonsense_is_not() {
        let ring = RingCurve::new(26.0);
        let mut old = AnswerShare::new(&ring, 26.0);
        let point = old.shares.iter().position(|share| *share > 0.12).unwrap();
        old.belief = [BELIEF_MIN.ln(); GRID];
        old.belief[point] = 0.0;
        let mut new = AnswerShare::new(&ring, 26.0);
        new.import(&old.export());
        assert!((0.12..0.18).contains(&new.share()), "{}", new.share());
        let before = new.share();
        new.import(&[f32::NAN; GRID]);
        new.import(&[1.0; 3]);
        assert_eq!(new.share(), before);
    }
}
