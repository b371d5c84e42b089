//! The one place where the machine's clocks are read.

use model::{Mono, Now, Utc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks; monotonic time counts from when this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose monotonic zero is now.
    #[allow(
        clippy::new_without_default,
        reason = "starting a clock reads one: it is not a default value"
    )]
    pub fn new() -> Clock {
        Clock {
            origin: Instant::now(),
        }
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        let mono =
            Mono::from_micros(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX));
        // A wall clock before 1970 is a broken one; it names no hour anyway.
        let utc = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono,
            utc: Utc::from_micros(i64::try_from(utc.as_micros()).unwrap_or(i64::MAX)),
        }
    }
}
