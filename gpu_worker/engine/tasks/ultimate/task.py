"""Ultimate SD upscale as a task: each tile an inpainting of "only masked" on the picture as it is by then."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from gpu_worker.engine.calls import Call, Picture, Task
from gpu_worker.engine.images.geometry import fit, resample
from gpu_worker.engine.images.inpaint import PreparedInpaint, PreparedMask
from gpu_worker.engine.images.masks import overlay
from gpu_worker.engine.tasks.img2img import img2img
from gpu_worker.engine.tasks.plan import DrawPlan
from gpu_worker.engine.tasks.ultimate.cutting import guide_of_tile
from gpu_worker.engine.tasks.ultimate.masks import PlacedTile, place
from gpu_worker.engine.tasks.ultimate.pieces import Pieces
from gpu_worker.engine.tasks.ultimate.watching import TileWatch
from gpu_worker.language.tiles import Size, upscale_factors
from gpu_worker.protocol.specs import Ultimate

__all__ = ["enlarged", "ultimate"]


def enlarged(picture: Picture, size: Size, upscaler: str, scaled: Callable[[Picture, int], Picture]) -> Picture:
    """`picture` at `size`: by whole factors through `scaled`, then by Lanczos."""
    if upscaler != "None":
        for factor in upscale_factors((picture.shape[1], picture.shape[0]), size):
            picture = scaled(picture, factor)
    return resample(picture, *size)


def ultimate(plan: DrawPlan, spec: Ultimate, start: Picture, watch: TileWatch, pieces: Pieces) -> Task[list[Picture]]:
    """The pictures that the spec keeps. `start` has the final size; the plan is that of one tile."""
    canvas = start.copy()
    del start  # 200 MB of it at 8192 pixels
    size = canvas.shape[1], canvas.shape[0]
    tiles = spec.tiles()
    upscaled: Picture | None = None
    watch.begin(canvas, len(tiles))
    for number, tile in enumerate(tiles):
        if tile.mends and upscaled is None and spec.keep_upscaled:
            upscaled = canvas.copy()
        placed = place(tile, size)
        if placed is None:
            continue
        left, top, right, bottom = changed = placed.changed
        made = pieces.earlier(number, changed)
        if made is None:
            watch.tile(number, placed.crop)
            made = yield from _drawn(plan, spec, canvas, placed)
            pieces.keep(number, changed, made)
        canvas[top:bottom, left:right] = made
        watch.finished(changed, made)
    watch.end()
    if upscaled is None:  # nothing mended seams: none was asked for, or a single tile has none
        return [canvas] * spec.results
    return [upscaled, canvas] if spec.keep_mended else [upscaled]


def _drawn(plan: DrawPlan, spec: Ultimate, canvas: Picture, placed: PlacedTile) -> Generator[Call, Any, Picture]:
    """What the changed part of the canvas becomes."""
    size, process = (canvas.shape[1], canvas.shape[0]), placed.tile.process
    left, top, right, bottom = placed.crop
    crop = np.ascontiguousarray(canvas[top:bottom, left:right])
    mask = fit(placed.mask, *process, "Resize and fill")

    def finish(drawn: Picture) -> Picture:
        return overlay(crop, fit(drawn, right - left, bottom - top, "Crop and resize"), placed.mask)

    # The tile is all there is for whoever looks at it: without a region nothing is cut out once more.
    prepared = PreparedInpaint(
        fit(crop, *process, "Resize and fill"), PreparedMask(mask, placed.mask, region=None), finish
    )
    strength = spec.seams_denoise if placed.tile.mends else spec.drawing.denoising_strength
    drawing = spec.drawing.model_copy(
        update={
            "denoising_strength": strength, "resize_mode": "Just resize", "width": process[0], "height": process[1],
        }
    )  # fmt: skip
    guide = guide_of_tile(plan.first.guide, placed.crop, size, process)
    own = dataclasses.replace(plan, spec=drawing, first=dataclasses.replace(plan.first, guide=guide))
    (made,) = yield from img2img(own, drawing, prepared)
    inner = placed.changed
    return made[inner[1] - top : inner[3] - top, inner[0] - left : inner[2] - left]
