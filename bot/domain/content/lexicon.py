"""The word lists as lookup tables. Built once, from the three TOML files beside this module."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from bot.domain.content.fold import fold

__all__ = [
    "ALWAYS", "CARRIER", "EXPLICIT", "MINOR", "SUGGESTIVE", "UNLESS_MINOR", "Lexicon", "Node", "collapse", "lexicon",
]  # fmt: skip

EXPLICIT: Final = 1
SUGGESTIVE: Final = 2
MINOR: Final = 4
ALWAYS: Final = 8
UNLESS_MINOR: Final = 16
"""Explicit, but in a phrase that is harmless (`nude lipstick`) as long as no minor is named."""

CARRIER: Final = 32
"""Harmless itself; glued to a listed word it makes a new one: `nudegirl`, `sexypose`."""

_MARKS = {"explicit": EXPLICIT, "suggestive": SUGGESTIVE, "minors": MINOR, "always": ALWAYS}
_KEYS = frozenset({*_MARKS, *(f"{name}_stems" for name in _MARKS), "harmless", "harmless_adult", "carriers"})

Phrase = tuple[str, ...]
T = TypeVar("T")


class Node:
    """One letter of a trie over the single words; `mark` is non-zero where a word ends."""

    __slots__ = ("letter", "mark", "next")

    def __init__(self, letter: str) -> None:
        self.letter = letter
        self.mark = 0
        self.next: dict[str, Node] = {}


@dataclass(frozen=True)
class Lexicon:
    words: Mapping[str, int]
    """Single words with their marks."""
    phrases: Mapping[str, tuple[tuple[Phrase, int], ...]]
    """By first word."""
    harmless: Mapping[str, tuple[tuple[Phrase, bool], ...]]
    """By first word; True where the phrase is believed beside a minor, too."""
    collapsed: Mapping[str, tuple[tuple[tuple[int, ...], int], ...]]
    """By the word with every repeat taken out: the length of each run, and the mark."""
    starred: Mapping[str, int]
    """Words with one inner letter replaced by `*`."""
    openers: frozenset[str]
    """Single words with a mark of their own, and first words of phrases."""
    stems: tuple[tuple[str, int], ...]
    trie: Node


_WORD = re.compile(r"[^\W_]+")
_GLUED_LETTERS = 8
"""Of two words written as one ("littlegirl"); shorter ones may be another word."""
_RUN = re.compile(r"(.)\1+")


def collapse(word: str) -> str:
    return _RUN.sub(r"\1", word)


def runs(word: str) -> tuple[int, ...]:
    return tuple(len(list(group)) for _, group in groupby(word))


def _lists() -> dict[str, list[Phrase]]:
    lists: dict[str, list[Phrase]] = {key: [] for key in _KEYS}
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        table: dict[str, list[str]] = tomllib.loads(file.read_text(encoding="utf-8"))
        if unknown := set(table) - _KEYS:
            raise ValueError(f"{file.name}: unknown lists {sorted(unknown)}")
        for kind, entries in table.items():
            lists[kind] += [tuple(_WORD.findall(fold(entry))) for entry in entries]
    if not all(entry for entries in lists.values() for entry in entries):
        raise ValueError("an entry of the content rules has no letters")
    return lists


def _by_first(pairs: Iterable[tuple[Phrase, T]]) -> Mapping[str, tuple[tuple[Phrase, T], ...]]:
    table: dict[str, list[tuple[Phrase, T]]] = {}
    for phrase, value in pairs:
        table.setdefault(phrase[0], []).append((phrase, value))
    return MappingProxyType({first: tuple(values) for first, values in table.items()})


def _trie(words: Mapping[str, int]) -> Node:
    root = Node("")
    for word, mark in words.items():
        node = root
        for letter in word:
            node = node.next.setdefault(letter, Node(letter))
        node.mark |= mark
    return root


def _forms(entry: Phrase) -> Iterable[Phrase]:
    """A phrase and its plural."""
    yield entry
    if entry[-1].isascii() and entry[-1].isalpha() and not entry[-1].endswith("s"):
        yield (*entry[:-1], f"{entry[-1]}s")


@cache
def lexicon() -> Lexicon:
    """Raises ValueError for a list that is misspelt or an entry without letters: a bug that every test finds."""
    lists = _lists()
    words: dict[str, int] = {}
    phrases: dict[Phrase, int] = {}
    for kind, mark in _MARKS.items():
        for entry in lists[kind]:
            if len(entry) == 1:
                for form in (entry[0], entry[0] + "s"):
                    words[form] = words.get(form, 0) | mark
            else:
                for form in _forms(entry) if mark in (MINOR, ALWAYS) else (entry,):
                    phrases[form] = phrases.get(form, 0) | mark
                joined = "".join(entry)
                if mark in (MINOR, ALWAYS) and len(entry) == 2 and len(joined) >= _GLUED_LETTERS and joined.isascii():
                    words[joined] = words.get(joined, 0) | mark
    for (word,) in lists["carriers"]:
        words.setdefault(word, CARRIER)
    collapsed: dict[str, list[tuple[tuple[int, ...], int]]] = {}
    starred: dict[str, int] = {}
    for word, mark in words.items():
        if mark == CARRIER:
            continue
        collapsed.setdefault(collapse(word), []).append((runs(word), mark))
        for index in range(1, len(word) - 1):
            key = f"{word[:index]}*{word[index + 1 :]}"
            starred[key] = starred.get(key, 0) | mark
    harmless = [(entry, True) for entry in lists["harmless"]]
    harmless += [(entry, False) for entry in lists["harmless_adult"]]
    by_first, spared = _by_first(phrases.items()), _by_first(harmless)
    marked = (word for word, mark in words.items() if mark != CARRIER)
    return Lexicon(
        words=MappingProxyType(words),
        phrases=by_first,
        harmless=spared,
        collapsed=MappingProxyType({key: tuple(values) for key, values in collapsed.items()}),
        starred=MappingProxyType(starred),
        openers=frozenset((*marked, *by_first, *spared)),
        stems=tuple(("".join(entry), mark) for kind, mark in _MARKS.items() for entry in lists[f"{kind}_stems"]),
        trie=_trie(words),
    )
