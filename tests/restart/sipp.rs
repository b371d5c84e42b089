//! A carrier that is SIPp: its own log of what it received is the truth about who was called.

use super::house::wait_for;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Away from every other address of these tests.
const CARRIER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

/// A running SIPp. Killed when dropped.
pub struct Carrier {
    process: Child,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub at: SocketAddr,
}

impl Carrier {
    /// Starts one that decides by the last digit of the called number: `carrier_by_number.xml`.
    pub fn by_number() -> Carrier {
        let folder = tempfile::tempdir().expect("a folder");
        let free = UdpSocket::bind((CARRIER, 0)).expect("an address of this machine");
        let at = free.local_addr().expect("it is bound");
        drop(free);
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("sip-testbed/scenarios/carrier_by_number.xml");
        let ip = at.ip().to_string();
        let process = Command::new("sipp")
            .current_dir(folder.path())
            .arg("-sf")
            .arg(scenario)
            .args(["-i", &ip, "-mi", &ip, "-p", &at.port().to_string()])
            .args(["-nostdin", "-aa", "-skip_rlimit", "-rtp_echo"])
            .args(["-trace_msg", "-message_file", "messages"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("SIPp is installed: Debian's sip-tester");
        let mut carrier = Carrier {
            process,
            folder,
            at,
        };
        wait_for("SIPp listens", || {
            let ended = carrier.process.try_wait().expect("our child");
            assert!(ended.is_none(), "SIPp ended: {ended:?}");
            UdpSocket::bind(at).is_err()
        });
        carrier
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("messages")
    }

    /// The INVITEs it received: the called number by Call-ID. One that was sent again is one.
    pub fn invites(&self) -> BTreeMap<String, String> {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut invites = BTreeMap::new();
        for message in text.split("\nINVITE sip:").skip(1) {
            let called = message.split('@').next().unwrap_or_default();
            let id = message
                .lines()
                .find_map(|line| line.strip_prefix("Call-ID: "));
            // The last line may be half written.
            if let Some(id) = id {
                invites.insert(id.trim().to_string(), called.to_string());
            }
        }
        invites
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("SIPp could not be ended: {error}");
        }
    }
}
