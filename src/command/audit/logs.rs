//! Which logs are audited, and in which order: those that are named, and those of a folder that is
//! named, each start after the one before it. What a start was told is looked for beside its log.

use anyhow::{Context, bail};
use model::{Event, Fact, Utc};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The logs to read, oldest start first.
pub(super) fn find(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut logs = BTreeMap::new();
    for path in named {
        let is_folder = std::fs::metadata(path)
            .with_context(|| {
                format!(
                    "cannot read {}: name an event log, or the data folder that has the logs",
                    path.display()
                )
            })?
            .is_dir();
        let found = match is_folder {
            true => in_folder(path)?,
            false => vec![path.clone()],
        };
        for log in found {
            let file = log
                .canonicalize()
                .with_context(|| format!("cannot read {}", log.display()))?;
            // The same log by another name, as by the link to the last one.
            logs.entry(file).or_insert(log);
        }
    }
    let logs: Vec<PathBuf> = logs.into_values().collect();
    match logs.len() {
        1 => Ok(logs),
        _ => in_order(logs),
    }
}

fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("events-") && name.ends_with(".jsonl")) {
            logs.push(path);
        }
    }
    // A log that was copied here may have lost the number in its name.
    let only = folder.join("events.jsonl");
    if logs.is_empty() && only.exists() {
        logs.push(only);
    }
    if logs.is_empty() {
        bail!(
            "{} has no event logs (events-BOOT.jsonl): name the folder that `tandem serve --data FOLDER` \
             writes, or the logs themselves",
            folder.display()
        );
    }
    Ok(logs)
}

/// By start; where a log does not say which start it is of, all of them by the time they begin. A log
/// without an event comes last.
fn in_order(logs: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    let mut by_boot: BTreeMap<u32, PathBuf> = BTreeMap::new();
    let mut dated: Vec<(Option<Utc>, PathBuf)> = Vec::new();
    let mut is_numbered = true;
    for log in logs {
        let first = first_event(&log).with_context(|| format!("cannot read {}", log.display()))?;
        match first.as_ref().map(|event| &event.fact) {
            Some(Fact::EngineStarted { boot, .. }) => {
                if let Some(other) = by_boot.insert(*boot, log.clone()) {
                    bail!(
                        "start {boot} is both in {} and in {}: name the logs of one engine, each once",
                        other.display(),
                        log.display()
                    );
                }
            }
            Some(_) => is_numbered = false,
            None => {}
        }
        dated.push((first.map(|event| event.at.utc), log));
    }
    if !is_numbered {
        dated.sort_by_key(|(at, _)| (at.is_none(), *at));
        return Ok(dated.into_iter().map(|(_, log)| log).collect());
    }
    let empty = dated.into_iter().filter(|(at, _)| at.is_none());
    let empty: Vec<PathBuf> = empty.map(|(_, log)| log).collect();
    Ok(by_boot.into_values().chain(empty).collect())
}

/// The first line that is an event.
fn first_event(log: &Path) -> std::io::Result<Option<Event>> {
    let mut reader = BufReader::new(File::open(log)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Ok(event) = serde_json::from_slice(&line) {
            return Ok(Some(event));
        }
        line.clear();
    }
    Ok(None)
}
