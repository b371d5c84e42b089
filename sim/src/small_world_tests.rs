//! Its people do what a scenario says: customers come first, campaigns share agents, detectors err.

use super::*;
use crate::scenario::{LeaveRule, Profile, Spread};

fn run(scenario: &Scenario) -> Tally {
    shift(scenario, Controller::Ratio(3.0), 1).unwrap()
}

#[test]
fn customers_who_call_are_served_first_and_take_agents_away() {
    let plain = Scenario {
        hours: 2.0,
        ..Scenario::default()
    };
    let base = run(&plain);
    let blended = run(&Scenario {
        inbound_per_hour: 60.0,
        inbound_talk: Some(Spread::fixed(180.0)),
        ..plain
    });
    assert_eq!(base.inbound, 0);
    assert!((80..=160).contains(&blended.inbound), "{blended:?}");
    let over = blended.inbound_answered + blended.inbound_abandoned;
    assert!(over <= blended.inbound && over + 10 > blended.inbound);
    assert!(blended.inbound_in_time * 10 > blended.inbound_answered * 7);
    assert!(blended.connected + 50 < base.connected, "{blended:?}");
}

/// Everybody is ready, and nothing was dialled.
fn ready(scenario: &Scenario) -> SmallWorld<'_> {
    let mut world = SmallWorld::new(scenario, 1);
    (0..scenario.agents).for_each(|ix| world.is_ready(ix));
    world
}

#[test]
fn customers_who_call_count_in_the_goal_while_they_talk_and_against_it_while_they_wait() {
    let scenario = Scenario {
        agents: 4,
        ..Scenario::default()
    };
    let counts = |world: &SmallWorld<'_>| {
        let floor = world.floor(0);
        (floor.ready, floor.talking, floor.signed_in, floor.calls)
    };
    // A level of 2: of the goal that is missing after the customers' calls, how many are dialled.
    let dialled = |customers: u32| {
        let mut world = ready(&scenario);
        (0..customers).for_each(|_| world.customer_calls());
        let counts = counts(&world);
        OpenDialer::new(&scenario, Controller::Ratio(2.0)).timer(&mut world, 0, 0);
        (counts, world.counted(0).dials)
    };
    assert_eq!(dialled(0), ((4.0, 0.0, 4.0, 0.0), 8));
    assert_eq!(dialled(1), ((3.0, 1.0, 4.0, 1.0), 7));
    assert_eq!(dialled(4), ((0.0, 4.0, 4.0, 4.0), 4));
    assert_eq!(dialled(6), ((0.0, 4.0, 4.0, 6.0), 2), "two wait");
    // Of shared agents each campaign has its part of the customers too.
    let shared: Scenario = toml::from_str(
        "agents = 4\n[[campaign]]\nname = \"a\"\n[[campaign]]\nname = \"b\"\nagent_from = 0.5\nagent_share = 0.5\n",
    )
    .unwrap();
    let mut world = ready(&shared);
    (0..8).for_each(|_| world.customer_calls());
    let [a, b] = [world.floor(0), world.floor(1)].map(|floor| floor.calls);
    assert_eq!((a, b), (6.0, 2.0));
}

#[test]
fn a_campaign_that_comes_first_keeps_its_own_agents_from_others_and_no_more() {
    let scenario: Scenario = toml::from_str(
        "agents = 4\n\
         [[campaign]]\nname = \"gold\"\nagent_share = 0.5\npriority = 5\n\
         [[campaign]]\nname = \"plain\"\nagent_from = 0.25\nagent_share = 0.75\n",
    )
    .unwrap();
    let (gold, plain) = (0, 1);
    let agent =
        |world: &SmallWorld<'_>, campaign| world.agent_for(campaign).map(|at| world.ready[at]);
    let mut world = ready(&scenario);
    assert_eq!(agent(&world, gold), Some(0));
    assert_eq!(agent(&world, plain), Some(1), "of its own, the first");
    // A call of the campaign that comes first waits: agents 0 and 1 are for it.
    let answered = Mono::ZERO;
    let waits = |campaign| Call {
        campaign,
        answered,
        machine: false,
    };
    world.calls.insert(1, waits(gold));
    world.waiting.push_back(1);
    assert_eq!(agent(&world, gold), Some(0));
    assert_eq!(agent(&world, plain), Some(2), "agent 1 is wanted");
    world.ready.retain(|ix| *ix >= 2);
    assert_eq!(agent(&world, gold), None, "none of its own");
    assert_eq!(agent(&world, plain), Some(2), "whom the first cannot have");
    // One of the campaign that comes second holds nobody back.
    world.calls.insert(1, waits(plain));
    world.ready.push_front(1);
    assert_eq!(agent(&world, gold), Some(1));
}

#[test]
fn a_detector_hangs_up_on_machines_and_on_some_persons() {
    let machines = Scenario {
        hours: 2.0,
        machine_share: 0.4,
        machine_talk: Spread::fixed(8.0),
        ..Scenario::default()
    };
    let deaf = run(&machines);
    assert_eq!((deaf.machines, deaf.false_positives), (0, 0));
    assert!(deaf.machines_connected > 200, "{deaf:?}");
    let listening = run(&Scenario {
        detect_machines: true,
        false_positive_share: 0.1,
        false_negative_share: 0.02,
        ..machines
    });
    assert!(listening.machines > 200 && listening.machines_connected < 20);
    let live = listening.connected + listening.abandoned + listening.false_positives;
    let share = listening.false_positives as f64 / live as f64;
    assert!((0.06..0.14).contains(&share), "{listening:?}");
}

#[test]
fn campaigns_share_agents_and_have_books_rates_and_rules_of_their_own() {
    let mut scenario: Scenario = toml::from_str(
        "agents = 20\nhours = 2.0\n\
         [[campaign]]\nname = \"a\"\nagent_share = 0.6\nanswer_rate = 0.5\n\
         [[campaign]]\nname = \"b\"\nagent_from = 0.4\nagent_share = 0.6\ncontroller = \"progressive\"\n",
    )
    .unwrap();
    let tally = run(&scenario);
    let [a, b] = ["a", "b"].map(|id| tally.campaigns[&name::<CampaignId>(id)]);
    assert_eq!(tally.dials, a.dials + b.dials);
    assert!(a.abandoned > 10 * b.abandoned, "{a:?} {b:?}");
    let rate = |c: &CampaignTally| c.live() as f64 / c.dials as f64;
    assert!((rate(&a) - 0.5).abs() < 0.06 && (rate(&b) - 0.3).abs() < 0.06);
    scenario.campaign[1].controller = Some("agentless".into());
    let error = shift(&scenario, Controller::Ratio(2.0), 1).unwrap_err();
    assert!(
        error.to_string().starts_with("campaign.controller"),
        "{error}"
    );
    assert!(shift(&Scenario::default(), Controller::Predictive, 1).is_err());
}

#[test]
fn its_people_do_what_the_scenario_says() {
    let plain = Scenario {
        hours: 1.0,
        ..Scenario::default()
    };
    let base = run(&plain);
    let half = run(&Scenario {
        leave: vec![LeaveRule {
            at_h: 0.0,
            share: 0.5,
            for_h: 2.0,
        }],
        ..plain.clone()
    });
    let share = half.signed_in_us as f64 / base.signed_in_us as f64;
    assert!((share - 0.5).abs() < 0.01, "{share}");
    let ragged = run(&Scenario {
        start_spread_s: 600.0,
        ..plain.clone()
    });
    assert!(ragged.signed_in_us < base.signed_in_us);
    let late = run(&Scenario {
        answer_delay_s: Profile::Always(30.0),
        ..plain.clone()
    });
    assert_eq!(late.connected + late.abandoned, 0);
    let few = run(&Scenario {
        calls_per_second: 0.05,
        ..plain.clone()
    });
    assert!((170..=182).contains(&few.dials), "{}", few.dials);
    let lines = run(&Scenario {
        lines: 3,
        ..plain.clone()
    });
    assert!(
        lines
            .curve
            .bins()
            .iter()
            .all(|bin| bin.in_flight_us <= 30_000_000),
        "no more than three calls at once"
    );
    let failing = run(&Scenario {
        no_answer: Some(Spread::fixed(1.0)),
        ..plain
    });
    assert!(failing.dials > 2 * base.dials, "{}", failing.dials);
}
