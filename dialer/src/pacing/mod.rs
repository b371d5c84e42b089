//! How many calls to dial now.
//!
//! A pure function of a [`Snapshot`] and of what was [`Learned`]: no clock, no lead, no law. The
//! machine cuts the number down to the lines, leads and rules it has, never up.

mod agentless;
mod answer_share;
mod by_lead;
mod governor;
mod lead_model;
mod learned;
mod plan;
mod power;
mod predictive;
mod preview;
mod progressive;
mod ring;
mod taken;

pub use agentless::{AskShares, Asks};
pub use by_lead::{ByLead, ClassCalls};
pub use governor::{Governor, burst};
pub use lead_model::{CLASSES, LeadModel, LeadState};
pub(crate) use lead_model::{Came, LeadKind};
pub use learned::{BIN_S, Busy, HORIZON_BINS, LEARNED_VERSION, Learned, LearnedState};
pub use predictive::risk_of;
pub use ring::{RING_POINTS, RING_STEP_S, RingCurve};
pub use taken::Taken;

use model::event::{Mode, PacingLimit};

/// What is going on in a campaign at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Agents who could take a call now.
    pub available: u32,
    /// Agents at work, and for how long.
    pub busy: Vec<Busy>,
    /// Calls dialled and not yet answered, by how long since, in steps of [`RING_STEP_S`].
    pub ringing: Vec<u32>,
    /// Those of `ringing` that have rung so long that they may be given up, by the same steps.
    pub withdrawable: Vec<u32>,
    /// Calls that ring and are not in `ringing`: claims under way.
    pub claiming: u32,
    /// Answered and waiting for an agent.
    pub waiting: u32,
    /// Answered and hearing a flow; most of them will ask for nobody.
    pub in_flow: u32,
    /// Which part of the calls asks for an agent, where a flow speaks and may offer one.
    pub asks: Option<AskShares>,
    /// Calls in flight of other campaigns that will ask for the same agents, by age as above, each
    /// with the share of it that falls on these agents.
    pub competing: Vec<f64>,
    /// Agents taken per second by calls that the dialer did not place.
    pub taken_per_second: f64,
    /// Where others take the agents as well, no call is dialled that is likelier to be abandoned: it
    /// would make the rate worse, not better.
    pub floor_risk: f64,
    /// The largest chance of being abandoned that the next call may have.
    pub theta: f64,
    /// The abandonment budget is spent: no more than progressive.
    pub guarded: bool,
    /// More was abandoned than the limit allows.
    pub overspent: bool,
    /// Calls per available agent, for power.
    pub power_level: f64,
    /// The same calls and the waiting leads by class, where pacing goes by each lead.
    pub by_lead: Option<Box<ByLead>>,
}

impl Snapshot {
    /// Agents who are signed in, whether free or at work.
    pub fn signed_in(&self) -> usize {
        self.available as usize + self.busy.len()
    }

    /// Calls of this campaign that have no agent yet.
    pub fn in_flight(&self) -> u32 {
        self.ringing.iter().sum::<u32>() + self.claiming + self.waiting + self.in_flow
    }

    /// Whether an agent who is free now may be taken by somebody else before a call is answered.
    fn is_contended(&self) -> bool {
        self.taken_per_second > 0.0 || !self.competing.is_empty()
    }

    /// Calls that will ask for these agents, those of other campaigns included.
    fn demand(&self) -> u32 {
        self.in_flight() + self.competing.iter().sum::<f64>().ceil() as u32
    }
}

/// How many calls to dial, and why not more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Dial so many now.
    pub dial: u32,
    /// Give up so many of the calls that may be, those that have rung longest.
    pub withdraw: u32,
    /// Answers expected of the calls in flight, before this decision.
    pub expected_answers: f64,
    /// Agents expected to be free within the time a call dialled now rings on average.
    pub expected_free: f64,
    /// The chance that one more call would be abandoned, where the mode asks.
    pub risk: f64,
    /// What kept it from being more.
    pub limited_by: PacingLimit,
    /// Of which class of leads, where pacing goes by each lead.
    pub classes: Option<[u32; CLASSES]>,
}

/// Decides by the mode's rule.
pub fn decide(mode: Mode, snapshot: &Snapshot, learned: &Learned) -> Decision {
    match mode {
        Mode::Preview => preview::decide(snapshot),
        Mode::Progressive => spent(progressive::decide(snapshot), snapshot, learned),
        Mode::Power => spent(power::decide(snapshot), snapshot, learned),
        Mode::Predictive => predictive::decide(snapshot, learned),
        Mode::Agentless => agentless::decide(snapshot, learned),
    }
}

/// A budget that others help to overspend: an agent who is free now is no promise.
fn spent(mut decision: Decision, snapshot: &Snapshot, learned: &Learned) -> Decision {
    if snapshot.overspent {
        decision.dial = predictive::contended(decision.dial, snapshot, learned);
    }
    decision
}
