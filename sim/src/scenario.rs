//! What a judged run is about, as a person writes it: agents, answer rate, how long things take.
//! Nothing of it is known to the dialer. Without a file it is the judge's world of `docs/pacing.md`.

use crate::setting::{
    AgentSetting, CallerSetting, CarrierSetting, Leave, NetworkSetting, PeopleSetting, Setting,
    StoreSetting,
};
use dialer::config::CampaignConfig;
use dialer::trunk::TrunkLimits;
use model::event::Mode;
use model::{AgentId, CampaignId, Mono, QueueId, TrunkId, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// Most agents of a scenario: names and tables are made for each.
pub const AGENTS_MAX: usize = 20_000;
/// Longest shift. A day is what one calling window allows.
pub const HOURS_MAX: f64 = 24.0;
/// After-call work is the virtual agent's to end; the machine's own limit only catches what is lost.
const WRAP_UP_MS: u64 = acd::config::WRAP_UP_MS_MAX;
/// Lognormal talk has a long tail; no judged call is cut off by the guard against forgotten legs.
const CALL_MS_MAX: u64 = 24 * 3_600_000;

/// A scenario file. Every field has the judge's default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// People who take calls.
    pub agents: usize,
    /// Share of dials that a person answers: a number, or steps over the shift.
    pub answer_rate: Profile,
    /// Seconds to an answer, where there is one.
    pub ring: Spread,
    /// Share of the unanswered that fail in 3 to 6 s (busy, congestion); the rest ring out.
    pub quick_fail_share: f64,
    /// When an unanswered call is given up, in seconds.
    pub ring_timeout_s: f64,
    /// Seconds of talk.
    pub talk: Spread,
    /// A second kind of talk, for this share of calls.
    pub other_talk: Option<OtherTalk>,
    /// Seconds of after-call work.
    pub wrap_up: Spread,
    /// How long a person who answers waits for an agent, in seconds.
    pub patience_s: f64,
    /// Share of agents who take `slow_factor` times as long for everything.
    pub slow_share: f64,
    /// See `slow_share`.
    pub slow_factor: f64,
    /// Agents who leave unannounced, and come back.
    pub leave: Vec<LeaveRule>,
    /// Calls of customers per hour, served by the same agents before campaign calls.
    pub inbound_per_hour: f64,
    /// Mean patience of those customers, in seconds.
    pub inbound_patience_s: f64,
    /// Calls at once that the carrier carries.
    pub lines: u32,
    /// New calls per second that the carrier takes.
    pub calls_per_second: f64,
    /// Length of a shift.
    pub hours: f64,
    /// Shifts, each from a cold start.
    pub shifts: u32,
    /// Fixes every chance.
    pub seed: u64,
    /// What paces, where the command line does not say.
    pub controller: Option<String>,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            agents: 10,
            answer_rate: Profile::Always(0.3),
            ring: Spread {
                mean_s: 10.0,
                cv: 0.53,
                min_s: 1.5,
                max_s: 26.0,
            },
            quick_fail_share: 0.15,
            ring_timeout_s: 26.0,
            talk: Spread {
                mean_s: 150.0,
                cv: 1.0,
                min_s: 0.0,
                max_s: f64::INFINITY,
            },
            other_talk: None,
            wrap_up: Spread {
                mean_s: 20.0,
                cv: 0.7,
                min_s: 0.0,
                max_s: f64::INFINITY,
            },
            patience_s: 2.0,
            slow_share: 0.0,
            slow_factor: 2.0,
            leave: Vec::new(),
            inbound_per_hour: 0.0,
            inbound_patience_s: 60.0,
            lines: 30_000,
            calls_per_second: 5_000.0,
            hours: 8.0,
            shifts: 4,
            seed: 1,
            controller: None,
        }
    }
}

/// A lognormal length of time, cut to `[min_s, max_s]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Mean in seconds.
    pub mean_s: f64,
    /// Coefficient of variation; 0: always the mean.
    #[serde(default)]
    pub cv: f64,
    /// Not less.
    #[serde(default)]
    pub min_s: f64,
    /// Not more.
    #[serde(default = "unbounded")]
    pub max_s: f64,
}

fn unbounded() -> f64 {
    f64::INFINITY
}

impl Spread {
    /// Always this.
    pub const fn fixed(mean_s: f64) -> Spread {
        Spread {
            mean_s,
            cv: 0.0,
            min_s: 0.0,
            max_s: f64::INFINITY,
        }
    }

    /// One length of time, in seconds.
    pub fn draw(&self, rng: &mut model::Rng) -> f64 {
        let drawn = if self.cv > 0.0 {
            rng.log_normal(self.mean_s, self.cv)
        } else {
            self.mean_s
        };
        drawn.clamp(self.min_s, self.max_s)
    }

    fn problem(&self, name: &str) -> Option<String> {
        let fine = self.mean_s > 0.0
            && self.mean_s < 1e6
            && (0.0..=10.0).contains(&self.cv)
            && self.min_s >= 0.0
            && self.max_s >= self.min_s;
        (!fine).then(|| {
            format!("{name}: a mean above 0, a cv from 0 to 10, and min_s no more than max_s")
        })
    }
}

/// A number, or steps over the shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a number from 0 to 1, or steps [{ from_h = 0.0, rate = 0.3 }, …]"
)]
pub enum Profile {
    /// The same all shift long.
    Always(f64),
    /// In the order of time, the first from hour 0.
    Steps(Vec<Step>),
}

/// From an hour of the shift on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Hours since the start of the shift.
    pub from_h: f64,
    /// From 0 to 1.
    pub rate: f64,
}

impl Profile {
    /// The rate at a time of the shift.
    pub fn at(&self, at: Mono) -> f64 {
        match self {
            Profile::Always(rate) => *rate,
            Profile::Steps(steps) => {
                let hour = at.as_secs_f64() / 3_600.0;
                steps
                    .iter()
                    .rev()
                    .find(|step| step.from_h <= hour)
                    .map_or(0.0, |step| step.rate)
            }
        }
    }

    fn rates(&self) -> Vec<f64> {
        match self {
            Profile::Always(rate) => vec![*rate],
            Profile::Steps(steps) => steps.iter().map(|step| step.rate).collect(),
        }
    }
}

/// A second kind of talk.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherTalk {
    /// Of all calls.
    pub share: f64,
    /// How long.
    pub talk: Spread,
}

/// A share of the agents goes and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveRule {
    /// Hours since the start of the shift.
    pub at_h: f64,
    /// Of the agents.
    pub share: f64,
    /// Away so long.
    pub for_h: f64,
}

/// What decides how many to dial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Controller {
    /// Ours.
    Predictive,
    /// One call per available agent.
    Progressive,
    /// A fixed number of calls per available agent.
    Power(f64),
    /// The common open dialer with a constant level.
    Ratio(f64),
    /// The common open dialer, with its three brakes.
    Adapt(Brake),
}

/// What the common open dialer does once the day's abandonment is over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// The level goes to 1.
    Hard,
    /// It is halved.
    Average,
    /// It shrinks towards the end of the day.
    Tapered,
}

/// Why a scenario or a controller cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Something in it cannot stand; what, and what would.
    #[error("{0}")]
    Problem(String),
    /// No controller of that name.
    #[error(
        "there is no controller \"{0}\": use predictive, progressive, power:X, ratio:X, adapt-hard, adapt-average or adapt-tapered"
    )]
    Controller(String),
    /// The campaign was not accepted by the engine.
    #[error("the engine refuses the configuration: {0}")]
    Config(String),
}

impl FromStr for Controller {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Controller, ScenarioError> {
        let unknown = || ScenarioError::Controller(text.into());
        let level = |x: &str| {
            x.parse::<f64>()
                .ok()
                .filter(|level| (1.0..=50.0).contains(level))
                .ok_or_else(unknown)
        };
        match text.split_once(':') {
            Some(("power", x)) => level(x).map(Controller::Power),
            Some(("ratio", x)) => level(x).map(Controller::Ratio),
            Some(_) => Err(unknown()),
            None => match text {
                "predictive" => Ok(Controller::Predictive),
                "progressive" => Ok(Controller::Progressive),
                "adapt-hard" => Ok(Controller::Adapt(Brake::Hard)),
                "adapt-average" => Ok(Controller::Adapt(Brake::Average)),
                "adapt-tapered" => Ok(Controller::Adapt(Brake::Tapered)),
                _ => Err(unknown()),
            },
        }
    }
}

impl std::fmt::Display for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Controller::Predictive => f.write_str("predictive"),
            Controller::Progressive => f.write_str("progressive"),
            Controller::Power(x) => write!(f, "power:{x}"),
            Controller::Ratio(x) => write!(f, "ratio:{x}"),
            Controller::Adapt(Brake::Hard) => f.write_str("adapt-hard"),
            Controller::Adapt(Brake::Average) => f.write_str("adapt-average"),
            Controller::Adapt(Brake::Tapered) => f.write_str("adapt-tapered"),
        }
    }
}

impl Scenario {
    /// Everything that is wrong with it, empty where nothing is.
    pub fn problems(&self) -> Vec<String> {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let mut found: Vec<String> = [
            ("ring", &self.ring),
            ("talk", &self.talk),
            ("wrap_up", &self.wrap_up),
        ]
        .iter()
        .filter_map(|(name, spread)| spread.problem(name))
        .collect();
        let mut need = |fine: bool, what: &str| {
            if !fine {
                found.push(what.to_string());
            }
        };
        need(
            (1..=AGENTS_MAX).contains(&self.agents),
            "agents: from 1 to 20000",
        );
        need(
            self.answer_rate.rates().iter().all(|rate| share(*rate)),
            "answer_rate: from 0 to 1",
        );
        need(
            !matches!(&self.answer_rate, Profile::Steps(steps) if !steps.first().is_some_and(|first| first.from_h == 0.0)
                || !steps.is_sorted_by(|a, b| a.from_h < b.from_h)),
            "answer_rate: steps in the order of time, the first with from_h = 0.0",
        );
        need(
            share(self.quick_fail_share),
            "quick_fail_share: from 0 to 1",
        );
        need(
            (15.0..=59.0).contains(&self.ring_timeout_s),
            "ring_timeout_s: from 15 to 59",
        );
        need(self.patience_s > 0.0, "patience_s: above 0");
        need(
            self.other_talk
                .is_none_or(|other| share(other.share) && other.talk.problem("").is_none()),
            "other_talk: a share from 0 to 1 and a talk as above",
        );
        need(
            share(self.slow_share) && (0.1..=100.0).contains(&self.slow_factor),
            "slow_share: from 0 to 1; slow_factor: from 0.1 to 100",
        );
        need(
            self.leave
                .iter()
                .all(|leave| share(leave.share) && leave.at_h >= 0.0 && leave.for_h >= 0.0),
            "leave: a share from 0 to 1, hours from 0",
        );
        need(
            (0.0..=1e6).contains(&self.inbound_per_hour) && self.inbound_patience_s > 0.0,
            "inbound_per_hour: from 0 to a million; inbound_patience_s: above 0",
        );
        need(self.lines > 0, "lines: at least 1");
        need(
            self.calls_per_second > 0.0 && self.calls_per_second <= 10_000.0,
            "calls_per_second: above 0, at most 10000",
        );
        need(
            self.hours > 0.0 && self.hours <= HOURS_MAX,
            "hours: above 0, at most 24",
        );
        need(
            (1..=100_000).contains(&self.shifts),
            "shifts: from 1 to 100000",
        );
        found
    }

    /// One shift of it, dialled by the engine in this mode.
    pub fn setting(&self, mode: Mode, power_level: f64) -> Setting {
        let campaign_id: CampaignId = name("judge");
        let queue: QueueId = name("judge");
        let hotline: QueueId = name("hotline");
        let trunk: TrunkId = name("carrier");
        let agents: Vec<AgentId> = (0..self.agents).map(|n| name(&format!("a{n}"))).collect();

        let mut campaign = CampaignConfig::new(mode, "+4930123456");
        campaign.agents = agents.clone();
        campaign.lists = vec![name("all")];
        campaign.trunks = vec![trunk];
        campaign.rules = vec!["demo".into()];
        campaign.ring_timeout_ms = (self.ring_timeout_s * 1_000.0) as u32;
        campaign.power_level = power_level;
        campaign.abandon_prompt = Some("abandon".into());
        campaign.calls_per_second = self.calls_per_second;
        campaign.max_in_flight = self.lines.min(20_000);
        let limits = TrunkLimits {
            concurrent_calls: self.lines,
            calls_per_second: self.calls_per_second,
        };
        let dialer = dialer::Config {
            campaigns: BTreeMap::from([(campaign_id, campaign)]),
            trunks: BTreeMap::from([(trunk, limits)]),
            rules: BTreeMap::new(),
            ..dialer::Config::default()
        };
        let outbound = acd::QueueConfig {
            kind: acd::config::QueueKind::Outbound,
            auto_answer: true,
            wrap_up_ms: WRAP_UP_MS,
            ..acd::QueueConfig::default()
        };
        let inbound = acd::QueueConfig {
            auto_answer: true,
            wrap_up_ms: WRAP_UP_MS,
            ..acd::QueueConfig::default()
        };
        let agent = acd::AgentConfig {
            queues: vec![hotline.into(), queue.into()],
            ..acd::AgentConfig::default()
        };
        let silent = call::config::Treatment {
            record: false,
            ..call::config::Treatment::default()
        };
        let config = call::Config {
            acd: acd::Config {
                queues: BTreeMap::from([(queue, outbound), (hotline, inbound)]),
                agents: agents.iter().map(|id| (*id, agent.clone())).collect(),
            },
            dialer,
            flows: Vec::new(),
            routes: vec![call::config::Route {
                number: "*".into(),
                trunk: None,
                flow: None,
                queue: Some(hotline),
            }],
            treatment: BTreeMap::from([(queue, silent.clone()), (hotline, silent)]),
            feature_codes: BTreeMap::new(),
            live_calls_max: 100_000,
            call_ms_max: CALL_MS_MAX,
        };
        let slow = (self.slow_share * self.agents as f64).round() as usize;
        Setting {
            config,
            agents: agents
                .into_iter()
                .enumerate()
                .map(|(n, agent)| AgentSetting {
                    agent,
                    pace: if n < slow { self.slow_factor } else { 1.0 },
                })
                .collect(),
            start: Utc::from_micros(START_US),
            shift: Duration::from_secs_f64(self.hours * 3_600.0),
            drain: false,
            carrier: CarrierSetting {
                answer_rate: self.answer_rate.clone(),
                ring: self.ring,
                quick_fail_share: self.quick_fail_share,
                rings_after_s: None,
                machine_share: 0.0,
                patience_s: Spread::fixed(self.patience_s),
                number_prefixes: vec![("+49", None)],
            },
            callers: (self.inbound_per_hour > 0.0).then(|| CallerSetting {
                per_hour: self.inbound_per_hour,
                called: "+4930100".into(),
                patience_s: Spread {
                    mean_s: self.inbound_patience_s,
                    cv: 1.0,
                    min_s: 0.0,
                    max_s: f64::INFINITY,
                },
                digit_chance: 0.0,
                awkward: 0.0,
            }),
            people: PeopleSetting {
                talk: self.talk,
                other_talk: self.other_talk.map(|other| (other.share, other.talk)),
                wrap_up: self.wrap_up,
                prompt_s: 5.0,
                ..PeopleSetting::willing()
            },
            leave: self
                .leave
                .iter()
                .map(|leave| Leave {
                    at: Duration::from_secs_f64(leave.at_h * 3_600.0),
                    share: leave.share,
                    away: Duration::from_secs_f64(leave.for_h * 3_600.0),
                })
                .collect(),
            network: NetworkSetting::perfect(),
            store: StoreSetting::endless(),
            crash_at: Vec::new(),
        }
    }
}

/// 2026-06-01T12:00:00Z, a Monday.
pub const START_US: i64 = 1_780_315_200_000_000;

/// A name of our own.
pub(crate) fn name<T: FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("our own names are names")
}
