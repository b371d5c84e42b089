//! Quotas as people see them: what is configured, what was counted, who is being dialled.

use super::cells;
use super::leads;
use dialer::filter::{Past, Subject};
use dialer::quota::{Period, QuotaCount};
use dialer::zone::ZoneBook;
use model::{CampaignId, Utc};
use serde::Serialize;
use sqlx::SqliteConnection;

/// One quota of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuotaRow {
    /// Its campaign.
    pub campaign: CampaignId,
    /// Its name.
    pub quota: String,
    /// Who belongs to it.
    #[serde(rename = "where")]
    pub cell: String,
    /// The disposition that counts.
    pub outcome: String,
    /// Enough.
    pub at_most: u64,
    /// What it is counted over.
    pub per: Period,
    /// Which day, where it is counted by the day and anything was counted.
    pub day: Option<String>,
    /// How many; none of them on another day.
    pub count: u64,
    /// Whether its people are dialled no more.
    pub full: bool,
    /// How many of its people are being dialled now.
    pub dialling: u64,
}

/// The quotas of a campaign, in the order of its file.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    dialer: &dialer::Config,
    campaign: CampaignId,
) -> Result<Vec<QuotaRow>, sqlx::Error> {
    let quotas = match dialer.campaigns.get(&campaign) {
        Some(is) if !is.quotas.is_empty() => &is.quotas,
        Some(_) | None => return Ok(Vec::new()),
    };
    let counts: Vec<QuotaCount> = cells::counts(connection)
        .await?
        .into_iter()
        .filter(|count| count.campaign == campaign)
        .collect();
    let dialled = sqlx::query(
        "SELECT leads.* FROM attempts JOIN leads ON leads.lead = attempts.lead \
         WHERE attempts.outcome IS NULL AND attempts.campaign = ?",
    )
    .bind(campaign.as_str())
    .fetch_all(connection)
    .await?;
    let dialled: Vec<_> = dialled.iter().filter_map(leads::read_any).collect();
    let book = ZoneBook::default();
    let row = |quota: &dialer::quota::Quota| {
        let count = counts.iter().find(|count| count.quota == quota.name);
        let is_dialled = |lead: &&model::Lead| {
            quota.cell.matches(&Subject {
                lead,
                past: Past::default(),
                book: &book,
                now: Utc::from_micros(0),
            })
        };
        QuotaRow {
            campaign,
            quota: quota.name.clone(),
            cell: quota.cell.text().to_string(),
            outcome: quota.outcome.to_string(),
            at_most: quota.at_most,
            per: quota.per,
            day: count
                .map(|count| count.day.clone())
                .filter(|day| !day.is_empty()),
            count: count.map_or(0, |count| count.count),
            full: count.is_some_and(|count| count.full),
            dialling: dialled.iter().filter(is_dialled).count() as u64,
        }
    };
    Ok(quotas.iter().map(row).collect())
}
