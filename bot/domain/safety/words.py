"""A server's own list of refused words, matched at word boundaries: "ass" is not in "grass".

Spelling tricks are undone as in the content rules (case, accents, look-alikes, invisible signs, leet), and `*` at the
beginning or the end of an entry stands for any letters. An entry of several words matches them side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from bot.domain.content.fold import fold, unleet
from bot.domain.content.syntax import tags, without_syntax

__all__ = ["ENTRY_CHARS", "MAX_ENTRIES", "first_hit", "normal_entry"]

ENTRY_CHARS = 60
MAX_ENTRIES = 500
_WORD = re.compile(r"[^\W_]+")
_ENTRY_WORD = re.compile(r"\*?[^\W_]+\*?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def normal_entry(typed: str) -> str | None:
    """An entry as it is kept: folded words, one space between them; None where there is no letter in it."""
    words = _ENTRY_WORD.findall(fold(typed)[:ENTRY_CHARS])
    return " ".join(words) if any(len(word.strip("*")) > 1 or not word.isascii() for word in words) else None


def _pattern(entry: str) -> str:
    # An open end is a missing boundary, not "any letters": that would be tried at every letter of a long word.
    before = "" if entry.startswith("*") else r"(?<!\S)"
    after = "" if entry.endswith("*") else r"(?!\S)"
    return before + " ".join(re.escape(word.strip("*")) for word in entry.split()) + after


@lru_cache(maxsize=64)
def _any_of(entries: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_pattern, entries)))


def first_hit(entries: Iterable[str], *texts: str) -> str | None:
    """The first entry that some text holds. `entries` are normal ones."""
    entries = tuple(entries)
    if not entries:
        return None
    lines = {line for text in texts for line in _lines(text)}
    if not any(_any_of(entries).search(line) for line in lines):
        return None
    return next(entry for entry in entries if any(re.search(_pattern(entry), line) for line in lines))


def _lines(text: str) -> set[str]:
    bare = fold(without_syntax(text))
    readings = [bare, fold(tags(text)), fold(_CAMEL.sub(" ", text)), *unleet(bare)]
    # Square brackets choose words, so "[cat|dog]" holds both; pieces that only spell one together are not looked for.
    return {" ".join(_WORD.findall(reading)) for reading in readings if reading}
