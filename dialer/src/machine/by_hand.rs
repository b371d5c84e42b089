//! Calls that an agent places by hand: the number becomes a lead of its own, the agent is reserved as
//! for a preview, and the same claim, law and books apply. The campaign need not be running: it lends
//! its carriers, its number and its rules.

use super::claims::new_attempt;
use super::{Dialer, Out};
use crate::campaign::Stage;
use crate::command::Command;
use model::event::DoNotCallKind;
use model::{AgentId, AgentState, AttemptId, CampaignId, Fact, Lead, PhoneNumber};

impl Dialer {
    pub(super) fn agent_dials(
        &mut self,
        agent: AgentId,
        number: PhoneNumber,
        campaign: Option<CampaignId>,
        out: &mut Out,
    ) {
        let serves: &[(CampaignId, usize)] = self
            .agents
            .get(&agent)
            .map_or(&[], |agent| &agent.campaigns);
        let campaign = match campaign {
            None => serves.first(),
            Some(named) => serves.iter().find(|(campaign, _)| *campaign == named),
        };
        let Some(&(campaign, _)) = campaign else {
            return refuse(agent, number, "the agent serves no such campaign", out);
        };
        if let Err(why) = self.may_dial_by_hand(agent, campaign, number) {
            return refuse(agent, number, why, out);
        }
        out.command(Command::AddLead {
            agent,
            campaign,
            number,
        });
    }

    pub(super) fn lead_added(
        &mut self,
        agent: AgentId,
        campaign: CampaignId,
        number: PhoneNumber,
        lead: Option<Box<Lead>>,
        out: &mut Out,
    ) {
        let Some(lead) = lead else {
            let why = "the number is being called, or the store has failed";
            return refuse(agent, number, why, out);
        };
        if !self.campaigns.contains_key(&campaign) || self.held.contains(&lead.id) {
            return refuse(agent, number, "the number is being called", out);
        }
        // What was true when the agent asked may have changed while the store answered.
        if let Err(why) = self.may_dial_by_hand(agent, campaign, number) {
            let leads = vec![lead.id];
            out.command(Command::ReturnLeads { campaign, leads });
            return refuse(agent, number, why, out);
        }
        let id = AttemptId(self.mint.next());
        self.held.insert(lead.id);
        let mut attempt = new_attempt(campaign, (*lead).clone(), Some(agent));
        attempt.stage = Stage::Preview { until: None };
        attempt.by_hand = true;
        self.attempts.insert(id, attempt);
        self.agents
            .get_mut(&agent)
            .expect("who may dial is known")
            .preview = Some(id);
        out.command(Command::OfferPreview {
            agent,
            attempt: id,
            campaign,
            lead,
            by_hand: true,
        });
    }

    /// The agent is gone, or was faster taken by a caller: nothing was dialled.
    pub(super) fn end_by_hand(&mut self, id: AttemptId, out: &mut Out) {
        let attempt = &self.attempts[&id];
        let (campaign, lead, number) = (attempt.campaign, attempt.lead.id, attempt.number);
        if let Some(agent) = attempt.agent {
            refuse(agent, number, "the agent is not free", out);
        }
        self.drop_preview(id, out);
        out.command(Command::ReturnLeads {
            campaign,
            leads: vec![lead],
        });
    }

    fn may_dial_by_hand(
        &self,
        agent: AgentId,
        campaign: CampaignId,
        number: PhoneNumber,
    ) -> Result<(), &'static str> {
        if self.draining || self.congested {
            return Err("no calls are placed now");
        }
        // What an exemption may open is asked of the law, which knows the lead.
        let listed = self.do_not_call.listed(number, campaign);
        if listed
            .iter()
            .any(|listed| listed.kind != DoNotCallKind::National)
        {
            return Err("the number is on the do-not-call list");
        }
        let is_free = self.agents.get(&agent).is_some_and(|agent| {
            let state = agent.state;
            agent.preview.is_none()
                && matches!(state, AgentState::Available | AgentState::NotReady(_))
        });
        if is_free {
            Ok(())
        } else {
            Err("the agent is not free")
        }
    }
}

/// Tells the agent.
pub(super) fn refuse(agent: AgentId, number: PhoneNumber, why: &str, out: &mut Out) {
    out.fact(Fact::AgentDialRefused {
        agent,
        number,
        why: why.into(),
    });
}
