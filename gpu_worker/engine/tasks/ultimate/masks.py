"""Where a tile is drawn: its mask and the part of the picture that is cut out for it, without a mask of the whole.

All are what A1111 makes of masks as large as the picture, which at 8192 pixels a side would take gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from gpu_worker.engine.images.masks import Mask8, Region, blur_kernel, blurred, crop_region, expand_region
from gpu_worker.language.tiles import Box, Shape, Size, TileDraw

__all__ = ["PlacedTile", "mask_box", "place"]

GRADIENT_PX = 256
"""Side of Pillow's gradients."""


@dataclass(frozen=True, eq=False)
class PlacedTile:
    """A tile on a picture of a certain size."""

    tile: TileDraw
    crop: Region
    """What is cut out, of the aspect of the size that it is drawn at as far as the picture allows."""
    mask: Mask8
    """Blurred, of the size of `crop`."""

    @property
    def changed(self) -> Region:
        """The part of the picture outside which nothing changes; without any area where the mask is empty."""
        left, top, right, bottom = crop_region(self.mask, 0)
        if right <= left or bottom <= top:
            return self.crop[0], self.crop[1], self.crop[0], self.crop[1]
        return self.crop[0] + left, self.crop[1] + top, self.crop[0] + right, self.crop[1] + bottom


def place(tile: TileDraw, size: Size) -> PlacedTile | None:
    """On a picture of `size`; None where nothing of the mask is on it, or blurring leaves nothing of what is, as of a
    corner of one pixel: that is not drawn."""
    window, mask = _windowed(tile, size)
    soft = blurred(mask, tile.blur)
    if not soft.any():
        return None
    left, top, right, bottom = crop_region(soft, 0)
    padded = (
        max(window[0] + left - tile.padding, 0),
        max(window[1] + top - tile.padding, 0),
        min(window[0] + right + tile.padding, size[0]),
        min(window[1] + bottom + tile.padding, size[1]),
    )
    crop = expand_region(padded, *tile.process, *size)
    return PlacedTile(tile, crop, _moved(soft, window, crop))


def mask_box(tile: TileDraw, size: Size) -> Box:
    """Around all of the unblurred mask that is on the picture."""
    window, mask = _windowed(tile, size)
    left, top, right, bottom = crop_region(mask, 0)
    return window[0] + left, window[1] + top, window[0] + right, window[1] + bottom


def _windowed(tile: TileDraw, size: Size) -> tuple[Box, Mask8]:
    """The unblurred mask in a window of the picture which is so much larger that blurring it there gives the very
    bytes that blurring it on the whole picture would: twice the reach of the kernel, for its edges are mirrored."""
    reach = 2 * ((blur_kernel(tile.blur) or 1) // 2) + 2
    left, top, right, bottom = tile.box
    window = max(left - reach, 0), max(top - reach, 0), min(right + reach, size[0]), min(bottom + reach, size[1])
    painted = _painted(tile.shape, (right - left, bottom - top))
    return window, _moved(painted, tile.box, window)


def _moved(mask: Mask8, at: Box, window: Box) -> Mask8:
    """A mask that lies at one box of the picture, as far as it is in another."""
    canvas = np.zeros((window[3] - window[1], window[2] - window[0]), np.uint8)
    left, top = max(at[0], window[0]), max(at[1], window[1])
    right, bottom = min(at[2], window[2]), min(at[3], window[3])
    if right > left and bottom > top:
        canvas[top - window[1] : bottom - window[1], left - window[0] : right - window[0]] = mask[
            top - at[1] : bottom - at[1], left - at[0] : right - at[0]
        ]
    return canvas


def _painted(shape: Shape, size: Size) -> Mask8:
    """As the script makes them of Pillow's gradients."""
    if shape == "rectangle":
        return np.full((size[1], size[0]), 255, np.uint8)
    if shape == "radial":
        radial = Image.radial_gradient("L").resize(size, Image.Resampling.BICUBIC)
        return np.asarray(ImageOps.invert(radial))
    if shape in ("rows", "columns"):
        return np.asarray(_mirrored(shape, size))
    band = _mirrored("rows", (GRADIENT_PX, GRADIENT_PX))
    band = band.rotate(90) if shape == "band of columns" else band
    return np.asarray(band.resize(size, Image.Resampling.BICUBIC))


def _mirrored(shape: Shape, size: Size) -> Image.Image:
    """From black at both ends to white in the middle."""
    gradient = Image.linear_gradient("L")
    canvas = Image.new("L", size, "black")
    if shape == "rows":
        half = size[0], max(1, size[1] // 2)
        turns, second = (0, 180), (0, size[1] // 2)
    else:
        half = max(1, size[0] // 2), size[1]
        turns, second = (90, 270), (size[0] // 2, 0)
    for angle, at in zip(turns, ((0, 0), second), strict=True):
        canvas.paste(gradient.rotate(angle).resize(half, Image.Resampling.BICUBIC), at)
    return canvas
