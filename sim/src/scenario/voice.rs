//! The recorded voice of an agentless campaign, and what people do with it.

use super::Spread;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Voice {
    /// How long the message is.
    pub message_s: f64,
    /// Share of the persons who answer and press 1, for an agent.
    pub press_share: f64,
    /// Seconds of listening until they do.
    pub press_after: Spread,
    /// Share that presses 9, never to be called again.
    pub opt_out_share: f64,
    /// Share that hangs up before the end, at any time of it.
    pub hang_up_share: f64,
}

impl Default for Voice {
    fn default() -> Voice {
        Voice {
            message_s: 20.0,
            press_share: 0.05,
            press_after: Spread::lognormal(14.0, 0.4).within(2.0, 22.0),
            opt_out_share: 0.01,
            hang_up_share: 0.4,
        }
    }
}

impl Voice {
    pub(super) fn is_usual(&self) -> bool {
        *self == Voice::default()
    }

    /// The flow of a campaign of this name, as an engine reads it: a message, 1 for an agent, 9
    /// never to be called again.
    pub(crate) fn flow(campaign: &str) -> String {
        format!(
            r#"
id = "{campaign}-voice"
start = "message"

[node.message]
type = "menu"
prompt = "message"
options = {{ 1 = "agent", 9 = "opt_out" }}
timeout = "3s"
no_input = [{{ goto = "bye" }}]
no_match = [{{ goto = "bye" }}]

[node.agent]
type = "queue"
queue = "{campaign}"

[node.opt_out]
type = "opt_out"
next = "bye"

[node.bye]
type = "hang_up"
"#
        )
    }
}
