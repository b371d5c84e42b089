//! A start after a kill: claims that were under way, and what the law must not forget.

use super::tests::{Desk, PATIENCE, campaign, clock_of};
use super::*;
use call::Input;
use model::cdr::Cdr;
use model::event::Verdict;
use model::lead::LeadNext;
use model::{AttemptId, AttemptOutcome, CallId};
use std::sync::atomic::Ordering;

#[test]
fn a_claim_survives_a_crash_as_dialled_with_a_record_and_a_later_retry() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 2);
    let leads = desk.fetch(2);
    desk.claimed(&leads[0]);
    let ended = desk.claimed(&leads[1]);
    desk.resolve(
        ended,
        leads[1].id,
        AttemptOutcome::AnsweredAgent,
        LeadNext::Done,
    );
    assert!(desk.handle.sync(PATIENCE));

    let desk = desk.crash(dir.path());
    assert_eq!((desk.boot.number, desk.boot.attempts_unknown), (2, 1));
    assert_eq!(
        desk.count("SELECT COUNT(*) FROM attempts WHERE outcome = 'unknown_restart'"),
        1
    );
    // The other one ended, but the end came before its record: it gets what is known as well.
    assert_eq!(
        desk.count("SELECT COUNT(*) FROM calls WHERE outcome = 'unknown_restart'"),
        2
    );
    assert_eq!(desk.fetch(5), [], "the lead is not dialled again at once");
    desk.time.fetch_add(3_600_000_000, Ordering::Relaxed);
    let again = desk.fetch(5);
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].id, again[0].attempts), (leads[0].id, 1));
}

#[test]
fn a_lead_cut_off_for_the_last_allowed_time_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 1);
    desk.config.unknown_attempts_max = 1;
    let lead = desk.fetch(1).remove(0);
    desk.claimed(&lead);
    let desk = desk.crash(dir.path());
    desk.time.fetch_add(86_400_000_000, Ordering::Relaxed);
    assert_eq!(desk.fetch(5), []);
}

#[test]
fn whoever_a_crash_left_without_an_agent_was_abandoned_and_is_told_once_the_log_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 4);
    let leads = desk.fetch(4);
    let claimed_at = Now::default().plus(Duration::from_micros(desk.time.load(Ordering::Relaxed)));
    let attempts: Vec<AttemptId> = leads.iter().map(|lead| desk.claimed(lead)).collect();
    let desk = desk.crash(dir.path());
    assert_eq!(desk.boot.unfolded, [1]);
    let at = |s| claimed_at.utc + Duration::from_secs(s);
    // The first waited for an agent, the second talked with one, the third is a machine, the fourth's phone rang.
    let ends = [
        (Some(Verdict::Person), None),
        (None, Some(at(6))),
        (Some(Verdict::Machine), None),
    ];
    for ((attempt, lead), (verdict, bridged)) in attempts.iter().zip(&leads).zip(ends) {
        let (call, number) = (CallId(attempt.0 + 1), lead.number().to_string());
        let mut cdr =
            Cdr::unknown_restart(call, campaign(), *attempt, lead.id, number, at(0), at(9));
        (cdr.answered, cdr.verdict, cdr.bridged) = (Some(at(5)), verdict, bridged);
        desk.handle.request(StoreRequest::RecoverCdr(Box::new(cdr)));
    }
    desk.handle.request(StoreRequest::BootFolded { boot: 1 });
    let Input::DialerHistory { answers, dials } = desk.answer() else {
        panic!("the dialer is told")
    };
    assert_eq!(answers, []);
    let told: Vec<_> = dials
        .iter()
        .map(|dial| (dial.number, dial.at, dial.outcome, dial.ended_at))
        .collect();
    let (abandoned, talked) = (AttemptOutcome::Abandoned, AttemptOutcome::AnsweredAgent);
    let unknown = AttemptOutcome::UnknownRestart;
    assert_eq!(
        told,
        [
            (leads[0].number(), at(0), Some(abandoned), Some(at(9))),
            (leads[1].number(), at(0), Some(talked), Some(at(9))),
            (leads[2].number(), at(0), Some(unknown), Some(at(9))),
        ]
    );
    assert!(desk.handle.sync(PATIENCE));
    drop(desk.handle);
    desk.thread.join();
    let (mut store, _) = Store::open(&desk.config, clock_of(&desk.time), "test").unwrap();
    let history = store.history(Duration::from_secs(3_600)).unwrap();
    let outcomes: Vec<_> = history.dials.iter().map(|dial| dial.outcome).collect();
    assert_eq!(outcomes, [abandoned, talked, unknown, unknown].map(Some));
    let counted: Vec<_> = history
        .answers
        .iter()
        .map(|past| (past.answers, past.abandons))
        .collect();
    assert_eq!(counted, [(2, 1)], "a machine is nobody who answered");
}

#[test]
fn a_restart_remembers_answers_abandonments_and_dials() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 5);
    let leads = desk.fetch(5);
    let outcomes = [
        Some(AttemptOutcome::AnsweredAgent),
        Some(AttemptOutcome::Abandoned),
        Some(AttemptOutcome::Busy),
        None,
    ];
    for (lead, outcome) in leads.iter().zip(outcomes) {
        let attempt = desk.claimed(lead);
        if let Some(outcome) = outcome {
            desk.resolve(attempt, lead.id, outcome, LeadNext::Done);
        }
    }
    assert!(desk.handle.sync(PATIENCE));
    let Desk {
        config,
        time,
        handle,
        thread,
        ..
    } = desk;
    drop(handle);
    thread.join();
    let (mut store, boot) = Store::open(&config, clock_of(&time), "test").unwrap();
    assert_eq!((boot.attempts_unknown, &boot.unfolded[..]), (1, &[1][..]));
    let history = store.history(Duration::from_secs(3_600)).unwrap();
    assert_eq!(history.answers.len(), 1);
    let past = history.answers[0];
    assert_eq!(
        (past.campaign, past.answers, past.abandons),
        (campaign(), 2, 1)
    );
    assert_eq!(history.dials.len(), 4);
    assert_eq!(history.dials[0].number, leads[0].number());
    assert_eq!(history.dials[0].person, leads[0].id.to_string());
    let talk = history
        .dials
        .iter()
        .find(|dial| dial.outcome == Some(AttemptOutcome::AnsweredAgent));
    assert!(talk.is_some_and(|talk| talk.ended_at.is_some() && talk.debt.is_none()));
    time.fetch_add(3_600_000_000, Ordering::Relaxed);
    let later = store.history(Duration::from_secs(3_600)).unwrap();
    assert_eq!(later.dials, [], "no cap looks back so far");
    assert_eq!(later.answers.len(), 1, "the law looks back 30 days");
}

#[test]
fn a_campaign_with_one_attempt_does_not_dial_again_what_a_crash_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::with_leads(dir.path(), 1);
    desk.config.unknown_of.insert(campaign(), (60, 1));
    let lead = desk.fetch(1).remove(0);
    desk.claimed(&lead);
    let desk = desk.crash(dir.path());
    assert_eq!(desk.count("SELECT COUNT(*) FROM leads WHERE state = 3"), 1);
    desk.time.fetch_add(86_400_000_000, Ordering::Relaxed);
    assert_eq!(desk.fetch(1), []);
}
