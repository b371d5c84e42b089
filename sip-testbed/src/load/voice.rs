//! Voice of the load: 50 packets of G.711 a second and leg, phases spread evenly over the 20 ms.
//!
//! The payload begins with a mark, the leg and its generation, a counter and the send time. A burst of
//! all legs at once would hide what waking up costs an engine, so each leg has one of 20 slots.

use super::{CALLER, Load};
use std::net::SocketAddr;

/// One slot per millisecond of a packet's 20.
pub(super) const SLOTS: usize = 20;
/// A slot.
pub(super) const TICK_NS: u64 = 1_000_000;
/// A slot sent so late is counted: the generator could not keep up.
pub(super) const LATE_NS: u64 = 5_000_000;
/// Of one leg.
pub(super) const PACKETS_PER_S: f64 = 50.0;

const MARK: u32 = 0x7A5D_1E0C;
const HEADER: usize = 12;
const PACKET: usize = HEADER + 160;
/// µ-law silence.
const QUIET: u8 = 0xff;

/// What one leg sends, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Voice {
    /// Where the engine wants it.
    pub to: Option<SocketAddr>,
    slot: Option<(usize, usize)>,
    ssrc: u32,
    sent: u32,
    first: u32,
    last: u32,
    received: u32,
}

impl Voice {
    pub(super) fn new(leg: usize, side: usize) -> Voice {
        let leg = u32::try_from(leg).unwrap_or(u32::MAX);
        Voice {
            ssrc: 0x1000_0000 + leg * 2 + u32::from(side == CALLER),
            ..Voice::default()
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

impl Load {
    /// The leg sends from now on, to where it was told.
    pub(super) fn start_voice(&mut self, n: usize, to: Option<SocketAddr>) {
        let voice = &mut self.legs[n].voice;
        voice.to = to.or(voice.to);
        if !self.plan.media || voice.slot.is_some() || voice.to.is_none() {
            return;
        }
        let slot = self.next_slot % SLOTS;
        self.next_slot += 1;
        voice.slot = Some((slot, self.slots[slot].len()));
        self.slots[slot].push(n);
    }

    pub(super) fn stop_voice(&mut self, n: usize) {
        let Some((slot, at)) = self.legs[n].voice.slot.take() else {
            return;
        };
        self.slots[slot].swap_remove(at);
        if let Some(moved) = self.slots[slot].get(at) {
            self.legs[*moved].voice.slot = Some((slot, at));
        }
    }

    /// One packet of every leg in this slot.
    pub(super) fn send_slot(&mut self, slot: usize) {
        let mut packet = [QUIET; PACKET];
        packet[0] = 0x80;
        packet[1] = 0;
        for at in 0..self.slots[slot].len() {
            let n = self.slots[slot][at];
            let now = self.now();
            let leg = &mut self.legs[n];
            let voice = &mut leg.voice;
            let Some(to) = voice.to else { continue };
            // The sequence number wraps, as it does on a long call.
            packet[2..4].copy_from_slice(&(voice.sent as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&voice.sent.wrapping_mul(160).to_be_bytes());
            packet[8..12].copy_from_slice(&voice.ssrc.to_be_bytes());
            packet[12..16].copy_from_slice(&MARK.to_be_bytes());
            packet[16..20].copy_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
            packet[20..24].copy_from_slice(&leg.generation.to_be_bytes());
            packet[24..28].copy_from_slice(&voice.sent.to_be_bytes());
            packet[28..36].copy_from_slice(&now.to_be_bytes());
            voice.sent += 1;
            match self.sides[leg.side].rtp.send_to(&packet, to) {
                Ok(_) => self.counts.rtp_sent += 1,
                Err(_) => self.counts.not_sent += 1,
            }
        }
    }

    /// A packet on the RTP socket of a side.
    pub(super) fn packet(&mut self, side: usize, bytes: &[u8]) {
        if bytes.len() != PACKET || word(bytes, HEADER) != MARK {
            return;
        }
        self.counts.rtp_received += 1;
        let n = word(bytes, 16) as usize;
        let Some(leg) = self
            .legs
            .get_mut(n)
            .filter(|leg| leg.generation == word(bytes, 20))
        else {
            return;
        };
        if leg.side == side {
            self.counts.rtp_astray += 1;
            return;
        }
        if !self.in_window {
            return;
        }
        let counter = word(bytes, 24);
        let voice = &mut leg.voice;
        if voice.received == 0 {
            (voice.first, voice.last) = (counter, counter);
        }
        voice.first = voice.first.min(counter);
        voice.last = voice.last.max(counter);
        voice.received += 1;
        let sent_at = u64::from_be_bytes(bytes[28..36].try_into().expect("eight bytes"));
        let delay = self.now().saturating_sub(sent_at) / 1_000;
        self.delays.add(delay);
    }

    /// Adds what a leg's voice lost to the sums, once.
    pub(super) fn fold_loss(&mut self, n: usize) {
        let voice = &mut self.legs[n].voice;
        if voice.received > 0 {
            let expected = voice.last - voice.first + 1;
            self.counts.rtp_expected += u64::from(expected);
            self.counts.rtp_lost += u64::from(expected.saturating_sub(voice.received));
            voice.received = 0;
        }
    }
}
