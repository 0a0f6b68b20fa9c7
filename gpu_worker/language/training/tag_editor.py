"""Operations on the captions of a data set, each a list of tags (behaviours §25.2; the dataset tag editor's logic)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal

__all__ = [
    "SORTS", "Sort", "Tags", "common_tags", "edit_common", "read_tags", "remove_duplicates", "remove_tags",
    "replace_in_caption", "replace_in_tags", "sort_tags", "tag_counts", "truncate", "write_tags",
]  # fmt: skip

Tags = tuple[str, ...]
Sort = Literal["alphabetical", "frequency", "length", "tokens"]
SORTS: tuple[Sort, ...] = ("alphabetical", "frequency", "length", "tokens")


def read_tags(caption: str) -> Tags:
    """In their order; empty ones are dropped."""
    return tuple(tag for part in caption.split(",") if (tag := part.strip()))


def write_tags(tags: Iterable[str]) -> str:
    return ", ".join(tags)


def tag_counts(captions: Iterable[Tags]) -> Counter[str]:
    """In how many captions each tag is."""
    return Counter(tag for tags in captions for tag in dict.fromkeys(tags))


def common_tags(captions: Sequence[Tags]) -> Tags:
    """Tags of every caption, in the first one's order."""
    if not captions:
        return ()
    shared = set[str](captions[0]).intersection(*captions[1:])
    return tuple(tag for tag in dict.fromkeys(captions[0]) if tag in shared)


def edit_common(tags: Sequence[str], shown: Sequence[str], edited: Sequence[str], *, prepend: bool = False) -> Tags:
    """`edited` is what somebody made of the list `shown`: entry i replaces tag i, an empty or missing one deletes it,
    and further ones are appended, or put in front (the guide's way to an activation word)."""
    gone = set(shown[len(edited) :])
    instead: dict[str, str] = {}
    for old, new in zip(shown, edited, strict=False):
        if new:
            instead[old] = new
        else:
            gone.add(old)
    added = [tag for tag in edited[len(shown) :] if tag]
    kept = [instead.get(tag, tag) for tag in tags if tag not in gone]
    return tuple(added + kept if prepend else kept + added)


def replace_in_caption(tags: Sequence[str], search: str, replace: str, *, regex: bool = False) -> Tags:
    """In the whole caption, which is taken apart again afterwards.

    With `regex` Python's own; raises re.error. Whoever lets strangers write patterns runs this where it can be ended,
    for a pattern may take for ever.
    """
    return read_tags(_replaced(write_tags(tags), search, replace, regex=regex))


def replace_in_tags(
    tags: Sequence[str], search: str, replace: str, *, regex: bool = False, only: Collection[str] | None = None
) -> Tags:
    """Within each tag by itself, or within those in `only`. Else as `replace_in_caption`."""
    changed = [_replaced(tag, search, replace, regex=regex) if only is None or tag in only else tag for tag in tags]
    return tuple(tag for text in changed for tag in read_tags(text))


def remove_tags(tags: Sequence[str], gone: Collection[str]) -> Tags:
    return tuple(tag for tag in tags if tag not in gone)


def remove_duplicates(tags: Sequence[str]) -> Tags:
    """The first of each stays."""
    return tuple(dict.fromkeys(tags))


def sort_tags(
    tags: Sequence[str],
    by: Sort,
    *,
    descending: bool = False,
    counts: Counter[str] | None = None,
    tokens: Callable[[str], int] | None = None,
    keep: int = 0,
) -> Tags:
    """The first `keep` stay where they are. `counts` says how often a tag is in the data set (`frequency`), `tokens`
    how many tokens a text has (`tokens`); equals keep their order."""
    keys: dict[Sort, Callable[[str], Any]] = {
        "alphabetical": lambda tag: tag,
        "frequency": lambda tag: (counts or {}).get(tag, 0),
        "length": len,
        "tokens": tokens or len,
    }
    rest = sorted(tags[keep:], key=keys[by], reverse=descending)
    return (*tags[:keep], *rest)


def truncate(tags: Sequence[str], most: int, tokens: Callable[[str], int]) -> Tags:
    """As many of the first tags as have at most `most` tokens together, written as a caption."""
    kept: list[str] = []
    for tag in tags:
        if tokens(write_tags([*kept, tag])) > most:
            break
        kept.append(tag)
    return tuple(kept)


def _replaced(text: str, search: str, replace: str, *, regex: bool) -> str:
    if not search:
        return text
    return re.sub(search, replace, text) if regex else text.replace(search, replace)
