//! A filter of leads: a mistake has its place in the text, and what is printed is read as the same.
#![no_main]

use dialer::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let filter = Filter::new(text);
    match filter.error() {
        Some(error) => assert!(text.get(error.at.clone()).is_some()),
        None => {
            let again = Filter::new(&filter.canonical());
            // What is printed may be longer than what was read, and too long.
            if again.error().is_none() {
                assert_eq!(again.canonical(), filter.canonical());
            }
        }
    }
});
