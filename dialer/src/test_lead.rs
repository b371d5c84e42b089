//! The person that unit tests of places, hours and retries call.

use model::{Lead, LeadId};

/// Somebody with one number, and the zone of an address where one is given.
pub(crate) fn lead(number: &str, zone: Option<&str>) -> Lead {
    Lead {
        id: LeadId(1),
        list: "l".parse().unwrap(),
        numbers: vec![number.parse().unwrap()],
        next_number: 0,
        attempts: 0,
        priority: 0,
        time_zone: zone.map(str::to_string),
        name: None,
        customer_key: None,
        fields: Default::default(),
        last_disposition: None,
        not_before: None,
    }
}
