-- Which conditions of the campaigns that dial its list a ready lead meets: a small number for each set of
-- them, so that leads who match are found without looking at the others. What is asked of a list stands
-- in `conditions`; where that is not what is asked today, the lead is looked at again. Cell 0: not looked
-- at yet.
CREATE TABLE cells (
    cell       INTEGER PRIMARY KEY,
    list       TEXT NOT NULL,
    conditions TEXT NOT NULL,
    met        INTEGER NOT NULL,
    UNIQUE (list, conditions, met)
);
ALTER TABLE leads ADD COLUMN cell INTEGER NOT NULL DEFAULT 0;
-- When time alone may move the lead to another cell.
ALTER TABLE leads ADD COLUMN cell_until INTEGER;
-- When the lead came into its list; 0 for those who came with the list.
ALTER TABLE leads ADD COLUMN added_at INTEGER NOT NULL DEFAULT 0;
DROP INDEX leads_ready;
CREATE INDEX leads_ready ON leads (list, place, cell, priority DESC, not_before, lead) WHERE state = 0;
CREATE INDEX leads_cell_until ON leads (cell_until) WHERE state = 0 AND cell_until IS NOT NULL;

-- The customer's own columns of each list, so that a filter with an unknown one is found.
CREATE TABLE list_columns (
    list TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (list, name)
) WITHOUT ROWID;
INSERT INTO list_columns (list, name) SELECT DISTINCT leads.list, f.key FROM leads, json_each(leads.fields) f;

-- What was counted in quotas; day is empty where a quota is counted over the campaign.
CREATE TABLE quotas (
    campaign TEXT NOT NULL,
    quota    TEXT NOT NULL,
    day      TEXT NOT NULL,
    count    INTEGER NOT NULL,
    full     INTEGER NOT NULL,
    PRIMARY KEY (campaign, quota)
) WITHOUT ROWID;
