//! The world outside: a carrier with customers who call and are called, and the agents' phones.

use anyhow::Context;
use model::{AgentId, Rng};
use sip::endpoint::Credentials;
use sip_testbed::{Answering, Lab, LabReport, Registration, Script, StationConfig, StationId};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What customers hum, and what agents do, in Hz: each side listens for the other.
const CUSTOMER_HZ: u16 = 600;
const AGENT_HZ: u16 = 1_000;
/// Inbound calls per agent and second: a third of the agents take them and are busy two thirds of the time.
const INBOUND_PER_AGENT: f64 = 0.025;
/// A registration lasts longer than any demo.
const REGISTRATION: Duration = Duration::from_secs(3_600);

const SHUT: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;
const LEAVE: u8 = 3;

/// The carrier, before anybody calls.
pub struct Street {
    lab: Lab,
    carrier: StationId,
    agents: u32,
}

/// The carrier and the phones at work on a thread of their own.
pub struct People {
    stage: Arc<AtomicU8>,
    thread: JoinHandle<std::io::Result<LabReport>>,
}

impl Street {
    /// Opens the carrier on a free port.
    pub fn open(agents: u32) -> anyhow::Result<Street> {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mut lab = Lab::new(loopback, 20_260_101).context("the carrier cannot be opened")?;
        let carrier = lab
            .add(StationConfig {
                user: "carrier".into(),
                bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                registration: None,
                answering: Box::new(|_, _, rng| customer(rng)),
            })
            .context("the carrier cannot be opened")?;
        Ok(Street {
            lab,
            carrier,
            agents,
        })
    }

    /// Where the carrier listens.
    pub fn carrier(&self) -> SocketAddr {
        self.lab.address(self.carrier)
    }

    /// Gives every agent a phone and begins.
    pub fn populate(
        mut self,
        tandem: SocketAddr,
        phones: &BTreeMap<AgentId, String>,
    ) -> anyhow::Result<People> {
        for (agent, password) in phones {
            self.lab
                .add(StationConfig {
                    user: agent.to_string(),
                    bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                    registration: Some(Registration {
                        credentials: Credentials {
                            user: agent.to_string(),
                            password: password.clone(),
                        },
                        domain: tandem.to_string(),
                        registrar: tandem,
                        expires: REGISTRATION,
                    }),
                    answering: Box::new(|_, _, rng| agent_answers(rng)),
                })
                .with_context(|| format!("the phone of {agent} cannot be opened"))?;
        }
        let stage = Arc::new(AtomicU8::new(SHUT));
        let seen = stage.clone();
        let thread = std::thread::Builder::new()
            .name("street".into())
            .spawn(move || self.live(tandem, &seen))?;
        Ok(People { stage, thread })
    }

    fn live(mut self, tandem: SocketAddr, stage: &AtomicU8) -> std::io::Result<LabReport> {
        let mut rng = Rng::new(7);
        let every = 1.0 / (INBOUND_PER_AGENT * f64::from(self.agents));
        let mut next_call: Option<Instant> = None;
        let mut callers = 0u32;
        loop {
            match stage.load(Ordering::Acquire) {
                OPEN => {
                    let at = *next_call.get_or_insert_with(Instant::now);
                    if Instant::now() >= at {
                        next_call = Some(at + Duration::from_secs_f64(rng.exponential(every)));
                        callers += 1;
                        let from = format!("+1646555{callers:04}");
                        self.lab.call(
                            self.carrier,
                            tandem,
                            &from,
                            "+12125550100",
                            None,
                            caller(&mut rng),
                        )?;
                    }
                }
                LEAVE => return Ok(self.lab.report()),
                SHUT | CLOSED => {}
                other => panic!("no such stage: {other}"),
            }
            self.lab.turn()?;
        }
    }
}

impl People {
    /// Customers begin to call.
    pub fn open(&self) {
        self.stage.store(OPEN, Ordering::Release);
    }

    /// No further ones.
    pub fn close(&self) {
        self.stage.store(CLOSED, Ordering::Release);
    }

    /// Everybody goes home; what they saw.
    pub fn leave(self) -> anyhow::Result<LabReport> {
        self.stage.store(LEAVE, Ordering::Release);
        match self.thread.join() {
            Ok(report) => report.context("the carrier failed"),
            Err(_) => anyhow::bail!("the carrier's thread panicked"),
        }
    }
}

/// A customer who is called: 40 % answer, some are busy, some numbers are dead, the rest let it ring.
fn customer(rng: &mut Rng) -> Answering {
    let chance = rng.unit();
    if chance < 0.40 {
        let ring = rng.log_normal(2.0, 0.5).clamp(0.5, 8.0);
        let script = Script {
            tone_hz: CUSTOMER_HZ,
            listen_hz: AGENT_HZ,
            ..Script::default()
        };
        Answering::Answer {
            after: Duration::from_secs_f64(ring),
            script,
        }
    } else if chance < 0.52 {
        Answering::Refuse {
            after: Duration::from_millis(300),
            status: 486,
        }
    } else if chance < 0.56 {
        Answering::Refuse {
            after: Duration::from_millis(200),
            status: 404,
        }
    } else {
        Answering::RingOut
    }
}

/// A customer who calls: presses 1 or 2 during the menu, waits, hums, and some hang up first.
fn caller(rng: &mut Rng) -> Script {
    let digit = if rng.chance(0.6) { '1' } else { '2' };
    let talk = rng
        .chance(0.3)
        .then(|| Duration::from_secs_f64(rng.log_normal(8.0, 0.4).clamp(4.0, 12.0)));
    Script {
        digits: vec![(Duration::from_secs_f64(0.8 + rng.unit()), digit)],
        hang_up_after: talk,
        patience: Some(Duration::from_secs_f64(rng.log_normal(14.0, 0.3))),
        tone_hz: CUSTOMER_HZ,
        listen_hz: AGENT_HZ,
    }
}

/// An agent: picks up quickly, talks for some seconds, hangs up.
fn agent_answers(rng: &mut Rng) -> Answering {
    let talk = rng.log_normal(5.0, 0.4).clamp(2.0, 9.0);
    let script = Script {
        hang_up_after: Some(Duration::from_secs_f64(talk)),
        tone_hz: AGENT_HZ,
        listen_hz: CUSTOMER_HZ,
        ..Script::default()
    };
    Answering::Answer {
        after: Duration::from_millis(20 + rng.below(60)),
        script,
    }
}
