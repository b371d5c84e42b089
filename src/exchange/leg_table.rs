//! What SIP and media must remember of each leg, and nothing else.

use crate::media_io::Session;
use model::{AgentId, LegId, Mono};
use sip::offer_answer::Negotiated;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};

/// One leg on the wire.
#[derive(Debug)]
pub struct Leg {
    /// Whose phone it is; none for a customer.
    pub agent: Option<AgentId>,
    /// Where its RTP arrives.
    pub rtp: SocketAddr,
    /// Bound, until the worker gets it.
    pub socket: Option<UdpSocket>,
    /// The version of our last SDP (RFC 4566 §5.2: grows with each change).
    pub sdp_version: u64,
    /// Our offer that waits for an answer.
    pub our_offer: Option<Vec<u8>>,
    /// Our answer that waits for the engine to accept the call.
    pub our_answer: Option<(Vec<u8>, Negotiated)>,
    /// It is asked who answers.
    pub classify: bool,
    /// Since when it rings.
    pub ringing_since: Option<Mono>,
    /// The far end holds us.
    pub is_held: bool,
    /// The worker has it.
    pub is_open: bool,
}

/// All legs on the wire.
#[derive(Debug, Default)]
pub struct LegTable {
    // Look-ups only; never iterated.
    legs: HashMap<LegId, Leg>,
}

impl LegTable {
    /// How many.
    pub fn len(&self) -> usize {
        self.legs.len()
    }
    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }
    /// A leg begins.
    pub fn insert(&mut self, id: LegId, leg: Leg) {
        let before = self.legs.insert(id, leg);
        assert!(before.is_none(), "a leg id is used once: {id}");
    }
    /// A live leg.
    pub fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(&id)
    }
    /// A leg ends.
    pub fn remove(&mut self, id: LegId) -> Option<Leg> {
        self.legs.remove(&id)
    }
}

/// What a worker needs of what was negotiated.
pub fn session(negotiated: &Negotiated, latch: bool) -> Session {
    Session {
        remote: negotiated.remote,
        codec: match negotiated.codec {
            sip::offer_answer::Codec::Pcmu => media::Codec::Pcmu,
            sip::offer_answer::Codec::Pcma => media::Codec::Pcma,
        },
        payload_type: negotiated.payload_type,
        telephone_event: negotiated.telephone_event,
        send: negotiated.direction.sends(),
        latch,
    }
}
