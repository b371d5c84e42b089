//! The call detail record: what one call came to, folded from its events and nothing else.
//!
//! [`CdrFold`] is handed every event in order. It gives a call's [`Cdr`] once the customer's part,
//! every leg and (outbound) the attempt are over, and gives it once more when a recording of that
//! call reaches the disk later; whoever keeps records replaces the earlier one by its call.
//! Wrap-up and dispositions come later still and are records of their own.

mod fold;

pub use fold::CdrFold;

use crate::event::{Attestation, FlowEnd, Party, Role, Verdict};
use crate::heard::Tone;
use crate::screen_pop::Direction;
use crate::{
    AgentId, AttemptId, AttemptOutcome, CallId, CampaignId, Cause, FlowId, LeadId, LegId, QueueId,
    QueueOutcome, RecordingId, TrunkId, Utc,
};
use serde::{Deserialize, Serialize};

/// Nodes of a flow kept in one record. A caller who loops through a menu longer than this has told
/// his story; the bound keeps a hostile caller from growing the record without end.
pub const IVR_PATH_MAX: usize = 256;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", content = "outcome", rename_all = "snake_case")]
pub enum CallOutcome {
    /// Outbound: how the attempt ended.
    Attempt(AttemptOutcome),
    /// Inbound: how the last visit to a queue ended.
    Visit(QueueOutcome),
    /// Inbound, never queued: how the flow ended.
    Flow(FlowEnd),
    /// Inbound, neither flow nor queue.
    Unhandled,
    /// The engine ended before the call did.
    UnknownRestart,
}

impl CallOutcome {
    /// The name in the store and the metrics.
    pub fn name(&self) -> &'static str {
        match self {
            CallOutcome::Attempt(outcome) => outcome.name(),
            CallOutcome::Visit(outcome) => outcome.name(),
            CallOutcome::Flow(FlowEnd::Queued) => "ivr_queued",
            CallOutcome::Flow(FlowEnd::HungUp) => "ivr_completed",
            CallOutcome::Flow(FlowEnd::CallerLeft) => "ivr_abandoned",
            CallOutcome::Flow(FlowEnd::Failed) => "ivr_failed",
            CallOutcome::Unhandled => "unhandled",
            CallOutcome::UnknownRestart => "unknown_restart",
        }
    }
}

/// One visit to one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrVisit {
    /// Where.
    pub queue: QueueId,
    /// When it began.
    pub entered: Utc,
    /// How long it took, in µs: enqueue to bridge or leave.
    pub waited_us: u64,
    /// How it ended; none while it lasts.
    pub outcome: Option<QueueOutcome>,
}

/// One leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrLeg {
    /// Which.
    pub leg: LegId,
    /// Whose.
    pub role: Role,
    /// When it began.
    pub started: Utc,
    /// When it was answered.
    pub answered: Option<Utc>,
    /// When it ended.
    pub ended: Option<Utc>,
    /// Why it ended.
    pub cause: Option<Cause>,
}

/// One recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CdrRecording {
    /// Which.
    pub recording: RecordingId,
    /// The file, once it is written.
    pub file: Option<String>,
    /// Its length in seconds; 0 until it is written.
    pub seconds: f64,
}

/// The record of one call. Durations are µs of the monotonic clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdr {
    /// Which call.
    pub call: CallId,
    /// Who began it.
    pub direction: Direction,
    /// The customer's number or SIP user.
    pub caller: String,
    /// What the customer dialled, or the caller ID we showed.
    pub called: String,
    /// The carrier link; unknown for a call of a process that died.
    pub trunk: Option<TrunkId>,
    /// How the caller ID is attested, where that is known; never verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
    /// The campaign, for outbound.
    pub campaign: Option<CampaignId>,
    /// The attempt, for outbound.
    pub attempt: Option<AttemptId>,
    /// The lead, for outbound.
    pub lead: Option<LeadId>,
    /// First sign of the call.
    pub started: Utc,
    /// The customer's leg was answered.
    pub answered: Option<Utc>,
    /// Customer and agent first heard each other.
    pub bridged: Option<Utc>,
    /// The customer's part was over.
    pub ended: Utc,
    /// Start to answer, or to the end where nobody answered.
    pub ring_us: u64,
    /// In flows.
    pub ivr_us: u64,
    /// In queues.
    pub wait_us: u64,
    /// Bridged, without hold.
    pub talk_us: u64,
    /// On hold while bridged.
    pub hold_us: u64,
    /// Start to end.
    pub duration_us: u64,
    /// Agents who talked, in order, each once.
    pub agents: Vec<AgentId>,
    /// Visits to queues, in order.
    pub visits: Vec<CdrVisit>,
    /// The flow entered first.
    pub flow: Option<FlowId>,
    /// Nodes reached, in order, at most [`IVR_PATH_MAX`].
    pub ivr_path: Vec<String>,
    /// Person or machine, where that was asked.
    pub verdict: Option<Verdict>,
    /// The tone of the network or of a fax machine that was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tone: Option<Tone>,
    /// What it came to.
    pub outcome: CallOutcome,
    /// Why the customer's part ended.
    pub cause: Cause,
    /// Who ended it.
    pub by: Party,
    /// Recordings, in order.
    pub recordings: Vec<CdrRecording>,
    /// Every leg, in order.
    pub legs: Vec<CdrLeg>,
}

impl Cdr {
    /// The record of a claimed attempt whose process died before it ended: counted as dialled, all
    /// that is known is who was to be called, when, and for whom.
    #[allow(
        clippy::too_many_arguments,
        reason = "one argument per known field of the record"
    )]
    pub fn unknown_restart(
        call: CallId,
        campaign: CampaignId,
        attempt: AttemptId,
        lead: LeadId,
        number: String,
        started: Utc,
        ended: Utc,
    ) -> Cdr {
        Cdr {
            campaign: Some(campaign),
            attempt: Some(attempt),
            lead: Some(lead),
            ended,
            outcome: CallOutcome::UnknownRestart,
            cause: Cause::SystemFailed,
            ..Cdr::begun(
                call,
                Direction::Outbound,
                number,
                String::new(),
                None,
                started,
            )
        }
    }

    fn begun(
        call: CallId,
        direction: Direction,
        caller: String,
        called: String,
        trunk: Option<TrunkId>,
        started: Utc,
    ) -> Cdr {
        Cdr {
            call,
            direction,
            caller,
            called,
            trunk,
            attestation: None,
            campaign: None,
            attempt: None,
            lead: None,
            started,
            answered: None,
            bridged: None,
            ended: started,
            ring_us: 0,
            ivr_us: 0,
            wait_us: 0,
            talk_us: 0,
            hold_us: 0,
            duration_us: 0,
            agents: Vec::new(),
            visits: Vec::new(),
            flow: None,
            ivr_path: Vec::new(),
            verdict: None,
            tone: None,
            outcome: CallOutcome::Unhandled,
            cause: Cause::Normal,
            by: Party::System,
            recordings: Vec::new(),
            legs: Vec::new(),
        }
    }
}
