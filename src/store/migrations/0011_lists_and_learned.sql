-- Do-not-call lists, each with the date of its file.
CREATE TABLE do_not_call_lists (
    list        TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    as_of       INTEGER,
    imported_at INTEGER NOT NULL,
    numbers     INTEGER NOT NULL
) WITHOUT ROWID;
-- Their numbers, sorted: eight bytes each, little-endian, the digits read as a whole number.
CREATE TABLE do_not_call_parts (
    list    TEXT NOT NULL,
    part    INTEGER NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (list, part)
) WITHOUT ROWID;

-- What pacing has learned of a campaign, so that the next start begins with it.
CREATE TABLE learned (
    campaign TEXT PRIMARY KEY,
    saved_at INTEGER NOT NULL,
    state    TEXT NOT NULL
) WITHOUT ROWID;
