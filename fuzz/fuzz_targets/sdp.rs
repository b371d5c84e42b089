//! A description: taken as an offer and as an answer; what we answer can be read and answers the offer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::offer_answer::{Codec, Local, accept_answer, answer, offer};

fuzz_target!(|bytes: &[u8]| {
    let local = Local {
        addr: "192.0.2.1:4000".parse().expect("an address"),
        session_id: 1,
        version: 1,
        codecs: &[Codec::Pcmu, Codec::Pcma],
        direction: sip::sdp::Direction::SendRecv,
    };
    if let Ok((ours, agreed)) = answer(bytes, &local) {
        let offered = sip::sdp::Sdp::parse(bytes).expect("it was answered");
        let answered = sip::sdp::Sdp::parse(&ours).expect("what we write can be read");
        assert_eq!(offered.media.len(), answered.media.len());
        assert_eq!(answered.media.iter().filter(|media| media.port != 0).count(), 1);
        assert_eq!(agreed.direction.sends() && agreed.hold, false);
    }
    if let Ok(agreed) = accept_answer(&offer(&local), bytes) {
        assert!(local.codecs.contains(&agreed.codec));
    }
});
