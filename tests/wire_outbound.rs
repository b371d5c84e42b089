//! A campaign on a foreign carrier: SIPp that answers, is busy, rings out, answers late, knows no number.

mod lab;

use lab::tools::{Sipp, Tool, invites_seen};
use lab::{Lab, Plan};
use model::event::{Fact, Party};
use model::{AttemptOutcome, Cause};
use std::collections::BTreeMap;
use std::time::Duration;

/// A rung-out call takes 15 s by law; others wait behind it on a slow machine.
const CAMPAIGN_PATIENCE: Duration = Duration::from_secs(150);

const CAMPAIGN: &str = r#"
mode = "progressive"
running = false
lists = ["spring"]
trunks = ["carrier"]
caller_id = "+12125550100"
rules = ["demo"]
abandon_prompt = "abandon"
ring_timeout_ms = 15000
max_attempts = 3
[retry.busy]
wait_s = 1
attempts = 2
[retry.no_answer]
wait_s = 3600
attempts = 2
[retry.failed]
wait_s = 3600
attempts = 2
"#;

/// Three agents for a campaign to `numbers`, and a carrier that follows `scenario`.
fn campaign(scenario: &str, more: &[&str], numbers: &[&str]) -> (Lab, Tool, Vec<Tool>) {
    let mut plan = Plan::new().file("campaigns/spring.toml", CAMPAIGN);
    for agent in ["anna", "bilal", "chen"] {
        plan = plan.agent(agent, &["spring"], 200);
    }
    let list = numbers
        .iter()
        .fold("phone\n".to_string(), |list, number| list + number + "\n");
    let mut lab = plan.leads("spring", &list).start();
    let carrier = Sipp::carrier(&lab, scenario).with(more).start();
    let phones = ["anna", "bilal", "chen"]
        .map(|agent| {
            let phone = Sipp::phone(&lab, agent, "agent_waits_for_bye.xml").start();
            lab.make_available(agent);
            phone
        })
        .into();
    (lab, carrier, phones)
}

/// Number and outcome of every attempt so far.
fn outcomes(lab: &mut Lab) -> Vec<(String, AttemptOutcome)> {
    let mut numbers = BTreeMap::new();
    let mut ended = Vec::new();
    for event in lab.events() {
        match &event.fact {
            Fact::AttemptClaimed {
                attempt, number, ..
            } => {
                numbers.insert(*attempt, number.to_string());
            }
            Fact::AttemptEnded {
                attempt, outcome, ..
            } => ended.push((numbers[attempt].clone(), *outcome)),
            _ => {}
        }
    }
    ended.sort();
    ended
}

/// Waits for so many ends, then ends campaign and carrier and compares the carrier's book with ours.
fn close(
    mut lab: Lab,
    mut carrier: Tool,
    mut phones: Vec<Tool>,
    attempts: usize,
) -> Vec<(String, AttemptOutcome)> {
    lab.within(CAMPAIGN_PATIENCE, "all attempts end", |events| {
        let ended = events
            .iter()
            .filter(|event| matches!(event.fact, Fact::AttemptEnded { .. }))
            .count();
        (ended >= attempts).then_some(())
    });
    lab.run_campaign("spring", false);
    let outcomes = outcomes(&mut lab);
    lab.until("every call is over", |events| {
        let begun = events
            .iter()
            .filter(|event| matches!(event.fact, Fact::CallDialled { .. }))
            .count();
        let ended = events
            .iter()
            .filter(|event| matches!(event.fact, Fact::CallEnded { .. }))
            .count();
        (begun == ended).then_some(())
    });
    carrier.quits_well();
    for phone in &mut phones {
        phone.quits_well();
    }
    let seen = invites_seen(&lab);
    assert_eq!(seen.len(), outcomes.len(), "{seen:?}");
    let recorded = lab::look(lab::PATIENCE, || {
        let calls = lab.sql_count("SELECT count(*) FROM calls WHERE direction = 'outbound'");
        (calls == seen.len() as i64).then_some(())
    });
    assert!(
        recorded.is_some(),
        "every INVITE the carrier saw has a record"
    );
    assert_eq!(
        lab.sql_count("SELECT count(*) FROM attempts WHERE outcome IS NULL"),
        0
    );
    lab.close();
    outcomes
}

/// The agent whose customer talks hangs up.
fn hang_up_all_talks(lab: &mut Lab, talks: usize) {
    let bridged = lab.within(CAMPAIGN_PATIENCE, "they talk", |events| {
        let agents: Vec<String> = events
            .iter()
            .filter_map(|event| match &event.fact {
                Fact::CallBridged { agent, .. } => Some(agent.to_string()),
                _ => None,
            })
            .collect();
        (agents.len() >= talks).then_some(agents)
    });
    for agent in bridged {
        lab.act(&agent, "hang_up");
    }
}

#[test]
fn each_number_of_a_list_has_its_outcome_and_only_the_busy_one_is_dialled_again() {
    let numbers = [
        "+12125550104",
        "+12125550105",
        "+12125550106",
        "+12125550107",
        "+12125550108",
    ];
    let (mut lab, carrier, phones) = campaign("carrier_by_number.xml", &[], &numbers);
    lab.run_campaign("spring", true);
    hang_up_all_talks(&mut lab, 2);
    let found = close(lab, carrier, phones, 6);
    let expected = [
        ("+12125550104", AttemptOutcome::AnsweredAgent),
        ("+12125550105", AttemptOutcome::Busy),
        ("+12125550105", AttemptOutcome::Busy),
        ("+12125550106", AttemptOutcome::NoAnswer),
        ("+12125550107", AttemptOutcome::AnsweredAgent),
        ("+12125550108", AttemptOutcome::DisconnectedNumber),
    ];
    assert_eq!(
        found,
        expected.map(|(number, outcome)| (number.to_string(), outcome))
    );
}

#[test]
fn a_customer_who_answers_and_hangs_up_was_connected() {
    let (lab, carrier, phones) = campaign(
        "carrier_hangs_up.xml",
        &["-d", "1500"],
        &["+12125550111", "+12125550112"],
    );
    lab.run_campaign("spring", true);
    let found = close(lab, carrier, phones, 2);
    assert!(
        found
            .iter()
            .all(|(_, outcome)| *outcome == AttemptOutcome::AnsweredAgent),
        "{found:?}"
    );
}

#[test]
fn a_customer_who_answers_late_meets_an_agent_within_two_seconds() {
    let (mut lab, carrier, phones) = campaign(
        "carrier_answers_late.xml",
        &["-d", "4000"],
        &["+12125550113"],
    );
    lab.run_campaign("spring", true);
    let answered = lab.fact("the customer answers", |fact| {
        matches!(fact, Fact::AttemptAnswered { .. })
    });
    let bridged = lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    assert!(bridged.at.mono - answered.at.mono <= Duration::from_secs(2));
    hang_up_all_talks(&mut lab, 1);
    let found = close(lab, carrier, phones, 1);
    assert_eq!(found[0].1, AttemptOutcome::AnsweredAgent);
}

#[test]
fn an_answer_without_an_agent_in_time_is_abandoned_and_counted() {
    let (mut lab, carrier, phones) = campaign(
        "carrier_answers_late.xml",
        &["-d", "3000"],
        &["+12125550114"],
    );
    lab.run_campaign("spring", true);
    lab.fact("it rings", |fact| matches!(fact, Fact::LegRinging { .. }));
    for agent in ["anna", "bilal", "chen"] {
        lab.act(agent, "sign_out");
    }
    let answered = lab.fact("the customer answers", |fact| {
        matches!(fact, Fact::AttemptAnswered { .. })
    });
    let abandoned = lab.fact("the call is abandoned", |fact| {
        matches!(
            fact,
            Fact::AttemptEnded {
                outcome: AttemptOutcome::Abandoned,
                ..
            }
        )
    });
    assert!(
        abandoned.at.mono - answered.at.mono >= Duration::from_millis(1_900),
        "the two seconds are used"
    );
    // One of one is more than the law allows.
    lab.breaks = Some("DEMO-1");
    let found = close(lab, carrier, phones, 1);
    assert_eq!(found[0].1, AttemptOutcome::Abandoned);
}

#[test]
fn a_customer_who_answers_in_the_instant_in_which_we_give_up_meets_an_agent() {
    let (mut lab, carrier, phones) =
        campaign("carrier_answers_at_cancel.xml", &[], &["+12125550115"]);
    lab.run_campaign("spring", true);
    let given_up = lab.within(CAMPAIGN_PATIENCE, "the call is given up", |events| {
        let found = events
            .iter()
            .find(|event| matches!(event.fact, Fact::LegGivenUp { .. }));
        found.cloned()
    });
    let answered = lab.fact("the customer answers", |fact| {
        matches!(fact, Fact::AttemptAnswered { .. })
    });
    assert!(given_up.seq < answered.seq);
    hang_up_all_talks(&mut lab, 1);
    let found = close(lab, carrier, phones, 1);
    assert_eq!(found[0].1, AttemptOutcome::AnsweredAgent);
}

#[test]
fn a_customer_whose_media_cannot_be_used_is_abandoned_and_not_called_again_at_once() {
    let (mut lab, carrier, phones) =
        campaign("carrier_unheard.xml", &["-d", "1000"], &["+12125550116"]);
    lab.run_campaign("spring", true);
    let ended = lab.fact("the call is over", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    assert!(
        matches!(
            ended.fact,
            Fact::CallEnded {
                by: Party::System,
                cause: Cause::MediaUnsupported,
                ..
            }
        ),
        "{:?}",
        ended.fact
    );
    // One of one is more than the law allows.
    lab.breaks = Some("DEMO-1");
    let found = close(lab, carrier, phones, 1);
    assert_eq!(found[0].1, AttemptOutcome::Abandoned);
}
