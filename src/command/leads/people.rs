//! `tandem leads filter` and `tandem leads quotas`: whom a campaign dials, and of whom it has enough.

use super::Output;
use crate::config::{self, Source};
use crate::store::{Lists, StoreConfig};
use anyhow::Context;
use dialer::filter::Filter;
use model::CampaignId;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What both commands need to know.
#[derive(clap::Args)]
pub(super) struct CampaignArgs {
    /// The campaign.
    #[arg(long, value_name = "NAME")]
    campaign: CampaignId,
    /// The configuration the campaign is in. Without it, the embedded one.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The data folder, where it is not the one the configuration names.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct FilterArgs {
    #[command(flatten)]
    of: CampaignArgs,
    /// Another filter than the campaign's own; those of its lists hold as well.
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
}

impl CampaignArgs {
    fn open(&self) -> anyhow::Result<(config::Configuration, Lists)> {
        let source = self
            .config
            .as_deref()
            .map_or(Source::Embedded, Source::of_path);
        let configuration = config::load(&source)?.0;
        anyhow::ensure!(
            configuration
                .call
                .dialer
                .campaigns
                .contains_key(&self.campaign),
            "there is no campaign {}",
            self.campaign
        );
        let folder = self.data.clone();
        let folder = folder.unwrap_or_else(|| configuration.tandem.data.folder.clone());
        let database = folder.join("tandem.db");
        anyhow::ensure!(database.exists(), "there is no {}", database.display());
        let lists = Lists::open(&StoreConfig::at(&database))
            .with_context(|| format!("cannot open {}", database.display()))?;
        Ok((configuration, lists))
    }
}

pub(super) fn filter(args: &FilterArgs) -> anyhow::Result<ExitCode> {
    let (configuration, mut lists) = args.of.open()?;
    let mut campaign = configuration.call.dialer.campaigns[&args.of.campaign].clone();
    if let Some(text) = &args.filter {
        let filter = Filter::new(text);
        if let Some(error) = filter.error() {
            let before = text.get(..error.at.start).unwrap_or("").chars().count();
            let width = text
                .get(error.at.clone())
                .unwrap_or("")
                .chars()
                .count()
                .max(1);
            anyhow::bail!(
                "{}\n  {text}\n  {}{}\n  help: {}",
                error.message,
                " ".repeat(before),
                "^".repeat(width),
                error.remedy
            );
        }
        campaign.filter = Some(filter);
    }
    let now = crate::clock::Clock::new().now().utc;
    let mut out = Output::new();
    let mut counts = Vec::new();
    for list in &campaign.lists {
        let filters: Vec<&Filter> = campaign.filters_of(list.name).collect();
        counts.push(lists.filter(list.name, &filters, now)?);
    }
    if args.of.json {
        let object = serde_json::json!({
            "campaign": args.of.campaign,
            "filter": campaign.filter,
            "lists": counts,
        });
        writeln!(out, "{object}")?;
    } else {
        for count in &counts {
            let (list, matches, others) = (count.list, count.matches, count.others);
            writeln!(out, "list {list}: {matches} leads match, {others} do not")?;
            for column in &count.unreadable {
                let examples: Vec<String> = column
                    .examples
                    .iter()
                    .map(|example| format!("{:?} of lead {}", example.cell, example.lead))
                    .collect();
                writeln!(
                    out,
                    "  {}: {} cells cannot be read, as {}",
                    column.column,
                    column.cells,
                    examples.join(", ")
                )?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn quotas(args: &CampaignArgs) -> anyhow::Result<ExitCode> {
    let (configuration, mut lists) = args.open()?;
    let rows = lists.quotas(&configuration.call.dialer, args.campaign)?;
    let mut out = Output::new();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "quotas": rows }))?;
    } else {
        writeln!(
            out,
            "{:<31} {:>10} {:>10} {:>10} {:>10}  where",
            "quota", "count", "at most", "dialling", "day"
        )?;
        for row in &rows {
            let full = if row.full { " (full)" } else { "" };
            writeln!(
                out,
                "{:<31} {:>10} {:>10} {:>10} {:>10}  {}{full}",
                row.quota,
                row.count,
                row.at_most,
                row.dialling,
                row.day.as_deref().unwrap_or("-"),
                row.cell
            )?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
