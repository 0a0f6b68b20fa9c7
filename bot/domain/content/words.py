"""Finding the words of the lists in a text, at word boundaries and through spacing and punctuation."""

from __future__ import annotations

import re
from itertools import pairwise

from bot.domain.content.ages import names_minor_age
from bot.domain.content.lexicon import ALWAYS, CARRIER, EXPLICIT, MINOR, UNLESS_MINOR, Lexicon, collapse, runs

__all__ = ["Finder"]

_PIECE = re.compile(r"([^\W_]+)([\W_]*)")
_DIGITS = re.compile(r"\d+")
_DOUBLE = re.compile(r"(.)\1")
_STARRED = re.compile(r"(?<![^\W_])[^\W_]{1,20}\*[^\W_]{1,20}")
_APART = frozenset({" ", ", "})
_APOSTROPHES = frozenset("'’´`")
_ENDINGS = frozenset(("re", "s", "t", "ll", "ve"))
"""What English writes behind an apostrophe: "who're" is not a word taken apart."""
_BREAK = re.compile(r"[\s,;]")
_HALVED_LETTERS = 4
_SMALL = frozenset(
    re.findall(
        r"\S+",
        "te en ens ni no nos na nas la las de or yo un in to so an as a el es mi me my man men hi ho jo ja be he us",
    )
)
"""Words that two of may stand side by side by chance and spell another ("te en")."""
MAX_SPELT = 40
"""Letters that one word may be stretched to; longer than any listed word with some letters repeated."""


class Finder:
    """Finds marks in the readings of one text. What one reading taught is remembered for the next; they differ little.

    The cost is in proportion to the text: every word is looked up or followed in the trie, never compared with a list.
    """

    def __init__(self, words: Lexicon) -> None:
        self._words = words
        self._unlisted: dict[str, int] = {}
        self._chains: dict[tuple[tuple[str, ...], tuple[bool, ...]], int] = {}
        self._breaks: dict[str, bool] = {" ": True, "": False, ", ": True, "\n": True}

    def marks_of(self, reading: str) -> int:
        """All marks in one folded reading."""
        parts: list[tuple[str, str]] = _PIECE.findall(reading)
        tokens = [piece for piece, _ in parts]
        marks = self._listed(tokens) | self._joined(parts)
        line = " ".join(tokens)
        for stem, mark in self._words.stems:
            if stem in line and not marks & mark:
                marks |= mark
        if "*" in reading:
            for masked in _STARRED.findall(reading):
                marks |= self._words.starred.get(masked, 0)
        if not marks & MINOR and names_minor_age(tokens):
            marks |= MINOR
        if not marks & MINOR:
            marks |= self._halved(tokens)
        return marks

    def _listed(self, tokens: list[str]) -> int:
        words = self._words
        unlisted = self._unlisted
        distinct = set(tokens)
        for token in distinct - unlisted.keys():
            if token not in words.words:
                unlisted[token] = self._odd(token)
        hot = (words.openers & distinct) | {token for token in distinct if unlisted.get(token)}
        if not hot:
            return 0
        hits: list[tuple[int, int, int]] = []
        spared: dict[int, bool] = {}
        for index, token in enumerate(tokens):
            if token not in hot:
                continue
            mark = (words.words.get(token) or unlisted.get(token, 0)) & ~CARRIER
            if mark:
                hits.append((index, index + 1, mark))
            for phrase, phrase_mark in words.phrases.get(token, ()):
                if tuple(tokens[index : index + len(phrase)]) == phrase:
                    hits.append((index, index + len(phrase), phrase_mark))
            for phrase, believed in words.harmless.get(token, ()):
                if tuple(tokens[index : index + len(phrase)]) == phrase:
                    for position in range(index, index + len(phrase)):
                        spared[position] = spared.get(position, False) or believed
        marks = 0
        for start, end, mark in hits:
            if mark & ALWAYS or not all(position in spared for position in range(start, end)):
                marks |= mark
            elif mark & EXPLICIT and not all(spared[position] for position in range(start, end)):
                marks |= UNLESS_MINOR
        return marks

    def _halved(self, tokens: list[str]) -> int:
        """A word for a minor that is written as two: "chi ld". Two small words of a language are left alone."""
        marks = 0
        for first, second in pairwise(tokens):
            if len(second) < 2 or first in self._words.words or (first in _SMALL and second in _SMALL):
                continue
            if len(first) + len(second) >= _HALVED_LETTERS:
                marks |= self._words.words.get(first + second, 0) & (MINOR | ALWAYS)
        return marks

    def _odd(self, token: str) -> int:
        """A word that is not listed as it stands: with digits, with repeated letters, or glued to another."""
        marks = 0
        if not token.isalpha():
            for part in _DIGITS.split(token):
                if 2 < len(part) < len(token):
                    marks |= (self._words.words.get(part, 0) & ~CARRIER) or self._odd(part)
        if _DOUBLE.search(token):
            marks |= self._repeated(token)
        if len(token) > 6:
            marks |= self._glued(token)
        return marks

    def _repeated(self, token: str) -> int:
        """`nuuude`: every run of letters at least as long as in the listed word."""
        marks = 0
        if candidates := self._words.collapsed.get(collapse(token)):
            lengths = runs(token)
            for wanted, mark in candidates:
                if all(have >= want for have, want in zip(lengths, wanted, strict=True)):
                    marks |= mark
        return marks

    def _glued(self, token: str) -> int:
        """`nudegirl`: two listed words, or one and a carrier, one of them a mark of at least four letters."""
        node, marks = self._words.trie, 0
        for cut, letter in enumerate(token, start=1):
            found = node.next.get(letter)
            if found is None:
                break
            node = found
            if node.mark and cut > 2:
                head, tail = node.mark, self._words.words.get(token[cut:], 0)
                if tail and ((head & ~CARRIER and cut > 3) or (tail & ~CARRIER and len(token) - cut > 3)):
                    marks |= head | tail
        return marks & ~CARRIER

    def _joined(self, parts: list[tuple[str, str]]) -> int:
        """Words taken apart: `nu-de`, `(nu)(de)`, `n.u.d.e`, `n u d e`."""
        marks, last = 0, len(parts) - 1
        # Between long pieces only a gap without white space or comma joins, so most gaps need no look at all.
        places = [index for index, (piece, gap) in enumerate(parts) if gap not in _APART or len(piece) == 1]
        done = -1
        for place in places:
            if place <= done:
                continue
            start = place
            if start > 0 and len(parts[start][0]) == 1 and start - 1 > done and self._joins(parts, start - 1):
                start -= 1
            chain, end = [parts[start][0]], start
            loose: list[bool] = []
            while end < last and self._joins(parts, end):
                piece = parts[end + 1][0]
                if len(piece) > 1 or chain[-2:] != [piece, piece]:  # a third of the same letter spells nothing new
                    chain.append(piece)
                    loose.append(self._breaks[parts[end][1]])
                end += 1
            done = max(end, place)
            if len(chain) > 1:
                key = (tuple(chain), tuple(loose))
                if key not in self._chains:
                    self._chains[key] = self._spelt(chain, loose)
                marks |= self._chains[key]
        return marks

    def _joins(self, parts: list[tuple[str, str]], index: int) -> bool:
        """Whether the piece at `index` may belong to one word with the next."""
        piece, gap = parts[index]
        following = parts[index + 1][0]
        if gap in _APOSTROPHES and following in _ENDINGS:
            return False
        breaks = self._breaks.get(gap)
        if breaks is None:
            breaks = self._breaks[gap] = _BREAK.search(gap) is not None
        return not breaks or len(piece) == 1 or len(following) == 1

    def _spelt(self, chain: list[str], loose: list[bool]) -> int:
        """Every stretch of neighbouring pieces that spells a listed word, repeated letters counting once.

        White space or a comma inside needs two single letters, and then a word of three letters must not have a further
        single letter beside it: otherwise "model t its" would be read as one word.
        """
        marks = 0
        for start in range(len(chain) - 1):
            states, length, singles, spaced = [self._words.trie], 0, 0, False
            for end in range(start, len(chain)):
                piece = chain[end]
                length += len(piece)
                if length > MAX_SPELT:
                    break
                for letter in piece:
                    states = [
                        reached
                        for state in states
                        for reached in (state.next.get(letter), state if state.letter == letter else None)
                        if reached is not None
                    ]
                if not states:
                    break
                singles += len(piece) == 1
                if end == start:
                    continue
                spaced = spaced or loose[end - 1]
                if spaced and (singles < 2 or (length < 4 and _single_beside(chain, start, end))):
                    continue
                for state in states:
                    marks |= state.mark
        return marks & ~CARRIER


def _single_beside(chain: list[str], start: int, end: int) -> bool:
    return (start > 0 and len(chain[start - 1]) == 1) or (end + 1 < len(chain) and len(chain[end + 1]) == 1)
