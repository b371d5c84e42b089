//! What the ACD waits for. Deadlines are returned to whoever drives the machine, never scheduled.

use model::{AgentId, CallId, OfferId};

/// Why the ACD wants a `Tick`. Of timers due at one instant the upper goes first: who may
/// serve a call is settled before an agent becomes free for it, and an agent who becomes free
/// serves a call before a rule takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// When to relax a call's skill demand by one ring.
    Widen(CallId),
    /// When to stop waiting for a call's preferred agent and ask everybody.
    PreferenceOver(CallId),
    /// When to end an agent's wrap-up.
    WrapUpOver(AgentId),
    /// When to take an offer back that nobody answered.
    RingTimeout(OfferId),
    /// When to give up on a bridge that did not follow its answer.
    BridgeOverdue(OfferId),
    /// When to take a call out that has waited as long as its rule allows.
    WaitOver(CallId),
    /// When to tell a caller where they stand.
    Announce(CallId),
}
