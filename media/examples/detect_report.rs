//! Measures the detectors on the evaluation half of the corpus; docs/detection.md quotes what it prints.
//!
//! ```text
//! cargo run --release -p media --example detect_report tuning|evaluation [FOLDER OF RECORDED PROMPTS ...]
//! cargo run --release -p media --example detect_report clips tuning|evaluation [FOLDER ...]
//! ```
//!
//! With «clips» it says of what a half is made, and no detector runs.

#[path = "../tests/detect_corpus/mod.rs"]
mod detect_corpus;

use detect_corpus::speech::{Clips, Size};
use detect_corpus::{Habits, Split, Tally, call, judge, percentile, usual, wilson};
use media::detect::{Listener, Targets, Who};
use model::Rng;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Calls with the habits assumed, and with habits alike.
const CALLS: [(Habits, u32); 2] = [(Habits::Assumed, 40_000), (Habits::Neutral, 10_000)];
const SEED: u64 = 2;
/// The quantiles of lengths that are shown.
const LENGTHS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];
/// Parts that are made at the same time, each with a seed of its own.
const PARTS: u32 = 4;

fn print(name: &str, tally: &Tally) {
    println!("\n{name}");
    println!("| | person | machine | unsure | later: machine |\n|---|---|---|---|---|");
    for (class, who) in ["persons", "machines"].iter().enumerate() {
        let v = tally.verdicts[class];
        println!(
            "| {who} | {} | {} | {} | {} |",
            v[0], v[1], v[2], tally.late[class]
        );
    }
    let share = |what: &str, hits: u32, machine: bool| {
        let of = tally.of(machine);
        let (low, high) = wilson(hits, of);
        println!(
            "{what}: {:.2} % ({:.2}–{:.2})",
            100.0 * f64::from(hits) / f64::from(of),
            100.0 * low,
            100.0 * high
        );
    };
    share("persons told as machines", tally.persons_lost(), false);
    share(
        "machines let through for good",
        tally.machines_through(),
        true,
    );
    share("of them, hung up by themselves", tally.hung_up, true);
    share(
        "machines handed over first, told later",
        tally.late[1],
        true,
    );
    let times = |what: &str, ms: &[i32]| {
        let at = |s| percentile(ms, s);
        println!(
            "{what}: least {} · 1 % {} · 10 % {} · median {} · 90 % {} · 99 % {} · most {} ms",
            at(0.0),
            at(0.01),
            at(0.1),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    };
    times(
        "persons handed over, after the first word began",
        &tally.hand_over_ms,
    );
    times("machines told, after the answer", &tally.machine_ms);
    times("with a machine until it was told", &tally.wasted_ms);
    times("end of the greeting, told less true", &tally.end_off_ms);
    let within = |limit| {
        let told = tally.machine_ms.iter().filter(|m| **m <= limit).count();
        100.0 * told as f64 / f64::from(tally.of(true))
    };
    println!(
        "machines told within 1.5 s / 2 s / 3 s / 6 s of the answer: {:.0} / {:.0} / {:.0} / {:.0} %",
        within(1500),
        within(2000),
        within(3000),
        within(6000)
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let only_clips = arguments.next_if(|argument| argument == "clips").is_some();
    let split = match arguments.next().as_deref() {
        Some("tuning") => Split::Tuning,
        Some("evaluation") => Split::Evaluation,
        _ => panic!("tuning or evaluation? Each look at the evaluation half is one to be counted"),
    };
    let recorded: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let folder = std::env::temp_dir().join(format!("detect-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for what is spoken");
    let size = Size {
        voices: 10,
        takes: 2,
        every: 1,
        others: true,
    };
    let clips = Clips::make(&folder, split, size, &recorded, SEED);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    println!(
        "{} voices, {:?} clips, {} greetings recorded",
        clips.voices,
        clips.counts(),
        clips.recorded,
    );
    println!("lengths in ms below which {LENGTHS:?} lie, of persons and machines:");
    println!("{:?}", clips.lengths_ms(&LENGTHS));
    if only_clips {
        println!("least length and level: {:?}", clips.least());
        return;
    }
    for (habits, calls) in CALLS {
        let (mut ours, mut theirs) = (Tally::default(), Tally::default());
        let mut wrong = BTreeMap::new();
        std::thread::scope(|scope| {
            let clips = &clips;
            let parts = [0, 1, 2, 3].map(|n| {
                scope.spawn(move || measure(SEED + n, split, habits, calls / PARTS, clips))
            });
            for part in parts {
                let measured = part.join().expect("no part panics");
                ours.merge(measured.0);
                theirs.merge(measured.1);
                for (call, n) in measured.2 {
                    *wrong.entry(call).or_insert(0) += n;
                }
            }
        });
        println!("\n=== {habits:?}");
        print("Tandem", &ours);
        print("usual open detector", &theirs);
        for ((machine, text), n) in wrong {
            println!("  {n} {} «{text}»", if machine { "M" } else { "P" });
        }
    }
    cost();
}

/// Which texts of machines (true) and persons were told wrong, and how often.
type Wrong = BTreeMap<(bool, String), u32>;

fn measure(
    seed: u64,
    split: Split,
    habits: Habits,
    calls: u32,
    clips: &Clips,
) -> (Tally, Tally, Wrong) {
    let mut rng = Rng::new(seed);
    let (mut ours, mut theirs) = (Tally::default(), Tally::default());
    let mut wrong = Wrong::new();
    for n in 0..calls {
        let call = call(&mut rng, split, habits, n % 2 == 1, clips);
        let said = judge(&call, Targets::default());
        let told = said.first.is_some_and(|(who, _)| who == Who::Machine);
        if (told || said.late_machine_ms.is_some()) != call.machine {
            *wrong.entry((call.machine, call.text.clone())).or_default() += 1;
        }
        ours.add(&said);
        theirs.add(&usual::judge(&call));
    }
    (ours, theirs, wrong)
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn cost() {
    let mut rng = Rng::new(3);
    let noise: Vec<i16> = (0..8000).map(|_| (rng.normal() * 2000.0) as i16).collect();
    let tone = media::tone::tone(&[(440.0, 5000.0), (480.0, 5000.0)], 1000);
    let quiet = vec![3i16; 8000];
    for (name, audio) in [
        ("speech-like noise", &noise),
        ("a tone", &tone),
        ("silence", &quiet),
    ] {
        let mut best = f64::MAX;
        for _ in 0..20 {
            let mut listener = Listener::new(Targets::default());
            listener.answered(None);
            let began = std::time::Instant::now();
            let mut found = 0u32;
            for _ in 0..4 {
                for frame in audio.chunks(160) {
                    listener.samples(std::hint::black_box(frame), |_| found += 1);
                }
            }
            std::hint::black_box(found);
            best = best.min(began.elapsed().as_nanos() as f64 / 200.0);
        }
        println!("{name}: {best:.0} ns per frame of 20 ms");
    }
    println!("a listener has {} bytes", size_of::<Listener>());
}
