//! Webhooks: who wants which events, and the delivery from the durable outbox with signature, order
//! per call, and retries (Standard Webhooks headers, CloudEvents 1.0 body).

use super::CrmError;
use super::cloud_event;
use super::guard::{check_url, client};
use super::secret::Secret;
use crate::metrics::Metrics;
use crate::store::outbox::{Due, Outbox};
use crate::store::{Clock, OutboxMessage, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use model::{Event, Rng, Utc};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Waits before the tries after the first, in seconds; then the message is a dead letter. Together a
/// day and a half: an endpoint that is down over night gets everything.
pub const RETRY_AFTER_S: [u32; 7] = [5, 30, 120, 600, 3_600, 21_600, 86_400];

/// How far a wait may be off its value, so that a recovering endpoint is not hit by all at once.
const RETRY_JITTER: f64 = 0.2;

/// Messages of one endpoint in flight at once; they are of different calls.
const IN_FLIGHT_MAX: u32 = 16;

/// Look into the outbox this often even if nobody says that it grew: another process may have.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// After an error of the database, so soon again: it may have been busy with an import.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// One `[[webhook]]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its name in the outbox and the metrics.
    pub name: String,
    /// Where to POST.
    pub url: String,
    /// The key; `whsec_` and base64, or any text.
    pub secret: Secret,
    /// The key before, while it is being replaced.
    pub secret_before: Option<Secret>,
    /// Kinds of events: `call.ended`, `call.*`, `screen_pop.sent` or `*`.
    pub events: Vec<String>,
    /// Whether the endpoint may be at a private address.
    #[serde(default)]
    pub allow_private: bool,
    /// An answer must come within this time, in ms.
    #[serde(default = "timeout")]
    pub timeout_ms: u32,
}

fn timeout() -> u32 {
    10_000
}

/// Who wants which events. Cloned freely.
#[derive(Clone, Debug, Default)]
pub struct Publisher {
    endpoints: Arc<Vec<(String, Vec<String>)>>,
    boot: u32,
}

impl Publisher {
    /// For these endpoints and this boot.
    pub fn new(endpoints: &[WebhookConfig], boot: u32) -> Publisher {
        let endpoints = endpoints
            .iter()
            .map(|e| (e.name.clone(), e.events.clone()))
            .collect();
        Publisher {
            endpoints: Arc::new(endpoints),
            boot,
        }
    }

    /// The messages an event leads to.
    pub fn messages(&self, event: &Event) -> Vec<OutboxMessage> {
        let kind = event.fact.kind();
        if !self.wants(kind) {
            return Vec::new();
        }
        let body = cloud_event::of_event(event, self.boot);
        self.message(kind, &cloud_event::subject(&event.fact), &body)
    }

    /// Whether any endpoint wants events of this kind.
    pub fn wants(&self, kind: &str) -> bool {
        self.endpoints.iter().any(|(_, kinds)| wants(kinds, kind))
    }

    /// The messages of one body.
    pub fn message(&self, kind: &str, order_key: &str, body: &Value) -> Vec<OutboxMessage> {
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        self.endpoints
            .iter()
            .filter(|(_, kinds)| wants(kinds, kind))
            .map(|(endpoint, _)| OutboxMessage {
                endpoint: endpoint.clone(),
                order_key: order_key.to_string(),
                message: id.to_string(),
                body: body.to_string(),
            })
            .collect()
    }
}

fn wants(kinds: &[String], kind: &str) -> bool {
    kinds.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => pattern == kind,
    })
}

/// The value of `webhook-signature`: one `v1,` signature per key, of `id.timestamp.body`.
pub fn signature(keys: &[Vec<u8>], id: &str, timestamp_s: i64, body: &str) -> String {
    let signed = |key: &Vec<u8>| {
        let mut mac =
            Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp_s}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    keys.iter().map(signed).collect::<Vec<_>>().join(" ")
}

/// The bytes of a key: base64 behind `whsec_`, the text itself otherwise.
pub fn key_bytes(secret: &str) -> Vec<u8> {
    match secret
        .strip_prefix("whsec_")
        .map(|encoded| STANDARD.decode(encoded))
    {
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) | None => secret.as_bytes().to_vec(),
    }
}

/// When to try again after `tries` failed ones; none: never again.
pub fn retry_at(tries: u32, now: Utc, rng: &mut Rng) -> Option<Utc> {
    let wait_s = RETRY_AFTER_S.get(usize::try_from(tries.checked_sub(1)?).ok()?)?;
    let jitter = 1.0 + RETRY_JITTER * (2.0 * rng.unit() - 1.0);
    Some(now + Duration::from_secs_f64(f64::from(*wait_s) * jitter))
}

/// What one round of delivery came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Messages that arrived.
    pub delivered: u32,
    /// Messages to be tried again.
    pub failed: u32,
    /// Messages given up.
    pub dead: u32,
    /// The endpoint wants no more.
    pub disabled: bool,
}

/// Delivers the messages of one endpoint.
pub struct Delivery {
    config: WebhookConfig,
    keys: Vec<Vec<u8>>,
    client: reqwest::Client,
    outbox: Outbox,
    clock: Clock,
    rng: Rng,
    metrics: Arc<Metrics>,
}

/// What one try came to.
enum Try {
    Delivered,
    Failed,
    Gone,
}

impl Delivery {
    /// `seed` spreads the retries. Fails where the secret is missing or the address is not allowed.
    pub fn new(
        config: &WebhookConfig,
        outbox: Outbox,
        clock: Clock,
        seed: u64,
        metrics: Arc<Metrics>,
    ) -> Result<Delivery, CrmError> {
        check_url(&config.url, config.allow_private)?;
        let mut keys = vec![key_bytes(&config.secret.read()?)];
        if let Some(before) = &config.secret_before {
            keys.push(key_bytes(&before.read()?));
        }
        let client = client(
            config.allow_private,
            Duration::from_millis(config.timeout_ms.into()),
        )?;
        Ok(Delivery {
            config: config.clone(),
            keys,
            client,
            outbox,
            clock,
            rng: Rng::new(seed),
            metrics,
        })
    }

    /// Delivers for ever; `grew` is told when the outbox has new messages. Ends when dropped; a
    /// message in flight then is sent again, with the same id, by the next start.
    pub async fn run(mut self, grew: Arc<Notify>) {
        loop {
            let wait = match self.deliver_due().await {
                Ok(round) if round.disabled => LOOK_EVERY,
                Ok(round) if round.delivered > 0 => continue,
                Ok(_) => self.wait().await,
                Err(error) => {
                    tracing::warn!(%error, endpoint = self.config.name, "the outbox cannot be read or written");
                    AFTER_ERROR
                }
            };
            // A timeout is as good a reason to look as a notice.
            drop(tokio::time::timeout(wait, grew.notified()).await);
        }
    }

    async fn wait(&mut self) -> Duration {
        let name = self.config.name.clone();
        if let Ok((waiting, dead)) = self.outbox.depth(&name).await {
            self.metrics.set_outbox(&name, waiting, dead);
        }
        let now = (self.clock)().utc;
        match self.outbox.next_at(&name).await {
            Ok(Some(at)) => {
                let us = at.as_micros().saturating_sub(now.as_micros()).max(1_000);
                Duration::from_micros(us.cast_unsigned()).min(LOOK_EVERY)
            }
            Ok(None) | Err(_) => LOOK_EVERY,
        }
    }

    /// Tries every message that is due, once.
    pub async fn deliver_due(&mut self) -> Result<Round, StoreError> {
        let mut round = Round::default();
        let name = self.config.name.clone();
        if self.outbox.is_disabled(&name).await? {
            round.disabled = true;
            return Ok(round);
        }
        let due = self
            .outbox
            .due(&name, (self.clock)().utc, IN_FLIGHT_MAX)
            .await?;
        let tries =
            futures_util::future::join_all(due.iter().map(|message| self.post(message))).await;
        for (message, tried) in due.iter().zip(tries) {
            let now = (self.clock)().utc;
            match tried {
                Try::Delivered => {
                    self.outbox.delivered(message.id).await?;
                    self.metrics.add_webhook(&name, "delivered");
                    round.delivered += 1;
                }
                Try::Gone => {
                    self.outbox.disable(&name, now).await?;
                    self.metrics.add_webhook(&name, "gone");
                    tracing::warn!(
                        endpoint = name,
                        "the endpoint answered 410 and gets no more"
                    );
                    round.disabled = true;
                }
                Try::Failed => {
                    let next_at = retry_at(message.tries + 1, now, &mut self.rng);
                    self.outbox.failed(message.id, next_at).await?;
                    let (result, count) = match next_at {
                        Some(_) => ("failed", &mut round.failed),
                        None => ("dead", &mut round.dead),
                    };
                    *count += 1;
                    self.metrics.add_webhook(&name, result);
                }
            }
        }
        Ok(round)
    }

    async fn post(&self, message: &Due) -> Try {
        let timestamp_s = (self.clock)().utc.as_micros().div_euclid(1_000_000);
        let answer = self
            .client
            .post(&self.config.url)
            .header("content-type", "application/cloudevents+json")
            .header("webhook-id", &message.message)
            .header("webhook-timestamp", timestamp_s.to_string())
            .header(
                "webhook-signature",
                signature(&self.keys, &message.message, timestamp_s, &message.body),
            )
            .body(message.body.clone())
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => Try::Delivered,
            Ok(answer) if answer.status() == reqwest::StatusCode::GONE => Try::Gone,
            Ok(answer) => {
                tracing::debug!(endpoint = self.config.name, status = %answer.status(), "a webhook was refused");
                Try::Failed
            }
            Err(error) => {
                tracing::debug!(endpoint = self.config.name, %error, "a webhook did not arrive");
                Try::Failed
            }
        }
    }
}
