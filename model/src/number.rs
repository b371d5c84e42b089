//! Phone numbers in E.164, and their masked form for logs.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Most digits in an E.164 number (ITU-T E.164 §6).
pub const DIGITS_MAX: usize = 15;

/// An international number: 3 to 15 digits, the first not 0 (ITU-T E.164).
///
/// `Display` writes `+` and all digits: personal, for SIP, the store and events. `Debug` and
/// [`masked`](PhoneNumber::masked) hide the subscriber, for logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber {
    digits: [u8; DIGITS_MAX],
    len: u8,
}

/// Why a text is not a [`PhoneNumber`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It does not begin with `+` and a country code.
    NotInternational,
    /// It has fewer than 3 or more than 15 digits.
    Length(usize),
    /// It has something other than digits and the separators space, `-`, `.`, `(`, `)`.
    Character(char),
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberError::NotInternational => {
                write!(
                    f,
                    "a number starts with '+' and the country code, as in +4930123456"
                )
            }
            NumberError::Length(n) => {
                write!(f, "a number has 3 to {DIGITS_MAX} digits, this one has {n}")
            }
            NumberError::Character(c) => write!(f, "{c:?} cannot be in a number"),
        }
    }
}

impl std::error::Error for NumberError {}

impl PhoneNumber {
    /// The digits without `+`.
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len as usize]).expect("digits are ASCII")
    }

    /// The number with its middle hidden, for logs: `+4930***56`.
    pub fn masked(&self) -> Masked {
        Masked(*self)
    }
}

/// Prints a number with its middle hidden.
#[derive(Clone, Copy)]
pub struct Masked(PhoneNumber);

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.0.digits();
        if d.len() < 8 {
            return write!(f, "+***");
        }
        write!(f, "+{}***{}", &d[..4], &d[d.len() - 2..])
    }
}

impl FromStr for PhoneNumber {
    type Err = NumberError;
    fn from_str(s: &str) -> Result<PhoneNumber, NumberError> {
        let rest = s
            .trim()
            .strip_prefix('+')
            .ok_or(NumberError::NotInternational)?;
        let mut digits = [0; DIGITS_MAX];
        let mut len = 0;
        for c in rest.chars() {
            match c {
                '0'..='9' => {
                    if let Some(slot) = digits.get_mut(len) {
                        *slot = c as u8;
                    }
                    len += 1;
                }
                ' ' | '-' | '.' | '(' | ')' => {}
                other => return Err(NumberError::Character(other)),
            }
        }
        if !(3..=DIGITS_MAX).contains(&len) {
            return Err(NumberError::Length(len));
        }
        if digits[0] == b'0' {
            return Err(NumberError::NotInternational);
        }
        Ok(PhoneNumber {
            digits,
            len: len as u8,
        })
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.digits())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.masked(), f)
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<PhoneNumber, D::Error> {
        struct V;
        impl serde::de::Visitor<'_> for V {
            type Value = PhoneNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as \"+4930123456\"")
            }
            fn visit_str<E: serde::de::Error>(self, s: &str) -> Result<PhoneNumber, E> {
                s.parse().map_err(E::custom)
            }
        }
        d.deserialize_str(V)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_dropped_and_letters_refused() {
        assert_eq!(
            "+49 (30) 12-34.56"
                .parse::<PhoneNumber>()
                .unwrap()
                .to_string(),
            "+4930123456"
        );
        assert_eq!(
            "+49x".parse::<PhoneNumber>(),
            Err(NumberError::Character('x'))
        );
        assert_eq!(
            "030123".parse::<PhoneNumber>(),
            Err(NumberError::NotInternational)
        );
        assert_eq!(
            "+0301234".parse::<PhoneNumber>(),
            Err(NumberError::NotInternational)
        );
        assert_eq!(
            "+1234567890123456".parse::<PhoneNumber>(),
            Err(NumberError::Length(16))
        );
    }

    #[test]
    fn debug_never_shows_the_subscriber() {
        let n: PhoneNumber = "+4930123456".parse().unwrap();
        assert_eq!(format!("{n:?}"), "+4930***56");
        let short: PhoneNumber = "+49110".parse().unwrap();
        assert_eq!(format!("{short:?}"), "+***");
    }
}
