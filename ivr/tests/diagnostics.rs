//! What a person sees who has made mistakes: `broken/*.toml` with all that is said about each in
//! `broken/*.txt`. `UPDATE_DIAGNOSTICS=1` writes what the check says now.

mod examples;

use ivr::{CheckContext, Flow, Severity, parse_all};
use model::Utc;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn context() -> CheckContext {
    let names = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    CheckContext {
        queues: Some(["sales", "support"].map(|q| q.parse().unwrap()).into()),
        skills: Some(["german", "french"].map(|s| s.parse().unwrap()).into()),
        prompts: Some(names(&["welcome", "goodbye"])),
        sources: Some(names(&["crm"])),
        now: Some(Utc::from_micros(1_795_000_000_000_000)),
        ..CheckContext::default()
    }
}

fn findings(source: &str) -> Vec<ivr::Diagnostic> {
    Flow::parse("flow.toml", source, &context()).map_or_else(|found| found, |flow| flow.warnings)
}

fn codes(source: &str) -> Vec<&'static str> {
    findings(source)
        .iter()
        .map(|finding| finding.code)
        .collect()
}

#[test]
fn every_broken_flow_is_explained_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    for name in ["text", "ways", "syntax"] {
        let file = format!("{name}.toml");
        let source = fs::read_to_string(folder.join(&file)).unwrap();
        let found = Flow::parse(&file, &source, &context()).unwrap_err();
        let text: Vec<String> = found
            .iter()
            .map(|finding| finding.render(&source))
            .collect();
        let text = text.join("\n");
        let golden = folder.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_DIAGNOSTICS").is_some() {
            fs::write(golden, text).unwrap();
        } else {
            assert_eq!(text, fs::read_to_string(golden).unwrap(), "{file}");
        }
    }
}

#[test]
fn the_examples_that_ship_have_nothing_to_complain_about() {
    for flow in examples::flows().values() {
        if !["welcome", "after_hours", "survey"].contains(&flow.id.as_str()) {
            continue;
        }
        for warning in &flow.warnings {
            println!("{}", warning.render(&flow.source));
        }
        assert!(flow.warnings.is_empty(), "{} has warnings", flow.id);
    }
}

#[test]
fn flows_that_run_each_other_in_a_circle_are_refused() {
    let flow = |id: &str, other: &str| {
        let text = format!(
            "id = \"{id}\"\nstart = \"a\"\n[node.a]\ntype = \"flow\"\nflow = \"{other}\"\nnext = \"b\"\n[node.b]\ntype = \"return\"\n"
        );
        (format!("{id}.toml"), text)
    };
    let found = parse_all(&[flow("x", "y"), flow("y", "x")], &CheckContext::default()).unwrap_err();
    let codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["flow-circle", "broken-flow", "broken-flow"]);
    let found =
        parse_all(&[flow("x", "z"), flow("z", "zz")], &CheckContext::default()).unwrap_err();
    assert!(
        found.iter().any(|finding| finding.code == "unknown-flow"),
        "{found:?}"
    );
}

const SECRET: &str = r#"
id = "secret"
start = "pin"
[variables]
pin = { type = "text", default = "", sensitive = true }
copy = ""
[node.pin]
type = "collect"
prompt = "welcome"
into = "pin"
no_input = [{ goto = "end" }]
no_match = [{ goto = "end" }]
next = "use"
"#;

#[test]
fn a_secret_can_be_sent_only_where_the_flow_says_so() {
    let plain = format!(
        "{SECRET}[node.use]\ntype = \"lookup\"\nsource = \"crm\"\nmeanwhile = \"welcome\"\nparameters = {{ pin = \"pin\" }}\nnext = \"end\"\non_error = \"end\"\n[node.end]\ntype = \"queue\"\nqueue = \"sales\"\n"
    );
    assert_eq!(codes(&plain), ["sensitive-leak"]);
    assert_eq!(
        codes(&plain.replace("source = \"crm\"", "source = \"crm\"\nsensitive = true")),
        [""; 0]
    );
}

#[test]
fn a_secret_cannot_be_copied_or_spoken() {
    let end = "[node.end]\ntype = \"queue\"\nqueue = \"sales\"\n";
    let copied = format!(
        "{SECRET}[node.use]\ntype = \"set\"\nset = {{ copy = \"text(pin)\" }}\nnext = \"end\"\n{end}"
    );
    assert_eq!(codes(&copied), ["sensitive-leak"]);
    let spoken = format!(
        "{SECRET}[node.use]\ntype = \"play\"\nprompt = {{ digits = \"pin\" }}\nnext = \"end\"\n{end}"
    );
    assert_eq!(codes(&spoken), ["sensitive-leak"]);
}

#[test]
fn nothing_is_said_about_what_is_not_known() {
    let source =
        "id = \"x\"\nstart = \"a\"\n[node.a]\ntype = \"queue\"\nqueue = \"nobody_knows\"\n";
    let flow = Flow::parse("x.toml", source, &CheckContext::default()).unwrap();
    assert!(flow.warnings.is_empty());
    let found = Flow::parse("x.toml", source, &context()).unwrap_err();
    assert_eq!(
        (found[0].code, found[0].severity),
        ("unknown-queue", Severity::Error)
    );
    assert_eq!((found[0].line, found[0].column), (5, 9));
}
