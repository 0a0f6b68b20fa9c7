"""The keys that say how pictures led a drawing, and how a map was made (behaviours §17.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_worker.protocol.specs import ControlUnit, Preprocess

__all__ = ["control_fields", "map_fields"]


def control_fields(units: Sequence[ControlUnit], models: Sequence[str]) -> dict[str, str]:
    """A key for each unit, without the defaults that later versions leave out. `models` are names with hashes."""
    return {
        f"ControlNet {at}": _control_unit(unit, models[at] if at < len(models) else unit.model)
        for at, unit in enumerate(units)
    }


def map_fields(spec: Preprocess) -> dict[str, Any]:
    """Of a map by itself, by the names that stand in a control unit's key."""
    aims = spec.fit or spec.pixel_perfect
    return {
        "Module": spec.preprocessor,
        "Resize Mode": spec.resize_mode if aims else None,
        **_seen(spec.unit),
        "Pixel Perfect": spec.pixel_perfect or None,
        "Size": f"{spec.width}x{spec.height}" if aims else None,
        "Seed": spec.seed or None,
    }


def _control_unit(unit: ControlUnit, model: str) -> str:
    parts: dict[str, Any] = {
        "Module": unit.preprocessor,
        "Model": model,
        "Weight": _number(unit.weight),
        "Resize Mode": unit.resize_mode,
        "Low Vram": unit.low_memory or None,
        **_seen(unit),
        "Guidance Start": _number(unit.start),
        "Guidance End": _number(unit.end),
        "Pixel Perfect": unit.pixel_perfect,
        "Control Mode": unit.mode,
        "Hr Option": unit.hires if unit.hires != "Both" else None,
        "Union Control Type": unit.control_type,
    }
    return ", ".join(f"{key}: {value}" for key, value in parts.items() if value is not None)


def _seen(unit: ControlUnit) -> dict[str, Any]:
    return {
        "Processor Res": unit.processor_resolution if unit.preprocessor not in ("none", "invert") else None,
        "Threshold A": _number(unit.threshold_a) if unit.threshold_a is not None else None,
        "Threshold B": _number(unit.threshold_b) if unit.threshold_b is not None else None,
    }


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value
