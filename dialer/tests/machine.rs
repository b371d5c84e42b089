//! The machine as a whole: leads, claims, the law at the instant of dialling, retries, previews.

use dialer::config::CampaignConfig;
use dialer::input::{PastAnswers, PastDial};
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, GATHER_INTERVAL, Input, PACE_INTERVAL, STORE_BACKOFF};
use model::event::{Mode, PacingLimit, Verdict};
use model::heard::Tone;
use model::lead::LeadNext;
use model::{
    AgentId, AgentState, AttemptId, AttemptOutcome, CallId, CampaignId, Cause, Fact, Lead, LeadId,
    Mono, Now, Outbox, Utc,
};
use std::time::Duration;

struct Floor {
    dialer: Dialer,
    now: Now,
    out: Outbox<Command>,
    campaign: CampaignId,
}

fn utc(text: &str) -> Utc {
    Utc::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn lead(id: u64, number: &str) -> Lead {
    Lead::new(
        LeadId(id),
        "spring".parse().unwrap(),
        vec![number.parse().unwrap()],
    )
}

impl Floor {
    fn new(mode: Mode, rules: &str, agents: usize, at: &str) -> Floor {
        Floor::with(mode, rules, agents, at, |_| {})
    }

    fn with(
        mode: Mode,
        rules: &str,
        agents: usize,
        at: &str,
        change: impl FnOnce(&mut Config),
    ) -> Floor {
        let campaign: CampaignId = "spring".parse().unwrap();
        let mut settings = CampaignConfig::new(mode, "+4930123456");
        settings.agents = (0..agents).map(agent).collect();
        settings.lists = vec!["spring".parse().unwrap()];
        settings.trunks = vec!["carrier".parse().unwrap()];
        settings.rules = vec![rules.into()];
        settings.abandon_prompt = Some("abandon".into());
        let mut config = Config::default();
        config.campaigns.insert(campaign, settings);
        config.trunks.insert(
            "carrier".parse().unwrap(),
            TrunkLimits {
                concurrent_calls: 100,
                calls_per_second: 100.0,
            },
        );
        change(&mut config);
        assert_eq!(config.validate(), []);
        let now = Now {
            mono: Mono::from_micros(5_000_000),
            utc: utc(at),
        };
        Floor {
            dialer: Dialer::new(config, 3, 1),
            now,
            out: Outbox::new(),
            campaign,
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

    fn agent_is(&mut self, n: usize, state: AgentState) -> Vec<Command> {
        self.tell(Input::AgentChanged {
            agent: agent(n),
            state,
        })
    }

    fn supply(&mut self, leads: Vec<Lead>) -> Vec<Command> {
        let campaign = self.campaign;
        self.tell(Input::LeadsSupplied {
            campaign,
            leads,
            exhausted: true,
        })
    }

    /// One available agent, one lead, its claim asked for.
    fn claimed(&mut self, lead: Lead) -> AttemptId {
        self.agent_is(0, AgentState::Available);
        let commands = self.supply(vec![lead]);
        claim(&commands).expect("the lead is claimed")
    }

    /// Stores every claim among the commands; how many calls leave.
    fn store_all(&mut self, commands: &[Command]) -> usize {
        let claims: Vec<AttemptId> = commands
            .iter()
            .filter_map(|command| claim(std::slice::from_ref(command)))
            .collect();
        let stored = claims.into_iter();
        stored
            .map(|attempt| dials(&self.tell(Input::ClaimStored { attempt })))
            .sum()
    }
}

fn agent(n: usize) -> AgentId {
    format!("agent{n}").parse().unwrap()
}

fn claim(commands: &[Command]) -> Option<AttemptId> {
    commands.iter().find_map(|command| match command {
        Command::Claim { attempt, .. } => Some(*attempt),
        _ => None,
    })
}

fn dials(commands: &[Command]) -> usize {
    commands
        .iter()
        .filter(|command| matches!(command, Command::Dial(_)))
        .count()
}

fn resolved(commands: &[Command]) -> Option<(AttemptOutcome, LeadNext)> {
    commands.iter().find_map(|command| match command {
        Command::Resolve { outcome, next, .. } => Some((*outcome, *next)),
        _ => None,
    })
}

const NOON: &str = "2026-07-01T18:00:00Z";
const NEW_YORK: &str = "+12125550100";

#[test]
fn a_lead_is_dialled_only_once_its_claim_is_stored() {
    let mut floor = Floor::new(Mode::Progressive, "us", 1, NOON);
    let attempt = floor.claimed(lead(1, NEW_YORK));
    assert_eq!(dials(&floor.wait(PACE_INTERVAL)), 0);
    assert_eq!(dials(&floor.tell(Input::ClaimStored { attempt })), 1);
    assert_eq!(
        dials(&floor.tell(Input::ClaimStored { attempt })),
        0,
        "told twice, dialled once"
    );
}

#[test]
fn a_claim_stored_at_nine_in_the_evening_is_blocked_and_never_dialled() {
    // 21:00 in New York is 01:00Z.
    let mut floor = Floor::new(Mode::Progressive, "us", 1, "2026-07-02T00:59:59.999999Z");
    let attempt = floor.claimed(lead(1, NEW_YORK));
    floor.now = floor.now.plus(Duration::from_micros(1));
    let commands = floor.tell(Input::ClaimStored { attempt });
    assert_eq!(dials(&commands), 0);
    let opens = utc("2026-07-02T12:00:00Z");
    assert_eq!(
        resolved(&commands),
        Some((
            AttemptOutcome::Blocked,
            LeadNext::Again {
                at: opens,
                number: 0
            }
        ))
    );
    assert!(
        floor
            .out
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::AttemptBlocked { rule, .. } if rule == "US-5"))
    );
    assert!(floor.out.facts.iter().any(|fact| matches!(
        fact,
        Fact::AttemptEnded {
            outcome: AttemptOutcome::Blocked,
            ..
        }
    )));
}

#[test]
fn a_lead_whose_window_closes_in_the_hopper_goes_back_and_is_put_off_when_it_returns() {
    let mut floor = Floor::new(Mode::Progressive, "us", 1, "2026-07-02T00:59:50Z");
    floor.agent_is(0, AgentState::Available);
    floor.supply(vec![lead(1, NEW_YORK), lead(2, "+12125550101")]);
    let commands = floor.wait(Duration::from_secs(31));
    let returned = Command::ReturnLeads {
        campaign: floor.campaign,
        leads: vec![LeadId(2)],
    };
    assert!(commands.contains(&returned), "{commands:?}");
    let put_off = resolved(&floor.supply(vec![lead(2, "+12125550101")]));
    assert!(matches!(
        put_off,
        Some((AttemptOutcome::Blocked, LeadNext::Again { .. }))
    ));
}

#[test]
fn a_number_that_objects_while_it_is_claimed_is_not_dialled() {
    let mut floor = Floor::new(Mode::Progressive, "us", 1, NOON);
    let attempt = floor.claimed(lead(1, NEW_YORK));
    floor.tell(Input::DoNotCall {
        number: NEW_YORK.parse().unwrap(),
    });
    let commands = floor.tell(Input::ClaimStored { attempt });
    assert_eq!(dials(&commands), 0);
    assert_eq!(
        resolved(&commands),
        Some((AttemptOutcome::Blocked, LeadNext::Done))
    );
}

#[test]
fn a_do_not_call_number_leaves_the_leads_other_number() {
    let mut floor = Floor::new(Mode::Progressive, "us", 1, NOON);
    floor.tell(Input::DoNotCallLoaded {
        numbers: vec![NEW_YORK.parse().unwrap()],
    });
    floor.agent_is(0, AgentState::Available);
    let mut two = lead(1, NEW_YORK);
    two.numbers.push("+12125550199".parse().unwrap());
    let next = resolved(&floor.supply(vec![two]));
    assert!(
        matches!(
            next,
            Some((AttemptOutcome::Blocked, LeadNext::Again { number: 1, .. }))
        ),
        "{next:?}"
    );
}

#[test]
fn a_fourth_call_in_a_day_to_a_person_in_florida_is_blocked() {
    let mut floor = Floor::new(Mode::Progressive, "us", 1, "2026-07-01T14:00:00Z");
    for n in 0..3 {
        let attempt = floor.claimed(lead(1, "+13055550100"));
        assert_eq!(
            dials(&floor.tell(Input::ClaimStored { attempt })),
            1,
            "call {n}"
        );
        floor.tell(Input::AttemptFailed {
            attempt,
            cause: Cause::Busy,
        });
        floor.wait(Duration::from_secs(600));
    }
    let next = resolved(&floor.supply(vec![lead(1, "+13055550100")]));
    let tomorrow = utc("2026-07-02T14:00:00Z");
    assert_eq!(
        next,
        Some((
            AttemptOutcome::Blocked,
            LeadNext::Again {
                at: tomorrow,
                number: 0
            }
        ))
    );
    assert!(
        floor
            .out
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::AttemptBlocked { rule, .. } if rule == "FL-1"))
    );
}

#[test]
fn an_abandoned_person_in_the_kingdom_is_left_alone_for_seventy_two_hours() {
    let mut floor = Floor::with(
        Mode::Progressive,
        "uk",
        1,
        "2026-07-01T12:00:00Z",
        |config| {
            let campaign = config.campaigns.values_mut().next().unwrap();
            let soon = dialer::config::RetryRule {
                wait_s: 60,
                attempts: 9,
                other_number: false,
            };
            campaign.retry.insert(AttemptOutcome::Abandoned, soon);
        },
    );
    let attempt = floor.claimed(lead(1, "+442079460000"));
    floor.tell(Input::ClaimStored { attempt });
    floor.tell(Input::AttemptAnswered { attempt });
    let commands = floor.tell(Input::AttemptAbandoned { attempt });
    let at = utc("2026-07-04T12:00:00Z");
    assert_eq!(
        resolved(&commands),
        Some((AttemptOutcome::Abandoned, LeadNext::Again { at, number: 0 }))
    );
}

#[test]
fn a_store_that_fails_stops_claims_for_a_while_and_the_lead_is_kept() {
    let mut floor = Floor::new(Mode::Progressive, "demo", 1, NOON);
    let attempt = floor.claimed(lead(1, NEW_YORK));
    floor.tell(Input::ClaimRefused {
        attempt,
        store_failed: true,
    });
    assert_eq!(claim(&floor.wait(PACE_INTERVAL)), None);
    assert_eq!(
        floor.dialer.snapshot(floor.campaign).unwrap().limited_by,
        Some(PacingLimit::Store)
    );
    assert!(claim(&floor.wait(STORE_BACKOFF)).is_some(), "tried again");
}

#[test]
fn a_lead_someone_else_has_is_dropped_and_the_line_is_free() {
    let mut floor = Floor::with(Mode::Progressive, "demo", 1, NOON, |config| {
        config.trunks.values_mut().next().unwrap().concurrent_calls = 1;
    });
    let attempt = floor.claimed(lead(1, NEW_YORK));
    floor.tell(Input::ClaimRefused {
        attempt,
        store_failed: false,
    });
    assert!(claim(&floor.supply(vec![lead(2, "+12125550101")])).is_some());
}

#[test]
fn draining_and_pausing_dial_nothing_more() {
    for stop in [
        Input::Drain,
        Input::SetRunning {
            campaign: "spring".parse().unwrap(),
            running: false,
        },
    ] {
        let mut floor = Floor::new(Mode::Progressive, "demo", 2, NOON);
        let attempt = floor.claimed(lead(1, NEW_YORK));
        floor.supply(vec![lead(2, "+12125550101")]);
        let commands = floor.tell(stop);
        assert!(
            commands
                .iter()
                .any(|command| matches!(command, Command::ReturnLeads { .. }))
        );
        let commands = floor.tell(Input::ClaimStored { attempt });
        assert_eq!(dials(&commands), 0);
        assert_eq!(
            resolved(&commands).map(|next| next.0),
            Some(AttemptOutcome::Cancelled)
        );
        floor.agent_is(1, AgentState::Available);
        assert_eq!(claim(&floor.wait(Duration::from_secs(60))), None);
    }
}

#[test]
fn lines_and_calls_per_second_bound_the_dialling() {
    let mut floor = Floor::with(Mode::Progressive, "demo", 20, NOON, |config| {
        *config.trunks.values_mut().next().unwrap() = TrunkLimits {
            concurrent_calls: 7,
            calls_per_second: 3.0,
        };
    });
    (0..20).for_each(|n| drop(floor.agent_is(n, AgentState::Available)));
    let leads = (1..=40).map(|n| lead(n, &format!("+121255501{n:02}")));
    let commands = floor.supply(leads.collect());
    assert_eq!(floor.store_all(&commands), 3, "of one second");
    let mut left = 3;
    for _ in 0..100 {
        let commands = floor.wait(Duration::from_millis(100));
        left += floor.store_all(&commands);
    }
    assert_eq!(left, 7, "concurrent calls");
}

#[test]
fn a_line_is_held_while_the_agent_talks() {
    let mut floor = Floor::with(Mode::Progressive, "demo", 2, NOON, |config| {
        config.trunks.values_mut().next().unwrap().concurrent_calls = 1;
    });
    let attempt = floor.claimed(lead(1, NEW_YORK));
    floor.tell(Input::ClaimStored { attempt });
    floor.tell(Input::AttemptAnswered { attempt });
    floor.agent_is(0, AgentState::OnCall(CallId(1)));
    floor.tell(Input::AttemptConnected {
        attempt,
        agent: agent(0),
    });
    floor.agent_is(1, AgentState::Available);
    assert_eq!(claim(&floor.supply(vec![lead(2, "+12125550101")])), None);
    floor.agent_is(0, AgentState::WrapUp(CallId(1)));
    assert_eq!(claim(&floor.wait(PACE_INTERVAL)), None, "it is still there");
    floor.tell(Input::AttemptLegEnded { attempt });
    assert!(claim(&floor.wait(GATHER_INTERVAL)).is_some());
}

#[test]
fn a_machine_ends_the_attempt_and_counts_as_no_live_answer() {
    let mut floor = Floor::with(Mode::Progressive, "demo", 1, NOON, |config| {
        config
            .campaigns
            .values_mut()
            .next()
            .unwrap()
            .detect_machines = true;
    });
    let attempt = floor.claimed(lead(1, NEW_YORK));
    floor.tell(Input::ClaimStored { attempt });
    floor.tell(Input::AttemptAnswered { attempt });
    assert!(
        !floor
            .out
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::AttemptAnswered { .. }))
    );
    let commands = floor.tell(Input::AttemptClassified {
        attempt,
        verdict: Verdict::Machine,
    });
    assert_eq!(
        resolved(&commands).map(|next| next.0),
        Some(AttemptOutcome::Machine)
    );
    assert_eq!(floor.dialer.snapshot(floor.campaign).unwrap().answers, 0);
}

#[test]
fn a_tone_ends_the_attempt_with_its_own_outcome_before_the_answer_and_after_it() {
    for (tone, outcome) in [
        (Tone::Busy, AttemptOutcome::Busy),
        (Tone::SitVacantCode, AttemptOutcome::DisconnectedNumber),
        (Tone::SitNoCircuitLocal, AttemptOutcome::Failed),
        (Tone::FaxAnswering, AttemptOutcome::Fax),
    ] {
        for answers in [false, true] {
            let mut floor = Floor::with(Mode::Progressive, "demo", 1, NOON, |config| {
                let campaign = config.campaigns.values_mut().next().unwrap();
                campaign.detect_machines = true;
            });
            let attempt = floor.claimed(lead(1, NEW_YORK));
            floor.tell(Input::ClaimStored { attempt });
            if answers {
                floor.tell(Input::AttemptAnswered { attempt });
                let verdict = Verdict::Unsure;
                floor.tell(Input::AttemptClassified { attempt, verdict });
            }
            let commands = floor.tell(Input::AttemptHeardTone { attempt, tone });
            let resolved = resolved(&commands).map(|next| next.0);
            assert_eq!(resolved, Some(outcome), "{tone:?}, answers: {answers}");
            assert_eq!(floor.dialer.snapshot(floor.campaign).unwrap().answers, 0);
        }
    }
}

#[test]
fn a_previewed_lead_is_dialled_for_the_agent_who_accepts_and_the_next_one_shown_after_a_skip() {
    let mut floor = Floor::new(Mode::Preview, "demo", 1, NOON);
    floor.agent_is(0, AgentState::Available);
    let shown = |commands: &[Command]| {
        commands.iter().find_map(|command| match command {
            Command::OfferPreview { attempt, lead, .. } => Some((*attempt, lead.id)),
            _ => None,
        })
    };
    let (first, id) =
        shown(&floor.supply(vec![lead(1, NEW_YORK), lead(2, "+12125550101")])).unwrap();
    assert_eq!(id, LeadId(1));
    let commands = floor.tell(Input::PreviewAnswered {
        agent: agent(0),
        attempt: first,
        accept: false,
    });
    let (second, id) = shown(&commands).unwrap();
    assert_eq!((id, claim(&commands)), (LeadId(2), None));
    let (third, id) = shown(&floor.wait(Duration::from_secs(61))).unwrap();
    assert_eq!(id, LeadId(1), "the second took too long");
    assert!(
        floor
            .tell(Input::PreviewAnswered {
                agent: agent(0),
                attempt: second,
                accept: true
            })
            .is_empty()
    );
    let commands = floor.tell(Input::PreviewAnswered {
        agent: agent(0),
        attempt: third,
        accept: true,
    });
    let attempt = claim(&commands).unwrap();
    let commands = floor.tell(Input::ClaimStored { attempt });
    assert!(
        commands
            .iter()
            .any(|command| matches!(command, Command::Dial(dial) if dial.agent == Some(agent(0))))
    );
}

#[test]
fn a_preview_that_runs_out_or_whose_lead_is_withdrawn_or_forbidden_is_taken_back() {
    let mut floor = Floor::new(Mode::Preview, "demo", 1, NOON);
    let shown = |commands: &[Command]| {
        commands.iter().find_map(|command| match command {
            Command::OfferPreview { attempt, lead, .. } => Some((*attempt, lead.number())),
            _ => None,
        })
    };
    floor.agent_is(0, AgentState::Available);
    let leads = (1..=3).map(|n| lead(n, &format!("+1212555010{n}")));
    let (first, _) = shown(&floor.supply(leads.collect())).unwrap();

    let commands = floor.wait(Duration::from_secs(61));
    assert!(commands.contains(&Command::Cancel { attempt: first }));
    let (second, _) = shown(&commands).unwrap();

    let mut commands = floor.tell(Input::LeadWithdrawn { lead: LeadId(2) });
    assert!(commands.contains(&Command::Cancel { attempt: second }));
    commands.extend(floor.wait(PACE_INTERVAL));
    let (third, number) = shown(&commands).unwrap();

    floor.tell(Input::DoNotCall { number });
    let commands = floor.tell(Input::PreviewAnswered {
        agent: agent(0),
        attempt: third,
        accept: true,
    });
    assert!(commands.contains(&Command::Cancel { attempt: third }));
    assert_eq!(claim(&commands), None);
}

#[test]
fn a_freed_agent_is_dialled_for_in_the_same_input() {
    let mut floor = Floor::new(Mode::Progressive, "demo", 2, NOON);
    floor.claimed(lead(1, NEW_YORK));
    floor.supply(vec![lead(2, "+12125550101")]);
    assert!(claim(&floor.agent_is(1, AgentState::Available)).is_some());
}

#[test]
fn ids_of_the_next_boot_are_others() {
    let mut first = Floor::new(Mode::Progressive, "demo", 1, NOON);
    let attempt = first.claimed(lead(1, NEW_YORK));
    assert_eq!(attempt.to_string(), "attempt-3.1");
}

#[test]
fn a_restart_does_not_forget_the_calls_of_the_day_to_a_person_in_florida() {
    let mut floor = Floor::new(Mode::Progressive, "us", 1, "2026-07-01T14:00:00Z");
    let earlier = |hour: u32| PastDial {
        number: "+13055550100".parse().unwrap(),
        person: LeadId(1).to_string(),
        at: utc(&format!("2026-07-01T{hour:02}:00:00Z")),
        outcome: None,
        ended_at: None,
        subject: None,
        debt: None,
    };
    floor.tell(Input::HistoryLoaded {
        answers: Vec::new(),
        dials: vec![earlier(11), earlier(12), earlier(13)],
    });
    floor.agent_is(0, AgentState::Available);
    let next = resolved(&floor.supply(vec![lead(1, "+13055550100")]));
    // The first call leaves the 24 hours at seven in Miami; Florida opens at eight.
    let at = utc("2026-07-02T12:00:00Z");
    assert_eq!(
        next,
        Some((AttemptOutcome::Blocked, LeadNext::Again { at, number: 0 }))
    );
}

#[test]
fn a_restart_does_not_forget_the_abandoned_calls_of_the_days_before() {
    let mut floor = Floor::new(Mode::Predictive, "demo", 1, "2026-07-20T14:00:00Z");
    let past = |day: u32, answers, abandons| PastAnswers {
        campaign: "spring".parse().unwrap(),
        at: utc(&format!("2026-07-{day:02}T13:00:00Z")),
        answers,
        abandons,
        messaged: 0,
    };
    floor.tell(Input::HistoryLoaded {
        answers: vec![past(1, 500, 20), past(19, 500, 20)],
        dials: Vec::new(),
    });
    let snapshot = floor.dialer.snapshot(floor.campaign).unwrap();
    assert_eq!((snapshot.answers, snapshot.abandons), (1_000, 40));
    assert!(
        snapshot.budget_left < 0.0,
        "4 % of 1000 answers, where 3 % are allowed: {}",
        snapshot.budget_left
    );
    floor.agent_is(0, AgentState::Available);
    let leads = (0..50).map(|n| lead(n + 1, NEW_YORK)).collect();
    let claims = floor
        .supply(leads)
        .iter()
        .filter(|command| matches!(command, Command::Claim { .. }))
        .count();
    assert_eq!(claims, 1, "one call per available agent, no more");
}

#[test]
fn nobody_is_dialled_while_records_cannot_be_put_away() {
    let mut floor = Floor::new(Mode::Progressive, "demo", 1, NOON);
    floor.tell(Input::Congested { on: true });
    floor.agent_is(0, AgentState::Available);
    assert_eq!(claim(&floor.supply(vec![lead(1, NEW_YORK)])), None);
    assert_eq!(
        floor.dialer.snapshot(floor.campaign).unwrap().limited_by,
        Some(PacingLimit::Store)
    );
    assert!(claim(&floor.tell(Input::Congested { on: false })).is_some());
}

#[test]
fn a_decision_says_how_often_others_take_the_agents() {
    let taken = |by_others: u64| {
        let mut floor = Floor::new(Mode::Predictive, "demo", 3, "2026-06-01T16:00:00Z");
        for n in 0..3 {
            floor.agent_is(n, AgentState::Available);
        }
        for call in 0..by_others {
            floor.wait(Duration::from_secs(30));
            floor.agent_is(0, AgentState::OnCall(CallId(call)));
            floor.agent_is(0, AgentState::Available);
        }
        floor.supply((0..20).map(|id| lead(id, "+4930555012")).collect());
        floor.wait(PACE_INTERVAL);
        let told = floor.out.facts.iter().rev().find_map(|fact| match fact {
            Fact::PacingDecided {
                taken_per_minute, ..
            } => Some(*taken_per_minute),
            _ => None,
        });
        let explained = floor.dialer.explain(floor.campaign).unwrap();
        (told.unwrap(), explained)
    };
    let (none, explained) = taken(0);
    assert_eq!(none, 0.0);
    assert!(
        explained.contains("others take 0.0 a minute"),
        "{explained}"
    );
    // One in half a minute, for a quarter of an hour; less what nobody knew at the start.
    let (often, explained) = taken(30);
    assert!((1.5..2.0).contains(&often), "{often}");
    let said = format!("3 available and 0 busy agents, of whom others take {often:.1} a minute");
    assert!(explained.contains(&said), "{explained}");
}
