"""What /history shows: which pictures, and where somebody is in them. Pure; queries and cards are elsewhere."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.ids import ImageId
from bot.errors import UserFacingError

__all__ = [
    "PAGE", "PAGES_MAX", "Desk", "Kin", "Wanted", "lineage_lines", "moment_of", "searched_words", "shown_moment",
]  # fmt: skip

PAGE = 9
"""Pictures on a page: a gallery shows nine as three rows of three."""
PAGES_MAX = 1000
"""A page's number has three digits in an address."""
SEARCH_CHARS = 200
NAME_CHARS = 100
CHOSEN_MAX = 200
_DAY_S = 24 * 3600.0
_AGO = re.compile(r"(\d{1,4})\s*([a-zñáí]+)", re.IGNORECASE)
_UNITS = {
    "d": 1, "day": 1, "days": 1, "día": 1, "días": 1, "dia": 1, "dias": 1,
    "w": 7, "week": 7, "weeks": 7, "s": 7, "sem": 7, "semana": 7, "semanas": 7,
    "m": 30, "month": 30, "months": 30, "mes": 30, "meses": 30,
    "y": 365, "year": 365, "years": 365, "a": 365, "año": 365, "años": 365,
}  # fmt: skip
_DATE = re.compile(r"(\d{4})[-./](\d{1,2})(?:[-./](\d{1,2}))?")
_WORDS = re.compile(r'"([^"]+)"|(\S+)')

Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]


class Wanted(BaseModel):
    """Which pictures. Times are Unix seconds; `until` is no longer part of the span."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: str = Field(default="", max_length=SEARCH_CHARS)
    model: Name | None = None
    """Part of a checkpoint's name."""
    lora: Name | None = None
    """A LoRA's name as it stands in the prompt, or its beginning."""
    since: float | None = None
    until: float | None = None
    favourites: bool = False
    stranded: bool = False
    """Only what could not be brought to its user."""

    @property
    def everything(self) -> bool:
        return self == Wanted()


class Desk(BaseModel):
    """What somebody looks at. `member` and `guild` are set where an admin looks at what a member made public there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wanted: Wanted = Wanted()
    page: int = Field(default=0, ge=0, lt=PAGES_MAX)
    opened: str | None = None
    """A picture."""
    choosing: bool = False
    """Pictures are chosen, to be deleted or exported together."""
    chosen: tuple[str, ...] = Field(default=(), max_length=CHOSEN_MAX)
    member: int | None = None
    guild: int | None = None

    @property
    def own(self) -> bool:
        return self.member is None


def searched_words(text: str) -> list[str]:
    """The words that a prompt must all contain; a quoted phrase counts as one."""
    return [" ".join((phrase or word).split()) for phrase, word in _WORDS.findall(text) if (phrase or word).strip()]


def moment_of(text: str, *, end: bool = False, now: float | None = None) -> float | None:
    """`2026-11-03`, `2026-11`, or `3d`, `2 weeks`, `1 mes` ago (UTC); None for an empty text. With `end` a day or month
    counts as a whole. Raises UserFacingError (`date_unreadable`)."""
    text = text.strip()
    if not text:
        return None
    if ago := _AGO.fullmatch(text):
        days = _UNITS.get(ago[2].casefold())
        if days is not None:
            return (time.time() if now is None else now) - int(ago[1]) * days * _DAY_S
    if date := _DATE.fullmatch(text):
        year, month, day = int(date[1]), int(date[2]), int(date[3]) if date[3] else None
        try:
            start = datetime(year, month, day or 1, tzinfo=UTC)
            if not end:
                return start.timestamp()
            if day is not None:
                return start.timestamp() + _DAY_S
            return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            pass
    raise UserFacingError("date_unreadable", text=text[:40])


def shown_moment(at: float | None, *, end: bool = False) -> str:
    """As `moment_of` reads it again."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at - 1 if end else at, UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Kin:
    """A picture in a lineage tree."""

    id: ImageId
    parent: ImageId | None
    action: str
    created_at: float
    here: bool = False
    """The one that the tree is about."""


def lineage_lines(kin: Sequence[Kin], say: Callable[[Kin], str], limit: int) -> list[str]:
    """The tree as lines, parents before their children, oldest first; at most `limit`, the one it is about among them.

    A parent that is not in `kin` makes its child a root. Rings, which no honest table holds, are cut.
    """
    ids = {one.id for one in kin}
    children: dict[ImageId | None, list[Kin]] = {}
    for one in sorted(kin, key=lambda each: each.created_at):
        children.setdefault(one.parent if one.parent in ids else None, []).append(one)
    lines: list[str] = []
    place = 0
    seen: set[ImageId] = set()
    pending = [(one, "", "") for one in reversed(children.get(None, []))]
    while pending:
        one, before, branch = pending.pop()
        if one.id in seen:
            continue
        seen.add(one.id)
        if one.here:
            place = len(lines)
        lines.append(f"{before}{branch}{say(one)}")
        below = children.get(one.id, [])
        deeper = before + {"": "", "├ ": "│ ", "└ ": "\u2007 "}[branch]
        for number, child in enumerate(reversed(below)):
            pending.append((child, deeper, "└ " if number == 0 else "├ "))
    if len(lines) <= limit:
        return lines
    first = min(max(0, place - limit // 2), len(lines) - limit)
    return lines[first : first + limit]
