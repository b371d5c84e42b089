-- A promised callback: due at not_before, for this agent, or for anyone where it is empty. Callbacks stay
-- scheduled until they are claimed, so that no hopper takes them for a lead like others.
ALTER TABLE leads ADD COLUMN callback_for TEXT;
CREATE INDEX leads_callbacks ON leads (not_before) WHERE state = 1 AND callback_for IS NOT NULL;
DROP INDEX leads_scheduled;
CREATE INDEX leads_scheduled ON leads (not_before) WHERE state = 1 AND callback_for IS NULL;
