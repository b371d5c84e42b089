//! The coupling between the engine and the wire: facts of SIP and media become inputs, commands
//! become SIP and media.
//!
//! ```text
//! sip ─► take_in ─► Engine ─► carry_out ─► sip, media
//! ```
//!
//! No decision is made here. What is for the store, the screens and the data sources is handed on.

mod attestation;
mod carry_out;
mod leg_table;
mod take_in;

pub use leg_table::LegTable;

use crate::journal;
use crate::media_io::ports::Ports;
use crate::media_io::prompts::PromptLibrary;
use crate::media_io::{LegCounters, Media, Order, Report};
use call::{Engine, EngineOutbox, Input};
use model::{AgentId, Event, LegId, Now, Outbox, RecordingId, TrunkId};
use sip::endpoint::{Credentials, Endpoint, Hop};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;

/// How to reach a carrier.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Where requests go.
    pub hop: Hop,
    /// Host and port of request URIs.
    pub host: String,
    /// For its challenges.
    pub credentials: Option<Credentials>,
}

/// Where an agent's phone is.
#[derive(Clone, Debug)]
pub struct Phone {
    /// The URI it registered.
    pub contact: String,
    /// Where its packets come from.
    pub hop: Hop,
}

/// What the exchange needs to know at start.
pub struct Setup {
    /// The decisions.
    pub engine: Engine,
    /// The signalling.
    pub sip: Endpoint,
    /// The voices.
    pub media: Media,
    /// What can be played.
    pub prompts: PromptLibrary,
    /// Ports for RTP.
    pub ports: Ports,
    /// The address our SDP names.
    pub media_address: std::net::IpAddr,
    /// Carriers.
    pub trunks: BTreeMap<TrunkId, Trunk>,
    /// Agents by the account of their phone.
    pub agent_of_account: HashMap<String, AgentId>,
    /// Phones may send RTP from elsewhere than their SDP says (NAT).
    pub latch_phones: bool,
    /// Where recordings go.
    pub recordings: PathBuf,
    /// Part of every SIP Call-ID of ours.
    pub domain: String,
}

/// What leaves the exchange in one turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// Messages for the wire, in order.
    pub send: Vec<(Hop, Vec<u8>)>,
    /// Streams to close.
    pub close: Vec<Hop>,
    /// What happened.
    pub events: Vec<Event>,
    /// The engine's inputs, for the replay log.
    pub inputs: Vec<(Now, Input)>,
    /// What closed legs counted.
    pub legs: Vec<LegCounters>,
    /// Commands that are not for SIP or media: store, screens, data sources. In order.
    pub errands: Vec<call::Command>,
}

/// See the module.
pub struct Exchange {
    engine: Engine,
    sip: Endpoint,
    sip_out: Outbox<sip::endpoint::Command>,
    engine_out: EngineOutbox,
    inputs: VecDeque<Input>,
    legs: LegTable,
    phones: BTreeMap<AgentId, Phone>,
    // Look-ups only.
    legs_of_recording: HashMap<RecordingId, [LegId; 2]>,
    setup: Wiring,
    turn: Turn,
    /// What trunks were told to be last.
    trunks_up: BTreeMap<TrunkId, bool>,
    counters: MediaCounters,
}

/// The parts of [`Setup`] that stay as they are.
struct Wiring {
    media: Media,
    prompts: PromptLibrary,
    ports: Ports,
    media_address: std::net::IpAddr,
    trunks: BTreeMap<TrunkId, Trunk>,
    agent_of_account: HashMap<String, AgentId>,
    latch_phones: bool,
    recordings: PathBuf,
    domain: String,
}

/// Summed over closed legs, for `/metrics` and the demo's report.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaCounters {
    /// Legs whose media closed.
    pub legs: u64,
    /// Packets received.
    pub received: u64,
    /// Packets lost on the way to us.
    pub lost: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets from strangers.
    pub refused: u64,
    /// Packets that were not RTP.
    pub malformed: u64,
}

impl Exchange {
    /// An exchange without legs.
    pub fn new(setup: Setup) -> Exchange {
        Exchange {
            engine: setup.engine,
            sip: setup.sip,
            sip_out: Outbox::new(),
            engine_out: EngineOutbox::default(),
            inputs: VecDeque::new(),
            legs: LegTable::default(),
            phones: BTreeMap::new(),
            legs_of_recording: HashMap::new(),
            setup: Wiring {
                media: setup.media,
                prompts: setup.prompts,
                ports: setup.ports,
                media_address: setup.media_address,
                trunks: setup.trunks,
                agent_of_account: setup.agent_of_account,
                latch_phones: setup.latch_phones,
                recordings: setup.recordings,
                domain: setup.domain,
            },
            turn: Turn::default(),
            trunks_up: BTreeMap::new(),
            counters: MediaCounters::default(),
        }
    }

    /// One SIP message arrived.
    pub fn on_message(&mut self, now: Now, hop: Hop, bytes: &[u8]) {
        self.sip.handle(
            now,
            sip::endpoint::Input::Received { hop, bytes },
            &mut self.sip_out,
        );
        self.pump(now);
    }

    /// A stream broke, or bytes could not be sent.
    pub fn on_hop_failed(&mut self, now: Now, hop: Hop) {
        self.sip.handle(
            now,
            sip::endpoint::Input::HopFailed { hop },
            &mut self.sip_out,
        );
        self.pump(now);
    }

    /// The media workers report.
    pub fn on_report(&mut self, now: Now, report: Report) {
        if let Some(input) = self.take_in_report(report) {
            self.inputs.push_back(input);
        }
        self.pump(now);
    }

    /// Something for the engine from elsewhere: the store, an agent, a supervisor.
    pub fn on_input(&mut self, now: Now, input: Input) {
        self.inputs.push_back(input);
        self.pump(now);
    }

    /// Trunks are asked whether they answer.
    pub fn ping_trunks(&mut self, now: Now) {
        let pings: Vec<_> = self
            .setup
            .trunks
            .iter()
            .map(|(id, trunk)| (*id, trunk.hop, trunk.host.clone()))
            .collect();
        for (trunk, hop, host) in pings {
            let target = format!("sip:{host}");
            self.sip.handle(
                now,
                sip::endpoint::Input::Ping { trunk, hop, target },
                &mut self.sip_out,
            );
        }
        self.pump(now);
    }

    /// Registers with a carrier that wants it.
    pub fn register(&mut self, now: Now, trunk: TrunkId, aor_user: String, expires_s: u32) {
        let Some(at) = self.setup.trunks.get(&trunk) else {
            return;
        };
        let Some(credentials) = at.credentials.clone() else {
            return;
        };
        let input = sip::endpoint::Input::Register {
            trunk,
            hop: at.hop,
            registrar: format!("sip:{}", at.host),
            aor_user,
            credentials,
            expires_s,
        };
        self.sip.handle(now, input, &mut self.sip_out);
        self.pump(now);
    }

    /// Whatever is due.
    pub fn on_time(&mut self, now: Now) {
        if self.sip.next_deadline().is_some_and(|at| at <= now.mono) {
            self.sip
                .handle(now, sip::endpoint::Input::Tick, &mut self.sip_out);
        }
        if self
            .engine
            .next_deadline()
            .is_some_and(|(at, _)| at <= now.mono)
        {
            self.inputs.push_back(Input::Tick);
        }
        self.pump(now);
    }

    /// When [`Exchange::on_time`] wants to be called.
    pub fn next_deadline(&self) -> Option<model::Mono> {
        let engine = self.engine.next_deadline().map(|(at, _)| at);
        let sip = self.sip.next_deadline();
        [engine, sip].into_iter().flatten().min()
    }

    /// What has to leave since the last call.
    pub fn take_turn(&mut self) -> Turn {
        std::mem::take(&mut self.turn)
    }

    /// The decisions, for snapshots.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The signalling, for counters.
    pub fn sip(&self) -> &Endpoint {
        &self.sip
    }

    /// The voices, for orders that are not the engine's.
    pub fn media(&self) -> &Media {
        &self.setup.media
    }

    /// Sums over closed legs.
    pub fn media_counters(&self) -> MediaCounters {
        self.counters
    }

    /// Legs with a socket or a dialog.
    pub fn live_legs(&self) -> usize {
        self.legs.len()
    }

    /// Gives the media workers an order. One that is not taken is a leg that is gone, or workers that
    /// are far behind; the leg's own end is told by SIP or by silence.
    fn order(&mut self, leg: LegId, order: Order) {
        if let Err(error) = self.setup.media.order(leg, order) {
            tracing::warn!(%leg, %error, "an order to the media was not taken");
        }
    }

    /// Carries facts to the engine and commands to the wire until both are quiet.
    fn pump(&mut self, now: Now) {
        loop {
            if let Some(command) = self.sip_out.commands.pop_front() {
                self.take_in_sip(now, command);
            } else if let Some(input) = self.inputs.pop_front() {
                let kept = journal::handle(&mut self.engine, now, input, &mut self.engine_out);
                self.turn.inputs.push(kept);
                self.turn.events.append(&mut self.engine_out.events);
                while let Some(command) = self.engine_out.commands.pop_front() {
                    self.carry_out(now, command);
                }
            } else if let Some(command) = self.engine_out.commands.pop_front() {
                self.carry_out(now, command);
            } else {
                self.turn.events.append(&mut self.engine_out.events);
                return;
            }
        }
    }
}
