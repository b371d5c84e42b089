//! Leads and claims, as the database keeps them: a claim is durable or it is not, and survives the
//! process. A claim without an end counts as dialled after a restart.

use crate::leads::LeadKinds;
use crate::setting::{CarrierSetting, StoreSetting};
use model::lead::LeadNext;
use model::{AttemptId, AttemptOutcome, Lead, LeadId, ListId, Mono, PhoneNumber, Rng, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// A lead whose end is unknown after a crash rests so long.
const UNKNOWN_REST_US: i64 = 3_600_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Ready,
    Held,
    Claimed,
    Done,
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    pub(crate) setting: StoreSetting,
    prefixes: Vec<(&'static str, Option<i64>)>,
    list: ListId,
    pub(crate) kinds: LeadKinds,
    rows: Vec<(Row, Lead)>,
    next_lead: u64,
    /// Durable claims without an end.
    claims: BTreeMap<AttemptId, LeadId>,
    pub(crate) do_not_call: BTreeSet<PhoneNumber>,
    pub(crate) rng: Rng,
}

impl Store {
    pub(crate) fn new(
        setting: StoreSetting,
        carrier: &CarrierSetting,
        list: ListId,
        seed: u64,
        rng: Rng,
    ) -> Store {
        let mut store = Store {
            setting,
            prefixes: carrier.number_prefixes.clone(),
            list,
            kinds: LeadKinds::new(&carrier.lead_classes, carrier.lead_spread, seed)
                .with_chances(carrier.lead_chance, carrier.answer_rate.at(Mono::ZERO)),
            rows: Vec::new(),
            next_lead: 0,
            claims: BTreeMap::new(),
            do_not_call: BTreeSet::new(),
            rng,
        };
        for _ in 0..setting.leads.unwrap_or(0) {
            let lead = store.new_lead();
            store.rows.push((Row::Ready, lead));
        }
        store
    }

    fn new_lead(&mut self) -> Lead {
        self.next_lead += 1;
        let n = self.next_lead;
        let (prefix, _) = self.prefixes[n as usize % self.prefixes.len()];
        let number = |n: u64| {
            // A North American number has seven digits behind its area code.
            let width = if prefix.starts_with("+1") { 7 } else { 10 };
            format!("{prefix}{:0width$}", 2_000_000 + n % 7_000_000)
                .parse()
                .expect("prefix and digits are a number")
        };
        let mut numbers = vec![number(n)];
        if self.setting.leads.is_some() && n.is_multiple_of(3) {
            numbers.push(number(n + 3_000_000));
        }
        Lead {
            fields: self.kinds.fields(LeadId(n), 0),
            ..Lead::new(LeadId(n), self.list, numbers)
        }
    }

    /// By how many hours the local time of a number differs from UTC, where that matters.
    pub(crate) fn hours_from_utc(&self, number: PhoneNumber) -> Option<i64> {
        let digits = number.digits();
        self.prefixes
            .iter()
            .find(|(prefix, _)| digits.starts_with(&prefix[1..]))
            .and_then(|(_, hours)| *hours)
    }

    pub(crate) fn fetch(&mut self, count: u32, now: Utc) -> (Vec<Lead>, bool) {
        if self.setting.leads.is_none() {
            return ((0..count).map(|_| self.new_lead()).collect(), false);
        }
        let mut found = Vec::new();
        for (row, lead) in &mut self.rows {
            if found.len() == count as usize {
                break;
            }
            if *row == Row::Ready && lead.not_before.is_none_or(|at| at <= now) {
                *row = Row::Held;
                found.push(lead.clone());
            }
        }
        let exhausted = found.len() < count as usize;
        (found, exhausted)
    }

    fn row(&mut self, lead: LeadId) -> Option<&mut (Row, Lead)> {
        self.rows
            .get_mut(usize::try_from(lead.0).ok()?.checked_sub(1)?)
    }

    /// Makes the claim durable; `None` where the store failed, `false` where someone else has it.
    pub(crate) fn claim(&mut self, attempt: AttemptId, lead: LeadId) -> Option<bool> {
        if self.rng.chance(self.setting.claim_fails) {
            return None;
        }
        if let Some((row, _)) = self.row(lead) {
            if matches!(row, Row::Claimed | Row::Done) {
                return Some(false);
            }
            *row = Row::Claimed;
        }
        self.claims.insert(attempt, lead);
        Some(true)
    }

    /// Attempts of a lead that are over.
    pub(crate) fn attempts(&mut self, lead: LeadId) -> u16 {
        self.row(lead).map_or(0, |(_, lead)| lead.attempts)
    }

    /// The lead of a claim that stands in the store.
    pub(crate) fn lead_of_claim(&self, attempt: AttemptId) -> Option<LeadId> {
        self.claims.get(&attempt).copied()
    }

    /// Claims without an end.
    pub(crate) fn open_claims(&self) -> usize {
        self.claims.len()
    }

    pub(crate) fn resolve(
        &mut self,
        attempt: AttemptId,
        lead: LeadId,
        outcome: AttemptOutcome,
        next: LeadNext,
    ) {
        self.claims.remove(&attempt);
        if let Some((row, lead)) = self.row(lead) {
            lead.attempts += u16::from(outcome != AttemptOutcome::Blocked);
            let attempts = lead.attempts;
            match next {
                LeadNext::Again { at, number } => {
                    *row = Row::Ready;
                    lead.not_before = Some(at);
                    lead.next_number = number;
                    let id = lead.id;
                    let fields = self.kinds.fields(id, attempts);
                    if let Some((_, lead)) = self.row(id) {
                        lead.fields = fields;
                    }
                }
                LeadNext::Done => *row = Row::Done,
            }
        }
    }

    pub(crate) fn give_back(&mut self, leads: &[LeadId]) {
        for lead in leads {
            if let Some((row, _)) = self.row(*lead)
                && *row == Row::Held
            {
                *row = Row::Ready;
            }
        }
    }

    /// Any lead of the list, for a whim of somebody.
    pub(crate) fn some_lead(&mut self) -> Option<LeadId> {
        let n = self.rows.len() as u64;
        (n > 0).then(|| LeadId(1 + self.rng.below(n)))
    }

    /// The process is dead: what was claimed without an end counts as dialled. Says how many.
    pub(crate) fn restart(&mut self, now: Utc) -> u64 {
        let open: Vec<LeadId> = std::mem::take(&mut self.claims).into_values().collect();
        for lead in &open {
            if let Some((row, lead)) = self.row(*lead) {
                *row = Row::Ready;
                lead.attempts += 1;
                lead.not_before = Some(now.plus_micros(UNKNOWN_REST_US));
            }
        }
        for (row, _) in &mut self.rows {
            if *row == Row::Held {
                *row = Row::Ready;
            }
        }
        open.len() as u64
    }
}
