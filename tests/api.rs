//! The API over real HTTP and WebSockets on a port of the system's choice, against a channel that
//! stands for the engine.

use call::Input;
use call::input::AgentAction;
use crossbeam_channel::{Receiver, unbounded};
use futures_util::{SinkExt, StreamExt};
use model::event::Mode;
use model::screen_pop::Direction;
use model::{AgentId, AgentState, CallId, Event, Fact, Now, QueueId, QueueOutcome, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tandem::api::auth::{Role, TokenConfig, token_hash};
use tandem::api::board::{Board, Feed};
use tandem::api::{ApiConfig, ApiParts, serve};
use tandem::bus::{self, BusHandle, BusParts, Inbox};
use tandem::crm::sockets::AgentSockets;
use tandem::crm::webhook::Publisher;
use tandem::metrics::Metrics;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const PATIENCE: Duration = Duration::from_secs(20);

struct Desk {
    address: SocketAddr,
    inputs: Receiver<Input>,
    bus: BusHandle,
    feed: Arc<Feed>,
    sockets: Arc<AgentSockets>,
    client: reqwest::Client,
    seq: u64,
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

fn anna() -> AgentId {
    "anna".parse().unwrap()
}

fn sales() -> QueueId {
    "sales".parse().unwrap()
}

fn token(name: &str, role: Role, agent: Option<AgentId>) -> TokenConfig {
    TokenConfig {
        name: name.into(),
        sha256: token_hash(name),
        role,
        agent,
    }
}

impl Desk {
    async fn open() -> Desk {
        let board = Board::of(
            [anna(), "bert".parse().unwrap()],
            [sales()],
            ["spring".parse().unwrap()],
            Utc::from_micros(0),
        );
        let feed = Feed::new(3, board);
        let metrics = Arc::new(Metrics::new());
        let parts = BusParts {
            log: None,
            store: None,
            metrics: metrics.clone(),
            feed: feed.clone(),
            webhooks: Publisher::default(),
            on_record: None,
        };
        let (bus, _thread) = bus::start(parts).unwrap();
        let (sender, inputs) = unbounded();
        let sockets = AgentSockets::new();
        let config = ApiConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tokens: vec![
                token("boss", Role::Supervisor, None),
                token("anna-token", Role::Agent, Some(anna())),
            ],
            metrics_open: false,
            origins: vec!["https://desk.example".into()],
        };
        let inbox = Inbox::new(sender, Arc::new(|| ()));
        let parts = ApiParts {
            feed: feed.clone(),
            sockets: sockets.clone(),
            inbox,
            metrics,
            store: None,
        };
        let (address, _server) = serve(&config, parts, std::future::pending()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Desk {
            address,
            inputs,
            bus,
            feed,
            sockets,
            client,
            seq: 0,
        }
    }

    fn say(&mut self, fact: Fact) {
        self.seq += 1;
        let at = Now::default().plus(Duration::from_micros(self.seq));
        self.bus.send(vec![Event {
            seq: self.seq,
            at,
            fact,
        }]);
    }

    /// Until the bus has handed everything said to the API.
    async fn settle(&self) {
        let (behind, mut tail) = self.feed.follow(None, |board| board.seq).unwrap();
        for _ in behind..self.seq {
            tokio::time::timeout(PATIENCE, tail.next())
                .await
                .unwrap()
                .unwrap();
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .client
            .request(method, format!("http://{}{path}", self.address));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_string();
        let text = answer.text().await.unwrap();
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if status.is_client_error() {
            assert_eq!(kind, "application/problem+json");
            assert_eq!(value["status"], status.as_u16());
        }
        (status, value)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask(Method::GET, path, "boss", None).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        value
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, token, Some(body)).await
    }

    async fn socket(
        &self,
        path: &str,
        token: &str,
        origin: Option<&str>,
    ) -> Result<Socket, StatusCode> {
        let mut request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status()),
            Err(other) => panic!("{other}"),
        }
    }
}

async fn read(socket: &mut Socket) -> Value {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
        {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
            Message::Close(why) => panic!("closed: {why:?}"),
        }
    }
}

fn arrived(call: u64) -> Fact {
    Fact::CallArrived {
        call: CallId(call),
        leg: model::LegId(call),
        trunk: "carrier".parse().unwrap(),
        caller: "+4930123456".into(),
        caller_name: None,
        called: "+49800".into(),
    }
}

fn entered(call: u64) -> Fact {
    let (priority, skills) = (0, vec![]);
    Fact::QueueEntered {
        call: CallId(call),
        queue: sales(),
        direction: Direction::Inbound,
        priority,
        skills,
    }
}

fn available(agent: AgentId) -> Fact {
    let (was, is) = (AgentState::SignedOut, AgentState::Available);
    Fact::AgentStateChanged {
        agent,
        was,
        is,
        was_for_us: 0,
    }
}

#[tokio::test]
async fn without_a_known_token_nothing_is_given_but_health() {
    let desk = Desk::open().await;
    let (status, health) = desk.ask(Method::GET, "/health", "", None).await;
    assert_eq!((status, &health["status"]), (StatusCode::OK, &json!("ok")));
    for path in [
        "/v1/board",
        "/v1/agents",
        "/v1/queues",
        "/v1/campaigns",
        "/v1/calls",
        "/v1/events",
        "/metrics",
    ] {
        for token in ["", "guess"] {
            let (status, problem) = desk.ask(Method::GET, path, token, None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(problem["code"], "token_required");
        }
    }
    for path in [
        "/v1/agents/anna/actions",
        "/v1/queues/sales",
        "/v1/campaigns/spring",
        "/v1/do-not-call",
    ] {
        let (status, _) = desk.post(path, "", json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn an_agent_acts_as_itself_and_as_nobody_else() {
    let desk = Desk::open().await;
    let ready = json!({ "action": "ready" });
    let (status, _) = desk
        .post("/v1/agents/anna/actions", "anna-token", ready.clone())
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::Agent {
            agent: anna(),
            action: AgentAction::Ready
        })
    );
    for path in [
        "/v1/agents/bert/actions",
        "/v1/queues/sales",
        "/v1/campaigns/spring",
        "/v1/do-not-call",
    ] {
        let (status, problem) = desk.post(path, "anna-token", ready.clone()).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::FORBIDDEN, &json!("role_forbidden")),
            "{path}"
        );
    }
    assert_eq!(
        desk.socket("/v1/agents/bert/socket", "anna-token", None)
            .await
            .err(),
        Some(StatusCode::FORBIDDEN)
    );
    assert_eq!(
        desk.socket("/v1/events", "anna-token", None).await.err(),
        Some(StatusCode::FORBIDDEN)
    );
    let (_, agents) = desk
        .ask(Method::GET, "/v1/agents", "anna-token", None)
        .await;
    assert_eq!(agents["agents"].as_array().unwrap().len(), 1);
    assert!(
        desk.inputs.try_recv().is_err(),
        "nothing forbidden reached the engine"
    );
}

#[tokio::test]
async fn wishes_become_inputs_and_bad_ones_problems_with_stable_codes() {
    let desk = Desk::open().await;
    let body = json!({ "running": true, "mode": "progressive" });
    assert_eq!(
        desk.post("/v1/campaigns/spring", "boss", body).await.0,
        StatusCode::ACCEPTED
    );
    let campaign = "spring".parse().unwrap();
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::SetCampaignMode {
            campaign,
            mode: Mode::Progressive
        })
    );
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::SetCampaignRunning {
            campaign,
            running: true
        })
    );
    desk.post("/v1/queues/sales", "boss", json!({ "open": false }))
        .await;
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::SetQueueOpen {
            queue: sales(),
            open: false
        })
    );
    desk.post(
        "/v1/do-not-call",
        "boss",
        json!({ "number": "+49 30 123456" }),
    )
    .await;
    let number = "+4930123456".parse().unwrap();
    assert_eq!(desk.inputs.try_recv(), Ok(Input::DoNotCall { number }));

    let bad = [
        (
            "/v1/campaigns/autumn",
            json!({ "running": true }),
            404,
            "campaign_unknown",
        ),
        ("/v1/campaigns/spring", json!({}), 400, "body_invalid"),
        (
            "/v1/campaigns/spring",
            json!({ "runing": true }),
            400,
            "body_invalid",
        ),
        (
            "/v1/queues/none",
            json!({ "open": true }),
            404,
            "queue_unknown",
        ),
        (
            "/v1/agents/nobody/actions",
            json!({ "action": "ready" }),
            404,
            "agent_unknown",
        ),
        (
            "/v1/agents/a%20b/actions",
            json!({ "action": "ready" }),
            400,
            "id_invalid",
        ),
        (
            "/v1/agents/anna/actions",
            json!({ "action": "dance" }),
            400,
            "body_invalid",
        ),
        (
            "/v1/do-not-call",
            json!({ "number": "030" }),
            400,
            "body_invalid",
        ),
        ("/v1/nothing", json!({}), 404, "path_unknown"),
        ("/v1/calls", json!({}), 405, "method_not_allowed"),
    ];
    for (path, body, status, code) in bad {
        let (got, problem) = desk.post(path, "boss", body).await;
        assert_eq!(
            (got.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
    assert!(desk.inputs.try_recv().is_err());
}

#[tokio::test]
async fn the_board_shows_what_the_events_say() {
    let mut desk = Desk::open().await;
    desk.say(available(anna()));
    desk.say(arrived(1));
    desk.say(entered(1));
    desk.say(arrived(2));
    desk.say(entered(2));
    desk.say(Fact::QueueLeft {
        call: CallId(2),
        queue: sales(),
        direction: Direction::Inbound,
        outcome: QueueOutcome::Abandoned,
        waited_us: 9,
        short: true,
        during_offer: false,
        within_target: true,
    });
    desk.settle().await;
    let queues = desk.get("/v1/queues").await;
    assert_eq!(queues["seq"], 6);
    let queue = &queues["queues"][0];
    assert_eq!(
        (&queue["waiting"], &queue["offered"], &queue["abandoned"]),
        (&json!(1), &json!(2), &json!(1))
    );
    let agents = desk.get("/v1/agents").await;
    assert_eq!(agents["agents"][0]["state"], "available");
    assert_eq!(agents["agents"][1]["state"], "signed_out");
    let calls = desk.get("/v1/calls").await;
    assert_eq!(calls["calls"][0]["stage"], "waiting");
    assert_eq!(
        desk.get("/v1/board").await["calls"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let metrics = desk.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("tandem_queue_waiting{queue=\"sales\"} 1"));
    assert!(metrics.contains("tandem_ledger_residual{book=\"queues\"} 0"));
    assert!(
        !metrics.contains("4930"),
        "no number of a caller in a metric"
    );
}

#[tokio::test]
async fn a_snapshot_and_the_events_after_it_have_no_gap_and_no_overlap() {
    let mut desk = Desk::open().await;
    for call in 1..=20 {
        desk.say(arrived(call));
    }
    desk.settle().await;
    let seq = desk.get("/v1/calls").await["seq"].as_u64().unwrap();
    for call in 21..=40 {
        desk.say(arrived(call));
    }
    let mut socket = desk
        .socket(&format!("/v1/events?from_seq={}", seq + 1), "boss", None)
        .await
        .unwrap();
    for call in 41..=60 {
        desk.say(arrived(call));
    }
    for expected in seq + 1..=60 {
        let event = read(&mut socket).await;
        assert_eq!(event["seq"], expected);
        assert_eq!(event["id"], format!("3-{expected}"));
        assert_eq!(event["type"], "tandem.call.arrived.v1");
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["callid"], format!("call-{expected}"));
        assert_eq!(event["data"]["caller"], "+4930123456");
    }
}

#[tokio::test]
async fn the_event_stream_resumes_after_the_last_event_seen() {
    let mut desk = Desk::open().await;
    for call in 1..=5 {
        desk.say(arrived(call));
    }
    desk.settle().await;
    let mut answer = desk
        .client
        .get(format!("http://{}/v1/events?from_seq=1", desk.address))
        .bearer_auth("boss")
        .header("last-event-id", "3")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while text.matches("\n\n").count() < 2 {
        let chunk = tokio::time::timeout(PATIENCE, answer.chunk())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        text += std::str::from_utf8(&chunk).unwrap();
    }
    let ids: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(ids, ["4", "5"]);
    assert!(text.contains("event: tandem.call.arrived.v1"));
}

#[tokio::test]
async fn an_agents_screen_gets_its_pops_and_events_and_sends_actions() {
    let mut desk = Desk::open().await;
    let mut socket = desk
        .socket("/v1/agents/anna/socket", "anna-token", None)
        .await
        .unwrap();
    let snapshot = read(&mut socket).await;
    assert_eq!(
        (&snapshot["type"], &snapshot["agent"]["state"]),
        (&json!("snapshot"), &json!("signed_out"))
    );

    desk.say(available("bert".parse().unwrap()));
    desk.say(available(anna()));
    let event = read(&mut socket).await;
    assert_eq!(
        event["event"]["data"]["agent"], "anna",
        "another agent's change is not told"
    );

    let receipts = desk
        .sockets
        .send(anna(), &"{\"type\":\"screen_pop\"}".into());
    assert_eq!(receipts.len(), 1);
    for receipt in receipts {
        tokio::time::timeout(PATIENCE, receipt)
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(read(&mut socket).await["type"], "screen_pop");

    socket
        .send(Message::Text("{\"action\":\"hold\",\"held\":true}".into()))
        .await
        .unwrap();
    assert_eq!(read(&mut socket).await["type"], "accepted");
    let action = AgentAction::Hold { held: true };
    assert_eq!(
        desk.inputs.try_recv(),
        Ok(Input::Agent {
            agent: anna(),
            action
        })
    );
    socket
        .send(Message::Text("{\"action\":\"fly\"}".into()))
        .await
        .unwrap();
    let problem = read(&mut socket).await;
    assert_eq!(problem["problem"]["code"], "body_invalid");
}

#[tokio::test]
async fn a_web_page_of_another_origin_may_not_open_a_socket() {
    let desk = Desk::open().await;
    let path = "/v1/agents/anna/socket";
    let evil = desk
        .socket(path, "anna-token", Some("https://evil.example"))
        .await;
    assert_eq!(evil.err(), Some(StatusCode::FORBIDDEN));
    assert!(
        desk.socket(path, "anna-token", Some("https://desk.example"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_configuration_with_a_bad_token_does_not_start() {
    for text in [
        "[[tokens]]\nname = \"x\"\nsha256 = \"12\"\nrole = \"admin\"".to_string(),
        format!(
            "[[tokens]]\nname = \"x\"\nsha256 = \"{}\"\nrole = \"agent\"",
            token_hash("x")
        ),
        format!(
            "[[tokens]]\nname = \"x\"\nsha256 = \"{}\"\nrole = \"admin\"\nagent = \"anna\"",
            token_hash("x")
        ),
    ] {
        let config: ApiConfig = toml::from_str(&text).unwrap();
        assert!(
            tandem::api::auth::Tokens::new(&config.tokens).is_err(),
            "{text}"
        );
    }
    assert!(toml::from_str::<ApiConfig>("lisen = \"127.0.0.1:1\"").is_err());
}
