"""What of a prompt is being typed, and the prompt with a suggestion in its place, as TagComplete writes it.

Underscores become spaces, but for faces; brackets are escaped; a comma follows unless one, or a colon, is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Piece", "PieceKind", "inserted", "listed", "piece_of", "written"]

PieceKind = Literal["tag", "network", "wildcard", "flag", "none"]
FACES = frozenset(
    (
        "0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^",
        "o_o", "u_u", "x_x", "|_|", "||_||",
    )
)  # fmt: skip
"""Their underscore stays."""
_NETWORK = re.compile(r"<(?:(\w*)(:[^<>]*)?)?\Z")
_WILDCARD = re.compile(r"__([^\s,{}|()<>]*)\Z")
_FLAG = re.compile(r"(?:^|\s)(?:--|[—–―])\S*\Z")
_TAG = re.compile(r"(?:[^,|<>()\[\]:{}\n]|(?<=_)\(|(?<=\\)[()\[\]])*\Z")
_BRACKETS = re.compile(r"([()\[\]])")


@dataclass(frozen=True, slots=True)
class Piece:
    """`start` is where it begins; `typed` what to look for; `word` is its last word, where it has several."""

    kind: PieceKind
    start: int
    typed: str
    word: str = ""
    word_start: int = 0


def piece_of(text: str) -> Piece:
    """What is typed at the end of `text`."""
    if _FLAG.search(text):
        return Piece("flag", len(text), "")
    if found := _NETWORK.search(text):
        return Piece("network", found.start(), found[0])
    if text.count("__") % 2 and (found := _WILDCARD.search(text)):
        return Piece("wildcard", found.start(), found[1])
    found = _TAG.search(text)
    assert found is not None, "it may be empty"
    typed = found[0].replace("\\", "")
    start = found.start() + len(found[0]) - len(found[0].lstrip())
    words = typed.split()
    if not words or typed != typed.rstrip() + (" " if typed.endswith(" ") else ""):
        return Piece("none", len(text), "")
    last = words[-1] if not typed.endswith(" ") else ""
    return Piece("tag", start, " ".join(words), last, len(text) - len(last))


def written(name: str, *, underscores: bool = True, brackets: bool = True) -> str:
    """A tag as it stands in a prompt. `underscores`, `brackets`: replaced and escaped."""
    text = name if not underscores or name in FACES else name.replace("_", " ")
    return _BRACKETS.sub(r"\\\1", text) if brackets else text


def inserted(
    text: str,
    start: int,
    end: int,
    name: str,
    kind: str = "tag",
    *,
    weight: float = 1,
    words: str = "",
    underscores: bool = True,
    brackets: bool = True,
    space: bool = True,
) -> tuple[str, int]:
    """`text` with the suggestion instead of what stands from `start` to `end`, and where the cursor is then.

    `kind` is `tag`, `embedding`, `lora` or `wildcard`; a LoRA's `words` go to the beginning of the prompt.
    """
    after = text[end:]
    match kind:
        case "lora":
            new = f"<lora:{name}:{weight:g}> "
        case "wildcard":
            new = f"__{name}__"
        case _:
            plain = name if kind == "embedding" else written(name, underscores=underscores, brackets=brackets)
            new = plain if after[:1] in (",", ":") and after else plain + (", " if space else ",")
    before = f"{words}, " if words and kind == "lora" else ""
    return f"{before}{text[:start]}{new}{after}", len(before) + start + len(new)


def listed(tags: str | None) -> str:
    """What the option `tags` holds, ready to stand behind a prompt: without the comma that a chosen suggestion ends
    in, and without line breaks."""
    return " ".join((tags or "").split()).strip(" ,")
