//! The `tandem` command: one module per subcommand, and how failures are shown.

pub mod audit;
pub mod check;
pub mod demo;
pub mod ivr;
pub mod leads;
pub mod replay;
pub mod serve;
pub mod simulate;
pub mod why;

use crate::config::Rejected;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// A contact centre in one binary: SIP and RTP, queues, menus, and a dialer that keeps the law.
#[derive(Parser)]
#[command(version, about, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    /// What to log: error, warn, info, debug, trace, or per module as in `tandem::reactor=debug`.
    #[arg(long, global = true, env = "TANDEM_LOG", default_value = "warn")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tandem demo                               watch a contact centre work for a minute
  tandem serve --config config/tandem.toml  run one
  tandem check --config config/tandem.toml  read all configuration, show every problem
  tandem ivr check config/ivr               check flows alone
  tandem leads import spring.csv --list spring --dry-run
  tandem simulate --agents 10 --answer-rate 0.3 --shifts 4 --seed 1
  tandem replay data/inputs.jsonl --compare data/events.jsonl
  tandem audit data                         recount the books and the law, over all starts
  tandem why --campaign spring              why it dialled what it dialled

Exit codes: 0 done, 1 something is wrong with what was looked at, 2 the command line is.";

#[derive(Subcommand)]
enum Command {
    /// Run a whole contact centre on this machine for a minute: carrier, callers, agents, dialer.
    Demo(demo::DemoArgs),
    /// Run the engine.
    Serve(serve::ServeArgs),
    /// Read all configuration and show every problem at its place.
    Check(check::CheckArgs),
    /// Check and draw flows.
    Ivr(ivr::IvrArgs),
    /// Bring leads in.
    Leads(leads::LeadsArgs),
    /// Run shifts of a simulated contact centre through the production engine.
    Simulate(simulate::SimulateArgs),
    /// Run a recorded day again.
    Replay(replay::ReplayArgs),
    /// Recount the books of an event log.
    Audit(audit::AuditArgs),
    /// Say why a campaign dialled what it dialled.
    Why(why::WhyArgs),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    crate::memory::keep_the_heap();
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.log).unwrap_or_else(|error| {
        eprintln!("--log {}: {error}; logging warnings", cli.log);
        tracing_subscriber::EnvFilter::new("warn")
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Ivr(args) => ivr::run(args),
        Command::Leads(args) => leads::run(args),
        Command::Simulate(args) => simulate::run(args).map(|()| ExitCode::SUCCESS),
        Command::Replay(args) => replay::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Why(args) => why::run(args),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<Rejected>() {
                // Every problem of a configuration says for itself that it is an error.
                Some(rejected) => eprintln!("{rejected}"),
                None => eprintln!("error: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether whoever read our output has had enough, as in `tandem replay LOG | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Standard output, buffered; a write that fails is an error and no panic.
struct Output(std::io::BufWriter<std::io::Stdout>);

impl Output {
    fn new() -> Output {
        Output(std::io::BufWriter::new(std::io::stdout()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
