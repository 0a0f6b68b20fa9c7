"""Which tags somebody uses often, and how far that lifts them among suggestions (behaviours §23.2)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

__all__ = ["LEAST_USES", "PROMOTED_MAX", "USED_DAYS", "Weight", "bias", "lifted", "tags_of"]

Weight = Literal["Logarithmic (weak)", "Logarithmic (strong)", "Usage first"]
LEAST_USES = 3
"""Fewer count as none: a tag tried once is no habit."""
USED_DAYS = 30
PROMOTED_MAX = 10
TAGS_COUNTED_MAX = 60
"""Of one prompt."""
_WEIGHT = re.compile(r":\s*[0-9.]+\s*$")
_SIGNS = re.compile(r"(?<!\\)[()\[\]{}]")


def bias(count: int, uses: int, weight: Weight = "Logarithmic (weak)", *, least: int = LEAST_USES) -> float:
    """What suggestions are sorted by; `count` is how often the tag is used everywhere."""
    uses = uses if uses >= least else 0
    match weight:
        case "Usage first":
            return float(uses)
        case "Logarithmic (strong)":
            return math.log(1 + count) + 2 * math.log(1 + uses)
        case _:
            return math.log(1 + count) + math.log(1 + uses)


def lifted(found: Sequence[tuple[str, int]], uses: Mapping[str, int]) -> list[str]:
    """Names in a new order: of `found` (name and count, by rank) at most ten that are used often go up as far as their
    bias takes them; all others keep their order."""
    counts = dict(found)
    habits = sorted((name for name in counts if uses.get(name, 0) >= LEAST_USES), key=lambda name: -uses[name])
    promoted = {name: bias(counts[name], uses[name]) for name in habits[:PROMOTED_MAX]}
    order = [(name, bias(counts[name], 0)) for name in counts if name not in promoted]
    for name, own in sorted(promoted.items(), key=lambda pair: pair[1]):
        place = next((at for at, (_, other) in enumerate(order) if other <= own), len(order))
        order.insert(place, (name, own))
    return [name for name, _ in order]


def tags_of(prompt: str) -> list[str]:
    """What a prompt holds between commas, plain: without weights, brackets and escapes, each once."""
    found: dict[str, None] = {}
    for part in re.split(r"[,\n|]", re.sub(r"<[^<>]*>", ",", prompt)):
        text = _WEIGHT.sub("", _SIGNS.sub("", part)).replace("\\", "")
        if text := " ".join(text.split()):
            found[text] = None
    return list(found)[:TAGS_COUNTED_MAX]
