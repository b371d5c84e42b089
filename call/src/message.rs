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
//! Who is a machine is decided in [`crate::classify`].

use crate::call::Call;
use crate::classify::Heard;
use crate::floor::Floor;
use crate::life::{LegFact, Seen, Stage};
use crate::ways::{enter_flow, play, release_reserved, wind_up};
use model::event::Party;
use model::{Cause, FlowId, Mono, PlayId};
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

/// The agent who previewed is free; the machine has the word until its beep has ended.
pub(crate) fn await_beep(call: &mut Call, floor: &mut Floor) -> Stage {
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
        Seen::Heard(Heard::BeepEnded) if play.is_none() => leave_message(call, floor),
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
        Seen::Heard(_)
        | Seen::PromptFinished(_)
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
