//! Placeholder.
pub mod endpoint;
pub mod message;
pub mod frame;
pub mod sdp;
pub mod offer_answer;
pub mod digest;
