//! Who answered: how long that is waited for, and what a verdict or a tone does at each stage.
//!
//! ```text
//! answer ─► Classifying ─► a person, or nothing certain in time ─► to an agent, or a flow
//!                │
//!                └─► a machine, a fax, the network ─► hung up, or a message left
//! ```
//!
//! While the first utterance goes on, the greeting is not complete, and the law's two seconds (47 CFR
//! 64.1200(a)(7)) have not begun: they count from its end, as the detector places it, and from the
//! answer where it places none. A verdict may come late: until an agent talks it is acted upon,
//! afterwards the campaign says what becomes of it.

use crate::call::Call;
use crate::floor::Floor;
use crate::life::{LegFact, Seen, Stage};
use crate::message::await_beep;
use crate::offer::drop_offer;
use crate::ways::{
    connect, end, finish_flow, note_flow_facts, release_reserved, stop_play, wind_up,
};
use dialer::{MachineAfterConnect, OnMachine};
use model::event::{Party, Verdict};
use model::heard::{Evidence, Tone};
use model::{AgentId, Cause, Fact, Mono, QueueOutcome};
use std::time::Duration;

/// Whoever has not spoken so long after the answer is treated as a person: a silent person waits, and
/// their two seconds count from the answer.
pub const SILENT_WAIT: Duration = Duration::from_millis(1_500);
/// Whoever has paused for so long behind a greeting is treated as a person, verdict or not: longer than
/// most greetings pause between sentences, and so that an agent is there within the two seconds.
pub const GREETING_MARGIN: Duration = Duration::from_millis(800);
/// The end of a word is known so much later: 100 ms of silence, and the way of its packets. Whoever seems to
/// speak has not greeted to the end before.
pub const PAUSE_KNOWN_AFTER: Duration = Duration::from_millis(200);
/// A tone before the answer explains the call if SIP has not by then: networks that know a cause send
/// it with the tone, and others play on for a minute while the line is taken.
pub const TONE_WAIT: Duration = Duration::from_secs(2);

/// Log odds at which a call is hung up that an agent talks on: 100 to 1 for a machine. The detector says
/// «machine» at less when it stops listening, 20 s after the answer; for how long people listen to an agent
/// without a word is assumed in it, not measured.
const HANG_UP_LOG_ODDS: f64 = -4.6;

/// What the detectors say of a customer's leg.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Who answered, and why that is believed.
    Who(Verdict, Option<Box<Evidence>>),
    /// That it was a machine, if they hang up now, and why; or not. The call keeps it.
    Suspected(Option<Box<Evidence>>),
    /// The first utterance, as far as it is known now.
    Greeting(Greeting),
    /// A tone of the network or of a fax machine.
    Tone(Tone),
    /// A machine's beep has ended.
    BeepEnded,
}

/// The first utterance of whom we called, in time after the answer. One that has begun and not ended
/// goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Greeting {
    pub began: Option<Duration>,
    pub ended: Option<Duration>,
}

impl Greeting {
    /// What ended has begun.
    pub fn of(began_ms: Option<u32>, ended_ms: Option<u32>) -> Greeting {
        let after = |ms: u32| Duration::from_millis(ms.into());
        Greeting {
            began: began_ms.or(ended_ms).map(after),
            ended: ended_ms.map(after),
        }
    }
}

/// Until when a call is asked who answered, by what is known of the greeting.
fn wait_until(call: &Call) -> Mono {
    let dial = call
        .dial
        .as_ref()
        .expect("only outbound calls are classified");
    let answered = call.answered.expect("only answered calls are classified");
    let wait = match (call.greeting.began, call.greeting.ended) {
        (None, _) => SILENT_WAIT.min(dial.connect_within * 3 / 4),
        // Where an agent has less than two seconds, so has the margin.
        (Some(_), Some(ended)) => ended + GREETING_MARGIN.min(dial.connect_within * 2 / 5),
        (Some(_), None) => dial.classify_wait,
    };
    answered + wait.min(dial.classify_wait)
}

/// Someone or something answered.
pub(crate) fn begin(call: &Call) -> Stage {
    Stage::Classifying {
        until: wait_until(call),
    }
}

/// The stage of that name.
pub(crate) fn classifying(call: &mut Call, until: Mono, seen: Seen, floor: &mut Floor) -> Stage {
    let stay = Stage::Classifying { until };
    match seen {
        Seen::Heard(heard) => heard_early(call, stay, heard, floor),
        Seen::Tick if floor.now.mono >= until => {
            hand_over(call, Finding::of(Verdict::Unsure), floor)
        }
        Seen::Customer(LegFact::Ended(cause) | LegFact::Failed(cause)) => {
            wind_up(call, stay, Party::Customer, cause, floor)
        }
        Seen::Customer(LegFact::MediaLost) => {
            wind_up(call, stay, Party::System, Cause::MediaLost, floor)
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
        | Seen::Dial(_) => stay,
    }
}

/// What was found, and from what.
struct Finding {
    verdict: Verdict,
    tone: Option<Tone>,
    evidence: Option<Box<Evidence>>,
}

impl Finding {
    fn of(verdict: Verdict) -> Finding {
        Finding {
            verdict,
            tone: None,
            evidence: None,
        }
    }

    /// What is to be acted upon; persons do not beep.
    fn from(heard: Heard) -> Option<Finding> {
        match heard {
            Heard::Who(verdict, evidence) => Some(Finding {
                evidence,
                ..Finding::of(verdict)
            }),
            Heard::Tone(tone) => Some(Finding {
                tone: Some(tone),
                ..Finding::of(tone.verdict())
            }),
            Heard::BeepEnded => Some(Finding::of(Verdict::Machine)),
            Heard::Greeting(_) | Heard::Suspected(_) => None,
        }
    }
}

/// While it is asked who answered: the greeting moves the end of the wait.
fn heard_early(call: &mut Call, stay: Stage, heard: Heard, floor: &mut Floor) -> Stage {
    let answered = call.answered.expect("only answered calls are classified");
    let so_far = floor.now.mono - answered;
    match heard {
        Heard::Greeting(Greeting { began, ended }) => {
            // Nothing was said later than now: whose clock is fast must not take time off the law.
            call.greeting.began = began.map(|at| at.min(so_far));
            call.greeting.ended = ended.map(|at| at.min(so_far));
            if floor.now.mono >= wait_until(call) {
                return hand_over(call, Finding::of(Verdict::Unsure), floor);
            }
            begin(call)
        }
        Heard::Suspected(_) => stay,
        heard @ (Heard::Who(..) | Heard::Tone(_) | Heard::BeepEnded) => {
            match Finding::from(heard) {
                Some(finding) if finding.verdict.is_person() => hand_over(call, finding, floor),
                Some(finding) => not_a_person(call, stay, finding, floor),
                None => stay,
            }
        }
    }
}

/// From here on the greeting stays where it is. One who still speaks has not greeted to the end before
/// now, as far as that can be known.
fn close_greeting(call: &mut Call, floor: &Floor) {
    let answered = call.answered.expect("only answered calls are classified");
    if let Some(began) = call.greeting.began {
        let known = (floor.now.mono - answered).saturating_sub(PAUSE_KNOWN_AFTER);
        call.greeting.ended.get_or_insert(known.max(began));
    }
}

/// A person, as far as is known.
fn hand_over(call: &mut Call, finding: Finding, floor: &mut Floor) -> Stage {
    close_greeting(call, floor);
    let verdict = finding.verdict;
    tell(call, finding, None, floor);
    tell_dialer(call, verdict, floor);
    connect(call, floor)
}

/// Something is heard of somebody who waits for an agent, or whom a flow speaks with.
pub(crate) fn heard(call: &mut Call, stage: Stage, heard: Heard, floor: &mut Floor) -> Stage {
    // One who pressed a key is a person, and one who was abandoned is in the books. A beep in a flow
    // or a queue may be anything.
    let is_settled = call.keyed.is_some() || call.abandoned || !call.detects();
    let heard = match heard {
        Heard::BeepEnded | Heard::Suspected(_) => return stage,
        heard @ (Heard::Who(..) | Heard::Tone(_) | Heard::Greeting(_)) => heard,
    };
    match Finding::from(heard) {
        Some(finding) if !finding.verdict.is_person() && !is_settled => {
            not_a_person(call, stage, finding, floor)
        }
        Some(_) | None => stage,
    }
}

/// A machine, a fax or the network, while no agent talks with it yet.
fn not_a_person(call: &mut Call, stage: Stage, finding: Finding, floor: &mut Floor) -> Stage {
    let is_first = matches!(stage, Stage::Classifying { .. });
    let (verdict, tone) = (finding.verdict, finding.tone);
    let on_machine = call.dial.as_ref().map(|dial| dial.on_machine);
    if is_first && on_machine == Some(OnMachine::Agent) {
        close_greeting(call, floor);
    }
    tell(call, finding, None, floor);
    match (verdict, on_machine) {
        (Verdict::Machine, Some(OnMachine::Agent)) if is_first => {
            // From here on it is treated like a person, in the books too.
            tell_dialer(call, Verdict::Person, floor);
            connect(call, floor)
        }
        (Verdict::Machine, Some(OnMachine::Agent)) => stage,
        (Verdict::Machine, Some(OnMachine::LeaveMessage)) => {
            take_down(call, stage, floor);
            tell_dialer(call, verdict, floor);
            await_beep(call, floor)
        }
        (Verdict::Machine, Some(OnMachine::HangUp) | None)
        | (
            Verdict::Fax
            | Verdict::Busy
            | Verdict::Reorder
            | Verdict::Sit
            | Verdict::DialTone
            | Verdict::Person
            | Verdict::Unsure,
            _,
        ) => {
            take_down(call, stage, floor);
            match tone {
                Some(tone) => tell_dialer_tone(call, tone, floor),
                None => tell_dialer(call, verdict, floor),
            }
            let cause = tone.map_or(Cause::Normal, Tone::cause);
            end(call, Party::System, cause, floor)
        }
    }
}

/// Something is heard of somebody whom an agent talks with, or is just being connected with. A machine
/// that machines are not for is told, or hung up, as the campaign says; where agents take machines,
/// told it is.
pub(crate) fn heard_too_late(
    call: &mut Call,
    stage: Stage,
    heard: Heard,
    agent: AgentId,
    floor: &mut Floor,
) -> Stage {
    let finding = match heard {
        Heard::BeepEnded | Heard::Suspected(_) => None,
        heard @ (Heard::Who(..) | Heard::Tone(_) | Heard::Greeting(_)) => Finding::from(heard),
    };
    let Some(finding) = finding.filter(|found| !found.verdict.is_person() && call.detects()) else {
        return stage;
    };
    let (verdict, tone) = (finding.verdict, finding.tone);
    let odds = finding.evidence.as_ref().map(|found| found.log_odds);
    let is_certain = call.keyed.is_none() && odds.is_none_or(|odds| odds <= HANG_UP_LOG_ODDS);
    tell(call, finding, Some(agent), floor);
    let after = call.dial.as_ref().map(|dial| dial.machine_after_connect);
    if after != Some(MachineAfterConnect::HangUp) || !is_certain {
        return stage;
    }
    let cause = tone.map_or(Cause::Normal, Tone::cause);
    if let Stage::Connecting { agent, leg, .. } = stage {
        floor.end_leg(leg, call.id, Cause::Cancelled, true);
        release_reserved(call, agent, floor);
        match tone {
            Some(tone) => tell_dialer_tone(call, tone, floor),
            None => tell_dialer(call, verdict, floor),
        }
        return end(call, Party::System, cause, floor);
    }
    // The attempt ended with the connect; the agent's after-call work begins.
    wind_up(call, stage, Party::System, cause, floor)
}

/// A machine was recognised when last words were said: it is told.
pub(crate) fn heard_at_the_end(call: &Call, heard: Heard, floor: &mut Floor) {
    match heard {
        Heard::BeepEnded | Heard::Greeting(_) | Heard::Suspected(_) => {}
        heard @ (Heard::Who(..) | Heard::Tone(_)) => {
            if let Some(finding) = Finding::from(heard)
                && !finding.verdict.is_person()
                && call.detects()
            {
                tell(call, finding, None, floor);
            }
        }
    }
}

/// They hung up on an agent, and nothing more will be heard: one whose silence and words say so by now was a
/// machine. Only here: nobody who was abandoned, or hung up before an agent talked, is excused by it.
pub(crate) fn left_an_agent(call: &mut Call, agent: AgentId, floor: &mut Floor) {
    if let Some(evidence) = call.suspicion.take()
        && call.keyed.is_none()
        && call.detects()
    {
        let finding = Finding {
            evidence: Some(evidence),
            ..Finding::of(Verdict::Machine)
        };
        tell(call, finding, Some(agent), floor);
    }
}

/// They hung up, or were lost, while it was asked who they are: the log says how far they had greeted.
pub(crate) fn left_early(call: &mut Call, floor: &mut Floor) {
    if call.greeting.began.is_some() {
        close_greeting(call, floor);
        tell(call, Finding::of(Verdict::Unsure), None, floor);
    }
}

/// A tone in early media. The first one counts, once SIP has had its time to say more.
pub(crate) fn tone_before_answer(call: &mut Call, heard: &Heard, floor: &Floor) {
    if let (Heard::Tone(tone), true) = (heard, call.detects()) {
        call.tone.get_or_insert((*tone, floor.now.mono + TONE_WAIT));
    }
}

/// Whether a tone may explain a call that SIP ended so. A status that names the reason is believed,
/// whatever was heard; these only say that the call came to nothing.
pub(crate) fn is_open(cause: Cause) -> bool {
    match cause {
        Cause::Normal
        | Cause::NoAnswer
        | Cause::Unreachable
        | Cause::Congestion
        | Cause::Cancelled
        | Cause::SignallingLost
        | Cause::SystemFailed => true,
        Cause::Busy
        | Cause::Rejected
        | Cause::Unallocated
        | Cause::MediaUnsupported
        | Cause::AnsweredElsewhere
        | Cause::MediaLost
        | Cause::Forbidden
        | Cause::Shutdown => false,
    }
}

/// Ends a call that nobody answered, for the reason that a tone gave. `by` the customer means that
/// their leg is gone already.
pub(crate) fn end_by_tone(call: &mut Call, tone: Tone, by: Party, floor: &mut Floor) -> Stage {
    let finding = Finding {
        tone: Some(tone),
        ..Finding::of(tone.verdict())
    };
    tell(call, finding, None, floor);
    tell_dialer_tone(call, tone, floor);
    end(call, by, tone.cause(), floor)
}

fn tell(call: &Call, finding: Finding, agent: Option<AgentId>, floor: &mut Floor) {
    let ms = |at: Duration| u32::try_from(at.as_millis()).unwrap_or(u32::MAX);
    floor.fact(Fact::CallClassified {
        call: call.id,
        verdict: finding.verdict,
        agent,
        tone: finding.tone,
        greeting_began_ms: call.greeting.began.map(ms),
        greeting_ended_ms: call.greeting.ended.map(ms),
        evidence: finding.evidence,
    });
}

fn tell_dialer(call: &Call, verdict: Verdict, floor: &mut Floor) {
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptClassified { attempt, verdict });
    }
}

fn tell_dialer_tone(call: &Call, tone: Tone, floor: &mut Floor) {
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptHeardTone { attempt, tone });
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
        | Stage::GivingUp { .. }
        | Stage::Connecting { .. }
        | Stage::Talking(_)
        | Stage::OnHold(_)
        | Stage::LeavingMessage { .. }
        | Stage::Parting { .. }
        | Stage::Over => unreachable!("nobody is judged a machine there"),
    }
}
