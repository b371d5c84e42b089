-- What came of a lead: shown, exported, and dialled again by it.
CREATE INDEX attempts_by_lead ON attempts (lead, claimed_at);
