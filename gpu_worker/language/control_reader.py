"""Control units from an infotext's keys, in the forms that A1111's ControlNet has written them since 2023 (§17.6).

Three forms: one key for each unit (`ControlNet 0: "Module: canny, Model: …"`), the same in small letters with
`starting/ending` and `preprocessor params`, and before those a key for each field (`ControlNet-0 Module: canny`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from gpu_worker.language.field_reader import FieldReader, held, number_of
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.specs import ControlMode, ControlResize, ControlType, ControlUnit

__all__ = ["UNITS_MAX", "read_units"]

UNITS_MAX = 4
_KEYS = (
    "Module", "Preprocessor", "Model", "Weight", "Resize Mode", "Low Vram", "Processor Res", "Threshold A",
    "Threshold B", "Guidance Start", "Guidance End", "Guidance Strength", "Guess Mode", "Pixel Perfect",
    "Control Mode", "Hr Option", "Union Control Type", "Starting/Ending", "Preprocessor Params", "Enabled",
)  # fmt: skip
_SPLIT = re.compile(r",\s*(?=[A-Za-z][A-Za-z /]{1,30}:)")
_WHOLE = re.compile(r"ControlNet (\d)")
_PART = re.compile(rf"ControlNet(?:-(\d))? ({'|'.join(map(re.escape, _KEYS))})", re.IGNORECASE)
_HASH = re.compile(r"\s*\[[0-9a-fA-F]{6,64}\]\s*$")
_TUPLE = re.compile(r"\(([^()]{1,60})\)")
_RESIZE = {
    "scale to fit (inner fit)": "Crop and Resize", "inner fit (scale to fit)": "Crop and Resize",
    "envelope (outer fit)": "Resize and Fill", "outer fit (shrink to fit)": "Resize and Fill",
}  # fmt: skip
"""Old names."""
_NUMBERS = (
    ("weight", "weight"), ("guidance start", "start"), ("guidance end", "end"), ("guidance strength", "end"),
    ("processor res", "processor_resolution"), ("threshold a", "threshold_a"), ("threshold b", "threshold_b"),
)  # fmt: skip


def read_units(reader: FieldReader) -> list[dict[str, Any]]:
    """Values for `ControlUnit(**values)` without pictures, which no text holds; in the order of their numbers, at most
    four. What names no model, an unknown preprocessor, or something of the same extension that is no control unit, is
    a note."""
    found: list[dict[str, Any]] = []
    for number, (keys, parts) in sorted(_collected(reader).items()):
        if parts.get("enabled", "true").casefold() == "false":
            continue
        values = _unit(parts)
        if values is None or len(found) == UNITS_MAX:
            reader.note("not_supported", keys[0])
            continue
        found.append(values | {"number": number})
    return [{name: value for name, value in values.items() if name != "number"} for values in found]


def _collected(reader: FieldReader) -> dict[int, tuple[list[str], dict[str, str]]]:
    """By unit: the keys it stood in, and its parts by their names in small letters."""
    found: dict[int, tuple[list[str], dict[str, str]]] = {}
    for key in [*reader.fields]:
        if whole := _WHOLE.fullmatch(key):
            parts = (part.partition(":") for part in _SPLIT.split((reader.raw(key) or "")[:2000]))
            named = {name.strip().casefold(): value.strip() for name, colon, value in parts if colon}
            found[int(whole[1])] = [key], named
        elif part := _PART.fullmatch(key):
            keys, named = found.setdefault(int(part[1] or 0), ([], {}))
            keys.append(key)
            named[part[2].casefold()] = (reader.raw(key) or "").strip()
    return found


def _unit(parts: Mapping[str, str]) -> dict[str, Any] | None:
    parts = {**parts, **_tuples(parts)}
    model = _HASH.sub("", parts.get("model", "")).strip()
    preprocessor = parts.get("module", parts.get("preprocessor", "none")).strip() or "none"
    entry = find_preprocessor(preprocessor)
    if not model or model.casefold() == "none" or entry is None:
        return None
    values: dict[str, Any] = {"model": model, "preprocessor": entry.name}
    for key, name in _NUMBERS:
        number = number_of(parts[key], whole=False) if key in parts else None
        if number is None or (number < 0 and name not in ("weight", "start", "end")):
            continue  # -1 is the preprocessor's own
        kept = held(ControlUnit, name, number)
        if kept is not None:
            values[name] = round(kept) if name == "processor_resolution" else kept
    for key, name in (("low vram", "low_memory"), ("pixel perfect", "pixel_perfect")):
        if parts.get(key, "").casefold() == "true":
            values[name] = True
    resize = parts.get("resize mode", "")
    for value, name, options in (
        (_RESIZE.get(resize.casefold(), resize), "resize_mode", get_args(ControlResize)),
        (parts.get("control mode", ""), "mode", get_args(ControlMode)),
        (parts.get("hr option", ""), "hires", get_args(ControlUnit.model_fields["hires"].annotation)),
        (parts.get("union control type", ""), "control_type", get_args(ControlType)),
    ):
        chosen = next((option for option in options if option.casefold() == value.casefold()), None)
        if chosen is not None:
            values[name] = chosen
    if parts.get("guess mode", "").casefold() == "true":
        values["mode"] = "ControlNet is more important"
    return values


def _tuples(parts: Mapping[str, str]) -> dict[str, str]:
    """`starting/ending: (0, 1)` and `preprocessor params: (512, 100, 200)` by the names they have elsewhere."""
    found: dict[str, str] = {}
    for key, names in (
        ("starting/ending", ("guidance start", "guidance end")),
        ("preprocessor params", ("processor res", "threshold a", "threshold b")),
    ):
        if match := _TUPLE.search(parts.get(key, "")):
            found |= dict(zip(names, (value.strip() for value in match[1].split(",")), strict=False))
    return found
