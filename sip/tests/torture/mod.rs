//! The messages of RFC 4475 and RFC 5118, and generators of messages that are good or spoiled.
#![allow(dead_code, reason = "each test file uses its part")]

use proptest::prelude::*;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

/// One message by its file name.
pub fn message(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// File name and expected outcome of every message in the index.
pub fn index() -> Vec<(String, String)> {
    let text = String::from_utf8(message("INDEX.tsv")).expect("the index is text");
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!(columns.len(), 4, "{line:?}");
        (columns[0].to_owned(), columns[2].to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

/// The names of all message files there are.
pub fn files() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .into_string()
                .expect("a plain name")
        })
        .filter(|name| name.ends_with(".dat"))
        .collect();
    names.sort();
    names
}

/// What a generated message was made of.
#[derive(Clone, Debug)]
pub struct Made {
    pub method: &'static str,
    pub uri: String,
    pub branch: String,
    pub from_tag: String,
    pub to_tag: Option<String>,
    pub call_id: String,
    pub cseq: u32,
    pub body: Vec<u8>,
    pub bytes: Vec<u8>,
}

const TOKEN: &str = "[A-Za-z0-9.!%*_+~-]{1,20}";

fn uri() -> impl Strategy<Value = String> {
    let user = "[A-Za-z0-9_.!~*'()&=+$,;?/-]{1,12}";
    let host = prop_oneof![
        "[a-z][a-z0-9-]{0,8}[a-z0-9](\\.[a-z]{2,5}){1,2}",
        Just("192.0.2.7".to_owned())
    ];
    (
        prop_oneof![Just("sip"), Just("sips")],
        user,
        host,
        proptest::option::of(1u16..),
        proptest::option::of("[a-z]{1,6}"),
    )
        .prop_map(|(scheme, user, host, port, parameter)| {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            let parameter = parameter.map_or(String::new(), |name| format!(";x-{name}=1"));
            format!("{scheme}:{user}@{host}{port}{parameter}")
        })
}

/// Good requests without anything that an older parser stumbles over where `plain`; else with folds, compact names
/// and white space.
pub fn request(plain: bool) -> impl Strategy<Value = Made> {
    let methods = [
        "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO",
    ];
    let uri = if plain {
        "sip:[a-z]{1,9}@[a-z]{1,9}\\.example"
            .prop_map(|uri| uri)
            .boxed()
    } else {
        uri().boxed()
    };
    let names = (TOKEN, TOKEN, proptest::option::of(TOKEN), TOKEN);
    let shape = (any::<bool>(), any::<bool>(), 0usize..3, "[a-zA-Z]{0,8}");
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    (0..methods.len(), uri, names, 0u32..=sip::message::CSEQ_MAX, shape, body).prop_map(
        move |(method, uri, (branch, from_tag, to_tag, call_id), cseq, (folds, compact, vias, display), body)| {
            let method = methods[method];
            let (folds, compact) = (folds && !plain, compact && !plain);
            let [via, from, to, id, length] = if compact {
                ["v ", "F", "t\t", "I", "L"]
            } else {
                ["Via", "From", "To", "Call-ID", "Content-Length"]
            };
            let gap = if folds { "\r\n\t " } else { " " };
            let branch = format!("z9hG4bK{branch}");
            let tagged = to_tag.as_ref().map_or(String::new(), |tag| format!(";tag={tag}"));
            let quoted = if plain { display.clone() } else { format!("\"{display} \\\"x, <y>;\\\\\"") };
            let mut head = format!(
                "{method} {uri} SIP/2.0\r\n{via}:{gap}SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\r\n\
                 Max-Forwards: 70\r\n{from}: {quoted}{gap}<sip:a@b.example>;tag={from_tag}\r\n\
                 {to}: <sip:c@d.example>{tagged}\r\n{id}: {call_id}\r\nCSeq: {cseq}{gap}{method}\r\n",
            );
            for i in 0..vias {
                head.push_str(&format!("Via: SIP/2.0/TCP h{i}.example;branch=z9hG4bKother\r\n"));
            }
            head.push_str(&format!("{length}: {}\r\n\r\n", body.len()));
            let bytes = [head.as_bytes(), &body].concat();
            Made { method, uri, branch, from_tag, to_tag, call_id, cseq, body, bytes }
        },
    )
}

/// A change to a message: what, where (in thousandths of its length), how much, and with which byte.
pub type Spoil = (u8, u16, u8, u8);

pub fn spoils() -> impl Strategy<Value = Vec<Spoil>> {
    let bytes = prop_oneof![
        any::<u8>(),
        proptest::sample::select(b"\r\n\t :;,<>\"\\@?=/%[]0".to_vec()),
        any::<u8>().prop_map(|byte| byte & 0x7F),
    ];
    proptest::collection::vec((0u8..6, 0u16..1000, 1u8..30, bytes), 1..5)
}

pub fn spoil(message: &[u8], spoils: &[Spoil]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for (what, place, count, byte) in spoils {
        let at = bytes.len() * usize::from(*place) / 1000;
        let end = (at + usize::from(*count)).min(bytes.len());
        match what {
            0 | 1 if at < bytes.len() => bytes[at] = *byte,
            2 => bytes.insert(at, *byte),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                // A whole line once more.
                let start = bytes[..at]
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |i| i + 1);
                let line_end = bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(bytes.len(), |i| at + i + 1);
                let line = bytes[start..line_end].to_vec();
                bytes.splice(start..start, line);
            }
        }
    }
    bytes
}
