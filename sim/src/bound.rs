//! What no pacing can beat, proven, in a world simple enough to solve: talk and wrap-up together
//! exponential, every call ends exponentially and is then answered with probability p, and who finds
//! no agent is gone at once. There the state is (busy agents, calls in flight), the decision is how
//! many more to dial, and the best utilisation under a limit on abandonment is that of a constrained
//! Markov decision process.
//!
//! For a price λ on abandonment the unconstrained optimum g(λ) is found by relative value iteration
//! of the uniformised process (Puterman 1994, §8.5, §11.5); the constrained one is the least g(λ)
//! over λ ≥ 0 (Altman 1999, §3): where it is taken, two policies are mixed so that the limit is met.

use crate::scenario::{Profile, Scenario, Spread};

/// Utilisation is right within this many points.
const PRECISION_PCT: f64 = 0.01;
/// Iterations for one price, at most; a few thousand are usual.
const ITERATIONS_MAX: usize = 200_000;
/// Prices that are tried, at most.
const PRICES_MAX: usize = 40;
/// A price beyond which nothing is abandoned at all.
const PRICE_MAX: f64 = 1e4;

/// The simple world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Markov {
    /// Agents.
    pub agents: usize,
    /// P(a call that ends is answered).
    pub answer_rate: f64,
    /// Mean seconds of talk and wrap-up together.
    pub busy_s: f64,
    /// Mean seconds until a call ends.
    pub ring_s: f64,
    /// The limit on abandoned ÷ answered.
    pub limit: f64,
}

impl Markov {
    /// The world of the table in `docs/pacing.md`.
    pub fn new(agents: usize, answer_rate: f64) -> Markov {
        Markov {
            agents,
            answer_rate,
            busy_s: 170.0,
            ring_s: 10.0,
            limit: 0.03,
        }
    }

    /// The same world as a scenario, for pacing to be compared with the bound. A ring is cut where
    /// the engine gives up, at 59 s: one call in 400.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            agents: self.agents,
            answer_rate: Profile::Always(self.answer_rate),
            ring: Spread::exponential(self.ring_s),
            no_answer: Some(Spread::exponential(self.ring_s)),
            ring_timeout_s: 59.0,
            talk: Spread::exponential(self.busy_s),
            wrap_up: Spread::fixed(0.001),
            patience_s: 0.0,
            ..Scenario::default()
        }
    }

    /// The largest utilisation any policy can have within the limit, in per cent.
    pub fn bound_pct(&self) -> f64 {
        let mut process = Process::new(*self);
        let mut gain = |price: f64| process.gain(price);
        // g is convex: bracket its least value, then narrow the bracket by the golden section.
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (0.0, 1.0);
        let mut at_high = gain(high);
        while high < PRICE_MAX {
            let beyond = gain(2.0 * high);
            if beyond >= at_high {
                high *= 2.0;
                break;
            }
            low = high;
            (high, at_high) = (2.0 * high, beyond);
        }
        let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
        let (mut at_a, mut at_b) = (gain(a), gain(b));
        for _ in 0..PRICES_MAX {
            if (high - low) < 0.005 * high || (at_a - at_b).abs() < 1e-6 {
                break;
            }
            if at_a < at_b {
                (high, b, at_b) = (b, a, at_a);
                a = high - golden * (high - low);
                at_a = gain(a);
            } else {
                (low, a, at_a) = (a, b, at_b);
                b = low + golden * (high - low);
                at_b = gain(b);
            }
        }
        100.0 * at_a.min(at_b)
    }
}

/// The uniformised process. Values of states are kept between prices: the next begins near its end.
struct Process {
    world: Markov,
    /// Calls in flight, at most: far beyond what any good policy dials.
    most: usize,
    /// Transitions per second.
    rate: f64,
    /// Of (busy, in flight), the decision still to be taken.
    values: Vec<f64>,
}

impl Process {
    fn new(world: Markov) -> Process {
        let in_flight = world.agents as f64 / world.answer_rate * world.ring_s / world.busy_s;
        let most = 20 + (4.0 * in_flight).ceil() as usize;
        Process {
            most,
            rate: world.agents as f64 / world.busy_s + most as f64 / world.ring_s,
            values: vec![0.0; (world.agents + 1) * (most + 1)],
            world,
        }
    }

    /// The largest mean of utilisation − price × (abandoned − limit × answered), all per agent and
    /// in units of one talk.
    fn gain(&mut self, price: f64) -> f64 {
        let Markov {
            agents,
            answer_rate,
            busy_s,
            ring_s,
            limit,
        } = self.world;
        let width = self.most + 1;
        let price_per_answer = price * busy_s / agents as f64;
        let mut next = vec![0.0; self.values.len()];
        let (mut low, mut high) = (0.0, 0.0);
        for _ in 0..ITERATIONS_MAX {
            (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
            for busy in 0..=agents {
                let row = busy * width;
                let full = busy == agents;
                let ends = busy as f64 / busy_s / self.rate;
                // What an answer costs, and which row it leads to.
                let cost = price_per_answer * (f64::from(u8::from(full)) - limit);
                let answered = if full { row } else { row + width };
                let fewer = row.saturating_sub(width);
                let utilisation = busy as f64 / agents as f64 / self.rate;
                let mut best = f64::NEG_INFINITY;
                for calls in (0..=self.most).rev() {
                    let at = row + calls;
                    let over = calls as f64 / ring_s / self.rate;
                    let after = calls.saturating_sub(1);
                    let value = utilisation
                        + ends * self.values[fewer + calls]
                        + over
                            * (answer_rate * (self.values[answered + after] - cost)
                                + (1.0 - answer_rate) * self.values[row + after])
                        + (1.0 - ends - over) * self.values[at];
                    // Dialling takes no time: the best of this many calls and of any more.
                    best = value.max(best);
                    next[at] = best;
                    let difference = best - self.values[at];
                    (low, high) = (low.min(difference), high.max(difference));
                }
            }
            let base = next[0];
            for (value, next) in self.values.iter_mut().zip(&next) {
                *value = next - base;
            }
            if (high - low) * self.rate * 100.0 < PRECISION_PCT {
                break;
            }
        }
        0.5 * (low + high) * self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_two_small_cells_is_the_known_one() {
        for (agents, answer_rate, known) in [(5, 0.3, 86.9), (5, 0.1, 79.4)] {
            let found = Markov::new(agents, answer_rate).bound_pct();
            assert!(
                (found - known).abs() <= 0.15,
                "{agents} agents, p = {answer_rate}: {found:.2}, known {known}"
            );
        }
    }

    #[test]
    fn a_looser_limit_allows_more() {
        let strict = Markov::new(3, 0.5);
        let loose = Markov {
            limit: 0.06,
            ..strict
        };
        let [strict, loose] = [strict, loose].map(|world| world.bound_pct());
        assert!(loose > strict + 0.3, "{strict:.2} {loose:.2}");
    }
}
