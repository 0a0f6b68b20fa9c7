"""Words and numbers of a remote worker that people may get to see: bounded, printable, and of this job."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from gpu_worker.protocol.looking import SeenText
from gpu_worker.protocol.results import Captioned, Captions, Description, Tag
from gpu_worker.protocol.specs import Caption

__all__ = ["checked_captions", "checked_description", "checked_detail", "one_line"]

LOG_CHARS = 500
VALUE_CHARS = 200
VALUES_MAX = 16
_KEY = re.compile(r"[a-z_]{1,40}")


def one_line(text: str, limit: int = LOG_CHARS) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:limit])


def checked_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """As `Failed.detail`: what a sentence may name. Anything else than short words and plain numbers is left out."""
    found: dict[str, Any] = {}
    for key, value in list(detail.items())[:VALUES_MAX]:
        if _KEY.fullmatch(key) is None:
            continue
        if isinstance(value, str):
            found[key] = one_line(value, VALUE_CHARS)
        elif isinstance(value, bool | int | float) and math.isfinite(value) and abs(value) < 2**53:
            found[key] = value
    return found


def checked_description(said: Description, seen: SeenText | None) -> Description:
    """Tags are the worker's to find; size and text the picture's own, as we read it."""
    return Description(
        general=_tags(said.general),
        character=_tags(said.character),
        width=seen.width if seen is not None else 0,
        height=seen.height if seen is not None else 0,
        infotext=(seen.foreign or None) if seen is not None and len(seen.foreign) <= 100_000 else None,
    )


def checked_captions(said: Captions, task: Caption) -> Captions:
    """Raises ValueError where they are not those of the pictures that were asked for."""
    if [one.id for one in said.pictures] != [one.id for one in task.pictures]:
        raise ValueError("captions of other pictures")
    return Captions(pictures=tuple(_captioned(one) for one in said.pictures))


def _captioned(one: Captioned) -> Captioned:
    problem = one.problem if one.problem in (None, "unreadable", "gone", "failed") else "failed"
    scores = tuple(min(max(score, 0.0), 1.0) if math.isfinite(score) else 0.0 for score in one.scores)
    return Captioned(id=one.id, caption=one_line(one.caption, 40_000), scores=scores, problem=problem)


def _tags(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
    return tuple(tag for tag in tags if tag.name.isprintable())
