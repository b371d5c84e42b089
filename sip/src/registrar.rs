//! Where the phones are: bindings of accounts to contacts (RFC 3261 §10.3).
//!
//! It is handed REGISTERs that are authenticated and parsed, and says which binding of an account
//! is preferred. The address a REGISTER came from is kept beside its contact: requests go there,
//! since a phone behind a NAT writes an address into its contact that nobody can reach.

use crate::endpoint::Hop;
use model::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Contacts of one account: a desk phone, a softphone, a mobile, and room for stale ones of each
/// after an address change.
pub const CONTACTS_MAX: usize = 8;
/// Accounts with bindings. Only reached in the testbed, where accounts are not configured.
pub const BOUND_ACCOUNTS_MAX: usize = 100_000;

/// One place an account can be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The contact URI, as given.
    pub contact: String,
    /// Where the REGISTER came from.
    pub hop: Hop,
    /// When it runs out.
    pub until: Mono,
    /// The preference in thousandths.
    pub q: u16,
    call_id: String,
    cseq: u32,
}

/// What one REGISTER asks for.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// The account, authenticated.
    pub account: &'a str,
    /// Where it came from.
    pub hop: Hop,
    /// Its Call-ID.
    pub call_id: &'a str,
    /// Its CSeq number.
    pub cseq: u32,
    /// What to change.
    pub change: Change,
}

/// What to change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing: only list the bindings.
    Fetch,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// Contact URI, seconds, preference in thousandths; 0 s removes.
    Set(Vec<(String, u32, u16)>),
}

/// Why a REGISTER was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 423: shorter than this many seconds.
    TooBrief(u32),
    /// 500: an older request than the one that made the binding (RFC 3261 §10.3 step 7).
    OutOfOrder,
    /// 503: more contacts than [`CONTACTS_MAX`] or accounts than [`BOUND_ACCOUNTS_MAX`].
    TooMany,
}

/// All bindings.
#[derive(Debug, Default)]
pub(crate) struct Registrar {
    accounts: BTreeMap<String, Vec<Binding>>,
    /// When the first binding of an account runs out.
    due: BTreeSet<(Mono, String)>,
}

impl Registrar {
    /// Carries out a REGISTER, granting between `expires_s.0` and `expires_s.1` seconds.
    pub fn register(
        &mut self,
        now: Mono,
        expires_s: (u32, u32),
        wish: Wish<'_>,
    ) -> Result<(), Refused> {
        let mut bindings = self.bindings(wish.account).to_vec();
        bindings.retain(|b| b.until > now);
        let is_late = |b: &Binding| b.call_id == wish.call_id && b.cseq >= wish.cseq;
        match wish.change {
            Change::Fetch => return Ok(()),
            Change::RemoveAll => {
                if bindings.iter().any(is_late) {
                    return Err(Refused::OutOfOrder);
                }
                bindings.clear();
            }
            Change::Set(contacts) => {
                for (contact, asked_s, q) in contacts {
                    if asked_s > 0 && asked_s < expires_s.0 {
                        return Err(Refused::TooBrief(expires_s.0));
                    }
                    let old = bindings.iter().position(|b| b.contact == contact);
                    if old.is_some_and(|i| is_late(&bindings[i])) {
                        return Err(Refused::OutOfOrder);
                    }
                    if let Some(i) = old {
                        bindings.remove(i);
                    }
                    if asked_s == 0 {
                        continue;
                    }
                    if bindings.len() == CONTACTS_MAX {
                        return Err(Refused::TooMany);
                    }
                    let granted = Duration::from_secs(u64::from(asked_s.min(expires_s.1)));
                    bindings.push(Binding {
                        contact,
                        hop: wish.hop,
                        until: now + granted,
                        q,
                        call_id: wish.call_id.to_owned(),
                        cseq: wish.cseq,
                    });
                }
            }
        }
        if !self.accounts.contains_key(wish.account) && self.accounts.len() == BOUND_ACCOUNTS_MAX {
            return Err(Refused::TooMany);
        }
        self.store(wish.account, bindings);
        Ok(())
    }

    fn store(&mut self, account: &str, bindings: Vec<Binding>) {
        if let Some(first) = self.bindings(account).iter().map(|b| b.until).min() {
            self.due.remove(&(first, account.to_owned()));
        }
        match bindings.iter().map(|b| b.until).min() {
            Some(first) => {
                self.due.insert((first, account.to_owned()));
                self.accounts.insert(account.to_owned(), bindings);
            }
            None => {
                self.accounts.remove(account);
            }
        }
    }

    /// The bindings of an account, oldest first.
    pub fn bindings(&self, account: &str) -> &[Binding] {
        self.accounts.get(account).map_or(&[], Vec::as_slice)
    }

    /// The binding calls go to: the highest preference, the newest among equals.
    pub fn preferred(&self, account: &str) -> Option<&Binding> {
        self.bindings(account).iter().max_by_key(|b| b.q)
    }

    /// The account that registered this contact from there. Several phones may share an address: behind
    /// one translator or proxy, or as lines of one device.
    pub fn account_of(&self, hop: Hop, contact: &str) -> Option<&str> {
        let is_it = |b: &Binding| b.hop == hop && b.contact == contact;
        // Most phones name their contact after their account; then it is found without looking at all.
        let user = contact.split_once(':')?.1.split('@').next()?;
        if let Some((account, bindings)) = self.accounts.get_key_value(user)
            && bindings.iter().any(is_it)
        {
            return Some(account);
        }
        let mut of = self.accounts.iter().filter(|(_, b)| b.iter().any(is_it));
        of.next().map(|(account, _)| account.as_str())
    }

    /// An account whose phone is reached over this hop.
    fn account_at(&self, hop: Hop) -> Option<&str> {
        let mut at = self
            .accounts
            .iter()
            .filter(|(_, b)| b.iter().any(|b| b.hop == hop));
        at.next().map(|(account, _)| account.as_str())
    }

    /// When the next binding runs out.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Removes what has run out of one account, and names it; `None` when nothing is due.
    pub fn expire(&mut self, now: Mono) -> Option<String> {
        let (at, account) = self.due.first()?;
        if *at > now {
            return None;
        }
        let account = account.clone();
        let mut bindings = self.bindings(&account).to_vec();
        bindings.retain(|b| b.until > now);
        self.store(&account, bindings);
        Some(account)
    }

    /// Removes the bindings over a connection that broke, and names one account that lost one;
    /// `None` when there is none left.
    pub fn lose(&mut self, hop: Hop) -> Option<String> {
        let account = self.account_at(hop)?.to_owned();
        let mut bindings = self.bindings(&account).to_vec();
        bindings.retain(|b| b.hop != hop);
        self.store(&account, bindings);
        Some(account)
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.accounts.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Transport;

    fn hop(port: u16) -> Hop {
        Hop {
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([10, 0, 0, 1], port).into(),
        }
    }

    fn set(contact: &str, s: u32, q: u16) -> Change {
        Change::Set(vec![(contact.to_owned(), s, q)])
    }

    fn wish(cseq: u32, change: Change) -> Wish<'static> {
        Wish {
            account: "anna",
            hop: hop(1),
            call_id: "c",
            cseq,
            change,
        }
    }

    fn s(s: u64) -> Mono {
        Mono::from_micros(s * 1_000_000)
    }

    const LIMITS: (u32, u32) = (60, 3600);

    #[test]
    fn the_preferred_binding_is_the_highest_q_and_the_newest_among_equals() {
        let mut r = Registrar::default();
        r.register(s(0), LIMITS, wish(1, set("sip:a@1", 100, 500)))
            .unwrap();
        r.register(s(0), LIMITS, wish(2, set("sip:a@2", 100, 1000)))
            .unwrap();
        r.register(s(0), LIMITS, wish(3, set("sip:a@3", 100, 500)))
            .unwrap();
        assert_eq!(r.preferred("anna").unwrap().contact, "sip:a@2");
        r.register(s(0), LIMITS, wish(4, set("sip:a@2", 0, 1000)))
            .unwrap();
        assert_eq!(r.preferred("anna").unwrap().contact, "sip:a@3");
    }

    #[test]
    fn two_phones_behind_one_address_are_told_apart_by_their_contact() {
        let mut r = Registrar::default();
        for (account, contact) in [
            ("anna", "sip:x@1"),
            ("ben", "sip:ben@1"),
            ("cem", "sip:anna@1"),
        ] {
            let wish = Wish {
                account,
                ..wish(1, set(contact, 100, 1000))
            };
            r.register(s(0), LIMITS, wish).unwrap();
        }
        assert_eq!(r.account_of(hop(1), "sip:x@1"), Some("anna"));
        assert_eq!(r.account_of(hop(1), "sip:ben@1"), Some("ben"));
        assert_eq!(r.account_of(hop(1), "sip:anna@1"), Some("cem"));
        assert_eq!(r.account_of(hop(2), "sip:ben@1"), None);
    }

    #[test]
    fn a_binding_runs_out_and_the_longest_is_granted() {
        let mut r = Registrar::default();
        r.register(s(0), LIMITS, wish(1, set("sip:a@1", 1_000_000, 0)))
            .unwrap();
        assert_eq!(r.next_deadline(), Some(s(3600)));
        assert_eq!(r.expire(s(3599)), None);
        assert_eq!(r.expire(s(3600)).as_deref(), Some("anna"));
        assert_eq!((r.len(), r.next_deadline()), (0, None));
    }

    #[test]
    fn brief_late_and_excessive_registrations_are_refused_and_change_nothing() {
        let mut r = Registrar::default();
        r.register(s(0), LIMITS, wish(5, set("sip:a@1", 100, 0)))
            .unwrap();
        let brief = r.register(s(0), LIMITS, wish(6, set("sip:a@1", 59, 0)));
        assert_eq!(brief, Err(Refused::TooBrief(60)));
        let late = r.register(s(0), LIMITS, wish(5, set("sip:a@1", 0, 0)));
        assert_eq!(late, Err(Refused::OutOfOrder));
        assert_eq!(
            r.register(s(0), LIMITS, wish(5, Change::RemoveAll)),
            Err(Refused::OutOfOrder)
        );
        let many = (0..9).map(|i| (format!("sip:a@9{i}"), 100, 0)).collect();
        assert_eq!(
            r.register(s(0), LIMITS, wish(7, Change::Set(many))),
            Err(Refused::TooMany)
        );
        assert_eq!(r.bindings("anna").len(), 1);
        r.register(s(0), LIMITS, wish(8, Change::RemoveAll))
            .unwrap();
        assert_eq!((r.len(), r.next_deadline()), (0, None));
    }

    #[test]
    fn a_broken_connection_takes_its_bindings_along() {
        let mut r = Registrar::default();
        r.register(s(0), LIMITS, wish(1, set("sip:a@1", 100, 0)))
            .unwrap();
        assert_eq!(r.lose(hop(2)), None);
        assert_eq!(r.lose(hop(1)).as_deref(), Some("anna"));
        assert_eq!(r.len(), 0);
    }
}
