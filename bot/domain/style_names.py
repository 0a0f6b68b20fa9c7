"""Whose a style is, and how several are named in one line: `Anime, Soft light@server`.

A name alone means one's own style, else the server's, else one that Pincel brings. Behind `@` stands whose is meant; no
name can hold that sign itself.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.domain.styles import Style, style_key
from bot.errors import UserFacingError

__all__ = [
    "MAX_APPLIED", "KeptStyle", "StyleLevel", "StyleOwner", "StyleVersion", "completions",
    "labelled", "spellings", "split_names",
]  # fmt: skip

MAX_APPLIED = 10
"""Styles that one picture may have."""


class StyleLevel(enum.StrEnum):
    """From the nearest on."""

    USER = "user"
    SERVER = "server"
    SHIPPED = "shipped"


_SUFFIXES: Mapping[StyleLevel, str] = {
    StyleLevel.USER: "mine", StyleLevel.SERVER: "server", StyleLevel.SHIPPED: "pincel"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StyleOwner:
    """A user's or a server's id; 0 for what Pincel brings."""

    level: StyleLevel
    id: int = 0

    @classmethod
    def user(cls, user_id: int) -> StyleOwner:
        return cls(StyleLevel.USER, user_id)

    @classmethod
    def server(cls, guild_id: int) -> StyleOwner:
        return cls(StyleLevel.SERVER, guild_id)


@dataclass(frozen=True, slots=True)
class KeptStyle:
    """`ref` names it in the address of a button: at most 24 lower-case letters and digits. `version` counts from 1."""

    ref: str
    owner: StyleOwner
    style: Style
    version: int
    author_id: int = 0
    preview_image_id: str | None = None


@dataclass(frozen=True, slots=True)
class StyleVersion:
    """`made_at` in Unix seconds."""

    version: int
    style: Style
    made_by: int
    made_at: float


def labelled(styles: Sequence[KeptStyle]) -> dict[str, KeptStyle]:
    """By the shortest name that means it, nearest first."""
    found: dict[str, KeptStyle] = {}
    taken: set[str] = set()
    for level in StyleLevel:
        for kept in styles:
            if kept.owner.level is not level:
                continue
            key = style_key(kept.style.name)
            found[f"{kept.style.name}@{_SUFFIXES[level]}" if key in taken else kept.style.name] = kept
            taken.add(key)
    return found


def spellings(label: str, kept: KeptStyle) -> set[str]:
    """Keys by which it can be named."""
    return {style_key(label), style_key(f"{kept.style.name}@{_SUFFIXES[kept.owner.level]}")}


def split_names(text: str, known: Callable[[str], bool]) -> list[str]:
    """Names between commas; as a name may hold commas itself, the longest that is known counts.

    Raises UserFacingError (`styles_many`).
    """
    parts, names = text.split(","), list[str]()
    at = 0
    while at < len(parts):
        ends = range(len(parts), at + 1, -1)
        end = next((end for end in ends if known(",".join(parts[at:end]).strip())), at + 1)
        if name := ",".join(parts[at:end]).strip():
            names.append(name)
        at = end
    if len(names) > MAX_APPLIED:
        raise UserFacingError("styles_many", limit=MAX_APPLIED)
    return names


def completions(
    typed: str, labels: Sequence[str], rank: Callable[[str, Sequence[str]], list[str]], limit_chars: int = 100
) -> list[str]:
    """What a whole option may become: what stands before the last comma, and a name for what stands behind it.

    `rank` orders names by what is typed. A row that Discord could not take whole is left out.
    """
    keys = {style_key(label) for label in labels}
    head, comma, last = typed.rpartition(",")
    if style_key(typed) in keys:  # a name with a comma of its own
        head, comma, last = "", "", typed
    before = [part.strip() for part in head.split(",") if part.strip()] if comma else []
    chosen = {style_key(name) for name in before} | {style_key(head)}
    start = ", ".join(before)
    rows = rank(last.strip(), [label for label in labels if style_key(label) not in chosen])
    whole = [f"{start}, {name}" if start else name for name in rows]
    return [row for row in whole if len(row) <= limit_chars]
