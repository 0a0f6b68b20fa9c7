"""What is different between the control units of two requests, by A1111's names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from bot.domain.control.units import sliders
from bot.domain.values import plain
from gpu_worker.protocol.specs import ControlUnit, ImageRef

__all__ = ["unit_changes"]

_FIELDS = (
    ("preprocessor", "Module"), ("model", "Model"), ("weight", "Weight"), ("start", "Guidance Start"),
    ("end", "Guidance End"), ("mode", "Control Mode"), ("resize_mode", "Resize Mode"), ("hires", "Hr Option"),
    ("pixel_perfect", "Pixel Perfect"), ("processor_resolution", "Processor Res"), ("low_memory", "Low Vram"),
    ("control_type", "Union Control Type"),
)  # fmt: skip


def unit_changes(before: tuple[ControlUnit, ...], after: tuple[ControlUnit, ...]) -> Iterator[tuple[str, str, str]]:
    """Name, before and after; for whole units and pictures both are empty but for a `+` where there is one."""
    for at, (one, two) in enumerate(zip_longest(before, after)):
        name = f"ControlNet {at}"
        if one is None or two is None:
            yield name, "+" if one else "", "+" if two else ""
            continue
        for field, label in _FIELDS:
            old, new = getattr(one, field), getattr(two, field)
            if old != new:
                yield f"{name} {label}", _said(old), _said(new)
        labels = {key: slider for unit in (one, two) for key, slider in sliders(unit)}
        for field, slider in labels.items():
            old, new = getattr(one, field), getattr(two, field)
            if old != new:
                yield f"{name} {slider.label}", _said(old), _said(new)
        for field, label in (("image", "Picture"), ("mask", "Mask")):
            old, new = getattr(one, field), getattr(two, field)
            if _digest(old) != _digest(new):
                yield f"{name} {label}", "+" if old else "", "+" if new else ""


def _said(value: object) -> str:
    return "" if value is None else plain(value)


def _digest(ref: ImageRef | None) -> str:
    return ref.sha256 if ref is not None else ""
