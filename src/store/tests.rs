//! The store's promises: a claim is single and durable, nobody is handed out twice, nothing is lost.

use super::*;
use crate::bus::Inbox;
use call::Input;
use crossbeam_channel::{Receiver, unbounded};
use model::lead::LeadNext;
use model::{AttemptId, AttemptOutcome, CallId, LeadId, ListId, Rng, Utc};
use sqlx::Row;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long a test waits for the store's thread before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Desk {
    pub(super) config: StoreConfig,
    pub(super) time: Arc<AtomicU64>,
    pub(super) handle: StoreHandle,
    pub(super) thread: StoreThread,
    pub(super) inputs: Receiver<Input>,
    pub(super) boot: Boot,
    ids: u64,
}

pub(super) fn clock_of(time: &Arc<AtomicU64>) -> Clock {
    let time = time.clone();
    Arc::new(move || Now::default().plus(Duration::from_micros(time.load(Ordering::Relaxed))))
}

pub(super) fn campaign() -> CampaignId {
    "spring".parse().unwrap()
}
pub(super) fn list() -> ListId {
    "a".parse().unwrap()
}

impl Desk {
    pub(super) fn open(config: StoreConfig, time: Arc<AtomicU64>) -> Desk {
        let (store, boot) = Store::open(&config, clock_of(&time), "test").unwrap();
        let (sender, inputs) = unbounded();
        let (handle, thread) = store.start(Inbox::new(sender, Arc::new(|| ()))).unwrap();
        let ids = u64::from(boot.number) << model::id::COUNTER_BITS;
        Desk {
            config,
            time,
            handle,
            thread,
            inputs,
            boot,
            ids,
        }
    }

    pub(super) fn with_leads(dir: &std::path::Path, count: u32) -> Desk {
        let mut config = StoreConfig::at(dir.join("tandem.db"));
        let mut settings = dialer::CampaignConfig::new(model::event::Mode::Power, "+12125550100");
        settings.lists = vec![list().into()];
        config.dialer.campaigns.insert(campaign(), settings);
        let mut csv = String::from("phone,name,priority\n");
        for n in 0..count {
            csv += &format!("+4930{:07},Person {n},{}\n", 1_000_000 + n, n % 3);
        }
        let report = import(&config, &csv, false);
        assert_eq!(report.accepted, u64::from(count));
        // Day one, so that a lead scheduled at 0 is due.
        Desk::open(config, Arc::new(AtomicU64::new(86_400_000_000)))
    }

    /// The process dies: whatever is not durable is gone. The database is copied as it lies on the
    /// disk, mid-way, while the first process still has it open.
    pub(super) fn crash(self, dir: &std::path::Path) -> Desk {
        let path = dir.join("after.db");
        for suffix in ["", "-wal"] {
            let from = format!("{}{suffix}", self.config.path.display());
            if std::path::Path::new(&from).exists() {
                std::fs::copy(&from, format!("{}{suffix}", path.display())).unwrap();
            }
        }
        let time = self.time.clone();
        time.fetch_add(1_000_000, Ordering::Relaxed);
        let again = Desk::open(
            StoreConfig {
                path,
                ..self.config.clone()
            },
            time,
        );
        drop(self.handle);
        self.thread.join();
        again
    }

    pub(super) fn next(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn answer(&self) -> Input {
        self.inputs
            .recv_timeout(PATIENCE)
            .expect("the store answers")
    }

    pub(super) fn fetch(&self, count: u32) -> Vec<model::Lead> {
        self.handle.request(StoreRequest::FetchLeads {
            campaign: campaign(),
            lists: vec![list()],
            count,
        });
        match self.answer() {
            Input::LeadsSupplied { leads, .. } => leads,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn claim(&mut self, lead: &model::Lead) -> AttemptId {
        let attempt = AttemptId(self.next());
        let call = CallId(self.next());
        let (campaign, list, number) = (campaign(), list(), lead.number());
        let lead = lead.id;
        self.handle.request(StoreRequest::Claim {
            attempt,
            call,
            campaign,
            lead,
            list,
            number,
        });
        attempt
    }

    pub(super) fn claimed(&mut self, lead: &model::Lead) -> AttemptId {
        let attempt = self.claim(lead);
        assert_eq!(self.answer(), Input::ClaimStored { attempt });
        attempt
    }

    pub(super) fn resolve(
        &self,
        attempt: AttemptId,
        lead: LeadId,
        outcome: AttemptOutcome,
        next: LeadNext,
    ) {
        self.handle.request(StoreRequest::Resolve {
            attempt,
            campaign: campaign(),
            lead,
            outcome,
            next,
        });
    }

    /// What the database says it will do.
    pub(super) fn text(&self, sql: &str) -> String {
        assert!(self.handle.sync(PATIENCE));
        self.beside(|mut connection| async move {
            let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
            row.get("detail")
        })
    }

    /// Ends the store's thread.
    pub(super) fn end(self) {
        drop(self.handle);
        self.thread.join();
    }

    /// Changes the database beside the store.
    pub(super) fn write(&self, sql: &str) {
        assert!(self.handle.sync(PATIENCE));
        self.beside(|mut connection| async move {
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        });
    }

    /// How SQLite would go about a statement.
    pub(super) fn plan(&self, sql: &str) -> String {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        self.beside(|mut connection| async move {
            let steps = sqlx::query(&sql).fetch_all(&mut connection).await.unwrap();
            let text = |row: &sqlx::sqlite::SqliteRow| row.get::<String, _>(3);
            steps.iter().map(text).collect::<Vec<_>>().join("\n")
        })
    }

    pub(super) fn beside<T, F: Future<Output = T>>(
        &self,
        work: impl FnOnce(sqlx::SqliteConnection) -> F,
    ) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { work(connect(&self.config).await.unwrap()).await })
    }

    /// One number out of the database, after everything asked is written.
    pub(super) fn count(&self, sql: &str) -> i64 {
        assert!(self.handle.sync(PATIENCE));
        self.beside(|mut connection| async move {
            let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
            row.get(0)
        })
    }
}

fn options(dry_run: bool) -> ImportOptions {
    ImportOptions {
        default_country: Some("49".to_string()),
        dry_run,
        ..ImportOptions::of(list())
    }
}

fn import(config: &StoreConfig, csv: &str, dry_run: bool) -> ImportReport {
    import_csv(
        config,
        csv.as_bytes(),
        &options(dry_run),
        Utc::from_micros(0),
        &mut |_| (),
    )
    .unwrap()
}

#[test]
fn a_claimed_lead_cannot_be_claimed_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 3);
    let lead = desk.fetch(1).remove(0);
    desk.claimed(&lead);
    let second = desk.claim(&lead);
    assert_eq!(
        desk.answer(),
        Input::ClaimRefused {
            attempt: second,
            store_failed: false
        }
    );
    assert_eq!(desk.count("SELECT COUNT(*) FROM attempts"), 1);
}

#[test]
fn leads_come_by_priority_and_none_is_handed_out_twice() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::with_leads(dir.path(), 30);
    let first = desk.fetch(12);
    let second = desk.fetch(50);
    assert_eq!(
        first.iter().map(|l| l.priority).collect::<Vec<_>>(),
        [[2; 10].as_slice(), &[1; 2]].concat()
    );
    let ids: BTreeSet<LeadId> = first.iter().chain(&second).map(|lead| lead.id).collect();
    assert_eq!((ids.len(), first.len() + second.len()), (30, 30));
    let back = first[0].id;
    desk.handle.request(StoreRequest::ReturnLeads {
        campaign: campaign(),
        leads: vec![back],
    });
    assert_eq!(
        desk.fetch(5).iter().map(|l| l.id).collect::<Vec<_>>(),
        [back]
    );
}

#[test]
fn claims_that_wait_together_share_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 400);
    let leads = desk.fetch(400);
    let before = desk.handle.counters().commits.load(Ordering::Relaxed);
    let attempts: BTreeSet<AttemptId> = leads.iter().map(|lead| desk.claim(lead)).collect();
    let stored: BTreeSet<AttemptId> = (0..400)
        .map(|_| match desk.answer() {
            Input::ClaimStored { attempt } => attempt,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(stored, attempts);
    let commits = desk.handle.counters().commits.load(Ordering::Relaxed) - before;
    assert!(commits < 100, "{commits} transactions for 400 claims");
}

#[test]
fn a_retry_comes_back_at_its_time_with_its_number_and_a_promised_callback_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 2);
    let leads = desk.fetch(2);
    let now = desk.time.load(Ordering::Relaxed).cast_signed();
    let attempt = desk.claimed(&leads[0]);
    let at = Utc::from_micros(now + 60_000_000);
    desk.resolve(
        attempt,
        leads[0].id,
        AttemptOutcome::Busy,
        LeadNext::Again { at, number: 0 },
    );
    let attempt = desk.claimed(&leads[1]);
    let callback_at = Some(Utc::from_micros(now + 30_000_000));
    desk.handle.request(StoreRequest::StoreDisposition {
        call: CallId(1),
        agent: "anna".parse().unwrap(),
        lead: Some(leads[1].id),
        disposition: "callback".parse().unwrap(),
        note: Some("after lunch".into()),
        callback_at,
    });
    desk.resolve(
        attempt,
        leads[1].id,
        AttemptOutcome::AnsweredAgent,
        LeadNext::Done,
    );
    assert_eq!(desk.fetch(5), []);
    desk.time.fetch_add(30_000_000, Ordering::Relaxed);
    assert!(desk.handle.sync(PATIENCE));
    let Input::CallbacksSupplied { callbacks, .. } = desk.answer() else {
        panic!("a callback is handed over by itself")
    };
    assert_eq!(callbacks.len(), 1);
    assert_eq!(callbacks[0].lead.id, leads[1].id);
    assert_eq!(Some(callbacks[0].at), callback_at);
    assert_eq!(callbacks[0].agent, Some("anna".parse().unwrap()));
    assert_eq!(
        callbacks[0].lead.last_disposition.unwrap().as_str(),
        "callback"
    );
    desk.time.fetch_add(30_000_000, Ordering::Relaxed);
    assert_eq!(
        desk.fetch(5).iter().map(|l| l.id).collect::<Vec<_>>(),
        [leads[0].id]
    );
}

#[test]
fn a_number_on_the_do_not_call_list_is_neither_handed_out_nor_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 3);
    let held = desk.fetch(1).remove(0);
    desk.handle.request(StoreRequest::StoreDoNotCall {
        number: held.number(),
    });
    let attempt = desk.claim(&held);
    assert_eq!(
        desk.answer(),
        Input::ClaimRefused {
            attempt,
            store_failed: false
        }
    );
    let rest = desk.fetch(2);
    assert_eq!(rest.len(), 2);
    for lead in &rest {
        desk.handle.request(StoreRequest::StoreDoNotCall {
            number: lead.number(),
        });
    }
    let ids = rest.iter().map(|lead| lead.id).collect();
    desk.handle.request(StoreRequest::ReturnLeads {
        campaign: campaign(),
        leads: ids,
    });
    assert_eq!(desk.fetch(2), []);
    let desk = desk.crash(dir.path());
    assert_eq!(desk.boot.do_not_call.len(), 3);
}

#[test]
fn a_stalled_database_refuses_claims_and_loses_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 2);
    let leads = desk.fetch(2);
    let ended = desk.claimed(&leads[0]);
    // Another writer holds the lock for longer than the store's patience.
    let config = StoreConfig {
        busy_timeout_ms: 20_000,
        ..desk.config.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut blocker = runtime.block_on(connect(&config)).unwrap();
    runtime
        .block_on(sqlx::query("BEGIN IMMEDIATE").execute(&mut blocker))
        .unwrap();
    desk.resolve(ended, leads[0].id, AttemptOutcome::Busy, LeadNext::Done);
    let attempt = desk.claim(&leads[1]);
    assert_eq!(
        desk.answer(),
        Input::ClaimRefused {
            attempt,
            store_failed: true
        }
    );
    runtime
        .block_on(sqlx::query("ROLLBACK").execute(&mut blocker))
        .unwrap();
    assert_eq!(
        desk.count("SELECT COUNT(*) FROM attempts WHERE outcome = 'busy'"),
        1
    );
    desk.claimed(&leads[1]);
}

#[test]
fn an_import_reports_every_line_that_it_does_not_take() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::at(dir.path().join("tandem.db"));
    let csv = "\u{feff}phone,phone2,name,time_zone,customer_key,priority,not_before,city\n\
        030 1234567,+43 1 2345,Anna,Europe/Berlin,k1,5,1970-01-02T00:00:00Z,Berlin\n\
        12x,,,,,,,\n\
        +4930999,,Bert,Mars/Olympus,,,,\n\
        ,,Nobody,,,,,\n\
        +4930888,,,,,high,,\n\
        too,few\n\
        +49301234567,,Twin,,,,,\n\
        +4930777,,Key twin,,k1,,,\n\
        0049 30 555,,Carl\u{7},,k2,,,Bonn\n";
    let dry = import(&config, csv, true);
    assert_eq!(
        (dry.accepted, dry.duplicates, dry.rejected_total),
        (2, 2, 5)
    );
    let real = import(&config, csv, false);
    assert_eq!(real, dry);
    let places: Vec<_> = real
        .rejected
        .iter()
        .map(|r| (r.line, r.column.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (3, "phone"),
            (4, "time_zone"),
            (5, "phone"),
            (6, "priority"),
            (7, "")
        ]
    );
    let again = import(&config, csv, false);
    assert_eq!((again.accepted, again.duplicates), (0, 4));

    let desk = Desk::open(config, Arc::new(AtomicU64::new(3_600_000_000)));
    let ready = desk.fetch(5);
    assert_eq!(ready.len(), 1, "the other one is not due before tomorrow");
    assert_eq!(ready[0].name.as_deref(), Some("Carl"));
    assert_eq!(ready[0].fields["city"], "Bonn");
    desk.time.store(86_400_000_000, Ordering::Relaxed);
    let due = desk.fetch(5);
    assert_eq!(
        due[0]
            .numbers
            .iter()
            .map(|n| n.to_string())
            .collect::<Vec<_>>(),
        ["+49301234567", "+4312345"]
    );
    assert_eq!(
        (due[0].priority, due[0].customer_key.as_deref()),
        (5, Some("k1"))
    );
}

/// Random dialling with crashes in between: at no time do two live attempts hold one lead, and every
/// attempt ever stored ends with exactly one outcome.
#[test]
fn over_random_days_with_crashes_no_lead_is_dialled_twice_at_once() {
    for seed in 0..4 {
        let mut rng = Rng::new(seed);
        let root = tempfile::tempdir().unwrap();
        let mut desk = Desk::with_leads(root.path(), 20);
        let (mut held, mut live) = (Vec::<model::Lead>::new(), Vec::<(AttemptId, LeadId)>::new());
        let (mut stored, mut boots) = (0, 0);
        for _ in 0..120 {
            match rng.below(20) {
                0..=4 => {
                    let leads = desk.fetch(1 + rng.below(4) as u32);
                    for lead in leads {
                        assert!(held.iter().all(|h| h.id != lead.id), "handed out twice");
                        assert!(
                            live.iter().all(|(_, l)| *l != lead.id),
                            "handed out while live"
                        );
                        held.push(lead);
                    }
                }
                5..=10 if !held.is_empty() => {
                    let lead = held.swap_remove(rng.below(held.len() as u64) as usize);
                    let attempt = desk.claimed(&lead);
                    stored += 1;
                    live.push((attempt, lead.id));
                }
                11..=17 if !live.is_empty() => {
                    let (attempt, lead) = live.swap_remove(rng.below(live.len() as u64) as usize);
                    let at = Utc::from_micros(desk.time.load(Ordering::Relaxed).cast_signed());
                    desk.resolve(
                        attempt,
                        lead,
                        AttemptOutcome::NoAnswer,
                        LeadNext::Again { at, number: 0 },
                    );
                }
                18 => {
                    assert!(desk.handle.sync(PATIENCE));
                    boots += 1;
                    let dir = root.path().join(boots.to_string());
                    std::fs::create_dir(&dir).unwrap();
                    desk = desk.crash(&dir);
                    assert_eq!(desk.boot.attempts_unknown, live.len() as u64);
                    held.clear();
                    live.clear();
                }
                _ => {
                    desk.time.fetch_add(1_800_000_000, Ordering::Relaxed);
                }
            }
        }
        assert_eq!(desk.count("SELECT COUNT(*) FROM attempts"), stored);
        let open = desk.count("SELECT COUNT(*) FROM attempts WHERE outcome IS NULL");
        assert_eq!(open, live.len() as i64);
    }
}

#[test]
fn a_lead_whose_claim_was_refused_is_not_held_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::at(dir.path().join("tandem.db"));
    import(&config, "phone,phone2\n+49301000000,+49301000001\n", false);
    let mut desk = Desk::open(config, Arc::new(AtomicU64::new(86_400_000_000)));
    let lead = desk.fetch(1).remove(0);
    desk.handle.request(StoreRequest::StoreDoNotCall {
        number: lead.number(),
    });
    let attempt = desk.claim(&lead);
    assert_eq!(
        desk.answer(),
        Input::ClaimRefused {
            attempt,
            store_failed: false
        }
    );
    let again = desk.fetch(1);
    assert_eq!(again.len(), 1, "at its other number");
    assert_eq!(again[0].number().to_string(), "+49301000001");
}

#[test]
fn a_database_has_one_process_and_the_other_is_told_which() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::with_leads(dir.path(), 1);
    let Err(StoreError::Locked { pid, .. }) =
        Store::open(&desk.config, clock_of(&desk.time), "test")
    else {
        panic!("two processes write to one database");
    };
    assert_eq!(pid, std::process::id().to_string());
    let Desk {
        config,
        time,
        handle,
        thread,
        ..
    } = desk;
    drop(handle);
    thread.join();
    Store::open(&config, clock_of(&time), "test").unwrap();
}

#[test]
fn every_endpoint_is_told_that_the_outbox_grew() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::with_leads(dir.path(), 1);
    let both = [desk.handle.outbox_grew(), desk.handle.outbox_grew()];
    let message = OutboxMessage {
        endpoint: "a".into(),
        order_key: "c1".into(),
        message: "1-1".into(),
        body: "{}".into(),
    };
    desk.handle.request(StoreRequest::Enqueue(vec![message]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for grew in both {
            tokio::time::timeout(PATIENCE, grew.notified())
                .await
                .unwrap();
        }
    });
}

#[test]
fn a_number_called_by_hand_is_one_lead_that_is_found_again_and_never_twice_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 1);
    let (agent, number) = ("anna".parse().unwrap(), "+12125550177".parse().unwrap());
    let ask = |desk: &Desk| {
        desk.handle.request(StoreRequest::AddLead {
            agent,
            campaign: campaign(),
            number,
        });
        match desk.answer() {
            Input::LeadAdded { lead, .. } => lead,
            other => panic!("{other:?}"),
        }
    };
    let lead = ask(&desk).expect("the number becomes a lead");
    assert_eq!((lead.number(), lead.attempts), (number, 0));
    assert_eq!(ask(&desk), None, "somebody is about to call it");
    let attempt = desk.claimed(&lead);
    assert_eq!(ask(&desk), None, "it is being called");
    desk.resolve(attempt, lead.id, AttemptOutcome::Busy, LeadNext::Done);
    let again = ask(&desk).expect("it may be called again");
    assert_eq!((again.id, again.attempts), (lead.id, 1));
    desk.handle.request(StoreRequest::ReturnLeads {
        campaign: campaign(),
        leads: vec![again.id],
    });
    assert_eq!(ask(&desk).map(|lead| lead.id), Some(lead.id));
    let plan = "EXPLAIN QUERY PLAN SELECT * FROM leads WHERE list = 'by_hand' AND numbers = '+1'";
    let plan = desk.text(plan);
    assert!(plan.contains("leads_by_hand"), "{plan}");
    desk.handle.request(StoreRequest::StoreDoNotCall { number });
    desk.handle.request(StoreRequest::ReturnLeads {
        campaign: campaign(),
        leads: vec![lead.id],
    });
    assert_eq!(ask(&desk), None, "nobody may call it any more");
}
