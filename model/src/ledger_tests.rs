//! The books over days of random calls, right and wrong.

use super::*;
use crate::cdr::CdrFold;
use crate::event::{OfferFailure, Party, Withdrawal};
use crate::screen_pop::{Direction, PopPhase};
use crate::{Cause, Now, Rng};
use proptest::prelude::*;
use std::time::Duration;

/// Writes the events of a well-run day: one agent, calls after each other.
struct Day {
    rng: Rng,
    now: Now,
    events: Vec<Event>,
    state: AgentState,
    since: Now,
    id: u64,
}

fn agent() -> AgentId {
    "anna".parse().unwrap()
}

impl Day {
    fn of(seed: u64, calls: u64) -> Vec<Event> {
        let mut day = Day {
            rng: Rng::new(seed),
            now: Now::default(),
            events: Vec::new(),
            state: AgentState::SignedOut,
            since: Now::default(),
            id: 0,
        };
        day.say(Fact::EngineStarted {
            boot: 0,
            version: "test".into(),
            attempts_unknown: 0,
        });
        day.agent(AgentState::Available);
        for _ in 0..calls {
            match day.rng.chance(0.5) {
                true => day.inbound(),
                false => day.outbound(),
            }
        }
        day.events
    }

    fn next(&mut self) -> u64 {
        self.id += 1;
        self.id
    }

    fn say(&mut self, fact: Fact) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event {
            seq,
            at: self.now,
            fact,
        });
        let step = self.rng.below(2_000_000);
        self.now = self.now.plus(Duration::from_micros(step));
    }

    fn agent(&mut self, is: AgentState) {
        let was_for_us = (self.now.mono - self.since.mono).as_micros() as u64;
        let was = std::mem::replace(&mut self.state, is);
        self.since = self.now;
        self.say(Fact::AgentStateChanged {
            agent: agent(),
            was,
            is,
            was_for_us,
        });
    }

    fn inbound(&mut self) {
        let (call, leg) = (CallId(self.next()), LegId(self.next()));
        let trunk = "carrier".parse().unwrap();
        let (caller, called) = ("+4930123456".to_string(), "+49800".to_string());
        self.say(Fact::CallArrived {
            call,
            leg,
            trunk,
            caller,
            caller_name: None,
            called,
        });
        self.say(Fact::LegStarted {
            leg,
            call,
            role: Role::Customer,
        });
        self.say(Fact::LegAnswered { leg, call });
        self.queue(call, leg, Direction::Inbound);
        self.end(call, leg, Direction::Inbound);
    }

    fn outbound(&mut self) {
        let (call, leg, attempt) = (
            CallId(self.next()),
            LegId(self.next()),
            AttemptId(self.next()),
        );
        let lead = LeadId(self.rng.below(5));
        let campaign = "spring".parse().unwrap();
        let number = "+4930123456".parse().unwrap();
        self.say(Fact::AttemptClaimed {
            attempt,
            campaign,
            lead,
            list: "a".parse().unwrap(),
            number,
            basis: None,
        });
        let trunk = "carrier".parse().unwrap();
        let caller_id = "+4980".to_string();
        self.say(Fact::CallDialled {
            call,
            leg,
            trunk,
            campaign,
            attempt,
            lead,
            number,
            caller_id,
        });
        self.say(Fact::LegStarted {
            leg,
            call,
            role: Role::Customer,
        });
        let outcome = match self.rng.chance(0.3) {
            true => {
                self.say(Fact::LegAnswered { leg, call });
                self.say(Fact::AttemptAnswered { attempt, campaign });
                match self.queue(call, leg, Direction::Outbound) {
                    true => AttemptOutcome::AnsweredAgent,
                    false => AttemptOutcome::Abandoned,
                }
            }
            false => AttemptOutcome::NoAnswer,
        };
        self.end(call, leg, Direction::Outbound);
        self.say(Fact::AttemptEnded {
            attempt,
            campaign,
            lead,
            outcome,
            cause: None,
            rang_us: 0,
            next_at: None,
        });
    }

    /// Waits, is offered, and is perhaps bridged.
    fn queue(&mut self, call: CallId, customer: LegId, direction: Direction) -> bool {
        let queue: QueueId = "sales".parse().unwrap();
        self.say(Fact::QueueEntered {
            call,
            queue,
            direction,
            priority: 0,
            skills: vec![],
        });
        let offer = OfferId(self.next());
        self.say(Fact::OfferMade {
            offer,
            call,
            agent: agent(),
            queue,
            waited_us: 0,
        });
        self.agent(AgentState::Offered(call));
        let phase = PopPhase::Offer;
        self.say(Fact::ScreenPopped {
            offer,
            call,
            agent: agent(),
            phase,
            on_socket: true,
            took_us: 90,
        });
        let leg = LegId(self.next());
        self.say(Fact::LegStarted {
            leg,
            call,
            role: Role::Agent,
        });
        let outcome = match self.rng.below(3) {
            0 => {
                self.say(Fact::OfferFailed {
                    offer,
                    call,
                    agent: agent(),
                    why: OfferFailure::Timeout,
                });
                self.agent(AgentState::Available);
                QueueOutcome::Abandoned
            }
            1 => {
                self.say(Fact::OfferWithdrawn {
                    offer,
                    call,
                    agent: agent(),
                    why: Withdrawal::CallerLeft,
                });
                self.agent(AgentState::Available);
                QueueOutcome::Abandoned
            }
            _ => {
                self.say(Fact::LegAnswered { leg, call });
                self.say(Fact::OfferAnswered {
                    offer,
                    call,
                    agent: agent(),
                    rang_us: 5,
                });
                self.say(Fact::CallBridged {
                    call,
                    agent: agent(),
                    customer_leg: customer,
                    agent_leg: leg,
                });
                self.agent(AgentState::OnCall(call));
                QueueOutcome::Answered
            }
        };
        self.say(Fact::QueueLeft {
            call,
            queue,
            direction,
            outcome,
            waited_us: 0,
            short: false,
            during_offer: false,
            within_target: true,
        });
        if outcome == QueueOutcome::Answered {
            self.say(Fact::CallUnbridged {
                call,
                agent: agent(),
            });
            self.agent(AgentState::WrapUp(call));
            self.agent(AgentState::Available);
        }
        self.say(Fact::LegEnded {
            leg,
            call,
            cause: Cause::Normal,
        });
        outcome == QueueOutcome::Answered
    }

    fn end(&mut self, call: CallId, leg: LegId, direction: Direction) {
        self.say(Fact::LegEnded {
            leg,
            call,
            cause: Cause::Normal,
        });
        self.say(Fact::CallEnded {
            call,
            direction,
            by: Party::Customer,
            cause: Cause::Normal,
        });
    }
}

fn audit(events: &[Event]) -> Ledger {
    let mut ledger = Ledger::new();
    events.iter().for_each(|event| ledger.apply(event));
    ledger
}

fn balanced(ledger: &Ledger) -> bool {
    ledger
        .residuals()
        .iter()
        .all(|(_, residual)| *residual == 0)
}

fn renumbered(mut events: Vec<Event>) -> Vec<Event> {
    for (event, seq) in events.iter_mut().zip(1..) {
        event.seq = seq;
    }
    events
}

/// Facts that open or close something; doubling one must be noticed.
fn is_booked(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::CallArrived { .. }
            | Fact::CallDialled { .. }
            | Fact::CallEnded { .. }
            | Fact::LegStarted { .. }
            | Fact::LegEnded { .. }
            | Fact::QueueEntered { .. }
            | Fact::QueueLeft { .. }
            | Fact::OfferMade { .. }
            | Fact::OfferAnswered { .. }
            | Fact::OfferFailed { .. }
            | Fact::OfferWithdrawn { .. }
            | Fact::AttemptClaimed { .. }
            | Fact::AttemptEnded { .. }
            | Fact::AgentStateChanged { .. }
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_well_run_day_balances_after_every_event_and_breaks_no_rule(seed: u64, calls in 1u64..40) {
        let mut ledger = Ledger::new();
        let mut records = CdrFold::new();
        let mut given = 0;
        for event in Day::of(seed, calls) {
            ledger.apply(&event);
            given += u64::from(records.apply(&event).is_some());
            prop_assert!(balanced(&ledger), "{:?} after {:?}", ledger.residuals(), event);
        }
        prop_assert_eq!(ledger.violations(), &[][..]);
        prop_assert!(ledger.live().iter().all(|(_, live)| *live == 0), "{:?}", ledger.live());
        prop_assert_eq!(given, calls);
        prop_assert_eq!(records.open_calls(), 0);
    }

    #[test]
    fn a_doubled_beginning_or_end_is_noticed(seed: u64, at: prop::sample::Index) {
        let mut events = Day::of(seed, 8);
        let booked: Vec<usize> =
            events.iter().enumerate().filter(|(_, e)| is_booked(&e.fact)).map(|(i, _)| i).collect();
        let which = booked[at.index(booked.len())];
        // An agent's first change states where the books begin, and cannot be torn.
        prop_assume!(which > 1);
        let doubled = events[which].clone();
        events.insert(which, doubled);
        prop_assert!(audit(&renumbered(events)).violations_total() > 0);
    }

    #[test]
    fn a_missing_end_stays_live(seed: u64, at: prop::sample::Index) {
        let mut events = Day::of(seed, 8);
        let ends: Vec<usize> = events
            .iter()
            .enumerate()
            .filter(|(_, e)| e.fact.kind().ends_with(".ended") || e.fact.kind() == "queue.left")
            .map(|(i, _)| i)
            .collect();
        events.remove(ends[at.index(ends.len())]);
        let ledger = audit(&renumbered(events));
        prop_assert!(ledger.live().iter().any(|(_, live)| *live > 0));
        prop_assert!(balanced(&ledger));
    }
}

/// The day with every event of that kind moved behind its successor.
fn swapped(kind: &str) -> Vec<Event> {
    let mut events = Day::of(3, 30);
    let mut at = 0;
    while at + 1 < events.len() {
        if events[at].fact.kind() == kind {
            let (first, second) = (events[at].at, events[at + 1].at);
            events.swap(at, at + 1);
            (events[at].at, events[at + 1].at) = (first, second);
            at += 1;
        }
        at += 1;
    }
    renumbered(events)
}

fn breaks(events: &[Event], rule: Rule) -> bool {
    audit(events)
        .violations()
        .iter()
        .any(|violation| violation.rule == rule)
}

#[test]
fn a_phone_called_before_the_screen_was_told_is_a_violation() {
    assert!(breaks(
        &swapped("offer.screen_popped"),
        Rule::InviteBeforePop
    ));
}

#[test]
fn an_invite_before_its_durable_claim_is_a_violation() {
    assert!(breaks(
        &swapped("attempt.claimed"),
        Rule::InviteWithoutClaim
    ));
}

#[test]
fn a_lost_event_is_a_gap() {
    let mut events = Day::of(1, 3);
    events.remove(5);
    assert!(breaks(&events, Rule::SeqGap));
}

#[test]
fn an_offer_to_an_agent_in_wrap_up_is_a_violation() {
    let mut events = Day::of(3, 30);
    events.retain(|event| {
        !matches!(
            event.fact,
            Fact::AgentStateChanged {
                was: AgentState::WrapUp(_),
                ..
            }
        )
    });
    assert!(breaks(&renumbered(events), Rule::OfferToUnavailable));
}

#[test]
fn a_bridge_of_an_unanswered_leg_is_a_violation() {
    let mut events = Day::of(3, 30);
    events.retain(|event| !matches!(event.fact, Fact::LegAnswered { .. }));
    assert!(breaks(&renumbered(events), Rule::BridgedUnanswered));
}

#[test]
fn what_a_crash_cut_off_is_lost_and_the_books_still_balance() {
    let first = Day::of(5, 6);
    let cut = first
        .iter()
        .position(|e| matches!(e.fact, Fact::OfferMade { .. }))
        .unwrap();
    let events: Vec<Event> = first[..=cut].iter().cloned().chain(Day::of(6, 3)).collect();
    let ledger = audit(&events);
    assert!(balanced(&ledger));
    assert_eq!(ledger.violations(), &[]);
    assert_eq!(ledger.calls.lost, 1);
}
