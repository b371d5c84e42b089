//! The plain requests: the board in parts, and wishes that become inputs.

use super::ApiState;
use super::auth::Caller;
use super::problem::Problem;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use call::Input;
use call::input::AgentAction;
use model::event::Mode;
use model::{AgentId, CampaignId, PhoneNumber, QueueId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::str::FromStr;

/// Whether the process serves, and up to which event.
pub(super) async fn health(State(state): State<ApiState>) -> Json<Value> {
    let (seq, draining) = state.parts.feed.read(|board| (board.seq, board.draining));
    let status = if draining { "draining" } else { "ok" };
    Json(json!({ "status": status, "boot": state.parts.feed.boot(), "seq": seq }))
}

pub(super) async fn metrics(
    State(state): State<ApiState>,
    caller: Result<Caller, Problem>,
) -> Result<Response, Problem> {
    if !state.config.metrics_open {
        caller?.supervises()?;
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], state.parts.metrics.text()).into_response())
}

/// Everything at one instant: a snapshot to follow with `/v1/events?from_seq=seq+1`.
pub(super) async fn board(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    caller.supervises()?;
    Ok(Json(state.parts.feed.read(|board| json!(board))))
}

pub(super) async fn agents(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    let mine = caller.agent;
    Ok(Json(state.parts.feed.read(|board| {
        let shown: Vec<_> = board
            .agents
            .values()
            .filter(|row| mine.is_none_or(|mine| mine == row.agent))
            .collect();
        json!({ "seq": board.seq, "agents": shown })
    })))
}

pub(super) async fn queues(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    caller.supervises()?;
    Ok(Json(state.parts.feed.read(
        |board| json!({ "seq": board.seq, "queues": board.queues.values().collect::<Vec<_>>() }),
    )))
}

pub(super) async fn campaigns(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    caller.supervises()?;
    Ok(Json(state.parts.feed.read(|board| {
        json!({ "seq": board.seq, "campaigns": board.campaigns.values().collect::<Vec<_>>() })
    })))
}

pub(super) async fn calls(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    caller.supervises()?;
    Ok(Json(state.parts.feed.read(
        |board| json!({ "seq": board.seq, "calls": board.calls.values().collect::<Vec<_>>() }),
    )))
}

/// An agent does something. 202: the result is an event.
pub(super) async fn act(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let agent: AgentId = id_of(&id)?;
    caller.acts_as(agent)?;
    known_agent(&state, agent)?;
    let action: AgentAction = body_of(&body)?;
    wish(&state, &caller, Input::Agent { agent, action })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CampaignWish {
    running: Option<bool>,
    mode: Option<Mode>,
    abandon_limit_pct: Option<f64>,
    power_level: Option<f64>,
    max_in_flight: Option<u32>,
}

/// Starts, pauses, or changes how a campaign dials.
pub(super) async fn set_campaign(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    caller.supervises()?;
    let campaign = known_campaign(&state, &id)?;
    let CampaignWish {
        running,
        mode,
        abandon_limit_pct,
        power_level,
        max_in_flight,
    } = body_of(&body)?;
    let by = || caller.name.clone();
    // How it dials comes first: a campaign that is started never dials as it did before.
    let wishes = [
        mode.map(|mode| Input::SetCampaignMode { campaign, mode }),
        abandon_limit_pct.map(|limit_pct| Input::SetCampaignAbandonLimit {
            campaign,
            limit_pct,
            by: by(),
        }),
        power_level.map(|power_level| Input::SetCampaignPowerLevel {
            campaign,
            power_level,
            by: by(),
        }),
        max_in_flight.map(|max_in_flight| Input::SetCampaignMaxInFlight {
            campaign,
            max_in_flight,
            by: by(),
        }),
        running.map(|running| Input::SetCampaignRunning { campaign, running }),
    ];
    let mut done = Err(Problem::invalid(
        "body_invalid",
        "say running, mode, abandon_limit_pct, power_level, max_in_flight, or some of them",
    ));
    for input in wishes.into_iter().flatten() {
        done = Ok(wish(&state, &caller, input)?);
    }
    done
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueWish {
    open: bool,
}

/// Opens or closes a queue.
pub(super) async fn set_queue(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    caller.supervises()?;
    let queue: QueueId = id_of(&id)?;
    if !state
        .parts
        .feed
        .read(|board| board.queues.contains_key(&queue))
    {
        return Err(Problem::not_found(
            "queue_unknown",
            format!("there is no queue {queue}"),
        ));
    }
    let QueueWish { open } = body_of(&body)?;
    wish(&state, &caller, Input::SetQueueOpen { queue, open })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoNotCallWish {
    number: PhoneNumber,
}

/// A number that is never to be called again.
pub(super) async fn do_not_call(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    caller.supervises()?;
    let DoNotCallWish { number } = body_of(&body)?;
    wish(&state, &caller, Input::DoNotCall { number })
}

/// Hands a wish to the engine.
pub(super) fn wish(state: &ApiState, caller: &Caller, input: Input) -> Result<Response, Problem> {
    tracing::info!(target: "audit", by = caller.name, wish = ?input, "a wish was taken");
    match state.parts.inbox.send(input) {
        true => Ok(accepted()),
        false => Err(Problem::engine_gone()),
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "accepted": true }))).into_response()
}

pub(super) fn known_agent(state: &ApiState, agent: AgentId) -> Result<(), Problem> {
    match state
        .parts
        .feed
        .read(|board| board.agents.contains_key(&agent))
    {
        true => Ok(()),
        false => Err(Problem::not_found(
            "agent_unknown",
            format!("there is no agent {agent}"),
        )),
    }
}

pub(super) fn known_campaign(state: &ApiState, id: &str) -> Result<CampaignId, Problem> {
    let campaign: CampaignId = id_of(id)?;
    match state
        .parts
        .feed
        .read(|board| board.campaigns.contains_key(&campaign))
    {
        true => Ok(campaign),
        false => Err(Problem::not_found(
            "campaign_unknown",
            format!("there is no campaign {campaign}"),
        )),
    }
}

pub(super) fn id_of<T: FromStr<Err = model::id::KeyError>>(text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|error: model::id::KeyError| Problem::invalid("id_invalid", error.to_string()))
}

pub(super) fn body_of<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid("body_invalid", error.to_string()))
}
