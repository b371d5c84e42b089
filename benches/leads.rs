//! Lists of leads at size: how fast a file is read in, and how fast the next lead is found.
//!
//! `cargo bench --bench leads` imports a million generated leads, first as a dry run, then for real,
//! and then picks from them. `-- 10000000` does it with ten million, `-- 10000000 /folder` keeps the
//! database there and only picks where it is already filled. Then a campaign picks whose filter lets one
//! lead in a thousand through, and one whose filter lets every second through: while the list is looked
//! through, and once it was. In between the database is taken back to what it was before there were filters, and
//! brought up to date again. The goals: 200,000 leads/s dry and 50,000 real on one core; 50 µs for a lead
//! handed out, with a filter and without; 100,000 leads/s looked through; 1.5 GB of memory at ten million.

use crossbeam_channel::{Receiver, unbounded};
use model::{CampaignId, Lead, ListId, Mono, Now, Utc};
use rustix::time::{ClockId, clock_gettime};
use sqlx::{Connection, SqliteConnection};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
    for (when, at_us) in [("afternoon", AFTERNOON_US), ("morning", MORNING_US)] {
        pick(when, &config, at_us, &[(20, 200), (500, 20), (1_000, 20)]);
    }
    // As many as a campaign of one, 25 and 50 agents asks for at once; of all that match about half.
    let matching = u32::try_from(count / 1_000).expect("the list is not that long");
    let sizes = [20, 250, 500].map(|size| (size, (matching / 2 / size).clamp(1, 200)));
    pick_filtered("one in a thousand", &config, "part = 7", &sizes);
    migrate(&config);
    // Every second lead is written: minutes at ten million.
    let sizes = [(20, 200), (250, 20), (500, 20)];
    pick_filtered("every second", &config, "segment = \"bronze\"", &sizes);
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

    fn wait_until_looked_through(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.handle.counters().is_looking.load(Ordering::Relaxed) {
            assert!(Instant::now() < deadline, "the list is looked through");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn close(self) {
        drop(self.handle);
        self.thread.join();
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

/// Fetches of each size, so many of them: more leads than the store reads at once.
fn pick(when: &str, config: &StoreConfig, at_us: i64, sizes: &[(u32, u32)]) {
    for (count, times) in sizes.iter().copied() {
        let desk = Desk::open(config, at_us);
        desk.wait_until_looked_through();
        let cold = Instant::now();
        let mut found = desk.fetch("spring", count).len();
        let cold = cold.elapsed();
        let (wall, cpu) = (Instant::now(), cpu_s());
        let mut slowest = Duration::ZERO;
        for _ in 0..times {
            let one = Instant::now();
            found = desk.fetch("spring", count).len();
            slowest = slowest.max(one.elapsed());
        }
        let leads = f64::from(times * count);
        assert_eq!(found, count as usize, "there are as many as were asked for");
        println!(
            "{when}, {times} times {count} leads: {:.1} µs a lead ({:.1} of CPU), slowest fetch {slowest:?}, first {cold:?}, {:.0} MB",
            wall.elapsed().as_secs_f64() * 1e6 / leads,
            (cpu_s() - cpu) * 1e6 / leads,
            peak_mb()
        );
        desk.close();
    }
}

/// A campaign with a filter picks while its list is looked through, and afterwards.
fn pick_filtered(what: &str, config: &StoreConfig, filter: &str, sizes: &[(u32, u32)]) {
    let mut config = config.clone();
    let filter = dialer::filter::Filter::new(filter);
    assert_eq!(filter.error(), None);
    for campaign in config.dialer.campaigns.values_mut() {
        campaign.filter = Some(filter.clone());
    }
    let desk = Desk::open(&config, AFTERNOON_US);
    let counters = desk.handle.counters().clone();
    let (began, cpu) = (Instant::now(), cpu_s());
    let (mut fetches, mut found, mut empty) = (0_u32, 0_usize, 0_u32);
    let (mut asked, mut slowest) = (Duration::ZERO, Duration::ZERO);
    while counters.is_looking.load(Ordering::Relaxed) {
        let one = Instant::now();
        let leads = desk.fetch("spring", 20).len();
        asked += one.elapsed();
        slowest = slowest.max(one.elapsed());
        found += leads;
        fetches += 1;
        empty += u32::from(leads == 0);
        // A campaign dials them before it asks again.
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_s() - cpu);
    let looked = counters.looked_through.load(Ordering::Relaxed) as f64;
    println!(
        "{what}: {looked:.0} leads looked through in {wall:.1} s, {:.0} leads/s of wall clock, {:.0} of CPU time with the picks",
        looked / wall,
        looked / cpu,
    );
    println!(
        "{what}, meanwhile: {found} leads in {fetches} fetches of 20 ({empty} found nobody), {:.1} µs a lead, slowest {slowest:?}",
        asked.as_secs_f64() * 1e6 / found.max(1) as f64,
    );
    desk.close();
    pick(what, &config, AFTERNOON_US, sizes);
}

/// How long a database of before there were filters takes to be brought up to date.
fn migrate(config: &StoreConfig) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let url = format!("sqlite://{}", config.path.display());
        let mut connection = SqliteConnection::connect(&url).await.expect("it opens");
        for sql in BEFORE_FILTERS {
            sqlx::query(sql).execute(&mut connection).await.expect(sql);
        }
        connection.close().await.expect("it closes");
    });
    let (wall, cpu) = (Instant::now(), cpu_s());
    let clock = Arc::new(|| Now {
        mono: Mono::ZERO,
        utc: Utc::from_micros(AFTERNOON_US),
    });
    let opened = Store::open(config, clock, "bench").expect("the store opens");
    println!(
        "a database of before there were filters is brought up to date in {:.1} s ({:.1} of CPU)",
        wall.elapsed().as_secs_f64(),
        cpu_s() - cpu
    );
    drop(opened);
}

/// Takes a database back to what it was.
const BEFORE_FILTERS: [&str; 12] = [
    "DROP INDEX leads_changed",
    "DROP TABLE looked_through",
    "DROP TABLE cells",
    "DROP TABLE list_columns",
    "DROP TABLE quotas",
    "DROP INDEX leads_cell_until",
    "DROP INDEX leads_ready",
    "ALTER TABLE leads DROP COLUMN cell_until",
    "ALTER TABLE leads DROP COLUMN cell",
    "ALTER TABLE leads DROP COLUMN added_at",
    "CREATE INDEX leads_ready ON leads (list, place, priority DESC, not_before, lead) WHERE state = 0",
    "DELETE FROM _sqlx_migrations WHERE version >= 12",
];

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
