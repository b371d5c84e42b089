//! What SIP costs the control thread, without the kernel: parsing one INVITE, one transaction between two
//! endpoints, and a whole call from INVITE to BYE. Processor time of this thread, the median of five runs.
//!
//! Run: `cargo bench --bench sip`. A whole call is both ends; a back-to-back call has two of them.

use model::{LegId, Mono, Now, Outbox, TrunkId};
use rustix::time::{ClockId, clock_gettime};
use sip::endpoint::{Command, Config, Endpoint, Hop, Input, Invite, Transport, TrunkPeer};
use sip::message::Message;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

const RUNS: usize = 5;
const MESSAGES: u64 = 200_000;
const PINGS: u64 = 20_000;
const CALLS: u64 = 10_000;
/// Virtual time between two calls: 100 per second, so that transactions linger as they do in life.
const BETWEEN: Duration = Duration::from_millis(10);

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

fn main() {
    median(
        "parse an INVITE and read its routing headers",
        MESSAGES,
        parse,
    );
    median("OPTIONS and its 200, both ends", PINGS, pings);
    median("call, INVITE to BYE, both ends", CALLS, calls);
}

fn median(name: &str, each: u64, run: fn(u64)) {
    let mut ns: Vec<u64> = (0..RUNS)
        .map(|_| {
            let before = cpu_ns();
            run(each);
            (cpu_ns() - before) / each
        })
        .collect();
    ns.sort_unstable();
    println!(
        "{name:50} {:>9.2} µs  (from {:.2} to {:.2})",
        us(ns[RUNS / 2]),
        us(ns[0]),
        us(ns[RUNS - 1])
    );
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn parse(each: u64) {
    let text = format!(
        "INVITE sip:+12125550100@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK776asdhds\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:+12125550199@192.0.2.1>;tag=1928301774\r\nTo: <sip:+12125550100@192.0.2.2>\r\n\
         Call-ID: a84b4c76e66710@192.0.2.1\r\nCSeq: 314159 INVITE\r\nContact: <sip:+12125550199@192.0.2.1:5060>\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nSupported: 100rel, timer\r\nUser-Agent: carrier\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    for _ in 0..each {
        let message = Message::parse(black_box(text.as_bytes())).expect("a valid INVITE");
        black_box((
            message.cseq(),
            message.header(sip::message::Name::CallId),
            message.body().len(),
        ));
    }
}

/// Two endpoints and the wire between them.
struct Pair {
    ends: [Endpoint; 2],
    out: [Outbox<Command>; 2],
    at: [SocketAddr; 2],
    now: Now,
}

impl Pair {
    fn new() -> Pair {
        let at: [SocketAddr; 2] = [([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 2], 5060).into()];
        let end = |n: usize| {
            let config = Config {
                realm: "bench".into(),
                product: "bench".into(),
                accounts: Vec::new(),
                trunks: vec![TrunkPeer {
                    trunk: trunk(),
                    addresses: vec![at[1 - n]],
                }],
                expires_s: (60, 3_600),
                first_leg: 1 << 40,
                open: false,
                t1_ms: 500,
                digests: Vec::new(),
            };
            Endpoint::new(config, [n as u8 + 1; 32])
        };
        Pair {
            ends: [end(0), end(1)],
            out: [Outbox::new(), Outbox::new()],
            at,
            now: Now::default(),
        }
    }

    fn hop(&self, from: usize) -> Hop {
        Hop {
            transport: Transport::Udp,
            local: self.at[from],
            remote: self.at[1 - from],
        }
    }

    fn tell(&mut self, end: usize, input: Input<'_>) {
        self.ends[end].handle(self.now, input, &mut self.out[end]);
    }

    /// Carries messages until both are quiet; facts go to `each`, which may answer with an input.
    fn settle(&mut self, each: &mut dyn FnMut(usize, &Command) -> Option<Input<'static>>) {
        loop {
            let Some(end) = (0..2).find(|end| !self.out[*end].commands.is_empty()) else {
                return;
            };
            let Some(command) = self.out[end].commands.pop_front() else {
                return;
            };
            if let Command::Send { bytes, .. } = &command {
                let hop = self.hop(1 - end);
                self.tell(1 - end, Input::Received { hop, bytes });
            } else if let Some(input) = each(end, &command) {
                self.tell(end, input);
            }
        }
    }

    /// Time passes, and timers run that are due.
    fn pass(&mut self) {
        self.now.mono += BETWEEN;
        for end in 0..2 {
            if self.ends[end]
                .next_deadline()
                .is_some_and(|at: Mono| at <= self.now.mono)
            {
                self.tell(end, Input::Tick);
            }
        }
        self.settle(&mut |_, _| None);
    }
}

fn trunk() -> TrunkId {
    "bench".parse().expect("a name")
}

fn pings(each: u64) {
    let mut pair = Pair::new();
    let mut answered = 0;
    for _ in 0..each {
        let hop = pair.hop(0);
        pair.tell(
            0,
            Input::Ping {
                trunk: trunk(),
                hop,
                target: "sip:192.0.2.2".into(),
            },
        );
        pair.settle(&mut |_, command| {
            answered += u64::from(matches!(command, Command::Ponged { ok: true, .. }));
            None
        });
        pair.pass();
    }
    assert_eq!(answered, each, "every OPTIONS is answered");
}

fn calls(each: u64) {
    let mut pair = Pair::new();
    let mut ended = 0;
    for n in 0..each {
        let invite = Invite {
            leg: LegId(n + 1),
            hop: pair.hop(0),
            target: "sip:+12125550100@192.0.2.2".into(),
            from_user: "+12125550199".into(),
            from_name: None,
            call_id: None,
            credentials: None,
            headers: Vec::new(),
            sdp: SDP.into(),
        };
        pair.tell(0, Input::Invite(Box::new(invite)));
        let mut arrived = None;
        pair.settle(&mut |_, command| match command {
            Command::Arrived(call) => {
                arrived = Some(call.leg);
                None
            }
            _ => None,
        });
        let leg = arrived.expect("the call arrives");
        pair.tell(1, Input::Ring { leg });
        pair.tell(
            1,
            Input::Accept {
                leg,
                sdp: SDP.into(),
            },
        );
        pair.settle(&mut |_, _| None);
        pair.tell(
            0,
            Input::HangUp {
                leg: LegId(n + 1),
                q850: 16,
            },
        );
        pair.settle(&mut |_, command| {
            ended += u64::from(matches!(command, Command::Ended { .. }));
            None
        });
        pair.pass();
    }
    assert_eq!(ended, each, "every call is answered and ended");
}
