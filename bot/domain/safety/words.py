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


@lru_cache(maxsize=256)
def _pattern(entry: str) -> re.Pattern[str]:
    parts = [re.escape(word.strip("*")) for word in entry.split()]
    before = r"\S*" if entry.startswith("*") else ""
    after = r"\S*" if entry.endswith("*") else ""
    return re.compile(rf"(?<!\S){before}{' '.join(parts)}{after}(?!\S)")


def first_hit(entries: Iterable[str], *texts: str) -> str | None:
    """The first entry that some text holds. `entries` are normal ones."""
    lines = {line for text in texts for line in _lines(text)}
    return next((entry for entry in entries if any(_pattern(entry).search(line) for line in lines)), None)


def _lines(text: str) -> set[str]:
    bare = fold(without_syntax(text))
    readings = [bare, fold(tags(text)), fold(_CAMEL.sub(" ", text)), *unleet(bare)]
    # Square brackets choose words, so "[cat|dog]" holds both; pieces that only spell one together are not looked for.
    return {" ".join(_WORD.findall(reading)) for reading in readings if reading}
