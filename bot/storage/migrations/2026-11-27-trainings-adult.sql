-- What a training's data set was marked with goes on to count when that is deleted: what it taught does not go with it.
ALTER TABLE trainings ADD COLUMN nsfw INTEGER NOT NULL DEFAULT 0; -- set when the data set is deleted
