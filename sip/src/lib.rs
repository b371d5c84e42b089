//! Placeholder.
pub mod endpoint;
pub mod message;
