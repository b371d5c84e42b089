//! The process around the engine: sockets, threads, records, screens, and the `tandem` command.
//!
//! Modules in reading order. [`wiring`] is the picture of the whole.

pub mod wiring;
pub mod clock;
pub mod config;
pub mod reactor;
pub mod exchange;
pub mod net;
pub mod media_io;
pub mod journal;
pub mod bus;
pub mod store;
pub mod crm;
pub mod lookup;
pub mod metrics;
pub mod api;
pub mod secrets;
