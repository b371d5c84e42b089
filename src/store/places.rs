//! The places of leads: a small number for each, the same in all processes that share the database.

use dialer::place::PLACE_DIGITS;
use dialer::zone::{Place, ZoneBook};
use model::{Lead, PhoneNumber};
use sqlx::{Row, SqliteConnection};
use std::collections::{BTreeMap, HashMap};

/// Beginnings of numbers with their address whose place is remembered; beyond that it is worked out anew.
const SEEN_MAX: usize = 200_000;

/// The places a process knows.
pub(super) struct PlaceBook {
    book: ZoneBook,
    /// With its number in the database, once it has one. In the order they were met.
    places: Vec<(String, Option<i64>)>,
    // Only looked up, never iterated.
    by_key: HashMap<String, usize>,
    seen: HashMap<Vec<u8>, usize>,
    scratch: Vec<u8>,
    unsettled: Vec<usize>,
    /// Largest number read from the database.
    last: i64,
}

impl PlaceBook {
    /// All that the database knows.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<PlaceBook, sqlx::Error> {
        let mut book = PlaceBook {
            book: ZoneBook::default(),
            places: Vec::new(),
            by_key: HashMap::new(),
            seen: HashMap::new(),
            scratch: Vec::new(),
            unsettled: Vec::new(),
            last: 0,
        };
        book.refresh(connection).await?;
        Ok(book)
    }

    /// Reads what other processes have added; gives the numbers and places that are new.
    pub(super) async fn refresh(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<(i64, Place)>, sqlx::Error> {
        let rows = sqlx::query("SELECT place, key FROM places WHERE place > ? ORDER BY place")
            .bind(self.last)
            .fetch_all(connection)
            .await?;
        let mut new = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, key): (i64, String) = (row.get(0), row.get(1));
            self.last = id;
            new.push((id, Place::of_key(&self.book, &key)));
            let slot = self.slot_of(key);
            self.places[slot].1 = Some(id);
        }
        Ok(new)
    }

    /// The clock where the person is: the address's, else the first of the number's area.
    pub(super) fn zone(&self, lead: &Lead) -> Option<jiff::tz::TimeZone> {
        let address = lead.time_zone.as_deref();
        address.and_then(|name| self.book.zone(name)).or_else(|| {
            self.book
                .place(lead, lead.number())
                .zones
                .into_iter()
                .next()
        })
    }

    /// Every place that has a number.
    pub(super) fn all(&self) -> BTreeMap<i64, Place> {
        self.places
            .iter()
            .filter_map(|(key, id)| Some(((*id)?, Place::of_key(&self.book, key))))
            .collect()
    }

    /// The index of a lead's place. `lead` is asked for only where the beginning of the number, the
    /// zone and the columns of the address were not met before.
    pub(super) fn slot<'a>(
        &mut self,
        number: PhoneNumber,
        time_zone: Option<&str>,
        address: impl Iterator<Item = (&'a str, &'a str)>,
        lead: impl FnOnce() -> Lead,
    ) -> usize {
        let digits = number.digits().as_bytes();
        self.scratch.clear();
        self.scratch
            .extend_from_slice(&digits[..digits.len().min(PLACE_DIGITS)]);
        self.scratch.push(0);
        self.scratch
            .extend_from_slice(time_zone.unwrap_or("").as_bytes());
        for (column, value) in address {
            for part in [column, value] {
                self.scratch.push(0);
                self.scratch.extend_from_slice(part.as_bytes());
            }
        }
        if let Some(slot) = self.seen.get(&self.scratch) {
            return *slot;
        }
        let key = self.book.place(&lead(), number).key();
        let slot = self.slot_of(key);
        if self.seen.len() < SEEN_MAX {
            self.seen.insert(self.scratch.clone(), slot);
        }
        slot
    }

    /// The index of the place where the lead's next number is.
    pub(super) fn slot_of_lead(&mut self, lead: &Lead) -> usize {
        let key = self.book.place(lead, lead.number()).key();
        self.slot_of(key)
    }

    fn slot_of(&mut self, key: String) -> usize {
        if let Some(slot) = self.by_key.get(&key) {
            return *slot;
        }
        self.places.push((key.clone(), None));
        let slot = self.places.len() - 1;
        self.by_key.insert(key, slot);
        self.unsettled.push(slot);
        slot
    }

    /// Gives new places their number. Inside of the transaction that first uses them; if that fails,
    /// [`unsettle`](PlaceBook::unsettle).
    pub(super) async fn settle(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        while let Some(slot) = self.unsettled.last().copied() {
            if self.places[slot].1.is_none() {
                let key = self.places[slot].0.clone();
                sqlx::query("INSERT OR IGNORE INTO places (key) VALUES (?)")
                    .bind(&key)
                    .execute(&mut *connection)
                    .await?;
                let row = sqlx::query("SELECT place FROM places WHERE key = ?")
                    .bind(&key)
                    .fetch_one(&mut *connection)
                    .await?;
                self.places[slot].1 = Some(row.get(0));
            }
            self.unsettled.pop();
        }
        Ok(())
    }

    /// The number of a place that is settled, and the place.
    pub(super) fn placed(&self, slot: usize) -> (i64, Place) {
        (
            self.id(slot),
            Place::of_key(&self.book, &self.places[slot].0),
        )
    }

    /// The number of a place that is settled.
    pub(super) fn id(&self, slot: usize) -> i64 {
        self.places[slot]
            .1
            .expect("a place is settled before it is used")
    }
}
