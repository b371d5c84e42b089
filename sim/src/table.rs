//! Whole tables: which worlds stand in them, and one row for each once it is judged. Rows are plain
//! data, so that whoever runs a table can put them away one by one and take them up again.
//!
//! [`Request::cells`] says what is to be run, [`run`] runs it on any number of threads, and
//! [`markdown`] shows what came of it.

mod render;

pub use render::markdown;

use crate::bound::Markov;
use crate::floors::{self, floor_pct};
use crate::judge::{JudgeError, Options, judge_all};
use crate::report::Report;
use crate::scenario::{Controller, Profile, Scenario, ScenarioError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Sizes at which every scenario is run that names none itself.
pub const SCENARIO_AGENTS: [usize; 3] = [10, 50, 200];
/// Days of a run where what is learned is carried over; the first is left out of the means.
pub const CARRIED_DAYS: u32 = 5;
/// Days of a run of the month's table.
pub const MONTH_DAYS: u32 = 30;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Every cell of agents and answer rates in the judge's world, held against its floor.
    Cells,
    /// Worlds that change, and unusual ones.
    Scenarios,
    /// The cells, thirty days in a row.
    Month,
    /// The world of which the best is known.
    Markov,
}

impl Table {
    /// Shifts, or runs of several days, per row where nobody says how many.
    pub fn shifts(self) -> u32 {
        match self {
            Table::Cells => 24,
            Table::Scenarios => 12,
            Table::Month => 1,
            Table::Markov => 4,
        }
    }
}

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Table, String> {
        match text {
            "cells" => Ok(Table::Cells),
            "scenarios" => Ok(Table::Scenarios),
            "month" => Ok(Table::Month),
            "markov" => Ok(Table::Markov),
            _ => Err(format!(
                "there is no table \"{text}\": use cells, scenarios, month or markov"
            )),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Table::Cells => "cells",
            Table::Scenarios => "scenarios",
            Table::Month => "month",
            Table::Markov => "markov",
        })
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which table.
    pub table: Table,
    /// What paces; a row for each. None: predictive, or what a scenario's file names.
    pub controllers: Vec<Controller>,
    /// Only rows of so many agents; none: all there are.
    pub agents: Vec<usize>,
    /// Only cells of these answer rates; none: all there are.
    pub answer_rates: Vec<f64>,
    /// Runs per row; `None`: [`Table::shifts`].
    pub shifts: Option<u32>,
    /// Days of a run where it has several; `None`: [`CARRIED_DAYS`], [`MONTH_DAYS`].
    pub days: Option<u32>,
    /// Hours of a shift; `None`: 8, or what the scenario says.
    pub hours: Option<f64>,
    /// Fixes every chance.
    pub seed: u64,
    /// The scenarios, by name.
    pub scenarios: Vec<(String, Scenario)>,
}

impl Request {
    /// All of a table, with its own numbers of shifts and days.
    pub fn new(table: Table, seed: u64) -> Request {
        Request {
            table,
            controllers: Vec::new(),
            agents: Vec::new(),
            answer_rates: Vec::new(),
            shifts: None,
            days: None,
            hours: None,
            seed,
            scenarios: Vec::new(),
        }
    }

    /// What is to be run, in the order of the table.
    ///
    /// # Errors
    /// A scenario names a controller that does not exist.
    pub fn cells(&self) -> Result<Vec<Cell>, ScenarioError> {
        let mut cells = Vec::new();
        for (name, scenario, bound) in self.worlds() {
            let controllers = match (self.controllers.is_empty(), &scenario.controller) {
                (false, _) => self.controllers.clone(),
                (true, Some(named)) => vec![named.parse()?],
                (true, None) => vec![Controller::Predictive],
            };
            for controller in controllers {
                cells.push(Cell {
                    name: name.clone(),
                    scenario: scenario.clone(),
                    controller,
                    bound,
                });
            }
        }
        Ok(cells)
    }

    fn is_wanted(&self, agents: usize, answer_rate: Option<f64>) -> bool {
        (self.agents.is_empty() || self.agents.contains(&agents))
            && answer_rate
                .is_none_or(|p| self.answer_rates.is_empty() || self.answer_rates.contains(&p))
    }

    fn worlds(&self) -> Vec<(Option<String>, Scenario, Option<Markov>)> {
        let mut worlds = Vec::new();
        let mut add = |name, scenario: Scenario, bound, days: u32, settle_days: u32| {
            let scenario = Scenario {
                shifts: self.shifts.unwrap_or(self.table.shifts()),
                days,
                settle_days: settle_days.min(days - 1),
                hours: self.hours.unwrap_or(scenario.hours),
                seed: self.seed,
                ..scenario
            };
            worlds.push((name, scenario, bound));
        };
        let cells = |agents: &[usize], rates: &[f64]| -> Vec<(usize, f64)> {
            let all = agents
                .iter()
                .flat_map(|n| rates.iter().map(move |p| (*n, *p)));
            all.filter(|(n, p)| self.is_wanted(*n, Some(*p))).collect()
        };
        let judge = |agents, answer_rate| Scenario {
            agents,
            answer_rate: Profile::Always(answer_rate),
            ..Scenario::default()
        };
        match self.table {
            Table::Cells => {
                for (agents, p) in cells(&floors::AGENTS, &floors::ANSWER_RATES) {
                    let carried = agents <= floors::CARRIED_AGENTS_MAX;
                    let days = if carried {
                        self.days.unwrap_or(CARRIED_DAYS).max(1)
                    } else {
                        1
                    };
                    add(None, judge(agents, p), None, days, 1);
                }
            }
            Table::Month => {
                for (agents, p) in cells(&floors::AGENTS, &floors::ANSWER_RATES) {
                    let days = self.days.unwrap_or(MONTH_DAYS).max(1);
                    add(None, judge(agents, p), None, days, 0);
                }
            }
            Table::Markov => {
                let rates = if self.answer_rates.is_empty() {
                    floors::MARKOV_ANSWER_RATES.to_vec()
                } else {
                    self.answer_rates.clone()
                };
                for (agents, p) in cells(&floors::MARKOV_AGENTS, &rates) {
                    let world = Markov::new(agents, p);
                    add(None, world.scenario(), Some(world), 1, 0);
                }
            }
            Table::Scenarios => {
                for (name, scenario) in &self.scenarios {
                    let sizes = if scenario.table_agents.is_empty() {
                        SCENARIO_AGENTS.to_vec()
                    } else {
                        scenario.table_agents.clone()
                    };
                    for agents in sizes.into_iter().filter(|n| self.is_wanted(*n, None)) {
                        let (days, settle) = (scenario.days, scenario.settle_days);
                        let scaled = scenario.for_agents(agents);
                        add(Some(name.clone()), scaled, None, days, settle);
                    }
                }
            }
        }
        worlds
    }
}

/// One row that is to be run.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Of a scenario.
    pub name: Option<String>,
    /// The world.
    pub scenario: Scenario,
    /// What paces in it.
    pub controller: Controller,
    /// The process of which the bound is to be computed.
    bound: Option<Markov>,
}

impl Cell {
    /// The same for the same world, seed, number of shifts and controller, and for nothing else
    /// (FNV-1a of all of it).
    pub fn fingerprint(&self) -> String {
        let text = format!("{:?} {} {:?}", self.name, self.controller, self.scenario);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// How long one shift of it takes to run, compared with others.
    pub fn work(&self) -> u64 {
        let answered: f64 = self.scenario.answer_rate.at(model::Mono::ZERO).max(0.02);
        (10.0 * self.scenario.agents as f64 * self.scenario.hours / answered).max(1.0) as u64
    }

    /// Shifts of it, all days counted.
    pub fn shifts(&self) -> u64 {
        u64::from(self.scenario.shifts) * u64::from(self.scenario.days)
    }

    fn row(&self, report: Report) -> Row {
        let p = match &self.scenario.answer_rate {
            Profile::Always(p) if self.name.is_none() => Some(*p),
            Profile::Always(_) | Profile::Steps(_) => None,
        };
        let floored = self.name.is_none() && self.bound.is_none();
        Row {
            fingerprint: self.fingerprint(),
            name: self.name.clone(),
            answer_rate: p,
            floor_pct: p
                .filter(|_| floored)
                .and_then(|p| floor_pct(self.scenario.agents, p)),
            bound_pct: self.bound.map(|world| world.bound_pct()),
            report,
        }
    }
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// See [`Cell::fingerprint`].
    pub fingerprint: String,
    /// Of the scenario.
    pub name: Option<String>,
    /// Share of dials answered, in a cell.
    pub answer_rate: Option<f64>,
    /// Utilisation to be reached, in per cent.
    pub floor_pct: Option<f64>,
    /// Utilisation that nothing can pass, in per cent.
    pub bound_pct: Option<f64>,
    /// What came of it.
    pub report: Report,
}

/// Runs cells, and hands over each row once it is complete, whichever comes first. `is_done` says
/// whether to go on; `shift_is_over` is told the index of the cell after every shift.
///
/// # Errors
/// A cell cannot be run.
pub fn run(
    cells: &[Cell],
    threads: usize,
    shift_is_over: &(dyn Fn(usize) + Sync),
    is_done: &mut (dyn FnMut(Row) -> bool + Send),
) -> Result<(), JudgeError> {
    let worlds: Vec<(Scenario, Controller)> = cells
        .iter()
        .map(|cell| (cell.scenario.clone(), cell.controller))
        .collect();
    let options = Options {
        checked: false,
        threads,
        shift_is_over,
    };
    judge_all(&worlds, options, &mut |ix, judged| {
        is_done(cells[ix].row(judged.report))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cells: &[Cell]) -> Vec<(Option<&str>, usize)> {
        cells
            .iter()
            .map(|cell| (cell.name.as_deref(), cell.scenario.agents))
            .collect()
    }

    #[test]
    fn the_table_has_every_cell_and_only_its_first_row_carries_days_over() {
        let cells = Request::new(Table::Cells, 9).cells().unwrap();
        assert_eq!(cells.len(), 24);
        for cell in &cells {
            let carries = cell.scenario.agents == 5;
            let (days, settle) = (cell.scenario.days, cell.scenario.settle_days);
            assert_eq!((days, settle), if carries { (5, 1) } else { (1, 0) });
            assert_eq!((cell.scenario.shifts, cell.scenario.seed), (24, 9));
        }
        let one = Request {
            agents: vec![10],
            answer_rates: vec![0.2, 0.3],
            ..Request::new(Table::Cells, 9)
        };
        assert_eq!(one.cells().unwrap().len(), 2);
        let month = Request::new(Table::Month, 9).cells().unwrap();
        assert!(month.iter().all(|cell| cell.scenario.days == 30));
    }

    #[test]
    fn a_scenario_is_run_at_its_own_sizes_and_grows_with_them() {
        let blended = Scenario {
            agents: 25,
            inbound_per_hour: 120.0,
            lines: 50,
            ..Scenario::default()
        };
        let mass = Scenario {
            table_agents: vec![500],
            ..Scenario::default()
        };
        let request = Request {
            scenarios: vec![("blended".into(), blended), ("mass".into(), mass)],
            ..Request::new(Table::Scenarios, 1)
        };
        let cells = request.cells().unwrap();
        assert_eq!(
            names(&cells),
            [
                (Some("blended"), 10),
                (Some("blended"), 50),
                (Some("blended"), 200),
                (Some("mass"), 500)
            ]
        );
        let fifty = &cells[1].scenario;
        assert_eq!((fifty.inbound_per_hour, fifty.lines), (240.0, 100));
        assert_eq!(cells[3].scenario.lines, Scenario::default().lines);
    }

    #[test]
    fn a_fingerprint_tells_seeds_shifts_and_controllers_apart() {
        let request = Request {
            controllers: vec![Controller::Predictive, Controller::Progressive],
            agents: vec![5],
            ..Request::new(Table::Cells, 1)
        };
        let other = Request {
            seed: 2,
            ..request.clone()
        };
        let more = Request {
            shifts: Some(25),
            ..request.clone()
        };
        let mut prints: Vec<String> = [&request, &other, &more]
            .iter()
            .flat_map(|request| request.cells().unwrap())
            .map(|cell| cell.fingerprint())
            .collect();
        let all = prints.len();
        prints.sort();
        prints.dedup();
        assert_eq!((prints.len(), all), (24, 24));
    }

    #[test]
    fn rows_come_back_from_json_as_they_were_and_say_whether_the_floor_is_reached() {
        let request = Request {
            agents: vec![10],
            answer_rates: vec![0.3],
            shifts: Some(2),
            hours: Some(0.3),
            ..Request::new(Table::Cells, 1)
        };
        let cells = request.cells().unwrap();
        let mut rows = Vec::new();
        run(&cells, 2, &|_| {}, &mut |row| {
            rows.push(row);
            true
        })
        .unwrap();
        let text = serde_json::to_string(&rows[0]).unwrap();
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), rows[0]);
        assert_eq!(rows[0].fingerprint, cells[0].fingerprint());
        assert_eq!(rows[0].floor_pct, Some(86.9));
        let shown = markdown(Table::Cells, &rows);
        let line = shown.lines().last().unwrap();
        assert!(line.starts_with("| 10 | 0.3 |"), "{shown}");
        let reached = rows[0].report.utilisation_pct >= Some(86.9);
        assert_eq!(line.contains('✓'), reached, "{shown}");
    }

    #[test]
    fn whoever_is_handed_a_row_may_stop_the_table() {
        let request = Request {
            answer_rates: vec![0.3],
            agents: vec![5, 10],
            shifts: Some(1),
            days: Some(1),
            hours: Some(0.1),
            ..Request::new(Table::Cells, 1)
        };
        let mut rows = 0;
        run(&request.cells().unwrap(), 1, &|_| {}, &mut |_| {
            rows += 1;
            false
        })
        .unwrap();
        assert_eq!(rows, 1);
    }
}
