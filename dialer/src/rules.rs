//! Rule sets: what the law of a country says, as data. Each rule has its id, names its text, and has
//! dates. A set is a TOML file; the ones in `dialer/rules/` are embedded. Nothing here is legal advice.
//!
//! What a rule may ask for is in [`terms`]; what may be wrong with a set is told by
//! [`RuleSet::problems`]. The checks themselves are in [`crate::law`].

mod problems;
pub mod terms;

pub use problems::RuleProblem;
pub use terms::*;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Records that prove the law was kept are kept so long where no rule says otherwise: five years
/// (16 CFR 310.5), the leap days among them.
pub const RETENTION_DAYS: u32 = 5 * 365 + 2;

/// What one country or regulator asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Short name, as campaigns use it.
    pub id: String,
    /// What it covers, for people.
    #[serde(default)]
    pub title: String,
    /// Sets that hold as well, by id: those of a union its member is bound by.
    #[serde(default)]
    pub include: Vec<String>,
    /// The rules.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// One rule; it may ask for several things at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Which calls it binds.
    #[serde(default)]
    pub calls: Calls,

    /// Local hours in which dialling is legal. Several: any of them. None: the rule has no hours.
    #[serde(default)]
    pub hours: Vec<Hours>,
    /// Holidays on which nobody is dialled, by the local calendar.
    #[serde(default)]
    pub holidays: Vec<Holiday>,
    /// Further days on which nobody is dialled.
    #[serde(default)]
    pub closed: Vec<Day>,

    /// Abandoned ÷ live answers at most this, in per cent.
    #[serde(default)]
    pub abandon_limit_pct: Option<f64>,
    /// Over which periods the limit holds, each of them on its own. Empty: 30 days.
    #[serde(default)]
    pub abandon_over: Vec<Period>,
    /// Where a month of the calendar begins, an IANA name. None: in UTC, for the called places of a
    /// campaign may lie in several zones.
    #[serde(default)]
    pub abandon_zone: Option<String>,
    /// How the rate is reckoned.
    #[serde(default)]
    pub abandon_formula: AbandonFormula,
    /// A live person waits at most this long for an agent, then is abandoned.
    #[serde(default)]
    pub connect_within_ms: Option<u32>,
    /// An abandoned person hears the message at most this long after the answer. Naming it asks for
    /// a message.
    #[serde(default)]
    pub message_within_ms: Option<u32>,
    /// An unanswered call rings at least so long.
    #[serde(default)]
    pub ring_min_ms: Option<u32>,

    /// At most so many dials in a window.
    #[serde(default)]
    pub cap: Option<Cap>,
    /// After an outcome, no dial for some time.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// Consent of kind `direct` lifts `cap` and `lock` for so many days (12 CFR 1006.14(b)(5)).
    #[serde(default)]
    pub direct_consent_days: Option<u16>,
    /// A do-not-call list that has to be fresh.
    #[serde(default)]
    pub do_not_call: Option<DoNotCallTerm>,
    /// Consent without which nobody is dialled.
    #[serde(default)]
    pub consent: Option<ConsentTerm>,
    /// The answer of the reassigned-numbers database that consent is relied on with.
    #[serde(default)]
    pub reassigned: Option<ReassignedTerm>,
    /// Columns without which a lead is not dialled.
    #[serde(default)]
    pub requires: Vec<Column>,

    /// The number shown must be one that can be called back.
    #[serde(default)]
    pub caller_id_returnable: bool,
    /// The records that prove the rules were kept are kept so long.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// No menu keeps the digits of a payment card: the check of the configuration asserts it.
    #[serde(default)]
    pub card_digits_hidden: bool,
}

impl Rule {
    /// Whether the rule is in force on that day for a place in one of these states.
    pub fn applies(&self, day: Date, states: &[&str]) -> bool {
        self.in_force(day)
            && (self.states.is_empty()
                || self
                    .states
                    .iter()
                    .any(|state| states.contains(&state.as_str())))
    }

    /// Whether the rule is in force on that day.
    pub fn in_force(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from.0 <= day) && self.until.is_none_or(|until| day <= until.0)
    }

    /// The zone of its calendar months; UTC where it names none that exists.
    pub fn abandon_zone(&self) -> TimeZone {
        let named = self.abandon_zone.as_deref();
        let zone = named.and_then(|zone| TimeZoneDatabase::bundled().get(zone).ok());
        zone.unwrap_or(TimeZone::UTC)
    }

    /// Whether it says anything about days or hours.
    pub fn is_about_time(&self) -> bool {
        !(self.hours.is_empty() && self.holidays.is_empty() && self.closed.is_empty())
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

    /// How long records are kept, in days.
    pub fn retention_days(&self) -> u32 {
        self.rules
            .iter()
            .filter_map(|rule| rule.retention_days)
            .max()
            .unwrap_or(RETENTION_DAYS)
    }
}

/// The sets that these names mean, with all they include, each once. Own sets go before the embedded
/// ones; a name that nobody knows is left out: [`crate::Config::validate`] has told of it.
pub fn resolve(names: &[String], own: &BTreeMap<String, RuleSet>) -> Vec<RuleSet> {
    let embedded = embedded();
    let find = |name: &str| own.get(name).or_else(|| embedded.get(name)).cloned();
    let mut seen = BTreeSet::new();
    let mut found: Vec<RuleSet> = Vec::new();
    let mut open: Vec<String> = names.iter().rev().cloned().collect();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        if let Some(set) = find(&name) {
            open.extend(set.include.iter().rev().cloned());
            found.push(set);
        }
    }
    found
}

/// The sets that come with the engine, by id.
pub fn embedded() -> &'static BTreeMap<String, RuleSet> {
    static SETS: LazyLock<BTreeMap<String, RuleSet>> = LazyLock::new(|| {
        [
            include_str!("../rules/us.toml"),
            include_str!("../rules/regf.toml"),
            include_str!("../rules/uk.toml"),
            include_str!("../rules/eu.toml"),
            include_str!("../rules/de.toml"),
            include_str!("../rules/ca.toml"),
            include_str!("../rules/pci.toml"),
            include_str!("../rules/demo.toml"),
        ]
        .into_iter()
        .map(|text| {
            let set = RuleSet::from_toml(text).expect("the embedded sets are read in a test");
            (set.id.clone(), set)
        })
        .collect()
    });
    &SETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_sets_are_read_and_without_problems() {
        let sets = embedded();
        assert_eq!(
            sets.keys().map(String::as_str).collect::<Vec<_>>(),
            ["ca", "de", "demo", "eu", "pci", "regf", "uk", "us"]
        );
        for set in sets.values() {
            assert_eq!(set.problems(), [], "{}", set.id);
        }
        assert_eq!(sets["us"].ring_min_ms(), 15_000);
        assert_eq!(sets["us"].retention_days(), RETENTION_DAYS);
    }

    #[test]
    fn every_rule_of_the_page_on_compliance_is_in_a_set() {
        let sets = embedded();
        let has = |set: &str, id: &str| {
            assert!(
                sets[set].rules.iter().any(|rule| rule.id == id),
                "{set} has no {id}"
            );
        };
        for id in [
            "US-1", "US-2", "US-3", "US-4", "US-5", "US-6", "US-7", "US-8", "US-9", "FL-1", "OK-1",
            "WA-1", "REGF-1",
        ] {
            has("us", id);
        }
        for id in ["UK-1", "UK-2", "UK-2a", "UK-2b"] {
            has("uk", id);
        }
        has("ca", "CA-1");
        has("eu", "EU-1");
        has("regf", "REGF-1");
        has("pci", "PCI-1");
        let of_states = sets["us"].rules.iter();
        let of_states: Vec<_> = of_states
            .filter(|rule| rule.id.starts_with("ST-"))
            .collect();
        assert!(of_states.len() >= 15);
        assert!(of_states.iter().all(|rule| !rule.states.is_empty()));
    }

    #[test]
    fn a_member_is_bound_by_its_union_and_a_circle_ends() {
        let names = |sets: Vec<RuleSet>| sets.into_iter().map(|set| set.id).collect::<Vec<_>>();
        let own = BTreeMap::new();
        assert_eq!(names(resolve(&["de".into()], &own)), ["de", "eu"]);
        assert_eq!(
            names(resolve(
                &["de".into(), "eu".into(), "atlantis".into()],
                &own
            )),
            ["de", "eu"]
        );
        let set = |id: &str, include: &str| {
            RuleSet::from_toml(&format!("id = \"{id}\"\ninclude = [\"{include}\"]")).unwrap()
        };
        let own = BTreeMap::from([("a".into(), set("a", "b")), ("b".into(), set("b", "a"))]);
        assert_eq!(names(resolve(&["a".into()], &own)), ["a", "b"]);
    }

    #[test]
    fn the_example_of_the_page_on_compliance_can_be_loaded() {
        let page = include_str!("../../docs/compliance.md");
        let examples: Vec<&str> = page
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
            .collect();
        assert_eq!(examples.len(), 1);
        let set = RuleSet::from_toml(examples[0]).unwrap();
        assert_eq!(set.problems(), []);
        assert_eq!(set.rules.len(), 5);
    }

    #[test]
    fn every_rule_of_every_set_stands_on_the_page_on_compliance() {
        let page = include_str!("../../docs/compliance.md");
        for rule in embedded().values().flat_map(|set| &set.rules) {
            let name = match rule.id.split_once('-') {
                Some(("ST", state)) => state.to_string(),
                Some(("DEMO", _)) => continue,
                Some(("UK", "2a" | "2b")) => "UK-2, a, b".into(),
                Some(_) | None => rule.id.clone(),
            };
            assert!(page.contains(&name), "{}", rule.id);
        }
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
}
