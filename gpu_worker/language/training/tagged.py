"""From a tagger's scores to a caption (behaviours §25.1; the WD14 tagger extension's `postprocess_tags`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

__all__ = ["KAOMOJI", "caption_of_scores"]

KAOMOJI = (
    "0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^", "o_o",
    "u_u", "x_x", "|_|", "||_||",
)  # fmt: skip
"""Tags whose underscore is a mouth."""

_ESCAPED = re.compile(r"([\\()])")


def caption_of_scores(
    scores: Mapping[str, float],
    *,
    threshold: float = 0.35,
    additional_tags: Collection[str] = (),
    exclude_tags: Collection[str] = (),
    sort_by_alphabetical_order: bool = False,
    add_confident_as_weight: bool = False,
    replace_underscore: bool = False,
    replace_underscore_excludes: Collection[str] = (),
    escape_tag: bool = False,
) -> str:
    """Surest first. `additional_tags` count as certain; `exclude_tags` are compared before underscores go; give
    `KAOMOJI` as `replace_underscore_excludes` to keep their faces."""
    found = {**scores, **dict.fromkeys(additional_tags, 1.0)}
    order = sorted(found) if sort_by_alphabetical_order else sorted(found, key=lambda tag: found[tag], reverse=True)
    words: dict[str, None] = {}
    for tag in order:
        if found[tag] < threshold or tag in exclude_tags:
            continue
        word = tag.replace("_", " ") if replace_underscore and tag not in replace_underscore_excludes else tag
        if escape_tag:
            word = _ESCAPED.sub(r"\\\1", word)
        words[f"({word}:{found[tag]})" if add_confident_as_weight else word] = None
    return ", ".join(words)
