//! Agents and their phones: they pick up, refuse, let it ring, put on hold, hang up, wrap up, and
//! now and then do something nobody asked for.

use crate::happens::{Far, Happens};
use crate::setting::AgentSetting;
use crate::world::World;
use call::Input;
use call::input::{AgentAction, Origin};
use model::screen_pop::PopPhase;
use model::{AgentId, CallId, Cause, LegId, ScreenPop};
use std::time::Duration;

/// A lost phone comes back within so many seconds.
const PHONE_BACK_S: f64 = 20.0;

/// One agent, as the world knows them.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub id: AgentId,
    pace: f64,
    /// The leg their phone is on.
    leg: Option<LegId>,
    /// Which after-call work is under way.
    epoch: u32,
    /// How long the after-call work of the talk under way will be, where that is foretold.
    wrap_up_s: Option<f64>,
    pub phone_lost: bool,
}

impl Agent {
    pub fn new(setting: AgentSetting) -> Agent {
        Agent {
            id: setting.agent,
            pace: setting.pace,
            leg: None,
            epoch: 0,
            wrap_up_s: None,
            phone_lost: false,
        }
    }

    /// The process forgot the phone's dialog.
    pub fn phone_is_free(&mut self) {
        self.leg = None;
        self.epoch += 1;
        self.phone_lost = false;
    }
}

impl World {
    pub(crate) fn sign_in(&mut self, ix: usize) {
        if !self.alive {
            return;
        }
        let agent = self.agents[ix].id;
        self.tell(Input::PhoneReachable {
            agent,
            reachable: true,
        });
        self.tell(Input::Agent {
            agent,
            action: AgentAction::SignIn,
        });
        self.tell(Input::Agent {
            agent,
            action: AgentAction::Ready,
        });
    }

    /// The pop is on the screen, or the screen is not connected.
    pub(crate) fn screen_shows(&mut self, pop: ScreenPop) {
        match pop.phase {
            PopPhase::Offer => {
                let on_socket = self.perfect || self.agent_rng.below(10) > 0;
                let delay = if self.perfect {
                    Duration::ZERO
                } else {
                    self.network.delay()
                };
                self.answer(
                    delay,
                    Input::ScreenPopped {
                        offer: pop.offer,
                        on_socket,
                    },
                );
            }
            PopPhase::Answer => {}
            PopPhase::Preview => {
                let accept = self.agent_rng.below(4) > 0;
                let wait = 0.5 + 5.0 * self.agent_rng.unit();
                self.answer(
                    Duration::from_secs_f64(wait),
                    Input::Agent {
                        agent: pop.agent,
                        action: AgentAction::Preview { accept },
                    },
                );
            }
        }
    }

    /// An agent's phone is called.
    pub(crate) fn phone_rings(
        &mut self,
        leg: LegId,
        call: CallId,
        agent: AgentId,
        auto_answer: bool,
    ) {
        let Some(ix) = self.agent_of(agent) else {
            return;
        };
        self.far.insert(leg, Far::new(Some(call), Some(ix), false));
        self.awkward_moment(call);
        if self.agents[ix]
            .leg
            .is_some_and(|other| self.far.contains_key(&other))
        {
            self.phone_fails(leg, Cause::Busy);
            return;
        }
        self.agents[ix].leg = Some(leg);
        let people = &self.setting.people;
        let (reluctance, pick_up) = (people.reluctance, people.pick_up);
        if self.agents[ix].phone_lost || (reluctance > 0.0 && self.agent_rng.chance(reluctance)) {
            let wait = self.agent_rng.unit() * 3.0;
            match self.agent_rng.below(6) {
                0 => self.later_s(wait, Happens::PhoneFails(leg, Cause::Rejected)),
                1 => self.later_s(0.0, Happens::PhoneFails(leg, Cause::Unreachable)),
                2 => self.later_s(wait, Happens::AgentOnCall(leg, AgentAction::Decline)),
                3 => self.later_s(wait, Happens::AgentOnCall(leg, AgentAction::SignOut)),
                // Lets it ring; and answers in the instant it is given up.
                4 => {}
                _ => self.later_s(15.0, Happens::PhoneAnswers(leg)),
            }
            return;
        }
        let wait = if auto_answer && self.perfect {
            0.0
        } else if auto_answer {
            0.3 * self.agent_rng.unit()
        } else {
            self.say(leg, Input::LegRinging { leg });
            pick_up.draw(&mut self.agent_rng)
        };
        if wait == 0.0 {
            self.phone_answers(leg);
        } else {
            self.later_s(wait, Happens::PhoneAnswers(leg));
        }
    }

    pub(crate) fn phone_answers(&mut self, leg: LegId) {
        let Some(far) = self.far.get_mut(&leg) else {
            return;
        };
        far.up = true;
        let call = far.call;
        self.say(leg, Input::LegAnswered { leg });
        if let Some(call) = call {
            self.awkward_moment(call);
        }
    }

    pub(crate) fn phone_fails(&mut self, leg: LegId, cause: Cause) {
        if self.far.get(&leg).is_some_and(|far| !far.up) {
            self.say(leg, Input::LegFailed { leg, cause });
            self.far.remove(&leg);
        }
    }

    /// Two hear each other. The first time, they decide how long they talk and who hangs up.
    pub(crate) fn talk_begins(&mut self, a: LegId, b: LegId) {
        let (customer, phone) = match self.far.get(&a) {
            Some(far) if far.agent.is_some() => (b, a),
            Some(_) | None => (a, b),
        };
        let Some(ix) = self.far.get(&phone).and_then(|far| far.agent) else {
            return;
        };
        let Some(far) = self.far.get_mut(&customer) else {
            return;
        };
        far.playing = None;
        if std::mem::replace(&mut far.talked, true) {
            return;
        }
        far.epoch += 1;
        let (epoch, outbound, machine) = (far.epoch, far.outbound, far.machine);
        let people = &self.setting.people;
        let (hold, agent_first) = (people.hold, people.agent_hangs_up);
        let own = if outbound {
            far.campaign
                .and_then(|campaign| self.setting.carrier.campaigns.get(&campaign))
                .and_then(|campaign| campaign.talk)
        } else {
            people.inbound_talk
        };
        let rng = &mut self.agent_rng;
        let kind = match (own, people.other_talk) {
            _ if machine => people.machine_talk,
            (Some(own), _) => own,
            (None, Some((share, other))) if rng.chance(share) => other,
            (None, Some(_) | None) => people.talk,
        };
        let lasts = kind.draw(rng) * self.agents[ix].pace;
        if self.setting.foretold {
            let wrap_up = self.setting.people.wrap_up.draw(rng) * self.agents[ix].pace;
            self.agents[ix].wrap_up_s = Some(wrap_up);
            let free_at = self.now + Duration::from_secs_f64((lasts + wrap_up).min(1e9));
            self.engine.foretell(self.agents[ix].id, free_at);
        }
        if hold > 0.0 && rng.chance(hold) {
            let (from, to) = (lasts * rng.unit() * 0.5, lasts * (0.5 + rng.unit() * 0.4));
            self.later_s(
                from,
                Happens::AgentOnCall(phone, AgentAction::Hold { held: true }),
            );
            self.later_s(
                to,
                Happens::AgentOnCall(phone, AgentAction::Hold { held: false }),
            );
        }
        if agent_first > 0.0 && self.agent_rng.chance(agent_first) {
            if self.agent_rng.below(2) == 0 {
                self.later_s(lasts, Happens::AgentHangsUp(phone));
            } else {
                self.later_s(lasts, Happens::AgentOnCall(phone, AgentAction::HangUp));
            }
            // Whoever forgets to hang up is left by the customer.
            self.later_s(lasts + 30.0, Happens::CustomerHangsUp(customer, epoch));
        } else {
            self.later_s(lasts, Happens::CustomerHangsUp(customer, epoch));
        }
        if let Some(far) = self.far.get_mut(&phone) {
            far.talked = true;
        }
    }

    pub(crate) fn agent_hangs_up(&mut self, leg: LegId) {
        if self.far.contains_key(&leg) {
            self.say(
                leg,
                Input::LegEnded {
                    leg,
                    cause: Cause::Normal,
                },
            );
            self.leg_hung_up(leg);
        }
    }

    /// The leg is over at its far end; an agent who talked begins after-call work.
    pub(crate) fn leg_hung_up(&mut self, leg: LegId) {
        let Some(far) = self.far.remove(&leg) else {
            return;
        };
        let Some(ix) = far.agent else { return };
        let agent = &mut self.agents[ix];
        if agent.leg == Some(leg) {
            agent.leg = None;
        }
        if far.talked {
            agent.epoch += 1;
            let (epoch, pace) = (agent.epoch, agent.pace);
            let wrap_up = match agent.wrap_up_s.take() {
                Some(foretold) => foretold,
                None => self.setting.people.wrap_up.draw(&mut self.agent_rng) * pace,
            };
            self.later_s(wrap_up, Happens::AgentWrapsUp(ix, epoch));
        }
    }

    pub(crate) fn agent_wraps_up(&mut self, ix: usize, epoch: u32) {
        if self.agents[ix].epoch != epoch || !self.alive {
            return;
        }
        let agent = self.agents[ix].id;
        let (whims, do_not_call) = (
            self.setting.people.whim_s.is_some(),
            self.setting.people.do_not_call,
        );
        let action = if whims && self.agent_rng.below(2) == 0 {
            AgentAction::Dispose {
                disposition: crate::scenario::name("done"),
                note: None,
                callback_at: None,
                do_not_call: self.agent_rng.chance(do_not_call),
            }
        } else {
            AgentAction::WrapUpDone
        };
        self.tell(Input::Agent { agent, action });
    }

    /// An action that makes sense only while this leg of theirs lives.
    pub(crate) fn agent_on_call(&mut self, leg: LegId, action: AgentAction) {
        if let Some(ix) = self.far.get(&leg).and_then(|far| far.agent)
            && self.alive
        {
            let agent = self.agents[ix].id;
            self.tell(Input::Agent { agent, action });
        }
    }

    pub(crate) fn plan_whim(&mut self, ix: usize) {
        if let Some(mean) = self.setting.people.whim_s {
            let wait = self.agent_rng.exponential(mean);
            self.later_s(wait, Happens::AgentWhim(ix));
        }
    }

    /// What nobody asked for.
    pub(crate) fn agent_whim(&mut self, ix: usize) {
        if self.shift_over {
            // People who go home stop having whims, and take what rings.
            return;
        }
        self.plan_whim(ix);
        if !self.alive {
            return;
        }
        if self.agent_rng.chance(self.setting.people.clock_steps) {
            self.stepped_us += self.agent_rng.below(7_200_000_000) as i64 - 3_600_000_000;
        }
        let agent = self.agents[ix].id;
        let reason = crate::scenario::name("break");
        let action = match self.agent_rng.below(20) {
            0..=8 => AgentAction::Ready,
            9..=10 => AgentAction::NotReady { reason },
            11 => AgentAction::SignOut,
            12..=13 => AgentAction::SignIn,
            14 => AgentAction::WrapUpDone,
            15 => AgentAction::ExtendWrapUp {
                by: Duration::from_secs(5),
            },
            16 => AgentAction::Decline,
            17 => {
                self.agents[ix].phone_lost = true;
                let wait = self.agent_rng.unit() * PHONE_BACK_S;
                self.later_s(wait, Happens::PhoneBack(ix));
                return self.tell(Input::PhoneReachable {
                    agent,
                    reachable: false,
                });
            }
            18 => return self.dial_feature_code(agent),
            _ => return self.supervise(),
        };
        self.tell(Input::Agent { agent, action });
    }

    fn dial_feature_code(&mut self, agent: AgentId) {
        let code = ["*11", "*12", "*13", "*14", "*99"][self.agent_rng.below(5) as usize];
        let leg = self.mint_arrived();
        self.far.insert(leg, Far::new(None, None, false));
        let input = Input::LegArrived {
            leg,
            from: Origin::Agent(agent),
            caller: agent.to_string(),
            caller_name: None,
            called: code.into(),
        };
        self.say(leg, input);
        self.later_s(4.0, Happens::CustomerHangsUp(leg, 0));
    }

    /// A supervisor, an import, a person who complains.
    fn supervise(&mut self) {
        let campaigns = self.campaigns();
        if campaigns.is_empty() {
            return;
        }
        let campaign = campaigns[self.agent_rng.below(campaigns.len() as u64) as usize];
        let input = match self.agent_rng.below(6) {
            0 => Input::SetCampaignRunning {
                campaign,
                running: false,
            },
            1 | 2 => Input::SetCampaignRunning {
                campaign,
                running: true,
            },
            3 => Input::LeadsMayBeReady { campaign },
            4 => match self.store.some_lead() {
                Some(lead) => Input::LeadWithdrawn { lead },
                None => return,
            },
            _ => {
                let queue = self.setting.config.acd.queues.keys().next().copied();
                match queue {
                    Some(queue) => Input::SetQueueOpen {
                        queue,
                        open: self.agent_rng.below(3) > 0,
                    },
                    None => return,
                }
            }
        };
        self.tell(input);
    }
}
