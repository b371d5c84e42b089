//! What call control needs to know beside what acd, dialer and ivr know.

use ivr::{CheckContext, Flow};
use model::event::AttestationLevel;
use model::{CampaignId, FlowId, QueueId, SkillId, TrunkId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Live calls where nothing else is said: what one machine's media workers carry with room to spare.
pub const LIVE_CALLS_MAX_DEFAULT: usize = 2_000;
/// Longest call where nothing else is said: four hours, longer than any conversation worth keeping.
pub const CALL_MS_MAX_DEFAULT: u64 = 4 * 3_600_000;

/// The configuration of the whole engine. Serialisable, so that a replay log can carry it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Agents and queues. Campaign queues are added by [`crate::Engine::new`].
    pub acd: acd::Config,
    /// Campaigns, rules and trunks' limits.
    pub dialer: dialer::Config,
    /// File name and text of every flow.
    pub flows: Vec<(String, String)>,
    /// What happens to a call to a number.
    pub routes: Vec<Route>,
    /// How calls of a queue or campaign sound and are kept.
    pub treatment: BTreeMap<QueueId, Treatment>,
    /// Codes agents dial from their phone.
    pub feature_codes: BTreeMap<String, FeatureCode>,
    /// What a carrier signs our calls with, by trunk.
    #[serde(default)]
    pub attestations: BTreeMap<TrunkId, AttestationLevel>,
    /// More live calls than this are refused with 503.
    pub live_calls_max: usize,
    /// Longest a call may last from answer, in ms; a guard against legs nobody ends.
    pub call_ms_max: u64,
}

/// A call from `trunk` (or any) to `number` goes to a flow or queue. The first that fits wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The dialled number, exactly; a trailing `*` fits any rest; `*` alone fits all.
    pub number: String,
    /// Only from this trunk.
    #[serde(default)]
    pub trunk: Option<TrunkId>,
    /// To this flow.
    #[serde(default)]
    pub flow: Option<FlowId>,
    /// Or straight into this queue.
    #[serde(default)]
    pub queue: Option<QueueId>,
}

impl Route {
    fn fits(&self, trunk: TrunkId, called: &str) -> bool {
        if self.trunk.is_some_and(|t| t != trunk) {
            return false;
        }
        match self.number.strip_suffix('*') {
            Some(prefix) => called.starts_with(prefix),
            None => self.number == called,
        }
    }
}

/// How calls of one queue sound and are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Treatment {
    /// The prompt a waiting caller hears, over and over.
    pub music: String,
    /// The prompt a held customer hears.
    pub hold_music: String,
    /// Record every talk.
    pub record: bool,
}

impl Default for Treatment {
    fn default() -> Self {
        Treatment {
            music: "music".into(),
            hold_music: "music".into(),
            record: true,
        }
    }
}

/// What dialling a code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureCode {
    /// Begin work.
    SignIn,
    /// End work.
    SignOut,
    /// Take calls; also ends wrap-up.
    Ready,
    /// Take no calls: reason `break`.
    NotReady,
}

/// Nobody, nothing, and the usual codes.
impl Default for Config {
    fn default() -> Self {
        Config {
            acd: acd::Config::default(),
            dialer: dialer::Config::default(),
            flows: Vec::new(),
            routes: Vec::new(),
            treatment: BTreeMap::new(),
            feature_codes: default_feature_codes(),
            attestations: BTreeMap::new(),
            live_calls_max: LIVE_CALLS_MAX_DEFAULT,
            call_ms_max: CALL_MS_MAX_DEFAULT,
        }
    }
}

impl Config {
    /// Where a call goes.
    pub(crate) fn route(&self, trunk: TrunkId, called: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.fits(trunk, called))
    }

    /// How calls of a queue sound.
    pub(crate) fn treatment(&self, queue: QueueId) -> Treatment {
        self.treatment.get(&queue).cloned().unwrap_or_default()
    }

    /// Whether phones answer calls of this queue by themselves.
    pub(crate) fn auto_answers(&self, queue: QueueId) -> bool {
        self.acd
            .queues
            .get(&queue)
            .is_some_and(|queue| queue.auto_answer)
    }
}

/// A campaign's answered calls wait in an outbound queue of the campaign's name, served by the
/// campaign's agents, whose phones pick up by themselves: two seconds leave no time to ring.
pub fn join_campaigns(acd: &mut acd::Config, dialer: &dialer::Config) {
    for (id, campaign) in &dialer.campaigns {
        let queue = QueueId(id.0);
        acd.queues.entry(queue).or_insert_with(|| acd::QueueConfig {
            kind: acd::config::QueueKind::Outbound,
            auto_answer: true,
            ..acd::QueueConfig::default()
        });
        for agent in &campaign.agents {
            if let Some(agent) = acd.agents.get_mut(agent)
                && !agent
                    .queues
                    .iter()
                    .any(|membership| membership.queue == queue)
            {
                agent.queues.push(acd::config::Membership {
                    queue,
                    weight: None,
                });
            }
        }
    }
}

/// What is wrong between a campaign and a flow it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignFlowProblem {
    /// Whose.
    pub campaign: CampaignId,
    /// The key of the campaign's file.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

/// Everything that is wrong between campaigns and the flows they name.
pub fn campaign_flow_problems(
    dialer: &dialer::Config,
    flows: &BTreeMap<FlowId, Arc<Flow>>,
) -> Vec<CampaignFlowProblem> {
    let mut problems = Vec::new();
    for (&campaign, config) in &dialer.campaigns {
        let mut say = |field, message, remedy| {
            problems.push(CampaignFlowProblem {
                campaign,
                field,
                message,
                remedy,
            });
        };
        for (field, flow) in [("flow", config.flow), ("abandon_flow", config.abandon_flow)] {
            if let Some(flow) = flow.filter(|flow| !flows.contains_key(flow)) {
                let message = format!("there is no flow \"{flow}\"");
                say(field, message, "add it to the flows, or correct the name");
            }
        }
        let queues = |flow: Option<FlowId>| {
            let flow = flow.and_then(|flow| flows.get(&flow));
            flow.map(|flow| flow.queues()).unwrap_or_default()
        };
        let asks = queues(config.flow);
        if let Some(queue) = asks.iter().find(|queue| queue.0 != campaign.0) {
            let message = format!("the flow sends people to the queue \"{queue}\"");
            let remedy = "who was called is served by the campaign's agents: name its own queue";
            say("flow", message, remedy);
        }
        if !asks.is_empty() && !config.has_last_words() {
            let message = "who asks and gets no agent in time would hear nothing (US-3)".into();
            say(
                "abandon_prompt",
                message,
                "name abandon_flow or abandon_prompt",
            );
        }
        if let Some(queue) = queues(config.abandon_flow).first() {
            let message = format!("the flow sends people to the queue \"{queue}\"");
            let remedy = "who was abandoned is told so, and may opt out; nothing else";
            say("abandon_flow", message, remedy);
        }
    }
    problems
}

/// Campaigns learn of their flows whether those can ask for an agent.
pub(crate) fn join_flows(
    dialer: &mut dialer::Config,
    flows: &BTreeMap<FlowId, Arc<Flow>>,
) -> Result<(), ConfigError> {
    let problems = campaign_flow_problems(dialer, flows);
    if !problems.is_empty() {
        let shown = problems.iter().map(|problem| {
            let (campaign, field) = (problem.campaign, problem.field);
            format!(
                "campaigns.{campaign}.{field}: {}; {}",
                problem.message, problem.remedy
            )
        });
        return Err(ConfigError::Flow(shown.collect::<Vec<_>>().join("\n")));
    }
    for campaign in dialer.campaigns.values_mut() {
        let flow = campaign.flow.and_then(|flow| flows.get(&flow));
        campaign.asks_agents = flow.is_some_and(|flow| !flow.queues().is_empty());
    }
    Ok(())
}

/// Every skill that some agent has.
pub fn skills(acd: &acd::Config) -> BTreeSet<SkillId> {
    acd.agents
        .values()
        .flat_map(|agent| agent.skills.keys().copied())
        .collect()
}

/// Why a configuration does not make an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Flows do not check, or are not what a campaign needs; what, where and why.
    #[error("{0}")]
    Flow(String),
}

/// What a flow may name.
pub fn check_context(config: &Config) -> CheckContext {
    CheckContext {
        queues: Some(config.acd.queues.keys().copied().collect()),
        skills: Some(skills(&config.acd)),
        ..CheckContext::default()
    }
}

/// The flows, read and checked.
pub(crate) fn flows(config: &Config) -> Result<BTreeMap<FlowId, Arc<Flow>>, ConfigError> {
    ivr::parse_all(&config.flows, &check_context(config)).map_err(|problems| {
        let shown = problems.iter().map(|problem| {
            let text = config
                .flows
                .iter()
                .find(|(name, _)| *name == problem.file)
                .map_or("", |(_, text)| text);
            problem.render(text)
        });
        ConfigError::Flow(shown.collect::<Vec<_>>().join("\n"))
    })
}

/// The feature codes that work without configuration.
pub fn default_feature_codes() -> BTreeMap<String, FeatureCode> {
    [
        ("*11", FeatureCode::SignIn),
        ("*12", FeatureCode::SignOut),
        ("*13", FeatureCode::Ready),
        ("*14", FeatureCode::NotReady),
    ]
    .into_iter()
    .map(|(code, feature)| (code.to_string(), feature))
    .collect()
}
