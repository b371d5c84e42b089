//! The world around one engine: a queue of what happens, in virtual time.
//!
//! It jumps to the next happening or deadline, whichever is first, tells the engine, carries its
//! commands out at carriers, phones, store and people (each in a file of its own), and lets the
//! [`Checker`] look at every step. Time stands still while anything happens at once, within a bound.

use crate::agent::Agent;
use crate::checker::{Checker, Invariant, Violation};
use crate::happens::{Entry, Far, Happens};
use crate::network::Network;
use crate::scenario::name;
use crate::setting::Setting;
use crate::store::Store;
use crate::tally::{AttemptView, Tally};
use crate::trace::Trace;
use call::input::AgentAction;
use call::{Command, ConfigError, Engine, EngineOutbox, Input};
use dialer::pacing::LearnedState;
use model::{
    AgentId, AgentState, AttemptId, CallId, CampaignId, Event, LegId, Mint, Mono, Now, Rng, Utc,
};
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

/// Inputs without time going on, at most: a campaign of 20,000 agents who all begin in the same
/// instant causes some ten for each. More is a loop.
pub const INPUTS_PER_INSTANT_MAX: u32 = 500_000;
/// A drained shift must be over after this: the longest talk and wrap-up are far shorter.
pub const DRAIN_MAX: Duration = Duration::from_secs(3_600);
/// The exchange mints the ids of arrived legs above those the engine mints.
const ARRIVED_LEGS_FROM: u64 = 1 << 39;
/// RTP is missed after this, where the end of a leg was lost.
const MEDIA_LOST_AFTER: Duration = Duration::from_secs(10);
/// A supervisor process starts a killed engine again after this.
const RESTART_AFTER: Duration = Duration::from_millis(800);

/// A look at the inputs before the engine gets them: gives what it gets instead.
type OnInput = Box<dyn FnMut(Now, Input) -> Vec<Input>>;
/// A look at the commands before anybody carries them out.
type OnCommands = Box<dyn FnMut(Now, &mut VecDeque<Command>)>;
/// A look at the events before anybody sees them.
type OnEvents = Box<dyn FnMut(Now, &mut Vec<Event>)>;

/// Plants bugs between engine and world, to show that the checker finds them.
#[derive(Default)]
pub struct Saboteur {
    /// Tampers with what the engine is told.
    pub inputs: Option<OnInput>,
    /// Tampers with what it wants done.
    pub commands: Option<OnCommands>,
    /// Tampers with what it says has happened.
    pub events: Option<OnEvents>,
}

/// See the module.
pub struct World {
    pub(crate) setting: Setting,
    pub(crate) engine: Engine,
    pub(crate) alive: bool,
    boot: u32,
    pub(crate) seed: u64,
    pub(crate) now: Mono,
    /// By how much the wall clock was stepped, in µs.
    pub(crate) stepped_us: i64,
    heap: BinaryHeap<Entry>,
    order: u64,
    pending: VecDeque<Input>,
    out: EngineOutbox,
    /// Look-ups only; never iterated.
    pub(crate) far: HashMap<LegId, Far>,
    /// Look-ups only; never iterated.
    pub(crate) customer_of_call: HashMap<CallId, LegId>,
    /// Dialled and not over. Look-ups only; never iterated.
    pub(crate) attempts: HashMap<AttemptId, AttemptView>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) agent_ix: HashMap<AgentId, usize>,
    pub(crate) arrived_legs: Mint,
    pub(crate) store: Store,
    pub(crate) network: Network,
    pub(crate) perfect: bool,
    pub(crate) carrier_rng: Rng,
    pub(crate) caller_rng: Rng,
    pub(crate) agent_rng: Rng,
    pub(crate) shift_over: bool,
    finished: bool,
    inputs_at_instant: u32,
    pub(crate) states: Vec<(AgentState, Mono)>,
    pub(crate) tally: Tally,
    checker: Option<Checker>,
    trace: Option<Trace>,
    saboteur: Option<Saboteur>,
}

impl World {
    /// A world before its first moment.
    ///
    /// # Errors
    /// The engine does not accept the configuration: a flow does not check.
    pub fn new(setting: Setting, seed: u64) -> Result<World, ConfigError> {
        let mut rng = Rng::new(seed);
        let engine = Engine::new(setting.config.clone(), 1, rng.next_u64())?;
        let list = setting
            .config
            .dialer
            .campaigns
            .values()
            .find_map(|campaign| campaign.lists.first().map(|list| list.name))
            .unwrap_or_else(|| name("all"));
        let agents: Vec<Agent> = setting
            .agents
            .iter()
            .map(|agent| Agent::new(*agent))
            .collect();
        let network = Network::new(setting.network, rng.fork());
        Ok(World {
            engine,
            alive: true,
            boot: 1,
            seed,
            now: Mono::ZERO,
            stepped_us: 0,
            heap: BinaryHeap::new(),
            order: 0,
            pending: VecDeque::new(),
            out: EngineOutbox::default(),
            far: HashMap::new(),
            customer_of_call: HashMap::new(),
            attempts: HashMap::new(),
            agent_ix: agents
                .iter()
                .enumerate()
                .map(|(ix, agent)| (agent.id, ix))
                .collect(),
            states: vec![(AgentState::SignedOut, Mono::ZERO); agents.len()],
            agents,
            arrived_legs: Mint::new(0),
            store: Store::new(setting.store, &setting.carrier, list, seed, rng.fork()),
            perfect: network.is_perfect(),
            network,
            carrier_rng: rng.fork(),
            caller_rng: rng.fork(),
            agent_rng: rng.fork(),
            shift_over: false,
            finished: false,
            inputs_at_instant: 0,
            tally: Tally::new(&setting),
            checker: None,
            trace: None,
            saboteur: None,
            setting,
        })
    }

    /// Looks at every step from now on.
    pub fn with_checker(mut self) -> World {
        self.checker = Some(Checker::new(&self.setting));
        self
    }

    /// Looks at every step as if the engine had this setting: whatever differs is a planted bug.
    pub fn with_checker_of(mut self, setting: &Setting) -> World {
        self.checker = Some(Checker::new(setting));
        self
    }

    /// Keeps a fingerprint from now on.
    pub fn with_trace(mut self) -> World {
        self.trace = Some(Trace::default());
        self
    }

    /// Plants bugs.
    pub fn with_saboteur(mut self, saboteur: Saboteur) -> World {
        self.saboteur = Some(saboteur);
        self
    }

    /// Runs the shift to its end, or to the first violation.
    pub fn run(&mut self) {
        self.begin();
        while !self.finished {
            self.tell_pending();
            if self.finished || self.checker.as_ref().is_some_and(Checker::found) {
                break;
            }
            let due = if self.alive {
                self.engine.next_deadline().map_or(Mono::MAX, |(at, _)| at)
            } else {
                Mono::MAX
            };
            match self.heap.peek() {
                Some(entry) if entry.at <= due => {
                    let entry = self.heap.pop().expect("just seen");
                    self.go_to(entry.at);
                    self.happen(entry.what);
                }
                Some(_) | None if due < Mono::MAX => {
                    self.go_to(due);
                    self.pending.push_back(Input::Tick);
                }
                Some(_) | None => break,
            }
        }
        self.book_states();
        if let Some(checker) = &mut self.checker
            && self.setting.drain
            && !checker.found()
        {
            checker.at_end(self.now, &self.engine, &self.store);
        }
    }

    /// What was counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was counted, for keeps.
    pub fn into_tally(self) -> Tally {
        self.tally
    }

    /// What the campaigns have learned, as they put it away when the engine drains. To be asked
    /// after the run: nothing of it is counted.
    pub fn learned(&mut self) -> Vec<(CampaignId, LearnedState)> {
        let mut out = EngineOutbox::default();
        self.engine.handle(self.clock(), Input::Drain, &mut out);
        let commands = out.commands.into_iter();
        commands
            .filter_map(|command| {
                // The shift is over: nobody carries out what else draining wants.
                if let Command::SaveLearned { campaign, state } = command {
                    Some((campaign, *state))
                } else {
                    None
                }
            })
            .collect()
    }

    /// The first broken invariant and those of the same step; empty where none was found, or nobody looked.
    pub fn violations(&self) -> &[Violation] {
        self.checker.as_ref().map_or(&[], Checker::violations)
    }

    /// The fingerprint, where one is kept.
    pub fn trace(&self) -> Option<Trace> {
        self.trace
    }

    /// The engine, for its snapshots.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn begin(&mut self) {
        let arrived = Mint::new(0);
        self.arrived_legs = arrived;
        self.pending.push_back(Input::Started {
            boot: self.boot,
            version: "sim".into(),
            attempts_unknown: 0,
        });
        if !self.setting.history.is_empty() {
            self.pending.push_back(Input::DialerHistory {
                answers: self.setting.history.clone(),
                dials: Vec::new(),
            });
        }
        for (campaign, state) in std::mem::take(&mut self.setting.learned) {
            self.pending.push_back(Input::LearnedLoaded {
                campaign,
                state: Box::new(state),
            });
        }
        let spread_s = self.setting.start_spread.as_secs_f64();
        for ix in 0..self.agents.len() {
            if spread_s > 0.0 {
                let wait = spread_s * self.agent_rng.unit();
                self.later_s(wait, Happens::AgentSignsIn(ix));
            } else {
                self.sign_in(ix);
            }
            self.plan_whim(ix);
        }
        self.plan_caller();
        for leave in self.setting.leave.clone() {
            let leaving = (leave.share * self.agents.len() as f64).round() as usize;
            for ix in 0..leaving.min(self.agents.len()) {
                self.later(leave.at, Happens::AgentLeaves(ix));
                self.later(leave.at + leave.away, Happens::AgentSignsIn(ix));
            }
        }
        for at in self.setting.crash_at.clone() {
            self.later(at, Happens::Crash);
        }
        self.later(self.setting.shift, Happens::EndOfShift);
    }

    /// Both clocks.
    pub(crate) fn clock(&self) -> Now {
        let us = self.now.as_micros() as i64 + self.stepped_us;
        Now {
            mono: self.now,
            utc: Utc::from_micros(self.setting.start.as_micros() + us),
        }
    }

    pub(crate) fn mint_arrived(&mut self) -> LegId {
        LegId(ARRIVED_LEGS_FROM + self.arrived_legs.next())
    }

    fn go_to(&mut self, at: Mono) {
        if at > self.now {
            self.now = at;
            self.inputs_at_instant = 0;
        }
    }

    /// Plans something.
    pub(crate) fn later(&mut self, wait: Duration, what: Happens) {
        self.at(self.now + wait, what);
    }

    pub(crate) fn later_s(&mut self, seconds: f64, what: Happens) {
        self.at(
            self.now + Duration::from_micros((seconds.clamp(0.0, 1e9) * 1e6) as u64),
            what,
        );
    }

    fn at(&mut self, at: Mono, what: Happens) {
        self.order += 1;
        self.heap.push(Entry {
            at,
            order: self.order,
            what,
        });
    }

    /// Tells the engine what was seen on a leg, by way of the network.
    pub(crate) fn say(&mut self, leg: LegId, input: Input) {
        if self.perfect {
            self.pending.push_back(input);
            return;
        }
        if self.network.loses(&input) {
            if matches!(input, Input::LegEnded { .. }) {
                self.later(
                    MEDIA_LOST_AFTER,
                    Happens::Tell(Box::new(Input::MediaLost { leg })),
                );
            }
            return;
        }
        let mut at = self.now + self.network.delay();
        if let Some(far) = self.far.get_mut(&leg) {
            at = at.max(far.facts_until);
            far.facts_until = at;
        }
        if self.network.repeats(&input) {
            self.at(
                at + Duration::from_millis(1),
                Happens::Tell(Box::new(input.clone())),
            );
        }
        self.at(at, Happens::Tell(Box::new(input)));
    }

    /// Tells the engine something no leg has to do with.
    pub(crate) fn answer(&mut self, delay: Duration, input: Input) {
        if self.perfect && delay.is_zero() {
            self.pending.push_back(input);
            return;
        }
        if self.network.loses(&input) {
            return;
        }
        if self.network.repeats(&input) {
            self.later(
                delay + Duration::from_millis(3),
                Happens::Tell(Box::new(input.clone())),
            );
        }
        self.later(delay, Happens::Tell(Box::new(input)));
    }

    /// Tells the engine right now.
    pub(crate) fn tell(&mut self, input: Input) {
        self.pending.push_back(input);
    }

    fn tell_pending(&mut self) {
        while let Some(input) = self.pending.pop_front() {
            if !self.alive {
                continue;
            }
            self.step(input);
            if self.checker.as_ref().is_some_and(Checker::found) {
                return;
            }
        }
    }

    fn step(&mut self, input: Input) {
        let now = self.clock();
        self.inputs_at_instant += 1;
        self.tally.inputs += 1;
        if self.inputs_at_instant > INPUTS_PER_INSTANT_MAX {
            let what =
                format!("{INPUTS_PER_INSTANT_MAX} inputs at one instant, the last {input:?}");
            self.checker
                .get_or_insert_with(|| Checker::new(&self.setting))
                .say(Invariant::Livelock, self.now, what);
            return;
        }
        let seen = self.checker.as_ref().map(|_| input.clone());
        let traced = self.trace.as_ref().map(|_| input.clone());
        match self
            .saboteur
            .as_mut()
            .and_then(|saboteur| saboteur.inputs.as_mut())
        {
            None => self.engine.handle(now, input, &mut self.out),
            Some(tamper) => {
                for input in tamper(now, input) {
                    self.engine.handle(now, input, &mut self.out);
                }
            }
        }
        if let Some(saboteur) = &mut self.saboteur {
            if let Some(tamper) = &mut saboteur.commands {
                tamper(now, &mut self.out.commands);
            }
            if let Some(tamper) = &mut saboteur.events {
                tamper(now, &mut self.out.events);
            }
        }
        if let (Some(trace), Some(input)) = (&mut self.trace, &traced) {
            trace.step(now, input, self.out.commands.iter(), &self.out.events);
        }
        if let (Some(checker), Some(input)) = (&mut self.checker, &seen) {
            checker.step(
                now,
                input,
                &self.out.commands,
                &self.out.events,
                &self.engine,
                &self.store,
            );
        }
        let events = std::mem::take(&mut self.out.events);
        self.tally.events += events.len() as u64;
        for event in &events {
            self.notice(event);
        }
        self.out.events = events;
        self.out.events.clear();
        while let Some(command) = self.out.commands.pop_front() {
            if self.perfect {
                self.carry_out(command);
            } else {
                let at = self.network.command_arrives(self.now);
                self.at(at, Happens::Carry(Box::new(command)));
            }
        }
    }

    pub(crate) fn agent_of(&self, agent: AgentId) -> Option<usize> {
        self.agent_ix.get(&agent).copied()
    }

    fn happen(&mut self, what: Happens) {
        match what {
            Happens::Tell(input) => self.pending.push_back(*input),
            Happens::Carry(command) => self.carry_out(*command),
            Happens::CallerArrives => self.caller_arrives(),
            Happens::CarrierRings(leg) => self.carrier_rings(leg),
            Happens::CarrierAnswers(leg) => self.carrier_answers(leg),
            Happens::CarrierFails(leg, cause) => self.carrier_fails(leg, cause),
            Happens::CarrierClassifies(leg, verdict) => self.carrier_classifies(leg, verdict),
            Happens::CarrierSpeaks(leg, ended_ms) => self.carrier_speaks(leg, ended_ms),
            Happens::CustomerHangsUp(leg, epoch) => self.customer_hangs_up(leg, epoch),
            Happens::PressesDigit(leg, digit) => {
                if self.far.contains_key(&leg) {
                    self.say(leg, Input::DigitPressed { leg, digit });
                }
            }
            Happens::PromptEnds(leg, play) => {
                if self
                    .far
                    .get_mut(&leg)
                    .is_some_and(|far| far.playing.take_if(|playing| *playing == play).is_some())
                {
                    self.say(leg, Input::PromptFinished { leg, play });
                }
            }
            Happens::PhoneAnswers(leg) => self.phone_answers(leg),
            Happens::PhoneFails(leg, cause) => self.phone_fails(leg, cause),
            Happens::AgentOnCall(leg, action) => self.agent_on_call(leg, action),
            Happens::AgentHangsUp(leg) => self.agent_hangs_up(leg),
            Happens::AgentWrapsUp(ix, epoch) => self.agent_wraps_up(ix, epoch),
            Happens::AgentWhim(ix) => self.agent_whim(ix),
            Happens::AgentLeaves(ix) => {
                let agent = self.agents[ix].id;
                if self.setting.foretold {
                    self.engine.foretell(agent, Mono::MAX);
                }
                self.tell(Input::Agent {
                    agent,
                    action: AgentAction::SignOut,
                });
            }
            Happens::AgentSignsIn(ix) => self.sign_in(ix),
            Happens::PhoneBack(ix) => {
                self.agents[ix].phone_lost = false;
                let agent = self.agents[ix].id;
                self.tell(Input::PhoneReachable {
                    agent,
                    reachable: true,
                });
            }
            Happens::Crash => self.crash(),
            Happens::Restart => self.restart(),
            Happens::EndOfShift => self.end_of_shift(),
            Happens::EndOfDrain => self.finished = true,
        }
        if self.shift_over
            && self.setting.drain
            && self.alive
            && self.pending.is_empty()
            && self.is_quiet()
        {
            self.finished = true;
        }
    }

    fn is_quiet(&self) -> bool {
        self.engine.live_calls() == 0
            && self.engine.live_legs() == 0
            && self.engine.dialer().live_attempts() == 0
            && !self.heap.iter().any(|entry| {
                matches!(
                    entry.what,
                    Happens::Carry(_) | Happens::Tell(_) | Happens::Restart
                )
            })
    }

    fn end_of_shift(&mut self) {
        self.book_states();
        self.shift_over = true;
        if !self.setting.drain {
            self.finished = true;
            self.states.clear();
            return;
        }
        self.everybody_is_out();
        self.tell(Input::Drain);
        self.later(DRAIN_MAX, Happens::EndOfDrain);
    }

    fn crash(&mut self) {
        if !self.alive || self.shift_over {
            return;
        }
        self.alive = false;
        self.pending.clear();
        // Whatever was on its way to or from the process died with it, and so do its legs.
        self.heap
            .retain(|entry| !matches!(entry.what, Happens::Tell(_) | Happens::Carry(_)));
        self.far.clear();
        self.customer_of_call.clear();
        self.attempts.clear();
        self.agents.iter_mut().for_each(Agent::phone_is_free);
        self.later(RESTART_AFTER, Happens::Restart);
    }

    fn restart(&mut self) {
        self.alive = true;
        self.boot += 1;
        self.engine = Engine::new(
            self.setting.config.clone(),
            self.boot,
            self.seed ^ u64::from(self.boot),
        )
        .expect("the configuration was accepted before");
        let now = self.clock();
        let attempts_unknown = self.store.restart(now.utc);
        if let Some(checker) = &mut self.checker {
            checker.restart();
        }
        self.book_states();
        self.everybody_is_out();
        self.tell(Input::Started {
            boot: self.boot,
            version: "sim".into(),
            attempts_unknown,
        });
        self.tell(Input::DoNotCallLoaded {
            numbers: self.store.do_not_call.iter().copied().collect(),
        });
        for ix in 0..self.agents.len() {
            let wait = 1.0 + 2.0 * self.agent_rng.unit();
            self.later_s(wait, Happens::AgentSignsIn(ix));
        }
        if self.shift_over {
            self.tell(Input::Drain);
        }
    }

    /// The campaigns there are.
    pub(crate) fn campaigns(&self) -> Vec<CampaignId> {
        self.setting
            .config
            .dialer
            .campaigns
            .keys()
            .copied()
            .collect()
    }
}
