//! The life of a call: one enum of stages, one function per stage.
//!
//! ```text
//! inbound   (arrives) ─► InFlow ─► Waiting ◄─► Offered ─► Talking ◄─► OnHold
//!                          │          │ rule:     │          │
//!                          │ hang up  │ overflow  │ caller   │ either hangs up
//!                          ▼          ▼           ▼ left     ▼
//!                        Parting ─► Over ◄──────────────── Over   (wrap-up is the agent's: ACD)
//!
//! outbound  Dialing ─► Classifying ─► Waiting ◄─► Offered ─► Talking
//!             │ busy…      │ machine     │ no agent in time
//!             ▼            ▼             ▼
//!            Over         Over         Parting (the abandonment message) ─► Over
//! given up  Dialing ─► GivingUp ─► Over, or an answer that was faster ─► Classifying …
//! agentless Dialing ─► Classifying ─► InFlow ─► Over, or a key ─► Waiting …   (`message.rs`)
//! preview   Previewing ─► Dialing ─► Connecting (the agent who previewed) ─► Talking
//! ```
//!
//! A stage function is handed the call, the stage's own data, what was seen, and the floor; it
//! returns the next stage. It never waits: whatever it asks for comes back as a later sight. How one
//! gets from stage to stage is in `ways.rs`, how a customer is rung in `ringing.rs`, how an agent is
//! reached in `offer.rs`, what an agent sees before a dial in `preview.rs`.

use crate::call::Call;
use crate::classify::{self, Heard};
use crate::command::Command;
use crate::floor::Floor;
use crate::message::leaving_message;
use crate::offer::{Offer, drop_offer, fail_offer, make_offer, reserve_failed, ring_agent};
use crate::preview::{Preview, previewing};
use crate::ringing::{dialing, giving_up};
use crate::ways::{
    abandon, answer, bridge, carry_out_flow, cause_of, enter_flow, enter_queue, expect_lookup,
    hold, leave_queue, part, waiting_or_offered, wind_up,
};
use acd::command::Next;
use dialer::command::Dial;
use ivr::Session;
use model::event::{OfferFailure, Party, Role, Withdrawal};
use model::{
    AgentId, Cause, Fact, LegId, LookupId, Mono, OfferId, PlayId, QueueId, QueueOutcome,
    RecordingId,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// The abandonment message begins this much before the law's two seconds are over, so that it is
/// heard within them (47 CFR 64.1200(a)(7)(i)): a media tick, the way of a packet, a busy engine.
pub const MESSAGE_LEAD: Duration = Duration::from_millis(50);
/// Last words end after this even if the media never says so.
pub const PARTING_MAX: Duration = Duration::from_secs(30);
/// Where a call is in its life.
pub(crate) enum Stage {
    /// An agent looks at the lead; nothing was dialled.
    Previewing(Preview),
    /// The customer's phone is being called.
    Dialing { give_up: Mono, rings: bool },
    /// The CANCEL is on its way, and so may be an answer: who answers is not left alone.
    GivingUp { cause: Cause, until: Mono },
    /// Someone or something answered; listening who.
    Classifying { until: Mono },
    /// A flow talks with the caller.
    InFlow(Box<Session>),
    /// In a queue, nobody's phone rings.
    Waiting(Visit),
    /// In a queue, at least one agent is being reached.
    Offered(Visit),
    /// The agent who previewed is being reached.
    Connecting {
        agent: AgentId,
        leg: LegId,
        until: Mono,
    },
    /// Customer and agent hear each other.
    Talking(Talk),
    /// One of them put the other on hold.
    OnHold(Talk),
    /// A machine answered: its beep is awaited, then the message is left.
    LeavingMessage { play: Option<PlayId>, until: Mono },
    /// Last words, then hang up.
    Parting { play: PlayId, until: Mono },
    /// Nothing follows.
    Over,
}

/// A visit to a queue.
pub(crate) struct Visit {
    pub queue: QueueId,
    /// Several only where a queue rings all.
    pub offers: Vec<Offer>,
}

/// A conversation.
pub(crate) struct Talk {
    pub agent: AgentId,
    pub leg: LegId,
    pub queue: QueueId,
    pub recording: Option<RecordingId>,
    /// By key, click or phone: the customer hears music.
    pub agent_holds: bool,
    pub customer_holds: bool,
}

impl Talk {
    pub fn stage(self) -> Stage {
        if self.agent_holds || self.customer_holds {
            Stage::OnHold(self)
        } else {
            Stage::Talking(self)
        }
    }
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
    /// Dial (true) or skip the previewed lead.
    Preview(bool),
}

/// What a call is told.
pub(crate) enum Seen {
    Customer(LegFact),
    Agent(LegId, LegFact),
    Digit(char),
    PromptFinished(PlayId),
    /// Of the customer's leg.
    Heard(Heard),
    LookedUp(LookupId, Result<BTreeMap<String, String>, String>),
    ScreenPopped {
        offer: OfferId,
        on_socket: bool,
    },
    OfferMade {
        offer: OfferId,
        agent: AgentId,
        ring_timeout: Duration,
        waited: Duration,
    },
    OfferWithdrawn {
        offer: OfferId,
        why: Withdrawal,
    },
    LeftQueue {
        outcome: QueueOutcome,
        next: Next,
    },
    Wish(AgentId, Wish),
    /// The dialer gives a ringing call up, or takes a preview back.
    CancelDial,
    /// The preview became a claimed attempt.
    Dial(Box<Dial>),
    Tick,
}

/// Steps one call.
pub(crate) fn step(call: &mut Call, seen: Seen, floor: &mut Floor) {
    let stage = std::mem::replace(&mut call.stage, Stage::Over);
    call.beeped |= matches!(seen, Seen::Heard(Heard::BeepEnded));
    if let Seen::Heard(Heard::Suspected(evidence)) = &seen {
        call.suspicion.clone_from(evidence);
    }
    let expired = matches!(seen, Seen::Tick) && call.expires.is_some_and(|at| floor.now.mono >= at);
    call.stage = if expired {
        wind_up(call, stage, Party::System, Cause::SystemFailed, floor)
    } else {
        match stage {
            Stage::Previewing(preview) => previewing(call, preview, seen, floor),
            Stage::Dialing { give_up, rings } => dialing(call, give_up, rings, seen, floor),
            Stage::GivingUp { cause, until } => giving_up(call, cause, until, seen, floor),
            Stage::Classifying { until } => classify::classifying(call, until, seen, floor),
            Stage::InFlow(session) => in_flow(call, session, seen, floor),
            Stage::Waiting(visit) => waiting(call, visit, seen, floor),
            Stage::Offered(visit) => offered(call, visit, seen, floor),
            Stage::Connecting { agent, leg, until } => {
                connecting(call, agent, leg, until, seen, floor)
            }
            Stage::Talking(talk) | Stage::OnHold(talk) => talking(call, talk, seen, floor),
            Stage::LeavingMessage { play, until } => {
                leaving_message(call, play, until, seen, floor)
            }
            Stage::Parting { play, until } => parting(call, play, until, seen, floor),
            Stage::Over => Stage::Over,
        }
    };
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
    floor.command(Command::RejectLeg {
        leg: call.leg,
        cause,
    });
    floor.end_leg(call.leg, call.id, cause, false);
    floor.fact(Fact::CallEnded {
        call: call.id,
        direction: call.direction,
        by: Party::System,
        cause,
    });
    Stage::Over
}

/// Answers an agent's feature code, says so with a prompt, and hangs up.
pub(crate) fn serve_feature_code(call: &mut Call, prompt: &str, floor: &mut Floor) {
    call.is_service = true;
    floor.take_leg(call.leg, call.id);
    call.answered(floor);
    floor.command(Command::AnswerLeg { leg: call.leg });
    call.stage = part(call, Some(prompt.to_string()), floor);
}

fn in_flow(call: &mut Call, mut session: Box<Session>, seen: Seen, floor: &mut Floor) -> Stage {
    let input = match seen {
        Seen::Digit(digit) => {
            call.keyed = Some(floor.now.mono);
            ivr::Input::Digit(digit)
        }
        Seen::PromptFinished(play) => {
            if call.playing == Some(play) {
                call.playing = None;
            }
            ivr::Input::PromptFinished { play }
        }
        Seen::LookedUp(lookup, result) => {
            expect_lookup(call, None, floor);
            ivr::Input::LookupAnswered { lookup, result }
        }
        Seen::Tick => ivr::Input::Tick,
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            return wind_up(call, Stage::InFlow(session), Party::Customer, cause, floor);
        }
        Seen::Customer(LegFact::MediaLost) => {
            return wind_up(
                call,
                Stage::InFlow(session),
                Party::System,
                Cause::MediaLost,
                floor,
            );
        }
        Seen::Heard(heard) => {
            return classify::heard(call, Stage::InFlow(session), heard, floor);
        }
        Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(..)
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
        Seen::OfferMade {
            offer,
            agent,
            ring_timeout,
            waited,
        } => {
            visit.offers.push(make_offer(
                call,
                visit.queue,
                offer,
                agent,
                ring_timeout,
                waited,
                floor,
            ));
            Stage::Offered(visit)
        }
        Seen::LeftQueue { outcome, next } => leave_queue(call, outcome, next, floor),
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, Stage::Waiting(visit), Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => wind_up(
            call,
            Stage::Waiting(visit),
            Party::System,
            Cause::MediaLost,
            floor,
        ),
        Seen::Heard(heard) => classify::heard(call, Stage::Waiting(visit), heard, floor),
        Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
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
            if let Some(at) = visit
                .offers
                .iter()
                .position(|o| o.offer == offer && o.leg.is_none())
            {
                ring_agent(call, visit.queue, &mut visit.offers[at], on_socket, floor);
            }
            Stage::Offered(visit)
        }
        Seen::Tick => {
            let Visit { queue, offers } = &mut visit;
            let now = floor.now.mono;
            for offer in offers
                .iter_mut()
                .filter(|o| o.leg.is_none() && now >= o.pop_due)
            {
                ring_agent(call, *queue, offer, false, floor);
            }
            Stage::Offered(visit)
        }
        Seen::Agent(leg, LegFact::Ringing) => {
            if let Some(offer) = visit
                .offers
                .iter_mut()
                .find(|o| o.leg == Some(leg) && !o.rings)
            {
                offer.rings = true;
                floor.fact(Fact::LegRinging { leg, call: call.id });
            }
            Stage::Offered(visit)
        }
        Seen::Agent(leg, LegFact::Answered) => {
            let at = visit
                .offers
                .iter()
                .position(|o| o.leg == Some(leg))
                .expect("the leg belongs to an offer");
            let offer = visit.offers.remove(at);
            floor.fact(Fact::LegAnswered { leg, call: call.id });
            floor.tell_acd(acd::Input::OfferAnswered { offer: offer.offer });
            for loser in &visit.offers {
                drop_offer(call, loser, Cause::AnsweredElsewhere, floor);
            }
            let talk = bridge(call, offer.agent, leg, visit.queue, floor);
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
                floor.tell_acd(acd::Input::OfferFailed {
                    offer: offer.offer,
                    why: OfferFailure::Rejected,
                });
            }
            waiting_or_offered(visit)
        }
        Seen::OfferMade {
            offer,
            agent,
            ring_timeout,
            waited,
        } => {
            visit.offers.push(make_offer(
                call,
                visit.queue,
                offer,
                agent,
                ring_timeout,
                waited,
                floor,
            ));
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
        Seen::Customer(LegFact::MediaLost) => wind_up(
            call,
            Stage::Offered(visit),
            Party::System,
            Cause::MediaLost,
            floor,
        ),
        Seen::Heard(heard) => classify::heard(call, Stage::Offered(visit), heard, floor),
        Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(_, LegFact::Held(_))
        | Seen::Wish(_, Wish::Hold(_) | Wish::Preview(_))
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::LookedUp(..)
        | Seen::CancelDial
        | Seen::Dial(_) => Stage::Offered(visit),
    }
}

fn connecting(
    call: &mut Call,
    agent: AgentId,
    leg: LegId,
    until: Mono,
    seen: Seen,
    floor: &mut Floor,
) -> Stage {
    let stay = Stage::Connecting { agent, leg, until };
    match seen {
        Seen::Agent(seen_leg, LegFact::Answered) if seen_leg == leg => {
            floor.fact(Fact::LegAnswered { leg, call: call.id });
            let queue = QueueId(
                call.dial
                    .as_ref()
                    .expect("previews are outbound")
                    .campaign
                    .0,
            );
            let talk = bridge(call, agent, leg, queue, floor);
            floor.tell_acd(acd::Input::ReservedBridged {
                agent,
                call: call.id,
            });
            Stage::Talking(talk)
        }
        Seen::Agent(seen_leg, LegFact::Ringing) if seen_leg == leg => {
            floor.fact(Fact::LegRinging { leg, call: call.id });
            stay
        }
        Seen::Agent(seen_leg, LegFact::Failed(cause) | LegFact::Ended(cause))
            if seen_leg == leg =>
        {
            reserve_failed(call, agent, leg, cause, false, floor);
            abandon(call, floor)
        }
        Seen::Agent(seen_leg, LegFact::MediaLost) if seen_leg == leg => {
            reserve_failed(call, agent, leg, Cause::MediaLost, true, floor);
            abandon(call, floor)
        }
        Seen::Wish(_, Wish::Decline | Wish::HangUp) => {
            reserve_failed(call, agent, leg, Cause::Rejected, true, floor);
            abandon(call, floor)
        }
        Seen::Tick if floor.now.mono >= until => {
            reserve_failed(call, agent, leg, Cause::NoAnswer, true, floor);
            abandon(call, floor)
        }
        Seen::Heard(heard) => classify::heard_too_late(call, stay, heard, agent, floor),
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, stay, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, stay, Party::System, Cause::MediaLost, floor)
        }
        Seen::Agent(..)
        | Seen::Tick
        | Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
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

/// Talking and on hold: who holds is the talk's own.
fn talking(call: &mut Call, talk: Talk, seen: Seen, floor: &mut Floor) -> Stage {
    match seen {
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            if cause == Cause::Normal {
                classify::left_an_agent(call, talk.agent, floor);
            }
            wind_up(call, talk.stage(), Party::Customer, cause, floor)
        }
        Seen::Agent(leg, LegFact::Ended(cause) | LegFact::Failed(cause)) if leg == talk.leg => {
            floor.end_leg(leg, call.id, cause, false);
            wind_up(call, talk.stage(), Party::Agent, cause, floor)
        }
        Seen::Wish(agent, Wish::HangUp) if agent == talk.agent => {
            floor.end_leg(talk.leg, call.id, Cause::Normal, true);
            wind_up(call, talk.stage(), Party::Agent, Cause::Normal, floor)
        }
        Seen::Agent(leg, LegFact::Held(held)) if leg == talk.leg => {
            hold(call, talk, Party::Agent, held, floor)
        }
        Seen::Wish(agent, Wish::Hold(held)) if agent == talk.agent => {
            hold(call, talk, Party::Agent, held, floor)
        }
        Seen::Customer(LegFact::Held(held)) => hold(call, talk, Party::Customer, held, floor),
        Seen::Heard(heard) => {
            let agent = talk.agent;
            classify::heard_too_late(call, talk.stage(), heard, agent, floor)
        }
        // A phone that holds sends nothing, and is right.
        Seen::Customer(LegFact::MediaLost) if !talk.customer_holds => {
            wind_up(call, talk.stage(), Party::System, Cause::MediaLost, floor)
        }
        Seen::Agent(leg, LegFact::MediaLost) if leg == talk.leg && !talk.agent_holds => {
            floor.end_leg(leg, call.id, Cause::MediaLost, true);
            wind_up(call, talk.stage(), Party::Agent, Cause::MediaLost, floor)
        }
        Seen::Agent(..)
        | Seen::Wish(..)
        | Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::MediaLost)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::CancelDial
        | Seen::Dial(_)
        | Seen::Tick => talk.stage(),
    }
}

fn parting(call: &mut Call, play: PlayId, until: Mono, seen: Seen, floor: &mut Floor) -> Stage {
    let stay = Stage::Parting { play, until };
    match seen {
        Seen::PromptFinished(finished) if finished == play => {
            wind_up(call, stay, Party::System, Cause::Normal, floor)
        }
        Seen::Tick if floor.now.mono >= until => {
            wind_up(call, stay, Party::System, Cause::Normal, floor)
        }
        Seen::Heard(heard) => {
            classify::heard_at_the_end(call, heard, floor);
            stay
        }
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, stay, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, stay, Party::System, Cause::MediaLost, floor)
        }
        Seen::PromptFinished(_)
        | Seen::Tick
        | Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Digit(_)
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
