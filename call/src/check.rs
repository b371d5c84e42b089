//! What must hold between any two inputs, asserted: the calls, the maps of the floor, the ACD and
//! the dialer tell one story. Tests and simulations ask after every input; it costs a pass over all calls.

use crate::Engine;
use crate::life::Stage;
use model::screen_pop::Direction;
use model::{AgentId, AgentState, AttemptId, CallId, LegId, LookupId, Mono, OfferId, RecordingId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the maps should hold, read off the calls.
#[derive(Default)]
struct Expected {
    legs: BTreeMap<LegId, CallId>,
    offers: BTreeMap<OfferId, CallId>,
    attempts: BTreeMap<AttemptId, CallId>,
    claims: BTreeMap<AttemptId, CallId>,
    lookups: BTreeMap<LookupId, CallId>,
    recordings: BTreeMap<RecordingId, CallId>,
    agents: BTreeMap<AgentId, AgentState>,
    due: BTreeSet<(Mono, CallId)>,
    /// Calls that wait in a queue, and attempts that the dialer still counts.
    in_queues: usize,
    in_flight: usize,
    /// Attempts whom a flow speaks with, or will.
    in_flow: usize,
}

impl Engine {
    /// Asserts the consistency of the whole engine.
    pub fn check(&self) {
        let mut expected = Expected::default();
        for call in self.calls.values() {
            expected.note(call);
        }
        let floor = &self.floor;
        assert_eq!(sorted(&floor.call_of_leg), expected.legs, "legs");
        assert_eq!(sorted(&floor.call_of_offer), expected.offers, "offers");
        assert_eq!(
            sorted(&floor.call_of_attempt),
            expected.attempts,
            "attempts"
        );
        assert_eq!(sorted(&floor.call_of_lookup), expected.lookups, "lookups");
        assert_eq!(self.due, expected.due, "deadlines");
        for (recording, call) in &expected.recordings {
            let known = floor.call_of_recording.get(recording);
            assert!(
                known.is_none_or(|known| known == call),
                "{recording} is of {call}"
            );
        }
        for (attempt, call) in &expected.claims {
            assert_eq!(
                floor.call_of_claim.get(attempt),
                Some(call),
                "a preview will be claimed"
            );
        }
        for (attempt, call) in &sorted(&floor.call_of_claim) {
            let is_preview = expected.claims.contains_key(attempt);
            assert!(
                is_preview || !self.calls.contains_key(call),
                "{attempt} is claimed, not a call yet"
            );
        }
        let agents: BTreeMap<AgentId, CallId> = expected
            .agents
            .iter()
            .filter_map(|(agent, is)| Some((*agent, is.call()?)))
            .collect();
        assert_eq!(floor.call_of_agent, agents, "agents");
        for agent in floor.config.acd.agents.keys() {
            let is = floor.acd.agent_state(*agent).expect("it is configured");
            match (is, expected.agents.get(agent)) {
                (AgentState::Offered(_) | AgentState::OnCall(_), expected) => {
                    assert_eq!(expected, Some(&is), "{agent} is busy with a live call");
                }
                (
                    AgentState::SignedOut
                    | AgentState::NotReady(_)
                    | AgentState::Available
                    | AgentState::WrapUp(_)
                    | AgentState::Unreachable,
                    expected,
                ) => assert_eq!(expected, None, "{agent} is {is:?}, no call has them"),
            }
        }
        let waiting: usize = floor
            .config
            .acd
            .queues
            .keys()
            .map(|queue| floor.acd.waiting_now(*queue))
            .sum();
        assert_eq!(waiting, expected.in_queues, "visits");
        assert_eq!(
            floor.dialer.attempts_in_flow(),
            expected.in_flow,
            "attempts in flows"
        );
        let attempts = expected.in_flight + floor.call_of_claim.len();
        assert_eq!(
            floor.dialer.live_attempts(),
            attempts,
            "attempts of the dialer"
        );
    }

    /// Recordings that are not known to be on disk. The process answers for each of them.
    pub fn recordings_pending(&self) -> usize {
        self.floor.call_of_recording.len()
    }
}

impl Expected {
    fn note(&mut self, call: &crate::call::Call) {
        let id = call.id;
        let mut agent_is = |agent, is| {
            assert_eq!(
                self.agents.insert(agent, is),
                None,
                "{agent} has one call (R1)"
            );
        };
        let mut leg_is = |leg| {
            assert_eq!(self.legs.insert(leg, id), None, "{leg} is of one call");
        };
        if !matches!(call.stage, Stage::Previewing(_)) {
            leg_is(call.leg);
        }
        let previewed_by = call.dial.as_ref().and_then(|dial| dial.agent);
        match &call.stage {
            Stage::Previewing(preview) => {
                agent_is(preview.agent, AgentState::Offered(id));
                self.claims.insert(preview.attempt, id);
                self.offers.insert(preview.offer, id);
            }
            Stage::Dialing { .. } | Stage::GivingUp { .. } | Stage::Classifying { .. } => {
                previewed_by
                    .into_iter()
                    .for_each(|agent| agent_is(agent, AgentState::Offered(id)));
                self.in_flight += 1;
                let is_answered = matches!(call.stage, Stage::Classifying { .. });
                let speaks = call.dial.as_ref().is_some_and(|dial| dial.flow.is_some());
                self.in_flow += usize::from(is_answered && speaks);
            }
            Stage::InFlow(session) => {
                assert!(!session.is_over(), "a flow that is over is left");
                let is_attempt = call.attempt().is_some() && !call.abandoned;
                self.in_flight += usize::from(is_attempt);
                self.in_flow += usize::from(is_attempt);
            }
            Stage::LeavingMessage { .. } => self.in_flight += 1,
            Stage::Waiting(visit) | Stage::Offered(visit) => {
                let is_offered = matches!(call.stage, Stage::Offered(_));
                assert_eq!(
                    is_offered,
                    !visit.offers.is_empty(),
                    "{id} is offered to somebody or waits"
                );
                for offer in &visit.offers {
                    agent_is(offer.agent, AgentState::Offered(id));
                    self.offers.insert(offer.offer, id);
                    offer.leg.into_iter().for_each(&mut leg_is);
                }
                self.in_queues += 1;
                self.in_flight += usize::from(call.direction == Direction::Outbound);
            }
            Stage::Connecting { agent, leg, .. } => {
                agent_is(*agent, AgentState::Offered(id));
                leg_is(*leg);
                self.in_flight += 1;
            }
            Stage::Talking(talk) | Stage::OnHold(talk) => {
                agent_is(talk.agent, AgentState::OnCall(id));
                leg_is(talk.leg);
                self.recordings
                    .extend(talk.recording.map(|recording| (recording, id)));
            }
            Stage::Parting { .. } => {}
            Stage::Over => panic!("{id} is over and kept"),
        }
        self.attempts
            .extend(call.attempt().map(|attempt| (attempt, id)));
        self.lookups.extend(call.lookup.map(|lookup| (lookup, id)));
        assert_eq!(
            call.due,
            call.next_deadline(),
            "the deadline of {id} is noted"
        );
        self.due.extend(call.due.map(|at| (at, id)));
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what comes out is in order again"
)]
fn sorted<K: Ord + Copy>(map: &HashMap<K, CallId>) -> BTreeMap<K, CallId> {
    map.iter().map(|(key, call)| (*key, *call)).collect()
}
