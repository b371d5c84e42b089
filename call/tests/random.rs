//! Random days: plausible answers to what the engine asks for, mixed with inputs that are late, twice,
//! about nothing, or in the wrong order. After every input the engine's own check holds; when
//! everything is hung up at the end, nothing is left in any map, and the books are closed.

#[path = "random/books.rs"]
mod books;

use books::Books;
use call::input::{AgentAction, Input, Origin};
use call::{Command, Config, Engine, EngineOutbox};
use model::event::{Mode, Verdict};
use model::heard::Tone;
use model::{
    AgentId, AttemptId, Cause, Fact, Lead, LeadId, LegId, LookupId, Now, OfferId, PlayId,
    RecordingId, Rng, Utc,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

const AGENTS: [&str; 4] = ["anna", "ben", "cleo", "nobody"];
const STEPS_MAX: usize = 300;

fn config(modes: [Mode; 2], detect: bool) -> Config {
    let text = include_str!("stories/floor.toml");
    let mut value: toml::Value = toml::from_str(text).unwrap();
    value
        .as_table_mut()
        .unwrap()
        .insert("flows".into(), toml::Value::Array(Vec::new()));
    let mut config: Config = value.try_into().unwrap();
    for (file, text) in [
        ("welcome.toml", include_str!("stories/flows/welcome.toml")),
        ("goodbye.toml", include_str!("stories/flows/goodbye.toml")),
        ("card.toml", include_str!("stories/flows/card.toml")),
        ("notice.toml", include_str!("stories/flows/notice.toml")),
        ("reminder.toml", include_str!("stories/flows/reminder.toml")),
        ("sorry.toml", include_str!("stories/flows/sorry.toml")),
    ] {
        config.flows.push((file.into(), text.into()));
    }
    // Everybody takes everything: the hardest floor for one agent, one call.
    let queues: Vec<_> = config.acd.queues.keys().copied().collect();
    for agent in config.acd.agents.values_mut() {
        agent.queues = queues.iter().map(|queue| (*queue).into()).collect();
        agent.wrap_up_ms = Some(3_000);
    }
    let sales = config
        .acd
        .queues
        .get_mut(&"sales".parse().unwrap())
        .unwrap();
    sales.max_wait_ms = Some(8_000);
    sales.overflow = Some(acd::config::Overflow {
        to: acd::config::OverflowTo::Queue("closed".parse().unwrap()),
        prompt: None,
    });
    sales.rona = acd::config::Rona::Available;
    sales.ring_timeout_ms = 2_000;
    let closed = config
        .acd
        .queues
        .get_mut(&"closed".parse().unwrap())
        .unwrap();
    closed.max_wait_ms = Some(4_000);
    closed.overflow = Some(acd::config::Overflow {
        to: acd::config::OverflowTo::Flow("welcome".parse().unwrap()),
        prompt: None,
    });
    let mut spring = config
        .dialer
        .campaigns
        .remove(&"spring".parse().unwrap())
        .unwrap();
    spring.running = true;
    spring.detect_machines = detect;
    spring.agents = vec!["anna".parse().unwrap(), "cleo".parse().unwrap()];
    spring.preview_timeout_s = 5;
    if detect {
        spring.machine_after_connect = dialer::MachineAfterConnect::HangUp;
        spring.on_machine = dialer::OnMachine::LeaveMessage;
        spring.machine_prompt = Some("voicemail".into());
        spring.abandon_flow = Some("sorry".parse().unwrap());
        spring.abandon_prompt = None;
    }
    for (name, mode, flow) in [
        ("spring", modes[0], "reminder"),
        ("autumn", modes[1], "notice"),
    ] {
        spring.mode = mode;
        let speaks = mode == Mode::Agentless;
        spring.flow = speaks.then(|| flow.parse().unwrap());
        config
            .dialer
            .campaigns
            .insert(name.parse().unwrap(), spring.clone());
    }
    for treatment in config.treatment.values_mut() {
        treatment.record = true;
    }
    config.live_calls_max = 12;
    config
}

struct Day {
    engine: Engine,
    now: Now,
    out: EngineOutbox,
    rng: Rng,
    asked: VecDeque<Command>,
    /// Every id there ever was: what is late is still said.
    legs: Vec<LegId>,
    offers: Vec<OfferId>,
    plays: Vec<(LegId, PlayId)>,
    attempts: Vec<AttemptId>,
    recordings: Vec<RecordingId>,
    lookups: Vec<LookupId>,
    arrived: u64,
    leads: u64,
    books: Books,
}

impl Day {
    fn new(seed: u64, modes: [Mode; 2], detect: bool) -> Day {
        let now = Now {
            utc: Utc::from_micros(1_782_928_800_000_000),
            ..Now::default()
        };
        Day {
            engine: Engine::new(config(modes, detect), 0, seed).unwrap(),
            now,
            out: EngineOutbox::default(),
            rng: Rng::new(seed),
            asked: VecDeque::new(),
            legs: Vec::new(),
            offers: Vec::new(),
            plays: Vec::new(),
            attempts: Vec::new(),
            recordings: Vec::new(),
            lookups: Vec::new(),
            arrived: 1 << 32,
            leads: 0,
            books: Books::default(),
        }
    }

    fn see(&mut self, input: Input) {
        match &input {
            Input::LegArrived { leg, .. } => {
                self.books.legs_known.insert(*leg);
            }
            // The exchange forgets a leg before it says so.
            Input::LegEnded { leg, .. } | Input::LegFailed { leg, .. } => {
                self.books.legs_known.remove(leg);
            }
            _ => {}
        }
        self.engine.handle(self.now, input, &mut self.out);
        self.engine.check();
        let mut ended = Vec::new();
        for event in self.out.events.drain(..) {
            self.books.event(&event);
            if let Fact::LegEnded { leg, .. } = event.fact {
                ended.push(leg);
            }
        }
        for command in self.out.commands.drain(..) {
            self.books.command(&command);
            match &command {
                Command::DialCustomer { leg, .. } | Command::DialAgent { leg, .. } => {
                    self.legs.push(*leg)
                }
                Command::PopScreen(pop) => self.offers.push(pop.offer),
                Command::Play { leg, play, .. } => self.plays.push((*leg, *play)),
                Command::Claim { attempt, .. } => self.attempts.push(*attempt),
                Command::StartRecording { recording, .. } => self.recordings.push(*recording),
                Command::Lookup { lookup, .. } => self.lookups.push(*lookup),
                _ => {}
            }
            self.asked.push_back(command);
        }
        for leg in ended {
            let known = self.books.legs_known.contains(&leg);
            assert!(
                !known,
                "{leg} is over for us, and nobody has told its far end"
            );
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while let Some((due, _)) = self
            .engine
            .next_deadline()
            .filter(|(due, _)| *due <= until.mono)
        {
            self.now = self.now.plus(due.since(self.now.mono));
            let before = (self.now.mono, self.engine.next_deadline());
            self.see(Input::Tick);
            assert_ne!(
                before,
                (self.now.mono, self.engine.next_deadline()),
                "what was due has been done"
            );
        }
        self.now = until;
    }

    fn any<T: Copy>(rng: &mut Rng, of: &[T], none: T) -> T {
        // The last ones are the likely ones; now and then something that never was.
        if of.is_empty() || rng.chance(0.05) {
            return none;
        }
        let back = if rng.chance(0.7) {
            rng.below(of.len().min(4) as u64)
        } else {
            rng.below(of.len() as u64)
        };
        of[of.len() - 1 - back as usize]
    }

    fn cause(&mut self) -> Cause {
        let causes = [
            Cause::Normal,
            Cause::Busy,
            Cause::NoAnswer,
            Cause::Rejected,
            Cause::Unallocated,
            Cause::Unreachable,
            Cause::Congestion,
            Cause::SignallingLost,
        ];
        causes[self.rng.below(8) as usize]
    }

    /// A likely answer to what was asked for first.
    fn answer(&mut self) {
        let Some(command) = self.asked.pop_front() else {
            return;
        };
        let luck = self.rng.unit();
        match command {
            Command::DialCustomer {
                leg,
                classify: true,
                ..
            } if luck < 0.5 => {
                self.see(Input::LegAnswered { leg });
                let verdict = [Verdict::Person, Verdict::Machine][usize::from(luck < 0.25)];
                let evidence = None;
                self.see(Input::LegClassified {
                    leg,
                    verdict,
                    evidence,
                });
            }
            Command::DialCustomer { leg, .. } | Command::DialAgent { leg, .. } => match luck {
                l if l < 0.2 => {
                    self.see(Input::LegRinging { leg });
                    self.see(Input::LegAnswered { leg });
                }
                l if l < 0.7 => self.see(Input::LegAnswered { leg }),
                // It rings until it is given up.
                l if l < 0.8 => {}
                _ => {
                    let cause = self.cause();
                    self.see(Input::LegFailed { leg, cause });
                }
            },
            Command::CancelLeg { leg, .. } => {
                let cause = self.cause();
                self.see(match luck {
                    l if l < 0.5 => Input::LegFailed { leg, cause },
                    l if l < 0.9 => Input::LegAnswered { leg },
                    _ => Input::LegEnded { leg, cause },
                });
            }
            Command::PopScreen(pop) => self.see(Input::ScreenPopped {
                offer: pop.offer,
                on_socket: luck < 0.8,
            }),
            Command::Play {
                leg,
                play,
                repeat: false,
                ..
            } => self.see(Input::PromptFinished { leg, play }),
            Command::Claim { attempt, .. } if luck < 0.8 => {
                self.see(Input::ClaimStored { attempt })
            }
            Command::Claim { attempt, .. } => self.see(Input::ClaimRefused {
                attempt,
                store_failed: luck < 0.9,
            }),
            Command::StopRecording { recording } if luck < 0.8 => {
                self.see(Input::RecordingWritten {
                    recording,
                    file: "r.wav".into(),
                    seconds: 1.0,
                });
            }
            Command::StartRecording { recording, .. } if luck < 0.1 => {
                self.see(Input::RecordingFailed {
                    recording,
                    why: "full".into(),
                });
            }
            Command::Lookup { lookup, .. } => self.see(Input::LookupAnswered {
                lookup,
                result: Ok(BTreeMap::new()),
            }),
            Command::AddLead {
                agent,
                campaign,
                number,
            } => {
                let mut lead = self.lead();
                lead.numbers = vec![number];
                self.see(Input::LeadAdded {
                    agent,
                    campaign,
                    number,
                    lead: (luck < 0.9).then(|| Box::new(lead)),
                });
            }
            Command::FetchLeads { campaign, .. } => {
                let leads = (0..self.rng.below(6)).map(|_| self.lead()).collect();
                self.see(Input::LeadsSupplied {
                    campaign,
                    leads,
                    exhausted: luck < 0.3,
                });
            }
            _ => {}
        }
    }

    fn lead(&mut self) -> Lead {
        self.leads += 1;
        Lead {
            fields: consent(),
            ..Lead::new(
                LeadId(self.leads),
                "spring".parse().unwrap(),
                vec![
                    format!("+1212555{:04}", self.leads % 10_000)
                        .parse()
                        .unwrap(),
                ],
            )
        }
    }

    fn agent(&mut self) -> AgentId {
        AGENTS[self.rng.below(4) as usize].parse().unwrap()
    }

    fn arrive(&mut self) {
        self.arrived += 1;
        let twice = self.rng.chance(0.03);
        let leg = LegId(self.arrived - u64::from(twice));
        let numbers = [
            "+4940100", "+4940200", "+4940300", "+4940400", "+4940500", "+4911", "*11", "*13",
            "*12",
        ];
        let called = numbers[self.rng.below(9) as usize];
        let from = if called.starts_with('*') {
            Origin::Agent(self.agent())
        } else {
            Origin::Trunk("carrier".parse().unwrap())
        };
        // An exchange that says a live leg arrives again is told so; a dead one is not reused.
        if twice && !self.books.legs_known.contains(&leg) {
            return;
        }
        self.legs.push(leg);
        self.see(Input::LegArrived {
            leg,
            from,
            caller: "+4930123456".into(),
            caller_name: None,
            called: called.into(),
        });
    }

    fn act(&mut self) {
        let agent = self.agent();
        let action = match self.rng.below(16) {
            0 => AgentAction::SignIn,
            1 => AgentAction::SignOut,
            2..=4 => AgentAction::Ready,
            5 => AgentAction::NotReady {
                reason: "lunch".parse().unwrap(),
            },
            6 => AgentAction::Dispose {
                disposition: "sale".parse().unwrap(),
                note: None,
                callback_at: None,
                do_not_call: self.rng.chance(0.3),
            },
            7 => AgentAction::WrapUpDone,
            8 => AgentAction::ExtendWrapUp {
                by: Duration::from_secs(2),
            },
            9 => AgentAction::HangUp,
            10 => AgentAction::Hold {
                held: self.rng.chance(0.5),
            },
            11 => AgentAction::Decline,
            12 | 13 => AgentAction::Dial {
                number: format!("+1212555{:04}", 9_000 + self.rng.below(50))
                    .parse()
                    .unwrap(),
                campaign: self.rng.chance(0.3).then(|| "autumn".parse().unwrap()),
            },
            _ => AgentAction::Preview {
                accept: self.rng.chance(0.7),
            },
        };
        self.see(Input::Agent { agent, action });
    }

    /// Something that may have nothing to do with what is going on.
    fn say_anything(&mut self) {
        let leg = Self::any(&mut self.rng, &self.legs, LegId(77));
        let attempt = Self::any(&mut self.rng, &self.attempts, AttemptId(77));
        let cause = self.cause();
        let input = match self.rng.below(18) {
            0 => Input::LegRinging { leg },
            1 => Input::LegAnswered { leg },
            2 => Input::LegFailed { leg, cause },
            3 | 4 => Input::LegEnded { leg, cause },
            5 => Input::LegHeld {
                leg,
                held: self.rng.chance(0.5),
            },
            6 | 7 => Input::DigitPressed {
                leg,
                digit: ['1', '2', '7', '9', '#'][self.rng.below(5) as usize],
            },
            8 => {
                let (leg, play) = Self::any(&mut self.rng, &self.plays, (leg, PlayId(7)));
                Input::PromptFinished { leg, play }
            }
            9 => {
                let verdicts = [Verdict::Person, Verdict::Machine, Verdict::Fax];
                let began_ms = Some(self.rng.below(4_000) as u32).filter(|ms| ms % 4 > 0);
                let tone = Tone::ALL[self.rng.below(Tone::ALL.len() as u64) as usize];
                let evidence = self.rng.chance(0.7).then(Box::default);
                match self.rng.below(8) {
                    0..=2 => Input::GreetingHeard {
                        leg,
                        began_ms,
                        ended_ms: began_ms.filter(|ms| ms % 2 > 0).map(|ms| ms + 300),
                    },
                    3 => Input::ToneHeard { leg, tone },
                    4..=5 => Input::LegSuspected { leg, evidence },
                    _ => Input::LegClassified {
                        leg,
                        verdict: verdicts[self.rng.below(3) as usize],
                        evidence: None,
                    },
                }
            }
            10 if self.rng.chance(0.5) => Input::BeepEnded { leg },
            10 => Input::MediaLost { leg },
            11 => Input::ScreenPopped {
                offer: Self::any(&mut self.rng, &self.offers, OfferId(77)),
                on_socket: false,
            },
            12 => Input::LookupAnswered {
                lookup: Self::any(&mut self.rng, &self.lookups, LookupId(77)),
                result: Err("late".into()),
            },
            13 => Input::ClaimStored { attempt },
            14 => Input::ClaimRefused {
                attempt,
                store_failed: false,
            },
            15 => Input::LeadWithdrawn {
                lead: LeadId(1 + self.rng.below(self.leads + 1)),
            },
            16 => Input::PhoneReachable {
                agent: self.agent(),
                reachable: self.rng.chance(0.7),
            },
            _ => Input::RecordingFailed {
                recording: Self::any(&mut self.rng, &self.recordings, RecordingId(77)),
                why: "late".into(),
            },
        };
        self.see(input);
    }

    fn supervise(&mut self) {
        let campaign = ["spring", "autumn"][self.rng.below(2) as usize]
            .parse()
            .unwrap();
        let queue = ["sales", "vip", "spring"][self.rng.below(3) as usize]
            .parse()
            .unwrap();
        let modes = [
            Mode::Preview,
            Mode::Progressive,
            Mode::Power,
            Mode::Predictive,
            Mode::Agentless,
        ];
        let by = || "maria".to_string();
        let input = match self.rng.below(8) {
            0 => Input::SetCampaignRunning {
                campaign,
                running: self.rng.chance(0.7),
            },
            1 => Input::SetCampaignMode {
                campaign,
                mode: modes[self.rng.below(5) as usize],
            },
            6 => Input::SetCampaignAbandonLimit {
                campaign,
                limit_pct: self.rng.unit() * 4.0,
                by: by(),
            },
            7 => Input::SetCampaignMaxInFlight {
                campaign,
                max_in_flight: self.rng.below(6) as u32,
                by: by(),
            },
            2 => Input::SetQueueOpen {
                queue,
                open: self.rng.chance(0.7),
            },
            3 => Input::LeadsMayBeReady { campaign },
            4 => Input::DoNotCall {
                number: format!("+1212555{:04}", self.rng.below(30))
                    .parse()
                    .unwrap(),
            },
            _ => Input::TrunkChanged {
                trunk: "carrier".parse().unwrap(),
                up: self.rng.chance(0.5),
            },
        };
        self.see(input);
    }

    /// Everybody hangs up, everything asked for is answered.
    fn end(&mut self) {
        self.see(Input::Drain);
        for attempt in self.attempts.clone() {
            self.see(Input::ClaimRefused {
                attempt,
                store_failed: false,
            });
        }
        for leg in self.legs.clone() {
            self.see(Input::LegEnded {
                leg,
                cause: Cause::Normal,
            });
        }
        for agent in AGENTS {
            let agent = agent.parse().unwrap();
            self.see(Input::Agent {
                agent,
                action: AgentAction::SignOut,
            });
        }
        for recording in self.recordings.clone() {
            self.see(Input::RecordingWritten {
                recording,
                file: "r.wav".into(),
                seconds: 1.0,
            });
        }
        assert_eq!(
            self.engine.live_calls(),
            0,
            "all calls end when everybody hangs up"
        );
        assert_eq!(self.engine.live_legs(), 0);
        assert_eq!(self.engine.dialer().live_attempts(), 0);
        assert_eq!(self.engine.recordings_pending(), 0);
        self.pass(Duration::from_secs(10));
        for agent in &AGENTS[..3] {
            let is = self.engine.acd().agent_state(agent.parse().unwrap());
            assert_eq!(is, Some(model::AgentState::SignedOut), "{agent} went home");
        }
        assert_eq!(self.books.calls_open, BTreeSet::new());
        assert_eq!(self.books.legs_open, BTreeSet::new());
        assert_eq!(self.books.attempts_open, BTreeSet::new());
        assert_eq!(
            self.books.legs_known,
            BTreeSet::new(),
            "every leg was hung up by somebody"
        );
        assert_eq!(self.books.cdr.open_calls(), 0);
        for (what, left) in self.books.ledger.residuals() {
            assert_eq!(left, 0, "{what}");
        }
        for (what, live) in self.books.ledger.live() {
            assert_eq!(live, 0, "{what} still live in the books");
        }
    }
}

/// What recorded voices need, as columns of a lead.
fn consent() -> BTreeMap<String, String> {
    let words = "consent written consent_at 2026-06-01 rnd_answer no rnd_at 2026-06-20";
    let words: Vec<&str> = words.split(' ').collect();
    let pairs = words.chunks(2);
    pairs.map(|pair| (pair[0].into(), pair[1].into())).collect()
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Preview),
        Just(Mode::Progressive),
        Just(Mode::Power),
        Just(Mode::Predictive),
        Just(Mode::Agentless)
    ]
}

/// One day from its first input to its last. What happened in it, by kind.
fn live(seed: u64, modes: [Mode; 2], detect: bool, steps: usize, cut: bool) -> BTreeSet<String> {
    let mut day = Day::new(seed, modes, detect);
    for agent in &AGENTS[..3] {
        let agent = agent.parse().unwrap();
        day.see(Input::PhoneReachable {
            agent,
            reachable: true,
        });
        day.see(Input::Agent {
            agent,
            action: AgentAction::SignIn,
        });
        day.see(Input::Agent {
            agent,
            action: AgentAction::Ready,
        });
    }
    for _ in 0..steps {
        match day.rng.below(100) {
            0..=44 => day.answer(),
            45..=54 => day.arrive(),
            55..=69 => day.act(),
            70..=84 => day.say_anything(),
            85..=87 => day.supervise(),
            _ => {
                let ms = [1, 20, 70, 500, 2_000, 6_000][day.rng.below(6) as usize];
                day.pass(Duration::from_millis(ms));
            }
        }
    }
    if cut {
        day.see(Input::CutOff);
        assert_eq!(day.engine.live_calls(), 0);
    }
    day.end();
    day.books.seen
}

#[test]
fn the_random_days_go_everywhere() {
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let modes = [
            [Mode::Preview, Mode::Power],
            [Mode::Progressive, Mode::Preview],
            [Mode::Agentless, Mode::Predictive],
            [Mode::Preview, Mode::Agentless],
        ][seed as usize % 4];
        seen.append(&mut live(seed, modes, seed % 3 == 0, STEPS_MAX, false));
    }
    for kind in [
        "call.arrived inbound",
        "call.bridged outbound",
        "leg.given_up",
        "call.bridged inbound",
        "call.bridged preview",
        "call.held",
        "call.classified",
        "campaign.change_refused",
        "agent.dial_refused",
        "ivr.left",
        "queue.refused",
        "offer.failed",
        "offer.withdrawn",
        "recording.failed",
        "attempt.ended answered_agent",
        "attempt.ended abandoned",
        "attempt.ended messaged",
        "attempt.ended machine",
        "attempt.ended no_answer",
        "attempt.ended busy",
        "attempt.ended cancelled",
        "attempt.blocked",
        "engine.faulted",
        "call.disposed",
    ] {
        assert!(seen.contains(kind), "no random day had {kind}: {seen:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_the_story_stays_consistent_and_ends(
        seed in any::<u64>(),
        modes in [modes(), modes()],
        detect in any::<bool>(),
        steps in 1..STEPS_MAX,
        cut in any::<bool>(),
    ) {
        live(seed, modes, detect, steps, cut);
    }
}
