//! RTP on the wire: worker threads that own sockets, bridges, prompts and recordings.
//!
//! The control thread sends [`Order`]s over a bounded channel; workers send [`Report`]s back. No
//! packet ever passes the control thread.

use media::Clip;
use model::{LegId, PlayId, RecordingId};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

/// The negotiated media of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where we send. From the peer's SDP.
    pub remote: SocketAddr,
    /// G.711 µ (payload type 0) or A (8), or any dynamic number for them.
    pub codec: media::Codec,
    /// The payload type of the codec, as the peer wants to receive it.
    pub payload_type: u8,
    /// The payload type of telephone-event, if negotiated.
    pub telephone_event: Option<u8>,
    /// We may send (the peer's direction is sendrecv or recvonly).
    pub send: bool,
    /// Accept another source address than `remote` after consecutive packets of one SSRC, then lock
    /// (phones behind NAT). Otherwise the source must be `remote`.
    pub latch: bool,
}

/// What a worker is told.
#[derive(Debug)]
pub enum Order {
    /// A leg begins. The socket is bound, non-blocking; the worker owns it from now on. Hears
    /// silence until something plays or it is bridged.
    Open { leg: LegId, socket: UdpSocket, session: Session },
    /// A re-INVITE changed the session.
    Change { leg: LegId, session: Session },
    /// Play clips one after another; replaces what plays. `PromptFinished` unless `repeat`.
    Play { leg: LegId, play: PlayId, clips: Vec<Arc<Clip>>, repeat: bool },
    /// Stop that play, if it still plays.
    StopPlay { leg: LegId, play: PlayId },
    /// Let two legs hear each other. Stops what plays on both.
    Bridge { a: LegId, b: LegId },
    /// Part them.
    Unbridge { a: LegId, b: LegId },
    /// Two-channel WAV: `left` and `right` are legs.
    Record { recording: RecordingId, left: LegId, right: LegId, file: PathBuf },
    /// End it.
    StopRecord { recording: RecordingId },
    /// The leg is over: its socket closes at once; `Closed` tells its counters.
    Close { leg: LegId },
    /// End the thread after closing everything.
    Stop,
}

/// What a worker tells.
#[derive(Debug)]
pub enum Report {
    /// One key press, once (RFC 4733).
    Digit { leg: LegId, digit: char },
    /// A play reached its end.
    PromptFinished { leg: LegId, play: PlayId },
    /// No packet for the configured time.
    MediaLost { leg: LegId },
    /// The recording is on disk.
    Recorded { recording: RecordingId, file: PathBuf, seconds: f64 },
    /// It could not be written.
    RecordFailed { recording: RecordingId, why: String },
    /// What a leg counted.
    Closed { leg: LegId, counters: LegCounters },
}

/// Counted per leg.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegCounters {
    /// Packets received and accepted.
    pub received: u64,
    /// Packets expected by sequence numbers minus received.
    pub lost: u64,
    /// Packets sent.
    pub sent: u64,
    /// From another source than allowed.
    pub refused: u64,
    /// Not RTP, or a broken header.
    pub malformed: u64,
    /// Interarrival jitter at the end, in µs (RFC 3550 §6.4.1).
    pub jitter_us: u32,
}
