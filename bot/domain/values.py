"""Reading one value as people type it, and writing it as A1111 does. A reader raises ValueError for what it is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

__all__ = ["aspect", "choice", "decimal", "extension", "name", "plain", "size", "switch", "whole"]

_WHOLE = re.compile(r"[+-]?\d{1,20}")
_DECIMAL = re.compile(r"-?(?:\d{1,9}(?:[.,]\d{0,9})?|[.,]\d{1,9})")
_SIZE = re.compile(r"(\d{1,5})\s*[x×*]\s*(\d{1,5})", re.IGNORECASE)
_ASPECT = re.compile(r"([1-9]\d?)\s*[:x×/]\s*([1-9]\d?)")
_SIDE = re.compile(r"([a-z]+)\s*[:=]\s*(\d{1,5})", re.IGNORECASE)
_YES, _NO = frozenset({"on", "true", "yes", "1", "sí", "si"}), frozenset({"off", "false", "no", "0"})
_SIDES = {"left": 0, "l": 0, "right": 1, "r": 1, "top": 2, "up": 2, "t": 2, "bottom": 3, "down": 3, "b": 3}
_NAME_CHARS = 300
_SIDE_DIGITS = 5


def whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    return int(text)


def decimal(text: str) -> float:
    """Point or comma."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return float(text.replace(",", "."))


def switch(text: str, words: tuple[str, str] = ("True", "False")) -> bool:
    """`words` are what A1111 writes for on and off."""
    wanted = text.casefold()
    if wanted in _YES or wanted == words[0].casefold():
        return True
    if wanted in _NO or wanted == words[1].casefold():
        return False
    raise ValueError(text)


def choice(text: str, options: Sequence[str]) -> str:
    """The option that is meant, whatever its case, its spaces and its hyphens."""
    wanted = _squeezed(text)
    for option in options:
        if _squeezed(option) == wanted:
            return option
    raise ValueError(text)


def name(text: str) -> str:
    if not text.strip() or len(text) > _NAME_CHARS:
        raise ValueError(text)
    return " ".join(text.split())


def size(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return int(found[1]), int(found[2])


def aspect(text: str) -> str:
    found = _ASPECT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return f"{found[1]}:{found[2]}"


def extension(text: str) -> tuple[int, int, int, int]:
    """`left:64,top:32`, the four in the order left, right, top, bottom, or one number for every side."""
    plain = [part.strip() for part in text.split(",")]
    if len(plain) in (1, 4) and all(part.isdecimal() and len(part) <= _SIDE_DIGITS for part in plain):
        left, right, top, bottom = map(int, plain * (4 // len(plain)))
        return left, right, top, bottom
    sides = [0, 0, 0, 0]
    for part in re.split(r"[,;\s]+", text.strip()):
        found = _SIDE.fullmatch(part)
        if found is None or found[1].lower() not in _SIDES:
            raise ValueError(text)
        sides[_SIDES[found[1].lower()]] = int(found[2])
    return sides[0], sides[1], sides[2], sides[3]


def plain(value: object, words: tuple[str, str] = ("True", "False")) -> str:
    """As a parameter line holds it; the reader of its kind gives `value` back."""
    if isinstance(value, bool):
        return words[0] if value else words[1]
    if isinstance(value, float):
        return f"{value:.12g}"
    if not isinstance(value, tuple):
        return str(value)
    pixels = [str(part) for part in cast("tuple[int, ...]", value)]
    if len(pixels) == 2:
        return "x".join(pixels)
    sides = zip(("left", "right", "top", "bottom"), pixels, strict=True)
    return " ".join(f"{side}:{part}" for side, part in sides if part != "0") or "0"


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_-]+", "", text).casefold()
