"""Numbers within what the worker takes and what the operator allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel

from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.wishes import WISHES
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import SIZE_MAX_PX, Drawing, FaceRestore, Hires, Img2Img, Mask, Refiner, Variation

__all__ = ["check_ranges", "numbers", "within"]

N = TypeVar("N", int, float)
SEED_SIDE_MIN_PX = 8
"""One latent pixel."""

_PLACES: Mapping[str, tuple[type[BaseModel], str]] = MappingProxyType(
    {
        "variation_strength": (Variation, "strength"),
        "face_visibility": (FaceRestore, "visibility"),
        "face_weight": (FaceRestore, "weight"),
        "refiner_at": (Refiner, "switch_at"),
        "hires_scale": (Hires, "scale"),
        "hires_steps": (Hires, "steps"),
        "mask_blur": (Mask, "blur"),
        "padding_px": (Mask, "padding_px"),
    }
)
_PLAIN = (
    "batch_size", "ensd", "ngms", "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_min", "sigma_max", "rho",
)  # fmt: skip
_OF_PICTURES = ("mask_weight", "image_cfg_scale", "noise_multiplier", "extra_noise")
_OFF = frozenset({"variation_strength", "hires_scale"})
"""0 switches these off, so it is no number of theirs."""
_KEYS: Mapping[str, str] = MappingProxyType({wish.field: wish.key for wish in WISHES})


def within(name: str, wish: N | None, least: N, most: N) -> N:
    """Raises UserFacingError (`steps_range`, `cfg_scale_range`, `clip_skip_range`, `count_range`)."""
    assert wish is not None, f"the fallback layer lacks {name}"
    if not least <= wish <= most:
        raise UserFacingError(f"{name}_range", wish=_plain(wish), least=_plain(least), most=_plain(most))
    return wish


def check_ranges(wishes: Parameters, limits: Limits) -> None:
    """Everything that has a range and no sentence of its own. Raises UserFacingError (`parameter_range`)."""
    check_seed_resize(wishes.seed_resize)
    for field in (*_PLACES, *_PLAIN, *_OF_PICTURES):
        wish = getattr(wishes, field)
        if wish is None or (field in _OFF and wish == 0):
            continue
        model, name = _PLACES.get(field) or (Img2Img if field in _OF_PICTURES else Drawing, field)
        least, most, above = _bounds(model, name)
        if field == "hires_scale":
            most = min(most, limits.max_hires_scale)
        if not least <= wish <= most or (above and wish == least):
            raise UserFacingError(
                "parameter_range", name=_KEYS[field], wish=_plain(wish), least=_plain(least), most=_plain(most)
            )


def check_seed_resize(size: tuple[int, int] | None) -> None:
    """Either both sides, or none. Raises UserFacingError (`parameter_range`)."""
    for side in size or ():
        if any(size or ()) and not SEED_SIDE_MIN_PX <= side <= SIZE_MAX_PX:
            raise UserFacingError(
                "parameter_range", name=_KEYS["seed_resize"], wish=side, least=SEED_SIDE_MIN_PX, most=SIZE_MAX_PX
            )


def numbers(wishes: Parameters) -> dict[str, int | float]:
    """What goes into a `Drawing` under its own name."""
    return {field: wish for field in _PLAIN if (wish := getattr(wishes, field)) is not None}


def _plain(number: float) -> str:
    """Without an exponent, as people write it."""
    whole = math.isfinite(number) and number == int(number)
    return str(int(number)) if whole else f"{number:g}"


def _bounds(model: type[BaseModel], name: str) -> tuple[float, float, bool]:
    """Least, most, and whether the least itself is left out, as the wire format has them."""
    least, most, above = float("-inf"), float("inf"), False
    for rule in _rules(model, name):
        match rule:
            case Ge(ge=value):
                least = float(value)  # pyright: ignore[reportArgumentType]
            case Gt(gt=value):
                least, above = float(value), True  # pyright: ignore[reportArgumentType]
            case Le(le=value):
                most = float(value)  # pyright: ignore[reportArgumentType]
            case _:
                pass
    return least, most, above


def _rules(model: type[BaseModel], name: str) -> list[object]:
    return list(model.model_fields[name].metadata)
