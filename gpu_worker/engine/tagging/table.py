"""The table beside a tagger: which number of its output is which tag, and of what category."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.engine.errors import EngineError
from gpu_worker.language.taggers import TABLE, table_path

__all__ = ["CHARACTER", "GENERAL", "TagRow", "read_table"]

GENERAL, CHARACTER = 0, 4
"""Categories as Danbooru numbers them; 9 are ratings."""
TABLE_BYTES_MAX = 32 << 20
NAME_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class TagRow:
    name: str
    category: int


def read_table(model: Path) -> tuple[TagRow, ...]:
    """In the order of the model's outputs. Raises EngineError `bad_model` where there is none, or where it is no such
    table: its columns `name` and `category` count, as in `tag_id,name,category,count`."""
    path = table_path(model)
    if path is None:
        raise _bad(model, "no_tags", f"{TABLE} is missing beside {model}")
    try:
        if path.stat().st_size > TABLE_BYTES_MAX:
            raise _bad(model, "bad_tags", f"{path} is too large")
        with path.open(encoding="utf-8", newline="") as file:
            rows = [TagRow(row["name"].strip(), int(row["category"])) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _bad(model, "bad_tags", f"{path}: {error!r}") from error
    if not rows or any(not row.name or len(row.name) > NAME_CHARS_MAX for row in rows):
        raise _bad(model, "bad_tags", f"{path} holds no tags, or some without a name")
    return tuple(rows)


def _bad(model: Path, problem: str, message: str) -> EngineError:
    name = model.parent.name if model.stem.lower() == "model" else model.stem
    return EngineError("bad_model", message, {"tagger": name, "problem": problem})
