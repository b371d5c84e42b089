//! What the ACD wants done.

use model::event::Withdrawal;
use model::{AgentId, AgentState, CallId, OfferId, QueueId, QueueOutcome};
use std::time::Duration;

/// One thing to do.
#[allow(missing_docs, reason = "the fields are ids of what the variant names")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Bring this call to this agent: screen pop, then the phone. Answer with `OfferAnswered` and
    /// `Bridged`, or with `OfferFailed` (no later than `ring_timeout`, which is the ACD's to watch).
    OfferAgent {
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        queue: QueueId,
        ring_timeout: Duration,
        waited: Duration,
    },
    /// Stop ringing this agent.
    WithdrawOffer {
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        why: Withdrawal,
    },
    /// The call no longer waits here. `Answered` is not told this way: the bridge itself says it.
    Leave {
        call: CallId,
        queue: QueueId,
        outcome: QueueOutcome,
        next: Next,
    },
    /// An agent is in another state since now. For the dialer's pacing and the API.
    AgentChanged { agent: AgentId, is: AgentState },
    /// Tell the caller where they stand. `estimated_wait` is an upper bound already rounded.
    Announce {
        call: CallId,
        queue: QueueId,
        position: u32,
        estimated_wait: Option<Duration>,
    },
}

/// Where a call goes that leaves a queue without an agent.
#[allow(missing_docs, reason = "the variant names what its field holds")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The caller is gone, or whoever removed it knows.
    Nowhere,
    /// To another queue, with the wait so far counted.
    Queue(QueueId),
    /// To a flow of this name.
    Flow(model::FlowId),
    /// Hang up after this prompt.
    HangUp { prompt: Option<String> },
}
