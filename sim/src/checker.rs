//! What must hold after every input, decided from outside: from what the engine was told, what it
//! wants done, what it says has happened, and what its snapshots show. R-numbers are the routing
//! rules of `docs/routing.md`; the books are those of [`model::ledger`].
//!
//! It keeps its own picture of legs, agents, waiting calls and claims and never asks the engine for
//! an opinion, only for facts to compare that picture with.

mod commands;
mod events;
mod persons;

use crate::setting::Setting;
use crate::store::Store;
use acd::config::Strategy;
use call::config::FeatureCode;
use call::input::{AgentAction, Origin};
use call::{Command, Engine, Input};
use dialer::trunk::TrunkLimits;
use model::ledger::Ledger;
use model::{
    AgentId, AgentState, AttemptId, CallId, Event, LeadId, LegId, Mono, Now, OfferId, PhoneNumber,
    QueueId, RecordingId, SkillId, TrunkId,
};
use persons::{Answers, Heard, Person};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// Calling hours of the rule sets that have any for the world's numbers (47 CFR 64.1200(c)(1)).
const LEGAL_HOURS: std::ops::Range<i64> = 8..21;
/// A demand relaxes at its time, this early or late.
const RELAXES_WITHIN: Duration = Duration::from_millis(50);
/// Two calls overtake each other only by more than a timer's grain.
const AGEING_GRAIN: Duration = Duration::from_millis(1);
/// A saved call is one, whatever the last digits of its tokens say.
const TOKENS_GRAIN: f64 = 1e-6;
/// Violations of one step kept; the first explains the rest.
const VIOLATIONS_MAX: usize = 20;

/// What must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// R1, R16: an agent has at most one live offer or call, of whatever origin.
    OneCallPerAgent,
    /// R2: a call is offered to one agent at a time, save in ring-all.
    OneAgentPerCall,
    /// R3: every arrived or dialled call ends in exactly one outcome.
    OneOutcome,
    /// R4: after a failed offer a call waits on with the time it had.
    WaitKept,
    /// R5: a call that is over leaves no leg behind.
    NoLegLeftBehind,
    /// R6: first come, first served among equals.
    Fifo,
    /// R7: no available agent beside a waiting call they may serve.
    WorkConservation,
    /// R8: the longest idle of those who may serve.
    LongestIdle,
    /// R9: a more important call overtakes only who has not waited long enough to weigh as much.
    Ageing,
    /// R10: no offer below what the call asks for by now.
    DemandKept,
    /// R11: no end of wrap-up before its time but by the agent.
    WrapUpKept,
    /// R12: what an agent asked for while busy applies on release.
    PendingApplied,
    /// No dial outside the legal hours of the called.
    CallingWindow,
    /// No dial of a number that is never to be called.
    DoNotCall,
    /// No dial without a durable claim.
    ClaimFirst,
    /// No dial of a lead that is being dialled.
    LeadOnce,
    /// No more calls at once than the carrier carries.
    CarrierLines,
    /// No more new calls than the carrier's rate and one second saved of it allow.
    CarrierRate,
    /// An attempt is resolved, and ends, once.
    ResolvedOnce,
    /// Within two seconds a person who answered has an agent or hears the message.
    ConnectedInTime,
    /// The screen is told before the phone rings.
    PopBeforePhone,
    /// Commands fit the legs: none for ended legs, only answered legs are bridged.
    MediaOrder,
    /// A recording ends with its call.
    RecordingStopped,
    /// An agent is busy with a call only while it lives.
    AgentFollowsCall,
    /// What the far end said about a leg is heard.
    FarEndHeard,
    /// Events are numbered without gaps.
    SeqGapless,
    /// The books balance, and the stream breaks no rule of theirs.
    Books,
    /// What is folded from events is what the snapshots show.
    FoldIsSnapshot,
    /// Time goes on.
    Livelock,
    /// After the drain nothing is left.
    Drained,
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When.
    pub at: Mono,
    /// Of whom, and how.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} at {:.6} s: {}",
            self.invariant,
            self.at.as_secs_f64(),
            self.what
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LegState {
    Arrived,
    Dialled,
    Up,
}

#[derive(Clone, Debug)]
struct Leg {
    state: LegState,
    call: Option<CallId>,
    agent: Option<AgentId>,
    outbound: bool,
    bridged: Option<LegId>,
}

#[derive(Clone, Debug)]
struct AgentView {
    state: AgentState,
    since: Mono,
    idle_since: Mono,
    /// The live offer, and whether the last one was taken back.
    offer: Option<OfferId>,
    withdrawn: bool,
    wishes: bool,
    /// The screen was told of this call.
    popped: Option<CallId>,
    leg: Option<LegId>,
    queues: BTreeSet<QueueId>,
    skills: BTreeMap<SkillId, u8>,
    wrap_up_ms: Option<u64>,
}

#[derive(Clone, Debug)]
struct Waiting {
    queue: QueueId,
    priority: i16,
    skills: Vec<SkillId>,
    entered: Mono,
    /// It came from another queue with credit for its wait.
    credited: bool,
    offers: BTreeSet<OfferId>,
    answered: bool,
}

#[derive(Clone, Debug)]
struct QueueView {
    strategy: Strategy,
    wrap_up_ms: u64,
    /// For its demand, how it relaxes, and how calls age.
    config: acd::QueueConfig,
}

/// A carrier: its limits, what of its rate is saved, and the legs it carries for campaigns. A
/// person who hears that nobody is there is no longer counted: the dialer gives the line back with
/// the end of the attempt.
#[derive(Clone, Debug)]
struct TrunkView {
    limits: TrunkLimits,
    tokens: f64,
    tokens_at: Mono,
    legs: BTreeSet<LegId>,
}

#[derive(Clone, Debug, Default)]
struct CallView {
    legs: BTreeSet<LegId>,
    recordings: BTreeSet<RecordingId>,
}

/// See the module.
#[derive(Debug)]
pub struct Checker {
    start_skills_all: u8,
    queues: BTreeMap<QueueId, QueueView>,
    agents: BTreeMap<AgentId, AgentView>,
    trunks: BTreeMap<TrunkId, TrunkView>,
    legs: BTreeMap<LegId, Leg>,
    calls: BTreeMap<CallId, CallView>,
    over: BTreeSet<CallId>,
    waiting: BTreeMap<CallId, Waiting>,
    left_queue_at: BTreeMap<CallId, Mono>,
    live_legs: BTreeSet<LegId>,
    recordings: BTreeSet<RecordingId>,
    /// Attempts dialled and not resolved.
    dialled: BTreeMap<AttemptId, LeadId>,
    resolved: BTreeSet<AttemptId>,
    attempt_of_leg: BTreeMap<LegId, AttemptId>,
    /// Attempts somebody answered, and whether anything could be said to them.
    answered: BTreeMap<AttemptId, Heard>,
    ended: BTreeSet<AttemptId>,
    do_not_call: BTreeSet<PhoneNumber>,
    /// Persons who answered, and until when somebody must speak.
    must_speak: BTreeMap<LegId, Person>,
    /// The longest that any campaign waits for somebody who speaks.
    classify_wait: Duration,
    /// What the dialer's budgets must have counted; none where they began with the book of earlier days.
    answers: Option<Answers>,
    answers_changed: bool,
    last_seq: u64,
    ledger: Ledger,
    violations: Vec<Violation>,
}

impl Checker {
    /// A checker of a world that has not begun.
    pub fn new(setting: &Setting) -> Checker {
        let mut acd = setting.config.acd.clone();
        call::config::join_campaigns(&mut acd, &setting.config.dialer);
        let queues = acd
            .queues
            .iter()
            .map(|(id, queue)| {
                (
                    *id,
                    QueueView {
                        strategy: queue.strategy,
                        wrap_up_ms: queue.wrap_up_ms,
                        config: queue.clone(),
                    },
                )
            })
            .collect();
        let agents = acd
            .agents
            .iter()
            .map(|(id, agent)| {
                let view = AgentView {
                    state: AgentState::SignedOut,
                    since: Mono::ZERO,
                    idle_since: Mono::ZERO,
                    offer: None,
                    withdrawn: false,
                    wishes: false,
                    popped: None,
                    leg: None,
                    queues: agent.queues.iter().map(|member| member.queue).collect(),
                    skills: agent.skills.clone(),
                    wrap_up_ms: agent.wrap_up_ms,
                };
                (*id, view)
            })
            .collect();
        let levels = acd
            .agents
            .values()
            .flat_map(|agent| agent.skills.values().copied());
        Checker {
            start_skills_all: levels.max().unwrap_or(0),
            queues,
            agents,
            trunks: setting
                .config
                .dialer
                .trunks
                .iter()
                .map(|(id, limits)| {
                    let view = TrunkView {
                        limits: *limits,
                        tokens: limits.calls_per_second.max(1.0),
                        tokens_at: Mono::ZERO,
                        legs: BTreeSet::new(),
                    };
                    (*id, view)
                })
                .collect(),
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            over: BTreeSet::new(),
            waiting: BTreeMap::new(),
            left_queue_at: BTreeMap::new(),
            live_legs: BTreeSet::new(),
            recordings: BTreeSet::new(),
            dialled: BTreeMap::new(),
            resolved: BTreeSet::new(),
            attempt_of_leg: BTreeMap::new(),
            answered: BTreeMap::new(),
            ended: BTreeSet::new(),
            do_not_call: BTreeSet::new(),
            must_speak: BTreeMap::new(),
            classify_wait: Duration::from_millis(
                setting
                    .config
                    .dialer
                    .campaigns
                    .values()
                    .map(|campaign| campaign.classify_wait_ms)
                    .max()
                    .unwrap_or(0)
                    .into(),
            ),
            answers: setting.history.is_empty().then(Answers::new),
            answers_changed: false,
            last_seq: 0,
            ledger: Ledger::new(),
            violations: Vec::new(),
        }
    }

    /// Whether something was broken.
    pub fn found(&self) -> bool {
        !self.violations.is_empty()
    }

    /// What was broken, the first first.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub(crate) fn say(&mut self, invariant: Invariant, at: Mono, what: impl Into<String>) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation {
                invariant,
                at,
                what: what.into(),
            });
        }
    }

    /// The process was killed: its calls are gone, claims and the never-to-be-called remain.
    pub(crate) fn restart(&mut self) {
        for agent in self.agents.values_mut() {
            agent.state = AgentState::SignedOut;
            (agent.offer, agent.popped, agent.leg) = (None, None, None);
            (agent.wishes, agent.withdrawn) = (false, false);
        }
        for trunk in self.trunks.values_mut() {
            trunk.legs.clear();
        }
        self.legs.clear();
        self.calls.clear();
        self.waiting.clear();
        self.left_queue_at.clear();
        self.live_legs.clear();
        self.recordings.clear();
        self.dialled.clear();
        self.attempt_of_leg.clear();
        self.answered.clear();
        self.must_speak.clear();
        // Nobody tells a new process here what the one before had counted.
        self.answers = Some(Answers::new());
        self.last_seq = 0;
    }

    /// Looks at one step.
    pub(crate) fn step(
        &mut self,
        now: Now,
        input: &Input,
        commands: &VecDeque<Command>,
        events: &[Event],
        engine: &Engine,
        store: &Store,
    ) {
        let t = now.mono;
        let heard = self.hear(t, input);
        let mut bridges = BTreeSet::new();
        for command in commands {
            self.command(now, command, store, &mut bridges);
        }
        let acted = acted(input);
        let mut calls_over = Vec::new();
        for event in events {
            self.event(event, acted, &bridges, &mut calls_over);
        }
        if let Some(leg) = heard
            && self.live_legs.contains(&leg)
        {
            self.say(
                Invariant::FarEndHeard,
                t,
                format!("{leg} ended at its far end, and lives on: {input:?}"),
            );
        }
        if let Input::LegArrived { leg, .. } = input {
            let untouched = self
                .legs
                .get(leg)
                .is_some_and(|view| view.state == LegState::Arrived);
            if untouched && !self.live_legs.contains(leg) {
                self.say(
                    Invariant::OneOutcome,
                    t,
                    format!("{leg} arrived, and is neither a call nor refused"),
                );
            }
        }
        for call in calls_over {
            self.call_is_over(t, call);
        }
        self.look_at_budgets(t, engine);
        self.look(t, engine);
    }

    /// What the far end said. Gives a leg that must be over after this step.
    fn hear(&mut self, t: Mono, input: &Input) -> Option<LegId> {
        match input {
            Input::LegArrived {
                leg, from, called, ..
            } => {
                if let (Origin::Agent(agent), Some(action)) = (from, feature(called)) {
                    self.wish(*agent, &action);
                }
                let leg_view = Leg {
                    state: LegState::Arrived,
                    call: None,
                    agent: None,
                    outbound: false,
                    bridged: None,
                };
                self.legs.insert(*leg, leg_view);
                None
            }
            Input::LegAnswered { leg } => {
                if let Some(view) = self.legs.get_mut(leg)
                    && view.state == LegState::Dialled
                {
                    view.state = LegState::Up;
                    if view.outbound {
                        self.person_answers(t, *leg);
                    }
                }
                None
            }
            Input::GreetingHeard {
                leg,
                began_ms,
                ended_ms,
            } => {
                self.greeting_heard(t, *leg, *began_ms, *ended_ms);
                None
            }
            Input::LegFailed { leg, .. } | Input::LegEnded { leg, .. } => {
                let in_vain = matches!(input, Input::LegEnded { .. })
                    && self
                        .legs
                        .get(leg)
                        .is_some_and(|view| view.state == LegState::Dialled);
                if in_vain {
                    self.answers(*leg, Heard::Nothing);
                }
                let known = self.end_leg(*leg);
                known.then_some(*leg)
            }
            Input::Agent { agent, action } => {
                self.wish(*agent, action);
                None
            }
            Input::DoNotCall { number } => {
                self.do_not_call.insert(*number);
                None
            }
            Input::DoNotCallLoaded { numbers } => {
                self.do_not_call.extend(numbers.iter().copied());
                None
            }
            // Nothing of the rest says anything about a leg or a wish by itself.
            _ => None,
        }
    }

    fn wish(&mut self, agent: AgentId, action: &AgentAction) {
        let Some(view) = self.agents.get_mut(&agent) else {
            return;
        };
        let busy = view.state.call().is_some();
        match action {
            AgentAction::NotReady { .. } | AgentAction::SignOut => view.wishes = busy,
            AgentAction::Ready => view.wishes = false,
            // Takes a wish to sign out back, and no other: what it leaves is not looked at.
            AgentAction::SignIn => view.wishes = false,
            AgentAction::Dispose { .. }
            | AgentAction::WrapUpDone
            | AgentAction::ExtendWrapUp { .. }
            | AgentAction::HangUp
            | AgentAction::Hold { .. }
            | AgentAction::Decline
            | AgentAction::Preview { .. }
            | AgentAction::Dial { .. } => {}
        }
    }

    /// Whether it was live.
    fn end_leg(&mut self, leg: LegId) -> bool {
        self.must_speak.remove(&leg);
        for trunk in self.trunks.values_mut() {
            trunk.legs.remove(&leg);
        }
        let Some(view) = self.legs.remove(&leg) else {
            return false;
        };
        if let Some(other) = view.bridged.and_then(|other| self.legs.get_mut(&other)) {
            other.bridged = None;
        }
        if let Some(agent) = view.agent.and_then(|agent| self.agents.get_mut(&agent))
            && agent.leg == Some(leg)
        {
            agent.leg = None;
        }
        true
    }

    fn call_is_over(&mut self, t: Mono, call: CallId) {
        let Some(view) = self.calls.remove(&call) else {
            return;
        };
        for leg in view.legs {
            if self.legs.contains_key(&leg) {
                self.say(
                    Invariant::NoLegLeftBehind,
                    t,
                    format!("{call} is over, {leg} lives on"),
                );
            }
        }
        for recording in view.recordings {
            if self.recordings.contains(&recording) {
                self.say(
                    Invariant::RecordingStopped,
                    t,
                    format!("{call} is over, {recording} runs on"),
                );
            }
        }
        self.left_queue_at.remove(&call);
    }

    /// The whole picture, against the rules and against the snapshots.
    fn look(&mut self, t: Mono, engine: &Engine) {
        let mut found: Vec<(Invariant, String)> = Vec::new();
        for (id, view) in &self.agents {
            if let AgentState::OnCall(call) | AgentState::Offered(call) = view.state
                && engine.stage_of(call).is_none()
            {
                found.push((
                    Invariant::AgentFollowsCall,
                    format!("{id} is {:?}, and {call} is over", view.state),
                ));
            }
            if view.state == AgentState::Available {
                let idle_for = self.waiting.iter().find(|(_, visit)| {
                    visit.offers.is_empty() && !visit.answered && self.may_serve(view, visit, t)
                });
                if let Some((call, visit)) = idle_for {
                    found.push((
                        Invariant::WorkConservation,
                        format!("{id} is available while {call} waits in {}", visit.queue),
                    ));
                }
            }
        }
        for (id, view) in &self.agents {
            if engine.acd().agent_state(*id) != Some(view.state) {
                let what = format!(
                    "{id} is {:?} by the events, {:?} in the ACD",
                    view.state,
                    engine.acd().agent_state(*id)
                );
                found.push((Invariant::FoldIsSnapshot, what));
            }
        }
        for queue in self.queues.keys() {
            let folded = self
                .waiting
                .values()
                .filter(|visit| visit.queue == *queue)
                .count();
            let shown = engine.acd().waiting_now(*queue);
            if folded != shown {
                found.push((
                    Invariant::FoldIsSnapshot,
                    format!("{folded} calls wait in {queue} by the events, {shown} in the ACD"),
                ));
            }
        }
        // Legs of feature codes are in no customer's story, and so in no event.
        let of_service = self
            .legs
            .values()
            .filter(|leg| leg.call.is_none() && leg.state == LegState::Up)
            .count();
        let legs = self.live_legs.len() + of_service;
        if legs != engine.live_legs() {
            let what = format!(
                "{legs} legs by the events, {} in the engine",
                engine.live_legs()
            );
            found.push((Invariant::FoldIsSnapshot, what));
        }
        let overdue = self.must_speak.iter().find(|(_, person)| t > person.until);
        if let Some((leg, _)) = overdue {
            found.push((
                Invariant::ConnectedInTime,
                format!("{leg} answered or greeted two seconds ago and hears nobody"),
            ));
        }
        for (book, residual) in self.ledger.residuals() {
            if residual != 0 {
                found.push((
                    Invariant::Books,
                    format!("the residual of {book} is {residual}"),
                ));
            }
        }
        for (invariant, what) in found {
            self.say(invariant, t, what);
        }
        engine.check();
    }

    /// After the drain: nothing is left.
    pub(crate) fn at_end(&mut self, t: Mono, engine: &Engine, store: &Store) {
        let left = [
            ("calls", engine.live_calls()),
            ("legs", engine.live_legs()),
            ("attempts", engine.dialer().live_attempts()),
            ("claims", store.open_claims()),
            ("waiting calls", self.waiting.len()),
            ("legs at their far ends", self.legs.len()),
            ("recordings", self.recordings.len()),
        ];
        for (what, n) in left {
            if n > 0 {
                self.say(
                    Invariant::Drained,
                    t,
                    format!(
                        "{n} {what} are left: {:?}",
                        self.legs.keys().take(3).collect::<Vec<_>>()
                    ),
                );
            }
        }
    }
}

/// What a feature code asks for.
fn feature(code: &str) -> Option<AgentAction> {
    match call::config::default_feature_codes().get(code)? {
        FeatureCode::SignIn => Some(AgentAction::SignIn),
        FeatureCode::SignOut => Some(AgentAction::SignOut),
        FeatureCode::Ready => Some(AgentAction::Ready),
        FeatureCode::NotReady => Some(AgentAction::NotReady {
            reason: crate::scenario::name("break"),
        }),
    }
}

/// Whose own wish the input is.
fn acted(input: &Input) -> Option<AgentId> {
    match input {
        Input::Agent { agent, .. } => Some(*agent),
        Input::LegArrived {
            from: Origin::Agent(agent),
            ..
        } => Some(*agent),
        // Whatever else is told is nobody's wish about themselves.
        _ => None,
    }
}
