//! The scenarios that are shipped: each is read, stands, and is run for ten simulated minutes under
//! the checker; each changes what it says it changes.

use dialer::input::PastAnswers;
use model::Utc;
use model::event::Mode;
use sim::{Controller, Options, Report, Scenario, judge, judge_with};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/scenarios")
}

fn shipped(name: &str) -> Scenario {
    let file = format!("{name}.toml");
    let text = std::fs::read_to_string(folder().join(&file)).unwrap();
    Scenario::read(&file, &text).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

fn run(scenario: Scenario, hours: f64, controller: Controller) -> Report {
    let scenario = Scenario {
        hours,
        shifts: 1,
        ..scenario
    };
    judge(&scenario, controller, false).unwrap()
}

#[test]
fn every_shipped_scenario_is_read_and_runs_for_ten_minutes_under_the_checker() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .into()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "answer_rate_doubles",
            "answer_rate_halves",
            "blended",
            "delay_step",
            "detector_errors",
            "half_leave",
            "known_leads",
            "lead_classes",
            "mass_start",
            "rate_by_hour",
            "shared_campaigns",
            "slow_agents",
            "steady_talk",
            "two_talks",
            "voice_message",
        ]
    );
    for name in names {
        let scenario = shipped(&name);
        // The checker looks at every agent after every input: at twelve of the five hundred here.
        // A recorded voice speaks with dozens of people for each who wants an agent.
        let agents = match scenario.controller.as_deref() {
            Some("agentless") => 4,
            Some(_) | None => 12,
        };
        let short = Scenario {
            agents: scenario.agents.min(agents),
            hours: 1.0 / 6.0,
            shifts: 1,
            ..scenario
        };
        let controller = short.controller.as_deref().unwrap_or("predictive");
        let report = judge(&short, controller.parse().unwrap(), true)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.connected > 0, "{name}: {report}");
    }
}

#[test]
fn a_detector_that_errs_spends_the_abandonment_and_the_agents() {
    let report = run(shipped("detector_errors"), 0.5, Controller::Predictive);
    assert!(report.machines > 50, "{report}");
    assert!(report.machines_connected < report.machines / 10);
    let careless = Scenario {
        false_positive_share: 0.1,
        ..shipped("detector_errors")
    };
    let report = run(careless, 0.5, Controller::Progressive);
    let pct = report.abandonment_pct.unwrap();
    assert!((6.0..14.0).contains(&pct), "{report}");
    assert!(report.abandoned * 10 < report.false_positives, "{report}");
}

#[test]
fn who_presses_the_key_has_an_agent_in_two_seconds_or_was_abandoned() {
    let scenario = Scenario {
        agents: 20,
        ..shipped("voice_message")
    };
    let report = run(scenario.clone(), 0.5, Controller::Agentless);
    assert!(report.messaged > 10 * report.connected, "{report}");
    assert!(report.connected > 25, "{report}");
    assert!(report.abandonment_pct.unwrap() <= 6.0, "{report}");
    let asked = report.connected + report.abandoned;
    let share = asked as f64 / (asked + report.messaged) as f64;
    assert!((0.03..0.05).contains(&share), "{report}");
    let eager = Scenario {
        voice: sim::scenario::Voice {
            press_share: 0.4,
            ..scenario.voice
        },
        ..scenario
    };
    let eager = run(eager, 0.5, Controller::Agentless);
    assert!(eager.dials * 3 < report.dials, "{eager}\n{report}");
}

#[test]
fn the_open_dialers_rules_run_every_shipped_scenario() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let scenario = Scenario {
            agents: 12,
            ..shipped(&name)
        };
        for controller in ["ratio:2", "adapt-tapered"] {
            let report = run(scenario.clone(), 0.2, controller.parse().unwrap());
            assert!(report.connected > 0, "{name}, {controller}: {report}");
        }
    }
}

#[test]
fn knowing_when_talks_end_is_worth_something_and_stays_legal() {
    let scenario = Scenario {
        agents: 25,
        answer_rate: sim::scenario::Profile::Always(0.3),
        ..Scenario::default()
    };
    let [told, learns] = [Controller::Informed, Controller::Predictive]
        .map(|controller| run(scenario.clone(), 1.5, controller));
    assert!(
        told.utilisation_pct.unwrap() > learns.utilisation_pct.unwrap() + 0.3,
        "{told}\n{learns}"
    );
    assert!(told.abandonment_pct.unwrap() <= 3.0, "{told}");
}

#[test]
fn campaigns_that_share_agents_have_books_of_their_own() {
    let report = run(shipped("shared_campaigns"), 0.25, Controller::Predictive);
    let names: Vec<&str> = report
        .campaigns
        .iter()
        .map(|campaign| campaign.campaign.as_str())
        .collect();
    assert_eq!(names, ["appointments", "renewals", "winback"]);
    assert!(
        report
            .campaigns
            .iter()
            .all(|campaign| campaign.connected > 5)
    );
    let connected: u64 = report
        .campaigns
        .iter()
        .map(|campaign| campaign.connected)
        .sum();
    assert_eq!(connected, report.connected);
}

#[test]
fn an_answer_that_comes_later_than_the_call_is_given_up_is_none() {
    let later = |seconds: f64| {
        let scenario = Scenario {
            answer_delay_s: sim::scenario::Profile::Always(seconds),
            ..Scenario::default()
        };
        run(scenario, 0.5, Controller::Progressive).connected
    };
    let (at_once, never) = (later(0.0), later(26.0));
    assert!(at_once > 20 && never == 0, "{at_once}, {never}");
}

#[test]
fn an_answer_before_the_carrier_hears_that_the_call_is_given_up_is_one() {
    let answered = |cancel_delay_s| {
        let scenario = Scenario {
            ring: sim::scenario::Spread::fixed(26.5),
            cancel_delay_s,
            ..Scenario::default()
        };
        run(scenario, 0.2, Controller::Progressive).connected
    };
    assert_eq!(answered(0.4), 0);
    assert!(answered(0.6) > 0);
}

#[test]
fn agents_who_come_one_by_one_are_signed_in_for_less() {
    let spread = |start_spread_s: f64| {
        let scenario = Scenario {
            start_spread_s,
            agents: 40,
            hours: 0.5,
            shifts: 1,
            ..Scenario::default()
        };
        judge_with(&scenario, Controller::Progressive, Options::default())
            .unwrap()
            .first
            .signed_in_us as f64
    };
    let share = spread(1_800.0) / spread(0.0);
    assert!((0.4..0.6).contains(&share), "{share}");
}

#[test]
fn a_day_begins_with_the_book_of_the_days_before() {
    let scenario = Scenario {
        agents: 10,
        hours: 0.5,
        ..Scenario::default()
    };
    let shift = |history: Vec<PastAnswers>| {
        let mut setting = scenario.setting(Mode::Predictive, 1.5);
        setting.history = history;
        let mut world = sim::World::new(setting, 3).unwrap();
        world.run();
        world.tally().clone()
    };
    let yesterday = |abandons| {
        vec![PastAnswers {
            campaign: "judge".parse().unwrap(),
            at: Utc::from_micros(sim::scenario::START_US - 20 * 3_600_000_000),
            answers: 2_000,
            abandons,
            messaged: 0,
        }]
    };
    // Who has nothing left dials no faster than agents are free; who has plenty does.
    let (spent, plenty) = (shift(yesterday(200)), shift(yesterday(0)));
    assert_eq!(spent.abandoned, 0);
    assert!(
        plenty.dials > spent.dials * 11 / 10,
        "{} {}",
        plenty.dials,
        spent.dials
    );
    // What a shift leaves for the next is what it counted.
    let (answers, abandons) = plenty.answers().fold((0, 0), |sum, hour| {
        (sum.0 + hour.answers, sum.1 + hour.abandons)
    });
    assert_eq!(
        (answers, abandons),
        (plenty.connected + plenty.abandoned, plenty.abandoned)
    );
}

#[test]
fn a_day_begins_with_what_the_day_before_has_learned() {
    let scenario = Scenario {
        agents: 20,
        answer_rate: sim::scenario::Profile::Always(0.1),
        ..Scenario::default()
    };
    let mut yesterday = scenario.setting(Mode::Predictive, 1.5);
    yesterday.shift = std::time::Duration::from_secs(900);
    let mut yesterday = sim::World::new(yesterday, 3).unwrap();
    yesterday.run();
    let learned = yesterday.learned();
    assert_eq!(learned.len(), 1);
    let [knows, cold] = [learned, Vec::new()].map(|learned| {
        let mut setting = scenario.setting(Mode::Predictive, 1.5);
        setting.shift = std::time::Duration::from_secs(20);
        setting.learned = learned;
        let mut world = sim::World::new(setting, 4).unwrap();
        world.run();
        world.tally().dials
    });
    // Who knows nothing takes it that half of the dials are answered.
    assert!(knows > 2 * cold, "{knows} {cold}");
}

#[test]
fn the_days_a_run_learns_in_are_left_out_of_the_means() {
    let report = |days, settle_days| {
        let scenario = Scenario {
            agents: 3,
            hours: 0.2,
            days,
            settle_days,
            shifts: 1,
            ..Scenario::default()
        };
        judge(&scenario, Controller::Predictive, false).unwrap()
    };
    let (two, three, last) = (report(2, 0), report(3, 0), report(3, 2));
    assert_eq!(last.dials, three.dials - two.dials);
    assert_eq!(last.connected, three.connected - two.connected);
    assert_eq!(last.period, three.period, "the law counts every day");
}

#[test]
fn days_in_a_row_are_reported_as_one_period() {
    let scenario = Scenario {
        agents: 3,
        hours: 0.2,
        days: 3,
        shifts: 2,
        ..Scenario::default()
    };
    let report = judge(&scenario, Controller::Predictive, false).unwrap();
    let period = report.period.unwrap();
    assert_eq!(period.days, 3);
    assert!(period.abandonment_pct_max >= period.abandonment_pct_mean);
    let one = Scenario {
        days: 1,
        ..scenario
    };
    let one = judge(&one, Controller::Predictive, false).unwrap();
    assert!(one.period.is_none() && one.dials < report.dials / 2);
}

#[test]
fn any_number_of_threads_reports_the_same_bytes() {
    let scenario = Scenario {
        agents: 5,
        hours: 0.25,
        shifts: 5,
        ..Scenario::default()
    };
    let report = |threads| {
        let options = Options {
            threads,
            ..Options::default()
        };
        let judged = judge_with(&scenario, Controller::Predictive, options).unwrap();
        (serde_json::to_string(&judged.report).unwrap(), judged.curve)
    };
    assert_eq!(report(1), report(3));
}

#[test]
fn the_report_has_the_agreed_keys_at_its_top() {
    let report = run(Scenario::default(), 0.2, Controller::Progressive);
    let json = serde_json::to_value(&report).unwrap();
    for key in [
        "utilisation_pct",
        "abandonment_pct",
        "shifts_over_limit_pct",
        "idle_seconds_mean",
    ] {
        assert!(json[key].is_number(), "{key}: {json}");
        assert!(json["ci95"].as_object().unwrap().contains_key(key), "{key}");
    }
}
