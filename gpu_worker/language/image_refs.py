"""The pictures that a message names, wherever in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeVar, cast

from pydantic import BaseModel

from gpu_worker.protocol.specs import ImageRef

__all__ = ["images_in", "texts_in"]

T = TypeVar("T")
_ADDRESS = re.compile(r"[0-9a-f]{64}")


def images_in(message: BaseModel) -> dict[str, ImageRef]:
    """What the bot has put for a worker, by address, each once."""
    return {ref.ref: ref for ref in _walk(message, ImageRef) if _ADDRESS.fullmatch(ref.ref)}


def texts_in(message: BaseModel) -> str:
    """Every word in it."""
    return "\n".join(_walk(message, str))


def _walk(value: object, kind: type[T]) -> Iterator[T]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _walk(getattr(value, field), kind)
    elif isinstance(value, tuple):
        for each in cast("tuple[object, ...]", value):
            yield from _walk(each, kind)
