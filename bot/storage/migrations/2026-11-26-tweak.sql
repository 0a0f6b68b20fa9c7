-- The panel compares a draft with what it came from; what somebody changed last; results that only their user sees.

ALTER TABLE drafts ADD COLUMN base TEXT; -- JSON of the JobSpec it is compared with; NULL: of an earlier version
ALTER TABLE drafts ADD COLUMN parent_id TEXT REFERENCES jobs (id);
ALTER TABLE drafts ADD COLUMN searches TEXT NOT NULL DEFAULT '{}'; -- JSON: what its lists of models were searched for
ALTER TABLE drafts ADD COLUMN private INTEGER NOT NULL DEFAULT 0; -- as of jobs

CREATE TABLE last_tweaks (
    user_id    INTEGER PRIMARY KEY,
    wishes     TEXT NOT NULL, -- JSON: field of bot.domain.parameters.Parameters → value
    changed_at REAL NOT NULL
) STRICT;

ALTER TABLE jobs ADD COLUMN private INTEGER NOT NULL DEFAULT 0; -- 1: for its user's eyes alone; 2: being published
ALTER TABLE jobs ADD COLUMN pinged_at REAL; -- when its user was pinged, once
