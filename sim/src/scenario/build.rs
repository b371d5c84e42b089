//! One shift's [`Setting`] of a scenario: the engine's configuration and the people around it.

use super::{CampaignRule, Controller, Scenario, Spread, Voice};
use crate::leads::CHANCE_COLUMN;
use crate::setting::{
    AgentSetting, CallerSetting, CampaignPeople, CarrierSetting, Leave, NetworkSetting,
    PeopleSetting, Setting, StoreSetting,
};
use dialer::config::CampaignConfig;
use dialer::trunk::TrunkLimits;
use model::event::Mode;
use model::{AgentId, CampaignId, QueueId, TrunkId, Utc};
use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

/// 2026-06-01T12:00:00Z, a Monday.
pub const START_US: i64 = 1_780_315_200_000_000;
/// Where customers call.
pub(super) const HOTLINE: &str = "hotline";
/// After-call work is the virtual agent's to end; the machine's own limit only catches what is lost.
const WRAP_UP_MS: u64 = acd::config::WRAP_UP_MS_MAX;
/// Lognormal talk has a long tail; no judged call is cut off by the guard against forgotten legs.
const CALL_MS_MAX: u64 = 24 * 3_600_000;
/// Calls in flight of one campaign, at most: what its configuration allows.
const IN_FLIGHT_MAX: u32 = 20_000;

/// A name of our own.
pub(crate) fn name<T: FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("our own names are names")
}

impl Scenario {
    /// One shift of it, dialled by the engine: campaigns that name no controller in this mode.
    /// The scenario has no [`problems`](Scenario::problems).
    pub fn setting(&self, mode: Mode, power_level: f64) -> Setting {
        let all: Vec<AgentId> = (0..self.agents).map(|n| name(&format!("a{n}"))).collect();
        let trunk: TrunkId = name("carrier");
        let hotline: QueueId = name(HOTLINE);
        let mut campaigns = BTreeMap::new();
        let mut queues = BTreeMap::from([(hotline, queue(acd::config::QueueKind::Inbound, 0))]);
        let mut people = BTreeMap::new();
        let mut flows = Vec::new();
        let mut members: Vec<Vec<acd::config::Membership>> = vec![vec![hotline.into()]; all.len()];
        for rule in self.campaign_rules() {
            let id: CampaignId = name(&rule.name);
            let (mode, power_level) = match rule.controller.as_deref().map(str::parse) {
                Some(Ok(Controller::Predictive)) => (Mode::Predictive, power_level),
                Some(Ok(Controller::Progressive)) => (Mode::Progressive, power_level),
                Some(Ok(Controller::Power(level))) => (Mode::Power, level),
                Some(Ok(Controller::Agentless)) => (Mode::Agentless, power_level),
                Some(Ok(Controller::Ratio(_) | Controller::Adapt(_) | Controller::Informed))
                | Some(Err(_))
                | None => (mode, power_level),
            };
            let agents = rule.agents_of(self.agents);
            for queues in &mut members[agents.clone()] {
                queues.push(QueueId(id.0).into());
            }
            let mut campaign = CampaignConfig::new(mode, "+4930123456");
            campaign.agents = all[agents].to_vec();
            campaign.lists = vec![name("all")];
            campaign.trunks = vec![trunk];
            campaign.rules = vec!["demo".into()];
            campaign.ring_timeout_ms = (self.ring_timeout_s * 1_000.0) as u32;
            campaign.power_level = power_level;
            campaign.per_lead = self.per_lead;
            campaign.answer_chance = self
                .lead_chance
                .filter(|_| self.per_lead)
                .map(|_| CHANCE_COLUMN.into());
            campaign.abandon_prompt = Some("abandon".into());
            campaign.detect_machines = self.detect_machines;
            campaign.calls_per_second = self.calls_per_second;
            campaign.max_in_flight = self.lines.min(IN_FLIGHT_MAX);
            if mode == Mode::Agentless {
                campaign.flow = Some(name(&format!("{}-voice", rule.name)));
                let file = format!("{}-voice.toml", rule.name);
                flows.push((file, Voice::flow(&rule.name)));
            }
            campaigns.insert(id, campaign);
            queues.insert(
                QueueId(id.0),
                queue(acd::config::QueueKind::Outbound, rule.priority),
            );
            people.insert(
                id,
                CampaignPeople {
                    answer_rate: rule.answer_rate,
                    talk: rule.talk,
                },
            );
        }
        let silent = call::config::Treatment {
            record: false,
            ..call::config::Treatment::default()
        };
        let config = call::Config {
            acd: acd::Config {
                agents: all
                    .iter()
                    .zip(members)
                    .map(|(id, queues)| {
                        let agent = acd::AgentConfig {
                            queues,
                            ..acd::AgentConfig::default()
                        };
                        (*id, agent)
                    })
                    .collect(),
                queues: queues.clone(),
            },
            dialer: dialer::Config {
                campaigns,
                trunks: BTreeMap::from([(
                    trunk,
                    TrunkLimits {
                        concurrent_calls: self.lines,
                        calls_per_second: self.calls_per_second,
                    },
                )]),
                rules: BTreeMap::new(),
                ..dialer::Config::default()
            },
            flows,
            routes: vec![call::config::Route {
                number: "*".into(),
                trunk: None,
                flow: None,
                queue: Some(hotline),
            }],
            treatment: queues.keys().map(|id| (*id, silent.clone())).collect(),
            feature_codes: BTreeMap::new(),
            attestations: BTreeMap::new(),
            live_calls_max: 100_000,
            call_ms_max: CALL_MS_MAX,
        };
        Setting {
            config,
            agents: all
                .into_iter()
                .enumerate()
                .map(|(ix, agent)| AgentSetting {
                    agent,
                    pace: self.pace_of(ix),
                })
                .collect(),
            start_spread: Duration::from_secs_f64(self.start_spread_s),
            start: Utc::from_micros(START_US),
            shift: Duration::from_secs_f64(self.hours * 3_600.0),
            history: Vec::new(),
            learned: Vec::new(),
            foretold: false,
            drain: false,
            carrier: self.carrier(people),
            callers: (self.inbound_per_hour > 0.0).then(|| CallerSetting {
                per_hour: self.inbound_per_hour,
                called: "+4930100".into(),
                patience_s: Spread::lognormal(self.inbound_patience_s, 1.0),
                digit_chance: 0.0,
                awkward: 0.0,
            }),
            people: PeopleSetting {
                talk: self.talk,
                other_talk: self.other_talk.map(|other| (other.share, other.talk)),
                inbound_talk: self.inbound_talk,
                machine_talk: self.machine_talk,
                voice: self.voice,
                wrap_up: self.wrap_up,
                prompt_s: 5.0,
                ..PeopleSetting::willing()
            },
            leave: self
                .leave
                .iter()
                .map(|leave| Leave {
                    at: Duration::from_secs_f64(leave.at_h * 3_600.0),
                    share: leave.share,
                    away: Duration::from_secs_f64(leave.for_h * 3_600.0),
                })
                .collect(),
            network: NetworkSetting::perfect(),
            store: StoreSetting {
                leads: self.leads,
                ..StoreSetting::endless()
            },
            crash_at: Vec::new(),
        }
    }

    /// The campaigns, or the one there is where none is written down.
    pub(crate) fn campaign_rules(&self) -> Vec<CampaignRule> {
        if self.campaign.is_empty() {
            vec![CampaignRule {
                name: "judge".into(),
                controller: None,
                answer_rate: None,
                talk: None,
                agent_from: 0.0,
                agent_share: 1.0,
                priority: 0,
            }]
        } else {
            self.campaign.clone()
        }
    }

    fn carrier(&self, campaigns: BTreeMap<CampaignId, CampaignPeople>) -> CarrierSetting {
        CarrierSetting {
            answer_rate: self.answer_rate.clone(),
            campaigns,
            ring: self.ring,
            answer_delay_s: self.answer_delay_s.clone(),
            quick_fail_share: self.quick_fail_share,
            no_answer: self.no_answer,
            // At once: how long a call has rung is known, as in the worlds of docs/pacing.md.
            rings_after_s: Some(0.0),
            cancel_delay_s: self.cancel_delay_s,
            late_answer_share: 0.0,
            unheard_share: 0.0,
            machine_share: self.machine_share,
            false_positive_share: self.false_positive_share,
            false_negative_share: self.false_negative_share,
            greeting: self.greeting,
            verdict: self.verdict,
            patience_s: Spread::fixed(self.patience_s),
            number_prefixes: vec![("+49", None)],
            lead_classes: self.lead_class.clone(),
            lead_spread: self.lead_spread,
            lead_chance: self.lead_chance,
        }
    }
}

impl CampaignRule {
    /// Which of so many agents are its own; at least one is.
    pub(crate) fn agents_of(&self, agents: usize) -> Range<usize> {
        let from = (self.agent_from * agents as f64).round() as usize;
        let count = ((self.agent_share * agents as f64).round() as usize).max(1);
        let from = from.min(agents - 1);
        from..(from + count).min(agents)
    }
}

fn queue(kind: acd::config::QueueKind, priority: i16) -> acd::QueueConfig {
    acd::QueueConfig {
        kind,
        priority,
        auto_answer: true,
        wrap_up_ms: WRAP_UP_MS,
        ..acd::QueueConfig::default()
    }
}
