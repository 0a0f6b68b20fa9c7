"""Brings a picture or a mask to a size: behaviours §9.1.

Pictures are uint8 [h, w, 3], masks uint8 [h, w]. Sizes are (width, height) in pixels.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError

__all__ = ["ResizeMode", "fit", "inner_size", "placed", "resample"]

INNER_MAX_PIXELS = 8192 * 8192

ResizeMode = Literal["Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)"]


def resample(picture: Picture, width: int, height: int) -> Picture:
    """Lanczos to exactly this size; the picture itself where it has the size already."""
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def inner_size(size: tuple[int, int], target: tuple[int, int], mode: ResizeMode) -> tuple[int, int]:
    """The size to which the picture itself is resized before it is cut or its edges are filled.

    "Just resize (latent upscale)" counts as "Just resize": that is how its mask and overlay are made.
    """
    (width, height), (to_width, to_height) = size, target
    wider = to_width / to_height > width / height
    if mode == "Crop and resize":
        return (to_width, height * to_width // width) if wider else (width * to_height // height, to_height)
    if mode == "Resize and fill":
        # A very long picture would vanish in the rounding.
        if wider:
            return max(1, width * to_height // height), to_height
        return to_width, max(1, height * to_width // width)
    return target


def fit(picture: Picture, width: int, height: int, mode: ResizeMode) -> Picture:
    """The picture, or a mask, at exactly `width` x `height`.

    Raises EngineError `bad_input` for a picture so long and thin that covering the size would take it out of bounds.
    """
    inner = inner_size((picture.shape[1], picture.shape[0]), (width, height), mode)
    if inner[0] * inner[1] > INNER_MAX_PIXELS:
        detail = {"reason": "source_picture", "limit_px": INNER_MAX_PIXELS}
        raise EngineError("bad_input", f"{picture.shape} would be {inner} on the way to {width} x {height}", detail)
    return placed(resample(picture, *inner), width, height)


def placed(inner: Picture, width: int, height: int) -> Picture:
    """The picture in the middle of `width` x `height`: what juts out is cut, the missing is stretched from the edge."""
    have_height, have_width = inner.shape[:2]
    if (have_height, have_width) == (height, width):
        return inner
    left, top = width // 2 - have_width // 2, height // 2 - have_height // 2
    cut = inner[max(0, -top) : max(0, -top) + height, max(0, -left) : max(0, -left) + width]
    top, left = max(0, top), max(0, left)
    canvas = np.empty((height, width, *inner.shape[2:]), np.uint8)
    bottom, right = top + cut.shape[0], left + cut.shape[1]
    canvas[top:bottom, left:right] = cut
    for target, at in ((canvas[:top, left:right], 0), (canvas[bottom:, left:right], cut.shape[0])):
        if target.shape[0]:
            target[:] = _edge(cut, (0, at, cut.shape[1], at), max(1, top))[:1]
    for target, at in ((canvas[:, :left], 0), (canvas[:, right:], cut.shape[1])):
        if target.shape[1]:
            rows = canvas[:, left:right]
            target[:] = _edge(rows, (at, 0, at, rows.shape[0]), max(1, left))[:, :1]
    return canvas


def _edge(picture: Picture, line: tuple[int, int, int, int], depth: int) -> Picture:
    """A line on the picture's border stretched to `depth` equal lines.

    Pillow resizes a box without height (or width), as in A1111: the colour is what its filter finds on the border, not
    just the outermost pixel's.
    """
    across = line[1] == line[3]
    size = (line[2] - line[0], depth) if across else (depth, line[3] - line[1])
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, box=line))
