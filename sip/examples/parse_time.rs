//! How long the index over a usual INVITE takes: `cargo run --release -p sip --example parse_time`.

use sip::message::Message;
use std::hint::black_box;

const INVITE: &str = "INVITE sip:+4930123456@carrier.example;user=phone SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds;rport\r\n\
Max-Forwards: 70\r\n\
From: \"Alice Example\" <sip:+4930999888@carrier.example>;tag=1928301774\r\n\
To: <sip:+4930123456@carrier.example>\r\n\
Call-ID: a84b4c76e66710@192.0.2.10\r\n\
CSeq: 314159 INVITE\r\n\
Contact: <sip:+4930999888@192.0.2.10:5060>\r\n\
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE, PRACK, REFER, NOTIFY\r\n\
Supported: replaces, timer, 100rel\r\n\
Session-Expires: 1800\r\n\
Min-SE: 90\r\n\
User-Agent: Example Gateway 4.2\r\n\
P-Asserted-Identity: <sip:+4930999888@carrier.example>\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 207\r\n\r\n\
v=0\r\no=- 20518 0 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8 0 101\r\n\
a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n";

/// Enough for a steady figure in a second.
const ROUNDS: u32 = 1_000_000;

fn main() {
    let bytes = INVITE.replace(
        "207",
        &(INVITE.len() - INVITE.find("v=0").expect("it has a body")).to_string(),
    );
    Message::parse(bytes.as_bytes())
        .expect("readable")
        .validate()
        .expect("valid");
    #[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
    let now = std::time::Instant::now;
    for (what, asks) in [("index", false), ("index and validate", true)] {
        let start = now();
        for _ in 0..ROUNDS {
            let message = Message::parse(black_box(bytes.as_bytes()));
            if asks {
                black_box(message.as_ref().map(|message| message.validate()).is_ok());
            }
            black_box(message.is_ok());
        }
        println!(
            "{what}: {:.0} ns for {} bytes",
            start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS),
            bytes.len()
        );
    }
}
