//! Placeholder.
pub mod input;
pub use input::{Command, Input, Piece};
