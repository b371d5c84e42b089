//! Which of the leads that wait in a hopper goes next, where pacing chooses among them by class.
//!
//! The choice is among leads of the priority of the one that has waited longest (and of its list,
//! where lists have shares), and it is bounded: a lead is passed over by at most
//! [`PASSED_OVER_MAX`] later ones, and by none once it has waited for [`WAIT_MAX`].

use crate::pacing::CLASSES;
use model::{Lead, LeadId, ListId, Mono};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Later leads that go before a lead, at most: an hour and more of a single agent's calls, a few
/// minutes of ten agents'.
pub const PASSED_OVER_MAX: u64 = 200;
/// A lead that has waited so long in the hopper is the next to be dialled.
pub const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Overdue leads told at once, at most: more than are dialled in one decision, but for a flood.
const FIRST_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Mark {
    class: u8,
    /// Leads that came before it.
    turn: u64,
    since: Mono,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeadOrder {
    /// By lead; look-ups only, never iterated but to forget those that are gone.
    marks: HashMap<LeadId, Mark>,
    came: u64,
    /// Those that have left, dialled or not.
    left: u64,
    /// The class that is wanted next, and when.
    wanted: Option<(u8, Mono)>,
}

impl LeadOrder {
    /// A lead comes to the end of the queue.
    pub(crate) fn came(&mut self, lead: LeadId, class: u8, now: Mono) {
        let mark = Mark {
            class,
            turn: self.came,
            since: now,
        };
        self.came += 1;
        self.marks.insert(lead, mark);
    }

    /// Leads have left; `stays` says of each whether it still waits.
    pub(crate) fn left(&mut self, count: usize, waiting: &VecDeque<Lead>) {
        self.left += count as u64;
        if self.marks.len() > 2 * waiting.len() + 256 {
            let ids: std::collections::HashSet<LeadId> =
                waiting.iter().map(|lead| lead.id).collect();
            self.marks.retain(|lead, _| ids.contains(lead));
        }
    }

    /// The class that is wanted next.
    pub(crate) fn want(&mut self, class: u8, now: Mono) {
        self.wanted = Some((class, now));
    }

    /// A lead that came back without a word, such as a skipped preview, was there before all others.
    fn mark(&self, lead: LeadId) -> Mark {
        let unknown = Mark {
            class: CLASSES as u8 / 2,
            turn: 0,
            since: Mono::ZERO,
        };
        self.marks.get(&lead).copied().unwrap_or(unknown)
    }

    fn is_overdue(&self, mark: Mark, now: Mono) -> bool {
        self.left >= mark.turn + PASSED_OVER_MAX || now.since(mark.since) >= WAIT_MAX
    }

    /// Where the next lead is, among those of `list` where it is named. The oldest goes if it is
    /// overdue; else the oldest of the wanted class, or of the class nearest to it.
    pub(crate) fn next(&self, waiting: &VecDeque<Lead>, list: Option<ListId>) -> Option<usize> {
        let mut of_list = waiting
            .iter()
            .enumerate()
            .filter(|(_, lead)| list.is_none_or(|list| lead.list == list));
        let (first, oldest) = of_list.next()?;
        let Some((wanted, now)) = self.wanted else {
            return Some(first);
        };
        let mark = self.mark(oldest.id);
        if mark.class == wanted || self.is_overdue(mark, now) {
            return Some(first);
        }
        let mut best = (mark.class.abs_diff(wanted), first);
        for (at, lead) in of_list.filter(|(_, lead)| lead.priority == oldest.priority) {
            let off = self.mark(lead.id).class.abs_diff(wanted);
            if off < best.0 {
                best = (off, at);
                if off == 0 {
                    break;
                }
            }
        }
        Some(best.1)
    }

    /// The classes of the leads that are overdue, oldest first, and how many of each class there are
    /// to choose among. Where lists have shares, each list offers its own.
    pub(crate) fn to_choose(
        &self,
        waiting: &VecDeque<Lead>,
        lists: &[ListId],
        now: Mono,
    ) -> (Vec<u8>, [u32; CLASSES]) {
        let mut first = Vec::new();
        let mut classes = [0; CLASSES];
        let mut priority: Vec<Option<i16>> = vec![None; lists.len().max(1)];
        for lead in waiting {
            let list = lists.iter().position(|list| *list == lead.list).unwrap_or(0);
            if *priority[list].get_or_insert(lead.priority) != lead.priority {
                continue;
            }
            let mark = self.mark(lead.id);
            if first.len() < FIRST_MAX && self.is_overdue(mark, now) {
                first.push(mark.class);
            } else {
                classes[usize::from(mark.class).min(CLASSES - 1)] += 1;
            }
        }
        (first, classes)
    }
}
