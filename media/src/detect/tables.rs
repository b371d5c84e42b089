//! The log odds of what is heard after an answer, person over machine, as fitted.

/// Bins of a table.
pub const BINS: usize = 16;

/// Log odds by value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table {
    /// Where each bin begins.
    pub edges: [u16; BINS],
    /// For what ended within the bin.
    pub ended: [f32; BINS],
    /// For what has reached the bin and goes on.
    pub running: [f32; BINS],
}

const Z: Table = Table {
    edges: [0; BINS],
    ended: [0.0; BINS],
    running: [0.0; BINS],
};
pub static RING: Table = Table {
    edges: [
        0, 1500, 3000, 4500, 6000, 8000, 10000, 12000, 14000, 16000, 18000, 20000, 22000, 25000,
        28000, 32000,
    ],
    ..Z
};
pub static ONSET: Table = Table {
    edges: [
        0, 60, 120, 200, 300, 400, 550, 700, 900, 1100, 1400, 1700, 2100, 2600, 3200, 3900,
    ],
    ..Z
};
pub static FIRST: Table = Table {
    edges: [
        0, 120, 200, 280, 360, 440, 520, 620, 740, 880, 1040, 1240, 1500, 1900, 2500, 3500,
    ],
    ..Z
};
pub static PAUSE: [Table; 3] = [Table {
    edges: [
        100, 140, 180, 220, 260, 300, 340, 400, 480, 580, 700, 860, 1060, 1400, 1900, 2600,
    ],
    ..Z
}; 3];
pub static LATER: Table = Table {
    edges: [
        0, 120, 200, 280, 360, 440, 520, 620, 740, 880, 1040, 1240, 1500, 1900, 2500, 3500,
    ],
    ..Z
};
pub static LATER_PAUSE: Table = Table {
    edges: [
        100, 140, 180, 220, 260, 300, 340, 400, 480, 580, 700, 860, 1060, 1400, 1900, 2600,
    ],
    ..Z
};
pub static NOISE: Table = Table {
    edges: [
        0, 21, 24, 27, 30, 33, 36, 39, 42, 45, 48, 51, 54, 57, 60, 63,
    ],
    ..Z
};
