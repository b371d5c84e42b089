//! What a running flow is told, and what it wants done.

use model::{Cause, LookupId, PlayId, QueueId, SkillId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One thing a running flow is told.
#[allow(missing_docs, reason = "the fields say what their types say")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// One key press: `0`–`9`, `*`, `#`, `A`–`D`.
    Digit(char),
    /// The prompts asked for last have been played to their end (a stopped play never says so).
    PromptFinished { play: PlayId },
    /// The data dip came back. `Err` holds a short reason.
    LookupAnswered {
        lookup: LookupId,
        result: Result<BTreeMap<String, String>, String>,
    },
    /// The caller hung up.
    HungUp,
    /// A deadline is due.
    Tick,
}

/// One piece of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// A WAV file by its name under the prompt root, without `.wav`.
    Prompt(String),
    /// Nothing for a while.
    Silence {
        /// How long.
        ms: u32,
    },
    /// Digits read one by one from the prompts `digits/0` … `digits/9`.
    Digits(String),
}

/// One thing a running flow wants done.
#[allow(missing_docs, reason = "the fields say what their types say")]
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Play these after each other, then say `PromptFinished`. Replaces what is playing.
    Play {
        play: PlayId,
        pieces: Vec<Piece>,
        repeat: bool,
    },
    /// Stop what is playing.
    StopPlay { play: PlayId },
    /// Ask a data source. Answer with `LookupAnswered`; the flow watches the timeout.
    Lookup {
        lookup: LookupId,
        source: String,
        parameters: BTreeMap<String, String>,
        timeout: Duration,
    },
    /// The customer's number is never to be called again. The flow goes on.
    DoNotCall,
    /// The flow is done: the call waits for an agent.
    Queue {
        queue: QueueId,
        priority: i16,
        skills: Vec<(SkillId, u8)>,
    },
    /// The flow is done: hang up.
    HangUp { cause: Cause },
}
