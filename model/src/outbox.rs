//! Where every machine writes what should be done and what has happened.

use crate::Fact;
use std::collections::VecDeque;

/// Commands of one machine, first in first out, and the facts it established, in order.
///
/// Pushing cannot be misused: nothing has to be drained at a given moment, nothing is lost, and one
/// order of things results that can be written down and replayed.
#[derive(Debug)]
pub struct Outbox<C> {
    /// To be carried out, first in first out.
    pub commands: VecDeque<C>,
    /// What happened, in order. The engine numbers them into events.
    pub facts: Vec<Fact>,
}

impl<C> Default for Outbox<C> {
    fn default() -> Self {
        Outbox {
            commands: VecDeque::new(),
            facts: Vec::new(),
        }
    }
}

impl<C> Outbox<C> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
    /// Asks for something to be done.
    pub fn command(&mut self, command: C) {
        self.commands.push_back(command);
    }
    /// States that something has happened.
    pub fn fact(&mut self, fact: Fact) {
        self.facts.push(fact);
    }
}
