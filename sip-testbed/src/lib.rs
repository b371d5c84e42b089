//! The lab: our own carrier and phones with sockets of their own, for `tandem demo` and for load.
//!
//! They speak SIP and RTP over UDP like foreign equipment and share nothing with the engine but the
//! protocol crates. They are not the only proof of a claim: SIPp, baresip and Asterisk are driven
//! by the scenarios beside this crate.
#![forbid(unsafe_code)]

pub mod audio;
pub mod lab;
pub mod load;
pub mod plan;
pub mod station;

pub use lab::{Lab, LabReport};
pub use plan::{Answering, Script};
pub use station::{Registration, StationConfig, StationId};
