//! What the engine is told: facts seen on the wire, answers of the store, wishes of people.

use model::event::{AttestationLevel, DoNotCallKind, Mode, Verdict};
use model::heard::{Evidence, Tone};
use model::{
    AgentId, AttemptId, CampaignId, Cause, DispositionId, Lead, LeadId, LegId, ListId, LookupId,
    OfferId, PhoneNumber, PlayId, QueueId, ReasonId, RecordingId, TrunkId, Utc,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One thing the engine is told. Serialisable: a day of inputs is a day that can be replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are the glossary's words")]
pub enum Input {
    /// An INVITE from a trunk or a phone. The leg id was minted by the exchange.
    LegArrived {
        leg: LegId,
        from: Origin,
        caller: String,
        caller_name: Option<String>,
        called: String,
    },
    /// A leg we dialled rings.
    LegRinging { leg: LegId },
    /// A leg we dialled answered.
    LegAnswered { leg: LegId },
    /// A leg we dialled will not be answered.
    LegFailed { leg: LegId, cause: Cause },
    /// The INVITE of an arrived leg claims this in its Identity header; nobody verified it.
    LegAttested { leg: LegId, level: AttestationLevel },
    /// The far end hung up, or the leg broke. Also for an arrived leg that was cancelled, and for one we dialled
    /// that answered with media that cannot be used: no `LegAnswered` comes before.
    LegEnded { leg: LegId, cause: Cause },
    /// The far end put us on hold (`held`) or took us back.
    LegHeld { leg: LegId, held: bool },
    /// One key press.
    DigitPressed { leg: LegId, digit: char },
    /// A play came to its end.
    PromptFinished { leg: LegId, play: PlayId },
    /// Who answered; a machine may come after a person, if it was one after all.
    LegClassified {
        leg: LegId,
        verdict: Verdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<Evidence>>,
    },
    /// What is to be said of whoever was given to an agent as a person if they hang up as things are now:
    /// that it was a machine, and why; or nothing.
    LegSuspected {
        leg: LegId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<Evidence>>,
    },
    /// The first utterance of whoever answered, as far as it is known now, in ms after the answer: from
    /// when to when, or still. Each takes the place of the one before: a pause may have been none, and
    /// what began may have been no speech.
    GreetingHeard {
        leg: LegId,
        began_ms: Option<u32>,
        ended_ms: Option<u32>,
    },
    /// A tone of the network or of a fax machine, in early media or after the answer.
    ToneHeard { leg: LegId, tone: Tone },
    /// The beep of a machine has ended: it records now.
    BeepEnded { leg: LegId },
    /// No RTP for as long as the configuration allows.
    MediaLost { leg: LegId },
    /// A recording is on disk.
    RecordingWritten {
        recording: RecordingId,
        file: String,
        seconds: f64,
    },
    /// A recording could not be written.
    RecordingFailed { recording: RecordingId, why: String },
    /// The agent's screen has the pop (or there was none to tell): the phone may ring.
    ScreenPopped { offer: OfferId, on_socket: bool },
    /// A data dip came back.
    LookupAnswered {
        lookup: LookupId,
        result: Result<BTreeMap<String, String>, String>,
    },

    /// Something the agent did, on the API or by feature code.
    Agent { agent: AgentId, action: AgentAction },
    /// The agent's phone registered, renewed, or was lost.
    PhoneReachable { agent: AgentId, reachable: bool },
    /// A trunk began or stopped answering.
    TrunkChanged { trunk: TrunkId, up: bool },

    /// Answer to `FetchLeads`.
    LeadsSupplied {
        campaign: CampaignId,
        leads: Vec<Lead>,
        exhausted: bool,
    },
    /// Answer to `AddLead`; no lead where the number is being called, or the store failed.
    LeadAdded {
        agent: AgentId,
        campaign: CampaignId,
        number: PhoneNumber,
        lead: Option<Box<Lead>>,
    },
    /// The claim is durable.
    ClaimStored { attempt: AttemptId },
    /// The claim could not be made.
    ClaimRefused {
        attempt: AttemptId,
        store_failed: bool,
    },
    /// Leads may be ready again.
    LeadsMayBeReady { campaign: CampaignId },
    /// A lead is not to be dialled any more.
    LeadWithdrawn { lead: LeadId },
    /// A number that is never to be called again.
    DoNotCall { number: PhoneNumber },
    /// The stored list, at start.
    DoNotCallLoaded { numbers: Vec<PhoneNumber> },
    /// A do-not-call list with the date of its file, or a part of it: the last one, without `more`,
    /// puts it in use.
    DoNotCallListLoaded {
        list: ListId,
        kind: DoNotCallKind,
        as_of: Option<Utc>,
        numbers: Vec<PhoneNumber>,
        more: bool,
    },

    /// What pacing had learned of a campaign, at start.
    LearnedLoaded {
        campaign: CampaignId,
        state: Box<dialer::pacing::LearnedState>,
    },
    /// What the law counts of the days before, at start.
    DialerHistory {
        answers: Vec<dialer::input::PastAnswers>,
        dials: Vec<dialer::input::PastDial>,
    },

    /// What was counted in quotas, at start.
    QuotasLoaded {
        quotas: Vec<dialer::quota::QuotaCount>,
    },
    /// What happened to leads that are supplied next.
    LeadsPast { pasts: Vec<dialer::input::LeadPast> },

    /// Promised callbacks that are due within the hour.
    CallbacksSupplied {
        campaign: CampaignId,
        callbacks: Vec<dialer::input::Callback>,
    },
    /// Calls of the last day by the number they showed, at start.
    CallerIdsShown {
        uses: Vec<dialer::caller_id::PastUse>,
    },

    /// Records cannot be put away fast enough, or can again: no new calls meanwhile.
    Congested { on: bool },
    /// A supervisor starts or pauses a campaign.
    SetCampaignRunning { campaign: CampaignId, running: bool },
    /// A supervisor changes how a campaign dials.
    SetCampaignMode { campaign: CampaignId, mode: Mode },
    /// A supervisor moves a campaign's abandonment limit, in per cent of the live answers. Above what
    /// the rule sets allow it is refused.
    SetCampaignAbandonLimit {
        campaign: CampaignId,
        limit_pct: f64,
        by: String,
    },
    /// A supervisor changes the calls per available agent of mode `power`.
    SetCampaignPowerLevel {
        campaign: CampaignId,
        power_level: f64,
        by: String,
    },
    /// A supervisor changes how many calls of a campaign may be without an agent at once.
    SetCampaignMaxInFlight {
        campaign: CampaignId,
        max_in_flight: u32,
        by: String,
    },
    /// A supervisor opens or closes a queue.
    SetQueueOpen { queue: QueueId, open: bool },

    /// The process began: `boot` numbers the starts of this store.
    Started {
        boot: u32,
        version: String,
        attempts_unknown: u64,
    },
    /// Take no more calls, dial no more, and let the live ones finish.
    Drain,
    /// The patience is over: hang up whatever still lives.
    CutOff,
    /// A deadline is due.
    Tick,
}

/// Where an arrived leg comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A carrier.
    Trunk(TrunkId),
    /// An agent's authenticated phone: a feature code.
    Agent(AgentId),
}

/// What an agent can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are the glossary's words")]
pub enum AgentAction {
    /// Begin work.
    SignIn,
    /// End work.
    SignOut,
    /// Take calls.
    Ready,
    /// Take no calls.
    NotReady { reason: ReasonId },
    /// Say what the call came to. Ends wrap-up unless `stay` asks for more time.
    Dispose {
        disposition: DispositionId,
        note: Option<String>,
        callback_at: Option<model::Utc>,
        do_not_call: bool,
    },
    /// End after-call work without a disposition.
    WrapUpDone,
    /// More time for after-call work.
    ExtendWrapUp { by: Duration },
    /// Hang the current call up.
    HangUp,
    /// Put the customer on hold with music, or take back.
    Hold { held: bool },
    /// Decline the current offer.
    Decline,
    /// Dial or skip the previewed lead.
    Preview { accept: bool },
    /// Call a number by hand, for a campaign of theirs; the first one where none is named.
    Dial {
        number: PhoneNumber,
        #[serde(default)]
        campaign: Option<CampaignId>,
    },
}
