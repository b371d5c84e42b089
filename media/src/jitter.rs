//! A jitter buffer for where audio is decoded: recording, mixing. The relay needs none.
//!
//! Packets put samples where their timestamps say, on a timeline that runs with the local clock;
//! the reader takes them in order, a delay later, with silence where nothing came. The place of a
//! stream on the timeline is set by its first packet and corrected when its clock drifts, its
//! timestamps leap, or the path gets shorter or longer. The delay adapts between two bounds; with
//! equal bounds it is fixed, which keeps the channels of a recording together.

use crate::SAMPLE_RATE;

/// Samples the ring holds: a second. What comes later than that is lost, what comes earlier moves
/// the stream.
pub const RING_SAMPLES: usize = SAMPLE_RATE as usize;

/// How long the lateness of packets is watched before the place is corrected, in samples: 2 s. Long
/// enough that one burst of delay is not taken for drift.
const WINDOW_SAMPLES: u64 = 2 * SAMPLE_RATE as u64;

/// The place is corrected when the most punctual packet of a window is this far off: 8 ms.
const DRIFT_SAMPLES: i64 = 64;

/// A packet this far from its place is a new beginning: 400 ms.
const LEAP_SAMPLES: i64 = 3200;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounters {
    /// Samples that came after their turn.
    pub late: u64,
    /// Times the stream was placed anew: drift, leaps, new sources.
    pub moved: u64,
}

/// One stream on a timeline.
#[derive(Debug)]
pub struct JitterBuffer {
    start_us: u64,
    delay_min: u64,
    delay_max: u64,
    delay: u64,
    ring: Box<[i16; RING_SAMPLES]>,
    /// The next sample to be taken, counted from the start.
    taken: u64,
    anchor: Option<Anchor>,
    counters: JitterCounters,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: u32,
    timestamp: u32,
    position: i64,
    window_end: u64,
    /// Least and most lateness in this window, in samples.
    least: i64,
    most: i64,
}

impl JitterBuffer {
    /// A timeline that begins at `start_us`; bounds of the delay in ms, at most 800.
    pub fn new(start_us: u64, delay_min_ms: u32, delay_max_ms: u32) -> JitterBuffer {
        let samples = |ms: u32| u64::from(ms.min(800)) * u64::from(SAMPLE_RATE) / 1000;
        let (min, max) = (
            samples(delay_min_ms),
            samples(delay_max_ms.max(delay_min_ms)),
        );
        JitterBuffer {
            start_us,
            delay_min: min,
            delay_max: max,
            delay: min,
            ring: Box::new([0; RING_SAMPLES]),
            taken: 0,
            anchor: None,
            counters: JitterCounters::default(),
        }
    }

    fn position(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.start_us) * u64::from(SAMPLE_RATE) / 1_000_000
    }

    /// Puts the samples of a packet that arrived at `now_us` in their place.
    pub fn put(&mut self, now_us: u64, ssrc: u32, timestamp: u32, samples: &[i16]) {
        let now = self.position(now_us) as i64;
        let at = self.place(now, ssrc, timestamp);
        for (i, &sample) in samples.iter().enumerate() {
            let at = at + i as i64;
            if at < self.taken as i64 {
                self.counters.late += 1;
            } else if at < self.taken as i64 + RING_SAMPLES as i64 {
                self.ring[at as usize % RING_SAMPLES] = sample;
            }
        }
    }

    fn place(&mut self, now: i64, ssrc: u32, timestamp: u32) -> i64 {
        if let Some(a) = &mut self.anchor
            && a.ssrc == ssrc
        {
            let at = a.position + i64::from(timestamp.wrapping_sub(a.timestamp) as i32);
            let late = now - at;
            if late.abs() < LEAP_SAMPLES {
                // The anchor moves along, so that the difference of timestamps stays small.
                a.position = at;
                a.timestamp = timestamp;
                a.least = a.least.min(late);
                a.most = a.most.max(late);
                if now as u64 >= a.window_end {
                    let wanted = (2 * (a.most - a.least)).max(0) as u64;
                    self.delay = wanted.clamp(self.delay_min, self.delay_max);
                    if a.least.abs() > DRIFT_SAMPLES {
                        a.position += a.least;
                        self.counters.moved += 1;
                    }
                    (a.least, a.most) = (i64::MAX, i64::MIN);
                    a.window_end = now as u64 + WINDOW_SAMPLES;
                }
                return at;
            }
        }
        if self.anchor.is_some() {
            self.counters.moved += 1;
        }
        let window_end = now as u64 + WINDOW_SAMPLES;
        self.anchor = Some(Anchor {
            ssrc,
            timestamp,
            position: now,
            window_end,
            least: 0,
            most: 0,
        });
        now
    }

    /// How many samples may be taken at `now_us`.
    pub fn due(&self, now_us: u64) -> u64 {
        self.position(now_us)
            .saturating_sub(self.delay)
            .saturating_sub(self.taken)
    }

    /// Takes the next samples; silence where nothing came.
    pub fn take(&mut self, out: &mut [i16]) {
        for sample in out {
            *sample = std::mem::take(&mut self.ring[self.taken as usize % RING_SAMPLES]);
            self.taken += 1;
        }
    }

    /// The delay now, in samples.
    pub fn delay(&self) -> u64 {
        self.delay
    }

    /// What was counted so far.
    pub fn counters(&self) -> JitterCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a stream whose packets arrive when `arrival` says (µs); returns what is taken.
    fn run(
        buffer: &mut JitterBuffer,
        packets: u32,
        arrival: impl Fn(u32) -> u64,
        ts: impl Fn(u32) -> u32,
    ) -> Vec<i16> {
        let mut taken = Vec::new();
        let mut order: Vec<u32> = (0..packets).collect();
        order.sort_by_key(|n| arrival(*n));
        for n in order {
            let now = arrival(n);
            buffer.put(now, 1, ts(n), &[n as i16 + 1; 160]);
            let mut out = vec![0; buffer.due(now) as usize];
            buffer.take(&mut out);
            taken.extend(out);
        }
        taken
    }

    #[test]
    fn reordered_and_jittered_packets_come_out_in_order_without_holes() {
        let mut buffer = JitterBuffer::new(0, 200, 200);
        let arrival = |n: u32| u64::from(n) * 20_000 + u64::from(n * 7 % 11) * 6_000;
        let out = run(&mut buffer, 300, arrival, |n| n * 160);
        assert_eq!(buffer.counters().late, 0);
        let voice = &out[200..out.len() - 1600];
        assert!(
            voice.windows(2).all(|w| w[1] == w[0] || w[1] == w[0] + 1),
            "in order"
        );
    }

    #[test]
    fn a_drifting_clock_stays_within_20_ms_over_an_hour() {
        let mut buffer = JitterBuffer::new(0, 200, 200);
        // 100 ppm slow: 360 ms in an hour.
        let arrival = |n: u32| u64::from(n) * 20_002;
        let mut position = 0u64;
        let mut worst = 0i64;
        for n in 0..180_000u32 {
            let now = arrival(n);
            buffer.put(now, 1, n * 160, &[if n % 50 == 0 { 1 } else { 2 }; 160]);
            let mut out = vec![0; buffer.due(now) as usize];
            buffer.take(&mut out);
            // Where a marked packet comes out, against where it arrived.
            if let Some(i) = out.windows(2).position(|w| w[0] == 2 && w[1] == 1) {
                let came_out = position as i64 + i as i64 + 1;
                let k = (f64::from(came_out as i32) / 8000.16 + 0.1).floor();
                worst = worst.max((came_out - (k * 8000.8) as i64).abs());
            }
            position += out.len() as u64;
        }
        assert!(buffer.counters().moved > 10);
        assert!(worst <= 160, "{worst} samples off");
    }

    #[test]
    fn leaping_timestamps_and_a_new_source_begin_where_they_arrive() {
        let mut buffer = JitterBuffer::new(0, 100, 100);
        let ts = |n: u32| {
            if n < 50 {
                n * 160
            } else {
                0x8000_0000 + n * 160
            }
        };
        let out = run(&mut buffer, 100, |n| u64::from(n) * 20_000, ts);
        assert_eq!(buffer.counters().moved, 1);
        assert!(out[160..].iter().all(|s| *s != 0), "no hole");
        buffer.put(2_000_000, 2, 5, &[7; 160]);
        assert_eq!(buffer.counters().moved, 2);
    }

    #[test]
    fn the_delay_follows_the_jitter_between_its_bounds() {
        let mut calm = JitterBuffer::new(0, 20, 200);
        run(&mut calm, 400, |n| u64::from(n) * 20_000, |n| n * 160);
        assert_eq!(calm.delay(), 160);
        let mut rough = JitterBuffer::new(0, 20, 200);
        run(
            &mut rough,
            400,
            |n| u64::from(n) * 20_000 + u64::from(n % 5) * 10_000,
            |n| n * 160,
        );
        assert_eq!(rough.delay(), 640);
    }

    #[test]
    fn any_timestamps_are_survived() {
        let mut buffer = JitterBuffer::new(1_000_000, 0, 0);
        let mut x = 1u64;
        for _ in 0..10_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            buffer.put(x >> 20, (x >> 60) as u32, (x >> 13) as u32, &[1; 320]);
        }
    }
}
