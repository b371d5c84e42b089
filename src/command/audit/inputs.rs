//! What bound the engine when it wrote a log: the rule sets and limits of that start, from the input log
//! of the same start beside it. Never those of another start: a rule may have changed in between.

use crate::journal::{self, Header};
use anyhow::{Context, bail};
use dialer::rules::RuleSet;
use model::{CampaignId, Event, Fact};
use std::collections::BTreeMap;
use std::path::Path;

/// What bound one start.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// The texts of the rule sets by id: the embedded ones, the start's own, those of `--rules`.
    pub(super) sets: BTreeMap<String, RuleSet>,
    /// The strictest abandon limit of each campaign, in per cent.
    pub(super) limits: BTreeMap<CampaignId, f64>,
}

/// Where to look: beside each log, which may be a link.
#[derive(Debug)]
pub(super) struct Inputs {
    own: Option<BTreeMap<String, RuleSet>>,
}

impl Inputs {
    /// With the rule sets of a folder, which go before all others.
    pub(super) fn new(rules: Option<&Path>) -> anyhow::Result<Inputs> {
        Ok(Inputs {
            own: rules.map(read_folder).transpose()?,
        })
    }

    /// What bound the start whose first event in `log` this is. A log without a start is of an engine
    /// that had one log for itself.
    pub(super) fn of_start(&self, log: &Path, first: &Event) -> anyhow::Result<Bound> {
        let real = log
            .canonicalize()
            .with_context(|| format!("cannot read {}", log.display()))?;
        let folder = real.parent().unwrap_or(Path::new("."));
        let Fact::EngineStarted { boot, .. } = first.fact else {
            let only = folder.join("inputs.jsonl");
            let header = only.exists().then(|| header(&only)).transpose()?;
            return Ok(self.bound(header));
        };
        let file = journal::log_path(folder, boot);
        if file.exists() {
            match header(&file) {
                Ok(header) => return Ok(self.bound(Some(header))),
                Err(error) if self.own.is_none() => return Err(error),
                // The rule sets that held then are named.
                Err(_) => return Ok(self.bound(None)),
            }
        }
        // A log that was copied somewhere may have lost the number in its name.
        let only = folder.join("inputs.jsonl");
        if only.exists() {
            let header = header(&only)?;
            if header.boot == boot {
                return Ok(self.bound(Some(header)));
            }
        }
        if self.own.is_none() {
            bail!(
                "start {boot} is in {}, and {}, which has its rule sets and limits, is not there: copy it \
                 there, or name the folder of the rule sets that held then with --rules FOLDER",
                log.display(),
                file.display()
            );
        }
        Ok(self.bound(None))
    }

    fn bound(&self, header: Option<Header>) -> Bound {
        let dialer = header
            .map(|header| header.config.dialer)
            .unwrap_or_default();
        let mut sets = dialer::rules::embedded().clone();
        sets.extend(dialer.rules);
        sets.extend(self.own.clone().unwrap_or_default());
        let strictest = |campaign: &dialer::CampaignConfig| {
            let of_campaign = dialer::rules::resolve(&campaign.rules, &sets);
            let rules = of_campaign.iter().flat_map(|set| &set.rules);
            let limits = rules.filter_map(|rule| rule.abandon_limit_pct);
            limits.fold(campaign.abandon_limit_pct, f64::min)
        };
        let campaigns = dialer.campaigns.iter();
        let limits = campaigns
            .map(|(id, campaign)| (*id, strictest(campaign)))
            .collect();
        Bound { sets, limits }
    }
}

fn header(file: &Path) -> anyhow::Result<Header> {
    journal::header(file).with_context(|| {
        format!(
            "{} has not the rule sets and limits of its start in its first line: copy the whole file here, or \
             name the folder of the rule sets that held then with --rules FOLDER",
            file.display()
        )
    })
}

fn read_folder(folder: &Path) -> anyhow::Result<BTreeMap<String, RuleSet>> {
    let files = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut sets = BTreeMap::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            let shown = path.display();
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
            let set =
                RuleSet::from_toml(&text).with_context(|| format!("{shown} is no rule set"))?;
            sets.insert(set.id.clone(), set);
        }
    }
    Ok(sets)
}
