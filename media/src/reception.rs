//! What a receiver knows about one stream: extended sequence, loss and jitter (RFC 3550 A.1, A.3, A.8).
//!
//! Handed one packet's numbers and its arrival time; never touches the packet. A new SSRC, or a
//! sequence that jumped and went on from there, begins a new epoch; loss is summed over epochs.
//! There is no probation (A.1): the source was already judged by its address, see [`crate::relay::Latch`].

use crate::SAMPLE_RATE;

/// A jump ahead of at most this many packets is loss (RFC 3550 A.1: one minute at 50 packets/s).
pub const DROPOUT_MAX: u16 = 3000;

/// A packet at most this far behind the newest is late, not a restart (RFC 3550 A.1).
pub const MISORDER_MAX: u16 = 100;

/// What a packet was to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The first, or the first of a new source.
    First,
    /// Newer than all before.
    InOrder,
    /// Older than the newest: reordered, or a repetition.
    Late,
    /// Far from everything; the next one in sequence proves a restart.
    Jump,
}

/// The figures of a report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whose packets these were.
    pub ssrc: u32,
    /// Share lost since the last block, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all, clamped to 24 bits signed; duplicates make it negative.
    pub lost: i32,
    /// Cycles in the upper half.
    pub highest_sequence: u32,
    /// In timestamp units.
    pub jitter: u32,
}

/// Statistics of what arrives from one peer.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    ssrc: Option<u32>,
    cycles: u32,
    highest: u16,
    base: u32,
    /// The sequence that would prove a restart.
    restart_at: Option<u16>,
    received: u64,
    lost_before: i64,
    epoch_received: u64,
    expected_prior: u64,
    received_prior: u64,
    transit: Option<u32>,
    /// Times 16, as in RFC 3550 A.8.
    jitter_x16: u32,
}

impl Reception {
    /// Counts one packet that arrived at `now_us`.
    pub fn packet(&mut self, now_us: u64, ssrc: u32, sequence: u16, timestamp: u32) -> Arrival {
        let arrival = self.event(ssrc, sequence);
        match arrival {
            Arrival::First | Arrival::InOrder | Arrival::Late => self.jitter(now_us, timestamp),
            Arrival::Jump => {}
        }
        arrival
    }

    /// Counts one telephone-event packet: its timestamp is that of the press, not of the packet, and
    /// says nothing about jitter.
    pub fn event(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        let arrival = self.sequence(ssrc, sequence);
        self.received += 1;
        match arrival {
            Arrival::First | Arrival::InOrder | Arrival::Late => self.epoch_received += 1,
            Arrival::Jump => {}
        }
        arrival
    }

    fn sequence(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        if self.ssrc != Some(ssrc) {
            self.begin(ssrc, sequence);
            return Arrival::First;
        }
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead != 0 && ahead < DROPOUT_MAX {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
            self.restart_at = None;
            Arrival::InOrder
        } else if ahead == 0 || ahead >= 0u16.wrapping_sub(MISORDER_MAX) {
            Arrival::Late
        } else if self.restart_at == Some(sequence) {
            self.begin(ssrc, sequence);
            Arrival::First
        } else {
            self.restart_at = Some(sequence.wrapping_add(1));
            Arrival::Jump
        }
    }

    fn begin(&mut self, ssrc: u32, sequence: u16) {
        self.lost_before = self.lost_signed();
        *self = Reception {
            ssrc: Some(ssrc),
            highest: sequence,
            base: u32::from(sequence),
            received: self.received,
            lost_before: self.lost_before,
            // The figure is the leg's; a new source goes on from it.
            jitter_x16: self.jitter_x16,
            ..Reception::default()
        };
    }

    /// RFC 3550 A.8. The jitter of a timestamp that leapt (a prompt after silence) is not the
    /// network's, so a difference above a second only sets the new base.
    fn jitter(&mut self, now_us: u64, timestamp: u32) {
        let arrival = (now_us * u64::from(SAMPLE_RATE) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            let d = (transit.wrapping_sub(last) as i32).unsigned_abs();
            if d <= SAMPLE_RATE {
                self.jitter_x16 = self.jitter_x16 + d - ((self.jitter_x16 + 8) >> 4);
            }
        }
    }

    fn expected(&self) -> u64 {
        match self.ssrc {
            Some(_) => {
                let highest = self.cycles | u32::from(self.highest);
                u64::from(highest.wrapping_sub(self.base)) + 1
            }
            None => 0,
        }
    }

    fn lost_signed(&self) -> i64 {
        self.lost_before + self.expected() as i64 - self.epoch_received as i64
    }

    /// Packets counted.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Expected by sequence numbers minus received; never below zero, whatever was repeated.
    pub fn lost(&self) -> u64 {
        self.lost_signed().max(0) as u64
    }

    /// Interarrival jitter in µs.
    pub fn jitter_us(&self) -> u32 {
        (u64::from(self.jitter_x16 >> 4) * 1_000_000 / u64::from(SAMPLE_RATE)) as u32
    }

    /// The current source.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// The figures for a receiver report; `None` before the first packet. Begins a new interval.
    pub fn block(&mut self) -> Option<Block> {
        let ssrc = self.ssrc?;
        let expected = self.expected();
        let interval = expected - self.expected_prior.min(expected);
        let lost = interval as i64 - (self.epoch_received - self.received_prior) as i64;
        self.expected_prior = expected;
        self.received_prior = self.epoch_received;
        let fraction_lost = if interval == 0 || lost <= 0 {
            0
        } else {
            ((lost as u64 * 256) / interval).min(255) as u8
        };
        Some(Block {
            ssrc,
            fraction_lost,
            lost: self.lost_signed().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: self.cycles | u32::from(self.highest),
            jitter: self.jitter_x16 >> 4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(r: &mut Reception, sequences: impl IntoIterator<Item = u32>) {
        for n in sequences {
            r.packet(u64::from(n) * 20_000, 1, n as u16, n.wrapping_mul(160));
        }
    }

    #[test]
    fn a_lost_packet_is_counted_across_the_wrap() {
        let mut r = Reception::default();
        feed(&mut r, (65530..65550).filter(|n| *n != 65536));
        assert_eq!((r.received(), r.lost(), r.jitter_us()), (19, 1, 0));
        let block = r.block().unwrap();
        assert_eq!((block.fraction_lost, block.lost), (12, 1));
        assert_eq!(block.highest_sequence, 65549);
        assert_eq!(r.block().unwrap().fraction_lost, 0, "a new interval");
    }

    #[test]
    fn reordered_and_repeated_packets_are_no_loss() {
        let mut r = Reception::default();
        feed(&mut r, [10, 12, 11, 13, 13, 14]);
        assert_eq!((r.received(), r.lost()), (6, 0));
    }

    #[test]
    fn a_restarted_sequence_is_believed_at_its_second_packet() {
        let mut r = Reception::default();
        feed(&mut r, 0..10);
        assert_eq!(r.packet(0, 1, 40_000, 0), Arrival::Jump);
        assert_eq!(r.packet(0, 1, 40_001, 160), Arrival::First);
        assert_eq!(r.packet(0, 1, 40_002, 320), Arrival::InOrder);
        assert_eq!(r.lost(), 0);
        assert_eq!(r.packet(0, 2, 5, 320), Arrival::First);
        assert_eq!(r.received(), 14);
    }

    #[test]
    fn jitter_settles_at_the_mean_difference() {
        let mut r = Reception::default();
        for n in 0..400u32 {
            let late = if n % 2 == 0 { 0 } else { 5_000 };
            r.packet(u64::from(n) * 20_000 + late, 1, n as u16, n * 160);
        }
        assert!(
            (4_000..=5_500).contains(&r.jitter_us()),
            "{}",
            r.jitter_us()
        );
    }
}
