//! Promised callbacks: told before, kept by the agent who promised, or by anyone; never outside the law.

use dialer::config::CampaignConfig;
use dialer::input::Callback;
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, Input};
use model::event::Mode;
use model::lead::LeadNext;
use model::{AgentId, AgentState, CampaignId, Fact, Lead, LeadId, Mono, Now, Outbox, Utc};
use std::time::Duration;

/// Half past eight in the evening in New York: half an hour of legal calling is left.
const EVENING_US: i64 = 1_767_835_800_000_000;

struct Floor {
    dialer: Dialer,
    now: Now,
    out: Outbox<Command>,
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn campaign() -> CampaignId {
    name("spring")
}

fn lead(id: u64) -> Lead {
    Lead {
        attempts: 1,
        ..Lead::new(
            LeadId(id),
            name("spring"),
            vec![name(&format!("+1212{}", 2_000_000 + id))],
        )
    }
}

impl Floor {
    fn new(change: impl FnOnce(&mut CampaignConfig)) -> Floor {
        let mut settings = CampaignConfig::new(Mode::Progressive, "+12125550100");
        settings.agents = vec![name("anna"), name("bert")];
        settings.lists = vec![name("spring")];
        settings.trunks = vec![name("carrier")];
        settings.rules = vec!["us".into()];
        settings.abandon_prompt = Some("abandon".into());
        change(&mut settings);
        let mut config = Config::default();
        config.campaigns.insert(campaign(), settings);
        config
            .trunks
            .insert(name("carrier"), TrunkLimits::default());
        assert_eq!(config.validate(), []);
        Floor {
            dialer: Dialer::new(config, 1, 1),
            now: Now {
                mono: Mono::from_micros(5_000_000),
                utc: Utc::from_micros(EVENING_US),
            },
            out: Outbox::new(),
        }
    }

    fn tell(&mut self, input: Input) -> Vec<Command> {
        self.dialer.handle(self.now, input, &mut self.out);
        self.out.commands.drain(..).collect()
    }

    /// Time passes from deadline to deadline, as in the engine.
    fn wait_s(&mut self, seconds: u64) -> Vec<Command> {
        let until = self.now.mono + Duration::from_secs(seconds);
        let mut commands = Vec::new();
        while let Some(at) = self.dialer.next_deadline().filter(|at| *at <= until) {
            let step = at.since(self.now.mono).max(Duration::from_millis(1));
            self.now = self.now.plus(step);
            commands.extend(self.tell(Input::Tick));
        }
        self.now = self.now.plus(until.since(self.now.mono));
        commands
    }

    fn is(&mut self, agent: &str, state: AgentState) -> Vec<Command> {
        let agent = name(agent);
        self.tell(Input::AgentChanged { agent, state })
    }

    fn promise(&mut self, id: u64, agent: Option<&str>, in_s: i64) -> Vec<Command> {
        let callback = Callback {
            lead: lead(id),
            agent: agent.map(name),
            at: self.now.utc.plus_micros(in_s * 1_000_000),
        };
        self.tell(Input::CallbacksSupplied {
            campaign: campaign(),
            callbacks: vec![callback],
        })
    }

    fn reminders(&mut self) -> Vec<(LeadId, Option<AgentId>)> {
        let of = |fact: Fact| match fact {
            Fact::CallbackDue { lead, agent, .. } => Some((lead, agent)),
            _ => None,
        };
        self.out.facts.drain(..).filter_map(of).collect()
    }
}

fn claimed(commands: &[Command]) -> Vec<LeadId> {
    let of = |command: &Command| match command {
        Command::Claim { lead, .. } => Some(*lead),
        _ => None,
    };
    commands.iter().filter_map(of).collect()
}

fn shown(commands: &[Command]) -> Vec<(AgentId, LeadId)> {
    let of = |command: &Command| match command {
        Command::OfferPreview { agent, lead, .. } => Some((*agent, lead.id)),
        _ => None,
    };
    commands.iter().filter_map(of).collect()
}

#[test]
fn a_callback_for_anyone_is_told_before_and_dialled_before_everything_else_when_due() {
    let mut floor = Floor::new(|_| {});
    floor.promise(7, None, 600);
    floor.wait_s(299);
    assert_eq!(floor.reminders(), []);
    floor.wait_s(2);
    assert_eq!(floor.reminders(), [(LeadId(7), None)]);
    floor.tell(Input::LeadsSupplied {
        campaign: campaign(),
        leads: vec![lead(1), lead(2)],
        exhausted: true,
    });
    floor.wait_s(300);
    assert_eq!(floor.reminders(), [], "told once");
    let commands = floor.is("anna", AgentState::Available);
    assert_eq!(claimed(&commands), [LeadId(7)]);
}

#[test]
fn a_callback_of_an_agent_waits_for_that_agent_and_is_shown_to_no_other() {
    let mut floor = Floor::new(|_| {});
    floor.is("bert", AgentState::Available);
    floor.promise(7, Some("anna"), 60);
    let commands = floor.wait_s(300);
    assert_eq!((shown(&commands), claimed(&commands)), (vec![], vec![]));
    let commands = floor.is("anna", AgentState::Available);
    assert_eq!(shown(&commands), [(name("anna"), LeadId(7))]);
}

#[test]
fn a_callback_whose_agent_does_not_come_falls_to_anyone_and_is_told_again() {
    let mut floor = Floor::new(|_| {});
    floor.is("bert", AgentState::Available);
    floor.promise(7, Some("anna"), 60);
    let commands = floor.wait_s(60 + 599);
    assert_eq!(claimed(&commands), []);
    let commands = floor.wait_s(2);
    assert_eq!(claimed(&commands), [LeadId(7)]);
    let told = [(LeadId(7), Some(name("anna"))), (LeadId(7), None)];
    assert_eq!(floor.reminders(), told);
}

#[test]
fn a_callback_that_only_its_agent_may_keep_is_told_again_and_again_and_waits() {
    let mut floor = Floor::new(|settings| settings.callback_to_anyone = false);
    floor.is("bert", AgentState::Available);
    floor.promise(7, Some("anna"), 0);
    let commands = floor.wait_s(1_300);
    assert_eq!((shown(&commands), claimed(&commands)), (vec![], vec![]));
    assert_eq!(floor.reminders(), [(LeadId(7), Some(name("anna"))); 3]);
}

#[test]
fn a_callback_after_hours_is_moved_to_the_first_legal_instant_and_an_event_says_so() {
    let mut floor = Floor::new(|_| {});
    floor.is("anna", AgentState::Available);
    floor.promise(7, Some("anna"), 3_000);
    let commands = floor.wait_s(3_001);
    assert_eq!((shown(&commands), claimed(&commands)), (vec![], vec![]));
    let blocked = floor
        .out
        .facts
        .iter()
        .any(|fact| matches!(fact, Fact::AttemptBlocked { lead, .. } if *lead == LeadId(7)));
    assert!(blocked);
    let moved = commands.iter().find_map(|command| match command {
        Command::Resolve {
            next: LeadNext::Again { at, .. },
            ..
        } => Some(*at),
        _ => None,
    });
    // Eight o'clock the next morning, eleven and a half hours after half past eight.
    let eight = EVENING_US + 11 * 3_600_000_000 + 1_800_000_000;
    assert_eq!(moved, Some(Utc::from_micros(eight)));
}

#[test]
fn a_withdrawn_callback_and_those_of_a_stopped_campaign_are_not_kept() {
    let mut floor = Floor::new(|_| {});
    floor.is("bert", AgentState::Available);
    floor.promise(7, None, 60);
    floor.tell(Input::LeadWithdrawn { lead: LeadId(7) });
    floor.promise(8, None, 60);
    let returned = floor.tell(Input::SetRunning {
        campaign: campaign(),
        running: false,
    });
    let leads = vec![LeadId(8)];
    assert!(returned.contains(&Command::ReturnLeads {
        campaign: campaign(),
        leads,
    }));
    assert_eq!(claimed(&floor.wait_s(120)), []);
}
