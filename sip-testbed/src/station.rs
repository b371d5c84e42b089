//! One SIP endpoint with a socket of its own: a carrier, or a phone.

use crate::plan::Answering;
use model::{LegId, Mint, Outbox, Rng};
use sip::endpoint::{Command, Config, Credentials, Endpoint};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Which station of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StationId(pub usize);

/// Legs a station begins are numbered from here, those that arrive from 1.
const FIRST_OWN_LEG: u64 = 1 << 32;

/// How a phone registers.
#[derive(Clone, Debug)]
pub struct Registration {
    /// User name and password.
    pub credentials: Credentials,
    /// The registrar's host, as in `sip:host`.
    pub domain: String,
    /// Where it is.
    pub registrar: SocketAddr,
    /// Asked for.
    pub expires: Duration,
}

/// What a station does with a call, from the called number and the caller.
pub type Answers = Box<dyn FnMut(&str, &str, &mut Rng) -> Answering + Send>;

/// What a station is made of.
pub struct StationConfig {
    /// The user part of its own URI.
    pub user: String,
    /// Its address; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Phones register, carriers do not.
    pub registration: Option<Registration>,
    /// What it does with a call.
    pub answering: Answers,
}

/// A station at work.
pub(crate) struct Station {
    pub user: String,
    pub socket: UdpSocket,
    pub local: SocketAddr,
    pub endpoint: Endpoint,
    pub out: Outbox<Command>,
    pub registration: Option<Registration>,
    pub is_registered: bool,
    pub answering: Answers,
    own_legs: Mint,
}

impl Station {
    pub fn new(config: StationConfig, rng: &mut Rng) -> std::io::Result<Station> {
        let socket = UdpSocket::bind(config.bind)?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let mut seed = [0u8; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next_u64().to_ne_bytes());
        }
        let endpoint = Endpoint::new(
            Config {
                realm: "lab".into(),
                product: "tandem-lab".into(),
                accounts: Vec::new(),
                trunks: Vec::new(),
                expires_s: (60, 3_600),
                first_leg: 1,
                open: true,
                t1_ms: 500,
                digests: Vec::new(),
            },
            seed,
        );
        Ok(Station {
            user: config.user,
            socket,
            local,
            endpoint,
            out: Outbox::new(),
            registration: config.registration,
            is_registered: false,
            answering: config.answering,
            own_legs: Mint::new(0),
        })
    }

    pub fn own_leg(&mut self) -> LegId {
        LegId(FIRST_OWN_LEG + self.own_legs.next())
    }
}
