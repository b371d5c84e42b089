//! Calls that are given up before they are answered, and answers that cross the CANCEL (RFC 3261 §9.1).

mod common;

use common::*;
use model::LegId;
use sip::endpoint::{Input, Transport};
use std::time::Duration;

const OURS: LegId = LegId(1);
const THEIRS: LegId = LegId(1000);

/// An INVITE is on its way.
fn invited() -> Net {
    let mut net = pair(1);
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    net
}

/// The far end rings, and we have heard it.
fn ringing() -> Net {
    let mut net = invited();
    net.run_ms(50);
    net.put(1, Input::Ring { leg: THEIRS });
    net.run_ms(50);
    net.told(0);
    net
}

/// The 200 is on its way.
fn answering() -> Net {
    let mut net = invited();
    net.run_ms(50);
    net.told(1);
    let sdp = ANSWER.to_vec();
    net.put(1, Input::Accept { leg: THEIRS, sdp });
    net
}

fn hang_up(q850: u8) -> Input<'static> {
    Input::HangUp { leg: OURS, q850 }
}

fn give_up() -> Input<'static> {
    Input::Cancel {
        leg: OURS,
        q850: 19,
    }
}

#[test]
fn a_cancel_ends_a_ringing_call() {
    let mut net = ringing();
    net.put(0, hang_up(26));
    assert!(
        net.ends[0]
            .sent
            .last()
            .unwrap()
            .contains("Reason: Q.850;cause=26\r\n")
    );
    net.settle();
    assert_eq!(net.told(0), [] as [&str; 0]);
    assert_eq!(net.told(1)[1..], ["ended Cancelled"]);
    assert_eq!(net.sent(0), ["INVITE", "CANCEL", "ACK"]);
    assert_eq!(net.sent(1)[2..], ["200 OK", "487 Request Terminated"]);
    net.assert_idle();
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut net = invited();
    net.put(0, hang_up(16));
    assert_eq!(net.sent(0), ["INVITE"]);
    net.settle();
    assert_eq!(net.sent(0), ["CANCEL", "ACK"]);
    assert_eq!(net.told(1)[1..], ["ended Cancelled"]);
    net.assert_idle();
}

#[test]
fn a_200_that_crosses_a_cancel_is_acknowledged_and_ended_with_bye() {
    let mut net = answering();
    net.put(0, hang_up(16));
    net.settle();
    assert_eq!(net.told(0), [] as [&str; 0]);
    assert_eq!(net.told(1), ["confirmed sdp false", "ended Bye(Some(16))"]);
    assert_eq!(net.sent(0), ["INVITE", "CANCEL", "ACK", "BYE"]);
    net.assert_idle();
}

#[test]
fn a_200_that_crosses_a_call_given_up_is_told_and_the_call_is_up() {
    let mut net = answering();
    net.put(0, give_up());
    net.run_ms(500);
    assert_eq!(net.told(0), ["answered"]);
    assert_eq!(net.told(1), ["confirmed sdp false"]);
    assert_eq!(net.sent(0), ["INVITE", "CANCEL", "ACK"]);
    // Nothing of the wish is left.
    net.put(0, give_up());
    net.run_ms(500);
    assert_eq!(net.sent(0), [] as [&str; 0]);
    net.put(0, hang_up(16));
    net.settle();
    assert_eq!(net.told(1), ["ended Bye(Some(16))"]);
    net.assert_idle();
}

#[test]
fn a_call_given_up_is_told_to_have_failed_even_where_nobody_says_so() {
    let mut net = ringing();
    net.put(0, give_up());
    net.run_ms(500);
    assert_eq!(net.told(0), ["failed 487"]);
    assert_eq!(net.sent(0), ["INVITE", "CANCEL", "ACK"]);
    net.settle();
    net.assert_idle();

    // A peer that rings and then says nothing more: 64·T1 after the CANCEL nobody waits (RFC 3261 §9.1).
    let mut net = ringing();
    net.eat = Box::new(|text| text.starts_with("SIP/2.0"));
    net.put(0, give_up());
    net.run(Duration::from_millis(31_900));
    assert_eq!(net.told(0), [] as [&str; 0]);
    net.run(Duration::from_millis(200));
    assert_eq!(net.told(0), ["failed 408"]);

    // One that was hung up after all is silent again.
    let mut net = invited();
    net.put(0, give_up());
    net.put(0, hang_up(16));
    net.settle();
    assert_eq!(net.told(0), [] as [&str; 0]);
    net.assert_idle();
}
