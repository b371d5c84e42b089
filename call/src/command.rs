//! What the engine wants done. Carried out first in first out.

use ivr::Piece;
use model::lead::LeadNext;
use model::{
    AgentId, AttemptId, AttemptOutcome, CallId, CampaignId, Cause, DispositionId, LeadId, LegId,
    ListId, LookupId, PhoneNumber, PlayId, RecordingId, ScreenPop, TrunkId, Utc,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the glossary's words")]
pub enum Command {
    /// Say 180 to an arrived leg.
    RingLeg { leg: LegId },
    /// Accept an arrived leg; its media begins.
    AnswerLeg { leg: LegId },
    /// Refuse an arrived leg.
    RejectLeg { leg: LegId, cause: Cause },
    /// Call a customer through a trunk. Answer with `LegRinging`, `LegAnswered`, `LegFailed`.
    DialCustomer {
        leg: LegId,
        call: CallId,
        trunk: TrunkId,
        number: PhoneNumber,
        caller_id: String,
        attempt: AttemptId,
        ring_timeout: Duration,
        classify: bool,
    },
    /// Call an agent's registered phone. `auto_answer` asks it to pick up by itself.
    DialAgent {
        leg: LegId,
        call: CallId,
        agent: AgentId,
        caller: String,
        caller_name: Option<String>,
        ring_timeout: Duration,
        auto_answer: bool,
    },
    /// End a leg in whatever state it is. Nothing is said about it afterwards.
    HangUpLeg { leg: LegId, cause: Cause },
    /// Give up a customer who has not answered. Answer with `LegFailed`, or with `LegAnswered` where they were
    /// faster: then the call is up.
    CancelLeg { leg: LegId, cause: Cause },
    /// Play to a leg. Replaces what is playing there.
    Play {
        leg: LegId,
        play: PlayId,
        pieces: Vec<Piece>,
        repeat: bool,
    },
    /// Stop what is playing.
    StopPlay { leg: LegId, play: PlayId },
    /// Let two legs hear each other.
    Bridge { a: LegId, b: LegId },
    /// Part them.
    Unbridge { a: LegId, b: LegId },
    /// Begin a two-channel recording: customer left, agent right.
    StartRecording {
        recording: RecordingId,
        call: CallId,
        customer: LegId,
        agent: LegId,
    },
    /// End it. Answer with `RecordingWritten` or `RecordingFailed`.
    StopRecording { recording: RecordingId },
    /// Tell the agent's screen. Answer with `ScreenPopped` once it is written to the socket, at once
    /// where there is none.
    PopScreen(Box<ScreenPop>),
    /// Ask a data source for a flow.
    Lookup {
        lookup: LookupId,
        call: CallId,
        source: String,
        parameters: BTreeMap<String, String>,
        timeout: Duration,
    },
    /// Find leads.
    FetchLeads {
        campaign: CampaignId,
        lists: Vec<ListId>,
        count: u32,
    },
    /// Find or make the lead of a number that an agent calls by hand, and hold it. Answer with
    /// `LeadAdded`.
    AddLead {
        agent: AgentId,
        campaign: CampaignId,
        number: PhoneNumber,
    },
    /// Claim a lead durably. `call` is the call it will become.
    Claim {
        attempt: AttemptId,
        call: CallId,
        campaign: CampaignId,
        lead: LeadId,
        list: ListId,
        number: PhoneNumber,
    },
    /// Store how an attempt ended and what becomes of its lead.
    Resolve {
        attempt: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        outcome: AttemptOutcome,
        next: LeadNext,
    },
    /// Keep what pacing has learned of a campaign, for the next start.
    SaveLearned {
        campaign: CampaignId,
        state: Box<dialer::pacing::LearnedState>,
    },
    /// Keep what was counted in a quota, for the next start; leads of a full one are not wanted.
    SaveQuota(dialer::quota::QuotaCount),
    /// Hand leads back.
    ReturnLeads {
        campaign: CampaignId,
        leads: Vec<LeadId>,
    },
    /// Store a disposition, and what the agent promised with it.
    StoreDisposition {
        call: CallId,
        agent: AgentId,
        lead: Option<LeadId>,
        disposition: DispositionId,
        note: Option<String>,
        callback_at: Option<Utc>,
    },
    /// Store a number that is never to be called again.
    StoreDoNotCall { number: PhoneNumber },
}
