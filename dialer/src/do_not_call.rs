//! Numbers that are never dialled: what people told us, at once, and the lists that are loaded, each
//! with its kind and the date of its file. Asked at the instant of dialling.
//!
//! A list is a sorted row of 8-byte numbers: ten million take 80 MB and a look-up 24 steps.

use model::event::DoNotCallKind;
use model::{CampaignId, ListId, PhoneNumber, Utc};
use std::collections::{BTreeMap, HashSet};

/// A list that was loaded.
#[derive(Clone, Debug)]
struct List {
    kind: DoNotCallKind,
    /// The day of the file, where it has one.
    as_of: Option<Utc>,
    /// Sorted, each once.
    numbers: Vec<u64>,
}

/// Every list, and what was added since the start.
#[derive(Clone, Debug, Default)]
pub struct DoNotCall {
    // Only looked up, never iterated: its order reaches no decision.
    added: HashSet<u64>,
    lists: BTreeMap<ListId, List>,
    /// Lists of which further parts are to come; what they replace is in use until then.
    coming: BTreeMap<ListId, List>,
}

/// A list that has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which; none: what people told us.
    pub list: Option<ListId>,
    /// Whose.
    pub kind: DoNotCallKind,
}

/// The digits as a number: at most fifteen, the first of them not 0, so that each is another.
fn key(number: PhoneNumber) -> u64 {
    number
        .digits()
        .bytes()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

impl DoNotCall {
    /// From now on this number is never dialled.
    pub fn add(&mut self, number: PhoneNumber) {
        self.added.insert(key(number));
    }

    /// Takes a list, or a part of it; the last part, without `more`, replaces the list of that name.
    /// Returns how many numbers it has by then, `None` while more is to come.
    pub fn load(
        &mut self,
        list: ListId,
        kind: DoNotCallKind,
        as_of: Option<Utc>,
        numbers: &[PhoneNumber],
        more: bool,
    ) -> Option<u64> {
        let coming = self.coming.entry(list).or_insert(List {
            kind,
            as_of,
            numbers: Vec::new(),
        });
        // Parts of two files that are told in turns are one file, as old as the older.
        coming.kind = kind;
        coming.as_of = match (coming.as_of, as_of) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (None, _) | (_, None) => None,
        };
        coming.numbers.extend(numbers.iter().copied().map(key));
        if more {
            return None;
        }
        let mut loaded = self.coming.remove(&list).expect("entered above");
        loaded.numbers.sort_unstable();
        loaded.numbers.dedup();
        loaded.numbers.shrink_to_fit();
        let count = loaded.numbers.len() as u64;
        self.lists.insert(list, loaded);
        Some(count)
    }

    /// The lists that forbid the number to the campaign; those that no exemption opens go before the
    /// national ones.
    pub fn listed(&self, number: PhoneNumber, campaign: CampaignId) -> Vec<Listed> {
        let key = key(number);
        if self.added.contains(&key) {
            return vec![Listed {
                list: None,
                kind: DoNotCallKind::Internal,
            }];
        }
        let of_campaign = |name: &ListId| name.as_str() == campaign.as_str();
        let binding = self.lists.iter().filter(|(name, list)| match list.kind {
            DoNotCallKind::Internal | DoNotCallKind::Area | DoNotCallKind::National => true,
            DoNotCallKind::Campaign => of_campaign(name),
        });
        let mut found: Vec<Listed> = binding
            .filter(|(_, list)| list.numbers.binary_search(&key).is_ok())
            .map(|(name, list)| Listed {
                list: Some(*name),
                kind: list.kind,
            })
            .collect();
        found.sort_by_key(|listed| listed.kind);
        found
    }

    /// The date of the file of that name; `None`: there is no such list; `Some(None)`: no date.
    pub fn as_of(&self, name: &str) -> Option<Option<Utc>> {
        let found = self.lists.iter().find(|(list, _)| list.as_str() == name);
        found.map(|(_, list)| list.as_of)
    }

    /// How many there are in all lists.
    pub fn len(&self) -> usize {
        self.added.len()
            + self
                .lists
                .values()
                .map(|list| list.numbers.len())
                .sum::<usize>()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> PhoneNumber {
        format!("+1212{n:07}").parse().unwrap()
    }

    fn list(name: &str) -> ListId {
        name.parse().unwrap()
    }

    fn spring() -> CampaignId {
        "spring".parse().unwrap()
    }

    #[test]
    fn a_list_of_the_campaign_binds_no_other() {
        let mut lists = DoNotCall::default();
        lists.load(
            list("spring"),
            DoNotCallKind::Campaign,
            None,
            &[number(1)],
            false,
        );
        let listed = lists.listed(number(1), spring())[0];
        assert_eq!(listed.kind, DoNotCallKind::Campaign);
        assert_eq!(lists.listed(number(1), "autumn".parse().unwrap()), []);
    }

    #[test]
    fn an_internal_wish_goes_before_a_national_list() {
        let mut lists = DoNotCall::default();
        lists.load(
            list("us"),
            DoNotCallKind::National,
            None,
            &[number(1), number(2)],
            false,
        );
        lists.add(number(1));
        lists.load(
            list("wishes"),
            DoNotCallKind::Internal,
            None,
            &[number(2)],
            false,
        );
        for n in [1, 2] {
            let listed = lists.listed(number(n), spring())[0];
            assert_eq!(listed.kind, DoNotCallKind::Internal);
        }
    }

    #[test]
    fn the_old_list_is_in_use_until_the_last_part_of_the_new_one() {
        let mut lists = DoNotCall::default();
        let mut load = |numbers: &[PhoneNumber], day: i64, more| {
            let as_of = Some(Utc::from_micros(day));
            lists.load(list("us"), DoNotCallKind::National, as_of, numbers, more);
            (
                !lists.listed(number(1), spring()).is_empty(),
                !lists.listed(number(2), spring()).is_empty(),
                lists.as_of("us"),
            )
        };
        let (one, two) = (
            Some(Some(Utc::from_micros(1))),
            Some(Some(Utc::from_micros(2))),
        );
        assert_eq!(load(&[number(1)], 1, false), (true, false, one));
        assert_eq!(load(&[number(2)], 2, true), (true, false, one));
        assert_eq!(load(&[number(3)], 2, false), (false, true, two));
    }

    #[test]
    fn ten_million_numbers_take_eight_bytes_each() {
        // The size is that of the row; a tenth of it tells as much in a test.
        let numbers: Vec<PhoneNumber> = (0..1_000_000).rev().map(number).collect();
        let mut lists = DoNotCall::default();
        let count = lists.load(list("us"), DoNotCallKind::National, None, &numbers, false);
        assert_eq!(count, Some(1_000_000));
        let row = &lists.lists[&list("us")].numbers;
        assert!(row.capacity() * size_of::<u64>() <= 8 * 1_000_100);
        assert_eq!(lists.listed(number(999_999), spring()).len(), 1);
        assert_eq!(lists.listed(number(1_000_000), spring()), []);
    }
}
