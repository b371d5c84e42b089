//! The shipped dashboards and alert rules speak of metrics that the engine really exports: every
//! `tandem_…` in them is looked up in the registry's own list of names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tandem::metrics::{Metrics, metric_names};

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// Every metric a text speaks of, without the suffixes of a histogram's series.
fn metrics_named_in(text: &str) -> BTreeSet<String> {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !of_a_name(c))
        .filter(|word| word.starts_with("tandem_"))
        .map(|word| {
            let bare = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end));
            bare.unwrap_or(word).to_owned()
        })
        .collect()
}

/// Those that nobody exports.
fn unknown(text: &str) -> Vec<String> {
    let exported = metric_names();
    metrics_named_in(text)
        .into_iter()
        .filter(|name| !exported.contains(&name.as_str()))
        .collect()
}

fn texts(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(config().join(folder)).expect(folder);
    let mut found: Vec<(PathBuf, String)> = entries
        .map(|entry| entry.expect(folder).path())
        .filter(|path| path.extension().is_some_and(|is| is == ending))
        .map(|path| (path.clone(), fs::read_to_string(&path).expect("a text")))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "nothing in config/{folder}");
    found
}

#[test]
fn every_metric_of_the_dashboards_and_alert_rules_is_exported() {
    for (path, text) in texts("grafana", "json")
        .into_iter()
        .chain(texts("prometheus", "yml"))
    {
        assert_eq!(unknown(&text), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn a_metric_that_nobody_exports_is_noticed() {
    assert_eq!(
        unknown("rate(tandem_calls_total[1m]) / tandem_moon_phase"),
        ["tandem_moon_phase"]
    );
    assert!(unknown("tandem_queue_wait_seconds_bucket").is_empty());
}

/// The series whose increase a text asks for, as `name{label="value",…}`.
fn increases_in(text: &str) -> Vec<String> {
    let asked = text.split("increase(").skip(1);
    asked
        .filter_map(|rest| rest.split('[').next())
        .map(|series| series.replace(", ", ","))
        .collect()
}

#[test]
fn what_an_alert_takes_the_increase_of_is_exported_from_the_start() {
    let fresh = Metrics::new().text();
    for (path, text) in texts("prometheus", "yml") {
        for series in increases_in(&text) {
            let (name, labels) = series.split_once('{').unwrap_or((&series, ""));
            let labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
            let is_there = fresh.lines().any(|line| {
                line.starts_with(name) && labels.iter().all(|label| line.contains(label))
            });
            assert!(is_there, "{}: {series} begins later", path.display());
        }
    }
}

#[test]
fn every_panel_asks_something_and_says_what_unit_it_shows() {
    for (path, text) in texts("grafana", "json") {
        let board: serde_json::Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let panels = board["panels"].as_array().expect("a dashboard has panels");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let at = format!("{}: {}", path.display(), panel["title"]);
            let targets = panel["targets"].as_array().expect(&at);
            assert!(
                targets.iter().any(|target| !metrics_named_in(
                    target["expr"].as_str().unwrap_or("")
                )
                .is_empty()),
                "{at}"
            );
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{at}");
        }
    }
}
