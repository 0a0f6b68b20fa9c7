"""All words that steer a job's pictures, wherever in its spec they stand, and the pictures that it starts from.

Specs are walked by their fields, so a part that is added later (a second prompt, a region's, a control picture) is
judged without anybody remembering to name it here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from gpu_worker.protocol.specs import ImageRef, Mask

__all__ = ["Steering", "given_refs", "steering_of"]

_PROMPT = re.compile(r"(?:^|_)(?:prompts?|texts?|words|phrases?|description|template)$")
_NEGATIVE = re.compile(r"(?:^|_)negative")


class Steering:
    """`towards` is what pictures are steered toward, `away` what from; `names` are checkpoints, which steer, too, but
    whose makers call them anything."""

    def __init__(self) -> None:
        self.towards: list[str] = []
        self.away: list[str] = []
        self.names: list[str] = []

    @property
    def together(self) -> str:
        """All of it as one text, because one picture goes through it all; without doubles."""
        return " , ".join(dict.fromkeys(self.towards))


def steering_of(task: BaseModel) -> Steering:
    found = Steering()
    _walk(task, found)
    return found


def _walk(part: BaseModel, found: Steering) -> None:
    for name in type(part).model_fields:
        _sort(name, getattr(part, name), found)


def _sort(name: str, value: Any, found: Steering) -> None:
    if isinstance(value, BaseModel):
        _walk(value, found)
    elif isinstance(value, list | tuple):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            _sort(name, one, found)
    elif isinstance(value, str) and value.strip():
        if _NEGATIVE.search(name):
            found.away.append(value)
        elif _PROMPT.search(name):
            found.towards.append(value)
        elif name == "checkpoint":
            found.names.append(value)


def given_refs(task: BaseModel) -> Iterator[ImageRef]:
    """Every picture that a job looks at, but masks, which only say where."""
    for name in type(task).model_fields:
        yield from _refs(getattr(task, name))


def _refs(value: Any) -> Iterator[ImageRef]:
    if isinstance(value, ImageRef):
        yield value
    elif isinstance(value, Mask):
        return
    elif isinstance(value, BaseModel):
        yield from given_refs(value)
    elif isinstance(value, list | tuple):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _refs(one)
