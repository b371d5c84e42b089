//! The law as the machine asks it: may this lead's next number be dialled at this instant? Asked
//! before a claim and again once the claim is stored.

use super::{Dialer, Out};
use crate::calling_window;
use crate::command::Command;
use model::lead::LeadNext;
use model::{AttemptId, AttemptOutcome, CampaignId, Fact, Lead, Utc};

/// A rule that forbids a dial, and what becomes of the lead.
pub(super) struct Block {
    pub(super) rule: String,
    pub(super) next: LeadNext,
}

impl Dialer {
    /// Asks every rule whether the lead's next number may be dialled at this instant.
    pub(super) fn allowed(&self, id: CampaignId, lead: &Lead, now: Utc) -> Result<(), Block> {
        let campaign = &self.campaigns[&id];
        if lead.numbers.is_empty() {
            return Err(Block {
                rule: "NO-NUMBER".into(),
                next: LeadNext::Done,
            });
        }
        let number = lead.number();
        let this = lead.next_number % u8::try_from(lead.numbers.len()).unwrap_or(u8::MAX);
        if self.do_not_call.has(number) {
            let other = lead
                .numbers
                .iter()
                .take(usize::from(u8::MAX))
                .position(|other| !self.do_not_call.has(*other));
            let next = match other {
                Some(other) => LeadNext::Again {
                    at: now,
                    number: other as u8,
                },
                None => LeadNext::Done,
            };
            return Err(Block {
                rule: "DNC".into(),
                next,
            });
        }
        let place = self.zones.place(lead, number);
        if let Err(closed) = calling_window::check(&campaign.sets, &place, now) {
            return Err(Block {
                rule: closed.rule,
                next: LeadNext::Again {
                    at: closed.opens,
                    number: this,
                },
            });
        }
        let states: Vec<&str> = place.states.iter().map(String::as_str).collect();
        let today = civil_day(now);
        for rule in campaign.sets.iter().flat_map(|set| &set.rules) {
            if let Some(cap) = rule.cap
                && rule.applies(today, &states)
                && let Err(at) = self.frequency.check(cap, lead, number, now)
            {
                return Err(Block {
                    rule: rule.id.clone(),
                    next: LeadNext::Again { at, number: this },
                });
            }
        }
        Ok(())
    }

    /// A lead that may not even be claimed: what becomes of it is written under a fresh attempt.
    pub(super) fn block_unclaimed(
        &mut self,
        campaign: CampaignId,
        lead: &Lead,
        block: Block,
        out: &mut Out,
    ) {
        let attempt = AttemptId(self.mint.next());
        self.held.remove(&lead.id);
        out.fact(Fact::AttemptBlocked {
            attempt,
            campaign,
            lead: lead.id,
            rule: block.rule,
        });
        out.command(Command::Resolve {
            attempt,
            campaign,
            lead: lead.id,
            outcome: AttemptOutcome::Blocked,
            next: block.next,
        });
    }
}

fn civil_day(now: Utc) -> jiff::civil::Date {
    jiff::Timestamp::from_microsecond(now.as_micros())
        .unwrap_or(jiff::Timestamp::MAX)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}
