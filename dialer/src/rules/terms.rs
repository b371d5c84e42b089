//! The words of a rule set: hours, days, periods, caps, locks, lists and consent. Plain data that is
//! read from TOML; nothing here decides.

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

/// Which calls a rule binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calls {
    /// All of them.
    #[default]
    All,
    /// Those where a recording speaks first and no agent is behind it.
    Prerecorded,
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

/// A holiday that moves or returns every year. One that falls on a Saturday or Sunday is kept on its
/// day and on the Friday before or the Monday after as well (5 U.S.C. 6103(b)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holiday {
    /// 1 January.
    NewYear,
    /// The third Monday in January.
    MartinLutherKing,
    /// The third Monday in February.
    Washington,
    /// The last Monday in May.
    Memorial,
    /// 19 June.
    Juneteenth,
    /// 4 July.
    Independence,
    /// The first Monday in September.
    Labor,
    /// The second Monday in October.
    Columbus,
    /// 11 November.
    Veterans,
    /// The fourth Thursday in November.
    Thanksgiving,
    /// 25 December.
    Christmas,
    /// All of the above: the public holidays of 5 U.S.C. 6103(a).
    UsFederal,
}

impl Holiday {
    /// Whether nobody works on that day because of it.
    pub fn is_kept(self, day: Date) -> bool {
        let fixed = |month: i8, of_month: i8| {
            let is = |date: Option<Date>| {
                date.is_some_and(|date| date.month() == month && date.day() == of_month)
            };
            is(Some(day))
                || (day.weekday() == Weekday::Friday && is(day.tomorrow().ok()))
                || (day.weekday() == Weekday::Monday && is(day.yesterday().ok()))
        };
        let nth = |month: i8, nth: i8, weekday: Weekday| {
            day.month() == month
                && day
                    .nth_weekday_of_month(nth, weekday)
                    .is_ok_and(|nth| nth == day)
        };
        match self {
            Holiday::NewYear => fixed(1, 1),
            Holiday::MartinLutherKing => nth(1, 3, Weekday::Monday),
            Holiday::Washington => nth(2, 3, Weekday::Monday),
            Holiday::Memorial => nth(5, -1, Weekday::Monday),
            Holiday::Juneteenth => fixed(6, 19),
            Holiday::Independence => fixed(7, 4),
            Holiday::Labor => nth(9, 1, Weekday::Monday),
            Holiday::Columbus => nth(10, 2, Weekday::Monday),
            Holiday::Veterans => fixed(11, 11),
            Holiday::Thanksgiving => nth(11, 4, Weekday::Thursday),
            Holiday::Christmas => fixed(12, 25),
            Holiday::UsFederal => [
                Holiday::NewYear,
                Holiday::MartinLutherKing,
                Holiday::Washington,
                Holiday::Memorial,
                Holiday::Juneteenth,
                Holiday::Independence,
                Holiday::Labor,
                Holiday::Columbus,
                Holiday::Veterans,
                Holiday::Thanksgiving,
                Holiday::Christmas,
            ]
            .into_iter()
            .any(|one| one.is_kept(day)),
        }
    }
}

/// Over how long an abandon limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Every stretch of so many days, or the campaign if that is shorter: `{ days = 30 }`.
    Days(u16),
    /// Every stretch of so many hours: `{ hours = 24 }`.
    Hours(u16),
    /// Every month of the calendar, in the rule's `abandon_zone`: `"calendar_month"`.
    CalendarMonth,
}

/// How an abandon rate is reckoned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbandonFormula {
    /// Abandoned ÷ answered by a live person.
    #[default]
    LiveAnswers,
    /// Ofcom's: (abandoned + the detector's false positives − abandoned machines) ÷ (that + live calls
    /// passed to an agent). The mistakes are what the campaign estimates.
    Ofcom,
}

/// What a cap counts by, or a lock holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The number dialled.
    Number,
    /// The person: the lead's customer key, or the lead itself where it has none.
    Person,
    /// The person on one subject (column `subject`), whatever number is used; and the number on that
    /// subject. A lead without a subject counts for all of them.
    Subject,
    /// One debt (column `debt`). A lead without one is not bound.
    Debt,
}

/// At most `calls` dials within `within_s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Dials.
    pub calls: u16,
    /// In so many seconds.
    pub within_s: u32,
    /// Counted by each of these.
    #[serde(default = "number_and_person")]
    pub per: Vec<Scope>,
}

fn number_and_person() -> Vec<Scope> {
    vec![Scope::Number, Scope::Person]
}

impl Cap {
    pub(crate) fn window_us(&self) -> i64 {
        i64::from(self.within_s) * 1_000_000
    }
}

impl Lock {
    pub(crate) fn window_us(&self) -> i64 {
        i64::from(self.hours) * 3_600_000_000
    }
}

/// No dial for `hours` after this outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The outcome; `answered_agent` is a conversation.
    pub after: model::AttemptOutcome,
    /// For so long.
    pub hours: u32,
    /// It holds for each of these.
    #[serde(default = "number_and_person")]
    pub per: Vec<Scope>,
    /// A call for which an agent is held, as in preview, may be made all the same.
    #[serde(default)]
    pub unless_agent_reserved: bool,
}

/// A do-not-call list that has to be fresh, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoNotCallTerm {
    /// The list's name.
    pub list: String,
    /// The file in use is at most so old.
    pub max_age_days: u16,
    /// Nobody is dialled while there is no such list. Otherwise the rule holds once there is one.
    #[serde(default)]
    pub required: bool,
    /// A purchase opens it for so many months (column `purchase_at`).
    #[serde(default)]
    pub purchase_months: Option<u8>,
    /// An inquiry opens it for so many months (column `inquiry_at`).
    #[serde(default)]
    pub inquiry_months: Option<u8>,
    /// Consent of one of these kinds opens it.
    #[serde(default)]
    pub consent: Vec<ConsentKind>,
}

/// What somebody agreed to; column `consent` of a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentKind {
    /// Signed, by hand or electronically: prior express written consent (47 CFR 64.1200(f)(9)).
    Written,
    /// Given by word or by handing over the number: prior express consent.
    Express,
    /// Opted in beforehand to calls of this kind (ePrivacy directive, article 13(1)).
    OptIn,
    /// Given to this caller directly, to be called again at once (12 CFR 1006.14(b)(5)).
    Direct,
}

impl ConsentKind {
    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<ConsentKind> {
        match name {
            "written" => Some(ConsentKind::Written),
            "express" => Some(ConsentKind::Express),
            "opt_in" => Some(ConsentKind::OptIn),
            "direct" => Some(ConsentKind::Direct),
            _ => None,
        }
    }
}

/// Consent without which nobody is dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentTerm {
    /// One of these.
    pub kinds: Vec<ConsentKind>,
    /// It lasts at most so many days; none: until it is withdrawn or runs out.
    #[serde(default)]
    pub max_age_days: Option<u16>,
}

/// The answer of the reassigned-numbers database, where consent is relied on: column `rnd_answer` must
/// be `no`, and `rnd_at` no earlier than the consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReassignedTerm {
    /// The answer is at most so old.
    pub max_age_days: u16,
}

/// A column of a lead that the law looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// Kinds of consent, separated by spaces: [`ConsentKind`].
    Consent,
    /// The day or instant it was given.
    ConsentAt,
    /// The last day or instant of it.
    ConsentUntil,
    /// The last purchase.
    PurchaseAt,
    /// The last inquiry.
    InquiryAt,
    /// When the reassigned-numbers database was asked.
    RndAt,
    /// Its answer: `yes`, `no` or `no_data`.
    RndAnswer,
    /// The debt that is collected.
    Debt,
    /// What the call is about.
    Subject,
    /// The postal code of the address.
    PostalCode,
    /// The state or province of the address, in two letters.
    State,
    /// The country of the address, in two letters (ISO 3166).
    Country,
}

impl Column {
    /// All of them.
    pub const ALL: [Column; 12] = [
        Column::Consent,
        Column::ConsentAt,
        Column::ConsentUntil,
        Column::PurchaseAt,
        Column::InquiryAt,
        Column::RndAt,
        Column::RndAnswer,
        Column::Debt,
        Column::Subject,
        Column::PostalCode,
        Column::State,
        Column::Country,
    ];

    /// As it stands in a list of leads.
    pub fn name(self) -> &'static str {
        match self {
            Column::Consent => "consent",
            Column::ConsentAt => "consent_at",
            Column::ConsentUntil => "consent_until",
            Column::PurchaseAt => "purchase_at",
            Column::InquiryAt => "inquiry_at",
            Column::RndAt => "rnd_at",
            Column::RndAnswer => "rnd_answer",
            Column::Debt => "debt",
            Column::Subject => "subject",
            Column::PostalCode => "postal_code",
            Column::State => "state",
            Column::Country => "country",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_exist_are_refused() {
        for text in ["8", "25:00", "24:01", "12:60", "a:b", "99999:00"] {
            assert!(Minute::try_from(text.to_string()).is_err(), "{text}");
        }
        assert_eq!(Minute::try_from("24:00".to_string()), Ok(Minute(1440)));
    }

    #[test]
    fn the_federal_holidays_of_2026_are_those_of_the_calendar() {
        let mut kept = Vec::new();
        let mut day: Date = "2026-01-01".parse().unwrap();
        while day.year() == 2026 {
            if Holiday::UsFederal.is_kept(day) {
                kept.push(day.to_string());
            }
            day = day.tomorrow().unwrap();
        }
        // 4 July 2026 is a Saturday: the Friday before is free as well.
        assert_eq!(
            kept,
            [
                "2026-01-01",
                "2026-01-19",
                "2026-02-16",
                "2026-05-25",
                "2026-06-19",
                "2026-07-03",
                "2026-07-04",
                "2026-09-07",
                "2026-10-12",
                "2026-11-11",
                "2026-11-26",
                "2026-12-25"
            ]
        );
        assert!(Holiday::NewYear.is_kept("2027-12-31".parse().unwrap()));
    }

    #[test]
    fn a_kind_of_consent_has_one_name_everywhere() {
        for kind in [
            ConsentKind::Written,
            ConsentKind::Express,
            ConsentKind::OptIn,
            ConsentKind::Direct,
        ] {
            let text = toml::Value::try_from(kind).unwrap();
            assert_eq!(ConsentKind::from_name(text.as_str().unwrap()), Some(kind));
        }
        for column in Column::ALL {
            let text = toml::Value::try_from(column).unwrap();
            assert_eq!(text.as_str(), Some(column.name()));
        }
    }
}
