-- Scripts (plots, prompt matrices) are jobs in lane 'script' that no worker is given. Their sheets, and the job of each
-- cell once it is drawn, name them. No foreign key: forgetting and deleting take jobs in any order.

ALTER TABLE jobs ADD COLUMN script_id TEXT;
ALTER TABLE jobs ADD COLUMN place INTEGER; -- of the job of one cell: where it sits in the grid

CREATE INDEX jobs_by_script ON jobs (script_id, place) WHERE script_id IS NOT NULL;

-- What was shown with its cost before it is drawn.
CREATE TABLE script_offers (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    spec       TEXT NOT NULL, -- JSON of bot.domain.scripts.ScriptSpec
    action     TEXT NOT NULL,
    source_image_id TEXT,
    parent_id  TEXT,
    private    INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    taken_at   REAL -- drawn, and by exactly one press
) STRICT;
