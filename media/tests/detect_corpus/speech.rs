//! The synthesisers that say the texts, and clips of what they said.
//!
//! espeak-ng must be there. Where flite and festival are, their voices, made from recordings of people, take
//! part; where folders of recorded prompts are given, they are machines.

use super::Split;
use super::texts::{Material, materials};
use model::Rng;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const SAMPLES_PER_MS: usize = 8;

/// No clip is longer than this: it fills a call.
const CLIP_MS_MAX: usize = 18_000;

/// One spoken text.
pub struct Clip {
    pub text: String,
    samples: Vec<i16>,
    /// Root of the mean square of what sounds.
    rms: f64,
    voice: usize,
    weight: u32,
}

impl Clip {
    fn new(text: String, samples: &[i16], voice: usize, weight: u32) -> Clip {
        let peak = samples.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0);
        let heard = |x: &i16| x.unsigned_abs() > peak / 40;
        let from = samples.iter().position(heard).unwrap_or(0);
        let to = samples.iter().rposition(heard).map_or(0, |at| at + 1);
        let to = to.min(from + CLIP_MS_MAX * SAMPLES_PER_MS);
        let samples = samples[from..to].to_vec();
        // The active level: frames within 20 dB of the loudest.
        let power = |frame: &[i16]| {
            let sum: f64 = frame.iter().map(|x| f64::from(*x).powi(2)).sum();
            sum / frame.len() as f64
        };
        let powers: Vec<f64> = samples.chunks(160).map(power).collect();
        let most = powers.iter().copied().fold(0.0, f64::max);
        let active: Vec<f64> = powers.into_iter().filter(|p| *p > most / 100.0).collect();
        let mean = active.iter().sum::<f64>() / active.len().max(1) as f64;
        Clip {
            text,
            samples,
            rms: mean.sqrt().max(1.0),
            voice,
            weight,
        }
    }

    /// Its length.
    pub fn ms(&self) -> u32 {
        (self.samples.len() / SAMPLES_PER_MS) as u32
    }

    /// Its samples so that what sounds has this level.
    pub fn at_level(&self, dbm0: f64) -> Vec<i16> {
        let gain = dbm0_to_rms(dbm0) / self.rms;
        self.samples
            .iter()
            .map(|x| (f64::from(*x) * gain).clamp(-32_124.0, 32_124.0) as i16)
            .collect()
    }
}

pub fn dbm0_to_rms(dbm0: f64) -> f64 {
    10f64.powf((dbm0 + 83.96) / 20.0)
}

/// The clips of a split.
pub struct Clips {
    persons: Vec<Clip>,
    replies: Vec<Clip>,
    machines: Vec<Clip>,
    pub voices: usize,
    pub recorded: usize,
}

/// How much to make.
#[derive(Clone, Copy)]
pub struct Size {
    /// Voices taken of the list.
    pub voices: usize,
    /// Takes of each text by each voice: another speed and pitch.
    pub takes: usize,
    /// Texts left out between two that are taken: 1 takes all.
    pub every: usize,
    /// Whether other synthesisers than espeak-ng take part, if they are there.
    pub others: bool,
}

/// What speaks.
#[derive(Clone, Copy)]
enum Synthesiser {
    Espeak,
    Flite,
    Festival,
}

impl Clips {
    /// Has everything spoken, in `folder`.
    ///
    /// # Panics
    /// Without espeak-ng: a test of speech without speech shows nothing.
    pub fn make(folder: &Path, split: Split, size: Size, recorded: &[PathBuf], seed: u64) -> Clips {
        let mut rng = Rng::new(seed ^ 0x5bee_c4ed);
        let mut clips = Clips {
            persons: Vec::new(),
            replies: Vec::new(),
            machines: Vec::new(),
            voices: 0,
            recorded: 0,
        };
        for material in materials(split) {
            clips.speak(folder, material, size, &mut rng);
        }
        for folder in recorded {
            clips.recorded += recorded_greetings(folder, &mut clips.machines);
        }
        clips
    }

    fn speak(&mut self, folder: &Path, material: &Material, size: Size, rng: &mut Rng) {
        let espeak = material.espeak.iter().take(size.voices);
        let mut voices: Vec<_> = espeak.map(|v| (Synthesiser::Espeak, *v)).collect();
        if size.others && has("flite") {
            voices.extend(material.flite.iter().map(|v| (Synthesiser::Flite, *v)));
        }
        if size.others && has("text2wave") {
            voices.extend(
                material
                    .festival
                    .iter()
                    .map(|v| (Synthesiser::Festival, *v)),
            );
        }
        for (synthesiser, name) in voices {
            let voice = self.voices;
            self.voices += 1;
            let mut say = |text: &str| match synthesiser {
                Synthesiser::Espeak => espeak_says(folder, name, material.speed, rng, text),
                Synthesiser::Flite => flite_says(folder, name, rng, text),
                Synthesiser::Festival => festival_says(folder, name, rng, text),
            };
            for _ in 0..size.takes {
                // Another voice, another choice of texts, where not all are taken.
                let skip = voice % size.every;
                for (text, weight) in material.persons.iter().skip(skip).step_by(size.every) {
                    let clip = Clip::new((*text).to_owned(), &say(text), voice, *weight);
                    self.persons.push(clip);
                }
                for text in material.replies.iter().skip(skip).step_by(size.every) {
                    let clip = Clip::new((*text).to_owned(), &say(text), voice, 1);
                    self.replies.push(clip);
                }
                for text in material.machines.iter().skip(skip).step_by(size.every) {
                    let clip = Clip::new((*text).to_owned(), &say(text), voice, 1);
                    self.machines.push(clip);
                }
            }
        }
    }

    pub fn person(&self, rng: &mut Rng) -> &Clip {
        pick(rng, self.persons.iter())
    }

    pub fn machine(&self, rng: &mut Rng) -> &Clip {
        pick(rng, self.machines.iter())
    }

    /// What the same voice says when it is answered; nobody says the same thing twice in a row.
    pub fn reply(&self, rng: &mut Rng, of: &Clip, last: Option<&Clip>) -> &Clip {
        let fits = |c: &&Clip| c.voice == of.voice && last.is_none_or(|last| c.text != last.text);
        pick(rng, self.replies.iter().filter(fits))
    }

    /// Something short in the same voice.
    pub fn same_person(&self, rng: &mut Rng, of: &Clip) -> &Clip {
        let short = |c: &&Clip| c.voice == of.voice && c.samples.len() < 900 * SAMPLES_PER_MS;
        if self.persons.iter().any(|c| short(&c)) {
            pick(rng, self.persons.iter().filter(short))
        } else {
            pick(rng, self.persons.iter().filter(|c| c.voice == of.voice))
        }
    }

    /// How many clips of persons and of machines there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.persons.len(), self.machines.len())
    }

    /// The lengths in ms below which these shares of the first words of persons, and of the greetings
    /// of machines, lie; each clip counts as often as it is picked.
    pub fn lengths_ms(&self, shares: &[f64]) -> [Vec<i32>; 2] {
        [&self.persons, &self.machines].map(|clips| {
            let often = |c: &Clip| vec![c.ms() as i32; c.weight as usize];
            let ms: Vec<i32> = clips.iter().flat_map(often).collect();
            let at = |share: &f64| super::percentile(&ms, *share);
            shares.iter().map(at).collect()
        })
    }

    /// The shortest clip in ms, and the least level of one: neither may be nothing.
    pub fn least(&self) -> (u32, f64) {
        let all = || {
            self.persons
                .iter()
                .chain(&self.replies)
                .chain(&self.machines)
        };
        let level = all().map(|c| c.rms).fold(f64::MAX, f64::min);
        (all().map(Clip::ms).min().unwrap_or(0), level)
    }
}

fn pick<'a>(rng: &mut Rng, clips: impl Iterator<Item = &'a Clip> + Clone) -> &'a Clip {
    let all: u32 = clips.clone().map(|c| c.weight).sum();
    let mut at = rng.below(u64::from(all)) as u32;
    for clip in clips {
        if at < clip.weight {
            return clip;
        }
        at -= clip.weight;
    }
    unreachable!("the weights sum to what was drawn from")
}

fn has(program: &str) -> bool {
    Command::new(program).arg("-h").output().is_ok()
}

fn espeak_says(
    folder: &Path,
    voice: &str,
    (slow, span): (u64, u64),
    rng: &mut Rng,
    text: &str,
) -> Vec<i16> {
    let file = folder.join("said.wav");
    let status = Command::new("espeak-ng")
        .args(["-v", voice])
        .args(["-s", &(slow + rng.below(span)).to_string()])
        .args(["-p", &(30 + rng.below(41)).to_string()])
        .arg("-w")
        .args([file.as_os_str(), text.as_ref()])
        .status()
        .expect("espeak-ng is needed to make speech: apt-get install espeak-ng");
    assert!(status.success(), "espeak-ng -v {voice}");
    read(&file)
}

fn flite_says(folder: &Path, voice: &str, rng: &mut Rng, text: &str) -> Vec<i16> {
    let file = folder.join("said.wav");
    let stretch = format!("duration_stretch={:.2}", 0.85 + 0.3 * rng.unit());
    let status = Command::new("flite")
        .args(["-voice", voice, "--setf", &stretch, "-t", text])
        .arg("-o")
        .arg(&file)
        .status()
        .expect("flite was there a moment ago");
    assert!(status.success(), "flite -voice {voice}");
    read(&file)
}

fn festival_says(folder: &Path, voice: &str, rng: &mut Rng, text: &str) -> Vec<i16> {
    let (file, spoken) = (folder.join("said.wav"), folder.join("said.txt"));
    std::fs::write(&spoken, text).expect("the folder is ours");
    let stretch = 0.85 + 0.3 * rng.unit();
    let status = Command::new("text2wave")
        .args(["-eval", &format!("(voice_{voice})")])
        .args([
            "-eval",
            &format!("(Parameter.set 'Duration_Stretch {stretch:.2})"),
        ])
        .arg("-o")
        .arg(&file)
        .arg(&spoken)
        .status()
        .expect("festival was there a moment ago");
    assert!(status.success(), "text2wave with {voice}");
    read(&file)
}

/// Greetings put together from a folder of recorded prompts: what a PBX says before its beep.
fn recorded_greetings(folder: &Path, machines: &mut Vec<Clip>) -> usize {
    const GREETINGS: [&[&str]; 6] = [
        &[
            "vm-theperson",
            "digits/2",
            "digits/3",
            "digits/6",
            "vm-isunavail",
            "vm-intro",
        ],
        &[
            "vm-theperson",
            "digits/5",
            "digits/0",
            "digits/1",
            "vm-isonphone",
            "vm-intro",
        ],
        &["vm-nobodyavail", "vm-intro"],
        &["vm-intro"],
        &["vm-leavemsg", "vm-intro"],
        &["vm-mailboxfull", "vm-goodbye"],
    ];
    let mut made = 0;
    for parts in GREETINGS {
        let files: Vec<_> = parts
            .iter()
            .map(|part| folder.join(format!("{part}.wav")))
            .collect();
        if files.iter().all(|file| file.exists()) {
            let samples: Vec<i16> = files.iter().flat_map(|file| read(file)).collect();
            // As much weight as six texts of one voice.
            machines.push(Clip::new(parts.join(" "), &samples, usize::MAX, 3));
            made += 1;
        }
    }
    made
}

/// Reads a mono WAV of a synthesiser as 8 kHz through the band of a telephone.
fn read(file: &Path) -> Vec<i16> {
    let mut wav = hound::WavReader::open(file).expect("the synthesiser wrote a WAV");
    let rate = wav.spec().sample_rate as usize;
    let samples: Vec<f32> = wav
        .samples::<i16>()
        .take((CLIP_MS_MAX + 1000) * rate / 1000)
        .map(|s| f32::from(s.expect("the WAV is whole")))
        .collect();
    let mut out = resample(&samples, rate);
    // 300 Hz high pass, second order (Butterworth): the lower edge of the band.
    let w = (std::f32::consts::PI * 300.0 / 8000.0).tan();
    let norm = 1.0 / (1.0 + std::f32::consts::SQRT_2 * w + w * w);
    let (a1, a2) = (
        2.0 * (w * w - 1.0) * norm,
        (1.0 - std::f32::consts::SQRT_2 * w + w * w) * norm,
    );
    let (mut x1, mut x2, mut y1, mut y2) = (0f32, 0f32, 0f32, 0f32);
    for x in &mut out {
        let y = norm * (*x - 2.0 * x1 + x2) - a1 * y1 - a2 * y2;
        (x2, x1, y2, y1) = (x1, *x, y1, y);
        *x = y;
    }
    out.iter()
        .map(|x| x.clamp(-32_768.0, 32_767.0) as i16)
        .collect()
}

/// A windowed sinc of 3.4 kHz, quick rather than exact: synthetic speech is not hi-fi.
fn resample(input: &[f32], rate: usize) -> Vec<f32> {
    if rate == 8000 {
        return input.to_vec();
    }
    const PHASES: usize = 64;
    let half = (rate * 6 / 8000) as isize;
    let cutoff = 2.0 * 3_400.0 / rate as f32;
    let taps: Vec<Vec<f32>> = (0..PHASES)
        .map(|p| {
            (-half..=half)
                .map(|k| {
                    let x = k as f32 - p as f32 / PHASES as f32;
                    let sinc = if x == 0.0 {
                        1.0
                    } else {
                        (std::f32::consts::PI * cutoff * x).sin()
                            / (std::f32::consts::PI * cutoff * x)
                    };
                    let window = 0.5 + 0.5 * (std::f32::consts::PI * x / (half + 1) as f32).cos();
                    cutoff * sinc * window
                })
                .collect()
        })
        .collect();
    let len = input.len() * 8000 / rate;
    let mut out = Vec::with_capacity(len);
    for i in 0..len {
        let at = i * rate;
        let (whole, part) = (at / 8000, at % 8000);
        let taps = &taps[part * PHASES / 8000];
        let from = whole as isize - half;
        let skip = (-from).max(0) as usize;
        let Some(rest) = input.get((from + skip as isize) as usize..) else {
            break;
        };
        let mut sum = 0f32;
        for (x, t) in rest.iter().zip(&taps[skip..]) {
            sum += x * t;
        }
        out.push(sum);
    }
    out
}
