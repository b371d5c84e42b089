//! What a party of the lab does with a call.

use std::time::Duration;

/// What a station does with a call that arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum Answering {
    /// Rings, then answers and follows the script.
    Answer {
        /// From the INVITE to the 200.
        after: Duration,
        /// What follows.
        script: Script,
    },
    /// Rings until the caller gives up.
    RingOut,
    /// Says no with this status.
    Refuse {
        /// From the INVITE to the refusal.
        after: Duration,
        /// 486, 603, 404, 503…
        status: u16,
    },
}

/// What a party does once the call is up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// Key presses, each so long after the answer, by RFC 4733.
    pub digits: Vec<(Duration, char)>,
    /// Hangs up so long after the answer, come what may.
    pub hang_up_after: Option<Duration>,
    /// Hangs up so long after the answer unless it has heard `listen_hz` by then.
    pub patience: Option<Duration>,
    /// The tone it sends, in Hz; 0 is silence.
    pub tone_hz: u16,
    /// The tone of the party it wants to hear; 0 for none.
    pub listen_hz: u16,
}
