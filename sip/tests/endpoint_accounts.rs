//! Who may do what: digest for phones, trunks by address, registrations in both directions.

mod common;

use common::*;
use model::{LegId, TrunkId};
use sip::endpoint::{Command, Config, Input, Source, Transport, TrunkPeer};
use std::time::Duration;

fn trunk() -> TrunkId {
    "carrier".parse().unwrap()
}

fn register(user: &str, expires_s: u32) -> Input<'static> {
    Input::Register {
        trunk: trunk(),
        hop: hop(0, 1, Transport::Udp),
        registrar: "sip:10.0.0.1".to_owned(),
        aor_user: user.to_owned(),
        credentials: credentials(user),
        expires_s,
    }
}

/// End 0 is a phone, end 1 asks accounts for digest, end 2 is a carrier end 1 knows by address.
fn house() -> Net {
    let engine = Config {
        accounts: vec![account("anna"), account("ben")],
        trunks: vec![TrunkPeer {
            trunk: trunk(),
            addresses: vec![address(2)],
        }],
        open: false,
        ..config()
    };
    Net::new(1, vec![config(), engine, config()])
}

#[test]
fn a_phone_registers_by_digest_refreshes_at_half_and_runs_out_when_it_is_gone() {
    let mut net = house();
    net.put(0, register("anna", 600));
    net.run_ms(100);
    assert_eq!(net.sent(0), ["REGISTER", "REGISTER"]);
    assert_eq!(net.sent(1), ["401 Unauthorized", "200 OK"]);
    assert_eq!(net.told(0), ["trunk registered true 200"]);
    assert_eq!(net.told(1), ["registered anna sip:anna@10.0.0.0:5060 600"]);
    net.run(Duration::from_secs(301));
    assert_eq!(net.told(1).len(), 1, "it was renewed");
    assert_eq!(net.told(0), [] as [&str; 0], "nothing changed");
    net.loss = 1.0;
    net.run(Duration::from_secs(1000));
    assert_eq!(net.told(1), ["unregistered anna"]);
    assert_eq!(net.told(0), ["trunk registered false 408"]);
    net.loss = 0.0;
    net.run(Duration::from_secs(400));
    assert_eq!(net.told(0), ["trunk registered true 200"]);
    net.put(0, Input::Unregister { trunk: trunk() });
    net.run(Duration::from_secs(60));
    assert_eq!(net.told(0), ["trunk registered false 200"]);
    assert_eq!(net.told(1).last().unwrap(), "unregistered anna");
    for end in [0, 1] {
        assert_eq!(net.ends[end].endpoint.live(), (0, 0, 0));
    }
}

#[test]
fn a_registration_that_is_too_brief_is_made_again_with_what_is_granted() {
    let mut net = house();
    net.put(0, register("anna", 30));
    net.run_ms(200);
    assert_eq!(
        net.sent(1),
        [
            "401 Unauthorized",
            "423 Interval Too Brief",
            "401 Unauthorized",
            "200 OK"
        ]
    );
    assert_eq!(net.told(1), ["registered anna sip:anna@10.0.0.0:5060 60"]);
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let mut answers = Vec::new();
    for (user, password) in [("anna", "guess"), ("nobody", "secret")] {
        let mut net = house();
        let mut wrong = register(user, 600);
        let Input::Register { credentials, .. } = &mut wrong else {
            unreachable!();
        };
        credentials.password = password.to_owned();
        net.put(0, wrong);
        net.run_ms(100);
        assert_eq!(net.told(0), ["trunk registered false 401"]);
        assert_eq!(net.told(1), [] as [&str; 0]);
        assert_eq!(net.ends[1].endpoint.counters().auth_failed, 1);
        answers.push(net.sent(1));
    }
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_recorded_registration_cannot_be_played_again() {
    let mut net = house();
    net.put(0, register("anna", 600));
    net.run_ms(100);
    let recorded = net.ends[0].sent[1].clone();
    net.sent(1);
    net.told(1);
    let again = recorded.replace("branch=z9hG4bK", "branch=z9hG4bKx");
    net.inject(1, hop(1, 9, Transport::Udp), &again);
    assert!(
        net.ends[1].sent[0].contains("stale=true"),
        "{}",
        net.ends[1].sent[0]
    );
    assert_eq!(net.told(1), [] as [&str; 0]);
    // A copy of the request is no replay: it gets its old answer.
    net.sent(1);
    net.inject(1, hop(1, 0, Transport::Udp), &recorded);
    assert_eq!(net.sent(1), ["200 OK"]);
    // After a minute the nonce itself is stale.
    net.run(Duration::from_secs(61));
    let late = again
        .replace("branch=z9hG4bKx", "branch=z9hG4bKy")
        .replace("nc=00000001", "nc=00000002");
    net.inject(1, hop(1, 9, Transport::Udp), &late);
    assert_eq!(net.sent(1).last().unwrap(), "401 Unauthorized");
}

#[test]
fn an_account_cannot_speak_for_another() {
    let mut net = house();
    let mut call = invite(1, Transport::Udp);
    call.from_user = "ben".to_owned();
    call.credentials = Some(credentials("anna"));
    net.put(0, Input::Invite(Box::new(call)));
    net.run_ms(100);
    assert_eq!(net.told(0), ["failed 403"]);
    assert_eq!(net.told(1), [] as [&str; 0]);
}

#[test]
fn every_request_of_a_phone_in_a_call_is_authenticated_and_the_phone_can_do_it() {
    let mut net = house();
    net.put(0, register("anna", 600));
    net.run_ms(100);
    let mut call = invite(1, Transport::Udp);
    call.credentials = Some(credentials("anna"));
    net.put(0, Input::Invite(Box::new(call)));
    net.run_ms(100);
    let leg = LegId(1000);
    let Some(Command::Arrived(arrived)) = net.ends[1].told.last() else {
        panic!("the call arrives");
    };
    assert_eq!(arrived.source, Source::Account("anna".to_owned()));
    net.put(
        1,
        Input::Accept {
            leg,
            sdp: ANSWER.to_vec(),
        },
    );
    net.run_ms(100);
    let ack = net.ends[0].sent.last().unwrap().clone();
    net.sent(0);
    net.told(1);
    // Somebody who saw the call cannot end it.
    let forged = ack
        .replace("ACK sip", "BYE sip")
        .replace("CSeq: 2 ACK", "CSeq: 3 BYE")
        .replace("branch=z9hG4bK", "branch=z9hG4bKx");
    net.inject(1, hop(1, 9, Transport::Udp), &forged);
    assert_eq!(net.sent(1).last().unwrap(), "401 Unauthorized");
    assert_eq!(net.told(1), [] as [&str; 0]);
    net.put(
        0,
        Input::HangUp {
            leg: LegId(1),
            q850: 16,
        },
    );
    net.run(Duration::from_secs(60));
    assert_eq!(net.sent(0), ["BYE", "BYE"]);
    assert_eq!(net.told(1), ["ended Bye(Some(16))"]);
}

#[test]
fn a_phone_that_was_called_can_hang_up_with_the_credentials_of_its_registration() {
    let mut net = house();
    net.put(0, register("anna", 600));
    net.run_ms(100);
    let Some(Command::Registered { contact, hop, .. }) = net.ends[1].told.pop() else {
        panic!("the phone registers");
    };
    let mut call = invite(1, Transport::Udp);
    (call.hop, call.target) = (hop, contact);
    net.put(1, Input::Invite(Box::new(call)));
    net.run_ms(100);
    net.put(
        0,
        Input::Accept {
            leg: LegId(1000),
            sdp: ANSWER.to_vec(),
        },
    );
    net.run_ms(100);
    net.put(
        0,
        Input::HangUp {
            leg: LegId(1000),
            q850: 16,
        },
    );
    net.run_ms(100);
    assert_eq!(net.told(1), ["answered", "ended Bye(Some(16))"]);
    assert_eq!(
        net.sent(1)[2..],
        [
            "401 Unauthorized",
            "INVITE",
            "ACK",
            "401 Unauthorized",
            "200 OK"
        ][1..]
            .to_vec()
    );
}

#[test]
fn a_carrier_is_known_by_its_address_and_an_unknown_source_gets_nothing() {
    let mut net = house();
    let mut call = invite(1, Transport::Udp);
    call.hop = hop(2, 1, Transport::Udp);
    let token = "eyJh.eyJi.c2ln;info=<https://cert.example/a,b.pem>;ppt=shaken";
    call.headers = vec![
        (
            "P-Asserted-Identity".to_owned(),
            "\"Ann\" <sip:+49301@c>".to_owned(),
        ),
        ("Identity".to_owned(), token.to_owned()),
    ];
    net.put(2, Input::Invite(Box::new(call)));
    net.run_ms(100);
    let Command::Arrived(arrived) = &net.ends[1].told[0] else {
        panic!("the call arrives");
    };
    assert_eq!(arrived.source, Source::Trunk(trunk()));
    assert_eq!(
        (arrived.caller.as_str(), arrived.caller_name.as_deref()),
        ("+49301", Some("Ann"))
    );
    assert_eq!(arrived.identities, [token]);
    net.sent(1);
    let text = net.ends[2].sent[0].clone();
    for method in [
        "BYE",
        "MESSAGE",
        "INFO",
        "CANCEL",
        "DANCE",
        "SUBSCRIBE",
        "NOTIFY",
    ] {
        let text = text
            .replace("INVITE", method)
            .replace("branch=z9hG4bK", "branch=z9hG4bKx");
        net.inject(1, hop(1, 9, Transport::Udp), &text);
    }
    assert_eq!(net.sent(1), [] as [&str; 0]);
    assert_eq!(net.ends[1].endpoint.counters().unknown_source, 7);
    let (transactions, legs, _) = net.ends[1].endpoint.live();
    for n in 0..50 {
        let text = text.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{n}"));
        net.inject(1, hop(1, 9, Transport::Udp), &text);
    }
    assert!(net.sent(1).iter().all(|s| s == "401 Unauthorized"));
    assert_eq!(
        net.ends[1].endpoint.live(),
        (transactions, legs, 0),
        "a challenge keeps nothing"
    );
}

#[test]
fn a_ping_tells_whether_the_trunk_lives() {
    let mut net = house();
    let ping = |to: u8| Input::Ping {
        trunk: trunk(),
        hop: hop(1, to, Transport::Udp),
        target: format!("sip:10.0.0.{to}"),
    };
    net.put(1, ping(2));
    net.settle();
    assert_eq!(net.told(1), ["ponged true"]);
    net.put(1, ping(7));
    net.settle();
    assert_eq!(net.told(1), ["ponged false"]);
    net.assert_idle();
}

#[test]
fn bindings_are_listed_removed_one_by_one_and_all_at_once() {
    let mut net = Net::new(1, vec![config(), config()]);
    let here = hop(1, 9, Transport::Tcp);
    let mut cseq = 0;
    let mut register = |net: &mut Net, lines: &str| {
        cseq += 1;
        let text = format!(
            "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bK{cseq}\r\nFrom: <sip:anna@h>;tag=t\r\n\
             To: <sip:anna@h>\r\nCall-ID: r\r\nCSeq: {cseq} REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        net.inject(1, here, &text);
        let sent = net.ends[1].sent.pop().unwrap();
        (sent, net.told(1))
    };
    let (_, told) = register(
        &mut net,
        "Contact: <sip:a@1>;expires=100;q=0.5, <sip:a@2>\r\nExpires: 200\r\n",
    );
    assert_eq!(told, ["registered anna sip:a@2 200"]);
    let (sent, told) = register(&mut net, "");
    assert!(
        sent.contains(
            "Contact: <sip:a@1>;expires=100;q=0.500\r\nContact: <sip:a@2>;expires=200\r\n"
        ),
        "{sent}"
    );
    assert_eq!(told, [] as [&str; 0]);
    let (_, told) = register(&mut net, "Contact: <sip:a@2>;expires=0\r\n");
    assert_eq!(told, ["registered anna sip:a@1 100"]);
    let (sent, _) = register(&mut net, "Contact: *\r\nExpires: 1\r\n");
    assert!(sent.starts_with("SIP/2.0 400 "), "{sent}");
    let (_, told) = register(&mut net, "Contact: *\r\nExpires: 0\r\n");
    assert_eq!(told, ["unregistered anna"]);
    register(&mut net, "Contact: <sip:a@1>\r\n");
    net.put(1, Input::HopFailed { hop: here });
    assert_eq!(net.told(1).last().unwrap(), "unregistered anna");
    net.settle();
    net.assert_idle();
}
