//! What a party of the lab says and hears: a tone out, and whether anything comes in.

use media::Codec;

/// Samples in a packet of 20 ms.
pub const SAMPLES: usize = 160;
/// One second of packets: every whole number of Hz fits without a click.
const PACKETS: usize = 50;

/// One second of a tone in µ-law, packet by packet.
#[derive(Clone, Debug)]
pub struct Tone {
    packets: Vec<[u8; SAMPLES]>,
}

impl Tone {
    /// A sine of `hz` at about -13 dBm0; silence for 0.
    pub fn new(hz: u16) -> Tone {
        let mut packets = vec![[0u8; SAMPLES]; PACKETS];
        for (p, packet) in packets.iter_mut().enumerate() {
            for (s, byte) in packet.iter_mut().enumerate() {
                let t = (p * SAMPLES + s) as f64 / 8_000.0;
                let level = if hz == 0 {
                    0.0
                } else {
                    5_000.0 * (t * f64::from(hz) * std::f64::consts::TAU).sin()
                };
                *byte = media::g711::encode(Codec::Pcmu, level as i16);
            }
        }
        Tone { packets }
    }

    /// The `n`-th packet of an endless tone.
    pub fn packet(&self, n: u64) -> &[u8; SAMPLES] {
        &self.packets[(n % PACKETS as u64) as usize]
    }
}

/// Mean square of µ-law audio, to tell sound from silence.
pub fn energy(payload: &[u8]) -> f64 {
    if payload.is_empty() {
        return 0.0;
    }
    let sum: f64 = payload
        .iter()
        .map(|byte| f64::from(media::g711::decode(Codec::Pcmu, *byte)).powi(2))
        .sum();
    sum / payload.len() as f64
}
