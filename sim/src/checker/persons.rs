//! Persons who answered: until when somebody must speak, by what was told of their greeting, and what
//! became of them, against the dialer's own book.

use super::{Checker, Invariant, LegState};
use call::Engine;
use model::event::Verdict;
use model::{AttemptId, AttemptOutcome, CallId, CampaignId, LegId, Mono};
use std::collections::BTreeMap;
use std::time::Duration;

/// From the end of a greeting, or the answer, to an agent or the message (47 CFR 64.1200(a)(7)), with a
/// timer's grain.
const CONNECT_WITHIN: Duration = Duration::from_micros(2_000_001);

/// Somebody who answered, and to whom nobody has spoken yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    answered: Mono,
    pub(super) until: Mono,
    /// Seconds since the answer at which the greeting began and ended, as was told last.
    began: Option<Duration>,
    ended: Option<Duration>,
    /// It was said who answered: the greeting is what it was then.
    is_classified: bool,
}

/// What somebody who answered can have heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Something,
    /// Their media cannot be used.
    Nothing,
}

/// Live answers, and how many of them were abandoned.
pub(super) type Answers = BTreeMap<CampaignId, (u64, u64)>;

impl Checker {
    pub(super) fn person_answers(&mut self, t: Mono, leg: LegId) {
        let person = Person {
            answered: t,
            until: t + CONNECT_WITHIN,
            began: None,
            ended: None,
            is_classified: false,
        };
        self.must_speak.insert(leg, person);
        self.answers(leg, Heard::Something);
    }

    pub(super) fn answers(&mut self, leg: LegId, heard: Heard) {
        if let Some(attempt) = self.attempt_of_leg.get(&leg) {
            self.answered.insert(*attempt, heard);
        }
    }

    /// An attempt is over: if somebody answered, however late, its outcome is none of those where nobody did;
    /// and who heard nothing was abandoned.
    pub(super) fn outcome_fits_answer(
        &mut self,
        t: Mono,
        attempt: AttemptId,
        outcome: AttemptOutcome,
    ) {
        let fits = match self.answered.remove(&attempt) {
            None => true,
            Some(Heard::Nothing) => outcome == AttemptOutcome::Abandoned,
            Some(Heard::Something) => !matches!(
                outcome,
                AttemptOutcome::NoAnswer | AttemptOutcome::Cancelled | AttemptOutcome::Blocked
            ),
        };
        if !fits {
            let what = format!("{attempt} was answered, and ends as {}", outcome.name());
            self.say(Invariant::Books, t, what);
        }
    }

    /// Who still speaks is waited for; the law's two seconds begin with the end of the greeting.
    pub(super) fn greeting_heard(
        &mut self,
        t: Mono,
        leg: LegId,
        began_ms: Option<u32>,
        ended_ms: Option<u32>,
    ) {
        let longest = self.classify_wait;
        let person = self.must_speak.get_mut(&leg);
        let Some(person) = person.filter(|person| !person.is_classified) else {
            return;
        };
        // What was said is over by now.
        let so_far = t.since(person.answered);
        let at = |ms: Option<u32>| Some(Duration::from_millis(ms?.into()).min(so_far));
        (person.began, person.ended) = (at(began_ms), at(ended_ms));
        let wait = match (person.began, person.ended) {
            (_, Some(ended)) => ended,
            (Some(_), None) => longest,
            (None, None) => Duration::ZERO,
        };
        person.until = person.answered + wait + CONNECT_WITHIN;
    }

    /// It is said who answered, and when they had greeted: no later than was heard, and no later than now.
    pub(super) fn classified(
        &mut self,
        t: Mono,
        call: CallId,
        verdict: Verdict,
        told_ms: Option<u32>,
    ) {
        let of_call = |leg: &LegId| {
            self.legs
                .get(leg)
                .is_some_and(|view| view.state == LegState::Up && view.call == Some(call))
        };
        let Some(leg) = self.must_speak.keys().copied().find(of_call) else {
            return;
        };
        let person = self.must_speak.get_mut(&leg).expect("just found");
        if std::mem::replace(&mut person.is_classified, true) {
            return;
        }
        let so_far = t.since(person.answered);
        let ended = match (person.began, person.ended) {
            (_, Some(ended)) => Some(ended),
            (Some(_), None) => Some(so_far),
            (None, None) => None,
        };
        person.until = person.answered + ended.unwrap_or_default() + CONNECT_WITHIN;
        let latest_ms = ended.map(|ended| ended.as_millis());
        let is_right = match person.ended {
            Some(_) => told_ms.map(u128::from) == latest_ms,
            None => told_ms.map(u128::from) <= latest_ms,
        };
        let is_person = matches!(verdict, Verdict::Person | Verdict::Unsure);
        if is_person && !is_right {
            let what = format!(
                "{call} is told to have greeted until {told_ms:?} ms, and was heard until {latest_ms:?}"
            );
            self.say(Invariant::ConnectedInTime, t, what);
        }
    }

    /// An attempt is over: the dialer's book of live answers must agree.
    pub(super) fn answer_counts(&mut self, campaign: CampaignId, outcome: AttemptOutcome) {
        let (answers, abandoned) = match outcome {
            AttemptOutcome::AnsweredAgent | AttemptOutcome::Messaged => (1, 0),
            AttemptOutcome::Abandoned => (1, 1),
            AttemptOutcome::Machine
            | AttemptOutcome::Fax
            | AttemptOutcome::Busy
            | AttemptOutcome::NoAnswer
            | AttemptOutcome::Failed
            | AttemptOutcome::DisconnectedNumber
            | AttemptOutcome::Cancelled
            | AttemptOutcome::Blocked
            | AttemptOutcome::UnknownRestart => return,
        };
        let Some(books) = &mut self.answers else {
            return;
        };
        let book = books.entry(campaign).or_default();
        *book = (book.0 + answers, book.1 + abandoned);
        self.answers_changed = true;
    }

    /// The budget has counted what the events tell.
    pub(super) fn look_at_budgets(&mut self, t: Mono, engine: &Engine) {
        if !std::mem::take(&mut self.answers_changed) {
            return;
        }
        let mut found = Vec::new();
        for (campaign, book) in self.answers.iter().flatten() {
            let snapshot = engine.dialer().snapshot(*campaign);
            let counted = snapshot.map(|snapshot| (snapshot.answers, snapshot.abandons));
            if counted != Some(*book) {
                found.push(format!(
                    "{campaign} has {book:?} live answers and abandoned by the events, {counted:?} in its budget"
                ));
            }
        }
        for what in found {
            self.say(Invariant::Books, t, what);
        }
    }
}
