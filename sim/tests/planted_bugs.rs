//! Bugs planted between engine and world, each of which the checker must find and name. A checker
//! that finds nothing here would find nothing anywhere.

use call::Command;
use model::event::Fact;
use model::screen_pop::PopPhase;
use model::{Cause, LegId, Mono, Utc};
use sim::{Invariant, Saboteur, Setting, World};
use std::time::Duration;

/// A calm shift with everything in it, so that only the planted bug breaks something.
fn calm() -> Setting {
    let mut setting = (1..).map(sim::chaos::setting).find(|setting| {
        let campaigns = &setting.config.dialer.campaigns;
        setting.callers.is_some()
            && campaigns.values().any(|c| {
                c.mode == model::event::Mode::Predictive && !c.detect_machines && c.agents.len() > 2
            })
            && setting.start == Utc::from_micros(sim::scenario::START_US + 6 * 3_600_000_000)
    });
    let setting = setting.as_mut().expect("some seed is of that kind");
    setting.network = sim::setting::NetworkSetting::perfect();
    setting.people.whim_s = Some(60.0);
    setting.people.clock_steps = 0.0;
    setting.store.claim_fails = 0.0;
    setting.store.delay = Duration::ZERO;
    setting.crash_at = Vec::new();
    setting.leave = Vec::new();
    setting.config.live_calls_max = 500;
    setting.shift = Duration::from_secs(600);
    setting.carrier.answer_rate = sim::scenario::Profile::Always(0.6);
    for queue in setting.config.acd.queues.values_mut() {
        queue.strategy = acd::config::Strategy::LongestIdle;
        queue.wrap_up_ms = 20_000;
    }
    setting.clone()
}

/// The first thing the checker says about a world with this saboteur.
fn found(setting: Setting, saboteur: Saboteur) -> Option<Invariant> {
    let mut world = World::new(setting, 11)
        .unwrap()
        .with_checker()
        .with_saboteur(saboteur);
    world.run();
    world
        .violations()
        .first()
        .map(|violation| violation.invariant)
}

/// Tampers with the first command that fits: `tamper` gives what stands in its place.
fn in_place_of(
    fits: impl Fn(&Command) -> bool + 'static,
    tamper: impl Fn(Command) -> Vec<Command> + 'static,
) -> Saboteur {
    let mut done = false;
    let commands = move |_: model::Now, commands: &mut std::collections::VecDeque<Command>| {
        if done {
            return;
        }
        if let Some(at) = commands.iter().position(&fits) {
            let command = commands.remove(at).unwrap();
            for (n, command) in tamper(command).into_iter().enumerate() {
                commands.insert(at + n, command);
            }
            done = true;
        }
    };
    Saboteur {
        commands: Some(Box::new(commands)),
        ..Saboteur::default()
    }
}

/// Tampers with the events of every step.
fn in_events(mut tamper: impl FnMut(&mut Vec<model::Event>) + 'static) -> Saboteur {
    Saboteur {
        events: Some(Box::new(move |_, events| tamper(events))),
        ..Saboteur::default()
    }
}

fn twice(command: Command) -> Vec<Command> {
    vec![command.clone(), command]
}

fn never(_: Command) -> Vec<Command> {
    Vec::new()
}

#[test]
fn without_a_saboteur_the_calm_shift_breaks_nothing() {
    let mut world = World::new(calm(), 11).unwrap().with_checker();
    world.run();
    assert_eq!(world.violations(), []);
    let tally = world.tally();
    assert!(
        tally.connected > 10 && tally.abandoned > 0 && tally.inbound_answered > 10,
        "{tally:?}"
    );
}

#[test]
fn a_doubled_offer_is_found() {
    let other_leg = |command: Command| match command {
        Command::DialAgent {
            leg,
            call,
            agent,
            caller,
            caller_name,
            ring_timeout,
            auto_answer,
        } => {
            let again = |leg| Command::DialAgent {
                leg,
                call,
                agent,
                caller: caller.clone(),
                caller_name: caller_name.clone(),
                ring_timeout,
                auto_answer,
            };
            vec![again(leg), again(LegId(leg.0 + 1_000_000))]
        }
        other => vec![other],
    };
    let saboteur = in_place_of(|c| matches!(c, Command::DialAgent { .. }), other_leg);
    assert_eq!(found(calm(), saboteur), Some(Invariant::OneCallPerAgent));
}

#[test]
fn a_lost_call_is_found() {
    let mut lost = false;
    let inputs = move |now: model::Now, input: call::Input| {
        if !lost
            && now.mono > Mono::from_micros(60_000_000)
            && matches!(input, call::Input::LegEnded { .. })
        {
            lost = true;
            return Vec::new();
        }
        vec![input]
    };
    let saboteur = Saboteur {
        inputs: Some(Box::new(inputs)),
        ..Saboteur::default()
    };
    assert_eq!(found(calm(), saboteur), Some(Invariant::FarEndHeard));
}

#[test]
fn an_arriving_call_that_nobody_takes_is_found() {
    let inputs = |_: model::Now, input: call::Input| {
        if matches!(input, call::Input::LegArrived { .. }) {
            Vec::new()
        } else {
            vec![input]
        }
    };
    let saboteur = Saboteur {
        inputs: Some(Box::new(inputs)),
        ..Saboteur::default()
    };
    assert_eq!(found(calm(), saboteur), Some(Invariant::OneOutcome));
}

#[test]
fn a_dial_outside_the_window_is_found() {
    // 18:00 UTC and eight hours is the middle of the night where the forged dial goes.
    let mut setting = calm();
    setting.start = setting.start + Duration::from_secs(8 * 3_600);
    let mut forged = false;
    let saboteur = Saboteur {
        commands: Some(Box::new(move |now, commands| {
            if now.mono > Mono::from_micros(10_000_000) && !std::mem::replace(&mut forged, true) {
                commands.push_back(forged_dial());
            }
        })),
        ..Saboteur::default()
    };
    assert_eq!(found(setting, saboteur), Some(Invariant::CallingWindow));
}

fn forged_dial() -> Command {
    Command::DialCustomer {
        leg: LegId(77_777),
        call: model::CallId(77_777),
        trunk: "carrier".parse().unwrap(),
        number: "+17872000001".parse().unwrap(),
        caller_id: "+17875550100".into(),
        attempt: model::AttemptId(77_777),
        ring_timeout: Duration::from_secs(26),
        classify: false,
    }
}

#[test]
fn a_dial_without_a_claim_is_found() {
    let saboteur = in_place_of(
        |c| matches!(c, Command::DialCustomer { .. }),
        |c| vec![c, forged_dial()],
    );
    assert_eq!(found(calm(), saboteur), Some(Invariant::ClaimFirst));
}

#[test]
fn a_claim_that_is_answered_and_not_stored_is_found() {
    // The claim never reaches the store, and the engine hears that it did.
    use std::cell::RefCell;
    use std::rc::Rc;
    let swallowed = Rc::new(RefCell::new(Vec::new()));
    let told = swallowed.clone();
    let saboteur = Saboteur {
        commands: Some(Box::new(move |_, commands| {
            commands.retain(|command| match command {
                Command::Claim { attempt, .. } => {
                    swallowed.borrow_mut().push(*attempt);
                    false
                }
                _ => true,
            });
        })),
        inputs: Some(Box::new(move |_, input| {
            let mut inputs = vec![input];
            inputs.extend(
                told.borrow_mut()
                    .drain(..)
                    .map(|attempt| call::Input::ClaimStored { attempt }),
            );
            inputs
        })),
        events: None,
    };
    assert_eq!(found(calm(), saboteur), Some(Invariant::ClaimFirst));
}

#[test]
fn a_number_on_the_list_that_is_dialled_is_found() {
    // The number is put on the list while its dial is on the way.
    let mut stored = false;
    let saboteur = Saboteur {
        commands: Some(Box::new(move |_, commands| {
            if let Some(Command::DialCustomer { number, .. }) = commands
                .iter()
                .find(|c| matches!(c, Command::DialCustomer { .. }))
                && !stored
            {
                stored = true;
                let number = *number;
                commands.push_front(Command::StoreDoNotCall { number });
            }
        })),
        ..Saboteur::default()
    };
    assert_eq!(found(calm(), saboteur), Some(Invariant::DoNotCall));
}

#[test]
fn a_bridge_that_nobody_builds_is_found() {
    let saboteur = in_place_of(|c| matches!(c, Command::Bridge { .. }), never);
    assert_eq!(found(calm(), saboteur), Some(Invariant::MediaOrder));
}

#[test]
fn a_command_for_a_leg_that_is_gone_is_found() {
    let saboteur = in_place_of(|c| matches!(c, Command::HangUpLeg { .. }), twice);
    assert_eq!(found(calm(), saboteur), Some(Invariant::MediaOrder));
}

#[test]
fn a_gap_in_the_stream_is_found() {
    let saboteur = in_events(|events| {
        if events.len() > 1 && events[0].seq > 50 {
            events.remove(0);
        }
    });
    assert_eq!(found(calm(), saboteur), Some(Invariant::SeqGapless));
}

#[test]
fn a_leg_that_ends_twice_is_found() {
    let saboteur = in_events(|events| {
        if let Some(at) = events
            .iter()
            .position(|event| matches!(event.fact, Fact::LegEnded { .. }))
        {
            let last = events.len() - 1;
            if at < last {
                events[last].fact = events[at].fact.clone();
            }
        }
    });
    assert_eq!(found(calm(), saboteur), Some(Invariant::OneOutcome));
}

#[test]
fn a_phone_that_rings_before_the_screen_is_told_is_found() {
    let no_pop = |commands: &mut std::collections::VecDeque<Command>| {
        commands.retain(|c| !matches!(c, Command::PopScreen(pop) if pop.phase == PopPhase::Offer));
    };
    let saboteur = Saboteur {
        commands: Some(Box::new(move |_, commands| no_pop(commands))),
        ..Saboteur::default()
    };
    assert_eq!(found(calm(), saboteur), Some(Invariant::PopBeforePhone));
}

#[test]
fn an_abandoned_person_who_hears_nothing_in_time_is_found() {
    let mut setting = calm();
    setting.carrier.patience_s = sim::scenario::Spread::fixed(30.0);
    let mute = |commands: &mut std::collections::VecDeque<Command>| {
        commands.retain(|c| !matches!(c, Command::Play { repeat: false, pieces, .. } if format!("{pieces:?}").contains("abandon")));
    };
    let saboteur = Saboteur {
        commands: Some(Box::new(move |_, commands| mute(commands))),
        ..Saboteur::default()
    };
    assert_eq!(found(setting, saboteur), Some(Invariant::ConnectedInTime));
}

/// The calm shift with campaigns that listen, and persons who say who they are.
fn greeting() -> Setting {
    let mut setting = calm();
    for campaign in setting.config.dialer.campaigns.values_mut() {
        campaign.detect_machines = true;
    }
    setting.carrier.machine_share = 0.2;
    setting.carrier.greeting = Some(sim::scenario::Spread::fixed(1.2));
    setting.carrier.verdict = sim::scenario::Spread::fixed(2.2);
    setting.carrier.patience_s = sim::scenario::Spread::fixed(30.0);
    setting
}

#[test]
fn the_two_seconds_count_from_the_end_of_a_greeting_and_nothing_is_broken() {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;
    let waits = Rc::new(RefCell::new(Vec::new()));
    let seen = waits.clone();
    let mut answered = BTreeMap::new();
    let watch = in_events(move |events| {
        for event in events {
            if let Fact::CallDialled { leg, .. } = event.fact {
                answered.insert(leg, Mono::MAX);
            }
            if let Fact::LegAnswered { leg, .. } = event.fact {
                answered.entry(leg).and_modify(|at| *at = event.at.mono);
            }
            if let Fact::CallBridged { customer_leg, .. } = event.fact
                && let Some(at) = answered.get(&customer_leg)
            {
                seen.borrow_mut().push(event.at.mono.since(*at));
            }
        }
    });
    assert_eq!(found(greeting(), watch), None);
    let (waits, limit) = (waits.borrow(), Duration::from_secs(2));
    let late = waits.iter().filter(|wait| **wait > limit).count();
    assert!(late > 0, "of {} none came after two seconds", waits.len());
    let most = waits.iter().max().unwrap();
    // 0.4 s until the first word, 1.2 s of greeting, two seconds.
    assert!(*most <= Duration::from_millis(3_600), "{most:?}");
}

#[test]
fn a_person_who_has_greeted_and_hears_nobody_is_found() {
    let mute = |commands: &mut std::collections::VecDeque<Command>| {
        commands.retain(|c| !matches!(c, Command::Play { repeat: false, pieces, .. } if format!("{pieces:?}").contains("abandon")));
    };
    let saboteur = Saboteur {
        commands: Some(Box::new(move |_, commands| mute(commands))),
        ..Saboteur::default()
    };
    assert_eq!(
        found(greeting(), saboteur),
        Some(Invariant::ConnectedInTime)
    );
}

#[test]
fn a_greeting_that_is_told_to_end_later_than_it_did_is_found() {
    let in_event = in_events(|events| {
        for event in events {
            if let Fact::CallClassified {
                greeting_ended_ms: Some(ended_ms),
                ..
            } = &mut event.fact
            {
                *ended_ms += 1;
            }
        }
    });
    assert_eq!(
        found(greeting(), in_event),
        Some(Invariant::ConnectedInTime)
    );
    // The engine itself is deceived, and gives away 100 ms of the law's time.
    let in_input = Saboteur {
        inputs: Some(Box::new(|_, mut input| {
            if let call::Input::GreetingHeard {
                ended_ms: Some(ended_ms),
                ..
            } = &mut input
            {
                *ended_ms += 100;
            }
            vec![input]
        })),
        ..Saboteur::default()
    };
    assert_eq!(
        found(greeting(), in_input),
        Some(Invariant::ConnectedInTime)
    );
}

#[test]
fn an_abandoned_person_who_is_missing_in_the_budget_is_found() {
    // By the events somebody was abandoned more than the budget knows.
    let saboteur = in_events(|events| {
        for event in events {
            if let Fact::AttemptEnded { outcome, .. } = &mut event.fact
                && *outcome == model::AttemptOutcome::AnsweredAgent
            {
                *outcome = model::AttemptOutcome::Abandoned;
            }
        }
    });
    assert_eq!(found(greeting(), saboteur), Some(Invariant::Books));
}

#[test]
fn an_attempt_that_is_resolved_twice_is_found() {
    let saboteur = in_place_of(|c| matches!(c, Command::Resolve { .. }), twice);
    assert_eq!(found(calm(), saboteur), Some(Invariant::ResolvedOnce));
}

#[test]
fn an_attempt_that_ends_twice_is_found() {
    let mut ended: Option<Fact> = None;
    let saboteur = in_events(move |events| {
        for event in events {
            match (&ended, &event.fact) {
                (None, Fact::AttemptEnded { .. }) => ended = Some(event.fact.clone()),
                (Some(fact), Fact::AttemptEnded { .. }) => event.fact = fact.clone(),
                _ => {}
            }
        }
    });
    assert_eq!(found(calm(), saboteur), Some(Invariant::ResolvedOnce));
}

#[test]
fn a_recording_that_never_stops_is_found() {
    let saboteur = in_place_of(|c| matches!(c, Command::StopRecording { .. }), never);
    assert_eq!(found(calm(), saboteur), Some(Invariant::RecordingStopped));
}

#[test]
fn an_agent_left_on_a_call_that_is_over_is_found() {
    // The release is never told: by the events the agent talks on.
    let saboteur = in_events(|events| {
        for event in events {
            if let Fact::AgentStateChanged {
                agent,
                was: was @ model::AgentState::OnCall(_),
                ..
            } = event.fact
            {
                event.fact = Fact::AgentStateChanged {
                    agent,
                    was,
                    is: was,
                    was_for_us: 0,
                };
            }
        }
    });
    assert_eq!(found(calm(), saboteur).map(named), Some("books or agent"));
}

/// Two names for one finding: the books see the torn time first, the picture the dead call.
fn named(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::AgentFollowsCall | Invariant::Books => "books or agent",
        _ => "something else",
    }
}

#[test]
fn a_leg_left_behind_is_found() {
    let saboteur = in_place_of(
        |c| {
            matches!(
                c,
                Command::HangUpLeg {
                    cause: Cause::Normal,
                    ..
                }
            )
        },
        never,
    );
    assert_eq!(found(calm(), saboteur), Some(Invariant::NoLegLeftBehind));
}

#[test]
fn a_waiting_call_beside_an_idle_agent_is_found() {
    // The engine never hears that the agent is ready; the events say so.
    let mut forged = false;
    let saboteur = in_events(move |events| {
        let waits = events
            .iter()
            .any(|event| matches!(event.fact, Fact::QueueEntered { .. }));
        let offered = events
            .iter()
            .any(|event| matches!(event.fact, Fact::OfferMade { .. }));
        if waits && offered && !forged {
            forged = true;
            for event in events.iter_mut() {
                if let Fact::OfferMade { call, .. }
                | Fact::AgentStateChanged {
                    is: model::AgentState::Offered(call),
                    ..
                } = event.fact
                {
                    event.fact = Fact::EngineFaulted {
                        call: Some(call),
                        what: "forgotten".into(),
                    };
                }
            }
        }
    });
    assert_eq!(found(calm(), saboteur), Some(Invariant::WorkConservation));
}

#[test]
fn a_wait_that_is_told_wrong_is_found() {
    let saboteur = in_events(|events| {
        for event in events {
            if let Fact::QueueLeft { waited_us, .. } = &mut event.fact {
                *waited_us += 1;
            }
        }
    });
    assert_eq!(found(calm(), saboteur), Some(Invariant::WaitKept));
}

/// The first thing the checker says about an engine that was set up otherwise than it should be.
fn found_by_setting(engine: Setting, should_be: &Setting) -> Option<Invariant> {
    let mut world = World::new(engine, 11).unwrap().with_checker_of(should_be);
    world.run();
    if let Some(violation) = world.violations().first() {
        eprintln!("{violation}");
    }
    world
        .violations()
        .first()
        .map(|violation| violation.invariant)
}

/// The calm shift with one queue for everybody who calls, and too many of them.
fn busy() -> Setting {
    let mut setting = calm();
    setting.callers.as_mut().unwrap().per_hour = 1_500.0;
    setting.people.whim_s = None;
    setting.people.reluctance = 0.0;
    let sales: model::QueueId = "sales".parse().unwrap();
    for agent in setting.config.acd.agents.values_mut() {
        agent.queues = vec![sales.into()];
    }
    setting
}

#[test]
fn a_call_that_overtakes_one_that_has_aged_is_found() {
    // Who types a number at the menu goes first, by ten points: with half a point a second, before
    // nobody who came more than twenty seconds earlier.
    let sales: model::QueueId = "sales".parse().unwrap();
    let ageing = |per_s: f64| {
        let mut setting = busy();
        let queue = setting.config.acd.queues.get_mut(&sales).unwrap();
        queue.priority_ageing_per_s = per_s;
        queue.max_waiting = None;
        queue.max_wait_ms = None;
        let callers = setting.callers.as_mut().unwrap();
        callers.patience_s = sim::scenario::Spread::fixed(300.0);
        callers.called = "100".into();
        callers.digit_chance = 1.0;
        setting.people.talk = sim::scenario::Spread::fixed(60.0);
        setting
    };
    assert_eq!(found_by_setting(ageing(0.5), &ageing(0.5)), None);
    assert_eq!(
        found_by_setting(ageing(0.0), &ageing(0.5)),
        Some(Invariant::Ageing)
    );
}

#[test]
fn an_offer_to_an_agent_who_lacks_the_skill_is_found() {
    let sales: model::QueueId = "sales".parse().unwrap();
    let spanish: model::SkillId = "spanish".parse().unwrap();
    let demanding = |demands: bool| {
        let mut setting = busy();
        for (n, agent) in setting.config.acd.agents.values_mut().enumerate() {
            agent.skills.clear();
            if n % 2 == 0 {
                agent.skills.insert(spanish, 5);
            }
        }
        let queue = setting.config.acd.queues.get_mut(&sales).unwrap();
        if demands {
            queue.skills = vec![acd::input::SkillNeed {
                skill: spanish,
                level: 5,
            }];
            queue.rings = vec![acd::config::Ring {
                after_ms: 30_000,
                skills: Vec::new(),
            }];
        }
        setting
    };
    assert_eq!(found_by_setting(demanding(true), &demanding(true)), None);
    assert_eq!(
        found_by_setting(demanding(false), &demanding(true)),
        Some(Invariant::DemandKept)
    );
}

#[test]
fn a_demand_that_never_relaxes_leaves_calls_beside_idle_agents_and_is_found() {
    let sales: model::QueueId = "sales".parse().unwrap();
    let spanish: model::SkillId = "spanish".parse().unwrap();
    let relaxing = |after_ms: u64| {
        let mut setting = busy();
        setting.callers.as_mut().unwrap().per_hour = 300.0;
        setting.callers.as_mut().unwrap().patience_s = sim::scenario::Spread::fixed(60.0);
        for (n, agent) in setting.config.acd.agents.values_mut().enumerate() {
            agent.skills.clear();
            if n == 0 {
                agent.skills.insert(spanish, 5);
            }
        }
        let queue = setting.config.acd.queues.get_mut(&sales).unwrap();
        queue.skills = vec![acd::input::SkillNeed {
            skill: spanish,
            level: 5,
        }];
        queue.rings = vec![acd::config::Ring {
            after_ms,
            skills: Vec::new(),
        }];
        setting
    };
    assert_eq!(found_by_setting(relaxing(5_000), &relaxing(5_000)), None);
    assert_eq!(
        found_by_setting(relaxing(40_000), &relaxing(5_000)),
        Some(Invariant::WorkConservation)
    );
}

#[test]
fn more_calls_than_the_carrier_takes_are_found() {
    let carrier = |concurrent_calls: u32, calls_per_second: f64| {
        let mut setting = calm();
        setting.carrier.answer_rate = sim::scenario::Profile::Always(0.2);
        for trunk in setting.config.dialer.trunks.values_mut() {
            trunk.concurrent_calls = concurrent_calls;
            trunk.calls_per_second = calls_per_second;
        }
        setting
    };
    assert_eq!(found_by_setting(carrier(3, 1.0), &carrier(3, 1.0)), None);
    assert_eq!(
        found_by_setting(carrier(40, 1.0), &carrier(3, 1.0)),
        Some(Invariant::CarrierLines)
    );
    assert_eq!(
        found_by_setting(carrier(40, 5.0), &carrier(40, 0.2)),
        Some(Invariant::CarrierRate)
    );
}
