//! DTMF as RFC 4733 events and as tones in the audio.

pub mod goertzel;
pub mod rfc4733;

/// The sixteen keys in the order of their RFC 4733 event codes.
pub const KEYS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// The key of an event code; `None` for events that are no keys (flash, tones).
pub fn key(event: u8) -> Option<char> {
    KEYS.get(usize::from(event)).copied()
}

/// The event code of a key; lower-case letters are as good.
pub fn event(key: char) -> Option<u8> {
    KEYS.iter()
        .position(|k| *k == key.to_ascii_uppercase())
        .map(|i| i as u8)
}

/// Row frequencies in Hz (ITU-T Q.23).
pub const ROWS: [u16; 4] = [697, 770, 852, 941];

/// Column frequencies in Hz (ITU-T Q.23).
pub const COLUMNS: [u16; 4] = [1209, 1336, 1477, 1633];

/// The keypad by row and column.
pub const PAD: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// The two frequencies of a key in Hz, row first.
pub fn frequencies(key: char) -> Option<(u16, u16)> {
    let key = key.to_ascii_uppercase();
    PAD.iter().zip(ROWS).find_map(|(row, low)| {
        row.iter()
            .position(|k| *k == key)
            .map(|column| (low, COLUMNS[column]))
    })
}
