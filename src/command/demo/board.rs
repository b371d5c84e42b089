//! The live board: agents and their states, calls, waits, abandonment against the limit.

use crate::api::board::{Board, Feed};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// How often it is drawn.
pub const EVERY: Duration = Duration::from_millis(200);
/// Agents shown one by one; more are summed up.
const AGENTS_SHOWN: usize = 24;

/// A board that redraws itself in place.
pub struct TerminalBoard {
    is_on: bool,
    lines: usize,
}

impl TerminalBoard {
    /// A board, or nothing at all where output is no terminal.
    pub fn new(is_on: bool) -> TerminalBoard {
        TerminalBoard { is_on, lines: 0 }
    }

    /// Draws over what was drawn before.
    pub fn draw(&mut self, feed: &Arc<Feed>, elapsed: Duration, total: Duration) {
        if !self.is_on {
            return;
        }
        let text = feed.read(|board| render(board, elapsed, total));
        let mut out = String::new();
        if self.lines > 0 {
            write!(out, "\x1b[{}A", self.lines).expect("strings grow");
        }
        for line in text.lines() {
            writeln!(out, "\x1b[2K{line}").expect("strings grow");
        }
        out.push_str("\x1b[J");
        self.lines = text.lines().count();
        show(&out);
    }

    /// Takes it off the screen.
    pub fn clear(&mut self) {
        if self.lines > 0 {
            show(&format!("\x1b[{}A\x1b[J", self.lines));
            self.lines = 0;
        }
    }
}

fn show(text: &str) {
    let mut out = std::io::stdout().lock();
    // A terminal that is gone cannot be drawn on; the report follows all the same.
    if out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        tracing::debug!("the terminal is gone");
    }
}

fn render(board: &Board, elapsed: Duration, total: Duration) -> String {
    let mut out = String::new();
    let done = (elapsed.as_secs_f64() / total.as_secs_f64()).min(1.0);
    let filled = (done * 40.0) as usize;
    line(
        &mut out,
        format_args!(
            "{}{} {:>3} s of {} s",
            "█".repeat(filled),
            "░".repeat(40 - filled),
            elapsed.as_secs(),
            total.as_secs()
        ),
    );
    line(&mut out, format_args!(""));
    line(
        &mut out,
        format_args!(
            "{:<12} {:>7} {:>8} {:>9} {:>9}",
            "queue", "waiting", "offered", "answered", "abandoned"
        ),
    );
    for row in board
        .queues
        .values()
        .filter(|row| row.offered > 0 || row.waiting > 0)
    {
        line(
            &mut out,
            format_args!(
                "{:<12} {:>7} {:>8} {:>9} {:>9}",
                row.queue, row.waiting, row.offered, row.answered, row.abandoned
            ),
        );
    }
    line(&mut out, format_args!(""));
    line(
        &mut out,
        format_args!(
            "{:<12} {:>7} {:>8} {:>9} {:>9} {:>15}",
            "campaign", "flying", "dialled", "connected", "abandoned", "rate (limit 3 %)"
        ),
    );
    for row in board.campaigns.values() {
        let live = row.answered_agent + row.messaged + row.abandoned;
        let rate = if live == 0 {
            "–".to_string()
        } else {
            format!("{:.1} %", 100.0 * row.abandoned as f64 / live as f64)
        };
        line(
            &mut out,
            format_args!(
                "{:<12} {:>7} {:>8} {:>9} {:>9} {rate:>15}",
                row.campaign, row.in_flight, row.dialled, row.answered_agent, row.abandoned
            ),
        );
    }
    line(&mut out, format_args!(""));
    let mut names = String::new();
    for (n, row) in board.agents.values().take(AGENTS_SHOWN).enumerate() {
        if n % 3 == 0 && n > 0 {
            names.push('\n');
        }
        write!(
            names,
            "{} {:<10} {:<12} ",
            dot(row.state.name()),
            row.agent.as_str(),
            row.state.name()
        )
        .expect("strings grow");
    }
    line(&mut out, format_args!("{names}"));
    if board.agents.len() > AGENTS_SHOWN {
        let on_call = board
            .agents
            .values()
            .skip(AGENTS_SHOWN)
            .filter(|row| row.state.is_handling())
            .count();
        line(
            &mut out,
            format_args!(
                "and {} more, {on_call} of them busy",
                board.agents.len() - AGENTS_SHOWN
            ),
        );
    }
    line(&mut out, format_args!("{} live calls", board.calls.len()));
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("strings grow");
}

fn dot(state: &str) -> &'static str {
    match state {
        "available" => "\x1b[32m●\x1b[0m",
        "on_call" => "\x1b[31m●\x1b[0m",
        "offered" => "\x1b[33m●\x1b[0m",
        "wrap_up" => "\x1b[35m●\x1b[0m",
        _ => "○",
    }
}
