//! SIP over TCP: one listener, connections in and out, framed messages to the control thread.
//!
//! Connections live on the tokio runtime; the control thread sees whole messages and hands whole
//! messages back. A connection that breaks is told once.

use crate::net::waker::Waker;
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use sip::endpoint::{Hop, Transport};
use sip::frame::{Frame, FrameError, PONG, frame};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Most connections at once; further ones are closed on arrival, live ones never.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Messages waiting to be written to one connection; a peer that reads slower is cut off.
const WRITE_QUEUE_MAX: usize = 1_024;
/// A connection that cannot be made in this time has failed; shorter than RFC 3261 timer B, so that
/// another carrier can still be tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Read at once.
const READ_BYTES: usize = 16 * 1024;

/// What the control thread hears of connections.
#[derive(Debug)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
pub enum TcpFact {
    /// One message.
    Received { hop: Hop, bytes: Vec<u8> },
    /// The connection could not be made, or is gone.
    Failed { hop: Hop },
}

/// The connections; cloned into every task that serves one.
#[derive(Clone)]
pub struct Tcp {
    runtime: tokio::runtime::Handle,
    connections: Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<Outgoing>>>>,
    facts: Sender<TcpFact>,
    waker: Waker,
    local: SocketAddr,
}

enum Outgoing {
    Bytes(Vec<u8>),
    Close,
}

impl Tcp {
    /// Listens on `local` and tells of messages on `facts`.
    pub fn listen(
        runtime: tokio::runtime::Handle,
        local: SocketAddr,
        facts: Sender<TcpFact>,
        waker: Waker,
    ) -> std::io::Result<Tcp> {
        let listener = std::net::TcpListener::bind(local)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        let tcp = Tcp {
            runtime: runtime.clone(),
            connections: Arc::default(),
            facts,
            waker,
            local,
        };
        let accepting = tcp.clone();
        runtime.spawn(async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => accepting.accept(listener).await,
                Err(error) => tracing::error!(%error, "the SIP listener on TCP did not start"),
            }
        });
        Ok(tcp)
    }

    /// The address listened on.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends one message, connecting first where there is no connection.
    pub fn send(&self, hop: Hop, bytes: Vec<u8>) {
        let sender = self.connections.lock().get(&hop.remote).cloned();
        let sender = sender.unwrap_or_else(|| self.connect(hop));
        if sender.try_send(Outgoing::Bytes(bytes)).is_err() {
            self.forget(hop, &sender);
        }
    }

    /// Closes a connection after what was sent.
    pub fn close(&self, hop: Hop) {
        let sender = self.connections.lock().get(&hop.remote).cloned();
        if let Some(sender) = sender
            && sender.try_send(Outgoing::Close).is_err()
        {
            self.forget(hop, &sender);
        }
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) if self.connections.lock().len() < CONNECTIONS_MAX => {
                    let hop = Hop {
                        transport: Transport::Tcp,
                        local: self.local,
                        remote,
                    };
                    let sender = self.serve(hop, async move { Ok(stream) });
                    self.connections.lock().insert(remote, sender);
                }
                Ok((_, remote)) => {
                    tracing::warn!(%remote, "too many SIP connections: closed the newest")
                }
                Err(error) => {
                    tracing::warn!(%error, "a SIP connection could not be accepted");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn connect(&self, hop: Hop) -> mpsc::Sender<Outgoing> {
        let sender = self.serve(hop, async move {
            tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(hop.remote)).await?
        });
        self.connections.lock().insert(hop.remote, sender.clone());
        sender
    }

    /// Runs one connection until it ends.
    fn serve(
        &self,
        hop: Hop,
        stream: impl Future<Output = std::io::Result<TcpStream>> + Send + 'static,
    ) -> mpsc::Sender<Outgoing> {
        let (sender, receiver) = mpsc::channel(WRITE_QUEUE_MAX);
        let (tcp, own) = (self.clone(), sender.clone());
        self.runtime.spawn(async move {
            if let Ok(stream) = stream.await {
                let (read, write) = stream.into_split();
                tokio::select! {
                    () = tcp.read(hop, read, own.clone()) => {}
                    () = write_all(write, receiver) => {}
                }
            }
            tcp.forget(hop, &own);
        });
        sender
    }

    async fn read(&self, hop: Hop, mut stream: OwnedReadHalf, pongs: mpsc::Sender<Outgoing>) {
        let mut pending: Vec<u8> = Vec::with_capacity(READ_BYTES);
        loop {
            let mut used = 0;
            loop {
                match frame(&pending[used..]) {
                    Ok(Frame::Message { bytes, consumed }) => {
                        self.tell(TcpFact::Received {
                            hop,
                            bytes: bytes.to_vec(),
                        });
                        used += consumed;
                    }
                    Ok(Frame::Ping { consumed }) => {
                        used += consumed;
                        if pongs.try_send(Outgoing::Bytes(PONG.to_vec())).is_err() {
                            return;
                        }
                    }
                    Ok(Frame::KeepAlive { consumed }) => used += consumed,
                    Ok(Frame::Incomplete) => break,
                    // Where the next message begins cannot be known. The stack answers a head with 400 or
                    // 513, and asks to close behind that and behind what it has yet to say to the messages
                    // before: a connection dropped here would take those answers with it.
                    Err(FrameError::Fault { head, .. } | FrameError::TooLong { head }) => {
                        self.tell(TcpFact::Received {
                            hop,
                            bytes: head.to_vec(),
                        });
                        return std::future::pending::<()>().await;
                    }
                    Err(FrameError::NotSip(_)) => {
                        self.tell(TcpFact::Received {
                            hop,
                            bytes: pending[used..].to_vec(),
                        });
                        return std::future::pending::<()>().await;
                    }
                }
            }
            pending.drain(..used);
            match stream.read_buf(&mut pending).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn tell(&self, fact: TcpFact) {
        // The channel closes only when the process ends; then nobody wants to know.
        if self.facts.send(fact).is_ok() {
            self.waker.wake();
        }
    }

    fn forget(&self, hop: Hop, sender: &mpsc::Sender<Outgoing>) {
        let removed = {
            let mut connections = self.connections.lock();
            let is_own = connections
                .get(&hop.remote)
                .is_some_and(|known| known.same_channel(sender));
            is_own && connections.remove(&hop.remote).is_some()
        };
        if removed {
            self.tell(TcpFact::Failed { hop });
        }
    }
}

async fn write_all(mut stream: OwnedWriteHalf, mut messages: mpsc::Receiver<Outgoing>) {
    while let Some(Outgoing::Bytes(bytes)) = messages.recv().await {
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    if let Err(error) = stream.shutdown().await {
        tracing::debug!(%error, "a SIP connection was gone before it was closed");
    }
}
