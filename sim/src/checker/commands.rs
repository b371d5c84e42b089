//! What the engine wants done: whether it fits the legs, the people and the law.

use super::{Checker, Invariant, LEGAL_HOURS, Leg, LegState, TOKENS_GRAIN};
use crate::store::Store;
use call::Command;
use model::screen_pop::PopPhase;
use model::{AgentId, AttemptId, CallId, LegId, Mono, Now, PhoneNumber, TrunkId};
use std::collections::BTreeSet;

impl Checker {
    fn need_leg(&mut self, t: Mono, leg: LegId, states: &[LegState], what: &str) {
        match self.legs.get(&leg).map(|view| view.state) {
            None => self.say(
                Invariant::MediaOrder,
                t,
                format!("{what} of {leg}, which is not live"),
            ),
            Some(state) if !states.contains(&state) => {
                self.say(
                    Invariant::MediaOrder,
                    t,
                    format!("{what} of {leg}, which is {state:?}"),
                );
            }
            Some(_) => {}
        }
    }

    pub(super) fn command(
        &mut self,
        now: Now,
        command: &Command,
        store: &Store,
        bridges: &mut BTreeSet<(LegId, LegId)>,
    ) {
        use LegState::{Arrived, Dialled, Up};
        let t = now.mono;
        match command {
            Command::RingLeg { leg } => self.need_leg(t, *leg, &[Arrived], "ringing"),
            Command::AnswerLeg { leg } => {
                self.need_leg(t, *leg, &[Arrived], "an answer");
                if let Some(view) = self.legs.get_mut(leg) {
                    view.state = Up;
                }
            }
            Command::RejectLeg { leg, .. } => {
                self.need_leg(t, *leg, &[Arrived], "a refusal");
                self.end_leg(*leg);
            }
            Command::DialCustomer {
                leg,
                call,
                trunk,
                number,
                attempt,
                ..
            } => {
                let view = Leg {
                    state: Dialled,
                    call: Some(*call),
                    agent: None,
                    outbound: true,
                    bridged: None,
                };
                if self.legs.insert(*leg, view).is_some() {
                    self.say(Invariant::MediaOrder, t, format!("{leg} is used twice"));
                }
                self.calls.entry(*call).or_default().legs.insert(*leg);
                self.attempt_of_leg.insert(*leg, *attempt);
                self.dial(now, *attempt, *number, store);
                self.carrier(t, *trunk, *leg);
            }
            Command::DialAgent {
                leg, call, agent, ..
            } => self.dial_agent(t, *leg, *call, *agent),
            Command::HangUpLeg { leg, .. } => {
                self.need_leg(t, *leg, &[Arrived, Dialled, Up], "a hang-up");
                self.end_leg(*leg);
            }
            Command::CancelLeg { leg, .. } => {
                self.need_leg(t, *leg, &[Dialled], "to be given up");
            }
            Command::Play { leg, repeat, .. } => {
                self.need_leg(t, *leg, &[Up], "a prompt");
                if !repeat {
                    self.must_speak.remove(leg);
                }
            }
            Command::StopPlay { leg, .. } => self.need_leg(t, *leg, &[Up], "silence"),
            Command::Bridge { a, b } => {
                bridges.insert((*a, *b));
                for (this, other) in [(*a, *b), (*b, *a)] {
                    self.need_leg(t, this, &[Up], "a bridge");
                    self.must_speak.remove(&this);
                    let before = self
                        .legs
                        .get_mut(&this)
                        .and_then(|view| view.bridged.replace(other));
                    if let Some(before) = before {
                        self.say(
                            Invariant::MediaOrder,
                            t,
                            format!("{this} is bridged to {before} and to {other}"),
                        );
                    }
                }
            }
            Command::Unbridge { a, b } => {
                for (this, other) in [(*a, *b), (*b, *a)] {
                    self.need_leg(t, this, &[Up], "parting");
                    if let Some(view) = self.legs.get_mut(&this)
                        && view.bridged.take() != Some(other)
                    {
                        self.say(
                            Invariant::MediaOrder,
                            t,
                            format!("{this} was not bridged to {other}"),
                        );
                    }
                }
            }
            Command::StartRecording {
                recording,
                call,
                customer,
                agent,
            } => {
                self.need_leg(t, *customer, &[Up], "a recording");
                self.need_leg(t, *agent, &[Up], "a recording");
                self.recordings.insert(*recording);
                self.calls
                    .entry(*call)
                    .or_default()
                    .recordings
                    .insert(*recording);
            }
            Command::StopRecording { recording } => {
                if !self.recordings.remove(recording) {
                    self.say(
                        Invariant::RecordingStopped,
                        t,
                        format!("{recording} is stopped, and does not run"),
                    );
                }
            }
            Command::PopScreen(pop) => {
                if let Some(agent) = self.agents.get_mut(&pop.agent)
                    && matches!(pop.phase, PopPhase::Offer | PopPhase::Preview)
                {
                    agent.popped = Some(pop.call);
                }
            }
            Command::Lookup { .. }
            | Command::FetchLeads { .. }
            | Command::AddLead { .. }
            | Command::ReturnLeads { .. }
            | Command::SaveLearned { .. }
            | Command::SaveQuota(_)
            | Command::StoreDisposition { .. } => {}
            Command::Claim { attempt, .. } => {
                if self.resolved.contains(attempt) {
                    self.say(
                        Invariant::ResolvedOnce,
                        t,
                        format!("{attempt} is claimed after its end"),
                    );
                }
            }
            Command::Resolve { attempt, .. } => {
                self.dialled.remove(attempt);
                if !self.resolved.insert(*attempt) {
                    self.say(
                        Invariant::ResolvedOnce,
                        t,
                        format!("{attempt} is resolved twice"),
                    );
                }
            }
            Command::StoreDoNotCall { number } => {
                self.do_not_call.insert(*number);
            }
        }
    }

    /// The law at the instant of dialling.
    fn dial(&mut self, now: Now, attempt: AttemptId, number: PhoneNumber, store: &Store) {
        let t = now.mono;
        if let Some(hours) = store.hours_from_utc(number) {
            let hour = (now.utc.as_micros().div_euclid(3_600_000_000) + hours).rem_euclid(24);
            if !LEGAL_HOURS.contains(&hour) {
                self.say(
                    Invariant::CallingWindow,
                    t,
                    format!("{attempt} is dialled at {hour} h local time"),
                );
            }
        }
        if self.do_not_call.contains(&number) {
            self.say(
                Invariant::DoNotCall,
                t,
                format!("{attempt} dials {}", number.masked()),
            );
        }
        let Some(lead) = store.lead_of_claim(attempt) else {
            return self.say(
                Invariant::ClaimFirst,
                t,
                format!("{attempt} is dialled without a durable claim"),
            );
        };
        if let Some((other, _)) = self.dialled.iter().find(|(_, dialled)| **dialled == lead) {
            let what = format!("{lead} is dialled for {attempt} while {other} dials it");
            self.say(Invariant::LeadOnce, t, what);
        }
        self.dialled.insert(attempt, lead);
    }

    /// The carrier's limits at the instant of dialling.
    fn carrier(&mut self, t: Mono, id: TrunkId, leg: LegId) {
        let Some(trunk) = self.trunks.get_mut(&id) else {
            return;
        };
        let rate = trunk.limits.calls_per_second;
        let passed = t.since(trunk.tokens_at).as_secs_f64();
        trunk.tokens = (trunk.tokens + passed * rate).min(rate.max(1.0));
        trunk.tokens_at = t;
        let too_fast = trunk.tokens < 1.0 - TOKENS_GRAIN;
        trunk.tokens -= 1.0;
        trunk.legs.insert(leg);
        let (calls, lines) = (trunk.legs.len(), trunk.limits.concurrent_calls);
        if calls > lines as usize {
            self.say(
                Invariant::CarrierLines,
                t,
                format!("{leg} is call {calls} of {id}, which carries {lines}"),
            );
        }
        if too_fast {
            self.say(
                Invariant::CarrierRate,
                t,
                format!("{leg} is one more than {rate} calls per second of {id}"),
            );
        }
    }

    fn dial_agent(&mut self, t: Mono, leg: LegId, call: CallId, agent: AgentId) {
        let view = Leg {
            state: LegState::Dialled,
            call: Some(call),
            agent: Some(agent),
            outbound: false,
            bridged: None,
        };
        if self.legs.insert(leg, view).is_some() {
            self.say(Invariant::MediaOrder, t, format!("{leg} is used twice"));
        }
        self.calls.entry(call).or_default().legs.insert(leg);
        let Some(view) = self.agents.get_mut(&agent) else {
            return;
        };
        let (popped, before) = (view.popped, view.leg.replace(leg));
        if popped != Some(call) {
            self.say(
                Invariant::PopBeforePhone,
                t,
                format!("{agent}'s phone is called for {call}; the screen knows {popped:?}"),
            );
        }
        if let Some(before) = before {
            self.say(
                Invariant::OneCallPerAgent,
                t,
                format!("{agent} is called on {leg} while on {before}"),
            );
        }
    }
}
