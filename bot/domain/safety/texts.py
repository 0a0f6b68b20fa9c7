"""All words that steer a job's pictures, wherever in its spec they stand, and the pictures that it starts from.

Specs are walked by their fields, so a part that is added later (a second prompt, a region's, a control picture) is
judged without anybody remembering to name it here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from gpu_worker.language.detectors import DRAWN, detail_prompts
from gpu_worker.protocol.specs import ControlUnit, Drawing, ImageRef, Mask, Train

__all__ = ["Steering", "given_refs", "steering_of"]

_PROMPT = re.compile(r"(?:^|_)(?:prompts?|texts?|words|phrases?|description)$")
_NEGATIVE = re.compile(r"(?:^|_)negative")
_APART = frozenset({"template", "texts"})
"""A record of what texts were drawn from, and texts of which each is one picture's own."""


@dataclass
class Steering:
    each: list[str] = field(default_factory=list[str])
    """What pictures are steered toward, each alone; a picture goes through one of these …"""
    shared: list[str] = field(default_factory=list[str])
    """… and through all of these."""
    away: list[str] = field(default_factory=list[str])
    """What they are steered from."""
    names: list[str] = field(default_factory=list[str])
    """Checkpoints, which steer, too, but whose makers call them anything."""

    @property
    def whole(self) -> list[str]:
        """One text for each picture that may come out: a refused meaning can be put together from harmless parts."""
        shared = list(dict.fromkeys(self.shared))
        return [" , ".join((one, *shared)) for one in dict.fromkeys(self.each)] or [" , ".join(shared)]

    @property
    def parts(self) -> list[str]:
        """Each alone, so that the syntax of one hides nothing of another."""
        return list(dict.fromkeys((*self.each, *self.shared)))


def steering_of(task: BaseModel) -> Steering:
    if isinstance(task, Train):
        return _taught(task)
    found = Steering()
    for name in type(task).model_fields:
        if name == "prompt" and isinstance(task, Drawing):
            found.each = [task.prompt, *(own.prompt for own in task.texts)]
            found.away += [own.negative_prompt for own in task.texts if own.negative_prompt]
        else:
            _sort(name, getattr(task, name), found)
    if isinstance(task, Drawing):
        found.each += _of_finds(task)
    found.each = [text for text in found.each if text.strip()]
    return found


def _taught(task: Train) -> Steering:
    """What is learnt goes through the caption of a picture, and through whatever stands beside all captions."""
    found = Steering(names=[task.checkpoint])
    shared = [task.output_name, task.parameters.training_comment]
    for subset, image in task.images():
        if image.caption is not None:
            found.each.append(image.caption)
        shared += [subset.class_tokens, subset.rules.caption_prefix, subset.rules.caption_suffix]
    found.each = [text for text in dict.fromkeys(found.each) if text.strip()]
    found.shared = [text for text in dict.fromkeys(shared) if text.strip()]
    return found


def _of_finds(task: Drawing) -> list[str]:
    """What finds are drawn with where the picture's own text is put into theirs: two halves may make a word."""
    own = dict.fromkeys((task.prompt, *(text.prompt for text in task.texts)))
    words = [unit.prompt for unit in task.details if DRAWN in unit.prompt]
    return [text for drawn in own for each in words for text in detail_prompts(each, drawn) if text]


def _sort(name: str, value: Any, found: Steering) -> None:
    if name in _APART:
        return
    if isinstance(value, BaseModel):
        for inner in type(value).model_fields:
            _sort(inner, getattr(value, inner), found)
    elif isinstance(value, list | tuple):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            _sort(name, one, found)
    elif isinstance(value, str) and value.strip():
        if _NEGATIVE.search(name):
            found.away.append(value)
        elif _PROMPT.search(name):
            found.shared.append(value)
        elif name == "checkpoint":
            found.names.append(value)


def given_refs(task: BaseModel) -> Iterator[ImageRef]:
    """Every picture that a job looks at, but masks, which only say where."""
    for name in type(task).model_fields:
        if not (isinstance(task, ControlUnit) and name == "mask"):
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
