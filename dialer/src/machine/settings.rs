//! What a supervisor changes while a campaign dials. A change that the law or a bound forbids is
//! refused with its reason, and nothing changes.

use super::{Dialer, Out};
use crate::campaign::Campaign;
use crate::config::{IN_FLIGHT, POWER_LEVELS};
use model::event::{Mode, Party};
use model::{CampaignId, Fact, Now};

impl Dialer {
    pub(super) fn set_running(&mut self, now: Now, id: CampaignId, running: bool, out: &mut Out) {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return;
        };
        if campaign.running == running {
            return;
        }
        campaign.running = running;
        changed(now, id, campaign, None, out);
        if !running {
            self.return_hopper(id, out);
        }
    }

    pub(super) fn set_mode(&mut self, now: Now, id: CampaignId, mode: Mode, out: &mut Out) {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return;
        };
        if campaign.mode == mode {
            return;
        }
        // A flow speaks with whoever answers, or nobody does: its file says which.
        if mode == Mode::Agentless || campaign.mode == Mode::Agentless {
            let why = "a campaign becomes agentless, or ceases to be, in its file only".to_string();
            return refused(id, why, None, out);
        }
        campaign.mode = mode;
        changed(now, id, campaign, None, out);
    }

    pub(super) fn set_abandon_limit(
        &mut self,
        now: Now,
        id: CampaignId,
        limit_pct: f64,
        by: String,
        out: &mut Out,
    ) {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return;
        };
        let highest = campaign.abandon_limit_pct_max();
        if !(limit_pct > 0.0 && limit_pct <= highest) {
            let why =
                format!("{limit_pct} % is not above 0 and at most {highest} %, the law's limit");
            return refused(id, why, Some(by), out);
        }
        campaign.config.abandon_limit_pct = limit_pct;
        campaign.budget.set_limit(limit_pct);
        changed(now, id, campaign, Some(by), out);
    }

    pub(super) fn set_power_level(
        &mut self,
        now: Now,
        id: CampaignId,
        power_level: f64,
        by: String,
        out: &mut Out,
    ) {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return;
        };
        if !POWER_LEVELS.contains(&power_level) {
            let (least, most) = (POWER_LEVELS.start(), POWER_LEVELS.end());
            let why = format!("{power_level} is not between {least} and {most}");
            return refused(id, why, Some(by), out);
        }
        campaign.config.power_level = power_level;
        changed(now, id, campaign, Some(by), out);
    }

    pub(super) fn set_max_in_flight(
        &mut self,
        now: Now,
        id: CampaignId,
        max_in_flight: u32,
        by: String,
        out: &mut Out,
    ) {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return;
        };
        if !IN_FLIGHT.contains(&max_in_flight) {
            let (least, most) = (IN_FLIGHT.start(), IN_FLIGHT.end());
            let why = format!("{max_in_flight} is not between {least} and {most}");
            return refused(id, why, Some(by), out);
        }
        campaign.config.max_in_flight = max_in_flight;
        changed(now, id, campaign, Some(by), out);
    }
}

fn changed(
    now: Now,
    id: CampaignId,
    campaign: &mut Campaign,
    supervisor: Option<String>,
    out: &mut Out,
) {
    campaign.decide_by(now.mono);
    out.fact(Fact::CampaignChanged {
        campaign: id,
        mode: campaign.mode,
        running: campaign.running,
        by: Party::System,
        abandon_limit_pct: Some(campaign.config.abandon_limit_pct),
        power_level: Some(campaign.config.power_level),
        max_in_flight: Some(campaign.config.max_in_flight),
        supervisor,
    });
}

fn refused(id: CampaignId, why: String, supervisor: Option<String>, out: &mut Out) {
    out.fact(Fact::CampaignChangeRefused {
        campaign: id,
        why,
        supervisor,
    });
}
