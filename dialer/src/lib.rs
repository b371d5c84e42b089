//! Campaigns, lists, pacing and the law around dialling.
//!
//! The [`Dialer`] is told what agents, calls and the store do and says whom to dial, and when. It
//! knows no SIP and no SQL: it emits `Claim` and `Dial`, and hears of both as later inputs.
//!
//! ```
//! use dialer::{Command, Config, Dialer, Input, config::CampaignConfig};
//! use model::{AgentState, Now, Outbox, event::Mode};
//!
//! let mut campaign = CampaignConfig::new(Mode::Progressive, "+4930123456");
//! campaign.agents = vec!["anna".parse().unwrap()];
//! campaign.lists = vec!["spring".parse().unwrap()];
//! let mut config = Config::default();
//! config.campaigns.insert("spring".parse().unwrap(), campaign);
//! let mut dialer = Dialer::new(config, 0, 1);
//! let mut out = Outbox::new();
//! let available = Input::AgentChanged { agent: "anna".parse().unwrap(), state: AgentState::Available };
//! dialer.handle(Now::default(), available, &mut out);
//! assert!(matches!(out.commands[0], Command::FetchLeads { .. }));
//! ```
#![forbid(unsafe_code)]

pub mod abandon;
pub mod caller_id;
pub mod calling_window;
mod campaign;
pub mod command;
pub mod config;
pub mod detection;
pub mod do_not_call;
pub mod filter;
mod frequency;
mod hopper;
pub mod input;
mod law;
mod law_facts;
mod lead_order;
mod machine;
pub mod mix;
pub mod pacing;
pub mod place;
pub mod quota;
mod retry;
pub mod rules;
#[cfg(test)]
mod test_lead;
pub mod trunk;
pub mod zone;

pub use campaign::CampaignSnapshot;
pub use command::Command;
pub use config::{CampaignConfig, Config, ConfigProblem, MachineAfterConnect, OnMachine};
pub use hopper::{EXHAUSTED_WAIT, HOPPER_MAX_LEADS};
pub use input::Input;
pub use lead_order::{PASSED_OVER_MAX, WAIT_MAX};
pub use machine::*;
