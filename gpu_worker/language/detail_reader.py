"""Units of detail fix from an infotext: the way back from `detail_fields`, and what ADetailer wrote."""

from __future__ import annotations

from typing import Any

from gpu_worker.language.detail_fields import SUFFIXES
from gpu_worker.language.detectors import FACES
from gpu_worker.language.field_reader import FieldReader
from gpu_worker.language.names import resolve_sampler
from gpu_worker.protocol.specs import DetailFix

__all__ = ["details_from"]

_NUMBERS: tuple[tuple[str, str], ...] = (
    ("ADetailer confidence", "confidence"), ("ADetailer mask only top k largest", "only_k"),
    ("ADetailer mask only top k", "only_k"), ("ADetailer mask min ratio", "min_ratio"),
    ("ADetailer mask max ratio", "max_ratio"), ("ADetailer x offset", "x_offset"), ("ADetailer y offset", "y_offset"),
    ("ADetailer dilate erode", "dilate"), ("ADetailer dilate/erode", "dilate"), ("ADetailer mask blur", "mask_blur"),
    ("ADetailer denoising strength", "denoising_strength"), ("ADetailer inpaint padding", "padding_px"),
    ("ADetailer steps", "steps"), ("ADetailer CFG scale", "cfg_scale"), ("Detail most", "most"),
)  # fmt: skip
_SIZES = (("ADetailer inpaint width", "width"), ("ADetailer inpaint height", "height"))
_TEXTS = (
    ("ADetailer model classes", "classes"), ("ADetailer prompt", "prompt"),
    ("ADetailer negative prompt", "negative_prompt"), ("ADetailer sampler", "sampler"),
    ("ADetailer scheduler", "schedule"),
)  # fmt: skip
_CHOICES = (("ADetailer mask merge invert", "merge"), ("Detail sort", "sort"))
_SAID_BY_OTHERS = (
    "ADetailer version", "ADetailer inpaint only masked", "ADetailer use inpaint width height",
    "ADetailer use separate steps", "ADetailer use separate CFG scale", "ADetailer use separate sampler",
    "ADetailer method to decide top k masks",
)  # fmt: skip
_SUFFIX_OF_FILES = (".safetensors", ".onnx", ".pt", ".pth")


def details_from(reader: FieldReader) -> list[dict[str, Any]]:
    """Values for `DetailFix(**values)`, within its ranges. ADetailer's finders of faces by MediaPipe become ours."""
    found: list[dict[str, Any]] = []
    for suffix in SUFFIXES:
        values = _read(reader, suffix)
        if values is not None:
            found.append(values)
    return found


def _read(reader: FieldReader, suffix: str) -> dict[str, Any] | None:
    named = reader.text(f"ADetailer model{suffix}")
    if named is None or named == "None":
        return None
    numbers = _suffixed(_NUMBERS, suffix)
    values: dict[str, Any] = {"model": _model(named)}
    for key, name in _suffixed(_TEXTS, suffix):
        text = reader.text(key)
        if text and text not in ("Use same scheduler", "Use same sampler"):
            values[name] = text[:200] if name == "classes" else text[:4000]
    _require_sampler(reader, values, suffix)
    values |= reader.numbers(DetailFix, numbers)
    for key, name in _suffixed(_CHOICES, suffix):
        values |= reader.choice(key, name, DetailFix)
    values |= _sizes(reader, suffix)
    if reader.text(f"ADetailer inpaint only masked{suffix}") == "False":
        values["only_masked"] = False
    for key in _SAID_BY_OTHERS:
        reader.raw(f"{key}{suffix}")
    if values.get("min_ratio", 0.0) > values.get("max_ratio", 1.0):
        reader.note("unreadable", f"ADetailer mask min ratio{suffix}")
        del values["min_ratio"]
    return values


def _require_sampler(reader: FieldReader, values: dict[str, Any], suffix: str) -> None:
    """A sampler that nobody here knows is left out, with its schedule; a schedule without one is the drawing's."""
    sampler, schedule = values.get("sampler"), values.get("schedule")
    if sampler is not None and resolve_sampler(sampler, schedule) is None:
        reader.note("unknown_sampler", f"ADetailer sampler{suffix}")
        values.pop("sampler")
        values.pop("schedule", None)
    elif sampler is None and schedule is not None and resolve_sampler("Euler", schedule) is None:
        reader.note("not_supported", f"ADetailer scheduler{suffix}")
        values.pop("schedule")


def _sizes(reader: FieldReader, suffix: str) -> dict[str, Any]:
    sides = reader.numbers(DetailFix, _suffixed(_SIZES, suffix))
    kept = {name: max(64, int(side) // 8 * 8) for name, side in sides.items()}
    return kept if len(kept) == 2 else {}


def _model(named: str) -> str:
    name = named.strip()[:200]
    if name.casefold().startswith("mediapipe"):
        return FACES
    ending = next((end for end in _SUFFIX_OF_FILES if name.casefold().endswith(end)), "")
    return name[: len(name) - len(ending)] or FACES


def _suffixed(keys: tuple[tuple[str, str], ...], suffix: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{key}{suffix}", name) for key, name in keys)
