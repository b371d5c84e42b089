//! Placeholder.
pub mod input;
pub mod command;
pub use input::Input;
pub use command::Command;
