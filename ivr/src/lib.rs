//! IVR flows: menus in TOML, read, checked, drawn and run.
//!
//! A [`Flow`] is checked once, with every mistake shown at its place; a [`Session`] runs it for one
//! call. The session is handed digits, ends of prompts and answers of lookups, and asks for prompts,
//! lookups and, in the end, a queue or a hang-up. It plays nothing, fetches nothing, reads no clock.
//!
//! ```
//! use ivr::{CallFacts, CheckContext, Command, Flow, Input, Session};
//! use model::{CallId, Mint, Now, Outbox};
//! use std::sync::Arc;
//!
//! let text = r#"
//! id = "hello"
//! start = "main"
//! [node.main]
//! type = "menu"
//! prompt = "main-menu"
//! options = { 1 = "sales" }
//! [node.sales]
//! type = "queue"
//! queue = "sales"
//! "#;
//! let flow = Flow::parse("hello.toml", text, &CheckContext::default()).unwrap();
//! let (mut mint, mut out) = (Mint::new(0), Outbox::new());
//! let facts = CallFacts {
//!     call: CallId(1),
//!     caller: "+4930123456".into(),
//!     called: "+4930555".into(),
//!     variables: Default::default(),
//! };
//! let mut session = Session::start(Now::default(), Arc::new(flow), facts, &mut mint, &mut out);
//! assert!(matches!(out.commands.pop_front(), Some(Command::Play { .. })));
//! session.handle(Now::default(), Input::Digit('1'), &mut mint, &mut out);
//! assert!(matches!(out.commands.pop_front(), Some(Command::StopPlay { .. })));
//! assert!(matches!(out.commands.pop_front(), Some(Command::Queue { .. })));
//! assert!(session.is_over());
//! ```
#![forbid(unsafe_code)]

pub mod check;
pub mod diagnostic;
pub mod digits;
pub mod expr;
pub mod flow;
pub mod graph;
pub mod hours;
pub mod input;
mod read;
pub mod run;

pub use check::{CheckContext, parse_all};
pub use diagnostic::{Diagnostic, Severity};
pub use flow::Flow;
pub use input::{Command, Input, Piece};
pub use run::{CallFacts, Session, Timer};
