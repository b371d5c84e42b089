//! The law about one dial: may this number of this lead be called at this instant, and if not, by
//! which rule, why, and from when? Lists, consent and required columns first, then hours, caps and
//! locks, of which the first instant is sought at which all are open.

use crate::calling_window::{self, ZONE_UNKNOWN, local};
use crate::do_not_call::{DoNotCall, Listed};
use crate::frequency::Frequency;
use crate::law_facts::{DAY_US, LawFacts, Whom, day_of};
use crate::rules::{Calls, ConsentKind, Rule, RuleSet};
use crate::zone::Place;
use model::event::DoNotCallKind;
use model::{CampaignId, PhoneNumber, Utc};

/// What only new data can open is asked again after this: they may have come by then, and a list
/// that lacks them does not fill the log.
const DATA_WAIT_US: i64 = DAY_US;
/// Steps of the search for the first legal instant; each is a jump to when a rule opens.
const JUMPS_MAX: usize = 200;

/// Rule id of a do-not-call list that no rule of the campaign names.
pub(crate) const DNC: &str = "DNC";

/// The dial that is asked about.
pub(crate) struct Question<'a> {
    pub(crate) sets: &'a [RuleSet],
    pub(crate) campaign: CampaignId,
    pub(crate) number: PhoneNumber,
    pub(crate) place: &'a Place,
    pub(crate) facts: &'a LawFacts,
    /// An agent is held for this very call.
    pub(crate) agent_reserved: bool,
    /// A recording speaks first, and nobody is behind it.
    pub(crate) prerecorded: bool,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) rule: String,
    pub(crate) reason: Option<String>,
    /// The first instant at which every rule is open, as far as is known now.
    pub(crate) opens: Utc,
    /// It is this number that may not be called; another one may.
    pub(crate) is_of_number: bool,
}

/// What the dialer remembers.
pub(crate) struct Memory<'a> {
    pub(crate) lists: &'a DoNotCall,
    pub(crate) dials: &'a Frequency,
}

impl Question<'_> {
    /// Asks every rule.
    pub(crate) fn ask(&self, memory: &Memory<'_>, now: Utc) -> Result<(), Refusal> {
        if let Some(refusal) = self
            .listed(memory, now)
            .or_else(|| self.lacking(memory, now))
        {
            return Err(refusal);
        }
        let Some((rule, reason, opens)) = self.closed(memory, now) else {
            return Ok(());
        };
        let mut at = opens;
        for _ in 0..JUMPS_MAX {
            match self.closed(memory, at) {
                None => break,
                Some((ZONE_UNKNOWN, ..)) => break,
                Some((_, _, opens)) => at = opens,
            }
        }
        Err(Refusal {
            rule: rule.into(),
            reason,
            opens: at,
            is_of_number: false,
        })
    }

    /// The rules that bind this dial; in force is what is so at `at`, where the call is received.
    fn binding(&self, at: Utc) -> impl Iterator<Item = &Rule> {
        let day = self
            .place
            .zones
            .first()
            .map_or_else(|| day_of(at), |zone| local(zone, at).date());
        self.sets
            .iter()
            .flat_map(|set| &set.rules)
            .filter(move |rule| {
                rule.in_force(day)
                    && self.place.is_in(&rule.states)
                    && match rule.calls {
                        Calls::All => true,
                        Calls::Prerecorded => self.prerecorded,
                    }
            })
    }

    /// The do-not-call list that has the number, where nothing opens it.
    fn listed(&self, memory: &Memory<'_>, now: Utc) -> Option<Refusal> {
        let listed = memory.lists.listed(self.number, self.campaign);
        let (rule, reason) = listed.iter().find_map(|listed| self.forbids(listed, now))?;
        Some(Refusal {
            rule,
            reason,
            opens: now,
            is_of_number: true,
        })
    }

    /// By which rule a list that has the number forbids it, and why.
    fn forbids(&self, listed: &Listed, now: Utc) -> Option<(String, Option<String>)> {
        let Some(name) = listed.list else {
            return Some((DNC.into(), None));
        };
        let mut reason = format!("the number is on the list {name}");
        let naming = self
            .binding(now)
            .filter_map(|rule| Some((rule, rule.do_not_call.as_ref()?)))
            .find(|(_, term)| term.list == name.as_str());
        let Some((rule, term)) = naming else {
            return Some((DNC.into(), Some(reason)));
        };
        if listed.kind == DoNotCallKind::National {
            let (purchase, inquiry) = (term.purchase_months, term.inquiry_months);
            if self.has_consent(&term.consent, now) {
                return None;
            }
            match self.facts.is_open_since(purchase, inquiry, now) {
                Ok(true) => return None,
                Ok(false) => {}
                Err(why) => reason = format!("{reason}, and {why}"),
            }
        }
        Some((rule.id.clone(), Some(reason)))
    }

    fn has_consent(&self, kinds: &[ConsentKind], now: Utc) -> bool {
        !kinds.is_empty() && self.facts.consent(kinds, None, now).is_ok()
    }

    /// What is missing: columns, a fresh list, consent, the answer about reassigned numbers.
    fn lacking(&self, memory: &Memory<'_>, now: Utc) -> Option<Refusal> {
        let mut consent_since = None;
        for rule in self.binding(now) {
            if let Err(reason) = self.lacks(rule, memory, &mut consent_since, now) {
                return Some(Refusal {
                    rule: rule.id.clone(),
                    reason: Some(reason),
                    opens: now.plus_micros(DATA_WAIT_US),
                    is_of_number: false,
                });
            }
        }
        // Consent first, then the answer about the number it was given for: in whatever order they stand.
        let since = consent_since?;
        let relied = self
            .binding(now)
            .find_map(|rule| Some((rule, rule.reassigned.as_ref()?)));
        let (rule, term) = relied?;
        let reason = self
            .facts
            .is_not_reassigned(since, term.max_age_days, now)
            .err()?;
        Some(Refusal {
            rule: rule.id.clone(),
            reason: Some(reason),
            opens: now.plus_micros(DATA_WAIT_US),
            is_of_number: false,
        })
    }

    fn lacks(
        &self,
        rule: &Rule,
        memory: &Memory<'_>,
        consent_since: &mut Option<Utc>,
        now: Utc,
    ) -> Result<(), String> {
        if let Some(column) = rule
            .requires
            .iter()
            .find(|column| !self.facts.has(**column))
        {
            return Err(format!("the lead has no {}", column.name()));
        }
        if let Some(term) = &rule.do_not_call {
            let list = &term.list;
            match memory.lists.as_of(list) {
                None if term.required => return Err(format!("there is no list {list}")),
                Some(None) => return Err(format!("nobody knows how old the list {list} is")),
                Some(Some(as_of))
                    if as_of.plus_micros(i64::from(term.max_age_days) * DAY_US) < now =>
                {
                    return Err(format!(
                        "the list {list} is of {}, more than {} days ago",
                        day_of(as_of),
                        term.max_age_days
                    ));
                }
                None | Some(Some(_)) => {}
            }
        }
        if let Some(term) = &rule.consent {
            let since = self.facts.consent(&term.kinds, term.max_age_days, now)?;
            *consent_since = (*consent_since).max(Some(since));
        }
        Ok(())
    }

    /// The first rule about hours, caps and locks that is closed at `at`, and when it opens.
    fn closed(&self, memory: &Memory<'_>, at: Utc) -> Option<(&str, Option<String>, Utc)> {
        if let Some((rule, opens)) =
            calling_window::first_closed(self.sets, self.place, self.prerecorded, at)
        {
            let id = rule.map_or(ZONE_UNKNOWN, |rule| rule.id.as_str());
            return Some((id, None, opens));
        }
        let whom: Whom = self.facts.whom(self.number);
        for rule in self.binding(at) {
            if rule.cap.is_none() && rule.lock.is_none() || self.is_lifted(rule, at) {
                continue;
            }
            if let Some(cap) = &rule.cap
                && let Err(opens) = memory.dials.check_cap(cap, &whom, at)
            {
                let reason = format!("{} calls in {} s", cap.calls, cap.within_s);
                return Some((&rule.id, Some(reason), opens));
            }
            if let Some(lock) = &rule.lock
                && !(lock.unless_agent_reserved && self.agent_reserved)
                && let Err(opens) = memory.dials.check_lock(lock, &whom, at)
            {
                let reason = format!("{} within {} h", lock.after.name(), lock.hours);
                return Some((&rule.id, Some(reason), opens));
            }
        }
        None
    }

    /// Whether direct consent lifts the rule's cap and lock.
    fn is_lifted(&self, rule: &Rule, at: Utc) -> bool {
        rule.direct_consent_days.is_some_and(|days| {
            self.facts
                .consent(&[ConsentKind::Direct], Some(days), at)
                .is_ok()
        })
    }
}

#[cfg(test)]
#[path = "law_tests.rs"]
mod tests;
