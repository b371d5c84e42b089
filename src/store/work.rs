//! The store's thread: takes what waits, commits it in one transaction, and then answers.

use super::callbacks::{self, CallbackError, Promise};
use super::leads::{self, Claim, Held};
use super::lock::Lock;
use super::quotas::{self, QuotaRow};
use super::records::{self, Disposed, Replace};
use super::sort;
use super::{Clock, Store, StoreConfig, StoreError, StoreRequest};
use super::{cells, history};
use crate::bus::Inbox;
use crate::doorbell::{self, Disconnected};
use call::Input;
use crossbeam_channel::{Sender, TryRecvError};
use model::{CampaignId, LeadId, Utc};
use parking_lot::Mutex;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Most requests of one transaction: enough that one fsync serves thousands of claims a second,
/// few enough that the first of them does not wait noticeably for the last.
pub const GROUP_MAX: usize = 1_024;

/// Records alone wait this long for more of them, so that a busy engine pays for two transactions a
/// second and not for one per event. A claim, a fetch or a `Sync` is never kept waiting.
const RECORDS_LINGER: Duration = Duration::from_millis(500);

/// Claims and fetches are refused while this much waits: the store is stalled, and dialling into a
/// stalled store is not allowed. Records are always taken.
pub const REQUESTS_MAX: usize = 16_384;

/// Promised callbacks are looked for this often; reminders come minutes before they are due.
const CALLBACK_POLL: Duration = Duration::from_secs(5);

/// Looking through leads takes about this long at once: a pick that comes meanwhile waits for it.
const BITE: Duration = Duration::from_millis(3);
/// Leads of a bite, to begin with, at least and at most. The least takes that long where each of them is
/// written; more than the most is never read in that time.
const BITE_FIRST: usize = 1_000;
const BITE_MIN: usize = 500;
const BITE_MAX: usize = 20_000;
/// Between two bites requests have their turn, and an import the database.
const BITE_PAUSE: Duration = Duration::from_millis(1);
/// While requests come without a pause, leads are looked through this often.
const BITE_EVERY: Duration = Duration::from_millis(10);

/// Waits between tries while the database fails: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// What the store counts, for `/metrics`.
#[derive(Debug, Default)]
pub struct StoreCounters {
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Transactions that failed and were rolled back.
    pub failures: AtomicU64,
    /// Claims made durable.
    pub claims: AtomicU64,
    /// Claims refused: the lead was not free, or the store failed.
    pub claims_refused: AtomicU64,
    /// Records that wait for a database that fails.
    pub spooled: AtomicU64,
    /// How long the last transaction took, in µs.
    pub last_commit_us: AtomicU64,
    /// Leads looked through for what campaigns ask of them.
    pub looked_through: AtomicU64,
    /// There are leads to be looked through.
    pub is_looking: AtomicBool,
}

/// Where requests go. Cloned freely; never blocks.
#[derive(Clone)]
pub struct StoreHandle {
    requests: doorbell::Sender<StoreRequest>,
    inbox: Inbox,
    counters: Arc<StoreCounters>,
    outbox_grew: Arc<Mutex<Vec<Arc<Notify>>>>,
}

impl StoreHandle {
    /// Asks. A claim or fetch that a stalled store would keep waiting is refused at once; records
    /// are always taken.
    pub fn request(&self, request: StoreRequest) {
        if self.requests.waiting() >= REQUESTS_MAX
            && let Some(refusal) = request.refusal()
        {
            self.counters.claims_refused.fetch_add(1, Ordering::Relaxed);
            self.inbox.send(refusal);
            return;
        }
        let is_urgent = !request.may_linger();
        if !self.requests.send(request, is_urgent) {
            tracing::error!("the store's thread is gone; a record is lost");
        }
    }

    /// Waits until everything asked so far is durable; false where the thread is gone or it takes
    /// longer than `patience`.
    pub fn sync(&self, patience: Duration) -> bool {
        let (done, wait) = crossbeam_channel::bounded(1);
        self.request(StoreRequest::Sync(done));
        wait.recv_timeout(patience).is_ok()
    }

    /// Requests that wait.
    pub fn lag(&self) -> usize {
        self.requests.waiting()
    }

    /// What the store counted.
    pub fn counters(&self) -> &Arc<StoreCounters> {
        &self.counters
    }

    /// Told whenever webhook messages have become durable. One for each who asks: a notice that
    /// several wait for would reach only one of them.
    pub fn outbox_grew(&self) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        self.outbox_grew.lock().push(notify.clone());
        notify
    }
}

/// The running thread. It ends when every handle is dropped.
pub struct StoreThread {
    thread: JoinHandle<()>,
}

impl StoreThread {
    /// Waits for the end; call it after the last handle is gone.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the store's thread panicked");
        }
    }
}

impl Store {
    /// Starts the thread. Answers go to `inbox`.
    pub fn start(mut self, inbox: Inbox) -> Result<(StoreHandle, StoreThread), StoreError> {
        let (requests, receiver) = doorbell::channel(None);
        let counters = Arc::new(StoreCounters::default());
        let outbox_grew: Arc<Mutex<Vec<Arc<Notify>>>> = Arc::default();
        let handle = StoreHandle {
            requests,
            inbox: inbox.clone(),
            counters: counters.clone(),
            outbox_grew: outbox_grew.clone(),
        };
        let held = self.runtime.block_on(Held::load(
            &mut self.connection,
            &self.config.dialer,
            &self.do_not_call,
        ))?;
        let mut worker = Worker {
            clock: self.clock,
            connection: self.connection,
            held,
            config: self.config.clone(),
            inbox,
            counters,
            outbox_grew,
            _lock: self.lock,
            spool: VecDeque::new(),
            starved: Vec::new(),
            callbacks_at: Utc::from_micros(i64::MIN),
            bite: BITE_FIRST,
            bitten_at: None,
            is_relaxed: false,
        };
        worker.tell_looking();
        let runtime = self.runtime;
        let name = self.config.path.display().to_string();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                worker.run(&runtime, &receiver);
                tracing::debug!(database = name, "the store's thread ends");
            })?;
        Ok((handle, StoreThread { thread }))
    }
}

struct Worker {
    clock: Clock,
    connection: SqliteConnection,
    held: Held,
    config: StoreConfig,
    inbox: Inbox,
    counters: Arc<StoreCounters>,
    outbox_grew: Arc<Mutex<Vec<Arc<Notify>>>>,
    /// Held until the last record is written.
    _lock: Lock,
    /// Records a failing database has not taken, in order; they go first.
    spool: VecDeque<StoreRequest>,
    /// Campaigns whose fetch failed: told that leads may be ready once the database is back.
    starved: Vec<CampaignId>,
    /// When callbacks are looked for again.
    callbacks_at: Utc,
    /// Leads that are looked at in about [`BITE`].
    bite: usize,
    /// When leads were looked at last.
    bitten_at: Option<Instant>,
    /// Commits are not flushed to the disk: see [`Worker::look_through`].
    is_relaxed: bool,
}

/// What a committed group leads to.
#[derive(Default)]
struct Done {
    answers: Vec<Input>,
    synced: Vec<Sender<()>>,
    handed_out: Vec<LeadId>,
    /// Leads of refused claims: no longer handed out.
    dropped: Vec<LeadId>,
    outbox_grew: bool,
    promises: Vec<(Sender<Promised>, Promised)>,
    listed: Vec<(Sender<Listed>, Vec<Promise>)>,
    quotas: Vec<(Sender<Counted>, Vec<QuotaRow>)>,
    claims: u64,
    refused: u64,
}

/// All callbacks, or why there is no saying.
type Listed = Result<Vec<Promise>, CallbackError>;

/// A campaign's quotas, or why there is no saying.
type Counted = Result<Vec<QuotaRow>, CallbackError>;

/// What came of a wish about a callback.
type Promised = Result<Promise, CallbackError>;

impl Done {
    /// A lead whose callback has changed is forgotten by the dialer, and handed over again in its time.
    fn withdraw(&mut self, held: &Held, lead: LeadId, changed: bool) {
        if changed && held.handed_out.contains_key(&lead) {
            self.answers.push(Input::LeadWithdrawn { lead });
            self.dropped.push(lead);
        }
    }
}

/// Answers somebody who waits, or has lost patience.
fn tell<T>(answer: &Sender<T>, is: T) {
    if answer.send(is).is_err() {
        tracing::debug!("whoever asked about a callback has lost patience");
    }
}

/// Whether a commit is on the disk when it returns: `FULL`, or `NORMAL`. Not inside of a transaction.
async fn set_synchronous(connection: &mut SqliteConnection, how: &str) -> Result<(), sqlx::Error> {
    sqlx::query(&format!("PRAGMA synchronous = {how}"))
        .execute(connection)
        .await?;
    Ok(())
}

impl Worker {
    fn run(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        receiver: &doorbell::Receiver<StoreRequest>,
    ) {
        let mut pause = RETRY_FIRST;
        loop {
            let first = match self.spool.is_empty() && self.starved.is_empty() {
                true if self.held.cells.is_unsorted() => {
                    receiver.recv_until(Instant::now() + BITE_PAUSE)
                }
                true => receiver.recv_until(Instant::now() + CALLBACK_POLL),
                false => receiver.recv_until(Instant::now() + pause),
            };
            let gone = matches!(first, Err(Disconnected));
            if gone && self.spool.is_empty() {
                return;
            }
            let mut group: Vec<StoreRequest> = self.spool.drain(..).collect();
            group.extend(first.ok().flatten());
            let mut waits = group.iter().any(|request| !request.may_linger()) || gone;
            let until = Instant::now() + RECORDS_LINGER;
            while group.len() < GROUP_MAX {
                match receiver.try_recv() {
                    Ok(request) => {
                        waits |= !request.may_linger();
                        group.push(request);
                    }
                    Err(_) if waits || Instant::now() >= until => break,
                    Err(TryRecvError::Disconnected) => break,
                    Err(TryRecvError::Empty) => receiver.gather_until(until),
                }
            }
            let is_idle = group.is_empty() && self.starved.is_empty();
            let is_due = self.bitten_at.is_none_or(|at| at.elapsed() >= BITE_EVERY);
            if self.held.cells.is_unsorted() && (is_idle || is_due) && !gone {
                runtime.block_on(self.look_through());
            }
            if is_idle {
                runtime.block_on(self.hand_over_callbacks());
                continue;
            }
            match runtime.block_on(self.commit(&group)) {
                Ok(done) => {
                    pause = RETRY_FIRST;
                    self.answer(done);
                    runtime.block_on(self.hand_over_callbacks());
                }
                Err(error) => {
                    self.counters.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, requests = group.len(), "a group could not be committed");
                    self.keep(group);
                    if gone {
                        // Nobody is left to wait for: one last try was it.
                        tracing::error!(records = self.spool.len(), "records are lost at the end");
                        return;
                    }
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
            self.counters
                .spooled
                .store(self.spool.len() as u64, Ordering::Relaxed);
        }
    }

    /// Looks through leads for what campaigns ask of them, one bite. A power cut may take what it wrote:
    /// then they are looked at again. What is committed for others is flushed with all that came before it.
    async fn look_through(&mut self) {
        let now = (self.clock)().utc;
        let began = Instant::now();
        let connection = &mut self.connection;
        let looked = async {
            if !self.is_relaxed {
                set_synchronous(connection, "NORMAL").await?;
                self.is_relaxed = true;
            }
            sort::sort_behind(connection, &mut self.held, self.bite, now).await
        }
        .await;
        match looked {
            Ok(looked) => {
                let looked = looked as u64;
                self.counters
                    .looked_through
                    .fetch_add(looked, Ordering::Relaxed);
                let took = began.elapsed().max(BITE / 10).as_secs_f64();
                let fits = self.bite as f64 * (BITE.as_secs_f64() / took).min(2.0);
                self.bite = (fits as usize).clamp(BITE_MIN, BITE_MAX);
            }
            Err(error) => {
                tracing::warn!(%error, "leads could not be looked through; that is tried again with the next request");
                if let Err(rollback) = sqlx::query("ROLLBACK").execute(connection).await {
                    tracing::debug!(%rollback, "there was nothing to roll back");
                }
                self.held.is_doubtful = true;
                self.held.cells.give_up();
            }
        }
        self.bitten_at = Some(Instant::now());
        self.tell_looking();
    }

    fn tell_looking(&self) {
        self.counters
            .is_looking
            .store(self.held.cells.is_unsorted(), Ordering::Relaxed);
    }

    /// Callbacks that are due before long go to the dialer, every few seconds.
    async fn hand_over_callbacks(&mut self) {
        let now = (self.clock)().utc;
        let next = self.callbacks_at.as_micros();
        if now.as_micros() < next {
            return;
        }
        let poll_us = i64::try_from(CALLBACK_POLL.as_micros()).unwrap_or(i64::MAX);
        self.callbacks_at = now.plus_micros(poll_us);
        match callbacks::due(&mut self.connection, &mut self.held, now).await {
            Ok(inputs) => inputs.into_iter().for_each(|input| {
                self.inbox.send(input);
            }),
            Err(error) => tracing::warn!(%error, "callbacks could not be read; tried again soon"),
        }
    }

    /// One transaction. Whatever it changed in memory is taken back where it fails.
    async fn commit(&mut self, group: &[StoreRequest]) -> Result<Done, sqlx::Error> {
        let began = (self.clock)();
        if self.is_relaxed {
            set_synchronous(&mut self.connection, "FULL").await?;
            self.is_relaxed = false;
        }
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut self.connection)
            .await?;
        let mut done = Done::default();
        let result = async {
            self.held.begin(&mut self.connection).await?;
            // Every statement is two thread switches: rows of one kind go in one.
            let (mut calls, mut agents) = (Vec::new(), BTreeMap::new());
            for request in group {
                match request {
                    StoreRequest::SaveCdr(cdr) => calls.push(&**cdr),
                    // The last state of each agent is what an agent does now.
                    StoreRequest::SaveAgent {
                        agent,
                        state,
                        since,
                    } => {
                        agents.insert(*agent, (state.name(), *since));
                    }
                    other => self.serve(other, &mut done).await?,
                }
            }
            records::save_cdrs(&mut self.connection, &calls).await?;
            records::save_agents(&mut self.connection, &agents).await?;
            sqlx::query("COMMIT").execute(&mut self.connection).await
        }
        .await;
        if let Err(error) = result {
            for lead in &done.handed_out {
                self.held.handed_out.remove(lead);
            }
            if let Err(rollback) = sqlx::query("ROLLBACK").execute(&mut self.connection).await {
                tracing::debug!(%rollback, "there was nothing to roll back");
            }
            self.held.is_doubtful = true;
            return Err(error);
        }
        let took = (self.clock)().mono.since(began.mono);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.tell_looking();
        self.counters
            .last_commit_us
            .store(took_us, Ordering::Relaxed);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(done)
    }

    async fn serve(&mut self, request: &StoreRequest, done: &mut Done) -> Result<(), sqlx::Error> {
        let now = (self.clock)().utc;
        let connection = &mut self.connection;
        match request {
            StoreRequest::FetchLeads {
                campaign,
                lists,
                count,
            } => {
                leads::promote(connection, &mut self.held, now).await?;
                let found =
                    leads::fetch(connection, &mut self.held, *campaign, lists, *count, now).await?;
                done.handed_out
                    .extend(found.leads.iter().map(|lead| lead.id));
                let (leads, exhausted) = (found.leads, found.exhausted);
                let pasts = leads::pasts(connection, &self.held, *campaign, leads.iter()).await?;
                done.answers.extend(pasts);
                done.answers.push(Input::LeadsSupplied {
                    campaign: *campaign,
                    leads,
                    exhausted,
                });
            }
            StoreRequest::AddLead {
                agent,
                campaign,
                number,
            } => {
                let lead = leads::add(connection, &mut self.held, *campaign, *number, now).await?;
                done.handed_out.extend(lead.as_ref().map(|lead| lead.id));
                done.answers.push(Input::LeadAdded {
                    agent: *agent,
                    campaign: *campaign,
                    number: *number,
                    lead: lead.map(Box::new),
                });
            }
            StoreRequest::Claim {
                attempt,
                call,
                campaign,
                lead,
                list,
                number,
            } => {
                let claim = Claim {
                    attempt: *attempt,
                    call: *call,
                    campaign: *campaign,
                    lead: *lead,
                    list: *list,
                    number: *number,
                };
                if leads::claim(connection, &self.held, &claim, now).await? {
                    done.claims += 1;
                    done.answers.push(Input::ClaimStored { attempt: *attempt });
                } else {
                    done.refused += 1;
                    // It is not this campaign's any more; whoever holds it now gives it back.
                    if self.held.handed_out.get(lead) == Some(campaign) {
                        done.dropped.push(*lead);
                    }
                    done.answers.push(Input::ClaimRefused {
                        attempt: *attempt,
                        store_failed: false,
                    });
                }
            }
            StoreRequest::Resolve {
                attempt,
                lead,
                outcome,
                next,
                ..
            } => {
                leads::resolve(
                    connection,
                    &mut self.held,
                    *attempt,
                    *lead,
                    *outcome,
                    *next,
                    now,
                )
                .await?;
            }
            StoreRequest::SaveLearned { campaign, state } => {
                records::save_learned(connection, *campaign, state, now).await?;
            }
            StoreRequest::SaveQuota(count) => {
                cells::save_count(connection, &mut self.held, count).await?;
            }
            StoreRequest::ListQuotas { campaign, answer } => {
                let rows = quotas::rows(connection, &self.config.dialer, *campaign).await?;
                done.quotas.push((answer.clone(), rows));
            }
            StoreRequest::ReturnLeads { leads, .. } => {
                for lead in leads {
                    self.held.handed_out.remove(lead);
                }
                self.held.returns += 1;
            }
            StoreRequest::StoreDisposition {
                call,
                agent,
                lead,
                disposition,
                note,
                callback_at,
            } => {
                let disposed = Disposed {
                    call: *call,
                    agent: *agent,
                    lead: *lead,
                    disposition: *disposition,
                    note: note.clone(),
                    callback_at: *callback_at,
                };
                records::save_disposition(connection, &disposed, now).await?;
                self.held.returns += 1;
            }
            StoreRequest::StoreDoNotCall { number } => {
                // Kept in memory even if the transaction fails: nobody is dialled by accident.
                self.held.do_not_call.insert(*number);
                records::save_do_not_call(connection, *number, now).await?;
            }
            StoreRequest::SaveCdr(_) | StoreRequest::SaveAgent { .. } => {
                unreachable!("the group's records are written together")
            }
            StoreRequest::RecoverCdr(cdr) => {
                records::save_cdr(connection, cdr, Replace::Fuller).await?;
            }
            StoreRequest::BootFolded { boot } => {
                records::save_folded(connection, *boot).await?;
                let dials = history::cut_off(connection, *boot).await?;
                done.answers.push(Input::DialerHistory {
                    answers: Vec::new(),
                    dials,
                });
            }
            StoreRequest::Enqueue(messages) => {
                records::enqueue(connection, messages, now).await?;
                done.outbox_grew = true;
            }
            StoreRequest::Unclaim { attempt, lead } => {
                leads::unclaim(connection, &mut self.held, *attempt, *lead).await?;
            }
            StoreRequest::SetCallback {
                lead,
                at,
                agent,
                answer,
            } => {
                let set = callbacks::set(connection, &mut self.held, *lead, *at, *agent).await?;
                done.withdraw(&self.held, *lead, set.is_ok());
                done.promises.push((answer.clone(), set));
            }
            StoreRequest::CancelCallback { lead, answer } => {
                let cancelled = callbacks::cancel(connection, *lead).await?;
                done.withdraw(&self.held, *lead, cancelled.is_ok());
                done.promises.push((answer.clone(), cancelled));
            }
            StoreRequest::ListCallbacks { answer } => {
                let all = callbacks::all(connection).await?;
                done.listed.push((answer.clone(), all));
            }
            StoreRequest::Sync(done_sender) => done.synced.push(done_sender.clone()),
        }
        Ok(())
    }

    fn answer(&mut self, done: Done) {
        self.counters
            .claims
            .fetch_add(done.claims, Ordering::Relaxed);
        self.counters
            .claims_refused
            .fetch_add(done.refused, Ordering::Relaxed);
        for lead in &done.dropped {
            self.held.handed_out.remove(lead);
            self.held.returns += 1;
        }
        for answer in done.answers {
            self.inbox.send(answer);
        }
        for (answer, promised) in done.promises {
            tell(&answer, promised);
        }
        for (answer, listed) in done.listed {
            tell(&answer, Ok(listed));
        }
        for (answer, rows) in done.quotas {
            tell(&answer, Ok(rows));
        }
        for campaign in self.starved.drain(..) {
            self.inbox.send(Input::LeadsMayBeReady { campaign });
        }
        if done.outbox_grew {
            self.outbox_grew
                .lock()
                .iter()
                .for_each(|waiting| waiting.notify_one());
        }
        for waiting in done.synced {
            if waiting.send(()).is_err() {
                tracing::debug!(
                    "whoever waited has lost patience; the records are durable all the same"
                );
            }
        }
    }

    /// After a failure: refuses what can be asked again, keeps what must not be lost.
    fn keep(&mut self, group: Vec<StoreRequest>) {
        for request in group {
            if let Some(refusal) = request.refusal() {
                self.inbox.send(refusal);
            }
            match request {
                StoreRequest::Claim { attempt, lead, .. } => {
                    self.counters.claims_refused.fetch_add(1, Ordering::Relaxed);
                    self.spool
                        .push_back(StoreRequest::Unclaim { attempt, lead });
                }
                StoreRequest::FetchLeads { campaign, .. } => {
                    if !self.starved.contains(&campaign) {
                        self.starved.push(campaign);
                    }
                }
                // The agent is told, and may try again.
                StoreRequest::AddLead { .. } => {}
                StoreRequest::Resolve { .. }
                | StoreRequest::ReturnLeads { .. }
                | StoreRequest::SaveLearned { .. }
                | StoreRequest::SaveQuota(_)
                | StoreRequest::StoreDisposition { .. }
                | StoreRequest::StoreDoNotCall { .. }
                | StoreRequest::SaveCdr(_)
                | StoreRequest::RecoverCdr(_)
                | StoreRequest::BootFolded { .. }
                | StoreRequest::SaveAgent { .. }
                | StoreRequest::Enqueue(_)
                | StoreRequest::Unclaim { .. }
                | StoreRequest::Sync(_) => self.spool.push_back(request),
                // Somebody waits for these, and may ask again.
                StoreRequest::SetCallback { answer, .. }
                | StoreRequest::CancelCallback { answer, .. } => {
                    tell(&answer, Err(CallbackError::StoreFailed));
                }
                StoreRequest::ListCallbacks { answer } => {
                    tell(&answer, Err(CallbackError::StoreFailed));
                }
                StoreRequest::ListQuotas { answer, .. } => {
                    tell(&answer, Err(CallbackError::StoreFailed));
                }
            }
        }
    }
}
