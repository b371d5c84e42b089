//! Where commands are carried out: at the legs, the screens, the recorder and the store.

use crate::world::World;
use call::{Command, Input};
use std::time::Duration;

impl World {
    pub(crate) fn carry_out(&mut self, command: Command) {
        match command {
            Command::RingLeg { .. } => {}
            Command::AnswerLeg { leg } => {
                if let Some(far) = self.far.get_mut(&leg) {
                    far.up = true;
                }
            }
            Command::RejectLeg { leg, cause: _ } => {
                self.far.remove(&leg);
            }
            Command::DialCustomer {
                leg,
                call,
                classify,
                attempt,
                ..
            } => self.carrier_dials(leg, call, attempt, classify),
            Command::DialAgent {
                leg,
                call,
                agent,
                auto_answer,
                ..
            } => self.phone_rings(leg, call, agent, auto_answer),
            Command::HangUpLeg { leg, cause: _ } => self.leg_hung_up(leg),
            Command::CancelLeg { leg, cause } => self.carrier_cancels(leg, cause),
            Command::Play {
                leg,
                play,
                pieces,
                repeat,
            } => self.hears(leg, play, pieces.len(), repeat),
            Command::StopPlay { leg, play } => {
                if let Some(far) = self.far.get_mut(&leg) {
                    far.playing.take_if(|playing| *playing == play);
                }
            }
            Command::Bridge { a, b } => self.talk_begins(a, b),
            Command::Unbridge { .. } | Command::StartRecording { .. } => {}
            Command::StopRecording { recording } => {
                let delay = if self.perfect {
                    Duration::ZERO
                } else {
                    Duration::from_millis(40)
                };
                let input = if self.agent_rng.below(50) == 0 {
                    Input::RecordingFailed {
                        recording,
                        why: "the disk is full".into(),
                    }
                } else {
                    Input::RecordingWritten {
                        recording,
                        file: "r.wav".into(),
                        seconds: 1.0,
                    }
                };
                self.answer(delay, input);
            }
            Command::PopScreen(pop) => self.screen_shows(*pop),
            Command::Lookup { lookup, .. } => {
                self.answer(
                    Duration::from_millis(30),
                    Input::LookupAnswered {
                        lookup,
                        result: Ok(Default::default()),
                    },
                );
            }
            Command::FetchLeads {
                campaign, count, ..
            } => {
                let (leads, exhausted) = self.store.fetch(count, self.clock().utc);
                let delay = self.store_delay();
                self.answer(
                    delay,
                    Input::LeadsSupplied {
                        campaign,
                        leads,
                        exhausted,
                    },
                );
            }
            // Nobody in a simulation dials by hand.
            Command::AddLead {
                agent,
                campaign,
                number,
            } => {
                let input = Input::LeadAdded {
                    agent,
                    campaign,
                    number,
                    lead: None,
                };
                self.answer(Duration::ZERO, input);
            }
            Command::Claim { attempt, lead, .. } => {
                let input = match self.store.claim(attempt, lead) {
                    Some(true) => Input::ClaimStored { attempt },
                    Some(false) => Input::ClaimRefused {
                        attempt,
                        store_failed: false,
                    },
                    None => Input::ClaimRefused {
                        attempt,
                        store_failed: true,
                    },
                };
                let delay = self.store_delay();
                self.answer(delay, input);
            }
            Command::Resolve {
                attempt,
                lead,
                outcome,
                next,
                ..
            } => self.store.resolve(attempt, lead, outcome, next),
            Command::ReturnLeads { leads, .. } => self.store.give_back(&leads),
            // Every shift begins with what it learns itself.
            Command::SaveLearned { .. } | Command::SaveQuota(_) => {}
            Command::StoreDisposition { .. } => {}
            Command::StoreDoNotCall { number } => {
                self.store.do_not_call.insert(number);
            }
        }
    }

    fn store_delay(&mut self) -> Duration {
        let longest = self.store.setting.delay.as_micros() as u64;
        if longest == 0 {
            Duration::ZERO
        } else {
            Duration::from_micros(self.store.rng.below(longest + 1))
        }
    }
}
