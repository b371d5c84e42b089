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
//! preview   Previewing ─► Dialing ─► Connecting (the agent who previewed) ─► Talking
//! ```
//!
//! A stage function is handed the call, the stage's own data, what was seen, and the floor; it
//! returns the next stage. It never waits: whatever it asks for comes back as a later sight. How an
//! agent is reached is in [`crate::offer`].

use crate::command::Command;
use crate::floor::{Floor, LastCall};
use crate::offer::{
    Offer, PREVIEW_OFFER, drop_offer, fail_offer, make_offer, preview_pop, reserve_failed, ring_agent,
};
use acd::command::Next;
use acd::input::SkillNeed;
use dialer::command::Dial;
use ivr::Session;
use model::event::{OfferFailure, Party, Role, Verdict, Withdrawal};
use model::screen_pop::{Direction, PopPhase};
use model::{
    AgentId, AttemptId, CallId, CampaignId, Cause, Fact, FlowId, LegId, LookupId, Mono, OfferId,
    PlayId, QueueId, QueueOutcome, RecordingId, SkillId,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Person or machine must be known this long after the answer; then it is taken for a person, so
/// that an agent can still be connected within the two seconds of 47 CFR 64.1200(a)(7).
pub const CLASSIFY_WAIT: Duration = Duration::from_millis(1_500);
/// The abandonment message begins this much before the law's two seconds are over, so that it is
/// heard within them (47 CFR 64.1200(a)(7)(i)): a media tick, the way of a packet, a busy engine.
pub const MESSAGE_LEAD: Duration = Duration::from_millis(50);
/// Last words end after this even if the media never says so.
pub const PARTING_MAX: Duration = Duration::from_secs(30);
/// Most queues and flows a call is sent on to in one instant. Queues that are all closed and
/// overflow into each other would send it round for ever.
pub const OVERFLOWS_AT_ONCE_MAX: u32 = 16;

/// Where a call is in its life.
pub(crate) enum Stage {
    /// An agent looks at the lead; nothing was dialled. `accepted` while the claim is being stored.
    Previewing {
        agent: AgentId,
        attempt: AttemptId,
        accepted: bool,
    },
    /// The customer's phone is being called.
    Dialing { give_up: Mono, rings: bool },
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
    fn stage(self) -> Stage {
        if self.agent_holds || self.customer_holds {
            Stage::OnHold(self)
        } else {
            Stage::Talking(self)
        }
    }
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
    /// No answered call lives beyond this.
    expires: Option<Mono>,
    /// The engine's note of the deadline it has queued.
    pub due: Option<Mono>,
    /// A feature code: not a customer contact, not in the books of calls.
    pub is_service: bool,
    /// What plays on the customer's leg.
    playing: Option<PlayId>,
    /// The prompt it is, where it repeats: a caller sent on to a queue with the same music hears no gap.
    music: Option<String>,
    /// The data dip the flow waits for.
    pub lookup: Option<LookupId>,
    /// When the call was last sent on from a queue, and how often in that instant.
    overflows: (Mono, u32),
    pub story: Story,
}

/// What the screen pop tells.
#[derive(Default)]
pub(crate) struct Story {
    pub flow: Option<FlowId>,
    pub ivr_path: Vec<String>,
    pub variables: BTreeMap<String, String>,
    pub priority: i16,
    pub skills: Vec<(SkillId, u8)>,
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
    Classified(Verdict),
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
    let expired = matches!(seen, Seen::Tick) && call.expires.is_some_and(|at| floor.now.mono >= at);
    call.stage = if expired {
        wind_up(call, stage, Party::System, Cause::SystemFailed, floor)
    } else {
        match stage {
            Stage::Previewing {
                agent,
                attempt,
                accepted,
            } => previewing(call, agent, attempt, accepted, seen, floor),
            Stage::Dialing { give_up, rings } => dialing(call, give_up, rings, seen, floor),
            Stage::Classifying { until } => classifying(call, until, seen, floor),
            Stage::InFlow(session) => in_flow(call, session, seen, floor),
            Stage::Waiting(visit) => waiting(call, visit, seen, floor),
            Stage::Offered(visit) => offered(call, visit, seen, floor),
            Stage::Connecting { agent, leg, until } => {
                connecting(call, agent, leg, until, seen, floor)
            }
            Stage::Talking(talk) | Stage::OnHold(talk) => talking(call, talk, seen, floor),
            Stage::Parting { play, until } => parting(call, play, until, seen, floor),
            Stage::Over => Stage::Over,
        }
    };
}

impl Call {
    /// A call between `caller` and `called` whose stage is not decided yet.
    pub fn new(
        id: CallId,
        direction: Direction,
        leg: LegId,
        caller: String,
        called: String,
    ) -> Call {
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
            expires: None,
            due: None,
            is_service: false,
            playing: None,
            music: None,
            lookup: None,
            overflows: (Mono::ZERO, 0),
            story: Story::default(),
        }
    }

    /// When the call wants a tick.
    pub fn next_deadline(&self) -> Option<Mono> {
        let of_stage = match &self.stage {
            Stage::Dialing { give_up, .. } => Some(*give_up),
            Stage::Classifying { until }
            | Stage::Connecting { until, .. }
            | Stage::Parting { until, .. } => Some(*until),
            Stage::InFlow(session) => session.next_deadline().map(|(at, _)| at),
            Stage::Offered(visit) => visit
                .offers
                .iter()
                .filter(|o| o.leg.is_none())
                .map(|o| o.pop_due)
                .min(),
            Stage::Previewing { .. } | Stage::Waiting(_) | Stage::Talking(_) | Stage::OnHold(_) => {
                None
            }
            Stage::Over => return None,
        };
        of_stage.into_iter().chain(self.expires).min()
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
            Stage::OnHold(_) => "on_hold",
            Stage::Parting { .. } => "parting",
            Stage::Over => "over",
        }
    }

    /// The attempt it is, once dialled.
    pub fn attempt(&self) -> Option<AttemptId> {
        self.dial.as_ref().map(|dial| dial.attempt)
    }

    fn answered(&mut self, floor: &mut Floor) {
        self.answered = Some(floor.now.mono);
        self.expires = Some(floor.now.mono + Duration::from_millis(floor.config.call_ms_max));
    }

    /// When a customer we called is with an agent, or else hears the message.
    fn patience(&self) -> Mono {
        let dial = self
            .dial
            .as_ref()
            .expect("only outbound calls are abandoned");
        let answered = self.answered.expect("only answered calls are abandoned");
        answered + dial.connect_within.saturating_sub(MESSAGE_LEAD)
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
    call.stage = Stage::Dialing {
        give_up: floor.now.mono + dial.ring_timeout,
        rings: false,
    };
    call.caller = dial.number.to_string();
    call.called = dial.caller_id.clone();
    call.caller_name = dial.lead.name.clone();
    call.dial = Some(dial);
}

/// Shows a lead to an agent before it is dialled.
pub(crate) fn preview(
    call: &mut Call,
    agent: AgentId,
    campaign: CampaignId,
    attempt: AttemptId,
    lead: Box<model::Lead>,
    floor: &mut Floor,
) {
    call.stage = Stage::Previewing {
        agent,
        attempt,
        accepted: false,
    };
    floor.call_of_agent.insert(agent, call.id);
    floor.call_of_claim.insert(attempt, call.id);
    floor.command(Command::PopScreen(Box::new(preview_pop(
        call, agent, campaign, attempt, lead,
    ))));
}

// ---- the stages, in the order a call goes through them

fn previewing(
    call: &mut Call,
    agent: AgentId,
    attempt: AttemptId,
    accepted: bool,
    seen: Seen,
    floor: &mut Floor,
) -> Stage {
    match seen {
        Seen::Wish(_, Wish::Preview(true)) if !accepted => {
            floor.tell_dialer(dialer::Input::PreviewAnswered {
                agent,
                attempt,
                accept: true,
            });
            Stage::Previewing {
                agent,
                attempt,
                accepted: true,
            }
        }
        Seen::Wish(_, Wish::Preview(false) | Wish::Decline | Wish::HangUp) if !accepted => wind_up(
            call,
            Stage::Previewing {
                agent,
                attempt,
                accepted,
            },
            Party::Agent,
            Cause::Rejected,
            floor,
        ),
        Seen::Dial(order) => {
            dial(call, order, floor);
            // Whoever accepted a preview has it on the screen: that pop goes before the phone.
            floor.fact(Fact::ScreenPopped {
                offer: PREVIEW_OFFER,
                call: call.id,
                agent,
                phase: PopPhase::Preview,
                on_socket: true,
                took_us: 0,
            });
            std::mem::replace(&mut call.stage, Stage::Over)
        }
        // It ran out, its lead may not be dialled, or the claim was refused: the dialer knows.
        Seen::CancelDial => {
            release_reserved(call, agent, floor);
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
        | Seen::Tick => Stage::Previewing {
            agent,
            attempt,
            accepted,
        },
    }
}

fn dialing(call: &mut Call, give_up: Mono, rings: bool, seen: Seen, floor: &mut Floor) -> Stage {
    let attempt = call.attempt().expect("only outbound calls dial");
    let stay = Stage::Dialing { give_up, rings };
    match seen {
        Seen::Customer(LegFact::Ringing) => {
            if !rings {
                floor.fact(Fact::LegRinging {
                    leg: call.leg,
                    call: call.id,
                });
                floor.tell_dialer(dialer::Input::AttemptRinging { attempt });
            }
            Stage::Dialing {
                give_up,
                rings: true,
            }
        }
        Seen::Customer(LegFact::Answered) => {
            call.answered(floor);
            floor.fact(Fact::LegAnswered {
                leg: call.leg,
                call: call.id,
            });
            floor.tell_dialer(dialer::Input::AttemptAnswered { attempt });
            let dial = call.dial.as_ref().expect("only outbound calls dial");
            if dial.classify {
                let wait = CLASSIFY_WAIT.min(dial.connect_within * 3 / 4);
                Stage::Classifying {
                    until: floor.now.mono + wait,
                }
            } else {
                connect(call, floor)
            }
        }
        Seen::Customer(LegFact::Failed(cause) | LegFact::Ended(cause)) => {
            wind_up(call, stay, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, stay, Party::System, Cause::MediaLost, floor)
        }
        Seen::CancelDial => wind_up(call, stay, Party::System, Cause::Cancelled, floor),
        Seen::Tick if floor.now.mono >= give_up => {
            wind_up(call, stay, Party::System, Cause::NoAnswer, floor)
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
        | Seen::Dial(_) => stay,
    }
}

fn classifying(call: &mut Call, until: Mono, seen: Seen, floor: &mut Floor) -> Stage {
    let attempt = call.attempt().expect("only outbound calls are classified");
    match seen {
        Seen::Classified(verdict) => {
            floor.fact(Fact::CallClassified {
                call: call.id,
                verdict,
            });
            floor.tell_dialer(dialer::Input::AttemptClassified { attempt, verdict });
            match verdict {
                Verdict::Person => connect(call, floor),
                // The dialer has booked the attempt as a machine's.
                Verdict::Machine | Verdict::Fax => end(call, Party::System, Cause::Normal, floor),
            }
        }
        Seen::Tick if floor.now.mono >= until => {
            floor.tell_dialer(dialer::Input::AttemptClassified {
                attempt,
                verdict: Verdict::Person,
            });
            connect(call, floor)
        }
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => wind_up(
            call,
            Stage::Classifying { until },
            Party::Customer,
            cause,
            floor,
        ),
        Seen::Customer(LegFact::MediaLost) => wind_up(
            call,
            Stage::Classifying { until },
            Party::System,
            Cause::MediaLost,
            floor,
        ),
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
            return wind_up(
                call,
                Stage::InFlow(session),
                Party::System,
                Cause::MediaLost,
                floor,
            );
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
        Seen::Customer(LegFact::Ringing | LegFact::Answered | LegFact::Held(_))
        | Seen::Agent(_, LegFact::Held(_))
        | Seen::Wish(_, Wish::Hold(_) | Wish::Preview(_))
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Classified(_)
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

/// Talking and on hold: who holds is the talk's own.
fn talking(call: &mut Call, talk: Talk, seen: Seen, floor: &mut Floor) -> Stage {
    match seen {
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
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
        | Seen::Classified(_)
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
    call.answered(floor);
    floor.command(Command::AnswerLeg { leg: call.leg });
    floor.fact(Fact::LegAnswered {
        leg: call.leg,
        call: call.id,
    });
}

fn enter_flow(call: &mut Call, flow: FlowId, floor: &mut Floor) -> Stage {
    let Some(flow) = floor.flows.get(&flow).cloned() else {
        floor.fact(Fact::EngineFaulted {
            call: Some(call.id),
            what: format!("no flow {flow}"),
        });
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
            ivr::Command::Play {
                play,
                pieces,
                repeat,
            } => {
                (call.playing, call.music) = (Some(play), None);
                floor.command(Command::Play {
                    leg: call.leg,
                    play,
                    pieces,
                    repeat,
                });
            }
            ivr::Command::StopPlay { play } => {
                if call.playing.take_if(|playing| *playing == play).is_some() {
                    floor.command(Command::StopPlay {
                        leg: call.leg,
                        play,
                    });
                }
            }
            ivr::Command::Lookup {
                lookup,
                source,
                parameters,
                timeout,
            } => {
                expect_lookup(call, Some(lookup), floor);
                floor.command(Command::Lookup {
                    lookup,
                    call: call.id,
                    source,
                    parameters,
                    timeout,
                });
            }
            ivr::Command::Queue {
                queue,
                priority,
                skills,
            } => {
                expect_lookup(call, None, floor);
                return enter_queue(call, queue, priority, skills, floor);
            }
            ivr::Command::HangUp { cause } => {
                expect_lookup(call, None, floor);
                return end(call, Party::System, cause, floor);
            }
        }
    }
    Stage::InFlow(session)
}

/// A flow waits for one answer at a time: what an earlier dip finds comes too late.
fn expect_lookup(call: &mut Call, lookup: Option<LookupId>, floor: &mut Floor) {
    if let Some(before) = std::mem::replace(&mut call.lookup, lookup) {
        floor.call_of_lookup.remove(&before);
    }
    if let Some(lookup) = lookup {
        floor.call_of_lookup.insert(lookup, call.id);
    }
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

fn enter_queue(
    call: &mut Call,
    queue: QueueId,
    priority: i16,
    skills: Vec<(SkillId, u8)>,
    floor: &mut Floor,
) -> Stage {
    call.story.priority = priority;
    call.story.skills = skills;
    if call.direction == Direction::Inbound {
        let music = floor.config.treatment(queue).music;
        if call.playing.is_none() || call.music.as_ref() != Some(&music) {
            play(call, music, true, floor);
        }
    }
    let give_up_after = call
        .dial
        .is_some()
        .then(|| call.patience() - floor.now.mono);
    let needs = call
        .story
        .skills
        .iter()
        .map(|&(skill, level)| SkillNeed { skill, level });
    floor.tell_acd(acd::Input::Enqueue(acd::input::Visit {
        call: call.id,
        queue,
        direction: call.direction,
        priority,
        skills: needs.collect(),
        preferred: None,
        give_up_after,
    }));
    Stage::Waiting(Visit {
        queue,
        offers: Vec::new(),
    })
}

/// The customer we called is on the line: to the agent who previewed, or to the campaign's queue.
fn connect(call: &mut Call, floor: &mut Floor) -> Stage {
    let dial = call
        .dial
        .as_ref()
        .expect("only outbound calls are connected");
    let Some(agent) = dial.agent else {
        let queue = QueueId(dial.campaign.0);
        return enter_queue(call, queue, 0, Vec::new(), floor);
    };
    let until = call.patience();
    let leg = LegId(floor.legs.next());
    let ring_timeout = until - floor.now.mono;
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
    let dial = call
        .dial
        .as_ref()
        .expect("only outbound calls are abandoned");
    let prompt = dial.abandon_prompt.clone();
    floor.tell_dialer(dialer::Input::AttemptAbandoned {
        attempt: dial.attempt,
    });
    part(call, prompt, floor)
}

fn leave_queue(call: &mut Call, outcome: QueueOutcome, next: Next, floor: &mut Floor) -> Stage {
    if call.direction == Direction::Outbound {
        return abandon(call, floor);
    }
    call.overflows = match call.overflows {
        (at, times) if at == floor.now.mono => (at, times + 1),
        _ => (floor.now.mono, 1),
    };
    if call.overflows.1 > OVERFLOWS_AT_ONCE_MAX {
        let what = "queues that take nobody overflow into each other".to_string();
        floor.fact(Fact::EngineFaulted {
            call: Some(call.id),
            what,
        });
        return end(call, Party::System, Cause::Congestion, floor);
    }
    match next {
        Next::Nowhere => {
            let cause = if outcome == QueueOutcome::SystemFailed {
                Cause::SystemFailed
            } else {
                Cause::Normal
            };
            end(call, Party::System, cause, floor)
        }
        // Another queue, the same needs: nobody speaks another language because time has passed.
        Next::Queue(queue) => {
            let skills = std::mem::take(&mut call.story.skills);
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
        None => end(call, Party::System, Cause::Normal, floor),
    }
}

/// Plays one prompt to the customer, instead of what plays.
fn play(call: &mut Call, prompt: String, repeat: bool, floor: &mut Floor) -> PlayId {
    let play = floor.mint_play();
    (call.playing, call.music) = (Some(play), repeat.then(|| prompt.clone()));
    floor.command(Command::Play {
        leg: call.leg,
        play,
        pieces: vec![ivr::Piece::Prompt(prompt)],
        repeat,
    });
    play
}

fn waiting_or_offered(visit: Visit) -> Stage {
    if visit.offers.is_empty() {
        Stage::Waiting(visit)
    } else {
        Stage::Offered(visit)
    }
}

fn cause_of(why: Withdrawal) -> Cause {
    match why {
        Withdrawal::AnsweredElsewhere => Cause::AnsweredElsewhere,
        Withdrawal::CallerLeft | Withdrawal::CallRemoved => Cause::Cancelled,
    }
}

/// Lets customer and agent hear each other, and records them if the queue says so.
fn bridge(call: &mut Call, agent: AgentId, leg: LegId, queue: QueueId, floor: &mut Floor) -> Talk {
    stop_play(call, floor);
    floor.command(Command::Bridge {
        a: call.leg,
        b: leg,
    });
    floor.fact(Fact::CallBridged {
        call: call.id,
        agent,
        customer_leg: call.leg,
        agent_leg: leg,
    });
    floor.call_of_agent.insert(agent, call.id);
    let dial = call.dial.as_ref();
    let last = LastCall {
        call: call.id,
        lead: dial.map(|dial| dial.lead.id),
        number: dial
            .map(|dial| dial.number)
            .or_else(|| call.caller.parse().ok()),
    };
    floor.last_call_of_agent.insert(agent, last);
    let recording = floor
        .config
        .treatment(queue)
        .record
        .then(|| RecordingId(floor.recordings.next()));
    if let Some(recording) = recording {
        floor.call_of_recording.insert(recording, call.id);
        floor.command(Command::StartRecording {
            recording,
            call: call.id,
            customer: call.leg,
            agent: leg,
        });
        floor.fact(Fact::RecordingStarted {
            recording,
            call: call.id,
        });
    }
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptConnected { attempt, agent });
    }
    Talk {
        agent,
        leg,
        queue,
        recording,
        agent_holds: false,
        customer_holds: false,
    }
}

/// One party holds or resumes. The call is held from the first to the last of them.
fn hold(call: &mut Call, mut talk: Talk, by: Party, held: bool, floor: &mut Floor) -> Stage {
    let was = talk.agent_holds || talk.customer_holds;
    match by {
        Party::Customer => talk.customer_holds = held,
        Party::Agent | Party::System => {
            if talk.agent_holds != held {
                talk.agent_holds = held;
                if held {
                    floor.command(Command::Unbridge {
                        a: call.leg,
                        b: talk.leg,
                    });
                    let music = floor.config.treatment(talk.queue).hold_music;
                    play(call, music, true, floor);
                } else {
                    stop_play(call, floor);
                    floor.command(Command::Bridge {
                        a: call.leg,
                        b: talk.leg,
                    });
                }
            }
        }
    }
    match (was, talk.agent_holds || talk.customer_holds) {
        (false, true) => floor.fact(Fact::CallHeld { call: call.id, by }),
        (true, false) => floor.fact(Fact::CallResumed { call: call.id, by }),
        (true, true) | (false, false) => {}
    }
    talk.stage()
}

fn stop_play(call: &mut Call, floor: &mut Floor) {
    if let Some(play) = call.playing.take() {
        floor.command(Command::StopPlay {
            leg: call.leg,
            play,
        });
    }
}

fn release_reserved(call: &Call, agent: AgentId, floor: &mut Floor) {
    floor.call_of_agent.remove(&agent);
    floor.tell_acd(acd::Input::Release {
        agent,
        call: call.id,
    });
}

/// Ends a call out of any stage: tells whoever waits for it, takes down what stands, closes the
/// books. `by` the customer means their leg is gone already; by the agent, theirs.
pub(crate) fn wind_up(
    call: &mut Call,
    stage: Stage,
    by: Party,
    cause: Cause,
    floor: &mut Floor,
) -> Stage {
    match stage {
        Stage::Previewing {
            agent,
            attempt,
            accepted,
        } => {
            // Once accepted, the claim's answer is still to come.
            if !accepted {
                floor.call_of_claim.remove(&attempt);
                floor.tell_dialer(dialer::Input::PreviewAnswered {
                    agent,
                    attempt,
                    accept: false,
                });
            }
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
            session.handle(
                now,
                ivr::Input::HungUp,
                &mut floor.plays,
                &mut floor.ivr_out,
            );
            note_flow_facts(call, floor);
            finish_flow(call, floor);
        }
        Stage::Waiting(visit) | Stage::Offered(visit) => {
            for offer in &visit.offers {
                drop_offer(call, offer, Cause::Cancelled, floor);
            }
            let input = match by {
                Party::Customer | Party::Agent => acd::Input::CallerLeft { call: call.id },
                Party::System if cause == Cause::MediaLost => {
                    acd::Input::CallerLeft { call: call.id }
                }
                Party::System => acd::Input::Remove {
                    call: call.id,
                    outcome: QueueOutcome::SystemFailed,
                },
            };
            floor.tell_acd(input);
            hung_up_early(call, floor);
        }
        Stage::Connecting { leg, .. } => {
            floor.end_leg(leg, call.id, Cause::Cancelled, true);
            hung_up_early(call, floor);
        }
        Stage::Talking(talk) | Stage::OnHold(talk) => {
            // One that failed has ended by itself.
            if let Some(recording) = talk.recording
                && floor.call_of_recording.contains_key(&recording)
            {
                floor.command(Command::StopRecording { recording });
            }
            if by != Party::Agent {
                floor.end_leg(talk.leg, call.id, cause, true);
            }
            floor.fact(Fact::CallUnbridged {
                call: call.id,
                agent: talk.agent,
            });
            floor.call_of_agent.remove(&talk.agent);
            floor.tell_acd(acd::Input::TalkEnded {
                agent: talk.agent,
                call: call.id,
            });
        }
        Stage::Parting { .. } | Stage::Over => {}
    }
    end(call, by, cause, floor)
}

/// Closes the books of a call that nobody waits for any more.
fn end(call: &mut Call, by: Party, cause: Cause, floor: &mut Floor) -> Stage {
    call.playing = None;
    // The agent who previewed a lead that came to nothing is free again.
    if let Some(agent) = call.dial.as_ref().and_then(|dial| dial.agent)
        && floor.call_of_agent.get(&agent) == Some(&call.id)
    {
        release_reserved(call, agent, floor);
    }
    if call.is_service {
        floor.drop_leg(call.leg, call.id, cause, by != Party::Customer);
        return Stage::Over;
    }
    floor.end_leg(call.leg, call.id, cause, by != Party::Customer);
    if let Some(attempt) = call.attempt() {
        floor.call_of_attempt.remove(&attempt);
    }
    floor.fact(Fact::CallEnded {
        call: call.id,
        direction: call.direction,
        by,
        cause,
    });
    Stage::Over
}

/// What a flow still wants when its caller is gone: to tell somebody, never to touch the leg (I9).
fn finish_flow(call: &mut Call, floor: &mut Floor) {
    expect_lookup(call, None, floor);
    for command in std::mem::take(&mut floor.ivr_out.commands) {
        match command {
            // Nobody waits for the answer.
            ivr::Command::Lookup {
                lookup,
                source,
                parameters,
                timeout,
            } => {
                floor.command(Command::Lookup {
                    lookup,
                    call: call.id,
                    source,
                    parameters,
                    timeout,
                });
            }
            ivr::Command::Play { .. }
            | ivr::Command::StopPlay { .. }
            | ivr::Command::Queue { .. }
            | ivr::Command::HangUp { .. } => {}
        }
    }
}

/// An answered customer hung up (or was lost) before an agent: the dialer's book needs an end.
fn hung_up_early(call: &Call, floor: &mut Floor) {
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptHungUpEarly { attempt });
    }
}
