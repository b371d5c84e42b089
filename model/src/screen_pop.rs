//! What the agent's screen shows before the phone rings.

use crate::{AgentId, AttemptId, CallId, CampaignId, FlowId, Lead, OfferId, QueueId, SkillId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The notice that a call is about to reach an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScreenPop {
    /// The offer it announces; one pop per offer and phase.
    pub offer: OfferId,
    /// Who gets it.
    pub agent: AgentId,
    /// Which call.
    pub call: CallId,
    /// In which part of the call.
    pub phase: PopPhase,
    /// Who called whom.
    pub direction: Direction,
    /// The customer's number or SIP user, as received or dialled.
    pub caller: String,
    /// The customer's display name, control characters stripped.
    pub caller_name: Option<String>,
    /// The number the caller dialled, or the caller ID we sent.
    pub called: String,
    /// The queue the call waited in.
    pub queue: Option<QueueId>,
    /// The campaign that dialled.
    pub campaign: Option<CampaignId>,
    /// The attempt, for outbound.
    pub attempt: Option<AttemptId>,
    /// Larger is served earlier.
    pub priority: i16,
    /// How long the call waited, in µs.
    pub waited_us: u64,
    /// What the call asked for.
    pub skills: Vec<SkillId>,
    /// The flow that handled the call.
    pub flow: Option<FlowId>,
    /// The nodes the caller went through, in order.
    pub ivr_path: Vec<String>,
    /// Variables of the flow; never a sensitive one.
    pub variables: BTreeMap<String, String>,
    /// The lead, for outbound.
    pub lead: Option<Box<Lead>>,
    /// Matches of the CRM, filled in by the adapter.
    pub matches: Vec<CrmMatch>,
    /// What the agent's browser should open, where the CRM adapter knows.
    pub open_url: Option<String>,
}

/// When a pop is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PopPhase {
    /// Before the agent's phone rings.
    Offer,
    /// The agent answered.
    Answer,
    /// The agent looks at a lead before it is dialled.
    Preview,
}

/// Who began the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The customer called us.
    Inbound,
    /// We called the customer.
    Outbound,
}

/// A record of the CRM that fits the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrmMatch {
    /// The CRM's key of the record.
    pub key: String,
    /// What to show.
    pub title: String,
    /// Where to open it.
    pub url: Option<String>,
}
