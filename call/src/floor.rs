//! What all calls share: the ACD, the dialer, the flows, the ids, and the outbox.
//!
//! A stage function of [`crate::life`] gets one call and the floor. What it tells acd or dialer is
//! handled at once; what they want done is queued and routed by the engine after the function has
//! returned, first in first out, so that no call is stepped inside another's step.

use crate::command::Command;
use crate::config::Config;
use acd::Acd;
use dialer::Dialer;
use ivr::Flow;
use model::event::{Attestation, AttestationSource};
use model::{
    AgentId, AttemptId, CallId, Event, Fact, FlowId, LeadId, LegId, LookupId, Mint, Now, OfferId,
    Outbox, PhoneNumber, PlayId, RecordingId, TrunkId,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// What the engine wants done and what has happened, in order.
#[derive(Debug, Default)]
pub struct EngineOutbox {
    /// To be carried out first in first out.
    pub commands: VecDeque<Command>,
    /// What happened.
    pub events: Vec<Event>,
}

/// What an agent handled last, for the disposition that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastCall {
    pub call: CallId,
    pub lead: Option<LeadId>,
    pub number: Option<PhoneNumber>,
}

/// See the module.
pub(crate) struct Floor {
    pub now: Now,
    pub config: Arc<Config>,
    pub acd: Acd,
    pub dialer: Dialer,
    pub flows: BTreeMap<FlowId, Arc<Flow>>,
    pub draining: bool,
    /// Records cannot be put away fast enough: no new calls.
    pub congested: bool,

    pub out: EngineOutbox,
    pub acd_out: Outbox<acd::Command>,
    pub dialer_out: Outbox<dialer::Command>,
    pub ivr_out: Outbox<ivr::Command>,

    // Look-ups only: nothing but `Engine::check` iterates them.
    pub call_of_leg: HashMap<LegId, CallId>,
    pub call_of_attempt: HashMap<AttemptId, CallId>,
    /// Legs that a carrier carries for the dialer.
    pub attempt_of_leg: HashMap<LegId, AttemptId>,
    /// Calls that previews and claims will become; no INVITE has been ordered yet.
    pub call_of_claim: HashMap<AttemptId, CallId>,
    pub call_of_offer: HashMap<OfferId, CallId>,
    pub call_of_lookup: HashMap<LookupId, CallId>,
    pub call_of_recording: HashMap<RecordingId, CallId>,
    /// The call an agent is offered, previews or talks on.
    pub call_of_agent: BTreeMap<AgentId, CallId>,
    pub last_call_of_agent: BTreeMap<AgentId, LastCall>,

    pub calls: Mint,
    pub legs: Mint,
    /// Plays and lookups of flows and of the engine.
    pub plays: Mint,
    pub recordings: Mint,
    pub seq: u64,
}

impl Floor {
    /// States a fact: the one place where events get their number.
    pub fn fact(&mut self, fact: Fact) {
        self.seq += 1;
        self.out.events.push(Event {
            seq: self.seq,
            at: self.now,
            fact,
        });
    }

    /// What the carrier of a call of ours signs it with, where the configuration says so.
    pub fn attest(&mut self, call: CallId, trunk: TrunkId) {
        if let Some(level) = self.config.attestations.get(&trunk).copied() {
            let source = AttestationSource::Trunk;
            let attestation = Attestation { level, source };
            self.fact(Fact::CallAttested { call, attestation });
        }
    }

    /// Asks the process for something.
    pub fn command(&mut self, command: Command) {
        self.out.commands.push_back(command);
    }

    /// Tells the ACD.
    pub fn tell_acd(&mut self, input: acd::Input) {
        self.acd.handle(self.now, input, &mut self.acd_out);
        for fact in std::mem::take(&mut self.acd_out.facts) {
            self.fact(fact);
        }
    }

    /// Tells the dialer.
    pub fn tell_dialer(&mut self, input: dialer::Input) {
        self.dialer.handle(self.now, input, &mut self.dialer_out);
        for fact in std::mem::take(&mut self.dialer_out.facts) {
            self.fact(fact);
        }
    }

    /// A number that is never to be called again, from now on and after a restart.
    pub fn do_not_call(&mut self, number: PhoneNumber) {
        self.command(Command::StoreDoNotCall { number });
        self.tell_dialer(dialer::Input::DoNotCall { number });
    }

    /// A new play.
    pub fn mint_play(&mut self) -> PlayId {
        PlayId(self.plays.next())
    }

    /// A leg of ours begins.
    pub fn begin_leg(&mut self, leg: LegId, call: CallId, role: model::event::Role) {
        self.take_leg(leg, call);
        self.fact(Fact::LegStarted { leg, call, role });
    }

    /// A leg of a feature code: no part of a customer's story.
    pub fn take_leg(&mut self, leg: LegId, call: CallId) {
        let before = self.call_of_leg.insert(leg, call);
        assert!(before.is_none(), "a leg id is used once: {leg}");
    }

    /// A leg is over; `hang_up` where the far end does not know yet.
    pub fn end_leg(&mut self, leg: LegId, call: CallId, cause: model::Cause, hang_up: bool) {
        self.drop_leg(leg, call, cause, hang_up);
        self.fact(Fact::LegEnded { leg, call, cause });
    }

    /// The end of what [`Floor::take_leg`] took.
    pub fn drop_leg(&mut self, leg: LegId, call: CallId, cause: model::Cause, hang_up: bool) {
        let known = self.call_of_leg.remove(&leg);
        assert_eq!(known, Some(call), "a leg ends once");
        if hang_up {
            self.command(Command::HangUpLeg { leg, cause });
        }
        if let Some(attempt) = self.attempt_of_leg.remove(&leg) {
            self.tell_dialer(dialer::Input::AttemptLegEnded { attempt });
        }
    }
}
