//! What holds for all bytes: reading never panics, and what was written is read as it was.

mod torture;

use proptest::prelude::*;
use sip::frame::frame;
use sip::message::{
    Credential, Draft, HEADERS_MAX, List, MESSAGE_BYTES_MAX, Message, Method, Name, NameAddr,
    OwnedMessage, ParseError, Uri, VIAS_MAX, Via, ack_for, cancel_for, respond, response_to,
};
use sip::sdp::Sdp;
use torture::{files, message, request, spoil, spoils};

/// Asks a message all there is to ask.
fn ask_everything(bytes: &[u8]) {
    if let Ok(message) = Message::parse(bytes) {
        let fault = message.validate();
        for header in message.all_headers() {
            List::new(header.value).for_each(|value| {
                NameAddr::parse(value);
                Via::parse(value);
            });
            if let Some(name) = header.name {
                message
                    .credentials(name)
                    .for_each(|credential| drop(credential.value("nonce")));
                message.tokens(name).count();
            }
        }
        let asked = (
            message.method(),
            message.method_text(),
            message.request_uri(),
            message.status(),
            message.reason(),
        );
        let numbers = (
            message.cseq(),
            message.expires(),
            message.retry_after(),
            message.rseq(),
            message.rack(),
        );
        let more = (
            message.q850(),
            message.min_se(),
            message.session_expires(),
            message.refer_to(),
            message.contact(),
        );
        let others = (
            message.p_asserted_identity(),
            message.call_id(),
            message.content_type(),
            message.via_count(),
            message.identities().count(),
        );
        assert!(!format!("{asked:?}{numbers:?}{more:?}{others:?}").is_empty());
        let source = "[2001:db8::1]:7".parse().expect("an address");
        let answer = respond(&message, source, 400, "no", Some("t")).finish();
        Message::parse(&answer).expect("ours is readable");
        if fault.is_ok() {
            // Whatever came in, what is made of it is as good as it was.
            Message::parse(&answer)
                .expect("ours is readable")
                .validate()
                .expect("an answer to what is valid");
            if message.is_request() {
                let cancel = cancel_for(&message).expect("it has all of it").finish();
                Message::parse(&cancel)
                    .expect("ours")
                    .validate()
                    .expect("valid");
            }
        }
        assert_eq!(message.to_owned().view().body(), message.body());
    }
    if let Ok(sip::frame::Frame::Message { bytes: framed, .. }) = frame(bytes) {
        assert!(Message::parse(framed).is_ok());
    }
    if let Ok(sdp) = Sdp::parse(bytes) {
        assert!(sdp.media.len() <= sip::sdp::MEDIA_MAX);
    }
}

#[test]
fn every_torture_message_cut_anywhere_is_survived() {
    for file in files() {
        let bytes = message(&file);
        for end in (0..bytes.len()).step_by(7) {
            ask_everything(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        ask_everything(&bytes);
    }

    #[test]
    fn spoiled_torture_messages_are_survived(which in any::<prop::sample::Index>(), spoils in spoils()) {
        let files = files();
        ask_everything(&spoil(&message(&files[which.index(files.len())]), &spoils));
    }

    #[test]
    fn texts_are_survived_by_every_parser_of_a_piece(text in "[ -~\r\n\t\u{e9}]{0,60}") {
        if let Some(uri) = Uri::parse(&text) {
            prop_assert!(uri.matches(&uri));
            uri.user_unescaped();
        }
        if let Some(address) = NameAddr::parse(&text) {
            address.display_name();
            prop_assert!(Uri::parse(address.uri.text).is_some());
        }
        Via::parse(&text);
        List::new(&text).count();
        if let Some(credential) = Credential::parse(&text) {
            credential.value("realm");
        }
    }

    #[test]
    fn good_requests_are_read_as_they_were_made(made in request(false)) {
        let message = Message::parse(&made.bytes).expect("readable");
        prop_assert_eq!(message.validate(), Ok(()));
        prop_assert_eq!(message.method_text(), made.method);
        prop_assert_eq!(message.request_uri_text(), &made.uri);
        prop_assert_eq!(message.top_via().expect("readable").branch(), Some(made.branch.as_str()));
        prop_assert_eq!(message.from_tag(), Some(made.from_tag.as_str()));
        prop_assert_eq!(message.to_tag(), made.to_tag.as_deref());
        prop_assert_eq!(message.call_id(), Some(made.call_id.as_str()));
        prop_assert_eq!(message.cseq(), Some((made.cseq, Method::parse(made.method))));
        prop_assert_eq!(message.body(), &made.body[..]);
    }

    #[test]
    fn what_is_written_is_read_as_it_was(
        subject in "[ -~\u{e9}]{0,40}", name in "X-[A-Za-z]{1,9}", body in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let bytes = Draft::request(Method::Message, "sip:a@b")
            .header(Name::Subject, &subject)
            .header(name.as_str(), "v")
            .body("text/plain", &body)
            .finish();
        let message = OwnedMessage::parse(bytes).expect("readable");
        let message = message.view();
        prop_assert_eq!(message.header(Name::Subject), Some(subject.trim()));
        prop_assert_eq!(message.header_named(&name), Some("v"));
        prop_assert_eq!((message.body(), message.content_type()), (&body[..], Some("text/plain")));
    }

    #[test]
    fn no_value_can_add_a_header(value in "[a-z\r\n\0\t: \u{7f}]{0,40}") {
        let bytes = Draft::request(Method::Options, &format!("sip:{value}"))
            .header(Name::Subject, &value)
            .header(value.as_str(), "x")
            .finish();
        let text = String::from_utf8(bytes).expect("text");
        prop_assert_eq!(text.matches("\r\n").count(), 5);
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
        prop_assert_eq!(Draft::response(200, "OK").try_header("X-A", &value).is_ok(), !value.contains(['\r', '\n', '\0', '\u{7f}']));
    }
}

#[test]
fn a_response_copies_what_the_rfc_says_and_adds_our_tag() {
    let request = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP ten.example:5070;rport;branch=z9hG4bK1, SIP/2.0/UDP two;branch=2\r\n\
        v: SIP/2.0/TCP three;branch=3\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\nTimestamp: 54\r\n\
        f: <sip:f@b>;tag=ft\r\nt: <sip:t@b>\r\ni: id\r\nCSeq: 7 INVITE\r\n\r\n";
    let request = Message::parse(request.as_bytes()).expect("readable");
    let source = "192.0.2.77:40000".parse().expect("an address");
    let bytes = respond(&request, source, 180, "Ringing", Some("mine")).finish();
    let ringing = Message::parse(&bytes).expect("readable");
    let vias: Vec<&str> = ringing.headers(Name::Via).collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP ten.example:5070;branch=z9hG4bK1;received=192.0.2.77;rport=40000",
            "SIP/2.0/UDP two;branch=2",
            "SIP/2.0/TCP three;branch=3",
        ]
    );
    assert_eq!(
        (ringing.to_tag(), ringing.from_tag(), ringing.call_id()),
        (Some("mine"), Some("ft"), Some("id"))
    );
    assert_eq!(
        (
            ringing.record_routes().count(),
            ringing.header(Name::Timestamp)
        ),
        (2, None)
    );
    let bytes = response_to(&request, 100, "Trying", Some("mine")).finish();
    let trying = Message::parse(&bytes).expect("readable");
    assert_eq!(
        (
            trying.to_tag(),
            trying.header(Name::Timestamp),
            trying.via_count()
        ),
        (None, Some("54"), 3)
    );
    let bytes = response_to(&request, 486, "Busy Here", Some("mine")).finish();
    assert_eq!(
        Message::parse(&bytes)
            .expect("readable")
            .record_routes()
            .count(),
        0
    );
}

#[test]
fn ack_and_cancel_belong_to_their_invite() {
    let invite = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nRoute: <sip:p;lr>\r\nFrom: <sip:f@b>;tag=1\r\n\
        To: <sip:t@b>\r\nCall-ID: id\r\nCSeq: 7 INVITE\r\n\r\n";
    let invite = Message::parse(invite.as_bytes()).expect("readable");
    let busy = response_to(&invite, 486, "Busy Here", Some("far")).finish();
    let ack = ack_for(&invite, &Message::parse(&busy).expect("readable"))
        .expect("whole")
        .finish();
    let ack = Message::parse(&ack).expect("readable");
    assert_eq!(ack.validate(), Ok(()));
    assert_eq!(
        (ack.cseq(), ack.to_tag()),
        (Some((7, Method::Ack)), Some("far"))
    );
    assert_eq!(ack.header(Name::Route), Some("<sip:p;lr>"));
    let cancel = cancel_for(&invite).expect("whole").finish();
    let cancel = Message::parse(&cancel).expect("readable");
    assert_eq!(cancel.validate(), Ok(()));
    assert_eq!(
        (cancel.cseq(), cancel.to_tag()),
        (Some((7, Method::Cancel)), None)
    );
    assert_eq!(
        cancel.top_via().expect("readable").branch(),
        Some("z9hG4bK1")
    );
}

#[test]
fn limits_hold() {
    let start = "OPTIONS sip:a@b SIP/2.0\r\n";
    let with = |n: usize, line: &str| format!("{start}{}\r\n", line.repeat(n));
    assert!(Message::parse(with(HEADERS_MAX, "A: b\r\n").as_bytes()).is_ok());
    assert_eq!(
        Message::parse(with(HEADERS_MAX + 1, "A: b\r\n").as_bytes()).err(),
        Some(ParseError::TooManyHeaders)
    );
    assert_eq!(
        Message::parse(&vec![b'a'; MESSAGE_BYTES_MAX + 1]).err(),
        Some(ParseError::TooLong)
    );
    let long = format!(
        "{start}A: {}\r\n\r\n",
        "b".repeat(sip::message::LINE_BYTES_MAX)
    );
    assert_eq!(
        Message::parse(long.as_bytes())
            .expect("readable")
            .validate()
            .map_err(|f| f.status()),
        Err(400)
    );
    let rest = "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    let vias = |n: usize| {
        format!(
            "{start}Via: {}\r\n{rest}",
            vec!["SIP/2.0/UDP h"; n].join(",")
        )
    };
    assert_eq!(
        Message::parse(vias(VIAS_MAX).as_bytes())
            .expect("readable")
            .validate(),
        Ok(())
    );
    let too_many = vias(VIAS_MAX + 1);
    assert_eq!(
        Message::parse(too_many.as_bytes())
            .expect("readable")
            .validate()
            .map_err(|f| f.status()),
        Err(482)
    );
}
