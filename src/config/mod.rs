//! Reads and checks all configuration: every problem at once, each with file, line, column and remedy.
//!
//! A folder holds `tandem.toml`, `trunks.toml`, `queues.toml`, `agents.toml`, `campaigns/*.toml`,
//! `ivr/*.toml` and `rules/*.toml`; prompts are WAV files under `prompts/`. The same files are
//! embedded in the binary as the defaults that `tandem demo` runs on.

mod cards;
mod files;
mod problem;
mod source;

pub use files::{
    ApiFile, DataFile, DigestFile, EngineFile, MediaFile, PhoneFile, SipFile, TandemFile,
    TransportFile, TrunkFile,
};
pub use problem::Problem;
pub use source::Source;

use call::config::default_feature_codes;
use files::{AgentsFile, QueuesFile, TrunksFile};
use model::{AgentId, CampaignId, FlowId, ListId, QueueId, SkillId, TrunkId};
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
        write!(
            f,
            "{n} problem{} in the configuration",
            if n == 1 { "" } else { "s" }
        )
    }
}

impl std::error::Error for Rejected {}

/// Reads all of a source. Problems that only warn are returned beside.
///
/// # Errors
/// Every problem that was found. Where a file could not be read in full, nobody is told that what
/// should be in it is missing.
pub fn load(source: &Source) -> Result<(Configuration, Vec<Problem>), Rejected> {
    let mut checked = Checked::default();
    let (configuration, _) = read(source, &mut checked);
    checked.finish(configuration)
}

/// What a flow may name.
#[derive(Clone, Debug)]
pub struct Names {
    /// Queues, those of campaigns included.
    pub queues: BTreeSet<QueueId>,
    /// Skills that some agent has.
    pub skills: BTreeSet<SkillId>,
    /// Prompts, the built-in ones included.
    pub prompts: BTreeSet<String>,
    /// Data sources.
    pub sources: BTreeSet<String>,
}

/// What a source's flows may name; its own flows may be wrong.
///
/// # Errors
/// Where a file could not be read in full: then a name may be missing that is there.
pub fn names(source: &Source) -> Result<Names, Rejected> {
    let mut checked = Checked::default();
    let (_, names) = read(source, &mut checked);
    match checked.is_all_whole() {
        true => Ok(names),
        false => checked.finish(names).map(|(names, _)| names),
    }
}

fn read(source: &Source, checked: &mut Checked) -> (Configuration, Names) {
    let tandem_text = checked.read(source, source::MAIN_FILE);
    let tandem: TandemFile = checked.parse(&tandem_text);
    let trunks_text = checked.read(source, "trunks.toml");
    let trunks: TrunksFile = checked.parse(&trunks_text);
    let queues_text = checked.read(source, "queues.toml");
    let queues: QueuesFile = checked.parse(&queues_text);
    let agents_text = checked.read(source, "agents.toml");
    let agents: AgentsFile = checked.parse(&agents_text);
    let prompts = source.prompts();

    let mut dialer = dialer::Config {
        trunks: trunks
            .trunks
            .iter()
            .map(|(id, trunk)| (*id, trunk.limits))
            .collect(),
        blocks: trunks
            .trunks
            .iter()
            .filter(|(_, trunk)| !trunk.blocks.is_empty())
            .map(|(id, trunk)| (*id, trunk.blocks.clone()))
            .collect(),
        pools: trunks.pools.clone(),
        ..dialer::Config::default()
    };
    let mut campaign_texts: BTreeMap<CampaignId, Text> = BTreeMap::new();
    let mut campaigns_whole = true;
    for name in source.list("campaigns", "toml") {
        let text = checked.read(source, &format!("campaigns/{name}.toml"));
        let Some(id) = checked.name::<CampaignId>(&text, &name) else {
            continue;
        };
        if let Some(mut campaign) = checked.try_parse::<dialer::config::CampaignConfig>(&text) {
            let is_member = |agent: &acd::AgentConfig| {
                agent
                    .queues
                    .iter()
                    .any(|membership| membership.queue.0 == id.0)
            };
            campaign.agents = agents
                .agents
                .iter()
                .filter(|(_, agent)| is_member(agent))
                .map(|(id, _)| *id)
                .collect();
            let speaks = campaign.mode == model::event::Mode::Agentless;
            if campaign.agents.is_empty() && !speaks && checked.is_whole(&agents_text) {
                checked.warn(&text, "mode", NO_AGENT, NO_AGENT_REMEDY);
            }
            for (key, prompt) in [
                ("abandon_prompt", &campaign.abandon_prompt),
                ("machine_prompt", &campaign.machine_prompt),
            ] {
                if let Some(prompt) = prompt.as_ref().filter(|name| !prompts.contains(*name)) {
                    checked.say(&text, key, &no_prompt(prompt), PROMPT_REMEDY);
                }
            }
            dialer.campaigns.insert(id, campaign);
        }
        campaigns_whole &= checked.is_whole(&text);
        campaign_texts.insert(id, text);
    }
    let mut rule_texts: BTreeMap<String, Text> = BTreeMap::new();
    for name in source.list("rules", "toml") {
        let text = checked.read(source, &format!("rules/{name}.toml"));
        if let Some(rules) = checked.try_parse::<dialer::rules::RuleSet>(&text) {
            if rules.id != name {
                checked.say(
                    &text,
                    "id",
                    "not the name of its file",
                    &format!("write id = \"{name}\", or rename the file"),
                );
            }
            dialer.rules.insert(name.clone(), rules);
        }
        rule_texts.insert(name, text);
    }

    let mut acd = acd::Config {
        queues: queues.queues,
        agents: agents.agents,
    };
    // The engine adds the campaigns' queues as well; here so that the check of the agents knows them.
    call::config::join_campaigns(&mut acd, &dialer);
    let queues_whole = checked.is_whole(&queues_text) && campaigns_whole;
    for problem in acd.validate() {
        let is_of_agents = problem.path.starts_with("agents");
        let text = if is_of_agents {
            &agents_text
        } else {
            &queues_text
        };
        let (message, remedy) = match problem.problem.split_once("; ") {
            Some((remedy, message)) if remedy.starts_with("write ") => (message, remedy),
            Some((message, remedy)) => (message, remedy),
            None => (
                problem.problem.as_str(),
                "docs/configuration.md says what each key may be",
            ),
        };
        if queues_whole || !message.starts_with("there is no queue") {
            checked.say(text, &problem.path, message, remedy);
        }
    }
    let served: BTreeSet<QueueId> = acd
        .agents
        .values()
        .flat_map(|agent| agent.queues.iter().map(|m| m.queue))
        .collect();
    for queue in acd.queues.keys().filter(|queue| {
        !served.contains(queue) && !dialer.campaigns.contains_key(&CampaignId(queue.0))
    }) {
        if checked.is_whole(&agents_text) {
            checked.warn(
                &queues_text,
                &format!("queues.{queue}"),
                "no agent takes the calls of this queue",
                "name it in an agent's queues",
            );
        }
    }
    let trunks_whole = checked.is_whole(&trunks_text);
    for problem in dialer.validate() {
        let mut segments = problem.path.splitn(2, '.');
        let (kind, rest) = (segments.next().unwrap_or(""), segments.next().unwrap_or(""));
        let (name, key) = rest.rsplit_once('.').unwrap_or((rest, ""));
        // Names may have dots in them: the longest that begins the path is meant.
        let campaign = campaign_texts
            .iter()
            .filter_map(|(id, text)| {
                let key = rest.strip_prefix(id.as_str())?.strip_prefix('.')?;
                Some((id, text, key))
            })
            .max_by_key(|(id, _, _)| id.as_str().len());
        let is_of_trunk_file = rest.contains(".blocks.") || kind == "pools";
        let (rule_set, at) = rest.split_once('.').unwrap_or((rest, ""));
        match (kind, campaign, rule_texts.get(rule_set)) {
            // campaigns.spring.rules is the key `rules` of its own file.
            ("campaigns", Some((id, text, key)), _) => {
                let mistakes = dialer.campaigns.get(id);
                let mistakes = mistakes.map_or(Vec::new(), |campaign| campaign.filter_mistakes());
                let mistake = mistakes
                    .iter()
                    .find(|(at, error)| at == key && error.message == problem.message);
                if let Some((_, error)) = mistake {
                    checked.say_in(text, key, &error.at, &error.message, &error.remedy);
                    continue;
                }
                let is_of_trunks = problem.message.starts_with("there is no trunk")
                    || problem.message.starts_with("there is no pool");
                if trunks_whole || !is_of_trunks {
                    checked.say(text, key, &problem.message, &problem.remedy);
                }
            }
            ("rules", _, Some(text)) => checked.say(text, at, &problem.message, &problem.remedy),
            _ if is_of_trunk_file => checked.say(
                &trunks_text,
                &problem.path,
                &problem.message,
                &problem.remedy,
            ),
            ("trunks", _, _) => {
                checked.say(
                    &trunks_text,
                    &format!("trunks.{name}.limits.{key}"),
                    &problem.message,
                    &problem.remedy,
                );
            }
            _ => checked.say(
                &trunks_text,
                &problem.path,
                &problem.message,
                &problem.remedy,
            ),
        }
    }
    for (id, trunk) in &trunks.trunks {
        if let Some((key, message, remedy)) = trunk.problem() {
            checked.say(
                &trunks_text,
                &format!("trunks.{id}.{key}"),
                &message,
                remedy,
            );
        }
    }

    let mut flow_files = Vec::new();
    for name in source.list("ivr", "toml") {
        let text = checked.read(source, &format!("ivr/{name}.toml"));
        flow_files.push((text.file, text.text));
    }
    let names = Names {
        queues: acd.queues.keys().copied().collect(),
        skills: call::config::skills(&acd),
        prompts: prompts.clone(),
        sources: tandem.lookup.keys().cloned().collect(),
    };
    let context = ivr::CheckContext {
        queues: queues_whole.then(|| names.queues.clone()),
        skills: checked.is_whole(&agents_text).then(|| names.skills.clone()),
        prompts: Some(prompts.clone()),
        sources: checked
            .is_whole(&tandem_text)
            .then(|| names.sources.clone()),
        ..ivr::CheckContext::default()
    };
    let mut campaigns = dialer.campaigns.values();
    let hides_cards = campaigns.find_map(|campaign| {
        let sets = dialer::rules::resolve(&campaign.rules, &dialer.rules);
        let mut rules = sets.into_iter().flat_map(|set| set.rules);
        rules
            .find(|rule| rule.card_digits_hidden)
            .map(|rule| rule.id)
    });
    let flows = match ivr::parse_all(&flow_files, &context) {
        Ok(flows) => {
            for flow in flows.values() {
                checked.diagnostics(&flow_files, &flow.warnings);
                let Some(rule) = &hides_cards else {
                    continue;
                };
                let text = flow_files.iter().find(|(file, _)| *file == flow.file);
                let text = text.map(|(file, text)| Text {
                    file: file.clone(),
                    text: text.clone(),
                });
                for (node, taken_for) in text.iter().flat_map(|_| cards::exposed(flow)) {
                    checked.say(
                        text.as_ref().expect("iterated over above"),
                        &format!("node.{node}"),
                        &format!("it may collect a payment card and shows the digits: {taken_for} ({rule})"),
                        "write sensitive = true at the node",
                    );
                }
            }
            Some(flows)
        }
        Err(diagnostics) => {
            checked.diagnostics(&flow_files, &diagnostics);
            None
        }
    };
    // Where a flow has an error, none can be used, and none is missing.
    let is_no_flow = |flow: &FlowId| {
        flows
            .as_ref()
            .is_some_and(|flows| !flows.contains_key(flow))
    };
    if let Some(flows) = &flows {
        for problem in call::config::campaign_flow_problems(&dialer, flows) {
            if let Some(text) = campaign_texts.get(&problem.campaign) {
                checked.say(text, problem.field, &problem.message, problem.remedy);
            }
        }
        for (id, campaign) in &dialer.campaigns {
            let flow = campaign.flow.and_then(|flow| flows.get(&flow));
            let asks = flow.is_some_and(|flow| !flow.queues().is_empty());
            if let Some(text) = campaign_texts.get(id)
                && asks
                && campaign.agents.is_empty()
                && checked.is_whole(&agents_text)
            {
                checked.warn(text, "flow", NO_AGENT, NO_AGENT_REMEDY);
            }
        }
    }

    for (index, route) in tandem.route.iter().enumerate() {
        let path = |key: &str| format!("route.{index}.{key}");
        match (route.flow, route.queue) {
            (Some(flow), None) if is_no_flow(&flow) => {
                checked.say(
                    &tandem_text,
                    &path("flow"),
                    &format!("there is no flow \"{flow}\""),
                    &format!("add ivr/{flow}.toml"),
                );
            }
            (None, Some(queue)) if queues_whole && !acd.queues.contains_key(&queue) => {
                checked.say(
                    &tandem_text,
                    &path("queue"),
                    &format!("there is no queue \"{queue}\""),
                    &format!("add [queues.{queue}] to queues.toml"),
                );
            }
            (Some(_), None) | (None, Some(_)) => {}
            (Some(_), Some(_)) | (None, None) => {
                checked.say(
                    &tandem_text,
                    &path("number"),
                    "a route goes to one place",
                    "give it either a flow or a queue",
                );
            }
        }
        if let Some(trunk) = route
            .trunk
            .filter(|trunk| trunks_whole && !trunks.trunks.contains_key(trunk))
        {
            checked.say(
                &tandem_text,
                &path("trunk"),
                &format!("there is no trunk \"{trunk}\""),
                &format!("add [trunks.{trunk}] to trunks.toml"),
            );
        }
    }
    for problem in tandem.problems() {
        checked.say(&tandem_text, &problem.0, &problem.1, &problem.2);
    }
    for (id, queue) in &acd.queues {
        let Some(overflow) = &queue.overflow else {
            continue;
        };
        let path = format!("queues.{id}.overflow");
        match overflow.to {
            acd::config::OverflowTo::Flow(flow) if is_no_flow(&flow) => {
                checked.say(
                    &queues_text,
                    &format!("{path}.to"),
                    &format!("there is no flow \"{flow}\""),
                    &format!("add ivr/{flow}.toml"),
                );
            }
            acd::config::OverflowTo::Flow(_)
            | acd::config::OverflowTo::Queue(_)
            | acd::config::OverflowTo::HangUp => {}
        }
        if let Some(prompt) = overflow
            .prompt
            .as_ref()
            .filter(|prompt| !prompts.contains(*prompt))
        {
            checked.say(
                &queues_text,
                &format!("{path}.prompt"),
                &no_prompt(prompt),
                PROMPT_REMEDY,
            );
        }
    }
    for (queue, treatment) in &queues.treatment {
        if queues_whole && !acd.queues.contains_key(queue) {
            checked.say(
                &queues_text,
                &format!("treatment.{queue}"),
                "no such queue",
                "name a queue or campaign",
            );
        }
        for (key, prompt) in [
            ("music", &treatment.music),
            ("hold_music", &treatment.hold_music),
        ] {
            if !prompts.contains(prompt) {
                checked.say(
                    &queues_text,
                    &format!("treatment.{queue}.{key}"),
                    &no_prompt(prompt),
                    PROMPT_REMEDY,
                );
            }
        }
    }
    for (agent, phone) in &agents.phones {
        let path = format!("phones.{agent}");
        if checked.is_whole(&agents_text) && !acd.agents.contains_key(agent) {
            checked.say(
                &agents_text,
                &path,
                "no such agent",
                &format!("add [agents.{agent}] or remove the phone"),
            );
        }
        if let Err(why) = phone.secret() {
            let remedy = "give one of password, password_env or password_file, or leave the phone out: its password is then made";
            checked.say(
                &agents_text,
                &format!("{path}.{}", phone.key()),
                &why,
                remedy,
            );
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
        attestations: trunks
            .trunks
            .iter()
            .filter_map(|(id, trunk)| Some((*id, trunk.attestation?)))
            .collect(),
        live_calls_max: tandem.engine.live_calls_max,
        call_ms_max: u64::from(tandem.engine.call_minutes_max) * 60_000,
    };
    (
        Configuration {
            tandem,
            trunks: trunks.trunks,
            phones: agents.phones,
            call,
        },
        names,
    )
}

/// Every column of a campaign's filters that none of its loaded lists has. To be asked after [`load`]:
/// what is in the database is no part of the configuration.
pub fn unknown_columns(
    source: &Source,
    configuration: &Configuration,
    columns: &BTreeMap<ListId, BTreeSet<String>>,
) -> Vec<Problem> {
    let mut checked = Checked::default();
    for (id, campaign) in &configuration.call.dialer.campaigns {
        let text = checked.read(source, &format!("campaigns/{id}.toml"));
        for (key, filter) in campaign.filters() {
            let of_list = key
                .strip_prefix("lists[")
                .and_then(|rest| rest.split_once(']'));
            let of_list = of_list.and_then(|(at, _)| at.parse::<usize>().ok());
            let lists = campaign.lists.iter().enumerate();
            let loaded: Vec<(ListId, &BTreeSet<String>)> = lists
                .filter(|(at, _)| of_list.is_none_or(|only| only == *at))
                .filter_map(|(_, list)| Some((list.name, columns.get(&list.name)?)))
                .collect();
            let known: Vec<&str> = loaded
                .iter()
                .flat_map(|(_, names)| names.iter().map(String::as_str))
                .collect();
            for (column, at) in filter.columns() {
                if loaded.is_empty() || known.contains(&column.as_str()) {
                    continue;
                }
                let mut words = known.clone();
                dialer::filter::known_words().for_each(|word| words.push(word));
                let remedy = match problem::nearest(&column, &words) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the columns are: {}", words.join(", ")),
                };
                let lists: Vec<&str> = loaded.iter().map(|(list, _)| list.as_str()).collect();
                let message = format!("there is no column `{column}` in {}", lists.join(", "));
                checked.say_in(&text, &key, &at, &message, &remedy);
            }
        }
    }
    checked
        .finish(())
        .map_or_else(|rejected| rejected.problems, |((), warnings)| warnings)
}

const NO_AGENT: &str = "no agent takes the calls of this campaign";
const NO_AGENT_REMEDY: &str = "name it in an agent's queues";
const PROMPT_REMEDY: &str = "add it under prompts/ as NAME.wav: 8 kHz, 16 bit, mono";

fn no_prompt(name: &str) -> String {
    format!("there is no prompt \"{name}\"")
}
