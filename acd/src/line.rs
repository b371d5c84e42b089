//! A line: the calls of one queue that ask for the same skills, and the agents who have them.
//!
//! This is the index that makes routing cheap. Who may serve a line is worked out once, when the
//! line appears; after that an arriving call looks at one end of one ordered set, and an agent who
//! becomes free looks at one head per line.

use crate::agent::{Agent, AgentIx};
use crate::config::Strategy;
use model::{CallId, Mono, SkillId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type LineIx = usize;

/// What is asked for: skills in order of name, each once, with the least level.
pub(crate) type Demand = Vec<(SkillId, u8)>;

/// Lines nobody waits in that are kept for the next call with their demand. Enough for every
/// language times every product of a large centre; each costs one entry per agent.
pub(crate) const LINES_KEPT: usize = 256;

/// Order of calls in one queue. Both ends age alike there, so the order never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallKey {
    /// Points at the origin of time, in billionths.
    pub ahead: Reverse<i128>,
    pub since: Mono,
    pub call: CallId,
}

/// Order of idle agents in a line: by strategy, then longest idle, then name.
pub(crate) type IdleKey = (i64, Mono, AgentIx);

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub queue: usize,
    pub demand: Demand,
    /// Calls without an offer.
    pub waiting: BTreeSet<CallKey>,
    /// Calls that ring all, and may ring more.
    pub ringing: BTreeSet<CallKey>,
    /// Agents who may serve it.
    pub members: Vec<AgentIx>,
    /// Those of them who are available.
    pub idle: BTreeSet<IdleKey>,
    /// Visits with this demand, wherever they are; one more for a queue's own line.
    pub users: usize,
}

impl Line {
    pub(crate) fn idle_key(&self, strategy: Strategy, agent: &Agent, ix: AgentIx) -> IdleKey {
        match strategy {
            Strategy::LongestIdle
            | Strategy::RingAll
            | Strategy::LeastOccupied
            | Strategy::Random => (0, agent.idle_since, ix),
            Strategy::RoundRobin => (0, Mono::ZERO, ix),
            Strategy::FewestCalls => {
                let calls = agent.member(self.queue).map_or(0, |m| m.calls);
                (
                    i64::try_from(calls).unwrap_or(i64::MAX),
                    agent.idle_since,
                    ix,
                )
            }
            Strategy::SkillLevel => {
                let sum: i64 = self
                    .demand
                    .iter()
                    .map(|(skill, _)| i64::from(agent.level(*skill)))
                    .sum();
                (-sum, agent.idle_since, ix)
            }
            Strategy::Linear => (-i64::from(agent.weight(self.queue)), Mono::ZERO, ix),
        }
    }
}

/// The first skill an agent lacks for a demand: what is asked, and what there is.
pub(crate) fn lacks(agent: &Agent, demand: &[(SkillId, u8)]) -> Option<(SkillId, u8, u8)> {
    demand
        .iter()
        .map(|(skill, need)| (*skill, *need, agent.level(*skill)))
        .find(|(_, need, has)| has < need)
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    slots: Vec<Option<Line>>,
    free: Vec<LineIx>,
    by_demand: BTreeMap<(usize, Demand), LineIx>,
}

impl Lines {
    pub(crate) fn at(&self, ix: LineIx) -> &Line {
        self.slots[ix]
            .as_ref()
            .expect("a line lives as long as a visit or an agent knows it")
    }

    pub(crate) fn at_mut(&mut self, ix: LineIx) -> &mut Line {
        self.slots[ix]
            .as_mut()
            .expect("a line lives as long as a visit or an agent knows it")
    }

    pub(crate) fn find(&self, key: &(usize, Demand)) -> Option<LineIx> {
        self.by_demand.get(key).copied()
    }

    pub(crate) fn add(&mut self, line: Line) -> LineIx {
        let key = (line.queue, line.demand.clone());
        let ix = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[ix] = Some(line);
        assert!(
            self.by_demand.insert(key, ix).is_none(),
            "one line per demand"
        );
        ix
    }

    /// One visit less; hands the line out if it is to be forgotten.
    pub(crate) fn drop_user(&mut self, ix: LineIx) -> Option<Line> {
        let line = self.at_mut(ix);
        line.users -= 1;
        if line.users > 0 || self.by_demand.len() <= LINES_KEPT {
            return None;
        }
        let line = self.slots[ix].take().expect("it was just there");
        assert!(
            line.waiting.is_empty() && line.ringing.is_empty(),
            "nobody is in a line without users"
        );
        self.by_demand.remove(&(line.queue, line.demand.clone()));
        self.free.push(ix);
        Some(line)
    }
}
