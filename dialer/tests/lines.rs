//! Lines as the machine uses them: carriers that stop answering, blocks of numbers, numbers to show,
//! and lists that share the dialling.

use dialer::caller_id::{PastUse, PoolConfig};
use dialer::config::CampaignConfig;
use dialer::mix::ListShare;
use dialer::trunk::{Block, TrunkLimits};
use dialer::{Command, Config, Dialer, Input};
use model::event::Mode;
use model::lead::LeadNext;
use model::{
    AgentState, AttemptId, AttemptOutcome, CampaignId, Lead, LeadId, Mono, Now, Outbox, TrunkId,
    Utc,
};
use std::collections::BTreeMap;
use std::time::Duration;

struct Floor {
    dialer: Dialer,
    now: Now,
    out: Outbox<Command>,
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn lead(id: u64, number: &str) -> Lead {
    Lead::new(LeadId(id), name("spring"), vec![name(number)])
}

fn campaign() -> CampaignId {
    name("spring")
}

/// A call that left.
#[derive(Debug, PartialEq)]
struct Left {
    attempt: AttemptId,
    trunk: TrunkId,
    number: String,
    caller_id: String,
}

impl Floor {
    /// Two carriers, ten available agents, one call for each.
    fn new(change: impl FnOnce(&mut Config)) -> Floor {
        let mut settings = CampaignConfig::new(Mode::Progressive, "+12125550100");
        settings.agents = (0..10).map(|n| name(&format!("agent{n}"))).collect();
        settings.lists = vec![name("spring")];
        settings.trunks = vec![name("first"), name("second")];
        settings.rules = vec!["demo".into()];
        settings.abandon_prompt = Some("abandon".into());
        let limits = TrunkLimits {
            concurrent_calls: 100,
            calls_per_second: 100.0,
        };
        let mut config = Config::default();
        config.campaigns.insert(campaign(), settings);
        config.trunks = BTreeMap::from([(name("first"), limits), (name("second"), limits)]);
        change(&mut config);
        assert_eq!(config.validate(), []);
        let now = Now {
            mono: Mono::from_micros(5_000_000),
            utc: Utc::from_micros(1_767_826_800_000_000),
        };
        let mut floor = Floor {
            dialer: Dialer::new(config, 1, 1),
            now,
            out: Outbox::new(),
        };
        for n in 0..10 {
            floor.tell(Input::AgentChanged {
                agent: name(&format!("agent{n}")),
                state: AgentState::Available,
            });
        }
        floor
    }

    fn tell(&mut self, input: Input) -> Vec<Command> {
        self.dialer.handle(self.now, input, &mut self.out);
        self.out.commands.drain(..).collect()
    }

    fn supply(&mut self, leads: Vec<Lead>) -> Vec<Command> {
        self.tell(Input::LeadsSupplied {
            campaign: campaign(),
            leads,
            exhausted: true,
        })
    }

    /// Stores every claim among the commands; the calls that leave.
    fn store(&mut self, commands: Vec<Command>) -> Vec<Left> {
        let claims: Vec<AttemptId> = commands.iter().filter_map(claim).collect();
        let mut left = Vec::new();
        for attempt in claims {
            for command in self.tell(Input::ClaimStored { attempt }) {
                if let Command::Dial(dial) = command {
                    left.push(Left {
                        attempt: dial.attempt,
                        trunk: dial.trunk,
                        number: dial.number.to_string(),
                        caller_id: dial.caller_id,
                    });
                }
            }
        }
        left
    }
}

fn claim(command: &Command) -> Option<AttemptId> {
    match command {
        Command::Claim { attempt, .. } => Some(*attempt),
        _ => None,
    }
}

#[test]
fn a_carrier_that_stops_answering_gets_no_calls_and_the_next_one_takes_them() {
    let mut floor = Floor::new(|_| {});
    let trunk: TrunkId = name("first");
    floor.tell(Input::TrunkChanged { trunk, up: false });
    let commands = floor.supply(vec![lead(1, "+12125550111"), lead(2, "+12125550112")]);
    let left = floor.store(commands);
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|call| call.trunk == name("second")));
    floor.tell(Input::TrunkChanged { trunk, up: true });
    let commands = floor.supply(vec![lead(3, "+12125550113")]);
    assert_eq!(floor.store(commands)[0].trunk, trunk);
}

#[test]
fn a_claim_whose_carrier_died_meanwhile_leaves_by_the_other_or_comes_again() {
    let mut floor = Floor::new(|_| {});
    let claims = floor.supply(vec![lead(1, "+12125550111")]);
    floor.tell(Input::TrunkChanged {
        trunk: name("first"),
        up: false,
    });
    assert_eq!(floor.store(claims)[0].trunk, name("second"));
    let claims = floor.supply(vec![lead(2, "+12125550112")]);
    let attempt = claims.iter().find_map(claim).unwrap();
    floor.tell(Input::TrunkChanged {
        trunk: name("second"),
        up: false,
    });
    let resolved = floor.tell(Input::ClaimStored { attempt });
    assert!(resolved.iter().any(|command| matches!(
        command,
        Command::Resolve {
            outcome: AttemptOutcome::Cancelled,
            next: LeadNext::Again { .. },
            ..
        }
    )));
    assert!(
        !resolved
            .iter()
            .any(|command| matches!(command, Command::Dial(_)))
    );
    let none = floor.supply(vec![lead(3, "+12125550113")]);
    assert_eq!(
        none.iter().filter_map(claim).count(),
        0,
        "no carrier answers"
    );
}

#[test]
fn a_used_up_block_lets_other_numbers_go_first_and_loses_nobody() {
    let mut floor = Floor::new(|config| {
        let block = Block {
            prefix: "+1212".into(),
            calls_per_second: 1.0,
        };
        config.campaigns.get_mut(&campaign()).unwrap().trunks = vec![name("first")];
        config.blocks.insert(name("first"), vec![block]);
    });
    let leads = [
        "+12125550111",
        "+12125550112",
        "+13105550113",
        "+12125550114",
    ];
    let leads = leads
        .iter()
        .zip(1..)
        .map(|(number, id)| lead(id, number))
        .collect();
    let commands = floor.supply(leads);
    let mut order: Vec<String> = floor
        .store(commands)
        .into_iter()
        .map(|call| call.number)
        .collect();
    assert_eq!(order, ["+12125550111", "+13105550113"]);
    for _ in 0..20 {
        floor.now = floor.now.plus(Duration::from_millis(200));
        let commands = floor.tell(Input::Tick);
        order.extend(floor.store(commands).into_iter().map(|call| call.number));
    }
    assert_eq!(order[2..], ["+12125550112", "+12125550114"]);
}

fn pooled(cap: u32, own: &str) -> Floor {
    Floor::new(|config| {
        let settings = config.campaigns.get_mut(&campaign()).unwrap();
        settings.caller_id = own.into();
        settings.caller_ids = Some("east".into());
        let pool = PoolConfig {
            numbers: vec![name("+12125550100"), name("+13055550100")],
            local: true,
            calls_per_number_per_day: Some(cap),
            ..PoolConfig::default()
        };
        config.pools.insert("east".into(), pool);
    })
}

#[test]
fn a_call_shows_the_number_of_the_called_area_within_its_cap() {
    let mut floor = pooled(2, "");
    let numbers = [
        "+13055550111",
        "+13055550112",
        "+13055550113",
        "+12125550114",
        "+12125550115",
    ];
    let leads = numbers
        .iter()
        .zip(1..)
        .map(|(number, id)| lead(id, number))
        .collect();
    let commands = floor.supply(leads);
    let shown: Vec<String> = floor
        .store(commands)
        .into_iter()
        .map(|call| call.caller_id)
        .collect();
    assert_eq!(
        shown,
        [
            "+13055550100",
            "+13055550100",
            "+12125550100",
            "+12125550100"
        ]
    );
    let commands = floor.tell(Input::Tick);
    assert_eq!(
        commands.iter().filter_map(claim).count(),
        0,
        "no number is left to show"
    );
}

#[test]
fn what_was_shown_before_a_restart_counts_and_the_own_number_stands_in() {
    let mut floor = pooled(1, "+18005550100");
    let uses = vec![PastUse {
        number: name("+13055550100"),
        at: floor.now.utc,
        calls: 1,
    }];
    floor.tell(Input::CallerIdsShown { uses });
    let commands = floor.supply(vec![lead(1, "+13055550111"), lead(2, "+13055550112")]);
    let shown: Vec<String> = floor
        .store(commands)
        .into_iter()
        .map(|call| call.caller_id)
        .collect();
    assert_eq!(shown, ["+12125550100", "+18005550100"]);
}

#[test]
fn over_any_hundred_dials_each_list_has_its_share_within_one() {
    let shares = [("a", 55), ("b", 31), ("c", 14)];
    let mut floor = Floor::new(|config| {
        let settings = config.campaigns.get_mut(&campaign()).unwrap();
        let share = |(list, share): (&str, u32)| ListShare {
            name: name(list),
            share: Some(share),
            filter: None,
        };
        settings.lists = shares.map(share).to_vec();
        settings.calls_per_second = 1_000.0;
        for limits in config.trunks.values_mut() {
            limits.calls_per_second = 10_000.0;
        }
    });
    let mut order = Vec::new();
    let mut id = 0;
    // The answer to the question that the first agents led to.
    let mut commands = floor.tell(Input::LeadsSupplied {
        campaign: campaign(),
        leads: Vec::new(),
        exhausted: false,
    });
    for _ in 0..1_500 {
        let mut after = Vec::new();
        for command in commands {
            match command {
                Command::SaveLearned { .. } | Command::SaveQuota(_) => {}
                Command::FetchLeads { lists, count, .. } => {
                    let supplied = |n: u32| {
                        let number = format!("+1212{}", 2_000_000 + id + u64::from(n));
                        let mut lead = lead(id + u64::from(n), &number);
                        lead.list = lists[0];
                        lead
                    };
                    let leads = (1..=count).map(supplied).collect();
                    id += u64::from(count);
                    let campaign = campaign();
                    after.extend(floor.tell(Input::LeadsSupplied {
                        campaign,
                        leads,
                        exhausted: false,
                    }));
                }
                Command::Claim { attempt, list, .. } => {
                    order.push(list);
                    after.extend(floor.tell(Input::ClaimStored { attempt }));
                    let cause = model::Cause::Busy;
                    after.extend(floor.tell(Input::AttemptFailed { attempt, cause }));
                    after.extend(floor.tell(Input::AttemptLegEnded { attempt }));
                }
                Command::Dial(_)
                | Command::Resolve { .. }
                | Command::ReturnLeads { .. }
                | Command::OfferPreview { .. }
                | Command::AddLead { .. }
                | Command::Cancel { .. } => {}
            }
        }
        floor.now = floor.now.plus(Duration::from_millis(200));
        after.extend(floor.tell(Input::Tick));
        commands = after;
    }
    assert!(order.len() >= 400, "{}", order.len());
    // The first round begins while the first lists are being asked for.
    for window in order[100..].windows(100) {
        for (list, share) in shares {
            let count = window.iter().filter(|l| **l == name(list)).count() as i64;
            assert!(
                (count - i64::from(share)).abs() <= 1,
                "{list}: {count} of {share}"
            );
        }
    }
}
