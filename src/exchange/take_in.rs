//! Facts of SIP and media become inputs of the engine.

use super::leg_table::{Leg, session};
use super::{Exchange, attestation};
use crate::exchange::Phone;
use crate::media_io::{Order, Report};
use call::Input;
use call::input::Origin;
use model::{Cause, LegId, Now};
use sip::endpoint::{Arrived, Command, EndedWhy, Source};
use sip::offer_answer;

impl Exchange {
    /// One fact, or one message to send.
    pub(super) fn take_in_sip(&mut self, now: Now, command: Command) {
        match command {
            Command::Send { hop, bytes } => self.turn.send.push((hop, bytes)),
            Command::Close { hop } => self.turn.close.push(hop),
            Command::Arrived(arrived) => self.arrived(now, *arrived),
            Command::Ringing { leg, sdp } => {
                if let Some(entry) = self.legs.get_mut(leg) {
                    entry.ringing_since.get_or_insert(now.mono);
                }
                if let Some(sdp) = sdp {
                    self.early_media(leg, &sdp);
                }
                self.inputs.push_back(Input::LegRinging { leg });
            }
            Command::Answered { leg, sdp } => self.answered(now, leg, &sdp),
            Command::Failed {
                leg,
                status,
                retry_after_s: _,
            } => {
                // With early media it has a socket open.
                self.close_media(leg);
                self.legs.remove(leg);
                self.inputs.push_back(Input::LegFailed {
                    leg,
                    cause: Cause::from_sip_status(status),
                });
            }
            Command::Confirmed { leg, sdp } => {
                if let Some(sdp) = sdp {
                    self.late_answer(now, leg, &sdp);
                }
            }
            Command::Ended { leg, why } => {
                self.close_media(leg);
                self.legs.remove(leg);
                let cause = match why {
                    EndedWhy::Bye(_) => Cause::Normal,
                    EndedWhy::Cancelled => Cause::Cancelled,
                    EndedWhy::Lost => Cause::SignallingLost,
                };
                self.inputs.push_back(Input::LegEnded { leg, cause });
            }
            Command::Reinvited { leg, sdp } => self.reinvited(now, leg, sdp),
            // The engine never changes the media of a leg by itself.
            Command::ReinviteAnswered { leg: _, sdp: _ } => {}
            Command::Registered {
                account,
                contact,
                hop,
                expires_s: _,
            } => {
                if let Some(agent) = self.setup.agent_of_account.get(&account).copied() {
                    let is_new = self.phones.insert(agent, Phone { contact, hop }).is_none();
                    if is_new {
                        self.inputs.push_back(Input::PhoneReachable {
                            agent,
                            reachable: true,
                        });
                    }
                }
            }
            Command::Unregistered { account } => {
                if let Some(agent) = self.setup.agent_of_account.get(&account).copied()
                    && self.phones.remove(&agent).is_some()
                {
                    self.inputs.push_back(Input::PhoneReachable {
                        agent,
                        reachable: false,
                    });
                }
            }
            Command::TrunkRegistered { trunk, ok, status } => {
                if !ok {
                    tracing::warn!(%trunk, status, "the carrier refused our registration");
                }
                self.trunk_is(trunk, ok);
            }
            Command::Ponged { trunk, ok } => self.trunk_is(trunk, ok),
            Command::Digit { leg, digit } => {
                self.inputs.push_back(Input::DigitPressed { leg, digit })
            }
        }
    }

    /// One report of a media worker.
    pub(super) fn take_in_report(&mut self, report: Report) -> Option<Input> {
        match report {
            Report::Digit { leg, digit } => Some(Input::DigitPressed { leg, digit }),
            Report::GreetingHeard { leg, greeting } => Some(Input::GreetingHeard {
                leg,
                began_ms: greeting.began_ms,
                ended_ms: greeting.ended_ms,
            }),
            Report::LegClassified {
                leg,
                verdict,
                evidence,
            } => Some(Input::LegClassified {
                leg,
                verdict,
                evidence: Some(Box::new(evidence)),
            }),
            Report::LegSuspected { leg, evidence } => Some(Input::LegSuspected {
                leg,
                evidence: evidence.map(Box::new),
            }),
            Report::ToneHeard { leg, tone } => Some(Input::ToneHeard { leg, tone }),
            Report::BeepEnded { leg } => Some(Input::BeepEnded { leg }),
            Report::PromptFinished { leg, play } => Some(Input::PromptFinished { leg, play }),
            Report::MediaLost { leg } => Some(Input::MediaLost { leg }),
            Report::Recorded {
                recording,
                file,
                seconds,
            } => {
                let file = file
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                Some(Input::RecordingWritten {
                    recording,
                    file,
                    seconds,
                })
            }
            Report::RecordFailed { recording, why } => {
                Some(Input::RecordingFailed { recording, why })
            }
            Report::Closed { leg: _, counters } => {
                self.turn.legs.push(counters);
                self.counters.legs += 1;
                self.counters.received += counters.received;
                self.counters.lost += counters.lost;
                self.counters.sent += counters.sent;
                self.counters.refused += counters.refused;
                self.counters.malformed += counters.malformed;
                None
            }
        }
    }

    fn arrived(&mut self, now: Now, arrived: Arrived) {
        let leg = arrived.leg;
        let (from, agent) = match &arrived.source {
            Source::Trunk(trunk) => (Origin::Trunk(*trunk), None),
            Source::Account(account) => match self.setup.agent_of_account.get(account) {
                Some(agent) => (Origin::Agent(*agent), Some(*agent)),
                None => return self.reject(now, leg, 403),
            },
        };
        let Some(mut entry) = self.open_port(agent) else {
            return self.reject(now, leg, 503);
        };
        match &arrived.sdp {
            Some(offer) => match offer_answer::answer(offer, &local_media(leg, &entry)) {
                Ok(answer) => entry.our_answer = Some(answer),
                Err(refused) => {
                    tracing::info!(%leg, ?refused, "an offer of media was refused");
                    return self.reject(now, leg, 488);
                }
            },
            None => entry.our_offer = Some(offer_answer::offer(&local_media(leg, &entry))),
        }
        self.legs.insert(leg, entry);
        self.inputs.push_back(Input::LegArrived {
            leg,
            from,
            caller: arrived.caller,
            caller_name: arrived.caller_name,
            called: arrived.called,
        });
        let mut claims = arrived.identities.iter();
        if let Some(level) = claims.find_map(|value| attestation::claimed(value)) {
            self.inputs.push_back(Input::LegAttested { leg, level });
        }
    }

    fn reject(&mut self, now: Now, leg: LegId, status: u16) {
        self.sip.handle(
            now,
            sip::endpoint::Input::Reject { leg, status },
            &mut self.sip_out,
        );
    }

    /// The far end sends before it answers: where it is asked who answers, what the network plays says why
    /// nobody does. Nothing is sent there yet.
    fn early_media(&mut self, leg: LegId, sdp: &[u8]) {
        let Some(entry) = self.legs.get_mut(leg).filter(|entry| entry.classify) else {
            return;
        };
        let Some(offer) = &entry.our_offer else {
            return;
        };
        // One that cannot be heard may still be answered well.
        let Ok(negotiated) = offer_answer::accept_answer(offer, sdp) else {
            return;
        };
        let mut session = session(&negotiated, false);
        session.send = false;
        let order = match entry.socket.take() {
            Some(socket) => Order::Open {
                leg,
                socket,
                session,
            },
            None => Order::Change { leg, session },
        };
        entry.is_open = true;
        self.order(leg, order);
        self.order(leg, Order::Listen { leg });
    }

    fn answered(&mut self, now: Now, leg: LegId, sdp: &[u8]) {
        let Some(entry) = self.legs.get_mut(leg) else {
            return;
        };
        let offer = entry
            .our_offer
            .take()
            .expect("dialled legs carry our offer");
        match offer_answer::accept_answer(&offer, sdp) {
            Ok(negotiated) => {
                let latch = entry.agent.is_some() && self.setup.latch_phones;
                let session = session(&negotiated, latch);
                // With early media the worker has the socket.
                let order = match entry.socket.take() {
                    Some(socket) => Order::Open {
                        leg,
                        socket,
                        session,
                    },
                    None => Order::Change { leg, session },
                };
                entry.is_open = true;
                let rang = entry.ringing_since.map(|since| now.mono.since(since));
                let asked = entry.classify.then(|| Order::Classify {
                    leg,
                    rang_ms: rang.map(|d| u32::try_from(d.as_millis()).unwrap_or(u32::MAX)),
                });
                self.order(leg, order);
                if let Some(order) = asked {
                    self.order(leg, order);
                }
                self.inputs.push_back(Input::LegAnswered { leg });
            }
            Err(refused) => {
                self.media_refused(now, leg, refused);
            }
        }
    }

    /// The answer to the offer that our 200 carried (RFC 3261 §13.2.1).
    fn late_answer(&mut self, now: Now, leg: LegId, sdp: &[u8]) {
        let latch_phones = self.setup.latch_phones;
        let Some(entry) = self.legs.get_mut(leg) else {
            return;
        };
        let Some(offer) = entry.our_offer.take() else {
            return;
        };
        match offer_answer::accept_answer(&offer, sdp) {
            Ok(negotiated) => {
                let session = session(&negotiated, entry.agent.is_some() && latch_phones);
                if let Some(socket) = entry.socket.take() {
                    entry.is_open = true;
                    self.order(
                        leg,
                        Order::Open {
                            leg,
                            socket,
                            session,
                        },
                    );
                } else {
                    self.order(leg, Order::Change { leg, session });
                }
            }
            Err(refused) => {
                self.media_refused(now, leg, refused);
            }
        }
    }

    /// The far end answered, and nothing can be said to it: hung up.
    fn media_refused(&mut self, now: Now, leg: LegId, why: impl std::fmt::Debug) {
        tracing::warn!(%leg, ?why, "whoever answered cannot be heard: their answer of media was refused");
        self.close_media(leg);
        self.legs.remove(leg);
        let cause = Cause::MediaUnsupported;
        let q850 = cause.q850();
        let hang_up = sip::endpoint::Input::HangUp { leg, q850 };
        self.sip.handle(now, hang_up, &mut self.sip_out);
        self.inputs.push_back(Input::LegEnded { leg, cause });
    }

    fn reinvited(&mut self, now: Now, leg: LegId, sdp: Option<Vec<u8>>) {
        let latch_phones = self.setup.latch_phones;
        let local = match self.legs.get_mut(leg) {
            None => return self.refuse_reinvite(now, leg, 481),
            Some(entry) => {
                entry.sdp_version += 1;
                local_media(leg, entry)
            }
        };
        let Some(offer) = sdp else {
            let offer = offer_answer::offer(&local);
            if let Some(entry) = self.legs.get_mut(leg) {
                entry.our_offer = Some(offer.clone());
            }
            let input = sip::endpoint::Input::AcceptReinvite { leg, sdp: offer };
            return self.sip.handle(now, input, &mut self.sip_out);
        };
        match offer_answer::answer(&offer, &local) {
            Ok((answer, negotiated)) => {
                let input = sip::endpoint::Input::AcceptReinvite { leg, sdp: answer };
                self.sip.handle(now, input, &mut self.sip_out);
                let Some(entry) = self.legs.get_mut(leg) else {
                    return;
                };
                let session = session(&negotiated, entry.agent.is_some() && latch_phones);
                let changed = entry.is_held != negotiated.hold;
                entry.is_held = negotiated.hold;
                self.order(leg, Order::Change { leg, session });
                if changed {
                    self.inputs.push_back(Input::LegHeld {
                        leg,
                        held: negotiated.hold,
                    });
                }
            }
            Err(refused) => {
                tracing::info!(%leg, ?refused, "a change of media was refused");
                self.refuse_reinvite(now, leg, 488);
            }
        }
    }

    fn refuse_reinvite(&mut self, now: Now, leg: LegId, status: u16) {
        self.sip.handle(
            now,
            sip::endpoint::Input::RejectReinvite { leg, status },
            &mut self.sip_out,
        );
    }

    fn trunk_is(&mut self, trunk: model::TrunkId, up: bool) {
        if self.trunks_up.insert(trunk, up) != Some(up) {
            self.inputs.push_back(Input::TrunkChanged { trunk, up });
        }
    }

    /// A port of our own for a new leg; none when the range is used up.
    pub(super) fn open_port(&mut self, agent: Option<model::AgentId>) -> Option<Leg> {
        match self.setup.ports.open() {
            Ok((socket, port)) => Some(Leg {
                agent,
                rtp: std::net::SocketAddr::new(self.setup.media_address, port),
                socket: Some(socket),
                sdp_version: 1,
                our_offer: None,
                our_answer: None,
                classify: false,
                ringing_since: None,
                is_held: false,
                is_open: false,
            }),
            Err(error) => {
                tracing::error!(%error, "no port for RTP; widen media.ports");
                None
            }
        }
    }

    pub(super) fn close_media(&mut self, leg: LegId) {
        if self
            .legs
            .get_mut(leg)
            .is_some_and(|entry| std::mem::take(&mut entry.is_open))
        {
            self.order(leg, Order::Close { leg });
        }
    }
}

/// Our end of a leg's media, as SDP says it.
pub(super) fn local_media(leg: LegId, entry: &Leg) -> offer_answer::Local<'static> {
    offer_answer::Local {
        addr: entry.rtp,
        session_id: leg.0,
        version: entry.sdp_version,
        codecs: &[offer_answer::Codec::Pcmu, offer_answer::Codec::Pcma],
        direction: sip::sdp::Direction::SendRecv,
    }
}
