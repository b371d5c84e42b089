//! Lists with shares: whose lead is next, so that after every lead each list is within one of its share.
//!
//! The leads of a list are jobs with windows: the j-th is not before slot ⌊j·100/share⌋ and before
//! slot ⌈(j+1)·100/share⌉; of those that may be, the one whose window ends first is next. After a
//! hundred slots every list has had exactly its share, and it begins anew.

use crate::filter::Filter;
use model::id::KeyError;
use model::{Key, ListId};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::str::FromStr;

/// What the shares of a campaign's lists add up to.
pub const SHARES: u32 = 100;

/// A list of a campaign: `"spring"`, or `{ name = "spring", share = 60, filter = "vip" }`.
#[derive(Clone, Debug, PartialEq)]
pub struct ListShare {
    /// The list.
    pub name: ListId,
    /// How many of a hundred leads come from it. None: lists are dialled one after the other.
    pub share: Option<u32>,
    /// Which of its leads are dialled, beside what the campaign's filter says.
    pub filter: Option<Filter>,
}

impl From<ListId> for ListShare {
    fn from(name: ListId) -> ListShare {
        ListShare {
            name,
            share: None,
            filter: None,
        }
    }
}

impl FromStr for ListShare {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<ListShare, KeyError> {
        text.parse::<ListId>().map(ListShare::from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<Filter>,
}

impl Serialize for ListShare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.share.is_none() && self.filter.is_none() {
            return self.name.serialize(serializer);
        }
        Table {
            name: self.name.0,
            share: self.share,
            filter: self.filter.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ListShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ListShare, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ListShare;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list's name, or { name = \"spring\", share = 60 }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<ListShare, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<ListShare, A::Error> {
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(ListShare {
                    name: ListId(table.name),
                    share: table.share,
                    filter: table.filter,
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What is wrong with the shares of these lists.
pub fn problem(lists: &[ListShare]) -> Option<String> {
    let shares: Vec<u32> = lists.iter().filter_map(|list| list.share).collect();
    if shares.is_empty() {
        return None;
    }
    if shares.len() < lists.len() {
        return Some("some lists have a share and some have none".into());
    }
    if shares.contains(&0) {
        return Some("a list with the share 0 is never dialled".into());
    }
    let sum = shares
        .iter()
        .fold(0_u32, |sum, share| sum.saturating_add(*share));
    (sum != SHARES).then(|| format!("the shares add up to {sum}"))
}

/// Whose lead is next.
#[derive(Clone, Debug, Default)]
pub struct Mix {
    lists: Vec<(ListId, u32)>,
    /// Which lists had leads in this round, how many slots are over, and whose they were.
    there: Vec<bool>,
    slot: u32,
    taken: Vec<u32>,
}

impl Mix {
    /// A mix by these shares. Without shares the first list with leads is always next.
    pub fn new(lists: &[ListShare]) -> Mix {
        Mix {
            lists: lists
                .iter()
                .map(|list| (list.name, list.share.unwrap_or(0)))
                .collect(),
            there: Vec::new(),
            slot: 0,
            taken: vec![0; lists.len()],
        }
    }

    /// The list whose lead is next among those that `has` leads; the others' shares are divided among
    /// them. None where none has any.
    pub fn next(&mut self, has: impl Fn(ListId) -> bool) -> Option<ListId> {
        let there: Vec<bool> = self.lists.iter().map(|(list, _)| has(*list)).collect();
        let sum: u32 = (self.lists.iter().zip(&there))
            .filter(|(_, there)| **there)
            .map(|((_, share), _)| *share)
            .sum();
        if sum == 0 {
            let first = there.iter().position(|there| *there)?;
            return Some(self.lists[first].0);
        }
        if self.there != there || self.slot == sum {
            self.there = there;
            self.slot = 0;
            self.taken.fill(0);
        }
        let (sum, slot) = (u64::from(sum), u64::from(self.slot));
        let next = (0..self.lists.len())
            .filter(|at| self.there[*at] && self.lists[*at].1 > 0)
            .filter_map(|at| {
                let (share, taken) = (u64::from(self.lists[at].1), u64::from(self.taken[at]));
                let from = taken * sum / share;
                let until = ((taken + 1) * sum).div_ceil(share);
                (from <= slot).then_some((until, at))
            })
            .min()
            .map(|(_, at)| at)
            .expect("in every slot some list is below its share");
        self.slot += 1;
        self.taken[next] += 1;
        Some(self.lists[next].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lists(shares: &[u32]) -> Vec<ListShare> {
        let named = |(n, share): (usize, &u32)| ListShare {
            name: format!("l{n}").parse().unwrap(),
            share: Some(*share),
            filter: None,
        };
        shares.iter().enumerate().map(named).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn over_any_hundred_leads_every_list_has_its_share_within_one(
            cuts in prop::collection::btree_set(1_u32..100, 0..6), start in 0_usize..250,
        ) {
            let mut edges: Vec<u32> = std::iter::once(0).chain(cuts).chain(std::iter::once(100)).collect();
            edges.dedup();
            let shares: Vec<u32> = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let lists = lists(&shares);
            prop_assert_eq!(problem(&lists), None);
            let mut mix = Mix::new(&lists);
            let order: Vec<ListId> = (0..400).map(|_| mix.next(|_| true).unwrap()).collect();
            for list in &lists {
                let share = i64::from(list.share.unwrap());
                let hundred = order[start..start + 100].iter().filter(|l| **l == list.name).count();
                prop_assert!((hundred as i64 - share).abs() <= 1, "{hundred} of {share}");
                for end in 1..order.len() {
                    let count = order[..end].iter().filter(|l| **l == list.name).count() as i64;
                    prop_assert!((count * 100 - share * end as i64).abs() <= 100);
                }
            }
        }
    }

    #[test]
    fn the_share_of_an_empty_list_goes_to_the_others() {
        let lists = lists(&[60, 20, 20]);
        let mut mix = Mix::new(&lists);
        let count = |mix: &mut Mix, without: usize| {
            let mut counts = [0; 3];
            for _ in 0..40 {
                let next = mix.next(|list| list != lists[without].name).unwrap();
                counts[lists.iter().position(|l| l.name == next).unwrap()] += 1;
            }
            counts
        };
        assert_eq!(count(&mut mix, 0), [0, 20, 20]);
        assert_eq!(count(&mut mix, 1), [30, 0, 10]);
        assert_eq!(mix.next(|_| false), None);
    }

    #[test]
    fn without_shares_the_first_list_with_leads_is_next() {
        let lists: Vec<ListShare> = vec!["a".parse().unwrap(), "b".parse().unwrap()];
        let mut mix = Mix::new(&lists);
        assert_eq!(mix.next(|_| true), Some(lists[0].name));
        assert_eq!(mix.next(|list| list != lists[0].name), Some(lists[1].name));
    }

    #[test]
    fn lists_are_read_as_names_or_with_shares_and_wrong_shares_are_a_problem() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            lists: Vec<ListShare>,
        }
        let read = |text: &str| toml::from_str::<File>(text);
        assert_eq!(read("lists = [\"a\"]").unwrap().lists[0].share, None);
        let file =
            read("lists = [{ name = \"a\", share = 60 }, { name = \"b\", share = 40 }]").unwrap();
        assert_eq!(problem(&file.lists), None);
        let again = toml::to_string(&file).unwrap();
        assert_eq!(read(&again).unwrap(), file);
        assert!(read("lists = [{ name = \"a\", shares = 60 }]").is_err());
        let some = read("lists = [\"a\", { name = \"b\", share = 100 }]").unwrap();
        assert!(problem(&some.lists).is_some());
        let filtered = read("lists = [{ name = \"a\", filter = \"vip\" }]").unwrap();
        assert_eq!(problem(&filtered.lists), None);
        assert_eq!(filtered.lists[0].filter, Some(Filter::new("vip")));
        let again = toml::to_string(&filtered).unwrap();
        assert_eq!(read(&again).unwrap(), filtered);
        assert!(problem(&lists(&[60, 50])).is_some());
        assert!(problem(&lists(&[100, 0])).is_some());
    }
}
