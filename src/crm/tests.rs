//! Signatures, retries, order, addresses and pops, against a sink of our own.

use super::*;
use crate::bus::Inbox;
use crate::metrics::Metrics;
use crate::store::outbox::Outbox;
use crate::store::{Clock, OutboxMessage, Store, StoreConfig, StoreRequest};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use call::Input;
use crossbeam_channel::{Receiver, unbounded};
use guard::{AddressError, check_url, is_public};
use model::screen_pop::{Direction, PopPhase};
use model::{CallId, Now, OfferId, Rng, Utc};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use webhook::{Delivery, Publisher, Round, WebhookConfig, key_bytes, retry_at, signature};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Sink {
    answers: Mutex<VecDeque<u16>>,
    got: Mutex<Vec<(HeaderMap, String)>>,
}

async fn take(State(sink): State<Arc<Sink>>, headers: HeaderMap, body: String) -> StatusCode {
    sink.got.lock().push((headers, body));
    let answer = sink.answers.lock().pop_front().unwrap_or(200);
    StatusCode::from_u16(answer).unwrap()
}

async fn sink(answers: &[u16]) -> (Arc<Sink>, String) {
    let sink = Arc::new(Sink {
        answers: Mutex::new(answers.iter().copied().collect()),
        ..Sink::default()
    });
    let app = Router::new()
        .route("/hook", post(take))
        .with_state(sink.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (sink, url)
}

fn time_of(time: &Arc<AtomicU64>) -> Clock {
    let time = time.clone();
    Arc::new(move || Now::default().plus(Duration::from_micros(time.load(Ordering::Relaxed))))
}

struct Post {
    _dir: tempfile::TempDir,
    time: Arc<AtomicU64>,
    delivery: Delivery,
    outbox: Outbox,
}

/// Messages `(call, id)` in the outbox of an endpoint at this URL.
async fn posted(url: &str, messages: &[(&str, &str)]) -> Post {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "whsec_c2VjcmV0\n").unwrap();
    let store = StoreConfig::at(dir.path().join("tandem.db"));
    let time = Arc::new(AtomicU64::new(1_000_000_000));
    let (clock, config) = (time_of(&time), store.clone());
    let enqueue: Vec<OutboxMessage> = messages
        .iter()
        .map(|(call, id)| OutboxMessage {
            endpoint: "desk".into(),
            order_key: call.to_string(),
            message: id.to_string(),
            body: format!("{{\"id\":\"{id}\"}}"),
        })
        .collect();
    tokio::task::spawn_blocking(move || {
        let (store, _) = Store::open(&config, clock, "test").unwrap();
        let (handle, thread) = store
            .start(Inbox::new(unbounded().0, Arc::new(|| ())))
            .unwrap();
        handle.request(StoreRequest::Enqueue(enqueue));
        assert!(handle.sync(PATIENCE));
        drop(handle);
        thread.join();
    })
    .await
    .unwrap();
    let endpoint = WebhookConfig {
        name: "desk".into(),
        url: url.into(),
        secret: secret::Secret {
            env: None,
            file: Some(key),
            prefix: String::new(),
        },
        secret_before: None,
        events: vec!["*".into()],
        allow_private: true,
        timeout_ms: 5_000,
    };
    let outbox = Outbox::open(&store).await.unwrap();
    let metrics = Arc::new(Metrics::new());
    let delivery = Delivery::new(&endpoint, outbox, time_of(&time), 7, metrics).unwrap();
    Post {
        _dir: dir,
        time,
        delivery,
        outbox: Outbox::open(&store).await.unwrap(),
    }
}

#[tokio::test]
async fn a_webhook_is_signed_so_that_the_receiver_can_check_it() {
    let (sink, url) = sink(&[]).await;
    let mut post = posted(&url, &[("call-1", "m1")]).await;
    assert_eq!(post.delivery.deliver_due().await.unwrap().delivered, 1);
    let got = sink.got.lock();
    let (headers, body) = &got[0];
    assert_eq!(headers["webhook-id"], "m1");
    assert_eq!(headers["webhook-timestamp"], "1000");
    let expected = signature(&[b"secret".to_vec()], "m1", 1000, body);
    assert_eq!(headers["webhook-signature"], expected.as_str());
}

#[test]
fn the_signature_is_the_one_other_implementations_compute() {
    // The example of the Standard Webhooks specification.
    let key = key_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let body = r#"{"test": 2432232314}"#;
    let signed = signature(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body);
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn a_failed_message_is_tried_again_later_and_nothing_of_its_call_overtakes_it() {
    let (sink, url) = sink(&[500, 200]).await;
    let mut post = posted(
        &url,
        &[("call-1", "m1"), ("call-1", "m2"), ("call-2", "m3")],
    )
    .await;
    let first = post.delivery.deliver_due().await.unwrap();
    assert_eq!((first.delivered, first.failed), (1, 1));
    assert_eq!(
        post.delivery.deliver_due().await.unwrap(),
        Round::default(),
        "nothing is due"
    );
    post.time.fetch_add(6_000_000, Ordering::Relaxed);
    while post.delivery.deliver_due().await.unwrap().delivered > 0 {}
    let got = sink.got.lock();
    let of_one: Vec<_> = got
        .iter()
        .map(|(headers, _)| headers["webhook-id"].to_str().unwrap().to_string());
    let of_one: Vec<_> = of_one.into_iter().filter(|id| id != "m3").collect();
    // Which of the first two met the failure depends on who came first; the order of call 1 does not.
    assert!(
        of_one == ["m1", "m1", "m2"] || of_one == ["m1", "m2"],
        "{of_one:?}"
    );
    assert_eq!(post.outbox.depth("desk").await.unwrap(), (0, 0));
}

#[tokio::test]
async fn a_message_is_a_dead_letter_after_the_last_retry_and_can_be_replayed() {
    let (sink, url) = sink(&[503; 8]).await;
    let mut post = posted(&url, &[("call-1", "m1")]).await;
    for _ in 0..8 {
        post.delivery.deliver_due().await.unwrap();
        post.time.fetch_add(110_000_000_000, Ordering::Relaxed);
    }
    assert_eq!(sink.got.lock().len(), 8);
    assert_eq!(post.outbox.depth("desk").await.unwrap(), (0, 1));
    post.outbox
        .replay("desk", Utc::from_micros(0))
        .await
        .unwrap();
    assert_eq!(post.delivery.deliver_due().await.unwrap().delivered, 1);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_no_more() {
    let (sink, url) = sink(&[410]).await;
    let mut post = posted(&url, &[("call-1", "m1"), ("call-1", "m2")]).await;
    assert!(post.delivery.deliver_due().await.unwrap().disabled);
    assert!(post.delivery.deliver_due().await.unwrap().disabled);
    assert_eq!(sink.got.lock().len(), 1);
}

#[test]
fn retries_follow_the_schedule_within_its_jitter() {
    let mut rng = Rng::new(1);
    for (tries, wait_s) in (1..).zip(webhook::RETRY_AFTER_S) {
        let at = retry_at(tries, Utc::from_micros(0), &mut rng)
            .unwrap()
            .as_micros() as f64
            / 1e6;
        let off = at / f64::from(wait_s);
        assert!((0.8..=1.2).contains(&off), "{wait_s}: {at}");
    }
    assert_eq!(retry_at(8, Utc::from_micros(0), &mut rng), None);
}

#[test]
fn private_addresses_are_refused_however_they_are_written() {
    let refused = [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://10.1.2.3/",
        "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://2130706433/",
        "http://0x7f.1/",
    ];
    for url in refused {
        assert!(
            matches!(check_url(url, false), Err(AddressError::Private(_))),
            "{url}"
        );
        assert_eq!(check_url(url, true), Ok(()));
    }
    assert!(matches!(
        check_url("file:///etc/passwd", true),
        Err(AddressError::Scheme(_))
    ));
    assert!(is_public("93.184.216.34".parse().unwrap()));
    assert!(is_public("2606:4700::1".parse().unwrap()));
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_connected_to() {
    let client = guard::client(false, Duration::from_secs(5)).unwrap();
    let error = client.get("http://localhost:9/").send().await.unwrap_err();
    assert!(format!("{error:?}").contains("Private"), "{error:?}");
}

fn pop() -> ScreenPop {
    ScreenPop {
        offer: OfferId(1),
        agent: "anna".parse().unwrap(),
        call: CallId(2),
        phase: PopPhase::Offer,
        direction: Direction::Inbound,
        caller: "+49 30&x=1".into(),
        caller_name: None,
        called: "+49800".into(),
        queue: Some("sales".parse().unwrap()),
        campaign: None,
        attempt: None,
        priority: 0,
        waited_us: 0,
        skills: vec![],
        flow: None,
        ivr_path: vec![],
        variables: BTreeMap::from([("customer_key".to_string(), "k/1".to_string())]),
        lead: None,
        matches: vec![],
        open_url: None,
    }
}

#[test]
fn placeholders_are_percent_encoded_and_unknown_ones_left_alone() {
    let url = fill(
        "https://crm.example/s?q={caller}&k={customer_key}&c={campaign}&x={else}&{",
        &pop(),
    );
    assert_eq!(
        url,
        "https://crm.example/s?q=%2B49%2030%26x%3D1&k=k%2F1&c=&x={else}&{"
    );
}

struct PopDesk {
    pops: screen_pop::ScreenPops,
    sockets: Arc<sockets::AgentSockets>,
    inputs: Receiver<Input>,
}

fn pop_desk(adapter: Arc<dyn CrmAdapter>) -> PopDesk {
    let (sender, inputs) = unbounded();
    let sockets = sockets::AgentSockets::new();
    let parts = screen_pop::PopParts {
        sockets: sockets.clone(),
        adapter,
        inbox: Inbox::new(sender, Arc::new(|| ())),
        store: None,
        webhooks: Publisher::default(),
        metrics: Arc::new(Metrics::new()),
        clock: Arc::new(Now::default),
    };
    PopDesk {
        pops: screen_pop::ScreenPops::new(parts, tokio::runtime::Handle::current()),
        sockets,
        inputs,
    }
}

#[tokio::test]
async fn without_a_screen_the_phone_may_ring_at_once() {
    let desk = pop_desk(Arc::new(NoCrm));
    desk.pops.deliver(pop());
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::ScreenPopped {
            offer: OfferId(1),
            on_socket: false
        })
    );
}

#[tokio::test(start_paused = true)]
async fn the_phone_waits_for_the_written_pop_and_for_no_longer_than_its_bound() {
    let desk = pop_desk(Arc::new(UrlTemplate {
        url: "https://crm.example/{call}".into(),
    }));
    let mut seat = desk.sockets.connect("anna".parse().unwrap()).unwrap();
    desk.pops.deliver(pop());
    assert!(desk.inputs.try_recv().is_err(), "it is not written yet");
    let message = seat.outbound.recv().await.unwrap();
    assert!(message.text.contains("https://crm.example/call-2"));
    message.written.unwrap().send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::ScreenPopped {
            offer: OfferId(1),
            on_socket: true
        })
    );

    // A frozen browser: the message is never written.
    desk.pops.deliver(pop());
    let frozen = seat.outbound.recv().await.unwrap();
    tokio::time::sleep(screen_pop::SCREEN_POP_WAIT + Duration::from_millis(1)).await;
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::ScreenPopped {
            offer: OfferId(1),
            on_socket: false
        })
    );
    drop(frozen);
}

#[tokio::test]
async fn a_crm_that_answers_enriches_the_pop_after_the_first_one() {
    async fn find() -> axum::Json<serde_json::Value> {
        axum::Json(serde_json::json!({ "data": { "contacts": [
            { "id": 7, "who": { "name": "Ada" }, "link": "https://crm.example/7" },
            { "id": 8, "link": "javascript:alert(1)" },
        ] } }))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/find", axum::routing::get(find));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config: CrmConfig = toml::from_str(&format!(
        "adapter = \"http-json\"\nurl = \"http://{address}/find?q={{caller}}\"\nmatches = \"data.contacts\"\n\
         key = \"id\"\ntitle = \"who.name\"\nopen_url = \"link\"\nallow_private = true\nbudget_ms = 5000"
    ))
    .unwrap();
    let desk = pop_desk(adapter(&config).unwrap());
    let mut seat = desk.sockets.connect("anna".parse().unwrap()).unwrap();
    desk.pops.deliver(pop());
    let first = seat.outbound.recv().await.unwrap();
    assert!(first.text.contains("\"matches\":[]"));
    first.written.unwrap().send(()).unwrap();
    let second: serde_json::Value =
        serde_json::from_str(&seat.outbound.recv().await.unwrap().text).unwrap();
    assert_eq!(second["pop"]["open_url"], "https://crm.example/7");
    assert_eq!(second["pop"]["matches"][0]["title"], "Ada");
    assert_eq!(second["pop"]["matches"][1]["url"], serde_json::Value::Null);
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused() {
    assert!(
        toml::from_str::<CrmConfig>("adapter = \"url-template\"\nurl = \"x\"\nurll = \"y\"")
            .is_err()
    );
    assert!(toml::from_str::<StoreConfig>("pat = \"x\"").is_err());
}
