//! The configuration that ships is one that can be served, and every kind of mistake in one is shown
//! at its place with a remedy.

use std::fs;
use std::path::{Path, PathBuf};
use tandem::config::{Problem, Source, load};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// A copy of what ships, in which mistakes can be made.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new() -> Copy {
        let folder = tempfile::tempdir().unwrap();
        copy(&shipped(), folder.path());
        Copy { folder }
    }

    /// With `from` replaced by `to` in a file; `from` has to be there.
    fn with(self, file: &str, from: &str, to: &str) -> Copy {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
        self
    }

    fn with_file(self, file: &str, text: &str) -> Copy {
        let path = self.folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn problems(&self) -> Vec<Problem> {
        match load(&Source::of_path(self.folder.path())) {
            Ok((_, warnings)) => warnings,
            Err(rejected) => rejected.problems,
        }
    }

    /// All that is shown, with the folder's name left out.
    fn shown(&self) -> String {
        let shown: Vec<String> = self.problems().iter().map(Problem::to_string).collect();
        let folder = format!("{}/", self.folder.path().display());
        shown.join("\n").replace(&folder, "")
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => {
                fs::copy(&path, &to).unwrap();
            }
        }
    }
}

#[test]
fn what_ships_is_accepted_without_a_word() {
    let (configuration, warnings) =
        load(&Source::of_path(&shipped())).unwrap_or_else(|rejected| panic!("{rejected}"));
    assert_eq!(warnings, []);
    assert_eq!(configuration.call.acd.agents.len(), 5);
    assert_eq!(configuration.call.flows.len(), 6);
    call::Engine::new(configuration.call, 1, 7).expect("the engine takes what the check takes");
}

#[test]
fn what_is_embedded_is_what_lies_in_the_folder() {
    let (folder, _) = load(&Source::of_path(&shipped().join("tandem.toml"))).unwrap();
    let (embedded, _) = load(&Source::Embedded).unwrap();
    let decisions = |mut config: call::Config| {
        for (file, _) in &mut config.flows {
            *file = file.rsplit(['/', ':']).next().unwrap().to_string();
        }
        serde_json::to_value(config).unwrap()
    };
    assert_eq!(decisions(folder.call), decisions(embedded.call));
    assert_eq!(
        format!("{:?}", folder.tandem),
        format!("{:?}", embedded.tandem)
    );
}

#[test]
fn a_file_of_another_name_stands_for_the_main_file() {
    let copy = Copy::new().with_file("night.toml", "[sip]\ndomain = \"night.example\"\n");
    let (configuration, _) =
        load(&Source::of_path(&copy.folder.path().join("night.toml"))).unwrap();
    assert_eq!(configuration.tandem.sip.domain, "night.example");
}

#[test]
fn an_empty_main_file_works() {
    let copy = Copy::new().with_file("tandem.toml", "");
    assert_eq!(copy.shown(), "");
}

#[test]
fn an_unknown_key_is_shown_with_the_one_that_was_meant() {
    let copy = Copy::new().with("queues.toml", "ring_timeout_ms", "ring_timeout");
    assert_eq!(
        copy.shown(),
        "\
error: there is no key `ring_timeout`
 --> queues.toml:7:1
  |
7 | ring_timeout = 15_000    # an offer that rings out is a RONA
  | ^^^^^^^^^^^^
  = help: did you mean `ring_timeout_ms`?"
    );
}

#[test]
fn a_value_of_the_wrong_type_is_shown() {
    let copy = Copy::new().with("tandem.toml", "workers = 1 ", "workers = \"one\" ");
    assert_eq!(
        copy.shown(),
        "\
error: invalid type: string \"one\", expected usize
  --> tandem.toml:15:11
   |
15 | workers = \"one\"                    # threads that relay; see docs/performance.md for what one costs
   |           ^^^^^
   = help: write the value as docs/configuration.md says"
    );
}

#[test]
fn an_agent_of_an_unknown_queue_is_shown() {
    let copy = Copy::new().with(
        "agents.toml",
        "queues = [\"sales\", \"support\"]",
        "queues = [\"sales\", \"suport\"]",
    );
    assert_eq!(
        copy.shown(),
        "\
error: agents.bilal.queues[1]: there is no queue suport
  --> agents.toml:11:20
   |
11 | queues = [\"sales\", \"suport\"]
   |                    ^^^^^^^^
   = help: add [queues.suport] or name another"
    );
}

#[test]
fn a_ring_shorter_than_the_law_allows_is_shown() {
    let copy = Copy::new().with(
        "campaigns/spring.toml",
        "ring_timeout_ms = 26_000",
        "ring_timeout_ms = 9_000",
    );
    assert_eq!(
        copy.shown(),
        "\
error: ring_timeout_ms: 9000 ms is not between 15000 and 59000 (US-2)
  --> campaigns/spring.toml:13:1
   |
13 | ring_timeout_ms = 9_000
   | ^^^^^^^^^^^^^^^
   = help: let a call ring at least 15 s, 26000 is usual"
    );
}

#[test]
fn a_column_of_chances_that_nobody_reads_is_shown() {
    let copy = Copy::new().with(
        "campaigns/spring.toml",
        "ring_timeout_ms = 26_000",
        "answer_chance = \"chance\"",
    );
    assert_eq!(
        copy.shown(),
        "\
error: answer_chance: nobody reads the column \"chance\" without per_lead
  --> campaigns/spring.toml:13:1
   |
13 | answer_chance = \"chance\"
   | ^^^^^^^^^^^^^
   = help: add per_lead = true, or leave answer_chance out"
    );
}

#[test]
fn a_route_to_an_unknown_flow_is_shown() {
    let copy = Copy::new().with(
        "tandem.toml",
        "number = \"*\"\nflow = \"welcome\"",
        "number = \"*\"\nflow = \"welcom\"",
    );
    assert_eq!(
        copy.shown(),
        "\
error: route.1.flow: there is no flow \"welcom\"
  --> tandem.toml:34:1
   |
34 | flow = \"welcom\"
   | ^^^^
   = help: add ivr/welcom.toml"
    );
}

#[test]
fn a_missing_prompt_is_shown_wherever_it_is_named() {
    let copy = Copy::new()
        .with(
            "queues.toml",
            "prompt = \"no_agents\"",
            "prompt = \"nobody\"",
        )
        .with(
            "campaigns/spring.toml",
            "abandon_prompt = \"abandon\"",
            "abandon_prompt = \"sorry\"",
        )
        .with(
            "ivr/welcome.toml",
            "prompt = \"welcome/greeting\"",
            "prompt = \"welcome/greting\"",
        );
    let shown = copy.shown();
    for expected in [
        "queues.sales.overflow.prompt: there is no prompt \"nobody\"\n  --> queues.toml:11:30",
        "abandon_prompt: there is no prompt \"sorry\"\n  --> campaigns/spring.toml:12:1",
        "there is no prompt `welcome/greting` [missing-prompt]\n  --> ivr/welcome.toml:30:10",
        "= help: did you mean `welcome/greeting`?",
    ] {
        assert!(shown.contains(expected), "{expected}\n\n{shown}");
    }
}

#[test]
fn a_default_password_is_refused_and_not_shown_again() {
    let copy = Copy::new().with(
        "agents.toml",
        "[agents.dora]",
        "[phones.anna]\npassword = \"change-me\"\n\n[agents.dora]",
    );
    let problems = copy.problems();
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(
        problem.message,
        "phones.anna.password: a default password is no password"
    );
    assert_eq!(
        problem.excerpt, "password = …",
        "a password is nothing for a log of a pipeline"
    );
}

#[test]
fn a_flow_with_an_error_is_shown_with_a_caret() {
    let copy = Copy::new().with(
        "ivr/survey.toml",
        "next = \"satisfaction\"",
        "next = \"satisfacton\"",
    );
    assert_eq!(
        copy.shown(),
        "\
error: there is no node `satisfacton` [unknown-node]
  --> ivr/survey.toml:14:8
   |
14 | next = \"satisfacton\"
   |        ^^^^^^^^^^^^^
   = help: did you mean `satisfaction`?"
    );
}

#[test]
fn every_mistake_is_shown_at_once_and_none_follows_from_another() {
    let copy = Copy::new()
        .with(
            "queues.toml",
            "[queues.sales]",
            "[queues.sales]\nstrateg = 1",
        )
        .with(
            "queues.toml",
            "wrap_up_ms = 10_000",
            "wrap_up_ms = \"long\"",
        )
        .with(
            "queues.toml",
            "announce_every_ms = 60_000",
            "announce_every_ms = 60",
        )
        .with(
            "trunks.toml",
            "address = \"127.0.0.1:5080\"",
            "adress = \"127.0.0.1:5080\"",
        )
        .with("agents.toml", "products = 9", "products = 11");
    let mut places: Vec<String> = copy
        .problems()
        .iter()
        .map(|problem| {
            let file = problem.file.rsplit('/').next().unwrap();
            format!("{file}:{} {}", problem.line, problem.message)
        })
        .collect();
    places.sort();
    assert_eq!(
        places,
        [
            "agents.toml:17 agents.chen.skills.products: it is 11",
            "queues.toml:28 queues.support.announce_every_ms: it is 60",
            "queues.toml:5 there is no key `strateg`",
            "queues.toml:9 invalid type: string \"long\", expected u64",
            "trunks.toml:3 there is no `address`",
            "trunks.toml:4 there is no key `adress`",
        ]
    );
}

#[test]
fn text_that_is_no_toml_is_shown_where_it_breaks() {
    let copy = Copy::new().with("trunks.toml", "[trunks.carrier]", "[trunks.carrier");
    let problems = copy.problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.line == 3 && !problem.is_warning),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .all(|problem| problem.file.ends_with("trunks.toml")),
        "{problems:?}"
    );
}

#[test]
fn a_missing_file_is_a_problem_of_that_file() {
    let copy = Copy::new();
    fs::remove_file(copy.folder.path().join("queues.toml")).unwrap();
    let problems = copy.problems();
    let [problem] = problems.as_slice() else {
        panic!("{problems:#?}")
    };
    assert!(problem.message.starts_with("cannot be read"), "{problem}");
    assert!(problem.file.ends_with("queues.toml"), "{problem}");
}

#[test]
fn a_carrier_that_wants_a_registration_needs_an_account() {
    let copy = Copy::new().with("trunks.toml", "transport = \"udp\"", "register = true #");
    assert!(
        copy.shown().contains(
            "trunks.carrier.register: a registration needs an account\n --> trunks.toml:5:1"
        ),
        "{}",
        copy.shown()
    );
}

#[test]
fn a_rule_set_is_checked_in_its_own_file() {
    let rules = r#"id = "us"
[[rule]]
id = "X-1"
text = ""
from = "2026-02-01"
until = "2026-01-31"
states = ["FL", "ZZ"]
hours = [{ from = "21:00", to = "08:00" }]
"#;
    let shown = Copy::new().with_file("rules/mine.toml", rules).shown();
    for said in [
        "id: not the name of its file\n --> rules/mine.toml:1:1",
        "X-1: the last day, 2026-01-31, is before the first, 2026-02-01\n --> rules/mine.toml:6:1",
        "X-1: there is no state \"ZZ\"\n --> rules/mine.toml:7:17",
        "X-1: the hours end before they begin\n --> rules/mine.toml:8:28",
    ] {
        assert!(shown.contains(said), "{said}\n\n{shown}");
    }
    let unknown = rules.replace("text = \"\"", "txt = \"\"\ntext = \"\"");
    let shown = Copy::new().with_file("rules/us.toml", &unknown).shown();
    assert!(
        shown.contains("there is no key `txt`\n --> rules/us.toml:4:1"),
        "{shown}"
    );
    assert!(shown.contains("did you mean `text`?"), "{shown}");
}

#[test]
fn a_card_number_that_a_menu_would_show_is_refused_where_a_campaign_is_bound_by_pci() {
    let flow = |line: &str| {
        format!(
            r#"id = "pay"
start = "number"
[variables]
number = ""
[node.number]
type = "collect"
prompt = "survey/intro"
into = "number"
min = 13
max = 19
{line}
next = "bye"
[node.bye]
type = "hang_up"
"#
        )
    };
    let bound = |line: &str| {
        Copy::new()
            .with_file("ivr/pay.toml", &flow(line))
            .with("campaigns/spring.toml", "[\"us\"]", "[\"us\", \"pci\"]")
            .shown()
    };
    let shown = bound("");
    assert!(
        shown.contains("it takes 13 digits or more (PCI-1)\n --> ivr/pay.toml:5:7"),
        "{shown}"
    );
    assert!(!bound("sensitive = true").contains("PCI-1"));
    let unbound = Copy::new().with_file("ivr/pay.toml", &flow("")).shown();
    assert!(!unbound.contains("PCI-1"), "{unbound}");
}

#[test]
fn a_queue_or_campaign_without_agents_is_only_a_warning() {
    let copy = Copy::new().with(
        "queues.toml",
        "[queues.sales]",
        "[queues.empty]\n\n[queues.sales]",
    );
    let problems = copy.problems();
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert!(problem.is_warning && problem.line == 4, "{problem}");
    load(&Source::of_path(copy.folder.path())).expect("a warning stops nobody");
}

/// Every key that a file may have stands in docs/configuration.md: an operator reads that, not the code.
#[test]
fn the_documentation_has_every_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documentation = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let sources: [(&str, &[&str]); 14] = [
        (
            "src/config/files.rs",
            &[
                "TandemFile",
                "EngineFile",
                "SipFile",
                "MediaFile",
                "DataFile",
                "TrunksFile",
                "TrunkFile",
                "QueuesFile",
                "AgentsFile",
                "PhoneFile",
            ],
        ),
        ("src/api/mod.rs", &["ApiConfig"]),
        ("src/api/auth.rs", &["TokenConfig"]),
        ("src/crm/http_json.rs", &["HttpJsonConfig"]),
        ("src/crm/webhook.rs", &["WebhookConfig"]),
        ("src/crm/secret.rs", &["Secret"]),
        ("call/src/config.rs", &["Route", "Treatment"]),
        (
            "acd/src/config.rs",
            &[
                "QueueConfig",
                "Ring",
                "Overflow",
                "AgentConfig",
                "FullMembership",
            ],
        ),
        ("dialer/src/config.rs", &["CampaignConfig"]),
        ("dialer/src/retry.rs", &["RetryRule"]),
        ("dialer/src/quota.rs", &["Quota"]),
        ("dialer/src/trunk.rs", &["TrunkLimits"]),
        ("dialer/src/rules.rs", &["RuleSet", "Rule"]),
        (
            "dialer/src/rules/terms.rs",
            &[
                "Hours",
                "Cap",
                "Lock",
                "DoNotCallTerm",
                "ConsentTerm",
                "ReassignedTerm",
            ],
        ),
    ];
    let mut keys = 0;
    for (file, structs) in sources {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for name in structs {
            let fields = fields(&text, name);
            assert!(!fields.is_empty(), "{file} has no struct {name}");
            for field in fields {
                keys += 1;
                let is_there = [
                    format!("`{field}`"),
                    format!("[{field}]"),
                    format!("[[{field}]]"),
                    format!("[{field}."),
                ];
                assert!(
                    is_there.iter().any(|form| documentation.contains(form)),
                    "docs/configuration.md lacks {field} of {name}"
                );
            }
        }
    }
    assert!(keys > 100, "only {keys} keys were found");
}

/// The serialised names of a struct's fields.
fn fields(text: &str, name: &str) -> Vec<String> {
    let Some(at) = text.find(&format!("struct {name} {{")) else {
        return Vec::new();
    };
    let body = &text[at..at + text[at..].find("\n}").unwrap()];
    let mut fields = Vec::new();
    let mut renamed = None;
    for line in body.lines().skip(1).map(str::trim) {
        if line.starts_with("#[serde(") {
            renamed = line
                .split_once("rename = \"")
                .map(|(_, rest)| rest[..rest.find('"').unwrap()].to_string());
        } else if !line.starts_with("//") && !line.starts_with("#[") {
            let bare = line
                .trim_start_matches("pub(super) ")
                .trim_start_matches("pub ");
            if let Some((field, _)) = bare.split_once(':') {
                // The loader fills the agents of a campaign in, the engine whether its flow asks for one.
                fields.extend(
                    (name != "CampaignConfig" || !["agents", "asks_agents"].contains(&field))
                        .then(|| renamed.take().unwrap_or(field.into())),
                );
            }
        }
    }
    fields
}

#[test]
fn every_example_about_lists_is_one_that_can_be_served() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lists.md");
    let page = fs::read_to_string(page).unwrap();
    let mut copy = Copy::new();
    let mut examples = 0;
    for example in page.split("```toml\n# ").skip(1) {
        let (file, rest) = example.split_once('\n').unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        copy = copy.with_file(file, text);
        examples += 1;
    }
    assert_eq!(examples, 3);
    let shown = copy.shown();
    assert!(!shown.contains("error"), "{shown}");
    let broken = copy.with("campaigns/renewals.toml", "share = 40", "share = 50");
    assert!(
        broken.shown().contains("the shares add up to 110"),
        "{}",
        broken.shown()
    );
    let broken = broken.with("trunks.toml", "prefix = \"+1212\"", "prefix = \"1212\"");
    assert!(
        broken.shown().contains("trunks.toml:"),
        "{}",
        broken.shown()
    );
}

#[test]
fn a_mistake_in_a_filter_is_shown_under_the_word_it_is_about() {
    let shown = |line: &str| {
        let copy = Copy::new();
        let path = copy.folder.path().join("campaigns/spring.toml");
        let text = fs::read_to_string(&path).unwrap();
        let lists = text
            .lines()
            .find(|line| line.starts_with("lists = "))
            .unwrap();
        let copy = copy.with("campaigns/spring.toml", lists, &format!("{lists}\n{line}"));
        let shown = copy.shown();
        // From the arrow on: the line is where the campaign's lists stand.
        shown
            .split_once("\n")
            .map_or(shown.clone(), |(first, rest)| {
                let rows: Vec<&str> = rest.lines().skip(2).collect();
                format!("{first}\n{}", rows.join("\n"))
            })
    };
    let filter = shown("filter = 'state in (\"NY\") and attempts < \"3\"'");
    let expected = "\
error: filter: < compares numbers and days, this is a text
7 | filter = 'state in (\"NY\") and attempts < \"3\"'
  |                                          ^^^
  = help: use =, !=, in or starts with";
    assert_eq!(filter, expected);
    let escaped = shown("filter = \"state = \\\"NY\\\" and vipp is full\"");
    assert!(
        escaped.contains("filter: here should stand empty"),
        "{escaped}"
    );
    let caret = escaped.lines().nth(2).unwrap();
    let line = escaped.lines().nth(1).unwrap();
    assert_eq!(caret.find('^'), line.find("full"), "{escaped}");
    assert_eq!(caret.matches('^').count(), 4, "{escaped}");
    let quota = shown(
        "quotas = [{ name = \"n\", where = 'attempts < 2', outcome = \"sale\", at_most = 0, per = \"day\" }]",
    );
    for said in [
        "quotas[0].where: attempts changes while people are dialled",
        "quotas[0].at_most: 0 lets nobody in",
        "quotas[0].per: whose day is not said",
    ] {
        assert!(quota.contains(said), "{said}\n\n{quota}");
    }
    let list = shown("max_attempts_per_day = 0\ntime_zone = \"Mars\"");
    assert!(
        list.contains("max_attempts_per_day: 0 attempts dial nobody"),
        "{list}"
    );
    assert!(list.contains("\"Mars\" is not an IANA time zone"), "{list}");
}
