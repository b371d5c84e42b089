//! What the events and commands of a random day must say about each other.

use call::Command;
use model::cdr::CdrFold;
use model::ledger::Ledger;
use model::{AttemptId, CallId, Event, Fact, LegId};
use std::collections::BTreeSet;

/// The books of one day; a violation is a panic.
#[derive(Default)]
pub struct Books {
    pub calls_open: BTreeSet<CallId>,
    pub legs_open: BTreeSet<LegId>,
    pub attempts_open: BTreeSet<AttemptId>,
    /// Legs that may be commanded: arrived or dialled, and not ended.
    pub legs_known: BTreeSet<LegId>,
    pub cdr: CdrFold,
    pub ledger: Ledger,
    seq: u64,
    pub seen: BTreeSet<String>,
    outbound: BTreeSet<CallId>,
    offered: BTreeSet<CallId>,
}

impl Books {
    pub fn event(&mut self, event: &Event) {
        self.seq += 1;
        assert_eq!(event.seq, self.seq, "no gaps (E1)");
        self.cdr.apply(event);
        self.ledger.apply(event);
        assert_eq!(
            self.ledger.violations(),
            [],
            "the books find no fault with {event:?}"
        );
        let kind = event.fact.kind();
        self.seen.insert(match &event.fact {
            Fact::CallArrived { .. } => format!("{kind} inbound"),
            Fact::CallBridged { call, .. } if !self.outbound.contains(call) => {
                format!("{kind} inbound")
            }
            Fact::CallBridged { call, .. } if self.offered.contains(call) => {
                format!("{kind} outbound")
            }
            Fact::CallBridged { .. } => format!("{kind} preview"),
            Fact::AttemptEnded { outcome, .. } => format!("{kind} {}", outcome.name()),
            _ => kind.to_string(),
        });
        match event.fact {
            Fact::CallDialled { call, .. } => drop(self.outbound.insert(call)),
            Fact::OfferMade { call, .. } => drop(self.offered.insert(call)),
            _ => {}
        }
        match event.fact {
            Fact::CallArrived { call, .. } | Fact::CallDialled { call, .. } => {
                assert!(self.calls_open.insert(call), "{call} begins once");
            }
            Fact::CallEnded { call, .. } => {
                assert!(self.calls_open.remove(&call), "{call} ends once (R3)")
            }
            Fact::LegStarted { leg, .. } => {
                assert!(self.legs_open.insert(leg), "{leg} begins once")
            }
            Fact::LegEnded { leg, .. } => assert!(self.legs_open.remove(&leg), "{leg} ends once"),
            Fact::AttemptClaimed { attempt, .. } => {
                assert!(
                    self.attempts_open.insert(attempt),
                    "{attempt} is claimed once"
                );
            }
            Fact::AttemptEnded {
                attempt, outcome, ..
            } => {
                let known = self.attempts_open.remove(&attempt);
                assert!(known, "{attempt} ends once: {outcome:?}");
            }
            _ => {}
        }
    }

    pub fn command(&mut self, command: &Command) {
        let alive = |leg: &LegId| {
            assert!(
                self.legs_known.contains(leg),
                "{command:?} is about a leg that is gone"
            )
        };
        match command {
            Command::DialCustomer { leg, .. } | Command::DialAgent { leg, .. } => {
                assert!(self.legs_known.insert(*leg), "{leg} is dialled once");
            }
            Command::HangUpLeg { leg, .. } | Command::RejectLeg { leg, .. } => {
                assert!(self.legs_known.remove(leg), "{leg} is hung up once");
            }
            Command::CancelLeg { leg, .. }
            | Command::RingLeg { leg }
            | Command::AnswerLeg { leg }
            | Command::Play { leg, .. }
            | Command::StopPlay { leg, .. } => alive(leg),
            Command::Bridge { a, b } | Command::Unbridge { a, b } => {
                alive(a);
                alive(b);
            }
            Command::StartRecording {
                customer, agent, ..
            } => {
                alive(customer);
                alive(agent);
            }
            Command::StopRecording { .. }
            | Command::PopScreen(_)
            | Command::Lookup { .. }
            | Command::FetchLeads { .. }
            | Command::AddLead { .. }
            | Command::Claim { .. }
            | Command::Resolve { .. }
            | Command::ReturnLeads { .. }
            | Command::SaveLearned { .. }
            | Command::SaveQuota(_)
            | Command::StoreDisposition { .. }
            | Command::StoreDoNotCall { .. } => {}
        }
    }
}
