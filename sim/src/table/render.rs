//! Tables as markdown. What has no data is a dash, and an interval stands in brackets.

use super::{Row, Table};

/// The table of these rows, in their order.
pub fn markdown(table: Table, rows: &[Row]) -> String {
    let several = rows
        .iter()
        .any(|row| row.report.controller != rows[0].report.controller);
    let columns: Vec<(&str, Shown)> = columns(table)
        .into_iter()
        .filter(|(name, _)| several || *name != CONTROLLER)
        .collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "| {} |\n|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|(_, shown)| shown(row)).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

type Shown = fn(&Row) -> String;

const CONTROLLER: &str = "controller";

fn columns(table: Table) -> Vec<(&'static str, Shown)> {
    let agents: (&str, Shown) = ("agents", |row| row.report.agents.to_string());
    let p: (&str, Shown) = ("p", |row| {
        row.answer_rate.map_or("–".into(), |p| p.to_string())
    });
    let controller: (&str, Shown) = (CONTROLLER, |row| row.report.controller.clone());
    let utilisation: (&str, Shown) = ("utilisation %", |row| {
        with(row.report.utilisation_pct, row.report.ci95.utilisation_pct)
    });
    let abandoned: (&str, Shown) = ("abandoned %", |row| {
        with(row.report.abandonment_pct, row.report.ci95.abandonment_pct)
    });
    let over: (&str, Shown) = ("shifts over the limit %", |row| {
        with(
            row.report.shifts_over_limit_pct,
            row.report.ci95.shifts_over_limit_pct,
        )
    });
    let runs: (&str, Shown) = ("shifts", |row| match row.report.days {
        1 => row.report.shifts.to_string(),
        days => format!("{} × {days} days", row.report.shifts),
    });
    match table {
        Table::Cells => vec![
            agents,
            p,
            controller,
            utilisation,
            ("floor", |row| number(row.floor_pct, 1)),
            ("", reached),
            abandoned,
            over,
            ("seconds between calls", |row| {
                with(
                    row.report.idle_seconds_mean,
                    row.report.ci95.idle_seconds_mean,
                )
            }),
            ("withdrawn % of dials", |row| {
                number(row.report.withdrawn_pct, 1)
            }),
            runs,
        ],
        Table::Scenarios => vec![
            agents,
            ("scenario", |row| {
                row.name.as_deref().unwrap_or("–").replace('_', " ")
            }),
            controller,
            utilisation,
            abandoned,
            over,
            ("worst 5 min after the step %", |row| {
                worst_after_a_step(row).map_or("–".into(), |pct| format!("{pct:.1}"))
            }),
            ("utilisation before, 3 to 8 min after, last hour %", |row| {
                let step = row.report.steps.first();
                format!(
                    "{}, {}, {}",
                    number(step.and_then(|step| step.utilisation_before_pct), 1),
                    number(step.and_then(|step| step.utilisation_after_pct), 1),
                    number(row.report.last_hour_utilisation_pct, 1)
                )
            }),
            ("customers' calls within 20 s %", |row| {
                number(row.report.inbound_in_time_pct, 1)
            }),
            runs,
        ],
        Table::Month => vec![
            agents,
            p,
            controller,
            utilisation,
            ("30 days, mean %", |row| {
                number(row.report.period.and_then(|p| p.abandonment_pct_mean), 2)
            }),
            ("30 days, worst %", |row| {
                number(row.report.period.and_then(|p| p.abandonment_pct_max), 2)
            }),
            ("single shifts over the limit %", over.1),
            ("runs", runs.1),
        ],
        Table::Markov => vec![
            agents,
            p,
            controller,
            utilisation,
            ("optimum, all known, nothing withdrawn", |row| {
                number(row.bound_pct, 1)
            }),
            abandoned,
            runs,
        ],
    }
}

fn reached(row: &Row) -> String {
    match (row.report.utilisation_pct, row.floor_pct) {
        (Some(pct), Some(floor)) if pct >= floor => "✓".into(),
        (Some(_), Some(_)) => "✗".into(),
        (None, _) | (_, None) => "–".into(),
    }
}

/// Of all steps.
fn worst_after_a_step(row: &Row) -> Option<f64> {
    let worst = row.report.steps.iter();
    worst
        .filter_map(|step| step.worst_five_minutes_pct)
        .reduce(f64::max)
}

fn number(x: Option<f64>, digits: usize) -> String {
    x.map_or("–".into(), |x| format!("{x:.digits$}"))
}

fn with(x: Option<f64>, ci: Option<[f64; 2]>) -> String {
    let ci = ci.map_or(String::new(), |[low, high]| {
        format!(" ({low:.2} to {high:.2})")
    });
    format!("{}{ci}", number(x, 2))
}
