//! `tandem check`: reads all configuration and shows every problem at its place.

use super::Output;
use crate::config::{self, Configuration, Problem, Source};
use crate::store::{StoreConfig, list_columns};
use anyhow::Context;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `tandem check`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem check                                   the embedded example configuration
  tandem check --config /etc/tandem/tandem.toml
  tandem check --config config --json            for an editor or a pipeline

Exit code 0: it can be served (there may be warnings); 1: it cannot.")]
pub struct CheckArgs {
    /// `tandem.toml`, or the folder it is in. Without it, the configuration embedded in the binary.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let source = args
        .config
        .as_deref()
        .map_or(Source::Embedded, Source::of_path);
    let (mut configuration, mut problems) = match config::load(&source) {
        Ok((configuration, warnings)) => (Some(configuration), warnings),
        Err(rejected) => (None, rejected.problems),
    };
    if let Some(is) = &configuration {
        let unknown = unknown_columns(&source, is)?;
        if !unknown.is_empty() {
            problems.extend(unknown);
            configuration = None;
        }
    }
    let mut out = Output::new();
    if args.json {
        let summary = configuration.as_ref().map(|configuration| {
            let counts = counts(configuration).map(|(what, n)| (what.to_string(), n.into()));
            counts.into_iter().collect::<serde_json::Map<_, _>>()
        });
        writeln!(
            out,
            "{}",
            json!({ "ok": configuration.is_some(), "problems": problems, "summary": summary })
        )?;
    } else {
        for problem in &problems {
            writeln!(out, "{problem}\n")?;
        }
        writeln!(out, "{}", verdict(configuration.as_ref(), &problems))?;
    }
    out.flush()?;
    Ok(if configuration.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Columns of filters that the lists of the data folder do not have; none where there is no database yet.
fn unknown_columns(source: &Source, configuration: &Configuration) -> anyhow::Result<Vec<Problem>> {
    let filtered = configuration.call.dialer.campaigns.values();
    let database = configuration.tandem.data.folder.join("tandem.db");
    if filtered
        .flat_map(|campaign| campaign.filters())
        .next()
        .is_none()
        || !database.exists()
    {
        return Ok(Vec::new());
    }
    let columns = list_columns(&StoreConfig::at(&database))
        .with_context(|| format!("cannot read {}", database.display()))?;
    Ok(config::unknown_columns(source, configuration, &columns))
}

fn verdict(configuration: Option<&Configuration>, problems: &[Problem]) -> String {
    let warnings = problems.iter().filter(|problem| problem.is_warning).count();
    let warned = match warnings {
        0 => String::new(),
        n => format!("; {}", plural(n, "warning")),
    };
    match configuration {
        Some(configuration) => {
            let counts = counts(configuration).map(|(what, n)| plural(n, what));
            format!("ok: {}{warned}", counts.join(", "))
        }
        None => format!(
            "not ok: {}{warned}",
            plural(problems.len() - warnings, "error")
        ),
    }
}

fn counts(configuration: &Configuration) -> [(&'static str, usize); 6] {
    let call = &configuration.call;
    [
        ("agent", call.acd.agents.len()),
        ("queue", call.acd.queues.len()),
        ("campaign", call.dialer.campaigns.len()),
        ("trunk", configuration.trunks.len()),
        ("flow", call.flows.len()),
        ("route", call.routes.len()),
    ]
}

fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
