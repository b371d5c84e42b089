//! Random days against an obviously right reference: what the facts say must agree, after every
//! single input, with the rules of routing as one would state them without any index.

use acd::config::{QueueKind, Strategy};
use acd::input::{SkillNeed, Visit};
use acd::{Acd, AgentConfig, Command, Config, Input, QueueConfig, Rule};
use model::event::{OfferFailure, Withdrawal};
use model::screen_pop::Direction;
use model::{
    AgentId, AgentState, CallId, Fact, Mono, Now, OfferId, Outbox, QueueId, QueueOutcome, SkillId,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const CONFIG: &str = r#"
    [queues.sales]
    wrap_up_ms = 3000
    preferred_agent_timeout_ms = 4000
    max_wait_ms = 60000
    overflow = { to = "queue:support" }
    [queues.support]
    wrap_up_ms = 5000
    skills = [{ skill = "german", level = 5 }]
    rings = [{ after_ms = 3000, skills = [{ skill = "german", level = 2 }] }, { after_ms = 9000 }]
    rona = "available"
    priority_ageing_per_s = 0.5
    announce_every_ms = 5000
    max_waiting = 6
    [queues.team]
    strategy = "ring_all"
    wrap_up_ms = 0
    [queues.spring]
    kind = "outbound"
    auto_answer = true
    wrap_up_ms = 2000
    [agents.anna]
    queues = ["sales", "support", "team", "spring"]
    skills = { german = 8 }
    [agents.ben]
    queues = ["sales", "spring"]
    wrap_up_ms = 7000
    [agents.cleo]
    queues = ["support", "team"]
    skills = { german = 3, french = 9 }
    [agents.dan]
    queues = ["sales", "support", "team"]
    [agents.eve]
    queues = ["team", "spring", { queue = "sales", weight = 2 }]
    skills = { french = 4 }
"#;

const AGENTS: [&str; 5] = ["anna", "ben", "cleo", "dan", "eve"];
const QUEUES: [&str; 4] = ["sales", "support", "team", "spring"];

fn agent(i: u8) -> AgentId {
    AGENTS[i as usize % AGENTS.len()].parse().unwrap()
}

fn queue(i: u8) -> QueueId {
    QUEUES[i as usize % QUEUES.len()].parse().unwrap()
}

#[derive(Clone, Debug)]
enum Op {
    SignIn(u8),
    SignOut(u8),
    Ready(u8),
    NotReady(u8),
    Phone(u8, bool),
    Enqueue {
        queue: u8,
        priority: i16,
        french: bool,
        preferred: Option<u8>,
    },
    EnqueueAgain(u8),
    CallerLeft(u8),
    Remove(u8),
    Answer(u8),
    Bridge(u8),
    Fail(u8, OfferFailure),
    TalkEnded(u8),
    WrapUpEnded(u8),
    Extend(u8),
    Reserve(u8),
    Release(u8),
    ReservedBridged(u8),
    Open(u8, bool),
    /// Time passes and every deadline is met to the microsecond.
    Pass(u16),
    /// Time passes and the deadlines are met late, all at once.
    PassLate(u16),
}

fn op() -> impl Strategy2 {
    let failure = prop_oneof![
        Just(OfferFailure::Timeout),
        Just(OfferFailure::Rejected),
        Just(OfferFailure::Unreachable),
        Just(OfferFailure::AgentGone)
    ];
    prop_oneof![
        2 => any::<u8>().prop_map(Op::SignIn),
        1 => any::<u8>().prop_map(Op::SignOut),
        6 => any::<u8>().prop_map(Op::Ready),
        1 => any::<u8>().prop_map(Op::NotReady),
        1 => (any::<u8>(), prop::bool::weighted(0.6)).prop_map(|(a, on)| Op::Phone(a, on)),
        8 => (any::<u8>(), 0i16..3, prop::bool::weighted(0.2), prop::option::weighted(0.3, any::<u8>()))
            .prop_map(|(queue, priority, french, preferred)| Op::Enqueue { queue, priority, french, preferred }),
        1 => any::<u8>().prop_map(Op::EnqueueAgain),
        2 => any::<u8>().prop_map(Op::CallerLeft),
        1 => any::<u8>().prop_map(Op::Remove),
        5 => any::<u8>().prop_map(Op::Answer),
        5 => any::<u8>().prop_map(Op::Bridge),
        2 => (any::<u8>(), failure).prop_map(|(o, why)| Op::Fail(o, why)),
        5 => any::<u8>().prop_map(Op::TalkEnded),
        2 => any::<u8>().prop_map(Op::WrapUpEnded),
        1 => any::<u8>().prop_map(Op::Extend),
        1 => any::<u8>().prop_map(Op::Reserve),
        1 => any::<u8>().prop_map(Op::Release),
        1 => any::<u8>().prop_map(Op::ReservedBridged),
        1 => (any::<u8>(), prop::bool::weighted(0.7)).prop_map(|(q, open)| Op::Open(q, open)),
        6 => (0u16..9000).prop_map(Op::Pass),
        1 => (0u16..9000).prop_map(Op::PassLate),
    ]
}

use proptest::strategy::Strategy as Strategy1;
trait Strategy2: Strategy1<Value = Op> {}
impl<T: Strategy1<Value = Op>> Strategy2 for T {}

#[derive(Clone, Debug)]
struct Agent {
    state: AgentState,
    since: Option<Mono>,
    idle_since: Mono,
    keeps_rank: bool,
    wrap_up_until: Mono,
    took_from: Option<QueueId>,
}

#[derive(Clone, Debug)]
struct Call {
    queue: QueueId,
    points: i32,
    entered: Mono,
    since: Mono,
    french: bool,
    preferred: Option<AgentId>,
    offers: Vec<OfferId>,
}

struct World {
    acd: Acd,
    config: Config,
    now: Now,
    agents: BTreeMap<AgentId, Agent>,
    waiting: BTreeMap<CallId, Call>,
    offers: BTreeMap<OfferId, (CallId, AgentId)>,
    all_offers: Vec<OfferId>,
    calls: u64,
    entered: u64,
    left: u64,
    /// What the input at hand is about, and whether it is a deadline's.
    visit: Option<Visit>,
    by_tick: bool,
    /// Deadlines are met after their time. Who goes first is then a matter of when each fell due,
    /// which this reference does not know.
    late: bool,
    credits: BTreeMap<CallId, (QueueId, Mono)>,
}

impl World {
    fn new() -> World {
        let config: Config = toml::from_str(CONFIG).unwrap();
        assert_eq!(config.validate(), []);
        let agents = config.agents.keys().map(|id| {
            let agent = Agent {
                state: AgentState::SignedOut,
                since: None,
                idle_since: Mono::ZERO,
                keeps_rank: false,
                wrap_up_until: Mono::ZERO,
                took_from: None,
            };
            (*id, agent)
        });
        let mut world = World {
            acd: Acd::new(config.clone(), 1),
            agents: agents.collect(),
            config,
            now: Now::default(),
            waiting: BTreeMap::new(),
            offers: BTreeMap::new(),
            all_offers: Vec::new(),
            calls: 0,
            entered: 0,
            left: 0,
            visit: None,
            by_tick: false,
            late: false,
            credits: BTreeMap::new(),
        };
        for i in 0..AGENTS.len() as u8 {
            world.input(Input::PhoneReachable { agent: agent(i) });
            world.input(Input::SignIn { agent: agent(i) });
        }
        world
    }

    fn run(&mut self, op: Op) {
        let call_at = |world: &World, i: u8| {
            world
                .waiting
                .keys()
                .nth(i as usize % world.waiting.len().max(1))
                .copied()
        };
        // Mostly a live offer, now and then one that is long over.
        let offer_at = |world: &World, i: u8| match i % 8 {
            0 => world.all_offers.get(i as usize / 8).copied(),
            _ => world
                .offers
                .keys()
                .nth(i as usize % world.offers.len().max(1))
                .copied(),
        };
        let call_of =
            |world: &World, a: AgentId| world.agents[&a].state.call().unwrap_or(CallId(0));
        match op {
            Op::SignIn(a) => self.input(Input::SignIn { agent: agent(a) }),
            Op::SignOut(a) => self.input(Input::SignOut { agent: agent(a) }),
            Op::Ready(a) => self.input(Input::SetReady { agent: agent(a) }),
            Op::NotReady(a) => self.input(Input::SetNotReady {
                agent: agent(a),
                reason: "lunch".parse().unwrap(),
            }),
            Op::Phone(a, true) => self.input(Input::PhoneReachable { agent: agent(a) }),
            Op::Phone(a, false) => self.input(Input::PhoneLost { agent: agent(a) }),
            Op::Enqueue {
                queue: q,
                priority,
                french,
                preferred,
            } => {
                self.calls += 1;
                let skills = if french {
                    vec![SkillNeed {
                        skill: "french".parse().unwrap(),
                        level: 4,
                    }]
                } else {
                    vec![]
                };
                let outbound = QUEUES[q as usize % QUEUES.len()] == "spring";
                self.input(Input::Enqueue(Visit {
                    call: CallId(self.calls),
                    queue: queue(q),
                    direction: if outbound {
                        Direction::Outbound
                    } else {
                        Direction::Inbound
                    },
                    priority,
                    skills,
                    preferred: preferred.map(agent),
                    give_up_after: outbound.then_some(Duration::from_secs(2)),
                }));
            }
            Op::EnqueueAgain(i) => {
                if let Some(call) = call_at(self, i) {
                    self.input(Input::Enqueue(visit(call, queue(i))));
                }
            }
            Op::CallerLeft(i) => {
                let call = call_at(self, i).unwrap_or(CallId(u64::from(i)));
                self.input(Input::CallerLeft { call });
            }
            Op::Remove(i) => {
                if let Some(call) = call_at(self, i) {
                    self.input(Input::Remove {
                        call,
                        outcome: QueueOutcome::Removed,
                    });
                }
            }
            Op::Answer(i) => {
                if let Some(offer) = offer_at(self, i) {
                    self.input(Input::OfferAnswered { offer });
                }
            }
            Op::Bridge(i) => {
                if let Some(offer) = offer_at(self, i) {
                    self.input(Input::Bridged { offer });
                }
            }
            Op::Fail(i, why) => {
                if let Some(offer) = offer_at(self, i) {
                    self.input(Input::OfferFailed { offer, why });
                }
            }
            Op::TalkEnded(a) => {
                let agent = agent(a);
                self.input(Input::TalkEnded {
                    agent,
                    call: call_of(self, agent),
                });
            }
            Op::WrapUpEnded(a) => self.input(Input::WrapUpEnded { agent: agent(a) }),
            Op::Extend(a) => {
                let by = Duration::from_secs(4);
                self.agents.get_mut(&agent(a)).unwrap().wrap_up_until += by;
                self.input(Input::WrapUpExtended {
                    agent: agent(a),
                    by,
                });
            }
            Op::Reserve(a) => {
                self.calls += 1;
                self.input(Input::Reserve {
                    agent: agent(a),
                    call: CallId(self.calls),
                });
            }
            Op::Release(a) => {
                let agent = agent(a);
                self.agents.get_mut(&agent).unwrap().keeps_rank |= self.reserved(agent);
                self.input(Input::Release {
                    agent,
                    call: call_of(self, agent),
                });
            }
            Op::ReservedBridged(a) => {
                let agent = agent(a);
                if self.reserved(agent) {
                    self.agents.get_mut(&agent).unwrap().took_from = None;
                }
                self.input(Input::ReservedBridged {
                    agent,
                    call: call_of(self, agent),
                });
            }
            Op::Open(q, open) => self.input(Input::SetQueueOpen {
                queue: queue(q),
                open,
            }),
            Op::Pass(ms) => {
                let end = self.now.plus(Duration::from_millis(ms.into()));
                let mut ticks = 0;
                while let Some((at, _)) = self.acd.next_deadline().filter(|(at, _)| *at <= end.mono)
                {
                    assert!(at >= self.now.mono, "a deadline lies in the past");
                    self.now = self.now.plus(at.since(self.now.mono));
                    self.tick();
                    ticks += 1;
                    assert!(ticks < 1_000, "time does not get on");
                }
                self.now = end;
            }
            Op::PassLate(ms) => {
                self.now = self.now.plus(Duration::from_millis(ms.into()));
                self.late = true;
                self.tick();
                self.late = false;
            }
        }
    }

    fn reserved(&self, agent: AgentId) -> bool {
        matches!(self.agents[&agent].state, AgentState::Offered(_))
            && !self.offers.values().any(|(_, a)| *a == agent)
    }

    fn tick(&mut self) {
        self.by_tick = true;
        self.input(Input::Tick);
        self.by_tick = false;
        assert!(
            self.acd
                .next_deadline()
                .is_none_or(|(at, _)| at > self.now.mono),
            "a tick leaves nothing due"
        );
    }

    fn input(&mut self, input: Input) {
        let mut out = Outbox::new();
        self.visit = match &input {
            Input::Enqueue(visit) => Some(visit.clone()),
            _ => None,
        };
        self.acd.handle(self.now, input, &mut out);
        for fact in &out.facts {
            self.fact(fact);
        }
        self.check_rest();
        // What overflows comes to wait again at once, as the engine would have it.
        let next: Vec<Visit> = out
            .commands
            .iter()
            .filter_map(|c| match c {
                Command::Leave {
                    call,
                    next: acd::command::Next::Queue(queue),
                    ..
                } => Some(visit(*call, *queue)),
                _ => None,
            })
            .collect();
        let by_tick = std::mem::replace(&mut self.by_tick, false);
        for visit in next {
            self.input(Input::Enqueue(visit));
        }
        self.by_tick = by_tick;
    }

    fn may_serve(&self, agent: AgentId, call: &Call) -> bool {
        let config: &AgentConfig = &self.config.agents[&agent];
        let queue: &QueueConfig = &self.config.queues[&call.queue];
        let waited = self.now.mono.since(call.since);
        let ring = queue
            .rings
            .iter()
            .rfind(|r| Duration::from_millis(r.after_ms) <= waited);
        let skills = ring.map_or(&queue.skills, |r| &r.skills);
        let level = |skill: SkillId| config.skills.get(&skill).copied().unwrap_or(0);
        config.queues.iter().any(|m| m.queue == call.queue)
            && skills.iter().all(|n| level(n.skill) >= n.level)
            && (!call.french || level("french".parse().unwrap()) >= 4)
    }

    fn weight(&self, agent: AgentId, queue: QueueId) -> i32 {
        let member = self.config.agents[&agent]
            .queues
            .iter()
            .find(|m| m.queue == queue)
            .unwrap();
        member.weight.unwrap_or(0).into()
    }

    /// May this waiting call be held back for somebody else right now?
    fn held(&self, id: CallId, call: &Call, from: AgentId) -> bool {
        let ms = self.config.queues[&call.queue].preferred_agent_timeout_ms;
        let young = self.now.mono.since(call.entered) < Duration::from_millis(ms);
        let held = matches!(self.acd.explain(self.now, id, from).rule, Rule::HeldForPreferred { preferred, .. }
            if Some(preferred) == call.preferred && preferred != from);
        assert!(!held || young, "R13: {id} is held beyond its time");
        held
    }

    fn fact(&mut self, fact: &Fact) {
        let t = self.now.mono;
        match fact {
            Fact::QueueEntered {
                call,
                queue,
                priority,
                ..
            } => {
                let visit = self.visit.clone().expect("only an Enqueue enters");
                assert_eq!((visit.call, visit.queue), (*call, *queue));
                let since = self
                    .credits
                    .remove(call)
                    .filter(|(q, _)| q == queue)
                    .map_or(t, |(_, since)| since);
                let entry = Call {
                    queue: *queue,
                    points: i32::from(*priority) + i32::from(self.config.queues[queue].priority),
                    entered: t,
                    since,
                    french: !visit.skills.is_empty(),
                    preferred: visit.preferred,
                    offers: Vec::new(),
                };
                assert!(
                    self.waiting.insert(*call, entry).is_none(),
                    "a call waits once"
                );
                self.entered += 1;
            }
            Fact::QueueLeft {
                call,
                outcome,
                waited_us,
                during_offer,
                ..
            } => {
                let was = self
                    .waiting
                    .remove(call)
                    .expect("R3: only a waiting call leaves, once");
                assert_eq!(*waited_us, t.since(was.entered).as_micros() as u64);
                if *outcome == QueueOutcome::Answered {
                    assert_eq!(was.offers.len(), 1, "one bridge wins");
                    let (_, agent) = self.offers.remove(&was.offers[0]).unwrap();
                    self.agents.get_mut(&agent).unwrap().took_from = Some(was.queue);
                    assert!(!during_offer);
                } else {
                    assert!(
                        was.offers.is_empty(),
                        "offers are taken back before the call leaves"
                    );
                }
                if *outcome == QueueOutcome::FlowOut {
                    self.credits
                        .insert(*call, ("support".parse().unwrap(), was.since));
                }
                self.left += 1;
            }
            Fact::OfferMade {
                offer,
                call,
                agent,
                queue,
                ..
            } => self.offer_made(*offer, *call, *agent, *queue),
            Fact::OfferAnswered { offer, .. } => assert!(self.offers.contains_key(offer)),
            Fact::OfferFailed {
                offer, call, agent, ..
            } => {
                assert_eq!(self.offers.remove(offer), Some((*call, *agent)));
                self.agents.get_mut(agent).unwrap().keeps_rank = false;
                let call = self
                    .waiting
                    .get_mut(call)
                    .expect("R3: a failed offer loses no call");
                call.offers.retain(|o| o != offer);
                call.preferred = call.preferred.filter(|p| p != agent);
            }
            Fact::OfferWithdrawn {
                offer,
                call,
                agent,
                why,
            } => {
                assert_eq!(self.offers.remove(offer), Some((*call, *agent)));
                self.agents.get_mut(agent).unwrap().keeps_rank = true;
                let call = self.waiting.get_mut(call).unwrap();
                call.offers.retain(|o| o != offer);
                assert!(*why != Withdrawal::AnsweredElsewhere || !call.offers.is_empty());
            }
            Fact::AgentStateChanged {
                agent,
                was,
                is,
                was_for_us,
            } => self.agent_changed(*agent, *was, *is, *was_for_us),
            _ => {}
        }
    }

    fn offer_made(&mut self, offer: OfferId, id: CallId, agent: AgentId, queue: QueueId) {
        let call = self.waiting[&id].clone();
        let config = &self.config.queues[&queue];
        assert_eq!(call.queue, queue);
        assert_eq!(
            self.agents[&agent].state,
            AgentState::Available,
            "R1: only available agents are offered calls"
        );
        assert!(
            !self.offers.values().any(|(_, a)| *a == agent),
            "R1: one offer per agent"
        );
        assert!(
            call.offers.is_empty() || config.strategy == Strategy::RingAll,
            "R2: one agent at a time"
        );
        assert!(self.may_serve(agent, &call), "R10: never below the demand");
        if self.late {
            return self.note_offer(offer, id, agent);
        }
        let rank = |world: &World, a: AgentId| (world.agents[&a].idle_since, a);
        if config.strategy == Strategy::LongestIdle && call.preferred != Some(agent) {
            for (&other, state) in &self.agents {
                if state.state == AgentState::Available && self.may_serve(other, &call) {
                    assert!(
                        rank(self, agent) <= rank(self, other),
                        "R8: {other} has been idle for longer than {agent}"
                    );
                }
            }
        }
        for (&other_id, other) in self
            .waiting
            .iter()
            .filter(|(o, other)| **o != id && other.offers.is_empty())
        {
            if call.offers.is_empty()
                && self.may_serve(agent, other)
                && other.preferred.is_none()
                && call.preferred.is_none()
            {
                let of = &self.config.queues[&other.queue];
                let equal = call.points + i32::from(config.priority) + self.weight(agent, queue)
                    == other.points + i32::from(of.priority) + self.weight(agent, other.queue);
                if queue == other.queue
                    && call.french == other.french
                    && call.points == other.points
                {
                    assert!(
                        (call.since, id) < (other.since, other_id),
                        "R6: {other_id} came before {id}"
                    );
                }
                if equal {
                    assert!(
                        config.kind == QueueKind::Inbound || of.kind == QueueKind::Outbound,
                        "R16: {other_id} is inbound and waits while outbound {id} is offered"
                    );
                }
            }
        }
        self.note_offer(offer, id, agent);
    }

    fn note_offer(&mut self, offer: OfferId, id: CallId, agent: AgentId) {
        self.offers.insert(offer, (id, agent));
        self.all_offers.push(offer);
        self.waiting.get_mut(&id).unwrap().offers.push(offer);
    }

    fn agent_changed(&mut self, id: AgentId, was: AgentState, is: AgentState, was_for_us: u64) {
        let t = self.now.mono;
        let (from, own) = {
            let wrap_up = self.config.agents[&id].wrap_up_ms;
            (
                self.agents[&id]
                    .took_from
                    .map(|q| self.config.queues[&q].wrap_up_ms),
                wrap_up,
            )
        };
        let by_tick = self.by_tick;
        let agent = self.agents.get_mut(&id).unwrap();
        assert_eq!(
            agent.state, was,
            "the change begins where the last one ended"
        );
        assert_ne!(was, is);
        let since = agent.since.unwrap_or(t);
        assert_eq!(
            was_for_us,
            t.since(since).as_micros() as u64,
            "states tile the time"
        );
        if matches!(was, AgentState::WrapUp(_)) && by_tick {
            assert!(
                t >= agent.wrap_up_until,
                "R11: {id} is in wrap-up until {:?}",
                agent.wrap_up_until
            );
        }
        if matches!(is, AgentState::WrapUp(_)) {
            agent.wrap_up_until = t + Duration::from_millis(own.or(from).unwrap_or(10_000));
        }
        if is == AgentState::Available {
            let keeps = matches!(was, AgentState::Offered(_)) && agent.keeps_rank;
            if !keeps {
                agent.idle_since = t;
            }
        }
        if matches!(is, AgentState::Offered(_)) {
            agent.keeps_rank = false;
        }
        (agent.state, agent.since) = (is, Some(t));
    }

    /// What must hold whenever nothing is in progress.
    fn check_rest(&mut self) {
        assert_eq!(self.entered, self.left + self.waiting.len() as u64);
        let snapshot = self.acd.snapshot(self.now);
        for queue in &snapshot.queues {
            let calls = || self.waiting.values().filter(|c| c.queue == queue.queue);
            assert_eq!(queue.residual(), 0, "R3: the books balance");
            assert_eq!(queue.waiting, calls().count());
            assert_eq!(self.acd.waiting_now(queue.queue), queue.waiting);
            assert_eq!(
                queue.offered,
                calls().filter(|c| !c.offers.is_empty()).count()
            );
        }
        for (id, agent) in &self.agents {
            assert_eq!(self.acd.agent_state(*id), Some(agent.state));
            let offered = self
                .offers
                .values()
                .find(|(_, a)| a == id)
                .map(|(call, _)| *call);
            if let Some(call) = offered {
                assert_eq!(
                    agent.state,
                    AgentState::Offered(call),
                    "who has an offer is offered it"
                );
            }
            let idle = snapshot
                .agents
                .iter()
                .find(|s| s.agent == *id)
                .unwrap()
                .idle_us;
            if agent.state == AgentState::Available {
                assert_eq!(
                    idle,
                    Some(self.now.mono.since(agent.idle_since).as_micros() as u64),
                    "R8: rank of {id}"
                );
                // R7, over every pair.
                for (call_id, call) in self.waiting.iter().filter(|(_, c)| c.offers.is_empty()) {
                    let due = self
                        .acd
                        .next_deadline()
                        .is_some_and(|(at, _)| at <= self.now.mono);
                    assert!(
                        due || !self.may_serve(*id, call) || self.held(*call_id, call, *id),
                        "R7: {id} is available, {call_id} waits"
                    );
                }
            }
        }
    }
}

fn visit(call: CallId, queue: QueueId) -> Visit {
    Visit {
        call,
        queue,
        direction: Direction::Inbound,
        priority: 0,
        skills: vec![],
        preferred: None,
        give_up_after: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_inputs_breaks_a_rule_of_routing(ops in prop::collection::vec(op(), 1..200)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
    }
}
