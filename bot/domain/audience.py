"""`--private` and `--public` in a prompt: who sees the pictures, which is no parameter of them."""

from __future__ import annotations

import re

__all__ = ["read_audience"]

_FLAG = re.compile(r"(?<!\S)(?:--|[—–―])(?P<word>private|draft|public)(?=\s|$)", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]{2,}")


def read_audience(prompt: str) -> tuple[str, bool | None]:
    """The prompt without them, and whether it is for its user alone; None where it says nothing. The last one counts.
    A phone's dash in place of two hyphens is read, too."""
    found = [match["word"].lower() for match in _FLAG.finditer(prompt)]
    if not found:
        return prompt, None
    return _BLANKS.sub(" ", _FLAG.sub("", prompt)).strip(), found[-1] != "public"
