"""What can be done to the captions of many pictures at once. Pure; searching with patterns is not here, because it may
take for ever (bot/studio/captions/replacing.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from bot.domain.captions.editor import tags_of
from bot.domain.captions.tokens import TOKENS_MAX, about_tokens
from bot.domain.ids import PictureId
from bot.domain.training.datasets import Picture
from gpu_worker.language.training.tag_editor import (
    Sort,
    Tags,
    common_tags,
    edit_common,
    read_tags,
    remove_duplicates,
    remove_tags,
    sort_tags,
    tag_counts,
    truncate,
    write_tags,
)

__all__ = [
    "Captions", "Operation", "adding", "changed", "common_of", "listed_tags", "removing", "rewriting", "shortened",
    "sorting", "triggering", "without_doubles",
]  # fmt: skip

LIST_CHARS = 1900
"""Of a list in a form: what no form shows would count as deleted. Signs may be two units of it."""

Captions = Mapping[PictureId, str | None]
Operation = Callable[[Tags], Iterable[str]]


def changed(pictures: Iterable[Picture], operation: Operation) -> dict[PictureId, str | None]:
    """The captions that differ afterwards; one without a tag left is none. A caption whose tags stay the same stays as
    it is written."""
    found: dict[PictureId, str | None] = {}
    for picture in pictures:
        before = tags_of(picture)
        after = tuple(operation(before))
        if after != before:
            found[picture.id] = write_tags(after) or None
    return found


def adding(text: str, where: Literal["front", "end"]) -> Operation:
    """Tags that are not there yet."""
    new = read_tags(text)

    def add(tags: Tags) -> Iterable[str]:
        missing = [tag for tag in new if tag not in tags]
        return (*missing, *tags) if where == "front" else (*tags, *missing)

    return add


def triggering(text: str) -> Operation:
    """An activation word in front of everything, wherever it was."""
    new = read_tags(text)
    return lambda tags: (*new, *remove_tags(tags, new))


def removing(gone: Collection[str]) -> Operation:
    return lambda tags: remove_tags(tags, gone)


def listed_tags(chosen: Sequence[str]) -> Tags:
    """Those of the chosen tags that a form can list, the first ones."""
    kept: list[str] = []
    room = LIST_CHARS
    for tag in chosen:
        room -= len(tag) + 1
        if room < 0:
            break
        kept.append(tag)
    return tuple(kept)


def rewriting(shown: Sequence[str], text: str, *, prepend: bool) -> Operation:
    """A list of tags as somebody edited it (behaviours §25.2): one a line, or with commas; an emptied line deletes."""
    rows = text.split("\n") if "\n" in text or len(shown) == 1 else text.split(",")
    edited = [row.strip().strip(",").strip() for row in rows]
    while edited and not edited[-1]:
        edited.pop()

    def edit(tags: Tags) -> Iterable[str]:
        after = edit_common(tags, shown, edited, prepend=prepend)
        return after if after == tags else read_tags(write_tags(after))

    return edit


def sorting(pictures: Iterable[Picture], by: Sort, *, descending: bool, keep: int) -> Operation:
    """The first `keep` stay; frequency counts in these pictures."""
    counts = tag_counts(map(tags_of, pictures))
    return lambda tags: sort_tags(tags, by, descending=descending, counts=counts, tokens=about_tokens, keep=keep)


def without_doubles(tags: Tags) -> Iterable[str]:
    return remove_duplicates(tags)


def shortened(tags: Tags) -> Iterable[str]:
    """As many of the first tags as about fit what the text encoder reads."""
    return truncate(tags, TOKENS_MAX, about_tokens)


def common_of(pictures: Iterable[Picture]) -> Tags:
    return common_tags([tags_of(picture) for picture in pictures])
