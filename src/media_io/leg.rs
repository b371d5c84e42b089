//! One leg's media: where it comes from and goes to, what plays to it, what it counted.

use super::{LegCounters, Session};
use media::dtmf::rfc4733;
use media::reception::Reception;
use media::relay::{Latch, Outgoing};
use media::rtp::HEADER_BYTES;
use media::{Clip, Codec, FRAME_SAMPLES};
use model::{LegId, PlayId, RecordingId};
use std::net::UdpSocket;
use std::sync::Arc;

/// A leg as its worker has it.
pub(super) struct Leg {
    pub(super) id: LegId,
    pub(super) socket: UdpSocket,
    pub(super) session: Session,
    pub(super) latch: Latch,
    /// The kernel filters the source.
    pub(super) connected: bool,
    /// What still waits in the socket may be from before it was connected.
    pub(super) unfiltered: bool,
    pub(super) out: Outgoing,
    pub(super) reception: Reception,
    pub(super) digits: rfc4733::Receiver,
    pub(super) bridge: Option<usize>,
    pub(super) play: Option<Play>,
    pub(super) recording: Option<Channel>,
    pub(super) opened_us: u64,
    /// Time without a packet while one was expected.
    pub(super) silent_us: u64,
    pub(super) lost_told: bool,
    pub(super) counters: LegCounters,
}

/// Clips that play one after another.
pub(super) struct Play {
    pub(super) id: PlayId,
    pub(super) clips: Vec<Arc<Clip>>,
    pub(super) clip: usize,
    pub(super) offset: usize,
    pub(super) repeat: bool,
}

/// The side of a recording a leg is.
#[derive(Clone, Copy)]
pub(super) struct Channel {
    pub(super) recording: RecordingId,
    pub(super) right: bool,
}

/// What a packet carries.
pub(super) enum Kind {
    Audio(Codec),
    Event,
    Other,
}

impl Leg {
    /// A leg that begins; `numbers` are random.
    pub(super) fn new(
        id: LegId,
        socket: UdpSocket,
        session: Session,
        numbers: [u64; 2],
        now: u64,
    ) -> Leg {
        let mut leg = Leg {
            id,
            session,
            latch: Latch::new(session.remote, session.latch),
            connected: false,
            unfiltered: false,
            out: Outgoing::new(
                numbers[0] as u32,
                (numbers[0] >> 32) as u16,
                numbers[1] as u32,
            ),
            reception: Reception::default(),
            digits: rfc4733::Receiver::default(),
            bridge: None,
            play: None,
            recording: None,
            opened_us: now,
            silent_us: 0,
            lost_told: false,
            counters: LegCounters::default(),
            socket,
        };
        leg.filter();
        leg
    }

    pub(super) fn kind(&self, payload_type: u8) -> Kind {
        // Peers may send any codec both sides named; both laws always are.
        match payload_type {
            t if Some(t) == self.session.telephone_event => Kind::Event,
            t if t == self.session.payload_type => Kind::Audio(self.session.codec),
            0 => Kind::Audio(Codec::Pcmu),
            8 => Kind::Audio(Codec::Pcma),
            _ => Kind::Other,
        }
    }

    pub(super) fn plays(&self, play: PlayId) -> bool {
        self.play.as_ref().is_some_and(|p| p.id == play)
    }

    /// Lets the kernel filter the source, once it is settled.
    pub(super) fn filter(&mut self) {
        if self.latch.locked() {
            self.connected = self.socket.connect(self.latch.remote()).is_ok();
            self.unfiltered = true;
        }
    }

    pub(super) fn change(&mut self, session: Session) {
        let old = std::mem::replace(&mut self.session, session);
        if old.remote == session.remote && old.latch == session.latch {
            return;
        }
        self.latch = Latch::new(session.remote, session.latch);
        if self.connected && !self.latch.locked() {
            // Any source may come again. If that fails, only the old one is heard: safe, and the
            // timeout tells.
            self.connected = rustix::net::connect_unspec(&self.socket).is_err();
        }
        self.filter();
    }

    /// A failure is the network's: the receiver sees loss, and our own timeout ends dead calls.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let sent = if self.connected {
            self.socket.send(bytes)
        } else {
            self.socket.send_to(bytes, self.latch.remote())
        };
        if sent.is_ok() {
            self.counters.sent += 1;
        }
    }

    pub(super) fn silence(&mut self, now: u64) {
        let mut packet = [self.session.codec.silence(); HEADER_BYTES + FRAME_SAMPLES];
        self.own(now, &mut packet);
    }

    pub(super) fn own(&mut self, now: u64, packet: &mut [u8; HEADER_BYTES + FRAME_SAMPLES]) {
        let head = packet.first_chunk_mut().expect("it begins with a header");
        self.out
            .own(now, FRAME_SAMPLES as u32, self.session.payload_type, head);
        self.send(packet);
    }

    /// Sends the next 20 ms of what plays; or, at its end, says what ended.
    pub(super) fn play_frame(&mut self, now: u64) -> Option<PlayId> {
        let codec = self.session.codec;
        let mut packet = [codec.silence(); HEADER_BYTES + FRAME_SAMPLES];
        let play = self.play.as_mut().expect("the wheel names legs that play");
        if !play.fill(codec, &mut packet[HEADER_BYTES..]) {
            return Some(play.id);
        }
        if self.session.send {
            self.own(now, &mut packet);
        }
        None
    }
}

impl Play {
    /// Fills in what plays next, over the borders of clips; what is left stays silence. `false` at the
    /// end, when there is nothing left to fill in.
    pub(super) fn fill(&mut self, codec: Codec, mut out: &mut [u8]) -> bool {
        let room = out.len();
        while !out.is_empty() {
            let Some(clip) = self.clips.get(self.clip) else {
                if !self.repeat {
                    break;
                }
                self.clip = 0;
                continue;
            };
            let rest = &clip.bytes(codec)[self.offset..];
            let n = rest.len().min(out.len());
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&rest[..n]);
            out = later;
            self.offset += n;
            if n == rest.len() {
                (self.clip, self.offset) = (self.clip + 1, 0);
            }
        }
        out.len() < room
    }
}
