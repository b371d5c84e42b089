//! When something is due: the timer values of RFC 3261 §17 and one ordered set of deadlines.
//!
//! Every transaction and leg has at most one entry, its earliest deadline; it replaces the entry
//! when it moves. So nothing stale is ever due, and the next deadline is the first entry.

use model::{LegId, Mono, TrunkId};
use std::collections::BTreeSet;
use std::time::Duration;

/// T2: the longest interval between retransmissions (RFC 3261 §17.1.2.2).
pub(crate) const T2: Duration = Duration::from_secs(4);
/// T4: how long a message may stay in the network (RFC 3261 §17.1.2.2).
pub(crate) const T4: Duration = Duration::from_secs(5);
/// Timer D: how long answers to our ACK are expected on UDP; at least 32 s (RFC 3261 §17.1.1.2).
pub(crate) const TIMER_D: Duration = Duration::from_secs(32);

/// The values that follow from T1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The estimated round trip.
    pub t1: Duration,
}

impl Times {
    /// 64·T1: timers B, F, H, J, L and M, and the wait for an ACK.
    pub fn give_up(self) -> Duration {
        self.t1 * 64
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// When to retransmit, give up or forget a request of ours: timers A, B, D, E, F, K, M.
    Client(ClientKey),
    /// When to retransmit, give up or forget a response of ours: timers G, H, I, J, L.
    Server(u128),
    /// When to repeat a 2xx or a reliable provisional response, give up a CANCEL, or try a
    /// re-INVITE again.
    Leg(LegId),
    /// When to refresh or retry a registration of ours.
    Registration(TrunkId),
}

/// Names a request of ours: the number in its branch, and whether it is the CANCEL that shares the
/// branch with its INVITE (RFC 3261 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientKey {
    /// The number in the branch.
    pub branch: u64,
    /// The CANCEL rather than what it cancels.
    pub cancel: bool,
}

/// All deadlines, earliest first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Mono, Timer)>,
}

impl Timers {
    /// Moves the deadline of `timer` from `armed` to `at`.
    pub fn arm(&mut self, timer: Timer, armed: &mut Option<Mono>, at: Option<Mono>) {
        if *armed == at {
            return;
        }
        if let Some(old) = armed.take() {
            assert!(
                self.due.remove(&(old, timer)),
                "an armed timer is in the set"
            );
        }
        if let Some(at) = at {
            self.due.insert((at, timer));
        }
        *armed = at;
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The earliest timer that is due by `now`. It stays armed until its owner moves it.
    pub fn due(&self, now: Mono) -> Option<Timer> {
        self.due
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, timer)| *timer)
    }
}

/// What a transaction wants when its deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet.
    Nothing,
    /// The last message again.
    Retransmit,
    /// To be told as timed out, and forgotten.
    TimedOut,
    /// To be forgotten.
    Over,
}

/// The earlier of two deadlines.
pub(crate) fn earlier(a: Option<Mono>, b: Option<Mono>) -> Option<Mono> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_timer_is_due_once_and_at_its_new_time() {
        let mut timers = Timers::default();
        let mut armed = None;
        let timer = Timer::Leg(LegId(1));
        timers.arm(timer, &mut armed, Some(Mono::from_micros(10)));
        timers.arm(timer, &mut armed, Some(Mono::from_micros(20)));
        assert_eq!(timers.due(Mono::from_micros(15)), None);
        assert_eq!(timers.due(Mono::from_micros(20)), Some(timer));
        timers.arm(timer, &mut armed, None);
        assert_eq!(timers.next(), None);
    }
}
