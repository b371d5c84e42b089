//! Reads and checks all configuration: every problem at once, each with file, line, column and remedy.
//!
//! A folder holds `tandem.toml`, `trunks.toml`, `queues.toml`, `agents.toml`, `campaigns/*.toml`,
//! `ivr/*.toml` and `rules/*.toml`; prompts are WAV files under `prompts/`. The same files are
//! embedded in the binary as the defaults that `tandem demo` runs on.

mod files;
mod problem;
mod source;

pub use files::{ApiFile, DataFile, DigestFile, EngineFile, MediaFile, PhoneFile, SipFile, TandemFile, TransportFile, TrunkFile};
pub use problem::Problem;
pub use source::Source;

use call::config::default_feature_codes;
use files::{AgentsFile, QueuesFile, TrunksFile};
use model::{AgentId, CampaignId, FlowId, TrunkId};
use problem::{Checked, Text};
use std::collections::{BTreeMap, BTreeSet};

/// Everything, checked.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// `tandem.toml`.
    pub tandem: TandemFile,
    /// Carriers.
    pub trunks: BTreeMap<TrunkId, TrunkFile>,
    /// The phones' accounts.
    pub phones: BTreeMap<AgentId, PhoneFile>,
    /// What the engine decides by.
    pub call: call::Config,
}

/// Configuration with something wrong in it.
#[derive(Debug)]
pub struct Rejected {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let n = self.problems.len();
        write!(f, "{n} problem{} in the configuration", if n == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Rejected {}

/// Reads all of a source. Problems that only warn are returned beside.
pub fn load(source: &Source) -> Result<(Configuration, Vec<Problem>), Rejected> {
    let mut checked = Checked::default();

    let tandem_text = checked.read(source, "tandem.toml");
    let tandem: TandemFile = checked.parse(&tandem_text);
    let trunks_text = checked.read(source, "trunks.toml");
    let trunks: TrunksFile = checked.parse(&trunks_text);
    let queues_text = checked.read(source, "queues.toml");
    let queues: QueuesFile = checked.parse(&queues_text);
    let agents_text = checked.read(source, "agents.toml");
    let agents: AgentsFile = checked.parse(&agents_text);

    let mut dialer = dialer::Config {
        trunks: trunks.trunks.iter().map(|(id, trunk)| (*id, trunk.limits)).collect(),
        ..dialer::Config::default()
    };
    let mut campaign_texts: BTreeMap<CampaignId, Text> = BTreeMap::new();
    for name in checked.list(source, "campaigns", "toml") {
        let text = checked.read(source, &format!("campaigns/{name}.toml"));
        let Some(id) = checked.name::<CampaignId>(&text, &name) else { continue };
        if let Some(mut campaign) = checked.try_parse::<dialer::config::CampaignConfig>(&text) {
            let is_member = |agent: &acd::AgentConfig| agent.queues.iter().any(|membership| membership.queue.0 == id.0);
            campaign.agents = agents.agents.iter().filter(|(_, agent)| is_member(agent)).map(|(id, _)| *id).collect();
            dialer.campaigns.insert(id, campaign);
        }
        campaign_texts.insert(id, text);
    }
    for name in checked.list(source, "rules", "toml") {
        let text = checked.read(source, &format!("rules/{name}.toml"));
        if let Some(rules) = checked.try_parse::<dialer::rules::RuleSet>(&text) {
            dialer.rules.insert(name, rules);
        }
    }

    let mut acd = acd::Config { queues: queues.queues, agents: agents.agents };
    // The engine adds the campaigns' queues as well; here so that the check of the agents knows them.
    call::config::join_campaigns(&mut acd, &dialer);
    for problem in acd.validate() {
        let text = if problem.path.starts_with("agents") { &agents_text } else { &queues_text };
        checked.say(text, &problem.path, &problem.problem, "docs/operations.md lists what each key may be");
    }
    for problem in dialer.validate() {
        let id = problem.path.split('.').nth(1).and_then(|id| id.parse::<CampaignId>().ok());
        match id.and_then(|id| campaign_texts.get(&id)).filter(|_| problem.path.starts_with("campaigns.")) {
            // campaigns.spring.rules is the key `rules` of its own file.
            Some(text) => {
                let key = problem.path.splitn(3, '.').nth(2).unwrap_or("");
                checked.say(text, key, &problem.message, &problem.remedy);
            }
            None => checked.say(&trunks_text, &problem.path, &problem.message, &problem.remedy),
        }
    }

    let prompts = source.prompts();
    let mut flow_files = Vec::new();
    for name in checked.list(source, "ivr", "toml") {
        let text = checked.read(source, &format!("ivr/{name}.toml"));
        flow_files.push((text.file, text.text));
    }
    let context = ivr::CheckContext {
        queues: Some(acd.queues.keys().copied().collect()),
        skills: Some(call::config::skills(&acd)),
        prompts: Some(prompts.clone()),
        sources: Some(tandem.lookup.keys().cloned().collect()),
        ..ivr::CheckContext::default()
    };
    let flows: BTreeSet<FlowId> = match ivr::parse_all(&flow_files, &context) {
        Ok(flows) => {
            for flow in flows.values() {
                checked.diagnostics(&flow_files, &flow.warnings);
            }
            flows.keys().copied().collect()
        }
        Err(diagnostics) => {
            checked.diagnostics(&flow_files, &diagnostics);
            BTreeSet::new()
        }
    };

    for (index, route) in tandem.route.iter().enumerate() {
        let path = format!("route.{index}");
        match (route.flow, route.queue) {
            (Some(flow), None) if !flows.contains(&flow) && !flows.is_empty() => {
                checked.say(&tandem_text, &path, &format!("there is no flow \"{flow}\""), "add ivr/NAME.toml");
            }
            (None, Some(queue)) if !acd.queues.contains_key(&queue) => {
                checked.say(&tandem_text, &path, &format!("there is no queue \"{queue}\""), "add it to queues.toml");
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => checked.say(&tandem_text, &path, "a route goes to one place", "give it either a flow or a queue"),
        }
        if let Some(trunk) = route.trunk.filter(|trunk| !trunks.trunks.contains_key(trunk)) {
            checked.say(&tandem_text, &path, &format!("there is no trunk \"{trunk}\""), "add it to trunks.toml");
        }
    }
    for agent in agents.phones.keys().filter(|agent| !acd.agents.contains_key(agent)) {
        checked.say(&agents_text, &format!("phones.{agent}"), "no such agent", "add [agents.NAME] or remove the phone");
    }
    for (agent, phone) in &agents.phones {
        if let Err(why) = phone.secret() {
            checked.say(&agents_text, &format!("phones.{agent}"), &why, "give password, password_env or password_file");
        }
    }
    for problem in tandem.problems() {
        checked.say(&tandem_text, &problem.0, &problem.1, &problem.2);
    }
    for (queue, treatment) in &queues.treatment {
        if !acd.queues.contains_key(queue) {
            checked.say(&queues_text, &format!("treatment.{queue}"), "no such queue", "name a queue or campaign");
        }
        for prompt in [&treatment.music, &treatment.hold_music] {
            if !prompts.contains(prompt) {
                let message = format!("there is no prompt \"{prompt}\"");
                checked.say(&queues_text, &format!("treatment.{queue}"), &message, "add it under prompts/ as 8 kHz mono WAV");
            }
        }
    }

    let mut feature_codes = default_feature_codes();
    feature_codes.extend(tandem.feature_codes.clone());
    let call = call::Config {
        acd,
        dialer,
        flows: flow_files,
        routes: tandem.route.clone(),
        treatment: queues.treatment,
        feature_codes,
        live_calls_max: tandem.engine.live_calls_max,
        call_ms_max: u64::from(tandem.engine.call_minutes_max) * 60_000,
    };
    let configuration = Configuration { tandem, trunks: trunks.trunks, phones: agents.phones, call };
    checked.finish(configuration)
}
