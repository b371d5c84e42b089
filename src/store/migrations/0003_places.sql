-- Where people are, as the dialling rules see it: leads of one place are legal at the same hours.
-- Ready leads are kept by place, so that those who cannot be called now are not even looked at.
-- Place 0 is for leads that came in before there were places; they are looked at one by one.
CREATE TABLE places (
    place INTEGER PRIMARY KEY,
    key   TEXT NOT NULL UNIQUE
);
ALTER TABLE leads ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
DROP INDEX leads_ready;
CREATE INDEX leads_ready ON leads (list, place, priority DESC, not_before, lead) WHERE state = 0;
