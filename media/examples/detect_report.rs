//! Measures the detectors on the evaluation half of the corpus; docs/detection.md quotes what it prints.
//!
//! ```text
//! cargo run --release -p media --example detect_report [FOLDER OF RECORDED PROMPTS]
//! ```

#[path = "../tests/detect_corpus/mod.rs"]
mod detect_corpus;

use detect_corpus::speech::{Clips, Size};
use detect_corpus::{Habits, Split, Tally, call, judge, percentile, usual, wilson};
use media::detect::{Listener, Targets};
use model::Rng;
use std::path::PathBuf;

const CALLS: u32 = 8_000;
const SEED: u64 = 2;

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
    let share = |hits: u32, of: u32| {
        let (low, high) = wilson(hits, of);
        format!(
            "{:.2} % ({:.2}–{:.2})",
            100.0 * f64::from(hits) / f64::from(of),
            100.0 * low,
            100.0 * high
        )
    };
    println!(
        "persons taken for machines: {}",
        share(tally.persons_lost(), tally.of(false))
    );
    println!(
        "machines taken for persons: {}",
        share(tally.verdicts[1][0], tally.of(true))
    );
    println!(
        "machines let through (with unsure): {}",
        share(tally.machines_through(), tally.of(true))
    );
    let times = |what: &str, ms: &[i32]| {
        let at = |s| percentile(ms, s);
        println!(
            "{what}: 10 % {} · median {} · 90 % {} · 99 % {} ms",
            at(0.1),
            at(0.5),
            at(0.9),
            at(0.99)
        );
    };
    times("person, after the first word began", &tally.person_ms);
    times("machine, after the answer", &tally.machine_ms);
    times("late machine, after the answer", &tally.late_ms);
    let within = |ms: &[i32], limit| {
        ms.iter().filter(|m| **m <= limit).count() as f64 / ms.len().max(1) as f64
    };
    println!(
        "machines told within 1.5 s / 2 s / 3 s of the answer: {:.0} / {:.0} / {:.0} %",
        100.0 * within(&tally.machine_ms, 1500),
        100.0 * within(&tally.machine_ms, 2000),
        100.0 * within(&tally.machine_ms, 3000)
    );
}

fn main() {
    let recorded = std::env::args().nth(1).map(PathBuf::from);
    let tuning = std::env::args().nth(2).is_some_and(|a| a == "tuning");
    let split = if tuning {
        Split::Tuning
    } else {
        Split::Evaluation
    };
    let folder = std::env::temp_dir().join(format!("detect-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for what is spoken");
    let size = Size {
        voices: 10,
        takes: 2,
        every: 1,
        flite: true,
    };
    let clips = Clips::make(&folder, split, size, recorded.as_deref(), SEED);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    println!(
        "{} voices, {:?} clips, {} greetings recorded, median lengths {:?} ms",
        clips.voices,
        clips.counts(),
        clips.recorded,
        clips.median_ms()
    );
    for habits in [Habits::Assumed, Habits::Neutral] {
        let mut rng = Rng::new(SEED);
        let (mut ours, mut theirs) = (Tally::default(), Tally::default());
        let mut wrong = std::collections::BTreeMap::<(bool, String), u32>::new();
        for n in 0..CALLS {
            let call = call(&mut rng, split, habits, n % 2 == 1, &clips);
            let said = judge(&call, Targets::default());
            let right = if call.machine {
                media::detect::Who::Machine
            } else {
                media::detect::Who::Person
            };
            if said.first.is_none_or(|(who, _)| who != right) {
                *wrong.entry((call.machine, call.text.clone())).or_default() += 1;
            }
            ours.add(&said);
            theirs.add(&usual::judge(&call));
        }
        println!("\n=== {habits:?}");
        print("Tandem", &ours);
        print("usual open detector", &theirs);
        for ((machine, text), n) in wrong {
            println!("  {n} {} «{text}»", if machine { "M" } else { "P" });
        }
    }
    cost();
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
