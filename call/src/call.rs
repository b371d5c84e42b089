//! What is known of one call, whatever its stage.

use crate::classify::Greeting;
use crate::floor::Floor;
use crate::life::{MESSAGE_LEAD, Stage};
use dialer::command::Dial;
use model::heard::{Evidence, Tone};
use model::screen_pop::Direction;
use model::{AttemptId, CallId, FlowId, LegId, LookupId, Mono, PlayId, SkillId};
use std::collections::BTreeMap;
use std::time::Duration;

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
    /// The last key pressed in a flow.
    pub keyed: Option<Mono>,
    /// Since when one whom we called waits for the agent a flow has promised.
    pub asked: Option<Mono>,
    /// No agent came in time: the attempt is over, last words are said.
    pub abandoned: bool,
    /// A machine's beep has ended.
    pub beeped: bool,
    /// The first utterance of whom we called. It stays as it is once the call is handed over.
    pub greeting: Greeting,
    /// That it was a machine, if they hang up now, and why.
    pub suspicion: Option<Box<Evidence>>,
    /// What early media plays, and when that ends the call.
    pub tone: Option<(Tone, Mono)>,
    /// No answered call lives beyond this.
    pub expires: Option<Mono>,
    /// The engine's note of the deadline it has queued.
    pub due: Option<Mono>,
    /// A feature code: not a customer contact, not in the books of calls.
    pub is_service: bool,
    /// What plays on the customer's leg.
    pub playing: Option<PlayId>,
    /// The prompt it is, where it repeats: a caller sent on to a queue with the same music hears no gap.
    pub music: Option<String>,
    /// The data dip the flow waits for.
    pub lookup: Option<LookupId>,
    /// When the call was last sent on from a queue, and how often in that instant.
    pub overflows: (Mono, u32),
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
            keyed: None,
            asked: None,
            abandoned: false,
            beeped: false,
            greeting: Greeting::default(),
            suspicion: None,
            tone: None,
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
            Stage::Dialing { give_up, .. } => {
                Some(self.tone.map_or(*give_up, |(_, due)| due.min(*give_up)))
            }
            Stage::GivingUp { until, .. }
            | Stage::Classifying { until }
            | Stage::Connecting { until, .. }
            | Stage::LeavingMessage { until, .. }
            | Stage::Parting { until, .. } => Some(*until),
            Stage::InFlow(session) => session.next_deadline().map(|(at, _)| at),
            Stage::Offered(visit) => visit
                .offers
                .iter()
                .filter(|o| o.leg.is_none())
                .map(|o| o.pop_due)
                .min(),
            Stage::Previewing(_) | Stage::Waiting(_) | Stage::Talking(_) | Stage::OnHold(_) => None,
            Stage::Over => return None,
        };
        of_stage.into_iter().chain(self.expires).min()
    }

    /// The name of the stage, for the API and for faults.
    pub fn stage_name(&self) -> &'static str {
        match &self.stage {
            Stage::Previewing(_) => "previewing",
            Stage::Dialing { .. } => "dialing",
            Stage::GivingUp { .. } => "giving_up",
            Stage::Classifying { .. } => "classifying",
            Stage::InFlow(_) => "in_flow",
            Stage::Waiting(_) => "waiting",
            Stage::Offered(_) => "offered",
            Stage::Connecting { .. } => "connecting",
            Stage::Talking(_) => "talking",
            Stage::OnHold(_) => "on_hold",
            Stage::LeavingMessage { .. } => "leaving_message",
            Stage::Parting { .. } => "parting",
            Stage::Over => "over",
        }
    }

    /// The attempt it is, once dialled.
    pub fn attempt(&self) -> Option<AttemptId> {
        self.dial.as_ref().map(|dial| dial.attempt)
    }

    /// Notes the answer: from now on the call has a longest life.
    pub fn answered(&mut self, floor: &mut Floor) {
        self.answered = Some(floor.now.mono);
        self.expires = Some(floor.now.mono + Duration::from_millis(floor.config.call_ms_max));
    }

    /// Whether somebody listens who answered.
    pub fn detects(&self) -> bool {
        self.dial.as_ref().is_some_and(|dial| dial.classify)
    }

    /// When a customer we called is with an agent, or else hears the message: so long after the end of
    /// their greeting, or the answer where no end is placed (47 CFR 64.1200(a)(7)), or after the key by
    /// which they asked a flow for one.
    pub fn patience(&self) -> Mono {
        let dial = self
            .dial
            .as_ref()
            .expect("only outbound calls are abandoned");
        let answered = self.answered.expect("only answered calls are abandoned");
        let greeted = answered + self.greeting.ended.unwrap_or_default();
        let since = self.asked.unwrap_or(greeted);
        since + dial.connect_within.saturating_sub(MESSAGE_LEAD)
    }
}
