-- Limits, bans, what moderation did and what may be appealed, and what a classifier said of each kept picture.

CREATE TABLE server_rules (
    guild_id INTEGER PRIMARY KEY, -- 0: the operator's, for everybody
    rules    TEXT NOT NULL -- JSON of bot.domain.safety.rules.ServerRules
) STRICT;

CREATE TABLE bans (
    guild_id  INTEGER NOT NULL, -- 0: everywhere
    user_id   INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    banned_by INTEGER NOT NULL,
    banned_at REAL NOT NULL,
    until     REAL, -- NULL: for good
    PRIMARY KEY (guild_id, user_id)
) STRICT;

CREATE TABLE safety_events (
    id        INTEGER PRIMARY KEY,
    at        REAL NOT NULL,
    guild_id  INTEGER NOT NULL, -- 0 in a direct message
    kind      TEXT NOT NULL,
    user_id   INTEGER NOT NULL, -- whom it is about
    done_by   INTEGER, -- who did it; NULL: a rule
    detail    TEXT NOT NULL, -- JSON of the values that its sentence shows
    appeal_id TEXT,
    posted_at REAL -- when the audit channel got it; NULL with no channel, too
) STRICT;

CREATE INDEX safety_events_by_guild ON safety_events (guild_id, id);
CREATE INDEX safety_events_unposted ON safety_events (at) WHERE posted_at IS NULL;

CREATE TABLE appeals (
    id         TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 25),
    at         REAL NOT NULL,
    guild_id   INTEGER NOT NULL,
    channel_id INTEGER,
    user_id    INTEGER NOT NULL,
    locale     TEXT NOT NULL,
    about      TEXT NOT NULL, -- adult, words, ban
    text       TEXT NOT NULL, -- what was refused
    digest     TEXT NOT NULL, -- of that text: an approval is for it alone
    asked_at   REAL, -- when the button was pressed; one per refusal
    decided_at REAL,
    decided_by INTEGER,
    approved   INTEGER CHECK (approved IN (0, 1))
) STRICT;

CREATE INDEX appeals_by_digest ON appeals (user_id, digest) WHERE approved = 1;
CREATE INDEX appeals_by_age ON appeals (at);

CREATE TABLE picture_looks (
    image_id TEXT PRIMARY KEY REFERENCES images (id),
    looked   TEXT NOT NULL, -- JSON of gpu_worker.protocol.safety.Looked
    strict   INTEGER NOT NULL CHECK (strict IN (0, 1)) -- a minor was named, or somebody's own picture edited
) STRICT;

CREATE INDEX jobs_by_user_age ON jobs (user_id, created_at);
