//! What operators say about queues and agents, and everything that can be wrong with it.
//!
//! Durations are integers that carry their unit in the name. Everything has a default, so that
//! `[queues.sales]` alone is a working queue. [`Config::validate`] finds all problems at once.

use crate::input::SkillNeed;
use model::{AgentId, FlowId, QueueId, ReasonId, SkillId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Shortest ring: a phone on the far side of the world has rung once by then. It also keeps a
/// sole agent who misses calls, and stays available, from being rung in a tight circle.
pub const RING_TIMEOUT_MS_MIN: u64 = 1_000;
/// Longest ring. Carriers give up after three to five minutes.
pub const RING_TIMEOUT_MS_MAX: u64 = 300_000;
/// Longest wrap-up, extensions included: beyond an hour the agent is not ready, whatever it is called.
pub const WRAP_UP_MS_MAX: u64 = 3_600_000;
/// Longest wait for a preferred agent: a caller who waits longer wants an answer, not a name.
pub const PREFERRED_AGENT_TIMEOUT_MS_MAX: u64 = 600_000;
/// Shortest pause between announcements: one takes about five seconds to speak.
pub const ANNOUNCE_EVERY_MS_MIN: u64 = 5_000;
/// Best level a skill can have.
pub const SKILL_LEVEL_MAX: u8 = 10;
/// Steepest ageing. At 1,000 points a second every priority there is is overtaken within 66 s.
pub const AGEING_PER_S_MAX: f64 = 1_000.0;
/// Wrap-up after a call that came through no queue (a preview), for agents without their own.
pub const WRAP_UP_MS_DEFAULT: u64 = 10_000;

/// All queues and agents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where calls wait, campaigns' queues included.
    pub queues: BTreeMap<QueueId, QueueConfig>,
    /// Who takes them.
    pub agents: BTreeMap<AgentId, AgentConfig>,
}

/// Which of several available agents gets a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Who has been available for the longest.
    #[default]
    LongestIdle,
    /// Everybody at once; the first to answer wins.
    RingAll,
    /// Each in turn, by name.
    RoundRobin,
    /// Who answered fewest calls of this queue since the start.
    FewestCalls,
    /// Who has the lowest occupancy since sign-in: handling ÷ (handling + available).
    LeastOccupied,
    /// Who is best at what the call asks for: the sum of the levels of the asked skills.
    SkillLevel,
    /// The same order for every call: larger weight in the queue first, then by name.
    Linear,
    /// Anybody, by the machine's seed.
    Random,
}

/// Who begins the calls of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// Customers. Served before outbound at equal standing.
    #[default]
    Inbound,
    /// A campaign. Its calls do not age: they live for two seconds.
    Outbound,
}

/// What a call does that comes while nobody who serves the queue is signed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenNoAgents {
    /// Wait.
    #[default]
    Wait,
    /// It is refused, and goes where the queue overflows to.
    Refuse,
}

/// What becomes of an agent who let a call ring out, or declined it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rona {
    /// Not ready with the RONA reason, until the agent says otherwise.
    #[default]
    NotReady,
    /// Available, behind everybody who is idle.
    Available,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Who begins its calls.
    pub kind: QueueKind,
    /// Which available agent gets a call.
    pub strategy: Strategy,
    /// How long a phone rings.
    pub ring_timeout_ms: u64,
    /// After-call work, unless the agent has their own.
    pub wrap_up_ms: u64,
    /// Whether the agent's phone picks up by itself. Nothing to the ACD; the engine asks the phone.
    pub auto_answer: bool,
    /// Points every call of this queue has. Larger is served earlier.
    pub priority: i16,
    /// Points calls of this queue have for agents whose own entry says nothing else.
    pub weight: i16,
    /// What every call of this queue asks for.
    pub skills: Vec<SkillNeed>,
    /// How that demand relaxes with waiting.
    pub rings: Vec<Ring>,
    /// T of the service level.
    pub service_level_ms: u64,
    /// Abandons before this wait are short: misdials, not lost customers.
    pub short_abandon_ms: u64,
    /// Calls beyond this many waiting are refused, unless an agent is available for them.
    pub max_waiting: Option<u32>,
    /// A call leaves by rule after this wait.
    pub max_wait_ms: Option<u64>,
    /// Where a call goes that leaves by rule or is refused. Without it, it is hung up.
    pub overflow: Option<Overflow>,
    /// What happens while nobody is signed in.
    pub when_no_agents: WhenNoAgents,
    /// How long a call waits for its preferred agent alone.
    pub preferred_agent_timeout_ms: u64,
    /// Pause between announcements of position and wait. 0: none.
    pub announce_every_ms: u64,
    /// What becomes of an agent who missed a call.
    pub rona: Rona,
    /// Points a call gains per second of waiting. 0: priority never gives way.
    pub priority_ageing_per_s: f64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            kind: QueueKind::Inbound,
            strategy: Strategy::LongestIdle,
            ring_timeout_ms: 15_000,
            wrap_up_ms: WRAP_UP_MS_DEFAULT,
            auto_answer: false,
            priority: 0,
            weight: 0,
            skills: Vec::new(),
            rings: Vec::new(),
            service_level_ms: 20_000,
            short_abandon_ms: 5_000,
            max_waiting: None,
            max_wait_ms: None,
            overflow: None,
            when_no_agents: WhenNoAgents::Wait,
            preferred_agent_timeout_ms: 10_000,
            announce_every_ms: 0,
            rona: Rona::NotReady,
            priority_ageing_per_s: 0.0,
        }
    }
}

impl QueueConfig {
    /// The bound on overtaking: a call is overtaken by calls of this queue that have `points` more
    /// only if they come within this time after it. `None` without ageing: then it is unbounded.
    pub fn overtaken_for_at_most(&self, points: u32) -> Option<Duration> {
        let milli = ageing_milli(self);
        (milli > 0).then(|| Duration::from_micros(u64::from(points) * 1_000_000_000 / milli))
    }
}

/// Ageing in thousandths of a point per second, within its bounds; none for outbound.
pub(crate) fn ageing_milli(queue: &QueueConfig) -> u64 {
    match queue.kind {
        QueueKind::Inbound if queue.priority_ageing_per_s > 0.0 => {
            (queue.priority_ageing_per_s.min(AGEING_PER_S_MAX) * 1_000.0).round() as u64
        }
        QueueKind::Inbound | QueueKind::Outbound => 0,
    }
}

/// A relaxation of a queue's skill demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// After this wait.
    pub after_ms: u64,
    /// What the queue asks for from then on. What the call itself asks for stays.
    #[serde(default)]
    pub skills: Vec<SkillNeed>,
}

/// Where calls go that leave a queue without an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overflow {
    /// `queue:NAME`, `flow:NAME` or `hang_up`.
    pub to: OverflowTo,
    /// What is played before a hang-up.
    #[serde(default)]
    pub prompt: Option<String>,
}

/// A target of overflow, written `queue:NAME`, `flow:NAME` or `hang_up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OverflowTo {
    /// Another queue; the wait so far counts there.
    Queue(QueueId),
    /// A flow.
    Flow(FlowId),
    /// The end.
    HangUp,
}

impl TryFrom<String> for OverflowTo {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let name = |e: model::id::KeyError| format!("{text:?}: {e}");
        match text.split_once(':') {
            Some(("queue", to)) => to.parse().map(OverflowTo::Queue).map_err(name),
            Some(("flow", to)) => to.parse().map(OverflowTo::Flow).map_err(name),
            None if text == "hang_up" => Ok(OverflowTo::HangUp),
            Some(_) | None => Err(format!(
                "{text:?} is no target; write \"queue:NAME\", \"flow:NAME\" or \"hang_up\""
            )),
        }
    }
}

impl From<OverflowTo> for String {
    fn from(to: OverflowTo) -> String {
        match to {
            OverflowTo::Queue(queue) => format!("queue:{queue}"),
            OverflowTo::Flow(flow) => format!("flow:{flow}"),
            OverflowTo::HangUp => "hang_up".to_owned(),
        }
    }
}

/// One agent, as routing sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// The person's name. Empty: the id serves.
    pub name: String,
    /// Whose calls the agent takes.
    pub queues: Vec<Membership>,
    /// What the agent can do, 1 (knows it) to 10 (master).
    pub skills: BTreeMap<SkillId, u8>,
    /// After-call work, where it differs from the queue's.
    pub wrap_up_ms: Option<u64>,
    /// Why the agent is not ready right after sign-in.
    pub sign_in_reason: ReasonId,
    /// Why the agent is not ready after a missed or declined call.
    pub rona_reason: ReasonId,
}

impl Default for AgentConfig {
    fn default() -> Self {
        AgentConfig {
            name: String::new(),
            queues: Vec::new(),
            skills: BTreeMap::new(),
            wrap_up_ms: None,
            sign_in_reason: reason("signed_in"),
            rona_reason: reason("rona"),
        }
    }
}

pub(crate) fn reason(name: &'static str) -> ReasonId {
    name.parse().expect("a reason of our own is a name")
}

/// An agent's place in a queue: `"sales"` or `{ queue = "sales", weight = 5 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "MembershipForm")]
pub struct Membership {
    /// The queue.
    pub queue: QueueId,
    /// Points calls of this queue have for this agent; the queue's own weight where `None`.
    pub weight: Option<i16>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a queue's name, or { queue = \"NAME\", weight = POINTS }"
)]
enum MembershipForm {
    Name(QueueId),
    Full(FullMembership),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullMembership {
    queue: QueueId,
    #[serde(default)]
    weight: Option<i16>,
}

impl From<MembershipForm> for Membership {
    fn from(form: MembershipForm) -> Self {
        match form {
            MembershipForm::Name(queue) => Membership {
                queue,
                weight: None,
            },
            MembershipForm::Full(FullMembership { queue, weight }) => Membership { queue, weight },
        }
    }
}

impl From<QueueId> for Membership {
    fn from(queue: QueueId) -> Self {
        Membership {
            queue,
            weight: None,
        }
    }
}

/// Something an operator must change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// Where, as in `queues.sales.ring_timeout_ms`.
    pub path: String,
    /// What is wrong, and the remedy.
    pub problem: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl Config {
    /// Everything that is wrong, by path; empty if the machine can run. Ask after the campaigns'
    /// queues were added. That a flow named by an overflow exists is for whoever knows the flows.
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut found = Vec::new();
        for (id, queue) in &self.queues {
            self.check_queue(&format!("queues.{id}"), *id, queue, &mut found);
        }
        for (id, agent) in &self.agents {
            self.check_agent(&format!("agents.{id}"), agent, &mut found);
        }
        found
    }

    fn check_queue(
        &self,
        at: &str,
        id: QueueId,
        queue: &QueueConfig,
        found: &mut Vec<ConfigProblem>,
    ) {
        let mut say = |field: &str, problem: String| {
            found.push(ConfigProblem {
                path: format!("{at}.{field}"),
                problem,
            });
        };
        if !(RING_TIMEOUT_MS_MIN..=RING_TIMEOUT_MS_MAX).contains(&queue.ring_timeout_ms) {
            say(
                "ring_timeout_ms",
                between(
                    RING_TIMEOUT_MS_MIN,
                    RING_TIMEOUT_MS_MAX,
                    queue.ring_timeout_ms,
                ),
            );
        }
        if queue.wrap_up_ms > WRAP_UP_MS_MAX {
            say("wrap_up_ms", between(0, WRAP_UP_MS_MAX, queue.wrap_up_ms));
        }
        if queue.preferred_agent_timeout_ms > PREFERRED_AGENT_TIMEOUT_MS_MAX {
            say(
                "preferred_agent_timeout_ms",
                between(
                    0,
                    PREFERRED_AGENT_TIMEOUT_MS_MAX,
                    queue.preferred_agent_timeout_ms,
                ),
            );
        }
        if (1..ANNOUNCE_EVERY_MS_MIN).contains(&queue.announce_every_ms) {
            say(
                "announce_every_ms",
                format!(
                    "write 0 for none, or at least {ANNOUNCE_EVERY_MS_MIN}; it is {}",
                    queue.announce_every_ms
                ),
            );
        }
        if queue.max_wait_ms == Some(0) {
            say(
                "max_wait_ms",
                "nobody can wait 0 ms; leave it out for no limit".to_owned(),
            );
        }
        if !(0.0..=AGEING_PER_S_MAX).contains(&queue.priority_ageing_per_s) {
            let is = queue.priority_ageing_per_s;
            say(
                "priority_ageing_per_s",
                format!("write a number from 0 to {AGEING_PER_S_MAX}; it is {is}"),
            );
        } else if queue.kind == QueueKind::Outbound && queue.priority_ageing_per_s != 0.0 {
            say(
                "priority_ageing_per_s",
                "outbound calls do not age; leave it out".to_owned(),
            );
        }
        check_needs("skills", &queue.skills, &mut say);
        let mut before = (0, &queue.skills);
        for (i, ring) in queue.rings.iter().enumerate() {
            check_needs(&format!("rings[{i}].skills"), &ring.skills, &mut say);
            if ring.after_ms <= before.0 {
                say(
                    &format!("rings[{i}].after_ms"),
                    format!(
                        "rings come in order of time; write more than {}, it is {}",
                        before.0, ring.after_ms
                    ),
                );
            }
            if let Some(need) = ring
                .skills
                .iter()
                .find(|n| level(before.1, n.skill) < n.level)
            {
                say(
                    &format!("rings[{i}].skills"),
                    format!(
                        "a ring only relaxes; {} is asked at level {} here and at {} before",
                        need.skill,
                        need.level,
                        level(before.1, need.skill)
                    ),
                );
            }
            before = (ring.after_ms, &ring.skills);
        }
        if let Some(overflow) = &queue.overflow {
            match overflow.to {
                OverflowTo::Queue(to) if !self.queues.contains_key(&to) => {
                    say(
                        "overflow.to",
                        format!("there is no queue {to}; add [queues.{to}] or name another"),
                    );
                }
                OverflowTo::Queue(_) if self.overflow_comes_back(id) => {
                    say(
                        "overflow.to",
                        "calls would go round in a circle; let one queue overflow elsewhere"
                            .to_owned(),
                    );
                }
                OverflowTo::Queue(_) | OverflowTo::Flow(_) if overflow.prompt.is_some() => {
                    say(
                        "overflow.prompt",
                        "a prompt is played before hang_up only; leave it out".to_owned(),
                    );
                }
                OverflowTo::Queue(_) | OverflowTo::Flow(_) | OverflowTo::HangUp => {}
            }
        }
    }

    fn overflow_comes_back(&self, start: QueueId) -> bool {
        let mut at = start;
        for _ in 0..=self.queues.len() {
            match self
                .queues
                .get(&at)
                .and_then(|q| q.overflow.as_ref())
                .map(|o| o.to)
            {
                Some(OverflowTo::Queue(to)) if to == start => return true,
                Some(OverflowTo::Queue(to)) => at = to,
                Some(OverflowTo::Flow(_) | OverflowTo::HangUp) | None => return false,
            }
        }
        false
    }

    fn check_agent(&self, at: &str, agent: &AgentConfig, found: &mut Vec<ConfigProblem>) {
        let mut say = |field: &str, problem: String| {
            found.push(ConfigProblem {
                path: format!("{at}.{field}"),
                problem,
            });
        };
        let mut seen = BTreeSet::new();
        for (i, member) in agent.queues.iter().enumerate() {
            let queue = member.queue;
            if !self.queues.contains_key(&queue) {
                say(
                    &format!("queues[{i}]"),
                    format!("there is no queue {queue}; add [queues.{queue}] or name another"),
                );
            }
            if !seen.insert(queue) {
                say(
                    &format!("queues[{i}]"),
                    format!("{queue} is there twice; leave one out"),
                );
            }
        }
        for (skill, level) in &agent.skills {
            if !(1..=SKILL_LEVEL_MAX).contains(level) {
                say(
                    &format!("skills.{skill}"),
                    between(1, SKILL_LEVEL_MAX.into(), (*level).into()),
                );
            }
        }
        if let Some(ms) = agent.wrap_up_ms.filter(|ms| *ms > WRAP_UP_MS_MAX) {
            say("wrap_up_ms", between(0, WRAP_UP_MS_MAX, ms));
        }
    }
}

fn between(low: u64, high: u64, is: u64) -> String {
    format!("write a number from {low} to {high}; it is {is}")
}

fn level(needs: &[SkillNeed], skill: SkillId) -> u8 {
    needs
        .iter()
        .find(|n| n.skill == skill)
        .map_or(0, |n| n.level)
}

fn check_needs(field: &str, needs: &[SkillNeed], say: &mut impl FnMut(&str, String)) {
    let mut seen = BTreeSet::new();
    for need in needs {
        if !(1..=SKILL_LEVEL_MAX).contains(&need.level) {
            let limits = between(1, SKILL_LEVEL_MAX.into(), need.level.into());
            say(field, format!("level of {}: {limits}", need.skill));
        }
        if !seen.insert(need.skill) {
            say(
                field,
                format!("{} is there twice; leave one out", need.skill),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        [queues.sales]
        strategy = "skill_level"
        ring_timeout_ms = 20000
        skills = [{ skill = "german", level = 3 }]
        rings = [{ after_ms = 30000, skills = [{ skill = "german", level = 1 }] }, { after_ms = 60000 }]
        max_waiting = 50
        max_wait_ms = 600000
        overflow = { to = "queue:other" }
        when_no_agents = "refuse"
        rona = "available"
        priority_ageing_per_s = 0.5
        [queues.other]
        overflow = { to = "hang_up", prompt = "sorry" }
        [queues.spring]
        kind = "outbound"
        auto_answer = true
        [agents.anna]
        name = "Anna"
        queues = ["sales", { queue = "spring", weight = -5 }]
        skills = { german = 8 }
        wrap_up_ms = 3000
    "#;

    #[test]
    fn the_shapes_of_the_files_are_read_and_are_valid() {
        let config: Config = toml::from_str(FULL).unwrap();
        assert_eq!(config.validate(), []);
        let anna = &config.agents[&"anna".parse().unwrap()];
        assert_eq!(anna.queues[1].weight, Some(-5));
        assert_eq!(anna.sign_in_reason, reason("signed_in"));
        let other = &config.queues[&"other".parse().unwrap()];
        assert_eq!(other.overflow.as_ref().unwrap().to, OverflowTo::HangUp);
        assert_eq!(other.ring_timeout_ms, 15_000);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        for text in [
            "[queues.a]\nring_timeout = 3",
            "[agents.a]\nskill = {}",
            "[queues.a]\noverflow = { to = \"queu:b\" }",
            "[agents.a]\nqueues = [{ queue = \"b\", wieght = 3 }]",
        ] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_problem_names_its_path() {
        let config: Config = toml::from_str(
            r#"
            [queues.a]
            ring_timeout_ms = 10
            wrap_up_ms = 99999999
            announce_every_ms = 3
            max_wait_ms = 0
            priority_ageing_per_s = nan
            preferred_agent_timeout_ms = 99999999
            skills = [{ skill = "x", level = 11 }]
            rings = [{ after_ms = 0, skills = [{ skill = "y", level = 1 }] }]
            overflow = { to = "queue:b" }
            [queues.b]
            overflow = { to = "queue:a", prompt = "p" }
            [queues.c]
            kind = "outbound"
            priority_ageing_per_s = 1.0
            overflow = { to = "queue:nowhere" }
            [agents.anna]
            queues = ["a", "a", "z"]
            skills = { german = 0 }
            wrap_up_ms = 99999999
            "#,
        )
        .unwrap();
        let paths: Vec<String> = config.validate().into_iter().map(|p| p.path).collect();
        assert_eq!(
            paths,
            [
                "queues.a.ring_timeout_ms",
                "queues.a.wrap_up_ms",
                "queues.a.preferred_agent_timeout_ms",
                "queues.a.announce_every_ms",
                "queues.a.max_wait_ms",
                "queues.a.priority_ageing_per_s",
                "queues.a.skills",
                "queues.a.rings[0].after_ms",
                "queues.a.rings[0].skills",
                "queues.a.overflow.to",
                "queues.b.overflow.to",
                "queues.c.priority_ageing_per_s",
                "queues.c.overflow.to",
                "agents.anna.queues[1]",
                "agents.anna.queues[2]",
                "agents.anna.skills.german",
                "agents.anna.wrap_up_ms",
            ]
        );
    }
}
