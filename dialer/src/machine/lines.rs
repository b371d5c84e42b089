//! Lines: which carrier takes the next call, and which number it shows. A carrier that does not
//! answer is passed over; a number in a block that is used up for now lets others go first.

use super::{Dialer, GATHER_INTERVAL, Out};
use crate::campaign::Attempt;
use crate::trunk::{Bucket, Trunk};
use model::event::PacingLimit;
use model::{AttemptId, CampaignId, Lead, Mono, Now, PhoneNumber, TrunkId};

/// Leads looked at for one whose block of numbers has room. Behind these the campaign waits: a
/// carrier's block is most of the hopper.
const BLOCKED_LOOK_MAX: usize = 64;

/// What a call needs to leave.
pub(super) struct Line {
    pub(super) trunk: TrunkId,
    pub(super) caller_id: String,
}

impl Dialer {
    /// A carrier answers, or no longer does.
    pub(super) fn trunk_changed(&mut self, now: Now, id: TrunkId, up: bool) {
        let Some(trunk) = self.trunks.get_mut(&id) else {
            return;
        };
        trunk.is_up = up;
        for campaign in self.campaigns.values_mut() {
            if campaign.config.trunks.contains(&id) {
                campaign.decide_by(now.mono);
            }
        }
    }

    fn trunk(&mut self, id: TrunkId) -> &mut Trunk {
        self.trunks
            .get_mut(&id)
            .expect("lines are of trunks that exist")
    }

    /// An attempt is being claimed: its line and its place in the second are kept for it.
    pub(super) fn keep_line(&mut self, campaign: CampaignId, trunk: TrunkId, number: PhoneNumber) {
        self.campaign_bucket(campaign).keep();
        self.trunk(trunk).keep(number);
    }

    /// A claimed attempt leaves. Its line is taken until [`Dialer::line_freed`].
    pub(super) fn leave_by_line(&mut self, now: Mono, id: AttemptId) {
        let attempt = &self.attempts[&id];
        let (campaign, number) = (attempt.campaign, attempt.number);
        let trunk = attempt.trunk.expect("a claimed attempt has a line");
        self.campaign_bucket(campaign).leave(now);
        self.trunk(trunk).leave(now, number);
        self.lines.insert(id, trunk);
    }

    /// A claimed attempt does not leave.
    pub(super) fn give_line_back(&mut self, attempt: &Attempt) {
        let trunk = attempt.trunk.expect("a claimed attempt has a line");
        self.campaign_bucket(attempt.campaign).give_back();
        self.trunk(trunk).give_back(attempt.number);
    }

    /// The customer's leg of an attempt is over, and with it the call of the carrier's.
    pub(super) fn line_freed(&mut self, now: Now, id: AttemptId) {
        let Some(freed) = self.lines.remove(&id) else {
            return;
        };
        let trunk = self.trunk(freed);
        let was_full = trunk.is_full();
        trunk.release();
        if was_full {
            for campaign in self.campaigns.values_mut() {
                if campaign.config.trunks.contains(&freed) {
                    campaign.decide_by(now.mono + GATHER_INTERVAL);
                }
            }
        }
    }

    fn campaign_bucket(&mut self, id: CampaignId) -> &mut Bucket {
        let campaign = self.campaigns.get_mut(&id);
        &mut campaign
            .expect("attempts are of campaigns that exist")
            .bucket
    }

    /// Whether the campaign may place one more call, to some number.
    pub(super) fn has_line(&mut self, now: Now, id: CampaignId) -> bool {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return false;
        };
        let trunks = &mut self.trunks;
        campaign.in_flight() < campaign.config.max_in_flight
            && campaign.bucket.has_token(now.mono)
            && campaign.config.trunks.iter().any(|trunk| {
                trunks
                    .get_mut(trunk)
                    .is_some_and(|trunk| trunk.has_room(now.mono))
            })
    }

    fn trunk_for(&mut self, now: Mono, id: CampaignId, number: PhoneNumber) -> Option<TrunkId> {
        let trunks = &mut self.trunks;
        let campaign = self.campaigns.get(&id)?;
        campaign.config.trunks.iter().copied().find(|trunk| {
            trunks
                .get_mut(trunk)
                .is_some_and(|trunk| trunk.has_room_for(now, number))
        })
    }

    /// A line for this number. The number shown counts as shown from now on.
    pub(super) fn line_for(
        &mut self,
        now: Now,
        id: CampaignId,
        number: PhoneNumber,
    ) -> Option<Line> {
        if !self.has_line(now, id) {
            return None;
        }
        let trunk = self.trunk_for(now.mono, id, number)?;
        let config = &self.campaigns.get(&id)?.config;
        let pool = config
            .caller_ids
            .as_ref()
            .and_then(|name| self.pools.get(name));
        let chosen = match pool {
            Some(pool) => self
                .shown
                .choose(pool, number, now.utc)
                .map(|number| number.to_string()),
            None => None,
        };
        // Without a pool, and where none of its numbers may be shown: the campaign's own, if it has one.
        let own = (!config.caller_id.is_empty()).then(|| config.caller_id.clone());
        let caller_id = chosen.or(own)?;
        Some(Line { trunk, caller_id })
    }

    /// The next lead that may be dialled and has a line. Those whose block is used up stay first.
    pub(super) fn next_lead_with_line(
        &mut self,
        now: Now,
        id: CampaignId,
        out: &mut Out,
    ) -> Result<(Lead, Line), PacingLimit> {
        let mut aside: Vec<Lead> = Vec::new();
        let mut found = None;
        while aside.len() < BLOCKED_LOOK_MAX
            && let Some(lead) = self.next_lead(now, id, out)
        {
            match self.line_for(now, id, lead.number()) {
                Some(line) => {
                    found = Some((lead, line));
                    break;
                }
                None => aside.push(lead),
            }
        }
        let waiting = !aside.is_empty();
        if let Some(campaign) = self.campaigns.get_mut(&id) {
            for lead in aside.into_iter().rev() {
                campaign.hopper.put_back_first(lead);
            }
        }
        found.ok_or(match waiting {
            true => PacingLimit::Lines,
            false => PacingLimit::Leads,
        })
    }

    /// Whether a claimed attempt still has its line: while the claim was stored its carrier may have
    /// stopped answering. Then the next carrier takes it, if one has room.
    pub(super) fn keeps_line(&mut self, now: Now, id: AttemptId) -> bool {
        let attempt = &self.attempts[&id];
        let (campaign, number) = (attempt.campaign, attempt.number);
        let trunk = attempt.trunk.expect("a claimed attempt has a line");
        if self.trunks[&trunk].is_up {
            return true;
        }
        let Some(other) = self.trunk_for(now.mono, campaign, number) else {
            return false;
        };
        self.trunk(trunk).give_back(number);
        self.trunk(other).keep(number);
        self.attempts.get_mut(&id).expect("looked at above").trunk = Some(other);
        true
    }
}
