-- Pictures that somebody collects to train a LoRA on. The files are given pictures (`input:<sha256>`, bot/storage/inputs.py).
CREATE TABLE datasets (
    id         TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    guild_id   INTEGER, -- where it was begun
    name       TEXT NOT NULL,
    consent_at REAL NOT NULL, -- when its user said that they may use these pictures
    created_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    nsfw       INTEGER NOT NULL DEFAULT 0 -- holds what only an age-restricted channel may show
) STRICT;
CREATE UNIQUE INDEX datasets_by_name ON datasets (user_id, name COLLATE NOCASE);

-- kohya's `10_mychar`: repeats and class tokens, which are the caption of pictures without one.
CREATE TABLE dataset_folders (
    id           TEXT PRIMARY KEY,
    dataset_id   TEXT NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    repeats      INTEGER NOT NULL,
    class_tokens TEXT NOT NULL,
    is_reg       INTEGER NOT NULL DEFAULT 0,
    place        INTEGER NOT NULL
) STRICT;
CREATE INDEX dataset_folders_by_dataset ON dataset_folders (dataset_id, place);

CREATE TABLE dataset_images (
    id         TEXT PRIMARY KEY,
    folder_id  TEXT NOT NULL REFERENCES dataset_folders (id) ON DELETE CASCADE,
    sha256     TEXT NOT NULL,
    mime       TEXT NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    look       TEXT NOT NULL, -- 64 bits in hexadecimal by which near-duplicates are told (bot/domain/training/looks.py)
    name       TEXT NOT NULL, -- as it is called in an export, without suffix
    caption    TEXT, -- NULL: the folder's class tokens
    source     TEXT NOT NULL DEFAULT '', -- `upload`, `zip`, `message`, `image:<id>`
    place      INTEGER NOT NULL,
    added_at   REAL NOT NULL,
    removed_at REAL, -- taken out, and still to be brought back; out of it for good after a day
    resembles  TEXT -- picture that it nearly equals, so that it waits (`removed_at`) for its user's word
) STRICT;
CREATE INDEX dataset_images_by_folder ON dataset_images (folder_id, place);
CREATE INDEX dataset_images_by_file ON dataset_images (sha256);

-- What captions were before each change, newest last, so that a change can be undone.
CREATE TABLE dataset_changes (
    dataset_id TEXT NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    n          INTEGER NOT NULL,
    what       TEXT NOT NULL, -- key of the sentence that names the change
    before     TEXT NOT NULL, -- JSON: image id → caption or null
    created_at REAL NOT NULL,
    PRIMARY KEY (dataset_id, n)
) STRICT;

-- A training is a job of lane 'training' with the spec Train; this is what only the bot knows of it.
CREATE TABLE trainings (
    job_id     TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    guild_id   INTEGER,
    dataset_id TEXT, -- NULL once it is deleted
    name       TEXT NOT NULL, -- output_name
    trigger_words TEXT NOT NULL DEFAULT '',
    preset     TEXT NOT NULL,
    samples    TEXT NOT NULL DEFAULT '[]', -- JSON list of prompts that each saved epoch draws
    curve      TEXT NOT NULL DEFAULT '[]', -- JSON list of the average loss, thinned to a few hundred points
    step       INTEGER NOT NULL DEFAULT 0,
    of_steps   INTEGER NOT NULL DEFAULT 0,
    most_steps INTEGER NOT NULL DEFAULT 0, -- the furthest that any attempt came
    begun_with INTEGER NOT NULL DEFAULT 0, -- `most_steps` when the running attempt was handed out
    retry_of   TEXT, -- job id of the training that this one is to do better than
    compare    INTEGER NOT NULL DEFAULT 1, -- its epochs are compared by themselves
    comparison_id TEXT, -- job id of the plot epochs × weights
    findings   TEXT, -- JSON of the diagnosis
    published  TEXT, -- name in the library
    end_told_at REAL, -- when its user was told that its files will go
    created_at REAL NOT NULL
) STRICT;
CREATE INDEX trainings_by_user ON trainings (user_id, created_at);

-- Saved epochs: files at data/trainings/<job_id>/<name>.safetensors, durable as soon as they arrive.
CREATE TABLE training_files (
    job_id     TEXT NOT NULL,
    name       TEXT NOT NULL, -- `mychar-000002`; the last is `mychar`
    epoch      INTEGER NOT NULL,
    step       INTEGER NOT NULL,
    final      INTEGER NOT NULL DEFAULT 0,
    loss       REAL,
    sha256     TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sample_job_id TEXT, -- the job that draws its samples
    arrived_at REAL NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT;
CREATE INDEX training_files_by_name ON training_files (name);

-- Set while a waiting job is paused by its user: it keeps its place and is handed to no worker.
ALTER TABLE jobs ADD COLUMN held_at REAL;
