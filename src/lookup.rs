//! Data dips of flows: a question by HTTP, an answer as an input, never later than its timeout.

use crate::bus::Inbox;
use call::Input;
use model::LookupId;
use std::collections::BTreeMap;
use std::time::Duration;

/// An answer is cut off here: a flow keeps names and numbers, not documents.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Asks data sources.
pub struct Lookups {
    sources: BTreeMap<String, String>,
    inbox: Inbox,
    runtime: tokio::runtime::Handle,
    client: reqwest::Client,
}

impl Lookups {
    /// For these sources: name and address.
    pub fn new(
        sources: BTreeMap<String, String>,
        inbox: Inbox,
        runtime: tokio::runtime::Handle,
    ) -> Lookups {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS roots of its own can always be built");
        Lookups {
            sources,
            inbox,
            runtime,
            client,
        }
    }

    /// Asks; exactly one `LookupAnswered` follows.
    pub fn ask(
        &self,
        lookup: LookupId,
        source: &str,
        parameters: BTreeMap<String, String>,
        timeout: Duration,
    ) {
        let inbox = self.inbox.clone();
        let Some(address) = self.sources.get(source).cloned() else {
            inbox.send(Input::LookupAnswered {
                lookup,
                result: Err(format!("no source {source}")),
            });
            return;
        };
        let client = self.client.clone();
        self.runtime.spawn(async move {
            let asked = tokio::time::timeout(timeout, ask(&client, &address, &parameters)).await;
            let result = asked.unwrap_or_else(|_| Err("timeout".into()));
            inbox.send(Input::LookupAnswered { lookup, result });
        });
    }
}

async fn ask(
    client: &reqwest::Client,
    address: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut response = client
        .get(address)
        .query(parameters)
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    if !response.status().is_success() {
        return Err(format!("status {}", response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| error.without_url().to_string())?
    {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err("too long".into());
        }
    }
    let value: serde_json::Value =
        serde_json::from_slice(&body).map_err(|_| "not JSON".to_string())?;
    let object = value.as_object().ok_or("not an object")?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(is) => Some(is.to_string()),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            None
        }
    };
    Ok(object
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect())
}
