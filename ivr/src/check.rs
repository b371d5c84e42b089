//! Whether a flow may go live: everything that is wrong with it, found in one pass.
//!
//! The mistakes of the text are found while reading; here are the ones that need the whole flow:
//! ways that lead nowhere, in circles, or never to a person, and variables nobody sets.

use crate::diagnostic::{Diagnostic, Severity};
use crate::digits::Wanted;
use crate::flow::{Action, Flow, NodeIndex, NodeKind, PromptPiece};
use crate::read::{outline, read};
use model::{FlowId, QueueId, SkillId, Utc};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// More options than this nobody remembers.
pub const OPTIONS_ADVISED_MAX: usize = 5;
/// Deeper menus than this lose the caller.
pub const DEPTH_ADVISED_MAX: usize = 3;

/// What is known around a flow. `None` where it is not known: then nothing is said about it.
#[derive(Clone, Debug, Default)]
pub struct CheckContext {
    /// The configured queues.
    pub queues: Option<BTreeSet<QueueId>>,
    /// The configured skills.
    pub skills: Option<BTreeSet<SkillId>>,
    /// The prompts on disk, by name.
    pub prompts: Option<BTreeSet<String>>,
    /// The configured data sources.
    pub sources: Option<BTreeSet<String>>,
    /// Checked flows that may be run as sub-flows.
    pub flows: BTreeMap<FlowId, Arc<Flow>>,
    /// When it is, to find holidays in the past.
    pub now: Option<Utc>,
}

impl Flow {
    /// Reads and checks one flow.
    ///
    /// # Errors
    /// Everything found, warnings included, where at least one is an error, in the order of the
    /// file. What is found in a flow without errors is in [`Flow::warnings`].
    pub fn parse(
        file_name: &str,
        text: &str,
        context: &CheckContext,
    ) -> Result<Flow, Vec<Diagnostic>> {
        parse_with(file_name, text, context, &BTreeSet::new())
    }
}

fn parse_with(
    file_name: &str,
    text: &str,
    context: &CheckContext,
    broken: &BTreeSet<FlowId>,
) -> Result<Flow, Vec<Diagnostic>> {
    let (flow, mut findings) = read(file_name, text, context, broken);
    let Some(mut flow) = flow else {
        return Err(findings);
    };
    findings.extend(lints(&flow));
    findings.sort_by(|a, b| {
        (a.span.start, a.severity, a.code).cmp(&(b.span.start, b.severity, b.code))
    });
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Err(findings);
    }
    flow.warnings = findings;
    Ok(flow)
}

/// Reads and checks flows that may run each other, given as file name and text.
///
/// # Errors
/// Everything found in all of them, where at least one is an error: then none may go live.
pub fn parse_all(
    files: &[(String, String)],
    context: &CheckContext,
) -> Result<BTreeMap<FlowId, Arc<Flow>>, Vec<Diagnostic>> {
    let mut context = context.clone();
    let mut findings = Vec::new();
    let mut ids: BTreeMap<FlowId, usize> = BTreeMap::new();
    let mut used = Vec::new();
    for (index, (file, text)) in files.iter().enumerate() {
        let (id, uses) = outline(text);
        used.push(uses);
        if let Some(id) = id
            && let Some(first) = ids.insert(id, index)
        {
            let message = format!("the flow `{id}` is also in {}", files[first].0);
            let error = Severity::Error;
            findings.push(Diagnostic::new(
                "duplicate-flow",
                error,
                file,
                text,
                0..1,
                message,
            ));
        }
    }
    let mut open: Vec<usize> = (0..files.len()).collect();
    let mut broken: BTreeSet<FlowId> = BTreeSet::new();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut flows = BTreeMap::new();
    while !open.is_empty() {
        let is_ready = |index: &usize| {
            used[*index]
                .iter()
                .all(|(id, _)| ids.get(id).is_none_or(|other| done.contains(other)))
        };
        let at = open.iter().position(is_ready);
        let index = open.remove(at.unwrap_or(0));
        let (file, text) = &files[index];
        if at.is_none() {
            // Whatever waits now waits for a flow in a circle; breaking one edge frees the rest.
            let waits = used[index]
                .iter()
                .find(|(id, _)| ids.contains_key(id) && !context.flows.contains_key(id));
            let span = waits.map_or(0..1, |(_, span)| span.clone());
            let message = "the flows run each other in a circle".to_owned();
            let error = Severity::Error;
            findings.push(Diagnostic::new(
                "flow-circle",
                error,
                file,
                text,
                span,
                message,
            ));
            broken.extend(
                used[index]
                    .iter()
                    .map(|(id, _)| *id)
                    .filter(|id| !context.flows.contains_key(id)),
            );
        }
        match parse_with(file, text, &context, &broken) {
            Ok(flow) => {
                let flow = Arc::new(flow);
                context.flows.insert(flow.id, Arc::clone(&flow));
                flows.insert(flow.id, flow);
            }
            Err(found) => {
                broken.extend(ids.iter().find(|(_, i)| **i == index).map(|(id, _)| *id));
                findings.extend(found);
            }
        }
        done.insert(index);
    }
    if findings.is_empty() {
        Ok(flows)
    } else {
        Err(findings)
    }
}

struct Lint<'f> {
    flow: &'f Flow,
    next: Vec<Vec<NodeIndex>>,
    reached: Vec<bool>,
    findings: Vec<Diagnostic>,
}

fn lints(flow: &Flow) -> Vec<Diagnostic> {
    let next: Vec<Vec<NodeIndex>> = (0..flow.nodes.len())
        .map(|node| flow.edges(node).into_iter().map(|edge| edge.to).collect())
        .collect();
    let mut starts = vec![flow.start];
    starts.extend(flow.on_failure);
    let reached = spread(&next, &starts);
    let mut lint = Lint {
        flow,
        next,
        reached,
        findings: Vec::new(),
    };
    lint.ways();
    lint.people();
    lint.menus();
    lint.variables();
    lint.findings
}

/// Which nodes can be reached from `starts` over `next`.
fn spread(next: &[Vec<NodeIndex>], starts: &[NodeIndex]) -> Vec<bool> {
    let mut reached = vec![false; next.len()];
    let mut open: Vec<NodeIndex> = starts.to_vec();
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut reached[node], true) {
            open.extend(&next[node]);
        }
    }
    reached
}

impl<'f> Lint<'f> {
    fn find(
        &mut self,
        code: &'static str,
        severity: Severity,
        at: Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let (file, source) = (&self.flow.file, &self.flow.source);
        self.findings
            .push(Diagnostic::new(code, severity, file, source, at, message));
        self.findings.last_mut().expect("it was just pushed")
    }

    /// Unreachable nodes, endless ways and circles without the caller.
    fn ways(&mut self) {
        let flow = self.flow;
        let mut back = vec![Vec::new(); flow.nodes.len()];
        for (from, tos) in self.next.iter().enumerate() {
            for to in tos {
                back[*to].push(from);
            }
        }
        let ends: Vec<NodeIndex> = (0..flow.nodes.len())
            .filter(|n| flow.nodes[*n].kind.is_end())
            .collect();
        let can_end = spread(&back, &ends);
        for (index, node) in flow.nodes.iter().enumerate() {
            let (name, at) = (&node.name, node.span.clone());
            if !self.reached[index] {
                let message = format!("no way leads to the node `{name}`");
                self.find("unreachable-node", Severity::Warning, at, message);
            } else if !can_end[index] {
                let message = format!("from the node `{name}` no way leads to an end");
                self.find("endless-loop", Severity::Error, at, message)
                    .remedy = Some("let one way end in a queue, hang_up or return node".to_owned());
            } else if !node.kind.waits_for_caller() && self.returns_without_caller(index) {
                let message =
                    format!("the caller can be led back to `{name}` without pressing a key");
                self.find("loop-without-input", Severity::Warning, at, message);
            }
        }
    }

    fn returns_without_caller(&self, node: NodeIndex) -> bool {
        let quiet: Vec<Vec<NodeIndex>> = (0..self.next.len())
            .map(|from| {
                let waits = self.flow.nodes[from].kind.waits_for_caller();
                if waits {
                    Vec::new()
                } else {
                    self.next[from].clone()
                }
            })
            .collect();
        spread(&quiet, &quiet[node])[node]
    }

    /// A way to a person, and out of silence.
    fn people(&mut self) {
        let flow = self.flow;
        let leads_to_person = |node: usize| match &flow.nodes[node].kind {
            NodeKind::Queue { .. } => true,
            // A sub-flow hands back to the flow that runs it, which has its own way.
            NodeKind::Return => true,
            // A message that we called with: who wants no more of it needs nobody to say so to.
            NodeKind::OptOut { .. } => true,
            NodeKind::Flow { flow, .. } => !flow.queues().is_empty(),
            NodeKind::Play { .. }
            | NodeKind::Menu { .. }
            | NodeKind::Collect { .. }
            | NodeKind::Branch { .. }
            | NodeKind::Set { .. }
            | NodeKind::Hours { .. }
            | NodeKind::Lookup { .. }
            | NodeKind::HangUp { .. } => false,
        };
        let from_start = spread(&self.next, &[flow.start]);
        if !(0..flow.nodes.len()).any(|node| from_start[node] && leads_to_person(node)) {
            let at = flow.nodes[flow.start].span.clone();
            let message = "no way leads to a person".to_owned();
            self.find("no-way-to-a-human", Severity::Warning, at, message)
                .remedy = Some("let one option end in a queue".to_owned());
        }
        for node in &flow.nodes {
            let (NodeKind::Menu { listening, .. } | NodeKind::Collect { listening, .. }) =
                &node.kind
            else {
                continue;
            };
            for (what, handlers) in [
                ("no_input", &listening.no_input),
                ("no_match", &listening.no_match),
            ] {
                if handlers.iter().all(|handler| handler.goto.is_none()) {
                    let message = format!(
                        "`{}` asks again and again: `{what}` never leads elsewhere",
                        node.name
                    );
                    self.find("no-way-out", Severity::Warning, node.span.clone(), message)
                        .remedy = Some(format!(
                        "add an entry {{ count = 3, goto = \"…\" }} to `{what}`"
                    ));
                }
            }
        }
    }

    /// Too many options, too deep menus.
    fn menus(&mut self) {
        let flow = self.flow;
        for node in &flow.nodes {
            if let NodeKind::Menu {
                wanted: Wanted::Option { options, .. },
                ..
            } = &node.kind
                && options.len() > OPTIONS_ADVISED_MAX
            {
                let message = format!("`{}` has {} options", node.name, options.len());
                self.find(
                    "too-many-options",
                    Severity::Warning,
                    node.span.clone(),
                    message,
                )
                .remedy = Some(format!("callers remember at most {OPTIONS_ADVISED_MAX}"));
            }
        }
        // Menus on the shortest way: leaving a menu costs one, everything else is free.
        let mut depth = vec![usize::MAX; flow.nodes.len()];
        let is_menu = |node: NodeIndex| matches!(flow.nodes[node].kind, NodeKind::Menu { .. });
        depth[flow.start] = usize::from(is_menu(flow.start));
        let mut open = VecDeque::from([flow.start]);
        while let Some(node) = open.pop_front() {
            for to in &self.next[node] {
                let through = depth[node] + usize::from(is_menu(*to));
                if through < depth[*to] {
                    depth[*to] = through;
                    open.push_back(*to);
                }
            }
        }
        for (index, node) in flow.nodes.iter().enumerate() {
            if is_menu(index) && depth[index] != usize::MAX && depth[index] > DEPTH_ADVISED_MAX {
                let message = format!("`{}` is the {}th menu in a row", node.name, depth[index]);
                let advice =
                    format!("ask at most {DEPTH_ADVISED_MAX} times before the caller is somewhere");
                self.find("too-deep", Severity::Warning, node.span.clone(), message)
                    .remedy = Some(advice);
            }
        }
    }

    /// Variables that are never set, may not be set yet, or are never used.
    fn variables(&mut self) {
        let flow = self.flow;
        let mut set: BTreeSet<&'f str> = BTreeSet::new();
        let mut read: BTreeSet<String> = BTreeSet::new();
        for (index, node) in flow.nodes.iter().enumerate() {
            for (_, names) in self.sets(index) {
                set.extend(names);
            }
            read.extend(reads(&node.kind));
            if let NodeKind::Flow { flow, .. } = &node.kind {
                read.extend(flow.variables.keys().cloned());
            }
        }
        for action in &flow.on_hangup {
            match action {
                Action::Set(values) => {
                    set.extend(values.iter().map(|(name, _)| name.as_str()));
                    read.extend(values.iter().flat_map(|(_, expr)| expr.variables().clone()));
                }
                Action::Notify(dip) => {
                    read.extend(
                        dip.parameters
                            .iter()
                            .flat_map(|(_, e)| e.variables().clone()),
                    );
                }
            }
        }
        let before = self.set_before();
        for (name, variable) in &flow.variables {
            let at = variable.span.clone();
            let has_value = variable.default.is_some() || variable.input;
            if !has_value && !set.contains(name.as_str()) {
                let message = format!("the variable `{name}` is never set");
                self.find("variable-never-set", Severity::Error, at, message)
                    .remedy =
                    Some("give it a default, or input = true where the call brings it".to_owned());
                continue;
            }
            if variable.sensitive && !read.contains(name) {
                let message = format!("the sensitive variable `{name}` is never used");
                self.find(
                    "variable-never-used",
                    Severity::Warning,
                    at.clone(),
                    message,
                );
            }
            let early = flow.nodes.iter().enumerate().find(|(index, node)| {
                self.reached[*index]
                    && !has_value
                    && !before[*index]
                        .as_ref()
                        .is_none_or(|set| set.contains(name.as_str()))
                    && reads(&node.kind).contains(name)
            });
            if let Some((_, node)) = early {
                let (node_name, at) = (&node.name, node.span.clone());
                let message = format!("`{node_name}` can be reached before `{name}` is set");
                let empty = variable.kind.empty();
                let remedy = format!("it would be `{empty}` there; say so with a default");
                self.find("variable-maybe-unset", Severity::Warning, at, message)
                    .remedy = Some(remedy);
            }
        }
    }

    /// The variables a node sets on its way to each next node.
    fn sets(&self, node: NodeIndex) -> Vec<(NodeIndex, Vec<&'f str>)> {
        let flow = self.flow;
        let on_all = |names: Vec<&'f str>| -> Vec<(NodeIndex, Vec<&'f str>)> {
            self.next[node]
                .iter()
                .map(|to| (*to, names.clone()))
                .collect()
        };
        // Only the first way out, `next`, carries digits and answers; the others are failures.
        let on_next = |names: Vec<&'f str>| -> Vec<(NodeIndex, Vec<&'f str>)> {
            let mut ways = on_all(Vec::new());
            ways[0].1 = names;
            ways
        };
        match &flow.nodes[node].kind {
            NodeKind::Collect { into, .. } => on_next(vec![into.as_str()]),
            NodeKind::Lookup { dip, .. } => {
                on_next(dip.results.iter().map(|(_, name)| name.as_str()).collect())
            }
            NodeKind::Set { values, .. } => {
                on_all(values.iter().map(|(name, _)| name.as_str()).collect())
            }
            NodeKind::Flow { flow, .. } => {
                on_all(flow.variables.keys().map(String::as_str).collect())
            }
            NodeKind::Play { .. }
            | NodeKind::Menu { .. }
            | NodeKind::Branch { .. }
            | NodeKind::OptOut { .. }
            | NodeKind::Hours { .. }
            | NodeKind::Queue { .. }
            | NodeKind::HangUp { .. }
            | NodeKind::Return => on_all(Vec::new()),
        }
    }

    /// For each node the variables set on every way to it; `None` where no way leads.
    fn set_before(&self) -> Vec<Option<BTreeSet<&'f str>>> {
        let mut before: Vec<Option<BTreeSet<&'f str>>> = vec![None; self.flow.nodes.len()];
        before[self.flow.start] = Some(BTreeSet::new());
        let mut open = VecDeque::from([self.flow.start]);
        // Sets only shrink, so each node is looked at again at most once per variable.
        while let Some(node) = open.pop_front() {
            let here = before[node]
                .clone()
                .expect("a node is only open with what came before it");
            for (to, names) in self.sets(node) {
                let mut there = here.clone();
                there.extend(names);
                let met = match &before[to] {
                    Some(known) => known.intersection(&there).copied().collect(),
                    None => there,
                };
                if before[to].as_ref() != Some(&met) {
                    before[to] = Some(met);
                    open.push_back(to);
                }
            }
        }
        before
    }
}

/// The variables a node reads.
fn reads(kind: &NodeKind) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |pieces: &[PromptPiece]| {
        for piece in pieces {
            if let PromptPiece::Digits(expr) = piece {
                names.extend(expr.variables().iter().cloned());
            }
        }
    };
    match kind {
        NodeKind::Play { prompt, .. } | NodeKind::HangUp { prompt, .. } => add(&prompt.pieces),
        NodeKind::Menu {
            prompt, listening, ..
        }
        | NodeKind::Collect {
            prompt, listening, ..
        } => {
            add(&prompt.pieces);
            listening
                .no_input
                .iter()
                .chain(&listening.no_match)
                .for_each(|h| add(&h.pieces));
        }
        NodeKind::Branch { arms, .. } => {
            names.extend(arms.iter().flat_map(|(expr, _)| expr.variables().clone()));
        }
        NodeKind::Set { values, .. } => {
            names.extend(values.iter().flat_map(|(_, expr)| expr.variables().clone()));
        }
        NodeKind::Lookup { dip, meanwhile, .. } => {
            add(meanwhile);
            names.extend(
                dip.parameters
                    .iter()
                    .flat_map(|(_, expr)| expr.variables().clone()),
            );
        }
        NodeKind::OptOut { .. }
        | NodeKind::Hours { .. }
        | NodeKind::Flow { .. }
        | NodeKind::Queue { .. }
        | NodeKind::Return => {}
    }
    names
}
