//! A lead on an agent's screen: until it is dialled, skipped, or taken back, nothing is called.

use crate::call::Call;
use crate::command::Command;
use crate::floor::Floor;
use crate::life::{Seen, Stage, Wish};
use crate::offer::{preview_offer, preview_pop, screen_popped};
use crate::ringing::dial;
use crate::ways::{release_reserved, wind_up};
use model::event::Party;
use model::screen_pop::PopPhase;
use model::{AgentId, AttemptId, CampaignId, Cause, Mono, OfferId};
use std::time::Duration;

/// A lead on an agent's screen.
pub(crate) struct Preview {
    pub agent: AgentId,
    pub attempt: AttemptId,
    /// The agent wants it dialled; the claim is being stored.
    pub accepted: bool,
    /// Names the pop.
    pub offer: OfferId,
    pub shown: Mono,
    /// Whether there was a screen, and how long it took, once it has answered.
    pub popped: Option<(bool, Duration)>,
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
    let offer = preview_offer(call.id);
    floor.call_of_agent.insert(agent, call.id);
    floor.call_of_claim.insert(attempt, call.id);
    floor.call_of_offer.insert(offer, call.id);
    let pop = preview_pop(call, offer, agent, campaign, attempt, lead);
    floor.command(Command::PopScreen(Box::new(pop)));
    call.stage = Stage::Previewing(Preview {
        agent,
        attempt,
        accepted: false,
        offer,
        shown: floor.now.mono,
        popped: None,
    });
}

/// The stage of that name.
pub(crate) fn previewing(
    call: &mut Call,
    mut preview: Preview,
    seen: Seen,
    floor: &mut Floor,
) -> Stage {
    let Preview {
        agent,
        attempt,
        offer,
        ..
    } = preview;
    match seen {
        Seen::ScreenPopped {
            offer: seen,
            on_socket,
        } => {
            if seen == offer {
                let took = floor.now.mono - preview.shown;
                preview.popped.get_or_insert((on_socket, took));
            }
            Stage::Previewing(preview)
        }
        Seen::Wish(_, Wish::Preview(true)) if !preview.accepted => {
            floor.tell_dialer(dialer::Input::PreviewAnswered {
                agent,
                attempt,
                accept: true,
            });
            Stage::Previewing(Preview {
                accepted: true,
                ..preview
            })
        }
        Seen::Wish(_, Wish::Preview(false) | Wish::Decline | Wish::HangUp) if !preview.accepted => {
            wind_up(
                call,
                Stage::Previewing(preview),
                Party::Agent,
                Cause::Rejected,
                floor,
            )
        }
        Seen::Dial(order) => {
            floor.call_of_offer.remove(&offer);
            dial(call, order, floor);
            let (on_socket, took) = preview
                .popped
                .unwrap_or((false, floor.now.mono - preview.shown));
            floor.fact(screen_popped(
                call,
                offer,
                agent,
                PopPhase::Preview,
                on_socket,
                took,
            ));
            std::mem::replace(&mut call.stage, Stage::Over)
        }
        // It ran out, its lead may not be dialled, or the claim was refused: the dialer knows.
        Seen::CancelDial => {
            floor.call_of_offer.remove(&offer);
            release_reserved(call, agent, floor);
            Stage::Over
        }
        Seen::Customer(_)
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::Heard(_)
        | Seen::LookedUp(..)
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::Tick => Stage::Previewing(preview),
    }
}
