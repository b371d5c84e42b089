//! Placeholder.
pub mod endpoint;
mod admit;
mod invite;
mod dialog;
mod transaction;
mod registrar;
mod registration;
pub mod auth;
mod nonce;
mod write;
mod siphash;
pub mod message;
pub mod frame;
pub mod sdp;
pub mod offer_answer;
pub mod digest;
