"""What is a template in a text, and what in it stays A1111's. Imports nothing, for the process that draws from them."""

from __future__ import annotations

import re

__all__ = ["guarded", "is_template", "text_tags", "unguarded", "wildcards_in"]

_NETWORK = re.compile(r"<\w+:[^<>{}|]*>")
"""A tag of one name: `#`, `//` and `__` in a file's name mean nothing there. With braces or `|` it is a template."""
_DRAWN_NETWORK = re.compile(r"<\w+:[^<>]*[{}|][^<>]*>")
_VARIANT = re.compile(r"\{[^{}]*\}")
_WILDCARD = re.compile(r"__(?=[^\s_])([^\n]*?[^\s_(]|[^\n]*?\([^)\n]*\))__")
_SIGNS = "#/_$%*"
_PLACES = {ord(sign): chr(0xE000 + number) for number, sign in enumerate(_SIGNS)}
_BACK = {ord(place): chr(sign) for sign, place in _PLACES.items()}


def is_template(text: str) -> bool:
    """Whether there is anything to draw: a pair of braces, or a wildcard. A lone brace or `#` is a plain text's."""
    found = guarded(text)
    return _VARIANT.search(found) is not None or _WILDCARD.search(found) is not None


def guarded(text: str) -> str:
    """With the template's signs inside network tags replaced, so that tags come through as they were typed."""
    return _NETWORK.sub(lambda tag: tag[0].translate(_PLACES), text)


def unguarded(text: str) -> str:
    return text.translate(_BACK)


def wildcards_in(text: str) -> list[str]:
    """The names (or patterns) of all wildcards, in order, without sampler marks and parameters."""
    names = (found[1].lstrip("~!@").split("(")[0].strip() for found in _WILDCARD.finditer(guarded(text)))
    return list(dict.fromkeys(name for name in names if name))


def text_tags(text: str) -> str:
    """The text without network tags that are templates themselves (`<lora:{a|b}:1>`): what they name is not drawn yet,
    so it cannot be looked up."""
    return _DRAWN_NETWORK.sub("", text)
