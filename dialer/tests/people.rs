//! Quotas and attempts of a day, at the machine: who is dialled no more, and when again.

use dialer::config::CampaignConfig;
use dialer::filter::Filter;
use dialer::input::{Callback, LeadPast};
use dialer::quota::{Period, Quota, QuotaCount};
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, Input};
use model::event::Mode;
use model::lead::LeadNext;
use model::{
    AgentId, AgentState, AttemptId, CallId, CampaignId, Cause, Fact, Lead, LeadId, Mono, Now,
    Outbox, Rng, Utc,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A Wednesday in January, noon in New York.
const NOON_US: i64 = 1_767_805_200_000_000;

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn campaign() -> CampaignId {
    name("spring")
}

fn lead(id: u64, region: &str) -> Lead {
    Lead {
        fields: BTreeMap::from([("region".to_string(), region.to_string())]),
        ..Lead::new(
            LeadId(id),
            name("spring"),
            vec![name(&format!("+1212{}", 2_000_000 + id))],
        )
    }
}

fn quota(region: &str, at_most: u64, per: Period) -> Quota {
    Quota {
        name: region.into(),
        cell: Filter::new(&format!("region = \"{region}\"")),
        outcome: name("sale"),
        at_most,
        per,
    }
}

struct Floor {
    dialer: Dialer,
    now: Now,
    out: Outbox<Command>,
}

impl Floor {
    fn new(agents: u32, change: impl FnOnce(&mut CampaignConfig)) -> Floor {
        let mut settings = CampaignConfig::new(Mode::Progressive, "+12125550100");
        settings.agents = (0..agents).map(agent).collect();
        settings.lists = vec![name("spring")];
        settings.trunks = vec![name("carrier")];
        settings.rules = vec!["us".into()];
        settings.abandon_prompt = Some("abandon".into());
        change(&mut settings);
        let mut config = Config::default();
        config.campaigns.insert(campaign(), settings);
        let limits = TrunkLimits {
            concurrent_calls: 1_000,
            calls_per_second: 1_000.0,
        };
        config.trunks.insert(name("carrier"), limits);
        assert_eq!(config.validate(), []);
        Floor {
            dialer: Dialer::new(config, 1, 1),
            now: Now {
                mono: Mono::from_micros(5_000_000),
                utc: Utc::from_micros(NOON_US),
            },
            out: Outbox::new(),
        }
    }

    fn tell(&mut self, input: Input) -> Vec<Command> {
        self.dialer.handle(self.now, input, &mut self.out);
        self.out.commands.drain(..).collect()
    }

    fn wait(&mut self, time: Duration) -> Vec<Command> {
        self.now = self.now.plus(time);
        self.tell(Input::Tick)
    }

    fn is(&mut self, n: u32, state: AgentState) -> Vec<Command> {
        let agent = agent(n);
        self.tell(Input::AgentChanged { agent, state })
    }

    fn supply(&mut self, leads: Vec<Lead>) -> Vec<Command> {
        self.tell(Input::LeadsSupplied {
            campaign: campaign(),
            leads,
            exhausted: false,
        })
    }

    /// Talks with the lead and says what came of it.
    fn sells(&mut self, lead: Lead) -> Vec<Command> {
        let mut commands = self.is(0, AgentState::Available);
        commands.extend(self.supply(vec![lead.clone()]));
        let (attempt, _) = claims(&commands).pop().expect("it is claimed");
        self.tell(Input::ClaimStored { attempt });
        self.is(0, AgentState::OnCall(CallId(1)));
        self.tell(Input::AttemptConnected {
            attempt,
            agent: agent(0),
        });
        self.tell(Input::AttemptLegEnded { attempt });
        self.is(0, AgentState::WrapUp(CallId(1)));
        self.disposes(lead.id, "sale")
    }

    fn disposes(&mut self, lead: LeadId, disposition: &str) -> Vec<Command> {
        let disposition = name(disposition);
        self.tell(Input::LeadDisposed { lead, disposition })
    }
}

fn agent(n: u32) -> AgentId {
    name(&format!("a{n}"))
}

fn claims(commands: &[Command]) -> Vec<(AttemptId, LeadId)> {
    let of = |command: &Command| match command {
        Command::Claim { attempt, lead, .. } => Some((*attempt, *lead)),
        _ => None,
    };
    commands.iter().filter_map(of).collect()
}

fn returned(commands: &[Command]) -> Vec<LeadId> {
    let of = |command: &Command| match command {
        Command::ReturnLeads { leads, .. } => leads.clone(),
        _ => Vec::new(),
    };
    commands.iter().flat_map(of).collect()
}

fn saved(commands: &[Command]) -> Vec<(u64, bool)> {
    let of = |command: &Command| match command {
        Command::SaveQuota(QuotaCount { count, full, .. }) => Some((*count, *full)),
        _ => None,
    };
    commands.iter().filter_map(of).collect()
}

#[test]
fn a_lead_of_a_full_quota_is_given_back_and_those_that_wait_as_well() {
    let mut floor = Floor::new(1, |settings| {
        settings.quotas = vec![quota("north", 2, Period::Campaign)];
    });
    assert_eq!(saved(&floor.sells(lead(1, "north"))), [(1, false)]);
    floor.supply(vec![lead(2, "north"), lead(3, "north"), lead(4, "south")]);
    let commands = floor.sells(lead(5, "north"));
    // Lead 2 was claimed first when the agent was free, so it was the one that talked.
    assert_eq!(saved(&commands), []);
    let commands = floor.disposes(LeadId(2), "sale");
    assert_eq!(saved(&commands), [(2, true)]);
    assert_eq!(returned(&commands), [LeadId(3), LeadId(5)]);
    assert!(floor.out.facts.iter().any(|fact| matches!(
        fact,
        Fact::QuotaFull { quota, count: 2, at_most: 2, .. } if quota == "north"
    )));
    assert_eq!(returned(&floor.supply(vec![lead(6, "north")])), [LeadId(6)]);
    let commands = floor.is(0, AgentState::Available);
    let dialled: Vec<LeadId> = claims(&commands).iter().map(|(_, lead)| *lead).collect();
    assert_eq!(dialled, [LeadId(4)], "the south is not full");
    // The agent has erred: there is room for one again.
    assert_eq!(
        saved(&floor.disposes(LeadId(2), "no_interest")),
        [(1, false)]
    );
    assert_eq!(returned(&floor.supply(vec![lead(7, "north")])), []);
}

#[test]
fn a_claim_that_is_stored_after_its_quota_is_full_is_not_dialled() {
    let mut floor = Floor::new(2, |settings| {
        settings.quotas = vec![quota("north", 1, Period::Campaign)];
    });
    floor.sells_not_yet(lead(1, "north"));
    let commands = [
        floor.is(1, AgentState::Available),
        floor.supply(vec![lead(2, "north")]),
    ]
    .concat();
    let (attempt, _) = claims(&commands)[0];
    floor.disposes(LeadId(1), "sale");
    let commands = floor.tell(Input::ClaimStored { attempt });
    assert!(
        !commands
            .iter()
            .any(|command| matches!(command, Command::Dial(_)))
    );
    let again = |command: &Command| {
        matches!(
            command,
            Command::Resolve {
                next: LeadNext::Again { .. },
                ..
            }
        )
    };
    assert!(commands.iter().any(again), "it is not lost");
}

impl Floor {
    fn sells_not_yet(&mut self, lead: Lead) {
        let mut commands = self.is(0, AgentState::Available);
        commands.extend(self.supply(vec![lead]));
        let (attempt, _) = claims(&commands)[0];
        self.tell(Input::ClaimStored { attempt });
        self.is(0, AgentState::OnCall(CallId(1)));
        self.tell(Input::AttemptConnected {
            attempt,
            agent: agent(0),
        });
        self.tell(Input::AttemptLegEnded { attempt });
    }
}

#[test]
fn a_quota_of_the_day_is_open_again_at_midnight_where_the_campaign_is() {
    let mut floor = Floor::new(1, |settings| {
        settings.quotas = vec![quota("north", 1, Period::Day)];
        settings.time_zone = Some("America/Los_Angeles".into());
        settings.rules = vec!["demo".into()];
    });
    assert_eq!(saved(&floor.sells(lead(1, "north"))), [(1, true)]);
    assert_eq!(returned(&floor.supply(vec![lead(2, "north")])), [LeadId(2)]);
    // Midnight in Los Angeles is fifteen hours after noon in New York.
    floor.wait(Duration::from_secs(15 * 3_600 - 1));
    assert_eq!(returned(&floor.supply(vec![lead(2, "north")])), [LeadId(2)]);
    assert!(
        floor
            .dialer
            .next_deadline()
            .is_some_and(|at| at <= floor.now.mono + Duration::from_secs(1))
    );
    assert_eq!(saved(&floor.wait(Duration::from_secs(1))), [(0, false)]);
    assert_eq!(returned(&floor.supply(vec![lead(2, "north")])), []);
    // What was counted yesterday is not taken back from today.
    assert_eq!(saved(&floor.disposes(LeadId(1), "no_interest")), []);
}

#[test]
fn a_restart_remembers_what_was_counted_and_forgets_what_was_of_another_day() {
    let loaded = |per, day: &str, at_most, count, full| {
        let mut floor = Floor::new(1, |settings| {
            settings.quotas = vec![quota("north", at_most, per)];
            settings.time_zone = Some("America/New_York".into());
        });
        let past = QuotaCount {
            campaign: campaign(),
            quota: "north".into(),
            day: day.into(),
            count,
            full,
        };
        let commands = floor.tell(Input::QuotasLoaded { quotas: vec![past] });
        let back = returned(&floor.supply(vec![lead(1, "north")]));
        (saved(&commands), back.len())
    };
    assert_eq!(loaded(Period::Campaign, "", 5, 5, true), (vec![], 1));
    assert_eq!(loaded(Period::Day, "2026-01-07", 5, 5, true), (vec![], 1));
    assert_eq!(
        loaded(Period::Day, "2026-01-06", 5, 5, true),
        (vec![(0, false)], 0)
    );
    // The bound was moved meanwhile.
    assert_eq!(
        loaded(Period::Campaign, "", 6, 5, true),
        (vec![(5, false)], 0)
    );
    assert_eq!(
        loaded(Period::Campaign, "", 4, 5, false),
        (vec![(5, true)], 1)
    );
}

#[test]
fn a_callback_of_a_full_quota_waits_for_the_next_day_and_is_told() {
    let mut floor = Floor::new(1, |settings| {
        settings.quotas = vec![quota("north", 1, Period::Campaign)];
    });
    floor.sells(lead(1, "north"));
    let callback = Callback {
        lead: lead(2, "north"),
        agent: None,
        at: floor.now.utc,
    };
    let commands = floor.tell(Input::CallbacksSupplied {
        campaign: campaign(),
        callbacks: vec![callback],
    });
    assert_eq!(claims(&commands), []);
    assert!(
        floor
            .out
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::AttemptBlocked { rule, .. } if rule == "QUOTA-FULL"))
    );
}

#[test]
fn a_person_who_had_the_attempts_of_the_day_is_left_alone_unless_a_callback_was_promised() {
    let floor = |dials: u32| {
        let mut floor = Floor::new(1, |settings| settings.max_attempts_per_day = Some(2));
        let hours_ago = |hours: u32| floor.now.utc.plus_micros(-i64::from(hours) * 3_600_000_000);
        let dials = (1..=dials).rev().map(hours_ago).collect();
        let past = LeadPast {
            lead: LeadId(1),
            dials,
        };
        floor.tell(Input::LeadsPast { pasts: vec![past] });
        floor.is(0, AgentState::Available);
        floor
    };
    assert_eq!(claims(&floor(1).supply(vec![lead(1, "")])).len(), 1);
    let mut full = floor(2);
    let commands = full.supply(vec![lead(1, "")]);
    assert_eq!(claims(&commands), []);
    // Midnight in New York.
    let at = Utc::from_micros(NOON_US + 12 * 3_600_000_000);
    let next = LeadNext::Again { at, number: 0 };
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, Command::Resolve { next: is, .. } if *is == next))
    );
    assert!(full.out.facts.iter().any(
        |fact| matches!(fact, Fact::AttemptBlocked { rule, .. } if rule == "ATTEMPTS-PER-DAY")
    ));
    let mut promised = floor(2);
    let callback = Callback {
        lead: lead(1, ""),
        agent: None,
        at: promised.now.utc,
    };
    let commands = promised.tell(Input::CallbacksSupplied {
        campaign: campaign(),
        callbacks: vec![callback],
    });
    assert_eq!(claims(&commands).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Random days: leads of three regions, agents who sell or not, corrections, callbacks that fail.
    #[test]
    fn a_quota_is_overshot_by_no_more_than_was_in_flight_when_it_became_full(seed: u64, at_most in 1_u64..6) {
        let mut rng = Rng::new(seed);
        let mut floor = Floor::new(8, |settings| {
            settings.quotas = vec![quota("north", at_most, Period::Campaign), quota("south", 2 * at_most, Period::Campaign)];
            settings.mode = if seed % 2 == 0 { Mode::Power } else { Mode::Progressive };
            settings.power_level = 3.0;
        });
        let regions = ["north", "south", "east"];
        let mut region_of: BTreeMap<LeadId, &str> = BTreeMap::new();
        let mut ringing: Vec<(AttemptId, LeadId)> = Vec::new();
        let mut talking: Vec<(u32, LeadId)> = Vec::new();
        let mut sold: BTreeMap<&str, u64> = BTreeMap::new();
        // In flight when it became full, and dialled since.
        let mut at_full: BTreeMap<&str, u64> = BTreeMap::new();
        let mut next_id = 1;
        let mut commands: Vec<Command> = (0..8).flat_map(|n| floor.is(n, AgentState::Available)).collect();
        for _ in 0..400 {
            let mut after = Vec::new();
            for command in std::mem::take(&mut commands) {
                match command {
                    Command::FetchLeads { .. } => {
                        let leads: Vec<Lead> = (0..1 + rng.below(12)).map(|_| {
                            let region = regions[rng.below(3) as usize];
                            next_id += 1;
                            region_of.insert(LeadId(next_id), region);
                            lead(next_id, region)
                        }).collect();
                        after.extend(floor.supply(leads));
                    }
                    Command::Claim { attempt, .. } => after.extend(floor.tell(Input::ClaimStored { attempt })),
                    Command::Dial(dial) => {
                        let region = region_of[&dial.lead.id];
                        prop_assert!(!at_full.contains_key(region), "dialled {} after it was full", region);
                        ringing.push((dial.attempt, dial.lead.id));
                    }
                    Command::Cancel { attempt } => {
                        ringing.retain(|(ringing, _)| *ringing != attempt);
                        after.extend(floor.tell(Input::AttemptFailed { attempt, cause: Cause::Cancelled }));
                    }
                    _ => {}
                }
            }
            commands = after;
            if !commands.is_empty() {
                continue;
            }
            match rng.below(3) {
                0 if !ringing.is_empty() => {
                    let (attempt, lead) = ringing.swap_remove(rng.below(ringing.len() as u64) as usize);
                    let busy: BTreeSet<u32> = talking.iter().map(|(n, _)| *n).collect();
                    let free = (0..8).find(|n| !busy.contains(n));
                    commands = match free {
                        Some(n) if rng.below(2) == 0 => {
                            talking.push((n, lead));
                            let mut commands = floor.is(n, AgentState::OnCall(CallId(attempt.0)));
                            commands.extend(floor.tell(Input::AttemptConnected { attempt, agent: agent(n) }));
                            commands
                        }
                        _ => floor.tell(Input::AttemptFailed { attempt, cause: Cause::NoAnswer }),
                    };
                    // Lines are of no account here.
                    commands.extend(floor.tell(Input::AttemptLegEnded { attempt }));
                }
                1 if !talking.is_empty() => {
                    let (n, lead) = talking.swap_remove(rng.below(talking.len() as u64) as usize);
                    let region = region_of[&lead];
                    let sale = rng.below(3) > 0;
                    commands = floor.disposes(lead, if sale { "sale" } else { "no_interest" });
                    if sale {
                        *sold.entry(region).or_default() += 1;
                        let bound = match region { "north" => at_most, "south" => 2 * at_most, _ => u64::MAX };
                        if sold[region] == bound {
                            let is_there = |lead: &LeadId| region_of[lead] == region;
                            let flight = ringing.iter().filter(|(_, lead)| is_there(lead)).count()
                                + talking.iter().filter(|(_, lead)| is_there(lead)).count();
                            at_full.insert(region, flight as u64);
                        }
                    }
                    commands.extend(floor.is(n, AgentState::Available));
                }
                _ => commands = floor.wait(Duration::from_millis(500)),
            }
        }
        for (region, bound) in [("north", at_most), ("south", 2 * at_most)] {
            let over = sold.get(region).copied().unwrap_or(0).saturating_sub(bound);
            prop_assert!(over <= at_full.get(region).copied().unwrap_or(0), "{region}: {over}");
        }
    }
}
