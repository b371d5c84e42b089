//! The life of a call: one enum of stages, one function per stage.
//!
//! ```text
//! inbound   (arrives) ─► InFlow ─► Waiting ─► Offered ─► Talking ◄─► OnHold
//!                          │          ▲  │        │ ▲        │
//!                          │ hang up  │  └ rule ─►│ └ failed │ hang up
//!                          ▼          │ overflow  ▼ offer    ▼
//!                        Parting ◄────┴──────── Waiting    Over ─► (the agent's wrap-up is the ACD's)
//!
//! outbound  Dialing ─► Classifying ─► Waiting ─► Offered ─► Talking
//!             │ busy…      │ machine     │ no agent in time
//!             ▼            ▼             ▼
//!            Over         Over         Parting (the abandonment message) ─► Over
//! preview   Previewing ─► Dialing ─► Connecting (the agent who previewed) ─► Talking
//! ```
//!
//! A stage function is handed the call, the stage's own data, what was seen, and the floor; it
//! returns the next stage. It never waits: whatever it asks for comes back as a later sight.

use crate::command::Command;
use crate::floor::{Floor, LastCall};
use acd::command::Next;
use acd::input::SkillNeed;
use dialer::command::Dial;
use ivr::Session;
use model::event::{OfferFailure, Party, Role, Verdict, Withdrawal};
use model::screen_pop::{Direction, PopPhase};
use model::{
    AgentId, CallId, CampaignId, Cause, Fact, FlowId, LegId, LookupId, Mono, OfferId, PlayId, QueueId,
    QueueOutcome, RecordingId, ScreenPop, SkillId,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// The phone rings without the screen after this: a screen that stalls never holds a call up (R20).
pub const SCREEN_POP_WAIT: Duration = Duration::from_millis(60);
/// Person or machine must be known this long after the answer; then it is taken for a person, so
/// that an agent can still be connected within the two seconds of 47 CFR 64.1200(a)(7).
pub const CLASSIFY_WAIT: Duration = Duration::from_millis(1_500);
/// Last words end after this even if the media never says so.
pub const PARTING_MAX: Duration = Duration::from_secs(30);

/// Where a call is in its life.
pub(crate) enum Stage {
    /// An agent looks at the lead; nothing was dialled.
    Previewing { agent: AgentId },
    /// The customer's phone is being called.
    Dialing { give_up: Mono },
    /// Someone or something answered; listening who.
    Classifying { until: Mono },
    /// A flow talks with the caller.
    InFlow(Box<Session>),
    /// In a queue, nobody's phone rings.
    Waiting(Visit),
    /// In a queue, at least one agent is being reached.
    Offered(Visit),
    /// The agent who previewed is being reached.
    Connecting { agent: AgentId, leg: LegId, until: Mono },
    /// Customer and agent hear each other.
    Talking(Talk),
    /// One of them does not.
    OnHold(Talk, Party),
    /// Last words, then hang up.
    Parting { play: PlayId, until: Mono },
    /// Nothing follows.
    Over,
}

/// A visit to a queue.
pub(crate) struct Visit {
    queue: QueueId,
    offers: Vec<Offer>,
}

/// One agent being reached.
struct Offer {
    offer: OfferId,
    agent: AgentId,
    made: Mono,
    /// When the phone rings even if the screen has not answered.
    pop_due: Mono,
    ring_timeout: Duration,
    leg: Option<LegId>,
}

/// A conversation.
pub(crate) struct Talk {
    agent: AgentId,
    leg: LegId,
    queue: QueueId,
    recording: Option<RecordingId>,
    /// Other offers of this call (ring-all), until the ACD takes them back.
    losers: Vec<Offer>,
}

/// One call.
pub(crate) struct Call {
    pub id: CallId,
    pub direction: Direction,
    /// The customer's leg; an agent's for a feature code.
    pub leg: LegId,
    pub caller: String,
    pub caller_name: Option<String>,
    pub called: String,
    /// What the dialer asked for; outbound only.
    pub dial: Option<Box<Dial>>,
    pub stage: Stage,
    pub answered: Option<Mono>,
    /// No call lives beyond this.
    pub expires: Mono,
    /// The engine's note of the deadline it has queued.
    pub due: Option<Mono>,
    /// A feature code: not a customer contact, not in the books of calls.
    pub is_service: bool,
    /// What plays on the customer's leg.
    playing: Option<PlayId>,
    story: Story,
}

/// What the screen pop tells.
#[derive(Default)]
struct Story {
    flow: Option<FlowId>,
    ivr_path: Vec<String>,
    variables: BTreeMap<String, String>,
    priority: i16,
    skills: Vec<SkillId>,
}

/// What happened on a leg.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LegFact {
    Ringing,
    Answered,
    /// It will not be answered.
    Failed(Cause),
    /// It was up and is over.
    Ended(Cause),
    Held(bool),
    MediaLost,
}

/// What an agent wants of the current call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    HangUp,
    Hold(bool),
    Decline,
}

/// What a call is told.
pub(crate) enum Seen {
    Customer(LegFact),
    Agent(LegId, LegFact),
    Digit(char),
    PromptFinished(PlayId),
    Classified(Verdict),
    LookedUp(LookupId, Result<BTreeMap<String, String>, String>),
    ScreenPopped { offer: OfferId, on_socket: bool },
    OfferMade { offer: OfferId, agent: AgentId, ring_timeout: Duration, waited: Duration },
    OfferWithdrawn { offer: OfferId, why: Withdrawal },
    LeftQueue { outcome: QueueOutcome, next: Next },
    Wish(AgentId, Wish),
    /// The dialer gives a ringing call up.
    CancelDial,
    /// The preview became a claimed attempt.
    Dial(Box<Dial>),
    Tick,
}

/// Steps one call.
pub(crate) fn step(call: &mut Call, seen: Seen, floor: &mut Floor) {
    let stage = std::mem::replace(&mut call.stage, Stage::Over);
    let expired = floor.now.mono >= call.expires && matches!(seen, Seen::Tick);
    call.stage = if expired {
        wind_up(call, stage, Party::System, Cause::SystemFailed, floor)
    } else {
        match stage {
            Stage::Previewing { agent } => previewing(call, agent, seen, floor),
            Stage::Dialing { give_up } => dialing(call, give_up, seen, floor),
            Stage::Classifying { until } => classifying(call, until, seen, floor),
            Stage::InFlow(session) => in_flow(call, session, seen, floor),
            Stage::Waiting(visit) => waiting(call, visit, seen, floor),
            Stage::Offered(visit) => offered(call, visit, seen, floor),
            Stage::Connecting { agent, leg, until } => connecting(call, agent, leg, until, seen, floor),
            Stage::Talking(talk) => talking(call, talk, seen, floor),
            Stage::OnHold(talk, by) => on_hold(call, talk, by, seen, floor),
            Stage::Parting { play, until } => parting(call, play, until, seen, floor),
            Stage::Over => Stage::Over,
        }
    };
}

impl Call {
    /// A call between `caller` and `called` whose stage is not decided yet.
    pub fn new(id: CallId, direction: Direction, leg: LegId, caller: String, called: String, floor: &Floor) -> Call {
        Call {
            id,
            direction,
            leg,
            caller,
            caller_name: None,
            called,
            dial: None,
            stage: Stage::Over,
            answered: None,
            expires: floor.now.mono + Duration::from_millis(floor.config.call_ms_max),
            due: None,
            is_service: false,
            playing: None,
            story: Story::default(),
        }
    }

    /// When the call wants a tick.
    pub fn next_deadline(&self) -> Option<Mono> {
        let of_stage = match &self.stage {
            Stage::Dialing { give_up } => Some(*give_up),
            Stage::Classifying { until } | Stage::Connecting { until, .. } | Stage::Parting { until, .. } => Some(*until),
            Stage::InFlow(session) => session.next_deadline().map(|(at, _)| at),
            Stage::Offered(visit) => visit.offers.iter().filter(|o| o.leg.is_none()).map(|o| o.pop_due).min(),
            Stage::Previewing { .. } | Stage::Waiting(_) | Stage::Talking(_) | Stage::OnHold(..) => None,
            Stage::Over => return None,
        };
        Some(of_stage.map_or(self.expires, |at| at.min(self.expires)))
    }

    /// The name of the stage, for the API and for faults.
    pub fn stage_name(&self) -> &'static str {
        match &self.stage {
            Stage::Previewing { .. } => "previewing",
            Stage::Dialing { .. } => "dialing",
            Stage::Classifying { .. } => "classifying",
            Stage::InFlow(_) => "in_flow",
            Stage::Waiting(_) => "waiting",
            Stage::Offered(_) => "offered",
            Stage::Connecting { .. } => "connecting",
            Stage::Talking(_) => "talking",
            Stage::OnHold(..) => "on_hold",
            Stage::Parting { .. } => "parting",
            Stage::Over => "over",
        }
    }

    fn attempt(&self) -> Option<model::AttemptId> {
        self.dial.as_ref().map(|dial| dial.attempt)
    }
}

/// A customer calls: to a flow, a queue, or away.
pub(crate) fn arrive(call: &mut Call, trunk: model::TrunkId, floor: &mut Floor) {
    floor.fact(Fact::CallArrived {
        call: call.id,
        leg: call.leg,
        trunk,
        caller: call.caller.clone(),
        caller_name: call.caller_name.clone(),
        called: call.called.clone(),
    });
    floor.begin_leg(call.leg, call.id, Role::Customer);
    let config = floor.config.clone();
    call.stage = match config.route(trunk, &call.called) {
        None => refuse(call, Cause::Unallocated, floor),
        Some(route) => {
            answer(call, floor);
            match (route.flow, route.queue) {
                (Some(flow), _) => enter_flow(call, flow, floor),
                (None, Some(queue)) => enter_queue(call, queue, 0, Vec::new(), floor),
                (None, None) => part(call, None, floor),
            }
        }
    };
}

/// Refuses an arrived call before it is answered.
pub(crate) fn refuse(call: &mut Call, cause: Cause, floor: &mut Floor) -> Stage {
    floor.command(Command::RejectLeg { leg: call.leg, cause });
    floor.end_leg(call.leg, call.id, cause, false);
    floor.fact(Fact::CallEnded { call: call.id, direction: call.direction, by: Party::System, cause });
    Stage::Over
}

/// Answers an agent's feature code, says so with a prompt, and hangs up.
pub(crate) fn serve_feature_code(call: &mut Call, prompt: &str, floor: &mut Floor) {
    floor.begin_leg(call.leg, call.id, Role::Agent);
    answer(call, floor);
    call.stage = part(call, Some(prompt.to_string()), floor);
}

/// Calls a customer for the dialer.
pub(crate) fn dial(call: &mut Call, dial: Box<Dial>, floor: &mut Floor) {
    floor.begin_leg(call.leg, call.id, Role::Customer);
    floor.fact(Fact::CallDialled {
        call: call.id,
        leg: call.leg,
        trunk: dial.trunk,
        campaign: dial.campaign,
        attempt: dial.attempt,
        lead: dial.lead.id,
        number: dial.number,
        caller_id: dial.caller_id.clone(),
    });
    floor.command(Command::DialCustomer {
        leg: call.leg,
        call: call.id,
        trunk: dial.trunk,
        number: dial.number,
        caller_id: dial.caller_id.clone(),
        attempt: dial.attempt,
        ring_timeout: dial.ring_timeout,
        classify: dial.classify,
    });
    call.stage = Stage::Dialing { give_up: floor.now.mono + dial.ring_timeout };
    call.caller = dial.number.to_string();
    call.called = dial.caller_id.clone();
    call.caller_name = dial.lead.name.clone();
    call.dial = Some(dial);
}

/// Shows a lead to an agent before it is dialled.
pub(crate) fn preview(call: &mut Call, agent: AgentId, campaign: CampaignId, attempt: model::AttemptId, lead: Box<model::Lead>, floor: &mut Floor) {
    call.stage = Stage::Previewing { agent };
    let pop = ScreenPop {
        phase: PopPhase::Preview,
        direction: Direction::Outbound,
        caller: lead.number().to_string(),
        caller_name: lead.name.clone(),
        campaign: Some(campaign),
        attempt: Some(attempt),
        lead: Some(lead),
        ..bare_pop(call, PREVIEW_OFFER, agent, Duration::ZERO)
    };
    floor.command(Command::PopScreen(Box::new(pop)));
}

/// Previews are pops without an offer; the ACD mints offers from 1.
const PREVIEW_OFFER: OfferId = OfferId(0);

// ---- the stages, in the order a call goes through them

fn previewing(call: &mut Call, agent: AgentId, seen: Seen, floor: &mut Floor) -> Stage {
    match seen {
        Seen::Dial(order) => {
            dial(call, order, floor);
            std::mem::replace(&mut call.stage, Stage::Over)
        }
        // The preview was skipped, ran out, or its lead may not be dialled.
        Seen::CancelDial => {
            floor.tell_acd(acd::Input::Release { agent, call: call.id });
            floor.call_of_agent.remove(&agent);
            Stage::Over
        }
        Seen::Customer(_)
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::Tick => Stage::Previewing { agent },
    }
}

fn dialing(call: &mut Call, give_up: Mono, seen: Seen, floor: &mut Floor) -> Stage {
    let attempt = call.attempt().expect("only outbound calls dial");
    match seen {
        Seen::Customer(LegFact::Ringing) => {
            floor.fact(Fact::LegRinging { leg: call.leg, call: call.id });
            floor.tell_dialer(dialer::Input::AttemptRinging { attempt });
            Stage::Dialing { give_up }
        }
        Seen::Customer(LegFact::Answered) => {
            call.answered = Some(floor.now.mono);
            floor.fact(Fact::LegAnswered { leg: call.leg, call: call.id });
            floor.tell_dialer(dialer::Input::AttemptAnswered { attempt });
            if call.dial.as_ref().is_some_and(|dial| dial.classify) {
                Stage::Classifying { until: floor.now.mono + CLASSIFY_WAIT }
            } else {
                connect(call, floor)
            }
        }
        Seen::Customer(LegFact::Failed(cause) | LegFact::Ended(cause)) => {
            wind_up(call, Stage::Dialing { give_up }, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, Stage::Dialing { give_up }, Party::System, Cause::MediaLost, floor)
        }
        Seen::CancelDial => wind_up(call, Stage::Dialing { give_up }, Party::System, Cause::Cancelled, floor),
        Seen::Tick if floor.now.mono >= give_up => {
            wind_up(call, Stage::Dialing { give_up }, Party::System, Cause::NoAnswer, floor)
        }
        Seen::Tick
        | Seen::Customer(LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::Dial(_) => Stage::Dialing { give_up },
    }
}

fn classifying(call: &mut Call, until: Mono, seen: Seen, floor: &mut Floor) -> Stage {
    let attempt = call.attempt().expect("only outbound calls are classified");
    match seen {
        Seen::Classified(verdict) => {
            floor.fact(Fact::CallClassified { call: call.id, verdict });
            floor.tell_dialer(dialer::Input::AttemptClassified { attempt, verdict });
            match verdict {
                Verdict::Person => connect(call, floor),
                // The dialer has booked the attempt as a machine's.
                Verdict::Machine | Verdict::Fax => {
                    wind_up(call, Stage::Parting { play: PlayId(0), until }, Party::System, Cause::Normal, floor)
                }
            }
        }
        Seen::Tick if floor.now.mono >= until => {
            floor.tell_dialer(dialer::Input::AttemptClassified { attempt, verdict: Verdict::Person });
            connect(call, floor)
        }
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, Stage::Classifying { until }, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, Stage::Classifying { until }, Party::System, Cause::MediaLost, floor)
        }
        Seen::Tick
        | Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::CancelDial
        | Seen::Dial(_) => Stage::Classifying { until },
    }
}

fn in_flow(call: &mut Call, mut session: Box<Session>, seen: Seen, floor: &mut Floor) -> Stage {
    let input = match seen {
        Seen::Digit(digit) => ivr::Input::Digit(digit),
        Seen::PromptFinished(play) => {
            if call.playing == Some(play) {
                call.playing = None;
            }
            ivr::Input::PromptFinished { play }
        }
        Seen::LookedUp(lookup, result) => ivr::Input::LookupAnswered { lookup, result },
        Seen::Tick => ivr::Input::Tick,
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            return wind_up(call, Stage::InFlow(session), Party::Customer, cause, floor);
        }
        Seen::Customer(LegFact::MediaLost) => {
            return wind_up(call, Stage::InFlow(session), Party::System, Cause::MediaLost, floor);
        }
        Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Classified(_)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::CancelDial
        | Seen::Dial(_) => return Stage::InFlow(session),
    };
    let now = floor.now;
    session.handle(now, input, &mut floor.plays, &mut floor.ivr_out);
    carry_out_flow(call, session, floor)
}

fn waiting(call: &mut Call, mut visit: Visit, seen: Seen, floor: &mut Floor) -> Stage {
    match seen {
        Seen::OfferMade { offer, agent, ring_timeout, waited } => {
            visit.offers.push(make_offer(call, &visit, offer, agent, ring_timeout, waited, floor));
            Stage::Offered(visit)
        }
        Seen::LeftQueue { outcome, next } => leave_queue(call, outcome, next, floor),
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, Stage::Waiting(visit), Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, Stage::Waiting(visit), Party::System, Cause::MediaLost, floor)
        }
        Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::Wish(..)
        | Seen::CancelDial
        | Seen::Dial(_)
        | Seen::Tick => Stage::Waiting(visit),
    }
}

fn offered(call: &mut Call, mut visit: Visit, seen: Seen, floor: &mut Floor) -> Stage {
    match seen {
        Seen::ScreenPopped { offer, on_socket } => {
            if let Some(at) = visit.offers.iter().position(|o| o.offer == offer && o.leg.is_none()) {
                ring_agent(call, visit.queue, &mut visit.offers[at], on_socket, floor);
            }
            Stage::Offered(visit)
        }
        Seen::Tick => {
            let Visit { queue, offers } = &mut visit;
            let now = floor.now.mono;
            for offer in offers.iter_mut().filter(|o| o.leg.is_none() && now >= o.pop_due) {
                ring_agent(call, *queue, offer, false, floor);
            }
            Stage::Offered(visit)
        }
        Seen::Agent(leg, LegFact::Ringing) => {
            floor.fact(Fact::LegRinging { leg, call: call.id });
            Stage::Offered(visit)
        }
        Seen::Agent(leg, LegFact::Answered) => {
            let at = visit.offers.iter().position(|o| o.leg == Some(leg)).expect("the leg belongs to an offer");
            let offer = visit.offers.remove(at);
            floor.fact(Fact::LegAnswered { leg, call: call.id });
            floor.tell_acd(acd::Input::OfferAnswered { offer: offer.offer });
            let talk = bridge(call, offer.agent, leg, visit.queue, visit.offers, floor);
            floor.tell_acd(acd::Input::Bridged { offer: offer.offer });
            floor.call_of_offer.remove(&offer.offer);
            Stage::Talking(talk)
        }
        Seen::Agent(leg, LegFact::Failed(cause) | LegFact::Ended(cause)) => {
            fail_offer(call, &mut visit, leg, cause, false, floor);
            waiting_or_offered(visit)
        }
        Seen::Agent(leg, LegFact::MediaLost) => {
            fail_offer(call, &mut visit, leg, Cause::MediaLost, true, floor);
            waiting_or_offered(visit)
        }
        Seen::Wish(agent, Wish::Decline | Wish::HangUp) => {
            if let Some(at) = visit.offers.iter().position(|o| o.agent == agent) {
                let offer = visit.offers.remove(at);
                drop_offer(call, &offer, Cause::Rejected, floor);
                floor.tell_acd(acd::Input::OfferFailed { offer: offer.offer, why: OfferFailure::Rejected });
            }
            waiting_or_offered(visit)
        }
        Seen::OfferMade { offer, agent, ring_timeout, waited } => {
            visit.offers.push(make_offer(call, &visit, offer, agent, ring_timeout, waited, floor));
            Stage::Offered(visit)
        }
        Seen::OfferWithdrawn { offer, why } => {
            if let Some(at) = visit.offers.iter().position(|o| o.offer == offer) {
                let offer = visit.offers.remove(at);
                drop_offer(call, &offer, cause_of(why), floor);
            }
            waiting_or_offered(visit)
        }
        Seen::LeftQueue { outcome, next } => {
            for offer in &visit.offers {
                drop_offer(call, offer, Cause::Cancelled, floor);
            }
            leave_queue(call, outcome, next, floor)
        }
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, Stage::Offered(visit), Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, Stage::Offered(visit), Party::System, Cause::MediaLost, floor)
        }
        Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(_, LegFact::Held(_))
        | Seen::Wish(_, Wish::Hold(_))
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::CancelDial
        | Seen::Dial(_) => Stage::Offered(visit),
    }
}

fn connecting(call: &mut Call, agent: AgentId, leg: LegId, until: Mono, seen: Seen, floor: &mut Floor) -> Stage {
    let stay = Stage::Connecting { agent, leg, until };
    match seen {
        Seen::Agent(seen_leg, LegFact::Answered) if seen_leg == leg => {
            floor.fact(Fact::LegAnswered { leg, call: call.id });
            let queue = QueueId(call.dial.as_ref().expect("previews are outbound").campaign.0);
            let talk = bridge(call, agent, leg, queue, Vec::new(), floor);
            floor.tell_acd(acd::Input::ReservedBridged { agent, call: call.id });
            Stage::Talking(talk)
        }
        Seen::Agent(seen_leg, LegFact::Ringing) if seen_leg == leg => {
            floor.fact(Fact::LegRinging { leg, call: call.id });
            stay
        }
        Seen::Agent(seen_leg, LegFact::Failed(cause) | LegFact::Ended(cause)) if seen_leg == leg => {
            floor.end_leg(leg, call.id, cause, false);
            release_reserved(call, agent, floor);
            abandon(call, floor)
        }
        Seen::Tick if floor.now.mono >= until => {
            floor.end_leg(leg, call.id, Cause::NoAnswer, true);
            release_reserved(call, agent, floor);
            abandon(call, floor)
        }
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, stay, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => wind_up(call, stay, Party::System, Cause::MediaLost, floor),
        Seen::Agent(..)
        | Seen::Tick
        | Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::CancelDial
        | Seen::Dial(_) => stay,
    }
}

fn talking(call: &mut Call, mut talk: Talk, seen: Seen, floor: &mut Floor) -> Stage {
    match seen {
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, Stage::Talking(talk), Party::Customer, cause, floor)
        }
        Seen::Agent(leg, LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            if leg == talk.leg {
                wind_up(call, Stage::Talking(talk), Party::Agent, cause, floor)
            } else {
                lose(call, &mut talk, leg, cause, floor);
                Stage::Talking(talk)
            }
        }
        Seen::Agent(leg, LegFact::Held(true)) if leg == talk.leg => hold(call, talk, Party::Agent, floor),
        Seen::Wish(agent, Wish::Hold(true)) if agent == talk.agent => hold(call, talk, Party::Agent, floor),
        Seen::Wish(agent, Wish::HangUp) if agent == talk.agent => {
            floor.end_leg(talk.leg, call.id, Cause::Normal, true);
            wind_up(call, Stage::Talking(talk), Party::Agent, Cause::Normal, floor)
        }
        Seen::Customer(LegFact::Held(held)) => {
            floor.fact(if held {
                Fact::CallHeld { call: call.id, by: Party::Customer }
            } else {
                Fact::CallResumed { call: call.id, by: Party::Customer }
            });
            Stage::Talking(talk)
        }
        Seen::OfferWithdrawn { offer, why } => {
            if let Some(at) = talk.losers.iter().position(|o| o.offer == offer) {
                let loser = talk.losers.remove(at);
                drop_offer(call, &loser, cause_of(why), floor);
            }
            Stage::Talking(talk)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, Stage::Talking(talk), Party::System, Cause::MediaLost, floor)
        }
        Seen::Agent(leg, LegFact::MediaLost) if leg == talk.leg => {
            floor.end_leg(talk.leg, call.id, Cause::MediaLost, true);
            wind_up(call, Stage::Talking(talk), Party::Agent, Cause::MediaLost, floor)
        }
        Seen::Agent(..)
        | Seen::Wish(..)
        | Seen::Customer(LegFact::Ringing | LegFact::Answered)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::LeftQueue { .. }
        | Seen::CancelDial
        | Seen::Dial(_)
        | Seen::Tick => Stage::Talking(talk),
    }
}

fn on_hold(call: &mut Call, talk: Talk, by: Party, seen: Seen, floor: &mut Floor) -> Stage {
    match seen {
        Seen::Agent(leg, LegFact::Held(false)) if leg == talk.leg => resume(call, talk, by, floor),
        Seen::Wish(agent, Wish::Hold(false)) if agent == talk.agent => resume(call, talk, by, floor),
        Seen::Wish(agent, Wish::HangUp) if agent == talk.agent => {
            floor.end_leg(talk.leg, call.id, Cause::Normal, true);
            wind_up(call, Stage::OnHold(talk, by), Party::Agent, Cause::Normal, floor)
        }
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, Stage::OnHold(talk, by), Party::Customer, cause, floor)
        }
        Seen::Agent(leg, LegFact::Ended(cause) | LegFact::Failed(cause)) if leg == talk.leg => {
            wind_up(call, Stage::OnHold(talk, by), Party::Agent, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, Stage::OnHold(talk, by), Party::System, Cause::MediaLost, floor)
        }
        Seen::Agent(..)
        | Seen::Wish(..)
        | Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::CancelDial
        | Seen::Dial(_)
        | Seen::Tick => Stage::OnHold(talk, by),
    }
}

fn parting(call: &mut Call, play: PlayId, until: Mono, seen: Seen, floor: &mut Floor) -> Stage {
    let stay = Stage::Parting { play, until };
    match seen {
        Seen::PromptFinished(finished) if finished == play => wind_up(call, stay, Party::System, Cause::Normal, floor),
        Seen::Tick if floor.now.mono >= until => wind_up(call, stay, Party::System, Cause::Normal, floor),
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, stay, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => wind_up(call, stay, Party::System, Cause::MediaLost, floor),
        Seen::PromptFinished(_)
        | Seen::Tick
        | Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::Classified(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::CancelDial
        | Seen::Dial(_) => stay,
    }
}

// ---- the ways from one stage to the next

fn answer(call: &mut Call, floor: &mut Floor) {
    call.answered = Some(floor.now.mono);
    floor.command(Command::AnswerLeg { leg: call.leg });
    floor.fact(Fact::LegAnswered { leg: call.leg, call: call.id });
}

fn enter_flow(call: &mut Call, flow: FlowId, floor: &mut Floor) -> Stage {
    let Some(flow) = floor.flows.get(&flow).cloned() else {
        floor.fact(Fact::EngineFaulted { call: Some(call.id), what: format!("no flow {flow}") });
        return part(call, None, floor);
    };
    call.story.flow = Some(flow.id);
    let facts = ivr::CallFacts {
        call: call.id,
        caller: call.caller.clone(),
        called: call.called.clone(),
        variables: call.story.variables.clone(),
    };
    let session = Session::start(floor.now, flow, facts, &mut floor.plays, &mut floor.ivr_out);
    carry_out_flow(call, Box::new(session), floor)
}

/// Does what the flow asked for in its last step.
fn carry_out_flow(call: &mut Call, session: Box<Session>, floor: &mut Floor) -> Stage {
    note_flow_facts(call, floor);
    while let Some(command) = floor.ivr_out.commands.pop_front() {
        match command {
            ivr::Command::Play { play, pieces, repeat } => {
                call.playing = Some(play);
                floor.command(Command::Play { leg: call.leg, play, pieces, repeat });
            }
            ivr::Command::StopPlay { play } => {
                if call.playing.take_if(|playing| *playing == play).is_some() {
                    floor.command(Command::StopPlay { leg: call.leg, play });
                }
            }
            ivr::Command::Lookup { lookup, source, parameters, timeout } => {
                floor.call_of_lookup.insert(lookup, call.id);
                floor.command(Command::Lookup { lookup, call: call.id, source, parameters, timeout });
            }
            ivr::Command::Queue { queue, priority, skills } => {
                floor.ivr_out.commands.clear();
                return enter_queue(call, queue, priority, skills, floor);
            }
            ivr::Command::HangUp { cause } => {
                floor.ivr_out.commands.clear();
                return wind_up(call, Stage::Parting { play: PlayId(0), until: floor.now.mono }, Party::System, cause, floor);
            }
        }
    }
    Stage::InFlow(session)
}

/// Publishes what a flow established, and keeps for the screen pop what it may show.
fn note_flow_facts(call: &mut Call, floor: &mut Floor) {
    for fact in std::mem::take(&mut floor.ivr_out.facts) {
        if let Fact::IvrNodeReached { node, .. } = &fact {
            call.story.ivr_path.push(node.clone());
        }
        if let Fact::IvrVariableSet { name, value, .. } = &fact {
            call.story.variables.insert(name.clone(), value.clone());
        }
        floor.fact(fact);
    }
}

fn enter_queue(call: &mut Call, queue: QueueId, priority: i16, skills: Vec<(SkillId, u8)>, floor: &mut Floor) -> Stage {
    call.story.priority = priority;
    call.story.skills = skills.iter().map(|(skill, _)| *skill).collect();
    if call.direction == Direction::Inbound {
        let music = floor.config.treatment(queue).music;
        play(call, music, true, floor);
    }
    let give_up_after = call.dial.as_ref().map(|dial| {
        let answered = call.answered.expect("only answered calls queue");
        dial.connect_within.saturating_sub(floor.now.mono - answered)
    });
    floor.tell_acd(acd::Input::Enqueue(acd::input::Visit {
        call: call.id,
        queue,
        direction: call.direction,
        priority,
        skills: skills.into_iter().map(|(skill, level)| SkillNeed { skill, level }).collect(),
        preferred: None,
        give_up_after,
    }));
    Stage::Waiting(Visit { queue, offers: Vec::new() })
}

/// The customer we called is on the line: to the agent who previewed, or to the campaign's queue.
fn connect(call: &mut Call, floor: &mut Floor) -> Stage {
    let dial = call.dial.as_ref().expect("only outbound calls are connected");
    let Some(agent) = dial.agent else {
        let queue = QueueId(dial.campaign.0);
        return enter_queue(call, queue, 0, Vec::new(), floor);
    };
    let answered = call.answered.expect("connected calls were answered");
    let until = answered + dial.connect_within;
    let leg = LegId(floor.legs.next());
    let ring_timeout = dial.connect_within;
    floor.begin_leg(leg, call.id, Role::Agent);
    floor.command(Command::DialAgent {
        leg,
        call: call.id,
        agent,
        caller: call.caller.clone(),
        caller_name: call.caller_name.clone(),
        ring_timeout,
        auto_answer: true,
    });
    Stage::Connecting { agent, leg, until }
}

/// A live person, no agent in time: the message, and the book.
fn abandon(call: &mut Call, floor: &mut Floor) -> Stage {
    let dial = call.dial.as_ref().expect("only outbound calls are abandoned");
    let prompt = dial.abandon_prompt.clone();
    floor.tell_dialer(dialer::Input::AttemptAbandoned { attempt: dial.attempt });
    part(call, prompt, floor)
}

fn leave_queue(call: &mut Call, outcome: QueueOutcome, next: Next, floor: &mut Floor) -> Stage {
    if call.direction == Direction::Outbound {
        return abandon(call, floor);
    }
    match next {
        Next::Nowhere => {
            let cause = if outcome == QueueOutcome::SystemFailed { Cause::SystemFailed } else { Cause::Normal };
            wind_up(call, Stage::Parting { play: PlayId(0), until: floor.now.mono }, Party::System, cause, floor)
        }
        Next::Queue(queue) => {
            let skills = Vec::new();
            enter_queue(call, queue, call.story.priority, skills, floor)
        }
        Next::Flow(flow) => enter_flow(call, flow, floor),
        Next::HangUp { prompt } => part(call, prompt, floor),
    }
}

/// Last words if there are any, then the end.
fn part(call: &mut Call, prompt: Option<String>, floor: &mut Floor) -> Stage {
    let until = floor.now.mono + PARTING_MAX;
    match prompt {
        Some(prompt) => {
            let play = play(call, prompt, false, floor);
            Stage::Parting { play, until }
        }
        None => wind_up(call, Stage::Parting { play: PlayId(0), until }, Party::System, Cause::Normal, floor),
    }
}

/// Plays one prompt to the customer, instead of what plays.
fn play(call: &mut Call, prompt: String, repeat: bool, floor: &mut Floor) -> PlayId {
    let play = floor.mint_play();
    call.playing = Some(play);
    floor.command(Command::Play { leg: call.leg, play, pieces: vec![ivr::Piece::Prompt(prompt)], repeat });
    play
}

/// Tells the agent's screen; the phone follows when the screen has it, or soon without.
fn make_offer(call: &Call, visit: &Visit, offer: OfferId, agent: AgentId, ring_timeout: Duration, waited: Duration, floor: &mut Floor) -> Offer {
    floor.call_of_offer.insert(offer, call.id);
    floor.call_of_agent.insert(agent, call.id);
    let pop = ScreenPop { queue: Some(visit.queue), ..bare_pop(call, offer, agent, waited) };
    floor.command(Command::PopScreen(Box::new(pop)));
    Offer { offer, agent, made: floor.now.mono, pop_due: floor.now.mono + SCREEN_POP_WAIT, ring_timeout, leg: None }
}

fn bare_pop(call: &Call, offer: OfferId, agent: AgentId, waited: Duration) -> ScreenPop {
    let dial = call.dial.as_ref();
    ScreenPop {
        offer,
        agent,
        call: call.id,
        phase: PopPhase::Offer,
        direction: call.direction,
        caller: call.caller.clone(),
        caller_name: call.caller_name.clone(),
        called: call.called.clone(),
        queue: None,
        campaign: dial.map(|dial| dial.campaign),
        attempt: dial.map(|dial| dial.attempt),
        priority: call.story.priority,
        waited_us: u64::try_from(waited.as_micros()).unwrap_or(u64::MAX),
        skills: call.story.skills.clone(),
        flow: call.story.flow,
        ivr_path: call.story.ivr_path.clone(),
        variables: call.story.variables.clone(),
        lead: dial.map(|dial| Box::new(dial.lead.clone())),
        matches: Vec::new(),
        open_url: None,
    }
}

/// The screen has the pop (or never will): the phone may ring.
fn ring_agent(call: &Call, queue: QueueId, offer: &mut Offer, on_socket: bool, floor: &mut Floor) {
    let took = floor.now.mono - offer.made;
    let leg = LegId(floor.legs.next());
    offer.leg = Some(leg);
    floor.fact(Fact::ScreenPopped {
        offer: offer.offer,
        call: call.id,
        agent: offer.agent,
        phase: PopPhase::Offer,
        on_socket,
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    });
    floor.begin_leg(leg, call.id, Role::Agent);
    floor.command(Command::DialAgent {
        leg,
        call: call.id,
        agent: offer.agent,
        caller: call.caller.clone(),
        caller_name: call.caller_name.clone(),
        ring_timeout: offer.ring_timeout,
        auto_answer: floor.config.auto_answers(queue),
    });
}

/// The phone said no, or was not there.
fn fail_offer(call: &Call, visit: &mut Visit, leg: LegId, cause: Cause, hang_up: bool, floor: &mut Floor) {
    let at = visit.offers.iter().position(|o| o.leg == Some(leg)).expect("the leg belongs to an offer");
    let offer = visit.offers.remove(at);
    floor.end_leg(leg, call.id, cause, hang_up);
    floor.call_of_offer.remove(&offer.offer);
    floor.call_of_agent.remove(&offer.agent);
    let why = match cause {
        Cause::Busy | Cause::Rejected | Cause::Forbidden => OfferFailure::Rejected,
        Cause::NoAnswer => OfferFailure::Timeout,
        Cause::Normal
        | Cause::Unallocated
        | Cause::Unreachable
        | Cause::Congestion
        | Cause::MediaUnsupported
        | Cause::Cancelled
        | Cause::AnsweredElsewhere
        | Cause::SignallingLost
        | Cause::MediaLost
        | Cause::SystemFailed
        | Cause::Shutdown => OfferFailure::Unreachable,
    };
    floor.tell_acd(acd::Input::OfferFailed { offer: offer.offer, why });
}

/// Stops reaching one agent; the ACD knows.
fn drop_offer(call: &Call, offer: &Offer, cause: Cause, floor: &mut Floor) {
    floor.call_of_offer.remove(&offer.offer);
    if floor.call_of_agent.get(&offer.agent) == Some(&call.id) {
        floor.call_of_agent.remove(&offer.agent);
    }
    if let Some(leg) = offer.leg {
        floor.end_leg(leg, call.id, cause, true);
    }
}

/// A losing phone of a ring-all went away before the ACD took its offer back.
fn lose(call: &Call, talk: &mut Talk, leg: LegId, cause: Cause, floor: &mut Floor) {
    if let Some(offer) = talk.losers.iter_mut().find(|o| o.leg == Some(leg)) {
        offer.leg = None;
        floor.end_leg(leg, call.id, cause, false);
    }
}

fn waiting_or_offered(visit: Visit) -> Stage {
    if visit.offers.is_empty() { Stage::Waiting(visit) } else { Stage::Offered(visit) }
}

fn cause_of(why: Withdrawal) -> Cause {
    match why {
        Withdrawal::AnsweredElsewhere => Cause::AnsweredElsewhere,
        Withdrawal::CallerLeft | Withdrawal::CallRemoved => Cause::Cancelled,
    }
}

/// Lets customer and agent hear each other, and records them if the queue says so.
fn bridge(call: &mut Call, agent: AgentId, leg: LegId, queue: QueueId, losers: Vec<Offer>, floor: &mut Floor) -> Talk {
    if let Some(play) = call.playing.take() {
        floor.command(Command::StopPlay { leg: call.leg, play });
    }
    floor.command(Command::Bridge { a: call.leg, b: leg });
    floor.fact(Fact::CallBridged { call: call.id, agent, customer_leg: call.leg, agent_leg: leg });
    floor.call_of_agent.insert(agent, call.id);
    let recording = floor.config.treatment(queue).record.then(|| RecordingId(floor.recordings.next()));
    if let Some(recording) = recording {
        floor.call_of_recording.insert(recording, call.id);
        floor.command(Command::StartRecording { recording, call: call.id, customer: call.leg, agent: leg });
        floor.fact(Fact::RecordingStarted { recording, call: call.id });
    }
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptConnected { attempt, agent });
    }
    Talk { agent, leg, queue, recording, losers }
}

fn hold(call: &mut Call, talk: Talk, by: Party, floor: &mut Floor) -> Stage {
    floor.command(Command::Unbridge { a: call.leg, b: talk.leg });
    let music = floor.config.treatment(talk.queue).hold_music;
    play(call, music, true, floor);
    floor.fact(Fact::CallHeld { call: call.id, by });
    Stage::OnHold(talk, by)
}

fn resume(call: &mut Call, talk: Talk, by: Party, floor: &mut Floor) -> Stage {
    if let Some(play) = call.playing.take() {
        floor.command(Command::StopPlay { leg: call.leg, play });
    }
    floor.command(Command::Bridge { a: call.leg, b: talk.leg });
    floor.fact(Fact::CallResumed { call: call.id, by });
    Stage::Talking(talk)
}

fn release_reserved(call: &Call, agent: AgentId, floor: &mut Floor) {
    floor.call_of_agent.remove(&agent);
    floor.tell_acd(acd::Input::Release { agent, call: call.id });
}

/// Ends a call out of any stage: tells whoever waits for it, takes down what stands, closes the
/// books. `by` the customer means their leg is gone already; by the agent, theirs.
pub(crate) fn wind_up(call: &mut Call, stage: Stage, by: Party, cause: Cause, floor: &mut Floor) -> Stage {
    match stage {
        Stage::Previewing { agent } => {
            release_reserved(call, agent, floor);
            return Stage::Over;
        }
        Stage::Dialing { .. } => {
            let attempt = call.attempt().expect("only outbound calls dial");
            floor.tell_dialer(dialer::Input::AttemptFailed { attempt, cause });
        }
        Stage::Classifying { .. } => hung_up_early(call, floor),
        Stage::InFlow(mut session) => {
            let now = floor.now;
            session.handle(now, ivr::Input::HungUp, &mut floor.plays, &mut floor.ivr_out);
            note_flow_facts(call, floor);
            // The caller's leg is gone: nothing a flow still wants may touch it (I9).
            floor.ivr_out.commands.clear();
        }
        Stage::Waiting(visit) | Stage::Offered(visit) => {
            for offer in &visit.offers {
                drop_offer(call, offer, Cause::Cancelled, floor);
            }
            let input = match by {
                Party::Customer | Party::Agent => acd::Input::CallerLeft { call: call.id },
                Party::System if cause == Cause::MediaLost => acd::Input::CallerLeft { call: call.id },
                Party::System => acd::Input::Remove { call: call.id, outcome: QueueOutcome::SystemFailed },
            };
            floor.tell_acd(input);
            hung_up_early(call, floor);
        }
        Stage::Connecting { leg, .. } => {
            floor.end_leg(leg, call.id, Cause::Cancelled, true);
            hung_up_early(call, floor);
        }
        Stage::Talking(talk) | Stage::OnHold(talk, _) => {
            for offer in &talk.losers {
                drop_offer(call, offer, Cause::AnsweredElsewhere, floor);
            }
            if let Some(recording) = talk.recording {
                floor.command(Command::StopRecording { recording });
            }
            if floor.call_of_leg.contains_key(&talk.leg) {
                // By the agent: the phone hung up by itself. Otherwise it does not know yet.
                floor.end_leg(talk.leg, call.id, cause, by != Party::Agent);
            }
            floor.fact(Fact::CallUnbridged { call: call.id, agent: talk.agent });
            floor.call_of_agent.remove(&talk.agent);
            let dial = call.dial.as_ref();
            let last = LastCall { call: call.id, lead: dial.map(|dial| dial.lead.id), number: dial.map(|dial| dial.number) };
            floor.last_call_of_agent.insert(talk.agent, last);
            floor.tell_acd(acd::Input::TalkEnded { agent: talk.agent, call: call.id });
        }
        Stage::Parting { .. } | Stage::Over => {}
    }
    call.playing = None;
    // The agent who previewed a lead that came to nothing is free again.
    if let Some(agent) = call.dial.as_ref().and_then(|dial| dial.agent)
        && floor.call_of_agent.get(&agent) == Some(&call.id)
    {
        release_reserved(call, agent, floor);
    }
    floor.end_leg(call.leg, call.id, cause, by != Party::Customer);
    if let Some(attempt) = call.attempt() {
        floor.call_of_attempt.remove(&attempt);
    }
    if !call.is_service {
        floor.fact(Fact::CallEnded { call: call.id, direction: call.direction, by, cause });
    }
    Stage::Over
}

/// An answered customer hung up (or was lost) before an agent: the dialer's book needs an end.
fn hung_up_early(call: &Call, floor: &mut Floor) {
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptHungUpEarly { attempt });
    }
}
