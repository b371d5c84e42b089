//! A person to call, as the store hands it to the dialer and the screen pop shows it.

use crate::{DispositionId, LeadId, ListId, PhoneNumber, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One person to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// The store's number for it.
    pub id: LeadId,
    /// The batch it came in.
    pub list: ListId,
    /// The numbers to try, best first. Never empty.
    pub numbers: Vec<PhoneNumber>,
    /// Index of the number to dial next.
    pub next_number: u8,
    /// Attempts made so far.
    pub attempts: u16,
    /// Larger is dialled earlier.
    pub priority: i16,
    /// IANA zone of the person's address, where known.
    pub time_zone: Option<String>,
    /// The person's name, where known.
    pub name: Option<String>,
    /// The key by which the CRM knows the person.
    pub customer_key: Option<String>,
    /// Other columns of the list, by name.
    pub fields: BTreeMap<String, String>,
    /// What the last call came to.
    pub last_disposition: Option<DispositionId>,
    /// Not to be dialled before this time.
    pub not_before: Option<Utc>,
}

impl Lead {
    /// Somebody of whom nothing is known but the numbers, never dialled before.
    pub fn new(id: LeadId, list: ListId, numbers: Vec<PhoneNumber>) -> Lead {
        Lead {
            id,
            list,
            numbers,
            next_number: 0,
            attempts: 0,
            priority: 0,
            time_zone: None,
            name: None,
            customer_key: None,
            fields: BTreeMap::new(),
            last_disposition: None,
            not_before: None,
        }
    }

    /// The number to dial next.
    pub fn number(&self) -> PhoneNumber {
        let at = usize::from(self.next_number) % self.numbers.len();
        self.numbers[at]
    }
}

/// What becomes of a lead after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum LeadNext {
    /// Dial again, not before this time, with this one of its numbers.
    Again {
        /// Not before.
        at: Utc,
        /// Index into [`Lead::numbers`].
        number: u8,
    },
    /// Never again in this list.
    Done,
}
