-- Jobs on model files (convert, merge, bake in) end with a file in the library instead of pictures.

ALTER TABLE jobs ADD COLUMN result TEXT; -- JSON of bot.domain.job.MadeModel
