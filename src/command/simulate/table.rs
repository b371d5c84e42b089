//! `tandem simulate --table`: runs a whole table, shows how far it is, and puts every row away as
//! soon as it is there, so that a run that was interrupted goes on where it was.

use super::{SimulateArgs, cores, progress, read};
use crate::command::Output;
use anyhow::{Context, bail};
use sim::table::{self, Cell, Request, Row, Table};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Runs the table.
///
/// # Errors
/// A scenario cannot be read or run, or the file of rows cannot be read or written.
pub fn run(of: Table, args: &SimulateArgs) -> anyhow::Result<()> {
    let cells = request(of, args)?.cells()?;
    if cells.is_empty() {
        bail!("the table {of} has no row of these --agents and --answer-rate");
    }
    let (mut rows, mut out) = match &args.out {
        None => (BTreeMap::new(), None),
        Some(path) => {
            let (rows, file) = Rows::open(path)?;
            (rows, Some(file))
        }
    };
    let missing: Vec<Cell> = cells
        .iter()
        .filter(|cell| !rows.contains_key(&cell.fingerprint()))
        .cloned()
        .collect();
    run_missing(args, &cells, &missing, &mut rows, &mut out)?;
    let found: Vec<Row> = cells
        .iter()
        .filter_map(|cell| rows.remove(&cell.fingerprint()))
        .collect();
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?;
    } else {
        write!(out, "{}", table::markdown(of, &found))?;
    }
    out.flush()?;
    Ok(())
}

fn run_missing(
    args: &SimulateArgs,
    cells: &[Cell],
    missing: &[Cell],
    rows: &mut BTreeMap<String, Row>,
    out: &mut Option<Rows>,
) -> anyhow::Result<()> {
    let work = |cells: &[Cell]| -> u64 {
        let each = cells.iter().map(|cell| cell.work() * cell.shifts());
        each.sum()
    };
    let template = "{bar:40} {percent} %, {eta} left, {msg}";
    let bar = progress(work(cells), template);
    bar.inc(work(cells) - work(missing));
    bar.reset_eta();
    let told = |rows: usize| format!("{rows} of {} rows", cells.len());
    bar.set_message(told(rows.len().min(cells.len())));
    let mut failed = None;
    let mut done = cells.len() - missing.len();
    let result = table::run(
        missing,
        args.threads.unwrap_or_else(cores).max(1),
        &|ix| bar.inc(missing[ix].work()),
        &mut |row| {
            done += 1;
            bar.set_message(told(done));
            let written = out.as_mut().map_or(Ok(()), |out| out.add(&row));
            rows.insert(row.fingerprint.clone(), row);
            failed = written.err();
            failed.is_none()
        },
    );
    bar.finish_and_clear();
    result?;
    failed.map_or(Ok(()), Err)
}

fn request(of: Table, args: &SimulateArgs) -> anyhow::Result<Request> {
    let mut request = Request::new(of, args.seed.unwrap_or(1));
    request.controllers = match &args.controller {
        None => Vec::new(),
        Some(controller) => vec![controller.parse()?],
    };
    request.agents = args.agents.into_iter().collect();
    request.answer_rates = args.answer_rate.into_iter().collect();
    request.shifts = args.shifts;
    request.days = args.days;
    request.hours = args.hours;
    if of == Table::Scenarios {
        let folder = &args.scenarios;
        let shown = folder.display();
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read the folder of scenarios {shown}"))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                files.push(path);
            }
        }
        files.sort();
        for path in files {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            request.scenarios.push((name.into_owned(), read(&path)?));
        }
    }
    Ok(request)
}

/// The file of rows: one JSON object a line.
struct Rows {
    file: File,
    name: String,
}

impl Rows {
    /// Opens it, or makes it, and reads what is there. A last line that was cut off is taken away.
    fn open(path: &Path) -> anyhow::Result<(BTreeMap<String, Row>, Rows)> {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut rows = BTreeMap::new();
        for (n, line) in text[..whole].lines().enumerate() {
            let row: Row = serde_json::from_str(line)
                .with_context(|| format!("{name}, line {}: this is no row of a table", n + 1))?;
            rows.insert(row.fingerprint.clone(), row);
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write {name}"))?;
        file.set_len(whole as u64)
            .with_context(|| format!("cannot write {name}"))?;
        Ok((rows, Rows { file, name }))
    }

    fn add(&mut self, row: &Row) -> anyhow::Result<()> {
        let line = serde_json::to_string(row)? + "\n";
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("cannot write {}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn lines(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(String::from).collect()
    }

    #[test]
    fn a_table_that_was_interrupted_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let out = path.to_str().unwrap();
        let asked = |agents: &str| {
            let words = "simulate --table cells --answer-rate 0.3 --shifts 1 --days 1 --hours 0.05";
            let words = words.split(' ').chain(["--out", out, "--agents", agents]);
            let args = Cli::parse_from(words).args;
            run(Table::Cells, &args)
        };
        asked("5").unwrap();
        let first = lines(&path);
        assert_eq!(first.len(), 1);
        // The next row was cut off in the middle.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&first[0].as_bytes()[..40]).unwrap();
        asked("10").unwrap();
        asked("10").unwrap();
        let second = lines(&path);
        assert_eq!(second.len(), 2, "run again, a row that is there is not");
        assert_eq!(second[0], first[0]);
        assert!(second[1].contains("\"agents\":10"), "{}", second[1]);
        std::fs::write(&path, "{}\n").unwrap();
        let error = asked("5").unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_table_without_such_a_row_says_so() {
        let args = Cli::parse_from(["simulate", "--table", "cells", "--agents", "7"]).args;
        let error = run(Table::Cells, &args).unwrap_err().to_string();
        assert!(error.contains("no row"), "{error}");
    }
}
