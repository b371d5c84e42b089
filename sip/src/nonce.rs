//! Nonces of our challenges: minted without state, spent once per count, stale after a minute.
//!
//! A nonce carries when it was minted and a keyed hash over that, so a flood of requests that are
//! challenged leaves nothing behind. Only a correct answer is remembered: the highest count seen,
//! until the nonce is stale anyway (RFC 7616 §3.3, §3.4, §5.5).

use crate::siphash::Keyed;
use model::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a nonce is good for: long enough for a slow phone to answer, short enough that a
/// recorded answer is worthless.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(60);

/// What a nonce in a correct answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// Good, and now spent for this count.
    Good,
    /// Not ours, too old, or this count was seen: challenge again with `stale=true`.
    Stale,
}

/// The nonces of one realm.
#[derive(Debug)]
pub(crate) struct Nonces {
    key: Keyed,
    count: u64,
    /// The highest count answered with, per nonce; in the order of minting.
    spent: BTreeMap<(Mono, u64), u32>,
}

impl Nonces {
    /// Nonces under this key.
    pub fn new(key: Keyed) -> Nonces {
        Nonces {
            key,
            count: 0,
            spent: BTreeMap::new(),
        }
    }

    /// A nonce nobody has had.
    pub fn mint(&mut self, now: Mono) -> String {
        self.count += 1;
        let (at, n) = (now.as_micros(), self.count);
        format!("{at:x}.{n:x}.{:032x}", self.mac(at, n))
    }

    fn mac(&self, at: u64, n: u64) -> u128 {
        self.key
            .hash128(&[b"nonce", &at.to_le_bytes(), &n.to_le_bytes()])
    }

    /// Spends count `nc` of a nonce whose answer was correct.
    pub fn spend(&mut self, now: Mono, nonce: &str, nc: u32) -> Worth {
        while let Some(oldest) = self.spent.first_entry() {
            if now.since(oldest.key().0) < NONCE_LIFETIME {
                break;
            }
            oldest.remove();
        }
        let mut parts = nonce.split('.');
        let mut hex = || parts.next().and_then(|p| u128::from_str_radix(p, 16).ok());
        let (Some(at), Some(n), Some(mac)) = (hex(), hex(), hex()) else {
            return Worth::Stale;
        };
        let (Ok(at), Ok(n)) = (u64::try_from(at), u64::try_from(n)) else {
            return Worth::Stale;
        };
        let minted = Mono::from_micros(at);
        if self.mac(at, n) != mac || minted > now || now.since(minted) >= NONCE_LIFETIME {
            return Worth::Stale;
        }
        let highest = self.spent.entry((minted, n)).or_insert(0);
        if nc <= *highest {
            return Worth::Stale;
        }
        *highest = nc;
        Worth::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(s: u64) -> Mono {
        Mono::from_micros(s * 1_000_000)
    }

    #[test]
    fn a_nonce_is_good_once_per_count_and_counts_only_go_up() {
        let mut nonces = Nonces::new(Keyed::new(&[1; 32]));
        let nonce = nonces.mint(s(1));
        assert_eq!(nonces.spend(s(2), &nonce, 1), Worth::Good);
        assert_eq!(nonces.spend(s(2), &nonce, 1), Worth::Stale);
        assert_eq!(nonces.spend(s(2), &nonce, 3), Worth::Good);
        assert_eq!(nonces.spend(s(2), &nonce, 2), Worth::Stale);
    }

    #[test]
    fn a_nonce_is_stale_after_a_minute_and_leaves_nothing_behind() {
        let mut nonces = Nonces::new(Keyed::new(&[1; 32]));
        let nonce = nonces.mint(s(1));
        assert_eq!(nonces.spend(s(60), &nonce, 1), Worth::Good);
        assert_eq!(nonces.spend(s(61), &nonce, 2), Worth::Stale);
        assert!(nonces.spent.is_empty());
    }

    #[test]
    fn a_made_up_nonce_is_stale() {
        let mut nonces = Nonces::new(Keyed::new(&[1; 32]));
        let other = Nonces::new(Keyed::new(&[2; 32])).mint(s(1));
        for nonce in [
            other.as_str(),
            "",
            "1.1",
            "1.1.1",
            "ffffffffffffffffffff.1.0",
        ] {
            assert_eq!(nonces.spend(s(1), nonce, 1), Worth::Stale, "{nonce}");
        }
    }
}
