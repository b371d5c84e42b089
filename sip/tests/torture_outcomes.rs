//! What an endpoint does with each message of RFC 4475 and RFC 5118, on UDP and on TCP.

mod common;
mod torture;

use common::*;
use model::{LegId, Outbox};
use sip::endpoint::{Command, Endpoint, Hop, Input, Transport};
use sip::frame::{Frame, FrameError, frame};
use torture::{files, message};

/// The strict outcome of each message: a call that arrives, a final status, or nothing.
const OUTCOMES: [(&str, &str); 32] = [
    ("badbranch.dat", "200"),
    ("baddn.dat", "400"),
    ("badinv01.dat", "400"),
    ("bcast.dat", "nothing"),
    ("bigcode.dat", "nothing"),
    ("cparam01.dat", "200"),
    ("esc01.dat", "arrives"),
    ("esc02.dat", "501"),
    ("escruri.dat", "400"),
    ("inv2543.dat", "arrives"),
    ("invut.dat", "415"),
    ("ipv6-bug-abnf-3-colons.dat", "200"),
    ("ipv6-good.dat", "200"),
    ("ipv6-in-sdp.dat", "arrives"),
    ("longreq.dat", "arrives"),
    ("ltgtruri.dat", "400"),
    ("lwsstart.dat", "400"),
    ("mismatch01.dat", "400"),
    ("mpart01.dat", "405"),
    ("mult-ip-in-sdp.dat", "arrives"),
    ("multi01.dat", "400"),
    ("ncl.dat", "400"),
    ("noreason.dat", "nothing"),
    ("port-ambiguous.dat", "200"),
    ("regbadct.dat", "400"),
    ("regescrt.dat", "200"),
    ("scalarlg.dat", "nothing"),
    ("semiuri.dat", "200"),
    ("unkscm.dat", "416"),
    ("unksm2.dat", "400"),
    ("via-received-param-with-delim.dat", "481"),
    // It has a tag in To, of a dialog that is not ours: RFC 3261 §12.2.2 has it refused like this.
    ("wsinv.dat", "arrives"),
];

fn here(transport: Transport) -> Hop {
    let mut here = hop(0, 9, transport);
    here.remote.set_port(40_000);
    here
}

struct Outcome {
    what: String,
    is_closed: bool,
    told: Vec<Command>,
    sent: Vec<(Hop, String)>,
}

fn outcome(endpoint: &mut Endpoint, transport: Transport, bytes: &[u8]) -> Outcome {
    let mut out = Outbox::new();
    let now = model::Now::default();
    let input = Input::Received {
        hop: here(transport),
        bytes,
    };
    endpoint.handle(now, input, &mut out);
    let mut outcome = Outcome {
        what: "nothing".to_owned(),
        is_closed: false,
        told: Vec::new(),
        sent: Vec::new(),
    };
    for command in out.commands {
        match command {
            Command::Send { hop, bytes } => {
                let text = String::from_utf8(bytes).expect("heads are UTF-8");
                if text[8..11] > *"199" {
                    outcome.what = text[8..11].to_owned();
                }
                outcome.sent.push((hop, text));
            }
            Command::Close { .. } => outcome.is_closed = true,
            told => {
                if let Command::Arrived(_) = told {
                    outcome.what = "arrives".to_owned();
                }
                outcome.told.push(told);
            }
        }
    }
    outcome
}

fn endpoint() -> Endpoint {
    Endpoint::new(config(), [5; 32])
}

fn arrived(outcome: &Outcome) -> &sip::endpoint::Arrived {
    match &outcome.told[0] {
        Command::Arrived(arrived) => arrived,
        other => panic!("{}", line(other)),
    }
}

#[test]
fn every_message_of_the_folder_is_in_the_table() {
    let listed: Vec<&str> = OUTCOMES.iter().map(|(file, _)| *file).collect();
    assert_eq!(files(), listed);
}

#[test]
fn each_message_has_its_outcome_on_udp() {
    for (file, expected) in OUTCOMES {
        let outcome = outcome(&mut endpoint(), Transport::Udp, &message(file));
        assert_eq!(outcome.what, expected, "{file}");
        for (hop, text) in &outcome.sent {
            assert_eq!(
                hop.remote.ip(),
                here(Transport::Udp).remote.ip(),
                "{file}: never elsewhere"
            );
            sip::message::Message::parse(text.as_bytes())
                .unwrap()
                .validate()
                .ok();
        }
    }
}

#[test]
fn each_message_has_its_outcome_on_tcp_and_a_lost_stream_is_closed() {
    for (file, expected) in OUTCOMES {
        let bytes = message(file);
        let (taken, is_lost) = match frame(&bytes) {
            Ok(Frame::Message { bytes, .. }) => (bytes, false),
            Ok(Frame::Incomplete | Frame::Ping { .. } | Frame::KeepAlive { .. }) => {
                panic!("{file} is whole")
            }
            Err(FrameError::Fault { head, .. } | FrameError::TooLong { head }) => (head, true),
            Err(FrameError::NotSip(_)) => (&bytes[..], true),
        };
        let outcome = outcome(&mut endpoint(), Transport::Tcp, taken);
        // Without Content-Length a stream is lost, unless the form of what follows says where it ends.
        let expected = if is_lost && !bytes.starts_with(b"SIP/2.0") && expected != "416" {
            "400"
        } else {
            expected
        };
        assert_eq!(outcome.what, expected, "{file}");
        assert_eq!(outcome.is_closed, is_lost, "{file}");
    }
}

#[test]
fn a_tortuous_invite_says_who_calls_whom() {
    let outcome = outcome(&mut endpoint(), Transport::Udp, &message("wsinv.dat"));
    let arrived_call = arrived(&outcome);
    assert_eq!(arrived_call.called, "vivekg");
    assert!(arrived_call.sdp.is_some());
    let of = |file| self::outcome(&mut endpoint(), Transport::Udp, &message(file));
    let outcome = of("esc01.dat");
    assert_eq!(arrived(&outcome).called, "sips:user@example.com");
    let outcome = of("longreq.dat");
    assert!(
        outcome.sent[0].1.matches("\r\nVia: ").count() >= 34,
        "each Via comes back"
    );
}

#[test]
fn a_call_that_comes_with_a_foreign_tag_keeps_it_and_one_of_our_form_is_not_known() {
    let invite = String::from_utf8(message("wsinv.dat")).unwrap();
    let mut endpoint = endpoint();
    let mut out = Outbox::new();
    assert_eq!(
        outcome(&mut endpoint, Transport::Udp, invite.as_bytes()).what,
        "arrives"
    );
    let sdp = ANSWER.to_vec();
    let leg = LegId(1000);
    endpoint.handle(model::Now::default(), Input::Accept { leg, sdp }, &mut out);
    let Some(Command::Send { bytes, .. }) = out.commands.pop_front() else {
        panic!("a 200");
    };
    let to = header(std::str::from_utf8(&bytes).unwrap(), "To").to_owned();
    assert_eq!(to.matches("tag").count(), 1, "{to}");
    assert!(to.contains("1918181833n"), "{to}");

    let of_ours = invite.replace("1918181833n", "00112233aabbccdd");
    let outcome = outcome(&mut self::endpoint(), Transport::Udp, of_ours.as_bytes());
    assert_eq!(outcome.what, "481");
}

#[test]
fn an_escaped_method_is_no_register() {
    let mut endpoint = endpoint();
    outcome(&mut endpoint, Transport::Udp, &message("esc02.dat"));
    assert_eq!(endpoint.live(), (0, 0, 0));
}

#[test]
fn a_binding_keeps_what_belongs_to_its_uri_and_nothing_else() {
    let of = |file| outcome(&mut endpoint(), Transport::Udp, &message(file));
    let contact = |outcome: &Outcome| match &outcome.told[0] {
        Command::Registered { contact, .. } => contact.clone(),
        other => panic!("{}", line(other)),
    };
    assert!(!contact(&of("cparam01.dat")).contains("unknownparam"));
    assert!(contact(&of("regescrt.dat")).contains("?Route="));
}

#[test]
fn two_callers_without_branches_are_not_one_transaction() {
    let mut endpoint = endpoint();
    let first = String::from_utf8(message("inv2543.dat")).unwrap();
    let second = first.replace("Call-ID: ", "Call-ID: x");
    assert_ne!(first, second);
    for (text, arrives) in [(&first, true), (&first, false), (&second, true)] {
        let outcome = outcome(&mut endpoint, Transport::Udp, text.as_bytes());
        assert_eq!(outcome.what == "arrives", arrives);
    }
}

#[test]
fn a_call_from_the_last_century_can_be_answered_and_acknowledged() {
    let mut endpoint = endpoint();
    let invite = String::from_utf8(message("inv2543.dat")).unwrap();
    outcome(&mut endpoint, Transport::Udp, invite.as_bytes());
    let mut out = Outbox::new();
    let leg = LegId(1000);
    endpoint.handle(
        model::Now::default(),
        Input::Accept {
            leg,
            sdp: ANSWER.to_vec(),
        },
        &mut out,
    );
    let Some(Command::Send { bytes, .. }) = out.commands.pop_front() else {
        panic!("a 200");
    };
    let ok = String::from_utf8(bytes).unwrap();
    let to = header(&ok, "To");
    let old_to = header(&invite, "To");
    let ack = invite
        .replace("INVITE", "ACK")
        .replace(&format!("To: {old_to}"), &format!("To: {to}"));
    let end = ack.find("\r\n\r\n").unwrap() + 4;
    let outcome = outcome(&mut endpoint, Transport::Udp, &ack.as_bytes()[..end]);
    assert_eq!(
        outcome.told.iter().map(line).collect::<Vec<_>>(),
        ["confirmed sdp false"]
    );
}
