"""From a detected map to the size that is drawn (behaviours §17.3), as sd-webui-controlnet's `detectmap_proc` does it.

Pictures are uint8 [h, w, 3]; with a fourth channel, 255 is what a mask hides. Sizes are (width, height) in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.geometry import INNER_MAX_PIXELS
from gpu_worker.protocol.specs import ControlResize

__all__ = ["brought_to", "pixel_perfect_resolution", "resized_for_detection", "unpadded"]

_STEP_PX = 64
_FEW_COLOURS = 200


def pixel_perfect_resolution(size: tuple[int, int], target: tuple[int, int], mode: ControlResize) -> int:
    """The shorter side that a preprocessor should see so that nothing is lost and nothing invented."""
    across, along = target[0] / size[0], target[1] / size[1]
    factor = min(across, along) if mode == "Resize and Fill" else max(across, along)
    return round(factor * min(size))


def resized_for_detection(picture: Picture, resolution: int) -> tuple[Picture, tuple[int, int]]:
    """The shorter side brought to `resolution`, the edges repeated to multiples of 64; and the size without those."""
    import cv2

    height, width = picture.shape[:2]
    factor = resolution / min(height, width)
    inner = round(width * factor), round(height * factor)
    _bounded(picture, inner)
    way = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    resized: Any = cv2.resize(picture, inner, interpolation=way)
    pads = [(0, -side % _STEP_PX) for side in (inner[1], inner[0])]
    return np.pad(resized, [*pads, (0, 0)], mode="edge"), inner


def unpadded(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.ascontiguousarray(picture[: size[1], : size[0]])


def brought_to(picture: Picture, width: int, height: int, mode: ControlResize) -> Picture:
    """Exactly `width` x `height`. Raises EngineError `bad_input` where covering the size would go out of bounds."""
    have_height, have_width = picture.shape[:2]
    if mode == "Just Resize":
        return _resized(picture, width, height)
    factors = height / have_height, width / have_width
    factor = min(factors) if mode == "Resize and Fill" else max(factors)
    # Very long pictures would vanish in the rounding.
    inner = max(1, round(have_width * factor)), max(1, round(have_height * factor))
    _bounded(picture, inner)
    resized = _resized(picture, *inner)
    if mode == "Crop and Resize":
        top, left = max(0, (inner[1] - height) // 2), max(0, (inner[0] - width) // 2)
        return np.ascontiguousarray(resized[top : top + height, left : left + width])
    edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    colour = np.median(edges, axis=0).astype(np.uint8)
    colour[3:] = 255
    canvas = np.tile(colour, (height, width, 1))
    top, left = max(0, (height - inner[1]) // 2), max(0, (width - inner[0]) // 2)
    canvas[top : top + inner[1], left : left + inner[0]] = resized[: height - top, : width - left]
    return canvas


def _resized(picture: Picture, width: int, height: int) -> Picture:
    """By what the map is: few colours are labels that must not mix, two are lines that stay sharp."""
    import cv2

    if picture.shape[:2] == (height, width):
        return picture
    colours, hidden = picture[..., :3], picture[..., 3:]
    count = _distinct(colours)
    smaller = width * height < picture.shape[0] * picture.shape[1]
    way = cv2.INTER_NEAREST if 2 < count < _FEW_COLOURS else cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    made: Any = cv2.resize(np.ascontiguousarray(colours), (width, height), interpolation=way)
    if count == 2 and int(colours.min()) < 16 and int(colours.max()) > 240:
        made = _two_coloured(colours, made, grown=width * height > picture.shape[0] * picture.shape[1])
    if hidden.shape[2]:
        mask: Any = cv2.resize(np.ascontiguousarray(hidden), (width, height), interpolation=way)
        made = np.dstack([made, np.where(mask > 127, 255, 0).astype(np.uint8)])
    return made


def _two_coloured(before: Picture, resized: Picture, *, grown: bool) -> Picture:
    import cv2
    from skimage.morphology import skeletonize

    opened: Any = cv2.dilate(cv2.erode(before, np.ones((3, 3), np.uint8)), np.ones((3, 3), np.uint8))
    lines = int((opened < before).sum()) * 2 > int((before > 127).sum())
    flat: Any = resized.astype(np.float32).mean(axis=2).clip(0, 255).astype(np.uint8)
    if lines:
        flat = _ridges(flat)
    flat = cv2.threshold(flat, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
    if lines and grown:
        flat = (skeletonize(flat > 127) * 255).astype(np.uint8)
    return np.dstack([flat] * 3)


def _ridges(flat: Any) -> Any:
    """What is highest along one of four directions."""
    import cv2

    kept = np.zeros_like(flat)
    across = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]], np.uint8)
    slope = np.eye(3, dtype=np.uint8)
    for line in (across, across.T, slope, np.fliplr(slope)):
        np.putmask(kept, cv2.dilate(flat, np.ascontiguousarray(line)) == flat, flat)
    return kept


def _distinct(colours: Picture) -> int:
    packed = colours.astype(np.uint32)
    return len(np.unique((packed[..., 0] << 16) | (packed[..., 1] << 8) | packed[..., 2]))


def _bounded(picture: Picture, inner: tuple[int, int]) -> None:
    if inner[0] * inner[1] > INNER_MAX_PIXELS or min(inner) < 1:
        detail = {"reason": "source_picture", "limit_px": INNER_MAX_PIXELS}
        raise EngineError("bad_input", f"{picture.shape} would become {inner}", detail)
