//! Fits the tables of the machine detector to the tuning half of the corpus and prints them.
//!
//! ```text
//! cargo run --release -p media --example detect_fit > media/src/detect/tables.rs && cargo fmt -p media
//! ```
//!
//! For each thing observed (the wait for the first word, an utterance of a length, a pause after it, …)
//! the share of persons and the share of machines are estimated that ever show it, with one call
//! added to each and neighbours smoothed; a table holds the logarithm of their ratio. Nothing of the
//! evaluation half is looked at.

#[path = "../tests/detect_corpus/mod.rs"]
mod detect_corpus;

use detect_corpus::speech::{Clips, Size};
use detect_corpus::{Call, Habits, Split, call};
use media::detect::Ear;
use media::detect::machine::{
    FLOOR_KNOWN_MS, Progress, SPEECH_MAX, UTTERANCE_PAUSE_MS, Utterance, noise_value,
};
use media::detect::tables::{self, BINS, CELLS, Grid, Table};
use media::detect::voice::{Step, Voice};
use model::Rng;

const CALLS: u32 = 12_000;
const SEED: u64 = 1;

/// Calls of one kind, and in how many of them each thing was seen.
#[derive(Default)]
struct Seen {
    calls: f64,
    ring: Counts,
    onset: Counts,
    noise: Counts,
    first: Counts,
    utterance: Counts,
    later: Counts,
    paused: [[[f64; CELLS]; CELLS]; 2],
}

/// Values that ended within each bin, and values that reached it.
#[derive(Clone, Copy, Default)]
struct Counts {
    ended: [f64; BINS],
    reached: [f64; BINS],
}

impl Counts {
    fn add(&mut self, table: &Table, value: u32, ended: bool) {
        let bin = table.bin(value);
        if ended {
            self.ended[bin] += 1.0;
        }
        for r in &mut self.reached[..=bin] {
            *r += 1.0;
        }
    }
}

impl Seen {
    fn look(&mut self, call: &Call) {
        self.calls += 1.0;
        if let Some(ms) = call.rang_ms {
            self.ring.add(&tables::RING, ms, true);
        }
        let (mut ear, mut voice) = (Ear::default(), Voice::default());
        let mut utterance = Utterance::default();
        let (mut first_ms, mut utterance_ms, mut later) = (None, None, Vec::new());
        let mut paused = [[[false; CELLS]; CELLS]; 2];
        let stop_ms = call.beep_end_ms.map_or(u32::MAX, |ms| ms - 900);
        let (mut at_ms, mut onset) = (0, None);
        let mut hear = |voice: &mut Voice, level: Option<f32>| {
            at_ms += 20;
            if at_ms > stop_ms {
                return;
            }
            if let Some(step) = voice.frame(level) {
                utterance.step(step);
                if let Step::Began { silent_ms } = step
                    && onset.is_none()
                {
                    onset = Some((silent_ms, voice.floor_dbm0()));
                }
                if let (Step::Ended { spoke_ms }, true) = (step, later.last().is_some()) {
                    *later.last_mut().expect("just seen") = (spoke_ms, true);
                }
            }
            match utterance.progress(voice) {
                Progress::Silent { .. } => {}
                Progress::First { ms } => first_ms = Some(ms),
                Progress::On { ms } => utterance_ms = Some(ms),
                Progress::Later { ms } => match later.last_mut() {
                    Some((last, false)) => *last = ms,
                    Some((_, true)) | None => later.push((ms, false)),
                },
                Progress::Paused {
                    ms,
                    several,
                    pause_ms,
                } => {
                    let grid = &tables::PAUSED[usize::from(several)];
                    let (row, column) = grid.cell(ms, pause_ms.min(UTTERANCE_PAUSE_MS));
                    paused[usize::from(several)][row][column] = true;
                }
            }
        };
        for packet in &call.packets {
            match packet {
                Some(samples) => ear.samples(samples, |f| hear(&mut voice, f.level_dbm0)),
                None => hear(&mut voice, ear.lost().level_dbm0),
            }
        }
        match onset {
            Some((ms, floor)) => {
                self.onset.add(&tables::ONSET, ms, true);
                if ms >= FLOOR_KNOWN_MS {
                    self.noise.add(&tables::NOISE, noise_value(floor), true);
                }
            }
            None => self.onset.add(&tables::ONSET, voice.lasted_ms(), false),
        }
        if let Some(ms) = first_ms {
            self.first.add(&tables::FIRST, ms, true);
        }
        if let Some(ms) = utterance_ms {
            self.utterance.add(&tables::UTTERANCE, ms, true);
        }
        for (ms, ended) in later {
            self.later.add(&tables::LATER, ms, ended);
        }
        for (kind, grid) in paused.iter().enumerate() {
            for (row, cells) in grid.iter().enumerate() {
                for (column, seen) in cells.iter().enumerate() {
                    self.paused[kind][row][column] += f64::from(u8::from(*seen));
                }
            }
        }
    }
}

/// The logarithm of two shares, each with one call added.
fn odds(persons: f64, machines: f64, of: (f64, f64)) -> f32 {
    let ratio = ((persons + 1.0) / (of.0 + 1.0)) / ((machines + 1.0) / (of.1 + 1.0));
    (ratio.ln() as f32).clamp(-SPEECH_MAX, SPEECH_MAX)
}

fn smooth(counts: &[f64], i: usize) -> f64 {
    let (l, r) = (
        counts[i.saturating_sub(1)],
        counts[(i + 1).min(counts.len() - 1)],
    );
    0.2 * l + 0.6 * counts[i] + 0.2 * r
}

/// Of calls, or of values where a call has several or may have none.
fn fit(table: &Table, persons: &Counts, machines: &Counts, of: Option<(f64, f64)>) -> Table {
    let of = of.unwrap_or((persons.reached[0], machines.reached[0]));
    let mut fitted = *table;
    for i in 0..BINS {
        let ended = (smooth(&persons.ended, i), smooth(&machines.ended, i));
        fitted.ended[i] = odds(ended.0, ended.1, of);
        fitted.running[i] = odds(persons.reached[i], machines.reached[i], of);
    }
    fitted
}

fn fit_grid(grid: &Grid, persons: &Seen, machines: &Seen, kind: usize) -> Grid {
    let mut fitted = *grid;
    let of = (persons.calls, machines.calls);
    for column in 0..CELLS {
        let by_row = |seen: &Seen| -> Vec<f64> {
            (0..CELLS)
                .map(|row| seen.paused[kind][row][column])
                .collect()
        };
        let (p, m) = (by_row(persons), by_row(machines));
        for row in 0..CELLS {
            fitted.odds[row][column] = odds(smooth(&p, row), smooth(&m, row), of);
        }
    }
    // The longer it has paused, the more a person it is: what says otherwise is chance.
    for cells in &mut fitted.odds {
        for column in 1..CELLS {
            cells[column] = cells[column].max(cells[column - 1]);
        }
    }
    fitted
}

fn show_grid(grid: &Grid) -> String {
    let rows: Vec<String> = grid
        .odds
        .iter()
        .map(|row| {
            let texts: Vec<String> = row.iter().map(|x| format!("{x:.2}")).collect();
            format!("[{}]", texts.join(", "))
        })
        .collect();
    format!(
        "Grid {{ ms: {:?}, pause_ms: {:?}, odds: [{}] }}",
        grid.ms,
        grid.pause_ms,
        rows.join(", ")
    )
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
    print!("\n{}", TYPES);
    let of = Some((p.calls, m.calls));
    let one = |doc: &str, name: &str, fitted: Table| {
        println!("/// {doc}\npub static {name}: Table = {};\n", show(&fitted));
    };
    one(
        "How long it rang, in ms.",
        "RING",
        fit(&tables::RING, &p.ring, &m.ring, of),
    );
    one(
        "From the answer to the first sound, in ms.",
        "ONSET",
        fit(&tables::ONSET, &p.onset, &m.onset, of),
    );
    one(
        "The noise before the first word, in dB above −90 dBm0.",
        "NOISE",
        fit(&tables::NOISE, &p.noise, &m.noise, None),
    );
    one(
        "The first burst, in ms.",
        "FIRST",
        fit(&tables::FIRST, &p.first, &m.first, of),
    );
    one(
        "An utterance that goes on after pauses, in ms.",
        "UTTERANCE",
        fit(&tables::UTTERANCE, &p.utterance, &m.utterance, of),
    );
    one(
        "What is said after a long pause, in ms.",
        "LATER",
        fit(&tables::LATER, &p.later, &m.later, None),
    );
    println!(
        "/// A pause after an utterance of one burst, and of several.\npub static PAUSED: [Grid; 2] = ["
    );
    for kind in 0..2 {
        println!(
            "{},",
            show_grid(&fit_grid(&tables::PAUSED[kind], &p, &m, kind))
        );
    }
    println!("];");
}

/// The head of the file that is printed.
const TYPES: &str = "/// Bins of a table.
pub const BINS: usize = 16;

/// Rows and columns of a grid.
pub const CELLS: usize = 12;

/// Log odds by value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table {
    /// Where each bin begins.
    pub edges: [u16; BINS],
    /// For what ended within the bin.
    pub ended: [f32; BINS],
    /// For what has reached the bin and goes on.
    pub running: [f32; BINS],
}

/// Log odds of a pause by the utterance before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Where each row begins: the utterance in ms.
    pub ms: [u16; CELLS],
    /// Where each column begins: the pause so far, in ms.
    pub pause_ms: [u16; CELLS],
    /// By row and column.
    pub odds: [[f32; CELLS]; CELLS],
}

";
