"""Looking at finished pictures and previews: a classifier behind a small interface; none where none is installed."""
