//! The present as the API shows it: a fold over events, the last of those events, and who listens.
//!
//! [`Feed`] keeps all three under one lock, so that a snapshot and the events after it fit together
//! without a gap or an overlap (snapshot + later events = state, at any moment).

use model::event::{Mode, PacingLimit};
use model::screen_pop::Direction;
use model::{
    AgentId, AgentState, AttemptOutcome, CallId, CampaignId, Event, Fact, QueueId, QueueOutcome,
    TrunkId, Utc,
};
use parking_lot::RwLock;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events kept for consumers that come back: some minutes of a busy engine, tens of megabytes.
pub const EVENTS_KEPT: usize = 65_536;

/// Events a slow consumer may be behind before it is served from what is kept.
const LIVE_BUFFER: usize = 4_096;

/// One agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentRow {
    /// Who.
    pub agent: AgentId,
    /// What the agent does.
    #[serde(flatten)]
    pub state: AgentState,
    /// Since when.
    pub since: Utc,
}

/// One queue, counted since the start of the process.
#[derive(Clone, Debug, Serialize)]
pub struct QueueRow {
    /// Which.
    pub queue: QueueId,
    /// Visits that wait now.
    pub waiting: u64,
    /// When the longest waiting one entered.
    pub oldest: Option<Utc>,
    /// Visits that entered.
    pub offered: u64,
    /// Calls it would not take.
    pub refused: u64,
    /// Visits answered.
    pub answered: u64,
    /// Visits abandoned.
    pub abandoned: u64,
    /// Answered within the target.
    pub answered_within_target: u64,
}

/// One campaign, counted since the start of the process.
#[derive(Clone, Debug, Serialize)]
pub struct CampaignRow {
    /// Which.
    pub campaign: CampaignId,
    /// How it dials, where it has been told.
    pub mode: Option<Mode>,
    /// Whether it runs.
    pub running: bool,
    /// Attempts live.
    pub in_flight: u64,
    /// Attempts claimed.
    pub dialled: u64,
    /// Live answers connected to an agent.
    pub answered_agent: u64,
    /// Attempts in which a person heard a flow and asked for no agent.
    pub messaged: u64,
    /// Live answers abandoned.
    pub abandoned: u64,
    /// Abandons ÷ live answers over the law's period; none without data.
    pub abandon_rate: Option<f64>,
    /// What limits dialling.
    pub limited_by: Option<PacingLimit>,
}

/// Where a live call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStage {
    /// Begun, not yet handled.
    Begun,
    /// In a flow.
    InFlow,
    /// Waiting in a queue.
    Waiting,
    /// Rings at an agent.
    Offered,
    /// Bridged.
    Talking,
    /// Bridged and on hold.
    OnHold,
}

/// One live call.
#[derive(Clone, Debug, Serialize)]
pub struct CallRow {
    /// Which.
    pub call: CallId,
    /// Who began it.
    pub direction: Direction,
    /// The customer's number.
    pub caller: String,
    /// What was dialled, or the caller ID shown.
    pub called: String,
    /// Where it is.
    pub stage: CallStage,
    /// The queue it waits or waited in.
    pub queue: Option<QueueId>,
    /// The campaign that dialled.
    pub campaign: Option<CampaignId>,
    /// The agent it is offered to or talks with.
    pub agent: Option<AgentId>,
    /// When it began.
    pub started: Utc,
}

/// The present.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Board {
    /// The last event in it.
    pub seq: u64,
    /// Agents.
    pub agents: BTreeMap<AgentId, AgentRow>,
    /// Queues.
    pub queues: BTreeMap<QueueId, QueueRow>,
    /// Campaigns.
    pub campaigns: BTreeMap<CampaignId, CampaignRow>,
    /// Live calls.
    #[serde(serialize_with = "rows")]
    pub calls: BTreeMap<CallId, CallRow>,
    /// Trunks, and whether they answer.
    pub trunks: BTreeMap<TrunkId, bool>,
    /// Set once the engine takes no more calls.
    pub draining: bool,
    /// Who waits where, since when.
    #[serde(skip)]
    waiting: BTreeMap<(QueueId, CallId), Utc>,
}

fn rows<S: serde::Serializer>(calls: &BTreeMap<CallId, CallRow>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(calls.values())
}

impl Board {
    /// A board that shows these configured things from the start.
    pub fn of(
        agents: impl IntoIterator<Item = AgentId>,
        queues: impl IntoIterator<Item = QueueId>,
        campaigns: impl IntoIterator<Item = CampaignId>,
        now: Utc,
    ) -> Board {
        let mut board = Board::default();
        for agent in agents {
            board.agents.insert(
                agent,
                AgentRow {
                    agent,
                    state: AgentState::SignedOut,
                    since: now,
                },
            );
        }
        for queue in queues {
            board.queue(queue);
        }
        for campaign in campaigns {
            board.campaign(campaign);
        }
        board
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        let now = event.at.utc;
        match &event.fact {
            Fact::CallArrived {
                call,
                caller,
                called,
                ..
            } => {
                self.begin(
                    *call,
                    Direction::Inbound,
                    caller.clone(),
                    called.clone(),
                    None,
                    now,
                );
            }
            Fact::CallDialled {
                call,
                number,
                caller_id,
                campaign,
                ..
            } => {
                let (caller, called) = (number.to_string(), caller_id.clone());
                self.begin(
                    *call,
                    Direction::Outbound,
                    caller,
                    called,
                    Some(*campaign),
                    now,
                );
            }
            Fact::CallBridged { call, agent, .. } => {
                self.stage(*call, CallStage::Talking, Some(*agent))
            }
            Fact::CallHeld { call, .. } => self.stage(*call, CallStage::OnHold, None),
            Fact::CallResumed { call, .. } => self.stage(*call, CallStage::Talking, None),
            Fact::CallUnbridged { call, .. } => self.stage(*call, CallStage::Begun, None),
            Fact::CallEnded { call, .. } => {
                self.calls.remove(call);
            }
            Fact::IvrEntered { call, .. } => self.stage(*call, CallStage::InFlow, None),
            Fact::QueueEntered { call, queue, .. } => {
                self.queue(*queue).offered += 1;
                self.waiting.insert((*queue, *call), now);
                self.count_waiting(*queue);
                self.stage(*call, CallStage::Waiting, None);
                if let Some(row) = self.calls.get_mut(call) {
                    row.queue = Some(*queue);
                }
            }
            Fact::QueueRefused { queue, .. } => self.queue(*queue).refused += 1,
            Fact::QueueLeft {
                call,
                queue,
                outcome,
                within_target,
                ..
            } => {
                self.waiting.remove(&(*queue, *call));
                self.count_waiting(*queue);
                let row = self.queue(*queue);
                row.answered += u64::from(*outcome == QueueOutcome::Answered);
                row.abandoned += u64::from(*outcome == QueueOutcome::Abandoned);
                row.answered_within_target +=
                    u64::from(*outcome == QueueOutcome::Answered && *within_target);
            }
            Fact::OfferMade { call, agent, .. } => {
                self.stage(*call, CallStage::Offered, Some(*agent))
            }
            Fact::OfferFailed { call, .. } | Fact::OfferWithdrawn { call, .. } => {
                if let Some(row) = self.calls.get_mut(call)
                    && row.stage == CallStage::Offered
                {
                    row.stage = CallStage::Waiting;
                    row.agent = None;
                }
            }
            Fact::AgentStateChanged { agent, is, .. } => {
                self.agents.insert(
                    *agent,
                    AgentRow {
                        agent: *agent,
                        state: *is,
                        since: now,
                    },
                );
            }
            Fact::AttemptClaimed { campaign, .. } => {
                let row = self.campaign(*campaign);
                row.dialled += 1;
                row.in_flight += 1;
            }
            Fact::AttemptEnded {
                campaign, outcome, ..
            } => {
                let row = self.campaign(*campaign);
                row.in_flight = row.in_flight.saturating_sub(1);
                row.answered_agent += u64::from(*outcome == AttemptOutcome::AnsweredAgent);
                row.messaged += u64::from(*outcome == AttemptOutcome::Messaged);
                row.abandoned += u64::from(*outcome == AttemptOutcome::Abandoned);
            }
            Fact::CampaignChanged {
                campaign,
                mode,
                running,
                ..
            } => {
                let row = self.campaign(*campaign);
                row.mode = Some(*mode);
                row.running = *running;
            }
            Fact::PacingDecided {
                campaign,
                abandon_rate,
                limited_by,
                ..
            } => {
                let row = self.campaign(*campaign);
                row.abandon_rate = *abandon_rate;
                row.limited_by = Some(*limited_by);
            }
            Fact::TrunkChanged { trunk, up } => {
                self.trunks.insert(*trunk, *up);
            }
            Fact::EngineDraining { .. } => self.draining = true,
            Fact::CallbackDue { .. }
            | Fact::QuotaFull { .. }
            | Fact::CallClassified { .. }
            | Fact::LegStarted { .. }
            | Fact::LegRinging { .. }
            | Fact::LegGivenUp { .. }
            | Fact::LegAnswered { .. }
            | Fact::LegEnded { .. }
            | Fact::IvrNodeReached { .. }
            | Fact::IvrDigitsCollected { .. }
            | Fact::IvrNoInput { .. }
            | Fact::IvrNoMatch { .. }
            | Fact::IvrVariableSet { .. }
            | Fact::IvrLeft { .. }
            | Fact::OfferAnswered { .. }
            | Fact::ScreenPopped { .. }
            | Fact::AgentStatePending { .. }
            | Fact::AgentDialRefused { .. }
            | Fact::CallDisposed { .. }
            | Fact::AttemptBlocked { .. }
            | Fact::AttemptAnswered { .. }
            | Fact::CallMessageStarted { .. }
            | Fact::CallAttested { .. }
            | Fact::DoNotCallAdded { .. }
            | Fact::DoNotCallLoaded { .. }
            | Fact::CampaignChangeRefused { .. }
            | Fact::RecordingStarted { .. }
            | Fact::RecordingEnded { .. }
            | Fact::RecordingFailed { .. }
            | Fact::EngineStarted { .. }
            | Fact::EngineFaulted { .. } => {}
        }
    }

    fn begin(
        &mut self,
        call: CallId,
        direction: Direction,
        caller: String,
        called: String,
        campaign: Option<CampaignId>,
        started: Utc,
    ) {
        let (stage, queue, agent) = (CallStage::Begun, None, None);
        let row = CallRow {
            call,
            direction,
            caller,
            called,
            stage,
            queue,
            campaign,
            agent,
            started,
        };
        self.calls.insert(call, row);
    }

    fn stage(&mut self, call: CallId, stage: CallStage, agent: Option<AgentId>) {
        if let Some(row) = self.calls.get_mut(&call) {
            row.stage = stage;
            row.agent = agent.or(row.agent);
        }
    }

    fn queue(&mut self, queue: QueueId) -> &mut QueueRow {
        self.queues.entry(queue).or_insert(QueueRow {
            queue,
            waiting: 0,
            oldest: None,
            offered: 0,
            refused: 0,
            answered: 0,
            abandoned: 0,
            answered_within_target: 0,
        })
    }

    fn count_waiting(&mut self, queue: QueueId) {
        let range = (queue, CallId(0))..=(queue, CallId(u64::MAX));
        let (mut waiting, mut oldest) = (0, None);
        for (_, since) in self.waiting.range(range) {
            waiting += 1;
            oldest = Some(oldest.map_or(*since, |o: Utc| o.min(*since)));
        }
        let row = self.queue(queue);
        row.waiting = waiting;
        row.oldest = oldest;
    }

    fn campaign(&mut self, campaign: CampaignId) -> &mut CampaignRow {
        self.campaigns.entry(campaign).or_insert(CampaignRow {
            campaign,
            mode: None,
            running: false,
            in_flight: 0,
            dialled: 0,
            answered_agent: 0,
            messaged: 0,
            abandoned: 0,
            abandon_rate: None,
            limited_by: None,
        })
    }
}

/// The board, the last events, and their subscribers.
pub struct Feed {
    kept: RwLock<Kept>,
    live: broadcast::Sender<Arc<Event>>,
    boot: u32,
}

struct Kept {
    board: Board,
    events: VecDeque<Arc<Event>>,
}

/// What was asked for is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The oldest event that is.
    pub oldest: u64,
}

impl Feed {
    /// A feed of this boot that begins with this board.
    pub fn new(boot: u32, board: Board) -> Arc<Feed> {
        let (live, _) = broadcast::channel(LIVE_BUFFER);
        Arc::new(Feed {
            kept: RwLock::new(Kept {
                board,
                events: VecDeque::new(),
            }),
            live,
            boot,
        })
    }

    /// The boot all events are of.
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// Takes the next event and tells the subscribers.
    pub fn publish(&self, event: Arc<Event>) {
        let mut kept = self.kept.write();
        kept.board.apply(&event);
        if kept.events.len() == EVENTS_KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(event.clone());
        // Without subscribers there is nobody to miss it.
        drop(self.live.send(event));
    }

    /// Looks at the board.
    pub fn read<T>(&self, look: impl FnOnce(&Board) -> T) -> T {
        look(&self.kept.read().board)
    }

    /// The events from `from` on, kept ones first; none given: those after now. The value of `look`
    /// is taken at the same instant.
    pub fn follow<T>(
        self: &Arc<Feed>,
        from: Option<u64>,
        look: impl FnOnce(&Board) -> T,
    ) -> Result<(T, Tail), Gone> {
        let kept = self.kept.read();
        let next = from.unwrap_or(kept.board.seq + 1);
        let waiting = kept.since(next)?;
        let live = self.live.subscribe();
        Ok((
            look(&kept.board),
            Tail {
                feed: self.clone(),
                waiting,
                live,
                next,
            },
        ))
    }
}

impl Kept {
    fn since(&self, from: u64) -> Result<VecDeque<Arc<Event>>, Gone> {
        let oldest = self
            .events
            .front()
            .map_or(self.board.seq + 1, |event| event.seq);
        if from < oldest && from <= self.board.seq && from != 0 {
            return Err(Gone { oldest });
        }
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        Ok(self.events.iter().skip(skip).cloned().collect())
    }
}

/// One subscriber's place in the stream.
pub struct Tail {
    feed: Arc<Feed>,
    waiting: VecDeque<Arc<Event>>,
    live: broadcast::Receiver<Arc<Event>>,
    next: u64,
}

impl Tail {
    /// The next event; none where the subscriber was so slow that it is no longer kept, or the
    /// engine has ended. Safe to drop at any await.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.next = event.seq + 1;
                return Some(event);
            }
            match self.live.recv().await {
                // What was both kept and live is not given twice.
                Ok(event) if event.seq < self.next => {}
                Ok(event) => {
                    self.next = event.seq + 1;
                    return Some(event);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.waiting = self.feed.kept.read().since(self.next).ok()?;
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
