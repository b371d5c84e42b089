//! What the dialer remembers of people beside their leads: when they were dialled, whom a callback was
//! promised, and in which quotas they count. A lead of a full quota goes back unasked; it is not lost,
//! the store keeps it ready until the quota is open again.

use super::law::Block;
use super::{Dialer, Out};
use crate::campaign::{Campaign, Stage};
use crate::command::Command;
use crate::input::LeadPast;
use crate::quota::{Cells, QuotaCount};
use crate::retry::Again;
use model::lead::LeadNext;
use model::{AttemptId, CampaignId, DispositionId, Fact, Lead, LeadId, Mono, Now, Utc};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Rule id in the event of a lead that has had its attempts of the day.
pub const ATTEMPTS_PER_DAY: &str = "ATTEMPTS-PER-DAY";
/// Rule id in the event of a promised callback whose quota is full.
pub const QUOTA_FULL: &str = "QUOTA-FULL";
/// People who talked with an agent and may yet be disposed of: a day of 500 agents.
const TALKED_MAX: usize = 100_000;

/// Somebody who talked with an agent.
#[derive(Clone, Copy, Debug)]
struct Talked {
    campaign: CampaignId,
    /// The quotas of the campaign the lead belongs to,
    cells: Cells,
    /// and those in which it counts.
    counted: Cells,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Dials of held leads.
    tried: BTreeMap<LeadId, Vec<Utc>>,
    /// Held leads to whom a callback was promised.
    promised: BTreeSet<LeadId>,
    talked: BTreeMap<LeadId, Talked>,
    /// The same leads, those who talked first at the front.
    talked_order: VecDeque<LeadId>,
    /// When quotas of a day begin anew; at once, until the first clock was seen.
    pub(super) quotas_at: Option<Mono>,
}

impl People {
    pub(super) fn new(has_quotas: bool) -> People {
        People {
            quotas_at: has_quotas.then_some(Mono::ZERO),
            ..People::default()
        }
    }

    pub(super) fn learn(&mut self, pasts: Vec<LeadPast>) {
        for past in pasts {
            self.tried.insert(past.lead, past.dials);
        }
    }

    pub(super) fn dialled(&mut self, lead: LeadId, now: Utc) {
        self.tried.entry(lead).or_default().push(now);
    }

    pub(super) fn tried(&self, lead: LeadId) -> &[Utc] {
        self.tried.get(&lead).map_or(&[], Vec::as_slice)
    }

    pub(super) fn promise(&mut self, lead: LeadId) {
        self.promised.insert(lead);
    }

    /// Its attempt is over; the store tells its past again with the next.
    pub(super) fn ended(&mut self, lead: LeadId) {
        self.tried.remove(&lead);
        self.promised.remove(&lead);
    }

    /// Forgets leads that are no longer held.
    pub(super) fn forget(&mut self, held: &BTreeSet<LeadId>) {
        self.tried.retain(|lead, _| held.contains(lead));
        self.promised.retain(|lead| held.contains(lead));
    }

    fn note_talk(&mut self, lead: LeadId, talked: Talked) {
        if self.talked.insert(lead, talked).is_none() {
            self.talked_order.push_back(lead);
        }
        while self.talked.len() > TALKED_MAX
            && let Some(first) = self.talked_order.pop_front()
        {
            self.talked.remove(&first);
        }
    }
}

impl Dialer {
    /// Whether the person has had the attempts of the day. A promise is kept all the same.
    pub(super) fn within_day(
        &self,
        campaign: &Campaign,
        lead: &Lead,
        now: Utc,
    ) -> Result<(), Block> {
        if campaign.config.max_attempts_per_day.is_none() || self.people.promised.contains(&lead.id)
        {
            return Ok(());
        }
        let at = Again {
            campaign: &campaign.config,
            sets: &campaign.sets,
            book: &self.zones,
            lead,
            tried: self.people.tried(lead.id),
            agent_reserved: false,
            prerecorded: false,
        }
        .within_day(now);
        if at == now {
            return Ok(());
        }
        Err(Block {
            rule: ATTEMPTS_PER_DAY.into(),
            reason: None,
            next: LeadNext::Again {
                at,
                number: lead.next_number,
            },
        })
    }

    pub(super) fn is_of_full_quota(&self, id: CampaignId, lead: &Lead, now: Utc) -> bool {
        let quotas = &self.campaigns[&id].quotas;
        quotas.full_for(lead, &self.zones, now).is_some()
    }

    /// A promised callback of a full quota waits for the next day, when it is looked at again.
    pub(super) fn within_quota(&self, id: CampaignId, lead: &Lead, now: Utc) -> Result<(), Block> {
        let quotas = &self.campaigns[&id].quotas;
        let Some(name) = quotas.full_for(lead, &self.zones, now) else {
            return Ok(());
        };
        Err(Block {
            rule: QUOTA_FULL.into(),
            reason: Some(name.into()),
            next: LeadNext::Again {
                at: quotas.next_midnight(now),
                number: lead.next_number,
            },
        })
    }

    pub(super) fn note_talk(&mut self, now: Now, id: AttemptId) {
        let attempt = &self.attempts[&id];
        let quotas = &self.campaigns[&attempt.campaign].quotas;
        if quotas.are_none() {
            return;
        }
        let talked = Talked {
            campaign: attempt.campaign,
            cells: quotas.of(&attempt.lead, &self.zones, now.utc),
            counted: 0,
        };
        let lead = attempt.lead.id;
        self.people.note_talk(lead, talked);
    }

    pub(super) fn disposed(
        &mut self,
        now: Now,
        lead: LeadId,
        disposition: DispositionId,
        out: &mut Out,
    ) {
        let Some(talked) = self.people.talked.get_mut(&lead) else {
            return;
        };
        let id = talked.campaign;
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("who talked did so for a campaign that exists");
        let counts = campaign.quotas.counting(talked.cells, disposition);
        let before = std::mem::replace(&mut talked.counted, counts);
        let mut filled = false;
        for changed in campaign.quotas.count(counts, before) {
            let saved = campaign.quotas.saved(id, changed.cell);
            if changed.filled {
                filled = true;
                out.fact(Fact::QuotaFull {
                    campaign: id,
                    quota: saved.quota.clone(),
                    count: saved.count,
                    at_most: campaign.quotas.at_most(changed.cell),
                });
            }
            out.command(Command::SaveQuota(saved));
        }
        if filled {
            self.return_full(now, id, out);
        } else if before != 0 {
            // What was counted wrongly may have been the last one.
            campaign.hopper.may_ask();
            campaign.decide_by(now.mono);
        }
    }

    /// Leads of full quotas that wait or are looked at go back.
    fn return_full(&mut self, now: Now, id: CampaignId, out: &mut Out) {
        let (zones, campaign) = (
            &self.zones,
            self.campaigns.get_mut(&id).expect("the caller has it"),
        );
        let quotas = &campaign.quotas;
        let stays = |lead: &Lead| quotas.full_for(lead, zones, now.utc).is_none();
        let mut back = campaign.hopper.sweep(stays);
        let looked_at: Vec<(AttemptId, LeadId)> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.campaign == id && !attempt.by_hand)
            .filter(|(_, attempt)| matches!(attempt.stage, Stage::Preview { .. }))
            .filter(|(_, attempt)| !stays(&attempt.lead))
            .map(|(id, attempt)| (*id, attempt.lead.id))
            .collect();
        for (attempt, lead) in looked_at {
            self.drop_preview(attempt, out);
            back.push(lead);
        }
        self.give_back(id, back, out);
        self.campaigns
            .get_mut(&id)
            .expect("looked up above")
            .decide_by(now.mono);
    }

    pub(super) fn quotas_loaded(&mut self, now: Now, quotas: &[QuotaCount], out: &mut Out) {
        for past in quotas {
            // A campaign, or a quota, that is no longer configured counts nothing.
            let Some(campaign) = self.campaigns.get_mut(&past.campaign) else {
                continue;
            };
            if let Some(cell) = campaign.quotas.load(past, now.utc) {
                let saved = campaign.quotas.saved(past.campaign, cell);
                out.command(Command::SaveQuota(saved));
            }
        }
    }

    /// Quotas of the day begin anew.
    pub(super) fn roll_quotas(&mut self, now: Now, out: &mut Out) {
        let mut next: Option<Utc> = None;
        for (id, campaign) in &mut self.campaigns {
            let rolled = campaign.quotas.roll(now.utc);
            let rolls_at = campaign.quotas.rolls_at(now.utc);
            next = [next, rolls_at].into_iter().flatten().min();
            if rolled == 0 {
                continue;
            }
            for cell in (0..Cells::BITS as usize).filter(|cell| rolled >> cell & 1 == 1) {
                out.command(Command::SaveQuota(campaign.quotas.saved(*id, cell)));
            }
            // What was counted yesterday is not taken back from today.
            for talked in self.people.talked.values_mut() {
                if talked.campaign == *id {
                    talked.counted &= !rolled;
                }
            }
            campaign.hopper.may_ask();
            campaign.decide_by(now.mono);
        }
        self.people.quotas_at = next.map(|at| {
            let us = at.as_micros().saturating_sub(now.utc.as_micros()).max(0);
            now.mono + Duration::from_micros(us.cast_unsigned())
        });
    }
}
