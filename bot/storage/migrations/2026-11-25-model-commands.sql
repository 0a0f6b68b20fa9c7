-- What people and admins say about models. A file is named by the library's id, which is stable for a path; guild 0 is
-- the operator's word for every server.

CREATE TABLE model_rules (
    guild_id  INTEGER NOT NULL,
    scope     TEXT NOT NULL CHECK (scope IN ('server', 'channel', 'role')),
    target_id INTEGER NOT NULL,
    file_id   TEXT NOT NULL,
    enabled   INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    PRIMARY KEY (guild_id, scope, target_id, file_id)
) STRICT;

CREATE INDEX model_rules_by_file ON model_rules (file_id);

CREATE TABLE model_defaults (
    guild_id   INTEGER NOT NULL,
    channel_id INTEGER NOT NULL, -- 0 for the whole server
    checkpoint TEXT,
    vae        TEXT,
    clip_skip  INTEGER CHECK (clip_skip BETWEEN 1 AND 12),
    PRIMARY KEY (guild_id, channel_id)
) STRICT;

CREATE TABLE model_favourites (
    guild_id INTEGER NOT NULL,
    file_id  TEXT NOT NULL,
    PRIMARY KEY (guild_id, file_id)
) STRICT;

CREATE TABLE model_audit (
    id       INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    guild_id INTEGER NOT NULL, -- where it was said; 0 in a direct message
    owner_id INTEGER NOT NULL, -- whose file it was: a server, or 0 for the operator
    user_id  INTEGER NOT NULL,
    action   TEXT NOT NULL,
    file_id  TEXT,
    kind     TEXT NOT NULL DEFAULT '',
    name     TEXT NOT NULL DEFAULT '',
    detail   TEXT NOT NULL DEFAULT '',
    undo_id  TEXT -- of a removal: what the library takes it back by; gone once it is back
) STRICT;

CREATE INDEX model_audit_by_guild ON model_audit (guild_id, id);
CREATE UNIQUE INDEX model_audit_by_undo ON model_audit (undo_id) WHERE undo_id IS NOT NULL;

-- "Use in next picture": at most one line a person, gone once it was used.
CREATE TABLE next_pictures (
    user_id    INTEGER PRIMARY KEY,
    chosen     TEXT NOT NULL, -- JSON of bot.domain.next_picture.NextPicture
    changed_at REAL NOT NULL
) STRICT;

-- What somebody looks at in /models or /loras: the buttons below it are addresses of a line here.
CREATE TABLE model_shelves (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    state      TEXT NOT NULL, -- JSON of bot.domain.shelves.Shelf
    created_at REAL NOT NULL
) STRICT;

CREATE INDEX model_shelves_by_age ON model_shelves (created_at);

-- Pictures that admins let draw to see whether a model works, and what their card's button enables.
CREATE TABLE model_tests (
    job_id   TEXT PRIMARY KEY,
    file_id  TEXT NOT NULL,
    guild_id INTEGER NOT NULL -- 0: everywhere
) STRICT;

-- The card that shows downloads, over restarts.
CREATE TABLE download_cards (
    id               TEXT PRIMARY KEY,
    guild_id         INTEGER NOT NULL, -- 0 in a direct message
    channel_id       INTEGER NOT NULL,
    user_id          INTEGER NOT NULL,
    owner_id         INTEGER NOT NULL, -- whose files they become: a server, or 0 for the operator
    message_id       INTEGER,
    locale           TEXT NOT NULL,
    token            TEXT, -- interaction token: edits need no channel access while it lives
    token_expires_at REAL,
    held             INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)), -- stays disabled until somebody enables it
    created_at       REAL NOT NULL,
    told_at          REAL -- when the channel was told of the end
) STRICT;

CREATE TABLE download_card_items (
    card_id     TEXT NOT NULL REFERENCES download_cards (id),
    download_id TEXT NOT NULL,
    settled     INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)), -- its end was recorded
    PRIMARY KEY (card_id, download_id)
) STRICT;

CREATE INDEX download_card_items_by_download ON download_card_items (download_id);
