//! Counting a shift, from the events alone.

use crate::world::World;
use model::screen_pop::Direction;
use model::{AgentState, AttemptOutcome, Event, Fact, QueueOutcome};
use std::time::Duration;

/// What was counted in one shift, up to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// µs that agents were signed in.
    pub signed_in_us: u64,
    /// µs that they talked, held or wrapped up.
    pub handling_us: u64,
    /// Spells of being available that ended in a call, and their µs.
    pub idle_spells: u64,
    /// See `idle_spells`.
    pub idle_us: u64,
    /// Customers dialled.
    pub dials: u64,
    /// Dials that were bridged to an agent.
    pub connected: u64,
    /// Dials that were answered and got no agent.
    pub abandoned: u64,
    /// Calls of customers.
    pub inbound: u64,
    /// Of them bridged to an agent.
    pub inbound_answered: u64,
    /// Of them hung up while waiting.
    pub inbound_abandoned: u64,
    /// Inputs told.
    pub inputs: u64,
    /// Events established.
    pub events: u64,
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
            Fact::CallDialled { .. } => self.tally.dials += u64::from(!self.shift_over),
            Fact::CallEnded { call, .. } => {
                self.customer_of_call.remove(call);
            }
            Fact::AttemptEnded { outcome, .. } if !self.shift_over => match outcome {
                AttemptOutcome::AnsweredAgent => self.tally.connected += 1,
                AttemptOutcome::Abandoned => self.tally.abandoned += 1,
                AttemptOutcome::Messaged
                | AttemptOutcome::Machine
                | AttemptOutcome::NoAnswer
                | AttemptOutcome::Busy
                | AttemptOutcome::Failed
                | AttemptOutcome::DisconnectedNumber
                | AttemptOutcome::Cancelled
                | AttemptOutcome::Blocked
                | AttemptOutcome::UnknownRestart => {}
            },
            Fact::QueueLeft {
                direction: Direction::Inbound,
                outcome,
                ..
            } if !self.shift_over => {
                self.tally.inbound_answered += u64::from(*outcome == QueueOutcome::Answered);
                self.tally.inbound_abandoned += u64::from(*outcome == QueueOutcome::Abandoned);
            }
            Fact::AgentStateChanged { agent, is, .. } => {
                if let Some(&ix) = self.agent_ix.get(agent) {
                    let (was, since) = self.states[ix];
                    let to_call = matches!(is, AgentState::Offered(_) | AgentState::OnCall(_));
                    if !self.shift_over {
                        tally_state(&mut self.tally, was, self.now.since(since), to_call);
                    }
                    self.states[ix] = (*is, self.now);
                }
            }
            // A report counts six of forty-odd facts; a new one is none of its business.
            _ => {}
        }
    }
}

/// Books a spell of one state.
pub(crate) fn tally_state(tally: &mut Tally, was: AgentState, lasted: Duration, to_call: bool) {
    let us = lasted.as_micros() as u64;
    if was != AgentState::SignedOut {
        tally.signed_in_us += us;
    }
    if was.is_handling() {
        tally.handling_us += us;
    }
    if was == AgentState::Available && to_call {
        tally.idle_spells += 1;
        tally.idle_us += us;
    }
}
