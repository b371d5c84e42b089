//! Wakes the control thread out of its sleep in epoll, from any thread, with at most one system
//! call per sleep.

use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A handle that wakes one sleeper. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Waker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    fd: OwnedFd,
    /// Somebody has written since the sleeper last drained: no need to write again.
    is_set: AtomicBool,
}

impl Waker {
    /// A new wake-up line.
    pub fn new() -> std::io::Result<Waker> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Waker {
            inner: Arc::new(Inner {
                fd,
                is_set: AtomicBool::new(false),
            }),
        })
    }

    /// Wakes the sleeper, now or at its next sleep.
    pub fn wake(&self) {
        if !self.inner.is_set.swap(true, Ordering::AcqRel) {
            // Only a full counter can fail here, and a full counter wakes as well.
            if let Err(error) = rustix::io::write(&self.inner.fd, &1u64.to_ne_bytes()) {
                tracing::trace!(%error, "waker was already set");
            }
        }
    }

    /// The sleeper is awake and about to look at everything.
    pub fn drain(&self) {
        if self.inner.is_set.swap(false, Ordering::AcqRel) {
            let mut counter = [0u8; 8];
            if let Err(error) = rustix::io::read(&self.inner.fd, &mut counter) {
                tracing::trace!(%error, "waker had nothing to drain");
            }
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
