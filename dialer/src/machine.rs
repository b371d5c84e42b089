//! The dialer: told what agents, calls and the store do, it fetches leads, claims them, dials them
//! and says what becomes of them. The law is asked at the instant of dialling and again when the
//! claim is stored. It never places a call, never queries a store, never reads a clock.
//!
//! ```text
//!  fetched → hopper ─ rules ─► Claiming ─ ClaimStored, rules ─► Ringing ─► Answered ─► ended
//!     ▲        │ blocked          │ refused                        │ failed, cancelled    ▲
//!     └────────┴──────────────────┘                                └──────────────────────┘
//!  preview:  hopper → Preview ─ accept ─► Claiming …      skip, timeout: back to the hopper
//! ```

mod by_hand;
mod callbacks;
mod calls;
mod claims;
mod law;
mod leads;
mod lines;
mod pace;
mod people;
mod previews;
mod settings;

use crate::caller_id::{PoolConfig, Shown};
use crate::calling_window;
use crate::campaign::{Attempt, Campaign, CampaignSnapshot, Seat, Stage};
use crate::command::Command;
use crate::config::Config;
use crate::do_not_call::DoNotCall;
use crate::frequency::Frequency;
use crate::hopper::HOPPER_MAX_LEADS;
use crate::input::Input;
use crate::law_facts::LawFacts;
use crate::pacing::Governor;
use crate::trunk::Trunk;
use crate::zone::ZoneBook;
use model::{
    AgentId, AgentState, AttemptId, CampaignId, Fact, Lead, LeadId, Mint, Mono, Now, Outbox, Rng,
    TrunkId,
};
use people::People;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A campaign decides at least this often while agents are there: ages change, nothing else need.
pub const PACE_INTERVAL: Duration = Duration::from_secs(1);
/// What is not a freed agent (a failed call, an agent who leaves) is decided upon together, after this.
pub const GATHER_INTERVAL: Duration = Duration::from_millis(100);
/// After the store failed a claim, no claim is tried for this long.
pub const STORE_BACKOFF: Duration = Duration::from_secs(5);
/// Leads that wait in a hopper are looked at for closed windows this often.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// At most one `PacingDecided` per campaign in this time.
pub const PACING_FACT_INTERVAL: Duration = Duration::from_secs(1);
/// What a campaign has learned is put away this often while it dials.
pub const SAVE_INTERVAL: Duration = Duration::from_secs(300);
/// When all fetched leads were blocked, the store gets this long to write that down.
pub const FETCH_PAUSE: Duration = Duration::from_secs(1);

type Out = Outbox<Command>;

#[derive(Debug)]
struct Agent {
    state: AgentState,
    since: Mono,
    /// Its campaigns, and its seat in each.
    campaigns: Vec<(CampaignId, usize)>,
    /// The lead the agent looks at, or the call dialled for it.
    preview: Option<AttemptId>,
    /// When talk and wrap-up will be over, where a simulation says so.
    free_at: Option<Mono>,
}

/// Every campaign, every attempt.
#[derive(Debug)]
pub struct Dialer {
    campaigns: BTreeMap<CampaignId, Campaign>,
    agents: BTreeMap<AgentId, Agent>,
    trunks: BTreeMap<TrunkId, Trunk>,
    pools: BTreeMap<String, PoolConfig>,
    shown: Shown,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Which carrier each dialled call is on until its leg is over; the attempt may be over before.
    lines: BTreeMap<AttemptId, TrunkId>,
    /// Leads in a hopper or an attempt: a lead is never in two.
    held: BTreeSet<LeadId>,
    do_not_call: DoNotCall,
    frequency: Frequency,
    /// What the columns of held leads say to the law, read when they are supplied.
    law_facts: BTreeMap<LeadId, LawFacts>,
    zones: ZoneBook,
    mint: Mint,
    rng: Rng,
    draining: bool,
    /// No new dials: records cannot be put away fast enough.
    congested: bool,
    sweep_at: Option<Mono>,
    /// When a callback is to be looked at.
    callbacks_at: Option<Mono>,
    /// What is remembered of people beside their leads.
    people: People,
    /// When previews run out; those that ended before are dropped when they come first.
    previews_until: BTreeSet<(Mono, AttemptId)>,
}

impl Dialer {
    /// A dialer for a configuration without problems ([`Config::validate`]). `boot` counts the
    /// starts of this store, so that no attempt id returns; `seed` fixes every random choice.
    pub fn new(config: Config, boot: u32, seed: u64) -> Dialer {
        let mut agents: BTreeMap<AgentId, Agent> = BTreeMap::new();
        let mut campaigns: BTreeMap<CampaignId, Campaign> = BTreeMap::new();
        for (id, campaign) in config.campaigns {
            for (seat, &agent) in campaign.agents.iter().enumerate() {
                agents
                    .entry(agent)
                    .or_insert(Agent {
                        state: AgentState::SignedOut,
                        since: Mono::ZERO,
                        campaigns: Vec::new(),
                        preview: None,
                        free_at: None,
                    })
                    .campaigns
                    .push((id, seat));
            }
            let sets = crate::rules::resolve(&campaign.rules, &config.rules);
            campaigns.insert(id, Campaign::new(campaign, sets));
        }
        let frequency =
            Frequency::for_rules(campaigns.values().flat_map(|campaign| &campaign.sets));
        let members: BTreeMap<CampaignId, BTreeSet<AgentId>> = campaigns
            .iter()
            .map(|(id, campaign)| (*id, campaign.config.agents.iter().copied().collect()))
            .collect();
        for (id, campaign) in &mut campaigns {
            campaign.sharing = members
                .iter()
                .filter(|(other, _)| *other != id)
                .map(|(other, theirs)| {
                    let shared = theirs.intersection(&members[id]).count();
                    (*other, shared as f64 / theirs.len().max(1) as f64)
                })
                .filter(|(_, share)| *share > 0.0)
                .collect();
        }
        let has_quotas = campaigns
            .values()
            .any(|campaign| !campaign.quotas.are_none());
        Dialer {
            campaigns,
            agents,
            trunks: config
                .trunks
                .into_iter()
                .map(|(id, limits)| {
                    let blocks = config.blocks.get(&id).cloned().unwrap_or_default();
                    (id, Trunk::new(limits, blocks))
                })
                .collect(),
            pools: config.pools,
            shown: Shown::default(),
            attempts: BTreeMap::new(),
            lines: BTreeMap::new(),
            held: BTreeSet::new(),
            do_not_call: DoNotCall::default(),
            frequency,
            law_facts: BTreeMap::new(),
            zones: ZoneBook::default(),
            mint: Mint::new(boot),
            rng: Rng::new(seed),
            draining: false,
            congested: false,
            sweep_at: None,
            callbacks_at: None,
            people: People::new(has_quotas),
            previews_until: BTreeSet::new(),
        }
    }

    /// Takes one input at `now` and writes what is to be done and what has happened.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Out) {
        match input {
            Input::AgentChanged { agent, state } => self.agent_changed(now, agent, state, out),
            Input::LeadsSupplied {
                campaign,
                leads,
                exhausted,
            } => {
                self.leads_supplied(now, campaign, leads, exhausted, out);
            }
            Input::ClaimStored { attempt } => self.claim_stored(now, attempt, out),
            Input::ClaimRefused {
                attempt,
                store_failed,
            } => {
                self.claim_refused(now, attempt, store_failed, out);
            }
            Input::AttemptRinging { attempt: id } => {
                if let Some(attempt) = self.attempts.get_mut(&id)
                    && attempt.stage == Stage::Ringing
                {
                    let rings = *attempt.ringing_at.get_or_insert(now.mono);
                    let campaign = self
                        .campaigns
                        .get_mut(&attempt.campaign)
                        .expect("attempts are of campaigns that exist");
                    // A call that an agent waits for is never given up.
                    if attempt.agent.is_none()
                        && let Some(ringing) = campaign.ringing.get_mut(&id)
                    {
                        ringing.rings = Some(rings);
                    }
                }
            }
            Input::AttemptGivenUp { attempt } => self.call_given_up(now, attempt),
            Input::AttemptAnswered { attempt } => self.answered(now, attempt, out),
            Input::AttemptClassified { attempt, verdict } => {
                self.classified(now, attempt, verdict, out);
            }
            Input::AttemptConnected { attempt, agent } => {
                self.connected(now, attempt, agent, out);
            }
            Input::AttemptLegEnded { attempt } => self.line_freed(now, attempt),
            Input::AttemptHeardTone { attempt, tone } => {
                self.heard_tone(now, attempt, tone, out);
            }
            Input::AttemptAbandoned { attempt } | Input::AttemptHungUpEarly { attempt } => {
                self.abandoned(now, attempt, out);
            }
            Input::AttemptAsked { attempt } => self.asked(now, attempt),
            Input::AttemptMessaged { attempt } => self.messaged(now, attempt, out),
            Input::AttemptFailed { attempt, cause } => self.failed(now, attempt, cause, out),
            Input::PreviewAnswered {
                agent,
                attempt,
                accept,
            } => {
                self.preview_answered(now, agent, attempt, accept, out);
            }
            Input::DoNotCall { number } => {
                self.do_not_call.add(number);
                out.fact(Fact::DoNotCallAdded { number });
            }
            Input::DoNotCallListLoaded {
                list,
                kind,
                as_of,
                numbers,
                more,
            } => {
                let loaded = self.do_not_call.load(list, kind, as_of, &numbers, more);
                if let Some(numbers) = loaded {
                    out.fact(Fact::DoNotCallLoaded {
                        list,
                        kind,
                        as_of,
                        numbers,
                    });
                }
            }
            Input::AgentDials {
                agent,
                number,
                campaign,
            } => self.agent_dials(agent, number, campaign, out),
            Input::LeadAdded {
                agent,
                campaign,
                number,
                lead,
            } => self.lead_added(agent, campaign, number, lead, out),
            Input::DoNotCallLoaded { numbers } => {
                numbers
                    .into_iter()
                    .for_each(|number| self.do_not_call.add(number));
            }
            Input::HistoryLoaded { answers, dials } => {
                for past in answers {
                    // A campaign that is no longer configured dials nobody.
                    if let Some(campaign) = self.campaigns.get_mut(&past.campaign) {
                        let budget = &mut campaign.budget;
                        budget.load(past.at, past.answers, past.abandons, past.messaged);
                    }
                }
                for past in dials {
                    self.frequency.load(past);
                }
            }
            Input::LeadsPast { pasts } => self.people.learn(pasts),
            Input::QuotasLoaded { quotas } => self.quotas_loaded(now, &quotas, out),
            Input::LeadDisposed { lead, disposition } => self.disposed(now, lead, disposition, out),
            Input::CallbacksSupplied {
                campaign,
                callbacks,
            } => self.callbacks_supplied(now, campaign, callbacks, out),
            Input::CallerIdsShown { uses } => uses.iter().for_each(|past| self.shown.load(past)),
            Input::TrunkChanged { trunk, up } => self.trunk_changed(now, trunk, up),
            Input::LearnedLoaded { campaign, state } => {
                // A campaign that is no longer configured has no use for it.
                if let Some(campaign) = self.campaigns.get_mut(&campaign)
                    && campaign.learned.import(&state)
                {
                    campaign.governor = Governor::from_theta(state.theta());
                }
            }
            Input::Congested { on } => {
                self.congested = on;
                for campaign in self.campaigns.values_mut().filter(|_| !on) {
                    campaign.decide_by(now.mono);
                }
            }
            Input::SetRunning { campaign, running } => {
                self.set_running(now, campaign, running, out);
            }
            Input::SetMode { campaign, mode } => self.set_mode(now, campaign, mode, out),
            Input::SetAbandonLimit {
                campaign,
                limit_pct,
                by,
            } => self.set_abandon_limit(now, campaign, limit_pct, by, out),
            Input::SetPowerLevel {
                campaign,
                power_level,
                by,
            } => self.set_power_level(now, campaign, power_level, by, out),
            Input::SetMaxInFlight {
                campaign,
                max_in_flight,
                by,
            } => self.set_max_in_flight(now, campaign, max_in_flight, by, out),
            Input::Drain => {
                self.draining = true;
                for id in self.campaign_ids() {
                    self.return_hopper(id, out);
                    self.save_learned(now, id, out);
                }
            }
            Input::LeadsMayBeReady { campaign } => {
                if let Some(campaign) = self.campaigns.get_mut(&campaign) {
                    campaign.hopper.may_ask();
                    campaign.decide_by(now.mono);
                }
            }
            Input::LeadWithdrawn { lead } => self.withdraw(lead, out),
            Input::Tick => {}
        }
        self.do_what_is_due(now, out);
    }

    /// Says when a busy agent will be free, until they are. Nobody knows this but a simulation that
    /// asks what knowing it would be worth; the engine that serves never calls it.
    pub fn foretell(&mut self, agent: AgentId, free_at: Mono) {
        if let Some(agent) = self.agents.get_mut(&agent) {
            agent.free_at = Some(free_at);
        }
    }

    /// When `handle` wants to be called next, with `Tick` if nothing else comes.
    pub fn next_deadline(&self) -> Option<Mono> {
        let decisions = self
            .campaigns
            .values()
            .filter_map(|campaign| campaign.decide_at);
        let previews = self
            .previews_until
            .iter()
            .find(|(_, id)| self.is_previewed(*id))
            .map(|(until, _)| *until);
        decisions
            .chain(previews)
            .chain(self.sweep_at)
            .chain(self.callbacks_at)
            .chain(self.people.quotas_at)
            .min()
    }

    fn is_previewed(&self, id: AttemptId) -> bool {
        matches!(
            self.attempts.get(&id).map(|attempt| attempt.stage),
            Some(Stage::Preview { .. })
        )
    }

    /// A campaign for metrics and the API.
    pub fn snapshot(&self, campaign: CampaignId) -> Option<CampaignSnapshot> {
        self.campaigns.get(&campaign).map(CampaignSnapshot::from)
    }

    /// The last pacing decision of a campaign in one sentence.
    pub fn explain(&self, campaign: CampaignId) -> Option<String> {
        self.snapshot(campaign).map(|snapshot| snapshot.explain())
    }

    /// Every campaign's id, in order.
    pub fn campaign_ids(&self) -> Vec<CampaignId> {
        self.campaigns.keys().copied().collect()
    }

    /// Attempts that are not over.
    pub fn live_attempts(&self) -> usize {
        self.attempts.len()
    }

    /// Answered attempts that are for a flow, and have asked for no agent.
    pub fn attempts_in_flow(&self) -> usize {
        let in_flow = self.campaigns.values().map(|campaign| campaign.in_flow);
        in_flow.sum::<u32>() as usize
    }

    fn do_what_is_due(&mut self, now: Now, out: &mut Out) {
        while let Some(&(until, id)) = self.previews_until.first()
            && (until <= now.mono || !self.is_previewed(id))
        {
            self.previews_until.pop_first();
            if self.is_previewed(id) {
                self.end_preview(now, id, out);
            }
        }
        if self.people.quotas_at.is_some_and(|at| at <= now.mono) {
            self.roll_quotas(now, out);
        }
        if self.callbacks_at.is_some_and(|at| at <= now.mono) {
            self.look_at_callbacks(now, out);
        }
        let mut due: Vec<CampaignId> = self
            .campaigns
            .iter()
            .filter(|(_, campaign)| campaign.decide_at.is_some_and(|at| at <= now.mono))
            .map(|(id, _)| *id)
            .collect();
        // Campaigns that share agents take turns at being first.
        if due.len() > 1 {
            let first = self.rng.below(due.len() as u64) as usize;
            due.rotate_left(first);
        }
        for id in due {
            self.decide(now, id, out);
        }
        if self.sweep_at.is_some_and(|at| at <= now.mono) {
            self.sweep(now, out);
        }
        if self.sweep_at.is_none()
            && self
                .campaigns
                .values()
                .any(|campaign| campaign.hopper.len() > 0)
        {
            self.sweep_at = Some(now.mono + SWEEP_INTERVAL);
        }
    }

    // Agents

    fn agent_changed(&mut self, now: Now, id: AgentId, state: AgentState, out: &mut Out) {
        let Some(agent) = self.agents.get_mut(&id) else {
            return;
        };
        let was = agent.state;
        if was == state {
            return;
        }
        let lasted = now.mono.since(agent.since).as_secs_f64();
        agent.state = state;
        agent.since = now.mono;
        if !matches!(state, AgentState::OnCall(_) | AgentState::WrapUp(_)) {
            agent.free_at = None;
        }
        let (talked, wrapped) = match (was, state) {
            (AgentState::OnCall(_), AgentState::WrapUp(_)) => (Some(lasted), None),
            (AgentState::OnCall(_), AgentState::Available) => (Some(lasted), Some(0.0)),
            (
                AgentState::OnCall(_),
                AgentState::NotReady(_) | AgentState::SignedOut | AgentState::OnCall(_),
            ) => (Some(lasted), None),
            (
                AgentState::WrapUp(_),
                AgentState::Available | AgentState::Offered(_) | AgentState::OnCall(_),
            ) => (None, Some(lasted)),
            (
                AgentState::OnCall(_)
                | AgentState::WrapUp(_)
                | AgentState::SignedOut
                | AgentState::NotReady(_)
                | AgentState::Available
                | AgentState::Offered(_)
                | AgentState::Unreachable,
                _,
            ) => (None, None),
        };
        let there = matches!(state, AgentState::Available | AgentState::Offered(_));
        let preview = agent.preview.filter(|_| !there);
        let campaigns = agent.campaigns.clone();
        if let Some(attempt) = preview {
            self.end_preview(now, attempt, out);
        }
        for (campaign, seat) in campaigns {
            let campaign = self
                .campaigns
                .get_mut(&campaign)
                .expect("agents name campaigns that exist");
            if state == AgentState::Available && !campaign.callbacks.is_empty() {
                self.callbacks_at = Some(now.mono);
            }
            campaign.seats[seat] = seat_of(&state, now.mono);
            if matches!(state, AgentState::OnCall(_)) {
                campaign.taken.talks(now.mono.as_secs_f64());
            }
            if let Some(seconds) = talked {
                campaign.learned.talked(seconds);
            }
            if let Some(seconds) = wrapped {
                campaign.learned.wrapped_up(seconds);
            }
            let wait = if state == AgentState::Available {
                Duration::ZERO
            } else {
                GATHER_INTERVAL
            };
            campaign.decide_by(now.mono + wait);
        }
        debug_assert!(
            out.commands.len() < 1_000_000,
            "somebody carries commands out"
        );
    }

    // Leads

    fn leads_supplied(
        &mut self,
        now: Now,
        id: CampaignId,
        leads: Vec<Lead>,
        exhausted: bool,
        out: &mut Out,
    ) {
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            return;
        };
        campaign.hopper.answered(now.mono, exhausted);
        campaign.exhausted = exhausted;
        let dials = campaign.running && !self.draining;
        let mut returned = Vec::new();
        let mut taken = 0;
        for lead in leads {
            if self.held.contains(&lead.id) {
                continue;
            }
            let full = self.campaigns[&id].hopper.len() >= HOPPER_MAX_LEADS;
            let is_early = lead.not_before.is_some_and(|at| at > now.utc);
            if !dials || full || is_early || self.is_of_full_quota(id, &lead, now.utc) {
                returned.push(lead.id);
                continue;
            }
            self.law_facts.insert(lead.id, LawFacts::of(&lead));
            match self.allowed(id, &lead, now.utc) {
                Ok(()) => {
                    taken += 1;
                    self.held.insert(lead.id);
                    self.lead_comes(now, id, &lead);
                    self.campaigns
                        .get_mut(&id)
                        .expect("looked up above")
                        .hopper
                        .push(lead);
                }
                Err(block) => self.block_unclaimed(id, &lead, block, out),
            }
        }
        let campaign = self.campaigns.get_mut(&id).expect("looked up above");
        if taken == 0 && !exhausted {
            campaign.hopper.pause(now.mono + FETCH_PAUSE);
        }
        if taken > 0 {
            campaign.decide_by(now.mono);
        }
        if !returned.is_empty() {
            out.command(Command::ReturnLeads {
                campaign: id,
                leads: returned,
            });
        }
    }

    fn return_hopper(&mut self, id: CampaignId, out: &mut Out) {
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        let leads = campaign.empty_hopper();
        self.give_back(id, leads, out);
    }

    fn give_back(&mut self, campaign: CampaignId, leads: Vec<LeadId>, out: &mut Out) {
        for lead in &leads {
            self.held.remove(lead);
        }
        if !leads.is_empty() {
            out.command(Command::ReturnLeads { campaign, leads });
        }
    }

    /// Leads whose window has closed while they waited go back, for another to be fetched.
    fn sweep(&mut self, now: Now, out: &mut Out) {
        self.sweep_at = None;
        self.frequency.forget(now.utc);
        let held = &self.held;
        self.law_facts.retain(|lead, _| held.contains(lead));
        self.people.forget(held);
        for id in self.campaign_ids() {
            let (zones, campaign) = (
                &self.zones,
                self.campaigns
                    .get_mut(&id)
                    .expect("ids come from the campaigns"),
            );
            let sets = &campaign.sets;
            let closed = campaign.hopper.sweep(|lead| {
                calling_window::check(sets, &zones.place(lead, lead.number()), now.utc).is_ok()
            });
            self.give_back(id, closed, out);
        }
    }

    // Leads for the hopper

    fn fetch(&mut self, now: Now, id: CampaignId, agents: u32, out: &mut Out) {
        let campaign = self
            .campaigns
            .get_mut(&id)
            .expect("ids come from the campaigns");
        let agents = agents.max(campaign.hopper_agents());
        if let Some((lists, count)) = campaign.hopper.ask(now.mono, agents) {
            out.command(Command::FetchLeads {
                campaign: id,
                lists,
                count,
            });
        }
    }
}

fn is_signed_in(state: &AgentState) -> bool {
    match state {
        AgentState::Available
        | AgentState::Offered(_)
        | AgentState::OnCall(_)
        | AgentState::WrapUp(_) => true,
        AgentState::SignedOut | AgentState::NotReady(_) | AgentState::Unreachable => false,
    }
}

fn seat_of(state: &AgentState, now: Mono) -> Seat {
    match state {
        AgentState::Available => Seat::Available,
        AgentState::Offered(_) | AgentState::OnCall(_) => Seat::OnCall(now),
        AgentState::WrapUp(_) => Seat::WrapUp(now),
        AgentState::SignedOut | AgentState::NotReady(_) | AgentState::Unreachable => Seat::Empty,
    }
}
