//! What is wrong with a rule set beyond its spelling: hours that end before they begin, dates that
//! are the wrong way round, states that nobody knows. Each with its place and what to do.

use super::{Period, Rule, RuleSet};
use crate::zone;

/// The longest window of a cap and the longest lock, in days: what the dialer remembers.
pub const MEMORY_DAYS_MAX: u32 = 31;
/// More dials in a window than this are not told apart; no law counts so far.
pub const CAP_CALLS_MAX: u16 = 64;

/// Something in a rule set that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Where in the set: `rule[3].hours[0].to`.
    pub path: String,
    /// What is wrong, with the rule's id.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl RuleSet {
    /// What is wrong with it.
    pub fn problems(&self) -> Vec<RuleProblem> {
        let mut problems = Vec::new();
        for (n, rule) in self.rules.iter().enumerate() {
            rule.problems(|at, message, remedy| {
                problems.push(RuleProblem {
                    path: format!("rule[{n}].{at}"),
                    message: format!("{}: {message}", rule.id),
                    remedy: remedy.into(),
                });
            });
        }
        problems
    }
}

impl Rule {
    fn problems(&self, mut say: impl FnMut(&str, String, &str)) {
        if self.id.trim().is_empty() {
            say(
                "id",
                "a rule without an id".into(),
                "events name it: give it one, such as \"X-1\"",
            );
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && until < from
        {
            say(
                "until",
                format!("the last day, {}, is before the first, {}", until.0, from.0),
                "put the earlier day into `from`",
            );
        }
        for (n, state) in self.states.iter().enumerate() {
            if !zone::is_state(state) {
                say(
                    &format!("states[{n}]"),
                    format!("there is no state \"{state}\""),
                    "use the two capital letters of the post, such as \"FL\" or \"ON\"",
                );
            }
        }
        for (n, hours) in self.hours.iter().enumerate() {
            if hours.from >= hours.to {
                say(
                    &format!("hours[{n}].to"),
                    "the hours end before they begin".into(),
                    "put the earlier time into `from`; hours over midnight are two entries",
                );
            }
        }
        if self
            .abandon_limit_pct
            .is_some_and(|pct| !(0.0..=100.0).contains(&pct))
        {
            say(
                "abandon_limit_pct",
                "a limit is 0 to 100 per cent".into(),
                "3.0 is usual",
            );
        }
        for (n, period) in self.abandon_over.iter().enumerate() {
            let is_wrong = match period {
                Period::Days(days) => !(1..=366).contains(days),
                Period::Hours(hours) => !(1..=744).contains(hours),
                Period::CalendarMonth => false,
            };
            if is_wrong {
                say(
                    &format!("abandon_over[{n}]"),
                    "a period is 1 to 366 days or 1 to 744 hours".into(),
                    "write { days = 30 }, { hours = 24 } or \"calendar_month\"",
                );
            }
        }
        if let Some(zone) = &self.abandon_zone
            && jiff::tz::TimeZoneDatabase::bundled().get(zone).is_err()
        {
            say(
                "abandon_zone",
                format!("there is no time zone \"{zone}\""),
                "use an IANA name such as \"America/Toronto\", or none for UTC",
            );
        }
        if let Some(cap) = &self.cap {
            if !(1..=CAP_CALLS_MAX).contains(&cap.calls) {
                say(
                    "cap.calls",
                    format!(
                        "a cap allows 1 to {CAP_CALLS_MAX} calls, this one {}",
                        cap.calls
                    ),
                    "to dial nobody, pause the campaign",
                );
            }
            if !(1..=MEMORY_DAYS_MAX * 86_400).contains(&cap.within_s) {
                say(
                    "cap.within_s",
                    format!(
                        "{} is not between 1 and {} s",
                        cap.within_s,
                        MEMORY_DAYS_MAX * 86_400
                    ),
                    "86400 is a day",
                );
            }
            if cap.per.is_empty() {
                say(
                    "cap.per",
                    "counts by nothing".into(),
                    "use [\"number\", \"person\"]",
                );
            }
        }
        if let Some(lock) = &self.lock {
            if !(1..=MEMORY_DAYS_MAX * 24).contains(&lock.hours) {
                say(
                    "lock.hours",
                    format!(
                        "{} is not between 1 and {}",
                        lock.hours,
                        MEMORY_DAYS_MAX * 24
                    ),
                    "72 is three days",
                );
            }
            if lock.per.is_empty() {
                say(
                    "lock.per",
                    "holds for nothing".into(),
                    "use [\"number\", \"person\"]",
                );
            }
        }
        if self
            .consent
            .as_ref()
            .is_some_and(|consent| consent.kinds.is_empty())
        {
            say(
                "consent.kinds",
                "no kind of consent would do".into(),
                "name one, such as [\"written\"]",
            );
        }
        if self
            .do_not_call
            .as_ref()
            .is_some_and(|list| list.max_age_days == 0)
        {
            say(
                "do_not_call.max_age_days",
                "a file of today would be too old".into(),
                "31 is the rule in the United States",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: &str) -> RuleProblem {
        let text = format!("id = \"x\"\n[[rule]]\nid = \"X-1\"\ntext = \"t\"\n{line}");
        let mut problems = RuleSet::from_toml(&text).unwrap().problems();
        assert_eq!(problems.len(), 1, "{line}: {problems:?}");
        problems.remove(0)
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        for (line, path) in [
            (
                "hours = [{ from = \"21:00\", to = \"08:00\" }]",
                "rule[0].hours[0].to",
            ),
            ("states = [\"GA\", \"ZZ\"]", "rule[0].states[1]"),
            (
                "from = \"2026-02-01\"\nuntil = \"2026-01-31\"",
                "rule[0].until",
            ),
            ("abandon_limit_pct = 101.0", "rule[0].abandon_limit_pct"),
            (
                "abandon_over = [{ days = 30 }, { hours = 0 }]",
                "rule[0].abandon_over[1]",
            ),
            (
                "abandon_zone = \"America/Atlantis\"",
                "rule[0].abandon_zone",
            ),
            ("cap = { calls = 0, within_s = 9 }", "rule[0].cap.calls"),
            ("cap = { calls = 1, within_s = 0 }", "rule[0].cap.within_s"),
            (
                "cap = { calls = 1, within_s = 9, per = [] }",
                "rule[0].cap.per",
            ),
            (
                "lock = { after = \"machine\", hours = 0 }",
                "rule[0].lock.hours",
            ),
            ("consent = { kinds = [] }", "rule[0].consent.kinds"),
            (
                "do_not_call = { list = \"us\", max_age_days = 0 }",
                "rule[0].do_not_call.max_age_days",
            ),
        ] {
            let problem = problem(line);
            assert_eq!(problem.path, path);
            assert!(problem.message.starts_with("X-1: ") && !problem.remedy.is_empty());
        }
    }

    #[test]
    fn a_word_that_is_none_is_refused_when_read() {
        for line in [
            "hour = []",
            "holidays = [\"boxing\"]",
            "cap = { calls = 1, within_s = 9, per = [\"planet\"] }",
            "lock = { after = \"talked\", hours = 1 }",
            "abandon_over = [\"month\"]",
            "consent = { kinds = [\"nod\"] }",
            "from = \"2026-02-30\"",
        ] {
            let text = format!("id = \"x\"\n[[rule]]\nid = \"X-1\"\ntext = \"t\"\n{line}");
            assert!(RuleSet::from_toml(&text).is_err(), "{line}");
        }
    }
}
