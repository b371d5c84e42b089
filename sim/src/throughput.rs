//! Loads for measuring how much work one simulated call is: the whole engine, every command carried
//! out, nobody checking. What is timed, and by which clock, is the caller's business.

use crate::scenario::{Profile, Scenario, Spread, name};
use crate::setting::{CallerSetting, Setting};
use acd::config::QueueKind;
use model::event::Mode;
use std::time::Duration;

/// Greeting, one key, a queue: the usual way of an inbound call.
const FLOW: &str = r#"
id = "main"
start = "hello"

[node.hello]
type = "menu"
prompt = ["hello"]
options = { 1 = "sales", 2 = "sales" }
timeout = "5s"
no_input = [{ count = 1, goto = "sales" }]
no_match = [{ count = 1, goto = "sales" }]

[node.sales]
type = "queue"
queue = "hotline"
"#;

/// Customers who call a menu, press a key, wait, talk with one of `agents`, and are wrapped up, at
/// nine tenths of what the agents can take.
pub fn inbound(agents: usize, shift: Duration) -> Setting {
    let scenario = Scenario {
        agents,
        answer_rate: Profile::Always(0.0),
        talk: Spread::lognormal(60.0, 1.0),
        wrap_up: Spread::lognormal(10.0, 0.7),
        inbound_per_hour: 1.0,
        ..Scenario::default()
    };
    let mut setting = scenario.setting(Mode::Progressive, 1.0);
    setting.shift = shift;
    setting.config.dialer.campaigns.clear();
    setting
        .config
        .acd
        .queues
        .retain(|_, queue| queue.kind == QueueKind::Inbound);
    setting.config.flows = vec![("main.toml".into(), FLOW.into())];
    setting.config.routes[0].queue = None;
    setting.config.routes[0].flow = Some(name("main"));
    for agent in setting.config.acd.agents.values_mut() {
        agent.queues.truncate(1);
    }
    setting.people.pick_up = Spread::fixed(0.5);
    setting.callers = Some(CallerSetting {
        per_hour: 0.9 * agents as f64 * 3_600.0 / 70.5,
        called: "+4930100".into(),
        patience_s: Spread::lognormal(300.0, 1.0),
        digit_chance: 1.0,
        awkward: 0.0,
    });
    setting
}

/// The judge's world, dialled predictively for `agents`.
pub fn outbound(agents: usize, shift: Duration) -> Setting {
    let mut setting = Scenario {
        agents,
        ..Scenario::default()
    }
    .setting(Mode::Predictive, 1.0);
    setting.shift = shift;
    setting
}
