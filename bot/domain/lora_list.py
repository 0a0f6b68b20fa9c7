"""Several LoRAs in one line, `inkwash:0.8, neon`, as an option takes them, and how such a line is completed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from bot.domain.mentions import spoken
from bot.errors import UserFacingError

__all__ = ["LoraWish", "complete_loras", "last_lora", "read_loras"]

WEIGHTS = ("1", "0.8", "0.6", "0.4", "1.2")
"""What is offered behind a name that is complete."""
VALUE_CHARS = 100
"""Of a choice."""
COMMAS_MAX = 5
"""In a name."""
_WEIGHT = re.compile(r"-?\d{0,3}(?:\.\d{1,4})?")
_TAG = re.compile(r"<(?:lora|lyco):([^>]*)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LoraWish:
    """`weights` as behind the name of a tag: `0.8`, or `0.8:0.5` for text encoder and UNet."""

    name: str
    weights: str = "1"


def read_loras(text: str, known: Collection[str]) -> tuple[LoraWish, ...]:
    """Names with a comma in them are taken whole where `known` has them; whole tags are understood, too.

    Raises UserFacingError (`lora_weight`). Whether there are such LoRAs is the caller's question.
    """
    found: dict[str, LoraWish] = {}
    for part in _parts(_TAG.sub(lambda tag: tag[1], text), known):
        wish = _read(part, known)
        if wish.name:
            found[wish.name] = wish
    return tuple(found.values())


def complete_loras(
    typed: str, names: Sequence[str], search: Callable[[str, Sequence[str]], Sequence[str]], most: int
) -> list[str]:
    """What the whole line may become: its last name completed, or, where that is complete, weights for it. Lines that
    would be longer than a choice are left out; what is typed beyond that works all the same."""
    before, last = _last(typed, names)
    head = "".join(f"{part}, " for part in before)
    taken = {_read(part, names).name for part in before}
    name, colon, weight = last.partition(":")
    rows: list[str] = []
    if name in names and name not in taken:
        offered = [one for one in WEIGHTS if one.startswith(weight)] or [weight]
        rows = [f"{head}{name}:{one}" for one in offered]
        if not colon:
            rows.insert(0, f"{head}{name}")
    if not colon:
        left = [one for one in names if one not in taken]
        rows += [f"{head}{one}" for one in search(name.strip(), left)]
    return [row for row in dict.fromkeys(rows) if len(row) <= VALUE_CHARS][:most]


def last_lora(typed: str, names: Collection[str]) -> str:
    """What is typed of the last name, without weights: what `search` is asked for."""
    return _last(typed, names)[1].partition(":")[0].strip()


def _last(typed: str, names: Collection[str]) -> tuple[list[str], str]:
    *before, last = _parts(typed, names) or [""]
    if typed.rstrip().endswith(","):
        return ([*before, last] if last else before), ""
    return before, last


def _parts(text: str, known: Collection[str]) -> list[str]:
    """Cut at commas, but not within a name that is known."""
    found: list[str] = []
    pieces = text.split(",")
    while pieces:
        size = next(size for size in range(min(len(pieces), COMMAS_MAX + 1), 0, -1) if _is_one(pieces[:size], known))
        if whole := ",".join(pieces[:size]).strip():
            found.append(whole)
        pieces = pieces[size:]
    return found


def _is_one(pieces: Sequence[str], known: Collection[str]) -> bool:
    name, _, weights = ",".join(pieces).partition(":")
    return len(pieces) == 1 or (name.strip() in known and "," not in weights)


def _read(part: str, known: Collection[str]) -> LoraWish:
    if part in known:
        return LoraWish(part)
    name, *weights = (piece.strip() for piece in part.split(":"))
    # A comma is no decimal point here, for it begins the next name.
    if len(weights) > 2 or any(not weight or not _WEIGHT.fullmatch(weight) for weight in weights):
        raise UserFacingError("lora_weight", name=spoken(name))
    return LoraWish(name, ":".join(weights) or "1")
