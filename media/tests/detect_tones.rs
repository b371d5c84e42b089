//! The tones of the networks through a telephone line: both laws, −35 to −5 dBm0, noise, lost packets.

mod detect_corpus;

use detect_corpus::line::Line;
use media::detect::cadence::sit_parts;
use media::detect::{Finding, Listener, Sit, Targets, Tone};
use media::tone::{silence, tone};
use model::Rng;

/// A tone of the table: country, lines in Hz, sound and silence in ms.
type Made = (&'static str, Tone, [f32; 2], &'static [u32]);

const MADE: [Made; 16] = [
    ("US", Tone::Ringback, [440.0, 480.0], &[2000, 4000]),
    ("US", Tone::Busy, [480.0, 620.0], &[500, 500]),
    ("US", Tone::Congestion, [480.0, 620.0], &[250, 250]),
    ("US", Tone::Dial, [350.0, 440.0], &[4000, 0]),
    ("GB", Tone::Ringback, [400.0, 450.0], &[400, 200, 400, 2000]),
    ("GB", Tone::Busy, [400.0, 0.0], &[375, 375]),
    ("GB", Tone::Congestion, [400.0, 0.0], &[400, 350, 225, 525]),
    ("DE", Tone::Ringback, [425.0, 0.0], &[1000, 4000]),
    ("DE", Tone::Busy, [425.0, 0.0], &[480, 480]),
    ("DE", Tone::Congestion, [425.0, 0.0], &[240, 240]),
    ("DE", Tone::Dial, [425.0, 0.0], &[4000, 0]),
    ("FR", Tone::Ringback, [440.0, 0.0], &[1500, 3500]),
    ("FR", Tone::Busy, [440.0, 0.0], &[500, 500]),
    ("E.180", Tone::Congestion, [412.0, 0.0], &[180, 180]),
    ("T.30", Tone::FaxCalling, [1100.0, 0.0], &[500, 3000]),
    ("T.30", Tone::FaxAnswering, [2100.0, 0.0], &[3000, 0]),
];

fn amplitude(dbm0: f64) -> f32 {
    (32_124.0 * 10f64.powf((dbm0 - 3.17) / 20.0)) as f32
}

/// `periods` of a tone whose lines together have `dbm0`, after a silence of a length of its own.
fn made(lines: [f32; 2], steps: &[u32], periods: usize, dbm0: f64, begins: u32) -> Vec<i16> {
    let two = lines[1] > 0.0;
    let each = amplitude(if two { dbm0 - 3.0 } else { dbm0 });
    let parts = [(lines[0], each), (lines[1], if two { each } else { 0.0 })];
    let mut audio = vec![0; begins as usize];
    for _ in 0..periods {
        for (n, ms) in steps.iter().enumerate() {
            audio.extend(if n % 2 == 0 {
                tone(&parts, *ms)
            } else {
                silence(*ms)
            });
        }
    }
    audio.extend(silence(1000));
    audio
}

fn heard(rng: &mut Rng, audio: &[i16], dbm0: f64, loss: f64) -> Vec<(Tone, &'static str)> {
    let line = Line {
        // 26 dB below the tone, and no noisier than lines are.
        noise_dbm0: (dbm0 - 26.0).min(-45.0),
        loss,
        alaw: rng.chance(0.5),
    };
    let mut listener = Listener::new(Targets::default());
    let mut tones = Vec::new();
    let mut find = |finding| {
        if let Finding::Tone(heard) = finding {
            tones.push((heard.tone, heard.country));
        }
    };
    for packet in line.carry(rng, audio) {
        match packet {
            Some(samples) => listener.samples(&samples, &mut find),
            None => listener.lost(1, &mut find),
        }
    }
    tones
}

#[test]
fn every_tone_of_every_country_is_told_by_its_name_at_every_level() {
    let mut rng = Rng::new(7);
    for (country, tone, lines, steps) in MADE {
        for dbm0 in [-35.0, -20.0, -5.0] {
            let audio = made(lines, steps, 3, dbm0, 800 + rng.below(160) as u32);
            let told = heard(&mut rng, &audio, dbm0, 0.0);
            assert_eq!(told, [(tone, country)], "{country} {tone:?} {dbm0} dBm0");
        }
    }
}

#[test]
fn lost_packets_never_make_another_tone_and_seldom_hide_one() {
    let mut rng = Rng::new(8);
    let (mut found, mut tried) = (0, 0);
    for (country, tone, lines, steps) in MADE {
        for _ in 0..4 {
            let dbm0 = -35.0 + 30.0 * rng.unit();
            let audio = made(lines, steps, 4, dbm0, 800 + rng.below(160) as u32);
            let told = heard(&mut rng, &audio, dbm0, 0.02);
            for (t, _) in &told {
                assert_eq!(*t, tone, "{country} {lines:?} {steps:?}: {told:?}");
            }
            found += usize::from(!told.is_empty());
            tried += 1;
        }
    }
    assert!(found * 100 >= tried * 90, "{found} of {tried}");
}

#[test]
fn the_eight_coded_information_tones_and_the_plain_one_are_told_apart() {
    let mut rng = Rng::new(9);
    for sit in [
        Sit::General,
        Sit::Intercept,
        Sit::VacantCode,
        Sit::ReorderLocal,
        Sit::ReorderDistant,
        Sit::NoCircuitLocal,
        Sit::NoCircuitDistant,
        Sit::IneffectiveOther,
        Sit::Reserved,
    ] {
        for dbm0 in [-35.0, -24.0, -10.0] {
            for _ in 0..3 {
                let mut audio = vec![0; 800 + rng.below(160) as usize];
                for (hz, ms) in sit_parts(sit) {
                    audio.extend(tone(&[(hz, amplitude(dbm0))], ms));
                }
                audio.extend(silence(500));
                let told = heard(&mut rng, &audio, dbm0, 0.0);
                let names: Vec<Tone> = told.iter().map(|(tone, _)| *tone).collect();
                assert_eq!(names, [Tone::Special(sit)], "{dbm0} dBm0");
            }
        }
    }
}

#[test]
fn keys_and_single_beeps_and_noise_are_no_tone_of_the_network() {
    let mut rng = Rng::new(10);
    for key in media::dtmf::KEYS {
        let audio = media::tone::dtmf(key, 400).unwrap();
        assert!(heard(&mut rng, &audio, -10.0, 0.0).is_empty(), "{key}");
    }
    for hz in [440.0, 800.0, 950.0, 1100.0, 1400.0] {
        let audio = made([hz, 0.0], &[500, 3000], 1, -15.0, 800);
        assert!(heard(&mut rng, &audio, -15.0, 0.0).is_empty(), "{hz} Hz");
    }
    let noise: Vec<i16> = (0..160_000)
        .map(|_| (rng.normal() * 3000.0) as i16)
        .collect();
    assert!(heard(&mut rng, &noise, -20.0, 0.0).is_empty());
}

#[test]
fn a_falling_sequence_of_the_right_pitches_is_no_information_tone() {
    let mut rng = Rng::new(11);
    let mut audio = vec![0; 800];
    for hz in [1800.0, 1400.0, 950.0] {
        audio.extend(tone(&[(hz, 4000.0)], 330));
    }
    audio.extend(silence(500));
    assert!(heard(&mut rng, &audio, -20.0, 0.0).is_empty());
}
