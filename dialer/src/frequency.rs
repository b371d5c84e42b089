//! What was dialled when, and how it ended: for caps (at most N dials in a window) and locks (no dial
//! for a time after an outcome), by number, person, subject and debt. Counts the dials of all
//! campaigns; those before the start of the process are loaded from the store.

use crate::input::PastDial;
use crate::law_facts::Whom;
use crate::rules::{Cap, Lock, RuleSet, Scope};
use model::{AttemptOutcome, PhoneNumber, Utc};
use std::collections::BTreeMap;

/// Numbers, persons and debts remembered, and outcomes of them. When full, what is not yet remembered
/// may not be dialled. About 100 bytes each.
const KEYS_MAX: usize = 4_000_000;
/// Dials remembered of one key; no cap asks for more ([`crate::rules`] refuses it).
const DIALS_MAX: usize = 64;

/// What is counted by. A person and a debt are remembered by a hash of 64 bits: two that share one
/// are called less often, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(PhoneNumber),
    Person(u64),
    Debt(u64),
}

/// One dial or its end, with the subject's hash; 0 is no subject, which is about everything.
#[derive(Clone, Copy, Debug)]
struct Note {
    at: Utc,
    subject: u64,
}

/// When whom was dialled, and with what outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frequency {
    dials: BTreeMap<Key, Vec<Note>>,
    ends: BTreeMap<(Key, AttemptOutcome), Vec<Note>>,
    /// How long numbers, persons and debts are asked for; 0: never.
    windows_us: [i64; 3],
    /// Outcomes that lock, and how long at most.
    locks_us: BTreeMap<AttemptOutcome, i64>,
    keys_max: Option<usize>,
}

/// FNV-1a; never 0.
fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.max(1)
}

impl Frequency {
    /// Remembers what these rules may ask for, and no more.
    pub(crate) fn for_rules<'a>(sets: impl Iterator<Item = &'a RuleSet>) -> Frequency {
        let mut memory = Frequency::default();
        for rule in sets.flat_map(|set| &set.rules) {
            let cap = rule.cap.iter().map(|cap| (&cap.per, cap.window_us()));
            let lock = rule.lock.iter().map(|lock| (&lock.per, lock.window_us()));
            for (per, window_us) in cap.chain(lock) {
                for scope in per {
                    let kinds: &[usize] = match scope {
                        Scope::Number => &[0],
                        Scope::Person => &[1],
                        Scope::Subject => &[0, 1],
                        Scope::Debt => &[2],
                    };
                    for kind in kinds {
                        let known = &mut memory.windows_us[*kind];
                        *known = window_us.max(*known);
                    }
                }
            }
            if let Some(lock) = &rule.lock {
                let known = memory.locks_us.entry(lock.after).or_default();
                *known = lock.window_us().max(*known);
            }
        }
        memory
    }

    fn window_us(&self, key: Key) -> i64 {
        self.windows_us[match key {
            Key::Number(_) => 0,
            Key::Person(_) => 1,
            Key::Debt(_) => 2,
        }]
    }

    fn keys(&self, whom: &Whom) -> impl Iterator<Item = Key> + use<'_> {
        let debt = whom.debt.as_deref().map(|debt| Key::Debt(hash(debt)));
        [
            Some(Key::Number(whom.number)),
            Some(Key::Person(hash(&whom.person))),
            debt,
        ]
        .into_iter()
        .flatten()
        .filter(|key| self.window_us(*key) > 0)
    }

    /// A call leaves.
    pub(crate) fn dialled(&mut self, whom: &Whom, now: Utc) {
        let note = Note {
            at: now,
            subject: whom.subject.as_deref().map_or(0, hash),
        };
        let keys: Vec<Key> = self.keys(whom).collect();
        for key in keys {
            push(self.dials.entry(key).or_default(), note);
        }
    }

    /// A call that left has ended so.
    pub(crate) fn ended(&mut self, whom: &Whom, outcome: AttemptOutcome, now: Utc) {
        if !self.locks_us.contains_key(&outcome) {
            return;
        }
        let note = Note {
            at: now,
            subject: whom.subject.as_deref().map_or(0, hash),
        };
        let keys: Vec<Key> = self.keys(whom).collect();
        for key in keys {
            push(self.ends.entry((key, outcome)).or_default(), note);
        }
    }

    /// A dial of the days before; oldest first. One that is told again, since how it ended is known
    /// by now, counts once.
    pub(crate) fn load(&mut self, past: PastDial) {
        let whom = Whom {
            number: past.number,
            person: past.person,
            subject: past.subject,
            debt: past.debt,
        };
        let keys: Vec<Key> = self.keys(&whom).collect();
        let known = |key: &Key| {
            let notes = self.dials.get(key);
            notes.is_some_and(|notes| notes.iter().any(|note| note.at == past.at))
        };
        if !keys.iter().all(known) {
            self.dialled(&whom, past.at);
        }
        if let Some(outcome) = past.outcome {
            self.ended(&whom, outcome, past.ended_at.unwrap_or(past.at));
        }
    }

    /// Whether the cap allows one more, else when it does.
    pub(crate) fn check_cap(&self, cap: &Cap, whom: &Whom, now: Utc) -> Result<(), Utc> {
        let since = now.plus_micros(-cap.window_us());
        let calls = usize::from(cap.calls);
        let mut free_at = None;
        for (key, subject) in asked(&cap.per, whom) {
            let Some(notes) = self.dials.get(&key) else {
                if self.is_full(self.dials.len()) {
                    return Err(now.plus_micros(cap.window_us()));
                }
                continue;
            };
            let mut recent: Vec<Utc> = notes
                .iter()
                .filter(|note| note.at > since && note.is_about(subject))
                .map(|note| note.at)
                .collect();
            // The wall clock may have stepped back in between.
            recent.sort_unstable();
            if recent.len() >= calls {
                let leaves = recent[recent.len() - calls].plus_micros(cap.window_us());
                free_at = free_at.max(Some(leaves));
            }
        }
        free_at.map_or(Ok(()), Err)
    }

    /// Whether no lock holds, else until when.
    pub(crate) fn check_lock(&self, lock: &Lock, whom: &Whom, now: Utc) -> Result<(), Utc> {
        let mut free_at = None;
        for (key, subject) in asked(&lock.per, whom) {
            let Some(notes) = self.ends.get(&(key, lock.after)) else {
                if self.is_full(self.ends.len()) {
                    return Err(now.plus_micros(lock.window_us()));
                }
                continue;
            };
            let of_subject = notes.iter().filter(|note| note.is_about(subject));
            let last = of_subject.map(|note| note.at).max();
            if let Some(until) = last.map(|last| last.plus_micros(lock.window_us()))
                && until > now
            {
                free_at = free_at.max(Some(until));
            }
        }
        free_at.map_or(Ok(()), Err)
    }

    fn is_full(&self, len: usize) -> bool {
        len >= self.keys_max.unwrap_or(KEYS_MAX)
    }

    /// Forgets what nothing can ask for any more.
    pub(crate) fn forget(&mut self, now: Utc) {
        let windows_us = self.windows_us;
        let since = |key: &Key| {
            now.plus_micros(
                -windows_us[match key {
                    Key::Number(_) => 0,
                    Key::Person(_) => 1,
                    Key::Debt(_) => 2,
                }],
            )
        };
        self.dials
            .retain(|key, notes| notes.iter().any(|note| note.at > since(key)));
        self.ends
            .retain(|(key, _), notes| notes.iter().any(|note| note.at > since(key)));
    }
}

impl Note {
    /// Whether the dial was about the subject. What names none is about everything.
    fn is_about(&self, subject: u64) -> bool {
        subject == 0 || self.subject == 0 || self.subject == subject
    }
}

fn push(notes: &mut Vec<Note>, note: Note) {
    if notes.len() == DIALS_MAX {
        notes.remove(0);
    }
    notes.push(note);
}

/// The keys a scope asks for, each with the subject that counts (0: any).
fn asked(per: &[Scope], whom: &Whom) -> Vec<(Key, u64)> {
    let number = Key::Number(whom.number);
    let person = Key::Person(hash(&whom.person));
    let subject = whom.subject.as_deref().map_or(0, hash);
    let mut asked = Vec::with_capacity(4);
    for scope in per {
        match scope {
            Scope::Number => asked.push((number, 0)),
            Scope::Person => asked.push((person, 0)),
            Scope::Subject => asked.extend([(number, subject), (person, subject)]),
            Scope::Debt => {
                asked.extend(whom.debt.as_deref().map(|debt| (Key::Debt(hash(debt)), 0)))
            }
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn at(hours: i64) -> Utc {
        Utc::from_micros(hours * HOUR_US)
    }

    fn whom(number: u64, person: &str, subject: Option<&str>, debt: Option<&str>) -> Whom {
        Whom {
            number: format!("+1305555{number:04}").parse().unwrap(),
            person: person.into(),
            subject: subject.map(str::to_string),
            debt: debt.map(str::to_string),
        }
    }

    fn memory(rule: &str) -> (Frequency, RuleSet) {
        let text = format!("id = \"x\"\n[[rule]]\nid = \"X-1\"\ntext = \"t\"\n{rule}");
        let set = RuleSet::from_toml(&text).unwrap();
        (Frequency::for_rules([&set].into_iter()), set)
    }

    #[test]
    fn the_fourth_call_on_a_subject_waits_whatever_number_is_used() {
        let (mut memory, set) =
            memory("cap = { calls = 3, within_s = 86400, per = [\"subject\"] }");
        let cap = set.rules[0].cap.as_ref().unwrap();
        for n in 0..3 {
            let call = whom(n, "ann", Some("roof"), None);
            assert_eq!(memory.check_cap(cap, &call, at(n as i64)), Ok(()));
            memory.dialled(&call, at(n as i64));
        }
        let ask = |who: &Whom, hour| memory.check_cap(cap, who, at(hour));
        assert_eq!(ask(&whom(9, "ann", Some("roof"), None), 3), Err(at(24)));
        assert_eq!(ask(&whom(9, "ann", Some("roof"), None), 24), Ok(()));
        assert_eq!(ask(&whom(9, "ann", Some("cellar"), None), 3), Ok(()));
        assert_eq!(
            ask(&whom(9, "ann", None, None), 3),
            Err(at(24)),
            "about everything"
        );
        assert_eq!(ask(&whom(9, "bob", Some("roof"), None), 3), Ok(()));
    }

    #[test]
    fn a_conversation_locks_the_debt_and_no_other() {
        let (mut memory, set) =
            memory("lock = { after = \"answered_agent\", hours = 168, per = [\"debt\"] }");
        let lock = set.rules[0].lock.as_ref().unwrap();
        memory.ended(
            &whom(1, "ann", None, Some("d1")),
            AttemptOutcome::AnsweredAgent,
            at(1),
        );
        memory.ended(
            &whom(1, "ann", None, Some("d2")),
            AttemptOutcome::NoAnswer,
            at(1),
        );
        let ask = |who: &Whom, hour| memory.check_lock(lock, who, at(hour));
        assert_eq!(ask(&whom(2, "bob", None, Some("d1")), 2), Err(at(169)));
        assert_eq!(ask(&whom(2, "bob", None, Some("d1")), 169), Ok(()));
        assert_eq!(ask(&whom(1, "ann", None, Some("d2")), 2), Ok(()));
        assert_eq!(ask(&whom(1, "ann", None, None), 2), Ok(()));
    }

    #[test]
    fn a_dial_told_again_with_its_end_counts_once_and_locks() {
        let (mut memory, set) = memory(
            "cap = { calls = 2, within_s = 86400, per = [\"number\"] }
             lock = { after = \"abandoned\", hours = 72, per = [\"person\"] }",
        );
        let who = whom(1, "ann", None, None);
        let past = |outcome| PastDial {
            number: who.number,
            person: who.person.clone(),
            at: at(0),
            outcome,
            ended_at: Some(at(1)),
            subject: None,
            debt: None,
        };
        memory.load(past(Some(AttemptOutcome::UnknownRestart)));
        let (cap, lock) = (&set.rules[0].cap, &set.rules[0].lock);
        let (cap, lock) = (cap.as_ref().unwrap(), lock.as_ref().unwrap());
        assert_eq!(memory.check_lock(lock, &who, at(2)), Ok(()));
        memory.load(past(Some(AttemptOutcome::Abandoned)));
        assert_eq!(memory.check_lock(lock, &who, at(2)), Err(at(73)));
        assert_eq!(memory.check_cap(cap, &who, at(2)), Ok(()));
        memory.dialled(&who, at(2));
        assert!(memory.check_cap(cap, &who, at(3)).is_err());
    }

    #[test]
    fn what_no_rule_asks_for_is_not_remembered_and_old_things_are_forgotten() {
        let (mut memory, _) = memory("cap = { calls = 3, within_s = 86400, per = [\"debt\"] }");
        memory.dialled(&whom(1, "ann", None, None), at(0));
        assert!(memory.dials.is_empty());
        memory.dialled(&whom(1, "ann", None, Some("d")), at(0));
        assert_eq!(memory.dials.len(), 1);
        memory.forget(at(24));
        assert!(memory.dials.is_empty());
    }

    #[test]
    fn a_full_memory_dials_nobody_it_does_not_know() {
        let (mut memory, set) = memory("cap = { calls = 3, within_s = 86400, per = [\"number\"] }");
        let cap = set.rules[0].cap.as_ref().unwrap();
        memory.keys_max = Some(1);
        memory.dialled(&whom(1, "ann", None, None), at(0));
        assert_eq!(
            memory.check_cap(cap, &whom(1, "ann", None, None), at(1)),
            Ok(())
        );
        assert!(
            memory
                .check_cap(cap, &whom(2, "bob", None, None), at(1))
                .is_err()
        );
    }
}
