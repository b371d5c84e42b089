//! The input log: everything the engine was told, so that a day can be replayed byte for byte.
//!
//! The first line says what the engine was made of, every further line is one input with its
//! instant. A thread of its own writes it; where the disk fails, calls go on and the log says so.

use call::Input;
use crossbeam_channel::{Sender, bounded};
use model::Now;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Batches that may wait for the disk; then the control thread waits with them, for a replay with a
/// hole in it proves nothing. One batch is one turn of the loop.
const BATCHES_MAX: usize = 65_536;

/// What the engine of a log was made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The format of the log.
    pub tandem_input_log: u32,
    /// Which start of the store.
    pub boot: u32,
    /// What random choices were fed with.
    pub seed: u64,
    /// Everything it was configured with.
    pub config: call::Config,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "m")]
    mono_us: u64,
    #[serde(rename = "u")]
    utc_us: i64,
    #[serde(rename = "i")]
    input: Input,
}

/// The input log of a boot.
pub fn log_path(folder: &Path, boot: u32) -> PathBuf {
    folder.join(format!("inputs-{boot:06}.jsonl"))
}

/// The writing end.
#[derive(Clone)]
pub struct Journal {
    batches: Sender<Vec<(Now, Input)>>,
}

impl Journal {
    /// Begins a log.
    pub fn start(file: &Path, header: &Header) -> std::io::Result<(Journal, JoinHandle<()>)> {
        let mut out = BufWriter::new(File::create(file)?);
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
        let (batches, receiver) = bounded::<Vec<(Now, Input)>>(BATCHES_MAX);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            let mut is_broken = false;
            while let Ok(batch) = receiver.recv() {
                let written = write(&mut out, batch).and_then(|()| if receiver.is_empty() { out.flush() } else { Ok(()) });
                if let Err(error) = written
                    && !std::mem::replace(&mut is_broken, true)
                {
                    tracing::error!(%error, "the input log cannot be written; this day cannot be replayed");
                }
            }
            if let Err(error) = out.flush() {
                tracing::error!(%error, "the end of the input log is missing");
            }
        })?;
        Ok((Journal { batches }, thread))
    }

    /// Hands one turn over.
    pub fn send(&self, batch: Vec<(Now, Input)>) {
        if self.batches.send(batch).is_err() {
            tracing::error!("the journal's thread is gone");
        }
    }
}

fn write(out: &mut impl Write, batch: Vec<(Now, Input)>) -> std::io::Result<()> {
    for (now, input) in batch {
        let line = Line { mono_us: now.mono.as_micros(), utc_us: now.utc.as_micros(), input };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A line is not what it should be.
    #[error("line {line}: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The configuration in it makes no engine.
    #[error("the configuration of the log: {0}")]
    Config(#[from] call::ConfigError),
}

/// Runs a log through a fresh engine and hands every event to `each`. Returns how many inputs it had.
pub fn replay(file: &Path, each: &mut dyn FnMut(&model::Event) -> std::io::Result<()>) -> Result<u64, ReplayError> {
    let mut lines = BufReader::new(File::open(file)?).lines().enumerate();
    let parse = |line: usize, error: serde_json::Error| ReplayError::Line { line: line + 1, why: error.to_string() };
    let (_, first) = lines.next().ok_or(ReplayError::Line { line: 1, why: "the log is empty".into() })?;
    let header: Header = serde_json::from_str(&first?).map_err(|error| parse(0, error))?;
    let mut engine = call::Engine::new(header.config, header.boot, header.seed)?;
    let mut out = call::EngineOutbox::default();
    let mut inputs = 0;
    for (number, line) in lines {
        let line: Line = serde_json::from_str(&line?).map_err(|error| parse(number, error))?;
        let now = Now { mono: model::Mono::from_micros(line.mono_us), utc: model::Utc::from_micros(line.utc_us) };
        engine.handle(now, line.input, &mut out);
        out.commands.clear();
        for event in out.events.drain(..) {
            each(&event)?;
        }
        inputs += 1;
    }
    Ok(inputs)
}
