-- Downloads of model files. A row that has not ended is gone on with at every start; ended ones are kept for a month.

CREATE TABLE downloads (
    id             TEXT PRIMARY KEY,
    link           TEXT NOT NULL,
    wish           TEXT NOT NULL, -- JSON of bot.downloads.records.DownloadWish
    state          TEXT NOT NULL CHECK (state IN
                       ('waiting', 'resolving', 'downloading', 'checking', 'done', 'failed', 'cancelled')),
    source         TEXT, -- JSON of bot.downloads.sources.Source, once its host was asked
    filename       TEXT,
    received_bytes INTEGER NOT NULL DEFAULT 0,
    total_bytes    INTEGER,
    problem        TEXT,
    problem_values TEXT NOT NULL DEFAULT '{}',
    file_ids       TEXT NOT NULL DEFAULT '[]', -- what came into the library
    created_at     REAL NOT NULL,
    changed_at     REAL NOT NULL
) STRICT;

CREATE INDEX downloads_unfinished ON downloads (created_at) WHERE state IN
    ('waiting', 'resolving', 'downloading', 'checking');
