//! Promised callbacks. Told some minutes before; when due, one for an agent is shown to that agent as
//! a preview as soon as the agent is available, one for anyone is dialled before everything else.
//! The law holds: what may not be dialled when it is due is moved to the first legal instant.

use super::{Dialer, Out};
use crate::campaign::PendingCallback;
use crate::input::Callback;
use model::{AgentState, CampaignId, Fact, Now, Utc};
use std::time::Duration;

/// Callbacks of one campaign held at most. The store keeps the others and hands them over later.
const CALLBACKS_MAX: usize = 1_000;

impl Dialer {
    pub(super) fn callbacks_supplied(
        &mut self,
        now: Now,
        id: CampaignId,
        callbacks: Vec<Callback>,
        out: &mut Out,
    ) {
        let mut returned = Vec::new();
        for callback in callbacks {
            let lead = callback.lead.id;
            if self.held.contains(&lead) {
                continue;
            }
            let draining = self.draining;
            let campaign = self
                .campaigns
                .get_mut(&id)
                .filter(|campaign| campaign.running && !draining)
                .filter(|campaign| campaign.callbacks.len() < CALLBACKS_MAX);
            let Some(campaign) = campaign else {
                returned.push(lead);
                continue;
            };
            let hold_s = i64::from(campaign.config.callback_hold_s);
            campaign.callbacks.push(PendingCallback {
                hold_until: callback.at.max(now.utc).plus_micros(hold_s * 1_000_000),
                is: callback,
                reminded: false,
            });
            self.held.insert(lead);
            self.people.promise(lead);
        }
        self.give_back(id, returned, out);
        self.look_at_callbacks(now, out);
    }

    /// Reminds, dials, shows, and says when to look again.
    pub(super) fn look_at_callbacks(&mut self, now: Now, out: &mut Out) {
        let mut again: Option<Utc> = None;
        for id in self.campaign_ids() {
            let Some(campaign) = self.campaigns.get_mut(&id) else {
                continue;
            };
            let mut pending = std::mem::take(&mut campaign.callbacks);
            pending.sort_by_key(|callback| (callback.is.at, callback.is.lead.id));
            let mut waiting = Vec::with_capacity(pending.len());
            for mut callback in pending {
                if let Some(at) = self.look_at(now, id, &mut callback, out) {
                    again = Some(again.map_or(at, |again| again.min(at)));
                    waiting.push(callback);
                }
            }
            if let Some(campaign) = self.campaigns.get_mut(&id) {
                campaign.callbacks = waiting;
            }
        }
        self.callbacks_at = again.map(|at| {
            let us = at.as_micros().saturating_sub(now.utc.as_micros()).max(0);
            now.mono + Duration::from_micros(us.cast_unsigned())
        });
    }

    /// When to look at this callback again; none once it is on its way.
    fn look_at(
        &mut self,
        now: Now,
        id: CampaignId,
        callback: &mut PendingCallback,
        out: &mut Out,
    ) -> Option<Utc> {
        let config = &self.campaigns[&id].config;
        let (hold_s, to_anyone) = (config.callback_hold_s, config.callback_to_anyone);
        let remind_at = callback
            .is
            .at
            .plus_micros(-i64::from(config.callback_remind_s) * 1_000_000);
        if !callback.reminded {
            if now.utc < remind_at {
                return Some(remind_at);
            }
            callback.reminded = true;
            tell(id, callback, out);
        }
        if now.utc < callback.is.at {
            return Some(callback.is.at);
        }
        let allowed = self.allowed(id, &callback.is.lead, now.utc);
        let allowed = allowed.and_then(|()| self.within_quota(id, &callback.is.lead, now.utc));
        if let Err(block) = allowed {
            self.block_unclaimed(id, &callback.is.lead, block, out);
            return None;
        }
        // An agent who is no longer here, or not in this campaign, cannot keep the promise.
        let agent = callback
            .is
            .agent
            .filter(|agent| self.campaigns[&id].config.agents.contains(agent));
        let Some(agent) = agent else {
            self.call_back(now, id, callback);
            return None;
        };
        let there = &self.agents[&agent];
        if there.state == AgentState::Available && there.preview.is_none() && !self.congested {
            self.offer_preview(now, id, agent, callback.is.lead.clone(), out);
            return None;
        }
        if now.utc < callback.hold_until {
            return Some(callback.hold_until);
        }
        if to_anyone {
            callback.is.agent = None;
            tell(id, callback, out);
            self.call_back(now, id, callback);
            return None;
        }
        callback.hold_until = now.utc.plus_micros(i64::from(hold_s) * 1_000_000);
        tell(id, callback, out);
        Some(callback.hold_until)
    }

    /// Anyone's: the next call that the pacing lets leave.
    fn call_back(&mut self, now: Now, id: CampaignId, callback: &PendingCallback) {
        if let Some(campaign) = self.campaigns.get_mut(&id) {
            campaign.hopper.push_urgent(callback.is.lead.clone());
            campaign.decide_by(now.mono);
        }
    }
}

fn tell(campaign: CampaignId, callback: &PendingCallback, out: &mut Out) {
    out.fact(Fact::CallbackDue {
        campaign,
        lead: callback.is.lead.id,
        agent: callback.is.agent,
        at: callback.is.at,
    });
}
