//! Single messages on the wire: SIP over TCP from SIPp, and the torture messages of RFC 4475 and
//! RFC 5118 against the running engine over UDP and TCP.

mod lab;

use lab::tools::{Baresip, Sipp};
use lab::wire::{Wire, over_tcp, status};
use lab::{Lab, PATIENCE, Plan, look};
use model::event::{Fact, Party};
use sip::frame::FrameError;
use std::path::Path;
use std::time::Duration;

/// Every torture message, and the final status a trunk gets for it; 0 is silence.
///
/// A trunk is known by its address, so that nothing is challenged. A REGISTER of a trunk is 403,
/// an INVITE for a number without a route 404, one whose media cannot be 488 or 415.
const OUTCOMES: [(&str, u16); 32] = [
    ("badbranch.dat", 200),
    ("baddn.dat", 400),
    ("badinv01.dat", 400),
    ("bcast.dat", 0),
    ("bigcode.dat", 0),
    ("cparam01.dat", 403),
    ("esc01.dat", 404),
    ("esc02.dat", 501),
    ("escruri.dat", 400),
    ("inv2543.dat", 404),
    ("invut.dat", 415),
    ("ipv6-bug-abnf-3-colons.dat", 200),
    ("ipv6-good.dat", 403),
    ("ipv6-in-sdp.dat", 488),
    ("longreq.dat", 404),
    ("ltgtruri.dat", 400),
    ("lwsstart.dat", 400),
    ("mismatch01.dat", 400),
    ("mpart01.dat", 405),
    ("mult-ip-in-sdp.dat", 404),
    ("multi01.dat", 400),
    ("ncl.dat", 400),
    ("noreason.dat", 0),
    ("port-ambiguous.dat", 403),
    ("regbadct.dat", 400),
    ("regescrt.dat", 403),
    ("scalarlg.dat", 0),
    ("semiuri.dat", 200),
    ("unkscm.dat", 416),
    ("unksm2.dat", 400),
    ("via-received-param-with-delim.dat", 481),
    ("wsinv.dat", 404),
];

fn torture(file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sip/tests/torture");
    std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The message with a top Via that brings the answer back: `rport` asks for the port it came from
/// (RFC 3581 §4). Answers to messages that lack it go where their Via says, which is not here.
fn with_rport(bytes: &[u8]) -> Vec<u8> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut out: Vec<String> = text.split("\r\n").map(str::to_string).collect();
    let is_via = |line: &String| {
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        name == "via" || name == "v"
    };
    let Some(mut via) = out.iter().position(is_via) else {
        return bytes.to_vec();
    };
    // The value goes on in lines that begin with white space.
    while out[via + 1].starts_with([' ', '\t']) && !out[via].contains(',') {
        via += 1;
    }
    if out[via].contains("rport") {
        return bytes.to_vec();
    }
    out[via] = match out[via].split_once(',') {
        Some((first, rest)) => format!("{first};rport,{rest}"),
        None => format!("{};rport", out[via]),
    };
    out.join("\r\n")
        .chars()
        .map(|c| u8::try_from(c).expect("one byte each"))
        .collect()
}

#[test]
fn every_torture_message_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sip/tests/torture");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".dat"))
        .collect();
    files.sort();
    assert_eq!(files, OUTCOMES.map(|(file, _)| file.to_string()));
}

#[test]
fn each_torture_message_has_its_answer_over_udp() {
    let lab = Plan::new().queue("sales", "").start();
    let mut wrong = Vec::new();
    for (n, (file, expected)) in OUTCOMES.iter().enumerate() {
        // A port of its own for each: what answers one message never answers another.
        let wire = Wire::udp(lab.net.carrier(), lab.sip);
        wire.send(&with_rport(&torture(file)));
        // Silence is what the OPTIONS behind it is answered before.
        let behind = format!("behind{n}");
        wire.send(wire.request("OPTIONS", "", &behind, "", "").as_bytes());
        let mut found = 0;
        let end = look(PATIENCE, || {
            let answer = wire.receive(Duration::from_millis(500))?;
            if answer.contains(&behind) {
                return Some(());
            }
            found = status(&answer)
                .filter(|status| *status >= 200)
                .unwrap_or(found);
            None
        });
        assert!(end.is_some(), "{file}: the engine answers afterwards");
        if found != *expected {
            wrong.push(format!("{file}: {found}, not {expected}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
    lab.close();
}

#[test]
fn each_torture_message_has_its_answer_over_tcp() {
    let lab = Plan::new().queue("sales", "").start();
    let mut wrong = Vec::new();
    for (file, expected) in OUTCOMES {
        let bytes = torture(file);
        // On a stream Content-Length is mandatory (RFC 3261 §18.3), unless what follows says by its
        // form where it ends.
        let is_lost = matches!(sip::frame::frame(&bytes), Err(FrameError::Fault { .. }));
        let expected = match expected {
            0 | 416 => expected,
            _ if is_lost => 400,
            _ => expected,
        };
        let (found, _) = over_tcp(lab.net.carrier(), lab.sip, &bytes);
        let found = found.unwrap_or(0);
        if found != expected {
            wrong.push(format!("{file}: {found}, not {expected}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
    lab.close();
}

fn talks_over_tcp(lab: &mut Lab) {
    lab.fact("they talk", |fact| matches!(fact, Fact::CallBridged { .. }));
    let ended = lab.fact("the call ends", |fact| {
        matches!(fact, Fact::CallEnded { .. })
    });
    assert!(
        matches!(
            ended.fact,
            Fact::CallEnded {
                by: Party::Customer,
                ..
            }
        ),
        "{ended:?}"
    );
}

#[test]
fn a_caller_over_tcp_talks_to_a_phone_over_tcp() {
    let mut lab = Plan::new()
        .with_md5_only()
        .queue("sales", "wrap_up_ms = 0")
        .agent("anna", &["sales"], 0)
        .start();
    let mut phone = Baresip::phone(&lab, "anna", "tcp", 440);
    lab.make_available("anna");
    let mut caller = Sipp::caller(&lab, "caller", "caller_hangs_up.xml", "100")
        .with(&["-t", "t1", "-key", "digits", "1", "-d", "4000"])
        .start();
    talks_over_tcp(&mut lab);
    caller.succeeds();
    phone.tool.terminate();
    lab.close();
}

#[test]
fn a_caller_over_tcp_talks_to_a_phone_over_udp() {
    let mut lab = Plan::new()
        .queue("sales", "wrap_up_ms = 0")
        .agent("anna", &["sales"], 0)
        .start();
    let mut phone = Sipp::phone(&lab, "anna", "agent_waits_for_bye.xml").start();
    lab.make_available("anna");
    let mut caller = Sipp::caller(&lab, "caller", "caller_hangs_up_waiting.xml", "200")
        .with(&["-t", "t1", "-d", "2000"])
        .start();
    talks_over_tcp(&mut lab);
    caller.succeeds();
    phone.quits_well();
    lab.close();
}

#[test]
fn a_carrier_over_tcp_takes_our_calls() {
    let campaign = "mode = \"progressive\"\nrunning = false\nlists = [\"spring\"]\ntrunks = [\"carrier\"]\n\
                    caller_id = \"+12125550100\"\nrules = [\"demo\"]\nabandon_prompt = \"abandon\"\nring_timeout_ms = 15000\n";
    let mut plan =
        Plan::new()
            .file("campaigns/spring.toml", campaign)
            .agent("anna", &["spring"], 0);
    plan.transport = "tcp";
    let mut lab = plan.leads("spring", "phone\n+12125550104\n").start();
    let mut carrier = Sipp::carrier(&lab, "carrier_hangs_up.xml")
        .with(&["-t", "t1", "-d", "1500"])
        .start();
    let mut phone = Sipp::phone(&lab, "anna", "agent_waits_for_bye.xml").start();
    lab.make_available("anna");
    lab.run_campaign("spring", true);
    talks_over_tcp(&mut lab);
    carrier.quits_well();
    phone.quits_well();
    lab.close();
}
