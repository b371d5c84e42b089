//! Recorded voices: a flow that speaks with whom we called, and a message left on a machine.
//!
//! ```text
//! agentless  (a person) ─► InFlow ─► Over             nobody was asked for: messaged
//!                            │ a key asks for an agent
//!                            ▼
//!                          Waiting ◄─► Offered ─► Talking     or else abandoned, as everybody
//! machine    any stage before an agent ─► LeavingMessage (its beep, then the prompt) ─► Over
//! ```
//!
//! A verdict may come late: until an agent talks it is acted upon, afterwards it is only told.

use crate::call::Call;
use crate::floor::Floor;
use crate::life::{LegFact, Seen, Stage};
use crate::offer::drop_offer;
use crate::ways::{
    connect, end, enter_flow, finish_flow, note_flow_facts, play, release_reserved, stop_play,
    wind_up,
};
use dialer::OnMachine;
use model::event::{Party, Verdict};
use model::{AgentId, Cause, Fact, FlowId, Mono, PlayId, QueueOutcome};
use std::time::Duration;

/// A machine that has not beeped this long after its answer gets no message: greetings are shorter.
pub const BEEP_WAIT: Duration = Duration::from_secs(30);
/// A message on a machine ends after this even if the media never says so; no mailbox takes more.
pub const MACHINE_MESSAGE_MAX: Duration = Duration::from_secs(120);

/// A flow speaks with the person we called. It knows the lead's fields and name as variables.
pub(crate) fn speak(call: &mut Call, flow: FlowId, floor: &mut Floor) -> Stage {
    if let Some(dial) = &call.dial {
        let variables = &mut call.story.variables;
        for (name, value) in &dial.lead.fields {
            variables.entry(name.clone()).or_insert(value.clone());
        }
        if let Some(name) = &dial.lead.name {
            variables.entry("name".into()).or_insert(name.clone());
        }
    }
    enter_flow(call, flow, floor)
}

/// Somebody in a flow wants an agent: they wait since their key press.
pub(crate) fn ask_for_agent(call: &mut Call, floor: &mut Floor) {
    let Some(attempt) = call.attempt() else {
        return;
    };
    assert!(
        !call.abandoned,
        "a flow for the abandoned asks for nobody: the configuration was checked"
    );
    call.asked = Some(call.keyed.unwrap_or(floor.now.mono));
    floor.tell_dialer(dialer::Input::AttemptAsked { attempt });
}

/// A flow that spoke with whom we called is over, and nobody was asked for.
pub(crate) fn messaged(call: &Call, floor: &mut Floor) {
    if let Some(attempt) = call.attempt().filter(|_| !call.abandoned) {
        floor.tell_dialer(dialer::Input::AttemptMessaged { attempt });
    }
}

/// Person or machine, while no agent talks with them yet.
pub(crate) fn classified(
    call: &mut Call,
    stage: Stage,
    verdict: Verdict,
    floor: &mut Floor,
) -> Stage {
    let is_first = matches!(stage, Stage::Classifying { .. });
    // Late: one who pressed a key is a person, and one who was abandoned is in the books.
    let is_settled = call.keyed.is_some() || call.abandoned || !call.detects();
    match verdict {
        Verdict::Person if is_first => {
            tell(call, verdict, None, floor);
            tell_dialer(call, verdict, floor);
            connect(call, floor)
        }
        Verdict::Person => stage,
        Verdict::Machine | Verdict::Fax if is_settled && !is_first => stage,
        Verdict::Machine | Verdict::Fax => {
            tell(call, verdict, None, floor);
            let on_machine = call.dial.as_ref().map(|dial| dial.on_machine);
            match (on_machine, verdict) {
                (Some(OnMachine::Agent), Verdict::Machine) if is_first => {
                    // From here on it is treated like a person, in the books too.
                    tell_dialer(call, Verdict::Person, floor);
                    connect(call, floor)
                }
                (Some(OnMachine::Agent), Verdict::Machine) => stage,
                (Some(OnMachine::LeaveMessage), Verdict::Machine) => {
                    take_down(call, stage, floor);
                    tell_dialer(call, verdict, floor);
                    await_beep(call, floor)
                }
                (Some(OnMachine::HangUp) | None, Verdict::Machine)
                | (_, Verdict::Fax | Verdict::Person) => {
                    take_down(call, stage, floor);
                    tell_dialer(call, verdict, floor);
                    end(call, Party::System, Cause::Normal, floor)
                }
            }
        }
    }
}

/// A machine was recognised when an agent was already there, or last words were said: it is told.
pub(crate) fn classified_too_late(
    call: &Call,
    verdict: Verdict,
    agent: Option<AgentId>,
    floor: &mut Floor,
) {
    if call.detects() && verdict != Verdict::Person {
        tell(call, verdict, agent, floor);
    }
}

fn tell(call: &Call, verdict: Verdict, agent: Option<AgentId>, floor: &mut Floor) {
    floor.fact(Fact::CallClassified {
        call: call.id,
        verdict,
        agent,
        tone: None,
        greeting_began_ms: None,
        greeting_ended_ms: None,
        evidence: None,
    });
}

fn tell_dialer(call: &Call, verdict: Verdict, floor: &mut Floor) {
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptClassified { attempt, verdict });
    }
}

/// Ends what was going on with somebody who is none.
fn take_down(call: &mut Call, stage: Stage, floor: &mut Floor) {
    match stage {
        Stage::Classifying { .. } => {}
        Stage::InFlow(mut session) => {
            let now = floor.now;
            let gone = ivr::Input::HungUp;
            session.handle(now, gone, &mut floor.plays, &mut floor.ivr_out);
            note_flow_facts(call, floor);
            finish_flow(call, floor);
            stop_play(call, floor);
        }
        Stage::Waiting(visit) | Stage::Offered(visit) => {
            for offer in &visit.offers {
                drop_offer(call, offer, Cause::Cancelled, floor);
            }
            floor.tell_acd(acd::Input::Remove {
                call: call.id,
                outcome: QueueOutcome::Removed,
            });
        }
        Stage::Previewing(_)
        | Stage::Dialing { .. }
        | Stage::Connecting { .. }
        | Stage::Talking(_)
        | Stage::OnHold(_)
        | Stage::LeavingMessage { .. }
        | Stage::Parting { .. }
        | Stage::Over => unreachable!("nobody is judged a machine there"),
    }
}

/// The agent who previewed is free; the machine has the word until its beep has ended.
fn await_beep(call: &mut Call, floor: &mut Floor) -> Stage {
    if let Some(agent) = call.dial.as_ref().and_then(|dial| dial.agent) {
        release_reserved(call, agent, floor);
    }
    if call.beeped {
        return leave_message(call, floor);
    }
    let answered = call.answered.expect("only answered calls are classified");
    Stage::LeavingMessage {
        play: None,
        until: answered + BEEP_WAIT,
    }
}

fn leave_message(call: &mut Call, floor: &mut Floor) -> Stage {
    let prompt = call
        .dial
        .as_ref()
        .and_then(|dial| dial.machine_prompt.clone());
    let prompt = prompt.expect("a campaign that leaves messages has one: it was validated");
    Stage::LeavingMessage {
        play: Some(play(call, prompt, false, floor)),
        until: floor.now.mono + MACHINE_MESSAGE_MAX,
    }
}

/// The stage of that name.
pub(crate) fn leaving_message(
    call: &mut Call,
    play: Option<PlayId>,
    until: Mono,
    seen: Seen,
    floor: &mut Floor,
) -> Stage {
    let stay = Stage::LeavingMessage { play, until };
    match seen {
        Seen::BeepEnded if play.is_none() => leave_message(call, floor),
        Seen::PromptFinished(finished) if play == Some(finished) => {
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
        Seen::BeepEnded
        | Seen::PromptFinished(_)
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
