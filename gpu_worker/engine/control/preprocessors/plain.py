"""Preprocessors that need no weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker, as_uint8, grey

__all__ = ["PLAIN", "standard_lines", "thinned"]

_COARSE_PX = 256
"""Of the noise that shuffles."""
_CELL_PX = 64
_TILE_FROM = 1.1


def thinned(lines: Picture) -> Picture:
    """Soft lines, uint8 [h, w], as if drawn by a pen: black and white."""
    soft: Any = cv2.GaussianBlur(lines.astype(np.float32), (0, 0), 3.0)
    ridges = np.zeros_like(soft)
    across = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]], np.uint8)
    slope = np.eye(3, dtype=np.uint8)
    for line in (across, np.ascontiguousarray(across.T), slope, np.ascontiguousarray(np.fliplr(slope))):
        np.putmask(ridges, cv2.dilate(soft, line) == soft, soft)
    pen: Any = cv2.GaussianBlur(np.where(ridges > 127, 255, 0).astype(np.uint8), (0, 0), 3.0)
    made: Picture = np.where(pen > 4, 255, 0).astype(np.uint8)
    return made


def _none(look: Look) -> Picture:
    return look.seen


def _invert(look: Look) -> Picture:
    return 255 - look.seen


def _canny(look: Look) -> Picture:
    return grey(cv2.Canny(look.seen, look.a, look.b))  # type: ignore[arg-type]


def _threshold(look: Look) -> Picture:
    return grey(np.where(look.seen.min(axis=2) > look.a, 255, 0).astype(np.uint8))


def _binary(look: Look) -> Picture:
    """Dark is white; at either end of the slider Otsu's method finds the threshold."""
    way = cv2.THRESH_BINARY_INV + (cv2.THRESH_OTSU if look.a in (0, 255) else 0)
    flat = cv2.cvtColor(look.seen, cv2.COLOR_RGB2GRAY)
    return grey(cv2.threshold(flat, look.a, 255, way)[1])  # type: ignore[arg-type]


def _scribble(look: Look) -> Picture:
    return grey(np.where(look.seen.min(axis=2) < 127, 255, 0).astype(np.uint8))


def _xdog(look: Look) -> Picture:
    sharp: Any = cv2.GaussianBlur(look.seen.astype(np.float32), (0, 0), 0.5)
    soft: Any = cv2.GaussianBlur(look.seen.astype(np.float32), (0, 0), 5.0)
    inked = (255 - (soft - sharp).min(axis=2)).clip(0, 255).astype(np.uint8)
    doubled = (255 - inked) * np.uint8(2)  # A1111's own wraps around likewise
    return grey(np.where(doubled > look.a, 255, 0).astype(np.uint8))


def standard_lines(seen: Picture) -> Picture:
    """What is darker than its surroundings: uint8 [h, w]."""
    x = seen.astype(np.float32)
    soft: Any = cv2.GaussianBlur(x, (0, 0), 6.0)
    darker = (soft - x).min(axis=2).clip(0, 255)
    strong = darker[darker > 8]
    return as_uint8(darker / max(16, float(np.median(strong)) if strong.size else 0) * 127)


def _lineart_standard(look: Look) -> Picture:
    return grey(standard_lines(look.seen))


def _blur(look: Look) -> Picture:
    made: Any = cv2.GaussianBlur(look.seen, (0, 0), look.a)
    return made


def _tile(look: Look) -> Picture:
    if look.a < _TILE_FROM:
        return look.seen
    height, width = (max(1, int(side / look.a)) for side in look.seen.shape[:2])
    made: Any = cv2.resize(look.seen, (width, height), interpolation=cv2.INTER_AREA)
    return made


def _colour_grid(look: Look) -> Picture:
    height, width = look.seen.shape[:2]
    cells = cv2.resize(look.seen, (width // _CELL_PX, height // _CELL_PX), interpolation=cv2.INTER_CUBIC)
    made: Any = cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)
    return made


def _shuffle(look: Look) -> Picture:
    """The picture flows along smooth noise: its colours stay, its shapes do not."""
    width, height = look.size
    source = np.ascontiguousarray(look.seen[:height, :width])
    random = np.random.RandomState(look.seed & 0xFFFFFFFF)
    across = _smooth_noise(random, height, width) * (width - 1)
    along = _smooth_noise(random, height, width) * (height - 1)
    made: Any = cv2.remap(source, np.dstack([across, along]).astype(np.float32), None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    padded = np.zeros_like(look.seen)
    padded[:height, :width] = made
    return padded


def _smooth_noise(random: np.random.RandomState, height: int, width: int) -> Floats:
    around = _COARSE_PX
    coarse = random.uniform(0, 1, (height // around + 2, width // around + 2, 1))
    noise: Any = cv2.resize(coarse, (width + 2 * around, height + 2 * around), interpolation=cv2.INTER_CUBIC)
    noise = noise[around : around + height, around : around + width]
    noise = noise - noise.min()
    made: Floats = noise / max(float(noise.max()), 1e-9)
    return made


def _recoloured(code: int, channel: int) -> Maker:
    def make(look: Look) -> Picture:
        # A1111 hands RGB to a conversion from BGR.
        part: Any = cv2.cvtColor(np.ascontiguousarray(look.seen), code)
        return grey(as_uint8((part[:, :, channel].astype(np.float32) / 255) ** look.a * 255))

    return make


PLAIN: dict[str, Callable[[Look], Picture]] = {
    "none": _none, "invert": _invert, "canny": _canny, "threshold": _threshold, "binary": _binary,
    "scribble": _scribble, "scribble_xdog": _xdog, "lineart_standard": _lineart_standard, "blur_gaussian": _blur,
    "tile_resample": _tile, "t2ia_color_grid": _colour_grid, "shuffle": _shuffle,
    "recolor_luminance": _recoloured(cv2.COLOR_BGR2LAB, 0), "recolor_intensity": _recoloured(cv2.COLOR_BGR2HSV, 2),
    "tile_colorfix": _none, "tile_colorfix+sharp": _none,
    "inpaint_only": _none, "inpaint_global_harmonious": _none,
}  # fmt: skip
