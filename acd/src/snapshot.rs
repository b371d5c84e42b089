//! How things stand at one moment, for the API and for gauges.
//!
//! A snapshot is a copy: it is made when somebody asks, and costs a pass over agents and queues.

use crate::Acd;
use crate::config::QueueKind;
use crate::estimate::EstimateError;
use model::{AgentId, AgentState, Now, QueueId, QueueOutcome};
use serde::Serialize;
use std::collections::BTreeMap;

/// All queues and agents, in order of name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Every queue.
    pub queues: Vec<QueueSnapshot>,
    /// Every agent, signed in or not.
    pub agents: Vec<AgentSnapshot>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueSnapshot {
    /// Which.
    pub queue: QueueId,
    /// Who begins its calls.
    pub kind: QueueKind,
    /// Whether it takes calls.
    pub open: bool,
    /// Calls not bridged yet.
    pub waiting: usize,
    /// Those of them that ring at an agent or are about to be bridged.
    pub offered: usize,
    /// The longest wait of them, in µs.
    pub longest_wait_us: u64,
    /// Agents of this queue by the name of their state.
    pub agents: BTreeMap<&'static str, usize>,
    /// Agents who would be offered a call of this queue right now.
    pub available: usize,
    /// Visits since the start, refused ones not counted.
    pub entered: u64,
    /// Visits refused at entry.
    pub refused: u64,
    /// Visits by how they ended.
    pub outcomes: BTreeMap<QueueOutcome, u64>,
    /// How good the announced waits were.
    pub estimate_error: EstimateError,
}

impl QueueSnapshot {
    /// What the books are off by: `entered − Σ outcomes − waiting`. Always 0.
    pub fn residual(&self) -> i64 {
        let ended: u64 = self.outcomes.values().sum();
        self.entered as i64 - ended as i64 - self.waiting as i64
    }
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentSnapshot {
    /// Who.
    pub agent: AgentId,
    /// The person's name, or the id.
    pub name: String,
    /// What they are doing.
    pub state: AgentState,
    /// For how long, in µs; 0 before the first change.
    pub state_for_us: u64,
    /// Whether the phone is registered and answers.
    pub phone_reachable: bool,
    /// Since when idle, in µs ago; only while available.
    pub idle_us: Option<u64>,
    /// Whether another state was asked for that applies on release.
    pub pending: bool,
    /// Calls answered since the start, over all queues.
    pub calls: u64,
}

impl Acd {
    /// How things stand.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let us = |since| now.mono.since(since).as_micros() as u64;
        let queues = self.queues.iter().map(|queue| {
            let mut agents = BTreeMap::new();
            for a in &queue.members {
                *agents.entry(self.agents[*a].state.name()).or_default() += 1;
            }
            let longest = queue
                .order
                .iter()
                .map(|key| us(self.visits[&key.call].entered))
                .max();
            QueueSnapshot {
                queue: queue.id,
                kind: queue.config.kind,
                open: queue.open,
                waiting: queue.order.len(),
                offered: queue.offered,
                longest_wait_us: longest.unwrap_or(0),
                agents,
                available: self.agents_available(queue.id),
                entered: queue.entered,
                refused: queue.refused,
                outcomes: queue.outcomes.clone(),
                estimate_error: queue.estimate_error,
            }
        });
        let agents = self.agents.iter().map(|agent| AgentSnapshot {
            agent: agent.id,
            name: if agent.config.name.is_empty() {
                agent.id.to_string()
            } else {
                agent.config.name.clone()
            },
            state: agent.state,
            state_for_us: agent.since.map_or(0, us),
            phone_reachable: agent.phone,
            idle_us: (agent.state == AgentState::Available).then(|| us(agent.idle_since)),
            pending: agent.wish.is_some(),
            calls: agent.members.iter().map(|m| m.calls).sum(),
        });
        Snapshot {
            queues: queues.collect(),
            agents: agents.collect(),
        }
    }
}
