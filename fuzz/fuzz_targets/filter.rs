//! A filter of leads: a mistake has its place in the text, what is printed is read as the same, and a lead
//! of any cells gets one answer, whether it is explained or not, and whether the cells that the filter does not
//! look at are there or not. The first line is the filter, each line after it a cell.
#![no_main]

use dialer::filter::{Filter, Past, Reads, Subject};
use dialer::zone::ZoneBook;
use libfuzzer_sys::fuzz_target;
use model::{Lead, LeadId, Utc};
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let filter = Filter::new(lines.next().unwrap_or_default());
    if let Some(error) = filter.error() {
        assert!(filter.text().get(error.at.clone()).is_some());
        return;
    }
    let again = Filter::new(&filter.canonical());
    // What is printed may be longer than what was read, and too long.
    if again.error().is_none() {
        assert_eq!(again.canonical(), filter.canonical());
    }
    let mut cells: Vec<&str> = lines.collect();
    cells.resize(cells.len().max(3), "");
    let mut reads = Reads::default();
    reads.add(&filter);
    let columns = reads.fields.iter().cloned();
    let fields: BTreeMap<String, String> = columns
        .zip(cells.iter().cycle().map(|cell| cell.to_string()))
        .collect();
    let mut lead = Lead {
        id: LeadId(1),
        list: "list".parse().expect("a name"),
        numbers: vec!["+12125550100".parse().expect("a number")],
        next_number: 0,
        attempts: text.len() as u16,
        priority: cells.len() as i16,
        time_zone: Some(cells[0].to_string()).filter(|zone| !zone.is_empty()),
        name: Some(cells[1].to_string()),
        customer_key: Some(cells[2].to_string()),
        fields,
        last_disposition: cells[0].parse().ok(),
        not_before: None,
    };
    let book = ZoneBook::default();
    let answer = |filter: &Filter, lead: &Lead| {
        let subject = Subject {
            lead,
            past: Past::default(),
            book: &book,
            now: Utc::from_micros(86_400_000_000 * cells.len() as i64),
        };
        let is = filter.matches(&subject);
        assert_eq!(filter.explain(&subject).0, is);
        (is, filter.changes_at(&subject))
    };
    let all = answer(&filter, &lead);
    if again.error().is_none() {
        assert_eq!(answer(&again, &lead), all);
    }
    if !reads.numbers {
        lead.numbers.clear();
    }
    lead.time_zone = lead.time_zone.filter(|_| reads.time_zone);
    lead.name = lead.name.filter(|_| reads.name);
    lead.customer_key = lead.customer_key.filter(|_| reads.customer_key);
    lead.last_disposition = lead.last_disposition.filter(|_| reads.last_disposition);
    assert_eq!(answer(&filter, &lead), all);
});
