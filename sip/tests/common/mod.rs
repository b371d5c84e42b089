//! Endpoints wired through a network in memory that loses, doubles and reorders by a seed, in
//! virtual time that jumps from one deadline to the next.
#![allow(dead_code, reason = "each test file uses its part")]

use model::{LegId, Mono, Now, Outbox, Rng};
use sip::endpoint::{
    Account, Command, Config, Credentials, Endpoint, Hop, Input, Invite, Transport,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Steps one run may take; more is a livelock.
const STEPS_MAX: usize = 200_000;

pub const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub const ANSWER: &[u8] = b"v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

pub fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 5060))
}

pub fn hop(from: u8, to: u8, transport: Transport) -> Hop {
    Hop {
        transport,
        local: address(from),
        remote: address(to),
    }
}

pub fn config() -> Config {
    Config {
        realm: "tandem".to_owned(),
        product: "Tandem/test".to_owned(),
        accounts: Vec::new(),
        trunks: Vec::new(),
        expires_s: (60, 3600),
        first_leg: 1000,
        open: true,
        t1_ms: 500,
        digests: vec![sip::digest::Algorithm::Sha256, sip::digest::Algorithm::Md5],
    }
}

pub fn account(user: &str) -> Account {
    sip::auth::account(user, "tandem", "secret")
}

pub fn credentials(user: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        password: "secret".to_owned(),
    }
}

/// What an endpoint of the test does by itself when it is told something.
pub type Script = Box<dyn FnMut(&Command, &mut Rng) -> Vec<Input<'static>>>;

pub struct End {
    pub address: SocketAddr,
    pub endpoint: Endpoint,
    /// All it told, in order.
    pub told: Vec<Command>,
    /// The bytes it sent, in order.
    pub sent: Vec<String>,
    pub script: Script,
}

pub struct Net {
    pub now: Now,
    pub rng: Rng,
    pub loss: f64,
    pub doubling: f64,
    pub delay_ms: (u64, u64),
    pub ends: Vec<End>,
    in_flight: BTreeMap<(Mono, u64), (Hop, Vec<u8>)>,
    /// Asked of each message: true loses it.
    pub eat: Box<dyn FnMut(&str) -> bool>,
    count: u64,
    steps: usize,
}

impl Net {
    pub fn new(seed: u64, configs: Vec<Config>) -> Net {
        let ends = configs.into_iter().enumerate().map(|(i, config)| {
            let mut bytes = [i as u8; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            End {
                address: address(i as u8),
                endpoint: Endpoint::new(config, bytes),
                told: Vec::new(),
                sent: Vec::new(),
                script: Box::new(|_, _| Vec::new()),
            }
        });
        Net {
            now: Now::default().plus(Duration::from_secs(1)),
            rng: Rng::new(seed),
            loss: 0.0,
            doubling: 0.0,
            delay_ms: (10, 10),
            ends: ends.collect(),
            in_flight: BTreeMap::new(),
            eat: Box::new(|_| false),
            count: 0,
            steps: 0,
        }
    }

    /// Tells an endpoint something and carries out what it wants.
    pub fn put(&mut self, end: usize, input: Input<'_>) {
        let mut out = Outbox::new();
        let e = &mut self.ends[end];
        e.endpoint.handle(self.now, input, &mut out);
        assert!(
            e.endpoint
                .next_deadline()
                .is_none_or(|at| at > self.now.mono)
                || out.commands.len() < 1000,
            "no step leaves a pile of commands"
        );
        for command in out.commands {
            match command {
                Command::Send { hop, bytes } => self.carry(end, hop, bytes),
                told => {
                    let e = &mut self.ends[end];
                    let wishes = (e.script)(&told, &mut self.rng);
                    e.told.push(told);
                    for wish in wishes {
                        self.put(end, wish);
                    }
                }
            }
        }
    }

    fn carry(&mut self, from: usize, hop: Hop, bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_eaten = (self.eat)(&text);
        self.ends[from].sent.push(text);
        let is_udp = hop.transport == Transport::Udp;
        if is_eaten || (is_udp && self.rng.chance(self.loss)) {
            return;
        }
        let copies = if is_udp && self.rng.chance(self.doubling) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let (least, most) = self.delay_ms;
            let ms = if is_udp {
                least + self.rng.below(most - least + 1)
            } else {
                least
            };
            let at = self.now.mono + Duration::from_millis(ms);
            self.count += 1;
            let seen = Hop {
                transport: hop.transport,
                local: hop.remote,
                remote: hop.local,
            };
            self.in_flight
                .insert((at, self.count), (seen, bytes.clone()));
        }
    }

    /// Lets an endpoint receive text from an address that has no endpoint behind it.
    pub fn inject(&mut self, end: usize, hop: Hop, text: &str) {
        self.put(
            end,
            Input::Received {
                hop,
                bytes: text.as_bytes(),
            },
        );
    }

    /// One step; false when nothing is left to happen by `until`.
    fn step(&mut self, until: Mono) -> bool {
        let deadlines = self.ends.iter().filter_map(|e| e.endpoint.next_deadline());
        let arrivals = self.in_flight.keys().next().map(|(at, _)| *at);
        let Some(next) = deadlines.chain(arrivals).min().filter(|at| *at <= until) else {
            return false;
        };
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "the run never comes to rest");
        self.now = self.now.plus(next.since(self.now.mono));
        if arrivals == Some(next) {
            let (_, (hop, bytes)) = self.in_flight.pop_first().expect("it was just seen");
            if let Some(end) = self.ends.iter().position(|e| e.address == hop.local) {
                self.put(end, Input::Received { hop, bytes: &bytes });
            }
            return true;
        }
        for end in 0..self.ends.len() {
            if self.ends[end].endpoint.next_deadline() == Some(next) {
                self.put(end, Input::Tick);
            }
        }
        true
    }

    /// Runs for that long.
    pub fn run(&mut self, d: Duration) {
        let until = self.now.mono + d;
        while self.step(until) {}
        self.now = self.now.plus(until.since(self.now.mono));
    }

    pub fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// Runs until nothing is left to happen.
    pub fn settle(&mut self) {
        while self.step(Mono::MAX) {}
    }

    /// What an endpoint was told since the last time, one line each.
    pub fn told(&mut self, end: usize) -> Vec<String> {
        self.ends[end].told.drain(..).map(|c| line(&c)).collect()
    }

    /// The first lines of what an endpoint sent since the last time.
    pub fn sent(&mut self, end: usize) -> Vec<String> {
        let first = |text: String| {
            let line = text.lines().next().unwrap_or_default();
            line.strip_prefix("SIP/2.0 ")
                .unwrap_or(line.split(' ').next().unwrap_or_default())
                .to_owned()
        };
        self.ends[end].sent.drain(..).map(first).collect()
    }

    pub fn assert_idle(&self) {
        for (i, end) in self.ends.iter().enumerate() {
            let (transactions, legs, _) = end.endpoint.live();
            assert_eq!((transactions, legs), (0, 0), "end {i} keeps nothing");
            assert_eq!(
                end.endpoint.next_deadline(),
                None,
                "end {i} waits for nothing"
            );
        }
    }
}

/// A command in short.
pub fn line(command: &Command) -> String {
    match command {
        Command::Arrived(a) => format!(
            "arrived {} from {} offer {}",
            a.called,
            a.caller,
            a.sdp.is_some()
        ),
        Command::Ringing { sdp, .. } => format!("ringing media {}", sdp.is_some()),
        Command::Answered { .. } => "answered".to_owned(),
        Command::Failed { status, .. } => format!("failed {status}"),
        Command::Confirmed { sdp, .. } => format!("confirmed sdp {}", sdp.is_some()),
        Command::Ended { why, .. } => format!("ended {why:?}"),
        Command::Reinvited { sdp, .. } => format!("reinvited offer {}", sdp.is_some()),
        Command::ReinviteAnswered { sdp, .. } => format!("reinvite answered {}", sdp.is_some()),
        Command::Registered {
            account,
            contact,
            expires_s,
            ..
        } => {
            format!("registered {account} {contact} {expires_s}")
        }
        Command::Unregistered { account } => format!("unregistered {account}"),
        Command::TrunkRegistered { ok, status, .. } => format!("trunk registered {ok} {status}"),
        Command::Ponged { ok, .. } => format!("ponged {ok}"),
        Command::Digit { digit, .. } => format!("digit {digit}"),
        Command::Close { .. } => "close".to_owned(),
        Command::Send { .. } => "send".to_owned(),
    }
}

/// A call from end 0 to end 1.
pub fn invite(leg: u64, transport: Transport) -> Invite {
    Invite {
        leg: LegId(leg),
        hop: hop(0, 1, transport),
        target: "sip:4930123456@10.0.0.1".to_owned(),
        from_user: "anna".to_owned(),
        from_name: Some("Anna \"A\" Meier".to_owned()),
        call_id: None,
        credentials: None,
        headers: vec![("X-Attempt".to_owned(), "7".to_owned())],
        sdp: OFFER.to_vec(),
    }
}

/// Two endpoints that take everything.
pub fn pair(seed: u64) -> Net {
    Net::new(seed, vec![config(), config()])
}

/// Two endpoints with a call up between them: leg 1 at end 0, leg 1000 at end 1.
pub fn call(transport: Transport) -> Net {
    let mut net = pair(1);
    net.put(0, Input::Invite(Box::new(invite(1, transport))));
    net.run_ms(50);
    net.put(1, Input::Ring { leg: LegId(1000) });
    net.run_ms(50);
    net.put(
        1,
        Input::Accept {
            leg: LegId(1000),
            sdp: ANSWER.to_vec(),
        },
    );
    net.run_ms(50);
    net
}

pub fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    text.lines()
        .find_map(|l| l.strip_prefix(start.as_str()))
        .unwrap_or_default()
}
