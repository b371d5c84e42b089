//! Claims: the next lead that may be dialled is claimed durably, the law is asked again, and only then
//! does the dial leave. A claim that the store refuses gives its line back.

use super::lines::Line;
use super::{Dialer, GATHER_INTERVAL, Out, STORE_BACKOFF, by_hand, is_signed_in, law};
use crate::campaign::{Attempt, Ringing, Stage};
use crate::command::{Command, Dial};
use crate::law_facts::LawFacts;
use crate::pacing::LeadKind;
use model::event::PacingLimit;
use model::lead::LeadNext;
use model::{AgentId, AttemptId, AttemptOutcome, CampaignId, Fact, Lead, Mono, Now};
use std::borrow::Cow;
use std::time::Duration;

impl Dialer {
    /// Takes the next lead that may be dialled and claims it.
    pub(super) fn begin(
        &mut self,
        now: Now,
        id: CampaignId,
        out: &mut Out,
    ) -> Result<(), PacingLimit> {
        let campaign = &self.campaigns[&id];
        if self.congested
            || campaign
                .store_wait_until
                .is_some_and(|until| now.mono < until)
        {
            return Err(PacingLimit::Store);
        }
        if !self.has_line(now, id) {
            return Err(PacingLimit::Lines);
        }
        let (lead, line) = self.next_lead_with_line(now, id, out)?;
        let attempt = AttemptId(self.mint.next());
        self.claim(now, attempt, new_attempt(id, lead, None), line, out);
        Ok(())
    }

    pub(super) fn next_lead(&mut self, now: Now, id: CampaignId, out: &mut Out) -> Option<Lead> {
        loop {
            let lead = self.campaigns.get_mut(&id)?.hopper.take()?;
            if self.is_of_full_quota(id, &lead, now.utc) {
                self.give_back(id, vec![lead.id], out);
                continue;
            }
            match self.allowed(id, &lead, now.utc) {
                Ok(()) => return Some(lead),
                Err(block) => self.block_unclaimed(id, &lead, block, out),
            }
        }
    }

    pub(super) fn claim(
        &mut self,
        now: Now,
        id: AttemptId,
        mut attempt: Attempt,
        line: Line,
        out: &mut Out,
    ) {
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        campaign.claiming += 1;
        attempt.kind = self.kind_of(now, attempt.campaign, &attempt.lead);
        self.keep_line(attempt.campaign, line.trunk, attempt.number);
        attempt.trunk = Some(line.trunk);
        attempt.caller_id = line.caller_id;
        attempt.stage = Stage::Claiming;
        attempt.dialled_at = now.mono;
        out.command(Command::Claim {
            attempt: id,
            campaign: attempt.campaign,
            lead: attempt.lead.id,
            list: attempt.lead.list,
            number: attempt.number,
        });
        let twice = self.attempts.insert(id, attempt);
        assert!(twice.is_none(), "an attempt is claimed once");
    }

    pub(super) fn claim_stored(&mut self, now: Now, id: AttemptId, out: &mut Out) {
        let Some(attempt) = self.attempts.get(&id) else {
            return;
        };
        if attempt.stage != Stage::Claiming {
            return;
        }
        let campaign_id = attempt.campaign;
        let (lead, agent, withdrawn) = (attempt.lead.clone(), attempt.agent, attempt.withdrawn);
        out.fact(Fact::AttemptClaimed {
            attempt: id,
            campaign: campaign_id,
            lead: lead.id,
            list: lead.list,
            number: attempt.number,
            basis: Some(law::basis(
                &self.campaigns[&campaign_id],
                &lead,
                agent.is_some(),
            )),
        });
        let campaign = &self.campaigns[&campaign_id];
        let wanted = match agent {
            Some(agent) => is_signed_in(&self.agents[&agent].state),
            None => {
                let mut agents = campaign.config.agents.iter();
                !campaign.needs_agents()
                    || agents.any(|agent| is_signed_in(&self.agents[agent].state))
            }
        };
        if withdrawn {
            return self.end(
                now,
                id,
                AttemptOutcome::Cancelled,
                None,
                Some(LeadNext::Done),
                out,
            );
        }
        let by_hand = attempt.by_hand;
        let full = !by_hand && self.is_of_full_quota(campaign_id, &lead, now.utc);
        if !(campaign.running || by_hand) || self.draining || !wanted || full {
            return self.end(now, id, AttemptOutcome::Cancelled, None, None, out);
        }
        if let Err(block) = self.allowed_with(campaign_id, &lead, agent.is_some(), now.utc) {
            out.fact(Fact::AttemptBlocked {
                attempt: id,
                campaign: campaign_id,
                lead: lead.id,
                rule: block.rule,
                reason: block.reason,
            });
            return self.end(
                now,
                id,
                AttemptOutcome::Blocked,
                None,
                Some(block.next),
                out,
            );
        }
        if !self.keeps_line(now, id) {
            return self.end(now, id, AttemptOutcome::Cancelled, None, None, out);
        }
        self.leave_by_line(now.mono, id);
        let campaign = self
            .campaigns
            .get_mut(&campaign_id)
            .expect("looked up above");
        let attempt = self.attempts.get_mut(&id).expect("looked up above");
        campaign.claiming -= 1;
        campaign.dials += 1;
        campaign.ringing.insert(
            id,
            Ringing {
                dialled: now.mono,
                rings: None,
                class: attempt.kind.class,
            },
        );
        if campaign.asks_agents() && !by_hand {
            campaign
                .asks
                .dialled(campaign.dials, now.mono.as_secs_f64());
        }
        attempt.dial_number = campaign.dials;
        attempt.stage = Stage::Ringing;
        attempt.dialled_at = now.mono;
        let facts = self.law_facts.get(&lead.id);
        let facts = facts.map_or_else(|| Cow::Owned(LawFacts::of(&lead)), Cow::Borrowed);
        self.frequency.dialled(&facts.whom(attempt.number), now.utc);
        self.people.dialled(lead.id, now.utc);
        out.command(Command::Dial(Box::new(Dial {
            attempt: id,
            campaign: campaign_id,
            trunk: attempt.trunk.expect("a claimed attempt has a line"),
            number: attempt.number,
            caller_id: attempt.caller_id.clone(),
            ring_timeout: campaign.config.ring_timeout(),
            ring_min: campaign.ring_min(),
            // The agent hears who answered.
            classify: campaign.config.detect_machines && !by_hand,
            classify_wait: Duration::from_millis(campaign.config.classify_wait_ms.into()),
            connect_within: Duration::from_millis(campaign.config.connect_within_ms.into()),
            abandon_prompt: campaign.config.abandon_prompt.clone(),
            abandon_flow: campaign.config.abandon_flow,
            flow: campaign.config.flow.filter(|_| !by_hand),
            on_machine: campaign.config.on_machine,
            machine_after_connect: campaign.config.machine_after_connect,
            machine_prompt: campaign.config.machine_prompt.clone(),
            prerecorded: campaign.prerecorded() && !by_hand,
            agent,
            lead,
        })));
    }

    pub(super) fn claim_refused(
        &mut self,
        now: Now,
        id: AttemptId,
        store_failed: bool,
        out: &mut Out,
    ) {
        if self
            .attempts
            .get(&id)
            .is_none_or(|attempt| attempt.stage != Stage::Claiming)
        {
            return;
        }
        let attempt = self.attempts.remove(&id).expect("looked at above");
        self.forget_place(&attempt);
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        if store_failed {
            campaign.store_wait_until = Some(now.mono + STORE_BACKOFF);
        }
        if attempt.by_hand {
            self.held.remove(&attempt.lead.id);
            if let Some(agent) = attempt.agent {
                by_hand::refuse(agent, attempt.number, "the store refused the claim", out);
            }
        } else if store_failed && campaign.running && !self.draining && !attempt.withdrawn {
            campaign.hopper.put_back_first(attempt.lead);
        } else {
            self.held.remove(&attempt.lead.id);
        }
        campaign.decide_by(now.mono + GATHER_INTERVAL);
    }
}

/// An attempt before its claim.
pub(super) fn new_attempt(campaign: CampaignId, lead: Lead, agent: Option<AgentId>) -> Attempt {
    Attempt {
        campaign,
        number: lead.number(),
        lead,
        trunk: None,
        caller_id: String::new(),
        agent,
        stage: Stage::Claiming,
        dialled_at: Mono::ZERO,
        ringing_at: None,
        answered_at: None,
        dial_number: 0,
        kind: LeadKind::default(),
        in_flow: false,
        by_hand: false,
        withdrawn: false,
        given_up: false,
        given_up_at: None,
    }
}
