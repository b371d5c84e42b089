//! `tandem ivr`: checks flows and draws them.

use super::Output;
use crate::config::{self, Source};
use anyhow::Context;
use ivr::{CheckContext, Diagnostic, Severity};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `tandem ivr`.
#[derive(clap::Args)]
pub struct IvrArgs {
    #[command(subcommand)]
    command: IvrCommand,
}

#[derive(clap::Subcommand)]
enum IvrCommand {
    /// Check flows: every mistake with its line, a caret and what to do.
    Check(CheckArgs),
    /// Draw a flow.
    Graph(GraphArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem ivr check config/ivr                    a folder: flows may run each other
  tandem ivr check welcome.toml after_hours.toml
  tandem ivr check config/ivr --config config    also queues, skills, prompts and data sources

Exit code 0: all of them may go live (there may be warnings); 1: not.
docs/ivr.md says what a flow can be.")]
struct CheckArgs {
    /// Flow files, or folders of them. They are checked together.
    #[arg(required = true, value_name = "FILE|FOLDER")]
    files: Vec<PathBuf>,
    /// The configuration that knows the queues, skills, prompts and data sources.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// A JSON array of findings instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem ivr graph config/ivr/welcome.toml                      Mermaid, for a page
  tandem ivr graph config/ivr/welcome.toml --format dot | dot -Tsvg -o welcome.svg

Sub-flows are looked for in the folder of the file.")]
struct GraphArgs {
    /// The flow's file.
    file: PathBuf,
    /// What to draw it as.
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A Mermaid flowchart.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// Runs it.
pub fn run(args: IvrArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        IvrCommand::Check(args) => check(args),
        IvrCommand::Graph(args) => graph(args),
    }
}

fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let files = read_all(&args.files)?;
    let context = match &args.config {
        Some(path) => context_of(path)?,
        None => CheckContext::default(),
    };
    let (findings, flows) = match ivr::parse_all(&files, &context) {
        Ok(flows) => (
            flows
                .values()
                .flat_map(|flow| flow.warnings.clone())
                .collect(),
            flows.len(),
        ),
        Err(findings) => (findings, 0),
    };
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", ivr::diagnostic::to_json(&findings))?;
    } else {
        for finding in &findings {
            writeln!(out, "{}", render(finding, &files))?;
        }
        let warnings = findings.len() - errors;
        match errors {
            0 => writeln!(out, "ok: {flows} flows, {warnings} warnings")?,
            n => writeln!(out, "not ok: {n} errors, {warnings} warnings")?,
        }
    }
    out.flush()?;
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn graph(args: GraphArgs) -> anyhow::Result<ExitCode> {
    let name = args.file.display().to_string();
    // The file itself, and whatever lies beside it: it may run it.
    let mut files = read_all(std::slice::from_ref(&args.file))?;
    let folder = args
        .file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    for file in flow_files(folder)?
        .iter()
        .filter(|file| file.file_name() != args.file.file_name())
    {
        files.push((file.display().to_string(), read(file)?));
    }
    let flows = match ivr::parse_all(&files, &CheckContext::default()) {
        Ok(flows) => flows,
        Err(findings) => {
            for finding in findings
                .iter()
                .filter(|finding| finding.severity == Severity::Error)
            {
                eprintln!("{}", render(finding, &files));
            }
            anyhow::bail!("a flow with errors cannot be drawn; correct them first");
        }
    };
    let flow = flows
        .values()
        .find(|flow| flow.file == name)
        .context("the flow is not among those that were read")?;
    let mut out = Output::new();
    let drawn = match args.format {
        Format::Mermaid => ivr::graph::mermaid(flow),
        Format::Dot => ivr::graph::dot(flow),
    };
    out.write_all(drawn.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn render(finding: &Diagnostic, files: &[(String, String)]) -> String {
    let text = files
        .iter()
        .find(|(file, _)| *file == finding.file)
        .map_or("", |(_, text)| text);
    finding.render(text)
}

fn context_of(path: &Path) -> anyhow::Result<CheckContext> {
    let names = config::names(&Source::of_path(path))?;
    Ok(CheckContext {
        queues: Some(names.queues),
        skills: Some(names.skills),
        prompts: Some(names.prompts),
        sources: Some(names.sources),
        ..CheckContext::default()
    })
}

fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        let found = if path.is_dir() {
            flow_files(path)?
        } else {
            vec![path.clone()]
        };
        anyhow::ensure!(!found.is_empty(), "{} has no .toml file", path.display());
        for file in found {
            if seen.insert(file.clone()) {
                files.push((file.display().to_string(), read(&file)?));
            }
        }
    }
    Ok(files)
}

fn flow_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read the folder {}", folder.display()))?
            .path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
