//! A contact centre for one test: the real binary on free ports, its configuration, its events.
//!
//! Each lab has loopback addresses of its own, so that tests of many processes never meet. Whatever
//! a test waits for is a line of the event log, and every wait has an end. When a lab is closed, the
//! engine has ended by SIGTERM with 0 and its books balance.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod sound;
pub mod tools;
pub mod wire;

use model::event::Fact;
use model::ledger::Ledger;
use model::{AgentId, AgentState, Event};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Whatever does not happen within this time on a busy machine does not happen.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is something, or the time is over.
pub fn look<T>(patience: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = find() {
            return Some(found);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Three loopback addresses: of the engine, of the carrier, of the phones.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    base: [u8; 3],
    host: u8,
}

impl Net {
    fn new() -> Net {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let pid = std::process::id();
        let lab = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(lab < 60, "a process has addresses for 60 labs");
        Net {
            base: [127, (16 + pid / 250 % 200) as u8, (1 + pid % 250) as u8],
            host: lab * 4 + 1,
        }
    }

    fn ip(self, offset: u8) -> IpAddr {
        let [a, b, c] = self.base;
        IpAddr::V4(Ipv4Addr::new(a, b, c, self.host + offset))
    }

    /// Where the engine lives.
    pub fn engine(self) -> IpAddr {
        self.ip(0)
    }

    /// Everything from here is the trunk `carrier`.
    pub fn carrier(self) -> IpAddr {
        self.ip(1)
    }

    /// Phones.
    pub fn phones(self) -> IpAddr {
        self.ip(2)
    }

    /// Nobody the engine knows.
    pub fn stranger(self) -> IpAddr {
        self.ip(3)
    }
}

/// A port that is free for UDP and TCP. Addresses of a lab are its own: nobody takes it in between.
pub fn free_port(ip: IpAddr) -> u16 {
    let found = look(PATIENCE, || {
        let udp = UdpSocket::bind((ip, 0)).ok()?;
        let port = udp.local_addr().ok()?.port();
        TcpListener::bind((ip, port)).ok().map(|_| port)
    });
    found.expect("an address has free ports")
}

/// Whether somebody listens there, on UDP or TCP. Asked of the kernel's tables: a socket of ours,
/// bound to find out, would be in the way of whoever is about to listen.
pub fn is_taken(at: SocketAddr) -> bool {
    let IpAddr::V4(ip) = at.ip() else {
        panic!("labs live on IPv4")
    };
    let address = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), at.port());
    ["/proc/net/udp", "/proc/net/tcp"].iter().any(|table| {
        let sockets = std::fs::read_to_string(table).unwrap_or_default();
        sockets
            .lines()
            .any(|line| line.split_whitespace().nth(1) == Some(&address))
    })
}

/// Files of a lab that is about to start.
pub struct Plan {
    pub net: Net,
    pub folder: PathBuf,
    /// Where the carrier takes our calls.
    pub carrier: SocketAddr,
    /// Its transport.
    pub transport: &'static str,
    agents: String,
    queues: String,
    leads: Vec<(String, String)>,
    /// Lines at the end of `[sip]`.
    sip: String,
    names: Vec<String>,
}

/// The password of every phone.
pub const PASSWORD: &str = "korrekt-horse-battery";

impl Plan {
    /// A centre with one queue `sales` at number 200, a flow before it at number 100 (key 1), and
    /// the trunk `carrier`.
    pub fn new() -> Plan {
        let net = Net::new();
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let folder = root.join(format!("lab-{}-{}", std::process::id(), net.host));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("an old lab can be removed");
        }
        for sub in ["config/ivr", "config/campaigns", "data"] {
            std::fs::create_dir_all(folder.join(sub)).expect("folders can be made");
        }
        let prompts = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prompts");
        std::os::unix::fs::symlink(prompts, folder.join("config/prompts"))
            .expect("links can be made");
        let carrier = SocketAddr::new(net.carrier(), free_port(net.carrier()));
        let plan = Plan {
            net,
            folder,
            carrier,
            transport: "udp",
            agents: String::new(),
            queues: String::new(),
            leads: Vec::new(),
            sip: String::new(),
            names: Vec::new(),
        };
        plan.file("ivr/line.toml", FLOW)
    }

    /// One more file of the configuration.
    pub fn file(self, name: &str, text: &str) -> Plan {
        std::fs::write(self.folder.join("config").join(name), text).expect("files can be written");
        self
    }

    /// A queue, with the lines of its table.
    pub fn queue(mut self, name: &str, lines: &str) -> Plan {
        self.queues.push_str(&format!("[queues.{name}]\n{lines}\n"));
        self
    }

    /// An agent who serves these queues and has this much wrap-up.
    pub fn agent(mut self, name: &str, queues: &[&str], wrap_up_ms: u64) -> Plan {
        self.agents.push_str(&format!(
            "[agents.{name}]\nqueues = {queues:?}\nwrap_up_ms = {wrap_up_ms}\n[phones.{name}]\npassword = \"{PASSWORD}\"\n"
        ));
        self.names.push(name.into());
        self
    }

    /// Challenges for phones that know MD5 only and fail on anything beside it, as baresip 1 does.
    pub fn with_md5_only(mut self) -> Plan {
        self.sip.push_str("digest = [\"md5\"]\n");
        self
    }

    /// A list of leads, as CSV.
    pub fn leads(mut self, list: &str, csv: &str) -> Plan {
        self.leads.push((list.into(), csv.into()));
        self
    }

    /// Starts the engine and waits until it is up.
    pub fn start(mut self) -> Lab {
        if !self.queues.contains("[queues.sales]") {
            self = self.queue("sales", "");
        }
        let Plan {
            net,
            folder,
            carrier,
            transport,
            sip,
            ..
        } = &self;
        let engine = net.engine();
        let tandem = format!(
            "[sip]\nlisten = \"{engine}:0\"\noptions_every_s = 0\n{sip}\n\
             [media]\naddress = \"{engine}\"\nports = [10000, 60000]\nrtp_timeout_s = 300\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[engine]\ndrain_s = 20\n\
             [[route]]\nnumber = \"100\"\nflow = \"line\"\n\
             [[route]]\nnumber = \"200\"\nqueue = \"sales\"\n"
        );
        let any = SocketAddr::new(net.carrier(), 0);
        let trunks = format!(
            "[trunks.carrier]\naddress = \"{carrier}\"\ntransport = \"{transport}\"\nalso_from = [\"{any}\"]\n\
             limits = {{ concurrent_calls = 500, calls_per_second = 50.0 }}\n"
        );
        for (name, text) in [
            ("tandem.toml", &tandem),
            ("trunks.toml", &trunks),
            ("queues.toml", &self.queues),
            ("agents.toml", &self.agents),
        ] {
            std::fs::write(folder.join("config").join(name), text).expect("files can be written");
        }
        for (list, csv) in &self.leads {
            import(folder, list, csv);
        }
        let ready = folder.join("ready.json");
        let log = File::create(folder.join("tandem.log")).expect("files can be written");
        let child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["--log", "info", "serve", "--config"])
            .arg(folder.join("config"))
            .arg("--data")
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let mut lab = Lab {
            net: *net,
            carrier: *carrier,
            folder: folder.clone(),
            child,
            sip: carrier.to_owned(),
            api: carrier.to_owned(),
            token: String::new(),
            events: Vec::new(),
            read: 0,
            breaks: None,
            is_closed: false,
        };
        let up = look(PATIENCE, || {
            if let Some(status) = lab.child.try_wait().expect("a child can be asked") {
                panic!("the engine ended with {status}:\n{}", lab.stderr());
            }
            std::fs::read_to_string(&ready).ok()
        });
        let up: serde_json::Value =
            serde_json::from_str(&up.expect("the engine is up in time")).expect("it is JSON");
        let address = |key: &str| {
            up[key]
                .as_str()
                .and_then(|text| text.parse().ok())
                .expect("an address")
        };
        (lab.sip, lab.api) = (address("sip"), address("api"));
        lab.token = std::fs::read_to_string(folder.join("data/secrets/api-admin"))
            .expect("there is a token");
        lab
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::new()
    }
}

/// The flow at number 100: key 1 goes to sales; no key hangs up.
const FLOW: &str = r#"
id = "line"
start = "main"
[node.main]
type = "menu"
prompt = [{ silence_ms = 200 }]
options = { 1 = "to_sales", 2 = "bye" }
timeout = "20s"
no_input = [{ count = 1, goto = "bye" }]
no_match = [{ count = 1, goto = "bye" }]
[node.to_sales]
type = "queue"
queue = "sales"
[node.bye]
type = "hang_up"
prompt = [{ silence_ms = 100 }]
"#;

fn import(folder: &Path, list: &str, csv: &str) {
    let options = tandem::store::ImportOptions::of(list.parse().expect("a name"));
    let store = tandem::store::StoreConfig::at(folder.join("data/tandem.db"));
    let report = tandem::store::import_csv(
        &store,
        csv.as_bytes(),
        &options,
        model::Utc::from_micros(0),
        &mut |_| {},
    )
    .expect("the list can be imported");
    assert_eq!(report.rejected_total, 0, "{:?}", report.rejected);
}

/// A running engine.
pub struct Lab {
    pub net: Net,
    pub carrier: SocketAddr,
    pub folder: PathBuf,
    /// Where SIP is spoken.
    pub sip: SocketAddr,
    /// Where HTTP is spoken.
    pub api: SocketAddr,
    /// An administrator's.
    pub token: String,
    child: Child,
    events: Vec<Event>,
    read: u64,
    /// The one rule that the audit will find broken, where the test breaks it.
    pub breaks: Option<&'static str>,
    is_closed: bool,
}

impl Lab {
    /// What happened so far.
    pub fn events(&mut self) -> &[Event] {
        self.read_log();
        &self.events
    }

    fn read_log(&mut self) {
        let Ok(mut file) = File::open(self.folder.join("data/events.jsonl")) else {
            return;
        };
        file.seek(SeekFrom::Start(self.read))
            .expect("a log can be read on");
        let mut text = Vec::new();
        file.read_to_end(&mut text).expect("a log can be read");
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in text[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let event = serde_json::from_slice(line)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
            self.events.push(event);
        }
        self.read += whole as u64;
    }

    /// Waits until the events say so.
    pub fn until<T>(&mut self, what: &str, find: impl FnMut(&[Event]) -> Option<T>) -> T {
        self.within(PATIENCE, what, find)
    }

    /// The same, with another patience.
    pub fn within<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut find: impl FnMut(&[Event]) -> Option<T>,
    ) -> T {
        let found = look(patience, || {
            self.read_log();
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the engine ended with {status}:\n{}", self.stderr());
            }
            find(&self.events)
        });
        found.unwrap_or_else(|| panic!("in vain: {what}\n{}", self.story()))
    }

    /// Waits for a fact.
    pub fn fact(&mut self, what: &str, mut is_it: impl FnMut(&Fact) -> bool) -> Event {
        self.until(what, |events| {
            events.iter().find(|event| is_it(&event.fact)).cloned()
        })
    }

    /// Waits for so many facts.
    pub fn facts(
        &mut self,
        n: usize,
        what: &str,
        mut is_it: impl FnMut(&Fact) -> bool,
    ) -> Vec<Event> {
        self.until(what, |events| {
            let found: Vec<Event> = events
                .iter()
                .filter(|event| is_it(&event.fact))
                .cloned()
                .collect();
            (found.len() >= n).then_some(found)
        })
    }

    /// Lets so much time pass after an event, so that a talk has a length.
    pub fn pass(&self, since: model::Now, time: Duration) {
        let until = since.utc.as_micros() + time.as_micros() as i64;
        let passed = look(PATIENCE + time, || {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .expect("after 1970");
            (now.as_micros() as i64 >= until).then_some(())
        });
        assert!(passed.is_some(), "time passes");
    }

    /// How often something has happened so far.
    pub fn count(&mut self, mut is_it: impl FnMut(&Fact) -> bool) -> usize {
        self.events()
            .iter()
            .filter(|event| is_it(&event.fact))
            .count()
    }

    fn story(&self) -> String {
        let tail = self.events.iter().rev().take(40).collect::<Vec<_>>();
        let mut story: Vec<String> = tail
            .iter()
            .rev()
            .map(|event| serde_json::to_string(event).expect("events are JSON"))
            .collect();
        story.push(format!("in {}", self.folder.display()));
        story.push(self.stderr());
        story.join("\n")
    }

    fn stderr(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("tandem.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// An HTTP request; status and body.
    pub fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.api).expect("the API is there");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.api,
            self.token,
            body.len()
        );
        stream
            .write_all(request.as_bytes())
            .expect("the API listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the API answers");
        let status = answer
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        let body = answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_string())
            .unwrap_or_default();
        (status, body)
    }

    /// An agent does something on the API.
    pub fn act(&self, agent: &str, action: &str) {
        let body = format!("{{\"action\":\"{action}\"}}");
        let (status, answer) = self.http("POST", &format!("/v1/agents/{agent}/actions"), &body);
        assert_eq!(status, 202, "{action}: {answer}");
    }

    /// A campaign starts or pauses.
    pub fn run_campaign(&self, campaign: &str, running: bool) {
        let (status, answer) = self.http(
            "POST",
            &format!("/v1/campaigns/{campaign}"),
            &format!("{{\"running\":{running}}}"),
        );
        assert_eq!(status, 202, "{answer}");
    }

    /// Signs an agent in whose phone is registered, and waits until calls can come.
    pub fn make_available(&mut self, agent: &str) {
        self.act(agent, "sign_in");
        self.act(agent, "ready");
        let id: AgentId = agent.parse().expect("a name");
        self.until(&format!("{agent} is available"), |events| {
            (state_of(events, id)? == AgentState::Available).then_some(())
        });
    }

    /// The state of an agent now.
    pub fn state(&mut self, agent: &str) -> Option<AgentState> {
        let id: AgentId = agent.parse().expect("a name");
        state_of(self.events(), id)
    }

    /// A file under the data folder.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.join("data").join(name)
    }

    /// Number of rows a query of the database counts.
    pub fn sql_count(&self, query: &str) -> i64 {
        use sqlx::Connection;
        let file = format!("sqlite://{}?mode=ro", self.data("tandem.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut database = sqlx::SqliteConnection::connect(&file)
                .await
                .expect("the database opens");
            let count = sqlx::query_scalar(query).fetch_one(&mut database).await;
            count.expect("the query holds")
        })
    }

    /// Processor time the engine has used.
    pub fn cpu(&self) -> Duration {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks: u64 = [11, 12]
            .iter()
            .filter_map(|n| fields.get(*n)?.parse::<u64>().ok())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Ends the engine and looks at the books; gives all events.
    pub fn close(mut self) -> Vec<Event> {
        let status = self.terminate();
        assert!(status.success(), "it ended with {status}\n{}", self.story());
        self.read_log();
        assert_books_balance(&self.events);
        assert_audited(&self.data("events.jsonl"), self.breaks);
        self.is_closed = true;
        std::fs::remove_dir_all(&self.folder).expect("a lab can be removed");
        std::mem::take(&mut self.events)
    }

    fn terminate(&mut self) -> ExitStatus {
        tools::signal(&self.child, rustix::process::Signal::TERM);
        look(PATIENCE, || {
            self.child.try_wait().expect("a child can be asked")
        })
        .unwrap_or_else(|| panic!("it does not end\n{}", self.story()))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.is_closed {
            tools::end(&mut self.child);
            eprintln!("the lab's files are left in {}", self.folder.display());
        }
    }
}

fn state_of(events: &[Event], id: AgentId) -> Option<AgentState> {
    events.iter().rev().find_map(|event| match &event.fact {
        Fact::AgentStateChanged { agent, is, .. } if *agent == id => Some(*is),
        _ => None,
    })
}

/// `tandem audit` finds every book balanced and no rule broken but the one that the test breaks.
pub fn assert_audited(log: &Path, breaks: Option<&str>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["audit", "--json"])
        .arg(log)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&said).expect("a report");
    let found = report["violations"].as_array().expect("a list");
    let found: Vec<&str> = found
        .iter()
        .map(|finding| finding["rule"].as_str().expect("a rule"))
        .collect();
    assert_eq!(found, Vec::from_iter(breaks), "{said}");
}

/// Nothing is live, nothing is missing, no rule was broken.
pub fn assert_books_balance(events: &[Event]) {
    let mut ledger = Ledger::new();
    for event in events {
        ledger.apply(event);
    }
    assert_eq!(ledger.violations(), &[], "rules of the stream");
    assert!(
        ledger
            .residuals()
            .iter()
            .all(|(_, residual)| *residual == 0),
        "{:?}",
        ledger.residuals()
    );
    assert!(
        ledger.live().iter().all(|(_, live)| *live == 0),
        "{:?}",
        ledger.live()
    );
}

/// Whether a state change is this agent's, to a state of this name.
pub fn became(fact: &Fact, agent: &str, state: &str) -> bool {
    matches!(fact, Fact::AgentStateChanged { agent: a, is, .. } if a.as_str() == agent && is.name() == state)
}
