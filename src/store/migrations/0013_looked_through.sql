-- How far each list was looked through for what is asked of it: leads up to this one have the cell of what
-- they meet, and 0 where they meet none of it. A lead that has changed since has cell -1 and is looked at
-- again wherever it is. What stood in 0 before is looked at once more.
CREATE TABLE looked_through (
    list       TEXT PRIMARY KEY,
    conditions TEXT NOT NULL,
    through    INTEGER NOT NULL
) WITHOUT ROWID;
-- Whether there are any of them.
CREATE INDEX leads_changed ON leads (list) WHERE state = 0 AND cell = -1;
