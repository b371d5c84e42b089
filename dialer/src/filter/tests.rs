//! A filter is read as it is printed, asked as it is written, and wrong at its place.

use super::*;
use crate::zone::ZoneBook;
use model::{Lead, LeadId, Utc};
use proptest::prelude::*;

const DAY_US: i64 = 86_400_000_000;

fn lead(number: &str, columns: &[(&str, &str)]) -> Lead {
    Lead {
        attempts: 2,
        priority: 5,
        name: Some("Ada".into()),
        fields: columns
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        ..Lead::new(
            LeadId(1),
            "l".parse().unwrap(),
            vec![number.parse().unwrap()],
        )
    }
}

fn explained(filter: &str, lead: &Lead) -> (bool, Vec<Unreadable>) {
    let book = ZoneBook::default();
    let subject = Subject {
        lead,
        past: Past {
            added_at: Utc::from_micros(0),
            last_outcome: Some(AttemptOutcome::NoAnswer),
        },
        book: &book,
        now: Utc::from_micros(3 * DAY_US + 1),
    };
    let filter = Filter::new(filter);
    assert_eq!(filter.error(), None, "{}", filter.text());
    let explained = filter.explain(&subject);
    assert_eq!(explained.0, filter.matches(&subject), "{}", filter.text());
    explained
}

fn matches(filter: &str, lead: &Lead) -> bool {
    explained(filter, lead).0
}

#[test]
fn a_lead_is_asked_by_its_columns_and_by_what_every_lead_has() {
    let ada = lead(
        "+12125550100",
        &[
            ("balance", "250.50"),
            ("vip", "No"),
            ("last purchase", "2025-12-31T08:00:00Z"),
            ("region", "north"),
        ],
    );
    for yes in [
        "balance >= 250 and not vip and `last purchase` < 2026-01-01 and attempts < 3",
        "state = \"NORTH\" or state in (\"NJ\")",
        "area_code in (\"212\", \"646\") and country = \"us\"",
        "time_zone starts with \"america/\"",
        "priority = 5 and name = \"ADA\"",
        "last_outcome = \"no_answer\" and last_disposition is empty",
        "days_in_list = 3 and days_in_list >= 3 and days_in_list < 3.5",
        "balance in (1, 250.5) and balance is not empty",
        "vip = no and colour = \"\" and not hidden",
        "not (balance < 250 or region != \"North\")",
        "region not in (\"south\", \"east\")",
    ] {
        assert!(matches(yes, &ada), "{yes}");
    }
    for no in [
        "balance > 250.5",
        "vip",
        "attempts >= 3",
        "`last purchase` = 2026-01-01",
        "days_in_list > 3",
        "region = \"nor\"",
    ] {
        assert!(!matches(no, &ada), "{no}");
    }
}

#[test]
fn a_state_is_the_address_s_or_else_the_number_s() {
    let state = |columns: &[(&str, &str)], state: &str| {
        matches(
            &format!("state = \"{state}\""),
            &lead("+12125550100", columns),
        )
    };
    assert!(state(&[], "NY"));
    assert!(state(&[("state", "New Jersey")], "nj"));
    assert!(!state(&[("province", "ON")], "NY"));
    let country = |number: &str, letters: &str| {
        matches(&format!("country = \"{letters}\""), &lead(number, &[]))
    };
    assert!(country("+12125550100", "US") && country("+14165550100", "CA"));
    assert!(country("+4930123456", "DE") && country("+18005550100", ""));
    assert!(matches("area_code is empty", &lead("+4930123456", &[])));
}

#[test]
fn what_cannot_be_read_neither_matches_nor_its_opposite_and_is_told() {
    let ada = lead(
        "+12125550100",
        &[("balance", "1.250,00"), ("vip", "perhaps")],
    );
    for filter in ["balance > 1", "not balance > 1", "vip", "not vip"] {
        let (is, unreadable) = explained(filter, &ada);
        assert!(!is, "{filter}");
        assert_eq!(unreadable.len(), 1, "{filter}");
    }
    // What decides without the cell decides; every cell is told all the same.
    let (is, unreadable) = explained("priority = 5 or balance > 1", &ada);
    assert!(is && unreadable[0].column == "balance" && unreadable[0].cell == "1.250,00");
    assert!(!matches("priority = 4 and balance > 1", &ada));
    assert!(!matches("not (priority = 5 and balance > 1)", &ada));
    // An empty cell is no number at all, and nothing wrong either.
    let (is, unreadable) = explained("age < 30 or age >= 30", &ada);
    assert!(!is && unreadable.is_empty());
}

#[test]
fn a_mistake_has_its_place_and_a_remedy() {
    for (filter, at, message) in [
        ("", 0..0, "here should stand a comparison"),
        ("state = 'NY'", 8..9, "'\\'' means nothing here"),
        ("state == \"NY\"", 6..8, "no such sign"),
        (
            "balance >= 25o",
            11..14,
            "25o is neither a number nor a day",
        ),
        ("born < 2026-02-30", 7..17, "2026-02-30 is no day"),
        ("state = NY", 8..10, "NY is no value"),
        ("state = \"NY", 8..11, "this \" is not closed"),
        ("(vip", 4..4, "here should stand )"),
        ("vip)", 3..4, "there is no ( for this"),
        ("vip balance", 4..11, "here the filter should end"),
        (
            "attempts < \"3\"",
            11..14,
            "< compares numbers and days, this is a text",
        ),
        (
            "attempts = \"3\"",
            0..8,
            "attempts is a number, and is used as a text",
        ),
        (
            "priority",
            0..8,
            "priority is a number, and is used as yes or no",
        ),
        (
            "a > 1 and a = \"x\"",
            10..11,
            "a was used as a number, and here as a text",
        ),
        (
            "last_outcome = \"asleep\"",
            15..23,
            "there is no outcome \"asleep\"",
        ),
        (
            "a in (1, \"x\")",
            12..13,
            "values of several types in one list",
        ),
        ("and", 0..3, "and is no column"),
        ("a is full", 5..9, "here should stand empty"),
        (
            "a = 1234567890123456",
            4..20,
            "1234567890123456 is neither a number nor a day",
        ),
    ] {
        let filter = Filter::new(filter);
        let error = filter
            .error()
            .unwrap_or_else(|| panic!("{}", filter.text()));
        assert_eq!(
            (&error.message[..], &error.at),
            (message, &at),
            "{}",
            filter.text()
        );
        assert!(!error.remedy.is_empty());
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |n: usize| format!("{}vip{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(Filter::new(&deep(FILTER_DEPTH_MAX)).error(), None);
    assert!(Filter::new(&deep(FILTER_DEPTH_MAX + 1)).error().is_some());
    assert!(Filter::new(&"not ".repeat(900)).error().is_some());
    assert!(
        Filter::new(&format!("{}vip", " ".repeat(FILTER_BYTES_MAX)))
            .error()
            .is_some()
    );
}

#[test]
fn the_words_of_a_filter_are_known() {
    let filter = Filter::new("vip and `last purchase` is empty and vip and attempts < 3");
    let columns = filter.columns();
    assert_eq!(
        columns,
        [("vip".into(), 0..3), ("last purchase".into(), 8..23)]
    );
    assert_eq!(filter.changing(), Some(("attempts", 45..53)));
}

/// Every word that every lead has decides here by something else of the lead.
#[test]
fn what_a_filter_does_not_look_at_may_be_left_out() {
    let mut ada = lead(
        "+12125550100",
        &[
            ("province", "ON"),
            ("country", "CA"),
            ("postal_code", "M5V 1A1"),
            ("balance", "7"),
        ],
    );
    ada.numbers.push("+14165550100".parse().unwrap());
    ada.next_number = 1;
    ada.customer_key = Some("k".into());
    ada.last_disposition = Some("sale".parse().unwrap());
    let mut filters: Vec<String> = super::known_words()
        .filter(|word| !["priority", "attempts", "days_in_list", "last_outcome"].contains(word))
        .map(|word| format!("{word} starts with \"\" and {word} is not empty"))
        .collect();
    filters.extend(
        [
            "state = \"ON\"",
            "country = \"CA\"",
            "area_code = \"416\"",
            "name = \"Ada\"",
            "postal_code starts with \"M5\"",
            "time_zone = \"America/Toronto\"",
            "balance = 7",
            "last_outcome = \"busy\"",
            "priority = 5 and attempts = 2 and days_in_list = 3",
        ]
        .map(String::from),
    );
    let book = ZoneBook::default();
    let past = Past {
        added_at: Utc::from_micros(0),
        last_outcome: Some(AttemptOutcome::Busy),
    };
    for text in filters {
        let filter = Filter::new(&text);
        assert_eq!(filter.error(), None, "{text}");
        let mut reads = Reads::default();
        reads.add(&filter);
        let mut less = ada.clone();
        less.fields.retain(|name, _| reads.fields.contains(name));
        if !reads.numbers {
            less.numbers.clear();
        }
        less.time_zone = less.time_zone.filter(|_| reads.time_zone);
        less.name = less.name.filter(|_| reads.name);
        less.customer_key = less.customer_key.filter(|_| reads.customer_key);
        less.last_disposition = less.last_disposition.filter(|_| reads.last_disposition);
        let last_outcome = past.last_outcome.filter(|_| reads.last_outcome);
        let matches = |lead: &Lead, past| {
            let subject = Subject {
                lead,
                past,
                book: &book,
                now: Utc::from_micros(3 * DAY_US + 1),
            };
            filter.matches(&subject)
        };
        assert!(matches(&ada, past), "{text}");
        assert!(
            matches(
                &less,
                Past {
                    last_outcome,
                    ..past
                }
            ),
            "{text}: {reads:?}"
        );
    }
}

#[test]
fn the_day_on_which_time_changes_the_answer_is_known_before() {
    let book = ZoneBook::default();
    let lead = lead("+12125550100", &[]);
    let at = |filter: &str, now: i64| {
        let subject = Subject {
            lead: &lead,
            past: Past::default(),
            book: &book,
            now: Utc::from_micros(now),
        };
        let filter = Filter::new(filter);
        let is = filter.matches(&subject);
        let changes = filter.changes_at(&subject).map(Utc::as_micros);
        // Until then the answer stays.
        if let Some(until) = changes {
            for step in 1..8 {
                let now = Utc::from_micros(now + (until - 1 - now) * step / 7);
                assert_eq!(filter.matches(&Subject { now, ..subject }), is);
            }
        }
        changes
    };
    assert_eq!(at("days_in_list < 30", 0), Some(30 * DAY_US));
    assert_eq!(at("days_in_list <= 30", 30 * DAY_US), Some(31 * DAY_US));
    assert_eq!(
        at("days_in_list in (2, 5) or vip", 3 * DAY_US),
        Some(5 * DAY_US)
    );
    assert_eq!(at("not days_in_list > 2.5", 0), Some(3 * DAY_US));
    assert_eq!(at("days_in_list < 30", 40 * DAY_US), None);
    assert_eq!(at("vip", 0), None);
}

/// Any word with a test that fits it.
fn comparison() -> impl Strategy<Value = Node> {
    let number = (-9_999_999_i64..9_999_999).prop_map(|n| n as f64 / 100.0);
    let day = (1990_i16..2040, 1_i8..13, 1_i8..29).prop_map(|(y, m, d)| Date::constant(y, m, d));
    let order = prop::sample::select(vec![
        Order::Less,
        Order::LessOrEqual,
        Order::Greater,
        Order::GreaterOrEqual,
    ]);
    let numbers = prop::collection::vec(number.clone(), 1..4);
    let days = prop::collection::vec(day.clone(), 1..4);
    let texts = prop::collection::vec("[^\\p{C}]{0,8}", 1..4);
    // A column is used as one type only: its name says which.
    let of = |kind: &'static str, test: BoxedStrategy<Test>| {
        ("[a-z ]{1,5}", test).prop_map(move |(name, test)| Node::Is {
            word: Word::Column(format!("{kind}{name}")),
            test,
            at: 0..0,
        })
    };
    let numeric = prop_oneof![
        numbers.prop_map(Test::NumberIn),
        (order.clone(), number).prop_map(|(order, than)| Test::Number(order, than)),
    ];
    let daily = prop_oneof![
        days.prop_map(Test::DayIn),
        (order, day).prop_map(|(order, than)| Test::Day(order, than)),
    ];
    let textual = prop_oneof![
        texts.prop_map(Test::TextIn),
        "[^\\p{C}]{0,8}".prop_map(Test::Starts),
    ];
    let known = prop::sample::select(vec![Known::Priority, Known::Attempts, Known::DaysInList]);
    prop_oneof![
        of("n", numeric.clone().boxed()),
        of("d", daily.boxed()),
        of("t", textual.boxed()),
        of("y", any::<bool>().prop_map(Test::YesNo).boxed()),
        of("e", Just(Test::Empty).boxed()),
        (known, numeric).prop_map(|(known, test)| Node::Is {
            word: Word::Known(known),
            test,
            at: 0..0
        }),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    comparison().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Node::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Node::Or),
            inner.prop_map(|node| Node::Not(Box::new(node))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_as_the_same(node in node()) {
        let printed = node.to_string();
        prop_assume!(printed.len() <= FILTER_BYTES_MAX);
        let filter = Filter::new(&printed);
        prop_assert_eq!(filter.error(), None, "{}", printed);
        prop_assert_eq!(filter.node(), Some(&node), "{}", printed);
        prop_assert_eq!(filter.canonical(), printed);
    }

    #[test]
    fn no_text_makes_the_reader_panic_and_every_mistake_lies_in_the_text(
        text in prop_oneof![".{0,60}", "([a-c]| |not|and|or|in|\\(|\\)|\"|`|=|<|2026-01-31|,|-?[0-9.]{1,4}|\\\\){0,20}"],
    ) {
        let filter = Filter::new(&text);
        if let Some(error) = filter.error() {
            prop_assert!(error.at.end <= text.len());
            prop_assert!(text.is_char_boundary(error.at.start) && text.is_char_boundary(error.at.end));
        } else {
            let again = Filter::new(&filter.canonical());
            prop_assert_eq!(again.node(), filter.node());
        }
    }

    /// The three values as a table: what is unknown may be either, and the answer is only given where
    /// both lead to it.
    #[test]
    fn an_answer_with_unknown_cells_is_the_one_that_every_reading_of_them_gives(
        shape in "[abc]( (and|or) (not )?[abc]){0,4}", cells in prop::collection::vec(0..3_usize, 3),
    ) {
        let said = |cells: &[usize]| {
            let cells: Vec<(&str, &str)> = ["a", "b", "c"].into_iter()
                .zip(cells.iter().map(|cell| ["yes", "no", "?"][*cell])).collect();
            matches(&shape, &lead("+12125550100", &cells))
        };
        // Only where every known reading matches may the unknown one; the converse needs not hold.
        let mut readings = vec![cells.clone()];
        for at in 0..3 {
            if cells[at] == 2 {
                readings = readings.into_iter().flat_map(|cells| [0, 1].map(|is| {
                    let mut cells = cells.clone();
                    cells[at] = is;
                    cells
                })).collect();
            }
        }
        if said(&cells) {
            prop_assert!(readings.iter().all(|cells| said(cells)));
        }
        if !cells.contains(&2) {
            let inverse = format!("not ({shape})");
            let known: Vec<(&str, &str)> = ["a", "b", "c"].into_iter()
                .zip(cells.iter().map(|cell| ["yes", "no"][*cell])).collect();
            prop_assert_ne!(said(&cells), matches(&inverse, &lead("+12125550100", &known)));
        }
    }
}
