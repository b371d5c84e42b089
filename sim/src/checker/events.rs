//! What the engine says has happened: whether the routing rules and the books allow it.

use super::{AGEING_GRAIN, AgentView, Checker, Invariant, RELAXES_WITHIN, Waiting};
use acd::config::{Ring, Strategy};
use model::event::Withdrawal;
use model::{
    AgentId, AgentState, AttemptOutcome, CallId, Event, Fact, LegId, Mono, OfferId, QueueId,
    SkillId,
};
use std::collections::BTreeSet;
use std::time::Duration;

impl Checker {
    #[allow(
        clippy::collapsible_match,
        reason = "a guard that changes the picture reads as a question"
    )]
    pub(super) fn event(
        &mut self,
        event: &Event,
        acted: Option<AgentId>,
        bridges: &BTreeSet<(LegId, LegId)>,
        calls_over: &mut Vec<CallId>,
    ) {
        let t = event.at.mono;
        if event.seq != self.last_seq + 1 {
            self.say(
                Invariant::SeqGapless,
                t,
                format!("{} follows {}", event.seq, self.last_seq),
            );
        }
        self.last_seq = event.seq;
        match &event.fact {
            Fact::CallArrived { call, leg, .. } => {
                self.calls.entry(*call).or_default().legs.insert(*leg);
                if let Some(view) = self.legs.get_mut(leg) {
                    view.call = Some(*call);
                }
            }
            Fact::CallBridged {
                call,
                customer_leg,
                agent_leg,
                ..
            } => {
                if !bridges.contains(&(*customer_leg, *agent_leg))
                    && !bridges.contains(&(*agent_leg, *customer_leg))
                {
                    self.say(
                        Invariant::MediaOrder,
                        t,
                        format!("{call} is said to be bridged, and nobody asked for it"),
                    );
                }
            }
            Fact::CallEnded { call, .. } => {
                if !self.over.insert(*call) {
                    self.say(Invariant::OneOutcome, t, format!("{call} ends twice"));
                }
                calls_over.push(*call);
            }
            Fact::LegStarted { leg, .. } => {
                self.live_legs.insert(*leg);
            }
            Fact::LegEnded { leg, .. } => {
                if !self.live_legs.remove(leg) {
                    self.say(
                        Invariant::OneOutcome,
                        t,
                        format!("{leg} ends, and is not live"),
                    );
                }
            }
            Fact::QueueEntered {
                call,
                queue,
                priority,
                skills,
                ..
            } => {
                let credited = self.left_queue_at.get(call) == Some(&t);
                let waiting = Waiting {
                    queue: *queue,
                    priority: *priority,
                    skills: skills.clone(),
                    entered: t,
                    credited,
                    offers: BTreeSet::new(),
                    answered: false,
                };
                if self.waiting.insert(*call, waiting).is_some() {
                    self.say(Invariant::OneOutcome, t, format!("{call} waits twice"));
                }
            }
            Fact::QueueLeft {
                call, waited_us, ..
            } => {
                self.left_queue_at.insert(*call, t);
                match self.waiting.remove(call) {
                    None => self.say(
                        Invariant::OneOutcome,
                        t,
                        format!("{call} leaves a queue it is not in"),
                    ),
                    Some(visit) => self.wait_is(t, *call, &visit, *waited_us),
                }
            }
            Fact::OfferMade {
                offer,
                call,
                agent,
                queue,
                waited_us,
            } => self.offer(t, *offer, *call, *agent, *queue, *waited_us),
            Fact::OfferAnswered { offer, call, .. } => {
                if let Some(visit) = self.waiting.get_mut(call) {
                    visit.answered = visit.offers.contains(offer);
                }
            }
            Fact::OfferFailed {
                offer, call, agent, ..
            } => self.offer_over(t, *offer, *call, *agent, false),
            Fact::OfferWithdrawn {
                offer,
                call,
                agent,
                why,
            } => {
                let withdrawn = matches!(
                    why,
                    Withdrawal::CallerLeft
                        | Withdrawal::AnsweredElsewhere
                        | Withdrawal::CallRemoved
                );
                self.offer_over(t, *offer, *call, *agent, withdrawn);
            }
            Fact::AgentStateChanged { agent, was, is, .. } => {
                self.agent_changed(t, *agent, *was, *is, acted)
            }
            Fact::CallClassified {
                call,
                verdict,
                greeting_ended_ms,
                ..
            } => self.classified(t, *call, *verdict, *greeting_ended_ms),
            Fact::AttemptEnded {
                attempt,
                campaign,
                outcome,
                ..
            } => {
                self.answer_counts(*campaign, *outcome);
                self.outcome_fits_answer(t, *attempt, *outcome);
                if *outcome != AttemptOutcome::UnknownRestart && !self.ended.insert(*attempt) {
                    self.say(Invariant::ResolvedOnce, t, format!("{attempt} ends twice"));
                }
            }
            // Six dozen lines that name the other thirty facts would hide these; the books look at all.
            _ => {}
        }
        let before = self.ledger.violations_total();
        self.ledger.apply(event);
        if self.ledger.violations_total() > before {
            let what = self
                .ledger
                .violations()
                .last()
                .map_or_else(String::new, |violation| {
                    format!(
                        "{:?} of {} at event {} ({})",
                        violation.rule, violation.about, violation.seq, violation.kind
                    )
                });
            self.say(Invariant::Books, t, what);
        }
    }

    fn wait_is(&mut self, t: Mono, call: CallId, visit: &Waiting, waited_us: u64) {
        let waited = t.since(visit.entered).as_micros() as u64;
        if waited != waited_us {
            let what = format!(
                "{call} waited {waited} µs in {} and is said to have waited {waited_us}",
                visit.queue
            );
            self.say(Invariant::WaitKept, t, what);
        }
    }

    /// Whether the agent can do what the call asks for once it has waited so long. A call that came
    /// with credit for an earlier wait asks for what it asked for at first, or less: nobody knows.
    pub(super) fn may_serve(&self, agent: &AgentView, visit: &Waiting, t: Mono) -> bool {
        // Levels are not in the events; who has the best level there is has every level.
        let best = |skill: &SkillId| agent.skills.get(skill) == Some(&self.start_skills_all);
        let waited = t.since(visit.entered).saturating_sub(RELAXES_WITHIN);
        agent.queues.contains(&visit.queue)
            && match self.relaxed(visit, waited) {
                Some(ring) if !visit.credited => {
                    self.own_skills(visit).all(best)
                        && ring.skills.iter().all(|need| best(&need.skill))
                }
                Some(_) | None => visit.skills.iter().all(best),
            }
    }

    /// The last relaxation of the queue's demand that has come by this wait.
    fn relaxed(&self, visit: &Waiting, waited: Duration) -> Option<&Ring> {
        let config = &self.queues.get(&visit.queue)?.config;
        config
            .rings
            .iter()
            .rfind(|ring| Duration::from_millis(ring.after_ms) <= waited)
    }

    /// What the call asks for beside its queue.
    fn own_skills<'a>(&'a self, visit: &'a Waiting) -> impl Iterator<Item = &'a SkillId> {
        let of_queue = self.queues.get(&visit.queue);
        visit.skills.iter().filter(move |skill| {
            !of_queue
                .is_some_and(|queue| queue.config.skills.iter().any(|need| need.skill == **skill))
        })
    }

    /// R10: what the call asks for at the earliest moment that counts as now.
    fn falls_short(&self, agent: &AgentView, visit: &Waiting, t: Mono) -> Option<SkillId> {
        if visit.credited {
            return None;
        }
        let waited = t.since(visit.entered) + RELAXES_WITHIN;
        let of_queue = match self.relaxed(visit, waited) {
            Some(ring) => &ring.skills,
            None => &self.queues.get(&visit.queue)?.config.skills,
        };
        let lacks =
            |skill: &SkillId, level: u8| agent.skills.get(skill).is_none_or(|has| *has < level);
        let short = of_queue
            .iter()
            .find(|need| lacks(&need.skill, need.level))
            .map(|need| need.skill);
        short.or_else(|| {
            self.own_skills(visit)
                .find(|skill| lacks(skill, 1))
                .copied()
        })
    }

    /// R9: a call that waits for so long that this one, come later, may not go before it.
    fn overtaken_too_late(&self, call: CallId, visit: &Waiting) -> Option<(CallId, Duration)> {
        let config = &self.queues.get(&visit.queue)?.config;
        self.waiting.iter().find_map(|(other, of)| {
            let alike = *other != call
                && of.queue == visit.queue
                && of.skills == visit.skills
                && of.offers.is_empty()
                && !of.answered
                && !of.credited
                && !visit.credited
                && of.entered < visit.entered;
            let points = u32::try_from(i32::from(visit.priority) - i32::from(of.priority)).ok()?;
            let bound = config.overtaken_for_at_most(points)?;
            (alike && visit.entered.since(of.entered) > bound + AGEING_GRAIN)
                .then_some((*other, bound))
        })
    }

    fn offer(
        &mut self,
        t: Mono,
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        queue: QueueId,
        waited_us: u64,
    ) {
        let strategy = self.queues.get(&queue).map(|queue| queue.strategy);
        let Some(visit) = self.waiting.get(&call).cloned() else {
            return self.say(
                Invariant::OneOutcome,
                t,
                format!("{call} is offered and does not wait"),
            );
        };
        self.wait_is(t, call, &visit, waited_us);
        if strategy != Some(Strategy::RingAll) && !visit.offers.is_empty() {
            self.say(
                Invariant::OneAgentPerCall,
                t,
                format!(
                    "{call} is offered to {agent} and others: {:?}",
                    visit.offers
                ),
            );
        }
        let earlier = self.waiting.iter().find(|(other, of)| {
            **other != call
                && of.queue == visit.queue
                && of.priority == visit.priority
                && of.skills == visit.skills
                && of.offers.is_empty()
                && !of.answered
                && !of.credited
                && !visit.credited
                && of.entered < visit.entered
        });
        if let Some((other, of)) = earlier {
            let what = format!(
                "{call} is offered before {other}, which waits in {} since {:.6}",
                of.queue,
                of.entered.as_secs_f64()
            );
            self.say(Invariant::Fifo, t, what);
        }
        if let Some((other, bound)) = self.overtaken_too_late(call, &visit) {
            let what = format!(
                "{call} came more than {:.1} s after {other} and is offered before it",
                bound.as_secs_f64()
            );
            self.say(Invariant::Ageing, t, what);
        }
        let Some(chosen) = self.agents.get(&agent).cloned() else {
            return;
        };
        if let Some(skill) = self.falls_short(&chosen, &visit, t) {
            let what = format!("{call} asks {queue} for {skill}, and is offered to {agent}");
            self.say(Invariant::DemandKept, t, what);
        }
        if chosen.state != AgentState::Available || chosen.offer.is_some() {
            let what = format!(
                "{agent} is offered {call} while {:?}, with {:?}",
                chosen.state, chosen.offer
            );
            self.say(Invariant::OneCallPerAgent, t, what);
        }
        if strategy == Some(Strategy::LongestIdle) {
            let longer = self.agents.iter().find(|(_, other)| {
                other.state == AgentState::Available
                    && other.offer.is_none()
                    && self.may_serve(other, &visit, t)
                    && other.idle_since < chosen.idle_since
            });
            if let Some((other, of)) = longer {
                let what = format!(
                    "{agent}, idle since {:.6}, is offered {call} before {other}, idle since {:.6}",
                    chosen.idle_since.as_secs_f64(),
                    of.idle_since.as_secs_f64()
                );
                self.say(Invariant::LongestIdle, t, what);
            }
        }
        self.waiting
            .get_mut(&call)
            .expect("looked up above")
            .offers
            .insert(offer);
        self.agents.get_mut(&agent).expect("looked up above").offer = Some(offer);
    }

    fn offer_over(
        &mut self,
        t: Mono,
        offer: OfferId,
        call: CallId,
        agent: AgentId,
        withdrawn: bool,
    ) {
        if let Some(visit) = self.waiting.get_mut(&call) {
            visit.offers.remove(&offer);
            visit.answered = false;
        }
        let Some(view) = self.agents.get_mut(&agent) else {
            return;
        };
        view.withdrawn = withdrawn;
        if view.offer.take() != Some(offer) {
            self.say(
                Invariant::OneCallPerAgent,
                t,
                format!("{offer} to {agent} ends, who has another"),
            );
        }
    }

    fn agent_changed(
        &mut self,
        t: Mono,
        agent: AgentId,
        was: AgentState,
        is: AgentState,
        acted: Option<AgentId>,
    ) {
        let wrap_up_of_queue = self
            .queues
            .values()
            .map(|queue| queue.wrap_up_ms)
            .min()
            .unwrap_or(0);
        let Some(view) = self.agents.get_mut(&agent) else {
            return;
        };
        let wrap_up = view
            .wrap_up_ms
            .unwrap_or(wrap_up_of_queue.min(acd::config::WRAP_UP_MS_DEFAULT));
        let cut = matches!(was, AgentState::WrapUp(_))
            && is == AgentState::Available
            && acted != Some(agent)
            && t.since(view.since) < Duration::from_millis(wrap_up);
        let ignored = is == AgentState::Available && view.wishes;
        match is {
            AgentState::Available => {
                // An offer through no fault of the agent, and a preview, leave the rank alone.
                let keeps = matches!(was, AgentState::Offered(_)) && view.withdrawn;
                if !keeps {
                    view.idle_since = t;
                }
            }
            AgentState::Offered(_) => view.withdrawn = true,
            AgentState::OnCall(_) => view.offer = None,
            AgentState::WrapUp(_) => {}
            AgentState::SignedOut | AgentState::NotReady(_) | AgentState::Unreachable => {
                view.wishes = false
            }
        }
        view.state = is;
        view.since = t;
        if cut {
            self.say(
                Invariant::WrapUpKept,
                t,
                format!("{agent} is available before wrap-up is over"),
            );
        }
        if ignored {
            self.say(
                Invariant::PendingApplied,
                t,
                format!("{agent} asked for something else and is available"),
            );
        }
    }
}
