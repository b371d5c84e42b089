//! What happens of itself in the world, in the order of time, and who is at the far end of a leg.

use call::Command;
use call::Input;
use call::input::AgentAction;
use model::{AttemptId, CallId, CampaignId, LegId, Mono, PlayId};
use std::cmp::Ordering;

/// What happens of itself, later.
#[derive(Clone, Debug)]
pub(crate) enum Happens {
    /// A fact arrives at the engine.
    Tell(Box<Input>),
    /// A command arrives where it is carried out.
    Carry(Box<Command>),
    /// A customer calls.
    CallerArrives,
    /// A called customer's phone rings, answers or fails.
    CarrierRings(LegId),
    CarrierAnswers(LegId),
    CarrierFails(LegId, model::Cause),
    CarrierClassifies(LegId, model::event::Verdict),
    /// Whoever answered is heard to speak, or to have spoken, until so many ms after the answer.
    CarrierSpeaks(LegId, Option<u32>),
    /// A customer hangs up, unless something happened since (`epoch`).
    CustomerHangsUp(LegId, u32),
    PressesDigit(LegId, char),
    PromptEnds(LegId, PlayId),
    /// An agent's phone answers, refuses.
    PhoneAnswers(LegId),
    PhoneFails(LegId, model::Cause),
    /// An agent acts on the call of this leg, if it still lives.
    AgentOnCall(LegId, AgentAction),
    AgentHangsUp(LegId),
    AgentWrapsUp(usize, u32),
    AgentWhim(usize),
    AgentLeaves(usize),
    AgentSignsIn(usize),
    PhoneBack(usize),
    /// The process is killed; starts again.
    Crash,
    Restart,
    EndOfShift,
    EndOfDrain,
}

pub(crate) struct Entry {
    pub at: Mono,
    pub order: u64,
    pub what: Happens,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.order == other.order
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    /// The earliest is the greatest, as a heap gives the greatest first.
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// The far end of a leg.
#[derive(Clone, Debug)]
pub(crate) struct Far {
    pub call: Option<CallId>,
    /// The agent whose phone it is; a customer otherwise.
    pub agent: Option<usize>,
    pub up: bool,
    pub outbound: bool,
    /// Of a called customer: for which attempt, of which campaign, and whether a machine answered.
    pub attempt: Option<AttemptId>,
    pub campaign: Option<CampaignId>,
    pub machine: bool,
    /// Whether a talk was begun, and how often the plans of the person changed.
    pub talked: bool,
    pub epoch: u32,
    pub playing: Option<PlayId>,
    /// A recorded voice will speak first.
    pub voice: bool,
    /// The dialler's caller is being told that nobody is there.
    pub classify: bool,
    /// When the last fact of this leg arrives.
    pub facts_until: Mono,
}

impl Far {
    pub fn new(call: Option<CallId>, agent: Option<usize>, outbound: bool) -> Far {
        Far {
            call,
            agent,
            up: false,
            outbound,
            attempt: None,
            campaign: None,
            machine: false,
            talked: false,
            epoch: 0,
            playing: None,
            voice: false,
            classify: false,
            facts_until: Mono::ZERO,
        }
    }
}
