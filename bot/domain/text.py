"""What is taken out of a text that a user typed or pasted before anything else reads it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

__all__ = ["Cleaned", "clean", "is_blank"]

_SILENT = frozenset("\u00ad\u200b\u2060\ufeff")
"""Invisible and without effect on what is beside them, so not missed: soft hyphen, zero-width space, joiner, BOM."""
_NEW_LINES = str.maketrans({"\r": "\n", "\u2028": "\n", "\u2029": "\n", "\v": "\n", "\f": "\n"})


@dataclass(frozen=True)
class Cleaned:
    text: str
    altered: bool
    """Something that could be seen has changed (a control character, a direction mark, a joined emoji): tell them."""


def clean(text: str) -> Cleaned:
    """Without control, format and surrogate characters; new lines and tabs stay, the ends are trimmed."""
    text = text.replace("\r\n", "\n").translate(_NEW_LINES)
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return Cleaned(text.strip(), altered=False)
    kept: list[str] = []
    altered = False
    for character in text:
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
            kept.append(character)
        else:
            altered = altered or character not in _SILENT
    return Cleaned("".join(kept).strip(), altered)


def is_blank(text: str) -> bool:
    """Nothing but white space and separators: no picture can be drawn from it."""
    return not text.strip(" \t\n,;")
