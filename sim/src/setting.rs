//! Everything that sets one simulated shift apart from another, as numbers.
//! [`Scenario`](crate::Scenario) makes one for a judged run, [`chaos`](crate::chaos) one from a seed.

use crate::scenario::{LeadChance, LeadClass, Profile, Spread, Voice};
use dialer::input::PastAnswers;
use dialer::pacing::LearnedState;
use model::{AgentId, CampaignId, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// One shift.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The engine's configuration, as production would have it.
    pub config: call::Config,
    /// Who works.
    pub agents: Vec<AgentSetting>,
    /// They begin within this time, evenly; nothing: all in the same instant.
    pub start_spread: Duration,
    /// The wall clock at the start.
    pub start: Utc,
    /// How long the shift lasts.
    pub shift: Duration,
    /// What the law counts of the days before, oldest first.
    pub history: Vec<PastAnswers>,
    /// What campaigns had learned by the end of the day before.
    pub learned: Vec<(CampaignId, LearnedState)>,
    /// At the end of the shift: take no more calls, let the live ones finish, close the books.
    pub drain: bool,
    /// The dialer is told when every talk and wrap-up will end.
    pub foretold: bool,
    /// How the called behave.
    pub carrier: CarrierSetting,
    /// Customers who call.
    pub callers: Option<CallerSetting>,
    /// How people talk and agents behave.
    pub people: PeopleSetting,
    /// Agents who go and come back.
    pub leave: Vec<Leave>,
    /// Between engine and phones.
    pub network: NetworkSetting,
    /// Where leads and claims are kept.
    pub store: StoreSetting,
    /// When the process is killed, and started again.
    pub crash_at: Vec<Duration>,
}

/// One agent.
#[derive(Clone, Copy, Debug)]
pub struct AgentSetting {
    /// Who.
    pub agent: AgentId,
    /// Talk and wrap-up take so many times as long.
    pub pace: f64,
}

/// How the called behave.
#[derive(Clone, Debug)]
pub struct CarrierSetting {
    /// Share of dials that are answered.
    pub answer_rate: Profile,
    /// What is different for one campaign.
    pub campaigns: BTreeMap<CampaignId, CampaignPeople>,
    /// Seconds to the answer.
    pub ring: Spread,
    /// Seconds by which every answer comes later.
    pub answer_delay_s: Profile,
    /// Share of the unanswered that fail in 3 to 6 s; the rest ring until we give up.
    pub quick_fail_share: f64,
    /// Seconds until an unanswered call fails, instead.
    pub no_answer: Option<Spread>,
    /// The far end says it rings after so many seconds; `None`: never.
    pub rings_after_s: Option<f64>,
    /// Seconds until the carrier hears that a call is given up, beside the network's.
    pub cancel_delay_s: f64,
    /// Of the calls that are given up, the share that is answered before the carrier hears of it.
    pub late_answer_share: f64,
    /// Share of the answers with media that cannot be used: nobody hears anything.
    pub unheard_share: f64,
    /// Share of the answers given by machines.
    pub machine_share: f64,
    /// Where a campaign listens for them: share of the persons taken for machines.
    pub false_positive_share: f64,
    /// Share of the machines taken for persons.
    pub false_negative_share: f64,
    /// Seconds for which a person speaks then; `None`: nothing is heard of it.
    pub greeting: Option<Spread>,
    /// Seconds of listening.
    pub verdict: Spread,
    /// Seconds a person who answered waits for somebody to speak.
    pub patience_s: Spread,
    /// Number prefixes of leads, each with the hours by which its local time differs from UTC, all
    /// year round, where rules about hours are to be checked.
    pub number_prefixes: Vec<(&'static str, Option<i64>)>,
    /// Kinds of leads; the rest is ordinary.
    pub lead_classes: Vec<LeadClass>,
    /// A lead's own chance differs from its class's by up to this factor, either way; 1: not.
    pub lead_spread: f64,
    /// Leads have chances of their own, with the answer rate at the start as their mean.
    pub lead_chance: Option<LeadChance>,
}

/// What is different for one campaign.
#[derive(Clone, Debug, Default)]
pub struct CampaignPeople {
    /// Its own share of answered dials.
    pub answer_rate: Option<Profile>,
    /// Its own seconds of talk.
    pub talk: Option<Spread>,
}

/// Customers who call.
#[derive(Clone, Debug)]
pub struct CallerSetting {
    /// On average; the times between are exponential.
    pub per_hour: f64,
    /// What they dial.
    pub called: String,
    /// How long they wait from the start of the call.
    pub patience_s: Spread,
    /// The chance of a key press for each prompt heard.
    pub digit_chance: f64,
    /// The chance to hang up just when somebody's phone rings or is picked up.
    pub awkward: f64,
}

/// How people talk and agents behave. All chances are per occasion.
#[derive(Clone, Debug)]
pub struct PeopleSetting {
    /// Seconds of talk.
    pub talk: Spread,
    /// A second kind: share of calls, and seconds.
    pub other_talk: Option<(f64, Spread)>,
    /// With customers who called; as above without it.
    pub inbound_talk: Option<Spread>,
    /// With a machine, until the agent has noticed.
    pub machine_talk: Spread,
    /// What they do with the recorded voice of an agentless campaign.
    pub voice: Voice,
    /// Seconds of after-call work.
    pub wrap_up: Spread,
    /// Seconds one piece of a prompt lasts.
    pub prompt_s: f64,
    /// Seconds until an agent picks a ringing phone up; one that answers by itself takes none.
    pub pick_up: Spread,
    /// The chance that an offer is refused, let ring, or meets a dead phone.
    pub reluctance: f64,
    /// The chance of a hold in a talk.
    pub hold: f64,
    /// The chance that the agent hangs up first.
    pub agent_hangs_up: f64,
    /// Mean seconds between an agent's whims (not ready, sign out, lost phone…); `None`: no whims.
    pub whim_s: Option<f64>,
    /// The chance that a disposition asks never to be called again.
    pub do_not_call: f64,
    /// The chance that the wall clock steps, per whim.
    pub clock_steps: f64,
}

impl PeopleSetting {
    /// People who do what is asked at once.
    pub fn willing() -> PeopleSetting {
        PeopleSetting {
            talk: Spread::fixed(150.0),
            other_talk: None,
            inbound_talk: None,
            machine_talk: Spread::fixed(8.0),
            voice: Voice::default(),
            wrap_up: Spread::fixed(20.0),
            prompt_s: 5.0,
            pick_up: Spread::fixed(2.0),
            reluctance: 0.0,
            hold: 0.0,
            agent_hangs_up: 0.0,
            whim_s: None,
            do_not_call: 0.0,
            clock_steps: 0.0,
        }
    }
}

/// Agents who go and come back.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// Since the start.
    pub at: Duration,
    /// Share of all agents.
    pub share: f64,
    /// For how long.
    pub away: Duration,
}

/// Between engine and phones.
#[derive(Clone, Copy, Debug)]
pub struct NetworkSetting {
    /// The longest way of a command or a fact; each takes between nothing and this.
    pub delay: Duration,
    /// The chance that an answer is lost.
    pub loss: f64,
    /// The chance that a fact is told twice.
    pub repeat: f64,
}

impl NetworkSetting {
    /// Everything arrives at once, once.
    pub const fn perfect() -> NetworkSetting {
        NetworkSetting {
            delay: Duration::ZERO,
            loss: 0.0,
            repeat: 0.0,
        }
    }
}

/// Where leads and claims are kept.
#[derive(Clone, Copy, Debug)]
pub struct StoreSetting {
    /// So many leads; `None`: as many as are asked for, each once.
    pub leads: Option<u32>,
    /// The longest a fetch or claim takes.
    pub delay: Duration,
    /// The chance that a claim fails.
    pub claim_fails: f64,
}

impl StoreSetting {
    /// Leads without end, at once.
    pub const fn endless() -> StoreSetting {
        StoreSetting {
            leads: None,
            delay: Duration::ZERO,
            claim_fails: 0.0,
        }
    }
}
