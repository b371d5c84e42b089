//! The law as the machine asks it: may this lead's next number be dialled at this instant? Asked
//! before a claim and again once the claim is stored.

use super::{Dialer, Out};
use crate::abandon::Mistakes;
use crate::campaign::Campaign;
use crate::command::Command;
use crate::law::{Memory, Question};
use crate::law_facts::LawFacts;
use crate::rules::Column;
use model::event::{DialBasis, Mode};
use model::lead::LeadNext;
use model::{AttemptId, AttemptOutcome, CampaignId, Fact, Lead, Utc};

/// A rule that forbids a dial, and what becomes of the lead.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) rule: String,
    pub(super) reason: Option<String>,
    pub(super) next: LeadNext,
}

/// Whether an agent is held for each call of a campaign before it is dialled.
fn reserves_agents(mode: Mode) -> bool {
    match mode {
        Mode::Preview => true,
        Mode::Progressive | Mode::Power | Mode::Predictive | Mode::Agentless => false,
    }
}

/// Whether a recording speaks first. Never in a call that an agent places by hand.
fn is_prerecorded(campaign: &Campaign, agent_reserved: bool) -> bool {
    let by_hand = agent_reserved && campaign.mode != Mode::Preview;
    campaign.prerecorded() && !by_hand
}

impl Dialer {
    /// Asks every rule whether the lead's next number may be dialled at this instant, as the campaign
    /// dials.
    pub(super) fn allowed(&self, id: CampaignId, lead: &Lead, now: Utc) -> Result<(), Block> {
        let reserved = reserves_agents(self.campaigns[&id].mode);
        self.allowed_with(id, lead, reserved, now)
    }

    /// The same for a call for which an agent is held, or none.
    pub(super) fn allowed_with(
        &self,
        id: CampaignId,
        lead: &Lead,
        agent_reserved: bool,
        now: Utc,
    ) -> Result<(), Block> {
        let campaign = &self.campaigns[&id];
        if lead.numbers.is_empty() {
            return Err(Block {
                rule: "NO-NUMBER".into(),
                reason: None,
                next: LeadNext::Done,
            });
        }
        let read;
        let facts = match self.law_facts.get(&lead.id) {
            Some(facts) => facts,
            None => {
                read = LawFacts::of(lead);
                &read
            }
        };
        let number = lead.number();
        let place = self.zones.place(lead, number);
        let question = Question {
            sets: &campaign.sets,
            campaign: id,
            number,
            place: &place,
            facts,
            agent_reserved,
            prerecorded: is_prerecorded(campaign, agent_reserved),
        };
        let memory = Memory {
            lists: &self.do_not_call,
            dials: &self.frequency,
        };
        let Err(refusal) = question.ask(&memory, now) else {
            return self.within_day(campaign, lead, now);
        };
        let this = lead.next_number % u8::try_from(lead.numbers.len()).unwrap_or(u8::MAX);
        let next = match refusal.is_of_number {
            false => LeadNext::Again {
                at: refusal.opens,
                number: this,
            },
            true => {
                let other = lead
                    .numbers
                    .iter()
                    .take(usize::from(u8::MAX))
                    .position(|other| self.do_not_call.listed(*other, id).is_empty());
                match other {
                    Some(other) => LeadNext::Again {
                        at: now,
                        number: other as u8,
                    },
                    None => LeadNext::Done,
                }
            }
        };
        Err(Block {
            rule: refusal.rule,
            reason: refusal.reason,
            next,
        })
    }

    /// A lead that may not even be claimed: what becomes of it is written under a fresh attempt.
    pub(super) fn block_unclaimed(
        &mut self,
        campaign: CampaignId,
        lead: &Lead,
        block: Block,
        out: &mut Out,
    ) {
        let attempt = AttemptId(self.mint.next());
        self.held.remove(&lead.id);
        self.law_facts.remove(&lead.id);
        out.fact(Fact::AttemptBlocked {
            attempt,
            campaign,
            lead: lead.id,
            rule: block.rule,
            reason: block.reason,
        });
        out.command(Command::Resolve {
            attempt,
            campaign,
            lead: lead.id,
            outcome: AttemptOutcome::Blocked,
            next: block.next,
        });
    }
}

/// What the law was asked about, for the record.
pub(super) fn basis(campaign: &Campaign, lead: &Lead, agent_reserved: bool) -> Box<DialBasis> {
    let columns = Column::ALL
        .into_iter()
        .filter_map(|column| Some((column.name(), lead.fields.get(column.name())?)))
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect();
    // An agent who calls by hand hears for themselves.
    let by_hand = agent_reserved && campaign.mode != Mode::Preview;
    let mistakes = match by_hand {
        true => Mistakes::default(),
        false => campaign.config.mistakes(),
    };
    Box::new(DialBasis {
        rules: campaign.sets.iter().map(|set| set.id.clone()).collect(),
        person: lead
            .customer_key
            .clone()
            .unwrap_or_else(|| lead.id.to_string()),
        time_zone: lead.time_zone.clone(),
        columns,
        agent_reserved,
        prerecorded: is_prerecorded(campaign, agent_reserved),
        false_positive_pct: mistakes.false_positive_pct,
        abandoned_machines_pct: mistakes.abandoned_machines_pct,
    })
}
