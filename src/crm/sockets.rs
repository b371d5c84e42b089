//! Which agents have a screen connected, and how to write to it.

use model::AgentId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait for one screen. A browser that does not read this many is not looking.
const SOCKET_QUEUE_MAX: usize = 256;

/// Screens one agent may have open at once: a few tabs, a wallboard, a phone.
pub const SOCKETS_PER_AGENT_MAX: usize = 8;

/// One message to a screen.
#[derive(Debug)]
pub struct ToSocket {
    /// The text frame.
    pub text: Arc<str>,
    /// Told once it is written to the socket and flushed.
    pub written: Option<oneshot::Sender<()>>,
}

/// The connected screens.
#[derive(Default)]
pub struct AgentSockets {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    by_agent: BTreeMap<AgentId, Vec<(u64, mpsc::Sender<ToSocket>)>>,
}

/// A connected screen's end; it is taken off the list when this is dropped.
pub struct Seat {
    sockets: Arc<AgentSockets>,
    agent: AgentId,
    id: u64,
    /// What to write.
    pub outbound: mpsc::Receiver<ToSocket>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.sockets.open.lock();
        if let Some(list) = open.by_agent.get_mut(&self.agent) {
            list.retain(|(id, _)| *id != self.id);
            if list.is_empty() {
                open.by_agent.remove(&self.agent);
            }
        }
    }
}

impl AgentSockets {
    /// No screens.
    pub fn new() -> Arc<AgentSockets> {
        Arc::default()
    }

    /// Adds a screen; none where the agent has too many.
    pub fn connect(self: &Arc<AgentSockets>, agent: AgentId) -> Option<Seat> {
        let (sender, outbound) = mpsc::channel(SOCKET_QUEUE_MAX);
        let mut open = self.open.lock();
        let id = open.next;
        open.next += 1;
        let list = open.by_agent.entry(agent).or_default();
        if list.len() >= SOCKETS_PER_AGENT_MAX {
            return None;
        }
        list.push((id, sender));
        Some(Seat {
            sockets: self.clone(),
            agent,
            id,
            outbound,
        })
    }

    /// Hands a text to every screen of the agent. Gives a receipt per screen that took it.
    pub fn send(&self, agent: AgentId, text: &Arc<str>) -> Vec<oneshot::Receiver<()>> {
        let open = self.open.lock();
        let Some(list) = open.by_agent.get(&agent) else {
            return Vec::new();
        };
        list.iter()
            .filter_map(|(_, sender)| {
                let (written, receipt) = oneshot::channel();
                let message = ToSocket {
                    text: text.clone(),
                    written: Some(written),
                };
                sender.try_send(message).ok().map(|()| receipt)
            })
            .collect()
    }

    /// Whether the agent has a screen.
    pub fn has(&self, agent: AgentId) -> bool {
        self.open.lock().by_agent.contains_key(&agent)
    }

    /// Agents with a screen.
    pub fn connected(&self) -> usize {
        self.open.lock().by_agent.len()
    }
}
