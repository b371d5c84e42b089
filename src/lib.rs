//! The process around the engine: sockets, threads, records, screens, and the `tandem` command.
//!
//! Modules in reading order. [`wiring`] is the picture of the whole.

pub mod api;
pub mod bus;
pub mod clock;
pub mod command;
pub mod config;
pub mod crm;
pub mod doorbell;
pub mod exchange;
pub mod journal;
pub mod lookup;
pub mod media_io;
mod memory;
pub mod metrics;
pub mod net;
pub mod reactor;
pub mod secrets;
pub mod store;
pub mod wiring;
