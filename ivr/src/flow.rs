//! What a flow is once it has been read and checked: nodes by index, every name resolved.
//!
//! A [`Flow`] is made by [`Flow::parse`] only, so whoever holds one may rely on it: every `next`
//! exists, every expression is typed, every sub-flow is there in the version it was checked with.

use crate::digits::Wanted;
use crate::expr::{Expr, Type, Value};
use crate::hours::Hours;
use crate::{Diagnostic, Piece};
use model::{Cause, FlowId, QueueId, SkillId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Index of a node in [`Flow::nodes`].
pub type NodeIndex = usize;

/// A checked flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its name everywhere.
    pub id: FlowId,
    /// The file it came from, as given to the check.
    pub file: String,
    /// The text it was read from: a replay log embeds it, a call finishes on it.
    pub source: String,
    /// Where a call begins.
    pub start: NodeIndex,
    /// In the order of the file.
    pub nodes: Vec<Node>,
    /// By name. The call's own `caller` and `called` are not among them.
    pub variables: BTreeMap<String, Variable>,
    /// What `hours` nodes ask.
    pub hours: Vec<Hours>,
    /// What is done once when the caller hangs up within the flow.
    pub on_hangup: Vec<Action>,
    /// Where a call goes that met a bound: a `queue` or `hang_up` node.
    pub on_failure: Option<NodeIndex>,
    /// Longest time in the flow. Fails the session.
    pub time_max: Duration,
    /// Most nodes, reprompts and retries of one call. Fails the session.
    pub steps_max: u32,
    /// What the check would have wished otherwise.
    pub warnings: Vec<Diagnostic>,
}

/// A named step of a flow.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique in the flow.
    pub name: String,
    /// Where its name stands in the source.
    pub span: Range<usize>,
    /// What it does.
    pub kind: NodeKind,
}

/// What a node does.
#[allow(missing_docs, reason = "the fields are the keys of the TOML table")]
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// Plays, then goes on. A digit skips it, where it may be barged, and is kept for the next input.
    Play { prompt: Prompt, next: NodeIndex },
    /// Waits for one of the options.
    Menu {
        prompt: Prompt,
        wanted: Wanted,
        listening: Listening,
    },
    /// Waits for digits and stores them.
    Collect {
        prompt: Prompt,
        into: String,
        sensitive: bool,
        wanted: Wanted,
        listening: Listening,
        next: NodeIndex,
    },
    /// Goes where the first condition holds.
    Branch {
        arms: Vec<(Expr, NodeIndex)>,
        otherwise: NodeIndex,
    },
    /// Gives variables new values, all computed from the values before.
    Set {
        values: Vec<(String, Expr)>,
        next: NodeIndex,
    },
    /// Puts the customer's number on the do-not-call list, then goes on.
    OptOut { next: NodeIndex },
    /// Goes by the business hours, an index of [`Flow::hours`].
    Hours {
        hours: usize,
        open: NodeIndex,
        closed: NodeIndex,
        holiday: NodeIndex,
    },
    /// Asks a data source and stores its answers.
    Lookup {
        dip: Dip,
        meanwhile: Vec<PromptPiece>,
        next: NodeIndex,
        on_error: NodeIndex,
    },
    /// Runs another flow, then goes on.
    Flow { flow: Arc<Flow>, next: NodeIndex },
    /// Ends: the call waits for an agent.
    Queue {
        queue: QueueId,
        priority: i16,
        skills: Vec<(SkillId, u8)>,
    },
    /// Ends: plays, then hangs up.
    HangUp { prompt: Prompt, cause: Cause },
    /// Ends a sub-flow; hangs up where the flow is nobody's sub-flow.
    Return,
}

impl NodeKind {
    /// The `type` in the TOML table.
    pub fn name(&self) -> &'static str {
        match self {
            NodeKind::Play { .. } => "play",
            NodeKind::Menu { .. } => "menu",
            NodeKind::Collect { .. } => "collect",
            NodeKind::Branch { .. } => "branch",
            NodeKind::Set { .. } => "set",
            NodeKind::OptOut { .. } => "opt_out",
            NodeKind::Hours { .. } => "hours",
            NodeKind::Lookup { .. } => "lookup",
            NodeKind::Flow { .. } => "flow",
            NodeKind::Queue { .. } => "queue",
            NodeKind::HangUp { .. } => "hang_up",
            NodeKind::Return => "return",
        }
    }

    /// Whether the caller has to press something, or be silent for a while, to get through.
    pub fn waits_for_caller(&self) -> bool {
        matches!(self, NodeKind::Menu { .. } | NodeKind::Collect { .. })
    }

    /// Whether the flow ends here.
    pub fn is_end(&self) -> bool {
        matches!(
            self,
            NodeKind::Queue { .. } | NodeKind::HangUp { .. } | NodeKind::Return
        )
    }
}

/// A question to a data source.
#[derive(Clone, Debug)]
pub struct Dip {
    /// The configured name of the source.
    pub source: String,
    /// What it is told.
    pub parameters: Vec<(String, Expr)>,
    /// How long one try may take.
    pub timeout: Duration,
    /// Further tries after a timeout or an error.
    pub retries: u8,
    /// Fields of the answer and the variables that take them.
    pub results: Vec<(String, String)>,
    /// Whether a parameter is sensitive: it must not be logged.
    pub sensitive: bool,
}

/// What is heard, and whether a digit stops it.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// In order; may be empty.
    pub pieces: Vec<PromptPiece>,
    /// Whether a digit stops it and counts. Otherwise digits during it are discarded.
    pub barge_in: bool,
}

/// A piece of a prompt before the variables are known.
#[derive(Clone, Debug)]
pub enum PromptPiece {
    /// As it will be played.
    Fixed(Piece),
    /// The digits of the expression's value, read one by one.
    Digits(Expr),
}

impl PromptPiece {
    /// The piece for these values. A sign or a letter in digits to be read is left out.
    pub fn with(&self, values: &BTreeMap<String, Value>) -> Piece {
        match self {
            PromptPiece::Fixed(piece) => piece.clone(),
            PromptPiece::Digits(expr) => {
                let digits = expr.evaluate(values).to_string();
                Piece::Digits(digits.chars().filter(char::is_ascii_digit).collect())
            }
        }
    }
}

/// How long to wait for a caller, and what to do when nothing or nonsense comes.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Longest silence after the last prompt before the first digit.
    pub timeout: Duration,
    /// Longest silence between digits.
    pub inter_digit: Duration,
    /// By rising count; the last whose count is not above the current one is used.
    pub no_input: Vec<Handler>,
    /// Likewise, counted apart (VoiceXML 2.0 §5.2).
    pub no_match: Vec<Handler>,
}

/// What to do from the `count`-th silence or nonsense on.
#[derive(Clone, Debug)]
pub struct Handler {
    /// From which one on, at least 1.
    pub count: u8,
    /// What is heard first.
    pub pieces: Vec<PromptPiece>,
    /// Whether the node's own prompt follows. Only where there is no `goto`.
    pub reprompt: bool,
    /// Where to go instead of asking again.
    pub goto: Option<NodeIndex>,
}

impl Listening {
    /// The handler for the `count`-th time: the one with the highest count not above it.
    pub fn handler(handlers: &[Handler], count: u8) -> Option<&Handler> {
        handlers.iter().rfind(|handler| handler.count <= count)
    }
}

/// Something a flow remembers about a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// What it can hold.
    pub kind: Type,
    /// Its value at the start.
    pub default: Option<Value>,
    /// Whether the call, or the flow that calls this one, may bring its value.
    pub input: bool,
    /// Whether its value may reach no log, event, metric, trace, agent or recording.
    pub sensitive: bool,
    /// Where its name stands in the source.
    pub span: Range<usize>,
}

/// What is done after the caller hung up.
#[derive(Clone, Debug)]
pub enum Action {
    /// Variables take new values.
    Set(Vec<(String, Expr)>),
    /// A data source is told; nobody waits for its answer.
    Notify(Dip),
}

/// A way from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// When it is taken: `1`, `no input ×3`, `closed`, `tier == 'gold'`…; empty for `next`.
    pub label: String,
    /// Where it leads.
    pub to: NodeIndex,
}

impl Flow {
    /// The queues this flow and its sub-flows can send a caller to.
    pub fn queues(&self) -> BTreeSet<QueueId> {
        let mut queues = BTreeSet::new();
        for node in &self.nodes {
            match &node.kind {
                NodeKind::Queue { queue, .. } => {
                    queues.insert(*queue);
                }
                NodeKind::Flow { flow, .. } => queues.extend(flow.queues()),
                NodeKind::Play { .. }
                | NodeKind::Menu { .. }
                | NodeKind::Collect { .. }
                | NodeKind::Branch { .. }
                | NodeKind::Set { .. }
                | NodeKind::OptOut { .. }
                | NodeKind::Hours { .. }
                | NodeKind::Lookup { .. }
                | NodeKind::HangUp { .. }
                | NodeKind::Return => {}
            }
        }
        queues
    }

    /// The ways out of a node, in a fixed order.
    pub fn edges(&self, node: NodeIndex) -> Vec<Edge> {
        let edge = |label: &str, to: NodeIndex| Edge {
            label: label.to_owned(),
            to,
        };
        match &self.nodes[node].kind {
            NodeKind::Play { next, .. }
            | NodeKind::Set { next, .. }
            | NodeKind::OptOut { next }
            | NodeKind::Flow { next, .. } => vec![edge("", *next)],
            NodeKind::Menu {
                wanted, listening, ..
            } => {
                let mut edges: Vec<Edge> = match wanted {
                    Wanted::Option { options, .. } => options
                        .iter()
                        .map(|(digits, to)| edge(digits, *to))
                        .collect(),
                    Wanted::Number { .. } => Vec::new(),
                };
                edges.extend(listening_edges(listening));
                edges
            }
            NodeKind::Collect {
                listening, next, ..
            } => {
                let mut edges = vec![edge("", *next)];
                edges.extend(listening_edges(listening));
                edges
            }
            NodeKind::Branch { arms, otherwise } => {
                let numbered = arms.iter().enumerate();
                let mut edges: Vec<Edge> = numbered
                    .map(|(i, (_, to))| edge(&format!("if {}", i + 1), *to))
                    .collect();
                edges.push(edge("otherwise", *otherwise));
                edges
            }
            NodeKind::Hours {
                open,
                closed,
                holiday,
                ..
            } => {
                let mut edges = vec![edge("open", *open), edge("closed", *closed)];
                if holiday != closed {
                    edges.push(edge("holiday", *holiday));
                }
                edges
            }
            NodeKind::Lookup { next, on_error, .. } => {
                vec![edge("", *next), edge("error", *on_error)]
            }
            NodeKind::Queue { .. } | NodeKind::HangUp { .. } | NodeKind::Return => Vec::new(),
        }
    }

    /// The prompts this flow and its sub-flows play, by name: what has to be on disk.
    pub fn prompts(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for node in &self.nodes {
            let mut add = |pieces: &[PromptPiece]| {
                for piece in pieces {
                    match piece {
                        PromptPiece::Fixed(Piece::Prompt(name)) => {
                            names.insert(name.clone());
                        }
                        PromptPiece::Digits(_) | PromptPiece::Fixed(Piece::Digits(_)) => {
                            names.extend((0..10).map(|digit| format!("digits/{digit}")));
                        }
                        PromptPiece::Fixed(Piece::Silence { .. }) => {}
                    }
                }
            };
            match &node.kind {
                NodeKind::Play { prompt, .. } | NodeKind::HangUp { prompt, .. } => {
                    add(&prompt.pieces);
                }
                NodeKind::Menu {
                    prompt, listening, ..
                }
                | NodeKind::Collect {
                    prompt, listening, ..
                } => {
                    add(&prompt.pieces);
                    for handler in listening.no_input.iter().chain(&listening.no_match) {
                        add(&handler.pieces);
                    }
                }
                NodeKind::Lookup { meanwhile, .. } => add(meanwhile),
                NodeKind::Flow { flow, .. } => names.extend(flow.prompts()),
                NodeKind::Branch { .. }
                | NodeKind::Set { .. }
                | NodeKind::OptOut { .. }
                | NodeKind::Hours { .. }
                | NodeKind::Queue { .. }
                | NodeKind::Return => {}
            }
        }
        names
    }

    /// The flows this one runs, directly or through others, each before the first that needs it.
    pub fn sub_flows(&self) -> Vec<Arc<Flow>> {
        fn gather(flow: &Flow, found: &mut Vec<Arc<Flow>>) {
            for node in &flow.nodes {
                if let NodeKind::Flow { flow, .. } = &node.kind
                    && found.iter().all(|known| known.id != flow.id)
                {
                    gather(flow, found);
                    found.push(Arc::clone(flow));
                }
            }
        }
        let mut found = Vec::new();
        gather(self, &mut found);
        found
    }
}

fn listening_edges(listening: &Listening) -> Vec<Edge> {
    let kinds = [
        ("no input", &listening.no_input),
        ("no match", &listening.no_match),
    ];
    let mut edges = Vec::new();
    for (name, handlers) in kinds {
        for handler in handlers {
            if let Some(to) = handler.goto {
                edges.push(Edge {
                    label: format!("{name} ×{}", handler.count),
                    to,
                });
            }
        }
    }
    edges
}
