//! What an agent is doing, as routing, pacing, metrics and the API see it.

use crate::{CallId, ReasonId};
use serde::{Deserialize, Serialize};

/// Exactly one at any time; the durations tile an agent's signed-in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "of", rename_all = "snake_case")]
pub enum AgentState {
    /// Not at work.
    SignedOut,
    /// At work, not taking calls, for this reason.
    NotReady(ReasonId),
    /// Idle and waiting for a call.
    Available,
    /// Ringing, or looking at a preview, for this call. Neither idle nor handling.
    Offered(CallId),
    /// Talking, holding or consulting.
    OnCall(CallId),
    /// After-call work for this call.
    WrapUp(CallId),
    /// Signed in, but the phone's registration or heartbeat is gone.
    Unreachable,
}

impl AgentState {
    /// The name in metrics and API: `signed_out`, `not_ready`, …
    pub fn name(&self) -> &'static str {
        match self {
            AgentState::SignedOut => "signed_out",
            AgentState::NotReady(_) => "not_ready",
            AgentState::Available => "available",
            AgentState::Offered(_) => "offered",
            AgentState::OnCall(_) => "on_call",
            AgentState::WrapUp(_) => "wrap_up",
            AgentState::Unreachable => "unreachable",
        }
    }

    /// The call this state is about.
    pub fn call(&self) -> Option<CallId> {
        match *self {
            AgentState::Offered(call) | AgentState::OnCall(call) | AgentState::WrapUp(call) => {
                Some(call)
            }
            AgentState::SignedOut
            | AgentState::NotReady(_)
            | AgentState::Available
            | AgentState::Unreachable => None,
        }
    }

    /// Talk, hold and wrap-up: the numerator of occupancy and utilisation.
    pub fn is_handling(&self) -> bool {
        matches!(self, AgentState::OnCall(_) | AgentState::WrapUp(_))
    }
}
