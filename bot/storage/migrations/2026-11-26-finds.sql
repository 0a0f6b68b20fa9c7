-- Pictures that somebody pointed at (a command, a message's menu), so that what they are shown leads on after a restart.

CREATE TABLE finds (
    id          TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 25),
    user_id     INTEGER NOT NULL,
    content     TEXT NOT NULL, -- JSON of bot.storage.finds.FoundPictures
    created_at  REAL NOT NULL
) STRICT;

CREATE INDEX finds_by_age ON finds (created_at);
