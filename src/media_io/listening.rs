//! Listening to one answered leg until it is known who answered: RTP payloads become the sound that
//! the detectors of `media` judge, on the worker that receives them.
//!
//! A packet that was lost is told as lost; a gap in time without one missing is the silence that the
//! far end did not send (RFC 3551 §4.1). A packet that comes too late is left out.

use media::detect::{BeepHeard, Finding, Judgement, Listener, Targets, Tone, ToneHeard, Who};
use media::rtp::Packet;
use media::{Codec, FRAME_SAMPLES, g711};
use model::event::Verdict;

/// Silence that was not sent is heard as no more than this many frames: 8 s are longer than anybody
/// is listened to.
const SILENT_FRAMES_MAX: u32 = 400;

/// What a packet brought to light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Who answered, as far as is known now.
    pub(super) verdict: Option<Verdict>,
    /// A machine's beep is over: a message may be left.
    pub(super) beep_ended: bool,
}

/// The ear of one leg.
pub(super) struct Listening {
    listener: Listener,
    stream: Option<Stream>,
    /// What was told last.
    told: Option<Verdict>,
    done: bool,
}

/// Where the stream goes on.
#[derive(Clone, Copy)]
struct Stream {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Listening {
    /// Begins with the answer; `rang_ms` is how long the leg had rung.
    pub fn new(rang_ms: Option<u32>) -> Listening {
        let mut listener = Listener::new(Targets::default());
        listener.answered(rang_ms);
        Listening {
            listener,
            stream: None,
            told: None,
            done: false,
        }
    }

    /// Nothing more will be told.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes an audio packet; returns what is now known of who answered: at most a person, and after
    /// that a machine or a fax, if it was one after all; and a machine's beep.
    pub fn packet(&mut self, codec: Codec, packet: &Packet<'_>) -> News {
        let (ssrc, sequence, timestamp) = (packet.ssrc(), packet.sequence(), packet.timestamp());
        let mut heard = News::default();
        if let Some(last) = self.stream.filter(|last| last.ssrc == ssrc) {
            let gap = timestamp.wrapping_sub(last.timestamp) as i32;
            if gap < 0 {
                return heard;
            }
            let frames = gap as u32 / FRAME_SAMPLES as u32;
            if sequence == last.sequence.wrapping_add(1) {
                for _ in 0..frames.min(SILENT_FRAMES_MAX) {
                    self.listener
                        .samples(&[0; FRAME_SAMPLES], |f| note(&mut heard, f));
                }
            } else {
                self.listener.lost(frames, |f| note(&mut heard, f));
            }
        }
        let payload = packet.payload();
        self.stream = Some(Stream {
            ssrc,
            sequence,
            timestamp: timestamp.wrapping_add(payload.len() as u32),
        });
        let mut samples = [0i16; FRAME_SAMPLES];
        for piece in payload.chunks(FRAME_SAMPLES) {
            let n = g711::decode_into(codec, piece, &mut samples);
            self.listener
                .samples(&samples[..n], |f| note(&mut heard, f));
        }
        // A person twice is no news.
        heard.verdict = heard.verdict.filter(|v| self.told != Some(*v));
        self.told = heard.verdict.or(self.told);
        self.done |= heard.beep_ended
            || match self.told {
                Some(Verdict::Fax) => true,
                // Until the beep, or the end of the leg.
                Some(Verdict::Machine) => false,
                Some(Verdict::Person) | None => self.listener.is_settled(),
            };
        heard
    }
}

/// What a finding says of who answered. Of several in one packet the last one holds.
fn note(heard: &mut News, finding: Finding) {
    let now = match finding {
        Finding::Judged(Judgement { who, .. }) => match who {
            // Whoever is unclear is treated as a person.
            Who::Person | Who::Unsure => Some(Verdict::Person),
            Who::Machine => Some(Verdict::Machine),
        },
        Finding::Tone(ToneHeard { tone, .. }) => match tone {
            Tone::FaxAnswering | Tone::FaxCalling => Some(Verdict::Fax),
            // An announcement of the network behind an answer: nobody is there.
            Tone::Special(_) | Tone::Busy | Tone::Congestion | Tone::Dial => Some(Verdict::Machine),
            // An exchange rings on behind its answer.
            Tone::Ringback => None,
        },
        Finding::Beep(BeepHeard::Began { .. }) => None,
        Finding::Beep(BeepHeard::Ended { .. }) => {
            heard.beep_ended = true;
            None
        }
    };
    heard.verdict = now.or(heard.verdict);
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::tone::{Progress, progress, silence, tone};

    /// Packets of 20 ms, each 12 bytes of header and its µ-law; `None` where one is lost.
    fn packets(samples: &[i16]) -> Vec<Vec<u8>> {
        samples
            .chunks_exact(FRAME_SAMPLES)
            .enumerate()
            .map(|(n, frame)| {
                let mut bytes = vec![0x80, 0];
                bytes.extend((n as u16).to_be_bytes());
                bytes.extend((n as u32 * FRAME_SAMPLES as u32).to_be_bytes());
                bytes.extend([0, 0, 0, 9]);
                bytes.extend(frame.iter().map(|s| g711::encode(Codec::Pcmu, *s)));
                bytes
            })
            .collect()
    }

    fn told(packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<Verdict> {
        let mut listening = Listening::new(Some(9_000));
        packets
            .into_iter()
            .filter_map(|p| {
                let packet = Packet::parse(&p).unwrap();
                listening.packet(Codec::Pcmu, &packet).verdict
            })
            .collect()
    }

    /// A sound like a voice: many lines that do not hold still.
    fn voice(ms: u32) -> Vec<i16> {
        let mut x = 9u32;
        (0..ms * 8)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (x >> 16) as i16 / 8
            })
            .collect()
    }

    fn hello() -> Vec<i16> {
        let mut audio = silence(600);
        audio.extend(voice(400));
        audio.extend(silence(3_000));
        audio
    }

    #[test]
    fn a_short_word_and_a_pause_is_a_person_told_once() {
        assert_eq!(told(packets(&hello())), [Verdict::Person]);
    }

    #[test]
    fn silence_that_is_not_sent_is_silence_and_not_more_of_the_word() {
        let mut sent = packets(&hello());
        // The far end sends nothing while nobody speaks; its numbers go on without a gap.
        sent.drain(51..150);
        for (n, packet) in sent.iter_mut().enumerate() {
            packet[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        }
        assert_eq!(told(sent), [Verdict::Person]);
    }

    #[test]
    fn packets_out_of_order_and_twice_do_no_harm() {
        let mut sent = packets(&hello());
        sent.swap(20, 22);
        let again = sent[40].clone();
        sent.insert(41, again);
        sent.remove(10);
        assert_eq!(told(sent), [Verdict::Person]);
    }

    #[test]
    fn a_fax_machine_is_a_fax_and_ends_the_listening() {
        let mut audio = silence(1_000);
        audio.extend(tone(&[(2100.0, 5000.0)], 3_000));
        let mut listening = Listening::new(None);
        let mut told = Vec::new();
        for packet in packets(&audio) {
            let packet = Packet::parse(&packet).unwrap();
            told.extend(listening.packet(Codec::Pcmu, &packet).verdict);
            if listening.is_done() {
                break;
            }
        }
        assert_eq!(told, [Verdict::Fax]);
        assert!(listening.is_done());
    }

    #[test]
    fn an_engaged_tone_behind_an_answer_is_nobody() {
        let mut audio = Vec::new();
        for _ in 0..4 {
            audio.extend(progress(Progress::Busy));
        }
        assert_eq!(told(packets(&audio)), [Verdict::Machine]);
    }

    #[test]
    fn the_beep_behind_a_greeting_is_told_when_it_is_over_and_ends_the_listening() {
        let mut audio = silence(300);
        for _ in 0..6 {
            audio.extend(voice(1_200));
            audio.extend(silence(160));
        }
        let greeting = audio.len() / FRAME_SAMPLES;
        audio.extend(tone(&[(1_000.0, 8_000.0)], 400));
        let beeped = audio.len() / FRAME_SAMPLES;
        audio.extend(silence(400));
        let mut listening = Listening::new(None);
        let mut heard = Vec::new();
        for (n, packet) in packets(&audio).iter().enumerate() {
            let packet = Packet::parse(packet).unwrap();
            let news = listening.packet(Codec::Pcmu, &packet);
            if news.verdict.is_some() {
                assert!(!listening.is_done() && n < greeting);
                heard.push(format!("{news:?}"));
            }
            if news.beep_ended {
                assert!(listening.is_done() && n >= beeped, "{n} {beeped}");
                heard.push("beep".into());
                break;
            }
        }
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert_eq!(heard[1], "beep");
    }

    #[test]
    fn a_talk_that_does_not_pause_is_a_machine() {
        let mut audio = silence(300);
        for _ in 0..6 {
            audio.extend(voice(1_200));
            audio.extend(silence(160));
        }
        assert_eq!(told(packets(&audio)), [Verdict::Machine]);
    }
}
