"""Words and numbers of a remote worker that people may get to see: bounded, printable, and of this job."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.looking import SeenText
from gpu_worker.protocol.results import Captioned, Captions, Description, Tag
from gpu_worker.protocol.specs import Caption

__all__ = ["STEPS_MAX", "checked_captions", "checked_description", "checked_detail", "one_line", "seconds", "told"]

STEPS_MAX = 2**31
SECONDS_MAX = 30 * 24 * 3600.0
PHASE_CHARS = 60
LOG_CHARS = 500
VALUE_CHARS = 200
VALUES_MAX = 16
_KEY = re.compile(r"[a-z_]{1,40}")


def one_line(text: str, limit: int = LOG_CHARS) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:limit])


def seconds(said: float) -> float:
    """What a worker says that something took: the learnt speeds and people's shares are made of it."""
    return min(max(said, 0.0), SECONDS_MAX) if math.isfinite(said) else 0.0


def told(progress: m.Progress) -> m.Progress:
    """Numbers that a card can hold."""
    eta_s, training = progress.eta_s, progress.training
    if training is not None and max(training.epochs, training.epoch, training.step, training.total_steps) > STEPS_MAX:
        training = None
    update = {
        "n": _count(progress.n), "step": _count(progress.step), "of": _count(progress.of),
        "phase": one_line(progress.phase, PHASE_CHARS), "training": training,
        "eta_s": seconds(eta_s) if eta_s is not None and math.isfinite(eta_s) else None,
    }  # fmt: skip
    return progress.model_copy(update=update)


def _count(said: int) -> int:
    return min(max(said, 0), STEPS_MAX)


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
