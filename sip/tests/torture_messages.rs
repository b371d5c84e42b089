//! Every message of RFC 4475 and RFC 5118 in the folder beside, with what has to come of it while parsing.

mod torture;

use sip::frame::{FrameError, frame};
use sip::message::{Fault, Host, Message, Method, Name, ParseError, Scheme, response_to};
use sip::sdp::{Connection, Sdp};
use torture::{files, index, message};

fn with<R>(file: &str, check: impl FnOnce(Message<'_>) -> R) -> R {
    let bytes = message(file);
    check(Message::parse(&bytes).unwrap_or_else(|error| panic!("{file}: {error}")))
}

#[test]
fn every_message_has_the_outcome_of_the_index() {
    let index = index();
    let listed: Vec<&String> = index.iter().map(|(file, _)| file).collect();
    assert_eq!(files().iter().collect::<Vec<_>>(), listed);
    assert_eq!(index.len(), 32);
    for (file, outcome) in &index {
        let bytes = message(file);
        let found = match Message::parse(&bytes).map(|message| message.validate()) {
            Err(_) => "dropped".to_owned(),
            Ok(Ok(())) => "valid".to_owned(),
            Ok(Err(fault)) => fault.status().to_string(),
        };
        assert_eq!(found, *outcome, "{file}");
    }
}

#[test]
fn a_request_at_fault_can_be_answered_with_what_it_has() {
    for (file, outcome) in index() {
        if outcome != "400" && outcome != "416" {
            continue;
        }
        with(&file, |request| {
            if !request.is_request() {
                return;
            }
            let fault = request.validate().expect_err("at fault");
            let bytes = response_to(&request, fault.status(), fault.reason(), Some("t")).finish();
            let response = Message::parse(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(response.status().to_string(), outcome, "{file}");
            assert!(!response.reason().is_empty(), "{file}");
            for name in [Name::Via, Name::From, Name::CallId, Name::CSeq] {
                assert_eq!(
                    response.header(name),
                    request.header(name),
                    "{file} {}",
                    name.as_str()
                );
            }
        });
    }
}

#[test]
fn faults_name_what_is_wrong() {
    for (file, fault) in [
        ("baddn.dat", Fault::Malformed(Name::From)),
        ("badinv01.dat", Fault::Malformed(Name::Via)),
        ("escruri.dat", Fault::RequestUri),
        ("ltgtruri.dat", Fault::RequestUri),
        ("lwsstart.dat", Fault::RequestLine),
        ("mismatch01.dat", Fault::MethodMismatch),
        ("multi01.dat", Fault::Repeated(Name::CSeq)),
        ("ncl.dat", Fault::Malformed(Name::ContentLength)),
        ("regbadct.dat", Fault::Malformed(Name::Contact)),
        ("scalarlg.dat", Fault::Malformed(Name::CSeq)),
        ("unkscm.dat", Fault::Scheme),
    ] {
        assert_eq!(
            with(file, |message| message.validate()),
            Err(fault),
            "{file}"
        );
    }
    let bytes = message("bigcode.dat");
    assert_eq!(
        Message::parse(&bytes).map(|message| message.status()),
        Err(ParseError::Status)
    );
}

#[test]
fn a_short_tortuous_invite_is_understood() {
    with("wsinv.dat", |m| {
        assert_eq!(
            (m.method(), m.max_forwards(), m.cseq()),
            (Method::Invite, Some(68), Some((9, Method::Invite)))
        );
        assert_eq!(
            (m.to_tag(), m.from_tag()),
            (Some("1918181833n"), Some("98asjd8"))
        );
        let from = m.from().expect("readable");
        assert_eq!(from.display_name().as_deref(), Some("J Rosenberg \\\""));
        assert_eq!(m.via_count(), 3);
        assert_eq!(m.top_via().expect("readable").branch(), Some("390skdjuw"));
        assert_eq!(m.header(Name::Subject), Some(""));
        assert_eq!(
            m.header_named("newfangledheader"),
            Some("newfangled value\r\n continued newfangled value")
        );
        let contact = m.contact().expect("readable");
        assert_eq!(
            contact.display_name().as_deref(),
            Some("Quoted string \"\"")
        );
        assert_eq!(
            (contact.params.value("newparam"), contact.params.value("q")),
            (Some("newvalue"), Some("0.33"))
        );
        assert_eq!(m.body().len(), 150);
        assert!(m.has_sdp());
        assert!(
            m.routes()
                .next()
                .flatten()
                .expect("readable")
                .uri
                .params
                .has("lr")
        );
    });
}

#[test]
fn escapes_are_resolved_once_and_only_where_they_are_escapes() {
    with("esc01.dat", |m| {
        let uri = m.request_uri().expect("readable");
        assert_eq!((uri.scheme, uri.host), (Scheme::Sip, "example.net"));
        assert_eq!(
            uri.user_unescaped().as_deref(),
            Some("sips:user@example.com")
        );
        assert_eq!(
            m.from().expect("readable").uri.user_unescaped().as_deref(),
            Some("I have spaces")
        );
    });
    with("esc02.dat", |m| {
        assert_eq!(
            (m.method(), m.method_text()),
            (Method::Other, "RE%47IST%45R")
        );
        assert_eq!(
            m.from().expect("readable").display_name().as_deref(),
            Some("%Z%45")
        );
        assert_eq!(m.contacts().count(), 2);
        assert_eq!(
            m.top_via().expect("readable").branch(),
            Some("z9hG4bK209%fzsnel234")
        );
    });
}

#[test]
fn long_values_are_whole() {
    with("longreq.dat", |m| {
        assert_eq!((m.via_count(), m.body().len()), (34, 150));
        assert_eq!(m.top_via().expect("readable").host, "sip33.example.com");
        assert!(m.from_tag().is_some_and(|tag| tag.len() > 100));
    });
}

#[test]
fn semicolons_belong_to_whom_they_are_written_for() {
    with("semiuri.dat", |m| {
        let uri = m.request_uri().expect("readable");
        assert_eq!(
            (uri.user, uri.host, uri.params.as_str()),
            (Some("user;par=u%40example.net"), "example.com", "")
        );
        assert_eq!(m.headers(Name::Accept).count(), 6);
    });
    with("cparam01.dat", |m| {
        let contact = m.contact().expect("readable");
        assert_eq!(contact.uri.text, "sip:+19725552222@gw1.example.net");
        assert!(contact.params.has("unknownparam"));
    });
    with("regescrt.dat", |m| {
        let uri = m.contact().expect("readable").uri;
        assert_eq!(
            (uri.headers, m.header(Name::Route)),
            (Some("Route=%3Csip:sip.example.com%3E"), None)
        );
    });
    with("escruri.dat", |m| assert_eq!(m.header(Name::Route), None));
}

#[test]
fn a_binary_body_is_kept_byte_by_byte() {
    let bytes = message("mpart01.dat");
    with("mpart01.dat", |m| {
        assert_eq!(m.body().len(), 553);
        assert_eq!(m.body(), &bytes[bytes.len() - 553..]);
        assert!(m.body().contains(&0));
    });
}

#[test]
fn responses_are_read_for_what_they_say() {
    with("noreason.dat", |m| {
        assert_eq!((m.status(), m.reason(), m.is_request()), (100, "", false))
    });
    with("bcast.dat", |m| {
        let second = m
            .headers(Name::Via)
            .nth(1)
            .and_then(sip::message::Via::parse)
            .expect("readable");
        assert_eq!((m.status(), second.host), (200, "255.255.255.255"));
    });
    with("scalarlg.dat", |m| {
        assert_eq!((m.retry_after(), m.cseq()), (Some(u32::MAX), None))
    });
}

#[test]
fn the_bare_magic_cookie_identifies_no_transaction() {
    with("badbranch.dat", |m| {
        assert!(!m.top_via().expect("readable").has_rfc3261_branch())
    });
    with("esc01.dat", |m| {
        assert!(m.top_via().expect("readable").has_rfc3261_branch())
    });
    with("inv2543.dat", |m| {
        let via = m.top_via().expect("readable");
        assert_eq!(
            (
                via.branch(),
                m.from_tag(),
                m.max_forwards(),
                m.content_length()
            ),
            (None, None, None, None)
        );
        assert!(m.has_sdp() && Sdp::parse(m.body()).is_ok());
    });
}

#[test]
fn foreign_schemes_and_bodies_are_readable() {
    with("unksm2.dat", |m| {
        assert_eq!(m.to().map(|to| to.uri.scheme), Some(Scheme::Other));
        assert_eq!(
            m.contact().map(|contact| contact.uri.text),
            Some("name:John_Smith")
        );
    });
    with("unkscm.dat", |m| {
        assert_eq!(m.request_uri().map(|uri| uri.scheme), Some(Scheme::Other))
    });
    with("invut.dat", |m| {
        assert_eq!(
            (m.content_type(), m.has_sdp()),
            (Some("application/unknownformat"), false)
        )
    });
}

#[test]
fn a_negative_content_length_ends_a_stream_with_a_400() {
    let bytes = message("ncl.dat");
    match frame(&bytes) {
        Err(FrameError::Fault { fault, .. }) => assert_eq!(fault.status(), 400),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ipv6_addresses_are_hosts() {
    let ip = |text: &str| Some(Host::Ip(text.parse().expect("an address")));
    let uri = |file| {
        with(file, |m| {
            m.request_uri()
                .map(|uri| (uri.host().map(|host| format!("{host:?}")), uri.port))
        })
    };
    let expect = |text| Some((Some(format!("{:?}", ip(text).expect("some"))), None));
    assert_eq!(uri("ipv6-good.dat"), expect("2001:db8::10"));
    assert_eq!(uri("port-ambiguous.dat"), expect("2001:db8::10:5070"));
    assert_eq!(
        uri("ipv6-bug-abnf-3-colons.dat"),
        expect("2001:db8::192.0.2.1")
    );
    with("via-received-param-with-delim.dat", |m| {
        let via = m.top_via().expect("readable");
        assert_eq!(
            (via.host, via.received()),
            ("[2001:db8::9:1]", ip("2001:db8::9:255"))
        );
    });
    with("ipv6-in-sdp.dat", |m| {
        let sdp = Sdp::parse(m.body()).expect("readable");
        assert_eq!(
            sdp.connection,
            Some(Connection::Ip("2001:db8::20".parse().expect("an address")))
        );
    });
    with("mult-ip-in-sdp.dat", |m| {
        let sdp = Sdp::parse(m.body()).expect("readable");
        let families: Vec<bool> = sdp
            .media
            .iter()
            .map(|media| matches!(sdp.connection_of(media), Some(Connection::Ip(ip)) if ip.is_ipv4()))
            .collect();
        assert_eq!(families, [true, false]);
    });
}

/// Further shapes that RFC 4475 and RFC 5118 describe, in words of our own.
#[test]
fn more_shapes_of_the_two_rfcs_have_their_outcome() {
    let rest = "Via: SIP/2.0/UDP h.example;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: c\r\nMax-Forwards: 1\r\n";
    let good = "To: <sip:a@b>\r\nCSeq: 1 OPTIONS\r\n";
    let status = |text: &str| match Message::parse(text.as_bytes()).map(|m| m.validate()) {
        Err(_) => 0,
        Ok(Ok(())) => 200,
        Ok(Err(fault)) => fault.status(),
    };
    for (line, headers, body, expected) in [
        ("OPTIONS sip:a@b SIP/2.0", good, "", 200),
        (
            "!odd-Method.%*+`'~ sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 1 !odd-Method.%*+`'~\r\n",
            "",
            200,
        ),
        (
            "OPTIONS sip:1_u.URI~(b!s)&it+$/c?,/;;*:&p+w=1,d@b SIP/2.0",
            good,
            "",
            200,
        ),
        (
            "OPTIONS sip:a%00b@b SIP/2.0",
            "To: \"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f\" <sip:a@b>\r\nCSeq: 1 OPTIONS\r\n",
            "",
            200,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: caller<sip:a@b>;x=\"\u{440}\u{430}\"\r\nCSeq: 1 OPTIONS\r\nh~'`: \u{5927}\r\n",
            "",
            200,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n",
            "OPTIONS sip:c@d SIP/2.0\r\n",
            200,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 1 OPTIONS\r\nVia: SIP/2.0/SCTP h;branch=z9hG4bKb\r\n",
            "",
            200,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 1 OPTIONS\r\nl: 9\r\n",
            "short",
            400,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: \"a <sip:a@b>\r\nCSeq: 1 OPTIONS\r\n",
            "",
            400,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: \"W, T\" < sip:a@b >\r\nCSeq: 1 OPTIONS\r\n",
            "",
            400,
        ),
        ("OPTIONS sip:a@b SIP/2.0  ", good, "", 400),
        ("OPTIONS sip:a@b; lr SIP/2.0", good, "", 400),
        ("OPTIONS sip:2001:db8::10 SIP/2.0", good, "", 400),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 36893488147419103232 OPTIONS\r\n",
            "",
            400,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 2147483648 OPTIONS\r\n",
            "",
            400,
        ),
        ("OPTIONS sip:a@b SIP/2.0", "CSeq: 1 OPTIONS\r\n", "", 400),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 300\r\n",
            "",
            400,
        ),
        (
            "OPTIONS sip:a@b SIP/2.0",
            "To: <sip:a@b>\r\nCSeq: 1 OPTIONS\r\nl: 0\r\nl: 0\r\n",
            "",
            400,
        ),
        ("OPTIONS sip:a@b SIP/7.0", good, "", 505),
        ("OPTIONS soap.beep://h:3002 SIP/2.0", good, "", 416),
        ("OPTIONS sip:a@b HTTP/1.1", good, "", 0),
        ("SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}", good, "", 200),
        ("SIP/2.0 099 x", good, "", 0),
        ("SIP/2.0 700 x", good, "", 0),
        ("SIP/2.0 0200 x", good, "", 0),
        ("SIP/2.0 +20 x", good, "", 0),
    ] {
        let text = format!("{line}\r\n{rest}{headers}\r\n{body}");
        assert_eq!(status(&text), expected, "{text}");
    }
}
