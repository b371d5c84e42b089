//! The law, recounted over the event log: hours, caps, locks, objections, lists, consent, ringing, the
//! message of the abandoned and abandon rates. It is handed events and the texts of the rule sets, and
//! shares no check with the dialer: what the dialer got wrong is to be seen here.

use super::columns::{instant, is_consent, snake, text};
use super::place::{Atlas, closed};
use super::rates::{Answer, Fate, Persons};
use dialer::rules::{Calls, Cap, Column, Lock, Rule, RuleSet, Scope};
use model::event::{DialBasis, DoNotCallKind, FlowEnd, Party, Verdict};
use model::{
    AttemptId, AttemptOutcome, CallId, CampaignId, Cause, Event, Fact, LeadId, LegId, ListId, Mono,
    PhoneNumber, Utc,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const SECOND_US: u64 = 1_000_000;
pub(super) const HOUR_US: i64 = 3_600_000_000;
pub(super) const DAY_US: i64 = 24 * HOUR_US;

/// A rule of law that the log shows broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) rule: String,
    pub(super) campaign: Option<CampaignId>,
    pub(super) call: Option<CallId>,
    pub(super) at: Utc,
    pub(super) about: String,
    /// The law that says so.
    pub(super) text: String,
}

/// An attempt from its claim to the end of its call.
#[derive(Debug)]
struct Attempt {
    campaign: CampaignId,
    number: PhoneNumber,
    basis: Option<Box<DialBasis>>,
    call: Option<CallId>,
    leg: Option<LegId>,
    dialled: Option<Mono>,
    rang: Option<Mono>,
    given_up: Option<Mono>,
    answered: Option<Mono>,
    /// How long after the answer the greeting ended, as the first verdict since says.
    greeted: Option<Option<u32>>,
    /// The last verdict: nobody who could be abandoned.
    is_machine: bool,
    /// A flow speaks.
    in_flow: bool,
    /// The last key that meant something to it.
    keyed: Option<Mono>,
    /// The flow handed the call on: since when the person waits for an agent.
    asked: Option<Mono>,
    bridged: Option<Mono>,
    message: Option<Mono>,
    outcome: Option<AttemptOutcome>,
    /// How its call ended.
    over: Option<(Party, Cause, Mono, Utc)>,
}

impl Attempt {
    /// Since when the person waits for an agent or a message: where a flow spoke, since the key press
    /// that asked for one; else since the greeting's end where the detector placed it, or the answer.
    fn waits_since(&self) -> Option<Mono> {
        let greeting_ms = u64::from(self.greeted.flatten().unwrap_or(0));
        let greeted =
            |answered: Mono| Mono::from_micros(answered.as_micros() + greeting_ms * 1_000);
        self.asked.or(self.answered.map(greeted))
    }
}

#[derive(Debug)]
struct Dial {
    at: Utc,
    number: PhoneNumber,
    person: String,
    subject: Option<String>,
    debt: Option<String>,
    end: Option<(Utc, AttemptOutcome)>,
}

/// The recount.
#[derive(Debug)]
pub(super) struct Recount {
    sets: BTreeMap<String, RuleSet>,
    atlas: Atlas,
    attempts: BTreeMap<AttemptId, Attempt>,
    of_call: BTreeMap<CallId, AttemptId>,
    customer_legs: BTreeMap<LegId, AttemptId>,
    live_leads: BTreeMap<LeadId, AttemptId>,
    objected: BTreeSet<PhoneNumber>,
    lists: BTreeMap<ListId, (DoNotCallKind, Option<Utc>)>,
    dials: Vec<Dial>,
    /// Index into `dials` of those that somebody may ask for again, by what they are asked by.
    by_key: BTreeMap<String, Vec<usize>>,
    dial_of: BTreeMap<AttemptId, usize>,
    campaigns: BTreeMap<CampaignId, Persons>,
    last: Option<Utc>,
    pub(super) unchecked_dials: u64,
    /// Persons without an agent whom the ends of starts cut off, that nobody has taken out yet.
    pub(super) cut_off: BTreeMap<CampaignId, u64>,
    /// Those that nobody has taken out yet.
    pub(super) breaches: Vec<Breach>,
}

impl Recount {
    /// With the texts of these sets, by id.
    pub(super) fn new(sets: BTreeMap<String, RuleSet>) -> Recount {
        Recount {
            sets,
            atlas: Atlas::read(),
            attempts: BTreeMap::new(),
            of_call: BTreeMap::new(),
            customer_legs: BTreeMap::new(),
            live_leads: BTreeMap::new(),
            objected: BTreeSet::new(),
            lists: BTreeMap::new(),
            dials: Vec::new(),
            by_key: BTreeMap::new(),
            dial_of: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            last: None,
            unchecked_dials: 0,
            cut_off: BTreeMap::new(),
            breaches: Vec::new(),
        }
    }

    /// Another start begins, in which the sets have these texts.
    pub(super) fn bind(&mut self, sets: BTreeMap<String, RuleSet>) {
        self.cut_off();
        self.sets = sets;
    }

    /// Takes the next event.
    pub(super) fn apply(&mut self, event: &Event) {
        if event.seq == 1 {
            self.cut_off();
        }
        self.last = self.last.max(Some(event.at.utc));
        if let Fact::AttemptClaimed {
            attempt,
            campaign,
            lead,
            number,
            basis,
            ..
        } = &event.fact
        {
            self.claimed(event, *attempt, *campaign, *lead, *number, basis.clone());
        }
        if let Fact::CallDialled {
            call,
            leg,
            attempt,
            number,
            ..
        } = &event.fact
        {
            self.customer_legs.insert(*leg, *attempt);
            self.of_call.insert(*call, *attempt);
            self.dialled(event, *attempt, *call, *number);
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.leg = Some(*leg);
            }
        }
        let now = event.at.mono;
        if let Fact::LegRinging { leg, .. } = &event.fact
            && let Some(attempt) = self.by_leg(*leg)
        {
            attempt.rang.get_or_insert(now);
        }
        if let Fact::LegGivenUp { leg, .. } = &event.fact
            && let Some(attempt) = self.by_leg(*leg)
        {
            attempt.given_up.get_or_insert(now);
        }
        if let Fact::LegAnswered { leg, .. } = &event.fact
            && let Some(attempt) = self.by_leg(*leg)
        {
            attempt.answered.get_or_insert(now);
        }
        if let Fact::CallClassified {
            call,
            verdict,
            greeting_ended_ms,
            ..
        } = &event.fact
            && let Some(attempt) = self.by_call(*call)
            && attempt.answered.is_some()
        {
            attempt.is_machine = !matches!(verdict, Verdict::Person | Verdict::Unsure);
            attempt.greeted.get_or_insert(*greeting_ended_ms);
        }
        if let Fact::IvrEntered { call, .. } = &event.fact
            && let Some(attempt) = self.by_call(*call)
        {
            attempt.in_flow = true;
        }
        let is_key = matches!(
            event.fact,
            Fact::IvrDigitsCollected { .. } | Fact::IvrNoMatch { .. }
        );
        if let Some(call) = event.fact.call().filter(|_| is_key)
            && let Some(attempt) = self.by_call(call)
        {
            attempt.keyed = Some(now);
        }
        if let Fact::IvrLeft { call, end, .. } = &event.fact
            && *end == FlowEnd::Queued
            && let Some(attempt) = self.by_call(*call)
        {
            attempt.asked.get_or_insert(attempt.keyed.unwrap_or(now));
        }
        if let Fact::CallBridged { call, .. } = &event.fact
            && let Some(attempt) = self.by_call(*call)
        {
            attempt.bridged.get_or_insert(now);
        }
        if let Fact::CallMessageStarted { call, .. } = &event.fact
            && let Some(attempt) = self.by_call(*call)
        {
            attempt.message.get_or_insert(now);
        }
        if let Fact::AttemptEnded {
            attempt,
            lead,
            outcome,
            ..
        } = &event.fact
        {
            self.live_leads.remove(lead);
            if let Some(dial) = self.dial_of.remove(attempt) {
                self.dials[dial].end = Some((event.at.utc, *outcome));
            }
            self.ended(event, *attempt, *outcome);
        }
        if let Fact::CallEnded {
            call, by, cause, ..
        } = &event.fact
            && let Some(id) = self.of_call.remove(call)
            && let Some(attempt) = self.attempts.get_mut(&id)
        {
            attempt.over = Some((*by, *cause, now, event.at.utc));
            self.close_if_over(id);
        }
        if let Fact::DoNotCallAdded { number } = &event.fact {
            self.objected.insert(*number);
        }
        if let Fact::DoNotCallLoaded {
            list, kind, as_of, ..
        } = &event.fact
        {
            self.lists.insert(*list, (*kind, *as_of));
        }
    }

    fn by_leg(&mut self, leg: LegId) -> Option<&mut Attempt> {
        self.attempts.get_mut(self.customer_legs.get(&leg)?)
    }

    fn by_call(&mut self, call: CallId) -> Option<&mut Attempt> {
        self.attempts.get_mut(self.of_call.get(&call)?)
    }

    fn breach(&mut self, rule: &str, of: &Attempt, at: Utc, about: String, text: &str) {
        self.say(Breach {
            rule: rule.into(),
            campaign: Some(of.campaign),
            call: of.call,
            at,
            about,
            text: text.into(),
        });
    }

    fn say(&mut self, breach: Breach) {
        self.breaches.push(breach);
    }

    fn claimed(
        &mut self,
        event: &Event,
        id: AttemptId,
        campaign: CampaignId,
        lead: LeadId,
        number: PhoneNumber,
        basis: Option<Box<DialBasis>>,
    ) {
        let attempt = Attempt {
            campaign,
            number,
            basis,
            call: None,
            leg: None,
            dialled: None,
            rang: None,
            given_up: None,
            answered: None,
            greeted: None,
            is_machine: false,
            in_flow: false,
            keyed: None,
            asked: None,
            bridged: None,
            message: None,
            outcome: None,
            over: None,
        };
        if let Some(other) = self.live_leads.insert(lead, id) {
            let about = format!("{lead} is claimed for {id} while {other} is live");
            let text = "one live attempt per lead";
            self.breach("ONE-ATTEMPT", &attempt, event.at.utc, about, text);
        }
        self.attempts.insert(id, attempt);
    }

    fn rules_of(&self, attempt: &Attempt) -> Vec<Rule> {
        self.rules(attempt.basis.iter().flat_map(|basis| &basis.rules))
    }

    /// The rules that the campaign of a dial is bound by.
    fn rules(&self, ids: impl Iterator<Item = impl AsRef<str>>) -> Vec<Rule> {
        let sets = ids.filter_map(|id| self.sets.get(id.as_ref()));
        sets.flat_map(|set| set.rules.iter().cloned()).collect()
    }

    fn dialled(&mut self, event: &Event, id: AttemptId, call: CallId, number: PhoneNumber) {
        let at = event.at.utc;
        let Some(mut attempt) = self.attempts.remove(&id) else {
            return;
        };
        if attempt.dialled.is_some() {
            let about = format!("{id} is dialled a second time");
            self.breach(
                "ONE-DIAL",
                &attempt,
                at,
                about,
                "an attempt is dialled once",
            );
        }
        if number != attempt.number {
            let about = format!("{id} dials another number than was claimed");
            self.breach(
                "ONE-DIAL",
                &attempt,
                at,
                about,
                "what is dialled is what was claimed",
            );
        }
        attempt.call = Some(call);
        attempt.dialled = Some(event.at.mono);
        if self.objected.contains(&number) {
            let about = format!("{} is dialled after the objection", number.masked());
            self.breach(
                "DNC",
                &attempt,
                at,
                about,
                "an objection is honoured at once",
            );
        }
        match attempt.basis.clone() {
            None => self.unchecked_dials += 1,
            Some(basis) => {
                let rules = self.rules(basis.rules.iter());
                self.check_dial(&attempt, &basis, &rules, at);
                self.remember(id, &attempt, &basis, at);
            }
        }
        self.attempts.insert(id, attempt);
    }

    fn check_dial(&mut self, attempt: &Attempt, basis: &DialBasis, rules: &[Rule], at: Utc) {
        let there = self.atlas.whereabouts(attempt.number, basis);
        let is_about_time = |rule: &Rule| {
            !rule.hours.is_empty() || !rule.holidays.is_empty() || !rule.closed.is_empty()
        };
        if there.zones.is_empty() && rules.iter().any(is_about_time) {
            let about = format!("nobody knows the time at {}", attempt.number.masked());
            let text = "without a zone only hours legal everywhere, and none is";
            self.breach("ZONE-UNKNOWN", attempt, at, about, text);
        }
        for rule in rules {
            if rule.calls == Calls::Prerecorded && !basis.prerecorded {
                continue;
            }
            let zones = self.atlas.bound(rule, &there);
            let mut clocks: Vec<_> = zones
                .iter()
                .filter_map(|zone| Some((zone.as_str(), self.atlas.clock(zone, at)?)))
                .collect();
            let closed_in = clocks
                .iter()
                .find_map(|(zone, clock)| Some((zone.to_string(), closed(rule, *clock)?)));
            if there.zones.is_empty() && rule.states.is_empty() {
                clocks.extend(Some("UTC").zip(self.atlas.clock("UTC", at)));
            }
            let is_in_force = clocks.iter().any(|(_, (day, ..))| {
                rule.from.is_none_or(|from| from.0 <= *day)
                    && rule.until.is_none_or(|until| *day <= until.0)
            });
            if let Some((zone, why)) = closed_in {
                let about = format!("{} is dialled on {why} in {zone}", attempt.number.masked());
                self.breach(&rule.id, attempt, at, about, &rule.text);
            }
            if !is_in_force {
                continue;
            }
            for about in self.wrongs(rule, attempt, basis, at) {
                self.breach(&rule.id, attempt, at, about, &rule.text);
            }
        }
    }

    /// What else the rule has against a dial, beside its hours.
    fn wrongs(&self, rule: &Rule, attempt: &Attempt, basis: &DialBasis, at: Utc) -> Vec<String> {
        let mut wrongs = Vec::new();
        let column = |column: Column| {
            let text = basis.columns.get(column.name()).map(|text| text.trim());
            text.filter(|text| !text.is_empty())
        };
        let who = attempt.number.masked();
        let direct = rule.direct_consent_days.is_some_and(|days| {
            is_consent(basis, &["direct"], at)
                .is_some_and(|since| at.as_micros() < since + i64::from(days) * DAY_US)
        });
        if let Some(cap) = rule.cap.as_ref().filter(|_| !direct)
            && let Some(calls) = self.over(cap, attempt, basis, at)
        {
            wrongs.push(format!(
                "{who} is dialled after {calls} calls within {} s, where {} are allowed",
                cap.within_s, cap.calls
            ));
        }
        if let Some(lock) = rule.lock.as_ref().filter(|_| !direct)
            && !(lock.unless_agent_reserved && basis.agent_reserved)
            && let Some(since) = self.locked(lock, attempt, basis, at)
        {
            wrongs.push(format!(
                "{who} is dialled {} minutes after an attempt that ended {}, where {} hours are asked for",
                since / 60_000_000,
                lock.after.name(),
                lock.hours
            ));
        }
        for needed in &rule.requires {
            if column(*needed).is_none() {
                wrongs.push(format!("{who} is dialled without a {}", needed.name()));
            }
        }
        if let Some(term) = &rule.do_not_call {
            let known = self
                .lists
                .iter()
                .find(|(list, _)| list.as_str() == term.list);
            match known.map(|(_, (_, as_of))| *as_of) {
                None if term.required => wrongs.push(format!("there was no list {}", term.list)),
                Some(None) => wrongs.push(format!("the list {} has no date", term.list)),
                Some(Some(as_of)) => {
                    let age_us = at.as_micros() - as_of.as_micros();
                    if age_us > i64::from(term.max_age_days) * DAY_US {
                        let days = age_us / DAY_US;
                        wrongs.push(format!("the list {} was {days} days old", term.list));
                    }
                }
                None => {}
            }
        }
        if let Some(term) = &rule.consent {
            let kinds: Vec<String> = term
                .kinds
                .iter()
                .map(|kind| snake(&format!("{kind:?}")))
                .collect();
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            let since = is_consent(basis, &kinds, at);
            let is_fresh = |since: i64| {
                term.max_age_days
                    .is_none_or(|days| at.as_micros() < since + i64::from(days) * DAY_US)
            };
            if !since.is_some_and(is_fresh) {
                wrongs.push(format!(
                    "{who} is dialled without consent ({})",
                    kinds.join(" or ")
                ));
            }
        }
        if let Some(term) = &rule.reassigned {
            let asked = column(Column::RndAt).and_then(instant);
            let is_old = asked.is_none_or(|asked| {
                at.as_micros() >= asked + i64::from(term.max_age_days) * DAY_US
                    || asked > at.as_micros()
            });
            if is_old || column(Column::RndAnswer) != Some("no") {
                wrongs.push(format!(
                    "{who} is dialled without a fresh answer about reassigned numbers"
                ));
            }
        }
        wrongs
    }

    /// The earlier dials that a scope counts, each once.
    fn earlier(&self, per: Scope, attempt: &Attempt, basis: &DialBasis) -> Vec<&Dial> {
        let subject = text(basis, Column::Subject);
        let keys: Vec<String> = match per {
            Scope::Number => vec![format!("number {}", attempt.number)],
            Scope::Person => vec![format!("person {}", basis.person)],
            Scope::Subject => vec![
                format!("number {}", attempt.number),
                format!("person {}", basis.person),
            ],
            Scope::Debt => text(basis, Column::Debt)
                .map(|debt| format!("debt {debt}"))
                .into_iter()
                .collect(),
        };
        let indexes: BTreeSet<usize> = keys
            .iter()
            .filter_map(|key| self.by_key.get(key))
            .flatten()
            .copied()
            .collect();
        indexes
            .into_iter()
            .map(|index| &self.dials[index])
            .filter(|dial| {
                per != Scope::Subject
                    || subject.is_none()
                    || dial.subject.is_none()
                    || dial.subject == subject
            })
            .collect()
    }

    fn over(&self, cap: &Cap, attempt: &Attempt, basis: &DialBasis, at: Utc) -> Option<usize> {
        let since = at.as_micros() - i64::from(cap.within_s) * SECOND_US as i64;
        cap.per
            .iter()
            .filter_map(|per| {
                let dials = self.earlier(*per, attempt, basis);
                let mut whose: BTreeMap<&str, usize> = BTreeMap::new();
                // The number and the person each have their own count.
                for dial in dials.iter().filter(|dial| dial.at.as_micros() > since) {
                    if *per != Scope::Person && *per != Scope::Debt && dial.number == attempt.number
                    {
                        *whose.entry("number").or_default() += 1;
                    }
                    if *per != Scope::Number && *per != Scope::Debt && dial.person == basis.person {
                        *whose.entry("person").or_default() += 1;
                    }
                    if *per == Scope::Debt {
                        *whose.entry("debt").or_default() += 1;
                    }
                }
                whose.into_values().max()
            })
            .max()
            .filter(|calls| *calls >= usize::from(cap.calls))
    }

    /// How long ago the attempt was that locks, in µs.
    fn locked(&self, lock: &Lock, attempt: &Attempt, basis: &DialBasis, at: Utc) -> Option<i64> {
        let ends = lock
            .per
            .iter()
            .flat_map(|per| self.earlier(*per, attempt, basis));
        ends.filter_map(|dial| dial.end)
            .filter(|(_, outcome)| *outcome == lock.after)
            .map(|(ended, _)| at.as_micros() - ended.as_micros())
            .filter(|since| *since < i64::from(lock.hours) * HOUR_US)
            .min()
    }

    fn remember(&mut self, id: AttemptId, attempt: &Attempt, basis: &DialBasis, at: Utc) {
        let dial = Dial {
            at,
            number: attempt.number,
            person: basis.person.clone(),
            subject: text(basis, Column::Subject),
            debt: text(basis, Column::Debt),
            end: None,
        };
        let index = self.dials.len();
        let debt = dial.debt.iter().map(|debt| format!("debt {debt}"));
        let others = [
            format!("number {}", dial.number),
            format!("person {}", dial.person),
        ];
        for key in debt.chain(others) {
            self.by_key.entry(key).or_default().push(index);
        }
        self.dial_of.insert(id, index);
        self.dials.push(dial);
    }

    /// An attempt has its outcome: a live answer is counted where it was one.
    fn ended(&mut self, event: &Event, id: AttemptId, outcome: AttemptOutcome) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        attempt.outcome = Some(outcome);
        if attempt.dialled.is_none() {
            self.attempts.remove(&id);
            return;
        }
        let fate = match outcome {
            AttemptOutcome::AnsweredAgent => Some(Fate::Talk),
            AttemptOutcome::Abandoned => Some(Fate::Abandoned),
            AttemptOutcome::Messaged => Some(Fate::Messaged),
            AttemptOutcome::Machine
            | AttemptOutcome::Fax
            | AttemptOutcome::Busy
            | AttemptOutcome::NoAnswer
            | AttemptOutcome::Failed
            | AttemptOutcome::DisconnectedNumber
            | AttemptOutcome::Cancelled
            | AttemptOutcome::Blocked
            | AttemptOutcome::UnknownRestart => None,
        };
        if let Some(fate) = fate
            && let Some(attempt) = self.attempts.remove(&id)
        {
            self.count(&attempt, fate, event.at.mono, event.at.utc);
            self.attempts.insert(id, attempt);
        }
        self.close_if_over(id);
    }

    /// A person had answered, and this became of them; whoever had an agent too late was abandoned.
    fn count(&mut self, attempt: &Attempt, fate: Fate, ended: Mono, at: Utc) {
        let (campaign, basis) = (attempt.campaign, attempt.basis.as_deref());
        let Some(since) = attempt.waits_since() else {
            return;
        };
        let rules = self.rules_of(attempt);
        let most = rules.iter().filter_map(|rule| rule.connect_within_ms).min();
        let waited_us = us(since, attempt.bridged.unwrap_or(ended));
        let is_late = most.is_some_and(|most| waited_us > u64::from(most) * 1_000);
        let answer = Answer {
            at,
            fate: match fate {
                Fate::Talk if is_late => Fate::Abandoned,
                Fate::Talk | Fate::Abandoned | Fate::CutOff | Fate::Messaged => fate,
            },
            false_positive_pct: basis.map_or(0.0, |basis| basis.false_positive_pct),
            abandoned_machines_pct: basis.map_or(0.0, |basis| basis.abandoned_machines_pct),
        };
        let persons = self.campaigns.entry(campaign).or_default();
        for rule in rules.iter().filter(|rule| rule.abandon_limit_pct.is_some()) {
            persons.push(rule, answer);
        }
    }

    /// Another start begins: what the one before had live has no end in the log, and ended with the last
    /// that is known of it. Who had answered by then and had no agent heard the line go dead, and was
    /// abandoned; not so who heard a flow and had asked for none, nor what was judged a machine.
    fn cut_off(&mut self) {
        let live = std::mem::take(&mut self.attempts);
        for (id, attempt) in live {
            let Some((at, _)) = self.last.zip(attempt.waits_since()) else {
                continue;
            };
            let fate = match attempt.bridged {
                _ if attempt.outcome.is_some() => None,
                Some(_) => Some((Fate::Talk, AttemptOutcome::AnsweredAgent)),
                None if attempt.is_machine => None,
                None if attempt.in_flow && attempt.asked.is_none() => {
                    Some((Fate::Messaged, AttemptOutcome::Messaged))
                }
                None => Some((Fate::CutOff, AttemptOutcome::Abandoned)),
            };
            if let Some((fate, outcome)) = fate {
                self.count(&attempt, fate, Mono::ZERO, at);
                if let Some(dial) = self.dial_of.get(&id) {
                    self.dials[*dial].end = Some((at, outcome));
                }
                if fate == Fate::CutOff {
                    *self.cut_off.entry(attempt.campaign).or_default() += 1;
                }
            }
            self.check_person(&attempt, None, at);
        }
        self.of_call.clear();
        self.customer_legs.clear();
        self.live_leads.clear();
        self.dial_of.clear();
        // Each start is told which lists there are.
        self.lists.clear();
    }

    /// What an attempt shows once it and its call have ended, in whatever order: ringing, the two
    /// seconds, the message.
    fn close_if_over(&mut self, id: AttemptId) {
        let is_over = |attempt: &Attempt| attempt.outcome.is_some() && attempt.over.is_some();
        if !self.attempts.get(&id).is_some_and(is_over) {
            return;
        }
        let attempt = self.attempts.remove(&id).expect("looked at above");
        let (by, cause, now, at) = attempt.over.expect("looked at above");
        if let Some(leg) = attempt.leg {
            self.customer_legs.remove(&leg);
        }
        if attempt.waits_since().is_some() {
            return self.check_person(&attempt, Some((by, now)), at);
        }
        let rang_us = attempt
            .rang
            .or(attempt.dialled)
            .map_or(0, |since| us(since, attempt.given_up.unwrap_or(now)));
        let is_given_up =
            by == Party::System && matches!(cause, Cause::NoAnswer | Cause::Cancelled);
        for rule in self.rules_of(&attempt).iter().filter(|_| is_given_up) {
            if let Some(least) = rule.ring_min_ms
                && rang_us < u64::from(least) * 1_000
            {
                let about = format!(
                    "{} is given up after {} ms of {least}",
                    attempt.number.masked(),
                    rang_us / 1_000
                );
                self.breach(&rule.id, &attempt, at, about, &rule.text);
            }
        }
    }

    /// Whether who answered had an agent or the message in time. Of a call whose end the log does not
    /// know, only what it shows: what is missing may be among the lines that are.
    fn check_person(&mut self, attempt: &Attempt, over: Option<(Party, Mono)>, at: Utc) {
        let Some(since) = attempt.waits_since() else {
            return;
        };
        let who = attempt.number.masked().to_string();
        // What was cut off by a failure or judged a machine was no person, as far as is known.
        let is_talk = attempt.outcome == Some(AttemptOutcome::AnsweredAgent);
        let is_abandoned = attempt.outcome == Some(AttemptOutcome::Abandoned);
        let had_agent = attempt.bridged.or(over.map(|(_, now)| now));
        for rule in self.rules_of(attempt) {
            if let Some(most) = rule.connect_within_ms
                && is_talk
                && let Some(waited_us) = had_agent.map(|had| us(since, had))
                && waited_us > u64::from(most) * 1_000
            {
                let about = format!(
                    "{who} got an agent after {} ms and is not counted as abandoned",
                    waited_us / 1_000
                );
                self.breach(&rule.id, attempt, at, about, &rule.text);
            }
            let Some(most) = rule.message_within_ms.filter(|_| is_abandoned) else {
                continue;
            };
            let most_us = u64::from(most) * 1_000;
            let about = match (attempt.message.map(|message| us(since, message)), over) {
                (Some(after), _) if after > most_us => {
                    format!(
                        "{who} hears the message {} ms after the answer",
                        after / 1_000
                    )
                }
                (None, Some((by, now))) if by != Party::Customer || us(since, now) > most_us => {
                    format!("{who} hears no message")
                }
                (Some(_) | None, _) => continue,
            };
            self.breach(&rule.id, attempt, at, about, &rule.text);
        }
    }

    /// The end of the log: the rates.
    pub(super) fn close(&mut self) {
        let Some(last) = self.last else {
            return;
        };
        for (campaign, persons) in std::mem::take(&mut self.campaigns) {
            for (rule, at, about) in persons.broken(last) {
                self.say(Breach {
                    rule: rule.id,
                    campaign: Some(campaign),
                    call: None,
                    at,
                    about,
                    text: rule.text,
                });
            }
        }
    }
}

fn us(from: Mono, to: Mono) -> u64 {
    to.as_micros().saturating_sub(from.as_micros())
}

#[cfg(test)]
#[path = "recount_tests.rs"]
pub(super) mod tests;
