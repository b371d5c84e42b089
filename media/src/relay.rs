//! What makes a leg's outgoing packets one stream, whoever they come from, and who may send to it.
//!
//! [`Outgoing`] numbers prompts and relayed packets of changing sources with one SSRC, one sequence
//! and one clock: a receiver never sees the switch, only a marker bit. [`Latch`] decides whether a
//! packet's source address is believed. Both are a few words of state and no table grows.

use crate::rtp::{HEADER_BYTES, Packet, rewrite};
use crate::{Codec, FRAME_SAMPLES, SAMPLE_RATE, g711};
use std::net::SocketAddr;

/// The outgoing stream of one leg.
#[derive(Clone, Debug)]
pub struct Outgoing {
    ssrc: u32,
    /// The newest sent.
    sequence: u16,
    timestamp: u32,
    /// Samples in the newest packet of our own.
    samples: u32,
    sent_at_us: u64,
    started: bool,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    Own,
    Peer {
        ssrc: u32,
        sequence_offset: u16,
        timestamp_offset: u32,
        first_sequence: u16,
    },
}

/// Relayed packets may lie this far before the first of their source and still be passed on; older
/// ones would repeat numbers used before the switch.
const BEFORE_SWITCH: u16 = 1 << 15;

impl Outgoing {
    /// A stream whose first packet has these numbers: random ones (RFC 3550 §5.1).
    pub fn new(ssrc: u32, first_sequence: u16, first_timestamp: u32) -> Outgoing {
        Outgoing {
            ssrc,
            sequence: first_sequence.wrapping_sub(1),
            timestamp: first_timestamp,
            samples: 0,
            sent_at_us: 0,
            started: false,
            source: Source::None,
        }
    }

    /// The SSRC of everything sent.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// When the last packet was numbered; 0 before the first.
    pub fn sent_at_us(&self) -> u64 {
        self.sent_at_us
    }

    /// The timestamp of a packet that follows a switch or a pause: the last one plus the time since,
    /// and at least one packet.
    fn timestamp_now(&self, now_us: u64) -> u32 {
        if !self.started {
            return self.timestamp;
        }
        let elapsed = now_us.saturating_sub(self.sent_at_us) * u64::from(SAMPLE_RATE) / 1_000_000;
        self.timestamp
            .wrapping_add((elapsed as u32).max(FRAME_SAMPLES as u32))
    }

    fn sent(&mut self, now_us: u64, sequence: u16, timestamp: u32) {
        self.sequence = sequence;
        self.timestamp = timestamp;
        self.sent_at_us = now_us;
        self.started = true;
    }

    /// Writes the header of a packet of our own with `samples` of audio: prompt, tone, silence. The
    /// clock runs on by what was sent, or by the time passed if we paused for longer than a packet.
    pub fn own(
        &mut self,
        now_us: u64,
        samples: u32,
        payload_type: u8,
        out: &mut [u8; HEADER_BYTES],
    ) {
        let elapsed_us = now_us.saturating_sub(self.sent_at_us);
        let packet_us = u64::from(self.samples) * 1_000_000 / u64::from(SAMPLE_RATE);
        let flows = self.source == Source::Own && elapsed_us < 2 * packet_us;
        let timestamp = if flows {
            self.timestamp.wrapping_add(self.samples)
        } else {
            self.timestamp_now(now_us)
        };
        self.source = Source::Own;
        self.samples = samples;
        self.sent(now_us, self.sequence.wrapping_add(1), timestamp);
        out[0] = 0x80;
        rewrite(
            out,
            !flows,
            payload_type,
            self.sequence,
            timestamp,
            self.ssrc,
        );
    }

    /// Renumbers a received audio packet in place as the next of this stream, and changes its law if
    /// the legs differ. Gaps and order of the source stay as they are, so the receiver sees loss as
    /// loss. `false`: it is no RTP, or belongs before the switch, and is not to be sent.
    pub fn relay(
        &mut self,
        now_us: u64,
        packet: &mut [u8],
        from: Codec,
        to: Codec,
        payload_type: u8,
    ) -> bool {
        let Ok(view) = Packet::parse(packet) else {
            return false;
        };
        let payload = view.payload_range();
        if !self.renumber(now_us, packet, payload_type) {
            return false;
        }
        g711::transcode(from, to, &mut packet[payload]);
        true
    }

    /// Renumbers a received telephone-event packet in place, with the payload type this leg's peer
    /// knows it by (RFC 4733 §2.1). `false` as for [`Outgoing::relay`].
    pub fn relay_event(&mut self, now_us: u64, packet: &mut [u8], payload_type: u8) -> bool {
        Packet::parse(packet).is_ok() && self.renumber(now_us, packet, payload_type)
    }

    fn renumber(&mut self, now_us: u64, packet: &mut [u8], payload_type: u8) -> bool {
        let Ok(view) = Packet::parse(packet) else {
            return false;
        };
        let (sequence_in, timestamp_in, ssrc_in) = (view.sequence(), view.timestamp(), view.ssrc());
        let mut marker = view.marker();
        let (sequence, timestamp) = match self.source {
            Source::Peer {
                ssrc,
                sequence_offset,
                timestamp_offset,
                first_sequence,
            } if ssrc == ssrc_in => {
                if sequence_in.wrapping_sub(first_sequence) >= BEFORE_SWITCH {
                    // Far beyond the first, what is «before» it is the next half of the circle.
                    let behind = first_sequence.wrapping_sub(sequence_in);
                    let newest = self
                        .sequence
                        .wrapping_sub(sequence_offset)
                        .wrapping_sub(first_sequence);
                    if newest < BEFORE_SWITCH / 2 && behind < BEFORE_SWITCH / 2 {
                        return false;
                    }
                }
                (
                    sequence_in.wrapping_add(sequence_offset),
                    timestamp_in.wrapping_add(timestamp_offset),
                )
            }
            Source::None | Source::Own | Source::Peer { .. } => {
                marker = true;
                let sequence = self.sequence.wrapping_add(1);
                let timestamp = self.timestamp_now(now_us);
                self.source = Source::Peer {
                    ssrc: ssrc_in,
                    sequence_offset: sequence.wrapping_sub(sequence_in),
                    timestamp_offset: timestamp.wrapping_sub(timestamp_in),
                    first_sequence: sequence_in,
                };
                (sequence, timestamp)
            }
        };
        // Late packets keep their numbers and do not move ours back.
        if !self.started || sequence.wrapping_sub(self.sequence) < 1 << 15 {
            self.sent(now_us, sequence, timestamp);
            if let Source::Peer { first_sequence, .. } = &mut self.source
                && sequence_in.wrapping_sub(*first_sequence) >= BEFORE_SWITCH / 2
            {
                *first_sequence = sequence_in.wrapping_sub(BEFORE_SWITCH / 4);
            }
        }
        rewrite(packet, marker, payload_type, sequence, timestamp, self.ssrc);
        true
    }

    /// A packet of the current source is not passed on (an event the other side does not know): the
    /// numbers close up behind it, so that nobody takes it for loss.
    pub fn skip(&mut self, ssrc_in: u32) {
        if let Source::Peer {
            ssrc,
            sequence_offset,
            ..
        } = &mut self.source
            && *ssrc == ssrc_in
        {
            *sequence_offset = sequence_offset.wrapping_sub(1);
        }
    }

    /// The bridge was parted or put together anew: the next packet is a switch, even if its SSRC is
    /// the one of before.
    pub fn switch(&mut self) {
        self.source = Source::None;
    }
}

/// Packets in sequence from one address and SSRC that make a leg lock on to it: 80 ms of audio. One
/// forged packet must not do; a user behind NAT must not wait long.
pub const LATCH_PACKETS: u8 = 4;

/// Addresses watched at once, so that a flood from one cannot keep another from being counted.
const CANDIDATES: usize = 4;

/// What a source address is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Take the packet.
    Accept,
    /// Drop and count it.
    Refuse,
    /// Take it; from now on only this address counts, and we send there.
    Locked(SocketAddr),
}

/// The strict source of a leg: the address from SDP, or, where latching is allowed, the first
/// address that sends [`LATCH_PACKETS`] in sequence. Once locked it never moves by itself.
#[derive(Clone, Copy, Debug)]
pub struct Latch {
    remote: SocketAddr,
    locked: bool,
    candidates: [Option<Candidate>; CANDIDATES],
    oldest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    next: u16,
    count: u8,
}

impl Latch {
    /// `remote` is the address from SDP. Without `allowed` it is locked from the beginning.
    pub fn new(remote: SocketAddr, allowed: bool) -> Latch {
        Latch {
            remote,
            locked: !allowed,
            candidates: [None; CANDIDATES],
            oldest: 0,
        }
    }

    /// Where we send.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether the source is settled.
    pub fn locked(&self) -> bool {
        self.locked
    }

    /// Judges the source of one RTP packet.
    pub fn admit(&mut self, from: SocketAddr, ssrc: u32, sequence: u16) -> Admission {
        if self.locked {
            return if from == self.remote {
                Admission::Accept
            } else {
                Admission::Refuse
            };
        }
        if self.in_sequence(from, ssrc, sequence) >= LATCH_PACKETS {
            self.locked = true;
            self.remote = from;
            return Admission::Locked(from);
        }
        if from == self.remote {
            Admission::Accept
        } else {
            Admission::Refuse
        }
    }

    fn in_sequence(&mut self, from: SocketAddr, ssrc: u32, sequence: u16) -> u8 {
        let next = sequence.wrapping_add(1);
        let known = self
            .candidates
            .iter_mut()
            .flatten()
            .find(|c| c.from == from);
        match known {
            Some(c) => {
                c.count = if c.ssrc == ssrc && c.next == sequence {
                    c.count + 1
                } else {
                    1
                };
                (c.ssrc, c.next) = (ssrc, next);
                c.count
            }
            None => {
                self.candidates[self.oldest] = Some(Candidate {
                    from,
                    ssrc,
                    next,
                    count: 1,
                });
                self.oldest = (self.oldest + 1) % CANDIDATES;
                1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
        let mut bytes = vec![0x80; 172];
        rewrite(&mut bytes, false, 0, sequence, timestamp, ssrc);
        bytes
    }

    fn relayed(out: &mut Outgoing, now: u64, mut bytes: Vec<u8>) -> Option<(u16, u32, bool)> {
        out.relay(now, &mut bytes, Codec::Pcmu, Codec::Pcmu, 0)
            .then(|| {
                let p = Packet::parse(&bytes).unwrap();
                assert_eq!(p.ssrc(), out.ssrc());
                (p.sequence(), p.timestamp(), p.marker())
            })
    }

    fn own(out: &mut Outgoing, now: u64) -> (u16, u32, bool) {
        let mut head = [0; 12];
        out.own(now, 160, 0, &mut head);
        let p = Packet::parse(&head).unwrap();
        (p.sequence(), p.timestamp(), p.marker())
    }

    #[test]
    fn prompt_then_bridge_then_prompt_is_one_stream_with_a_marker_at_each_switch() {
        let mut out = Outgoing::new(1, 65534, u32::MAX - 200);
        let ts = u32::MAX - 200;
        assert_eq!(own(&mut out, 1_000_000), (65534, ts, true));
        assert_eq!(
            own(&mut out, 1_020_000),
            (65535, ts.wrapping_add(160), false)
        );
        assert_eq!(
            relayed(&mut out, 1_040_000, packet(9, 500, 77)),
            Some((0, ts.wrapping_add(320), true))
        );
        assert_eq!(
            relayed(&mut out, 1_060_000, packet(9, 501, 237)),
            Some((1, ts.wrapping_add(480), false))
        );
        // 60 ms of nothing, then another source.
        assert_eq!(
            relayed(&mut out, 1_120_000, packet(8, 9, 1)),
            Some((2, ts.wrapping_add(960), true))
        );
        assert_eq!(own(&mut out, 1_140_000), (3, ts.wrapping_add(1120), true));
    }

    #[test]
    fn a_switch_within_a_packet_s_time_still_advances_by_a_packet() {
        let mut out = Outgoing::new(1, 0, 0);
        own(&mut out, 0);
        assert_eq!(relayed(&mut out, 3_000, packet(9, 5, 5)), Some((1, 160, true)));
    }

    #[test]
    fn loss_and_reordering_pass_through() {
        let mut out = Outgoing::new(1, 100, 0);
        assert_eq!(relayed(&mut out, 0, packet(9, 10, 0)), Some((100, 0, true)));
        assert_eq!(
            relayed(&mut out, 0, packet(9, 13, 480)),
            Some((103, 480, false))
        );
        assert_eq!(
            relayed(&mut out, 0, packet(9, 12, 320)),
            Some((102, 320, false))
        );
        assert_eq!(
            relayed(&mut out, 0, packet(9, 14, 640)),
            Some((104, 640, false))
        );
    }

    #[test]
    fn a_packet_from_before_the_switch_is_not_passed_on() {
        let mut out = Outgoing::new(1, 100, 0);
        own(&mut out, 0);
        assert!(relayed(&mut out, 0, packet(9, 10, 1600)).is_some());
        assert_eq!(relayed(&mut out, 0, packet(9, 9, 1440)), None);
    }

    #[test]
    fn a_stream_of_many_cycles_keeps_its_numbers() {
        let mut out = Outgoing::new(1, 0, 0);
        for n in 0..300_000u32 {
            let got = relayed(
                &mut out,
                u64::from(n) * 20_000,
                packet(9, n as u16, n * 160),
            );
            assert_eq!(got, Some((n as u16, n * 160, n == 0)));
        }
    }

    #[test]
    fn a_skipped_event_leaves_no_gap() {
        let mut out = Outgoing::new(1, 100, 0);
        relayed(&mut out, 0, packet(9, 10, 0));
        out.skip(9);
        out.skip(8);
        assert_eq!(
            relayed(&mut out, 0, packet(9, 12, 320)),
            Some((101, 320, false))
        );
    }

    #[test]
    fn a_prompt_that_pauses_advances_the_clock_by_the_pause() {
        let mut out = Outgoing::new(1, 0, 0);
        own(&mut out, 0);
        own(&mut out, 20_000);
        assert_eq!(own(&mut out, 1_020_000), (2, 160 + 8000, true));
    }

    #[test]
    fn laws_are_changed_on_the_way() {
        let mut out = Outgoing::new(1, 0, 0);
        let mut bytes = packet(9, 0, 0);
        bytes[12..].fill(0xff);
        assert!(out.relay(0, &mut bytes, Codec::Pcmu, Codec::Pcma, 8));
        assert!(bytes[12..].iter().all(|b| *b == 0xd5));
        assert_eq!(bytes[1] & 0x7f, 8);
    }

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], n))
    }

    #[test]
    fn a_strict_source_never_moves() {
        let mut latch = Latch::new(addr(1), false);
        for n in 0..100 {
            assert_eq!(latch.admit(addr(2), 5, n), Admission::Refuse);
        }
        assert_eq!(latch.admit(addr(1), 5, 0), Admission::Accept);
    }

    #[test]
    fn a_latching_source_moves_once_after_packets_in_sequence() {
        let mut latch = Latch::new(addr(1), true);
        for n in [7, 8, 9, 11, 12, 13] {
            assert_eq!(latch.admit(addr(2), 5, n), Admission::Refuse, "{n}");
        }
        assert_eq!(latch.admit(addr(2), 5, 14), Admission::Locked(addr(2)));
        assert_eq!(latch.remote(), addr(2));
        for n in 0..100 {
            assert_eq!(latch.admit(addr(3), 6, n), Admission::Refuse);
            assert_eq!(latch.admit(addr(1), 6, n), Admission::Refuse);
        }
    }

    #[test]
    fn the_signalled_address_locks_too_and_a_changing_ssrc_does_not() {
        let mut latch = Latch::new(addr(1), true);
        for n in 0..20 {
            assert_eq!(latch.admit(addr(2), u32::from(n), n), Admission::Refuse);
        }
        for n in 0..3 {
            assert_eq!(latch.admit(addr(1), 5, n), Admission::Accept);
        }
        assert_eq!(latch.admit(addr(1), 5, 3), Admission::Locked(addr(1)));
        assert!(latch.locked());
    }

    proptest! {
        #[test]
        fn any_packet_is_survived(mut bytes in prop_oneof![
            9 => prop::collection::vec(any::<u8>(), 1..200),
            1 => prop::collection::vec(any::<u8>(), 60_000..=65_507)], v2: bool, now: u32) {
            if v2 {
                bytes[0] = 0x80 | (bytes[0] & 0x3f);
            }
            let mut out = Outgoing::new(1, 2, 3);
            let n = bytes.len();
            let sent = out.relay(u64::from(now), &mut bytes, Codec::Pcma, Codec::Pcmu, 0);
            prop_assert_eq!(sent, Packet::parse(&bytes).is_ok() && sent);
            prop_assert_eq!(bytes.len(), n);
            out.relay_event(u64::from(now), &mut bytes, 101);
        }
    }
}
