//! `tandem replay`: a recorded day through a fresh engine, and whether it decides the same again.

use super::Output;
use crate::bus::write_event;
use crate::journal;
use anyhow::Context;
use model::{Event, Fact};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `tandem replay`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem replay data/inputs.jsonl                              the events, as events.jsonl has them
  tandem replay data/inputs.jsonl --events again.jsonl         to a file
  tandem replay data/inputs.jsonl --compare data/events.jsonl  exit code 1 at the first difference

An input log is of one start of the engine; an event log may have several: the one of that start is compared.
Keys pressed for a secret are recorded as 0, so a flow that branches on a secret may take another way.")]
pub struct ReplayArgs {
    /// The `inputs.jsonl` of a data folder.
    #[arg(value_name = "LOG")]
    inputs: PathBuf,
    /// Write the events to this file instead.
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    events: Option<PathBuf>,
    /// Compare with this `events.jsonl`, byte for byte.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    if let Some(recorded) = &args.compare {
        return compare(&args.inputs, recorded);
    }
    let mut out: Box<dyn Write> = match &args.events {
        Some(file) => Box::new(BufWriter::new(
            File::create(file).with_context(|| format!("cannot write {}", file.display()))?,
        )),
        None => Box::new(Output::new()),
    };
    let mut events = 0u64;
    let inputs = journal::replay(&args.inputs, &mut |event| {
        events += 1;
        write_event(&mut out, event)
    });
    let inputs = inputs.map_err(|error| refused(error, &args.inputs))?;
    out.flush()?;
    if let Some(file) = &args.events {
        eprintln!(
            "{inputs} inputs gave {events} events, now in {}",
            file.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A broken pipe is the reader's wish and not the log's fault.
fn refused(error: journal::ReplayError, log: &Path) -> anyhow::Error {
    match error {
        journal::ReplayError::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            error.into()
        }
        error @ (journal::ReplayError::Io(_)
        | journal::ReplayError::Line { .. }
        | journal::ReplayError::Config(_)) => {
            anyhow::Error::new(error).context(format!("{} cannot be replayed", log.display()))
        }
    }
}

/// The first line that differs.
#[derive(Debug, PartialEq)]
struct Difference {
    /// In the recorded file, from 1.
    line: usize,
    recorded: Option<String>,
    replayed: Option<String>,
}

fn compare(log: &Path, recorded: &Path) -> anyhow::Result<ExitCode> {
    let boot = journal::header(log)
        .map_err(|error| refused(error, log))?
        .boot;
    let cannot = || format!("cannot read {}", recorded.display());
    let mut lines = RecordedLines::of_boot(recorded, boot).with_context(cannot)?;
    let mut difference = None;
    let mut replayed = Vec::new();
    let mut events = 0u64;
    let replay = journal::replay(log, &mut |event| {
        events += 1;
        if difference.is_none() {
            replayed.clear();
            write_event(&mut replayed, event)?;
            let recorded = lines.next_line()?;
            if recorded.as_ref() != Some(&replayed) {
                difference = Some(Difference {
                    line: lines.line,
                    recorded: recorded.map(text),
                    replayed: Some(text(replayed.clone())),
                });
            }
        }
        Ok(())
    });
    replay.map_err(|error| refused(error, log))?;
    if difference.is_none()
        && let Some(more) = lines.next_line().with_context(cannot)?
    {
        difference = Some(Difference {
            line: lines.line,
            recorded: Some(text(more)),
            replayed: None,
        });
    }
    let mut out = Output::new();
    let code = match difference {
        None => {
            writeln!(out, "same: {events} events, byte for byte")?;
            ExitCode::SUCCESS
        }
        Some(Difference {
            line,
            recorded: was,
            replayed: is,
        }) => {
            let none = || "nothing".to_string();
            writeln!(out, "{}:{line}: the replay differs", recorded.display())?;
            writeln!(out, "recorded: {}", was.unwrap_or_else(none))?;
            writeln!(out, "replayed: {}", is.unwrap_or_else(none))?;
            ExitCode::FAILURE
        }
    };
    out.flush()?;
    Ok(code)
}

fn text(line: Vec<u8>) -> String {
    String::from_utf8_lossy(&line).trim_end().to_string()
}

/// The lines of one start of the engine in an event log.
struct RecordedLines {
    reader: BufReader<File>,
    /// Of the line that was read last.
    line: usize,
    /// Read ahead: the first line of the boot.
    first: Option<Vec<u8>>,
    is_over: bool,
}

impl RecordedLines {
    /// Goes to the first event of this boot; to the end of the file where there is none.
    fn of_boot(file: &Path, boot: u32) -> std::io::Result<RecordedLines> {
        let mut lines = RecordedLines {
            reader: BufReader::new(File::open(file)?),
            line: 0,
            first: None,
            is_over: false,
        };
        while let Some(line) = lines.read()? {
            // An engine that was driven without a start has one log for itself.
            let is_other = |event: &Event| matches!(event.fact, Fact::EngineStarted { boot: of, .. } if of != boot);
            let is_ours = first_event(&line).is_some_and(|event| !is_other(&event));
            if is_ours {
                lines.first = Some(line);
                lines.line -= 1;
                break;
            }
        }
        Ok(lines)
    }

    fn next_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let line = match self.first.take() {
            Some(line) => {
                self.line += 1;
                return Ok(Some(line));
            }
            None if self.is_over => None,
            None => self.read()?,
        };
        let line = line.filter(|line| first_event(line).is_none());
        self.is_over = line.is_none();
        Ok(line)
    }

    fn read(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.line += 1;
        Ok((self.reader.read_until(b'\n', &mut line)? > 0).then_some(line))
    }
}

/// The event of a line, if it is the first of a boot.
fn first_event(line: &[u8]) -> Option<Event> {
    let is_first = line.starts_with(b"{\"seq\":1,");
    is_first
        .then(|| serde_json::from_slice::<Event>(line).ok())
        .flatten()
}
