//! Filters and quotas at the store: who is handed out, exactly, and who is not lost.

use super::tests::{Desk, campaign, list};
use super::*;
use call::Input;
use dialer::CampaignConfig;
use dialer::filter::Filter;
use dialer::quota::{Period, Quota, QuotaCount};
use model::event::Mode;
use model::lead::LeadNext;
use model::{Lead, Rng};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// A Wednesday in January, 12:30 in New York.
const NOON_US: u64 = 1_767_807_000_000_000;
const DAY_US: u64 = 86_400_000_000;

fn store(dir: &std::path::Path, change: impl FnOnce(&mut CampaignConfig)) -> StoreConfig {
    let mut settings = CampaignConfig::new(Mode::Predictive, "+12125550100");
    settings.rules = vec!["us".into()];
    settings.lists = vec![list().into()];
    change(&mut settings);
    let mut config = StoreConfig::at(dir.join("tandem.db"));
    config.dialer.campaigns.insert(campaign(), settings);
    config
}

fn import(config: &StoreConfig, text: &str) {
    let now = Utc::from_micros(NOON_US.cast_signed());
    let options = ImportOptions::of(list());
    let report = import_csv(config, text.as_bytes(), &options, now, &mut |_| ()).unwrap();
    assert_eq!(report.rejected_total, 0);
}

fn open(config: &StoreConfig) -> Desk {
    Desk::open(config.clone(), Arc::new(AtomicU64::new(NOON_US)))
}

fn names(leads: &[Lead]) -> BTreeSet<String> {
    leads.iter().filter_map(|lead| lead.name.clone()).collect()
}

/// Everybody who is handed out, in turn, until the list has no more.
fn everybody(desk: &Desk) -> Vec<Lead> {
    let mut leads = Vec::new();
    loop {
        desk.handle.request(StoreRequest::FetchLeads {
            campaign: campaign(),
            lists: vec![list()],
            count: 70,
        });
        let Input::LeadsSupplied {
            leads: more,
            exhausted,
            ..
        } = desk.answer()
        else {
            panic!("nothing but leads was asked for");
        };
        leads.extend(more);
        if exhausted {
            return leads;
        }
    }
}

/// A list of people whose cells are as real ones: some are empty, and some are nonsense.
fn people(count: u64, seed: u64) -> (String, Vec<[&'static str; 4]>) {
    let mut rng = Rng::new(seed);
    let mut csv = String::from("phone,name,priority,area,balance,vip,seen\n");
    let mut people = Vec::new();
    for n in 0..count {
        let mut one = |of: [&'static str; 4]| of[rng.below(4) as usize];
        let person = [
            one(["212", "305", "310", "617"]),
            one(["", "100", "249.99", "1.000,00"]),
            one(["yes", "no", "", "maybe"]),
            one(["2025-12-31", "2026-01-01", "", "yesterday"]),
        ];
        let [area, balance, vip, seen] = person;
        let priority = n % 3;
        csv += &format!(
            "+1{area}{},{n},{priority},{area},\"{balance}\",{vip},{seen}\n",
            2_000_000 + n
        );
        people.push(person);
    }
    (csv, people)
}

#[test]
fn whoever_matches_is_handed_out_once_best_first_and_nobody_else() {
    type Matches = fn(&[&str; 4]) -> bool;
    let filters: [(&str, Matches); 6] = [
        ("area in (\"212\", \"617\")", |p| {
            ["212", "617"].contains(&p[0])
        }),
        ("balance >= 100 and not vip", |p| {
            ["100", "249.99"].contains(&p[1]) && ["no", ""].contains(&p[2])
        }),
        ("seen < 2026-01-01 or vip", |p| {
            p[3] == "2025-12-31" || p[2] == "yes"
        }),
        ("not (balance > 100 or seen = 2026-01-01)", |p| {
            p[1] == "100" && p[3] == "2025-12-31"
        }),
        ("balance is empty and area_code = \"305\"", |p| {
            p[1].is_empty() && p[0] == "305"
        }),
        ("state = \"CA\"", |_| false),
    ];
    for (round, (filter, matches)) in filters.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let (csv, people) = people(2_500, round as u64);
        let config = store(dir.path(), |campaign| {
            campaign.filter = Some(Filter::new(filter))
        });
        import(&config, &csv);
        let desk = open(&config);
        // All of the country is open; California opens at eight.
        let found = everybody(&desk);
        let expected: BTreeSet<String> = people
            .iter()
            .enumerate()
            .filter(|(_, person)| matches(person))
            .map(|(n, _)| n.to_string())
            .collect();
        if filter.starts_with("state") {
            assert!(
                found
                    .iter()
                    .all(|lead| lead.numbers[0].to_string().starts_with("+1310"))
            );
            assert_eq!(
                found.len(),
                people.iter().filter(|person| person[0] == "310").count()
            );
            continue;
        }
        assert_eq!(names(&found), expected, "{filter}");
        assert_eq!(found.len(), expected.len(), "{filter}: once each");
    }
}

#[test]
fn once_all_were_looked_at_the_best_come_first_and_nothing_is_sorted_again() {
    let dir = tempfile::tempdir().unwrap();
    let (csv, _) = people(3_000, 9);
    let config = store(dir.path(), |campaign| {
        campaign.filter = Some(Filter::new("vip"))
    });
    import(&config, &csv);
    let desk = open(&config);
    sorted(&desk);
    let found = everybody(&desk);
    assert!(found.is_sorted_by_key(|lead| (std::cmp::Reverse(lead.priority), lead.id)));
    assert!(found.len() > 500);
    assert_eq!(desk.count("SELECT COUNT(*) FROM cells"), 2);
    let plan = desk.plan(cells::AGED);
    assert!(
        plan.contains("USING COVERING INDEX leads_cell_until"),
        "{plan}"
    );
}

/// Waits until every ready lead was looked at while nobody asked.
fn sorted(desk: &Desk) {
    let current = "SELECT COUNT(*) FROM leads WHERE state = 0 AND cell NOT IN (SELECT MAX(cell) FROM cells UNION SELECT MAX(cell) - 1 FROM cells)";
    for _ in 0..2_000 {
        assert!(desk.handle.sync(Duration::from_secs(20)));
        if desk.count(current) == 0 {
            return;
        }
    }
    panic!("{} leads were never looked at", desk.count(current));
}

#[test]
fn who_did_not_match_is_not_lost_and_is_dialled_once_the_filter_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "phone,name,balance\n+12125550100,Ada,10\n+12125550101,Bob,300\n";
    let with = |filter: Option<&str>| {
        store(dir.path(), |campaign| {
            campaign.filter = filter.map(Filter::new)
        })
    };
    let config = with(Some("balance >= 250"));
    import(&config, csv);
    for (filter, expected) in [
        (Some("balance >= 250"), vec!["Bob"]),
        (Some("balance < 250"), vec!["Ada"]),
        (None, vec!["Ada", "Bob"]),
        (Some("balance >= 250"), vec!["Bob"]),
        (Some("balance > 1000"), vec![]),
        (Some("balance > 0"), vec!["Ada", "Bob"]),
    ] {
        let desk = open(&with(filter));
        let found = names(&everybody(&desk));
        assert!(found.iter().eq(expected.iter()), "{filter:?}: {found:?}");
        desk.end();
    }
}

#[test]
fn a_lead_is_asked_again_after_every_attempt_and_on_the_day_that_changes_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let filter = "(attempts < 2 and last_outcome != \"busy\") or days_in_list >= 3";
    let config = store(dir.path(), |campaign| {
        campaign.filter = Some(Filter::new(filter))
    });
    import(&config, "phone,name\n+12125550100,Ada\n+12125550101,Bob\n");
    let mut desk = open(&config);
    let dialled = |desk: &mut Desk, outcome| {
        let leads = everybody(desk);
        for lead in &leads {
            let outcome = match lead.name.as_deref() {
                Some("Ada") => outcome,
                _ => AttemptOutcome::Busy,
            };
            let attempt = desk.claimed(lead);
            let at = Utc::from_micros(NOON_US.cast_signed());
            desk.resolve(attempt, lead.id, outcome, LeadNext::Again { at, number: 0 });
        }
        names(&leads).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(dialled(&mut desk, AttemptOutcome::NoAnswer), ["Ada", "Bob"]);
    assert_eq!(dialled(&mut desk, AttemptOutcome::NoAnswer), ["Ada"]);
    assert_eq!(dialled(&mut desk, AttemptOutcome::NoAnswer), [""; 0]);
    desk.time.store(NOON_US + 3 * DAY_US - 1, Ordering::Relaxed);
    assert_eq!(dialled(&mut desk, AttemptOutcome::NoAnswer), [""; 0]);
    desk.time.store(NOON_US + 3 * DAY_US, Ordering::Relaxed);
    assert_eq!(dialled(&mut desk, AttemptOutcome::NoAnswer), ["Ada", "Bob"]);
}

#[test]
fn two_campaigns_share_a_list_and_each_has_whom_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = store(dir.path(), |campaign| {
        campaign.filter = Some(Filter::new("balance >= 250"));
        campaign.lists[0].filter = Some(Filter::new("vip"));
    });
    let mut other = config.dialer.campaigns[&campaign()].clone();
    other.filter = None;
    other.lists[0].filter = Some(Filter::new("not vip"));
    let second: CampaignId = "winter".parse().unwrap();
    config.dialer.campaigns.insert(second, other);
    let csv = "phone,name,balance,vip\n+12125550100,Ada,300,yes\n+12125550101,Bob,300,no\n+12125550102,Cy,1,yes\n";
    import(&config, csv);
    let desk = open(&config);
    assert!(names(&everybody(&desk)).iter().eq(["Ada"]));
    desk.handle.request(StoreRequest::FetchLeads {
        campaign: second,
        lists: vec![list()],
        count: 9,
    });
    let Input::LeadsSupplied { leads, .. } = desk.answer() else {
        panic!("leads were asked for");
    };
    assert!(names(&leads).iter().eq(["Bob"]));
}

fn north(count: u64, full: bool) -> QuotaCount {
    QuotaCount {
        campaign: campaign(),
        quota: "north women".into(),
        day: String::new(),
        count,
        full,
    }
}

#[test]
fn people_of_a_full_quota_stay_ready_and_a_restart_remembers_what_was_counted() {
    let dir = tempfile::tempdir().unwrap();
    let config = store(dir.path(), |campaign| {
        campaign.quotas = vec![Quota {
            name: "north women".into(),
            cell: Filter::new("region = \"north\" and sex = \"f\""),
            outcome: "sale".parse().unwrap(),
            at_most: 2,
            per: Period::Campaign,
        }];
    });
    let csv = "phone,name,region,sex\n+12125550100,Ada,north,f\n+12125550101,Bob,north,m\n+12125550102,Cy,south,f\n";
    import(&config, csv);
    let desk = open(&config);
    desk.handle.request(StoreRequest::SaveQuota(north(2, true)));
    assert!(names(&everybody(&desk)).iter().eq(["Bob", "Cy"]));
    let rows = |desk: &Desk| {
        let (answer, wait) = crossbeam_channel::bounded(1);
        let campaign = campaign();
        desk.handle
            .request(StoreRequest::ListQuotas { campaign, answer });
        wait.recv().unwrap().unwrap()
    };
    let row = rows(&desk).remove(0);
    assert_eq!(
        (row.count, row.full, row.at_most, row.dialling),
        (2, true, 2, 0)
    );
    desk.end();
    let mut desk = open(&config);
    assert!(
        names(&everybody(&desk)).iter().eq(["Bob", "Cy"]),
        "after a restart"
    );
    desk.handle
        .request(StoreRequest::SaveQuota(north(1, false)));
    let found = everybody(&desk);
    assert!(names(&found).iter().eq(["Ada"]), "open again");
    desk.claimed(&found[0]);
    assert_eq!(rows(&desk)[0].dialling, 1);
    desk.end();
    let (mut store, _) = Store::open(&config, Arc::new(Now::default), "test").unwrap();
    let history = store.history(Duration::ZERO).unwrap();
    assert_eq!(history.quotas, [north(1, false)]);
}

#[test]
fn a_campaign_that_asks_is_told_when_a_lead_was_dialled() {
    let dir = tempfile::tempdir().unwrap();
    let config = store(dir.path(), |campaign| campaign.vary_hour = true);
    import(&config, "phone,name\n+12125550100,Ada\n+12125550101,Bob\n");
    let mut desk = open(&config);
    let leads = desk.fetch(1);
    let attempt = desk.claimed(&leads[0]);
    let at = Utc::from_micros(NOON_US.cast_signed());
    let next = LeadNext::Again { at, number: 0 };
    desk.resolve(attempt, leads[0].id, AttemptOutcome::NoAnswer, next);
    desk.handle.request(StoreRequest::FetchLeads {
        campaign: campaign(),
        lists: vec![list()],
        count: 2,
    });
    let Input::LeadsPast { pasts } = desk.answer() else {
        panic!("what happened to the leads comes before them");
    };
    assert_eq!(pasts.len(), 1, "the other was never dialled");
    assert_eq!(
        (pasts[0].lead, &pasts[0].dials[..]),
        (leads[0].id, &[at][..])
    );
    assert!(matches!(desk.answer(), Input::LeadsSupplied { leads, .. } if leads.len() == 2));
}
