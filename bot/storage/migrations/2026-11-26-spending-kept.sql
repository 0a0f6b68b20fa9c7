-- What somebody who was forgotten had used of their quotas in the last day, without what it was: or forgetting would fill
-- them up again. A row goes after that day.

CREATE TABLE spending_kept (
    user_id  INTEGER NOT NULL,
    guild_id INTEGER,
    at       REAL NOT NULL,
    pictures INTEGER NOT NULL,
    gpu_s    REAL NOT NULL
) STRICT;

CREATE INDEX spending_kept_by_user ON spending_kept (user_id, at);
