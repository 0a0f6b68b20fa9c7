"""Prompt attention: `(more)`, `[less]`, `(exact:1.3)`, escapes and BREAK, as A1111 reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

__all__ = ["BREAK", "ROUND_WEIGHT", "format_attention", "parse_attention"]

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
_BREAK_WORD = re.compile(r"\bBREAK\b")
_SPECIAL = re.compile(r"[\\()\[\]]")
_OPENER = {")": "(", "]": "["}


def parse_attention(prompt: str) -> list[tuple[str, float]]:
    """Texts with their weights, in order; `BREAK` entries stand between chunks. Never empty, never raises.

    Weights are unbounded and may be zero or negative. A number that is no finite float (`(a:1..2)`, where A1111 raises)
    is literal text.
    """
    texts: list[str] = []
    weights: list[float] = []
    openers: dict[str, list[int]] = {"(": [], "[": []}

    def write(text: str, weight: float = 1.0) -> None:
        texts.append(text)
        weights.append(weight)

    def weigh(start: int, factor: float) -> None:
        # In A1111's order, innermost first: the last bit of a product depends on it, and neighbours merge if equal.
        weights[start:] = [weight * factor for weight in weights[start:]]

    for token in _TOKEN.finditer(prompt):
        kind, text = token.lastgroup, token.group()
        if kind == "escape":
            write(text[1])
        elif kind == "open":
            openers[text].append(len(texts))
        elif kind == "number":
            weight = _weight(token["number"])
            if openers["("] and weight is not None:
                weigh(openers["("].pop(), weight)
            else:
                write(text[:-1] if openers["("] else text)
                if openers["("]:
                    weigh(openers["("].pop(), ROUND_WEIGHT)
        elif kind == "close" and openers[_OPENER[text]]:
            weigh(openers[_OPENER[text]].pop(), ROUND_WEIGHT if text == ")" else 1 / ROUND_WEIGHT)
        elif kind != "slash":
            for index, part in enumerate(_BREAK.split(text)):
                if index:
                    write(*BREAK)
                write(part)
    for start in openers["("]:
        weigh(start, ROUND_WEIGHT)
    for start in openers["["]:
        weigh(start, 1 / ROUND_WEIGHT)
    return _merged(texts, weights) or [("", 1.0)]


def format_attention(parts: Sequence[tuple[str, float]]) -> str:
    """A prompt that `parse_attention` reads as these parts again, but for empty texts. Weights must be finite."""
    return "".join(_written(text, weight) for text, weight in parts if text)


def _written(text: str, weight: float) -> str:
    if (text, weight) == BREAK:
        return "\\BREAK\\"  # dropped backslashes, so that no white space beside it is swallowed
    marker = text == BREAK[0] and weight < 0
    escaped = text if marker else _BREAK_WORD.sub(r"B\\REAK", _SPECIAL.sub(r"\\\g<0>", text))
    if weight == 1 and not marker:
        return escaped
    return f"({escaped}:{format(Decimal(repr(-weight if marker else weight)), 'f')})"


def _weight(number: str) -> float | None:
    try:
        weight = float(number)
    except ValueError:
        return None
    return weight if math.isfinite(weight) else None


def _merged(texts: list[str], weights: list[float]) -> list[tuple[str, float]]:
    merged: list[tuple[list[str], float]] = []
    for text, weight in zip(texts, weights, strict=True):
        if merged and merged[-1][1] == weight:
            merged[-1][0].append(text)
        else:
            merged.append(([text], weight))
    return [("".join(parts), weight) for parts, weight in merged]
