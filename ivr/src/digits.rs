//! Which digits have come, and what they mean so far: a menu's options or a number of a given length.
//!
//! It knows no time. The interpreter starts the input timer when the last prompt has ended and the
//! inter-digit timer anew with each digit, and says here when one of them ran out.

use std::collections::BTreeMap;
use std::fmt;

/// What is listened for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// One of these digit strings. `terminator` ends an option early where a longer one exists.
    Option {
        /// What may be pressed, and where it leads (an index of a node).
        options: BTreeMap<String, usize>,
        /// A key that means «that is all»; consumed, never stored.
        terminator: Option<char>,
    },
    /// `0`–`9`, this many.
    Number {
        /// Fewest digits, at least 1.
        min: u8,
        /// Most digits; the input is complete with the last one.
        max: u8,
        /// A key that means «that is all»; consumed, never stored.
        terminator: Option<char>,
    },
}

/// What the digits mean after one more of them, or after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// More may come: wait for the inter-digit time.
    More,
    /// Complete. `early` where no terminator was needed: one that follows belongs to this input.
    Complete {
        /// No terminator was pressed.
        early: bool,
    },
    /// It cannot become anything that is listened for.
    NoMatch,
}

/// The digits of one input.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Digits {
    pressed: String,
}

/// Only how many: they may be a card number.
impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} digits", self.pressed.len())
    }
}

/// Whether `key` is a key of a telephone: `0`–`9`, `*`, `#`, `A`–`D` (RFC 4733 §3.2).
pub fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')
}

impl Digits {
    /// Takes one more key press.
    pub fn press(&mut self, key: char, wanted: &Wanted) -> Reading {
        match wanted {
            Wanted::Option {
                options,
                terminator,
            } => {
                if Some(key) == *terminator && !self.pressed.is_empty() {
                    return self.end(wanted, false);
                }
                self.pressed.push(key);
                let is_option = options.contains_key(&self.pressed);
                match (is_option, has_longer(options, &self.pressed)) {
                    (_, true) => Reading::More,
                    (true, false) => Reading::Complete { early: true },
                    (false, false) => Reading::NoMatch,
                }
            }
            Wanted::Number {
                max, terminator, ..
            } => {
                if Some(key) == *terminator {
                    return self.end(wanted, false);
                }
                if !key.is_ascii_digit() {
                    return Reading::NoMatch;
                }
                self.pressed.push(key);
                if self.pressed.len() >= usize::from(*max) {
                    Reading::Complete { early: true }
                } else {
                    Reading::More
                }
            }
        }
    }

    /// The inter-digit time ran out.
    pub fn pause(&mut self, wanted: &Wanted) -> Reading {
        self.end(wanted, true)
    }

    /// No more digits come: it is complete or it never will be.
    fn end(&self, wanted: &Wanted, early: bool) -> Reading {
        let complete = match wanted {
            Wanted::Option { options, .. } => options.contains_key(&self.pressed),
            Wanted::Number { min, .. } => self.pressed.len() >= usize::from(*min),
        };
        if complete {
            Reading::Complete { early }
        } else {
            Reading::NoMatch
        }
    }

    /// The digits so far, without the terminator.
    pub fn as_str(&self) -> &str {
        &self.pressed
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.pressed.clear();
    }
}

/// Whether an option is longer than `pressed` and begins with it.
pub(crate) fn has_longer(options: &BTreeMap<String, usize>, pressed: &str) -> bool {
    options
        .range::<str, _>((
            std::ops::Bound::Excluded(pressed),
            std::ops::Bound::Unbounded,
        ))
        .next()
        .is_some_and(|(option, _)| option.starts_with(pressed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(options: &[&str], terminator: Option<char>) -> Wanted {
        let options = options
            .iter()
            .enumerate()
            .map(|(i, o)| ((*o).to_owned(), i))
            .collect();
        Wanted::Option {
            options,
            terminator,
        }
    }

    fn read(keys: &str, wanted: &Wanted) -> (Reading, String) {
        let mut digits = Digits::default();
        let mut last = Reading::More;
        for key in keys.chars() {
            assert_eq!(
                last,
                Reading::More,
                "nothing is pressed after the input is complete"
            );
            last = digits.press(key, wanted);
        }
        (last, digits.as_str().to_owned())
    }

    const COMPLETE: Reading = Reading::Complete { early: true };
    const TERMINATED: Reading = Reading::Complete { early: false };

    #[test]
    fn one_waits_only_where_ten_exists() {
        assert_eq!(read("1", &menu(&["1", "2"], None)).0, COMPLETE);
        assert_eq!(read("1", &menu(&["1", "10"], None)).0, Reading::More);
        assert_eq!(read("10", &menu(&["1", "10"], None)).0, COMPLETE);
        assert_eq!(read("2", &menu(&["1", "10", "2"], None)).0, COMPLETE);
        assert_eq!(read("13", &menu(&["1", "10"], None)).0, Reading::NoMatch);
        let wanted = menu(&["1", "10"], None);
        let mut digits = Digits::default();
        assert_eq!(digits.press('1', &wanted), Reading::More);
        assert_eq!(digits.pause(&wanted), COMPLETE);
        assert_eq!(digits.as_str(), "1");
    }

    #[test]
    fn a_beginning_of_an_option_that_stays_one_is_no_match() {
        let wanted = menu(&["10", "12"], None);
        let mut digits = Digits::default();
        assert_eq!(digits.press('1', &wanted), Reading::More);
        assert_eq!(digits.pause(&wanted), Reading::NoMatch);
    }

    #[test]
    fn the_terminator_ends_an_option_and_is_not_stored() {
        assert_eq!(
            read("1#", &menu(&["1", "10"], Some('#'))),
            (TERMINATED, "1".to_owned())
        );
    }

    #[test]
    fn a_number_ends_with_its_terminator_or_its_longest_length() {
        let wanted = Wanted::Number {
            min: 2,
            max: 4,
            terminator: Some('#'),
        };
        assert_eq!(read("12#", &wanted), (TERMINATED, "12".to_owned()));
        assert_eq!(read("1234", &wanted), (COMPLETE, "1234".to_owned()));
        assert_eq!(read("1#", &wanted).0, Reading::NoMatch);
        assert_eq!(read("#", &wanted).0, Reading::NoMatch);
        assert_eq!(read("12*", &wanted).0, Reading::NoMatch);
        let mut digits = Digits::default();
        digits.press('1', &wanted);
        assert_eq!(digits.clone().pause(&wanted), Reading::NoMatch);
        digits.press('2', &wanted);
        assert_eq!(digits.pause(&wanted), COMPLETE);
    }

    #[test]
    fn debug_says_only_how_many() {
        let mut digits = Digits::default();
        digits.press(
            '4',
            &Wanted::Number {
                min: 1,
                max: 4,
                terminator: None,
            },
        );
        assert_eq!(format!("{digits:?}"), "1 digits");
    }
}
