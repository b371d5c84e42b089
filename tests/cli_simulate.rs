//! `tandem simulate` as it is typed.

use std::process::Command;

/// What it prints for ten minutes of a shipped scenario.
fn simulated(scenario: &str, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["simulate", "--json", "--hours", "0.17", "--shifts", "1"])
        .arg("--scenario")
        .arg(format!("config/scenarios/{scenario}.toml"))
        .args(args)
        .output()
        .expect("the command runs");
    let said = String::from_utf8(output.stdout).expect("the command speaks UTF-8");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}{why}");
    said
}

#[test]
fn a_scenario_with_another_number_of_agents_has_customers_for_as_many() {
    // 120 calls an hour for 25 agents.
    let smaller = simulated("blended", &["--agents", "5"]);
    let spelled_out = ["--set", "agents=5", "--set", "inbound_per_hour=24"];
    assert_eq!(smaller, simulated("blended", &spelled_out));
    let alone = simulated("blended", &["--set", "agents=5"]);
    assert_ne!(smaller, alone, "--set takes one number alone");
    let own = simulated(
        "blended",
        &["--agents", "5", "--set", "inbound_per_hour=120"],
    );
    assert_eq!(own, alone, "what is set is taken as it stands");
}
