//! Filters and quotas as they are typed: counted beforehand, checked against the lists that were imported.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

fn tandem(args: &[&str], code: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(args)
        .env_remove("TANDEM_LOG")
        .output()
        .expect("the command runs");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the command speaks UTF-8");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "tandem {args:?}\n{out}\n{err}");
    (out, err)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).unwrap()),
        }
    }
}

/// What ships, with a list of three people, and these lines in its campaign.
fn folder(campaign: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), &config);
    let data = folder.path().join("data");
    let main = config.join("tandem.toml");
    let text = fs::read_to_string(&main).unwrap();
    let named = text.lines().find(|line| line.starts_with("folder = ")).unwrap();
    fs::write(&main, text.replace(named, &format!("folder = {data:?}"))).unwrap();
    let spring = config.join("campaigns/spring.toml");
    let text = fs::read_to_string(&spring).unwrap();
    fs::write(&spring, format!("{campaign}\n{text}")).unwrap();
    let list = folder.path().join("list.csv");
    let rows = "+12125550101,Ada,300,north\n+12125550102,Bob,\"1.000,00\",north\n+12125550103,Cy,10,south\n";
    fs::write(&list, format!("phone,name,balance,region\n{rows}")).unwrap();
    let config = config.to_str().unwrap().to_string();
    let list = list.to_str().unwrap();
    tandem(&["leads", "import", list, "--list", "spring", "--config", &config], 0);
    (folder, config)
}

#[test]
fn a_filter_is_counted_before_it_is_used_with_the_cells_that_cannot_be_read() {
    let (_folder, config) = folder("filter = 'balance >= 250'");
    let ask = ["leads", "filter", "--campaign", "spring", "--config", &config];
    let (said, _) = tandem(&ask, 0);
    assert_eq!(
        said,
        "list spring: 1 leads match, 2 do not\n  balance: 1 cells cannot be read, as \"1.000,00\" of lead lead-2\n"
    );
    let as_json: Vec<&str> = ask.into_iter().chain(["--json"]).collect();
    let (said, _) = tandem(&as_json, 0);
    let value: Value = serde_json::from_str(&said).unwrap();
    let unreadable = json!([{ "column": "balance", "cells": 1, "examples": [{ "lead": 2, "cell": "1.000,00" }] }]);
    assert_eq!(
        value["lists"],
        json!([{ "list": "spring", "matches": 1, "others": 2, "unreadable": unreadable }])
    );
    let other = |filter: &'static str| ask.into_iter().chain(["--filter", filter]).collect::<Vec<_>>();
    assert_eq!(tandem(&other("region = \"NORTH\""), 0).0, "list spring: 2 leads match, 1 do not\n");
    let (_, wrong) = tandem(&other("region = north"), 1);
    assert!(wrong.contains("north is no value\n  region = north\n           ^^^^^\n"), "{wrong}");
    let (_, wrong) = tandem(&["leads", "filter", "--campaign", "none", "--config", &config], 1);
    assert!(wrong.contains("there is no campaign none"), "{wrong}");
}

#[test]
fn a_column_that_no_imported_list_has_is_a_mistake_with_the_one_that_was_meant() {
    let (_folder, config) = folder("filter = 'balance >= 250 and regoin = \"north\"'");
    let (said, _) = tandem(&["check", "--config", &config], 1);
    assert!(said.contains("error: filter: there is no column `regoin` in spring"), "{said}");
    assert!(said.contains("did you mean `region`?") && said.contains("^^^^^^\n"), "{said}");
    let (_folder, config) = folder("filter = 'balance >= 250 and region = \"north\"'");
    assert!(tandem(&["check", "--config", &config], 0).0.starts_with("ok"));
}

#[test]
fn quotas_are_shown_with_what_was_counted() {
    let quota = "quotas = [{ name = \"north\", where = 'region = \"north\"', outcome = \"sale\", at_most = 5 }]";
    let (_folder, config) = folder(quota);
    let ask = ["leads", "quotas", "--campaign", "spring", "--config", &config];
    let (said, _) = tandem(&ask, 0);
    let row = said.lines().nth(1).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["north", "0", "5", "0", "-", "region", "=", "\"north\""]);
    let as_json: Vec<&str> = ask.into_iter().chain(["--json"]).collect();
    let value: Value = serde_json::from_str(&tandem(&as_json, 0).0).unwrap();
    assert_eq!(value["quotas"][0]["at_most"], 5);
}
