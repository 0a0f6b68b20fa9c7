-- Where somebody is in the captions of a data set, so that the tag editor works over a restart.
CREATE TABLE caption_editors (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    dataset_id TEXT NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    state      TEXT NOT NULL, -- JSON (bot/domain/captions/editor.py)
    created_at REAL NOT NULL
) STRICT;
CREATE INDEX caption_editors_by_user ON caption_editors (user_id);
