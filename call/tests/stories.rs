//! Whole calls as readable text: `stories/NAME.txt` says what is seen, and under it, indented, what
//! the engine states (events) and asks for (`>` commands). Deadlines that are due in between show as
//! `(tick)`. `UPDATE_STORIES=1 cargo test -p call --test stories` writes down what happens now.

#[path = "stories/script.rs"]
mod script;

use call::{Config, Engine, EngineOutbox, Input};
use model::{Mono, Now, Utc};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// 2026-07-01T18:00:00Z: two in the afternoon in New York, where the leads live.
const BEGIN_UTC: Utc = Utc::from_micros(1_782_928_800_000_000);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories")
}

/// The stories' floor, changed by the `given` lines of one story.
fn config(changes: &[(String, toml::Value)]) -> Config {
    let text = std::fs::read_to_string(folder().join("floor.toml")).unwrap();
    let mut value: toml::Value = toml::from_str(&text).unwrap();
    value
        .as_table_mut()
        .unwrap()
        .insert("flows".into(), toml::Value::Array(Vec::new()));
    for (path, change) in changes {
        let mut at = &mut value;
        for part in path.split('.') {
            let table = at.as_table_mut().unwrap();
            at = table
                .entry(part)
                .or_insert_with(|| toml::Value::Table(Default::default()));
        }
        *at = change.clone();
    }
    let mut config: Config = value.try_into().unwrap();
    for flow in ["card", "goodbye", "notice", "reminder", "sorry", "welcome"] {
        let text = std::fs::read_to_string(folder().join(format!("flows/{flow}.toml"))).unwrap();
        config.flows.push((format!("{flow}.toml"), text));
    }
    config
}

struct Teller {
    engine: Engine,
    now: Now,
    out: EngineOutbox,
    told: String,
}

impl Teller {
    fn see(&mut self, input: Input) {
        self.engine.handle(self.now, input, &mut self.out);
        self.engine.check();
    }

    fn tell(&mut self) {
        for event in self.out.events.drain(..) {
            if let Some(line) = script::event_line(&event.fact) {
                writeln!(self.told, "    {line}").unwrap();
            }
        }
        for command in self.out.commands.drain(..) {
            writeln!(self.told, "    > {}", script::command_line(&command)).unwrap();
        }
    }

    /// Lets time pass, and every deadline on the way come due.
    fn pass_until(&mut self, at: Duration) {
        let target = Mono::ZERO + at;
        while let Some((due, _)) = self
            .engine
            .next_deadline()
            .filter(|(due, _)| *due <= target)
        {
            assert!(
                due > self.now.mono || self.now.mono == Mono::ZERO,
                "what was due has been done"
            );
            self.now = begin().plus(due.since(Mono::ZERO));
            self.see(Input::Tick);
            if self.out.commands.is_empty()
                && self
                    .out
                    .events
                    .iter()
                    .all(|event| script::event_line(&event.fact).is_none())
            {
                self.out.events.clear();
                continue;
            }
            writeln!(self.told, "{} (tick)", seconds(due.since(Mono::ZERO))).unwrap();
            self.tell();
        }
        self.now = begin().plus(at);
    }
}

fn begin() -> Now {
    Now {
        mono: Mono::ZERO,
        utc: BEGIN_UTC,
    }
}

fn seconds(at: Duration) -> String {
    format!("{:.3}", at.as_secs_f64())
}

/// What a story reads like when it is told by the engine.
fn tell(script: &str) -> String {
    let mut changes = Vec::new();
    for line in script.lines() {
        if let Some(given) = line.strip_prefix("given ")
            && let Some((path, value)) = given.split_once(" = ")
        {
            let value: toml::Table = toml::from_str(&format!("v = {value}")).unwrap();
            changes.push((path.to_string(), value["v"].clone()));
        }
    }
    let engine = Engine::new(config(&changes), 0, 1).unwrap();
    let mut teller = Teller {
        engine,
        now: begin(),
        out: EngineOutbox::default(),
        told: String::new(),
    };
    for line in script.lines() {
        if line.starts_with(' ') || line.ends_with("(tick)") {
            continue;
        }
        if let Some(given) = line.strip_prefix("given ") {
            for input in script::given(given) {
                teller.see(input);
            }
            teller.out = EngineOutbox::default();
            writeln!(teller.told, "{line}").unwrap();
        } else if let Some((at, what)) = line.split_once(' ')
            && let Ok(at) = at.parse::<f64>()
        {
            teller.pass_until(Duration::from_secs_f64(at));
            writeln!(teller.told, "{line}").unwrap();
            if let Some(input) = script::input(what) {
                teller.see(input);
            }
            teller.tell();
        } else {
            assert!(
                line.is_empty() || line.starts_with('#'),
                "neither time nor comment: {line:?}"
            );
            writeln!(teller.told, "{line}").unwrap();
        }
    }
    assert_eq!(
        teller.engine.live_calls(),
        0,
        "a story tells of calls to their end:\n{}",
        teller.told
    );
    assert_eq!(teller.engine.live_legs(), 0);
    teller.told
}

#[test]
fn every_story_is_told_as_it_is_written() {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "the stories are there");
    let mut wrong = String::new();
    for path in paths {
        let written = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let told = match std::panic::catch_unwind(|| tell(&written)) {
            Ok(told) => told,
            Err(_) => {
                writeln!(wrong, "{name}: it could not be told, see above").unwrap();
                continue;
            }
        };
        if told == written {
            continue;
        }
        if std::env::var_os("UPDATE_STORIES").is_some() {
            std::fs::write(&path, told).unwrap();
            continue;
        }
        let at = told.lines().zip(written.lines()).position(|(a, b)| a != b);
        let at = at.unwrap_or_else(|| told.lines().count().min(written.lines().count()));
        let (is, was) = (told.lines().nth(at), written.lines().nth(at));
        writeln!(
            wrong,
            "{name}:{}\n  written: {was:?}\n  happens: {is:?}",
            at + 1
        )
        .unwrap();
    }
    assert!(
        wrong.is_empty(),
        "\n{wrong}\nUPDATE_STORIES=1 writes down what happens; read the difference"
    );
}
