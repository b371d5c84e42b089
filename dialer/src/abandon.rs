//! The abandonment budget: how many more abandoned calls the law allows. Every rule set of the campaign
//! has its own limit, periods and formula; all are kept at once, and what is left is what the tightest
//! of them leaves. It spends a budget, it does not wait for a limit to be passed.
//!
//! It counts in buckets of a minute or an hour. The bucket in which a period begins is reckoned at its
//! worst: its abandonments are inside, its other answers are not.

use crate::config::Config;
use crate::rules::{self, AbandonFormula, Period, Rule, RuleSet};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::Utc;
use std::collections::VecDeque;

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
/// Periods up to this are counted by the minute: an hour of a day would be too much to give away.
pub const FINE_HOURS: i64 = 48;
/// The longest month with the bucket it begins in, and an hour for the end of summer time.
const MONTH_HOURS: i64 = 31 * 24 + 2;
/// A shift is looked for within so many hours: the one under way and the 24 before it.
const SHIFT_HOURS: i64 = 25;

/// Over how long a limit holds where its rule says nothing: 47 CFR 64.1200(a)(7) speaks of successive
/// 30-day periods.
const PERIOD: Period = Period::Days(30);
/// Beside a period in days the dialer keeps the 24 hours, as its own aid: a bad day is not to be paid
/// for by the good ones around it.
const AID_HOURS: i64 = 24;

/// Where machines are detected, up to this share of the answers that were counted as persons were
/// machines: 1.3 % of the machines get through, where one and a half answer for every person.
const LET_THROUGH: f64 = 0.02;

/// Hours without an answer that part one shift from the next.
const PAUSE: i64 = 4;
/// What a shift may open with where the 24 hours have earned it the day before: each shift is to end
/// within the limit by itself.
const SHIFT_ADVANCE: f64 = 4.0;
/// How far into its own last abandonment a shift may go: θ is small there already, and the day before
/// has earned it.
const SHIFT_SLACK: f64 = 1.2;

/// What a campaign assumes about the mistakes of its machine detector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mistakes {
    /// Per cent of the live persons who are taken for machines and hung up upon. They are abandoned
    /// too, and nobody sees it.
    pub false_positive_pct: f64,
    /// Per cent of the abandoned calls that were machines taken for persons: Ofcom's formula takes
    /// them off again.
    pub abandoned_machines_pct: f64,
}

/// Live answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    answers: u64,
    /// Of them, those who got nobody.
    abandons: u64,
    /// Of them, those who heard a flow and asked for nobody.
    messaged: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.answers += more.answers;
        self.abandons += more.abandons;
        self.messaged += more.messaged;
    }
}

/// One stretch of buckets of equal length; those in which nobody answered are not kept.
#[derive(Clone, Debug)]
struct Ring {
    bucket_us: i64,
    keep: i64,
    /// The bucket under way, numbered since 1970.
    number: i64,
    /// Oldest first.
    buckets: VecDeque<(i64, Counts)>,
}

impl Ring {
    fn new(bucket_us: i64, keep: i64) -> Ring {
        Ring {
            bucket_us,
            keep,
            number: i64::MIN,
            buckets: VecDeque::new(),
        }
    }

    /// Opens the bucket of `at`; says whether it is a new one. The wall clock may step back: then the
    /// newest one takes it.
    fn roll(&mut self, at: Utc) -> bool {
        let number = at.as_micros().div_euclid(self.bucket_us);
        let is_new = number > self.number;
        if is_new {
            self.number = number;
            while self
                .buckets
                .front()
                .is_some_and(|oldest| oldest.0 + self.keep < number)
            {
                self.buckets.pop_front();
            }
        }
        is_new
    }

    /// Adds to the bucket under way.
    fn add(&mut self, more: Counts) {
        match self.buckets.back_mut() {
            Some(newest) if newest.0 == self.number => newest.1 += more,
            Some(_) | None => self.buckets.push_back((self.number, more)),
        }
    }
}

/// Which stretch a limit holds over.
#[derive(Clone, Debug, PartialEq)]
enum Stretch {
    /// Every so many hours.
    Rolling(i64),
    /// The month of the calendar, there.
    Month(TimeZone),
    /// What was answered since the last [`PAUSE`].
    Shift,
}

/// What a stretch may open with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Opening {
    /// What the law may advance at the moment.
    Advance,
    /// So many, which a longer period has earned.
    Earned(f64),
}

/// Where a bucket lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lies {
    Within,
    /// The period begins in it.
    OnTheEdge,
    Before,
}

/// One limit over one stretch.
#[derive(Clone, Debug)]
struct Window {
    stretch: Stretch,
    formula: AbandonFormula,
    /// As its rule has it, a share.
    limit: f64,
    opening: Opening,
    slack: f64,
    /// Where the month under way begins and the next one does, in µs since 1970.
    month: (i64, i64),
    within: Counts,
    edge: Counts,
}

impl Window {
    fn new(stretch: Stretch, rule: &Limit, opening: Opening, slack: f64) -> Window {
        Window {
            stretch,
            formula: rule.formula,
            limit: rule.share,
            opening,
            slack,
            month: (0, 0),
            within: Counts::default(),
            edge: Counts::default(),
        }
    }

    fn is_fine(&self) -> bool {
        matches!(self.stretch, Stretch::Rolling(hours) if hours <= FINE_HOURS)
    }

    /// Hours that have to be kept for it.
    fn hours(&self) -> i64 {
        match self.stretch {
            Stretch::Rolling(hours) => hours,
            Stretch::Month(_) => MONTH_HOURS,
            Stretch::Shift => SHIFT_HOURS,
        }
    }

    /// Where a bucket of that ring lies now.
    fn lies(&self, bucket: i64, ring: &Ring) -> Lies {
        match self.stretch {
            Stretch::Rolling(hours) => match ring.number - hours * (HOUR_US / ring.bucket_us) {
                begin if bucket > begin => Lies::Within,
                begin if bucket == begin => Lies::OnTheEdge,
                _ => Lies::Before,
            },
            Stretch::Month(_) => match self.month.0 {
                begin if bucket * ring.bucket_us >= begin => Lies::Within,
                begin if (bucket + 1) * ring.bucket_us > begin => Lies::OnTheEdge,
                _ => Lies::Before,
            },
            Stretch::Shift if bucket + SHIFT_HOURS > ring.number => Lies::Within,
            Stretch::Shift => Lies::Before,
        }
    }

    fn count_anew(&mut self, ring: &Ring) {
        (self.within, self.edge) = (Counts::default(), Counts::default());
        let mut newest = ring.number;
        for (bucket, counts) in ring.buckets.iter().rev() {
            if self.stretch == Stretch::Shift && newest - bucket > PAUSE {
                return;
            }
            newest = *bucket;
            match self.lies(*bucket, ring) {
                Lies::Within => self.within += *counts,
                Lies::OnTheEdge => self.edge += *counts,
                Lies::Before => return,
            }
        }
    }

    fn add(&mut self, more: Counts, ring: &Ring) {
        match self.lies(ring.number, ring) {
            Lies::Within => self.within += more,
            Lies::OnTheEdge => self.edge += more,
            Lies::Before => {}
        }
    }

    /// Whether another month is under way.
    fn turn_month(&mut self, at: Utc) -> bool {
        let Stretch::Month(zone) = &self.stretch else {
            return false;
        };
        if at.as_micros() < self.month.1 {
            return false;
        }
        self.month = month(zone, at);
        true
    }
}

/// The first instant of the month of `at` there, and of the next, in µs since 1970.
fn month(zone: &TimeZone, at: Utc) -> (i64, i64) {
    let day = Timestamp::from_microsecond(at.as_micros())
        .unwrap_or(Timestamp::MAX)
        .to_zoned(zone.clone())
        .date()
        .first_of_month();
    let begin = |day: jiff::civil::Date| {
        let midnight = day.to_zoned(zone.clone()).ok()?;
        Some(midnight.timestamp().as_microsecond())
    };
    let next = day.last_of_month().tomorrow().ok();
    (
        begin(day).unwrap_or(i64::MIN),
        next.and_then(begin).unwrap_or(i64::MAX),
    )
}

/// The limit of a rule.
struct Limit {
    share: f64,
    formula: AbandonFormula,
}

/// The windows of a rule, its own and the dialer's aids.
fn windows(rule: &Rule, limit_pct: f64) -> Vec<Window> {
    let limit = Limit {
        share: limit_pct / 100.0,
        formula: rule.abandon_formula,
    };
    let new = |stretch, opening, slack| Window::new(stretch, &limit, opening, slack);
    let periods: &[Period] = match rule.abandon_over.as_slice() {
        [] => &[PERIOD],
        over => over,
    };
    let has_days = periods
        .iter()
        .any(|period| matches!(period, Period::Days(2..)));
    let mut windows = Vec::new();
    for period in periods {
        let (stretch, opening) = match *period {
            Period::Days(days) => (Stretch::Rolling(24 * i64::from(days)), Opening::Advance),
            // What the days have earned may be spent when the hours begin.
            Period::Hours(hours) if has_days && i64::from(hours) <= FINE_HOURS => {
                (Stretch::Rolling(hours.into()), Opening::Earned(1.0))
            }
            Period::Hours(hours) => (Stretch::Rolling(hours.into()), Opening::Advance),
            Period::CalendarMonth => (Stretch::Month(rule.abandon_zone()), Opening::Advance),
        };
        windows.push(new(stretch, opening, 0.0));
    }
    let is_rolling = |window: &Window| matches!(window.stretch, Stretch::Rolling(_));
    if has_days {
        let aid = Stretch::Rolling(AID_HOURS);
        if !windows.iter().any(|window| window.stretch == aid) {
            windows.push(new(aid, Opening::Earned(1.0), 0.0));
        }
        let opening = Opening::Earned(SHIFT_ADVANCE - SHIFT_SLACK);
        windows.push(new(Stretch::Shift, opening, SHIFT_SLACK));
    } else if windows.iter().any(is_rolling) {
        // When the shift ends, the one before has left the hours: nothing pays for it but itself.
        windows.push(new(Stretch::Shift, Opening::Advance, 0.0));
    }
    windows
}

/// All windows of these sets; over the campaign's own limit alone where no set has one.
fn windows_of(sets: &[RuleSet]) -> Vec<Window> {
    let rules = sets.iter().flat_map(|set| &set.rules);
    let mut kept: Vec<Window> = rules
        .filter_map(|rule| Some(windows(rule, rule.abandon_limit_pct?)))
        .flatten()
        .collect();
    if kept.is_empty() {
        kept = windows(&Rule::default(), 100.0);
    }
    kept
}

/// Hours that the budgets of all campaigns look back.
pub fn hours_of(config: &Config) -> i64 {
    config
        .campaigns
        .values()
        .map(|campaign| hours(&rules::resolve(&campaign.rules, &config.rules)))
        .fold(hours(&[]), i64::max)
}

/// Hours that a budget bound by these sets looks back.
fn hours(sets: &[RuleSet]) -> i64 {
    windows_of(sets).iter().map(Window::hours).fold(0, i64::max)
}

/// Live answers and abandonments of one campaign.
#[derive(Clone, Debug)]
pub struct AbandonBudget {
    /// The campaign's own limit, a share: no window has a higher one.
    limit: f64,
    /// Persons taken for machines, per live answer that is counted.
    unseen: f64,
    /// Share of the counted answers that may be machines taken for persons.
    let_through: f64,
    /// Share of the abandoned that were machines.
    machines: f64,
    windows: Vec<Window>,
    minutes: Ring,
    hours: Ring,
}

impl AbandonBudget {
    /// Bound by every set of these, and by `limit_pct`, in per cent, which the campaign names itself:
    /// no window has a higher one. Where no set has a limit, that one holds over 30 days.
    pub fn new(sets: &[RuleSet], limit_pct: f64, mistakes: Mistakes) -> AbandonBudget {
        let is_estimated = mistakes.false_positive_pct > 0.0;
        AbandonBudget {
            limit: limit_pct / 100.0,
            unseen: mistakes.false_positive_pct / (100.0 - mistakes.false_positive_pct),
            let_through: if is_estimated { LET_THROUGH } else { 0.0 },
            machines: mistakes.abandoned_machines_pct / 100.0,
            windows: windows_of(sets),
            minutes: Ring::new(MINUTE_US, FINE_HOURS * 60),
            hours: Ring::new(HOUR_US, hours(sets)),
        }
    }

    /// The campaign's own limit is another one from now on; what was counted stays counted.
    pub fn set_limit(&mut self, limit_pct: f64) {
        self.limit = limit_pct / 100.0;
    }

    /// A live person answered and was connected, or was abandoned.
    pub fn count(&mut self, at: Utc, abandoned: bool) {
        let abandons = u64::from(abandoned);
        let one = Counts {
            answers: 1,
            abandons,
            messaged: 0,
        };
        self.roll(at);
        self.add(one);
    }

    /// A live person heard a flow and asked for nobody: an answer, though none that was passed to an
    /// agent.
    pub fn count_messaged(&mut self, at: Utc) {
        let one = Counts {
            answers: 1,
            abandons: 0,
            messaged: 1,
        };
        self.roll(at);
        self.add(one);
    }

    /// Live answers of the minute of `at`, or of its hour where that was more than two days ago; oldest
    /// first: what was counted before a restart.
    pub fn load(&mut self, at: Utc, answers: u64, abandons: u64, messaged: u64) {
        let abandons = abandons.min(answers);
        let past = Counts {
            answers,
            abandons,
            messaged: messaged.min(answers - abandons),
        };
        self.roll(at);
        self.add(past);
    }

    /// Time passed: old buckets leave.
    pub fn roll(&mut self, at: Utc) {
        let (minute, hour) = (self.minutes.roll(at), self.hours.roll(at));
        for window in &mut self.windows {
            let (is_new, ring) = match window.is_fine() {
                true => (minute, &self.minutes),
                false => (hour, &self.hours),
            };
            if window.turn_month(at) || is_new {
                window.count_anew(ring);
            }
        }
    }

    /// Adds to the buckets under way.
    fn add(&mut self, more: Counts) {
        self.minutes.add(more);
        self.hours.add(more);
        for window in &mut self.windows {
            match window.is_fine() {
                true => window.add(more, &self.minutes),
                false => window.add(more, &self.hours),
            }
        }
    }

    /// Live answers and abandonments of the longest period.
    pub fn counts(&self) -> (u64, u64) {
        let longest = self.windows.iter().max_by_key(|window| window.hours());
        longest.map_or((0, 0), |window| {
            let mut all = window.within;
            all += window.edge;
            (all.answers, all.abandons)
        })
    }

    /// The abandon rate of the period where it is worst, by the formula that holds there. None before
    /// the first answer.
    pub fn rate(&self) -> Option<f64> {
        self.windows
            .iter()
            .filter(|window| window.stretch != Stretch::Shift)
            .filter_map(|window| {
                let mut all = window.within;
                all += window.edge;
                let unseen = self.unseen * all.answers as f64;
                let (wrong, whole) = self.shares(window.formula, all, unseen, 1.0);
                (all.answers > 0).then(|| if whole > 0.0 { wrong / whole } else { 0.0 })
            })
            .reduce(f64::max)
    }

    /// What a formula divides: the abandoned, the `unseen` among them, by what, where the share `sure`
    /// of the answers was persons.
    fn shares(&self, formula: AbandonFormula, of: Counts, unseen: f64, sure: f64) -> (f64, f64) {
        let abandons = of.abandons as f64;
        match formula {
            AbandonFormula::LiveAnswers => (abandons + unseen, of.answers as f64 * sure + unseen),
            // (X + false positives − drops to machines) ÷ (that + live calls passed to an agent).
            AbandonFormula::Ofcom => {
                let wrong = abandons * (1.0 - self.machines) + unseen;
                let passed = of.answers - of.abandons - of.messaged;
                (wrong, wrong + passed as f64 * sure)
            }
        }
    }

    /// What a window has left, and its limit.
    fn left_in(&self, window: &Window, advance: f64) -> (f64, f64) {
        let limit = window.limit.min(self.limit);
        let edge = window.edge;
        let answers = (window.within.answers + edge.answers) as f64;
        let unseen = self.unseen * answers;
        // How many were in truth taken for machines is known to nobody: more than twice the
        // deviation above the mean is one shift in forty.
        let unseen = unseen + 2.0 * unseen.sqrt();
        let mut sure = window.within;
        sure += Counts {
            answers: edge.abandons,
            abandons: edge.abandons,
            messaged: 0,
        };
        let (wrong, whole) = self.shares(window.formula, sure, unseen, 1.0 - self.let_through);
        let least = match window.opening {
            Opening::Advance => advance,
            Opening::Earned(least) => least,
        };
        let left = (limit * whole).max(least) + window.slack - wrong;
        (left, limit)
    }

    /// Abandonments that would still be legal, in the window where that is fewest.
    pub fn left(&self) -> f64 {
        self.left_with(0.0)
    }

    /// The same, where a period may open with `advance` abandonments: the next answers will earn them.
    /// A campaign earns one with 34 answers (at 3 %), and one that ends before has broken the law: an
    /// advance is for campaigns that will not.
    pub fn left_with(&self, advance: f64) -> f64 {
        self.windows
            .iter()
            .map(|window| self.left_in(window, advance).0)
            .fold(f64::INFINITY, f64::min)
    }

    /// Live answers until the first abandonment is earned in every period that may be advanced one; 0
    /// once it is.
    pub fn unearned(&self) -> f64 {
        self.windows
            .iter()
            .filter(|window| window.opening == Opening::Advance)
            .map(|window| 1.0 / window.limit.min(self.limit) - window.within.answers as f64)
            .fold(0.0, f64::max)
    }

    /// Whether one more abandoned call, with `under_way` already expected, would break a limit.
    pub fn is_spent(&self, advance: f64, under_way: f64) -> bool {
        self.windows.iter().any(|window| {
            let (left, limit) = self.left_in(window, advance);
            left - under_way < 1.0 - limit
        })
    }
}

#[cfg(test)]
#[path = "abandon_tests.rs"]
mod tests;
