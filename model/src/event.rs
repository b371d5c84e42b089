//! The one stream: everything that happens, typed, numbered without gaps, in one order.
//!
//! A machine states a [`Fact`]; the engine stamps it into an [`Event`]. The CDR, the books, the
//! metrics, the screen of a supervisor and every webhook are folds over events; nothing else is
//! ever consulted. Facts carry personal data where the story needs it: a consumer that logs must mask.

use crate::heard::{Evidence, Tone};
use crate::screen_pop::{Direction, PopPhase};
use crate::{
    AgentId, AgentState, AttemptId, AttemptOutcome, CallId, CampaignId, Cause, DispositionId,
    FlowId, LeadId, LegId, ListId, Now, OfferId, PhoneNumber, QueueId, QueueOutcome, ReasonId,
    RecordingId, SkillId, TrunkId, Utc,
};
use serde::{Deserialize, Serialize};

/// A fact with its place in the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// From 1 within a boot, without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Now,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Who ended a call or leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The customer.
    Customer,
    /// The agent.
    Agent,
    /// Tandem, by flow, rule or failure.
    System,
}

/// Which party a leg belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The customer's side, through a trunk.
    Customer,
    /// An agent's phone.
    Agent,
}

/// Why an offer did not become a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferFailure {
    /// Rang out: RONA.
    Timeout,
    /// The agent declined.
    Rejected,
    /// The phone could not be reached.
    Unreachable,
    /// The agent left while it rang.
    AgentGone,
}

/// Why an offer was taken back, through no fault of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// The caller hung up.
    CallerLeft,
    /// Another agent answered.
    AnsweredElsewhere,
    /// The call left the queue by rule or by hand.
    CallRemoved,
}

/// Who or what is at the other end: person or machine, or the network itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A person answered.
    Person,
    /// Nothing was certain in time: treated as a person.
    Unsure,
    /// A machine answered.
    Machine,
    /// A fax or modem answered.
    Fax,
    /// The engaged tone is heard.
    Busy,
    /// The congestion tone is heard.
    Reorder,
    /// A special information tone is heard; `tone` says which.
    Sit,
    /// A dial tone is heard: nobody is there any more.
    DialTone,
}

impl Verdict {
    /// Whether it is treated as a person.
    pub fn is_person(self) -> bool {
        match self {
            Verdict::Person | Verdict::Unsure => true,
            Verdict::Machine
            | Verdict::Fax
            | Verdict::Busy
            | Verdict::Reorder
            | Verdict::Sit
            | Verdict::DialTone => false,
        }
    }
}

/// What a flow handed the call to when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowEnd {
    /// To a queue.
    Queued,
    /// The flow hung up.
    HungUp,
    /// The caller hung up.
    CallerLeft,
    /// A bound on steps or time, or a failed lookup without a branch.
    Failed,
}

/// How a campaign dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The agent sees the lead first.
    Preview,
    /// One call per available agent.
    Progressive,
    /// A fixed ratio of calls per available agent.
    Power,
    /// Paced by what agents and calls in flight are expected to do.
    Predictive,
    /// A flow speaks with whoever answers; an agent comes in only where the flow asks for one.
    Agentless,
}

/// What kept a pacing decision from dialling more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacingLimit {
    /// The next call's chance of being abandoned.
    Risk,
    /// The abandonment budget's hard guard: progressive for now.
    Budget,
    /// Lines or calls per second of the carrier.
    Lines,
    /// No lead ready.
    Leads,
    /// No agent signed in or available.
    Agents,
    /// The mode's own rule: preview, progressive, power.
    Rule,
    /// The store cannot take claims.
    Store,
}

impl PacingLimit {
    /// The same as a sentence for people, to stand after "why not more".
    pub fn because(self) -> &'static str {
        match self {
            PacingLimit::Risk => "one more call would too likely be abandoned",
            PacingLimit::Budget => "the abandonment budget is spent: one call per available agent",
            PacingLimit::Lines => "the lines or calls per second are used up",
            PacingLimit::Leads => "no lead is ready",
            PacingLimit::Agents => "no agent is there",
            PacingLimit::Rule => "the mode's own rule",
            PacingLimit::Store => "the store cannot take claims",
        }
    }
}

/// Whose wish, or whose file, a do-not-call list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoNotCallKind {
    /// People who told us. No exemption opens it.
    Internal,
    /// Binds the one campaign that has the list's name.
    Campaign,
    /// Of a state, province or trade. No exemption opens it.
    Area,
    /// A country's register. A purchase, an inquiry or consent may open it (16 CFR 310.4(b)(1)(iii)(B)).
    National,
}

/// What the law was asked about when a lead was claimed: the lead's own words, none of our findings,
/// so that whoever recounts can come to another answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DialBasis {
    /// Ids of the rule sets that bind the campaign.
    pub rules: Vec<String>,
    /// The customer key, or the lead's id where it has none: whom caps count.
    pub person: String,
    /// IANA zone of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The lead's columns that a rule may ask for, such as `state` and `consent_at`.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub columns: std::collections::BTreeMap<String, String>,
    /// Whether an agent is held for this very call.
    pub agent_reserved: bool,
    /// Whether a recording speaks first, with nobody behind it.
    pub prerecorded: bool,
    /// Where machines are detected: per cent of the live persons whom the detector is assumed to take
    /// for machines (UK-1).
    #[serde(skip_serializing_if = "is_none")]
    pub false_positive_pct: f64,
    /// Likewise, per cent of the abandoned calls that are assumed to have been machines.
    #[serde(skip_serializing_if = "is_none")]
    pub abandoned_machines_pct: f64,
}

fn is_none(pct: &f64) -> bool {
    *pct == 0.0
}

/// How well a carrier knows who shows a caller ID (RFC 8588 §4, ATIS-1000074).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttestationLevel {
    /// It knows the customer, and that the number is theirs.
    A,
    /// It knows the customer alone.
    B,
    /// It knows where the call entered its network.
    C,
}

/// How the level of a call is known. Nothing here was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttestationSource {
    /// `trunks.toml` says what the carrier signs our calls with.
    Trunk,
    /// The Identity header of the call that came in (RFC 8224); nobody verified its signature.
    IdentityUnverified,
}

/// The attestation of a call's caller ID, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// What is attested.
    pub level: AttestationLevel,
    /// By whose word.
    pub source: AttestationSource,
}

/// What happened. Past tense; the noun comes first.
#[allow(
    missing_docs,
    reason = "the fields are the glossary's words; `_us` is microseconds"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A customer called us.
    CallArrived {
        call: CallId,
        leg: LegId,
        trunk: TrunkId,
        caller: String,
        caller_name: Option<String>,
        called: String,
    },
    /// We began to call a customer: the INVITE is about to leave.
    CallDialled {
        call: CallId,
        leg: LegId,
        trunk: TrunkId,
        campaign: CampaignId,
        attempt: AttemptId,
        lead: LeadId,
        number: PhoneNumber,
        caller_id: String,
    },
    /// A person or machine was recognised, or a tone was heard, before the answer or after it. `agent` is
    /// who talks with it by then: too late to keep it from them. The law's two seconds (47 CFR
    /// 64.1200(a)(7)) begin `greeting_ended_ms` after the customer's leg was answered, as the first of
    /// these events after the answer says; with the answer where it says nothing of that, or there is
    /// none. `greeting_began_ms` is the first sound of a voice, after the answer too.
    CallClassified {
        call: CallId,
        verdict: Verdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tone: Option<Tone>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        greeting_began_ms: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        greeting_ended_ms: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<Evidence>>,
    },
    /// Customer and agent hear each other.
    CallBridged {
        call: CallId,
        agent: AgentId,
        customer_leg: LegId,
        agent_leg: LegId,
    },
    /// One party put the call on hold.
    CallHeld { call: CallId, by: Party },
    /// And took it back.
    CallResumed { call: CallId, by: Party },
    /// The bridge came down: the agent's talk is over.
    CallUnbridged { call: CallId, agent: AgentId },
    /// A person who got no agent in time hears the message from now on.
    CallMessageStarted { call: CallId, prompt: String },
    /// How the caller ID of the call is attested (47 CFR 64.6300 ff.).
    CallAttested {
        call: CallId,
        #[serde(flatten)]
        attestation: Attestation,
    },
    /// The customer's part is over; wrap-up may follow.
    CallEnded {
        call: CallId,
        direction: Direction,
        by: Party,
        cause: Cause,
    },

    /// A leg began.
    LegStarted {
        leg: LegId,
        call: CallId,
        role: Role,
    },
    /// The far end rings.
    LegRinging { leg: LegId, call: CallId },
    /// Our call to a customer who has not answered is given up: the CANCEL leaves. An answer may be faster (RFC
    /// 3261 §9.1); the call then goes on as any other.
    LegGivenUp {
        leg: LegId,
        call: CallId,
        cause: Cause,
    },
    /// The far end, or we, answered.
    LegAnswered { leg: LegId, call: CallId },
    /// A leg ended. Nothing happens on it afterwards.
    LegEnded {
        leg: LegId,
        call: CallId,
        cause: Cause,
    },

    /// A flow took the call.
    IvrEntered { call: CallId, flow: FlowId },
    /// The caller reached a node.
    IvrNodeReached {
        call: CallId,
        flow: FlowId,
        node: String,
    },
    /// Digits were accepted at a node. A sensitive node says only how many.
    IvrDigitsCollected {
        call: CallId,
        flow: FlowId,
        node: String,
        digits: Option<String>,
        count: u8,
    },
    /// The caller said nothing in time.
    IvrNoInput {
        call: CallId,
        flow: FlowId,
        node: String,
        count: u8,
    },
    /// The caller pressed something that means nothing here.
    IvrNoMatch {
        call: CallId,
        flow: FlowId,
        node: String,
        count: u8,
    },
    /// A variable took a value; never a sensitive one.
    IvrVariableSet {
        call: CallId,
        name: String,
        value: String,
    },
    /// The flow ended.
    IvrLeft {
        call: CallId,
        flow: FlowId,
        node: String,
        end: FlowEnd,
    },

    /// A visit to a queue began.
    QueueEntered {
        call: CallId,
        queue: QueueId,
        direction: Direction,
        priority: i16,
        skills: Vec<SkillId>,
    },
    /// A queue would not take the call.
    QueueRefused {
        call: CallId,
        queue: QueueId,
        direction: Direction,
    },
    /// A visit ended.
    QueueLeft {
        call: CallId,
        queue: QueueId,
        direction: Direction,
        outcome: QueueOutcome,
        waited_us: u64,
        short: bool,
        during_offer: bool,
        within_target: bool,
    },

    /// A call is being brought to an agent.
    OfferMade {
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        queue: QueueId,
        waited_us: u64,
    },
    /// The agent answered.
    OfferAnswered {
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        rang_us: u64,
    },
    /// The agent did not.
    OfferFailed {
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        why: OfferFailure,
    },
    /// The offer was taken back.
    OfferWithdrawn {
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        why: Withdrawal,
    },
    /// The agent's screen was told. `on_socket` is false where the agent had no screen connected.
    ScreenPopped {
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        phase: PopPhase,
        on_socket: bool,
        took_us: u64,
    },

    /// The agent is in another state since now.
    AgentStateChanged {
        agent: AgentId,
        was: AgentState,
        is: AgentState,
        was_for_us: u64,
    },
    /// The agent asked for a state that applies on release.
    AgentStatePending {
        agent: AgentId,
        reason: Option<ReasonId>,
    },
    /// The agent wanted to call a number by hand and may not, or cannot now.
    AgentDialRefused {
        agent: AgentId,
        number: PhoneNumber,
        why: String,
    },
    /// The agent said what the call came to.
    CallDisposed {
        call: CallId,
        agent: AgentId,
        disposition: DispositionId,
        note: Option<String>,
    },

    /// A lead was claimed durably; its INVITE may leave.
    AttemptClaimed {
        attempt: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        list: ListId,
        number: PhoneNumber,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<Box<DialBasis>>,
    },
    /// A rule forbade the dial. `reason` says what the rule's id does not.
    AttemptBlocked {
        attempt: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        rule: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A live person (as far as is known) answered the attempt.
    AttemptAnswered {
        attempt: AttemptId,
        campaign: CampaignId,
    },
    /// An attempt ended. Every claimed attempt ends exactly once.
    AttemptEnded {
        attempt: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        outcome: AttemptOutcome,
        cause: Option<Cause>,
        rang_us: u64,
        next_at: Option<Utc>,
    },
    /// A campaign began, paused or changed how it dials. The three limits are the ones in force since
    /// then; `supervisor` is who asked for it, by the name the API knows them by.
    CampaignChanged {
        campaign: CampaignId,
        mode: Mode,
        running: bool,
        by: Party,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        abandon_limit_pct: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        power_level: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_in_flight: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supervisor: Option<String>,
    },
    /// A change of a campaign was asked for and cannot be: everything stays as it was.
    CampaignChangeRefused {
        campaign: CampaignId,
        why: String,
        supervisor: Option<String>,
    },
    /// A pacing decision that dialled, or that changed what limits dialling.
    PacingDecided {
        campaign: CampaignId,
        dialled: u32,
        in_flight: u32,
        available: u32,
        expected_answers: f64,
        expected_free: f64,
        theta: f64,
        abandon_rate: Option<f64>,
        budget_left: f64,
        limited_by: PacingLimit,
        /// Calls given up since the last such event, after they had rung the legal minimum.
        #[serde(default)]
        withdrawn: u32,
        /// Agents at work.
        #[serde(default)]
        busy: u32,
        /// Share of dials that a person answers, as learned.
        #[serde(default)]
        answer_share: f64,
        /// The chance that one more call would be abandoned, where the mode asks.
        #[serde(default)]
        risk: f64,
        /// How often calls that the dialer did not place take the campaign's agents, per minute of late:
        /// customers who call, and calls by hand.
        #[serde(default)]
        taken_per_minute: f64,
    },

    /// A number is never to be called again, from now on.
    DoNotCallAdded { number: PhoneNumber },
    /// A do-not-call list is in use; `as_of` is the date of its file.
    DoNotCallLoaded {
        list: ListId,
        kind: DoNotCallKind,
        as_of: Option<Utc>,
        numbers: u64,
    },

    /// A recording began.
    RecordingStarted {
        recording: RecordingId,
        call: CallId,
    },
    /// A recording was written.
    RecordingEnded {
        recording: RecordingId,
        call: CallId,
        file: String,
        seconds: f64,
    },
    /// A recording could not be written; the call went on.
    RecordingFailed {
        recording: RecordingId,
        call: CallId,
        why: String,
    },

    /// A promised callback is due at `at`, soon or now; for the agent who promised it, or for anyone.
    CallbackDue {
        campaign: CampaignId,
        lead: LeadId,
        agent: Option<AgentId>,
        at: Utc,
    },

    /// A quota has as many as are enough: its people are dialled no more until it is open again.
    QuotaFull {
        campaign: CampaignId,
        quota: String,
        count: u64,
        at_most: u64,
    },

    /// A trunk began or stopped answering.
    TrunkChanged { trunk: TrunkId, up: bool },
    /// The engine began; `attempts_unknown` claims of the boot before had no end.
    EngineStarted {
        boot: u32,
        version: String,
        attempts_unknown: u64,
    },
    /// The engine takes no more calls and waits for the live ones.
    EngineDraining { live_calls: u64 },
    /// A broken invariant inside one call; the call was ended.
    EngineFaulted { call: Option<CallId>, what: String },
}

macro_rules! variants {
    ($($variant:ident = $kind:literal),* $(,)?) => {
        impl Fact {
            /// `noun.past_tense`, the middle of the CloudEvents type `tandem.<kind>.v1`.
            pub fn kind(&self) -> &'static str {
                match self { $(Fact::$variant { .. } => $kind),* }
            }
        }
    };
}

variants! {
    CallArrived = "call.arrived",
    CallDialled = "call.dialled",
    CallClassified = "call.classified",
    CallBridged = "call.bridged",
    CallHeld = "call.held",
    CallResumed = "call.resumed",
    CallUnbridged = "call.unbridged",
    CallMessageStarted = "call.message_started",
    CallAttested = "call.attested",
    CallEnded = "call.ended",
    LegStarted = "leg.started",
    LegRinging = "leg.ringing",
    LegGivenUp = "leg.given_up",
    LegAnswered = "leg.answered",
    LegEnded = "leg.ended",
    IvrEntered = "ivr.entered",
    IvrNodeReached = "ivr.node_reached",
    IvrDigitsCollected = "ivr.digits_collected",
    IvrNoInput = "ivr.no_input",
    IvrNoMatch = "ivr.no_match",
    IvrVariableSet = "ivr.variable_set",
    IvrLeft = "ivr.left",
    QueueEntered = "queue.entered",
    QueueRefused = "queue.refused",
    QueueLeft = "queue.left",
    OfferMade = "offer.made",
    OfferAnswered = "offer.answered",
    OfferFailed = "offer.failed",
    OfferWithdrawn = "offer.withdrawn",
    ScreenPopped = "offer.screen_popped",
    AgentStateChanged = "agent.state_changed",
    AgentStatePending = "agent.state_pending",
    AgentDialRefused = "agent.dial_refused",
    CallDisposed = "call.disposed",
    AttemptClaimed = "attempt.claimed",
    AttemptBlocked = "attempt.blocked",
    AttemptAnswered = "attempt.answered",
    AttemptEnded = "attempt.ended",
    CampaignChanged = "campaign.changed",
    CampaignChangeRefused = "campaign.change_refused",
    PacingDecided = "campaign.pacing_decided",
    DoNotCallAdded = "do_not_call.added",
    DoNotCallLoaded = "do_not_call.loaded",
    RecordingStarted = "recording.started",
    RecordingEnded = "recording.ended",
    RecordingFailed = "recording.failed",
    CallbackDue = "callback.due",
    QuotaFull = "quota.full",
    TrunkChanged = "trunk.changed",
    EngineStarted = "engine.started",
    EngineDraining = "engine.draining",
    EngineFaulted = "engine.faulted",
}

impl Fact {
    /// The call a fact is about.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Fact::CallArrived { call, .. }
            | Fact::CallDialled { call, .. }
            | Fact::CallClassified { call, .. }
            | Fact::CallBridged { call, .. }
            | Fact::CallHeld { call, .. }
            | Fact::CallResumed { call, .. }
            | Fact::CallUnbridged { call, .. }
            | Fact::CallMessageStarted { call, .. }
            | Fact::CallAttested { call, .. }
            | Fact::CallEnded { call, .. }
            | Fact::LegStarted { call, .. }
            | Fact::LegRinging { call, .. }
            | Fact::LegGivenUp { call, .. }
            | Fact::LegAnswered { call, .. }
            | Fact::LegEnded { call, .. }
            | Fact::IvrEntered { call, .. }
            | Fact::IvrNodeReached { call, .. }
            | Fact::IvrDigitsCollected { call, .. }
            | Fact::IvrNoInput { call, .. }
            | Fact::IvrNoMatch { call, .. }
            | Fact::IvrVariableSet { call, .. }
            | Fact::IvrLeft { call, .. }
            | Fact::QueueEntered { call, .. }
            | Fact::QueueRefused { call, .. }
            | Fact::QueueLeft { call, .. }
            | Fact::OfferMade { call, .. }
            | Fact::OfferAnswered { call, .. }
            | Fact::OfferFailed { call, .. }
            | Fact::OfferWithdrawn { call, .. }
            | Fact::ScreenPopped { call, .. }
            | Fact::CallDisposed { call, .. }
            | Fact::RecordingStarted { call, .. }
            | Fact::RecordingEnded { call, .. }
            | Fact::RecordingFailed { call, .. } => Some(*call),
            Fact::EngineFaulted { call, .. } => *call,
            Fact::AgentStateChanged { is, was, .. } => is.call().or(was.call()),
            Fact::AgentStatePending { .. }
            | Fact::AgentDialRefused { .. }
            | Fact::AttemptClaimed { .. }
            | Fact::AttemptBlocked { .. }
            | Fact::AttemptAnswered { .. }
            | Fact::AttemptEnded { .. }
            | Fact::CampaignChanged { .. }
            | Fact::CampaignChangeRefused { .. }
            | Fact::PacingDecided { .. }
            | Fact::CallbackDue { .. }
            | Fact::QuotaFull { .. }
            | Fact::DoNotCallAdded { .. }
            | Fact::DoNotCallLoaded { .. }
            | Fact::TrunkChanged { .. }
            | Fact::EngineStarted { .. }
            | Fact::EngineDraining { .. } => None,
        }
    }
}
