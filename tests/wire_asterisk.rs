//! Asterisk 22 as our carrier and as a phone registered to us: audio both ways, BYE both ways.

mod lab;

use lab::Plan;
use lab::sound::assert_heard;
use lab::tools::{Asterisk, Sipp};
use model::AttemptOutcome;
use model::event::{Fact, Party};
use std::collections::BTreeMap;
use std::time::Duration;

/// Talk this long, in tenths of a second, has to be heard.
const HEARD_TENTHS: usize = 15;

fn talks_for(lab: &mut lab::Lab, seconds: u64) {
    let bridged = lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    lab.pass(bridged.at, Duration::from_secs(seconds));
}

#[test]
fn a_call_through_asterisk_reaches_a_phone_that_is_asterisk_and_the_caller_hangs_up() {
    let mut lab = Plan::new()
        .queue("sales", "wrap_up_ms = 0")
        .agent("anna", &["sales"], 0)
        .start();
    let mut carrier = Asterisk::carrier(&lab);
    let mut phone = Asterisk::phone(&lab, "anna", 900);
    lab.make_available("anna");
    carrier.call("100", "+15550100", "1");
    talks_for(&mut lab, 4);
    // A carrier that ends hangs its calls up.
    carrier.tool.terminate();
    let ended = lab.fact("the call ends", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    assert!(
        matches!(
            ended.fact,
            Fact::CallEnded {
                by: Party::Customer,
                ..
            }
        ),
        "{ended:?}"
    );
    phone.tool.terminate();
    assert_heard(&carrier.recording("100", "heard"), 0, 900.0, HEARD_TENTHS);
    assert_heard(&phone.recording("anna", "heard"), 0, 600.0, HEARD_TENTHS);
    lab.close();
}

#[test]
fn a_phone_that_is_asterisk_is_hung_up_and_hangs_up() {
    let mut lab = Plan::new()
        .queue("sales", "wrap_up_ms = 0")
        .agent("anna", &["sales"], 0)
        .start();
    let carrier = Asterisk::carrier(&lab);
    let mut phone = Asterisk::phone(&lab, "anna", 900);
    lab.make_available("anna");
    carrier.call("200", "+15550100", "");
    lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    lab.act("anna", "hang_up");
    lab.facts(1, "the first call ends", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    carrier.call("200", "+15550101", "");
    lab.facts(2, "they talk again", |fact| {
        matches!(fact, Fact::CallBridged { .. })
    });
    phone.tool.terminate();
    let ended = lab.facts(2, "the second call ends", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    for event in ended {
        assert!(
            matches!(
                event.fact,
                Fact::CallEnded {
                    by: Party::Agent,
                    ..
                }
            ),
            "{event:?}"
        );
    }
    lab.close();
}

const CAMPAIGN: &str = r#"
mode = "progressive"
running = false
lists = ["spring"]
trunks = ["carrier"]
caller_id = "+12125550100"
rules = ["demo"]
abandon_prompt = "abandon"
ring_timeout_ms = 15000
[retry.busy]
wait_s = 3600
attempts = 2
[retry.no_answer]
wait_s = 3600
attempts = 2
"#;

#[test]
fn a_campaign_through_asterisk_meets_busy_silent_unknown_and_real_customers() {
    let mut plan = Plan::new().file("campaigns/spring.toml", CAMPAIGN);
    for agent in ["anna", "bilal"] {
        plan = plan.agent(agent, &["spring"], 200);
    }
    let numbers = [
        "+12125550105",
        "+12125550106",
        "+12125550108",
        "+12125550104",
    ];
    let list = numbers
        .iter()
        .fold("phone\n".to_string(), |list, number| list + number + "\n");
    let mut lab = plan.leads("spring", &list).start();
    let mut carrier = Asterisk::carrier(&lab);
    let mut phones = ["anna", "bilal"].map(|agent| {
        let phone = Sipp::phone(&lab, agent, "agent_waits_for_bye.xml").start();
        lab.make_available(agent);
        phone
    });
    lab.run_campaign("spring", true);
    talks_for(&mut lab, 2);
    let bridged = lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    let Fact::CallBridged { agent, .. } = bridged.fact else {
        panic!("asked for")
    };
    lab.act(agent.as_str(), "hang_up");
    let ended = lab.within(Duration::from_secs(120), "all attempts end", |events| {
        let mut number_of = BTreeMap::new();
        let mut ended = Vec::new();
        for event in events {
            match &event.fact {
                Fact::AttemptClaimed {
                    attempt, number, ..
                } => drop(number_of.insert(*attempt, number.to_string())),
                Fact::AttemptEnded {
                    attempt, outcome, ..
                } => ended.push((number_of[attempt].clone(), *outcome)),
                _ => {}
            }
        }
        ended.sort();
        (ended.len() >= numbers.len()).then_some(ended)
    });
    let expected = [
        ("+12125550104", AttemptOutcome::AnsweredAgent),
        ("+12125550105", AttemptOutcome::Busy),
        ("+12125550106", AttemptOutcome::NoAnswer),
        ("+12125550108", AttemptOutcome::DisconnectedNumber),
    ];
    assert_eq!(
        ended,
        expected.map(|(number, outcome)| (number.to_string(), outcome))
    );
    for phone in &mut phones {
        phone.quits_well();
    }
    carrier.tool.terminate();
    assert_heard(&carrier.recording("+12125550104", "said"), 0, 600.0, 10);
    lab.close();
}
