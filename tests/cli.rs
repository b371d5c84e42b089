//! The `tandem` command as it is typed: what it prints, and its exit codes.

use call::input::{AgentAction, Origin};
use call::{Engine, EngineOutbox, Input};
use model::{Cause, Event, LegId, Mono, Now, Utc};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tandem::bus::write_event;
use tandem::config::{Source, load};
use tandem::journal::{Header, Journal};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tandem(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command
        .current_dir(root())
        .args(args)
        .env_remove("TANDEM_LOG")
        .output()
        .expect("the command runs")
}

/// What a command prints that ends with this code.
fn printed(args: &[&str], code: i32) -> String {
    let output = tandem(args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(code),
        "tandem {args:?}\n{out}\n{err}"
    );
    out
}

/// What a command complains about that ends with this code.
fn complained(args: &[&str], code: i32) -> String {
    let output = tandem(args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(code),
        "tandem {args:?}\n{out}\n{err}"
    );
    err
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the command speaks UTF-8")
}

fn json(args: &[&str], code: i32) -> Value {
    serde_json::from_str(&printed(args, code)).expect("--json is JSON")
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_string()
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }
}

#[test]
fn every_command_explains_itself_with_examples() {
    let commands: [&[&str]; 10] = [
        &[],
        &["demo"],
        &["serve"],
        &["check"],
        &["ivr", "check"],
        &["ivr", "graph"],
        &["leads", "import"],
        &["simulate"],
        &["replay"],
        &["audit"],
    ];
    for command in commands {
        let args: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let help = printed(&args, 0);
        assert!(help.contains("Usage: tandem"), "{args:?}");
        assert!(
            help.contains("Examples:"),
            "{args:?} has no examples:\n{help}"
        );
    }
    for group in ["ivr", "leads"] {
        assert!(printed(&[group, "--help"], 0).contains("Commands:"));
    }
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(
        printed(&["--version"], 0),
        format!("tandem {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_wrong_command_line_is_exit_code_two() {
    complained(&["dance"], 2);
    complained(&["leads", "import", "x.csv"], 2);
    let wrong = complained(&["leads", "import", "x.csv", "--list", "a b"], 2);
    assert!(wrong.contains("cannot be in a name"), "{wrong}");
    let wrong = complained(
        &["leads", "import", "x.csv", "--list", "a", "--map", "phone"],
        2,
    );
    assert!(wrong.contains("write THEIRS=OURS"), "{wrong}");
}

#[test]
fn the_shipped_configuration_checks() {
    let said = "ok: 5 agents, 4 queues, 2 campaigns, 1 trunk, 6 flows, 2 routes\n";
    assert_eq!(printed(&["check", "--config", "config"], 0), said);
    assert_eq!(
        printed(&["check", "--config", "config/tandem.toml"], 0),
        said
    );
    assert_eq!(printed(&["check"], 0), said);
    let found = json(&["check", "--config", "config", "--json"], 0);
    assert_eq!(found["ok"], true);
    assert_eq!(found["problems"], serde_json::json!([]));
    assert_eq!(found["summary"]["agent"], 5);
}

#[test]
fn a_broken_configuration_is_exit_code_one_with_the_place() {
    let folder = Folder::new();
    let file = folder.file("tandem.toml", "[sip]\nlisten = \"nowhere\"\n");
    for name in ["trunks.toml", "queues.toml", "agents.toml"] {
        folder.file(name, "");
    }
    let shown = printed(&["check", "--config", &file], 1);
    assert!(shown.contains(&format!("--> {file}:2:10\n")), "{shown}");
    assert!(shown.ends_with("not ok: 1 error\n"), "{shown}");
    let found = json(&["check", "--config", &file, "--json"], 1);
    assert_eq!(
        (
            &found["ok"],
            &found["problems"][0]["line"],
            &found["problems"][0]["column"]
        ),
        (&false.into(), &2.into(), &10.into())
    );
    let refused = complained(&["serve", "--config", &file], 1);
    assert!(
        refused.starts_with("error: ") && !refused.contains("error: error"),
        "{refused}"
    );
}

#[test]
fn a_configuration_that_is_not_there_is_said_so() {
    let shown = printed(&["check", "--config", "no/such/tandem.toml"], 1);
    assert!(
        shown.contains("cannot be read") && shown.contains("no/such/tandem.toml"),
        "{shown}"
    );
}

#[test]
fn flows_are_checked_together() {
    assert_eq!(
        printed(&["ivr", "check", "config/ivr"], 0),
        "ok: 6 flows, 0 warnings\n"
    );
    let all = ["config/ivr/welcome.toml", "config/ivr/after_hours.toml"];
    assert_eq!(
        printed(&["ivr", "check", all[0], all[1]], 0),
        "ok: 2 flows, 0 warnings\n"
    );
    let alone = printed(&["ivr", "check", all[0]], 1);
    assert!(
        alone.contains("there is no flow `after_hours`") && alone.contains("not ok: 1 errors"),
        "{alone}"
    );
}

#[test]
fn queues_of_a_flow_are_known_with_the_configuration() {
    let folder = Folder::new();
    let flow = "id = \"x\"\nstart = \"a\"\n[node.a]\ntype = \"queue\"\nqueue = \"sale\"\n";
    let file = folder.file("x.toml", flow);
    printed(&["ivr", "check", &file], 0);
    let shown = printed(&["ivr", "check", &file, "--config", "config"], 1);
    assert!(
        shown.contains("x.toml:5:9") && shown.contains("did you mean `sales`?"),
        "{shown}"
    );
    let found = json(&["ivr", "check", &file, "--config", "config", "--json"], 1);
    assert_eq!(found[0]["code"], "unknown-queue");
    assert_eq!(found[0]["line"], 5);
}

#[test]
fn a_flow_is_drawn() {
    let mermaid = printed(&["ivr", "graph", "config/ivr/welcome.toml"], 0);
    assert!(
        mermaid.starts_with("flowchart TD\n") && mermaid.contains("to_support"),
        "{mermaid}"
    );
    let dot = printed(
        &["ivr", "graph", "config/ivr/survey.toml", "--format", "dot"],
        0,
    );
    assert!(dot.starts_with("digraph \"survey\" {"), "{dot}");
    let missing = complained(&["ivr", "graph", "config/ivr/none.toml"], 1);
    assert!(
        missing.starts_with("error: cannot read config/ivr/none.toml"),
        "{missing}"
    );
}

#[test]
fn a_list_is_imported_once_and_a_dry_run_leaves_nothing() {
    let folder = Folder::new();
    let data = folder.path("data");
    let import = [
        "leads",
        "import",
        "config/leads/spring.csv",
        "--list",
        "spring",
        "--data",
        &data,
    ];
    let dry: Vec<&str> = import.into_iter().chain(["--dry-run"]).collect();
    let said = printed(&dry, 0);
    assert!(
        said.contains("list spring: 300 would be imported, 0 duplicates, 0 rejected\n"),
        "{said}"
    );
    assert!(!Path::new(&data).exists(), "a dry run wrote something");

    assert_eq!(
        printed(&import, 0),
        "list spring: 300 imported, 0 duplicates, 0 rejected\n"
    );
    assert_eq!(
        printed(&import, 0),
        "list spring: 0 imported, 300 duplicates, 0 rejected\n"
    );
    let said = printed(&dry, 0);
    assert!(
        said.starts_with("list spring: 0 would be imported, 300 duplicates, 0 rejected\n"),
        "{said}"
    );
}

#[test]
fn every_rejected_line_is_named_with_its_column_and_reason() {
    let folder = Folder::new();
    let list = folder.file(
        "list.csv",
        "Telefon,Zone,Ort\n030 123456,Europe/Berlin,Berlin\n+12,Europe/Berlin,Bonn\n+4930123457,Mars/Base,Ulm\n+4930123458,,Jena\n,,Köln\n",
    );
    let data = folder.path("data");
    let args = [
        "leads",
        "import",
        &list,
        "--list",
        "autumn",
        "--data",
        &data,
        "--map",
        "Telefon=phone",
        "--map",
        "Zone=time_zone",
        "--country",
        "49",
    ];
    let said = printed(&args, 0);
    assert!(said.contains(&format!("{list}:3: Telefon: ")), "{said}");
    assert!(
        said.contains(&format!(
            "{list}:4: Zone: \"Mars/Base\" is not an IANA time zone\n"
        )),
        "{said}"
    );
    assert!(
        said.contains(&format!("{list}:6: Telefon: no number\n")),
        "{said}"
    );
    assert!(
        said.ends_with("list autumn: 2 imported, 0 duplicates, 3 rejected\n"),
        "{said}"
    );
    let json_args: Vec<&str> = args.into_iter().chain(["--json"]).collect();
    let report = json(&json_args, 0);
    assert_eq!(
        (
            &report["accepted"],
            &report["duplicates"],
            &report["rejected_total"]
        ),
        (&0.into(), &2.into(), &3.into())
    );
    assert_eq!(report["rejected"][1]["line"], 4);
    assert_eq!(report["rejects_file"], Value::Null);
}

#[test]
fn a_list_that_cannot_be_read_is_exit_code_one() {
    let folder = Folder::new();
    let data = folder.path("data");
    let missing = complained(
        &[
            "leads", "import", "none.csv", "--list", "x", "--data", &data,
        ],
        1,
    );
    assert!(
        missing.starts_with("error: cannot read none.csv"),
        "{missing}"
    );
    let list = folder.file("list.csv", "telephone,name\n+4930123456,Uma\n");
    let columns = complained(
        &["leads", "import", &list, "--list", "x", "--data", &data],
        1,
    );
    assert!(
        columns.contains("there is no column \"phone\"; the file has: telephone, name"),
        "{columns}"
    );
}

/// A day of the shipped configuration: an agent signs in, callers come and hang up.
struct Day {
    inputs: PathBuf,
    events: PathBuf,
    lines: Vec<String>,
}

fn day(folder: &Folder, calls: u64) -> Day {
    let (configuration, _) = load(&Source::of_path(&root().join("config"))).unwrap();
    let header = Header {
        tandem_input_log: 1,
        boot: 3,
        seed: 42,
        config: configuration.call.clone(),
    };
    let inputs = PathBuf::from(folder.path("inputs.jsonl"));
    let (journal, thread) = Journal::start(&inputs, &header).unwrap();
    let mut engine = Engine::new(configuration.call, 3, 42).unwrap();
    let mut out = EngineOutbox::default();
    let mut events: Vec<Event> = Vec::new();
    let mut tell = |at_us: u64, input: Input| {
        let now = Now {
            mono: Mono::from_micros(at_us),
            utc: Utc::from_micros(1_795_000_000_000_000 + at_us as i64),
        };
        journal.send(vec![(now, input.clone())]);
        engine.handle(now, input, &mut out);
        out.commands.clear();
        events.append(&mut out.events);
    };
    let anna = "anna".parse().unwrap();
    tell(
        1,
        Input::Started {
            boot: 3,
            version: "0.1.0".into(),
            attempts_unknown: 0,
        },
    );
    tell(
        2,
        Input::PhoneReachable {
            agent: anna,
            reachable: true,
        },
    );
    tell(
        3,
        Input::Agent {
            agent: anna,
            action: AgentAction::SignIn,
        },
    );
    tell(
        4,
        Input::Agent {
            agent: anna,
            action: AgentAction::Ready,
        },
    );
    for n in 0..calls {
        let (leg, at) = (LegId((3 << 40) + (1 << 39) + n), 1_000_000 + n * 1_000_000);
        let from = Origin::Trunk("carrier".parse().unwrap());
        let called = "+12125550100".to_string();
        tell(
            at,
            Input::LegArrived {
                leg,
                from,
                caller: "+4930123456".into(),
                caller_name: None,
                called,
            },
        );
        tell(
            at + 2_345,
            Input::LegEnded {
                leg,
                cause: Cause::Normal,
            },
        );
    }
    drop(journal);
    thread.join().unwrap();
    let mut log = Vec::new();
    for event in &events {
        write_event(&mut log, event).unwrap();
    }
    let path = PathBuf::from(folder.path("events.jsonl"));
    fs::write(&path, &log).unwrap();
    let lines: Vec<String> = text(&log).lines().map(str::to_string).collect();
    assert!(
        lines.len() as u64 > 3 * calls,
        "the day has events: {lines:?}"
    );
    Day {
        inputs,
        events: path,
        lines,
    }
}

impl Day {
    fn inputs(&self) -> &str {
        self.inputs.to_str().unwrap()
    }
    fn events(&self) -> &str {
        self.events.to_str().unwrap()
    }
    /// With other lines in the event log.
    fn rewrite(&self, lines: &[String]) {
        fs::write(&self.events, lines.join("\n") + "\n").unwrap();
    }
}

#[test]
fn a_replay_is_the_recorded_events_byte_for_byte() {
    let folder = Folder::new();
    let day = day(&folder, 3);
    let recorded = fs::read(&day.events).unwrap();
    assert_eq!(tandem(&["replay", day.inputs()]).stdout, recorded);
    let again = folder.path("again.jsonl");
    printed(&["replay", day.inputs(), "--events", &again], 0);
    assert_eq!(fs::read(again).unwrap(), recorded);
    let said = printed(&["replay", day.inputs(), "--compare", day.events()], 0);
    assert_eq!(
        said,
        format!("same: {} events, byte for byte\n", day.lines.len())
    );
}

#[test]
fn a_replay_is_compared_with_its_own_start_among_several() {
    let folder = Folder::new();
    let day = day(&folder, 2);
    let other = |boot: &str| {
        day.lines
            .iter()
            .map(|line| line.replace("\"boot\":3", boot))
            .collect::<Vec<_>>()
    };
    let three = [other("\"boot\":2"), day.lines.clone(), other("\"boot\":4")].concat();
    day.rewrite(&three);
    let said = printed(&["replay", day.inputs(), "--compare", day.events()], 0);
    assert!(
        said.starts_with(&format!("same: {} events", day.lines.len())),
        "{said}"
    );
}

#[test]
fn the_first_difference_of_a_replay_is_shown_with_its_line() {
    let folder = Folder::new();
    let day = day(&folder, 2);
    let mut changed = day.lines.clone();
    changed[4] = changed[4].replacen("\"seq\":5", "\"seq\":6", 1);
    day.rewrite(&changed);
    let said = printed(&["replay", day.inputs(), "--compare", day.events()], 1);
    assert!(
        said.starts_with(&format!("{}:5: the replay differs\n", day.events())),
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "recorded: {}\nreplayed: {}\n",
            changed[4], day.lines[4]
        )),
        "{said}"
    );

    day.rewrite(&day.lines[..day.lines.len() - 1]);
    let said = printed(&["replay", day.inputs(), "--compare", day.events()], 1);
    assert!(
        said.contains(&format!(
            ":{}: the replay differs\nrecorded: nothing",
            day.lines.len()
        )),
        "{said}"
    );

    let longer = [day.lines.clone(), vec![day.lines[4].clone()]].concat();
    day.rewrite(&longer);
    let said = printed(&["replay", day.inputs(), "--compare", day.events()], 1);
    assert!(said.contains("replayed: nothing"), "{said}");
}

#[test]
fn a_log_that_a_crash_cut_off_is_replayed_up_to_there() {
    let folder = Folder::new();
    let day = day(&folder, 2);
    let whole = fs::read_to_string(&day.inputs).unwrap();
    fs::write(&day.inputs, &whole[..whole.len() - 20]).unwrap();
    let replayed = text(&tandem(&["replay", day.inputs()]).stdout);
    assert!(day.lines.join("\n").starts_with(replayed.trim_end()) && !replayed.is_empty());
    fs::write(&day.inputs, whole.replacen("\"m\":2,", "\"m\":oops,", 1)).unwrap();
    let refused = complained(&["replay", day.inputs()], 1);
    assert!(refused.contains("cannot be replayed: line 3:"), "{refused}");
    let refused = complained(&["replay", "config/tandem.toml"], 1);
    assert!(refused.contains("line 1:"), "{refused}");
}

#[test]
fn a_good_log_balances() {
    let folder = Folder::new();
    let day = day(&folder, 4);
    let said = printed(&["audit", day.events()], 0);
    assert!(
        said.ends_with("ok: the books balance and no rule was broken\n"),
        "{said}"
    );
    let report = json(&["audit", day.events(), "--json"], 0);
    assert_eq!((&report["ok"], &report["boots"]), (&true.into(), &1.into()));
    assert_eq!(report["events"], day.lines.len());
    assert_eq!(report["residuals"]["calls"], 0);
    assert_eq!(report["live"]["calls"], 0);
}

#[test]
fn a_tampered_log_is_found_with_its_line() {
    let folder = Folder::new();
    let day = day(&folder, 4);
    let ended = day
        .lines
        .iter()
        .position(|line| line.contains("\"fact\":\"call_ended\""))
        .expect("a call ended");
    let mut without = day.lines.clone();
    without.remove(ended);
    day.rewrite(&without);
    let said = printed(&["audit", day.events()], 1);
    assert!(
        said.contains(&format!("{}:{}: seq_gap", day.events(), ended + 1)),
        "{said}"
    );
    assert!(
        said.contains("not ok:") && said.contains("1 calls"),
        "{said}"
    );

    let twice = [&day.lines[..=ended], &day.lines[ended..]].concat();
    day.rewrite(&twice);
    let report = json(&["audit", day.events(), "--json"], 1);
    let rules: Vec<&str> = report["violations"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|v| v["rule"].as_str())
        .collect();
    assert!(rules.contains(&"not_live"), "{report}");
    assert_ne!(report["residuals"]["calls"], 0, "{report}");
}

#[test]
fn a_line_that_is_no_event_is_found_unless_a_crash_explains_it() {
    let folder = Folder::new();
    let day = day(&folder, 2);
    let mut changed = day.lines.clone();
    changed.insert(3, "{\"seq\":4,\"at\":{\"mo".into());
    day.rewrite(&changed);
    let said = printed(&["audit", day.events()], 1);
    assert!(
        said.contains(&format!("{}:4: not_an_event", day.events())),
        "{said}"
    );

    let cut = format!(
        "{}\n{{\"seq\":9,\"at\":{{\"mo\n{}\n",
        day.lines.join("\n"),
        day.lines.join("\n")
    );
    fs::write(&day.events, cut).unwrap();
    let report = json(&["audit", day.events(), "--json"], 0);
    let cut = serde_json::json!([{ "log": day.events(), "line": day.lines.len() + 1 }]);
    assert_eq!(report["cut_off_lines"], cut);
    assert_eq!(report["boots"], 2);

    fs::write(
        &day.events,
        format!("{}\n{{\"seq\":9,\"a", day.lines.join("\n")),
    )
    .unwrap();
    assert_eq!(
        json(&["audit", day.events(), "--json"], 0)["cut_off_lines"],
        cut
    );
}

#[test]
fn the_campaigns_and_queues_of_a_log_are_counted() {
    let folder = Folder::new();
    let mut lines = Vec::new();
    let mut tell = |fact: Value| {
        let at_us = 1_000 * (lines.len() as u64 + 1);
        let mut event =
            serde_json::json!({ "seq": lines.len() + 1, "at": { "mono": at_us, "utc": at_us } });
        event
            .as_object_mut()
            .unwrap()
            .extend(fact.as_object().unwrap().clone());
        lines.push(event.to_string());
    };
    for n in 1..=3u64 {
        let (attempt, lead) = (n, 100 + n);
        let number = "+12125550144";
        tell(
            serde_json::json!({ "fact": "attempt_claimed", "attempt": attempt, "campaign": "spring", "lead": lead, "list": "spring", "number": number }),
        );
        tell(
            serde_json::json!({ "fact": "attempt_answered", "attempt": attempt, "campaign": "spring" }),
        );
        let outcome = if n == 3 { "abandoned" } else { "machine" };
        tell(
            serde_json::json!({ "fact": "attempt_ended", "attempt": attempt, "campaign": "spring", "lead": lead, "outcome": outcome, "cause": null, "rang_us": 5, "next_at": null }),
        );
    }
    tell(
        serde_json::json!({ "fact": "attempt_blocked", "attempt": 9, "campaign": "spring", "lead": 7, "rule": "US-5" }),
    );
    for (call, outcome, short, in_time) in [
        (1, "abandoned", true, false),
        (2, "abandoned", false, false),
        (3, "timeout", false, false),
    ] {
        let queue = |fact: &str| serde_json::json!({ "fact": fact, "call": call, "queue": "sales", "direction": "inbound" });
        let leg = 50 + call;
        tell(
            serde_json::json!({ "fact": "call_arrived", "call": call, "leg": leg, "trunk": "carrier", "caller": "1", "caller_name": null, "called": "2" }),
        );
        let mut entered = queue("queue_entered");
        entered.as_object_mut().unwrap().extend([
            ("priority".into(), 0.into()),
            ("skills".into(), Value::Array(vec![])),
        ]);
        tell(entered);
        let mut left = queue("queue_left");
        left.as_object_mut().unwrap().extend([
            ("outcome".into(), outcome.into()),
            ("waited_us".into(), 5.into()),
            ("short".into(), short.into()),
            ("during_offer".into(), false.into()),
            ("within_target".into(), in_time.into()),
        ]);
        tell(left);
        tell(
            serde_json::json!({ "fact": "call_ended", "call": call, "direction": "inbound", "by": "customer", "cause": "normal" }),
        );
    }
    let log = folder.file("events.jsonl", &(lines.join("\n") + "\n"));
    let report = json(&["audit", &log, "--json"], 0);
    let spring = &report["campaigns"]["spring"];
    assert_eq!(
        (&spring["live_answers"], &spring["abandoned"]),
        (&3.into(), &1.into())
    );
    assert_eq!(
        spring["outcomes"],
        serde_json::json!({ "abandoned": 1, "machine": 2 })
    );
    assert_eq!(spring["blocked_by_rule"], serde_json::json!({ "US-5": 1 }));
    assert_eq!(
        spring["abandon_limit"],
        Value::Null,
        "there is no input log beside it"
    );
    let sales = &report["queues"]["sales"];
    assert_eq!(
        (
            &sales["offered"],
            &sales["abandoned"],
            &sales["short_abandoned"]
        ),
        (&3.into(), &2.into(), &1.into())
    );
    assert_eq!(sales["service_level"], 0.0);

    // The limit is that of the day the log is of.
    day(&folder, 1);
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    assert_eq!(
        json(&["audit", &log, "--json"], 0)["campaigns"]["spring"]["abandon_limit"],
        0.03
    );
}

#[test]
fn each_start_of_a_log_is_audited_by_its_own_rules_and_limits() {
    let folder = Folder::new();
    let day = day(&folder, 1);
    let header = |boot: u32, limit: f64| {
        let mut header = tandem::journal::header(&day.inputs).unwrap();
        header.boot = boot;
        for campaign in header.config.dialer.campaigns.values_mut() {
            campaign.abandon_limit_pct = limit;
        }
        let name = format!("inputs-{boot:06}.jsonl");
        folder.file(&name, &(serde_json::to_string(&header).unwrap() + "\n"))
    };
    let start = |boot: u32| {
        let started = format!("\"boot\":{boot},");
        let lines = day.lines.iter().cloned();
        let spring = serde_json::json!({ "seq": day.lines.len() + 1, "at": { "mono": 9_000_000, "utc": 1_795_000_009_000_000_i64 },
            "fact": "attempt_blocked", "attempt": 9, "campaign": "spring", "lead": 7, "rule": "US-5" });
        let lines: Vec<String> = lines.chain([spring.to_string()]).collect();
        lines.join("\n").replacen("\"boot\":3,", &started, 1) + "\n"
    };
    // The link leads to the inputs of the last start; the log is of the one before.
    header(7, 2.5);
    header(8, 1.5);
    fs::write(&day.events, start(7)).unwrap();
    let limit = |log: &str| {
        json(&["audit", log, "--json"], 0)["campaigns"]["spring"]["abandon_limit"].clone()
    };
    assert_eq!(limit(day.events()), 0.025);
    // Two starts in one log: the campaign has the limit of the last.
    fs::write(&day.events, start(7) + &start(8)).unwrap();
    assert_eq!(limit(day.events()), 0.015);
    // Without the inputs of a start there is no audit, unless the rules are named.
    fs::write(&day.events, start(7) + &start(9)).unwrap();
    let refused = complained(&["audit", day.events()], 1);
    assert!(
        refused.contains("inputs-000009.jsonl") && refused.contains("--rules"),
        "{refused}"
    );
    fs::create_dir(folder.path("rules")).unwrap();
    printed(
        &["audit", day.events(), "--rules", &folder.path("rules")],
        0,
    );
}
