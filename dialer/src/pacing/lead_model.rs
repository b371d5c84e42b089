//! How likely each lead is to answer, where pacing goes by that and not by the campaign as a whole.
//!
//! A lead's chance comes from a column of its list, else from what calls like it came to. It only says
//! which of [`CLASSES`] the lead is in: what a class is worth is learned by what its calls come to, so
//! that a column that is wrong costs little for long. The classes differ by odds from the average
//! lead, whose chance moves with the hour and is watched elsewhere.

use super::learned::{rounded, sane};
use model::{AttemptOutcome, Lead, LeadId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Classes of leads by their chance to answer: fine against a chance that is known to a factor of 2.
pub const CLASSES: usize = 12;
/// Where one class ends and the next begins: about a doubling of the odds.
const EDGES: [f64; CLASSES - 1] = [0.015, 0.04, 0.1, 0.2, 0.3, 0.4, 0.5, 0.62, 0.75, 0.87, 0.96];
/// What is thought of a class before anything was told or seen: the middle of it.
const MIDDLES: [f64; CLASSES] = [
    0.005, 0.025, 0.065, 0.145, 0.25, 0.35, 0.45, 0.56, 0.68, 0.81, 0.92, 0.98,
];
/// Weight of what was told of a class against what its calls came to, in calls: a wrong column is
/// outweighed within a quarter of an hour of ten agents.
const TOLD_WEIGHT: f64 = 12.0;
/// Calls after which the counts of all classes are halved: half a day of ten agents.
const CALLS_MAX: f64 = 4_000.0;
/// Leads after which the mix of the list is halved: it follows the list from batch to batch.
const SUPPLIED_MAX: f64 = 2_000.0;
/// Most calls that another day's counts weigh, over all classes: today outweighs it within the shift.
const CARRIED_MAX: f64 = 800.0;
/// No chance is taken for surer than this, either way.
const CHANCES: (f64, f64) = (0.001, 0.98);

/// Attempts made so far that are told apart: none, one, two, more.
const ATTEMPTS: usize = 4;
/// Last outcomes that are told apart: none known, nobody answered, busy or failed, a machine.
const OUTCOMES: usize = 4;
/// Bands of the person's day: four hours each.
const BANDS: usize = 6;
const CELLS: usize = ATTEMPTS * OUTCOMES * BANDS;
/// Weight of the wider group against a narrower one, in calls.
const GROUP_WEIGHT: f64 = 25.0;
/// Of all calls before any: what is usual.
const USUAL: (f64, f64) = (0.2, 10.0);
/// Calls after which the table of our own is halved: a month of ten agents.
const TABLE_MAX: f64 = 100_000.0;
/// Leads whose last outcome is remembered; without, it counts as not known. 2 MB.
const REMEMBERED_MAX: usize = 65_536;

/// Where a lead belongs: its class, and its cell of the table of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeadKind {
    pub(crate) class: u8,
    cell: u8,
}

/// What a call of a lead came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Came {
    /// A person answered.
    Answered,
    /// Nobody did.
    Unanswered,
    /// It was given up by us when it would have been answered with this chance.
    GivenUp(f64),
}

/// Counts for storing, to be carried over to the next shift.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeadState {
    answered: Vec<f32>,
    dialled: Vec<f32>,
    cells_answered: Vec<f32>,
    cells_dialled: Vec<f32>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct LeadModel {
    answered: [f64; CLASSES],
    dialled: [f64; CLASSES],
    /// Leads handed over, and the sum of what was told of them.
    supplied: [f64; CLASSES],
    told: [f64; CLASSES],
    odds: [f64; CLASSES],
    cells_answered: Vec<f64>,
    cells_dialled: Vec<f64>,
    last: BTreeMap<LeadId, u8>,
}

impl Default for LeadModel {
    fn default() -> LeadModel {
        LeadModel::new()
    }
}

impl LeadModel {
    /// Knows nothing but what lists say.
    pub fn new() -> LeadModel {
        let mut model = LeadModel {
            answered: [0.0; CLASSES],
            dialled: [0.0; CLASSES],
            supplied: [0.0; CLASSES],
            told: [0.0; CLASSES],
            odds: [1.0; CLASSES],
            cells_answered: vec![0.0; CELLS],
            cells_dialled: vec![0.0; CELLS],
            last: BTreeMap::new(),
        };
        model.rebuild();
        model
    }

    /// The odds of each class against the average lead's.
    pub fn odds(&self) -> &[f64; CLASSES] {
        &self.odds
    }

    /// The mean chance of the leads that are handed over, where the average lead's is `level`.
    pub fn mean_at(&self, level: f64) -> f64 {
        let total: f64 = self.supplied.iter().sum();
        if total <= 0.0 {
            return level;
        }
        let each = self.supplied.iter().zip(&self.odds);
        each.map(|(count, odds)| count * at_odds(level, *odds))
            .sum::<f64>()
            / total
    }

    /// By how many per cent the answers of all leads change where the average lead's chance changes by
    /// one: less than one, for who is sure to answer is so at any level.
    pub(super) fn leverage_at(&self, level: f64) -> f64 {
        let (mut answers, mut moved) = (0.0, 0.0);
        for (count, odds) in self.supplied.iter().zip(&self.odds) {
            let p = at_odds(level, *odds);
            answers += count * p;
            moved += count * p * (1.0 - p);
        }
        if answers > 0.0 {
            (moved / answers / (1.0 - level).max(0.01)).min(1.0)
        } else {
            1.0
        }
    }

    /// Where a lead belongs. `column` names the field with its chance; `hour` is the person's, where
    /// known. Says the chance too.
    pub(crate) fn kind_of(
        &self,
        lead: &Lead,
        column: Option<&str>,
        hour: Option<u8>,
    ) -> (LeadKind, f64) {
        let last = self.last.get(&lead.id).copied().unwrap_or(0);
        let attempts = usize::from(lead.attempts).min(ATTEMPTS - 1);
        let band = usize::from(hour.unwrap_or(12)) * BANDS / 24;
        let group = attempts * OUTCOMES + usize::from(last).min(OUTCOMES - 1);
        let cell = group * BANDS + band.min(BANDS - 1);
        let told = column
            .and_then(|column| lead.fields.get(column))
            .and_then(|text| chance_of(text));
        let chance = told.unwrap_or_else(|| self.own_chance(group, cell));
        let kind = LeadKind {
            class: class_of(chance) as u8,
            cell: cell as u8,
        };
        (kind, chance)
    }

    /// What calls like it came to, shrunken towards those that are less like it.
    fn own_chance(&self, group: usize, cell: usize) -> f64 {
        let shrunken = |answered: f64, dialled: f64, wider: f64, weight: f64| {
            (answered + weight * wider) / (dialled + weight)
        };
        let sums = |cells: std::ops::Range<usize>| -> (f64, f64) {
            (
                self.cells_answered[cells.clone()].iter().sum(),
                self.cells_dialled[cells].iter().sum(),
            )
        };
        let (answered, dialled) = sums(0..CELLS);
        let all = shrunken(answered, dialled, USUAL.0, USUAL.1);
        let (answered, dialled) = sums(group * BANDS..(group + 1) * BANDS);
        let near = shrunken(answered, dialled, all, GROUP_WEIGHT);
        let (answered, dialled) = (self.cells_answered[cell], self.cells_dialled[cell]);
        shrunken(answered, dialled, near, GROUP_WEIGHT)
    }

    /// A lead was handed over.
    pub(crate) fn supplied(&mut self, kind: LeadKind, chance: f64) {
        let class = usize::from(kind.class);
        self.supplied[class] += 1.0;
        self.told[class] += chance.clamp(CHANCES.0, CHANCES.1);
        if self.supplied.iter().sum::<f64>() > SUPPLIED_MAX {
            for counts in [&mut self.supplied, &mut self.told] {
                counts.iter_mut().for_each(|count| *count /= 2.0);
            }
        }
    }

    /// A call is over. `more` says whether the lead may come again.
    pub(crate) fn ended(
        &mut self,
        lead: LeadId,
        kind: LeadKind,
        outcome: AttemptOutcome,
        came: Came,
        more: bool,
    ) {
        let answers = match came {
            Came::Answered => 1.0,
            Came::Unanswered => 0.0,
            Came::GivenUp(chance) => chance,
        };
        let (class, cell) = (usize::from(kind.class), usize::from(kind.cell));
        self.answered[class] += answers;
        self.dialled[class] += 1.0;
        self.cells_answered[cell] += answers;
        self.cells_dialled[cell] += 1.0;
        if self.dialled.iter().sum::<f64>() > CALLS_MAX {
            for counts in [&mut self.answered, &mut self.dialled] {
                counts.iter_mut().for_each(|count| *count /= 2.0);
            }
        }
        if self.cells_dialled.iter().sum::<f64>() > TABLE_MAX {
            for counts in [&mut self.cells_answered, &mut self.cells_dialled] {
                counts.iter_mut().for_each(|count| *count /= 2.0);
            }
        }
        if !more {
            self.last.remove(&lead);
            return;
        }
        self.last.insert(lead, last_of(outcome));
        if self.last.len() > REMEMBERED_MAX {
            self.last.pop_first();
        }
    }

    /// What each class is worth, by what was told and what its calls came to.
    fn worth(&self) -> [f64; CLASSES] {
        std::array::from_fn(|class| {
            let told = (self.told[class] + MIDDLES[class]) / (self.supplied[class] + 1.0);
            let answers = self.answered[class] + TOLD_WEIGHT * told;
            (answers / (self.dialled[class] + TOLD_WEIGHT)).clamp(CHANCES.0, CHANCES.1)
        })
    }

    /// Brings the odds up to date.
    pub(super) fn rebuild(&mut self) {
        let worth = self.worth();
        let total: f64 = self.supplied.iter().sum();
        let mean = if total > 0.0 {
            let each = self.supplied.iter().zip(&worth);
            each.map(|(count, chance)| count * chance).sum::<f64>() / total
        } else {
            USUAL.0
        };
        let mean = mean.clamp(CHANCES.0, CHANCES.1);
        let average = mean / (1.0 - mean);
        self.odds = worth.map(|chance| chance / (1.0 - chance) / average);
    }

    /// As if every lead were of this class.
    #[cfg(test)]
    pub(super) fn only(&mut self, class: usize) {
        self.supplied[class] = 1.0;
        self.told[class] = MIDDLES[class];
        self.rebuild();
    }

    pub(super) fn export(&self) -> LeadState {
        LeadState {
            answered: rounded(&self.answered),
            dialled: rounded(&self.dialled),
            cells_answered: rounded(&self.cells_answered),
            cells_dialled: rounded(&self.cells_dialled),
        }
    }

    /// Takes up counts of another day, with a bounded weight. Counts of another shape change nothing.
    pub(super) fn import(&mut self, state: &LeadState) {
        let take =
            |answered: &mut [f64], dialled: &mut [f64], from: (&[f32], &[f32]), most: f64| {
                if from.0.len() != answered.len() || from.1.len() != dialled.len() {
                    return;
                }
                let total: f64 = from.1.iter().map(|count| sane(*count)).sum();
                let keep = if total > most { most / total } else { 1.0 };
                let counts = answered.iter_mut().zip(dialled);
                for ((answers, dials), (answered, dialled)) in counts.zip(from.0.iter().zip(from.1))
                {
                    *dials = sane(*dialled) * keep;
                    *answers = (sane(*answered) * keep).min(*dials);
                }
            };
        let classes = (&state.answered[..], &state.dialled[..]);
        take(&mut self.answered, &mut self.dialled, classes, CARRIED_MAX);
        let cells = (&state.cells_answered[..], &state.cells_dialled[..]);
        take(
            &mut self.cells_answered,
            &mut self.cells_dialled,
            cells,
            TABLE_MAX,
        );
        self.rebuild();
    }
}

/// The chance that a column says: `0.35`, `35 %` or `35`.
fn chance_of(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, per_cent) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), true),
        None => (text, false),
    };
    let chance: f64 = number.replace(',', ".").parse().ok()?;
    let chance = if per_cent || chance > 1.0 {
        chance / 100.0
    } else {
        chance
    };
    (0.0..=1.0).contains(&chance).then_some(chance)
}

fn class_of(chance: f64) -> usize {
    EDGES.iter().take_while(|edge| chance >= **edge).count()
}

/// What an outcome says about the next call. 0 is not known.
fn last_of(outcome: AttemptOutcome) -> u8 {
    match outcome {
        AttemptOutcome::NoAnswer | AttemptOutcome::Cancelled => 1,
        AttemptOutcome::Busy | AttemptOutcome::Failed | AttemptOutcome::DisconnectedNumber => 2,
        AttemptOutcome::Machine | AttemptOutcome::Fax => 3,
        AttemptOutcome::AnsweredAgent
        | AttemptOutcome::Messaged
        | AttemptOutcome::Abandoned
        | AttemptOutcome::Blocked
        | AttemptOutcome::UnknownRestart => 0,
    }
}

/// The chance whose odds are so many times those of `p`.
pub(super) fn at_odds(p: f64, odds: f64) -> f64 {
    if odds == 1.0 {
        p
    } else {
        (p * odds / (1.0 - p + p * odds)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(n: u64, attempts: u16, told: Option<&str>) -> Lead {
        Lead {
            attempts,
            fields: told
                .map(|told| ("p".into(), told.into()))
                .into_iter()
                .collect(),
            ..Lead::new(
                LeadId(n),
                "l".parse().unwrap(),
                vec!["+4930123456".parse().unwrap()],
            )
        }
    }

    /// Hands over and calls so many leads of which the column says what `told` says of the truth.
    fn calls(model: &mut LeadModel, count: u64, told: impl Fn(f64) -> f64) {
        let mut rng = model::Rng::new(4);
        for n in 0..count {
            let truth = if n % 4 == 0 { 0.7 } else { 0.05 };
            let text = told(truth).to_string();
            let (kind, chance) = model.kind_of(&lead(n, 0, Some(&text)), Some("p"), None);
            model.supplied(kind, chance);
            let came = if rng.chance(truth) {
                Came::Answered
            } else {
                Came::Unanswered
            };
            model.ended(LeadId(n), kind, AttemptOutcome::NoAnswer, came, false);
        }
        model.rebuild();
    }

    #[test]
    fn a_column_is_read_as_a_share_or_per_cent_and_nonsense_says_nothing() {
        for (text, chance) in [
            ("0.35", Some(0.35)),
            (" 35 % ", Some(0.35)),
            ("35", Some(0.35)),
            ("0,35", Some(0.35)),
            ("1", Some(1.0)),
            ("1%", Some(0.01)),
            ("0", Some(0.0)),
            ("101", None),
            ("-0.1", None),
            ("NaN", None),
            ("inf", None),
            ("high", None),
            ("", None),
        ] {
            assert_eq!(chance_of(text), chance, "{text}");
        }
    }

    #[test]
    fn what_calls_come_to_outweighs_a_column_that_says_the_opposite() {
        let mut model = LeadModel::new();
        calls(&mut model, 2_000, |truth| 1.0 - truth);
        // Told 0.3, they answer with 0.7; told 0.95, with 0.05.
        let (likely, unlikely) = (model.odds[class_of(0.3)], model.odds[class_of(0.95)]);
        assert!(likely > 20.0 * unlikely, "{likely} {unlikely}");
        let mean = 0.25 * 0.7 + 0.75 * 0.05;
        assert!((model.mean_at(mean) - mean).abs() < 0.03);
    }

    #[test]
    fn a_column_that_says_the_same_of_all_leaves_them_all_average() {
        let mut model = LeadModel::new();
        calls(&mut model, 500, |_| 0.4);
        assert!((model.odds[class_of(0.4)] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn calls_given_up_count_by_what_they_would_have_become() {
        let kind = LeadKind { class: 8, cell: 0 };
        let worth = |came: Came| {
            let mut model = LeadModel::new();
            for n in 0..400 {
                let came = if n % 2 == 0 { Came::Answered } else { came };
                model.ended(LeadId(n), kind, AttemptOutcome::Cancelled, came, false);
            }
            model.worth()[8]
        };
        assert!((worth(Came::Unanswered) - 0.5).abs() < 0.02);
        assert!((worth(Came::GivenUp(0.4)) - 0.7).abs() < 0.02);
    }

    #[test]
    fn without_a_column_attempts_and_last_outcomes_tell_leads_apart() {
        let mut model = LeadModel::new();
        for n in 0..600_u64 {
            // First calls are answered half the time, second ones after a busy line never.
            let first = lead(n, 0, None);
            let (kind, _) = model.kind_of(&first, None, Some(10));
            let came = if n % 2 == 0 {
                Came::Answered
            } else {
                Came::Unanswered
            };
            model.ended(first.id, kind, AttemptOutcome::Busy, came, true);
            let (kind, _) = model.kind_of(&lead(n, 1, None), None, Some(10));
            model.ended(
                first.id,
                kind,
                AttemptOutcome::Busy,
                Came::Unanswered,
                false,
            );
        }
        let chance = |attempts, hour| model.kind_of(&lead(9_999, attempts, None), None, hour).1;
        assert!(chance(0, Some(10)) > 0.4, "{}", chance(0, Some(10)));
        // Never seen at that hour, they are like those of other hours.
        assert!(chance(0, Some(20)) > 0.4, "{}", chance(0, Some(20)));
        model
            .last
            .insert(LeadId(9_999), last_of(AttemptOutcome::Busy));
        let after_busy = model.kind_of(&lead(9_999, 1, None), None, Some(10)).1;
        assert!(after_busy < 0.05, "{after_busy}");
    }

    #[test]
    fn what_was_learned_is_bounded_and_survives_being_stored() {
        let mut model = LeadModel::new();
        let kind = LeadKind { class: 3, cell: 7 };
        for n in 0..REMEMBERED_MAX as u64 + 50_000 {
            let came = Came::GivenUp(0.25);
            model.ended(LeadId(n), kind, AttemptOutcome::NoAnswer, came, true);
        }
        assert_eq!(model.last.len(), REMEMBERED_MAX);
        assert!(model.dialled.iter().sum::<f64>() <= CALLS_MAX);
        assert!(model.cells_dialled.iter().sum::<f64>() <= TABLE_MAX);
        let text = toml::to_string(&model.export()).unwrap();
        assert!(text.len() < 4_096, "{} bytes", text.len());
        let mut other = LeadModel::new();
        other.import(&toml::from_str(&text).unwrap());
        assert!((other.worth()[3] - model.worth()[3]).abs() < 0.01);
        assert!(other.dialled.iter().sum::<f64>() <= CARRIED_MAX + 1.0);
        // Of another shape, or edited into nonsense: nothing, or at least no panic.
        let before = other.worth();
        let short = LeadState {
            answered: vec![1.0; 3],
            dialled: vec![1.0; 3],
            ..LeadState::default()
        };
        other.import(&short);
        assert_eq!(other.worth(), before);
        other.import(&LeadState {
            answered: vec![f32::INFINITY; CLASSES],
            dialled: vec![f32::NAN; CLASSES],
            ..LeadState::default()
        });
        assert!(
            other
                .worth()
                .iter()
                .all(|chance| (0.0..=1.0).contains(chance))
        );
    }
}
