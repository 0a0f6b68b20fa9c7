"""Outpainting: more canvas at any side, begun so that inpainting can go on from it.

Diffusion at less than full strength starts from what lies there: a bare canvas stays flat, and plain noise has the
wrong colours. So the new canvas gets the colours of the border, the softer the farther away, and the grain of the
border strip on top. The grain comes from a fixed seed: the same picture is extended the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.images.masks import Floats, Mask8
from gpu_worker.protocol.specs import Extend

__all__ = ["OVERLAP_PX", "Extended", "extended"]

OVERLAP_PX = 16
"""The mask reaches so far into the picture: two latent cells, in which the seam is drawn again."""
STRIP_PX = 64
"""Depth of the border whose grain is taken."""
COARSE_PX = 8
"""One latent cell: grain of this size is what the latent sees."""
SOFT_SHARE = 0.5
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
    grain = _grain((strip - smooth).reshape(-1, 3), (depth, picture.shape[1]))
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


def _grain(pool: Floats, size: tuple[int, int]) -> Floats:
    """[h, w, 3] drawn from the border's own deviations, so with its strength and colours: half fine, half in cells."""
    random = np.random.default_rng(SEED)
    cells = (-(-size[0] // COARSE_PX), -(-size[1] // COARSE_PX))
    coarse = pool[random.integers(len(pool), size=cells)].repeat(COARSE_PX, axis=0).repeat(COARSE_PX, axis=1)
    fine = pool[random.integers(len(pool), size=size)]
    return (coarse[: size[0], : size[1]] + fine) / np.float32(np.sqrt(2))
