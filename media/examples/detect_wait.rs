//! Measures what waiting for a greeting's end is worth: how many machines an agent never hears, and how
//! much of their two seconds persons have left. The rule is the engine's (`call::SILENT_WAIT`,
//! `call::GREETING_MARGIN`, `classify_wait_ms`); docs/detection.md quotes what it prints.
//!
//! ```text
//! cargo run --release -p media --example detect_wait [CALLS] [evaluation]
//! ```

#[path = "../tests/detect_corpus/mod.rs"]
mod detect_corpus;

use detect_corpus::speech::{Clips, Size};
use detect_corpus::{Call, Habits, Split, call};
use media::detect::{Finding, Listener, Targets, Who};
use model::Rng;

const CALLS: u32 = 2_000;
const SEED: u64 = 7;

const SILENT_WAIT_MS: u32 = 1_500;
const GREETING_MARGIN_MS: u32 = 800;
const CLASSIFY_WAIT_MS: u32 = 6_000;
/// Of a greeting that goes on: as `call::PAUSE_KNOWN_AFTER`.
const PAUSE_KNOWN_AFTER_MS: u32 = 200;
/// 47 CFR 64.1200(a)(7).
const LAW_MS: u32 = 2_000;
/// From the hand-over until an agent talks: the screen, the phone.
const AGENT_MS: u32 = 400;

/// Who is waited for, and how long.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// So long after the answer, whatever is heard.
    Fixed,
    /// Until the greeting has ended.
    Greeting,
}

/// What became of a call, in ms after the answer.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    handed_over_ms: Option<u32>,
    /// Where the two seconds begin.
    clock_ms: u32,
    machine_ms: Option<u32>,
}

fn fate(call: &Call, rule: Rule) -> Fate {
    let mut listener = Listener::new(Targets::default());
    listener.answered(call.rang_ms);
    let mut fate = Fate::default();
    for (n, packet) in (1..).zip(&call.packets) {
        let now_ms: u32 = n * 20;
        let mut said = None;
        let find = |finding| {
            if let Finding::Judged(judgement) = finding {
                said = Some(judgement.who);
            }
        };
        match packet {
            Some(samples) => listener.samples(samples, find),
            None => listener.lost(1, find),
        }
        if said == Some(Who::Machine) {
            fate.machine_ms = Some(now_ms);
            return fate;
        }
        let heard = listener.greeting();
        let until = match (rule, heard.began_ms, heard.ended_ms) {
            (Rule::Fixed, ..) | (Rule::Greeting, None, _) => SILENT_WAIT_MS,
            (Rule::Greeting, Some(_), Some(ended)) => ended + GREETING_MARGIN_MS,
            (Rule::Greeting, Some(_), None) => CLASSIFY_WAIT_MS,
        };
        if fate.handed_over_ms.is_none()
            && (said.is_some() || now_ms >= until.min(CLASSIFY_WAIT_MS))
        {
            fate.handed_over_ms = Some(now_ms);
            let speaks_on = now_ms.saturating_sub(PAUSE_KNOWN_AFTER_MS);
            fate.clock_ms = match (rule, heard.began_ms) {
                (Rule::Fixed, _) | (Rule::Greeting, None) => 0,
                (Rule::Greeting, Some(_)) => heard.ended_ms.unwrap_or(speaks_on),
            };
        }
    }
    fate
}

fn main() {
    let calls = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let calls: u32 = calls.unwrap_or(CALLS);
    let evaluation = std::env::args()
        .nth(2)
        .is_some_and(|half| half == "evaluation");
    let split = if evaluation {
        Split::Evaluation
    } else {
        Split::Tuning
    };
    let folder = std::env::temp_dir().join(format!("detect-wait-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for what is spoken");
    let size = Size {
        voices: 6,
        takes: 1,
        every: 2,
        others: false,
    };
    let clips = Clips::make(&folder, split, size, &[], SEED);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    for habits in [Habits::Assumed, Habits::Neutral] {
        let mut rng = Rng::new(SEED);
        let mut tallies = [Rule::Fixed, Rule::Greeting].map(|rule| (rule, Tally::default()));
        for n in 0..calls {
            let call = call(&mut rng, split, habits, n % 2 == 1, &clips);
            for (rule, tally) in &mut tallies {
                tally.add(call.machine, fate(&call, *rule));
            }
        }
        for (rule, tally) in tallies {
            println!("{split:?}, {habits:?}, {rule:?}\n{}", tally.text());
        }
    }
}

#[derive(Default)]
struct Tally {
    /// Never handed over; taken back before an agent talks; after; never recognised.
    machines: [u32; 4],
    persons: u32,
    persons_lost: u32,
    /// What persons have left of the law's time when they are handed over.
    left_ms: Vec<u32>,
}

impl Tally {
    fn add(&mut self, machine: bool, fate: Fate) {
        match (machine, fate.handed_over_ms, fate.machine_ms) {
            (true, None, _) => self.machines[0] += 1,
            (true, Some(at), Some(known)) if known <= at + AGENT_MS => self.machines[1] += 1,
            (true, Some(_), Some(_)) => self.machines[2] += 1,
            (true, Some(_), None) => self.machines[3] += 1,
            (false, at, known) => {
                self.persons += 1;
                self.persons_lost += u32::from(known.is_some());
                let left = at.map(|at| (fate.clock_ms + LAW_MS).saturating_sub(at));
                self.left_ms.extend(left);
            }
        }
    }

    fn text(mut self) -> String {
        self.left_ms.sort_unstable();
        let at = |share: f64| {
            let n = (self.left_ms.len() as f64 * share) as usize;
            self.left_ms.get(n).copied().unwrap_or_default()
        };
        let [spared, in_time, corrected, through] = self.machines;
        format!(
            "  machines: {spared} never handed over, {in_time} taken back before an agent talks, \
             {corrected} after, {through} never recognised\n  persons: {} of {} taken for machines; \
             left for the agent at 1, 10, 50 %: {}, {}, {} ms",
            self.persons_lost,
            self.persons,
            at(0.01),
            at(0.1),
            at(0.5)
        )
    }
}
