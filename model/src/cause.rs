//! Why a leg or a call ended, independent of the signalling, with its Q.850 and SIP faces.

use serde::{Deserialize, Serialize};

/// Why a leg ended or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A party hung up.
    Normal,
    /// The called party is busy.
    Busy,
    /// It rang, nobody answered.
    NoAnswer,
    /// The called party refused.
    Rejected,
    /// The number does not exist or no longer does.
    Unallocated,
    /// Nothing is reachable there now.
    Unreachable,
    /// The network or the carrier has no room.
    Congestion,
    /// No common codec.
    MediaUnsupported,
    /// We gave the ringing leg up.
    Cancelled,
    /// Another agent took the call.
    AnsweredElsewhere,
    /// The peer stopped answering on SIP.
    SignallingLost,
    /// The peer's RTP stopped.
    MediaLost,
    /// Who calls may not.
    Forbidden,
    /// We failed.
    SystemFailed,
    /// We are shutting down.
    Shutdown,
}

impl Cause {
    /// The cause of a final SIP status (RFC 3261 §21, RFC 3398 §7.2.4.1 where it maps).
    pub fn from_sip_status(status: u16) -> Cause {
        match status {
            200..=299 => Cause::Normal,
            401 | 403 | 407 => Cause::Forbidden,
            404 | 410 | 484 | 485 | 604 => Cause::Unallocated,
            408 | 480 => Cause::NoAnswer,
            486 | 600 => Cause::Busy,
            487 => Cause::Cancelled,
            415 | 488 | 606 => Cause::MediaUnsupported,
            433 | 603 | 607 | 608 => Cause::Rejected,
            500 | 503 | 504 => Cause::Congestion,
            502 => Cause::Unreachable,
            _ => Cause::SystemFailed,
        }
    }

    /// The final status that refuses an INVITE for this cause.
    pub fn sip_status(self) -> u16 {
        match self {
            Cause::Normal => 480,
            Cause::Busy => 486,
            Cause::NoAnswer => 480,
            Cause::Rejected => 603,
            Cause::Unallocated => 404,
            Cause::Unreachable => 480,
            Cause::Congestion => 503,
            Cause::MediaUnsupported => 488,
            Cause::Cancelled => 487,
            Cause::AnsweredElsewhere => 487,
            Cause::SignallingLost => 408,
            Cause::MediaLost => 408,
            Cause::Forbidden => 403,
            Cause::SystemFailed => 500,
            Cause::Shutdown => 503,
        }
    }

    /// The Q.850 value for a Reason header (RFC 3326, ITU-T Q.850 table 1).
    pub fn q850(self) -> u8 {
        match self {
            Cause::Normal => 16,
            Cause::Busy => 17,
            Cause::NoAnswer => 19,
            Cause::Rejected => 21,
            Cause::Unallocated => 1,
            Cause::Unreachable => 20,
            Cause::Congestion => 34,
            Cause::MediaUnsupported => 88,
            Cause::Cancelled => 16,
            Cause::AnsweredElsewhere => 26,
            Cause::SignallingLost => 102,
            Cause::MediaLost => 27,
            Cause::Forbidden => 57,
            Cause::SystemFailed => 41,
            Cause::Shutdown => 42,
        }
    }

    /// The name in events and records.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Normal => "normal",
            Cause::Busy => "busy",
            Cause::NoAnswer => "no_answer",
            Cause::Rejected => "rejected",
            Cause::Unallocated => "unallocated",
            Cause::Unreachable => "unreachable",
            Cause::Congestion => "congestion",
            Cause::MediaUnsupported => "media_unsupported",
            Cause::Cancelled => "cancelled",
            Cause::AnsweredElsewhere => "answered_elsewhere",
            Cause::SignallingLost => "signalling_lost",
            Cause::MediaLost => "media_lost",
            Cause::Forbidden => "forbidden",
            Cause::SystemFailed => "system_failed",
            Cause::Shutdown => "shutdown",
        }
    }
}
