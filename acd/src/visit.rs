//! A call's stay in a queue, the queue around it, and an offer under way.

use crate::agent::AgentIx;
use crate::config::QueueConfig;
use crate::estimate::{EstimateError, Rates};
use crate::input::SkillNeed;
use crate::line::{CallKey, Demand, LineIx};
use model::screen_pop::Direction;
use model::{CallId, Mono, OfferId, QueueId, QueueOutcome, SkillId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Where a visit is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In no index: between two steps of one input.
    Nowhere,
    /// In its line, for whoever may serve it.
    Line,
    /// With its preferred agent.
    Preferred(AgentIx),
    /// Ringing all: more agents may join.
    Ringing,
    /// Offered to one agent, or answered by one and about to be bridged.
    Offered,
}

/// What was told first: when, the mean, and the bound spoken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub at: Mono,
    pub mean: Duration,
    pub bound: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub queue: usize,
    pub direction: Direction,
    /// Queue's and call's own priority.
    pub points: i32,
    /// When this visit began.
    pub entered: Mono,
    /// Since when the call has waited, queues before this one counted.
    pub since: Mono,
    pub key: CallKey,
    pub needs: Vec<SkillNeed>,
    /// Rings already widened.
    pub ring: usize,
    pub line: LineIx,
    pub place: Place,
    pub offers: Vec<OfferId>,
    pub preferred: Option<AgentIx>,
    pub prefer_until: Mono,
    pub deadline: Option<(Mono, WaitOver)>,
    pub widen_at: Option<Mono>,
    pub announce_at: Option<Mono>,
    /// The first estimate, for its error; and the last bound, which never grows.
    pub first_told: Option<Told>,
    pub last_told: Option<Duration>,
}

/// Which rule ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WaitOver {
    /// The visit's own: its sender knows what to do.
    GiveUp,
    /// The queue's: the call overflows.
    QueueRule,
}

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub id: QueueId,
    pub config: QueueConfig,
    pub open: bool,
    /// The line of calls that ask for nothing of their own.
    pub own_line: LineIx,
    /// Every visit, in the order of service.
    pub order: BTreeSet<CallKey>,
    /// How many of them are being offered or bridged.
    pub offered: usize,
    pub members: Vec<AgentIx>,
    pub signed_in: usize,
    /// Who got the last call: round robin goes on behind.
    pub last: Option<AgentIx>,
    pub rates: Rates,
    pub estimate_error: EstimateError,
    pub entered: u64,
    pub refused: u64,
    pub outcomes: BTreeMap<QueueOutcome, u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub call: CallId,
    pub agent: AgentIx,
    pub made: Mono,
    /// When to give up: the ring's end, or after the answer the bridge's.
    pub until: Mono,
    pub answered: bool,
    /// How the agent came to it, for `explain`.
    pub idle_for: Duration,
    pub preferred: bool,
}

/// A queue's demand at a ring, together with what the call itself asks for: the larger level of each.
pub(crate) fn demand(config: &QueueConfig, ring: usize, needs: &[SkillNeed]) -> Demand {
    let of_queue = if ring == 0 {
        &config.skills
    } else {
        &config.rings[ring - 1].skills
    };
    let mut levels: BTreeMap<SkillId, u8> = BTreeMap::new();
    for need in of_queue.iter().chain(needs) {
        let level = levels.entry(need.skill).or_default();
        *level = need.level.max(*level);
    }
    levels.into_iter().collect()
}
