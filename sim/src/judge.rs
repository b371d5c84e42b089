//! Running the shifts of a scenario, on as many threads as wanted: each run is a world of its own,
//! and what they found is put together in the order of their seeds, so that the report is the same
//! on any number of threads.

use crate::checker::Violation;
use crate::curve::Curve;
use crate::report::Report;
use crate::scenario::{Controller, Scenario, ScenarioError};
use crate::small_world;
use crate::tally::Tally;
use crate::world::World;
use model::Utc;
use model::event::Mode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const DAY_US: i64 = 24 * 3_600_000_000;
/// What a mode other than power has for a level: nothing asks for it.
const LEVEL: f64 = 1.5;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The scenario cannot be run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The checker objected.
    #[error("run {run}, day {day}: {violation}")]
    Broken {
        /// Which run, from 0.
        run: u32,
        /// Which day of it, from 0.
        day: u32,
        /// What was broken first.
        violation: String,
    },
}

/// The shifts of one run, by its number.
type Run = (u32, Result<Vec<Tally>, JudgeError>);

/// How a scenario is run.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Check every invariant after every input.
    pub checked: bool,
    /// Threads; the report is the same for any number.
    pub threads: usize,
    /// Told after every shift, from whichever thread.
    pub shift_is_over: &'a (dyn Fn() + Sync),
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            checked: false,
            threads: 1,
            shift_is_over: &|| {},
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Judged {
    /// All shifts, added up.
    pub report: Report,
    /// The first shift.
    pub first: Tally,
    /// The course of all shifts together.
    pub curve: Curve,
}

/// Runs all shifts of a scenario on one thread.
///
/// # Errors
/// The scenario cannot be run, or the checker found a broken invariant.
pub fn judge(
    scenario: &Scenario,
    controller: Controller,
    checked: bool,
) -> Result<Report, JudgeError> {
    let options = Options {
        checked,
        ..Options::default()
    };
    judge_with(scenario, controller, options).map(|judged| judged.report)
}

/// Runs all shifts of a scenario.
///
/// The engine's own controllers run through the whole production engine. The common open dialer's
/// rules and the informed pacing run in the [`small_world`](crate::small_world) with the same people.
///
/// # Errors
/// The scenario cannot be run, or the checker found a broken invariant: the earliest run's.
pub fn judge_with(
    scenario: &Scenario,
    controller: Controller,
    options: Options<'_>,
) -> Result<Judged, JudgeError> {
    if let Some(problem) = scenario.problems().into_iter().next() {
        return Err(ScenarioError::Problem(problem).into());
    }
    let next = AtomicU32::new(0);
    let failed = AtomicBool::new(false);
    let found: Mutex<Vec<Run>> = Mutex::new(Vec::new());
    let curve = Mutex::new(Curve::default());
    let work = || {
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= scenario.shifts || failed.load(Ordering::Relaxed) {
                return;
            }
            let mut result = days(scenario, controller, run, options);
            if let Ok(tallies) = &mut result {
                let mut all = curve.lock().expect("no thread panicked with it");
                for (day, tally) in tallies.iter_mut().enumerate() {
                    all.add(&tally.curve);
                    if (run, day) != (0, 0) {
                        // Ten seconds each of a hundred thousand shifts would not fit anywhere.
                        let worst = tally.curve.worst_five_minutes_pct();
                        tally.worst_five_minutes_pct = worst;
                        tally.curve = Curve::default();
                    } else {
                        tally.worst_five_minutes_pct = tally.curve.worst_five_minutes_pct();
                    }
                }
            } else {
                failed.store(true, Ordering::Relaxed);
            }
            found
                .lock()
                .expect("no thread panicked with it")
                .push((run, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.clamp(1, scenario.shifts as usize) {
            scope.spawn(work);
        }
        work();
    });
    let mut found = found.into_inner().expect("no thread panicked with it");
    found.sort_by_key(|(run, _)| *run);
    let runs: Vec<Vec<Tally>> = found
        .into_iter()
        .map(|(_, result)| result)
        .collect::<Result<_, _>>()?;
    let curve = curve.into_inner().expect("no thread panicked with it");
    let report = Report::new(scenario, controller, &runs, &curve);
    let first = runs.into_iter().flatten().next().unwrap_or_default();
    Ok(Judged {
        report,
        first,
        curve,
    })
}

/// One run: shifts on consecutive days with one book of abandoned calls.
fn days(
    scenario: &Scenario,
    controller: Controller,
    run: u32,
    options: Options<'_>,
) -> Result<Vec<Tally>, JudgeError> {
    let mut shifts = Vec::new();
    let mut history = Vec::new();
    for day in 0..scenario.days {
        let shift = u64::from(run) * u64::from(scenario.days) + u64::from(day);
        let seed = scenario.seed.wrapping_add(shift);
        let (mode, level) = match controller {
            Controller::Predictive => (Mode::Predictive, LEVEL),
            Controller::Progressive => (Mode::Progressive, LEVEL),
            Controller::Power(level) => (Mode::Power, level),
            Controller::Ratio(_) | Controller::Adapt(_) | Controller::Informed => {
                shifts.push(small_world::shift(scenario, controller, seed)?);
                (options.shift_is_over)();
                continue;
            }
        };
        let mut setting = scenario.setting(mode, level);
        setting.start = Utc::from_micros(setting.start.as_micros() + i64::from(day) * DAY_US);
        setting.history.clone_from(&history);
        let mut world =
            World::new(setting, seed).map_err(|error| ScenarioError::Config(error.to_string()))?;
        if options.checked {
            world = world.with_checker();
        }
        world.run();
        if let Some(violation) = world.violations().first().map(Violation::to_string) {
            return Err(JudgeError::Broken {
                run,
                day,
                violation,
            });
        }
        history.extend(world.tally().answers());
        shifts.push(world.tally().clone());
        (options.shift_is_over)();
    }
    Ok(shifts)
}
