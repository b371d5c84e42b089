//! Fits the tables of the machine detector to the tuning half of the corpus and prints them.
//!
//! ```text
//! cargo run --release -p media --example detect_fit > media/src/detect/tables.rs && cargo fmt -p media
//! ```
//!
//! For each thing observed (the wait for the first word, the first utterance, …) the share of persons
//! and of machines whose value ends within a bin, and the share that reaches the bin, are estimated,
//! with half a count added to every bin and neighbours smoothed; a table holds the logarithm of their
//! ratio. Nothing of the evaluation half is looked at.

#[path = "../tests/detect_corpus/mod.rs"]
mod detect_corpus;

use detect_corpus::speech::{Clips, Size};
use detect_corpus::{Call, Habits, Split, call};
use media::detect::Ear;
use media::detect::machine::{PART_MAX, pause_class};
use media::detect::tables::{self, BINS, Table};
use media::detect::voice::{Step, Voice};
use model::Rng;

const CALLS: u32 = 8_000;
const SEED: u64 = 1;

/// What is seen in one call, as the detector sees it: values, and whether they had ended.
#[derive(Default)]
struct Seen {
    onset: Vec<(u32, bool)>,
    first: Vec<(u32, bool)>,
    pause: [Vec<(u32, bool)>; 3],
    later: Vec<(u32, bool)>,
    later_pause: Vec<(u32, bool)>,
    ring: Vec<(u32, bool)>,
    noise: Vec<(u32, bool)>,
}

impl Seen {
    fn look(&mut self, call: &Call) {
        self.ring.extend(call.rang_ms.map(|ms| (ms, true)));
        let (mut ear, mut voice) = (Ear::default(), Voice::default());
        let (mut bursts, mut first_ms) = (0, 0);
        let stop_ms = call.beep_end_ms.map_or(u32::MAX, |ms| ms - 900);
        let mut at_ms = 0;
        let mut hear = |voice: &mut Voice, level: Option<f32>| {
            at_ms += 20;
            if at_ms > stop_ms {
                return;
            }
            match voice.frame(level) {
                None => {}
                Some(Step::Began { silent_ms }) => {
                    match bursts {
                        0 => {
                            self.onset.push((silent_ms, true));
                            if silent_ms >= 200 {
                                let noise = (voice.floor_dbm0() + 90.0).max(0.0) as u32;
                                self.noise.push((noise, true));
                            }
                        }
                        1 => self.pause[pause_class(first_ms)].push((silent_ms, true)),
                        2 | 3 => self.later_pause.push((silent_ms, true)),
                        _ => {}
                    }
                    bursts += 1;
                }
                Some(Step::Ended { spoke_ms }) => match bursts {
                    1 => {
                        first_ms = spoke_ms;
                        self.first.push((spoke_ms, true));
                    }
                    2..=4 => self.later.push((spoke_ms, true)),
                    _ => {}
                },
            }
        };
        for packet in &call.packets {
            match packet {
                Some(samples) => ear.samples(samples, |f| hear(&mut voice, f.level_dbm0)),
                None => hear(&mut voice, ear.lost().level_dbm0),
            }
        }
        let ms = voice.lasted_ms();
        match (bursts, voice.speaks()) {
            (0, _) => self.onset.push((ms, false)),
            (1, true) => self.first.push((ms, false)),
            (1, false) => self.pause[pause_class(first_ms)].push((ms, false)),
            (2..=4, true) => self.later.push((ms, false)),
            (2 | 3, false) => self.later_pause.push((ms, false)),
            _ => {}
        }
    }
}

/// Shares of `values` that end within each bin, and that reach it.
fn shares(table: &Table, values: &[(u32, bool)]) -> ([f64; BINS], [f64; BINS]) {
    let mut ended = [0.5f64; BINS];
    let mut reached = [0.5f64; BINS];
    for (value, has_ended) in values {
        let bin = table.bin(*value);
        if *has_ended {
            ended[bin] += 1.0;
        }
        for r in &mut reached[..=bin] {
            *r += 1.0;
        }
    }
    let n = values.len() as f64 + 1.0;
    let mut smooth = [0f64; BINS];
    for (i, s) in smooth.iter_mut().enumerate() {
        let (l, r) = (ended[i.saturating_sub(1)], ended[(i + 1).min(BINS - 1)]);
        *s = (0.2 * l + 0.6 * ended[i] + 0.2 * r) / n;
    }
    (smooth, reached.map(|r| r / n))
}

fn fit(table: &Table, persons: &[(u32, bool)], machines: &[(u32, bool)]) -> Table {
    let (p, m) = (shares(table, persons), shares(table, machines));
    let limit = f64::from(PART_MAX);
    let log = |a: [f64; BINS], b: [f64; BINS]| {
        let mut odds = [0f32; BINS];
        for (i, o) in odds.iter_mut().enumerate() {
            *o = (a[i] / b[i]).ln().clamp(-limit, limit) as f32;
        }
        odds
    };
    Table {
        edges: table.edges,
        ended: log(p.0, m.0),
        running: log(p.1, m.1),
    }
}

fn show(table: &Table) -> String {
    let list = |values: &[f32; BINS]| {
        let texts: Vec<String> = values.iter().map(|x| format!("{x:.2}")).collect();
        texts.join(", ")
    };
    format!(
        "Table {{ edges: {:?}, ended: [{}], running: [{}] }}",
        table.edges,
        list(&table.ended),
        list(&table.running)
    )
}

fn main() {
    let folder = std::env::temp_dir().join(format!("detect-fit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for what is spoken");
    let size = Size {
        voices: 10,
        takes: 2,
        every: 1,
        flite: false,
    };
    let clips = Clips::make(&folder, Split::Tuning, size, None, SEED);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    eprintln!(
        "{:?} clips, median ms {:?}",
        clips.counts(),
        clips.median_ms()
    );
    let mut rng = Rng::new(SEED);
    let (mut p, mut m) = (Seen::default(), Seen::default());
    for n in 0..CALLS {
        let machine = n % 2 == 1;
        let call = call(&mut rng, Split::Tuning, Habits::Assumed, machine, &clips);
        if machine { &mut m } else { &mut p }.look(&call);
    }
    println!("//! The log odds of what is heard after an answer, person over machine.");
    println!("//!");
    println!(
        "//! Printed by `media/examples/detect_fit.rs` from the tuning half of its corpus; not to be"
    );
    println!("//! changed by hand. What that corpus is, and is not, stands in docs/detection.md.");
    println!("\n/// Bins of a table.\npub const BINS: usize = {BINS};\n");
    println!(
        "/// Log odds by value.\n#[derive(Clone, Copy, Debug, PartialEq)]\npub struct Table {{"
    );
    println!("/// Where each bin begins.\npub edges: [u16; BINS],");
    println!("/// For what ended within the bin.\npub ended: [f32; BINS],");
    println!("/// For what has reached the bin and goes on.\npub running: [f32; BINS],\n}}\n");
    let one = |doc: &str, name: &str, table: &Table, p: &[(u32, bool)], m: &[(u32, bool)]| {
        let fitted = show(&fit(table, p, m));
        println!("/// {doc}\npub static {name}: Table = {fitted};\n");
    };
    one(
        "How long it rang, in ms.",
        "RING",
        &tables::RING,
        &p.ring,
        &m.ring,
    );
    one(
        "From the answer to the first sound, in ms.",
        "ONSET",
        &tables::ONSET,
        &p.onset,
        &m.onset,
    );
    one(
        "The first utterance, in ms.",
        "FIRST",
        &tables::FIRST,
        &p.first,
        &m.first,
    );
    println!("/// The pause behind it, in ms, by the class of the utterance.");
    println!("pub static PAUSE: [Table; 3] = [");
    for class in 0..3 {
        let fitted = fit(&tables::PAUSE[class], &p.pause[class], &m.pause[class]);
        eprintln!(
            "pause {class}: {} persons, {} machines",
            p.pause[class].len(),
            m.pause[class].len()
        );
        println!("{},", show(&fitted));
    }
    println!("];\n");
    one(
        "A later burst, in ms.",
        "LATER",
        &tables::LATER,
        &p.later,
        &m.later,
    );
    one(
        "A later pause, in ms.",
        "LATER_PAUSE",
        &tables::LATER_PAUSE,
        &p.later_pause,
        &m.later_pause,
    );
    one(
        "The noise before the first word, in dB above −90 dBm0.",
        "NOISE",
        &tables::NOISE,
        &p.noise,
        &m.noise,
    );
}
