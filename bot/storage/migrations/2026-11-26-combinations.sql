-- Combinations of a dynamic prompt are offered with their number and drawn once, however often the button is pressed.
CREATE TABLE combination_wishes (
    draft_id TEXT PRIMARY KEY REFERENCES drafts (id) ON DELETE CASCADE,
    pictures INTEGER NOT NULL,
    private  INTEGER NOT NULL DEFAULT 0, -- asked for with their results for the user's eyes alone
    taken_at REAL
) STRICT;
