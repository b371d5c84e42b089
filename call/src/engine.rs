//! acd, dialer and ivr composed into one machine.
//!
//! `handle` finds the call an input is about, lets [`crate::life`] step it, and then routes what acd
//! and dialer want done, first in first out, until nothing is left.

use crate::call::Call;
use crate::classify::{Greeting, Heard};
use crate::command::Command;
use crate::config::FeatureCode;
use crate::config::{Config, ConfigError};
use crate::floor::{EngineOutbox, Floor};
use crate::input::{AgentAction, Input, Origin};
use crate::life::{self, LegFact, Seen, Stage, Wish};
use crate::ways;
use acd::Acd;
use dialer::Dialer;
use model::event::{Attestation, AttestationSource, Party};
use model::screen_pop::Direction;
use model::{AgentId, CallId, Cause, Fact, LegId, Mint, Mono, Now, Outbox, ReasonId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Most commands of acd and dialer that one input may cause. A closing queue with 10,000 waiting
/// calls causes a few for each; an endless exchange between the two is a bug.
pub const COMMANDS_PER_INPUT_MAX: usize = 1_000_000;

/// Why the engine wants to be called at its next deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An offer, a wrap-up, a wait.
    Acd,
    /// A pacing decision, a preview, a fetch.
    Dialer,
    /// A call's own timer.
    Call(CallId),
}

/// The whole contact centre without wires. See the crate's example.
pub struct Engine {
    pub(crate) floor: Floor,
    pub(crate) calls: BTreeMap<CallId, Call>,
    /// Deadlines of calls; each call notes its own entry.
    pub(crate) due: BTreeSet<(Mono, CallId)>,
}

impl Engine {
    /// An engine without calls. `boot` numbers the starts of the store, `seed` feeds random choices.
    pub fn new(mut config: Config, boot: u32, seed: u64) -> Result<Engine, ConfigError> {
        crate::config::join_campaigns(&mut config.acd, &config.dialer);
        let flows = crate::config::flows(&config)?;
        crate::config::join_flows(&mut config.dialer, &flows)?;
        let mut rng = model::Rng::new(seed);
        let floor = Floor {
            now: Now::default(),
            acd: {
                let mut acd = Acd::new(config.acd.clone(), rng.next_u64());
                acd.set_boot(boot);
                acd
            },
            dialer: Dialer::new(config.dialer.clone(), boot, rng.next_u64()),
            config: Arc::new(config),
            flows,
            draining: false,
            congested: false,
            out: EngineOutbox::default(),
            acd_out: Outbox::new(),
            dialer_out: Outbox::new(),
            ivr_out: Outbox::new(),
            call_of_leg: HashMap::new(),
            call_of_attempt: HashMap::new(),
            attempt_of_leg: HashMap::new(),
            call_of_claim: HashMap::new(),
            call_of_offer: HashMap::new(),
            call_of_lookup: HashMap::new(),
            call_of_recording: HashMap::new(),
            call_of_agent: BTreeMap::new(),
            last_call_of_agent: BTreeMap::new(),
            calls: Mint::new(boot),
            legs: Mint::new(boot),
            plays: Mint::new(boot),
            recordings: Mint::new(boot),
            seq: 0,
        };
        Ok(Engine {
            floor,
            calls: BTreeMap::new(),
            due: BTreeSet::new(),
        })
    }

    /// One step: everything that follows from `input` at `now`.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut EngineOutbox) {
        self.floor.now = now;
        std::mem::swap(&mut self.floor.out, out);
        self.take(input);
        self.route();
        std::mem::swap(&mut self.floor.out, out);
    }

    /// When to call with [`Input::Tick`] next, and why.
    pub fn next_deadline(&self) -> Option<(Mono, Reason)> {
        let acd = self
            .floor
            .acd
            .next_deadline()
            .map(|(at, _)| (at, Reason::Acd));
        let dialer = self
            .floor
            .dialer
            .next_deadline()
            .map(|at| (at, Reason::Dialer));
        let call = self
            .due
            .first()
            .map(|(at, call)| (*at, Reason::Call(*call)));
        [acd, dialer, call]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// Live calls, previews included.
    pub fn live_calls(&self) -> usize {
        self.calls.len()
    }

    /// Live legs.
    pub fn live_legs(&self) -> usize {
        self.floor.call_of_leg.len()
    }

    /// The ACD, for its snapshot and explanations.
    pub fn acd(&self) -> &Acd {
        &self.floor.acd
    }

    /// The dialer, for its snapshots and explanations.
    pub fn dialer(&self) -> &Dialer {
        &self.floor.dialer
    }

    /// Says when a busy agent will be free: see [`Dialer::foretell`].
    pub fn foretell(&mut self, agent: AgentId, free_at: Mono) {
        self.floor.dialer.foretell(agent, free_at);
    }

    /// The stage of a live call, by name.
    pub fn stage_of(&self, call: CallId) -> Option<&'static str> {
        self.calls.get(&call).map(Call::stage_name)
    }

    /// Whether a key pressed on this leg now may be part of a secret: the input log must mask it.
    pub fn is_sensitive(&self, leg: LegId) -> bool {
        let call = self
            .floor
            .call_of_leg
            .get(&leg)
            .and_then(|call| self.calls.get(call));
        call.is_some_and(|call| match &call.stage {
            Stage::InFlow(session) => call.leg == leg && session.is_sensitive(),
            Stage::Previewing(_)
            | Stage::Dialing { .. }
            | Stage::GivingUp { .. }
            | Stage::Classifying { .. }
            | Stage::Waiting(_)
            | Stage::Offered(_)
            | Stage::Connecting { .. }
            | Stage::Talking(_)
            | Stage::OnHold(_)
            | Stage::LeavingMessage { .. }
            | Stage::Parting { .. }
            | Stage::Over => false,
        })
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::LegArrived {
                leg,
                from,
                caller,
                caller_name,
                called,
            } => self.arrive(leg, from, caller, caller_name, called),
            Input::LegAttested { leg, level } => {
                // A call that was refused at once has its record already.
                if let Some(call) = self.floor.call_of_leg.get(&leg).copied() {
                    let source = AttestationSource::IdentityUnverified;
                    let attestation = Attestation { level, source };
                    self.floor.fact(Fact::CallAttested { call, attestation });
                }
            }
            Input::LegRinging { leg } => self.on_leg(leg, LegFact::Ringing),
            Input::LegAnswered { leg } => self.on_leg(leg, LegFact::Answered),
            Input::LegFailed { leg, cause } => self.on_leg(leg, LegFact::Failed(cause)),
            Input::LegEnded { leg, cause } => self.on_leg(leg, LegFact::Ended(cause)),
            Input::LegHeld { leg, held } => self.on_leg(leg, LegFact::Held(held)),
            Input::MediaLost { leg } => self.on_leg(leg, LegFact::MediaLost),
            Input::DigitPressed { leg, digit } => self.on_customer(leg, Seen::Digit(digit)),
            Input::PromptFinished { leg, play } => {
                self.on_customer(leg, Seen::PromptFinished(play))
            }
            Input::LegClassified {
                leg,
                verdict,
                evidence,
            } => self.on_customer(leg, Seen::Heard(Heard::Who(verdict, evidence))),
            Input::LegSuspected { leg, evidence } => {
                self.on_customer(leg, Seen::Heard(Heard::Suspected(evidence)));
            }
            Input::GreetingHeard {
                leg,
                began_ms,
                ended_ms,
            } => {
                let greeting = Greeting::of(began_ms, ended_ms);
                self.on_customer(leg, Seen::Heard(Heard::Greeting(greeting)));
            }
            Input::ToneHeard { leg, tone } => {
                self.on_customer(leg, Seen::Heard(Heard::Tone(tone)));
            }
            Input::BeepEnded { leg } => self.on_customer(leg, Seen::Heard(Heard::BeepEnded)),
            Input::RecordingWritten {
                recording,
                file,
                seconds,
            } => {
                if let Some(call) = self.floor.call_of_recording.remove(&recording) {
                    self.floor.fact(Fact::RecordingEnded {
                        recording,
                        call,
                        file,
                        seconds,
                    });
                }
            }
            Input::RecordingFailed { recording, why } => {
                if let Some(call) = self.floor.call_of_recording.remove(&recording) {
                    self.floor.fact(Fact::RecordingFailed {
                        recording,
                        call,
                        why,
                    });
                }
            }
            Input::ScreenPopped { offer, on_socket } => {
                if let Some(call) = self.floor.call_of_offer.get(&offer).copied() {
                    self.step(call, Seen::ScreenPopped { offer, on_socket });
                }
            }
            Input::LookupAnswered { lookup, result } => {
                if let Some(call) = self.floor.call_of_lookup.get(&lookup).copied() {
                    self.step(call, Seen::LookedUp(lookup, result));
                }
            }
            Input::Agent { agent, action } => self.on_agent(agent, action),
            Input::PhoneReachable { agent, reachable } => self.floor.tell_acd(if reachable {
                acd::Input::PhoneReachable { agent }
            } else {
                acd::Input::PhoneLost { agent }
            }),
            Input::TrunkChanged { trunk, up } => {
                self.floor.fact(Fact::TrunkChanged { trunk, up });
                self.floor
                    .tell_dialer(dialer::Input::TrunkChanged { trunk, up });
            }
            Input::CallbacksSupplied {
                campaign,
                callbacks,
            } => self.floor.tell_dialer(dialer::Input::CallbacksSupplied {
                campaign,
                callbacks,
            }),
            Input::QuotasLoaded { quotas } => self
                .floor
                .tell_dialer(dialer::Input::QuotasLoaded { quotas }),
            Input::LeadsPast { pasts } => {
                self.floor.tell_dialer(dialer::Input::LeadsPast { pasts })
            }
            Input::CallerIdsShown { uses } => self
                .floor
                .tell_dialer(dialer::Input::CallerIdsShown { uses }),
            Input::LeadsSupplied {
                campaign,
                leads,
                exhausted,
            } => {
                self.floor.tell_dialer(dialer::Input::LeadsSupplied {
                    campaign,
                    leads,
                    exhausted,
                });
            }
            Input::LeadAdded {
                agent,
                campaign,
                number,
                lead,
            } => self.floor.tell_dialer(dialer::Input::LeadAdded {
                agent,
                campaign,
                number,
                lead,
            }),
            Input::ClaimStored { attempt } => self
                .floor
                .tell_dialer(dialer::Input::ClaimStored { attempt }),
            Input::ClaimRefused {
                attempt,
                store_failed,
            } => {
                if !self.is_undecided_preview(attempt) {
                    self.floor.tell_dialer(dialer::Input::ClaimRefused {
                        attempt,
                        store_failed,
                    });
                    self.forget_claim(attempt);
                }
            }
            Input::LeadsMayBeReady { campaign } => self
                .floor
                .tell_dialer(dialer::Input::LeadsMayBeReady { campaign }),
            Input::LeadWithdrawn { lead } => self
                .floor
                .tell_dialer(dialer::Input::LeadWithdrawn { lead }),
            Input::DoNotCall { number } => self.floor.do_not_call(number),
            Input::DoNotCallLoaded { numbers } => self
                .floor
                .tell_dialer(dialer::Input::DoNotCallLoaded { numbers }),
            Input::DoNotCallListLoaded {
                list,
                kind,
                as_of,
                numbers,
                more,
            } => self.floor.tell_dialer(dialer::Input::DoNotCallListLoaded {
                list,
                kind,
                as_of,
                numbers,
                more,
            }),
            Input::LearnedLoaded { campaign, state } => self
                .floor
                .tell_dialer(dialer::Input::LearnedLoaded { campaign, state }),
            Input::DialerHistory { answers, dials } => {
                self.floor
                    .tell_dialer(dialer::Input::HistoryLoaded { answers, dials });
            }
            Input::Congested { on } => {
                self.floor.congested = on;
                self.floor.tell_dialer(dialer::Input::Congested { on });
            }
            Input::SetCampaignRunning { campaign, running } => {
                self.floor
                    .tell_dialer(dialer::Input::SetRunning { campaign, running });
            }
            Input::SetCampaignMode { campaign, mode } => self
                .floor
                .tell_dialer(dialer::Input::SetMode { campaign, mode }),
            Input::SetCampaignAbandonLimit {
                campaign,
                limit_pct,
                by,
            } => self.floor.tell_dialer(dialer::Input::SetAbandonLimit {
                campaign,
                limit_pct,
                by,
            }),
            Input::SetCampaignPowerLevel {
                campaign,
                power_level,
                by,
            } => self.floor.tell_dialer(dialer::Input::SetPowerLevel {
                campaign,
                power_level,
                by,
            }),
            Input::SetCampaignMaxInFlight {
                campaign,
                max_in_flight,
                by,
            } => self.floor.tell_dialer(dialer::Input::SetMaxInFlight {
                campaign,
                max_in_flight,
                by,
            }),
            Input::SetQueueOpen { queue, open } => self
                .floor
                .tell_acd(acd::Input::SetQueueOpen { queue, open }),
            Input::Started {
                boot,
                version,
                attempts_unknown,
            } => {
                self.floor.fact(Fact::EngineStarted {
                    boot,
                    version,
                    attempts_unknown,
                });
            }
            Input::Drain => {
                if !self.floor.draining {
                    self.floor.draining = true;
                    self.floor.fact(Fact::EngineDraining {
                        live_calls: self.calls.len() as u64,
                    });
                    self.floor.tell_dialer(dialer::Input::Drain);
                    self.end_previews();
                }
            }
            Input::CutOff => {
                self.take(Input::Drain);
                self.cut_off();
            }
            Input::Tick => self.tick(),
        }
    }

    fn tick(&mut self) {
        let now = self.floor.now.mono;
        if self
            .floor
            .acd
            .next_deadline()
            .is_some_and(|(at, _)| at <= now)
        {
            self.floor.tell_acd(acd::Input::Tick);
            self.route();
        }
        if self
            .floor
            .dialer
            .next_deadline()
            .is_some_and(|at| at <= now)
        {
            self.floor.tell_dialer(dialer::Input::Tick);
            self.route();
        }
        let due: Vec<CallId> = self
            .due
            .range(..=(now, CallId(u64::MAX)))
            .map(|(_, call)| *call)
            .collect();
        for call in due {
            self.step(call, Seen::Tick);
            self.route();
        }
    }

    fn arrive(
        &mut self,
        leg: LegId,
        from: Origin,
        caller: String,
        caller_name: Option<String>,
        called: String,
    ) {
        if let Some(call) = self.floor.call_of_leg.get(&leg).copied() {
            let what = format!("{leg} arrived twice");
            return self.floor.fact(Fact::EngineFaulted {
                call: Some(call),
                what,
            });
        }
        let id = CallId(self.floor.calls.next());
        let mut call = Call::new(id, Direction::Inbound, leg, caller, called);
        call.caller_name = caller_name;
        match from {
            Origin::Trunk(trunk) => {
                let full =
                    self.calls.len() >= self.floor.config.live_calls_max || self.floor.congested;
                if full || self.floor.draining {
                    let cause = if full {
                        Cause::Congestion
                    } else {
                        Cause::Shutdown
                    };
                    self.floor.command(Command::RejectLeg { leg, cause });
                    return;
                }
                life::arrive(&mut call, trunk, &mut self.floor);
            }
            Origin::Agent(agent) => {
                match self.floor.config.feature_codes.get(&call.called).copied() {
                    None => {
                        self.floor.command(Command::RejectLeg {
                            leg,
                            cause: Cause::Forbidden,
                        });
                        return;
                    }
                    Some(code) => {
                        life::serve_feature_code(&mut call, "confirm", &mut self.floor);
                        let action = match code {
                            FeatureCode::SignIn => AgentAction::SignIn,
                            FeatureCode::SignOut => AgentAction::SignOut,
                            FeatureCode::Ready => AgentAction::Ready,
                            FeatureCode::NotReady => AgentAction::NotReady {
                                reason: break_reason(),
                            },
                        };
                        self.keep(call);
                        self.on_agent(agent, action);
                        return;
                    }
                }
            }
        }
        self.keep(call);
    }

    fn on_leg(&mut self, leg: LegId, fact: LegFact) {
        let Some(id) = self.floor.call_of_leg.get(&leg).copied() else {
            return;
        };
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let seen = if call.leg == leg {
            Seen::Customer(fact)
        } else {
            Seen::Agent(leg, fact)
        };
        self.step(id, seen);
    }

    /// For what only the customer's leg can do; an agent's keys and prompts mean nothing here.
    fn on_customer(&mut self, leg: LegId, seen: Seen) {
        let Some(id) = self.floor.call_of_leg.get(&leg).copied() else {
            return;
        };
        if self.calls.get(&id).is_some_and(|call| call.leg == leg) {
            self.step(id, seen);
        }
    }

    fn on_agent(&mut self, agent: AgentId, action: AgentAction) {
        match action {
            AgentAction::SignIn => self.floor.tell_acd(acd::Input::SignIn { agent }),
            AgentAction::SignOut => {
                self.floor.tell_acd(acd::Input::SignOut { agent });
                // Nobody will dial the lead they look at.
                self.wish(agent, Wish::Preview(false));
            }
            AgentAction::Ready => self.floor.tell_acd(acd::Input::SetReady { agent }),
            AgentAction::NotReady { reason } => self
                .floor
                .tell_acd(acd::Input::SetNotReady { agent, reason }),
            AgentAction::WrapUpDone => self.floor.tell_acd(acd::Input::WrapUpEnded { agent }),
            AgentAction::ExtendWrapUp { by } => self
                .floor
                .tell_acd(acd::Input::WrapUpExtended { agent, by }),
            AgentAction::HangUp => self.wish(agent, Wish::HangUp),
            AgentAction::Hold { held } => self.wish(agent, Wish::Hold(held)),
            AgentAction::Decline => self.wish(agent, Wish::Decline),
            AgentAction::Preview { accept } => self.wish(agent, Wish::Preview(accept)),
            AgentAction::Dial { number, campaign } => {
                self.floor.tell_dialer(dialer::Input::AgentDials {
                    agent,
                    number,
                    campaign,
                });
            }
            AgentAction::Dispose {
                disposition,
                note,
                callback_at,
                do_not_call,
            } => {
                if let Some(last) = self.floor.last_call_of_agent.get(&agent).copied() {
                    self.floor.fact(Fact::CallDisposed {
                        call: last.call,
                        agent,
                        disposition,
                        note: note.clone(),
                    });
                    self.floor.command(Command::StoreDisposition {
                        call: last.call,
                        agent,
                        lead: last.lead,
                        disposition,
                        note,
                        callback_at,
                    });
                    if let Some(lead) = last.lead {
                        self.floor
                            .tell_dialer(dialer::Input::LeadDisposed { lead, disposition });
                    }
                    if let (true, Some(number)) = (do_not_call, last.number) {
                        self.floor.do_not_call(number);
                    }
                }
                self.floor.tell_acd(acd::Input::WrapUpEnded { agent });
            }
        }
    }

    pub(crate) fn wish(&mut self, agent: AgentId, wish: Wish) {
        if let Some(call) = self.floor.call_of_agent.get(&agent).copied() {
            self.step(call, Seen::Wish(agent, wish));
        }
    }

    /// Routes what acd and dialer want done until nothing is left.
    fn route(&mut self) {
        for _ in 0..COMMANDS_PER_INPUT_MAX {
            if let Some(command) = self.floor.acd_out.commands.pop_front() {
                self.on_acd(command);
            } else if let Some(command) = self.floor.dialer_out.commands.pop_front() {
                self.on_dialer(command);
            } else {
                return;
            }
        }
        panic!("acd and dialer answer each other without end");
    }

    fn on_acd(&mut self, command: acd::Command) {
        match command {
            acd::Command::OfferAgent {
                offer,
                call,
                agent,
                queue: _,
                ring_timeout,
                waited,
            } => {
                self.step(
                    call,
                    Seen::OfferMade {
                        offer,
                        agent,
                        ring_timeout,
                        waited,
                    },
                );
            }
            acd::Command::WithdrawOffer {
                offer,
                call,
                agent: _,
                why,
            } => {
                if self.floor.call_of_offer.contains_key(&offer) {
                    self.step(call, Seen::OfferWithdrawn { offer, why });
                }
            }
            acd::Command::Leave {
                call,
                queue: _,
                outcome,
                next,
            } => self.step(call, Seen::LeftQueue { outcome, next }),
            acd::Command::AgentChanged { agent, is } => {
                // An agent who was freed and taken by a caller at once is nobody to dial for; what they
                // are since is told by the next of these.
                if self.floor.acd.agent_state(agent) == Some(is) {
                    self.floor
                        .tell_dialer(dialer::Input::AgentChanged { agent, state: is });
                }
            }
            // The spoken position is a later step; the API reads it from the ACD's snapshot.
            acd::Command::Announce { .. } => {}
        }
    }

    /// Steps a call if it lives, and keeps its deadline.
    pub(crate) fn step(&mut self, id: CallId, seen: Seen) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        life::step(call, seen, &mut self.floor);
        self.settle(id);
    }

    pub(crate) fn keep(&mut self, call: Call) {
        let id = call.id;
        self.calls.insert(id, call);
        self.settle(id);
    }

    fn settle(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("settled calls are kept");
        let due = call.next_deadline();
        if due != call.due {
            if let Some(before) = call.due {
                self.due.remove(&(before, id));
            }
            if let Some(at) = due {
                self.due.insert((at, id));
            }
            call.due = due;
        }
        if matches!(call.stage, Stage::Over) {
            self.calls.remove(&id);
        }
    }

    /// Ends every live call, for a shutdown whose patience is over.
    fn cut_off(&mut self) {
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            let Some(call) = self.calls.get_mut(&id) else {
                continue;
            };
            let stage = std::mem::replace(&mut call.stage, Stage::Over);
            call.stage =
                ways::wind_up(call, stage, Party::System, Cause::Shutdown, &mut self.floor);
            self.settle(id);
            self.route();
        }
    }
}

fn break_reason() -> ReasonId {
    "break".parse().expect("a valid name")
}
