//! Who may do what: bearer tokens with roles, deny by default. An agent only ever acts as itself.
//!
//! The configuration holds the SHA-256 of each token, never the token: a token is 256 random bits,
//! which no slow hash could make harder to guess.

use super::ApiState;
use super::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header, request::Parts};
use model::AgentId;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The WebSocket subprotocol spoken; beside it a browser, which cannot set headers, may offer
/// `bearer.` and its token.
pub const SUBPROTOCOL: &str = "tandem.v1";

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Act as one agent.
    Agent,
    /// See everything, act for any agent, open queues, run campaigns.
    Supervisor,
    /// All that.
    Admin,
}

/// One token of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Whose it is, for the audit log.
    pub name: String,
    /// SHA-256 of the token in hex.
    pub sha256: String,
    /// What it may do.
    pub role: Role,
    /// The agent it acts as; needed for the role `agent`, and only there.
    pub agent: Option<AgentId>,
}

/// Why a token's configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not 64 hex digits.
    #[error("token {0:?}: sha256 is 64 hex digits")]
    Hash(String),
    /// Role agent without an agent, or another role with one.
    #[error("token {0:?}: role \"agent\" names its agent, and no other role does")]
    Agent(String),
    /// Two tokens have the same hash.
    #[error("token {0:?} is another one's too")]
    Twice(String),
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The agent it acts as.
    pub agent: Option<AgentId>,
}

impl Caller {
    /// Whether it may see and run everything.
    pub fn supervises(&self) -> Result<(), Problem> {
        match self.role {
            Role::Supervisor | Role::Admin => Ok(()),
            Role::Agent => Err(Problem::forbidden("this needs the role supervisor")),
        }
    }

    /// Whether it may act as this agent.
    pub fn acts_as(&self, agent: AgentId) -> Result<(), Problem> {
        match self.role {
            Role::Supervisor | Role::Admin => Ok(()),
            Role::Agent if self.agent == Some(agent) => Ok(()),
            Role::Agent => Err(Problem::forbidden("an agent acts only as itself")),
        }
    }
}

/// The SHA-256 of a token in hex, as the configuration wants it.
pub fn token_hash(token: &str) -> String {
    Sha256::digest(token.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The known tokens, by hash: a look-up that takes longer for a near miss tells nothing about a token.
#[derive(Debug, Default)]
pub struct Tokens {
    by_hash: BTreeMap<String, Caller>,
}

impl Tokens {
    /// Checks the configuration.
    pub fn new(configs: &[TokenConfig]) -> Result<Tokens, TokenError> {
        let mut by_hash = BTreeMap::new();
        for config in configs {
            let hash = config.sha256.to_ascii_lowercase();
            if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(TokenError::Hash(config.name.clone()));
            }
            if (config.role == Role::Agent) != config.agent.is_some() {
                return Err(TokenError::Agent(config.name.clone()));
            }
            let caller = Caller {
                name: config.name.clone(),
                role: config.role,
                agent: config.agent,
            };
            if by_hash.insert(hash, caller).is_some() {
                return Err(TokenError::Twice(config.name.clone()));
            }
        }
        Ok(Tokens { by_hash })
    }

    /// Whose token it is.
    pub fn caller(&self, token: &str) -> Option<&Caller> {
        self.by_hash.get(&token_hash(token))
    }
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim());
    }
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix("bearer."))
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Caller, Problem> {
        token_of(&parts.headers)
            .and_then(|token| state.tokens.caller(token))
            .cloned()
            .ok_or_else(Problem::unauthorized)
    }
}

/// A web page may open a WebSocket only from an allowed origin; programs send none.
pub(super) fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    match headers.get(header::ORIGIN) {
        None => Ok(()),
        Some(origin) if allowed.iter().any(|a| origin.as_bytes() == a.as_bytes()) => Ok(()),
        Some(_) => Err(Problem::forbidden("this origin may not connect")),
    }
}
