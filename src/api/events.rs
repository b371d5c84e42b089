//! `/v1/events`: the stream from a given event on, as SSE or, where asked to upgrade, as WebSocket.

use super::auth::{Caller, SUBPROTOCOL, check_origin};
use super::board::Tail;
use super::problem::Problem;
use super::{ApiState, auth};
use crate::crm::cloud_event;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;

/// A WebSocket without traffic is asked whether it lives this often; proxies cut idle ones after 30 s or 60 s.
pub(super) const PING_EVERY: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
pub(super) struct From {
    from_seq: Option<u64>,
}

/// Events from `from_seq` (or after `Last-Event-ID`) on; without either, those to come.
pub(super) async fn stream(
    State(state): State<ApiState>,
    caller: Caller,
    query: Result<Query<From>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    caller.supervises()?;
    let Query(From { from_seq }) =
        query.map_err(|error| Problem::invalid("from_seq_invalid", error.body_text()))?;
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let from = last.map(|id| id.saturating_add(1)).or(from_seq);
    let ((), tail) = state.parts.feed.follow(from, |_| ()).map_err(|gone| {
        let detail = format!(
            "events are kept from {} on; take /v1/board first",
            gone.oldest
        );
        Problem::new(StatusCode::GONE, "events_gone", detail)
    })?;
    let boot = state.parts.feed.boot();
    if let Ok(upgrade) = upgrade {
        check_origin(&headers, &state.config.origins)?;
        let upgrade = upgrade.protocols([auth::SUBPROTOCOL]);
        return Ok(upgrade.on_upgrade(move |socket| write_all(socket, tail, boot)));
    }
    let stream = futures_util::stream::unfold(tail, move |mut tail| async move {
        let event = tail.next().await?;
        let data = cloud_event::of_event(&event, boot);
        let kind = data
            .get("type")
            .and_then(|kind| kind.as_str())
            .unwrap_or_default()
            .to_string();
        let line = sse::Event::default()
            .id(event.seq.to_string())
            .event(kind)
            .data(data.to_string());
        Some((Ok::<_, Infallible>(line), tail))
    });
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(PING_EVERY))
        .into_response())
}

async fn write_all(mut socket: WebSocket, mut tail: Tail, boot: u32) {
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        let message = tokio::select! {
            event = tail.next() => match event {
                Some(event) => Message::Text(cloud_event::of_event(&event, boot).to_string().into()),
                // Too slow, or the engine ended: the consumer resumes where it was.
                None => return,
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return,
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => continue,
            },
            _ = ping.tick() => Message::Ping(Vec::new().into()),
        };
        if let Err(error) = socket.send(message).await {
            tracing::debug!(%error, protocol = SUBPROTOCOL, "an event socket broke");
            return;
        }
    }
}
