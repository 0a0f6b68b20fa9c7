"""A1111's parameter text: written into pictures, pasted by users, read back. Storage in files is the engine's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Infotext", "build_infotext", "parse_fields", "parse_infotext", "quote", "unquote"]

_ITEM = re.compile(r'\s*(\w[\w \-/]{1,99}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d+)x(\d+)")
_NEGATIVE = "Negative prompt:"
_FEWEST_ITEMS = 3
"""Fewer `key: value` items on the last line make it a line of the prompt."""


@dataclass(frozen=True)
class Infotext:
    prompt: str = ""
    negative_prompt: str = ""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """In order; a value `512x768` of `Size` is split into `Size-1` and `Size-2`, as A1111 does."""


def quote(value: Any) -> Any:
    """A JSON string where `value` would break the grammar (comma, colon, line break), else the value itself."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",\n:") else value


def unquote(text: str) -> str:
    """What `quote` was given; text that is no valid JSON string stays as it is."""
    if len(text) < 2 or not (text[0] == text[-1] == '"'):
        return text
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def build_infotext(prompt: str, negative_prompt: str, fields: Mapping[str, Any]) -> str:
    """The text for one picture. None values are left out; a value equal to its key is written as the bare key."""
    items = [key if key == value else f"{key}: {quote(value)}" for key, value in fields.items() if value is not None]
    negative = f"\n{_NEGATIVE} {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{negative}\n{', '.join(items)}".strip()


def parse_infotext(text: str) -> Infotext:
    """Reads any text; what is no infotext becomes a prompt without fields. Never raises."""
    *lines, last = text.strip().split("\n")
    items = _ITEM.findall(last)
    if len(items) < _FEWEST_ITEMS:
        lines.append(last)
        items = []
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for raw in lines:
        line = raw.strip()
        if line.startswith(_NEGATIVE):
            into = negative
            line = line.removeprefix(_NEGATIVE).strip()
        into.append(line)
    return Infotext("\n".join(prompt), "\n".join(negative), _fields(items))


def parse_fields(line: str) -> dict[str, str]:
    """The `key: value` items of a parameter line alone, however few. Never raises."""
    return _fields(_ITEM.findall(line))


def _fields(items: list[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for key, value in items:
        size = _SIZE.fullmatch(value)
        if size:
            fields[f"{key}-1"], fields[f"{key}-2"] = size[1], size[2]
        else:
            fields[key] = unquote(value)
    return fields
