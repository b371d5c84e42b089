//! Calls between two endpoints: set up, changed, ended, and each of it going wrong.

mod common;

use common::*;
use model::LegId;
use sip::endpoint::{Command, Credentials, Input, Transport};
use std::time::Duration;

const OURS: LegId = LegId(1);
const THEIRS: LegId = LegId(1000);

#[test]
fn a_call_is_placed_rung_answered_and_hung_up_on_udp_and_tcp() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = call(transport);
        assert_eq!(net.told(0), ["ringing media false", "answered"]);
        assert_eq!(
            net.told(1),
            [
                "arrived 4930123456 from anna offer true",
                "confirmed sdp false"
            ]
        );
        net.put(
            0,
            Input::HangUp {
                leg: OURS,
                q850: 16,
            },
        );
        net.settle();
        assert_eq!(net.told(0), [] as [&str; 0]);
        assert_eq!(net.told(1), ["ended Bye(Some(16))"]);
        assert_eq!(net.sent(0), ["INVITE", "ACK", "BYE"]);
        assert_eq!(
            net.sent(1),
            ["100 Trying", "180 Ringing", "200 OK", "200 OK"]
        );
        net.assert_idle();
    }
}

#[test]
fn the_called_side_hangs_up() {
    let mut net = call(Transport::Udp);
    net.told(0);
    net.put(
        1,
        Input::HangUp {
            leg: THEIRS,
            q850: 17,
        },
    );
    net.settle();
    assert_eq!(net.told(0), ["ended Bye(Some(17))"]);
    net.assert_idle();
}

#[test]
fn names_and_headers_cannot_break_out_of_their_lines() {
    let mut net = pair(1);
    let mut invite = invite(1, Transport::Udp);
    invite.from_name = Some("A\r\nEvil: 1".to_owned());
    invite.from_user = "a b@c".to_owned();
    invite.headers = vec![("X\r\nEvil".to_owned(), "1\r\nEvil: 2".to_owned())];
    net.put(0, Input::Invite(Box::new(invite)));
    net.run_ms(50);
    assert!(
        !net.ends[0].sent[0].contains("\r\nEvil"),
        "{}",
        net.ends[0].sent[0]
    );
    let Command::Arrived(arrived) = &net.ends[1].told[0] else {
        panic!("the call arrives");
    };
    assert_eq!(
        (arrived.caller.as_str(), arrived.sdp.as_deref()),
        ("a b@c", Some(OFFER))
    );
}

#[test]
fn a_refusal_reaches_the_caller_and_is_acknowledged() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = pair(1);
        net.put(0, Input::Invite(Box::new(invite(1, transport))));
        net.run_ms(50);
        net.put(
            1,
            Input::Reject {
                leg: THEIRS,
                status: 486,
            },
        );
        net.settle();
        assert_eq!(net.told(0), ["failed 486"]);
        assert_eq!(net.sent(0), ["INVITE", "ACK"]);
        assert_eq!(net.sent(1), ["100 Trying", "486 Busy Here"]);
        net.assert_idle();
    }
}

#[test]
fn a_refusal_is_repeated_by_timer_g_until_its_ack_arrives() {
    let mut net = pair(1);
    let mut eaten = 0;
    net.eat = Box::new(move |text| {
        eaten += usize::from(text.starts_with("ACK"));
        text.starts_with("ACK") && eaten <= 2
    });
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    net.run_ms(50);
    net.put(
        1,
        Input::Reject {
            leg: THEIRS,
            status: 486,
        },
    );
    net.settle();
    assert_eq!(net.sent(0), ["INVITE", "ACK", "ACK", "ACK"]);
    assert_eq!(net.ends[1].endpoint.counters().retransmitted, 2);
    assert_eq!(net.ends[1].endpoint.counters().timed_out, 0);
    net.assert_idle();
}

#[test]
fn an_invite_nobody_answers_fails_with_408_after_64_t1() {
    let mut net = pair(1);
    net.loss = 1.0;
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    net.run(Duration::from_millis(31_999));
    assert_eq!(net.told(0), [] as [&str; 0]);
    net.settle();
    assert_eq!(net.told(0), ["failed 408"]);
    assert_eq!(net.sent(0).len(), 7);
    net.assert_idle();
}

#[test]
fn a_hop_that_fails_fails_its_calls_at_once() {
    let mut net = pair(1);
    net.loss = 1.0;
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    net.put(
        0,
        Input::HopFailed {
            hop: hop(0, 1, Transport::Udp),
        },
    );
    assert_eq!(net.told(0), ["failed 503"]);
    net.assert_idle();
}

#[test]
fn a_copy_of_an_invite_is_absorbed_and_answered_alike() {
    let mut net = pair(1);
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    net.run_ms(50);
    let copy = net.ends[0].sent[0].clone();
    net.inject(1, hop(1, 0, Transport::Udp), &copy);
    net.put(1, Input::Ring { leg: THEIRS });
    net.inject(1, hop(1, 0, Transport::Udp), &copy);
    assert_eq!(
        net.sent(1),
        ["100 Trying", "100 Trying", "180 Ringing", "180 Ringing"]
    );
    assert_eq!(net.told(1).len(), 1);
    assert_eq!(net.ends[1].endpoint.counters().absorbed, 2);
}

#[test]
fn a_call_whose_ack_never_comes_is_lost_after_64_t1_and_ended_with_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = pair(1);
        net.eat = Box::new(|text| text.starts_with("ACK"));
        net.put(0, Input::Invite(Box::new(invite(1, transport))));
        net.run_ms(50);
        net.told(1);
        net.put(
            1,
            Input::Accept {
                leg: THEIRS,
                sdp: ANSWER.to_vec(),
            },
        );
        net.settle();
        assert_eq!(net.told(1), ["ended Lost"]);
        assert_eq!(net.told(0), ["answered", "ended Bye(Some(102))"]);
        let oks = net.sent(1).iter().filter(|s| *s == "200 OK").count();
        assert_eq!(oks, 11, "the 2xx leaves 11 times in 32 s");
        net.assert_idle();
    }
}

#[test]
fn a_lost_ack_is_sent_again_for_each_copy_of_the_200() {
    let mut net = pair(1);
    let mut eaten = 0;
    net.eat = Box::new(move |text| {
        eaten += usize::from(text.starts_with("ACK"));
        text.starts_with("ACK") && eaten <= 3
    });
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    net.run_ms(50);
    net.put(
        1,
        Input::Accept {
            leg: THEIRS,
            sdp: ANSWER.to_vec(),
        },
    );
    net.run(Duration::from_secs(10));
    assert_eq!(net.told(0), ["answered"]);
    assert_eq!(net.told(1)[1..], ["confirmed sdp false"]);
    assert_eq!(net.sent(0), ["INVITE", "ACK", "ACK", "ACK", "ACK"]);
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut net = pair(1);
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    net.run_ms(50);
    net.put(
        1,
        Input::Accept {
            leg: THEIRS,
            sdp: ANSWER.to_vec(),
        },
    );
    net.put(
        1,
        Input::HangUp {
            leg: THEIRS,
            q850: 16,
        },
    );
    assert_eq!(net.sent(1), ["100 Trying", "200 OK"]);
    net.settle();
    assert_eq!(net.sent(1), ["BYE"]);
    assert_eq!(net.told(0), ["answered", "ended Bye(Some(16))"]);
    net.assert_idle();
}

#[test]
fn a_lost_bye_is_repeated_and_one_that_never_arrives_is_given_up() {
    let mut net = call(Transport::Udp);
    net.told(0);
    let mut eaten = 0;
    net.eat = Box::new(move |text| {
        eaten += usize::from(text.starts_with("BYE"));
        text.starts_with("BYE") && eaten <= 3
    });
    net.put(
        1,
        Input::HangUp {
            leg: THEIRS,
            q850: 16,
        },
    );
    net.settle();
    assert_eq!(net.told(0), ["ended Bye(Some(16))"]);
    net.assert_idle();

    let mut net = call(Transport::Udp);
    net.loss = 1.0;
    net.put(
        1,
        Input::HangUp {
            leg: THEIRS,
            q850: 16,
        },
    );
    net.settle();
    assert_eq!(net.ends[1].endpoint.live(), (0, 0, 0));
    assert_eq!(net.ends[1].endpoint.counters().timed_out, 1);
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut net = call(Transport::Udp);
    net.sent(0);
    net.sent(1);
    net.put(
        0,
        Input::HangUp {
            leg: OURS,
            q850: 16,
        },
    );
    net.put(
        1,
        Input::HangUp {
            leg: THEIRS,
            q850: 16,
        },
    );
    net.settle();
    assert_eq!(net.sent(0), ["BYE", "200 OK"]);
    assert_eq!(net.sent(1), ["BYE", "200 OK"]);
    net.assert_idle();
}

#[test]
fn a_call_is_held_and_resumed_by_either_side() {
    let mut net = call(Transport::Udp);
    let (mut ours, mut theirs) = (OURS, THEIRS);
    for (from, to) in [(0, 1), (1, 0)] {
        net.told(0);
        net.told(1);
        net.put(
            from,
            Input::Reinvite {
                leg: ours,
                sdp: OFFER.to_vec(),
            },
        );
        net.run_ms(50);
        assert_eq!(net.told(to), ["reinvited offer true"]);
        net.put(
            to,
            Input::AcceptReinvite {
                leg: theirs,
                sdp: ANSWER.to_vec(),
            },
        );
        net.run_ms(50);
        assert_eq!(net.told(from), ["reinvite answered true"]);
        net.put(
            from,
            Input::Reinvite {
                leg: ours,
                sdp: OFFER.to_vec(),
            },
        );
        net.run_ms(50);
        net.put(
            to,
            Input::RejectReinvite {
                leg: theirs,
                status: 488,
            },
        );
        net.run_ms(50);
        assert_eq!(net.told(from), ["reinvite answered false"]);
        (ours, theirs) = (theirs, ours);
    }
    net.put(
        0,
        Input::HangUp {
            leg: OURS,
            q850: 16,
        },
    );
    net.settle();
    assert_eq!(net.told(1).last().unwrap(), "ended Bye(Some(16))");
    net.assert_idle();
}

#[test]
fn reinvites_that_cross_are_refused_with_491_and_tried_again() {
    let mut net = call(Transport::Udp);
    net.told(0);
    net.told(1);
    for (end, leg) in [(0, OURS), (1, THEIRS)] {
        net.ends[end].script = Box::new(move |told, _| match told {
            Command::Reinvited { .. } => {
                vec![Input::AcceptReinvite {
                    leg,
                    sdp: ANSWER.to_vec(),
                }]
            }
            _ => Vec::new(),
        });
        net.put(
            end,
            Input::Reinvite {
                leg,
                sdp: OFFER.to_vec(),
            },
        );
    }
    net.run(Duration::from_secs(10));
    for end in [0, 1] {
        let mut told = net.told(end);
        told.sort();
        assert_eq!(told, ["reinvite answered true", "reinvited offer true"]);
        assert!(net.sent(end).contains(&"491 Request Pending".to_owned()));
    }
}

#[test]
fn a_reinvite_the_peer_no_longer_knows_loses_the_call() {
    let mut net = call(Transport::Udp);
    net.told(0);
    net.eat = Box::new(|text| text.starts_with("BYE"));
    net.put(
        1,
        Input::HangUp {
            leg: THEIRS,
            q850: 16,
        },
    );
    net.run(Duration::from_secs(40));
    net.put(
        0,
        Input::Reinvite {
            leg: OURS,
            sdp: OFFER.to_vec(),
        },
    );
    net.eat = Box::new(|_| false);
    net.settle();
    assert_eq!(net.told(0), ["ended Lost"]);
    net.assert_idle();
}

#[test]
fn a_delayed_offer_is_made_in_the_200_and_answered_in_the_ack() {
    let mut net = pair(1);
    let text = foreign_invite("INVITE", "a", 1, "");
    net.inject(1, hop(1, 9, Transport::Udp), &text);
    assert_eq!(net.told(1), ["arrived 1 from bob offer false"]);
    net.put(
        1,
        Input::Accept {
            leg: THEIRS,
            sdp: OFFER.to_vec(),
        },
    );
    let to = header(net.ends[1].sent.last().unwrap(), "To").to_owned();
    let sdp = String::from_utf8(ANSWER.to_vec()).unwrap();
    let ack =
        foreign_invite("ACK", "b", 1, &sdp).replace("To: <sip:1@10.0.0.1>", &format!("To: {to}"));
    net.inject(1, hop(1, 9, Transport::Udp), &ack);
    assert_eq!(net.told(1), ["confirmed sdp true"]);
}

/// A request of somebody at 10.0.0.9 who wrote it by hand.
fn foreign_invite(method: &str, branch: &str, cseq: u32, sdp: &str) -> String {
    let content_type = if sdp.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "{method} sip:1@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{branch}\r\n\
         Record-Route: <sip:10.0.0.9;lr>\r\nFrom: <sip:bob@10.0.0.9>;tag=t\r\nTo: <sip:1@10.0.0.1>\r\n\
         Call-ID: foreign\r\nCSeq: {cseq} {method}\r\nContact: <sip:bob@10.0.0.9>\r\n{content_type}\
         Max-Forwards: 70\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

#[test]
fn a_merged_request_is_refused_and_the_first_lives_on() {
    let mut net = pair(1);
    net.inject(
        1,
        hop(1, 9, Transport::Udp),
        &foreign_invite("INVITE", "a", 1, ""),
    );
    net.inject(
        1,
        hop(1, 9, Transport::Udp),
        &foreign_invite("INVITE", "b", 1, ""),
    );
    assert_eq!(net.sent(1), ["100 Trying", "482 Loop Detected"]);
    assert_eq!(net.told(1).len(), 1);
}

#[test]
fn extensions_bodies_and_methods_nobody_understands_are_refused_with_what_is() {
    let sdp = String::from_utf8(OFFER.to_vec()).unwrap();
    let base = foreign_invite("INVITE", "a", 1, &sdp);
    let require = base.replace("Max-Forwards", "Require: path, 100rel\r\nMax-Forwards");
    let cases = [
        (require, "420 Bad Extension", "Unsupported: path"),
        (
            base.replace("application/sdp", "text/plain"),
            "415 Unsupported Media Type",
            "Accept: application/sdp",
        ),
        (
            base.replace("INVITE", "DANCE"),
            "501 Not Implemented",
            "Allow: INVITE",
        ),
        (
            base.replace("INVITE", "MESSAGE"),
            "405 Method Not Allowed",
            "Allow: INVITE",
        ),
        (
            base.replace("INVITE", "BYE"),
            "481 Call/Transaction Does Not Exist",
            "",
        ),
        (base.replace("INVITE", "OPTIONS"), "200 OK", "Allow: INVITE"),
    ];
    for (request, status, line) in cases {
        let mut net = pair(1);
        net.inject(1, hop(1, 9, Transport::Udp), &request);
        assert!(
            net.ends[1].sent[0].contains(line),
            "{}",
            net.ends[1].sent[0]
        );
        assert_eq!(net.sent(1), [status], "{request}");
        net.assert_idle();
    }
}

#[test]
fn a_response_goes_where_the_request_came_from_whatever_via_says() {
    let mut net = pair(1);
    let options = foreign_invite("OPTIONS", "a", 1, "");
    let lie = options.replace("UDP 10.0.0.9", "UDP 192.0.2.1:7777");
    let mut from = hop(1, 9, Transport::Udp);
    from.remote.set_port(12345);
    let mut out = model::Outbox::new();
    for (text, port) in [
        (lie.clone(), 7777),
        (lie.replace(";branch", ";rport;branch"), 12345),
    ] {
        let input = Input::Received {
            hop: from,
            bytes: text.as_bytes(),
        };
        net.ends[1].endpoint.handle(net.now, input, &mut out);
        let Some(Command::Send { hop, bytes }) = out.commands.pop_front() else {
            panic!("an answer");
        };
        assert_eq!(
            hop.remote,
            std::net::SocketAddr::from(([10, 0, 0, 9], port))
        );
        assert!(
            String::from_utf8(bytes)
                .unwrap()
                .contains(";received=10.0.0.9")
        );
    }
}

#[test]
fn digits_come_by_info_in_both_formats() {
    let mut net = call(Transport::Udp);
    net.told(1);
    let ack = net.ends[0].sent[1].clone();
    let formats = [
        (
            "application/dtmf-relay",
            "Signal=5\r\nDuration=160\r\n",
            "200 OK",
            vec!["digit 5"],
        ),
        (
            "application/dtmf-relay",
            "Signal= 11\r\n",
            "200 OK",
            vec!["digit #"],
        ),
        ("application/dtmf", "*", "200 OK", vec!["digit *"]),
        ("application/dtmf", "55", "400 Bad Request", vec![]),
        ("text/plain", "5", "415 Unsupported Media Type", vec![]),
    ];
    for (i, (content_type, body, status, told)) in formats.into_iter().enumerate() {
        net.sent(1);
        let info = ack
            .replace("branch=z9hG4bK", &format!("branch=z9hG4bK{i}x"))
            .replace("CSeq: 1 ACK", &format!("CSeq: {} INFO", i + 2))
            .replace("ACK sip", "INFO sip")
            .replace(
                "Content-Length: 0\r\n\r\n",
                &format!(
                    "Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
            );
        net.inject(1, hop(1, 0, Transport::Udp), &info);
        assert_eq!(net.sent(1), [status]);
        assert_eq!(net.told(1), told);
    }
}

#[test]
fn a_request_out_of_order_is_refused_and_options_and_update_are_answered_in_the_dialog() {
    let mut net = call(Transport::Udp);
    let ack = net.ends[0].sent[1].clone();
    let in_dialog = |method: &str, cseq: u32| {
        ack.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{cseq}{method}"))
            .replace("CSeq: 1 ACK", &format!("CSeq: {cseq} {method}"))
            .replace("ACK sip", &format!("{method} sip"))
    };
    net.sent(1);
    for (method, cseq, status) in [
        ("OPTIONS", 5, "200 OK"),
        ("UPDATE", 6, "200 OK"),
        ("BYE", 4, "500 CSeq Out Of Order"),
        ("REFER", 7, "400 Missing Header"),
        ("NOTIFY", 8, "405 Method Not Allowed"),
        ("PRACK", 9, "400 Malformed Header"),
    ] {
        net.inject(1, hop(1, 0, Transport::Udp), &in_dialog(method, cseq));
        let sent = net.sent(1);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0][..3], status[..3], "{method}: {sent:?}");
    }
}

/// Answers of a peer that is written by hand, to the last request end 0 sent.
fn answer_by_hand(request: &str, status: &str, tag: &str, lines: &str, sdp: &str) -> String {
    let content_type = if sdp.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag={tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:peer@10.0.0.1>\r\n{lines}{content_type}Content-Length: {}\r\n\r\n{sdp}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "To"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        sdp.len()
    )
}

#[test]
fn a_second_branch_of_a_forked_call_is_acknowledged_and_ended() {
    let mut net = pair(1);
    net.eat = Box::new(|_| true);
    let here = hop(0, 1, Transport::Udp);
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    let request = net.ends[0].sent[0].clone();
    let sdp = String::from_utf8(ANSWER.to_vec()).unwrap();
    net.inject(
        0,
        here,
        &answer_by_hand(&request, "200 OK", "one", "", &sdp),
    );
    net.sent(0);
    for _ in 0..2 {
        net.inject(
            0,
            here,
            &answer_by_hand(&request, "200 OK", "two", "", &sdp),
        );
    }
    let sent = net.ends[0].sent.clone();
    assert_eq!(net.sent(0), ["ACK", "BYE", "ACK"]);
    assert!(
        sent.iter().all(|text| text.contains(";tag=two\r\n")),
        "{sent:?}"
    );
    assert_eq!(net.told(0), ["answered"]);
    // Also when the leg is long gone.
    net.put(
        0,
        Input::HangUp {
            leg: OURS,
            q850: 16,
        },
    );
    let bye = net.ends[0].sent.last().unwrap().clone();
    net.inject(0, here, &answer_by_hand(&bye, "200 OK", "", "", ""));
    net.sent(0);
    net.inject(
        0,
        here,
        &answer_by_hand(&request, "200 OK", "three", "", &sdp),
    );
    assert_eq!(net.sent(0), ["ACK", "BYE"]);
    net.settle();
    net.assert_idle();
}

#[test]
fn early_media_is_told_and_reliable_progress_is_acknowledged_once() {
    let mut net = pair(1);
    net.eat = Box::new(|_| true);
    let here = hop(0, 1, Transport::Udp);
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    let request = net.ends[0].sent[0].clone();
    let sdp = String::from_utf8(ANSWER.to_vec()).unwrap();
    let reliable = "Require: 100rel\r\nRSeq: 7\r\n";
    for _ in 0..2 {
        let progress = answer_by_hand(&request, "183 Session Progress", "one", reliable, &sdp);
        net.inject(0, here, &progress);
    }
    assert_eq!(net.told(0), ["ringing media true"]);
    assert!(
        net.ends[0].sent[1].contains("RAck: 7 1 INVITE\r\n"),
        "{}",
        net.ends[0].sent[1]
    );
    assert_eq!(net.sent(0), ["INVITE", "PRACK"]);
    // The answer was in the 183: a 200 without SDP is enough.
    net.inject(0, here, &answer_by_hand(&request, "200 OK", "one", "", ""));
    assert_eq!(net.told(0), ["answered"]);
    assert_eq!(net.sent(0), ["ACK"]);
}

#[test]
fn a_200_without_sdp_is_told_as_an_answer_without() {
    let mut net = pair(1);
    net.eat = Box::new(|_| true);
    net.put(0, Input::Invite(Box::new(invite(1, Transport::Udp))));
    let request = net.ends[0].sent[0].clone();
    net.inject(
        0,
        hop(0, 1, Transport::Udp),
        &answer_by_hand(&request, "200 OK", "one", "", ""),
    );
    assert!(matches!(
        &net.ends[0].told[..],
        [Command::Answered { sdp, .. }] if sdp.is_empty()
    ));
    assert_eq!(net.sent(0), ["INVITE", "ACK"]);
    net.put(
        0,
        Input::HangUp {
            leg: OURS,
            q850: 88,
        },
    );
    assert_eq!(net.sent(0), ["BYE"]);
    net.settle();
    net.assert_idle();
}

#[test]
fn a_peer_that_requires_100rel_gets_its_180_until_it_acknowledges() {
    let mut net = pair(1);
    net.eat = Box::new(|_| true);
    let here = hop(1, 9, Transport::Udp);
    let text = foreign_invite("INVITE", "a", 1, std::str::from_utf8(OFFER).unwrap())
        .replace("Max-Forwards", "Require: 100rel\r\nMax-Forwards");
    net.inject(1, here, &text);
    net.put(1, Input::Ring { leg: THEIRS });
    net.run_ms(1600);
    let ringing = net.ends[1].sent.last().unwrap().clone();
    assert_eq!(
        net.sent(1),
        ["100 Trying", "180 Ringing", "180 Ringing", "180 Ringing"]
    );
    let prack = foreign_invite("PRACK", "b", 2, "")
        .replace(
            "To: <sip:1@10.0.0.1>",
            &format!("To: {}", header(&ringing, "To")),
        )
        .replace(
            "Max-Forwards",
            &format!(
                "RAck: {} 1 INVITE\r\nMax-Forwards",
                header(&ringing, "RSeq")
            ),
        );
    net.inject(1, here, &prack);
    net.run_ms(5000);
    assert_eq!(net.sent(1), ["200 OK"]);
    net.put(
        1,
        Input::HangUp {
            leg: THEIRS,
            q850: 17,
        },
    );
    assert_eq!(net.sent(1), ["486 Busy Here"]);
}

#[test]
fn a_challenge_of_a_carrier_is_answered_once() {
    for (status, line, answer) in [
        (
            "401 Unauthorized",
            "WWW-Authenticate",
            "Authorization: Digest",
        ),
        (
            "407 Proxy Authentication Required",
            "Proxy-Authenticate",
            "Proxy-Authorization: Digest",
        ),
    ] {
        let mut net = pair(1);
        net.eat = Box::new(|_| true);
        let mut call = invite(1, Transport::Udp);
        call.credentials = Some(Credentials {
            user: "u".to_owned(),
            password: "p".to_owned(),
        });
        net.put(0, Input::Invite(Box::new(call)));
        let challenge = format!("{line}: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n");
        for _ in 0..2 {
            let request = net.ends[0]
                .sent
                .iter()
                .rfind(|t| t.starts_with("INVITE"))
                .unwrap()
                .clone();
            let refused = answer_by_hand(&request, status, "x", &challenge, "");
            net.inject(0, hop(0, 1, Transport::Udp), &refused);
        }
        assert!(
            net.ends[0].sent[2].contains(answer),
            "{}",
            net.ends[0].sent[2]
        );
        assert!(net.ends[0].sent[2].contains("CSeq: 2 INVITE"));
        assert_eq!(net.sent(0), ["INVITE", "ACK", "INVITE", "ACK"]);
        assert_eq!(net.told(0), [format!("failed {}", &status[..3])]);
        net.settle();
        net.assert_idle();
    }
}
