//! One test per rule of routing, each a short scene in virtual time.

use acd::command::Next;
use acd::input::{SkillNeed, Visit};
use acd::{Acd, Command, Config, Input, Rule};
use model::event::{OfferFailure, Withdrawal};
use model::screen_pop::Direction;
use model::{AgentId, AgentState, CallId, Fact, Mono, Now, OfferId, Outbox, QueueId, QueueOutcome};
use std::time::Duration;

/// A machine with its clock, and what it has said since it was last asked.
struct Scene {
    acd: Acd,
    now: Now,
    commands: Vec<Command>,
    facts: Vec<Fact>,
}

fn agent(name: &str) -> AgentId {
    name.parse().unwrap()
}

fn queue(name: &str) -> QueueId {
    name.parse().unwrap()
}

fn visit(call: u64, name: &str) -> Visit {
    Visit {
        call: CallId(call),
        queue: queue(name),
        direction: Direction::Inbound,
        priority: 0,
        skills: vec![],
        preferred: None,
        give_up_after: None,
    }
}

impl Scene {
    fn new(config: &str) -> Scene {
        let config: Config = toml::from_str(config).unwrap();
        assert_eq!(config.validate(), []);
        Scene {
            acd: Acd::new(config, 3),
            now: Now::default(),
            commands: vec![],
            facts: vec![],
        }
    }

    fn say(&mut self, input: Input) -> &mut Scene {
        let mut out = Outbox::new();
        self.acd.handle(self.now, input, &mut out);
        self.commands = out.commands.into();
        self.facts = out.facts;
        self
    }

    /// Ready, one after the other, a second apart.
    fn ready(&mut self, names: &[&str]) -> &mut Scene {
        for name in names {
            let agent = agent(name);
            self.say(Input::PhoneReachable { agent })
                .say(Input::SignIn { agent })
                .say(Input::SetReady { agent })
                .pass(1_000);
        }
        self
    }

    fn call(&mut self, call: u64, name: &str) -> &mut Scene {
        self.say(Input::Enqueue(visit(call, name)))
    }

    /// Time passes; every deadline is met. Keeps what was said meanwhile.
    fn pass(&mut self, ms: u64) -> &mut Scene {
        let end = self.now.plus(Duration::from_millis(ms));
        let (mut commands, mut facts) = (vec![], vec![]);
        while let Some((at, _)) = self.acd.next_deadline().filter(|(at, _)| *at <= end.mono) {
            self.now = self.now.plus(at.since(self.now.mono));
            self.say(Input::Tick);
            commands.append(&mut self.commands);
            facts.append(&mut self.facts);
        }
        (self.now, self.commands, self.facts) = (end, commands, facts);
        self
    }

    /// The offers just made: call and agent.
    fn offered(&self) -> Vec<(u64, String)> {
        let offer = |c: &Command| match c {
            Command::OfferAgent { call, agent, .. } => Some((call.0, agent.to_string())),
            _ => None,
        };
        self.commands.iter().filter_map(offer).collect()
    }

    fn offer_of(&self, name: &str) -> OfferId {
        let made = |c: &Command| match c {
            Command::OfferAgent { offer, agent, .. } if agent.as_str() == name => Some(*offer),
            _ => None,
        };
        self.commands
            .iter()
            .find_map(made)
            .expect("the last step offered a call to this agent")
    }

    /// The agent takes the call just offered.
    fn take(&mut self, name: &str) -> &mut Scene {
        let offer = self.offer_of(name);
        self.say(Input::OfferAnswered { offer })
            .say(Input::Bridged { offer })
    }

    /// The agent is through with it, wrap-up included.
    fn done(&mut self, call: u64, name: &str) -> &mut Scene {
        let agent = agent(name);
        self.say(Input::TalkEnded {
            agent,
            call: CallId(call),
        })
        .say(Input::WrapUpEnded { agent })
    }

    fn state(&self, name: &str) -> &'static str {
        self.acd.agent_state(agent(name)).unwrap().name()
    }

    fn left(&self) -> Vec<(u64, QueueOutcome, Next)> {
        let left = |c: &Command| match c {
            Command::Leave {
                call,
                outcome,
                next,
                ..
            } => Some((call.0, *outcome, next.clone())),
            _ => None,
        };
        self.commands.iter().filter_map(left).collect()
    }
}

fn to(call: u64, name: &str) -> Vec<(u64, String)> {
    vec![(call, name.to_owned())]
}

const TWO: &str = r#"
    [queues.sales]
    [agents.anna]
    queues = ["sales"]
    [agents.ben]
    queues = ["sales"]
"#;

#[test]
fn r1_an_agent_with_an_offer_is_offered_nothing_else() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna"]).call(1, "sales");
    assert_eq!(s.offered(), to(1, "anna"));
    s.call(2, "sales");
    assert_eq!(s.offered(), []);
    s.say(Input::SetReady {
        agent: agent("anna"),
    });
    assert_eq!(s.offered(), []);
}

const TEAM: &str = r#"
    [queues.team]
    strategy = "ring_all"
    [agents.anna]
    queues = ["team"]
    [agents.ben]
    queues = ["team"]
    [agents.cleo]
    queues = ["team"]
"#;

#[test]
fn r2_ring_all_has_one_winner_and_the_losers_keep_their_rank() {
    let mut s = Scene::new(TEAM);
    s.ready(&["ben", "anna", "cleo"]).call(1, "team");
    assert_eq!(s.offered().len(), 3);
    let (anna, ben) = (s.offer_of("anna"), s.offer_of("ben"));
    s.say(Input::OfferAnswered { offer: anna });
    let withdrawn = s.commands.iter().filter(|c| {
        matches!(
            c,
            Command::WithdrawOffer {
                why: Withdrawal::AnsweredElsewhere,
                ..
            }
        )
    });
    assert_eq!(withdrawn.count(), 2);
    let us = |s: &Scene, n: &str| {
        s.acd
            .snapshot(s.now)
            .agents
            .iter()
            .find(|a| a.agent == agent(n))
            .unwrap()
            .idle_us
    };
    assert_eq!(us(&s, "ben"), Some(3_000_000));
    assert_eq!(us(&s, "cleo"), Some(1_000_000));
    s.say(Input::OfferAnswered { offer: ben });
    assert!(s.facts.is_empty(), "a loser's late answer changes nothing");
    s.say(Input::Bridged { offer: anna });
    assert_eq!((s.state("anna"), s.state("ben")), ("on_call", "available"));
}

#[test]
fn an_agent_who_becomes_available_joins_a_call_that_rings_all() {
    let mut s = Scene::new(TEAM);
    s.ready(&["anna"]).call(1, "team").ready(&["ben"]);
    assert_eq!(s.state("ben"), "offered");
    s.call(2, "team").say(Input::CallerLeft { call: CallId(1) });
    assert_eq!(s.offered(), [(2, "anna".to_owned()), (2, "ben".to_owned())]);
}

#[test]
fn r4_a_failed_offer_puts_the_call_back_before_later_ones() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna"]).call(1, "sales");
    let offer = s.offer_of("anna");
    s.pass(1_000).call(2, "sales").say(Input::OfferFailed {
        offer,
        why: OfferFailure::Timeout,
    });
    assert_eq!(s.state("anna"), "not_ready");
    s.ready(&["ben"]);
    assert_eq!(
        s.acd.explain(s.now, CallId(1), agent("ben")).to_string(),
        "call-1 is offered to ben: LongestIdle, idle for 0.0 s, ring 0"
    );
    assert_eq!(s.acd.waiting_now(queue("sales")), 2);
}

#[test]
fn an_offer_rings_out_by_itself_and_the_phone_is_told() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna"]).call(1, "sales").pass(14_999);
    assert_eq!(s.state("anna"), "offered");
    s.pass(1);
    assert!(matches!(s.commands[0], Command::WithdrawOffer { .. }));
    assert!(matches!(
        s.facts[0],
        Fact::OfferFailed {
            why: OfferFailure::Timeout,
            ..
        }
    ));
    assert_eq!(
        s.acd.agent_state(agent("anna")),
        Some(AgentState::NotReady("rona".parse().unwrap()))
    );
}

#[test]
fn an_agent_who_stays_available_after_missing_a_call_goes_behind_the_others() {
    let mut s = Scene::new(&TWO.replace("[queues.sales]", "[queues.sales]\nrona = \"available\""));
    s.ready(&["anna", "ben"]).call(1, "sales");
    assert_eq!(s.offered(), to(1, "anna"));
    s.pass(15_000);
    assert_eq!(s.offered(), to(1, "ben"));
    s.pass(14_000).call(2, "sales");
    assert_eq!(s.offered(), to(2, "anna"));
}

#[test]
fn a_phone_that_declines_at_once_is_not_rung_for_ever() {
    let mut s = Scene::new(&TWO.replace("[queues.sales]", "[queues.sales]\nrona = \"available\""));
    s.ready(&["anna"]).call(1, "sales");
    for _ in 0..2 {
        let offer = s.offer_of("anna");
        s.say(Input::OfferFailed {
            offer,
            why: OfferFailure::Rejected,
        });
        assert_eq!(s.offered(), to(1, "anna"));
    }
    let offer = s.offer_of("anna");
    s.say(Input::OfferFailed {
        offer,
        why: OfferFailure::Rejected,
    });
    assert_eq!(s.state("anna"), "not_ready");
}

#[test]
fn r5_a_caller_who_hangs_up_while_it_rings_frees_the_agent_with_rank() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna", "ben"])
        .call(1, "sales")
        .pass(3_000)
        .say(Input::CallerLeft { call: CallId(1) });
    assert!(matches!(
        s.commands[0],
        Command::WithdrawOffer {
            why: Withdrawal::CallerLeft,
            ..
        }
    ));
    assert!(s.facts.iter().any(|f| matches!(
        f,
        Fact::QueueLeft {
            outcome: QueueOutcome::Abandoned,
            short: true,
            during_offer: true,
            within_target: true,
            waited_us: 3_000_000,
            ..
        }
    )));
    s.call(2, "sales");
    assert_eq!(
        s.offered(),
        to(2, "anna"),
        "r8: the offer that came to nothing did not reset the idle time"
    );
}

#[test]
fn r5_a_caller_who_hangs_up_between_answer_and_bridge_frees_the_agent() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna"]).call(1, "sales");
    let offer = s.offer_of("anna");
    s.say(Input::OfferAnswered { offer })
        .say(Input::CallerLeft { call: CallId(1) });
    assert_eq!(s.state("anna"), "available");
    s.say(Input::Bridged { offer });
    assert!(s.facts.is_empty());
}

#[test]
fn r6_calls_of_one_queue_are_served_in_order() {
    let mut s = Scene::new(TWO);
    s.call(9, "sales")
        .pass(1)
        .call(3, "sales")
        .pass(1)
        .call(5, "sales")
        .ready(&["anna", "ben"]);
    assert_eq!(s.acd.waiting_now(queue("sales")), 3);
    let at = |s: &Scene, call, who| {
        matches!(
            s.acd.explain(s.now, CallId(call), agent(who)).rule,
            Rule::Chosen { .. }
        )
    };
    assert!(at(&s, 9, "anna") && at(&s, 3, "ben"));
}

#[test]
fn r7_a_call_nobody_here_can_serve_does_not_block_the_next() {
    let mut s =
        Scene::new("[queues.sales]\n[agents.anna]\nqueues = [\"sales\"]\nskills = { german = 2 }");
    let german = |level| {
        vec![SkillNeed {
            skill: "german".parse().unwrap(),
            level,
        }]
    };
    s.say(Input::Enqueue(Visit {
        skills: german(9),
        ..visit(1, "sales")
    }));
    s.say(Input::Enqueue(Visit {
        skills: german(2),
        ..visit(2, "sales")
    }))
    .ready(&["anna"]);
    assert!(matches!(
        s.acd.explain(s.now, CallId(2), agent("anna")).rule,
        Rule::Chosen { .. }
    ));
    assert!(matches!(
        s.acd.explain(s.now, CallId(1), agent("anna")).rule,
        Rule::SkillTooLow {
            needs: 9,
            has: 2,
            ..
        }
    ));
}

#[test]
fn r9_a_call_is_overtaken_within_the_stated_bound_and_never_after() {
    let config = "[queues.sales]\npriority_ageing_per_s = 0.5\n[agents.anna]\nqueues = [\"sales\"]";
    let bound = toml::from_str::<Config>(config).unwrap().queues[&queue("sales")]
        .overtaken_for_at_most(5)
        .unwrap();
    assert_eq!(bound, Duration::from_secs(10));
    for (later_ms, first) in [(9_999, 2), (10_000, 1), (10_001, 1)] {
        let mut s = Scene::new(config);
        s.call(1, "sales")
            .pass(later_ms)
            .say(Input::Enqueue(Visit {
                priority: 5,
                ..visit(2, "sales")
            }))
            .ready(&["anna"]);
        assert!(
            matches!(
                s.acd.explain(s.now, CallId(first), agent("anna")).rule,
                Rule::Chosen { .. }
            ),
            "{later_ms}"
        );
    }
}

const RINGS: &str = r#"
    [queues.sales]
    skills = [{ skill = "german", level = 5 }]
    rings = [{ after_ms = 10000, skills = [{ skill = "german", level = 2 }] }, { after_ms = 20000 }]
    [agents.anna]
    queues = ["sales"]
    skills = { german = 3 }
    [agents.ben]
    queues = ["sales"]
"#;

#[test]
fn r10_demand_relaxes_at_the_rings_and_the_wait_is_kept() {
    let mut s = Scene::new(RINGS);
    s.ready(&["ben", "anna"]).call(1, "sales").pass(9_999);
    assert_eq!(s.offered(), []);
    assert_eq!(
        s.acd.explain(s.now, CallId(1), agent("anna")).to_string(),
        "anna has german at 3, call-1 asks for 5 in ring 0, and for less in 0.0 s"
    );
    s.pass(1);
    assert_eq!(s.offered(), to(1, "anna"));
    assert!(
        matches!(s.commands.last(), Some(Command::OfferAgent { waited, .. }) if *waited == Duration::from_secs(10))
    );
    s.pass(10_000);
    assert_eq!(
        s.offered(),
        [],
        "an offered call is not offered again when its demand relaxes"
    );
}

#[test]
fn r11_wrap_up_timers_are_of_one_agent_each() {
    let mut s = Scene::new(&TWO.replace("[agents.ben]", "[agents.ben]\nwrap_up_ms = 4000"));
    s.ready(&["anna", "ben"])
        .call(1, "sales")
        .take("anna")
        .call(2, "sales")
        .take("ben");
    s.say(Input::TalkEnded {
        agent: agent("anna"),
        call: CallId(1),
    })
    .pass(1_000);
    s.say(Input::TalkEnded {
        agent: agent("ben"),
        call: CallId(2),
    });
    s.say(Input::WrapUpExtended {
        agent: agent("anna"),
        by: Duration::from_secs(5),
    })
    .call(3, "sales")
    .pass(3_999);
    assert_eq!(s.offered(), []);
    s.pass(1);
    assert_eq!(s.offered(), to(3, "ben"));
    s.pass(9_999);
    assert_eq!(s.state("anna"), "wrap_up");
    s.pass(1);
    assert_eq!(s.state("anna"), "available");
}

#[test]
fn r12_what_is_asked_for_while_busy_applies_on_release() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna"]).call(1, "sales").take("anna");
    let lunch = "lunch".parse().unwrap();
    s.say(Input::SetNotReady {
        agent: agent("anna"),
        reason: lunch,
    });
    assert_eq!(
        s.facts,
        [Fact::AgentStatePending {
            agent: agent("anna"),
            reason: Some(lunch)
        }]
    );
    s.done(1, "anna");
    assert_eq!(
        s.acd.agent_state(agent("anna")),
        Some(AgentState::NotReady(lunch))
    );
    s.say(Input::SetReady {
        agent: agent("anna"),
    })
    .call(2, "sales");
    let offer = s.offer_of("anna");
    s.say(Input::SetNotReady {
        agent: agent("anna"),
        reason: lunch,
    });
    s.say(Input::OfferFailed {
        offer,
        why: OfferFailure::Timeout,
    });
    assert_eq!(
        s.acd.agent_state(agent("anna")),
        Some(AgentState::NotReady(lunch)),
        "what was asked for beats RONA"
    );
}

#[test]
fn an_agent_who_signs_out_while_it_rings_gives_the_call_back_at_once() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna", "ben"])
        .call(1, "sales")
        .say(Input::SignOut {
            agent: agent("anna"),
        });
    assert_eq!((s.state("anna"), s.offered()), ("signed_out", to(1, "ben")));
    s.take("ben").say(Input::SignOut {
        agent: agent("ben"),
    });
    assert_eq!(s.state("ben"), "on_call");
    s.done(1, "ben");
    assert_eq!(s.state("ben"), "signed_out");
}

#[test]
fn r13_a_preferred_agent_delays_a_call_for_at_most_the_timeout() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna", "ben"]).call(1, "sales").take("anna");
    s.say(Input::Enqueue(Visit {
        preferred: Some(agent("anna")),
        ..visit(2, "sales")
    }))
    .pass(9_999);
    assert_eq!(s.offered(), []);
    assert!(matches!(
        s.acd.explain(s.now, CallId(2), agent("ben")).rule,
        Rule::HeldForPreferred { .. }
    ));
    s.pass(1);
    assert_eq!(s.offered(), to(2, "ben"));
}

#[test]
fn r13_a_preferred_agent_who_is_free_or_comes_back_in_time_gets_the_call() {
    let mut s = Scene::new(TWO);
    s.ready(&["ben", "anna"]).say(Input::Enqueue(Visit {
        preferred: Some(agent("anna")),
        ..visit(1, "sales")
    }));
    assert_eq!(s.offered(), to(1, "anna"));
    s.take("anna")
        .say(Input::Enqueue(Visit {
            preferred: Some(agent("anna")),
            ..visit(2, "sales")
        }))
        .done(1, "anna");
    assert_eq!(s.offered(), to(2, "anna"));
    let offer = s.offer_of("anna");
    s.say(Input::OfferFailed {
        offer,
        why: OfferFailure::Rejected,
    });
    assert_eq!(
        s.offered(),
        to(2, "ben"),
        "a preferred agent who declines is not asked again"
    );
}

#[test]
fn r13_a_preferred_agent_who_is_not_at_work_delays_nothing() {
    let mut s = Scene::new(TWO);
    s.ready(&["ben"]).say(Input::Enqueue(Visit {
        preferred: Some(agent("anna")),
        ..visit(1, "sales")
    }));
    assert_eq!(s.offered(), to(1, "ben"));
}

const BLENDED: &str = r#"
    [queues.sales]
    [queues.spring]
    kind = "outbound"
    [agents.anna]
    queues = ["sales", "spring"]
"#;

fn dialled(call: u64) -> Input {
    let give_up_after = Some(Duration::from_secs(2));
    Input::Enqueue(Visit {
        direction: Direction::Outbound,
        give_up_after,
        ..visit(call, "spring")
    })
}

#[test]
fn r16_an_inbound_call_goes_before_an_outbound_one_that_came_first() {
    let mut s = Scene::new(BLENDED);
    s.say(dialled(1))
        .pass(500)
        .call(2, "sales")
        .ready(&["anna"]);
    assert!(matches!(
        s.acd.explain(s.now, CallId(2), agent("anna")).rule,
        Rule::Chosen { .. }
    ));
    s.pass(500);
    assert_eq!(s.left(), [(1, QueueOutcome::Timeout, Next::Nowhere)]);
}

#[test]
fn an_answered_dial_gives_up_after_two_seconds_though_it_rings() {
    let mut s = Scene::new(BLENDED);
    s.ready(&["anna"]).say(dialled(1));
    assert_eq!(s.offered(), to(1, "anna"));
    s.pass(2_000);
    assert!(matches!(
        s.commands[0],
        Command::WithdrawOffer {
            why: Withdrawal::CallRemoved,
            ..
        }
    ));
    assert_eq!(s.left(), [(1, QueueOutcome::Timeout, Next::Nowhere)]);
    let idle = s.acd.snapshot(s.now).agents[0].idle_us;
    assert_eq!(idle, Some(3_000_000), "the rank is as if nothing had been");
}

#[test]
fn a_dial_whose_offer_was_answered_is_not_given_up_but_is_if_the_bridge_fails_too_late() {
    let mut s = Scene::new(BLENDED);
    s.ready(&["anna"]).say(dialled(1));
    let offer = s.offer_of("anna");
    s.pass(1_999)
        .say(Input::OfferAnswered { offer })
        .pass(2_000);
    assert_eq!(s.left(), []);
    s.say(Input::OfferFailed {
        offer,
        why: OfferFailure::Unreachable,
    });
    assert_eq!(s.left(), [(1, QueueOutcome::Timeout, Next::Nowhere)]);
}

#[test]
fn r16_a_reserved_agent_is_offered_nothing_and_keeps_the_rank() {
    let mut s = Scene::new(BLENDED);
    s.ready(&["anna"])
        .say(Input::Reserve {
            agent: agent("anna"),
            call: CallId(7),
        })
        .call(1, "sales");
    assert_eq!(s.offered(), []);
    s.pass(1_000).say(Input::Release {
        agent: agent("anna"),
        call: CallId(7),
    });
    assert_eq!(s.offered(), to(1, "anna"));
    s.say(Input::Reserve {
        agent: agent("anna"),
        call: CallId(8),
    });
    assert!(s.facts.is_empty(), "a busy agent cannot be reserved");
}

#[test]
fn a_reserved_agent_whose_phone_is_dead_is_not_ready_and_is_offered_nothing() {
    let mut s = Scene::new(BLENDED);
    let (agent, call) = (agent("anna"), CallId(7));
    s.ready(&["anna"])
        .say(Input::Reserve { agent, call })
        .call(1, "sales")
        .say(Input::ReservedFailed {
            agent,
            call,
            why: OfferFailure::Unreachable,
        });
    assert_eq!(s.state("anna"), "not_ready");
    assert_eq!(s.offered(), []);
}

#[test]
fn an_agent_who_is_not_ready_can_be_reserved_and_is_not_ready_afterwards() {
    let mut s = Scene::new(BLENDED);
    let (agent, call) = (agent("anna"), CallId(7));
    s.ready(&["anna"])
        .say(Input::SetNotReady {
            agent,
            reason: "lunch".parse().unwrap(),
        })
        .say(Input::Reserve { agent, call });
    assert_eq!(s.state("anna"), "offered");
    s.call(1, "sales").say(Input::Release { agent, call });
    assert_eq!(s.state("anna"), "not_ready");
    assert_eq!(s.offered(), []);
    let call = CallId(8);
    s.say(Input::Reserve { agent, call })
        .say(Input::ReservedBridged { agent, call })
        .say(Input::TalkEnded { agent, call })
        .pass(10_000);
    assert_eq!(s.state("anna"), "not_ready");
    assert_eq!(s.offered(), []);
}

#[test]
fn a_preview_that_is_bridged_ends_in_wrap_up() {
    let mut s = Scene::new(BLENDED);
    let (agent, call) = (agent("anna"), CallId(7));
    s.ready(&["anna"])
        .say(Input::Reserve { agent, call })
        .say(Input::ReservedBridged { agent, call });
    assert_eq!(s.state("anna"), "on_call");
    s.say(Input::TalkEnded { agent, call }).pass(9_999);
    assert_eq!(s.state("anna"), "wrap_up");
    s.pass(1);
    assert_eq!(s.state("anna"), "available");
}

#[test]
fn r17_closing_a_queue_refuses_new_calls_and_serves_those_that_wait() {
    let mut s = Scene::new(TWO);
    s.call(1, "sales")
        .say(Input::SetQueueOpen {
            queue: queue("sales"),
            open: false,
        })
        .call(2, "sales");
    assert_eq!(
        s.left(),
        [(2, QueueOutcome::Refused, Next::HangUp { prompt: None })]
    );
    assert!(matches!(s.facts[..], [Fact::QueueRefused { .. }]));
    s.ready(&["anna"]);
    assert_eq!(s.state("anna"), "offered");
}

#[test]
fn r18_a_step_of_the_wall_clock_changes_no_timer() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna"]).call(1, "sales");
    s.now.utc = s.now.utc.plus_micros(3_600_000_000);
    s.say(Input::Tick);
    assert_eq!(s.state("anna"), "offered");
    assert_eq!(
        s.acd.next_deadline().unwrap().0,
        Mono::from_micros(16_000_000)
    );
}

#[test]
fn r19_a_lost_phone_takes_its_offer_back_and_the_agent_returns_with_it() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna", "ben"])
        .call(1, "sales")
        .say(Input::PhoneLost {
            agent: agent("anna"),
        });
    assert_eq!(
        (s.state("anna"), s.offered()),
        ("unreachable", to(1, "ben"))
    );
    s.take("ben").say(Input::PhoneLost {
        agent: agent("ben"),
    });
    assert_eq!(
        s.state("ben"),
        "on_call",
        "a talk goes on without its registration"
    );
    s.done(1, "ben").call(2, "sales");
    assert_eq!((s.state("ben"), s.offered()), ("unreachable", vec![]));
    s.say(Input::PhoneReachable {
        agent: agent("anna"),
    });
    assert_eq!(s.offered(), to(2, "anna"));
}

#[test]
fn r19_an_agent_who_signs_in_without_a_phone_is_unreachable_until_there_is_one() {
    let mut s = Scene::new(TWO);
    let agent = agent("anna");
    s.call(1, "sales")
        .say(Input::SignIn { agent })
        .say(Input::SetReady { agent });
    assert_eq!((s.state("anna"), s.offered()), ("unreachable", vec![]));
    s.say(Input::PhoneReachable { agent });
    assert_eq!(s.offered(), to(1, "anna"));
}

#[test]
fn a_full_queue_refuses_and_names_where_to_go_and_the_wait_counts_there() {
    let mut s = Scene::new(
        r#"
        [queues.sales]
        max_waiting = 1
        max_wait_ms = 8000
        overflow = { to = "queue:other" }
        [queues.other]
        [agents.anna]
        queues = ["other"]
        "#,
    );
    s.call(1, "sales").call(2, "sales");
    assert_eq!(
        s.left(),
        [(2, QueueOutcome::Refused, Next::Queue(queue("other")))]
    );
    s.pass(7_000).call(3, "other").pass(1_000);
    assert_eq!(
        s.left(),
        [(1, QueueOutcome::FlowOut, Next::Queue(queue("other")))]
    );
    s.call(1, "other").ready(&["anna"]);
    assert!(matches!(
        s.acd.explain(s.now, CallId(1), agent("anna")).rule,
        Rule::Chosen { .. }
    ));
}

#[test]
fn nobody_signed_in_refuses_where_the_queue_says_so() {
    let mut s = Scene::new(&TWO.replace(
        "[queues.sales]",
        "[queues.sales]\nwhen_no_agents = \"refuse\"\noverflow = { to = \"flow:night\" }",
    ));
    s.call(1, "sales");
    assert_eq!(
        s.left(),
        [(
            1,
            QueueOutcome::Refused,
            Next::Flow("night".parse().unwrap())
        )]
    );
    s.say(Input::SignIn {
        agent: agent("anna"),
    })
    .call(2, "sales");
    assert_eq!(s.left(), []);
}

#[test]
fn an_unknown_queue_refuses_and_foreign_news_changes_nothing() {
    let mut s = Scene::new(TWO);
    s.call(1, "nowhere");
    assert_eq!(s.left().len(), 1);
    for input in [
        Input::SignIn {
            agent: agent("nobody"),
        },
        Input::OfferAnswered { offer: OfferId(99) },
        Input::Bridged { offer: OfferId(99) },
        Input::CallerLeft { call: CallId(99) },
        Input::TalkEnded {
            agent: agent("anna"),
            call: CallId(99),
        },
        Input::SetQueueOpen {
            queue: queue("nowhere"),
            open: false,
        },
    ] {
        s.say(input);
        assert!(s.facts.is_empty() && s.commands.is_empty());
    }
}

#[test]
fn a_bridge_that_does_not_follow_its_answer_is_given_up() {
    let mut s = Scene::new(TWO);
    s.ready(&["anna", "ben"]).call(1, "sales");
    let offer = s.offer_of("anna");
    s.say(Input::OfferAnswered { offer }).pass(4_999);
    assert_eq!(s.offered(), []);
    s.pass(1);
    assert_eq!(s.offered(), to(1, "ben"));
}

#[test]
fn what_callers_are_told_never_grows() {
    let mut s = Scene::new(&TWO.replace(
        "[queues.sales]",
        "[queues.sales]\nannounce_every_ms = 20000",
    ));
    s.ready(&["anna"]).call(1, "sales").take("anna");
    (2..6).for_each(|call| {
        s.call(call, "sales");
    });
    let mut told = Duration::MAX;
    for _ in 0..5 {
        s.pass(20_000);
        let said = s.commands.iter().find_map(|c| match c {
            Command::Announce {
                call: CallId(5),
                position: 4,
                estimated_wait,
                ..
            } => Some(estimated_wait.unwrap()),
            _ => None,
        });
        assert!(said.unwrap() <= told);
        told = said.unwrap();
    }
    s.done(1, "anna").take("anna");
    assert_eq!(s.acd.snapshot(s.now).queues[0].estimate_error.told, 1);
}

/// Anna, Ben and Cleo become ready in the order Cleo, Ben, Anna; who gets calls 1, 2 and 3 in turn
/// if each is through before the next call comes?
fn in_turn(strategy: &str) -> String {
    let mut s = Scene::new(&format!(
        r#"
        [queues.sales]
        strategy = "{strategy}"
        skills = [{{ skill = "german", level = 1 }}]
        [agents.anna]
        queues = ["sales"]
        skills = {{ german = 2 }}
        [agents.ben]
        queues = [{{ queue = "sales", weight = 1 }}]
        skills = {{ german = 9 }}
        [agents.cleo]
        queues = ["sales"]
        skills = {{ german = 5 }}
        "#
    ));
    s.ready(&["cleo", "ben", "anna"]);
    let mut got = String::new();
    for call in 1..5 {
        s.call(call, "sales");
        let name = s.offered()[0].1.clone();
        s.take(&name)
            .pass(call * 1_000)
            .done(call, &name)
            .pass(1_000);
        got.push_str(&name[..1]);
    }
    got
}

#[test]
fn every_strategy_chooses_as_it_says() {
    assert_eq!(in_turn("longest_idle"), "cbac");
    assert_eq!(in_turn("round_robin"), "abca");
    assert_eq!(in_turn("fewest_calls"), "cbac");
    assert_eq!(in_turn("skill_level"), "bbbb");
    assert_eq!(in_turn("linear"), "bbbb");
    assert_eq!(in_turn("least_occupied").len(), 4);
    assert_eq!(in_turn("random"), in_turn("random"));
}

#[test]
fn least_occupied_compares_handling_with_available_time() {
    let mut s = Scene::new(&TWO.replace(
        "[queues.sales]",
        "[queues.sales]\nstrategy = \"least_occupied\"\nwrap_up_ms = 0",
    ));
    s.ready(&["anna", "ben"])
        .call(1, "sales")
        .take("anna")
        .pass(60_000);
    s.call(2, "sales")
        .take("ben")
        .pass(1_000)
        .say(Input::TalkEnded {
            agent: agent("anna"),
            call: CallId(1),
        });
    s.pass(1_000)
        .say(Input::TalkEnded {
            agent: agent("ben"),
            call: CallId(2),
        })
        .call(3, "sales");
    assert_eq!(
        s.offered(),
        to(3, "ben"),
        "ben was idle for a minute, though anna is idle for longer now"
    );
}

#[test]
fn a_larger_weight_brings_an_agent_that_queues_calls_first() {
    let mut s = Scene::new(
        "[queues.a]\n[queues.b]\n[agents.anna]\nqueues = [\"a\", { queue = \"b\", weight = 3 }]",
    );
    s.call(1, "a").pass(1_000).call(2, "b").ready(&["anna"]);
    assert!(matches!(
        s.acd.explain(s.now, CallId(2), agent("anna")).rule,
        Rule::Chosen { .. }
    ));
}

/// 500 agents in three queues each, 1,000 calls waiting with twelve different demands.
fn crowd() -> Scene {
    let mut config = String::new();
    for q in 0..10 {
        config += &format!("[queues.q{q}]\nwrap_up_ms = 0\n");
    }
    for a in 0..500 {
        let (x, y, z) = (a % 10, (a + 3) % 10, (a + 7) % 10);
        config += &format!(
            "[agents.a{a:03}]\nqueues = [\"q{x}\", \"q{y}\", \"q{z}\"]\nskills = {{ german = {} }}\n",
            a % 10 + 1
        );
    }
    let mut s = Scene::new(&config);
    for call in 0..1_000 {
        let level = (call / 10 % 4) as u8 * 3;
        let skills = if level == 0 {
            vec![]
        } else {
            vec![SkillNeed {
                skill: "german".parse().unwrap(),
                level,
            }]
        };
        s.say(Input::Enqueue(Visit {
            skills,
            ..visit(call + 1, &format!("q{}", call % 10))
        }));
    }
    s
}

#[test]
fn the_work_of_an_input_does_not_grow_with_the_calls_waiting() {
    let mut s = crowd();
    let (mut most, mut calls, mut taken) = (0, 1_000, 0);
    for a in 0..500 {
        let agent = agent(&format!("a{a:03}"));
        for input in [
            Input::PhoneReachable { agent },
            Input::SignIn { agent },
            Input::SetReady { agent },
        ] {
            s.say(input);
            most = most.max(s.acd.steps_of_last_input());
        }
        let Some((call, name)) = s.offered().first().cloned() else {
            continue;
        };
        taken += 1;
        s.take(&name);
        most = most.max(s.acd.steps_of_last_input());
        s.say(Input::TalkEnded {
            agent,
            call: CallId(call),
        });
        most = most.max(s.acd.steps_of_last_input());
        calls += 1;
        s.call(calls, "q1");
        most = most.max(s.acd.steps_of_last_input());
    }
    assert!(taken > 300, "{taken}");
    assert!(
        most <= 3 * 4,
        "three queues of four demands are twelve heads to look at, not {most}"
    );
}
