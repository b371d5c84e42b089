//! `tandem audit` over the logs of several starts, as it is typed.

use model::event::{DialBasis, Party};
use model::screen_pop::Direction;
use model::{AttemptId, AttemptOutcome, CallId, Cause, Event, Fact, LeadId, LegId, Now, Utc};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tandem::journal::Header;

const LONDON: &str = "+442079460100";

/// Runs the command; its text on either stream, where it ends with this code.
fn audit(args: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("audit")
        .args(args)
        .env_remove("TANDEM_LOG")
        .output()
        .expect("the command runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("the command speaks UTF-8");
    assert_eq!(output.status.code(), Some(code), "audit {args:?}\n{said}");
    said
}

fn json(args: &[&str], code: i32) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&audit(&args, code)).expect("--json is JSON")
}

fn rules(report: &Value) -> Vec<&str> {
    let found = report["violations"].as_array().expect("a list");
    found
        .iter()
        .map(|finding| finding["rule"].as_str().expect("a rule"))
        .collect()
}

/// One start of an engine and what it writes.
struct Start {
    boot: u32,
    now: Now,
    events: Vec<Event>,
    attempts: u64,
}

impl Start {
    fn at(boot: u32, utc: &str) -> Start {
        let micros = utc
            .parse::<jiff::Timestamp>()
            .expect("a time")
            .as_microsecond();
        let now = Now {
            utc: Utc::from_micros(micros),
            ..Now::default()
        };
        let mut start = Start {
            boot,
            now,
            events: Vec::new(),
            attempts: 0,
        };
        start.say(Fact::EngineStarted {
            boot,
            version: "0".into(),
            attempts_unknown: 0,
        });
        start
    }

    fn say(&mut self, fact: Fact) {
        self.now = self.now.plus(Duration::from_micros(1));
        self.events.push(Event {
            seq: self.events.len() as u64 + 1,
            at: self.now,
            fact,
        });
    }

    /// Dials somebody who answers, and who is abandoned unless the process is killed before.
    fn answers(mut self, number: &str, is_killed: bool) -> Start {
        self.attempts += 1;
        let id = (u64::from(self.boot) << model::id::COUNTER_BITS) + self.attempts;
        let (attempt, call, leg) = (AttemptId(id), CallId(id), LegId(id));
        let campaign = "spring".parse().expect("a name");
        let lead = LeadId(7);
        self.say(Fact::AttemptClaimed {
            attempt,
            campaign,
            lead,
            list: "spring".parse().expect("a name"),
            number: number.parse().expect("a number"),
            basis: Some(Box::new(DialBasis {
                rules: vec!["uk".into()],
                person: lead.to_string(),
                ..DialBasis::default()
            })),
        });
        self.say(Fact::CallDialled {
            call,
            leg,
            trunk: "carrier".parse().expect("a name"),
            campaign,
            attempt,
            lead,
            number: number.parse().expect("a number"),
            caller_id: "+442079460999".into(),
        });
        self.say(Fact::LegStarted {
            leg,
            call,
            role: model::event::Role::Customer,
        });
        self.say(Fact::LegAnswered { leg, call });
        self.say(Fact::AttemptAnswered { attempt, campaign });
        if is_killed {
            return self;
        }
        self.say(Fact::AttemptEnded {
            attempt,
            campaign,
            lead,
            outcome: AttemptOutcome::Abandoned,
            cause: None,
            rang_us: 0,
            next_at: None,
        });
        self.say(Fact::CallMessageStarted {
            call,
            prompt: "abandon".into(),
        });
        self.say(Fact::LegEnded {
            leg,
            call,
            cause: Cause::Normal,
        });
        self.say(Fact::CallEnded {
            call,
            direction: Direction::Outbound,
            by: Party::Customer,
            cause: Cause::Normal,
        });
        self
    }

    fn text(&self) -> String {
        let line = |event: &Event| serde_json::to_string(event).expect("JSON") + "\n";
        self.events.iter().map(line).collect()
    }

    /// Writes both logs of the start into a folder.
    fn write(&self, folder: &Path) -> PathBuf {
        let log = tandem::bus::log_path(folder, self.boot);
        std::fs::write(&log, self.text()).expect("written");
        let (config, _warnings) =
            tandem::config::load(&tandem::config::Source::of_path(Path::new("config")))
                .expect("the shipped configuration");
        let header = Header {
            tandem_input_log: 1,
            boot: self.boot,
            seed: 1,
            config: config.call,
        };
        let inputs = tandem::journal::log_path(folder, self.boot);
        let text = serde_json::to_string(&header).expect("JSON") + "\n";
        std::fs::write(inputs, text).expect("written");
        log
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a name")
}

#[test]
fn a_lock_that_the_next_start_breaks_is_found_in_the_folder_and_in_no_single_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Start::at(1, "2026-06-01T12:00:00Z").answers(LONDON, false);
    let second = Start::at(2, "2026-06-04T11:59:00Z").answers(LONDON, false);
    let logs = [first.write(folder.path()), second.write(folder.path())];
    for log in &logs {
        assert_eq!(rules(&json(&[shown(log)], 0)), [""; 0]);
    }
    let report = json(&[shown(folder.path())], 1);
    assert_eq!(rules(&report), ["UK-2a"]);
    let finding = &report["violations"][0];
    assert_eq!(finding["log"], shown(&logs[1]));
    assert!(finding["line"].as_u64() > Some(1), "{finding}");
    let starts = report["starts"].as_array().expect("starts");
    let of = |key: &str| -> Vec<&Value> { starts.iter().map(|start| &start[key]).collect() };
    assert_eq!(of("boot"), [1, 2]);
    assert_eq!(of("violations"), [0, 1]);
    let abandoned = |start: &Value| start["campaigns"]["spring"]["abandoned"].clone();
    assert_eq!(abandoned(&starts[0]), 1);
    assert_eq!(report["campaigns"]["spring"]["abandoned"], 2);
    let text = audit(&[shown(folder.path())], 1);
    let expected = format!("start 2 ({}): ", shown(&logs[1]));
    assert!(text.contains(&expected), "{text}");
    assert!(
        text.contains("  campaign spring: 1 dials, 1 live answers, 1 abandoned\n"),
        "{text}"
    );
    // Named one by one, and in whatever order, it is the same story.
    let turned = json(&[shown(&logs[1]), shown(&logs[0])], 1);
    assert_eq!(turned, report);
    // A minute later it is legal.
    Start::at(2, "2026-06-04T12:00:01Z")
        .answers(LONDON, false)
        .write(folder.path());
    assert_eq!(rules(&json(&[shown(folder.path())], 0)), [""; 0]);
}

#[test]
fn starts_that_were_killed_are_one_story_without_false_breaks() {
    let folder = tempfile::tempdir().expect("a folder");
    let killed = Start::at(3, "2026-06-01T12:00:00Z").answers(LONDON, true);
    let log = killed.write(folder.path());
    // Half of the next line is there.
    std::fs::write(&log, killed.text() + "{\"seq\":9,\"at\":{\"mo").expect("written");
    // Killed before its first event, with and without half a line.
    let empty = Start::at(4, "2026-06-01T12:00:00Z").write(folder.path());
    std::fs::write(&empty, "").expect("written");
    let torn = Start::at(5, "2026-06-01T12:00:00Z").write(folder.path());
    std::fs::write(&torn, "{\"se").expect("written");
    let last = Start::at(9, "2026-06-05T12:00:00Z").answers(LONDON, false);
    last.write(folder.path());
    std::os::unix::fs::symlink(
        tandem::bus::log_path(folder.path(), 9),
        folder.path().join("events.jsonl"),
    )
    .expect("linked");
    let report = json(&[shown(folder.path())], 0);
    assert_eq!(rules(&report), [""; 0], "{report}");
    assert_eq!(report["boots"], 2);
    assert_eq!(report["missing_starts"], serde_json::json!([[4, 8]]));
    let cut = report["cut_off_lines"].as_array().expect("a list");
    assert_eq!(cut.len(), 2, "{cut:?}");
    assert_eq!(report["starts"][0]["campaigns"]["spring"]["cut_off"], 1);
    assert_eq!(report["campaigns"]["spring"]["cut_off"], 1);
    let text = audit(&[shown(folder.path())], 0);
    assert!(text.contains("starts 4 to 8 left no events here"), "{text}");
    // The person whom the kill left without an agent is to rest like every abandoned one.
    Start::at(9, "2026-06-03T12:00:00Z")
        .answers(LONDON, false)
        .write(folder.path());
    let report = json(&[shown(folder.path())], 1);
    assert_eq!(rules(&report), ["UK-2a", "UK-1"][..1], "{report}");
}

#[test]
fn what_cannot_be_read_is_named_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| {
        folder
            .path()
            .join(name)
            .to_str()
            .expect("a name")
            .to_string()
    };
    let said = audit(&[&path("nowhere")], 1);
    assert!(
        said.contains(&path("nowhere")) && said.contains("name an event log, or the data folder"),
        "{said}"
    );
    let said = audit(&[shown(folder.path())], 1);
    assert!(
        said.contains("has no event logs") && said.contains("tandem serve --data"),
        "{said}"
    );
    let first = Start::at(1, "2026-06-01T12:00:00Z");
    let log = first.write(folder.path());
    Start::at(2, "2026-06-02T12:00:00Z").write(folder.path());
    // The inputs of one start are empty, or not there.
    let inputs = tandem::journal::log_path(folder.path(), 2);
    std::fs::write(&inputs, "").expect("written");
    let said = audit(&[shown(folder.path())], 1);
    assert!(
        said.contains(shown(&inputs)) && said.contains("--rules FOLDER"),
        "{said}"
    );
    std::fs::create_dir(path("rules")).expect("a folder");
    audit(&[shown(folder.path()), "--rules", &path("rules")], 0);
    std::fs::remove_file(&inputs).expect("removed");
    let said = audit(&[shown(folder.path())], 1);
    assert!(
        said.contains("start 2 is in ") && said.contains(shown(&inputs)),
        "{said}"
    );
    // One start twice is two engines, or a mistake.
    let copy = path("copy.jsonl");
    std::fs::copy(&log, &copy).expect("copied");
    let said = audit(&[shown(&log), &copy], 1);
    assert!(
        said.contains("start 1 is both in") && said.contains("each once"),
        "{said}"
    );
}
