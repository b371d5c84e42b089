//! Wakes a thread out of its sleep in epoll, from any thread. A system call is made only for a
//! thread that sleeps: one that is awake looks at everything before it does.

use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// It looks at everything before it sleeps.
const AWAKE: u8 = 0;
/// It is in epoll, or on its way there.
const ASLEEP: u8 = 1;
/// Somebody woke it since it last looked.
const WOKEN: u8 = 2;

/// A handle that wakes one sleeper. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Waker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    fd: OwnedFd,
    state: AtomicU8,
}

impl Waker {
    /// A new wake-up line.
    pub fn new() -> std::io::Result<Waker> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Waker {
            inner: Arc::new(Inner {
                fd,
                state: AtomicU8::new(AWAKE),
            }),
        })
    }

    /// Wakes the sleeper, now or before its next sleep. Put what it is to see where it looks first.
    pub fn wake(&self) {
        if self.inner.state.swap(WOKEN, Ordering::SeqCst) == ASLEEP {
            // Only a full counter can fail here, and a full counter wakes as well.
            if let Err(error) = rustix::io::write(&self.inner.fd, &1u64.to_ne_bytes()) {
                tracing::trace!(%error, "waker was already set");
            }
        }
    }

    /// The sleeper is awake and about to look at everything.
    pub fn awake(&self) {
        self.inner.state.swap(AWAKE, Ordering::SeqCst);
    }

    /// The sleeper has looked at everything and wants to sleep; false where somebody woke it
    /// meanwhile, and it has to look again.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        self.inner
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Epoll said that [`Waker::fd`] is readable.
    pub fn clear(&self) {
        let mut counter = [0u8; 8];
        if let Err(error) = rustix::io::read(&self.inner.fd, &mut counter) {
            tracing::trace!(%error, "waker had nothing to clear");
        }
    }

    /// For registering with epoll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inner.fd.as_fd()
    }

    /// The wake-up as a shared closure, for parts that should not know what they wake.
    pub fn as_fn(&self) -> Arc<dyn Fn() + Send + Sync> {
        let waker = self.clone();
        Arc::new(move || waker.wake())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(waker: &Waker) -> bool {
        let fd = waker.fd();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&now)).unwrap() > 0
    }

    #[test]
    fn only_a_sleeper_costs_a_write_and_nobody_sleeps_over_a_wake() {
        let waker = Waker::new().unwrap();
        waker.wake();
        assert!(!is_readable(&waker), "it is awake");
        assert!(!waker.may_sleep(), "it has to look first");
        waker.awake();
        assert!(waker.may_sleep());
        waker.wake();
        waker.wake();
        assert!(is_readable(&waker));
        waker.clear();
        assert!(!is_readable(&waker), "two wakes were one write");
        waker.awake();
        assert!(waker.may_sleep());
    }
}
