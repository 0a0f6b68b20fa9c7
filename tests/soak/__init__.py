"""Many people who press whatever there is, against the real bot and a painter that draws at once.

`python -m tests.soak` (500 people for ten minutes; `--users`, `--minutes`, `--every`) prints a report and ends with 1
where anything was lost, doubled, left unanswered, or failed by a fault of the bot's own.
"""
