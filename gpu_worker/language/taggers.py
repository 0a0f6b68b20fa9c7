"""Where the list of tags of a tagger lies, which it is nothing without."""

from __future__ import annotations

from pathlib import Path

__all__ = ["TABLE", "table_path"]

TABLE = "selected_tags.csv"
"""Its usual name, in a folder of its own beside the model."""


def table_path(model: Path) -> Path | None:
    """`<stem>.csv` where several taggers share a folder, else the usual name; None where there is none."""
    places = (model.with_suffix(".csv"), model.with_name(f"{model.stem}.{TABLE}"), model.with_name(TABLE))
    return next((place for place in places if place.is_file()), None)
