"""Tag lists in the usual format, `name,type,count,"aliases"` without a header (behaviours §23.2)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["KINDS", "Tag", "folded", "merged", "read_rows", "tags_in"]

KINDS = ("general", "artist", "copyright", "character", "meta", "species", "lore", "other")
_KINDS_OF_DANBOORU = {0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta"}
_KINDS_OF_E621 = _KINDS_OF_DANBOORU | {5: "species", 7: "meta", 8: "lore"}
NAME_CHARS_MAX = 100
ALIASES_MAX = 30
COUNT_MAX = 2**53


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    """As in the list, with underscores."""
    kind: str = "general"
    count: int = 0
    aliases: tuple[str, ...] = ()


def folded(text: str) -> str:
    """What tags are found by: without case, with underscores for spaces."""
    return "_".join(text.casefold().split())


def read_rows(text: str) -> list[list[str]]:
    """Fields may be quoted, with doubled quotes. Never raises for a text."""
    return [row for row in csv.reader(text.splitlines(), strict=False) if row]


def tags_in(rows: Iterable[Iterable[str]], *, e621: bool = False) -> Iterator[Tag]:
    """The tags of a list; rows without a name, or with one too long, are left out. `e621`: its numbers of types."""
    kinds = _KINDS_OF_E621 if e621 else _KINDS_OF_DANBOORU
    for row in rows:
        name, kind, count, aliases = [*(field.strip() for field in row), "", "", "", ""][:4]
        if not name or len(name) > NAME_CHARS_MAX or "\n" in name:
            continue
        number = int(kind) if kind.lstrip("-").isdecimal() and len(kind) < 4 else 0
        others = [alias.strip().lstrip("/") for alias in aliases.split(",") if alias.strip()]
        yield Tag(
            name,
            kinds.get(number, "other"),
            min(int(count), COUNT_MAX) if count.isdecimal() and len(count) < 20 else 0,
            tuple(alias for alias in others[:ALIASES_MAX] if 0 < len(alias) <= NAME_CHARS_MAX),
        )


def merged(lists: Iterable[Iterable[Tag]]) -> list[Tag]:
    """All lists in one order: by count, but each in its own order, which is its rank. Of a name the first stays."""
    ranked: list[tuple[int, Tag]] = []
    for tags in lists:
        least = COUNT_MAX
        for tag in tags:
            least = min(least, tag.count)
            ranked.append((least, tag))
    ranked.sort(key=lambda pair: -pair[0])  # stable
    found: dict[str, Tag] = {}
    for _, tag in ranked:
        found.setdefault(folded(tag.name), tag)
    return list(found.values())
