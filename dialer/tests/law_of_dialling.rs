//! The law as the whole machine keeps it: lists, locks, consent and what is written down about them.

use dialer::config::CampaignConfig;
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, Input};
use model::event::{DoNotCallKind, Mode};
use model::lead::LeadNext;
use model::{
    AgentState, AttemptId, AttemptOutcome, CampaignId, Cause, Fact, Lead, LeadId, Now, Outbox, Utc,
};
use std::time::Duration;

const LONDON: &str = "+442079460100";
const NEW_YORK: &str = "+12125550100";

struct Floor {
    dialer: Dialer,
    now: Now,
    out: Outbox<Command>,
}

fn spring() -> CampaignId {
    "spring".parse().unwrap()
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
    fn new(mode: Mode, rules: &str, at: &str) -> Floor {
        let mut campaign = CampaignConfig::new(mode, "+442079469999");
        campaign.agents = vec!["anna".parse().unwrap()];
        campaign.lists = vec!["spring".parse().unwrap()];
        campaign.trunks = vec!["carrier".parse().unwrap()];
        campaign.rules = vec![rules.into()];
        campaign.abandon_prompt = Some("abandon".into());
        let mut config = Config::default();
        config.campaigns.insert(spring(), campaign);
        config
            .trunks
            .insert("carrier".parse().unwrap(), TrunkLimits::default());
        assert_eq!(config.validate(), []);
        let mut floor = Floor {
            dialer: Dialer::new(config, 1, 1),
            now: Now {
                mono: model::Mono::from_micros(1),
                utc: utc(at),
            },
            out: Outbox::new(),
        };
        floor.tell(Input::AgentChanged {
            agent: "anna".parse().unwrap(),
            state: AgentState::Available,
        });
        floor
    }

    fn tell(&mut self, input: Input) {
        self.out = Outbox::new();
        self.dialer.handle(self.now, input, &mut self.out);
    }

    fn supply(&mut self, lead: Lead) {
        self.tell(Input::LeadsSupplied {
            campaign: spring(),
            leads: vec![lead],
            exhausted: true,
        });
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    fn claim(&self) -> Option<AttemptId> {
        self.out.commands.iter().find_map(|command| match command {
            Command::Claim { attempt, .. } => Some(*attempt),
            Command::FetchLeads { .. }
            | Command::Dial(_)
            | Command::Resolve { .. }
            | Command::ReturnLeads { .. }
            | Command::AddLead { .. }
            | Command::OfferPreview { .. }
            | Command::SaveLearned { .. }
            | Command::SaveQuota(_)
            | Command::Cancel { .. } => None,
        })
    }

    fn preview(&self) -> Option<AttemptId> {
        self.out.commands.iter().find_map(|command| match command {
            Command::OfferPreview { attempt, .. } => Some(*attempt),
            Command::FetchLeads { .. }
            | Command::Dial(_)
            | Command::Resolve { .. }
            | Command::ReturnLeads { .. }
            | Command::AddLead { .. }
            | Command::Claim { .. }
            | Command::SaveLearned { .. }
            | Command::SaveQuota(_)
            | Command::Cancel { .. } => None,
        })
    }

    fn blocked(&self) -> Option<(&str, Option<&str>)> {
        self.out.facts.iter().find_map(|fact| match fact {
            Fact::AttemptBlocked { rule, reason, .. } => Some((rule.as_str(), reason.as_deref())),
            _ => None,
        })
    }

    fn next(&self) -> Option<LeadNext> {
        self.out.commands.iter().find_map(|command| match command {
            Command::Resolve { next, .. } => Some(*next),
            Command::FetchLeads { .. }
            | Command::Dial(_)
            | Command::Claim { .. }
            | Command::ReturnLeads { .. }
            | Command::AddLead { .. }
            | Command::OfferPreview { .. }
            | Command::SaveLearned { .. }
            | Command::SaveQuota(_)
            | Command::Cancel { .. } => None,
        })
    }

    /// Dials the lead and abandons it.
    fn abandon(&mut self, lead: Lead) {
        self.supply(lead);
        let attempt = self.claim().expect("the lead may be dialled");
        self.tell(Input::ClaimStored { attempt });
        self.tell(Input::AttemptAnswered { attempt });
        self.wait(Duration::from_secs(2));
        self.tell(Input::AttemptAbandoned { attempt });
    }
}

#[test]
fn an_abandoned_number_is_dialled_again_after_three_days_or_by_an_agent_who_looks_at_it() {
    let mut floor = Floor::new(Mode::Power, "uk", "2026-06-01T10:00:00Z");
    floor.abandon(lead(1, LONDON));
    // Another lead with the same number, an hour later.
    floor.wait(Duration::from_secs(3_600));
    floor.supply(lead(2, LONDON));
    assert_eq!(floor.claim(), None);
    assert_eq!(
        floor.blocked(),
        Some(("UK-2a", Some("abandoned within 72 h")))
    );
    let at = utc("2026-06-04T10:00:02Z");
    assert_eq!(floor.next(), Some(LeadNext::Again { at, number: 0 }));
    // In preview an agent is held for the call.
    floor.tell(Input::SetMode {
        campaign: spring(),
        mode: Mode::Preview,
    });
    floor.supply(lead(3, LONDON));
    assert!(floor.preview().is_some(), "{:?}", floor.out);
}

#[test]
fn a_campaign_that_leaves_preview_holds_no_agent_for_what_it_has_claimed() {
    let mut floor = Floor::new(Mode::Power, "uk", "2026-06-01T10:00:00Z");
    floor.abandon(lead(1, LONDON));
    floor.tell(Input::SetMode {
        campaign: spring(),
        mode: Mode::Preview,
    });
    floor.supply(lead(2, LONDON));
    let preview = floor.preview().expect("shown to the agent");
    floor.tell(Input::SetMode {
        campaign: spring(),
        mode: Mode::Power,
    });
    // The agent accepts: the lead was blocked meanwhile, for the campaign holds nobody any more.
    floor.tell(Input::PreviewAnswered {
        agent: "anna".parse().unwrap(),
        attempt: preview,
        accept: true,
    });
    let Some(attempt) = floor.claim() else {
        assert_eq!(floor.blocked().map(|(rule, _)| rule), Some("UK-2a"));
        return;
    };
    // Accepted all the same: then an agent is held, and the record says so.
    floor.tell(Input::ClaimStored { attempt });
    let is_held = floor.out.facts.iter().any(|fact| {
        matches!(fact, Fact::AttemptClaimed { basis: Some(basis), .. } if basis.agent_reserved)
    });
    assert!(is_held);
}

#[test]
fn a_claim_says_what_the_law_was_asked_about() {
    let mut floor = Floor::new(Mode::Progressive, "us", "2026-06-01T16:00:00Z");
    let mut asked = lead(1, NEW_YORK);
    asked.time_zone = Some("America/Chicago".into());
    for (column, value) in [
        ("state", "IL"),
        ("consent_at", "2026-01-01"),
        ("shoe", "42"),
    ] {
        asked.fields.insert(column.into(), value.into());
    }
    floor.supply(asked);
    let attempt = floor.claim().unwrap();
    floor.tell(Input::ClaimStored { attempt });
    let basis = floor.out.facts.iter().find_map(|fact| match fact {
        Fact::AttemptClaimed { basis, .. } => basis.clone(),
        _ => None,
    });
    let basis = basis.expect("a claim has a basis");
    assert_eq!(basis.rules, ["us"]);
    assert_eq!(basis.person, LeadId(1).to_string());
    assert_eq!(basis.time_zone.as_deref(), Some("America/Chicago"));
    assert_eq!(
        basis.columns.keys().collect::<Vec<_>>(),
        ["consent_at", "state"]
    );
    assert!(!basis.agent_reserved && !basis.prerecorded);
    let ring_min = floor.out.commands.iter().find_map(|command| match command {
        Command::Dial(dial) => Some(dial.ring_min),
        _ => None,
    });
    assert_eq!(ring_min, Some(Duration::from_secs(15)));
}

#[test]
fn a_list_is_told_of_with_its_date_and_holds_from_then_on() {
    let mut floor = Floor::new(Mode::Progressive, "us", "2026-06-01T16:00:00Z");
    let as_of = Some(utc("2026-05-20T00:00:00Z"));
    let load = |numbers: &[&str], more| Input::DoNotCallListLoaded {
        list: "us".parse().unwrap(),
        kind: DoNotCallKind::National,
        as_of,
        numbers: numbers
            .iter()
            .map(|number| number.parse().unwrap())
            .collect(),
        more,
    };
    floor.tell(load(&["+12125550199"], true));
    assert!(floor.out.facts.is_empty(), "half a list");
    floor.tell(load(&[NEW_YORK, NEW_YORK], false));
    assert_eq!(
        floor.out.facts[0],
        Fact::DoNotCallLoaded {
            list: "us".parse().unwrap(),
            kind: DoNotCallKind::National,
            as_of,
            numbers: 2
        }
    );
    let mut both = lead(1, NEW_YORK);
    both.numbers.push("+12125550101".parse().unwrap());
    floor.supply(both);
    assert_eq!(floor.blocked().map(|(rule, _)| rule), Some("US-6"));
    let at = floor.now.utc;
    assert_eq!(
        floor.next(),
        Some(LeadNext::Again { at, number: 1 }),
        "the other number"
    );
    floor.supply(lead(2, NEW_YORK));
    assert_eq!(floor.next(), Some(LeadNext::Done));
    // The list ages while the engine runs.
    floor.wait(Duration::from_secs(20 * 86_400));
    floor.supply(lead(3, "+12125550102"));
    let (rule, reason) = floor.blocked().unwrap();
    assert_eq!(rule, "US-6");
    assert!(reason.unwrap().contains("2026-05-20"), "{reason:?}");
    let at = floor.now.utc.plus_micros(86_400_000_000);
    assert_eq!(floor.next(), Some(LeadNext::Again { at, number: 0 }));
}

#[test]
fn an_objection_between_claim_and_dial_is_honoured_and_written_down() {
    let mut floor = Floor::new(Mode::Progressive, "us", "2026-06-01T16:00:00Z");
    floor.supply(lead(1, NEW_YORK));
    let attempt = floor.claim().unwrap();
    let number = NEW_YORK.parse().unwrap();
    floor.tell(Input::DoNotCall { number });
    assert_eq!(floor.out.facts, [Fact::DoNotCallAdded { number }]);
    floor.tell(Input::ClaimStored { attempt });
    assert_eq!(floor.blocked(), Some(("DNC", None)));
    assert!(
        !floor
            .out
            .commands
            .iter()
            .any(|command| matches!(command, Command::Dial(_)))
    );
}

#[test]
fn a_conversation_about_a_debt_locks_it_for_every_campaign_and_lead() {
    let mut floor = Floor::new(Mode::Progressive, "us", "2026-06-01T16:00:00Z");
    let debtor = |id, number: &str| {
        let mut lead = lead(id, number);
        lead.fields.insert("debt".into(), "d-1".into());
        lead
    };
    floor.supply(debtor(1, NEW_YORK));
    let attempt = floor.claim().unwrap();
    floor.tell(Input::ClaimStored { attempt });
    floor.tell(Input::AttemptAnswered { attempt });
    floor.tell(Input::AttemptConnected {
        attempt,
        agent: "anna".parse().unwrap(),
    });
    floor.wait(Duration::from_secs(86_400));
    floor.supply(debtor(2, "+12125550101"));
    assert_eq!(floor.blocked().map(|(rule, _)| rule), Some("REGF-1"));
    let at = utc("2026-06-08T16:00:00Z");
    assert_eq!(floor.next(), Some(LeadNext::Again { at, number: 0 }));
}

#[test]
fn a_lead_held_back_at_the_last_moment_is_told_when_it_may_be_dialled() {
    // Claimed a moment before nine in the evening, stored a moment after.
    let mut floor = Floor::new(Mode::Progressive, "us", "2026-06-02T00:59:59Z");
    floor.supply(lead(1, NEW_YORK));
    let attempt = floor.claim().unwrap();
    floor.wait(Duration::from_secs(1));
    floor.tell(Input::ClaimStored { attempt });
    assert_eq!(floor.blocked(), Some(("US-5", None)));
    let at = utc("2026-06-02T12:00:00Z");
    assert_eq!(floor.next(), Some(LeadNext::Again { at, number: 0 }));
    let outcome = floor.out.facts.iter().find_map(|fact| match fact {
        Fact::AttemptEnded { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert_eq!(outcome, Some(AttemptOutcome::Blocked));
    floor.tell(Input::AttemptFailed {
        attempt,
        cause: Cause::NoAnswer,
    });
    assert!(floor.out.facts.is_empty(), "it was over");
}
