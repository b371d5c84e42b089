//! Pacing by each lead's own chance: which leads to dial, and how many.
//!
//! As in [`predictive`](super::predictive), a call is dialled while its chance of being abandoned is
//! under θ. What is new is the order: likely leads where one answer more or less decides whether
//! somebody waits in vain, unlikely ones where it does not. It is handed classes and counts and never
//! sees a lead.

use super::lead_model::{CLASSES, at_odds};
use super::predictive::{DIALS_MAX, Lanes, Outlook};
use super::{Learned, Snapshot};

/// Calls in flight of one class of leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassCalls {
    /// As [`Snapshot::claiming`].
    pub claiming: u32,
    /// As [`Snapshot::ringing`].
    pub ringing: Vec<u32>,
    /// As [`Snapshot::withdrawable`].
    pub withdrawable: Vec<u32>,
}

/// What pacing by lead is handed beside the snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByLead {
    /// Calls in flight by class; together those of the snapshot.
    pub calls: [ClassCalls; CLASSES],
    /// Classes of the leads that go first whatever they are: callbacks, and those passed over for long.
    pub first: Vec<u8>,
    /// Leads to choose among, by class.
    pub waiting: [u32; CLASSES],
}

/// Calls in flight that are alike: the odds of their answer, claims, and those that ring by age.
pub(super) struct Calls<'a> {
    pub(super) odds: f64,
    pub(super) claiming: u32,
    pub(super) ringing: &'a [u32],
    pub(super) withdrawable: &'a [u32],
}

/// The calls in flight, by class where leads differ; likely ones first.
pub(super) fn calls<'a>(snapshot: &'a Snapshot, learned: &Learned) -> Vec<Calls<'a>> {
    match (&snapshot.by_lead, learned.leads()) {
        (Some(by_lead), Some(leads)) => (by_lead.calls.iter().zip(leads.odds()).rev())
            .map(|(calls, odds)| Calls {
                odds: *odds,
                claiming: calls.claiming,
                ringing: &calls.ringing,
                withdrawable: &calls.withdrawable,
            })
            .collect(),
        (Some(_) | None, _) => vec![Calls {
            odds: 1.0,
            claiming: snapshot.claiming,
            ringing: &snapshot.ringing,
            withdrawable: &snapshot.withdrawable,
        }],
    }
}

/// How many leads of which class to dial, and the chance that one more would be abandoned.
pub(super) fn choose(
    outlook: &mut Outlook,
    by_lead: &ByLead,
    learned: &Learned,
    theta: f64,
) -> ([u32; CLASSES], f64) {
    let mut picks = [0; CLASSES];
    let odds = learned.leads().map_or([1.0; CLASSES], |leads| *leads.odds());
    let kinds = odds.map(|odds| outlook.new_call(learned, odds));
    let mut risk = 0.0;
    for &class in &by_lead.first {
        let class = usize::from(class).min(CLASSES - 1);
        let (by, weight) = &kinds[class];
        let fits;
        (fits, risk) = outlook.fitting(by, weight, theta, 1);
        if fits == 0 {
            return (picks, risk);
        }
        outlook.add(by, 1);
        picks[class] += 1;
    }
    let mut left = DIALS_MAX.saturating_sub(picks.iter().sum());
    let likely_first = match super::tune(0, 0.0) as u32 {
        0 => true,
        1 => false,
        _ => outlook.edge(&kinds[CLASSES - 1].1) > super::tune(1, 0.1),
    };
    let order: Vec<usize> = if likely_first {
        (0..CLASSES).rev().collect()
    } else {
        (0..CLASSES).collect()
    };
    for class in order {
        let most = by_lead.waiting[class].min(left);
        if most == 0 {
            continue;
        }
        let (by, weight) = &kinds[class];
        let fits;
        (fits, risk) = outlook.fitting(by, weight, theta, most);
        outlook.add(by, fits);
        picks[class] += fits;
        left -= fits;
        if fits < most {
            break;
        }
    }
    (picks, risk)
}

/// The same share for a lead of these odds.
pub(super) fn share_of(p: f64, odds: f64) -> f64 {
    at_odds(p, odds).min(0.98)
}

/// An answer that is sure to come.
pub(super) const SURE: Lanes = [1.0; super::predictive::LANES];
