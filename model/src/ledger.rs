//! The books: every thing that begins must end exactly once, counted two ways after every event.
//!
//! [`Ledger`] is handed every event in order. Each book counts what began and what ended, and keeps
//! beside that, on its own, the set of what is live: `began − ended − lost − live` is the book's
//! residual and reads 0 after every single event. What the books cannot say in a number (an INVITE
//! before its screen pop, an outcome twice) is a [`Violation`]. It never corrects anything.

use crate::event::Role;
use crate::{
    AgentId, AgentState, AttemptId, AttemptOutcome, CallId, CampaignId, Event, Fact, LeadId, LegId,
    Mono, OfferId, QueueId, QueueOutcome, RecordingId,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Violations kept with their detail. The first ones explain the rest; all are counted.
pub const VIOLATIONS_MAX: usize = 1_000;

/// A rule of the stream that an event broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `seq` is not the one before plus one.
    SeqGap,
    /// The monotonic clock of an event is before that of the one before it.
    TimeWentBack,
    /// A call, leg, offer, attempt, visit or recording began that is already live.
    BeganTwice,
    /// Something ended, or went on, that is not live: ended twice, or never begun.
    NotLive,
    /// Something new began on a call whose customer's part is over.
    CallIsOver,
    /// A call's customer was bridged whose leg, or whose agent's leg, was not answered.
    BridgedUnanswered,
    /// A call was bridged to an agent who was neither offered it nor on it.
    BridgedWithoutOffer,
    /// A visit counts as answered, and the call ended without a bridge.
    AnsweredWithoutBridge,
    /// An offer to an agent who is not available.
    OfferToUnavailable,
    /// A second offer to an agent at the same time.
    OfferToOffered,
    /// An agent's phone was called before that agent's screen was told.
    InviteBeforePop,
    /// A customer was called without a durable claim.
    InviteWithoutClaim,
    /// A lead was claimed while an attempt of it is live.
    LeadClaimedTwice,
    /// An agent's change does not begin at the state the one before ended in.
    AgentStateTorn,
    /// An agent's state lasted another time than its events are apart.
    AgentTimeTorn,
}

/// One broken rule and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The event.
    pub seq: u64,
    /// The rule.
    pub rule: Rule,
    /// The event's kind.
    pub kind: &'static str,
    /// The thing it is about, as its id prints.
    pub about: String,
}

/// What is counted two ways: began − ended − lost = live.
#[derive(Clone, Debug)]
struct Book<K, V> {
    began: u64,
    ended: u64,
    /// Live when the process died, told by the next boot's first event.
    lost: u64,
    live: BTreeMap<K, V>,
}

impl<K, V> Default for Book<K, V> {
    fn default() -> Self {
        Book {
            began: 0,
            ended: 0,
            lost: 0,
            live: BTreeMap::new(),
        }
    }
}

impl<K: Ord, V> Book<K, V> {
    /// Whether it was not live before.
    fn begin(&mut self, key: K, value: V) -> bool {
        self.began += 1;
        self.live.insert(key, value).is_none()
    }
    fn end(&mut self, key: &K) -> Option<V> {
        self.ended += 1;
        self.live.remove(key)
    }
    fn residual(&self) -> i64 {
        self.began as i64 - self.ended as i64 - self.lost as i64 - self.live.len() as i64
    }
    fn lose(&mut self) {
        self.lost += self.live.len() as u64;
        self.live.clear();
    }
}

/// The book of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueBook {
    /// Visits that entered.
    pub offered: u64,
    /// Calls it would not take; no visit, shown apart.
    pub refused: u64,
    /// Ended visits, in the order of [`QueueOutcome::ALL`].
    pub outcomes: [u64; QueueOutcome::ALL.len()],
    /// Visits that wait now.
    pub waiting_now: u64,
    /// Visits cut off by a restart.
    pub lost: u64,
}

/// The book of one campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CampaignBook {
    /// Attempts claimed.
    pub claimed: u64,
    /// Dials a rule forbade before a claim; no attempt, shown apart.
    pub blocked: u64,
    /// Ended attempts, in the order of [`AttemptOutcome::ALL`].
    pub outcomes: [u64; AttemptOutcome::ALL.len()],
    /// Attempts that are live.
    pub live: u64,
    /// Attempts cut off by a restart.
    pub lost: u64,
}

/// One agent's time.
#[derive(Clone, Debug)]
struct AgentBook {
    state: AgentState,
    since: Mono,
    first: Mono,
    /// µs told as spent in states that ended, since `first`.
    told_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct LiveLeg {
    call: CallId,
    role: Role,
    answered: bool,
}

#[derive(Clone, Debug, Default)]
struct LiveCall {
    begun: bool,
    over: bool,
    bridged: bool,
    visit_answered: bool,
    pops: u32,
    agent_legs: u32,
    legs_live: u32,
    /// Agents whose offer of this call was answered.
    offers_answered: BTreeSet<AgentId>,
}

/// The books. See the module.
///
/// ```
/// let books = model::ledger::Ledger::new();
/// assert!(books.residuals().iter().all(|(_, residual)| *residual == 0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    last_seq: u64,
    last_mono: Mono,
    calls: Book<CallId, ()>,
    legs: Book<LegId, LiveLeg>,
    offers: Book<OfferId, (CallId, AgentId)>,
    recordings: Book<RecordingId, ()>,
    visits: BTreeSet<(QueueId, CallId)>,
    queues: BTreeMap<QueueId, QueueBook>,
    attempts: BTreeMap<AttemptId, (CampaignId, LeadId)>,
    leads_claimed: BTreeSet<LeadId>,
    campaigns: BTreeMap<CampaignId, CampaignBook>,
    agents: BTreeMap<AgentId, AgentBook>,
    /// Calls that are live or still have legs, with what the rules need to know.
    known: BTreeMap<CallId, LiveCall>,
    offered_agents: BTreeMap<AgentId, OfferId>,
    violations: Vec<Violation>,
    violations_total: u64,
}

impl Ledger {
    /// Empty books.
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// Each book's residual: 0, or something began or ended that nobody counted.
    pub fn residuals(&self) -> Vec<(&'static str, i64)> {
        let mut queues = 0;
        for (queue, book) in &self.queues {
            let live = self
                .visits
                .range((*queue, CallId(0))..=(*queue, CallId(u64::MAX)))
                .count() as u64;
            let ended: u64 = book.outcomes.iter().sum();
            let residual = book.offered as i64 - ended as i64 - book.lost as i64 - live as i64;
            queues += residual.abs() + (book.waiting_now as i64 - live as i64).abs();
        }
        let (mut attempts, mut live_booked) = (0, 0);
        for book in self.campaigns.values() {
            let ended: u64 = book.outcomes.iter().sum();
            attempts +=
                (book.claimed as i64 - ended as i64 - book.lost as i64 - book.live as i64).abs();
            live_booked += book.live as i64;
        }
        attempts += (live_booked - self.attempts.len() as i64).abs();
        let agents = self
            .agents
            .values()
            .map(|book| {
                let tiled = book.since.as_micros() as i64 - book.first.as_micros() as i64;
                (tiled - book.told_us as i64).abs()
            })
            .sum();
        vec![
            ("queues", queues),
            ("attempts", attempts),
            ("calls", self.calls.residual()),
            ("legs", self.legs.residual()),
            ("offers", self.offers.residual()),
            ("recordings", self.recordings.residual()),
            ("agents_us", agents),
        ]
    }

    /// Rules broken, the first [`VIOLATIONS_MAX`] of them.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Rules broken, all.
    pub fn violations_total(&self) -> u64 {
        self.violations_total
    }

    /// What is live in each book. All 0 once a process has drained.
    pub fn live(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("queues", self.visits.len() as u64),
            ("attempts", self.attempts.len() as u64),
            ("calls", self.calls.live.len() as u64),
            ("legs", self.legs.live.len() as u64),
            ("offers", self.offers.live.len() as u64),
            ("recordings", self.recordings.live.len() as u64),
        ]
    }

    /// The books of the queues.
    pub fn queues(&self) -> &BTreeMap<QueueId, QueueBook> {
        &self.queues
    }

    /// The books of the campaigns.
    pub fn campaigns(&self) -> &BTreeMap<CampaignId, CampaignBook> {
        &self.campaigns
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: &Event) {
        if event.seq == 1 && self.last_seq > 0 {
            self.restart();
        }
        if event.seq != self.last_seq + 1 {
            self.broken(event, Rule::SeqGap, event.seq);
        }
        if event.at.mono < self.last_mono {
            self.broken(event, Rule::TimeWentBack, event.seq);
        }
        self.last_seq = event.seq;
        self.last_mono = event.at.mono;
        self.book(event);
    }

    fn book(&mut self, event: &Event) {
        match &event.fact {
            Fact::CallArrived { call, .. } => self.begin_call(event, *call),
            Fact::CallDialled { call, attempt, .. } => {
                if !self.attempts.contains_key(attempt) {
                    self.broken(event, Rule::InviteWithoutClaim, attempt);
                }
                self.begin_call(event, *call);
            }
            Fact::CallClassified { call, .. }
            | Fact::CallMessageStarted { call, .. }
            | Fact::CallAttested { call, .. }
            | Fact::IvrEntered { call, .. }
            | Fact::IvrNodeReached { call, .. }
            | Fact::IvrDigitsCollected { call, .. }
            | Fact::IvrNoInput { call, .. }
            | Fact::IvrNoMatch { call, .. }
            | Fact::IvrVariableSet { call, .. } => self.goes_on(event, *call),
            Fact::CallBridged {
                call,
                agent,
                customer_leg,
                agent_leg,
            } => {
                self.goes_on(event, *call);
                self.bridge(event, *call, *agent, [*customer_leg, *agent_leg]);
            }
            Fact::CallHeld { .. }
            | Fact::CallResumed { .. }
            | Fact::CallUnbridged { .. }
            | Fact::IvrLeft { .. } => {}
            Fact::CallEnded { call, .. } => self.end_call(event, *call),

            Fact::LegStarted { leg, call, role } => self.begin_leg(event, *leg, *call, *role),
            Fact::LegRinging { leg, .. } | Fact::LegGivenUp { leg, .. } => {
                if !self.legs.live.contains_key(leg) {
                    self.broken(event, Rule::NotLive, leg);
                }
            }
            Fact::LegAnswered { leg, .. } => match self.legs.live.get_mut(leg) {
                Some(live) => live.answered = true,
                None => self.broken(event, Rule::NotLive, leg),
            },
            Fact::LegEnded { leg, .. } => match self.legs.end(leg) {
                Some(live) => {
                    if let Some(known) = self.known.get_mut(&live.call) {
                        known.legs_live = known.legs_live.saturating_sub(1);
                    }
                    self.forget_if_over(live.call);
                }
                None => self.broken(event, Rule::NotLive, leg),
            },

            Fact::QueueEntered { call, queue, .. } => {
                self.goes_on(event, *call);
                let book = self.queues.entry(*queue).or_default();
                book.offered += 1;
                book.waiting_now += 1;
                if !self.visits.insert((*queue, *call)) {
                    self.broken(event, Rule::BeganTwice, call);
                }
            }
            Fact::QueueRefused { queue, .. } => self.queues.entry(*queue).or_default().refused += 1,
            Fact::QueueLeft {
                call,
                queue,
                outcome,
                ..
            } => {
                let book = self.queues.entry(*queue).or_default();
                book.waiting_now = book.waiting_now.saturating_sub(1);
                book.outcomes[position(QueueOutcome::ALL, outcome)] += 1;
                if !self.visits.remove(&(*queue, *call)) {
                    self.broken(event, Rule::NotLive, call);
                }
                if let Some(known) = self.known.get_mut(call) {
                    known.visit_answered |= *outcome == QueueOutcome::Answered;
                }
            }

            Fact::OfferMade {
                offer, call, agent, ..
            } => self.begin_offer(event, *offer, *call, *agent),
            Fact::OfferAnswered {
                offer, call, agent, ..
            } => {
                self.end_offer(event, *offer, *agent);
                if let Some(known) = self.known.get_mut(call) {
                    known.offers_answered.insert(*agent);
                }
            }
            Fact::OfferFailed { offer, agent, .. } | Fact::OfferWithdrawn { offer, agent, .. } => {
                self.end_offer(event, *offer, *agent);
            }
            Fact::ScreenPopped { call, .. } => {
                if let Some(known) = self.known.get_mut(call) {
                    known.pops += 1;
                }
            }

            Fact::AgentStateChanged {
                agent,
                was,
                is,
                was_for_us,
            } => {
                self.change_agent(event, *agent, *was, *is, *was_for_us);
            }
            Fact::AgentStatePending { .. }
            | Fact::AgentDialRefused { .. }
            | Fact::CallDisposed { .. } => {}

            Fact::AttemptClaimed {
                attempt,
                campaign,
                lead,
                ..
            } => {
                let book = self.campaigns.entry(*campaign).or_default();
                book.claimed += 1;
                book.live += 1;
                if self.attempts.insert(*attempt, (*campaign, *lead)).is_some() {
                    self.broken(event, Rule::BeganTwice, attempt);
                }
                if !self.leads_claimed.insert(*lead) {
                    self.broken(event, Rule::LeadClaimedTwice, lead);
                }
            }
            Fact::AttemptBlocked { campaign, .. } => {
                self.campaigns.entry(*campaign).or_default().blocked += 1
            }
            Fact::AttemptAnswered { attempt, .. } => {
                if !self.attempts.contains_key(attempt) {
                    self.broken(event, Rule::NotLive, attempt);
                }
            }
            Fact::AttemptEnded {
                attempt,
                campaign,
                lead,
                outcome,
                ..
            } => {
                let book = self.campaigns.entry(*campaign).or_default();
                book.live = book.live.saturating_sub(1);
                book.outcomes[position(AttemptOutcome::ALL, outcome)] += 1;
                self.leads_claimed.remove(lead);
                if self.attempts.remove(attempt).is_none() {
                    self.broken(event, Rule::NotLive, attempt);
                }
            }
            Fact::CampaignChanged { .. }
            | Fact::CampaignChangeRefused { .. }
            | Fact::PacingDecided { .. }
            | Fact::DoNotCallAdded { .. }
            | Fact::DoNotCallLoaded { .. } => {}

            Fact::RecordingStarted { recording, call } => {
                self.goes_on(event, *call);
                if !self.recordings.begin(*recording, ()) {
                    self.broken(event, Rule::BeganTwice, recording);
                }
            }
            Fact::RecordingEnded { recording, .. } | Fact::RecordingFailed { recording, .. } => {
                if self.recordings.end(recording).is_none() {
                    self.broken(event, Rule::NotLive, recording);
                }
            }

            Fact::CallbackDue { .. }
            | Fact::QuotaFull { .. }
            | Fact::TrunkChanged { .. }
            | Fact::EngineStarted { .. }
            | Fact::EngineDraining { .. }
            | Fact::EngineFaulted { .. } => {}
        }
    }

    fn begin_call(&mut self, event: &Event, call: CallId) {
        if !self.calls.begin(call, ()) {
            self.broken(event, Rule::BeganTwice, call);
        }
        // Its first leg may have been told of before it.
        self.known.entry(call).or_default().begun = true;
    }

    fn end_call(&mut self, event: &Event, call: CallId) {
        if self.calls.end(&call).is_none() {
            return self.broken(event, Rule::NotLive, call);
        }
        let known = self.known.entry(call).or_default();
        known.over = true;
        if known.visit_answered && !known.bridged {
            self.broken(event, Rule::AnsweredWithoutBridge, call);
        }
        self.forget_if_over(call);
    }

    /// A call that is over has no new story; its legs, offers and visits may only end.
    fn goes_on(&mut self, event: &Event, call: CallId) {
        match self.known.get(&call) {
            Some(known) if !known.over => {}
            Some(_) => self.broken(event, Rule::CallIsOver, call),
            None => self.broken(event, Rule::NotLive, call),
        }
    }

    fn begin_leg(&mut self, event: &Event, leg: LegId, call: CallId, role: Role) {
        if !self.legs.begin(
            leg,
            LiveLeg {
                call,
                role,
                answered: false,
            },
        ) {
            self.broken(event, Rule::BeganTwice, leg);
        }
        let known = self.known.entry(call).or_default();
        known.legs_live += 1;
        let over = known.over;
        let mut unseen = false;
        if role == Role::Agent {
            known.agent_legs += 1;
            // An agent who dials a feature code calls us: no call of a customer, no screen to tell.
            unseen = known.begun && known.agent_legs > known.pops;
        }
        if over {
            self.broken(event, Rule::CallIsOver, call);
        }
        if unseen {
            self.broken(event, Rule::InviteBeforePop, leg);
        }
    }

    fn bridge(&mut self, event: &Event, call: CallId, agent: AgentId, legs: [LegId; 2]) {
        for (leg, role) in legs.into_iter().zip([Role::Customer, Role::Agent]) {
            match self.legs.live.get(&leg) {
                Some(live) if live.answered && live.role == role && live.call == call => {}
                Some(_) | None => self.broken(event, Rule::BridgedUnanswered, leg),
            }
        }
        let on_it = self
            .agents
            .get(&agent)
            .is_some_and(|book| book.state.call() == Some(call));
        let Some(known) = self.known.get_mut(&call) else {
            return;
        };
        known.bridged = true;
        if !on_it && !known.offers_answered.contains(&agent) {
            self.broken(event, Rule::BridgedWithoutOffer, call);
        }
    }

    fn begin_offer(&mut self, event: &Event, offer: OfferId, call: CallId, agent: AgentId) {
        self.goes_on(event, call);
        if !self.offers.begin(offer, (call, agent)) {
            self.broken(event, Rule::BeganTwice, offer);
        }
        // The agent's own change may be told just before or just after the offer.
        let free = match self.agents.get(&agent).map(|book| book.state) {
            Some(AgentState::Available) => true,
            Some(AgentState::Offered(of)) => of == call,
            Some(
                AgentState::SignedOut
                | AgentState::NotReady(_)
                | AgentState::OnCall(_)
                | AgentState::WrapUp(_)
                | AgentState::Unreachable,
            )
            | None => false,
        };
        if !free {
            self.broken(event, Rule::OfferToUnavailable, agent);
        }
        if self.offered_agents.insert(agent, offer).is_some() {
            self.broken(event, Rule::OfferToOffered, agent);
        }
    }

    fn end_offer(&mut self, event: &Event, offer: OfferId, agent: AgentId) {
        if self.offers.end(&offer).is_none() {
            self.broken(event, Rule::NotLive, offer);
        }
        if self.offered_agents.get(&agent) == Some(&offer) {
            self.offered_agents.remove(&agent);
        }
    }

    fn change_agent(
        &mut self,
        event: &Event,
        agent: AgentId,
        was: AgentState,
        is: AgentState,
        was_for_us: u64,
    ) {
        let now = event.at.mono;
        let Some(book) = self.agents.get_mut(&agent) else {
            // What was before the first event of this boot is not of this boot.
            self.agents.insert(
                agent,
                AgentBook {
                    state: is,
                    since: now,
                    first: now,
                    told_us: 0,
                },
            );
            return;
        };
        let torn = book.state != was;
        let apart = now.as_micros().saturating_sub(book.since.as_micros());
        book.told_us += was_for_us;
        book.state = is;
        book.since = now;
        if torn {
            self.broken(event, Rule::AgentStateTorn, agent);
        }
        if apart != was_for_us {
            self.broken(event, Rule::AgentTimeTorn, agent);
        }
    }

    fn forget_if_over(&mut self, call: CallId) {
        if self
            .known
            .get(&call)
            .is_some_and(|known| known.over && known.legs_live == 0)
        {
            self.known.remove(&call);
        }
    }

    /// A new boot: what was live is lost, and the next ids are new.
    fn restart(&mut self) {
        self.last_seq = 0;
        self.last_mono = Mono::ZERO;
        self.calls.lose();
        self.legs.lose();
        self.offers.lose();
        self.recordings.lose();
        for book in self.queues.values_mut() {
            book.lost += std::mem::take(&mut book.waiting_now);
        }
        for book in self.campaigns.values_mut() {
            book.lost += std::mem::take(&mut book.live);
        }
        self.visits.clear();
        self.attempts.clear();
        self.leads_claimed.clear();
        self.agents.clear();
        self.known.clear();
        self.offered_agents.clear();
    }

    fn broken(&mut self, event: &Event, rule: Rule, about: impl std::fmt::Display) {
        self.violations_total += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            let about = about.to_string();
            self.violations.push(Violation {
                seq: event.seq,
                rule,
                kind: event.fact.kind(),
                about,
            });
        }
    }
}

fn position<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter()
        .position(|each| each == one)
        .expect("every outcome is in ALL")
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
