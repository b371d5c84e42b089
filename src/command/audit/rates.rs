//! Abandon rates over a whole log, by the formula of a rule: the stretch of a period in which its limit
//! was passed by most.

use super::recount::{DAY_US, HOUR_US};
use dialer::rules::{AbandonFormula, Period, Rule};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use model::Utc;

/// A period that is given in hours is short: one abandoned call alone is no rate.
const FEW: f64 = 1.0;
/// Of what the detector is assumed to have done a rounding error may be over.
const CLOSE: f64 = 1e-6;

/// What the answered calls of one campaign came to.
#[derive(Debug, Default)]
pub(super) struct Persons {
    /// By the rule that limits the abandoned, as it was when they were dialled.
    of_rule: Vec<(Rule, Vec<Answer>)>,
}

impl Persons {
    /// One that counts under this rule.
    pub(super) fn push(&mut self, rule: &Rule, answer: Answer) {
        let is_same = |(known, _): &&mut (Rule, Vec<Answer>)| counts_alike(known, rule);
        match self.of_rule.iter_mut().find(is_same) {
            Some((_, answers)) => answers.push(answer),
            None => self.of_rule.push((rule.clone(), vec![answer])),
        }
    }

    /// The limits that were passed: where the worst stretch ends, and what is to be said of it.
    pub(super) fn broken(self, last: Utc) -> Vec<(Rule, Utc, String)> {
        let mut broken = Vec::new();
        for (rule, answers) in self.of_rule {
            let answers = Answers::new(answers);
            let Some(limit) = rule.abandon_limit_pct else {
                continue;
            };
            for period in periods(&rule) {
                let Some((at, tally)) = answers.worst(&rule, period, limit, last) else {
                    continue;
                };
                let cut_off = match tally.cut_off {
                    0.0 => String::new(),
                    persons => format!(", {persons} of them by the end of a start"),
                };
                let about = format!(
                    "{}{cut_off} in {} that end here, more than {limit} %",
                    told(&tally, rule.abandon_formula),
                    shown(period)
                );
                broken.push((rule.clone(), at, about));
            }
        }
        broken
    }
}

/// Whether two texts of a rule count the same in the same way. A start with other words, or another
/// rule about ringing, begins no new period.
fn counts_alike(one: &Rule, other: &Rule) -> bool {
    let how = |rule: &Rule| {
        (
            rule.id.clone(),
            rule.abandon_limit_pct,
            rule.abandon_formula,
            rule.abandon_over.clone(),
            rule.abandon_zone.clone(),
        )
    };
    how(one) == how(other)
}

/// A rate in words.
fn told(tally: &Tally, formula: AbandonFormula) -> String {
    let (wrong, whole) = tally.shares(formula);
    match formula {
        AbandonFormula::LiveAnswers => format!("{wrong} of {whole} live answers were abandoned"),
        AbandonFormula::Ofcom => format!(
            "{} abandoned, {:.1} persons assumed to be taken for machines, {:.1} machines assumed among the \
             abandoned: {:.2} % of {whole:.1}, they and the calls passed to agents together, were abandoned",
            tally.abandoned,
            tally.unseen,
            tally.machines,
            100.0 * wrong / whole
        ),
    }
}

/// A period in words.
fn shown(period: Period) -> String {
    match period {
        Period::Days(days) => format!("the {days} days"),
        Period::Hours(hours) => format!("the {hours} hours"),
        Period::CalendarMonth => "the month".into(),
    }
}

/// The periods of a rule that limits abandoned calls.
fn periods(rule: &Rule) -> Vec<Period> {
    match rule.abandon_over.is_empty() {
        true => vec![Period::Days(30)],
        false => rule.abandon_over.clone(),
    }
}

/// What a person who answered came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// An agent was there in time.
    Talk,
    /// Nobody was.
    Abandoned,
    /// Abandoned by the end of the process.
    CutOff,
    /// They heard a recorded voice and asked for nobody.
    Messaged,
}

/// A live answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) at: Utc,
    pub(super) fate: Fate,
    /// Assumed when it was dialled: persons taken for machines, in per cent of the persons.
    pub(super) false_positive_pct: f64,
    /// Assumed when it was dialled: machines among the abandoned, in per cent of them.
    pub(super) abandoned_machines_pct: f64,
}

/// The answers of a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    answers: f64,
    abandoned: f64,
    /// Of the abandoned, those whom the end of a process cut off.
    cut_off: f64,
    talks: f64,
    /// Persons taken for machines, as was assumed.
    unseen: f64,
    /// Machines among the abandoned, as was assumed.
    machines: f64,
}

impl Tally {
    fn plus(self, answer: &Answer) -> Tally {
        let is = |fate: Fate| f64::from(u8::from(answer.fate == fate));
        let taken = answer.false_positive_pct;
        let cut_off = is(Fate::CutOff);
        let abandoned = is(Fate::Abandoned) + cut_off;
        Tally {
            answers: self.answers + 1.0,
            abandoned: self.abandoned + abandoned,
            cut_off: self.cut_off + cut_off,
            talks: self.talks + is(Fate::Talk),
            unseen: self.unseen + taken / (100.0 - taken),
            machines: self.machines + abandoned * answer.abandoned_machines_pct / 100.0,
        }
    }

    fn minus(self, earlier: Tally) -> Tally {
        Tally {
            answers: self.answers - earlier.answers,
            abandoned: self.abandoned - earlier.abandoned,
            cut_off: self.cut_off - earlier.cut_off,
            talks: self.talks - earlier.talks,
            unseen: self.unseen - earlier.unseen,
            machines: self.machines - earlier.machines,
        }
    }

    /// What a formula divides, and by what.
    fn shares(self, formula: AbandonFormula) -> (f64, f64) {
        match formula {
            AbandonFormula::LiveAnswers => (self.abandoned, self.answers),
            AbandonFormula::Ofcom => {
                let wrong = self.abandoned + self.unseen - self.machines;
                (wrong, wrong + self.talks)
            }
        }
    }

    /// Whether a limit of the rule is passed.
    fn breaks(self, rule: &Rule, period: Period, limit_pct: f64) -> bool {
        let (wrong, whole) = self.shares(rule.abandon_formula);
        let spared = match period {
            Period::Hours(_) if self.abandoned <= FEW => self.abandoned,
            Period::Hours(_) | Period::Days(_) | Period::CalendarMonth => 0.0,
        };
        wrong - spared > limit_pct / 100.0 * whole + CLOSE
    }
}

/// All answers of a campaign, oldest first, with their sums.
#[derive(Debug)]
struct Answers {
    at_us: Vec<i64>,
    sums: Vec<Tally>,
}

impl Answers {
    fn new(mut answers: Vec<Answer>) -> Answers {
        answers.sort_by_key(|answer| answer.at);
        let mut sums = vec![Tally::default()];
        for answer in &answers {
            sums.push(sums[sums.len() - 1].plus(answer));
        }
        let at_us = answers.iter().map(|answer| answer.at.as_micros()).collect();
        Answers { at_us, sums }
    }

    /// From `from`, included, to `to`, excluded, in µs since 1970.
    fn between(&self, from: i64, to: i64) -> Tally {
        let begin = self.at_us.partition_point(|at| *at < from);
        let end = self.at_us.partition_point(|at| *at < to).max(begin);
        self.sums[end].minus(self.sums[begin])
    }

    /// The stretch in which a limit of the rule is passed by most, and where it ends. Stretches that the
    /// log holds wholly; all of it where it is shorter.
    fn worst(
        &self,
        rule: &Rule,
        period: Period,
        limit_pct: f64,
        last: Utc,
    ) -> Option<(Utc, Tally)> {
        let (begin_us, end_us) = (*self.at_us.first()?, last.as_micros() + 1);
        self.stretches(rule, period, begin_us, end_us)
            .into_iter()
            .map(|(from, to)| (Utc::from_micros(to - 1), self.between(from, to)))
            .filter(|(_, tally)| tally.breaks(rule, period, limit_pct))
            .max_by(|one, other| {
                let rate = |(_, tally): &(Utc, Tally)| {
                    let (wrong, whole) = tally.shares(rule.abandon_formula);
                    wrong / whole
                };
                rate(one).total_cmp(&rate(other))
            })
    }

    /// The answers of the stretch that ends with this instant.
    #[cfg(test)]
    fn ends(&self, rule: &Rule, period: Period, now: Utc) -> Tally {
        let to = now.as_micros() + 1;
        let from = match period {
            Period::Days(days) => to - i64::from(days) * DAY_US,
            Period::Hours(hours) => to - i64::from(hours) * HOUR_US,
            Period::CalendarMonth => months(&zone(rule), to - 1, to)[0].0,
        };
        self.between(from, to)
    }

    fn stretches(
        &self,
        rule: &Rule,
        period: Period,
        begin_us: i64,
        end_us: i64,
    ) -> Vec<(i64, i64)> {
        let length_us = match period {
            Period::Days(days) => i64::from(days) * DAY_US,
            Period::Hours(hours) => i64::from(hours) * HOUR_US,
            Period::CalendarMonth => return months(&zone(rule), begin_us, end_us),
        };
        if end_us - begin_us <= length_us {
            return vec![(begin_us, end_us)];
        }
        // A rate is at its worst when somebody was just abandoned, or an answer just left.
        let ending = self.at_us.iter().map(|at| at + 1 - length_us);
        let beginning = self.at_us.iter().map(|at| at + 1);
        ending
            .chain(beginning)
            .filter(|from| *from >= begin_us && from + length_us <= end_us)
            .map(|from| (from, from + length_us))
            .collect()
    }
}

/// Where the months of a rule begin.
fn zone(rule: &Rule) -> TimeZone {
    let database = TimeZoneDatabase::bundled();
    let named = rule.abandon_zone.as_deref();
    let zone = named.and_then(|name| database.get(name).ok());
    zone.unwrap_or(TimeZone::UTC)
}

/// The months of the calendar that touch the stretch.
fn months(zone: &TimeZone, begin_us: i64, end_us: i64) -> Vec<(i64, i64)> {
    let epoch_us = |day: Date| {
        let midnight = day.to_zoned(zone.clone()).ok()?;
        Some(midnight.timestamp().as_microsecond())
    };
    let first = jiff::Timestamp::from_microsecond(begin_us)
        .map(|at| at.to_zoned(zone.clone()).date().first_of_month());
    let mut months = Vec::new();
    let Ok(mut month) = first else {
        return months;
    };
    loop {
        let Ok(next) = month.last_of_month().tomorrow() else {
            return months;
        };
        let Some((from, to)) = epoch_us(month).zip(epoch_us(next)) else {
            return months;
        };
        if from >= end_us {
            return months;
        }
        months.push((from, to));
        month = next;
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
