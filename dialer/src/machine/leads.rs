//! Leads that differ: where each belongs, which are wanted next, and what their calls came to. Only
//! where a campaign paces by each lead; else nothing here changes anything.

use super::Dialer;
use super::pace::{count_at, may_be_given_up};
use crate::campaign::{Attempt, Campaign, Stage};
use crate::pacing::{ByLead, CLASSES, Came, LeadKind, RING_POINTS, RING_STEP_S};
use model::lead::LeadNext;
use model::{AttemptOutcome, CampaignId, Lead, Now};

impl Dialer {
    /// Where a lead belongs, and its chance to answer.
    fn place_of(&self, now: Now, id: CampaignId, lead: &Lead) -> Option<(LeadKind, f64)> {
        let campaign = &self.campaigns[&id];
        let model = campaign.learned.leads()?;
        let column = campaign.config.answer_chance.as_deref();
        Some(model.kind_of(lead, column, self.hour_at(now, lead)))
    }

    /// The hour of the person's day, where it is known.
    fn hour_at(&self, now: Now, lead: &Lead) -> Option<u8> {
        let zone = self
            .zones
            .place(lead, lead.number())
            .zones
            .into_iter()
            .next()?;
        let at = jiff::Timestamp::from_microsecond(now.utc.as_micros()).ok()?;
        u8::try_from(at.to_zoned(zone).hour()).ok()
    }

    pub(super) fn kind_of(&self, now: Now, id: CampaignId, lead: &Lead) -> LeadKind {
        self.place_of(now, id, lead)
            .map_or_else(LeadKind::default, |(kind, _)| kind)
    }

    /// A lead is about to be pushed into the hopper.
    pub(super) fn lead_comes(&mut self, now: Now, id: CampaignId, lead: &Lead) {
        let Some((kind, chance)) = self.place_of(now, id, lead) else {
            return;
        };
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        if let Some(model) = campaign.learned.leads_mut() {
            model.supplied(kind, chance);
        }
        if let Some(order) = &mut campaign.hopper.order {
            order.came(lead.id, kind.class, now.mono);
        }
    }

    /// The next lead is to be of a class of which some are still to be dialled, likely ones first.
    pub(super) fn want_class(
        &mut self,
        now: Now,
        id: CampaignId,
        left: &mut Option<[u32; CLASSES]>,
    ) {
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        let Some(order) = &mut campaign.hopper.order else {
            return;
        };
        // One call per agent is all that was asked for: the likely ones.
        let mut class = CLASSES - 1;
        if let Some(left) = left
            && let Some(some) = left.iter().rposition(|count| *count > 0)
        {
            left[some] -= 1;
            class = some;
        }
        order.want(class as u8, now.mono);
    }

    /// Calls in flight by class.
    pub(super) fn calls_by_lead(&self, now: Now, id: CampaignId) -> Option<Box<ByLead>> {
        let campaign = &self.campaigns[&id];
        campaign.learned.leads()?;
        let mut by_lead = Box::new(ByLead::default());
        if campaign.claiming > 0 {
            let claiming = self
                .attempts
                .values()
                .filter(|attempt| attempt.campaign == id && attempt.stage == Stage::Claiming);
            for attempt in claiming {
                by_lead.calls[usize::from(attempt.kind.class)].claiming += 1;
            }
        }
        for ringing in campaign.ringing.values() {
            let calls = &mut by_lead.calls[usize::from(ringing.class)];
            let age = now.mono.since(ringing.dialled);
            let step = ((age.as_secs_f64() / RING_STEP_S) as usize).min(RING_POINTS);
            count_at(&mut calls.ringing, step);
            if campaign.config.withdraw_ringing
                && age >= campaign.ring_min
                && may_be_given_up(ringing, campaign.ring_min, now.mono)
            {
                count_at(&mut calls.withdrawable, step);
            }
        }
        Some(by_lead)
    }
}

/// What the call of a lead came to, where leads differ.
pub(super) fn lead_ended(
    campaign: &mut Campaign,
    now: Now,
    attempt: &Attempt,
    outcome: AttemptOutcome,
    next: LeadNext,
) {
    let untold = attempt.dial_number == 0 || attempt.by_hand || attempt.agent.is_some();
    if untold || campaign.learned.leads().is_none() {
        return;
    }
    let rang = attempt.rang_until(now.mono).since(attempt.dialled_at);
    let rang_s = rang.as_secs_f64();
    let given_up = campaign
        .learned
        .still_answers(usize::from(attempt.kind.class), rang_s);
    let came = match outcome {
        AttemptOutcome::AnsweredAgent | AttemptOutcome::Abandoned | AttemptOutcome::Messaged => {
            Came::Answered
        }
        AttemptOutcome::NoAnswer
        | AttemptOutcome::Busy
        | AttemptOutcome::Failed
        | AttemptOutcome::DisconnectedNumber
        | AttemptOutcome::Machine
        | AttemptOutcome::Fax => Came::Unanswered,
        AttemptOutcome::Cancelled if attempt.given_up => Came::GivenUp(given_up),
        AttemptOutcome::Cancelled | AttemptOutcome::Blocked | AttemptOutcome::UnknownRestart => {
            return;
        }
    };
    if let Some(model) = campaign.learned.leads_mut() {
        let more = matches!(next, LeadNext::Again { .. });
        model.ended(attempt.lead.id, attempt.kind, outcome, came, more);
    }
}
