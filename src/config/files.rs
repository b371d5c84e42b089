//! The shapes of the files.

use call::config::{FeatureCode, Route, Treatment};
use dialer::caller_id::PoolConfig;
use dialer::trunk::{Block, TrunkLimits};
use model::event::AttestationLevel;
use model::{AgentId, QueueId, TrunkId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// `tandem.toml`: the process.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TandemFile {
    /// Bounds.
    pub engine: EngineFile,
    /// Signalling.
    pub sip: SipFile,
    /// Voices.
    pub media: MediaFile,
    /// Where records go.
    pub data: DataFile,
    /// HTTP.
    pub api: ApiFile,
    /// The customer relations behind the screen pop.
    pub crm: crate::crm::CrmConfig,
    /// Who is told of events.
    pub webhook: Vec<crate::crm::webhook::WebhookConfig>,
    /// Where calls to numbers go; the first that fits wins.
    pub route: Vec<Route>,
    /// Codes agents dial, beside `*11` to `*14`.
    pub feature_codes: BTreeMap<String, FeatureCode>,
    /// Data sources of flows, by name: an address that is asked with the parameters as query.
    pub lookup: BTreeMap<String, String>,
}

/// Bounds of the engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineFile {
    /// Further calls are refused with 503.
    pub live_calls_max: usize,
    /// A call that nobody ends is ended.
    pub call_minutes_max: u32,
    /// A stopping engine waits this long for live calls.
    pub drain_s: u32,
}

impl Default for EngineFile {
    fn default() -> Self {
        EngineFile {
            live_calls_max: 5_000,
            call_minutes_max: 240,
            drain_s: 30,
        }
    }
}

/// Signalling.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipFile {
    /// UDP and TCP. Trunks and phones alike.
    pub listen: SocketAddr,
    /// Listen on TCP as well.
    pub tcp: bool,
    /// The address peers reach us at, where it is not the one listened on.
    pub advertise: Option<SocketAddr>,
    /// The realm of phones, and the domain of our URIs.
    pub domain: String,
    /// Shortest and longest registration of a phone, in seconds.
    pub registration_s: (u32, u32),
    /// RFC 3261 T1.
    pub t1_ms: u32,
    /// How often trunks are asked with OPTIONS; 0 never.
    pub options_every_s: u32,
    /// What phones are challenged with, best first. Phones that know MD5 only and fail on a second
    /// challenge beside it (baresip 1, SIPp 3) need `["md5"]`.
    pub digest: Vec<DigestFile>,
}

impl Default for SipFile {
    fn default() -> Self {
        SipFile {
            listen: SocketAddr::from(([127, 0, 0, 1], 5060)),
            tcp: true,
            advertise: None,
            domain: "tandem.local".into(),
            registration_s: (60, 3_600),
            t1_ms: 500,
            options_every_s: 30,
            digest: vec![DigestFile::Sha256, DigestFile::Md5],
        }
    }
}

/// A hash of digest authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DigestFile {
    /// RFC 8760.
    #[serde(rename = "sha-256")]
    Sha256,
    /// What old phones need.
    #[serde(rename = "md5")]
    Md5,
}

impl DigestFile {
    /// As the stack calls it.
    pub fn algorithm(self) -> sip::digest::Algorithm {
        match self {
            DigestFile::Sha256 => sip::digest::Algorithm::Sha256,
            DigestFile::Md5 => sip::digest::Algorithm::Md5,
        }
    }
}

/// Voices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaFile {
    /// Where RTP arrives, and what our SDP says.
    pub address: IpAddr,
    /// First and last port.
    pub ports: (u16, u16),
    /// Threads that relay.
    pub workers: usize,
    /// A leg without RTP for so long is over.
    pub rtp_timeout_s: u32,
    /// Phones may send from elsewhere than their SDP says.
    pub nat_phones: bool,
}

impl Default for MediaFile {
    fn default() -> Self {
        MediaFile {
            address: IpAddr::from([127, 0, 0, 1]),
            ports: (20_000, 29_999),
            workers: 1,
            rtp_timeout_s: 30,
            nat_phones: false,
        }
    }
}

/// Where records go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataFile {
    /// The folder of the database, the recordings and the logs.
    pub folder: PathBuf,
}

impl Default for DataFile {
    fn default() -> Self {
        DataFile {
            folder: "data".into(),
        }
    }
}

/// HTTP.
pub type ApiFile = crate::api::ApiConfig;

/// `trunks.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrunksFile {
    pub trunks: BTreeMap<TrunkId, TrunkFile>,
    pub pools: BTreeMap<String, PoolConfig>,
}

/// One carrier.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkFile {
    /// Where INVITEs go, and one of the addresses they come from.
    pub address: SocketAddr,
    /// `udp` or `tcp`.
    #[serde(default)]
    pub transport: TransportFile,
    /// Further addresses calls come from; port 0 is any.
    #[serde(default)]
    pub also_from: Vec<SocketAddr>,
    /// The host of request URIs, where it is not the address.
    #[serde(default)]
    pub host: Option<String>,
    /// User for its challenges.
    #[serde(default)]
    pub user: Option<String>,
    /// The password for them: itself,
    #[serde(default)]
    password: Option<String>,
    /// the environment variable that has it,
    #[serde(default)]
    password_env: Option<String>,
    /// or the file that has it.
    #[serde(default)]
    password_file: Option<PathBuf>,
    /// Register with it as `user`.
    #[serde(default)]
    pub register: bool,
    /// What it allows.
    #[serde(default)]
    pub limits: TrunkLimits,
    /// Numbers it takes more slowly.
    #[serde(default)]
    pub blocks: Vec<Block>,
    /// What it signs our calls with (STIR/SHAKEN), as agreed with it: `A`, `B` or `C`.
    #[serde(default)]
    pub attestation: Option<AttestationLevel>,
}

impl std::fmt::Debug for TrunkFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrunkFile")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl TrunkFile {
    /// The password for its challenges.
    pub fn password(&self) -> PhoneFile {
        PhoneFile {
            password: self.password.clone(),
            password_env: self.password_env.clone(),
            password_file: self.password_file.clone(),
        }
    }

    /// What is wrong with the way it is authenticated: key, problem and remedy.
    pub(super) fn problem(&self) -> Option<(&'static str, String, &'static str)> {
        let password = self.password();
        match (&self.user, password.is_given()) {
            (Some(_), true) => password.secret().err().map(|why| {
                (
                    password.key(),
                    why,
                    "give password, password_env or password_file",
                )
            }),
            (Some(_), false) => Some((
                "user",
                "a user without a password".into(),
                "add password_env = \"NAME\"",
            )),
            (None, true) => Some((
                password.key(),
                "a password without a user".into(),
                "add user = \"NAME\"",
            )),
            (None, false) if self.register => Some((
                "register",
                "a registration needs an account".into(),
                "add user and password_env",
            )),
            (None, false) => None,
        }
    }
}

/// How a carrier is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportFile {
    /// Datagrams.
    #[default]
    Udp,
    /// A stream.
    Tcp,
}

/// `queues.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueuesFile {
    pub queues: BTreeMap<QueueId, acd::QueueConfig>,
    pub treatment: BTreeMap<QueueId, Treatment>,
}

/// `agents.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AgentsFile {
    pub agents: BTreeMap<AgentId, acd::AgentConfig>,
    pub phones: BTreeMap<AgentId, PhoneFile>,
}

/// A password, in one of three ways.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneFile {
    password: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
}

impl std::fmt::Debug for PhoneFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PhoneFile(…)")
    }
}

/// Passwords of examples everywhere: whoever runs with one is open to everybody.
const DEFAULT_PASSWORDS: [&str; 5] = ["change-me", "changeme", "password", "secret", "1234"];

impl PhoneFile {
    /// The password itself. `Err` says why there is none that can be used.
    pub fn secret(&self) -> Result<String, String> {
        let secret = match (&self.password, &self.password_env, &self.password_file) {
            (Some(password), None, None) => password.clone(),
            (None, Some(name), None) => {
                std::env::var(name).map_err(|_| format!("the environment has no {name}"))?
            }
            (None, None, Some(file)) => std::fs::read_to_string(file)
                .map(|text| text.trim_end().to_string())
                .map_err(|error| format!("{}: {error}", file.display()))?,
            (None, None, None) => return Err("no password".into()),
            _ => return Err("more than one password".into()),
        };
        if DEFAULT_PASSWORDS.contains(&secret.as_str()) {
            return Err("a default password is no password".into());
        }
        if secret.len() < 8 {
            return Err("a password has at least 8 characters".into());
        }
        Ok(secret)
    }

    /// The key that is written.
    pub(super) fn key(&self) -> &'static str {
        match (&self.password, &self.password_env, &self.password_file) {
            (Some(_), _, _) => "password",
            (None, Some(_), _) => "password_env",
            (None, None, Some(_)) => "password_file",
            (None, None, None) => "",
        }
    }

    /// Whether any is named.
    pub fn is_given(&self) -> bool {
        self.password.is_some() || self.password_env.is_some() || self.password_file.is_some()
    }
}

impl TandemFile {
    /// What a value's type cannot say: `(path, problem, remedy)`.
    pub(super) fn problems(&self) -> Vec<(String, String, String)> {
        let mut problems = Vec::new();
        let mut say = |path: &str, problem: &str, remedy: &str| {
            problems.push((path.to_string(), problem.to_string(), remedy.to_string()));
        };
        let (first, last) = self.media.ports;
        if first % 2 != 0 || first < 1_024 || last <= first {
            say(
                "media.ports",
                "not a range",
                "begin with an even port from 1024 and end above it, as in [20000, 29999]",
            );
        }
        if !(1..=64).contains(&self.media.workers) {
            say(
                "media.workers",
                "not between 1 and 64",
                "use 1 for each core that may relay",
            );
        }
        if !(2..=3_600).contains(&self.media.rtp_timeout_s) {
            say(
                "media.rtp_timeout_s",
                "not between 2 and 3600",
                "30 is usual",
            );
        }
        if self.sip.registration_s.0 < 10 || self.sip.registration_s.1 < self.sip.registration_s.0 {
            say("sip.registration_s", "not a range", "as in [60, 3600]");
        }
        if self.sip.digest.is_empty() {
            say(
                "sip.digest",
                "no phone could prove who it is",
                "as in [\"sha-256\", \"md5\"]",
            );
        }
        if !(100..=4_000).contains(&self.sip.t1_ms) {
            say("sip.t1_ms", "not between 100 and 4000", "RFC 3261 says 500");
        }
        if self.engine.live_calls_max == 0 || self.engine.call_minutes_max == 0 {
            say(
                "engine",
                "a bound of 0 lets nobody in",
                "give live_calls_max and call_minutes_max",
            );
        }
        for code in self.feature_codes.keys() {
            if code.is_empty() || !code.chars().all(|c| c.is_ascii_digit() || "*#".contains(c)) {
                say(
                    &format!("feature_codes.{code}"),
                    "cannot be dialled",
                    "use the keys 0-9, * and #, as in \"*15\"",
                );
            }
        }
        if let Err(error) = crate::api::auth::Tokens::new(&self.api.tokens) {
            say(
                "api.tokens",
                &error.to_string(),
                "docs/configuration.md says what a token has",
            );
        }
        if let Err(error) = crate::crm::adapter(&self.crm) {
            say(
                "crm",
                &error.to_string(),
                "docs/configuration.md says what each adapter needs",
            );
        }
        for (index, webhook) in self.webhook.iter().enumerate() {
            for secret in [Some(&webhook.secret), webhook.secret_before.as_ref()]
                .into_iter()
                .flatten()
            {
                if let Err(error) = secret.read() {
                    say(
                        &format!("webhook.{index}.secret"),
                        &error.to_string(),
                        "name the variable or file that holds the key",
                    );
                }
            }
        }
        problems
    }
}
