//! A telephone line: noise, one of the two laws, and packets lost in bursts.

use super::speech::dbm0_to_rms;
use media::{Codec, FRAME_SAMPLES, g711};
use model::Rng;

/// 20 ms of samples; `None` where the packet was lost.
pub type Packet = Option<Vec<i16>>;

/// How many packets a burst of losses takes, on average (Gilbert 1960).
const BURST_PACKETS: f64 = 1.6;

pub struct Line {
    pub noise_dbm0: f64,
    /// Share of packets lost.
    pub loss: f64,
    pub alaw: bool,
}

impl Line {
    /// What arrives of `audio` at the other end.
    pub fn carry(&self, rng: &mut Rng, audio: &[i16]) -> Vec<Packet> {
        let codec = if self.alaw { Codec::Pcma } else { Codec::Pcmu };
        let rms = dbm0_to_rms(self.noise_dbm0);
        // A room is not white: a first-order low pass, scaled back to the level asked for.
        const POLE: f64 = 0.7;
        let gain = rms * (1.0f64 - POLE * POLE).sqrt();
        let mut room = 0.0;
        let mut lost = false;
        let mut packets = Vec::new();
        for frame in audio.chunks(FRAME_SAMPLES) {
            let mut samples = Vec::with_capacity(FRAME_SAMPLES);
            for x in frame {
                // Twelve uniforms are as good as a normal number here, and quicker: four will do.
                let sum: f64 = (0..4).map(|_| rng.unit() - 0.5).sum();
                room = POLE * room + gain * sum * 1.732;
                let heard = (f64::from(*x) + room).clamp(-32_124.0, 32_124.0) as i16;
                samples.push(g711::decode(codec, g711::encode(codec, heard)));
            }
            lost = if lost {
                !rng.chance(1.0 / BURST_PACKETS)
            } else {
                self.loss > 0.0 && rng.chance(self.loss / BURST_PACKETS / (1.0 - self.loss))
            };
            packets.push((!lost).then_some(samples));
        }
        packets
    }
}
