-- What admins do to the queue, their live panels, the set-up of servers, and who did what.

ALTER TABLE jobs ADD COLUMN moved TEXT CHECK (moved IN ('front', 'back', 'server_front', 'server_back'));
ALTER TABLE jobs ADD COLUMN moved_at REAL;

-- No line: everything runs. guild 0 is the operator's word for all servers and direct messages.
CREATE TABLE queue_gates (
    guild_id   INTEGER PRIMARY KEY,
    state      TEXT NOT NULL CHECK (state IN ('paused', 'draining')),
    changed_by INTEGER NOT NULL,
    changed_at REAL NOT NULL
) STRICT;

-- Messages that show the queue and are edited until somebody closes or deletes them.
CREATE TABLE admin_panels (
    id               TEXT PRIMARY KEY,
    guild_id         INTEGER NOT NULL, -- what it shows: one server, or 0 for all
    user_id          INTEGER NOT NULL, -- who opened it
    posted_in        INTEGER NOT NULL, -- the server it stands in, 0 in a direct message
    channel_id       INTEGER NOT NULL,
    message_id       INTEGER,
    locale           TEXT NOT NULL,
    token            TEXT, -- interaction token: edits need no channel access while it lives
    token_expires_at REAL,
    created_at       REAL NOT NULL
) STRICT;

CREATE INDEX admin_panels_by_message ON admin_panels (message_id);

-- What the wizard wrote down of a server that no other table holds.
CREATE TABLE server_setups (
    guild_id        INTEGER PRIMARY KEY,
    home_channel_id INTEGER, -- where the server's own news go
    locale          TEXT, -- of what is not said to one person
    user_id         INTEGER NOT NULL, -- who went through it last
    changed_at      REAL NOT NULL,
    finished_at     REAL
) STRICT;

CREATE TABLE admin_audit (
    id       INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    guild_id INTEGER NOT NULL, -- where it was done; 0 in a direct message or on the machine
    user_id  INTEGER NOT NULL,
    action   TEXT NOT NULL,
    detail   TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX admin_audit_by_guild ON admin_audit (guild_id, id);
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_by_start ON jobs (created_at);
