//! What the engine answers when it is asked, and where it sends calls.

use call::config::Route;
use call::input::Origin;
use call::{Command, Config, Engine, EngineOutbox, Input};
use model::{LegId, Now};

fn engine(routes: Vec<Route>) -> Engine {
    let mut config = Config {
        routes,
        ..Config::default()
    };
    config
        .acd
        .queues
        .insert("sales".parse().unwrap(), acd::QueueConfig::default());
    config.flows.push((
        "card.toml".into(),
        include_str!("stories/flows/card.toml").into(),
    ));
    Engine::new(config, 0, 1).unwrap()
}

fn route(number: &str, flow: Option<&str>, queue: Option<&str>) -> Route {
    Route {
        number: number.into(),
        trunk: None,
        flow: flow.map(|flow| flow.parse().unwrap()),
        queue: queue.map(|queue| queue.parse().unwrap()),
    }
}

fn arrives(engine: &mut Engine, leg: u64, called: &str) -> EngineOutbox {
    let mut out = EngineOutbox::default();
    let from = Origin::Trunk("carrier".parse().unwrap());
    let (leg, caller, called) = (LegId(leg), "+4930123456".into(), called.into());
    engine.handle(
        Now::default(),
        Input::LegArrived {
            leg,
            from,
            caller,
            caller_name: None,
            called,
        },
        &mut out,
    );
    out
}

#[test]
fn keys_are_sensitive_while_and_only_while_a_secret_is_asked_for() {
    let mut engine = engine(vec![route("*", Some("card"), None)]);
    let leg = LegId(900);
    assert!(!engine.is_sensitive(leg), "nobody is there");
    let mut out = arrives(&mut engine, 900, "+49401");
    for digit in ['4', '7', '1'] {
        assert!(engine.is_sensitive(leg));
        engine.handle(Now::default(), Input::DigitPressed { leg, digit }, &mut out);
    }
    assert!(
        engine.is_sensitive(leg),
        "the last digit is a digit of the secret"
    );
    engine.handle(
        Now::default(),
        Input::DigitPressed { leg, digit: '1' },
        &mut out,
    );
    let lookup = out.commands.iter().find_map(|command| match command {
        Command::Lookup { lookup, .. } => Some(*lookup),
        _ => None,
    });
    let (lookup, result) = (
        lookup.expect("the secret is looked up"),
        Ok(Default::default()),
    );
    engine.handle(
        Now::default(),
        Input::LookupAnswered { lookup, result },
        &mut out,
    );
    assert!(!engine.is_sensitive(leg), "a menu asks");
    engine.handle(
        Now::default(),
        Input::LegEnded {
            leg,
            cause: model::Cause::Normal,
        },
        &mut out,
    );
    assert!(!engine.is_sensitive(leg));
}

#[test]
fn the_first_route_that_fits_wins_and_a_number_without_one_is_refused() {
    let mut engine = engine(vec![
        route("+49401", None, Some("sales")),
        route("+4940*", Some("card"), None),
    ]);
    let stage = |engine: &mut Engine, leg, called: &str| {
        let out = arrives(engine, leg, called);
        let call = out
            .events
            .first()
            .and_then(|event| event.fact.call())
            .unwrap();
        engine.stage_of(call)
    };
    assert_eq!(stage(&mut engine, 900, "+49401"), Some("waiting"));
    assert_eq!(stage(&mut engine, 901, "+494012"), Some("in_flow"));
    assert_eq!(stage(&mut engine, 902, "+4930"), None);
}

#[test]
fn flows_that_do_not_check_make_no_engine_and_say_where() {
    let config = Config {
        flows: vec![("bad.toml".into(), "id = \"bad\"".into())],
        ..Config::default()
    };
    let error = Engine::new(config, 0, 1)
        .err()
        .expect("a flow without a start is refused");
    assert!(error.to_string().contains("bad.toml"), "{error}");
}

/// A campaign `spring` that speaks, with these flows beside it.
fn speaking(flow: &str, abandon_flow: Option<&str>, abandon_prompt: Option<&str>) -> Config {
    let mut spring = dialer::CampaignConfig::new(model::event::Mode::Agentless, "+12125550000");
    spring.flow = Some(flow.parse().unwrap());
    spring.abandon_flow = abandon_flow.map(|flow| flow.parse().unwrap());
    spring.abandon_prompt = abandon_prompt.map(str::to_string);
    let mut config = Config::default();
    let sales = "sales".parse().unwrap();
    config.acd.queues.insert(sales, acd::QueueConfig::default());
    let spring_id = "spring".parse().unwrap();
    config.dialer.campaigns.insert(spring_id, spring);
    for (file, text) in [
        ("notice.toml", include_str!("stories/flows/notice.toml")),
        ("reminder.toml", include_str!("stories/flows/reminder.toml")),
        ("sorry.toml", include_str!("stories/flows/sorry.toml")),
        ("welcome.toml", include_str!("stories/flows/welcome.toml")),
    ] {
        config.flows.push((file.into(), text.into()));
    }
    config
}

#[test]
fn a_campaign_that_speaks_names_flows_that_fit_it() {
    let refused = |config: Config| {
        let engine = Engine::new(config, 0, 1);
        engine
            .err()
            .map_or_else(String::new, |error| error.to_string())
    };
    assert_eq!(refused(speaking("notice", None, None)), "");
    assert_eq!(refused(speaking("reminder", Some("sorry"), None)), "");
    assert_eq!(refused(speaking("reminder", None, Some("abandon"))), "");
    for (config, says) in [
        (
            speaking("notise", None, None),
            "campaigns.spring.flow: there is no flow \"notise\"",
        ),
        (
            speaking("welcome", Some("sorry"), None),
            "campaigns.spring.flow: the flow sends people to the queue \"sales\"",
        ),
        (
            speaking("reminder", None, None),
            "campaigns.spring.abandon_prompt: who asks and gets no agent",
        ),
        (
            speaking("notice", Some("welcome"), None),
            "campaigns.spring.abandon_flow: the flow sends people to the queue",
        ),
    ] {
        let said = refused(config);
        assert!(said.starts_with(says), "{said}");
    }
}
