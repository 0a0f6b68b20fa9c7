"""A1111's parameter text: written into pictures, pasted by users, read back. Storage in files is the engine's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpu_worker.language.attention import BREAK, parse_attention
from gpu_worker.language.versions import switches_of_version

__all__ = [
    "Infotext", "build_infotext", "lossless", "parse_fields", "parse_generation_parameters", "parse_infotext", "quote",
    "unquote", "whole_infotext",
]  # fmt: skip

# The second branch eats a row of words that no colon follows, so that no text takes quadratic time.
_ITEM = re.compile(r'[ \-/]*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)|[\w \-/]+')
_SIZE = re.compile(r"^(\d+)x(\d+)$")
_NEGATIVE = "Negative prompt:"
_FEWEST_ITEMS = 3
"""Fewer `key: value` items on the last line make it a line of the prompt."""
_BREAKERS = ",\n:"


@dataclass(frozen=True)
class Infotext:
    prompt: str = ""
    negative_prompt: str = ""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """In order; a value `512x768` of `Size` is split into `Size-1` and `Size-2`, as A1111 does."""


def quote(value: Any) -> Any:
    """A JSON string where `value` would break the grammar (comma, colon, line break), else the value itself."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in _BREAKERS) else value


def unquote(text: str) -> str:
    """What `quote` was given; text that is no valid JSON string stays as it is."""
    if len(text) < 2 or not (text[0] == text[-1] == '"'):
        return text
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def lossless(key: str, value: str) -> str:
    """A value of `key` that `build_infotext` writes so that it can be read back.

    A1111 itself would lose one that is empty, equals its key, is quoted already, or has white space at its ends; as a
    JSON string it understands each.
    """
    plain = bool(value) and value != key and not value.startswith('"') and value == value.strip()
    return value if plain or any(mark in value for mark in _BREAKERS) else json.dumps(value, ensure_ascii=False)


def build_infotext(prompt: str, negative_prompt: str, fields: Mapping[str, Any]) -> str:
    """The text for one picture. None values are left out; a value equal to its key is written as the bare key."""
    items = [key if key == value else f"{key}: {quote(value)}" for key, value in fields.items() if value is not None]
    negative = f"\n{_NEGATIVE} {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{negative}\n{', '.join(items)}".strip()


def whole_infotext(info: Infotext) -> str:
    """The text again: sizes that reading split are joined, and a field whose value equals its key is written so."""
    fields: dict[str, str] = {}
    for key, value in info.fields.items():
        base, dash, side = key.rpartition("-")
        if dash and side == "2" and f"{base}-1" in info.fields:
            continue
        joined = dash and side == "1" and f"{base}-2" in info.fields
        fields[base if joined else key] = f"{value}x{info.fields[f'{base}-2']}" if joined else value
    return build_infotext(info.prompt, info.negative_prompt, fields)


def parse_infotext(text: str) -> Infotext:
    """What stands in the text; what is no infotext becomes a prompt without fields. Never raises."""
    *lines, last = text.strip().split("\n")
    items = _items(last)
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
        if line or into:
            into.append(line)
    return Infotext("\n".join(prompt), "\n".join(negative), _fields((key, value) for key, value in items if value))


def parse_fields(line: str) -> dict[str, str]:
    """The `key: value` items of a parameter line alone, however few, empty values too. Never raises."""
    return _fields(_items(line))


def parse_generation_parameters(text: str) -> dict[str, Any]:
    """What A1111 makes of a pasted text: `Prompt`, `Negative prompt`, the fields, old forms brought up to date, every
    default that a missing key stands for, and the switches that the text's version asks for. Never raises.

    Values that were in the text are text; what is added has the type A1111 gives it.
    """
    info = parse_infotext(text)
    found: dict[str, Any] = {**info.fields, "Prompt": info.prompt, "Negative prompt": info.negative_prompt}
    if "Hypernet" in found:
        found["Prompt"] += f"<hypernet:{found['Hypernet']}:{found.get('Hypernet strength', '1.0')}>"
    for key, value in _defaults().items():
        found.setdefault(key, value)
    _old_hires(found)
    weighted = parse_attention(info.prompt) + parse_attention(info.negative_prompt)
    if any(weight != 1.0 and part != BREAK[0] for part, weight in weighted):
        found.setdefault("Emphasis", "Original")
    return {**found, **switches_of_version(found)}


def _defaults() -> dict[str, Any]:
    return {
        "Clip skip": "1",
        "Hires resize-1": 0,
        "Hires resize-2": 0,
        "Hires sampler": "Use same sampler",
        "Hires schedule type": "Use same scheduler",
        "Hires checkpoint": "Use same checkpoint",
        "Hires prompt": "",
        "Hires negative prompt": "",
        "Mask mode": "Inpaint masked",
        "Masked content": "original",
        "Inpaint area": "Whole picture",
        "Masked area padding": 32,
        "RNG": "GPU",
        "Schedule type": "Automatic",
        "Schedule max sigma": 0,
        "Schedule min sigma": 0,
        "Schedule rho": 0,
        "VAE Encoder": "Full",
        "VAE Decoder": "Full",
        "FP8 weight": "Disable",
        "Refiner switch by sampling steps": False,
    }


def _old_hires(found: dict[str, Any]) -> None:
    """Before 2023 `Size` was the finished picture's, and `First pass size` (0x0: worked out) said the rest (§8)."""
    if "First pass size-1" not in found or "First pass size-2" not in found:
        return
    first = [_whole(found["First pass size-1"]), _whole(found["First pass size-2"])]
    size = [_whole(found.get("Size-1", 512)), _whole(found.get("Size-2", 512))]
    if 0 in first and 0 not in size:
        scale = math.sqrt(512 * 512 / (size[0] * size[1]))
        first = [math.ceil(scale * side / 64) * 64 for side in size]
    found["Size-1"], found["Size-2"] = first
    found["Hires resize-1"], found["Hires resize-2"] = size


def _whole(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _items(line: str) -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in _ITEM.finditer(line) if match[1] is not None]


def _fields(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for key, raw in items:
        value = unquote(raw)
        size = _SIZE.match(value)
        if size:
            fields[f"{key}-1"], fields[f"{key}-2"] = size[1], size[2]
        else:
            fields[key] = value
    return fields
