//! A small CRM: takes screen pops and ends of calls by webhook, answers look-ups, counts both.

use crate::crm::CrmConfig;
use crate::crm::webhook::WebhookConfig;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What it counted.
#[derive(Default)]
struct Counts {
    webhooks: AtomicU64,
    lookups: AtomicU64,
}

/// What the CRM saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Webhook messages.
    pub webhooks: u64,
    /// Look-ups.
    pub lookups: u64,
}

/// The CRM on a runtime of its own.
pub struct Crm {
    address: SocketAddr,
    counts: Arc<Counts>,
    _runtime: tokio::runtime::Runtime,
}

impl Crm {
    /// Begins on a free port.
    pub fn start() -> anyhow::Result<Crm> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("crm")
            .enable_all()
            .build()?;
        let counts = Arc::new(Counts::default());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("the CRM cannot listen")?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/webhook", post(webhook_arrived))
            .route("/customers", get(looked_up))
            .with_state(counts.clone());
        runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the CRM ended");
            }
        });
        Ok(Crm {
            address,
            counts,
            _runtime: runtime,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw.
    pub fn seen(&self) -> Seen {
        Seen {
            webhooks: self.counts.webhooks.load(Ordering::Relaxed),
            lookups: self.counts.lookups.load(Ordering::Relaxed),
        }
    }
}

async fn webhook_arrived(State(counts): State<Arc<Counts>>, _body: axum::body::Bytes) {
    counts.webhooks.fetch_add(1, Ordering::Relaxed);
}

async fn looked_up(State(counts): State<Arc<Counts>>) -> axum::Json<Value> {
    let n = counts.lookups.fetch_add(1, Ordering::Relaxed);
    axum::Json(
        json!({ "customers": [{ "id": format!("C{n}"), "name": "A customer", "url": "http://crm.invalid/c" }] }),
    )
}

/// How the engine asks it.
pub fn adapter(address: SocketAddr) -> anyhow::Result<CrmConfig> {
    let text = format!(
        "adapter = \"http-json\"\nurl = \"http://{address}/customers?phone={{caller}}\"\nmatches = \"customers\"\n\
         key = \"id\"\ntitle = \"name\"\nopen_url = \"url\"\nallow_private = true\n"
    );
    toml::from_str(&text).context("the CRM adapter of the demo")
}

/// How the engine tells it.
pub fn webhook(address: SocketAddr, folder: &Path) -> anyhow::Result<WebhookConfig> {
    std::fs::create_dir_all(folder)?;
    let secret = folder.join("webhook-secret");
    std::fs::write(&secret, "whsec_ZGVtby1vbmx5LXNlY3JldC1vZi10aGUtZGVtbw==")?;
    let text = format!(
        "name = \"crm\"\nurl = \"http://{address}/webhook\"\nallow_private = true\nevents = [\"screen_pop.sent\", \"call.ended\"]\n[secret]\nfile = {:?}\n",
        secret.display().to_string()
    );
    toml::from_str(&text).context("the webhook of the demo")
}
