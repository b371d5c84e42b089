//! A fingerprint of everything that was told, wanted and established: two runs that differ in one
//! byte of it differ in the fingerprint.

use call::{Command, Input};
use model::{Event, Now};
use std::fmt;
use std::io;

/// FNV-1a over 64 bits (Fowler, Noll, Vo): small, the same on every machine, and long enough to
/// tell runs apart. No protection against anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    inputs: u64,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            inputs: 0,
        }
    }
}

impl Trace {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Adds an input and what followed.
    pub(crate) fn step<'a>(
        &mut self,
        now: Now,
        input: &Input,
        commands: impl Iterator<Item = &'a Command>,
        events: &[Event],
    ) {
        self.inputs += 1;
        serde_json::to_writer(&mut *self, &(now, input))
            .expect("inputs serialise, and the fingerprint takes every byte");
        for command in commands {
            fmt::Write::write_fmt(self, format_args!("{command:?}\n"))
                .expect("the fingerprint takes every byte");
        }
        serde_json::to_writer(&mut *self, events)
            .expect("events serialise, and the fingerprint takes every byte");
    }

    /// The fingerprint so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Inputs so far.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }
}

impl io::Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
