//! What the tones of the networks look like: frequencies and cadences by country, the special
//! information tones, and the tones of fax machines. Data only; `progress.rs` compares.
//!
//! Sources: ITU-T E.180/Q.35 (1998) §4–§8 for the general ranges and §7 for the special information
//! tone; ITU-T E.180 Supplement 2 («Various tones used in national networks») for the countries;
//! ITU-T T.30 §4.3.3 (CNG, CED) and V.8 §3.3 (ANSam); Telcordia SR-2275 §6.21.1 for the eight coded
//! special information tones of North America.

/// A tone of the network or of a fax machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It rings at the other end.
    Ringback,
    /// The other end is engaged.
    Busy,
    /// The network is; in North America «reorder».
    Congestion,
    /// A network asks for a number: the other end has hung up, or never was.
    Dial,
    /// A special information tone: what was dialled cannot be reached, and an announcement follows.
    Special(Sit),
    /// CNG, 1100 Hz: a fax machine calls.
    FaxCalling,
    /// CED or ANSam, 2100 Hz: a fax machine or modem answered.
    FaxAnswering,
}

/// What a special information tone says, by the pitch and length of its first two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sit {
    /// The plain one of E.180 §7: three parts of 330 ms at 950, 1400 and 1800 Hz.
    General,
    /// IC: number changed or out of service.
    Intercept,
    /// VC: no such number.
    VacantCode,
    /// RO′: switch congestion, in the local network.
    ReorderLocal,
    /// RO″: switch congestion, at a long-distance carrier.
    ReorderDistant,
    /// NC′: no trunk free, in the local network.
    NoCircuitLocal,
    /// NC″: no trunk free, at a long-distance carrier.
    NoCircuitDistant,
    /// IO: dialled wrongly, and the rest.
    IneffectiveOther,
    /// The eighth code, kept for later use.
    Reserved,
}

/// One cadence of one country.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// ISO 3166 letters of the country; `E.180` for the general ranges.
    pub country: &'static str,
    /// What it says.
    pub tone: Tone,
    /// Its lines: lowest and highest frequency of each, in Hz. Zeroes for no second line.
    pub lines: [(f32, f32); 2],
    /// Sound and silence in turn: the least and most ms of each. One step only: it never pauses.
    pub steps: &'static [(u32, u32)],
    /// How many steps must have been heard whole.
    pub whole: usize,
    /// The step after them must have lasted this many ms.
    pub then_ms: u32,
}

/// Frequencies of a country may be off by this many Hz: E.180 allows ±15 Hz around 425, and 400, 425
/// and 440 Hz must not be taken for each other.
const HZ_OFF: f32 = 8.0;

/// Nobody's second line.
const NONE: (f32, f32) = (0.0, 0.0);

/// A step may be off by 10 % (E.180 §5) and by one and a half frames of 20 ms.
const fn near(ms: u32) -> (u32, u32) {
    let off = ms / 10 + 30;
    (ms - off, ms + off)
}

const fn at(hz: f32) -> (f32, f32) {
    (hz - HZ_OFF, hz + HZ_OFF)
}

/// What must have been heard of a busy tone: sound, silence, sound.
const BUSY_WHOLE: usize = 3;

/// Of a congestion tone, whose periods are half as long: one more period.
const CONGESTION_WHOLE: usize = 5;

/// How long the silence behind a sound of the right length must last until it is a ringing tone: no
/// busy tone pauses that long (E.180 §6: at most 660 ms).
const RINGING_PAUSE_MS: u32 = 800;

/// How long a sound must last until it is a dial tone: no ringing tone is as long (E.180 §5: at most
/// 1.5 s; 2 s in North America).
const DIAL_MS: u32 = 2_600;

/// How long 2100 Hz must last: T.30 says 2.6 s at the least, but V.8 turns the phase every 450 ms.
const ANSWER_TONE_MS: u32 = 500;

const fn cadence(
    country: &'static str,
    tone: Tone,
    lines: [(f32, f32); 2],
    steps: &'static [(u32, u32)],
    whole: usize,
    then_ms: u32,
) -> Cadence {
    Cadence {
        country,
        tone,
        lines,
        steps,
        whole,
        then_ms,
    }
}

const ENDLESS: &[(u32, u32)] = &[(0, u32::MAX)];

/// All cadences; the first that fits is meant, so countries stand before the general ranges.
pub static CADENCES: [Cadence; 23] = [
    cadence(
        "US",
        Tone::Ringback,
        [at(440.0), at(480.0)],
        &[near(2000), near(4000)],
        1,
        RINGING_PAUSE_MS,
    ),
    cadence(
        "US",
        Tone::Busy,
        [at(480.0), at(620.0)],
        &[near(500), near(500)],
        BUSY_WHOLE,
        0,
    ),
    cadence(
        "US",
        Tone::Congestion,
        [at(480.0), at(620.0)],
        &[near(250), near(250)],
        CONGESTION_WHOLE,
        0,
    ),
    cadence(
        "US",
        Tone::Dial,
        [at(350.0), at(440.0)],
        ENDLESS,
        0,
        DIAL_MS,
    ),
    cadence(
        "GB",
        Tone::Ringback,
        [at(400.0), at(450.0)],
        &[near(400), near(200), near(400), near(2000)],
        3,
        RINGING_PAUSE_MS,
    ),
    cadence(
        "GB",
        Tone::Busy,
        [at(400.0), NONE],
        &[near(375), near(375)],
        BUSY_WHOLE,
        0,
    ),
    cadence(
        "GB",
        Tone::Congestion,
        [at(400.0), NONE],
        &[near(400), near(350), near(225), near(525)],
        4,
        0,
    ),
    cadence(
        "GB",
        Tone::Dial,
        [at(350.0), at(450.0)],
        ENDLESS,
        0,
        DIAL_MS,
    ),
    cadence(
        "DE",
        Tone::Ringback,
        [at(425.0), NONE],
        &[near(1000), near(4000)],
        1,
        RINGING_PAUSE_MS,
    ),
    cadence(
        "DE",
        Tone::Busy,
        [at(425.0), NONE],
        &[near(480), near(480)],
        BUSY_WHOLE,
        0,
    ),
    cadence(
        "DE",
        Tone::Congestion,
        [at(425.0), NONE],
        &[near(240), near(240)],
        CONGESTION_WHOLE,
        0,
    ),
    cadence("DE", Tone::Dial, [at(425.0), NONE], ENDLESS, 0, DIAL_MS),
    cadence(
        "FR",
        Tone::Ringback,
        [at(440.0), NONE],
        &[near(1500), near(3500)],
        1,
        RINGING_PAUSE_MS,
    ),
    cadence(
        "FR",
        Tone::Busy,
        [at(440.0), NONE],
        &[near(500), near(500)],
        BUSY_WHOLE,
        0,
    ),
    cadence(
        "FR",
        Tone::Congestion,
        [at(440.0), NONE],
        &[near(250), near(250)],
        CONGESTION_WHOLE,
        0,
    ),
    cadence("FR", Tone::Dial, [at(440.0), NONE], ENDLESS, 0, DIAL_MS),
    // E.180 §5: one line of 400 to 450 Hz, sound 0.67 to 1.5 s, silence 3 to 5 s.
    cadence(
        "E.180",
        Tone::Ringback,
        [(392.0, 458.0), NONE],
        &[(640, 1530), (2970, 5030)],
        1,
        RINGING_PAUSE_MS,
    ),
    // E.180 §6: a period of 300 to 1100 ms, sound to silence between 0.67 and 1.5. What is slower than
    // 350 ms is taken for busy, what is faster for congestion (§7 wants congestion to be the faster).
    cadence(
        "E.180",
        Tone::Busy,
        [(392.0, 458.0), NONE],
        &[(350, 690), (350, 690)],
        BUSY_WHOLE,
        0,
    ),
    cadence(
        "E.180",
        Tone::Congestion,
        [(392.0, 458.0), NONE],
        &[(110, 350), (110, 350)],
        CONGESTION_WHOLE,
        0,
    ),
    cadence(
        "E.180",
        Tone::Dial,
        [(392.0, 458.0), NONE],
        ENDLESS,
        0,
        DIAL_MS,
    ),
    cadence(
        "E.180",
        Tone::Dial,
        [(340.0, 425.0), (400.0, 450.0)],
        ENDLESS,
        0,
        DIAL_MS,
    ),
    // T.30 §4.3.3.1: 1100 ± 38 Hz, 0.5 s in 3.5 s, each ± 15 %. One such sound may be a beep, two are
    // a fax machine.
    cadence(
        "T.30",
        Tone::FaxCalling,
        [(1062.0, 1138.0), NONE],
        &[(405, 595), (2530, 3470)],
        3,
        0,
    ),
    // T.30 §4.3.3.2: 2100 ± 15 Hz. The sidebands that V.8 §3.3 adds are 20 dB below it.
    cadence(
        "T.30",
        Tone::FaxAnswering,
        [(2080.0, 2120.0), NONE],
        ENDLESS,
        0,
        ANSWER_TONE_MS,
    ),
];

/// The three parts of a special information tone: least and highest frequency (E.180 §7: ±50 Hz).
pub const SIT_HZ: [(f32, f32); 3] = [(895.0, 1005.0), (1345.0, 1455.0), (1745.0, 1855.0)];

/// Each part lasts 330 ± 70 ms (E.180 §7), and the ear is off by a frame.
pub const SIT_MS: (u32, u32) = (240, 430);

/// Parts may stand this far apart (E.180 §7: 30 ms), and the ear is off by a frame.
pub const SIT_GAP_MS_MAX: u32 = 60;

/// A part is high or low by which side of this it is on, in Hz: the middle between the two codes.
const SIT_HIGH_HZ: [f32; 2] = [949.5, 1399.5];

/// Within this of the middle, the parts are the plain ones of E.180.
const SIT_PLAIN_HZ: f32 = 12.0;

/// 274 ms are short, 380 ms long.
const SIT_LONG_MS: u32 = 327;

/// Which code three parts are, from pitch and length of the first two.
pub fn sit(parts: [(f32, u32); 2]) -> Sit {
    let plain = (0..2).all(|i| (parts[i].0 - SIT_HIGH_HZ[i]).abs() <= SIT_PLAIN_HZ);
    if plain {
        return Sit::General;
    }
    let high = [0, 1].map(|i| parts[i].0 > SIT_HIGH_HZ[i]);
    let long = [0, 1].map(|i| parts[i].1 > SIT_LONG_MS);
    match (high, long) {
        ([false, false], [false, false]) => Sit::Intercept,
        ([true, false], [true, false]) => Sit::VacantCode,
        ([false, true], [false, true]) => Sit::ReorderLocal,
        ([true, false], [false, true]) => Sit::ReorderDistant,
        ([true, true], [true, true]) => Sit::NoCircuitLocal,
        ([false, false], [true, true]) => Sit::NoCircuitDistant,
        ([false, true], [true, false]) => Sit::IneffectiveOther,
        ([true, true], [false, false]) => Sit::Reserved,
        // No code of the table: the pitches say that it is one, the lengths do not say which.
        ([false, false], _) | ([true, false], _) | ([false, true], _) | ([true, true], _) => {
            Sit::General
        }
    }
}

/// Pitch in Hz and length in ms of the three parts of a code, to make one.
pub const fn sit_parts(sit: Sit) -> [(f32, u32); 3] {
    const SHORT: u32 = 274;
    const LONG: u32 = 380;
    let (low, high) = ((913.8, 1370.6), (985.2, 1428.5));
    let (first, second) = match sit {
        Sit::General => return [(950.0, 330), (1400.0, 330), (1800.0, 330)],
        Sit::Intercept => ((low.0, SHORT), (low.1, SHORT)),
        Sit::VacantCode => ((high.0, LONG), (low.1, SHORT)),
        Sit::ReorderLocal => ((low.0, SHORT), (high.1, LONG)),
        Sit::ReorderDistant => ((high.0, SHORT), (low.1, LONG)),
        Sit::NoCircuitLocal => ((high.0, LONG), (high.1, LONG)),
        Sit::NoCircuitDistant => ((low.0, LONG), (low.1, LONG)),
        Sit::IneffectiveOther => ((low.0, LONG), (high.1, SHORT)),
        Sit::Reserved => ((high.0, SHORT), (high.1, SHORT)),
    };
    [first, second, (1776.7, LONG)]
}
