-- What somebody puts together in /train start: its buttons work over a restart. Thrown away after a week.
CREATE TABLE training_desks (
    id         TEXT PRIMARY KEY, -- and of the job that it becomes
    user_id    INTEGER NOT NULL,
    wish       TEXT NOT NULL, -- JSON, bot/domain/training/wishes.py
    begun_at   REAL,
    created_at REAL NOT NULL
) STRICT;
