-- The original's tables (jobs, progresses, syncers) may lie in the same file, so all names here are our own.

-- What the operator asked for. Specs are JSON with a version, so that a field can be added without a migration.
CREATE TABLE ccr_jobs (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    spec_version  INTEGER NOT NULL,
    src           TEXT    NOT NULL,
    dest          TEXT    NOT NULL,
    options       TEXT    NOT NULL,
    desired       TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

-- Who may write a job's progress. An epoch is never used twice.
CREATE TABLE ccr_leases (
    job_id         TEXT    NOT NULL PRIMARY KEY REFERENCES ccr_jobs (id) ON DELETE CASCADE,
    owner          TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    acquired_at_ms INTEGER NOT NULL
) STRICT;

-- Phase, table links, block: JSON, possibly large, written when one of them changes.
CREATE TABLE ccr_states (
    job_id TEXT NOT NULL PRIMARY KEY REFERENCES ccr_jobs (id) ON DELETE CASCADE,
    state  TEXT NOT NULL
) STRICT;

-- The watermark: small, written while transactions flow.
CREATE TABLE ccr_positions (
    job_id        TEXT    NOT NULL PRIMARY KEY REFERENCES ccr_jobs (id) ON DELETE CASCADE,
    commit_seq    INTEGER NOT NULL,
    timestamp_ms  INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;

-- Decisions, numbered per job; the oldest are forgotten.
CREATE TABLE ccr_history (
    job_id           TEXT    NOT NULL REFERENCES ccr_jobs (id) ON DELETE CASCADE,
    seq              INTEGER NOT NULL,
    at_ms            INTEGER NOT NULL,
    first_commit_seq INTEGER NOT NULL,
    last_commit_seq  INTEGER NOT NULL,
    plan             TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    outcome          TEXT    NOT NULL,
    duration_ms      INTEGER NOT NULL,
    PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;
