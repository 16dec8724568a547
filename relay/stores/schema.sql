-- What the relay keeps. One row per tip holds its whole receipt: the model's one writer has it at hand anyway, and a
-- step and its status cannot come apart.

CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS models (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at REAL NOT NULL,
    token      BLOB,                          -- the vendor's, encrypted
    held       INTEGER NOT NULL,
    stopped    INTEGER NOT NULL,
    held_since REAL,
    generation INTEGER NOT NULL,
    menu       TEXT,                          -- JSON: settings as last seen
    words      TEXT                           -- JSON: {language, muted, said}
);

CREATE TABLE IF NOT EXISTS tips (
    seq         INTEGER PRIMARY KEY,          -- the order of acceptance
    k           INTEGER NOT NULL,             -- k, prev, far: in the chain of its model's (sqlite_chains.py)
    prev        INTEGER NOT NULL,
    far         INTEGER NOT NULL,
    id          TEXT NOT NULL UNIQUE,
    model       TEXT NOT NULL,
    status      TEXT NOT NULL,
    open        INTEGER NOT NULL,
    private     INTEGER NOT NULL,
    accepted_at REAL NOT NULL,
    expires_at  REAL NOT NULL,
    generation  INTEGER,
    journal     TEXT,
    tip         TEXT NOT NULL,                -- JSON: what was ordered
    timeline    TEXT NOT NULL                 -- JSON: [[status, at, why, evidence], ...]
);
CREATE INDEX IF NOT EXISTS tips_open ON tips (seq, model) WHERE open;
CREATE INDEX IF NOT EXISTS tips_private ON tips (model, seq) WHERE private AND NOT open;

CREATE TABLE IF NOT EXISTS entries (
    n     INTEGER PRIMARY KEY,
    k     INTEGER NOT NULL,
    prev  INTEGER NOT NULL,
    far   INTEGER NOT NULL,
    model TEXT NOT NULL,
    type  TEXT NOT NULL,
    at    REAL NOT NULL,
    body  TEXT NOT NULL                       -- JSON
);

CREATE TABLE IF NOT EXISTS chains (               -- the newest rows of models, as last written down
    tab   TEXT NOT NULL,                      -- tips or entries
    model TEXT NOT NULL,
    row   INTEGER NOT NULL,
    k     INTEGER NOT NULL,
    far   INTEGER NOT NULL,
    PRIMARY KEY (tab, model)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS surplus (              -- models that had more entries than are kept: up to here they have gone
    model TEXT PRIMARY KEY,
    n     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tickets (
    id      TEXT PRIMARY KEY,
    journal TEXT NOT NULL,
    until   REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tickets_by_until ON tickets (until);

CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,                       -- JSON; secrets in it are sealed
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
