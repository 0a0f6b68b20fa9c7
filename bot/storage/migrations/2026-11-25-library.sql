-- The model library. What a scan reads is only remembered here (a lost row costs a scan and a hash); what people did is not.

CREATE TABLE library_files (
    path          TEXT PRIMARY KEY,
    root          TEXT NOT NULL, -- JSON: folder, kind, whether it is an extra one
    weights       TEXT NOT NULL, -- the file whose stamp and hash count; another one for a diffusers folder
    stamp         TEXT NOT NULL, -- JSON of gpu_worker.language.listing.Stamp
    reading       TEXT NOT NULL, -- JSON of gpu_worker.language.layouts.Reading
    beside_stamp  TEXT NOT NULL, -- JSON: names, sizes and times of the sidecars
    beside        TEXT NOT NULL, -- JSON of gpu_worker.language.sidecars.Sidecars
    sha256        TEXT,
    autov3        TEXT,
    first_seen_at REAL NOT NULL
) STRICT;

CREATE TABLE library_records (
    id       TEXT PRIMARY KEY, -- of the path, see bot.library.paths
    added_by INTEGER,
    added_in INTEGER, -- the server; NULL is the operator's
    source   TEXT,
    added_at REAL,
    note     TEXT,
    preview  TEXT -- a file in data/previews
) STRICT;

CREATE TABLE library_usage (
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    user_id      INTEGER NOT NULL,
    times        INTEGER NOT NULL,
    last_used_at REAL NOT NULL,
    PRIMARY KEY (kind, name, user_id)
) STRICT;

CREATE INDEX library_usage_by_user ON library_usage (user_id);

CREATE TABLE library_trash (
    id         TEXT PRIMARY KEY,
    path       TEXT NOT NULL, -- where the file was
    kept_in    TEXT NOT NULL, -- the folder that holds it and its sidecars now
    removed_at REAL NOT NULL,
    record     TEXT NOT NULL -- JSON of the record, to come back with it
) STRICT;
