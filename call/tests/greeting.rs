//! The law's two seconds (47 CFR 64.1200(a)(7)) and the greeting, whatever somebody says and however
//! long: who gets no agent hears the message in time, counted from the events alone.

use call::{Command, Config, Engine, EngineOutbox, Input};
use model::event::Fact;
use model::{Lead, LeadId, LegId, Mono, Now, Utc};
use proptest::prelude::*;
use std::time::Duration;

/// Two in the afternoon in New York.
const BEGIN_UTC: Utc = Utc::from_micros(1_782_928_800_000_000);
const ANSWER_MS: u64 = 8_000;
/// The detector knows of a word so long after it began, and of its end so long after it.
const KNOWN_AFTER_MS: u64 = 100;

fn engine(classify_wait_ms: u32, connect_within_ms: u32) -> Engine {
    let mut value: toml::Value = toml::from_str(include_str!("stories/floor.toml")).unwrap();
    let table = value.as_table_mut().unwrap();
    table.insert("flows".into(), toml::Value::Array(Vec::new()));
    table.insert("routes".into(), toml::Value::Array(Vec::new()));
    let mut config: Config = value.try_into().unwrap();
    let campaign = config.dialer.campaigns.values_mut().next().unwrap();
    campaign.running = true;
    campaign.detect_machines = true;
    campaign.classify_wait_ms = classify_wait_ms;
    campaign.connect_within_ms = connect_within_ms;
    Engine::new(config, 0, 1).unwrap()
}

fn lead() -> Lead {
    Lead::new(
        LeadId(1),
        "spring".parse().unwrap(),
        vec!["+12125550101".parse().unwrap()],
    )
}

struct World {
    engine: Engine,
    out: EngineOutbox,
    ms: u64,
}

impl World {
    fn tell(&mut self, input: Input) {
        let now = Now {
            mono: Mono::ZERO,
            utc: BEGIN_UTC,
        };
        let now = now.plus(Duration::from_millis(self.ms));
        self.engine.handle(now, input, &mut self.out);
        self.engine.check();
    }

    /// Millisecond by millisecond is slow: from one deadline to the next.
    fn pass_until(&mut self, ms: u64) {
        while let Some((due, _)) = self.engine.next_deadline() {
            let due_ms = due.as_micros().div_ceil(1_000).max(self.ms);
            if due_ms > ms {
                break;
            }
            self.ms = due_ms;
            self.tell(Input::Tick);
        }
        self.ms = ms;
    }

    fn at(&self, is_it: impl Fn(&Fact) -> bool) -> Option<u64> {
        let event = self.out.events.iter().find(|event| is_it(&event.fact));
        event.map(|event| event.at.mono.as_micros() / 1_000)
    }
}

/// Calls one lead, lets it speak in `words` (pause and length in ms), and gives it no agent.
fn answered(words: &[(u64, u64)], classify_wait_ms: u32, connect_within_ms: u32) -> World {
    let mut world = World {
        engine: engine(classify_wait_ms, connect_within_ms),
        out: EngineOutbox::default(),
        ms: 0,
    };
    let agent = "cleo".parse().unwrap();
    world.tell(Input::PhoneReachable {
        agent,
        reachable: true,
    });
    for action in [
        call::input::AgentAction::SignIn,
        call::input::AgentAction::Ready,
    ] {
        world.tell(Input::Agent { agent, action });
    }
    world.tell(Input::LeadsSupplied {
        campaign: "spring".parse().unwrap(),
        leads: vec![lead()],
        exhausted: true,
    });
    let claimed = world.out.commands.iter().find_map(|command| match command {
        Command::Claim { attempt, .. } => Some(*attempt),
        _ => None,
    });
    let attempt = claimed.expect("there is an agent");
    world.tell(Input::ClaimStored { attempt });
    world.tell(Input::Agent {
        agent,
        action: call::input::AgentAction::NotReady {
            reason: "lunch".parse().unwrap(),
        },
    });
    let leg = LegId(1);
    world.pass_until(ANSWER_MS);
    world.tell(Input::LegAnswered { leg });
    let (mut at, mut began_ms) = (0, None);
    for (pause_ms, word_ms) in words {
        at += pause_ms;
        began_ms = began_ms.or(Some(at as u32));
        for (ms, ended_ms) in [(at, None), (at + word_ms, Some((at + word_ms) as u32))] {
            world.pass_until(ANSWER_MS + ms + KNOWN_AFTER_MS);
            world.tell(Input::GreetingHeard {
                leg,
                began_ms,
                ended_ms,
            });
        }
        at += word_ms;
    }
    world.pass_until(ANSWER_MS + at + 20_000);
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whoever_gets_no_agent_hears_the_message_within_the_time_from_the_end_of_their_greeting(
        words in prop::collection::vec((0u64..2_500, 200u64..4_000), 0..6),
        classify_wait_ms in 500u32..=8_000,
        connect_within_ms in 500u32..=2_000,
    ) {
        let world = answered(&words, classify_wait_ms, connect_within_ms);
        let within = u64::from(connect_within_ms);
        let message = world.at(|fact| matches!(fact, Fact::CallMessageStarted { .. })).unwrap();
        let known = world.at(|fact| matches!(fact, Fact::CallClassified { .. })).unwrap();
        let ended_ms = world.out.events.iter().find_map(|event| match event.fact {
            Fact::CallClassified { greeting_ended_ms, .. } => Some(greeting_ended_ms),
            _ => None,
        }).unwrap();
        // As whoever recounts the law reads it.
        let clock = ANSWER_MS + ended_ms.map_or(0, u64::from);
        prop_assert!(message <= clock + within, "{message} {clock}");
        prop_assert!(known <= ANSWER_MS + u64::from(classify_wait_ms).max(1_500));
        prop_assert!(clock <= known, "the greeting had not ended by then");
        // As it was: the clock does not begin behind the last word begun before the hand-over.
        let mut at = ANSWER_MS;
        let mut truth = ANSWER_MS;
        for (pause_ms, word_ms) in &words {
            at += pause_ms;
            if at <= known {
                truth = (at + word_ms).min(known);
            }
            at += word_ms;
        }
        prop_assert!(clock <= truth, "{clock} {truth}");
        if words.first().is_none_or(|(pause_ms, _)| *pause_ms > 1_500) {
            prop_assert_eq!(ended_ms, None);
            prop_assert!(message <= ANSWER_MS + within);
        }
    }
}
