//! What is left, and a naive recount over every answer that shows whether it was.

use super::*;
use crate::rules::embedded;
use proptest::prelude::*;

fn at(hours: i64) -> Utc {
    Utc::from_micros(hours * HOUR_US)
}

#[test]
fn the_budget_is_spent_before_the_limit_is_passed() {
    let mut budget = of(&[], 0.0);
    for n in 0..10_000 {
        let abandoned = !budget.is_spent(0.0, 0.0);
        budget.count(at(1), abandoned);
        let (answers, abandons) = budget.counts();
        assert!(
            abandons as f64 <= 0.03 * answers as f64,
            "{abandons} of {answers} at {n}"
        );
    }
    assert!(budget.rate().unwrap() > 0.0298);
}

#[test]
fn persons_taken_for_machines_spend_the_budget() {
    let mut seen = of(&[], 0.0);
    let mut detected = of(&[], 1.0);
    for n in 0..990 {
        seen.count(at(1), n < 20);
        detected.count(at(1), n < 20);
    }
    // 990 counted answers are 1,000 persons, ten of whom were hung up upon.
    assert!((detected.rate().unwrap() - 0.03).abs() < 1e-9);
    assert!(
        seen.left() > 9.0 && detected.left() < -5.0,
        "{}",
        detected.left()
    );
}

#[test]
fn an_advance_is_paid_back_by_the_answers_that_follow() {
    let mut budget = of(&[], 0.0);
    assert_eq!((budget.left(), budget.left_with(1.0)), (0.0, 1.0));
    budget.count(at(1), true);
    assert_eq!(budget.left_with(1.0), 0.0);
    (0..33).for_each(|_| budget.count(at(1), false));
    assert!((budget.left_with(1.0) - 0.02).abs() < 1e-9);
    assert_eq!(
        (budget.unearned(), budget.left_with(0.0)),
        (0.0, budget.left())
    );
}

#[test]
fn both_periods_hold_at_once() {
    let mut budget = of(&[], 0.0);
    (0..1_000).for_each(|_| budget.count(at(0), false));
    assert!(!budget.is_spent(0.0, 0.0));
    // Two days later the 24 hours know nothing of it.
    (0..60).for_each(|n| budget.count(at(48), n < 2));
    assert!(budget.is_spent(0.0, 0.0), "2 of 60 within 24 h");
    budget.roll(at(48 + 25));
    assert!(!budget.is_spent(0.0, 0.0), "2 of 1060 within 30 days");
}

#[test]
fn a_shift_may_open_with_what_the_day_before_has_left_and_no_more() {
    let mut budget = of(&[], 0.0);
    (0..1_000).for_each(|_| budget.count(at(9), false));
    assert_eq!(budget.left(), 30.0);
    // The next morning the day before is still within the 24 hours.
    (0..10).for_each(|n| budget.count(at(24 + 7), n < 1));
    assert!((budget.left() - 3.0).abs() < 1e-9, "{}", budget.left());
    (0..90).for_each(|_| budget.count(at(24 + 8), false));
    assert!(
        (budget.left() - 2.0 - SHIFT_SLACK).abs() < 1e-9,
        "{}",
        budget.left()
    );
}

#[test]
fn a_day_leaves_after_thirty() {
    let mut budget = of(&[], 0.0);
    budget.count(at(1), true);
    budget.roll(at(30 * 24 + 1));
    assert_eq!(budget.counts(), (1, 1));
    budget.roll(at(30 * 24 + 2));
    assert_eq!(budget.counts(), (0, 0));
}

fn sets(names: &[&str]) -> Vec<RuleSet> {
    names.iter().map(|name| embedded()[*name].clone()).collect()
}

/// At the campaign's own 5 %, so that the sets decide.
fn bound(names: &[&str], false_positive_pct: f64, abandoned_machines_pct: f64) -> AbandonBudget {
    let mistakes = Mistakes {
        false_positive_pct,
        abandoned_machines_pct,
    };
    AbandonBudget::new(&sets(names), 5.0, mistakes)
}

fn of(names: &[&str], false_positive_pct: f64) -> AbandonBudget {
    let mistakes = Mistakes {
        false_positive_pct,
        abandoned_machines_pct: 0.0,
    };
    AbandonBudget::new(&sets(names), 3.0, mistakes)
}

fn utc(text: &str) -> Utc {
    Utc::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

fn talk(budget: &mut AbandonBudget, at: Utc, answers: u32) {
    (0..answers).for_each(|_| budget.count(at, false));
}

#[test]
fn canada_begins_anew_with_the_month_and_allows_five_per_cent() {
    let mut budget = bound(&["ca"], 0.0, 0.0);
    talk(&mut budget, utc("2026-06-30T23:59:59Z"), 1_000);
    assert!((budget.left() - 50.0).abs() < 1e-9, "{}", budget.left());
    talk(&mut budget, utc("2026-07-01T00:00:00Z"), 100);
    assert!((budget.left() - 5.0).abs() < 1e-9, "{}", budget.left());
    assert_eq!(budget.counts(), (100, 0));
}

#[test]
fn a_month_begins_where_its_rule_says() {
    // Newfoundland is two hours and a half behind in summer: its July begins within an hour.
    let mut set = embedded()["ca"].clone();
    set.rules[0].abandon_zone = Some("America/St_Johns".into());
    let mut budget = AbandonBudget::new(&[set], 5.0, Mistakes::default());
    talk(&mut budget, utc("2026-07-01T02:29:59Z"), 100);
    assert!((budget.left() - 5.0).abs() < 1e-9, "{}", budget.left());
    budget.count(utc("2026-07-01T02:31:00Z"), true);
    assert!(
        budget.left() < 0.0,
        "June pays for nothing: {}",
        budget.left()
    );
}

#[test]
fn of_several_sets_the_strictest_wins_at_every_instant() {
    let mut both = bound(&["us", "ca"], 0.0, 0.0);
    let (mut us, mut ca) = (bound(&["us"], 0.0, 0.0), bound(&["ca"], 0.0, 0.0));
    // July is young: Canada is the stricter one, though it allows more.
    let june = utc("2026-06-30T20:00:00Z");
    let july = utc("2026-07-01T14:00:00Z");
    for budget in [&mut both, &mut us, &mut ca] {
        talk(budget, june, 2_000);
        talk(budget, july, 20);
    }
    assert!(ca.left() < us.left(), "{} {}", ca.left(), us.left());
    assert_eq!(both.left(), ca.left());
    for budget in [&mut both, &mut us, &mut ca] {
        talk(budget, july, 2_000);
    }
    assert!(us.left() < ca.left(), "{} {}", ca.left(), us.left());
    assert_eq!(both.left(), us.left());
}

#[test]
fn ofcoms_formula_divides_by_what_was_passed_to_agents() {
    let mut budget = bound(&["uk"], 0.0, 0.0);
    let noon = utc("2026-06-01T12:00:00Z");
    (0..2_000).for_each(|_| budget.count_messaged(noon));
    assert_eq!(budget.left(), 0.0, "nobody was passed to an agent");
    talk(&mut budget, noon, 97);
    (0..3).for_each(|_| budget.count(noon, true));
    assert!(
        budget.left().abs() < 1e-9,
        "3 ÷ (3 + 97): {}",
        budget.left()
    );
    assert_eq!(budget.rate(), Some(0.03));
    // One in ten of them was a machine, says the campaign; and one person in a hundred was hung up upon.
    let mut guess = bound(&["uk"], 1.0, 10.0);
    talk(&mut guess, noon, 980);
    (0..10).for_each(|_| guess.count(noon, true));
    let unseen: f64 = 10.0;
    let wrong = 9.0 + unseen;
    let rate = guess.rate().unwrap();
    assert!((rate - wrong / (wrong + 980.0)).abs() < 1e-9, "{rate}");
}

#[test]
fn in_the_united_kingdom_no_day_before_pays_for_a_shift() {
    let mut budget = bound(&["uk"], 0.0, 0.0);
    talk(&mut budget, utc("2026-06-01T12:00:00Z"), 1_000);
    talk(&mut budget, utc("2026-06-02T09:00:00Z"), 10);
    assert!(budget.left() < 1.0, "{}", budget.left());
    assert_eq!(budget.left_with(1.0), 1.0, "the shift will earn one");
}

#[test]
fn a_campaigns_own_limit_holds_in_every_window() {
    let mut budget = AbandonBudget::new(&sets(&["ca", "uk"]), 1.0, Mistakes::default());
    talk(&mut budget, utc("2026-06-02T09:00:00Z"), 1_000);
    assert!((budget.left() - 10.0).abs() < 1e-9);
    budget.set_limit(4.0);
    assert!((budget.left() - 30.0).abs() < 1e-9, "{}", budget.left());
}

/// One live answer, as a naive recount keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Talk,
    Abandoned,
    Messaged,
}

/// Whether the answers break a limit of the sets over a period that ends at `now`. Two lines of law
/// and no bucket.
fn broken(
    answers: &[(Utc, Answer)],
    sets: &[RuleSet],
    own_pct: f64,
    mistakes: Mistakes,
    now: Utc,
) -> Option<String> {
    for rule in sets.iter().flat_map(|set| &set.rules) {
        let Some(limit) = rule.abandon_limit_pct else {
            continue;
        };
        let periods = match rule.abandon_over.is_empty() {
            true => vec![Period::Days(30)],
            false => rule.abandon_over.clone(),
        };
        for period in periods {
            let since = match period {
                Period::Days(days) => now.as_micros() - i64::from(days) * 24 * HOUR_US,
                Period::Hours(hours) => now.as_micros() - i64::from(hours) * HOUR_US,
                Period::CalendarMonth => month(&rule.abandon_zone(), now).0 - 1,
            };
            let within: Vec<Answer> = answers
                .iter()
                .filter(|(at, _)| at.as_micros() > since)
                .map(|(_, answer)| *answer)
                .collect();
            let count = |kind| within.iter().filter(|answer| **answer == kind).count() as f64;
            let seen = count(Answer::Abandoned);
            let share = mistakes.false_positive_pct;
            let unseen = within.len() as f64 * share / (100.0 - share);
            let (wrong, whole) = match rule.abandon_formula {
                AbandonFormula::LiveAnswers => (seen, within.len() as f64),
                AbandonFormula::Ofcom => {
                    let machines = seen * mistakes.abandoned_machines_pct / 100.0;
                    let wrong = seen + unseen - machines;
                    (wrong, wrong + count(Answer::Talk))
                }
            };
            // Of a few hours beside the days one abandoned call is no rate.
            let is_few = matches!(period, Period::Hours(_)) && rule.abandon_over.len() > 1;
            if !(is_few && seen <= 1.0) && wrong > limit.min(own_pct) / 100.0 * whole + 1e-6 {
                return Some(format!("{}: {wrong} of {whole} in {period:?}", rule.id));
            }
        }
    }
    None
}

/// What happens between two looks at the budget.
#[derive(Clone, Debug)]
struct Spell {
    wait_s: u32,
    talks: u16,
    messaged: u8,
    /// So much of what is left is spent.
    spent: f64,
    /// Abandoned whatever the budget says.
    forced: u8,
}

fn spells() -> impl Strategy<Value = Vec<Spell>> {
    let wait = prop_oneof![
        4 => 0_u32..900,
        4 => 900_u32..20_000,
        2 => 20_000_u32..200_000,
        1 => 200_000_u32..2_000_000
    ];
    let talks = prop_oneof![3 => 0_u16..40, 1 => 40_u16..600];
    let messaged = prop_oneof![4 => Just(0_u8), 1 => 0_u8..200];
    let spent = prop_oneof![Just(0.0), 0.0..1.0, Just(1.0)];
    let forced = prop_oneof![6 => Just(0_u8), 1 => 0_u8..6];
    let one = (wait, talks, messaged, spent, forced).prop_map(
        |(wait_s, talks, messaged, spent, forced)| Spell {
            wait_s,
            talks,
            messaged,
            spent,
            forced,
        },
    );
    proptest::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_left_may_be_spent_at_once_and_breaks_no_limit_of_any_set(
        spells in spells(),
        names in proptest::sample::subsequence(vec!["us", "uk", "ca", "de"], 1..=4),
        zone in proptest::sample::select(vec![None, Some("America/St_Johns"), Some("Asia/Tokyo")]),
        own_pct in proptest::sample::select(vec![1.5, 3.0, 5.0]),
        false_positive_pct in proptest::sample::select(vec![0.0, 0.3, 2.0]),
        abandoned_machines_pct in proptest::sample::select(vec![0.0, 5.0]),
        // After so many spells the process begins anew, with what the store tells.
        restart in 0_usize..60,
    ) {
        let mistakes = Mistakes { false_positive_pct, abandoned_machines_pct };
        let mut sets = sets(&names);
        for rule in sets.iter_mut().flat_map(|set| &mut set.rules) {
            rule.abandon_zone = zone.map(str::to_string);
        }
        let mut budget = AbandonBudget::new(&sets, own_pct, mistakes);
        let mut answers: Vec<(Utc, Answer)> = Vec::new();
        let mut now = utc("2026-01-20T09:17:33Z");
        for (n, spell) in spells.iter().enumerate() {
            now = now.plus_micros(i64::from(spell.wait_s) * 1_000_000 + 17);
            if n == restart {
                budget = reloaded(&answers, now, AbandonBudget::new(&sets, own_pct, mistakes));
            }
            for _ in 0..spell.talks {
                budget.count(now, false);
                answers.push((now, Answer::Talk));
            }
            for _ in 0..spell.messaged {
                budget.count_messaged(now);
                answers.push((now, Answer::Messaged));
            }
            for _ in 0..spell.forced {
                budget.count(now, true);
                answers.push((now, Answer::Abandoned));
            }
            now = now.plus_micros(i64::from(spell.wait_s) * 1_000 + 5);
            budget.roll(now);
            // All that is left, at once.
            let left = budget.left().floor().max(0.0) as usize;
            if left > 0 {
                let mut spent = answers.clone();
                spent.extend(std::iter::repeat_n((now, Answer::Abandoned), left));
                let broken = broken(&spent, &sets, own_pct, mistakes, now);
                prop_assert!(broken.is_none(), "{left} at {now} after {n}: {}", broken.unwrap());
            }
            for _ in 0..(left as f64 * spell.spent) as usize {
                budget.count(now, true);
                answers.push((now, Answer::Abandoned));
            }
        }
    }
}

/// What the store would tell of them.
fn reloaded(answers: &[(Utc, Answer)], now: Utc, mut budget: AbandonBudget) -> AbandonBudget {
    let mut past: std::collections::BTreeMap<i64, (u64, u64, u64)> = Default::default();
    for (at, answer) in answers {
        let is_recent = now.as_micros() - at.as_micros() < (FINE_HOURS + 1) * HOUR_US;
        let length_us = if is_recent { MINUTE_US } else { HOUR_US };
        let begin = at.as_micros().div_euclid(length_us) * length_us;
        let counts = past.entry(begin).or_default();
        counts.0 += 1;
        counts.1 += u64::from(*answer == Answer::Abandoned);
        counts.2 += u64::from(*answer == Answer::Messaged);
    }
    for (begin, (answers, abandons, messaged)) in past {
        budget.load(Utc::from_micros(begin), answers, abandons, messaged);
    }
    budget
}
