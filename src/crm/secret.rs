//! Secrets: named in the configuration by where they are, never printed.

use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;

/// Where a secret is: `{ env = "CRM_TOKEN", prefix = "Bearer " }` or `{ file = "/run/…" }`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// An environment variable.
    pub env: Option<String>,
    /// A file; white space around its content is dropped.
    pub file: Option<PathBuf>,
    /// What goes before it.
    #[serde(default)]
    pub prefix: String,
}

/// Why a secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable {0} of a secret is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("the file {0} of a secret cannot be read: {1}")]
    File(PathBuf, std::io::Error),
    /// Neither or both are named.
    #[error("a secret is named by either env or file")]
    Neither,
    /// It is empty.
    #[error("a secret is empty")]
    Empty,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Secret {
    /// Its text.
    pub fn read(&self) -> Result<String, SecretError> {
        let text = match (&self.env, &self.file) {
            (Some(env), None) => std::env::var(env).map_err(|_| SecretError::Env(env.clone()))?,
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|error| SecretError::File(file.clone(), error))?,
            (Some(_), Some(_)) | (None, None) => return Err(SecretError::Neither),
        };
        match text.trim() {
            "" => Err(SecretError::Empty),
            text => Ok(format!("{}{text}", self.prefix)),
        }
    }
}
