//! Promised callbacks: `GET`, `POST` and `DELETE /v1/callbacks`; quotas: `GET /v1/campaigns/NAME/quotas`.
//! These go to the store, which tells the
//! dialer; the answer comes once the promise is durable.

use super::ApiState;
use super::auth::{Caller, Role};
use super::problem::Problem;
use super::routes::{body_of, known_agent, known_campaign};
use crate::store::{CallbackError, CallbackTime, Promise, StoreRequest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crossbeam_channel::Sender;
use model::{AgentId, LeadId, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// A store that takes longer is stalled.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackWish {
    lead: LeadId,
    /// `2026-11-23T10:00:00Z`, or `2026-11-23T10:00` on the person's clock.
    at: String,
    agent: Option<AgentId>,
}

/// What is promised. An agent sees its own.
pub(super) async fn callbacks(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    let mut all = ask(&state, |answer| StoreRequest::ListCallbacks { answer }).await?;
    if caller.role == Role::Agent {
        let mine = caller.agent.map(|agent| agent.to_string());
        all.retain(|promise| promise.agent == mine);
    }
    Ok(Json(json!({ "callbacks": all })))
}

/// Promises a callback, or another time for one.
pub(super) async fn set_callback(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let CallbackWish { lead, at, agent } = body_of(&body)?;
    match agent {
        Some(agent) => {
            caller.acts_as(agent)?;
            known_agent(&state, agent)?;
        }
        None => caller.supervises()?,
    }
    let at = time_of(&at)?;
    tracing::info!(target: "audit", by = caller.name, %lead, "a callback was promised");
    let promise = ask(&state, |answer| StoreRequest::SetCallback {
        lead,
        at,
        agent,
        answer,
    })
    .await?;
    Ok((StatusCode::CREATED, Json(json!(promise))).into_response())
}

/// Takes a callback back.
pub(super) async fn cancel_callback(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Promise>, Problem> {
    let lead = id
        .parse()
        .map(LeadId)
        .map_err(|_| Problem::invalid("id_invalid", "a lead's id is a number"))?;
    if caller.role == Role::Agent {
        let mine = caller.agent.map(|agent| agent.to_string());
        let all = ask(&state, |answer| StoreRequest::ListCallbacks { answer }).await?;
        if !all
            .iter()
            .any(|promise| promise.lead == lead && promise.agent == mine)
        {
            return Err(Problem::forbidden("an agent takes back only its own"));
        }
    }
    tracing::info!(target: "audit", by = caller.name, %lead, "a callback was taken back");
    let promise = ask(&state, |answer| StoreRequest::CancelCallback {
        lead,
        answer,
    })
    .await?;
    Ok(Json(promise))
}

/// A campaign's quotas: what was counted, what is enough.
pub(super) async fn quotas(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    caller.supervises()?;
    let campaign = known_campaign(&state, &id)?;
    let rows = ask(&state, |answer| StoreRequest::ListQuotas {
        campaign,
        answer,
    })
    .await?;
    Ok(Json(json!({ "campaign": campaign, "quotas": rows })))
}

fn time_of(text: &str) -> Result<CallbackTime, Problem> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(CallbackTime::Instant(Utc::from_micros(at.as_microsecond())));
    }
    text.parse::<jiff::civil::DateTime>()
        .map(CallbackTime::Local)
        .map_err(|_| {
            let what = "at is 2026-11-23T10:00:00Z, or 2026-11-23T10:00 on the person's clock";
            Problem::invalid("time_invalid", what)
        })
}

async fn ask<T: Send + 'static>(
    state: &ApiState,
    request: impl FnOnce(Sender<Result<T, CallbackError>>) -> StoreRequest,
) -> Result<T, Problem> {
    let Some(store) = &state.parts.store else {
        return Err(Problem::engine_gone());
    };
    let (answer, wait) = crossbeam_channel::bounded(1);
    store.request(request(answer));
    let answered = tokio::task::spawn_blocking(move || wait.recv_timeout(STORE_PATIENCE))
        .await
        .map_err(|_| Problem::engine_gone())?;
    let unavailable =
        |what: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", what);
    match answered {
        Ok(Ok(is)) => Ok(is),
        Ok(Err(error)) => Err(match error {
            CallbackError::NoLead => Problem::not_found("lead_unknown", error.to_string()),
            CallbackError::NoCallback => Problem::not_found("callback_unknown", error.to_string()),
            CallbackError::NoZone => Problem::invalid("time_zone_unknown", error.to_string()),
            CallbackError::DoNotCall => Problem::invalid("do_not_call", error.to_string()),
            CallbackError::StoreFailed => unavailable("the store failed; try again"),
        }),
        Err(_) => Err(unavailable("the store does not answer in time")),
    }
}
