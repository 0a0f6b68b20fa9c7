"""Finds tags by what is typed: at the start of any word of a name or alias, then anywhere, then what resembles it.

Sorted arrays of places in all names and aliases, some thousand each and the most used tags first, so a search bisects
each until it has enough. 150,000 tags take about 30 MB and answer in a few milliseconds (`launch.py bench tags`).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from bot.tags.entries import Tag, folded

__all__ = ["Hit", "TagIndex"]

CHUNK = 16_384
"""Places sorted at once, which nothing else of the process can run beside."""
_PLACE_BITS = 8
_WORD_START = re.compile(r"(?<![a-zA-Z])[^\n]")
_LAST = "\U0010ffff"
FUZZY_TAGS = 4000
"""The most used ones alone are compared letter by letter."""
FUZZY_CUTOFF = 72
FUZZY_CHARS = 4
ANYWHERE_CHARS = 2
ANYWHERE_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Hit:
    tag: Tag
    alias: str = ""
    """By which it was found, where not by its name."""


class TagIndex:
    def __init__(self, tags: Sequence[Tag] = ()) -> None:
        """`tags` in the order of their rank. Takes about a second for 100,000: for a thread."""
        self.tags = tuple(tags)
        self._texts: list[str] = []
        self._owners = array("I")
        for number, tag in enumerate(self.tags):
            for text in (tag.name, *tag.aliases):
                self._texts.append(folded(text))
                self._owners.append(number)
        self._chunks = [*self._sorted_chunks()]
        self._whole = "\n".join(self._texts)
        self._starts = array("I")
        at = 0
        for text in self._texts:
            self._starts.append(at)
            at += len(text) + 1

    def search(self, typed: str, limit: int = 25, *, kind: str | None = None) -> list[Hit]:
        """At most `limit`, the most used first; `*` in front asks for anywhere in a word. `kind`: only of that one."""
        anywhere = typed.startswith("*")
        wanted = folded(typed.lstrip("*"))
        if not wanted:
            return []
        found: dict[int, Hit] = {}
        steps = (self._anywhere,) if anywhere else (self._at_words, self._anywhere)
        for step in steps:
            for text in step(wanted):
                self._take(text, found, kind)
                if len(found) >= limit:
                    break
            if len(found) >= limit:
                break
        if not found and not anywhere and len(wanted) >= FUZZY_CHARS:
            for text in self._alike(wanted, limit):
                self._take(text, found, kind)
        return list(found.values())

    def most_used(self, limit: int = 25, *, kind: str | None = None) -> list[Hit]:
        hits = (Hit(tag) for tag in self.tags if kind is None or tag.kind == kind)
        return [hit for hit, _ in zip(hits, range(limit), strict=False)]

    def named(self, name: str) -> Tag | None:
        wanted = folded(name)
        return next((hit.tag for hit in self.search(wanted, 200) if folded(hit.tag.name) == wanted), None)

    def _take(self, text: int, found: dict[int, Hit], kind: str | None) -> None:
        owner = self._owners[text]
        tag = self.tags[owner]
        if owner in found or (kind is not None and tag.kind != kind):
            return
        named = text == 0 or self._owners[text - 1] != owner
        found[owner] = Hit(tag, "" if named else self._texts[text])

    def _sorted_chunks(self) -> Iterator[array[int]]:
        places: list[int] = []
        for number, text in enumerate(self._texts):
            places += [number << _PLACE_BITS | start.start() for start in _WORD_START.finditer(text)]
            while len(places) >= CHUNK:
                yield array("Q", sorted(places[:CHUNK], key=self._key))
                del places[:CHUNK]
        if places:
            yield array("Q", sorted(places, key=self._key))

    def _key(self, place: int) -> str:
        return self._texts[place >> _PLACE_BITS][place & 0xFF :]

    def _at_words(self, wanted: str) -> Iterator[int]:
        for chunk in self._chunks:
            first = bisect_left(chunk, wanted, key=self._key)
            last = bisect_left(chunk, wanted + _LAST, lo=first, key=self._key)
            for place in sorted(chunk[first:last]):
                yield place >> _PLACE_BITS

    def _anywhere(self, wanted: str) -> Iterator[int]:
        if len(wanted) < ANYWHERE_CHARS:
            return
        at = -1
        for _ in range(ANYWHERE_TRIES):
            at = self._whole.find(wanted, at + 1)
            if at < 0:
                return
            number = bisect_left(self._starts, at + 1) - 1
            yield number
            at = self._starts[number] + len(self._texts[number])

    def _alike(self, wanted: str, limit: int) -> list[int]:
        last = next((n for n, owner in enumerate(self._owners) if owner >= FUZZY_TAGS), len(self._texts))
        found = process.extract(wanted, self._texts[:last], scorer=fuzz.ratio, score_cutoff=FUZZY_CUTOFF, limit=limit)
        return [int(number) for _, _, number in found]
