//! Agentless campaigns, machines that get a message, and what a supervisor changes on the way.

use dialer::config::CampaignConfig;
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, Input, OnMachine};
use model::event::{Mode, PacingLimit, Verdict};
use model::lead::LeadNext;
use model::{
    AgentId, AgentState, AttemptId, AttemptOutcome, CampaignId, Fact, Lead, LeadId, Mono, Now,
    Outbox, Utc,
};
use std::time::Duration;

struct Floor {
    dialer: Dialer,
    now: Now,
    out: Outbox<Command>,
    campaign: CampaignId,
    leads: u64,
}

fn agent(n: usize) -> AgentId {
    format!("agent{n}").parse().unwrap()
}

impl Floor {
    fn new(agents: usize, change: impl FnOnce(&mut CampaignConfig)) -> Floor {
        let campaign: CampaignId = "reminder".parse().unwrap();
        let mut settings = CampaignConfig::new(Mode::Agentless, "+12125550000");
        settings.flow = Some("reminder".parse().unwrap());
        settings.agents = (0..agents).map(agent).collect();
        settings.lists = vec!["l".parse().unwrap()];
        settings.trunks = vec!["carrier".parse().unwrap()];
        settings.rules = vec!["us".into()];
        settings.abandon_prompt = Some("abandon".into());
        change(&mut settings);
        let mut config = Config::default();
        config.campaigns.insert(campaign, settings);
        let limits = TrunkLimits {
            concurrent_calls: 40,
            calls_per_second: 20.0,
        };
        config.trunks.insert("carrier".parse().unwrap(), limits);
        assert_eq!(config.validate(), []);
        let noon: jiff::Timestamp = "2026-07-01T18:00:00Z".parse().unwrap();
        let utc = Utc::from_micros(noon.as_microsecond());
        Floor {
            dialer: Dialer::new(config, 0, 1),
            now: Now {
                mono: Mono::from_micros(1),
                utc,
            },
            out: Outbox::new(),
            campaign,
            leads: 0,
        }
    }

    fn tell(&mut self, input: Input) -> Vec<Command> {
        self.dialer.handle(self.now, input, &mut self.out);
        self.out.commands.drain(..).collect()
    }

    fn wait(&mut self, ms: u64) -> Vec<Command> {
        self.now = self.now.plus(Duration::from_millis(ms));
        self.tell(Input::Tick)
    }

    fn supply(&mut self, count: u64) -> Vec<Command> {
        let leads = (0..count)
            .map(|_| {
                self.leads += 1;
                Lead {
                    // Recorded voices need it.
                    fields: [
                        ("consent", "written"),
                        ("consent_at", "2026-05-01"),
                        ("rnd_answer", "no"),
                        ("rnd_at", "2026-06-20"),
                    ]
                    .map(|(name, value)| (name.into(), value.into()))
                    .into(),
                    ..Lead::new(
                        LeadId(self.leads),
                        "l".parse().unwrap(),
                        vec![format!("+1212555{:04}", self.leads).parse().unwrap()],
                    )
                }
            })
            .collect();
        let campaign = self.campaign;
        self.tell(Input::LeadsSupplied {
            campaign,
            leads,
            exhausted: false,
        })
    }

    /// Attempts that were claimed and whose claims are stored now.
    fn dial(&mut self, commands: &[Command]) -> Vec<AttemptId> {
        let claims: Vec<AttemptId> = commands
            .iter()
            .filter_map(|command| match command {
                Command::Claim { attempt, .. } => Some(*attempt),
                _ => None,
            })
            .collect();
        for &attempt in &claims {
            let done = self.tell(Input::ClaimStored { attempt });
            let dials = done
                .iter()
                .any(|command| matches!(command, Command::Dial(dial) if dial.attempt == attempt));
            assert!(dials, "{attempt} is dialled");
        }
        claims
    }

    fn outcome(commands: &[Command]) -> Option<(AttemptOutcome, LeadNext)> {
        commands.iter().find_map(|command| match command {
            Command::Resolve { outcome, next, .. } => Some((*outcome, *next)),
            _ => None,
        })
    }

    fn limit(&self) -> Option<PacingLimit> {
        self.out.facts.iter().rev().find_map(|fact| match fact {
            Fact::PacingDecided { limited_by, .. } => Some(*limited_by),
            _ => None,
        })
    }
}

#[test]
fn without_a_way_to_an_agent_it_dials_with_nobody_signed_in_as_fast_as_the_lines_take() {
    let mut floor = Floor::new(0, |_| {});
    assert!(floor.dialer.next_deadline().is_some(), "nobody has to come");
    let asked = floor.wait(0);
    assert!(matches!(asked[0], Command::FetchLeads { .. }), "{asked:?}");
    let commands = floor.supply(200);
    let mut dialled = floor.dial(&commands).len();
    assert_eq!(dialled, 20, "a second's worth of the carrier's calls");
    for _ in 0..40 {
        let commands = floor.wait(100);
        dialled += floor.dial(&commands).len();
    }
    assert_eq!(dialled, 40, "every line of the carrier");
    assert_eq!(floor.limit(), Some(PacingLimit::Lines));
}

#[test]
fn a_person_who_hears_it_through_is_a_live_answer_and_the_lead_is_done() {
    let mut floor = Floor::new(0, |_| {});
    floor.wait(0);
    let commands = floor.supply(1);
    let attempt = floor.dial(&commands)[0];
    floor.tell(Input::AttemptAnswered { attempt });
    let done = floor.tell(Input::AttemptMessaged { attempt });
    let expected = (AttemptOutcome::Messaged, LeadNext::Done);
    assert_eq!(Floor::outcome(&done), Some(expected));
    let snapshot = floor.dialer.snapshot(floor.campaign).unwrap();
    assert_eq!((snapshot.answers, snapshot.abandons), (1, 0));
    assert_eq!(floor.dialer.live_attempts(), 0);
    assert_eq!(floor.tell(Input::AttemptMessaged { attempt }), [], "once");
}

#[test]
fn with_a_way_to_an_agent_it_waits_for_agents_and_dials_by_those_who_ask() {
    let mut floor = Floor::new(2, |campaign| campaign.asks_agents = true);
    assert_eq!(floor.wait(0), [], "no agent, no lead");
    let states = |floor: &mut Floor, state| {
        (0..2).for_each(|n| {
            let agent = agent(n);
            floor.tell(Input::AgentChanged { agent, state });
        });
    };
    states(&mut floor, AgentState::Available);
    let commands = floor.supply(100);
    let cautious = floor.dial(&commands);
    assert_eq!(cautious.len(), 2, "nothing is known yet: one each");
    // Two hundred answer, one in fifty asks.
    let mut waiting = cautious;
    let mut met = 0;
    let mut most = 0;
    while met < 200 {
        most = most.max(waiting.len());
        for attempt in std::mem::take(&mut waiting) {
            met += 1;
            floor.tell(Input::AttemptAnswered { attempt });
            if met % 50 == 0 {
                floor.tell(Input::AttemptAsked { attempt });
                floor.tell(Input::AttemptConnected {
                    attempt,
                    agent: agent(0),
                });
            } else {
                floor.tell(Input::AttemptMessaged { attempt });
            }
            floor.tell(Input::AttemptLegEnded { attempt });
        }
        let mut commands = floor.supply(20);
        commands.extend(floor.wait(1_000));
        waiting = floor.dial(&commands);
        assert!(!waiting.is_empty(), "two agents wait for somebody to ask");
    }
    assert!(most >= 6, "it has learned that few ask: {most}");
    states(&mut floor, AgentState::SignedOut);
    let commands = floor.wait(1_000);
    assert_eq!(floor.dial(&commands), [], "nobody is there for who asks");
}

#[test]
fn who_asked_takes_an_agent_from_the_pacing_and_is_abandoned_where_none_comes() {
    let mut floor = Floor::new(1, |campaign| campaign.asks_agents = true);
    let (who, state) = (agent(0), AgentState::Available);
    floor.tell(Input::AgentChanged { agent: who, state });
    let commands = floor.supply(10);
    let attempt = floor.dial(&commands)[0];
    floor.tell(Input::AttemptAnswered { attempt });
    floor.tell(Input::AttemptAsked { attempt });
    let commands = floor.wait(2_000);
    assert_eq!(floor.dial(&commands), [], "the agent is for who has asked");
    let done = floor.tell(Input::AttemptAbandoned { attempt });
    let outcome = Floor::outcome(&done).map(|(outcome, _)| outcome);
    assert_eq!(outcome, Some(AttemptOutcome::Abandoned));
    let snapshot = floor.dialer.snapshot(floor.campaign).unwrap();
    assert_eq!((snapshot.answers, snapshot.abandons), (1, 1));
}

#[test]
fn the_dial_says_that_a_recorded_voice_speaks_first() {
    let recorded = |change: fn(&mut CampaignConfig)| {
        let mut floor = Floor::new(1, change);
        let (who, state) = (agent(0), AgentState::Available);
        floor.tell(Input::AgentChanged { agent: who, state });
        floor.wait(0);
        let commands = floor.supply(1);
        let claimed = commands.iter().find_map(|command| match command {
            Command::Claim { attempt, .. } => Some(*attempt),
            _ => None,
        });
        let attempt = claimed.expect("the lead is claimed");
        let done = floor.tell(Input::ClaimStored { attempt });
        let dial = done.into_iter().find_map(|command| match command {
            Command::Dial(dial) => Some(dial),
            _ => None,
        });
        let dial = dial.expect("it is dialled");
        (dial.prerecorded, dial.flow.is_some())
    };
    let progressive = |campaign: &mut CampaignConfig| {
        campaign.mode = Mode::Progressive;
        campaign.flow = None;
    };
    assert_eq!(recorded(|_| {}), (true, true));
    assert_eq!(recorded(progressive), (false, false));
    let leaves = |campaign: &mut CampaignConfig| {
        campaign.mode = Mode::Progressive;
        campaign.flow = None;
        campaign.detect_machines = true;
        campaign.on_machine = OnMachine::LeaveMessage;
        campaign.machine_prompt = Some("voicemail".into());
    };
    assert_eq!(
        recorded(leaves),
        (true, false),
        "a mailbox hears a recording too"
    );
}

#[test]
fn a_machine_that_gets_a_message_keeps_its_line_until_that_is_left() {
    let mut floor = Floor::new(0, |campaign| {
        campaign.detect_machines = true;
        campaign.on_machine = OnMachine::LeaveMessage;
        campaign.machine_prompt = Some("voicemail".into());
    });
    floor.wait(0);
    let commands = floor.supply(100);
    let mut dialled = floor.dial(&commands);
    let commands = floor.wait(1_000);
    dialled.extend(floor.dial(&commands));
    assert_eq!(dialled.len(), 40, "all lines are taken");
    for &attempt in &dialled {
        floor.tell(Input::AttemptAnswered { attempt });
        let verdict = Verdict::Machine;
        let done = floor.tell(Input::AttemptClassified { attempt, verdict });
        assert_eq!(Floor::outcome(&done), None, "the message is still to come");
    }
    let snapshot = floor.dialer.snapshot(floor.campaign).unwrap();
    assert_eq!(snapshot.in_flight, 0, "nobody waits for an agent");
    let commands = floor.wait(2_000);
    assert_eq!(floor.dial(&commands), [], "no line is free");
    let done = floor.tell(Input::AttemptMessaged {
        attempt: dialled[0],
    });
    let outcome = Floor::outcome(&done).map(|(outcome, _)| outcome);
    assert_eq!(outcome, Some(AttemptOutcome::Machine));
    let commands = floor.wait(2_000);
    assert_eq!(floor.dial(&commands), [], "its leg is still there");
    let attempt = dialled[0];
    floor.tell(Input::AttemptLegEnded { attempt });
    let commands = floor.wait(2_000);
    assert_eq!(floor.dial(&commands).len(), 1, "one line is free");
    assert_eq!(snapshot.answers, 0, "no machine is a live answer");
}

#[test]
fn a_supervisor_moves_the_limits_within_the_law_and_never_beyond() {
    let mut floor = Floor::new(0, |_| {});
    let campaign = floor.campaign;
    let by = || "maria".to_string();
    let limit = |limit_pct| Input::SetAbandonLimit {
        campaign,
        limit_pct,
        by: by(),
    };
    for refused in [
        limit(3.5),
        limit(0.0),
        limit(-1.0),
        limit(f64::NAN),
        Input::SetPowerLevel {
            campaign,
            power_level: 10.5,
            by: by(),
        },
        Input::SetPowerLevel {
            campaign,
            power_level: f64::NAN,
            by: by(),
        },
        Input::SetMaxInFlight {
            campaign,
            max_in_flight: 0,
            by: by(),
        },
    ] {
        floor.out.facts.clear();
        floor.tell(refused.clone());
        let refusals = floor.out.facts.iter().filter(|fact| {
            matches!(fact, Fact::CampaignChangeRefused { supervisor: Some(by), .. } if by == "maria")
        });
        assert_eq!(refusals.count(), 1, "{refused:?}");
    }
    let left = floor.dialer.snapshot(campaign).unwrap().budget_left;
    for taken in [
        limit(1.0),
        Input::SetPowerLevel {
            campaign,
            power_level: 2.0,
            by: by(),
        },
        Input::SetMaxInFlight {
            campaign,
            max_in_flight: 7,
            by: by(),
        },
    ] {
        floor.tell(taken);
    }
    let changed = floor.out.facts.iter().rev().find_map(|fact| match fact {
        Fact::CampaignChanged {
            abandon_limit_pct,
            power_level,
            max_in_flight,
            supervisor,
            ..
        } => Some((
            *abandon_limit_pct,
            *power_level,
            *max_in_flight,
            supervisor.clone(),
        )),
        _ => None,
    });
    let expected = (Some(1.0), Some(2.0), Some(7), Some(by()));
    assert_eq!(changed, Some(expected));
    assert_eq!(left, 0.0);
    floor.wait(0);
    let commands = floor.supply(50);
    assert_eq!(
        floor.dial(&commands).len(),
        7,
        "no more in flight than asked for"
    );
    // A hundred live answers earn one abandonment now, not three.
    floor.tell(Input::HistoryLoaded {
        answers: vec![dialer::input::PastAnswers {
            campaign,
            at: floor.now.utc,
            answers: 100,
            abandons: 0,
            messaged: 0,
        }],
        dials: Vec::new(),
    });
    let left = floor.dialer.snapshot(campaign).unwrap().budget_left;
    assert!((left - 1.0).abs() < 1e-9, "{left}");
}

#[test]
fn a_campaign_does_not_become_agentless_by_a_click_nor_cease_to_be() {
    let mut floor = Floor::new(0, |_| {});
    let campaign = floor.campaign;
    let mode = Mode::Predictive;
    floor.tell(Input::SetMode { campaign, mode });
    let refused = |fact: &Fact| matches!(fact, Fact::CampaignChangeRefused { .. });
    assert!(floor.out.facts.iter().any(refused));
    assert_eq!(
        floor.dialer.snapshot(campaign).unwrap().mode,
        Mode::Agentless
    );
}
