//! The hopper: leads of one campaign that the store has handed over and that are next to be dialled.
//! Bounded; it asks for more before it is empty, with one question at a time. Lists with shares take
//! turns here, at the instant of dialling.

use crate::mix::{ListShare, Mix};
use model::{Lead, LeadId, ListId, Mono};
use std::collections::VecDeque;
use std::time::Duration;

/// Leads held at most. Thirty seconds of dialling of 500 agents at ten dials per answer.
pub const HOPPER_MAX_LEADS: u32 = 1_000;
/// Leads held by a campaign of few agents: per agent, so that priorities stay fresh.
pub(crate) const LEADS_PER_AGENT: u32 = 10;
/// The least a hopper holds.
pub(crate) const HOPPER_MIN_LEADS: u32 = 20;
/// When the store had no more, it is asked again after this.
pub const EXHAUSTED_WAIT: Duration = Duration::from_secs(30);

/// Leads in the order they are dialled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hopper {
    leads: VecDeque<Lead>,
    /// Whose lead is next, where the lists have shares.
    mix: Option<Mix>,
    pub(crate) fetching: bool,
    pub(crate) not_before: Option<Mono>,
}

impl Hopper {
    pub(crate) fn new(lists: &[ListShare]) -> Hopper {
        let shared = lists.iter().any(|list| list.share.is_some());
        Hopper {
            mix: shared.then(|| Mix::new(lists)),
            ..Hopper::default()
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.leads.len() as u32
    }

    /// How many to ask for now, where it is time to ask.
    pub(crate) fn wants(&self, now: Mono, agents: u32) -> Option<u32> {
        let full = (agents * LEADS_PER_AGENT).clamp(HOPPER_MIN_LEADS, HOPPER_MAX_LEADS);
        if self.fetching || self.not_before.is_some_and(|at| now < at) || self.len() > full / 2 {
            return None;
        }
        Some(full - self.len())
    }

    pub(crate) fn push(&mut self, lead: Lead) {
        self.leads.push_back(lead);
    }

    pub(crate) fn put_back_first(&mut self, lead: Lead) {
        self.leads.push_front(lead);
    }

    pub(crate) fn take(&mut self) -> Option<Lead> {
        let Some(mix) = &mut self.mix else {
            return self.leads.pop_front();
        };
        let first = |list: ListId| self.leads.iter().position(|lead| lead.list == list);
        // A lead of a list that is not the campaign's is a hand-back of the days before: it goes first.
        let at = match mix.next(|list| first(list).is_some()) {
            Some(list) => first(list)?,
            None => 0,
        };
        self.leads.remove(at)
    }

    pub(crate) fn withdraw(&mut self, lead: LeadId) -> bool {
        let before = self.leads.len();
        self.leads.retain(|held| held.id != lead);
        self.leads.len() < before
    }

    /// Takes out what `keep` does not keep.
    pub(crate) fn sweep(&mut self, keep: impl Fn(&Lead) -> bool) -> Vec<LeadId> {
        let mut out = Vec::new();
        self.leads.retain(|lead| {
            let stays = keep(lead);
            if !stays {
                out.push(lead.id);
            }
            stays
        });
        out
    }
}
