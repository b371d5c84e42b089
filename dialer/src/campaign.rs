//! One campaign at work: its hopper, what it has learned, its abandonment budget, its calls in
//! flight. It counts and remembers; the [`Dialer`](crate::Dialer) decides and commands.

use crate::abandon::AbandonBudget;
use crate::config::{ABANDON_LIMIT_PCT_MAX, CampaignConfig, OnMachine};
use crate::hopper::{Hopper, LEADS_PER_AGENT};
use crate::input::Callback;
use crate::lead_order::LeadOrder;
use crate::pacing::{Asks, Decision, Governor, LeadKind, Learned, Taken};
use crate::quota::Quotas;
use crate::rules::RuleSet;
use crate::trunk::Bucket;
use model::event::{Mode, PacingLimit};
use model::{AgentId, AttemptId, CampaignId, Lead, LeadId, Mono, PhoneNumber, TrunkId, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Of the answers that the last leads are expected to bring, so many are counted on.
const EARN_PART: f64 = 0.5;
/// No call is given up before it has rung so long, whatever the rule sets say (47 CFR 64.1200(a)(6)).
const RING_MIN_MS: u32 = 15_000;

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// An agent looks at the lead; nothing is claimed.
    Preview { until: Option<Mono> },
    /// The claim is being stored.
    Claiming,
    /// The INVITE left.
    Ringing,
    /// Answered; `live` once a person is known, or nobody listens for machines.
    Answered { live: bool },
    /// Judged a machine; the message is being left on it.
    Machine,
}

/// One dialling of a lead.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) campaign: CampaignId,
    pub(crate) lead: Lead,
    pub(crate) number: PhoneNumber,
    pub(crate) trunk: Option<TrunkId>,
    /// The number shown; chosen with the line.
    pub(crate) caller_id: String,
    pub(crate) agent: Option<AgentId>,
    pub(crate) stage: Stage,
    pub(crate) dialled_at: Mono,
    pub(crate) ringing_at: Option<Mono>,
    pub(crate) answered_at: Option<Mono>,
    /// Its place among the campaign's dials.
    pub(crate) dial_number: u64,
    /// Where its lead belongs, where pacing goes by each lead.
    pub(crate) kind: LeadKind,
    /// Withdrawn while being claimed.
    pub(crate) withdrawn: bool,
    /// Given up by pacing; the far end has not heard of it yet.
    pub(crate) given_up: bool,
    /// When it was given up, by pacing or because it had rung long enough.
    pub(crate) given_up_at: Option<Mono>,
    /// Answered, and a flow speaks: no agent was asked for yet.
    pub(crate) in_flow: bool,
    /// An agent placed it: nothing is detected, no flow speaks, and nobody calls again by itself.
    pub(crate) by_hand: bool,
}

impl Attempt {
    /// When the far end stopped ringing: at the answer, when it was given up, or now.
    pub(crate) fn rang_until(&self, now: Mono) -> Mono {
        self.answered_at.or(self.given_up_at).unwrap_or(now)
    }
}

/// A callback that waits for its time or for its agent.
#[derive(Clone, Debug)]
pub(crate) struct PendingCallback {
    pub(crate) is: Callback,
    /// It waits for its agent until then.
    pub(crate) hold_until: Utc,
    pub(crate) reminded: bool,
}

/// A call in flight: when it left, and since when the far end rings, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ringing {
    pub(crate) dialled: Mono,
    pub(crate) rings: Option<Mono>,
    /// The class of its lead.
    pub(crate) class: u8,
}

/// What an agent of the campaign does, as pacing sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    Empty,
    Available,
    OnCall(Mono),
    WrapUp(Mono),
}

#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) config: CampaignConfig,
    pub(crate) mode: Mode,
    pub(crate) running: bool,
    pub(crate) sets: Vec<RuleSet>,
    /// Other campaigns, with the share of their agents who are also this one's.
    pub(crate) sharing: Vec<(CampaignId, f64)>,
    pub(crate) hopper: Hopper,
    pub(crate) quotas: Quotas,
    pub(crate) budget: AbandonBudget,
    pub(crate) governor: Governor,
    pub(crate) learned: Learned,
    /// Its agents, taken by calls that nobody dialled.
    pub(crate) taken: Taken,
    pub(crate) bucket: Bucket,
    pub(crate) callbacks: Vec<PendingCallback>,
    pub(crate) ringing: BTreeMap<AttemptId, Ringing>,
    /// One per agent, in the order of `config.agents`.
    pub(crate) seats: Vec<Seat>,
    /// The store has no more leads that are ready now.
    pub(crate) exhausted: bool,
    /// A call that has rung so long may be given up.
    pub(crate) ring_min: Duration,
    pub(crate) save_at: Option<Mono>,
    pub(crate) claiming: u32,
    /// Answered, without an agent so far.
    pub(crate) waiting: u32,
    /// Those of them who hear a flow.
    pub(crate) in_flow: u32,
    pub(crate) asks: Asks,
    pub(crate) dials: u64,
    pub(crate) decide_at: Option<Mono>,
    pub(crate) store_wait_until: Option<Mono>,
    pub(crate) last: Option<Decision>,
    pub(crate) available: u32,
    pub(crate) told_at: Option<Mono>,
    pub(crate) told_limit: Option<PacingLimit>,
    pub(crate) dialled_untold: u32,
    pub(crate) withdrawn_untold: u32,
    /// Agents at work at the last decision.
    pub(crate) busy: u32,
    /// How often others take the agents, as the last decision saw it.
    pub(crate) taken_per_minute: f64,
}

impl Campaign {
    pub(crate) fn new(mut config: CampaignConfig, sets: Vec<RuleSet>) -> Campaign {
        let budget = AbandonBudget::new(&sets, config.abandon_limit_pct, config.mistakes());
        config.abandon_limit_pct = strictest_limit(&sets, config.abandon_limit_pct);
        let learned = Learned::new(config.ring_timeout().as_secs_f64());
        let by_lead = config.per_lead && config.mode != Mode::Agentless;
        let mut hopper = Hopper::new(&config.lists);
        hopper.order = by_lead.then(LeadOrder::default);
        Campaign {
            mode: config.mode,
            running: config.running,
            hopper,
            budget,
            quotas: Quotas::new(&config.quotas, config.time_zone.as_deref()),
            governor: Governor::default(),
            learned: if by_lead { learned.by_lead() } else { learned },
            taken: Taken::default(),
            bucket: Bucket::new(config.calls_per_second),
            callbacks: Vec::new(),
            ringing: BTreeMap::new(),
            seats: vec![Seat::Empty; config.agents.len()],
            exhausted: false,
            ring_min: Duration::from_millis(
                sets.iter()
                    .map(RuleSet::ring_min_ms)
                    .fold(RING_MIN_MS, u32::max)
                    .into(),
            ),
            save_at: None,
            claiming: 0,
            waiting: 0,
            in_flow: 0,
            asks: Asks::default(),
            dials: 0,
            // Nobody has to sign in before a flow speaks.
            decide_at: (config.mode == Mode::Agentless).then_some(Mono::ZERO),
            store_wait_until: None,
            last: None,
            available: 0,
            told_at: None,
            told_limit: None,
            dialled_untold: 0,
            withdrawn_untold: 0,
            busy: 0,
            taken_per_minute: 0.0,
            sharing: Vec::new(),
            sets,
            config,
        }
    }

    /// A phone that rings is let ring at least so long.
    pub(crate) fn ring_min(&self) -> Duration {
        let least = self.sets.iter().map(RuleSet::ring_min_ms).max();
        Duration::from_millis(least.unwrap_or(0).into())
    }

    /// Calls that have no agent yet.
    pub(crate) fn in_flight(&self) -> u32 {
        self.ringing.len() as u32 + self.claiming + self.waiting
    }

    /// An abandonment the law may advance: none where the leads might not last until it is earned.
    pub(crate) fn advance(&self) -> f64 {
        let leads = f64::from(self.hopper.len() + self.in_flight());
        let earnable = leads * self.learned.answer_share() * EARN_PART;
        f64::from(u8::from(
            !self.exhausted || earnable > self.budget.unearned(),
        ))
    }

    /// Agents who work.
    pub(crate) fn signed_in(&self) -> usize {
        self.seats
            .iter()
            .filter(|seat| **seat != Seat::Empty)
            .count()
    }

    /// Whether its flow can ask for an agent.
    pub(crate) fn asks_agents(&self) -> bool {
        self.mode == Mode::Agentless && self.config.asks_agents
    }

    /// Whether nothing is dialled while nobody is signed in.
    pub(crate) fn needs_agents(&self) -> bool {
        self.mode != Mode::Agentless || self.config.asks_agents
    }

    /// Agents by whom the hopper is sized where none limits the dialling: half a minute of it.
    pub(crate) fn hopper_agents(&self) -> u32 {
        if self.mode == Mode::Agentless {
            let leads = self.config.calls_per_second * 30.0;
            (leads / f64::from(LEADS_PER_AGENT)).ceil() as u32
        } else {
            0
        }
    }

    /// People in flight who are expected to ask for an agent.
    pub(crate) fn expected_asks(&self) -> f64 {
        if !self.asks_agents() {
            return 0.0;
        }
        let unanswered = self.ringing.len() as u32 + self.claiming;
        let asked = self.waiting - self.in_flow;
        self.asks.shares().expected(unanswered, self.in_flow, asked)
    }

    /// The largest chance of being abandoned that the next call may have. People who hear a flow
    /// through are live answers too and would earn abandonments by the hundred: of those who ask for
    /// an agent no larger share is risked than the limit names.
    pub(crate) fn theta(&self) -> f64 {
        let theta = self.governor.theta();
        if self.mode == Mode::Agentless {
            theta.min(self.config.abandon_limit_pct / 100.0)
        } else {
            theta
        }
    }

    /// Whether a recorded voice speaks first, with a person or on a machine: consent is asked of the
    /// rule sets that want it.
    pub(crate) fn prerecorded(&self) -> bool {
        self.mode == Mode::Agentless || self.config.on_machine == OnMachine::LeaveMessage
    }

    /// The highest abandonment limit that every rule set allows, in per cent.
    pub(crate) fn abandon_limit_pct_max(&self) -> f64 {
        strictest_limit(&self.sets, ABANDON_LIMIT_PCT_MAX)
    }

    /// Decide at `at`, or earlier where that is already planned.
    pub(crate) fn decide_by(&mut self, at: Mono) {
        self.decide_at = Some(self.decide_at.map_or(at, |planned| planned.min(at)));
    }

    /// Empties the hopper, and forgets callbacks that are not due.
    pub(crate) fn empty_hopper(&mut self) -> Vec<LeadId> {
        let mut leads = self.hopper.sweep(|_| false);
        leads.extend(self.callbacks.drain(..).map(|pending| pending.is.lead.id));
        leads
    }
}

/// The strictest abandonment limit of the sets, and no more than `at_most`.
fn strictest_limit(sets: &[RuleSet], at_most: f64) -> f64 {
    sets.iter()
        .flat_map(|set| &set.rules)
        .filter_map(|rule| rule.abandon_limit_pct)
        .fold(at_most, f64::min)
}

/// A campaign as metrics and the API see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CampaignSnapshot {
    /// How it dials.
    pub mode: Mode,
    /// Whether it dials.
    pub running: bool,
    /// Calls claimed, ringing or waiting for an agent.
    pub in_flight: u32,
    /// Agents who could take a call at the last decision.
    pub available: u32,
    /// Agents at work at the last decision.
    pub busy: u32,
    /// Agents whom calls that the dialer did not place take, per minute, as the last decision saw it.
    pub taken_per_minute: f64,
    /// Leads ready to dial.
    pub hopper: u32,
    /// Live answers of the longest period that a limit holds over, as far as this process knows.
    pub answers: u64,
    /// Abandoned ones of them.
    pub abandons: u64,
    /// The abandon rate in the period where it is worst, by the formula that holds there.
    pub abandon_rate: Option<f64>,
    /// Abandonments that would still be legal, under the tightest limit.
    pub budget_left: f64,
    /// Share of dials that a person answers, as learned.
    pub answer_share: f64,
    /// Expected answers of the calls in flight at the last decision.
    pub expected_answers: f64,
    /// Agents expected to be free for them.
    pub expected_free: f64,
    /// Largest allowed chance of the next call being abandoned.
    pub theta: f64,
    /// The chance that one more call would have been abandoned.
    pub risk: f64,
    /// Calls the last decision gave up.
    pub withdrawn: u32,
    /// What limited the last decision.
    pub limited_by: Option<PacingLimit>,
}

impl CampaignSnapshot {
    /// The last decision in one sentence.
    pub fn explain(&self) -> String {
        let why = match self.limited_by {
            None => "nothing was decided yet",
            Some(PacingLimit::Risk) => "one more call would too likely be abandoned",
            Some(PacingLimit::Budget) => {
                "the abandonment budget is spent: one call per available agent"
            }
            Some(PacingLimit::Lines) => "the lines or calls per second are used up",
            Some(PacingLimit::Leads) => "no lead is ready",
            Some(PacingLimit::Agents) => "no agent is there",
            Some(PacingLimit::Rule) => "the mode's own rule",
            Some(PacingLimit::Store) => "the store cannot take claims",
        };
        format!(
            "{} in flight for {} available and {} busy agents, of whom others take {:.1} a minute; {:.1} answers and {:.1} free agents \
             expected, {:.1} % of dials answered, {} calls given up, one more abandoned with a chance \
             of {:.3} where θ is {:.3}, {:.1} abandonments left: {why}",
            self.in_flight,
            self.available,
            self.busy,
            self.taken_per_minute,
            self.expected_answers,
            self.expected_free,
            self.answer_share * 100.0,
            self.withdrawn,
            self.risk,
            self.theta,
            self.budget_left,
        )
    }
}

impl From<&Campaign> for CampaignSnapshot {
    fn from(campaign: &Campaign) -> CampaignSnapshot {
        let (answers, abandons) = campaign.budget.counts();
        CampaignSnapshot {
            mode: campaign.mode,
            running: campaign.running,
            in_flight: campaign.in_flight(),
            available: campaign.available,
            busy: campaign.busy,
            taken_per_minute: campaign.taken_per_minute,
            risk: campaign.last.map_or(0.0, |last| last.risk),
            withdrawn: campaign.last.map_or(0, |last| last.withdraw),
            hopper: campaign.hopper.len(),
            answers,
            abandons,
            abandon_rate: campaign.budget.rate(),
            budget_left: campaign.budget.left(),
            answer_share: campaign.learned.answer_share(),
            expected_answers: campaign.last.map_or(0.0, |last| last.expected_answers),
            expected_free: campaign.last.map_or(0.0, |last| last.expected_free),
            theta: campaign.theta(),
            limited_by: campaign.told_limit,
        }
    }
}
