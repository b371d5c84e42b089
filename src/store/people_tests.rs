//! Filters and quotas at the store: who is handed out, exactly, and who is not lost.

use super::tests::{Desk, campaign, list};
use super::*;
use call::Input;
use dialer::CampaignConfig;
use dialer::filter::Filter;
use dialer::quota::{Period, Quota, QuotaCount};
use model::event::Mode;
use model::lead::LeadNext;
use model::{AttemptOutcome, CallId, Lead, LeadId, Rng, Utc};
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
    assert_eq!(
        desk.count("SELECT COUNT(*) FROM cells"),
        1,
        "who meets nothing needs none"
    );
    let plan = desk.plan(sort::AGED);
    assert!(
        plan.contains("USING COVERING INDEX leads_cell_until"),
        "{plan}"
    );
    let plan = desk.plan(sort::ANY_CHANGED);
    assert!(
        plan.contains("USING COVERING INDEX leads_changed (list=?)"),
        "{plan}"
    );
    let filters = [Filter::new("vip and last_outcome is empty")];
    let reading = sort::Reading::of(filters.iter());
    for sql in [&reading.in_order, &reading.these] {
        let plan = desk.plan(sql);
        assert!(
            plan.contains("SEARCH leads USING INTEGER PRIMARY KEY (rowid"),
            "{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

/// Waits until every ready lead was looked at while nobody asked.
fn sorted(desk: &Desk) {
    for _ in 0..20_000 {
        assert!(desk.handle.sync(Duration::from_secs(20)));
        if !desk.handle.counters().is_looking.load(Ordering::Relaxed) {
            return;
        }
    }
    panic!("there are leads that were never looked at");
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

/// A lead as the test knows it, for a filter over everything that can change.
#[derive(Clone, Debug, Default)]
struct Known {
    balance: u64,
    attempts: u64,
    last: Option<AttemptOutcome>,
    disposition: Option<&'static str>,
    is_done: bool,
}

/// Whether a filter lets a lead through, said once more by hand.
type Says = fn(&Known) -> bool;

const CHANGING: [(&str, Says); 4] = [
    ("balance < 5", |lead| lead.balance < 5),
    (
        "balance >= 5 and (attempts = 0 or last_outcome = \"busy\")",
        |lead| {
            let last = lead.last.filter(|_| lead.attempts > 0);
            lead.balance >= 5 && (lead.attempts == 0 || last == Some(AttemptOutcome::Busy))
        },
    ),
    ("attempts >= 1 and last_disposition is empty", |lead| {
        lead.attempts >= 1 && lead.disposition.is_none()
    }),
    (
        "last_disposition = \"asked\" or balance in (1, 3, 8)",
        |lead| lead.disposition == Some("asked") || [1, 3, 8].contains(&lead.balance),
    ),
];

/// Claims, ends of attempts, claims taken back, dispositions, imports, leads dialled again, restarts with
/// another filter: all of it while a list is looked through. Whoever is handed out meets the filter of that
/// moment, and in the end everybody who meets it is.
#[test]
fn a_list_that_changes_while_it_is_looked_through_hands_out_whom_the_filter_means() {
    for seed in 0..6 {
        let mut rng = Rng::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let with = |filter: usize, quota: bool| {
            store(dir.path(), |campaign| {
                campaign.filter = Some(Filter::new(CHANGING[filter].0));
                if quota {
                    campaign.quotas = vec![Quota {
                        name: "north women".into(),
                        cell: Filter::new("balance = 2"),
                        outcome: "sale".parse().unwrap(),
                        at_most: 2,
                        per: Period::Campaign,
                    }];
                }
            })
        };
        let mut known: Vec<Known> = Vec::new();
        let more = |known: &mut Vec<Known>, rng: &mut Rng, count: u64| {
            let mut csv = String::from("phone,name,priority,balance\n");
            for _ in 0..count {
                let (n, balance) = (known.len(), rng.below(10));
                csv += &format!("+1212{},{n},{},{balance}\n", 2_000_000 + n, rng.below(3));
                known.push(Known {
                    balance,
                    ..Known::default()
                });
            }
            import(&with(0, false), &csv);
        };
        more(&mut known, &mut rng, 3_000);
        let time = Arc::new(AtomicU64::new(NOON_US));
        let mut filter = rng.below(4) as usize;
        let mut desk = Desk::open(with(filter, false), time.clone());
        for _ in 0..120 {
            let count = 1 + rng.below(40) as u32;
            let leads = desk.fetch(count);
            for lead in &leads {
                let at: usize = lead.name.as_deref().unwrap().parse().unwrap();
                let is = &mut known[at];
                assert!(
                    CHANGING[filter].1(is) && !is.is_done,
                    "seed {seed}, {}: {is:?} {lead:?}",
                    CHANGING[filter].0
                );
                let what = rng.below(8);
                if what == 0 {
                    desk.handle.request(StoreRequest::ReturnLeads {
                        campaign: campaign(),
                        leads: vec![lead.id],
                    });
                    continue;
                }
                let attempt = desk.claimed(lead);
                if what == 1 {
                    desk.handle.request(StoreRequest::Unclaim {
                        attempt,
                        lead: lead.id,
                    });
                    // It is this process's until it is given back.
                    desk.handle.request(StoreRequest::ReturnLeads {
                        campaign: campaign(),
                        leads: vec![lead.id],
                    });
                    continue;
                }
                let outcome =
                    [AttemptOutcome::Busy, AttemptOutcome::NoAnswer][rng.below(2) as usize];
                let next = match rng.below(3) {
                    0 => LeadNext::Done,
                    _ => LeadNext::Again {
                        at: Utc::from_micros(time.load(Ordering::Relaxed).cast_signed()),
                        number: 0,
                    },
                };
                desk.resolve(attempt, lead.id, outcome, next);
                is.attempts += 1;
                is.last = Some(outcome);
                is.is_done = next == LeadNext::Done;
                // An agent may write down what came of it when the lead is ready again.
                if what < 4 {
                    let disposition = ["asked", "no"][rng.below(2) as usize];
                    if rng.below(2) == 0 {
                        desk.handle.request(StoreRequest::FetchLeads {
                            campaign: campaign(),
                            lists: vec![list()],
                            count: 0,
                        });
                        desk.answer();
                    }
                    desk.handle.request(StoreRequest::StoreDisposition {
                        call: CallId(u64::MAX),
                        agent: "anna".parse().unwrap(),
                        lead: Some(lead.id),
                        disposition: disposition.parse().unwrap(),
                        note: None,
                        callback_at: None,
                    });
                    is.disposition = Some(disposition);
                }
            }
            match rng.below(40) {
                0 => more(&mut known, &mut rng, 700),
                1 => {
                    assert!(desk.handle.sync(Duration::from_secs(20)));
                    let mut lists = Lists::open(&with(0, false)).unwrap();
                    let again = [AttemptOutcome::NoAnswer];
                    lists.recycle(list(), &again, false).unwrap();
                    for is in &mut known {
                        if is.is_done && is.last == Some(AttemptOutcome::NoAnswer) {
                            is.is_done = false;
                            is.attempts = 0;
                        }
                    }
                }
                2 | 3 => {
                    filter = rng.below(4) as usize;
                    desk.end();
                    desk = Desk::open(with(filter, rng.below(2) == 0), time.clone());
                }
                _ => {
                    time.fetch_add(rng.below(7_000_000), Ordering::Relaxed);
                }
            }
        }
        desk.end();
        let desk = Desk::open(with(filter, false), time);
        let found = everybody(&desk);
        let expected: BTreeSet<String> = known
            .iter()
            .enumerate()
            .filter(|(_, is)| !is.is_done && CHANGING[filter].1(is))
            .map(|(n, _)| n.to_string())
            .collect();
        assert_eq!(
            names(&found),
            expected,
            "seed {seed}, {}",
            CHANGING[filter].0
        );
        assert_eq!(found.len(), expected.len(), "seed {seed}: once each");
        sorted(&desk);
        assert_eq!(
            desk.count("SELECT COUNT(*) FROM leads WHERE state = 0 AND cell = -1"),
            0
        );
    }
}

#[test]
fn on_the_day_that_changes_the_answer_nobody_is_dialled_by_the_answer_of_the_day_before() {
    let dir = tempfile::tempdir().unwrap();
    let (csv, people) = people(3_000, 4);
    let config = store(dir.path(), |campaign| {
        campaign.filter = Some(Filter::new("days_in_list < 3 or area = \"212\""));
    });
    import(&config, &csv);
    let desk = open(&config);
    sorted(&desk);
    assert_eq!(desk.fetch(50).len(), 50);
    desk.time.store(NOON_US + 3 * DAY_US, Ordering::Relaxed);
    // More leads go to another cell at once than one fetch looks at.
    let found = everybody(&desk);
    for lead in &found {
        assert_eq!(lead.fields["area"], "212", "{lead:?}");
    }
    let in_new_york = people.iter().filter(|person| person[0] == "212").count();
    let first = desk.count("SELECT COUNT(*) FROM leads WHERE state = 0");
    assert_eq!(first, 3_000);
    assert!(found.len() > 400 && found.len() <= in_new_york);
}

#[test]
fn a_lead_that_is_ready_is_asked_again_once_an_agent_writes_down_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = store(dir.path(), |campaign| {
        campaign.filter = Some(Filter::new("last_disposition = \"asked\""))
    });
    import(&config, "phone,name\n+12125550100,Ada\n+12125550101,Bob\n");
    let desk = open(&config);
    sorted(&desk);
    assert_eq!(everybody(&desk), []);
    desk.handle.request(StoreRequest::StoreDisposition {
        call: CallId(1),
        agent: "anna".parse().unwrap(),
        lead: Some(LeadId(1)),
        disposition: "asked".parse().unwrap(),
        note: None,
        callback_at: None,
    });
    assert!(names(&everybody(&desk)).iter().eq(["Ada"]));
}

#[test]
fn a_list_is_looked_through_once_and_a_restart_goes_on_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let (csv, _) = people(3_000, 5);
    let config = store(dir.path(), |campaign| {
        campaign.filter = Some(Filter::new("vip"))
    });
    import(&config, &csv);
    let looked = |desk: &Desk| {
        sorted(desk);
        desk.handle
            .counters()
            .looked_through
            .load(Ordering::Relaxed)
    };
    let desk = open(&config);
    assert_eq!(looked(&desk), 3_000);
    desk.end();
    let desk = open(&config);
    assert_eq!(looked(&desk), 0, "after a restart");
    desk.end();
    import(&config, "phone,name,vip\n+13055550100,Ada,yes\n");
    let desk = open(&config);
    assert_eq!(looked(&desk), 1, "whoever came meanwhile");
}
