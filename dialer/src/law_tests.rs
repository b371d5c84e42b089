//! Each rule with a test that tries to break it, at the edges of time, zone and state.

use super::*;
use crate::calling_window::check_calls;
use crate::input::PastDial;
use crate::rules::{embedded, resolve};
use crate::zone::ZoneBook;
use jiff::Timestamp;
use model::{AttemptOutcome, Lead};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static ZONES: LazyLock<ZoneBook> = LazyLock::new(ZoneBook::default);

const HOUR_US: i64 = 3_600_000_000;

fn utc(text: &str) -> Utc {
    Utc::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

fn lead(number: &str, columns: &[(&str, &str)]) -> Lead {
    Lead {
        customer_key: Some("ann".into()),
        fields: columns
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        ..Lead::new(
            model::LeadId(1),
            "l".parse().unwrap(),
            vec![number.parse().unwrap()],
        )
    }
}

/// A world of rule sets, lists and dials that a lead is asked about in.
struct World {
    sets: Vec<RuleSet>,
    lists: DoNotCall,
    dials: Frequency,
    reserved: bool,
    prerecorded: bool,
}

impl World {
    fn of(sets: &[&str]) -> World {
        let names: Vec<String> = sets.iter().map(|name| name.to_string()).collect();
        World::with(resolve(&names, &BTreeMap::new()))
    }

    fn with(sets: Vec<RuleSet>) -> World {
        World {
            dials: Frequency::for_rules(sets.iter()),
            sets,
            lists: DoNotCall::default(),
            reserved: false,
            prerecorded: false,
        }
    }

    fn rule(text: &str) -> World {
        let text = format!("id = \"x\"\n[[rule]]\nid = \"X-1\"\ntext = \"t\"\n{text}");
        let set = RuleSet::from_toml(&text).unwrap();
        assert_eq!(set.problems(), []);
        World::with(vec![set])
    }

    fn ask(&self, lead: &Lead, at: Utc) -> Result<(), Refusal> {
        let place = ZONES.place(lead, lead.number());
        let facts = LawFacts::of(lead);
        let question = Question {
            sets: &self.sets,
            campaign: "spring".parse().unwrap(),
            number: lead.number(),
            place: &place,
            facts: &facts,
            agent_reserved: self.reserved,
            prerecorded: self.prerecorded,
        };
        let memory = Memory {
            lists: &self.lists,
            dials: &self.dials,
        };
        question.ask(&memory, at)
    }

    fn blocked_by(&self, lead: &Lead, at: &str) -> Option<String> {
        self.ask(lead, utc(at)).err().map(|refusal| refusal.rule)
    }

    fn opens(&self, lead: &Lead, at: &str) -> Utc {
        self.ask(lead, utc(at)).unwrap_err().opens
    }

    fn dialled(&mut self, lead: &Lead, at: &str, outcome: AttemptOutcome) {
        let whom = LawFacts::of(lead).whom(lead.number());
        self.dials.dialled(&whom, utc(at));
        self.dials.ended(&whom, outcome, utc(at));
    }
}

fn is(rule: &str) -> Option<String> {
    Some(rule.into())
}

// Hours of the states, at their borders

#[test]
fn a_state_closes_for_its_own_and_for_nobody_across_the_border() {
    let us = World::of(&["us"]);
    // 20:30 in the East on a Thursday.
    let at = "2026-07-03T00:30:00Z";
    assert_eq!(us.blocked_by(&lead("+13055550100", &[]), at), is("FL-1"));
    assert_eq!(
        us.blocked_by(&lead("+14045550100", &[]), at),
        None,
        "Georgia"
    );
    // Someone who took a Georgian number along to Florida, by each way to say so.
    for column in [
        ("state", "FL"),
        ("state", "florida"),
        ("postal_code", "33101"),
    ] {
        let moved = lead("+14045550100", &[column]);
        assert_eq!(us.blocked_by(&moved, at), is("FL-1"), "{column:?}");
    }
    // The panhandle is an hour behind: 19:30 there, and the number may be in either zone.
    assert_eq!(us.blocked_by(&lead("+18505550100", &[]), at), is("FL-1"));
    assert_eq!(us.blocked_by(&lead("+14485550100", &[]), at), is("FL-1"));
    let pensacola = lead("+12055550100", &[("postal_code", "32501")]);
    assert_eq!(
        us.blocked_by(&pensacola, at),
        None,
        "19:30 in Florida and in Alabama"
    );
    assert_eq!(
        us.blocked_by(&pensacola, "2026-07-03T01:00:00Z"),
        is("FL-1")
    );
}

#[test]
fn every_state_of_the_table_closes_at_its_minute() {
    let us = World::of(&["us"]);
    // Number, rule, the last legal instant and the first illegal one, local summer time to Z.
    for (number, rule, open, closed) in [
        (
            "+14055550100",
            "OK-1",
            "2026-07-03T00:59:59.999999Z",
            "2026-07-03T01:00:00Z",
        ),
        (
            "+12065550100",
            "WA-1",
            "2026-07-03T02:59:59.999999Z",
            "2026-07-03T03:00:00Z",
        ),
        (
            "+14105550100",
            "ST-MD",
            "2026-07-02T23:59:59.999999Z",
            "2026-07-03T00:00:00Z",
        ),
        (
            "+15035550100",
            "ST-OR",
            "2026-07-03T02:59:59.999999Z",
            "2026-07-03T03:00:00Z",
        ),
        (
            "+12035550100",
            "ST-CT",
            "2026-07-02T23:59:59.999999Z",
            "2026-07-03T00:00:00Z",
        ),
        (
            "+16175550100",
            "ST-MA",
            "2026-07-02T23:59:59.999999Z",
            "2026-07-03T00:00:00Z",
        ),
        (
            "+14015550100",
            "ST-RI",
            "2026-07-02T21:59:59.999999Z",
            "2026-07-02T22:00:00Z",
        ),
        (
            "+12055550100",
            "ST-AL",
            "2026-07-03T00:59:59.999999Z",
            "2026-07-03T01:00:00Z",
        ),
        (
            "+15045550100",
            "ST-LA",
            "2026-07-03T00:59:59.999999Z",
            "2026-07-03T01:00:00Z",
        ),
        (
            "+16015550100",
            "ST-MS",
            "2026-07-03T00:59:59.999999Z",
            "2026-07-03T01:00:00Z",
        ),
        // These begin later than the rest of the country.
        (
            "+15025550100",
            "ST-KY",
            "2026-07-02T14:00:00Z",
            "2026-07-02T13:59:59.999999Z",
        ),
        (
            "+16125550100",
            "ST-MN",
            "2026-07-02T14:00:00Z",
            "2026-07-02T13:59:59.999999Z",
        ),
        (
            "+15055550100",
            "ST-NM",
            "2026-07-02T15:00:00Z",
            "2026-07-02T14:59:59.999999Z",
        ),
        (
            "+12145550100",
            "ST-TX",
            "2026-07-02T14:00:00Z",
            "2026-07-02T13:59:59.999999Z",
        ),
    ] {
        let lead = lead(number, &[]);
        assert_eq!(us.blocked_by(&lead, open), None, "{rule}");
        assert_eq!(us.blocked_by(&lead, closed), is(rule));
    }
}

#[test]
fn sundays_and_holidays_are_free_where_a_state_says_so() {
    let us = World::of(&["us"]);
    // Sunday 28 June 2026, noon in Alabama and Louisiana; Saturday before it is fine.
    for (number, rule) in [
        ("+12055550100", "ST-AL"),
        ("+15045550100", "ST-LA"),
        ("+16015550100", "ST-MS"),
        ("+14015550100", "ST-RI"),
        ("+18015550100", "ST-UT"),
    ] {
        let lead = lead(number, &[]);
        assert_eq!(
            us.blocked_by(&lead, "2026-06-27T17:00:00Z"),
            None,
            "{rule} on Saturday"
        );
        assert_eq!(us.blocked_by(&lead, "2026-06-28T17:00:00Z"), is(rule));
    }
    // Texas: from noon.
    let texan = lead("+12145550100", &[]);
    assert_eq!(
        us.blocked_by(&texan, "2026-06-28T16:59:59.999999Z"),
        is("ST-TX")
    );
    assert_eq!(us.blocked_by(&texan, "2026-06-28T17:00:00Z"), None);
    // Thanksgiving is on 26 November, a Thursday; Friday opens again.
    let pennsylvanian = lead("+12155550100", &[]);
    let thanksgiving = "2026-11-26T17:00:00Z";
    assert_eq!(us.blocked_by(&pennsylvanian, thanksgiving), is("ST-PA"));
    assert_eq!(
        us.opens(&pennsylvanian, thanksgiving),
        utc("2026-11-27T13:00:00Z")
    );
    // The free day is that of the called place: 23:30 in Chicago is not Thanksgiving's end in London.
    let alabaman = lead("+12055550100", &[]);
    assert_eq!(
        us.opens(&alabaman, thanksgiving),
        utc("2026-11-27T14:00:00Z")
    );
    // Saturday evening before Labor Day: Sunday and Monday are free.
    assert_eq!(
        us.opens(&alabaman, "2026-09-06T02:00:00Z"),
        utc("2026-09-08T13:00:00Z")
    );
}

#[test]
fn a_rule_binds_from_its_first_day_to_its_last_by_the_local_calendar() {
    let world = World::rule(
        "from = \"2026-07-02\"\nuntil = \"2026-07-02\"\nstates = [\"GA\"]\nhours = [{ from = \"12:00\", to = \"13:00\" }]",
    );
    let lead = lead("+14045550100", &[]);
    // Midnight in Georgia is 04:00Z.
    assert_eq!(world.blocked_by(&lead, "2026-07-02T03:59:59.999999Z"), None);
    assert_eq!(world.blocked_by(&lead, "2026-07-02T04:00:00Z"), is("X-1"));
    assert_eq!(world.blocked_by(&lead, "2026-07-02T16:30:00Z"), None);
    assert_eq!(
        world.blocked_by(&lead, "2026-07-03T03:59:59.999999Z"),
        is("X-1")
    );
    assert_eq!(world.blocked_by(&lead, "2026-07-03T04:00:00Z"), None);
}

// The clock change

#[test]
fn hours_in_the_gap_open_when_the_clock_is_put_on_and_those_in_the_fold_twice() {
    // New York: 02:00 becomes 03:00 on 8 March 2026 (07:00Z); 02:00 becomes 01:00 on 1 November (06:00Z).
    let lead = lead("+12125550100", &[]);
    let gap = World::rule("hours = [{ from = \"02:30\", to = \"05:00\" }]");
    assert_eq!(
        gap.opens(&lead, "2026-03-08T06:59:59Z"),
        utc("2026-03-08T07:00:00Z")
    );
    let fold = World::rule("hours = [{ from = \"01:30\", to = \"03:00\" }]");
    assert_eq!(
        fold.opens(&lead, "2026-11-01T05:00:00Z"),
        utc("2026-11-01T05:30:00Z")
    );
    assert_eq!(fold.blocked_by(&lead, "2026-11-01T05:59:59Z"), None);
    // It is 01:00 again.
    assert_eq!(
        fold.opens(&lead, "2026-11-01T06:00:00Z"),
        utc("2026-11-01T06:30:00Z")
    );
    assert_eq!(fold.blocked_by(&lead, "2026-11-01T06:30:00Z"), None);
    // A day that ends at midnight, and one that begins there.
    let night = World::rule("hours = [{ days = [\"sat\"], from = \"00:00\", to = \"24:00\" }]");
    assert_eq!(night.blocked_by(&lead, "2026-03-08T04:59:59.999999Z"), None);
    assert_eq!(
        night.opens(&lead, "2026-03-08T05:00:00Z"),
        utc("2026-03-14T04:00:00Z")
    );
}

#[test]
fn two_zones_must_both_be_open_across_a_clock_change_that_only_one_makes() {
    // Northern Arizona: Phoenix keeps its clock, the Navajo Nation does not.
    let us = World::of(&["us"]);
    let lead = lead("+19285550100", &[]);
    // Winter: both at UTC-7. Summer: Phoenix opens at 15:00Z, Denver closes at 03:00Z.
    assert_eq!(us.blocked_by(&lead, "2026-01-07T15:00:00Z"), None);
    assert_eq!(us.blocked_by(&lead, "2026-01-08T03:59:59Z"), None);
    assert_eq!(us.blocked_by(&lead, "2026-07-07T14:59:59Z"), is("US-5"));
    assert_eq!(us.blocked_by(&lead, "2026-07-07T15:00:00Z"), None);
    assert_eq!(us.blocked_by(&lead, "2026-07-08T03:00:00Z"), is("US-5"));
}

// Caps and locks

#[test]
fn a_debt_is_called_about_seven_times_in_seven_days_and_not_after_a_talk() {
    let mut world = World::of(&["us", "regf"]);
    let noon = |day: u32| format!("2026-06-{day:02}T16:00:00Z");
    let debtor = lead("+12125550100", &[("debt", "d-1")]);
    for n in 0..7 {
        assert_eq!(world.blocked_by(&debtor, &noon(1)), None, "call {n}");
        world.dialled(&debtor, &noon(1), AttemptOutcome::NoAnswer);
    }
    assert_eq!(world.blocked_by(&debtor, &noon(1)), is("REGF-1"));
    assert_eq!(world.opens(&debtor, &noon(1)), utc(&noon(8)));
    assert_eq!(
        world.blocked_by(&lead("+12125550100", &[("debt", "d-2")]), &noon(1)),
        None
    );
    // Another number and another campaign's lead of the same debt.
    assert_eq!(
        world.blocked_by(&lead("+13105550100", &[("debt", "d-1")]), &noon(1)),
        is("REGF-1")
    );

    let talked = lead("+12125550101", &[("debt", "d-3")]);
    world.dialled(&talked, &noon(1), AttemptOutcome::AnsweredAgent);
    assert_eq!(
        world.blocked_by(&talked, "2026-06-08T15:59:59.999999Z"),
        is("REGF-1")
    );
    assert_eq!(world.blocked_by(&talked, &noon(8)), None);
    // Direct consent opens it for seven days, and no longer.
    let consent = [
        ("debt", "d-3"),
        ("consent", "direct"),
        ("consent_at", "2026-06-02T00:00:00Z"),
    ];
    let agreed = lead("+12125550101", &consent);
    assert_eq!(world.blocked_by(&agreed, &noon(2)), None);
    world.dialled(&agreed, &noon(7), AttemptOutcome::AnsweredAgent);
    assert_eq!(world.blocked_by(&agreed, &noon(8)), None);
    assert_eq!(world.blocked_by(&agreed, &noon(9)), is("REGF-1"));
    // The set for collections refuses a lead that names no debt.
    assert_eq!(
        world.blocked_by(&lead("+12125550199", &[]), &noon(1)),
        is("REGF-1")
    );
    assert_eq!(
        World::of(&["us"]).blocked_by(&lead("+12125550199", &[]), &noon(1)),
        None
    );
}

#[test]
fn three_calls_in_a_day_on_a_subject_in_florida_by_any_number() {
    let mut world = World::of(&["us"]);
    let florida = |number: &str, subject: &str| lead(number, &[("subject", subject)]);
    for n in 0..3 {
        let call = florida(&format!("+1305555010{n}"), "roof");
        assert_eq!(world.blocked_by(&call, "2026-06-01T16:00:00Z"), None);
        world.dialled(&call, "2026-06-01T16:00:00Z", AttemptOutcome::Busy);
    }
    let fourth = florida("+13055550109", "roof");
    assert_eq!(
        world.blocked_by(&fourth, "2026-06-02T15:59:59.999999Z"),
        is("FL-1")
    );
    assert_eq!(world.blocked_by(&fourth, "2026-06-02T16:00:00Z"), None);
    assert_eq!(
        world.blocked_by(&florida("+13055550109", "car"), "2026-06-01T17:00:00Z"),
        None
    );
    // The same person on a Georgian number is not in Florida.
    let elsewhere = florida("+14045550109", "roof");
    assert_eq!(world.blocked_by(&elsewhere, "2026-06-01T17:00:00Z"), None);
}

#[test]
fn an_abandoned_number_rests_three_days_and_a_machine_one_unless_an_agent_is_held() {
    let mut world = World::of(&["uk"]);
    let (first, other) = (lead("+442079460100", &[]), lead("+442079460101", &[]));
    world.dialled(&first, "2026-06-01T12:00:00Z", AttemptOutcome::Abandoned);
    world.dialled(&other, "2026-06-01T12:00:00Z", AttemptOutcome::Machine);
    assert_eq!(
        world.blocked_by(&first, "2026-06-04T11:59:59.999999Z"),
        is("UK-2a")
    );
    assert_eq!(world.blocked_by(&first, "2026-06-04T12:00:00Z"), None);
    assert_eq!(
        world.blocked_by(&other, "2026-06-02T11:59:59.999999Z"),
        is("UK-2b")
    );
    assert_eq!(world.blocked_by(&other, "2026-06-02T12:00:00Z"), None);
    // The lock is the number's: another lead with it waits as well.
    let mut again = first.clone();
    again.id = model::LeadId(2);
    again.customer_key = None;
    assert_eq!(
        world.blocked_by(&again, "2026-06-02T12:00:00Z"),
        is("UK-2a")
    );
    world.reserved = true;
    assert_eq!(world.blocked_by(&first, "2026-06-01T12:00:01Z"), None);
    assert_eq!(world.blocked_by(&other, "2026-06-01T12:00:01Z"), None);
}

#[test]
fn what_the_store_tells_of_the_days_before_counts() {
    let mut world = World::of(&["uk"]);
    let lead = lead("+442079460100", &[]);
    world.dials.load(PastDial {
        number: lead.number(),
        person: "ann".into(),
        at: utc("2026-06-01T12:00:00Z"),
        outcome: Some(AttemptOutcome::Abandoned),
        ended_at: Some(utc("2026-06-01T12:01:00Z")),
        subject: None,
        debt: None,
    });
    assert_eq!(
        world.opens(&lead, "2026-06-02T12:00:00Z"),
        utc("2026-06-04T12:01:00Z")
    );
}

// Lists

#[test]
fn a_national_list_is_at_most_thirty_one_days_old() {
    let mut world = World::of(&["us"]);
    let lead = lead("+12125550100", &[]);
    let as_of = Some(utc("2026-05-01T00:00:00Z"));
    world.lists.load(
        "us".parse().unwrap(),
        DoNotCallKind::National,
        as_of,
        &[],
        false,
    );
    assert_eq!(world.blocked_by(&lead, "2026-05-31T16:00:00Z"), None);
    assert_eq!(world.blocked_by(&lead, "2026-06-01T16:00:00Z"), is("US-6"));
    let refusal = world.ask(&lead, utc("2026-06-01T16:00:00Z")).unwrap_err();
    assert!(refusal.reason.unwrap().contains("2026-05-01"));
    assert!(!refusal.is_of_number);
    world.lists.load(
        "us".parse().unwrap(),
        DoNotCallKind::National,
        None,
        &[],
        false,
    );
    assert_eq!(
        world.blocked_by(&lead, "2026-05-31T16:00:00Z"),
        is("US-6"),
        "no date"
    );
}

#[test]
fn an_exemption_opens_the_national_list_and_never_the_internal_one() {
    let mut world = World::of(&["us"]);
    let number: PhoneNumber = "+12125550100".parse().unwrap();
    let as_of = Some(utc("2026-06-01T00:00:00Z"));
    world.lists.load(
        "us".parse().unwrap(),
        DoNotCallKind::National,
        as_of,
        &[number],
        false,
    );
    let at = "2026-06-02T16:00:00Z";
    let ask = |world: &World, columns: &[(&str, &str)]| {
        world.blocked_by(&lead("+12125550100", columns), at)
    };
    assert_eq!(ask(&world, &[]), is("US-6"));
    for columns in [
        &[("purchase_at", "2024-12-03")][..],
        &[("inquiry_at", "2026-03-03")][..],
        &[("consent", "written"), ("consent_at", "2020-01-01")][..],
    ] {
        assert_eq!(ask(&world, columns), None, "{columns:?}");
    }
    for columns in [
        &[("purchase_at", "2024-12-02")][..],
        &[("inquiry_at", "2026-03-02")][..],
        &[("consent", "express"), ("consent_at", "2020-01-01")][..],
        &[("purchase_at", "last week")][..],
    ] {
        assert_eq!(ask(&world, columns), is("US-6"), "{columns:?}");
    }
    let unread = lead("+12125550100", &[("purchase_at", "last week")]);
    let reason = world.ask(&unread, utc(at)).unwrap_err().reason.unwrap();
    assert!(reason.contains("last week"), "{reason}");
    world.lists.add(number);
    assert_eq!(ask(&world, &[("purchase_at", "2026-06-01")]), is(DNC));
    // Nor does it open a list of the campaign or of an area, whatever its name.
    for (kind, name, rule) in [
        (DoNotCallKind::Campaign, "spring", DNC),
        (DoNotCallKind::Area, "texas", DNC),
        (DoNotCallKind::Area, "us", "US-6"),
        (DoNotCallKind::Internal, "us", "US-6"),
    ] {
        let mut world = World::of(&["us"]);
        let numbers = [number];
        world
            .lists
            .load(name.parse().unwrap(), kind, as_of, &numbers, false);
        let bought = ask(&world, &[("purchase_at", "2026-06-01")]);
        assert_eq!(bought, is(rule), "{kind:?} {name}");
    }
}

#[test]
fn a_list_that_a_rule_requires_has_to_be_there() {
    let world = World::rule("do_not_call = { list = \"us\", max_age_days = 31, required = true }");
    assert_eq!(
        world.blocked_by(&lead("+12125550100", &[]), "2026-06-01T16:00:00Z"),
        is("X-1")
    );
}

// Recorded voices

#[test]
fn a_recording_needs_written_consent_and_the_answer_about_reassigned_numbers() {
    let mut world = World::of(&["us"]);
    let at = "2026-06-15T16:00:00Z";
    let nothing = lead("+12125550100", &[]);
    assert_eq!(world.blocked_by(&nothing, at), None, "an agent calls");
    world.prerecorded = true;
    assert_eq!(world.blocked_by(&nothing, at), is("US-8"));
    let express = lead(
        "+12125550100",
        &[("consent", "express"), ("consent_at", "2026-06-01")],
    );
    assert_eq!(world.blocked_by(&express, at), is("US-8"));
    let unread = lead(
        "+12125550100",
        &[("consent", "written"), ("consent_at", "06/01/2026")],
    );
    let refusal = world.ask(&unread, utc(at)).unwrap_err();
    assert_eq!(refusal.rule, "US-8");
    assert!(refusal.reason.unwrap().contains("06/01/2026"));
    let consent = [("consent", "written"), ("consent_at", "2026-06-01")];
    assert_eq!(
        world.blocked_by(&lead("+12125550100", &consent), at),
        is("US-7")
    );
    let with = |answer, asked| {
        let asked = [("rnd_answer", answer), ("rnd_at", asked)];
        lead("+12125550100", &[consent, asked].concat())
    };
    assert_eq!(world.blocked_by(&with("no", "2026-06-10"), at), None);
    assert_eq!(world.blocked_by(&with("yes", "2026-06-10"), at), is("US-7"));
    assert_eq!(
        world.blocked_by(&with("no", "2026-05-01"), at),
        is("US-7"),
        "before the consent"
    );
    assert_eq!(
        world.blocked_by(&with("no", "2026-06-10"), "2026-07-15T16:00:00Z"),
        is("US-7"),
        "too old"
    );
}

#[test]
fn automated_calls_in_europe_need_an_opt_in_that_was_not_withdrawn() {
    for (set, rule, number) in [
        ("de", "EU-1", "+493055550100"),
        ("eu", "EU-1", "+33155550100"),
        ("uk", "UK-5", "+442079460100"),
    ] {
        let mut world = World::of(&[set]);
        world.prerecorded = true;
        let at = "2026-06-16T12:00:00Z";
        assert_eq!(world.blocked_by(&lead(number, &[]), at), is(rule));
        let opted = [("consent", "opt_in"), ("consent_at", "2026-01-01")];
        assert_eq!(world.blocked_by(&lead(number, &opted), at), None, "{set}");
        let over = [opted[0], opted[1], ("consent_until", "2026-06-15")];
        assert_eq!(world.blocked_by(&lead(number, &over), at), is(rule));
        world.lists.add(number.parse().unwrap());
        assert_eq!(
            world.blocked_by(&lead(number, &opted), at),
            is(DNC),
            "objected"
        );
    }
}

#[test]
fn a_states_hours_for_recordings_bind_recordings_only() {
    let mut world = World::of(&["us"]);
    let columns = [
        ("consent", "written"),
        ("consent_at", "2026-06-01"),
        ("rnd_answer", "no"),
        ("rnd_at", "2026-06-02"),
    ];
    // 08:30 in Los Angeles.
    let (lead, at) = (lead("+13105550100", &columns), "2026-06-16T15:30:00Z");
    assert_eq!(world.blocked_by(&lead, at), None);
    world.prerecorded = true;
    assert_eq!(world.blocked_by(&lead, at), is("ST-CA"));
}

// The first legal instant, by another way of reckoning

/// Rules of hours, holidays, days and states that have little in common.
fn odd_sets() -> Vec<RuleSet> {
    let odd = RuleSet::from_toml(
        r#"id = "odd"
        [[rule]]
        id = "O-1"
        text = "in two pieces, on some days"
        hours = [
            { days = ["mon", "wed", "sun"], from = "01:30", to = "02:45" },
            { days = ["tue", "thu", "fri", "sat", "sun"], from = "09:15", to = "24:00" },
        ]
        [[rule]]
        id = "O-2"
        text = "closed days"
        closed = ["2026-03-09", "2026-11-02"]
        [[rule]]
        id = "O-3"
        text = "caps and locks"
        cap = { calls = 2, within_s = 7200, per = ["number", "person"] }
        lock = { after = "abandoned", hours = 30, per = ["number"] }"#,
    )
    .unwrap();
    assert_eq!(odd.problems(), []);
    vec![odd]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_first_legal_instant_is_the_one_that_a_search_minute_by_minute_finds(
        start_min in 0_i64..(10 * 24 * 60),
        season in 0_usize..3,
        pick in 0_usize..6,
        odd in any::<bool>(),
        dials in proptest::collection::vec((0_i64..3_000, any::<bool>()), 0..4),
    ) {
        let season = ["2026-03-04T00:00:00Z", "2026-10-28T00:00:00Z", "2026-06-29T00:00:00Z"][season];
        let start = utc(season).plus_micros(start_min * 60_000_000);
        let (number, columns): (&str, &[(&str, &str)]) = [
            ("+12125550100", &[][..]),
            ("+18505550100", &[]),
            ("+19285550100", &[]),
            ("+12055550100", &[]),
            ("+14015550100", &[("state", "TX")]),
            ("+17095550100", &[]),
        ][pick];
        let lead = lead(number, columns);
        let mut world = match odd {
            true => World::with(odd_sets()),
            false => World::of(&["us"]),
        };
        let whom = LawFacts::of(&lead).whom(lead.number());
        for (before_min, abandoned) in dials {
            let at = start.plus_micros(-before_min * 60_000_000);
            world.dials.dialled(&whom, at);
            if abandoned {
                world.dials.ended(&whom, AttemptOutcome::Abandoned, at);
            }
        }
        let found = match world.ask(&lead, start) {
            Ok(()) => start,
            Err(refusal) => refusal.opens,
        };
        let mut minute = start;
        while world.ask(&lead, minute).is_err() {
            minute = minute.plus_micros(60_000_000);
            prop_assert!(minute.as_micros() - start.as_micros() < 15 * 24 * HOUR_US);
        }
        prop_assert_eq!(found, minute, "from {} on", start);
    }
}

#[test]
fn a_hundred_thousand_questions_are_asked_in_a_moment() {
    // The check is made three times for every dial: a rule set of forty rules must not cost the
    // dialer its second. Counted in zones looked at, not in time: each rule looks at each zone once.
    let us = embedded()["us"].clone();
    let place = ZONES.place(&lead("+12125550100", &[]), "+12125550100".parse().unwrap());
    let looked: usize = us
        .rules
        .iter()
        .map(|rule| place.zones_of(&rule.states).count())
        .sum();
    assert!(looked <= us.rules.len(), "{looked}");
    assert_eq!(
        check_calls(&[us], &place, false, utc("2026-06-16T15:30:00Z")),
        Ok(())
    );
}
