//! How a call and an agent find each other, and every way they part before the bridge.
//!
//! Two questions are asked, each over an index: a call that comes to wait asks its line for the
//! best idle agent; an agent who becomes available asks the heads of their lines for the call that
//! goes first. As each is asked the moment it may have a new answer, no available agent is ever
//! left beside a waiting call they may serve.

use crate::agent::{AgentIx, Rest};
use crate::command::Next;
use crate::config::{OverflowTo, QueueConfig, QueueKind, Strategy, WhenNoAgents, ageing_milli};
use crate::estimate;
use crate::input::Visit;
use crate::line::{CallKey, Demand, Line, LineIx, lacks};
use crate::machine::BRIDGE_TIMEOUT;
use crate::visit::{Offer, Place, Told, WaitOver, Waiting, demand};
use crate::{Acd, Command, Timer};
use model::event::{OfferFailure, Withdrawal};
use model::screen_pop::Direction;
use model::{AgentState, CallId, Fact, Mono, OfferId, Outbox, QueueId, QueueOutcome};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

/// Calls on their way between two queues whose wait is remembered. The way takes one step of the
/// engine; ten thousand is every call of a large machine overflowing at once.
const CREDITS_MAX: usize = 10_000;

/// Billionths of a point: ageing in thousandths per second, times microseconds.
const POINT: i128 = 1_000_000_000;

/// How calls of different lines compare for one agent at one moment; the least goes first.
type Standing = (Reverse<i128>, QueueKind, Mono, CallId);

impl Acd {
    pub(crate) fn enqueue(&mut self, t: Mono, visit: Visit, out: &mut Outbox<Command>) {
        let call = visit.call;
        if self.visits.contains_key(&call) {
            // One call waits in one place. The first visit stands and will end by itself.
            return;
        }
        let credit = self
            .credits
            .remove(&call)
            .filter(|(queue, _)| *queue == visit.queue);
        let since = credit.map_or(t, |(_, since)| since.min(t));
        let Some(&q) = self.queue_ix.get(&visit.queue) else {
            let next = Next::HangUp { prompt: None };
            return refuse(call, visit.queue, visit.direction, next, out);
        };
        let config = &self.queues[q].config;
        let ring = rings_passed(config, since, t);
        let line = self.use_line(q, demand(config, ring, &visit.skills));
        let queue = &self.queues[q];
        let config = &queue.config;
        let full = config
            .max_waiting
            .is_some_and(|max| queue.order.len() - queue.offered >= max as usize)
            && self.lines.at(line).idle.is_empty();
        let nobody = config.when_no_agents == WhenNoAgents::Refuse && queue.signed_in == 0;
        if !queue.open || full || nobody {
            self.queues[q].refused += 1;
            self.drop_line(line);
            let next = self.overflow(q, call, since);
            return refuse(call, visit.queue, visit.direction, next, out);
        }
        let points = i32::from(config.priority) + i32::from(visit.priority);
        let ahead = i128::from(points) * POINT
            - i128::from(since.as_micros()) * i128::from(ageing_milli(config));
        let key = CallKey {
            ahead: Reverse(ahead),
            since,
            call,
        };
        let rule = config
            .max_wait_ms
            .map(|ms| (t + Duration::from_millis(ms), WaitOver::QueueRule));
        let own = visit
            .give_up_after
            .map(|after| (t + after, WaitOver::GiveUp));
        let deadline = own.into_iter().chain(rule).min();
        let every = config.announce_every_ms;
        let announce_at = (every > 0).then(|| t + Duration::from_millis(every));
        let widen_at = config
            .rings
            .get(ring)
            .map(|r| since + Duration::from_millis(r.after_ms));
        let preferred = visit
            .preferred
            .and_then(|id| self.agent_ix.get(&id).copied());
        let prefer_until = t + Duration::from_millis(config.preferred_agent_timeout_ms);

        self.timers
            .extend(deadline.map(|(at, _)| (at, Timer::WaitOver(call))));
        self.timers
            .extend(announce_at.map(|at| (at, Timer::Announce(call))));
        self.timers
            .extend(widen_at.map(|at| (at, Timer::Widen(call))));
        if preferred.is_some() {
            self.timers
                .insert((prefer_until, Timer::PreferenceOver(call)));
        }
        self.queues[q].order.insert(key);
        self.queues[q].entered += 1;
        let skills = self
            .lines
            .at(line)
            .demand
            .iter()
            .map(|(skill, _)| *skill)
            .collect();
        out.fact(Fact::QueueEntered {
            call,
            queue: visit.queue,
            direction: visit.direction,
            priority: visit.priority,
            skills,
        });
        self.visits.insert(
            call,
            Waiting {
                queue: q,
                direction: visit.direction,
                points,
                entered: t,
                since,
                key,
                needs: visit.skills,
                ring,
                line,
                place: Place::Nowhere,
                offers: Vec::new(),
                preferred,
                prefer_until,
                deadline,
                widen_at,
                announce_at,
                first_told: None,
                last_told: None,
            },
        );
        self.seek_agent(t, call, out);
    }

    /// A call in no place looks for an agent, and waits where it will be found.
    fn seek_agent(&mut self, t: Mono, call: CallId, out: &mut Outbox<Command>) {
        let visit = &self.visits[&call];
        let (line, queue) = (visit.line, visit.queue);
        if let Some(a) = visit.preferred {
            let agent = &self.agents[a];
            let may = t < visit.prefer_until
                && agent.comes_back()
                && agent.member(queue).is_some()
                && lacks(agent, &self.lines.at(line).demand).is_none();
            match agent.state {
                AgentState::Available if may => return self.offer(t, call, a, Place::Offered, out),
                AgentState::Offered(_) | AgentState::OnCall(_) | AgentState::WrapUp(_) if may => {
                    return self.put(call, Place::Preferred(a));
                }
                AgentState::Available
                | AgentState::Offered(_)
                | AgentState::OnCall(_)
                | AgentState::WrapUp(_)
                | AgentState::SignedOut
                | AgentState::NotReady(_)
                | AgentState::Unreachable => self.end_preference(call),
            }
        }
        if self.queues[queue].config.strategy == Strategy::RingAll {
            let idle: Vec<AgentIx> = self
                .lines
                .at(line)
                .idle
                .iter()
                .map(|(_, _, a)| *a)
                .collect();
            if !idle.is_empty() {
                return idle
                    .into_iter()
                    .for_each(|a| self.offer(t, call, a, Place::Ringing, out));
            }
        } else if let Some(a) = self.choose(t, line) {
            return self.offer(t, call, a, Place::Offered, out);
        }
        self.put(call, Place::Line);
    }

    /// The agent of a line who is next by the queue's strategy.
    fn choose(&mut self, t: Mono, line: LineIx) -> Option<AgentIx> {
        let Line {
            queue, ref idle, ..
        } = *self.lines.at(line);
        let queue = &self.queues[queue];
        self.steps += 1;
        let first = idle.first().map(|(_, _, a)| *a);
        match queue.config.strategy {
            Strategy::LongestIdle
            | Strategy::RingAll
            | Strategy::FewestCalls
            | Strategy::SkillLevel
            | Strategy::Linear => first,
            Strategy::RoundRobin => queue
                .last
                .and_then(|last| idle.range((0, Mono::ZERO, last + 1)..).next())
                .map(|(_, _, a)| *a)
                .or(first),
            // Occupancy falls at a different pace for everybody, so no order lasts: compare.
            Strategy::LeastOccupied => {
                self.steps += idle.len() as u64;
                let loads = idle
                    .iter()
                    .map(|&(_, since, a)| (self.agents[a].load(t), since, a));
                loads
                    .min_by(|((h1, i1), s1, a1), ((h2, i2), s2, a2)| {
                        (h1 * (h2 + i2))
                            .cmp(&(h2 * (h1 + i1)))
                            .then((s1, a1).cmp(&(s2, a2)))
                    })
                    .map(|(_, _, a)| a)
            }
            Strategy::Random => {
                self.steps += idle.len() as u64;
                let n = self.rng.below(idle.len() as u64) as usize;
                idle.iter().nth(n).map(|(_, _, a)| *a)
            }
        }
    }

    /// An agent who has just become available takes the call that goes first.
    pub(crate) fn find_call(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        let agent = &self.agents[a];
        let in_lines = agent
            .lines
            .iter()
            .filter_map(|l| self.lines.at(*l).waiting.first())
            .map(|key| (key.call, Place::Offered));
        let preferring = agent
            .preferring
            .iter()
            .map(|call| (*call, Place::Preferred(a)));
        self.steps += (agent.lines.len() + agent.preferring.len()) as u64;
        let best = in_lines
            .chain(preferring)
            .min_by_key(|(call, _)| self.standing(t, *call, a));
        if let Some((call, from)) = best {
            let all = self.queues[self.visits[&call].queue].config.strategy == Strategy::RingAll;
            let place = if all && from == Place::Offered {
                Place::Ringing
            } else {
                Place::Offered
            };
            return self.offer(t, call, a, place, out);
        }
        // Nobody waits: help ring a call that rings all.
        let ringing = agent
            .lines
            .iter()
            .filter_map(|l| self.lines.at(*l).ringing.first())
            .map(|key| key.call);
        if let Some(call) = ringing.min_by_key(|call| self.standing(t, *call, a)) {
            self.offer(t, call, a, Place::Ringing, out);
        }
    }

    pub(crate) fn standing(&self, t: Mono, call: CallId, a: AgentIx) -> Standing {
        let visit = &self.visits[&call];
        let config = &self.queues[visit.queue].config;
        let points = i128::from(visit.points) + i128::from(self.agents[a].weight(visit.queue));
        let aged = t.since(visit.since).as_micros() as i128 * i128::from(ageing_milli(config));
        (
            Reverse(points * POINT + aged),
            config.kind,
            visit.since,
            call,
        )
    }

    fn offer(
        &mut self,
        t: Mono,
        call: CallId,
        a: AgentIx,
        place: Place,
        out: &mut Outbox<Command>,
    ) {
        assert_eq!(
            self.agents[a].state,
            AgentState::Available,
            "only available agents are offered calls"
        );
        let id = OfferId(self.offer_ids.next());
        self.put(call, place);
        let visit = self.visits.get_mut(&call).expect("an offered call waits");
        visit.offers.push(id);
        let queue = &mut self.queues[visit.queue];
        queue.last = Some(a);
        let ring_timeout = Duration::from_millis(queue.config.ring_timeout_ms);
        let until = t + ring_timeout;
        let agent = &mut self.agents[a];
        agent.offer = Some(id);
        let idle_for = t.since(agent.idle_since);
        let preferred = visit.preferred == Some(a);
        self.offers.insert(
            id,
            Offer {
                call,
                agent: a,
                made: t,
                until,
                answered: false,
                idle_for,
                preferred,
            },
        );
        self.timers.insert((until, Timer::RingTimeout(id)));
        let (waited, agent, queue) = (t.since(visit.entered), agent.id, queue.id);
        out.fact(Fact::OfferMade {
            offer: id,
            call,
            agent,
            queue,
            waited_us: waited.as_micros() as u64,
        });
        self.set_state(t, a, AgentState::Offered(call), out);
        out.command(Command::OfferAgent {
            offer: id,
            call,
            agent,
            queue,
            ring_timeout,
            waited,
        });
    }

    /// Moves a visit between the indexes.
    fn put(&mut self, call: CallId, place: Place) {
        let visit = self
            .visits
            .get_mut(&call)
            .expect("only a waiting call has a place");
        let (was, key, line) = (visit.place, visit.key, visit.line);
        if was == place {
            return;
        }
        visit.place = place;
        let offered = |place| matches!(place, Place::Ringing | Place::Offered);
        let queue = &mut self.queues[visit.queue];
        queue.offered = queue.offered + usize::from(offered(place)) - usize::from(offered(was));
        let left = match was {
            Place::Line => self.lines.at_mut(line).waiting.remove(&key),
            Place::Ringing => self.lines.at_mut(line).ringing.remove(&key),
            Place::Preferred(a) => self.agents[a].preferring.remove(&call),
            Place::Nowhere | Place::Offered => true,
        };
        let came = match place {
            Place::Line => self.lines.at_mut(line).waiting.insert(key),
            Place::Ringing => self.lines.at_mut(line).ringing.insert(key),
            Place::Preferred(a) => self.agents[a].preferring.insert(call),
            Place::Nowhere | Place::Offered => true,
        };
        assert!(
            left && came,
            "a visit is in exactly the index its place names"
        );
    }

    pub(crate) fn offer_answered(&mut self, t: Mono, id: OfferId, out: &mut Outbox<Command>) {
        let Some(offer) = self.offers.get_mut(&id).filter(|offer| !offer.answered) else {
            return;
        };
        self.timers.remove(&(offer.until, Timer::RingTimeout(id)));
        offer.answered = true;
        offer.until = t + BRIDGE_TIMEOUT;
        self.timers.insert((offer.until, Timer::BridgeOverdue(id)));
        let (call, a, made) = (offer.call, offer.agent, offer.made);
        self.agents[a].declined = 0;
        let agent = self.agents[a].id;
        out.fact(Fact::OfferAnswered {
            offer: id,
            call,
            agent,
            rang_us: t.since(made).as_micros() as u64,
        });
        self.put(call, Place::Offered);
        let visit = self.visits.get_mut(&call).expect("an offered call waits");
        // Once answered, no rule takes the call away; if the bridge fails, the rule is back.
        if let Some((at, _)) = visit.deadline {
            self.timers.remove(&(at, Timer::WaitOver(call)));
        }
        let losers: Vec<OfferId> = visit
            .offers
            .iter()
            .copied()
            .filter(|other| *other != id)
            .collect();
        visit.offers = vec![id];
        let freed: Vec<AgentIx> = losers
            .into_iter()
            .map(|loser| self.withdraw(loser, Withdrawal::AnsweredElsewhere, out))
            .collect();
        freed
            .into_iter()
            .for_each(|a| self.settle(t, a, Rest::Available { keep_rank: true }, out));
    }

    pub(crate) fn bridged(&mut self, t: Mono, id: OfferId, out: &mut Outbox<Command>) {
        self.offer_answered(t, id, out);
        let Some(offer) = self.offers.remove(&id) else {
            return;
        };
        self.timers.remove(&(offer.until, Timer::BridgeOverdue(id)));
        let visit = self
            .visits
            .get_mut(&offer.call)
            .expect("an offered call waits");
        visit.offers.clear();
        let (queue, told) = (visit.queue, visit.first_told);
        if let Some(told) = told {
            self.queues[queue]
                .estimate_error
                .add(told.mean, told.bound, t.since(told.at));
        }
        self.leave(
            t,
            offer.call,
            QueueOutcome::Answered,
            Next::Nowhere,
            Withdrawal::CallRemoved,
            out,
        );
        let agent = &mut self.agents[offer.agent];
        agent.offer = None;
        agent.handling = Some((Some(queue), t));
        if let Some(member) = agent.members.iter_mut().find(|m| m.queue == queue) {
            member.calls += 1;
        }
        self.set_state(t, offer.agent, AgentState::OnCall(offer.call), out);
    }

    /// An offer failed: the call is back in its place, the agent is where the policy puts them.
    /// `ringing` says that the phone must be told.
    pub(crate) fn fail_offer(
        &mut self,
        t: Mono,
        id: OfferId,
        why: OfferFailure,
        ringing: bool,
        out: &mut Outbox<Command>,
    ) {
        let Some(offer) = self.take_offer(id) else {
            return;
        };
        let Offer { call, agent: a, .. } = offer;
        let agent = self.agents[a].id;
        out.fact(Fact::OfferFailed {
            offer: id,
            call,
            agent,
            why,
        });
        if ringing {
            out.command(Command::WithdrawOffer {
                offer: id,
                call,
                agent,
                why: Withdrawal::CallRemoved,
            });
        }
        let visit = self.visits.get_mut(&call).expect("an offered call waits");
        visit.offers.retain(|other| *other != id);
        let (queue, alone) = (visit.queue, visit.offers.is_empty());
        if visit.preferred == Some(a) {
            self.end_preference(call);
        }
        let rona = self.queues[queue].config.rona;
        let rest = self.rest_after_failure(a, rona, why);
        // The call asks first: an agent who stays available after missing it goes behind the others.
        if alone {
            self.put(call, Place::Nowhere);
            self.wait_again(t, call, out);
        }
        self.settle(t, a, rest, out);
    }

    /// Back from a failed offer, with everything it had.
    fn wait_again(&mut self, t: Mono, call: CallId, out: &mut Outbox<Command>) {
        match self.visits[&call].deadline {
            Some((at, _)) if at <= t => self.wait_over(t, call, out),
            Some((at, _)) => {
                self.timers.insert((at, Timer::WaitOver(call)));
                self.seek_agent(t, call, out);
            }
            None => self.seek_agent(t, call, out),
        }
    }

    fn take_offer(&mut self, id: OfferId) -> Option<Offer> {
        let offer = self.offers.remove(&id)?;
        let timer = if offer.answered {
            Timer::BridgeOverdue(id)
        } else {
            Timer::RingTimeout(id)
        };
        self.timers.remove(&(offer.until, timer));
        self.agents[offer.agent].offer = None;
        Some(offer)
    }

    /// Takes an offer back through no fault of the agent, who is to be settled next.
    fn withdraw(&mut self, id: OfferId, why: Withdrawal, out: &mut Outbox<Command>) -> AgentIx {
        let offer = self.take_offer(id).expect("a visit knows only live offers");
        let (call, agent) = (offer.call, self.agents[offer.agent].id);
        out.fact(Fact::OfferWithdrawn {
            offer: id,
            call,
            agent,
            why,
        });
        out.command(Command::WithdrawOffer {
            offer: id,
            call,
            agent,
            why,
        });
        offer.agent
    }

    /// Ends a visit. The call is out of every index before its agents look for another one.
    pub(crate) fn leave(
        &mut self,
        t: Mono,
        call: CallId,
        outcome: QueueOutcome,
        next: Next,
        why: Withdrawal,
        out: &mut Outbox<Command>,
    ) {
        if !self.visits.contains_key(&call) {
            return;
        }
        self.end_preference(call);
        self.put(call, Place::Nowhere);
        let visit = self.visits.remove(&call).expect("it was just there");
        let deadline = visit.deadline.map(|(at, _)| (at, Timer::WaitOver(call)));
        let widen = visit.widen_at.map(|at| (at, Timer::Widen(call)));
        let announce = visit.announce_at.map(|at| (at, Timer::Announce(call)));
        for timer in deadline.into_iter().chain(widen).chain(announce) {
            self.timers.remove(&timer);
        }
        self.drop_line(visit.line);
        let during_offer = !visit.offers.is_empty() && outcome != QueueOutcome::Answered;
        let freed: Vec<AgentIx> = visit
            .offers
            .iter()
            .map(|offer| self.withdraw(*offer, why, out))
            .collect();

        let queue = &mut self.queues[visit.queue];
        queue.order.remove(&visit.key);
        *queue.outcomes.entry(outcome).or_default() += 1;
        let waited = t.since(visit.entered);
        let abandoned = outcome == QueueOutcome::Abandoned;
        queue.rates.waited(t, waited, abandoned);
        out.fact(Fact::QueueLeft {
            call,
            queue: queue.id,
            direction: visit.direction,
            outcome,
            waited_us: waited.as_micros() as u64,
            short: abandoned && waited < Duration::from_millis(queue.config.short_abandon_ms),
            during_offer,
            within_target: waited <= Duration::from_millis(queue.config.service_level_ms),
        });
        if outcome != QueueOutcome::Answered {
            out.command(Command::Leave {
                call,
                queue: queue.id,
                outcome,
                next,
            });
        }
        freed
            .into_iter()
            .for_each(|a| self.settle(t, a, Rest::Available { keep_rank: true }, out));
    }

    pub(crate) fn wait_over(&mut self, t: Mono, call: CallId, out: &mut Outbox<Command>) {
        let Some(visit) = self.visits.get(&call) else {
            return;
        };
        let (_, rule) = visit.deadline.expect("a timer was set for it");
        let (queue, since) = (visit.queue, visit.since);
        let next = match rule {
            WaitOver::GiveUp => Next::Nowhere,
            WaitOver::QueueRule => self.overflow(queue, call, since),
        };
        let outcome = match next {
            Next::Nowhere | Next::HangUp { .. } => QueueOutcome::Timeout,
            Next::Queue(_) | Next::Flow(_) => QueueOutcome::FlowOut,
        };
        self.leave(t, call, outcome, next, Withdrawal::CallRemoved, out);
    }

    /// Where a queue sends a call, its wait remembered where it comes to wait again.
    fn overflow(&mut self, queue: usize, call: CallId, since: Mono) -> Next {
        let overflow = self.queues[queue].config.overflow.clone();
        match overflow.as_ref().map(|o| o.to) {
            Some(OverflowTo::Queue(to)) => {
                self.credits.insert(call, (to, since));
                if self.credits.len() > CREDITS_MAX {
                    self.credits.pop_first();
                }
                Next::Queue(to)
            }
            Some(OverflowTo::Flow(flow)) => Next::Flow(flow),
            Some(OverflowTo::HangUp) | None => Next::HangUp {
                prompt: overflow.and_then(|o| o.prompt),
            },
        }
    }

    /// The preferred agent's time is up: the call waits for everybody, with its full credit.
    pub(crate) fn preference_over(&mut self, t: Mono, call: CallId, out: &mut Outbox<Command>) {
        self.end_preference(call);
        if let Some(Waiting {
            place: Place::Preferred(_),
            ..
        }) = self.visits.get(&call)
        {
            self.put(call, Place::Nowhere);
            self.seek_agent(t, call, out);
        }
    }

    /// Calls that wait for an agent who is not coming back wait for everybody.
    pub(crate) fn forget_preferences(&mut self, t: Mono, a: AgentIx, out: &mut Outbox<Command>) {
        if self.agents[a].comes_back() {
            return;
        }
        while let Some(&call) = self.agents[a].preferring.first() {
            self.preference_over(t, call, out);
        }
    }

    fn end_preference(&mut self, call: CallId) {
        if let Some(visit) = self.visits.get_mut(&call)
            && visit.preferred.take().is_some()
        {
            self.timers
                .remove(&(visit.prefer_until, Timer::PreferenceOver(call)));
        }
    }

    /// A ring relaxes the demand: the same call, with the same place in time, in a wider line.
    pub(crate) fn widen(&mut self, t: Mono, call: CallId, out: &mut Outbox<Command>) {
        let Some(visit) = self.visits.get(&call) else {
            return;
        };
        let (queue, old, place) = (visit.queue, visit.line, visit.place);
        let config = &self.queues[queue].config;
        // A tick that comes late may have passed several rings: the last one counts.
        let ring = rings_passed(config, visit.since, t).max(visit.ring + 1);
        let wider = demand(config, ring, &visit.needs);
        let widen_at = config
            .rings
            .get(ring)
            .map(|r| visit.since + Duration::from_millis(r.after_ms));
        let line = self.use_line(queue, wider);
        if matches!(place, Place::Line | Place::Ringing) {
            self.put(call, Place::Nowhere);
        }
        let visit = self.visits.get_mut(&call).expect("it was just there");
        (visit.ring, visit.line, visit.widen_at) = (ring, line, widen_at);
        self.timers
            .extend(widen_at.map(|at| (at, Timer::Widen(call))));
        self.drop_line(old);
        match place {
            Place::Line => self.seek_agent(t, call, out),
            Place::Ringing => {
                self.put(call, Place::Ringing);
                let idle: Vec<AgentIx> = self
                    .lines
                    .at(line)
                    .idle
                    .iter()
                    .map(|(_, _, a)| *a)
                    .collect();
                idle.into_iter()
                    .for_each(|a| self.offer(t, call, a, Place::Ringing, out));
            }
            Place::Nowhere | Place::Preferred(_) | Place::Offered => {}
        }
    }

    pub(crate) fn announce(&mut self, t: Mono, call: CallId, out: &mut Outbox<Command>) {
        let Some(visit) = self.visits.get(&call) else {
            return;
        };
        let (queue, key, told, place) = (
            &self.queues[visit.queue],
            visit.key,
            visit.last_told,
            visit.place,
        );
        let at = t + Duration::from_millis(queue.config.announce_every_ms.max(1));
        let before = queue.order.range(..key).count();
        self.steps += before as u64;
        let mean = queue
            .rates
            .mean_wait(t, before, self.agents_at_work(visit.queue));
        let id = queue.id;
        // Two numbers that grow would be two broken promises.
        let bound = mean
            .map(|mean| {
                told.map_or(estimate::spoken(mean), |told| {
                    told.min(estimate::spoken(mean))
                })
            })
            .or(told);
        let visit = self.visits.get_mut(&call).expect("it was just there");
        visit.announce_at = Some(at);
        self.timers.insert((at, Timer::Announce(call)));
        if matches!(place, Place::Ringing | Place::Offered) {
            return;
        }
        visit.last_told = bound;
        if let (None, Some(mean), Some(bound)) = (visit.first_told, mean, bound) {
            visit.first_told = Some(Told { at: t, mean, bound });
        }
        let position = u32::try_from(before + 1).unwrap_or(u32::MAX);
        out.command(Command::Announce {
            call,
            queue: id,
            position,
            estimated_wait: bound,
        });
    }

    /// Agents who serve this queue now or after their call; one who has calls waiting in several
    /// queues counts in part.
    fn agents_at_work(&self, q: usize) -> f64 {
        let queue = &self.queues[q];
        let part = |a: &AgentIx| {
            let agent = &self.agents[*a];
            if !agent.comes_back() {
                return 0.0;
            }
            let busy = agent
                .members
                .iter()
                .filter(|m| m.queue == q || !self.queues[m.queue].order.is_empty());
            1.0 / busy.count() as f64
        };
        queue.members.iter().map(part).sum()
    }

    /// The line of a demand, with one more user.
    pub(crate) fn use_line(&mut self, queue: usize, demand: Demand) -> LineIx {
        let key = (queue, demand);
        if let Some(ix) = self.lines.find(&key) {
            self.lines.at_mut(ix).users += 1;
            return ix;
        }
        let (queue, demand) = key;
        let may = |a: &AgentIx| lacks(&self.agents[*a], &demand).is_none();
        let members: Vec<AgentIx> = self.queues[queue]
            .members
            .iter()
            .copied()
            .filter(may)
            .collect();
        self.steps += self.queues[queue].members.len() as u64;
        let mut line = Line {
            queue,
            demand,
            waiting: BTreeSet::new(),
            ringing: BTreeSet::new(),
            members,
            idle: BTreeSet::new(),
            users: 1,
        };
        let strategy = self.queues[queue].config.strategy;
        for &a in &line.members {
            if self.agents[a].state == AgentState::Available {
                let key = line.idle_key(strategy, &self.agents[a], a);
                line.idle.insert(key);
            }
        }
        let members = line.members.clone();
        let ix = self.lines.add(line);
        members
            .into_iter()
            .for_each(|a| self.agents[a].lines.push(ix));
        ix
    }

    fn drop_line(&mut self, ix: LineIx) {
        if let Some(line) = self.lines.drop_user(ix) {
            for a in line.members {
                self.agents[a].lines.retain(|l| *l != ix);
            }
        }
    }
}

fn refuse(
    call: CallId,
    queue: QueueId,
    direction: Direction,
    next: Next,
    out: &mut Outbox<Command>,
) {
    out.fact(Fact::QueueRefused {
        call,
        queue,
        direction,
    });
    out.command(Command::Leave {
        call,
        queue,
        outcome: QueueOutcome::Refused,
        next,
    });
}

/// How often the demand of a call that waits since then was relaxed by now.
fn rings_passed(config: &QueueConfig, since: Mono, t: Mono) -> usize {
    config
        .rings
        .partition_point(|ring| since + Duration::from_millis(ring.after_ms) <= t)
}
