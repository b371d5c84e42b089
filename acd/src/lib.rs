//! Agents, queues, offers and routing: who gets which call, and when.
//!
//! [`Acd`] is a plain machine: it is handed `(now, input)` and writes [`Command`]s and facts to an
//! outbox. It knows no phone, no flow and no campaign; a call is an id that waits. Read `input.rs`
//! and `command.rs` for what goes in and out, then `machine.rs` (one arm per input) and
//! `routing.rs` (how a call and an agent find each other).
//!
//! ```
//! use acd::{Acd, Command, Config, Input};
//! use model::{Now, Outbox};
//!
//! let config: Config = toml::from_str(r#"
//!     [queues.sales]
//!     [agents.anna]
//!     queues = ["sales"]
//! "#).unwrap();
//! assert!(config.validate().is_empty());
//! let mut acd = Acd::new(config, 7);
//! let (now, mut out) = (Now::default(), Outbox::new());
//! let anna = "anna".parse().unwrap();
//! for input in [Input::PhoneReachable { agent: anna }, Input::SignIn { agent: anna }, Input::SetReady { agent: anna }] {
//!     acd.handle(now, input, &mut out);
//! }
//! assert_eq!(acd.agents_available("sales".parse().unwrap()), 1);
//! assert!(matches!(out.commands.back(), Some(Command::AgentChanged { .. })));
//! ```
#![forbid(unsafe_code)]

mod agent;
pub mod command;
pub mod config;
pub mod estimate;
pub mod explain;
pub mod input;
mod line;
mod machine;
mod routing;
pub mod service_level;
pub mod snapshot;
mod timer;
mod visit;

pub use command::Command;
pub use config::{AgentConfig, Config, ConfigProblem, QueueConfig};
pub use explain::{Explanation, Rule};
pub use input::Input;
pub use machine::Acd;
pub use snapshot::Snapshot;
pub use timer::Timer;
