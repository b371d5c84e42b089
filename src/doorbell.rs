//! A channel whose receiver sleeps until somebody rings, and says what may wake it.
//!
//! A blocking `recv` of the channel itself spins and yields before it sleeps, which costs a thread
//! that is woken fifty times a second more than its work. Here it sleeps at once, and while it
//! gathers ([`Receiver::gather_until`]) only what is urgent wakes it.

use crossbeam_channel::{TryRecvError, TrySendError};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Instant;

/// What the receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleeper {
    /// It looks at the channel before it sleeps.
    Awake,
    /// Anything wakes it.
    Idle,
    /// Only what is urgent wakes it.
    Gathering,
}

#[derive(Debug)]
struct State {
    sleeper: Sleeper,
    /// Somebody rang since it last slept.
    is_rung: bool,
    /// Something urgent did.
    is_urgent: bool,
}

const AWAKE: State = State {
    sleeper: Sleeper::Awake,
    is_rung: false,
    is_urgent: false,
};

#[derive(Debug)]
struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self, is_urgent: bool) {
        let mut state = self.state.lock();
        state.is_rung = true;
        state.is_urgent |= is_urgent;
        let wakes = match state.sleeper {
            Sleeper::Awake => false,
            Sleeper::Idle => true,
            Sleeper::Gathering => is_urgent,
        };
        if wakes {
            state.sleeper = Sleeper::Awake;
            self.rung.notify_one();
        }
    }

    /// Sleeps as `how` until rung or `until`; not at all if that rang since the last time.
    fn sleep(&self, how: Sleeper, until: Option<Instant>) {
        let mut state = self.state.lock();
        let has_rung = match how {
            Sleeper::Awake => true,
            Sleeper::Idle => state.is_rung,
            Sleeper::Gathering => state.is_urgent,
        };
        if has_rung {
            *state = AWAKE;
            return;
        }
        state.sleeper = how;
        while state.sleeper != Sleeper::Awake {
            match until {
                None => self.rung.wait(&mut state),
                Some(until) => {
                    if self.rung.wait_until(&mut state, until).timed_out() {
                        break;
                    }
                }
            }
        }
        *state = AWAKE;
    }
}

/// The sending end. Cheap to clone; the receiver ends once all are dropped.
#[derive(Debug)]
pub struct Sender<T> {
    /// None only while it is dropped.
    messages: Option<crossbeam_channel::Sender<T>>,
    bell: Arc<Bell>,
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver<T> {
    messages: crossbeam_channel::Receiver<T>,
    bell: Arc<Bell>,
}

/// All senders are gone, and everything they sent was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected;

/// A channel that holds `capacity` messages; without one, any number.
pub fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let (sender, messages) = match capacity {
        Some(capacity) => crossbeam_channel::bounded(capacity),
        None => crossbeam_channel::unbounded(),
    };
    let bell = Arc::new(Bell {
        state: Mutex::new(AWAKE),
        rung: Condvar::new(),
    });
    let sender = Sender {
        messages: Some(sender),
        bell: bell.clone(),
    };
    (sender, Receiver { messages, bell })
}

impl<T> Sender<T> {
    /// Sends; waits only where the channel is full. False where the receiver is gone.
    pub fn send(&self, message: T, is_urgent: bool) -> bool {
        let messages = self.messages.as_ref().expect("taken only by drop");
        let sent = match messages.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(message)) => {
                // Whoever sleeps on a full channel would sleep for ever.
                self.bell.ring(true);
                messages.send(message).is_ok()
            }
            Err(TrySendError::Disconnected(_)) => false,
        };
        self.bell.ring(is_urgent);
        sent
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.messages
            .as_ref()
            .map_or(0, crossbeam_channel::Sender::len)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender {
            messages: self.messages.clone(),
            bell: self.bell.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // First gone, then heard: the receiver looks once more and finds the end.
        drop(self.messages.take());
        self.bell.ring(true);
    }
}

impl<T> Receiver<T> {
    /// The next message, if there is one now.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.messages.try_recv()
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.messages.len()
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`Disconnected`].
    pub fn recv(&self) -> Result<T, Disconnected> {
        loop {
            match self.messages.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(Disconnected),
                Err(TryRecvError::Empty) => self.bell.sleep(Sleeper::Idle, None),
            }
        }
    }

    /// Waits for the next message until an instant; `None` then.
    ///
    /// # Errors
    /// [`Disconnected`].
    pub fn recv_until(&self, until: Instant) -> Result<Option<T>, Disconnected> {
        loop {
            match self.messages.try_recv() {
                Ok(message) => return Ok(Some(message)),
                Err(TryRecvError::Disconnected) => return Err(Disconnected),
                Err(TryRecvError::Empty) if Instant::now() >= until => return Ok(None),
                Err(TryRecvError::Empty) => self.bell.sleep(Sleeper::Idle, Some(until)),
            }
        }
    }

    /// Sleeps until something urgent is sent, all senders are gone, or `until`. What is not urgent
    /// gathers in the channel meanwhile. May return early; look at the channel.
    pub fn gather_until(&self, until: Instant) {
        self.bell.sleep(Sleeper::Gathering, Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn every_message_arrives_in_order_and_the_end_is_seen() {
        let (sender, receiver) = channel(Some(4));
        let other = sender.clone();
        let sending = std::thread::spawn(move || {
            for n in 0..10_000 {
                assert!(other.send(n, n % 3 == 0));
            }
            drop(sender);
        });
        let mut received = Vec::new();
        while let Ok(n) = receiver.recv() {
            received.push(n);
        }
        sending.join().unwrap();
        assert_eq!(received, (0..10_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_urgent_ends_the_gathering_and_what_is_not_does_not() {
        let (sender, receiver) = channel(None);
        let began = Instant::now();
        let sending = std::thread::spawn(move || {
            for n in 0..100 {
                assert!(sender.send(n, false));
            }
            assert!(sender.send(100, true));
            sender
        });
        let mut received = 0;
        while received < 101 {
            receiver.gather_until(began + LONG);
            while receiver.try_recv().is_ok() {
                received += 1;
            }
        }
        assert!(began.elapsed() < LONG, "the urgent one woke it");
        drop(sending.join().unwrap());
        receiver.gather_until(Instant::now() + LONG);
        assert_eq!(receiver.recv(), Err(Disconnected));
        assert!(began.elapsed() < LONG, "so did the end");
    }

    #[test]
    fn a_wait_ends_at_its_time() {
        let (sender, receiver) = channel::<u8>(None);
        let until = Instant::now() + Duration::from_millis(5);
        assert_eq!(receiver.recv_until(until), Ok(None));
        assert!(Instant::now() >= until);
        drop(sender);
        assert_eq!(
            receiver.recv_until(Instant::now() + LONG),
            Err(Disconnected)
        );
    }
}
