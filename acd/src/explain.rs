//! Why a call is, or is not, at an agent: the one rule that decided, with its numbers.
//!
//! The rules are asked in the order in which routing applies them, so the first that says no is
//! the reason.

use crate::Acd;
use crate::config::Strategy;
use crate::line::lacks;
use crate::visit::Place;
use model::{AgentId, AgentState, CallId, Now, QueueId, SkillId};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// An answer for one call and one agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The call.
    pub call: CallId,
    /// The agent.
    pub agent: AgentId,
    /// Where the call waits.
    pub queue: Option<QueueId>,
    /// How often its demand was relaxed.
    pub ring: usize,
    /// What decided.
    pub rule: Rule,
}

/// What decided.
#[allow(missing_docs, reason = "the fields are the numbers the rule compared")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Rule {
    /// Chosen: this call is at this agent. As preferred agent, or by the strategy.
    Chosen {
        strategy: Strategy,
        preferred: bool,
        idle_for: Duration,
        answered: bool,
    },
    /// The call does not wait: it was bridged, it left, or it never came.
    NotWaiting,
    /// No such agent.
    NoSuchAgent,
    /// The agent does not take this queue's calls.
    NotInQueue,
    /// The agent's skill is below the call's demand now.
    SkillTooLow {
        skill: SkillId,
        needs: u8,
        has: u8,
        wider_in: Option<Duration>,
    },
    /// The agent is not available.
    State { state: AgentState },
    /// The call waits for another agent until then.
    HeldForPreferred {
        preferred: AgentId,
        for_another: Duration,
    },
    /// The call is at another agent, who came first by the strategy.
    AtAnother {
        chosen: AgentId,
        strategy: Strategy,
        chosen_idle_for: Duration,
    },
}

impl Acd {
    /// Why this call is, or is not, at this agent.
    pub fn explain(&self, now: Now, call: CallId, agent: AgentId) -> Explanation {
        let visit = self.visits.get(&call);
        let queue = visit.map(|v| self.queues[v.queue].id);
        let ring = visit.map_or(0, |v| v.ring);
        Explanation {
            call,
            agent,
            queue,
            ring,
            rule: self.rule(now, call, agent),
        }
    }

    fn rule(&self, now: Now, call: CallId, agent: AgentId) -> Rule {
        let Some(&a) = self.agent_ix.get(&agent) else {
            return Rule::NoSuchAgent;
        };
        let Some(visit) = self.visits.get(&call) else {
            return Rule::NotWaiting;
        };
        let strategy = self.queues[visit.queue].config.strategy;
        let mut offers = visit.offers.iter().map(|offer| &self.offers[offer]);
        if let Some(offer) = offers.clone().find(|offer| offer.agent == a) {
            let (preferred, idle_for, answered) = (offer.preferred, offer.idle_for, offer.answered);
            return Rule::Chosen {
                strategy,
                preferred,
                idle_for,
                answered,
            };
        }
        let agent = &self.agents[a];
        if agent.member(visit.queue).is_none() {
            return Rule::NotInQueue;
        }
        if let Some((skill, needs, has)) = lacks(agent, &self.lines.at(visit.line).demand) {
            let wider_in = visit.widen_at.map(|at| at.since(now.mono));
            return Rule::SkillTooLow {
                skill,
                needs,
                has,
                wider_in,
            };
        }
        if agent.state != AgentState::Available {
            return Rule::State { state: agent.state };
        }
        if let Place::Preferred(preferred) = visit.place {
            let for_another = visit.prefer_until.since(now.mono);
            return Rule::HeldForPreferred {
                preferred: self.agents[preferred].id,
                for_another,
            };
        }
        let offer = offers
            .next()
            .expect("an available agent and a waiting call they may serve never coexist");
        let chosen = self.agents[offer.agent].id;
        Rule::AtAnother {
            chosen,
            strategy,
            chosen_idle_for: offer.idle_for,
        }
    }
}

/// One sentence.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation {
            call, agent, ring, ..
        } = self;
        match &self.rule {
            Rule::Chosen {
                strategy,
                preferred,
                idle_for,
                answered,
            } => {
                let what = if *answered {
                    "was answered by"
                } else {
                    "is offered to"
                };
                let why = if *preferred {
                    "the preferred agent".to_owned()
                } else {
                    format!("{strategy:?}")
                };
                write!(
                    f,
                    "{call} {what} {agent}: {why}, idle for {:.1} s, ring {ring}",
                    idle_for.as_secs_f64()
                )
            }
            Rule::NotWaiting => write!(f, "{call} does not wait"),
            Rule::NoSuchAgent => write!(f, "there is no agent {agent}"),
            Rule::NotInQueue => write!(
                f,
                "{agent} does not take calls of the queue {call} waits in"
            ),
            Rule::SkillTooLow {
                skill,
                needs,
                has,
                wider_in,
            } => {
                write!(
                    f,
                    "{agent} has {skill} at {has}, {call} asks for {needs} in ring {ring}"
                )?;
                match wider_in {
                    Some(wider) => write!(f, ", and for less in {:.1} s", wider.as_secs_f64()),
                    None => Ok(()),
                }
            }
            Rule::State { state } => write!(f, "{agent} is {}, not available", state.name()),
            Rule::HeldForPreferred {
                preferred,
                for_another,
            } => {
                write!(
                    f,
                    "{call} waits for {preferred} alone for another {:.1} s",
                    for_another.as_secs_f64()
                )
            }
            Rule::AtAnother {
                chosen,
                strategy,
                chosen_idle_for,
            } => {
                write!(
                    f,
                    "{call} is at {chosen}, first by {strategy:?}, idle for {:.1} s",
                    chosen_idle_for.as_secs_f64()
                )
            }
        }
    }
}
