//! One thread through which every event leaves the engine.
//!
//! The control thread hands over batches; the bus writes them to the log, folds the call records,
//! the books and the metrics, hands records and webhook messages to the store, and tells the API.
//! It decides nothing about calls. Back-pressure: the control thread never waits. Batches queue up
//! to [`BATCHES_MAX`]; from half of that on [`BusHandle::is_congested`] asks for *new* calls to be
//! refused, and an event is never dropped.

use crate::api::board::Feed;
use crate::crm::webhook::Publisher;
use crate::doorbell;
use crate::metrics::Metrics;
use crate::store::{StoreHandle, StoreRequest};
use call::Input;
use crossbeam_channel::Sender;
use model::cdr::{Cdr, CdrFold};
use model::ledger::Ledger;
use model::{Event, Fact};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches that may wait. A batch is one wake of the control thread, some events; this is several
/// seconds of the busiest engine, more than any stall of a log file on a disk that still works.
pub const BATCHES_MAX: usize = 65_536;

/// Tries to reopen a log that cannot be written come this many batches apart.
const LOG_RETRY_BATCHES: u64 = 256;

/// The event log of a boot. Each has its own, so that one replayed input log gives one event log.
pub fn log_path(folder: &Path, boot: u32) -> PathBuf {
    folder.join(format!("events-{boot:06}.jsonl"))
}

/// Where answers and wishes enter the engine: its channel, and what wakes its thread.
#[derive(Clone)]
pub struct Inbox {
    sender: Sender<Input>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Inbox {
    /// `wake` is called after every input; it must not block.
    pub fn new(sender: Sender<Input>, wake: Arc<dyn Fn() + Send + Sync>) -> Inbox {
        Inbox { sender, wake }
    }

    /// Hands an input over; false where the engine is gone.
    pub fn send(&self, input: Input) -> bool {
        let sent = self.sender.send(input).is_ok();
        if sent {
            (self.wake)();
        }
        sent
    }
}

/// Takes every call's record.
pub type RecordSink = Box<dyn Fn(&Cdr) + Send>;

/// What the bus feeds.
pub struct BusParts {
    /// The log, one event as JSON per line; none keeps no log.
    pub log: Option<PathBuf>,
    /// Where records go.
    pub store: Option<StoreHandle>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The API's picture of the present, and its subscribers.
    pub feed: Arc<Feed>,
    /// Who wants which events by webhook.
    pub webhooks: Publisher,
    /// Told every record once: for the CRM's log of calls.
    pub on_record: Option<RecordSink>,
}

/// Where the control thread hands events over.
#[derive(Clone)]
pub struct BusHandle {
    batches: doorbell::Sender<Vec<Event>>,
}

impl BusHandle {
    /// Hands a batch over. Waits only where [`BATCHES_MAX`] batches wait already, which new calls
    /// being refused since half of that should have prevented.
    pub fn send(&self, events: Vec<Event>) {
        if !events.is_empty() && !self.batches.send(events, true) {
            tracing::error!("the bus thread is gone; events are lost");
        }
    }

    /// Whether new calls should be refused because records cannot be put away fast enough.
    pub fn is_congested(&self) -> bool {
        self.batches.waiting() > BATCHES_MAX / 2
    }

    /// Batches that wait.
    pub fn lag(&self) -> usize {
        self.batches.waiting()
    }
}

/// The running thread. It ends, with everything written, when every handle is dropped.
pub struct BusThread {
    thread: JoinHandle<Ledger>,
}

impl BusThread {
    /// Waits for the end; gives the final books.
    pub fn join(self) -> Option<Ledger> {
        let joined = self.thread.join();
        if joined.is_err() {
            tracing::error!("the bus thread panicked");
        }
        joined.ok()
    }
}

/// Opens the log and starts the thread.
pub fn start(parts: BusParts) -> std::io::Result<(BusHandle, BusThread)> {
    let log = parts.log.as_ref().map(Log::open).transpose()?;
    let (batches, receiver) = doorbell::channel(Some(BATCHES_MAX));
    let mut bus = Bus {
        parts,
        log,
        records: CdrFold::new(),
        ledger: Ledger::new(),
        violations: 0,
    };
    let thread = std::thread::Builder::new()
        .name("bus".into())
        .spawn(move || {
            bus.run(&receiver);
            bus.ledger
        })?;
    Ok((BusHandle { batches }, BusThread { thread }))
}

struct Bus {
    parts: BusParts,
    log: Option<Log>,
    records: CdrFold,
    ledger: Ledger,
    violations: u64,
}

impl Bus {
    fn run(&mut self, receiver: &doorbell::Receiver<Vec<Event>>) {
        while let Ok(mut events) = receiver.recv() {
            // What has piled up is written with one flush.
            while let Ok(more) = receiver.try_recv() {
                events.extend(more);
                if events.len() > 4_096 {
                    break;
                }
            }
            if let Some(log) = &mut self.log {
                log.append(&events);
                self.parts.metrics.set_log_errors(log.errors);
            }
            for event in events {
                self.take(event);
            }
            self.settle(receiver.waiting());
        }
    }

    fn take(&mut self, event: Event) {
        self.ledger.apply(&event);
        self.parts.metrics.apply(&event);
        let record = self.records.apply(&event);
        // A record given again with its recording's file is the same call.
        if let (Some(cdr), false) = (
            &record,
            matches!(
                event.fact,
                Fact::RecordingEnded { .. } | Fact::RecordingFailed { .. }
            ),
        ) {
            self.parts.metrics.apply_record(cdr);
            if let Some(tell) = &self.parts.on_record {
                tell(cdr);
            }
        }
        if let Some(store) = &self.parts.store {
            if let Some(cdr) = record {
                store.request(StoreRequest::SaveCdr(Box::new(cdr)));
            }
            if let Fact::AgentStateChanged { agent, is, .. } = &event.fact {
                let since = event.at.utc;
                store.request(StoreRequest::SaveAgent {
                    agent: *agent,
                    state: *is,
                    since,
                });
            }
            let messages = self.parts.webhooks.messages(&event);
            if !messages.is_empty() {
                store.request(StoreRequest::Enqueue(messages));
            }
        }
        self.parts.feed.publish(Arc::new(event));
    }

    fn settle(&mut self, lag: usize) {
        let metrics = &self.parts.metrics;
        metrics.set_residuals(&self.ledger.residuals());
        metrics.set_bus_lag(lag);
        if let Some(store) = &self.parts.store {
            metrics.set_store(store.lag(), store.counters());
        }
        let total = self.ledger.violations_total();
        if total > self.violations {
            metrics.set_violations(total);
            if let Some(last) = self.ledger.violations().last() {
                tracing::warn!(
                    seq = last.seq, rule = ?last.rule, kind = last.kind, about = last.about, total,
                    "the event stream broke a rule"
                );
            }
            self.violations = total;
        }
    }
}

/// Writes one line of the event log: what a replay has to match byte for byte.
///
/// # Errors
/// What `out` says.
pub fn write_event(out: &mut impl Write, event: &Event) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// The append-only log. A line that cannot be written is kept in memory and written, in order, once
/// the disk takes it again.
struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    unwritten: Vec<u8>,
    errors: u64,
    batches: u64,
}

impl Log {
    fn open(path: &PathBuf) -> std::io::Result<Log> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        // A process that was killed may have left half a line: the next event begins its own.
        if file.metadata()?.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Log {
            path: path.clone(),
            file: BufWriter::with_capacity(1 << 16, file),
            unwritten: Vec::new(),
            errors: 0,
            batches: 0,
        })
    }

    fn append(&mut self, events: &[Event]) {
        self.batches += 1;
        for event in events {
            write_event(&mut self.unwritten, event).expect("memory takes an event's JSON");
        }
        if self.errors > 0 && !self.batches.is_multiple_of(LOG_RETRY_BATCHES) {
            return;
        }
        match self
            .file
            .write_all(&self.unwritten)
            .and_then(|()| self.file.flush())
        {
            Ok(()) => {
                self.unwritten.clear();
                self.errors = 0;
            }
            Err(error) => {
                // A part may have reached the disk: the torn line stays, the events follow whole.
                self.errors += 1;
                tracing::error!(%error, path = %self.path.display(), "the event log cannot be written");
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.unwritten.is_empty()
            && let Err(error) = self.file.write_all(&self.unwritten)
        {
            tracing::error!(%error, "events are missing at the end of the log");
        }
    }
}

/// How long an end waits for the store to write what it was handed.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::board::Board;
    use model::{Now, TrunkId};

    #[test]
    fn every_event_is_a_line_of_the_log_and_a_later_start_appends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.log");
        let trunk: TrunkId = "carrier".parse().unwrap();
        let events: Vec<Event> = (1..=500)
            .map(|seq| Event {
                seq,
                at: Now::default(),
                fact: Fact::TrunkChanged {
                    trunk,
                    up: seq % 2 == 0,
                },
            })
            .collect();
        for _ in 0..2 {
            let parts = BusParts {
                log: Some(path.clone()),
                store: None,
                metrics: Arc::new(Metrics::new()),
                feed: Feed::new(1, Board::default()),
                webhooks: Publisher::default(),
                on_record: None,
            };
            let (bus, thread) = start(parts).unwrap();
            for batch in events.chunks(7) {
                bus.send(batch.to_vec());
            }
            drop(bus);
            let books = thread.join().unwrap();
            assert_eq!(books.violations(), &[]);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Vec<Event> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, [events.clone(), events].concat());
    }
}
