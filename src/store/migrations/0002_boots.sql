-- folded: every call of this boot has its record; what its event log says is in the table of calls.
ALTER TABLE boots ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
-- What the law counts of the days before is read at each start.
CREATE INDEX attempts_by_claim ON attempts (claimed_at);
