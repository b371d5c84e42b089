//! The input log: everything the engine was told, so that a day can be replayed byte for byte.
//!
//! The first line says what the engine was made of, every further line is one input with its
//! instant. A thread of its own writes it; where the disk fails, calls go on and the log says so.

use crate::doorbell;
use call::{Engine, EngineOutbox, Input};
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
    batches: doorbell::Sender<Vec<(Now, Input)>>,
}

impl Journal {
    /// Begins a log.
    pub fn start(file: &Path, header: &Header) -> std::io::Result<(Journal, JoinHandle<()>)> {
        let mut out = BufWriter::new(File::create(file)?);
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
        // Whatever kills the process: a start with an event in its log has said what bound it.
        out.flush()?;
        let (batches, receiver) = doorbell::channel::<Vec<(Now, Input)>>(Some(BATCHES_MAX));
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            let mut is_broken = false;
            while let Ok(batch) = receiver.recv() {
                let written = write(&mut out, batch).and_then(|()| if receiver.waiting() == 0 { out.flush() } else { Ok(()) });
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
        if !self.batches.send(batch, true) {
            tracing::error!("the journal's thread is gone");
        }
    }
}

fn write(out: &mut impl Write, batch: Vec<(Now, Input)>) -> std::io::Result<()> {
    for (now, input) in batch {
        let line = Line {
            mono_us: now.mono.as_micros(),
            utc_us: now.utc.as_micros(),
            input,
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Tells the engine an input and gives what the log keeps of it: a key that is part of a secret is
/// kept as `0`, `*` and `#` as themselves. A key that brought the call to a secret question may be
/// part of it too: people type ahead.
pub fn handle(engine: &mut Engine, now: Now, input: Input, out: &mut EngineOutbox) -> (Now, Input) {
    let Input::DigitPressed { leg, digit } = input else {
        engine.handle(now, input.clone(), out);
        return (now, input);
    };
    let is_secret = engine.is_sensitive(leg);
    engine.handle(now, input, out);
    let digit = match digit {
        '0'..='9' if is_secret || engine.is_sensitive(leg) => '0',
        other => other,
    };
    (now, Input::DigitPressed { leg, digit })
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

/// What a log's engine was made of.
///
/// # Errors
/// See [`ReplayError`].
pub fn header(file: &Path) -> Result<Header, ReplayError> {
    let mut first = Vec::new();
    BufReader::new(File::open(file)?).read_until(b'\n', &mut first)?;
    if first.is_empty() {
        return Err(ReplayError::Line {
            line: 1,
            why: "the log is empty".into(),
        });
    }
    serde_json::from_slice(&first).map_err(|error| ReplayError::Line {
        line: 1,
        why: error.to_string(),
    })
}

/// Runs a log through a fresh engine and hands every event to `each`. Returns how many inputs it had.
/// Half a line at the end, which a killed process may leave, is not an input.
///
/// # Errors
/// See [`ReplayError`]; also what `each` returns.
pub fn replay(
    file: &Path,
    each: &mut dyn FnMut(&model::Event) -> std::io::Result<()>,
) -> Result<u64, ReplayError> {
    let header = header(file)?;
    let mut reader = BufReader::new(File::open(file)?);
    let mut text = Vec::new();
    reader.read_until(b'\n', &mut text)?;
    let mut engine = Engine::new(header.config, header.boot, header.seed)?;
    let mut out = EngineOutbox::default();
    let mut inputs = 0;
    for number in 2.. {
        text.clear();
        if reader.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let line: Line = match serde_json::from_slice(&text) {
            Ok(line) => line,
            Err(error) if text.last() != Some(&b'\n') => {
                tracing::warn!(line = number, %error, "the last line of the log was cut off");
                break;
            }
            Err(error) => {
                return Err(ReplayError::Line {
                    line: number,
                    why: error.to_string(),
                });
            }
        };
        let now = Now {
            mono: model::Mono::from_micros(line.mono_us),
            utc: model::Utc::from_micros(line.utc_us),
        };
        engine.handle(now, line.input, &mut out);
        out.commands.clear();
        for event in out.events.drain(..) {
            each(&event)?;
        }
        inputs += 1;
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use call::config::Route;
    use call::input::Origin;
    use model::{LegId, Mono, Utc};

    const FLOW: &str = r#"
        id = "bank"
        start = "greeting"
        [variables]
        pin = { type = "text", default = "", sensitive = true }
        account = { type = "text", default = "" }
        [node.greeting]
        type = "play"
        prompt = "music"
        next = "pin"
        [node.pin]
        type = "collect"
        prompt = "music"
        into = "pin"
        min = 4
        max = 6
        next = "account"
        [node.account]
        type = "collect"
        prompt = "music"
        into = "account"
        min = 2
        max = 2
        next = "end"
        [node.end]
        type = "hang_up"
    "#;

    fn now(ms: u64) -> Now {
        let utc = Utc::from_micros(1_795_000_000_000_000);
        Now {
            mono: Mono::from_micros(ms * 1_000),
            utc,
        }
    }

    #[test]
    fn no_digit_of_a_secret_reaches_the_log_and_every_other_does() {
        let config = call::Config {
            flows: vec![("bank.toml".into(), FLOW.into())],
            routes: vec![Route {
                number: "*".into(),
                trunk: None,
                flow: Some("bank".parse().unwrap()),
                queue: None,
            }],
            ..call::Config::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inputs.jsonl");
        let header = Header {
            tandem_input_log: 1,
            boot: 1,
            seed: 1,
            config: config.clone(),
        };
        let (journal, thread) = Journal::start(&file, &header).unwrap();
        let (mut engine, mut out) = (Engine::new(config, 1, 1).unwrap(), EngineOutbox::default());
        let leg = LegId((1 << 40) + (1 << 39));
        let mut events: Vec<model::Event> = Vec::new();
        let mut tell = |ms, input| {
            let kept = handle(&mut engine, now(ms), input, &mut out);
            events.append(&mut out.events);
            journal.send(vec![kept]);
        };
        let from = Origin::Trunk("carrier".parse().unwrap());
        tell(
            0,
            Input::LegArrived {
                leg,
                from,
                caller: "1".into(),
                caller_name: None,
                called: "2".into(),
            },
        );
        // The first key is pressed into the greeting already; typed ahead, a secret is asked for again.
        for (n, digit) in "89674#53".chars().enumerate() {
            tell(1_000 + n as u64 * 300, Input::DigitPressed { leg, digit });
        }
        drop(journal);
        thread.join().unwrap();

        let log = std::fs::read_to_string(&file).unwrap();
        let digits: String = log
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once("\"digit\":\"")?.1.chars().next())
            .collect();
        assert_eq!(digits, "00000#53");
        let collected =
            |event: &&model::Event| matches!(event.fact, model::Fact::IvrDigitsCollected { .. });
        assert_eq!(
            events.iter().filter(collected).count(),
            2,
            "both questions were answered: {events:#?}"
        );

        let mut again = Vec::new();
        replay(&file, &mut |event| {
            again.push(event.clone());
            Ok(())
        })
        .unwrap();
        assert_eq!(again, events, "the masked log tells the same story");
    }
}
