"""What a worker says where its result is neither a picture nor a model file: JSON, as one more output of `Done`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gpu_worker.protocol.specs import TRAIN_IMAGES_MAX, Wire

__all__ = ["TEXT_MIME", "Captioned", "Captions", "Description", "Tag"]

TEXT_MIME = "application/json"


class Tag(Wire):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """As the tagger's table has it, with its underscores."""
    score: float = Field(ge=0, le=1)


class Description(Wire):
    """What `Describe` found, best first."""

    general: tuple[Tag, ...] = Field(default=(), max_length=1000)
    character: tuple[Tag, ...] = Field(default=(), max_length=1000)
    width: int = Field(default=0, ge=0)
    height: int = Field(default=0, ge=0)
    """Of the picture in pixels, upright; 0 where nobody said."""
    infotext: str | None = Field(default=None, max_length=100_000)
    """How the picture was made, as A1111 would write it, where it says so itself; of whatever program."""


class Captioned(Wire):
    """One picture of a `Caption`."""

    id: str
    caption: str = Field(default="", max_length=40_000)
    scores: tuple[float, ...] = Field(default=(), max_length=1000)
    """Of the caption's tags, in their order."""
    problem: str | None = None
    """Why it has no caption: `unreadable`, `gone`, `failed`."""


class Captions(Wire):
    """What `Caption` wrote, in the order of its pictures."""

    pictures: tuple[Captioned, ...] = Field(default=(), max_length=TRAIN_IMAGES_MAX)
