//! Laws that hold whatever happens: random inputs, sensible and not, with an independent recount.

use dialer::config::CampaignConfig;
use dialer::trunk::TrunkLimits;
use dialer::{Command, Config, Dialer, Input};
use model::event::{DoNotCallKind, Mode, Verdict};
use model::{
    AgentId, AgentState, AttemptId, AttemptOutcome, CallId, CampaignId, Cause, Fact, Lead, LeadId,
    Now, Outbox, PhoneNumber, ReasonId, Rng, Utc,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const AGENTS: u64 = 6;
const IN_FLIGHT_MAX: u32 = 9;

/// What the carrier takes at once, and in a second.
const LINES: u32 = 4;
const PER_SECOND: f64 = 4.0;

/// What an auditor knows: only commands, facts and what was told.
#[derive(Default)]
struct Auditor {
    asked: BTreeMap<AttemptId, LeadId>,
    stored: BTreeSet<AttemptId>,
    dialled: BTreeMap<AttemptId, (LeadId, PhoneNumber)>,
    claimed: BTreeSet<AttemptId>,
    ended: BTreeSet<AttemptId>,
    resolved: BTreeSet<AttemptId>,
    objected: BTreeSet<PhoneNumber>,
    /// Of the national list, and the parts of the next one.
    listed: BTreeSet<PhoneNumber>,
    coming: BTreeSet<PhoneNumber>,
    /// How often numbers in Oklahoma were dialled; the random days are shorter than one.
    in_oklahoma: BTreeMap<PhoneNumber, u32>,
    /// Numbers that were abandoned: the random days are shorter than the rest they have.
    abandoned: BTreeSet<PhoneNumber>,
    /// Dialled calls whose legs live.
    on_line: BTreeSet<AttemptId>,
    /// Calls that the carrier would take at once, and when that was so.
    tokens: f64,
    tokens_at: model::Mono,
}

impl Auditor {
    /// The carrier's limits at the instant of an INVITE.
    fn leaves(&mut self, now: Now, attempt: AttemptId) {
        self.on_line.insert(attempt);
        assert!(
            self.on_line.len() <= LINES as usize,
            "more calls than lines"
        );
        let passed = now.mono.since(self.tokens_at).as_secs_f64();
        self.tokens = (self.tokens + passed * PER_SECOND).min(PER_SECOND);
        self.tokens_at = now.mono;
        assert!(
            self.tokens > 1.0 - 1e-6,
            "more calls per second than allowed"
        );
        self.tokens -= 1.0;
    }
}

struct Random {
    rng: Rng,
    dialer: Dialer,
    now: Now,
    auditor: Auditor,
    leads: u64,
    previews: Vec<(AgentId, AttemptId)>,
    drained: bool,
}

fn campaign(n: u64) -> CampaignId {
    format!("c{n}").parse().unwrap()
}

fn agent(n: u64) -> AgentId {
    format!("agent{n}").parse().unwrap()
}

/// New York, and Oklahoma, where nine in the evening in New York is closing time as well.
fn number(n: u64) -> PhoneNumber {
    let area = if n.is_multiple_of(2) { "212" } else { "405" };
    format!("+1{area}555{n:04}").parse().unwrap()
}

impl Random {
    fn new(seed: u64) -> Random {
        let mut rng = Rng::new(seed);
        let modes = [
            Mode::Preview,
            Mode::Progressive,
            Mode::Power,
            Mode::Predictive,
        ];
        let mut config = Config::default();
        for n in 0..2 {
            let mut settings = CampaignConfig::new(modes[rng.below(4) as usize], "+12125559999");
            settings.agents = (n * 2..n * 2 + 4).map(agent).collect();
            settings.lists = vec!["l".parse().unwrap()];
            settings.trunks = vec!["carrier".parse().unwrap()];
            settings.rules = vec!["us".into(), "uk".into()];
            settings.abandon_prompt = Some("abandon".into());
            settings.detect_machines = rng.chance(0.5);
            settings.max_in_flight = IN_FLIGHT_MAX;
            config.campaigns.insert(campaign(n), settings);
        }
        config.trunks.insert(
            "carrier".parse().unwrap(),
            TrunkLimits {
                concurrent_calls: LINES,
                calls_per_second: PER_SECOND,
            },
        );
        assert_eq!(config.validate(), []);
        Random {
            dialer: Dialer::new(config, 1, seed),
            // Half an hour before closing time in New York.
            now: Now {
                mono: model::Mono::from_micros(1),
                utc: Utc::from_micros(1_782_952_200_000_000),
            },
            rng,
            auditor: Auditor {
                tokens: PER_SECOND,
                ..Auditor::default()
            },
            leads: 0,
            previews: Vec::new(),
            drained: false,
        }
    }

    fn any_attempt(&mut self) -> AttemptId {
        let known: Vec<AttemptId> = self.auditor.asked.keys().rev().take(12).copied().collect();
        if known.is_empty() || self.rng.chance(0.05) {
            return AttemptId(self.rng.below(50));
        }
        known[self.rng.below(known.len() as u64) as usize]
    }

    fn step(&mut self) {
        let wait = [0.0, 0.01, 0.3, 2.0, 30.0][self.rng.below(5) as usize];
        self.now = self.now.plus(Duration::from_secs_f64(wait));
        let attempt = self.any_attempt();
        let who = agent(self.rng.below(AGENTS + 1));
        let which = campaign(self.rng.below(3));
        let call = CallId(self.rng.below(9));
        let reason: ReasonId = "break".parse().unwrap();
        let input = match self.rng.below(25) {
            0..=3 => {
                let states = [
                    AgentState::Available,
                    AgentState::Available,
                    AgentState::Available,
                    AgentState::OnCall(call),
                    AgentState::WrapUp(call),
                    AgentState::Offered(call),
                    AgentState::SignedOut,
                    AgentState::NotReady(reason),
                    AgentState::Unreachable,
                ];
                Input::AgentChanged {
                    agent: who,
                    state: states[self.rng.below(9) as usize],
                }
            }
            4..=6 => Input::LeadsSupplied {
                campaign: which,
                leads: self.leads(),
                exhausted: self.rng.chance(0.3),
            },
            7..=10 => Input::ClaimStored { attempt },
            11 => Input::ClaimRefused {
                attempt,
                store_failed: self.rng.chance(0.5),
            },
            12 => Input::AttemptRinging { attempt },
            13 | 14 => Input::AttemptAnswered { attempt },
            15 => {
                let verdicts = [Verdict::Person, Verdict::Machine, Verdict::Fax];
                Input::AttemptClassified {
                    attempt,
                    verdict: verdicts[self.rng.below(3) as usize],
                }
            }
            16 => Input::AttemptConnected {
                attempt,
                agent: who,
            },
            17 => Input::AttemptAbandoned { attempt },
            18 => Input::AttemptHungUpEarly { attempt },
            19 => {
                let causes = [
                    Cause::Busy,
                    Cause::NoAnswer,
                    Cause::Normal,
                    Cause::Unallocated,
                    Cause::Congestion,
                ];
                Input::AttemptFailed {
                    attempt,
                    cause: causes[self.rng.below(5) as usize],
                }
            }
            20 => match self.previews.pop() {
                Some((agent, attempt)) => Input::PreviewAnswered {
                    agent,
                    attempt,
                    accept: self.rng.chance(0.8),
                },
                None => Input::Tick,
            },
            21 => {
                let number = number(self.rng.below(60));
                self.auditor.objected.insert(number);
                Input::DoNotCall { number }
            }
            22 => match self.rng.below(15) {
                12..=14 => {
                    let numbers: Vec<PhoneNumber> =
                        (0..8).map(|_| number(self.rng.below(60))).collect();
                    let more = self.rng.chance(0.5);
                    self.auditor.coming.extend(&numbers);
                    if !more {
                        self.auditor.listed = std::mem::take(&mut self.auditor.coming);
                    }
                    Input::DoNotCallListLoaded {
                        list: "us".parse().unwrap(),
                        kind: DoNotCallKind::National,
                        as_of: Some(self.now.utc),
                        numbers,
                        more,
                    }
                }
                0 => Input::SetRunning {
                    campaign: which,
                    running: false,
                },
                1..=3 => Input::SetRunning {
                    campaign: which,
                    running: true,
                },
                4 => Input::SetMode {
                    campaign: which,
                    mode: Mode::Power,
                },
                5 => Input::LeadsMayBeReady { campaign: which },
                _ => Input::LeadWithdrawn {
                    lead: LeadId(self.rng.below(60)),
                },
            },
            23 | 24 => Input::AttemptLegEnded { attempt },
            _ => Input::Tick,
        };
        self.tell(input);
    }

    /// Leads, some told twice.
    fn leads(&mut self) -> Vec<Lead> {
        (0..self.rng.below(5))
            .map(|_| {
                let id = if self.rng.chance(0.3) {
                    self.rng.below(self.leads + 1)
                } else {
                    self.leads
                };
                self.leads = self.leads.max(id + 1);
                Lead {
                    id: LeadId(id),
                    list: "l".parse().unwrap(),
                    numbers: (0..self.rng.below(3))
                        .map(|k| number(id % 60 + k))
                        .collect(),
                    next_number: self.rng.below(256) as u8,
                    attempts: self.rng.below(4) as u16,
                    priority: 0,
                    time_zone: self.rng.chance(0.2).then(|| "Not/AZone".into()),
                    name: None,
                    customer_key: None,
                    fields: BTreeMap::new(),
                    last_disposition: None,
                    not_before: None,
                }
            })
            .collect()
    }

    fn tell(&mut self, input: Input) {
        if let Input::ClaimStored { attempt } = input {
            self.auditor.stored.insert(attempt);
        }
        if let Input::AttemptLegEnded { attempt } = input {
            self.auditor.on_line.remove(&attempt);
        }
        let mut out = Outbox::new();
        self.dialer.handle(self.now, input, &mut out);
        for fact in &out.facts {
            match fact {
                Fact::AttemptClaimed { attempt, .. } => {
                    assert!(
                        self.auditor.stored.contains(attempt)
                            && self.auditor.claimed.insert(*attempt)
                    );
                }
                Fact::AttemptBlocked { rule, .. } => {
                    let known = dialer::rules::embedded();
                    let mut ids = ["us", "uk"].into_iter().flat_map(|set| &known[set].rules);
                    let is_own = ["DNC", "NO-NUMBER"].contains(&rule.as_str());
                    assert!(is_own || ids.any(|known| known.id == *rule), "{rule}");
                }
                Fact::AttemptEnded {
                    attempt, outcome, ..
                } => {
                    if *outcome == AttemptOutcome::Abandoned {
                        let (_, number) = self.auditor.dialled[attempt];
                        self.auditor.abandoned.insert(number);
                    }
                    assert!(
                        self.auditor.claimed.contains(attempt),
                        "{attempt} ended, never claimed"
                    );
                    assert!(self.auditor.ended.insert(*attempt), "{attempt} ended twice");
                }
                _ => {}
            }
        }
        for command in out.commands {
            match command {
                Command::Claim { attempt, lead, .. } => {
                    assert!(!self.drained);
                    for (other, theirs) in &self.auditor.asked {
                        let live = self.dialer_has(*other);
                        assert!(
                            *theirs != lead || !live,
                            "{lead} is in {other} and {attempt}"
                        );
                    }
                    self.auditor.asked.insert(attempt, lead);
                }
                Command::Dial(dial) => {
                    assert!(
                        self.auditor.stored.contains(&dial.attempt),
                        "dialled without a stored claim"
                    );
                    assert_eq!(self.auditor.asked[&dial.attempt], dial.lead.id);
                    assert!(
                        !self.auditor.objected.contains(&dial.number),
                        "dialled after an objection"
                    );
                    assert!(
                        !self.auditor.listed.contains(&dial.number),
                        "dialled a listed number"
                    );
                    assert!(
                        dial.agent.is_some() || !self.auditor.abandoned.contains(&dial.number),
                        "an abandoned number rests"
                    );
                    if dial.number.digits().starts_with("1405") {
                        let dials = self.auditor.in_oklahoma.entry(dial.number).or_default();
                        *dials += 1;
                        assert!(*dials <= 3, "a fourth call in 24 hours");
                    }
                    let local_us = self.now.utc.as_micros() - 4 * 3_600_000_000;
                    let hour = local_us.rem_euclid(86_400_000_000) / 3_600_000_000;
                    assert!((8..21).contains(&hour), "dialled at {hour} o'clock");
                    self.auditor.leaves(self.now, dial.attempt);
                    assert!(!self.drained);
                    assert!(
                        self.auditor
                            .dialled
                            .insert(dial.attempt, (dial.lead.id, dial.number))
                            .is_none()
                    );
                }
                Command::Resolve {
                    attempt, outcome, ..
                } => {
                    assert!(
                        self.auditor.resolved.insert(attempt),
                        "{attempt} resolved twice"
                    );
                    assert!(
                        outcome != AttemptOutcome::Blocked
                            || !self.auditor.dialled.contains_key(&attempt)
                    );
                }
                Command::OfferPreview { agent, attempt, .. } => {
                    self.previews.push((agent, attempt))
                }
                Command::FetchLeads { count, .. } => {
                    assert!((1..=dialer::HOPPER_MAX_LEADS).contains(&count))
                }
                Command::ReturnLeads { .. }
                | Command::AddLead { .. }
                | Command::Cancel { .. }
                | Command::SaveLearned { .. }
                | Command::SaveQuota(_) => {}
            }
        }
        if let Some(next) = self.dialer.next_deadline() {
            assert!(next > self.now.mono, "a deadline in the past would spin");
        }
        for n in 0..2 {
            let snapshot = self.dialer.snapshot(campaign(n)).unwrap();
            assert!(
                snapshot.in_flight <= IN_FLIGHT_MAX && snapshot.hopper <= dialer::HOPPER_MAX_LEADS
            );
        }
    }

    /// Whether the attempt is still open, as the auditor reckons.
    fn dialer_has(&self, attempt: AttemptId) -> bool {
        self.auditor.claimed.contains(&attempt) && !self.auditor.ended.contains(&attempt)
    }

    fn close(&mut self) {
        self.tell(Input::Drain);
        self.drained = true;
        let asked: Vec<AttemptId> = self.auditor.asked.keys().copied().collect();
        for attempt in asked {
            self.tell(Input::ClaimStored { attempt });
            self.tell(Input::AttemptClassified {
                attempt,
                verdict: Verdict::Machine,
            });
            self.tell(Input::AttemptFailed {
                attempt,
                cause: Cause::NoAnswer,
            });
        }
        assert_eq!(
            self.auditor.claimed, self.auditor.ended,
            "every claimed attempt ends exactly once"
        );
        assert!(self.auditor.ended.is_subset(&self.auditor.resolved));
        for n in 0..2 {
            assert_eq!(self.dialer.snapshot(campaign(n)).unwrap().in_flight, 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_laws_hold(seed in any::<u64>(), steps in 50usize..300) {
        let mut run = Random::new(seed);
        for _ in 0..steps {
            run.step();
        }
        run.close();
    }
}

#[test]
fn the_random_world_dials_and_is_not_empty() {
    let dialled: usize = (0..20)
        .map(|seed| {
            let mut run = Random::new(seed);
            (0..400).for_each(|_| run.step());
            run.auditor.dialled.len()
        })
        .sum();
    assert!(dialled > 40, "{dialled}");
}
