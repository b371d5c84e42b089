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
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// One run: its shifts, and their courses added up.
struct Run {
    shifts: Vec<Tally>,
    curve: Curve,
}

/// How a scenario is run.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Check every invariant after every input.
    pub checked: bool,
    /// Threads; the report is the same for any number.
    pub threads: usize,
    /// Told after every shift, from whichever thread, of the world with this index.
    pub shift_is_over: &'a (dyn Fn(usize) + Sync),
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            checked: false,
            threads: 1,
            shift_is_over: &|_| {},
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
/// rules run in the [`small_world`](crate::small_world) with the same people.
///
/// # Errors
/// The scenario cannot be run, or the checker found a broken invariant: the earliest run's.
pub fn judge_with(
    scenario: &Scenario,
    controller: Controller,
    options: Options<'_>,
) -> Result<Judged, JudgeError> {
    let mut found = None;
    let worlds = [(scenario.clone(), controller)];
    judge_all(&worlds, options, &mut |_, judged| {
        found = Some(judged);
        true
    })?;
    Ok(found.expect("a world without an error is judged"))
}

/// What is left to do of one world.
struct Pending {
    runs: Vec<Option<Run>>,
    left: u32,
}

/// Runs many worlds on the same threads, and hands over each as soon as its last run is in, by its
/// index. `is_judged` says whether to go on.
///
/// # Errors
/// As [`judge_with`], for the earliest run of the earliest world; the others that were under way
/// may have been handed over.
pub fn judge_all(
    worlds: &[(Scenario, Controller)],
    options: Options<'_>,
    is_judged: &mut (dyn FnMut(usize, Judged) -> bool + Send),
) -> Result<(), JudgeError> {
    for (scenario, _) in worlds {
        if let Some(problem) = scenario.problems().into_iter().next() {
            return Err(ScenarioError::Problem(problem).into());
        }
    }
    let runs: Vec<(usize, u32)> = worlds
        .iter()
        .enumerate()
        .flat_map(|(ix, (scenario, _))| (0..scenario.shifts).map(move |run| (ix, run)))
        .collect();
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let pending: Vec<Mutex<Pending>> = worlds
        .iter()
        .map(|(scenario, _)| {
            Mutex::new(Pending {
                runs: (0..scenario.shifts).map(|_| None).collect(),
                left: scenario.shifts,
            })
        })
        .collect();
    let failed: Mutex<Option<(usize, JudgeError)>> = Mutex::new(None);
    let is_judged = Mutex::new(is_judged);
    let work = || {
        while !stopped.load(Ordering::Relaxed) {
            let job = next.fetch_add(1, Ordering::Relaxed);
            let Some(&(ix, run)) = runs.get(job) else {
                return;
            };
            let (scenario, controller) = &worlds[ix];
            match one_run(scenario, *controller, run, ix, options) {
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    let mut failed = failed.lock().expect("no thread panicked with it");
                    if failed.as_ref().is_none_or(|(earlier, _)| job < *earlier) {
                        *failed = Some((job, error));
                    }
                }
                Ok(found) => {
                    let mut world = pending[ix].lock().expect("no thread panicked with it");
                    world.runs[run as usize] = Some(found);
                    world.left -= 1;
                    if world.left == 0 {
                        let runs = std::mem::take(&mut world.runs);
                        drop(world);
                        let judged = put_together(scenario, *controller, runs);
                        let mut is_judged = is_judged.lock().expect("no thread panicked with it");
                        if !is_judged(ix, judged) {
                            stopped.store(true, Ordering::Relaxed);
                        }
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.clamp(1, runs.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().expect("no thread panicked with it") {
        None => Ok(()),
        Some((_, error)) => Err(error),
    }
}

/// One run, its courses added up: ten seconds each of a hundred thousand shifts would not fit
/// anywhere. Only the first shift of all keeps its own.
fn one_run(
    scenario: &Scenario,
    controller: Controller,
    run: u32,
    ix: usize,
    options: Options<'_>,
) -> Result<Run, JudgeError> {
    let mut shifts = days(scenario, controller, run, ix, options)?;
    let mut curve = Curve::default();
    for (day, tally) in shifts.iter_mut().enumerate() {
        tally.worst_five_minutes_pct = tally.curve.worst_five_minutes_pct();
        if day >= scenario.settle_days as usize {
            curve.add(&tally.curve);
        }
        if (run, day) != (0, 0) {
            tally.curve = Curve::default();
        }
    }
    Ok(Run { shifts, curve })
}

fn put_together(scenario: &Scenario, controller: Controller, runs: Vec<Option<Run>>) -> Judged {
    let mut curve = Curve::default();
    let mut shifts = Vec::with_capacity(runs.len());
    for run in runs {
        let run = run.expect("no run of this world is left");
        curve.add(&run.curve);
        shifts.push(run.shifts);
    }
    let report = Report::new(scenario, controller, &shifts, &curve);
    let first = shifts.into_iter().flatten().next().unwrap_or_default();
    Judged {
        report,
        first,
        curve,
    }
}

/// One run: shifts on consecutive days with one book of abandoned calls, each beginning with what the
/// day before has learned.
fn days(
    scenario: &Scenario,
    controller: Controller,
    run: u32,
    ix: usize,
    options: Options<'_>,
) -> Result<Vec<Tally>, JudgeError> {
    let mut shifts = Vec::new();
    let mut history = Vec::new();
    let mut learned = Vec::new();
    for day in 0..scenario.days {
        let shift = u64::from(run) * u64::from(scenario.days) + u64::from(day);
        let seed = scenario.seed.wrapping_add(shift);
        let (mode, level) = match controller {
            Controller::Predictive => (Mode::Predictive, LEVEL),
            Controller::Progressive => (Mode::Progressive, LEVEL),
            Controller::Informed => (Mode::Predictive, LEVEL),
            Controller::Power(level) => (Mode::Power, level),
            Controller::Agentless => (Mode::Agentless, LEVEL),
            Controller::Ratio(_) | Controller::Adapt(_) => {
                shifts.push(small_world::shift(scenario, controller, seed)?);
                (options.shift_is_over)(ix);
                continue;
            }
        };
        let mut setting = scenario.setting(mode, level);
        setting.start = Utc::from_micros(setting.start.as_micros() + i64::from(day) * DAY_US);
        setting.history.clone_from(&history);
        setting.foretold = controller == Controller::Informed;
        setting.learned = std::mem::take(&mut learned);
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
        if day + 1 < scenario.days {
            learned = world.learned();
        }
        history.extend(world.tally().answers());
        shifts.push(world.into_tally());
        (options.shift_is_over)(ix);
    }
    Ok(shifts)
}
