-- The first schema. Times are Unix seconds (REAL) of this machine; no other machine's clock is ever stored or compared.

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    locale        TEXT NOT NULL DEFAULT 'en-US',
    first_seen_at REAL NOT NULL
) STRICT;

CREATE TABLE styles (
    id              INTEGER PRIMARY KEY,
    user_id         INTEGER NOT NULL REFERENCES users (id),
    name            TEXT NOT NULL,
    name_key        TEXT NOT NULL, -- casefolded, so "Anime" and "anime" are one style
    prompt          TEXT NOT NULL,
    negative_prompt TEXT NOT NULL,
    parameters      TEXT NOT NULL, -- JSON of bot.domain.styles.StyleParameters
    created_at      REAL NOT NULL,
    updated_at      REAL NOT NULL,
    UNIQUE (user_id, name_key)
) STRICT;

CREATE TABLE jobs (
    id               TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 25), -- it is Discord's nonce, too
    interaction_id   INTEGER UNIQUE, -- one job per interaction, however often Discord or a user repeats it
    parent_id        TEXT REFERENCES jobs (id), -- a plot is a job made of jobs
    action           TEXT NOT NULL, -- imagine, upscale, vary, reroll, edit
    source_image_id  TEXT REFERENCES images (id),
    lane             TEXT NOT NULL,
    user_id          INTEGER NOT NULL REFERENCES users (id),
    guild_id         INTEGER,
    channel_id       INTEGER NOT NULL,
    locale           TEXT NOT NULL,
    reply_to_id      INTEGER, -- the message whose reaction asked for it; its card answers there
    message_id       INTEGER,
    token            TEXT, -- interaction token: edits need no channel access while it lives
    token_expires_at REAL,
    spec             TEXT NOT NULL, -- JSON of gpu_worker.protocol.specs.JobSpec
    model            TEXT NOT NULL,
    work_units       REAL NOT NULL, -- steps times megapixels; multiplied by learnt seconds per unit it is the cost
    status           TEXT NOT NULL
                     CHECK (status IN ('queued', 'assigned', 'done', 'delivering', 'delivered', 'failed', 'cancelled')),
    attempt          INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0, -- starts that killed their worker
    skipped          INTEGER NOT NULL DEFAULT 0, -- times a later job went first because its model was loaded
    worker           TEXT,
    cancel_by        INTEGER, -- who asked; set while it runs, the worker confirms
    failure_kind     TEXT,
    failure_detail   TEXT, -- JSON
    reference        TEXT, -- the short reference that user and log share
    state            BLOB, -- where a later attempt goes on (training, tiles)
    run_s            REAL,
    created_at       REAL NOT NULL,
    assigned_at      REAL,
    finished_at      REAL,
    told_at          REAL -- when the card said how it ended
) STRICT;

CREATE INDEX jobs_by_status ON jobs (status, created_at);
CREATE INDEX jobs_by_user ON jobs (user_id, status);
CREATE INDEX jobs_by_message ON jobs (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE attempts (
    job_id     TEXT NOT NULL REFERENCES jobs (id),
    attempt    INTEGER NOT NULL,
    worker     TEXT NOT NULL,
    boot       TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at   REAL,
    outcome    TEXT, -- done, failed, cancelled, refused, unsent, lost, silent, damaged, crashed, withdrawn
    PRIMARY KEY (job_id, attempt)
) STRICT;

CREATE TABLE images (
    id              TEXT PRIMARY KEY,
    job_id          TEXT NOT NULL REFERENCES jobs (id),
    idx             INTEGER NOT NULL, -- 0-based place on the card
    path            TEXT NOT NULL, -- relative to the outputs folder
    sha256          TEXT NOT NULL,
    mime            TEXT NOT NULL,
    width           INTEGER NOT NULL,
    height          INTEGER NOT NULL,
    size_bytes      INTEGER NOT NULL,
    seed            TEXT NOT NULL, -- decimal: a seed may need 64 unsigned bits
    infotext        TEXT NOT NULL,
    parent_image_id TEXT REFERENCES images (id), -- lineage: which picture it came from …
    action          TEXT NOT NULL, -- … by which action
    created_at      REAL NOT NULL,
    deleted_at      REAL,
    UNIQUE (job_id, idx)
) STRICT;

CREATE TABLE favourites (
    user_id  INTEGER NOT NULL REFERENCES users (id),
    image_id TEXT NOT NULL REFERENCES images (id),
    kept_at  REAL NOT NULL,
    PRIMARY KEY (user_id, image_id)
) STRICT;

CREATE TABLE partials (
    job_id     TEXT NOT NULL REFERENCES jobs (id),
    n          INTEGER NOT NULL, -- counts up within the job, whatever the attempt
    attempt    INTEGER NOT NULL,
    outputs    TEXT NOT NULL, -- JSON: paths and metadata of what is already paid for
    created_at REAL NOT NULL,
    PRIMARY KEY (job_id, n)
) STRICT;

CREATE TABLE timings (
    model      TEXT NOT NULL,
    device     TEXT NOT NULL,
    unit_s     REAL NOT NULL, -- learnt seconds per work unit
    samples    INTEGER NOT NULL,
    PRIMARY KEY (model, device)
) STRICT;

CREATE TABLE facts (
    key   TEXT PRIMARY KEY, -- what the bot remembers of itself, e.g. the hash of the commands it last synced
    value TEXT NOT NULL
) STRICT;
