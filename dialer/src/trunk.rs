//! What a carrier allows: calls at once, and calls per second as a token bucket.

use model::Mono;
use serde::{Deserialize, Serialize};

/// A carrier's limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkLimits {
    /// Calls at once, those talking included.
    pub concurrent_calls: u32,
    /// New calls per second.
    pub calls_per_second: f64,
}

impl Default for TrunkLimits {
    fn default() -> TrunkLimits {
        TrunkLimits {
            concurrent_calls: 100,
            calls_per_second: 10.0,
        }
    }
}

/// A bucket that holds at most one second's worth of calls.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Mono,
}

impl Bucket {
    pub(crate) fn new(per_second: f64) -> Bucket {
        Bucket {
            per_second,
            tokens: per_second.max(1.0),
            at: Mono::ZERO,
        }
    }

    /// Whether a call may leave now.
    pub(crate) fn has_token(&mut self, now: Mono) -> bool {
        let passed = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second.max(1.0));
        self.tokens >= 1.0
    }

    /// A call leaves.
    pub(crate) fn take(&mut self) {
        self.tokens -= 1.0;
    }
}

/// A carrier as the dialer uses it.
#[derive(Clone, Debug)]
pub(crate) struct Trunk {
    pub(crate) limits: TrunkLimits,
    pub(crate) bucket: Bucket,
    pub(crate) in_use: u32,
}

impl Trunk {
    pub(crate) fn new(limits: TrunkLimits) -> Trunk {
        Trunk {
            limits,
            bucket: Bucket::new(limits.calls_per_second),
            in_use: 0,
        }
    }

    pub(crate) fn has_room(&mut self, now: Mono) -> bool {
        self.in_use < self.limits.concurrent_calls && self.bucket.has_token(now)
    }

    pub(crate) fn take(&mut self) {
        self.bucket.take();
        self.in_use += 1;
    }

    pub(crate) fn release(&mut self) {
        self.in_use = self.in_use.checked_sub(1).expect("a line is released once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_second_has_more_calls_than_bucket_and_rate() {
        let mut bucket = Bucket::new(5.0);
        let mut now = Mono::ZERO;
        let mut left = 0;
        for _ in 0..1_000 {
            if bucket.has_token(now) {
                bucket.take();
                left += 1;
            }
            now += Duration::from_millis(10);
        }
        assert!((50..=55).contains(&left), "{left}");
    }
}
