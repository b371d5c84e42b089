//! A datagram: it is read, asked for everything, and answered; the answer to a valid one is valid.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::digest::{Authorization, DigestChallenge};
use sip::message::{List, Message, Name, NameAddr, Via, ack_for, cancel_for, respond};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    let valid = message.validate().is_ok();
    for header in message.all_headers() {
        for value in List::new(header.value) {
            if let Some(address) = NameAddr::parse(value) {
                assert!(address.uri.matches(&address.uri) || !address.uri.is_sip());
                address.display_name();
                address.uri.user_unescaped();
            }
            Via::parse(value);
        }
    }
    for name in [Name::Authorization, Name::WwwAuthenticate] {
        for credential in message.credentials(name) {
            if let Some(authorization) = Authorization::parse(&credential) {
                assert!(!authorization.verify("", message.method_text()));
            }
            if let Some(challenge) = DigestChallenge::parse(&credential) {
                challenge.to_header();
            }
        }
    }
    (message.q850(), message.rack(), message.session_expires(), message.retry_after(), message.refer_to());
    let source = "192.0.2.1:5060".parse().expect("an address");
    let answer = respond(&message, source, 400, "Bad Request", Some("tag")).finish();
    let answer = Message::parse(&answer).expect("what we write can be read");
    if valid {
        assert_eq!(answer.validate(), Ok(()));
        if message.is_request() {
            let ack = ack_for(&message, &answer).expect("both are whole").finish();
            assert_eq!(Message::parse(&ack).map(|ack| ack.validate()), Ok(Ok(())));
            let cancel = cancel_for(&message).expect("it is whole").finish();
            assert_eq!(Message::parse(&cancel).map(|cancel| cancel.validate()), Ok(Ok(())));
        }
    }
});
