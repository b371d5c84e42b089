//! The life of every call: acd, dialer and ivr composed into one [`Engine`].
//!
//! Read [`life`] first: a call is a story, and that file tells it.
#![forbid(unsafe_code)]

mod life;
mod engine;
mod floor;
pub mod input;
pub mod command;
pub mod config;

pub use command::Command;
pub use config::{Config, ConfigError};
pub use engine::{Engine, Reason, COMMANDS_PER_INPUT_MAX};
pub use floor::EngineOutbox;
pub use input::Input;
pub use life::{CLASSIFY_WAIT, PARTING_MAX, SCREEN_POP_WAIT};
