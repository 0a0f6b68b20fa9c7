"""Regions: where on a latent each part of an AND counts (behaviours §18, the extension Latent Couple)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gpu_worker.language.regions import region_cells
from gpu_worker.protocol.specs import Region, Regions

__all__ = ["PlacedRegions", "placed_regions"]

Box = tuple[int, int, int, int]
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class PlacedRegions:
    """Regions on a latent of known size."""

    filters: tuple[torch.Tensor, ...]
    """Of each region float32 [h, w]: its weight inside, 0 outside."""
    end_step: int

    def counts(self, step: int) -> bool:
        """`step` counts from 0 in each pass."""
        return step < self.end_step

    def blended(self, conds: Sequence[torch.Tensor], uncond: torch.Tensor) -> list[torch.Tensor]:
        """Each part's prediction, [n, c, h, w], mixed into the negative prompt's where it does not count. Parts beyond
        the regions stay as they are. Filters are shares, so model answers and finished latents mix alike."""
        led = [torch.lerp(uncond, cond, where.to(cond)) for cond, where in zip(conds, self.filters, strict=False)]
        return [*led, *conds[len(led) :]]

    def cut_out(self, box: Box, whole: Size) -> PlacedRegions:
        """The part (left, top, right, bottom) in pixels of a picture of the size `whole`, which is drawn by itself."""
        left, top, right, bottom = box

        def cut(plane: torch.Tensor) -> torch.Tensor:
            down, across = whole[1] // plane.shape[0], whole[0] // plane.shape[1]
            return plane[top // down : bottom // down, left // across : right // across]

        return replace(self, filters=tuple(map(cut, self.filters)))


def placed_regions(regions: Regions | None, height: int, width: int, device: torch.device) -> PlacedRegions | None:
    """For a latent of `height` x `width` cells."""
    if regions is None:
        return None
    filters = tuple(_filter(area, height, width).to(device) for area in regions.areas)
    return PlacedRegions(filters, regions.end_step)


def _filter(area: Region, height: int, width: int) -> torch.Tensor:
    plane = torch.zeros(height, width)
    cells = region_cells(area, height, width)
    if cells is not None:
        top, bottom, left, right = cells
        plane[top:bottom, left:right] = area.weight
    return plane
