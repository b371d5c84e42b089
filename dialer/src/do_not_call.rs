//! Numbers that are never dialled. Asked at the instant of dialling and again when a claim is stored.

use model::PhoneNumber;
use std::collections::HashSet;

/// The system's list.
#[derive(Clone, Debug, Default)]
pub struct DoNotCall {
    // Only looked up, never iterated: its order reaches no decision.
    numbers: HashSet<PhoneNumber>,
}

impl DoNotCall {
    /// From now on this number is never dialled.
    pub fn add(&mut self, number: PhoneNumber) {
        self.numbers.insert(number);
    }

    /// Whether the number may not be dialled.
    pub fn has(&self, number: PhoneNumber) -> bool {
        self.numbers.contains(&number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}
