//! A stream: what is cut from it can be read, consumes something, and is the same however much follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::frame::{Frame, frame};
use sip::message::Message;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    loop {
        match frame(rest) {
            Ok(Frame::Message { bytes, consumed }) => {
                assert!(consumed == bytes.len() && consumed > 0);
                Message::parse(bytes).expect("what is framed can be read");
                assert_eq!(frame(bytes), Ok(Frame::Message { bytes, consumed }));
                rest = &rest[consumed..];
            }
            Ok(Frame::Ping { consumed } | Frame::KeepAlive { consumed }) => {
                assert!(consumed > 0);
                rest = &rest[consumed..];
            }
            Ok(Frame::Incomplete) | Err(_) => return,
        }
    }
});
