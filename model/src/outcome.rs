//! How a queue visit and a dialling attempt end: exactly one outcome each.

use serde::{Deserialize, Serialize};

macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }
        impl $name {
            /// Every outcome, in the order of the books.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            /// The name in events, metrics and the store.
            pub fn name(&self) -> &'static str { match self { $($name::$variant => $text),* } }
            /// The outcome of that name.
            pub fn from_name(name: &str) -> Option<$name> { match name { $($text => Some($name::$variant),)* _ => None } }
        }
    };
}

outcomes! {
    /// How a visit to a queue ended.
    QueueOutcome {
        /// Bridged to an agent.
        Answered = "answered",
        /// The caller left while waiting.
        Abandoned = "abandoned",
        /// Overflow or transfer out.
        FlowOut = "flow_out",
        /// Waited as long as the rule allows.
        Timeout = "timeout",
        /// Took a callback instead of waiting.
        CallbackTaken = "callback_taken",
        /// Closed, full or nobody signed in at entry.
        Refused = "refused",
        /// Taken out by a supervisor or the API.
        Removed = "removed",
        /// We failed.
        SystemFailed = "system_failed",
    }
}

outcomes! {
    /// How an attempt ended.
    AttemptOutcome {
        /// Bridged to an agent.
        AnsweredAgent = "answered_agent",
        /// Answered by a person, no agent in time.
        Abandoned = "abandoned",
        /// A person heard a flow, or the beginning of it, and asked for no agent.
        Messaged = "messaged",
        /// Judged a machine.
        Machine = "machine",
        /// Rang out.
        NoAnswer = "no_answer",
        /// Busy.
        Busy = "busy",
        /// Refused by the network or the carrier.
        Failed = "failed",
        /// The number does not exist.
        DisconnectedNumber = "disconnected_number",
        /// Given up by us before an answer.
        Cancelled = "cancelled",
        /// Forbidden by a rule; never dialled.
        Blocked = "blocked",
        /// Claimed before a crash, end unknown; counted as dialled.
        UnknownRestart = "unknown_restart",
        /// A fax or modem answered.
        Fax = "fax",
    }
}

impl AttemptOutcome {
    /// Whether a live person answered: L of the abandon rate, which is X ÷ L.
    pub fn is_live_answer(&self) -> bool {
        matches!(
            self,
            AttemptOutcome::AnsweredAgent | AttemptOutcome::Abandoned | AttemptOutcome::Messaged
        )
    }
}
