//! The vocabulary every crate of Tandem shares.
//!
//! Ids, the two clocks, phone numbers, causes, the one stream of [`Event`]s, and what is folded
//! from it: the [call detail record](cdr) and the [books](ledger). Nothing here decides anything:
//! it parses, prints and folds.
//!
//! ```
//! use model::{AgentId, Mono, PhoneNumber};
//! use std::time::Duration;
//!
//! let anna: AgentId = "anna".parse().unwrap();
//! assert_eq!(anna.as_str(), "anna");
//! let number: PhoneNumber = "+4930123456".parse().unwrap();
//! assert_eq!(number.masked().to_string(), "+4930***56");
//! assert_eq!(Mono::ZERO + Duration::from_millis(20), Mono::from_micros(20_000));
//! ```
#![forbid(unsafe_code)]

pub mod agent_state;
pub mod cause;
pub mod cdr;
pub mod event;
pub mod heard;
pub mod id;
pub mod lead;
pub mod ledger;
pub mod number;
pub mod outbox;
pub mod outcome;
pub mod rng;
pub mod screen_pop;
pub mod time;

pub use agent_state::AgentState;
pub use cause::Cause;
pub use event::{Event, Fact};
pub use id::*;
pub use lead::Lead;
pub use number::PhoneNumber;
pub use outbox::Outbox;
pub use outcome::{AttemptOutcome, QueueOutcome};
pub use rng::Rng;
pub use screen_pop::ScreenPop;
pub use time::{Mono, Now, Utc};
