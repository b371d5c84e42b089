//! Keyed hashing (SipHash-2-4, Aumasson and Bernstein 2012) with a key from the seed.
//!
//! Names transactions and dialogs by 128 bits that a peer cannot steer into collisions, and mints
//! tags, branches and Call-IDs that a peer cannot guess.

/// Two independent keys, for 128 bits of output.
#[derive(Clone)]
pub(crate) struct Keyed {
    low: [u64; 2],
    high: [u64; 2],
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed")
    }
}

impl Keyed {
    /// A hash under this seed.
    pub fn new(seed: &[u8; 32]) -> Keyed {
        let word = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&seed[i * 8..i * 8 + 8]);
            u64::from_le_bytes(bytes)
        };
        Keyed {
            low: [word(0), word(1)],
            high: [word(2), word(3)],
        }
    }

    /// 64 bits over the parts; where one part ends and the next begins counts.
    pub fn hash64(&self, parts: &[&[u8]]) -> u64 {
        hash(self.low, parts)
    }

    /// 128 bits over the parts.
    pub fn hash128(&self, parts: &[&[u8]]) -> u128 {
        u128::from(hash(self.low, parts)) << 64 | u128::from(hash(self.high, parts))
    }
}

struct Sip {
    v: [u64; 4],
    tail: u64,
    len: usize,
}

impl Sip {
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.v;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }

    fn word(&mut self, m: u64) {
        self.v[3] ^= m;
        self.round();
        self.round();
        self.v[0] ^= m;
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.tail |= u64::from(*b) << (8 * (self.len % 8));
            self.len += 1;
            if self.len.is_multiple_of(8) {
                let m = std::mem::take(&mut self.tail);
                self.word(m);
            }
        }
    }
}

fn hash(key: [u64; 2], parts: &[&[u8]]) -> u64 {
    let mut sip = Sip {
        v: [
            key[0] ^ 0x736f_6d65_7073_6575,
            key[1] ^ 0x646f_7261_6e64_6f6d,
            key[0] ^ 0x6c79_6765_6e65_7261,
            key[1] ^ 0x7465_6462_7974_6573,
        ],
        tail: 0,
        len: 0,
    };
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            sip.write(&(part.len() as u64).to_le_bytes());
        }
        sip.write(part);
    }
    let last = sip.tail | (sip.len as u64) << 56;
    sip.word(last);
    sip.v[2] ^= 0xff;
    for _ in 0..4 {
        sip.round();
    }
    sip.v[0] ^ sip.v[1] ^ sip.v[2] ^ sip.v[3]
}

/// Numbers nobody outside can predict: a keyed hash of a counter.
#[derive(Debug)]
pub(crate) struct Tokens {
    key: Keyed,
    count: u64,
}

impl Tokens {
    /// Numbers under this key.
    pub fn new(key: Keyed) -> Tokens {
        Tokens { key, count: 0 }
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.count += 1;
        self.key.hash64(&[b"token", &self.count.to_le_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the paper's appendix A: key 00..0f, input 00..0e.
    #[test]
    fn the_published_vector_comes_out() {
        let mut seed = [0; 32];
        for (i, b) in seed.iter_mut().enumerate() {
            *b = i as u8;
        }
        let input: Vec<u8> = (0..15).collect();
        assert_eq!(Keyed::new(&seed).hash64(&[&input]), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn where_a_part_ends_counts() {
        let keyed = Keyed::new(&[7; 32]);
        assert_ne!(keyed.hash128(&[b"ab", b"c"]), keyed.hash128(&[b"a", b"bc"]));
    }
}
