//! The person that unit tests of places, hours and retries call.

use model::{Lead, LeadId};

/// Somebody with one number, and the zone of an address where one is given.
pub(crate) fn lead(number: &str, zone: Option<&str>) -> Lead {
    Lead {
        time_zone: zone.map(str::to_string),
        ..Lead::new(
            LeadId(1),
            "l".parse().unwrap(),
            vec![number.parse().unwrap()],
        )
    }
}
