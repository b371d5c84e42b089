//! What the store is asked, and how each request is to be treated.

use super::{CallbackError, CallbackTime, OutboxMessage, Promise, QuotaRow};
use call::Input;
use model::cdr::Cdr;
use model::lead::LeadNext;
use model::{
    AgentId, AgentState, AttemptId, AttemptOutcome, CallId, CampaignId, DispositionId, LeadId,
    ListId, PhoneNumber, Utc,
};

/// One thing the store is asked. Mirrors the engine's commands, and what the bus hands on.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "the fields are the words of the engine's commands"
)]
pub enum StoreRequest {
    /// Find leads; answered with `LeadsSupplied`.
    FetchLeads {
        campaign: CampaignId,
        lists: Vec<ListId>,
        count: u32,
    },
    /// Find or make the lead of a number that is called by hand; answered with `LeadAdded`.
    AddLead {
        agent: AgentId,
        campaign: CampaignId,
        number: PhoneNumber,
    },
    /// Claim a lead; answered with `ClaimStored` or `ClaimRefused`.
    Claim {
        attempt: AttemptId,
        call: CallId,
        campaign: CampaignId,
        lead: LeadId,
        list: ListId,
        number: PhoneNumber,
    },
    /// How an attempt ended and what becomes of its lead.
    Resolve {
        attempt: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        outcome: AttemptOutcome,
        next: LeadNext,
    },
    /// Leads that are not needed after all.
    ReturnLeads {
        campaign: CampaignId,
        leads: Vec<LeadId>,
    },
    /// What pacing has learned of a campaign; replaces what it had learned before.
    SaveLearned {
        campaign: CampaignId,
        state: Box<dialer::pacing::LearnedState>,
    },
    /// What was counted in a quota; replaces what was counted before.
    SaveQuota(dialer::quota::QuotaCount),
    /// What a call came to, and a promised callback.
    StoreDisposition {
        call: CallId,
        agent: AgentId,
        lead: Option<LeadId>,
        disposition: DispositionId,
        note: Option<String>,
        callback_at: Option<Utc>,
    },
    /// A number never to be called again.
    StoreDoNotCall { number: PhoneNumber },
    /// A call's record; replaces an earlier one of the same call.
    SaveCdr(Box<Cdr>),
    /// A record folded from the log of an earlier boot; never replaces a fuller one.
    RecoverCdr(Box<Cdr>),
    /// Every call of that boot has its record.
    BootFolded { boot: u32 },
    /// What an agent does now.
    SaveAgent {
        agent: AgentId,
        state: AgentState,
        since: Utc,
    },
    /// Webhook messages to be delivered.
    Enqueue(Vec<OutboxMessage>),
    /// Undo a claim whose commit was in doubt and whose call was never placed.
    Unclaim { attempt: AttemptId, lead: LeadId },
    /// Promise a callback, or another time for one. Answered once it is durable.
    SetCallback {
        lead: LeadId,
        at: CallbackTime,
        agent: Option<AgentId>,
        answer: crossbeam_channel::Sender<Result<Promise, CallbackError>>,
    },
    /// Take a callback back. Answered once it is durable.
    CancelCallback {
        lead: LeadId,
        answer: crossbeam_channel::Sender<Result<Promise, CallbackError>>,
    },
    /// What is promised.
    ListCallbacks {
        answer: crossbeam_channel::Sender<Result<Vec<Promise>, CallbackError>>,
    },
    /// What was counted in a campaign's quotas.
    ListQuotas {
        campaign: CampaignId,
        answer: crossbeam_channel::Sender<Result<Vec<QuotaRow>, CallbackError>>,
    },
    /// Say so once everything before is durable.
    Sync(crossbeam_channel::Sender<()>),
}

impl StoreRequest {
    /// Whether nobody waits for it to be durable.
    pub(super) fn may_linger(&self) -> bool {
        match self {
            StoreRequest::SaveCdr(_)
            | StoreRequest::SaveAgent { .. }
            | StoreRequest::SaveLearned { .. } => true,
            StoreRequest::FetchLeads { .. }
            | StoreRequest::AddLead { .. }
            | StoreRequest::Claim { .. }
            | StoreRequest::Resolve { .. }
            | StoreRequest::ReturnLeads { .. }
            | StoreRequest::StoreDisposition { .. }
            | StoreRequest::SaveQuota(_)
            | StoreRequest::StoreDoNotCall { .. }
            | StoreRequest::RecoverCdr(_)
            | StoreRequest::BootFolded { .. }
            | StoreRequest::Enqueue(_)
            | StoreRequest::Unclaim { .. }
            | StoreRequest::SetCallback { .. }
            | StoreRequest::CancelCallback { .. }
            | StoreRequest::ListCallbacks { .. }
            | StoreRequest::ListQuotas { .. }
            | StoreRequest::Sync(_) => false,
        }
    }

    /// What it is answered where the store cannot serve it; nothing where it is a record, which may not be lost.
    pub(super) fn refusal(&self) -> Option<Input> {
        match self {
            StoreRequest::Claim { attempt, .. } => Some(Input::ClaimRefused {
                attempt: *attempt,
                store_failed: true,
            }),
            StoreRequest::AddLead {
                agent,
                campaign,
                number,
            } => Some(Input::LeadAdded {
                agent: *agent,
                campaign: *campaign,
                number: *number,
                lead: None,
            }),
            StoreRequest::FetchLeads { campaign, .. } => Some(Input::LeadsSupplied {
                campaign: *campaign,
                leads: Vec::new(),
                exhausted: true,
            }),
            StoreRequest::Resolve { .. }
            | StoreRequest::ReturnLeads { .. }
            | StoreRequest::SaveLearned { .. }
            | StoreRequest::SaveQuota(_)
            | StoreRequest::StoreDisposition { .. }
            | StoreRequest::StoreDoNotCall { .. }
            | StoreRequest::SaveCdr(_)
            | StoreRequest::RecoverCdr(_)
            | StoreRequest::BootFolded { .. }
            | StoreRequest::SaveAgent { .. }
            | StoreRequest::Enqueue(_)
            | StoreRequest::Unclaim { .. }
            | StoreRequest::SetCallback { .. }
            | StoreRequest::CancelCallback { .. }
            | StoreRequest::ListCallbacks { .. }
            | StoreRequest::ListQuotas { .. }
            | StoreRequest::Sync(_) => None,
        }
    }
}
