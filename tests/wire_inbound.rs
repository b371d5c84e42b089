//! Calls that come in, from SIPp: digits, a queue, an agent's phone, and every way to hang up.

mod lab;

use lab::tools::Sipp;
use lab::wire::{Wire, sdp};
use lab::{Lab, Plan, became};
use model::event::{Fact, Party};
use model::{Cause, QueueOutcome};
use std::time::Duration;

/// From the caller's end to an agent who is available again.
const FREED_WITHIN: Duration = Duration::from_millis(200);

fn lab() -> Lab {
    Plan::new()
        .queue("sales", "wrap_up_ms = 0")
        .agent("anna", &["sales"], 0)
        .start()
}

/// Waits for the end of the only call: who ended it.
fn ended_by(lab: &mut Lab) -> Party {
    let event = lab.fact("the call ends", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    match event.fact {
        Fact::CallEnded { by, .. } => by,
        other => panic!("{other:?}"),
    }
}

/// The recording of the only call is on disk and has sound in it for as long as it says.
fn assert_recorded(lab: &mut Lab) {
    let event = lab.fact("the recording is written", |fact| {
        matches!(fact, Fact::RecordingEnded { .. })
    });
    let Fact::RecordingEnded { file, seconds, .. } = event.fact else {
        panic!("asked for")
    };
    let wav = hound::WavReader::open(lab.data("recordings").join(file)).expect("a WAV file");
    assert_eq!((wav.spec().channels, wav.spec().sample_rate), (2, 8_000));
    let length = f64::from(wav.duration()) / 8_000.0;
    assert!(
        (length - seconds).abs() < 0.1 && seconds > 0.5,
        "{length} s in the file, {seconds} s told"
    );
}

fn assert_path(lab: &mut Lab) {
    assert_eq!(
        lab.count(|fact| matches!(fact, Fact::IvrNodeReached { node, .. } if node == "to_sales")),
        1
    );
    let answered = |fact: &Fact| {
        matches!(
            fact,
            Fact::QueueLeft {
                outcome: QueueOutcome::Answered,
                ..
            }
        )
    };
    assert_eq!(lab.count(answered), 1);
    assert_eq!(
        lab.count(
            |fact| matches!(fact, Fact::CallBridged { agent, .. } if agent.as_str() == "anna")
        ),
        1
    );
}

#[test]
fn a_caller_presses_a_key_and_talks_until_the_agent_hangs_up() {
    let mut lab = lab();
    // A phone that hangs up is asked for its proof like any other request, which SIPp does not have;
    // baresip and Asterisk do. This agent hangs up on the screen.
    let mut phone = Sipp::phone(&lab, "anna", "agent_waits_for_bye.xml").start();
    lab.make_available("anna");
    let mut caller = Sipp::caller(&lab, "caller", "caller_with_digits.xml", "100")
        .with(&["-key", "digits", "1"])
        .start();
    let bridged = lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    lab.pass(bridged.at, Duration::from_secs(1));
    lab.act("anna", "hang_up");
    assert_eq!(ended_by(&mut lab), Party::Agent);
    caller.succeeds();
    phone.quits_well();
    assert_path(&mut lab);
    assert_recorded(&mut lab);
    lab.close();
}

#[test]
fn a_caller_presses_a_key_talks_and_hangs_up() {
    let mut lab = lab();
    let mut phone = Sipp::phone(&lab, "anna", "agent_waits_for_bye.xml").start();
    lab.make_available("anna");
    let mut caller = Sipp::caller(&lab, "caller", "caller_hangs_up.xml", "100")
        .with(&["-key", "digits", "1", "-d", "4000"])
        .start();
    lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    assert_eq!(ended_by(&mut lab), Party::Customer);
    caller.succeeds();
    phone.quits_well();
    assert_path(&mut lab);
    assert_recorded(&mut lab);
    lab.close();
}

#[test]
fn a_key_that_means_nothing_here_reaches_no_queue() {
    let mut lab = lab();
    let mut caller = Sipp::caller(&lab, "caller", "caller_with_digits.xml", "100")
        .with(&["-key", "digits", "7"])
        .start();
    assert_eq!(ended_by(&mut lab), Party::System);
    caller.succeeds();
    assert_eq!(lab.count(|fact| matches!(fact, Fact::IvrNoMatch { .. })), 1);
    assert_eq!(
        lab.count(|fact| matches!(fact, Fact::QueueEntered { .. })),
        0
    );
    lab.close();
}

#[test]
fn a_caller_who_gives_up_while_a_phone_rings_frees_the_agent_at_once() {
    let mut lab = lab();
    let mut phone = Sipp::phone(&lab, "anna", "agent_rona.xml").start();
    lab.make_available("anna");
    let mut caller = Sipp::caller(&lab, "caller", "caller_hangs_up_waiting.xml", "200")
        .with(&["-d", "2000"])
        .start();
    lab.fact("the phone rings", |fact| {
        matches!(fact, Fact::LegRinging { .. })
    });
    caller.succeeds();
    // The phone got a CANCEL, and its 487 was acknowledged.
    phone.quits_well();
    // The facts of one instant may stand in any order.
    let left = lab.fact("the caller leaves", |fact| {
        matches!(
            fact,
            Fact::LegEnded {
                cause: Cause::Normal,
                ..
            }
        )
    });
    let freed = lab.until("anna is free", |events| {
        let rang = events
            .iter()
            .position(|event| matches!(event.fact, Fact::LegRinging { .. }))?;
        events[rang..]
            .iter()
            .find(|event| became(&event.fact, "anna", "available"))
            .cloned()
    });
    let took = freed.at.mono - left.at.mono;
    assert!(took <= FREED_WITHIN, "{took:?}");
    assert_eq!(
        lab.count(|fact| matches!(
            fact,
            Fact::QueueLeft {
                outcome: QueueOutcome::Abandoned,
                during_offer: true,
                ..
            }
        )),
        1
    );
    lab.close();
}

#[test]
fn a_caller_who_gives_up_in_the_queue_leaves_nothing_behind() {
    let mut lab = lab();
    let mut caller = Sipp::caller(&lab, "caller", "caller_hangs_up_waiting.xml", "200")
        .with(&["-d", "1000"])
        .start();
    caller.succeeds();
    let abandoned = |fact: &Fact| {
        matches!(
            fact,
            Fact::QueueLeft {
                outcome: QueueOutcome::Abandoned,
                during_offer: false,
                ..
            }
        )
    };
    lab.fact("the caller left the queue", abandoned);
    assert_eq!(ended_by(&mut lab), Party::Customer);
    lab.close();
}

#[test]
fn a_cancel_that_crosses_our_answer_changes_nothing_and_the_caller_can_hang_up() {
    let mut lab = lab();
    let wire = Wire::udp(lab.net.carrier(), lab.sip);
    let invite = wire.request(
        "INVITE",
        "200",
        "crossing",
        "Content-Type: application/sdp\r\n",
        &sdp(lab.net.carrier()),
    );
    let cancel = wire.request("CANCEL", "200", "crossing", "", "");
    wire.send(invite.as_bytes());
    wire.send(cancel.as_bytes());
    let mut seen = Vec::new();
    let ok = lab::look(lab::PATIENCE, || {
        let message = wire.receive(Duration::from_millis(500))?;
        seen.push(message);
        seen.iter()
            .find(|m| m.starts_with("SIP/2.0 200") && m.contains("CSeq: 1 INVITE"))
            .cloned()
    });
    let ok = ok.expect("the INVITE is answered");
    // RFC 3261 §9.2: the CANCEL has no effect once there is a final answer, and is answered 200 all the same.
    let is_cancelled = |m: &String| m.starts_with("SIP/2.0 200") && m.contains("CSeq: 1 CANCEL");
    let cancelled = seen.iter().any(is_cancelled)
        || lab::look(lab::PATIENCE, || {
            wire.receive(Duration::from_millis(500))
                .filter(is_cancelled)
        })
        .is_some();
    assert!(cancelled, "{seen:?}");
    let to = ok
        .lines()
        .find(|line| line.starts_with("To: "))
        .expect("a To")
        .to_string();
    let in_dialog = |method: &str, cseq: u32, branch: &str| {
        wire.request(method, "200", "crossing", "", "")
            .replace("branch=z9hG4bKcrossing", &format!("branch=z9hG4bK{branch}"))
            .replace(&format!("To: <sip:200@{}>", lab.sip), &to)
            .replace(
                &format!("CSeq: 1 {method}"),
                &format!("CSeq: {cseq} {method}"),
            )
    };
    wire.send(in_dialog("ACK", 1, "ack").as_bytes());
    let bye = in_dialog("BYE", 2, "bye");
    assert_eq!(wire.final_status(&bye, "2 BYE"), 200);
    assert_eq!(ended_by(&mut lab), Party::Customer);
    lab.close();
}

#[test]
fn options_are_answered_a_stranger_gets_no_service_and_a_wrong_number_404() {
    let mut lab = lab();
    let carrier = lab.net.carrier();
    let mut asking = Sipp::caller(&lab, "asking", "options.xml", "100").start();
    asking.succeeds();

    let wire = Wire::udp(carrier, lab.sip);
    let offer = sdp(carrier);
    let invite = |wire: &Wire, user: &str, call: &str| {
        wire.request(
            "INVITE",
            user,
            call,
            "Content-Type: application/sdp\r\n",
            &offer,
        )
    };
    assert_eq!(
        wire.final_status(&invite(&wire, "999", "wrong"), "wrong"),
        404
    );
    lab.fact("the wrong number is told", |fact| {
        matches!(
            fact,
            Fact::CallEnded {
                cause: Cause::Unallocated,
                ..
            }
        )
    });

    // A stranger is asked who it is; without a proof there is no call.
    let stranger = Wire::udp(lab.net.stranger(), lab.sip);
    assert_eq!(
        stranger.final_status(&invite(&stranger, "200", "stranger"), "stranger"),
        401
    );
    // What is no INVITE, REGISTER or OPTIONS gets nothing: the next answer is that of the OPTIONS behind it.
    stranger.send(
        stranger
            .request("MESSAGE", "200", "spam", "", "")
            .as_bytes(),
    );
    stranger.send(stranger.request("BYE", "200", "noise", "", "").as_bytes());
    stranger.send(stranger.request("OPTIONS", "", "behind", "", "").as_bytes());
    let first = lab::look(lab::PATIENCE, || {
        stranger.receive(Duration::from_millis(500))
    })
    .expect("an answer");
    assert!(
        first.contains("Call-ID: behind") || first.contains("Call-ID: stranger"),
        "{first}"
    );
    let events = lab.close();
    let arrived = events
        .iter()
        .filter(|event| matches!(event.fact, Fact::CallArrived { .. }))
        .count();
    assert_eq!(arrived, 1, "only the trunk's call arrived");
}
