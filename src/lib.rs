//! The process around the engine.
pub mod media_io;
pub mod bus;
pub mod store;
pub mod crm;
pub mod metrics;
pub mod api;
