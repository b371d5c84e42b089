//! Agents' phones that ring out or decline, from SIPp; and baresip, which hears and is heard.

mod lab;

use lab::sound::{assert_heard, blocks_of, channel};
use lab::tools::{Asterisk, Baresip, Sipp};
use lab::{Plan, became};
use model::event::{Fact, OfferFailure, Party};
use std::time::Duration;

const QUEUE: &str = "ring_timeout_ms = 2000\nwrap_up_ms = 0";

/// Anna, whose phone does `scenario`, is idle for longer than Bilal, whose phone answers.
fn offer_moves_on(scenario: &str, why: OfferFailure) {
    let mut lab = Plan::new()
        .queue("sales", QUEUE)
        .agent("anna", &["sales"], 0)
        .agent("bilal", &["sales"], 0)
        .start();
    let mut first = Sipp::phone(&lab, "anna", scenario).start();
    let mut second = Sipp::phone(&lab, "bilal", "agent_waits_for_bye.xml").start();
    lab.make_available("anna");
    lab.make_available("bilal");
    let mut caller = Sipp::caller(&lab, "caller", "caller_hangs_up_waiting.xml", "200")
        .with(&["-d", "5000"])
        .start();
    let failed = lab.fact("anna's offer fails", |fact| {
        matches!(fact, Fact::OfferFailed { .. })
    });
    assert!(
        matches!(&failed.fact, Fact::OfferFailed { agent, why: found, .. } if agent.as_str() == "anna" && *found == why),
        "{failed:?}"
    );
    lab.fact(
        "bilal talks",
        |fact| matches!(fact, Fact::CallBridged { agent, .. } if agent.as_str() == "bilal"),
    );
    caller.succeeds();
    first.quits_well();
    second.quits_well();
    lab.fact("the call ends", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    lab.fact("anna takes no calls for now", |fact| {
        became(fact, "anna", "not_ready")
    });
    // In place: one visit to the queue, two offers.
    assert_eq!(
        lab.count(|fact| matches!(fact, Fact::QueueEntered { .. })),
        1
    );
    assert_eq!(lab.count(|fact| matches!(fact, Fact::OfferMade { .. })), 2);
    lab.close();
}

#[test]
fn an_offer_that_rings_out_goes_to_the_next_agent() {
    offer_moves_on("agent_rona.xml", OfferFailure::Timeout);
}

#[test]
fn an_offer_that_is_declined_goes_to_the_next_agent() {
    offer_moves_on("agent_declines.xml", OfferFailure::Rejected);
}

/// What the parties hear is measured where they are: in baresip's dump (which ends with its first
/// hold), in Asterisk's record of what it heard, and in our recording.
fn baresip_hears_and_is_heard(transport: &str) {
    let mut lab = Plan::new()
        .with_md5_only()
        .queue("sales", "wrap_up_ms = 0")
        .agent("anna", &["sales"], 0)
        .start();
    let mut carrier = Asterisk::carrier(&lab);
    let mut phone = Baresip::phone(&lab, "anna", transport, 440);
    lab.make_available("anna");
    carrier.call("100", "+15550100", "1");
    let bridged = lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    lab.pass(bridged.at, Duration::from_secs(4));

    // On hold the caller hears music, not the agent; back from hold, the agent again.
    phone.command("hold");
    let held = lab.fact("the call is held", |fact| {
        matches!(
            fact,
            Fact::CallHeld {
                by: Party::Agent,
                ..
            }
        )
    });
    lab.pass(held.at, Duration::from_secs(3));
    phone.command("resume");
    let resumed = lab.fact("the call is taken back", |fact| {
        matches!(
            fact,
            Fact::CallResumed {
                by: Party::Agent,
                ..
            }
        )
    });
    lab.pass(resumed.at, Duration::from_secs(4));
    phone.command("hangup");
    let ended = lab.fact("the call ends", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    assert!(
        matches!(
            ended.fact,
            Fact::CallEnded {
                by: Party::Agent,
                ..
            }
        ),
        "{ended:?}"
    );
    let recorded = lab.fact("the recording is written", |fact| {
        matches!(fact, Fact::RecordingEnded { .. })
    });
    phone.tool.terminate();
    carrier.tool.terminate();

    let heard = phone.heard();
    assert_heard(
        heard.first().expect("baresip has heard something"),
        0,
        600.0,
        15,
    );
    // In the caller's ears: the agent, at least two seconds without, the agent.
    let caller = channel(&carrier.recording("100", "heard"), 0);
    let is_agent: Vec<bool> = caller
        .chunks_exact(800)
        .map(|block| blocks_of(block, 440.0) == 1)
        .collect();
    let first = is_agent
        .iter()
        .position(|is| *is)
        .expect("the agent is heard");
    let last = is_agent
        .iter()
        .rposition(|is| *is)
        .expect("the agent is heard");
    let mut talks: Vec<usize> = is_agent[first..=last]
        .split(|is| *is)
        .map(<[bool]>::len)
        .collect();
    talks.sort_unstable();
    assert!(
        talks.last().is_some_and(|longest| *longest >= 20),
        "a hold of 3 s: {is_agent:?}"
    );
    let spoken = is_agent.iter().filter(|is| **is).count();
    assert!(
        spoken >= 40,
        "talks of 4 s before and behind it: {is_agent:?}"
    );
    let Fact::RecordingEnded { file, .. } = recorded.fact else {
        panic!("asked for")
    };
    let file = lab.data("recordings").join(file);
    assert_heard(&file, 0, 600.0, 40);
    assert_heard(&file, 1, 440.0, 40);
    lab.close();
}

#[test]
fn baresip_hears_the_caller_and_is_heard_before_and_after_a_hold() {
    baresip_hears_and_is_heard("udp");
}

#[test]
fn baresip_over_tcp_hears_the_caller_and_is_heard() {
    baresip_hears_and_is_heard("tcp");
}
#[test]
fn a_phone_dials_feature_codes_to_begin_work_and_to_take_calls() {
    let mut lab = Plan::new()
        .with_md5_only()
        .queue("sales", "wrap_up_ms = 0")
        .agent("anna", &["sales"], 0)
        .start();
    let phone = Baresip::phone(&lab, "anna", "udp", 440);
    let registered = lab::look(lab::PATIENCE, || {
        let log = std::fs::read_to_string(phone.folder.join("log")).unwrap_or_default();
        log.contains("200 OK").then_some(())
    });
    assert!(registered.is_some(), "baresip registers");
    for (code, state) in [
        ("*11", "not_ready"),
        ("*13", "available"),
        ("*14", "not_ready"),
        ("*12", "signed_out"),
    ] {
        phone.command(&format!("dial sip:{code}@{}", lab.sip));
        let seen = lab.events().len();
        lab.within(
            Duration::from_secs(30),
            &format!("{code} is obeyed"),
            |events| {
                let mut legs = events
                    .iter()
                    .filter(|event| matches!(event.fact, Fact::LegStarted { .. }))
                    .count();
                legs -= events
                    .iter()
                    .filter(|event| matches!(event.fact, Fact::LegEnded { .. }))
                    .count();
                let obeyed = events
                    .iter()
                    .rev()
                    .find(|event| matches!(event.fact, Fact::AgentStateChanged { .. }));
                (events.len() > seen
                    && legs == 0
                    && obeyed.is_some_and(|event| became(&event.fact, "anna", state)))
                .then_some(())
            },
        );
    }
    lab.close();
}
