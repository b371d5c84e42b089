//! The agents' screens: a WebSocket each, that takes pops and says what the agent does.

use futures_util::{SinkExt, StreamExt};
use model::{AgentId, Rng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// All screens.
pub struct Screens {
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Screens {
    /// Opens one per agent; each signs in and gets ready.
    pub fn open(
        runtime: &tokio::runtime::Handle,
        api: SocketAddr,
        tokens: &BTreeMap<AgentId, String>,
    ) -> Screens {
        let tasks = tokens
            .iter()
            .enumerate()
            .map(|(n, (agent, token))| {
                let (agent, token) = (*agent, token.clone());
                runtime.spawn(async move {
                    if let Err(error) = sit(api, agent, token, Rng::new(n as u64)).await {
                        tracing::warn!(%agent, %error, "an agent's screen ended");
                    }
                })
            })
            .collect();
        Screens { tasks }
    }

    /// Closes all.
    pub fn close(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

async fn sit(api: SocketAddr, agent: AgentId, token: String, mut rng: Rng) -> anyhow::Result<()> {
    let mut request = format!("ws://{api}/v1/agents/{agent}/socket").into_client_request()?;
    request
        .headers_mut()
        .insert("Authorization", format!("Bearer {token}").parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    for action in ["sign_in", "ready"] {
        socket
            .send(Message::text(json!({ "action": action }).to_string()))
            .await?;
    }
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else {
            continue;
        };
        let message: Value = serde_json::from_str(&text)?;
        if message["type"] == "problem" {
            tracing::warn!(%agent, problem = %message["problem"], "the engine did not take what an agent said");
        }
        let is_wrap_up = message["event"]["data"]["is"]["state"] == "wrap_up";
        if message["type"] == "event" && is_wrap_up {
            tokio::time::sleep(Duration::from_secs_f64(
                rng.log_normal(1.5, 0.4).clamp(0.5, 4.0),
            ))
            .await;
            let disposition = if rng.chance(0.3) {
                "sale"
            } else {
                "no_interest"
            };
            let dispose = json!({
                "action": "dispose",
                "disposition": disposition,
                "note": null,
                "callback_at": null,
                "do_not_call": rng.chance(0.02),
            });
            socket.send(Message::text(dispose.to_string())).await?;
        }
    }
    Ok(())
}
