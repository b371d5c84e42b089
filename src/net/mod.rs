//! Sockets towards the outside.

pub mod batch;
