//! When a lead is dialled again: by outcome, by the day, by the band of the day, over the change of clocks.

use super::*;
use model::event::Mode;
use proptest::prelude::*;

fn utc(text: &str) -> Utc {
    Utc::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

fn lead(numbers: &[&str], zone: Option<&str>) -> Lead {
    let parsed = numbers.iter().map(|number| number.parse().unwrap());
    Lead {
        numbers: parsed.collect(),
        ..crate::test_lead::lead(numbers[0], zone)
    }
}

fn campaign(change: impl FnOnce(&mut CampaignConfig)) -> CampaignConfig {
    let mut campaign = CampaignConfig::new(Mode::Predictive, "+12125550100");
    change(&mut campaign);
    campaign
}

fn again_at(
    campaign: &CampaignConfig,
    sets: &[RuleSet],
    lead: &Lead,
    tried: &[Utc],
    outcome: AttemptOutcome,
    now: Utc,
) -> Option<Utc> {
    let book = ZoneBook::default();
    let next = Again {
        campaign,
        sets,
        book: &book,
        lead,
        tried,
        agent_reserved: false,
        prerecorded: false,
    }
    .next(outcome, now);
    match next {
        LeadNext::Again { at, number: _ } => Some(at),
        LeadNext::Done => None,
    }
}

fn us() -> Vec<RuleSet> {
    crate::rules::resolve(&["us".into()], &Default::default())
}

#[test]
fn an_outcome_has_its_wait_its_attempts_and_its_other_number() {
    let (book, ada) = (
        ZoneBook::default(),
        lead(&["+12125550100", "+12125550101"], None),
    );
    let mut campaign = campaign(|_| ());
    let rule = RetryRule {
        wait_s: 120,
        attempts: 2,
        other_number: true,
    };
    campaign.retry.insert(AttemptOutcome::Busy, rule);
    let now = utc("2026-01-07T15:00:00Z");
    let next = |attempts: u16, outcome| {
        Again {
            campaign: &campaign,
            sets: &[],
            book: &book,
            lead: &Lead {
                attempts,
                ..ada.clone()
            },
            tried: &[],
            agent_reserved: false,
            prerecorded: false,
        }
        .next(outcome, now)
    };
    let at = now.plus_micros(120_000_000);
    let again = LeadNext::Again { at, number: 1 };
    assert_eq!(next(0, AttemptOutcome::Busy), again);
    assert_eq!(next(1, AttemptOutcome::Busy), LeadNext::Done);
    assert_ne!(next(1, AttemptOutcome::NoAnswer), LeadNext::Done);
}

#[test]
fn who_did_not_answer_is_tried_in_one_band_after_the_other_and_weekends_last() {
    let campaign = campaign(|campaign| {
        campaign.vary_hour = true;
        let rule = RetryRule {
            wait_s: 3_600,
            attempts: 99,
            other_number: false,
        };
        campaign.retry.insert(AttemptOutcome::NoAnswer, rule);
        campaign.max_attempts = 99;
    });
    let (ada, sets) = (lead(&["+12125550100"], None), us());
    // A Wednesday in January, half past eight in New York.
    let mut tried = vec![utc("2026-01-07T13:30:00Z")];
    let mut heard = Vec::new();
    for _ in 0..6 {
        let now = tried.last().unwrap().plus_micros(26_000_000);
        let at = again_at(
            &campaign,
            &sets,
            &ada,
            &tried,
            AttemptOutcome::NoAnswer,
            now,
        )
        .unwrap();
        heard.push(
            Timestamp::from_microsecond(at.as_micros())
                .unwrap()
                .to_string(),
        );
        tried.push(at);
    }
    assert_eq!(
        heard,
        [
            "2026-01-07T16:00:00Z", // noon begins at eleven
            "2026-01-07T19:00:00Z", // the afternoon
            "2026-01-07T22:00:00Z", // the evening
            "2026-01-10T13:00:00Z", // Saturday, as soon as it is legal
            "2026-01-12T13:00:00Z", // all were tried once: Monday morning
            "2026-01-12T16:00:00Z",
        ]
    );
    // Somebody was there: the band was right.
    let now = utc("2026-01-07T13:31:00Z");
    let at = again_at(
        &campaign,
        &sets,
        &ada,
        &tried[..1],
        AttemptOutcome::Busy,
        now,
    );
    assert_eq!(at, Some(now.plus_micros(600_000_000)));
}

#[test]
fn a_band_in_which_nobody_may_be_called_is_passed_over() {
    let closed = r#"id = "c"
[[rule]]
id = "C-1"
text = ""
hours = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "09:00", to = "14:00" }]
"#;
    let sets = vec![toml::from_str::<RuleSet>(closed).unwrap()];
    let campaign = campaign(|campaign| campaign.vary_hour = true);
    let ada = lead(&["+12125550100"], None);
    let tried = [utc("2026-01-07T16:30:00Z")];
    let now = tried[0].plus_micros(26_000_000);
    // Noon was tried; afternoon, evening and weekend never open: the next morning.
    let at = again_at(
        &campaign,
        &sets,
        &ada,
        &tried,
        AttemptOutcome::NoAnswer,
        now,
    );
    assert_eq!(at, Some(utc("2026-01-08T14:00:00Z")));
}

#[test]
fn the_day_of_a_person_of_two_zones_is_over_when_it_is_over_in_both() {
    let campaign = campaign(|campaign| campaign.max_attempts_per_day = Some(1));
    let ada = lead(&["+12125550100", "+13105550100"], None);
    let tried = [utc("2026-01-07T20:00:00Z")];
    let now = utc("2026-01-08T02:00:00Z");
    let at = again_at(&campaign, &[], &ada, &tried, AttemptOutcome::Busy, now);
    assert_eq!(
        at,
        Some(utc("2026-01-08T08:00:00Z")),
        "midnight in Los Angeles"
    );
    let here = lead(&["+12125550100", "+13105550100"], Some("America/New_York"));
    let at = again_at(&campaign, &[], &here, &tried, AttemptOutcome::Busy, now);
    assert_eq!(
        at,
        Some(utc("2026-01-08T05:00:00Z")),
        "the address knows better"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Over the nights on which clocks are changed, in zones that do so at one, two and midnight, and
    /// one of half an hour.
    #[test]
    fn attempts_of_a_day_are_never_exceeded_whatever_the_clocks_do(
        zone in prop::sample::select(vec!["America/New_York", "Europe/Berlin", "America/Havana",
            "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe", "Atlantic/Azores", "America/Santiago"]),
        start in prop::sample::select(vec!["2026-03-06T11:00:00Z", "2026-03-27T03:00:00Z",
            "2026-04-03T20:00:00Z", "2026-04-23T20:00:00Z", "2026-09-04T22:00:00Z", "2026-10-23T09:00:00Z", "2026-10-30T23:30:00Z"]),
        most in 1_u16..4, waits in prop::collection::vec(60_u32..20_000, 30), vary: bool,
    ) {
        let ada = lead(&["+12125550100"], Some(zone));
        let (sets, clock) = (us(), ZoneBook::default().zone(zone).unwrap());
        let mut tried = vec![utc(start)];
        for wait_s in waits {
            let campaign = campaign(|campaign| {
                campaign.max_attempts_per_day = Some(most);
                campaign.max_attempts = 99;
                campaign.vary_hour = vary;
                let rule = RetryRule { wait_s, attempts: 99, other_number: false };
                campaign.retry.insert(AttemptOutcome::NoAnswer, rule);
            });
            let now = *tried.last().unwrap();
            let at = again_at(&campaign, &sets, &ada, &tried, AttemptOutcome::NoAnswer, now).unwrap();
            prop_assert!(at >= now.plus_micros(i64::from(wait_s) * 1_000_000));
            tried.push(at);
            let day = local(&clock, at).date();
            let that_day = tried.iter().filter(|dial| local(&clock, **dial).date() == day).count();
            prop_assert!(that_day <= usize::from(most), "{that_day} on {day} in {zone}");
        }
    }
}
