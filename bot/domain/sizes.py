"""Picture sizes: from an aspect and the area a checkpoint was trained on, and checked against the limits."""

from __future__ import annotations

import math
import re

from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.parameters import Parameters
from bot.errors import UserFacingError

__all__ = [
    "ASPECTS", "MIN_SIDE_PX", "SIZE_MULTIPLE_PX", "aspect_size", "check_size", "choose_size", "fitted", "hires_target",
]  # fmt: skip

ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9")
SIZE_MULTIPLE_PX = 8
"""One latent pixel of a Stable Diffusion VAE."""
MIN_SIDE_PX = 64
_ASPECT = re.compile(r"([1-9]\d?)\s*[:x/]\s*([1-9]\d?)")
_MAX_RATIO = 4.0


def _ratio(aspect: str) -> float:
    match = _ASPECT.fullmatch(aspect.strip())
    if match is None:
        raise UserFacingError("aspect_unreadable", aspect=spoken(aspect))
    ratio = int(match[1]) / int(match[2])
    if not 1 / _MAX_RATIO <= ratio <= _MAX_RATIO:
        raise UserFacingError("aspect_extreme", aspect=spoken(aspect))
    return ratio


def aspect_size(aspect: str, native_px: int) -> tuple[int, int]:
    """Width and height with about this aspect and about `native_px`² pixels.

    Multiples of 64 for checkpoints of 512 px and more (their training buckets), of 16 below, where 64 would be too
    coarse. Of the candidates the one that misses aspect and area least is taken; too large counts more than too small.
    Raises UserFacingError (`aspect_unreadable`, `aspect_extreme`).
    """
    ratio = _ratio(aspect)
    if ratio < 1:
        height, width = _landscape(1 / ratio, native_px)
        return width, height
    return _landscape(ratio, native_px)


def _landscape(ratio: float, native_px: int) -> tuple[int, int]:
    grid = 64 if native_px >= 512 else 16
    area = native_px * native_px

    def missed(size: tuple[int, int]) -> float:
        width, height = size
        by_ratio = abs(math.log(width / height / ratio))
        by_area = math.log(width * height / area)
        return 2 * by_ratio + (3 * by_area if by_area > 0 else -by_area)

    height = math.sqrt(area / ratio) / grid
    candidates = [
        (grid * wide, grid * high)
        for high in range(max(1, int(height) - 1), int(height) + 3)
        for wide in range(max(1, int(high * ratio) - 1), int(high * ratio) + 3)
        if grid * high >= MIN_SIDE_PX
    ]
    return min(candidates, key=missed) if candidates else (native_px, native_px)


def choose_size(wishes: Parameters, native: tuple[int, int], native_px: int, limits: Limits) -> tuple[int, int]:
    """The size for merged wishes: both sides as given, one side completed by the aspect or the native side, an aspect
    on the native area, or the native size. What nobody typed is made smaller where the limits ask for it.

    Raises UserFacingError for contradictory, odd or too large wishes."""
    width, height = wishes.width, wishes.height
    if width is not None and height is not None:
        if wishes.aspect is not None:
            raise UserFacingError("size_and_aspect", width=width, height=height, aspect=wishes.aspect)
    elif wishes.aspect is not None:
        if width is not None:
            height = _snap(width / _ratio(wishes.aspect))
        elif height is not None:
            width = _snap(height * _ratio(wishes.aspect))
        else:
            width, height = fitted(aspect_size(wishes.aspect, native_px), limits)
    elif width is None and height is None:
        width, height = fitted(native, limits)
    size = (native[0] if width is None else width, native[1] if height is None else height)
    check_size(*size, limits)
    return size


def fitted(size: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """`size`, or the largest of its aspect that the limits allow, in multiples of 8."""
    long, short = max(size), min(size)
    factor = min(limits.max_side_px / long, math.sqrt(limits.max_pixels / (long * short)))
    if factor >= 1:
        return size
    kept = max(MIN_SIDE_PX, int(long * factor) // SIZE_MULTIPLE_PX * SIZE_MULTIPLE_PX)
    other = min(_snap(kept * short / long), kept)
    while kept * other > limits.max_pixels and other > MIN_SIDE_PX:
        other -= SIZE_MULTIPLE_PX
    return (kept, other) if size[0] >= size[1] else (other, kept)


def _snap(side: float) -> int:
    return max(MIN_SIDE_PX, round(side / SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX)


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raises UserFacingError: `size_too_small`, `size_too_large`, `size_odd` (names the nearest sizes), `size_area`."""
    if min(width, height) < MIN_SIDE_PX:
        raise UserFacingError("size_too_small", width=width, height=height, limit=MIN_SIDE_PX)
    if max(width, height) > limits.max_side_px:
        raise UserFacingError("size_too_large", width=width, height=height, limit=limits.max_side_px)
    if width % SIZE_MULTIPLE_PX or height % SIZE_MULTIPLE_PX:
        low = [side // SIZE_MULTIPLE_PX * SIZE_MULTIPLE_PX for side in (width, height)]
        high = [-(-side // SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX for side in (width, height)]
        lower, upper = f"{low[0]}×{low[1]}", f"{high[0]}×{high[1]}"
        raise UserFacingError("size_odd", width=width, height=height, lower=lower, upper=upper)
    if width * height > limits.max_pixels:
        side = math.isqrt(limits.max_pixels) // 64 * 64
        raise UserFacingError("size_area", width=width, height=height, side=side)


def hires_target(size: tuple[int, int], scale: float, resize: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """The size a second pass over a picture of `size` ends at (behaviours §8.1), cut off to multiples of 8."""
    width, height = size
    match resize:
        case (0, 0):
            target = int(width * scale), int(height * scale)
        case (wide, 0):
            target = wide, wide * height // width
        case (0, high):
            target = high * width // height, high
        case both:
            target = both
    return target[0] // 8 * 8, target[1] // 8 * 8
