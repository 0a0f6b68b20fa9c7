-- Requests that are not asked for yet: what the panel behind "advanced" changes until its button draws it.

CREATE TABLE drafts (
    id              TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 25),
    user_id         INTEGER NOT NULL,
    action          TEXT NOT NULL, -- imagine or edit
    source_image_id TEXT REFERENCES images (id),
    spec            TEXT NOT NULL, -- JSON of gpu_worker.protocol.specs.JobSpec
    created_at      REAL NOT NULL
) STRICT;

CREATE INDEX drafts_by_age ON drafts (created_at);
