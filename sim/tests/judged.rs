//! Judged shifts: the same seed gives the same report, predictive keeps the law and beats
//! progressive.

use sim::{Controller, Scenario, judge};

#[test]
fn the_same_seed_reports_the_same_bytes() {
    let scenario = Scenario {
        agents: 5,
        hours: 0.5,
        shifts: 2,
        ..Scenario::default()
    };
    let first = judge(&scenario, Controller::Predictive, true).unwrap();
    let second = judge(&scenario, Controller::Predictive, false).unwrap();
    assert_eq!(
        serde_json::to_string(&first).unwrap(),
        serde_json::to_string(&second).unwrap()
    );
    let other = judge(
        &Scenario {
            seed: 2,
            ..scenario
        },
        Controller::Predictive,
        false,
    )
    .unwrap();
    assert_ne!(first.utilisation_pct, other.utilisation_pct);
}

#[test]
fn predictive_is_busier_than_progressive_and_progressive_abandons_nobody() {
    let scenario = Scenario {
        agents: 10,
        hours: 2.0,
        shifts: 1,
        ..Scenario::default()
    };
    let progressive = judge(&scenario, Controller::Progressive, false).unwrap();
    let predictive = judge(&scenario, Controller::Predictive, false).unwrap();
    assert!(progressive.abandonment_pct.unwrap() < 1.0, "{progressive}");
    assert!(
        predictive.utilisation_pct.unwrap() > progressive.utilisation_pct.unwrap() + 3.0,
        "{predictive}\n{progressive}"
    );
    assert!(predictive.abandonment_pct.unwrap() <= 3.5, "{predictive}");
}

#[test]
fn agents_whom_customers_take_are_not_dialled_for() {
    // More customers than ten agents can serve.
    let scenario: Scenario = toml::from_str(
        "agents = 10\nhours = 3\nshifts = 2\ninbound_per_hour = 120\ninbound_patience_s = 90\n\
         inbound_talk = { mean_s = 180, cv = 1.0 }",
    )
    .unwrap();
    let report = judge(&scenario, Controller::Predictive, false).unwrap();
    assert!(report.abandonment_pct.unwrap() <= 3.5, "{report}");
}

#[test]
fn a_scenario_with_a_mistake_says_what_would_be_right() {
    assert!(toml::from_str::<Scenario>("agent = 3").is_err());
    let scenario: Scenario = toml::from_str("agents = 0\nanswer_rate = 1.5").unwrap();
    let said: Vec<String> = scenario
        .problems()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "agents: 0 is not from 1 to 20000; correct the number",
            "answer_rate: 1.5 is not from 0 to 1; correct the number"
        ]
    );
    assert!(
        "adept-hard"
            .parse::<Controller>()
            .unwrap_err()
            .to_string()
            .contains("adapt-hard")
    );
}
