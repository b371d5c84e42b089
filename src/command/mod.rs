//! The `tandem` command: one module per subcommand, and how failures are shown.

pub mod demo;
pub mod serve;

use clap::{Parser, Subcommand};
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
  tandem check --config config/tandem.toml  read all configuration, show every problem";

#[derive(Subcommand)]
enum Command {
    /// Run a whole contact centre on this machine for a minute: carrier, callers, agents, dialer.
    Demo(demo::DemoArgs),
    /// Run the engine.
    Serve(serve::ServeArgs),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
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
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
