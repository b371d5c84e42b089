//! The columns of a lead as a claim has them in the log, read by the recount itself.

use super::recount::DAY_US;
use dialer::rules::Column;
use model::Utc;
use model::event::DialBasis;

/// What stands in a column; nothing where it is empty.
pub(super) fn text(basis: &DialBasis, column: Column) -> Option<String> {
    let text = basis.columns.get(column.name())?.trim();
    (!text.is_empty()).then(|| text.to_string())
}

/// A name as rule sets write it.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// µs since 1970 of a day or instant.
pub(super) fn instant(text: &str) -> Option<i64> {
    match text.len() {
        10 => {
            let day: jiff::civil::Date = text.parse().ok()?;
            let epoch = jiff::civil::Date::new(1970, 1, 1).ok()?;
            Some(i64::from((day - epoch).get_days()) * DAY_US)
        }
        _ => text
            .parse::<jiff::Timestamp>()
            .ok()
            .map(|at| at.as_microsecond()),
    }
}

/// Since when there is consent of one of the kinds that holds at `at`.
pub(super) fn is_consent(basis: &DialBasis, kinds: &[&str], at: Utc) -> Option<i64> {
    let given = text(basis, Column::Consent)?.to_lowercase();
    let mut words = given.split([' ', ',', ';']).filter(|word| !word.is_empty());
    if !words.any(|word| kinds.contains(&word)) {
        return None;
    }
    let since = instant(&text(basis, Column::ConsentAt)?)?;
    if let Some(until) = text(basis, Column::ConsentUntil) {
        let whole_day = if until.len() == 10 { DAY_US } else { 0 };
        if instant(&until)? + whole_day <= at.as_micros() {
            return None;
        }
    }
    (since <= at.as_micros()).then_some(since)
}
