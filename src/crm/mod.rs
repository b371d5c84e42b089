//! Telling the world outside about calls: screen pops, CRM lookups, webhooks.
//!
//! An adapter looks up who calls and logs what came of it. The call never waits for it: a CRM that
//! fails or is slow costs the match and nothing else. Adapters: `none`, `url-template` (a URL with
//! placeholders, zero code) and `http-json` (any REST CRM, mapped in the configuration).

pub mod cloud_event;
pub mod guard;
mod http_json;
pub mod screen_pop;
pub mod secret;
pub mod sockets;
#[cfg(test)]
mod tests;
pub mod webhook;

pub use http_json::HttpJsonConfig;

use model::ScreenPop;
use model::cdr::Cdr;
use model::screen_pop::CrmMatch;
use serde::Deserialize;
use std::pin::Pin;
use std::sync::Arc;

/// `[crm]` of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(tag = "adapter", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CrmConfig {
    /// No CRM.
    #[default]
    None,
    /// Opens a URL with placeholders: `{caller}`, `{called}`, `{queue}`, `{campaign}`,
    /// `{customer_key}`, `{call}`, each percent-encoded.
    UrlTemplate {
        /// The URL.
        url: String,
    },
    /// Asks a REST API.
    HttpJson(HttpJsonConfig),
}

/// Why an adapter has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CrmError {
    /// The URL is not http(s), or leads to a private address that is not allowed.
    #[error("the address is not allowed: {0}")]
    Address(#[from] guard::AddressError),
    /// A secret could not be read.
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    /// The request failed.
    #[error("the CRM did not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The CRM answered with this status.
    #[error("the CRM answered {0}")]
    Status(u16),
    /// The budget was over first.
    #[error("the CRM took longer than its budget")]
    Slow,
    /// The answer is longer than the bound.
    #[error("the CRM's answer is longer than {0} bytes")]
    Long(usize),
    /// The answer is not JSON, or has no list where the configuration says.
    #[error("the CRM's answer is not understood")]
    Answer,
    /// A method that HTTP does not have.
    #[error("{0:?} is not an HTTP method")]
    Method(String),
}

/// An answer that comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, CrmError>> + Send + 'a>>;

/// A CRM.
pub trait CrmAdapter: Send + Sync {
    /// What the agent's browser should open, where that needs no question.
    fn open_url(&self, pop: &ScreenPop) -> Option<String>;
    /// Whether a lookup would ask anyone.
    fn asks(&self) -> bool;
    /// Records that fit who calls.
    fn lookup<'a>(&'a self, pop: &'a ScreenPop) -> Later<'a, Vec<CrmMatch>>;
    /// Writes down what came of a call.
    fn log_call<'a>(&'a self, cdr: &'a Cdr) -> Later<'a, ()>;
}

/// The adapter of a configuration.
pub fn adapter(config: &CrmConfig) -> Result<Arc<dyn CrmAdapter>, CrmError> {
    Ok(match config {
        CrmConfig::None => Arc::new(NoCrm),
        CrmConfig::UrlTemplate { url } => Arc::new(UrlTemplate { url: url.clone() }),
        CrmConfig::HttpJson(config) => Arc::new(http_json::HttpJson::new(config)?),
    })
}

/// No CRM.
struct NoCrm;

impl CrmAdapter for NoCrm {
    fn open_url(&self, _pop: &ScreenPop) -> Option<String> {
        None
    }
    fn asks(&self) -> bool {
        false
    }
    fn lookup<'a>(&'a self, _pop: &'a ScreenPop) -> Later<'a, Vec<CrmMatch>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn log_call<'a>(&'a self, _cdr: &'a Cdr) -> Later<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A URL with placeholders.
struct UrlTemplate {
    url: String,
}

impl CrmAdapter for UrlTemplate {
    fn open_url(&self, pop: &ScreenPop) -> Option<String> {
        Some(fill(&self.url, pop))
    }
    fn asks(&self) -> bool {
        false
    }
    fn lookup<'a>(&'a self, _pop: &'a ScreenPop) -> Later<'a, Vec<CrmMatch>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn log_call<'a>(&'a self, _cdr: &'a Cdr) -> Later<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// The template with its placeholders filled in, percent-encoded; unknown ones stay as they are.
pub fn fill(template: &str, pop: &ScreenPop) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        let found = after
            .find('}')
            .and_then(|close| Some((close, value(&after[..close], pop)?)));
        match found {
            Some((close, value)) => {
                percent_encode(&value, &mut out);
                rest = &after[close + 1..];
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn value(name: &str, pop: &ScreenPop) -> Option<String> {
    let lead_key = pop.lead.as_ref().and_then(|lead| lead.customer_key.clone());
    Some(match name {
        "caller" => pop.caller.clone(),
        "called" => pop.called.clone(),
        "call" => pop.call.to_string(),
        "agent" => pop.agent.to_string(),
        "queue" => pop.queue.map(|queue| queue.to_string()).unwrap_or_default(),
        "campaign" => pop
            .campaign
            .map(|campaign| campaign.to_string())
            .unwrap_or_default(),
        "customer_key" => lead_key
            .or_else(|| pop.variables.get("customer_key").cloned())
            .unwrap_or_default(),
        _ => return None,
    })
}

/// Everything but the unreserved characters (RFC 3986 §2.3).
fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// A sink for call records that logs each in the CRM, in the background. For
/// [`BusParts::on_record`](crate::bus::BusParts::on_record).
pub fn call_log(
    adapter: Arc<dyn CrmAdapter>,
    runtime: tokio::runtime::Handle,
) -> crate::bus::RecordSink {
    /// Calls being logged at once; beyond it the CRM is slower than the calls, and activities are
    /// left out rather than piled up.
    const LOGS_AT_ONCE_MAX: usize = 64;
    let permits = Arc::new(tokio::sync::Semaphore::new(LOGS_AT_ONCE_MAX));
    Box::new(move |cdr| {
        if !adapter.asks() {
            return;
        }
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            tracing::warn!(call = %cdr.call, "the CRM is too slow; a call is not logged there");
            return;
        };
        let (adapter, cdr) = (adapter.clone(), cdr.clone());
        runtime.spawn(async move {
            if let Err(error) = adapter.log_call(&cdr).await {
                tracing::warn!(%error, call = %cdr.call, "a call is not logged in the CRM");
            }
            drop(permit);
        });
    })
}
