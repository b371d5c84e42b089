//! Identifiers.
//!
//! Two kinds. Things that happen (calls, legs, attempts…) are numbered: a `u64` whose upper 24 bits
//! are the boot of the engine that minted it, so that a restart never reuses one. Things that are
//! configured (agents, queues, campaigns…) are known everywhere by the name an operator gave them:
//! a [`Key`] holds it inline, is `Copy`, and reads as itself in logs, events, metrics and the API.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Longest name of a configured thing, in bytes.
pub const KEY_BYTES_MAX: usize = 31;

/// The name of a configured thing: 1 to 31 bytes of `A-Z a-z 0-9 _ - . :`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    // Zero padded behind the name, so that the derived order is the order of the names.
    bytes: [u8; KEY_BYTES_MAX],
    len: u8,
}

/// Why a text is not a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The text is empty.
    Empty,
    /// The text has more than [`KEY_BYTES_MAX`] bytes.
    TooLong(usize),
    /// The text has a character outside `A-Z a-z 0-9 _ - . :`.
    Character(char),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Empty => write!(f, "a name cannot be empty"),
            KeyError::TooLong(n) => {
                write!(
                    f,
                    "a name has at most {KEY_BYTES_MAX} bytes, this one has {n}"
                )
            }
            KeyError::Character(c) => {
                write!(
                    f,
                    "{c:?} cannot be in a name; use letters, digits, '_', '-', '.' and ':'"
                )
            }
        }
    }
}

impl std::error::Error for KeyError {}

impl Key {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len as usize])
            .expect("a key is ASCII by construction")
    }
}

impl FromStr for Key {
    type Err = KeyError;
    fn from_str(s: &str) -> Result<Key, KeyError> {
        if s.is_empty() {
            return Err(KeyError::Empty);
        }
        if let Some(c) = s
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || "_-.:".contains(*c)))
        {
            return Err(KeyError::Character(c));
        }
        if s.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong(s.len()));
        }
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes[..s.len()].copy_from_slice(s.as_bytes());
        Ok(Key {
            bytes,
            len: s.len() as u8,
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Key, D::Error> {
        struct V;
        impl serde::de::Visitor<'_> for V {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "a name of 1 to {KEY_BYTES_MAX} letters, digits, '_', '-', '.' or ':'"
                )
            }
            fn visit_str<E: serde::de::Error>(self, s: &str) -> Result<Key, E> {
                s.parse().map_err(E::custom)
            }
        }
        d.deserialize_str(V)
    }
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Key);
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str { self.0.as_str() }
        }
        impl FromStr for $name {
            type Err = KeyError;
            fn from_str(s: &str) -> Result<Self, KeyError> { s.parse().map($name) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
    )*};
}

named! {
    /// A person taking calls.
    AgentId,
    /// Where calls wait. A campaign's answered calls wait in a queue of the campaign's name.
    QueueId,
    /// What an agent can do.
    SkillId,
    /// Rules for dialling.
    CampaignId,
    /// A batch of leads.
    ListId,
    /// A menu in TOML.
    FlowId,
    /// A carrier link.
    TrunkId,
    /// Why an agent is not ready.
    ReasonId,
    /// What came of a call, as an agent or the system says.
    DispositionId,
}

macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident $prefix:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (boot, n) = (self.0 >> COUNTER_BITS, self.0 & COUNTER_MASK);
                if boot == 0 { write!(f, concat!($prefix, "{}"), n) }
                else { write!(f, concat!($prefix, "{}.{}"), boot, n) }
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )*};
}

/// Bits of a numbered id that count within one boot.
pub const COUNTER_BITS: u32 = 40;
const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;

numbered! {
    /// One customer contact, from its first leg to its last.
    CallId "call-",
    /// One party's side of a call.
    LegId "leg-",
    /// Ringing one agent for one call.
    OfferId "offer-",
    /// One dialling of a lead.
    AttemptId "attempt-",
    /// A person to call; numbered by the store.
    LeadId "lead-",
    /// One playing of prompts or music to a leg.
    PlayId "play-",
    /// One data dip of a flow.
    LookupId "lookup-",
    /// One recording of a call.
    RecordingId "rec-",
}

/// Mints numbered ids: the boot in the upper bits, a counter from 1 in the lower.
#[derive(Clone, Debug)]
pub struct Mint {
    next: u64,
}

impl Mint {
    /// A mint for the `boot`-th start of this store. Simulations use boot 0.
    pub fn new(boot: u32) -> Mint {
        assert!(
            u64::from(boot) < 1 << (64 - COUNTER_BITS),
            "the boot fits above the counter"
        );
        Mint {
            next: (u64::from(boot) << COUNTER_BITS) + 1,
        }
    }

    /// The next id.
    #[allow(
        clippy::should_implement_trait,
        reason = "ids never run out, and nobody loops over them"
    )]
    pub fn next(&mut self) -> u64 {
        let id = self.next;
        assert!(id & COUNTER_MASK != 0, "a boot never mints 2^40 ids");
        self.next += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_itself_and_orders_as_text() {
        let a: Key = "anna".parse().unwrap();
        let b: Key = "anna2".parse().unwrap();
        assert_eq!(a.to_string(), "anna");
        assert!(a < b);
    }

    #[test]
    fn a_key_that_is_empty_too_long_or_odd_is_refused() {
        assert_eq!("".parse::<Key>(), Err(KeyError::Empty));
        assert_eq!("x".repeat(32).parse::<Key>(), Err(KeyError::TooLong(32)));
        assert_eq!("a b".parse::<Key>(), Err(KeyError::Character(' ')));
    }

    #[test]
    fn ids_of_two_boots_never_meet() {
        let (mut first, mut second) = (Mint::new(1), Mint::new(2));
        assert_ne!(first.next(), second.next());
        assert_eq!(CallId(Mint::new(3).next()).to_string(), "call-3.1");
        assert_eq!(CallId(Mint::new(0).next()).to_string(), "call-1");
    }
}
