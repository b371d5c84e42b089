//! The life of every call: acd, dialer and ivr composed into one [`Engine`].
//!
//! Read `life.rs` first: a call is a story, and that file tells it; `tests/stories` tells it by example.
//! The engine is told what was seen and asks for what should be done; it does nothing by itself.
//!
//! ```
//! use call::input::{AgentAction, Origin};
//! use call::{Command, Config, Engine, EngineOutbox, Input};
//! use model::{AgentId, Fact, LegId, Now, QueueId};
//!
//! let (sales, anna): (QueueId, AgentId) = ("sales".parse().unwrap(), "anna".parse().unwrap());
//! let mut config = Config::default();
//! config.acd.queues.insert(sales, acd::QueueConfig::default());
//! config.acd.agents.insert(anna, acd::AgentConfig { queues: vec![sales.into()], ..Default::default() });
//! config.routes.push(call::config::Route {
//!     number: "*".into(),
//!     trunk: None,
//!     flow: None,
//!     queue: Some(sales),
//! });
//!
//! let mut engine = Engine::new(config, 1, 42).unwrap();
//! let mut out = EngineOutbox::default();
//! let carrier = Origin::Trunk("carrier".parse().unwrap());
//! for input in [
//!     Input::PhoneReachable { agent: anna, reachable: true },
//!     Input::Agent { agent: anna, action: AgentAction::SignIn },
//!     Input::Agent { agent: anna, action: AgentAction::Ready },
//!     Input::LegArrived {
//!         leg: LegId(900),
//!         from: carrier,
//!         caller: "+4930123456".into(),
//!         caller_name: None,
//!         called: "+4940555".into(),
//!     },
//! ] {
//!     engine.handle(Now::default(), input, &mut out);
//! }
//! // The screen first; the phone rings as soon as the screen is there.
//! assert!(out.commands.iter().any(|c| matches!(c, Command::PopScreen(pop) if pop.agent == anna)));
//! assert!(out.events.iter().any(|e| matches!(e.fact, Fact::OfferMade { agent, .. } if agent == anna)));
//! assert_eq!(engine.live_calls(), 1);
//! ```
#![forbid(unsafe_code)]

mod classify;
mod life;
mod message;
mod offer;
mod preview;
mod ringing;
mod ways;

mod call;
mod check;
pub mod command;
pub mod config;
mod dialing;
mod engine;
mod floor;
pub mod input;

pub use classify::{GREETING_MARGIN, PAUSE_KNOWN_AFTER, SILENT_WAIT, TONE_WAIT};
pub use command::Command;
pub use config::{Config, ConfigError};
pub use engine::{COMMANDS_PER_INPUT_MAX, Engine, Reason};
pub use floor::EngineOutbox;
pub use input::Input;
pub use life::{MESSAGE_LEAD, PARTING_MAX};
pub use message::{BEEP_WAIT, MACHINE_MESSAGE_MAX};
pub use offer::SCREEN_POP_WAIT;
pub use ways::OVERFLOWS_AT_ONCE_MAX;
