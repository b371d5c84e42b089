//! One agent: what they are doing, what they asked for while busy, and how they rank when idle.
//!
//! ```text
//!  SignedOut ─► NotReady ◄─► Available ─► Offered ─► OnCall ─► WrapUp ─► Available
//!                  ▲             ▲           │ failed, by policy           or what was asked for
//!                  └─────────────┴───────────┘        Unreachable: any idle state without a phone
//! ```

use crate::config::AgentConfig;
use crate::line::LineIx;
use model::{AgentId, AgentState, CallId, Mono, OfferId, ReasonId};
use std::collections::BTreeSet;

/// An agent's place in the machine's table.
pub(crate) type AgentIx = usize;

/// What an agent asked for while busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    SignOut,
    NotReady(ReasonId),
}

/// What an agent comes to when nothing keeps them busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    SignedOut,
    NotReady(ReasonId),
    /// `keep_rank`: the idle time goes on where it was before an offer that came to nothing.
    Available {
        keep_rank: bool,
    },
}

/// An agent's part in one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub queue: usize,
    pub weight: i16,
    /// Calls of this queue answered since the start.
    pub calls: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub id: AgentId,
    pub config: AgentConfig,
    pub members: Vec<Member>,
    /// Lines whose calls this agent may serve.
    pub lines: Vec<LineIx>,
    /// Calls that wait for this agent alone.
    pub preferring: BTreeSet<CallId>,
    pub state: AgentState,
    /// Since when; `None` until the first change.
    pub since: Option<Mono>,
    /// Whether the phone is registered and answers.
    pub phone: bool,
    /// Where an unreachable agent goes when the phone is back.
    pub resume: Rest,
    pub wish: Option<Wish>,
    pub offer: Option<OfferId>,
    /// The rank: since when idle, offers that came to nothing not counted.
    pub idle_since: Mono,
    /// When wrap-up ends, and when it began.
    pub wrap_up: Option<(Mono, Mono)>,
    /// The queue whose call is handled (none for a preview), since when.
    pub handling: Option<(Option<usize>, Mono)>,
    /// Calls declined since one was answered.
    pub declined: u32,
    pub handling_us: u64,
    pub available_us: u64,
}

impl Agent {
    pub(crate) fn new(id: AgentId, config: AgentConfig, members: Vec<Member>) -> Agent {
        let resume = Rest::NotReady(config.sign_in_reason);
        Agent {
            id,
            config,
            members,
            lines: Vec::new(),
            preferring: BTreeSet::new(),
            state: AgentState::SignedOut,
            since: None,
            phone: false,
            resume,
            wish: None,
            offer: None,
            idle_since: Mono::ZERO,
            wrap_up: None,
            handling: None,
            declined: 0,
            handling_us: 0,
            available_us: 0,
        }
    }

    pub(crate) fn member(&self, queue: usize) -> Option<&Member> {
        self.members.iter().find(|m| m.queue == queue)
    }

    pub(crate) fn weight(&self, queue: usize) -> i16 {
        self.member(queue).map_or(0, |m| m.weight)
    }

    pub(crate) fn level(&self, skill: model::SkillId) -> u8 {
        self.config.skills.get(&skill).copied().unwrap_or(0)
    }

    /// Whether a call may wait for this agent: at work, and not about to leave.
    pub(crate) fn comes_back(&self) -> bool {
        self.wish.is_none()
            && match self.state {
                AgentState::Available
                | AgentState::Offered(_)
                | AgentState::OnCall(_)
                | AgentState::WrapUp(_) => true,
                AgentState::SignedOut | AgentState::NotReady(_) | AgentState::Unreachable => false,
            }
    }

    /// Time spent handling and being available since sign-in, up to now.
    pub(crate) fn load(&self, now: Mono) -> (u128, u128) {
        let idle = match (self.state, self.since) {
            (AgentState::Available, Some(since)) => now.since(since).as_micros(),
            _ => 0,
        };
        (
            self.handling_us.into(),
            u128::from(self.available_us) + idle,
        )
    }
}
