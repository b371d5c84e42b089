//! Lists of leads at size: how fast a file is read in, and how fast the next lead is found.
//!
//! `cargo bench --bench leads` imports a million generated leads, first as a dry run, then for real,
//! and then picks from them. `-- 10000000` does it with ten million, `-- 10000000 /folder` keeps the
//! database there and only picks where it is already filled. Then a campaign picks whose filter lets one
//! lead in a thousand through: once while the list is still looked through, once it was. The goals: 200,000 leads/s dry and
//! 50,000 real on one core; 50 µs for a lead handed out and 1.5 GB of memory at ten million.

use crossbeam_channel::{Receiver, unbounded};
use model::{CampaignId, Lead, ListId, Mono, Now, Utc};
use rustix::time::{ClockId, clock_gettime};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandem::bus::Inbox;
use tandem::store::{
    ImportOptions, ImportReport, Store, StoreConfig, StoreHandle, StoreRequest, StoreThread,
    import_csv,
};

/// A winter's Wednesday, 18:00 in New York, 15:00 in Los Angeles.
const AFTERNOON_US: i64 = 1_767_826_800_000_000;
/// The same day, 10:30 in New York and 07:30 in Los Angeles: under US law the west is closed.
const MORNING_US: i64 = 1_767_799_800_000_000;
/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let count: u64 = words.first().map_or(1_000_000, |word| {
        word.parse().expect("the first word is how many leads")
    });
    let temporary = tempfile::tempdir().expect("there is a folder for temporary files");
    let folder = words
        .get(1)
        .map_or(temporary.path(), |word| Path::new(word));
    let database = folder.join("tandem.db");
    let mut config = StoreConfig::at(&database);
    let mut campaign = dialer::CampaignConfig::new(model::event::Mode::Predictive, "+12125550100");
    campaign.rules = vec!["us".into()];
    campaign.lists = vec![list().into()];
    let name: CampaignId = "spring".parse().expect("a name");
    config.dialer.campaigns.insert(name, campaign);
    if !database.exists() {
        println!("importing {count} leads");
        measure_import("  dry run", &StoreConfig::at(":memory:"), count, true);
        measure_import("  for real", &config, count, false);
        measure_import("  all again, as duplicates", &config, count, false);
    }
    let bytes = std::fs::metadata(&database).map_or(0, |file| file.len());
    println!("the database has {:.2} GB", bytes as f64 / 1e9);
    pick(&config, &[20, 500, 1_000]);
    pick_picky(&config);
    println!("most memory ever resident: {:.0} MB", peak_mb());
}

fn measure_import(what: &str, store: &StoreConfig, count: u64, dry_run: bool) -> ImportReport {
    let options = ImportOptions {
        dry_run,
        ..ImportOptions::of(list())
    };
    let (wall, cpu) = (Instant::now(), cpu_s());
    let report = import_csv(
        store,
        Generated::new(count),
        &options,
        Utc::from_micros(AFTERNOON_US),
        &mut |_| (),
    )
    .expect("the import works");
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_s() - cpu);
    println!(
        "{what}: {} accepted, {} duplicates, {} rejected; {:.0} leads/s of wall clock, {:.0} of CPU time, {:.0} MB",
        report.accepted,
        report.duplicates,
        report.rejected_total,
        count as f64 / wall,
        count as f64 / cpu,
        peak_mb()
    );
    report
}

fn list() -> ListId {
    "big".parse().expect("a name")
}

/// The store's thread, asked as the engine asks it.
struct Desk {
    handle: StoreHandle,
    thread: StoreThread,
    inputs: Receiver<call::Input>,
}

impl Desk {
    fn open(config: &StoreConfig, at_us: i64) -> Desk {
        let clock = Arc::new(move || Now {
            mono: Mono::ZERO,
            utc: Utc::from_micros(at_us),
        });
        let (store, _) = Store::open(config, clock, "bench").expect("the store opens");
        let (sender, inputs) = unbounded();
        let (handle, thread) = store
            .start(Inbox::new(sender, Arc::new(|| ())))
            .expect("the store starts");
        Desk {
            handle,
            thread,
            inputs,
        }
    }

    fn fetch(&self, campaign: &str, count: u32) -> Vec<Lead> {
        let campaign: CampaignId = campaign.parse().expect("a name");
        self.handle.request(StoreRequest::FetchLeads {
            campaign,
            lists: vec![list()],
            count,
        });
        match self.inputs.recv_timeout(PATIENCE) {
            Ok(call::Input::LeadsSupplied { leads, .. }) => leads,
            other => panic!("{other:?}"),
        }
    }
}

/// Twenty fetches of each size.
fn pick(config: &StoreConfig, counts: &[u32]) {
    for (when, at_us) in [("afternoon", AFTERNOON_US), ("morning", MORNING_US)] {
        let desk = Desk::open(config, at_us);
        for count in counts.iter().copied() {
            let cold = Instant::now();
            let mut found = desk.fetch("spring", count).len();
            let cold = cold.elapsed();
            let (wall, cpu) = (Instant::now(), cpu_s());
            let mut slowest = Duration::ZERO;
            for _ in 0..20 {
                let one = Instant::now();
                found = desk.fetch("spring", count).len();
                slowest = slowest.max(one.elapsed());
            }
            let leads = f64::from(20 * count);
            println!(
                "{when}, {found} of {count} leads asked for: {:.1} µs a lead ({:.1} of CPU), slowest fetch {slowest:?}, first {cold:?}, {:.0} MB",
                wall.elapsed().as_secs_f64() * 1e6 / leads,
                (cpu_s() - cpu) * 1e6 / leads,
                peak_mb()
            );
        }
        let Desk { handle, thread, .. } = desk;
        drop(handle);
        thread.join();
    }
}

/// The same with a filter that one lead in a thousand matches.
fn pick_picky(config: &StoreConfig) {
    let mut config = config.clone();
    let filter =
        dialer::filter::Filter::new("part = 7 and segment in (\"silver\", \"bronze\", \"gold\")");
    assert_eq!(filter.error(), None);
    for campaign in config.dialer.campaigns.values_mut() {
        campaign.filter = Some(filter.clone());
    }
    let desk = Desk::open(&config, AFTERNOON_US);
    let began = Instant::now();
    let first = desk.fetch("spring", 20).len();
    println!(
        "picky, {first} of 20 leads in the first fetch: {:?}",
        began.elapsed()
    );
    // The store looks through the list while nobody asks: claims and records have their turn between.
    let mut slowest = Duration::ZERO;
    let mut ends = 0;
    while ends < 3 {
        let one = Instant::now();
        desk.handle.request(StoreRequest::FetchLeads {
            campaign: "spring".parse().expect("a name"),
            lists: vec![list()],
            count: 1,
        });
        match desk.inputs.recv_timeout(PATIENCE) {
            Ok(call::Input::LeadsSupplied {
                leads, exhausted, ..
            }) => {
                ends += u32::from(exhausted || !leads.is_empty());
            }
            other => panic!("{other:?}"),
        }
        slowest = slowest.max(one.elapsed());
    }
    wait_until_sorted(&config);
    println!(
        "picky, the whole list was looked through after {:?}, slowest fetch meanwhile {slowest:?}",
        began.elapsed()
    );
    let Desk { handle, thread, .. } = desk;
    drop(handle);
    thread.join();
    // Of a million leads a thousand match: more fetches than these would find nobody left.
    pick(&config, &[20]);
}

/// Watches the database from outside.
fn wait_until_sorted(config: &StoreConfig) {
    let deadline = Instant::now() + PATIENCE;
    let mut lists = tandem::store::Lists::open(config).expect("the database opens");
    while lists.unsorted().expect("the database answers") > 0 {
        assert!(
            Instant::now() < deadline,
            "the list is looked through in time"
        );
        std::thread::park_timeout(Duration::from_millis(500));
    }
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches(" kB")
                .trim()
                .parse::<f64>()
                .ok()
        })
        .map_or(0.0, |kb| kb / 1_000.0)
}

/// Area codes, with the state, and the zone of the address.
const PLACES: [(&str, &str, &str); 24] = [
    ("212", "NY", "America/New_York"),
    ("716", "NY", "America/New_York"),
    ("201", "NJ", "America/New_York"),
    ("305", "FL", "America/New_York"),
    ("850", "FL", "America/Chicago"),
    ("404", "GA", "America/New_York"),
    ("617", "MA", "America/New_York"),
    ("215", "PA", "America/New_York"),
    ("216", "OH", "America/New_York"),
    ("313", "MI", "America/Detroit"),
    ("704", "NC", "America/New_York"),
    ("312", "IL", "America/Chicago"),
    ("214", "TX", "America/Chicago"),
    ("915", "TX", "America/Denver"),
    ("303", "CO", "America/Denver"),
    ("602", "AZ", "America/Phoenix"),
    ("801", "UT", "America/Denver"),
    ("702", "NV", "America/Los_Angeles"),
    ("213", "CA", "America/Los_Angeles"),
    ("415", "CA", "America/Los_Angeles"),
    ("619", "CA", "America/Los_Angeles"),
    ("503", "OR", "America/Los_Angeles"),
    ("206", "WA", "America/Los_Angeles"),
    ("808", "HI", "Pacific/Honolulu"),
];

/// A CSV file that is made while it is read.
struct Generated {
    count: u64,
    next: u64,
    text: Vec<u8>,
    at: usize,
}

impl Generated {
    fn new(count: u64) -> Generated {
        let text =
            b"phone,phone2,name,time_zone,customer_key,priority,state,segment,part\n".to_vec();
        Generated {
            count,
            next: 0,
            text,
            at: 0,
        }
    }
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        use std::io::Write;
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            for n in self.next..self.count.min(self.next + 200) {
                let place = &PLACES[(n.wrapping_mul(2_654_435_761) >> 7) as usize % PLACES.len()];
                // Every twelfth person has moved, and kept the number.
                let home = if n % 12 == 0 {
                    &PLACES[n as usize / 12 % PLACES.len()]
                } else {
                    place
                };
                let local = n.wrapping_mul(7_368_787) % 7_999_993 + 2_000_000;
                let key = n * 17 + 1_000_003;
                let segment = ["gold", "silver", "bronze", "bronze"][n as usize % 4];
                let second = if n % 3 == 0 {
                    format!("+1646{:07}", 9_999_999 - n % 8_000_000)
                } else {
                    String::new()
                };
                let copies = n / 7_999_993;
                writeln!(
                    self.text,
                    "+{}{}{local},{},Person {n} Example,{},C{key},{},{},{segment},{}",
                    1 + copies * 6,
                    place.0,
                    if copies == 0 { second } else { String::new() },
                    home.2,
                    n % 3,
                    home.1,
                    n.wrapping_mul(48_271) % 1_000,
                )?;
            }
            self.next = self.count.min(self.next + 200);
        }
        let length = buffer.len().min(self.text.len() - self.at);
        buffer[..length].copy_from_slice(&self.text[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
