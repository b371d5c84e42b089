//! What becomes of a call: answered, classified, connected, abandoned, failed. Every claimed attempt
//! ends in one place, once.

use super::leads::lead_ended;
use super::{Dialer, GATHER_INTERVAL, Out};
use crate::abandon::AbandonBudget;
use crate::campaign::{Attempt, Stage};
use crate::command::Command;
use crate::config::OnMachine;
use crate::law_facts::LawFacts;
use crate::retry::Again;
use model::event::Verdict;
use model::heard::Tone;
use model::lead::LeadNext;
use model::{AgentId, AttemptId, AttemptOutcome, CampaignId, Cause, Fact, Now, Utc};
use std::time::Duration;

impl Dialer {
    pub(super) fn answered(&mut self, now: Now, id: AttemptId, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        if attempt.stage != Stage::Ringing {
            return;
        }
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        let live = !campaign.config.detect_machines || attempt.by_hand;
        attempt.stage = Stage::Answered { live };
        attempt.answered_at = Some(now.mono);
        campaign.ringing.remove(&id);
        campaign.waiting += 1;
        campaign.asks.answered(attempt.dial_number);
        if campaign.config.flow.is_some() && !attempt.by_hand {
            attempt.in_flow = true;
            campaign.in_flow += 1;
        }
        if live && !attempt.given_up {
            let rang = now.mono.since(attempt.dialled_at).as_secs_f64();
            let class = usize::from(attempt.kind.class);
            campaign.learned.answered_of(class, rang);
        }
        if live {
            out.fact(Fact::AttemptAnswered {
                attempt: id,
                campaign: attempt.campaign,
            });
        }
        campaign.decide_by(now.mono + GATHER_INTERVAL);
    }

    /// Nobody is counted on to answer it any more.
    pub(super) fn call_given_up(&mut self, now: Now, id: AttemptId) {
        if let Some(attempt) = self.attempts.get_mut(&id)
            && attempt.stage == Stage::Ringing
        {
            attempt.given_up_at.get_or_insert(now.mono);
            let campaign = self.campaigns.get_mut(&attempt.campaign);
            campaign
                .expect("attempts are of campaigns that exist")
                .ringing
                .remove(&id);
        }
    }

    pub(super) fn classified(&mut self, now: Now, id: AttemptId, verdict: Verdict, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        match (attempt.stage, verdict) {
            (Stage::Answered { .. }, Verdict::Fax) => {
                self.end(now, id, AttemptOutcome::Fax, None, None, out);
            }
            // With its tone it comes as one.
            (
                Stage::Answered { .. },
                Verdict::Busy | Verdict::Reorder | Verdict::Sit | Verdict::DialTone,
            ) => self.end(now, id, AttemptOutcome::Failed, None, None, out),
            (Stage::Answered { .. }, Verdict::Machine) => {
                let campaign = self
                    .campaigns
                    .get_mut(&attempt.campaign)
                    .expect("attempts are of campaigns that exist");
                if campaign.config.on_machine != OnMachine::LeaveMessage {
                    return self.end(now, id, AttemptOutcome::Machine, None, None, out);
                }
                // The line stays taken until the message is on the machine; no agent is wanted.
                attempt.stage = Stage::Machine;
                campaign.waiting -= 1;
                campaign.in_flow -= u32::from(std::mem::take(&mut attempt.in_flow));
                campaign.asks.over(attempt.dial_number);
                campaign.decide_by(now.mono + GATHER_INTERVAL);
            }
            (Stage::Answered { live: false }, Verdict::Person | Verdict::Unsure) => {
                attempt.stage = Stage::Answered { live: true };
                let answered = attempt
                    .answered_at
                    .expect("an answered attempt has its time");
                let rang = answered.since(attempt.dialled_at).as_secs_f64();
                let campaign = self
                    .campaigns
                    .get_mut(&attempt.campaign)
                    .expect("attempts are of campaigns that exist");
                let class = usize::from(attempt.kind.class);
                if !attempt.given_up {
                    campaign.learned.answered_of(class, rang);
                }
                out.fact(Fact::AttemptAnswered {
                    attempt: id,
                    campaign: attempt.campaign,
                });
            }
            (Stage::Answered { live: true }, Verdict::Person | Verdict::Unsure)
            | (Stage::Preview { .. } | Stage::Claiming | Stage::Ringing | Stage::Machine, _) => {}
        }
    }

    /// The network or a fax machine, whatever was thought before.
    pub(super) fn heard_tone(&mut self, now: Now, id: AttemptId, tone: Tone, out: &mut Out) {
        let Some(attempt) = self.attempts.get(&id) else {
            return;
        };
        match (attempt.stage, tone.verdict()) {
            (Stage::Preview { .. } | Stage::Claiming | Stage::Machine, _) => {}
            (Stage::Ringing, Verdict::Fax) => {
                self.learn_failed(now, id);
                self.end(now, id, AttemptOutcome::Fax, None, None, out);
            }
            (Stage::Ringing, _) => self.failed(now, id, tone.cause(), out),
            (Stage::Answered { .. }, Verdict::Fax) => {
                self.end(now, id, AttemptOutcome::Fax, None, None, out);
            }
            (Stage::Answered { .. }, _) => {
                let cause = tone.cause();
                self.end(now, id, outcome_of(cause), Some(cause), None, out);
            }
        }
    }

    /// A person who is connected or abandoned before the verdict was in is a person.
    pub(super) fn person_for_sure(&mut self, now: Now, id: AttemptId, out: &mut Out) -> bool {
        let Some(attempt) = self.attempts.get(&id) else {
            return false;
        };
        match attempt.stage {
            Stage::Preview { .. } | Stage::Claiming | Stage::Machine => return false,
            Stage::Ringing => self.answered(now, id, out),
            Stage::Answered { .. } => {}
        }
        self.classified(now, id, Verdict::Person, out);
        true
    }

    pub(super) fn connected(&mut self, now: Now, id: AttemptId, agent: AgentId, out: &mut Out) {
        if !self.person_for_sure(now, id, out) {
            return;
        }
        let campaigns = self.agents.get(&agent).map(|agent| &agent.campaigns);
        for (campaign, _) in campaigns.into_iter().flatten() {
            let campaign = self.campaigns.get_mut(campaign);
            campaign
                .expect("agents name campaigns that exist")
                .taken
                .was_ours(now.mono.as_secs_f64());
        }
        let campaign = self.attempts[&id].campaign;
        self.count(now, campaign, |budget, at| budget.count(at, false));
        self.note_talk(now, id);
        self.end(now, id, AttemptOutcome::AnsweredAgent, None, None, out);
    }

    pub(super) fn abandoned(&mut self, now: Now, id: AttemptId, out: &mut Out) {
        if !self.person_for_sure(now, id, out) {
            return;
        }
        let campaign = self.attempts[&id].campaign;
        self.count(now, campaign, |budget, at| budget.count(at, true));
        self.end(now, id, AttemptOutcome::Abandoned, None, None, out);
    }

    /// Somebody in a flow wants an agent: from now on they wait for one.
    pub(super) fn asked(&mut self, now: Now, id: AttemptId) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        if !std::mem::take(&mut attempt.in_flow) {
            return;
        }
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        campaign.in_flow -= 1;
        campaign
            .asks
            .asked(attempt.dial_number, now.mono.as_secs_f64());
        campaign.decide_by(now.mono + GATHER_INTERVAL);
    }

    /// The recorded voice has done: with a person, who is a live answer that asked for nobody, or on
    /// a machine.
    pub(super) fn messaged(&mut self, now: Now, id: AttemptId, out: &mut Out) {
        let Some(attempt) = self.attempts.get(&id) else {
            return;
        };
        match attempt.stage {
            Stage::Preview { .. } | Stage::Claiming | Stage::Ringing => {}
            Stage::Machine => self.end(now, id, AttemptOutcome::Machine, None, None, out),
            Stage::Answered { .. } => {
                let campaign = attempt.campaign;
                self.person_for_sure(now, id, out);
                self.count(now, campaign, AbandonBudget::count_messaged);
                self.end(now, id, AttemptOutcome::Messaged, None, None, out);
            }
        }
    }

    fn count(&mut self, now: Now, id: CampaignId, into: impl Fn(&mut AbandonBudget, Utc)) {
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("attempts are of campaigns that exist");
        into(&mut campaign.budget, now.utc);
        let (signed_in, advance) = (campaign.signed_in(), campaign.advance());
        let (left, share) = (
            campaign.budget.left_with(advance),
            campaign.learned.answer_share(),
        );
        campaign.governor.answered(left, signed_in, share);
    }

    pub(super) fn failed(&mut self, now: Now, id: AttemptId, cause: Cause, out: &mut Out) {
        let Some(attempt) = self.attempts.get(&id) else {
            return;
        };
        match attempt.stage {
            Stage::Preview { .. } | Stage::Claiming => {}
            // Answered by a person who then got nobody: measured conservatively.
            Stage::Answered { live: true } => self.abandoned(now, id, out),
            Stage::Answered { live: false } => {
                self.end(now, id, AttemptOutcome::Failed, Some(cause), None, out);
            }
            Stage::Machine => self.end(now, id, AttemptOutcome::Machine, None, None, out),
            Stage::Ringing => {
                if attempt.given_up && !attempt.withdrawn {
                    // It has rung like one that nobody answered, and is dialled again like one.
                    let campaign = &self.campaigns[&attempt.campaign];
                    let next = Again {
                        campaign: &campaign.config,
                        sets: &campaign.sets,
                        book: &self.zones,
                        lead: &attempt.lead,
                        tried: self.people.tried(attempt.lead.id),
                        agent_reserved: false,
                        prerecorded: campaign.prerecorded(),
                    }
                    .next(AttemptOutcome::NoAnswer, now.utc);
                    let cancelled = AttemptOutcome::Cancelled;
                    return self.end(now, id, cancelled, Some(cause), Some(next), out);
                }
                self.learn_failed(now, id);
                self.end(now, id, outcome_of(cause), Some(cause), None, out);
            }
        }
    }

    /// Nobody answered it: so long did it take to know.
    fn learn_failed(&mut self, now: Now, id: AttemptId) {
        let attempt = &self.attempts[&id];
        let rang = attempt.rang_until(now.mono).since(attempt.dialled_at);
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        campaign.learned.failed(rang.as_secs_f64());
    }

    /// Takes a lead's place in the counts away.
    pub(super) fn forget_place(&mut self, attempt: &Attempt) {
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        match attempt.stage {
            Stage::Preview { .. } => {}
            Stage::Claiming => campaign.claiming -= 1,
            Stage::Ringing | Stage::Machine => {}
            Stage::Answered { .. } => campaign.waiting -= 1,
        }
        campaign.in_flow -= u32::from(attempt.in_flow);
        campaign.asks.over(attempt.dial_number);
        if attempt.stage == Stage::Claiming {
            self.give_line_back(attempt);
        }
        if let Some(agent) = attempt.agent.and_then(|agent| self.agents.get_mut(&agent)) {
            agent.preview = None;
        }
    }

    /// The one place where a claimed attempt ends.
    pub(super) fn end(
        &mut self,
        now: Now,
        id: AttemptId,
        outcome: AttemptOutcome,
        cause: Option<Cause>,
        next: Option<LeadNext>,
        out: &mut Out,
    ) {
        let attempt = self.attempts.remove(&id).expect("an attempt ends once");
        self.forget_place(&attempt);
        self.held.remove(&attempt.lead.id);
        let campaign = self
            .campaigns
            .get_mut(&attempt.campaign)
            .expect("attempts are of campaigns that exist");
        campaign.ringing.remove(&id);
        let facts = self.law_facts.remove(&attempt.lead.id);
        if attempt.dial_number > 0 {
            let facts = facts.unwrap_or_else(|| LawFacts::of(&attempt.lead));
            self.frequency
                .ended(&facts.whom(attempt.number), outcome, now.utc);
        }
        let next = match next {
            Some(next) => next,
            None if attempt.withdrawn || attempt.by_hand => LeadNext::Done,
            None => Again {
                campaign: &campaign.config,
                sets: &campaign.sets,
                book: &self.zones,
                lead: &attempt.lead,
                tried: self.people.tried(attempt.lead.id),
                agent_reserved: attempt.agent.is_some(),
                prerecorded: campaign.prerecorded(),
            }
            .next(outcome, now.utc),
        };
        lead_ended(campaign, now, &attempt, outcome, next);
        self.people.ended(attempt.lead.id);
        let rang = attempt.ringing_at.map_or(Duration::ZERO, |since| {
            attempt.rang_until(now.mono).since(since)
        });
        out.fact(Fact::AttemptEnded {
            attempt: id,
            campaign: attempt.campaign,
            lead: attempt.lead.id,
            outcome,
            cause,
            rang_us: u64::try_from(rang.as_micros()).unwrap_or(u64::MAX),
            next_at: match next {
                LeadNext::Again { at, .. } => Some(at),
                LeadNext::Done => None,
            },
        });
        out.command(Command::Resolve {
            attempt: id,
            campaign: attempt.campaign,
            lead: attempt.lead.id,
            outcome,
            next,
        });
        campaign.decide_by(now.mono + GATHER_INTERVAL);
    }
}

fn outcome_of(cause: Cause) -> AttemptOutcome {
    match cause {
        Cause::Busy => AttemptOutcome::Busy,
        Cause::NoAnswer => AttemptOutcome::NoAnswer,
        Cause::Unallocated => AttemptOutcome::DisconnectedNumber,
        Cause::Cancelled | Cause::Shutdown => AttemptOutcome::Cancelled,
        Cause::Normal
        | Cause::Rejected
        | Cause::Unreachable
        | Cause::Congestion
        | Cause::MediaUnsupported
        | Cause::AnsweredElsewhere
        | Cause::SignallingLost
        | Cause::MediaLost
        | Cause::Forbidden
        | Cause::SystemFailed => AttemptOutcome::Failed,
    }
}
