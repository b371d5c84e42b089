//! When a campaign decides how much to dial, on what, and what it does then: the snapshot for pacing,
//! the dials, the calls it gives up, the event that tells of it, and what it has learned put away.

use super::{Dialer, GATHER_INTERVAL, Out, PACE_INTERVAL, PACING_FACT_INTERVAL, SAVE_INTERVAL};
use crate::campaign::{Campaign, Ringing, Seat};
use crate::command::Command;
use crate::pacing::{self, Busy, RING_STEP_S, Snapshot};
use model::event::{Mode, PacingLimit};
use model::{AttemptId, CampaignId, Fact, Mono, Now};
use std::time::Duration;

/// An overspent budget stops pacing by risk no earlier than at so many abandonments too many.
const GUARD_MIN: f64 = 3.0;

/// Where others take a campaign's agents, calls are dialled up to this share of the limit as their chance
/// of being abandoned, however much of the budget is spent: below the limit each of them mends the rate.
const FLOOR_RISK: f64 = 0.5;

impl Dialer {
    fn pacing_snapshot(&mut self, now: Now, id: CampaignId) -> Snapshot {
        let campaign = &self.campaigns[&id];
        let (ringing, withdrawable) = by_age(campaign, now.mono);
        let mut snapshot = Snapshot {
            claiming: campaign.claiming,
            waiting: campaign.waiting - campaign.in_flow,
            in_flow: campaign.in_flow,
            asks: campaign.asks_agents().then(|| campaign.asks.shares()),
            theta: campaign.theta(),
            power_level: campaign.config.power_level,
            ringing,
            withdrawable,
            busy: Vec::with_capacity(campaign.seats.len()),
            ..Snapshot::default()
        };
        for (seat, agent) in campaign.seats.iter().zip(&campaign.config.agents) {
            let seconds = |since| now.mono.since(since).as_secs_f64();
            let busy = match *seat {
                Seat::Available => {
                    snapshot.available += u32::from(self.agents[agent].preview.is_none());
                    continue;
                }
                Seat::OnCall(since) => Busy::OnCall(seconds(since)),
                Seat::WrapUp(since) => Busy::WrapUp(seconds(since)),
                Seat::Empty => continue,
            };
            let told = self.agents[agent].free_at;
            let told = told.map(|at| Busy::FreeIn(at.since(now.mono).as_secs_f64()));
            snapshot.busy.push(told.unwrap_or(busy));
        }
        for (other, share) in &campaign.sharing {
            let other = &self.campaigns[other];
            if other.in_flight() == 0 {
                continue;
            }
            if other.mode == Mode::Agentless {
                // Its calls speak with a flow; those who will ask compete, whatever their age.
                if snapshot.competing.is_empty() {
                    snapshot.competing.push(0.0);
                }
                snapshot.competing[0] += share * other.expected_asks();
                continue;
            }
            let (theirs, _) = by_age(other, now.mono);
            let steps = theirs.len().max(snapshot.competing.len()).max(1);
            snapshot.competing.resize(steps, 0.0);
            for (sum, count) in snapshot.competing.iter_mut().zip(&theirs) {
                *sum += share * f64::from(*count);
            }
            snapshot.competing[0] += share * f64::from(other.claiming + other.waiting);
        }
        let campaign = self.campaigns.get_mut(&id).expect("looked up above");
        campaign.available = snapshot.available;
        campaign.busy = snapshot.busy.len() as u32;
        campaign.budget.roll(now.utc);
        snapshot.taken_per_second = campaign.taken.per_second(now.mono.as_secs_f64());
        campaign.taken_per_minute = snapshot.taken_per_second * 60.0;
        snapshot.overspent = campaign.budget.left() < 0.0;
        snapshot.floor_risk = campaign.config.abandon_limit_pct / 100.0 * FLOOR_RISK;
        snapshot.by_lead = self.calls_by_lead(now, id);
        let campaign = self.campaigns.get_mut(&id).expect("looked up above");
        let now_s = now.mono.as_secs_f64();
        campaign.learned.refresh(now_s, &snapshot);
        let agents = snapshot.signed_in();
        snapshot.guarded = match campaign.mode {
            // θ falls with the budget: dialling by risk mends an overspent one sooner than one call
            // per agent does, up to a burst or a few.
            Mode::Predictive => {
                campaign.budget.left_with(campaign.advance())
                    < -pacing::burst(agents).max(GUARD_MIN)
            }
            Mode::Preview | Mode::Progressive | Mode::Power | Mode::Agentless => {
                // Of the answers that calls in flight will still bring, the usual share is abandoned.
                let coming = match snapshot.asks {
                    Some(asks) => {
                        let unanswered = snapshot.ringing.iter().sum::<u32>() + snapshot.claiming;
                        asks.expected(unanswered, snapshot.in_flow, snapshot.waiting)
                    }
                    None => f64::from(snapshot.in_flight()) * campaign.learned.answer_share(),
                };
                campaign
                    .budget
                    .is_spent(0.0, coming * campaign.config.abandon_limit_pct / 200.0)
            }
        };
        snapshot
    }

    pub(super) fn decide(&mut self, now: Now, id: CampaignId, out: &mut Out) {
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        campaign.decide_at = None;
        if !campaign.running || self.draining {
            return;
        }
        let mut snapshot = self.pacing_snapshot(now, id);
        let signed_in = snapshot.signed_in();
        let dials = signed_in > 0 || !self.campaigns[&id].needs_agents();
        if dials {
            self.fetch(now, id, signed_in as u32, out);
        }
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        if let Some(by_lead) = &mut snapshot.by_lead {
            (by_lead.first, by_lead.waiting) = campaign.hopper.to_choose(now.mono);
        }
        let decision = pacing::decide(campaign.mode, &snapshot, &campaign.learned);
        campaign.last = Some(decision);
        let mut dialled = 0;
        let mut limited_by = decision.limited_by;
        if campaign.mode == Mode::Preview {
            self.offer_previews(now, id, out);
        }
        if decision.withdraw > 0 {
            self.give_up(now, id, decision.withdraw, out);
        }
        let mut classes = decision.classes;
        while dialled < decision.dial {
            self.want_class(now, id, &mut classes);
            match self.begin(now, id, out) {
                Ok(()) => dialled += 1,
                Err(limit) => {
                    limited_by = limit;
                    break;
                }
            }
        }
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        if dials {
            campaign.decide_by(
                now.mono
                    + if limited_by == PacingLimit::Lines {
                        GATHER_INTERVAL
                    } else {
                        PACE_INTERVAL
                    },
            );
        }
        let save_due = campaign.mode == Mode::Predictive
            && signed_in > 0
            && now.mono >= *campaign.save_at.get_or_insert(now.mono + SAVE_INTERVAL);
        campaign.dialled_untold += dialled;
        campaign.withdrawn_untold += decision.withdraw;
        let changed = campaign.told_limit != Some(limited_by);
        let quiet = campaign
            .told_at
            .is_some_and(|at| now.mono.since(at) < PACING_FACT_INTERVAL);
        if (campaign.dialled_untold > 0 || campaign.withdrawn_untold > 0 || changed) && !quiet {
            campaign.told_at = Some(now.mono);
            campaign.told_limit = Some(limited_by);
            out.fact(Fact::PacingDecided {
                campaign: id,
                dialled: std::mem::take(&mut campaign.dialled_untold),
                in_flight: campaign.in_flight(),
                available: snapshot.available,
                expected_answers: decision.expected_answers,
                expected_free: decision.expected_free,
                theta: snapshot.theta,
                abandon_rate: campaign.budget.rate(),
                budget_left: campaign.budget.left(),
                limited_by,
                withdrawn: std::mem::take(&mut campaign.withdrawn_untold),
                busy: snapshot.busy.len() as u32,
                answer_share: campaign.learned.answer_share(),
                risk: decision.risk,
                taken_per_minute: campaign.taken_per_minute,
            });
        }
        if save_due {
            self.save_learned(now, id, out);
        }
    }

    /// Withdraws the calls that are least likely to be answered. The outside may still say that one was answered.
    fn give_up(&mut self, now: Now, id: CampaignId, count: u32, out: &mut Out) {
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        let mut old: Vec<(f64, f64, AttemptId)> = campaign
            .ringing
            .iter()
            .filter(|(_, ringing)| may_be_given_up(ringing, campaign.ring_min, now.mono))
            .map(|(attempt, ringing)| {
                let rang_s = now.mono.since(ringing.dialled).as_secs_f64();
                let class = usize::from(ringing.class);
                let chance = campaign.learned.still_answers(class, rang_s);
                (chance, rang_s, *attempt)
            })
            .collect();
        // Of equal ones the one that was dialled first.
        old.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        for (_, rang_s, attempt) in old.into_iter().take(count as usize) {
            campaign.ringing.remove(&attempt);
            campaign.learned.withdrawn(rang_s);
            let given_up = self.attempts.get_mut(&attempt);
            given_up.expect("a ringing attempt is an attempt").given_up = true;
            out.command(Command::Cancel { attempt });
        }
    }

    pub(super) fn save_learned(&mut self, now: Now, id: CampaignId, out: &mut Out) {
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        campaign.save_at = Some(now.mono + SAVE_INTERVAL);
        let state = Box::new(campaign.learned.export(campaign.governor.steady()));
        out.command(Command::SaveLearned {
            campaign: id,
            state,
        });
    }
}

/// The law lets a call go that has rung for a while, counted from when the far end rang.
pub(super) fn may_be_given_up(ringing: &Ringing, ring_min: Duration, now: Mono) -> bool {
    ringing
        .rings
        .is_some_and(|since| now.since(since) >= ring_min)
}

/// How many calls have rung for how many ring steps, and how many of them may be given up.
fn by_age(campaign: &Campaign, now: Mono) -> (Vec<u32>, Vec<u32>) {
    let (mut counts, mut withdrawable) = (Vec::new(), Vec::new());
    for ringing in campaign.ringing.values() {
        let age = now.since(ringing.dialled);
        let step = ((age.as_secs_f64() / RING_STEP_S) as usize).min(pacing::RING_POINTS);
        count_at(&mut counts, step);
        if campaign.config.withdraw_ringing
            && age >= campaign.ring_min
            && may_be_given_up(ringing, campaign.ring_min, now)
        {
            count_at(&mut withdrawable, step);
        }
    }
    (counts, withdrawable)
}

pub(super) fn count_at(counts: &mut Vec<u32>, step: usize) {
    if step >= counts.len() {
        counts.resize(step + 1, 0);
    }
    counts[step] += 1;
}
