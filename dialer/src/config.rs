//! What an operator says about campaigns: `config/campaigns/NAME.toml`, one [`CampaignConfig`] each.
//! Checked once, at loading: a machine built from a checked [`Config`] asks no more questions.

use crate::caller_id::PoolConfig;
use crate::mix::{self, ListShare};
use crate::rules::RuleSet;
use crate::trunk::{Block, TrunkLimits};
use model::event::Mode;
use model::{AgentId, AttemptOutcome, CampaignId, PhoneNumber, TrunkId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Callbacks are known to the dialer so long before they are due; no reminder comes earlier.
pub const CALLBACK_AHEAD_S: u32 = 3_600;

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
    /// Listen whether a machine answered.
    #[serde(default)]
    pub detect_machines: bool,
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
            abandon_limit_pct: abandon_limit(),
            connect_within_ms: connect_within(),
            abandon_prompt: None,
            rules: Vec::new(),
            detect_machines: false,
            max_in_flight: max_in_flight(),
            calls_per_second: calls_per_second(),
            retry: BTreeMap::new(),
            max_attempts: max_attempts(),
            preview_timeout_s: preview_timeout(),
            callback_remind_s: callback_remind(),
            callback_hold_s: callback_hold(),
            callback_to_anyone: true,
        }
    }

    pub(crate) fn ring_timeout(&self) -> Duration {
        Duration::from_millis(self.ring_timeout_ms.into())
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

    /// Dialling again after this outcome.
    pub fn retry(&self, outcome: AttemptOutcome) -> RetryRule {
        self.retry
            .get(&outcome)
            .copied()
            .unwrap_or_else(|| RetryRule::of(outcome))
    }
}

/// Dialling again after an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRule {
    /// Not before so many seconds have passed.
    pub wait_s: u32,
    /// Not once the lead has had so many attempts.
    pub attempts: u16,
    /// With the lead's next number.
    #[serde(default)]
    pub other_number: bool,
}

impl RetryRule {
    /// What holds where the campaign says nothing.
    pub fn of(outcome: AttemptOutcome) -> RetryRule {
        let (wait_s, attempts, other_number) = match outcome {
            AttemptOutcome::Busy => (10 * 60, 8, false),
            AttemptOutcome::NoAnswer => (3 * 3_600, 8, true),
            AttemptOutcome::Failed => (30 * 60, 5, true),
            AttemptOutcome::Machine => (24 * 3_600, 5, true),
            AttemptOutcome::Abandoned => (72 * 3_600, 8, false),
            AttemptOutcome::Cancelled | AttemptOutcome::Blocked => (60, u16::MAX, false),
            AttemptOutcome::DisconnectedNumber => (60, u16::MAX, true),
            AttemptOutcome::UnknownRestart => (3_600, 8, false),
            AttemptOutcome::AnsweredAgent => (0, 0, false),
        };
        RetryRule {
            wait_s,
            attempts,
            other_number,
        }
    }
}

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
                let lock_s = rule.lock.map(|lock| lock.hours.saturating_mul(3_600));
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
            if !(campaign.abandon_limit_pct > 0.0 && campaign.abandon_limit_pct <= 5.0) {
                say(
                    at("abandon_limit_pct"),
                    format!(
                        "{} is not above 0 and at most 5",
                        campaign.abandon_limit_pct
                    ),
                    "use 3.0 or what your country allows",
                );
            }
            if !(1.0..=10.0).contains(&campaign.power_level) {
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
            if !(1..=20_000).contains(&campaign.max_in_flight) {
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
            if campaign.abandon_prompt.is_none() && campaign.mode != Mode::Preview {
                say(
                    at("abandon_prompt"),
                    "an abandoned person would hear nothing (US-3)".into(),
                    "name the prompt with your name and number",
                );
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
        assert_eq!(window_s("\"us\""), 7 * 86_400);
        assert_eq!(window_s("\"uk\""), 72 * 3_600);
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
