"""Enlarging a finished picture, whoever made it: by an upscaler alone, or with new detail drawn on top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.domain.limits import Limits
from bot.domain.models import choose_face_model, find_upscaler, names_of
from bot.domain.ranges import within
from bot.domain.sizes import MIN_SIDE_PX, SIZE_MULTIPLE_PX
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import SIZE_MAX_PX, Drawing, Hires, ImageRef, JobSpec, StoredSource, Txt2Img, Upscale

__all__ = ["FACTORS", "Enlargement", "creative", "default_upscaler", "plain"]

FACTORS = (1.5, 2.0, 3.0, 4.0)
"""What a list offers; a command takes any between 1 and 8."""
FACTOR_MAX = 8
DRAWN_FACTOR_MAX = 4
PLAIN_SIDES = 2
"""So many times the side, and the square of it times the area, that a drawn picture may have: nothing is denoised."""


@dataclass(frozen=True, slots=True)
class Enlargement:
    """`faces` as `choose_face_model` takes it. With `denoise` the larger picture is drawn over, after `prompt` where
    one is given; a second upscaler and faces belong to enlarging alone."""

    upscaler: str | None = None
    factor: float = 2.0
    faces: str | None = None
    denoise: float | None = None
    prompt: str = ""
    upscaler_2: str | None = None
    blend: float = 0.5
    """How much of the second upscaler's result lies over the first one's."""
    face_visibility: float = 1.0
    face_weight: float = 0.5
    """CodeFormer's: 0 has the strongest effect."""


def default_upscaler(facts: Sequence[ModelFact]) -> str:
    """The first model that is installed, else Lanczos."""
    return next(iter(names_of("upscaler", facts)), "Lanczos")


def plain(
    wish: Enlargement, image: ImageRef, size: tuple[int, int], facts: Sequence[ModelFact], limits: Limits
) -> Upscale:
    """`size` is the picture's, in pixels. Raises UserFacingError: `enlarge_too_large`, `factor_range`, those of
    `find_upscaler` and `choose_face_model`."""
    factor = within("factor", wish.factor, 1, FACTOR_MAX)
    sides = limits.max_upscaled_side_px * PLAIN_SIDES
    _check(size, factor, sides, limits.max_upscaled_pixels * PLAIN_SIDES**2)
    upscaler = find_upscaler(wish.upscaler or default_upscaler(facts), facts, latent=False)
    model = choose_face_model(wish.faces, facts) if wish.faces else None
    more: dict[str, Any] = {}
    if model == "GFPGAN":
        more = {"gfpgan_visibility": wish.face_visibility}
    elif model is not None:
        more = {"codeformer_visibility": wish.face_visibility, "codeformer_weight": wish.face_weight}
    if wish.upscaler_2:
        second = find_upscaler(wish.upscaler_2, facts, latent=False)
        more |= {"upscaler_2": second, "visibility_2": wish.blend if second != "None" else 0.0}
    return Upscale(image=image, scale=factor, upscaler=upscaler, **more)


def creative(
    wish: Enlargement,
    base: JobSpec,
    source: ImageRef,
    size: tuple[int, int],
    facts: Sequence[ModelFact],
    limits: Limits,
) -> Txt2Img:
    """A second pass over the picture, with everything else as `base` has it: what drew it, or what is made of the
    prompt. Raises as `plain`, and `denoising_range`."""
    factor = within("factor", wish.factor, 1, DRAWN_FACTOR_MAX)
    _check(size, factor, limits.max_upscaled_side_px, limits.max_upscaled_pixels)
    strength = wish.denoise or 0
    if not 0 < strength <= 1:
        raise UserFacingError("denoising_range", wish=f"{strength:g}")
    upscaler = find_upscaler(wish.upscaler or default_upscaler(facts), facts, latent=False)
    kept: dict[str, Any] = {}
    if isinstance(base, Txt2Img) and base.hires is not None:
        kept = {name: getattr(base.hires, name) for name in ("sampler", "schedule", "checkpoint")}
        if not wish.prompt:
            kept |= {"prompt": base.hires.prompt, "negative_prompt": base.hires.negative_prompt}
    hires = Hires(
        scale=factor, upscaler=upscaler, denoising_strength=strength, source=StoredSource(image=source), **kept
    )
    own: dict[str, Any] = {name: getattr(base, name) for name in Drawing.model_fields}
    width, height = (_drawable(side) for side in size)
    own |= {"width": width, "height": height, "count": 1, "hires": hires}
    return Txt2Img(**own)


def _check(size: tuple[int, int], factor: float, side_max: int, pixels_max: int) -> None:
    width, height = (int(side * factor) for side in size)
    if max(width, height) <= side_max and width * height <= pixels_max:
        return
    most = min(side_max / max(size), math.sqrt(pixels_max / (size[0] * size[1])))
    if most < 1:
        raise UserFacingError("enlarge_large_already", width=size[0], height=size[1])
    raise UserFacingError("enlarge_too_large", width=width, height=height, most=f"{math.floor(most * 100) / 100:g}")


def _drawable(side: int) -> int:
    """What a record says of the first pass; the picture itself is taken as it is."""
    return min(max(side // SIZE_MULTIPLE_PX * SIZE_MULTIPLE_PX, MIN_SIDE_PX), SIZE_MAX_PX)
