//! A Tandem as a child process that may be killed, on a folder that stays; and the world around it.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sip::endpoint::Credentials;
use sip_testbed::{Answering, Lab, LabReport, Registration, StationConfig, StationId};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tandem::store::{ImportOptions, StoreConfig, import_csv};

/// Nothing a test waits for takes longer, even on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The agents of the house.
pub const AGENTS: [&str; 4] = ["anna", "bilal", "chen", "dora"];
/// A phone's registration.
const REGISTRATION: Duration = Duration::from_secs(3_600);

/// Looks until it is so.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Configuration and data, as they lie on the disk.
pub struct House {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl House {
    /// Writes a small centre whose carrier is at `carrier`.
    pub fn build(carrier: SocketAddr, webhook: Option<SocketAddr>) -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config");
        std::fs::create_dir_all(config.join("campaigns")).expect("a folder");
        std::fs::create_dir_all(config.join("prompts")).expect("a folder");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prompts/abandon.wav");
        std::fs::copy(shipped, config.join("prompts/abandon.wav")).expect("the prompt is copied");
        let write =
            |name: &str, text: String| std::fs::write(config.join(name), text).expect("written");
        let secret = folder.path().join("webhook-key");
        std::fs::write(&secret, "a key of a test").expect("written");
        let webhook = webhook.map_or(String::new(), |at| {
            format!(
                "[[webhook]]\nname = \"crm\"\nurl = \"http://{at}/\"\nsecret = {{ file = {secret:?} }}\nevents = [\"call.*\"]\nallow_private = true\n"
            )
        });
        write(
            "tandem.toml",
            format!(
                "[sip]\nlisten = \"127.0.0.1:0\"\n[api]\nlisten = \"127.0.0.1:0\"\n[engine]\ndrain_s = 60\n\
                 [[route]]\nnumber = \"*\"\nqueue = \"sales\"\n{webhook}"
            ),
        );
        write(
            "trunks.toml",
            format!(
                "[trunks.carrier]\naddress = \"{carrier}\"\nlimits = {{ concurrent_calls = 100, calls_per_second = 100.0 }}\n"
            ),
        );
        write(
            "queues.toml",
            "[queues.sales]\nwrap_up_ms = 0\nring_timeout_ms = 5_000\n".into(),
        );
        let agent = |name: &&str| {
            format!("[agents.{name}]\nqueues = [\"sales\", \"spring\"]\nwrap_up_ms = 0\n")
        };
        write("agents.toml", AGENTS.iter().map(agent).collect());
        write(
            "campaigns/spring.toml",
            "mode = \"power\"\npower_level = 3.0\nrunning = false\nlists = [\"spring\"]\ntrunks = [\"carrier\"]\n\
             caller_id = \"+12125550100\"\nrules = [\"demo\"]\nabandon_prompt = \"abandon\"\nring_timeout_ms = 15_000\nmax_attempts = 1\n"
                .into(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        House {
            folder,
            runtime,
            client: reqwest::Client::new(),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn database(&self) -> PathBuf {
        self.data().join("tandem.db")
    }

    /// So many people to call; of each, the last digit of the number.
    pub fn import_leads(&self, count: u32, mut last_digit: impl FnMut(u32) -> u32) {
        std::fs::create_dir_all(self.data()).expect("a folder");
        let mut csv = String::from("phone\n");
        (0..count).for_each(|n| {
            let (exchange, line, digit) = (200 + n / 1_000, n % 1_000, last_digit(n));
            csv.push_str(&format!("+1201{exchange}{line:03}{digit}\n"));
        });
        let options = ImportOptions::of("spring".parse().expect("a name"));
        let now = tandem::clock::Clock::new().now().utc;
        let report = import_csv(
            &StoreConfig::at(self.database()),
            csv.as_bytes(),
            &options,
            now,
            &mut |_| {},
        )
        .expect("imported");
        assert_eq!(report.accepted, u64::from(count));
    }

    /// Starts the process without waiting for it.
    pub fn spawn(&self) -> Spawned {
        let ready = self.folder.path().join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready).expect("removed");
        }
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("config"))
            .arg("--data")
            .arg(self.data())
            .arg("--ready-file")
            .arg(&ready)
            .stderr(std::fs::File::create(self.folder.path().join("stderr.log")).expect("a file"))
            .spawn()
            .expect("the process starts");
        Spawned {
            child: Process(child),
            ready,
            began,
            log: self.folder.path().join("stderr.log"),
        }
    }

    /// Starts it and waits until it is up.
    pub fn start(&self) -> Boot {
        self.spawn().up()
    }

    fn secret(&self, name: &str) -> String {
        std::fs::read_to_string(self.data().join("secrets").join(name))
            .expect("a secret")
            .trim()
            .to_string()
    }

    /// The administrator posts; what it means shows in events.
    pub fn post(&self, boot: &Boot, path: &str, body: &Value) {
        let request = self
            .client
            .post(format!("http://{}{path}", boot.api))
            .bearer_auth(self.secret("api-admin"))
            .body(body.to_string());
        let status = self
            .runtime
            .block_on(async { request.send().await })
            .expect("the API answers")
            .status();
        assert!(status.is_success(), "{path}: {status}");
    }

    /// What the API says.
    pub fn get(&self, boot: &Boot, path: &str) -> String {
        let request = self
            .client
            .get(format!("http://{}{path}", boot.api))
            .bearer_auth(self.secret("api-admin"));
        self.runtime
            .block_on(async { request.send().await.expect("the API answers").text().await })
            .expect("a body")
    }

    /// A gauge or counter of `/metrics`, without labels.
    pub fn metric(&self, boot: &Boot, name: &str) -> f64 {
        let text = self.get(boot, "/metrics");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}"))
            .parse()
            .expect("a number")
    }

    /// Phones for everybody, who sign in and take calls.
    pub fn staff(&self, boot: &Boot, answering: fn(&mut model::Rng) -> Answering) -> Street {
        let street = Street::open();
        for agent in AGENTS {
            let registration = Registration {
                credentials: Credentials {
                    user: agent.into(),
                    password: self.secret(&format!("phone-{agent}")),
                },
                domain: boot.sip.to_string(),
                registrar: boot.sip,
                expires: REGISTRATION,
            };
            let station = StationConfig {
                user: agent.into(),
                bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                registration: Some(registration),
                answering: Box::new(move |_, _, rng| answering(rng)),
            };
            street.with(move |lab| lab.add(station).map(|_| ()).expect("a phone"));
            for action in ["sign_in", "ready"] {
                self.post(
                    boot,
                    &format!("/v1/agents/{agent}/actions"),
                    &json!({ "action": action }),
                );
            }
        }
        street
    }

    /// Rows of a query, as texts.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut connection = self.connect().await;
            sqlx::query_scalar::<_, String>(sql)
                .fetch_all(&mut connection)
                .await
                .expect("the query is right")
        })
    }

    /// The one number of a query.
    pub fn count(&self, sql: &str) -> i64 {
        self.runtime.block_on(async {
            let mut connection = self.connect().await;
            sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(&mut connection)
                .await
                .expect("the query is right")
        })
    }

    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(self.database())
            .busy_timeout(PATIENCE);
        SqliteConnection::connect_with(&options)
            .await
            .expect("the database opens")
    }

    /// Nobody else writes until this is dropped.
    pub fn hold_database(&self) -> Held<'_> {
        let connection = self.runtime.block_on(async {
            let mut connection = self.connect().await;
            sqlx::query("BEGIN EXCLUSIVE")
                .execute(&mut connection)
                .await
                .expect("the lock");
            connection
        });
        Held {
            connection: Some(connection),
            runtime: &self.runtime,
        }
    }

    /// The events of a boot.
    pub fn events(&self, boot: u32) -> Vec<Value> {
        let path = tandem::bus::log_path(&self.data(), boot);
        let text = std::fs::read_to_string(path).expect("an event log");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("an event"))
            .collect()
    }

    /// `tandem audit` of every boot's log, and of the folder as one story; how many logs there are. A
    /// kill abandons who waits for an agent: of all starts together only a rate may be broken, and by the
    /// kills alone.
    pub fn assert_audited(&self) -> usize {
        let logs = std::fs::read_dir(self.data()).expect("a data folder");
        let logs: Vec<PathBuf> = logs
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with("events-"))
            })
            .collect();
        for log in &logs {
            let (report, said) = audit(log);
            assert_eq!(report["ok"], true, "{}: {said}", log.display());
        }
        let (report, said) = audit(&self.data());
        let found = report["violations"].as_array().expect("a list");
        let is_by_kills = |finding: &Value| {
            let about = finding["about"].as_str().expect("a text");
            let answers = about.split(" of ").next();
            finding["rule"] == "DEMO-1"
                && answers.is_some_and(|all| {
                    about.contains(&format!(", {all} of them by the end of a start"))
                })
        };
        assert!(found.iter().all(is_by_kills), "{said}");
        assert!(
            report["residuals"]
                .as_object()
                .is_some_and(|books| books.values().all(|residual| residual == 0)),
            "{said}"
        );
        let starts = report["starts"].as_array().map_or(0, Vec::len);
        assert!(starts > 0 && starts <= logs.len(), "{said}");
        logs.len()
    }
}

/// What `tandem audit` says of a log or folder, and that as text.
fn audit(of: &Path) -> (Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .arg("audit")
        .arg(of)
        .arg("--json")
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let report = said.lines().next().map(serde_json::from_str::<Value>);
    match report {
        Some(Ok(report)) => (report, said),
        Some(Err(_)) | None => panic!("{}: {said}", of.display()),
    }
}

/// The database's write lock.
pub struct Held<'a> {
    connection: Option<SqliteConnection>,
    runtime: &'a tokio::runtime::Runtime,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.runtime
                .block_on(async { connection.close().await })
                .expect("the lock is given back");
        }
    }
}

/// A child that does not outlive a test that fails.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("it has ended");
    }

    /// Waits for its end.
    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the process has ended", || {
            status = self.0.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        if let Ok(None) = self.0.try_wait() {
            self.kill();
        }
    }
}

/// A process that may not be up yet.
pub struct Spawned {
    child: Process,
    ready: PathBuf,
    began: Instant,
    log: PathBuf,
}

impl Spawned {
    /// Waits until it is up.
    pub fn up(mut self) -> Boot {
        wait_for("the process is up", || {
            let ended = self.child.0.try_wait().expect("a child");
            assert!(
                ended.is_none(),
                "it ended with {ended:?}: {}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
            self.ready.exists()
        });
        let up_after = self.began.elapsed();
        let ready: Value =
            serde_json::from_str(&std::fs::read_to_string(&self.ready).expect("the ready file"))
                .expect("JSON");
        let address = |key: &str| {
            ready[key]
                .as_str()
                .expect("an address")
                .parse()
                .expect("an address")
        };
        Boot {
            sip: address("sip"),
            api: address("api"),
            up_after,
            child: self.child,
        }
    }

    /// Waits for the end of a process that does not come up: how it ended and what it said.
    pub fn refused(mut self) -> (ExitStatus, String) {
        (
            self.child.ended(),
            std::fs::read_to_string(&self.log).expect("its log"),
        )
    }

    /// kill -9 so long after its start.
    pub fn kill_after(mut self, after: Duration) {
        while self.began.elapsed() < after {
            std::thread::park_timeout(after.saturating_sub(self.began.elapsed()));
        }
        self.child.kill();
    }
}

/// A running process.
pub struct Boot {
    /// Where it speaks SIP.
    pub sip: SocketAddr,
    /// Where it speaks HTTP.
    pub api: SocketAddr,
    /// From exec until everything was up.
    pub up_after: Duration,
    child: Process,
}

impl Boot {
    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.child.0);
        kill_process(pid, Signal::TERM).expect("it lives");
    }

    /// Waits for its end.
    pub fn ended(mut self) -> ExitStatus {
        self.child.ended()
    }
}

type Task = Box<dyn FnOnce(&mut Lab) + Send>;

/// A lab on a thread of its own.
pub struct Street {
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Street {
    /// Without anybody.
    pub fn open() -> Street {
        let (tasks, receiver) = channel();
        let thread = std::thread::spawn(move || live(&receiver));
        Street {
            tasks: Some(tasks),
            thread: Some(thread),
        }
    }

    /// Does something in the lab and waits for it.
    pub fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Lab) -> T + Send + 'static) -> T {
        let (done, wait) = channel();
        let task: Task = Box::new(move |lab| done.send(work(lab)).expect("somebody waits"));
        self.tasks
            .as_ref()
            .expect("open")
            .send(task)
            .expect("the lab lives");
        wait.recv().expect("the lab lives")
    }

    /// A carrier; where it listens.
    pub fn carrier(
        &self,
        mut customer: impl FnMut(&str, &mut model::Rng) -> Answering + Send + 'static,
    ) -> (StationId, SocketAddr) {
        self.with(move |lab| {
            let config = StationConfig {
                user: "carrier".into(),
                bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                registration: None,
                answering: Box::new(move |called, _, rng| customer(called, rng)),
            };
            let id = lab.add(config).expect("a carrier");
            (id, lab.address(id))
        })
    }

    /// What it saw.
    pub fn report(&self) -> LabReport {
        self.with(|lab| lab.report())
    }
}

impl Drop for Street {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the lab's thread panicked");
        }
    }
}

fn live(tasks: &Receiver<Task>) {
    let mut lab = Lab::new(IpAddr::from(Ipv4Addr::LOCALHOST), 1).expect("a lab");
    loop {
        match tasks.try_recv() {
            Ok(task) => task(&mut lab),
            Err(TryRecvError::Empty) => lab.turn().expect("the lab's sockets work"),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}
