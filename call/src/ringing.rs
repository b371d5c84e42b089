//! A customer's phone rings: from the dial to the answer, or until the call is given up.
//!
//! ```text
//! Dialing ─► an answer ─► Classifying, Waiting …
//!    │ it has rung long enough, or no agent is left for it
//!    ▼
//! GivingUp ─► over when the carrier says so; or an answer that was faster than the CANCEL (RFC 3261 §9.1)
//! ```

use crate::call::Call;
use crate::classify;
use crate::command::Command;
use crate::floor::Floor;
use crate::life::{LegFact, Seen, Stage};
use crate::ways::{close, connect, wind_up};
use dialer::command::Dial;
use model::event::{Party, Role};
use model::{Cause, Fact, Mono};
use std::time::Duration;

/// A call that is given up is over after this even if nobody says so: SIP does 64·T1 (32 s) after the
/// CANCEL (RFC 3261 §9.1), which may have to wait for a first response.
const GIVING_UP_MAX: Duration = Duration::from_secs(40);

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
    floor.attest(call.id, dial.trunk);
    floor.attempt_of_leg.insert(call.leg, dial.attempt);
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

/// The stage of that name.
pub(crate) fn dialing(
    call: &mut Call,
    give_up: Mono,
    rings: bool,
    seen: Seen,
    floor: &mut Floor,
) -> Stage {
    let attempt = call.attempt().expect("only outbound calls dial");
    let stay = Stage::Dialing { give_up, rings };
    match seen {
        Seen::Customer(LegFact::Ringing) if !rings => {
            floor.fact(Fact::LegRinging {
                leg: call.leg,
                call: call.id,
            });
            floor.tell_dialer(dialer::Input::AttemptRinging { attempt });
            call.tone = None;
            let dial = call.dial.as_ref().expect("only outbound calls dial");
            // A phone that begins to ring late still rings as long as the law asks.
            Stage::Dialing {
                give_up: give_up.max(floor.now.mono + dial.ring_min),
                rings: true,
            }
        }
        Seen::Customer(LegFact::Ringing) => {
            // A tone that was one would not be followed by this.
            call.tone = None;
            stay
        }
        Seen::Customer(LegFact::Answered) => picked_up(call, floor),
        Seen::Customer(LegFact::Ended(cause)) => answered_in_vain(call, cause, floor),
        Seen::Customer(LegFact::Failed(cause)) => match call.tone {
            Some((tone, _)) if classify::is_open(cause) => {
                classify::end_by_tone(call, tone, Party::Customer, floor)
            }
            Some(_) | None => wind_up(call, stay, Party::Customer, cause, floor),
        },
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, stay, Party::System, Cause::MediaLost, floor)
        }
        Seen::Heard(heard) => {
            classify::tone_before_answer(call, &heard, floor);
            stay
        }
        Seen::CancelDial => give_up_on(call, Cause::Cancelled, floor),
        Seen::Tick => match call.tone {
            Some((tone, due)) if floor.now.mono >= due.min(give_up) => {
                classify::end_by_tone(call, tone, Party::System, floor)
            }
            Some(_) | None if floor.now.mono >= give_up => give_up_on(call, Cause::NoAnswer, floor),
            Some(_) | None => stay,
        },
        // An agent's wish neither: no unanswered call is given up before it has rung long enough (47
        // CFR 64.1200(a)(6)).
        Seen::Customer(LegFact::Held(_))
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::Dial(_) => stay,
    }
}

/// Asks the carrier to let the call go; it is over when the carrier says so.
fn give_up_on(call: &mut Call, cause: Cause, floor: &mut Floor) -> Stage {
    let attempt = call.attempt().expect("only outbound calls dial");
    floor.tell_dialer(dialer::Input::AttemptGivenUp { attempt });
    call.tone = None;
    floor.fact(Fact::LegGivenUp {
        leg: call.leg,
        call: call.id,
        cause,
    });
    floor.command(Command::CancelLeg {
        leg: call.leg,
        cause,
    });
    Stage::GivingUp {
        cause,
        until: floor.now.mono + GIVING_UP_MAX,
    }
}

/// The stage of that name.
pub(crate) fn giving_up(
    call: &mut Call,
    cause: Cause,
    until: Mono,
    seen: Seen,
    floor: &mut Floor,
) -> Stage {
    let stay = Stage::GivingUp { cause, until };
    match seen {
        Seen::Customer(LegFact::Answered) => picked_up(call, floor),
        Seen::Customer(LegFact::Ended(cause)) => answered_in_vain(call, cause, floor),
        Seen::Customer(LegFact::Failed(_)) => {
            let attempt = call.attempt().expect("only outbound calls dial");
            floor.tell_dialer(dialer::Input::AttemptFailed { attempt, cause });
            close(call, Party::System, cause, floor)
        }
        Seen::Tick if floor.now.mono >= until => wind_up(call, stay, Party::System, cause, floor),
        Seen::Customer(LegFact::Ringing | LegFact::Held(_) | LegFact::MediaLost)
        | Seen::Tick
        | Seen::CancelDial
        | Seen::Heard(_)
        | Seen::Agent(..)
        | Seen::Digit(_)
        | Seen::PromptFinished(_)
        | Seen::LookedUp(..)
        | Seen::ScreenPopped { .. }
        | Seen::OfferMade { .. }
        | Seen::OfferWithdrawn { .. }
        | Seen::LeftQueue { .. }
        | Seen::Wish(..)
        | Seen::Dial(_) => stay,
    }
}

/// The customer answers.
fn picked_up(call: &mut Call, floor: &mut Floor) -> Stage {
    note_answer(call, floor);
    if call.detects() {
        classify::begin(call)
    } else {
        connect(call, floor)
    }
}

/// The customer answers, with media that cannot be used: a person hears nothing, not even the message.
/// Measured conservatively, they are abandoned.
fn answered_in_vain(call: &mut Call, cause: Cause, floor: &mut Floor) -> Stage {
    note_answer(call, floor);
    let attempt = call.attempt().expect("only outbound calls dial");
    floor.tell_dialer(dialer::Input::AttemptHungUpEarly { attempt });
    close(call, Party::System, cause, floor)
}

fn note_answer(call: &mut Call, floor: &mut Floor) {
    call.tone = None;
    call.answered(floor);
    floor.fact(Fact::LegAnswered {
        leg: call.leg,
        call: call.id,
    });
    let attempt = call.attempt().expect("only outbound calls dial");
    floor.tell_dialer(dialer::Input::AttemptAnswered { attempt });
}
