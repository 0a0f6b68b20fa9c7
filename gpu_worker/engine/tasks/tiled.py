"""The second pass in tiles, for pictures too large to be drawn at once: A1111's script "SD upscale" (behaviours §16,
last line, and §20): tiles of equal size that overlap, each denoised by itself, blended linearly where they meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

import numpy as np
import torch

from gpu_worker.engine.calls import Call, DecodeCall, EncodeCall, Picture
from gpu_worker.engine.conditioning.guide import Guide
from gpu_worker.engine.control.colourfix import with_originals
from gpu_worker.engine.control.units import cut_out, placed_units
from gpu_worker.engine.regional import placed_regions
from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.engine.tasks.model_inputs import conditioned
from gpu_worker.engine.tasks.passes import guided
from gpu_worker.engine.tasks.plan import DrawPlan
from gpu_worker.engine.upscale.tiles import TileGrid, merged, split_grid
from gpu_worker.protocol.specs import SEED_MAX, Hires

__all__ = ["overlap_px", "redrawn_in_tiles", "tile_grid"]

Box = tuple[int, int, int, int]
Size = tuple[int, int]


def overlap_px(tile_px: int) -> int:
    """An eighth of the tile, at most A1111's 64, in whole latent cells."""
    return max(8, min(64, tile_px // 8 // 8 * 8))


def tile_grid(width: int, height: int, tile_px: int) -> TileGrid:
    """No tile is larger than the picture; sides are multiples of 8, as both are."""
    tile = tile_px // 8 * 8
    across, along = min(tile, width // 8 * 8), min(tile, height // 8 * 8)
    return split_grid(width, height, across, along, min(overlap_px(tile_px), min(across, along) // 2))


def redrawn_in_tiles(
    plan: DrawPlan, hires: Hires, picture: Picture, seed: ImageSeed, share: tuple[int, int]
) -> Generator[Call, Any, Picture]:
    """`picture` already has the size of the second pass, a multiple of 8. `share` is which picture of how many this is,
    for the progress. Every tile has a seed of its own, or all would get the same grain."""
    assert plan.second is not None, "a hires fix has a second pass"
    grid = tile_grid(picture.shape[1], picture.shape[0], hires.tile_px)
    size = picture.shape[1], picture.shape[0]
    guide = _laid_out(plan.second.guide, plan, size, grid)
    done, of = share[0] * len(grid), share[1] * len(grid)
    tiles: list[Picture] = []
    for number, (left, top, right, bottom) in enumerate(grid.boxes()):
        tile = np.ascontiguousarray(picture[top:bottom, left:right])
        init: torch.Tensor = yield EncodeCall([tile], guide.state)
        own = dataclasses.replace(seed, seed=(seed.seed + number) & SEED_MAX)
        looking = yield from conditioned(guide, init.shape[2], init.shape[3])
        looking = yield from _cut_out(looking, (left, top, right, bottom), size)
        sampling = plan.second.sampling.from_latent(
            init,
            plan.noise((own,), init.shape[2], init.shape[3]),
            steps=hires.steps or plan.spec.steps,
            strength=hires.denoising_strength,
            exact=True,
            phase="hires",
        )
        latents = yield from guided(sampling, looking, (done + number, of))
        drawn: list[Picture] = yield DecodeCall(latents, guide.state)
        tiles += drawn
    return merged(tiles, grid, 1)


def _laid_out(guide: Guide, plan: DrawPlan, size: Size, grid: TileGrid) -> Guide:
    """With control and regions as they lie on the whole picture; a refiner's, too."""
    if guide.refiner is not None:
        share, refiner = guide.refiner
        guide = dataclasses.replace(guide, refiner=(share, _laid_out(refiner, plan, size, grid)))
    height, width = size[1] // plan.factor, size[0] // plan.factor
    return dataclasses.replace(
        guide,
        width=grid.tile_width,
        height=grid.tile_height,
        control=(),
        maps=placed_units(guide.control, height, width),
        regions=None,
        placed=placed_regions(guide.regions, height, width, plan.device),
    )


def _cut_out(guide: Guide, box: Box, size: Size) -> Generator[Call, Any, Guide]:
    """What a tile has of that."""
    if guide.refiner is not None:
        share, refiner = guide.refiner
        own = yield from _cut_out(refiner, box, size)
        guide = dataclasses.replace(guide, refiner=(share, own))
    maps = yield from with_originals(cut_out(guide.maps, box, size), guide.state)
    placed = guide.placed.cut_out(box, size) if guide.placed is not None else None
    return dataclasses.replace(guide, maps=maps, placed=placed)
