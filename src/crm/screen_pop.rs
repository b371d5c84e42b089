//! Delivering a screen pop: first to the agent's screen, so that it is there before the phone rings,
//! then to webhooks, then once more with what the CRM knows.

use super::CrmAdapter;
use super::sockets::AgentSockets;
use super::webhook::Publisher;
use super::{CrmError, cloud_event};
use crate::bus::Inbox;
use crate::metrics::Metrics;
use crate::store::{Clock, StoreHandle, StoreRequest};
use call::Input;
use futures_util::stream::{FuturesUnordered, StreamExt};
use model::ScreenPop;
use std::sync::Arc;
use std::time::Duration;

/// The phone rings after this time even if the screen has not taken the pop: a frozen browser may
/// cost the agent the pop, but not the caller a noticeable wait.
pub const SCREEN_POP_WAIT: Duration = Duration::from_millis(200);

/// The event of the first pop, and of the enriched one.
const POP_SENT: &str = "screen_pop.sent";

/// What delivery needs.
pub struct PopParts {
    /// The agents' screens.
    pub sockets: Arc<AgentSockets>,
    /// The CRM.
    pub adapter: Arc<dyn CrmAdapter>,
    /// Where `ScreenPopped` goes.
    pub inbox: Inbox,
    /// Where webhook messages go.
    pub store: Option<StoreHandle>,
    /// Who wants pops by webhook.
    pub webhooks: Publisher,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
}

/// Delivers pops. Cloned freely.
#[derive(Clone)]
pub struct ScreenPops {
    parts: Arc<PopParts>,
    runtime: tokio::runtime::Handle,
}

impl ScreenPops {
    /// Delivery on this runtime.
    pub fn new(parts: PopParts, runtime: tokio::runtime::Handle) -> ScreenPops {
        ScreenPops {
            parts: Arc::new(parts),
            runtime,
        }
    }

    /// Delivers one pop; called on the control thread for `PopScreen`, and never waits. Exactly one
    /// `ScreenPopped` follows, within [`SCREEN_POP_WAIT`]; at once where no screen is connected.
    pub fn deliver(&self, mut pop: ScreenPop) {
        if pop.open_url.is_none() {
            pop.open_url = self.parts.adapter.open_url(&pop);
        }
        // Most agents of a large floor have no screen of ours open: then there is nothing to write.
        let receipts = match self.parts.sockets.has(pop.agent) {
            true => self.parts.sockets.send(pop.agent, &text_of(&pop)),
            false => Vec::new(),
        };
        let offer = pop.offer;
        let parts = self.parts.clone();
        if receipts.is_empty() {
            parts.inbox.send(Input::ScreenPopped {
                offer,
                on_socket: false,
            });
            if parts.adapter.asks() || parts.webhooks.wants(POP_SENT) {
                self.runtime
                    .spawn(async move { follow_up(&parts, pop).await });
            }
            return;
        }
        self.runtime.spawn(async move {
            let mut receipts: FuturesUnordered<_> = receipts.into_iter().collect();
            let first = async {
                while let Some(receipt) = receipts.next().await {
                    if receipt.is_ok() {
                        return true;
                    }
                }
                false
            };
            let on_socket = tokio::time::timeout(SCREEN_POP_WAIT, first)
                .await
                .unwrap_or(false);
            parts.inbox.send(Input::ScreenPopped { offer, on_socket });
            follow_up(&parts, pop).await;
        });
    }
}

/// Webhooks, and the enriched pop once the CRM has answered.
async fn follow_up(parts: &PopParts, mut pop: ScreenPop) {
    publish(parts, &pop, "first");
    if !parts.adapter.asks() {
        return;
    }
    match parts.adapter.lookup(&pop).await {
        Ok(matches) if matches.is_empty() => parts.metrics.add_crm_lookup("none"),
        Ok(matches) => {
            parts.metrics.add_crm_lookup("matched");
            if pop.open_url.is_none() {
                pop.open_url = matches.iter().find_map(|found| found.url.clone());
            }
            pop.matches = matches;
            // Nobody waits for the receipts: the phone rings already.
            drop(parts.sockets.send(pop.agent, &text_of(&pop)));
            publish(parts, &pop, "enriched");
        }
        Err(error) => {
            let result = if matches!(error, CrmError::Slow) {
                "timeout"
            } else {
                "failed"
            };
            parts.metrics.add_crm_lookup(result);
            tracing::warn!(%error, call = %pop.call, "the CRM gave no match");
        }
    }
}

fn publish(parts: &PopParts, pop: &ScreenPop, part: &str) {
    let Some(store) = &parts.store else { return };
    let body = cloud_event::of_pop(pop, part, (parts.clock)().utc);
    let messages = parts
        .webhooks
        .message(POP_SENT, &pop.call.to_string(), &body);
    if !messages.is_empty() {
        store.request(StoreRequest::Enqueue(messages));
    }
}

fn text_of(pop: &ScreenPop) -> Arc<str> {
    serde_json::json!({ "type": "screen_pop", "pop": pop })
        .to_string()
        .into()
}
