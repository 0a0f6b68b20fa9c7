-- Styles belong to a user or to a server, keep their earlier versions, and can be taken back after deleting.

ALTER TABLE styles RENAME TO old_styles;

CREATE TABLE styles (
    id               INTEGER PRIMARY KEY AUTOINCREMENT, -- part of buttons' addresses, so it is never given twice
    level            TEXT NOT NULL CHECK (level IN ('user', 'server')),
    owner_id         INTEGER NOT NULL,
    name             TEXT NOT NULL,
    name_key         TEXT NOT NULL, -- casefolded, so "Anime" and "anime" are one style
    version          INTEGER NOT NULL, -- the one that holds
    author_id        INTEGER NOT NULL,
    preview_image_id TEXT, -- the picture it was saved from; it may be gone
    created_at       REAL NOT NULL,
    updated_at       REAL NOT NULL,
    deleted_at       REAL
) STRICT;

CREATE UNIQUE INDEX styles_by_name ON styles (level, owner_id, name_key) WHERE deleted_at IS NULL;

CREATE TABLE style_versions (
    style_id        INTEGER NOT NULL REFERENCES styles (id),
    version         INTEGER NOT NULL, -- counts from 1
    prompt          TEXT NOT NULL,
    negative_prompt TEXT NOT NULL,
    parameters      TEXT NOT NULL, -- JSON of bot.domain.styles.StyleParameters
    made_by         INTEGER NOT NULL,
    made_at         REAL NOT NULL,
    PRIMARY KEY (style_id, version)
) STRICT;

INSERT INTO styles (id, level, owner_id, name, name_key, version, author_id, created_at, updated_at)
SELECT id, 'user', user_id, name, name_key, 1, user_id, created_at, updated_at FROM old_styles;

INSERT INTO style_versions (style_id, version, prompt, negative_prompt, parameters, made_by, made_at)
SELECT id, 1, prompt, negative_prompt, parameters, user_id, updated_at FROM old_styles;

DROP TABLE old_styles;

-- What members would like their server to have.
CREATE TABLE style_proposals (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id        INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    name            TEXT NOT NULL,
    name_key        TEXT NOT NULL,
    prompt          TEXT NOT NULL,
    negative_prompt TEXT NOT NULL,
    parameters      TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused')),
    created_at      REAL NOT NULL,
    decided_at      REAL,
    decided_by      INTEGER
) STRICT;

CREATE UNIQUE INDEX style_proposals_waiting ON style_proposals (guild_id, user_id, name_key) WHERE state = 'waiting';
CREATE INDEX style_proposals_by_guild ON style_proposals (guild_id, state, id);

-- Imports that are shown before anything is kept.
CREATE TABLE style_imports (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    level      TEXT NOT NULL CHECK (level IN ('user', 'server')),
    owner_id   INTEGER NOT NULL,
    styles     TEXT NOT NULL, -- JSON, as an export
    created_at REAL NOT NULL
) STRICT;
