"""What a request does differently, as its user reads it: `Steps 20 → 30 · Prompt +“red hat” −“blue hat”`."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.changes import Change, Words, changes
from bot.domain.mentions import neutral
from bot.i18n import Texts
from gpu_worker.protocol.specs import JobSpec

__all__ = ["change_texts", "changed_line", "joined_changes"]

WORDS_CHARS = 120
VALUE_CHARS = 60
_TRANSLATED = frozenset({"Prompt", "Negative prompt", "Picture", "Mask", "Size", "Variation", "Seed"})
"""The other names are A1111's, which its users know in any language."""


def changed_line(before: JobSpec, after: JobSpec, texts: Texts, limit_chars: int) -> str:
    """Empty where nothing is different; cut between two changes where they are too many."""
    return joined_changes(changes(before, after), texts, limit_chars)


def joined_changes(found: Sequence[Change | Words], texts: Texts, limit_chars: int) -> str:
    told = change_texts(found, texts)
    kept: list[str] = []
    for text in told:
        if sum(map(len, kept)) + 3 * len(kept) + len(text) + 3 > limit_chars:
            return " · ".join([*kept, "…"])
        kept.append(text)
    return " · ".join(kept)


def change_texts(found: Sequence[Change | Words], texts: Texts) -> list[str]:
    return [_words(change, texts) if isinstance(change, Words) else _change(change, texts) for change in found]


def _change(change: Change, texts: Texts) -> str:
    name = _name(change.key, texts)
    if change.after == "+" or (change.before == "+" and not change.after):
        key = "removed" if not change.after else ("replaced" if change.before else "added")
        return texts(f"change.{key}", name=name)
    none = texts("change.none")
    before, after = (_inline(value) or none for value in (change.before, change.after))
    return texts("change.became", name=name, before=before, after=after)


def _inline(value: str) -> str:
    """Never at the start of a line, where a number would need a sign of its own before it."""
    return neutral(f"·{value}", VALUE_CHARS)[1:]


def _words(change: Words, texts: Texts) -> str:
    name = _name(change.key, texts)
    if not change.added and not change.removed:
        return texts("change.order", name=name)
    parts = [
        f"{sign}“{neutral(', '.join(words), WORDS_CHARS)}”"
        for sign, words in (("+", change.added), ("−", change.removed))
        if words
    ]
    return " ".join([name, *parts])


def _name(key: str, texts: Texts) -> str:
    return texts(f"change.name.{key.lower().replace(' ', '_')}") if key in _TRANSLATED else neutral(key, VALUE_CHARS)
