//! A flow as a drawing: Mermaid for a page, DOT for Graphviz.
//!
//! Nodes are numbered in the order of the file, so that the same flow is always the same text.

use crate::flow::{Flow, NodeKind};
use std::fmt::Write as _;

/// The flow as a Mermaid flowchart.
pub fn mermaid(flow: &Flow) -> String {
    let mut text = String::from("flowchart TD\n");
    for (index, node) in flow.nodes.iter().enumerate() {
        let label = label(&node.name, &node.kind, "<br/>").replace('"', "#quot;");
        let shape = match &node.kind {
            NodeKind::Menu { .. } | NodeKind::Collect { .. } => ("[/", "/]"),
            NodeKind::Branch { .. } | NodeKind::Hours { .. } => ("{", "}"),
            NodeKind::Queue { .. } | NodeKind::HangUp { .. } | NodeKind::Return => ("([", "])"),
            NodeKind::Flow { .. } => ("[[", "]]"),
            NodeKind::Play { .. }
            | NodeKind::Set { .. }
            | NodeKind::OptOut { .. }
            | NodeKind::Lookup { .. } => ("[", "]"),
        };
        put(
            &mut text,
            format_args!("  n{index}{}\"{label}\"{}\n", shape.0, shape.1),
        );
    }
    put(
        &mut text,
        format_args!("  begin(( )) --> n{}\n", flow.start),
    );
    for from in 0..flow.nodes.len() {
        for edge in flow.edges(from) {
            if edge.label.is_empty() {
                put(&mut text, format_args!("  n{from} --> n{}\n", edge.to));
            } else {
                put(
                    &mut text,
                    format_args!("  n{from} -->|\"{}\"| n{}\n", edge.label, edge.to),
                );
            }
        }
    }
    text
}

/// The flow in the DOT language.
pub fn dot(flow: &Flow) -> String {
    let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!(
        "digraph \"{}\" {{\n  node [shape=box]\n  begin [shape=point]\n",
        flow.id
    );
    for (index, node) in flow.nodes.iter().enumerate() {
        // The line break is DOT's own escape: it is put in after quoting.
        let label = quote(&label(&node.name, &node.kind, "\n")).replace('\n', "\\n");
        let style = if node.kind.is_end() {
            ", style=rounded"
        } else {
            ""
        };
        put(
            &mut text,
            format_args!("  n{index} [label=\"{label}\"{style}]\n"),
        );
    }
    put(&mut text, format_args!("  begin -> n{}\n", flow.start));
    for from in 0..flow.nodes.len() {
        for edge in flow.edges(from) {
            let label = quote(&edge.label);
            put(
                &mut text,
                format_args!("  n{from} -> n{} [label=\"{label}\"]\n", edge.to),
            );
        }
    }
    text.push_str("}\n");
    text
}

fn label(name: &str, kind: &NodeKind, line_break: &str) -> String {
    let what = match kind {
        NodeKind::Queue { queue, .. } => format!("queue {queue}"),
        NodeKind::Flow { flow, .. } => format!("flow {}", flow.id),
        NodeKind::Lookup { dip, .. } => format!("lookup {}", dip.source),
        NodeKind::Collect { into, .. } => format!("collect {into}"),
        NodeKind::Play { .. }
        | NodeKind::Menu { .. }
        | NodeKind::Branch { .. }
        | NodeKind::Set { .. }
        | NodeKind::OptOut { .. }
        | NodeKind::Hours { .. }
        | NodeKind::HangUp { .. }
        | NodeKind::Return => kind.name().to_owned(),
    };
    format!("{name}{line_break}{what}")
}

fn put(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece)
        .expect("writing to a string cannot fail");
}
