//! `tandem serve`: the engine until a signal ends it.

use crate::config::{self, Source};
use crate::reactor::Ended;
use crate::wiring;
use anyhow::Context;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `tandem serve`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem serve                                   the embedded example configuration
  tandem serve --config /etc/tandem/tandem.toml
  tandem serve --config config --data /var/lib/tandem

SIGTERM or SIGINT: no new calls, live ones may finish (engine.drain_s); a second one hangs up.")]
pub struct ServeArgs {
    /// `tandem.toml`, or the folder it is in. Without it, the configuration embedded in the binary.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Where records go, instead of `data.folder`.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Once everything is up, write the addresses to this file as JSON: for scripts and tests.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let source = args
        .config
        .as_deref()
        .map_or(Source::Embedded, Source::of_path);
    let (mut configuration, warnings) = config::load(&source)?;
    for warning in &warnings {
        eprintln!("{warning}\n");
    }
    if let Some(folder) = args.data {
        configuration.tandem.data.folder = folder;
    }
    let patience = Duration::from_secs(configuration.tandem.engine.drain_s.into());
    let running = wiring::start(configuration, &source)?;
    eprintln!(
        "SIP on {} (UDP and TCP), HTTP on http://{}",
        running.sip, running.api
    );
    eprintln!(
        "records, phone passwords and API tokens are in {}",
        running.folder().display()
    );
    if let Some(file) = &args.ready_file {
        let ready = serde_json::json!({ "sip": running.sip, "api": running.api, "pid": std::process::id() });
        let partial = file.with_extension("partial");
        std::fs::write(&partial, ready.to_string())
            .and_then(|()| std::fs::rename(&partial, file))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    running.stop_on_signals(patience);
    let finished = running.join()?;
    match finished.ended {
        Ended::Drained => eprintln!("all calls were over"),
        Ended::CutOff { calls } => eprintln!("{calls} live calls were hung up"),
    }
    Ok(ExitCode::SUCCESS)
}
