//! Rates at their limit and one above it, by every formula and period; and the budget of the dialer held
//! against this recount.

use super::super::recount::SECOND_US;
use super::super::recount::tests::{ANYONE, LONDON, Lead, Log, NEW_YORK, utc};
use super::*;
use dialer::rules::RuleSet;
use model::event::Party;
use model::{AttemptOutcome, CallId, Cause, Fact};
use std::collections::BTreeMap;

/// A campaign of so many days, each with so many talks and abandoned calls.
fn days(sets: &'static str, number: &str, days: &[(u32, u32)]) -> Log {
    let mut log = Log::at(sets, "2026-06-03T16:00:00Z");
    for (n, (talks, abandoned)) in days.iter().enumerate() {
        let start = utc("2026-06-03T16:00:00Z").plus_micros(n as i64 * DAY_US);
        let wait = start.as_micros() - log.now.utc.as_micros();
        log.wait_us(wait.unsigned_abs());
        (0..*abandoned).for_each(|_| {
            log.abandon(number, &ANYONE, Some(SECOND_US));
        });
        (0..*talks).for_each(|_| {
            log.talk(number, &ANYONE, SECOND_US);
        });
    }
    assert!(log.broken().iter().all(|rule| rule == "UK-2a"));
    log
}

#[test]
fn three_per_cent_in_thirty_days_are_legal_and_one_more_is_not() {
    // 97 + 3 on the first day, nothing but talks later; then one more.
    assert_eq!(
        days("us", NEW_YORK, &[(97, 3), (1, 0)]).broken_at_the_end(),
        [""; 0]
    );
    let mut over = days("us", NEW_YORK, &[(96, 4)]);
    // In the 30 days and, as it is shorter, in the 24 hours.
    assert_eq!(over.broken_at_the_end(), ["US-1", "US-1"]);
    // A good month does not pay for a bad one: 1 % for 30 days, then 4 % for 30 days.
    let mut two: Vec<(u32, u32)> = vec![(10, 0); 30];
    two.extend(vec![(24, 1); 30]);
    let broken = days("us", NEW_YORK, &two).broken_at_the_end();
    assert_eq!(
        broken,
        ["US-1"],
        "30 days; a single one in 24 hours is no rate"
    );
    let fine = vec![(33, 1); 60];
    assert_eq!(days("us", NEW_YORK, &fine).broken_at_the_end(), [""; 0]);
}

#[test]
fn the_united_kingdom_counts_by_the_day_and_canada_by_the_month() {
    // 2 of 50 within 24 hours, among many that were fine.
    let uneven = [(100, 0), (48, 2), (100, 0)];
    assert_eq!(days("uk", LONDON, &uneven).broken_at_the_end(), ["UK-1"]);
    assert_eq!(
        days("uk", LONDON, &[(100, 0), (98, 2), (98, 2)]).broken_at_the_end(),
        [""; 0]
    );
    // 27 days of June at 4 %, then three in July at 8 %: 30 days would hide it.
    let mut months = vec![(24, 1); 28];
    months.extend(vec![(23, 2); 3]);
    assert_eq!(
        days("ca", "+14165550100", &months).broken_at_the_end(),
        ["CA-1"]
    );
    assert_eq!(
        days("ca", "+14165550100", &months[..28]).broken_at_the_end(),
        [""; 0]
    );
}

#[test]
fn the_detectors_mistakes_alone_bring_a_british_campaign_over_the_limit() {
    let day = |mistakes, talks: u32, abandoned: u32| {
        let mut lead: Lead = ANYONE;
        lead.mistakes = mistakes;
        let mut log = Log::at("uk", "2026-06-03T12:00:00Z");
        (0..abandoned).for_each(|n| {
            log.abandon(&format!("+44207946{n:04}"), &lead, Some(SECOND_US));
        });
        (0..talks).for_each(|_| {
            log.talk(LONDON, &lead, SECOND_US);
        });
        log.broken_at_the_end()
    };
    assert_eq!(day((0.0, 0.0), 200, 5), [""; 0]);
    // 205 persons at 1 %: two more whom nobody saw.
    assert_eq!(day((1.0, 0.0), 200, 5), ["UK-1"]);
    // Where three in ten of the abandoned were machines, it is legal again.
    assert_eq!(day((1.0, 30.0), 200, 5), [""; 0]);
    assert_eq!(
        day((5.0, 0.0), 100, 0),
        ["UK-1"],
        "nobody was seen abandoned"
    );
}

#[test]
fn people_who_ask_for_nobody_are_live_answers_and_not_passed_to_an_agent() {
    let with_messaged = |sets, number: &str| {
        let mut log = Log::at(sets, "2026-06-03T16:00:00Z");
        (0..30).for_each(|_| {
            log.talk(number, &ANYONE, SECOND_US);
        });
        (0..200).for_each(|_| {
            let attempt = log.claim(number, &ANYONE);
            log.dial(attempt, number);
            log.answered(attempt);
            log.ended(attempt, AttemptOutcome::Messaged);
            log.over(attempt, Party::System, Cause::Normal);
        });
        (0..3).for_each(|n| {
            log.abandon(
                &format!("{}{n}", &number[..number.len() - 1]),
                &ANYONE,
                Some(SECOND_US),
            );
        });
        log.broken_at_the_end()
    };
    assert_eq!(with_messaged("us", NEW_YORK), [""; 0]);
    assert_eq!(with_messaged("uk", LONDON), ["UK-1"]);
}

#[test]
fn a_rule_that_changed_between_two_starts_binds_each_with_its_own_text() {
    let mut log = days("us", NEW_YORK, &[(96, 4)]);
    let mut strict = dialer::rules::embedded().clone();
    for rule in &mut strict.get_mut("us").unwrap().rules {
        rule.abandon_limit_pct = rule.abandon_limit_pct.map(|_| 1.0);
    }
    let mut lax = strict.clone();
    for rule in &mut lax.get_mut("us").unwrap().rules {
        rule.abandon_limit_pct = rule.abandon_limit_pct.map(|_| 5.0);
    }
    // A hundred calls under one text of the law, then a hundred under another.
    let day = |first: &BTreeMap<String, RuleSet>, second: &BTreeMap<String, RuleSet>, abandoned| {
        let mut log = Log::at("us", "2026-06-03T16:00:00Z");
        for (sets, abandoned) in [first, second].into_iter().zip(abandoned) {
            log.recount.bind(sets.clone());
            log.seq = 0;
            (0..abandoned).for_each(|_| {
                log.abandon(NEW_YORK, &ANYONE, Some(SECOND_US));
            });
            (abandoned..100).for_each(|_| {
                log.talk(NEW_YORK, &ANYONE, SECOND_US);
            });
        }
        log.broken_at_the_end()
    };
    assert_eq!(log.broken_at_the_end(), ["US-1", "US-1"]);
    assert_eq!(day(&lax, &strict, [4, 0]), [""; 0]);
    assert_eq!(day(&lax, &strict, [4, 2]), ["US-1", "US-1"]);
    assert_eq!(day(&strict, &lax, [0, 4]), [""; 0]);
    assert_eq!(day(&strict, &lax, [2, 4]), ["US-1", "US-1"]);
}

#[test]
fn who_was_cut_off_by_the_end_of_a_process_was_abandoned_unless_a_flow_spoke() {
    let cut_off = |flow: bool, answered: bool| {
        let mut log = Log::at("us", "2026-06-03T16:00:00Z");
        (0..10).for_each(|_| {
            log.talk(NEW_YORK, &ANYONE, SECOND_US);
        });
        let attempt = log.claim(NEW_YORK, &ANYONE);
        log.dial(attempt, NEW_YORK);
        if answered {
            log.answered(attempt);
        }
        if flow {
            log.say(Fact::IvrEntered {
                call: CallId(attempt.0),
                flow: "reminder".parse().unwrap(),
            });
        }
        log.seq = 0;
        log.wait_us(SECOND_US);
        log.talk(NEW_YORK, &ANYONE, SECOND_US);
        log.broken_at_the_end()
    };
    assert_eq!(cut_off(false, true), ["US-1"]);
    assert_eq!(cut_off(true, true), [""; 0]);
    assert_eq!(cut_off(false, false), [""; 0]);
}

#[test]
fn what_the_budget_has_left_the_audit_allows_as_well() {
    use dialer::abandon::{AbandonBudget, Mistakes};
    let mut rng = model::Rng::new(11);
    let (mut spends, mut refused) = (0, 0);
    for case in 0..60_u64 {
        let names = [
            &["us"][..],
            &["uk"],
            &["ca"],
            &["us", "uk"],
            &["us", "ca", "de"],
        ];
        let names = names[(case % 5) as usize];
        let mistakes = Mistakes {
            false_positive_pct: [0.0, 0.3, 2.0][(case % 3) as usize],
            abandoned_machines_pct: [0.0, 8.0][(case % 2) as usize],
        };
        let sets: Vec<RuleSet> = names
            .iter()
            .map(|name| dialer::rules::embedded()[*name].clone())
            .collect();
        let mut budget = AbandonBudget::new(&sets, 5.0, mistakes);
        let mut answers = Vec::new();
        let mut now = utc("2026-01-20T09:17:33Z");
        let answer = |at, fate| Answer {
            at,
            fate,
            false_positive_pct: mistakes.false_positive_pct,
            abandoned_machines_pct: mistakes.abandoned_machines_pct,
        };
        for _ in 0..80 {
            let longest_s = [60, 3_600, 40_000, 400_000][rng.below(4) as usize];
            now = now.plus_micros(rng.below(longest_s * 1_000_000) as i64);
            for _ in 0..rng.below(120) {
                budget.count(now, false);
                answers.push(answer(now, Fate::Talk));
            }
            if rng.chance(0.2) {
                for _ in 0..rng.below(300) {
                    budget.count_messaged(now);
                    answers.push(answer(now, Fate::Messaged));
                }
            }
            if rng.chance(0.1) {
                budget.count(now, true);
                answers.push(answer(now, Fate::Abandoned));
            }
            now = now.plus_micros(1);
            budget.roll(now);
            let left = budget.left().floor().max(0.0) as usize;
            let spend = |more: usize| {
                let mut spent = answers.clone();
                spent.extend(std::iter::repeat_n(answer(now, Fate::Abandoned), more));
                Answers::new(spent)
            };
            let breaks = |answers: &Answers| {
                let rules = sets.iter().flat_map(|set| &set.rules);
                let mut limits = rules.filter_map(|rule| Some((rule, rule.abandon_limit_pct?)));
                limits.any(|(rule, limit)| {
                    periods(rule).into_iter().any(|period| {
                        answers
                            .ends(rule, period, now)
                            .breaks(rule, period, limit.min(5.0))
                    })
                })
            };
            if left > 0 {
                assert!(!breaks(&spend(left)), "{names:?}: {left} at {now}");
                refused += u32::from(breaks(&spend(left + 3 + left / 4)));
                spends += 1;
            }
            for _ in 0..rng.below(left as u64 + 1) {
                budget.count(now, true);
                answers.push(answer(now, Fate::Abandoned));
            }
        }
    }
    assert!(spends > 1_000 && refused > spends / 3, "{spends} {refused}");
}
