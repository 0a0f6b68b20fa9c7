"""A part of a finished picture drawn again, chosen without drawing: numbered cells, named parts, or a mask."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from random import Random
from typing import Literal

from bot.domain.actions import VARIATIONS
from bot.domain.canvases import NATIVE_AREAS, base_of, reworded
from bot.domain.imagine import draw_seed
from bot.domain.limits import Limits
from bot.domain.pictures import GivenPicture
from bot.domain.sizes import MIN_SIDE_PX, SIZE_MULTIPLE_PX, fitted
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import ImageRef, Img2Img, JobSpec, Mask

__all__ = ["PARTS", "STRENGTHS", "Amount", "Box", "Part", "around", "boxes_of", "cell_box", "grid_of", "redrawn"]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom as shares of the picture."""
Part = Literal["top", "bottom", "left", "right", "centre"]
Amount = Literal["change", "replace"]
PARTS: dict[Part, Box] = {
    "top": (0, 0, 1, 0.5),
    "bottom": (0, 0.5, 1, 1),
    "left": (0, 0, 0.5, 1),
    "right": (0.5, 0, 1, 1),
    "centre": (0.25, 0.25, 0.75, 0.75),
}
STRENGTHS: dict[Amount, float] = {"change": 0.65, "replace": 0.95}
"""Forms and colours stay recognisable with the first; the second leaves nearly nothing of what was there."""
BLUR_PX = 8
PADDING_SHARE = 0.08
"""What is drawn apart sees so much around it, as a share of the picture's longer side."""
_MOST_RATIO = 4.0


def grid_of(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of nearly square cells, at most 20: one list of Discord's holds them and the five parts."""
    ratio = width / height
    for bound, grid in ((0.45, (3, 6)), (0.8, (4, 5)), (1.25, (4, 4)), (2.2, (5, 4))):
        if ratio < bound:
            return grid
    return (6, 3)


def cell_box(cell: int, grid: tuple[int, int]) -> Box:
    """Of a cell, counted from 1 in reading order."""
    columns, rows = grid
    row, column = divmod(cell - 1, columns)
    return column / columns, row / rows, (column + 1) / columns, (row + 1) / rows


def boxes_of(chosen: Collection[str], grid: tuple[int, int]) -> list[Box]:
    """Of numbers of cells and names of parts, as a form sends them. Raises UserFacingError: `region_nothing`,
    `region_everything`."""
    cells = {str(number) for number in range(1, grid[0] * grid[1] + 1)}
    boxes = [cell_box(int(word), grid) for word in chosen if word in cells]
    boxes += [PARTS[word] for word in PARTS if word in chosen]
    if not boxes:
        raise UserFacingError("region_nothing")
    if cells <= set(chosen) or ({"top", "bottom"} <= set(chosen)) or ({"left", "right"} <= set(chosen)):
        raise UserFacingError("region_everything")
    return boxes


def redrawn(
    spec: JobSpec,
    index: int,
    picture: GivenPicture,
    where: ImageRef | str,
    bounds: Box,
    amount: Amount,
    rng: Random,
    limits: Limits,
    *,
    prompt: str,
    native_px: int | None = None,
) -> Img2Img:
    """`picture` with a part drawn again: what a mask covers, or what words name, as far as the checkpoint sees it;
    `bounds` is the box around that, as far as it is known.

    A picture that the checkpoint can draw as a whole is drawn so, for the part then sees all of it. Of a larger one
    only the part is drawn, with some surroundings, and put back: the picture keeps its size.
    """
    own = base_of(spec, index)
    most = own["width"] * own["height"] if native_px is None else NATIVE_AREAS * native_px * native_px
    most = min(max(most, own["width"] * own["height"]), limits.max_pixels)
    fits = picture.width * picture.height <= most and max(picture.width, picture.height) <= limits.max_side_px
    apart = not fits or bool(picture.width % SIZE_MULTIPLE_PX or picture.height % SIZE_MULTIPLE_PX)
    size = (picture.width, picture.height)
    if apart:
        size = _part_size(picture, bounds, own["width"] * own["height"], limits)
    own |= {
        "width": size[0],
        "height": size[1],
        "seed": draw_seed(rng),
        "count": min(VARIATIONS, limits.max_count),
    }
    if apart:
        # What is drawn by itself has other places than the picture that the regions lie on.
        own["regions"] = None
    padding = min(256, round(max(picture.width, picture.height) * PADDING_SHARE))
    blur = min(64, round(BLUR_PX * max(1.0, max(picture.width, picture.height) / 1024)))
    drawn = Img2Img(
        **own,
        image=picture.image,
        denoising_strength=STRENGTHS[amount],
        mask=Mask(
            image=picture.image if isinstance(where, str) else where,
            prompt=where if isinstance(where, str) else "",
            blur=blur,
            only_masked=apart,
            padding_px=padding,
        ),
    )
    return reworded(drawn, prompt)


def _part_size(picture: GivenPicture, bounds: Box, area: float, limits: Limits) -> tuple[int, int]:
    left, top, right, bottom = bounds
    width, height = (right - left) * picture.width, (bottom - top) * picture.height
    ratio = min(max(width / max(height, 1), 1 / _MOST_RATIO), _MOST_RATIO)
    sides = (math.sqrt(area * ratio), math.sqrt(area / ratio))
    wide, high = [max(MIN_SIDE_PX, round(side / SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX) for side in sides]
    return fitted((wide, high), limits)


def around(boxes: Sequence[Box]) -> Box:
    """The box around all of them."""
    return (
        min(box[0] for box in boxes), min(box[1] for box in boxes),
        max(box[2] for box in boxes), max(box[3] for box in boxes),
    )  # fmt: skip
