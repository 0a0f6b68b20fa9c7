-- The builder of /tags: what somebody searches and the prompt they put together, so that its buttons survive a restart.
CREATE TABLE tag_boards (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    state      TEXT NOT NULL, -- JSON of bot.domain.tag_boards.TagBoard
    created_at REAL NOT NULL
) STRICT;
CREATE INDEX tag_boards_by_age ON tag_boards (created_at);
