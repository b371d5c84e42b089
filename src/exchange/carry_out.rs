//! Commands of the engine become SIP and media.

use super::Exchange;
use super::leg_table::session;
use super::take_in::local_media;
use crate::media_io::Order;
use call::{Command, Input};
use ivr::Piece;
use media::Clip;
use model::{Cause, LegId, Now, RecordingId};
use sip::endpoint::Invite;
use sip::offer_answer;
use std::sync::Arc;

impl Exchange {
    /// One command.
    pub(super) fn carry_out(&mut self, now: Now, command: Command) {
        match command {
            Command::RingLeg { leg } => {
                self.sip
                    .handle(now, sip::endpoint::Input::Ring { leg }, &mut self.sip_out)
            }
            Command::AnswerLeg { leg } => self.answer(now, leg),
            Command::RejectLeg { leg, cause } => {
                self.legs.remove(leg);
                let input = sip::endpoint::Input::Reject {
                    leg,
                    status: cause.sip_status(),
                };
                self.sip.handle(now, input, &mut self.sip_out);
            }
            Command::DialCustomer {
                leg,
                trunk,
                number,
                caller_id,
                attempt,
                classify,
                ..
            } => {
                let Some(to) = self.setup.trunks.get(&trunk).cloned() else {
                    return self.dial_failed(leg, Cause::Unreachable);
                };
                let invite = Invite {
                    leg,
                    hop: to.hop,
                    target: format!("sip:{number}@{}", to.host),
                    from_user: caller_id,
                    from_name: None,
                    call_id: Some(format!("{attempt}@{}", self.setup.domain)),
                    credentials: to.credentials,
                    headers: Vec::new(),
                    sdp: Vec::new(),
                };
                self.dial(now, invite, None, classify);
            }
            Command::DialAgent {
                leg,
                agent,
                caller,
                caller_name,
                auto_answer,
                ..
            } => {
                let Some(phone) = self.phones.get(&agent).cloned() else {
                    return self.dial_failed(leg, Cause::Unreachable);
                };
                let mut headers = Vec::new();
                if auto_answer {
                    // RFC 5373 §4, and the two headers that phones obey in practice.
                    headers.push(("Answer-Mode".to_string(), "Auto".to_string()));
                    headers.push((
                        "Call-Info".to_string(),
                        format!("<sip:{}>;answer-after=0", self.setup.domain),
                    ));
                    headers.push((
                        "Alert-Info".to_string(),
                        "<urn:alert:source:internal>;info=alert-autoanswer".to_string(),
                    ));
                }
                let invite = Invite {
                    leg,
                    hop: phone.hop,
                    target: phone.contact,
                    from_user: caller,
                    from_name: caller_name,
                    call_id: None,
                    credentials: None,
                    headers,
                    sdp: Vec::new(),
                };
                self.dial(now, invite, Some(agent), false);
            }
            Command::HangUpLeg { leg, cause } => {
                self.close_media(leg);
                self.legs.remove(leg);
                let input = sip::endpoint::Input::HangUp {
                    leg,
                    q850: cause.q850(),
                };
                self.sip.handle(now, input, &mut self.sip_out);
            }
            Command::CancelLeg { leg, cause } => {
                let input = sip::endpoint::Input::Cancel {
                    leg,
                    q850: cause.q850(),
                };
                self.sip.handle(now, input, &mut self.sip_out);
            }
            Command::Play {
                leg,
                play,
                pieces,
                repeat,
            } => {
                let clips = self.clips(&pieces);
                self.order(
                    leg,
                    Order::Play {
                        leg,
                        play,
                        clips,
                        repeat,
                    },
                );
            }
            Command::StopPlay { leg, play } => self.order(leg, Order::StopPlay { leg, play }),
            Command::Bridge { a, b } => self.order(a, Order::Bridge { a, b }),
            Command::Unbridge { a, b } => self.order(a, Order::Unbridge { a, b }),
            Command::StartRecording {
                recording,
                call: _,
                customer,
                agent,
            } => {
                let file = self.setup.recordings.join(file_name(recording));
                let order = Order::Record {
                    recording,
                    left: customer,
                    right: agent,
                    file,
                };
                self.legs_of_recording.insert(recording, [customer, agent]);
                self.order(customer, order);
            }
            Command::StopRecording { recording } => self.stop_recording(recording),
            errand @ (Command::PopScreen(_)
            | Command::Lookup { .. }
            | Command::FetchLeads { .. }
            | Command::AddLead { .. }
            | Command::Claim { .. }
            | Command::Resolve { .. }
            | Command::ReturnLeads { .. }
            | Command::SaveLearned { .. }
            | Command::SaveQuota(_)
            | Command::StoreDisposition { .. }
            | Command::StoreDoNotCall { .. }) => self.turn.errands.push(errand),
        }
    }

    fn answer(&mut self, now: Now, leg: LegId) {
        let latch_phones = self.setup.latch_phones;
        let Some(entry) = self.legs.get_mut(leg) else {
            return;
        };
        let sdp = match entry.our_answer.take() {
            Some((sdp, negotiated)) => {
                let socket = entry.socket.take().expect("an arrived leg has its socket");
                let session = session(&negotiated, entry.agent.is_some() && latch_phones);
                entry.is_open = true;
                self.order(
                    leg,
                    Order::Open {
                        leg,
                        socket,
                        session,
                    },
                );
                sdp
            }
            // They wanted our offer: the media opens when their ACK answers it.
            None => entry
                .our_offer
                .clone()
                .expect("an arrived leg has our answer or our offer"),
        };
        self.sip.handle(
            now,
            sip::endpoint::Input::Accept { leg, sdp },
            &mut self.sip_out,
        );
    }

    fn dial(
        &mut self,
        now: Now,
        mut invite: Invite,
        agent: Option<model::AgentId>,
        classify: bool,
    ) {
        let leg = invite.leg;
        let Some(mut entry) = self.open_port(agent) else {
            return self.dial_failed(leg, Cause::Congestion);
        };
        let offer = offer_answer::offer(&local_media(leg, &entry));
        entry.our_offer = Some(offer.clone());
        entry.classify = classify;
        invite.sdp = offer;
        self.legs.insert(leg, entry);
        self.sip.handle(
            now,
            sip::endpoint::Input::Invite(Box::new(invite)),
            &mut self.sip_out,
        );
    }

    /// A leg that closed has ended its recordings by itself; the other one may still be there.
    fn stop_recording(&mut self, recording: RecordingId) {
        let Some(legs) = self.legs_of_recording.remove(&recording) else {
            return;
        };
        let open = legs
            .into_iter()
            .find(|leg| self.legs.get_mut(*leg).is_some_and(|entry| entry.is_open));
        if let Some(leg) = open {
            self.order(leg, Order::StopRecord { recording });
        }
    }

    fn dial_failed(&mut self, leg: LegId, cause: Cause) {
        self.inputs.push_back(Input::LegFailed { leg, cause });
    }

    fn clips(&mut self, pieces: &[Piece]) -> Vec<Arc<Clip>> {
        let mut clips = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Prompt(name) => match self.setup.prompts.get(name) {
                    Ok(clip) => clips.push(clip),
                    // `tandem check` finds missing prompts; a call goes on without one.
                    Err(error) => tracing::error!(%error, "a prompt cannot be played"),
                },
                Piece::Silence { ms } => {
                    clips.push(Arc::new(Clip::from_samples(&media::tone::silence(*ms))))
                }
                Piece::Digits(digits) => {
                    for digit in digits.chars() {
                        match self.setup.prompts.get(&format!("digits/{digit}")) {
                            Ok(clip) => clips.push(clip),
                            Err(error) => tracing::error!(%error, "a digit cannot be said"),
                        }
                    }
                }
            }
        }
        clips
    }
}

/// Opaque: nothing a caller says reaches a path.
fn file_name(recording: RecordingId) -> String {
    format!("{recording}.wav")
}
