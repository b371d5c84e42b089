//! Rule sets: what the law of a country says, as data. Each rule has its id and names its text.
//!
//! A set is a TOML file; `us`, `uk`, `de`, `ca` and `demo` are embedded. Nothing here is legal advice.

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one country or regulator asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Short name, as campaigns use it.
    pub id: String,
    /// What it covers, for people.
    #[serde(default)]
    pub title: String,
    /// The rules.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// One rule; it may ask for several things at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// As in events and reports: `US-5`.
    pub id: String,
    /// The legal text it follows.
    pub text: String,
    /// First day in force.
    #[serde(default)]
    pub from: Option<Day>,
    /// Last day in force.
    #[serde(default)]
    pub until: Option<Day>,
    /// Only numbers or addresses of these states; empty: everywhere.
    #[serde(default)]
    pub states: Vec<String>,
    /// Local hours in which dialling is legal. Several: any of them. None: the rule has no hours.
    #[serde(default)]
    pub hours: Vec<Hours>,
    /// Abandoned ÷ live answers at most this, in per cent.
    #[serde(default)]
    pub abandon_limit_pct: Option<f64>,
    /// An unanswered call rings at least so long.
    #[serde(default)]
    pub ring_min_ms: Option<u32>,
    /// At most so many dials in a window.
    #[serde(default)]
    pub cap: Option<Cap>,
    /// After an outcome, a lead is not dialled for some time.
    #[serde(default)]
    pub lock: Option<Lock>,
}

/// Legal hours: `from` ≤ local time < `to` on these days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// `mon` to `sun`; empty: every day.
    #[serde(default)]
    pub days: Vec<WeekDay>,
    /// Included.
    pub from: Minute,
    /// Excluded; `24:00` is the end of the day.
    pub to: Minute,
}

/// A day of the week, as in a rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names of the days")]
pub enum WeekDay {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl WeekDay {
    fn is(self, day: Weekday) -> bool {
        day == match self {
            WeekDay::Mon => Weekday::Monday,
            WeekDay::Tue => Weekday::Tuesday,
            WeekDay::Wed => Weekday::Wednesday,
            WeekDay::Thu => Weekday::Thursday,
            WeekDay::Fri => Weekday::Friday,
            WeekDay::Sat => Weekday::Saturday,
            WeekDay::Sun => Weekday::Sunday,
        }
    }
}

impl Hours {
    /// Whether these hours are for that day of the week.
    pub fn on(&self, day: Weekday) -> bool {
        self.days.is_empty() || self.days.iter().any(|named| named.is(day))
    }
}

/// A local time in minutes since midnight, written `08:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Minute(pub u16);

impl TryFrom<String> for Minute {
    type Error = String;
    fn try_from(text: String) -> Result<Minute, String> {
        let wrong = || format!("{text:?} is not a time such as \"08:00\"");
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        let hour: u16 = hour.parse().map_err(|_| wrong())?;
        let minute: u16 = minute.parse().map_err(|_| wrong())?;
        let sum = hour
            .checked_mul(60)
            .and_then(|h| h.checked_add(minute))
            .ok_or_else(wrong)?;
        if minute > 59 || sum > 24 * 60 {
            Err(wrong())
        } else {
            Ok(Minute(sum))
        }
    }
}

impl From<Minute> for String {
    fn from(minute: Minute) -> String {
        format!("{:02}:{:02}", minute.0 / 60, minute.0 % 60)
    }
}

/// A calendar day, written `2026-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub Date);

impl TryFrom<String> for Day {
    type Error = String;
    fn try_from(text: String) -> Result<Day, String> {
        text.parse()
            .map(Day)
            .map_err(|_| format!("{text:?} is not a day such as \"2026-01-31\""))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.0.to_string()
    }
}

/// At most `calls` dials of one number, and of one person, within `within_s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Dials.
    pub calls: u16,
    /// In so many seconds.
    pub within_s: u32,
}

/// No dial of the lead for `hours` after this outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The outcome.
    pub after: model::AttemptOutcome,
    /// For so long.
    pub hours: u32,
}

impl Rule {
    /// Whether the rule is in force on that day for a place in one of these states.
    pub fn applies(&self, day: Date, states: &[&str]) -> bool {
        self.from.is_none_or(|from| from.0 <= day)
            && self.until.is_none_or(|until| day <= until.0)
            && (self.states.is_empty()
                || self
                    .states
                    .iter()
                    .any(|state| states.contains(&state.as_str())))
    }
}

impl RuleSet {
    /// Reads a set from TOML.
    pub fn from_toml(text: &str) -> Result<RuleSet, toml::de::Error> {
        toml::from_str(text)
    }

    /// The longest of its shortest ring times, in ms.
    pub fn ring_min_ms(&self) -> u32 {
        self.rules
            .iter()
            .filter_map(|rule| rule.ring_min_ms)
            .max()
            .unwrap_or(0)
    }

    /// What is wrong with it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for rule in &self.rules {
            for hours in &rule.hours {
                if hours.from >= hours.to {
                    problems.push(format!("{}: hours end before they begin", rule.id));
                }
            }
            if rule
                .abandon_limit_pct
                .is_some_and(|pct| !(0.0..=100.0).contains(&pct))
            {
                problems.push(format!("{}: a limit is 0 to 100 per cent", rule.id));
            }
            if rule
                .cap
                .is_some_and(|cap| cap.calls == 0 || cap.within_s == 0)
            {
                problems.push(format!(
                    "{}: a cap allows at least one call in one second",
                    rule.id
                ));
            }
        }
        problems
    }
}

/// The sets that come with the engine, by id.
pub fn embedded() -> BTreeMap<String, RuleSet> {
    [
        include_str!("../rules/us.toml"),
        include_str!("../rules/uk.toml"),
        include_str!("../rules/de.toml"),
        include_str!("../rules/ca.toml"),
        include_str!("../rules/demo.toml"),
    ]
    .into_iter()
    .map(|text| {
        let set = RuleSet::from_toml(text).expect("the embedded sets are read in a test");
        (set.id.clone(), set)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_sets_are_read_and_without_problems() {
        let sets = embedded();
        assert_eq!(
            sets.keys().map(String::as_str).collect::<Vec<_>>(),
            ["ca", "de", "demo", "uk", "us"]
        );
        assert!(sets.values().all(|set| set.problems().is_empty()));
        assert_eq!(sets["us"].ring_min_ms(), 15_000);
        assert!(sets["us"].rules.iter().any(|rule| rule.id == "US-5"));
    }

    #[test]
    fn a_rule_outside_its_dates_or_states_does_not_apply() {
        let set = RuleSet::from_toml(
            "id = \"x\"\n[[rule]]\nid = \"X-1\"\ntext = \"t\"\nfrom = \"2026-01-01\"\nuntil = \"2026-12-31\"\nstates = [\"FL\"]",
        )
        .unwrap();
        let rule = &set.rules[0];
        let day = |text: &str| text.parse().unwrap();
        assert!(rule.applies(day("2026-01-01"), &["GA", "FL"]));
        assert!(!rule.applies(day("2025-12-31"), &["FL"]));
        assert!(!rule.applies(day("2027-01-01"), &["FL"]));
        assert!(!rule.applies(day("2026-06-01"), &["GA"]));
    }

    #[test]
    fn times_that_do_not_exist_are_refused() {
        for text in ["8", "25:00", "24:01", "12:60", "a:b", "99999:00"] {
            assert!(Minute::try_from(text.to_string()).is_err(), "{text}");
        }
        assert_eq!(Minute::try_from("24:00".to_string()), Ok(Minute(1440)));
    }
}
