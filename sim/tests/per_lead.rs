//! Pacing by each lead's own chance, in short worlds: what is known helps, what is wrong does no harm,
//! and where it is off nothing is different. The long ones are in docs/pacing.md.

use model::event::Mode;
use model::{Event, Fact, Now};
use sim::scenario::{LeadChance, Profile, Told};
use sim::{Controller, Report, Saboteur, Scenario, World, judge};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

fn scenario(told: Told, per_lead: bool) -> Scenario {
    Scenario {
        answer_rate: Profile::Always(0.2),
        lead_chance: Some(LeadChance {
            concentration: 1.25,
            told,
            known_within: 2.0,
        }),
        per_lead,
        hours: 1.0,
        shifts: 1,
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
    // Of the two hundred who answer in an hour, six abandoned are legal and seven are not.
    let run = |told, per_lead| {
        let longer = Scenario {
            hours: 3.0,
            ..scenario(told, per_lead)
        };
        judge(&longer, Controller::Predictive, false).unwrap()
    };
    let without = utilisation(&run(Told::Nothing, false));
    for told in [Told::Constant, Told::Inverted, Told::Noise, Told::Nothing] {
        let report = run(told, true);
        assert!(report.abandonment_pct.unwrap() <= 3.0, "{told:?}: {report}");
        assert!(
            utilisation(&report) > without - 5.0,
            "{told:?}: {report}, {without}"
        );
    }
}

#[test]
fn over_a_list_every_lead_is_dialled_however_unlikely() {
    let scenario = Scenario {
        leads: Some(120),
        hours: 0.5,
        agents: 4,
        ..scenario(Told::Chance, true)
    };
    let dialled = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&dialled);
    let look = move |_: Now, events: &mut Vec<Event>| {
        for event in events.iter() {
            if let Fact::AttemptClaimed { lead, .. } = &event.fact {
                seen.lock().unwrap().insert(*lead);
            }
        }
    };
    let saboteur = Saboteur {
        events: Some(Box::new(look)),
        ..Saboteur::default()
    };
    let mut world = World::new(scenario.setting(Mode::Predictive, 1.5), 3)
        .unwrap()
        .with_checker()
        .with_saboteur(saboteur);
    world.run();
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(dialled.lock().unwrap().len(), 120);
}

#[test]
fn where_it_is_off_a_column_changes_nothing() {
    let shift = |told: Told, per_lead: bool| {
        let short = Scenario {
            hours: 0.3,
            ..scenario(told, per_lead)
        };
        let mut world = World::new(short.setting(Mode::Predictive, 1.5), 3).unwrap();
        world.run();
        world.tally().clone()
    };
    let without = shift(Told::Nothing, false);
    assert_eq!(without, shift(Told::Inverted, false));
    assert_ne!(without, shift(Told::Inverted, true));
}
