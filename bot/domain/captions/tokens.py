"""About how many tokens CLIP makes of a caption, without its list of them: the bot has none."""

from __future__ import annotations

import re

__all__ = ["TOKENS_MAX", "about_tokens"]

TOKENS_MAX = 75
"""What the text encoder reads at once; a training cuts the rest, unless `max_token_length` says otherwise."""
_PARTS = re.compile(r"[^\W\d_]+|\d|[^\w\s]+|_+")
_WORD_CHARS = 9
"""Longer words come in pieces, most shorter ones do not."""


def about_tokens(text: str) -> int:
    """Words, single digits and runs of other signs, as CLIP parts them before it looks pieces up."""
    return sum(_tokens(part) for part in _PARTS.findall(text))


def _tokens(part: str) -> int:
    if not part[0].isalpha():
        return 1
    # Of other alphabets than Latin its list holds hardly more than letters.
    return -(-len(part) // _WORD_CHARS) if part.isascii() else len(part)
