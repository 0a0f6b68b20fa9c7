-- What /history needs: prompts to search in, where somebody is in it, deletions that can be taken back, exports.

-- One line a job with pictures, written with them; older jobs are added in the background (bot/storage/history_search.py,
-- which also keeps a full-text index over it where this SQLite has one).
CREATE TABLE history_prompts (
    n       INTEGER PRIMARY KEY,
    job_id  TEXT NOT NULL UNIQUE REFERENCES jobs (id),
    user_id INTEGER NOT NULL,
    prompt  TEXT NOT NULL,
    who     TEXT GENERATED ALWAYS AS ('u' || user_id) VIRTUAL -- a word of the index, so that a search stays with one person
) STRICT;

CREATE INDEX history_prompts_of_user ON history_prompts (user_id);

CREATE TABLE history_desks (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    state      TEXT NOT NULL, -- JSON of bot.domain.history.Desk
    created_at REAL NOT NULL
) STRICT;

CREATE INDEX history_desks_by_age ON history_desks (created_at);

-- Pictures are hidden at once and deleted when `due_at` is over; until then a button brings them back.
CREATE TABLE deletions (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL, -- who deleted
    created_at REAL NOT NULL,
    due_at     REAL NOT NULL
) STRICT;

CREATE INDEX deletions_by_due ON deletions (due_at);

CREATE TABLE deletion_items (
    deletion_id TEXT NOT NULL REFERENCES deletions (id),
    image_id    TEXT NOT NULL REFERENCES images (id),
    PRIMARY KEY (deletion_id, image_id)
) STRICT;

CREATE INDEX deletion_items_by_image ON deletion_items (image_id);

CREATE TABLE exports (
    id               TEXT PRIMARY KEY,
    user_id          INTEGER NOT NULL,
    guild_id         INTEGER,
    channel_id       INTEGER NOT NULL,
    locale           TEXT NOT NULL,
    token            TEXT, -- interaction token: its message is edited by it while it lives
    token_expires_at REAL,
    images           TEXT NOT NULL, -- JSON: ids, newest first
    part_bytes       INTEGER NOT NULL, -- no part is larger
    state            TEXT NOT NULL CHECK (state IN ('waiting', 'packing', 'ready', 'failed', 'cancelled')),
    packed           INTEGER NOT NULL DEFAULT 0, -- pictures in finished parts, or left out
    missing          INTEGER NOT NULL DEFAULT 0, -- pictures whose file is gone
    parts            INTEGER NOT NULL DEFAULT 0, -- finished ones, in data/exports/<id>
    told             INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
    created_at       REAL NOT NULL,
    finished_at      REAL
) STRICT;

CREATE INDEX exports_by_state ON exports (state, created_at);

-- The file was taken to save room; the picture is drawn again from its recipe when it is wanted.
ALTER TABLE images ADD COLUMN pruned_at REAL;
CREATE INDEX images_by_age ON images (created_at) WHERE deleted_at IS NULL AND pruned_at IS NULL;

-- Every way to its user was closed; the result waits in /history.
ALTER TABLE jobs ADD COLUMN stranded_at REAL;
CREATE INDEX jobs_stranded ON jobs (user_id) WHERE stranded_at IS NOT NULL;
