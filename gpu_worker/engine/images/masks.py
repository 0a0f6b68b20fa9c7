"""Masks: behaviours §9.3 (blur, crop, latent mask, fill, overlay) and §10 (inpainting checkpoints).

Masks are uint8 [h, w], 255 where the picture is to be repainted. Regions are (left, top, right, bottom) in pixels,
right and bottom exclusive.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageFilter

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.images.geometry import fit

__all__ = [
    "Mask8", "Region", "blur_kernel", "blurred", "crop_region", "expand_region", "fill", "hidden",
    "latent_mask", "model_mask", "overlay", "paste",
]  # fmt: skip

Mask8: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Region = tuple[int, int, int, int]

FILL_BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius of each blur in pixels and how often it is laid over (behaviours §9.3.6)."""


def blur_kernel(radius: int) -> int | None:
    """Length in pixels of the blur's kernel; None for no blur."""
    return 2 * int(2.5 * radius + 0.5) + 1 if radius > 0 else None


def blurred(mask: Mask8, radius: int) -> Mask8:
    """Gaussian, sigma = `radius` pixels, along the rows and then along the columns, rounded in between."""
    kernel = blur_kernel(radius)
    if kernel is None:
        return mask
    rows = cv2.GaussianBlur(mask, (kernel, 1), radius)
    return np.asarray(cv2.GaussianBlur(rows, (1, kernel), radius), np.uint8)


def crop_region(mask: Mask8, padding: int) -> Region:
    """The box around all that is not 0, and `padding` pixels around it within the mask.

    An all-black mask gives the degenerate box of A1111 up to 1.9, whose right end lies before its left one.
    """
    height, width = mask.shape
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (width, 0)
    top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (height, 0)
    return (
        max(left - padding, 0),
        max(top - padding, 0),
        min(right + padding, width),
        min(bottom + padding, height),
    )


def expand_region(region: Region, width: int, height: int, image_width: int, image_height: int) -> Region:
    """Grown to the aspect of `width` x `height` within the image, as far as the image is large enough for it."""
    left, top, right, bottom = region
    if right == left or bottom == top:
        return region
    ratio = width / height
    if (right - left) / (bottom - top) > ratio:
        top, bottom = _grown(top, bottom, int((right - left) / ratio - (bottom - top)), image_height)
    else:
        left, right = _grown(left, right, int((bottom - top) * ratio - (right - left)), image_width)
    return left, top, right, bottom


def latent_mask(mask: Mask8, width_cells: int, height_cells: int) -> Floats:
    """[height_cells, width_cells] of 0 and 1: bicubic to the latent's size, then rounded (§9.3.5)."""
    return _rounded(np.asarray(Image.fromarray(mask).resize((width_cells, height_cells))))


def model_mask(mask: Mask8, width_cells: int, height_cells: int) -> Floats:
    """What an inpainting checkpoint reads beside the latent: [height_cells, width_cells] of 0 and 1 (§10).

    The pixels' mask, rounded, and of each cell the first pixel (torch's "nearest").
    """
    height, width = mask.shape
    rows = np.arange(height_cells) * height // height_cells
    columns = np.arange(width_cells) * width // width_cells
    return _rounded(mask)[rows[:, None], columns[None, :]]


def hidden(picture: Picture, mask: Mask8, weight: float = 1.0) -> Floats:
    """What an inpainting checkpoint may see of the picture: masked pixels turn to mid grey by `weight` (0 to 1; §10).

    float32 [h, w, 3] in 0..255, not rounded, so that grey (127.5) is exactly 0 for the VAE.
    """
    seen = 1 - np.float32(weight) * _rounded(mask)[:, :, None]
    return np.asarray(127.5 + (picture - np.float32(127.5)) * seen, np.float32)


def fill(picture: Picture, mask: Mask8) -> Picture:
    """Masked content "fill": the colours around the mask flow into it; unmasked pixels stay (§9.3.6).

    What is left of the picture, premultiplied by its opacity, is blurred ever less and laid over what was there.
    """
    opacity = 255 - mask
    left = (picture.astype(np.uint16) * opacity[:, :, None] + 127) // 255
    size = (picture.shape[1], picture.shape[0])
    seen = Image.frombytes("RGBa", size, np.dstack((left.astype(np.uint8), opacity)).tobytes())
    canvas = Image.new("RGBA", size)
    for radius, times in FILL_BLURS:
        layer = seen.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            canvas.alpha_composite(layer)
    filled = np.asarray(canvas.convert("RGB"))
    return np.where(mask[:, :, None] == 0, picture, filled)


def overlay(original: Picture, drawn: Picture, mask: Mask8) -> Picture:
    """`drawn` shows as far as the mask lets it; where the mask is 0 the pixels are exactly the original's (§9.3.8)."""
    share = mask.astype(np.uint32)[:, :, None]
    return ((drawn * share + original * (255 - share) + 127) // 255).astype(np.uint8)


def paste(original: Picture, crop: Picture, region: Region, mask: Mask8) -> Picture:
    """`crop`, of any size, cut and resized into `region` of the original.

    It shows there as far as `mask`, which has the original's size, lets it.
    """
    left, top, right, bottom = region
    canvas = original.copy()
    canvas[top:bottom, left:right] = fit(crop, right - left, bottom - top, "Crop and resize")
    return overlay(original, canvas, mask)


def _rounded(mask: Mask8) -> Floats:
    return (mask > 127).astype(np.float32)


def _grown(start: int, end: int, by: int, limit: int) -> tuple[int, int]:
    """[start, end) longer by `by`, the floor of the half before it, shifted back into [0, limit) and cut there."""
    start, end = start - by // 2, end + by - by // 2
    if end > limit:
        start, end = start - (end - limit), limit
    if start < 0:
        start, end = 0, end - start
    return start, min(end, limit)
