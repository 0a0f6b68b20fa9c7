"""Outpainting: more canvas at any side, begun so that inpainting can go on from it.

Diffusion at less than full strength starts from what lies there: a bare canvas stays flat, and plain noise has the
wrong colours. So the new canvas gets the colours of the border, the softer the farther away, and the grain of the
border strip on top. The grain comes from a fixed seed: the same picture is extended the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.images.masks import Mask8
from gpu_worker.protocol.specs import Extend

__all__ = ["OVERLAP_PX", "Extended", "extended"]

OVERLAP_PX = 16
"""The mask reaches so far into the picture: two latent cells, in which the seam is drawn again."""
STRIP_PX = 32
"""Depth of the border whose grain is taken."""
NEAR_PX = 16
"""Grain comes from the border at most this far along it, so that smooth sky stays smooth beside rough ground."""
OUTLIERS = 3.0
"""Deviations beyond so many standard deviations are edges of things and no grain; they are cut to that."""
COARSE_PX = 8
"""One latent cell: grain of this size is what the latent sees."""
SOFT_SHARE = 0.25
"""The border's colours are blurred along it by this share of the distance, so that they do not become stripes."""
SEED = 0


@dataclass(frozen=True)
class Extended:
    canvas: Picture
    mask: Mask8
    """255 on the new canvas and OVERLAP_PX into the picture from it."""


def extended(picture: Picture, extend: Extend) -> Extended:
    """The picture on a larger canvas. Its own pixels are exactly kept, those under the overlap too."""
    height, width = picture.shape[:2]
    sides = ((extend.top, extend.bottom), (extend.left, extend.right))
    canvas = picture
    for axis in (1, 0):
        canvas = _longer(canvas, axis, *sides[axis])
    mask = np.full(canvas.shape[:2], 255, np.uint8)
    rows = _kept(height, extend.top, extend.bottom)
    columns = _kept(width, extend.left, extend.right)
    mask[rows, columns] = 0
    return Extended(canvas, mask)


def _kept(length: int, before: int, after: int) -> slice:
    """What of a side is neither new nor overlap; at least a pixel of a small picture."""
    overlap = min(OVERLAP_PX, (length - 1) // 2)
    start, end = (overlap if before else 0), length - (overlap if after else 0)
    return slice(before + start, before + end)


def _longer(picture: Picture, axis: int, before: int, after: int) -> Picture:
    """New canvas before and after the picture along `axis`."""
    upright = picture if axis == 0 else picture.swapaxes(0, 1)
    parts = [upright]
    if before:
        parts.insert(0, _continued(upright[::-1], before)[::-1])
    if after:
        parts.append(_continued(upright, after))
    longer = np.concatenate(parts)
    return np.ascontiguousarray(longer if axis == 0 else longer.swapaxes(0, 1))


def _continued(picture: Picture, depth: int) -> Picture:
    """`depth` rows that follow the picture's last one."""
    strip = picture[-STRIP_PX:].astype(np.float32)
    smooth = cv2.GaussianBlur(strip, (0, 0), COARSE_PX, borderType=cv2.BORDER_REPLICATE)
    colours = _spreading(smooth[-1:].mean(axis=0), depth)
    grain = _grain(_without_edges(strip - smooth), depth)
    return np.asarray((colours + grain).clip(0, 255).round(), np.uint8)


def _spreading(line: Floats, depth: int) -> Floats:
    """[depth, w, 3] from the border's colours [w, 3], softer with every row."""
    rows = np.empty((depth, *line.shape), np.float32)
    levels = {0: line}
    for row in range(depth):
        # Steps of half an octave: each row by itself would blur thousands of times for no visible gain.
        level = int(2 * np.log2(1 + SOFT_SHARE * row))
        if level not in levels:
            sigma = 2 ** (level / 2)
            levels[level] = cv2.GaussianBlur(line[None], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)[0]
        rows[row] = levels[level]
    kernel = (1, 2 * COARSE_PX + 1)
    smooth = cv2.GaussianBlur(rows, kernel, 0, sigmaY=COARSE_PX / 2, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, np.float32)


def _without_edges(deviations: Floats) -> Floats:
    """Cut by a standard deviation that edges do not raise: 1.4826 times the median of absolute values."""
    limit = OUTLIERS * 1.4826 * np.median(np.abs(deviations), axis=(0, 1))
    return deviations.clip(-limit, limit).astype(np.float32)


def _grain(pool: Floats, depth: int) -> Floats:
    """[depth, w, 3] drawn from the border's deviations [strip, w, 3] nearby, so with their strength and colours.

    Half of it is fine, half in cells.
    """
    random = np.random.default_rng(SEED)
    rows, width = pool.shape[:2]

    def drawn(height: int, places: np.ndarray) -> Floats:
        size = (height, len(places))
        columns = places + random.integers(-NEAR_PX, NEAR_PX + 1, size=size)
        return pool[random.integers(rows, size=size), columns.clip(0, width - 1)]

    cells = drawn(-(-depth // COARSE_PX), np.arange(0, width, COARSE_PX))
    coarse = cells.repeat(COARSE_PX, axis=0).repeat(COARSE_PX, axis=1)[:depth, :width]
    return (coarse + drawn(depth, np.arange(width))) / np.float32(np.sqrt(2))
