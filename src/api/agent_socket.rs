//! An agent's screen: pops and the agent's own events out, actions in.

use super::ApiState;
use super::auth::{self, Caller, check_origin};
use super::board::Tail;
use super::events::PING_EVERY;
use super::problem::Problem;
use super::routes::{body_of, id_of, known_agent, wish};
use crate::crm::cloud_event;
use crate::crm::sockets::{Seat, ToSocket};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use call::Input;
use call::input::AgentAction;
use model::{AgentId, Fact};
use serde_json::{Value, json};

/// A message longer than this is not an action.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn open(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let agent: AgentId = id_of(&id)?;
    caller.acts_as(agent)?;
    known_agent(&state, agent)?;
    check_origin(&headers, &state.config.origins)?;
    let upgrade = upgrade.map_err(|_| {
        Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "websocket_only",
            "this is a WebSocket",
        )
    })?;
    let seat = state.parts.sockets.connect(agent).ok_or_else(|| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_screens",
            "this agent has too many screens open",
        )
    })?;
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .protocols([auth::SUBPROTOCOL]);
    Ok(upgrade.on_upgrade(move |socket| run(socket, state, caller, agent, seat)))
}

async fn run(
    mut socket: WebSocket,
    state: ApiState,
    caller: Caller,
    agent: AgentId,
    mut seat: Seat,
) {
    let feed = state.parts.feed.clone();
    let look = |board: &super::board::Board| json!({ "type": "snapshot", "seq": board.seq, "agent": board.agents.get(&agent) });
    let Ok((snapshot, mut tail)) = feed.follow(None, look) else {
        return;
    };
    if write(&mut socket, &snapshot).await.is_err() {
        return;
    }
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        // Pops go first: the phone waits for them.
        let sent = tokio::select! {
            biased;
            message = seat.outbound.recv() => match message {
                Some(message) => write_pop(&mut socket, message).await,
                None => return,
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => {
                    let answer = act(&state, &caller, agent, text.as_bytes());
                    write(&mut socket, &answer).await
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Ok(()),
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return,
            },
            event = next_of(&mut tail, agent, feed.boot()) => match event {
                Some(event) => write(&mut socket, &event).await,
                None => return,
            },
            _ = ping.tick() => socket.send(Message::Ping(Vec::new().into())).await,
        };
        if let Err(error) = sent {
            tracing::debug!(%error, %agent, "an agent's screen broke");
            return;
        }
    }
}

async fn write(socket: &mut WebSocket, value: &Value) -> Result<(), axum::Error> {
    socket.send(Message::Text(value.to_string().into())).await
}

/// Sending flushes: only then is the pop told as written.
async fn write_pop(socket: &mut WebSocket, message: ToSocket) -> Result<(), axum::Error> {
    socket
        .send(Message::Text(message.text.as_ref().into()))
        .await?;
    if message
        .written
        .is_some_and(|written| written.send(()).is_err())
    {
        tracing::debug!("a pop was written after its wait was over; the phone rings already");
    }
    Ok(())
}

fn act(state: &ApiState, caller: &Caller, agent: AgentId, text: &[u8]) -> Value {
    let taken = body_of::<AgentAction>(text)
        .and_then(|action| wish(state, caller, Input::Agent { agent, action }));
    match taken {
        Ok(_) => json!({ "type": "accepted" }),
        Err(problem) => json!({ "type": "problem", "problem": problem }),
    }
}

/// The next event about this agent. Safe to drop at any await: a skipped event is of others.
async fn next_of(tail: &mut Tail, agent: AgentId, boot: u32) -> Option<Value> {
    loop {
        let event = tail.next().await?;
        if is_about(&event.fact, agent) {
            return Some(json!({ "type": "event", "event": cloud_event::of_event(&event, boot) }));
        }
    }
}

fn is_about(fact: &Fact, me: AgentId) -> bool {
    match fact {
        Fact::AgentStateChanged { agent, .. }
        | Fact::AgentStatePending { agent, .. }
        | Fact::AgentDialRefused { agent, .. }
        | Fact::OfferMade { agent, .. }
        | Fact::OfferAnswered { agent, .. }
        | Fact::OfferFailed { agent, .. }
        | Fact::OfferWithdrawn { agent, .. }
        | Fact::CallBridged { agent, .. }
        | Fact::CallUnbridged { agent, .. }
        | Fact::CallDisposed { agent, .. } => *agent == me,
        Fact::CallbackDue { agent, .. } | Fact::CallClassified { agent, .. } => *agent == Some(me),
        Fact::QuotaFull { .. }
        | Fact::CallArrived { .. }
        | Fact::CallDialled { .. }
        | Fact::CallHeld { .. }
        | Fact::CallResumed { .. }
        | Fact::CallMessageStarted { .. }
        | Fact::CallAttested { .. }
        | Fact::CallEnded { .. }
        | Fact::LegStarted { .. }
        | Fact::LegRinging { .. }
        | Fact::LegGivenUp { .. }
        | Fact::LegAnswered { .. }
        | Fact::LegEnded { .. }
        | Fact::IvrEntered { .. }
        | Fact::IvrNodeReached { .. }
        | Fact::IvrDigitsCollected { .. }
        | Fact::IvrNoInput { .. }
        | Fact::IvrNoMatch { .. }
        | Fact::IvrVariableSet { .. }
        | Fact::IvrLeft { .. }
        | Fact::QueueEntered { .. }
        | Fact::QueueRefused { .. }
        | Fact::QueueLeft { .. }
        | Fact::ScreenPopped { .. }
        | Fact::AttemptClaimed { .. }
        | Fact::AttemptBlocked { .. }
        | Fact::AttemptAnswered { .. }
        | Fact::AttemptEnded { .. }
        | Fact::CampaignChanged { .. }
        | Fact::CampaignChangeRefused { .. }
        | Fact::PacingDecided { .. }
        | Fact::DoNotCallAdded { .. }
        | Fact::DoNotCallLoaded { .. }
        | Fact::RecordingStarted { .. }
        | Fact::RecordingEnded { .. }
        | Fact::RecordingFailed { .. }
        | Fact::TrunkChanged { .. }
        | Fact::EngineStarted { .. }
        | Fact::EngineDraining { .. }
        | Fact::EngineFaulted { .. } => false,
    }
}
