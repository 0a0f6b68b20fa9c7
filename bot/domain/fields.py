"""A parameter line, `Steps: 20, CFG scale: 7, …`: written from wishes and read back, in A1111's keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bot.domain import values
from bot.domain.mentions import spoken
from bot.domain.parameters import Parameters
from bot.domain.wishes import WISHES, Wish
from bot.errors import UserFacingError
from gpu_worker.language.infotext import quote

__all__ = ["FieldsRead", "line_of", "read_fields", "shown_fields"]

_ALIASES: Mapping[str, str] = MappingProxyType(
    {"eta ddim": "eta", "checkpoint": "model", "schedule": "schedule type", "scheduler": "schedule type",
     "cfg": "cfg scale", "codeformer weight": "face restoration weight",
     "denoising": "denoising strength", "batch count": "count", "noise seed delta": "ensd"}
)  # fmt: skip
_BY_KEY = {wish.key.casefold(): wish for wish in WISHES}
_SAY_NOTHING = frozenset(
    {"model hash", "vae hash", "lora hashes", "ti hashes", "hypernet hashes", "version", "user", "init image hash",
     "template", "negative template"}
)  # fmt: skip
"""Keys of A1111 that no picture depends on."""
_SIZES = {"size", "hires resize", "seed resize from"}
_ON_THE_SURFACE = frozenset({"sampler", "schedule"})
"""A form shows these apart from the line."""


@dataclass(frozen=True)
class FieldsRead:
    parameters: Parameters
    unused: tuple[str, ...] = ()
    """Keys that mean nothing here."""


def shown_fields(wishes: Parameters, leave_out: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    """Key → the fields of `Parameters` that a line of `wishes` says by it, in the order of the line."""
    left_out = {*_ON_THE_SURFACE, *leave_out}
    shown: dict[str, tuple[str, ...]] = {}
    for wish in WISHES:
        if wish.field in left_out or getattr(wishes, wish.field) is None:
            continue
        if wish.field in ("width", "height") and wishes.width is not None and wishes.height is not None:
            shown["Size"] = ("width", "height")
        else:
            shown[wish.key] = (wish.field,)
    return shown


def line_of(wishes: Parameters, leave_out: Iterable[str] = ()) -> str:
    """Without sampler and schedule, and without the fields of `leave_out`."""
    parts: list[str] = []
    for key, named in shown_fields(wishes, leave_out).items():
        if key == "Size":
            parts.append(f"Size: {wishes.width}x{wishes.height}")
        else:
            wish = _BY_KEY[key.casefold()]
            parts.append(f"{key}: {quote(values.plain(getattr(wishes, named[0]), wish.words))}")
    return ", ".join(parts)


def read_fields(given: Mapping[str, str]) -> FieldsRead:
    """`given` as `parse_fields` makes it: sizes in two keys. Upper and lower case alike; empty values are no wish.

    Raises UserFacingError: `parameter_not_number`, `parameter_choice`, `parameter_value`.
    """
    joined, unused = _joined(given), list[str]()
    wishes: dict[str, Any] = {}
    for key, (named, text) in joined.items():
        plain = _ALIASES.get(key, key)
        if plain == "size" and text:
            wishes["width"], wishes["height"] = _read(_SIZE, named, text)
        elif plain in _BY_KEY:
            if text or plain in ("hires prompt", "hires negative prompt"):
                wish = _BY_KEY[plain]
                wishes[wish.field] = _read(wish, named, text)
        elif plain != "size" and plain not in _SAY_NOTHING:
            unused.append(named)
    return FieldsRead(Parameters(**wishes), tuple(unused))


_SIZE = Wish("size", "Size", ("size",), values.size, "512x768")


def _joined(given: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Folded key → (key as it stands there, value), with the two halves of a size as one value again."""
    found: dict[str, tuple[str, str]] = {}
    for key, value in given.items():
        stem, dash, half = key.rpartition("-")
        if dash and half in ("1", "2") and stem.casefold() in _SIZES:
            if half == "1":
                found[stem.casefold()] = (stem, f"{value.strip()}x{given.get(f'{stem}-2', '').strip()}")
        else:
            found[key.casefold()] = (key, value.strip())
    return found


def _read(wish: Wish, key: str, text: str) -> Any:
    try:
        return wish.read(text)
    except ValueError as error:
        if wish.options:
            raise UserFacingError(
                "parameter_choice", name=spoken(key), value=spoken(text), options=", ".join(wish.options)
            ) from error
        if wish.read in (values.whole, values.decimal):
            raise UserFacingError("parameter_not_number", name=spoken(key), value=spoken(text[:40])) from error
        raise UserFacingError("parameter_value", name=spoken(key), value=spoken(text), example=wish.example) from error
