"""What the infotext of a plot's grid says beside its first picture's own, and the way back (behaviours §14.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["SCRIPT", "AxisRecord", "PlotRecord", "is_plot_key", "record_fields", "recorded_plot"]

SCRIPT = "X/Y/Z plot"
_EARLIER = "X/Y plot"
"""Until 2023 there was no Z."""
_NOTHING = "Nothing"
_LETTERS = ("X", "Y", "Z")


@dataclass(frozen=True)
class AxisRecord:
    type: str
    values: str
    """As they were typed."""
    fixed: str | None = None
    """Seeds that were drawn for `-1`; what draws the same pictures again."""


@dataclass(frozen=True)
class PlotRecord:
    axes: tuple[AxisRecord | None, AxisRecord | None, AxisRecord | None]


def record_fields(axes: Sequence[AxisRecord | None]) -> dict[str, str]:
    """Of x, y, and z where the grid shows all of z; None is an axis of nothing."""
    fields: dict[str, str] = {"Script": SCRIPT}
    for letter, axis in zip(_LETTERS, axes, strict=False):
        if axis is None or axis.type == _NOTHING:
            continue
        fields |= {f"{letter} Type": axis.type, f"{letter} Values": axis.values}
        if axis.fixed is not None:
            fields[f"Fixed {letter} Values"] = axis.fixed
    return fields


def is_plot_key(key: str) -> bool:
    return key == "Script" or any(
        key in (f"{letter} Type", f"{letter} Values", f"Fixed {letter} Values") for letter in _LETTERS
    )


def recorded_plot(fields: Mapping[str, str]) -> PlotRecord | None:
    """None where the text is not of a plot. Any axis may be missing."""
    if fields.get("Script") not in (SCRIPT, _EARLIER):
        return None
    x, y, z = (_axis(fields, letter) for letter in _LETTERS)
    return PlotRecord((x, y, z)) if x or y or z else None


def _axis(fields: Mapping[str, str], letter: str) -> AxisRecord | None:
    kind = fields.get(f"{letter} Type")
    if not kind or kind == _NOTHING:
        return None
    return AxisRecord(kind, fields.get(f"{letter} Values", ""), fields.get(f"Fixed {letter} Values"))
