//! The process around the engine.
pub mod media_io;
pub mod net;
