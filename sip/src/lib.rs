//! Placeholder.
pub mod endpoint;
