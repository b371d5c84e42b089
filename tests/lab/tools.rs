//! Foreign programs as children: SIPp, baresip, Asterisk. Each is ended with its test.

use super::wire::Wire;
use super::{Lab, PASSWORD, PATIENCE, free_port, is_taken, look};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// Tells a child of ours something.
pub fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a child has an id");
    if let Err(error) = kill_process(pid, signal) {
        eprintln!("{pid:?} could not be told: {error}");
    }
}

/// Ends a child whatever it does.
pub fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        signal(child, Signal::KILL);
        child.wait().expect("a killed child ends");
    }
}

fn testbed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-testbed")
}

/// A running program.
pub struct Tool {
    pub name: String,
    child: Child,
    output: PathBuf,
}

impl Drop for Tool {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Tool {
    fn spawn(name: &str, command: &mut Command, folder: &Path) -> Tool {
        let output = folder.join(format!("{name}.out"));
        let out = File::create(&output).expect("files can be written");
        let err = out.try_clone().expect("a file can be shared");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}; ./test installs it"));
        Tool {
            name: name.into(),
            child,
            output,
        }
    }

    /// What it wrote, the end of it.
    pub fn output(&self) -> String {
        let mut text =
            String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned();
        let errors = self.output.with_extension("err");
        text.push_str(&std::fs::read_to_string(errors).unwrap_or_default());
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(70)..].join("\n")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_for(PATIENCE)
    }

    /// The same, with another patience.
    pub fn wait_for(&mut self, patience: Duration) -> ExitStatus {
        look(patience, || {
            self.child.try_wait().expect("a child can be asked")
        })
        .unwrap_or_else(|| panic!("{} does not end\n{}", self.name, self.output()))
    }

    /// Waits for its end, which is a good one.
    pub fn succeeds(&mut self) {
        self.succeeds_within(PATIENCE);
    }

    /// The same, with another patience.
    pub fn succeeds_within(&mut self, patience: Duration) {
        let status = self.wait_for(patience);
        assert!(
            status.success(),
            "{}: {status}\n{}",
            self.name,
            self.output()
        );
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be asked")
            .is_none()
    }

    /// Asks it to end, and waits.
    pub fn terminate(&mut self) -> ExitStatus {
        signal(&self.child, Signal::TERM);
        self.wait()
    }

    /// Ends a SIPp that answers calls: after those it has. All of them went as its scenario says.
    pub fn quits_well(&mut self) {
        signal(&self.child, Signal::USR1);
        self.succeeds();
    }
}

/// A SIPp that is about to start.
pub struct Sipp {
    name: String,
    scenario: String,
    at: SocketAddr,
    arguments: Vec<String>,
    remote: String,
    folder: PathBuf,
    is_server: bool,
}

impl Sipp {
    fn new(lab: &Lab, name: &str, scenario: &str, at: SocketAddr, remote: String) -> Sipp {
        let folder = lab.folder.clone();
        Sipp {
            name: name.into(),
            scenario: scenario.into(),
            at,
            arguments: Vec::new(),
            remote,
            folder,
            is_server: false,
        }
    }

    /// A caller on the carrier's side: `caller_*.xml`.
    pub fn caller(lab: &Lab, name: &str, scenario: &str, number: &str) -> Sipp {
        let ip = lab.net.carrier();
        Sipp::new(
            lab,
            name,
            scenario,
            SocketAddr::new(ip, free_port(ip)),
            lab.sip.to_string(),
        )
        .with(&[
            "-s",
            number,
            "-key",
            "caller",
            "+15550100",
            "-m",
            "1",
            "-timeout",
            "120s",
            "-timeout_error",
        ])
    }

    /// The carrier, where it takes our calls: `carrier_*.xml`.
    pub fn carrier(lab: &Lab, scenario: &str) -> Sipp {
        let mut sipp = Sipp::new(lab, "carrier", scenario, lab.carrier, String::new());
        sipp.is_server = true;
        sipp.with(&["-trace_msg", "-message_file"]).with(&[&lab
            .folder
            .join("carrier.msg")
            .display()
            .to_string()])
    }

    /// An agent's phone: `agent_*.xml`. It is registered first, from the same port.
    pub fn phone(lab: &Lab, agent: &str, scenario: &str) -> Sipp {
        Sipp::phones(lab, &[agent], scenario)
    }

    /// Phones of several agents on one port.
    pub fn phones(lab: &Lab, agents: &[&str], scenario: &str) -> Sipp {
        let ip = lab.net.phones();
        let at = SocketAddr::new(ip, free_port(ip));
        register(lab, agents, at);
        let mut sipp = Sipp::new(
            lab,
            &format!("phone-{}", agents[0]),
            scenario,
            at,
            String::new(),
        );
        sipp.is_server = true;
        sipp
    }

    /// Further arguments.
    pub fn with(mut self, arguments: &[&str]) -> Sipp {
        self.arguments
            .extend(arguments.iter().map(|argument| argument.to_string()));
        self
    }

    /// Starts it. One that answers calls is listening when this returns.
    pub fn start(self) -> Tool {
        let ip = self.at.ip().to_string();
        let errors = self.folder.join(format!("{}.err", self.name));
        let mut command = Command::new("sipp");
        command
            .current_dir(&self.folder)
            .arg("-sf")
            .arg(testbed().join("scenarios").join(&self.scenario))
            .args(["-i", &ip, "-mi", &ip, "-p", &self.at.port().to_string()])
            .args([
                "-mp",
                &media_port(self.at.ip()).to_string(),
                "-nostdin",
                "-trace_err",
                "-error_file",
            ])
            .arg(&errors)
            .args(&self.arguments);
        if self.is_server {
            command.args(["-rtp_echo", "-aa", "-skip_rlimit"]);
        } else {
            command.arg(&self.remote);
        }
        let mut tool = Tool::spawn(&self.name, &mut command, &self.folder);
        if self.is_server {
            let is_up = look(PATIENCE, || {
                (is_taken(self.at) || !tool.is_running()).then_some(())
            });
            assert!(
                is_up.is_some() && tool.is_running(),
                "{} is not up\n{}",
                self.name,
                tool.output()
            );
        }
        tool
    }
}

/// How far above its media port SIPp's `[auto_media_port]` counts, before it starts anew: four ports a call.
const MEDIA_PORT_SPAN: u16 = 10_000;
/// SIPp takes its media port and the next ones; one that is taken ends it. None of its calls says a port that
/// does not exist: above 65,535 it would count on, and such an answer is refused.
const MEDIA_PORT_MAX: u16 = u16::MAX - MEDIA_PORT_SPAN;
/// Ports in a row, of which every SIPp has its own.
const MEDIA_PORTS: u16 = 8;

fn media_port(ip: IpAddr) -> u16 {
    static GIVEN: Mutex<BTreeSet<(IpAddr, u16)>> = Mutex::new(BTreeSet::new());
    let found = look(PATIENCE, || {
        let first = free_port(ip) / MEDIA_PORTS * MEDIA_PORTS;
        let is_free = |port| UdpSocket::bind((ip, port)).is_ok();
        let fits = first <= MEDIA_PORT_MAX && (first..first + MEDIA_PORTS).all(is_free);
        let mut given = GIVEN.lock().expect("nobody fails with it");
        (fits && given.insert((ip, first))).then_some(first)
    });
    found.expect("an address has free ports in a row")
}

/// Registers phones by digest as being at `at`, and sends it from there, which is where requests are
/// sent to. SIPp answers the first of several challenges, by MD5 only, and the first is SHA-256.
pub fn register(lab: &Lab, agents: &[&str], at: SocketAddr) {
    let wire = Wire::bound(at, lab.sip);
    for agent in agents {
        let status = wire.register(agent, PASSWORD);
        assert_eq!(status, 200, "REGISTER of {agent}");
    }
}

/// INVITEs a SIPp carrier saw, by Call-ID, retransmissions once.
pub fn invites_seen(lab: &Lab) -> std::collections::BTreeSet<String> {
    let text = std::fs::read(lab.folder.join("carrier.msg")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split("\nINVITE ")
        .skip(1)
        .filter_map(|message| {
            message
                .lines()
                .find_map(|line| line.strip_prefix("Call-ID: "))
        })
        .map(|id| id.trim().to_string())
        .collect()
}

/// A range of ports for RTP on an address.
fn rtp_range(ip: IpAddr) -> (u16, u16) {
    let first = (free_port(ip) & !1).min(60_000);
    (first, first + 100)
}

/// An Asterisk that is running.
pub struct Asterisk {
    pub tool: Tool,
    pub folder: PathBuf,
    pub at: SocketAddr,
}

impl Asterisk {
    /// The carrier, at the address the engine knows.
    pub fn carrier(lab: &Lab) -> Asterisk {
        let asterisk = Asterisk::start(lab, "carrier", lab.carrier, &[], 600);
        asterisk.answers_options(lab);
        asterisk
    }

    /// A phone of an agent; it registers by itself.
    pub fn phone(lab: &Lab, agent: &str, tone_hz: u32) -> Asterisk {
        let ip = lab.net.phones();
        let at = SocketAddr::new(ip, free_port(ip));
        Asterisk::start(lab, "phone", at, &[agent, PASSWORD], tone_hz)
    }

    fn start(lab: &Lab, role: &str, at: SocketAddr, account: &[&str], tone_hz: u32) -> Asterisk {
        let folder = lab.folder.join(format!("asterisk-{role}"));
        std::fs::create_dir_all(&folder).expect("folders can be made");
        let (from, to) = rtp_range(at.ip());
        let mut command = Command::new(testbed().join("asterisk/run"));
        command
            .arg(role)
            .arg(&folder)
            .args([
                at.to_string(),
                from.to_string(),
                to.to_string(),
                lab.sip.to_string(),
            ])
            .args(account)
            .env("TONE_HZ", tone_hz.to_string());
        let tool = Tool::spawn(&format!("asterisk-{role}"), &mut command, &lab.folder);
        Asterisk { tool, folder, at }
    }

    fn answers_options(&self, lab: &Lab) {
        let mut wire = Wire::udp(lab.net.carrier(), self.at);
        let answered = look(PATIENCE, || {
            // Whatever it says: it knows the engine, not us.
            wire.ask_options()
        });
        assert!(
            answered.is_some(),
            "Asterisk does not answer\n{}",
            self.tool.output()
        );
    }

    /// Lets it call us.
    pub fn call(&self, number: &str, caller: &str, digits: &str) {
        let status = Command::new(testbed().join("asterisk/call"))
            .arg(&self.folder)
            .args([number, caller, digits])
            .status()
            .expect("the script starts");
        assert!(status.success(), "{status}");
    }

    /// What it recorded, `heard` or `said`, of calls to a number; complete once it has ended.
    pub fn recording(&self, number: &str, what: &str) -> PathBuf {
        self.folder.join("rec").join(format!("{number}.{what}.wav"))
    }
}

/// A baresip that is running.
pub struct Baresip {
    pub tool: Tool,
    pub folder: PathBuf,
    ctrl: SocketAddr,
}

impl Baresip {
    /// The phone of an agent.
    pub fn phone(lab: &Lab, agent: &str, transport: &str, tone_hz: u32) -> Baresip {
        // It knows only addresses that an interface has.
        let ip = IpAddr::from([127, 0, 0, 1]);
        let folder = lab.folder.join(format!("baresip-{agent}"));
        std::fs::create_dir_all(&folder).expect("folders can be made");
        let at = SocketAddr::new(ip, free_port(ip));
        let ctrl = SocketAddr::new(lab.net.phones(), free_port(lab.net.phones()));
        let (from, to) = rtp_range(ip);
        let mut command = Command::new(testbed().join("baresip/run"));
        command
            .arg(&folder)
            .args([
                at.to_string(),
                from.to_string(),
                to.to_string(),
                lab.sip.to_string(),
            ])
            .args([agent, PASSWORD])
            .env("TONE_HZ", tone_hz.to_string())
            .env("TRANSPORT", transport)
            .env("CTRL", ctrl.to_string());
        let tool = Tool::spawn(&format!("baresip-{agent}"), &mut command, &lab.folder);
        Baresip { tool, folder, ctrl }
    }

    /// Types a command, such as `hold`.
    pub fn command(&self, command: &str) {
        use std::io::{Read, Write};
        let mut stream = look(PATIENCE, || std::net::TcpStream::connect(self.ctrl).ok())
            .expect("baresip takes commands");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        let json = format!("{{\"command\":\"{command}\"}}");
        stream
            .write_all(format!("{}:{json},", json.len()).as_bytes())
            .expect("baresip listens");
        let mut answer = [0u8; 256];
        let read = stream.read(&mut answer).expect("baresip answers");
        assert!(read > 0, "baresip closed its line");
    }

    /// What it heard in its calls.
    pub fn heard(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.folder)
            .expect("its folder is there")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        files
    }
}
