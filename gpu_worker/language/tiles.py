"""Ultimate SD upscale, what is drawn where: sizes, tiles, their order, and what mends their seams. Pure arithmetic.

Source: behaviours §16 and the script itself (ultimate-upscale-for-automatic1111). Sizes are (width, height), boxes
(left, top, right, bottom), both in pixels; right and bottom are exclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Box", "Redraw", "SeamsFix", "Shape", "Size", "TileDraw", "drawn_tiles", "scaled_size", "upscale_factors"]

Redraw = Literal["linear", "chess", "none"]
SeamsFix = Literal["none", "band pass", "half tile offset pass", "half tile offset pass + intersections"]
Shape = Literal["rectangle", "rows", "columns", "band of rows", "band of columns", "radial"]
"""Of a mask: full; fading towards its upper and lower, or left and right edge, of half a tile or of a whole band, which
the script makes of its gradient in different ways; fading from its middle outwards."""

Size = tuple[int, int]
Box = tuple[int, int, int, int]

STEP_PX = 64
"""Scaled sizes, and those that tiles are drawn at, are multiples of this."""


@dataclass(frozen=True)
class TileDraw:
    """One inpainting of "only masked" on the picture as it is by then."""

    shape: Shape
    box: Box
    """Of the mask before it is blurred; it may jut out of the picture, where it is cut."""
    process: Size
    """The size that the part of the picture is brought to, and drawn at."""
    blur: int
    padding: int
    mends: bool = False
    """It is drawn over a seam, with the seams' own denoising strength."""


def scaled_size(size: Size, scale: float) -> Size:
    """The target of "scale from image size"."""
    width, height = (math.ceil(side * scale / STEP_PX) * STEP_PX for side in size)
    return width, height


def upscale_factors(size: Size, target: Size) -> tuple[int, ...]:
    """By which whole factors an upscaler is run, one after the other; what is left is resized."""
    factors: list[int] = []
    left = math.ceil(max(target) / max(size))
    while left > 1:
        divisor = next((by for by in (4, 3, 2) if left % by == 0), 0)
        if divisor:
            factors.append(divisor)
            left //= divisor
        else:
            left += 1
    return tuple(factors)


def drawn_tiles(
    size: Size,
    tile: Size,
    *,
    redraw: Redraw = "linear",
    blur: int = 8,
    padding: int = 32,
    seams: SeamsFix = "none",
    seams_width: int = 64,
    seams_blur: int = 4,
    seams_padding: int = 16,
) -> tuple[TileDraw, ...]:
    """All of a picture of `size` in the order in which they are drawn. A side of `tile` that is 0 is as the other."""
    across, along = tile[0] or tile[1], tile[1] or tile[0]
    columns, rows = math.ceil(size[0] / across), math.ceil(size[1] / along)
    process = _up(across + padding), _up(along + padding)
    found = [
        # A rectangle of Pillow's ends in its last pixel, so it is one pixel larger than the tile.
        TileDraw(
            "rectangle", (x * across, y * along, (x + 1) * across + 1, (y + 1) * along + 1), process, blur, padding
        )
        for x, y in _ordered(columns, rows, redraw)
    ]
    if seams == "band pass":
        found += _bands(size, (across, along), (columns, rows), seams_width, seams_padding)
    elif seams != "none":
        found += _half_tiles((across, along), (columns, rows), seams_blur, seams_padding)
        if seams != "half tile offset pass":
            found += _corners((across, along), (columns, rows), seams_blur)
    return tuple(found)


def _ordered(columns: int, rows: int, redraw: Redraw) -> Iterator[tuple[int, int]]:
    places = [(x, y) for y in range(rows) for x in range(columns)]
    if redraw == "linear":
        yield from places
    elif redraw == "chess":
        yield from (place for place in places if sum(place) % 2 == 0)
        yield from (place for place in places if sum(place) % 2 == 1)


def _bands(size: Size, tile: Size, grid: Size, width: int, padding: int) -> Iterator[TileDraw]:
    """Over each whole seam at once, without blur: upright ones first."""
    drawn = width + 2 * padding
    for x in range(1, grid[0]):
        left = x * tile[0] - width // 2
        yield TileDraw("band of columns", (left, 0, left + width, size[1]), (drawn, size[1]), 0, padding, mends=True)
    for y in range(1, grid[1]):
        top = y * tile[1] - width // 2
        yield TileDraw("band of rows", (0, top, size[0], top + width), (size[0], drawn), 0, padding, mends=True)


def _half_tiles(tile: Size, grid: Size, blur: int, padding: int) -> Iterator[TileDraw]:
    """Tiles that lie half a tile lower, then those that lie half a tile to the right."""
    for y in range(grid[1] - 1):
        for x in range(grid[0]):
            at = (x * tile[0], y * tile[1] + tile[1] // 2)
            yield TileDraw("rows", _placed(at, tile), tile, blur, padding, mends=True)
    for y in range(grid[1]):
        for x in range(grid[0] - 1):
            at = (x * tile[0] + tile[0] // 2, y * tile[1])
            yield TileDraw("columns", _placed(at, tile), tile, blur, padding, mends=True)


def _corners(tile: Size, grid: Size, blur: int) -> Iterator[TileDraw]:
    """Over each corner where four tiles meet, without padding."""
    for y in range(grid[1] - 1):
        for x in range(grid[0] - 1):
            at = (x * tile[0] + tile[0] // 2, y * tile[1] + tile[1] // 2)
            yield TileDraw("radial", _placed(at, tile), tile, blur, 0, mends=True)


def _placed(at: Size, tile: Size) -> Box:
    return at[0], at[1], at[0] + tile[0], at[1] + tile[1]


def _up(side: int) -> int:
    return math.ceil(side / STEP_PX) * STEP_PX
