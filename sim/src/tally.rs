//! Counting a shift, from the events alone, save that who answered (a person, a machine) is what the
//! world knows and the engine only believes.

use crate::curve::{Curve, Doing};
use crate::setting::Setting;
use crate::world::World;
use dialer::input::PastAnswers;
use model::screen_pop::Direction;
use model::{AgentState, AttemptOutcome, CampaignId, Event, Fact, LeadId, QueueOutcome, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE_US: i64 = 60_000_000;

/// An attempt that was dialled and is not over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptView {
    pub campaign: CampaignId,
    pub lead: LeadId,
    pub machine: bool,
}

/// Waits between calls, in tenths of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spells(BTreeMap<u32, u64>);

impl Spells {
    pub(crate) fn add(&mut self, us: u64) {
        let tenths = u32::try_from(us / 100_000).unwrap_or(u32::MAX);
        *self.0.entry(tenths).or_default() += 1;
    }

    pub(crate) fn add_all(&mut self, other: &Spells) {
        for (tenths, count) in &other.0 {
            *self.0.entry(*tenths).or_default() += count;
        }
    }

    /// The wait that this share of them does not exceed, in seconds.
    pub fn quantile_s(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.values().sum();
        let rank = (share * all as f64).ceil() as u64;
        let mut seen = 0;
        self.0
            .iter()
            .find(|(_, count)| {
                seen += **count;
                seen >= rank
            })
            .map(|(tenths, _)| f64::from(*tenths) / 10.0)
    }
}

/// What was counted of one campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignTally {
    /// Customers dialled.
    pub dials: u64,
    /// Persons bridged to an agent.
    pub connected: u64,
    /// Persons who answered and got no agent in time.
    pub abandoned: u64,
    /// Persons who answered and were hung up on, taken for machines.
    pub false_positives: u64,
}

impl CampaignTally {
    /// Persons who answered.
    pub fn live(&self) -> u64 {
        self.connected + self.abandoned + self.false_positives
    }

    /// Abandoned ÷ persons who answered, in per cent. Who was taken for a machine was abandoned.
    pub fn abandonment_pct(&self) -> Option<f64> {
        (self.live() > 0)
            .then(|| 100.0 * (self.abandoned + self.false_positives) as f64 / self.live() as f64)
    }

    pub(crate) fn add(&mut self, other: &CampaignTally) {
        self.dials += other.dials;
        self.connected += other.connected;
        self.abandoned += other.abandoned;
        self.false_positives += other.false_positives;
    }
}

/// What was counted in one shift, up to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// µs that agents were signed in.
    pub signed_in_us: u64,
    /// µs that they talked, held or wrapped up.
    pub handling_us: u64,
    /// µs that they talked or held.
    pub talking_us: u64,
    /// Spells of being available that ended in a call, and their µs.
    pub idle_spells: u64,
    /// See `idle_spells`.
    pub idle_us: u64,
    /// The same, each.
    pub spells: Spells,
    /// Customers dialled.
    pub dials: u64,
    /// Of them given up again while they rang, for want of agents.
    pub withdrawn: u64,
    /// Persons dialled who were bridged to an agent.
    pub connected: u64,
    /// Persons dialled who answered and got no agent.
    pub abandoned: u64,
    /// Persons dialled who were taken for machines.
    pub false_positives: u64,
    /// Persons who heard a recorded voice and asked for nobody.
    pub messaged: u64,
    /// Machines recognised.
    pub machines: u64,
    /// Machines bridged to an agent.
    pub machines_connected: u64,
    /// Calls of customers.
    pub inbound: u64,
    /// Of them bridged to an agent.
    pub inbound_answered: u64,
    /// Of them hung up while waiting.
    pub inbound_abandoned: u64,
    /// Of them answered within the queue's target, 20 s.
    pub inbound_in_time: u64,
    /// The same by campaign, in the order of their names.
    pub campaigns: BTreeMap<CampaignId, CampaignTally>,
    /// What the dialer counts by minute of the wall clock: live answers, of them abandoned, of them
    /// those who heard a recorded voice and asked for nobody.
    pub minutes: BTreeMap<(i64, CampaignId), (u64, u64, u64)>,
    /// The course of it.
    pub curve: Curve,
    /// See [`Curve::worst_five_minutes_pct`]; filled when shifts are added up.
    pub worst_five_minutes_pct: Option<f64>,
    /// The sum of the own chances of those dialled, where leads have one.
    pub dialled_chance: f64,
    /// Inputs told.
    pub inputs: u64,
    /// Events established.
    pub events: u64,
}

impl Tally {
    pub(crate) fn new(setting: &Setting) -> Tally {
        Tally {
            curve: Curve::new(setting.shift.as_micros() as u64),
            campaigns: setting
                .config
                .dialer
                .campaigns
                .keys()
                .map(|id| (*id, CampaignTally::default()))
                .collect(),
            ..Tally::default()
        }
    }

    /// What the store would tell the dialer of this shift.
    pub fn answers(&self) -> impl Iterator<Item = PastAnswers> + '_ {
        self.minutes.iter().map(
            |((minute, campaign), (answers, abandons, messaged))| PastAnswers {
                campaign: *campaign,
                at: Utc::from_micros(minute * MINUTE_US),
                answers: *answers,
                abandons: *abandons,
                messaged: *messaged,
            },
        )
    }

    /// Books a spell of one state.
    pub(crate) fn state(&mut self, was: AgentState, lasted: Duration, to_call: bool) {
        let us = lasted.as_micros() as u64;
        if was != AgentState::SignedOut {
            self.signed_in_us += us;
        }
        if was.is_handling() {
            self.handling_us += us;
        }
        if matches!(was, AgentState::OnCall(_)) {
            self.talking_us += us;
        }
        if was == AgentState::Available && to_call {
            self.idle_spells += 1;
            self.idle_us += us;
            self.spells.add(us);
        }
    }
}

impl World {
    /// Counts, and learns which call an arrived leg became.
    pub(crate) fn notice(&mut self, event: &Event) {
        match &event.fact {
            Fact::CallArrived { call, leg, .. } => {
                self.tally.inbound += u64::from(!self.shift_over);
                self.customer_of_call.insert(*call, *leg);
                if let Some(far) = self.far.get_mut(leg) {
                    far.call = Some(*call);
                }
            }
            Fact::CallDialled {
                attempt,
                campaign,
                lead,
                ..
            } => {
                let view = AttemptView {
                    campaign: *campaign,
                    lead: *lead,
                    machine: false,
                };
                self.attempts.insert(*attempt, view);
                if !self.shift_over {
                    self.tally.dials += 1;
                    self.tally.dialled_chance += self.store.kinds.chance(*lead).unwrap_or(0.0);
                    self.tally.campaigns.entry(*campaign).or_default().dials += 1;
                    self.tally.curve.in_flight(self.now, self.attempts.len());
                }
            }
            Fact::CallEnded { call, .. } => {
                self.customer_of_call.remove(call);
            }
            Fact::AttemptEnded {
                attempt,
                campaign,
                outcome,
                ..
            } => {
                let view = self.attempts.remove(attempt);
                let machine = view.is_some_and(|view| view.machine);
                if !self.shift_over {
                    let withdrawn = view.is_some() && *outcome == AttemptOutcome::Cancelled;
                    self.tally.withdrawn += u64::from(withdrawn);
                    self.tally.curve.in_flight(self.now, self.attempts.len());
                    self.attempt_ended(event.at.utc, *campaign, *outcome, machine);
                }
            }
            Fact::QueueLeft {
                direction: Direction::Inbound,
                outcome,
                within_target,
                ..
            } if !self.shift_over => {
                let answered = *outcome == QueueOutcome::Answered;
                self.tally.inbound_in_time += u64::from(answered && *within_target);
                self.tally.inbound_answered += u64::from(answered);
                self.tally.inbound_abandoned += u64::from(*outcome == QueueOutcome::Abandoned);
            }
            Fact::AgentStateChanged { agent, is, .. } => {
                if let Some(&ix) = self.agent_ix.get(agent) {
                    let (was, since) = self.states[ix];
                    let to_call = matches!(is, AgentState::Offered(_) | AgentState::OnCall(_));
                    if !self.shift_over {
                        self.tally.state(was, self.now.since(since), to_call);
                        self.tally.curve.agent(self.now, doing(was), doing(*is));
                    }
                    self.states[ix] = (*is, self.now);
                }
            }
            // A report counts six of forty-odd facts; a new one is none of its business.
            _ => {}
        }
    }

    fn attempt_ended(
        &mut self,
        at: Utc,
        campaign: CampaignId,
        outcome: AttemptOutcome,
        machine: bool,
    ) {
        let tally = &mut self.tally;
        let of_campaign = tally.campaigns.entry(campaign).or_default();
        let minute = tally
            .minutes
            .entry((at.as_micros().div_euclid(MINUTE_US), campaign))
            .or_default();
        match (outcome, machine) {
            (AttemptOutcome::AnsweredAgent, false) => {
                tally.connected += 1;
                of_campaign.connected += 1;
                minute.0 += 1;
                tally.curve.live(self.now, false);
            }
            (AttemptOutcome::AnsweredAgent, true) => {
                tally.machines_connected += 1;
                minute.0 += 1;
            }
            (AttemptOutcome::Abandoned, false) => {
                tally.abandoned += 1;
                of_campaign.abandoned += 1;
                (minute.0, minute.1) = (minute.0 + 1, minute.1 + 1);
                tally.curve.live(self.now, true);
            }
            (AttemptOutcome::Abandoned, true) => {
                (minute.0, minute.1) = (minute.0 + 1, minute.1 + 1);
            }
            (AttemptOutcome::Machine, true) => tally.machines += 1,
            (AttemptOutcome::Machine, false) => {
                tally.false_positives += 1;
                of_campaign.false_positives += 1;
                tally.curve.live(self.now, true);
            }
            (AttemptOutcome::Messaged, machine) => {
                tally.messaged += u64::from(!machine);
                (minute.0, minute.2) = (minute.0 + 1, minute.2 + 1);
            }
            (
                AttemptOutcome::Fax
                | AttemptOutcome::NoAnswer
                | AttemptOutcome::Busy
                | AttemptOutcome::Failed
                | AttemptOutcome::DisconnectedNumber
                | AttemptOutcome::Cancelled
                | AttemptOutcome::Blocked
                | AttemptOutcome::UnknownRestart,
                _,
            ) => {}
        }
    }

    /// Books what everybody is doing until now.
    pub(crate) fn book_states(&mut self) {
        for (state, since) in &mut self.states {
            self.tally.state(*state, self.now.since(*since), false);
            *since = self.now;
        }
        self.tally.curve.go_to(self.now);
    }

    /// The process is gone, or the shift: by the events nobody is there.
    pub(crate) fn everybody_is_out(&mut self) {
        for (state, since) in &mut self.states {
            self.tally.curve.agent(self.now, doing(*state), Doing::Away);
            (*state, *since) = (AgentState::SignedOut, self.now);
        }
        self.tally.curve.in_flight(self.now, 0);
    }
}

fn doing(state: AgentState) -> Doing {
    match state {
        AgentState::Available | AgentState::Offered(_) => Doing::Waiting,
        AgentState::OnCall(_) => Doing::Talking,
        AgentState::WrapUp(_) => Doing::WrappingUp,
        AgentState::SignedOut | AgentState::NotReady(_) | AgentState::Unreachable => Doing::Away,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_wait_that_so_many_do_not_exceed() {
        let mut spells = Spells::default();
        assert_eq!(spells.quantile_s(0.5), None);
        for n in 1..=10 {
            spells.add(n * 1_000_000);
        }
        assert_eq!(
            (spells.quantile_s(0.5), spells.quantile_s(0.9)),
            (Some(5.0), Some(9.0))
        );
    }

    #[test]
    fn who_was_taken_for_a_machine_was_abandoned() {
        let tally = CampaignTally {
            dials: 100,
            connected: 96,
            abandoned: 2,
            false_positives: 2,
        };
        assert_eq!(tally.abandonment_pct(), Some(4.0));
    }
}
