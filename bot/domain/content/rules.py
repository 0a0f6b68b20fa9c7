"""The content rules: what a picture may not be steered toward.

Two categories, and their names are all that ever leaves this package; a user is not told which word it was.

* `minors`: anything that names a minor, a childlike body or an age under 18 together with anything sexual, nude or
  suggestive, anywhere in the same text; and words that mean nothing else. Refused always, everywhere, by no setting.
* `adult`: sexual or nude content. Refused unless the caller says `adult_allowed`.

The whole text is judged at once, all alternatives of `[a|b]` and both sides of `[a:b:0.5]` together. The rules are
strict where they can be fooled by being clever: a negated word ("not nude") counts like the word itself, because image
models ignore negation; what is to be avoided belongs in the negative prompt, which is not judged. A child, a teen or
a schoolgirl in an innocent picture is allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bot.domain.content.ages import names_minor_age
from bot.domain.content.fold import fold, unleet
from bot.domain.content.lexicon import (
    ALWAYS,
    EXPLICIT,
    MINOR,
    SUGGESTIVE,
    UNLESS_MINOR,
    Lexicon,
    lexicon,
)
from bot.domain.content.syntax import alternatives, parse_blocks, phrased, spelt, tags, without_syntax
from bot.domain.content.words import Finder
from bot.errors import ContentRefusedError

__all__ = ["ALLOWED", "Category", "Verdict", "is_sexual", "judge", "names_minor", "require_allowed"]

Category = Literal["minors", "adult"]


@dataclass(frozen=True)
class Verdict:
    """`category` is None where the text is allowed."""

    category: Category | None = None

    @property
    def allowed(self) -> bool:
        return self.category is None


ALLOWED = Verdict()
_SEXUAL = EXPLICIT | SUGGESTIVE | UNLESS_MINOR
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TALL = re.compile(r"(?<=[a-z])I(?=[a-z\W]|$)")
"""A capital I that stands for a small L: "loIi"."""
_ROUND = re.compile(r"(?<=[a-zA-Z0-9])\(\)(?=[a-zA-Z0-9])")
"""Brackets that stand for an O: "l()li"."""
_TEENS = "1[0-7]|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
_AGE_AT_END = re.compile(
    rf"(?<!\w)(?:girl|boy|daughter|son|chica|chico|almost|nearly|barely|casi|apenas)[\s,()]{{1,5}}(?:{_TEENS})\s*(?=[,.;)\n]|$)"
)
"""An age without a word for it, where nothing is counted: "girl, 15"."""
_BRACES = str.maketrans("{}", "[]")
_BELOW = re.compile(r"<\s?=?\s?(?:1[0-8]|[4-9])(?![\d:])")


def judge(text: str, *, adult_allowed: bool = False) -> Verdict:
    """The verdict on one fully expanded text (style applied, LoRA tags still in it). Never raises."""
    marks = _marks_of(text)
    if marks & ALWAYS or (marks & MINOR and marks & _SEXUAL):
        return Verdict("minors")
    if marks & EXPLICIT and not adult_allowed:
        return Verdict("adult")
    return ALLOWED


def names_minor(text: str) -> bool:
    """Whether a text names a minor, a childlike body or an age under 18, whatever else it says."""
    return bool(_marks_of(text) & (MINOR | ALWAYS))


def is_sexual(text: str) -> bool:
    """Whether a text says anything sexual, nude or suggestive at all: what is fine for a drawn adult in a bikini, and
    not for somebody's uploaded photograph."""
    return bool(_marks_of(text) & (_SEXUAL | ALWAYS))


def require_allowed(text: str, *, adult_allowed: bool = False) -> None:
    """Raises ContentRefusedError (`content_minors` or `content_adult`) where `judge` does not allow `text`."""
    verdict = judge(text, adult_allowed=adult_allowed)
    if verdict.category is not None:
        raise ContentRefusedError(f"content_{verdict.category}")


@lru_cache(maxsize=256)
def _marks_of(text: str) -> int:
    """Of the last texts: one job asks several times, from its request to its pictures."""
    return _marks(text, lexicon())


def _marks(text: str, words: Lexicon) -> int:
    plain, bare = fold(text), fold(without_syntax(text))
    # What stripping removes is judged as well: the names in tags, and an age in the place of a weight.
    readings = dict.fromkeys((bare, fold(tags(text)), *unleet(bare)))
    if (parted := _CAMEL.sub(" ", text)) != text:
        readings[fold(parted)] = None
    if (tall := _TALL.sub("l", text)) != text:
        readings[fold(without_syntax(tall))] = None
    if (rounded := _ROUND.sub("o", text)) != text:
        readings[fold(without_syntax(rounded))] = None
    if "{" in text:
        # Random choices: whoever expands them later judges the result again, but nothing may depend on that.
        readings[fold(without_syntax(text.translate(_BRACES)))] = None
    finder, marks = Finder(words), MINOR if any(map(_AGE_AT_END.search, readings)) else 0
    if _BELOW.search(plain) or (plain != bare and names_minor_age(_WORD.findall(plain))):
        marks |= MINOR
    for reading in list(readings):
        if "[" in reading:
            root, most = parse_blocks(reading)
            if most:
                marks |= spelt(root, words.trie) | phrased(root, words)
                readings.update(dict.fromkeys(alternatives(root, most)))
    for reading in readings:
        marks |= finder.marks_of(reading)
        if marks & ALWAYS:
            break
    return marks
