//! Passwords of phones and tokens of people: given in the configuration, or made at the first start
//! and kept in the data folder, readable by the owner alone.

use crate::api::auth::{Role, TokenConfig, token_hash};
use crate::config::Configuration;
use anyhow::Context;
use model::AgentId;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of chance in a made secret: 256 bits.
const SECRET_BYTES: usize = 32;

/// Who may use the API.
#[derive(Clone)]
pub struct Tokens {
    /// May do everything.
    pub admin: String,
    /// Each acts as one agent.
    pub agents: BTreeMap<AgentId, String>,
}

impl Tokens {
    /// As the API knows them: hashed.
    pub fn configs(&self) -> Vec<TokenConfig> {
        let config = |name: String, token: &str, role, agent| TokenConfig {
            name,
            sha256: token_hash(token),
            role,
            agent,
        };
        let mut configs = vec![config("admin".into(), &self.admin, Role::Admin, None)];
        for (agent, token) in &self.agents {
            configs.push(config(
                format!("agent-{agent}"),
                token,
                Role::Agent,
                Some(*agent),
            ));
        }
        configs
    }
}

/// 32 bytes of the operating system's chance.
pub fn random_seed() -> [u8; 32] {
    let mut seed = [0u8; SECRET_BYTES];
    let mut source = std::fs::File::open("/dev/urandom").expect("a Unix has /dev/urandom");
    source
        .read_exact(&mut seed)
        .expect("/dev/urandom never ends");
    seed
}

/// 8 bytes of it.
pub fn random_u64() -> u64 {
    let seed = random_seed();
    u64::from_le_bytes(seed[..8].try_into().expect("8 of 32 bytes"))
}

/// The password of every agent's phone.
pub fn phones(
    configuration: &Configuration,
    folder: &Path,
) -> anyhow::Result<BTreeMap<AgentId, String>> {
    let mut phones = BTreeMap::new();
    for agent in configuration.call.acd.agents.keys() {
        let secret = match configuration.phones.get(agent) {
            Some(phone) => phone
                .secret()
                .map_err(|why| anyhow::anyhow!("phones.{agent}: {why}"))?,
            None => kept(&folder.join("secrets").join(format!("phone-{agent}")))?,
        };
        phones.insert(*agent, secret);
    }
    Ok(phones)
}

/// The tokens of the administrator and of every agent.
pub fn tokens(configuration: &Configuration, folder: &Path) -> anyhow::Result<Tokens> {
    let folder = folder.join("secrets");
    let admin = kept(&folder.join("api-admin"))?;
    let agents = configuration
        .call
        .acd
        .agents
        .keys()
        .map(|agent| Ok((*agent, kept(&folder.join(format!("api-{agent}")))?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(Tokens { admin, agents })
}

/// The secret of a file, made where there is none yet.
fn kept(file: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_string()),
        Ok(_) => anyhow::bail!(
            "{} is empty; remove it, and a new secret is made",
            file.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let secret: String = random_seed()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot create {}", file.display()))?;
    out.write_all(secret.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(secret)
}
