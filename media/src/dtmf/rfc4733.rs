//! Telephone events (RFC 4733 §2): a sender for one key press, and a receiver that tells each once.
//!
//! All packets of one press carry the timestamp of its beginning; that, and nothing else, is what
//! makes two packets the same press. So it does not matter which of them arrive, how often, or in
//! which order.

use super::{event, key};

/// Bytes of one event in a payload.
pub const EVENT_BYTES: usize = 4;

/// The last packet of a press is sent this often (RFC 4733 §2.5.1.4: «three times»).
pub const END_PACKETS: u8 = 3;

/// Presses remembered to recognise late packets. At ten presses a second, the fastest a dialler
/// sends, these are six seconds; no network reorders by as much.
pub const PRESSES_MEMORY: usize = 64;

/// A press longer than this is told in segments (RFC 4733 §2.5.1.3).
const SEGMENT_SAMPLES: u32 = 0xffff;

/// A press that was seen to last so long, half a segment, may go on in the next one.
const LONG_PRESS: u16 = 0x8000;

/// Events packed into one payload that are looked at; more are not a telephone's doing.
const EVENTS_PER_PACKET_MAX: usize = 8;

/// One event payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// 0 to 15 are keys.
    pub code: u8,
    /// The press is over.
    pub end: bool,
    /// Power below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// Since the beginning, in timestamp units.
    pub duration: u16,
}

impl Event {
    /// Reads the first four bytes; `None` if there are fewer.
    pub fn read(payload: &[u8]) -> Option<Event> {
        let [code, flags, high, low, ..] = *payload else {
            return None;
        };
        Some(Event {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The four bytes.
    pub fn bytes(self) -> [u8; EVENT_BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [
            self.code,
            if self.end { 0x80 } else { 0 } | (self.volume & 0x3f),
            high,
            low,
        ]
    }
}

/// One packet of a press: sent with the timestamp of the press's first packet and its own sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// Only the first packet has it.
    pub marker: bool,
    /// What to send.
    pub event: Event,
}

/// The packets of one key press, one every 20 ms.
#[derive(Clone, Debug)]
pub struct Sender {
    code: u8,
    duration: u16,
    total: u16,
    step: u16,
    started: bool,
    ends_left: u8,
}

impl Sender {
    /// A press of `key` for `total` samples (clamped to 320..=65,535), a packet every `step` samples.
    /// `None` if it is no key.
    pub fn new(key: char, total: u16, step: u16) -> Option<Sender> {
        let code = event(key)?;
        let (total, step) = (total.max(320), step.max(1));
        Some(Sender {
            code,
            duration: 0,
            total,
            step,
            started: false,
            ends_left: END_PACKETS,
        })
    }
}

impl Iterator for Sender {
    type Item = EventPacket;
    fn next(&mut self) -> Option<EventPacket> {
        if self.ends_left == 0 {
            return None;
        }
        self.duration = self.duration.saturating_add(self.step).min(self.total);
        let end = self.duration == self.total;
        if end {
            self.ends_left -= 1;
        }
        let marker = !std::mem::replace(&mut self.started, true);
        Some(EventPacket {
            marker,
            event: Event {
                code: self.code,
                end,
                volume: 10,
                duration: self.duration,
            },
        })
    }
}

/// A press, or a segment of a long one, as far as it was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Press {
    begin: u32,
    code: u8,
    /// The longest duration told.
    duration: u16,
}

/// Tells each key press of one stream once.
#[derive(Clone, Debug)]
pub struct Receiver {
    ssrc: Option<u32>,
    /// The last presses, a ring.
    seen: [Press; PRESSES_MEMORY],
    used: usize,
    next: usize,
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver {
            ssrc: None,
            seen: [Press::default(); PRESSES_MEMORY],
            used: 0,
            next: 0,
        }
    }
}

impl Receiver {
    /// Takes the payload of a telephone-event packet and hands each key it newly tells to `press`.
    /// Several events in one payload follow one another in time (RFC 4733 §2.5.1.5).
    pub fn packet(
        &mut self,
        ssrc: u32,
        timestamp: u32,
        payload: &[u8],
        mut press: impl FnMut(char),
    ) {
        if self.ssrc != Some(ssrc) {
            *self = Receiver {
                ssrc: Some(ssrc),
                ..Receiver::default()
            };
        }
        let mut begin = timestamp;
        for bytes in payload
            .chunks_exact(EVENT_BYTES)
            .take(EVENTS_PER_PACKET_MAX)
        {
            let event = Event::read(bytes).expect("chunks have the length of an event");
            if let Some(key) = key(event.code)
                && self.is_new(begin, event)
            {
                press(key);
            }
            begin = begin.wrapping_add(u32::from(event.duration));
        }
    }

    fn is_new(&mut self, begin: u32, event: Event) -> bool {
        let seen = &mut self.seen[..self.used];
        if let Some(press) = seen
            .iter_mut()
            .find(|press| (press.begin, press.code) == (begin, event.code))
        {
            press.duration = press.duration.max(event.duration);
            return false;
        }
        // A press held longer than a segment goes on under a new timestamp; if its first packets
        // arrive late, the segment before looks like this one from the other side. A short press that
        // happens to begin a segment's length earlier is another press.
        let continues = seen.iter().any(|press| {
            press.code == event.code
                && ((begin.wrapping_sub(press.begin) == SEGMENT_SAMPLES
                    && press.duration >= LONG_PRESS)
                    || (press.begin.wrapping_sub(begin) == SEGMENT_SAMPLES
                        && event.duration >= LONG_PRESS))
        });
        self.seen[self.next] = Press {
            begin,
            code: event.code,
            duration: event.duration,
        };
        self.next = (self.next + 1) % PRESSES_MEMORY;
        self.used = (self.used + 1).min(PRESSES_MEMORY);
        !continues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_press_grows_and_ends_three_times() {
        let packets: Vec<_> = Sender::new('#', 800, 160).unwrap().collect();
        let durations: Vec<_> = packets
            .iter()
            .map(|p| (p.event.duration, p.event.end))
            .collect();
        assert_eq!(
            durations,
            [
                (160, false),
                (320, false),
                (480, false),
                (640, false),
                (800, true),
                (800, true),
                (800, true)
            ]
        );
        assert!(packets[0].marker && packets[1..].iter().all(|p| !p.marker));
        assert!(packets.iter().all(|p| p.event.code == 11));
        assert_eq!(
            Event::read(&packets[4].event.bytes()),
            Some(packets[4].event)
        );
        assert!(Sender::new('x', 800, 160).is_none());
    }

    #[test]
    fn the_same_key_pressed_twice_is_two_presses() {
        let mut receiver = Receiver::default();
        let mut told = Vec::new();
        for ts in [8000, 8000, 9600, 8000, 9600] {
            receiver.packet(1, ts, &[5, 0x80, 3, 32], |k| told.push(k));
        }
        assert_eq!(told, ['5', '5']);
    }

    #[test]
    fn a_long_press_in_segments_is_one_press() {
        let mut receiver = Receiver::default();
        let mut told = 0;
        for ts in [1000, 1000 + 0xffff, 1000 + 2 * 0xffff] {
            receiver.packet(1, ts, &[5, 0, 0xff, 0xff], |_| told += 1);
        }
        assert_eq!(told, 1);
    }

    #[test]
    fn other_events_short_payloads_and_a_new_source_are_handled() {
        let mut receiver = Receiver::default();
        let mut told = Vec::new();
        receiver.packet(1, 0, &[16, 0, 0, 160], |k| told.push(k));
        receiver.packet(1, 0, &[1, 0, 0], |k| told.push(k));
        receiver.packet(1, 0, &[1, 0, 0, 160], |k| told.push(k));
        receiver.packet(2, 0, &[1, 0, 0, 160], |k| told.push(k));
        assert_eq!(told, ['1', '1']);
    }

    #[test]
    fn the_same_key_pressed_a_segment_later_is_another_press() {
        let mut receiver = Receiver::default();
        let mut told = 0;
        for ts in [1000, 1000 + SEGMENT_SAMPLES] {
            receiver.packet(1, ts, &[5, 0x80, 3, 32], |_| told += 1);
        }
        assert_eq!(told, 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn every_press_is_told_once_if_one_of_its_packets_arrives(
            keys in prop::collection::vec(0usize..16, 1..30),
            start: u32,
            // Per packet: lost or copies, and how far it is delayed.
            fate in prop::collection::vec((0u8..4, 0u64..400), 1000),
            gap in 320u32..4000,
        ) {
            let mut sent = Vec::new();
            let mut fates = fate.iter().cycle();
            let mut ts = start;
            let mut at = 0u64;
            let mut expected = Vec::new();
            for key in keys.iter().map(|k| super::super::KEYS[*k]) {
                let mut arrives = false;
                for packet in Sender::new(key, 640, 160).unwrap() {
                    let (copies, delay) = *fates.next().unwrap();
                    for copy in 0..copies {
                        sent.push((at + delay + u64::from(copy) * 90, ts, packet.event.bytes()));
                        arrives = true;
                    }
                    at += 20;
                }
                if arrives {
                    expected.push(key);
                }
                ts = ts.wrapping_add(640 + gap);
                at += u64::from(gap) / 8;
            }
            sent.sort_by_key(|(at, ..)| *at);
            let mut receiver = Receiver::default();
            let mut told = Vec::new();
            for (_, ts, payload) in sent {
                receiver.packet(77, ts, &payload, |k| told.push(k));
            }
            told.sort();
            expected.sort();
            prop_assert_eq!(told, expected);
        }

        #[test]
        fn any_payload_is_survived(ssrc: u32, ts: u32, payload in prop::collection::vec(any::<u8>(), 0..200)) {
            Receiver::default().packet(ssrc, ts, &payload, |_| {});
        }
    }
}
