//! Judged shifts, added up: what the command prints. Means over shifts with their 95 % intervals;
//! what has no data is `null`, never 0 or 100.

use crate::checker::Violation;
use crate::open_dialer;
use crate::scenario::{Controller, Scenario, ScenarioError};
use crate::tally::Tally;
use crate::world::World;
use model::event::Mode;
use serde::Serialize;
use std::fmt;

/// The limit a shift is held against, in per cent: 47 CFR 64.1200(a)(7).
pub const ABANDONMENT_LIMIT_PCT: f64 = 3.0;

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What paced.
    pub controller: String,
    /// Agents.
    pub agents: usize,
    /// Shifts of so many hours.
    pub shifts: u32,
    /// See `shifts`.
    pub hours: f64,
    /// The seed of the first shift.
    pub seed: u64,
    /// (talk + wrap-up) ÷ signed-in, mean over shifts.
    pub utilisation_pct: Option<f64>,
    /// Abandoned ÷ (abandoned + connected), over all shifts together.
    pub abandonment_pct: Option<f64>,
    /// Shifts with an abandonment over 3 %, among those with answers.
    pub shifts_over_limit_pct: Option<f64>,
    /// From available to the next call, mean over shifts.
    pub idle_seconds_mean: Option<f64>,
    /// Customers dialled, connected to an agent, answered without one.
    pub dials: u64,
    /// See `dials`.
    pub connected: u64,
    /// See `dials`.
    pub abandoned: u64,
    /// Customers who called, and those who got an agent.
    pub inbound: u64,
    /// See `inbound`.
    pub inbound_answered: u64,
    /// 95 % intervals of the means over shifts (Student's t); `null` for fewer than two shifts.
    pub ci95: Intervals,
}

/// 95 % intervals: low, high.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Intervals {
    /// Of `utilisation_pct`.
    pub utilisation_pct: Option<[f64; 2]>,
    /// Of the mean of the shifts' abandonment.
    pub abandonment_pct: Option<[f64; 2]>,
    /// Of `shifts_over_limit_pct` (Wilson 1927).
    pub shifts_over_limit_pct: Option<[f64; 2]>,
    /// Of `idle_seconds_mean`.
    pub idle_seconds_mean: Option<[f64; 2]>,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The scenario cannot be run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The checker objected.
    #[error("shift {shift}: {violation}")]
    Broken {
        /// Which shift, from 0.
        shift: u32,
        /// What was broken first.
        violation: String,
    },
}

/// Runs all shifts of a scenario.
///
/// The engine's own controllers run through the whole production engine, with every input checked
/// where `checked`. The common open dialer's rules run in the small world of
/// [`open_dialer`](crate::open_dialer) with the same people.
///
/// # Errors
/// The scenario cannot be run, or the checker found a broken invariant.
pub fn judge(
    scenario: &Scenario,
    controller: Controller,
    checked: bool,
) -> Result<Report, JudgeError> {
    if let Some(problem) = scenario.problems().into_iter().next() {
        return Err(ScenarioError::Problem(problem).into());
    }
    let mut shifts = Vec::new();
    for shift in 0..scenario.shifts {
        let seed = scenario.seed.wrapping_add(u64::from(shift));
        let tally = match controller {
            Controller::Predictive => {
                through_engine(scenario, Mode::Predictive, 1.5, seed, shift, checked)?
            }
            Controller::Progressive => {
                through_engine(scenario, Mode::Progressive, 1.5, seed, shift, checked)?
            }
            Controller::Power(level) => {
                through_engine(scenario, Mode::Power, level, seed, shift, checked)?
            }
            Controller::Ratio(_) | Controller::Adapt(_) => {
                open_dialer::shift(scenario, controller, seed)?
            }
        };
        shifts.push(tally);
    }
    Ok(add_up(scenario, controller, &shifts))
}

fn through_engine(
    scenario: &Scenario,
    mode: Mode,
    level: f64,
    seed: u64,
    shift: u32,
    checked: bool,
) -> Result<Tally, JudgeError> {
    let mut world = World::new(scenario.setting(mode, level), seed)
        .map_err(|error| ScenarioError::Config(error.to_string()))?;
    if checked {
        world = world.with_checker();
    }
    world.run();
    match world.violations().first().map(Violation::to_string) {
        Some(violation) => Err(JudgeError::Broken { shift, violation }),
        None => Ok(world.tally().clone()),
    }
}

fn add_up(scenario: &Scenario, controller: Controller, shifts: &[Tally]) -> Report {
    let each =
        |of: &dyn Fn(&Tally) -> Option<f64>| -> Vec<f64> { shifts.iter().filter_map(of).collect() };
    let utilisation =
        each(&|tally| ratio(tally.handling_us, tally.signed_in_us).map(|x| 100.0 * x));
    let abandonment =
        each(&|tally| ratio(tally.abandoned, tally.abandoned + tally.connected).map(|x| 100.0 * x));
    let idle = each(&|tally| ratio(tally.idle_us, tally.idle_spells).map(|us| us / 1e6));
    let sum = |of: &dyn Fn(&Tally) -> u64| shifts.iter().map(of).sum::<u64>();
    let (connected, abandoned) = (sum(&|tally| tally.connected), sum(&|tally| tally.abandoned));
    let over = abandonment
        .iter()
        .filter(|pct| **pct > ABANDONMENT_LIMIT_PCT)
        .count() as u64;
    let judged = abandonment.len() as u64;
    Report {
        controller: controller.to_string(),
        agents: scenario.agents,
        shifts: scenario.shifts,
        hours: scenario.hours,
        seed: scenario.seed,
        utilisation_pct: mean(&utilisation),
        abandonment_pct: ratio(abandoned, abandoned + connected).map(|x| 100.0 * x),
        shifts_over_limit_pct: ratio(over, judged).map(|x| 100.0 * x),
        idle_seconds_mean: mean(&idle),
        dials: sum(&|tally| tally.dials),
        connected,
        abandoned,
        inbound: sum(&|tally| tally.inbound),
        inbound_answered: sum(&|tally| tally.inbound_answered),
        ci95: Intervals {
            utilisation_pct: interval(&utilisation),
            abandonment_pct: interval(&abandonment),
            shifts_over_limit_pct: wilson(over, judged),
            idle_seconds_mean: interval(&idle),
        },
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(of: &[f64]) -> Option<f64> {
    (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
}

/// The 95 % interval of a mean of independent values, by Student's t.
fn interval(of: &[f64]) -> Option<[f64; 2]> {
    let n = of.len();
    if n < 2 {
        return None;
    }
    let mean = mean(of)?;
    let variance = of.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let half = t_quantile(n - 1) * (variance / n as f64).sqrt();
    Some([mean - half, mean + half])
}

/// The 97.5 % quantile of Student's t: the table to 10 degrees of freedom, the expansion in 1/ν of
/// Cornish and Fisher beyond, where it is right to three digits.
fn t_quantile(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    ];
    let z: f64 = 1.959_964;
    match TABLE.get(freedom - 1) {
        Some(t) => *t,
        None => {
            let nu = freedom as f64;
            z + (z.powi(3) + z) / (4.0 * nu)
                + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * nu * nu)
        }
    }
}

/// The 95 % interval of a share, in per cent (Wilson 1927).
fn wilson(hits: u64, of: u64) -> Option<[f64; 2]> {
    let p = ratio(hits, of)?;
    let (n, z) = (of as f64, 1.959_964_f64);
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 100.0 / (1.0 + z * z / n);
    Some([
        (scale * (centre - half)).max(0.0),
        (scale * (centre + half)).min(100.0),
    ])
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line =
            |f: &mut fmt::Formatter<'_>, name: &str, value: Option<f64>, ci: Option<[f64; 2]>| {
                let value = value.map_or("no data".into(), |x| format!("{x:.2}"));
                let ci = ci.map_or(String::new(), |[low, high]| {
                    format!("  [{low:.2}, {high:.2}]")
                });
                writeln!(f, "  {name:<22} {value:>9}{ci}")
            };
        writeln!(
            f,
            "{} agents, {} × {} h, {}, seed {}",
            self.agents, self.shifts, self.hours, self.controller, self.seed
        )?;
        line(
            f,
            "utilisation %",
            self.utilisation_pct,
            self.ci95.utilisation_pct,
        )?;
        line(
            f,
            "abandonment %",
            self.abandonment_pct,
            self.ci95.abandonment_pct,
        )?;
        line(
            f,
            "shifts over limit %",
            self.shifts_over_limit_pct,
            self.ci95.shifts_over_limit_pct,
        )?;
        line(
            f,
            "idle seconds, mean",
            self.idle_seconds_mean,
            self.ci95.idle_seconds_mean,
        )?;
        writeln!(
            f,
            "  {} dials, {} connected, {} abandoned",
            self.dials, self.connected, self.abandoned
        )?;
        if self.inbound > 0 {
            writeln!(
                f,
                "  {} customers called, {} got an agent",
                self.inbound, self.inbound_answered
            )?;
        }
        write!(f, "  [95 % intervals over shifts]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_need_two_values_and_cover_the_mean() {
        assert_eq!(interval(&[1.0]), None);
        let [low, high] = interval(&[1.0, 2.0, 3.0]).unwrap();
        assert!(
            (low - (2.0 - 4.303 / 3.0_f64.sqrt())).abs() < 1e-9 && high > 2.0,
            "{low} {high}"
        );
        assert!((t_quantile(30) - 2.042).abs() < 1e-3);
        let [low, high] = wilson(0, 10).unwrap();
        assert!(low.abs() < 1e-9 && (27.0..28.0).contains(&high), "{high}");
    }

    #[test]
    fn a_shift_without_answers_has_no_abandonment() {
        let scenario = Scenario {
            agents: 1,
            hours: 0.05,
            shifts: 2,
            answer_rate: crate::scenario::Profile::Always(0.0),
            ..Scenario::default()
        };
        let report = judge(&scenario, Controller::Progressive, true).unwrap();
        assert_eq!(
            (report.abandonment_pct, report.shifts_over_limit_pct),
            (None, None)
        );
        assert!(report.dials > 0);
        assert!(
            serde_json::to_string(&report)
                .unwrap()
                .contains("\"abandonment_pct\":null")
        );
    }
}
