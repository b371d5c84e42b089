//! kill -9 at any instant, a database that stalls, an endpoint that is down, an orderly end: the
//! `tandem serve` of these tests is a process of its own, and what its carrier saw is the truth.

#[path = "restart/house.rs"]
mod house;
#[path = "restart/sipp.rs"]
mod sipp;

use house::{Boot, House, Street, wait_for};
use model::Rng;
use serde_json::json;
use sip_testbed::{Answering, Script, StationId};
use sipp::Carrier;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kills of the usual run; `TANDEM_RESTART_KILLS` asks for more.
const KILLS: u32 = 200;
/// Leads per kill, so that the list outlasts the last one.
const LEADS_PER_KILL: u32 = 8;
/// Kills fall into the life of a process up to here.
const LIFE_MS: u64 = 500;

/// The last digit of a person's number, which decides what SIPp does: most are busy or gone, so that the
/// list moves; some answer, few after long, and few let it ring.
fn last_digit(rng: &mut Rng) -> u32 {
    match rng.below(100) {
        0 => 6,
        1 => 7,
        2..30 => 8,
        30..65 => 5,
        _ => 0,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A person who is called: many are busy, so that the list moves; some answer and talk.
fn customer(rng: &mut Rng) -> Answering {
    let chance = rng.unit();
    if chance < 0.4 {
        let script = Script {
            hang_up_after: Some(ms(300 + rng.below(900))),
            tone_hz: 600,
            ..Script::default()
        };
        Answering::Answer {
            after: ms(30 + rng.below(300)),
            script,
        }
    } else if chance < 0.85 {
        Answering::Refuse {
            after: ms(20 + rng.below(100)),
            status: 486,
        }
    } else {
        Answering::Refuse {
            after: ms(20),
            status: 404,
        }
    }
}

fn agent(rng: &mut Rng) -> Answering {
    let script = Script {
        hang_up_after: Some(ms(200 + rng.below(500))),
        tone_hz: 1_000,
        ..Script::default()
    };
    Answering::Answer {
        after: ms(10),
        script,
    }
}

/// An agent who never hangs up first.
fn patient_agent(_: &mut Rng) -> Answering {
    Answering::Answer {
        after: ms(10),
        script: Script {
            tone_hz: 1_000,
            ..Script::default()
        },
    }
}

fn dial(house: &House, boot: &Boot, running: bool) {
    house.post(boot, "/v1/campaigns/spring", &json!({ "running": running }));
}

/// Somebody calls, and talks for so long.
fn call_in(street: &Street, carrier: StationId, boot: &Boot, talk: Option<Duration>) {
    let sip = boot.sip;
    let script = Script {
        hang_up_after: talk,
        tone_hz: 600,
        ..Script::default()
    };
    street
        .with(move |lab| lab.call(carrier, sip, "+16465550001", "+12125550100", None, script))
        .expect("the carrier calls");
}

#[test]
fn a_campaign_that_is_killed_again_and_again_loses_no_lead_and_dials_none_twice() {
    let kills = std::env::var("TANDEM_RESTART_KILLS")
        .ok()
        .map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let seed = std::env::var("TANDEM_RESTART_SEED")
        .ok()
        .map_or(7, |seed| seed.parse().expect("a seed"));
    let leads = kills * LEADS_PER_KILL;
    let carrier = Carrier::by_number();
    let house = House::build(carrier.at, None);
    let mut rng = Rng::new(seed);
    house.import_leads(leads, |_| last_digit(&mut rng));

    let mut up = Vec::new();
    let mut in_the_middle = 0;
    for _ in 0..kills {
        let life = ms(rng.below(LIFE_MS));
        // Some die while they start, most while they dial.
        if rng.chance(0.2) {
            house.spawn().kill_after(life.min(ms(300)));
            continue;
        }
        let boot = house.start();
        up.push(boot.up_after);
        let phones = house.staff(&boot, agent);
        dial(&house, &boot, true);
        let before = carrier.invites().len();
        let until = std::time::Instant::now() + life;
        wait_for("it has lived", || std::time::Instant::now() >= until);
        boot.kill();
        in_the_middle += u32::from(carrier.invites().len() > before);
        drop(phones);
    }
    assert!(
        in_the_middle * 2 > kills,
        "only {in_the_middle} of {kills} kills hit a dialling process"
    );

    let boot = house.start();
    up.push(boot.up_after);
    let phones = house.staff(&boot, agent);
    dial(&house, &boot, true);
    // One call per agent as the kills have spent the budget: how long that takes is the machine's affair.
    let undone = || house.count("SELECT COUNT(*) FROM leads WHERE state <> 3");
    let mut left = undone();
    while left > 0 {
        wait_for("the list gets shorter", || undone() < left);
        left = undone();
    }
    boot.terminate();
    assert!(boot.ended().success(), "an orderly end");
    drop(phones);
    let audited = house.assert_audited();
    assert!(audited * 2 > kills as usize, "only {audited} logs");

    let seen = carrier.invites();
    let mut called: BTreeMap<&str, u32> = BTreeMap::new();
    seen.values()
        .for_each(|number| *called.entry(number).or_default() += 1);
    let twice: Vec<_> = called.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(twice, Vec::<(&&str, &u32)>::new(), "dialled twice");

    let attempt_ids = |sql: &str| -> BTreeSet<String> {
        let bits = house
            .rows(sql)
            .into_iter()
            .map(|id| id.parse::<i64>().expect("an id").cast_unsigned());
        bits.map(|bits| model::AttemptId(bits).to_string())
            .collect()
    };
    let claimed = attempt_ids("SELECT CAST(attempt AS TEXT) FROM attempts");
    let recorded = attempt_ids("SELECT CAST(attempt AS TEXT) FROM calls WHERE attempt IS NOT NULL");
    let invited: BTreeSet<String> = seen
        .keys()
        .map(|call_id| call_id.split('@').next().expect("a Call-ID").to_string())
        .collect();
    assert_eq!(
        invited.difference(&claimed).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "INVITEs without a claim"
    );
    assert_eq!(
        invited.difference(&recorded).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "INVITEs without a record"
    );
    assert_eq!(
        house.count("SELECT COUNT(*) FROM attempts WHERE outcome IS NULL"),
        0,
        "attempts without an outcome"
    );
    assert_eq!(house.count("SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE attempt IS NOT NULL GROUP BY attempt HAVING COUNT(*) > 1)"), 0);
    assert_eq!(
        house.count("SELECT COUNT(*) FROM leads"),
        i64::from(leads),
        "leads lost"
    );
    assert_eq!(
        house.count("SELECT COUNT(DISTINCT lead) FROM attempts"),
        i64::from(leads),
        "leads never tried"
    );
    assert_eq!(
        house.count("SELECT COUNT(*) FROM attempts"),
        i64::from(leads),
        "one attempt each"
    );

    up.sort_unstable();
    let unknown = house.count("SELECT COUNT(*) FROM attempts WHERE outcome = 'unknown_restart'");
    eprintln!(
        "{kills} kills, {in_the_middle} of them while dialling; {} INVITEs for {leads} leads, {unknown} cut off; \
         up after {:?} (fastest), {:?} (median), {:?} (slowest)",
        invited.len(),
        up[0],
        up[up.len() / 2],
        up[up.len() - 1],
    );
    assert!(
        up[0] < Duration::from_secs(1),
        "back in under a second: {up:?}"
    );
}

#[test]
fn a_live_call_gets_its_record_after_a_kill() {
    let street = Street::open();
    let (id, carrier) = street.carrier(|_, rng| customer(rng));
    let house = House::build(carrier, None);
    let boot = house.start();
    let _phones = house.staff(&boot, patient_agent);
    call_in(&street, id, &boot, None);
    wait_for("they talk", || {
        house.get(&boot, "/v1/board").contains("\"on_call\"")
    });
    assert_eq!(house.count("SELECT COUNT(*) FROM calls"), 0);
    boot.kill();

    let boot = house.start();
    wait_for("the record is there", || {
        house.count("SELECT COUNT(*) FROM calls") == 1
    });
    let outcome = house.rows("SELECT direction || ' ' || outcome FROM calls");
    assert_eq!(outcome, ["inbound unknown_restart"]);
    let bridged = house.rows("SELECT json_extract(record, '$.agents[0]') FROM calls");
    assert_eq!(bridged.len(), 1, "the agent who talked is in the record");
    wait_for("the boot is folded", || {
        house.count("SELECT folded FROM boots WHERE boot = 1") == 1
    });
    boot.terminate();
    assert!(boot.ended().success());
    assert_eq!(house.count("SELECT COUNT(*) FROM calls"), 1);
}

#[test]
fn a_second_process_on_the_same_data_is_refused_and_told_who_is_there() {
    let house = House::build("127.0.0.1:9".parse().unwrap(), None);
    let boot = house.start();
    let (status, said) = house.spawn().refused();
    assert!(!status.success());
    assert!(said.contains("has this database"), "{said}");
    boot.kill();
    house.start().kill();
}

#[test]
fn while_the_database_is_held_calls_go_on_and_nobody_is_dialled() {
    let street = Street::open();
    let (id, carrier) = street.carrier(|_, rng| customer(rng));
    let house = House::build(carrier, None);
    house.import_leads(400, |n| n % 10);
    let boot = house.start();
    let _phones = house.staff(&boot, agent);
    dial(&house, &boot, true);
    wait_for("it dials", || street.report().invites_seen.len() > 10);

    let held = house.hold_database();
    wait_for("records are spooled", || {
        house.metric(&boot, "tandem_store_spooled_records") > 0.0
    });
    let dialled = street.report().invites_seen.len();
    let answered = street.report().originated_answered;
    call_in(&street, id, &boot, Some(ms(500)));
    wait_for("a caller is served", || {
        street.report().originated_answered > answered
    });
    wait_for("and has hung up", || {
        !house.get(&boot, "/v1/calls").contains("\"inbound\"")
    });
    assert_eq!(
        street.report().invites_seen.len(),
        dialled,
        "dialled without a claim that is durable"
    );
    drop(held);

    wait_for("it dials again", || {
        street.report().invites_seen.len() > dialled
    });
    wait_for("the caller's record arrives", || {
        house.count("SELECT COUNT(*) FROM calls WHERE direction = 'inbound'") == 1
    });
    dial(&house, &boot, false);
    boot.terminate();
    assert!(boot.ended().success());
    let invites = street.report().invites_seen.len() as i64;
    assert_eq!(
        house.count("SELECT COUNT(*) FROM calls WHERE direction = 'outbound'"),
        invites,
        "a record of every INVITE"
    );
    assert_eq!(
        house.count("SELECT COUNT(*) FROM attempts WHERE outcome IS NULL"),
        0
    );
}

#[test]
fn an_orderly_end_lets_the_live_call_finish_and_refuses_the_next() {
    let street = Street::open();
    let (id, carrier) = street.carrier(|_, rng| customer(rng));
    let house = House::build(carrier, None);
    let boot = house.start();
    let _phones = house.staff(&boot, patient_agent);
    call_in(&street, id, &boot, None);
    wait_for("they talk", || {
        house.get(&boot, "/v1/board").contains("\"on_call\"")
    });
    boot.terminate();
    wait_for("it drains", || {
        house.get(&boot, "/health").contains("draining")
    });
    call_in(&street, id, &boot, None);
    wait_for("the next is refused", || {
        street.report().originated_failed == 1
    });
    street.with(|lab| lab.hang_up_all());
    let status = boot.ended();
    assert!(status.success(), "{status}");
    let outcomes =
        house.rows("SELECT outcome FROM calls WHERE json_extract(record, '$.bridged') IS NOT NULL");
    assert_eq!(outcomes, ["answered"]);
}

/// What an endpoint that was down was sent once it was up: ids in order.
#[derive(Default)]
struct Crm {
    is_up: AtomicBool,
    refused: Mutex<u32>,
    messages: Mutex<Vec<(String, String, u64)>>,
}

async fn take(
    axum::extract::State(crm): axum::extract::State<Arc<Crm>>,
    body: String,
) -> axum::http::StatusCode {
    if !crm.is_up.load(Ordering::Acquire) {
        *crm.refused.lock().unwrap() += 1;
        return axum::http::StatusCode::SERVICE_UNAVAILABLE;
    }
    let message: serde_json::Value = serde_json::from_str(&body).unwrap();
    let text = |key: &str| message[key].as_str().unwrap_or_default().to_string();
    crm.messages.lock().unwrap().push((
        text("id"),
        text("subject"),
        message["seq"].as_u64().unwrap(),
    ));
    axum::http::StatusCode::OK
}

#[test]
fn an_endpoint_that_was_down_gets_everything_in_order_though_the_process_was_killed_meanwhile() {
    let crm = Arc::new(Crm::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let endpoint = listener.local_addr().unwrap();
    let app = axum::Router::new()
        .route("/", axum::routing::post(take))
        .with_state(crm.clone());
    runtime.spawn(async move { axum::serve(listener, app).await });

    let street = Street::open();
    let (id, carrier) = street.carrier(|_, rng| customer(rng));
    let house = House::build(carrier, Some(endpoint));
    let boot = house.start();
    let phones = house.staff(&boot, agent);
    (0..3).for_each(|_| call_in(&street, id, &boot, Some(ms(400))));
    wait_for("three calls are over", || {
        house.count("SELECT COUNT(*) FROM calls") == 3
    });
    wait_for("it was tried", || *crm.refused.lock().unwrap() > 0);
    wait_for("all is durable", || {
        house.metric(&boot, "tandem_store_lag_requests") == 0.0
    });
    let expected: BTreeSet<String> = house
        .events(1)
        .iter()
        .filter(|event| {
            event["fact"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("call_"))
        })
        .map(|event| format!("1-{}", event["seq"]))
        .collect();
    assert!(
        expected.len() >= 9,
        "arrived, bridged and ended of three calls: {expected:?}"
    );
    boot.kill();
    drop(phones);

    crm.is_up.store(true, Ordering::Release);
    let boot = house.start();
    wait_for("everything has arrived", || {
        let got: BTreeSet<String> = crm
            .messages
            .lock()
            .unwrap()
            .iter()
            .map(|(id, _, _)| id.clone())
            .collect();
        expected.is_subset(&got)
    });
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for (id, subject, seq) in crm
        .messages
        .lock()
        .unwrap()
        .iter()
        .filter(|(id, _, _)| id.starts_with("1-"))
    {
        let before = last.insert(subject.clone(), *seq);
        assert!(
            before.is_none_or(|before| before <= *seq),
            "{id} of {subject} came after {before:?}"
        );
    }
    boot.kill();
}
