//! The house rules that no compiler checks: which crate may see which, what logic may never touch,
//! what every file owes its reader. Each rule is a function over texts that returns complaints; the
//! tree must give none, and a broken sample beside each rule must give one. What Cargo and clippy
//! can enforce is enforced there (`Cargo.toml`, `clippy.toml` of every logic crate).

#[path = "tidy/rules.rs"]
mod rules;

use rules::*;
use std::fs;
use std::path::Path;

fn assert_tidy(rule: impl Fn(&Text) -> Vec<Complaint>) {
    let complaints: Vec<String> = tree()
        .iter()
        .flat_map(rule)
        .map(|c| c.to_string())
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// A planted breach must be reported, and its repaired twin must not.
fn assert_caught(rule: impl Fn(&Text) -> Vec<Complaint>, path: &str, broken: &str, whole: &str) {
    let found = rule(&Text::new(path, broken));
    assert!(!found.is_empty(), "nobody noticed in {path}: {broken}");
    let found = rule(&Text::new(path, whole));
    assert!(
        found.is_empty(),
        "complained without reason in {path}: {found:?}"
    );
}

#[test]
fn crates_import_in_the_directions_of_the_architecture() {
    assert_tidy(dependencies_point_one_way);
}

#[test]
fn an_import_against_the_direction_is_noticed() {
    let manifest = |name: &str, section: &str, dependency: &str| {
        format!("[package]\nname = \"{name}\"\n[{section}]\n{dependency}.workspace = true\n")
    };
    let breaches = [
        ("acd", "dependencies", "dialer"),
        ("acd", "dev-dependencies", "ivr"),
        ("dialer", "dependencies", "sip"),
        ("model", "dependencies", "call"),
        ("call", "dependencies", "sip"),
        ("call", "dependencies", "sim"),
        ("sip", "dependencies", "tokio"),
        ("media", "dependencies", "rand"),
        ("sip-testbed", "dependencies", "call"),
    ];
    for (name, section, wrong) in breaches {
        let (broken, whole) = (
            manifest(name, section, wrong),
            manifest(name, section, "thiserror"),
        );
        assert_caught(dependencies_point_one_way, "x/Cargo.toml", &broken, &whole);
    }
    let stranger = Text::new("x/Cargo.toml", &manifest("x", "dependencies", "model"));
    assert_eq!(
        dependencies_point_one_way(&stranger).len(),
        1,
        "a crate nobody placed"
    );
}

#[test]
fn logic_crates_touch_no_world() {
    assert_tidy(logic_touches_no_world);
}

#[test]
fn a_clock_a_file_or_a_lock_in_a_logic_crate_is_noticed() {
    for (word, _) in LOGIC_BANS {
        let broken = format!("//! x\nfn f() {{ {word} }}\n");
        assert_caught(
            logic_touches_no_world,
            "acd/src/x.rs",
            &broken,
            "//! x\nfn f() {}\n",
        );
    }
    let example = "//! x\nfn main() { println!(); }\n";
    assert!(logic_touches_no_world(&Text::new("acd/examples/x.rs", example)).is_empty());
    // Talking about it is fine, and so are the tests beside the code, and the other crates.
    let talk = "// never Instant::now\n/// no Mutex\nfn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }\n";
    assert!(logic_touches_no_world(&Text::new("sip/src/x.rs", talk)).is_empty());
    assert!(logic_touches_no_world(&Text::new("src/clock.rs", "Instant::now()")).is_empty());
}

#[test]
fn simulator_and_lab_stay_in_their_commands() {
    assert_tidy(visitors_stay_in_their_rooms);
}

#[test]
fn a_visitor_elsewhere_is_noticed() {
    let (sim, lab) = (
        "use sim::World;\n",
        "let carrier = sip_testbed::Carrier::start();\n",
    );
    assert_caught(
        visitors_stay_in_their_rooms,
        "src/reactor.rs",
        sim,
        "use call::Engine;\n",
    );
    assert_caught(
        visitors_stay_in_their_rooms,
        "src/wiring.rs",
        lab,
        "let trunk = 1;\n",
    );
    assert!(visitors_stay_in_their_rooms(&Text::new("src/command/simulate.rs", sim)).is_empty());
    assert!(visitors_stay_in_their_rooms(&Text::new("src/command/demo.rs", lab)).is_empty());
}

#[test]
fn results_are_not_thrown_away() {
    assert_tidy(no_result_is_thrown_away);
}

#[test]
fn a_result_thrown_away_is_noticed() {
    let whole = "if tx.send(1).is_err() { lost += 1; } // let _ = is banned\n";
    assert_caught(
        no_result_is_thrown_away,
        "src/x.rs",
        "fn f() {\n    let _ = tx.send(1);\n}\n",
        whole,
    );
    assert_caught(
        no_result_is_thrown_away,
        "acd/src/x.rs",
        "fn f() { let _ = tx.send(1); }\n",
        whole,
    );
}

#[test]
fn nothing_is_left_lying_in_the_tree() {
    assert_tidy(nothing_is_left_lying);
}

#[test]
fn unfinished_work_a_sleep_and_a_disabled_test_are_noticed() {
    let rule = nothing_is_left_lying;
    assert_caught(
        rule,
        "src/x.rs",
        "// TODO: later\n",
        "// TODO(#12): later\n",
    );
    assert_caught(rule, "src/x.rs", "// FIXME\n", "// fixed\n");
    assert_caught(rule, "config/x.toml", "# TODO(#) x\n", "# TODO(#7) x\n");
    assert_caught(rule, "tests/x.rs", "#[ignore]\nfn f() {}\n", "fn f() {}\n");
    assert_caught(
        rule,
        "src/x.rs",
        "fn f() { std::thread::sleep(d); }\n",
        "fn f() {}\n",
    );
    assert_caught(
        rule,
        "tests/x.rs",
        "tokio::time::sleep(d).await;\n",
        "ready.await;\n",
    );
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    assert_tidy(no_machine_and_no_registry_is_named);
}

#[test]
fn a_machine_path_and_a_registry_are_noticed() {
    let rule = no_machine_and_no_registry_is_named;
    let path = format!("see {}tool\n", concat!("/wo", "rk/"));
    assert_caught(rule, "docs/x.md", &path, "see docs/tool\n");
    let host = format!("URL=deb.{}\n", concat!("debian", ".org"));
    assert_caught(rule, "test", &host, "URL=$mirror\n");
}

#[test]
fn modules_introduce_themselves() {
    assert_tidy(every_module_introduces_itself);
}

#[test]
fn a_module_without_introduction_and_a_bare_crate_root_are_noticed() {
    let rule = every_module_introduces_itself;
    assert_caught(
        rule,
        "acd/src/x.rs",
        "use a;\n",
        "//! What x decides.\nuse a;\n",
    );
    let whole = "//! Acd.\n//!\n//! ```\n//! let acd = 1;\n//! ```\n#![forbid(unsafe_code)]\n";
    assert_caught(
        rule,
        "acd/src/lib.rs",
        "//! Acd.\n//! ```\n//! ```\n",
        whole,
    );
    assert_caught(
        rule,
        "acd/src/lib.rs",
        "//! Acd.\n#![forbid(unsafe_code)]\n",
        whole,
    );
}

#[test]
fn files_stay_within_their_bound() {
    assert_tidy(no_file_outgrows_its_reader);
    for (path, bound, subject) in LINES_EXCEPT {
        let lines = fs::read_to_string(root().join(path))
            .expect(path)
            .lines()
            .count();
        assert!(
            lines > LINES_MAX && lines <= bound,
            "{path} needs no exception for {subject}"
        );
    }
}

#[test]
fn a_file_past_its_bound_is_noticed() {
    let long = "//! x\n".repeat(LINES_MAX + 1);
    assert_caught(no_file_outgrows_its_reader, "src/x.rs", &long, "//! x\n");
}

#[test]
fn unsafe_code_is_only_where_it_was_reviewed() {
    assert_tidy(unsafe_code_is_in_one_place);
}

#[test]
fn unsafe_code_elsewhere_is_noticed() {
    let whole = "#![deny(unsafe_code)] // unsafe {\n";
    for broken in [
        "fn f() { unsafe { g() } }\n",
        "unsafe fn f() {}\n",
        "unsafe impl Send for X {}\n",
    ] {
        assert_caught(unsafe_code_is_in_one_place, "src/x.rs", broken, whole);
    }
    assert!(
        unsafe_code_is_in_one_place(&Text::new("src/net/batch.rs", "unsafe { g() }")).is_empty()
    );
}

#[test]
fn types_are_called_what_they_are() {
    assert_tidy(no_type_has_a_vague_name);
}

#[test]
fn a_vague_type_name_is_noticed() {
    let rule = no_type_has_a_vague_name;
    assert_caught(
        rule,
        "src/x.rs",
        "pub struct CallManager {\n",
        "pub struct Calls {\n",
    );
    assert_caught(rule, "src/x.rs", "enum LegInfo {\n", "enum Information {\n");
}

#[test]
fn every_link_in_the_pages_leads_somewhere() {
    assert_tidy(|file| links_lead_somewhere(file, |target| root().join(target).exists()));
}

#[test]
fn a_dead_link_is_noticed() {
    let rule =
        |file: &Text| links_lead_somewhere(file, |target| target == Path::new("docs/there.md"));
    let whole = "[a](there.md#part), [b](#here), [c](https://example.com)";
    assert_caught(rule, "docs/x.md", "[a](nowhere.md)", whole);
}

#[test]
fn decision_pages_are_in_the_index() {
    let complaints = decisions_are_indexed(&tree());
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn a_decision_page_nobody_links_is_noticed() {
    let pages = [
        Text::new("docs/decisions/README.md", "[one](one.md)"),
        Text::new("docs/decisions/one.md", "# One"),
        Text::new("docs/decisions/two.md", "# Two"),
    ];
    let complaints = decisions_are_indexed(&pages);
    assert_eq!(complaints.len(), 1);
    assert_eq!(complaints[0].path, "docs/decisions/two.md");
}

#[test]
fn logic_crates_carry_the_clippy_bans() {
    assert_tidy(clippy_bans_are_complete);
    for name in LOGIC_CRATES {
        assert!(
            root().join(name).join("clippy.toml").exists(),
            "{name}/clippy.toml is missing"
        );
    }
}

#[test]
fn a_missing_clippy_ban_is_noticed() {
    let whole = fs::read_to_string(root().join("acd/clippy.toml")).expect("acd/clippy.toml");
    let broken = whole.replace("std::time::Instant::now", "std::time::Instant::never");
    assert_caught(clippy_bans_are_complete, "acd/clippy.toml", &broken, &whole);
}
