//! Whole calls as readable traces: each `flows/*.trace` holds what the caller does, behind `>`, and
//! what the flow says to it. `UPDATE_TRACES=1` writes what the flow says now into the files.

mod examples;
mod stage;

use stage::Stage;
use std::fs;
use std::path::Path;

#[test]
fn every_trace_is_what_the_flow_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows");
    let flows = examples::flows();
    let update = std::env::var_os("UPDATE_TRACES").is_some();
    let mut traces = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "trace")
        {
            continue;
        }
        traces += 1;
        let wanted = fs::read_to_string(&path).unwrap();
        let mut played = String::new();
        let mut stage: Option<Stage> = None;
        for line in wanted.lines() {
            if line.is_empty() || line.starts_with('#') {
                played.push_str(line);
                played.push('\n');
            } else if let Some(said) = line.strip_prefix("> ") {
                played.push_str(line);
                played.push('\n');
                if let Some(start) = said.strip_prefix("start ") {
                    stage = Some(Stage::start(&flows, start));
                } else {
                    stage
                        .as_mut()
                        .expect("a trace begins with `> start`")
                        .act(said);
                }
                let stage = stage.as_mut().expect("it was just started");
                played.push_str(&std::mem::take(&mut stage.log));
            }
        }
        if update {
            fs::write(&path, played).unwrap();
        } else {
            assert_eq!(played, wanted, "{} tells another story", path.display());
        }
    }
    assert!(traces > 2, "the traces were found");
}
