//! Who speaks, what they say, and the synthesisers that say it.
//!
//! espeak-ng must be there. Where flite is, its voices, made from recordings of people, take part in
//! the evaluation; where a folder of recorded prompts is given, they are machines of the evaluation.

use super::Split;
use model::Rng;
use std::path::Path;
use std::process::Command;

pub const SAMPLES_PER_MS: usize = 8;

/// No clip is longer than a call.
const CLIP_MS_MAX: usize = 9_000;

/// espeak-ng voices. The two lists have none in common.
const TUNING_VOICES: [&str; 10] = [
    "en-us+m1",
    "en-us+m3",
    "en-us+m6",
    "en-us+f2",
    "en-us+f4",
    "en-gb+m4",
    "en-gb+f5",
    "en-us+Andy",
    "en-gb+Alicia",
    "en-us+linda",
];
const EVALUATION_VOICES: [&str; 10] = [
    "en-us+m2",
    "en-gb+m5",
    "en-us+m7",
    "en-gb-scotland+m8",
    "en-us+f1",
    "en-gb+f3",
    "en-029+Gene",
    "en-us+Annie",
    "en-gb-x-rp+steph",
    "en-us+edward",
];
const FLITE_VOICES: [&str; 4] = ["slt", "rms", "awb", "kal"];

/// What persons say who are called at home or on their mobile; how often, in parts.
const TUNING_PERSONS: &[(&str, u32)] = &[
    ("Hello?", 20),
    ("Hello.", 12),
    ("Hi.", 6),
    ("Yes?", 8),
    ("Hello, hello?", 4),
    ("Miller.", 4),
    ("Yes, hello?", 6),
    ("Hello, this is Anna.", 6),
    ("Peter speaking.", 4),
    ("Yes, hello, who is there?", 4),
    ("Hey, what's up?", 1),
    ("Hello, Carter residence.", 1),
    ("Hang on a second. Yes, hello?", 1),
    ("Good morning, this is Karen speaking.", 1),
    ("Good morning, Carter and Lane, how can I help you?", 1),
    (
        "Harbour Street Bakery, this is Tom, what can I do for you?",
        1,
    ),
    ("Hi, hello?", 4),
    ("Yep.", 4),
    ("Ja, hello?", 2),
    ("Who is this?", 4),
    ("Hello, Doctor Green.", 1),
    ("Hello, good evening.", 2),
    ("Hi. Yes, speaking.", 2),
    ("One moment. Hello?", 2),
    ("Speaking.", 2),
    ("Green and Partners, good morning, Alice here.", 1),
    ("Sunrise Dental, good morning, my name is Emma.", 1),
    ("Thank you for calling Miller Plumbing, Dave here.", 1),
    ("You are speaking to Rachel at Northgate Insurance.", 1),
    ("Reception, can I help you?", 1),
    ("City library, lending desk, good morning to you.", 1),
    ("Yes, hello, this is Mrs Parker on the telephone.", 1),
    ("Old Mill Garage, workshop, Steve.", 1),
    ("Hello, wait, I have to turn the radio down. So, hello?", 1),
    (
        "Hi, it's Ben, I'm just getting into the car, who is this?",
        1,
    ),
    ("Town hall, registry office, Mr Hill, hello.", 1),
];
const EVALUATION_PERSONS: &[(&str, u32)] = &[
    ("Hello!", 8),
    ("Hallo?", 6),
    ("Yeah?", 4),
    ("Hullo.", 4),
    ("Yes.", 4),
    ("Hello, yes?", 2),
    ("Johnson.", 2),
    ("Yeah, hello?", 3),
    ("Hi, Susan here.", 3),
    ("This is Robert.", 2),
    ("Hello, who's calling?", 3),
    ("Hi, what is it?", 1),
    ("The Bakers, hello?", 1),
    ("Just a moment please. Right, hello?", 1),
    ("Good evening, Martin Webber speaking.", 1),
    (
        "Good afternoon, Webber Motors, Linda speaking, how may I help?",
        1,
    ),
];

/// What persons say to whoever answers their greeting.
const TUNING_REPLIES: &[&str] = &[
    "Yes, that's me.",
    "Who is calling, please?",
    "Sorry, which company did you say you are from?",
    "No, he is not at home right now, can you call back this evening?",
    "I'm in the car, could you make it quick, please?",
    "Okay.",
    "No thank you, we don't need anything.",
    "And how did you get my number?",
    "Speaking. What is it about?",
    "Oh hello, yes, I was waiting for your call, I wanted to ask you about the bill that came last week.",
    "What? I can't hear you very well.",
    "Yes.",
];
const EVALUATION_REPLIES: &[&str] = &[
    "That's right.",
    "Sorry, who are you?",
    "Can you say that again? The line is bad.",
    "She's out, I'm afraid. Do you want to leave a number, or shall I tell her that you rang?",
    "I am at work, so it has to be short.",
    "Right.",
    "I'm not interested, and please take me off your list.",
    "You have got the wrong person, there is nobody of that name here.",
    "Yeah, go ahead.",
    "Ah, good that you ring, I have been trying to get hold of somebody for days about my contract.",
];

const TUNING_MACHINES: &[&str] = &[
    "Hi, this is Jim. I can't come to the phone right now. Please leave your name and number after the beep and I will call you back.",
    "You have reached the voice mailbox of five five five, two three six eight. Please leave a message after the tone.",
    "The person you have called is not available. Please leave your message after the signal.",
    "Hello, you've reached the Carter family. We are not at home at the moment. Leave a message, and we will get back to you as soon as we can.",
    "Your call has been forwarded to an automatic voice message system. The customer is not available. At the tone, please record your message.",
    "Thank you for calling. Our office is closed. Our hours are Monday to Friday, nine to five. Please leave a message.",
    "Hey, it's Mike, leave a message, and I'll call you back when I can. Thanks, bye.",
    "I'm sorry, I missed your call. Please leave your name, your number and a short message, and I will return your call.",
    "Welcome to the mailbox of Laura Stone. Please speak after the tone.",
    "The subscriber cannot be reached at present. Please try again later, or leave a message after the beep.",
    "Hello. This is Kate. I am on holiday until the first of June. In urgent cases please call my office.",
    "This is the answering machine of Doctor Brown. The surgery is closed today. In an emergency please dial one one two.",
    "Hi there, you know what to do, so do it after the beep, and have a wonderful day.",
    "Good day. You are connected with the mailbox of oh one seven two, three four five six. Please leave a message.",
    "We can't take your call right now because we are on the other line. Please hold, or leave a message after the tone.",
    "Hi! You've got through to Paul and Marie. We're out. Talk to the machine.",
    "Hello! This is the mailbox of Christine. Please call again tomorrow, or leave a note.",
    "Hi. This is Bob. Sorry I missed you. Please leave a message.",
    "Good morning. You have called the library. We open at ten. Messages are heard once a day.",
    "Hey! Leave a message.",
    "You have called three oh two, eight eight one one. Speak after the tone.",
    "Hello, hello? No, just joking, it's the machine. Say something nice.",
    "The customer you want to speak to is busy. You will be connected with the mailbox.",
    "We regret that nobody can take your call. For sales, press one. For service, press two.",
    "Hello. You've called Anton. I am asleep. Ring me after noon.",
    "Unfortunately I am not there. Whoever leaves a number will be called back this evening.",
    "Service department. At the moment all lines are busy. Your call will be answered in turn.",
    "Yes, this is the right number. No, I am not here. After the beep it is your turn.",
    "Sorry. I'm driving. Leave a message.",
    "Mailbox of the number zero four one, six six seven. The owner has been told of your call.",
    "Hi, it's me, but not really. Leave a message for Sarah, Tom, or the cat.",
    "Dear caller. Our telephone is staffed on weekdays from ten to four. Kindly send a letter.",
    "Hi. Nobody home. Leave a message.",
    "This is the mailbox of Peter Grey. Speak now.",
    "Hello, this is Nina. Sorry, not here. Call me later.",
    "You have reached the voice mail of, Thomas. At the tone, leave a message.",
    "Welcome to your network's answering service. The person at this number is not available now.",
    "Hi, you've called the Robinsons, please leave us a message, and have a lovely day.",
    "The number you have called has been changed. Please note the new number.",
    "Good evening. Our shop is shut until Monday. Our website is open all hours.",
];
const EVALUATION_MACHINES: &[&str] = &[
    "Hello, this is Steve's phone. I'm either away or busy, so please leave me a message and I'll ring you back later today.",
    "You've reached seven seven one, four oh nine two. No one is available to take your call. Please record your message after the tone.",
    "The mobile phone you are calling is switched off. You may leave a voice message after the tone, or hang up.",
    "Hi, you have reached Jennifer Walsh. I am away from my desk. Leave your details and I'll get right back to you.",
    "Please leave your message for two one two, five five five, oh one nine nine, after the beep. When you have finished, hang up.",
    "Thanks for ringing Webber Motors. We are open from eight until six. Leave your number and we will call you in the morning.",
    "Yo, this is Danny, I can't pick up. You know the drill. Leave it after the beep.",
    "We are unable to come to the telephone just now. Kindly leave your name and the time of your call.",
    "This is the voice mail of Edith Long. After the signal you can leave a message of up to two minutes.",
    "The number you have dialled is not answering. Your call is being transferred to a mailbox. Please speak after the tone.",
    "Hello. You are through to Frank. I'm in a meeting. Send me a text if it is important.",
    "Hello there! Sorry that you have missed us. We are out in the garden, or asleep. Do tell us who called.",
    "Hi. It's Rose. Please leave a message.",
    "Good evening. The practice is closed. If this is an emergency, hang up and dial nine nine nine. Otherwise leave a message.",
    "All of our colleagues have gone home. Leave us your name and your question, and somebody will be in touch tomorrow.",
    "Greetings. You have reached the machine of Gordon. I do not listen to it, so it is better that you write to me.",
];

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
    pub flite: bool,
}

impl Clips {
    /// Has everything spoken, in `folder`.
    ///
    /// # Panics
    /// Without espeak-ng: a test of speech without speech shows nothing.
    pub fn make(
        folder: &Path,
        split: Split,
        size: Size,
        recorded: Option<&Path>,
        seed: u64,
    ) -> Clips {
        let mut rng = Rng::new(seed ^ 0x5bee_c4ed);
        let (voices, persons, replies, machines) = match split {
            Split::Tuning => (
                TUNING_VOICES,
                TUNING_PERSONS,
                TUNING_REPLIES,
                TUNING_MACHINES,
            ),
            Split::Evaluation => (
                EVALUATION_VOICES,
                EVALUATION_PERSONS,
                EVALUATION_REPLIES,
                EVALUATION_MACHINES,
            ),
        };
        let mut clips = Clips {
            persons: Vec::new(),
            replies: Vec::new(),
            machines: Vec::new(),
            voices: 0,
            recorded: 0,
        };
        let flite = size.flite && split == Split::Evaluation && has("flite");
        let espeak = voices.iter().take(size.voices).map(|v| (true, *v));
        let others = FLITE_VOICES.iter().filter(|_| flite).map(|v| (false, *v));
        for (voice, (is_espeak, name)) in espeak.chain(others).enumerate() {
            clips.voices += 1;
            let mut say = |text: &str| {
                if is_espeak {
                    espeak_says(folder, name, split, &mut rng, text)
                } else {
                    flite_says(folder, name, &mut rng, text)
                }
            };
            for _ in 0..size.takes {
                // Another voice, another choice of texts, where not all are taken.
                for (text, weight) in persons.iter().skip(voice % size.every).step_by(size.every) {
                    let samples = say(text);
                    let clip = Clip::new((*text).to_owned(), &samples, voice, *weight);
                    clips.persons.push(clip);
                }
                for text in replies.iter().skip(voice % size.every).step_by(size.every) {
                    let samples = say(text);
                    let clip = Clip::new((*text).to_owned(), &samples, voice, 1);
                    clips.replies.push(clip);
                }
                for text in machines.iter().skip(voice % size.every).step_by(size.every) {
                    let samples = say(text);
                    let clip = Clip::new((*text).to_owned(), &samples, voice, 1);
                    clips.machines.push(clip);
                }
            }
        }
        if let Some(folder) = recorded {
            clips.recorded = recorded_greetings(folder, &mut clips.machines);
        }
        clips
    }

    pub fn person(&self, rng: &mut Rng) -> &Clip {
        pick(rng, self.persons.iter())
    }

    pub fn machine(&self, rng: &mut Rng) -> &Clip {
        pick(rng, self.machines.iter())
    }

    /// What the same voice says when it is answered.
    pub fn reply(&self, rng: &mut Rng, of: &Clip) -> &Clip {
        pick(rng, self.replies.iter().filter(|c| c.voice == of.voice))
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

    /// Median lengths in ms, of persons and of machines.
    pub fn median_ms(&self) -> (i32, i32) {
        let median = |clips: &[Clip]| {
            let ms = |c: &Clip| (c.samples.len() / SAMPLES_PER_MS) as i32;
            super::percentile(&clips.iter().map(ms).collect::<Vec<_>>(), 0.5)
        };
        (median(&self.persons), median(&self.machines))
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
    Command::new(program).arg("--version").output().is_ok()
}

fn espeak_says(folder: &Path, voice: &str, split: Split, rng: &mut Rng, text: &str) -> Vec<i16> {
    // Words a minute. What is fitted has seen more than what it is measured with.
    let (slow, span) = match split {
        Split::Tuning => (125, 91),
        Split::Evaluation => (140, 61),
    };
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
