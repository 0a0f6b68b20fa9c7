"""Showing a user's text without letting it act: no ping, no mention, no markdown, no link."""

from __future__ import annotations

import re

__all__ = ["neutral", "spoken"]

_ZERO_WIDTH = "\u200b"
# Pings are found by the server in the raw text, where a backslash does not help; hence a zero-width space. Markdown is
# read by the client, which takes a backslash before any sign that is neither a letter, a digit nor white space.
_MENTION = re.compile(r"<(?=[@#:/tai])|@|(?<=[a-zA-Z]):(?=//)")
_INLINE = re.compile(r"[\\*_~`|\[\]]")
_LINE_START = re.compile(r"(?m)^(\s*)([#>+-]|\d+(?=[.)]))")
_CUT = "…"
_SPOKEN_CHARS = 80


def neutral(text: str, limit_chars: int | None = None) -> str:
    """`text` as it reads, inert. With `limit_chars` the result is at most that long and ends in "…" where cut."""
    shown = _inert(text)
    if limit_chars is None or len(shown) <= limit_chars:
        return shown
    # Every character grows by one or two at most, so the cut is found from below in few steps.
    low, high = 0, min(len(text), limit_chars)
    while low < high:
        middle = (low + high + 1) // 2
        if len(_inert(text[:middle].rstrip())) + len(_CUT) <= limit_chars:
            low = middle
        else:
            high = middle - 1
    return (_inert(text[:low].rstrip()) + _CUT)[:limit_chars]


def spoken(name: str) -> str:
    """A name as a sentence may repeat it: inert and short."""
    return neutral(" ".join(name.split()), _SPOKEN_CHARS)


def _inert(text: str) -> str:
    text = _INLINE.sub(r"\\\g<0>", text)
    text = _LINE_START.sub(lambda match: f"{match[1]}{_ZERO_WIDTH if match[2].isdigit() else chr(92)}{match[2]}", text)
    return _MENTION.sub(lambda match: match[0] + _ZERO_WIDTH, text)
