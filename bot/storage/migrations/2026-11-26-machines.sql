-- Computers that draw for this bot, with a key each, and their cards, which are its workers. The bot's own are here, too.
CREATE TABLE machines (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- stands in buttons
    name       TEXT NOT NULL COLLATE NOCASE UNIQUE, -- a folder of it may lie on a disk that knows no case
    public_key TEXT, -- of its invite; NULL: it joined without one
    invited_at REAL, -- when that was made
    removed_at REAL  -- since then nothing of it is taken
) STRICT;

CREATE TABLE machine_workers (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- stands in buttons
    machine_id   INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    card         INTEGER NOT NULL, -- from 1
    gpu          TEXT NOT NULL DEFAULT '', -- as it said last
    seen_at      REAL, -- NULL: never
    drained_at   REAL, -- NULL: it may draw
    drained_for  TEXT NOT NULL DEFAULT '', -- operator, pictures
    UNIQUE (machine_id, card)
) STRICT;
