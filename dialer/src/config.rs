//! What an operator says about campaigns: `config/campaigns/NAME.toml`, one [`CampaignConfig`] each.
//! Checked once, at loading: a machine built from a checked [`Config`] asks no more questions.

mod people;

use crate::abandon::Mistakes;
use crate::caller_id::PoolConfig;
use crate::detection::{classify_wait, detector_false_positive};
use crate::filter::Filter;
use crate::mix::{self, ListShare};
use crate::quota::Quota;
pub use crate::retry::RetryRule;
use crate::rules::RuleSet;
use crate::trunk::{Block, TrunkLimits};
use model::event::Mode;
use model::{AgentId, AttemptOutcome, CampaignId, FlowId, PhoneNumber, TrunkId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Calls per available agent: one is progressive, and beyond ten nobody stays within any limit.
pub const POWER_LEVELS: RangeInclusive<f64> = 1.0..=10.0;
/// Calls without an agent at once: as many as the largest house has lines.
pub const IN_FLIGHT: RangeInclusive<u32> = 1..=20_000;
/// No country allows more abandoned calls per hundred live answers.
pub const ABANDON_LIMIT_PCT_MAX: f64 = 5.0;
/// Callbacks are known to the dialer so long before they are due; no reminder comes earlier.
pub const CALLBACK_AHEAD_S: u32 = 3_600;

pub use crate::detection::{MachineAfterConnect, OnMachine};

/// Everything the dialer is built from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// By name, which is also the name of the queue its answered calls wait in.
    pub campaigns: BTreeMap<CampaignId, CampaignConfig>,
    /// The carriers campaigns may use.
    pub trunks: BTreeMap<TrunkId, TrunkLimits>,
    /// Blocks of numbers that a carrier takes more slowly.
    pub blocks: BTreeMap<TrunkId, Vec<Block>>,
    /// Numbers to show, by the name campaigns know them by.
    pub pools: BTreeMap<String, PoolConfig>,
    /// Rule sets by id. Where empty, the embedded ones ([`crate::rules::embedded`]) are meant.
    pub rules: BTreeMap<String, RuleSet>,
}

/// Rules for dialling one campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignConfig {
    /// How it dials.
    pub mode: Mode,
    /// Whether it dials from the start.
    #[serde(default = "yes")]
    pub running: bool,
    /// Its leads: one list after the other, or mixed by shares.
    pub lists: Vec<ListShare>,
    /// Its carriers, the first with room is used.
    pub trunks: Vec<TrunkId>,
    /// The number shown; it must be one that can be called back (47 CFR 64.1601(e)). With
    /// `caller_ids`, where no number of the pool may be shown.
    #[serde(default)]
    pub caller_id: String,
    /// The pool of numbers to show.
    #[serde(default)]
    pub caller_ids: Option<String>,
    /// Who takes its calls. Filled by the loader from the agents' file.
    #[serde(default)]
    pub agents: Vec<AgentId>,
    /// When an unanswered call is given up. No less than 15 s (47 CFR 64.1200(a)(6)).
    #[serde(default = "ring_timeout")]
    pub ring_timeout_ms: u32,
    /// Calls per available agent in mode `power`, 1 to 10.
    #[serde(default = "power_level")]
    pub power_level: f64,
    /// Mode `predictive`: a call that has rung long enough may be given up when the agents it was dialled
    /// for are gone.
    #[serde(default = "yes")]
    pub withdraw_ringing: bool,
    /// Abandoned ÷ live answers never passes this. A rule set may be stricter.
    #[serde(default = "abandon_limit")]
    pub abandon_limit_pct: f64,
    /// A live person waits at most this long for an agent. No more than 2 000 (47 CFR 64.1200(a)(7)).
    #[serde(default = "connect_within")]
    pub connect_within_ms: u32,
    /// The prompt an abandoned person hears.
    #[serde(default)]
    pub abandon_prompt: Option<String>,
    /// Ids of the rule sets that bind it.
    pub rules: Vec<String>,
    /// The flow that speaks with an abandoned person instead of the prompt, so that a key can put
    /// their number on the do-not-call list (47 CFR 64.1200(a)(7)(i)).
    #[serde(default)]
    pub abandon_flow: Option<FlowId>,
    /// Mode `agentless`: the flow that speaks with whoever answers, the lead's fields its variables.
    #[serde(default)]
    pub flow: Option<FlowId>,
    /// Whether that flow can ask for an agent. No key: the engine, which knows the flow, says so.
    #[serde(skip)]
    pub asks_agents: bool,
    /// What becomes of a call that a machine answered.
    #[serde(default)]
    pub on_machine: OnMachine,
    /// The prompt left on a machine.
    #[serde(default)]
    pub machine_prompt: Option<String>,
    /// Pace by the chance of each lead to answer, and choose among the leads by it. Off: see
    /// docs/pacing.md before it is turned on.
    #[serde(default)]
    pub per_lead: bool,
    /// The column of the lists with that chance: a number from 0 to 1, or per cent. Without it, or
    /// where a lead says nothing, by what calls of such leads came to.
    #[serde(default)]
    pub answer_chance: Option<String>,
    /// Listen whether a machine answered.
    #[serde(default)]
    pub detect_machines: bool,
    /// Per cent of the live persons whom the detector takes for machines and hangs up upon. They are
    /// abandoned too, and spend the same budget (UK-1). Counts where machines are detected, 0 to 5.
    #[serde(default = "detector_false_positive")]
    pub detector_false_positive_pct: f64,
    /// Per cent of the abandoned calls that were machines taken for persons; Ofcom's formula takes
    /// them off (UK-1). Counts where machines are detected, 0 to 10.
    #[serde(default)]
    pub abandoned_machines_pct: f64,
    /// Whoever still speaks so long after the answer, without a verdict, is treated as a person.
    #[serde(default = "classify_wait")]
    pub classify_wait_ms: u32,
    /// What becomes of a call that turns out to be a machine's when an agent has it already.
    #[serde(default)]
    pub machine_after_connect: MachineAfterConnect,
    /// Calls that ring or wait for an agent at once.
    #[serde(default = "max_in_flight")]
    pub max_in_flight: u32,
    /// New calls per second of this campaign; the carriers' limits hold beside it.
    #[serde(default = "calls_per_second")]
    pub calls_per_second: f64,
    /// Dialling again by outcome: `busy`, `no_answer`, `failed`, `machine`, `abandoned`,
    /// `cancelled`. An outcome that is not named here has the default of [`RetryRule::of`].
    #[serde(default)]
    pub retry: BTreeMap<AttemptOutcome, RetryRule>,
    /// Attempts per lead, whatever the outcomes.
    #[serde(default = "max_attempts")]
    pub max_attempts: u16,
    /// Attempts per lead on one day of the person's clock; none: as many as the retry rules make.
    #[serde(default)]
    pub max_attempts_per_day: Option<u16>,
    /// Who did not answer is next tried in another band of the day: morning, noon, afternoon, evening,
    /// weekend.
    #[serde(default)]
    pub vary_hour: bool,
    /// Which leads of its lists are dialled; none: all.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Of which people so many are enough.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// IANA zone by whose days quotas are counted.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// An agent who neither accepts nor skips a preview gets the next lead after this. 0: never.
    #[serde(default = "preview_timeout")]
    pub preview_timeout_s: u32,
    /// The agent and the supervisor are reminded of a promised callback so long before it is due.
    #[serde(default = "callback_remind")]
    pub callback_remind_s: u32,
    /// A callback waits so long for the agent who promised it; then it is told again, and
    #[serde(default = "callback_hold")]
    pub callback_hold_s: u32,
    /// falls to anyone, or waits on.
    #[serde(default = "yes")]
    pub callback_to_anyone: bool,
}

fn callback_hold() -> u32 {
    600
}
fn callback_remind() -> u32 {
    300
}
fn yes() -> bool {
    true
}
fn ring_timeout() -> u32 {
    26_000
}
fn power_level() -> f64 {
    1.5
}
fn abandon_limit() -> f64 {
    3.0
}
fn connect_within() -> u32 {
    2_000
}
fn max_in_flight() -> u32 {
    5_000
}
fn calls_per_second() -> f64 {
    50.0
}
fn max_attempts() -> u16 {
    8
}
fn preview_timeout() -> u32 {
    60
}

impl CampaignConfig {
    /// A campaign with everything at its default, for tests and demonstrations.
    pub fn new(mode: Mode, caller_id: &str) -> CampaignConfig {
        CampaignConfig {
            mode,
            running: true,
            lists: Vec::new(),
            trunks: Vec::new(),
            caller_id: caller_id.into(),
            caller_ids: None,
            agents: Vec::new(),
            ring_timeout_ms: ring_timeout(),
            power_level: power_level(),
            withdraw_ringing: true,
            abandon_limit_pct: abandon_limit(),
            connect_within_ms: connect_within(),
            abandon_prompt: None,
            abandon_flow: None,
            flow: None,
            asks_agents: false,
            on_machine: OnMachine::default(),
            machine_prompt: None,
            rules: Vec::new(),
            per_lead: false,
            answer_chance: None,
            detect_machines: false,
            detector_false_positive_pct: detector_false_positive(),
            abandoned_machines_pct: 0.0,
            classify_wait_ms: classify_wait(),
            machine_after_connect: MachineAfterConnect::default(),
            max_in_flight: max_in_flight(),
            calls_per_second: calls_per_second(),
            retry: BTreeMap::new(),
            max_attempts: max_attempts(),
            max_attempts_per_day: None,
            vary_hour: false,
            filter: None,
            quotas: Vec::new(),
            time_zone: None,
            preview_timeout_s: preview_timeout(),
            callback_remind_s: callback_remind(),
            callback_hold_s: callback_hold(),
            callback_to_anyone: true,
        }
    }

    pub(crate) fn ring_timeout(&self) -> Duration {
        Duration::from_millis(self.ring_timeout_ms.into())
    }

    /// What is assumed about the detector, where there is one.
    pub(crate) fn mistakes(&self) -> Mistakes {
        let assumed = self.detect_machines.then_some(Mistakes {
            false_positive_pct: self.detector_false_positive_pct,
            abandoned_machines_pct: self.abandoned_machines_pct,
        });
        assumed.unwrap_or_default()
    }

    /// What its rule sets forbid about it, beyond the bounds that hold for every campaign: the key,
    /// what is wrong, and what to do.
    fn unlawful(&self, sets: &[RuleSet]) -> Vec<(&'static str, String, &'static str)> {
        let mut found = Vec::new();
        let rules = || sets.iter().flat_map(|set| &set.rules);
        for rule in rules() {
            if let Some(most) = rule.connect_within_ms
                && self.connect_within_ms > most
                && most < 2_000
            {
                let message = format!(
                    "{} ms is more than {most} ({})",
                    self.connect_within_ms, rule.id
                );
                found.push(("connect_within_ms", message, "use what the rule allows"));
            }
            if let Some(most) = rule.message_within_ms
                && self.connect_within_ms > most
                && most < 2_000
            {
                let message = format!(
                    "the message would begin after {} ms, later than {most} ({})",
                    self.connect_within_ms, rule.id
                );
                found.push(("connect_within_ms", message, "use what the rule allows"));
            }
        }
        if let Some(rule) = rules().find(|rule| rule.caller_id_returnable)
            && !self.caller_id.is_empty()
            && self.caller_id.parse::<PhoneNumber>().is_err()
        {
            let message = format!(
                "\"{}\" is no number that can be called back ({})",
                self.caller_id, rule.id
            );
            found.push((
                "caller_id",
                message,
                "write it as +, country code and number",
            ));
        }
        found
    }

    /// Whether an abandoned person hears something.
    pub fn has_last_words(&self) -> bool {
        self.abandon_prompt.is_some() || self.abandon_flow.is_some()
    }

    /// Field, problem and remedy where the recorded voice and the mode do not go together.
    fn voice_problems(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let mut problems = Vec::new();
        match (self.mode, self.flow) {
            (Mode::Agentless, None) => problems.push((
                "flow",
                "nothing would speak with whoever answers",
                "name the flow, such as flow = \"reminder\"",
            )),
            (Mode::Agentless, Some(_)) | (_, None) => {}
            (Mode::Preview | Mode::Progressive | Mode::Power | Mode::Predictive, Some(_)) => {
                problems.push((
                    "flow",
                    "only a campaign of mode agentless has a flow",
                    "leave it out, or use mode = \"agentless\"",
                ))
            }
        }
        if self.on_machine != OnMachine::HangUp && !self.detect_machines {
            problems.push((
                "on_machine",
                "nobody listens whether a machine answered",
                "add detect_machines = true",
            ));
        }
        match (self.on_machine, &self.machine_prompt) {
            (OnMachine::LeaveMessage, None) => problems.push((
                "machine_prompt",
                "there is no message to leave",
                "name its prompt",
            )),
            (OnMachine::HangUp | OnMachine::Agent, Some(_)) => problems.push((
                "machine_prompt",
                "no message is left on a machine",
                "use on_machine = \"leave_message\", or leave it out",
            )),
            (OnMachine::LeaveMessage, Some(_)) | (_, None) => {}
        }
        if self.on_machine == OnMachine::Agent && self.mode == Mode::Agentless {
            problems.push((
                "on_machine",
                "no agent waits for who answers",
                "use \"hang_up\" or \"leave_message\"",
            ));
        }
        problems
    }

    /// Dialling again after this outcome.
    pub fn retry(&self, outcome: AttemptOutcome) -> RetryRule {
        self.retry
            .get(&outcome)
            .copied()
            .unwrap_or_else(|| RetryRule::of(outcome))
    }
}

/// A lock begins with the end of a call, and the store is asked by when it began: longer than calls are.
const CALL_HOURS: u32 = 6;

/// Something in the configuration that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where: `campaigns.spring.ring_timeout_ms`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Config {
    /// The longest window of a cap, or lock, that binds a campaign, in seconds; 0 where none does.
    pub fn cap_window_s(&self) -> u32 {
        self.campaigns
            .values()
            .flat_map(|campaign| crate::rules::resolve(&campaign.rules, &self.rules))
            .flat_map(|set| set.rules)
            .flat_map(|rule| {
                let lock_s = rule
                    .lock
                    .map(|lock| lock.hours.saturating_add(CALL_HOURS).saturating_mul(3_600));
                [rule.cap.map(|cap| cap.within_s), lock_s]
            })
            .flatten()
            .max()
            .unwrap_or(0)
    }

    /// The rule sets that bind a campaign.
    pub fn rule_sets(&self, campaign: &CampaignConfig) -> Vec<RuleSet> {
        crate::rules::resolve(&campaign.rules, &self.rules)
    }

    /// Everything that is wrong, empty where nothing is. `Dialer::new` expects none.
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut say = |path: String, message: String, remedy: &str| {
            problems.push(ConfigProblem {
                path,
                message,
                remedy: remedy.into(),
            });
        };
        for (id, trunk) in &self.trunks {
            if !(trunk.calls_per_second > 0.0 && trunk.calls_per_second <= 10_000.0) {
                say(
                    format!("trunks.{id}.calls_per_second"),
                    format!("{} is not a rate", trunk.calls_per_second),
                    "use more than 0 and at most 10000",
                );
            }
        }
        for (id, blocks) in &self.blocks {
            for (index, block) in blocks.iter().enumerate() {
                if !block.is_prefix() {
                    say(
                        format!("trunks.{id}.blocks.{index}.prefix"),
                        format!("{:?} is not the beginning of a number", block.prefix),
                        "write it with + and country code, as in \"+1212\"",
                    );
                }
                if !(block.calls_per_second > 0.0 && block.calls_per_second <= 10_000.0) {
                    say(
                        format!("trunks.{id}.blocks.{index}.calls_per_second"),
                        format!("{} is not a rate", block.calls_per_second),
                        "use more than 0 and at most 10000",
                    );
                }
            }
        }
        for (name, pool) in &self.pools {
            for (key, message, remedy) in pool.problems() {
                say(format!("pools.{name}.{key}"), message, remedy);
            }
        }
        let embedded = crate::rules::embedded();
        for (id, set) in &self.rules {
            for problem in set.problems() {
                let path = format!("rules.{id}.{}", problem.path);
                say(path, problem.message, &problem.remedy);
            }
            for name in &set.include {
                if !self.rules.contains_key(name) && !embedded.contains_key(name) {
                    say(
                        format!("rules.{id}.include"),
                        format!("there is no rule set \"{name}\""),
                        "add config/rules/NAME.toml or use us, regf, uk, eu, de, ca, pci",
                    );
                }
            }
        }
        for (id, campaign) in &self.campaigns {
            let at = |field: &str| format!("campaigns.{id}.{field}");
            if campaign.lists.is_empty() {
                say(
                    at("lists"),
                    "no list to dial".into(),
                    "name at least one list",
                );
            }
            if let Some(wrong) = mix::problem(&campaign.lists) {
                say(
                    at("lists"),
                    wrong,
                    "give every list a share, 100 together, or none",
                );
            }
            if campaign.trunks.is_empty() {
                say(
                    at("trunks"),
                    "no trunk to dial through".into(),
                    "name at least one trunk",
                );
            }
            for trunk in &campaign.trunks {
                if !self.trunks.contains_key(trunk) {
                    say(
                        at("trunks"),
                        format!("there is no trunk \"{trunk}\""),
                        "add it to the trunks' file",
                    );
                }
            }
            match (&campaign.caller_ids, campaign.caller_id.as_str()) {
                (None, "") => say(
                    at("caller_id"),
                    "no caller ID".into(),
                    "show a number that can be called back",
                ),
                (Some(pool), _) if !self.pools.contains_key(pool) => say(
                    at("caller_ids"),
                    format!("there is no pool \"{pool}\""),
                    "add [pools.NAME] to trunks.toml",
                ),
                (Some(_) | None, _) => {}
            }
            if campaign.rules.is_empty() {
                say(
                    at("rules"),
                    "no rule set binds this campaign".into(),
                    "name the country's, such as rules = [\"us\"]",
                );
            }
            for rule_set in &campaign.rules {
                if !self.rules.contains_key(rule_set) && !embedded.contains_key(rule_set) {
                    say(
                        at("rules"),
                        format!("there is no rule set \"{rule_set}\""),
                        "add config/rules/NAME.toml or use us, regf, uk, eu, de, ca, pci",
                    );
                }
            }
            let sets = crate::rules::resolve(&campaign.rules, &self.rules);
            for (field, message, remedy) in campaign.unlawful(&sets) {
                say(at(field), message, remedy);
            }
            let ring_min_ms = sets.iter().map(RuleSet::ring_min_ms).fold(15_000, u32::max);
            if !(ring_min_ms..=59_000).contains(&campaign.ring_timeout_ms) {
                say(
                    at("ring_timeout_ms"),
                    format!(
                        "{} ms is not between {ring_min_ms} and 59000 (US-2)",
                        campaign.ring_timeout_ms
                    ),
                    "let a call ring at least 15 s, 26000 is usual",
                );
            }
            if !(100..=2_000).contains(&campaign.connect_within_ms) {
                say(
                    at("connect_within_ms"),
                    format!(
                        "{} ms is not between 100 and 2000 (US-1)",
                        campaign.connect_within_ms
                    ),
                    "use 2000",
                );
            }
            if !(campaign.abandon_limit_pct > 0.0
                && campaign.abandon_limit_pct <= ABANDON_LIMIT_PCT_MAX)
            {
                say(
                    at("abandon_limit_pct"),
                    format!(
                        "{} is not above 0 and at most 5",
                        campaign.abandon_limit_pct
                    ),
                    "use 3.0 or what your country allows",
                );
            }
            for (field, message, remedy) in campaign.detection_problems() {
                say(at(field), message, remedy);
            }
            if !POWER_LEVELS.contains(&campaign.power_level) {
                say(
                    at("power_level"),
                    format!("{} is not between 1 and 10", campaign.power_level),
                    "1.5 is usual",
                );
            }
            if !(campaign.calls_per_second > 0.0 && campaign.calls_per_second <= 10_000.0) {
                say(
                    at("calls_per_second"),
                    format!("{} is not a rate", campaign.calls_per_second),
                    "use more than 0 and at most 10000",
                );
            }
            if !IN_FLIGHT.contains(&campaign.max_in_flight) {
                say(
                    at("max_in_flight"),
                    format!("{} is not between 1 and 20000", campaign.max_in_flight),
                    "5000 is usual",
                );
            }
            if campaign.max_attempts == 0 {
                say(
                    at("max_attempts"),
                    "0 attempts dial nobody".into(),
                    "use at least 1",
                );
            }
            if campaign.max_attempts_per_day == Some(0) {
                say(
                    at("max_attempts_per_day"),
                    "0 attempts dial nobody".into(),
                    "use at least 1, or leave it out",
                );
            }
            for (key, error) in campaign.filter_mistakes() {
                say(at(&key), error.message, &error.remedy);
            }
            for (key, message, remedy) in campaign.people_problems() {
                say(at(&key), message, remedy);
            }
            if !(60..=86_400).contains(&campaign.callback_hold_s) {
                say(
                    at("callback_hold_s"),
                    format!("{} is not between 60 and 86400", campaign.callback_hold_s),
                    "600 is usual",
                );
            }
            if campaign.callback_remind_s > CALLBACK_AHEAD_S {
                say(
                    at("callback_remind_s"),
                    format!("more than {CALLBACK_AHEAD_S} s"),
                    "300 is usual",
                );
            }
            // Whether anybody can be abandoned by a flow is known to whoever knows the flow.
            let may_abandon = !matches!(campaign.mode, Mode::Preview | Mode::Agentless);
            if may_abandon && !campaign.has_last_words() {
                say(
                    at("abandon_prompt"),
                    "an abandoned person would hear nothing (US-3)".into(),
                    "name the prompt with your name and number",
                );
            }
            if campaign.abandon_prompt.is_some() && campaign.abandon_flow.is_some() {
                say(
                    at("abandon_prompt"),
                    "the flow speaks instead of the prompt".into(),
                    "leave out abandon_prompt or abandon_flow",
                );
            }
            for (field, message, remedy) in campaign.voice_problems() {
                say(at(field), message.into(), remedy);
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPRING: &str = r#"
        mode = "predictive"
        lists = ["spring"]
        trunks = ["carrier"]
        caller_id = "+4930123456"
        abandon_prompt = "abandon"
        rules = ["us"]
        [retry.busy]
        wait_s = 300
        attempts = 4
    "#;

    fn config(text: &str) -> Config {
        Config {
            campaigns: BTreeMap::from([("spring".parse().unwrap(), toml::from_str(text).unwrap())]),
            trunks: BTreeMap::from([("carrier".parse().unwrap(), TrunkLimits::default())]),
            ..Config::default()
        }
    }

    #[test]
    fn a_campaign_file_is_read_and_stands() {
        let config = config(SPRING);
        assert_eq!(config.validate(), []);
        let campaign = &config.campaigns[&"spring".parse().unwrap()];
        assert_eq!(campaign.retry(AttemptOutcome::Busy).wait_s, 300);
        assert_eq!(campaign.ring_timeout_ms, 26_000);
    }

    #[test]
    fn an_agentless_campaign_needs_a_flow_and_no_other_has_one() {
        let agentless = SPRING.replace("predictive", "agentless");
        let paths = |text: &str| -> Vec<String> {
            let problems = config(text).validate();
            problems.into_iter().map(|problem| problem.path).collect()
        };
        assert_eq!(paths(&agentless), ["campaigns.spring.flow"]);
        let flow = |text: &str| text.replace("mode", "flow = \"reminder\"\nmode");
        assert_eq!(paths(&flow(&agentless)), [""; 0]);
        assert_eq!(paths(&flow(SPRING)), ["campaigns.spring.flow"]);
        let alone = agentless.replace("rules = [\"us\"]", "rules = []");
        assert_eq!(paths(&flow(&alone)), ["campaigns.spring.rules"]);
    }

    #[test]
    fn what_becomes_of_a_machine_is_said_in_full_or_not_at_all() {
        let paths = |more: &str| -> Vec<String> {
            let text = SPRING.replace("mode", &format!("{more}\nmode"));
            let problems = config(&text).validate();
            problems.into_iter().map(|problem| problem.path).collect()
        };
        assert_eq!(
            paths("on_machine = \"leave_message\""),
            [
                "campaigns.spring.on_machine",
                "campaigns.spring.machine_prompt"
            ]
        );
        assert_eq!(
            paths("machine_prompt = \"voicemail\""),
            ["campaigns.spring.machine_prompt"]
        );
        assert_eq!(
            paths("detect_machines = true\non_machine = \"leave_message\"\nmachine_prompt = \"v\""),
            [""; 0]
        );
        assert_eq!(
            paths("abandon_flow = \"abandon\""),
            ["campaigns.spring.abandon_prompt"]
        );
    }

    #[test]
    fn ringing_less_than_fifteen_seconds_is_a_problem() {
        let problems = config(&SPRING.replace("mode", "ring_timeout_ms = 14999\nmode")).validate();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "campaigns.spring.ring_timeout_ms");
    }

    #[test]
    fn a_caller_id_that_nobody_can_call_back_is_a_problem() {
        for (set, caller_id, count) in [
            ("us", "anonymous", 1),
            ("us", "030123456", 1),
            ("us", "+4930123456", 0),
            ("demo", "anonymous", 0),
        ] {
            let text = SPRING.replace("+4930123456", caller_id);
            let problems = config(&text.replace("\"us\"", &format!("\"{set}\""))).validate();
            assert_eq!(problems.len(), count, "{set} {caller_id}: {problems:?}");
            assert!(
                problems
                    .iter()
                    .all(|problem| problem.message.contains("US-9"))
            );
        }
    }

    #[test]
    fn the_window_that_a_start_looks_back_is_the_longest_cap_or_lock() {
        let window_s = |set: &str| config(&SPRING.replace("\"us\"", set)).cap_window_s();
        assert_eq!(window_s("\"us\""), (7 * 24 + CALL_HOURS) * 3_600);
        assert_eq!(window_s("\"uk\""), (72 + CALL_HOURS) * 3_600);
        assert_eq!(window_s("\"demo\""), 0);
    }

    #[test]
    fn an_unknown_field_and_an_unknown_rule_set_are_refused() {
        assert!(
            toml::from_str::<CampaignConfig>(&SPRING.replace("mode", "mood = 1\nmode")).is_err()
        );
        assert_eq!(
            config(&SPRING.replace("\"us\"", "\"atlantis\""))
                .validate()
                .len(),
            1
        );
    }

    #[test]
    fn numbers_to_show_are_international_and_pools_exist() {
        let paths = |text: &str| -> Vec<String> {
            let problems = config(text).validate();
            problems.into_iter().map(|problem| problem.path).collect()
        };
        let with = |line: &str| SPRING.replace("caller_id = \"+4930123456\"", line);
        assert_eq!(paths(&with("")), ["campaigns.spring.caller_id"]);
        assert_eq!(
            paths(&with("caller_id = \"030123456\"")),
            ["campaigns.spring.caller_id"]
        );
        assert_eq!(
            paths(&with("caller_ids = \"east\"")),
            ["campaigns.spring.caller_ids"]
        );
        let mut pooled = config(&with("caller_ids = \"east\""));
        let pool = "numbers = [\"+12125550100\"]\ncalls_per_number_per_day = 100";
        pooled
            .pools
            .insert("east".into(), toml::from_str(pool).unwrap());
        assert_eq!(pooled.validate(), []);
        assert!(toml::from_str::<PoolConfig>("numbers = [\"212\"]").is_err());
    }
}
