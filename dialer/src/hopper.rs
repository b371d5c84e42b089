//! The hopper: leads of one campaign that the store has handed over and that are next to be dialled.
//! Bounded; it asks for more before it is empty, with one question at a time. Lists with shares take
//! turns here, at the instant of dialling.

use crate::lead_order::LeadOrder;
use crate::mix::{ListShare, Mix, SHARES};
use crate::pacing::CLASSES;
use model::{Lead, LeadId, ListId, Mono};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Leads held at most. Thirty seconds of dialling of 500 agents at ten dials per answer.
pub const HOPPER_MAX_LEADS: u32 = 1_000;
/// Leads held by a campaign of few agents: per agent, so that priorities stay fresh.
pub(crate) const LEADS_PER_AGENT: u32 = 10;
/// Leads per agent where pacing chooses among them.
const CHOICE_PER_AGENT: u32 = 20;
/// The least a hopper holds.
pub(crate) const HOPPER_MIN_LEADS: u32 = 20;
/// When the store had no more, it is asked again after this.
pub const EXHAUSTED_WAIT: Duration = Duration::from_secs(30);

/// The least a hopper wants of a list with a share, so that its turn does not come in vain.
const SHARE_MIN_LEADS: u32 = 2;

/// Leads in the order they are dialled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hopper {
    leads: VecDeque<Lead>,
    /// Callbacks that are due: before everything else.
    urgent: VecDeque<Lead>,
    lists: Vec<ListShare>,
    /// Whose lead is next, where the lists have shares.
    mix: Option<Mix>,
    /// The list the last question was about, where the lists have shares.
    asked: Option<ListId>,
    /// Lists with shares that had no more: asked again from then on.
    empty_until: BTreeMap<ListId, Mono>,
    fetching: bool,
    not_before: Option<Mono>,
    /// Where pacing chooses among the leads that wait.
    pub(crate) order: Option<LeadOrder>,
}

impl Hopper {
    pub(crate) fn new(lists: &[ListShare]) -> Hopper {
        let shared = lists.iter().any(|list| list.share.is_some());
        Hopper {
            lists: lists.to_vec(),
            mix: shared.then(|| Mix::new(lists)),
            ..Hopper::default()
        }
    }

    pub(crate) fn len(&self) -> u32 {
        (self.leads.len() + self.urgent.len()) as u32
    }

    /// What to ask the store for now, where it is time to ask: of lists with shares the one that has
    /// least of what it should have, else all of them.
    pub(crate) fn ask(&mut self, now: Mono, agents: u32) -> Option<(Vec<ListId>, u32)> {
        let per_agent = if self.order.is_some() {
            CHOICE_PER_AGENT
        } else {
            LEADS_PER_AGENT
        };
        let full = (agents * per_agent).clamp(HOPPER_MIN_LEADS, HOPPER_MAX_LEADS);
        if self.fetching || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let question = match self.mix {
            None => {
                let all = self.lists.iter().map(|list| list.name).collect();
                (self.len() <= full / 2).then(|| (all, full - self.len()))
            }
            Some(_) => {
                let short = |list: &ListShare| {
                    let aim = (full * list.share.unwrap_or(0) / SHARES).max(SHARE_MIN_LEADS);
                    let has = self.leads.iter().filter(|lead| lead.list == list.name);
                    let has = has.count() as u32;
                    let asks = has <= aim / 2
                        && self.empty_until.get(&list.name).is_none_or(|at| *at <= now);
                    asks.then(|| (has * 1_000 / aim, list.name, aim - has))
                };
                let shortest = self.lists.iter().filter_map(short).min();
                shortest.map(|(_, list, count)| {
                    self.asked = Some(list);
                    (vec![list], count)
                })
            }
        };
        self.fetching = question.is_some();
        question
    }

    /// The store has answered.
    pub(crate) fn answered(&mut self, now: Mono, exhausted: bool) {
        self.fetching = false;
        self.not_before = None;
        let again = now + EXHAUSTED_WAIT;
        match (self.asked.take(), exhausted) {
            (Some(list), true) => {
                self.empty_until.insert(list, again);
            }
            (None, true) => self.not_before = Some(again),
            (Some(_) | None, false) => {}
        }
    }

    /// No question before `at`.
    pub(crate) fn pause(&mut self, at: Mono) {
        self.not_before = Some(at);
    }

    /// The store may have more again.
    pub(crate) fn may_ask(&mut self) {
        self.not_before = None;
        self.empty_until.clear();
    }

    pub(crate) fn push(&mut self, lead: Lead) {
        self.leads.push_back(lead);
    }

    pub(crate) fn put_back_first(&mut self, lead: Lead) {
        self.leads.push_front(lead);
    }

    /// A callback that is due.
    pub(crate) fn push_urgent(&mut self, lead: Lead) {
        self.urgent.push_back(lead);
    }

    pub(crate) fn take(&mut self) -> Option<Lead> {
        if let Some(lead) = self.urgent.pop_front() {
            return Some(lead);
        }
        let Some(mix) = &mut self.mix else {
            let Some(order) = &mut self.order else {
                return self.leads.pop_front();
            };
            let at = order.next(&self.leads, None)?;
            let lead = self.leads.remove(at);
            order.left(1, &self.leads);
            return lead;
        };
        let first = |list: ListId| self.leads.iter().position(|lead| lead.list == list);
        // A lead of a list that is not the campaign's is a hand-back of the days before: it goes first.
        let at = match mix.next(|list| first(list).is_some()) {
            Some(list) => match &self.order {
                Some(order) => order.next(&self.leads, Some(list))?,
                None => first(list)?,
            },
            None => 0,
        };
        let lead = self.leads.remove(at);
        if let Some(order) = &mut self.order {
            order.left(1, &self.leads);
        }
        lead
    }

    /// The classes of the leads that go first, and of those to choose among.
    pub(crate) fn to_choose(&self, now: Mono) -> (Vec<u8>, [u32; CLASSES]) {
        let Some(order) = &self.order else {
            return (Vec::new(), [0; CLASSES]);
        };
        let lists: Vec<ListId> = match self.mix {
            Some(_) => self.lists.iter().map(|list| list.name).collect(),
            None => Vec::new(),
        };
        let (mut first, classes) = order.to_choose(&self.leads, &lists, now);
        // Nobody knows better of a callback than that somebody waits for it.
        first.splice(0..0, self.urgent.iter().map(|_| CLASSES as u8 - 2));
        (first, classes)
    }

    pub(crate) fn withdraw(&mut self, lead: LeadId) -> bool {
        let before = self.leads.len() + self.urgent.len();
        self.leads.retain(|held| held.id != lead);
        self.count_left(before - self.leads.len() - self.urgent.len());
        self.urgent.retain(|held| held.id != lead);
        self.leads.len() + self.urgent.len() < before
    }

    /// Takes out what `keep` does not keep.
    pub(crate) fn sweep(&mut self, keep: impl Fn(&Lead) -> bool) -> Vec<LeadId> {
        let mut out = Vec::new();
        let mut stays = |lead: &Lead| {
            let stays = keep(lead);
            if !stays {
                out.push(lead.id);
            }
            stays
        };
        self.urgent.retain(&mut stays);
        let before = self.leads.len();
        self.leads.retain(&mut stays);
        self.count_left(before - self.leads.len());
        out
    }

    /// Leads left without being dialled.
    fn count_left(&mut self, count: usize) {
        if let Some(order) = &mut self.order {
            order.left(count, &self.leads);
        }
    }
}
