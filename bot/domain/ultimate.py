"""Ultimate SD upscale of a finished picture, whoever made it: a request of few words becomes a whole spec.

What is drawn follows the recorded request of a picture that was drawn here, the text inside a picture from elsewhere,
or what is typed; a picture that says nothing is drawn after no words at all, which keeps to what can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError

from bot.domain.control.kinds import kind_named
from bot.domain.control.models import model_for
from bot.domain.enlarging import default_upscaler
from bot.domain.layouts.parts import parts_of_text
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.models import check_loras, find_upscaler
from bot.domain.ranges import within
from bot.domain.templates import to_be_drawn
from bot.errors import UserFacingError
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks
from gpu_worker.language.tiles import scaled_size
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import (
    SIZE_MAX_PX,
    SIZE_MIN_PX,
    TILES_MAX,
    ControlUnit,
    Drawing,
    ImageRef,
    Img2Img,
    JobSpec,
    Txt2Img,
    Ultimate,
)

__all__ = [
    "DENOISE", "FACTORS", "FACTOR_MAX", "REDRAWS", "SEAMS", "TILES", "UltimateWish", "ultimate_of",
]  # fmt: skip

FACTORS = (1.5, 2.0, 3.0, 4.0)
"""What a list offers; a command takes any between 1 and 16."""
FACTOR_MAX = 16
DENOISE = 0.3
TILES = (512, 768, 1024)
PADDING_OF_TILE = ((768, 32), (SIZE_MAX_PX, 64))
"""Up to this side of a tile: with twice the tile, twice the padding and the blur (the guide's recipe)."""
BLUR_MAX = 64
REDRAWS = ("linear", "chess", "none")
SeamsFix = Literal["none", "band pass", "half tile offset pass", "half tile offset pass + intersections"]
SEAMS: Mapping[str, SeamsFix] = MappingProxyType(
    {
        "none": "none",
        "band": "band pass",
        "half": "half tile offset pass",
        "corners": "half tile offset pass + intersections",
    }
)
"""By what is sent of a list."""
TILE_CONTROL = "tile_resample"
_DROPPED: dict[str, Any] = {
    "count": 1, "batch_size": 0, "texts": (), "template": None, "seed_resize": None, "face_restore": None,
    "details": (), "tiling": False,
}  # fmt: skip
"""What belongs to a whole picture: faces cut by a tile's border, a tile that wraps on itself."""


@dataclass(frozen=True, slots=True)
class UltimateWish:
    """`width` and `height` go before `factor`; one of them alone follows the picture's shape. None takes what suits
    the picture or the tile."""

    factor: float = 2.0
    width: int | None = None
    height: int | None = None
    upscaler: str | None = None
    prompt: str = ""
    negative_prompt: str | None = None
    denoise: float = DENOISE
    tile: int | None = None
    """None: what the checkpoint draws best at; smaller ones have a whole motif drawn into each."""
    redraw: str = "linear"
    seams: str = "none"
    tile_control: bool = False
    """A tile ControlNet holds each tile to what is there."""
    mask_blur: int | None = None
    padding: int | None = None
    steps: int | None = None
    seed: int | None = None
    both: bool = False
    """The picture before its seams were mended comes as well."""


def ultimate_of(
    wish: UltimateWish,
    base: JobSpec,
    image: ImageRef,
    size: tuple[int, int],
    facts: Sequence[ModelFact],
    limits: Limits,
) -> Ultimate:
    """`base` is what the tiles are drawn after; `size` the picture's, in pixels.

    Raises UserFacingError: `ultimate_too_large`, `ultimate_size_small`, `ultimate_tile`, `ultimate_padding`,
    `ultimate_many_tiles`, `ultimate_changes_nothing`, `enlarge_large_already`, `lora_weight`, the ranges of numbers,
    those of `find_upscaler`, of `check_loras` and of `model_for`.
    """
    target = _target(wish, size, limits)
    upscaler = find_upscaler(wish.upscaler or default_upscaler(facts), facts, latent=False)
    if not 0 < wish.denoise <= 1:
        raise UserFacingError("denoising_range", wish=f"{wish.denoise:g}")
    if wish.tile is None:
        wish = replace(wish, tile=_best_tile(target, base, facts))
    tile, padding, blur = _tile(wish)
    seams = SEAMS.get(wish.seams, "none")
    redraw = wish.redraw if wish.redraw in REDRAWS else "linear"
    drawing = _drawing(wish, base, image, facts)
    values: dict[str, Any] = {
        "drawing": drawing, "width": target[0], "height": target[1], "upscaler": upscaler, "redraw": redraw,
        "tile_width": tile, "tile_height": 0, "mask_blur": blur, "padding": padding, "seams": seams,
        "keep_upscaled": seams == "none" or wish.both, "keep_mended": True,
    }  # fmt: skip
    if redraw == "none" and seams == "none":
        raise UserFacingError("ultimate_changes_nothing")
    tiles = math.ceil(target[0] / tile) * math.ceil(target[1] / tile)
    try:
        return Ultimate(**values)
    except ValidationError as error:
        raise UserFacingError("ultimate_many_tiles", n=tiles, most=TILES_MAX) from error


def _target(wish: UltimateWish, size: tuple[int, int], limits: Limits) -> tuple[int, int]:
    if size[0] * size[1] > limits.max_picture_pixels:
        raise UserFacingError("enlarge_large_already", width=size[0], height=size[1])
    width, height = wish.width or 0, wish.height or 0
    if width or height:
        target = width or round(height * size[0] / size[1]), height or round(width * size[1] / size[0])
    else:
        target = scaled_size(size, within("factor", wish.factor, 1, FACTOR_MAX))
    if max(target) > limits.max_ultimate_side_px:
        most = limits.max_ultimate_side_px / max(size)
        raise UserFacingError(
            "ultimate_too_large", width=target[0], height=target[1], side=limits.max_ultimate_side_px,
            most=f"{math.floor(most * 100) / 100:g}",
        )  # fmt: skip
    if min(target) < SIZE_MIN_PX:
        raise UserFacingError("ultimate_size_small", width=target[0], height=target[1], least=SIZE_MIN_PX)
    return target


def _best_tile(target: tuple[int, int], base: JobSpec, facts: Sequence[ModelFact]) -> int:
    """As long as there are not too many of them, with all that may mend their seams."""
    hires = base.hires if isinstance(base, Txt2Img) else None
    checkpoint = (hires.checkpoint if hires is not None else None) or base.checkpoint
    native = next((fact.native_px for fact in facts if (fact.kind, fact.name) == ("checkpoint", checkpoint)), None)
    tile = min(TILES[-1], max(SIZE_MIN_PX, (native or TILES[0]) // 64 * 64))
    while tile < TILES[0] and math.ceil(target[0] / tile) * math.ceil(target[1] / tile) * 4 > TILES_MAX:
        tile *= 2
    return tile


def _tile(wish: UltimateWish) -> tuple[int, int, int]:
    """Side, padding and mask blur of a tile."""
    assert wish.tile is not None
    if not SIZE_MIN_PX <= wish.tile <= SIZE_MAX_PX or wish.tile % 8:
        raise UserFacingError("ultimate_tile", wish=wish.tile, least=SIZE_MIN_PX, most=SIZE_MAX_PX)
    usual = next(padding for most, padding in PADDING_OF_TILE if wish.tile <= most)
    room = SIZE_MAX_PX - wish.tile
    padding = min(usual, room) if wish.padding is None else wish.padding
    if not 0 <= padding <= min(512, room):
        raise UserFacingError("ultimate_padding", wish=padding, most=min(512, room))
    blur = min(64, usual // 4) if wish.mask_blur is None else wish.mask_blur
    if not 0 <= blur <= BLUR_MAX:
        raise UserFacingError("parameter_range", name="Mask blur", wish=blur, least=0, most=BLUR_MAX)
    return wish.tile, padding, blur


def _drawing(wish: UltimateWish, base: JobSpec, image: ImageRef, facts: Sequence[ModelFact]) -> Img2Img:
    own: dict[str, Any] = {name: getattr(base, name) for name in Drawing.model_fields if name in Img2Img.model_fields}
    own |= _DROPPED
    if isinstance(base, Txt2Img) and base.hires is not None:
        # What drew the picture last goes on with it.
        hires = base.hires
        own |= {
            name: getattr(hires, name)
            for name in ("sampler", "schedule", "checkpoint", "prompt", "negative_prompt")
            if getattr(hires, name)
        }
    if wish.prompt:
        own["prompt"] = wish.prompt
    if own["regions"] is not None and len(parts_of_text(own["prompt"])) < 2:
        own["regions"] = None  # other words, which the first region alone would get
    if wish.negative_prompt is not None:
        own["negative_prompt"] = wish.negative_prompt
    if wish.steps is not None:
        own["steps"] = int(within("steps", wish.steps, 1, 150))
    control = tuple(unit for unit in base.control if unit.image is not None)
    if wish.tile_control:
        checkpoint = next((f for f in facts if f.kind == "checkpoint" and f.name == own["checkpoint"]), None)
        model = model_for(kind_named("Tile"), checkpoint, facts)
        control = (*control[:3], ControlUnit(model=model, preprocessor=TILE_CONTROL, control_type="Tile"))
    process = _process(wish.tile or TILES[0])
    own |= {
        "image": image, "denoising_strength": wish.denoise, "control": control, "width": process, "height": process,
        "seed": base.seed if wish.seed is None else wish.seed,
        "variations": base.variations if wish.seed is None else (),
    }  # fmt: skip
    drawing = Img2Img(**own)
    _require_loras(drawing, facts)
    return drawing


def _require_loras(drawing: Img2Img, facts: Sequence[ModelFact]) -> None:
    """Of a dynamic prompt they are known when it is drawn."""
    checkpoint = next((f for f in facts if f.kind == "checkpoint" and f.name == drawing.checkpoint), None)
    if checkpoint is None or to_be_drawn(drawing):
        return
    try:
        found = [lora_refs(parse_networks(text)[1]) for text in (drawing.prompt, drawing.negative_prompt)]
    except NetworkTagError as error:
        raise UserFacingError("lora_weight", name=spoken(error.name)) from error
    check_loras([ref.name for refs in found for ref in refs], checkpoint, facts)


def _process(tile: int) -> int:
    """About what a tile is drawn at; the spec's own tiles say it exactly."""
    return min(SIZE_MAX_PX, max(SIZE_MIN_PX, math.ceil(tile / 64) * 64))
