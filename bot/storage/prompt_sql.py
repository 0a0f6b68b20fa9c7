"""Where a recorded job's prompts are, in SQL: with a dynamic prompt each picture has a text of its own."""

from __future__ import annotations

__all__ = ["ALL_PROMPTS", "PICTURE_PROMPT"]

PICTURE_PROMPT = (
    "coalesce(json_extract(jobs.spec, '$.texts[' || images.idx || '].prompt'), json_extract(jobs.spec, '$.prompt'), "
    "json_extract(jobs.spec, '$.base.prompt'), json_extract(jobs.spec, '$.drawing.prompt'), '')"
)
"""Of one row of `images` beside its job; empty where a job has none."""
ALL_PROMPTS = (
    "coalesce((SELECT group_concat(json_extract(value, '$.prompt'), char(10)) FROM json_each(jobs.spec, '$.texts')), "
    "json_extract(jobs.spec, '$.prompt'), json_extract(jobs.spec, '$.base.prompt'), "
    "json_extract(jobs.spec, '$.drawing.prompt'), '')"
)
"""Of a job, one a line; of a script what its cells begin with."""
