//! The HTTP face: what the engine is doing now, the events as they happen, and wishes of people.
//!
//! Reads come from a board folded from events; wishes become inputs of the engine and are answered
//! 202, their result is an event. Nothing here decides about calls. Without a known token nothing is
//! given but `/health` (and `/metrics`, where the configuration opens it).

mod agent_socket;
pub mod auth;
pub mod board;
mod events;
mod leads;
pub mod problem;
mod routes;

use crate::bus::Inbox;
use crate::crm::sockets::AgentSockets;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use board::Feed;
use problem::Problem;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;

/// Longest body taken, in bytes: an agent's note is the longest thing anyone sends.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// `[api]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Where to listen. Another address than loopback belongs behind TLS.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Who may come in.
    #[serde(default)]
    pub tokens: Vec<auth::TokenConfig>,
    /// Whether `/metrics` needs no token. It has no personal data, and the default listener is loopback.
    #[serde(default = "default_open")]
    pub metrics_open: bool,
    /// Web pages that may open a WebSocket, as `https://desk.example`. Programs send no Origin.
    #[serde(default)]
    pub origins: Vec<String>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
fn default_open() -> bool {
    true
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig {
            listen: default_listen(),
            tokens: Vec::new(),
            metrics_open: default_open(),
            origins: Vec::new(),
        }
    }
}

/// Why the API does not start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A token is not configured rightly.
    #[error(transparent)]
    Token(#[from] auth::TokenError),
    /// The address cannot be listened on.
    #[error("the API cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// What the API shows and talks to.
#[derive(Clone)]
pub struct ApiParts {
    /// The present and the stream of events.
    pub feed: Arc<Feed>,
    /// The agents' screens.
    pub sockets: Arc<AgentSockets>,
    /// Where wishes go.
    pub inbox: Inbox,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where callbacks are kept. None: there are none.
    pub store: Option<crate::store::StoreHandle>,
}

/// What every handler has.
#[derive(Clone)]
struct ApiState {
    parts: ApiParts,
    tokens: Arc<auth::Tokens>,
    config: Arc<ApiConfig>,
}

/// Listens; gives the address (its port, where 0 was asked for) and the running server, which ends
/// after `shutdown` once open requests are served. Streams stay open: abort the server to cut them.
pub async fn serve(
    config: &ApiConfig,
    parts: ApiParts,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(SocketAddr, tokio::task::JoinHandle<()>), ApiError> {
    let tokens = Arc::new(auth::Tokens::new(&config.tokens)?);
    let state = ApiState {
        parts,
        tokens,
        config: Arc::new(config.clone()),
    };
    let failed = |error| ApiError::Listen(config.listen, error);
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let app = router(state);
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app)
            .with_graceful_shutdown(shutdown)
            .await
        {
            tracing::error!(%error, "the API has ended");
        }
    });
    Ok((address, server))
}

fn router(state: ApiState) -> Router {
    Router::new()
        .route("/health", get(routes::health))
        .route("/metrics", get(routes::metrics))
        .route("/v1/board", get(routes::board))
        .route("/v1/agents", get(routes::agents))
        .route("/v1/agents/{id}/actions", post(routes::act))
        .route("/v1/agents/{id}/socket", get(agent_socket::open))
        .route("/v1/queues", get(routes::queues))
        .route("/v1/queues/{id}", post(routes::set_queue))
        .route("/v1/campaigns", get(routes::campaigns))
        .route("/v1/campaigns/{id}", post(routes::set_campaign))
        .route("/v1/campaigns/{id}/quotas", get(leads::quotas))
        .route("/v1/calls", get(routes::calls))
        .route("/v1/do-not-call", post(routes::do_not_call))
        .route(
            "/v1/callbacks",
            get(leads::callbacks).post(leads::set_callback),
        )
        .route("/v1/callbacks/{id}", delete(leads::cancel_callback))
        .route("/v1/events", get(events::stream))
        .fallback(|| async { Problem::not_found("path_unknown", "there is nothing at this path") })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}
