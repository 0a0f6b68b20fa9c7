-- What people, channels, servers and the operator like to have, each one value; bot/domain/preferences.py knows the keys.
-- A server's and a channel's default model is in model_defaults, not here.

CREATE TABLE preferences (
    level      TEXT NOT NULL CHECK (level IN ('operator', 'server', 'channel', 'user')),
    owner_id   INTEGER NOT NULL, -- of the server, channel or user; 0 for the operator
    key        TEXT NOT NULL,
    value      TEXT NOT NULL, -- JSON
    changed_at REAL NOT NULL,
    PRIMARY KEY (level, owner_id, key)
) STRICT;
