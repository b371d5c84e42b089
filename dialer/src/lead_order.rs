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
    /// By lead; look-ups only, never iterated.
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
            let kept = waiting
                .iter()
                .filter_map(|lead| Some((lead.id, *self.marks.get(&lead.id)?)));
            self.marks = kept.collect();
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
            let list = lists
                .iter()
                .position(|list| *list == lead.list)
                .unwrap_or(0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hopper::Hopper;
    use crate::mix::ListShare;

    fn lead(n: u64, list: &str, priority: i16) -> Lead {
        Lead {
            priority,
            ..Lead::new(
                LeadId(n),
                list.parse().unwrap(),
                vec!["+4930123456".parse().unwrap()],
            )
        }
    }

    fn hopper(lists: &[ListShare]) -> Hopper {
        let mut hopper = Hopper::new(lists);
        hopper.order = Some(LeadOrder::default());
        hopper
    }

    fn push(hopper: &mut Hopper, lead: Lead, class: u8, now: Mono) {
        hopper.order.as_mut().unwrap().came(lead.id, class, now);
        hopper.push(lead);
    }

    fn take(hopper: &mut Hopper, class: u8, now: Mono) -> Option<u64> {
        hopper.order.as_mut().unwrap().want(class, now);
        hopper.take().map(|lead| lead.id.0)
    }

    #[test]
    fn no_lead_is_passed_over_more_often_than_the_bound_whatever_is_wanted() {
        let mut rng = model::Rng::new(3);
        for fill in [30, 150, 900] {
            let mut hopper = hopper(&["l".parse().unwrap()]);
            let (mut next, mut gone) = (0_u64, Vec::new());
            while gone.len() < 1_500 {
                while hopper.len() < fill {
                    let class = if rng.chance(0.3) {
                        11
                    } else {
                        rng.below(12) as u8
                    };
                    push(&mut hopper, lead(next, "l", 0), class, Mono::ZERO);
                    next += 1;
                }
                if rng.chance(0.01) {
                    hopper.withdraw(LeadId(next - 1 - rng.below(u64::from(fill))));
                }
                let wanted = if rng.chance(0.9) { 11 } else { 0 };
                gone.extend(take(&mut hopper, wanted, Mono::ZERO));
            }
            let worst = (0..gone.len())
                .map(|at| gone[..at].iter().filter(|later| **later > gone[at]).count())
                .max();
            assert!(worst <= Some(PASSED_OVER_MAX as usize), "{fill}: {worst:?}");
            // And the choice is one: many are passed over.
            assert!(worst > Some(10), "{fill}: {worst:?}");
        }
    }

    #[test]
    fn a_lead_that_has_waited_for_a_quarter_of_an_hour_is_next() {
        let mut hopper = hopper(&["l".parse().unwrap()]);
        let later = Mono::ZERO + (WAIT_MAX - Duration::from_secs(1));
        push(&mut hopper, lead(1, "l", 0), 0, Mono::ZERO);
        for n in 2..5 {
            push(&mut hopper, lead(n, "l", 0), 11, later);
        }
        assert_eq!(take(&mut hopper, 11, later), Some(2));
        assert_eq!(hopper.to_choose(Mono::ZERO + WAIT_MAX).0, [0]);
        assert_eq!(take(&mut hopper, 11, Mono::ZERO + WAIT_MAX), Some(1));
        assert_eq!(take(&mut hopper, 11, Mono::ZERO + WAIT_MAX), Some(3));
    }

    #[test]
    fn the_choice_is_among_leads_of_one_priority_and_the_nearest_class_stands_in() {
        let mut hopper = hopper(&["l".parse().unwrap()]);
        for (n, priority, class) in [(1, 5, 2), (2, 5, 4), (3, 1, 11), (4, 5, 0)] {
            push(&mut hopper, lead(n, "l", priority), class, Mono::ZERO);
        }
        let (first, waiting) = hopper.to_choose(Mono::ZERO);
        assert!(first.is_empty());
        assert_eq!(
            (waiting[2], waiting[4], waiting[11], waiting[0]),
            (1, 1, 0, 1)
        );
        let order: Vec<u64> = (0..4)
            .filter_map(|_| take(&mut hopper, 11, Mono::ZERO))
            .collect();
        assert_eq!(order, [2, 1, 3, 4]);
    }

    #[test]
    fn lists_keep_their_shares_whatever_their_leads_are_worth() {
        let share = |name: &str, share| ListShare {
            name: name.parse().unwrap(),
            share: Some(share),
            filter: None,
        };
        let mut hopper = hopper(&[share("a", 25), share("b", 75)]);
        for n in 0..400 {
            let (list, class) = if n % 2 == 0 {
                ("a", 11)
            } else {
                ("b", n as u8 % 3)
            };
            push(&mut hopper, lead(n, list, 0), class, Mono::ZERO);
        }
        let taken: Vec<u64> = (0..100)
            .filter_map(|_| take(&mut hopper, 11, Mono::ZERO))
            .collect();
        assert_eq!(taken.iter().filter(|n| **n % 2 == 0).count(), 25);
    }

    #[test]
    fn without_a_wish_leads_go_in_the_order_they_came() {
        let mut hopper = hopper(&["l".parse().unwrap()]);
        for n in 0..5 {
            push(&mut hopper, lead(n, "l", 0), n as u8, Mono::ZERO);
        }
        let order: Vec<u64> = std::iter::from_fn(|| hopper.take().map(|lead| lead.id.0)).collect();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }
}
