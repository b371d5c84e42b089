//! What the dialer is told.

use crate::pacing::LearnedState;
use crate::quota::QuotaCount;
use model::event::{DoNotCallKind, Mode, Verdict};
use model::heard::Tone;
use model::{
    AgentId, AgentState, AttemptId, AttemptOutcome, CampaignId, Cause, DispositionId, Lead, LeadId,
    ListId, PhoneNumber, TrunkId, Utc,
};
use serde::{Deserialize, Serialize};

/// Live answers of one campaign within one minute, as the store has them; within one hour where that
/// was more than two days ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAnswers {
    /// Whose.
    pub campaign: CampaignId,
    /// When it began.
    pub at: Utc,
    /// Live persons who answered, the abandoned ones among them.
    pub answers: u64,
    /// The abandoned ones.
    pub abandons: u64,
    /// Those who heard a flow and asked for nobody.
    #[serde(default)]
    pub messaged: u64,
}

/// One dial of the days before, for the caps and locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDial {
    /// Which number.
    pub number: PhoneNumber,
    /// Whose: the lead's customer key, or its id where it has none.
    pub person: String,
    /// When.
    pub at: Utc,
    /// How it ended, for the locks; none: not, or nobody knows.
    #[serde(default)]
    pub outcome: Option<AttemptOutcome>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Utc>,
    /// The lead's column `subject`.
    #[serde(default)]
    pub subject: Option<String>,
    /// The lead's column `debt`.
    #[serde(default)]
    pub debt: Option<String>,
}

/// A promised callback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Callback {
    /// Whom to call.
    pub lead: Lead,
    /// The agent who promised it; none: anyone may call.
    pub agent: Option<AgentId>,
    /// When it was promised for. Moved where the law says so.
    pub at: Utc,
}

/// What happened to a lead before it was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadPast {
    /// Whom.
    pub lead: LeadId,
    /// When it was dialled, oldest first; the last of them where they are many.
    pub dials: Vec<Utc>,
}

/// One thing the dialer is told. The time of it is the `now` beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the glossary's words")]
pub enum Input {
    /// An agent is in another state since now. Agents and their campaigns are in the configuration.
    AgentChanged { agent: AgentId, state: AgentState },
    /// Leads the store found for `FetchLeads`. `exhausted`: it has no more that are ready now.
    LeadsSupplied {
        campaign: CampaignId,
        leads: Vec<Lead>,
        exhausted: bool,
    },
    /// What happened to leads that are handed over next, where the campaign asks for it.
    LeadsPast { pasts: Vec<LeadPast> },
    /// The claim is durable: the INVITE may leave.
    ClaimStored { attempt: AttemptId },
    /// The claim could not be made: someone else has the lead, or the store failed.
    ClaimRefused {
        attempt: AttemptId,
        store_failed: bool,
    },
    /// The far end rings.
    AttemptRinging { attempt: AttemptId },
    /// It is given up: whoever answers all the same was faster than the CANCEL.
    AttemptGivenUp { attempt: AttemptId },
    /// The far end answered; who, is not known yet where the campaign detects machines.
    AttemptAnswered { attempt: AttemptId },
    /// Person or machine.
    AttemptClassified {
        attempt: AttemptId,
        verdict: Verdict,
    },
    /// A tone says why nobody was reached, before the answer or after it: the attempt is over.
    AttemptHeardTone { attempt: AttemptId, tone: Tone },
    /// Bridged to an agent within the time.
    AttemptConnected { attempt: AttemptId, agent: AgentId },
    /// A live person got no agent in time; the message plays.
    AttemptAbandoned { attempt: AttemptId },
    /// The person hung up before an agent and before the time was over. Counts as no live answer
    /// only where the rule set says so; the outcome is `abandoned` (measured conservatively).
    AttemptHungUpEarly { attempt: AttemptId },
    /// The person in a flow asked for an agent.
    AttemptAsked { attempt: AttemptId },
    /// The recorded voice has done: the flow ended, or was left, and nobody was asked for; or the
    /// message is on the machine, or never could be.
    AttemptMessaged { attempt: AttemptId },
    /// Not answered, with the reason: busy, no answer, refused, unallocated, cancelled by us…
    AttemptFailed { attempt: AttemptId, cause: Cause },
    /// The customer's leg of a dialled attempt is over: the carrier has its line back. Once for every
    /// `Dial`, before or after what ends the attempt.
    AttemptLegEnded { attempt: AttemptId },
    /// The agent accepted or skipped the previewed lead.
    PreviewAnswered {
        agent: AgentId,
        attempt: AttemptId,
        accept: bool,
    },
    /// An agent calls a number by hand, for a campaign of theirs; the first one where none is named.
    AgentDials {
        agent: AgentId,
        number: PhoneNumber,
        campaign: Option<CampaignId>,
    },
    /// The lead of a number that an agent calls by hand; none where it is being called already, or the
    /// store failed.
    LeadAdded {
        agent: AgentId,
        campaign: CampaignId,
        number: PhoneNumber,
        lead: Option<Box<Lead>>,
    },
    /// A number that is never to be called again, from now on.
    DoNotCall { number: PhoneNumber },
    /// The stored list, at start.
    DoNotCallLoaded { numbers: Vec<PhoneNumber> },
    /// A do-not-call list with the date of its file, or a part of it. The last part, without `more`,
    /// takes the place of the list of that name. A list of kind `campaign` has the campaign's name.
    DoNotCallListLoaded {
        list: ListId,
        kind: DoNotCallKind,
        as_of: Option<Utc>,
        numbers: Vec<PhoneNumber>,
        more: bool,
    },
    /// What the law counts of the days before, at start, oldest first: a restart forgets neither an
    /// abandonment nor a dial.
    HistoryLoaded {
        answers: Vec<PastAnswers>,
        dials: Vec<PastDial>,
    },
    /// Promised callbacks that are due within the hour. They count as handed over.
    CallbacksSupplied {
        campaign: CampaignId,
        callbacks: Vec<Callback>,
    },
    /// Calls of the last day by the number they showed, at start.
    CallerIdsShown {
        uses: Vec<crate::caller_id::PastUse>,
    },
    /// A trunk began or stopped answering. One that was never heard of is believed to answer.
    TrunkChanged { trunk: TrunkId, up: bool },
    /// What a campaign had learned when it was last saved, at start. A state of another version is
    /// ignored.
    LearnedLoaded {
        campaign: CampaignId,
        state: Box<LearnedState>,
    },
    /// What was counted in quotas when it was last saved, at start.
    QuotasLoaded { quotas: Vec<QuotaCount> },
    /// An agent said what came of a call of this lead; said again, it takes the place of the first.
    LeadDisposed {
        lead: LeadId,
        disposition: DispositionId,
    },
    /// Records cannot be put away fast enough, or can again: no new dials meanwhile.
    Congested { on: bool },
    /// A supervisor starts or pauses a campaign.
    SetRunning { campaign: CampaignId, running: bool },
    /// A supervisor changes how a campaign dials.
    SetMode { campaign: CampaignId, mode: Mode },
    /// A supervisor moves the abandonment limit: never above what the rule sets allow.
    SetAbandonLimit {
        campaign: CampaignId,
        limit_pct: f64,
        by: String,
    },
    /// A supervisor changes the calls per available agent of mode `power`.
    SetPowerLevel {
        campaign: CampaignId,
        power_level: f64,
        by: String,
    },
    /// A supervisor changes how many calls may be without an agent at once.
    SetMaxInFlight {
        campaign: CampaignId,
        max_in_flight: u32,
        by: String,
    },
    /// No new dials from now on: the engine drains.
    Drain,
    /// Leads may be ready again (an import, a retry time passed): ask the store.
    LeadsMayBeReady { campaign: CampaignId },
    /// A disposition or a rule says never again: forget a queued lead.
    LeadWithdrawn { lead: LeadId },
    /// A deadline is due.
    Tick,
}
