//! Frequency caps: at most N dials in a window, per number and per person. Counts dials of all
//! campaigns; those before the start of the process are loaded from the store.

use crate::rules::Cap;
use model::{Lead, PhoneNumber, Utc};
use std::collections::BTreeMap;

/// Numbers and persons remembered. When full, what is not yet remembered may not be dialled.
const KEYS_MAX: usize = 2_000_000;
/// Dials remembered of one key; more than any cap asks for.
const DIALS_MAX: usize = 64;
/// The longest window of a cap.
const WINDOW_MAX_US: i64 = 31 * 86_400_000_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Number(PhoneNumber),
    Person(String),
}

/// When whom was dialled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frequency {
    dials: BTreeMap<Whom, Vec<Utc>>,
}

fn keys(lead: &Lead, number: PhoneNumber) -> [Whom; 2] {
    let person = lead
        .customer_key
        .clone()
        .unwrap_or_else(|| lead.id.to_string());
    [Whom::Number(number), Whom::Person(person)]
}

impl Frequency {
    /// A call leaves.
    pub(crate) fn dialled(&mut self, lead: &Lead, number: PhoneNumber, now: Utc) {
        self.note(keys(lead, number), now);
    }

    /// A dial of the days before; oldest first.
    pub(crate) fn load(&mut self, number: PhoneNumber, person: String, at: Utc) {
        self.note([Whom::Number(number), Whom::Person(person)], at);
    }

    fn note(&mut self, keys: [Whom; 2], at: Utc) {
        for key in keys {
            let dials = self.dials.entry(key).or_default();
            if dials.len() == DIALS_MAX {
                dials.remove(0);
            }
            dials.push(at);
        }
    }

    /// Whether the cap allows one more, else when it does.
    pub(crate) fn check(
        &self,
        cap: Cap,
        lead: &Lead,
        number: PhoneNumber,
        now: Utc,
    ) -> Result<(), Utc> {
        let within_us = i64::from(cap.within_s) * 1_000_000;
        let mut free_at = None;
        for key in keys(lead, number) {
            let Some(dials) = self.dials.get(&key) else {
                if self.dials.len() >= KEYS_MAX {
                    return Err(now.plus_micros(within_us));
                }
                continue;
            };
            let since = now.plus_micros(-within_us);
            let recent: Vec<Utc> = dials.iter().copied().filter(|at| *at > since).collect();
            let calls = usize::from(cap.calls);
            if recent.len() >= calls {
                free_at = free_at.max(Some(recent[recent.len() - calls].plus_micros(within_us)));
            }
        }
        free_at.map_or(Ok(()), Err)
    }

    /// Forgets what no cap can ask for any more.
    pub(crate) fn forget(&mut self, now: Utc) {
        let since = now.plus_micros(-WINDOW_MAX_US);
        self.dials
            .retain(|_, dials| dials.last().is_some_and(|last| *last > since));
    }
}
