"""Prompt attention: `(more)`, `[less]`, `(exact:1.3)`, escapes and BREAK, as A1111 reads them."""

from __future__ import annotations

import math
import re

__all__ = ["BREAK", "ROUND_WEIGHT", "parse_attention"]

BREAK = ("BREAK", -1.0)
"""The marker between chunks. Inside brackets it is multiplied like any text and so stops being a marker."""

ROUND_WEIGHT = 1.1

_TOKEN = re.compile(
    r"""(?P<escape>\\[()\[\]\\])
      | (?P<slash>\\)
      | (?P<open>[(\[])
      | :\s*(?P<number>[+-]?[.\d]+)\s*\)
      | (?P<close>[)\]])
      | (?P<text>[^\\()\[\]:]+|:)""",
    re.VERBOSE,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_OPENER = {")": "(", "]": "["}


def parse_attention(prompt: str) -> list[tuple[str, float]]:
    """Texts with their weights, in order; `BREAK` entries stand between chunks. Never empty, never raises.

    Weights are unbounded and may be zero or negative. A number that is no finite float (`(a:1..2)`, where A1111 raises)
    is literal text.
    """
    found: list[tuple[str, float]] = []
    openers: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(start: int, factor: float) -> None:
        for index in range(start, len(found)):
            text, weight = found[index]
            found[index] = (text, weight * factor)

    def write(text: str) -> None:
        for index, part in enumerate(_BREAK.split(text)):
            if index:
                found.append(BREAK)
            found.append((part, 1.0))

    for token in _TOKEN.finditer(prompt):
        kind, text = token.lastgroup, token.group()
        if kind == "escape":
            found.append((text[1], 1.0))
        elif kind == "open":
            openers[text].append(len(found))
        elif kind == "number":
            weight = _weight(token["number"])
            if openers["("] and weight is not None:
                weigh(openers["("].pop(), weight)
            else:
                found.append((text[:-1] if openers["("] else text, 1.0))
                if openers["("]:
                    weigh(openers["("].pop(), ROUND_WEIGHT)
        elif kind == "close" and openers[_OPENER[text]]:
            weigh(openers[_OPENER[text]].pop(), ROUND_WEIGHT if text == ")" else 1 / ROUND_WEIGHT)
        elif kind != "slash":
            write(text)
    for start in openers["("]:
        weigh(start, ROUND_WEIGHT)
    for start in openers["["]:
        weigh(start, 1 / ROUND_WEIGHT)
    return _merged(found) or [("", 1.0)]


def _weight(number: str) -> float | None:
    try:
        weight = float(number)
    except ValueError:
        return None
    return weight if math.isfinite(weight) else None


def _merged(found: list[tuple[str, float]]) -> list[tuple[str, float]]:
    merged: list[tuple[str, float]] = []
    for text, weight in found:
        if merged and merged[-1][1] == weight:
            merged[-1] = (merged[-1][0] + text, weight)
        else:
            merged.append((text, weight))
    return merged
