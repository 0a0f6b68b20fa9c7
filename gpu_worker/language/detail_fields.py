"""Units of detail fix in an infotext, with ADetailer's keys, so that A1111 reads them.

ADetailer leaves out what is as it would be without being said. The second unit's keys end in " 2nd", and so on. What
it has no key for (order and number of the finds) gets one of ours.
"""

from __future__ import annotations

from typing import Any

from gpu_worker.language.detectors import FACES
from gpu_worker.protocol.specs import DetailFix

__all__ = ["SUFFIXES", "detail_fields"]

SUFFIXES = ("", " 2nd", " 3rd", " 4th")
_USUAL = DetailFix(model=FACES)


def detail_fields(units: tuple[DetailFix, ...]) -> dict[str, Any]:
    """In ADetailer's order."""
    fields: dict[str, Any] = {}
    for suffix, unit in zip(SUFFIXES, units, strict=False):
        fields |= {f"{key}{suffix}": value for key, value in _unit(unit).items() if value is not None}
    return fields


def _unit(unit: DetailFix) -> dict[str, Any]:
    sized = unit.width > 0
    return {
        "ADetailer model": unit.model if unit.model == FACES else f"{unit.model}.pt",
        "ADetailer model classes": unit.classes or None,
        "ADetailer prompt": unit.prompt or None,
        "ADetailer negative prompt": unit.negative_prompt or None,
        "ADetailer confidence": _number(unit.confidence),
        "ADetailer mask only top k largest": unit.only_k or None,
        "ADetailer mask min ratio": _number(unit.min_ratio) or None,
        "ADetailer mask max ratio": _number(unit.max_ratio) if unit.max_ratio != 1 else None,
        "ADetailer x offset": unit.x_offset or None,
        "ADetailer y offset": unit.y_offset or None,
        "ADetailer dilate erode": unit.dilate,
        "ADetailer mask merge invert": unit.merge if unit.merge != "None" else None,
        "ADetailer mask blur": unit.mask_blur,
        "ADetailer denoising strength": _number(unit.denoising_strength),
        "ADetailer inpaint only masked": unit.only_masked,
        "ADetailer inpaint padding": unit.padding_px if unit.only_masked else None,
        "ADetailer use inpaint width height": sized or None,
        "ADetailer inpaint width": unit.width if sized else None,
        "ADetailer inpaint height": unit.height if sized else None,
        "ADetailer use separate steps": unit.steps > 0 or None,
        "ADetailer steps": unit.steps or None,
        "ADetailer use separate CFG scale": unit.cfg_scale is not None or None,
        "ADetailer CFG scale": _number(unit.cfg_scale) if unit.cfg_scale is not None else None,
        "ADetailer use separate sampler": unit.sampler is not None or None,
        "ADetailer sampler": unit.sampler,
        "ADetailer scheduler": unit.schedule,
        "Detail sort": unit.sort if unit.sort != _USUAL.sort else None,
        "Detail most": unit.most if unit.most != _USUAL.most else None,
    }


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value
