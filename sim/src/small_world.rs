//! A small world for rules that are not ours to run in production: the common open dialer's. Agents,
//! ringing, machines, people who wait and customers who call are drawn as in the world around the
//! engine; there are no legs, queues or claims.
//!
//! ```text
//!   dial ─► rings ─┬─► answers ─┬─► heard ─► waits ─┬─► talk ─► wrap-up ─► ready
//!                  └─► fails    └─► a machine       └─► abandoned
//! ```

use crate::curve::{Curve, Doing};
use crate::leads::LeadKinds;
use crate::open_dialer::{OpenDialer, poll_after};
use crate::scenario::{CampaignRule, Controller, Scenario, ScenarioError, Spread, name};
use crate::tally::{CampaignTally, Tally};
use model::{CampaignId, LeadId, Mono, Rng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// Customers who got an agent within this were served in time.
const IN_TIME: Duration = Duration::from_secs(20);

/// What happens of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happens {
    Answers(u64),
    Fails(u64),
    /// The detector has listened long enough.
    Heard(u64),
    /// A person who waits is shown to the ready agents, or has waited long enough.
    Looks(u64),
    CustomerCalls,
    CustomerGoes(u64),
    TalkEnds(usize),
    WrapUpEnds(usize),
    Begins(usize),
    Leaves(usize),
    Returns(usize),
    /// A timer of a campaign's dialer, by its own number.
    Pacer(usize, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    OnCall,
    WrapUp,
    Away,
}

#[derive(Clone, Debug)]
struct Agent {
    state: State,
    since: Mono,
    pace: f64,
    /// Goes as soon as the call is over.
    leaving: bool,
    /// Whose call they are on; none: that of a customer who called.
    talks_for: Option<usize>,
    /// One ÷ the campaigns that have them: so much of them belongs to each.
    share: f64,
}

/// A campaign, and its calls by where they are.
#[derive(Clone, Debug)]
struct Campaign {
    id: CampaignId,
    rule: CampaignRule,
    agents: Range<usize>,
    ringing: u64,
    /// Answered, and without an agent.
    answered: u64,
    talking: u64,
    tally: CampaignTally,
}

/// A dialled call.
#[derive(Clone, Copy, Debug)]
struct Call {
    campaign: usize,
    answered: Mono,
    machine: bool,
}

/// What is going on for one campaign, as its dialer sees it. Shared agents count in parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Floor {
    /// Agents who are ready.
    pub ready: f64,
    /// Agents who talk.
    pub talking: f64,
    /// Agents who are signed in.
    pub signed_in: f64,
    /// Persons who wait for one.
    pub waiting: f64,
    /// Calls that ring, wait or talk, those of customers who called among them: they talk with an agent
    /// as everybody else, and a customer who waits takes the place of a dial.
    pub calls: f64,
}

/// What became of a person, for the dialer of the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Connected.
    Connected,
    /// Abandoned.
    Abandoned,
}

/// See the module.
pub(crate) struct SmallWorld<'a> {
    scenario: &'a Scenario,
    rng: Rng,
    kinds: LeadKinds,
    pub now: Mono,
    heap: BinaryHeap<Reverse<(Mono, u64, Happens)>>,
    order: u64,
    agents: Vec<Agent>,
    ready: VecDeque<usize>,
    campaigns: Vec<Campaign>,
    /// Dialled and neither connected nor over.
    calls: BTreeMap<u64, Call>,
    /// Those of them who wait for an agent, in order.
    waiting: VecDeque<u64>,
    /// Customers who called and wait, in order, and since when.
    customers: VecDeque<(u64, Mono)>,
    last_call: u64,
    /// Calls that the rate of the carrier still allows.
    tokens: f64,
    tokens_at: Mono,
    /// A person waits no longer.
    limit: Duration,
    tally: Tally,
}

/// One shift.
///
/// # Errors
/// The controller, or that of a campaign, is none of the open dialer's.
pub fn shift(
    scenario: &Scenario,
    controller: Controller,
    seed: u64,
) -> Result<Tally, ScenarioError> {
    if controller.is_ours() {
        return Err(ScenarioError::Controller(controller.to_string()));
    }
    let mut dialers = Vec::new();
    for rule in scenario.campaign_rules() {
        let own = match rule.controller.as_deref().map(str::parse) {
            None => controller,
            Some(own) => match own? {
                // Its own name for these is a level that does not move.
                Controller::Progressive => Controller::Ratio(1.0),
                Controller::Power(level) => Controller::Ratio(level),
                Controller::Agentless => {
                    return Err(ScenarioError::Unknown {
                        field: "campaign.controller",
                        controller: controller.to_string(),
                        remedy: "agentless dials for a recorded voice, of which its rules say \
                                 nothing: take that campaign away",
                    });
                }
                // What is to be compared with it takes the place of our own pacing.
                Controller::Predictive
                | Controller::Informed
                | Controller::Ratio(_)
                | Controller::Adapt(_) => controller,
            },
        };
        dialers.push(OpenDialer::new(scenario, own));
    }
    let mut world = SmallWorld::new(scenario, seed);
    world.run(&mut dialers);
    Ok(world.tally)
}

impl<'a> SmallWorld<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> SmallWorld<'a> {
        let shift_us = (scenario.hours * 3.6e9) as u64;
        let campaigns: Vec<Campaign> = scenario
            .campaign_rules()
            .into_iter()
            .map(|rule| Campaign {
                id: name(&rule.name),
                agents: rule.agents_of(scenario.agents),
                rule,
                ringing: 0,
                answered: 0,
                talking: 0,
                tally: CampaignTally::default(),
            })
            .collect();
        let have = |ix: usize| campaigns.iter().filter(|c| c.agents.contains(&ix)).count();
        let agents = (0..scenario.agents)
            .map(|ix| Agent {
                state: State::Away,
                since: Mono::ZERO,
                pace: scenario.pace_of(ix),
                leaving: false,
                talks_for: None,
                share: 1.0 / have(ix).max(1) as f64,
            })
            .collect();
        let limit_s = scenario.drop_timer_s.unwrap_or(scenario.patience_s);
        SmallWorld {
            scenario,
            rng: Rng::new(seed),
            kinds: LeadKinds::new(&scenario.lead_class, scenario.lead_spread, seed)
                .with_chances(scenario.lead_chance, scenario.answer_rate.at(Mono::ZERO)),
            now: Mono::ZERO,
            heap: BinaryHeap::new(),
            order: 0,
            agents,
            ready: VecDeque::new(),
            campaigns,
            calls: BTreeMap::new(),
            waiting: VecDeque::new(),
            customers: VecDeque::new(),
            last_call: 0,
            tokens: scenario.calls_per_second.max(1.0),
            tokens_at: Mono::ZERO,
            limit: Duration::from_secs_f64(limit_s),
            tally: Tally {
                curve: Curve::new(shift_us),
                ..Tally::default()
            },
        }
    }

    pub fn later(&mut self, wait: Duration, what: Happens) {
        self.order += 1;
        self.heap.push(Reverse((self.now + wait, self.order, what)));
    }

    fn later_s(&mut self, seconds: f64, what: Happens) {
        self.later(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)), what);
    }

    fn run(&mut self, dialers: &mut [OpenDialer]) {
        let end = Mono::ZERO + Duration::from_secs_f64(self.scenario.hours * 3_600.0);
        for ix in 0..self.agents.len() {
            let wait = if self.scenario.start_spread_s > 0.0 {
                self.scenario.start_spread_s * self.rng.unit()
            } else {
                0.0
            };
            self.later_s(wait, Happens::Begins(ix));
        }
        for leave in &self.scenario.leave {
            let leaving = (leave.share * self.scenario.agents as f64).round() as usize;
            for ix in 0..leaving.min(self.agents.len()) {
                self.later_s(leave.at_h * 3_600.0, Happens::Leaves(ix));
                self.later_s((leave.at_h + leave.for_h) * 3_600.0, Happens::Returns(ix));
            }
        }
        self.plan_customer();
        for (ix, dialer) in dialers.iter().enumerate() {
            dialer.begin(self, ix);
        }
        while let Some(Reverse((at, _, what))) = self.heap.pop() {
            if at >= end {
                break;
            }
            self.now = at;
            self.happen(what, dialers);
        }
        self.now = end;
        for ix in 0..self.agents.len() {
            self.enter(ix, State::Away);
        }
        self.tally.curve.go_to(end);
        for campaign in &self.campaigns {
            self.tally.dials += campaign.tally.dials;
            self.tally.connected += campaign.tally.connected;
            self.tally.abandoned += campaign.tally.abandoned;
            self.tally.false_positives += campaign.tally.false_positives;
            self.tally.campaigns.insert(campaign.id, campaign.tally);
        }
    }

    /// What was counted of a campaign so far.
    pub fn counted(&self, campaign: usize) -> CampaignTally {
        self.campaigns[campaign].tally
    }

    /// See [`Floor`].
    pub fn floor(&self, ix: usize) -> Floor {
        let campaign = &self.campaigns[ix];
        let in_flight = campaign.ringing + campaign.answered + campaign.talking;
        let mut floor = Floor {
            waiting: self.waits_of(ix) as f64,
            calls: in_flight as f64,
            ..Floor::default()
        };
        for agent in &self.agents[campaign.agents.clone()] {
            match agent.state {
                State::Ready => floor.ready += agent.share,
                State::OnCall => {
                    floor.talking += agent.share;
                    if agent.talks_for.is_none() {
                        floor.calls += agent.share;
                    }
                }
                State::WrapUp => {}
                State::Away => continue,
            }
            floor.signed_in += agent.share;
        }
        // Agents serve all customers; so much of them belongs to each campaign.
        let own: f64 = self.agents[campaign.agents.clone()]
            .iter()
            .map(|agent| agent.share)
            .sum();
        floor.calls += self.customers.len() as f64 * own / self.agents.len() as f64;
        floor
    }

    fn waits_of(&self, campaign: usize) -> usize {
        let of = |call: &&u64| self.calls[call].campaign == campaign;
        self.waiting.iter().filter(of).count()
    }

    /// An agent's next state; the one before is booked.
    fn enter(&mut self, ix: usize, state: State) {
        let agent = &mut self.agents[ix];
        let was = std::mem::replace(&mut agent.state, state);
        let us = self.now.since(agent.since).as_micros() as u64;
        agent.since = self.now;
        self.tally.curve.agent(self.now, doing(was), doing(state));
        match was {
            State::Away => return,
            State::Ready => {
                if state == State::OnCall {
                    self.tally.idle_spells += 1;
                    self.tally.idle_us += us;
                    self.tally.spells.add(us);
                }
            }
            State::OnCall => {
                self.tally.talking_us += us;
                self.tally.handling_us += us;
            }
            State::WrapUp => self.tally.handling_us += us,
        }
        self.tally.signed_in_us += us;
    }

    fn happen(&mut self, what: Happens, dialers: &mut [OpenDialer]) {
        match what {
            Happens::Answers(call) => self.answers(call, dialers),
            Happens::Fails(call) => {
                let call = self.calls.remove(&call).expect("a call fails once");
                self.campaigns[call.campaign].ringing -= 1;
                self.in_flight();
            }
            Happens::Heard(call) => self.heard(call, dialers),
            Happens::Looks(call) => self.look(call, dialers),
            Happens::CustomerCalls => self.customer_calls(),
            Happens::CustomerGoes(call) => {
                if let Some(at) = self.customers.iter().position(|(waits, _)| *waits == call) {
                    self.customers.remove(at);
                    self.tally.inbound_abandoned += 1;
                }
            }
            Happens::TalkEnds(ix) => {
                if let Some(campaign) = self.agents[ix].talks_for {
                    self.campaigns[campaign].talking -= 1;
                }
                self.enter(ix, State::WrapUp);
            }
            Happens::WrapUpEnds(ix) => {
                if self.agents[ix].leaving {
                    self.enter(ix, State::Away);
                } else {
                    self.is_ready(ix);
                }
            }
            Happens::Begins(ix) => {
                if !self.agents[ix].leaving {
                    self.is_ready(ix);
                }
            }
            Happens::Leaves(ix) => {
                self.agents[ix].leaving = true;
                if let Some(at) = self.ready.iter().position(|ready| *ready == ix) {
                    self.ready.remove(at);
                    self.enter(ix, State::Away);
                }
            }
            Happens::Returns(ix) => {
                self.agents[ix].leaving = false;
                if self.agents[ix].state == State::Away {
                    self.is_ready(ix);
                }
            }
            Happens::Pacer(campaign, timer) => dialers[campaign].timer(self, campaign, timer),
        }
    }

    fn answers(&mut self, id: u64, dialers: &mut [OpenDialer]) {
        let scenario = self.scenario;
        let machine = scenario.machine_share > 0.0 && self.rng.chance(scenario.machine_share);
        let call = self.calls.get_mut(&id).expect("a call answers once");
        (call.answered, call.machine) = (self.now, machine);
        let campaign = &mut self.campaigns[call.campaign];
        campaign.ringing -= 1;
        campaign.answered += 1;
        if scenario.detect_machines {
            let listens = scenario.verdict.draw(&mut self.rng);
            self.later_s(listens, Happens::Heard(id));
        } else {
            self.waiting.push_back(id);
            self.look(id, dialers);
        }
    }

    /// The detector's verdict. Whom it takes for a machine it hangs up on.
    fn heard(&mut self, id: u64, dialers: &mut [OpenDialer]) {
        let call = self.calls[&id];
        let scenario = self.scenario;
        let wrong = self.rng.chance(if call.machine {
            scenario.false_negative_share
        } else {
            scenario.false_positive_share
        });
        if call.machine == wrong {
            self.waiting.push_back(id);
            return self.look(id, dialers);
        }
        self.over(id);
        if call.machine {
            self.tally.machines += 1;
        } else {
            self.campaigns[call.campaign].tally.false_positives += 1;
            self.tally.curve.live(self.now, true);
        }
    }

    /// An answered call is over, or has its agent.
    fn over(&mut self, id: u64) {
        let call = self.calls.remove(&id).expect("a call is over once");
        self.waiting.retain(|waits| *waits != id);
        self.campaigns[call.campaign].answered -= 1;
        self.in_flight();
    }

    fn plan_customer(&mut self) {
        if self.scenario.inbound_per_hour > 0.0 {
            let wait = self
                .rng
                .exponential(3_600.0 / self.scenario.inbound_per_hour);
            self.later_s(wait, Happens::CustomerCalls);
        }
    }

    fn customer_calls(&mut self) {
        self.plan_customer();
        self.last_call += 1;
        self.tally.inbound += 1;
        let patience = Spread::lognormal(self.scenario.inbound_patience_s, 1.0);
        let wait = patience.draw(&mut self.rng);
        self.later_s(wait, Happens::CustomerGoes(self.last_call));
        self.customers.push_back((self.last_call, self.now));
        self.serve_customer();
    }

    /// Customers who call come before everybody whom a campaign has dialled.
    fn serve_customer(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        if let Some((_, since)) = self.customers.pop_front() {
            let ix = self.ready.pop_front().expect("looked at above");
            self.tally.inbound_answered += 1;
            let in_time = self.now.since(since) <= IN_TIME;
            self.tally.inbound_in_time += u64::from(in_time);
            self.talks(ix, None, self.scenario.inbound_talk);
        }
    }

    fn is_ready(&mut self, ix: usize) {
        self.enter(ix, State::Ready);
        self.ready.push_back(ix);
        // Whoever was dialled looks for an agent in their own rhythm.
        self.serve_customer();
    }

    /// The agent, ready for longest, whom this call may have: of the campaign, and not wanted by a
    /// waiting call of a campaign that comes first.
    fn agent_for(&self, campaign: usize) -> Option<usize> {
        let first = |ix: usize| {
            self.waiting.iter().any(|waits| {
                let other = &self.campaigns[self.calls[waits].campaign];
                other.rule.priority > self.campaigns[campaign].rule.priority
                    && other.agents.contains(&ix)
            })
        };
        let agents = &self.campaigns[campaign].agents;
        self.ready
            .iter()
            .position(|ix| agents.contains(ix) && !first(*ix))
    }

    /// A waiting person looks for a ready agent, or has waited long enough.
    fn look(&mut self, id: u64, dialers: &mut [OpenDialer]) {
        if !self.waiting.contains(&id) {
            return;
        }
        let call = self.calls[&id];
        let waited = self.now.since(call.answered);
        if let Some(at) = self.agent_for(call.campaign) {
            let ix = self.ready.remove(at).expect("just found");
            self.over(id);
            self.campaigns[call.campaign].talking += 1;
            if call.machine {
                self.tally.machines_connected += 1;
                self.talks(ix, Some(call.campaign), Some(self.scenario.machine_talk));
                return;
            }
            let campaign = &mut self.campaigns[call.campaign];
            campaign.tally.connected += 1;
            let own = campaign.rule.talk;
            self.tally.curve.live(self.now, false);
            self.talks(ix, Some(call.campaign), own);
            dialers[call.campaign].seen(self.now, Seen::Connected);
        } else if waited >= self.limit {
            self.over(id);
            if !call.machine {
                self.campaigns[call.campaign].tally.abandoned += 1;
                self.tally.curve.live(self.now, true);
            }
            dialers[call.campaign].seen(self.now, Seen::Abandoned);
        } else {
            let wait = poll_after(waited).min(self.limit - waited);
            self.later(wait, Happens::Looks(id));
        }
    }

    /// An agent talks, as long as this kind of call takes, and wraps up.
    fn talks(&mut self, ix: usize, campaign: Option<usize>, own: Option<Spread>) {
        self.enter(ix, State::OnCall);
        self.agents[ix].talks_for = campaign;
        let kind = match (own, self.scenario.other_talk) {
            (Some(own), _) => own,
            (None, Some(other)) if self.rng.chance(other.share) => other.talk,
            (None, Some(_) | None) => self.scenario.talk,
        };
        let pace = self.agents[ix].pace;
        let talk = kind.draw(&mut self.rng) * pace;
        let wrap_up = self.scenario.wrap_up.draw(&mut self.rng) * pace;
        self.later_s(talk, Happens::TalkEnds(ix));
        self.later_s(talk + wrap_up, Happens::WrapUpEnds(ix));
    }

    fn in_flight(&mut self) {
        self.tally.curve.in_flight(self.now, self.calls.len());
    }

    /// Dials so many, or as many as lines and rate allow. The rate may be saved for `burst` seconds.
    pub fn dial(&mut self, campaign: usize, wanted: u64, burst_s: f64) {
        let talking: u64 = self.campaigns.iter().map(|c| c.talking).sum();
        let taken = self.calls.len() as u64 + talking;
        let per_second = self.scenario.calls_per_second;
        let passed = self.now.since(self.tokens_at).as_secs_f64();
        self.tokens = (self.tokens + passed * per_second).min((per_second * burst_s).max(1.0));
        self.tokens_at = self.now;
        let lines = u64::from(self.scenario.lines).saturating_sub(taken);
        let count = wanted.min(lines).min(self.tokens as u64);
        self.tokens -= count as f64;
        for _ in 0..count {
            self.last_call += 1;
            let call = Call {
                campaign,
                answered: self.now,
                machine: false,
            };
            self.calls.insert(self.last_call, call);
            self.campaigns[campaign].ringing += 1;
            self.campaigns[campaign].tally.dials += 1;
            let (wait, what) = self.fate(self.last_call, campaign);
            self.later_s(wait, what);
        }
        if count > 0 {
            self.in_flight();
        }
    }

    /// What becomes of a call, and after how many seconds.
    fn fate(&mut self, call: u64, campaign: usize) -> (f64, Happens) {
        let scenario = self.scenario;
        let own = self.campaigns[campaign].rule.answer_rate.as_ref();
        let rate = own.unwrap_or(&scenario.answer_rate).at(self.now)
            * self.kinds.factor(LeadId(call), self.now);
        let timeout = scenario.ring_timeout_s;
        if self.rng.chance(rate) {
            let ring = scenario.ring.draw(&mut self.rng) + scenario.answer_delay_s.at(self.now);
            return if ring <= timeout {
                (ring, Happens::Answers(call))
            } else {
                (timeout, Happens::Fails(call))
            };
        }
        let wait = match scenario.no_answer {
            Some(no_answer) => no_answer.draw(&mut self.rng),
            None if self.rng.chance(scenario.quick_fail_share) => 3.0 + 3.0 * self.rng.unit(),
            None => timeout,
        };
        (wait.min(timeout), Happens::Fails(call))
    }
}

fn doing(state: State) -> Doing {
    match state {
        State::Ready => Doing::Waiting,
        State::OnCall => Doing::Talking,
        State::WrapUp => Doing::WrappingUp,
        State::Away => Doing::Away,
    }
}

#[cfg(test)]
#[path = "small_world_tests.rs"]
mod tests;
