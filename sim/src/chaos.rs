//! Shifts in which everything goes wrong that can: drawn from a seed, with a network that delays,
//! loses and repeats, a store that fails, a process that is killed, agents with whims and callers
//! who hang up at the worst moment. Whatever happens, the [`Checker`](crate::Checker) must not object.

use crate::scenario::{Profile, START_US, Spread, Voice, name};
use crate::setting::{
    AgentSetting, CallerSetting, CarrierSetting, Leave, NetworkSetting, PeopleSetting, Setting,
    StoreSetting,
};
use crate::world::World;
use acd::config::{Overflow, OverflowTo, QueueKind, Ring, Rona, Strategy};
use acd::input::SkillNeed;
use call::config::{Route, Treatment, default_feature_codes};
use dialer::config::CampaignConfig;
use dialer::trunk::TrunkLimits;
use model::event::Mode;
use model::{AgentId, CampaignId, QueueId, Rng, SkillId, TrunkId, Utc};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Seconds of a chaotic shift. A few hundred of them are run in every test run.
const SHIFT_S: u64 = 240;
/// The best level there is. Everybody who has a skill has it so: events tell no levels.
const LEVEL: u8 = 5;

/// A menu, a queue behind each key, and an end.
const FLOW: &str = r##"
id = "main"
start = "hello"
on_failure = "to_support"

[node.hello]
type = "menu"
prompt = ["hello", "menu"]
options = { 1 = "to_sales", 2 = "to_support", 3 = "number", 9 = "bye" }
timeout = "3s"
no_input = [{ count = 1, prompt = "again" }, { count = 2, goto = "to_sales" }]
no_match = [{ count = 1, prompt = "again" }, { count = 2, goto = "to_support" }]

[node.number]
type = "collect"
prompt = "number"
into = "customer"
min = 1
max = 4
terminator = "#"
timeout = "3s"
inter_digit = "2s"
no_input = [{ count = 1, goto = "to_sales" }]
no_match = [{ count = 1, goto = "to_sales" }]
next = "to_sales_first"

[variables]
customer = { type = "text", default = "" }

[node.to_sales]
type = "queue"
queue = "sales"

[node.to_sales_first]
type = "queue"
queue = "sales"
priority = 10

[node.to_support]
type = "queue"
queue = "support"

[node.bye]
type = "hang_up"
prompt = "bye"
"##;

/// North American prefixes whose hours differ from UTC by the same all year: Puerto Rico, Arizona,
/// Hawaii.
const PREFIXES: [(&str, Option<i64>); 3] = [
    ("+1787", Some(-4)),
    ("+1602", Some(-7)),
    ("+1808", Some(-10)),
];

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize]
}

/// The shift of a seed.
pub fn setting(seed: u64) -> Setting {
    let mut rng = Rng::new(seed ^ 0xc4a0_5000);
    let agents: Vec<AgentId> = (0..3 + rng.below(8))
        .map(|n| name(&format!("a{n}")))
        .collect();
    let (sales, support, trunk): (QueueId, QueueId, TrunkId) =
        (name("sales"), name("support"), name("carrier"));
    let campaign: CampaignId = name("spring");
    let spanish: SkillId = name("spanish");

    let strategies = [
        Strategy::LongestIdle,
        Strategy::LongestIdle,
        Strategy::LongestIdle,
        Strategy::RingAll,
        Strategy::RoundRobin,
        Strategy::LeastOccupied,
        Strategy::Random,
    ];
    let rona = [Rona::NotReady, Rona::Available];
    let queue = |rng: &mut Rng| acd::QueueConfig {
        strategy: pick(rng, &strategies),
        rona: pick(rng, &rona),
        wrap_up_ms: pick(rng, &[0, 3_000, 8_000]),
        auto_answer: rng.below(3) == 0,
        priority_ageing_per_s: pick(rng, &[0.0, 0.5]),
        ..acd::QueueConfig::default()
    };
    let mut sales_queue = queue(&mut rng);
    if rng.below(2) == 0 {
        sales_queue.max_wait_ms = Some(20_000);
        sales_queue.overflow = Some(Overflow {
            to: pick(
                &mut rng,
                &[
                    OverflowTo::Queue(support),
                    OverflowTo::HangUp,
                    OverflowTo::Flow(name("main")),
                ],
            ),
            prompt: Some("sorry".into()),
        });
        sales_queue.max_waiting = Some(4);
    }
    let mut support_queue = queue(&mut rng);
    if rng.below(2) == 0 {
        support_queue.skills = vec![SkillNeed {
            skill: spanish,
            level: LEVEL,
        }];
        support_queue.rings = vec![Ring {
            after_ms: 10_000,
            skills: Vec::new(),
        }];
    }
    let mut queues = BTreeMap::from([(sales, sales_queue), (support, support_queue)]);

    let mode = pick(
        &mut rng,
        &[
            Mode::Predictive,
            Mode::Predictive,
            Mode::Progressive,
            Mode::Power,
            Mode::Preview,
        ],
    );
    let mut spring = CampaignConfig::new(mode, "+17875550100");
    spring.lists = vec![name("spring")];
    spring.trunks = vec![trunk];
    spring.rules = vec!["us".into()];
    spring.power_level = 2.0;
    spring.abandon_prompt = Some("abandon".into());
    spring.detect_machines = rng.below(3) == 0;
    spring.calls_per_second = 5.0;
    spring.preview_timeout_s = 4;
    spring.agents = agents
        .iter()
        .copied()
        .filter(|_| rng.below(3) > 0)
        .collect();
    let mut dialler = dialer::Config {
        trunks: BTreeMap::from([(
            trunk,
            TrunkLimits {
                // Sometimes so few that a call waits for the line of another.
                concurrent_calls: if seed.is_multiple_of(3) { 3 } else { 40 },
                calls_per_second: 5.0,
            },
        )]),
        ..dialer::Config::default()
    };
    if rng.below(6) > 0 && !spring.agents.is_empty() {
        dialler.campaigns.insert(campaign, spring);
        let campaign_queue = acd::QueueConfig {
            kind: QueueKind::Outbound,
            auto_answer: true,
            wrap_up_ms: 5_000,
            ..acd::QueueConfig::default()
        };
        queues.insert(name("spring"), campaign_queue);
    }
    let agent = |rng: &mut Rng| {
        let mut config = acd::AgentConfig::default();
        let of = rng.below(4);
        if of != 1 {
            config.queues.push(sales.into());
        }
        if of != 2 {
            config.queues.push(support.into());
        }
        if rng.below(2) == 0 {
            config.skills.insert(spanish, LEVEL);
        }
        config
    };
    let agent_configs = agents.iter().map(|id| (*id, agent(&mut rng))).collect();
    let config = call::Config {
        acd: acd::Config {
            queues,
            agents: agent_configs,
        },
        dialer: dialler,
        flows: vec![("main.toml".into(), FLOW.into())],
        routes: vec![
            Route {
                number: "100".into(),
                trunk: None,
                flow: Some(name("main")),
                queue: None,
            },
            Route {
                number: "*".into(),
                trunk: None,
                flow: None,
                queue: Some(sales),
            },
        ],
        treatment: BTreeMap::from([(
            support,
            Treatment {
                record: false,
                ..Treatment::default()
            },
        )]),
        feature_codes: default_feature_codes(),
        attestations: BTreeMap::new(),
        live_calls_max: pick(&mut rng, &[6, 500]),
        call_ms_max: pick(&mut rng, &[60_000, 600_000]),
    };
    let rough = rng.below(4) > 0;
    // Some shifts begin just before a window opens or closes: 21:00 in Puerto Rico is 01:00 UTC.
    let start_h = pick(&mut rng, &[18, 18, 18, 0, 3, 11]);
    let edge_us = if start_h == 18 { 0 } else { 57 * 60_000_000 };
    Setting {
        agents: agents
            .into_iter()
            .map(|agent| AgentSetting {
                agent,
                pace: 0.5 + 1.5 * rng.unit(),
            })
            .collect(),
        start_spread: Duration::ZERO,
        history: Vec::new(),
        learned: Vec::new(),
        foretold: false,
        start: Utc::from_micros(START_US - 12 * 3_600_000_000 + start_h * 3_600_000_000 + edge_us),
        shift: Duration::from_secs(SHIFT_S),
        drain: true,
        carrier: CarrierSetting {
            answer_rate: Profile::Always(pick(&mut rng, &[0.2, 0.5, 0.9])),
            ring: Spread::lognormal(6.0, 0.5).within(0.2, 26.0),
            campaigns: BTreeMap::new(),
            answer_delay_s: Profile::Always(0.0),
            no_answer: None,
            quick_fail_share: 0.3,
            rings_after_s: Some(0.6),
            cancel_delay_s: 0.0,
            late_answer_share: 0.1,
            unheard_share: 0.01,
            machine_share: 0.3,
            false_positive_share: 0.02,
            false_negative_share: 0.02,
            // Some detectors say nothing of greetings.
            greeting: seed
                .is_multiple_of(2)
                .then(|| Spread::lognormal(1.0, 0.6).within(0.1, 8.0)),
            verdict: Spread::exponential(0.5),
            lead_classes: Vec::new(),
            lead_spread: 1.0,
            lead_chance: None,
            patience_s: Spread::lognormal(5.0, 1.0).within(0.2, 60.0),
            number_prefixes: PREFIXES.to_vec(),
        },
        callers: (rng.below(8) > 0).then(|| CallerSetting {
            per_hour: pick(&mut rng, &[220.0, 660.0, 1_320.0]),
            called: pick(&mut rng, &["100", "100", "200"]).into(),
            patience_s: Spread::lognormal(40.0, 1.0).within(0.5, 600.0),
            digit_chance: 0.7,
            awkward: 0.15,
        }),
        people: PeopleSetting {
            voice: Voice::default(),
            talk: Spread::lognormal(15.0, 1.0).within(0.0, 200.0),
            other_talk: Some((0.05, Spread::fixed(0.001))),
            inbound_talk: None,
            machine_talk: Spread::fixed(4.0),
            wrap_up: Spread::lognormal(5.0, 0.8).within(0.0, 60.0),
            prompt_s: 1.5,
            pick_up: Spread::lognormal(3.0, 0.6).within(0.1, 14.0),
            reluctance: 0.2,
            hold: 0.2,
            agent_hangs_up: 0.4,
            whim_s: Some(pick(&mut rng, &[20.0, 45.0])),
            do_not_call: 0.3,
            clock_steps: if rng.below(3) == 0 { 0.02 } else { 0.0 },
        },
        leave: if rng.below(4) == 0 {
            vec![Leave {
                at: Duration::from_secs(100),
                share: 0.5,
                away: Duration::from_secs(60),
            }]
        } else {
            Vec::new()
        },
        network: if rough {
            NetworkSetting {
                delay: Duration::from_millis(pick(&mut rng, &[5, 60, 300])),
                loss: 0.03,
                repeat: 0.03,
            }
        } else {
            NetworkSetting::perfect()
        },
        store: StoreSetting {
            leads: Some(400),
            delay: Duration::from_millis(pick(&mut rng, &[0, 20, 800])),
            claim_fails: pick(&mut rng, &[0.0, 0.03]),
        },
        crash_at: if rng.below(3) == 0 {
            vec![Duration::from_secs(40 + rng.below(150))]
        } else {
            Vec::new()
        },
        config,
    }
}

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// What was broken: the checker's first violations, or the assertion that failed. Empty: nothing.
    pub broken: Vec<String>,
    /// The fingerprint of everything, where one was asked for.
    pub trace: Option<u64>,
    /// Calls that arrived or were dialled.
    pub calls: u64,
}

/// Runs a seed under the checker.
pub fn run(seed: u64, traced: bool) -> Verdict {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(setting(seed), seed)
            .map_err(|error| error.to_string())?
            .with_checker();
        if traced {
            world = world.with_trace();
        }
        world.run();
        Ok::<_, String>(world)
    }));
    let mut verdict = Verdict {
        seed,
        broken: Vec::new(),
        trace: None,
        calls: 0,
    };
    match ran {
        Ok(Ok(world)) => {
            verdict.broken = world.violations().iter().map(ToString::to_string).collect();
            verdict.trace = world.trace().map(|trace| trace.hash());
            verdict.calls = world.tally().inbound + world.tally().dials;
        }
        Ok(Err(error)) => verdict.broken.push(error),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
            verdict
                .broken
                .push(format!("an assertion failed: {}", text.unwrap_or_default()));
        }
    }
    verdict
}
