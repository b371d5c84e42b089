//! Listening to one leg: RTP payloads become the sound that the detectors of `media` judge, on the
//! worker that receives them. Before the answer for what the network plays, after it for who is there.
//!
//! A packet that was lost is told as lost; a gap in time without one missing is the silence that the
//! far end did not send (RFC 3551 §4.1). A packet that comes too late is left out.

use media::detect::{
    BeepHeard, Evidence, Finding, Greeting, Judgement, Listener, Sit, Targets, Tone, ToneHeard,
    Who, explains,
};
use media::rtp::Packet;
use media::{Codec, FRAME_SAMPLES, FRAME_US, g711};
use model::event::Verdict;
use model::heard;

/// Silence that was not sent is heard as no more than this many frames: nobody is listened to for longer
/// than 20 s.
const SILENT_FRAMES_MAX: u32 = 1_000;

/// So much speech must be heard before a beep, in ms, for it to be a machine's at once: the rule of the
/// detector.
const BEEP_AFTER_SPEECH_MS: u32 = 500;

/// A beep that nobody spoke before is a machine's if no other sounds for so long: the tones of the
/// network repeat sooner (ITU-T E.180 §6: at most 660 ms of pause).
const BEEP_ALONE_US: u64 = 1_000_000;

/// What a packet brought to light.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct News {
    /// The first utterance as it is known now, where that has changed.
    pub(super) greeting: Option<Greeting>,
    /// Who answered, as far as is known now, and why.
    pub(super) who: Option<(Verdict, Evidence)>,
    /// That it was a machine, if they hang up now, and why; or not. Where that has changed.
    pub(super) suspicion: Option<Option<Evidence>>,
    /// The network or a fax machine: nobody is there.
    pub(super) tone: Option<heard::Tone>,
    /// A beep is heard.
    beep_began: bool,
    /// A machine's beep is over: a message may be left.
    pub(super) beep_ended: bool,
}

/// The ear of one leg.
pub(super) struct Listening {
    listener: Listener,
    stream: Option<Stream>,
    /// When it began, on the worker's clock, and what it has heard since.
    begun_us: u64,
    heard_us: u64,
    /// Whether the leg is answered.
    answered: bool,
    /// How much was heard when a beep ended that nobody had spoken before.
    lone_beep_us: Option<u64>,
    /// What was told last.
    told: Option<Verdict>,
    told_greeting: Greeting,
    suspected: bool,
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
    /// Begins before the answer: only what the network plays is told.
    pub fn early(now_us: u64) -> Listening {
        Listening {
            listener: Listener::new(Targets::default()),
            stream: None,
            begun_us: now_us,
            heard_us: 0,
            answered: false,
            lone_beep_us: None,
            told: None,
            told_greeting: Greeting::default(),
            suspected: false,
            done: false,
        }
    }

    /// Begins with the answer; `rang_ms` is how long the leg had rung.
    pub fn new(rang_ms: Option<u32>, now_us: u64) -> Listening {
        let mut listening = Listening::early(now_us);
        listening.listener.answered(rang_ms);
        listening.answered = true;
        listening
    }

    /// Nothing more will be told.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes an audio packet; returns what is now known: of who answered at most a person, and after
    /// that a machine, if it was one after all; a tone; and a machine's beep.
    pub fn packet(&mut self, codec: Codec, packet: &Packet<'_>, now_us: u64) -> News {
        let (ssrc, sequence, timestamp) = (packet.ssrc(), packet.sequence(), packet.timestamp());
        let mut news = News::default();
        let mut frames = 0;
        let answered = self.answered;
        if let Some(last) = self.stream.filter(|last| last.ssrc == ssrc) {
            let gap = timestamp.wrapping_sub(last.timestamp) as i32;
            if gap < 0 {
                return news;
            }
            let missing = gap as u32 / FRAME_SAMPLES as u32;
            frames += missing.min(SILENT_FRAMES_MAX);
            if sequence == last.sequence.wrapping_add(1) {
                for _ in 0..missing.min(SILENT_FRAMES_MAX) {
                    self.listener
                        .samples(&[0; FRAME_SAMPLES], |f| note(&mut news, f, answered));
                }
            } else {
                self.listener
                    .lost(missing, |f| note(&mut news, f, answered));
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
            frames += 1;
            self.listener
                .samples(&samples[..n], |f| note(&mut news, f, answered));
        }
        self.heard_us += u64::from(frames) * FRAME_US;
        news.beep_ended = self.is_machines_beep(news.beep_began, news.beep_ended);
        // A person twice is no news.
        news.who = news.who.filter(|(verdict, _)| self.told != Some(*verdict));
        news.greeting = self.greeting(now_us);
        news.suspicion = self.suspicion();
        let tone = news.tone.map(heard::Tone::verdict);
        self.told = tone.or(news.who.map(|(verdict, _)| verdict)).or(self.told);
        self.done |= news.beep_ended
            || match self.told {
                // Until the beep, or the end of the leg.
                Some(Verdict::Machine) => false,
                Some(Verdict::Person | Verdict::Unsure) | None => self.listener.is_settled(),
                Some(
                    Verdict::Fax
                    | Verdict::Busy
                    | Verdict::Reorder
                    | Verdict::Sit
                    | Verdict::DialTone,
                ) => true,
            };
        news
    }

    /// Whether a beep has ended after which a message may be left.
    fn is_machines_beep(&mut self, began: bool, ended: bool) -> bool {
        if began {
            self.lone_beep_us = None;
        }
        let spoken_ms = || self.listener.evidence().map_or(0, |heard| heard.speech_ms);
        if ended && spoken_ms() < BEEP_AFTER_SPEECH_MS {
            self.lone_beep_us = Some(self.heard_us);
            return false;
        }
        let since = self.lone_beep_us;
        let is_alone = since.is_some_and(|us| self.heard_us >= us + BEEP_ALONE_US);
        if is_alone {
            self.lone_beep_us = None;
        }
        ended || is_alone
    }

    /// What a hang-up would say, if that is news.
    fn suspicion(&mut self) -> Option<Option<Evidence>> {
        let now = self.listener.gone().map(|judgement| judgement.evidence);
        let is_news = now.is_some() != self.suspected;
        self.suspected = now.is_some();
        is_news.then_some(now)
    }

    /// Where the greeting lies, if that is news. The detector counts sound; a stream that came in a
    /// burst has more of it than time has passed, and the law's clock must not begin too late.
    fn greeting(&mut self, now_us: u64) -> Option<Greeting> {
        let now = self.listener.greeting();
        if now == self.told_greeting {
            return None;
        }
        self.told_greeting = now;
        let passed_us = now_us.saturating_sub(self.begun_us);
        let ahead_ms = self.heard_us.saturating_sub(passed_us) / 1_000;
        let ahead_ms = u32::try_from(ahead_ms).unwrap_or(u32::MAX);
        Some(Greeting {
            began_ms: now.began_ms.map(|ms| ms.saturating_sub(ahead_ms)),
            ended_ms: now.ended_ms.map(|ms| ms.saturating_sub(ahead_ms)),
        })
    }
}

/// What a finding says. Of several in one packet the last one holds.
fn note(news: &mut News, finding: Finding, answered: bool) {
    match finding {
        Finding::Judged(Judgement { who, evidence, .. }) => {
            let verdict = match who {
                Who::Person => Verdict::Person,
                Who::Unsure => Verdict::Unsure,
                Who::Machine => Verdict::Machine,
            };
            news.who = Some((verdict, evidence));
        }
        Finding::Tone(ToneHeard { tone, .. }) => {
            // Behind an answer a dial tone says that nobody is there; before it, nothing.
            if answered || explains(None, tone) {
                news.tone = tone_of(tone).or(news.tone);
            }
        }
        Finding::Beep(BeepHeard::Began { .. }) => news.beep_began = true,
        Finding::Beep(BeepHeard::Ended { .. }) => news.beep_ended = true,
    }
}

/// The tone in the words of everybody; none for one that says that it rings: exchanges ring on behind
/// their answer.
fn tone_of(tone: Tone) -> Option<heard::Tone> {
    Some(match tone {
        Tone::Ringback => return None,
        Tone::Busy => heard::Tone::Busy,
        Tone::Congestion => heard::Tone::Reorder,
        Tone::Dial => heard::Tone::Dial,
        Tone::FaxCalling => heard::Tone::FaxCalling,
        Tone::FaxAnswering => heard::Tone::FaxAnswering,
        Tone::Special(sit) => match sit {
            Sit::General => heard::Tone::SitGeneral,
            Sit::Intercept => heard::Tone::SitIntercept,
            Sit::VacantCode => heard::Tone::SitVacantCode,
            Sit::ReorderLocal => heard::Tone::SitReorderLocal,
            Sit::ReorderDistant => heard::Tone::SitReorderDistant,
            Sit::NoCircuitLocal => heard::Tone::SitNoCircuitLocal,
            Sit::NoCircuitDistant => heard::Tone::SitNoCircuitDistant,
            Sit::IneffectiveOther => heard::Tone::SitIneffectiveOther,
            Sit::Reserved => heard::Tone::SitReserved,
        },
    })
}

/// The odds in the words of everybody.
pub(super) fn evidence_of(evidence: &Evidence) -> heard::Evidence {
    heard::Evidence::new(
        evidence.log_odds,
        &[
            ("ring", evidence.ring),
            ("onset", evidence.onset),
            ("noise", evidence.noise),
            ("speech", evidence.speech),
            ("later", evidence.later),
            ("beep", evidence.beep),
        ],
    )
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

    /// Everything that is told of these packets, each 20 ms after the one before.
    fn news(mut listening: Listening, packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<News> {
        let mut told = Vec::new();
        for (n, bytes) in packets.into_iter().enumerate() {
            let packet = Packet::parse(&bytes).unwrap();
            let now_us = (n as u64 + 1) * FRAME_US;
            let news = listening.packet(Codec::Pcmu, &packet, now_us);
            told.extend(Some(news).filter(|news| *news != News::default()));
            if listening.is_done() {
                break;
            }
        }
        told
    }

    fn told(packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<Verdict> {
        let told = news(Listening::new(Some(9_000), 0), packets);
        told.into_iter()
            .filter_map(|news| Some(news.who?.0))
            .collect()
    }

    fn tones(listening: Listening, packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<heard::Tone> {
        let told = news(listening, packets);
        told.into_iter().filter_map(|news| news.tone).collect()
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
        let told = tones(Listening::new(None, 0), packets(&audio));
        assert_eq!(told, [heard::Tone::FaxAnswering]);
    }

    #[test]
    fn an_engaged_tone_is_told_before_the_answer_and_behind_it_and_a_ringing_one_never() {
        let mut busy = Vec::new();
        let mut ringing = Vec::new();
        for _ in 0..4 {
            busy.extend(progress(Progress::Busy));
            ringing.extend(progress(Progress::Ringback));
        }
        for answered in [false, true] {
            let listening = || match answered {
                true => Listening::new(None, 0),
                false => Listening::early(0),
            };
            assert_eq!(
                tones(listening(), packets(&busy)),
                [heard::Tone::Busy],
                "answered: {answered}"
            );
            assert_eq!(tones(listening(), packets(&ringing)), []);
        }
    }

    #[test]
    fn a_dial_tone_says_something_only_behind_an_answer_and_words_before_it_nothing() {
        let audio = tone(&[(425.0, 5_000.0)], 4_000);
        assert_eq!(tones(Listening::early(0), packets(&audio)), []);
        assert_eq!(
            tones(Listening::new(None, 0), packets(&audio)),
            [heard::Tone::Dial]
        );
        assert_eq!(news(Listening::early(0), packets(&hello())), []);
    }

    #[test]
    fn a_special_information_tone_before_the_answer_says_that_there_is_no_such_number() {
        let mut audio = silence(300);
        for (hz, ms) in [(985.2, 380), (1_370.6, 274), (1_776.7, 380)] {
            audio.extend(tone(&[(hz, 8_000.0)], ms));
        }
        audio.extend(silence(200));
        audio.extend(voice(2_000));
        let told = tones(Listening::early(0), packets(&audio));
        assert_eq!(told, [heard::Tone::SitVacantCode]);
    }

    #[test]
    fn the_greeting_is_told_while_it_runs_and_its_end_before_the_verdict() {
        let told = news(Listening::new(Some(9_000), 0), packets(&hello()));
        let greetings: Vec<Greeting> = told.iter().filter_map(|news| news.greeting).collect();
        let [begun, .., over] = greetings[..] else {
            panic!("{greetings:?}")
        };
        assert!(begun.began_ms.is_some_and(|ms| (500..=700).contains(&ms)));
        assert_eq!(begun.ended_ms, None);
        // It spoke from 600 to 1000 ms.
        assert!(over.ended_ms.is_some_and(|ms| (900..=1_000).contains(&ms)));
        let ends = told
            .iter()
            .position(|news| news.greeting.is_some_and(|g| g.ended_ms.is_some()));
        let judged = told.iter().position(|news| news.who.is_some());
        assert!(ends.is_some() && ends <= judged, "{told:?}");
    }

    #[test]
    fn a_stream_that_comes_in_a_burst_does_not_place_the_greeting_in_the_future() {
        let mut listening = Listening::new(Some(9_000), 0);
        let mut ended_ms = None;
        for (n, bytes) in packets(&hello()).iter().enumerate() {
            let packet = Packet::parse(bytes).unwrap();
            // The first second arrives at once.
            let now_us = (n as u64).saturating_sub(50) * FRAME_US;
            let news = listening.packet(Codec::Pcmu, &packet, now_us);
            ended_ms = news.greeting.and_then(|g| g.ended_ms).or(ended_ms);
            assert!(ended_ms.is_none_or(|ms| u64::from(ms) * 1_000 <= now_us));
        }
        assert!(ended_ms.is_some());
    }

    #[test]
    fn a_short_greeting_and_silence_is_suspected_until_somebody_speaks() {
        let mut audio = silence(600);
        for ms in [300, 480, 900] {
            audio.extend(voice(ms));
            audio.extend(silence(320));
        }
        audio.extend(silence(9_000));
        audio.extend(voice(900));
        let told = news(Listening::new(Some(20_000), 0), packets(&audio));
        let suspicions: Vec<_> = told.iter().filter_map(|news| news.suspicion).collect();
        let [Some(why), None] = suspicions[..] else {
            panic!("{suspicions:?}")
        };
        assert!(why.log_odds < -1.0, "{why:?}");
    }

    #[test]
    fn the_odds_of_a_verdict_come_in_words() {
        let told = news(Listening::new(Some(9_000), 0), packets(&hello()));
        let (verdict, evidence) = told.iter().find_map(|news| news.who).unwrap();
        let evidence = evidence_of(&evidence);
        assert_eq!(verdict, Verdict::Person);
        assert!(evidence.log_odds > 0.0);
        assert!(evidence.contributions["speech"] > 0.0, "{evidence:?}");
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
        let mut listening = Listening::new(None, 0);
        let mut heard = Vec::new();
        for (n, packet) in packets(&audio).iter().enumerate() {
            let packet = Packet::parse(packet).unwrap();
            let news = listening.packet(Codec::Pcmu, &packet, (n as u64 + 1) * FRAME_US);
            if news.who.is_some() {
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
    fn a_beep_that_nobody_spoke_before_is_a_machines_once_no_other_follows() {
        let mut audio = silence(600);
        audio.extend(tone(&[(1_000.0, 8_000.0)], 400));
        audio.extend(silence(3_000));
        let told = news(Listening::new(None, 0), packets(&audio));
        assert_eq!(told.iter().filter(|news| news.beep_ended).count(), 1);
        let mut busy = Vec::new();
        for _ in 0..8 {
            busy.extend(progress(Progress::Busy));
        }
        let told = news(Listening::new(None, 0), packets(&busy));
        assert!(told.iter().all(|news| !news.beep_ended), "{told:?}");
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
