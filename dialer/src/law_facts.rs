//! What a lead's columns say to the law, read once: consent, purchases, inquiries, the answer about
//! reassigned numbers, the debt and the subject. What cannot be read is kept as such, and a rule that
//! needs it blocks the dial and says why.

use crate::rules::{Column, ConsentKind};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{Lead, PhoneNumber, Utc};

/// Whom and about what a dial is: what caps and locks go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The number.
    pub number: PhoneNumber,
    /// The lead's customer key, or its id where it has none.
    pub person: String,
    /// What the call is about; none: about everything.
    pub subject: Option<String>,
    /// The debt it collects.
    pub debt: Option<String>,
}

/// The columns, read. `Err` holds a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LawFacts {
    person: String,
    subject: Option<String>,
    debt: Option<String>,
    consent: Result<Vec<ConsentKind>, String>,
    consent_at: Read,
    consent_until: Read,
    purchase_at: Read,
    inquiry_at: Read,
    rnd_at: Read,
    rnd_answer: Option<String>,
    present: Vec<Column>,
}

type Read = Result<Option<Utc>, String>;

impl LawFacts {
    /// Reads the columns of a lead.
    pub fn of(lead: &Lead) -> LawFacts {
        let text = |column: Column| {
            lead.fields
                .get(column.name())
                .map(|text| text.trim())
                .filter(|text| !text.is_empty())
        };
        let owned = |column| text(column).map(str::to_string);
        let instant = |column: Column, is_end: bool| {
            match text(column) {
            None => Ok(None),
            Some(written) => read_instant(written, is_end).map(Some).ok_or_else(|| {
                format!(
                    "{} is {written:?}, which is neither a day such as 2026-01-31 nor an instant such as 2026-01-31T10:00:00Z",
                    column.name()
                )
            }),
        }
        };
        let consent = text(Column::Consent)
            .unwrap_or("")
            .split([' ', ',', ';'])
            .filter(|word| !word.is_empty())
            .map(|word| {
                ConsentKind::from_name(&word.to_ascii_lowercase()).ok_or_else(|| {
                    format!("consent is {word:?}, not written, express, opt_in or direct")
                })
            })
            .collect();
        LawFacts {
            person: lead
                .customer_key
                .clone()
                .unwrap_or_else(|| lead.id.to_string()),
            subject: owned(Column::Subject),
            debt: owned(Column::Debt),
            consent,
            consent_at: instant(Column::ConsentAt, false),
            consent_until: instant(Column::ConsentUntil, true),
            purchase_at: instant(Column::PurchaseAt, false),
            inquiry_at: instant(Column::InquiryAt, false),
            rnd_at: instant(Column::RndAt, false),
            rnd_answer: owned(Column::RndAnswer),
            present: Column::ALL
                .into_iter()
                .filter(|column| text(*column).is_some())
                .collect(),
        }
    }

    /// What caps and locks go by when this number is dialled.
    pub fn whom(&self, number: PhoneNumber) -> Whom {
        Whom {
            number,
            person: self.person.clone(),
            subject: self.subject.clone(),
            debt: self.debt.clone(),
        }
    }

    /// Whether the lead has that column.
    pub fn has(&self, column: Column) -> bool {
        self.present.contains(&column)
    }

    /// Since when there is consent of one of the kinds that holds at `now`; else why not.
    pub fn consent(
        &self,
        kinds: &[ConsentKind],
        max_age_days: Option<u16>,
        now: Utc,
    ) -> Result<Utc, String> {
        let given = self.consent.as_ref().map_err(Clone::clone)?;
        if !given.iter().any(|kind| kinds.contains(kind)) {
            return Err(match given.is_empty() {
                true => "no consent is known".into(),
                false => "consent of another kind than the rule asks for".into(),
            });
        }
        let since = self.consent_at.clone()?;
        let since = since.ok_or("consent without its day: consent_at is missing")?;
        if since > now {
            return Err(format!("consent begins on {}", day_of(since)));
        }
        if let Some(until) = self.consent_until.clone()?
            && until <= now
        {
            return Err(format!(
                "consent ended on {}",
                day_of(until.plus_micros(-1))
            ));
        }
        if let Some(days) = max_age_days
            && since.plus_micros(i64::from(days) * DAY_US) <= now
        {
            return Err(format!("consent is older than {days} days"));
        }
        Ok(since)
    }

    /// Whether a purchase (or an inquiry) of at most so many months ago opens a national list; an
    /// error where its day cannot be read.
    pub fn is_open_since(
        &self,
        purchase_months: Option<u8>,
        inquiry_months: Option<u8>,
        now: Utc,
    ) -> Result<bool, String> {
        for (months, at) in [
            (purchase_months, &self.purchase_at),
            (inquiry_months, &self.inquiry_at),
        ] {
            let Some(months) = months else {
                continue;
            };
            if let Some(at) = at.clone()?
                && at <= now
                && now < months_after(at, months)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the number is known not to have gone to somebody else since the consent.
    pub fn is_not_reassigned(
        &self,
        consent_since: Utc,
        max_age_days: u16,
        now: Utc,
    ) -> Result<(), String> {
        match self.rnd_answer.as_deref() {
            None => {
                return Err(
                    "the reassigned-numbers database was not asked: rnd_answer is missing".into(),
                );
            }
            Some("no") => {}
            Some("yes") => return Err("the number went to somebody else".into()),
            Some("no_data") => {
                return Err("the reassigned-numbers database has no data on it".into());
            }
            Some(other) => return Err(format!("rnd_answer is {other:?}, not yes, no or no_data")),
        }
        let at = self.rnd_at.clone()?;
        let at = at.ok_or("the answer about reassigned numbers has no day: rnd_at is missing")?;
        if at > now {
            return Err(format!(
                "the answer about reassigned numbers is of the future, {}",
                day_of(at)
            ));
        }
        // Both may be written as days: asked on the day of the consent is soon enough.
        if at.plus_micros(DAY_US) <= consent_since {
            return Err(
                "the reassigned-numbers database was asked before the consent was given".into(),
            );
        }
        if at.plus_micros(i64::from(max_age_days) * DAY_US) <= now {
            return Err(format!(
                "the answer about reassigned numbers is older than {max_age_days} days"
            ));
        }
        Ok(())
    }
}

pub(crate) const DAY_US: i64 = 86_400_000_000;

/// A day is read in UTC: its first instant, or the one after its last.
fn read_instant(text: &str, is_end: bool) -> Option<Utc> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Utc::from_micros(at.as_microsecond()));
    }
    // A time without an offset would be read as a day otherwise.
    if text.len() != "2026-01-31".len() {
        return None;
    }
    let day: Date = text.parse().ok()?;
    let day = if is_end { day.tomorrow().ok()? } else { day };
    let at = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Utc::from_micros(at.as_microsecond()))
}

pub(crate) fn day_of(at: Utc) -> Date {
    Timestamp::from_microsecond(at.as_micros())
        .unwrap_or(Timestamp::MAX)
        .to_zoned(TimeZone::UTC)
        .date()
}

/// The same day so many months later, or the month's last.
fn months_after(at: Utc, months: u8) -> Utc {
    let at = Timestamp::from_microsecond(at.as_micros()).unwrap_or(Timestamp::MAX);
    let later = at
        .to_zoned(TimeZone::UTC)
        .checked_add(jiff::Span::new().months(i64::from(months)));
    later.map_or(Utc::from_micros(i64::MAX), |later| {
        Utc::from_micros(later.timestamp().as_microsecond())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(columns: &[(&str, &str)]) -> LawFacts {
        LawFacts::of(&Lead {
            fields: columns
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            ..Lead::new(
                model::LeadId(7),
                "l".parse().unwrap(),
                vec!["+12125550100".parse().unwrap()],
            )
        })
    }

    fn utc(text: &str) -> Utc {
        Utc::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn consent_holds_from_its_day_to_its_last_day() {
        let lead = facts(&[
            ("consent", "written"),
            ("consent_at", "2026-01-01"),
            ("consent_until", "2026-06-30"),
        ]);
        let holds = |at: &str| lead.consent(&[ConsentKind::Written], None, utc(at)).is_ok();
        assert!(!holds("2025-12-31T23:59:59.999999Z"));
        assert!(holds("2026-01-01T00:00:00Z"));
        assert!(holds("2026-06-30T23:59:59.999999Z"));
        assert!(!holds("2026-07-01T00:00:00Z"));
        assert!(
            lead.consent(&[ConsentKind::OptIn], None, utc("2026-02-01T00:00:00Z"))
                .is_err()
        );
        assert!(
            lead.consent(
                &[ConsentKind::Written],
                Some(30),
                utc("2026-01-31T00:00:00Z")
            )
            .is_err()
        );
    }

    #[test]
    fn what_cannot_be_read_is_no_consent_and_says_so() {
        let now = utc("2026-02-01T00:00:00Z");
        for (columns, word) in [
            (&[("consent", "yes")][..], "\"yes\""),
            (&[("consent", "written")][..], "consent_at"),
            (
                &[("consent", "written"), ("consent_at", "1/2/26")][..],
                "1/2/26",
            ),
            (
                &[("consent", "written"), ("consent_at", "2026-02-30")][..],
                "2026-02-30",
            ),
            (
                &[
                    ("consent", "written"),
                    ("consent_at", "2026-01-01T10:00:00"),
                ][..],
                "10:00",
            ),
            (
                &[
                    ("consent", "written"),
                    ("consent_at", "2026-01-01"),
                    ("consent_until", "soon"),
                ][..],
                "soon",
            ),
        ] {
            let why = facts(columns)
                .consent(&[ConsentKind::Written], None, now)
                .unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn a_purchase_opens_eighteen_months_and_an_inquiry_three() {
        let bought = facts(&[("purchase_at", "2025-01-31")]);
        let open = |lead: &LawFacts, at: &str| lead.is_open_since(Some(18), Some(3), utc(at));
        assert_eq!(open(&bought, "2026-07-30T23:59:59Z"), Ok(true));
        assert_eq!(open(&bought, "2026-07-31T00:00:00Z"), Ok(false));
        let asked = facts(&[("inquiry_at", "2026-01-31T12:00:00+01:00")]);
        assert_eq!(open(&asked, "2026-04-30T10:59:59Z"), Ok(true));
        assert_eq!(open(&asked, "2026-04-30T11:00:00Z"), Ok(false));
        assert!(open(&facts(&[("inquiry_at", "May")]), "2026-04-30T11:00:00Z").is_err());
    }

    #[test]
    fn only_a_fresh_no_after_the_consent_tells_that_a_number_is_not_reassigned() {
        let consent = utc("2026-01-10T00:00:00Z");
        let now = utc("2026-02-01T00:00:00Z");
        let answer = |answer: &str, at: &str| {
            facts(&[("rnd_answer", answer), ("rnd_at", at)]).is_not_reassigned(consent, 31, now)
        };
        assert_eq!(answer("no", "2026-01-10"), Ok(()));
        assert!(answer("yes", "2026-01-20").is_err());
        assert!(answer("no_data", "2026-01-20").is_err());
        assert!(answer("no", "2026-01-09").is_err());
        assert!(answer("no", "2026-02-02").is_err());
        assert!(answer("no", "").is_err());
        let late = utc("2026-02-10T00:00:00Z");
        let lead = facts(&[("rnd_answer", "no"), ("rnd_at", "2026-01-10")]);
        assert!(lead.is_not_reassigned(consent, 31, late).is_err());
    }
}
