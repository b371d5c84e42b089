//! How an agent is reached: the screen first, then the phone, and every way this comes to nothing.
//!
//! It is handed the call and the offer; it tells the ACD what failed and keeps the maps of the floor
//! in step. Which stage follows is decided in [`crate::life`].

use crate::call::Call;
use crate::command::Command;
use crate::floor::Floor;
use crate::life::Visit;
use model::event::{OfferFailure, Role};
use model::screen_pop::{Direction, PopPhase};
use model::{
    AgentId, AttemptId, CallId, CampaignId, Cause, Fact, Lead, LegId, Mono, OfferId, QueueId,
    ScreenPop,
};
use std::time::Duration;

/// The phone rings without the screen after this: a screen that stalls never holds a call up (R20).
pub const SCREEN_POP_WAIT: Duration = Duration::from_millis(250);

/// Pops of previews are named like offers. The ACD mints from the lower half of the counter, a
/// preview has the number of its call in the upper half: half a trillion of each in one boot.
const PREVIEW_OFFERS: u64 = 1 << (model::id::COUNTER_BITS - 1);

/// One agent being reached.
pub(crate) struct Offer {
    pub offer: OfferId,
    pub agent: AgentId,
    made: Mono,
    /// When the phone rings even if the screen has not answered.
    pub pop_due: Mono,
    ring_timeout: Duration,
    /// The phone's leg, once it is being called.
    pub leg: Option<LegId>,
    pub rings: bool,
}

/// Tells the agent's screen; the phone follows when the screen has it, or soon without.
pub(crate) fn make_offer(
    call: &Call,
    queue: QueueId,
    offer: OfferId,
    agent: AgentId,
    ring_timeout: Duration,
    waited: Duration,
    floor: &mut Floor,
) -> Offer {
    floor.call_of_offer.insert(offer, call.id);
    floor.call_of_agent.insert(agent, call.id);
    let pop = ScreenPop {
        queue: Some(queue),
        ..bare_pop(call, offer, agent, waited)
    };
    floor.command(Command::PopScreen(Box::new(pop)));
    let made = floor.now.mono;
    Offer {
        offer,
        agent,
        made,
        pop_due: made + SCREEN_POP_WAIT,
        ring_timeout,
        leg: None,
        rings: false,
    }
}

/// The name of a preview's pop.
pub(crate) fn preview_offer(call: CallId) -> OfferId {
    OfferId(call.0 | PREVIEW_OFFERS)
}

/// What the screen shows of a lead that is not dialled yet.
pub(crate) fn preview_pop(
    call: &Call,
    offer: OfferId,
    agent: AgentId,
    campaign: CampaignId,
    attempt: AttemptId,
    lead: Box<Lead>,
) -> ScreenPop {
    ScreenPop {
        phase: PopPhase::Preview,
        direction: Direction::Outbound,
        caller: lead.number().to_string(),
        caller_name: lead.name.clone(),
        campaign: Some(campaign),
        attempt: Some(attempt),
        lead: Some(lead),
        ..bare_pop(call, offer, agent, Duration::ZERO)
    }
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
        skills: call.story.skills.iter().map(|(skill, _)| *skill).collect(),
        flow: call.story.flow,
        ivr_path: call.story.ivr_path.clone(),
        variables: call.story.variables.clone(),
        lead: dial.map(|dial| Box::new(dial.lead.clone())),
        matches: Vec::new(),
        open_url: None,
    }
}

/// The screen has the pop (or never will): the phone may ring.
pub(crate) fn ring_agent(
    call: &Call,
    queue: QueueId,
    offer: &mut Offer,
    on_socket: bool,
    floor: &mut Floor,
) {
    let took = floor.now.mono - offer.made;
    let leg = LegId(floor.legs.next());
    offer.leg = Some(leg);
    floor.fact(screen_popped(
        call,
        offer.offer,
        offer.agent,
        PopPhase::Offer,
        on_socket,
        took,
    ));
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

/// The fact that a screen was told.
pub(crate) fn screen_popped(
    call: &Call,
    offer: OfferId,
    agent: AgentId,
    phase: PopPhase,
    on_socket: bool,
    took: Duration,
) -> Fact {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    Fact::ScreenPopped {
        offer,
        call: call.id,
        agent,
        phase,
        on_socket,
        took_us,
    }
}

/// The phone said no, or was not there.
pub(crate) fn fail_offer(
    call: &Call,
    visit: &mut Visit,
    leg: LegId,
    cause: Cause,
    hang_up: bool,
    floor: &mut Floor,
) {
    let at = visit
        .offers
        .iter()
        .position(|o| o.leg == Some(leg))
        .expect("the leg belongs to an offer");
    let offer = visit.offers.remove(at);
    floor.end_leg(leg, call.id, cause, hang_up);
    floor.call_of_offer.remove(&offer.offer);
    floor.call_of_agent.remove(&offer.agent);
    floor.tell_acd(acd::Input::OfferFailed {
        offer: offer.offer,
        why: failure_of(cause),
    });
}

/// Stops reaching one agent; the ACD knows.
pub(crate) fn drop_offer(call: &Call, offer: &Offer, cause: Cause, floor: &mut Floor) {
    floor.call_of_offer.remove(&offer.offer);
    floor.call_of_agent.remove(&offer.agent);
    if let Some(leg) = offer.leg {
        floor.end_leg(leg, call.id, cause, true);
    }
}

/// The phone of the agent who previewed did not take the call.
pub(crate) fn reserve_failed(
    call: &Call,
    agent: AgentId,
    leg: LegId,
    cause: Cause,
    hang_up: bool,
    floor: &mut Floor,
) {
    floor.end_leg(leg, call.id, cause, hang_up);
    floor.call_of_agent.remove(&agent);
    floor.tell_acd(acd::Input::ReservedFailed {
        agent,
        call: call.id,
        why: failure_of(cause),
    });
}

fn failure_of(cause: Cause) -> OfferFailure {
    match cause {
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
    }
}
