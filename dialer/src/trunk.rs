//! What a carrier allows: calls at once, and calls per second as token buckets, for all numbers and
//! for blocks of numbers. A carrier that does not answer gets no calls.

use model::{Mono, PhoneNumber};
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

/// A block of numbers that a carrier, or a country behind it, takes more slowly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// How its numbers begin: `+1212`.
    pub prefix: String,
    /// New calls per second to them. Where blocks overlap, each holds.
    pub calls_per_second: f64,
}

impl Block {
    /// Whether the prefix is `+` and digits.
    pub fn is_prefix(&self) -> bool {
        self.prefix
            .strip_prefix('+')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    }

    fn has(&self, number: PhoneNumber) -> bool {
        number
            .digits()
            .starts_with(self.prefix.trim_start_matches('+'))
    }
}

/// A bucket that holds at most one second's worth of calls. A claimed call keeps a token for the
/// instant at which it leaves: however slow the store is, no more leave together than the bucket holds.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    tokens: f64,
    /// Tokens of calls that are being claimed.
    kept: u32,
    at: Mono,
}

impl Bucket {
    pub(crate) fn new(per_second: f64) -> Bucket {
        Bucket {
            per_second,
            tokens: per_second.max(1.0),
            kept: 0,
            at: Mono::ZERO,
        }
    }

    /// Whether one more call may leave now, beside those that are being claimed.
    pub(crate) fn has_token(&mut self, now: Mono) -> bool {
        let passed = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second.max(1.0));
        self.tokens - f64::from(self.kept) >= 1.0
    }

    /// A call is being claimed.
    pub(crate) fn keep(&mut self) {
        self.kept += 1;
    }

    /// A claimed call leaves now.
    pub(crate) fn leave(&mut self, now: Mono) {
        self.give_back();
        self.has_token(now);
        self.tokens -= 1.0;
    }

    /// A claimed call does not leave.
    pub(crate) fn give_back(&mut self) {
        self.kept = self.kept.checked_sub(1).expect("a token was kept for it");
    }
}

/// A carrier as the dialer uses it.
#[derive(Clone, Debug)]
pub(crate) struct Trunk {
    pub(crate) limits: TrunkLimits,
    pub(crate) bucket: Bucket,
    pub(crate) in_use: u32,
    /// Whether it answers, as far as was heard.
    pub(crate) is_up: bool,
    blocks: Vec<(Block, Bucket)>,
}

impl Trunk {
    pub(crate) fn new(limits: TrunkLimits, blocks: Vec<Block>) -> Trunk {
        Trunk {
            limits,
            bucket: Bucket::new(limits.calls_per_second),
            in_use: 0,
            is_up: true,
            blocks: blocks
                .into_iter()
                .map(|block| {
                    let bucket = Bucket::new(block.calls_per_second);
                    (block, bucket)
                })
                .collect(),
        }
    }

    /// Whether it takes one more call now, to some number.
    pub(crate) fn has_room(&mut self, now: Mono) -> bool {
        self.is_up && !self.is_full() && self.bucket.has_token(now)
    }

    /// Whether it takes one more call now, to this number.
    pub(crate) fn has_room_for(&mut self, now: Mono, number: PhoneNumber) -> bool {
        self.has_room(now)
            && self
                .blocks
                .iter_mut()
                .filter(|(block, _)| block.has(number))
                .all(|(_, bucket)| bucket.has_token(now))
    }

    /// A call to this number is being claimed: it has a line from now on.
    pub(crate) fn keep(&mut self, number: PhoneNumber) {
        self.buckets_of(number).for_each(Bucket::keep);
        self.in_use += 1;
    }

    /// The claimed call leaves now.
    pub(crate) fn leave(&mut self, now: Mono, number: PhoneNumber) {
        self.buckets_of(number).for_each(|bucket| bucket.leave(now));
    }

    /// The claimed call does not leave.
    pub(crate) fn give_back(&mut self, number: PhoneNumber) {
        self.buckets_of(number).for_each(Bucket::give_back);
        self.release();
    }

    /// The line of a call that had left is free.
    pub(crate) fn release(&mut self) {
        self.in_use = self.in_use.checked_sub(1).expect("a line is released once");
    }

    /// Whether all lines are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.in_use >= self.limits.concurrent_calls
    }

    fn buckets_of(&mut self, number: PhoneNumber) -> impl Iterator<Item = &mut Bucket> {
        let blocks = self.blocks.iter_mut();
        let concerned = blocks
            .filter(move |(block, _)| block.has(number))
            .map(|(_, bucket)| bucket);
        std::iter::once(&mut self.bucket).chain(concerned)
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
                bucket.keep();
                bucket.leave(now);
                left += 1;
            }
            now += Duration::from_millis(10);
        }
        assert!((50..=55).contains(&left), "{left}");
    }

    #[test]
    fn claims_that_come_back_late_leave_together_no_more_than_the_bucket_holds() {
        let mut bucket = Bucket::new(5.0);
        let mut claimed = 0;
        for tenth in 0..100 {
            if bucket.has_token(Mono::ZERO + Duration::from_millis(100 * tenth)) {
                bucket.keep();
                claimed += 1;
            }
        }
        assert_eq!(claimed, 5, "the store answers none of them");
        let now = Mono::ZERO + Duration::from_secs(10);
        (0..5).for_each(|_| bucket.leave(now));
        assert!(!bucket.has_token(now));
        assert!(bucket.has_token(now + Duration::from_millis(200)));
    }

    #[test]
    fn a_claim_that_comes_to_nothing_gives_its_token_back() {
        let mut bucket = Bucket::new(1.0);
        assert!(bucket.has_token(Mono::ZERO));
        bucket.keep();
        assert!(!bucket.has_token(Mono::ZERO));
        bucket.give_back();
        assert!(bucket.has_token(Mono::ZERO));
    }

    #[test]
    fn a_block_is_slower_than_its_carrier_and_others_do_not_wait_for_it() {
        let block = |prefix: &str, calls_per_second| Block {
            prefix: prefix.into(),
            calls_per_second,
        };
        let limits = TrunkLimits {
            concurrent_calls: 1_000,
            calls_per_second: 100.0,
        };
        let mut trunk = Trunk::new(limits, vec![block("+1212", 2.0), block("+1", 10.0)]);
        let (york, angeles, berlin) = (
            "+12125550100".parse().unwrap(),
            "+13105550100".parse().unwrap(),
            "+4930123456".parse().unwrap(),
        );
        let mut now = Mono::ZERO;
        let mut left = [0; 3];
        for _ in 0..1_000 {
            for (count, number) in left.iter_mut().zip([york, angeles, berlin]) {
                if trunk.has_room_for(now, number) {
                    trunk.keep(number);
                    trunk.leave(now, number);
                    trunk.release();
                    *count += 1;
                }
            }
            now += Duration::from_millis(10);
        }
        assert!((20..=22).contains(&left[0]), "{left:?}");
        assert!((100..=110).contains(&(left[0] + left[1])), "{left:?}");
        assert!((850..=1_000).contains(&left[2]), "{left:?}");
    }

    #[test]
    fn a_carrier_that_does_not_answer_has_no_room() {
        let mut trunk = Trunk::new(TrunkLimits::default(), Vec::new());
        assert!(trunk.has_room(Mono::ZERO));
        trunk.is_up = false;
        assert!(!trunk.has_room(Mono::ZERO));
    }
}
