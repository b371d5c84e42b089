//! Callbacks and quotas over HTTP, with a real store behind: what is promised is durable when it is
//! answered, and what is wrong has a stable code.

use call::Input;
use crossbeam_channel::{Receiver, unbounded};
use dialer::filter::Filter;
use dialer::quota::{Period, Quota, QuotaCount};
use model::event::Mode;
use model::{AgentId, CampaignId, Now, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tandem::api::auth::{Role, TokenConfig, token_hash};
use tandem::api::board::{Board, Feed};
use tandem::api::{ApiConfig, ApiParts, serve};
use tandem::bus::Inbox;
use tandem::crm::sockets::AgentSockets;
use tandem::metrics::Metrics;
use tandem::store::{ImportOptions, Store, StoreConfig, StoreHandle, StoreRequest, import_csv};

const PATIENCE: Duration = Duration::from_secs(20);
/// A Wednesday in January, 12:30 in New York.
const NOON_US: u64 = 1_767_807_000_000_000;

struct Desk {
    address: SocketAddr,
    store: StoreHandle,
    // Kept, so that the store has somebody to tell.
    _inputs: Receiver<Input>,
    _folder: tempfile::TempDir,
    client: reqwest::Client,
}

fn anna() -> AgentId {
    "anna".parse().unwrap()
}

fn spring() -> CampaignId {
    "spring".parse().unwrap()
}

fn token(name: &str, role: Role, agent: Option<AgentId>) -> TokenConfig {
    TokenConfig {
        name: name.into(),
        sha256: token_hash(name),
        role,
        agent,
    }
}

fn with_leads(config: &StoreConfig, inbox: Inbox) -> StoreHandle {
    let csv = "phone,name\n+12125550101,Ada\n+990123456789,Bob\n+12125550103,Cy\n";
    let options = ImportOptions::of("spring".parse().unwrap());
    let now = Utc::from_micros(NOON_US.cast_signed());
    import_csv(config, csv.as_bytes(), &options, now, &mut |_| ()).unwrap();
    let clock = Arc::new(|| Now::default().plus(Duration::from_micros(NOON_US)));
    let (store, _) = Store::open(config, clock, "test").unwrap();
    store.start(inbox).unwrap().0
}

impl Desk {
    /// Leads 1 in New York, 2 anywhere in the country, 3 who is never to be called.
    async fn open() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::at(folder.path().join("tandem.db"));
        let mut settings = dialer::CampaignConfig::new(Mode::Predictive, "+12125550100");
        settings.lists = vec!["spring".parse().unwrap()];
        settings.quotas = vec![Quota {
            name: "north".into(),
            cell: Filter::new("region = \"north\""),
            outcome: "sale".parse().unwrap(),
            at_most: 3,
            per: Period::Campaign,
        }];
        config.dialer.campaigns.insert(spring(), settings);
        let (sender, inputs) = unbounded();
        let inbox = Inbox::new(sender, Arc::new(|| ()));
        // The store has a runtime of its own, and no thread drives two.
        let told = inbox.clone();
        let opened = std::thread::spawn(move || with_leads(&config, told));
        let store = opened.join().expect("the store opens");
        store.request(StoreRequest::StoreDoNotCall {
            number: "+12125550103".parse().unwrap(),
        });
        let agents = [anna(), "bert".parse().unwrap()];
        let board = Board::of(agents, [], [spring()], Utc::from_micros(0));
        let config = ApiConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tokens: vec![
                token("boss", Role::Supervisor, None),
                token("anna-token", Role::Agent, Some(anna())),
            ],
            metrics_open: false,
            origins: Vec::new(),
        };
        let parts = ApiParts {
            feed: Feed::new(1, board),
            sockets: AgentSockets::new(),
            inbox,
            metrics: Arc::new(Metrics::new()),
            store: Some(store.clone()),
        };
        let (address, _server) = serve(&config, parts, std::future::pending()).await.unwrap();
        Desk {
            address,
            store,
            _inputs: inputs,
            _folder: folder,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url).timeout(PATIENCE);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    async fn promise(&self, token: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, "/v1/callbacks", token, Some(body))
            .await
    }

    async fn promised(&self, token: &str) -> Vec<Value> {
        let (status, value) = self.ask(Method::GET, "/v1/callbacks", token, None).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        value["callbacks"].as_array().unwrap().clone()
    }

    async fn takes_back(&self, token: &str, lead: &str) -> (StatusCode, Value) {
        let path = format!("/v1/callbacks/{lead}");
        self.ask(Method::DELETE, &path, token, None).await
    }
}

#[tokio::test]
async fn a_callback_is_promised_shown_moved_and_taken_back() {
    let desk = Desk::open().await;
    assert_eq!(desk.promised("boss").await, [Value::Null; 0]);
    let wish = json!({ "lead": 1, "at": "2026-01-08T10:00", "agent": "anna" });
    let (status, promise) = desk.promise("boss", wish).await;
    assert_eq!(status, StatusCode::CREATED, "{promise}");
    // Ten on the clock of New York.
    assert_eq!(promise["at"], "2026-01-08T15:00:00Z");
    assert_eq!(promise["name"], "Ada");
    let wish = json!({ "lead": 2, "at": "2026-01-08T09:00:00Z" });
    assert_eq!(desk.promise("boss", wish).await.0, StatusCode::CREATED);
    let all = desk.promised("boss").await;
    let whom = |promise: &Value| (promise["lead"].clone(), promise["agent"].clone());
    assert_eq!(
        all.iter().map(whom).collect::<Vec<_>>(),
        [(json!(2), Value::Null), (json!(1), json!("anna"))],
        "the next one first"
    );
    let wish = json!({ "lead": 1, "at": "2026-01-08T03:00:00-05:00", "agent": "bert" });
    let (status, promise) = desk.promise("boss", wish).await;
    assert_eq!(
        (status, &promise["at"]),
        (StatusCode::CREATED, &json!("2026-01-08T08:00:00Z"))
    );
    assert_eq!(desk.promised("boss").await.len(), 2, "moved, not doubled");
    let (status, gone) = desk.takes_back("boss", "1").await;
    assert_eq!((status, &gone["lead"]), (StatusCode::OK, &json!(1)));
    assert_eq!(desk.promised("boss").await.len(), 1);
    let (status, problem) = desk.takes_back("boss", "1").await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &json!("callback_unknown"))
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_callback_has_a_stable_code_and_changes_nothing() {
    let desk = Desk::open().await;
    for (wish, status, code) in [
        (json!({ "lead": 1, "at": "tomorrow" }), 400, "time_invalid"),
        (
            json!({ "lead": 1, "at": "2026-02-30T10:00" }),
            400,
            "time_invalid",
        ),
        (json!({ "lead": 1 }), 400, "body_invalid"),
        (
            json!({ "lead": "ada", "at": "2026-01-08T10:00" }),
            400,
            "body_invalid",
        ),
        (
            json!({ "lead": 1, "at": "2026-01-08T10:00", "who": "anna" }),
            400,
            "body_invalid",
        ),
        (
            json!({ "lead": 4711, "at": "2026-01-08T10:00" }),
            404,
            "lead_unknown",
        ),
        (
            json!({ "lead": 1, "at": "2026-01-08T10:00", "agent": "nobody" }),
            404,
            "agent_unknown",
        ),
        (
            json!({ "lead": 2, "at": "2026-01-08T10:00" }),
            400,
            "time_zone_unknown",
        ),
        (
            json!({ "lead": 3, "at": "2026-01-08T10:00" }),
            400,
            "do_not_call",
        ),
    ] {
        let (is, problem) = desk.promise("boss", wish.clone()).await;
        assert_eq!(
            (is.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{wish}: {problem}"
        );
    }
    let (status, problem) = desk.takes_back("boss", "ada").await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (400, &json!("id_invalid"))
    );
    assert_eq!(desk.promised("boss").await, [Value::Null; 0]);
}

#[tokio::test]
async fn an_agent_promises_and_takes_back_for_itself_only() {
    let desk = Desk::open().await;
    let at = "2026-01-08T10:00";
    for (token, agent, status) in [
        ("", Some("anna"), 401),
        ("anna-token", Some("bert"), 403),
        ("anna-token", None, 403),
        ("anna-token", Some("anna"), 201),
    ] {
        let mut wish = json!({ "lead": 1, "at": at });
        if let Some(agent) = agent {
            wish["agent"] = json!(agent);
        }
        let (is, answer) = desk.promise(token, wish).await;
        assert_eq!(is.as_u16(), status, "{token} for {agent:?}: {answer}");
    }
    let wish = json!({ "lead": 2, "at": "2026-01-08T10:00:00Z", "agent": "bert" });
    assert_eq!(desk.promise("boss", wish).await.0, StatusCode::CREATED);
    let (status, _) = desk.ask(Method::GET, "/v1/callbacks", "", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let mine = desk.promised("anna-token").await;
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0]["lead"], 1);
    assert_eq!(
        desk.takes_back("anna-token", "2").await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(desk.takes_back("", "1").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(desk.takes_back("anna-token", "1").await.0, StatusCode::OK);
    assert_eq!(desk.promised("boss").await.len(), 1, "bert's stays");
}

#[tokio::test]
async fn quotas_are_listed_with_what_was_counted_for_supervisors_only() {
    let desk = Desk::open().await;
    let path = "/v1/campaigns/spring/quotas";
    desk.store.request(StoreRequest::SaveQuota(QuotaCount {
        campaign: spring(),
        quota: "north".into(),
        day: String::new(),
        count: 3,
        full: true,
    }));
    let (status, value) = desk.ask(Method::GET, path, "boss", None).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({ "campaign": "spring", "quotas": [{
        "campaign": "spring", "quota": "north", "where": "region = \"north\"", "outcome": "sale", "at_most": 3,
        "per": "campaign", "day": null, "count": 3, "full": true, "dialling": 0,
    }] });
    assert_eq!(value, expected);
    let (status, _) = desk.ask(Method::GET, path, "anna-token", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, problem) = desk
        .ask(Method::GET, "/v1/campaigns/none/quotas", "boss", None)
        .await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (404, &json!("campaign_unknown"))
    );
}
