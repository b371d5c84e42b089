//! Any REST CRM: a URL with placeholders, headers, and where in the answer the records are.

use super::guard::{check_url, client};
use super::secret::Secret;
use super::{CrmAdapter, CrmError, Later, fill};
use model::ScreenPop;
use model::cdr::Cdr;
use model::screen_pop::CrmMatch;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest answer read, in bytes. A lookup returns a few records; more is a wrong query.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Most matches shown to an agent.
const MATCHES_MAX: usize = 10;

/// How to ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpJsonConfig {
    /// `GET` or `POST`.
    #[serde(default = "get")]
    pub method: String,
    /// The URL, with the placeholders of `url-template`.
    pub url: String,
    /// Header → secret.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Where the list of records is, as keys joined by dots; empty for the answer itself.
    #[serde(default)]
    pub matches: String,
    /// Where in a record its key is.
    pub key: String,
    /// Where in a record what to show is.
    pub title: String,
    /// Where in a record the URL to open is.
    pub open_url: Option<String>,
    /// POST the record of every call here.
    pub log_call_url: Option<String>,
    /// The answer must come within this time, in ms.
    #[serde(default = "budget")]
    pub budget_ms: u32,
    /// Whether the CRM may be at a private address.
    #[serde(default)]
    pub allow_private: bool,
}

fn get() -> String {
    "GET".into()
}
fn budget() -> u32 {
    300
}

pub(super) struct HttpJson {
    config: HttpJsonConfig,
    method: reqwest::Method,
    headers: Vec<(String, String)>,
    client: reqwest::Client,
}

impl HttpJson {
    pub(super) fn new(config: &HttpJsonConfig) -> Result<HttpJson, CrmError> {
        let method = match config.method.as_str() {
            "GET" => reqwest::Method::GET,
            "POST" => reqwest::Method::POST,
            other => return Err(CrmError::Method(other.to_string())),
        };
        let headers = config
            .headers
            .iter()
            .map(|(name, secret)| Ok((name.clone(), secret.read()?)))
            .collect::<Result<_, CrmError>>()?;
        // Logging a call is nobody's wait, so it has a longer limit than the lookup.
        let client = client(config.allow_private, Duration::from_secs(10))?;
        Ok(HttpJson {
            config: config.clone(),
            method,
            headers,
            client,
        })
    }

    fn request(
        &self,
        method: reqwest::Method,
        url: &str,
    ) -> Result<reqwest::RequestBuilder, CrmError> {
        check_url(url, self.config.allow_private)?;
        let mut request = self.client.request(method, url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request)
    }

    async fn ask(&self, pop: &ScreenPop) -> Result<Vec<CrmMatch>, CrmError> {
        let mut answer = self
            .request(self.method.clone(), &fill(&self.config.url, pop))?
            .send()
            .await?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        if !answer.status().is_success() {
            return Err(CrmError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(CrmError::Long(ANSWER_BYTES_MAX));
            }
        }
        let answer: Value = serde_json::from_slice(&body).map_err(|_| CrmError::Answer)?;
        let records = at(&answer, &self.config.matches).ok_or(CrmError::Answer)?;
        let records = match records {
            Value::Array(records) => records.as_slice(),
            one @ Value::Object(_) => std::slice::from_ref(one),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(CrmError::Answer);
            }
        };
        Ok(records
            .iter()
            .filter_map(|record| self.record(record))
            .take(MATCHES_MAX)
            .collect())
    }

    fn record(&self, record: &Value) -> Option<CrmMatch> {
        let key = text(at(record, &self.config.key)?)?;
        let title = at(record, &self.config.title)
            .and_then(text)
            .unwrap_or_else(|| key.clone());
        let url = self
            .config
            .open_url
            .as_ref()
            .and_then(|path| at(record, path))
            .and_then(text);
        // Whatever a CRM says, a browser is only ever sent to a web page.
        let url = url.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        Some(CrmMatch { key, title, url })
    }
}

impl CrmAdapter for HttpJson {
    fn open_url(&self, _pop: &ScreenPop) -> Option<String> {
        None
    }
    fn asks(&self) -> bool {
        true
    }
    fn lookup<'a>(&'a self, pop: &'a ScreenPop) -> Later<'a, Vec<CrmMatch>> {
        let budget = Duration::from_millis(self.config.budget_ms.into());
        Box::pin(async move {
            tokio::time::timeout(budget, self.ask(pop))
                .await
                .unwrap_or(Err(CrmError::Slow))
        })
    }
    fn log_call<'a>(&'a self, cdr: &'a Cdr) -> Later<'a, ()> {
        Box::pin(async move {
            let Some(url) = &self.config.log_call_url else {
                return Ok(());
            };
            let answer = self
                .request(reqwest::Method::POST, url)?
                .json(cdr)
                .send()
                .await?;
            match answer.status().is_success() {
                true => Ok(()),
                false => Err(CrmError::Status(answer.status().as_u16())),
            }
        })
    }
}

/// The value at keys joined by dots; a number picks from a list.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .filter(|key| !key.is_empty())
        .try_fold(value, |value, key| match value {
            Value::Array(list) => list.get(key.parse::<usize>().ok()?),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => value.get(key),
        })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.chars().filter(|c| !c.is_control()).collect()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
