//! What a judged run is about, as a person writes it: agents, answer rate, how long things take.
//! Nothing of it is known to the dialer. Without a file it is the judge's world of `docs/pacing.md`.
//!
//! [`Scenario::read`] takes a file and says what is wrong with it, and where; `build` makes one
//! shift's [`Setting`](crate::Setting) of it.

mod build;
mod controller;
mod problems;
mod profile;
mod read;
mod spread;
mod voice;

pub use build::START_US;
pub(crate) use build::name;
pub use controller::{Brake, Controller};
pub use problems::{AGENTS_MAX, HOURS_MAX, Problem};
pub use profile::{Profile, Step};
pub use read::FileProblem;
pub use spread::{ERLANG_K_MAX, Shape, Spread};
pub use voice::Voice;

use serde::{Deserialize, Serialize};

/// A scenario file. Every field has the judge's default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// People who take calls.
    pub agents: usize,
    /// They begin within so many seconds, evenly; 0: all in the same instant.
    pub start_spread_s: f64,
    /// Share of dials that are answered: a number, or steps over the shift.
    pub answer_rate: Profile,
    /// Seconds to an answer, where there is one.
    pub ring: Spread,
    /// Seconds by which every answer comes later than `ring` says: a number, or steps.
    pub answer_delay_s: Profile,
    /// Share of the unanswered that fail in 3 to 6 s (busy, congestion); the rest ring out.
    pub quick_fail_share: f64,
    /// Seconds until an unanswered call fails of itself; without it, as `quick_fail_share` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<Spread>,
    /// Seconds until the carrier hears that a call is given up; who answers before is an answer.
    pub cancel_delay_s: f64,
    /// When an unanswered call is given up, in seconds.
    pub ring_timeout_s: f64,
    /// Seconds of talk.
    pub talk: Spread,
    /// A second kind of talk, for this share of calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_talk: Option<OtherTalk>,
    /// Seconds of after-call work.
    pub wrap_up: Spread,
    /// How long a person who answers waits for an agent, in seconds. The engine gives up after 2 s
    /// at the latest, as the law wants.
    pub patience_s: f64,
    /// How long the common open dialer's rules let a person wait instead (its own default is 5 s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_timer_s: Option<f64>,
    /// Share of the answers that machines give.
    pub machine_share: f64,
    /// Whether the campaigns listen for machines.
    pub detect_machines: bool,
    /// Share of the persons the detector takes for machines, and hangs up on.
    pub false_positive_share: f64,
    /// Share of the machines it takes for persons, and hands to an agent.
    pub false_negative_share: f64,
    /// Seconds for which a person who answers speaks, where the campaigns listen for machines: the two
    /// seconds count from the end. Without it nobody says anything that is heard, and they count from
    /// the answer, as the common open dialer's rules always do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greeting: Option<Spread>,
    /// Seconds of listening until the detector's verdict.
    pub verdict: Spread,
    /// Seconds an agent spends with a machine.
    pub machine_talk: Spread,
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
    /// Seconds of talk with them; without it, as `talk` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_talk: Option<Spread>,
    /// Calls at once that the carrier carries.
    pub lines: u32,
    /// New calls per second that the carrier takes.
    pub calls_per_second: f64,
    /// Kinds of leads, each with its own chance to answer. What is left of the leads is ordinary.
    pub lead_class: Vec<LeadClass>,
    /// Every lead's own chance differs from what its class says by up to this factor, either way;
    /// 1: not at all.
    pub lead_spread: f64,
    /// Every lead has a chance of its own, of a distribution with the answer rate as its mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_chance: Option<LeadChance>,
    /// So many leads, called again as the campaign's rules say; without it, as many as are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads: Option<u32>,
    /// Whether the campaigns pace by what they are told of each lead.
    pub per_lead: bool,
    /// What people do with the recorded voice of an agentless campaign.
    #[serde(skip_serializing_if = "Voice::is_usual")]
    pub voice: Voice,
    /// Campaigns that share the agents and the carrier; without any, one campaign has them all.
    pub campaign: Vec<CampaignRule>,
    /// Length of a shift.
    pub hours: f64,
    /// Shifts on consecutive days that share one book of abandoned calls, each beginning with what
    /// the days before have learned; 1: every shift is on its own.
    pub days: u32,
    /// So many days at the beginning of every run are left out of the means: those in which it
    /// learns. The share of shifts over the limit, and the period, count them.
    pub settle_days: u32,
    /// Runs: shifts from a cold start, each of `days` days.
    pub shifts: u32,
    /// Fixes every chance.
    pub seed: u64,
    /// What paces, where the command line does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// The sizes at which the table of scenarios runs it; without any, 10, 50 and 200 agents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub table_agents: Vec<usize>,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            agents: 10,
            start_spread_s: 0.0,
            answer_rate: Profile::Always(0.3),
            ring: Spread::lognormal(10.0, 0.53).within(1.5, 26.0),
            answer_delay_s: Profile::Always(0.0),
            quick_fail_share: 0.15,
            no_answer: None,
            cancel_delay_s: 0.0,
            ring_timeout_s: 26.0,
            talk: Spread::lognormal(150.0, 1.0),
            other_talk: None,
            wrap_up: Spread::lognormal(20.0, 0.7),
            patience_s: 2.0,
            drop_timer_s: None,
            machine_share: 0.0,
            detect_machines: false,
            false_positive_share: 0.0,
            false_negative_share: 0.0,
            greeting: None,
            verdict: Spread::exponential(0.5),
            machine_talk: Spread::lognormal(8.0, 0.5),
            slow_share: 0.0,
            slow_factor: 2.0,
            leave: Vec::new(),
            inbound_per_hour: 0.0,
            inbound_patience_s: 60.0,
            inbound_talk: None,
            lines: 30_000,
            calls_per_second: 5_000.0,
            lead_class: Vec::new(),
            lead_spread: 1.0,
            lead_chance: None,
            leads: None,
            per_lead: false,
            voice: Voice::default(),
            campaign: Vec::new(),
            hours: 8.0,
            days: 1,
            settle_days: 0,
            shifts: 4,
            seed: 1,
            controller: None,
            table_agents: Vec::new(),
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

/// A kind of leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadClass {
    /// What it is called; a lead says it in its field `class`.
    pub name: String,
    /// Of all leads.
    pub share: f64,
    /// The answer rate is multiplied by this: a number, or steps over the shift.
    pub factor: Profile,
    /// Whether the leads say which class they are.
    #[serde(default = "yes")]
    pub known: bool,
}

/// How the leads' own chances differ, and what a column of the list says of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadChance {
    /// Beta-distributed with the answer rate p as its mean: α = p · this, β = (1 − p) · this. The
    /// smaller, the more leads are all but sure to answer or not to; 1.25 where nothing is said.
    #[serde(default = "concentration")]
    pub concentration: f64,
    /// What the list says.
    #[serde(default)]
    pub told: Told,
    /// With `told = "chance"`: the true chance times or divided by up to this factor, evenly on a
    /// logarithmic scale; 1: exactly the truth.
    #[serde(default = "whole")]
    pub known_within: f64,
}

fn concentration() -> f64 {
    1.25
}

/// What the list says of a lead's chance to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// About how likely it is.
    Chance,
    /// Whether the next call will be answered: more than anyone can know.
    Answer,
    /// A number that is the same for all.
    Constant,
    /// How likely it is not to answer.
    Inverted,
    /// A number that has nothing to do with it.
    Noise,
}

fn yes() -> bool {
    true
}

/// One of several campaigns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignRule {
    /// What it is called.
    pub name: String,
    /// `predictive`, `progressive`, `power:X` or `agentless`; without it, as for the whole scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// Its own share of answered dials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_rate: Option<Profile>,
    /// Its own seconds of talk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk: Option<Spread>,
    /// Its agents are those from this share of all of them on …
    #[serde(default)]
    pub agent_from: f64,
    /// … this share of all. Campaigns whose shares overlap share agents.
    #[serde(default = "whole")]
    pub agent_share: f64,
    /// Calls of a larger one are connected first.
    #[serde(default)]
    pub priority: i16,
}

fn whole() -> f64 {
    1.0
}

/// Why a scenario or a controller cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Something in it cannot stand.
    #[error("{0}")]
    Problem(Problem),
    /// No controller of that name.
    #[error(
        "there is no controller \"{0}\": use predictive, progressive, power:X (1 to 10), agentless, ratio:X (1 to 50), adapt-hard, adapt-average, adapt-tapered or informed"
    )]
    Controller(String),
    /// A field of the scenario means nothing to the controller.
    #[error("{field}: {controller} knows nothing of it; {remedy}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// Which controller.
        controller: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The campaign was not accepted by the engine.
    #[error("the engine refuses the configuration: {0}")]
    Config(String),
}

impl Scenario {
    /// When something changes at once for everybody, in hours since the start, in order: a step of
    /// the answer rate or of the carrier's delay, agents who leave or come back.
    pub fn steps_h(&self) -> Vec<f64> {
        let mut at: Vec<f64> = self
            .answer_rate
            .changes_h()
            .chain(self.answer_delay_s.changes_h())
            .chain(
                self.campaign
                    .iter()
                    .filter_map(|campaign| campaign.answer_rate.as_ref())
                    .flat_map(Profile::changes_h),
            )
            .chain(
                self.leave
                    .iter()
                    .flat_map(|leave| [leave.at_h, leave.at_h + leave.for_h]),
            )
            .filter(|at_h| *at_h > 0.0 && *at_h < self.hours)
            .collect();
        at.sort_by(f64::total_cmp);
        at.dedup();
        at
    }

    /// The same world with another number of agents. What belongs to a team of a certain size grows
    /// with it: customers who call, and lines and calls per second where they are no more than ample.
    pub fn for_agents(&self, agents: usize) -> Scenario {
        let scale = agents as f64 / self.agents as f64;
        let ample = Scenario::default();
        let mut scaled = self.clone();
        scaled.agents = agents;
        scaled.inbound_per_hour *= scale;
        if self.lines != ample.lines {
            scaled.lines = ((f64::from(self.lines) * scale).round() as u32).max(1);
        }
        if self.calls_per_second != ample.calls_per_second {
            scaled.calls_per_second *= scale;
        }
        scaled
    }

    /// How many agents are slow, and who is: the first of them.
    pub(crate) fn pace_of(&self, ix: usize) -> f64 {
        let slow = (self.slow_share * self.agents as f64).round() as usize;
        if ix < slow { self.slow_factor } else { 1.0 }
    }
}
