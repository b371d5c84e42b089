//! The machine: one arm per input, and the life of an agent between them.
//!
//! It is handed `(now, input)` and only ever looks at the monotonic clock, so that a step of the
//! wall clock changes no timer. How calls and agents find each other is in `routing.rs`.

use crate::agent::{Agent, AgentIx, Member, Rest, Wish};
use crate::config::{self, Config, RING_TIMEOUT_MS_MIN, WRAP_UP_MS_DEFAULT, WRAP_UP_MS_MAX};
use crate::line::{Line, Lines};
use crate::visit::{Offer, Queue, Waiting, demand};
use crate::{Command, Input, Timer};
use model::event::{OfferFailure, Withdrawal};
use model::id::Mint;
use model::{
    AgentId, AgentState, CallId, Fact, Mono, Now, OfferId, Outbox, QueueId, QueueOutcome, ReasonId,
    Rng,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a bridge may take after the agent's answer. It is one step of the engine; five seconds
/// later something is broken, and the caller has better odds with another agent.
pub const BRIDGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Declined calls in a row after which an agent is not ready even where the queue says `available`:
/// a phone on do-not-disturb declines in milliseconds, and would be offered the call for ever.
pub const DECLINED_MAX: u32 = 3;

/// Agents, queues, offers and routing.
#[derive(Debug)]
pub struct Acd {
    pub(crate) agents: Vec<Agent>,
    pub(crate) agent_ix: BTreeMap<AgentId, AgentIx>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) queue_ix: BTreeMap<QueueId, usize>,
    pub(crate) lines: Lines,
    pub(crate) visits: BTreeMap<CallId, Waiting>,
    pub(crate) offers: BTreeMap<OfferId, Offer>,
    pub(crate) timers: BTreeSet<(Mono, Timer)>,
    /// Calls on their way from one queue to another, and since when they wait.
    pub(crate) credits: BTreeMap<CallId, (QueueId, Mono)>,
    pub(crate) offer_ids: Mint,
    pub(crate) rng: Rng,
    pub(crate) steps: u64,
}

impl Acd {
    /// A machine of signed-out agents and open, empty queues. `config` should be valid
    /// ([`Config::validate`]); what is not is brought within its limits or left out.
    pub fn new(config: Config, seed: u64) -> Acd {
        let queue_ix: BTreeMap<QueueId, usize> = config
            .queues
            .keys()
            .enumerate()
            .map(|(i, id)| (*id, i))
            .collect();
        let agent_ix = config
            .agents
            .keys()
            .enumerate()
            .map(|(i, id)| (*id, i))
            .collect();
        let mut acd = Acd {
            agents: Vec::new(),
            agent_ix,
            queues: Vec::new(),
            queue_ix,
            lines: Lines::default(),
            visits: BTreeMap::new(),
            offers: BTreeMap::new(),
            timers: BTreeSet::new(),
            credits: BTreeMap::new(),
            offer_ids: Mint::new(0),
            rng: Rng::new(seed),
            steps: 0,
        };
        for (id, agent) in config.agents {
            let mut members: BTreeMap<usize, Member> = BTreeMap::new();
            for member in &agent.queues {
                if let Some(&queue) = acd.queue_ix.get(&member.queue) {
                    let weight = member.weight.unwrap_or(config.queues[&member.queue].weight);
                    members.entry(queue).or_insert(Member {
                        queue,
                        weight,
                        calls: 0,
                    });
                }
            }
            acd.agents
                .push(Agent::new(id, agent, members.into_values().collect()));
        }
        for (ix, (id, mut queue)) in config.queues.into_iter().enumerate() {
            queue.ring_timeout_ms = queue.ring_timeout_ms.max(RING_TIMEOUT_MS_MIN);
            let members = (0..acd.agents.len())
                .filter(|a| acd.agents[*a].member(ix).is_some())
                .collect();
            let own = demand(&queue, 0, &[]);
            acd.queues.push(Queue {
                id,
                config: queue,
                open: true,
                own_line: 0,
                order: BTreeSet::new(),
                offered: 0,
                members,
                signed_in: 0,
                last: None,
                rates: Default::default(),
                estimate_error: Default::default(),
                entered: 0,
                refused: 0,
                outcomes: BTreeMap::new(),
            });
            // The queue's own line is in use for good.
            acd.queues[ix].own_line = acd.use_line(ix, own);
        }
        acd
    }

    /// Numbers the start of the store this machine runs in, so that offers of two boots never
    /// share an id. Call it before the first offer.
    pub fn set_boot(&mut self, boot: u32) {
        self.offer_ids = Mint::new(boot);
    }

    /// When a `Tick` is wanted, and what for.
    pub fn next_deadline(&self) -> Option<(Mono, Timer)> {
        self.timers.first().copied()
    }

    /// Calls in this queue that were not bridged yet; those being offered count.
    pub fn waiting_now(&self, queue: QueueId) -> usize {
        self.queue_ix
            .get(&queue)
            .map_or(0, |q| self.queues[*q].order.len())
    }

    /// Agents who would be offered a call of this queue right now (one that asks for no more
    /// skills than the queue does).
    pub fn agents_available(&self, queue: QueueId) -> usize {
        self.queue_ix
            .get(&queue)
            .map_or(0, |q| self.lines.at(self.queues[*q].own_line).idle.len())
    }

    /// What an agent is doing; `None` for an agent that is not configured.
    pub fn agent_state(&self, agent: AgentId) -> Option<AgentState> {
        self.agent_ix.get(&agent).map(|a| self.agents[*a].state)
    }

    /// How many calls and agents the last input was looked up or compared with. What bounds it is
    /// the number of different skill demands an agent can meet, not the number of calls waiting.
    pub fn steps_of_last_input(&self) -> u64 {
        self.steps
    }

    /// Takes in one input. Unknown agents, queues, calls and offers are late or foreign news and
    /// change nothing.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Outbox<Command>) {
        self.steps = 0;
        let t = now.mono;
        match input {
            Input::SignIn { agent } => self.with(agent, |acd, a| acd.sign_in(t, a, out)),
            Input::SignOut { agent } => self.with(agent, |acd, a| acd.sign_out(t, a, out)),
            Input::SetReady { agent } => self.with(agent, |acd, a| acd.set_ready(t, a, out)),
            Input::SetNotReady { agent, reason } => {
                self.with(agent, |acd, a| acd.set_not_ready(t, a, reason, out))
            }
            Input::PhoneReachable { agent } => {
                self.with(agent, |acd, a| acd.phone_reachable(t, a, out))
            }
            Input::PhoneLost { agent } => self.with(agent, |acd, a| acd.phone_lost(t, a, out)),
            Input::Enqueue(visit) => self.enqueue(t, visit, out),
            Input::CallerLeft { call } => {
                self.credits.remove(&call);
                self.leave(
                    t,
                    call,
                    QueueOutcome::Abandoned,
                    crate::command::Next::Nowhere,
                    Withdrawal::CallerLeft,
                    out,
                );
            }
            Input::OfferAnswered { offer } => self.offer_answered(t, offer, out),
            Input::Bridged { offer } => self.bridged(t, offer, out),
            Input::OfferFailed { offer, why } => self.fail_offer(t, offer, why, false, out),
            Input::TalkEnded { agent, call } => {
                self.with(agent, |acd, a| acd.talk_ended(t, a, call, out))
            }
            Input::WrapUpEnded { agent } => self.with(agent, |acd, a| acd.wrap_up_ended(t, a, out)),
            Input::WrapUpExtended { agent, by } => {
                self.with(agent, |acd, a| acd.extend_wrap_up(a, by))
            }
            Input::Reserve { agent, call } => self.with(agent, |acd, a| {
                match acd.agents[a].state {
                    AgentState::Available => {}
                    // Who dials by hand takes no calls, before and afterwards.
                    AgentState::NotReady(reason) if acd.agents[a].phone => {
                        acd.agents[a].wish = Some(Wish::NotReady(reason));
                    }
                    AgentState::NotReady(_)
                    | AgentState::SignedOut
                    | AgentState::Offered(_)
                    | AgentState::OnCall(_)
                    | AgentState::WrapUp(_)
                    | AgentState::Unreachable => return,
                }
                acd.set_state(t, a, AgentState::Offered(call), out);
            }),
            Input::Release { agent, call } => self.with(agent, |acd, a| {
                if acd.is_reserved(a, call) {
                    acd.settle(t, a, Rest::Available { keep_rank: true }, out);
                }
            }),
            Input::ReservedFailed { agent, call, why } => self.with(agent, |acd, a| {
                if acd.is_reserved(a, call) {
                    let rest = acd.rest_after_failure(a, config::Rona::NotReady, why);
                    acd.settle(t, a, rest, out);
                }
            }),
            Input::ReservedBridged { agent, call } => self.with(agent, |acd, a| {
                if acd.is_reserved(a, call) {
                    acd.agents[a].handling = Some((None, t));
                    acd.set_state(t, a, AgentState::OnCall(call), out);
                }
            }),
            Input::Remove { call, outcome } => {
                let outcome = match outcome {
                    // Only a bridge answers and only an entry refuses: whoever says so here removes.
                    QueueOutcome::Answered | QueueOutcome::Refused => QueueOutcome::Removed,
                    QueueOutcome::Abandoned
                    | QueueOutcome::FlowOut
                    | QueueOutcome::Timeout
                    | QueueOutcome::CallbackTaken
                    | QueueOutcome::Removed
                    | QueueOutcome::SystemFailed => outcome,
                };
                self.leave(
                    t,
                    call,
                    outcome,
                    crate::command::Next::Nowhere,
                    Withdrawal::CallRemoved,
                    out,
                );
            }
            Input::SetQueueOpen { queue, open } => {
                if let Some(&q) = self.queue_ix.get(&queue) {
                    self.queues[q].open = open;
                }
            }
            Input::Tick => self.tick(t, out),
        }
    }

    fn with(&mut self, agent: AgentId, f: impl FnOnce(&mut Acd, AgentIx)) {
        if let Some(&a) = self.agent_ix.get(&agent) {
            f(self, a);
        }
    }

    /// Every timer that is due. It ends: what a timer sets up again lies in the future, as rings,
    /// wrap-ups and pauses between announcements are longer than nothing.
    fn tick(&mut self, t: Mono, out: &mut Outbox<Command>) {
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= t) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::WrapUpOver(agent) => self.with(agent, |acd, a| acd.wrap_up_ended(t, a, out)),
                Timer::PreferenceOver(call) => self.preference_over(t, call, out),
                Timer::Widen(call) => self.widen(t, call, out),
                Timer::RingTimeout(offer) => {
                    self.fail_offer(t, offer, OfferFailure::Timeout, true, out)
                }
                Timer::BridgeOverdue(offer) => {
                    self.fail_offer(t, offer, OfferFailure::Unreachable, true, out)
                }
                Timer::WaitOver(call) => self.wait_over(t, call, out),
                Timer::Announce(call) => self.announce(t, call, out),
            }
        }
    }

    fn sign_in(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        if agent.state == AgentState::SignedOut {
            (agent.handling_us, agent.available_us, agent.declined) = (0, 0, 0);
            let reason = agent.config.sign_in_reason;
            self.settle(t, a, Rest::NotReady(reason), out);
        } else if agent.wish == Some(Wish::SignOut) {
            agent.wish = None;
        }
    }

    fn sign_out(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        match agent.state {
            AgentState::SignedOut => {}
            AgentState::NotReady(_) | AgentState::Available | AgentState::Unreachable => {
                self.settle(t, a, Rest::SignedOut, out);
            }
            AgentState::Offered(_) => {
                self.pend(a, Wish::SignOut, out);
                // Nobody will answer: the caller does not wait for a phone to ring out.
                if let Some(offer) = self.ringing_offer(a) {
                    self.fail_offer(t, offer, OfferFailure::AgentGone, true, out);
                }
            }
            AgentState::OnCall(_) | AgentState::WrapUp(_) => self.pend(a, Wish::SignOut, out),
        }
    }

    fn set_ready(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        match agent.state {
            AgentState::SignedOut | AgentState::Available => {}
            AgentState::NotReady(_) => self.settle(t, a, Rest::Available { keep_rank: false }, out),
            AgentState::WrapUp(_) => {
                agent.wish = None;
                self.wrap_up_ended(t, a, out);
            }
            AgentState::Offered(_) | AgentState::OnCall(_) => {
                agent.wish = None;
                out.fact(Fact::AgentStatePending {
                    agent: agent.id,
                    reason: None,
                });
            }
            AgentState::Unreachable => {
                agent.resume = Rest::Available { keep_rank: false };
                out.fact(Fact::AgentStatePending {
                    agent: agent.id,
                    reason: None,
                });
            }
        }
    }

    fn set_not_ready(&mut self, t: Mono, a: AgentIx, reason: ReasonId, out: &mut Outbox<Command>) {
        match self.agents[a].state {
            AgentState::SignedOut => {}
            AgentState::NotReady(_) | AgentState::Available => {
                self.settle(t, a, Rest::NotReady(reason), out)
            }
            AgentState::Offered(_) | AgentState::OnCall(_) | AgentState::WrapUp(_) => {
                self.pend(a, Wish::NotReady(reason), out);
            }
            AgentState::Unreachable => {
                let agent = &mut self.agents[a];
                agent.resume = Rest::NotReady(reason);
                out.fact(Fact::AgentStatePending {
                    agent: agent.id,
                    reason: Some(reason),
                });
            }
        }
    }

    fn pend(&mut self, a: AgentIx, wish: Wish, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        agent.wish = Some(wish);
        let reason = match wish {
            Wish::NotReady(reason) => Some(reason),
            Wish::SignOut => None,
        };
        out.fact(Fact::AgentStatePending {
            agent: agent.id,
            reason,
        });
    }

    fn phone_reachable(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        agent.phone = true;
        if agent.state == AgentState::Unreachable {
            let rest = agent.resume;
            self.settle(t, a, rest, out);
        }
    }

    fn phone_lost(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        agent.phone = false;
        match agent.state {
            AgentState::SignedOut | AgentState::Unreachable => {}
            AgentState::NotReady(reason) => self.settle(t, a, Rest::NotReady(reason), out),
            AgentState::Available => self.settle(t, a, Rest::Available { keep_rank: false }, out),
            AgentState::Offered(_) => {
                if let Some(offer) = self.ringing_offer(a) {
                    self.fail_offer(t, offer, OfferFailure::Unreachable, true, out);
                }
            }
            // The dialog lives on without the registration; the release looks at the phone again.
            AgentState::OnCall(_) | AgentState::WrapUp(_) => {}
        }
    }

    fn talk_ended(&mut self, t: Mono, a: AgentIx, call: CallId, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        if agent.state != AgentState::OnCall(call) {
            return;
        }
        let of_queue = match agent.handling {
            Some((Some(queue), _)) => self.queues[queue].config.wrap_up_ms,
            Some((None, _)) | None => WRAP_UP_MS_DEFAULT,
        };
        let ms = agent
            .config
            .wrap_up_ms
            .unwrap_or(of_queue)
            .min(WRAP_UP_MS_MAX);
        if ms == 0 {
            self.handled(t, a);
            self.settle(t, a, Rest::Available { keep_rank: false }, out);
        } else {
            let until = t + Duration::from_millis(ms);
            agent.wrap_up = Some((until, t));
            self.timers.insert((until, Timer::WrapUpOver(agent.id)));
            self.set_state(t, a, AgentState::WrapUp(call), out);
        }
    }

    fn wrap_up_ended(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        if matches!(self.agents[a].state, AgentState::WrapUp(_)) {
            self.handled(t, a);
            self.settle(t, a, Rest::Available { keep_rank: false }, out);
        }
    }

    fn extend_wrap_up(&mut self, a: AgentIx, by: Duration) {
        let agent = &mut self.agents[a];
        if let Some((until, began)) = agent.wrap_up {
            let longer = (until + by).min(began + Duration::from_millis(WRAP_UP_MS_MAX));
            self.timers.remove(&(until, Timer::WrapUpOver(agent.id)));
            self.timers.insert((longer, Timer::WrapUpOver(agent.id)));
            agent.wrap_up = Some((longer, began));
        }
    }

    fn handled(&mut self, t: Mono, a: AgentIx) {
        if let Some((Some(queue), began)) = self.agents[a].handling.take() {
            self.queues[queue].rates.handled(t, t.since(began));
        }
    }

    fn is_reserved(&self, a: AgentIx, call: CallId) -> bool {
        self.agents[a].state == AgentState::Offered(call) && self.agents[a].offer.is_none()
    }

    fn ringing_offer(&self, a: AgentIx) -> Option<OfferId> {
        self.agents[a]
            .offer
            .filter(|offer| !self.offers[offer].answered)
    }

    /// An agent whom nothing keeps busy: what they asked for goes before what would follow by
    /// itself, and without a phone they are unreachable whatever they asked for.
    pub(crate) fn settle(&mut self, t: Mono, a: AgentIx, rest: Rest, out: &mut Outbox<Command>) {
        let agent = &mut self.agents[a];
        let rest = match agent.wish.take() {
            Some(Wish::SignOut) => Rest::SignedOut,
            Some(Wish::NotReady(reason)) => Rest::NotReady(reason),
            None => rest,
        };
        let is = match rest {
            Rest::SignedOut => AgentState::SignedOut,
            Rest::NotReady(_) | Rest::Available { .. } if !agent.phone => {
                agent.resume = rest;
                AgentState::Unreachable
            }
            Rest::NotReady(reason) => AgentState::NotReady(reason),
            Rest::Available { keep_rank } => {
                if !keep_rank {
                    agent.idle_since = t;
                }
                AgentState::Available
            }
        };
        // An unreachable agent has lost the rank: idle begins anew when the phone is back.
        if agent.resume == (Rest::Available { keep_rank: true }) {
            agent.resume = Rest::Available { keep_rank: false };
        }
        self.set_state(t, a, is, out);
        if is == AgentState::Available {
            self.find_call(t, a, out);
        } else {
            self.forget_preferences(t, a, out);
        }
    }

    /// The one place where an agent's state changes: the books, the idle sets and the timers follow.
    pub(crate) fn set_state(
        &mut self,
        t: Mono,
        a: AgentIx,
        is: AgentState,
        out: &mut Outbox<Command>,
    ) {
        let was = self.agents[a].state;
        if was == is {
            return;
        }
        if was == AgentState::Available {
            self.index_idle(a, false);
        }
        let agent = &mut self.agents[a];
        if let Some((until, _)) = agent
            .wrap_up
            .filter(|_| matches!(was, AgentState::WrapUp(_)))
        {
            self.timers.remove(&(until, Timer::WrapUpOver(agent.id)));
            agent.wrap_up = None;
        }
        let was_for_us = agent
            .since
            .map_or(0, |since| t.since(since).as_micros() as u64);
        if was.is_handling() {
            agent.handling_us += was_for_us;
        } else if was == AgentState::Available {
            agent.available_us += was_for_us;
        }
        agent.since = Some(t);
        agent.state = is;
        let id = agent.id;
        if (was == AgentState::SignedOut) != (is == AgentState::SignedOut) {
            for member in &self.agents[a].members {
                let signed_in = &mut self.queues[member.queue].signed_in;
                *signed_in = if is == AgentState::SignedOut {
                    *signed_in - 1
                } else {
                    *signed_in + 1
                };
            }
        }
        if is == AgentState::Available {
            self.index_idle(a, true);
        }
        out.fact(Fact::AgentStateChanged {
            agent: id,
            was,
            is,
            was_for_us,
        });
        out.command(Command::AgentChanged { agent: id, is });
    }

    fn index_idle(&mut self, a: AgentIx, idle: bool) {
        let agent = &self.agents[a];
        for &l in &agent.lines {
            let line: &mut Line = self.lines.at_mut(l);
            let key = line.idle_key(self.queues[line.queue].config.strategy, agent, a);
            let changed = if idle {
                line.idle.insert(key)
            } else {
                line.idle.remove(&key)
            };
            assert!(changed, "an idle agent is in each of their lines once");
        }
    }

    /// What becomes of an agent whose offer failed.
    pub(crate) fn rest_after_failure(
        &mut self,
        a: AgentIx,
        rona: config::Rona,
        why: OfferFailure,
    ) -> Rest {
        let agent = &mut self.agents[a];
        let missed = match rona {
            config::Rona::NotReady => Rest::NotReady(agent.config.rona_reason),
            config::Rona::Available => Rest::Available { keep_rank: false },
        };
        match why {
            OfferFailure::Timeout => missed,
            OfferFailure::Rejected => {
                agent.declined += 1;
                if agent.declined >= DECLINED_MAX {
                    agent.declined = 0;
                    return Rest::NotReady(agent.config.rona_reason);
                }
                missed
            }
            // Whatever the policy: nobody is offered a phone that does not answer. An agent whose
            // registration went is unreachable and comes back with it.
            OfferFailure::Unreachable if agent.phone => {
                Rest::NotReady(config::reason("unreachable"))
            }
            OfferFailure::Unreachable => Rest::Available { keep_rank: false },
            OfferFailure::AgentGone => Rest::NotReady(agent.config.rona_reason),
        }
    }
}
