//! Pacing by each lead's own chance, in short worlds: what is known helps, what is wrong does no harm,
//! and where it is off nothing is different. The long ones are in docs/pacing.md.

use model::event::Mode;
use sim::scenario::{LeadChance, Profile, Told};
use sim::{Controller, Report, Scenario, World, judge};

fn scenario(told: Told, per_lead: bool) -> Scenario {
    Scenario {
        answer_rate: Profile::Always(0.2),
        lead_chance: Some(LeadChance {
            concentration: 1.25,
            told,
            known_within: 2.0,
        }),
        per_lead,
        hours: 1.5,
        shifts: 2,
        seed: 5,
        ..Scenario::default()
    }
}

fn run(told: Told, per_lead: bool) -> Report {
    judge(&scenario(told, per_lead), Controller::Predictive, false).unwrap()
}

fn utilisation(report: &Report) -> f64 {
    report.utilisation_pct.unwrap()
}

#[test]
fn leads_known_to_a_factor_of_two_are_worth_points_legally_and_all_are_dialled() {
    let (with, without) = (run(Told::Chance, true), run(Told::Chance, false));
    assert!(
        utilisation(&with) > utilisation(&without) + 1.5,
        "{with}\n{without}"
    );
    assert!(with.abandonment_pct.unwrap() <= 3.0, "{with}");
    // The list is not skimmed: those dialled are on average what the list is on average.
    let mean = with.dialled_chance_mean.unwrap();
    assert!((0.18..0.22).contains(&mean), "{mean}");
}

#[test]
fn a_column_that_is_wrong_or_says_nothing_stays_legal_and_costs_little() {
    let without = utilisation(&run(Told::Nothing, false));
    for told in [Told::Constant, Told::Inverted, Told::Noise, Told::Nothing] {
        let report = run(told, true);
        assert!(report.abandonment_pct.unwrap() <= 3.0, "{told:?}: {report}");
        assert!(
            utilisation(&report) > without - 3.0,
            "{told:?}: {report}, {without}"
        );
    }
}

#[test]
fn leads_that_come_again_are_told_apart_by_what_became_of_them_and_nobody_is_forgotten() {
    let scenario = Scenario {
        leads: Some(120),
        hours: 0.5,
        shifts: 1,
        agents: 4,
        ..scenario(Told::Nothing, true)
    };
    let report = judge(&scenario, Controller::Predictive, true).unwrap();
    // Calls again only after three hours, and callbacks to nobody: each lead once.
    assert_eq!(report.dials, 120, "{report}");
    let mean = report.dialled_chance_mean.unwrap();
    assert!((0.1..0.3).contains(&mean), "{mean}");
}

#[test]
fn where_it_is_off_a_column_changes_not_one_event() {
    let shift = |told: Told, per_lead: bool| {
        let short = Scenario {
            hours: 0.3,
            ..scenario(told, per_lead)
        };
        let setting = short.setting(Mode::Predictive, 1.5);
        let mut world = World::new(setting, 3).unwrap().with_trace();
        world.run();
        format!("{:?} {:?}", world.trace(), world.tally().dials)
    };
    assert_eq!(shift(Told::Nothing, false), shift(Told::Inverted, false));
    assert_ne!(shift(Told::Nothing, false), shift(Told::Inverted, true));
}
