//! Which of the calls that may be withdrawn to keep, and how many new ones to dial.
//!
//! A call is kept while its own chance of being abandoned is under a few θ. A small team looks at
//! one thing more: a call that has rung for long holds an agent's place and will hardly be answered,
//! and a new one in its place may be likelier to be answered soon at the same risk. Then the two are
//! swapped. It is handed an [`Outlook`] without those calls, and never sees a lead.

use super::by_lead::{self, share_of};
use super::predictive::{Lanes, Outlook, answers_by, answers_in};
use super::{CLASSES, Learned, RING_POINTS, Snapshot};

/// A call that rings is kept up to this many θ: one that was dialled below θ is above it half the time
/// a moment later, and is worth more than a new one. Measured: 1 costs 0.2 points, 3 withdraws a third
/// fewer.
const KEEP_FACTOR: f64 = 3.0;
/// How many more answers soon every call that is swapped has to bring. Measured: 0.05 and 0.15 give the
/// same, and the higher one wears out fewer leads.
const SWAP_GAIN: f64 = 0.15;
/// Agents of a small team. Measured where half of the dials are answered: swapping gives 0.4 points with 5
/// agents and 0.1 with 10, and takes 0.1 with 25, where other agents are soon free for a late answer.
const SWAP_AGENTS_MAX: usize = 12;
/// Of the calls that could be kept, so many parts are tried.
const PARTS: u32 = 4;

/// What to keep and what to dial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Of the calls that may be withdrawn.
    pub(super) kept: u32,
    pub(super) dial: u32,
    /// The new ones by class, where leads differ.
    pub(super) classes: Option<[u32; CLASSES]>,
    /// The chance that one more would be abandoned.
    pub(super) risk: f64,
    /// Answers expected soon of all these.
    soon: f64,
}

/// Calls that may be withdrawn and are alike.
struct Old {
    count: u32,
    /// The chance that one is still answered.
    chance: f64,
    by: Lanes,
    weight: Lanes,
}

/// The plan that is expected to bring the most answers soon; `outlook` is without the calls that may be
/// withdrawn.
pub(super) fn best(outlook: &Outlook, snapshot: &Snapshot, learned: &Learned) -> Plan {
    let old = withdrawable(outlook, snapshot, learned);
    let mut best = plan(outlook, &old, u32::MAX, snapshot, learned);
    let agents = snapshot.signed_in();
    if agents > SWAP_AGENTS_MAX || best.kept == 0 {
        return best;
    }
    let all = best;
    let part = all.kept.div_ceil(PARTS);
    let mut most = all.kept;
    while most > 0 {
        most = most.saturating_sub(part);
        let other = plan(outlook, &old, most, snapshot, learned);
        let price = SWAP_GAIN * f64::from(best.kept - other.kept);
        if other.dial > 0 && other.soon > best.soon + price {
            best = other;
        }
    }
    best
}

/// The likeliest first.
fn withdrawable(outlook: &Outlook, snapshot: &Snapshot, learned: &Learned) -> Vec<Old> {
    let ring = learned.ring();
    let mut old = Vec::new();
    for calls in by_lead::calls(snapshot, learned) {
        let p = share_of(outlook.p, calls.odds);
        for (step, &count) in calls.withdrawable.iter().enumerate() {
            if count > 0 {
                old.push(Old {
                    count,
                    chance: ring.answers_within(p, step, RING_POINTS),
                    by: answers_by(ring, p, step),
                    weight: answers_in(ring, p, step),
                });
            }
        }
    }
    old.sort_by(|a, b| b.chance.total_cmp(&a.chance));
    old
}

/// What to dial when at most so many are kept.
fn plan(outlook: &Outlook, old: &[Old], most: u32, snapshot: &Snapshot, learned: &Learned) -> Plan {
    let mut outlook = outlook.clone();
    let mut kept = 0;
    for calls in old {
        let count = calls.count.min(most - kept);
        let bound = snapshot.theta * KEEP_FACTOR;
        let (fits, _) = outlook.fitting(&calls.by, &calls.weight, bound, count);
        outlook.add(&calls.by, fits);
        kept += fits;
        if fits < calls.count {
            break;
        }
    }
    let (dial, classes, risk) = match &snapshot.by_lead {
        Some(leads) => {
            let (classes, risk) = by_lead::choose(&mut outlook, leads, learned, snapshot.theta);
            (classes.iter().sum(), Some(classes), risk)
        }
        None => {
            let (dial, risk) = outlook.largest(snapshot.theta);
            (dial, None, risk)
        }
    };
    Plan {
        kept,
        dial,
        classes,
        risk,
        soon: outlook.soon,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Busy, Decision, Mode, decide};
    use super::*;

    /// What so many calls have taught, one of `nth` answered after 10 s or so, the others never.
    fn learned(nth: u32) -> Learned {
        let mut rng = model::Rng::new(4);
        let mut learned = Learned::new(26.0);
        learned.refresh(0.0, &Snapshot::default());
        for n in 0..300 {
            match n % nth {
                0 => learned.answered(rng.log_normal(10.0, 0.53).clamp(1.5, 26.0)),
                _ => learned.failed(26.0),
            }
        }
        learned.refresh(28.0, &Snapshot::default());
        let share = learned.answer_share();
        assert!((share * f64::from(nth) - 1.0).abs() < 0.1, "{share}");
        learned
    }

    /// One agent is free, the others have just begun to talk, and one call has rung for so long.
    fn one_rings(agents: usize, seconds: f64, learned: &Learned) -> Decision {
        let step = (seconds / 0.5) as usize;
        let mut withdrawable = vec![0; step + 1];
        withdrawable[step] = 1;
        let snapshot = Snapshot {
            available: 1,
            busy: vec![Busy::OnCall(1.0); agents - 1],
            ringing: withdrawable.clone(),
            withdrawable,
            theta: 0.03,
            ..Snapshot::default()
        };
        decide(Mode::Predictive, &snapshot, learned)
    }

    #[test]
    fn a_call_that_rang_long_is_swapped_for_a_new_one_that_is_likelier_to_be_answered_soon() {
        let half = learned(2);
        let swapped = one_rings(5, 17.0, &half);
        assert_eq!((swapped.withdraw, swapped.dial), (1, 1));
        // One that is about to be answered is not.
        let kept = one_rings(5, 8.0, &half);
        assert_eq!((kept.withdraw, kept.dial), (0, 0));
    }

    #[test]
    fn no_lead_is_worn_out_for_a_new_call_that_brings_little() {
        let twentieth = learned(20);
        assert_eq!(one_rings(5, 17.0, &twentieth).withdraw, 0);
    }
}
