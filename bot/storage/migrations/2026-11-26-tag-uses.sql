-- Tags that somebody uses often go up among their suggestions, as TagComplete sorts them; a month without use forgets one.
CREATE TABLE tag_uses (
    user_id INTEGER NOT NULL,
    tag     TEXT NOT NULL, -- as in the tag list
    uses    INTEGER NOT NULL,
    used_at REAL NOT NULL,
    PRIMARY KEY (user_id, tag)
) STRICT;
CREATE INDEX tag_uses_by_age ON tag_uses (used_at);
