-- Star boards, how long a server's pictures keep their files, and who asked to be forgotten.

CREATE TABLE starboards (
    guild_id   INTEGER PRIMARY KEY,
    channel_id INTEGER NOT NULL,
    threshold  INTEGER NOT NULL CHECK (threshold BETWEEN 1 AND 1000),
    changed_by INTEGER NOT NULL,
    changed_at REAL NOT NULL
) STRICT;

-- A card is posted once on its server's board. The row comes before the message, so that two stars at once post one.
CREATE TABLE star_posts (
    job_id     TEXT PRIMARY KEY REFERENCES jobs (id),
    guild_id   INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    message_id INTEGER,
    created_at REAL NOT NULL
) STRICT;

CREATE TABLE server_retention (
    guild_id   INTEGER PRIMARY KEY,
    days       INTEGER NOT NULL CHECK (days BETWEEN 1 AND 3650),
    changed_by INTEGER NOT NULL,
    changed_at REAL NOT NULL
) STRICT;

CREATE INDEX jobs_by_guild ON jobs (guild_id, created_at) WHERE guild_id IS NOT NULL;

-- Gone once it is done and the person was told.
CREATE TABLE forgettings (
    user_id          INTEGER PRIMARY KEY,
    locale           TEXT NOT NULL,
    token            TEXT, -- interaction token: the answer is edited by it while it lives
    token_expires_at REAL,
    asked_at         REAL NOT NULL,
    pictures         INTEGER NOT NULL DEFAULT 0,
    messages         INTEGER NOT NULL DEFAULT 0, -- deleted ones
    messages_left    INTEGER NOT NULL DEFAULT 0, -- those that Discord did not let us delete
    done             INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
) STRICT;
