//! Agentless: a flow speaks with whoever answers, so lines and calls per second set the pace.
//!
//! Where the flow can hand people to agents, those who will ask are paced like answers are
//! elsewhere: each call in flight asks with the learned share of its stage, and the next call is
//! dialled as long as its chance of asking in vain stays under θ. [`Asks`] learns the shares by dial
//! cohort; nothing here knows a flow, a lead or a clock.

use super::predictive::normal_cdf;
use super::{BIN_S, Decision, Learned, Snapshot, progressive};
use model::event::PacingLimit;
use std::collections::VecDeque;

/// Most calls one decision dials; more follow in the next, 0.1 s later.
const DIALS_MAX: u32 = 2_000;
/// Up to so many agents the sums are exact; beyond, the normal approximation is close enough.
const EXACT_AGENTS_MAX: usize = 32;

pub(super) fn decide(snapshot: &Snapshot, learned: &Learned) -> Decision {
    let mut decision = Decision {
        dial: DIALS_MAX,
        withdraw: 0,
        expected_answers: 0.0,
        expected_free: 0.0,
        risk: 0.0,
        // The machine cuts the number down and says which limit did.
        limited_by: PacingLimit::Lines,
        classes: None,
    };
    let Some(shares) = snapshot.asks else {
        return decision;
    };
    let outlook = Outlook::new(snapshot, shares, learned);
    decision.expected_answers = outlook.asks.mean;
    decision.expected_free = outlook.free.mean;
    decision.dial = progressive::count(snapshot);
    if snapshot.available == 0 && snapshot.busy.is_empty() {
        decision.limited_by = PacingLimit::Agents;
        return decision;
    }
    if snapshot.guarded {
        decision.limited_by = PacingLimit::Budget;
        return decision;
    }
    let (dial, risk) = outlook.largest(shares.of_dials, snapshot.theta);
    decision.dial = decision.dial.max(dial);
    decision.risk = risk;
    decision.limited_by = if decision.dial == DIALS_MAX {
        PacingLimit::Lines
    } else {
        PacingLimit::Risk
    };
    decision
}

/// Which part of the calls asks for an agent, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AskShares {
    /// Of the calls dialled.
    pub of_dials: f64,
    /// Of those that a person answered.
    pub of_answers: f64,
    /// Seconds from the dial to the asking, on average.
    pub after_s: f64,
}

impl AskShares {
    /// People expected to ask, of calls in these stages.
    pub fn expected(self, unanswered: u32, in_flow: u32, asked: u32) -> f64 {
        f64::from(unanswered) * self.of_dials
            + f64::from(in_flow) * self.of_answers
            + f64::from(asked)
    }
}

/// Mean and variance of a sum of Bernoullis.
#[derive(Clone, Copy, Default)]
struct Sum {
    mean: f64,
    variance: f64,
}

impl Sum {
    fn add(&mut self, p: f64, times: f64) {
        self.mean += times * p;
        self.variance += times * p * (1.0 - p);
    }
}

/// Who will ask before a call dialled now does, and who will be free for it then.
struct Outlook {
    asks: Sum,
    free: Sum,
    exact: Option<Exact>,
}

/// The same as whole distributions, for few agents.
struct Exact {
    /// P(asks = k), the last entry holding all that is more.
    asks: Vec<f64>,
    /// P(free ≤ k).
    free_at_most: Vec<f64>,
}

impl Outlook {
    fn new(snapshot: &Snapshot, shares: AskShares, learned: &Learned) -> Outlook {
        let unanswered = snapshot.ringing.iter().sum::<u32>() + snapshot.claiming;
        let competing: f64 = snapshot.competing.iter().sum();
        // (how many calls, chance that each asks): those of other campaigns ask when answered.
        let calls = [
            (f64::from(unanswered), shares.of_dials),
            (f64::from(snapshot.in_flow), shares.of_answers),
            (f64::from(snapshot.waiting), 1.0),
            (competing.ceil(), learned.answer_share()),
        ];
        let curves = snapshot.busy.iter().map(|&busy| {
            let curve = learned.free_within(busy);
            curve[((shares.after_s / BIN_S) as usize).min(curve.len() - 1)]
        });
        let free_then: Vec<f64> = curves.collect();
        let (mut asks, mut free) = (Sum::default(), Sum::default());
        for (count, p) in calls {
            asks.add(p, count);
        }
        free.add(1.0, f64::from(snapshot.available));
        free_then.iter().for_each(|p| free.add(*p, 1.0));
        let agents = snapshot.signed_in();
        let exact = (agents <= EXACT_AGENTS_MAX).then(|| {
            let mut asks = vec![0.0; agents + 2];
            asks[0] = 1.0;
            for (count, p) in calls {
                (0..count as u32).for_each(|_| convolve(&mut asks, p));
            }
            let mut free = vec![0.0; agents + 2];
            free[snapshot.available as usize] = 1.0;
            free_then.iter().for_each(|p| convolve(&mut free, *p));
            let mut sum = 0.0;
            free.iter_mut().for_each(|p| {
                sum += *p;
                *p = sum;
            });
            Exact {
                asks,
                free_at_most: free,
            }
        });
        Outlook { asks, free, exact }
    }

    /// How many calls may be dialled under `theta`, and the risk of the one after them.
    fn largest(mut self, of_dials: f64, theta: f64) -> (u32, f64) {
        let mut dialled = 0;
        loop {
            let risk = self.risk();
            if risk >= theta || dialled == DIALS_MAX {
                return (dialled, risk);
            }
            dialled += 1;
            self.asks.add(of_dials, 1.0);
            if let Some(exact) = &mut self.exact {
                convolve(&mut exact.asks, of_dials);
            }
        }
    }

    /// P(the asks before a call dialled now ≥ the agents free for it).
    fn risk(&self) -> f64 {
        if let Some(exact) = &self.exact {
            let pairs = exact.asks.iter().zip(&exact.free_at_most);
            return pairs.map(|(asks, free)| asks * free).sum();
        }
        let mean = self.free.mean - self.asks.mean;
        let variance = self.free.variance + self.asks.variance;
        if variance < 1e-9 {
            return f64::from(u8::from(mean < 0.5));
        }
        normal_cdf((0.5 - mean) / variance.sqrt())
    }
}

/// Adds one Bernoulli to a distribution whose last entry holds all that is more.
fn convolve(pmf: &mut [f64], p: f64) {
    let last = pmf.len() - 1;
    pmf[last] += pmf[last - 1] * p;
    for k in (1..last).rev() {
        pmf[k] = pmf[k] * (1.0 - p) + pmf[k - 1] * p;
    }
    pmf[0] *= 1.0 - p;
}

/// The belief about the share of answers that ask, before any: many. It errs towards too few dials.
const ASK_PRIOR: f64 = 0.4;
/// What that belief weighs, in answers.
const PRIOR_ANSWERS: f64 = 5.0;
/// The same belief over dials: half of them answered.
const PRIOR_DIALS: f64 = 10.0;
/// Memory of the shares, in dials: at 2 % that ask, twenty of them.
const MEMORY_DIALS: f64 = 1_000.0;
/// Seconds from dial to key press, before any was seen: some ringing and one sentence.
const AFTER_PRIOR_S: f64 = 20.0;
/// What one key press moves their mean.
const AFTER_GAIN: f64 = 0.05;
/// Dials whose end is awaited; more than any campaign has in flight.
const OPEN_MAX: usize = 65_536;

#[derive(Clone, Copy, Debug)]
struct Dialled {
    number: u64,
    at_s: f64,
    answered: bool,
    asked: bool,
    over: bool,
}

/// What a campaign has learned about the people who ask for an agent. Dials count in the order they
/// were made, each once its end is known: a campaign that speeds up does not look like one whose
/// people stopped asking.
#[derive(Clone, Debug)]
pub struct Asks {
    open: VecDeque<Dialled>,
    dials: f64,
    answers: f64,
    asks: f64,
    after_s: f64,
}

impl Default for Asks {
    fn default() -> Asks {
        Asks {
            open: VecDeque::new(),
            dials: 0.0,
            answers: 0.0,
            asks: 0.0,
            after_s: AFTER_PRIOR_S,
        }
    }
}

impl Asks {
    /// A call left. Dials are numbered upwards.
    pub fn dialled(&mut self, number: u64, at_s: f64) {
        if self.open.len() == OPEN_MAX {
            self.count_first();
        }
        self.open.push_back(Dialled {
            number,
            at_s,
            answered: false,
            asked: false,
            over: false,
        });
    }

    /// A person answered it.
    pub fn answered(&mut self, number: u64) {
        if let Some(dial) = self.find(number) {
            dial.answered = true;
        }
    }

    /// The person asked for an agent.
    pub fn asked(&mut self, number: u64, at_s: f64) {
        let Some(dial) = self.find(number) else {
            return;
        };
        (dial.answered, dial.asked) = (true, true);
        let after_s = at_s - dial.at_s;
        self.after_s += AFTER_GAIN * (after_s - self.after_s);
        self.over(number);
    }

    /// Nothing more will come of it.
    pub fn over(&mut self, number: u64) {
        if let Some(dial) = self.find(number) {
            dial.over = true;
        }
        while self.open.front().is_some_and(|dial| dial.over) {
            self.count_first();
        }
    }

    /// The shares as learned.
    pub fn shares(&self) -> AskShares {
        let asks = self.asks + ASK_PRIOR * PRIOR_ANSWERS;
        AskShares {
            of_dials: asks / (self.dials + PRIOR_DIALS),
            of_answers: asks / (self.answers + PRIOR_ANSWERS),
            after_s: self.after_s,
        }
    }

    fn find(&mut self, number: u64) -> Option<&mut Dialled> {
        let at = self
            .open
            .binary_search_by_key(&number, |dial| dial.number)
            .ok()?;
        self.open.get_mut(at)
    }

    fn count_first(&mut self) {
        let Some(dial) = self.open.pop_front() else {
            return;
        };
        let keep = 1.0 - 1.0 / MEMORY_DIALS;
        let one = |yes: bool| f64::from(u8::from(yes));
        self.dials = self.dials * keep + 1.0;
        self.answers = self.answers * keep + one(dial.answered);
        self.asks = self.asks * keep + one(dial.asked);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Busy, Mode, decide};
    use super::*;

    fn shares(of_dials: f64) -> AskShares {
        AskShares {
            of_dials,
            of_answers: of_dials * 2.0,
            after_s: 20.0,
        }
    }

    fn floor(available: u32, of_dials: f64) -> Snapshot {
        Snapshot {
            available,
            asks: Some(shares(of_dials)),
            theta: 0.03,
            ..Snapshot::default()
        }
    }

    fn dial(snapshot: &Snapshot) -> u32 {
        decide(Mode::Agentless, snapshot, &Learned::new(26.0)).dial
    }

    #[test]
    fn a_flow_that_asks_for_nobody_dials_without_agents_up_to_the_lines() {
        let decision = decide(Mode::Agentless, &Snapshot::default(), &Learned::new(26.0));
        assert_eq!(
            (decision.dial, decision.limited_by),
            (DIALS_MAX, PacingLimit::Lines)
        );
    }

    #[test]
    fn a_flow_that_asks_for_agents_dials_nobody_while_none_is_there() {
        let decision = decide(Mode::Agentless, &floor(0, 0.02), &Learned::new(26.0));
        assert_eq!(
            (decision.dial, decision.limited_by),
            (0, PacingLimit::Agents)
        );
    }

    #[test]
    fn the_rarer_people_ask_the_more_are_dialled_and_every_agent_has_a_call() {
        assert_eq!(dial(&floor(3, 1.0)), 3, "everybody asks: progressive");
        let (few, many) = (dial(&floor(3, 0.02)), dial(&floor(3, 0.1)));
        assert!(few > 2 * many && many > 3, "{few} {many}");
        // Three agents, 2 %: at most about one ask is expected where the fourth is to stay unlikely.
        assert!((20..=60).contains(&few), "{few}");
    }

    #[test]
    fn those_in_the_flow_and_those_who_asked_already_take_their_agents() {
        let free = dial(&floor(3, 0.02));
        let in_flow = Snapshot {
            in_flow: 10,
            ..floor(3, 0.02)
        };
        let asked = Snapshot {
            waiting: 2,
            ..floor(3, 0.02)
        };
        assert!(dial(&in_flow) < free, "{}", dial(&in_flow));
        assert!(dial(&asked) < dial(&in_flow), "{}", dial(&asked));
        let all_asked = Snapshot {
            waiting: 3,
            ..floor(3, 0.02)
        };
        assert_eq!(dial(&all_asked), 0);
    }

    #[test]
    fn the_normal_and_the_exact_sums_agree() {
        let learned = Learned::new(26.0);
        let snapshot = Snapshot {
            busy: vec![Busy::OnCall(60.0); EXACT_AGENTS_MAX - 12],
            ringing: vec![300],
            in_flow: 40,
            ..floor(12, 0.02)
        };
        let exact = Outlook::new(&snapshot, shares(0.02), &learned);
        let normal = Outlook {
            exact: None,
            ..Outlook::new(&snapshot, shares(0.02), &learned)
        };
        let (a, b) = (exact.risk(), normal.risk());
        assert!((a - b).abs() < 0.02, "{a} {b}");
    }

    #[test]
    fn a_spent_budget_leaves_one_call_per_agent() {
        let guarded = Snapshot {
            guarded: true,
            ringing: vec![1],
            ..floor(3, 0.01)
        };
        assert_eq!(dial(&guarded), 2);
    }

    #[test]
    fn the_share_that_asks_counts_dials_in_the_order_they_were_made() {
        let mut asks = Asks::default();
        let before = asks.shares();
        for n in 1..=2_000 {
            asks.dialled(n, n as f64);
        }
        // Who presses a key is known long before who does not.
        for n in (1..=2_000).filter(|n| n % 50 == 0) {
            asks.answered(n);
            asks.asked(n, n as f64 + 31.0);
        }
        assert_eq!(
            asks.shares().of_dials,
            before.of_dials,
            "the first is still open"
        );
        for n in 1..=2_000 {
            if n % 2 == 0 {
                asks.answered(n);
            }
            asks.over(n);
        }
        let learned = asks.shares();
        assert!((learned.of_dials - 0.02).abs() < 0.005, "{learned:?}");
        assert!((learned.of_answers - 0.04).abs() < 0.01, "{learned:?}");
        assert!((learned.after_s - 31.0).abs() < 2.0, "{learned:?}");
    }
}
