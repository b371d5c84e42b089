//! What becomes of a lead after an attempt: when it is dialled again, with which number, or never.

use crate::config::CampaignConfig;
use crate::rules::RuleSet;
use model::lead::LeadNext;
use model::{AttemptOutcome, Lead, Utc};

const HOUR_US: i64 = 3_600_000_000;

/// By the campaign's retry rules, held back by the locks of its rule sets.
pub(crate) fn next(
    campaign: &CampaignConfig,
    sets: &[RuleSet],
    agent_reserved: bool,
    lead: &Lead,
    outcome: AttemptOutcome,
    now: Utc,
) -> LeadNext {
    let rule = campaign.retry(outcome);
    let made = lead.attempts.saturating_add(match outcome {
        AttemptOutcome::Cancelled | AttemptOutcome::Blocked => 0,
        AttemptOutcome::AnsweredAgent
        | AttemptOutcome::Abandoned
        | AttemptOutcome::Messaged
        | AttemptOutcome::Machine
        | AttemptOutcome::Fax
        | AttemptOutcome::NoAnswer
        | AttemptOutcome::Busy
        | AttemptOutcome::Failed
        | AttemptOutcome::DisconnectedNumber
        | AttemptOutcome::UnknownRestart => 1,
    });
    if made >= rule.attempts || made >= campaign.max_attempts {
        return LeadNext::Done;
    }
    let count = u8::try_from(lead.numbers.len()).unwrap_or(u8::MAX);
    let this = lead.next_number % count.max(1);
    if outcome == AttemptOutcome::DisconnectedNumber && this + 1 >= count {
        return LeadNext::Done;
    }
    let number = if rule.other_number {
        (this + 1) % count
    } else {
        this
    };
    let locked_us = sets
        .iter()
        .flat_map(|set| &set.rules)
        .filter_map(|rule| rule.lock.as_ref())
        .filter(|lock| lock.after == outcome)
        .filter(|lock| !(lock.unless_agent_reserved && agent_reserved))
        .map(|lock| i64::from(lock.hours) * HOUR_US)
        .max()
        .unwrap_or(0);
    let wait_us = (i64::from(rule.wait_s) * 1_000_000).max(locked_us);
    LeadNext::Again {
        at: now.plus_micros(wait_us),
        number,
    }
}
