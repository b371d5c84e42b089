//! What the dialer wants done.

use crate::config::{MachineAfterConnect, OnMachine};
use crate::pacing::LearnedState;
use crate::quota::QuotaCount;
use model::lead::LeadNext;
use model::{
    AgentId, AttemptId, AttemptOutcome, CampaignId, FlowId, Lead, LeadId, ListId, PhoneNumber,
    TrunkId,
};
use std::time::Duration;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the glossary's words")]
pub enum Command {
    /// Find up to `count` leads of the campaign's lists that are ready now and neither held by a
    /// hopper nor claimed, best first. Answer with `LeadsSupplied`.
    FetchLeads {
        campaign: CampaignId,
        lists: Vec<ListId>,
        count: u32,
    },
    /// Write down durably that this lead is being dialled. Answer with `ClaimStored` or `ClaimRefused`.
    Claim {
        attempt: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        list: ListId,
        number: PhoneNumber,
    },
    /// Dial now. Answer with the attempt's inputs. Give up at `ring_timeout` with `NoAnswer`.
    Dial(Box<Dial>),
    /// Write down how the attempt ended and what becomes of the lead.
    Resolve {
        attempt: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        outcome: AttemptOutcome,
        next: LeadNext,
    },
    /// These leads are not needed after all: anyone may fetch them again.
    ReturnLeads {
        campaign: CampaignId,
        leads: Vec<LeadId>,
    },
    /// Show this lead to this agent; the attempt is claimed once the agent accepts. With `by_hand`
    /// the agent has asked for it and needs no asking.
    OfferPreview {
        agent: AgentId,
        attempt: AttemptId,
        campaign: CampaignId,
        lead: Box<Lead>,
        by_hand: bool,
    },
    /// An agent calls this number by hand: find or make its lead, and hold it. Answer with `LeadAdded`.
    AddLead {
        agent: AgentId,
        campaign: CampaignId,
        number: PhoneNumber,
    },
    /// Keep what the campaign has learned; the newest replaces the one before. To be handed back as
    /// `LearnedLoaded` at the next start.
    SaveLearned {
        campaign: CampaignId,
        state: Box<LearnedState>,
    },
    /// Keep what was counted in a quota; the newest replaces the one before. Leads of one that is full
    /// are not wanted. To be handed back as `QuotasLoaded` at the next start.
    SaveQuota(QuotaCount),
    /// Give a ringing call up, or take a preview back that is over: skipped, too late, its lead
    /// withdrawn or blocked.
    Cancel { attempt: AttemptId },
}

/// One call to place.
#[derive(Clone, Debug, PartialEq)]
pub struct Dial {
    /// The attempt, claimed.
    pub attempt: AttemptId,
    /// For whom.
    pub campaign: CampaignId,
    /// Through which carrier.
    pub trunk: TrunkId,
    /// The person.
    pub lead: Lead,
    /// Which of the person's numbers.
    pub number: PhoneNumber,
    /// The number we show.
    pub caller_id: String,
    /// Give up unanswered after this.
    pub ring_timeout: Duration,
    /// A phone that rings is let ring at least so long (47 CFR 64.1200(a)(6)).
    pub ring_min: Duration,
    /// Listen whether a machine answered before connecting.
    pub classify: bool,
    /// Whoever still speaks so long after the answer is treated as a person.
    pub classify_wait: Duration,
    /// A live person waits at most this long for an agent.
    pub connect_within: Duration,
    /// What an abandoned person hears.
    pub abandon_prompt: Option<String>,
    /// The flow that speaks with an abandoned person instead.
    pub abandon_flow: Option<FlowId>,
    /// The flow that speaks with whoever answers; then an agent is only for those who ask for one.
    pub flow: Option<FlowId>,
    /// What becomes of a call that a machine answered.
    pub on_machine: OnMachine,
    /// What becomes of it once an agent has it.
    pub machine_after_connect: MachineAfterConnect,
    /// What is left on a machine.
    pub machine_prompt: Option<String>,
    /// A recorded voice speaks first: the person must have agreed where a rule asks for that (47 CFR
    /// 64.1200(a)(1)–(3)).
    pub prerecorded: bool,
    /// The agent who previewed the lead and takes the call.
    pub agent: Option<AgentId>,
}
