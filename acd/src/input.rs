//! What the ACD is told.

use model::event::OfferFailure;
use model::screen_pop::Direction;
use model::{AgentId, CallId, OfferId, QueueId, QueueOutcome, ReasonId, SkillId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A skill a call asks for, and how good the agent must be at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkillNeed {
    /// The skill.
    pub skill: SkillId,
    /// 1 (knows it) to 10 (master).
    pub level: u8,
}

/// A call that comes to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The call.
    pub call: CallId,
    /// Where it waits. Outbound calls wait in the queue named like their campaign.
    pub queue: QueueId,
    /// Who began the call; kept for the books.
    pub direction: Direction,
    /// Larger is served earlier; added to the queue's own priority.
    pub priority: i16,
    /// Needs beside those of the queue.
    pub skills: Vec<SkillNeed>,
    /// Try this agent first, for at most the queue's `preferred_agent_timeout_ms`.
    pub preferred: Option<AgentId>,
    /// Leave with outcome `timeout` after this wait, where it is shorter than the queue's rule: the
    /// two seconds of an answered dialler call. Once an offer was answered it no longer applies.
    pub give_up_after: Option<Duration>,
}

/// One thing the ACD is told.
#[allow(missing_docs, reason = "the fields are ids of what the variant names")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The agent begins work, not ready with the configured sign-in reason.
    SignIn { agent: AgentId },
    /// The agent ends work; pending while busy.
    SignOut { agent: AgentId },
    /// The agent wants calls; pending while busy, and ends wrap-up at once.
    SetReady { agent: AgentId },
    /// The agent wants no calls; pending while busy.
    SetNotReady { agent: AgentId, reason: ReasonId },
    /// The phone is registered (or answers again).
    PhoneReachable { agent: AgentId },
    /// The phone's registration or heartbeat is gone.
    PhoneLost { agent: AgentId },
    /// A call comes to wait.
    Enqueue(Visit),
    /// The caller hung up, waiting or in an offer.
    CallerLeft { call: CallId },
    /// The agent's phone answered the offer. The bridge follows.
    OfferAnswered { offer: OfferId },
    /// Caller and agent hear each other: the visit is answered.
    Bridged { offer: OfferId },
    /// The offer failed at the phone.
    OfferFailed { offer: OfferId, why: OfferFailure },
    /// The agent's part in the call is over; wrap-up begins.
    TalkEnded { agent: AgentId, call: CallId },
    /// The agent is done with after-call work.
    WrapUpEnded { agent: AgentId },
    /// The agent needs longer.
    WrapUpExtended { agent: AgentId, by: Duration },
    /// A preview takes an available agent (as in `Offered`); ignored if the agent is not available.
    Reserve { agent: AgentId, call: CallId },
    /// The preview ended without a call; the agent is available again with the idle rank unchanged.
    Release { agent: AgentId, call: CallId },
    /// The reserved agent's phone did not take the call: as after a failed offer of a queue that
    /// says `not_ready`, so that no second customer is called for a phone that does not answer.
    ReservedFailed {
        agent: AgentId,
        call: CallId,
        why: OfferFailure,
    },
    /// The reserved agent's call was bridged without a queue (preview).
    ReservedBridged { agent: AgentId, call: CallId },
    /// A supervisor, a rule or a failure takes a waiting call out.
    Remove { call: CallId, outcome: QueueOutcome },
    /// A supervisor opens or closes a queue; waiting calls stay and are served.
    SetQueueOpen { queue: QueueId, open: bool },
    /// A deadline is due.
    Tick,
}
