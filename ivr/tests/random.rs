//! Whatever comes, in whatever order: no panic, an end within the bounds, one exit, silence after it.

mod examples;

use ivr::{CallFacts, CheckContext, Command, Flow, Input, Session, graph};
use model::{CallId, Fact, FlowId, LookupId, Mint, Mono, Now, Outbox, PlayId, Utc};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn flows() -> &'static BTreeMap<FlowId, Arc<Flow>> {
    static FLOWS: OnceLock<BTreeMap<FlowId, Arc<Flow>>> = OnceLock::new();
    FLOWS.get_or_init(examples::flows)
}

#[derive(Clone, Debug)]
enum Act {
    Key(char),
    /// The prompt that plays ends; or one that does not play.
    End(bool),
    Answer(Option<(String, String)>),
    Wait(u64),
    HangUp,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => prop::sample::select("0123456789*#AZ".chars().collect::<Vec<_>>()).prop_map(Act::Key),
        6 => prop::bool::weighted(0.9).prop_map(Act::End),
        3 => prop::option::of(("(gold|none)", "(-?[0-9]{1,20}|lots)")).prop_map(Act::Answer),
        4 => (0u64..9_000).prop_map(Act::Wait),
        1 => Just(Act::HangUp),
    ]
}

/// Sensitive variables of the flows, and the nodes that collect them.
const SECRETS: [&str; 2] = ["pin", "card"];

fn is_exit(command: &Command) -> bool {
    matches!(command, Command::Queue { .. } | Command::HangUp { .. })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_session_ends_once_and_within_its_bounds(
        which in 0usize..7,
        acts in prop::collection::vec(act(), 0..120),
        at in 1_760_000_000_000_000i64..1_860_000_000_000_000,
    ) {
        let flow = flows().values().nth(which).unwrap();
        let mut now = Now { mono: Mono::ZERO, utc: Utc::from_micros(at) };
        let facts = CallFacts {
            call: CallId(1),
            caller: "+4930123456".to_owned(),
            called: String::new(),
            variables: BTreeMap::new(),
        };
        let (mut mint, mut out) = (Mint::new(0), Outbox::new());
        let mut session = Session::start(now, Arc::clone(flow), facts, &mut mint, &mut out);
        let mut asked = LookupId(0);
        let mut playing = match out.commands.back() {
            Some(Command::Play { play, .. }) => *play,
            other => panic!("the example flows begin with a prompt, not {other:?}"),
        };
        out = Outbox::new();
        let (mut exits, mut caller_left) = (0, false);
        let mut ticks = 0u64;
        // After what the caller does, time alone has to bring the flow to its end.
        let forever = std::iter::repeat_n(Act::Wait(60_000), 20);
        for act in acts.into_iter().chain(forever) {
            let mut inputs = Vec::new();
            match act {
                Act::Key(key) => inputs.push(Input::Digit(key)),
                Act::End(right) => {
                    let play = if right { playing } else { PlayId(playing.0 + 1) };
                    inputs.push(Input::PromptFinished { play });
                }
                Act::Answer(answer) => {
                    let result = answer.map_or(Err("down".to_owned()), |(tier, balance)| {
                        Ok([("tier".to_owned(), tier), ("balance".to_owned(), balance)].into())
                    });
                    inputs.push(Input::LookupAnswered { lookup: asked, result });
                }
                Act::HangUp => inputs.push(Input::HungUp),
                Act::Wait(ms) => now = now.plus(Duration::from_millis(ms)),
            }
            while session.next_deadline().is_some_and(|(due, _)| due <= now.mono) || !inputs.is_empty() {
                let input = inputs.pop().unwrap_or(Input::Tick);
                let was_over = session.is_over();
                let hangs_up = input == Input::HungUp && !was_over;
                ticks += 1;
                prop_assert!(ticks < 2_000, "a deadline is never left behind");
                let before = out.commands.len() + out.facts.len();
                session.handle(now, input, &mut mint, &mut out);
                prop_assert!(!was_over || out.commands.len() + out.facts.len() == before);
                for command in &out.commands {
                    match command {
                        Command::Play { play, .. } => playing = *play,
                        Command::Lookup { lookup, .. } => asked = *lookup,
                        Command::StopPlay { .. }
                        | Command::DoNotCall
                        | Command::Queue { .. }
                        | Command::HangUp { .. } => {}
                    }
                    if hangs_up {
                        prop_assert!(matches!(command, Command::Lookup { .. }), "the leg is gone");
                    }
                }
                exits += out.commands.iter().filter(|command| is_exit(command)).count();
                if let Some(at) = out.commands.iter().position(is_exit) {
                    prop_assert_eq!(at, out.commands.len() - 1, "nothing comes after the exit");
                }
                caller_left |= hangs_up;
                let left = out.facts.iter().filter(|fact| matches!(fact, Fact::IvrLeft { .. })).count();
                prop_assert_eq!(left, usize::from(session.is_over() && !was_over));
                prop_assert!(session.path().len() <= flow.steps_max as usize + 1);
                // I10: a digit of the secret is in no fact.
                for fact in &out.facts {
                    if let Fact::IvrDigitsCollected { node, digits, .. } = fact {
                        prop_assert_eq!(digits.is_none(), SECRETS.contains(&node.as_str()));
                    }
                    if let Fact::IvrVariableSet { name, .. } = fact {
                        prop_assert!(!SECRETS.contains(&name.as_str()));
                    }
                }
                prop_assert!(SECRETS.iter().all(|name| !session.variables().contains_key(*name)));
                out = Outbox::new();
            }
        }
        prop_assert!(session.is_over(), "the flow has an end");
        prop_assert_eq!(session.next_deadline(), None);
        prop_assert_eq!(exits, usize::from(!caller_left));
    }

    #[test]
    fn checking_never_panics_whatever_is_changed_in_a_flow(
        which in 0usize..5,
        cuts in prop::collection::vec((0usize..6000, 0usize..30, "[ -~äß\n]{0,6}|9{1,25}|\\[\\[|\\{ |= -1"), 0..6),
    ) {
        let mut text = flows().values().nth(which).unwrap().source.clone();
        for (at, length, with) in cuts {
            let mut from = at % (text.len() + 1);
            while !text.is_char_boundary(from) { from -= 1; }
            let mut to = (from + length).min(text.len());
            while !text.is_char_boundary(to) { to -= 1; }
            if from <= to { text.replace_range(from..to, &with); }
        }
        let context = CheckContext { now: Some(Utc::from_micros(0)), flows: flows().clone(), ..CheckContext::default() };
        match Flow::parse("mutated.toml", &text, &context) {
            Ok(flow) => { graph::mermaid(&flow); graph::dot(&flow); }
            Err(found) => {
                prop_assert!(!found.is_empty());
                for finding in found {
                    prop_assert!(text.get(finding.span.clone()).is_some());
                    prop_assert!(finding.render(&text).contains('^'));
                }
            }
        }
    }

    #[test]
    fn checking_never_panics_on_random_text(text in "(\\PC|\n|\\[node\\.a\\]\n|type = \"menu\"\n|id = |\"x\"){0,40}") {
        if let Err(found) = Flow::parse("random.toml", &text, &CheckContext::default()) {
            prop_assert!(!found.is_empty());
        }
    }
}
