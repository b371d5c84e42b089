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
use detect_corpus::{Habits, Split, Trace, call};
use media::detect::machine::{FLOOR_KNOWN_MS, SPEECH_MAX, noise_value};
use media::detect::tables::{BINS, CELLS, Grid, KINDS, TABLES, Table, Tables};
use media::detect::utterance::{Progress, Utterance, difference_pct};
use media::detect::voice::{Step, Voice};
use model::Rng;

const CALLS: u32 = 24_000;
const SEED: u64 = 1;

/// Calls of one kind, and in how many of them each thing was seen.
#[derive(Default)]
struct Seen {
    calls: f64,
    ring: Counts,
    onset: Counts,
    noise: Counts,
    first: Counts,
    on: Cells,
    paused: [Cells; KINDS],
    waits: [Cells; KINDS],
    reply: Counts,
    /// Turns that are over, all of them.
    turns: Cells,
    rest: Counts,
}

/// A cell that fewer calls came by says nothing.
const SEEN_MIN: f64 = 3.0;

/// In how many calls each cell of a grid was seen.
type Cells = [[f64; CELLS]; CELLS];

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

/// Marks a cell of a call as seen.
fn mark(cells: &mut Cells, (row, column): (usize, usize)) {
    cells[row][column] = 1.0;
}

fn add(sums: &mut Cells, cells: &Cells) {
    for (sums, cells) in sums.iter_mut().flatten().zip(cells.iter().flatten()) {
        *sums += cells;
    }
}

impl Seen {
    /// Adds a call, up to its beep: that is evidence of its own.
    fn look(&mut self, trace: &Trace) {
        self.calls += 1.0;
        if let Some(ms) = trace.rang_ms {
            self.ring.add(&TABLES.ring, ms, true);
        }
        let (mut voice, mut utterance) = (Voice::default(), Utterance::default());
        let (mut first_ms, mut onset) = (None, None);
        let mut on = Cells::default();
        let mut last = Progress::Silent { ms: 0 };
        let (mut paused, mut waits) = ([on; KINDS], [on; KINDS]);
        let stop_ms = trace.beep_end_ms.map_or(u32::MAX, |ms| ms - 900);
        for (n, heard) in trace.frames.iter().enumerate() {
            if 20 * (n as u32 + 1) > stop_ms {
                break;
            }
            if let Some(step) = voice.frame(heard.level_dbm0) {
                self.turn_begins(last, step);
                utterance.step(step);
                if let Step::Began { silent_ms } = step
                    && onset.is_none()
                {
                    onset = Some((silent_ms, voice.floor_dbm0()));
                }
            }
            let progress = utterance.progress(&voice);
            self.turn_ends(last, progress);
            last = progress;
            match progress {
                Progress::Silent { .. } | Progress::Replies | Progress::Rests { .. } => {}
                Progress::First { ms } => first_ms = Some(ms),
                Progress::On { since_ms, spoke_ms } => {
                    mark(&mut on, TABLES.on.cell(since_ms, spoke_ms));
                }
                Progress::Waits {
                    breaths,
                    ms,
                    pause_ms,
                } => {
                    let kind = breaths as usize;
                    mark(&mut waits[kind], TABLES.waits[kind].cell(ms, pause_ms));
                }
                Progress::Paused {
                    breaths,
                    ms,
                    pause_ms,
                } => {
                    let kind = breaths as usize;
                    mark(&mut paused[kind], TABLES.paused[kind].cell(ms, pause_ms));
                }
            }
        }
        match last {
            Progress::Waits { pause_ms, .. } => self.reply.add(&TABLES.reply, pause_ms, false),
            Progress::Rests { pause_ms, .. } => self.rest.add(&TABLES.rest, pause_ms, false),
            Progress::Silent { .. }
            | Progress::First { .. }
            | Progress::On { .. }
            | Progress::Paused { .. }
            | Progress::Replies => {}
        }
        match onset {
            Some((ms, floor)) => {
                self.onset.add(&TABLES.onset, ms, true);
                if ms >= FLOOR_KNOWN_MS {
                    self.noise.add(&TABLES.noise, noise_value(floor), true);
                }
            }
            None => self.onset.add(&TABLES.onset, voice.lasted_ms(), false),
        }
        if let Some(ms) = first_ms {
            self.first.add(&TABLES.first, ms, true);
        }
        add(&mut self.on, &on);
        for kind in 0..KINDS {
            add(&mut self.paused[kind], &paused[kind]);
            add(&mut self.waits[kind], &waits[kind]);
        }
    }

    /// A pause behind an utterance or a turn is over, as another turn begins.
    fn turn_begins(&mut self, last: Progress, step: Step) {
        let Step::Began { silent_ms } = step else {
            return;
        };
        if let Progress::Waits { .. } = last {
            self.reply.add(&TABLES.reply, silent_ms, true);
        }
        if let Progress::Rests { .. } = last {
            self.rest.add(&TABLES.rest, silent_ms, true);
        }
    }

    /// A turn is over, as the pause behind it has become long.
    fn turn_ends(&mut self, last: Progress, now: Progress) {
        if let (Progress::Replies, Progress::Rests { ms, before_ms, .. }) = (last, now) {
            let (row, column) = TABLES.turns.cell(ms, difference_pct(ms, before_ms));
            self.turns[row][column] += 1.0;
        }
    }
}

/// Calls of one kind that behave as those of the other: nobody knows all that persons and machines do,
/// so no table may be surer than 300 to 1.
const ODD_ONES: f64 = 0.003;

/// The logarithm of two shares, each with one call added.
fn odds(persons: f64, machines: f64, of: (f64, f64)) -> f32 {
    let ratio = ((persons + 1.0) / (of.0 + 1.0)) / ((machines + 1.0) / (of.1 + 1.0));
    let ratio = (ratio + ODD_ONES) / (1.0 + ODD_ONES * ratio);
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

/// `rising`: along a row the odds can only rise, or only fall; what says otherwise is chance.
fn fit_grid(grid: &Grid, persons: &Cells, machines: &Cells, of: (f64, f64), rising: bool) -> Grid {
    let mut fitted = *grid;
    for column in 0..CELLS {
        let by_row = |cells: &Cells| -> Vec<f64> { cells.iter().map(|row| row[column]).collect() };
        let (p, m) = (by_row(persons), by_row(machines));
        for row in 0..CELLS {
            fitted.odds[row][column] = odds(smooth(&p, row), smooth(&m, row), of);
        }
    }
    for (row, cells) in fitted.odds.iter_mut().enumerate() {
        let seen = |column: usize| {
            let sum = |cells: &Cells| cells.iter().map(|r| r[column]).collect::<Vec<_>>();
            smooth(&sum(persons), row) + smooth(&sum(machines), row) >= SEEN_MIN
        };
        let known: Vec<usize> = (0..CELLS).filter(|c| seen(*c)).collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else {
            cells.fill(0.0);
            continue;
        };
        // Where nothing was seen, it is as where something was.
        let (lowest, highest) = (cells[*first], cells[*last]);
        let mut before = lowest;
        for column in 0..CELLS {
            let odds = match column {
                c if c < *first => lowest,
                c if c > *last => highest,
                c if known.contains(&c) => cells[c],
                _ => before,
            };
            before = if rising {
                odds.max(before)
            } else {
                odds.min(before)
            };
            cells[column] = before;
        }
    }
    fitted
}

fn sum(cells: &Cells) -> f64 {
    cells.iter().flatten().sum()
}

/// The tables for calls of persons and of machines.
fn fitted(p: &Seen, m: &Seen) -> Tables {
    let of = (p.calls, m.calls);
    let kinds = |grids: &[Grid; KINDS], p: &[Cells; KINDS], m: &[Cells; KINDS], rising| {
        std::array::from_fn(|k| fit_grid(&grids[k], &p[k], &m[k], of, rising))
    };
    let turns = (sum(&p.turns), sum(&m.turns));
    Tables {
        ring: fit(&TABLES.ring, &p.ring, &m.ring, Some(of)),
        onset: fit(&TABLES.onset, &p.onset, &m.onset, Some(of)),
        noise: fit(&TABLES.noise, &p.noise, &m.noise, None),
        first: fit(&TABLES.first, &p.first, &m.first, Some(of)),
        on: fit_grid(&TABLES.on, &p.on, &m.on, of, false),
        paused: kinds(&TABLES.paused, &p.paused, &m.paused, true),
        waits: kinds(&TABLES.waits, &p.waits, &m.waits, false),
        reply: fit(&TABLES.reply, &p.reply, &m.reply, None),
        turns: fit_grid(&TABLES.turns, &p.turns, &m.turns, turns, true),
        rest: fit(&TABLES.rest, &p.rest, &m.rest, None),
    }
}

/// The tables as a program reads them; every field but the odds is as it was.
fn show(tables: &Tables) -> String {
    let text = format!("{tables:?}");
    // Two digits are more than a corpus of thousands can tell.
    let mut shown = String::new();
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() || c == '.' || (c == '-' && number.is_empty()) {
            number.push(c);
            continue;
        }
        match (number.contains('.'), number.parse::<f64>()) {
            (true, Ok(value)) => shown.push_str(&format!("{value:.2}")),
            (true, Err(_)) | (false, _) => shown.push_str(&number),
        }
        number.clear();
        shown.push(c);
    }
    shown
}

fn main() {
    let folder = std::env::temp_dir().join(format!("detect-fit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for what is spoken");
    let size = Size {
        voices: 10,
        takes: 2,
        every: 1,
        others: true,
    };
    let clips = Clips::make(&folder, Split::Tuning, size, &[], SEED);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    eprintln!(
        "{:?} clips, median ms {:?}",
        clips.counts(),
        clips.lengths_ms(&[0.5])
    );
    let mut rng = Rng::new(SEED);
    let (mut persons, mut machines) = (Seen::default(), Seen::default());
    for n in 0..CALLS {
        let machine = n % 2 == 1;
        let call = call(&mut rng, Split::Tuning, Habits::Assumed, machine, &clips);
        let seen = if machine { &mut machines } else { &mut persons };
        seen.look(&Trace::of(&call));
    }
    println!("{HEAD}{};", show(&fitted(&persons, &machines)));
}

/// The head of the file that is printed.
const HEAD: &str = "//! The log odds of what is heard after an answer, person over machine.
//!
//! Printed by `media/examples/detect_fit.rs` from the tuning half of its corpus; not to be
//! changed by hand. What that corpus is, and is not, stands in docs/detection.md.

/// Bins of a table.
pub const BINS: usize = 16;

/// Rows and columns of a grid.
pub const CELLS: usize = 15;

/// Kinds of utterances: [`Breaths`](super::utterance::Breaths).
pub const KINDS: usize = 3;

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

/// Log odds by two values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Where each row begins.
    pub rows: [u16; CELLS],
    /// Where each column begins.
    pub columns: [u16; CELLS],
    /// By row and column.
    pub odds: [[f32; CELLS]; CELLS],
}

/// All tables of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tables {
    /// How long it rang, in ms.
    pub ring: Table,
    /// From the answer to the first sound, in ms.
    pub onset: Table,
    /// The noise before the first word, in dB above −90 dBm0.
    pub noise: Table,
    /// The first burst, in ms.
    pub first: Table,
    /// An utterance that goes on after pauses: how much of the time since the first word was
    /// speech.
    pub on: Grid,
    /// A pause after so much speech, by what it is made of.
    pub paused: [Grid; KINDS],
    /// A pause that has ended the utterance, after so much speech.
    pub waits: [Grid; KINDS],
    /// That pause, when a turn behind it begins.
    pub reply: Table,
    /// A turn behind the utterance that is over, in ms from its first sound, by how many per cent it differs from the one before.
    pub turns: Grid,
    /// A pause behind such a turn.
    pub rest: Table,
}

/// What the test of a leg looks up.
#[allow(
    clippy::approx_constant,
    reason = \"odds that happen to be near a constant of nature\"
)]
pub static TABLES: Tables = ";
