"""Finds tags by what is typed: at the start of any word of a name or alias, then anywhere, then what resembles it.

Sorted arrays of places in all names and aliases, some thousand each and the most used tags first, so a search bisects
each until it has enough. 150,000 tags take about 30 MB and answer in a few milliseconds (`launch.py bench tags`).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from rapidfuzz import fuzz, process

from bot.tags.entries import KINDS, Tag, folded

__all__ = ["Hit", "TagIndex"]

CHUNK = 8192
"""Places sorted at once, which nothing else of the process can run beside."""
_PLACE_BITS = 8
_WORD_START = re.compile(r"(?<![a-zA-Z])[^\n]")
_LAST = "\U0010ffff"
FUZZY_TAGS = 2000
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
    """Columns instead of objects: a garbage collection that walked 150,000 of them would hold up the bot."""

    def __init__(self, tags: Iterable[Tag] = ()) -> None:
        """`tags` in the order of their rank. Takes about a second for 100,000: for a thread."""
        self._names: list[str] = []
        self._kinds = bytearray()
        self._counts = array("Q")
        self._texts: list[str] = []
        """What is searched: of each tag its name, then its aliases."""
        self._owners = array("I")
        self._firsts = array("I")
        for number, tag in enumerate(tags):
            self._names.append(tag.name)
            self._kinds.append(KINDS.index(tag.kind))
            self._counts.append(tag.count)
            self._firsts.append(len(self._texts))
            for text in (tag.name, *tag.aliases):
                self._texts.append(folded(text))
                self._owners.append(number)
        self._firsts.append(len(self._texts))
        self._chunks = [*self._sorted_chunks()]
        self._whole = "\n".join(self._texts)
        self._starts = array("I")
        at = 0
        for text in self._texts:
            self._starts.append(at)
            at += len(text) + 1

    def __len__(self) -> int:
        return len(self._names)

    def tag(self, number: int) -> Tag:
        """By its rank, from 0; its aliases as they are searched."""
        first, last = self._firsts[number], self._firsts[number + 1]
        kind = KINDS[self._kinds[number]]
        return Tag(self._names[number], kind, self._counts[number], tuple(self._texts[first + 1 : last]))

    def search(self, typed: str, limit: int = 25, *, kind: str | None = None, alike: bool = True) -> list[Hit]:
        """At most `limit`, the most used first; `*` in front asks for anywhere in a word. `kind`: only of that one.
        `alike`: where nothing fits, what resembles it."""
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
        if alike and not found and not anywhere and len(wanted) >= FUZZY_CHARS:
            for text in self._alike(wanted, limit):
                self._take(text, found, kind)
        return list(found.values())

    def most_used(self, limit: int = 25, *, kind: str | None = None) -> list[Hit]:
        wanted = None if kind is None else KINDS.index(kind)
        numbers = (number for number, own in enumerate(self._kinds) if wanted is None or own == wanted)
        return [Hit(self.tag(number)) for number in islice(numbers, limit)]

    def named(self, name: str) -> Tag | None:
        wanted = folded(name)
        found = next((text for text in self._at_words(wanted) if self._texts[text] == wanted), None)
        return None if found is None else self.tag(self._owners[found])

    def fits(self, tag: Tag, typed: str) -> bool:
        """Whether `search` finds it at the beginning of a word."""
        wanted = re.compile(rf"(?<![a-zA-Z]){re.escape(folded(typed))}")
        return any(wanted.search(folded(text)) for text in (tag.name, *tag.aliases))

    def _take(self, text: int, found: dict[int, Hit], kind: str | None) -> None:
        owner = self._owners[text]
        if owner in found or (kind is not None and KINDS[self._kinds[owner]] != kind):
            return
        found[owner] = Hit(self.tag(owner), "" if text == self._firsts[owner] else self._texts[text])

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
        last = self._firsts[min(FUZZY_TAGS, len(self))]
        found = process.extract(wanted, self._texts[:last], scorer=fuzz.ratio, score_cutoff=FUZZY_CUTOFF, limit=limit)
        return [int(number) for _, _, number in found]
