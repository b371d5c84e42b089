-- Times are µs since 1970 in UTC. Numbered ids are stored as the same 64 bits, signed.

CREATE TABLE boots (
    boot             INTEGER PRIMARY KEY,
    started_at       INTEGER NOT NULL,
    version          TEXT NOT NULL,
    attempts_unknown INTEGER NOT NULL
);

CREATE TABLE lists (
    list       TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- state: 0 ready, 1 scheduled (not before), 2 claimed, 3 done
CREATE TABLE leads (
    lead             INTEGER PRIMARY KEY,
    list             TEXT NOT NULL REFERENCES lists(list),
    state            INTEGER NOT NULL,
    priority         INTEGER NOT NULL,
    not_before       INTEGER NOT NULL,
    numbers          TEXT NOT NULL,
    next_number      INTEGER NOT NULL DEFAULT 0,
    attempts         INTEGER NOT NULL DEFAULT 0,
    time_zone        TEXT,
    name             TEXT,
    customer_key     TEXT,
    fields           TEXT NOT NULL DEFAULT '{}',
    last_disposition TEXT,
    callback_at      INTEGER
);
-- The order in which leads are handed out; only ready ones are in it, so that a fetch reads what it gives.
CREATE INDEX leads_ready ON leads (list, priority DESC, not_before, lead) WHERE state = 0;
CREATE INDEX leads_scheduled ON leads (not_before) WHERE state = 1;

CREATE TABLE attempts (
    attempt    INTEGER PRIMARY KEY,
    call       INTEGER NOT NULL,
    campaign   TEXT NOT NULL,
    lead       INTEGER NOT NULL REFERENCES leads(lead),
    list       TEXT NOT NULL,
    number     TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    outcome    TEXT,
    ended_at   INTEGER
);
-- The law against dialling twice: one live attempt per lead.
CREATE UNIQUE INDEX attempts_live ON attempts (lead) WHERE outcome IS NULL;

CREATE TABLE calls (
    call       INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    direction  TEXT NOT NULL,
    campaign   TEXT,
    attempt    INTEGER,
    outcome    TEXT NOT NULL,
    record     TEXT NOT NULL
);
CREATE INDEX calls_by_start ON calls (started_at);

CREATE TABLE dispositions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    call        INTEGER NOT NULL,
    agent       TEXT NOT NULL,
    lead        INTEGER,
    disposition TEXT NOT NULL,
    note        TEXT,
    callback_at INTEGER,
    at          INTEGER NOT NULL
);
CREATE INDEX dispositions_by_call ON dispositions (call);

CREATE TABLE agents (
    agent TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    since INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE do_not_call (
    number TEXT PRIMARY KEY,
    at     INTEGER NOT NULL
) WITHOUT ROWID;

-- state: 0 to be delivered, 1 dead letter
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint   TEXT NOT NULL,
    order_key  TEXT NOT NULL,
    message    TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL,
    state      INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_due ON outbox (endpoint, state, next_at);
CREATE INDEX outbox_order ON outbox (endpoint, state, order_key, id);

CREATE TABLE outbox_disabled (
    endpoint TEXT PRIMARY KEY,
    at       INTEGER NOT NULL
) WITHOUT ROWID;
