//! Preview: the agent sees the lead first. Nothing is claimed until the agent accepts.

use super::by_hand::refuse;
use super::claims::new_attempt;
use super::{Dialer, GATHER_INTERVAL, Out};
use crate::campaign::Stage;
use crate::command::Command;
use model::lead::LeadNext;
use model::{AgentId, AgentState, AttemptId, AttemptOutcome, CampaignId, Lead, LeadId, Now};
use std::time::Duration;

impl Dialer {
    pub(super) fn offer_previews(&mut self, now: Now, id: CampaignId, out: &mut Out) {
        let idle: Vec<AgentId> = self.campaigns[&id]
            .config
            .agents
            .iter()
            .copied()
            .filter(|agent| {
                let agent = &self.agents[agent];
                agent.state == AgentState::Available && agent.preview.is_none()
            })
            .collect();
        for agent in idle {
            let Some(lead) = self.next_lead(now, id, out) else {
                return;
            };
            self.offer_preview(now, id, agent, lead, out);
        }
    }

    /// Shows one lead to one available agent.
    pub(super) fn offer_preview(
        &mut self,
        now: Now,
        id: CampaignId,
        agent: AgentId,
        lead: Lead,
        out: &mut Out,
    ) {
        let attempt_id = AttemptId(self.mint.next());
        let mut attempt = new_attempt(id, lead, Some(agent));
        let wait_s = self.campaigns[&id].config.preview_timeout_s;
        let until = (wait_s > 0).then(|| now.mono + Duration::from_secs(wait_s.into()));
        attempt.stage = Stage::Preview { until };
        out.command(Command::OfferPreview {
            agent,
            attempt: attempt_id,
            campaign: id,
            lead: Box::new(attempt.lead.clone()),
            by_hand: false,
        });
        self.agents
            .get_mut(&agent)
            .expect("chosen among the agents")
            .preview = Some(attempt_id);
        self.attempts.insert(attempt_id, attempt);
        self.previews_until
            .extend(until.map(|until| (until, attempt_id)));
    }

    pub(super) fn preview_answered(
        &mut self,
        now: Now,
        agent: AgentId,
        id: AttemptId,
        accept: bool,
        out: &mut Out,
    ) {
        let Some(attempt) = self.attempts.get(&id) else {
            return;
        };
        if !matches!(attempt.stage, Stage::Preview { .. }) || attempt.agent != Some(agent) {
            return;
        }
        if !accept {
            return self.end_preview(now, id, out);
        }
        let campaign_id = attempt.campaign;
        let attempt = self.attempts.remove(&id).expect("looked up above");
        let campaign = &self.campaigns[&campaign_id];
        let by_hand = attempt.by_hand;
        let stopped = !(campaign.running || by_hand)
            || self.draining
            || self.congested
            || campaign
                .store_wait_until
                .is_some_and(|until| now.mono < until);
        let block = self.allowed(campaign_id, &attempt.lead, now.utc).err();
        if let Some(block) = block {
            self.forget_place(&attempt);
            out.command(Command::Cancel { attempt: id });
            if by_hand {
                let why = format!("{} forbids it now", block.rule);
                refuse(agent, attempt.number, &why, out);
            }
            self.block_unclaimed(campaign_id, &attempt.lead, block, out);
            return self
                .campaigns
                .get_mut(&campaign_id)
                .expect("looked up above")
                .decide_by(now.mono + GATHER_INTERVAL);
        }
        let line = match stopped {
            true => None,
            false => self.line_for(now, campaign_id, attempt.number),
        };
        match line {
            Some(line) => self.claim(now, id, attempt, line, out),
            None => {
                // The agent is told by the attempt's end; the lead comes again.
                self.forget_place(&attempt);
                self.held.remove(&attempt.lead.id);
                let number = attempt.lead.next_number;
                if by_hand {
                    refuse(agent, attempt.number, "no line is free", out);
                }
                out.command(Command::Resolve {
                    attempt: id,
                    campaign: campaign_id,
                    lead: attempt.lead.id,
                    outcome: AttemptOutcome::Cancelled,
                    next: LeadNext::Again {
                        at: now.utc,
                        number,
                    },
                });
            }
        }
    }

    /// Skipped, too late, or the agent is gone: the lead goes to the back of the hopper.
    pub(super) fn end_preview(&mut self, now: Now, id: AttemptId, out: &mut Out) {
        let Some(attempt) = self.attempts.get(&id) else {
            return;
        };
        if !matches!(attempt.stage, Stage::Preview { .. }) {
            return;
        }
        if attempt.by_hand {
            return self.end_by_hand(id, out);
        }
        let attempt = self.attempts.remove(&id).expect("looked up above");
        self.forget_place(&attempt);
        out.command(Command::Cancel { attempt: id });
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        campaign.hopper.push(attempt.lead);
        campaign.decide_by(now.mono);
    }

    pub(super) fn drop_preview(&mut self, id: AttemptId, out: &mut Out) {
        let attempt = self.attempts.remove(&id).expect("the caller saw it");
        self.forget_place(&attempt);
        self.held.remove(&attempt.lead.id);
        out.command(Command::Cancel { attempt: id });
    }

    /// A lead that is not to be called: it leaves the hopper, the callbacks and the screens.
    pub(super) fn withdraw(&mut self, lead: LeadId, out: &mut Out) {
        for campaign in self.campaigns.values_mut() {
            let before = campaign.callbacks.len();
            campaign
                .callbacks
                .retain(|pending| pending.is.lead.id != lead);
            if campaign.hopper.withdraw(lead) || campaign.callbacks.len() < before {
                self.held.remove(&lead);
            }
        }
        let looked_at: Vec<AttemptId> = self
            .attempts
            .iter_mut()
            .filter(|(_, attempt)| attempt.lead.id == lead)
            .filter_map(|(id, attempt)| {
                attempt.withdrawn = true;
                matches!(attempt.stage, Stage::Preview { .. }).then_some(*id)
            })
            .collect();
        for id in looked_at {
            self.drop_preview(id, out);
        }
    }
}
