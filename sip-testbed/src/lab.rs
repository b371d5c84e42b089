//! Many stations on one thread: their SIP, their RTP, and a record of what they saw.
//!
//! The thread sleeps in epoll on all sockets until something arrives or is due. Every call sends a
//! packet each 20 ms in a phase of its own, and counts what comes back.

use crate::audio::{SAMPLES, Tone};
use crate::plan::{Answering, Script};
use crate::station::{Station, StationConfig, StationId};
use media::dtmf::rfc4733;
use media::reception::Reception;
use media::rtp;
use model::{LegId, Mono, Now, Rng, Utc};
use rustix::event::epoll;
use sip::endpoint::{Command, Credentials, Hop, Input, Invite, Transport};
use sip::offer_answer::{self, Local, Negotiated};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Packets leave this far apart (RFC 3551 §4.2: 20 ms).
const PACKET_EVERY: Duration = Duration::from_millis(20);
/// A datagram of a peer is cut here; nothing a lab hears is longer.
const DATAGRAM_BYTES: usize = 65_535;
/// A key press lasts this long: 8 packets of 160 samples.
const DIGIT_SAMPLES: u16 = 1_280;
/// RTP sockets are told from SIP sockets by this bit of the epoll data.
const RTP_BIT: u64 = 1 << 62;
/// The longest sleep.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// What a lab saw, for reports and for books that must agree with the engine's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabReport {
    /// INVITEs that arrived, by the SIP Call-ID, in order.
    pub invites_seen: Vec<String>,
    /// How many arrived at each station; the carrier of the demo is the first.
    pub invites_by_station: BTreeMap<usize, u64>,
    /// Calls that arrived and were answered.
    pub answered: u64,
    /// Calls begun here.
    pub originated: u64,
    /// Of those, answered by the far end.
    pub originated_answered: u64,
    /// Of those, refused.
    pub originated_failed: u64,
    /// Calls in which the wanted tone was heard.
    pub heard: u64,
    /// Calls given up without hearing it.
    pub lost_patience: u64,
    /// RTP packets sent.
    pub rtp_sent: u64,
    /// RTP packets received.
    pub rtp_received: u64,
    /// RTP packets missing by their sequence numbers.
    pub rtp_lost: u64,
    /// Calls that are up now.
    pub live: u64,
    /// Phones that are registered now.
    pub registered: u64,
    /// When each phone last saw an INVITE.
    pub last_invite: BTreeMap<usize, Instant>,
}

/// One call of one station.
struct Call {
    station: StationId,
    leg: LegId,
    socket: Option<UdpSocket>,
    rtp: SocketAddr,
    our_offer: Option<Vec<u8>>,
    offer: Option<Vec<u8>>,
    script: Script,
    media: Option<Media>,
    due: Due,
}

/// What a call waits for.
enum Due {
    /// Nothing; SIP will say.
    Nothing,
    /// Answer then.
    Answer(Mono),
    /// Refuse then.
    Refuse(Mono, u16),
    /// It is up: script, packets.
    Up,
}

struct Media {
    session: Negotiated,
    tone: Tone,
    next_packet: Mono,
    packets: u64,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    reception: Reception,
    digits: std::collections::VecDeque<(Mono, char)>,
    pressing: Option<(rfc4733::Sender, u32)>,
    patience: Option<Mono>,
    hang_up: Option<Mono>,
    has_heard: bool,
}

/// Stations, calls and their thread's state.
pub struct Lab {
    origin: Instant,
    rng: Rng,
    stations: Vec<Station>,
    calls: BTreeMap<u64, Call>,
    call_of_leg: BTreeMap<(StationId, LegId), u64>,
    next_call: u64,
    epoll: OwnedFd,
    report: LabReport,
    buffer: Vec<u8>,
    rtp_address: std::net::IpAddr,
}

impl Lab {
    /// An empty lab whose RTP uses `rtp_address`.
    pub fn new(rtp_address: std::net::IpAddr, seed: u64) -> std::io::Result<Lab> {
        Ok(Lab {
            origin: Instant::now(),
            rng: Rng::new(seed),
            stations: Vec::new(),
            calls: BTreeMap::new(),
            call_of_leg: BTreeMap::new(),
            next_call: 0,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            report: LabReport::default(),
            buffer: vec![0; DATAGRAM_BYTES],
            rtp_address,
        })
    }

    /// Adds a station; a phone registers at once.
    pub fn add(&mut self, config: StationConfig) -> std::io::Result<StationId> {
        let station = Station::new(config, &mut self.rng)?;
        let id = StationId(self.stations.len());
        epoll::add(
            &self.epoll,
            &station.socket,
            epoll::EventData::new_u64(id.0 as u64),
            epoll::EventFlags::IN,
        )?;
        self.stations.push(station);
        self.register(id);
        Ok(id)
    }

    /// Where a station listens.
    pub fn address(&self, station: StationId) -> SocketAddr {
        self.stations[station.0].local
    }

    /// What was seen so far.
    pub fn report(&self) -> LabReport {
        let mut report = self.report.clone();
        report.live = self.calls.len() as u64;
        report.registered = self
            .stations
            .iter()
            .filter(|station| station.is_registered)
            .count() as u64;
        report
    }

    /// Begins a call from `station` to `to` at `at`, shown as `from`.
    pub fn call(
        &mut self,
        station: StationId,
        at: SocketAddr,
        from: &str,
        to: &str,
        credentials: Option<Credentials>,
        script: Script,
    ) -> std::io::Result<()> {
        let now = self.now();
        let (socket, rtp) = self.open_rtp()?;
        let id = self.next_call;
        self.next_call += 1;
        let own = &mut self.stations[station.0];
        let leg = own.own_leg();
        let offer = offer_answer::offer(&local(rtp, id, 1));
        let invite = Invite {
            leg,
            hop: Hop {
                transport: Transport::Udp,
                local: own.local,
                remote: at,
            },
            target: format!("sip:{to}@{at}"),
            from_user: from.to_string(),
            from_name: None,
            call_id: None,
            credentials,
            headers: Vec::new(),
            sdp: offer.clone(),
        };
        let call = Call {
            station,
            leg,

            socket: Some(socket),
            rtp,
            our_offer: Some(offer),
            offer: None,
            script,
            media: None,
            due: Due::Nothing,
        };
        self.keep(id, call)?;
        self.report.originated += 1;
        self.tell(station, now, Input::Invite(Box::new(invite)));
        Ok(())
    }

    /// Hangs everything up.
    pub fn hang_up_all(&mut self) {
        let now = self.now();
        let calls: Vec<u64> = self.calls.keys().copied().collect();
        for id in calls {
            self.hang_up(id, now);
        }
    }

    /// One turn: waits until something happens or is due, at most `SLEEP_MAX`, and deals with it.
    pub fn turn(&mut self) -> std::io::Result<()> {
        let until = self.next_due();
        let wait = until.since(self.now().mono).min(SLEEP_MAX);
        let timeout = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 64];
        let ready = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            let data = event.data.u64();
            if data & RTP_BIT != 0 {
                self.receive_rtp(data & !RTP_BIT);
            } else {
                self.receive_sip(StationId(data as usize))?;
            }
        }
        let now = self.now();
        for index in 0..self.stations.len() {
            if self.stations[index]
                .endpoint
                .next_deadline()
                .is_some_and(|at| at <= now.mono)
            {
                self.tell(StationId(index), now, Input::Tick);
            }
        }
        let calls: Vec<u64> = self.calls.keys().copied().collect();
        for id in calls {
            self.step(id, now);
        }
        Ok(())
    }

    fn now(&self) -> Now {
        let mono = Mono::from_micros(self.origin.elapsed().as_micros() as u64);
        let utc = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono,
            utc: Utc::from_micros(utc.as_micros() as i64),
        }
    }

    fn next_due(&self) -> Mono {
        let stations = self
            .stations
            .iter()
            .filter_map(|station| station.endpoint.next_deadline());
        let calls = self
            .calls
            .values()
            .filter_map(|call| match (&call.due, &call.media) {
                (Due::Answer(at) | Due::Refuse(at, _), _) => Some(*at),
                (Due::Up, Some(media)) => Some(media.next_packet),
                (Due::Up, None) | (Due::Nothing, _) => None,
            });
        stations.chain(calls).min().unwrap_or(Mono::MAX)
    }

    fn register(&mut self, id: StationId) {
        let now = self.now();
        let station = &self.stations[id.0];
        let Some(registration) = station.registration.clone() else {
            return;
        };
        let input = Input::Register {
            trunk: REGISTRAR.parse().expect("a valid name"),
            hop: Hop {
                transport: Transport::Udp,
                local: station.local,
                remote: registration.registrar,
            },
            registrar: format!("sip:{}", registration.domain),
            aor_user: station.user.clone(),
            credentials: registration.credentials,
            expires_s: registration.expires.as_secs() as u32,
        };
        self.tell(id, now, input);
    }

    fn open_rtp(&self) -> std::io::Result<(UdpSocket, SocketAddr)> {
        let socket = UdpSocket::bind((self.rtp_address, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    }

    fn keep(&mut self, id: u64, call: Call) -> std::io::Result<()> {
        let socket = call.socket.as_ref().expect("a new call has a socket");
        epoll::add(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(RTP_BIT | id),
            epoll::EventFlags::IN,
        )?;
        self.call_of_leg.insert((call.station, call.leg), id);
        self.calls.insert(id, call);
        Ok(())
    }

    fn tell(&mut self, station: StationId, now: Now, input: Input<'_>) {
        let own = &mut self.stations[station.0];
        own.endpoint.handle(now, input, &mut own.out);
        while let Some(command) = self.stations[station.0].out.commands.pop_front() {
            self.carry_out(station, now, command);
        }
    }

    fn carry_out(&mut self, station: StationId, now: Now, command: Command) {
        match command {
            Command::Send { hop, bytes } => {
                // A lost message is the network's affair; SIP sends it again.
                if let Err(error) = self.stations[station.0].socket.send_to(&bytes, hop.remote) {
                    tracing::debug!(%error, "the lab could not send");
                }
            }
            Command::Arrived(arrived) => {
                self.report.invites_seen.push(arrived.call_id.clone());
                *self.report.invites_by_station.entry(station.0).or_default() += 1;
                self.report.last_invite.insert(station.0, Instant::now());
                let plan = {
                    let rng = &mut self.rng;
                    (self.stations[station.0].answering)(&arrived.called, &arrived.caller, rng)
                };
                let Ok((socket, rtp)) = self.open_rtp() else {
                    return self.tell(
                        station,
                        now,
                        Input::Reject {
                            leg: arrived.leg,
                            status: 503,
                        },
                    );
                };
                let (due, script) = match plan {
                    Answering::Answer { after, script } => (Due::Answer(now.mono + after), script),
                    Answering::RingOut => (Due::Nothing, Script::default()),
                    Answering::Refuse { after, status } => {
                        (Due::Refuse(now.mono + after, status), Script::default())
                    }
                };
                let call = Call {
                    station,
                    leg: arrived.leg,

                    socket: Some(socket),
                    rtp,
                    our_offer: None,
                    offer: arrived.sdp,
                    script,
                    media: None,
                    due,
                };
                let id = self.next_call;
                self.next_call += 1;
                let leg = arrived.leg;
                match self.keep(id, call) {
                    Ok(()) => self.tell(station, now, Input::Ring { leg }),
                    Err(_) => self.tell(station, now, Input::Reject { leg, status: 503 }),
                }
            }
            Command::Answered { leg, sdp } => {
                self.report.originated_answered += 1;
                if let Some(id) = self.call_of_leg.get(&(station, leg)).copied() {
                    let call = self.calls.get(&id).expect("kept");
                    let offer = call.our_offer.clone().expect("our calls carry our offer");
                    if let Ok(session) = offer_answer::accept_answer(&offer, &sdp) {
                        self.begin_media(id, session, now);
                    }
                }
            }
            Command::Failed { leg, .. } => {
                self.report.originated_failed += 1;
                self.forget(station, leg);
            }
            Command::Ended { leg, .. } => self.forget(station, leg),
            Command::Reinvited { leg, sdp } => {
                let Some(id) = self.call_of_leg.get(&(station, leg)).copied() else {
                    return;
                };
                let call = self.calls.get_mut(&id).expect("kept");
                let local = local(call.rtp, id, now.mono.as_micros());
                match sdp
                    .as_deref()
                    .map(|offer| offer_answer::answer(offer, &local))
                {
                    Some(Ok((answer, session))) => {
                        if let Some(media) = call.media.as_mut() {
                            media.session = session;
                        }
                        self.tell(station, now, Input::AcceptReinvite { leg, sdp: answer });
                    }
                    Some(Err(_)) | None => {
                        self.tell(station, now, Input::RejectReinvite { leg, status: 488 })
                    }
                }
            }
            Command::TrunkRegistered { ok, .. } => self.stations[station.0].is_registered = ok,
            Command::Ringing { .. }
            | Command::Confirmed { .. }
            | Command::ReinviteAnswered { .. }
            | Command::Registered { .. }
            | Command::Unregistered { .. }
            | Command::Ponged { .. }
            | Command::Digit { .. }
            | Command::Close { .. } => {}
        }
    }

    fn begin_media(&mut self, id: u64, session: Negotiated, now: Now) {
        let ssrc = self.rng.next_u64() as u32;
        let phase = Duration::from_micros(self.rng.below(20_000));
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let script = &call.script;
        call.due = Due::Up;
        call.media = Some(Media {
            session,
            tone: Tone::new(script.tone_hz),
            next_packet: now.mono + phase,
            packets: 0,
            ssrc,
            sequence: ssrc as u16,
            timestamp: ssrc,
            reception: Reception::default(),
            digits: script
                .digits
                .iter()
                .map(|(after, digit)| (now.mono + *after, *digit))
                .collect(),
            pressing: None,
            patience: script.patience.map(|after| now.mono + after),
            hang_up: script.hang_up_after.map(|after| now.mono + after),
            has_heard: false,
        });
    }

    fn step(&mut self, id: u64, now: Now) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let (station, leg) = (call.station, call.leg);
        match call.due {
            Due::Nothing => {}
            Due::Refuse(at, status) => {
                if now.mono >= at {
                    self.drop_call(id);
                    self.tell(station, now, Input::Reject { leg, status });
                }
            }
            Due::Answer(at) => {
                if now.mono >= at {
                    let local = local(call.rtp, id, 1);
                    let answer = call
                        .offer
                        .as_deref()
                        .map(|offer| offer_answer::answer(offer, &local));
                    match answer {
                        Some(Ok((sdp, session))) => {
                            self.report.answered += 1;
                            self.begin_media(id, session, now);
                            self.tell(station, now, Input::Accept { leg, sdp });
                        }
                        Some(Err(_)) | None => {
                            self.drop_call(id);
                            self.tell(station, now, Input::Reject { leg, status: 488 });
                        }
                    }
                }
            }
            Due::Up => {
                let Some(media) = call.media.as_mut() else {
                    return;
                };
                let has_given_up =
                    media.patience.is_some_and(|at| now.mono >= at) && !media.has_heard;
                if has_given_up {
                    self.report.lost_patience += 1;
                    self.hang_up(id, now);
                } else if media.hang_up.is_some_and(|at| now.mono >= at) {
                    self.hang_up(id, now);
                } else {
                    let socket = call.socket.as_ref().expect("a live call has its socket");
                    while now.mono >= media.next_packet {
                        media.next_packet += PACKET_EVERY;
                        if media.session.direction.sends() && media.send(socket, now) {
                            self.report.rtp_sent += 1;
                        }
                    }
                }
            }
        }
    }

    fn receive_sip(&mut self, station: StationId) -> std::io::Result<()> {
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            let received = self.stations[station.0].socket.recv_from(&mut buffer);
            let (length, remote) = match received {
                Ok(received) => received,
                Err(_) => {
                    self.buffer = buffer;
                    return Ok(());
                }
            };
            let hop = Hop {
                transport: Transport::Udp,
                local: self.stations[station.0].local,
                remote,
            };
            let now = self.now();
            self.tell(
                station,
                now,
                Input::Received {
                    hop,
                    bytes: &buffer[..length],
                },
            );
            self.buffer = buffer;
        }
    }

    fn receive_rtp(&mut self, id: u64) {
        let now = self.now();
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(socket) = call.socket.as_ref() else {
            return;
        };
        while let Ok(length) = socket.recv(&mut self.buffer) {
            let Ok(packet) = rtp::Packet::parse(&self.buffer[..length]) else {
                continue;
            };
            let Some(media) = call.media.as_mut() else {
                continue;
            };
            self.report.rtp_received += 1;
            media.reception.packet(
                now.mono.as_micros(),
                packet.ssrc(),
                packet.sequence(),
                packet.timestamp(),
            );
            if call.script.listen_hz != 0
                && !media.has_heard
                && packet.payload_type() == media.session.payload_type
            {
                let mut samples = [0i16; SAMPLES];
                let codec = media::Codec::Pcmu;
                let n = media::g711::decode_into(codec, packet.payload(), &mut samples);
                if n == SAMPLES
                    && media::dtmf::goertzel::amplitude(&samples, f32::from(call.script.listen_hz))
                        > HEARD
                {
                    media.has_heard = true;
                    self.report.heard += 1;
                }
            }
        }
    }

    fn hang_up(&mut self, id: u64, now: Now) {
        if let Some((station, leg)) = self.drop_call(id) {
            self.tell(station, now, Input::HangUp { leg, q850: 16 });
        }
    }

    fn forget(&mut self, station: StationId, leg: LegId) {
        if let Some(id) = self.call_of_leg.get(&(station, leg)).copied() {
            self.drop_call(id);
        }
    }

    fn drop_call(&mut self, id: u64) -> Option<(StationId, LegId)> {
        let call = self.calls.remove(&id)?;
        self.call_of_leg.remove(&(call.station, call.leg));
        if let Some(media) = &call.media {
            self.report.rtp_lost += media.reception.lost();
        }
        // The socket leaves epoll when it closes.
        Some((call.station, call.leg))
    }
}

/// Our end of a call's media: G.711 µ alone, so that what is sent can be compared byte for byte.
fn local(addr: SocketAddr, session_id: u64, version: u64) -> Local<'static> {
    Local {
        addr,
        session_id,
        version,
        codecs: &[offer_answer::Codec::Pcmu],
        direction: sip::sdp::Direction::SendRecv,
    }
}

/// The name under which a phone's registration is told.
const REGISTRAR: &str = "registrar";
/// Half the amplitude that a tone of the lab has: nothing else comes near.
const HEARD: f32 = 2_000.0;

impl Media {
    /// One packet: a digit's event while a key is pressed, the tone otherwise.
    fn send(&mut self, socket: &UdpSocket, now: Now) -> bool {
        let mut bytes = [0u8; rtp::HEADER_BYTES + SAMPLES];
        if self.pressing.is_none()
            && let Some((at, digit)) = self.digits.front().copied()
            && now.mono >= at
        {
            self.digits.pop_front();
            let sender = rfc4733::Sender::new(digit, DIGIT_SAMPLES, SAMPLES as u16);
            self.pressing = sender.map(|sender| (sender, self.timestamp));
        }
        let event = match (self.pressing.as_mut(), self.session.telephone_event) {
            (Some((sender, began)), Some(payload_type)) => match sender.next() {
                Some(event) => Some((event, *began, payload_type)),
                None => {
                    self.pressing = None;
                    None
                }
            },
            _ => None,
        };
        let length = match event {
            Some((event, began, payload_type)) => {
                let header = rtp::Header {
                    marker: event.marker,
                    payload_type,
                    sequence: self.sequence,
                    timestamp: began,
                    ssrc: self.ssrc,
                    ..rtp::Header::default()
                };
                header.write(&event.event.bytes(), &mut bytes)
            }
            None => {
                let header = rtp::Header {
                    marker: self.packets == 0,
                    payload_type: self.session.payload_type,
                    sequence: self.sequence,
                    timestamp: self.timestamp,
                    ssrc: self.ssrc,
                    ..rtp::Header::default()
                };
                header.write(self.tone.packet(self.packets), &mut bytes)
            }
        };
        self.packets += 1;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
        let Ok(length) = length else { return false };
        socket
            .send_to(&bytes[..length], self.session.remote)
            .is_ok()
    }
}
