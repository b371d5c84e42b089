//! Logs of several starts: what holds across them, and what a kill took of their last lines.

use super::recount::tests::{ANYONE, LONDON, Lead, Log, NEW_YORK};
use super::recount::{HOUR_US, SECOND_US};
use model::event::Verdict;
use model::{AttemptOutcome, CallId, Fact, LegId};

/// Who owes something.
const DEBTOR: Lead = Lead {
    columns: &[("debt", "d-1")],
    ..ANYONE
};

fn wait_h(log: &mut Log, hours: i64) -> &mut Log {
    log.wait_us((hours * HOUR_US).unsigned_abs())
}

/// Somebody answers and waits: a second later the process is gone.
fn cut_off(log: &mut Log, number: &str, lead: &Lead, then: impl FnOnce(&mut Log, CallId)) {
    let attempt = log.claim(number, lead);
    log.dial(attempt, number);
    log.answered(attempt);
    log.wait_us(SECOND_US);
    then(log, CallId(attempt.0));
    // The last sign of life.
    log.say(Fact::LegRinging {
        leg: LegId(attempt.0 + 5_000_000),
        call: CallId(attempt.0),
    });
    log.seq = 0;
}

#[test]
fn a_cap_and_a_lock_hold_across_a_restart() {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    (0..3).for_each(|_| {
        log.busy("+13055550101", &ANYONE);
        log.restart();
    });
    assert_eq!(log.broken(), [""; 0]);
    assert_eq!(
        wait_h(&mut log, 1).busy("+13055550101", &ANYONE).broken(),
        ["FL-1"]
    );

    let mut log = Log::at("uk", "2026-06-01T12:00:00Z");
    log.abandon(LONDON, &ANYONE, Some(SECOND_US)).restart();
    let mut other = Log::at("uk", "2026-06-01T12:00:00Z");
    other.abandon(LONDON, &ANYONE, Some(SECOND_US)).restart();
    assert_eq!(
        wait_h(&mut log, 71).busy(LONDON, &ANYONE).broken(),
        ["UK-2a"]
    );
    assert_eq!(
        wait_h(&mut other, 72).busy(LONDON, &ANYONE).broken(),
        [""; 0]
    );
}

#[test]
fn a_budget_that_two_starts_overspend_together_is_found() {
    // 97 talks, a night, 3 abandoned; and the same turned round: each is 3 % on its own.
    let talks = |log: &mut Log| {
        (0..97).for_each(|_| {
            log.talk(LONDON, &ANYONE, SECOND_US);
        });
    };
    let abandons = |log: &mut Log, from: u32| {
        (from..from + 3).for_each(|n| {
            log.abandon(&format!("+44207946{n:04}"), &ANYONE, Some(SECOND_US));
        });
    };
    let story = |both: bool| {
        let mut log = Log::at("uk", "2026-06-01T12:00:00Z");
        talks(&mut log);
        wait_h(&mut log, 22);
        abandons(&mut log, 500);
        if !both {
            return log.broken_at_the_end();
        }
        log.restart();
        wait_h(&mut log, 3);
        abandons(&mut log, 600);
        wait_h(&mut log, 22);
        talks(&mut log);
        log.broken_at_the_end()
    };
    assert_eq!(story(false), [""; 0]);
    assert_eq!(story(true), ["UK-1"]);
}

#[test]
fn who_was_cut_off_is_counted_when_it_happened_and_not_at_the_next_start() {
    let toronto = "+14165550100";
    let talks = |log: &mut Log, n: u32| {
        (0..n).for_each(|_| {
            log.talk(toronto, &ANYONE, SECOND_US);
        });
    };
    let mut log = Log::at("ca", "2026-06-30T16:00:00Z");
    talks(&mut log, 100);
    (0..3).for_each(|_| cut_off(&mut log, toronto, &ANYONE, |_, _| ()));
    wait_h(&mut log, 48);
    talks(&mut log, 10);
    assert_eq!(log.recount.cut_off.values().sum::<u64>(), 3);
    // Three of 103 in June; had the last of them been of July, one of eleven.
    assert_eq!(log.broken_at_the_end(), [""; 0]);
}

#[test]
fn a_rate_says_how_many_of_the_abandoned_the_ends_of_starts_cut_off() {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    (0..2).for_each(|_| cut_off(&mut log, NEW_YORK, &ANYONE, |_, _| ()));
    log.abandon(NEW_YORK, &ANYONE, Some(SECOND_US));
    log.recount.close();
    let about = &log.recount.breaches.last().unwrap().about;
    assert!(
        about.starts_with(
            "3 of 3 live answers were abandoned, 2 of them by the end of a start in the"
        ),
        "{about}"
    );
}

#[test]
fn who_was_cut_off_rests_like_every_abandoned_person() {
    let mut log = Log::at("uk", "2026-06-01T12:00:00Z");
    cut_off(&mut log, LONDON, &ANYONE, |_, _| ());
    wait_h(&mut log, 71);
    assert_eq!(log.busy(LONDON, &ANYONE).broken(), ["UK-2a"]);
    wait_h(&mut log, 1);
    assert_eq!(log.busy(LONDON, &ANYONE).broken(), [""; 0]);
}

#[test]
fn a_machine_that_a_kill_cut_off_was_no_person() {
    let heard = |verdict: Verdict| {
        let mut log = Log::at("uk", "2026-06-01T12:00:00Z");
        for n in 0..2 {
            let number = format!("+44207946000{n}");
            cut_off(&mut log, &number, &ANYONE, |log, call| {
                log.say(Fact::CallClassified {
                    call,
                    verdict,
                    agent: None,
                    tone: None,
                    greeting_began_ms: None,
                    greeting_ended_ms: None,
                    evidence: None,
                });
            });
        }
        log.busy("+442079460001", &ANYONE);
        log.broken_at_the_end()
    };
    assert_eq!(heard(Verdict::Machine), [""; 0]);
    assert_eq!(heard(Verdict::Person), ["UK-2a", "UK-1"]);
}

#[test]
fn a_talk_whose_last_lines_a_kill_took_is_a_talk() {
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    (0..32).for_each(|n| {
        let number = format!("+1212555{n:04}");
        cut_off(&mut log, &number, &ANYONE, |log, call| {
            log.bridged(model::AttemptId(call.0));
        });
    });
    (0..65).for_each(|_| {
        log.talk(NEW_YORK, &ANYONE, SECOND_US);
    });
    (0..3).for_each(|_| {
        log.abandon(NEW_YORK, &ANYONE, Some(SECOND_US));
    });
    assert_eq!(log.broken_at_the_end(), [""; 0], "3 of 100");
    // A conversation about a debt, however it ended, has its seven days.
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    cut_off(&mut log, NEW_YORK, &DEBTOR, |log, call| {
        log.bridged(model::AttemptId(call.0));
    });
    assert_eq!(log.busy(NEW_YORK, &DEBTOR).broken(), ["REGF-1"]);
}

#[test]
fn an_agent_who_came_too_late_is_found_though_a_kill_took_the_end_of_the_talk() {
    let talk = |waited_us: u64| {
        let mut log = Log::at("us", "2026-06-01T16:00:00Z");
        let attempt = log.claim(NEW_YORK, &ANYONE);
        log.dial(attempt, NEW_YORK);
        log.answered(attempt);
        log.wait_us(waited_us);
        log.bridged(attempt);
        log.ended(attempt, AttemptOutcome::AnsweredAgent);
        log.restart();
        log.broken()
    };
    assert_eq!(talk(2 * SECOND_US), [""; 0]);
    assert_eq!(talk(2 * SECOND_US + 1), ["US-1"]);
    // An abandoned person's message may have been in the lines that are missing.
    let mut log = Log::at("us", "2026-06-01T16:00:00Z");
    let attempt = log.claim(NEW_YORK, &ANYONE);
    log.dial(attempt, NEW_YORK);
    log.answered(attempt);
    log.wait_us(2 * SECOND_US);
    log.ended(attempt, AttemptOutcome::Abandoned);
    log.restart();
    assert_eq!(log.broken(), [""; 0]);
}
