//! The production [`call::Engine`] in a world made of numbers.
//!
//! Carriers, callers, agents, network, store and clock are virtual and come from a seed, so a shift
//! of eight hours takes a moment, and the same seed gives the same shift, byte for byte. The
//! [`Checker`] asserts after every input what must always hold; a [`Saboteur`] plants bugs to show
//! that it does.
//!
//! ```
//! use sim::{Controller, Scenario};
//!
//! let scenario = Scenario { agents: 3, hours: 0.1, shifts: 1, ..Scenario::default() };
//! let report = sim::judge(&scenario, Controller::Progressive, false).unwrap();
//! assert_eq!(report.abandonment_pct, Some(0.0));
//! ```
#![forbid(unsafe_code)]

mod agent;
pub mod bound;
mod caller;
mod carrier;
pub mod chaos;
pub mod checker;
pub mod curve;
mod exchange;
pub mod floors;
mod happens;
pub mod judge;
mod leads;
mod network;
mod open_dialer;
pub mod plot;
pub mod report;
pub mod scenario;
pub mod setting;
pub mod small_world;
mod statistics;
mod store;
pub mod table;
pub mod tally;
pub mod throughput;
pub mod trace;
mod voice;
pub mod world;

pub use checker::{Checker, Invariant, Violation};
pub use judge::{Judged, Options, judge, judge_all, judge_with};
pub use report::Report;
pub use scenario::{Controller, Scenario};
pub use setting::Setting;
pub use tally::Tally;
pub use world::{Saboteur, World};
