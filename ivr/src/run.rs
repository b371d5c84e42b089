//! The interpreter: one [`Session`] is one call inside a flow.
//!
//! It is handed digits, ends of prompts, answers of lookups and due deadlines, and asks for prompts,
//! lookups and, once, for a queue or a hang-up. It plays nothing and fetches nothing.
//!
//! ```text
//!             ┌────────────── next node ──────────────┐
//!  start ─► enter ─► Playing ──────────────────────────┤
//!             │  └─► Prompting ─► Listening ─► option ─┤   no input, no match: back to Prompting
//!             │  └─► Dipping ─► answer, error ─────────┘
//!             └─► Over: queue, hang-up, caller gone, bound met
//! ```

use crate::digits::{Digits, Reading, Wanted, is_key};
use crate::expr::{Type, Value};
use crate::flow::{
    Action, Dip, Flow, Handler, Listening, NodeIndex, NodeKind, Prompt, PromptPiece,
};
use crate::hours::Opening;
use crate::input::{Command, Input};
use model::event::FlowEnd;
use model::id::Mint;
use model::{CallId, Cause, Fact, LookupId, Mono, Now, Outbox, PlayId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Most digits kept for nodes to come: a card number typed into the greeting, and its `#`.
pub const TYPE_AHEAD_MAX: usize = 24;
/// Longest a prompt may play before it counts as finished, so that media that died without a word
/// does not hold the caller until the flow's own limit.
pub const PROMPT_TIME_MAX: Duration = Duration::from_secs(300);
/// Time for the way out after a bound was met: the goodbye of a `hang_up` node.
pub const FAILURE_TIME_MAX: Duration = Duration::from_secs(60);

/// What the flow knows of its call.
#[derive(Clone, Debug)]
pub struct CallFacts {
    /// The call it runs for.
    pub call: CallId,
    /// Who called, as received; the variable `caller`.
    pub caller: String,
    /// Whom they called; the variable `called`.
    pub called: String,
    /// Values for variables declared with `input = true`; others are ignored, as is a value that
    /// does not fit the variable's type.
    pub variables: BTreeMap<String, String>,
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// When to take a prompt for finished that never said so.
    Prompt,
    /// When to count a silence: no digit since the last prompt ended.
    Input,
    /// When to take the digits so far for all of them.
    InterDigit,
    /// When to give up waiting for a data source.
    Lookup,
    /// When to fail a session that has lasted too long.
    Session,
}

/// One call inside a flow.
#[derive(Debug)]
pub struct Session {
    call: CallId,
    /// The flows that are running, the innermost last. Never empty.
    frames: Vec<Frame>,
    values: BTreeMap<String, Value>,
    /// Names of sensitive variables of every flow that was entered.
    secret: BTreeSet<String>,
    ahead: Ahead,
    digits: Digits,
    no_input: u8,
    no_match: u8,
    state: State,
    steps_left: u32,
    expires: Mono,
    failing: bool,
    /// A terminator that still belongs to an input that was complete without it.
    late_terminator: Option<(char, Mono)>,
    path: Vec<String>,
}

#[derive(Debug)]
struct Frame {
    flow: Arc<Flow>,
    node: NodeIndex,
}

/// Digits pressed before their node was reached. They may be a card number: never shown.
#[derive(Default)]
struct Ahead(VecDeque<char>);

impl std::fmt::Debug for Ahead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} digits", self.0.len())
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A prompt nobody answers to is heard.
    Playing {
        play: PlayId,
        barge_in: bool,
        until: Mono,
        then: Then,
    },
    /// The prompt of a menu or collect node is heard.
    Prompting {
        play: PlayId,
        barge_in: bool,
        until: Mono,
    },
    /// It is quiet, a digit is awaited.
    Listening { until: Mono },
    /// A data source was asked.
    Dipping {
        lookup: LookupId,
        play: Option<PlayId>,
        until: Mono,
        retries_left: u8,
    },
    /// The flow is over.
    Over(FlowEnd),
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Go(NodeIndex),
    HangUp(Cause),
}

/// What follows from an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Another node.
    Go(NodeIndex),
    /// Nothing until the next input.
    Wait,
}

/// What every step needs at hand.
struct Turn<'a> {
    now: Now,
    mint: &'a mut Mint,
    out: &'a mut Outbox<Command>,
}

impl Session {
    /// Begins `flow` for a call. Commands and facts of the first nodes are in `out` at once; the
    /// session may already be over.
    pub fn start(
        now: Now,
        flow: Arc<Flow>,
        facts: CallFacts,
        mint: &mut Mint,
        out: &mut Outbox<Command>,
    ) -> Session {
        let start = flow.start;
        let mut session = Session {
            call: facts.call,
            frames: Vec::new(),
            values: BTreeMap::new(),
            secret: BTreeSet::new(),
            ahead: Ahead::default(),
            digits: Digits::default(),
            no_input: 0,
            no_match: 0,
            state: State::Listening { until: Mono::MAX },
            steps_left: flow.steps_max,
            expires: now.mono + flow.time_max,
            failing: false,
            late_terminator: None,
            path: Vec::new(),
        };
        out.fact(Fact::IvrEntered {
            call: facts.call,
            flow: flow.id,
        });
        session
            .values
            .insert("caller".to_owned(), Value::text(&facts.caller));
        session
            .values
            .insert("called".to_owned(), Value::text(&facts.called));
        let given: Vec<(String, Value)> = flow
            .variables
            .iter()
            .filter(|(_, variable)| variable.input)
            .filter_map(|(name, v)| Some((name.clone(), v.kind.read(facts.variables.get(name)?)?)))
            .collect();
        session.begin(flow);
        session.values.extend(given);
        session.go_on(Step::Go(start), &mut Turn { now, mint, out });
        session
    }

    /// Takes one input. After the end of the flow nothing has an effect any more.
    pub fn handle(&mut self, now: Now, input: Input, mint: &mut Mint, out: &mut Outbox<Command>) {
        let turn = &mut Turn { now, mint, out };
        if self.is_over() {
            return;
        }
        if input == Input::HungUp {
            self.caller_left(turn);
            return;
        }
        if let Input::Digit(key) = input
            && (!is_key(key) || self.ends_last_input(key, now.mono))
        {
            return;
        }
        let step = if now.mono >= self.expires {
            self.fail(turn)
        } else {
            match self.state {
                State::Playing {
                    play,
                    barge_in,
                    until,
                    then,
                } => self.playing(input, (play, barge_in, until, then), turn),
                State::Prompting {
                    play,
                    barge_in,
                    until,
                } => self.prompting(input, (play, barge_in, until), turn),
                State::Listening { until } => self.listening(input, until, turn),
                State::Dipping { lookup, until, .. } => self.dipping(input, lookup, until, turn),
                State::Over(_) => unreachable!("a session that is over was turned away above"),
            }
        };
        self.go_on(step, turn);
    }

    /// When to send [`Input::Tick`], and what for. None when the flow is over.
    pub fn next_deadline(&self) -> Option<(Mono, Timer)> {
        let own = match self.state {
            State::Playing { until, .. } | State::Prompting { until, .. } => (until, Timer::Prompt),
            State::Listening { until } if self.digits.as_str().is_empty() => (until, Timer::Input),
            State::Listening { until } => (until, Timer::InterDigit),
            State::Dipping { until, .. } => (until, Timer::Lookup),
            State::Over(_) => return None,
        };
        Some(if self.expires <= own.0 {
            (self.expires, Timer::Session)
        } else {
            own
        })
    }

    /// Whether the flow has ended: the call is queued, hung up, or gone.
    pub fn is_over(&self) -> bool {
        self.end().is_some()
    }

    /// How the flow ended.
    pub fn end(&self) -> Option<FlowEnd> {
        match self.state {
            State::Over(end) => Some(end),
            State::Playing { .. }
            | State::Prompting { .. }
            | State::Listening { .. }
            | State::Dipping { .. } => None,
        }
    }

    /// Whether what happens now must not be written down: the digits of a sensitive node, or the
    /// parameters of a lookup that carries one. Log, replay and recording have to leave it out.
    pub fn is_sensitive(&self) -> bool {
        if self.is_over() {
            return false;
        }
        match self.kind() {
            NodeKind::Collect { sensitive, .. } => *sensitive,
            NodeKind::Lookup { dip, .. } => dip.sensitive,
            NodeKind::Play { .. }
            | NodeKind::Menu { .. }
            | NodeKind::Branch { .. }
            | NodeKind::Set { .. }
            | NodeKind::OptOut { .. }
            | NodeKind::Hours { .. }
            | NodeKind::Flow { .. }
            | NodeKind::Queue { .. }
            | NodeKind::HangUp { .. }
            | NodeKind::Return => false,
        }
    }

    /// The flow the call began in, in the version it began with.
    pub fn flow(&self) -> &Arc<Flow> {
        &self.frames[0].flow
    }

    /// The nodes reached so far; one of a sub-flow reads `survey/score`.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The variables that have a value, as text; never a sensitive one. For the agent's screen.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let shown = self.values.iter().filter(|(name, _)| {
            !self.secret.contains(*name) && !crate::read::CALL_VARIABLES.contains(&name.as_str())
        });
        shown
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect()
    }

    // One function per state.

    fn playing(
        &mut self,
        input: Input,
        (playing, barge_in, until, then): (PlayId, bool, Mono, Then),
        turn: &mut Turn<'_>,
    ) -> Step {
        match input {
            Input::Digit(key) if barge_in => {
                turn.out.command(Command::StopPlay { play: playing });
                self.keep(key);
                self.then(then, turn)
            }
            Input::PromptFinished { play } if play == playing => self.then(then, turn),
            Input::Tick if turn.now.mono >= until => {
                turn.out.command(Command::StopPlay { play: playing });
                self.then(then, turn)
            }
            Input::Digit(_)
            | Input::PromptFinished { .. }
            | Input::LookupAnswered { .. }
            | Input::HungUp
            | Input::Tick => Step::Wait,
        }
    }

    fn prompting(
        &mut self,
        input: Input,
        (playing, barge_in, until): (PlayId, bool, Mono),
        turn: &mut Turn<'_>,
    ) -> Step {
        match input {
            Input::Digit(key) if barge_in => {
                turn.out.command(Command::StopPlay { play: playing });
                self.press(key, turn)
            }
            Input::PromptFinished { play } if play == playing => self.listen(turn),
            Input::Tick if turn.now.mono >= until => {
                turn.out.command(Command::StopPlay { play: playing });
                self.listen(turn)
            }
            Input::Digit(_)
            | Input::PromptFinished { .. }
            | Input::LookupAnswered { .. }
            | Input::HungUp
            | Input::Tick => Step::Wait,
        }
    }

    fn listening(&mut self, input: Input, until: Mono, turn: &mut Turn<'_>) -> Step {
        match input {
            Input::Digit(key) => self.press(key, turn),
            Input::Tick if turn.now.mono >= until => {
                if self.digits.as_str().is_empty() {
                    self.nothing_came(turn)
                } else {
                    let (_, wanted, _) = self.question();
                    let reading = self.digits.pause(&wanted);
                    self.understood(reading, turn)
                }
            }
            Input::PromptFinished { .. }
            | Input::LookupAnswered { .. }
            | Input::HungUp
            | Input::Tick => Step::Wait,
        }
    }

    fn dipping(&mut self, input: Input, asked: LookupId, until: Mono, turn: &mut Turn<'_>) -> Step {
        match input {
            Input::LookupAnswered { lookup, result } if lookup == asked => match result {
                Ok(answer) => self.answered(&answer, turn),
                Err(_) => self.dip_again(turn),
            },
            Input::Tick if turn.now.mono >= until => self.dip_again(turn),
            Input::Digit(key) => {
                // What follows a secret too soon may be more of it.
                if !self.is_sensitive() {
                    self.keep(key);
                }
                Step::Wait
            }
            Input::LookupAnswered { .. }
            | Input::PromptFinished { .. }
            | Input::HungUp
            | Input::Tick => Step::Wait,
        }
    }

    // From node to node.

    fn go_on(&mut self, mut step: Step, turn: &mut Turn<'_>) {
        while let Step::Go(node) = step {
            step = if self.takes_step() {
                self.enter(node, turn)
            } else {
                self.fail(turn)
            };
        }
    }

    fn takes_step(&mut self) -> bool {
        let has = self.steps_left > 0;
        self.steps_left -= u32::from(has);
        has
    }

    fn enter(&mut self, node: NodeIndex, turn: &mut Turn<'_>) -> Step {
        let flow = Arc::clone(&self.frame().flow);
        self.frames.last_mut().expect("a session has a flow").node = node;
        (self.no_input, self.no_match) = (0, 0);
        self.digits.clear();
        let name = flow.nodes[node].name.clone();
        let is_sub_flow = self.frames.len() > 1;
        self.path.push(if is_sub_flow {
            format!("{}/{name}", flow.id)
        } else {
            name.clone()
        });
        turn.out.fact(Fact::IvrNodeReached {
            call: self.call,
            flow: flow.id,
            node: name,
        });

        match &flow.nodes[node].kind {
            NodeKind::Play { prompt, next } => {
                if prompt.pieces.is_empty() || (prompt.barge_in && !self.ahead.0.is_empty()) {
                    return Step::Go(*next);
                }
                self.ahead.0.clear();
                let play = self.play(&prompt.pieces, false, turn);
                let until = turn.now.mono + PROMPT_TIME_MAX;
                let then = Then::Go(*next);
                self.state = State::Playing {
                    play,
                    barge_in: prompt.barge_in,
                    until,
                    then,
                };
                Step::Wait
            }
            NodeKind::Menu { prompt, .. } => self.ask_first(prompt, false, turn),
            NodeKind::Collect {
                prompt, sensitive, ..
            } => self.ask_first(prompt, *sensitive, turn),
            NodeKind::Branch { arms, otherwise } => {
                let arm = arms
                    .iter()
                    .find(|(when, _)| when.evaluate(&self.values).truth());
                Step::Go(arm.map_or(*otherwise, |(_, to)| *to))
            }
            NodeKind::Set { values, next } => {
                self.assign(values, turn);
                Step::Go(*next)
            }
            NodeKind::OptOut { next } => {
                turn.out.command(Command::DoNotCall);
                Step::Go(*next)
            }
            NodeKind::Hours {
                hours,
                open,
                closed,
                holiday,
            } => Step::Go(match flow.hours[*hours].at(turn.now.utc) {
                Opening::Open => *open,
                Opening::Closed => *closed,
                Opening::Holiday => *holiday,
            }),
            NodeKind::Lookup { dip, meanwhile, .. } => {
                let play = if meanwhile.is_empty() {
                    None
                } else {
                    Some(self.play(meanwhile, true, turn))
                };
                self.dip(dip, play, dip.retries, turn)
            }
            NodeKind::Flow { flow, .. } => {
                let start = flow.start;
                self.begin(Arc::clone(flow));
                Step::Go(start)
            }
            NodeKind::Queue {
                queue,
                priority,
                skills,
            } => {
                let (queue, priority, skills) = (*queue, *priority, skills.clone());
                let exit = Command::Queue {
                    queue,
                    priority,
                    skills,
                };
                self.leave(Some(exit), FlowEnd::Queued, turn)
            }
            NodeKind::HangUp { prompt, cause } => {
                if prompt.pieces.is_empty() {
                    return self.then(Then::HangUp(*cause), turn);
                }
                let play = self.play(&prompt.pieces, false, turn);
                let until = turn.now.mono + PROMPT_TIME_MAX;
                let then = Then::HangUp(*cause);
                self.state = State::Playing {
                    play,
                    barge_in: false,
                    until,
                    then,
                };
                Step::Wait
            }
            NodeKind::Return => {
                if self.frames.len() == 1 {
                    return self.then(Then::HangUp(Cause::Normal), turn);
                }
                self.frames.pop();
                match self.kind() {
                    NodeKind::Flow { next, .. } => Step::Go(*next),
                    other => unreachable!("a flow below another began in {}", other.name()),
                }
            }
        }
    }

    fn then(&mut self, then: Then, turn: &mut Turn<'_>) -> Step {
        match then {
            Then::Go(node) => Step::Go(node),
            Then::HangUp(cause) => {
                let end = if self.failing {
                    FlowEnd::Failed
                } else {
                    FlowEnd::HungUp
                };
                self.leave(Some(Command::HangUp { cause }), end, turn)
            }
        }
    }

    /// Puts a flow on top. Variables it shares with a flow that is running keep their values.
    fn begin(&mut self, flow: Arc<Flow>) {
        for (name, variable) in &flow.variables {
            if variable.sensitive {
                self.secret.insert(name.clone());
            }
            if self
                .frames
                .iter()
                .any(|frame| frame.flow.variables.contains_key(name))
            {
                continue;
            }
            match &variable.default {
                Some(value) => self.values.insert(name.clone(), value.clone()),
                None => self.values.remove(name),
            };
        }
        let node = flow.start;
        self.frames.push(Frame { flow, node });
    }

    // Asking the caller.

    fn ask_first(&mut self, prompt: &Prompt, sensitive: bool, turn: &mut Turn<'_>) -> Step {
        let may_type_ahead = (prompt.barge_in || prompt.pieces.is_empty()) && !sensitive;
        if !may_type_ahead {
            self.ahead.0.clear();
        }
        while let Some(key) = self.ahead.0.pop_front() {
            if self.ends_last_input(key, turn.now.mono) {
                continue;
            }
            let mut step = self.press(key, turn);
            // Each press may complete the input, or fail it and flush what is left.
            while matches!(self.state, State::Listening { .. }) && step == Step::Wait {
                match self.ahead.0.pop_front() {
                    Some(key) => step = self.press(key, turn),
                    None => break,
                }
            }
            return step;
        }
        self.ask(&prompt.pieces, prompt.barge_in, turn)
    }

    fn ask(&mut self, pieces: &[PromptPiece], barge_in: bool, turn: &mut Turn<'_>) -> Step {
        self.digits.clear();
        if pieces.is_empty() {
            return self.listen(turn);
        }
        let play = self.play(pieces, false, turn);
        self.state = State::Prompting {
            play,
            barge_in,
            until: turn.now.mono + PROMPT_TIME_MAX,
        };
        Step::Wait
    }

    /// The prompt has ended: the input timer starts now.
    fn listen(&mut self, turn: &mut Turn<'_>) -> Step {
        let (_, _, listening) = self.question();
        self.state = State::Listening {
            until: turn.now.mono + listening.timeout,
        };
        Step::Wait
    }

    fn press(&mut self, key: char, turn: &mut Turn<'_>) -> Step {
        let (_, wanted, listening) = self.question();
        self.state = State::Listening {
            until: turn.now.mono + listening.inter_digit,
        };
        let reading = self.digits.press(key, &wanted);
        self.understood(reading, turn)
    }

    fn understood(&mut self, reading: Reading, turn: &mut Turn<'_>) -> Step {
        match reading {
            Reading::More => Step::Wait,
            Reading::Complete { early } => self.accept(early, turn),
            Reading::NoMatch => {
                self.no_match = self.no_match.saturating_add(1);
                let (flow, node) = (self.frame().flow.id, self.node_name());
                let count = self.no_match;
                turn.out.fact(Fact::IvrNoMatch {
                    call: self.call,
                    flow,
                    node,
                    count,
                });
                let (prompt, _, listening) = self.question();
                self.again(
                    &prompt,
                    Listening::handler(&listening.no_match, count),
                    turn,
                )
            }
        }
    }

    fn nothing_came(&mut self, turn: &mut Turn<'_>) -> Step {
        self.no_input = self.no_input.saturating_add(1);
        let (flow, node) = (self.frame().flow.id, self.node_name());
        let count = self.no_input;
        turn.out.fact(Fact::IvrNoInput {
            call: self.call,
            flow,
            node,
            count,
        });
        let (prompt, _, listening) = self.question();
        self.again(
            &prompt,
            Listening::handler(&listening.no_input, count),
            turn,
        )
    }

    /// Does what the handler says; without one the question is asked again.
    fn again(&mut self, prompt: &Prompt, handler: Option<&Handler>, turn: &mut Turn<'_>) -> Step {
        self.ahead.0.clear();
        self.digits.clear();
        if !self.takes_step() {
            return self.fail(turn);
        }
        let Some(handler) = handler else {
            return self.ask(&prompt.pieces, prompt.barge_in, turn);
        };
        if let Some(goto) = handler.goto {
            if handler.pieces.is_empty() {
                return Step::Go(goto);
            }
            let play = self.play(&handler.pieces, false, turn);
            let until = turn.now.mono + PROMPT_TIME_MAX;
            let then = Then::Go(goto);
            self.state = State::Playing {
                play,
                barge_in: prompt.barge_in,
                until,
                then,
            };
            return Step::Wait;
        }
        let mut pieces = handler.pieces.clone();
        if handler.reprompt {
            pieces.extend(prompt.pieces.iter().cloned());
        }
        self.ask(&pieces, prompt.barge_in, turn)
    }

    fn accept(&mut self, early: bool, turn: &mut Turn<'_>) -> Step {
        let digits = self.digits.as_str().to_owned();
        let count = u8::try_from(digits.len()).unwrap_or(u8::MAX);
        let (flow, node, call) = (self.frame().flow.clone(), self.node_name(), self.call);
        let (_, wanted, listening) = self.question();
        self.digits.clear();
        let terminator = match &wanted {
            Wanted::Option { terminator, .. } | Wanted::Number { terminator, .. } => *terminator,
        };
        self.late_terminator = terminator
            .filter(|_| early)
            .map(|terminator| (terminator, turn.now.mono + listening.inter_digit));
        match self.kind() {
            NodeKind::Menu {
                wanted: Wanted::Option { options, .. },
                ..
            } => {
                let to = options[&digits];
                let digits = Some(digits);
                turn.out.fact(Fact::IvrDigitsCollected {
                    call,
                    flow: flow.id,
                    node,
                    digits,
                    count,
                });
                Step::Go(to)
            }
            NodeKind::Collect {
                into,
                sensitive,
                next,
                ..
            } => {
                let (into, next) = (into.clone(), *next);
                let shown = if *sensitive {
                    None
                } else {
                    Some(digits.clone())
                };
                let id = flow.id;
                turn.out.fact(Fact::IvrDigitsCollected {
                    call,
                    flow: id,
                    node,
                    digits: shown,
                    count,
                });
                let kind = flow
                    .variables
                    .get(&into)
                    .map_or(Type::Text, |variable| variable.kind);
                let value = kind
                    .read(&digits)
                    .expect("the check bounded the digits of a number");
                self.store(&into, value, turn);
                Step::Go(next)
            }
            other => unreachable!(
                "only a menu or collect node takes digits, not {}",
                other.name()
            ),
        }
    }

    /// Whether `key` is the terminator of the input before, which was complete without it.
    fn ends_last_input(&mut self, key: char, now: Mono) -> bool {
        self.late_terminator
            .take()
            .is_some_and(|(late, until)| key == late && now < until)
    }

    fn keep(&mut self, key: char) {
        if self.ahead.0.len() < TYPE_AHEAD_MAX {
            self.ahead.0.push_back(key);
        }
    }

    // Data dips.

    fn dip(
        &mut self,
        dip: &Dip,
        play: Option<PlayId>,
        retries_left: u8,
        turn: &mut Turn<'_>,
    ) -> Step {
        let lookup = self.look_up(dip, turn);
        let until = turn.now.mono + dip.timeout;
        self.state = State::Dipping {
            lookup,
            play,
            until,
            retries_left,
        };
        Step::Wait
    }

    fn look_up(&mut self, dip: &Dip, turn: &mut Turn<'_>) -> LookupId {
        let lookup = LookupId(turn.mint.next());
        let parameters = dip.parameters.iter();
        let parameters =
            parameters.map(|(name, expr)| (name.clone(), expr.evaluate(&self.values).to_string()));
        turn.out.command(Command::Lookup {
            lookup,
            source: dip.source.clone(),
            parameters: parameters.collect(),
            timeout: dip.timeout,
        });
        lookup
    }

    fn dip_again(&mut self, turn: &mut Turn<'_>) -> Step {
        let (
            State::Dipping {
                play, retries_left, ..
            },
            NodeKind::Lookup { dip, on_error, .. },
        ) = (self.state, self.kind())
        else {
            unreachable!("only a lookup node waits for an answer")
        };
        let (dip, on_error) = (dip.clone(), *on_error);
        if retries_left == 0 {
            return self.dip_failed(on_error, turn);
        }
        if !self.takes_step() {
            return self.fail(turn);
        }
        self.dip(&dip, play, retries_left - 1, turn)
    }

    fn dip_failed(&mut self, on_error: NodeIndex, turn: &mut Turn<'_>) -> Step {
        self.ahead.0.clear();
        self.fall_silent(turn);
        Step::Go(on_error)
    }

    /// Stores all results, or none: an answer that lacks a field, or has one of the wrong type, failed.
    fn answered(&mut self, answer: &BTreeMap<String, String>, turn: &mut Turn<'_>) -> Step {
        let flow = Arc::clone(&self.frame().flow);
        let NodeKind::Lookup {
            dip,
            next,
            on_error,
            ..
        } = self.kind()
        else {
            unreachable!("only a lookup node waits for an answer")
        };
        let (next, on_error) = (*next, *on_error);
        let values: Option<Vec<(String, Value)>> = dip
            .results
            .iter()
            .map(|(field, name)| {
                let kind = flow.variables.get(name)?.kind;
                Some((name.clone(), kind.read(answer.get(field)?)?))
            })
            .collect();
        let Some(values) = values else {
            return self.dip_failed(on_error, turn);
        };
        for (name, value) in values {
            self.store(&name, value, turn);
        }
        self.fall_silent(turn);
        Step::Go(next)
    }

    // The end.

    /// A bound was met: one way out is tried, and if that meets a bound too, the call is hung up.
    fn fail(&mut self, turn: &mut Turn<'_>) -> Step {
        /// The node of `on_failure`, which ends the flow.
        const FAILURE_STEPS: u32 = 1;
        self.fall_silent(turn);
        self.frames.truncate(1);
        let on_failure = self.frame().flow.on_failure.filter(|_| !self.failing);
        self.failing = true;
        self.steps_left = FAILURE_STEPS;
        self.expires = turn.now.mono + FAILURE_TIME_MAX;
        match on_failure {
            Some(node) => Step::Go(node),
            None => self.then(Then::HangUp(Cause::SystemFailed), turn),
        }
    }

    /// The caller has gone: nothing may be said to their leg any more, not even to be silent.
    fn caller_left(&mut self, turn: &mut Turn<'_>) {
        let flows: Vec<Arc<Flow>> = self
            .frames
            .iter()
            .rev()
            .map(|frame| Arc::clone(&frame.flow))
            .collect();
        for action in flows.iter().flat_map(|flow| &flow.on_hangup) {
            match action {
                Action::Set(values) => self.assign(values, turn),
                Action::Notify(dip) => {
                    // Nobody waits for the answer.
                    self.look_up(dip, turn);
                }
            }
        }
        self.leave(None, FlowEnd::CallerLeft, turn);
    }

    fn leave(&mut self, exit: Option<Command>, end: FlowEnd, turn: &mut Turn<'_>) -> Step {
        assert!(!self.is_over(), "a flow ends once");
        let node = self.path.last().cloned().unwrap_or_default();
        turn.out.commands.extend(exit);
        turn.out.fact(Fact::IvrLeft {
            call: self.call,
            flow: self.flow().id,
            node,
            end,
        });
        self.state = State::Over(end);
        self.values.retain(|name, _| !self.secret.contains(name));
        self.digits.clear();
        self.ahead.0.clear();
        Step::Wait
    }

    // Small change.

    fn frame(&self) -> &Frame {
        self.frames.last().expect("a session has a flow")
    }

    fn kind(&self) -> &NodeKind {
        let frame = self.frame();
        &frame.flow.nodes[frame.node].kind
    }

    fn node_name(&self) -> String {
        let frame = self.frame();
        frame.flow.nodes[frame.node].name.clone()
    }

    /// What the current node asks the caller.
    fn question(&self) -> (Prompt, Wanted, Listening) {
        match self.kind() {
            NodeKind::Menu {
                prompt,
                wanted,
                listening,
            }
            | NodeKind::Collect {
                prompt,
                wanted,
                listening,
                ..
            } => (prompt.clone(), wanted.clone(), listening.clone()),
            other => unreachable!("only a menu or collect node listens, not {}", other.name()),
        }
    }

    fn play(&mut self, pieces: &[PromptPiece], repeat: bool, turn: &mut Turn<'_>) -> PlayId {
        let play = PlayId(turn.mint.next());
        let pieces = pieces
            .iter()
            .map(|piece| piece.with(&self.values))
            .collect();
        turn.out.command(Command::Play {
            play,
            pieces,
            repeat,
        });
        play
    }

    fn fall_silent(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Playing { play, .. }
            | State::Prompting { play, .. }
            | State::Dipping {
                play: Some(play), ..
            } => {
                turn.out.command(Command::StopPlay { play });
            }
            State::Dipping { play: None, .. } | State::Listening { .. } | State::Over(_) => {}
        }
        self.state = State::Listening { until: Mono::MAX };
    }

    fn assign(&mut self, values: &[(String, crate::expr::Expr)], turn: &mut Turn<'_>) {
        let computed: Vec<(&String, Value)> = values
            .iter()
            .map(|(name, expr)| (name, expr.evaluate(&self.values)))
            .collect();
        for (name, value) in computed {
            self.store(name, value, turn);
        }
    }

    fn store(&mut self, name: &str, value: Value, turn: &mut Turn<'_>) {
        if !self.secret.contains(name) {
            let (name, value) = (name.to_owned(), value.to_string());
            turn.out.fact(Fact::IvrVariableSet {
                call: self.call,
                name,
                value,
            });
        }
        self.values.insert(name.to_owned(), value);
    }
}
