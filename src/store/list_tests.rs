//! Lists at the store: who is handed out, in what order, and who is not even looked at.

use super::tests::{Desk, campaign, list};
use super::*;
use call::Input;
use dialer::CampaignConfig;
use model::event::Mode;
use model::lead::LeadNext;
use model::{AttemptOutcome, Lead, LeadId, Rng, Utc};
use std::sync::atomic::{AtomicU64, Ordering};

/// A Wednesday in January, 08:30 in New York and 05:30 in Los Angeles.
const MORNING_US: u64 = 1_767_792_600_000_000;
/// The same day, 12:30 in New York and 09:30 in Los Angeles.
const NOON_US: u64 = MORNING_US + 4 * 3_600_000_000;

fn at_morning(config: &StoreConfig) -> Desk {
    Desk::open(config.clone(), Arc::new(AtomicU64::new(MORNING_US)))
}

/// A database with this file imported, for a campaign under US law with these lists.
fn store(dir: &std::path::Path, csv: &str, lists: &str) -> StoreConfig {
    let mut settings = CampaignConfig::new(Mode::Predictive, "+12125550100");
    settings.rules = vec!["us".into()];
    settings.lists = lists.split(' ').map(|name| name.parse().unwrap()).collect();
    let mut config = StoreConfig::at(dir.join("tandem.db"));
    config.dialer.campaigns.insert(campaign(), settings);
    import(&config, csv, &ImportOptions::of(list()));
    config
}

fn import(config: &StoreConfig, text: &str, options: &ImportOptions) -> ImportReport {
    let morning = Utc::from_micros(MORNING_US.cast_signed());
    import_csv(config, text.as_bytes(), options, morning, &mut |_| ()).unwrap()
}

fn names(leads: &[Lead]) -> Vec<&str> {
    leads
        .iter()
        .filter_map(|lead| lead.name.as_deref())
        .collect()
}

#[test]
fn who_cannot_be_called_now_is_not_handed_out_before_the_hours_begin() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "phone,name,time_zone,priority\n\
        +13105550100,Los Angeles,,9\n\
        +12125550100,New York,,0\n\
        +12125550101,moved to Los Angeles,America/Los_Angeles,5\n\
        +990123456789,nowhere,,-1\n";
    let desk = at_morning(&store(dir.path(), csv, "a"));
    assert_eq!(names(&desk.fetch(5)), ["New York", "nowhere"]);
    assert_eq!(desk.fetch(5), []);
    desk.time.store(NOON_US, Ordering::Relaxed);
    assert_eq!(
        names(&desk.fetch(5)),
        ["Los Angeles", "moved to Los Angeles"]
    );
}

#[test]
fn a_lead_is_in_the_place_of_the_number_that_is_next() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "phone,phone2,name\n+12125550100,+13105550100,Uma\n";
    let mut desk = at_morning(&store(dir.path(), csv, "a"));
    let lead = desk.fetch(1).remove(0);
    let attempt = desk.claimed(&lead);
    let at = Utc::from_micros(MORNING_US.cast_signed());
    let next = LeadNext::Again { at, number: 1 };
    desk.resolve(attempt, lead.id, AttemptOutcome::NoAnswer, next);
    assert_eq!(desk.fetch(1), [], "her other number is in California");
    assert_eq!(
        desk.count("SELECT place > 0 FROM leads"),
        1,
        "and she was placed there"
    );
    desk.time.store(NOON_US, Ordering::Relaxed);
    assert_eq!(names(&desk.fetch(1)), ["Uma"]);
}

#[test]
fn leads_of_before_there_were_places_are_placed_when_they_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "phone,name\n+13105550100,Los Angeles\n+12125550100,New York\n";
    let config = store(dir.path(), csv, "a");
    let desk = at_morning(&config);
    desk.write("UPDATE leads SET place = 0");
    assert_eq!(names(&desk.fetch(5)), ["New York"]);
    assert_eq!(desk.count("SELECT COUNT(*) FROM leads WHERE place = 0"), 0);
    desk.time.store(NOON_US, Ordering::Relaxed);
    assert_eq!(names(&desk.fetch(5)), ["Los Angeles"]);
}

#[test]
fn the_tops_of_many_places_are_merged_into_one_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(7);
    let mut csv = String::from("phone,name,priority,state\n");
    for n in 0..3_000 {
        let area = ["212", "305", "617", "404", "215"][rng.below(5) as usize];
        let state = ["", "NY", "FL", "MA", "GA"][rng.below(5) as usize];
        csv += &format!("+1{area}{},{n},{},{state}\n", 2_000_000 + n, rng.below(4));
    }
    let desk = at_morning(&store(dir.path(), &csv, "a"));
    desk.time.store(NOON_US, Ordering::Relaxed);
    let mut order = Vec::new();
    loop {
        let leads = desk.fetch(1 + rng.below(300) as u32);
        if leads.is_empty() {
            break;
        }
        order.extend(
            leads
                .iter()
                .map(|lead| (std::cmp::Reverse(lead.priority), lead.id)),
        );
    }
    assert_eq!(order.len(), 3_000);
    assert!(order.is_sorted(), "best first, whatever the place");
}

#[test]
fn picking_seeks_in_the_index_and_sorts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let desk = at_morning(&store(dir.path(), "phone\n+12125550100\n", "a"));
    let plan = desk.plan(shelf::READ_TOPS);
    assert!(
        plan.contains(
            "SEARCH leads USING COVERING INDEX leads_ready (list=? AND place=? AND cell=?)"
        ),
        "{plan}"
    );
    assert!(!plan.contains("SCAN leads"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    let plan = desk.plan(leads::PROMOTE);
    assert!(
        plan.contains("USING INDEX leads_scheduled (not_before<?)"),
        "{plan}"
    );
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn the_second_list_is_begun_when_the_first_has_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let config = store(dir.path(), "phone,name\n+12125550100,first\n", "a b");
    let other = ImportOptions::of("b".parse().unwrap());
    import(
        &config,
        "phone,name,priority\n+12125550101,second,9\n",
        &other,
    );
    let desk = at_morning(&config);
    desk.handle.request(StoreRequest::FetchLeads {
        campaign: campaign(),
        lists: vec![list(), "b".parse().unwrap()],
        count: 5,
    });
    let Input::LeadsSupplied {
        leads, exhausted, ..
    } = desk.answer()
    else {
        panic!("leads were asked for")
    };
    assert_eq!((names(&leads), exhausted), (vec!["first", "second"], true));
}

#[test]
fn json_is_read_as_an_array_and_as_lines_and_every_object_is_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::at(dir.path().join("tandem.db"));
    let array = r#"[
        {"phone": "+12125550100", "phone2": "+12125550101", "name": "Uma", "city": "New \"York\"", "orders": 3},
        {"phones": ["+12125550102"], "customer_key": "k1", "fields": {"segment": "gold"}},
        {"phone": "212"},
        {"phone": "+12125550103", "customer_key": "k1"},
        {"name": "Nobody"},
        {"phone": {"home": 1}}
    ]"#;
    let report = import(&config, array, &ImportOptions::of(list()));
    assert_eq!((report.accepted, report.duplicates), (2, 1));
    let places: Vec<_> = report
        .rejected
        .iter()
        .map(|r| (r.line, r.column.as_str()))
        .collect();
    assert_eq!(places, [(4, "phone"), (6, "phone"), (7, "phone")]);
    let lines = "{\"phone\": \"+12125550104\"}\n{broken\n{\"phone\": \"+12125550101\"}\n";
    let report = import(&config, lines, &ImportOptions::of(list()));
    assert_eq!(
        (report.accepted, report.duplicates, report.rejected_total),
        (1, 1, 1)
    );
    assert_eq!(report.rejected[0].line, 2);
    let leads = Desk::open(config, Arc::new(AtomicU64::new(NOON_US))).fetch(9);
    assert_eq!(leads[0].fields["city"], "New \"York\"");
    assert_eq!(leads[0].fields["orders"], "3");
    assert_eq!(leads[1].fields["segment"], "gold");
}

#[test]
fn a_number_of_another_list_is_a_duplicate_only_where_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::at(dir.path().join("tandem.db"));
    let csv = "phone;name\n+12125550100;Uma\n";
    let other = ImportOptions::of("b".parse().unwrap());
    assert_eq!(import(&config, csv, &ImportOptions::of(list())).accepted, 1);
    assert_eq!(import(&config, csv, &other).accepted, 1);
    let all = ImportOptions {
        dedupe: Dedupe::System,
        ..ImportOptions::of("c".parse().unwrap())
    };
    let report = import(&config, csv, &all);
    assert_eq!((report.accepted, report.duplicates), (0, 1));
}

#[test]
fn two_imports_at_once_are_refused_and_a_rejected_line_is_handed_over_whole() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::at(dir.path().join("tandem.db"));
    let csv = "phone,city\n212,New York\n+12125550100\n";
    let mut cells = Vec::new();
    let mut second = None;
    import_leads(
        &config,
        csv.as_bytes(),
        &ImportOptions::of(list()),
        Utc::from_micros(0),
        &mut |_| (),
        &mut |rejection, line| {
            let RejectedLine::Cells(_, record) = line else {
                panic!("it is CSV")
            };
            cells.push((rejection.line, record.len()));
            let nothing = &mut |_| ();
            let now = Utc::from_micros(0);
            second = import_csv(
                &config,
                csv.as_bytes(),
                &ImportOptions::of(list()),
                now,
                nothing,
            )
            .err();
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(cells, [(2, 2), (3, 1)]);
    assert!(
        matches!(second, Some(ImportError::Running(_))),
        "{second:?}"
    );
}

#[test]
fn calls_of_the_last_day_are_counted_for_the_number_they_showed() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::at(dir.path().join("tandem.db"));
    let desk = at_morning(&config);
    for (call, ago_h) in [(1, 1), (2, 1), (3, 23), (4, 30)] {
        let started = MORNING_US - ago_h * 3_600_000_000;
        desk.write(&format!(
            "INSERT INTO calls (call, started_at, ended_at, direction, outcome, record) \
             VALUES ({call}, {started}, {started}, 'outbound', 'x', '{{\"called\": \"+12125550100\"}}')"
        ));
    }
    let time = desk.time.clone();
    desk.end();
    let clock: Clock =
        Arc::new(move || Now::default().plus(Duration::from_micros(time.load(Ordering::Relaxed))));
    let (mut store, _) = Store::open(&config, clock, "test").unwrap();
    let shown = store.history(Duration::ZERO).unwrap().shown;
    let mut calls: Vec<u32> = shown.iter().map(|past| past.calls).collect();
    calls.sort();
    assert_eq!(calls, [1, 2]);
    assert_eq!(shown[0].number.to_string(), "+12125550100");
}

#[test]
fn a_finished_list_is_dialled_again_by_outcome_and_never_who_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut csv = String::from("phone,name,city\n");
    (0..6).for_each(|n| csv += &format!("+1212{},{n},\"New, York\"\n", 2_000_000 + n));
    let config = store(dir.path(), &csv, "a");
    let mut desk = at_morning(&config);
    let outcomes = [
        AttemptOutcome::NoAnswer,
        AttemptOutcome::NoAnswer,
        AttemptOutcome::Busy,
        AttemptOutcome::AnsweredAgent,
    ];
    for (lead, outcome) in desk.fetch(4).iter().zip(outcomes) {
        let attempt = desk.claimed(lead);
        desk.resolve(attempt, lead.id, outcome, LeadNext::Done);
    }
    assert_eq!(desk.count("SELECT COUNT(*) FROM leads WHERE state = 3"), 4);
    let mut lists = Lists::open(&config).unwrap();
    let counts = lists.counts().unwrap().remove(0);
    assert_eq!((counts.ready, counts.done), (2, 4));
    let again = [AttemptOutcome::NoAnswer, AttemptOutcome::AnsweredAgent];
    assert_eq!(lists.recycle(list(), &again, true).unwrap(), 2);
    assert_eq!(
        lists.counts().unwrap()[0].done,
        4,
        "a dry run changes nothing"
    );
    assert_eq!(lists.recycle(list(), &again, false).unwrap(), 2);
    assert_eq!(lists.recycle(list(), &again, false).unwrap(), 0);
    let ready = desk.fetch(9);
    let mut who = names(&ready);
    who.sort();
    assert_eq!(who, ["0", "1", "4", "5"]);
    assert!(
        ready.iter().all(|lead| lead.attempts == 0),
        "attempts are counted anew"
    );
    let lead = lists.find("+12122000000").unwrap().remove(0);
    assert_eq!(lead["name"], "0");
    assert_eq!(lead["attempts_made"][0]["outcome"], "no_answer");
    assert_eq!(lists.find(&lead["lead"].to_string()).unwrap(), [lead]);
    assert_eq!(lists.find("no number").unwrap().len(), 0);

    let mut exported = Vec::new();
    lists.export(list(), false, &mut exported).unwrap();
    let exported = String::from_utf8(exported).unwrap();
    let other = ImportOptions::of("b".parse().unwrap());
    let report = import(&config, &exported, &other);
    assert_eq!(
        (report.accepted, report.rejected_total),
        (6, 0),
        "{exported}"
    );
    let mut lines = Vec::new();
    lists.export(list(), true, &mut lines).unwrap();
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 6);
}

/// A callback asked for over the API, and the store's answer.
fn promise(
    desk: &Desk,
    lead: LeadId,
    at: CallbackTime,
    agent: Option<&str>,
) -> Result<Promise, CallbackError> {
    let (answer, wait) = crossbeam_channel::bounded(1);
    desk.handle.request(StoreRequest::SetCallback {
        lead,
        at,
        agent: agent.map(|agent| agent.parse().unwrap()),
        answer,
    });
    wait.recv_timeout(Duration::from_secs(20)).unwrap()
}

#[test]
fn a_callback_at_the_persons_own_time_is_handed_over_before_it_is_due_and_no_hopper_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "phone,name\n+12125550100,Uma\n+13105550100,Nora\n";
    let desk = at_morning(&store(dir.path(), csv, "a"));
    let ids: Vec<LeadId> = [1, 2].map(LeadId).to_vec();
    let noon = CallbackTime::Local("2026-01-07T12:00".parse().unwrap());
    let uma = promise(&desk, ids[0], noon, Some("anna")).unwrap();
    assert_eq!(
        (uma.at.as_str(), uma.agent.as_deref()),
        ("2026-01-07T17:00:00Z", Some("anna"))
    );
    let nora = promise(&desk, ids[1], noon, None).unwrap();
    assert_eq!(nora.at, "2026-01-07T20:00:00Z", "noon in California");
    assert_eq!(
        promise(&desk, LeadId(99), noon, None),
        Err(CallbackError::NoLead)
    );
    assert_eq!(desk.fetch(9), [], "they wait for their time");
    desk.time.store(NOON_US, Ordering::Relaxed);
    desk.handle.request(StoreRequest::FetchLeads {
        campaign: campaign(),
        lists: vec![list()],
        count: 9,
    });
    // The store looks at callbacks by itself, too: either answer may be the first.
    let mut supplied = None;
    let mut callbacks = None;
    for _ in 0..2 {
        match desk.answer() {
            Input::LeadsSupplied { leads, .. } => supplied = Some(leads),
            Input::CallbacksSupplied { callbacks: due, .. } => callbacks = Some(due),
            other => panic!("{other:?}"),
        }
    }
    let none = Vec::new();
    assert_eq!(
        supplied,
        Some(none),
        "and no hopper takes them when it has come"
    );
    let callbacks = callbacks.expect("the callback is handed over");
    let of = |callback: &dialer::input::Callback| (callback.lead.id, callback.agent);
    let anna = Some("anna".parse().unwrap());
    assert_eq!(
        callbacks.iter().map(of).collect::<Vec<_>>(),
        [(ids[0], anna)]
    );

    // A new time: the dialer forgets the old one, and has it again in its time.
    let at = Utc::from_micros(NOON_US.cast_signed()).plus_micros(2 * 3_600_000_000);
    promise(&desk, ids[0], CallbackTime::Instant(at), None).unwrap();
    assert_eq!(desk.answer(), Input::LeadWithdrawn { lead: ids[0] });
    let (answer, wait) = crossbeam_channel::bounded(1);
    desk.handle.request(StoreRequest::ListCallbacks { answer });
    let all = wait.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!(
        all.iter().map(|one| one.lead).collect::<Vec<_>>(),
        [ids[0], ids[1]]
    );
    let cancel = || {
        let (answer, wait) = crossbeam_channel::bounded(1);
        let lead = ids[0];
        desk.handle
            .request(StoreRequest::CancelCallback { lead, answer });
        wait.recv_timeout(Duration::from_secs(20)).unwrap()
    };
    assert!(cancel().is_ok());
    assert_eq!(cancel(), Err(CallbackError::NoCallback));
    assert_eq!(desk.count("SELECT COUNT(*) FROM leads WHERE state = 3"), 1);
}

#[test]
fn a_callback_is_claimed_once_survives_a_call_that_never_left_and_ends_with_one_that_did() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "phone,name\n+12125550100,Uma\n";
    let mut desk = at_morning(&store(dir.path(), csv, "a"));
    let now = Utc::from_micros(MORNING_US.cast_signed());
    promise(&desk, LeadId(1), CallbackTime::Instant(now), Some("anna")).unwrap();
    // The store may have looked for callbacks between what was asked last and this: it looks again later.
    let handed_over = |desk: &Desk| {
        let looks = std::iter::repeat_with(|| {
            desk.time.fetch_add(10_000_000, Ordering::Relaxed);
            assert!(desk.handle.sync(Duration::from_secs(20)));
            desk.inputs.try_recv().ok()
        });
        let input = looks.take(1_000).flatten().next().expect("a callback");
        let Input::CallbacksSupplied { mut callbacks, .. } = input else {
            panic!("{input:?}")
        };
        callbacks.remove(0).lead
    };
    let lead = handed_over(&desk);
    let first = desk.claimed(&lead);
    let second = desk.claim(&lead);
    let refused = Input::ClaimRefused {
        attempt: second,
        store_failed: false,
    };
    assert_eq!(desk.answer(), refused);
    let next = LeadNext::Again { at: now, number: 0 };
    desk.resolve(first, lead.id, AttemptOutcome::Cancelled, next);
    let lead = handed_over(&desk);
    let again = desk.claimed(&lead);
    desk.resolve(again, lead.id, AttemptOutcome::Busy, next);
    assert_eq!(desk.count("SELECT callback_for IS NULL FROM leads"), 1);
    assert_eq!(
        names(&desk.fetch(5)),
        ["Uma"],
        "it is a lead like others now"
    );
}
