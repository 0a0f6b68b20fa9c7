"""What somebody wrote into the forms of a unit of detail fix, within ADetailer's ranges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from annotated_types import Ge, Le

from bot.domain.limits import DEFAULT_LIMITS, Limits
from bot.domain.mentions import spoken
from bot.domain.samplers import choose_sampler
from bot.domain.values import decimal, plain, whole
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import DetailFix, DetailSort

__all__ = [
    "MERGES",
    "SORTS",
    "bounds",
    "read_drawing",
    "read_finding",
    "read_mask",
    "read_number",
    "read_words",
    "shown_pair",
    "size_of",
]

SORTS: tuple[str, ...] = get_args(DetailSort)
MERGES: tuple[str, ...] = get_args(DetailFix.model_fields["merge"].annotation)
_PAIR = re.compile(r"\s*([-+]?[0-9.,]{1,8}?)\s*(?:x|×|;|,\s|to|a|–|\s)\s*([-+]?[0-9.,]{1,8})\s*", re.IGNORECASE)
_CFG = (1.0, 30.0)


def bounds(name: str) -> tuple[float, float]:
    if name == "cfg_scale":
        return _CFG
    rules = DetailFix.model_fields[name].metadata
    least = next(float(rule.ge) for rule in rules if isinstance(rule, Ge))  # pyright: ignore[reportArgumentType]
    most = next(float(rule.le) for rule in rules if isinstance(rule, Le))  # pyright: ignore[reportArgumentType]
    return least, most


def read_number(name: str, label: str, text: str) -> Any:
    """An emptied field is the default. Raises UserFacingError (`detail_number`)."""
    default = DetailFix.model_fields[name].default
    if not text.strip():
        return default
    least, most = bounds(name)
    try:
        number = whole(text) if isinstance(default, int) else decimal(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise UserFacingError(
            "detail_number", name=label, value=spoken(text[:40]), least=f"{least:g}", most=f"{most:g}"
        )
    return number


def read_words(unit: DetailFix, fields: Mapping[str, str]) -> DetailFix:
    update: dict[str, Any] = {name: fields.get(name, "").strip()[:4000] for name in ("prompt", "negative_prompt")}
    update["classes"] = fields.get("classes", "").strip()[:200]
    return unit.model_copy(update=update)


def read_finding(unit: DetailFix, fields: Mapping[str, str]) -> DetailFix:
    """Raises UserFacingError: `detail_number`, `detail_pair`."""
    update: dict[str, Any] = {
        "confidence": read_number("confidence", "Confidence", fields.get("confidence", "")),
        "only_k": read_number("only_k", "Only k largest", fields.get("only_k", "")),
        "most": read_number("most", "Most", fields.get("most", "")),
    }
    least, most = _pair("Size", fields.get("ratio", ""), (0.0, 1.0))
    if not 0 <= least <= most <= 1:
        raise UserFacingError(
            "detail_pair", name="Size", value=spoken(fields.get("ratio", "")[:40]), example="0.01 0.5"
        )
    return unit.model_copy(update=update | {"min_ratio": least, "max_ratio": most})


def read_mask(unit: DetailFix, fields: Mapping[str, str]) -> DetailFix:
    """Raises UserFacingError: `detail_number`, `detail_pair`."""
    update: dict[str, Any] = {
        name: read_number(name, label, fields.get(name, ""))
        for name, label in (("dilate", "Dilate"), ("mask_blur", "Mask blur"), ("padding_px", "Padding"))
    }
    right, up = _pair("Offset", fields.get("offset", ""), (0.0, 0.0))
    for name, value in (("x_offset", right), ("y_offset", up)):
        update[name] = read_number(name, "Offset", f"{value:g}")
    return unit.model_copy(update=update)


def read_drawing(unit: DetailFix, fields: Mapping[str, str], limits: Limits = DEFAULT_LIMITS) -> DetailFix:
    """Raises UserFacingError: `detail_number`, `detail_size`, those of `choose_sampler`."""
    strength = fields.get("denoising_strength", "")
    update: dict[str, Any] = {
        "denoising_strength": read_number("denoising_strength", "Denoising strength", strength),
        "steps": read_number("steps", "Steps", fields.get("steps", "")),
        "cfg_scale": None,
        "sampler": None,
        "schedule": None,
    }
    cfg = fields.get("cfg_scale", "").strip()
    if cfg:
        update["cfg_scale"] = float(_within_cfg(cfg))
    if sampler := fields.get("sampler", "").strip():
        choice = choose_sampler(sampler, None)
        update |= {"sampler": choice.sampler, "schedule": choice.schedule}
    width, height = size_of(fields.get("size", ""), limits)
    return unit.model_copy(update=update | {"width": width, "height": height})


def size_of(text: str, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Multiples of 8; empty is (0, 0), the drawing's own, and one number a square. Raises UserFacingError
    (`detail_size`)."""
    if not text.strip():
        return 0, 0
    found = re.fullmatch(r"\s*(\d{1,5})(?:\s*[x×]\s*(\d{1,5}))?\s*", text, re.IGNORECASE)
    sides = tuple(int(side) // 8 * 8 for side in (found[1], found[2] or found[1])) if found else (0, 0)
    most = limits.max_side_px
    if not all(64 <= side <= most for side in sides) or sides[0] * sides[1] > limits.max_pixels:
        raise UserFacingError("detail_size", value=spoken(text[:40]), most=most, pixels=limits.max_pixels)
    return sides[0], sides[1]


def shown_pair(one: float, two: float) -> str:
    return f"{plain(one)} {plain(two)}"


def _within_cfg(text: str) -> float:
    least, most = _CFG
    try:
        number = decimal(text)
    except ValueError:
        number = 0.0
    if not least <= number <= most:
        raise UserFacingError(
            "detail_number", name="CFG", value=spoken(text[:40]), least=f"{least:g}", most=f"{most:g}"
        )
    return number


def _pair(label: str, text: str, usual: tuple[float, float]) -> tuple[float, float]:
    if not text.strip():
        return usual
    found = _PAIR.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        return decimal(found[1]), decimal(found[2])
    except ValueError:
        example = f"{usual[0]:g} {usual[1]:g}"
        raise UserFacingError("detail_pair", name=label, value=spoken(text[:40]), example=example) from None
